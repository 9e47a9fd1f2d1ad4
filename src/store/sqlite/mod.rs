//! A store in one `SQLite` file: WAL, foreign keys, strict tables.

mod changes;
mod mail_server;
mod pool;
mod schema;
mod shared;
mod triggers;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use self::pool::{Pool, Pooled};
pub use self::shared::is_shared;
use self::write::Finish;
use super::holder::holder;
use super::sql::desk::Connects;
use super::sql::read::Reading;
use super::sql::{Database, Failure};
use super::{Desk, Entry, Migrations, Outbox, Receipt, Reseal, Snapshot, Store, Turns, Whole};
use crate::guard::Approved;
use crate::model::{Code, Error, Plan, Result};

/// How long an apply waits for another writer.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Sqlite {
    readers: Arc<Pool>,
}

impl Sqlite {
    pub fn new(path: PathBuf) -> Sqlite {
        Sqlite { readers: Arc::new(Pool::new(path)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.readers.path
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection> {
        if flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
            shared::make_file(self.path()).map_err(|error| {
                Error::failure(format!("the store {} cannot be made", self.path().display()))
                    .because(error)
                    .hint("check that its folder exists and may be written")
            })?;
        }
        let connection = Connection::open_with_flags(self.path(), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|error| failed(self.path(), "cannot be opened", error))?;
        connection.busy_timeout(PATIENCE).map_err(|error| failed(self.path(), "cannot be opened", error))?;
        Ok(connection)
    }

    /// A connection in a read transaction, and the version of the schema; `None` if there is no store yet.
    fn begin(&self) -> Result<Option<(Pooled, i32)>> {
        let unread = |error| failed(self.path(), "cannot be read", error);
        if !self.path().exists() {
            return Ok(None);
        }
        let (connection, is_new) = if let Some(connection) = self.readers.take() {
            (connection, false)
        } else {
            let before = pool::identity(self.path());
            // A reader in WAL mode writes to the shared memory, so reading alone is the second choice.
            let connection = self
                .open(OpenFlags::SQLITE_OPEN_READ_WRITE)
                .or_else(|_| self.open(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
            let schema::Found::Store(_) = self.look(&connection)? else { return Ok(None) };
            (self.readers.keep(connection, before), true)
        };
        connection.execute_batch(if is_new { "PRAGMA query_only = 1; BEGIN" } else { "BEGIN" }).map_err(unread)?;
        // Inside the transaction: an apply may bring the store up to a newer version at any moment.
        let schema::Found::Store(version) = self.look(&connection)? else { return Ok(None) };
        Ok(Some((connection, version)))
    }

    fn not_taken(&self, failure: Failure) -> Error {
        match failure {
            Failure::Sqlite(error) => failed(self.path(), "did not take the changes; it is as it was", error),
            other => other.into(),
        }
    }

    fn not_read(&self, failure: Failure) -> Error {
        match failure {
            Failure::Sqlite(error) => failed(self.path(), "cannot be read", error),
            other => other.into(),
        }
    }

    fn look(&self, connection: &Connection) -> Result<schema::Found> {
        schema::look(connection).map_err(|stranger| {
            let name = self.path().display();
            match stranger {
                schema::Stranger::Unreadable(error) => failed(self.path(), "cannot be read", error),
                schema::Stranger::Newer(version) => {
                    let known = schema::VERSION;
                    Error::failure(format!("the store {name} has format {version}, this yubin reads up to {known}"))
                        .hint("use the yubin that wrote it, or a newer one")
                }
                schema::Stranger::Other => Error::failure(format!("the database {name} belongs to other software"))
                    .hint("name another file as the store; yubin makes its own database"),
            }
        })
    }
}

impl Store for Sqlite {
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
        let Some((connection, version)) = self.begin()? else { return Ok(None) };
        let reading = Reading::new(Box::new(connection), version).map_err(|failure| self.not_read(failure))?;
        Ok(Some(Box::new(reading)))
    }

    fn rekey(&self, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.look(&connection)?;
        write::rekey(&mut connection, old, new, reseal).map_err(|failure| self.not_taken(failure))
    }

    fn learn(&self, plan: &Plan, key_id: &str) -> Result<()> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if self.look(&connection)? != schema::Found::Store(schema::VERSION) {
            // Bringing it up is for an apply that changes something.
            return Ok(());
        }
        write::learn(&mut connection, plan, key_id).map_err(|failure| self.not_taken(failure))
    }

    fn commit(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<Receipt> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        self.look(&connection)?;
        write::commit(&mut connection, approved.plan(), entry, progress, Finish::Commit)
            .map_err(|failure| self.not_taken(failure))
    }

    fn rehearse(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<()> {
        let mut connection = if self.path().exists() {
            self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?
        } else {
            // A database without a name, which vanishes: nothing is made where nothing is applied.
            Connection::open("").map_err(|error| failed(self.path(), "cannot be rehearsed", error))?
        };
        self.look(&connection)?;
        write::commit(&mut connection, approved.plan(), entry, progress, Finish::RollBack)
            .map(drop)
            .map_err(|failure| self.not_taken(failure))
    }
}

impl Whole for Sqlite {
    /// All that the store holds, of this version: an older one is brought up for as long as it is read.
    fn whole(&self, read: &mut dyn FnMut(&dyn Database) -> super::sql::Result<()>) -> Result<bool> {
        let Some((connection, version)) = self.begin()? else { return Ok(false) };
        if version == schema::VERSION {
            read(&*connection)?;
            return Ok(true);
        }
        drop(connection);
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut read_older = || -> std::result::Result<(), Failure> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let found = schema::look(&transaction).map_err(write::taken)?;
            schema::migrate(&transaction, found)?;
            // Dropped, the transaction rolls back.
            read(&*transaction)
        };
        read_older().map_err(|failure| self.not_read(failure))?;
        Ok(true)
    }

    /// Fills a new store in one transaction; `Failure` if there is one already.
    fn fill(&self, write: &mut dyn FnMut(&dyn Database) -> super::sql::Result<()>) -> Result<()> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        self.look(&connection)?;
        write::fill(&mut connection, write).map_err(|failure| self.not_taken(failure))
    }
}

impl Connects for Sqlite {
    fn bring_up(&self) -> Result<()> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        if self.look(&connection)? == schema::Found::Store(schema::VERSION) {
            return Ok(());
        }
        write::bring_up(&mut connection).map_err(|failure| self.not_taken(failure))
    }

    fn reading(&self, read: &mut dyn FnMut(&dyn Database, i32) -> super::sql::Result<()>) -> Result<()> {
        let Some((connection, version)) = self.begin()? else { return Ok(()) };
        read(&*connection, version).map_err(|failure| self.not_read(failure))
    }

    fn writing(&self, write: &mut dyn FnMut(&dyn Database) -> super::sql::Result<()>) -> Result<()> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        match self.look(&connection)? {
            schema::Found::Store(schema::VERSION) => {}
            schema::Found::Store(_) => {
                write::bring_up(&mut connection).map_err(|failure| self.not_taken(failure))?;
            }
            schema::Found::Empty => {
                return Err(Error::failure(format!("there is no store in {} yet", self.path().display()))
                    .hint("the first apply makes it"));
            }
        }
        let mut done = || -> std::result::Result<(), Failure> {
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            write(&*transaction)?;
            Ok(transaction.commit()?)
        };
        done().map_err(|failure| self.not_taken(failure))
    }
}

fn failed(path: &Path, what: &str, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let name = path.display();
    if code == Some(ErrorCode::ConstraintViolation) {
        let message = format!("other software has changed the store {name} since the plan was made");
        return Error::new(Code::Conflict, message)
            .about("store/moved")
            .because(error)
            .hint("plan again; nothing has been changed");
    }
    if matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) {
        let message = format!("the store {name} is held by {} for more than {} s", holder(path), PATIENCE.as_secs());
        return Error::new(Code::Conflict, message)
            .about("store/busy")
            .hint("try again when it is done; nothing has been changed");
    }
    if code == Some(ErrorCode::DiskFull) {
        return Error::failure(format!("the store {name} {what}"))
            .about("store/full")
            .because(error)
            .hint("make room on the disk and run the same command again");
    }
    let hint = match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "restore it from a backup, or name another file as the store"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => "check that folder and file exist and may be written",
        _ => return Error::failure(format!("the store {name} {what}")).because(error),
    };
    Error::failure(format!("the store {name} {what}")).because(error).hint(hint)
}
