//! Edits of YAML: each value is written the way the one before it was, and each new key the way its
//! neighbours are.

mod insert;
mod list;
mod remove;
mod scalar;
mod set;
mod tree;

use std::collections::HashSet;

use super::reading::Reading;
use super::{Edit, Plan, Refused};
use crate::model::{Key, Kind};
pub use set::ATTEMPTS;
pub use tree::Node;
use tree::{Entry, Shape};

/// The file as a tree, with the resources that are edited.
pub fn read(text: &str, edits: &[(usize, &Edit)]) -> Option<Node> {
    let wanted: HashSet<(Kind, &Key)> = edits.iter().map(|(_, edit)| (edit.kind(), edit.key())).collect();
    tree::read(text, &|kind, key| wanted.contains(&(kind, key)))
}

pub fn plan(text: &str, top: Option<&Node>, reading: &Reading, edits: &[(usize, &Edit)], attempt: usize) -> Plan {
    let mut plan = Plan::default();
    let mut gone = Vec::new();
    for (at, edit) in edits {
        let made = match top.and_then(|top| find(top, edit)) {
            None => Err(missing(reading, edit)),
            Some(found) => match edit {
                Edit::Remove { .. } => {
                    gone.push((*at, found));
                    continue;
                }
                Edit::Set { kind, key, field, value } => match reading.find(*kind, key) {
                    None => Err(missing(reading, edit)),
                    Some(resource) => {
                        let (field, value) = (*field, value.as_ref());
                        set::Setting { text, found: &found, resource, field, value, attempt }.patches()
                    }
                },
            },
        };
        match made {
            Ok(patches) => plan.patches.extend(patches),
            Err(reason) => plan.refused.push(Refused { edit: *at, reason }),
        }
    }
    if let Some(top) = top {
        remove::plan(text, top, &gone, &mut plan);
    }
    plan
}

fn missing(reading: &Reading, edit: &Edit) -> String {
    let address = edit.address();
    if reading.find(edit.kind(), edit.key()).is_some() {
        format!("`{address}` is not written by itself: it comes with an alias or a merge")
    } else {
        format!("the file does not declare `{address}`")
    }
}

/// An entry of a resource, and the entries that it stands in.
pub struct Place<'t> {
    /// The key of the kind, then that of the user.
    pub outer: Vec<&'t Entry>,
    pub entry: &'t Entry,
}

fn find<'t>(top: &'t Node, edit: &Edit) -> Option<Place<'t>> {
    let mut outer = Vec::with_capacity(2);
    let mut entry = child(top, edit.kind().plural())?;
    for part in edit.key().parts() {
        outer.push(entry);
        entry = child(&entry.value, part)?;
    }
    Some(Place { outer, entry })
}

fn child<'t>(map: &'t Node, name: &str) -> Option<&'t Entry> {
    map.entries().iter().find(|entry| entry.name() == Some(name) && !entry.is_merge())
}

/// Why something that a person could edit is not edited here.
fn odd(what: &str) -> String {
    format!("{what} is written in a way that is not edited; change it by hand")
}

impl Place<'_> {
    /// How far each level is indented.
    fn step(&self, text: &str) -> usize {
        let column = |at: usize| at - super::lines::start(text, at);
        let outer = self.outer.last().map_or(0, |outer| column(outer.key.span.start));
        let own = column(self.entry.key.span.start);
        let step = match &self.entry.value.shape {
            Shape::Map { flow: false, .. } => column(self.entry.value.span.start).saturating_sub(own),
            _ if self.outer.last().is_some_and(|outer| outer.value.is_block()) => own.saturating_sub(outer),
            _ => 2,
        };
        if (1..=8).contains(&step) { step } else { 2 }
    }
}
