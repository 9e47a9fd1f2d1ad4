//! What a text declares, to be compared before and after an edit.

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;

use super::{Edit, Notation};
use crate::format::catchme_mail::CatchmeMail;
use crate::format::csv::Canonical;
use crate::format::records::records;
use crate::format::{File, Found, RecordFormat, broken_quotes, yaml};
use crate::model::{
    Address, DraftResource, Field, FieldId, Key, Kind, Place, Raw, SecretSource, Severity, Type, Value,
};

/// A field that an edit sets.
type Wanted<'e> = (FieldId, Option<&'e Value>);

/// Read the way `load` reads it.
pub struct Reading {
    resources: Vec<DraftResource>,
    mentioned: [bool; 3],
    index: HashMap<(Kind, Key), usize>,
    /// The first error.
    flaw: Option<String>,
}

impl Reading {
    pub fn of(text: &str, notation: Notation) -> Reading {
        let file = File { id: 0, name: "", text };
        let mut found = Found::default();
        match notation {
            Notation::Yaml => yaml::read(file, &mut found),
            Notation::Csv(_) | Notation::CatchmeMail => read_records(file, notation, &mut found),
        }
        let error = found.problems.into_iter().find(|problem| problem.severity == Severity::Error);
        let mut index = HashMap::with_capacity(found.resources.len());
        let mut twice = None;
        for (at, resource) in found.resources.iter().enumerate() {
            if index.insert((resource.kind, resource.key.clone()), at).is_some() {
                twice = Some(format!("`{}` is declared twice", resource.address()));
            }
        }
        let flaw = error.map(|problem| problem.message).or(twice);
        Reading { resources: found.resources, mentioned: found.mentioned, index, flaw }
    }

    pub fn is_sound(&self) -> bool {
        self.flaw.is_none()
    }

    pub fn find(&self, kind: Kind, key: &Key) -> Option<&DraftResource> {
        self.index.get(&(kind, key.clone())).map(|at| &self.resources[*at])
    }

    /// Whether the text says already what the edit wants.
    pub fn fulfils(&self, edit: &Edit) -> bool {
        match edit {
            Edit::Remove { kind, key } => self.find(*kind, key).is_none(),
            Edit::Set { kind, key, field, value } => {
                self.find(*kind, key).is_some_and(|resource| !resource.absent && says(resource, *field, value.as_ref()))
            }
        }
    }

    /// Whether `after` is what these edits make of this, and nothing else; if not, why.
    pub fn leads_to(&self, after: &Reading, edits: &[(usize, &Edit)]) -> Result<(), String> {
        if let Some(flaw) = &after.flaw {
            return Err(format!("the file could not be read any more: {flaw}"));
        }
        for kind in Kind::ALL {
            if self.mentioned[kind as usize] != after.mentioned[kind as usize] {
                return Err(format!(
                    "it is the last {kind} of the file, which would no longer say that {} are managed",
                    kind.plural()
                ));
            }
        }
        let mut sets: HashMap<(Kind, &Key), Vec<Wanted<'_>>> = HashMap::new();
        let mut gone: HashSet<(Kind, &Key)> = HashSet::new();
        for (_, edit) in edits {
            match edit {
                Edit::Set { kind, key, field, value } => {
                    sets.entry((*kind, key)).or_default().push((*field, value.as_ref()));
                }
                Edit::Remove { kind, key } => {
                    gone.insert((*kind, key));
                }
            }
        }
        let mut others = after.resources.iter();
        for before in self.resources.iter().filter(|resource| !gone.contains(&(resource.kind, &resource.key))) {
            let wanted = sets.get(&(before.kind, &before.key)).map_or(&[][..], Vec::as_slice);
            let Some(now) = others.next().filter(|now| now.kind == before.kind && now.key == before.key) else {
                return Err(shares(&before.address()));
            };
            if !is_same(before, now, wanted) {
                return Err(shares(&before.address()));
            }
            if !wanted.iter().all(|(field, value)| says(now, *field, *value)) {
                return Err("the value cannot be written there".to_owned());
            }
        }
        match others.next() {
            Some(more) => Err(shares(&more.address())),
            None => Ok(()),
        }
    }
}

fn shares(address: &Address) -> String {
    format!("something else of `{address}` would change with it, as it is written in the same place")
}

fn read_records(file: File<'_>, notation: Notation, found: &mut Found) {
    let records = records(file.text);
    let Some(first) = records.first() else { return };
    let mut cells = Vec::new();
    let format: Box<dyn RecordFormat> = match notation {
        Notation::Csv(kind) => {
            let flaws = first.cells(file.text, &mut cells);
            found.problems.extend(broken_quotes(file, first, &flaws));
            let Some(format) = Canonical::new(file, first, &cells, kind, found) else { return };
            Box::new(format)
        }
        Notation::CatchmeMail | Notation::Yaml => Box::new(CatchmeMail),
    };
    for record in &records[format.first_record().min(records.len())..] {
        let flaws = record.cells(file.text, &mut cells);
        if flaws.is_empty() {
            format.draft(file, record, &cells, found);
        } else {
            found.problems.extend(broken_quotes(file, record, &flaws));
        }
    }
}

/// Whether everything but the wanted fields reads the same. Places may differ.
fn is_same(before: &DraftResource, now: &DraftResource, wanted: &[Wanted<'_>]) -> bool {
    let DraftResource { kind, key, source: _, absent, previously, whole_record, cells, broken, digest: _ } = before;
    let is_wanted = |field: FieldId| wanted.iter().any(|(other, _)| *other == field);
    let mut old = cells.iter().filter(|cell| !is_wanted(cell.field));
    let mut new = now.cells.iter().filter(|cell| !is_wanted(cell.field));
    let same_cells = loop {
        match (old.next(), new.next()) {
            (None, None) => break true,
            (Some(old), Some(new)) if old.field == new.field => {
                let spec = kind.field(old.field);
                if meaning(spec, &old.raw) != meaning(spec, &new.raw) {
                    break false;
                }
            }
            _ => break false,
        }
    };
    same_cells
        && *kind == now.kind
        && *key == now.key
        && *absent == now.absent
        && name_of(previously.as_deref()) == name_of(now.previously.as_deref())
        && *whole_record == now.whole_record
        && *broken == now.broken
}

fn name_of(previously: Option<&(CompactString, Place)>) -> Option<&str> {
    previously.map(|previously| previously.0.as_str())
}

/// Whether the resource says that the field has this value, or none.
fn says(resource: &DraftResource, field: FieldId, value: Option<&Value>) -> bool {
    let cell = resource.cells.iter().find(|cell| cell.field == field);
    match (cell.map(|cell| meaning(resource.kind.field(field), &cell.raw)), value) {
        (Some(Meaning::Value(is)), Some(wanted)) => is == *wanted,
        (Some(Meaning::Nothing), None) => true,
        // What is not written is not managed, unless a server brings it.
        (None, None) => !resource.cells.iter().any(|cell| is_server(resource.kind, cell.field)),
        _ => false,
    }
}

fn is_server(kind: Kind, field: FieldId) -> bool {
    matches!(kind.field(field).ty, Type::Reference)
}

/// What is written, without how it is written.
#[derive(PartialEq)]
pub enum Meaning<'a> {
    Nothing,
    Value(Value),
    Secret(&'static str, Vec<&'a str>),
    /// No value of the field's type; resolving says so.
    Unfit(&'a str, bool),
}

pub fn meaning<'a>(spec: &Field, raw: &'a Raw) -> Meaning<'a> {
    let (text, quoted) = match raw {
        Raw::Null => return Meaning::Nothing,
        Raw::Secret(source) => return secret(source),
        Raw::List(items) => return Meaning::Value(Value::List(items.iter().map(|(text, _)| text.clone()).collect())),
        Raw::Plain(text) | Raw::Cell(text) => (text, false),
        Raw::Quoted(text) => (text, true),
    };
    let value = match spec.ty {
        Type::Bool | Type::Int { .. } if quoted => None,
        Type::Text | Type::Multiline => Some(Value::Text(text.clone())),
        _ if text.is_empty() => None,
        ty => Value::from_word(ty, text),
    };
    value.map_or(Meaning::Unfit(text, quoted), Meaning::Value)
}

fn secret(source: &SecretSource) -> Meaning<'_> {
    let (form, words) = match source {
        SecretSource::Clear(text) => ("clear", vec![text.expose()]),
        SecretSource::Env(name) => ("env", vec![name.as_str()]),
        SecretSource::File(path) => ("file", vec![path.as_str()]),
        SecretSource::Command(words) => ("command", words.iter().map(String::as_str).collect()),
        SecretSource::Age(text) => ("age", vec![text.expose()]),
        SecretSource::Hash(text) => ("hash", vec![text.expose()]),
    };
    Meaning::Secret(form, words)
}

pub fn is_secret(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) | Value::Size(_) => false,
        Value::Sealed(_) | Value::Hashed(_) | Value::Unhashed(_) | Value::Unknown => true,
    }
}
