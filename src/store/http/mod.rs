//! A store that a `yubin serve` keeps. The server builds plans anew from its own state; secrets travel sealed
//! to it, and what it tells of them can be recognised and not be opened.

mod access;
mod call;
mod commit;
mod failure;
mod migrations;
mod outbox;
mod pipe;
mod snapshot;
mod turns;

use std::sync::{Arc, Mutex};

use self::call::Line;
use self::snapshot::Reading;
use super::{Entry, Migrations, Outbox, Receipt, Reseal, Snapshot, Store, Turns};
use crate::guard::Approved;
use crate::model::{Error, Plan, Result};

pub use access::{Access, TokenSource};

/// What the last snapshot has heard, by which secrets are sealed when its plan is sent: the server's public key,
/// the project, and the key that is lent for it, sealed.
#[derive(Default)]
struct Held(Mutex<Option<(String, String, String)>>);

pub struct Http {
    line: Arc<Line>,
    held: Arc<Held>,
}

impl Http {
    /// Nothing is asked yet.
    pub fn new(access: Access) -> Result<Http> {
        Ok(Http { line: Arc::new(Line::new(access)?), held: Arc::default() })
    }
}

/// What only those can do who have the key of the store.
pub fn far(what: &str) -> Error {
    Error::failure(format!("{what} takes the key of the store, which stays with its server"))
        .hint("run this where the store is, with `--store` and its own address")
}

impl Store for Http {
    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }

    fn turns(&self) -> Option<&dyn Turns> {
        Some(self)
    }

    fn migrations(&self) -> Option<&dyn Migrations> {
        Some(self)
    }

    fn rekey(&self, _: &str, _: &str, _: &dyn Reseal) -> Result<u64> {
        Err(far("a new key"))
    }

    /// A server always has a store.
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        Ok(Some(Box::new(Reading::begin(Arc::clone(&self.line), Arc::clone(&self.held))?)))
    }

    fn learn(&self, plan: &Plan, _: &str) -> Result<()> {
        commit::learn(&self.line, plan)
    }

    fn commit(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<Receipt> {
        commit::commit(&self.line, &self.held, approved.plan(), entry, progress)
    }

    fn rehearse(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<()> {
        commit::rehearse(&self.line, &self.held, approved.plan(), entry, progress)
    }
}
