//! A store that others reach through a server. The server has its key, and trusts no client: what a client sends
//! is made a plan anew, from what the store holds.

mod accept;
mod pages;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::home::Home;
use super::keys;
use crate::model::plan::Base;
use crate::model::{Code, Error, Plan, Result};
use crate::store::{Desk, Snapshot, Store};
use crate::vault::{KeySource, Telling, Vault};

pub use accept::{Accepted, Caller, Declined};
pub use pages::{Emit, Which};

pub struct Hosted {
    home: Home,
    vault: RwLock<Option<Arc<Vault>>>,
}

/// One consistent read.
pub struct View {
    snapshot: Box<dyn Snapshot>,
    vault: Option<Arc<Vault>>,
}

/// A client that plans: what is told of secrets is told to it alone.
pub struct Client {
    /// Its public key, in hexadecimal.
    pub key: String,
    pub project: String,
    /// Whether its token is bound to the project.
    pub bound: bool,
}

impl Hosted {
    /// Makes the store where there is none yet, and its key.
    pub fn open(name: &str, base: &Path) -> Result<Hosted> {
        let home = Home::open(name, base)?;
        if home.store.desk().is_none() {
            return Err(Error::new(Code::Usage, "a server serves a store of its own, not that of another server")
                .hint("name a `sqlite:` or `postgres://` store"));
        }
        let hosted = Hosted { home, vault: RwLock::default() };
        hosted.desk().prepare()?;
        let key_id = hosted.snapshot()?.key_id().map(str::to_owned);
        let mut vault = keys::vault(&hosted.home.keys, key_id.as_deref())?;
        match (&mut vault, &hosted.home.keys) {
            // Clients are told of it from now on, so it must last.
            (Some(vault), KeySource::Beside(path)) => vault.keep(path)?,
            (None, _) if key_id.is_some() => {
                return Err(Error::failure(
                    "the key of the store is missing, and its secrets cannot be read without it",
                )
                .hint("restore the key file, or set YUBIN_KEY_FILE; a new key would not open them"));
            }
            _ => {}
        }
        *hosted.vault.write().unwrap_or_else(PoisonError::into_inner) = vault.map(Arc::new);
        Ok(hosted)
    }

    /// As it is named in output.
    pub fn name(&self) -> &str {
        &self.home.name
    }

    pub fn desk(&self) -> &dyn Desk {
        self.home.store.desk().expect("it was there when the store was opened")
    }

    pub fn base(&self) -> Result<Base> {
        Ok(self.snapshot()?.base())
    }

    /// One consistent read, of this state if one is named.
    pub fn view(&self, pinned: Option<Base>) -> Result<View> {
        let snapshot = self.snapshot()?;
        if pinned.is_some_and(|pinned| pinned != snapshot.base()) {
            return Err(Error::new(Code::Conflict, "the store has moved since the first page, and that state is gone")
                .about("store/gone")
                .hint("read again from the first page"));
        }
        let vault = self.vault(snapshot.key_id())?;
        Ok(View { snapshot, vault })
    }

    /// Keeps digests by which a client recognises its unchanged records; whether the store still is where they
    /// were taken is for the store to say.
    pub fn learn(&self, plan: &Plan) -> Result<()> {
        match self.vault(None)? {
            Some(vault) => self.store().learn(plan, vault.id()),
            None => Ok(()),
        }
    }

    fn store(&self) -> &dyn Store {
        &*self.home.store
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.store().snapshot()?.ok_or_else(|| {
            Error::failure("the store is gone").hint("restore it from a backup, and start the server again")
        })
    }

    /// The vault of the store, whose key may have been replaced since.
    fn vault(&self, stored: Option<&str>) -> Result<Option<Arc<Vault>>> {
        let held = self.vault.read().unwrap_or_else(PoisonError::into_inner).clone();
        if held.as_ref().is_none_or(|vault| stored.is_none_or(|id| vault.id() == id))
            && (held.is_some() || stored.is_none())
        {
            return Ok(held);
        }
        let anew = keys::vault(&self.home.keys, stored)?.map(Arc::new);
        self.vault.write().unwrap_or_else(PoisonError::into_inner).clone_from(&anew);
        Ok(anew)
    }
}

impl View {
    pub fn base(&self) -> Base {
        self.snapshot.base()
    }

    /// `None` where nothing is told: the client has no key or is not bound to its project, or the store has no key.
    fn telling(&self, client: Option<&Client>) -> Option<Telling<'_>> {
        let client = client.filter(|client| client.bound)?;
        Telling::new(self.vault.as_deref()?, &client.key, &client.project)
    }
}
