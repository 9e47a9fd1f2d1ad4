//! A plan as Markdown, for a comment on a pull request. What loses something stands first, and what
//! does not fit is counted, never dropped in silence.

use std::fmt::Write as _;

use similar::TextDiff;

use super::Lang;
use super::text::{self, Report, harmless};
use super::words::Words;
use crate::model::{Action, Change, Diagnostic, Effect, FieldChange, Refusal, Type, Value};

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
    let words = report.lang.words();
    let mut page = Page { text: String::new(), budget: budget.saturating_sub(RESERVE) };
    let title = if plan.changes.is_empty() { words.nothing.to_owned() } else { plain_tally(report) };
    page.add(&format!("### {title}\n\n"));
    if let Some(against) = report.against {
        page.add(&format!("{}\n\n", prose(&text::snapshot(against, report.age, words))));
    }
    if let Some(partial) = &plan.partial {
        page.add(&format!("**{}** {}\n\n", words.partial, prose(&text::restriction(partial, words))));
    }
    refusals(report, &mut page);
    effects(report, &mut page);
    notes(report, &mut page);
    for action in [
        Action::Blocked,
        Action::Delete,
        Action::Purge,
        Action::Disable,
        Action::Overwrite,
        Action::Rename,
        Action::Add,
        Action::Skip,
    ] {
        let changes: Vec<&Change> = plan.changes.iter().filter(|change| change.action == action).collect();
        section(report, &changes, &mut page);
        if action == Action::Rename {
            // Behind what loses something, and before what may be long.
            messages(diagnostics, words, &mut page);
        }
    }
    page.budget = budget;
    let digest = format!("{} {}\n", words.digest, code(report.digest));
    let place = (words.place)(&plan.project, plan.system, report.store, plan.base.revision);
    if !page.add(&format!("{}  \n{digest}", prose(&place))) {
        page.add(&digest);
    }
    page.text
}

/// What is wrong with the input, in at most so many bytes.
pub fn invalid(diagnostics: &[Diagnostic], lang: Lang, budget: usize) -> String {
    let words = lang.words();
    let mut page = Page { text: format!("### {}\n\n", words.invalid), budget: budget.saturating_sub(RESERVE) };
    messages(diagnostics, words, &mut page);
    page.text
}

fn messages(diagnostics: &[Diagnostic], words: &Words, page: &mut Page) {
    let told: Vec<String> = diagnostics.iter().map(|diagnostic| said(diagnostic, words)).collect();
    list(page, |left| (words.left_out)(left, None), told.iter().map(String::as_str));
}

/// `2 to overwrite, 1 to delete; 120 unchanged`
fn plain_tally(report: &Report<'_>) -> String {
    anstream::adapter::strip_str(&text::tally(report.plan, report.lang.words())).to_string()
}

fn said(diagnostic: &Diagnostic, words: &Words) -> String {
    let Diagnostic { severity, code: name, message, hint, file, line, .. } = diagnostic;
    let place = file.as_ref().map_or(String::new(), |file| format!(" {}", code(&format!("{file}:{line}"))));
    let [open, close] = words.aside;
    let hint = hint.as_ref().map_or(String::new(), |hint| format!("{open}{}{close}", prose(hint)));
    // What the code means is a line of its own, and the message the next one.
    let meaning = (words.meaning)(name).map_or(String::new(), |meaning| format!("{}  \n  ", prose(meaning)));
    let severity = (words.severity)(*severity);
    format!("- **{severity}** {}{place}: {meaning}{}{hint}\n", code(name), prose(message))
}

/// Lines, as many as fit, and how many did not.
fn list<'l>(page: &mut Page, left_out: impl Fn(usize) -> String, lines: impl Iterator<Item = &'l str>) {
    let (mut written, mut left) = (false, 0);
    for line in lines {
        // Once one has not fitted, those behind it are left out too: the order says what matters.
        if left == 0 && page.add(line) {
            written = true;
        } else {
            left += 1;
        }
    }
    if left > 0 {
        more(page, &left_out(left));
    }
    if written || left > 0 {
        page.text.push('\n');
    }
}

/// Says what did not fit; there is room for that.
fn more(page: &mut Page, left_out: &str) {
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(page.text, "- {left_out}");
}

fn refusals(report: &Report<'_>, page: &mut Page) {
    let words = report.lang.words();
    let [open, close] = words.aside;
    let told = report.refused.iter().map(|refusal| {
        let Refusal { rule, .. } = refusal;
        let called = (words.rule)(rule).map_or(String::new(), |called| format!("{open}{called}{close}"));
        let message = (words.refusal)(refusal);
        format!("> **{}** {}{called}: {}\n\n", words.refused, code(rule), prose(&message))
    });
    let written = told.take_while(|one| page.add(one)).count();
    let left = report.refused.len() - written;
    if left > 0 {
        let _ = writeln!(page.text, "> **{}** {}\n", words.refused, (words.more_refusals)(left));
    }
}

fn effects(report: &Report<'_>, page: &mut Page) {
    /// Users that are named one by one.
    const NAMED: usize = 50;
    let (plan, words) = (report.plan, report.lang.words());
    let all = || plan.changes.iter().filter_map(|change| change.effect(plan));
    let lost = all().filter(|effect| *effect == Effect::PurgeMail).count();
    if lost > 0 {
        let boxes = (words.mailboxes)(lost);
        let _ = writeln!(page.text, "**{} {boxes}**: {}{}\n", words.empties, words.mail_in_them, words.stop);
    }
    let users = plan.logged_out();
    if users.is_empty() {
        return;
    }
    let named: Vec<String> = users.iter().take(NAMED).map(|user| code(user)).collect();
    let rest = users.len().saturating_sub(NAMED);
    let rest = if rest > 0 { (words.and_more)(rest) } else { String::new() };
    let head = format!("**{} {}**", words.logs_out, (words.users)(users.len()));
    if !page.add(&format!("{head}: {}{rest}\n\n", named.join(words.comma))) {
        let _ = writeln!(page.text, "{head}\n");
    }
}

/// What other software has changed, and what is disabled.
fn notes(report: &Report<'_>, page: &mut Page) {
    const NAMED: usize = 50;
    let (plan, words) = (report.plan, report.lang.words());
    let [open, close] = words.aside;
    let mut note = |word: &str, count: &str, all: &[(String, String)]| {
        let named = all.iter().take(NAMED).map(|(name, what)| format!("{}{open}{}{close}", code(name), prose(what)));
        let rest = all.len().saturating_sub(NAMED);
        let rest = if rest > 0 { (words.and_more)(rest) } else { String::new() };
        let head = format!("**{word}** {count}");
        if !page.add(&format!("{head}: {}{rest}\n\n", named.collect::<Vec<_>>().join(words.comma))) {
            let _ = writeln!(page.text, "{head}\n");
        }
    };
    let drift = text::drifted(&plan.drift, words);
    if !drift.is_empty() {
        note(words.drift, &(words.drifted)(drift.len()), &drift);
    }
    let waiting = text::awaited(&plan.waiting, words);
    if !waiting.is_empty() {
        note(words.waiting, &(words.waiting_for)(waiting.len()), &waiting);
    }
}

fn section(report: &Report<'_>, changes: &[&Change], page: &mut Page) {
    let words = report.lang.words();
    let Some(&Change { action, .. }) = changes.first().copied() else { return };
    let folded = matches!(action, Action::Add | Action::Skip);
    let head = format!("{} ({})", (words.section)(action), changes.len());
    let (open, close) = if folded {
        (format!("<details><summary>{head}</summary>\n\n"), "</details>\n\n")
    } else {
        (format!("#### {head}\n\n"), "")
    };
    if !page.add(&open) {
        more(page, &(words.left_out)(changes.len(), Some(action)));
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
        list(page, |left| (words.left_out)(left, Some(action)), short.iter().map(String::as_str));
    }
    page.text.push_str(close);
}

fn block(report: &Report<'_>, change: &Change, fields: bool) -> String {
    let (plan, words) = (report.plan, report.lang.words());
    let source = change.source.map_or_else(
        || if plan.note.is_some() { String::new() } else { format!(" {}", words.undeclared) },
        |source| format!(" {}", code(&format!("{}:{}", plan.file(source), source.place.line))),
    );
    let was =
        text::previously(change).map_or(String::new(), |was| format!(" {}", (words.was)(&code(&was.to_string()))));
    let mut text = format!("- **{}**{was}{source}", code(&change.address().to_string()));
    if change.followers() > 0 {
        let _ = write!(text, "; {}", (words.followers)(change.followers()));
    }
    if change.is_restored() {
        let _ = write!(text, "; {}", words.restored);
    }
    if let Some(grace) = change.grace() {
        let _ = write!(text, "; {}", (words.grace)(grace));
    }
    if change.adopted {
        let from = change.taken_from().map(prose);
        let _ = write!(text, "; {}", (words.taken_over)(from.as_deref()));
    }
    if let Some(owner) = change.foreign_owner() {
        let _ = write!(text, "; **{}**", (words.belongs)(&prose(owner)));
    }
    if let Some(reason) = change.reason() {
        let _ = write!(text, "; {}", prose(&(words.reason)(reason)));
    }
    match change.effect(plan) {
        Some(Effect::Logout(user)) => {
            let _ = write!(text, "; {}", (words.user_out)(&code(user)));
        }
        Some(Effect::PurgeMail) => {
            let _ = write!(text, "; **{}**", words.mail_of_it);
        }
        Some(Effect::Kick) => {
            let _ = write!(text, "; {}", words.kicked);
        }
        None => {}
    }
    text.push('\n');
    // Of a delete, its address says what is lost; of what is left alone, nothing changes.
    if fields && matches!(change.action, Action::Overwrite | Action::Rename | Action::Add | Action::Blocked) {
        for field in &change.fields {
            text.push_str(&line(change, field, words));
        }
    }
    text
}

fn line(change: &Change, field: &FieldChange, words: &Words) -> String {
    let spec = change.kind.field(field.field);
    let name =
        (words.label)(spec).map_or_else(|| code(spec.name), |label| format!("{} ({})", prose(label), code(spec.name)));
    if spec.is_secret() {
        return format!("  - {name} {}\n", prose(&text::secret(change, field, words)));
    }
    let of = |value: Option<&Value>| value.and_then(Value::text).unwrap_or_default().to_owned();
    let (before, after) = (of(field.before.as_deref()), of(field.after.as_ref()));
    if matches!(spec.ty, Type::Multiline) && (before.contains('\n') || after.contains('\n')) {
        return lines(&name, &before, &after);
    }
    let shown = |value: Option<&Value>| match value {
        None => words.none.to_owned(),
        Some(value) => code(&value.to_string()),
    };
    let after = shown(field.after.as_ref());
    let origin = text::origin(field, words).map_or(String::new(), |origin| format!(" {origin}"));
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
pub(super) fn code(text: &str) -> String {
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
pub(super) fn prose(text: &str) -> String {
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
    use crate::model::Why;
    use crate::model::plan::{Drift, Drifted, Partial, Waiting};
    use crate::model::{Address, Key, Kind, Plan};
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
        let report = Report {
            plan,
            system,
            digest: "d",
            store: "sqlite:x.db",
            refused: &[],
            all: false,
            lang: Lang::En,
            against: None,
            age: None,
        };
        super::plan(&report, &[], budget)
    }

    /// Whatever is long: names, refusals, messages and the store.
    #[test]
    fn in_every_language_it_stays_within_its_budget_in_bytes() {
        let system = System::find("generic").unwrap();
        let actions: Vec<(Action, usize)> = Action::ALL.into_iter().map(|action| (action, 40)).collect();
        let mut plan = of(&actions);
        plan.deletes_mail = true;
        for number in 0..200 {
            let key = Key::pair(&format!("{number:03}{}", "営業部".repeat(20)), "受信");
            plan.changes.push(Change::new(Action::Overwrite, Kind::Pattern, key, None, Vec::new()));
        }
        plan.settle();
        let why = Why::Protect(Address::new(Kind::Account, Key::single("営業")));
        let refused = vec![Refusal { rule: "protect", why }; 100];
        let address = |number: usize| Address::new(Kind::Account, Key::single(&format!("総務{number}")));
        plan.drift = (0..100).map(|number| Drift { address: address(number), what: Drifted::Added }).collect();
        plan.waiting = (0..100)
            .map(|number| Waiting { address: address(number), revision: 1, until: "2026-12-01T00:00:00Z".to_owned() })
            .collect();
        plan.partial = Some(Partial { targets: vec!["account/総務*".to_owned(); 20], excludes: Vec::new() });
        let said = Diagnostic::warning("system/no-effect", "`x` has no effect".repeat(5)).hint("remove it");
        let diagnostics = vec![said; 300];
        let digest = "d".repeat(64);
        let store = format!("sqlite:{}.db", "長".repeat(300));
        for lang in [Lang::En, Lang::Ja] {
            let report = Report {
                plan: &plan,
                system,
                digest: &digest,
                store: &store,
                refused: &refused,
                all: false,
                lang,
                against: None,
                age: None,
            };
            for budget in (2_000..12_000).step_by(97).chain([BUDGET]) {
                let text = super::plan(&report, &diagnostics, budget);
                assert!(text.len() <= budget, "{lang:?}: {} of {budget}", text.len());
                assert!(text.ends_with(&format!("`{digest}`\n")), "{lang:?}, {budget}: {text}");
                let words = lang.words();
                assert!(text.starts_with(&format!("### {}", (words.counted)(40, Action::Add))), "{text}");
                let shown = text.matches("`protect`").count();
                assert!(shown == 100 || text.contains(&(words.more_refusals)(100 - shown)), "{shown}: {text}");
                let shown = text.matches("**`account/delete-").count();
                let left = (words.left_out)(40 - shown, Some(Action::Delete));
                assert!(shown == 40 || text.contains(&left), "{shown}: {text}");
                assert!(text.contains(&(words.drifted)(100)) && text.contains(&(words.waiting_for)(100)), "{text}");
                assert!(text.contains(&(words.users)(200)) && text.contains(&(words.mailboxes)(80)), "{text}");
                let invalid = invalid(&diagnostics, lang, budget);
                assert!(invalid.len() <= budget, "{lang:?}: {} of {budget}", invalid.len());
            }
        }
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
