//! Reading a plan document, one change at a time: what people read of it needs neither store nor secrets.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::plan::Against;
use crate::model::Why;
use crate::model::plan::{Base, LastSet, Partial, Waiting};
use crate::model::{
    Action, Address, Change, Diagnostic, Drift, Drifted, FieldChange, FieldId, Grace, Kind, Origin, Place, Plan,
    Refusal, Sealed, Severity, Source, Special, Type, Value,
};
use crate::system::System;

/// What stands in a plan document beside the plan.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub format_version: u32,
    pub yubin: String,
    pub store: String,
    pub digest: String,
    pub secrets_digest: Option<String>,
    pub changed_secrets_digest: Option<String>,
    pub as_of: Option<String>,
    pub secrets: Option<String>,
    pub against: Option<Against>,
    pub between: Option<[u64; 2]>,
    /// The files of the configuration and their digests.
    pub files: Vec<(String, String)>,
}

#[derive(Debug, Default)]
pub struct Document {
    pub head: Head,
    pub plan: Plan,
    pub refused: Vec<Refusal>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a plan document, shown or saved. The error says where, and never what stands there.
pub fn read_plan(from: impl Read) -> serde_json::Result<Document> {
    let mut reader = serde_json::Deserializer::from_reader(from);
    let mut document = Reading.deserialize(&mut reader)?;
    reader.end()?;
    document.plan.settle_counts();
    Ok(document)
}

struct Reading;

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Document, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            // Of two, some readers would take the first, and others the last.
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom("a key stands there twice"));
            }
            let Document { head, plan, refused, diagnostics } = &mut document;
            match key.as_str() {
                "format_version" => {
                    head.format_version = map.next_value()?;
                    if head.format_version > super::FORMAT_VERSION {
                        // What a newer format holds may not be understood: its number is all that counts.
                        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                        return Ok(document);
                    }
                }
                "yubin" => head.yubin = map.next_value()?,
                "project" => plan.project = map.next_value()?,
                "system" => {
                    let name: String = map.next_value()?;
                    let system = System::find(&name).ok_or_else(|| A::Error::custom("no system"))?;
                    (plan.system, plan.deletes_mail) = (system.name, system.deletes_mail);
                    plan.is_handed_over = !system.open;
                }
                "store" => head.store = map.next_value()?,
                "base_revision" => plan.base = Base { revision: map.next_value()?, ..plan.base },
                "base_outside_writes" => plan.base.outside_writes = map.next_value()?,
                "config_digest" => plan.config_digest = map.next_value()?,
                "digest" => head.digest = map.next_value()?,
                "secrets_digest" => head.secrets_digest = map.next_value()?,
                "changed_secrets_digest" => head.changed_secrets_digest = map.next_value()?,
                "as_of" => head.as_of = map.next_value()?,
                "secrets" => head.secrets = map.next_value()?,
                "against" => head.against = map.next_value()?,
                "between" => head.between = map.next_value()?,
                "partial" => {
                    let Scope { target, exclude } = map.next_value()?;
                    plan.partial = Some(Partial { targets: target, excludes: exclude });
                }
                "note" => plan.note = map.next_value()?,
                "mail_server" => plan.mail_server = map.next_value()?,
                "recorded" => plan.recorded = map.next_value()?,
                "summary" => plan.unchanged = map.next_value::<Summary>()?.unchanged,
                "refused" => {
                    let all: Vec<Refused> = map.next_value()?;
                    refused.extend(all.into_iter().map(Refused::into_refusal));
                }
                "changes" => map.next_value_seed(Changes(plan))?,
                "last_set" => {
                    let places: HashMap<String, usize> =
                        (0..).zip(&plan.changes).map(|(at, change)| (change.address().to_string(), at)).collect();
                    for one in map.next_value::<Vec<Set>>()? {
                        one.put(plan, &places).ok_or_else(|| A::Error::custom("no such change"))?;
                    }
                }
                "drift" => {
                    let all: Vec<Moved> = map.next_value()?;
                    let drift: Option<Vec<Drift>> = all.into_iter().map(Moved::into_drift).collect();
                    plan.drift = drift.ok_or_else(|| A::Error::custom("no drift"))?;
                }
                "disabled" => {
                    let all: Vec<Held> = map.next_value()?;
                    let waiting: Option<Vec<Waiting>> = all.into_iter().map(Held::into_waiting).collect();
                    plan.waiting = waiting.ok_or_else(|| A::Error::custom("no address"))?;
                }
                "diagnostics" => {
                    let all: Vec<Said> = map.next_value()?;
                    diagnostics.extend(all.into_iter().map(Said::into_diagnostic));
                }
                "files" => {
                    let all: Vec<File> = map.next_value()?;
                    head.files = all.into_iter().map(|file| (file.file, file.digest)).collect();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !["changes", "digest", "system"].iter().all(|key| seen.contains(*key)) {
            return Err(A::Error::custom("no plan"));
        }
        Ok(document)
    }
}

#[derive(Deserialize)]
struct Scope {
    target: Vec<String>,
    exclude: Vec<String>,
}

#[derive(Deserialize)]
struct Summary {
    unchanged: u64,
}

#[derive(Deserialize)]
struct File {
    file: String,
    digest: String,
}

#[derive(Deserialize)]
struct Refused {
    rule: String,
    message: String,
}

impl Refused {
    fn into_refusal(self) -> Refusal {
        // Rules are few, and live as long as the run.
        Refusal { rule: String::leak(self.rule), why: Why::Said(self.message) }
    }
}

#[derive(Deserialize)]
struct Set {
    address: String,
    field: String,
    revision: u64,
    at: String,
}

impl Set {
    fn put(self, plan: &mut Plan, places: &HashMap<String, usize>) -> Option<()> {
        let change = plan.changes.get_mut(*places.get(&self.address)?)?;
        let field = change.kind.find(&self.field)?;
        let _: jiff::Timestamp = self.at.parse().ok()?;
        let last = LastSet { field, revision: self.revision, at: self.at };
        change.special.get_or_insert_default().last_set.push(last);
        Some(())
    }
}

#[derive(Deserialize)]
pub(in crate::wire) struct Moved {
    pub(in crate::wire) address: String,
    pub(in crate::wire) field: Option<String>,
    pub(in crate::wire) resource: Option<String>,
}

impl Moved {
    pub(in crate::wire) fn into_drift(self) -> Option<Drift> {
        const COLUMNS: [&str; 4] = ["yubin_owner", "yubin_revision", "yubin_disabled", "yubin_previously"];
        let address = Address::parse(&self.address).ok()?;
        let what = match (self.resource.as_deref(), self.field.as_deref()) {
            (Some("added"), _) => Drifted::Added,
            (Some("deleted"), _) => Drifted::Deleted,
            (_, Some(name)) => match address.kind.find(name) {
                Some(field) => Drifted::Field { field, before: None, after: None },
                None => Drifted::Column(COLUMNS.into_iter().find(|column| *column == name)?),
            },
            _ => return None,
        };
        Some(Drift { address, what })
    }
}

#[derive(Deserialize)]
struct Held {
    address: String,
    revision: u64,
    purge_from: String,
}

impl Held {
    fn into_waiting(self) -> Option<Waiting> {
        let address = Address::parse(&self.address).ok()?;
        Some(Waiting { address, revision: self.revision, until: self.purge_from })
    }
}

#[derive(Deserialize)]
struct Said {
    severity: String,
    code: String,
    message: String,
    hint: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    address: Option<String>,
    field: Option<String>,
}

impl Said {
    fn into_diagnostic(self) -> Diagnostic {
        let severities = [Severity::Error, Severity::Warning, Severity::Info];
        let severity = severities.into_iter().find(|one| one.name() == self.severity).unwrap_or(Severity::Error);
        // Codes are few, and live as long as the run.
        let mut said = Diagnostic { severity, ..Diagnostic::error(String::leak(self.code), self.message) };
        said.hint = self.hint;
        said.file = self.file;
        (said.line, said.column) = (self.line.unwrap_or_default(), self.column.unwrap_or_default());
        said.address = self.address.and_then(|address| Address::parse(&address).ok());
        let named = |name: &str| Kind::ALL.into_iter().find_map(|kind| Some(kind.field(kind.find(name)?).name));
        said.field = self.field.and_then(|field| named(&field));
        said
    }
}

/// The list of changes, into the plan.
struct Changes<'a>(&'a mut Plan);

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of changes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        // Changes of one file mostly stand together.
        let mut files = HashMap::new();
        while let Some(written) = all.next_element::<Written>()? {
            let change = written.into_change(&mut self.0.files, &mut files);
            self.0.changes.push(change.ok_or_else(|| A::Error::custom("no change"))?);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Written {
    action: String,
    address: String,
    source: Option<Stood>,
    previously: Option<String>,
    #[serde(default)]
    followers: u64,
    purge_after: Option<String>,
    #[serde(default)]
    restored: bool,
    #[serde(default)]
    adopted: bool,
    taken_from: Option<String>,
    foreign_owner: Option<String>,
    #[serde(default)]
    forgotten: bool,
    reason: Option<String>,
    fields: Vec<Changed>,
}

#[derive(Deserialize)]
struct Stood {
    file: String,
    line: u32,
    column: u32,
}

#[derive(Deserialize)]
struct Changed {
    field: String,
    #[serde(default)]
    before: Option<Json>,
    #[serde(default)]
    after: Option<Json>,
    change: Option<String>,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    server: bool,
}

type Files = HashMap<String, u32>;

impl Written {
    fn into_change(self, names: &mut Vec<String>, files: &mut Files) -> Option<Change> {
        let action = Action::ALL.into_iter().find(|action| action.name() == self.action)?;
        let Address { kind, key } = Address::parse(&self.address).ok()?;
        let source = self.source.map(|stood| {
            let file = *files.entry(stood.file).or_insert_with_key(|name| {
                names.push(name.clone());
                names.len() as u32 - 1
            });
            Source { file, place: Place { line: stood.line, column: stood.column } }
        });
        let fields = self.fields.into_iter().map(|field| field.into_change(kind)).collect::<Option<_>>()?;
        let previously = match self.previously {
            Some(address) => Some(Address::parse(&address).ok()?.key),
            None => None,
        };
        let grace = match self.purge_after {
            Some(word) => Some(Grace::parse(&word)?),
            None => None,
        };
        let special = Special {
            reason: self.reason,
            foreign_owner: self.foreign_owner,
            taken_from: self.taken_from,
            owner: self.forgotten.then_some(None),
            previously,
            followers: self.followers,
            restored: self.restored,
            grace,
            ..Special::default()
        };
        let adopted = self.adopted;
        Some(Change { adopted, special: special.boxed(), ..Change::new(action, kind, key, source, fields) })
    }
}

impl Changed {
    fn into_change(self, kind: Kind) -> Option<FieldChange> {
        let field: FieldId = kind.find(&self.field)?;
        let spec = kind.field(field);
        let origin = match (self.default, self.server) {
            (true, _) => Origin::Default,
            (_, true) => Origin::Server,
            _ => Origin::Written,
        };
        if let Some(change) = self.change {
            // Which secret it is nobody can tell; only how it changes is shown.
            let hidden = || Value::Sealed(Sealed::from_bytes(&[]));
            let (before, after) = match change.as_str() {
                "set" => (None, Some(hidden())),
                "changed" => (Some(hidden()), Some(hidden())),
                "cleared" => (Some(hidden()), None),
                "unknown" => (None, Some(Value::Unknown)),
                _ => return None,
            };
            return Some(FieldChange { field, origin, before: before.map(Box::new), after });
        }
        let read = |json: Option<Json>| match json {
            None | Some(Json::Null) => Some(None),
            Some(json) => value(spec.ty, json).map(Some),
        };
        Some(FieldChange { field, origin, before: read(self.before)?.map(Box::new), after: read(self.after)? })
    }
}

pub(super) fn value(ty: Type, json: Json) -> Option<Value> {
    Some(match (ty, json) {
        (Type::Bool, Json::Bool(value)) => Value::Bool(value),
        (Type::Int { .. }, Json::Number(number)) => Value::Int(number.as_i64()?),
        (Type::List, Json::Array(items)) => {
            let items = items.into_iter().map(|item| Some(item.as_str()?.into()));
            Value::List(items.collect::<Option<_>>()?)
        }
        (Type::Size, Json::String(word)) => Value::from_word(ty, &word)?,
        (Type::Bool | Type::Int { .. } | Type::List | Type::Secret | Type::Password, _) => return None,
        (_, Json::String(text)) => Value::Text(Cow::from(text).into()),
        _ => return None,
    })
}
