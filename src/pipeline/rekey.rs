//! A new key for a store.
//!
//! The store and the file of its key cannot change in one step. So the new key stands beside the
//! present one first, the store takes it in one transaction, and then it takes the place of the old
//! one. Whatever happens in between, one of the two files holds the key that the store has.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Session;
use crate::model::{Address, Code, Error, FieldId, Hashed, Result, Scheme, Sealed};
use crate::store::Reseal;
use crate::vault::{self, KeySource, Vault, hash};

struct Renewal<'a> {
    old: &'a Vault,
    new: &'a Vault,
    /// Where the key of the store stands, if it is a file.
    file: Option<&'a Path>,
    /// For passwords of mailboxes that were sealed, as stores of before have them.
    scheme: Scheme,
    hashed: RefCell<HashMap<(Address, Vec<u8>), Hashed>>,
}

impl Reseal for Renewal<'_> {
    fn begin(&self) -> Result<()> {
        let Some(path) = self.file else { return Ok(()) };
        self.new.keep_next(path)
    }

    fn sealed(&self, address: &Address, field: FieldId, sealed: &Sealed) -> Result<Sealed> {
        let field = address.kind.field(field);
        Ok(self.new.seal(address, field, &self.old.unseal(address, field, sealed)?))
    }

    fn hashed(&self, address: &Address, field: FieldId, hash: Option<&str>, sealed: &Sealed) -> Result<Hashed> {
        let field = address.kind.field(field);
        if let Some(hash) = hash {
            let proof = self.new.reseal_proof(self.old, address, field, sealed);
            return Ok(Hashed { text: hash.into(), proof });
        }
        // A password that stayed the same through the log must have one hash there, or it would look changed.
        let place = (address.clone(), sealed.as_bytes().to_vec());
        if let Some(hashed) = self.hashed.borrow().get(&place) {
            return Ok(hashed.clone());
        }
        let clear = self.old.unseal(address, field, sealed)?;
        let hashed = self.new.hashed(address, field, &hash::hash(self.scheme, &clear)?, &clear);
        self.hashed.borrow_mut().insert(place, hashed.clone());
        Ok(hashed)
    }
}

/// What a rekey has done.
pub struct Rekeyed {
    pub secrets: u64,
    /// Where the old key stays, if it is a file.
    pub old: Option<PathBuf>,
    /// Identity of the new key.
    pub id: String,
}

impl Session {
    /// Puts every secret of the store under a new key, or the one of a file.
    pub fn rekey(&self, to: Option<&Path>) -> Result<Rekeyed> {
        self.refuse_far("a new key")?;
        let nothing = || {
            Error::new(Code::Usage, "the store has no key yet, so there is none to replace")
                .hint("the first apply with a secret makes one")
        };
        let snapshot = self.store.snapshot()?.ok_or_else(nothing)?;
        if snapshot.key_id().is_none() {
            return Err(nothing());
        }
        let old = self.vault(Some(&*snapshot))?.ok_or_else(|| self.lost_key())?;
        drop(snapshot);
        let new = match to {
            None => Vault::generate()?,
            Some(path) => Vault::take(path)?,
        };
        if new.id() == old.id() {
            return Err(Error::new(Code::Usage, "this is the key that the store has already"));
        }
        let file = match &self.keys {
            KeySource::Given(_) if to.is_none() => {
                return Err(Error::new(
                    Code::Usage,
                    "the key comes from YUBIN_KEY, and nothing could give you a new one",
                )
                .hint("write one to a file, name it with `--to FILE`, and set YUBIN_KEY to it afterwards"));
            }
            KeySource::Given(_) | KeySource::Absent | KeySource::Server => None,
            KeySource::File(path) | KeySource::Beside(path) => Some(path),
        };
        let renewal = Renewal {
            old: &old,
            new: &new,
            file: file.map(PathBuf::as_path),
            scheme: self.project.policy.passwords.scheme,
            hashed: RefCell::default(),
        };
        let done = self.store.rekey(old.id(), new.id(), &renewal);
        if let Some(path) = file {
            // After a failure the new key stays where it is: whether a commit that failed has lasted after all,
            // only the next run can tell.
            if done.is_ok() {
                Vault::promote(path, new.id())?;
            }
        }
        let kept = file.map(|path| vault::old_of(path, old.id()));
        Ok(Rekeyed { secrets: done?, old: kept, id: new.id().to_owned() })
    }
}
