//! A resource as the store holds it: its key, and one cell for each field that has a value.

use compact_str::CompactString;

use super::field::FieldId;
use super::kind::{Key, Kind};
use super::value::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub field: FieldId,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Key,
    /// The project that declared it.
    pub owner: Option<String>,
    /// The revision that wrote it last.
    pub revision: u64,
    /// The revision that disabled it, if it is.
    pub disabled: Option<u64>,
    /// The name before its last rename that a file asked for: that is done, and not asked for again.
    pub previously: Option<CompactString>,
    /// In table order.
    pub cells: Vec<Cell>,
}

impl Row {
    pub fn get(&self, field: FieldId) -> Option<&Value> {
        self.cells.binary_search_by_key(&field, |cell| cell.field).ok().map(|at| &self.cells[at].value)
    }
}

/// Rows by kind, each in ascending order of keys.
#[derive(Debug, Default)]
pub struct Rows([Vec<Row>; 3]);

impl Rows {
    /// The rows must ascend by key.
    pub fn put(&mut self, kind: Kind, rows: Vec<Row>) {
        debug_assert!(rows.is_sorted_by(|a, b| a.key < b.key), "keys do not ascend");
        self.0[kind as usize] = rows;
    }

    /// The rows of a kind, in ascending order of keys.
    pub fn of(&self, kind: Kind) -> &[Row] {
        &self.0[kind as usize]
    }

    pub fn get(&self, kind: Kind, key: &Key) -> Option<&Row> {
        let rows = &self.0[kind as usize];
        rows.binary_search_by(|row| row.key.cmp(key)).ok().map(|at| &rows[at])
    }
}
