//! Writing: one transaction from the comparison of the base to the commit.

use rusqlite::{Connection, TransactionBehavior};

use super::changes::Writing;
use super::schema;
use crate::model::plan::Base;
use crate::model::{Action, Code, Error, Kind, Plan};
use crate::store::{Entry, Receipt};

pub enum Failure {
    /// The store is not where the plan was made.
    Moved(Error),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

/// What becomes of the transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Commit,
    RollBack,
}

pub fn commit(
    connection: &mut Connection,
    plan: &Plan,
    entry: &Entry<'_>,
    progress: &dyn Fn(u64),
    finish: Finish,
) -> Result<Receipt, Failure> {
    // Rows have some hundreds of bytes: larger pages make long scans and bulk loads cheaper.
    connection.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -131072;",
    )?;
    let first = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0;
    // A rollback journal of an empty file is empty, where a write-ahead log would hold the whole load
    // once more. Nobody reads a store that has nothing yet.
    connection.pragma_update(None, "journal_mode", if first { "DELETE" } else { "WAL" })?;
    // Immediate: a read that grows into a write would fail at once instead of waiting.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another apply may have made the tables, or brought them up, while this one waited.
    let found = schema::look(&transaction).map_err(|stranger| match stranger {
        schema::Stranger::Unreadable(error) => Failure::Sqlite(error),
        schema::Stranger::Newer(_) | schema::Stranger::Other => Failure::Moved(
            Error::new(Code::Conflict, "other software has taken the store since the plan was made").hint("plan again"),
        ),
    })?;
    schema::migrate(&transaction, found)?;
    let (base, key_id): (Base, Option<String>) =
        transaction.query_row("SELECT revision, outside_writes, key_id FROM meta", [], |row| {
            Ok((Base { revision: row.get(0)?, outside_writes: row.get(1)? }, row.get(2)?))
        })?;
    if base != plan.base {
        return Err(Failure::Moved(moved(&transaction, base, plan.base)));
    }
    if let (Some(stored), Some(ours)) = (&key_id, entry.key_id)
        && stored != ours
    {
        let message = "the store has got another key since the plan was made";
        return Err(Failure::Moved(Error::new(Code::Conflict, message).hint("run the same command again")));
    }
    schema::drop_triggers(&transaction)?;
    let revision = base.revision + 1;
    transaction.execute("UPDATE meta SET revision = ?1, key_id = coalesce(key_id, ?2)", (revision, entry.key_id))?;
    transaction.execute(
        "INSERT INTO revision (revision, at, actor, project, digest, config_digest, adds, overwrites, deletes, skips,
           unchanged, note, yubin, recorded, renames, disables, purges, git_commit)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        rusqlite::params![
            revision,
            jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            entry.actor,
            plan.project,
            entry.digest,
            plan.config_digest,
            plan.count(Action::Add),
            plan.count(Action::Overwrite),
            plan.count(Action::Delete),
            plan.count(Action::Skip),
            plan.unchanged,
            plan.note,
            env!("CARGO_PKG_VERSION"),
            plan.recorded,
            plan.count(Action::Rename),
            plan.count(Action::Disable),
            plan.count(Action::Purge),
            entry.commit,
        ],
    )?;
    let sums = Writing::new(&transaction, plan, revision, first || finish == Finish::RollBack)?.all(progress)?;
    write_learned(&transaction, plan)?;
    schema::make_triggers(&transaction)?;
    if !sums.agree() {
        // Dropped, the transaction rolls back.
        let named = match sums.strange.as_slice() {
            [] => "what the plan does not touch has changed as well".to_owned(),
            strange => strange.iter().map(|address| format!("`{address}`")).collect::<Vec<_>>().join(", "),
        };
        let message =
            format!("the store does not hold what the plan says it would ({named}); nothing has been changed");
        let hint = "look for triggers of other software on the tables of yubin: they change what is written";
        return Err(Failure::Moved(Error::failure(message).hint(hint)));
    }
    if finish == Finish::RollBack {
        transaction.rollback()?;
        return Ok(Receipt { revision, again: false });
    }
    transaction.commit()?;
    if first {
        // What is committed stays so if this fails; the next apply tries again.
        let _ = connection.pragma_update(None, "journal_mode", "WAL");
    }
    Ok(Receipt { revision, again: false })
}

/// Writes nothing but digests; those are no write of other software.
pub fn learn(connection: &mut Connection, plan: &Plan, key_id: &str) -> Result<(), Failure> {
    // Another writer is worth no waiting: the next apply learns as well.
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -131072;")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (base, key): (Base, Option<String>) =
        transaction.query_row("SELECT revision, outside_writes, key_id FROM meta", [], |row| {
            Ok((Base { revision: row.get(0)?, outside_writes: row.get(1)? }, row.get(2)?))
        })?;
    if base == plan.base && key.as_deref() == Some(key_id) {
        write_learned(&transaction, plan)?;
        transaction.commit()?;
    }
    Ok(())
}

fn write_learned(connection: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    for kind in Kind::ALL {
        let learned = plan.learned.iter().filter(|(of, ..)| *of == kind);
        let keys: Vec<String> = (2..).zip(kind.key_parts()).map(|(at, part)| format!("{part} = ?{at}")).collect();
        let sql = format!("UPDATE {kind} SET yubin_declared = ?1 WHERE {}", keys.join(" AND "));
        let mut statement = connection.prepare(&sql)?;
        for (_, key, digest) in learned {
            statement.raw_bind_parameter(1, digest.as_slice())?;
            for (at, part) in (2..).zip(key.parts()) {
                statement.raw_bind_parameter(at, part)?;
            }
            statement.raw_execute()?;
        }
    }
    Ok(())
}

fn moved(connection: &Connection, now: Base, then: Base) -> Error {
    if now.revision == then.revision {
        return Error::new(Code::Conflict, "other software has changed the store since the plan was made")
            .hint("plan again");
    }
    let last =
        connection.query_row("SELECT at, actor, project FROM revision WHERE revision = ?1", [now.revision], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        });
    let by = last.map_or(String::new(), |(at, actor, project)| format!(", last at {at} by {actor} for {project}"));
    let message = format!("the plan was made at revision {}, the store is at {}{by}", then.revision, now.revision);
    Error::new(Code::Conflict, message).hint("plan again")
}
