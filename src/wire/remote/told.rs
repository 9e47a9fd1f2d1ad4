//! What a server says of a store beside its resources: the log, what other software has changed, and answers to
//! what only a client that plans asks.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::rows::{cell, key, put_cell};
use super::{More, Open, Tell, put_row, read_row};
use crate::model::plan::{Drift, Drifted};
use crate::model::{Action, Address, FieldId, Key, Kind, Logged, Revision, Row, Value, Version};

/// What a client asks besides; each is a body of `POST /v1/queries`, and has its own form of answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `{"files": [{"key", "file"}]}`
    LastFiles { kind: Kind },
    /// `{"users": [address], "count"}`
    UsersOfServer { server: Key },
    /// `{"resources": [resource]}`
    Ever { kind: Kind, field: FieldId, word: Option<String> },
    /// `{"values": [value]}`
    PastValues { kind: Kind, field: FieldId, key: Key },
    /// `{"revisions": [number or null]}`
    LastSet { kind: Kind, field: FieldId, keys: Vec<Key> },
}

fn parts(key: &Key) -> Vec<&str> {
    key.parts().collect()
}

impl Query {
    pub fn to_json(&self) -> Json {
        match self {
            Query::LastFiles { kind } => json!({ "query": "last_files", "kind": kind.name() }),
            Query::UsersOfServer { server } => json!({ "query": "users_of_server", "server": server.name() }),
            Query::Ever { kind, field, word } => {
                json!({ "query": "ever", "kind": kind.name(), "field": kind.field(*field).name, "word": word })
            }
            Query::PastValues { kind, field, key } => {
                let field = kind.field(*field).name;
                json!({ "query": "past_values", "kind": kind.name(), "field": field, "key": parts(key) })
            }
            Query::LastSet { kind, field, keys } => {
                let (field, keys) = (kind.field(*field).name, keys.iter().map(parts).collect::<Vec<_>>());
                json!({ "query": "last_set", "kind": kind.name(), "field": field, "keys": keys })
            }
        }
    }

    /// The error says what is wrong with it.
    pub fn read(text: &[u8]) -> Result<Query, &'static str> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            query: String,
            kind: Option<String>,
            field: Option<String>,
            word: Option<String>,
            server: Option<String>,
            key: Option<Vec<String>>,
            keys: Option<Vec<Vec<String>>>,
        }
        let written: Written = serde_json::from_slice(text).map_err(|_| "this is no query")?;
        let kind = || written.kind.as_deref().and_then(Kind::from_name).ok_or("`kind` is missing, or no kind");
        let field = |kind: Kind| {
            written
                .field
                .as_deref()
                .and_then(|name| kind.find(name))
                .ok_or("`field` is missing, or no field of the kind")
        };
        let one = |kind: Kind, parts: &Vec<String>| key_of(kind, parts).ok_or("a key has the wrong parts");
        match written.query.as_str() {
            "last_files" => Ok(Query::LastFiles { kind: kind()? }),
            "users_of_server" => {
                let server = written.server.clone().ok_or("`server` is missing")?;
                Ok(Query::UsersOfServer { server: one(Kind::Server, &vec![server])? })
            }
            "ever" => {
                let kind = kind()?;
                Ok(Query::Ever { kind, field: field(kind)?, word: written.word.clone() })
            }
            "past_values" => {
                let kind = kind()?;
                let key = one(kind, written.key.as_ref().ok_or("`key` is missing")?)?;
                Ok(Query::PastValues { kind, field: field(kind)?, key })
            }
            "last_set" => {
                let kind = kind()?;
                let keys = written.keys.as_ref().ok_or("`keys` is missing")?.iter().map(|parts| one(kind, parts));
                Ok(Query::LastSet { kind, field: field(kind)?, keys: keys.collect::<Result<_, _>>()? })
            }
            _ => Err("this query is not known"),
        }
    }
}

fn key_of(kind: Kind, parts: &[String]) -> Option<Key> {
    let parts: Vec<_> = parts.iter().map(|part| part.as_str().into()).collect();
    key(kind, &parts)
}

/// A value of a field that may be a secret: as in the fields of a resource.
pub fn put_past_value(to: &mut Vec<u8>, address: &Address, field: FieldId, value: &Value, tell: &Tell<'_>) {
    put_cell(to, address, field, value, Some(tell));
}

pub fn read_past_value(json: Json, address: &Address, field: FieldId, open: &Open<'_>) -> Option<Value> {
    cell(address, field, json, open)
}

/// What other software has changed, with both values. Of secrets they are told to those who may compare them.
pub fn drift(drift: &Drift, tell: &Tell<'_>) -> Json {
    let mut json = crate::wire::drift(drift);
    if let Drifted::Field { field, before, after } = &drift.what
        && drift.address.kind.field(*field).is_secret()
    {
        let word = |value: &Value| tell(&drift.address, *field, value);
        json["sealed_before"] = before.as_deref().and_then(word).into();
        json["sealed_after"] = after.as_ref().and_then(word).into();
    }
    json
}

#[derive(Deserialize)]
struct WrittenDrift {
    address: String,
    resource: Option<String>,
    field: Option<String>,
    #[serde(default)]
    secret: bool,
    change: Option<String>,
    before: Option<Json>,
    after: Option<Json>,
    sealed_before: Option<String>,
    sealed_after: Option<String>,
}

pub fn read_drift(text: &[u8], open: &Open<'_>) -> Option<Drift> {
    let written: WrittenDrift = serde_json::from_slice(text).ok()?;
    let moved = crate::wire::read::Moved { address: written.address, field: written.field, resource: written.resource };
    let mut drift = moved.into_drift()?;
    if let Drifted::Field { field, before, after } = &mut drift.what {
        let read = |json: Option<Json>| match json {
            None | Some(Json::Null) => Some(None),
            Some(json) => cell(&drift.address, *field, json, open).map(Some),
        };
        let (old, new) = if written.secret {
            let hidden = |is: bool, sealed: Option<String>| is.then(|| json!({ "secret": true, "sealed": sealed }));
            let change = written.change.as_deref()?;
            (hidden(change != "set", written.sealed_before), hidden(change != "cleared", written.sealed_after))
        } else {
            (written.before, written.after)
        };
        (*before, *after) = (read(old)?.map(Box::new), read(new)?);
    }
    Some(drift)
}

/// A revision, as `wire::revision` writes it.
pub fn read_revision(text: &[u8]) -> Option<Revision> {
    #[derive(Deserialize)]
    struct Written {
        revision: u64,
        at: String,
        actor: String,
        project: String,
        digest: String,
        config_digest: String,
        summary: serde_json::Map<String, Json>,
        note: Option<String>,
        #[serde(default)]
        recorded: bool,
        commit: Option<String>,
    }
    let written: Written = serde_json::from_slice(text).ok()?;
    let count = |name: &str| written.summary.get(name).and_then(Json::as_u64).unwrap_or_default();
    Some(Revision {
        revision: written.revision,
        at: written.at,
        actor: written.actor,
        project: written.project,
        digest: written.digest,
        config_digest: written.config_digest,
        counts: Action::ALL.map(|action| count(action.name())),
        unchanged: count("unchanged"),
        note: written.note,
        recorded: written.recorded,
        commit: written.commit,
    })
}

/// A resource as text, or null.
fn image(row: Option<&Row>, kind: Kind, tell: &Tell<'_>) -> Option<Box<RawValue>> {
    let mut bytes = Vec::new();
    put_row(&mut bytes, kind, row?, Some(&More { declared: None, tell }));
    let text = String::from_utf8(bytes).ok()?;
    RawValue::from_string(text.trim_end().to_owned()).ok()
}

/// A change of the log, with both states.
pub fn put_logged(to: &mut Vec<u8>, logged: &Logged, tell: &Tell<'_>) {
    let previously = logged.previously.as_ref().map(|old| Address::new(logged.kind, old.clone()).to_string());
    let written = WrittenLogged {
        action: logged.action.name().to_owned(),
        address: logged.address().to_string(),
        previously,
        before: image(logged.before.as_ref(), logged.kind, tell),
        after: image(logged.after.as_ref(), logged.kind, tell),
        file: logged.file.clone(),
        line: logged.line,
    };
    super::super::plan::put(to, written);
}

#[derive(Deserialize, serde::Serialize)]
struct WrittenLogged {
    action: String,
    address: String,
    previously: Option<String>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    file: Option<String>,
    line: Option<u32>,
}

pub fn read_logged(text: &[u8], open: &Open<'_>) -> Option<Logged> {
    let written: WrittenLogged = serde_json::from_slice(text).ok()?;
    let Address { kind, key } = Address::parse(&written.address).ok()?;
    let previously = match written.previously {
        Some(address) => Some(Address::parse(&address).ok()?.key),
        None => None,
    };
    let row = |image: Option<Box<RawValue>>| match image {
        Some(text) => read_row(text.get().as_bytes(), open).map(|(_, row)| Some(row)),
        None => Some(None),
    };
    let action = Action::ALL.into_iter().find(|action| action.name() == written.action)?;
    let (before, after) = (row(written.before)?, row(written.after)?);
    Some(Logged { kind, key, action, previously, before, after, file: written.file, line: written.line })
}

#[derive(Deserialize, serde::Serialize)]
struct WrittenVersion {
    until: Option<u64>,
    outside: bool,
    file: Option<String>,
    line: Option<u32>,
    resource: Box<RawValue>,
}

/// A state that a resource was in.
pub fn put_version(to: &mut Vec<u8>, kind: Kind, version: &Version, tell: &Tell<'_>) {
    let Version { row, until, outside, file, line } = version;
    // A row can always be written.
    let Some(resource) = image(Some(row), kind, tell) else { return };
    let written = WrittenVersion { until: *until, outside: *outside, file: file.clone(), line: *line, resource };
    super::super::plan::put(to, written);
}

pub fn read_version(text: &[u8], open: &Open<'_>) -> Option<Version> {
    let written: WrittenVersion = serde_json::from_slice(text).ok()?;
    let (_, row) = read_row(written.resource.get().as_bytes(), open)?;
    let WrittenVersion { until, outside, file, line, .. } = written;
    Some(Version { row, until, outside, file, line })
}

/// Keys with what stands beside them, as `Query::LastFiles` is answered.
pub fn read_key<'de, D: Deserializer<'de>>(kind: Kind, from: D) -> Result<Key, D::Error> {
    let parts = Vec::<String>::deserialize(from)?;
    key_of(kind, &parts).ok_or_else(|| D::Error::custom("no key"))
}
