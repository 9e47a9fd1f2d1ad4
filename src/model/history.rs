//! What the log of a store says.

use super::kind::{Address, Key, Kind};
use super::plan::Action;
use super::resource::Row;

/// An applied plan.
#[derive(Clone, Debug, Default)]
pub struct Revision {
    pub revision: u64,
    /// RFC 3339, UTC.
    pub at: String,
    pub actor: String,
    pub project: String,
    pub digest: String,
    pub config_digest: String,
    /// In the order of `Action::ALL`.
    pub counts: [u64; 8],
    pub unchanged: u64,
    pub note: Option<String>,
    /// Whether it only recorded what had happened already.
    pub recorded: bool,
    /// Of git, if the project stood in a checkout; with `+` behind it if files differed from it.
    pub commit: Option<String>,
}

/// A change of a revision, with the images of the resource on both sides.
#[derive(Clone, Debug)]
pub struct Logged {
    pub kind: Kind,
    pub key: Key,
    pub action: Action,
    /// Of a rename: the key before.
    pub previously: Option<Key>,
    pub before: Option<Row>,
    pub after: Option<Row>,
    pub file: Option<String>,
    pub line: Option<u32>,
}

impl Logged {
    pub fn address(&self) -> Address {
        Address::new(self.kind, self.key.clone())
    }
}

/// A state that a resource was in.
#[derive(Clone, Debug)]
pub struct Version {
    pub row: Row,
    /// The revision that ended it; `None` if other software did, or nothing has.
    pub until: Option<u64>,
    /// Whether the revision that wrote it is the one that the row names, or other software did.
    pub outside: bool,
    pub file: Option<String>,
    pub line: Option<u32>,
}
