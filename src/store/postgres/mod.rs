//! A store in a PostgreSQL database: the same tables, in a schema of their own.

mod address;
mod changes;
mod db;
mod schema;
mod tls;
mod write;

use std::sync::{Mutex, PoisonError};

use postgres::error::SqlState;
use postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::db::plain;

use self::db::Db;
use self::schema::Found;
use self::write::Finish;
use super::sql::columns::Column;
use super::sql::desk::Connects;
use super::sql::read::Reading;
use super::sql::{self, Cell, Cells, Database, Each, Failure, Load, VERSION, Wanted};
use super::{Desk, Entry, Migrations, Outbox, Receipt, Reseal, Snapshot, Store, Turns, Whole};
use crate::guard::Approved;
use crate::model::{Code, Error, Key, Kind, Plan, Result};

/// Connections that wait for their next use. More are closed when they are done.
const MOST: usize = 32;

type Idle = std::sync::Arc<Mutex<Vec<Db>>>;

pub struct Postgres {
    config: postgres::Config,
    tls: Option<MakeRustlsConnect>,
    /// The address without what is secret.
    name: String,
    idle: Idle,
}

/// What every transaction begins with. A limit of the role's own is none for a load of millions.
const SETTINGS: &str = "SET LOCAL search_path = yubin, pg_temp; SET LOCAL lock_timeout = '5s';
    SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning";

impl Postgres {
    /// `name` is how the store is called in output.
    pub fn new(url: &str, name: &str) -> Result<Postgres> {
        let address = address::parse(url)?;
        let tls = address.trust.map(|trust| trust.connector()).transpose()?;
        Ok(Postgres { config: address.config, tls, name: name.to_owned(), idle: Idle::default() })
    }

    fn connect(&self) -> Result<Db> {
        let client: std::result::Result<Client, postgres::Error> = match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        };
        client.map(Db::new).map_err(|error| self.failed("cannot be reached", &error))
    }

    /// A connection in a transaction that has just begun. One that has waited may be broken, and nothing is lost.
    fn begin(&self, mode: &str) -> Result<Pooled> {
        let begin = format!("BEGIN {mode}; {SETTINGS}");
        loop {
            let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let (db, is_new) = match waiting {
                Some(db) if db.is_closed() => continue,
                Some(db) => (db, false),
                None => (self.connect()?, true),
            };
            match db.begin(&begin) {
                Ok(()) => return Ok(Pooled { db: Some(db), idle: std::sync::Arc::clone(&self.idle) }),
                Err(_) if !is_new => {}
                Err(failure) => return Err(self.not_done("cannot be used", failure)),
            }
        }
    }

    fn read(&self) -> Result<Option<(Pooled, i32)>> {
        let db = self.begin("ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
        match schema::look(&*db).map_err(|failure| self.not_done(UNREAD, failure))? {
            Found::Empty => Ok(None),
            Found::Store(version) => Ok(Some((db, version))),
            found => Err(schema::stranger(found, &self.name).map_or_else(write::taken, Error::from)),
        }
    }

    /// One transaction that is alone; committed if all is well.
    fn write<T>(&self, actor: Option<&str>, finish: Finish, work: &mut dyn FnMut(&Db) -> sql::Result<T>) -> Result<T> {
        let db = self.begin("ISOLATION LEVEL READ COMMITTED, READ WRITE")?;
        let done = (|| {
            write::lock(&db, actor)?;
            if let Some(stranger) = schema::stranger(schema::look(&*db)?, &self.name) {
                return Err(stranger);
            }
            let done = work(&db)?;
            db.end(if finish == Finish::Commit { "COMMIT" } else { "ROLLBACK" })?;
            Ok(done)
        })();
        done.map_err(|failure| self.not_taken(&db, failure))
    }

    fn not_taken(&self, db: &Pooled, failure: Failure) -> Error {
        if let Failure::Postgres(error) = &failure
            && error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
        {
            let holder = write::holder(db).unwrap_or_else(|| "another program".to_owned());
            return Error::new(
                Code::Conflict,
                format!("the store {} is held by {holder} for more than 5 s", self.name),
            )
            .about("store/busy")
            .hint("try again when it is done; nothing has been changed");
        }
        self.not_done("did not take the changes; it is as it was", failure)
    }

    fn not_done(&self, what: &str, failure: Failure) -> Error {
        match failure {
            Failure::Postgres(error) => self.failed(what, &error),
            other => other.into(),
        }
    }

    /// The error of the database, without what it says about rows, and without the address.
    fn failed(&self, what: &str, error: &postgres::Error) -> Error {
        let (name, said) = (&self.name, plain(error));
        let failure = || Error::failure(format!("the store {name} {what}")).because(said.clone());
        let conflict = |message: String| {
            Error::new(Code::Conflict, message)
                .about("store/moved")
                .because(said.clone())
                .hint("plan again; nothing has been changed")
        };
        // It may be back in a moment: a server's clients try again.
        let unreachable = || failure().about("store/unreachable");
        let Some(code) = error.code() else {
            return unreachable().hint("check that the database runs, and that the network lets it be reached");
        };
        if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
            return conflict(format!("other software has written to the store {name} at the same time"));
        }
        match code.code() {
            // A table that has just been made, by another that was first.
            "42P06" | "42P07" => conflict(format!("another has made the store {name} at the same time")),
            code if code.starts_with("23") => {
                conflict(format!("other software has changed the store {name} since the plan was made"))
            }
            "55P03" => Error::new(Code::Conflict, format!("the store {name} is held by another program"))
                .about("store/busy")
                .hint("try again when it is done; nothing has been changed"),
            // It starts, or stops.
            code if code.starts_with("57P0") || code.starts_with("08") => {
                unreachable().hint("try again when the database runs")
            }
            "53100" => failure().about("store/full").hint("make room on the disk of the database"),
            "53300" => failure().about("store/busy").hint("the database takes no more connections; try again later"),
            "42501" => {
                failure().hint("the role of yubin owns the schema `yubin`, or may make it (CREATE on the database)")
            }
            "3D000" => failure().hint("make the database first, as with `createdb`; yubin makes its tables"),
            code if code.starts_with("28") => {
                failure().hint("the password stands in PGPASSWORD, or in ~/.pgpass which only its owner may read")
            }
            _ => failure(),
        }
    }
}

const UNREAD: &str = "cannot be read";

impl Store for Postgres {
    fn database(&self) -> Option<&dyn Whole> {
        Some(self)
    }

    fn desk(&self) -> Option<&dyn Desk> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }

    fn turns(&self) -> Option<&dyn Turns> {
        Some(self)
    }

    fn migrations(&self) -> Option<&dyn Migrations> {
        Some(self)
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        let Some((db, version)) = self.read()? else { return Ok(None) };
        let reading = Reading::new(Box::new(db), version).map_err(|failure| self.not_done(UNREAD, failure))?;
        Ok(Some(Box::new(reading)))
    }

    fn rekey(&self, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64> {
        self.write(None, Finish::Commit, &mut |db| {
            schema::migrate(db, schema::look(db)?)?;
            sql::rekey::rekey(db, old, new, reseal)
        })
    }

    fn learn(&self, plan: &Plan, key_id: &str) -> Result<()> {
        let db = self.begin("ISOLATION LEVEL READ COMMITTED, READ WRITE")?;
        // Another writer is worth no waiting: the next apply learns as well.
        let learned = write::try_lock(&db).and_then(|locked| {
            if !locked || schema::look(&*db)? != Found::Store(VERSION) {
                return Ok(());
            }
            let (base, key) = sql::entry::base(&*db)?;
            if base == plan.base && key.as_deref() == Some(key_id) {
                sql::entry::learn(&*db, plan)?;
                db.end("COMMIT")?;
            }
            Ok(())
        });
        learned.map_err(|failure| self.not_taken(&db, failure))
    }

    fn commit(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<Receipt> {
        self.apply(approved, entry, progress, Finish::Commit)
    }

    fn rehearse(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<()> {
        self.apply(approved, entry, progress, Finish::RollBack).map(drop)
    }
}

impl Postgres {
    fn apply(
        &self,
        approved: &Approved<'_>,
        entry: &Entry<'_>,
        progress: &dyn Fn(u64),
        finish: Finish,
    ) -> Result<Receipt> {
        let before = || Ok(self.read()?.map(|(db, _)| db));
        self.write(Some(entry.actor), finish, &mut |db| {
            write::apply(db, approved.plan(), entry, progress, finish, &before)
        })
    }
}

impl Whole for Postgres {
    /// All that the store holds.
    fn whole(&self, read: &mut dyn FnMut(&dyn Database) -> sql::Result<()>) -> Result<bool> {
        let Some((db, version)) = self.read()? else { return Ok(false) };
        if version != VERSION {
            return Err(Error::failure(format!("the store {} is of an older yubin", self.name))
                .hint("the next apply that changes something brings it up"));
        }
        read(&*db).map_err(|failure| self.not_done(UNREAD, failure))?;
        Ok(true)
    }

    /// Fills a new store in one transaction.
    fn fill(&self, write: &mut dyn FnMut(&dyn Database) -> sql::Result<()>) -> Result<()> {
        self.write(None, Finish::Commit, &mut |db| {
            if schema::look(db)? != Found::Empty {
                return Err(Error::new(Code::Refused, "there is a store already, and it is left as it is")
                    .hint("name another database as the target")
                    .into());
            }
            schema::migrate(db, Found::Empty)?;
            write(db)?;
            write::count_on(db)
        })
    }
}

impl Connects for Postgres {
    fn bring_up(&self) -> Result<()> {
        if let Some((_, VERSION)) = self.read()? {
            return Ok(());
        }
        self.write(None, Finish::Commit, &mut |db| schema::migrate(db, schema::look(db)?))
    }

    fn reading(&self, read: &mut dyn FnMut(&dyn Database, i32) -> sql::Result<()>) -> Result<()> {
        let Some((db, version)) = self.read()? else { return Ok(()) };
        read(&*db, version).map_err(|failure| self.not_done(UNREAD, failure))
    }

    /// What a server keeps is written beside an apply, which may take long.
    fn writing(&self, write: &mut dyn FnMut(&dyn Database) -> sql::Result<()>) -> Result<()> {
        let db = self.begin("ISOLATION LEVEL READ COMMITTED, READ WRITE")?;
        let done = write(&*db).and_then(|()| db.end("COMMIT"));
        done.map_err(|failure| self.not_taken(&db, failure))
    }
}

/// A connection that goes back to where it came from.
pub struct Pooled {
    /// `None` after it is dropped.
    db: Option<Db>,
    idle: Idle,
}

impl std::ops::Deref for Pooled {
    type Target = Db;

    fn deref(&self) -> &Db {
        self.db.as_ref().expect("only `drop` takes it")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if db.is_closed() || db.end("ROLLBACK").is_err() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push(db);
        }
    }
}

impl Database for Pooled {
    fn query(&self, sql: &str, params: &[Cell<'_>], each: &mut Each<'_>) -> sql::Result<()> {
        (**self).query(sql, params, each)
    }

    fn execute(&self, sql: &str, params: &[Cell<'_>]) -> sql::Result<u64> {
        (**self).execute(sql, params)
    }

    fn of_keys(
        &self,
        wanted: &Wanted<'_>,
        keys: &mut dyn Iterator<Item = &Key>,
        each: &mut dyn FnMut(usize, &dyn Cells) -> sql::Result<()>,
    ) -> sql::Result<()> {
        (**self).of_keys(wanted, keys, each)
    }

    fn last_files(&self, kind: Kind) -> String {
        (**self).last_files(kind)
    }

    fn now(&self) -> sql::Result<jiff::Timestamp> {
        (**self).now()
    }

    fn lock_meta(&self) -> sql::Result<bool> {
        (**self).lock_meta()
    }

    fn load<'a>(&'a self, table: &str, columns: &[Column]) -> sql::Result<Box<dyn Load + 'a>> {
        (**self).load(table, columns)
    }

    fn update<'a>(&'a self, table: &str, by: &[Column], sets: &[Column]) -> sql::Result<Box<dyn Load + 'a>> {
        (**self).update(table, by, sets)
    }
}
