//! Desired state and what the store holds, to a plan. What is not managed never gets here.

use crate::model::desired::Aim;
use crate::model::inventory::{Inventory, Owner};
use crate::model::plan::{Base, Learned};
use crate::model::{
    Action, Change, Desired, Existing, FieldChange, Key, Kind, Plan, Policy, Row, Rows, Special, Undeclared, Value,
    Wanted,
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
    /// Rows of the declared resources that exist, and of those that are declared no more.
    pub rows: &'a Rows,
}

/// A part of a plan, from some of the declared resources.
#[derive(Default)]
pub struct Part {
    changes: Vec<Change>,
    learned: Vec<Learned>,
    unchanged: u64,
    declared: [u64; 3],
}

/// Compares declared resources, whose secrets are sealed, with what the store holds.
pub fn compare(system: &System, wanted: Vec<Wanted>, current: &Current<'_>, policy: &Policy) -> Part {
    let mut part = Part::default();
    for wanted in wanted {
        part.declared[wanted.kind as usize] += u64::from(!wanted.absent);
        let entry = current.inventory.of(wanted.kind).find(wanted.key.as_bytes());
        let row = entry.and_then(|_| current.rows.get(wanted.kind, &wanted.key));
        let change = match (entry, row) {
            (Some(entry), Some(row)) => {
                let shelf = current.inventory.of(wanted.kind);
                let owner = shelf.owner(entry);
                let learned = wanted.digest.filter(|digest| !shelf.recognises(entry, digest));
                let (kind, key) = (wanted.kind, wanted.key.clone());
                let change = existing(system, wanted, row, owner, current.inventory, policy);
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
        ..Plan::default()
    };
    plan.changes.reserve(parts.iter().map(|part| part.changes.len()).sum());
    for part in parts {
        plan.changes.extend(part.changes);
        plan.learned.extend(part.learned);
        plan.unchanged += part.unchanged;
        for (all, some) in declared.iter_mut().zip(part.declared) {
            *all += some;
        }
    }
    plan.declared = Kind::ALL.map(|kind| desired.mentioned[kind as usize].then_some(declared[kind as usize]));
    for (kind, key) in gone {
        if let Some(row) = current.rows.get(kind, &key) {
            plan.changes.push(Change::delete(kind, row, None));
        }
    }
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

fn existing(
    system: &System,
    wanted: Wanted,
    row: &Row,
    owner: Owner,
    inventory: &Inventory,
    policy: &Policy,
) -> Option<Change> {
    let foreign_owner = match owner {
        Owner::Us => None,
        Owner::Nobody if wanted.absent => Some("no project".to_owned()),
        Owner::Nobody => None,
        Owner::Other(at) => Some(format!("project `{}`", inventory.owners[at as usize])),
    };
    if wanted.absent {
        let special = Special { foreign_owner, ..Special::default() }.boxed();
        return Some(Change { special, ..Change::delete(wanted.kind, row, Some(wanted.source)) });
    }
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
    if fields.is_empty() && !adopted && foreign_owner.is_none() {
        return None;
    }
    let action = match policy.existing {
        // What is left alone need not be expressible.
        Existing::Skip => Action::Skip,
        _ if reason.is_some() => Action::Blocked,
        Existing::Overwrite | Existing::Fail => Action::Overwrite,
    };
    if action == Action::Skip {
        reason = None;
    }
    Some(Change {
        adopted: adopted && action == Action::Overwrite,
        digest: wanted.digest,
        special: Special { reason, foreign_owner, ..Special::default() }.boxed(),
        ..Change::new(action, wanted.kind, wanted.key, Some(wanted.source), fields)
    })
}

fn value(aim: Aim) -> Option<Value> {
    match aim {
        Aim::Value(value) => Some(value),
        // The vault has sealed every secret before anything is compared.
        Aim::Clear | Aim::Secret(_) => None,
    }
}
