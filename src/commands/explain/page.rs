//! The pages of `docs/systems/`: what the tables say of each system, in Markdown.

use std::fmt::Write as _;

use super::fact::{self, Fact};
use super::{matrix, text};
use crate::check;
use crate::system::{self, System};

const GENERATED: &str = "<!-- Written by `yubin explain --out docs/systems`; edit src/system/ instead. -->\n";

/// File names and texts.
pub fn all() -> Vec<(String, String)> {
    let mut all = vec![("README.md".to_owned(), readme())];
    all.extend(system::ALL.into_iter().map(|system| (format!("{}.md", system.name), page(system))));
    all
}

fn readme() -> String {
    let mut text = format!("# Systems\n\n{GENERATED}\n| system | product | document | |\n|---|---|---|---|\n");
    for System { name, product, document, about, .. } in system::ALL {
        let document = if document.is_empty() { "–" } else { document };
        line(&mut text, &format!("| [`{name}`]({name}.md) | {product} | {document} | {about} |"));
    }
    text.push_str(
        "\n## What each can express\n\nA dash is what cannot be written for that system: it is refused with the systems that can \
         (`system/not-expressible`).\nWords are those that it accepts; *always* is the one behaviour that it has, which \
         may be written and changes nothing.\n\n",
    );
    text.push_str(&matrix::table());
    text
}

fn page(system: &'static System) -> String {
    let mut text = format!("# {}\n\n{GENERATED}\n`system: {}`: {}.", system.product, system.name, system.about);
    if !system.document.is_empty() {
        let document = system.document;
        let lines = format!(" The vendor's description is document {document} here: `{document}:30` is line 30 of it.");
        text.push_str(&lines);
        text.push_str(
            " `[X]` stands outside the documents, `[P]` is yubin's choice where nothing is said. \
             `yubin explain` prints the same facts.",
        );
    }
    text.push('\n');
    let general = text::general(system);
    if !general.is_empty() {
        text.push('\n');
        for one in general {
            line(&mut text, &format!("* {one}"));
        }
    }
    for kind in system.kinds {
        let facts: Vec<Fact> = fact::all(system)
            .filter(|one| one.kind == *kind && (one.is_its() || one.is_ours() || one.why_never().is_some()))
            .collect();
        let key = kind.key_parts().join("`, `");
        line(&mut text, &format!("\n## {}, key `{key}`\n", capital(kind.plural())));
        text.push_str("| field | on the product's screen | values | needed | default | export | source |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for one in &facts {
            row(&mut text, one);
        }
        let quoted: Vec<&Fact> = facts.iter().filter(|one| one.rule.is_some()).collect();
        if !quoted.is_empty() {
            text.push_str("\n### What the document says\n\n");
            for one in quoted {
                quote(&mut text, one);
            }
        }
    }
    for (at, check) in check::of(system.name).enumerate() {
        if at == 0 {
            text.push_str("\n## Rules that concern several fields\n\n| id | rule | source |\n|---|---|---|\n");
        }
        line(&mut text, &format!("| {} | {} | {} |", check.id, check.doc, check.source));
    }
    for note in system.notes {
        line(&mut text, &format!("\n## {}\n\n| | | source |\n|---|---|---|", note.title));
        for (source, doc, quote) in note.lines {
            line(&mut text, &format!("| {} | 「{}」 | {source} |", escaped(doc), escaped(quote)));
        }
    }
    text
}

fn row(text: &mut String, one: &Fact) {
    let spec = one.spec();
    let screen = one.rule.map_or(spec.label, |rule| rule.screen);
    let mut needs = vec![one.need()];
    needs.extend(
        one.rule.and_then(|rule| rule.only_when).map(|(other, word)| format!("effective only if {other} is {word}")),
    );
    needs.extend(one.exclusions());
    needs.retain(|need| !need.is_empty());
    let need = needs.join("; ");
    let export = match (one.observable(), one.expressible()) {
        _ if one.system.open || one.is_ours() => "",
        (true, _) => "shown",
        (false, true) => "unobservable",
        (false, false) => "",
    };
    let source = match one.rule {
        Some(rule) if rule.verified => rule.source.to_owned(),
        Some(rule) => format!("{}, unverified", rule.source),
        None => String::new(),
    };
    let values = if one.expressible() { one.values() } else { String::new() };
    let cells = [screen, &values, &need, &one.default(), export, &source].map(escaped);
    line(text, &format!("| `{}` | {} |", spec.name, cells.map(|cell| dash(&cell)).join(" | ")));
}

fn quote(text: &mut String, one: &Fact) {
    let Some(rule) = one.rule else { return };
    let mut parts = Vec::new();
    if !rule.quote.is_empty() {
        parts.push(format!("「{}」 ({})", rule.quote, rule.source));
    }
    if !rule.note.is_empty() {
        parts.push(if rule.verified { rule.note.to_owned() } else { format!("*unverified:* {}", rule.note) });
    }
    if !parts.is_empty() {
        line(text, &format!("* `{}`: {}", one.spec().name, parts.join("; ")));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|")
}

fn dash(cell: &str) -> String {
    if cell.is_empty() { "–".to_owned() } else { cell.to_owned() }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
