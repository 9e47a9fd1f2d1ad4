//! The line: load, resolve, seal, diff, guard, commit. Commands, and whatever else opens a door
//! to the program, call these functions and nothing behind them.

mod hand_over;
mod keys;
mod refresh;
mod rekey;
mod seal;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use crate::diff::{self, Current, Declared, Part};
use crate::guard::{self, Facts, InUse, Verdict};
use crate::history;
use crate::load::{self, Opened, Project, Reader, Sources};
use crate::model::plan::Base;
use crate::model::{
    Action, Address, Code, Diagnostic, Diagnostics, Draft, DraftResource, Error, Existing, Inventory, Key, Kind,
    Logged, Plan, Raw, Result, Row, Rows, SecretSource, Value, Version, Wanted, parallel,
};
use crate::ownership::Asking;
use crate::resolve::{self, Rules, Stored};
use crate::store::sqlite::Sqlite;
use crate::store::{Entry, Receipt, Snapshot, Store};
use crate::vault::{Fetcher, KeySource, Vault};
use crate::wire;
use keys::key_source;
use seal::{Notices, STATUS, Sealer, Sealing};

pub use keys::key_ring;
pub use refresh::Export;

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
}

/// A plan and everything that is decided about it.
pub struct Planned {
    pub plan: Plan,
    pub verdict: Verdict,
    pub digest: String,
    /// Keyed digest of the declared secrets that do not stand in the configuration itself.
    pub secrets_digest: String,
    pub secrets: Secrets,
    vault: Option<Vault>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
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
}

/// Reads the project file.
pub fn open(start: &Path, above: Above<'_>, strict: bool) -> Result<Session> {
    let root = load::find_root(start)?;
    let mut diagnostics = Diagnostics::default();
    let trusted = above.trusted.map(|path| start.join(path));
    let project = load::read_project(&root, trusted.as_deref(), &mut diagnostics)?;
    let store = above.store;
    let name = store.unwrap_or(&project.store).to_owned();
    let Some(path) = name.strip_prefix("sqlite:").filter(|path| !path.is_empty()) else {
        // The address may hold a password.
        return Err(Error::new(Code::Usage, "this is no address of a store").hint("a store is `sqlite:PATH`"));
    };
    // A path in the project file is relative to it, one from outside to where the user is.
    let base = if store.is_some() { start } else { root.as_path() };
    let path = base.join(path);
    let keys = key_source(&path);
    let mut own = vec![path.clone()];
    if let KeySource::File(path) | KeySource::Beside(path) = &keys {
        own.push(path.clone());
    }
    Ok(Session { store_name: name, store: Box::new(Sqlite::new(path)), keys, own, project, diagnostics, strict })
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
        let reader = Reader::<()> { project: &self.project, inventory: None, fetch: None, early: None };
        let (draft, _) = load::draft(&opened, &reader, &mut self.diagnostics);
        let files = draft.files.len();
        let (project, rules) = (&self.project, rules(&self.project));
        let count = |files: &[String], wanted: Vec<Wanted>| (wanted.len(), seal::judge_clear(project, &wanted, files));
        let (_, checked) = resolve::resolve(rules, draft, None, &mut self.diagnostics, count);
        let mut resources = 0;
        for (count, problems) in checked {
            resources += count;
            self.diagnostics.extend(problems);
        }
        self.settle();
        Checked { files, resources }
    }

    fn settle(&mut self) {
        if self.strict {
            self.diagnostics.make_strict();
        }
        self.diagnostics.sort();
    }

    /// The plan from files and store; `None` if the input has errors, which then stand among the
    /// diagnostics.
    pub fn plan(&mut self, secrets: Secrets) -> Result<Option<Planned>> {
        let snapshot = self.store.snapshot()?;
        // Whoever fetches no secrets needs no key, and plans the same whether there is one or not.
        let vault = if secrets == Secrets::Skip { None } else { self.vault(snapshot.as_deref())? };
        // Without a store every record is new, but its digest is worth keeping.
        let key = vault.as_ref().map(Vault::record_key);
        let sources = OnceLock::new();
        let (opened, inventory, config_digest) = self.read_both(snapshot.as_deref(), key.as_ref(), &sources)?;
        let (system, policy) = (self.project.system, &self.project.policy);
        let rules = rules(&self.project);
        let base = snapshot.as_ref().map_or(Base::default(), |snapshot| snapshot.base());
        let no_rows = Rows::default();
        let abused = seal::abused(snapshot.as_deref(), system)?;
        let snapshot = snapshot.map(Mutex::new);
        let ring = key_ring(&self.project.trust.identities, &self.project.root);
        let outside = Fetcher::new(&self.project.root, &self.project.trust, ring, self.own.clone());
        let new = Current { base, inventory: &inventory, rows: &no_rows };
        let seal_new = Sealer {
            vault: vault.as_ref(),
            fetcher: (secrets == Secrets::Fetch).then_some(&outside),
            project: &self.project,
            rows: &no_rows,
            abused: &abused,
            snapshot: snapshot.as_ref(),
        };
        let files = opened.names();
        let early = |resources: Vec<DraftResource>| {
            let (mut wanted, problems) = resolve::resolve_new(rules, &files, resources);
            let mut sealing = seal_new.seal(&mut wanted, &files);
            sealing.problems.extend(problems);
            (diff::compare(system, wanted, &new, policy), sealing)
        };
        // What is to be said about a secret is said where its record is read.
        let fetch_quietly = |source: &SecretSource| outside.fetch(source).ok().filter(|_| !outside.is_exposed(source));
        let reader = Reader {
            project: &self.project,
            inventory: Some(&inventory),
            fetch: (secrets == Secrets::Fetch).then_some(&fetch_quietly),
            early: Some(&early),
        };
        let (draft, mut parts) = load::draft(&opened, &reader, &mut self.diagnostics);
        let gone = self.undeclared(&draft, &inventory);
        let rows = thread::scope(|scope| {
            // Giving hundreds of megabytes back takes a while.
            scope.spawn(move || drop(opened));
            let snapshot = snapshot.as_ref().map(|one| one.lock().unwrap_or_else(PoisonError::into_inner));
            fetch(snapshot.as_deref().map(|one| &**one), &draft, &gone, &inventory, system.ordered)
        })?;
        let mut fetched = vec![draft.outside.concat()];
        let stored = Stored { inventory: &inventory, rows: &rows, gone: &gone };
        let current = Current { base, inventory: &inventory, rows: &rows };
        hint_at_deletes(&self.project, &draft, &mut self.diagnostics);
        outside.hide(draft.resources.iter().flat_map(|resource| &resource.cells).filter_map(|cell| match &cell.raw {
            Raw::Secret(SecretSource::Env(name)) => Some(name.as_str()),
            _ => None,
        }));
        let sealer = Sealer { rows: &rows, ..seal_new };
        let (desired, others) =
            resolve::resolve(rules, draft, Some(&stored), &mut self.diagnostics, |files, mut wanted| {
                let sealing = sealer.seal(&mut wanted, files);
                (diff::compare(system, wanted, &current, policy), sealing)
            });
        parts.extend(others);
        let (parts, sealing): (Vec<Part>, Vec<Sealing>) = parts.into_iter().unzip();
        if sealing.iter().any(|sealing| sealing.no_key) {
            return Err(self.lost_key());
        }
        let mut notices = Notices::default();
        for sealing in sealing {
            self.diagnostics.extend(sealing.problems);
            notices.extend(sealing.notices);
            fetched.extend(sealing.outside);
        }
        if !self.diagnostics.has_errors() {
            self.diagnostics.extend(notices.into_diagnostics());
        }
        let secrets_digest = vault.as_ref().map_or(String::new(), |vault| vault.fingerprint(fetched.into_iter()));
        self.settle();
        if self.diagnostics.has_errors() {
            return Ok(None);
        }
        let mut plan = diff::assemble(&self.project.name, system, desired, parts, gone, &current);
        plan.config_digest = config_digest;
        let snapshot = snapshot.map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
        let planned = self.judged(plan, secrets_digest, vault, snapshot.as_deref())?;
        Ok(Some(Planned { secrets, ..planned }))
    }

    /// The plan that takes back a revision.
    pub fn undo(&mut self, revision: u64) -> Result<Planned> {
        let snapshot = self.store.snapshot()?;
        let vault = self.vault(snapshot.as_deref())?;
        let Some(snapshot) = snapshot else {
            return Err(Error::new(
                Code::Usage,
                format!("there is no revision {revision}: the store does not exist yet"),
            ));
        };
        let inventory = snapshot.inventory(&self.project.name)?;
        let log = SnapshotLog(&*snapshot);
        let plan = history::undo(&log, revision, &self.project.name, self.project.system, snapshot.base(), &inventory)?;
        self.judged(plan, String::new(), vault, Some(&*snapshot))
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
        self.judged(plan, String::new(), None, snapshot.as_deref())
    }

    fn judged(
        &self,
        mut plan: Plan,
        secrets_digest: String,
        vault: Option<Vault>,
        snapshot: Option<&dyn Snapshot>,
    ) -> Result<Planned> {
        seal::mark_purged(&mut plan, snapshot)?;
        seal::mark_last_set(&mut plan, snapshot)?;
        let in_use = in_use(&plan, snapshot)?;
        let verdict = guard::judge(&plan, &self.project.policy, Facts { in_use, ..Facts::default() });
        let digest = wire::digest(&plan);
        Ok(Planned { plan, verdict, digest, secrets_digest, secrets: Secrets::Fetch, vault })
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
        let entry = Entry { actor, digest: &planned.digest, key_id: key_id.as_deref(), commit: None };
        self.store.commit(&approved, &entry, &|done| progress(Step::Write, done))
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

    /// Files, inventory and the configuration's digest, at the same time.
    fn read_both<'a>(
        &mut self,
        snapshot: Option<&dyn Snapshot>,
        key: Option<&[u8; 32]>,
        sources: &'a OnceLock<Sources>,
    ) -> Result<(Opened<'a>, Inventory, String)> {
        let project = &self.project;
        let read = || {
            let mut problems = Diagnostics::default();
            let sources = sources.get_or_init(|| load::read_sources(project, &mut problems));
            thread::scope(|scope| {
                let digest = scope.spawn(|| load::config_digest(project, sources));
                let opened = load::open(project, sources, key, &mut problems);
                (opened, problems, parallel::join(digest))
            })
        };
        let (inventory, (opened, problems, digest)) = thread::scope(|scope| {
            let reading = scope.spawn(read);
            let inventory = snapshot.map_or(Ok(Inventory::default()), |snapshot| snapshot.inventory(&project.name));
            (inventory, parallel::join(reading))
        });
        self.diagnostics.extend(problems);
        Ok((opened, inventory?, digest))
    }

    fn undeclared(&self, draft: &Draft, inventory: &Inventory) -> Vec<(Kind, Key)> {
        let mut declared = Declared::new(inventory);
        for one in &draft.recognised {
            declared.insert(one.kind, one.entry);
        }
        for resource in &draft.resources {
            if let Some(entry) = inventory.of(resource.kind).find(resource.key.as_bytes()) {
                declared.insert(resource.kind, entry);
            }
        }
        let mentioned = Kind::ALL.map(|kind| draft.mentioned[kind as usize] && self.project.system.manages(kind));
        diff::undeclared(mentioned, &declared, inventory, &self.project.policy)
    }
}

/// The product's check box does not say whether it also holds for deletes (AMB-A9).
fn hint_at_deletes(project: &Project, draft: &Draft, diagnostics: &mut Diagnostics) {
    if project.policy.existing == Existing::Overwrite || project.system.name != "catchme-mail" {
        return;
    }
    if let Some(first) = draft.resources.iter().find(|resource| resource.absent) {
        let message = "deletes do not depend on `existing`: it is assumed that the product's check box concerns overwriting alone (000:4-5)";
        let (file, place) = (&draft.files[first.source.file as usize], first.source.place);
        diagnostics.push(
            Diagnostic::info("catchme-mail/delete-ignores-existing", message)
                .at(file, place.line, place.column)
                .of(&first.address()),
        );
    }
}

fn rules(project: &Project) -> Rules<'_> {
    Rules { system: project.system, given: &project.given }
}

/// The stored rows of what is declared in full, and of what is declared no more.
///
/// Where the order of servers is state, or accounts refer to them, all servers.
fn fetch(
    snapshot: Option<&dyn Snapshot>,
    draft: &Draft,
    gone: &[(Kind, Key)],
    inventory: &Inventory,
    all_servers: bool,
) -> Result<Rows> {
    let mut rows = Rows::default();
    let Some(snapshot) = snapshot else { return Ok(rows) };
    for kind in Kind::ALL {
        let shelf = inventory.of(kind);
        let of_kind = draft.resources.iter().filter(|resource| resource.kind == kind).map(|resource| &resource.key);
        let declared = of_kind.filter(|key| shelf.find(key.as_bytes()).is_some());
        let gone = gone.iter().filter(|(other, _)| *other == kind).map(|(_, key)| key);
        let mut keys: Vec<Key> = if kind == Kind::Server && all_servers {
            (0..shelf.len() as u32).map(|at| shelf.key(at)).collect()
        } else {
            declared.chain(gone).cloned().collect()
        };
        // In the order in which they lie on the disk.
        keys.sort_unstable();
        rows.put(kind, snapshot.fetch(kind, &keys)?);
    }
    Ok(rows)
}

fn in_use(plan: &Plan, snapshot: Option<&dyn Snapshot>) -> Result<Vec<InUse>> {
    let mut all = Vec::new();
    let Some(snapshot) = snapshot else { return Ok(all) };
    for change in plan.changes.iter().filter(|change| change.kind == Kind::Server && change.action == Action::Delete) {
        let (users, count) = snapshot.users_of_server(&change.key)?;
        if count > 0 {
            all.push(InUse { server: change.address(), users, count });
        }
    }
    Ok(all)
}

struct SnapshotLog<'a>(&'a dyn Snapshot);

impl history::Log for SnapshotLog<'_> {
    fn recorded(&self, revision: u64) -> Result<bool> {
        Ok(self.0.revisions()?.iter().any(|one| one.revision == revision && one.recorded))
    }

    fn changes(&self, revision: u64) -> Result<Vec<Logged>> {
        self.0.changes(revision)
    }

    fn versions(&self, address: &Address) -> Result<Vec<Version>> {
        self.0.versions(address)
    }

    fn current(&self, address: &Address) -> Result<Option<Row>> {
        Ok(self.0.fetch(address.kind, std::slice::from_ref(&address.key))?.pop())
    }
}
