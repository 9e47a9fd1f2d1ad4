//! Taking the old entries, and then the old server, out of the files.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;

use super::{Look, Session};
use crate::load::{self, Left};
use crate::migration;
use crate::model::{Address, Diagnostics, DraftResource, Drift, Drifted, Error, Kind, Result, Undeclared};

/// How files should be edited.
pub struct Removal {
    /// Path, as it is now, and as it should be.
    pub files: Vec<(PathBuf, Vec<u8>, Vec<u8>)>,
    /// A file of the migration's own, to be written behind the others: what is declared and absent at once would be an
    /// error.
    pub tombstones: Option<(PathBuf, String)>,
    /// What no edit takes out of its file.
    pub left: Vec<Left>,
}

impl Session {
    /// What is deleted next: the old entries, and when there are none any more, the old server.
    pub fn to_remove(&self, look: &Look) -> Vec<Address> {
        match look.pairs.as_slice() {
            [] if look.facts.from_stored => vec![look.migration.old_server()],
            pairs => pairs.iter().map(|pair| Address::new(Kind::Account, pair.old.clone())).collect(),
        }
    }

    /// How the files must be edited so that a plan deletes these and nothing else.
    pub fn removal(&self, look: &Look, addresses: &[Address]) -> Result<Removal> {
        let mut by_address = HashMap::new();
        for resource in &look.draft.resources {
            by_address.insert(resource.address(), resource);
        }
        let stands = |address: &&Address| by_address.get(address).is_some_and(|resource| !resource.absent);
        let drift = addresses.iter().filter(stands);
        let drift: Vec<Drift> = drift.map(|one| Drift { address: one.clone(), what: Drifted::Deleted }).collect();
        let (changed, left) = load::adopt(&self.project, &drift, &mut Diagnostics::default());
        let mut removal = Removal { files: Vec::new(), tombstones: None, left };
        for file in changed {
            removal.files.push((file.path, file.before, file.after));
        }
        if self.project.policy.undeclared == Undeclared::Delete || !removal.left.is_empty() {
            return Ok(removal);
        }
        // The files would not ask for the delete. What other files ask for already is not asked for twice.
        let name = format!("migrations/{}-removed.yaml", look.migration.name);
        let tombstones = look.draft.resources.iter().filter(|one| one.absent);
        let (own, others): (Vec<_>, Vec<_>) =
            tombstones.partition(|one| look.draft.files[one.source.file as usize] == name);
        let others: BTreeSet<Address> = others.into_iter().map(DraftResource::address).collect();
        let mut absent: BTreeSet<Address> = own.into_iter().map(DraftResource::address).collect();
        absent.extend(addresses.iter().filter(|one| !others.contains(*one)).cloned());
        let failed = |error| Error::failure(format!("{name} cannot be written")).because(error);
        let text = migration::removed(&absent, &look.migration).map_err(failed)?;
        let path = self.project.root.join(&name);
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            removal.tombstones = Some((path, text));
        }
        Ok(removal)
    }
}
