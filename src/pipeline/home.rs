//! A store, and where its key is.

use std::path::{Path, PathBuf};

use super::keys::key_source;
use crate::model::{Error, Result, StorePlace};
use crate::store::Store;
use crate::store::postgres::Postgres;
use crate::store::sqlite::Sqlite;
use crate::vault::KeySource;

pub struct Home {
    /// As it is named in output.
    pub name: String,
    pub store: Box<dyn Store>,
    pub keys: KeySource,
    /// Files that are no secrets of mailboxes: the store, and its key.
    pub own: Vec<PathBuf>,
}

impl Home {
    /// The path of a file is relative to `base`.
    pub fn open(name: &str, base: &Path) -> Result<Home> {
        let place = StorePlace::parse(name)?;
        let shown = place.shown();
        match place {
            StorePlace::Sqlite(path) => {
                let path = base.join(path);
                let keys = key_source(Some(&path));
                let mut own = vec![path.clone()];
                if let KeySource::File(path) | KeySource::Beside(path) = &keys {
                    own.push(path.clone());
                }
                Ok(Home { name: shown, store: Box::new(Sqlite::new(path)), keys, own })
            }
            StorePlace::Postgres(url) => {
                let keys = key_source(None);
                let own = if let KeySource::File(path) = &keys { vec![path.clone()] } else { Vec::new() };
                Ok(Home { store: Box::new(Postgres::new(&url, &shown)?), name: shown, keys, own })
            }
            StorePlace::Http(_) => Err(Error::failure("this kind of store is yet to come")),
        }
    }
}
