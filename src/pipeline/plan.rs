//! The line from files and store to a plan.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use jiff::Timestamp;

use super::scope::Scope;
use super::seal::{self, Notices, Sealer, Sealing};
use super::{Asked, Planned, Secrets, Session, addresses, facts, key_ring, renames, rules, suggest};
use crate::diff::{self, Current, Declared, Part, Terms};
use crate::load::{self, Opened, Project, Reader, Sources};
use crate::model::draft::Recognised;
use crate::model::plan::{Base, Drifted};
use crate::model::{
    Address, Change, Diagnostic, Diagnostics, Draft, DraftResource, Existing, FieldId, Inventory, Key, Kind, Raw,
    Renames, Result, Rows, SecretSource, Wanted, parallel,
};
use crate::resolve::{self, Stored};
use crate::store::Snapshot;
use crate::vault::Fetcher;

/// Digest of the configuration, and of each file of it.
type Digests = (String, Vec<(String, String)>);

impl Session {
    /// The plan from files and store; `None` if the input has errors, which then stand among the
    /// diagnostics.
    pub fn plan(&mut self, asked: &Asked) -> Result<Option<Planned>> {
        let mut planned = self.steadily(|session| session.plan_once(asked))?;
        if let Some(planned) = &mut planned {
            self.prove(planned, asked)?;
        }
        Ok(planned)
    }

    fn plan_once(&mut self, asked: &Asked) -> Result<Option<Planned>> {
        let snapshot = self.store.snapshot()?;
        let secrets = asked.secrets;
        let mut scope = match &asked.exact {
            Some(exact) => Scope::exactly(exact.clone()),
            None => Scope::new(&asked.partial)?,
        };
        // Whoever fetches no secrets needs no key, and plans the same whether there is one or not.
        let vault = if secrets == Secrets::Skip { None } else { self.vault(snapshot.as_deref())? };
        // Without a store every record is new, but its digest is worth keeping.
        let key = vault.as_ref().map(|vault| vault.record_key(&record_name(&self.project)));
        let sources = OnceLock::new();
        let (opened, mut inventory, (config_digest, files_digests)) =
            self.read_both(snapshot.as_deref(), key.as_ref(), &sources)?;
        self.attended.config_digest = Some(config_digest.clone());
        let (system, policy) = (self.project.system, &self.project.policy);
        let rules = rules(&self.project);
        let base = snapshot.as_ref().map_or(Base::default(), |snapshot| snapshot.base());
        let (no_rows, no_renames, no_terms) = (Rows::default(), Renames::default(), Terms::new());
        let abused = seal::abused(snapshot.as_deref(), system)?;
        let drift = snapshot.as_ref().map_or(Ok(Vec::new()), |snapshot| snapshot.drift())?;
        let touched: HashSet<(Kind, Key)> =
            drift.iter().map(|one| (one.address.kind, one.address.key.clone())).collect();
        for (kind, key) in &touched {
            // A digest that other software has put back would hide what it has changed.
            inventory.of_mut(*kind).forget(key);
        }
        let as_of = policy.grace.map(|_| asked.as_of.unwrap_or_else(Timestamp::now));
        let disabled = snapshot.as_ref().map_or(Ok(Vec::new()), |snapshot| snapshot.disabled())?;
        let terms = facts::terms(&disabled, policy.grace, as_of, snapshot.as_deref())?;
        let snapshot = snapshot.map(Mutex::new);
        let ring = key_ring(&self.project.trust.identities, &self.project.root);
        let outside = Fetcher::new(&self.project.root, &self.project.trust, ring, self.own.clone())
            .hiding(self.project.hooks.iter().filter_map(|hook| hook.variable().map(str::to_owned)));
        let new = Current {
            base,
            inventory: &inventory,
            rows: &no_rows,
            renames: &no_renames,
            terms: &no_terms,
            touched: &touched,
        };
        let seal_new = Sealer {
            vault: vault.as_ref(),
            fetcher: (secrets == Secrets::Fetch).then_some(&outside),
            project: &self.project,
            rows: &no_rows,
            renames: &no_renames,
            abused: &abused,
            snapshot: snapshot.as_ref(),
        };
        let files = opened.names();
        // What it takes to finish some of the resources.
        let finish =
            |sealer: &Sealer<'_>, current: &Current<'_>, scope: &Scope, files: &[String], wanted: Vec<Wanted>| {
                let mut wanted = wanted;
                let declared = diff::declared(&wanted);
                // What is out of scope needs no secret, and is not compared.
                wanted.retain(|wanted| {
                    let previously = current.renames.from(wanted.kind, &wanted.key);
                    scope.holds_by(wanted.kind, &wanted.key, previously)
                });
                let sealing = sealer.seal(&mut wanted, files);
                let mut part = diff::compare(system, wanted, current, policy);
                part.declared = declared;
                (part, sealing)
            };
        let early = |resources: Vec<DraftResource>| {
            let (wanted, problems) = resolve::resolve_new(rules, &files, resources);
            let (part, mut sealing) = finish(&seal_new, &new, &scope, &files, wanted);
            sealing.problems.extend(problems);
            (part, sealing)
        };
        // What is to be said about a secret is said where its record is read.
        let fetch_quietly = |source: &SecretSource| outside.fetch(source).ok().filter(|_| !outside.is_exposed(source));
        let reader = Reader {
            project: &self.project,
            inventory: Some(&inventory),
            fetch: (secrets == Secrets::Fetch).then_some(&fetch_quietly),
            early: Some(&early),
            memory: self.attended.memory.as_deref(),
        };
        let (found, mut parts) = load::draft(&opened, &reader, &mut self.diagnostics);
        let locked = || snapshot.as_ref().map(|one| one.lock().unwrap_or_else(PoisonError::into_inner));
        let renames = {
            let snapshot = locked();
            renames::find(&found, &inventory, snapshot.as_deref().map(|one| &**one))?
        };
        let mut gone = self.undeclared(&found, &inventory, &renames);
        gone.retain(|(kind, key)| scope.holds(*kind, key));
        scope.bring(&found.resources, &inventory)?;
        scope.refuse_halves(&renames)?;
        // They count as declared all the same.
        let out_of_scope = if scope.is_whole() {
            0
        } else {
            let holds = |one: &&Recognised| scope.holds(one.kind, &inventory.of(one.kind).key(one.entry));
            found.recognised.iter().filter(|one| !holds(one)).count() as u64
        };
        let mut rows = thread::scope(|scope| {
            // Giving hundreds of megabytes back takes a while.
            scope.spawn(move || drop(opened));
            let snapshot = locked();
            fetch(snapshot.as_deref().map(|one| &**one), &found, &gone, &inventory, system.ordered)
        })?;
        {
            let snapshot = locked();
            renames::rename(&mut rows, &renames, vault.as_ref(), snapshot.as_deref().map(|one| &**one))?;
        }
        let mut fetched = vec![found.outside.concat()];
        let stored = Stored { inventory: &inventory, rows: &rows, gone: &gone };
        let current = Current { rows: &rows, renames: &renames, terms: &terms, ..new };
        hint_at_deletes(&self.project, &found, &mut self.diagnostics);
        outside.hide(found.resources.iter().flat_map(|resource| &resource.cells).filter_map(|cell| match &cell.raw {
            Raw::Secret(SecretSource::Env(name)) => Some(name.as_str()),
            _ => None,
        }));
        let sealer = Sealer { rows: &rows, renames: &renames, ..seal_new };
        let (desired, others) =
            resolve::resolve(rules, found, Some(&stored), &mut self.diagnostics, |files, wanted| {
                finish(&sealer, &current, &scope, files, wanted)
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
        if !asked.again {
            scope.refuse_idle(&inventory)?;
        }
        let mut settled: HashMap<(Kind, Key), Vec<FieldId>> = HashMap::new();
        for (kind, key, fields) in parts.iter().flat_map(|part| &part.settled) {
            settled.insert((*kind, key.clone()), fields.clone());
        }
        let mut plan = diff::assemble(&self.project.name, system, desired, parts, gone, &current, policy.grace);
        plan.unchanged -= out_of_scope;
        plan.config_digest = config_digest;
        plan.partial = scope.partial();
        let declares = |change: &&Change| change.source.is_some() && !change.action.loses();
        let standing: HashSet<(Kind, &Key)> = plan
            .changes
            .iter()
            .filter(|_| !drift.is_empty())
            .filter(declares)
            .map(|change| (change.kind, &change.key))
            .collect();
        let mut drift = drift;
        drift.retain(|one| {
            let Address { kind, key } = &one.address;
            match &one.what {
                Drifted::Field { field, .. } => {
                    !settled.get(&(*kind, key.clone())).is_some_and(|fields| fields.contains(field))
                }
                // What no file declares is as gone as it should be.
                Drifted::Deleted => standing.contains(&(*kind, key)),
                Drifted::Added | Drifted::Column(_) => true,
            }
        });
        plan.drift = drift;
        let secret_files = outside.files();
        let ours = self.project.given.mail_server;
        let clashes = addresses::clashes(&plan, ours, locked().as_deref().map(|one| &**one))?;
        self.diagnostics.extend(clashes.iter().map(|clash| clash.diagnostic(&plan)));
        if !self.diagnostics.has_errors() {
            self.diagnostics.extend(suggest::renames(&plan, &rows, system));
        }
        self.attended.secret_files = secret_files;
        self.settle();
        if self.diagnostics.has_errors() {
            return Ok(None);
        }
        let snapshot = snapshot.map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
        let planned = self.judged_with(plan, vault, snapshot.as_deref(), &inventory)?;
        Ok(Some(Planned { secrets, secrets_digest, as_of, files: files_digests, ..planned }))
    }

    /// Files, inventory and the configuration's digest, at the same time.
    fn read_both<'a>(
        &mut self,
        snapshot: Option<&dyn Snapshot>,
        key: Option<&[u8; 32]>,
        sources: &'a OnceLock<Sources>,
    ) -> Result<(Opened<'a>, Inventory, Digests)> {
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

    fn undeclared(&self, draft: &Draft, inventory: &Inventory, renames: &Renames) -> Vec<(Kind, Key)> {
        let mut declared = Declared::new(inventory);
        for one in &draft.recognised {
            declared.insert(one.kind, one.entry);
        }
        for resource in &draft.resources {
            if let Some(entry) = inventory.of(resource.kind).find(resource.key.as_bytes()) {
                declared.insert(resource.kind, entry);
            }
        }
        for (kind, old) in renames.claimed() {
            if let Some(entry) = inventory.of(kind).find(old.as_bytes()) {
                declared.insert(kind, entry);
            }
        }
        let mentioned = Kind::ALL.map(|kind| draft.mentioned[kind as usize] && self.project.system.manages(kind));
        diff::undeclared(mentioned, &declared, inventory, &self.project.policy)
    }
}

/// Where a mail server reads the accounts, more is demanded of a record than elsewhere: one that was recognised before
/// is read again. No project has such a name.
fn record_name(project: &Project) -> String {
    if project.given.mail_server { format!("{} (mail server)", project.name) } else { project.name.clone() }
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

/// The stored rows of what is declared in full, and of what is declared no more.
///
/// Where the order of servers is state, or accounts refer to them, all servers.
pub(super) fn fetch(
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
        let asks = draft.resources.iter().filter(|resource| resource.kind == kind && resource.previously.is_some());
        let before: Vec<Key> = asks.filter_map(DraftResource::previously).collect();
        let declared = of_kind.chain(&before).filter(|key| shelf.find(key.as_bytes()).is_some());
        let gone = gone.iter().filter(|(other, _)| *other == kind).map(|(_, key)| key);
        let mut keys: Vec<Key> = if kind == Kind::Server && all_servers {
            (0..shelf.len() as u32).map(|at| shelf.key(at)).collect()
        } else {
            declared.chain(gone).cloned().collect()
        };
        // In the order in which they lie on the disk.
        keys.sort_unstable();
        keys.dedup();
        rows.put(kind, snapshot.fetch(kind, &keys)?);
    }
    Ok(rows)
}
