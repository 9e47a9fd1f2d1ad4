//! Editing files in place, so that they declare other values: text to text, everything else stays as
//! it is written. What an edit makes of a file is read again, and an edit that would change anything
//! but what it is for is refused.

mod lines;
mod patch;
mod reading;
mod records;
mod yaml;

use std::collections::HashSet;

use crate::model::{Address, FieldId, Key, Kind, Value};
use patch::{Patch, apply};
use reading::Reading;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    Yaml,
    /// Canonical CSV; the kind is what its source declares.
    Csv(Option<Kind>),
    CatchmeMail,
}

/// What a file should say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The field of a resource has this value, or none.
    Set { kind: Kind, key: Key, field: FieldId, value: Option<Value> },
    /// The resource is not declared.
    Remove { kind: Kind, key: Key },
}

impl Edit {
    fn kind(&self) -> Kind {
        match self {
            Edit::Set { kind, .. } | Edit::Remove { kind, .. } => *kind,
        }
    }

    fn key(&self) -> &Key {
        match self {
            Edit::Set { key, .. } | Edit::Remove { key, .. } => key,
        }
    }

    fn address(&self) -> Address {
        Address::new(self.kind(), self.key().clone())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    pub text: String,
    /// By edit, ascending.
    pub refused: Vec<Refused>,
}

/// An edit that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Index into the edits.
    pub edit: usize,
    /// Why, for the user; it repeats no value.
    pub reason: String,
}

/// Edits the decoded text of a file. Edits are made in order; those that the text fulfils already
/// change nothing.
pub fn edit(text: &str, notation: Notation, edits: &[Edit]) -> Edited {
    if let Some(marked) = text.strip_prefix('\u{feff}') {
        let Edited { text, refused } = edit(marked, notation, edits);
        return Edited { text: format!("\u{feff}{text}"), refused };
    }
    let mut desk =
        Desk { notation, edits, text: text.to_owned(), reading: Reading::of(text, notation), refused: Vec::new() };
    let mut pending = Vec::with_capacity(edits.len());
    for (at, edit) in edits.iter().enumerate() {
        match desk.impossible(edit) {
            Some(reason) => desk.refuse(at, reason),
            None => pending.push(at),
        }
    }
    while !pending.is_empty() {
        // What one edit of a resource inserts, the next one may have to look at.
        let mut taken = HashSet::new();
        let (now, later): (Vec<usize>, Vec<usize>) =
            pending.iter().partition(|at| taken.insert((edits[**at].kind(), edits[**at].key())));
        desk.settle(&now);
        pending = later;
    }
    let Desk { text, mut refused, .. } = desk;
    refused.sort_by_key(|refused| refused.edit);
    Edited { text, refused }
}

/// A file and its edits.
struct Desk<'e> {
    notation: Notation,
    edits: &'e [Edit],
    text: String,
    reading: Reading,
    refused: Vec<Refused>,
}

/// Patches for some edits, and the edits for which there are none.
#[derive(Default)]
struct Plan {
    patches: Vec<Patch>,
    refused: Vec<Refused>,
}

impl Desk<'_> {
    fn refuse(&mut self, edit: usize, reason: impl Into<String>) {
        self.refused.push(Refused { edit, reason: reason.into() });
    }

    /// Why an edit cannot be made, whatever the resource looks like.
    fn impossible(&self, edit: &Edit) -> Option<String> {
        if !self.reading.is_sound() {
            return Some("the file has mistakes; `yubin check` lists them".to_owned());
        }
        let Edit::Set { kind, key, field, value } = edit else { return None };
        if self.reading.find(*kind, key).is_some_and(|resource| resource.absent) {
            return Some(format!("the file says that `{}` is absent", edit.address()));
        }
        let spec = kind.fields().get(usize::from(*field))?;
        if spec.is_secret() || value.as_ref().is_some_and(reading::is_secret) {
            return Some(format!("`{}` is a secret, and secrets are not written into files", spec.name));
        }
        if spec.read_only {
            return Some(format!("`{}` is given by the product, and files do not declare it", spec.name));
        }
        None
    }

    /// Makes the edits, all at once if that comes out right, otherwise by halves, so that a wrong one
    /// costs only itself.
    fn settle(&mut self, all: &[usize]) {
        let due: Vec<usize> = all.iter().copied().filter(|at| !self.reading.fulfils(&self.edits[*at])).collect();
        if due.is_empty() {
            return;
        }
        let tree = match self.notation {
            Notation::Yaml => yaml::read(&self.text, &self.of(&due)),
            Notation::Csv(_) | Notation::CatchmeMail => None,
        };
        let Plan { patches, refused } = self.plan(tree.as_ref(), &due, 0);
        let planned: Vec<usize> =
            due.iter().copied().filter(|at| !refused.iter().any(|refused| refused.edit == *at)).collect();
        self.refused.extend(refused);
        if planned.is_empty() {
            return;
        }
        match (self.attempt(&planned, patches.clone()), planned.as_slice()) {
            (Ok(()), _) => {}
            (Err(reason), [one]) => {
                let mut ways = vec![patches];
                for attempt in 1..yaml::ATTEMPTS {
                    let Plan { patches, refused } = self.plan(tree.as_ref(), &[*one], attempt);
                    if refused.is_empty() && !ways.contains(&patches) {
                        ways.push(patches);
                    }
                }
                if !ways.into_iter().skip(1).any(|patches| self.attempt(&[*one], patches).is_ok()) {
                    self.refuse(*one, reason);
                }
            }
            (Err(_), _) => {
                let (first, second) = planned.split_at(planned.len() / 2);
                self.settle(first);
                self.settle(second);
            }
        }
    }

    fn of(&self, edits: &[usize]) -> Vec<(usize, &Edit)> {
        edits.iter().map(|at| (*at, &self.edits[*at])).collect()
    }

    fn plan(&self, tree: Option<&yaml::Node>, edits: &[usize], attempt: usize) -> Plan {
        let edits = self.of(edits);
        match self.notation {
            Notation::Yaml => yaml::plan(&self.text, tree, &self.reading, &edits, attempt),
            // There is one way to write a cell.
            Notation::Csv(_) | Notation::CatchmeMail => records::plan(&self.text, self.notation, &edits),
        }
    }

    /// Takes the patches over if the text then reads as it should.
    fn attempt(&mut self, edits: &[usize], patches: Vec<Patch>) -> Result<(), String> {
        let Some(text) = apply(&self.text, patches) else {
            return Err("it stands where another edit is made".to_owned());
        };
        let after = Reading::of(&text, self.notation);
        self.reading.leads_to(&after, &self.of(edits))?;
        self.text = text;
        self.reading = after;
        Ok(())
    }
}
