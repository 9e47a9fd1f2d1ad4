//! Writing: one transaction from the comparison of the base to the commit.

use rusqlite::{Connection, Statement, TransactionBehavior};

use super::schema::{self, all_columns};
use crate::model::plan::Base;
use crate::model::{Action, Change, Code, Effect, Error, FieldId, Kind, Plan, Sealed, Value};
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

/// Changes between two calls of `progress`.
const STRIDE: u64 = 1_000;

pub fn commit(
    connection: &mut Connection,
    plan: &Plan,
    entry: &Entry<'_>,
    progress: &dyn Fn(u64),
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
        "INSERT INTO revision VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
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
        ],
    )?;
    write_changes(&transaction, plan, revision, progress)?;
    write_learned(&transaction, plan)?;
    schema::make_triggers(&transaction)?;
    transaction.commit()?;
    if first {
        // What is committed stays so if this fails; the next apply tries again.
        let _ = connection.pragma_update(None, "journal_mode", "WAL");
    }
    Ok(Receipt { revision })
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

/// The statements of one kind.
struct Statements<'c> {
    insert: Statement<'c>,
    remember: Statement<'c>,
    delete: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn new(connection: &'c Connection, kind: Kind) -> rusqlite::Result<Statements<'c>> {
        let columns = all_columns(kind);
        let list = columns.join(", ");
        let marks = (1..=columns.len()).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let keys = kind.key_parts();
        let key: Vec<String> = (1..).zip(keys).map(|(at, part)| format!("{part} = ?{at}")).collect();
        let key = key.join(" AND ");
        let until = keys.len() + 1;
        Ok(Statements {
            insert: connection.prepare(&format!("INSERT INTO {kind} ({list}) VALUES ({marks})"))?,
            remember: connection.prepare(&format!(
                "INSERT INTO {kind}_history ({list}, yubin_until) SELECT {list}, ?{until} FROM {kind} WHERE {key}"
            ))?,
            delete: connection.prepare(&format!("DELETE FROM {kind} WHERE {key}"))?,
        })
    }
}

fn write_changes(connection: &Connection, plan: &Plan, revision: u64, progress: &dyn Fn(u64)) -> Result<(), Failure> {
    let mut statements = [
        Statements::new(connection, Kind::Server)?,
        Statements::new(connection, Kind::Account)?,
        Statements::new(connection, Kind::Pattern)?,
    ];
    let mut log = connection.prepare("INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let mut seq: u64 = 0;
    for change in plan.changes.iter().filter(|change| change.action.writes()) {
        seq += 1;
        let of_kind = &mut statements[change.kind as usize];
        match change.action {
            Action::Add => insert(&mut of_kind.insert, change, plan, revision)?,
            Action::Overwrite => {
                remember(of_kind, change, revision)?;
                update(connection, change, plan, revision)?;
            }
            Action::Delete => {
                remember(of_kind, change, revision)?;
                bind_key(&mut of_kind.delete, change)?;
                of_kind.delete.raw_execute()?;
            }
            Action::Skip | Action::Blocked => {}
        }
        record(&mut log, change, plan, revision, seq)?;
        if seq.is_multiple_of(STRIDE) {
            progress(seq);
        }
    }
    progress(seq);
    Ok(())
}

fn record(log: &mut Statement<'_>, change: &Change, plan: &Plan, revision: u64, seq: u64) -> rusqlite::Result<()> {
    let mut parts = change.key.parts();
    let user = if change.kind == Kind::Pattern { parts.next() } else { None };
    log.raw_bind_parameter(1, revision)?;
    log.raw_bind_parameter(2, seq)?;
    log.raw_bind_parameter(3, change.kind.name())?;
    log.raw_bind_parameter(4, user)?;
    log.raw_bind_parameter(5, parts.next())?;
    log.raw_bind_parameter(6, change.action.name())?;
    log.raw_bind_parameter(7, change.effect(plan).map(Effect::name))?;
    log.raw_bind_parameter(8, change.source.map(|source| plan.file(source)))?;
    log.raw_bind_parameter(9, change.source.map(|source| source.place.line))?;
    log.raw_execute()?;
    Ok(())
}

fn bind_key(statement: &mut Statement<'_>, change: &Change) -> rusqlite::Result<usize> {
    let mut at = 0;
    for part in change.key.parts() {
        at += 1;
        statement.raw_bind_parameter(at, part)?;
    }
    Ok(at)
}

fn bind(statement: &mut Statement<'_>, at: usize, value: Option<&Value>) -> rusqlite::Result<()> {
    match value {
        None => statement.raw_bind_parameter(at, rusqlite::types::Null),
        Some(Value::Bool(value)) => statement.raw_bind_parameter(at, value),
        Some(Value::Int(value)) => statement.raw_bind_parameter(at, value),
        Some(Value::Text(value)) => statement.raw_bind_parameter(at, value.as_str()),
        Some(Value::Sealed(value)) => statement.raw_bind_parameter(at, value.as_bytes()),
        Some(Value::Hashed(hashed)) => statement.raw_bind_parameter(at, &*hashed.text),
        // `Session::apply` hashes and fetches first.
        Some(Value::Unhashed(_) | Value::Unknown) => Err(rusqlite::Error::InvalidQuery),
        Some(Value::List(items)) => {
            let items: Vec<&str> = items.iter().map(compact_str::CompactString::as_str).collect();
            statement.raw_bind_parameter(at, serde_json::Value::from(items).to_string())
        }
        Some(value @ Value::Size(_)) => statement.raw_bind_parameter(at, value.to_string()),
    }
}

/// Binds a value that stands in two columns: its hash, and the proof beside it.
fn bind_hash(statement: &mut Statement<'_>, hash: usize, proof: usize, value: Option<&Value>) -> rusqlite::Result<()> {
    let (text, sealed) = match value {
        Some(Value::Hashed(hashed)) => (value, hashed.proof.as_ref()),
        // Of a store of before, brought back by an undo.
        Some(Value::Sealed(sealed)) => (None, Some(sealed)),
        other => (other, None),
    };
    bind(statement, hash, text)?;
    statement.raw_bind_parameter(proof, sealed.map(Sealed::as_bytes))
}

/// The owner that the change leaves.
fn owner<'a>(change: &'a Change, plan: &'a Plan) -> Option<&'a str> {
    match change.special.as_ref().and_then(|special| special.owner.as_ref()) {
        Some(owner) => owner.as_deref(),
        None => Some(&plan.project),
    }
}

fn insert(statement: &mut Statement<'_>, change: &Change, plan: &Plan, revision: u64) -> rusqlite::Result<()> {
    statement.clear_bindings();
    let keys = bind_key(statement, change)?;
    statement.raw_bind_parameter(keys + 1, change.digest.as_ref().map(<[u8; 16]>::as_slice))?;
    statement.raw_bind_parameter(keys + 2, owner(change, plan))?;
    statement.raw_bind_parameter(keys + 3, revision)?;
    let place = |field: FieldId| keys + 4 + usize::from(field);
    let proofs = place(0) + change.kind.fields().len();
    for field in &change.fields {
        match schema::hashed(change.kind).position(|hashed| hashed == field.field) {
            Some(at) => bind_hash(statement, place(field.field), proofs + at, field.after.as_ref())?,
            None => bind(statement, place(field.field), field.after.as_ref())?,
        }
    }
    statement.raw_execute()?;
    Ok(())
}

fn remember(statements: &mut Statements<'_>, change: &Change, revision: u64) -> rusqlite::Result<()> {
    let keys = bind_key(&mut statements.remember, change)?;
    statements.remember.raw_bind_parameter(keys + 1, revision)?;
    statements.remember.raw_execute()?;
    Ok(())
}

fn update(connection: &Connection, change: &Change, plan: &Plan, revision: u64) -> rusqlite::Result<()> {
    let keys = change.kind.key_parts();
    let key: Vec<String> = (1..).zip(keys).map(|(at, part)| format!("{part} = ?{at}")).collect();
    let first = keys.len() + 1;
    let is_hashed = |field| schema::hashed(change.kind).any(|hashed| hashed == field);
    let mut sets = vec![
        format!("yubin_declared = ?{first}"),
        format!("yubin_owner = ?{}", first + 1),
        format!("yubin_revision = ?{}", first + 2),
    ];
    let mut at = first + 3;
    for field in &change.fields {
        sets.push(format!("{} = ?{at}", change.kind.field(field.field).column()));
        at += 1;
        if is_hashed(field.field) {
            sets.push(format!("{} = ?{at}", schema::proof(change.kind, field.field)));
            at += 1;
        }
    }
    let sql = format!("UPDATE {} SET {} WHERE {}", change.kind, sets.join(", "), key.join(" AND "));
    // Changes of the same fields share a statement.
    let mut statement = connection.prepare_cached(&sql)?;
    bind_key(&mut statement, change)?;
    statement.raw_bind_parameter(first, change.digest.as_ref().map(<[u8; 16]>::as_slice))?;
    statement.raw_bind_parameter(first + 1, owner(change, plan))?;
    statement.raw_bind_parameter(first + 2, revision)?;
    let mut at = first + 3;
    for field in &change.fields {
        if is_hashed(field.field) {
            bind_hash(&mut statement, at, at + 1, field.after.as_ref())?;
            at += 1;
        } else {
            bind(&mut statement, at, field.after.as_ref())?;
        }
        at += 1;
    }
    statement.raw_execute()?;
    Ok(())
}
