//! Every secret under another key: what is stored now, and the images in the log.

use super::columns::{self, Column, Holds, key_list};
use super::read::key_of;
use super::{Cell, Database, Failure, Result, number, or_null, text};
use crate::model::{Address, Code, Error, FieldId, Hashed, Key, Kind, Sealed, Type};
use crate::store::Reseal;

/// Secrets of a column, with what names their row.
struct Found {
    /// Of the history, whose rows have no other name.
    rowid: Option<u64>,
    key: Key,
    hash: Option<String>,
    sealed: Vec<u8>,
}

/// Within a transaction in which nobody else can write.
pub fn rekey(db: &dyn Database, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64> {
    let (_, key) = super::entry::base(db)?;
    if key.as_deref() != Some(old) {
        return Err(Error::new(Code::Conflict, "the store has got another key meanwhile")
            .about("store/moved")
            .hint("run the same command again")
            .into());
    }
    reseal.begin()?;
    let mut count = 0;
    for kind in Kind::ALL {
        for (field, spec) in (0..).zip(kind.fields()).filter(|(_, spec)| spec.is_secret()) {
            for past in [false, true] {
                count += match spec.ty {
                    Type::Password => rehash(db, kind, field, past, reseal)?,
                    _ => reseal_column(db, kind, field, past, reseal)?,
                };
            }
        }
        // Digests of records are keyed too, and nothing is to be guessed from them with the old key.
        for past in [false, true] {
            let table = table(kind, past);
            db.execute(&format!("UPDATE {table} SET yubin_declared = NULL WHERE yubin_declared IS NOT NULL"), &[])?;
        }
    }
    db.execute("UPDATE meta SET key_id = ?1", &[text(new)])?;
    Ok(count)
}

fn table(kind: Kind, past: bool) -> String {
    if past { format!("{kind}_history") } else { kind.to_string() }
}

/// The rows whose column holds something.
fn find(db: &dyn Database, kind: Kind, past: bool, sealed: &str, hash: &str) -> Result<Vec<Found>> {
    let (table, rowid) = (table(kind, past), if past { "rowid" } else { "NULL" });
    let parts = kind.key_parts().len();
    let sql = format!("SELECT {}, {rowid}, {hash}, {sealed} FROM {table} WHERE {sealed} IS NOT NULL", key_list(kind));
    db.all(&sql, &[], |row| {
        Ok(Found {
            key: key_of(kind, row),
            rowid: row.number(parts),
            hash: row.owned(parts + 1),
            sealed: row.blob(parts + 2).unwrap_or_default().to_vec(),
        })
    })
}

/// What a row is found by.
fn by(kind: Kind, past: bool) -> Vec<Column> {
    if past {
        return vec![Column::new("rowid", Holds::Integer)];
    }
    columns::keys(kind).map(|name| Column { name, holds: Holds::Text }).collect()
}

/// The cells of a row: by what it is found, then what is set.
fn cells<'a>(found: &'a Found, sets: &[Cell<'a>]) -> Vec<Cell<'a>> {
    let mut cells: Vec<Cell<'a>> = match found.rowid {
        Some(rowid) => vec![number(rowid)],
        None => found.key.parts().map(text).collect(),
    };
    cells.extend_from_slice(sets);
    cells
}

/// What cannot be opened now is an error. In the log, it could never be opened again either way.
fn or_lost<T>(done: crate::model::Result<T>, past: bool) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(_) if past => Ok(None),
        Err(error) => Err(Failure::Said(error)),
    }
}

fn reseal_column(db: &dyn Database, kind: Kind, field: FieldId, past: bool, reseal: &dyn Reseal) -> Result<u64> {
    let column = kind.field(field).column();
    let all = find(db, kind, past, &column, "NULL")?;
    let mut rows = db.update(&table(kind, past), &by(kind, past), &[Column::new(&column, Holds::Bytes)])?;
    let mut count = 0;
    for found in &all {
        let address = Address::new(kind, found.key.clone());
        let sealed = reseal.sealed(&address, field, &Sealed::from_bytes(&found.sealed));
        let Some(sealed) = or_lost(sealed, past)? else { continue };
        rows.row(&cells(found, &[Cell::Blob(sealed.as_bytes())]).as_slice())?;
        count += 1;
    }
    rows.finish()?;
    Ok(count)
}

fn rehash(db: &dyn Database, kind: Kind, field: FieldId, past: bool, reseal: &dyn Reseal) -> Result<u64> {
    let (hash, proof) = (kind.field(field).column(), columns::proof(kind, field));
    let all = find(db, kind, past, &proof, &hash)?;
    let sets = [Column::new(&hash, Holds::Text), Column::new(&proof, Holds::Bytes)];
    let mut rows = db.update(&table(kind, past), &by(kind, past), &sets)?;
    let mut count = 0;
    for found in &all {
        let sealed = Sealed::from_bytes(&found.sealed);
        if found.hash.is_none() && sealed.is_proof() {
            continue;
        }
        let address = Address::new(kind, found.key.clone());
        let hashed = reseal.hashed(&address, field, found.hash.as_deref(), &sealed);
        let Some(Hashed { text, proof }) = or_lost(hashed, past)? else { continue };
        let proof = proof.as_ref().map_or(Cell::Null, |proof| Cell::Blob(proof.as_bytes()));
        rows.row(&cells(found, &[or_null(Some(&text)), proof]).as_slice())?;
        count += 1;
    }
    rows.finish()?;
    Ok(count)
}
