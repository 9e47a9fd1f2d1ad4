//! Writing: one transaction from the comparison of the base to the commit, alone through a lock of its own.

use super::Pooled;
use super::changes::Writing;
use super::db::Db;
use super::schema::{self, Found};
use crate::model::{Code, Error, Kind, Plan};
use crate::store::sql::entry::{self, Begun};
use crate::store::sql::{Database, Next, Result, text};
use crate::store::{Entry, Receipt};

/// What becomes of the transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Commit,
    RollBack,
}

/// "yubi" in ASCII, and a number, by which the lock is named in its database.
const LOCK: (i64, i64) = (0x7975_6269, 1);

/// Alone until the end of the transaction; whoever waits is told by whom he is kept waiting.
pub fn lock(db: &Db, actor: Option<&str>) -> Result<()> {
    let db: &dyn Database = db;
    let name = actor.map_or_else(|| "yubin".to_owned(), |actor| format!("yubin {actor}"));
    // The triggers pass over what is written here.
    let sql = "SELECT set_config('application_name', ?1, true), set_config('yubin.writing', 'on', true)";
    db.first(sql, &[text(&name)], |_| Ok(()))?;
    let sql = format!("SELECT pg_advisory_xact_lock({}, {})", LOCK.0, LOCK.1);
    db.first(&sql, &[], |_| Ok(()))?;
    if let Found::Store(_) = schema::look(db)? {
        // Other software that writes has this one.
        db.first("SELECT 1 FROM meta FOR UPDATE", &[], |_| Ok(()))?;
    }
    Ok(())
}

/// `false` if another writes.
pub fn try_lock(db: &Db) -> Result<bool> {
    let all: &dyn Database = db;
    let sql = format!(
        "SELECT set_config('yubin.writing', 'on', true) WHERE pg_try_advisory_xact_lock({}, {})",
        LOCK.0, LOCK.1
    );
    Ok(all.first(&sql, &[], |_| Ok(()))?.is_some() && matches!(schema::look(db)?, Found::Store(_)) && db.lock_meta()?)
}

/// Who holds the store, as a phrase for an error: an apply, or other software that has written and not yet ended
/// its transaction.
pub fn holder(db: &Pooled) -> Option<String> {
    db.end("ROLLBACK").ok()?;
    let sql = format!(
        "SELECT a.application_name, a.usename::text, a.pid::bigint
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
         WHERE l.granted AND a.pid <> pg_backend_pid()
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
           AND (l.locktype = 'advisory' AND l.classid::bigint = {} AND l.objid::bigint = {}
                OR l.relation = to_regclass('yubin.meta') AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))
         ORDER BY l.locktype, a.xact_start LIMIT 1",
        LOCK.0, LOCK.1
    );
    let mut found = None;
    let each = &mut |row: &dyn crate::store::sql::Cells| {
        let (name, user, pid) = (row.string(0), row.string(1), row.count(2));
        let name = if name.is_empty() { "other software".to_owned() } else { format!("`{name}`") };
        found = Some(format!("{name} (role {user}, process {pid} of the database)"));
        Ok(Next::Enough)
    };
    db.query(&sql, &[], each).ok()?;
    found
}

pub fn taken() -> Error {
    Error::new(Code::Conflict, "other software has taken the store since the plan was made")
        .about("store/moved")
        .hint("plan again")
}

pub fn apply(
    db: &Db,
    plan: &Plan,
    entry: &Entry<'_>,
    progress: &dyn Fn(u64),
    finish: Finish,
    before: &dyn Fn() -> Result<Option<Pooled>>,
) -> Result<Receipt> {
    let found = schema::look(db)?;
    schema::migrate(db, found)?;
    let revision = match entry::begin(db, plan, entry)? {
        Begun::Again(revision) => return Ok(Receipt { revision, again: true }),
        Begun::Revision(revision) => revision,
    };
    let whole = found == Found::Empty || finish == Finish::RollBack;
    let sums = Writing::new(db, plan, revision, whole)?.all(before, progress)?;
    entry::learn(db, plan)?;
    if !sums.agree() {
        return Err(entry::strange(&sums.strange).into());
    }
    // What is referred to must be there, also where nothing is committed.
    db.batch("SET CONSTRAINTS ALL IMMEDIATE")?;
    Ok(Receipt { revision, again: false })
}

/// After rows have brought their numbers along, the next ones follow on them.
pub fn count_on(db: &Db) -> Result<()> {
    for kind in Kind::ALL {
        db.batch(&format!(
            "SELECT setval(pg_get_serial_sequence('yubin.{kind}_history', 'rowid'), max(rowid))
             FROM {kind}_history HAVING max(rowid) IS NOT NULL"
        ))?;
    }
    Ok(())
}
