//! A system, or some of its fields, as text for a terminal.

use std::io::{self, Write};

use super::fact::{self, Fact};
use crate::check;
use crate::model::Kind;
use crate::system::{Clears, System, TextRule};

/// All that is known of a system.
pub fn system(system: &'static System, to: &mut dyn Write) -> io::Result<()> {
    head(system, to)?;
    for line in general(system) {
        writeln!(to, "  {line}")?;
    }
    for kind in system.kinds {
        writeln!(to, "\n  {kind}, key {}", kind.key_parts().join(", "))?;
        for one in fact::all(system).filter(|one| one.kind == *kind && one.is_its()) {
            // What no field of the kind shows is said once, above.
            field(&one, system.exports(*kind), to)?;
        }
    }
    let never: Vec<Fact> = fact::all(system).filter(|one| one.why_never().is_some()).collect();
    if !never.is_empty() {
        writeln!(to, "\n  what the product cannot")?;
        never.iter().try_for_each(|one| field(one, false, to))?;
    }
    let ours: Vec<Fact> = fact::all(system).filter(Fact::is_ours).collect();
    if !ours.is_empty() {
        writeln!(to, "\n  what the files may say beside it")?;
        ours.iter().try_for_each(|one| field(one, false, to))?;
    }
    for (at, check) in check::of(system.name).enumerate() {
        if at == 0 {
            writeln!(to, "\n  rules")?;
        }
        writeln!(to, "    {}  {} ({})", check.id, check.doc, check.source)?;
    }
    for note in system.notes {
        writeln!(to, "\n  {}", note.title)?;
        for (source, text, quote) in note.lines {
            writeln!(to, "    {source}  {text}\n        「{quote}」")?;
        }
    }
    Ok(())
}

/// These fields of a system, with everything that is known of each.
pub fn fields(system: &'static System, facts: &[Fact], to: &mut dyn Write) -> io::Result<()> {
    head(system, to)?;
    if facts.is_empty() {
        let kinds: Vec<&str> = system.kinds.iter().map(|kind| kind.plural()).collect();
        return writeln!(to, "  has {} alone, and they have no such field", kinds.join(" and "));
    }
    let mut last = None;
    for one in facts {
        if last.replace(one.kind) != Some(one.kind) {
            writeln!(to, "\n  {}, key {}", one.kind, one.kind.key_parts().join(", "))?;
        }
        field(one, true, to)?;
        if let Some(why) = one.keeps() {
            writeln!(to, "        cannot be cleared: {why}")?;
        }
    }
    Ok(())
}

fn head(system: &System, to: &mut dyn Write) -> io::Result<()> {
    let document = if system.document.is_empty() { String::new() } else { format!(" (document {})", system.document) };
    let product = if system.product == system.name { String::new() } else { format!("{}, ", system.product) };
    writeln!(to, "{}: {product}{}{document}", system.name, system.about)
}

/// What holds for the system as a whole, a sentence a line.
pub fn general(system: &System) -> Vec<String> {
    let mut lines = Vec::new();
    if system.ordered {
        lines.push("the order of its servers is kept".to_owned());
    }
    let (shown, hidden): (Vec<Kind>, Vec<Kind>) = system.kinds.iter().partition(|kind| system.exports(**kind));
    if !system.open && !hidden.is_empty() {
        let names: Vec<&str> = hidden.iter().map(|kind| kind.plural()).collect();
        let rest = if shown.is_empty() { "" } else { "; of the others, what is marked so below" };
        lines.push(format!("unobservable: no export of the product shows {}{rest}", names.join(" and ")));
    }
    match system.clears {
        Clears::Yes => {}
        Clears::No(why) => lines.push(format!("a value without a default cannot be cleared: {why}")),
        Clears::Except(fields) => {
            lines.extend(fields.iter().map(|(field, why)| format!("{field} cannot be cleared: {why}")));
        }
    }
    lines.extend(system.permanent.iter().map(|(name, source)| format!("{name} is never deleted ({source})")));
    for (what, key, rule) in
        [("names", "account_name", &system.accounts.name), ("passwords", "password", &system.accounts.password)]
    {
        if let Some(rule) = rule {
            lines.push(format!("{what} of accounts: {}; `rules: {key}:` in yubin.yaml overrides it", limits(rule)));
        }
    }
    lines
}

fn limits(rule: &TextRule) -> String {
    let TextRule { min, max, chars, edges, letter, digit, not_equal, source, verified, note } = rule;
    let mut parts = vec![format!("{min} to {max} characters of `{chars}`")];
    if !edges.is_empty() {
        parts.push(format!("first and last of `{edges}`"));
    }
    if *letter {
        parts.push("at least one letter".to_owned());
    }
    if *digit {
        parts.push("at least one digit".to_owned());
    }
    if !not_equal.is_empty() {
        parts.push(format!("not the {} itself", not_equal.join(" or the ")));
    }
    let unverified = if *verified { "" } else { ", unverified" };
    format!("{} ({source}{unverified}: {note})", parts.join(", "))
}

/// `marked`: say whether no export shows it.
fn field(one: &Fact, marked: bool, to: &mut dyn Write) -> io::Result<()> {
    let spec = one.spec();
    writeln!(to, "    {}  {}\n        {}", spec.name, spec.label, spec.doc)?;
    writeln!(to, "        {}", sentence(one))?;
    if let Some(rule) = one.rule {
        if !rule.screen.is_empty() {
            writeln!(to, "        screen: {}", rule.screen)?;
        }
        if !rule.quote.is_empty() {
            writeln!(to, "        「{}」", rule.quote)?;
        }
    }
    if marked && one.expressible() && !one.is_ours() && !one.observable() {
        writeln!(to, "        unobservable: no export of the product shows it")?;
    }
    Ok(())
}

fn sentence(one: &Fact) -> String {
    let mut parts = Vec::new();
    if one.expressible() && one.fixed().is_none() {
        parts.push(one.values());
    }
    parts.push(one.need());
    if !one.default().is_empty() {
        parts.push(format!("default {}", one.default()));
    }
    if let Some((other, word)) = one.rule.and_then(|rule| rule.only_when) {
        parts.push(format!("effective only if {other} is {word}"));
    }
    parts.extend(one.exclusions());
    parts.push(one.note().to_owned());
    if !one.expressible() {
        parts.push(format!("systems that can: {}", one.able().join(", ")));
    }
    parts.retain(|part| !part.is_empty());
    let sentence = parts.join("; ");
    match one.rule {
        Some(rule) if rule.verified => format!("{sentence} [{}]", rule.source),
        Some(rule) => format!("{sentence} [{}, unverified]", rule.source),
        None => sentence,
    }
}
