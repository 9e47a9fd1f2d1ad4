//! `yubin import`

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use encoding_rs::Encoding;

use super::plan::replace;
use super::{Common, End, print_data};
use crate::format::encoding::decode;
use crate::format::yaml::{Entity, Written};
use crate::format::{File, yaml};
use crate::load::{self, FormatName};
use crate::model::desired::Aim;
use crate::model::{Code, Diagnostics, Draft, Error, Given, Kind, Result, SecretSource, Wanted};
use crate::render::text;
use crate::resolve::{self, Rules};
use crate::system::System;

/// Turn product files into YAML; a password becomes a reference to an environment variable
#[derive(clap::Args)]
pub struct Args {
    #[arg(id = "file_format", value_name = "FORMAT")]
    format: ImportFormat,
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Encoding of the files
    #[arg(long, value_name = "LABEL", default_value = "utf-8")]
    encoding: String,
    /// Kind of the records of a CSV file without a `kind` column
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImportFormat {
    Yaml,
    Csv,
    Json,
    CatchmeMail,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let Some(encoding) = Encoding::for_label(args.encoding.as_bytes()) else {
        let message = format!("`{}` is no encoding", args.encoding);
        return Err(Error::new(Code::Usage, message).hint("as in utf-8, shift_jis, euc-jp"));
    };
    let kind = match &args.kind {
        None => None,
        Some(name) => Some(Kind::from_name(name).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{name}` is no kind")).hint("`server`, `account` or `pattern`")
        })?),
    };
    let (format, system) = match args.format {
        ImportFormat::Yaml => (Some(FormatName::Yaml), "generic"),
        ImportFormat::Csv => (Some(FormatName::Csv), "generic"),
        ImportFormat::Json => (None, "generic"),
        ImportFormat::CatchmeMail => (Some(FormatName::CatchmeMail), "catchme-mail"),
    };
    let system = System::find(system).ok_or_else(|| Error::failure(format!("the system {system} is missing")))?;
    let mut diagnostics = Diagnostics::default();
    let mut draft = Draft::default();
    for (id, path) in (0..).zip(&args.files) {
        let name = path.display().to_string();
        let bytes = fs::read(common.dir.join(path))
            .map_err(|error| Error::failure(format!("{name} cannot be read")).because(error))?;
        draft.files.push(name.clone());
        match decode(&name, &bytes, encoding) {
            Ok(text) => {
                load::read_one(File { id, name: &name, text: &text }, format, kind, &mut draft, &mut diagnostics);
            }
            Err(problem) => diagnostics.push(problem),
        }
    }
    load::refuse_duplicates(&mut draft, Vec::new(), None, &mut diagnostics);
    let given = Given::default();
    let rules = Rules { system, given: &given };
    let (_, runs) = resolve::resolve(rules, draft, None, &mut diagnostics, |_, wanted| wanted);
    let resources: Vec<Wanted> = runs.into_iter().flatten().collect();
    diagnostics.sort();
    if diagnostics.has_errors() {
        return common.invalid(&diagnostics);
    }
    common.say_diagnostics(&diagnostics);
    let names = env_names(&resources);
    let mut bytes = Vec::new();
    yaml::write(&mut bytes, resources.iter().zip(&names).map(|(wanted, names)| entity(wanted, names)))
        .map_err(|error| Error::failure("the YAML cannot be written").because(error))?;
    match &args.out {
        Some(out) => replace(out, |to| to.write_all(&bytes))?,
        None => print_data(|to| to.write_all(&bytes))?,
    }
    let secrets = names.iter().map(|names| names.iter().flatten().count()).sum::<usize>();
    if secrets > 0 {
        common.say(&format!(
            "{} left behind: the YAML names an environment variable in the place of each",
            text::number(secrets, "password")
        ));
    }
    Ok(End::Done)
}

/// For each wish of each resource: the name of the variable that stands for a clear password.
fn env_names(resources: &[Wanted]) -> Vec<Vec<Option<String>>> {
    let mut taken = HashSet::new();
    resources
        .iter()
        .map(|wanted| {
            wanted
                .wishes
                .iter()
                .map(|wish| {
                    let Aim::Secret(SecretSource::Clear(_)) = &wish.aim else { return None };
                    let field = wanted.kind.field(wish.field).name;
                    let upper = |text: &str| -> String {
                        text.chars()
                            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                            .collect()
                    };
                    let base = format!("YUBIN_{}_{}", upper(wanted.key.as_joined()), upper(field));
                    // Names that differ only in what a variable cannot hold are numbered.

                    (1..=u32::MAX)
                        .map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") })
                        .find(|name| taken.insert(name.clone()))
                })
                .collect()
        })
        .collect()
}

fn entity<'a>(wanted: &'a Wanted, names: &'a [Option<String>]) -> Entity<'a> {
    let fields = wanted
        .wishes
        .iter()
        .zip(names)
        .filter_map(|(wish, name)| {
            let written = match (&wish.aim, name) {
                (Aim::Value(value), _) => Written::Value(value),
                (Aim::Secret(_), Some(name)) => Written::Env(name),
                (Aim::Secret(SecretSource::Env(name)), None) => Written::Env(name),
                (Aim::Secret(SecretSource::File(path)), None) => Written::File(path),
                (Aim::Secret(SecretSource::Clear(_)) | Aim::Clear, None) | (Aim::Clear, Some(_)) => return None,
            };
            Some((wish.field, written))
        })
        .collect();
    Entity { kind: wanted.kind, key: &wanted.key, absent: wanted.absent, fields }
}
