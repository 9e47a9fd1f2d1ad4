//! `yubin secret rotate`

use std::collections::{BTreeMap, HashSet};
use std::fs;

use super::{identities, project, recipients};
use crate::commands::files::{Anew, real, replace_all};
use crate::commands::{Common, End};
use crate::format::armour as written;
use crate::load::{self, Project, Reader};
use crate::model::{Code, Diagnostic, Diagnostics, Error, Raw, Result, SecretSource};
use crate::render::text;
use crate::vault::{self, armour};

pub fn run(common: &Common, dry_run: bool) -> Result<End> {
    let Some(project) = (match project(common)? {
        Ok(project) => project,
        Err(end) => return Ok(end),
    }) else {
        return Err(Error::new(Code::Invalid, "there is no project, and so no source whose secrets could be rotated"));
    };
    let recipients = recipients(Some(&project))?;
    let mut diagnostics = Diagnostics::default();
    let (anew, count) = rotated(&project, &recipients, &mut diagnostics)?;
    if diagnostics.has_errors() {
        diagnostics.sort();
        return common.invalid(&diagnostics);
    }
    common.say_diagnostics(&diagnostics);
    if dry_run {
        common.say(&format!(
            "{} in {} would be encrypted anew",
            text::number(count, "secret"),
            text::number(anew.len(), "file")
        ));
        return Ok(End::Done);
    }
    replace_all(&anew)?;
    common.say(&format!("{} in {} encrypted anew", text::number(count, "secret"), text::number(anew.len(), "file")));
    Ok(End::Done)
}

/// Opens every encrypted secret of the sources and seals it again.
fn rotated(project: &Project, recipients: &super::Recipients, diagnostics: &mut Diagnostics) -> Result<(Anew, usize)> {
    let sources = load::read_sources(project, diagnostics);
    let opened = load::open(project, &sources, None, diagnostics);
    let reader = Reader::<()> { project, inventory: None, fetch: None, early: None, memory: None };
    let (draft, _) = load::draft(&opened, &reader, diagnostics);
    let identities = identities(Some(project))?;
    let mut anew = Anew::new();
    // By file, the old armour and the new one.
    let mut texts: BTreeMap<u32, BTreeMap<String, Option<String>>> = BTreeMap::new();
    let mut count = 0;
    for resource in &draft.resources {
        for cell in &resource.cells {
            let Raw::Secret(source) = &cell.raw else { continue };
            let name = &draft.files[resource.source.file as usize];
            let mut broken = |message: String, hint: &str| {
                diagnostics.push(
                    Diagnostic::error("secret/missing", message)
                        .hint(hint)
                        .at(name, cell.place.line, cell.place.column)
                        .of(&resource.address())
                        .field(resource.kind.field(cell.field).name),
                );
            };
            match source {
                SecretSource::Age(text) => {
                    let texts = texts.entry(resource.source.file).or_default();
                    if texts.contains_key(text.expose()) {
                        continue;
                    }
                    match armour::open(text.expose().as_bytes(), &identities) {
                        Ok(clear) => {
                            let sealed = armour::encrypt(&clear, recipients, true)?;
                            let sealed = String::from_utf8(sealed).map_err(|_| Error::failure("armour is ASCII"))?;
                            texts.insert(text.expose().to_owned(), Some(sealed));
                        }
                        Err((message, hint)) => {
                            broken(format!("the age text cannot be opened: {message}"), hint);
                            texts.insert(text.expose().to_owned(), None);
                        }
                    }
                }
                SecretSource::File(file) if vault::is_encrypted(file) => {
                    let path = real(&project.root.join(file));
                    let inside =
                        fs::canonicalize(&path).and_then(|real| Ok(real.starts_with(fs::canonicalize(&project.root)?)));
                    match inside {
                        Ok(false) => {
                            let message = format!("the file `{file}` stands outside the project, and is left as it is");
                            let problem = Diagnostic::warning("file/outside", message);
                            diagnostics.push(
                                problem
                                    .hint("rotate it where it stands")
                                    .at(name, cell.place.line, cell.place.column)
                                    .of(&resource.address())
                                    .field(resource.kind.field(cell.field).name),
                            );
                            continue;
                        }
                        Ok(true) if anew.contains_key(&path) => continue,
                        Ok(true) => {}
                        Err(error) => {
                            broken(
                                format!("the file `{file}` cannot be read: {error}"),
                                "its path is relative to yubin.yaml",
                            );
                            continue;
                        }
                    }
                    let bytes = fs::read(&path)
                        .map_err(|error| Error::failure(format!("{} cannot be read", path.display())).because(error))?;
                    match armour::open(&bytes, &identities) {
                        Ok(clear) => {
                            let is_armour = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
                            anew.insert(path, armour::encrypt(&clear, recipients, is_armour)?);
                            count += 1;
                        }
                        Err((message, hint)) => broken(format!("the file `{file}` cannot be opened: {message}"), hint),
                    }
                }
                _ => {}
            }
        }
    }
    for (file, texts) in texts {
        let source = &sources.files[file as usize];
        let bytes = source.bytes.as_deref().unwrap_or_default();
        let found = written::find(bytes);
        let standing: HashSet<&str> = found.iter().map(|one| one.text.as_str()).collect();
        if texts.keys().any(|old| !standing.contains(old.as_str())) {
            let message = "an age text of this file is written in a way that cannot be replaced";
            let hint =
                "write it as a YAML block (`age: |`), in double quotes with `\\n`, or in a CSV cell over several lines";
            diagnostics.push(Diagnostic::error("secret/form", message).hint(hint).at(&source.name, 0, 0));
        }
        let path = real(&project.root.join(&source.name));
        if !path.starts_with(real(&project.root)) {
            let message = "the file stands outside the project, and belongs to somebody else";
            let problem = Diagnostic::error("file/outside", message).hint("rotate its secrets where it stands");
            diagnostics.push(problem.at(&source.name, 0, 0));
            continue;
        }
        let replaced = written::replace(bytes, &found, |old| texts.get(old).cloned().flatten());
        count += texts.len();
        anew.insert(path, replaced);
    }
    Ok((anew, count))
}
