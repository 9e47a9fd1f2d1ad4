//! The line: load, resolve, seal, diff, guard, commit. Commands, and whatever else opens a door
//! to the program, call these functions and nothing behind them.

mod addresses;
mod attend;
mod copy;
mod deliver;
mod facts;
mod forwards;
mod hand_over;
mod home;
pub mod hosted;
mod keys;
mod migrate;
mod outbox;
mod plan;
mod probe;
mod refresh;
mod rekey;
mod renames;
mod scope;
mod seal;
mod state;
mod suggest;
mod tokens;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::checkout::{Checkout, CommitTree};
use crate::guard::{self, Verdict};
use crate::history;
use crate::load::{self, Project, Reader, Tree};
use crate::model::plan::{Base, Partial};
use crate::model::{
    Address, Code, Diagnostic, Diagnostics, Error, Inventory, Key, Kind, Logged, Plan, Result, Row, Rows, StorePlace,
    Value, Version, Wanted,
};
use crate::ownership::Asking;
use crate::resolve::{self, Rules};
use crate::store::{Entry, Receipt, Snapshot, Store};
use crate::vault::{KeySource, Vault};
use crate::wire;
use seal::STATUS;

pub use crate::load::find_root;
use attend::Attended;
pub use attend::Decided;
pub use copy::copy;
pub use deliver::Applied;
pub use home::Home;
pub use keys::key_ring;
pub use migrate::{Look, Removal, Verified, Word};
pub use outbox::{Id, Pending};
pub use probe::{AskedProbe, Proof, Targets, To};
pub use refresh::Export;
pub use scope::Exact;
pub use tokens::{AskedToken, is_same_hash, make_token, token_hash, token_holds, written};

/// A project, and the store it is planned against.
pub struct Session {
    pub project: Project,
    /// As it is named in output.
    pub store_name: String,
    store: Box<dyn Store>,
    keys: KeySource,
    /// Files that are no secrets of mailboxes: the store, and its key.
    own: Vec<PathBuf>,
    pub diagnostics: Diagnostics,
    pub strict: bool,
    against: Option<wire::Against>,
    /// What a watcher wants to know of the last plan, and gives the next.
    attended: Attended,
}

/// A plan and everything that is decided about it.
pub struct Planned {
    pub plan: Plan,
    pub verdict: Verdict,
    pub digest: String,
    /// Keyed digest of the declared secrets that do not stand in the configuration itself.
    pub secrets_digest: String,
    /// The same of the secrets that the plan changes.
    pub changed_secrets: String,
    pub secrets: Secrets,
    /// The time by which a purge is due, if the plan depends on one.
    pub as_of: Option<Timestamp>,
    /// The files of the configuration, each with its digest.
    pub files: Vec<(String, String)>,
    /// What is known of the servers that it touches.
    pub proof: Proof,
    vault: Option<Vault>,
}

/// What a plan is asked for.
#[derive(Default)]
pub struct Asked {
    pub secrets: Secrets,
    pub partial: Partial,
    /// These resources and no others, in the place of `partial`.
    pub exact: Option<Exact>,
    /// The time by which a purge is due, if it is not now.
    pub as_of: Option<Timestamp>,
    /// Whether a plan of before is made again: it may have lost what it was restricted to.
    pub again: bool,
    pub probe: AskProbe,
}

/// Whether the servers that a plan touches are probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskProbe {
    #[default]
    Not,
    /// To see what comes of it.
    Look,
    /// What fails refuses the plan, whatever the policy says.
    Demand,
}

/// What becomes of the owner of a resource.
pub enum Ownership<'a> {
    /// The project takes it over, of nobody or of another.
    Adopt { from: Option<&'a str> },
    /// Nobody owns it any more.
    Forget,
}

/// What an apply is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Hash,
    Write,
}

impl Planned {
    fn new(plan: Plan, digest: String) -> Planned {
        Planned {
            plan,
            verdict: Verdict::default(),
            digest,
            secrets_digest: String::new(),
            changed_secrets: String::new(),
            secrets: Secrets::Fetch,
            as_of: None,
            files: Vec::new(),
            proof: Proof::default(),
            vault: None,
        }
    }

    /// How many passwords of mailboxes an apply will hash.
    pub fn passwords(&self) -> u64 {
        let writes = self.plan.changes.iter().filter(|change| change.action.writes());
        let fields = writes.flat_map(|change| &change.fields);
        fields.filter(|field| matches!(field.after, Some(Value::Unhashed(_)))).count() as u64
    }
}

/// What `check` has found.
pub struct Checked {
    pub files: usize,
    pub resources: usize,
}

/// Whether a plan fetches the declared secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    #[default]
    Fetch,
    /// Nothing is known of them then, not even whether they change. Before such a plan is applied, they are
    /// fetched after all.
    Skip,
}

/// What stands above the project file.
#[derive(Clone, Copy, Default)]
pub struct Above<'a> {
    /// `--store` or `YUBIN_STORE`.
    pub store: Option<&'a str>,
    /// `--trusted-config`.
    pub trusted: Option<&'a Path>,
    /// `--against`: a snapshot in the place of the store, and the public key that must have signed it.
    pub against: Option<(&'a Path, Option<&'a str>)>,
    /// The commit that the files are read from, in the place of the folder.
    pub tree: Option<&'a Arc<CommitTree>>,
}

/// The store that the project file names, and the folder that its path is relative to.
pub fn store_of_project(start: &Path) -> Result<(String, PathBuf)> {
    let root = find_root(start)?;
    let mut diagnostics = Diagnostics::default();
    let project = load::read_project(&Tree::Folder(root.clone()), None, &mut diagnostics)?;
    if diagnostics.has_errors() {
        return Err(Error::new(Code::Invalid, "the project file is invalid").hint("`yubin check` says what is wrong"));
    }
    Ok((project.store, root))
}

/// Reads the project file of `start`, or of the nearest folder above it that has one.
pub fn open(start: &Path, above: Above<'_>, strict: bool) -> Result<Session> {
    open_at(&find_root(start)?, start, above, strict)
}

/// Reads the project file of this folder and of no other. What is named from outside is relative to `start`.
pub fn open_at(root: &Path, start: &Path, above: Above<'_>, strict: bool) -> Result<Session> {
    let mut diagnostics = Diagnostics::default();
    let trusted = above.trusted.map(|path| start.join(path));
    let tree = match above.tree {
        Some(files) => Tree::Commit(root.to_path_buf(), Arc::clone(files)),
        None => Tree::Folder(root.to_path_buf()),
    };
    let project = load::read_project(&tree, trusted.as_deref(), &mut diagnostics)?;
    if let Some((path, signer)) = above.against {
        let (taken, against) = state::read(&start.join(path), signer, &project.name, project.system.name)?;
        let (store_name, store) = (format!("snapshot:{}", path.display()), Box::new(taken));
        // A plan against a snapshot fetches no secret, so no key is asked for.
        let keys = KeySource::Beside(PathBuf::new());
        let (own, against) = (Vec::new(), Some(against));
        let attended = Attended::default();
        return Ok(Session { project, store_name, store, keys, own, diagnostics, strict, against, attended });
    }
    let store = above.store;
    let name = store.unwrap_or(&project.store).to_owned();
    if above.trusted.is_some() && store.is_none() && matches!(StorePlace::parse(&name), Ok(StorePlace::Http(_))) {
        let message = "the files are not trusted, and name the server that the token would go to";
        return Err(Error::new(Code::Usage, message).hint("name it with `--store` or YUBIN_STORE"));
    }
    // A path in the project file is relative to it, one from outside to where the user is.
    let base = if store.is_some() { start } else { root };
    let Home { name: store_name, store, keys, own, exposed } = Home::open_for(&name, base, Some(&project.name))?;
    if let Some(path) = exposed {
        let message = format!("others than its owner may read the token file {}", path.display());
        diagnostics.push(Diagnostic::warning("secret/permissions", message).hint("chmod 600 it"));
    }
    let attended = Attended::default();
    Ok(Session { store_name, store, keys, own, project, diagnostics, strict, against: None, attended })
}

impl Session {
    /// One consistent read of the store; `None` if there is none yet.
    pub fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        self.store.snapshot()
    }

    /// Reads and validates the files, without the store.
    pub fn check(&mut self) -> Checked {
        let sources = load::read_sources(&self.project, &mut self.diagnostics);
        let opened = load::open(&self.project, &sources, None, &mut self.diagnostics);
        let reader = Reader::<()> { project: &self.project, inventory: None, fetch: None, early: None, memory: None };
        let (draft, _) = load::draft(&opened, &reader, &mut self.diagnostics);
        let files = draft.files.len();
        let (project, rules) = (&self.project, rules(&self.project));
        let judge = |files: &[String], wanted: Vec<Wanted>| {
            let said = seal::judge_clear(project, &wanted, files);
            let used = project
                .given
                .mail_server
                .then(|| (addresses::declared(&wanted, files), forwards::declared(&wanted, files)));
            (wanted.len(), said, used)
        };
        let (_, checked) = resolve::resolve(rules, draft, None, &mut self.diagnostics, judge);
        let (mut resources, mut used, mut forwards) = (0, Vec::new(), Vec::new());
        for (count, problems, of_mail_server) in checked {
            resources += count;
            self.diagnostics.extend(problems);
            if let Some((addresses, forwarding)) = of_mail_server {
                used.extend(addresses);
                forwards.extend(forwarding);
            }
        }
        self.diagnostics.extend(addresses::twice(used));
        self.diagnostics.extend(forwards::circles(&forwards));
        self.settle();
        Checked { files, resources }
    }

    /// Does what reads the store in several steps, anew where the store has moved in between.
    fn steadily<T>(&mut self, mut read: impl FnMut(&mut Session) -> Result<T>) -> Result<T> {
        const TRIES: usize = 3;
        for _ in 1..TRIES {
            let said = self.diagnostics.clone();
            match read(self) {
                Err(error) if error.about == Some("store/gone") => self.diagnostics = said,
                done => return done,
            }
        }
        read(self)
    }

    fn settle(&mut self) {
        if self.strict {
            self.diagnostics.make_strict();
        }
        self.diagnostics.sort();
    }

    /// The plan that takes back a revision.
    pub fn undo(&mut self, revision: u64) -> Result<Planned> {
        self.steadily(|session| session.undo_once(revision))
    }

    fn undo_once(&mut self, revision: u64) -> Result<Planned> {
        let snapshot = self.store.snapshot()?;
        let vault = self.vault(snapshot.as_deref())?;
        let Some(snapshot) = snapshot else {
            return Err(Error::new(
                Code::Usage,
                format!("there is no revision {revision}: the store does not exist yet"),
            ));
        };
        let inventory = snapshot.inventory(&self.project.name)?;
        let log = SnapshotLog::new(&*snapshot);
        let mut plan =
            history::undo(&log, revision, &self.project.name, self.project.system, snapshot.base(), &inventory)?;
        renames::compare_secrets(&mut plan, vault.as_ref(), &*snapshot)?;
        if let Some(clash) = addresses::clashes(&plan, self.project.given.mail_server, Some(&*snapshot))?.first() {
            return Err(clash.error());
        }
        self.judged_with(plan, vault, Some(&*snapshot), &inventory)
    }

    /// The plan that takes resources over, or lets them go.
    pub fn ownership(&mut self, named: &[Address], what: &Ownership<'_>) -> Result<Planned> {
        let snapshot = self.store.snapshot()?;
        let inventory = match &snapshot {
            Some(snapshot) => snapshot.inventory(&self.project.name)?,
            None => Inventory::default(),
        };
        let base = snapshot.as_ref().map_or(Base::default(), |snapshot| snapshot.base());
        let (project, system) = (&self.project.name, self.project.system);
        let asking = Asking { project, system, base, inventory: &inventory };
        let plan = match what {
            Ownership::Adopt { from } => asking.adopt(named, *from)?,
            Ownership::Forget => asking.forget(named)?,
        };
        // No secret is touched, so no key is needed.
        self.judged_with(plan, None, snapshot.as_deref(), &inventory)
    }

    /// What the store had after one revision and not after another, as a plan: nothing of it is to be applied.
    pub fn between(&mut self, from: u64, to: u64) -> Result<Planned> {
        let snapshot = self.store.snapshot()?;
        let last = snapshot.as_ref().map_or(0, |snapshot| snapshot.base().revision);
        for revision in [from, to] {
            if revision > last {
                let message = format!("there is no revision {revision}; the store is at {last}");
                return Err(Error::new(Code::Usage, message));
            }
        }
        let (mut before, mut after) = (Rows::default(), Rows::default());
        if let Some(snapshot) = &snapshot {
            for (rows, revision) in [(&mut before, from), (&mut after, to)] {
                for kind in Kind::ALL {
                    let mut all = Vec::new();
                    snapshot.scan_at(kind, revision, &mut |row| {
                        all.push(row);
                        Ok(())
                    })?;
                    rows.put(kind, all);
                }
            }
        }
        let (project, system) = (&self.project.name, self.project.system);
        let plan = history::between(project, system, (from, &before), (to, &after));
        let digest = wire::digest(&plan);
        Ok(Planned::new(plan, digest))
    }

    /// What is planned against, if not the store itself.
    pub fn against(&self) -> Option<&wire::Against> {
        self.against.as_ref()
    }

    fn judged(&self, plan: Plan, vault: Option<Vault>, snapshot: Option<&dyn Snapshot>) -> Result<Planned> {
        let limits = [&self.project.policy.max_deletes, &self.project.policy.max_overwrites];
        let inventory = match snapshot {
            // Nobody else asks who has how much.
            Some(snapshot) if limits.iter().any(|one| one.file.is_some() || one.owner.is_some()) => {
                snapshot.inventory(&self.project.name)?
            }
            _ => Inventory::default(),
        };
        self.judged_with(plan, vault, snapshot, &inventory)
    }

    fn judged_with(
        &self,
        mut plan: Plan,
        vault: Option<Vault>,
        snapshot: Option<&dyn Snapshot>,
        inventory: &Inventory,
    ) -> Result<Planned> {
        plan.mail_server = self.project.given.mail_server;
        seal::mark_purged(&mut plan, snapshot)?;
        seal::mark_last_set(&mut plan, snapshot)?;
        let mut facts = facts::of(&mut plan, &self.project.policy, inventory, snapshot)?;
        if facts::takes_servers(&plan) && !plan.recorded {
            facts.migrations = self.open_migrations()?;
        }
        let verdict = guard::judge(&plan, &self.project.policy, facts);
        let digest = wire::digest(&plan);
        let changed_secrets = vault.as_ref().map_or(String::new(), |vault| seal::changed(&plan, vault));
        Ok(Planned { verdict, changed_secrets, vault, ..Planned::new(plan, digest) })
    }

    /// Commits what the guard approves; `consent` is for exactly this plan. `progress` is told how many
    /// passwords are hashed, then how many changes are written.
    pub fn apply(
        &self,
        planned: &mut Planned,
        consent: bool,
        actor: &str,
        progress: &(dyn Fn(Step, u64) + Sync),
    ) -> Result<Receipt> {
        let refused = || Error::new(Code::Refused, "the plan is refused");
        if guard::approve(&planned.plan, &planned.verdict, consent).is_none() {
            return Err(refused());
        }
        self.keep_key(planned)?;
        if let Some(vault) = &planned.vault {
            let scheme = self.project.policy.passwords.scheme;
            seal::hash_passwords(&mut planned.plan, vault, scheme, &|done| progress(Step::Hash, done))?;
        }
        let approved = guard::approve(&planned.plan, &planned.verdict, consent).ok_or_else(refused)?;
        let key_id = planned.vault.as_ref().map(|vault| vault.id().to_owned());
        let commit = self.commit_of(planned);
        let entry = Entry {
            actor,
            digest: &planned.digest,
            key_id: key_id.as_deref(),
            commit: commit.as_deref(),
            request: None,
        };
        self.expect_notices(planned.plan.base.revision);
        self.store.commit(&approved, &entry, &|done| progress(Step::Write, done))
    }

    /// The commit that the files of a plan stand in, if git knows one.
    fn commit_of(&self, planned: &Planned) -> Option<String> {
        // A trusted configuration has no name here, and stands elsewhere.
        let sources = planned.files.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty());
        let mut sources = sources.peekable();
        sources.peek()?;
        if let Some(commit) = self.project.tree.commit() {
            return Some(commit.to_owned());
        }
        Checkout::of(&self.project.root)?.commit(sources)
    }

    /// Does all that an apply does, and takes it back; `false` if the plan is refused.
    pub fn rehearse(&self, planned: &mut Planned, actor: &str) -> Result<bool> {
        if guard::approve(&planned.plan, &planned.verdict, false).is_none() {
            return Ok(false);
        }
        let fresh = planned.plan.changes.clone();
        if let Some(vault) = &planned.vault {
            seal::hash_passwords(&mut planned.plan, vault, self.project.policy.passwords.scheme, &|_| {})?;
        }
        let done = match guard::approve(&planned.plan, &planned.verdict, false) {
            Some(approved) => {
                let key_id = planned.vault.as_ref().map(|vault| vault.id().to_owned());
                let entry =
                    Entry { actor, digest: &planned.digest, key_id: key_id.as_deref(), commit: None, request: None };
                self.store.rehearse(&approved, &entry, &|_| {})
            }
            None => Ok(()),
        };
        planned.plan.changes = fresh;
        done.map(|()| true)
    }

    /// Where nothing changes: keeps what makes the next plan faster. That it fails is no failure of an apply.
    pub fn learn(&self, planned: &Planned) {
        if let Some(vault) = &planned.vault
            && planned.plan.is_empty()
            && !planned.plan.learned.is_empty()
        {
            let _ = self.store.learn(&planned.plan, vault.id());
        }
    }
}

fn rules(project: &Project) -> Rules<'_> {
    Rules { system: project.system, given: &project.given }
}

/// The log, with what the store holds of a revision's resources now, which is asked for all of them at once.
struct SnapshotLog<'a> {
    snapshot: &'a dyn Snapshot,
    current: RefCell<HashMap<Address, Option<Row>>>,
}

impl<'a> SnapshotLog<'a> {
    fn new(snapshot: &'a dyn Snapshot) -> SnapshotLog<'a> {
        SnapshotLog { snapshot, current: RefCell::default() }
    }
}

impl history::Log for SnapshotLog<'_> {
    fn recorded(&self, revision: u64) -> Result<bool> {
        Ok(self.snapshot.revisions()?.iter().any(|one| one.revision == revision && one.recorded))
    }

    fn changes(&self, revision: u64) -> Result<Vec<Logged>> {
        let changes = self.snapshot.changes(revision)?;
        let mut current = self.current.borrow_mut();
        for kind in Kind::ALL {
            let of_kind = changes.iter().filter(|logged| logged.kind == kind);
            let mut keys: Vec<Key> =
                of_kind.flat_map(|logged| [Some(&logged.key), logged.previously.as_ref()]).flatten().cloned().collect();
            keys.sort_unstable();
            keys.dedup();
            let rows = self.snapshot.fetch(kind, &keys)?;
            current.extend(keys.into_iter().map(|key| (Address::new(kind, key), None)));
            current.extend(rows.into_iter().map(|row| (Address::new(kind, row.key.clone()), Some(row))));
        }
        Ok(changes)
    }

    fn versions(&self, address: &Address) -> Result<Vec<Version>> {
        self.snapshot.versions(address)
    }

    fn current(&self, address: &Address) -> Result<Option<Row>> {
        if let Some(known) = self.current.borrow().get(address) {
            return Ok(known.clone());
        }
        Ok(self.snapshot.fetch(address.kind, std::slice::from_ref(&address.key))?.pop())
    }
}
