//! Desired state and what the store holds, to a plan. What is not managed never gets here.

use std::collections::{HashMap, HashSet};

use crate::model::desired::Aim;
use crate::model::inventory::{Inventory, Owner};
use crate::model::plan::{Base, Learned, Waiting};
use crate::model::{
    Action, Address, Cell, Change, Desired, Existing, FieldChange, FieldId, Grace, Key, Kind, Plan, Policy, Renames,
    Row, Rows, Source, Special, Undeclared, Value, Wanted, Wish,
};
use crate::system::System;

/// Resources of the project that are declared no more and are to be deleted, by kind and key.
pub fn undeclared(
    mentioned: [bool; 3],
    declared: &Declared,
    inventory: &Inventory,
    policy: &Policy,
) -> Vec<(Kind, Key)> {
    if policy.undeclared == Undeclared::Keep {
        return Vec::new();
    }
    let mut gone = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| mentioned[*kind as usize]) {
        let shelf = inventory.of(kind);
        for at in 0..shelf.len() as u32 {
            if matches!(shelf.owner(at), Owner::Us) && !declared.stored[kind as usize][at as usize] {
                gone.push((kind, shelf.key(at)));
            }
        }
    }
    gone
}

/// Which entries of the inventory the files declare.
pub struct Declared {
    stored: [Vec<bool>; 3],
}

impl Declared {
    pub fn new(inventory: &Inventory) -> Declared {
        Declared { stored: Kind::ALL.map(|kind| vec![false; inventory.of(kind).len()]) }
    }

    pub fn insert(&mut self, kind: Kind, entry: u32) {
        self.stored[kind as usize][entry as usize] = true;
    }
}

pub struct Current<'a> {
    pub base: Base,
    pub inventory: &'a Inventory,
    /// Rows of the declared resources that exist, and of those that are declared no more, as they will be called.
    pub rows: &'a Rows,
    pub renames: &'a Renames,
    /// By the revision that disabled resources: what becomes of those.
    pub terms: &'a Terms,
    /// What other software has touched: of these it matters which declared fields are what the store holds.
    pub touched: &'a HashSet<(Kind, Key)>,
}

/// Until when resources that were disabled can be brought back.
pub type Terms = HashMap<u64, Term>;

pub struct Term {
    /// RFC 3339, UTC.
    pub until: String,
    pub is_over: bool,
}

/// A part of a plan, from some of the declared resources.
#[derive(Default)]
pub struct Part {
    changes: Vec<Change>,
    learned: Vec<Learned>,
    unchanged: u64,
    pub declared: [u64; 3],
    waiting: Vec<Waiting>,
    /// Of what other software has touched: the fields that are declared as they are.
    pub settled: Vec<(Kind, Key, Vec<FieldId>)>,
}

/// How many resources of each kind are declared.
pub fn declared(wanted: &[Wanted]) -> [u64; 3] {
    let mut declared = [0; 3];
    wanted.iter().filter(|wanted| !wanted.absent).for_each(|wanted| declared[wanted.kind as usize] += 1);
    declared
}

/// Compares declared resources, whose secrets are sealed, with what the store holds.
pub fn compare(system: &System, wanted: Vec<Wanted>, current: &Current<'_>, policy: &Policy) -> Part {
    let mut part = Part::default();
    for wanted in wanted {
        let previously = current.renames.from(wanted.kind, &wanted.key);
        let entry = current.inventory.of(wanted.kind).find(previously.unwrap_or(&wanted.key).as_bytes());
        let row = entry.and_then(|_| current.rows.get(wanted.kind, &wanted.key));
        let change = match (entry, row) {
            (Some(entry), Some(row)) => {
                let shelf = current.inventory.of(wanted.kind);
                let owner = shelf.owner(entry);
                let learned = wanted.digest.filter(|digest| !shelf.recognises(entry, digest));
                let (kind, key) = (wanted.kind, wanted.key.clone());
                if current.touched.contains(&(kind, previously.unwrap_or(&key).clone())) {
                    part.settled.push((kind, previously.unwrap_or(&key).clone(), as_declared(&wanted, row)));
                }
                let change = existing(system, wanted, row, owner, current, policy, &mut part.waiting);
                if change.is_none() {
                    part.learned.extend(learned.map(|digest| (kind, key, digest)));
                }
                change
            }
            _ if wanted.absent => continue,
            _ => Some(add(wanted)),
        };
        match change {
            Some(change) => part.changes.push(change),
            None => part.unchanged += 1,
        }
    }
    part
}

/// Puts the parts of a plan together, with the deletes of what is declared no more.
pub fn assemble(
    project: &str,
    system: &'static System,
    desired: Desired,
    parts: Vec<Part>,
    gone: Vec<(Kind, Key)>,
    current: &Current<'_>,
    grace: Option<Grace>,
) -> Plan {
    let mut declared = [0; 3];
    for one in &desired.recognised {
        declared[one.kind as usize] += 1;
    }
    let mut plan = Plan {
        project: project.to_owned(),
        system: system.name,
        base: current.base,
        files: desired.files,
        unchanged: desired.recognised.len() as u64,
        owned: Kind::ALL.map(|kind| current.inventory.of(kind).owned() as u64),
        vanished: desired.vanished,
        deletes_mail: system.deletes_mail,
        is_handed_over: !system.open,
        ..Plan::default()
    };
    plan.changes.reserve(parts.iter().map(|part| part.changes.len()).sum());
    for part in parts {
        plan.changes.extend(part.changes);
        plan.learned.extend(part.learned);
        plan.waiting.extend(part.waiting);
        plan.unchanged += part.unchanged;
        for (all, some) in declared.iter_mut().zip(part.declared) {
            *all += some;
        }
    }
    plan.declared = Kind::ALL.map(|kind| desired.mentioned[kind as usize].then_some(declared[kind as usize]));
    for (kind, key) in gone {
        let Some(row) = current.rows.get(kind, &key) else { continue };
        match lose(kind, row, None, grace, current.terms) {
            Loss::Now(change) => plan.changes.push(change),
            Loss::Later(waiting) => {
                plan.waiting.push(waiting);
                plan.unchanged += 1;
            }
        }
    }
    plan.waiting.sort_by(|a, b| a.address.cmp(&b.address));
    plan.settle();
    plan
}

fn add(wanted: Wanted) -> Change {
    // To the size: what a million adds leave unused would fill memory.
    let mut fields = Vec::with_capacity(wanted.wishes.len());
    fields.extend(wanted.wishes.into_iter().filter_map(|wish| {
        let after = value(wish.aim)?;
        Some(FieldChange { field: wish.field, origin: wish.origin, before: None, after: Some(after) })
    }));
    Change { digest: wanted.digest, ..Change::new(Action::Add, wanted.kind, wanted.key, Some(wanted.source), fields) }
}

/// What becomes of a resource that is to go.
enum Loss {
    Now(Change),
    Later(Waiting),
}

fn lose(kind: Kind, row: &Row, source: Option<Source>, grace: Option<Grace>, terms: &Terms) -> Loss {
    let delete = Change::delete(kind, row, source);
    let (Some(grace), disabled) = (grace, row.disabled) else { return Loss::Now(delete) };
    let Some(revision) = disabled else {
        let special = Special { grace: Some(grace), ..Special::default() }.boxed();
        let key = row.key.clone();
        return Loss::Now(Change { special, ..Change::new(Action::Disable, kind, key, source, Vec::new()) });
    };
    match terms.get(&revision).filter(|term| !term.is_over) {
        Some(term) => {
            let address = Address::new(kind, row.key.clone());
            Loss::Later(Waiting { address, revision, until: term.until.clone() })
        }
        None => Loss::Now(Change { action: Action::Purge, ..delete }),
    }
}

/// The fields that are declared as the store holds them.
fn as_declared(wanted: &Wanted, row: &Row) -> Vec<FieldId> {
    let same = |wish: &&Wish| row.get(wish.field) == value(wish.aim.clone()).as_ref();
    wanted.wishes.iter().filter(same).map(|wish| wish.field).collect()
}

fn existing(
    system: &System,
    wanted: Wanted,
    row: &Row,
    owner: Owner,
    current: &Current<'_>,
    policy: &Policy,
    waiting: &mut Vec<Waiting>,
) -> Option<Change> {
    let foreign_owner = match owner {
        Owner::Us => None,
        Owner::Nobody if wanted.absent => Some("no project".to_owned()),
        Owner::Nobody => None,
        Owner::Other(at) => Some(format!("project `{}`", current.inventory.owners[at as usize])),
    };
    if wanted.absent {
        let mut change = match lose(wanted.kind, row, Some(wanted.source), policy.grace, current.terms) {
            Loss::Now(change) => change,
            Loss::Later(later) => {
                waiting.push(later);
                return None;
            }
        };
        if foreign_owner.is_some() {
            change.special.get_or_insert_default().foreign_owner = foreign_owner;
        }
        return Some(change);
    }
    let previously = current.renames.from(wanted.kind, &wanted.key).cloned();
    let mut fields = Vec::new();
    let mut reason = None;
    for wish in wanted.wishes {
        let before = row.get(wish.field);
        let after = value(wish.aim);
        if before == after.as_ref() {
            continue;
        }
        let name = wanted.kind.field(wish.field).name;
        if after.is_none()
            && let Some(why) = system.keeps(wanted.kind, wish.field)
            && reason.is_none()
        {
            reason = Some(format!("{} cannot clear `{name}`: {why}", system.product));
        }
        fields.push(FieldChange {
            field: wish.field,
            origin: wish.origin,
            before: before.cloned().map(Box::new),
            after,
        });
    }
    let adopted = matches!(owner, Owner::Nobody);
    let restored = row.disabled.is_some();
    if let Some(why) = hindrance(system, wanted.kind, &wanted.key, previously.as_ref(), current) {
        reason = Some(why);
    } else if fields.is_empty() && !adopted && !restored && foreign_owner.is_none() && previously.is_none() {
        return None;
    }
    let clashes = current.renames.clash(wanted.kind, &wanted.key).is_some();
    let action = match policy.existing {
        // Left alone, the one with the old name would be lost in the end.
        _ if clashes => Action::Blocked,
        // What is left alone need not be expressible.
        Existing::Skip => Action::Skip,
        _ if reason.is_some() => Action::Blocked,
        _ if previously.is_some() => Action::Rename,
        Existing::Overwrite | Existing::Fail => Action::Overwrite,
    };
    if action == Action::Skip {
        reason = None;
    }
    let writes = action.writes();
    let resealed = match &previously {
        Some(_) if writes => kept_secrets(wanted.kind, row, &fields),
        _ => Vec::new(),
    };
    let previously = previously.filter(|_| writes);
    Some(Change {
        adopted: adopted && writes,
        digest: wanted.digest,
        special: Special {
            reason,
            foreign_owner,
            restored: restored && writes,
            previously,
            resealed,
            ..Special::default()
        }
        .boxed(),
        ..Change::new(action, wanted.kind, wanted.key, Some(wanted.source), fields)
    })
}

/// Why a resource cannot get the name that is declared.
fn hindrance(
    system: &System,
    kind: Kind,
    key: &Key,
    previously: Option<&Key>,
    current: &Current<'_>,
) -> Option<String> {
    if let Some(old) = current.renames.clash(kind, key) {
        let (old, new) = (Address::new(kind, old.clone()), Address::new(kind, key.clone()));
        return Some(format!("`{old}` cannot be renamed: `{new}` exists besides, and two cannot have one name"));
    }
    let why = previously.and_then(|_| system.keeps_names())?;
    let old = Address::new(kind, previously?.clone());
    Some(format!("{} cannot rename `{old}`: {why}", system.product))
}

/// The secrets that a rename carries along.
fn kept_secrets(kind: Kind, row: &Row, fields: &[FieldChange]) -> Vec<Cell> {
    let kept =
        |cell: &&Cell| kind.field(cell.field).is_secret() && !fields.iter().any(|field| field.field == cell.field);
    row.cells.iter().filter(kept).cloned().collect()
}

fn value(aim: Aim) -> Option<Value> {
    match aim {
        Aim::Value(value) => Some(value),
        // The vault has sealed every secret before anything is compared.
        Aim::Clear | Aim::Secret(_) => None,
    }
}
