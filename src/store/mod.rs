//! Where current state lives. A store gives one consistent read, and takes an approved plan in
//! one transaction or not at all.

mod holder;
pub mod http;
pub mod postgres;
mod sql;
pub mod sqlite;
pub mod state;

use std::time::Duration;

use self::sql::Database;
use crate::guard::Approved;
use crate::model::draft::Digest;
use crate::model::migration::{Act, NewAct};
use crate::model::plan::Base;
use crate::model::{
    Address, Approval, Attempt, Drift, Error, Event, FieldId, Hashed, Inventory, Key, Kind, Lead, Logged, Login, Plan,
    Request, Result, Revision, Row, Sealed, Token, Told, Value, Version,
};
use crate::vault::Vault;

/// What the log says about an apply, beside the plan.
pub struct Entry<'a> {
    pub actor: &'a str,
    pub digest: &'a str,
    /// Identity of the key that sealed the plan's secrets.
    pub key_id: Option<&'a str>,
    /// Of git, see `Revision::commit`.
    pub commit: Option<&'a str>,
    /// Where an answer may be lost on its way: the request is remembered with what it has done, for a day.
    pub request: Option<&'a Request>,
}

pub struct Receipt {
    pub revision: u64,
    /// Whether the same request has done it before.
    pub again: bool,
}

/// What is still to be carried out, and how far hooks have come with it. Nothing here counts as a revision.
pub trait Outbox: Send + Sync {
    /// What is still to be carried out, in ascending order of ids, at most so many.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>>;

    /// `false` if there is no such event, `true` also if it is acknowledged already.
    fn acknowledge(&self, id: u64) -> Result<bool>;

    /// Whether the store keeps what hooks have tried and told, and which run is at it. One that does not keeps
    /// nothing of the following.
    fn remembers(&self) -> bool;

    /// What hooks have tried of the events with these ids, the first and the last included, that are still to be
    /// carried out.
    fn attempts(&self, first: u64, last: u64) -> Result<Vec<Attempt>>;

    /// Keeps the last attempts of hooks at events, and what is carried out now, at once.
    fn settle(&self, tried: &[Attempt], done: &[u64]) -> Result<()>;

    /// How far the hooks of a project have told of its revisions. A hook that is new is not among them.
    fn told(&self, project: &str) -> Result<Vec<Told>>;

    /// Never takes back what is told.
    fn tell(&self, project: &str, told: &Told) -> Result<()>;

    /// Takes the delivery for a project until then, or keeps it for as long; `false` if another run has it.
    /// Both times are RFC 3339, UTC.
    fn hold(&self, project: &str, holder: &str, now: &str, until: &str) -> Result<bool>;

    fn let_go(&self, project: &str, holder: &str) -> Result<()>;

    /// The users whom a revision has logged out, sorted and at most so many, and how many they are.
    fn logged_out(&self, revision: u64, limit: usize) -> Result<(Vec<String>, u64)>;
}

/// What the watchers of a project agree on by way of the store. Nothing here counts as a revision.
pub trait Turns: Send + Sync {
    /// Takes the lead of a project for so long by the store's own clock, or keeps it; whoever else has it still has it.
    /// Where there is no store yet, nobody else can have it.
    fn lead(&self, project: &str, holder: &str, lease: Duration) -> Result<Lead>;

    /// Gives the lead back, so that another need not wait.
    fn resign(&self, project: &str, holder: &str) -> Result<()>;

    /// Lets the plan with this digest through; when, says the store's own clock. Those of more than 30 days ago are
    /// forgotten.
    fn approve(&self, project: &str, approval: &Approval) -> Result<()>;

    /// Newest first, at most 1000.
    fn approvals(&self, project: &str) -> Result<Vec<Approval>>;
}

/// What was done for migrations. Nothing here counts as a revision.
pub trait Migrations: Send + Sync {
    /// All acts of a project, by migration and number.
    fn acts(&self, project: &str) -> Result<Vec<Act>>;

    /// Appends an act: exit 5 if its number is taken, or is not the next one. The same act once more is the same act.
    fn act(&self, project: &str, new: &NewAct) -> Result<Act>;
}

/// What a server keeps beside the state. Nothing here counts as a revision.
pub trait Desk: Outbox + Turns + Migrations {
    /// Makes the store, or brings it up to this version.
    fn prepare(&self) -> Result<()>;

    /// All tokens, also those revoked and expired, oldest first.
    fn tokens(&self) -> Result<Vec<Token>>;

    /// The token with this hash.
    fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>>;

    fn add_token(&self, token: &Token) -> Result<()>;

    /// `false` if there is no such token, or it is revoked already.
    fn revoke_token(&self, id: &str, at: &str) -> Result<bool>;

    /// Sessions in ascending order of ids, at most so many; those of one user, if one is named.
    fn sessions(&self, user: Option<&str>, after: Option<&str>, limit: usize) -> Result<Vec<Login>>;

    /// Registers a session; `false` if the id is one of another user. The same once more changes nothing.
    fn open_session(&self, login: &Login) -> Result<bool>;

    /// `false` if there is no such session.
    fn close_session(&self, id: &str) -> Result<bool>;

    /// What the request has done: the digest of its body, and the revision that it made.
    fn answered(&self, key: &[u8; 32]) -> Result<Option<([u8; 32], u64)>>;
}

pub trait Store: Send + Sync {
    /// `None` where a server keeps it, or nobody does.
    fn desk(&self) -> Option<&dyn Desk> {
        None
    }

    /// `None` where nothing can be written.
    fn outbox(&self) -> Option<&dyn Outbox> {
        None
    }

    /// `None` where nothing can be written.
    fn turns(&self) -> Option<&dyn Turns> {
        None
    }

    /// `None` where nothing can be written.
    fn migrations(&self) -> Option<&dyn Migrations> {
        None
    }

    /// The database in which the store is, if it can be copied from and to here.
    fn database(&self) -> Option<&dyn Whole> {
        None
    }

    /// Puts every secret, also those of the log, under another key, in one transaction; how many there are.
    /// `old` and `new` are the identities of the keys.
    fn rekey(&self, old: &str, new: &str, reseal: &dyn Reseal) -> Result<u64>;

    /// One consistent read of everything; `None` if there is no store yet.
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>>;

    /// Keeps the digests by which unchanged records are recognised, if the store still is where the plan was
    /// made, and has the key of those digests. The state stays as it is, and so does its revision.
    fn learn(&self, plan: &Plan, key_id: &str) -> Result<()>;

    /// Writes the plan, its log and its effects in one transaction, if the store still is where
    /// the plan was made. `progress` is told how many changes are written.
    fn commit(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<Receipt>;

    /// Does all that `commit` does, comparison of the state included, and rolls back.
    fn rehearse(&self, approved: &Approved<'_>, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<()>;
}

/// A store as what its tables hold.
pub trait Whole {
    /// One consistent read; `false` if there is no store.
    fn whole(&self, read: &mut dyn FnMut(&dyn Database) -> sql::Result<()>) -> Result<bool>;

    /// Makes the store and fills it, in one transaction; refused where there is one.
    fn fill(&self, write: &mut dyn FnMut(&dyn Database) -> sql::Result<()>) -> Result<()>;
}

/// What has been copied.
pub struct Copied {
    pub revision: u64,
    pub rows: u64,
    /// Over all tables, in hexadecimal digits.
    pub digest: String,
}

/// Copies a store whole, all or nothing, and compares what the copy holds with what has been read; `None` if there
/// is nothing to copy. `progress` is told how many rows are written.
pub fn copy(from: &dyn Whole, to: &dyn Whole, progress: &dyn Fn(u64)) -> Result<Option<Copied>> {
    let mut copied = None;
    from.whole(&mut |source| {
        let (base, _) = sql::entry::base(source)?;
        to.fill(&mut |target| {
            let read = sql::copy::copy(source, target, progress)?;
            let held = sql::copy::digest(target)?;
            if held != read {
                let message = "the copy does not hold what has been read; nothing has been written";
                return Err(Error::failure(message).into());
            }
            copied = Some(Copied { revision: base.revision, rows: held.rows, digest: held.hex() });
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(copied)
}

/// Turns secrets that one key has sealed into those of another.
pub trait Reseal {
    /// Called when no other can write to the store any more, and before anything is written.
    fn begin(&self) -> Result<()>;

    fn sealed(&self, address: &Address, field: FieldId, sealed: &Sealed) -> Result<Sealed>;

    /// A hashed password; without a hash, the password itself is what is sealed.
    fn hashed(&self, address: &Address, field: FieldId, hash: Option<&str>, sealed: &Sealed) -> Result<Hashed>;
}

/// Takes the parts of a key, the owner and the digest of what was declared.
pub type Each<'a> = dyn FnMut(&[&str], Option<&str>, Option<Digest>) -> Result<()> + 'a;

pub trait Snapshot: Send {
    fn base(&self) -> Base;

    /// The key that a server has lent for a project, by which its secrets are recognised; `None` where the key
    /// of the store is at hand.
    fn lent(&self, project: &str) -> Option<Vault> {
        let _ = project;
        None
    }

    /// Resources as they would be under other keys, those that exist in the order of the pairs (present and new
    /// key), where only the server can seal their secrets anew.
    fn called(&self, kind: Kind, keys: &[(Key, Key)]) -> Result<Vec<Row>> {
        let _ = (kind, keys);
        Ok(Vec::new())
    }

    /// Identity of the key that sealed what is stored.
    fn key_id(&self) -> Option<&str>;

    /// Keys in ascending order, with owner and digest of what was declared.
    fn inventory(&self, project: &str) -> Result<Inventory>;

    /// The same of one kind, behind a key and at most so many: parts of the key, owner, digest.
    fn list(&self, kind: Kind, after: Option<&Key>, limit: usize, each: &mut Each<'_>) -> Result<()>;

    /// Rows of a kind in ascending order of keys, behind a key and at most so many, with the digest of what was
    /// declared.
    fn page(
        &self,
        kind: Kind,
        after: Option<&Key>,
        limit: usize,
        each: &mut dyn FnMut(Row, Option<Digest>) -> Result<()>,
    ) -> Result<()>;

    /// The rows of those keys that exist, in the order of the keys.
    fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Row>>;

    /// Every row of a kind, in ascending order of keys.
    fn scan(&self, kind: Kind, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()>;

    /// Whether a project with `mail_server: true` has ever written here, so that a mail server reads the accounts of
    /// all projects; `None` where only a server knows, which then looks itself.
    fn mail_server(&self) -> Result<Option<bool>> {
        Ok(None)
    }

    /// The names of accounts that have a mail address, and these.
    fn mail_addresses(&self, each: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
        const ADDRESS: FieldId = Kind::Account.id("address");
        self.scan(Kind::Account, &mut |row| match row.get(ADDRESS).and_then(Value::text) {
            Some(address) => each(row.key.name(), address),
            None => Ok(()),
        })
    }

    /// Every row of a kind as it was when the revision had been applied, in ascending order of keys.
    fn scan_at(&self, kind: Kind, revision: u64, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()>;

    /// What other software has changed of resources since yubin wrote them last, sorted by address.
    fn drift(&self) -> Result<Vec<Drift>>;

    /// Resources that are disabled, in ascending order, and the revisions that did it.
    fn disabled(&self) -> Result<Vec<(Address, u64)>>;

    /// Of each resource that ever was in a file: the last one.
    fn last_files(&self, kind: Kind, each: &mut dyn FnMut(Key, String)) -> Result<()>;

    /// Some of the resources that refer to the server, and how many there are.
    fn users_of_server(&self, server: &Key) -> Result<(Vec<Address>, u64)>;

    /// Every state, present and past, in which the field had this word, or any value.
    fn ever(&self, kind: Kind, field: FieldId, word: Option<&str>) -> Result<Vec<Row>>;

    /// The values that a field of a resource ever had, the latest first, each once.
    fn past_values(&self, kind: Kind, field: FieldId, key: &Key) -> Result<Vec<Value>>;

    /// Of each key, the revision that wrote the present value of the field; `None` if that is not known.
    fn last_set(&self, kind: Kind, field: FieldId, keys: &[&Key]) -> Result<Vec<Option<u64>>>;

    /// Newest first.
    fn revisions(&self) -> Result<Vec<Revision>>;

    /// The changes of a revision with both images, in the order in which they were applied.
    fn changes(&self, revision: u64) -> Result<Vec<Logged>>;

    /// Every state that a resource was in, oldest first; the last is the current one, if it exists.
    fn versions(&self, address: &Address) -> Result<Vec<Version>>;
}
