//! What was: the state at a revision, and what other software has made of it since.

use std::collections::HashMap;

use rusqlite::OptionalExtension;

use super::read::{Reading, by_key, failed, past_row};
use super::schema::columns_of;
use crate::model::{Address, Drift, Drifted, FieldId, Key, Kind, Result, Row, Value};

/// A state that a resource was in, and the last revision at which it was.
struct Past {
    row: Row,
    to: u64,
}

impl Reading {
    /// Every resource as it was when the revision had been applied, in ascending order of keys.
    pub(super) fn scan_past(&self, kind: Kind, at: u64, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let columns = columns_of(kind, self.version).join(", ");
        let keys = kind.key_parts().join(", ");
        let during = if self.version < 4 { "NULL" } else { "yubin_during" };
        let sql = format!(
            "SELECT {columns}, yubin_until, {during}, rowid AS version FROM {kind}_history WHERE yubin_revision <= ?1
             UNION ALL
             SELECT {columns}, NULL, 9223372036854775807, 9223372036854775807 FROM {kind} WHERE yubin_revision <= ?1
             ORDER BY {keys}, version"
        );
        let count = columns_of(kind, self.version).len();
        let inserted = self.inserted(kind)?;
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([at]).map_err(failed)?;
        let mut last: Option<Past> = None;
        let mut in_force: Option<Row> = None;
        while let Some(found) = rows.next().map_err(failed)? {
            let row = past_row(kind, found)?;
            let until: Option<u64> = found.get(count).map_err(failed)?;
            let during: Option<u64> = found.get(count + 1).map_err(failed)?;
            let to = until.map(|until| until.saturating_sub(1)).or(during).unwrap_or(u64::MAX);
            let mut from = row.revision;
            match &last {
                // Other software has replaced the state before.
                Some(last) if last.row.key == row.key && (last.row.revision == row.revision || row.revision == 0) => {
                    from = last.to.saturating_add(1);
                }
                _ if row.revision == 0 => from = inserted.get(&row.key).map_or(0, |during| during + 1),
                _ => {}
            }
            if let Some(done) = in_force.take_if(|other| other.key != row.key) {
                each(done)?;
            }
            if from <= at && at <= to {
                in_force.get_or_insert_with(|| row.clone());
            }
            last = Some(Past { row, to });
        }
        in_force.map_or(Ok(()), each)
    }

    /// During which revision other software first made a resource of its own.
    fn inserted(&self, kind: Kind) -> Result<HashMap<Key, u64>> {
        let mut inserted = HashMap::new();
        if self.version < 4 {
            return Ok(inserted);
        }
        let sql = "SELECT user, name, min(during) FROM outside WHERE kind = ?1 AND before IS NULL GROUP BY user, name";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([kind.name()]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (user, name): (String, String) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            inserted.insert(key(kind, &user, &name), row.get(2).map_err(failed)?);
        }
        Ok(inserted)
    }

    /// What other software has changed of resources since yubin wrote them last, sorted by address.
    pub(super) fn read_drift(&self) -> Result<Vec<Drift>> {
        let mut drift = Vec::new();
        if self.version < 4 {
            return Ok(drift);
        }
        let sql = "SELECT kind, user, name, before FROM outside WHERE settled IS NULL";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let text = |at| row.get::<_, String>(at).map_err(failed);
            let Some(kind) = Kind::from_name(&text(0)?) else { continue };
            let address = Address::new(kind, key(kind, &text(1)?, &text(2)?));
            let before: Option<i64> = row.get(3).map_err(failed)?;
            let before = before.map_or(Ok(None), |rowid| self.image(kind, rowid))?;
            let after = self.present(&address)?;
            drift.extend(compare(&address, before.as_ref(), after.as_ref()));
        }
        drift.sort_by_cached_key(|one| (one.address.to_string(), place(one)));
        Ok(drift)
    }

    fn image(&self, kind: Kind, rowid: i64) -> Result<Option<Row>> {
        let columns = columns_of(kind, self.version).join(", ");
        let sql = format!("SELECT {columns} FROM {kind}_history WHERE rowid = ?1");
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let found = statement.query_row([rowid], |row| Ok(past_row(kind, row))).optional().map_err(failed)?;
        found.transpose()
    }

    /// The resource as it is, even if other software has written what cannot be read.
    fn present(&self, address: &Address) -> Result<Option<Row>> {
        let kind = address.kind;
        let columns = columns_of(kind, self.version).join(", ");
        let sql = format!("SELECT {columns} FROM {kind} WHERE {}", by_key(kind));
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let parts = rusqlite::params_from_iter(address.key.parts());
        let found = statement.query_row(parts, |row| Ok(past_row(kind, row))).optional().map_err(failed)?;
        found.transpose()
    }
}

fn key(kind: Kind, user: &str, name: &str) -> Key {
    if kind == Kind::Pattern { Key::pair(user, name) } else { Key::single(name) }
}

/// In the order of the table, yubin's own columns last.
fn place(drift: &Drift) -> (u8, FieldId, &'static str) {
    match drift.what {
        Drifted::Added | Drifted::Deleted => (0, 0, ""),
        Drifted::Field { field, .. } => (1, field, ""),
        Drifted::Column(name) => (2, 0, name),
    }
}

fn compare(address: &Address, before: Option<&Row>, after: Option<&Row>) -> Vec<Drift> {
    let one = |what| Drift { address: address.clone(), what };
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (None, Some(_)) => return vec![one(Drifted::Added)],
        (Some(_), None) => return vec![one(Drifted::Deleted)],
        (Some(before), Some(after)) => (before, after),
    };
    let fields = 0..address.kind.fields().len() as FieldId;
    let differing = fields.filter(|field| !same(before, after, *field)).map(|field| {
        let (before, after) = (before.get(field).cloned().map(Box::new), after.get(field).cloned());
        one(Drifted::Field { field, before, after })
    });
    let columns = [
        ("yubin_owner", before.owner != after.owner),
        ("yubin_revision", before.revision != after.revision),
        ("yubin_disabled", before.disabled != after.disabled),
        ("yubin_previously", before.previously != after.previously),
    ];
    let columns = columns.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| one(Drifted::Column(name)));
    differing.chain(columns).collect()
}

/// Whether a field is what it was, the proof beside a hash included.
fn same(before: &Row, after: &Row, field: FieldId) -> bool {
    match (before.get(field), after.get(field)) {
        (Some(Value::Hashed(before)), Some(Value::Hashed(after))) => {
            before.text == after.text && before.proof == after.proof
        }
        (before, after) => before == after,
    }
}
