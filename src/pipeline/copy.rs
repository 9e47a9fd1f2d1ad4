//! A store in another database. Neither needs a project, and no secret is opened.

use std::path::Path;

use super::home::Home;
use super::keys::places;
use crate::model::{Code, Error, Result, StorePlace};
use crate::store;
use crate::vault::KeySource;

pub struct Copied {
    /// As they are named in output.
    pub from: String,
    pub to: String,
    pub revision: u64,
    pub rows: u64,
    /// Over all tables, of what was read and of what was read back.
    pub digest: String,
    /// What is to be done with the key, if the store has one.
    pub key: Option<String>,
}

/// Copies a store; paths are relative to `base`. `progress` is told how many rows are written.
pub fn copy(from: &str, to: &str, base: &Path, progress: &dyn Fn(u64)) -> Result<Copied> {
    let (source, target) = (Home::open(from, base)?, Home::open(to, base)?);
    let (Some(old), Some(new)) = (source.store.database(), target.store.database()) else {
        return Err(Error::new(Code::Usage, "only a store in a database of its own can be copied")
            .hint("run this where the database is, with `sqlite:PATH` or `postgres://…`"));
    };
    let missing = || Error::failure(format!("there is no store at {}", source.name));
    let has_key = source.store.snapshot()?.ok_or_else(missing)?.key_id().is_some();
    let done = store::copy(old, new, progress)?.ok_or_else(missing)?;
    let key = has_key.then(|| say_key(&source, &target, to, base)).flatten();
    let (from, to) = (source.name, target.name);
    Ok(Copied { from, to, revision: done.revision, rows: done.rows, digest: done.digest, key })
}

/// The same key opens the copy; it stands elsewhere.
fn say_key(source: &Home, target: &Home, to: &str, base: &Path) -> Option<String> {
    match (&source.keys, &target.keys) {
        (KeySource::Beside(key), KeySource::Beside(place)) => {
            Some(format!("copy the key as well: {} belongs to {}", key.display(), place.display()))
        }
        (KeySource::Beside(key), _) => Some(format!(
            "the copy has the same key: set YUBIN_KEY_FILE to {}, or to where it will stand",
            key.display()
        )),
        (_, KeySource::File(_) | KeySource::Given(_)) => match StorePlace::parse(to) {
            Ok(StorePlace::Sqlite(path)) => Some(format!(
                "the copy has the same key: keep YUBIN_KEY_FILE set, or put the key in {}",
                places(&base.join(path)).0.display()
            )),
            _ => None,
        },
        (_, KeySource::Beside(place)) => {
            Some(format!("the copy has the same key, which must stand in {}", place.display()))
        }
        _ => Some("the copy has the same key: set YUBIN_KEY_FILE to it".to_owned()),
    }
}
