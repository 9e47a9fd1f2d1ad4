//! YAML, read as events: a file is walked entry by entry, and only one resource at a time stands
//! in memory as a tree of `Node`s. Aliases and merge keys are resolved, duplicate keys are found.

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::model::diagnostic::shown;
use crate::model::{Diagnostic, Place};

/// Deeper nesting is refused; real files have five levels.
const MAX_DEPTH: usize = 64;
/// Nodes that aliases and merge keys may multiply into.
const MAX_ALIASED: usize = 1_000_000;

#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Plain(CompactString),
    Quoted(CompactString),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: CompactString,
    pub key_place: Place,
    pub value: Node,
}

impl Node {
    /// Written as `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What the node is, for messages.
    pub fn what(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Plain(_) | Content::Quoted(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    fn count(&self) -> usize {
        1 + match &self.content {
            Content::Plain(_) | Content::Quoted(_) => 0,
            Content::List(items) => items.iter().map(Node::count).sum(),
            Content::Map(entries) => entries.iter().map(|entry| 1 + entry.value.count()).sum(),
        }
    }
}

/// The file cannot be read any further; the reason stands among the problems.
#[derive(Debug)]
pub struct Broken;

type Step<T> = Result<T, Broken>;

enum Token {
    Scalar { text: CompactString, plain: bool, place: Place },
    ListStart(Place),
    ListEnd,
    MapStart(Place),
    MapEnd,
    End,
}

/// What stands between the parser and the reader: nodes to be read again.
enum Replay {
    Node(Node),
    Key(CompactString, Place),
    ListEnd,
    MapEnd,
}

pub struct Reader<'a> {
    file: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    /// Last in, first out.
    replay: Vec<Replay>,
    aliased: usize,
    depth: usize,
    pub problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Reader<'a> {
        let options = Options::default();
        Reader {
            file,
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            replay: Vec::new(),
            aliased: 0,
            depth: 0,
            problems: Vec::new(),
        }
    }

    /// The whole document as one tree, for small files; `None` if the file is empty.
    pub fn document(&mut self) -> Step<Option<Node>> {
        let Some(token) = self.open()? else { return Ok(None) };
        let node = self.node_from(token)?;
        self.close()?;
        Ok(Some(node))
    }

    /// Walks the entries of the document's mapping; `visit` takes the value of each.
    /// An empty document has no entries.
    pub fn top(&mut self, what: &str, visit: &mut Visit<'_, 'a>) -> Step<()> {
        let Some(token) = self.open()? else { return Ok(()) };
        self.map_from(token, what, visit)?;
        self.close()
    }

    /// Walks the entries of the mapping that comes next. Anything but a mapping is a problem
    /// and is passed over.
    pub fn map(&mut self, what: &str, visit: &mut Visit<'_, 'a>) -> Step<()> {
        let token = self.next()?;
        self.map_from(token, what, visit)
    }

    /// The value that comes next.
    pub fn node(&mut self) -> Step<Node> {
        let token = self.next()?;
        self.node_from(token)
    }

    pub fn problem(&mut self, code: &'static str, message: impl Into<String>, place: Place) -> &mut Diagnostic {
        self.problems.push(Diagnostic::error(code, message).at(self.file, place.line, place.column));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn open(&mut self) -> Step<Option<Token>> {
        let token = self.next()?;
        Ok(match token {
            Token::End => None,
            token => Some(token),
        })
    }

    fn close(&mut self) -> Step<()> {
        loop {
            match self.event()? {
                Some((Event::DocumentStart(..), span)) => {
                    let place = place(&span);
                    self.problem("yaml/multiple-documents", "a second document starts here; a file holds one", place)
                        .hint = Some("move it to a file of its own, or remove the `---`".to_owned());
                    return Err(Broken);
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    fn map_from(&mut self, token: Token, what: &str, visit: &mut Visit<'_, 'a>) -> Step<()> {
        let Token::MapStart(place) = token else {
            let node = self.node_from(token)?;
            let message = format!("{what} is a mapping of names, not {}", node.what());
            let hint = if node.is_null() {
                "write `{}` if it is meant to be empty"
            } else {
                "write `name: …` on lines below it"
            };
            self.problem("value/type", message, node.place).hint = Some(hint.to_owned());
            return Ok(());
        };
        self.enter(place)?;
        let mut seen: HashSet<CompactString> = HashSet::new();
        let mut merged: Vec<Entry> = Vec::new();
        while let Some((key, key_place, plain)) = self.key()? {
            if plain && key == "<<" {
                let value = self.node()?;
                self.merge(value, &mut merged);
                continue;
            }
            if !seen.insert(key.clone()) {
                self.duplicate(&key, key_place);
                self.node()?;
                continue;
            }
            visit(self, &key, key_place)?;
        }
        for entry in merged {
            if seen.insert(entry.key.clone()) {
                self.replay.push(Replay::Node(entry.value));
                visit(self, &entry.key, entry.key_place)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn node_from(&mut self, token: Token) -> Step<Node> {
        Ok(match token {
            Token::Scalar { text, plain, place } => {
                Node { place, content: if plain { Content::Plain(text) } else { Content::Quoted(text) } }
            }
            Token::ListStart(place) => {
                self.enter(place)?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Token::ListEnd => break,
                        token => items.push(self.node_from(token)?),
                    }
                }
                self.depth -= 1;
                Node { place, content: Content::List(items) }
            }
            Token::MapStart(place) => {
                self.enter(place)?;
                let mut entries: Vec<Entry> = Vec::new();
                let mut seen: HashSet<CompactString> = HashSet::new();
                let mut merged = Vec::new();
                while let Some((key, key_place, plain)) = self.key()? {
                    let value = self.node()?;
                    if plain && key == "<<" {
                        self.merge(value, &mut merged);
                    } else if seen.insert(key.clone()) {
                        entries.push(Entry { key, key_place, value });
                    } else {
                        self.duplicate(&key, key_place);
                    }
                }
                entries.extend(merged.into_iter().filter(|entry| seen.insert(entry.key.clone())));
                self.depth -= 1;
                Node { place, content: Content::Map(entries) }
            }
            // The parser never ends a collection that it did not start.
            Token::ListEnd | Token::MapEnd | Token::End => return Err(Broken),
        })
    }

    fn merge(&mut self, value: Node, merged: &mut Vec<Entry>) {
        let place = value.place;
        let maps = match value.content {
            Content::Map(_) => vec![value],
            Content::List(items) => items,
            Content::Plain(_) | Content::Quoted(_) => vec![value],
        };
        for map in maps {
            match map.content {
                // Of two that have a key the first wins, when the entries are taken over.
                Content::Map(entries) => {
                    merged.extend(entries);
                }
                _ => {
                    self.problem("value/type", "`<<` merges mappings, as in `<<: *name`", place);
                }
            }
        }
    }

    fn duplicate(&mut self, key: &str, place: Place) {
        self.problem("key/duplicate", format!("`{}` is written twice in the same mapping", shown(key)), place).hint =
            Some("keep one of the two".to_owned());
    }

    fn enter(&mut self, place: Place) -> Step<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.problem("yaml/limit", format!("nested deeper than {MAX_DEPTH} levels"), place);
            return Err(Broken);
        }
        Ok(())
    }

    /// The key that comes next in a mapping; `None` at its end.
    fn key(&mut self) -> Step<Option<(CompactString, Place, bool)>> {
        if let Some(Replay::Key(..)) = self.replay.last()
            && let Some(Replay::Key(key, place)) = self.replay.pop()
        {
            // Merge keys of a replayed mapping are resolved already.
            return Ok(Some((key, place, false)));
        }
        match self.next()? {
            Token::MapEnd => Ok(None),
            Token::Scalar { text, plain, place } => Ok(Some((text, place, plain))),
            token => {
                let node = self.node_from(token)?;
                self.problem("value/type", format!("a key is text, not {}", node.what()), node.place);
                Ok(Some((CompactString::default(), node.place, false)))
            }
        }
    }

    fn next(&mut self) -> Step<Token> {
        if let Some(replay) = self.replay.pop() {
            return Ok(match replay {
                Replay::Node(node) => self.unfold(node),
                Replay::Key(text, place) => Token::Scalar { text, plain: false, place },
                Replay::ListEnd => Token::ListEnd,
                Replay::MapEnd => Token::MapEnd,
            });
        }
        loop {
            let Some((event, span)) = self.event()? else { return Ok(Token::End) };
            let at = place(&span);
            let tag_at = span.tag_span().map_or(at, |span| place(&span));
            let (token, anchor, tag) = match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let plain = style == ScalarStyle::Plain;
                    (Token::Scalar { text: CompactString::from(text), plain, place: at }, anchor, tag.map(|_| tag_at))
                }
                Event::SequenceStart(_, anchor, tag) => (Token::ListStart(at), anchor, tag.map(|_| tag_at)),
                Event::MappingStart(_, anchor, tag) => (Token::MapStart(at), anchor, tag.map(|_| tag_at)),
                Event::SequenceEnd => return Ok(Token::ListEnd),
                Event::MappingEnd => return Ok(Token::MapEnd),
                Event::Alias(id) => {
                    // An anchor that is still being read refers to itself.
                    let Some(node) = self.anchors.get(&id).cloned() else {
                        self.problem("yaml/syntax", "an alias may not stand inside what it refers to", at);
                        return Err(Broken);
                    };
                    self.aliased += node.count();
                    if self.aliased > MAX_ALIASED {
                        self.problem("yaml/limit", format!("aliases multiply into more than {MAX_ALIASED} nodes"), at);
                        return Err(Broken);
                    }
                    return Ok(self.unfold(node));
                }
                _ => continue,
            };
            if let Some(tag) = tag {
                self.problem("yaml/tag", "tags are not used: what a value is follows from its field", tag).hint =
                    Some("remove the word that starts with `!`".to_owned());
            }
            if anchor == 0 {
                return Ok(token);
            }
            let node = self.node_from(token)?;
            self.anchors.insert(anchor, node.clone());
            return Ok(self.unfold(node));
        }
    }

    fn unfold(&mut self, node: Node) -> Token {
        match node.content {
            Content::Plain(text) => Token::Scalar { text, plain: true, place: node.place },
            Content::Quoted(text) => Token::Scalar { text, plain: false, place: node.place },
            Content::List(items) => {
                self.replay.push(Replay::ListEnd);
                self.replay.extend(items.into_iter().rev().map(Replay::Node));
                Token::ListStart(node.place)
            }
            Content::Map(entries) => {
                self.replay.push(Replay::MapEnd);
                for entry in entries.into_iter().rev() {
                    self.replay.push(Replay::Node(entry.value));
                    self.replay.push(Replay::Key(entry.key, entry.key_place));
                }
                Token::MapStart(node.place)
            }
        }
    }

    fn event(&mut self) -> Step<Option<(Event<'a>, Span)>> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                self.syntax(&error);
                Err(Broken)
            }
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let marker = error.marker();
        let place = Place { line: marker.line() as u32, column: marker.col() as u32 + 1 };
        self.problem("yaml/syntax", format!("not valid YAML: {}", error.info()), place);
    }
}

/// Called with the reader before a value, which it must take.
pub type Visit<'v, 'a> = dyn FnMut(&mut Reader<'a>, &CompactString, Place) -> Step<()> + 'v;

fn place(span: &Span) -> Place {
    Place { line: span.start.line() as u32, column: span.start.col() as u32 + 1 }
}
