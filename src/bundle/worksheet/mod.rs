//! Worksheets: what a person does on the product's screens, in its own words, step by step, to be
//! ticked off. A `Sheet` is laid out once and written as Markdown and as HTML.

mod html;
mod markdown;
mod products;
mod words;

use super::{File, Task, WORKSHEET};
use crate::model::{Action, Change, Clear, FieldChange, Kind, Origin, Type, Value, harmless};

struct Sheet {
    title: String,
    intro: Vec<String>,
    sections: Vec<Section>,
}

#[derive(Default)]
struct Section {
    heading: String,
    /// What cannot be taken back.
    loud: Option<&'static str>,
    /// To the screen; empty if the section before it ends there.
    way: Vec<&'static str>,
    steps: Vec<Step>,
}

/// One thing to do, and what is entered for it.
#[derive(Default)]
struct Step {
    /// Of what; as the files name it.
    name: String,
    /// What else tells people which one is meant.
    about: Vec<String>,
    open: &'static str,
    entries: Vec<Entry>,
    /// Names in an order that matters.
    order: Vec<String>,
    close: &'static str,
}

struct Entry {
    /// The item of the screen.
    label: String,
    shown: Shown,
    before: Option<Shown>,
    /// It stands there already, if the product is as its document says.
    preset: bool,
}

#[derive(PartialEq)]
enum Shown {
    /// Words of the screen, to be chosen.
    Choice(String),
    /// A text, to be entered as it stands.
    Text(String),
    Lines(Vec<String>),
    /// Where a password is declared: it never stands in a worksheet.
    Password(String),
}

/// How the screens of a product are reached and left.
struct Way {
    steps: &'static [&'static str],
    add: &'static str,
    added: &'static str,
    change: &'static str,
    changed: &'static str,
    delete: &'static str,
    reorder: &'static str,
}

pub fn files(task: &Task<'_>, number: usize) -> Vec<File> {
    let mut sections = products::sections(task);
    sections.retain(|section| !section.steps.is_empty());
    // Who has just been there is there.
    for at in (1..sections.len()).rev() {
        if sections[at].way == sections[at - 1].way {
            sections[at].way.clear();
        }
    }
    let rows = sections.iter().map(|section| section.steps.len()).sum();
    if rows == 0 {
        return Vec::new();
    }
    let sheet = Sheet {
        title: format!("Worksheet: {}", task.system.product),
        intro: vec![
            format!("Project {}, plan {}.", harmless(&task.plan.project), task.digest),
            "Carry the steps out in their order, and tick off each. What stands in a frame is entered exactly as it \
             is; the other Japanese words are those of the screens. Passwords do not stand here: each is the one \
             declared at the place that is named. If a step cannot be carried out, stop, and plan again."
                .to_owned(),
        ],
        sections,
    };
    let file = |end: &str, text: String| File {
        name: format!("{number}-worksheet.{end}"),
        format: WORKSHEET,
        rows,
        secrets: false,
        content: Clear::new(text),
    };
    vec![file("md", markdown::write(&sheet)), file("html", html::write(&sheet))]
}

impl Way {
    fn section(&self, heading: &str, steps: Vec<Step>) -> Section {
        Section { heading: heading.to_owned(), loud: None, way: self.steps.to_vec(), steps }
    }
}

/// The changed fields of a resource in the order of the screen.
fn entries(task: &Task<'_>, change: &Change, wanted: impl Fn(&str) -> bool) -> Vec<Entry> {
    let rules = task.system.rules.iter().filter(|rule| rule.kind == change.kind && !rule.screen.is_empty());
    // What is switched off or emptied comes last, and backwards: what depends on a switch can be reached only
    // while it is on.
    let (mut off, mut all) = (Vec::new(), Vec::new());
    let entered = rules
        .filter_map(|rule| {
            let field = change.kind.id(rule.field);
            let spec = change.kind.field(field);
            if spec.read_only || !wanted(spec.name) {
                return None;
            }
            let at = change.fields.binary_search_by_key(&field, |one| one.field).ok()?;
            let field = &change.fields[at];
            let ends = field.before.is_some() && matches!(field.after, None | Some(Value::Bool(false)));
            Some((ends, entry(task, change, rule.screen, field)))
        })
        // Two values that the screen shows alike are nothing to enter.
        .filter(|(_, entry)| entry.before.as_ref() != Some(&entry.shown));
    for (ends, entry) in entered {
        if ends { &mut off } else { &mut all }.push(entry);
    }
    all.extend(off.into_iter().rev());
    all
}

fn entry(task: &Task<'_>, change: &Change, label: &str, field: &FieldChange) -> Entry {
    let spec = change.kind.field(field.field);
    let in_words = |value: &Value| shown(task.system.document, change.kind, spec.name, value);
    let taken_away = || match spec.ty {
        Type::Bool => in_words(&Value::Bool(false)),
        _ => Shown::Choice(words::EMPTY.to_owned()),
    };
    let shown = match &field.after {
        Some(_) if spec.is_secret() => Shown::Password(place(task, change)),
        Some(value) => in_words(value),
        None => taken_away(),
    };
    let before = field.before.as_deref().filter(|_| !spec.is_secret() && change.action == Action::Overwrite);
    Entry {
        label: label.to_owned(),
        shown,
        before: before.map(in_words),
        preset: field.origin == Origin::Default && change.action == Action::Add,
    }
}

/// Where the resource is declared.
fn place(task: &Task<'_>, change: &Change) -> String {
    change.source.map_or_else(
        || change.address().to_string(),
        |source| format!("{}:{}", harmless(task.plan.file(source)), source.place.line),
    )
}

/// A value as the product's screen shows it.
fn shown(document: &str, kind: Kind, field: &str, value: &Value) -> Shown {
    let word = value.to_string();
    let of_field = words::WORDS.iter().find(|(of, name, _)| *of == document && *name == field);
    if let Some((_, on_screen)) = of_field.and_then(|(.., words)| words.iter().find(|(one, _)| *one == word)) {
        return Shown::Choice((*on_screen).to_owned());
    }
    match (value, kind.field(kind.id(field)).ty) {
        (Value::Bool(ticked), _) => {
            let ticks = words::TICKS.iter().find(|(of, _)| *of == document);
            Shown::Choice(ticks.map_or(word, |(_, [on, off])| if *ticked { *on } else { *off }.to_owned()))
        }
        (Value::Int(_), _) => match words::UNITS.iter().find(|(name, _)| *name == field) {
            Some((_, unit)) => Shown::Choice(word + unit),
            None => Shown::Text(word),
        },
        (Value::Size(_), _) | (_, Type::Choice(_)) => Shown::Choice(word),
        (Value::List(items), _) => Shown::Lines(items.iter().map(|item| harmless(item).into_owned()).collect()),
        _ if word.is_empty() => Shown::Choice(words::EMPTY.to_owned()),
        _ if word.contains(['\n', '\r']) => Shown::Lines(lines(&word)),
        _ => Shown::Text(harmless(&word).into_owned()),
    }
}

fn lines(text: &str) -> Vec<String> {
    let harmless_but_tabs = |line: &str| line.split('\t').map(harmless).collect::<Vec<_>>().join("\t");
    text.trim_end_matches(['\n', '\r']).lines().map(harmless_but_tabs).collect()
}

#[cfg(test)]
mod tests {
    use super::words::{TICKS, UNITS, WORDS};
    use crate::model::{Kind, Type, Value};
    use crate::system::ALL;

    #[test]
    fn every_word_of_a_screen_is_that_of_a_value() {
        for (document, field, words) in WORDS {
            let rules = ALL.iter().filter(|system| system.document == *document).flat_map(|system| system.rules);
            let rule = rules.into_iter().find(|rule| rule.field == *field);
            let rule = rule.unwrap_or_else(|| panic!("{document} has no {field}"));
            let ty = rule.kind.field(rule.kind.id(field)).ty;
            for (word, _) in *words {
                assert!(Value::from_word(ty, word).is_some(), "{word} of {field}");
            }
        }
        assert!(UNITS.iter().all(|(field, _)| Kind::ALL.iter().any(|kind| kind.find(field).is_some())));
    }

    #[test]
    fn every_word_of_a_choice_has_one_of_the_screen() {
        for system in ALL.iter().filter(|system| TICKS.iter().any(|(document, _)| *document == system.document)) {
            for rule in system.rules.iter().filter(|rule| !rule.screen.is_empty()) {
                let spec = rule.kind.field(rule.kind.id(rule.field));
                let Type::Choice(all) = spec.ty else { continue };
                if spec.read_only || matches!(rule.need, crate::system::Need::Fixed(_)) {
                    continue;
                }
                for word in if rule.values.is_empty() { all } else { rule.values } {
                    let known = WORDS.iter().any(|(document, field, words)| {
                        *document == system.document
                            && *field == rule.field
                            && words.iter().any(|(known, _)| known == word)
                    });
                    assert!(known, "{word} of {} in {}", rule.field, system.name);
                }
            }
        }
    }
}
