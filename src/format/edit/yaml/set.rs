//! One field of one resource: where it stands, and how its value is replaced.

use granit_parser::ScalarStyle;

use super::insert::{Fresh, Target};
use super::scalar::{Block, Quotes, block, inline};
use super::tree::{Entry, Node, Shape, content_indent, header_word};
use super::{Place, list, odd};
use crate::format::edit::lines;
use crate::format::edit::patch::Patch;
use crate::format::edit::reading::{Meaning, meaning};
use crate::model::{DraftResource, FieldId, Value};

pub struct Setting<'s> {
    pub text: &'s str,
    pub found: &'s Place<'s>,
    pub resource: &'s DraftResource,
    pub field: FieldId,
    pub value: Option<&'s Value>,
    pub attempt: usize,
}

/// How the name of a new field is parted into keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the neighbours are.
    Neighbours,
    /// The other way, for where a mapping would hide what a merge brings.
    Other,
    /// With all that the mapping would hide.
    Whole,
    /// Dotted, in the resource itself: it stands above such a key of a merge.
    Top,
}

const FORMS: [Form; 4] = [Form::Neighbours, Form::Other, Form::Whole, Form::Top];

/// Ways to write one edit, tried one after the other: the forms of a new key, each with the quotes of
/// what is there and with double ones.
pub const ATTEMPTS: usize = 2 * FORMS.len();

enum Spot<'t> {
    Own {
        map: &'t Node,
        entry: &'t Entry,
    },
    /// In a mapping that an alias stands for.
    Alias {
        map: &'t Node,
        entry: &'t Entry,
        rest: &'t str,
    },
    Missing {
        map: &'t Node,
        rest: &'t str,
    },
}

impl Spot<'_> {
    /// How much of the name is left to be written.
    fn left(&self) -> usize {
        match self {
            Spot::Own { .. } => 0,
            Spot::Alias { rest, .. } | Spot::Missing { rest, .. } => rest.len(),
        }
    }
}

/// A value where there is none.
pub fn behind_colon(text: &str, colon: usize, written: &str) -> Patch {
    let rest = text[colon..].trim_start_matches([' ', '\t']);
    let next = if rest.starts_with(',') { text.len() - rest.len() } else { colon };
    Patch::replace(colon..next, format!(" {written}"))
}

fn locate<'t>(map: &'t Node, rest: &'t str) -> Spot<'t> {
    let mut best = Spot::Missing { map, rest };
    for entry in map.entries().iter().filter(|entry| !entry.is_merge()) {
        let Some(name) = entry.name() else { continue };
        if name == rest {
            return Spot::Own { map, entry };
        }
        let Some(below) = rest.strip_prefix(name).and_then(|below| below.strip_prefix('.')) else { continue };
        let spot = match &entry.value.shape {
            Shape::Map { .. } => locate(&entry.value, below),
            Shape::Alias => Spot::Alias { map, entry, rest: below },
            _ => continue,
        };
        if spot.left() < best.left() {
            best = spot;
        }
    }
    best
}

impl Setting<'_> {
    pub fn patches(&self) -> Result<Vec<Patch>, String> {
        let name = self.name();
        let form = FORMS[self.attempt % FORMS.len()];
        let entry = self.found.entry;
        match &entry.value.shape {
            Shape::Map { .. } => match locate(&entry.value, name) {
                Spot::Own { map, entry } => self.replace(map, entry),
                _ if form == Form::Top => self.fresh(Target::Map(&entry.value), name, form),
                Spot::Alias { map, entry, rest } => self.beside_alias(map, entry, rest, form),
                Spot::Missing { map, rest } => self.fresh(Target::Map(map), rest, form),
            },
            Shape::Alias => {
                let outer = self.found.outer.last().map_or(&entry.value, |outer| &outer.value);
                self.beside_alias(outer, entry, name, form)
            }
            Shape::Scalar { style: ScalarStyle::Plain, .. } => self.fresh(Target::Empty(entry), name, form),
            _ => Err(odd("the resource")),
        }
    }

    pub fn name(&self) -> &'static str {
        self.resource.kind.field(self.field).name
    }

    pub fn line_break(&self) -> &'static str {
        lines::line_break(self.text)
    }

    /// The quotes for a value, if there were these before.
    pub fn quotes(&self, before: Quotes) -> Quotes {
        if self.attempt < FORMS.len() { before } else { Quotes::Double }
    }

    /// A value of lines may stand as a block.
    pub fn lines(&self) -> Option<&str> {
        match self.value {
            Some(Value::Text(text)) if text.contains('\n') && self.attempt < FORMS.len() => Some(text),
            _ => None,
        }
    }

    fn fresh(&self, target: Target<'_>, rest: &str, form: Form) -> Result<Vec<Patch>, String> {
        let group = rest.split_once('.').map(|(group, _)| group);
        let prefix = &self.name()[..self.name().len() - rest.len()];
        let mut fields = vec![(rest.to_owned(), self.value.cloned())];
        if let (Form::Whole, Some(group)) = (form, group) {
            fields = self.hidden(prefix, group)?;
        }
        Fresh { setting: self, prefix, fields, form }.patches(target)
    }

    /// What a new mapping for `group` would hide, with the new value in its place.
    fn hidden(&self, prefix: &str, group: &str) -> Result<Vec<(String, Option<Value>)>, String> {
        let kind = self.resource.kind;
        let mut fields = Vec::new();
        for (id, spec) in (0..).zip(kind.fields()) {
            let Some(below) = spec
                .name
                .strip_prefix(prefix)
                .filter(|below| below.strip_prefix(group).is_some_and(|rest| rest.starts_with('.')))
            else {
                continue;
            };
            if id == self.field {
                fields.push((below.to_owned(), self.value.cloned()));
                continue;
            }
            let Some(cell) = self.resource.cells.iter().find(|cell| cell.field == id) else { continue };
            if matches!(locate(&self.found.entry.value, spec.name), Spot::Own { .. }) {
                continue;
            }
            let value = match meaning(spec, &cell.raw) {
                Meaning::Nothing => None,
                Meaning::Value(value) => Some(value),
                Meaning::Secret(..) | Meaning::Unfit(..) => return Err(odd(&format!("`{prefix}{group}`"))),
            };
            fields.push((below.to_owned(), value));
        }
        Ok(fields)
    }

    /// `*x` becomes `{ <<: *x, … }`: what it stands for may be others' too.
    fn beside_alias(&self, map: &Node, entry: &Entry, rest: &str, form: Form) -> Result<Vec<Patch>, String> {
        let alias = &self.text[entry.value.span.clone()];
        let prefix = &self.name()[..self.name().len() - rest.len()];
        let fields = match (form, rest.split_once('.')) {
            (Form::Whole, Some((group, _))) => self.hidden(prefix, group)?,
            _ => vec![(rest.to_owned(), self.value.cloned())],
        };
        let written = Fresh { setting: self, prefix, fields, form }.in_brackets(map);
        // What is empty cannot be merged, and brings nothing.
        let merge = if form == Form::Top { String::new() } else { format!("<<: {alias}, ") };
        Ok(vec![Patch::replace(entry.value.span.clone(), format!("{{ {merge}{written} }}"))])
    }

    fn replace(&self, map: &Node, entry: &Entry) -> Result<Vec<Patch>, String> {
        let flow = map.is_flow();
        let value = &entry.value;
        match (&value.shape, self.value) {
            (Shape::List { items, flow: list_flow }, Some(Value::List(wanted)))
                if !items.is_empty() && !wanted.is_empty() =>
            {
                let quotes = self.quotes(Quotes::Plain);
                let written = list::rebuild(self.text, value, items, *list_flow, wanted, quotes)?;
                Ok(vec![written])
            }
            (Shape::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. }, _) => {
                Ok(self.replace_block(entry))
            }
            (Shape::Scalar { style, .. }, _) => self.replace_scalar(entry, Quotes::of(*style), flow),
            (Shape::Alias, _) => self.replace_scalar(entry, Quotes::Plain, flow),
            (Shape::List { flow: true, .. }, _) => {
                let written = inline(self.value, self.quotes(Quotes::Plain), true);
                Ok(vec![Patch::replace(value.span.clone(), written)])
            }
            (Shape::List { flow: false, .. }, _) => {
                let colon = entry.colon.ok_or_else(|| odd("the list"))?;
                if !lines::is_free(self.text, colon) {
                    return Err(odd("the list"));
                }
                let written = inline(self.value, self.quotes(Quotes::Plain), flow);
                let end = lines::end(self.text, value.span.end);
                Ok(vec![Patch::insert(colon, format!(" {written}")), Patch::remove(lines::end(self.text, colon)..end)])
            }
            (Shape::Map { .. } | Shape::Passed { .. } | Shape::Odd, _) => Err(odd(&format!("`{}`", self.name()))),
        }
    }

    /// A scalar that is no block, an alias, or nothing at all.
    fn replace_scalar(&self, entry: &Entry, before: Quotes, flow: bool) -> Result<Vec<Patch>, String> {
        let span = entry.value.span.clone();
        if let Some(text) = self.lines()
            && before == Quotes::Plain
            && !flow
            && lines::is_free(self.text, span.end)
        {
            let outer = entry.key.span.start - lines::start(self.text, entry.key.span.start);
            let indent = outer + self.found.step(self.text);
            if let Some(Block { header, lines }) = block(text, false, outer, indent, self.line_break()) {
                let blank = if span.is_empty() { " " } else { "" };
                let end = lines::end(self.text, span.end);
                return Ok(vec![Patch::replace(span, format!("{blank}{header}")), Patch::insert(end, lines)]);
            }
        }
        let written = inline(self.value, self.quotes(before), flow);
        if !span.is_empty() {
            return Ok(vec![Patch::replace(span, written)]);
        }
        match entry.colon {
            Some(colon) => Ok(vec![behind_colon(self.text, colon, &written)]),
            None if flow => Ok(vec![Patch::insert(entry.key.span.end, format!(": {written}"))]),
            None => Err(odd(&format!("`{}`", self.name()))),
        }
    }

    fn replace_block(&self, entry: &Entry) -> Vec<Patch> {
        let (span, key) = (&entry.value.span, entry.key.span.start);
        let word = header_word(self.text, span.start);
        let header = span.start..span.start + word.len();
        let content = lines::end(self.text, span.start)..span.end;
        let folded = word.starts_with('>');
        if let Some(Value::Text(text)) = self.value
            && self.attempt < FORMS.len()
        {
            let outer = key - lines::start(self.text, key);
            // The second attempt, for what cannot be folded.
            let folded = folded && self.attempt == 0;
            let indent = if content.is_empty() {
                outer + self.found.step(self.text)
            } else {
                content_indent(self.text, span.start, key)
            };
            if let Some(Block { header: written, lines }) = block(text, folded, outer, indent, self.line_break()) {
                return vec![Patch::replace(header, written), Patch::replace(content, lines)];
            }
        }
        let quotes = if matches!(self.value, Some(Value::Text(_))) { Quotes::Double } else { Quotes::Plain };
        vec![Patch::replace(header, inline(self.value, quotes, false)), Patch::remove(content)]
    }
}
