//! The products as tables of facts, one file each. A fact names its source: `000:124` is
//! document 000, line 124; `[X]` stands outside the documents; `[P]` is this project's policy.

mod catchme_mail;
mod generic;

use std::sync::OnceLock;

use crate::model::{FieldId, Kind, Value};

pub use catchme_mail::{COLUMNS as CATCHME_COLUMNS, Coding, Column, REQUIRED_COLUMNS, Target};

/// Every system; a new one is a new file and a row here.
pub static ALL: [&System; 2] = [&generic::SYSTEM, &catchme_mail::SYSTEM];

#[derive(Debug)]
pub struct System {
    pub name: &'static str,
    /// As its users call it.
    pub product: &'static str,
    /// Number of its document, empty if it has none.
    pub document: &'static str,
    pub about: &'static str,
    /// Kinds that reach plan and store; servers of others only serve references.
    pub kinds: &'static [Kind],
    /// A field without a row is optional and takes every value, in systems that are `open`;
    /// in others it cannot be expressed.
    pub open: bool,
    pub rules: &'static [Rule],
    /// The rules by field, made from `rules` when they are first asked for.
    index: OnceLock<[ByField; 3]>,
    /// Whether the product's own channel can empty a field that holds a value.
    pub clears: Clears,
}

/// The rules of a kind, by their fields.
#[derive(Debug, std::default::Default)]
pub struct ByField {
    rules: Vec<Option<&'static Rule>>,
    pub required: Vec<(FieldId, &'static Rule)>,
    pub defaults: Vec<(FieldId, &'static Rule)>,
    pub conditional: Vec<(FieldId, &'static Rule)>,
}

#[derive(Debug)]
pub enum Clears {
    Yes,
    /// The reason, with its source.
    No(&'static str),
}

#[derive(Debug)]
pub struct Rule {
    pub kind: Kind,
    pub field: &'static str,
    pub need: Need,
    pub default: Default,
    /// Effective only if the named field has the named value.
    pub only_when: Option<(&'static str, &'static str)>,
    pub source: &'static str,
    /// Whether the documents say it; otherwise it is inferred or this project's policy.
    pub verified: bool,
    pub note: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Need {
    /// On an add.
    Required,
    Optional,
    /// The product knows this one behaviour and has no setting for it.
    Fixed(&'static str),
}

#[derive(Debug)]
pub enum Default {
    None,
    Value(&'static str),
    /// By the value of another field.
    By(&'static str, &'static [(&'static str, &'static str)]),
}

impl System {
    pub fn find(name: &str) -> Option<&'static System> {
        ALL.into_iter().find(|system| system.name == name)
    }

    pub fn manages(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    pub fn by_field(&self, kind: Kind) -> &ByField {
        &self.index.get_or_init(|| Kind::ALL.map(|kind| ByField::new(self.rules, kind)))[kind as usize]
    }

    pub fn rule(&self, kind: Kind, field: FieldId) -> Option<&'static Rule> {
        self.by_field(kind).rules[usize::from(field)]
    }

    /// Whether the system has this field at all.
    pub fn expresses(&self, kind: Kind, field: FieldId) -> bool {
        self.open || kind.field(field).read_only || self.rule(kind, field).is_some()
    }
}

impl ByField {
    fn new(rules: &'static [Rule], kind: Kind) -> ByField {
        let mut index = ByField { rules: vec![None; kind.fields().len()], ..std::default::Default::default() };
        for rule in rules.iter().filter(|rule| rule.kind == kind) {
            let field = kind.id(rule.field);
            index.rules[usize::from(field)] = Some(rule);
            if rule.need == Need::Required {
                index.required.push((field, rule));
            }
            if !matches!(rule.default, Default::None) {
                index.defaults.push((field, rule));
            }
            if rule.only_when.is_some() {
                index.conditional.push((field, rule));
            }
        }
        index
    }
}

/// The names of the systems in which a field can be set to more than one value.
pub fn able(kind: Kind, field: FieldId) -> Vec<&'static str> {
    ALL.into_iter()
        .filter(|system| {
            system.manages(kind)
                && system.expresses(kind, field)
                && !matches!(system.rule(kind, field), Some(Rule { need: Need::Fixed(_), .. }))
        })
        .map(|system| system.name)
        .collect()
}

impl Rule {
    /// The default of the field, given the values of the others.
    pub fn default_value<'v>(&self, get: impl Fn(FieldId) -> Option<&'v Value>) -> Option<Value> {
        let word = match self.default {
            Default::None => return None,
            Default::Value(word) => word,
            Default::By(other, cases) => {
                let value = get(self.kind.id(other))?.text()?;
                cases.iter().find(|(case, _)| *case == value)?.1
            }
        };
        Value::from_word(self.kind.field(self.kind.id(self.field)).ty, word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_tables_are_sound() {
        let mut names = HashSet::new();
        for system in ALL {
            assert!(names.insert(system.name));
            let mut fields = HashSet::new();
            for rule in system.rules {
                assert!(fields.insert((rule.kind, rule.field)), "{} twice in {}", rule.field, system.name);
                let ty = rule.kind.field(rule.kind.id(rule.field)).ty;
                assert!(!rule.source.is_empty(), "{} has no source", rule.field);
                let words: Vec<&str> = match rule.default {
                    Default::None => Vec::new(),
                    Default::Value(word) => vec![word],
                    Default::By(other, cases) => {
                        rule.kind.id(other);
                        cases.iter().map(|(_, word)| *word).collect()
                    }
                };
                let fixed = if let Need::Fixed(word) = rule.need { vec![word] } else { Vec::new() };
                for word in words.into_iter().chain(fixed) {
                    assert!(Value::from_word(ty, word).is_some(), "{word} of {}", rule.field);
                }
                if let Some((other, word)) = rule.only_when {
                    let other = rule.kind.field(rule.kind.id(other));
                    assert!(Value::from_word(other.ty, word).is_some());
                }
            }
        }
    }
}
