//! Where a migration is, for people: a few lines, and the check sheet of document 004.

mod words;

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::Lang;
use super::markdown::prose;
use super::text::{harmless, style};
use crate::model::migration::{ACCOUNTS, Act, Progress, Report};
use words::Words;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const WAITS: Style = AnsiColor::Yellow.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Accounts that the sheet names one by one; of more, their count.
const NAMED: usize = 50;

/// What a run has just done.
pub fn did(step: u8, said: &str, lang: Lang) -> String {
    let words = Words::of(lang);
    harmless(&(words.did)(step, words.titles[usize::from(step) - 1], said)).into_owned()
}

pub fn status(report: &Report, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = Words::of(lang);
    let head = (words.head)(&report.name, &report.from, &report.to, report.accounts, report.standing.state);
    writeln!(to, "{}", style(harmless(&head), Style::new().bold()))?;
    for ((step, title), progress) in (1_u8..).zip(words.titles).zip(&report.standing.steps) {
        let (sign, look, said) = match progress {
            Progress::Done(act) => ("✓", GOOD, by(act)),
            Progress::Due => ("→", WAITS, (words.due)(step)),
            Progress::Waiting(wait) => ("…", WAITS, (words.wait)(step, wait)),
            Progress::Later => (" ", FAINT, String::new()),
        };
        let line = format!("{step} {}", pad(title, words.width));
        writeln!(to, "  {} {line}{}", style(sign, look), style(harmless(&said), FAINT))?;
    }
    Ok(())
}

/// By whom, when, and on what evidence.
fn by(act: &Act) -> String {
    let mut said = format!("{} {}", act.act.actor, short(&act.at));
    // By what a program recognises the accounts, people do not.
    for (name, value) in act.act.evidence.iter().filter(|(name, _)| *name != ACCOUNTS) {
        // Writing to a string cannot fail.
        let _ = write!(said, ", {name} {value}");
    }
    if let Some(note) = &act.act.note {
        let _ = write!(said, " «{note}»");
    }
    said
}

/// Without the fraction of the second.
fn short(at: &str) -> String {
    let cut = at.split_once('.').map_or(at.trim_end_matches('Z'), |(whole, _)| whole);
    format!("{cut}Z")
}

/// Filled up with blanks; Japanese letters are two columns wide.
fn pad(text: &str, width: usize) -> String {
    let wide = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    format!("{text}{}", " ".repeat(width.saturating_sub(wide) + 2))
}

/// A row of the sheet: whether it is ticked, its step, what is done, by whom it is to be done, and what was done.
struct Row {
    ticked: bool,
    step: u8,
    task: String,
    who: String,
    said: String,
}

fn rows(report: &Report, words: &Words) -> Vec<Row> {
    let each = (1_u8..).zip(words.tasks).zip(&report.standing.steps).map(|((step, task), progress)| {
        let (ticked, said) = match progress {
            Progress::Done(act) => (true, by(act)),
            Progress::Due => (false, (words.due)(step)),
            Progress::Waiting(wait) => (false, (words.wait)(step, wait)),
            Progress::Later => (false, String::new()),
        };
        let who = if step == 5 { words.provider.to_owned() } else { (words.administrator)(report.product) };
        Row { ticked, step, task: task.to_owned(), who, said }
    });
    each.collect()
}

fn mark(ticked: bool) -> &'static str {
    if ticked { "☑" } else { "☐" }
}

/// The check sheet as Markdown.
pub fn markdown(report: &Report, lang: Lang) -> String {
    let words = Words::of(lang);
    let mut page = format!("# {}\n\n", prose(&(words.sheet)(&report.name)));
    let head = (words.head)(&report.name, &report.from, &report.to, report.accounts, report.standing.state);
    let _ = writeln!(page, "{}\n", prose(&head));
    let [step, task, who, said] = words.columns;
    let _ = writeln!(page, "| | {step} | {task} | {who} | {said} |\n|---|---|---|---|---|");
    for Row { ticked, step, task, who, said } in rows(report, words) {
        let _ = writeln!(page, "| {} | {step} | {} | {} | {} |", mark(ticked), cell(&task), cell(&who), cell(&said));
    }
    if report.pairs.is_empty() || report.pairs.len() > NAMED {
        return page;
    }
    let [old, new] = words.accounts;
    let _ = writeln!(page, "\n| | {old} | {new} |\n|---|---|---|");
    for (old, new, stored) in &report.pairs {
        let _ = writeln!(page, "| {} | {} | {} |", mark(*stored), cell(old), cell(new));
    }
    page
}

/// In a table, a bar would part it.
fn cell(text: &str) -> String {
    prose(text).replace('|', "\\|").replace('\n', " ")
}

const PAGE: &str = "body{font:15px/1.6 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;width:100%;margin:1.5em 0}td,th{border:1px solid #999;padding:.4em .6em;text-align:left;\
vertical-align:top;overflow-wrap:anywhere}td:first-child{font-size:1.4em;line-height:1}@media print{body{margin:0}}";

/// The check sheet as a page that needs nothing else.
pub fn html(report: &Report, lang: Lang) -> String {
    let words = Words::of(lang);
    let title = (words.sheet)(&report.name);
    let head = (words.head)(&report.name, &report.from, &report.to, report.accounts, report.standing.state);
    let code = match lang {
        Lang::En => "en",
        Lang::Ja => "ja",
    };
    let (title, head) = (escape(&title), escape(&head));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{code}\">\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{PAGE}</style>\n<h1>{title}</h1>\n<p>{head}</p>\n<table>\n<tr><th></th>"
    );
    for column in words.columns {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("</tr>\n");
    for Row { ticked, step, task, who, said } in rows(report, words) {
        let (task, who, said) = (escape(&task), escape(&who), escape(&said));
        let sign = mark(ticked);
        let _ = writeln!(page, "<tr><td>{sign}</td><td>{step}</td><td>{task}</td><td>{who}</td><td>{said}</td></tr>");
    }
    page.push_str("</table>\n");
    if !report.pairs.is_empty() && report.pairs.len() <= NAMED {
        let [old, new] = words.accounts;
        let _ = writeln!(page, "<table>\n<tr><th></th><th>{old}</th><th>{new}</th></tr>");
        for (old, new, stored) in &report.pairs {
            let (old, new) = (escape(old), escape(new));
            let _ = writeln!(page, "<tr><td>{}</td><td>{old}</td><td>{new}</td></tr>", mark(*stored));
        }
        page.push_str("</table>\n");
    }
    page.push_str("</html>\n");
    page
}

fn escape(text: &str) -> String {
    let text = harmless(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
