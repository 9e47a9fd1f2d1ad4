//! Reading: one transaction, so that everything is of the same revision.

use compact_str::CompactString;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params, Statement};

use super::schema::{self, columns_of};
use crate::model::draft::Digest;
use crate::model::inventory::Owner;
use crate::model::plan::Base;
use crate::model::{
    Action, Address, Cell, Drift, Error, FieldId, Hashed, Inventory, Key, Kind, Logged, Result, Revision, Row, Sealed,
    Type, Value, Version,
};
use crate::store::{Each, Snapshot};

pub struct Reading {
    pub(super) connection: Connection,
    /// Of the schema.
    pub(super) version: i32,
    base: Base,
    key_id: Option<String>,
}

impl Reading {
    pub fn begin(connection: Connection) -> rusqlite::Result<Reading> {
        connection.execute_batch("PRAGMA query_only = 1; BEGIN")?;
        // Inside the transaction: an apply may bring the store up to a newer version at any moment.
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let (revision, outside_writes, key_id) =
            connection.query_row("SELECT revision, outside_writes, key_id FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        Ok(Reading { connection, version, base: Base { revision, outside_writes }, key_id })
    }
}

pub(super) fn failed(error: rusqlite::Error) -> Error {
    Error::failure("the store cannot be read").because(error)
}

fn odd(kind: Kind, column: &str) -> Error {
    Error::failure(format!("the column `{column}` of table `{kind}` holds what its type cannot"))
        .hint("other software has written it; correct the value")
}

/// The value of a column; `Err` if its type cannot hold it.
fn value(ty: Type, found: ValueRef<'_>) -> std::result::Result<Option<Value>, ()> {
    Ok(Some(match (ty, found) {
        (_, ValueRef::Null) => return Ok(None),
        (Type::Bool, ValueRef::Integer(number @ (0 | 1))) => Value::Bool(number == 1),
        (Type::Int { .. }, ValueRef::Integer(number)) => Value::Int(number),
        (Type::Secret, ValueRef::Blob(bytes)) => Value::Sealed(Sealed::from_bytes(bytes)),
        (Type::List, ValueRef::Text(text)) => {
            let items: Vec<String> = serde_json::from_slice(text).map_err(|_| ())?;
            Value::List(items.into_iter().map(CompactString::from).collect())
        }
        (Type::Size, ValueRef::Text(text)) => {
            Value::from_word(ty, std::str::from_utf8(text).map_err(|_| ())?).ok_or(())?
        }
        (Type::Password, ValueRef::Text(text)) => {
            let text = std::str::from_utf8(text).map_err(|_| ())?;
            Value::Hashed(Box::new(Hashed { text: text.into(), proof: None }))
        }
        (Type::Bool | Type::Int { .. } | Type::Secret | Type::Password, _) => return Err(()),
        (_, ValueRef::Text(text)) => Value::Text(CompactString::from_utf8(text).map_err(|_| ())?),
        _ => return Err(()),
    }))
}

/// Reads the columns of `schema::all_columns`. What other software wrote into a column whose type cannot
/// hold it is for `unreadable` to judge.
fn row_with(kind: Kind, row: &rusqlite::Row<'_>, unreadable: impl Fn(&str) -> Result<()>) -> Result<Row> {
    let keys = kind.key_parts().len();
    let mut parts = Vec::with_capacity(keys);
    for at in 0..keys {
        parts.push(row.get_ref(at).map_err(failed)?.as_str().map_err(|_| odd(kind, kind.key_parts()[at]))?);
    }
    let key = Key::from_parts(parts);
    let owner: Option<String> = row.get(keys + 1).map_err(failed)?;
    let number = |at: usize| -> Result<Option<u64>> {
        let number: Option<i64> = row.get(keys + at).map_err(failed)?;
        let sound = number.map(u64::try_from).transpose();
        sound.or_else(|_| unreadable(schema::OWN_COLUMNS[at]).map(|()| None))
    };
    let revision = number(2)?.unwrap_or_default();
    let disabled = number(3)?;
    let previously: Option<String> = row.get(keys + 4).map_err(failed)?;
    let fields = keys + schema::OWN_COLUMNS.len();
    let mut cells = Vec::with_capacity(24);
    for (field, spec) in (0..).zip(kind.fields()) {
        match value(spec.ty, row.get_ref(fields + usize::from(field)).map_err(failed)?) {
            Ok(Some(value)) => cells.push(Cell { field, value }),
            Ok(None) => {}
            Err(()) => unreadable(&spec.column())?,
        }
    }
    for (at, field) in (fields + kind.fields().len()..).zip(schema::hashed(kind)) {
        let ValueRef::Blob(bytes) = row.get_ref(at).map_err(failed)? else { continue };
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
    Ok(Row { key, owner, revision, disabled, previously: previously.map(CompactString::from), cells })
}

/// A row of the present: every value must be sound.
fn row(kind: Kind, found: &rusqlite::Row<'_>) -> Result<Row> {
    row_with(kind, found, |column| Err(odd(kind, column)))
}

/// A row of the past: what was unreadable then can be corrected no more, and counts as no value.
pub(super) fn past_row(kind: Kind, found: &rusqlite::Row<'_>) -> Result<Row> {
    row_with(kind, found, |_| Ok(()))
}

fn each(
    kind: Kind,
    statement: &mut Statement<'_>,
    params: impl Params,
    f: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut rows = statement.query(params).map_err(failed)?;
    while let Some(found) = rows.next().map_err(failed)? {
        f(row(kind, found)?)?;
    }
    Ok(())
}

/// The key, of a row that starts with it.
fn key_of(kind: Kind, row: &rusqlite::Row<'_>) -> Result<Key> {
    let parts = (0..kind.key_parts().len()).map(|at| row.get(at));
    let parts = parts.collect::<rusqlite::Result<Vec<String>>>().map_err(failed)?;
    Ok(Key::from_parts(parts.iter().map(String::as_str)))
}

/// The digest of what was declared.
fn digest(found: ValueRef<'_>) -> Option<Digest> {
    match found {
        ValueRef::Blob(bytes) => bytes.try_into().ok(),
        _ => None,
    }
}

/// The end of a statement: rows behind a key, whose parts are bound, in order.
fn behind(kind: Kind, after: Option<&Key>, limit: usize) -> String {
    let list = kind.key_parts().join(", ");
    let marks: Vec<String> = (1..=kind.key_parts().len()).map(|at| format!("?{at}")).collect();
    let which = after.map_or(String::new(), |_| format!("WHERE ({list}) > ({}) ", marks.join(", ")));
    let most = if limit == usize::MAX { String::new() } else { format!(" LIMIT {limit}") };
    format!("{which}ORDER BY {list}{most}")
}

pub(super) fn by_key(kind: Kind) -> String {
    let parts: Vec<String> = (1..).zip(kind.key_parts()).map(|(at, part)| format!("{part} = ?{at}")).collect();
    parts.join(" AND ")
}

impl Snapshot for Reading {
    fn base(&self) -> Base {
        self.base
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
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
        let list = keys.join(", ");
        let sql = format!("SELECT {list}, yubin_declared, yubin_owner FROM {kind} {}", behind(kind, after, limit));
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows =
            statement.query(rusqlite::params_from_iter(after.into_iter().flat_map(Key::parts))).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let other;
            let owner = match row.get_ref(keys.len() + 1).map_err(failed)? {
                ValueRef::Text(name) => {
                    other = String::from_utf8_lossy(name);
                    Some(&*other)
                }
                _ => None,
            };
            let mut parts = [""; 2];
            for (at, part) in keys.iter().enumerate() {
                parts[at] = row.get_ref(at).map_err(failed)?.as_str().map_err(|_| odd(kind, part))?;
                if parts[at].contains('\0') {
                    return Err(odd(kind, part));
                }
            }
            each(&parts[..keys.len()], owner, digest(row.get_ref(keys.len()).map_err(failed)?))?;
        }
        Ok(())
    }

    fn page(
        &self,
        kind: Kind,
        after: Option<&Key>,
        limit: usize,
        each: &mut dyn FnMut(Row, Option<Digest>) -> Result<()>,
    ) -> Result<()> {
        let sql =
            format!("SELECT {} FROM {kind} {}", columns_of(kind, self.version).join(", "), behind(kind, after, limit));
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows =
            statement.query(rusqlite::params_from_iter(after.into_iter().flat_map(Key::parts))).map_err(failed)?;
        while let Some(found) = rows.next().map_err(failed)? {
            each(row(kind, found)?, digest(found.get_ref(kind.key_parts().len()).map_err(failed)?))?;
        }
        Ok(())
    }

    fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Row>> {
        let sql = format!("SELECT {} FROM {kind} WHERE {}", columns_of(kind, self.version).join(", "), by_key(kind));
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            each(kind, &mut statement, rusqlite::params_from_iter(key.parts()), &mut |row| {
                found.push(row);
                Ok(())
            })?;
        }
        Ok(found)
    }

    fn scan(&self, kind: Kind, f: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let order = kind.key_parts().join(", ");
        let sql = format!("SELECT {} FROM {kind} ORDER BY {order}", columns_of(kind, self.version).join(", "));
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        each(kind, &mut statement, [], f)
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
            let keys = kind.key_parts();
            let list = keys.join(", ");
            let sql =
                format!("SELECT {list}, yubin_disabled FROM {kind} WHERE yubin_disabled IS NOT NULL ORDER BY {list}");
            let mut statement = self.connection.prepare(&sql).map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                disabled.push((Address::new(kind, key_of(kind, row)?), row.get(keys.len()).map_err(failed)?));
            }
        }
        Ok(disabled)
    }

    fn last_files(&self, kind: Kind, each: &mut dyn FnMut(Key, String)) -> Result<()> {
        let list = kind.key_parts().join(", ");
        // The other columns are those of the row with the highest revision.
        let sql = format!(
            "SELECT {list}, file, max(revision) FROM change WHERE kind = ?1 AND file IS NOT NULL GROUP BY {list}"
        );
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([kind.name()]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(key_of(kind, row)?, row.get(kind.key_parts().len()).map_err(failed)?);
        }
        Ok(())
    }

    fn users_of_server(&self, server: &Key) -> Result<(Vec<Address>, u64)> {
        const SOME: usize = 3;
        let (mut some, mut count) = (Vec::new(), 0);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.find("server").is_some()) {
            let sql = format!("SELECT {} FROM {kind} WHERE server = ?1", kind.key_parts().join(", "));
            let mut statement = self.connection.prepare(&sql).map_err(failed)?;
            let mut rows = statement.query([server.as_joined()]).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                count += 1;
                if some.len() < SOME {
                    some.push(Address::new(kind, key_of(kind, row)?));
                }
            }
        }
        Ok((some, count))
    }

    fn ever(&self, kind: Kind, field: FieldId, word: Option<&str>) -> Result<Vec<Row>> {
        let (columns, column) = (columns_of(kind, self.version).join(", "), kind.field(field).column());
        let which = if word.is_some() { format!("{column} = ?1") } else { format!("{column} IS NOT NULL OR ?1") };
        let mut rows = Vec::new();
        for table in [format!("{kind}_history"), kind.to_string()] {
            let sql = format!("SELECT {columns} FROM {table} WHERE {which}");
            let mut statement = self.connection.prepare(&sql).map_err(failed)?;
            let mut found = statement.query([word]).map_err(failed)?;
            while let Some(found) = found.next().map_err(failed)? {
                rows.push(past_row(kind, found)?);
            }
        }
        Ok(rows)
    }

    fn past_values(&self, kind: Kind, field: FieldId, key: &Key) -> Result<Vec<Value>> {
        let columns = columns_of(kind, self.version).join(", ");
        let mut values: Vec<Value> = Vec::new();
        for (table, order) in [(kind.to_string(), ""), (format!("{kind}_history"), "ORDER BY rowid DESC")] {
            let sql = format!("SELECT {columns} FROM {table} WHERE {} {order}", by_key(kind));
            let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
            let mut found = statement.query(rusqlite::params_from_iter(key.parts())).map_err(failed)?;
            while let Some(found) = found.next().map_err(failed)? {
                if let Some(value) = past_row(kind, found)?.get(field)
                    && !values.contains(value)
                {
                    values.push(value.clone());
                }
            }
        }
        Ok(values)
    }

    fn last_set(&self, kind: Kind, field: FieldId, keys: &[&Key]) -> Result<Vec<Option<u64>>> {
        let column = kind.field(field).column();
        // Stores of before hold the password itself, sealed, where the proof is now.
        let is_hashed = self.version >= 3 && schema::hashed(kind).any(|hashed| hashed == field);
        let value = if is_hashed { format!("coalesce({column}, {})", schema::proof(kind, field)) } else { column };
        let of_key = by_key(kind);
        let now = format!("SELECT yubin_revision, {value} FROM {kind} WHERE {of_key}");
        let before = format!(
            "SELECT yubin_revision, {value}, yubin_until FROM {kind}_history WHERE {of_key} ORDER BY rowid DESC"
        );
        let mut now = self.connection.prepare(&now).map_err(failed)?;
        let mut before = self.connection.prepare(&before).map_err(failed)?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            let parts = || rusqlite::params_from_iter(key.parts());
            let found: Option<(u64, rusqlite::types::Value)> =
                now.query_row(parts(), read).optional().map_err(failed)?;
            let Some((mut revision, value)) = found else {
                all.push(None);
                continue;
            };
            let mut known = revision > 0;
            let mut rows = before.query(parts()).map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                let (earlier, old): (u64, rusqlite::types::Value) = read(row).map_err(failed)?;
                let until: Option<u64> = row.get(2).map_err(failed)?;
                if until.is_some_and(|until| until != revision) {
                    // It was deleted in between.
                    break;
                }
                if old != value {
                    // Other software has changed it since that revision.
                    known = earlier != revision;
                    break;
                }
                revision = earlier;
            }
            all.push(known.then_some(revision));
        }
        Ok(all)
    }

    fn revisions(&self) -> Result<Vec<Revision>> {
        let recorded = if self.version < 2 { "0" } else { "recorded" };
        let later = if self.version < 4 { "0, 0, 0, NULL" } else { "renames, disables, purges, git_commit" };
        let sql = format!(
            "SELECT revision, at, actor, project, digest, config_digest, adds, overwrites, deletes, skips, unchanged, note,
               {recorded}, {later}
             FROM revision ORDER BY revision DESC"
        );
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let rows = statement.query_map([], |row| {
            Ok(Revision {
                revision: row.get(0)?,
                at: row.get(1)?,
                actor: row.get(2)?,
                project: row.get(3)?,
                digest: row.get(4)?,
                config_digest: row.get(5)?,
                counts: [
                    row.get(6)?,
                    row.get(7)?,
                    row.get(8)?,
                    row.get(9)?,
                    0,
                    row.get(13)?,
                    row.get(14)?,
                    row.get(15)?,
                ],
                unchanged: row.get(10)?,
                note: row.get(11)?,
                recorded: row.get(12)?,
                commit: row.get(16)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    fn changes(&self, revision: u64) -> Result<Vec<Logged>> {
        let previously = if self.version < 4 { "NULL" } else { "previously" };
        let sql = format!(
            "SELECT kind, user, name, action, file, line, {previously} FROM change WHERE revision = ?1 ORDER BY seq"
        );
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([revision]).map_err(failed)?;
        let mut changes = Vec::new();
        let text = |row: &rusqlite::Row<'_>, at| row.get::<_, Option<String>>(at).map_err(failed);
        while let Some(found) = rows.next().map_err(failed)? {
            let unknown =
                || Error::failure(format!("the log of revision {revision} names what this yubin does not know"));
            let kind = text(found, 0)?.and_then(|name| Kind::from_name(&name)).ok_or_else(unknown)?;
            let action = text(found, 3)?.ok_or_else(unknown)?;
            let action = Action::ALL.into_iter().find(|known| known.name() == action).ok_or_else(unknown)?;
            let (user, name) = (text(found, 1)?, text(found, 2)?.ok_or_else(unknown)?);
            let key = match &user {
                Some(user) => Key::pair(user, &name),
                None => Key::single(&name),
            };
            let previously = text(found, 6)?.map(|name| key.renamed(&name));
            let (before, after) = self.images(kind, previously.as_ref().unwrap_or(&key), &key, revision)?;
            let line: Option<u32> = found.get(5).map_err(failed)?;
            changes.push(Logged { kind, key, action, previously, before, after, file: text(found, 4)?, line });
        }
        Ok(changes)
    }

    fn versions(&self, address: &Address) -> Result<Vec<Version>> {
        self.versions_before(address, u64::MAX)
    }
}

impl Reading {
    /// The states that a resource was in, also under other names, before this revision.
    fn versions_before(&self, address: &Address, before: u64) -> Result<Vec<Version>> {
        let kind = address.kind;
        let columns = columns_of(kind, self.version).join(", ");
        let mut rows = Vec::new();
        let count = columns_of(kind, self.version).len();
        for sql in [
            format!("SELECT {columns}, yubin_until FROM {kind}_history WHERE {} ORDER BY rowid", by_key(kind)),
            format!("SELECT {columns}, NULL FROM {kind} WHERE {}", by_key(kind)),
        ] {
            let mut statement = self.connection.prepare(&sql).map_err(failed)?;
            let mut found = statement.query(rusqlite::params_from_iter(address.key.parts())).map_err(failed)?;
            while let Some(found) = found.next().map_err(failed)? {
                let until: Option<u64> = found.get(count).map_err(failed)?;
                rows.push((past_row(kind, found)?, until));
            }
        }
        let user = (kind == Kind::Pattern).then(|| address.key.first().to_owned());
        let name = address.key.name().to_owned();
        let mut earlier = Vec::new();
        rows.retain(|(row, _)| row.revision < before);
        if let Some((revision, old)) = self.last_rename(address, before)? {
            // Another resource may have had the name before.
            rows.retain(|(row, _)| row.revision >= revision);
            earlier = self.versions_before(&Address::new(kind, old), revision)?;
        }
        let sql = "SELECT file, line FROM change WHERE revision = ?1 AND kind = ?2 AND user IS ?3 AND name = ?4";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut versions: Vec<Version> = Vec::with_capacity(rows.len());
        for (row, until) in rows {
            let place = statement
                .query_row((row.revision, kind.name(), &user, &name), |found| Ok((found.get(0)?, found.get(1)?)))
                .optional()
                .map_err(failed)?;
            // Of several states of one revision, the first is its own.
            let outside = row.revision == 0 || versions.last().is_some_and(|last| last.row.revision == row.revision);
            let (file, line) = place.unwrap_or_default();
            versions.push(Version { row, until, outside, file, line });
        }
        earlier.append(&mut versions);
        Ok(earlier)
    }

    /// The last revision before this one that gave a resource its name, and its key until then.
    fn last_rename(&self, address: &Address, before: u64) -> Result<Option<(u64, Key)>> {
        if self.version < 4 {
            return Ok(None);
        }
        let user = (address.kind == Kind::Pattern).then(|| address.key.first());
        let sql = "SELECT revision, previously FROM change
                   WHERE kind = ?1 AND user IS ?2 AND name = ?3 AND previously IS NOT NULL AND revision < ?4
                   ORDER BY revision DESC LIMIT 1";
        let found = self
            .connection
            .query_row(sql, (address.kind.name(), user, address.key.name(), before.min(i64::MAX as u64)), |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?))
            })
            .optional()
            .map_err(failed)?;
        Ok(found.map(|(revision, old)| (revision, address.key.renamed(&old))))
    }

    /// The states of a resource before and after a revision, which may have given it another key.
    fn images(&self, kind: Kind, from: &Key, to: &Key, revision: u64) -> Result<(Option<Row>, Option<Row>)> {
        let columns = columns_of(kind, self.version).join(", ");
        let at = kind.key_parts().len() + 1;
        let one = |sql: String, key: &Key| -> Result<Option<Row>> {
            let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
            for (number, part) in (1..).zip(key.parts()) {
                statement.raw_bind_parameter(number, part).map_err(failed)?;
            }
            statement.raw_bind_parameter(at, revision).map_err(failed)?;
            let mut rows = statement.raw_query();
            rows.next().map_err(failed)?.map(|found| past_row(kind, found)).transpose()
        };
        let by_key = by_key(kind);
        let before = one(format!("SELECT {columns} FROM {kind}_history WHERE {by_key} AND yubin_until = ?{at}"), from)?;
        // What other software wrote since stands under the same revision, later.
        let past = format!(
            "SELECT {columns} FROM {kind}_history WHERE {by_key} AND yubin_revision = ?{at} ORDER BY rowid LIMIT 1"
        );
        let after = match one(past, to)? {
            Some(row) => Some(row),
            None => one(format!("SELECT {columns} FROM {kind} WHERE {by_key} AND yubin_revision = ?{at}"), to)?,
        };
        Ok((before, after))
    }
}
