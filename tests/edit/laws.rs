//! Whatever a file looks like and whatever is edited: what is edited reads as it should, the rest as
//! before, every comment and every other line stays, and a second time changes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use yubin::format::edit::{Edit, Edited, Notation, edit};
use yubin::format::{File, Found, yaml};
use yubin::model::{FieldId, Key, Kind, Raw, Severity, Type, Value};

use super::worlds::{KIND, NAMES, PARTS, Resource, double, field, fields, resources, value};

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
