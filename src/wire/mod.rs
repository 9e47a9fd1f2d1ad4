//! The versioned JSON shapes: output of every command, the plan file. Fields are only ever added.

mod desk;
mod digest;
mod hook;
mod plan;
mod probe;
mod read;
pub mod remote;
mod state;
mod watch;

use serde_json::{Map, Value as Json, json};

use crate::model::plan::{Drift, Drifted};
use crate::model::{Action, Diagnostic, Kind, Revision, Row, SecretChange, Value};

pub use desk::{approval, event, login, token};
pub use digest::digest;
pub use hook::{attempt, told_event, told_revision};
pub use plan::{Against, Hidden, PlanDocument, SEAL_LEN, Saving, effects, marks, put_value, seal};
pub use probe::{Places, outcomes, probed};
pub use read::{Document, Head, read_plan};
pub use state::{Signed, State, read_state, seal_state};
pub use watch::{moment, watch_event, watch_state};

pub const FORMAT_VERSION: u32 = 1;
/// `secrets` of a plan that has fetched none.
pub const SKIPPED: &str = "skip";

pub fn value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
        Value::List(items) => Json::from(items.iter().map(compact_str::CompactString::as_str).collect::<Vec<_>>()),
        Value::Size(_) => Json::from(value.to_string()),
        Value::Sealed(_) | Value::Hashed(_) | Value::Unhashed(_) | Value::Unknown => json!({ "secret": true }),
    }
}

pub fn diagnostic(diagnostic: &Diagnostic) -> Json {
    let Diagnostic { severity, code, message, hint, file, line, column, address, field } = diagnostic;
    json!({
        "severity": severity.name(),
        "code": code,
        "message": message,
        "hint": hint,
        "file": file,
        "line": (*line > 0).then_some(line),
        "column": (*column > 0).then_some(column),
        "address": address.as_ref().map(ToString::to_string),
        "field": field,
    })
}

pub fn diagnostics<'a>(all: impl Iterator<Item = &'a Diagnostic>) -> Json {
    json!({ "format_version": FORMAT_VERSION, "diagnostics": all.map(diagnostic).collect::<Vec<_>>() })
}

pub fn row(kind: Kind, row: &Row) -> Json {
    let fields: Map<String, Json> =
        row.cells.iter().map(|cell| (kind.field(cell.field).name.to_owned(), value(&cell.value))).collect();
    let mut json = json!({
        "address": crate::model::Address::new(kind, row.key.clone()).to_string(),
        "kind": kind.name(),
        "key": row.key.parts().collect::<Vec<_>>(),
        "owner": row.owner,
        "revision": row.revision,
        "fields": fields,
    });
    if let Some(revision) = row.disabled {
        json["disabled"] = revision.into();
    }
    json
}

/// A drifted field with both its values; of a plan, its name is enough.
pub fn drift(drift: &Drift) -> Json {
    let mut json = drifted(drift);
    let Drifted::Field { field, before, after } = &drift.what else { return json };
    if drift.address.kind.field(*field).is_secret() {
        let change = match (before, after) {
            (None, _) => SecretChange::Set,
            (_, None) => SecretChange::Cleared,
            _ => SecretChange::Changed,
        };
        json["secret"] = Json::Bool(true);
        json["change"] = change.name().into();
    } else {
        json["before"] = before.as_deref().map_or(Json::Null, value);
        json["after"] = after.as_ref().map_or(Json::Null, value);
    }
    json
}

/// What other software has changed, by its name alone.
pub fn drifted(drift: &Drift) -> Json {
    let address = drift.address.to_string();
    match drift.what {
        Drifted::Added => json!({ "address": address, "resource": "added" }),
        Drifted::Deleted => json!({ "address": address, "resource": "deleted" }),
        Drifted::Field { field, .. } => json!({ "address": address, "field": drift.address.kind.field(field).name }),
        Drifted::Column(name) => json!({ "address": address, "field": name }),
    }
}

pub fn summary(count: impl Fn(Action) -> u64, unchanged: u64) -> Json {
    let (first, later) = Action::ALL.split_at(Action::Blocked as usize + 1);
    let counted = |action: &Action| (action.name().to_owned(), Json::from(count(*action)));
    let mut summary: Map<String, Json> = first.iter().map(counted).collect();
    summary.insert("unchanged".to_owned(), Json::from(unchanged));
    // These stand there where there are any, so that a summary of before is what it was.
    summary.extend(later.iter().filter(|action| count(**action) > 0).map(counted));
    Json::Object(summary)
}

pub fn revision(revision: &Revision) -> Json {
    let Revision { revision, at, actor, project, digest, config_digest, counts, unchanged, note, recorded, commit } =
        revision;
    let mut json = json!({
        "revision": revision,
        "at": at,
        "actor": actor,
        "project": project,
        "digest": digest,
        "config_digest": config_digest,
        "summary": summary(|action| counts[action as usize], *unchanged),
        "note": note,
    });
    if *recorded {
        json["recorded"] = Json::Bool(true);
    }
    if let Some(commit) = commit {
        json["commit"] = Json::from(commit.as_str());
    }
    json
}

/// The files of a hand-over, in the order of upload: name, format, rows, whether it holds secrets.
pub fn manifest<'a>(files: impl Iterator<Item = (&'a str, &'a str, usize, bool)>) -> Json {
    let file =
        |(name, format, rows, secrets)| json!({ "name": name, "format": format, "rows": rows, "secrets": secrets });
    json!({ "format_version": FORMAT_VERSION, "files": files.map(file).collect::<Vec<_>>() })
}
