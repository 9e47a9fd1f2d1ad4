//! A plan and its diagnostics as text for a terminal. Everything that stands in a value is made
//! harmless first: a name may not move the cursor.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};
use unicode_width::UnicodeWidthStr;

use super::Lang;
use super::words::Words;

pub use crate::model::harmless;
use crate::model::plan::{Drift, Drifted, LastSet, Partial, Waiting};
use crate::model::{
    Action, Address, Change, Diagnostic, Effect, Field, FieldChange, FieldId, Kind, Origin, Plan, Refusal, Row,
    SecretChange, Severity, Type, Value,
};
use crate::system::System;
use crate::wire::Against;

const ADD: Style = AnsiColor::Green.on_default();
const OVERWRITE: Style = AnsiColor::Yellow.on_default();
const DELETE: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const INFO: Style = AnsiColor::Cyan.on_default().bold();

/// Changes that are written out; what is more is counted.
const SHOWN: usize = 1_000;
/// Users that are named one by one.
const NAMED: usize = 20;
/// In this order.
const COUNTED: [Action; 8] = [
    Action::Add,
    Action::Overwrite,
    Action::Rename,
    Action::Delete,
    Action::Disable,
    Action::Purge,
    Action::Skip,
    Action::Blocked,
];
/// Lines around a change in a text of several lines.
const CONTEXT: usize = 2;

pub struct Report<'a> {
    pub plan: &'a Plan,
    pub system: &'a System,
    pub digest: &'a str,
    pub store: &'a str,
    pub refused: &'a [Refusal],
    /// Write every change out.
    pub all: bool,
    pub lang: Lang,
    pub against: Option<&'a Against>,
    /// How long ago that was, in seconds.
    pub age: Option<u64>,
}

pub(super) fn style(text: impl Display, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// Text and the blanks behind it that make it so wide on a terminal, where kana and kanji take two columns.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A field as people call it, with its name.
pub fn called(spec: &Field, words: &Words) -> String {
    (words.label)(spec).map_or_else(|| spec.name.to_owned(), |label| format!("{label} ({})", spec.name))
}

/// `~ overwrite`, so wide that what follows stands in one column.
fn headed(mark: &str, action: Action, words: &Words) -> String {
    let width = Action::ALL.into_iter().map(|action| (words.action)(action).width()).max().unwrap_or(0);
    format!("{mark} {}", padded((words.action)(action), width))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "\"\"".to_owned(),
        value => harmless(&value.to_string()).into_owned(),
    }
}

/// What loses something comes first.
fn order(action: Action) -> u8 {
    match action {
        Action::Blocked => 0,
        Action::Delete => 1,
        Action::Purge => 2,
        Action::Disable => 3,
        Action::Overwrite => 4,
        Action::Rename => 5,
        Action::Add => 6,
        Action::Skip => 7,
    }
}

pub fn plan(report: &Report<'_>, to: &mut dyn Write) -> io::Result<()> {
    let plan = report.plan;
    let words = report.lang.words();
    let (moves, changes): (Vec<&Change>, Vec<&Change>) = plan.changes.iter().partition(|change| change.only_moves());
    let (sizes, mut changes): (Vec<&Change>, Vec<&Change>) = changes.into_iter().partition(|change| only_size(change));
    changes.sort_by_key(|change| order(change.action));
    let limit = if report.all { usize::MAX } else { SHOWN };
    for change in changes.iter().take(limit) {
        block(plan, change, words, to)?;
    }
    new_order(&moves, words, to)?;
    if !sizes.is_empty() {
        let head = style(headed("~", Action::Overwrite, words), OVERWRITE);
        writeln!(to, "{head} {}\n", style((words.sizes)(sizes.len()), FAINT))?;
    }
    if changes.len() > limit {
        let rest = &changes[limit..];
        let counts: Vec<(usize, Action)> = Action::ALL
            .into_iter()
            .map(|action| (rest.iter().filter(|change| change.action == action).count(), action))
            .filter(|(count, _)| *count > 0)
            .collect();
        writeln!(to, "{}\n", style((words.not_shown)(&counts), FAINT))?;
    }
    if plan.changes.is_empty() {
        writeln!(to, "{}", style(format!("{}{}", words.nothing, words.stop), STRONG))?;
    }
    if let Some(against) = report.against {
        writeln!(to, "{}", style(harmless(&snapshot(against, report.age, words)), WARNING))?;
    }
    if let Some(partial) = &plan.partial {
        writeln!(to, "{} {}", style(words.partial, WARNING), harmless(&restriction(partial, words)))?;
    }
    writeln!(to, "{} {}", style(words.plan, STRONG), tally(plan, words))?;
    effects(plan, words, to)?;
    drift(&plan.drift, words, to)?;
    waiting(&plan.waiting, words, to)?;
    unobservable(plan, report.system, words, to)?;
    refusals(report.refused, report.lang, to)?;
    let place = (words.place)(&plan.project, plan.system, report.store, plan.base.revision);
    writeln!(to, "{}", style(format!("{place}\n{} {}", words.digest, report.digest), FAINT))
}

/// Whether nothing but a counter of the product has moved: it does so every day, and hides what matters.
fn only_size(change: &Change) -> bool {
    const SIZE: FieldId = Kind::Account.id("mailbox_size");
    change.kind == Kind::Account
        && change.action == Action::Overwrite
        && !change.adopted
        && !change.is_restored()
        && change.fields.iter().all(|field| field.field == SIZE)
        && !change.fields.is_empty()
}

/// A new order is one change of the list, however many places it moves.
fn new_order(moves: &[&Change], words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let place = |value: Option<&Value>| if let Some(Value::Int(place)) = value { *place } else { 0 };
    let mut places: Vec<(i64, i64, &str)> = moves
        .iter()
        .map(|change| {
            let field = &change.fields[0];
            (place(field.after.as_ref()), place(field.before.as_deref()), change.key.first())
        })
        .collect();
    places.sort_unstable();
    let places: Vec<String> =
        places.iter().map(|(after, before, name)| format!("{} {before} → {after}", harmless(name))).collect();
    writeln!(
        to,
        "{} {}\n",
        style(headed("~", Action::Overwrite, words), OVERWRITE),
        style(format!("{}{}", words.new_order, places.join(words.comma)), STRONG)
    )
}

/// Why the plan may not be applied.
pub fn refusals(refused: &[Refusal], lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = lang.words();
    refused.iter().try_for_each(|refusal| {
        let message = (words.refusal)(refusal);
        writeln!(to, "{} {}: {}", style(words.refused, ERROR), rule(refusal.rule, words), harmless(&message))
    })
}

/// A rule with what it is called.
fn rule(name: &str, words: &Words) -> String {
    let [open, close] = words.aside;
    (words.rule)(name).map_or_else(|| name.to_owned(), |called| format!("{name}{open}{called}{close}"))
}

/// `3 to add, 1 to delete; 120 unchanged`
pub fn tally(plan: &Plan, words: &Words) -> String {
    let always = |action| matches!(action, Action::Add | Action::Overwrite | Action::Delete);
    let counts: Vec<String> = COUNTED
        .into_iter()
        .map(|action| (action, plan.count(action)))
        .filter(|(action, count)| *count > 0 || always(*action))
        .map(|(action, count)| {
            let text = (words.counted)(count, action);
            if count > 0 { style(text, look(action).1) } else { text }
        })
        .collect();
    (words.tally)(&counts.join(words.comma), plan.unchanged)
}

/// Mark and colour.
fn look(action: Action) -> (&'static str, Style) {
    match action {
        Action::Add => ("+", ADD),
        Action::Overwrite => ("~", OVERWRITE),
        Action::Delete | Action::Purge => ("-", DELETE),
        Action::Disable => ("-", OVERWRITE),
        Action::Rename => (">", OVERWRITE),
        Action::Skip => (".", FAINT),
        Action::Blocked => ("!", ERROR),
    }
}

fn effects(plan: &Plan, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let effects = || plan.changes.iter().filter_map(|change| change.effect(plan));
    let lost = effects().filter(|effect| *effect == Effect::PurgeMail).count();
    if lost > 0 {
        let boxes = (words.mailboxes)(lost);
        writeln!(to, "{} {boxes}: {}", style(words.empties, DELETE), words.mail_in_them)?;
    }
    let users = plan.logged_out();
    if users.is_empty() {
        return Ok(());
    }
    let named: Vec<Cow<'_, str>> = users.iter().take(NAMED).map(|user| harmless(user)).collect();
    let more = users.len().saturating_sub(NAMED);
    let more = if more > 0 { (words.and_more)(more) } else { String::new() };
    let count = (words.users)(users.len());
    writeln!(to, "{} {count}: {}{more}", style(words.logs_out, WARNING), named.join(words.comma))
}

/// What stands for the store.
pub fn snapshot(against: &Against, age: Option<u64>, words: &Words) -> String {
    let mut at = minute(&against.at);
    if let Some(age) = age {
        at.push_str(words.comma);
        at.push_str(&(words.age)(age));
    }
    (words.against)(against.revision, &at, &against.signer)
}

/// A time to the minute.
fn minute(at: &str) -> String {
    at.get(..16).map_or_else(|| at.to_owned(), |at| format!("{} UTC", at.replace('T', " ")))
}

/// `only account/*, without account/info`
pub fn restriction(partial: &Partial, words: &Words) -> String {
    let Partial { targets, excludes } = partial;
    let told = |globs: &[String], told: fn(&str) -> String| (!globs.is_empty()).then(|| told(&globs.join(words.comma)));
    let told = [told(targets, words.only), told(excludes, words.without)];
    told.into_iter().flatten().collect::<Vec<_>>().join(words.comma)
}

/// What other software has changed, a resource at a time, with the fields.
pub fn drifted(drift: &[Drift], words: &Words) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for one in drift {
        let what = match &one.what {
            Drifted::Added => words.drift_added.to_owned(),
            Drifted::Deleted => words.drift_deleted.to_owned(),
            Drifted::Field { field, .. } => called(one.address.kind.field(*field), words),
            Drifted::Column(name) => (*name).to_owned(),
        };
        let address = one.address.to_string();
        match all.last_mut().filter(|(last, _)| *last == address) {
            Some((_, fields)) => {
                fields.push_str(words.comma);
                fields.push_str(&what);
            }
            None => all.push((address, what)),
        }
    }
    all
}

fn drift(drift: &[Drift], words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let all = drifted(drift, words);
    if all.is_empty() {
        return Ok(());
    }
    let count = (words.drifted)(all.len());
    writeln!(to, "{} {count}: {}", style(words.drift, WARNING), some(&all, words))
}

/// When what is disabled is purged, to the minute.
pub fn awaited(waiting: &[Waiting], words: &Words) -> Vec<(String, String)> {
    waiting.iter().map(|one| (one.address.to_string(), (words.from)(&minute(&one.until)))).collect()
}

fn waiting(waiting: &[Waiting], words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let count = (words.waiting_for)(waiting.len());
    writeln!(to, "{} {count}: {}", style(words.waiting, FAINT), some(&awaited(waiting, words), words))
}

/// The first of what is named, each with what is to be said of it.
fn some(all: &[(String, String)], words: &Words) -> String {
    let [open, close] = words.aside;
    let named = all.iter().take(NAMED).map(|(name, what)| format!("{}{open}{what}{close}", harmless(name)));
    let more = all.len().saturating_sub(NAMED);
    let more = if more > 0 { (words.and_more)(more) } else { String::new() };
    format!("{}{more}", named.collect::<Vec<_>>().join(words.comma))
}

/// Of which changed fields no export tells: what the product holds there is never compared.
fn unobservable(plan: &Plan, system: &System, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if system.open || plan.recorded || plan.is_empty() {
        return Ok(());
    }
    if !system.has_hidden() {
        return writeln!(to, "{} {}", style(words.unobservable, FAINT), (words.no_export)(system.product));
    }
    let mut names: Vec<String> = Vec::new();
    for kind in Kind::ALL {
        let mut changed = vec![false; kind.fields().len()];
        for change in plan.changes.iter().filter(|change| change.kind == kind && !change.action.removes()) {
            change.fields.iter().for_each(|field| changed[usize::from(field.field)] = true);
        }
        if !changed.contains(&true) {
            continue;
        }
        if system.exports(kind) {
            let hidden = (0..)
                .zip(kind.fields())
                .zip(changed)
                .filter(|((id, _), changed)| *changed && !system.observes(kind, *id));
            names.extend(hidden.map(|((_, field), _)| called(field, words)));
        } else {
            names.push((words.kinds)(kind).to_owned());
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let message = (words.not_exported)(&names.join(words.comma));
    writeln!(to, "{} {message}", style(words.unobservable, FAINT))
}

fn block(plan: &Plan, change: &Change, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let (mark, colour) = look(change.action);
    let was = previously(change)
        .map_or(String::new(), |was| format!("  {}", style((words.was)(&harmless(&was.to_string())), FAINT)));
    let source = change.source.map_or_else(
        || if plan.note.is_some() { String::new() } else { words.undeclared.to_owned() },
        |source| format!("{}:{}", harmless(plan.file(source)), source.place.line),
    );
    writeln!(
        to,
        "{} {}{was}  {}",
        style(headed(mark, change.action, words), colour),
        style(harmless(&change.address().to_string()), STRONG),
        style(source, FAINT)
    )?;
    if change.followers() > 0 {
        writeln!(to, "    {}", style((words.followers)(change.followers()), FAINT))?;
    }
    if change.is_restored() {
        writeln!(to, "    {}", style(words.restored, WARNING))?;
    }
    if let Some(grace) = change.grace() {
        writeln!(to, "    {}", style((words.grace)(grace), WARNING))?;
    }
    if change.adopted {
        let from = change.taken_from().map(harmless);
        writeln!(to, "    {}", style((words.taken_over)(from.as_deref()), WARNING))?;
    }
    if change.is_forgotten() {
        writeln!(to, "    {}", style(words.forgotten, WARNING))?;
    }
    if let Some(owner) = change.foreign_owner() {
        writeln!(to, "    {}", style((words.belongs)(&harmless(owner)), ERROR))?;
    }
    if let Some(reason) = change.reason() {
        writeln!(to, "    {}", style(harmless(&(words.reason)(reason)), ERROR))?;
    }
    if change.action == Action::Skip {
        writeln!(to, "    {}", style(words.left_alone, FAINT))?;
    }
    let names: Vec<String> = change.fields.iter().map(|field| called(change.kind.field(field.field), words)).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    for (field, name) in change.fields.iter().zip(&names) {
        field_line(change, field, &padded(name, width), words, to)?;
    }
    match change.effect(plan) {
        Some(Effect::Logout(user)) => {
            writeln!(to, "    {}", style((words.user_out)(&harmless(user)), FAINT))?;
        }
        Some(Effect::PurgeMail) => {
            let size = change.fields.iter().find(|field| change.kind.field(field.field).name == "mailbox_size");
            let size = size.and_then(|field| field.before.as_deref()).map(shown);
            let message = (words.mail_lost)(size.as_deref(), change.action.removes());
            writeln!(to, "    {}", style(message, DELETE))?;
        }
        Some(Effect::Kick) => writeln!(to, "    {}", style(words.kicked, FAINT))?,
        None => {}
    }
    writeln!(to)
}

fn field_line(change: &Change, field: &FieldChange, name: &str, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let spec = change.kind.field(field.field);
    if spec.is_secret() {
        return writeln!(to, "    {name}  {}", style(secret(change, field, words), FAINT));
    }
    if matches!(spec.ty, Type::Multiline) && !change.action.removes() {
        let text = |value: Option<&Value>| value.and_then(Value::text).unwrap_or_default().to_owned();
        let (before, after) = (text(field.before.as_deref()), text(field.after.as_ref()));
        if before.contains('\n') || after.contains('\n') {
            writeln!(to, "    {}", name.trim_end())?;
            return lines(&before, &after, to);
        }
    }
    let side = |value: Option<&Value>| value.map(shown);
    let origin = origin(field, words).map_or(String::new(), |origin| style(format!("  {origin}"), FAINT));
    match (change.action, side(field.before.as_deref()), side(field.after.as_ref())) {
        (Action::Add, _, Some(after)) => writeln!(to, "    {name}  {}{origin}", style(after, ADD)),
        (Action::Delete | Action::Purge, Some(before), _) => writeln!(to, "    {name}  {}", style(before, FAINT)),
        (_, before, after) => {
            let side = |side: Option<String>| side.unwrap_or_else(|| words.none.to_owned());
            writeln!(to, "    {name}  {} → {}{origin}", style(side(before), DELETE), style(side(after), ADD))
        }
    }
}

/// How a resource that is renamed is called so far.
pub fn previously(change: &Change) -> Option<Address> {
    change.previously().map(|key| Address::new(change.kind, key.clone()))
}

/// How a secret changes, and since when it has been what it is.
pub fn secret(change: &Change, field: &FieldChange, words: &Words) -> String {
    let word = (words.secret_change)((!change.action.removes()).then(|| field.secret()));
    let since = change.last_set(field.field).map_or(String::new(), |LastSet { revision, at, .. }| {
        (words.last_set)(*revision, at.split('T').next().unwrap_or_default())
    });
    format!("{}{word}{since}", words.secret)
}

/// Where a value comes from that nobody has written.
pub fn origin(field: &FieldChange, words: &Words) -> Option<&'static str> {
    match field.origin {
        Origin::Default => Some(words.default),
        Origin::Server => Some(words.from_server),
        Origin::Written => None,
    }
}

/// A text of several lines as the lines that change, with some around them.
fn lines(before: &str, after: &str, to: &mut dyn Write) -> io::Result<()> {
    let diff = TextDiff::configure().timeout(std::time::Duration::from_millis(200)).diff_lines(before, after);
    for (at, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if at > 0 {
            writeln!(to, "      {}", style("⋮", FAINT))?;
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (mark, colour) = match change.tag() {
                ChangeTag::Delete => ("-", DELETE),
                ChangeTag::Insert => ("+", ADD),
                ChangeTag::Equal => (" ", FAINT),
            };
            let line = change.value().trim_end_matches(['\n', '\r']);
            writeln!(to, "      {}", style(format!("{mark} {}", harmless(line)), colour))?;
        }
    }
    Ok(())
}

/// What other software has changed, a field a line.
pub fn drift_in_full(drift: &[Drift], lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = lang.words();
    let mut last = None;
    for one in drift {
        if last != Some(&one.address) {
            let what = match one.what {
                Drifted::Added => words.drift_added,
                Drifted::Deleted => words.drift_deleted,
                Drifted::Field { .. } | Drifted::Column(_) => "",
            };
            writeln!(to, "{}  {}", style(harmless(&one.address.to_string()), STRONG), style(what, WARNING))?;
        }
        last = Some(&one.address);
        match &one.what {
            Drifted::Field { field, before, after } => {
                let spec = one.address.kind.field(*field);
                let name = called(spec, words);
                if spec.is_secret() {
                    let change = match (before, after) {
                        (None, _) => SecretChange::Set,
                        (_, None) => SecretChange::Cleared,
                        _ => SecretChange::Changed,
                    };
                    writeln!(to, "    {name}  {} {}", words.secret, (words.secret_change)(Some(change)))?;
                } else {
                    let side = |value: Option<&Value>| value.map_or(words.none.to_owned(), shown);
                    let (before, after) = (side(before.as_deref()), side(after.as_ref()));
                    writeln!(to, "    {name}  {} → {}", style(before, DELETE), style(after, ADD))?;
                }
            }
            Drifted::Column(name) => writeln!(to, "    {name}")?,
            Drifted::Added | Drifted::Deleted => {}
        }
    }
    Ok(())
}

pub fn diagnostic(diagnostic: &Diagnostic, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let Diagnostic { severity, code, message, hint, file, line, column, address, field: _ } = diagnostic;
    let colour = match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
        Severity::Info => INFO,
    };
    let words = lang.words();
    let head = style(format!("{}[{code}]", (words.severity)(*severity)), colour);
    match (words.meaning)(code) {
        Some(meaning) => writeln!(to, "{head}: {meaning}\n  {}", harmless(message))?,
        None => writeln!(to, "{head}: {}", harmless(message))?,
    }
    if let Some(file) = file {
        let place = if *line > 0 { format!("{}:{line}:{column}", harmless(file)) } else { harmless(file).into_owned() };
        let address = address.as_ref().map_or(String::new(), |address| format!("  {}", harmless(&address.to_string())));
        writeln!(to, "  {} {place}{}", style("-->", FAINT), style(address, FAINT))?;
    }
    if let Some(hint) = hint {
        writeln!(to, "  {} {}", style(words.help, INFO), harmless(hint))?;
    }
    Ok(())
}

/// `1 file`, `2 files`
pub fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `2 errors, 1 warning`; empty if there is nothing.
pub fn count(errors: usize, warnings: usize, lang: Lang) -> String {
    let words = lang.words();
    let one = |count: usize, told: fn(usize) -> String| (count > 0).then(|| told(count));
    let counts = [one(errors, words.errors), one(warnings, words.warnings)];
    counts.into_iter().flatten().collect::<Vec<_>>().join(words.comma)
}

/// A resource as the store holds it.
pub fn row(system: &System, kind: Kind, row: &Row, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = lang.words();
    let address = Address::new(kind, row.key.clone()).to_string();
    let owner = (words.owner)(row.owner.as_deref().map(harmless).as_deref());
    writeln!(
        to,
        "{}  {}",
        style(harmless(&address), STRONG),
        style(format!("{owner}{}{}", words.comma, (words.revision)(row.revision)), FAINT)
    )?;
    if let Some(revision) = row.disabled {
        writeln!(to, "    {}", style((words.disabled)(revision), WARNING))?;
    }
    let names: Vec<String> = row.cells.iter().map(|cell| called(kind.field(cell.field), words)).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let hides = system.has_hidden();
    for (cell, name) in row.cells.iter().zip(&names) {
        let hidden = hides && !system.observes(kind, cell.field);
        let mark = if hidden { style(format!("  ({})", words.hidden), FAINT) } else { String::new() };
        writeln!(to, "    {}  {}{mark}", padded(name, width), shown(&cell.value))?;
    }
    writeln!(to)
}

/// What is said once under all resources of a product that has no export.
pub fn no_export(system: &System, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    if system.open || system.has_hidden() {
        return Ok(());
    }
    writeln!(to, "{}", style((lang.words().never_exported)(system.product), FAINT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Grace;
    use crate::model::{Key, Special};

    fn change(action: Action, name: &str, special: Special) -> Change {
        let change = Change::new(action, Kind::Account, Key::single(name), None, Vec::new());
        Change { special: special.boxed(), ..change }
    }

    fn told(plan: &Plan, lang: Lang) -> String {
        let system = System::find("generic").unwrap();
        let report =
            Report { plan, system, digest: "d", store: "s", refused: &[], all: false, lang, against: None, age: None };
        let mut text = Vec::new();
        super::plan(&report, &mut text).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(text).unwrap()).to_string()
    }

    /// Everything that is rarer than an add.
    fn rare() -> Plan {
        let renamed = Special { previously: Some(Key::single("old")), followers: 3, ..Special::default() };
        let address = |name: &str| Address::new(Kind::Account, Key::single(name));
        let field = |name| Drifted::Field { field: Kind::Account.id(name), before: None, after: None };
        let mut plan = Plan {
            project: "p".to_owned(),
            system: "generic",
            note: Some("a note".to_owned()),
            changes: vec![
                change(Action::Rename, "new", renamed),
                change(
                    Action::Disable,
                    "gone",
                    Special { grace: Some(Grace::parse("14d").unwrap()), ..Special::default() },
                ),
                change(Action::Purge, "past", Special::default()),
                change(Action::Overwrite, "back", Special { restored: true, ..Special::default() }),
            ],
            drift: vec![
                Drift { address: address("a"), what: field("comment") },
                Drift { address: address("a"), what: field("capacity") },
                Drift { address: address("b"), what: Drifted::Deleted },
            ],
            waiting: vec![Waiting { address: address("w"), revision: 3, until: "2026-12-06T05:13:00Z".to_owned() }],
            partial: Some(Partial {
                targets: vec!["account/*".to_owned()],
                excludes: vec!["account/x".to_owned(), "server/*".to_owned()],
            }),
            ..Plan::default()
        };
        plan.settle();
        plan
    }

    #[test]
    fn what_is_rare_in_a_plan_as_text() {
        let english = "\
- purge     account/past  \n
- disable   account/gone  \n    is purged after 14d, unless it is declared again

~ overwrite account/back  \n    was disabled and comes back

> rename    account/new  (was account/old)  \n    3 resources that refer to it follow

Partial plan: only account/*, without account/x, server/*
Plan: 0 to add, 1 to overwrite, 1 to rename, 0 to delete, 1 to disable, 1 to purge; 0 unchanged
Drift 2 resources changed by other software: account/a (comment, capacity), account/b (deleted)
Disabled 1 resource that can still be brought back: account/w (until 2026-12-06 05:13 UTC)
p (generic) on s at revision 0
digest d
";
        assert_eq!(told(&rare(), Lang::En), english);
        let japanese = "\
- 完全削除 account/past  \n
- 無効化   account/gone  \n    14 日以内に宣言し直せば元に戻り、過ぎると完全に削除されます

~ 上書き   account/back  \n    無効化されていましたが、元に戻ります

> 名前変更 account/new  （旧 account/old）  \n    参照しているリソース 3 件も新しい名前に付け替わります

部分的な計画: 対象は account/* のみ、account/x、server/* を除く
計画: 追加 0 件、上書き 1 件、名前変更 1 件、削除 0 件、無効化 1 件、完全削除 1 件（変更なし 0 件）
差異 ほかのソフトウェアが変更したリソース 2 件: account/a（コメント (comment)、設定容量 (capacity)）、account/b（削除）
無効化中 まだ元に戻せるリソース 1 件: account/w（期限 2026-12-06 05:13 UTC）
プロジェクト p (generic)、ストア s、リビジョン 0
ダイジェスト d
";
        assert_eq!(told(&rare(), Lang::Ja), japanese);
    }

    #[test]
    fn the_actions_of_a_tally_are_all_there_are() {
        for action in Action::ALL {
            assert!(COUNTED.contains(&action));
        }
    }

    #[test]
    fn kana_and_kanji_take_two_columns() {
        assert_eq!(padded("ab", 4), "ab  ");
        assert_eq!(padded("追加", 6), "追加  ");
        assert_eq!(padded("受信サーバ名", 4), "受信サーバ名");
    }
}
