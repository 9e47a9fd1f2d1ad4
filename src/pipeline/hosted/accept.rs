//! What a client sends is made a plan anew: the store says what stands there before, the guard decides, and only
//! what should stand there afterwards is the client's.

use std::collections::{HashMap, HashSet};

use super::super::renames::called;
use super::super::{Planned, addresses, facts, seal};
use super::{Client, Hosted, View};
use crate::format::key_flaw;
use crate::format::secret::{Strength, hash_scheme};
use crate::guard;
use crate::model::migration;
use crate::model::plan::Base;
use crate::model::{
    Action, Address, Cell, Change, Code, Diagnostic, Error, FieldChange, FieldId, Inventory, Key, Kind, Limits, Origin,
    Plan, Policy, Request, Result, Row, SecretChange, Special, Token, Type, Value,
};
use crate::resolve;
use crate::store::{Entry, Receipt, Snapshot};
use crate::system::System;
use crate::vault::Telling;
use crate::wire;
use crate::wire::remote::{Changeset, Sent, SentSecret};

/// Who sends a changeset.
pub struct Caller<'a> {
    pub token: &'a Token,
    /// The public key of the client, if it sends secrets.
    pub key: Option<&'a str>,
    /// The state that it has seen.
    pub base: Base,
    pub request: Option<&'a Request>,
}

/// What has come of a changeset.
pub enum Accepted {
    /// What the guard lets through, or refuses with its reasons.
    Plan(Box<Planned>),
    /// The same request has made this revision before.
    Done(u64),
}

/// Why a changeset is no plan.
pub enum Declined {
    Error(Error),
    Invalid(Vec<Diagnostic>),
}

impl From<Error> for Declined {
    fn from(error: Error) -> Declined {
        Declined::Error(error)
    }
}

/// Mistakes that are said one by one.
const SAID: usize = 100;
/// The most bytes of a part of a key.
const KEY: usize = 1_000;

impl Hosted {
    /// What was done for the same request before.
    fn done(&self, request: Option<&Request>) -> Result<Option<u64>> {
        let Some(request) = request else { return Ok(None) };
        match self.desk().answered(&request.key)? {
            Some((body, revision)) if body == request.body => Ok(Some(revision)),
            Some(_) => Err(Error::new(Code::Refused, "this Idempotency-Key was used for another request")
                .about("request/reused")
                .hint("take a new key for a new request")),
            None => Ok(None),
        }
    }

    /// The plan that a changeset asks for, and what the guard says of it.
    pub fn accept(&self, set: Changeset, caller: &Caller<'_>) -> std::result::Result<Accepted, Declined> {
        if let Some(revision) = self.done(caller.request)? {
            return Ok(Accepted::Done(revision));
        }
        let project = set.head.project.clone();
        if !caller.token.owns(&project) {
            return Err(foreign(&format!("the token is not bound to the project `{project}`")).into());
        }
        let view = self.view(None)?;
        if view.base() != caller.base {
            // The same request may have moved it in this very moment.
            if let Some(revision) = self.done(caller.request)? {
                return Ok(Accepted::Done(revision));
            }
            return Err(moved(&view, caller.base)?.into());
        }
        let invalid = |code, message: &str| Declined::Invalid(vec![Diagnostic::error(code, message)]);
        let Some(system) = System::find(&set.head.system) else {
            return Err(invalid("changeset/system", "`system` names no product that this yubin knows"));
        };
        if set.head.base.is_some_and(|base| base != caller.base) {
            return Err(invalid("changeset/base", "the plan was made from another state than If-Match names"));
        }
        let client = Client { key: caller.key.unwrap_or_default().to_owned(), project, bound: true };
        let mut plan = Plan {
            project: client.project.clone(),
            system: system.name,
            base: caller.base,
            config_digest: set.head.config_digest,
            files: set.files,
            unchanged: set.head.unchanged,
            deletes_mail: system.deletes_mail,
            is_handed_over: !system.open,
            mail_server: set.head.mail_server,
            recorded: set.head.recorded,
            note: set.head.note,
            learned: set.learned,
            ..Plan::default()
        };
        let telling = view.telling(Some(&client));
        let anew = Anew { view: &view, system, caller, project: &client.project, telling: telling.as_ref() };
        plan.changes = anew.changes(set.changes)?;
        plan.settle();
        let clashes = addresses::clashes(&plan, plan.mail_server, Some(&*view.snapshot))?;
        if !clashes.is_empty() {
            let said = clashes.iter().take(SAID).map(|clash| clash.diagnostic(&plan));
            return Err(Declined::Invalid(said.collect()));
        }
        // The client has judged by the policy of its project; what holds for every project is judged here.
        let policy = Policy { max_deletes: Limits::default(), max_overwrites: Limits::default(), ..Policy::default() };
        seal::mark_purged(&mut plan, Some(&*view.snapshot))?;
        let mut facts = facts::of(&mut plan, &policy, &Inventory::default(), Some(&*view.snapshot))?;
        if facts::takes_servers(&plan) {
            facts.migrations = migration::open(&self.desk().acts(&client.project)?, std::iter::empty());
        }
        let verdict = guard::judge(&plan, &policy, facts);
        let digest = wire::digest(&plan);
        if set.head.digest.is_some_and(|said| said != digest) {
            return Err(invalid("changeset/digest", "the digest is not that of the changes"));
        }
        Ok(Accepted::Plan(Box::new(Planned { verdict, ..Planned::new(plan, digest) })))
    }

    /// Commits what the guard approves.
    pub fn apply(
        &self,
        planned: &Planned,
        actor: &str,
        commit: Option<&str>,
        request: Option<&Request>,
    ) -> Result<Receipt> {
        self.approved(planned, actor, commit, request, |approved, entry| self.store().commit(approved, entry, &|_| {}))
    }

    /// Does all that an apply does, and takes it back.
    pub fn rehearse(&self, planned: &Planned, actor: &str) -> Result<()> {
        self.approved(planned, actor, None, None, |approved, entry| self.store().rehearse(approved, entry, &|_| {}))
    }

    fn approved<T>(
        &self,
        planned: &Planned,
        actor: &str,
        commit: Option<&str>,
        request: Option<&Request>,
        then: impl FnOnce(&guard::Approved<'_>, &Entry<'_>) -> Result<T>,
    ) -> Result<T> {
        let refused = || Error::new(Code::Refused, "the plan is refused");
        let approved = guard::approve(&planned.plan, &planned.verdict, false).ok_or_else(refused)?;
        let is_secret =
            |change: &Change, one: &FieldChange| change.kind.field(one.field).is_secret() && one.after.is_some();
        let has_secrets = |change: &Change| change.fields.iter().any(|one| is_secret(change, one));
        let sealed = planned.plan.changes.iter().any(has_secrets) || !planned.plan.learned.is_empty();
        let vault = if sealed { self.vault(None)? } else { None };
        let key_id = vault.as_ref().map(|vault| vault.id());
        then(&approved, &Entry { actor, digest: &planned.digest, key_id, commit, request })
    }
}

fn foreign(message: &str) -> Error {
    Error::new(Code::Refused, message)
        .about("token/owner")
        .hint("use a token that was made with `--owner` and this project")
}

fn moved(view: &View, then: Base) -> Result<Error> {
    let now = view.base();
    let message = if now.revision == then.revision {
        "other software has changed the store since the plan was made".to_owned()
    } else {
        let last = view.snapshot.revisions()?.into_iter().next();
        let by =
            last.map_or(String::new(), |last| format!(", last at {} by {} for {}", last.at, last.actor, last.project));
        format!("the plan was made at revision {}, the store is at {}{by}", then.revision, now.revision)
    };
    Ok(Error::new(Code::Conflict, message).about("store/moved").hint("plan again"))
}

/// The making of a plan from what a client says.
struct Anew<'a> {
    view: &'a View,
    system: &'static System,
    caller: &'a Caller<'a>,
    project: &'a str,
    telling: Option<&'a Telling<'a>>,
}

/// What stands in the store under the keys that a changeset names.
type Stored = HashMap<(Kind, Key), Row>;

/// What is wrong with a change: a code, and a sentence.
type Flaw = (&'static str, String);

fn flaw<T>(code: &'static str, message: impl Into<String>) -> std::result::Result<T, Flaw> {
    Err((code, message.into()))
}

impl Anew<'_> {
    fn changes(&self, sent: Vec<Sent>) -> std::result::Result<Vec<Change>, Declined> {
        let stored = self.stored(&sent)?;
        let mut problems = Vec::new();
        let mut forbidden = None;
        let mut changes: Vec<Change> = Vec::with_capacity(sent.len());
        let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
        for sent in sent {
            let at = sent.at as u32;
            let address = sent.change.address();
            let once = sources.insert((address.kind, sent.change.stored_key().clone()))
                & targets.insert((address.kind, address.key.clone()));
            let made = if once {
                self.change(sent, &stored, &mut forbidden)
            } else {
                flaw("changeset/twice", "the resource stands there twice")
            };
            match made {
                Ok(change) => changes.push(change),
                Err((code, message)) => {
                    // Changes have no columns; the line, or the number of the change, is where it stands.
                    let place = format!("change {at}: `{address}`: {message}");
                    problems.push(Diagnostic::error(code, place).of(&address));
                }
            }
        }
        if let Some(error) = forbidden {
            return Err(Declined::Error(error));
        }
        if problems.is_empty() {
            problems.extend(taken(&changes, &stored));
            problems.extend(self.dangling(&changes)?);
        }
        if problems.is_empty() {
            return Ok(changes);
        }
        let more = problems.len().saturating_sub(SAID);
        problems.truncate(SAID);
        if more > 0 {
            problems.push(Diagnostic::error("changeset/more", format!("and {more} more mistakes")));
        }
        Err(Declined::Invalid(problems))
    }

    fn snapshot(&self) -> &dyn Snapshot {
        &*self.view.snapshot
    }

    fn stored(&self, sent: &[Sent]) -> Result<Stored> {
        let mut stored = Stored::with_capacity(sent.len());
        for kind in Kind::ALL {
            let of_kind = sent.iter().map(|sent| &sent.change).filter(|change| change.kind == kind);
            let mut keys: Vec<Key> =
                of_kind.flat_map(|change| [Some(&change.key), change.previously()]).flatten().cloned().collect();
            keys.sort_unstable();
            keys.dedup();
            let rows = self.snapshot().fetch(kind, &keys)?;
            stored.extend(rows.into_iter().map(|row| ((kind, row.key.clone()), row)));
        }
        Ok(stored)
    }

    /// A change as it is carried out, with what the store holds before.
    fn change(&self, sent: Sent, stored: &Stored, forbidden: &mut Option<Error>) -> std::result::Result<Change, Flaw> {
        let Sent { mut change, secrets, .. } = sent;
        let kind = change.kind;
        if !self.system.manages(kind) {
            return flaw("changeset/kind", format!("{} has no resources of this kind", self.system.product));
        }
        if matches!(change.action, Action::Add | Action::Rename) {
            let wrong = |part: &str| match key_flaw(part) {
                // Addresses stand in paths and queries, whose length has limits.
                None if part.len() > KEY => Some("is longer than 1,000 bytes"),
                flaw => flaw,
            };
            if let Some((part, said)) =
                kind.key_parts().iter().zip(change.key.parts()).find_map(|(name, part)| Some((name, wrong(part)?)))
            {
                return flaw("resource/key", format!("the {part} {said}"));
            }
        }
        let row = stored.get(&(kind, change.stored_key().clone()));
        if matches!(change.action, Action::Skip | Action::Blocked) {
            return Ok(change);
        }
        if (change.action == Action::Rename) != change.previously().is_some() {
            return flaw("changeset/previously", "`previously` belongs to a rename, and to nothing else");
        }
        let row = match (change.action, row) {
            (Action::Add, Some(_)) => return flaw("changeset/exists", "it exists already"),
            (Action::Add, None) => None,
            (_, None) => return flaw("changeset/lacking", "the store does not hold it"),
            (_, Some(row)) => Some(row),
        };
        self.owner(&mut change, row, forbidden);
        compare(&mut change, row)?;
        let address = change.address();
        for (field, said, secret) in secrets {
            let before = row.and_then(|row| row.get(field)).cloned().map(Box::new);
            let after = match &secret {
                Some(secret) if !change.action.removes() => Some(self.secret(&address, field, secret)?),
                _ => None,
            };
            if (said == SecretChange::Set && before.is_some()) || (said == SecretChange::Cleared && before.is_none()) {
                let name = kind.field(field).name;
                return flaw("changeset/before", format!("`{name}` is not what the client has seen"));
            }
            change.fields.push(FieldChange { field, origin: Origin::Written, before, after });
        }
        change.fields.sort_by_key(|one| one.field);
        self.judge(&change, row)?;
        match change.action {
            Action::Delete | Action::Purge => {
                if let Some(row) = row {
                    // What is lost is what the store holds.
                    change.fields = Change::delete(kind, row, None).fields;
                }
            }
            Action::Disable => change.fields.clear(),
            Action::Rename => self.rename(&mut change, row)?,
            _ => {}
        }
        Ok(change)
    }

    /// Who owns the resource, and may it be touched?
    fn owner(&self, change: &mut Change, row: Option<&Row>, forbidden: &mut Option<Error>) {
        let address = Address::new(change.kind, change.stored_key().clone());
        let mut forbid = |owner: &str| {
            forbidden.get_or_insert_with(|| {
                foreign(&format!("`{address}` belongs to the project `{owner}`, to which the token is not bound"))
            });
        };
        let special = change.special.take();
        let mut special = special.map_or_else(Special::default, |special| *special);
        special.foreign_owner = None;
        if let Some(Some(owner)) = &special.owner
            && !self.caller.token.owns(owner)
        {
            forbid(owner);
        }
        let owner = row.and_then(|row| row.owner.as_deref());
        match owner {
            Some(owner) if owner != self.project => {
                let named = format!("project `{owner}`");
                if !self.caller.token.owns(owner) {
                    forbid(owner);
                } else if special.taken_from.as_deref() != Some(&named) || !change.adopted {
                    special.foreign_owner = Some(named);
                }
            }
            Some(_) => {
                special.taken_from = None;
                change.adopted = false;
            }
            None => {
                special.taken_from = None;
                let lets_go = special.owner == Some(None);
                if row.is_some() && !change.adopted && !lets_go && special.owner.is_none() {
                    special.foreign_owner = Some("nobody".to_owned());
                }
            }
        }
        change.special = special.boxed();
    }

    fn secret(&self, address: &Address, field: FieldId, secret: &SentSecret) -> std::result::Result<Value, Flaw> {
        let spec = address.kind.field(field);
        let Some(telling) = self.telling else {
            return flaw(
                "secret/no-key",
                "a secret is sent, and either the client has said no key or the store has none",
            );
        };
        let value = match (secret, spec.ty) {
            (SentSecret::Sealed(word), Type::Password) => {
                let hashed = telling.take_hashed(address, spec, word);
                let is_hash = |text: &str| matches!(hash_scheme(text), Some(Strength::Hash | Strength::Weak));
                if hashed.as_ref().is_some_and(|hashed| !is_hash(&hashed.text)) {
                    return flaw("secret/sealed", format!("`{}` is sent as a hash, and this is none", spec.name));
                }
                hashed.map(|hashed| Value::Hashed(Box::new(hashed)))
            }
            (SentSecret::Sealed(word), _) => telling.take(address, spec, word).map(Value::Sealed),
            (SentSecret::Kept(word), _) => telling.take_kept(address, spec, word).map(Value::Sealed),
        };
        let broken = || {
            let message = format!("`{}` is not sealed for this place, this server and this client", spec.name);
            ("secret/sealed", message)
        };
        value.ok_or_else(broken)
    }

    /// What no client may ask for, whatever its files say.
    fn judge(&self, change: &Change, row: Option<&Row>) -> std::result::Result<(), Flaw> {
        let kind = change.kind;
        for one in change.fields.iter().filter(|one| one.after.is_some()) {
            let spec = kind.field(one.field);
            if !self.system.expresses(kind, one.field) {
                return flaw("changeset/field", format!("{} has no `{}`", self.system.product, spec.name));
            }
            if let Some(said) = one.after.as_ref().and_then(|value| resolve::misfit(spec, value)) {
                return flaw("changeset/value", said);
            }
        }
        let disabled = row.is_some_and(|row| row.disabled.is_some());
        let revision = self.caller.base.revision;
        match change.action {
            Action::Purge if !disabled => return flaw("changeset/purge", "it is not disabled"),
            Action::Disable if disabled => return flaw("changeset/disabled", "it is disabled already"),
            Action::Overwrite | Action::Rename if change.is_restored() && !disabled => {
                return flaw("changeset/restored", "it is not disabled");
            }
            _ => {}
        }
        let since = change.special.as_ref().and_then(|special| special.disabled);
        if since.is_some_and(|since| since == 0 || since > revision) {
            return flaw("changeset/disabled", "no revision has disabled it");
        }
        Ok(())
    }

    /// A secret is sealed for its address: what stays as it is, is sealed anew.
    fn rename(&self, change: &mut Change, row: Option<&Row>) -> std::result::Result<(), Flaw> {
        let Some(row) = row else { return Ok(()) };
        let secret = |field: FieldId| change.kind.field(field).is_secret();
        let stays = |cell: &&Cell| secret(cell.field) && change.fields.iter().all(|one| one.field != cell.field);
        if !row.cells.iter().any(|cell| stays(&cell)) {
            return Ok(());
        }
        let Some(vault) = self.view.vault.as_deref() else { return flaw("secret/no-key", "the store has no key") };
        let anew = called(Some(vault), change.kind, row, &change.key);
        let anew = anew.map_err(|error| ("secret/sealed", error.to_string()))?;
        let resealed: Vec<Cell> = anew.cells.iter().filter(stays).cloned().collect();
        change.special.get_or_insert_default().resealed = resealed;
        Ok(())
    }

    /// References to servers that will not be there.
    fn dangling(&self, changes: &[Change]) -> Result<Vec<Diagnostic>> {
        let mut wanted: Vec<(&Change, &str)> = Vec::new();
        for change in changes.iter().filter(|change| change.action.writes()) {
            let Some(reference) = change.kind.find("server") else { continue };
            let after = change.fields.iter().find(|one| one.field == reference).and_then(|one| one.after.as_ref());
            wanted.extend(after.and_then(Value::text).map(|name| (change, name)));
        }
        let servers = || changes.iter().filter(|change| change.kind == Kind::Server);
        let comes: HashSet<&str> = servers()
            .filter(|change| matches!(change.action, Action::Add | Action::Rename))
            .map(|change| change.key.name())
            .collect();
        let leaves: HashSet<&str> = servers()
            .filter(|change| change.action.removes() || change.action == Action::Rename)
            .map(|change| change.stored_key().name())
            .collect();
        let mut names: Vec<Key> =
            wanted.iter().map(|(_, name)| *name).filter(|name| !comes.contains(name)).map(Key::single).collect();
        names.sort_unstable();
        names.dedup();
        let there: HashSet<Key> = self.snapshot().fetch(Kind::Server, &names)?.into_iter().map(|row| row.key).collect();
        let missing = wanted.into_iter().filter(|(_, name)| {
            !comes.contains(name) && (leaves.contains(name) || !there.contains(&Key::single(name)))
        });
        let say = |(change, _): (&Change, &str)| {
            let address = change.address();
            Diagnostic::error("changeset/reference", format!("`{address}` refers to a server that is not there"))
                .of(&address)
        };
        Ok(missing.map(say).collect())
    }
}

/// Puts what the store holds in the place of what the client has seen, which must be the same.
fn compare(change: &mut Change, row: Option<&Row>) -> std::result::Result<(), Flaw> {
    for one in &mut change.fields {
        let held = row.and_then(|row| row.get(one.field));
        let said = match one.before.as_deref() {
            Some(Value::Unknown) => None,
            said => Some(said),
        };
        if said.is_some_and(|said| said != held) {
            let name = change.kind.field(one.field).name;
            return flaw("changeset/before", format!("`{name}` is not what the client has seen"));
        }
        one.before = held.cloned().map(Box::new);
    }
    Ok(())
}

/// Names that renames want and that are not free.
fn taken(changes: &[Change], stored: &Stored) -> Vec<Diagnostic> {
    let leaves = |change: &&Change| change.action.removes() || change.action == Action::Rename;
    let left: HashSet<(Kind, &Key)> =
        changes.iter().filter(leaves).map(|change| (change.kind, change.stored_key())).collect();
    let renames = changes.iter().filter(|change| change.action == Action::Rename);
    let taken = renames.filter(|change| {
        stored.contains_key(&(change.kind, change.key.clone())) && !left.contains(&(change.kind, &change.key))
    });
    let say = |change: &Change| {
        Diagnostic::error("changeset/exists", format!("`{}` exists already", change.address())).of(&change.address())
    };
    taken.map(say).collect()
}
