//! Reading: one transaction, so that everything is of the same revision.

use std::cell::RefCell;
use std::collections::HashMap;

use compact_str::CompactString;

use super::columns::{self, OWN_COLUMNS, by_key, columns_of, key_list};
use super::{Cell as Found, Cells, Database, Next, Wanted, number, owned, text};
use crate::model::draft::Digest;
use crate::model::inventory::Owner;
use crate::model::plan::Base;
use crate::model::{
    Action, Address, Cell, Drift, Error, FieldId, Hashed, Inventory, Key, Kind, Logged, Result, Revision, Row, Sealed,
    Type, Value, Version,
};
use crate::store::{Each, Snapshot};

pub struct Reading {
    pub(super) db: Box<dyn Database + Send>,
    /// Of the schema.
    pub(super) version: i32,
    base: Base,
    key_id: Option<String>,
    places: RefCell<Places>,
}

/// Where the resources that a revision wrote were declared. Of a revision that is asked for again, as an undo does
/// for each of its changes, all are read at once.
type Places = HashMap<u64, Option<HashMap<Address, Place>>>;

/// File and line.
type Place = (Option<String>, Option<u32>);

/// What demands of a row of `change` that it is of this resource, in words for which there is an index.
fn named(address: &Address) -> (&'static str, Vec<Found<'_>>) {
    let (kind, name) = (text(address.kind.name()), text(address.key.name()));
    if address.kind == Kind::Pattern {
        return ("kind = ?1 AND name = ?2 AND \"user\" = ?3", vec![kind, name, text(address.key.first())]);
    }
    ("kind = ?1 AND name = ?2 AND \"user\" IS NULL", vec![kind, name])
}

fn place(row: &dyn Cells) -> Place {
    (row.owned(0), row.number(1).and_then(|line| u32::try_from(line).ok()))
}

impl Reading {
    /// Within a transaction that has begun; the version is read in it too: an apply may bring the store up to a
    /// newer one at any moment.
    pub fn new(db: Box<dyn Database + Send>, version: i32) -> super::Result<Reading> {
        let (base, key_id) = super::entry::base(&*db)?;
        Ok(Reading { db, version, base, key_id, places: RefCell::default() })
    }

    pub(super) fn db(&self) -> &dyn Database {
        &*self.db
    }
}

fn odd(kind: Kind, column: &str) -> Error {
    Error::failure(format!("the column `{column}` of table `{kind}` holds what its type cannot"))
        .hint("other software has written it; correct the value")
}

/// The value of a column; `Err` if its type cannot hold it.
fn value(ty: Type, found: Found<'_>) -> std::result::Result<Option<Value>, ()> {
    Ok(Some(match (ty, found) {
        (_, Found::Null) => return Ok(None),
        (Type::Bool, Found::Integer(number @ (0 | 1))) => Value::Bool(number == 1),
        (Type::Int { .. }, Found::Integer(number)) => Value::Int(number),
        (Type::Secret, Found::Blob(bytes)) => Value::Sealed(Sealed::from_bytes(bytes)),
        (Type::List, Found::Text(text)) => {
            let items: Vec<String> = serde_json::from_slice(text).map_err(|_| ())?;
            Value::List(items.into_iter().map(CompactString::from).collect())
        }
        (Type::Size, Found::Text(text)) => Value::from_word(ty, std::str::from_utf8(text).map_err(|_| ())?).ok_or(())?,
        (Type::Password, Found::Text(text)) => {
            let text = std::str::from_utf8(text).map_err(|_| ())?;
            Value::Hashed(Box::new(Hashed { text: text.into(), proof: None }))
        }
        (Type::Bool | Type::Int { .. } | Type::Secret | Type::Password, _) => return Err(()),
        (_, Found::Text(text)) => Value::Text(CompactString::from_utf8(text).map_err(|_| ())?),
        _ => return Err(()),
    }))
}

/// Reads the columns of `schema::all_columns`. What other software wrote into a column whose type cannot
/// hold it is for `unreadable` to judge.
fn row_with(kind: Kind, row: &dyn Cells, unreadable: impl Fn(&str) -> Result<()>) -> Result<Row> {
    let keys = kind.key_parts().len();
    let mut parts = [""; 2];
    for (at, part) in kind.key_parts().iter().enumerate() {
        parts[at] = row.text(at).ok_or_else(|| odd(kind, part))?;
    }
    let key = Key::from_parts(parts[..keys].iter().copied());
    let owner = row.owned(keys + 1);
    let number = |at: usize| -> Result<Option<u64>> {
        let number = match row.cell(keys + at) {
            Found::Integer(number) => Some(number),
            _ => None,
        };
        let sound = number.map(u64::try_from).transpose();
        sound.or_else(|_| unreadable(OWN_COLUMNS[at]).map(|()| None))
    };
    let revision = number(2)?.unwrap_or_default();
    let disabled = number(3)?;
    let previously = row.text(keys + 4).map(CompactString::from);
    let fields = keys + OWN_COLUMNS.len();
    let mut cells = Vec::with_capacity(24);
    for (field, spec) in (0..).zip(kind.fields()) {
        match value(spec.ty, row.cell(fields + usize::from(field))) {
            Ok(Some(value)) => cells.push(Cell { field, value }),
            Ok(None) => {}
            Err(()) => unreadable(&spec.column())?,
        }
    }
    for (at, field) in (fields + kind.fields().len()..).zip(columns::hashed(kind)) {
        let Found::Blob(bytes) = row.cell(at) else { continue };
        let sealed = Sealed::from_bytes(bytes);
        match cells.binary_search_by_key(&field, |cell| cell.field) {
            Ok(at) => {
                if let Value::Hashed(hashed) = &mut cells[at].value {
                    hashed.proof = Some(sealed);
                }
            }
            // Other software has taken the hash away.
            Err(_) if sealed.is_proof() => {}
            // Stores of before had no hashes: the password itself was sealed.
            Err(at) => cells.insert(at, Cell { field, value: Value::Sealed(sealed) }),
        }
    }
    Ok(Row { key, owner, revision, disabled, previously, cells })
}

/// A row of the present: every value must be sound.
fn row(kind: Kind, found: &dyn Cells) -> Result<Row> {
    row_with(kind, found, |column| Err(odd(kind, column)))
}

/// A row of the past: what was unreadable then can be corrected no more, and counts as no value.
pub(super) fn past_row(kind: Kind, found: &dyn Cells) -> Result<Row> {
    row_with(kind, found, |_| Ok(()))
}

/// The key, of a row that starts with it.
pub fn key_of(kind: Kind, row: &dyn Cells) -> Key {
    Key::from_parts((0..kind.key_parts().len()).map(|at| row.text(at).unwrap_or_default()))
}

/// The digest of what was declared.
fn digest(row: &dyn Cells, at: usize) -> Option<Digest> {
    row.blob(at).and_then(|bytes| bytes.try_into().ok())
}

/// The end of a statement: rows behind a key, whose parts are the parameters, in order.
fn behind(kind: Kind, after: Option<&Key>, limit: usize) -> String {
    let list = key_list(kind);
    let marks: Vec<String> = (1..=kind.key_parts().len()).map(|at| format!("?{at}")).collect();
    let which = after.map_or(String::new(), |_| format!("WHERE ({list}) > ({}) ", marks.join(", ")));
    let most = if limit == usize::MAX { String::new() } else { format!(" LIMIT {limit}") };
    format!("{which}ORDER BY {list}{most}")
}

impl Snapshot for Reading {
    fn base(&self) -> Base {
        self.base
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    fn mail_server(&self) -> Result<Option<bool>> {
        // Before that version no mail server could read a store.
        Ok(Some(self.version >= 7 && self.db().exists("SELECT 1 FROM meta WHERE mail_server = 1", &[])?))
    }

    /// From an index alone, where there is one.
    fn mail_addresses(&self, each: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
        let sql = "SELECT name, address FROM account WHERE address IS NOT NULL";
        self.db.query(sql, &[], &mut |row| {
            if let (Some(name), Some(address)) = (row.text(0), row.text(1)) {
                each(name, address)?;
            }
            Ok(Next::More)
        })?;
        Ok(())
    }

    fn inventory(&self, project: &str) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        for kind in Kind::ALL {
            self.list(kind, None, usize::MAX, &mut |parts, owner, declared| {
                let owner = match owner {
                    Some(name) if name == project => Owner::Us,
                    Some(name) => Owner::Other(inventory.owner_id(name)),
                    None => Owner::Nobody,
                };
                if inventory.of_mut(kind).push(parts, owner, declared) {
                    return Ok(());
                }
                Err(Error::failure(format!("the keys of table `{kind}` do not ascend bytewise")))
            })?;
        }
        Ok(inventory)
    }

    fn list(&self, kind: Kind, after: Option<&Key>, limit: usize, each: &mut Each<'_>) -> Result<()> {
        let keys = kind.key_parts();
        let behind = behind(kind, after, limit);
        let sql = format!("SELECT {}, yubin_declared, yubin_owner FROM {kind} {behind}", key_list(kind));
        let parts: Vec<Found<'_>> = after.into_iter().flat_map(Key::parts).map(text).collect();
        self.db.query(&sql, &parts, &mut |row| {
            let other;
            let owner = match row.cell(keys.len() + 1) {
                Found::Text(name) => {
                    other = String::from_utf8_lossy(name);
                    Some(&*other)
                }
                _ => None,
            };
            let mut parts = [""; 2];
            for (at, part) in keys.iter().enumerate() {
                parts[at] = row.text(at).ok_or_else(|| odd(kind, part))?;
                if parts[at].contains('\0') {
                    return Err(odd(kind, part).into());
                }
            }
            each(&parts[..keys.len()], owner, digest(row, keys.len()))?;
            Ok(Next::More)
        })?;
        Ok(())
    }

    fn page(
        &self,
        kind: Kind,
        after: Option<&Key>,
        limit: usize,
        each: &mut dyn FnMut(Row, Option<Digest>) -> Result<()>,
    ) -> Result<()> {
        let behind = behind(kind, after, limit);
        let sql = format!("SELECT {} FROM {kind} {behind}", columns_of(kind, self.version).join(", "));
        let parts: Vec<Found<'_>> = after.into_iter().flat_map(Key::parts).map(text).collect();
        self.db.query(&sql, &parts, &mut |found| {
            each(row(kind, found)?, digest(found, kind.key_parts().len()))?;
            Ok(Next::More)
        })?;
        Ok(())
    }

    fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Row>> {
        let select = columns_of(kind, self.version).join(", ");
        let wanted = Wanted { kind, select: &select, table: kind.name(), more: "", order: "" };
        let mut found = Vec::with_capacity(keys.len());
        self.db.of_keys(&wanted, &mut keys.iter(), &mut |_, one| {
            found.push(row(kind, one)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn scan(&self, kind: Kind, f: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let (columns, order) = (columns_of(kind, self.version).join(", "), key_list(kind));
        let sql = format!("SELECT {columns} FROM {kind} ORDER BY {order}");
        self.db.query(&sql, &[], &mut |found| {
            f(row(kind, found)?)?;
            Ok(Next::More)
        })?;
        Ok(())
    }

    fn scan_at(&self, kind: Kind, revision: u64, f: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        self.scan_past(kind, revision, f)
    }

    fn drift(&self) -> Result<Vec<Drift>> {
        self.read_drift()
    }

    fn disabled(&self) -> Result<Vec<(Address, u64)>> {
        let mut disabled = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|_| self.version >= 4) {
            let list = key_list(kind);
            let sql =
                format!("SELECT {list}, yubin_disabled FROM {kind} WHERE yubin_disabled IS NOT NULL ORDER BY {list}");
            self.db.query(&sql, &[], &mut |row| {
                disabled.push((Address::new(kind, key_of(kind, row)), row.count(kind.key_parts().len())));
                Ok(Next::More)
            })?;
        }
        Ok(disabled)
    }

    fn last_files(&self, kind: Kind, each: &mut dyn FnMut(Key, String)) -> Result<()> {
        self.db.query(&self.db.last_files(kind), &[text(kind.name())], &mut |row| {
            each(key_of(kind, row), row.string(kind.key_parts().len()));
            Ok(Next::More)
        })?;
        Ok(())
    }

    fn users_of_server(&self, server: &Key) -> Result<(Vec<Address>, u64)> {
        const SOME: usize = 3;
        let (mut some, mut count) = (Vec::new(), 0);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.find("server").is_some()) {
            let list = key_list(kind);
            let sql = format!("SELECT {list} FROM {kind} WHERE server = ?1 ORDER BY {list}");
            self.db.query(&sql, &[text(server.as_joined())], &mut |row| {
                count += 1;
                if some.len() < SOME {
                    some.push(Address::new(kind, key_of(kind, row)));
                }
                Ok(Next::More)
            })?;
        }
        Ok((some, count))
    }

    fn ever(&self, kind: Kind, field: FieldId, word: Option<&str>) -> Result<Vec<Row>> {
        let (columns, column) = (columns_of(kind, self.version).join(", "), columns::column(kind, field));
        let (which, params) = match word {
            Some(word) => (format!("{column} = ?1"), vec![text(word)]),
            None => (format!("{column} IS NOT NULL"), Vec::new()),
        };
        let mut rows = Vec::new();
        for (table, order) in [(format!("{kind}_history"), "rowid".to_owned()), (kind.to_string(), key_list(kind))] {
            let sql = format!("SELECT {columns} FROM {table} WHERE {which} ORDER BY {order}");
            self.db.query(&sql, &params, &mut |found| {
                rows.push(past_row(kind, found)?);
                Ok(Next::More)
            })?;
        }
        Ok(rows)
    }

    fn past_values(&self, kind: Kind, field: FieldId, key: &Key) -> Result<Vec<Value>> {
        let columns = columns_of(kind, self.version).join(", ");
        let params: Vec<Found<'_>> = key.parts().map(text).collect();
        let mut values: Vec<Value> = Vec::new();
        for (table, order) in [(kind.to_string(), ""), (format!("{kind}_history"), "ORDER BY rowid DESC")] {
            let sql = format!("SELECT {columns} FROM {table} WHERE {} {order}", by_key(kind, 1));
            self.db.query(&sql, &params, &mut |found| {
                if let Some(value) = past_row(kind, found)?.get(field)
                    && !values.contains(value)
                {
                    values.push(value.clone());
                }
                Ok(Next::More)
            })?;
        }
        Ok(values)
    }

    fn last_set(&self, kind: Kind, field: FieldId, keys: &[&Key]) -> Result<Vec<Option<u64>>> {
        let column = columns::column(kind, field);
        // Stores of before hold the password itself, sealed, where the proof is now.
        let is_hashed = self.version >= 3 && columns::hashed(kind).any(|hashed| hashed == field);
        let select = if is_hashed {
            let proof = columns::proof(kind, field);
            format!("yubin_revision, yubin_until, {column}, {proof}")
        } else {
            format!("yubin_revision, yubin_until, {column}")
        };
        let value = |row: &dyn Cells| match row.cell(2) {
            Found::Null if is_hashed => owned(row.cell(3)),
            found => owned(found),
        };
        let mut states: Vec<Option<LastSet>> = Vec::new();
        states.resize_with(keys.len(), || None);
        let present = select.replace("yubin_until", "NULL AS yubin_until");
        let now = Wanted { kind, select: &present, table: kind.name(), more: "", order: "" };
        self.db.of_keys(&now, &mut keys.iter().copied(), &mut |at, row| {
            let revision = row.count(0);
            states[at] = Some(LastSet { revision, value: value(row), known: revision > 0, done: false });
            Ok(())
        })?;
        let table = format!("{kind}_history");
        let before = Wanted { kind, select: &select, table: &table, more: "", order: "rowid DESC" };
        self.db.of_keys(&before, &mut keys.iter().copied(), &mut |at, row| {
            let Some(state) = states[at].as_mut().filter(|state| !state.done) else { return Ok(()) };
            let earlier = row.count(0);
            if row.number(1).is_some_and(|until| until != state.revision) {
                // It was deleted in between.
                state.done = true;
            } else if value(row) == state.value {
                state.revision = earlier;
            } else {
                // Other software has changed it since that revision.
                (state.known, state.done) = (earlier != state.revision, true);
            }
            Ok(())
        })?;
        Ok(states.into_iter().map(|state| state.filter(|state| state.known).map(|state| state.revision)).collect())
    }

    fn revisions(&self) -> Result<Vec<Revision>> {
        let recorded = if self.version < 2 { "NULL" } else { "recorded" };
        let later = if self.version < 4 { "NULL, NULL, NULL, NULL" } else { "renames, disables, purges, git_commit" };
        let sql = format!(
            "SELECT revision, at, actor, project, digest, config_digest, adds, overwrites, deletes, skips, unchanged, note,
               {recorded}, {later}
             FROM revision ORDER BY revision DESC"
        );
        Ok(self.db().all(&sql, &[], |row| {
            Ok(Revision {
                revision: row.count(0),
                at: row.string(1),
                actor: row.string(2),
                project: row.string(3),
                digest: row.string(4),
                config_digest: row.string(5),
                counts: [
                    row.count(6),
                    row.count(7),
                    row.count(8),
                    row.count(9),
                    0,
                    row.count(13),
                    row.count(14),
                    row.count(15),
                ],
                unchanged: row.count(10),
                note: row.owned(11),
                recorded: row.count(12) != 0,
                commit: row.owned(16),
            })
        })?)
    }

    fn changes(&self, revision: u64) -> Result<Vec<Logged>> {
        let previously = if self.version < 4 { "NULL" } else { "previously" };
        let sql = format!(
            "SELECT kind, \"user\", name, action, file, line, {previously} FROM change WHERE revision = ?1 ORDER BY seq"
        );
        let unknown = || Error::failure(format!("the log of revision {revision} names what this yubin does not know"));
        let mut changes = self.db().all(&sql, &[number(revision)], |found| {
            let kind = found.text(0).and_then(Kind::from_name).ok_or_else(unknown)?;
            let action = found.text(3).ok_or_else(unknown)?;
            let action = Action::ALL.into_iter().find(|known| known.name() == action).ok_or_else(unknown)?;
            let name = found.text(2).ok_or_else(unknown)?;
            let key = match found.text(1) {
                Some(user) => Key::pair(user, name),
                None => Key::single(name),
            };
            let previously = found.text(6).map(|name| key.renamed(name));
            let (file, line) = (found.owned(4), found.number(5).and_then(|line| u32::try_from(line).ok()));
            Ok(Logged { kind, key, action, previously, before: None, after: None, file, line })
        })?;
        for kind in Kind::ALL {
            self.images(kind, revision, &mut changes)?;
        }
        Ok(changes)
    }

    fn versions(&self, address: &Address) -> Result<Vec<Version>> {
        self.versions_before(address, u64::MAX)
    }
}

/// How far a value has been followed back.
struct LastSet {
    revision: u64,
    value: rusqlite::types::Value,
    known: bool,
    done: bool,
}

impl Reading {
    /// The states that a resource was in, also under other names, before this revision.
    fn versions_before(&self, address: &Address, before: u64) -> Result<Vec<Version>> {
        let kind = address.kind;
        let columns = columns_of(kind, self.version).join(", ");
        let count = columns_of(kind, self.version).len();
        let params: Vec<Found<'_>> = address.key.parts().map(text).collect();
        let mut rows = Vec::new();
        for sql in [
            format!("SELECT {columns}, yubin_until FROM {kind}_history WHERE {} ORDER BY rowid", by_key(kind, 1)),
            format!("SELECT {columns}, NULL FROM {kind} WHERE {}", by_key(kind, 1)),
        ] {
            self.db.query(&sql, &params, &mut |found| {
                rows.push((past_row(kind, found)?, found.number(count)));
                Ok(Next::More)
            })?;
        }
        let mut earlier = Vec::new();
        rows.retain(|(row, _)| row.revision < before);
        if let Some((revision, old)) = self.last_rename(address, before)? {
            // Another resource may have had the name before.
            rows.retain(|(row, _)| row.revision >= revision);
            earlier = self.versions_before(&Address::new(kind, old), revision)?;
        }
        let mut versions: Vec<Version> = Vec::with_capacity(rows.len());
        for (row, until) in rows {
            let (file, line) = self.place(row.revision, address)?;
            // Of several states of one revision, the first is its own.
            let outside = row.revision == 0 || versions.last().is_some_and(|last| last.row.revision == row.revision);
            versions.push(Version { row, until, outside, file, line });
        }
        earlier.append(&mut versions);
        Ok(earlier)
    }

    fn place(&self, revision: u64, address: &Address) -> Result<Place> {
        let mut places = self.places.borrow_mut();
        let Some(of) = places.get_mut(&revision) else {
            places.insert(revision, None);
            let (which, mut params) = named(address);
            let sql = format!("SELECT file, line FROM change WHERE {which} AND revision = ?{}", params.len() + 1);
            params.push(number(revision));
            return Ok(self.db().first(&sql, &params, |row| Ok(place(row)))?.unwrap_or_default());
        };
        if of.is_none() {
            let mut all = HashMap::new();
            let sql = "SELECT file, line, kind, \"user\", name FROM change WHERE revision = ?1";
            self.db.query(sql, &[number(revision)], &mut |row| {
                let name = row.text(4).unwrap_or_default();
                let key = row.text(3).map_or_else(|| Key::single(name), |user| Key::pair(user, name));
                if let Some(kind) = row.text(2).and_then(Kind::from_name) {
                    all.insert(Address::new(kind, key), place(row));
                }
                Ok(Next::More)
            })?;
            *of = Some(all);
        }
        Ok(of.as_ref().and_then(|of| of.get(address)).cloned().unwrap_or_default())
    }

    /// The last revision before this one that gave a resource its name, and its key until then.
    fn last_rename(&self, address: &Address, before: u64) -> Result<Option<(u64, Key)>> {
        if self.version < 4 {
            return Ok(None);
        }
        let (which, params) = named(address);
        let sql = format!("SELECT revision, previously FROM change WHERE {which} AND previously IS NOT NULL");
        let renames = self.db().all(&sql, &params, |row| Ok((row.count(0), row.string(1))))?;
        let last = renames.into_iter().filter(|(revision, _)| *revision < before).max();
        Ok(last.map(|(revision, old)| (revision, address.key.renamed(&old))))
    }

    /// Gives the changes of a kind the states of their resources before and after the revision, which may have
    /// given them other keys.
    fn images(&self, kind: Kind, revision: u64, changes: &mut [Logged]) -> Result<()> {
        let select = columns_of(kind, self.version).join(", ");
        let history = format!("{kind}_history");
        let places: Vec<usize> = (0..).zip(&*changes).filter(|(_, one)| one.kind == kind).map(|(at, _)| at).collect();
        if places.is_empty() {
            return Ok(());
        }
        let keys = |of: fn(&Logged) -> Key| -> Vec<Key> { places.iter().map(|at| of(&changes[*at])).collect() };
        let from = keys(|change| change.previously.as_ref().unwrap_or(&change.key).clone());
        let to = keys(|change| change.key.clone());
        let ended = format!(" AND yubin_until = {revision}");
        let begun = format!(" AND yubin_revision = {revision}");
        let wanted = Wanted { kind, select: &select, table: &history, more: &ended, order: "rowid" };
        self.db.of_keys(&wanted, &mut from.iter(), &mut |at, found| {
            changes[places[at]].before.get_or_insert(past_row(kind, found)?);
            Ok(())
        })?;
        // What other software wrote since stands under the same revision, later.
        for (table, order) in [(history.as_str(), "rowid"), (kind.name(), "")] {
            let wanted = Wanted { kind, select: &select, table, more: &begun, order };
            self.db.of_keys(&wanted, &mut to.iter(), &mut |at, found| {
                changes[places[at]].after.get_or_insert(past_row(kind, found)?);
                Ok(())
            })?;
        }
        Ok(())
    }
}
