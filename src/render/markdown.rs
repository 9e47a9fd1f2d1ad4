//! A plan as Markdown, for a comment on a pull request. What loses something stands first, and what
//! does not fit is counted, never dropped in silence.

use std::fmt::Write as _;

use similar::TextDiff;

use super::text::{self, Report, harmless};
use crate::model::{Action, Change, Diagnostic, Effect, FieldChange, Origin, Type, Value};

/// What GitHub takes in a comment, in bytes.
pub const BUDGET: usize = 65_536;
/// What is kept for the lines that say how much was left out, and what closes the page.
const RESERVE: usize = 1_024;

/// Text that is put together up to a size.
struct Page {
    text: String,
    budget: usize,
}

impl Page {
    /// Adds all of it, or nothing.
    fn add(&mut self, piece: &str) -> bool {
        let fits = self.text.len() + piece.len() <= self.budget;
        if fits {
            self.text.push_str(piece);
        }
        fits
    }
}

/// The plan and what is to be said about it, in at most so many bytes.
pub fn plan(report: &Report<'_>, diagnostics: &[Diagnostic], budget: usize) -> String {
    let plan = report.plan;
    let mut page = Page { text: String::new(), budget: budget.saturating_sub(RESERVE) };
    // Writing to a string cannot fail, here and below.
    let mut head = String::new();
    let place = format!("{} ({}) on {} at revision {}", plan.project, plan.system, report.store, plan.base.revision);
    let _ = writeln!(
        head,
        "### {}\n",
        if plan.changes.is_empty() { "Nothing to change".to_owned() } else { plain_tally(report) }
    );
    for refusal in report.refused {
        let _ = writeln!(head, "> **Refused:** {}: {}\n", code(refusal.rule), prose(&refusal.why.to_string()));
    }
    page.add(&head);
    effects(report, &mut page);
    for (action, title) in [
        (Action::Blocked, "Blocked"),
        (Action::Delete, "Deletes"),
        (Action::Purge, "Purges"),
        (Action::Disable, "Disables"),
        (Action::Overwrite, "Overwrites"),
        (Action::Rename, "Renames"),
        (Action::Add, "Adds"),
        (Action::Skip, "Skipped"),
    ] {
        let changes: Vec<&Change> = plan.changes.iter().filter(|change| change.action == action).collect();
        section(report, title, &changes, &mut page);
        if action == Action::Overwrite {
            // Behind what loses something, and before what may be long.
            let told: Vec<String> = diagnostics.iter().map(said).collect();
            list(&mut page, "message", told.iter().map(String::as_str));
        }
    }
    page.budget = budget;
    page.add(&format!("{}  \ndigest {}\n", prose(&place), code(report.digest)));
    page.text
}

/// What is wrong with the input, in at most so many bytes.
pub fn invalid(diagnostics: &[Diagnostic], budget: usize) -> String {
    let mut page = Page {
        text: "### The input is invalid; nothing is planned\n\n".to_owned(),
        budget: budget.saturating_sub(RESERVE),
    };
    let told: Vec<String> = diagnostics.iter().map(said).collect();
    list(&mut page, "message", told.iter().map(String::as_str));
    page.text
}

/// `2 to overwrite, 1 to delete; 120 unchanged`
fn plain_tally(report: &Report<'_>) -> String {
    anstream::adapter::strip_str(&text::tally(report.plan)).to_string()
}

fn said(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, code: name, message, hint, file, line, .. } = diagnostic;
    let place = file.as_ref().map_or(String::new(), |file| format!(" {}", code(&format!("{file}:{line}"))));
    let hint = hint.as_ref().map_or(String::new(), |hint| format!(" ({})", prose(hint)));
    format!("- **{}** {}{place}: {}{hint}\n", severity.name(), code(name), prose(message))
}

/// Lines, as many as fit, and how many did not.
fn list<'l>(page: &mut Page, noun: &str, lines: impl Iterator<Item = &'l str>) {
    let (mut written, mut left) = (false, 0);
    for line in lines {
        // Once one has not fitted, those behind it are left out too: the order says what matters.
        if left == 0 && page.add(line) {
            written = true;
        } else {
            left += 1;
        }
    }
    more(page, left, noun);
    if written || left > 0 {
        page.text.push('\n');
    }
}

/// Says what did not fit; there is room for that.
fn more(page: &mut Page, left: usize, noun: &str) {
    if left > 0 {
        let _ = writeln!(page.text, "- … and {}, left out here", text::number(left, &format!("more {noun}")));
    }
}

fn effects(report: &Report<'_>, page: &mut Page) {
    /// Users that are named one by one.
    const NAMED: usize = 50;
    let plan = report.plan;
    let all = || plan.changes.iter().filter_map(|change| change.effect(plan));
    let lost = all().filter(|effect| *effect == Effect::PurgeMail).count();
    if lost > 0 {
        let boxes = if lost == 1 { "1 mailbox" } else { &format!("{lost} mailboxes") };
        page.add(&format!("**Empties {boxes}**: all mail in them is lost for good.\n\n"));
    }
    let mut users: Vec<&str> =
        all().filter_map(|effect| if let Effect::Logout(user) = effect { Some(user) } else { None }).collect();
    users.sort_unstable();
    users.dedup();
    if users.is_empty() {
        return;
    }
    let named: Vec<String> = users.iter().take(NAMED).map(|user| code(user)).collect();
    let rest = users.len().saturating_sub(NAMED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    page.add(&format!("**Logs out {}**: {}{rest}\n\n", text::number(users.len(), "user"), named.join(", ")));
}

fn section(report: &Report<'_>, title: &str, changes: &[&Change], page: &mut Page) {
    let Some(first) = changes.first() else { return };
    let folded = matches!(first.action, Action::Add | Action::Skip);
    let noun = match first.action {
        Action::Delete => "delete",
        Action::Overwrite => "overwrite",
        Action::Add => "add",
        Action::Rename => "rename",
        Action::Disable => "disable",
        Action::Purge => "purge",
        Action::Skip | Action::Blocked => "resource",
    };
    let head = format!("{title} ({})", changes.len());
    let (open, close) = if folded {
        (format!("<details><summary>{head}</summary>\n\n"), "</details>\n\n")
    } else {
        (format!("#### {head}\n\n"), "")
    };
    if !page.add(&open) {
        more(page, changes.len(), noun);
        page.text.push('\n');
        return;
    }
    // What does not fit with its fields may fit without them.
    let full: Vec<String> = changes.iter().map(|change| block(report, change, true)).collect();
    if page.text.len() + full.iter().map(String::len).sum::<usize>() <= page.budget {
        page.text.extend(full);
        page.text.push('\n');
    } else {
        let short: Vec<String> = changes.iter().map(|change| block(report, change, false)).collect();
        list(page, noun, short.iter().map(String::as_str));
    }
    page.text.push_str(close);
}

fn block(report: &Report<'_>, change: &Change, fields: bool) -> String {
    let plan = report.plan;
    let source = change.source.map_or_else(
        || if plan.note.is_some() { String::new() } else { " no longer declared".to_owned() },
        |source| format!(" {}", code(&format!("{}:{}", plan.file(source), source.place.line))),
    );
    let mut text = format!("- **{}**{source}", code(&change.address().to_string()));
    if change.adopted {
        let from =
            change.taken_from().map_or("has no owner so far".to_owned(), |from| format!("belongs to {}", prose(from)));
        let _ = write!(text, "; {from} and is taken over");
    }
    if let Some(owner) = change.foreign_owner() {
        let _ = write!(text, "; **belongs to {}**", prose(owner));
    }
    if let Some(reason) = change.reason() {
        let _ = write!(text, "; {}", prose(reason));
    }
    match change.effect(plan) {
        Some(Effect::Logout(user)) => {
            let _ = write!(text, "; logs out {}", code(user));
        }
        Some(Effect::PurgeMail) => text.push_str("; **all mail of it is lost for good**"),
        None => {}
    }
    text.push('\n');
    // Of a delete, its address says what is lost; of what is left alone, nothing changes.
    if fields && matches!(change.action, Action::Overwrite | Action::Add | Action::Blocked) {
        for field in &change.fields {
            text.push_str(&line(change, field));
        }
    }
    text
}

fn line(change: &Change, field: &FieldChange) -> String {
    let spec = change.kind.field(field.field);
    let name = code(spec.name);
    if spec.is_secret() {
        let since = change.last_set(field.field).map_or(String::new(), |last| {
            format!(" (last set in revision {}, {})", last.revision, last.at.split('T').next().unwrap_or_default())
        });
        return format!("  - {name} (secret) {}{since}\n", field.secret().name());
    }
    let of = |value: Option<&Value>| value.and_then(Value::text).unwrap_or_default().to_owned();
    let (before, after) = (of(field.before.as_deref()), of(field.after.as_ref()));
    if matches!(spec.ty, Type::Multiline) && (before.contains('\n') || after.contains('\n')) {
        return lines(&name, &before, &after);
    }
    let shown = |value: Option<&Value>| match value {
        None => "(none)".to_owned(),
        Some(value) => code(&value.to_string()),
    };
    let after = shown(field.after.as_ref());
    let origin = match field.origin {
        Origin::Default => " (default)",
        Origin::Server => " (from the server)",
        Origin::Written => "",
    };
    if change.action == Action::Add {
        format!("  - {name} {after}{origin}\n")
    } else {
        format!("  - {name} {} → {after}{origin}\n", shown(field.before.as_deref()))
    }
}

/// A text of several lines, as its diff.
fn lines(name: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::configure().timeout(std::time::Duration::from_millis(200)).diff_lines(before, after);
    let diff = diff.unified_diff().context_radius(2).missing_newline_hint(false).to_string();
    let diff = harmless_lines(&diff);
    // A fence is longer than any that stands inside.
    let fence = "`".repeat(longest_run(&diff).max(2) + 1);
    let mut text = format!("  - {name}\n\n");
    for line in std::iter::once(format!("{fence}diff")).chain(diff.lines().map(str::to_owned)).chain([fence.clone()]) {
        let _ = writeln!(text, "    {line}");
    }
    text.push('\n');
    text
}

fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).fold(String::new(), |mut all, line| {
        all.push_str(&line);
        all.push('\n');
        all
    })
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text as it is, between backticks that it cannot end.
fn code(text: &str) -> String {
    let text = harmless(text);
    if text.is_empty() {
        return "`\"\"`".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // Blanks at the ends part backticks of the text from the fence.
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A sentence in which nothing is Markdown, HTML or a mention, but for the code that it quotes.
fn prose(text: &str) -> String {
    let text = harmless(text);
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(&text);
    }
    parts.into_iter().enumerate().map(|(at, part)| if at % 2 == 1 { code(part) } else { escaped(part) }).collect()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len() + 8), |mut to, c| {
        match c {
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '&' => to.push_str("&amp;"),
            // Who is named behind it would be told of the comment.
            '@' => to.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '|' => {
                to.push('\\');
                to.push(c);
            }
            c => to.push(c),
        }
        to
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Plan;
    use crate::model::{Key, Kind};
    use crate::system::System;

    fn of(actions: &[(Action, usize)]) -> Plan {
        let mut plan = Plan { project: "x".to_owned(), system: "generic", ..Plan::default() };
        for (action, count) in actions {
            for number in 0..*count {
                let key = Key::single(&format!("{}-{number:06}", action.name()));
                plan.changes.push(Change::new(*action, Kind::Account, key, None, Vec::new()));
            }
        }
        plan.settle();
        plan
    }

    fn render(plan: &Plan, budget: usize) -> String {
        let system = System::find("generic").unwrap();
        let report = Report { plan, system, digest: "d", store: "sqlite:x.db", refused: &[], all: false };
        super::plan(&report, &[], budget)
    }

    #[test]
    fn it_never_exceeds_its_budget_and_says_how_many_are_left_out() {
        for (deletes, overwrites, adds) in [(0, 0, 5_000), (5_000, 10, 10), (10, 5_000, 10), (3_000, 3_000, 3_000)] {
            let plan = of(&[(Action::Delete, deletes), (Action::Overwrite, overwrites), (Action::Add, adds)]);
            for budget in [2_000, 10_000, BUDGET] {
                let text = render(&plan, budget);
                assert!(text.len() <= budget, "{} of {budget}", text.len());
                for (noun, title, count) in
                    [("delete", "Deletes", deletes), ("overwrite", "Overwrites", overwrites), ("add", "Adds", adds)]
                {
                    let shown = text.matches(&format!("**`account/{noun}-")).count();
                    let said = format!("and {} more {noun}", count - shown);
                    assert!(count == shown || text.contains(&said), "{title}: {shown} of {count}\n{text}");
                }
                assert!(text.contains("digest `d`"));
            }
        }
    }

    #[test]
    fn names_are_neither_markdown_nor_html() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(prose("<b> @team *x* [a](b) &amp;"), r"&lt;b&gt; &#64;team \*x\* \[a\](b) &amp;amp;");
        assert_eq!(prose("`max_deletes` of a_b"), r"`max_deletes` of a\_b");
        assert_eq!(prose("one ` alone"), r"one \` alone");
    }
}
