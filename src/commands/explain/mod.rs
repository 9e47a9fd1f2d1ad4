//! `yubin explain`: the tables of the products as text, as JSON, as one matrix, and as pages.

mod fact;
mod matrix;
mod page;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use self::fact::Fact;
use super::{Common, End, print, print_json};
use crate::check;
use crate::model::diagnostic::did_you_mean;
use crate::model::{Code, Error, Kind, Result};
use crate::system::{self, Clears, System, TextRule};
use crate::wire;

/// Show the rules of a field or a system, with their source
#[derive(clap::Args)]
pub struct Args {
    /// A system such as `catchme-mail`, a field such as `outgoing.port`, or both
    #[arg(value_name = "SYSTEM or FIELD", required_unless_present_any = ["matrix", "out"])]
    names: Vec<String>,
    /// What every system can express, as one table
    #[arg(long, conflicts_with_all = ["names", "out"])]
    matrix: bool,
    /// Write a page for each system, and the table of all, to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "names")]
    out: Option<PathBuf>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    if let Some(folder) = &args.out {
        let written = write_pages(folder)?;
        common.say(&format!("{written} pages written to {}", folder.display()));
        return Ok(End::Done);
    }
    if args.matrix {
        if common.is_json() {
            print_json(&matrix::json())?;
        } else {
            print(|to| write!(to, "{}", matrix::table()))?;
        }
        return Ok(End::Done);
    }
    let (systems, fields) = named(&args.names)?;
    if common.is_json() {
        let rows: Vec<Json> = systems.iter().flat_map(|system| asked(system, &fields)).map(|one| one.json()).collect();
        let mut document = json!({ "format_version": wire::FORMAT_VERSION, "fields": rows });
        if fields.is_empty() {
            document["systems"] = systems.iter().map(|system| about(system)).collect();
        }
        print_json(&document)?;
        return Ok(End::Done);
    }
    print(|to| {
        for (at, system) in systems.iter().enumerate() {
            if at > 0 {
                writeln!(to)?;
            }
            if fields.is_empty() {
                text::system(system, to)?;
            } else {
                text::fields(system, &asked(system, &fields), to)?;
            }
        }
        Ok(())
    })?;
    Ok(End::Done)
}

/// The systems and the fields that are asked for, in any order; all systems if none is named.
fn named(names: &[String]) -> Result<(Vec<&'static System>, Vec<&str>)> {
    let mut systems: Vec<&System> = Vec::new();
    let mut fields: Vec<&str> = Vec::new();
    for name in names {
        if let Some(system) = System::find(name) {
            systems.push(system);
        } else if Kind::ALL.iter().any(|kind| kind.find(name).is_some()) {
            fields.push(name);
        } else {
            let known = system::ALL
                .iter()
                .map(|system| system.name)
                .chain(Kind::ALL.iter().flat_map(|kind| kind.fields()).map(|field| field.name));
            let error = Error::new(Code::Usage, format!("`{name}` is no system and no field"));
            return Err(match did_you_mean(name, known) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("systems are {}", system::ALL.map(|system| system.name).join(", "))),
            });
        }
    }
    if systems.is_empty() {
        systems.extend(system::ALL);
    }
    Ok((systems, fields))
}

/// The fields that are asked for; without any, those that the product has.
fn asked(system: &'static System, names: &[&str]) -> Vec<Fact> {
    let all = fact::all(system);
    if names.is_empty() {
        all.filter(Fact::is_its).collect()
    } else {
        all.filter(|one| names.contains(&one.spec().name)).collect()
    }
}

/// What holds for a system as a whole.
fn about(system: &'static System) -> Json {
    let clears = match system.clears {
        Clears::Yes => json!({}),
        Clears::No(why) => json!({ "*": why }),
        Clears::Except(fields) => fields.iter().map(|(field, why)| ((*field).to_owned(), Json::from(*why))).collect(),
    };
    let text = |rule: &Option<TextRule>| {
        rule.as_ref().map(|rule| {
            let TextRule { min, max, chars, edges, letter, digit, not_equal, source, verified, note } = rule;
            json!({ "min": min, "max": max, "chars": chars, "edges": edges, "letter": letter, "digit": digit,
                    "not_equal": not_equal, "source": source, "verified": verified, "note": note })
        })
    };
    json!({
        "system": system.name,
        "product": system.product,
        "document": (!system.document.is_empty()).then_some(system.document),
        "about": system.about,
        "kinds": system.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "ordered": system.ordered,
        "deletes_mail": system.deletes_mail,
        "exported": system.kinds.iter().filter(|kind| system.exports(**kind)).map(|kind| kind.name()).collect::<Vec<_>>(),
        "cannot_clear": clears,
        "account_name": text(&system.accounts.name),
        "password": text(&system.accounts.password),
        "permanent": system.permanent.iter().map(|(name, source)| json!({ "name": name, "source": source })).collect::<Vec<_>>(),
        "never": fact::all(system).filter(|one| one.why_never().is_some()).map(|one| one.json()).collect::<Vec<_>>(),
        "rules": check::of(system.name)
            .map(|check| json!({ "id": check.id, "kind": check.kind.name(), "doc": check.doc, "source": check.source }))
            .collect::<Vec<_>>(),
        "notes": system.notes.iter().map(|note| {
            let lines = note.lines.iter().map(|(source, doc, quote)| json!({ "source": source, "doc": doc, "quote": quote }));
            json!({ "title": note.title, "lines": lines.collect::<Vec<_>>() })
        }).collect::<Vec<_>>(),
    })
}

/// Writes a page for each system, and the matrix; returns how many.
fn write_pages(folder: &Path) -> Result<usize> {
    let failed = |error| Error::failure(format!("{} cannot be written to", folder.display())).because(error);
    fs::create_dir_all(folder).map_err(failed)?;
    let all = page::all();
    for (name, text) in &all {
        fs::write(folder.join(name), text).map_err(failed)?;
    }
    Ok(all.len())
}
