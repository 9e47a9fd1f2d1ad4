//! Values as YAML writes them, in a given style.

use granit_parser::ScalarStyle;

use crate::format::yaml::{quoted, scalar};
use crate::model::Value;

/// How a scalar is written on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// None where that is possible.
    Plain,
    Single,
    Double,
}

impl Quotes {
    pub fn of(style: ScalarStyle) -> Quotes {
        match style {
            ScalarStyle::SingleQuoted => Quotes::Single,
            ScalarStyle::DoubleQuoted => Quotes::Double,
            _ => Quotes::Plain,
        }
    }
}

/// A value on one line, inside of brackets if `flow`.
pub fn inline(value: Option<&Value>, quotes: Quotes, flow: bool) -> String {
    match value {
        None => "null".to_owned(),
        Some(Value::List(items)) => {
            let items: Vec<String> = items.iter().map(|item| text(item, quotes, true)).collect();
            format!("[{}]", items.join(", "))
        }
        Some(Value::Text(value)) => text(value, quotes, flow),
        Some(value @ Value::Size(_)) => text(&value.to_string(), quotes, flow),
        Some(value) => value.to_string(),
    }
}

/// A text on one line.
pub fn text(value: &str, quotes: Quotes, flow: bool) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let single = || format!("'{}'", value.replace('\'', "''"));
    match quotes {
        _ if value.contains(odd) => quoted(value),
        Quotes::Double => quoted(value),
        Quotes::Single => single(),
        Quotes::Plain => match scalar(value, 2) {
            Ok(plain) if flow && !plain.starts_with(['"', '\'']) && is_structural(&plain) => single(),
            Ok(plain) => plain,
            Err(_) => quoted(value),
        },
    }
}

/// Whether brackets around it would make something else of a plain scalar.
fn is_structural(plain: &str) -> bool {
    plain.contains([',', '[', ']', '{', '}']) || plain.ends_with(':') || plain.starts_with([':', '?', '-'])
}

/// A text of lines as a block scalar: its header, and its lines with a break before each.
pub struct Block {
    pub header: String,
    pub lines: String,
}

/// `None` if a block cannot hold the text, or only in a way that depends on what follows it. `indent`
/// is that of the lines, `outer` that of the key.
pub fn block(text: &str, folded: bool, outer: usize, indent: usize, line_break: &str) -> Option<Block> {
    let odd = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let (body, chomp) = match text.strip_suffix('\n') {
        Some(body) => (body, ""),
        None => (text, "-"),
    };
    if body.is_empty() || body.ends_with('\n') || body.contains(odd) {
        return None;
    }
    let step = indent.checked_sub(outer).filter(|step| (1..=9).contains(step))?;
    let first = body.split('\n').find(|line| !line.is_empty())?;
    let hint = if first.starts_with(' ') { step.to_string() } else { String::new() };
    // Lines that start with a blank are not folded, nor are the breaks around them.
    let folded = folded && !body.split('\n').any(|line| line.starts_with([' ', '\t']));
    let mut lines = String::new();
    let mut last_filled = false;
    for line in body.split('\n') {
        if folded && last_filled {
            lines.push_str(line_break);
        }
        lines.push_str(line_break);
        if !line.is_empty() {
            lines.extend(std::iter::repeat_n(' ', indent));
            lines.push_str(line);
        }
        last_filled = !line.is_empty();
    }
    let sign = if folded { '>' } else { '|' };
    Some(Block { header: format!("{sign}{hint}{chomp}"), lines })
}
