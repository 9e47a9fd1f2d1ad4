//! Between resolving and comparing: declared secrets are fetched, judged by the rules about passwords, and
//! sealed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::check;
use crate::load::Project;
use crate::model::desired::Aim;
use crate::model::plan::LastSet;
use crate::model::plan::PURGE_MAIL;
use crate::model::{
    Action, Address, Change, Clear, Diagnostic, Existing, FieldChange, FieldId, Hashed, Key, Kind, Origin, Plan,
    Renames, Result, Row, Rows, Scheme, Sealed, SecretSource, Source, Type, Value, Wanted, Wish, parallel,
};
use crate::store::Snapshot;
use crate::system::System;
use crate::vault::{Fetcher, Memory, Vault, hash};

/// What came of sealing a run of resources.
#[derive(Default)]
pub struct Sealing {
    pub problems: Vec<Diagnostic>,
    /// What an apply of the plan would bring; without a plan there is nothing to say.
    pub notices: Notices,
    /// The sealed secrets that stand outside the configuration.
    pub outside: Vec<Vec<u8>>,
    /// There is something to seal, and no key.
    pub no_key: bool,
}

/// The first notices of each code, and how many more there are: a plan of a million adds must stay
/// readable.
#[derive(Default)]
pub struct Notices {
    of: BTreeMap<&'static str, (Vec<Diagnostic>, usize)>,
}

impl Notices {
    /// Notices of one code that are told one by one.
    const TOLD: usize = 20;

    fn push(&mut self, code: &'static str, notice: impl FnOnce() -> Diagnostic) {
        let (told, more) = self.of.entry(code).or_default();
        if told.len() < Self::TOLD { told.push(notice()) } else { *more += 1 }
    }

    pub fn extend(&mut self, other: Notices) {
        for (code, (told, more)) in other.of {
            for notice in told {
                self.push(code, || notice);
            }
            self.of.entry(code).or_default().1 += more;
        }
    }

    pub fn into_diagnostics(self) -> impl Iterator<Item = Diagnostic> {
        self.of.into_iter().flat_map(|(code, (told, more))| {
            let rest = told.first().filter(|_| more > 0).map(|first| {
                let message = format!("the same holds for {more} more");
                Diagnostic { severity: first.severity, ..Diagnostic::info(code, message) }
            });
            told.into_iter().chain(rest)
        })
    }
}

/// What is wrong with passwords that stand in the files, as far as that can be said without the store.
pub fn judge_clear(project: &Project, wanted: &[Wanted], files: &[String]) -> Vec<Diagnostic> {
    let judge = |wanted: &Wanted| {
        let wish = wanted.wish(PASSWORD).filter(|_| wanted.kind == Kind::Account)?;
        let Aim::Secret(SecretSource::Clear(clear)) = &wish.aim else { return None };
        let known = check::Known { name: wanted.key.first(), forced: false, abused: &[] };
        let flaw = check::password(project.system, &project.given, &known, clear);
        let problems = match flaw {
            Some((code, message, hint)) => vec![Diagnostic::error(code, message).hint(hint)],
            None => check::quality(&project.policy.passwords, &names(project, wanted), &[], clear)
                .into_iter()
                // Without the store nobody knows whether it is new.
                .map(|(code, message, _)| {
                    Diagnostic::warning(code, message).hint("a plan refuses it, unless it is in force already")
                })
                .collect(),
        };
        let (file, place) = (&files[wish.source.file as usize], wish.source.place);
        let at =
            |problem: Diagnostic| problem.at(file, place.line, place.column).of(&wanted.address()).field("password");
        Some(problems.into_iter().map(at).collect::<Vec<Diagnostic>>())
    };
    wanted.iter().filter_map(judge).flatten().collect()
}

/// What a password must not be made of.
fn names<'a>(project: &'a Project, account: &'a Wanted) -> Vec<&'a str> {
    let address = account.wish(Kind::Account.id("address")).and_then(Wish::value).and_then(Value::text);
    [Some(account.key.first()), Some(project.name.as_str()), project.given.domain.as_deref(), address]
        .into_iter()
        .flatten()
        .collect()
}

pub type Abused = HashMap<Key, Vec<Value>>;

/// The passwords that a provider has changed by force, ever: none of them may come back (002:100).
pub fn abused(snapshot: Option<&dyn Snapshot>, system: &System) -> Result<Abused> {
    let mut abused = Abused::new();
    let Some(snapshot) = snapshot.filter(|_| system.rule(Kind::Account, STATUS).is_some()) else { return Ok(abused) };
    let is_forced = |row: &Row| row.get(STATUS).is_some_and(|status| status.is_word("password_forced"));
    let keys: BTreeSet<Key> =
        snapshot.ever(Kind::Account, STATUS, Some("password_forced"))?.into_iter().map(|row| row.key).collect();
    for key in keys {
        let versions = snapshot.versions(&Address::new(Kind::Account, key.clone()))?;
        for (at, version) in versions.iter().enumerate().filter(|(_, version)| is_forced(&version.row)) {
            let Some(password) = version.row.get(PASSWORD) else { continue };
            let next = versions.get(at + 1).map(|version| &version.row);
            // A mark that was taken back, with the password as it was, was a mistake.
            let mistaken = next.is_some_and(|next| !is_forced(next) && next.get(PASSWORD) == Some(password));
            if !mistaken {
                abused.entry(key.clone()).or_default().push(password.clone());
            }
        }
    }
    Ok(abused)
}

/// A password of before, as it is stored.
enum Past<'a> {
    Memory(Memory),
    /// Nothing but the hash is left.
    Hash(Box<str>),
    /// Of a store of before, where it was sealed; as it is, and in lower case.
    Clear(Clear, Clear),
    /// The same, of a server that tells no more than how to recognise it.
    Told(&'a Vault, &'a Address, Sealed),
}

impl Past<'_> {
    fn of<'a>(vault: &'a Vault, address: &'a Address, stored: &Value) -> Option<Box<dyn check::Remembered + 'a>> {
        let field = Kind::Account.field(PASSWORD);
        Some(Box::new(match stored {
            Value::Hashed(hashed) => match vault.recall(address, field, hashed) {
                Some(memory) => Past::Memory(memory),
                None => Past::Hash(hashed.text.clone()),
            },
            Value::Sealed(sealed) if sealed.kept().is_some() => Past::Told(vault, address, sealed.clone()),
            Value::Sealed(sealed) => {
                let clear = vault.unseal(address, field, sealed).ok()?;
                let lower = Clear::new(clear.expose().to_lowercase());
                Past::Clear(clear, lower)
            }
            _ => return None,
        }))
    }
}

impl check::Remembered for Past<'_> {
    fn is(&self, text: &str) -> bool {
        match self {
            Past::Memory(memory) => memory.is(text),
            Past::Hash(hash) => hash::verify(hash, &Clear::new(text.to_owned())).unwrap_or_default(),
            Past::Clear(clear, _) => clear.expose() == text,
            Past::Told(vault, address, sealed) => {
                let field = Kind::Account.field(PASSWORD);
                vault.seal(address, field, &Clear::new(text.to_owned())) == *sealed
            }
        }
    }

    fn is_folded(&self, lower: &str) -> bool {
        match self {
            Past::Memory(memory) => memory.is_folded(lower),
            // Each try would take as long as a log-in.
            Past::Hash(_) => false,
            // The case in which it stood is not told.
            Past::Told(..) => false,
            Past::Clear(_, folded) => folded.expose() == lower,
        }
    }
}

/// Says of every secret that an overwrite touches since when it has been what it is.
pub fn mark_last_set(plan: &mut Plan, snapshot: Option<&dyn Snapshot>) -> Result<()> {
    let Some(snapshot) = snapshot else { return Ok(()) };
    let mut times: Option<HashMap<u64, String>> = None;
    for kind in Kind::ALL {
        for field in (0..).zip(kind.fields()).filter(|(_, field)| field.is_secret()).map(|(id, _)| id) {
            let touched = |change: &Change| {
                let of_field = |one: &&FieldChange| one.field == field && one.before.is_some();
                change.kind == kind
                    && matches!(change.action, Action::Overwrite | Action::Blocked)
                    && change.fields.iter().any(|one| of_field(&one))
            };
            let places: Vec<usize> = (0..plan.changes.len()).filter(|at| touched(&plan.changes[*at])).collect();
            if places.is_empty() {
                continue;
            }
            let keys: Vec<&Key> = places.iter().map(|at| &plan.changes[*at].key).collect();
            let revisions = snapshot.last_set(kind, field, &keys)?;
            if times.is_none() {
                times = Some(snapshot.revisions()?.into_iter().map(|one| (one.revision, one.at)).collect());
            }
            for (at, revision) in places.into_iter().zip(revisions) {
                let Some(revision) = revision else { continue };
                let time = times.as_ref().and_then(|times| times.get(&revision)).cloned();
                let last = LastSet { field, revision, at: time.unwrap_or_default() };
                plan.changes[at].special.get_or_insert_default().last_set.push(last);
            }
        }
    }
    Ok(())
}

/// Hashes the new passwords of mailboxes, on all cores. `progress` is told how many are done.
pub fn hash_passwords(plan: &mut Plan, vault: &Vault, scheme: Scheme, progress: &(dyn Fn(u64) + Sync)) -> Result<()> {
    let done = AtomicU64::new(0);
    let mut fresh: Vec<(Address, &mut FieldChange)> = Vec::new();
    let is_new = |one: &FieldChange| matches!(one.after, Some(Value::Unhashed(_)));
    for change in plan.changes.iter_mut().filter(|change| change.kind == Kind::Account && change.action.writes()) {
        if change.fields.iter().any(is_new) {
            let address = change.address();
            fresh.extend(change.fields.iter_mut().filter(|one| is_new(one)).map(|one| (address.clone(), one)));
        }
    }
    let hash = |(address, field): &(Address, &mut FieldChange)| {
        let Some(Value::Unhashed(clear)) = &field.after else { return Ok(None) };
        let text = hash::hash(scheme, clear)?;
        let hashed = vault.hashed(address, address.kind.field(field.field), &text, clear);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(Some(Value::Hashed(Box::new(hashed))))
    };
    let hashed: Vec<Result<Option<Value>>> = parallel::each(&fresh, hash);
    for ((_, field), hashed) in fresh.into_iter().zip(hashed) {
        field.after = hashed?;
    }
    Ok(())
}

/// A keyed digest of the secrets that the plan changes.
pub fn changed(plan: &Plan, vault: &Vault) -> String {
    let mut parts = Vec::new();
    for change in plan.changes.iter().filter(|change| change.action.writes()) {
        for one in change.fields.iter().filter(|one| change.kind.field(one.field).is_secret()) {
            let (address, field) = (change.address(), change.kind.field(one.field));
            parts.push(match &one.after {
                Some(Value::Sealed(sealed)) => sealed.as_bytes().to_vec(),
                Some(Value::Unhashed(clear)) => vault.seal(&address, field, clear).as_bytes().to_vec(),
                Some(Value::Hashed(hashed)) => hashed.text.as_bytes().to_vec(),
                _ => Vec::new(),
            });
        }
    }
    vault.fingerprint(parts.into_iter())
}

/// Marks the changes that write an id of a purge which was carried out before.
pub fn mark_purged(plan: &mut Plan, snapshot: Option<&dyn Snapshot>) -> Result<()> {
    let Some(snapshot) = snapshot.filter(|_| plan.changes.iter().any(Change::purges)) else { return Ok(()) };
    let mut done = HashSet::new();
    for row in snapshot.ever(Kind::Account, PURGE_MAIL, None)? {
        done.extend(row.get(PURGE_MAIL).and_then(Value::text).map(|id| (row.key.clone(), id.to_owned())));
    }
    for change in plan.changes.iter_mut().filter(|change| change.purges()) {
        let id = change.purge_id().unwrap_or_default().to_owned();
        let done = |key: &Key| done.contains(&(key.clone(), id.clone()));
        if done(&change.key) || done(change.stored_key()) {
            change.special.get_or_insert_default().purged = true;
        }
    }
    Ok(())
}

/// Fetches and seals what is declared as a secret.
pub struct Sealer<'a> {
    pub vault: Option<&'a Vault>,
    /// `None` if this run fetches no secrets.
    pub fetcher: Option<&'a Fetcher<'a>>,
    pub project: &'a Project,
    /// As they will be called.
    pub rows: &'a Rows,
    pub renames: &'a Renames,
    /// By account: passwords that were in force when the provider changed them.
    pub abused: &'a Abused,
    /// What was before.
    pub snapshot: Option<&'a Mutex<Box<dyn Snapshot>>>,
}

const PASSWORD: FieldId = Kind::Account.id("password");
pub const STATUS: FieldId = Kind::Account.id("status");

impl Sealer<'_> {
    pub fn seal(&self, wanted: &mut [Wanted], files: &[String]) -> Sealing {
        let mut sealing = Sealing::default();
        let mut findings = Vec::new();
        for wanted in wanted {
            let said = sealing.problems.len();
            let forced = self.forced(wanted);
            if forced.is_some() && wanted.wish(PASSWORD).is_none() {
                let place = wanted.source.place;
                let message = "the provider has changed this password by force, and no new one is declared (002:94)";
                let problem = Diagnostic::warning("cpi/forced-password", message)
                    .hint("declare a new one, and update the mail programs that use it (002:81)")
                    .at(&files[wanted.source.file as usize], place.line, place.column);
                sealing.problems.push(problem.of(&wanted.address()).field("password"));
            }
            if wanted.wishes.iter().any(|wish| matches!(wish.aim, Aim::Secret(_))) {
                match (self.fetcher, self.vault) {
                    (None, _) => pass_over(wanted, forced.is_some()),
                    (Some(fetcher), Some(vault)) => {
                        self.seal_one(wanted, (fetcher, vault), forced, files, &mut sealing);
                    }
                    (Some(_), None) => {
                        sealing.no_key = true;
                        return sealing;
                    }
                }
            }
            if sealing.problems.len() > said {
                // It must be said again in the next run, so the record may not be recognised then.
                wanted.digest = None;
            }
            let row = self.rows.get(wanted.kind, &wanted.key);
            if self.project.policy.existing == Existing::Skip && row.is_some() {
                continue;
            }
            check::notices(self.project.system.name, wanted, row, &mut findings);
            for (problem, source) in findings.drain(..) {
                let (file, place) = (&files[source.file as usize], source.place);
                sealing.notices.push(problem.code, || problem.at(file, place.line, place.column).of(&wanted.address()));
            }
        }
        sealing
    }

    /// The stored row of an account whose password the provider has changed by force (002:93).
    fn forced(&self, wanted: &Wanted) -> Option<&Row> {
        if wanted.kind != Kind::Account || wanted.absent {
            return None;
        }
        let row = self.rows.get(wanted.kind, &wanted.key)?;
        row.get(STATUS).is_some_and(|status| status.is_word("password_forced")).then_some(row)
    }

    fn seal_one(
        &self,
        wanted: &mut Wanted,
        (fetcher, vault): (&Fetcher<'_>, &Vault),
        forced: Option<&Row>,
        files: &[String],
        sealing: &mut Sealing,
    ) {
        let address = wanted.address();
        let kind = wanted.kind;
        let stored = self.rows.get(kind, &wanted.key);
        // Of accounts alone, whose passwords are judged.
        let names: Vec<String> = match kind {
            Kind::Account => names(self.project, wanted).into_iter().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let mut renewed = None;
        for wish in &mut wanted.wishes {
            let Aim::Secret(source) = &wish.aim else { continue };
            let field = kind.field(wish.field);
            let at = |problem: Diagnostic| {
                let place = wish.source.place;
                problem.at(&files[wish.source.file as usize], place.line, place.column).of(&address).field(field.name)
            };
            let clear = match fetcher.fetch(source) {
                Ok(clear) => clear,
                Err((code, message, hint)) => {
                    sealing.problems.push(at(Diagnostic::error(code, message).hint(hint)));
                    continue;
                }
            };
            if fetcher.is_exposed(source)
                && let SecretSource::File(name) = source
            {
                let message = format!("others than its owner may read the file `{name}`");
                sealing.problems.push(at(Diagnostic::warning("secret/permissions", message).hint("chmod 600 it")));
            }
            let outside = !matches!(source, SecretSource::Clear(_) | SecretSource::Hash(_));
            let stored = stored.and_then(|row| row.get(wish.field));
            let value = if let SecretSource::Hash(hash) = source {
                let hashed = Hashed { text: hash.expose().into(), proof: None };
                // What is stored says more than the hash alone.
                match stored {
                    Some(Value::Hashed(stored)) if **stored == hashed => Value::Hashed(stored.clone()),
                    _ => Value::Hashed(Box::new(hashed)),
                }
            } else if matches!(field.ty, Type::Password) {
                let value = Sealer::unless_changed(&address, vault, stored, &clear);
                let flaws = self.judge(&address, &names, vault, forced.is_some(), &clear, &value);
                if !flaws.is_empty() {
                    let error = |(code, message, hint)| at(Diagnostic::error(code, message).hint(hint));
                    sealing.problems.extend(flaws.into_iter().map(error));
                } else if let Some(row) = forced {
                    if row.get(PASSWORD).is_none() {
                        let message = "the provider has changed this password by force, and nobody has recorded which it \
                                       was: nothing tells whether this is a new one (002:100)";
                        let problem = Diagnostic::info("cpi/forced-password", message);
                        sealing.problems.push(at(problem.hint("see to it that it is not the old one")));
                    }
                    renewed = Some(wish.source);
                }
                value
            } else {
                Value::Sealed(vault.seal(&address, field, &clear))
            };
            if outside {
                // Of a saved plan: it must be the same when that is applied.
                sealing.outside.push(vault.seal(&address, field, &clear).as_bytes().to_vec());
            }
            wish.aim = Aim::Value(value);
        }
        if let Some(source) = renewed {
            wanted.extend([back_to_normal(source)]);
        }
    }

    /// The stored value if it is of this password, which then does not change.
    fn unless_changed(address: &Address, vault: &Vault, stored: Option<&Value>, clear: &Clear) -> Value {
        let field = address.kind.field(PASSWORD);
        match stored {
            Some(Value::Hashed(hashed)) if vault.is(address, field, hashed, clear) => Value::Hashed(hashed.clone()),
            Some(Value::Sealed(sealed)) if vault.seal(address, field, clear) == *sealed => {
                Value::Sealed(sealed.clone())
            }
            _ => Value::Unhashed(clear.clone()),
        }
    }

    /// What is wrong with the password of a mailbox: by the rules of the product, and if it is new by those
    /// of the policy.
    fn judge(
        &self,
        address: &Address,
        names: &[String],
        vault: &Vault,
        forced: bool,
        clear: &Clear,
        value: &Value,
    ) -> Vec<check::Flaw> {
        let Project { system, given, policy, .. } = self.project;
        let remember = |values: &[Value]| values.iter().filter_map(|old| Past::of(vault, address, old)).collect();
        // One that is in force was taken when it was new.
        let is_new = forced || matches!(value, Value::Unhashed(_));
        let abused = self.abused.get(&address.key).filter(|_| is_new);
        let abused: Vec<_> = abused.map_or_else(Vec::new, |values| remember(values));
        let known = check::Known { name: address.key.first(), forced, abused: &abused };
        let flaw = check::password(system, given, &known, clear);
        if flaw.is_some() || !matches!(value, Value::Unhashed(_)) {
            return flaw.into_iter().collect();
        }
        let past = policy.passwords.history.map_or_else(Vec::new, |count| self.past(address, count));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check::quality(&policy.passwords, &names, &remember(&past), clear)
    }

    /// The current password, and so many before it.
    fn past(&self, address: &Address, count: usize) -> Vec<Value> {
        let Some(snapshot) = self.snapshot else { return Vec::new() };
        let key = self.renames.from(address.kind, &address.key).unwrap_or(&address.key);
        let snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be read now cannot be read by the plan either, which then says so.
        let mut past = snapshot.past_values(address.kind, PASSWORD, key).unwrap_or_default();
        past.truncate(count + 1);
        past
    }
}

/// A new password ends what the provider has begun (002:94).
fn back_to_normal(source: Source) -> Wish {
    Wish { field: STATUS, origin: Origin::Written, aim: Aim::Value(Value::Text("normal".into())), source }
}

/// Without fetching a secret nobody knows whether it changes.
fn pass_over(wanted: &mut Wanted, forced: bool) {
    // As `seal_one` does with a new password.
    let renewed = wanted.wish(PASSWORD).filter(|_| forced).map(|wish| wish.source);
    if let Some(source) = renewed {
        wanted.extend([back_to_normal(source)]);
    }
    for wish in wanted.wishes.iter_mut().filter(|wish| matches!(wish.aim, Aim::Secret(_))) {
        wish.aim = Aim::Value(Value::Unknown);
    }
}
