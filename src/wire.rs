//! The versioned JSON shapes: output of every command, the plan file. Fields are only ever added.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::model::plan::LastSet;
use crate::model::{
    Action, Change, Diagnostic, Effect, FieldChange, FieldId, Kind, Origin, Plan, Refusal, Revision, Row, Value,
    parallel,
};

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
    json!({
        "address": crate::model::Address::new(kind, row.key.clone()).to_string(),
        "kind": kind.name(),
        "key": row.key.parts().collect::<Vec<_>>(),
        "owner": row.owner,
        "revision": row.revision,
        "fields": fields,
    })
}

pub fn summary(count: impl Fn(Action) -> u64, unchanged: u64) -> Json {
    let mut summary: Map<String, Json> =
        Action::ALL.into_iter().map(|action| (action.name().to_owned(), Json::from(count(action)))).collect();
    summary.insert("unchanged".to_owned(), Json::from(unchanged));
    Json::Object(summary)
}

pub fn revision(revision: &Revision) -> Json {
    let Revision { revision, at, actor, project, digest, config_digest, counts, unchanged, note, recorded } = revision;
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
    json
}

/// The files of a hand-over, in the order of upload: name, format, rows, whether it holds secrets.
pub fn manifest<'a>(files: impl Iterator<Item = (&'a str, &'a str, usize, bool)>) -> Json {
    let file =
        |(name, format, rows, secrets)| json!({ "name": name, "format": format, "rows": rows, "secrets": secrets });
    json!({ "format_version": FORMAT_VERSION, "files": files.map(file).collect::<Vec<_>>() })
}

/// Writes what is a JSON text by itself.
fn put(to: &mut Vec<u8>, value: impl Serialize) {
    // Strings, numbers and lists of them can always be written, and a vector takes them.
    let _ = serde_json::to_writer(to, &value);
}

/// Writes a value, or null.
pub fn put_value(to: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => to.extend_from_slice(b"null"),
        Some(Value::Bool(value)) => put(to, value),
        Some(Value::Int(value)) => put(to, value),
        Some(Value::Text(value)) => put(to, value.as_str()),
        Some(other) => put(to, self::value(other)),
    }
}

fn put_field(to: &mut Vec<u8>, kind: Kind, change: &FieldChange, hidden: Option<&Hidden<'_>>) {
    let spec = kind.field(change.field);
    to.extend_from_slice(b"{\"field\":");
    put(to, spec.name);
    if spec.is_secret() {
        to.extend_from_slice(b",\"secret\":true,\"change\":");
        put(to, change.secret().name());
    } else {
        to.extend_from_slice(b",\"before\":");
        put_value(to, change.before.as_deref());
        to.extend_from_slice(b",\"after\":");
        put_value(to, change.after.as_ref());
    }
    if change.origin == Origin::Default {
        to.extend_from_slice(b",\"default\":true");
    }
    // That no export shows a secret goes without saying.
    if !spec.is_secret() && hidden.is_some_and(|hidden| hidden(kind, change.field)) {
        to.extend_from_slice(b",\"observable\":false");
    }
    to.push(b'}');
}

/// What few changes have.
pub fn marks(change: &Change) -> Map<String, Json> {
    let mut marks = Map::new();
    if change.adopted {
        marks.insert("adopted".to_owned(), Json::Bool(true));
    }
    if let Some(reason) = change.reason() {
        marks.insert("reason".to_owned(), Json::from(reason));
    }
    marks
}

/// A change as the plan document shows it, written without a tree in between: there may be a
/// million of them.
fn put_change(to: &mut Vec<u8>, plan: &Plan, change: &Change, hidden: Option<&Hidden<'_>>) {
    to.extend_from_slice(b"{\"action\":");
    put(to, change.action.name());
    to.extend_from_slice(b",\"address\":");
    put(to, change.address().to_string());
    to.extend_from_slice(b",\"kind\":");
    put(to, change.kind.name());
    to.extend_from_slice(b",\"key\":");
    put(to, change.key.parts().collect::<Vec<_>>());
    to.extend_from_slice(b",\"source\":");
    match change.source {
        None => to.extend_from_slice(b"null"),
        Some(source) => {
            to.extend_from_slice(b"{\"file\":");
            put(to, plan.file(source));
            to.extend_from_slice(b",\"line\":");
            put(to, source.place.line);
            to.extend_from_slice(b",\"column\":");
            put(to, source.place.column);
            to.push(b'}');
        }
    }
    for (name, mark) in marks(change) {
        to.push(b',');
        put(to, name);
        to.push(b':');
        put(to, mark);
    }
    to.extend_from_slice(b",\"fields\":[");
    for (at, field) in change.fields.iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        put_field(to, change.kind, field, hidden);
    }
    to.extend_from_slice(b"]}");
}

/// Since when a secret that changes has been what it is.
fn last_set(change: &Change, last: &LastSet) -> Json {
    let field = change.kind.field(last.field).name;
    json!({ "address": change.address().to_string(), "field": field, "revision": last.revision, "at": last.at })
}

fn effect(plan: &Plan, change: &Change) -> Option<Json> {
    let address = change.address().to_string();
    Some(match change.effect(plan)? {
        Effect::Logout(user) => json!({ "effect": "logout", "user": user, "address": address }),
        effect @ Effect::PurgeMail => json!({ "effect": effect.name(), "address": address }),
    })
}

pub fn effects(plan: &Plan) -> impl Iterator<Item = Json> {
    plan.changes.iter().filter_map(|change| effect(plan, change))
}

/// Whether the product's own export leaves out a field, so that drift there is never seen.
pub type Hidden<'a> = dyn Fn(Kind, FieldId) -> bool + 'a;

/// What the plan document says beside the plan.
pub struct PlanDocument<'a> {
    pub plan: &'a Plan,
    pub digest: &'a str,
    pub store: &'a str,
    pub refused: &'a [Refusal],
    pub diagnostics: &'a [Diagnostic],
    /// `None` where the product has no export, or yubin's store is all there is.
    pub hidden: Option<Box<Hidden<'a>>>,
    /// Only in a saved plan: a keyed digest of the declared secrets.
    pub secrets_digest: Option<&'a str>,
    /// Whether the secrets were not fetched.
    pub skipped: bool,
}

#[derive(Serialize)]
struct Head<'a> {
    format_version: u32,
    yubin: &'a str,
    project: &'a str,
    system: &'a str,
    store: &'a str,
    base_revision: u64,
    #[serde(skip_serializing_if = "is_zero")]
    base_outside_writes: u64,
    config_digest: &'a str,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<&'a str>,
    summary: Json,
    refused: Vec<Json>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl PlanDocument<'_> {
    /// What the document says before its lists.
    pub fn head(&self) -> impl Serialize {
        let plan = self.plan;
        Head {
            format_version: FORMAT_VERSION,
            yubin: env!("CARGO_PKG_VERSION"),
            project: &plan.project,
            system: plan.system,
            store: self.store,
            base_revision: plan.base.revision,
            base_outside_writes: plan.base.outside_writes,
            config_digest: &plan.config_digest,
            digest: self.digest,
            secrets_digest: self.secrets_digest,
            secrets: self.skipped.then_some(SKIPPED),
            summary: summary(|action| plan.count(action), plan.unchanged),
            refused: self.refused.iter().map(|one| json!({ "rule": one.rule, "message": one.message })).collect(),
        }
    }

    /// One change a line, so that a million of them never stand in memory as one tree.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let plan = self.plan;
        let head = serde_json::to_string(&self.head())?;
        let head = head.strip_suffix('}').unwrap_or(&head);
        write!(to, "{head}")?;
        let mut written = Vec::new();
        let hidden = self.hidden.as_deref();
        list(to, "changes", &plan.changes, &mut written, |to, one| put_change(to, plan, one, hidden))?;
        let effects: Vec<&Change> = plan.changes.iter().filter(|change| change.effect(plan).is_some()).collect();
        list(to, "effects", &effects, &mut written, |to, change| put(to, effect(plan, change)))?;
        let last_set: Vec<(&Change, &LastSet)> = plan
            .changes
            .iter()
            .filter_map(|change| Some((change, change.special.as_ref()?)))
            .flat_map(|(change, special)| special.last_set.iter().map(move |last| (change, last)))
            .collect();
        if !last_set.is_empty() {
            list(to, "last_set", &last_set, &mut written, |to, (change, last)| put(to, self::last_set(change, last)))?;
        }
        list(to, "diagnostics", self.diagnostics, &mut written, |to, one| put(to, diagnostic(one)))?;
        writeln!(to, "}}")
    }
}

/// `,"name":[` and an item a line; `written` is memory to work in.
fn list<T>(
    to: &mut dyn Write,
    name: &str,
    items: &[T],
    written: &mut Vec<u8>,
    put: impl Fn(&mut Vec<u8>, &T),
) -> io::Result<()> {
    write!(to, ",\n\"{name}\":[")?;
    for (at, item) in items.iter().enumerate() {
        written.clear();
        written.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
        put(written, item);
        to.write_all(written)?;
    }
    write!(to, "]")
}

/// The digest of a plan: over the base revision, the configuration's digest and the changes, and
/// nothing else. Hexadecimal.
pub fn digest(plan: &Plan) -> String {
    const RUN: usize = 4_096;
    let chunks: Vec<&[Change]> = plan.changes.chunks(RUN).collect();
    // Runs of runs: threads take whole chunks, so the digest does not depend on their number.
    let parts: Vec<blake3::Hash> = parallel::each(&chunks, |chunk| {
        // One long text: BLAKE3 is many times faster on it than on small pieces.
        let mut bytes = Vec::with_capacity(RUN * 512);
        for change in *chunk {
            let start = bytes.len();
            bytes.extend_from_slice(&[0; 8]);
            encode(plan, change, &mut bytes);
            let len = (bytes.len() - start - 8) as u64;
            bytes[start..start + 8].copy_from_slice(&len.to_le_bytes());
        }
        blake3::hash(&bytes)
    });
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"yubin plan 1\n");
    hasher.update(&plan.base.revision.to_le_bytes());
    hasher.update(plan.config_digest.as_bytes());
    for hash in parts {
        hasher.update(hash.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The change as its JSON shows it, in fewer bytes: of secrets only how they change.
fn encode(plan: &Plan, change: &Change, to: &mut Vec<u8>) {
    fn text(to: &mut Vec<u8>, text: &str) {
        to.extend_from_slice(&(text.len() as u32).to_le_bytes());
        to.extend_from_slice(text.as_bytes());
    }
    fn side(to: &mut Vec<u8>, value: Option<&Value>) {
        match value {
            None => to.push(0),
            Some(Value::Bool(value)) => to.extend([1, u8::from(*value)]),
            Some(Value::Int(value)) => {
                to.push(2);
                to.extend(value.to_le_bytes());
            }
            Some(Value::Text(value)) => {
                to.push(3);
                text(to, value);
            }
            Some(Value::List(items)) => {
                to.push(4);
                to.extend((items.len() as u32).to_le_bytes());
                items.iter().for_each(|item| text(to, item));
            }
            Some(Value::Size(size)) => {
                to.push(5);
                to.extend(size.unwrap_or(u64::MAX).to_le_bytes());
            }
            Some(Value::Sealed(_) | Value::Hashed(_) | Value::Unhashed(_) | Value::Unknown) => to.push(6),
        }
    }
    text(to, change.action.name());
    text(to, change.kind.name());
    text(to, change.key.as_joined());
    if let Some(source) = change.source {
        text(to, plan.file(source));
        to.extend(source.place.line.to_le_bytes());
        to.extend(source.place.column.to_le_bytes());
    }
    to.push(u8::from(change.adopted));
    text(to, change.reason().unwrap_or_default());
    for one in &change.fields {
        let spec = change.kind.field(one.field);
        text(to, spec.name);
        if spec.is_secret() {
            text(to, one.secret().name());
        } else {
            side(to, one.before.as_deref());
            side(to, one.after.as_ref());
        }
        to.push(u8::from(one.origin == Origin::Default));
    }
}
