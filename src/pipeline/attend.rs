//! What a watcher asks of a session, beside plan and apply.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Planned, Session};
use crate::checkout::Checkout;
use crate::load::{self, FILE_NAME, Memory, Stamp};
use crate::model::plan::Base;
use crate::model::sync::Sort;
use crate::model::{Action, Address, Approval, Change, Key, Kind, Result, Revision};
use crate::store::Turns;
use crate::vault::KeySource;

/// What a session keeps for a watcher.
#[derive(Default)]
pub(super) struct Attended {
    /// What is known of files that earlier plans have read.
    pub memory: Option<Arc<Memory>>,
    /// Files of secrets that the last plan has asked for.
    pub secret_files: Vec<PathBuf>,
    /// Of the configuration that the last plan was made from, or could not be made from.
    pub config_digest: Option<String>,
}

impl Session {
    /// From now on, plans do not read again what they know, and what they read is known to later ones.
    pub fn remember(&mut self, memory: Arc<Memory>) {
        self.attended.memory = Some(memory);
    }

    pub fn base(&self) -> Result<Base> {
        Ok(self.store.snapshot()?.map_or(Base::default(), |snapshot| snapshot.base()))
    }

    /// `None` where nobody else can be at the store.
    pub fn turns(&self) -> Option<&dyn Turns> {
        self.store.turns()
    }

    /// All that the last plan was read from, and others that its meaning depends on, as they look now.
    pub fn stamp(&self, trusted: Option<&Path>) -> Stamp {
        let trusted = trusted.map(Path::to_path_buf).into_iter();
        let more: Vec<PathBuf> = trusted.chain(self.attended.secret_files.iter().cloned()).collect();
        Stamp::of(&self.project, &more)
    }

    /// Files that are no part of the project: the store, and its key.
    pub fn own_files(&self) -> &[PathBuf] {
        &self.own
    }

    /// Files of secrets that the last plan has asked for.
    pub fn secret_files(&self) -> &[PathBuf] {
        &self.attended.secret_files
    }

    /// Digest of the configuration that the last plan was made from, or could not be made from.
    pub fn config_digest(&self) -> Option<&str> {
        self.attended.config_digest.as_deref()
    }

    pub fn owns_anything(&self) -> Result<bool> {
        let Some(snapshot) = self.store.snapshot()? else { return Ok(false) };
        let inventory = snapshot.inventory(&self.project.name)?;
        Ok(Kind::ALL.iter().any(|kind| inventory.of(*kind).owned() > 0))
    }

    pub fn approvals(&self) -> Result<Vec<Approval>> {
        self.store.turns().map_or(Ok(Vec::new()), |turns| turns.approvals(&self.project.name))
    }

    /// Digests of plans that one of the last commits consents to.
    pub fn acks(&self) -> Vec<String> {
        let Some(checkout) = Checkout::of(&self.project.root) else { return Vec::new() };
        self.project.tree.commit().map_or_else(|| checkout.acks(), |commit| checkout.acks_of(commit))
    }

    /// Files of secrets that an earlier plan has asked for: this one's will hardly be others.
    pub fn expect_secrets(&mut self, files: &[PathBuf]) {
        self.attended.secret_files = files.to_vec();
    }

    /// Whether a file would be a source.
    pub fn would_be_source(&self, path: &Path) -> bool {
        let name = path.strip_prefix(&self.project.root).ok().and_then(Path::to_str);
        name.is_some_and(|name| load::would_be_source(&self.project, &name.replace('\\', "/")))
    }

    /// Whether there is a key of a store that is not there.
    pub fn has_lost_its_store(&self) -> Result<bool> {
        let KeySource::Beside(path) = &self.keys else { return Ok(false) };
        Ok(path.exists() && self.store.snapshot()?.is_none())
    }

    /// The file that says that nothing is to be applied, if it is there. Where that cannot be told, it is.
    pub fn paused_by(&self) -> Option<PathBuf> {
        let path = self.project.sync.pause(&self.project.root)?;
        let is_gone = std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        (!is_gone).then_some(path)
    }

    /// Whether the files are those that were applied before this revision, and nobody has gone back to them since: a
    /// commit that takes another back is a new one, and a file that was edited back is newer than what it takes back.
    fn are_older(&self, planned: &Planned, than: &Revision, mut before: impl Iterator<Item = Revision>) -> bool {
        let here = self.commit_of(planned);
        if !before.any(|one| one.config_digest == planned.plan.config_digest && one.commit == here) {
            return false;
        }
        let edited = self.stamp(None).newest().and_then(|at| Timestamp::try_from(at).ok());
        match (here, edited, than.at.parse::<Timestamp>()) {
            (None, Some(edited), Ok(applied)) => edited < applied,
            _ => true,
        }
    }

    /// Whether the plan was made from any source at all.
    pub fn has_sources(&self, planned: &Planned) -> bool {
        let users = self.project.users_file.as_ref().map(|(name, _)| name.as_str());
        // A trusted configuration has no name here.
        planned.files.iter().any(|(name, _)| !name.is_empty() && name != FILE_NAME && Some(name.as_str()) != users)
    }

    /// What the log says of a plan. `settled` is the digest of the files that whoever asks has found applied before.
    pub fn decided(&self, planned: &Planned, settled: Option<&str>) -> Result<Decided> {
        let plan = &planned.plan;
        let Some(snapshot) = self.store.snapshot()? else { return Ok(Decided::New) };
        let mut own = snapshot.revisions()?.into_iter().filter(|one| one.project == self.project.name);
        let written: HashSet<Address> =
            plan.changes.iter().filter(|change| change.action.writes()).flat_map(addresses).collect();
        while let Some(revision) = own.next() {
            if revision.config_digest.is_empty() {
                // Whoever takes something back means it until the files say so, too.
                let decides = revision.note.as_deref().is_some_and(|note| note.starts_with("undo"));
                if decides
                    && snapshot.changes(revision.revision)?.iter().any(|logged| written.contains(&logged.address()))
                {
                    return Ok(Decided::ByHand(Box::new(revision)));
                }
            } else if revision.config_digest == plan.config_digest {
                return Ok(Decided::Same);
            } else {
                // Somebody may have applied other files since, elsewhere.
                let known = settled == Some(revision.config_digest.as_str());
                let stale =
                    settled == Some(plan.config_digest.as_str()) || (!known && self.are_older(planned, &revision, own));
                return Ok(if stale { Decided::ByHand(Box::new(revision)) } else { Decided::New });
            }
        }
        Ok(if settled == Some(plan.config_digest.as_str()) { Decided::Same } else { Decided::New })
    }
}

/// What was decided about the files of a plan before.
pub enum Decided {
    /// They are not those that were applied last.
    New,
    /// They are, and it is not people who have changed since what they declare.
    Same,
    /// In this revision somebody has decided otherwise: has taken back what the plan would write again, or has applied
    /// other files after these.
    ByHand(Box<Revision>),
}

impl Planned {
    /// What the plan does that may have windows of its own.
    pub fn sorts(&self) -> Vec<Sort> {
        let plan = &self.plan;
        let password = |change: &Change| {
            let mut fields = change.fields.iter();
            change.action.writes()
                && !matches!(change.action, Action::Add)
                && !change.action.loses()
                && fields.any(|one| change.kind.field(one.field).is_secret())
        };
        let mut sorts = Vec::new();
        if plan.changes.iter().any(|change| matches!(change.effect(plan), Some(crate::model::Effect::Logout(_)))) {
            sorts.push(Sort::Logouts);
        }
        if plan.changes.iter().any(password) {
            sorts.push(Sort::Passwords);
        }
        sorts
    }

    /// Whether the plan does nothing but take back what other software has written.
    pub fn only_heals(&self) -> bool {
        let drifted: HashSet<(Kind, &Key)> =
            self.plan.drift.iter().map(|one| (one.address.kind, &one.address.key)).collect();
        let mut written = self.plan.changes.iter().filter(|change| change.action.writes()).peekable();
        written.peek().is_some() && written.all(|change| drifted.contains(&(change.kind, change.stored_key())))
    }

    /// Whether the plan takes anything away, now or after a while.
    pub fn loses(&self) -> bool {
        self.plan.changes.iter().any(|change| change.action.loses())
    }
}

/// Those that a change concerns.
fn addresses(change: &Change) -> impl Iterator<Item = Address> {
    let stored = (change.stored_key() != &change.key).then(|| Address::new(change.kind, change.stored_key().clone()));
    std::iter::once(change.address()).chain(stored)
}
