//! Connections to a file, kept for the next reader: opening one and reading its schema takes longer than most reads.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Statement};

use crate::model::{Key, Kind};
use crate::store::sql::columns::{Column, by_key, key_list};
use crate::store::sql::{Cell, Cells, Database, Each, Load, Next, Result, Wanted};

/// Connections that wait for a reader. More are closed when they are done.
const MOST: usize = 64;
/// Statements that a connection keeps.
const STATEMENTS: usize = 64;

/// Which file stands under a path: another one may take its place.
pub type Identity = Option<(u64, u64)>;

#[cfg(unix)]
pub fn identity(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Where files cannot be told apart, no connection is kept.
#[cfg(not(unix))]
pub fn identity(_: &Path) -> Identity {
    None
}

pub struct Pool {
    pub path: PathBuf,
    idle: Mutex<Vec<(Connection, Identity)>>,
}

impl Pool {
    pub fn new(path: PathBuf) -> Pool {
        Pool { path, idle: Mutex::default() }
    }

    /// A connection that is open already to the file that stands there now.
    pub fn take(self: &Arc<Pool>) -> Option<Pooled> {
        let identity = identity(&self.path);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, of)| identity.is_some() && *of == identity);
        let (connection, identity) = idle.pop()?;
        Some(Pooled { connection: Some(connection), identity, pool: Arc::clone(self) })
    }

    /// `identity` is that of the file before the connection was opened.
    pub fn keep(self: &Arc<Pool>, connection: Connection, before: Identity) -> Pooled {
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let identity = identity(&self.path).filter(|now| before == Some(*now));
        Pooled { connection: Some(connection), identity, pool: Arc::clone(self) }
    }
}

/// A connection that goes back to where it came from.
pub struct Pooled {
    /// `None` after it is dropped.
    connection: Option<Connection>,
    identity: Identity,
    pool: Arc<Pool>,
}

impl Deref for Pooled {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("only `drop` takes it")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if self.identity.is_some() && idle.len() < MOST {
            idle.push((connection, self.identity));
        }
    }
}

fn bind(statement: &mut Statement<'_>, params: &[Cell<'_>]) -> rusqlite::Result<()> {
    let mut params = (1..).zip(params);
    params.try_for_each(|(at, param)| statement.raw_bind_parameter(at, ToSqlOutput::Borrowed(*param)))
}

impl Database for Connection {
    fn query(&self, sql: &str, params: &[Cell<'_>], each: &mut Each<'_>) -> Result<()> {
        let mut statement = self.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if each(row)? == Next::Enough {
                break;
            }
        }
        Ok(())
    }

    fn execute(&self, sql: &str, params: &[Cell<'_>]) -> Result<u64> {
        let mut statement = self.prepare_cached(sql)?;
        bind(&mut statement, params)?;
        Ok(statement.raw_execute()? as u64)
    }

    fn of_keys(
        &self,
        wanted: &Wanted<'_>,
        keys: &mut dyn Iterator<Item = &Key>,
        each: &mut dyn FnMut(usize, &dyn Cells) -> Result<()>,
    ) -> Result<()> {
        let Wanted { kind, select, table, more, order } = wanted;
        let order = if order.is_empty() { String::new() } else { format!("ORDER BY {order}") };
        let sql = format!("SELECT {select} FROM {table} WHERE {}{more} {order}", by_key(*kind, 1));
        let mut statement = self.prepare_cached(&sql)?;
        for (at, key) in keys.enumerate() {
            for (number, part) in (1..).zip(key.parts()) {
                statement.raw_bind_parameter(number, part)?;
            }
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                each(at, row)?;
            }
        }
        Ok(())
    }

    fn last_files(&self, kind: Kind) -> String {
        let list = key_list(kind);
        // The other columns are those of the row with the highest revision.
        format!("SELECT {list}, file, max(revision) FROM change WHERE kind = ?1 AND file IS NOT NULL GROUP BY {list}")
    }

    /// All who use a file are on one machine.
    fn now(&self) -> Result<jiff::Timestamp> {
        Ok(jiff::Timestamp::now())
    }

    /// Who writes to this database is alone.
    fn lock_meta(&self) -> Result<bool> {
        Ok(true)
    }

    fn load<'a>(&'a self, table: &str, columns: &[Column]) -> Result<Box<dyn Load + 'a>> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let marks: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "));
        Ok(Box::new(Loading { statement: self.prepare(&sql)?, count: columns.len() }))
    }

    fn update<'a>(&'a self, table: &str, by: &[Column], sets: &[Column]) -> Result<Box<dyn Load + 'a>> {
        let pair = |(at, column): (usize, &Column)| format!("{} = ?{at}", column.name);
        let which: Vec<String> = (1..).zip(by).map(pair).collect();
        let changed: Vec<String> = (by.len() + 1..).zip(sets).map(pair).collect();
        let sql = format!("UPDATE {table} SET {} WHERE {}", changed.join(", "), which.join(" AND "));
        Ok(Box::new(Loading { statement: self.prepare(&sql)?, count: by.len() + sets.len() }))
    }
}

struct Loading<'c> {
    statement: Statement<'c>,
    count: usize,
}

impl Load for Loading<'_> {
    fn row(&mut self, cells: &dyn Cells) -> Result<()> {
        for at in 0..self.count {
            self.statement.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(cells.cell(at)))?;
        }
        self.statement.raw_execute()?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

impl Database for Pooled {
    fn query(&self, sql: &str, params: &[Cell<'_>], each: &mut Each<'_>) -> Result<()> {
        (**self).query(sql, params, each)
    }

    fn execute(&self, sql: &str, params: &[Cell<'_>]) -> Result<u64> {
        Database::execute(&**self, sql, params)
    }

    fn of_keys(
        &self,
        wanted: &Wanted<'_>,
        keys: &mut dyn Iterator<Item = &Key>,
        each: &mut dyn FnMut(usize, &dyn Cells) -> Result<()>,
    ) -> Result<()> {
        (**self).of_keys(wanted, keys, each)
    }

    fn last_files(&self, kind: Kind) -> String {
        (**self).last_files(kind)
    }

    fn now(&self) -> Result<jiff::Timestamp> {
        (**self).now()
    }

    fn lock_meta(&self) -> Result<bool> {
        (**self).lock_meta()
    }

    fn load<'a>(&'a self, table: &str, columns: &[Column]) -> Result<Box<dyn Load + 'a>> {
        (**self).load(table, columns)
    }

    fn update<'a>(&'a self, table: &str, by: &[Column], sets: &[Column]) -> Result<Box<dyn Load + 'a>> {
        (**self).update(table, by, sets)
    }
}
