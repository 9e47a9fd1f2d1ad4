//! Writing: one transaction from the comparison of the base to the commit.

use rusqlite::{Connection, TransactionBehavior};

use super::changes::Writing;
use super::{schema, triggers};
use crate::model::{Code, Error, Plan};
use crate::store::sql::entry::{self, Begun};
use crate::store::sql::{Database, Failure, rekey};
use crate::store::{Entry, Receipt, Reseal};

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
    let found = schema::look(&transaction).map_err(taken)?;
    schema::migrate(&transaction, found)?;
    let revision = match entry::begin(&*transaction, plan, entry)? {
        Begun::Again(revision) => return Ok(Receipt { revision, again: true }),
        Begun::Revision(revision) => revision,
    };
    let silent = triggers::silence(&transaction)?;
    let sums = Writing::new(&transaction, plan, revision, first || finish == Finish::RollBack)?.all(progress)?;
    entry::learn(&*transaction, plan)?;
    triggers::restore(&transaction, silent)?;
    if !sums.agree() {
        // Dropped, the transaction rolls back.
        return Err(entry::strange(&sums.strange).into());
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

/// Puts every secret under another key, in one transaction.
pub fn rekey(connection: &mut Connection, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64, Failure> {
    // What is overwritten must not be left in pages that are free.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -131072;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = schema::look(&transaction).map_err(taken)?;
    schema::migrate(&transaction, found)?;
    let silent = triggers::silence(&transaction)?;
    let count = rekey::rekey(&*transaction, old, new, reseal)?;
    triggers::restore(&transaction, silent)?;
    transaction.commit()?;
    // The log that writes ahead still holds what was; if it cannot be emptied now, the next apply does it.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    Ok(count)
}

/// What has come in between since the store was looked at.
pub fn taken(stranger: schema::Stranger) -> Failure {
    match stranger {
        schema::Stranger::Unreadable(error) => Failure::Sqlite(error),
        schema::Stranger::Newer(_) | schema::Stranger::Other => {
            Error::new(Code::Conflict, "other software has taken the store since the plan was made")
                .about("store/moved")
                .hint("plan again")
                .into()
        }
    }
}

/// Makes the tables, or brings them up.
pub fn bring_up(connection: &mut Connection) -> Result<(), Failure> {
    connection.execute_batch("PRAGMA page_size = 8192; PRAGMA synchronous = FULL;")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = schema::look(&transaction).map_err(taken)?;
    if found == schema::Found::Store(schema::VERSION) {
        return Ok(());
    }
    schema::migrate(&transaction, found)?;
    let silent = triggers::silence(&transaction)?;
    triggers::restore(&transaction, silent)?;
    Ok(transaction.commit()?)
}

/// Makes the tables, and fills them.
pub fn fill(
    connection: &mut Connection,
    write: &mut dyn FnMut(&dyn Database) -> Result<(), Failure>,
) -> Result<(), Failure> {
    connection.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -131072;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if schema::look(&transaction).map_err(taken)? != schema::Found::Empty {
        return Err(Error::new(Code::Refused, "there is a store already, and it is left as it is")
            .hint("name another file as the target")
            .into());
    }
    schema::migrate(&transaction, schema::Found::Empty)?;
    write(&*transaction)?;
    triggers::make(&transaction)?;
    transaction.commit()?;
    // What is committed stays so if this fails; the next apply tries again.
    let _ = connection.pragma_update(None, "journal_mode", "WAL");
    Ok(())
}

/// Writes nothing but digests; those are no write of other software.
pub fn learn(connection: &mut Connection, plan: &Plan, key_id: &str) -> Result<(), Failure> {
    // Another writer is worth no waiting: the next apply learns as well.
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -131072;")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (base, key) = entry::base(&*transaction)?;
    if base == plan.base && key.as_deref() == Some(key_id) {
        entry::learn(&*transaction, plan)?;
        transaction.commit()?;
    }
    Ok(())
}
