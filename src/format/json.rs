//! The JSON of `show` and `export`, read back. JSON is YAML, so the places are known.

use super::node::{Content, Node, Reader};
use super::yaml::read_fields;
use super::{File, Found, key_flaw};
use crate::model::{Diagnostic, Key, Kind, Place};

pub fn read(file: File<'_>, found: &mut Found) {
    let mut reader = Reader::new(file.name, file.text);
    let document = reader.document();
    found.problems.append(&mut reader.problems);
    let Ok(document) = document else { return };
    let wrong = |place: Place| {
        Diagnostic::error("value/type", "expected the JSON that `yubin export json` writes").at(
            file.name,
            place.line,
            place.column,
        )
    };
    let resources = document.as_ref().and_then(|document| get(document, "resources"));
    let Some(Node { content: Content::List(resources), .. }) = resources else {
        found.problems.push(wrong(Place { line: 1, column: 1 }));
        return;
    };
    for resource in resources {
        let kind = get(resource, "kind").and_then(text).and_then(Kind::from_name);
        let parts = match get(resource, "key").map(|key| &key.content) {
            Some(Content::List(parts)) => parts.iter().filter_map(text).collect(),
            _ => Vec::new(),
        };
        let (Some(kind), Some(fields)) = (kind, get(resource, "fields")) else {
            found.problems.push(wrong(resource.place));
            continue;
        };
        if parts.len() != kind.key_parts().len() || parts.iter().any(|part| key_flaw(part).is_some()) {
            found.problems.push(wrong(resource.place));
            continue;
        }
        found.mentioned[kind as usize] = true;
        read_fields(file, kind, Key::from_parts(parts), resource.place, fields.clone(), found);
    }
}

/// Escapes what JSON may hold as it is and YAML may not: these characters stand in strings alone.
pub fn escape(json: &str) -> String {
    let odd =
        |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(odd) {
        return json.to_owned();
    }
    json.chars().map(|c| if odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Content::Map(entries) = &node.content else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

fn text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Plain(text) | Content::Quoted(text) => Some(text),
        _ => None,
    }
}
