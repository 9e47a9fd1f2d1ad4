//! Files of accounts in every style, and values for their fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use compact_str::CompactString;
use proptest::prelude::*;
use proptest::sample::select;
use yubin::model::{FieldId, Kind, Type, Value};

use crate::support::ODD_TEXTS;

pub const LINES: &[&str] = &[
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
pub const PARTS: &[&str] = &[
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

pub const KIND: Kind = Kind::Account;
pub const NAMES: [&str; 4] = ["info", "0123", "受信 x", "it's"];

pub fn value(ty: Type) -> BoxedStrategy<Value> {
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

pub fn field() -> BoxedStrategy<FieldId> {
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

pub fn fields(count: std::ops::Range<usize>) -> BoxedStrategy<BTreeMap<FieldId, Option<Value>>> {
    let one = field().prop_flat_map(|field| {
        prop::option::weighted(0.9, value(KIND.field(field).ty)).prop_map(move |value| (field, value))
    });
    prop::collection::vec(one, count).prop_map(|fields| fields.into_iter().collect()).boxed()
}

/// How a resource is written.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    Block,
    Dotted,
    Brackets,
    BracketLines,
}

pub fn double(text: &str) -> String {
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
pub fn scalar(value: Option<&Value>, nth: usize, indent: Option<usize>) -> String {
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
pub struct Resource {
    pub name: &'static str,
    pub style: Style,
    pub nth: usize,
    /// Whether it takes what it does not write from the account `base`.
    pub merges: bool,
    pub fields: BTreeMap<FieldId, Option<Value>>,
}

impl Resource {
    /// Its lines without the comment above.
    pub fn write(&self) -> String {
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

pub fn resources() -> BoxedStrategy<Vec<Resource>> {
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
