//! Whatever a file looks like and whatever is edited: what is edited reads as it should, the rest as
//! before, every comment and every other line stays, and a second time changes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use compact_str::CompactString;
use proptest::prelude::*;
use proptest::sample::select;
use yubin::format::edit::{Edit, Edited, Notation, edit};
use yubin::format::{File, Found, yaml};
use yubin::model::{FieldId, Key, Kind, Raw, Severity, Type, Value};

use crate::support::ODD_TEXTS;

const LINES: &[&str] = &[
    "one\ntwo\n",
    "one\n\n\ntwo",
    "\n",
    "\n\n",
    " lead\n  more\n",
    "x\n\n",
    "a\r\nb\r\n",
    "a\rb",
    "\ttab\nx",
    "trail  \nx",
    "- x\n- y\n",
    "#\n#",
    "🦀\n受信\n",
    "a: b\nc: d",
    "  \nx",
    "x\n ",
    "---\nx\n...",
    "a\n  b\nc",
    "\n\nx",
    "\n x",
    "a\n\n b\n\nc\n",
];

/// What files are made of, in no order.
const PARTS: &[&str] = &[
    "accounts:",
    "accounts: {",
    "patterns:",
    "patterns: {",
    "\n",
    "\n",
    "\n  ",
    "\n  ",
    "\n    ",
    "\n      ",
    "\n        ",
    "a:",
    "a:",
    "a: ",
    "a: ",
    "b: ",
    "comment: ",
    "incoming: ",
    "incoming.port: 1",
    "forward.to: ",
    "forward:",
    "to: ",
    "- ",
    "- a",
    "[",
    "]",
    "{",
    "}",
    "{}",
    ", ",
    ",",
    "&x ",
    "*x",
    "<<: *x",
    "|",
    ">-",
    "|+",
    "|2",
    " # c",
    "# c",
    "'",
    "\"",
    "'x'",
    "\"x\"",
    "x",
    "受",
    "? ",
    ": ",
    "---",
    "!t ",
    "null",
    "~",
    "user,name,comment",
    "a,a,x",
    "\t",
    " ",
    "absent: true",
    "absent: false",
    "defaults: { accounts: { comment: d } }\n",
];

const KIND: Kind = Kind::Account;
const NAMES: [&str; 4] = ["info", "0123", "受信 x", "it's"];

fn value(ty: Type) -> BoxedStrategy<Value> {
    let words = |words: &'static [&'static str]| {
        select(words).prop_map(move |word| Value::from_word(ty, word).unwrap()).boxed()
    };
    let odd = || select(ODD_TEXTS).prop_map(str::to_owned);
    match ty {
        Type::Bool => words(&["true", "false"]),
        Type::Int { min, max } => (min..=max).prop_map(Value::Int).boxed(),
        Type::Choice(all) => words(all),
        Type::Size => words(&["512KB", "5MB", "unlimited"]),
        Type::Mail | Type::Mails => words(&["a@x.jp", "\"a b\"@x.jp", "受信@例え.jp", "a+b=c@x.y"]),
        Type::Host => words(&["x.jp", "192.0.2.1", "2001:db8::1", "::1", "1.2"]),
        Type::Reference => words(&["s0", "s1"]),
        Type::List => prop::collection::vec(select(&["a@x.jp", "b@x.jp", "c,d@x.jp", "#e@x.jp", "0123"][..]), 0..4)
            .prop_map(|items| Value::List(items.into_iter().map(CompactString::new).collect()))
            .boxed(),
        Type::Text | Type::Multiline | Type::Secret | Type::Password => prop_oneof![
            3 => odd(),
            2 => select(LINES).prop_map(str::to_owned),
            1 => "\\PC{0,12}",
            1 => "([ a-z受:#-]{0,30}\n){1,4}[a-z]{0,5}",
            1 => "(long line, [a-z ]{10}){8,20}",
        ]
        .prop_map(|text| Value::Text(CompactString::new(text)))
        .boxed(),
    }
}

fn field() -> BoxedStrategy<FieldId> {
    let fields: Vec<FieldId> = (0..)
        .zip(KIND.fields())
        .filter(|(_, field)| !field.is_secret() && !field.read_only && !matches!(field.ty, Type::Reference))
        .map(|(id, _)| id)
        .collect();
    // Few groups, so that fields meet.
    let near: Vec<FieldId> = fields
        .iter()
        .copied()
        .filter(|id| {
            ["incoming.", "auto_reply.", "forward.", "comment", "outgoing.auth."]
                .iter()
                .any(|group| KIND.field(*id).name.starts_with(group))
        })
        .collect();
    prop_oneof![3 => select(near), 1 => select(fields)].boxed()
}

fn fields(count: std::ops::Range<usize>) -> BoxedStrategy<BTreeMap<FieldId, Option<Value>>> {
    let one = field().prop_flat_map(|field| {
        prop::option::weighted(0.9, value(KIND.field(field).ty)).prop_map(move |value| (field, value))
    });
    prop::collection::vec(one, count).prop_map(|fields| fields.into_iter().collect()).boxed()
}

/// How a resource is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    Block,
    Dotted,
    Brackets,
    BracketLines,
}

fn double(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => write!(quoted, "\\U{:08x}", u32::from(c)).unwrap(),
        }
    }
    quoted + "\""
}

/// In the `nth` style that the value allows; `indent` is that of the lines of a block, if one may stand.
fn scalar(value: Option<&Value>, nth: usize, indent: Option<usize>) -> String {
    let Some(value) = value else { return ["null", "~"][nth % 2].to_owned() };
    match value {
        Value::List(items) if nth.is_multiple_of(2) && indent.is_some() && !items.is_empty() => {
            let indent = indent.unwrap_or_default();
            let item = |item: &CompactString| format!("\n{:indent$}- {} # item {item}", "", double(item));
            format!(" # list{}", items.iter().map(item).collect::<String>())
        }
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| double(item)).collect::<Vec<_>>().join(", "))
        }
        Value::Text(text) => {
            let tame = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.@".contains(c))
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && !text.eq_ignore_ascii_case("null");
            let printable = text.chars().all(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'));
            let lines = text.chars().all(|c| c == '\n' || c.is_ascii_graphic() || c == ' ')
                && text.starts_with(|c: char| c.is_ascii_graphic())
                && !text.ends_with([' ', '\n']);
            match (nth % 5, indent) {
                (0, _) if tame => text.to_string(),
                (1, _) if printable => format!("'{}'", text.replace('\'', "''")),
                (2 | 3, Some(indent)) if lines => {
                    let step = format!("\n{:indent$}", "");
                    let body = text
                        .split('\n')
                        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{step}{line}") });
                    let body = body.collect::<String>();
                    let plain = !text.contains('\n');
                    if nth % 5 == 3 && plain { format!(">- # folded{body}") } else { format!("|- # block{body}") }
                }
                _ => double(text),
            }
        }
        other => other.to_string(),
    }
}

#[derive(Clone, Debug)]
struct Resource {
    name: &'static str,
    style: Style,
    nth: usize,
    /// Whether it takes what it does not write from the account `base`.
    merges: bool,
    fields: BTreeMap<FieldId, Option<Value>>,
}

impl Resource {
    /// Its lines without the comment above.
    fn write(&self) -> String {
        let name = double(self.name);
        let fields: Vec<(&str, Option<&Value>, usize)> = (self.nth..)
            .zip(&self.fields)
            .map(|(nth, (id, value))| (KIND.field(*id).name, value.as_ref(), nth))
            .collect();
        let of = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let merge = if self.merges { "<<: *base" } else { "" };
        let line = |indent: usize| if self.merges { format!("{:indent$}{merge}\n", "") } else { String::new() };
        match self.style {
            _ if fields.is_empty() && self.merges => format!("  {name}: *base # empty\n"),
            _ if fields.is_empty() && self.nth.is_multiple_of(2) => format!("  {name}: # empty\n"),
            _ if fields.is_empty() => format!("  {name}: {{}} # empty\n"),
            Style::Brackets => {
                let fields = fields.iter().map(|(name, value, nth)| format!("{name}: {}", scalar(*value, *nth, None)));
                let fields: Vec<String> = self.merges.then(|| merge.to_owned()).into_iter().chain(fields).collect();
                format!("  {name}: {{ {} }} # brackets\n", fields.join(", "))
            }
            Style::BracketLines => {
                let mut text = format!("  {name}: {{\n{}", line(6).replace('\n', ",\n"));
                for (name, value, nth) in fields {
                    writeln!(text, "      {name}: {}, # field {}", scalar(value, nth, None), of(name)).unwrap();
                }
                text + "  } # lines\n"
            }
            Style::Dotted => {
                let mut text = format!("  {name}: # dotted\n{}", line(6));
                for (name, value, nth) in fields {
                    writeln!(text, "      # above {}\n      {name}: {}", of(name), scalar(value, nth, Some(8)))
                        .unwrap();
                }
                text
            }
            Style::Block => {
                let mut text = format!("  {name}:\n{}", line(4));
                let mut open: Vec<&str> = Vec::new();
                for (name, value, nth) in fields {
                    let parts: Vec<&str> = name.split('.').collect();
                    let (last, groups) = parts.split_last().unwrap();
                    let same = open.iter().zip(groups).take_while(|(a, b)| a == b).count();
                    for (depth, group) in groups.iter().enumerate().skip(same) {
                        writeln!(text, "{:indent$}{group}: # group", "", indent = 4 + 2 * depth).unwrap();
                    }
                    open = groups.to_vec();
                    let indent = 4 + 2 * groups.len();
                    writeln!(text, "{:indent$}{last}: {}", "", scalar(value, nth, Some(indent + 2))).unwrap();
                }
                text
            }
        }
    }
}

fn resources() -> BoxedStrategy<Vec<Resource>> {
    let style = select(&[Style::Block, Style::Dotted, Style::Brackets, Style::BracketLines][..]);
    let one = (style, 0..10usize, prop::bool::weighted(0.3), fields(0..6));
    prop::collection::vec(one, 1..=NAMES.len())
        .prop_map(|all| {
            all.into_iter()
                .zip(NAMES)
                .map(|((style, nth, merges, fields), name)| Resource { name, style, nth, merges, fields })
                .collect()
        })
        .boxed()
}

/// By name and field, without how and where it is written; the second is whether it was read at all.
fn read(text: &str) -> (BTreeMap<String, BTreeMap<&'static str, String>>, bool) {
    let mut found = Found::default();
    yaml::read(File { id: 0, name: "x.yaml", text }, &mut found);
    let cell = |raw: &Raw| match raw {
        Raw::Null => "nothing".to_owned(),
        Raw::Plain(text) | Raw::Quoted(text) | Raw::Cell(text) => format!("={text}"),
        Raw::List(items) => format!("{:?}", items.iter().map(|(item, _)| item).collect::<Vec<_>>()),
        Raw::Secret(source) => format!("{source:?}"),
    };
    let resources = found.resources.iter().map(|resource| {
        let cells = resource.cells.iter().map(|of| (resource.kind.field(of.field).name, cell(&of.raw)));
        (resource.address().to_string(), cells.collect())
    });
    (resources.collect(), !found.problems.iter().any(|problem| problem.severity == Severity::Error))
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::List(items)) => format!("{items:?}"),
        Some(value) => format!("={value}"),
    }
}

fn comments(text: &str) -> Vec<&str> {
    ["# above", "# dotted", "# brackets", "# lines", "# empty", "# group", "# file", "# field", "# of "]
        .iter()
        .flat_map(|mark| text.matches(mark))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_edited_reads_so_and_nothing_else_moves(
        resources in resources(),
        edits in prop::collection::vec((0..NAMES.len(), fields(1..3)), 1..3),
        gone in prop::option::weighted(0.3, 0..NAMES.len()),
        has_defaults in any::<bool>(),
        base in resources(),
        line_break in select(&["\n", "\r\n", "\r"][..]),
    ) {
        let written: Vec<String> = resources.iter().map(|one| one.write().replace('\n', line_break)).collect();
        let mut text = "# file\n".to_owned();
        if has_defaults {
            text.push_str("defaults: # of all\n  accounts: { incoming: { host: d.jp, port: 7 }, comment: d }\n");
        }
        text.push_str("accounts: # of file\n");
        let base = Resource { name: "base", merges: false, ..base[0].clone() };
        text.push_str(&base.write().replacen("base\":", "base\": &base", 1));
        text = text.replace('\n', line_break);
        for (one, lines) in resources.iter().zip(&written) {
            write!(text, "{line_break}  # of {}{line_break}{lines}", one.name).unwrap();
        }
        let (before, is_sound) = read(&text);
        prop_assume!(is_sound);
        let mut wanted = before.clone();
        let mut all = Vec::new();
        let mut touched = [false; NAMES.len()];
        // One value for each field.
        let mut by_resource: BTreeMap<usize, BTreeMap<FieldId, Option<Value>>> = BTreeMap::new();
        for (at, fields) in edits {
            by_resource.entry(at % resources.len()).or_default().extend(fields);
        }
        for (at, fields) in &by_resource {
            let at = *at;
            touched[at] = true;
            let key = Key::single(resources[at].name);
            for (field, value) in fields {
                let spec = KIND.field(*field);
                let cells = wanted.get_mut(&format!("account/{}", resources[at].name)).unwrap();
                // Without a value, what is not written stays so.
                if value.is_some() || cells.contains_key(spec.name) {
                    cells.insert(spec.name, shown(value.as_ref()));
                }
                all.push(Edit::Set { kind: KIND, key: key.clone(), field: *field, value: value.clone() });
            }
        }
        if let Some(at) = gone {
            let at = at % resources.len();
            touched[at] = true;
            wanted.remove(&format!("account/{}", resources[at].name));
            all.push(Edit::Remove { kind: KIND, key: Key::single(resources[at].name) });
        }
        let Edited { text: after, refused } = edit(&text, Notation::Yaml, &all);
        prop_assert_eq!(&refused, &[], "{}", text);
        let (now, is_sound) = read(&after);
        prop_assert!(is_sound, "{}\n{}", text, after);
        prop_assert_eq!(now, wanted, "{}\n{}", text, after);
        if gone.is_none() {
            prop_assert_eq!(comments(&after), comments(&text), "{}\n{}", text, after);
        }
        for (at, lines) in written.iter().enumerate() {
            let lines = format!("  # of {}{line_break}{lines}", resources[at].name);
            prop_assert!(touched[at] || after.contains(&lines), "{}\n{}", text, after);
        }
        // A resource that is gone cannot be edited a second time.
        if gone.is_none() {
            prop_assert_eq!(edit(&after, Notation::Yaml, &all).text, after);
        }
    }

    #[test]
    fn any_text_is_edited_without_panic(
        parts in prop::collection::vec(select(PARTS), 0..24),
        resources in prop::option::of(resources()),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), select(PARTS)), 0..4),
        field in field(),
        wanted in prop::option::of(value(Type::Multiline)),
        line_break in select(&["\n", "\r\n", "\r"][..]),
    ) {
        let mut text = parts.concat();
        if let Some(resources) = resources {
            text = "accounts:\n".to_owned() + &resources.iter().map(Resource::write).collect::<String>();
            text = text.replace(&double(NAMES[0]), "a").replace("*base", "{}");
            for (at, part) in cuts {
                let at = at.index(text.len());
                text.insert_str((0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0), part);
            }
        }
        let text = text.replace('\n', line_break);
        let key = Key::single("a");
        let edits = [
            Edit::Set { kind: KIND, key: key.clone(), field, value: wanted.clone() },
            Edit::Set { kind: KIND, key: key.clone(), field: KIND.find("comment").unwrap(), value: wanted },
            Edit::Set { kind: KIND, key: key.clone(), field: KIND.find("forward.to").unwrap(), value: None },
            Edit::Remove { kind: Kind::Pattern, key: Key::pair("a", "a") },
        ];
        for notation in [Notation::Yaml, Notation::Csv(None), Notation::CatchmeMail] {
            let Edited { text: after, refused } = edit(&text, notation, &edits);
            prop_assert!(refused.len() < edits.len() || after == text);
        }
        let (_, was_sound) = read(&text);
        prop_assert!(!was_sound || read(&edit(&text, Notation::Yaml, &edits).text).1);
    }

    #[test]
    fn a_cell_says_what_it_should_and_no_other_byte_moves(
        rows in prop::collection::vec(("[a-z]{1,3}", "[a-z,\"\n受]{0,6}", any::<bool>()), 1..5),
        at in 0..5usize,
        wanted in value(Type::Text),
        line_break in select(&["\n", "\r\n", "\r"][..]),
    ) {
        let cell = |text: &str, quoted: bool| {
            if quoted || text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
        };
        let record = |nth: usize, text: &str, quoted: bool| format!("{nth},{},\"x\"{line_break}", cell(text, quoted));
        let head = format!("name,comment,user{line_break}");
        let records: Vec<String> = rows.iter().enumerate().map(|(nth, (_, text, quoted))| record(nth, text, *quoted)).collect();
        let file = head.clone() + &records.concat();
        let at = at % rows.len();
        let field = KIND.find("comment").unwrap();
        let key = Key::single(&at.to_string());
        let one = Edit::Set { kind: KIND, key, field, value: Some(wanted.clone()) };
        let Edited { text: after, refused } = edit(&file, Notation::Csv(Some(KIND)), std::slice::from_ref(&one));
        if wanted.text() == Some("") {
            prop_assert_eq!(after, file);
            // Nothing but what stands there already.
            prop_assert_eq!(refused.len(), 1);
            return Ok(());
        }
        prop_assert_eq!(&refused, &[]);
        let [before, behind] = [records[..at].concat(), records[at + 1..].concat()];
        prop_assert!(after.starts_with(&(head + &before)), "{}", after);
        prop_assert!(after.ends_with(&format!(",\"x\"{line_break}{behind}")), "{}", after);
        prop_assert_eq!(edit(&after, Notation::Csv(Some(KIND)), &[one]).text, after);
    }
}
