//! The plan as a document: shown, saved, and read again by `read`.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::Places;
use super::{FORMAT_VERSION, SKIPPED, diagnostic, drifted, summary};
use crate::model::plan::{LastSet, Partial, Waiting};
use crate::model::probe::Probed;
use crate::model::{
    Address, Change, Diagnostic, Drift, Effect, FieldChange, FieldId, Kind, Origin, Plan, Refusal, Value,
};

/// Writes what is a JSON text by itself.
pub(super) fn put(to: &mut Vec<u8>, value: impl Serialize) {
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
        Some(other) => put(to, super::value(other)),
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
    if change.origin == Origin::Server {
        to.extend_from_slice(b",\"server\":true");
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
    if change.special.is_none() && !change.adopted {
        return marks;
    }
    let mut mark = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            marks.insert(name.to_owned(), value);
        }
    };
    let flag = |is: bool| is.then_some(Json::Bool(true));
    let previously = change.previously().map(|old| Address::new(change.kind, old.clone()).to_string());
    mark("previously", previously.map(Json::from));
    mark("followers", Some(change.followers()).filter(|count| *count > 0).map(Json::from));
    mark("purge_after", change.grace().map(|grace| Json::from(grace.to_string())));
    mark("restored", flag(change.is_restored()));
    mark("adopted", flag(change.adopted));
    mark("taken_from", change.taken_from().map(Json::from));
    mark("foreign_owner", change.foreign_owner().map(Json::from));
    mark("forgotten", flag(change.is_forgotten()));
    mark("reason", change.reason().map(Json::from));
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
        effect @ (Effect::PurgeMail | Effect::Kick) => json!({ "effect": effect.name(), "address": address }),
    })
}

pub fn effects(plan: &Plan) -> impl Iterator<Item = Json> {
    plan.changes.iter().filter_map(|change| effect(plan, change))
}

/// Whether the product's own export leaves out a field, so that drift there is never seen.
pub type Hidden<'a> = dyn Fn(Kind, FieldId) -> bool + 'a;

/// What a plan was made against, if not the store itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Against {
    pub revision: u64,
    /// When the state was taken: RFC 3339, UTC.
    pub at: String,
    /// The public key of who signed it.
    pub signer: String,
}

/// What is written beside a plan that is saved, so that an apply knows whether it is still the same.
pub struct Saving<'a> {
    /// Keyed digests: of the declared secrets that stand elsewhere, and of those that the plan changes.
    pub secrets: &'a str,
    pub changed_secrets: &'a str,
    /// The time by which a purge is due.
    pub as_of: Option<String>,
    /// The files of the configuration and their digests.
    pub files: &'a [(String, String)],
}

/// What the plan document says beside the plan.
pub struct PlanDocument<'a> {
    pub plan: &'a Plan,
    pub digest: &'a str,
    pub store: &'a str,
    pub refused: &'a [Refusal],
    pub diagnostics: &'a [Diagnostic],
    /// `None` where the product has no export, or yubin's store is all there is.
    pub hidden: Option<Box<Hidden<'a>>>,
    /// What was probed for it; never in a saved plan.
    pub probes: (&'a [Probed], &'a Places),
    /// Only in a saved plan.
    pub saving: Option<Saving<'a>>,
    pub against: Option<&'a Against>,
    /// The revisions that are compared, of a plan that says what was between two.
    pub between: Option<(u64, u64)>,
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
    changed_secrets_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a Against>,
    #[serde(skip_serializing_if = "Option::is_none")]
    between: Option<[u64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mail_server: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recorded: bool,
    summary: Json,
    refused: Vec<Json>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn partial(partial: &Partial) -> Json {
    json!({ "target": partial.targets, "exclude": partial.excludes })
}

impl PlanDocument<'_> {
    /// What the document says before its lists.
    pub fn head(&self) -> impl Serialize {
        let plan = self.plan;
        let saving = self.saving.as_ref();
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
            secrets_digest: saving.map(|saving| saving.secrets),
            changed_secrets_digest: saving.map(|saving| saving.changed_secrets),
            as_of: saving.and_then(|saving| saving.as_of.as_deref()),
            secrets: self.skipped.then_some(SKIPPED),
            against: self.against,
            between: self.between.map(|(from, to)| [from, to]),
            partial: plan.partial.as_ref().map(partial),
            note: plan.note.as_deref(),
            mail_server: plan.mail_server,
            recorded: plan.recorded,
            summary: summary(|action| plan.count(action), plan.unchanged),
            refused: self
                .refused
                .iter()
                .map(|one| json!({ "rule": one.rule, "message": one.why.to_string() }))
                .collect(),
        }
    }

    /// One change a line, so that a million of them never stand in memory as one tree. What is saved ends with
    /// the digest of all that stands before, by which a change of it is noticed.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        if self.saving.is_none() {
            self.write_lists(to)?;
            return writeln!(to, "}}");
        }
        let mut hashing = Hashing { to, hasher: blake3::Hasher::new() };
        self.write_lists(&mut hashing)?;
        let digest = hashing.hasher.finalize();
        to.write_all(seal(&digest).as_bytes())
    }

    fn write_lists(&self, to: &mut dyn Write) -> io::Result<()> {
        let (plan, saving) = (self.plan, self.saving.as_ref());
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
        list(to, "drift", &plan.drift, &mut written, |to, one: &Drift| put(to, drifted(one)))?;
        if !plan.waiting.is_empty() {
            list(to, "disabled", &plan.waiting, &mut written, |to, one| put(to, waiting(one)))?;
        }
        list(to, "diagnostics", self.diagnostics, &mut written, |to, one| put(to, diagnostic(one)))?;
        let (probed, places) = self.probes;
        if !probed.is_empty() && saving.is_none() {
            list(to, "probes", probed, &mut written, |to, one| put(to, super::probed(one, places)))?;
        }
        if let Some(saving) = saving {
            list(to, "files", saving.files, &mut written, |to, (file, digest)| {
                put(to, json!({ "file": file, "digest": digest }));
            })?;
        }
        Ok(())
    }
}

/// How a saved plan ends.
pub fn seal(digest: &blake3::Hash) -> String {
    format!(",\n\"document_digest\":\"{}\"}}\n", digest.to_hex())
}

/// Of how many bytes that is.
pub const SEAL_LEN: u64 = ",\n\"document_digest\":\"\"}\n".len() as u64 + 64;

/// Digests what it writes.
struct Hashing<'a> {
    to: &'a mut dyn Write,
    hasher: blake3::Hasher,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn waiting(waiting: &Waiting) -> Json {
    json!({ "address": waiting.address.to_string(), "revision": waiting.revision, "purge_from": waiting.until })
}

/// `,"name":[` and an item a line; `written` is memory to work in.
pub(super) fn list<T>(
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
