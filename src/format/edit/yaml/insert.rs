//! New keys in mappings, blocks and brackets.

use super::odd;
use super::scalar::{Block, Quotes, block, inline, text};
use super::set::{Form, Setting, behind_colon};
use super::tree::{Entry, Node, Shape};
use crate::format::edit::lines;
use crate::format::edit::patch::Patch;
use crate::model::{Kind, Value};

/// Where the key is to stand.
#[derive(Clone, Copy)]
pub enum Target<'t> {
    Map(&'t Node),
    /// A resource without fields.
    Empty(&'t Entry),
}

/// Fields that are to be written, all but one only because they would be hidden otherwise.
pub struct Fresh<'s> {
    pub setting: &'s Setting<'s>,
    /// The names of the mappings that the key is to stand in, with their dots.
    pub prefix: &'s str,
    /// By name, as it is below the mapping.
    pub fields: Vec<(String, Option<Value>)>,
    pub form: Form,
}

impl Fresh<'_> {
    pub fn patches(&self, target: Target<'_>) -> Result<Vec<Patch>, String> {
        match target {
            Target::Map(map) if map.is_flow() => Ok(self.among_brackets(map)),
            Target::Map(map) => self.among_lines(map),
            Target::Empty(entry) => self.in_empty(entry),
        }
    }

    fn among_lines(&self, map: &Node) -> Result<Vec<Patch>, String> {
        let text = self.setting.text;
        let entries = map.entries();
        let after = &entries[predecessor(self.setting, map, self.prefix)];
        let indent = map.span.start - lines::start(text, map.span.start);
        if !lines::is_free(text, after.end()) {
            return Err(odd("the line before"));
        }
        let mut end = lines::end(text, after.end());
        loop {
            let next = lines::next(text, end);
            let line = lines::line(text, next);
            if next == end || !lines::is_comment(line) || lines::indent(line) <= indent {
                break;
            }
            end = next + line.len();
        }
        let written = self.lines(map, indent);
        Ok(vec![Patch::insert(end, format!("{}{:indent$}{written}", self.setting.line_break(), ""))])
    }

    /// Inside of brackets, behind what precedes it.
    fn among_brackets(&self, map: &Node) -> Vec<Patch> {
        let text = self.setting.text;
        let written = self.in_brackets(map);
        let entries = map.entries();
        let close = map.span.end - 1;
        if entries.is_empty() {
            let inside = map.span.start + 1..close;
            let is_blank = lines::is_blank(&text[inside.clone()]);
            let patch = if is_blank {
                Patch::replace(inside, format!(" {written} "))
            } else {
                Patch::insert(close, format!("{written} "))
            };
            return vec![patch];
        }
        let at = predecessor(self.setting, map, self.prefix);
        let (behind, key) = (entries[at].end(), entries[at].key.span.start);
        let (start, end) = (lines::start(text, key), lines::end(text, behind));
        let has_comma = text[behind..end].trim_start_matches([' ', '\t']).starts_with(',');
        let is_last = at + 1 == entries.len();
        let next = entries.get(at + 1).map_or(close, |next| next.key.span.start);
        if !lines::is_blank(&text[start..key]) || end > next || !(has_comma || is_last) {
            return vec![Patch::insert(behind, format!(", {written}"))];
        }
        // One entry a line, so that the comment behind it stays with it.
        let (line_break, indent) = (self.setting.line_break(), key - start);
        if has_comma {
            vec![Patch::insert(end, format!("{line_break}{:indent$}{written},", ""))]
        } else {
            vec![Patch::insert(behind, ","), Patch::insert(end, format!("{line_break}{:indent$}{written}", ""))]
        }
    }

    fn in_empty(&self, entry: &Entry) -> Result<Vec<Patch>, String> {
        let text = self.setting.text;
        let value = &entry.value.span;
        let outer = self.setting.found.outer.last().map(|outer| &outer.value);
        let brackets = || format!("{{ {} }}", self.in_brackets(&entry.value));
        if !value.is_empty() {
            return Ok(vec![Patch::replace(value.clone(), brackets())]);
        }
        let siblings = outer.map_or(&[][..], Node::entries);
        let flows = siblings.iter().filter(|one| one.value.is_flow()).count();
        let mostly_flow = flows > siblings.iter().filter(|one| one.value.is_block()).count();
        let in_flow = outer.is_some_and(Node::is_flow);
        match entry.colon {
            Some(colon) if in_flow || mostly_flow => Ok(vec![behind_colon(text, colon, &brackets())]),
            None if in_flow => Ok(vec![Patch::insert(entry.key.span.end, format!(": {}", brackets()))]),
            Some(colon) => {
                let key = entry.key.span.start;
                let indent = key - lines::start(text, key) + self.setting.found.step(text);
                let written = self.lines(&entry.value, indent);
                let line_break = self.setting.line_break();
                Ok(vec![Patch::insert(lines::end(text, colon), format!("{line_break}{:indent$}{written}", ""))])
            }
            None => Err(odd("the resource")),
        }
    }

    /// Keys for brackets, without them; `map` is where they are to stand, or its neighbour.
    pub fn in_brackets(&self, map: &Node) -> String {
        let key = |name: &str| self.key(map, name);
        // JSON has quotes around everything.
        let quotes = if self.key_quotes(map) == Quotes::Double { Quotes::Double } else { Quotes::Plain };
        let value = |value: &Option<Value>| inline(value.as_ref(), self.setting.quotes(quotes), true);
        let (first, first_value) = &self.fields[0];
        if self.form == Form::Whole
            && let Some((group, _)) = first.split_once('.')
        {
            let fields: Vec<String> = self
                .fields
                .iter()
                .map(|(name, of)| format!("{}: {}", key(&name[group.len() + 1..]), value(of)))
                .collect();
            return format!("{}: {{ {} }}", key(group), fields.join(", "));
        }
        if self.is_dotted(map) {
            return format!("{}: {}", key(first), value(first_value));
        }
        let parts: Vec<&str> = first.split('.').collect();
        let mut written = format!("{}: {}", key(parts[parts.len() - 1]), value(first_value));
        for part in parts[..parts.len() - 1].iter().rev() {
            written = format!("{}: {{ {written} }}", key(part));
        }
        written
    }

    fn is_dotted(&self, map: &Node) -> bool {
        if self.form == Form::Top {
            return true;
        }
        let dotted = map.entries().iter().any(|entry| entry.name().is_some_and(|name| name.contains('.')));
        dotted != (self.form == Form::Other)
    }

    /// Keys of a block; the first line has no indentation.
    fn lines(&self, map: &Node, indent: usize) -> String {
        let groups = || map.entries().iter().map(|entry| &entry.value);
        let in_brackets = groups().any(|value| matches!(value.shape, Shape::Map { flow: true, .. }))
            && !groups().any(|value| matches!(value.shape, Shape::Map { flow: false, .. }));
        let (first, _) = &self.fields[0];
        let has_lines = self.setting.lines().is_some();
        let is_group = first.contains('.') && (self.form == Form::Whole || !self.is_dotted(map));
        if is_group && in_brackets && !has_lines {
            return self.in_brackets(map);
        }
        let step = self.setting.found.step(self.setting.text);
        let line_break = self.setting.line_break();
        let mut written = String::new();
        let mut indent = indent;
        let mut open = 0;
        if is_group {
            // A whole group has its fields below one key.
            let depth = if self.form == Form::Whole { 1 } else { first.matches('.').count() };
            for part in first.split('.').take(depth) {
                indent += step;
                open += part.len() + 1;
                written += &self.key(map, part);
                written += ":";
                written += line_break;
                written.extend(std::iter::repeat_n(' ', indent));
            }
        }
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(name, value)| {
                format!("{}: {}", self.key(map, &name[open..]), self.value_in_block(value.as_ref(), indent))
            })
            .collect();
        written + &fields.join(&format!("{line_break}{:indent$}", ""))
    }

    fn value_in_block(&self, value: Option<&Value>, outer: usize) -> String {
        if let Some(Value::Text(text)) = value
            && text.contains('\n')
            && self.setting.lines().is_some()
        {
            let indent = outer + self.setting.found.step(self.setting.text);
            if let Some(Block { header, lines }) = block(text, false, outer, indent, self.setting.line_break()) {
                return header + &lines;
            }
        }
        inline(value, self.setting.quotes(Quotes::Plain), false)
    }

    /// A key, quoted if those beside it are.
    fn key(&self, map: &Node, name: &str) -> String {
        text(name, self.key_quotes(map), true)
    }

    /// Those of the first key, or of the one at the top: in JSON all have quotes.
    fn key_quotes(&self, map: &Node) -> Quotes {
        let key = map.entries().first().or(self.setting.found.outer.first().copied()).map(|entry| &entry.key.shape);
        match key {
            Some(Shape::Scalar { style, .. }) => Quotes::of(*style),
            _ => Quotes::Plain,
        }
    }
}

/// The entry behind which a new one stands: that of the nearest field before it in the table, or the
/// last one.
fn predecessor(setting: &Setting<'_>, map: &Node, prefix: &str) -> usize {
    let kind = setting.resource.kind;
    let order = |name: &str| order(kind, &format!("{prefix}{name}"));
    let wanted = kind.fields().iter().position(|field| field.name == setting.name());
    let before = map.entries().iter().enumerate().filter_map(|(at, entry)| Some((order(entry.name()?)?, at)));
    before.filter(|(order, _)| Some(*order) < wanted).max().map_or(map.entries().len() - 1, |(_, at)| at)
}

/// The place of a field, or of the first one of a group.
fn order(kind: Kind, name: &str) -> Option<usize> {
    kind.fields()
        .iter()
        .position(|field| field.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}
