//! A resource as the store holds it: its key, and one cell for each field that has a value.

use super::field::FieldId;
use super::kind::Key;
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
    /// In table order.
    pub cells: Vec<Cell>,
}

impl Row {
    pub fn get(&self, field: FieldId) -> Option<&Value> {
        self.cells.binary_search_by_key(&field, |cell| cell.field).ok().map(|at| &self.cells[at].value)
    }
}
