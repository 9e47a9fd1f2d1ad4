//! Writing YAML resource files: what is read back is what was written, in the fewest quotes.

use std::io::{self, Write};

use crate::model::{FieldId, Key, Kind, Raw, SecretSource, Value};

/// A value that is written: one of the store, or a reference to a secret.
pub enum Written<'a> {
    Value(&'a Value),
    Env(&'a str),
    Secret(&'a SecretSource),
    /// As a file says it; of a record, a cell is a text.
    Raw(&'a Raw),
}

/// A resource that is written.
pub struct Entity<'a> {
    pub kind: Kind,
    pub key: &'a Key,
    pub absent: bool,
    /// In table order.
    pub fields: Vec<(FieldId, Written<'a>)>,
}

/// Writes a resource file. Entities come by kind and key.
pub fn write<'a>(to: &mut dyn Write, entities: impl Iterator<Item = Entity<'a>>) -> io::Result<()> {
    let mut last: Option<(Kind, String)> = None;
    for entity in entities {
        let mut parts = entity.key.parts();
        let user = if entity.kind == Kind::Pattern { parts.next() } else { None };
        if last.as_ref().is_none_or(|(kind, _)| *kind != entity.kind) {
            writeln!(to, "{}:", entity.kind.plural())?;
            last = Some((entity.kind, String::new()));
        }
        let mut indent = "  ";
        if let Some(user) = user {
            if last.as_ref().is_none_or(|(_, open)| open != user) {
                writeln!(to, "  {}:", scalar(user, 0)?)?;
                last = Some((entity.kind, user.to_owned()));
            }
            indent = "    ";
        }
        let name = scalar(parts.next().unwrap_or_default(), 0)?;
        if entity.fields.is_empty() && !entity.absent {
            writeln!(to, "{indent}{name}: {{}}")?;
            continue;
        }
        writeln!(to, "{indent}{name}:")?;
        write_body(to, indent.len() + 2, &entity)?;
    }
    Ok(())
}

/// Groups of fields stand together, each at its first field.
fn write_body(to: &mut dyn Write, indent: usize, entity: &Entity<'_>) -> io::Result<()> {
    if entity.absent {
        writeln!(to, "{:indent$}absent: true", "")?;
    }
    let fields: Vec<(&str, &Written<'_>)> =
        entity.fields.iter().map(|(field, written)| (entity.kind.field(*field).name, written)).collect();
    write_group(to, indent, &fields)
}

fn write_group(to: &mut dyn Write, indent: usize, fields: &[(&str, &Written<'_>)]) -> io::Result<()> {
    let mut groups: Vec<&str> = Vec::new();
    for (name, written) in fields {
        let Some((group, _)) = name.split_once('.') else {
            let value = value(written, indent + 2)?;
            let blank = if value.starts_with('\n') { "" } else { " " };
            writeln!(to, "{:indent$}{name}:{blank}{value}", "")?;
            continue;
        };
        if groups.contains(&group) {
            continue;
        }
        groups.push(group);
        let inside: Vec<(&str, &Written<'_>)> = fields
            .iter()
            .filter_map(|(name, written)| Some((name.strip_prefix(group)?.strip_prefix('.')?, *written)))
            .collect();
        writeln!(to, "{:indent$}{group}:", "")?;
        write_group(to, indent + 2, &inside)?;
    }
    Ok(())
}

/// A value as it stands behind its key; what follows on lines below is indented.
fn value(written: &Written<'_>, indent: usize) -> io::Result<String> {
    Ok(match written {
        Written::Env(name) => format!("\n{:indent$}env: {}", "", scalar(name, 0)?),
        Written::Secret(source) => reference(source, indent)?,
        Written::Value(Value::List(items)) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Written::Value(Value::Text(text)) => scalar(text, indent)?,
        Written::Value(value) => value.to_string(),
        Written::Raw(Raw::Null) => "null".to_owned(),
        // A line break would be folded into a space.
        Written::Raw(Raw::Plain(text)) if !text.contains('\n') => text.to_string(),
        Written::Raw(Raw::Plain(text) | Raw::Quoted(text) | Raw::Cell(text)) => scalar(text, indent)?,
        Written::Raw(Raw::List(items)) => {
            let items: Vec<String> = items.iter().map(|(item, _)| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Written::Raw(Raw::Secret(source)) => reference(source, indent)?,
    })
}

/// A reference to a secret; a password in clear is none.
fn reference(source: &SecretSource, indent: usize) -> io::Result<String> {
    let (form, written) = match source {
        SecretSource::Env(name) => ("env", scalar(name, 0)?),
        SecretSource::File(path) => ("file", scalar(path, 0)?),
        SecretSource::Hash(hash) => ("hash", quoted(hash.expose())),
        SecretSource::Age(text) => ("age", scalar(text.expose(), indent + 4)?),
        SecretSource::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            ("command", format!("[{}]", words.join(", ")))
        }
        SecretSource::Clear(_) => return Err(io::Error::other("a password in clear is not written")),
    };
    Ok(format!("\n{:indent$}{form}: {written}", ""))
}

/// JSON strings are YAML.
pub fn quoted(text: &str) -> String {
    crate::format::json::escape(&serde_json::Value::from(text).to_string())
}

/// A text; on one line if `indent` is 0, as keys are.
pub fn scalar(text: &str, indent: usize) -> io::Result<String> {
    let odd = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let one_line = indent == 0 && (text.contains('\n') || text.len() > 100);
    // A plain `<<` would merge.
    if text == "<<" || one_line || text.contains(odd) {
        return Ok(quoted(text));
    }
    let written = serde_yaml::to_string(text).map_err(io::Error::other)?;
    let mut lines = written.trim_end_matches('\n').split('\n');
    if !text.contains('\n') {
        return Ok(lines.next().unwrap_or_default().to_owned());
    }
    // A block: its lines are indented by two, and trailing line breaks are its own.
    let mut block = String::new();
    for (at, line) in written.strip_suffix('\n').unwrap_or(&written).split('\n').enumerate() {
        if at > 0 {
            block.push('\n');
            if !line.is_empty() {
                block.extend(std::iter::repeat_n(' ', indent - 2));
            }
        }
        block.push_str(line);
    }
    Ok(block)
}
