//! Rows as they should stand in the store, column by column: what is written is bound from them, and what
//! the store then holds is compared with them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use rusqlite::types::{ToSqlOutput, Value as Owned};

use super::columns::{self, OWN_COLUMNS};
use super::read::key_of;
use super::{Cell as ValueRef, Cells, Database, Next};
use crate::model::{Action, Address, Change, FieldId, Key, Kind, Plan, Sealed, Value};

/// The columns of `columns::all_columns`, in their order.
pub type Image<'a> = Vec<ToSqlOutput<'a>>;

/// Places of yubin's own columns, behind those of the key.
pub const DECLARED: usize = 0;
const OWNER: usize = 1;
const REVISION: usize = 2;
const DISABLED: usize = 3;
const PREVIOUSLY: usize = 4;

const NULL: ToSqlOutput<'static> = ToSqlOutput::Borrowed(ValueRef::Null);

fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}

fn number(number: u64) -> rusqlite::Result<ToSqlOutput<'static>> {
    let number = i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(ToSqlOutput::Owned(Owned::Integer(number)))
}

/// A value as its column holds it.
fn cell(value: &Value) -> rusqlite::Result<ToSqlOutput<'_>> {
    Ok(match value {
        Value::Bool(value) => ToSqlOutput::Owned(Owned::Integer(i64::from(*value))),
        Value::Int(value) => ToSqlOutput::Owned(Owned::Integer(*value)),
        Value::Text(value) => text(value),
        Value::Sealed(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
        Value::Hashed(hashed) => text(&hashed.text),
        Value::List(items) => {
            let items: Vec<&str> = items.iter().map(compact_str::CompactString::as_str).collect();
            ToSqlOutput::Owned(Owned::Text(serde_json::Value::from(items).to_string()))
        }
        Value::Size(_) => ToSqlOutput::Owned(Owned::Text(value.to_string())),
        // `Session::apply` hashes and fetches first.
        Value::Unhashed(_) | Value::Unknown => return Err(rusqlite::Error::InvalidQuery),
    })
}

/// The places of a field's columns: its own, and that of the proof beside a hash.
pub fn places(kind: Kind, field: FieldId) -> (usize, Option<usize>) {
    let fields = kind.key_parts().len() + OWN_COLUMNS.len();
    let proof = columns::hashed(kind).position(|hashed| hashed == field);
    (fields + usize::from(field), proof.map(|at| fields + kind.fields().len() + at))
}

/// Puts a value in its columns.
fn put<'a>(image: &mut Image<'a>, kind: Kind, field: FieldId, value: Option<&'a Value>) -> rusqlite::Result<()> {
    let (place, proof) = places(kind, field);
    let (shown, sealed) = match (value, proof) {
        (Some(Value::Hashed(hashed)), Some(_)) => (value, hashed.proof.as_ref()),
        // Of a store of before, brought back by an undo.
        (Some(Value::Sealed(sealed)), Some(_)) => (None, Some(sealed)),
        _ => (value, None),
    };
    image[place] = shown.map_or(Ok(NULL), cell)?;
    if let Some(proof) = proof {
        image[proof] = sealed.map_or(NULL, |sealed: &Sealed| ToSqlOutput::Borrowed(ValueRef::Blob(sealed.as_bytes())));
    }
    Ok(())
}

/// Turns the image of a resource before a change, or an empty one, into that after it.
pub fn carry_out<'a>(image: &mut Image<'a>, change: &'a Change, plan: &'a Plan, revision: u64) -> rusqlite::Result<()> {
    let own = change.kind.key_parts().len();
    if image.is_empty() {
        image.resize(count(change.kind), NULL);
    }
    for (at, part) in change.key.parts().enumerate() {
        image[at] = text(part);
    }
    let digest = change.digest.as_ref();
    image[own + DECLARED] = digest.map_or(NULL, |digest| ToSqlOutput::Borrowed(ValueRef::Blob(digest)));
    image[own + OWNER] = owner(change, plan).map_or(NULL, text);
    image[own + REVISION] = number(revision)?;
    match change.action {
        Action::Add => {
            let disabled = change.special.as_ref().and_then(|special| special.disabled);
            image[own + DISABLED] = disabled.map_or(Ok(NULL), number)?;
        }
        Action::Disable => image[own + DISABLED] = number(revision)?,
        Action::Rename => {
            image[own + DISABLED] = NULL;
            let marker = change.special.as_ref().and_then(|special| special.marker.as_ref());
            image[own + PREVIOUSLY] = match marker {
                Some(marker) => marker.as_deref().map_or(NULL, text),
                None => change.previously().map_or(NULL, |key| text(key.name())),
            };
        }
        _ if change.is_restored() => image[own + DISABLED] = NULL,
        _ => {}
    }
    if let Some(special) = &change.special {
        for kept in &special.resealed {
            put(image, change.kind, kept.field, Some(&kept.value))?;
        }
    }
    for field in &change.fields {
        put(image, change.kind, field.field, field.after.as_ref())?;
    }
    Ok(())
}

/// Lets a resource follow the server that it refers to.
pub fn follow<'a>(image: &mut Image<'a>, kind: Kind, server: &'a Key, revision: u64) -> rusqlite::Result<()> {
    let own = kind.key_parts().len();
    image[own + DECLARED] = NULL;
    image[own + REVISION] = number(revision)?;
    if let Some(reference) = kind.find("server") {
        image[places(kind, reference).0] = text(server.name());
    }
    Ok(())
}

/// The owner that the change leaves.
fn owner<'a>(change: &'a Change, plan: &'a Plan) -> Option<&'a str> {
    match change.special.as_ref().and_then(|special| special.owner.as_ref()) {
        Some(owner) => owner.as_deref(),
        None => Some(&plan.project),
    }
}

/// A sum over images, in which their order does not matter: of rows that should be there, and of those that are.
/// It is compared at once, and kept nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    fn of<'v>(kind: Kind, columns: impl Iterator<Item = ValueRef<'v>>, bytes: &mut Vec<u8>) -> u64 {
        bytes.clear();
        bytes.push(kind as u8);
        let declared = kind.key_parts().len() + DECLARED;
        for (at, value) in columns.enumerate() {
            let (tag, text): (u8, &[u8]) = match &value {
                // By the digest a record is recognised; it says nothing about the state.
                _ if at == declared => continue,
                ValueRef::Null => continue,
                ValueRef::Integer(number) => (1, &number.to_le_bytes()),
                ValueRef::Real(number) => (2, &number.to_le_bytes()),
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(bytes) => (4, bytes),
            };
            bytes.extend_from_slice(&[at as u8, tag]);
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text);
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        hasher.finish()
    }

    pub fn join(&mut self, other: Sum) {
        self.0 = self.0.wrapping_add(other.0);
    }

    pub fn add(&mut self, kind: Kind, image: &Image<'_>, bytes: &mut Vec<u8>) {
        self.join(Sum(Sum::of(kind, image.iter().map(as_ref), bytes)));
    }

    pub fn take(&mut self, kind: Kind, image: &Image<'_>, bytes: &mut Vec<u8>) {
        self.0 = self.0.wrapping_sub(Sum::of(kind, image.iter().map(as_ref), bytes));
    }

    pub fn add_row(&mut self, kind: Kind, row: &dyn Cells, bytes: &mut Vec<u8>) {
        self.join(Sum::of_row(kind, row, bytes));
    }

    pub fn of_row(kind: Kind, row: &dyn Cells, bytes: &mut Vec<u8>) -> Sum {
        Sum(Sum::of(kind, (0..count(kind)).map(|at| row.cell(at)), bytes))
    }

    /// Over everything that the store holds.
    pub fn of_all(db: &dyn Database) -> super::Result<Sum> {
        let (mut sum, mut bytes) = (Sum::default(), Vec::with_capacity(1_024));
        for kind in Kind::ALL {
            let sql = format!("SELECT {} FROM {kind}", columns::all_columns(kind).join(", "));
            db.query(&sql, &[], &mut |row| {
                sum.add_row(kind, row, &mut bytes);
                Ok(Next::More)
            })?;
        }
        Ok(sum)
    }
}

/// What should stand in the store, and what does.
pub struct Sums {
    pub predicted: Sum,
    pub held: Sum,
    /// Some of the resources that are not as they should be.
    pub strange: Vec<Address>,
}

impl Sums {
    pub fn agree(&self) -> bool {
        self.predicted == self.held
    }
}

/// What is held of every resource of a kind.
pub fn by_key(db: &dyn Database, kind: Kind) -> super::Result<HashMap<Key, Sum>> {
    let sql = format!("SELECT {} FROM {kind}", columns::all_columns(kind).join(", "));
    let (mut all, mut bytes) = (HashMap::new(), Vec::new());
    db.query(&sql, &[], &mut |row| {
        all.insert(key_of(kind, row), Sum::of_row(kind, row, &mut bytes));
        Ok(Next::More)
    })?;
    Ok(all)
}

/// How many columns an image has.
fn count(kind: Kind) -> usize {
    places(kind, 0).0 + kind.fields().len() + columns::hashed(kind).count()
}

pub fn as_ref<'v>(value: &'v ToSqlOutput<'_>) -> ValueRef<'v> {
    match value {
        ToSqlOutput::Borrowed(value) => *value,
        ToSqlOutput::Owned(value) => ValueRef::from(value),
        // No image holds anything else.
        _ => ValueRef::Null,
    }
}

pub fn is_null(value: &ToSqlOutput<'_>) -> bool {
    matches!(value, ToSqlOutput::Borrowed(ValueRef::Null) | ToSqlOutput::Owned(Owned::Null))
}

/// The image of a row that was read.
pub fn of_row(kind: Kind, row: &dyn Cells) -> Image<'static> {
    (0..count(kind)).map(|at| ToSqlOutput::Owned(super::owned(row.cell(at)))).collect()
}
