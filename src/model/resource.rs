//! A resource as the store holds it: its key, and one cell for each field that has a value.

use std::collections::HashMap;

use compact_str::CompactString;

use super::field::FieldId;
use super::kind::{Key, Kind};
use super::renames::Renames;
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

    /// The rows as they will be called: `called` gives each that is renamed its new form.
    pub fn rename<E>(
        &mut self,
        renames: &Renames,
        mut called: impl FnMut(Kind, &Row, &Key) -> Result<Row, E>,
    ) -> Result<(), E> {
        let mut anew: [Vec<Row>; 3] = Default::default();
        for (kind, new, old) in renames.all() {
            if let Some(row) = self.get(kind, old) {
                anew[kind as usize].push(called(kind, row, new)?);
            }
        }
        for (kind, mut anew) in Kind::ALL.into_iter().zip(anew) {
            let rows = &mut self.0[kind as usize];
            rows.retain(|row| !renames.leaves(kind, &row.key));
            rows.append(&mut anew);
            rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        }
        // Those who refer to a server follow it.
        for kind in Kind::ALL {
            let Some(reference) = kind.find("server") else { continue };
            let servers: HashMap<&str, &Key> =
                renames.all().filter(|(of, ..)| *of == Kind::Server).map(|(_, new, old)| (old.name(), new)).collect();
            if servers.is_empty() {
                break;
            }
            let followed = |name: &str| servers.get(name).map(|new| new.name().into());
            for cell in self.0[kind as usize].iter_mut().flat_map(|row| &mut row.cells) {
                if cell.field == reference
                    && let Value::Text(name) = &mut cell.value
                    && let Some(new) = followed(name)
                {
                    *name = new;
                }
            }
        }
        Ok(())
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
