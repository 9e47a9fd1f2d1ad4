//! A store in one `SQLite` file: WAL, foreign keys, strict tables.

mod changes;
mod image;
mod past;
mod read;
mod rekey;
mod schema;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use self::write::Finish;
use super::holder::holder;
use super::{Entry, Receipt, Reseal, Snapshot, Store};
use crate::guard::Approved;
use crate::model::{Code, Error, Plan, Result};

/// How long an apply waits for another writer.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Sqlite {
    path: PathBuf,
}

impl Sqlite {
    pub fn new(path: PathBuf) -> Sqlite {
        Sqlite { path }
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection> {
        let connection = Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|error| failed(&self.path, "cannot be opened", error))?;
        connection.busy_timeout(PATIENCE).map_err(|error| failed(&self.path, "cannot be opened", error))?;
        Ok(connection)
    }
}

impl Sqlite {
    fn not_taken(&self, failure: write::Failure) -> Error {
        match failure {
            write::Failure::Moved(error) => error,
            write::Failure::Sqlite(error) => failed(&self.path, "did not take the changes; it is as it was", error),
        }
    }

    fn look(&self, connection: &Connection) -> Result<schema::Found> {
        schema::look(connection).map_err(|stranger| {
            let name = self.path.display();
            match stranger {
                schema::Stranger::Unreadable(error) => failed(&self.path, "cannot be read", error),
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
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        if !self.path.exists() {
            return Ok(None);
        }
        // A reader in WAL mode writes to the shared memory, so reading alone is the second choice.
        let connection =
            self.open(OpenFlags::SQLITE_OPEN_READ_WRITE).or_else(|_| self.open(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let schema::Found::Store(_) = self.look(&connection)? else { return Ok(None) };
        let snapshot = read::Reading::begin(connection).map_err(|error| failed(&self.path, "cannot be read", error))?;
        Ok(Some(Box::new(snapshot)))
    }

    fn rekey(&self, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.look(&connection)?;
        rekey::rekey(&mut connection, old, new, reseal).map_err(|failure| self.not_taken(failure))
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
        let mut connection = if self.path.exists() {
            self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?
        } else {
            // A database without a name, which vanishes: nothing is made where nothing is applied.
            Connection::open("").map_err(|error| failed(&self.path, "cannot be rehearsed", error))?
        };
        self.look(&connection)?;
        write::commit(&mut connection, approved.plan(), entry, progress, Finish::RollBack)
            .map(drop)
            .map_err(|failure| self.not_taken(failure))
    }
}

fn failed(path: &Path, what: &str, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let name = path.display();
    if code == Some(ErrorCode::ConstraintViolation) {
        let message = format!("other software has changed the store {name} since the plan was made");
        return Error::new(Code::Conflict, message).because(error).hint("plan again; nothing has been changed");
    }
    if matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) {
        let message = format!("the store {name} is held by {} for more than {} s", holder(path), PATIENCE.as_secs());
        return Error::new(Code::Conflict, message).hint("try again when it is done; nothing has been changed");
    }
    let hint = match code {
        Some(ErrorCode::DiskFull) => "make room on the disk and run the same command again",
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "restore it from a backup, or name another file as the store"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => "check that folder and file exist and may be written",
        _ => return Error::failure(format!("the store {name} {what}")).because(error),
    };
    Error::failure(format!("the store {name} {what}")).because(error).hint(hint)
}
