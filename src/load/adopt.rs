//! Sources that are brought up to what the store holds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::sources::SourceFile;
use super::{FormatName, Project, Reader, draft, open, read_sources};
use crate::format::csv;
use crate::format::edit::{Edit, Notation, edit};
use crate::format::encoding::decode;
use crate::format::records::records;
use crate::model::{Address, Diagnostics, DraftResource, Drift, Drifted, Raw, SecretSource};

/// A source that is to change.
pub struct Changed {
    /// Relative to the project, with `/`.
    pub name: String,
    pub path: PathBuf,
    /// As it is on the disk, and as it should be.
    pub before: Vec<u8>,
    pub after: Vec<u8>,
    /// Both as text; `None` if passwords stand in the file, which are not for showing.
    pub texts: Option<(String, String)>,
    /// What is adopted, a line each.
    pub adopted: Vec<(Address, String)>,
}

/// What no file can be made to say, and why.
pub struct Left {
    pub address: Address,
    pub reason: String,
}

/// Edits the sources so that they declare what has drifted. The files stay as they are on the disk.
pub fn adopt(project: &Project, drift: &[Drift], diagnostics: &mut Diagnostics) -> (Vec<Changed>, Vec<Left>) {
    let sources = read_sources(project, diagnostics);
    let opened = open(project, &sources, None, diagnostics);
    let reader = Reader::<()> { project, inventory: None, fetch: None, early: None, memory: None };
    let (found, _) = draft(&opened, &reader, diagnostics);
    let mut left = Vec::new();
    let mut leave = |address: &Address, reason: &str| {
        left.push(Left { address: address.clone(), reason: reason.to_owned() });
    };
    // By file: the edits, and what each is called.
    let mut edits: BTreeMap<u32, Vec<(Edit, &Drift)>> = BTreeMap::new();
    for one in drift {
        let address = &one.address;
        let declares = |resource: &&DraftResource| resource.kind == address.kind && resource.key == address.key;
        let Some(resource) = found.resources.iter().find(declares) else {
            leave(address, "no file declares it; declare it, or let it be deleted");
            continue;
        };
        let (kind, key) = (address.kind, address.key.clone());
        let edit = match &one.what {
            Drifted::Field { field, after, .. } => {
                let spec = kind.field(*field);
                if spec.is_secret() {
                    leave(address, &format!("`{}` is a secret, and none is written into a file", spec.name));
                    continue;
                }
                Edit::Set { kind, key, field: *field, value: after.clone() }
            }
            Drifted::Deleted => Edit::Remove { kind, key },
            Drifted::Added => {
                leave(address, "it is declared and has no owner: `yubin adopt` takes it over");
                continue;
            }
            Drifted::Column(name) => {
                leave(address, &format!("`{name}` is yubin's own; the next apply of the resource sets it right"));
                continue;
            }
        };
        edits.entry(resource.source.file).or_default().push((edit, one));
    }
    let mut changed = Vec::new();
    for (file, edits) in edits {
        let source = &sources.files[file as usize];
        let holds_secrets = found.resources.iter().filter(|one| one.source.file == file).any(holds_secret);
        match change(project, source, &edits, holds_secrets) {
            Ok((one, refused)) => {
                left.extend(refused);
                changed.extend(one);
            }
            Err(reason) => {
                let all =
                    edits.iter().map(|(_, drift)| Left { address: drift.address.clone(), reason: reason.clone() });
                left.extend(all);
            }
        }
    }
    (changed, left)
}

fn holds_secret(resource: &DraftResource) -> bool {
    let written = |raw: &Raw| matches!(raw, Raw::Secret(SecretSource::Clear(_) | SecretSource::Hash(_)));
    resource.cells.iter().any(|cell| written(&cell.raw))
}

type Made = (Option<Changed>, Vec<Left>);

fn change(
    project: &Project,
    source: &SourceFile,
    edits: &[(Edit, &Drift)],
    holds_secrets: bool,
) -> Result<Made, String> {
    let bytes = source.bytes.as_deref().ok_or("its file cannot be read")?;
    let text = decode(&source.name, bytes, source.spec.encoding).map_err(|problem| problem.message)?;
    let encode = |text: &str| {
        // What is written in UTF-16 would come out as UTF-8.
        let (encoded, used, unmappable) = source.spec.encoding.encode(text);
        let mark: &[u8] = if bytes.starts_with(b"\xef\xbb\xbf") { b"\xef\xbb\xbf" } else { b"" };
        let kept = used == source.spec.encoding && !unmappable;
        kept.then(|| [mark, &*encoded].concat())
    };
    if encode(&text).as_deref() != Some(bytes) {
        return Err(format!("`{}` could not be written again as it is in its encoding", source.name));
    }
    let notation = notation(project, source, &text);
    let only: Vec<Edit> = edits.iter().map(|(edit, _)| edit.clone()).collect();
    let edited = edit(&text, notation, &only);
    let mut refused: Vec<(usize, String)> = edited.refused.into_iter().map(|one| (one.edit, one.reason)).collect();
    let mut after = edited.text;
    if encode(&after).is_none() {
        // One value that the encoding does not have must not keep the others out.
        let holds = |edit: &Edit| match edit {
            Edit::Set { value: Some(value), .. } => encode(&value.to_string()).is_some(),
            Edit::Set { .. } | Edit::Remove { .. } => true,
        };
        let odd: Vec<usize> = (0..only.len()).filter(|at| !holds(&only[*at])).collect();
        refused.extend(odd.iter().map(|at| (*at, format!("`{}` cannot hold the value in its encoding", source.name))));
        let rest: Vec<Edit> = (0..only.len()).filter(|at| !odd.contains(at)).map(|at| only[at].clone()).collect();
        after = edit(&text, notation, &rest).text;
    }
    let encoded = encode(&after).ok_or_else(|| format!("`{}` cannot hold the values in its encoding", source.name))?;
    let left =
        refused.iter().map(|(at, reason)| Left { address: edits[*at].1.address.clone(), reason: reason.clone() });
    let left = left.collect();
    if encoded == bytes {
        return Ok((None, left));
    }
    let adopted = (0..edits.len()).filter(|at| !refused.iter().any(|(other, _)| other == at));
    let changed = Changed {
        name: source.name.clone(),
        path: project.root.join(&source.name),
        before: bytes.to_vec(),
        after: encoded,
        adopted: adopted.map(|at| (edits[at].1.address.clone(), told(edits[at].1))).collect(),
        // What no resource takes, such as a default, may hold one as well.
        texts: (!holds_secrets && !text.to_lowercase().contains("password")).then(|| (text.into_owned(), after)),
    };
    Ok((Some(changed), left))
}

/// What is adopted, in a few words.
fn told(drift: &Drift) -> String {
    let Drifted::Field { field, before, after } = &drift.what else { return "removed".to_owned() };
    let name = drift.address.kind.field(*field).name;
    let side = |value: Option<String>| value.unwrap_or_else(|| "(none)".to_owned());
    let (before, after) = (before.as_ref().map(ToString::to_string), after.as_ref().map(ToString::to_string));
    format!("{name} {} → {}", side(before), side(after))
}

/// How the file is written, as `open` finds it.
fn notation(project: &Project, source: &SourceFile, text: &str) -> Notation {
    if source.is_yaml() {
        return Notation::Yaml;
    }
    let has_header = || {
        let mut cells = Vec::new();
        records(text).first().is_some_and(|first| {
            first.cells(text, &mut cells);
            csv::is_header(&cells)
        })
    };
    let canonical = source.spec.format.map_or_else(has_header, |format| format == FormatName::Csv);
    let is_catchme = project.system.name == "catchme-mail" || source.spec.format == Some(FormatName::CatchmeMail);
    if canonical || !is_catchme { Notation::Csv(source.spec.kind) } else { Notation::CatchmeMail }
}
