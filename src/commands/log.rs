//! `yubin log`

use serde_json::json;

use super::{Common, End, print, print_json, show};
use crate::model::{Action, Address, Error, Result, Version};
use crate::render::text::harmless;
use crate::wire;

/// Show who changed what and when; with an address, which revision set each field
#[derive(clap::Args)]
pub struct Args {
    /// A resource, such as `pattern/taro/work`
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let address = show::parse(args.address.as_slice())?.pop();
    let session = common.session(false)?;
    let snapshot = session.snapshot()?;
    let revisions = snapshot.as_ref().map_or(Ok(Vec::new()), |snapshot| snapshot.revisions())?;
    let Some(address) = address else {
        if common.is_json() {
            let revisions: Vec<_> = revisions.iter().map(wire::revision).collect();
            print_json(&json!({ "format_version": wire::FORMAT_VERSION, "revisions": revisions }))?;
            return Ok(End::Done);
        }
        print(|to| {
            for revision in &revisions {
                let counts: Vec<String> = Action::ALL
                    .into_iter()
                    .filter(|action| action.writes())
                    .map(|action| (action, revision.counts[action as usize]))
                    .filter(|(_, count)| *count > 0)
                    .map(|(action, count)| format!("{count} {}", action.name()))
                    .collect();
                let note = revision.note.as_deref().map_or(String::new(), |note| format!("  {}", harmless(note)));
                let (actor, project) = (harmless(&revision.actor), harmless(&revision.project));
                writeln!(
                    to,
                    "{:>6}  {}  {actor}  {project}  {}{note}",
                    revision.revision,
                    revision.at,
                    counts.join(", ")
                )?;
            }
            Ok(())
        })?;
        if revisions.is_empty() {
            common.say("nothing has been applied yet");
        }
        return Ok(End::Done);
    };
    let versions = snapshot.map_or(Ok(Vec::new()), |snapshot| snapshot.versions(&address))?;
    if versions.is_empty() {
        return Err(Error::failure(format!("the store has never held `{address}`")));
    }
    let fields: Vec<_> = blame(&address, &versions)
        .into_iter()
        .map(|(field, version)| {
            let set_by = (!version.outside).then_some(version.row.revision);
            let revision = set_by.and_then(|number| revisions.iter().find(|revision| revision.revision == number));
            let place = (!version.outside).then_some((version.file.as_deref(), version.line));
            (field, set_by, revision, place.unwrap_or_default())
        })
        .collect();
    if common.is_json() {
        let fields: Vec<_> = fields
            .iter()
            .map(|(field, number, revision, (file, line))| {
                json!({
                    "field": field,
                    "revision": number,
                    "at": revision.map(|revision| &revision.at),
                    "actor": revision.map(|revision| &revision.actor),
                    "file": file,
                    "line": line,
                    "commit": revision.and_then(|revision| revision.commit.as_deref()),
                })
            })
            .collect();
        print_json(&json!({ "format_version": wire::FORMAT_VERSION, "fields": fields }))?;
        return Ok(End::Done);
    }
    let width = fields.iter().map(|(field, ..)| field.len()).max().unwrap_or(0);
    print(|to| {
        for (field, number, revision, place) in &fields {
            let who = match (number, revision) {
                (Some(number), Some(revision)) => {
                    format!("revision {number}  {}  {}", revision.at, harmless(&revision.actor))
                }
                (Some(number), None) => format!("revision {number}"),
                (None, _) => "other software".to_owned(),
            };
            let place = match *place {
                (Some(file), Some(line)) => format!("  {}:{line}", harmless(file)),
                _ => String::new(),
            };
            let commit = revision.and_then(|revision| revision.commit.as_deref());
            let place = place + &commit.map_or(String::new(), |commit| format!("  {}", harmless(&short(commit))));
            writeln!(to, "{field:<width$}  {who}{place}")?;
        }
        Ok(())
    })?;
    Ok(End::Done)
}

/// A commit as people write it.
fn short(commit: &str) -> String {
    const DIGITS: usize = 12;
    let (digits, mark) = commit.split_at(commit.trim_end_matches('+').len());
    format!("{}{mark}", digits.get(..DIGITS).unwrap_or(digits))
}

/// For each field that has a value in the last state: the version that gave it.
fn blame<'a>(address: &Address, versions: &'a [Version]) -> Vec<(&'static str, &'a Version)> {
    let Some(last) = versions.last() else { return Vec::new() };
    last.row
        .cells
        .iter()
        .map(|cell| {
            let same = versions.iter().rev().take_while(|version| version.row.get(cell.field) == Some(&cell.value));
            (address.kind.field(cell.field).name, same.last().unwrap_or(last))
        })
        .collect()
}
