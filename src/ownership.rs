//! Who owns what: plans that take resources over or let them go, and change nothing else.

use crate::model::inventory::Owner;
use crate::model::plan::Base;
use crate::model::{Action, Address, Change, Error, Inventory, Key, Kind, Plan, Result, Special};
use crate::system::System;

/// The project that asks, and the store it asks.
pub struct Asking<'a> {
    pub project: &'a str,
    pub system: &'static System,
    pub base: Base,
    pub inventory: &'a Inventory,
}

impl Asking<'_> {
    /// Takes over what nobody owns, or what `from` owns: the resources named, or all of them. What belongs to
    /// anybody else is for the guard to refuse.
    pub fn adopt(&self, named: &[Address], from: Option<&str>) -> Result<Plan> {
        let note = from.map_or("adopt".to_owned(), |from| format!("adopt from {from}"));
        let mut plan = self.plan(note);
        self.each(named, &mut plan, |kind, key, owner| {
            let special = match owner {
                Owner::Us => return None,
                Owner::Nobody if from.is_some() && named.is_empty() => return None,
                Owner::Nobody => Special::default(),
                Owner::Other(at) => {
                    let other = &self.inventory.owners[at as usize];
                    let name = Some(format!("project `{other}`"));
                    if from == Some(other.as_str()) {
                        Special { taken_from: name, ..Special::default() }
                    } else if named.is_empty() {
                        return None;
                    } else {
                        Special { foreign_owner: name, ..Special::default() }
                    }
                }
            };
            let change = Change::new(Action::Overwrite, kind, key, None, Vec::new());
            Some(Change { adopted: true, special: special.boxed(), ..change })
        })?;
        Ok(plan)
    }

    /// Lets resources of the project go: they stay as they are, and nobody owns them.
    pub fn forget(&self, named: &[Address]) -> Result<Plan> {
        let mut plan = self.plan("forget".to_owned());
        self.each(named, &mut plan, |kind, key, owner| {
            let special = match owner {
                Owner::Nobody => return None,
                Owner::Us => Special { owner: Some(None), ..Special::default() },
                Owner::Other(at) => {
                    let other = format!("project `{}`", self.inventory.owners[at as usize]);
                    Special { foreign_owner: Some(other), ..Special::default() }
                }
            };
            Some(Change { special: special.boxed(), ..Change::new(Action::Overwrite, kind, key, None, Vec::new()) })
        })?;
        Ok(plan)
    }

    fn plan(&self, note: String) -> Plan {
        Plan {
            project: self.project.to_owned(),
            system: self.system.name,
            base: self.base,
            owned: Kind::ALL.map(|kind| self.inventory.of(kind).owned() as u64),
            // The product knows nothing of owners.
            recorded: true,
            note: Some(note),
            ..Plan::default()
        }
    }

    /// The change of each resource that is named, or of all; what has none counts as unchanged if it was named.
    fn each(
        &self,
        named: &[Address],
        plan: &mut Plan,
        mut change: impl FnMut(Kind, Key, Owner) -> Option<Change>,
    ) -> Result<()> {
        if named.is_empty() {
            for kind in Kind::ALL {
                let stored = self.inventory.of(kind);
                plan.changes
                    .extend((0..stored.len() as u32).filter_map(|at| change(kind, stored.key(at), stored.owner(at))));
            }
        }
        let mut missing = Vec::new();
        for address in named {
            let stored = self.inventory.of(address.kind);
            match stored.find(address.key.as_bytes()) {
                None => missing.push(format!("`{address}`")),
                Some(at) => match change(address.kind, address.key.clone(), stored.owner(at)) {
                    Some(change) => plan.changes.push(change),
                    None => plan.unchanged += 1,
                },
            }
        }
        if !missing.is_empty() {
            return Err(Error::failure(format!("the store does not hold {}", missing.join(", ")))
                .hint("`yubin show` lists what it holds"));
        }
        plan.changes.dedup_by(|a, b| a.kind == b.kind && a.key == b.key);
        plan.settle();
        Ok(())
    }
}
