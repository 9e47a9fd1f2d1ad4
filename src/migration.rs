//! What a migration writes into files: entries on the new server, made of those on the old one as they are declared,
//! and what is not to be any more. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::format::yaml::{self, Entity, Written};
use crate::model::migration::Migration;
use crate::model::{Address, DraftResource, FieldId, Key, Kind, Place, Raw, SecretSource, Type, Value};

const SERVER: FieldId = Kind::Account.id("server");
const ADDRESS: FieldId = Kind::Account.id("address");
const USERNAME: FieldId = Kind::Account.id("incoming.username");
const OUTGOING_USERNAME: FieldId = Kind::Account.id("outgoing.auth.username");
const PURGE: FieldId = Kind::Account.id("purge_mail");

/// Why there is no entry.
pub enum Unfit {
    /// A password in clear: where it stands, and its field.
    Clear(Place, &'static str),
    Username(String),
}

/// A value of a new entry.
pub enum Cell<'a> {
    Made(Value),
    /// As it is written.
    Raw(Raw),
    Secret(&'a SecretSource),
}

/// The fields of a new entry.
pub type Entry<'a> = BTreeMap<FieldId, Cell<'a>>;

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Plain(text) | Raw::Quoted(text) | Raw::Cell(text) => Some(text),
        _ => None,
    }
}

/// Whether the new server says it itself, or it would do again what was done once.
fn is_left_out(field: FieldId) -> bool {
    let name = Kind::Account.field(field).name;
    let own = matches!(name, "protected" | "outgoing.auth.username" | "outgoing.auth.password");
    field == PURGE || (!own && Kind::Server.find(name).is_some())
}

/// The entry on the new server, of one on the old one.
pub fn entry<'a>(old: &'a DraftResource, migration: &Migration) -> Result<Entry<'a>, Unfit> {
    let mut entry = Entry::new();
    for cell in &old.cells {
        if cell.field == SERVER || is_left_out(cell.field) {
            continue;
        }
        let made = match &cell.raw {
            Raw::Secret(SecretSource::Clear(_)) => {
                return Err(Unfit::Clear(cell.place, Kind::Account.field(cell.field).name));
            }
            Raw::Secret(source) => Cell::Secret(source),
            Raw::Cell(word) => Cell::Raw(of_record(cell.field, word)),
            raw => Cell::Raw(raw.clone()),
        };
        entry.insert(cell.field, made);
    }
    let raw = |field| old.cells.iter().find(|cell| cell.field == field).and_then(|cell| text(&cell.raw));
    let made = migration.username.of(raw(USERNAME), raw(ADDRESS)).map_err(Unfit::Username)?;
    if let Some(user) = made {
        // Who sends as the one who receives still does.
        if raw(OUTGOING_USERNAME).is_some() && raw(OUTGOING_USERNAME) == raw(USERNAME) {
            entry.insert(OUTGOING_USERNAME, Cell::Made(Value::Text(user.as_str().into())));
        }
        entry.insert(USERNAME, Cell::Made(Value::Text(user.into())));
    }
    entry.insert(SERVER, Cell::Made(Value::Text(migration.to.name.as_str().into())));
    Ok(entry)
}

/// A cell of a record as YAML would say it: there, the field alone decides what it is.
fn of_record(field: FieldId, word: &str) -> Raw {
    match Kind::Account.field(field).ty {
        Type::Bool | Type::Int { .. } | Type::Size => Raw::Plain(word.trim().into()),
        Type::List => {
            let items = word.split(';').map(str::trim).filter(|item| !item.is_empty());
            Raw::List(items.map(|item| (item.into(), Place::default())).collect())
        }
        _ => Raw::Quoted(word.into()),
    }
}

/// The file of new entries, which come by key.
pub fn file(entries: &[(&Key, Entry<'_>)], migration: &Migration) -> io::Result<String> {
    let (from, to, name) = (&migration.from.name, &migration.to.name, &migration.name);
    let head = format!("# Entries on {to}, made of those on {from} by `yubin migrate next` ({name}). Yours to edit.\n");
    let mut bytes = head.into_bytes();
    let entities = entries.iter().map(|(key, entry)| {
        let fields = entry.iter().map(|(field, cell)| {
            let written = match cell {
                Cell::Made(value) => Written::Value(value),
                Cell::Raw(raw) => Written::Raw(raw),
                Cell::Secret(source) => Written::Secret(source),
            };
            (*field, written)
        });
        Entity { kind: Kind::Account, key, absent: false, fields: fields.collect() }
    });
    yaml::write(&mut bytes, entities)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The file that says what is not to be any more.
pub fn removed(absent: &BTreeSet<Address>, migration: &Migration) -> io::Result<String> {
    let name = &migration.name;
    let head = format!("# What `yubin migrate next` removes ({name}); of no use once the migration is closed.\n");
    let mut bytes = head.into_bytes();
    let entities =
        absent.iter().map(|address| Entity { kind: address.kind, key: &address.key, absent: true, fields: Vec::new() });
    yaml::write(&mut bytes, entities)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
