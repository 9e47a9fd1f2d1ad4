//! `yubin import`

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use encoding_rs::Encoding;

use super::plan::replace;
use super::{Common, End, print_data};
use crate::format::cpi::{Form, Sheet};
use crate::format::yaml;
use crate::format::yaml::{Entity, Written};
use crate::load::{self, FormatName, NamedFile, NamedFormat};
use crate::model::desired::Aim;
use crate::model::{Code, Diagnostics, Error, Given, Kind, Result, SecretSource, Wanted};
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
    CpiRegister,
    CpiEdit,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let encoding = encoding(&args.encoding)?;
    let kind = match &args.kind {
        None => None,
        Some(name) => Some(Kind::from_name(name).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{name}` is no kind")).hint("`server`, `account` or `pattern`")
        })?),
    };
    let mut diagnostics = Diagnostics::default();
    // What a project says of its own plan holds for its files as well.
    let given = if matches!(args.format, ImportFormat::CpiRegister | ImportFormat::CpiEdit) {
        given(common, &mut diagnostics)?
    } else {
        Given::default()
    };
    let cpi = |sheet| NamedFormat::Cpi(Form { sheet, capacity: None, register_rows: given.register_rows });
    let (format, system) = match args.format {
        ImportFormat::Yaml => (NamedFormat::Source(FormatName::Yaml), "generic"),
        ImportFormat::Csv => (NamedFormat::Source(FormatName::Csv), "generic"),
        ImportFormat::Json => (NamedFormat::Json, "generic"),
        ImportFormat::CatchmeMail => (NamedFormat::Source(FormatName::CatchmeMail), "catchme-mail"),
        // The plan with every column.
        ImportFormat::CpiRegister => (cpi(Sheet::Register), "cpi-business-standard"),
        ImportFormat::CpiEdit => (cpi(Sheet::Edit), "cpi-business-standard"),
    };
    let system = System::find(system).ok_or_else(|| Error::failure(format!("the system {system} is missing")))?;
    let files = read_files(&args.files)?;
    let draft = load::read_named(&files, format, encoding, kind, &mut diagnostics);
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

/// The encoding of a label.
pub fn encoding(label: &str) -> Result<&'static Encoding> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        Error::new(Code::Usage, format!("`{label}` is no encoding")).hint("as in utf-8, shift_jis, euc-jp")
    })
}

pub fn read_files(paths: &[PathBuf]) -> Result<Vec<NamedFile>> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| Error::failure(format!("{name} cannot be read")).because(error))?;
        Ok(NamedFile { name, bytes })
    };
    paths.iter().map(read).collect()
}

/// `rules:` of the project around, if there is one for CPI.
fn given(common: &Common, diagnostics: &mut Diagnostics) -> Result<Given> {
    let dir = Common::dir()?;
    let Ok(root) = load::find_root(&dir) else { return Ok(Given::default()) };
    // Of another project there is nothing to take, and nothing to say.
    let mut said = Diagnostics::default();
    let project = load::read_project(
        &load::Tree::Folder(root),
        common.trusted_config.as_deref().map(|path| dir.join(path)).as_deref(),
        &mut said,
    )?;
    if project.system.document != "002" {
        return Ok(Given::default());
    }
    diagnostics.extend(said);
    Ok(project.given)
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
                (Aim::Secret(SecretSource::Clear(_)) | Aim::Clear, None) | (Aim::Clear, Some(_)) => return None,
                (Aim::Secret(source), None) => Written::Secret(source),
            };
            Some((wish.field, written))
        })
        .collect();
    Entity { kind: wanted.kind, key: &wanted.key, absent: wanted.absent, fields }
}
