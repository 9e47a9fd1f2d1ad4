//! What was: the state at a revision, and what other software has made of it since.

use std::collections::HashMap;

use super::columns::{by_key, columns_of, key_list};
use super::read::{Reading, past_row};
use super::{Cell, Next, number, text};
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
        let keys = key_list(kind);
        let during = if self.version < 4 { "NULL" } else { "yubin_during" };
        let sql = format!(
            "SELECT {columns}, yubin_until, {during}, rowid AS version FROM {kind}_history WHERE yubin_revision <= ?1
             UNION ALL
             SELECT {columns}, NULL, 9223372036854775807, 9223372036854775807 FROM {kind} WHERE yubin_revision <= ?1
             ORDER BY {keys}, version"
        );
        let count = columns_of(kind, self.version).len();
        let inserted = self.inserted(kind)?;
        let mut last: Option<Past> = None;
        let mut in_force: Option<Row> = None;
        self.db.query(&sql, &[number(at)], &mut |found| {
            let row = past_row(kind, found)?;
            let (until, during) = (found.number(count), found.number(count + 1));
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
            Ok(Next::More)
        })?;
        in_force.map_or(Ok(()), each)
    }

    /// During which revision other software first made a resource of its own.
    fn inserted(&self, kind: Kind) -> Result<HashMap<Key, u64>> {
        let mut inserted = HashMap::new();
        if self.version < 4 {
            return Ok(inserted);
        }
        let sql = "SELECT \"user\", name, min(during) FROM outside
                   WHERE kind = ?1 AND before IS NULL GROUP BY \"user\", name";
        self.db.query(sql, &[text(kind.name())], &mut |row| {
            let (user, name) = (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
            inserted.insert(key(kind, user, name), row.count(2));
            Ok(Next::More)
        })?;
        Ok(inserted)
    }

    /// What other software has changed of resources since yubin wrote them last, sorted by address.
    pub(super) fn read_drift(&self) -> Result<Vec<Drift>> {
        let mut drift = Vec::new();
        if self.version < 4 {
            return Ok(drift);
        }
        let sql = "SELECT kind, \"user\", name, before FROM outside WHERE settled IS NULL";
        let touched = self.db().all(sql, &[], |row| {
            let (user, name) = (row.text(1).unwrap_or_default(), row.text(2).unwrap_or_default());
            let kind = row.text(0).and_then(Kind::from_name);
            Ok(kind.map(|kind| (Address::new(kind, key(kind, user, name)), row.number(3))))
        })?;
        for (address, before) in touched.into_iter().flatten() {
            let before = before.map_or(Ok(None), |rowid| self.image(address.kind, rowid))?;
            let after = self.present(&address)?;
            drift.extend(compare(&address, before.as_ref(), after.as_ref()));
        }
        drift.sort_by_cached_key(|one| (one.address.to_string(), place(one)));
        Ok(drift)
    }

    fn image(&self, kind: Kind, rowid: u64) -> Result<Option<Row>> {
        let columns = columns_of(kind, self.version).join(", ");
        let sql = format!("SELECT {columns} FROM {kind}_history WHERE rowid = ?1");
        Ok(self.db().first(&sql, &[number(rowid)], |row| Ok(past_row(kind, row)?))?)
    }

    /// The resource as it is, even if other software has written what cannot be read.
    fn present(&self, address: &Address) -> Result<Option<Row>> {
        let kind = address.kind;
        let columns = columns_of(kind, self.version).join(", ");
        let sql = format!("SELECT {columns} FROM {kind} WHERE {}", by_key(kind, 1));
        let params: Vec<Cell<'_>> = address.key.parts().map(text).collect();
        Ok(self.db().first(&sql, &params, |row| Ok(past_row(kind, row)?))?)
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
