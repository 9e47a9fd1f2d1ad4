//! Every secret under another key, in one transaction: what is stored now, and the images in the log.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::schema;
use crate::model::{Address, Code, Error, FieldId, Hashed, Key, Kind, Sealed, Type};
use crate::store::Reseal;
use crate::store::sql::{Failure, columns};

/// Secrets of a column, with what names their row.
struct Found {
    /// Of the history, whose rows have no other name.
    rowid: Option<i64>,
    key: Key,
    hash: Option<String>,
    sealed: Vec<u8>,
}

pub fn rekey(connection: &mut Connection, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64, Failure> {
    // What is overwritten must not be left in pages that are free.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -131072;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = schema::look(&transaction).map_err(|stranger| match stranger {
        schema::Stranger::Unreadable(error) => Failure::Sqlite(error),
        schema::Stranger::Newer(_) | schema::Stranger::Other => Failure::Said(moved()),
    })?;
    schema::migrate(&transaction, found)?;
    let key: Option<String> =
        transaction.query_row("SELECT key_id FROM meta", [], |row| row.get(0)).optional()?.flatten();
    if key.as_deref() != Some(old) {
        return Err(Failure::Said(moved()));
    }
    reseal.begin().map_err(Failure::Said)?;
    schema::drop_triggers(&transaction)?;
    let mut count = 0;
    for kind in Kind::ALL {
        for (field, spec) in (0..).zip(kind.fields()).filter(|(_, spec)| spec.is_secret()) {
            for past in [false, true] {
                count += match spec.ty {
                    Type::Password => rehash(&transaction, kind, field, past, reseal)?,
                    _ => reseal_column(&transaction, kind, field, past, reseal)?,
                };
            }
        }
        // Digests of records are keyed too, and nothing is to be guessed from them with the old key.
        for table in tables(kind) {
            transaction.execute(&format!("UPDATE {table} SET yubin_declared = NULL"), [])?;
        }
    }
    transaction.execute("UPDATE meta SET key_id = ?1", [new])?;
    schema::make_triggers(&transaction)?;
    transaction.commit()?;
    // The log that writes ahead still holds what was; if it cannot be emptied now, the next apply does it.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    Ok(count)
}

fn moved() -> Error {
    Error::new(Code::Conflict, "the store has got another key meanwhile")
        .about("store/moved")
        .hint("run the same command again")
}

fn tables(kind: Kind) -> [String; 2] {
    [kind.to_string(), format!("{kind}_history")]
}

/// The rows whose column holds something.
fn find(connection: &Connection, kind: Kind, past: bool, sealed: &str, hash: &str) -> Result<Vec<Found>, Failure> {
    let table = &tables(kind)[usize::from(past)];
    let rowid = if past { "rowid" } else { "NULL" };
    let keys = kind.key_parts();
    let sql = format!("SELECT {rowid}, {hash}, {sealed}, {} FROM {table} WHERE {sealed} IS NOT NULL", keys.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let parts =
            (0..keys.len()).map(|at| row.get::<_, String>(3 + at)).collect::<rusqlite::Result<Vec<String>>>()?;
        let key = Key::from_parts(parts.iter().map(String::as_str));
        found.push(Found { rowid: row.get(0)?, key, hash: row.get(1)?, sealed: row.get(2)? });
    }
    Ok(found)
}

/// The statement that updates the row of what was found; the values stand first.
fn update(kind: Kind, past: bool, sets: &str, count: usize) -> String {
    let table = &tables(kind)[usize::from(past)];
    let which = if past {
        format!("rowid = ?{}", count + 1)
    } else {
        let parts = (count + 1..).zip(kind.key_parts()).map(|(at, part)| format!("{part} = ?{at}"));
        parts.collect::<Vec<String>>().join(" AND ")
    };
    format!("UPDATE {table} SET {sets} WHERE {which}")
}

/// What cannot be opened now is an error. In the log, it could never be opened again either way.
fn or_lost<T>(done: crate::model::Result<T>, past: bool) -> Result<Option<T>, Failure> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(_) if past => Ok(None),
        Err(error) => Err(Failure::Said(error)),
    }
}

fn reseal_column(
    connection: &Connection,
    kind: Kind,
    field: FieldId,
    past: bool,
    reseal: &dyn Reseal,
) -> Result<u64, Failure> {
    let column = kind.field(field).column();
    let mut statement = connection.prepare(&update(kind, past, &format!("{column} = ?1"), 1))?;
    let mut count = 0;
    for found in find(connection, kind, past, &column, "NULL")? {
        let address = Address::new(kind, found.key.clone());
        let sealed = reseal.sealed(&address, field, &Sealed::from_bytes(&found.sealed));
        let Some(sealed) = or_lost(sealed, past)? else { continue };
        statement.raw_bind_parameter(1, sealed.as_bytes())?;
        bind_row(&mut statement, 2, &found)?;
        statement.raw_execute()?;
        count += 1;
    }
    Ok(count)
}

fn rehash(
    connection: &Connection,
    kind: Kind,
    field: FieldId,
    past: bool,
    reseal: &dyn Reseal,
) -> Result<u64, Failure> {
    let (hash, proof) = (kind.field(field).column(), columns::proof(kind, field));
    let mut statement = connection.prepare(&update(kind, past, &format!("{hash} = ?1, {proof} = ?2"), 2))?;
    let mut count = 0;
    for found in find(connection, kind, past, &proof, &hash)? {
        if found.hash.is_none() && Sealed::from_bytes(&found.sealed).is_proof() {
            continue;
        }
        let address = Address::new(kind, found.key.clone());
        let sealed = Sealed::from_bytes(&found.sealed);
        let hashed = reseal.hashed(&address, field, found.hash.as_deref(), &sealed);
        let Some(Hashed { text, proof }) = or_lost(hashed, past)? else { continue };
        statement.raw_bind_parameter(1, &*text)?;
        statement.raw_bind_parameter(2, proof.as_ref().map(Sealed::as_bytes))?;
        bind_row(&mut statement, 3, &found)?;
        statement.raw_execute()?;
        count += 1;
    }
    Ok(count)
}

fn bind_row(statement: &mut rusqlite::Statement<'_>, from: usize, found: &Found) -> rusqlite::Result<()> {
    match found.rowid {
        Some(rowid) => statement.raw_bind_parameter(from, rowid),
        None => (from..).zip(found.key.parts()).try_for_each(|(at, part)| statement.raw_bind_parameter(at, part)),
    }
}
