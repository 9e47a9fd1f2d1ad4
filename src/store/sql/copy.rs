//! A store in another database: every table but those who are logged in, row by row, and a digest over all of them.

use super::columns::{Column, Holds, typed};
use super::{Cell, Cells, Database, Next, Result, owned};
use crate::model::Kind;
use rusqlite::types::Value;

/// A table that is the same in every store.
pub struct Table {
    pub name: &'static str,
    columns: &'static [(&'static str, Holds)],
}

impl Table {
    pub fn columns(&self) -> Vec<Column> {
        self.columns.iter().map(|(name, holds)| Column::new(name, *holds)).collect()
    }
}

use Holds::{Boolean, Bytes, Integer, Text};

const META: Table = Table {
    name: "meta",
    columns: &[
        ("revision", Integer),
        ("outside_writes", Integer),
        ("key_id", Text),
        ("events_done", Integer),
        ("mail_server", Integer),
    ],
};

const REVISION: Table = Table {
    name: "revision",
    columns: &[
        ("revision", Integer),
        ("at", Text),
        ("actor", Text),
        ("project", Text),
        ("digest", Text),
        ("config_digest", Text),
        ("adds", Integer),
        ("overwrites", Integer),
        ("deletes", Integer),
        ("skips", Integer),
        ("unchanged", Integer),
        ("note", Text),
        ("yubin", Text),
        ("recorded", Boolean),
        ("renames", Integer),
        ("disables", Integer),
        ("purges", Integer),
        ("git_commit", Text),
        ("changes_before", Integer),
        ("last_event", Integer),
    ],
};

pub const CHANGE: Table = Table {
    name: "change",
    columns: &[
        ("revision", Integer),
        ("seq", Integer),
        ("kind", Text),
        ("\"user\"", Text),
        ("name", Text),
        ("action", Text),
        ("effect", Text),
        ("file", Text),
        ("line", Integer),
        ("previously", Text),
    ],
};

const OTHERS: [Table; 8] = [
    Table {
        name: "outside",
        columns: &[
            ("kind", Text),
            ("\"user\"", Text),
            ("name", Text),
            ("before", Integer),
            ("during", Integer),
            ("settled", Integer),
        ],
    },
    Table {
        name: "token",
        columns: &[
            ("id", Text),
            ("name", Text),
            ("hash", Bytes),
            ("scope", Text),
            ("owners", Text),
            ("created", Text),
            ("expires", Text),
            ("revoked", Text),
        ],
    },
    Table { name: "request", columns: &[("key", Bytes), ("body", Bytes), ("revision", Integer), ("at", Text)] },
    Table { name: "acknowledged", columns: &[("event", Integer)] },
    Table {
        name: "attempt",
        columns: &[
            ("event", Integer),
            ("hook", Text),
            ("tries", Integer),
            ("done", Boolean),
            ("error", Text),
            ("at", Text),
        ],
    },
    // Who delivers or leads now is not copied, nor are those who are logged in.
    Table {
        name: "told",
        columns: &[
            ("project", Text),
            ("hook", Text),
            ("revision", Integer),
            ("tries", Integer),
            ("error", Text),
            ("at", Text),
        ],
    },
    Table { name: "approval", columns: &[("project", Text), ("digest", Text), ("actor", Text), ("at", Text)] },
    Table {
        name: "migration",
        columns: &[
            ("project", Text),
            ("name", Text),
            ("number", Integer),
            ("step", Integer),
            ("deed", Text),
            ("actor", Text),
            ("at", Text),
            ("note", Text),
            ("evidence", Text),
        ],
    },
];

/// Every table with its columns, that of one row last.
fn tables() -> Vec<(String, Vec<Column>)> {
    let mut tables = Vec::new();
    for kind in Kind::ALL {
        tables.push((kind.to_string(), typed(kind).collect::<Vec<_>>()));
        let more = ["yubin_until", "yubin_during"].map(|name| Column::new(name, Integer));
        let history = std::iter::once(Column::new("rowid", Integer)).chain(typed(kind)).chain(more);
        tables.push((format!("{kind}_history"), history.collect()));
    }
    let others = [REVISION, CHANGE].into_iter().chain(OTHERS).chain([META]);
    tables.extend(others.map(|table| (table.name.to_owned(), table.columns())));
    tables
}

/// A sum over the rows of all tables, in which their order does not matter, and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    sum: [u64; 4],
    pub rows: u64,
}

impl Digest {
    fn add(&mut self, table: &str, count: usize, row: &dyn Cells, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(table.as_bytes());
        for at in 0..count {
            let (tag, content): (u8, &[u8]) = match &row.cell(at) {
                Cell::Null => (0, &[]),
                Cell::Integer(number) => (1, &number.to_le_bytes()),
                Cell::Real(number) => (2, &number.to_le_bytes()),
                Cell::Text(text) => (3, text),
                Cell::Blob(blob) => (4, blob),
            };
            bytes.push(tag);
            bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
            bytes.extend_from_slice(content);
        }
        let hash = blake3::hash(bytes);
        for (sum, part) in self.sum.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *sum = sum.wrapping_add(u64::from_le_bytes(part.try_into().unwrap_or_default()));
        }
        self.rows += 1;
    }

    pub fn hex(&self) -> String {
        self.sum.iter().fold(String::new(), |hex, part| format!("{hex}{part:016x}"))
    }
}

fn select(table: &str, columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    // States come into the history in their order, which is what its numbers say.
    let order = if table.ends_with("_history") { " ORDER BY rowid" } else { "" };
    format!("SELECT {} FROM {table}{order}", names.join(", "))
}

/// Copies every table into one that is new, and returns what has been read.
pub fn copy(from: &dyn Database, to: &dyn Database, progress: &dyn Fn(u64)) -> Result<Digest> {
    const STRIDE: u64 = 1_000;
    let (mut digest, mut bytes) = (Digest::default(), Vec::with_capacity(1_024));
    for (name, columns) in tables() {
        if name == META.name {
            continue;
        }
        let mut rows = to.load(&name, &columns)?;
        from.query(&select(&name, &columns), &[], &mut |row| {
            digest.add(&name, columns.len(), row, &mut bytes);
            rows.row(row)?;
            if digest.rows.is_multiple_of(STRIDE) {
                progress(digest.rows);
            }
            Ok(Next::More)
        })?;
        rows.finish()?;
    }
    let columns = META.columns();
    let meta = from.first(&select(META.name, &columns), &[], |row| {
        digest.add(META.name, columns.len(), row, &mut bytes);
        Ok((0..columns.len()).map(|at| owned(row.cell(at))).collect::<Vec<Value>>())
    })?;
    let sets: Vec<String> = (1..).zip(&columns).map(|(at, column)| format!("{} = ?{at}", column.name)).collect();
    let meta = meta.unwrap_or_default();
    let params: Vec<Cell<'_>> = meta.iter().map(Cell::from).collect();
    to.execute(&format!("UPDATE meta SET {}", sets.join(", ")), &params)?;
    progress(digest.rows);
    Ok(digest)
}

/// Over what a store holds.
pub fn digest(db: &dyn Database) -> Result<Digest> {
    let (mut digest, mut bytes) = (Digest::default(), Vec::with_capacity(1_024));
    for (name, columns) in tables() {
        db.query(&select(&name, &columns), &[], &mut |row| {
            digest.add(&name, columns.len(), row, &mut bytes);
            Ok(Next::More)
        })?;
    }
    Ok(digest)
}
