//! What the store says about a plan, for the guard and for those who read it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::diff::{Term, Terms};
use crate::guard::{Facts, InUse};
use crate::model::inventory::Owner;
use crate::model::plan::Shares;
use crate::model::{Action, Address, Change, Error, FieldId, Grace, Inventory, Key, Kind, Plan, Policy, Result, Value};
use crate::store::Snapshot;

/// The field stands in the table of every kind.
fn protected(kind: Kind) -> FieldId {
    match kind {
        Kind::Server => const { Kind::Server.id("protected") },
        Kind::Account => const { Kind::Account.id("protected") },
        Kind::Pattern => const { Kind::Pattern.id("protected") },
    }
}

/// Until when what is disabled can be brought back.
pub fn terms(
    disabled: &[(Address, u64)],
    grace: Option<Grace>,
    now: Option<Timestamp>,
    snapshot: Option<&dyn Snapshot>,
) -> Result<Terms> {
    let mut terms = Terms::new();
    let (Some(grace), Some(now), Some(snapshot)) = (grace, now, snapshot.filter(|_| !disabled.is_empty())) else {
        return Ok(terms);
    };
    let disabling: HashSet<u64> = disabled.iter().map(|(_, revision)| *revision).collect();
    for revision in snapshot.revisions()? {
        let number = revision.revision;
        if !disabling.contains(&number) {
            continue;
        }
        let unreadable = |error: jiff::Error| {
            Error::failure(format!("the time of revision {number} in the store cannot be read")).because(error)
        };
        let at: Timestamp = revision.at.parse().map_err(unreadable)?;
        let length = SignedDuration::from_secs(i64::try_from(grace.seconds()).unwrap_or(i64::MAX));
        let until = at.checked_add(length).map_err(unreadable)?;
        let written = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        terms.insert(number, Term { until: written, is_over: now >= until });
    }
    Ok(terms)
}

pub fn of(plan: &mut Plan, policy: &Policy, inventory: &Inventory, snapshot: Option<&dyn Snapshot>) -> Result<Facts> {
    let Some(snapshot) = snapshot else { return Ok(Facts::default()) };
    follow(plan, snapshot)?;
    plan.shares = shares(plan, policy, inventory, snapshot)?;
    let followers = foreign_followers(plan, snapshot)?;
    let (in_use, protected) = (in_use(plan, snapshot)?, protected_ones(plan, snapshot)?);
    Ok(Facts { in_use, protected, followers, migrations: Vec::new() })
}

/// Whether migrations may have something to say about a plan.
pub fn takes_servers(plan: &Plan) -> bool {
    let goes = |change: &Change| change.action.loses() || change.action == Action::Rename;
    plan.changes.iter().any(|change| change.kind == Kind::Server && goes(change))
}

/// Counts who refers to a server that is renamed.
fn follow(plan: &mut Plan, snapshot: &dyn Snapshot) -> Result<()> {
    let renames = |change: &&mut Change| change.kind == Kind::Server && change.action == Action::Rename;
    for change in plan.changes.iter_mut().filter(renames) {
        let (_, count) = snapshot.users_of_server(change.stored_key())?;
        change.special.get_or_insert_default().followers = count;
    }
    Ok(())
}

/// What would follow a renamed server although it belongs to another project.
fn foreign_followers(plan: &Plan, snapshot: &dyn Snapshot) -> Result<Vec<(Address, String)>> {
    let renames = |change: &&Change| change.kind == Kind::Server && change.followers() > 0;
    let servers: HashSet<&str> = plan.changes.iter().filter(renames).map(|change| change.stored_key().name()).collect();
    let mut followers = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|_| !servers.is_empty()) {
        let Some(reference) = kind.find("server") else { continue };
        snapshot.scan(kind, &mut |row| {
            let refers = row.get(reference).and_then(Value::text).is_some_and(|name| servers.contains(name));
            if let Some(owner) = row.owner.filter(|owner| refers && *owner != plan.project) {
                followers.push((Address::new(kind, row.key), format!("project `{owner}`")));
            }
            Ok(())
        })?;
    }
    Ok(followers)
}

fn in_use(plan: &Plan, snapshot: &dyn Snapshot) -> Result<Vec<InUse>> {
    let mut all = Vec::new();
    for change in plan.changes.iter().filter(|change| change.kind == Kind::Server && change.action.loses()) {
        let (users, count) = snapshot.users_of_server(&change.key)?;
        if count > 0 {
            all.push(InUse { server: change.address(), users, count });
        }
    }
    Ok(all)
}

fn protected_ones(plan: &Plan, snapshot: &dyn Snapshot) -> Result<Vec<Address>> {
    let is_on = |value: Option<&Value>| value == Some(&Value::Bool(true));
    // Their fields do not say what is disabled.
    let mut disabled: HashSet<(Kind, Key)> = HashSet::new();
    for kind in Kind::ALL {
        let of_kind = plan.changes.iter().filter(|one| one.kind == kind && one.action == Action::Disable);
        let mut keys: Vec<Key> = of_kind.map(|change| change.key.clone()).collect();
        if keys.is_empty() {
            continue;
        }
        keys.sort_unstable();
        let rows = snapshot.fetch(kind, &keys)?.into_iter();
        disabled.extend(rows.filter(|row| is_on(row.get(protected(kind)))).map(|row| (kind, row.key)));
    }
    let protects = |change: &&Change| {
        if change.action == Action::Disable {
            return disabled.contains(&(change.kind, change.key.clone()));
        }
        let field = protected(change.kind);
        change.fields.iter().any(|one| one.field == field && is_on(one.before.as_deref()))
    };
    Ok(plan.changes.iter().filter(|change| change.action.loses()).filter(protects).map(Change::address).collect())
}

/// What limits of files and owners are counted against.
fn shares(plan: &Plan, policy: &Policy, inventory: &Inventory, snapshot: &dyn Snapshot) -> Result<Shares> {
    let mut shares = Shares::default();
    let limits = [&policy.max_deletes, &policy.max_overwrites];
    if limits.iter().any(|limits| limits.file.is_some()) {
        for kind in Kind::ALL {
            let shelf = inventory.of(kind);
            let mut touched: HashMap<&Key, Address> = HashMap::new();
            for change in plan.changes.iter().filter(|one| one.kind == kind && one.action != Action::Add) {
                touched.insert(change.stored_key(), Address::new(kind, change.stored_key().clone()));
            }
            snapshot.last_files(kind, &mut |key, file| {
                let entry = shelf.find(key.as_bytes());
                if entry.is_some_and(|at| matches!(shelf.owner(at), Owner::Us)) {
                    *shares.files.entry(file.clone()).or_default() += 1;
                }
                if let Some(address) = touched.get(&key) {
                    shares.last_file.insert(address.clone(), file);
                }
            })?;
        }
    }
    if limits.iter().any(|limits| limits.owner.is_some()) {
        for kind in Kind::ALL {
            let shelf = inventory.of(kind);
            for at in 0..shelf.len() as u32 {
                if let Owner::Other(other) = shelf.owner(at) {
                    let name = format!("project `{}`", inventory.owners[other as usize]);
                    *shares.owners.entry(name).or_default() += 1;
                }
            }
        }
    }
    Ok(shares)
}
