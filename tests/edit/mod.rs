//! Files are edited in place: what is edited reads as it should, and nothing else moves.

mod laws;
mod records;
mod removal;
mod worlds;
mod yaml;

use compact_str::CompactString;
use yubin::format::edit::{Edit, Edited, Notation, edit};
use yubin::model::{Address, Value};

const NOTHING: Option<Value> = None;

/// `set("account/info", "comment", text("x"))`.
fn set(address: &str, field: &str, value: impl Into<Option<Value>>) -> Edit {
    let Address { kind, key } = Address::parse(address).unwrap();
    Edit::Set { kind, key, field: kind.find(field).unwrap(), value: value.into() }
}

fn remove(address: &str) -> Edit {
    let Address { kind, key } = Address::parse(address).unwrap();
    Edit::Remove { kind, key }
}

fn text(text: &str) -> Value {
    Value::Text(CompactString::new(text))
}

fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| CompactString::new(*item)).collect())
}

/// Edits with any line break; a second time changes nothing.
#[track_caller]
fn check(notation: Notation, before: &str, edits: &[Edit], after: &str) {
    for line_break in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{feff}"] {
            let of = |text: &str| format!("{mark}{}", text.replace('\n', line_break));
            let Edited { text, refused } = edit(&of(before), notation, edits);
            assert_eq!(text.replace(line_break, "\n").trim_start_matches('\u{feff}'), after, "{refused:?}");
            assert_eq!(text, of(after));
            assert_eq!(refused, [], "{line_break:?}");
            assert_eq!(edit(&text, notation, edits), Edited { text: text.clone(), refused });
        }
    }
}

/// Is refused for this reason, and changes nothing.
#[track_caller]
fn check_refused(notation: Notation, before: &str, one: &Edit, reason: &str) {
    let Edited { text, refused } = edit(before, notation, std::slice::from_ref(one));
    assert_eq!(text, before);
    let [refused] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(refused.reason.contains(reason), "{}", refused.reason);
}
