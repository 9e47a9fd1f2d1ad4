//! Where everything of a YAML file stands: the mappings down to the resources, and the resources that
//! are wanted as trees. The rest of a file is passed over.

use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use crate::format::edit::lines;
use crate::model::{Key, Kind};

pub struct Node {
    /// Without anchor. A block scalar is from its header to its last line that counts; blocks are from
    /// their first key or item to the end of what is in them.
    pub span: Range<usize>,
    pub shape: Shape,
}

pub enum Shape {
    Scalar {
        text: String,
        style: ScalarStyle,
    },
    Alias,
    List {
        flow: bool,
        items: Vec<Node>,
    },
    Map {
        flow: bool,
        entries: Vec<Entry>,
    },
    Passed {
        style: Option<StructureStyle>,
    },
    /// Written in a way that is not edited.
    Odd,
}

pub struct Entry {
    pub key: Node,
    /// Behind the colon; `None` if it has none, or does not stand behind the key.
    pub colon: Option<usize>,
    pub value: Node,
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn entries(&self) -> &[Entry] {
        match &self.shape {
            Shape::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    pub fn is_flow(&self) -> bool {
        matches!(
            self.shape,
            Shape::Map { flow: true, .. }
                | Shape::List { flow: true, .. }
                | Shape::Passed { style: Some(StructureStyle::Flow) }
        )
    }

    pub fn is_block(&self) -> bool {
        matches!(
            self.shape,
            Shape::Map { flow: false, .. }
                | Shape::List { flow: false, .. }
                | Shape::Passed { style: Some(StructureStyle::Block) }
        )
    }
}

impl Entry {
    /// The name of a plain or quoted key.
    pub fn name(&self) -> Option<&str> {
        self.key.text()
    }

    pub fn end(&self) -> usize {
        self.value.span.end.max(self.colon.unwrap_or(self.key.span.end))
    }

    pub fn is_merge(&self) -> bool {
        matches!(&self.key.shape, Shape::Scalar { text, style: ScalarStyle::Plain } if text == "<<")
    }
}

/// The top mapping of a file, with the wanted resources; `None` if there is none.
pub fn read(text: &str, wanted: &dyn Fn(Kind, &Key) -> bool) -> Option<Node> {
    let mut builder = Builder { text, parser: Parser::new_from_str_with_options(text, Options::default()) };
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::MappingStart(..) => {
                return builder.map(&event, &span, &mut |builder, key| {
                    let kind = key.text().and_then(Kind::from_plural);
                    let Some(kind) = kind else { return builder.passed(key) };
                    builder.below(key, &mut |builder, key| {
                        let Some(name) = key.text().map(str::to_owned) else { return builder.passed(key) };
                        if kind != Kind::Pattern {
                            let is_wanted = wanted(kind, &Key::single(&name));
                            return if is_wanted { builder.value(key) } else { builder.passed(key) };
                        }
                        builder.below(key, &mut |builder, key| {
                            let is_wanted = key.text().is_some_and(|pattern| wanted(kind, &Key::pair(&name, pattern)));
                            if is_wanted { builder.value(key) } else { builder.passed(key) }
                        })
                    })
                });
            }
            _ => return None,
        }
    }
}

struct Builder<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
}

type Step<'s, 'a> = dyn FnMut(&mut Builder<'a>, &Node) -> Option<Node> + 's;

fn bytes(span: &Span) -> Option<Range<usize>> {
    Some(span.start.byte_offset()?..span.end.byte_offset()?)
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.parser.next_event()?.ok()
    }

    /// A mapping whose start was read; `value` takes the value behind each key.
    fn map(&mut self, start: &Event<'_>, span: &Span, value: &mut Step<'_, 'a>) -> Option<Node> {
        let Event::MappingStart(style, ..) = start else { return None };
        let flow = *style == StructureStyle::Flow;
        let mut at = bytes(span)?;
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                at.end = if flow { bytes(&span)?.end } else { entries.last().map_or(at.end, Entry::end) };
                return Some(Node { span: at, shape: Shape::Map { flow, entries } });
            }
            let key = self.from(event, &span, None)?;
            let colon = self.colon(key.span.end);
            let value = value(self, &key)?;
            entries.push(Entry { key, colon, value });
        }
    }

    /// A mapping behind a key, walked with `value`; anything else as it is.
    fn below(&mut self, key: &Node, value: &mut Step<'_, 'a>) -> Option<Node> {
        let (event, span) = self.next()?;
        if matches!(event, Event::MappingStart(..)) {
            self.map(&event, &span, value)
        } else {
            self.from(event, &span, Some(key))
        }
    }

    fn value(&mut self, key: &Node) -> Option<Node> {
        let (event, span) = self.next()?;
        self.from(event, &span, Some(key))
    }

    /// The node that an event starts; `key` is that of a mapping, if it is its value.
    fn from(&mut self, event: Event<'_>, span: &Span, key: Option<&Node>) -> Option<Node> {
        let mut at = bytes(span)?;
        let shape = match event {
            Event::MappingStart(..) => return self.map(&event, span, &mut |builder, key| builder.value(key)),
            Event::SequenceStart(style, ..) => {
                let flow = style == StructureStyle::Flow;
                let mut items: Vec<Node> = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        at.end =
                            if flow { bytes(&span)?.end } else { items.last().map_or(at.end, |item| item.span.end) };
                        break Shape::List { flow, items };
                    }
                    items.push(self.from(event, &span, None)?);
                }
            }
            Event::Alias(_) => Shape::Alias,
            Event::Scalar(text, style, ..) => {
                let text = text.into_owned();
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    match key.and_then(|key| self.block(key)) {
                        Some(block) => {
                            at = block;
                            Shape::Scalar { text, style }
                        }
                        None => Shape::Odd,
                    }
                } else {
                    if at.is_empty()
                        && let Some(colon) = key.and_then(|key| self.colon(key.span.end))
                    {
                        at = colon..colon;
                    }
                    Shape::Scalar { text, style }
                }
            }
            _ => return None,
        };
        Some(Node { span: at, shape })
    }

    /// Passes over the value behind a key.
    fn passed(&mut self, _key: &Node) -> Option<Node> {
        let (event, span) = self.next()?;
        let mut at = bytes(&span)?;
        let style = match &event {
            Event::MappingStart(style, ..) | Event::SequenceStart(style, ..) => Some(*style),
            _ => None,
        };
        let mut depth = usize::from(style.is_some());
        while depth > 0 {
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                _ => {}
            }
            // Of a block, the end is not known.
            if style == Some(StructureStyle::Flow) {
                at.end = bytes(&span)?.end;
            }
        }
        Some(Node { span: at, shape: Shape::Passed { style } })
    }

    fn colon(&self, key_end: usize) -> Option<usize> {
        let rest = &self.text[key_end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blanks..].starts_with(':').then_some(key_end + blanks + 1)
    }

    /// The extent of the block scalar behind a key: the parser's spans start behind the header and end
    /// anywhere behind the last line.
    fn block(&self, key: &Node) -> Option<Range<usize>> {
        let colon = self.colon(key.span.end)?;
        let line = &self.text[colon..lines::end(self.text, colon)];
        // Behind the colon, or behind an anchor.
        let mut rest = line.trim_start_matches([' ', '\t']);
        if rest.starts_with('&') {
            rest = rest.find([' ', '\t']).map_or("", |at| rest[at..].trim_start_matches([' ', '\t']));
        }
        if !rest.starts_with(['|', '>']) {
            return None;
        }
        let header = colon + line.len() - rest.len();
        let indent = content_indent(self.text, header, key.span.start);
        let keeps = header_word(self.text, header).contains('+');
        let mut end = lines::end(self.text, header);
        let mut next = lines::next(self.text, header);
        while next < self.text.len() {
            let line = lines::line(self.text, next);
            let is_empty = line.trim_start_matches(' ').is_empty() && line.len() <= indent;
            if !is_empty && lines::indent(line) < indent {
                break;
            }
            if !is_empty || keeps {
                end = next + line.len();
            }
            next = lines::next(self.text, next);
        }
        Some(header..end)
    }
}

/// The indicators of a block scalar, as `|2-`.
pub fn header_word(text: &str, header: usize) -> &str {
    let line = &text[header..lines::end(text, header)];
    line.split([' ', '\t']).next().unwrap_or_default()
}

/// How far the content of a block scalar is indented.
pub fn content_indent(text: &str, header: usize, key: usize) -> usize {
    let outer = key - lines::start(text, key);
    if let Some(digit) = header_word(text, header).chars().find_map(|c| c.to_digit(10)) {
        return outer + digit as usize;
    }
    let mut next = lines::next(text, header);
    while next < text.len() {
        let line = lines::line(text, next);
        if !line.trim_start_matches(' ').is_empty() {
            return lines::indent(line).max(outer + 1);
        }
        next = lines::next(text, next);
    }
    outer + 1
}
