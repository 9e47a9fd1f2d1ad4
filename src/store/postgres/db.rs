//! A connection: rows as borrowed cells, and COPY for many of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error as _;
use std::io::Write;

use postgres::fallible_iterator::FallibleIterator;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Row, Statement};

use crate::model::{Error, Key, Kind};
use crate::store::sql::columns::{Column, Holds, key_list};
use crate::store::sql::image::{self, Image};
use crate::store::sql::{Cell, Cells, Database, Each, Failure, Load, Next, Result, Wanted};

/// Keys of one question.
const KEYS: usize = 10_000;
/// Bytes of one COPY.
const FULL: usize = 4 * 1024 * 1024;

pub struct Db {
    client: RefCell<Client>,
    statements: RefCell<HashMap<String, Statement>>,
    is_open: std::cell::Cell<bool>,
}

impl Db {
    pub fn new(client: Client) -> Db {
        Db { client: RefCell::new(client), statements: RefCell::default(), is_open: std::cell::Cell::new(false) }
    }

    fn client(&self) -> Result<std::cell::RefMut<'_, Client>> {
        self.client.try_borrow_mut().map_err(|_| Error::failure("the database is asked within an answer").into())
    }

    pub fn is_closed(&self) -> bool {
        self.client.try_borrow().is_ok_and(|client| client.is_closed())
    }

    /// Begins a transaction, or takes it over from one that failed.
    pub fn begin(&self, sql: &str) -> Result<()> {
        self.is_open.set(true);
        self.batch(sql)
    }

    /// Ends the transaction, if there is one.
    pub fn end(&self, sql: &str) -> Result<()> {
        if self.is_open.get() {
            self.batch(sql)?;
            self.is_open.set(false);
        }
        Ok(())
    }

    /// Several statements, without parameters.
    pub fn batch(&self, sql: &str) -> Result<()> {
        Ok(self.client()?.batch_execute(sql)?)
    }

    fn prepare(&self, client: &mut Client, sql: &str) -> Result<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = client.prepare(&sql.replace('?', "$"))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn copy(&self, sql: &str, rows: &[u8]) -> Result<()> {
        let mut client = self.client()?;
        let mut writer = client.copy_in(sql)?;
        let written = rows.chunks(64 * 1024).try_for_each(|chunk| writer.write_all(chunk));
        if let Err(error) = written {
            // What the server has against it is within.
            let inner = error.into_inner();
            return Err(match inner.and_then(|inner| inner.downcast::<postgres::Error>().ok()) {
                Some(inner) => (*inner).into(),
                _ => Error::failure("the connection to the database broke").into(),
            });
        }
        writer.finish()?;
        Ok(())
    }
}

/// A cell of the binary format.
struct Raw<'a>(Cell<'a>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Raw<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(if *ty == Type::TEXT {
            Cell::Text(raw)
        } else if *ty == Type::INT8 {
            Cell::Integer(i64::from_be_bytes(raw.try_into()?))
        } else if *ty == Type::BYTEA {
            Cell::Blob(raw)
        } else if *ty == Type::BOOL {
            Cell::Integer(i64::from(raw != [0]))
        } else if *ty == Type::INT4 {
            Cell::Integer(i64::from(i32::from_be_bytes(raw.try_into()?)))
        } else if *ty == Type::INT2 {
            Cell::Integer(i64::from(i16::from_be_bytes(raw.try_into()?)))
        } else {
            Cell::Text(raw)
        }))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Raw<'a>, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(Cell::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A parameter.
#[derive(Debug)]
struct Bound<'a>(Cell<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Cell::Null => return Ok(IsNull::Yes),
            Cell::Integer(number) if *ty == Type::BOOL => out.extend_from_slice(&[u8::from(number != 0)]),
            Cell::Integer(number) if *ty == Type::INT4 => {
                out.extend_from_slice(&i32::try_from(number)?.to_be_bytes());
            }
            Cell::Integer(number) => out.extend_from_slice(&number.to_be_bytes()),
            Cell::Real(number) => out.extend_from_slice(&number.to_be_bytes()),
            Cell::Text(bytes) | Cell::Blob(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The columns of a row from one on.
struct Rest<'r>(&'r Row, usize);

impl Cells for Rest<'_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        // Statements and those who read them are written together: there is no other column.
        self.0.try_get::<_, Raw<'_>>(self.1 + at).map_or(Cell::Null, |raw| raw.0)
    }
}

/// The columns of an image.
pub struct Imaged<'i, 'a>(pub &'i Image<'a>);

impl Cells for Imaged<'_, '_> {
    fn cell(&self, at: usize) -> Cell<'_> {
        self.0.get(at).map_or(Cell::Null, image::as_ref)
    }
}

impl Database for Db {
    fn query(&self, sql: &str, params: &[Cell<'_>], each: &mut Each<'_>) -> Result<()> {
        let mut client = self.client()?;
        let statement = self.prepare(&mut client, sql)?;
        let mut rows = client.query_raw(&statement, params.iter().map(|param| Bound(*param)))?;
        while let Some(row) = rows.next()? {
            if each(&Rest(&row, 0))? == Next::Enough {
                break;
            }
        }
        Ok(())
    }

    fn execute(&self, sql: &str, params: &[Cell<'_>]) -> Result<u64> {
        let mut client = self.client()?;
        let statement = self.prepare(&mut client, sql)?;
        let bound: Vec<Bound<'_>> = params.iter().map(|param| Bound(*param)).collect();
        let bound: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        Ok(client.execute(&statement, &bound)?)
    }

    fn of_keys(
        &self,
        wanted: &Wanted<'_>,
        keys: &mut dyn Iterator<Item = &Key>,
        each: &mut dyn FnMut(usize, &dyn Cells) -> Result<()>,
    ) -> Result<()> {
        let Wanted { kind, select, table, more, order } = wanted;
        let parts = kind.key_parts().len();
        let (arrays, names, by) = if parts == 2 {
            ("?1::text[], ?2::text[]", "wanted_1, wanted_2, wanted_at", "\"user\" = wanted_1 AND name = wanted_2")
        } else {
            ("?1::text[]", "wanted_1, wanted_at", "name = wanted_1")
        };
        let order = if order.is_empty() { String::new() } else { format!(", {order}") };
        let sql = format!(
            "SELECT wanted_at, {select} FROM unnest({arrays}) WITH ORDINALITY AS wanted ({names})
             JOIN {table} ON {by}{more} ORDER BY wanted_at{order}"
        );
        let mut start = 0;
        loop {
            let mut columns = [Vec::new(), Vec::new()];
            for key in keys.take(KEYS) {
                key.parts().zip(&mut columns).for_each(|(part, column)| column.push(part));
            }
            let count = columns[0].len();
            if count == 0 {
                return Ok(());
            }
            let mut client = self.client()?;
            let statement = self.prepare(&mut client, &sql)?;
            let mut rows = client.query_raw(&statement, &columns[..parts])?;
            while let Some(row) = rows.next()? {
                let at = Rest(&row, 0).cell(0).as_i64().unwrap_or_default();
                each(start + usize::try_from(at - 1).unwrap_or_default(), &Rest(&row, 1))?;
            }
            start += count;
        }
    }

    fn last_files(&self, kind: Kind) -> String {
        let list = key_list(kind);
        format!(
            "SELECT DISTINCT ON ({list}) {list}, file FROM change WHERE kind = ?1 AND file IS NOT NULL
             ORDER BY {list}, revision DESC"
        )
    }

    fn now(&self) -> Result<jiff::Timestamp> {
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let now = (self as &dyn Database).first(sql, &[], |row| Ok(row.count(0)))?;
        let now = now.and_then(|now| jiff::Timestamp::from_microsecond(i64::try_from(now).ok()?).ok());
        now.ok_or_else(|| Error::failure("the clock of the database is out of all bounds").into())
    }

    fn lock_meta(&self) -> Result<bool> {
        Ok((self as &dyn Database).first("SELECT 1 FROM meta FOR UPDATE SKIP LOCKED", &[], |_| Ok(()))?.is_some())
    }

    fn load<'a>(&'a self, table: &str, columns: &[Column]) -> Result<Box<dyn Load + 'a>> {
        Ok(Box::new(self.copying(table, columns)))
    }

    fn update<'a>(&'a self, table: &str, by: &[Column], sets: &[Column]) -> Result<Box<dyn Load + 'a>> {
        let columns: Vec<Column> = (1..)
            .zip(by.iter().chain(sets))
            .map(|(at, column)| Column { name: format!("new_{at}"), holds: column.holds })
            .collect();
        let definitions: Vec<String> =
            columns.iter().map(|column| format!("{} {}", column.name, super::schema::ty(column.holds))).collect();
        self.batch(&format!(
            "DROP TABLE IF EXISTS pg_temp.yubin_new; CREATE TEMP TABLE yubin_new ({}) ON COMMIT DROP",
            definitions.join(", ")
        ))?;
        let pair = |(column, new): (&Column, &Column)| format!("{} = {}", column.name, new.name);
        let which: Vec<String> = by.iter().zip(&columns).map(pair).collect();
        let sets: Vec<String> = sets.iter().zip(&columns[by.len()..]).map(pair).collect();
        let update =
            format!("UPDATE {table} SET {} FROM pg_temp.yubin_new WHERE {}", sets.join(", "), which.join(" AND "));
        Ok(Box::new(Updating { copying: self.copying("pg_temp.yubin_new", &columns), update }))
    }
}

impl Db {
    pub fn copying(&self, table: &str, columns: &[Column]) -> Copying<'_> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        Copying {
            db: self,
            sql: format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", ")),
            holds: columns.iter().map(|column| column.holds).collect(),
            rows: Vec::new(),
        }
    }
}

/// Rows on their way into a table. The connection is free in between: they are sent when there are enough.
pub struct Copying<'a> {
    db: &'a Db,
    sql: String,
    holds: Vec<Holds>,
    rows: Vec<u8>,
}

const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TAIL: [u8; 2] = (-1i16).to_be_bytes();

impl Copying<'_> {
    /// Without sending any.
    pub fn hold(&mut self, cells: &dyn Cells) -> Result<()> {
        if self.rows.is_empty() {
            self.rows.extend_from_slice(HEAD);
        }
        self.rows.extend_from_slice(&(self.holds.len() as u16).to_be_bytes());
        for (at, holds) in self.holds.iter().enumerate() {
            let number;
            let bytes: &[u8] = match (holds, cells.cell(at)) {
                (_, Cell::Null) => {
                    self.rows.extend_from_slice(&(-1i32).to_be_bytes());
                    continue;
                }
                (Holds::Text, Cell::Text(bytes)) | (Holds::Bytes, Cell::Blob(bytes)) => bytes,
                (Holds::Integer, Cell::Integer(found)) => {
                    number = found.to_be_bytes();
                    &number
                }
                (Holds::Boolean, Cell::Integer(found @ (0 | 1))) => {
                    number = found.to_be_bytes();
                    &number[7..]
                }
                _ => return Err(Error::failure("a value does not fit the type of its column").into()),
            };
            let length = i32::try_from(bytes.len())
                .map_err(|error| Failure::Said(Error::failure("a value is too long").because(error)))?;
            self.rows.extend_from_slice(&length.to_be_bytes());
            self.rows.extend_from_slice(bytes);
        }
        Ok(())
    }

    pub fn send(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.rows.extend_from_slice(&TAIL);
        self.db.copy(&self.sql, &self.rows)?;
        self.rows.clear();
        Ok(())
    }
}

impl Load for Copying<'_> {
    fn row(&mut self, cells: &dyn Cells) -> Result<()> {
        self.hold(cells)?;
        if self.rows.len() >= FULL { self.send() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.send()
    }
}

struct Updating<'a> {
    copying: Copying<'a>,
    update: String,
}

impl Load for Updating<'_> {
    fn row(&mut self, cells: &dyn Cells) -> Result<()> {
        self.copying.row(cells)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.copying.send()?;
        self.copying.db.batch(&format!("ANALYZE pg_temp.yubin_new; {}", self.update))
    }
}

/// An error without what it says about rows, which may hold what nobody is to read.
pub fn plain(error: &postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", said.message(), said.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
