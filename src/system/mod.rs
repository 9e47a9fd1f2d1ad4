//! The products as tables of facts, one file each. A fact names its source: `000:124` is
//! document 000, line 124; `[X]` stands outside the documents; `[P]` is this project's policy.

mod catchme_mail;
mod cpi;
mod cybozu_office;
mod generic;
mod mailwise;
mod staff_express;

use std::sync::OnceLock;

use crate::model::{FieldId, Kind, Type, Value};

pub use catchme_mail::{COLUMNS as CATCHME_COLUMNS, Coding, Column, REQUIRED_COLUMNS, Target};

/// Every system; a new one is a new file and a row here.
pub static ALL: [&System; 8] = [
    &generic::SYSTEM,
    &catchme_mail::SYSTEM,
    &staff_express::SYSTEM,
    &cpi::BUSINESS_STANDARD,
    &cpi::KWC_MAIL,
    &cpi::SV_BASIC,
    &mailwise::SYSTEM,
    &cybozu_office::SYSTEM,
];

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
    /// Why the names of resources cannot change, with the source; of some kinds they can.
    pub names: Names,
    /// Whether the product's own channel can empty a field that holds a value.
    pub clears: Clears,
    /// Whether the product shows its servers in an order that is part of the state.
    pub ordered: bool,
    /// Rules about names and passwords of accounts.
    pub accounts: TextRules,
    /// Accounts that the product never deletes, each with the source.
    pub permanent: &'static [(&'static str, &'static str)],
    /// Whether the mail of an account is lost with it.
    pub deletes_mail: bool,
    /// What the document says beside its settings, in its own order.
    pub notes: &'static [Note],
    /// What the product never holds together, as far as two fields can say it: a part of `check`
    /// that an editor knows too.
    pub excludes: &'static [Exclusion],
}

/// Lines of a document that belong together.
#[derive(Debug)]
pub struct Note {
    pub title: &'static str,
    /// Source, what it says, and the line itself.
    pub lines: &'static [(&'static str, &'static str, &'static str)],
}

/// While the first field has one of its words (or always), the others have none of theirs.
#[derive(Debug)]
pub struct Exclusion {
    /// The check that says so.
    pub id: &'static str,
    pub kind: Kind,
    pub when: Option<(&'static str, &'static [&'static str])>,
    pub fields: &'static [&'static str],
    /// Empty: no value at all.
    pub words: &'static [&'static str],
}

/// Rules about texts that are data: `rules:` of a project may override them.
#[derive(Clone, Debug)]
pub struct TextRules {
    pub name: Option<TextRule>,
    pub password: Option<TextRule>,
}

impl TextRules {
    pub const NONE: TextRules = TextRules { name: None, password: None };
}

#[derive(Clone, Debug)]
pub struct TextRule {
    /// Characters.
    pub min: usize,
    pub max: usize,
    /// A set of characters as in a regular expression's brackets: `A-Za-z0-9._-`.
    pub chars: &'static str,
    /// Of the first and the last character; empty if they are as the others.
    pub edges: &'static str,
    /// At least one ASCII letter, one digit.
    pub letter: bool,
    pub digit: bool,
    /// What the text may not be equal to: `name`, `domain`.
    pub not_equal: &'static [&'static str],
    pub source: &'static str,
    pub verified: bool,
    pub note: &'static str,
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
    /// All but these fields, each with the reason.
    Except(&'static [(&'static str, &'static str)]),
}

#[derive(Debug)]
pub enum Names {
    /// Every resource can get another name.
    Free,
    /// None can; the reason, with its source.
    Fixed(&'static str),
}

#[derive(Debug)]
pub struct Rule {
    pub kind: Kind,
    pub field: &'static str,
    /// As the product's own screen names it, with its tab; empty if it has no such item.
    pub screen: &'static str,
    pub need: Need,
    pub default: Default,
    /// The words that the product accepts; empty if it takes what the field's type takes.
    pub values: &'static [&'static str],
    /// Effective only if the named field has the named value.
    pub only_when: Option<(&'static str, &'static str)>,
    /// Whether the product's own export shows it.
    pub observable: bool,
    pub source: &'static str,
    /// What the document says on the first line that `source` names; empty if it is no document.
    pub quote: &'static str,
    /// Whether the documents say it; otherwise it is inferred or this project's policy.
    pub verified: bool,
    pub note: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Need {
    /// On an add.
    Required,
    /// On an add, if the named field has the named value.
    RequiredWhen(&'static str, &'static str),
    Optional,
    /// The product knows this one behaviour and has no setting for it.
    Fixed(&'static str),
    /// The product cannot; the reason.
    Never(&'static str),
}

#[derive(Debug)]
pub enum Default {
    None,
    Value(&'static str),
    /// By the value of another field.
    By(&'static str, &'static [(&'static str, &'static str)]),
}

impl System {
    /// Whether a hash is enough for the password of an account. Where there is a product, it asks for the
    /// password itself.
    pub fn takes_hashes(&self) -> bool {
        self.open
    }

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
        let rule = self.rule(kind, field);
        let never = matches!(rule, Some(Rule { need: Need::Never(_), .. }));
        self.open || kind.field(field).read_only || kind.field(field).own || (rule.is_some() && !never)
    }

    /// Whether anything in the product says at which servers mail is received.
    pub fn has_servers(&self) -> bool {
        Kind::ALL.into_iter().any(|kind| kind.find("incoming.host").is_some_and(|field| self.expresses(kind, field)))
    }

    /// Why the product cannot empty the field.
    pub fn keeps(&self, kind: Kind, field: FieldId) -> Option<&'static str> {
        let spec = kind.field(field);
        if spec.own {
            return None;
        }
        match self.clears {
            Clears::No(why) => return Some(why),
            Clears::Except(fields) => {
                if let Some((_, why)) = fields.iter().find(|(name, _)| *name == spec.name) {
                    return Some(why);
                }
            }
            Clears::Yes => {}
        }
        // A switch, or a choice from a list, always stands somewhere.
        let chosen = matches!(spec.ty, Type::Bool | Type::Choice(_) | Type::Size);
        self.rule(kind, field).filter(|rule| {
            let listed = chosen || (matches!(spec.ty, Type::Int { .. }) && !rule.values.is_empty());
            listed && matches!(rule.default, Default::None)
        })?;
        Some("no document says where it stands at first; write the value that is meant")
    }

    /// Why a resource cannot get another name.
    pub fn keeps_names(&self) -> Option<&'static str> {
        match self.names {
            Names::Free => None,
            Names::Fixed(why) => Some(why),
        }
    }

    /// Whether the product's own export shows anything of this kind.
    pub fn exports(&self, kind: Kind) -> bool {
        self.open || self.rules.iter().any(|rule| rule.kind == kind && rule.observable)
    }

    /// Whether the product has an export, and it leaves out fields.
    pub fn has_hidden(&self) -> bool {
        !self.open && self.kinds.iter().any(|kind| self.exports(*kind))
    }

    /// Whether the product's own export shows the field; a store of its own shows all.
    pub fn observes(&self, kind: Kind, field: FieldId) -> bool {
        self.open || kind.field(field).own || self.rule(kind, field).is_some_and(|rule| rule.observable)
    }
}

impl ByField {
    fn new(rules: &'static [Rule], kind: Kind) -> ByField {
        let mut index = ByField { rules: vec![None; kind.fields().len()], ..std::default::Default::default() };
        for rule in rules.iter().filter(|rule| rule.kind == kind) {
            let field = kind.id(rule.field);
            index.rules[usize::from(field)] = Some(rule);
            if matches!(rule.need, Need::Required | Need::RequiredWhen(..)) {
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
                && !matches!(system.rule(kind, field), Some(Rule { need: Need::Fixed(_) | Need::Never(_), .. }))
        })
        .map(|system| system.name)
        .collect()
}

/// The names of the systems in which a field can be set to this value.
pub fn able_with(kind: Kind, field: FieldId, value: &Value) -> Vec<&'static str> {
    let ty = kind.field(field).ty;
    let takes = |name: &&'static str| {
        let rule = System::find(name).and_then(|system| system.rule(kind, field));
        let is = |word: &str| Value::from_word(ty, word).as_ref() == Some(value);
        rule.is_none_or(|rule| rule.values.is_empty() || rule.values.iter().any(|word| is(word)))
    };
    able(kind, field).into_iter().filter(takes).collect()
}

impl Rule {
    /// The default of the field, given the values of the others.
    pub fn default_value<'v>(&self, get: impl Fn(FieldId) -> Option<&'v Value>) -> Option<Value> {
        let word = match self.default {
            Default::None => return None,
            Default::Value(word) => word,
            Default::By(other, cases) => {
                let value = get(self.kind.id(other))?;
                cases.iter().find(|(case, _)| value.is_word(case))?.1
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
                for word in words.into_iter().chain(fixed).chain(rule.values.iter().copied()) {
                    assert!(Value::from_word(ty, word).is_some(), "{word} of {}", rule.field);
                }
                let when = if let Need::RequiredWhen(other, word) = rule.need { Some((other, word)) } else { None };
                for (other, word) in rule.only_when.into_iter().chain(when) {
                    let other = rule.kind.field(rule.kind.id(other));
                    assert!(Value::from_word(other.ty, word).is_some());
                }
                assert!(rule.verified || !rule.note.is_empty(), "{} of {}: why is it so?", rule.field, system.name);
                let of_document = rule.source.starts_with(system.document) && !system.document.is_empty();
                assert_eq!(of_document, !rule.quote.is_empty(), "quote of {} in {}", rule.field, system.name);
            }
            for one in system.excludes {
                let sides = one.fields.iter().map(|field| (*field, one.words)).chain(one.when);
                for (field, words) in sides {
                    let id = one.kind.id(field);
                    let ty = one.kind.field(id).ty;
                    assert!(system.expresses(one.kind, id), "{field} in {}", system.name);
                    assert!(words.iter().all(|word| Value::from_word(ty, word).is_some()), "{words:?} of {field}");
                }
            }
            for (source, text, quote) in system.notes.iter().flat_map(|note| note.lines) {
                assert!(source.starts_with(system.document) && !text.is_empty() && !quote.is_empty(), "{source}");
            }
        }
    }
}
