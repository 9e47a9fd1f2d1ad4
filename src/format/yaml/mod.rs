//! YAML resource files: `defaults`, `servers`, `accounts`, `patterns`. A kind is mentioned by its
//! key alone, `{}` included.

mod write;

use std::collections::HashSet;

use compact_str::CompactString;

use super::node::{Broken, Content, Entry, Node, Reader};
use super::secret::{FORMS, secret_form};
use super::{File, Found, key_flaw};
use crate::model::diagnostic::{did_you_mean, shown, unknown_word};
use crate::model::{
    Address, Clear, Diagnostic, DraftCell, DraftResource, FieldId, Key, Kind, Place, Raw, SecretSource, Source, Type,
};

pub use write::{Entity, Written, write};

const TOP: [&str; 4] = ["defaults", "servers", "accounts", "patterns"];

pub fn read(file: File<'_>, found: &mut Found) {
    let mut reader = Reader::new(file.name, file.text);
    let mut defaults: [Vec<DraftCell>; 3] = Default::default();
    let first = found.resources.len();
    let walked = reader.top("a resource file", &mut |reader, key, place| {
        if key == "defaults" {
            return read_defaults(reader, file, &mut defaults);
        }
        let Some(kind) = Kind::from_plural(key) else {
            unknown_key(reader, key, place, "at the top of a resource file", &TOP);
            reader.node()?;
            return Ok(());
        };
        found.mentioned[kind as usize] = true;
        read_kind(reader, file, kind, found)
    });
    // What is broken stands among the problems.
    let _: Result<(), Broken> = walked;
    found.problems.append(&mut reader.problems);
    for resource in &mut found.resources[first..] {
        apply_defaults(resource, &defaults[resource.kind as usize]);
    }
}

fn read_defaults(reader: &mut Reader<'_>, file: File<'_>, defaults: &mut [Vec<DraftCell>; 3]) -> Result<(), Broken> {
    reader.map("`defaults`", &mut |reader, key, place| {
        let Some(kind) = Kind::from_plural(key) else {
            unknown_key(reader, key, place, "under `defaults`", &TOP[1..]);
            reader.node()?;
            return Ok(());
        };
        let node = reader.node()?;
        let mut body = Body {
            kind,
            file,
            address: None,
            cells: Vec::new(),
            absent: None,
            previously: None,
            broken: Vec::new(),
            problems: Vec::new(),
            told: HashSet::new(),
        };
        body.read(node);
        if let Some((place, _)) = body.absent {
            body.problems.push(body.error("key/unknown", "`absent` is no default", place));
        }
        if let Some(previously) = &body.previously {
            body.problems.push(body.error("key/unknown", "`previously` is no default", previously.1));
        }
        defaults[kind as usize] = body.cells;
        reader.problems.append(&mut body.problems);
        Ok(())
    })
}

fn apply_defaults(resource: &mut DraftResource, defaults: &[DraftCell]) {
    if resource.absent || defaults.is_empty() {
        return;
    }
    for default in defaults {
        if let Err(at) = resource.cells.binary_search_by_key(&default.field, |cell| cell.field) {
            resource.cells.insert(at, default.clone());
        }
    }
}

fn read_kind(reader: &mut Reader<'_>, file: File<'_>, kind: Kind, found: &mut Found) -> Result<(), Broken> {
    let what = format!("`{}`", kind.plural());
    reader.map(&what, &mut |reader, name, place| {
        if !check_key(reader, kind.key_parts()[0], name, place) {
            reader.node()?;
            return Ok(());
        }
        if kind != Kind::Pattern {
            return read_resource(reader, file, kind, Key::single(name), place, found);
        }
        let user = name.clone();
        reader.map(&format!("user `{}`", shown(&user)), &mut |reader, name, place| {
            if !check_key(reader, "name", name, place) {
                reader.node()?;
                return Ok(());
            }
            read_resource(reader, file, kind, Key::pair(&user, name), place, found)
        })
    })
}

fn check_key(reader: &mut Reader<'_>, part: &str, text: &str, place: Place) -> bool {
    let flaw = key_flaw(text);
    if let Some(flaw) = flaw {
        reader.problem("resource/key", format!("the {part} {flaw}"), place);
    }
    flaw.is_none()
}

fn read_resource(
    reader: &mut Reader<'_>,
    file: File<'_>,
    kind: Kind,
    key: Key,
    place: Place,
    found: &mut Found,
) -> Result<(), Broken> {
    let before = reader.problems.len();
    let node = reader.node()?;
    // A key that is written twice in a resource is a problem of the resource.
    for problem in reader.problems[before..].iter_mut().filter(|problem| problem.code == "key/duplicate") {
        problem.address = Some(Address::new(kind, key.clone()));
    }
    read_fields(file, kind, key, place, node, found);
    Ok(())
}

/// Reads the fields of one resource.
pub fn read_fields(file: File<'_>, kind: Kind, key: Key, place: Place, node: Node, found: &mut Found) {
    let address = Some(Address::new(kind, key.clone()));
    let mut body = Body {
        kind,
        file,
        address,
        cells: Vec::new(),
        absent: None,
        previously: None,
        broken: Vec::new(),
        problems: Vec::new(),
        told: std::mem::take(&mut found.told),
    };
    if !node.is_null() {
        body.read(node);
    }
    let absent = matches!(body.absent, Some((_, true)));
    found.problems.append(&mut body.problems);
    found.told = body.told;
    body.cells.sort_by_key(|cell| cell.field);
    found.resources.push(DraftResource {
        kind,
        key,
        source: Source { file: file.id, place },
        absent,
        previously: body.previously,
        whole_record: false,
        cells: body.cells,
        broken: body.broken,
        digest: None,
    });
}

fn unknown_key(reader: &mut Reader<'_>, key: &str, place: Place, place_name: &str, known: &[&str]) {
    let near = did_you_mean(key, known.iter().copied());
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are `{}`", known.join("`, `")),
    };
    let message = format!("{} is not known {place_name}", unknown_word(key, near));
    reader.problem("key/unknown", message, place).hint = Some(hint);
}

/// The fields of one resource as they are read.
struct Body<'a> {
    kind: Kind,
    file: File<'a>,
    address: Option<Address>,
    cells: Vec<DraftCell>,
    absent: Option<(Place, bool)>,
    previously: Option<Box<(CompactString, Place)>>,
    broken: Vec<FieldId>,
    problems: Vec<Diagnostic>,
    /// Places of unknown keys that have been told.
    told: HashSet<Place>,
}

impl Body<'_> {
    fn error(&self, code: &'static str, message: impl Into<String>, place: Place) -> Diagnostic {
        let problem = Diagnostic::error(code, message).at(self.file.name, place.line, place.column);
        match &self.address {
            Some(address) => problem.of(address),
            None => problem,
        }
    }

    fn read(&mut self, node: Node) {
        let what = node.what();
        if let Content::Map(entries) = node.content {
            self.group("", entries);
        } else {
            let message = format!("expected the fields of {} {}, not {what}", article(self.kind), self.kind);
            self.problems.push(self.error("value/type", message, node.place));
        }
    }

    fn group(&mut self, prefix: &str, entries: Vec<Entry>) {
        for Entry { key, key_place, value } in entries {
            let name = if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
            if name == "absent" {
                self.absent(key_place, &value);
            } else if name == "previously" {
                self.previously(value);
            } else if let Some(field) = self.kind.find(&name) {
                self.field(field, key_place, value);
            } else if self.kind.has_group(&name) {
                let what = value.what();
                if let Content::Map(entries) = value.content {
                    self.group(&name, entries);
                } else {
                    let message = format!("`{name}` is a group of fields, not {what}");
                    self.problems.push(self.error("value/type", message, value.place));
                }
            } else {
                self.unknown(prefix, &key, &name, key_place);
            }
        }
    }

    fn unknown(&mut self, prefix: &str, key: &str, name: &str, place: Place) {
        // A mapping that many resources share through an alias is wrong once.
        if !self.told.insert(place) {
            return;
        }
        let names = self.kind.fields().iter().map(|field| field.name);
        let near = did_you_mean(name, names.chain(["absent", "previously"])).map(str::to_owned).or_else(|| {
            // `port` at the top is probably `incoming.port`, or one of several.
            let tail = format!(".{key}");
            let same: Vec<&str> =
                self.kind.fields().iter().map(|f| f.name).filter(|name| name.ends_with(&tail)).collect();
            (!same.is_empty()).then(|| same.join("` or `"))
        });
        let within = if prefix.is_empty() { String::new() } else { format!(" in `{prefix}`") };
        let problem = self.error(
            "key/unknown",
            format!("{} is no field of {}s{within}", unknown_word(key, near.as_deref()), self.kind),
            place,
        );
        self.problems.push(match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("`yubin explain SYSTEM` lists the fields"),
        });
    }

    fn absent(&mut self, key_place: Place, value: &Node) {
        match &value.content {
            Content::Plain(text) if text == "true" => self.absent = Some((key_place, true)),
            Content::Plain(text) if text == "false" => self.absent = Some((key_place, false)),
            _ => self.problems.push(self.error("value/type", "`absent` is true or false", value.place)),
        }
    }

    fn previously(&mut self, value: Node) {
        let place = value.place;
        match value.content {
            Content::Plain(text) | Content::Quoted(text) => match key_flaw(&text) {
                None => self.previously = Some(Box::new((text, place))),
                Some(flaw) => {
                    let message = format!("the name in `previously` {flaw}");
                    self.problems.push(self.error("resource/key", message, place));
                }
            },
            Content::List(_) | Content::Map(_) => {
                let problem = self.error("value/type", "`previously` is a name", place);
                self.problems.push(problem.hint("the name of the resource so far, as in `previously: old-name`"));
            }
        }
    }

    fn field(&mut self, field: FieldId, key_place: Place, value: Node) {
        let spec = self.kind.field(field);
        if self.cells.iter().any(|cell| cell.field == field) {
            let message = format!("`{}` is written twice", spec.name);
            self.problems
                .push(self.error("key/duplicate", message, key_place).field(spec.name).hint("keep one of the two"));
            return;
        }
        let place = value.place;
        let is_null = value.is_null();
        let what = value.what();
        let raw = match (spec.ty, value.content) {
            _ if is_null => Ok(Raw::Null),
            (Type::Secret | Type::Password, content) => secret(content),
            (Type::List, Content::List(items)) => list(items, spec.name),
            (_, Content::Plain(text)) if !matches!(spec.ty, Type::List) => Ok(Raw::Plain(text)),
            (_, Content::Quoted(text)) if !matches!(spec.ty, Type::List) => Ok(Raw::Quoted(text)),
            (Type::List, _) => Err((place, "value/type", format!("`{}` is a list, not {what}", spec.name))),
            _ => Err((place, "value/type", format!("`{}` is a single value, not {what}", spec.name))),
        };
        match raw {
            Ok(raw) => self.cells.push(DraftCell { field, raw, place }),
            Err((at, code, message)) => {
                self.broken.push(field);
                // A problem without a place of its own is that of the value.
                let at = if at == Place::default() { place } else { at };
                let problem = self.error(code, message, at).field(spec.name);
                self.problems.push(if code == "value/type" && matches!(spec.ty, Type::List) {
                    problem.hint("write it as `[one, two]`")
                } else {
                    problem
                });
            }
        }
    }
}

type Misread = (Place, &'static str, String);

fn list(items: Vec<Node>, name: &str) -> Result<Raw, Misread> {
    let items = items
        .into_iter()
        .map(|item| match item {
            Node { content: Content::Plain(text) | Content::Quoted(text), place } if !text.is_empty() => {
                Ok((text, place))
            }
            item => Err((item.place, "value/type", format!("an item of `{name}` is text, not {}", item.what()))),
        })
        .collect::<Result<Vec<(CompactString, Place)>, Misread>>()?;
    Ok(Raw::List(items))
}

fn secret(content: Content) -> Result<Raw, Misread> {
    let form = |message: String| (Place::default(), "secret/form", message);
    match content {
        // Whatever stands there is the password: 098765 keeps its zero.
        Content::Plain(text) | Content::Quoted(text) if !text.is_empty() => {
            Ok(Raw::Secret(SecretSource::Clear(Clear::new(text.into_string()))))
        }
        Content::Plain(_) | Content::Quoted(_) => {
            Err((Place::default(), "value/empty", "a password cannot be empty; `null` clears it".to_owned()))
        }
        Content::List(_) => Err(form("a secret is `{env: NAME}` or `{file: PATH}`, not a list".to_owned())),
        Content::Map(entries) => {
            let [Entry { key, key_place, value }] = entries.as_slice() else {
                return Err(form(format!("a secret reference has one key, this one has {}", entries.len())));
            };
            let argument = match &value.content {
                Content::Plain(text) | Content::Quoted(text) => text.as_str(),
                Content::List(items) if key == "command" => return command(items, value.place),
                _ => return Err((value.place, "secret/form", "a secret reference names a single value".to_owned())),
            };
            if let Some(read) = secret_form(key, argument) {
                read.map(Raw::Secret).map_err(|(code, message)| (Place::default(), code, message))
            } else {
                let near = did_you_mean(key, FORMS);
                let word = unknown_word(key, near);
                let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                Err((*key_place, "secret/form", format!("{word} is no form of a secret{near}")))
            }
        }
    }
}

fn command(items: &[Node], place: Place) -> Result<Raw, Misread> {
    let word = |item: &Node| match &item.content {
        Content::Plain(text) | Content::Quoted(text) => Ok(text.to_string()),
        _ => Err((item.place, "secret/form", format!("a word of a command is text, not {}", item.what()))),
    };
    let words: Vec<String> = items.iter().map(word).collect::<Result<_, Misread>>()?;
    if words.first().is_none_or(String::is_empty) {
        return Err((place, "secret/form", "a command names its program first: `[pass, show, mail/taro]`".to_owned()));
    }
    Ok(Raw::Secret(SecretSource::Command(words)))
}

fn article(kind: Kind) -> &'static str {
    if kind == Kind::Account { "an" } else { "a" }
}
