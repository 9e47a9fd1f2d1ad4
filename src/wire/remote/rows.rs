//! Resources, one a line between a head and a tail: a stream without its tail was cut.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::super::plan::put;
use super::super::put_value;
use super::super::read::value as read_value;
use super::{Open, Tell};
use crate::model::draft::Digest;
use crate::model::{Address, Cell, FieldId, Hashed, Key, Kind, Row, Sealed, Type, Value};

/// The first line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub revision: u64,
    pub outside_writes: u64,
    /// How many resources other software has changed, and how many are disabled.
    pub drift: u64,
    pub disabled: u64,
    /// Identity of the key of the store.
    pub key: Option<String>,
    /// For clients that say their own key: the public key of the server, and the key that it lends, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lent: Option<String>,
}

/// The last line: where the next page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    pub next: Option<String>,
}

/// What an inventory needs of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub kind: Kind,
    pub key: Key,
    pub owner: Option<String>,
    pub declared: Option<Digest>,
}

/// What is told of a resource to a client that plans.
pub struct More<'a> {
    pub declared: Option<Digest>,
    pub tell: &'a Tell<'a>,
}

fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn digest(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

pub(super) fn put_digest(to: &mut Vec<u8>, digest: &Digest) {
    put(to, hex(digest));
}

/// A resource of an inventory, with the line's end.
pub fn put_listed(to: &mut Vec<u8>, kind: Kind, key: &[&str], owner: Option<&str>, declared: Option<&Digest>) {
    to.extend_from_slice(b"{\"kind\":\"");
    to.extend_from_slice(kind.name().as_bytes());
    to.extend_from_slice(b"\",\"key\":");
    put(to, key);
    to.extend_from_slice(b",\"owner\":");
    put(to, owner);
    if let Some(declared) = declared {
        to.extend_from_slice(b",\"declared\":");
        put_digest(to, declared);
    }
    to.extend_from_slice(b"}\n");
}

#[derive(Deserialize)]
struct WrittenListed<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    key: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    owner: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    declared: Option<Cow<'a, str>>,
}

/// `None` if that is no such line.
pub fn read_listed(line: &[u8]) -> Option<Listed> {
    let written: WrittenListed<'_> = serde_json::from_slice(line).ok()?;
    let kind = Kind::from_name(&written.kind)?;
    let declared = match written.declared {
        Some(text) => Some(digest(&text)?),
        None => None,
    };
    Some(Listed { kind, key: key(kind, &written.key)?, owner: written.owner.map(Cow::into_owned), declared })
}

/// A key of as many parts as the kind has, none empty and without what separates them inside.
pub(super) fn key(kind: Kind, parts: &[Cow<'_, str>]) -> Option<Key> {
    let sound =
        parts.len() == kind.key_parts().len() && parts.iter().all(|part| !part.is_empty() && !part.contains('\0'));
    sound.then(|| Key::from_parts(parts.iter().map(AsRef::as_ref)))
}

/// A resource with its fields, with the line's end. `more` is for clients that plan.
pub fn put_row(to: &mut Vec<u8>, kind: Kind, row: &Row, more: Option<&More<'_>>) {
    let address = Address::new(kind, row.key.clone());
    to.extend_from_slice(b"{\"address\":");
    put(to, address.to_string());
    to.extend_from_slice(b",\"kind\":");
    put(to, kind.name());
    to.extend_from_slice(b",\"key\":");
    put(to, row.key.parts().collect::<Vec<_>>());
    to.extend_from_slice(b",\"owner\":");
    put(to, row.owner.as_deref());
    to.extend_from_slice(b",\"revision\":");
    put(to, row.revision);
    if let Some(revision) = row.disabled {
        to.extend_from_slice(b",\"disabled\":");
        put(to, revision);
    }
    if let Some(more) = more {
        if let Some(previously) = &row.previously {
            to.extend_from_slice(b",\"previously\":");
            put(to, previously.as_str());
        }
        if let Some(declared) = &more.declared {
            to.extend_from_slice(b",\"declared\":");
            put_digest(to, declared);
        }
    }
    to.extend_from_slice(b",\"fields\":{");
    for (at, cell) in row.cells.iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        put(to, kind.field(cell.field).name);
        to.push(b':');
        put_cell(to, &address, cell.field, &cell.value, more.map(|more| more.tell));
    }
    to.extend_from_slice(b"}}\n");
}

/// A value as it stands among the fields; of a secret, what is told.
pub(super) fn put_cell(to: &mut Vec<u8>, address: &Address, field: FieldId, value: &Value, tell: Option<&Tell<'_>>) {
    let told = match value {
        Value::Sealed(_) | Value::Hashed(_) => tell.and_then(|tell| tell(address, field, value)),
        _ => None,
    };
    match told {
        Some(told) => {
            to.extend_from_slice(b"{\"secret\":true,\"sealed\":");
            put(to, told);
            to.push(b'}');
        }
        None => put_value(to, Some(value)),
    }
}

#[derive(Deserialize)]
struct WrittenRow {
    kind: String,
    key: Vec<Cow<'static, str>>,
    owner: Option<String>,
    revision: u64,
    disabled: Option<u64>,
    previously: Option<String>,
    fields: Map<String, Json>,
}

/// The other way; `None` if it is no value of the field.
pub(super) fn cell(address: &Address, field: FieldId, json: Json, open: &Open<'_>) -> Option<Value> {
    let spec = address.kind.field(field);
    if !spec.is_secret() {
        return read_value(spec.ty, json);
    }
    Some(match json.get("sealed").and_then(Json::as_str) {
        Some(sealed) => open(address, field, sealed)?,
        // Which secret it is nobody tells; only that there is one.
        None if matches!(spec.ty, Type::Password) => Value::Hashed(Box::new(Hashed { text: "".into(), proof: None })),
        None => Value::Sealed(Sealed::from_bytes(&[])),
    })
}

/// `None` if that is no such line.
pub fn read_row(line: &[u8], open: &Open<'_>) -> Option<(Kind, Row)> {
    let written: WrittenRow = serde_json::from_slice(line).ok()?;
    let kind = Kind::from_name(&written.kind)?;
    let address = Address::new(kind, key(kind, &written.key)?);
    let mut cells = Vec::with_capacity(written.fields.len());
    for (name, json) in written.fields {
        let field: FieldId = kind.find(&name)?;
        let value = cell(&address, field, json, open)?;
        cells.push(Cell { field, value });
    }
    cells.sort_by_key(|cell| cell.field);
    let Address { kind, key } = address;
    let previously = written.previously.map(Into::into);
    Some((
        kind,
        Row { key, owner: written.owner, revision: written.revision, disabled: written.disabled, previously, cells },
    ))
}
