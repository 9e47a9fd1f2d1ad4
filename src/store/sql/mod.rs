//! What `SQLite` and PostgreSQL have in common: one reading, one desk, one way to say what a row should be.
//!
//! Cells are what `SQLite` has, borrowed from the row; PostgreSQL's are turned into them without a copy. The SQL
//! is written once: parameters are `?1`, `?2` …, the names of columns that SQL keeps for itself are quoted, and
//! what the two say differently is a method of `Database`.

pub mod columns;
pub mod copy;
pub mod desk;
pub mod entry;
pub mod image;
mod past;
pub mod read;
pub mod rekey;
mod turns;

use rusqlite::types::Value;
pub use rusqlite::types::ValueRef as Cell;

use crate::model::{Error, Key, Kind};

/// Counted up by each change of the schema, with a step in `STEPS` of each database.
pub const VERSION: i32 = 7;

/// Why something could not be done.
pub enum Failure {
    /// A sentence for users.
    Said(Error),
    Sqlite(rusqlite::Error),
    Postgres(postgres::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Said(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Failure {
        Failure::Postgres(error)
    }
}

/// Of a read, where every store says the same.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let unread = Error::failure("the store cannot be read");
        match failure {
            Failure::Said(error) => error,
            Failure::Sqlite(error) => unread.because(error),
            Failure::Postgres(error) => unread.because(super::postgres::plain(&error)),
        }
    }
}

pub type Result<T> = std::result::Result<T, Failure>;

/// A row of an answer.
pub trait Cells {
    fn cell(&self, at: usize) -> Cell<'_>;
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        // Statements and those who read them are written together: there is no other column.
        self.get_ref(at).unwrap_or(Cell::Null)
    }
}

impl Cells for &[Cell<'_>] {
    fn cell(&self, at: usize) -> Cell<'_> {
        self.get(at).copied().unwrap_or(Cell::Null)
    }
}

impl dyn Cells + '_ {
    pub fn text(&self, at: usize) -> Option<&str> {
        match self.cell(at) {
            Cell::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    pub fn owned(&self, at: usize) -> Option<String> {
        self.text(at).map(str::to_owned)
    }

    /// Text of a column that is never empty.
    pub fn string(&self, at: usize) -> String {
        self.owned(at).unwrap_or_default()
    }

    pub fn number(&self, at: usize) -> Option<u64> {
        match self.cell(at) {
            Cell::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// Of a column that is never empty.
    pub fn count(&self, at: usize) -> u64 {
        self.number(at).unwrap_or_default()
    }

    pub fn blob(&self, at: usize) -> Option<&[u8]> {
        match self.cell(at) {
            Cell::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Whether further rows are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    More,
    Enough,
}

pub type Each<'a> = dyn FnMut(&dyn Cells) -> Result<Next> + 'a;

/// A connection within a transaction.
pub trait Database {
    fn query(&self, sql: &str, params: &[Cell<'_>], each: &mut Each<'_>) -> Result<()>;

    /// How many rows it concerns.
    fn execute(&self, sql: &str, params: &[Cell<'_>]) -> Result<u64>;

    /// The rows of a table for each of the keys, in their order; `more` may demand further things of a row, and
    /// `order` orders those of one key. `each` is told which key it is.
    fn of_keys(
        &self,
        wanted: &Wanted<'_>,
        keys: &mut dyn Iterator<Item = &Key>,
        each: &mut dyn FnMut(usize, &dyn Cells) -> Result<()>,
    ) -> Result<()>;

    /// For each key of a kind, the file of the last change that names one.
    fn last_files(&self, kind: Kind) -> String;

    /// By the clock of the database, which is one for all who use it.
    fn now(&self) -> Result<jiff::Timestamp>;

    /// Keeps others from writing what `meta` says, for this transaction; `false` if another does so now.
    fn lock_meta(&self) -> Result<bool>;

    /// A writer for rows of a table as they are, in the order of these columns.
    fn load<'a>(&'a self, table: &str, columns: &[columns::Column]) -> Result<Box<dyn Load + 'a>>;

    /// A writer that changes rows: each tells first by what one is found, then what is set.
    fn update<'a>(
        &'a self,
        table: &str,
        by: &[columns::Column],
        sets: &[columns::Column],
    ) -> Result<Box<dyn Load + 'a>>;
}

/// Rows by their keys.
pub struct Wanted<'a> {
    pub kind: Kind,
    pub select: &'a str,
    pub table: &'a str,
    /// ` AND …`, or nothing.
    pub more: &'a str,
    /// Columns, or nothing.
    pub order: &'a str,
}

pub trait Load {
    fn row(&mut self, cells: &dyn Cells) -> Result<()>;

    fn finish(self: Box<Self>) -> Result<()>;
}

pub fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.as_bytes())
}

pub fn or_null(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Null, |text| Cell::Text(text.as_bytes()))
}

/// A cell that outlives its row. Text that is none stays bytes, which no column for texts takes.
pub fn owned(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(number),
        Cell::Real(number) => Value::Real(number),
        Cell::Text(text) => String::from_utf8(text.to_vec()).map_or_else(|_| Value::Blob(text.to_vec()), Value::Text),
        Cell::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// What is beyond an `i64` is beyond every number of a store.
pub fn number(number: u64) -> Cell<'static> {
    Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

impl dyn Database + '_ {
    /// What `read` makes of the first row, if there is one.
    pub fn first<T>(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        read: impl FnOnce(&dyn Cells) -> Result<T>,
    ) -> Result<Option<T>> {
        let (mut read, mut found) = (Some(read), None);
        self.query(sql, params, &mut |row| {
            if let Some(read) = read.take() {
                found = Some(read(row)?);
            }
            Ok(Next::Enough)
        })?;
        Ok(found)
    }

    /// What `read` makes of every row.
    pub fn all<T>(
        &self,
        sql: &str,
        params: &[Cell<'_>],
        mut read: impl FnMut(&dyn Cells) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.query(sql, params, &mut |row| {
            all.push(read(row)?);
            Ok(Next::More)
        })?;
        Ok(all)
    }

    pub fn exists(&self, sql: &str, params: &[Cell<'_>]) -> Result<bool> {
        Ok(self.first(&format!("SELECT 1 WHERE EXISTS ({sql})"), params, |_| Ok(()))?.is_some())
    }
}
