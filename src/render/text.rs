//! A plan and its diagnostics as text for a terminal. Everything that stands in a value is made
//! harmless first: a name may not move the cursor.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

pub use crate::model::harmless;
use crate::model::plan::LastSet;
use crate::model::{
    Action, Change, Diagnostic, Drift, Drifted, Effect, FieldChange, FieldId, Kind, Origin, Plan, Refusal, Row,
    Severity, Type, Value,
};
use crate::system::System;

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
}

fn style(text: impl Display, style: Style) -> String {
    format!("{style}{text}{style:#}")
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
    let (moves, changes): (Vec<&Change>, Vec<&Change>) = plan.changes.iter().partition(|change| change.only_moves());
    let (sizes, mut changes): (Vec<&Change>, Vec<&Change>) = changes.into_iter().partition(|change| only_size(change));
    changes.sort_by_key(|change| order(change.action));
    let limit = if report.all { usize::MAX } else { SHOWN };
    for change in changes.iter().take(limit) {
        block(plan, change, to)?;
    }
    new_order(&moves, to)?;
    if !sizes.is_empty() {
        let noun = if sizes.len() == 1 { "account" } else { "accounts" };
        let note = format!("how much of the mailbox is used, of {} {noun}", sizes.len());
        writeln!(to, "{} {}\n", style(format!("~ {:<9}", "overwrite"), OVERWRITE), style(note, FAINT))?;
    }
    if changes.len() > limit {
        let rest = &changes[limit..];
        let counts: Vec<String> = Action::ALL
            .into_iter()
            .map(|action| (action, rest.iter().filter(|change| change.action == action).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(action, count)| format!("{count} {}", action.name()))
            .collect();
        writeln!(
            to,
            "{}\n",
            style(format!("… and {} more, not written out (-v writes all)", counts.join(", ")), FAINT)
        )?;
    }
    let place = format!("{} ({}) on {} at revision {}", plan.project, plan.system, report.store, plan.base.revision);
    if plan.changes.is_empty() {
        writeln!(to, "{}", style("Nothing to change.", STRONG))?;
    }
    writeln!(to, "{} {}", style("Plan:", STRONG), tally(plan))?;
    effects(plan, to)?;
    unobservable(plan, report.system, to)?;
    refusals(report.refused, to)?;
    writeln!(to, "{}", style(format!("{place}\ndigest {}", report.digest), FAINT))
}

/// Whether nothing but a counter of the product has moved: it does so every day, and hides what matters.
fn only_size(change: &Change) -> bool {
    const SIZE: FieldId = Kind::Account.id("mailbox_size");
    change.kind == Kind::Account
        && change.action == Action::Overwrite
        && !change.adopted
        && change.fields.iter().all(|field| field.field == SIZE)
        && !change.fields.is_empty()
}

/// A new order is one change of the list, however many places it moves.
fn new_order(moves: &[&Change], to: &mut dyn Write) -> io::Result<()> {
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
        style(format!("~ {:<9}", "overwrite"), OVERWRITE),
        style(format!("position of servers in the list: {}", places.join(", ")), STRONG)
    )
}

/// Why the plan may not be applied.
pub fn refusals(refused: &[Refusal], to: &mut dyn Write) -> io::Result<()> {
    refused.iter().try_for_each(|refusal| {
        writeln!(to, "{} {}: {}", style("Refused:", ERROR), refusal.rule, harmless(&refusal.why.to_string()))
    })
}

/// `3 to add, 1 to delete; 120 unchanged`
pub fn tally(plan: &Plan) -> String {
    let words = [
        (Action::Add, "to add", ADD),
        (Action::Overwrite, "to overwrite", OVERWRITE),
        (Action::Delete, "to delete", DELETE),
        (Action::Skip, "skipped", FAINT),
        (Action::Blocked, "blocked", ERROR),
    ];
    let always = |action| matches!(action, Action::Add | Action::Overwrite | Action::Delete);
    let counts: Vec<String> = words
        .into_iter()
        .map(|(action, word, colour)| (action, plan.count(action), word, colour))
        .filter(|(action, count, ..)| *count > 0 || always(*action))
        .map(|(_, count, word, colour)| {
            let text = format!("{count} {word}");
            if count > 0 { style(text, colour) } else { text }
        })
        .collect();
    format!("{}; {} unchanged", counts.join(", "), plan.unchanged)
}

fn effects(plan: &Plan, to: &mut dyn Write) -> io::Result<()> {
    let effects = || plan.changes.iter().filter_map(|change| change.effect(plan));
    let lost = effects().filter(|effect| *effect == Effect::PurgeMail).count();
    if lost > 0 {
        let noun = if lost == 1 { "mailbox" } else { "mailboxes" };
        writeln!(to, "{} {lost} {noun}: all mail in them is lost for good", style("Empties", DELETE))?;
    }
    let mut users: Vec<&str> = effects()
        .filter_map(|effect| match effect {
            Effect::Logout(user) => Some(user),
            Effect::PurgeMail => None,
        })
        .collect();
    users.sort_unstable();
    users.dedup();
    if users.is_empty() {
        return Ok(());
    }
    let named: Vec<Cow<'_, str>> = users.iter().take(NAMED).map(|user| harmless(user)).collect();
    let more = users.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let noun = if users.len() == 1 { "user" } else { "users" };
    writeln!(to, "{} {} {noun}: {}{more}", style("Logs out", WARNING), users.len(), named.join(", "))
}

/// Of which changed fields no export tells: what the product holds there is never compared.
fn unobservable(plan: &Plan, system: &System, to: &mut dyn Write) -> io::Result<()> {
    if system.open || plan.recorded || plan.is_empty() {
        return Ok(());
    }
    if !system.has_hidden() {
        let message = format!("everything: {} has no export, so drift there is not seen", system.product);
        return writeln!(to, "{} {message}", style("Unobservable", FAINT));
    }
    let mut names: Vec<&str> = Vec::new();
    for kind in Kind::ALL {
        let mut changed = vec![false; kind.fields().len()];
        for change in plan.changes.iter().filter(|change| change.kind == kind && change.action != Action::Delete) {
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
            names.extend(hidden.map(|((_, field), _)| field.name));
        } else {
            names.push(kind.plural());
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("{}: no export of the product shows them, so drift there is not seen", names.join(", "));
    writeln!(to, "{} {message}", style("Unobservable", FAINT))
}

fn block(plan: &Plan, change: &Change, to: &mut dyn Write) -> io::Result<()> {
    let (mark, colour) = match change.action {
        Action::Add => ("+", ADD),
        Action::Overwrite => ("~", OVERWRITE),
        Action::Delete | Action::Purge | Action::Disable => ("-", DELETE),
        Action::Rename => (">", OVERWRITE),
        Action::Skip => (".", FAINT),
        Action::Blocked => ("!", ERROR),
    };
    let source = change.source.map_or_else(
        || if plan.note.is_some() { String::new() } else { "no longer declared".to_owned() },
        |source| format!("{}:{}", harmless(plan.file(source)), source.place.line),
    );
    writeln!(
        to,
        "{} {}  {}",
        style(format!("{mark} {:<9}", change.action.name()), colour),
        style(harmless(&change.address().to_string()), STRONG),
        style(source, FAINT)
    )?;
    if change.adopted {
        let from = change
            .taken_from()
            .map_or("has no owner so far".to_owned(), |from| format!("belongs to {}", harmless(from)));
        writeln!(to, "    {}", style(format!("{from} and is taken over"), WARNING))?;
    }
    if change.is_forgotten() {
        writeln!(to, "    {}", style("stays as it is, and nobody owns it any more", WARNING))?;
    }
    if let Some(owner) = change.foreign_owner() {
        writeln!(to, "    {}", style(format!("belongs to {}", harmless(owner)), ERROR))?;
    }
    if let Some(reason) = change.reason() {
        writeln!(to, "    {}", style(harmless(reason), ERROR))?;
    }
    if change.action == Action::Skip {
        writeln!(to, "    {}", style("exists and differs; `existing: skip` leaves it", FAINT))?;
    }
    let width = change.fields.iter().map(|field| change.kind.field(field.field).name.len()).max().unwrap_or(0);
    for field in &change.fields {
        field_line(change, field, width, to)?;
    }
    match change.effect(plan) {
        Some(Effect::Logout(user)) => {
            writeln!(to, "    {}", style(format!("logs out {}", harmless(user)), FAINT))?;
        }
        Some(Effect::PurgeMail) => {
            let settings = if change.action == Action::Delete { " and all its settings" } else { "" };
            let size = change.fields.iter().find(|field| change.kind.field(field.field).name == "mailbox_size");
            let size = size.and_then(|field| field.before.as_deref()).map(|value| format!(" ({})", shown(value)));
            let size = size.unwrap_or_default();
            let message = format!("all mail of the account{size}{settings} is lost for good");
            writeln!(to, "    {}", style(message, DELETE))?;
        }
        None => {}
    }
    writeln!(to)
}

fn field_line(change: &Change, field: &FieldChange, width: usize, to: &mut dyn Write) -> io::Result<()> {
    let spec = change.kind.field(field.field);
    let name = format!("    {:<width$}  ", spec.name);
    if spec.is_secret() {
        let word = if change.action == Action::Delete { "lost" } else { field.secret().name() };
        let since = change.last_set(field.field).map_or(String::new(), |LastSet { revision, at, .. }| {
            let day = at.split('T').next().unwrap_or_default();
            format!(" (last set in revision {revision}, {day})")
        });
        return writeln!(to, "{name}{}", style(format!("(secret) {word}{since}"), FAINT));
    }
    if matches!(spec.ty, Type::Multiline) && change.action != Action::Delete {
        let text = |value: Option<&Value>| value.and_then(Value::text).unwrap_or_default().to_owned();
        let (before, after) = (text(field.before.as_deref()), text(field.after.as_ref()));
        if before.contains('\n') || after.contains('\n') {
            writeln!(to, "    {}", spec.name)?;
            return lines(&before, &after, to);
        }
    }
    let side = |value: Option<&Value>| value.map(shown);
    let origin = match field.origin {
        Origin::Default => style("  (default)", FAINT),
        Origin::Server => style("  (from the server)", FAINT),
        Origin::Written => String::new(),
    };
    match (change.action, side(field.before.as_deref()), side(field.after.as_ref())) {
        (Action::Add, _, Some(after)) => writeln!(to, "{name}{}{origin}", style(after, ADD)),
        (Action::Delete, Some(before), _) => writeln!(to, "{name}{}", style(before, FAINT)),
        (_, before, after) => {
            let side = |side: Option<String>| side.unwrap_or_else(|| "(none)".to_owned());
            writeln!(to, "{name}{} → {}{origin}", style(side(before), DELETE), style(side(after), ADD))
        }
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

/// What other software has changed.
pub fn drift(drift: &[Drift], to: &mut dyn Write) -> io::Result<()> {
    let mut last = None;
    for one in drift {
        if last != Some(&one.address) {
            let what = match one.what {
                Drifted::Added => "  added by other software",
                Drifted::Deleted => "  deleted by other software",
                Drifted::Field { .. } | Drifted::Column(_) => "",
            };
            writeln!(to, "{}{}", style(harmless(&one.address.to_string()), STRONG), style(what, WARNING))?;
        }
        last = Some(&one.address);
        match &one.what {
            Drifted::Field { field, before, after } => {
                let spec = one.address.kind.field(*field);
                if spec.is_secret() {
                    let word = match (before, after) {
                        (None, _) => "set",
                        (_, None) => "cleared",
                        _ => "changed",
                    };
                    writeln!(to, "    {}  (secret) {word}", spec.name)?;
                } else {
                    let side = |value: Option<&Value>| value.map_or("(none)".to_owned(), shown);
                    let (before, after) = (side(before.as_deref()), side(after.as_ref()));
                    writeln!(to, "    {}  {} → {}", spec.name, style(before, DELETE), style(after, ADD))?;
                }
            }
            Drifted::Column(name) => writeln!(to, "    {name}  (a column of yubin's own)")?,
            Drifted::Added | Drifted::Deleted => {}
        }
    }
    Ok(())
}

pub fn diagnostic(diagnostic: &Diagnostic, to: &mut dyn Write) -> io::Result<()> {
    let Diagnostic { severity, code, message, hint, file, line, column, address, field: _ } = diagnostic;
    let colour = match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
        Severity::Info => INFO,
    };
    writeln!(to, "{}: {}", style(format!("{}[{code}]", severity.name()), colour), harmless(message))?;
    if let Some(file) = file {
        let place = if *line > 0 { format!("{}:{line}:{column}", harmless(file)) } else { harmless(file).into_owned() };
        let address = address.as_ref().map_or(String::new(), |address| format!("  {}", harmless(&address.to_string())));
        writeln!(to, "  {} {place}{}", style("-->", FAINT), style(address, FAINT))?;
    }
    if let Some(hint) = hint {
        writeln!(to, "  {} {}", style("help:", INFO), harmless(hint))?;
    }
    Ok(())
}

/// `1 file`, `2 files`
pub fn number(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `2 errors, 1 warning`; empty if there is nothing.
pub fn count(errors: usize, warnings: usize) -> String {
    let one = |count: usize, noun: &str| (count > 0).then(|| number(count, noun));
    [one(errors, "error"), one(warnings, "warning")].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A resource as the store holds it.
pub fn row(system: &System, kind: Kind, row: &Row, to: &mut dyn Write) -> io::Result<()> {
    let address = crate::model::Address::new(kind, row.key.clone()).to_string();
    let owner = row.owner.as_deref().map_or("no owner".to_owned(), |owner| format!("owner {}", harmless(owner)));
    writeln!(
        to,
        "{}  {}",
        style(harmless(&address), STRONG),
        style(format!("{owner}, revision {}", row.revision), FAINT)
    )?;
    let width = row.cells.iter().map(|cell| kind.field(cell.field).name.len()).max().unwrap_or(0);
    let hides = system.has_hidden();
    for cell in &row.cells {
        let hidden = hides && !system.observes(kind, cell.field);
        let mark = if hidden { style("  (unobservable)", FAINT) } else { String::new() };
        writeln!(to, "    {:<width$}  {}{mark}", kind.field(cell.field).name, shown(&cell.value))?;
    }
    writeln!(to)
}

/// What is said once under all resources of a product that has no export.
pub fn no_export(system: &System, to: &mut dyn Write) -> io::Result<()> {
    if system.open || system.has_hidden() {
        return Ok(());
    }
    writeln!(to, "{}", style(format!("(unobservable: {} has no export)", system.product), FAINT))
}
