//! A store, and where its key is.

use std::path::{Path, PathBuf};

use super::keys::{key_source, token_source};
use crate::model::{Result, StorePlace};
use crate::store::Store;
use crate::store::http::{Access, Http};
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
    /// The file of a token that others than its owner may read.
    pub exposed: Option<PathBuf>,
}

impl Home {
    /// The path of a file is relative to `base`.
    pub fn open(name: &str, base: &Path) -> Result<Home> {
        Home::open_for(name, base, None)
    }

    /// For a project, whose secrets are compared.
    pub fn open_for(name: &str, base: &Path, project: Option<&str>) -> Result<Home> {
        let place = StorePlace::parse(name)?;
        let shown = place.shown();
        match place {
            StorePlace::Sqlite(path) => {
                let path = base.join(path);
                let keys = key_source(Some(&path))?;
                let mut own = vec![path.clone()];
                if let KeySource::File(path) | KeySource::Beside(path) = &keys {
                    own.push(path.clone());
                }
                Ok(Home { name: shown, store: Box::new(Sqlite::new(path)), keys, own, exposed: None })
            }
            StorePlace::Http(url) => {
                let (token, own) = token_source();
                let exposed = token.exposed().map(Path::to_owned);
                let authorities = std::env::var_os("YUBIN_CA_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
                let store = Http::new(Access::new(&url, token, authorities, project)?)?;
                Ok(Home { name: shown, store: Box::new(store), keys: KeySource::Server, own, exposed })
            }
            StorePlace::Postgres(url) => {
                let keys = key_source(None)?;
                let own = if let KeySource::File(path) = &keys { vec![path.clone()] } else { Vec::new() };
                Ok(Home { store: Box::new(Postgres::new(&url, &shown)?), name: shown, keys, own, exposed: None })
            }
        }
    }
}
