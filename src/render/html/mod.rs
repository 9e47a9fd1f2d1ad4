//! A plan as one HTML page that needs nothing else: no network, no library. What has to be known
//! before anything is applied is plain HTML. The changes are data, of which the page's script shows
//! what is near the viewport: many thousands of them open at once.

mod values;
mod words;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use self::values::Values;
use self::words::Words;
use super::{Lang, text};
use crate::model::{Action, Change, Diagnostic, Effect, Kind, Plan, Severity, harmless};
use crate::wire::{self, PlanDocument};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Names that stand one by one in a list; what is more is counted, and found in the changes.
const NAMED: usize = 1_000;
/// How much data stands in one element. A browser builds a text piece by piece, and takes ever longer
/// for each as it grows: Chromium opens 62 MB in 5 s as one text, and in 1.5 s as many.
const BLOCK: usize = 60 * 1024;

/// The plan and what is to be said about it; `age` is how long ago the snapshot was taken, in seconds.
pub fn plan(document: &PlanDocument<'_>, age: Option<u64>, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = words::of(lang);
    let plan = document.plan;
    head(words, &say(words.title, &[&plan.project]), to)?;
    let tally = if plan.changes.is_empty() { words.nothing.to_owned() } else { tally(plan, words) };
    writeln!(to, "<p class=\"tally\">{}</p>\n<dl class=\"facts\">", escape(&tally))?;
    for (name, value) in [
        (words.system, plan.system),
        (words.store, document.store),
        (words.revision, &grouped(plan.base.revision)),
        (words.digest, document.digest),
    ] {
        writeln!(to, "<div><dt>{name}</dt> <dd>{}</dd></div>", code(value))?;
    }
    writeln!(to, "</dl>\n</header>\n<main>")?;
    refusals(document, lang, words, to)?;
    effects(plan, words, to)?;
    if let Some(against) = document.against {
        open_box("amber", words.against, to)?;
        writeln!(to, "<p>{}</p>\n</section>", prose(&text::snapshot(against, age, lang.words())))?;
    }
    writeln!(to, "<div id=\"notices\"></div>")?;
    if document.skipped {
        open_box("amber", words.secrets_skipped, to)?;
        writeln!(to, "<p>{}</p>\n</section>", words.secrets_unknown)?;
    }
    diagnostics(document.diagnostics, lang, words, to)?;
    list(words, to)?;
    without_script(plan, words, to)?;
    writeln!(to, "</main>\n<footer>{}</footer>", say(words.made_by, &[env!("CARGO_PKG_VERSION")]))?;
    data(document, words, to)?;
    writeln!(to, "<script>{SCRIPT}</script>\n</body>\n</html>")
}

/// What is wrong with the input.
pub fn invalid(all: &[Diagnostic], lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = words::of(lang);
    head(words, words.invalid, to)?;
    writeln!(to, "</header>\n<main>")?;
    diagnostics(all, lang, words, to)?;
    writeln!(to, "</main>\n</body>\n</html>")
}

/// Up to the title, which stands in a header that is left open.
fn head(words: &Words, title: &str, to: &mut dyn Write) -> io::Result<()> {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let title = harmless(title);
    let title = escape(&title);
    writeln!(
        to,
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
         script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>",
        words.lang,
        hash(STYLE),
        hash(SCRIPT),
    )
}

/// `1 to delete, 3 to add; 120 unchanged`
fn tally(plan: &Plan, words: &Words) -> String {
    let always = |action| matches!(action, Action::Add | Action::Overwrite | Action::Delete);
    let counts: Vec<String> = words
        .actions
        .iter()
        .filter_map(|(name, words)| Some((Action::ALL.into_iter().find(|action| action.name() == *name)?, words)))
        .filter(|(action, _)| plan.count(*action) > 0 || always(*action))
        .map(|(action, words)| say(words.counted, &[&grouped(plan.count(action))]))
        .collect();
    say(words.tally, &[&counts.join(words.comma), &grouped(plan.unchanged)])
}

fn open_box(colour: &str, title: &str, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "<section class=\"box {colour}\">\n<h2>{}</h2>", escape(title))
}

fn refusals(document: &PlanDocument<'_>, lang: Lang, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if document.refused.is_empty() {
        return Ok(());
    }
    open_box("red", words.refused, to)?;
    writeln!(to, "<ul>")?;
    for refusal in document.refused {
        writeln!(to, "<li>{} {}</li>", code(refusal.rule), prose(&(lang.words().refusal)(refusal)))?;
    }
    writeln!(to, "</ul>\n</section>")
}

fn effects(plan: &Plan, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let all = || plan.changes.iter().filter_map(|change| Some((change, change.effect(plan)?)));
    let lost: Vec<&Change> =
        all().filter(|(_, effect)| *effect == Effect::PurgeMail).map(|(change, _)| change).collect();
    if !lost.is_empty() {
        open_box("red", &say(words.mail_lost, &[&grouped(lost.len() as u64)]), to)?;
        writeln!(to, "<p>{}</p>", words.mail_is_gone)?;
        names(lost.iter().map(|change| change.address().to_string()), lost.len(), words, to)?;
        writeln!(to, "</section>")?;
    }
    let users = plan.logged_out();
    if users.is_empty() {
        return Ok(());
    }
    let title = say(words.logged_out, &[&grouped(users.len() as u64)]);
    writeln!(to, "<details class=\"box amber\">\n<summary><h2>{title}</h2></summary>")?;
    names(users.iter().map(|user| (*user).to_owned()), users.len(), words, to)?;
    writeln!(to, "</details>")
}

fn names(all: impl Iterator<Item = String>, count: usize, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "<ul class=\"names\" tabindex=\"0\">")?;
    for name in all.take(NAMED) {
        writeln!(to, "<li>{}</li>", code(&name))?;
    }
    more(count, words, to)?;
    writeln!(to, "</ul>")
}

/// Counts what is left out of a list.
fn more(count: usize, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if count > NAMED {
        writeln!(to, "<li>{}</li>", say(words.and_more, &[&grouped((count - NAMED) as u64)]))?;
    }
    Ok(())
}

fn diagnostics(all: &[Diagnostic], lang: Lang, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let worst = if all.iter().any(|one| one.severity == Severity::Error) { "red" } else { "amber" };
    open_box(worst, &say(words.diagnostics, &[&grouped(all.len() as u64)]), to)?;
    writeln!(to, "<ul>")?;
    for diagnostic in all.iter().take(NAMED) {
        let Diagnostic { severity, code: name, message, hint, file, line, column, address, field: _ } = diagnostic;
        let place = file.as_ref().map_or(String::new(), |file| {
            let place = if *line > 0 { format!("{file}:{line}:{column}") } else { file.clone() };
            format!(" <span class=\"faint\">{}</span>", code(&place))
        });
        let address = address.as_ref().map_or(String::new(), |address| format!(" {}", code(&address.to_string())));
        let hint = hint
            .as_ref()
            .map_or(String::new(), |hint| format!(" <span class=\"faint\">{}{}</span>", words.hint, prose(hint)));
        let meaning = (lang.words().meaning)(name).map_or(String::new(), |meaning| prose(meaning) + "<br>");
        let (class, word) = (severity.name(), words.severities[*severity as usize]);
        writeln!(
            to,
            "<li class=\"{class}\"><strong>{word}</strong> {}{address}: {meaning}{}{hint}{place}</li>",
            code(name),
            prose(message)
        )?;
    }
    more(all.len(), words, to)?;
    writeln!(to, "</ul>\n</section>")
}

/// What the script fills.
fn list(words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let Words { changes, search, search_hint, action, kind, user, file, all, reset, unfold, fold, .. } = words;
    writeln!(
        to,
        "<section id=\"changes\" aria-labelledby=\"changes-title\" hidden>\n<h2 id=\"changes-title\">{changes}</h2>\n\
         <form id=\"filters\" role=\"search\" autocomplete=\"off\">\n\
         <label><span>{search}</span><input type=\"search\" name=\"search\" placeholder=\"{search_hint}\"></label>\n\
         <label><span>{kind}</span><select name=\"kind\"><option value=\"\">{all}</option>"
    )?;
    for (kind, word) in Kind::ALL.into_iter().zip(words.kinds) {
        writeln!(to, "<option value=\"{kind}\">{word}</option>")?;
    }
    writeln!(
        to,
        "</select></label>\n\
         <label><span>{user}</span><input type=\"search\" name=\"user\" list=\"users\"></label><datalist id=\"users\"></datalist>\n\
         <label><span>{file}</span><input type=\"search\" name=\"file\" list=\"files\"></label><datalist id=\"files\"></datalist>\n\
         <fieldset id=\"actions\"><legend class=\"unseen\">{action}</legend></fieldset>\n</form>\n\
         <div class=\"bar\"><output id=\"count\" aria-live=\"polite\" form=\"filters\"></output>\n\
         <button type=\"button\" id=\"unfold\">{unfold}</button> <button type=\"button\" id=\"fold\">{fold}</button> \
         <button type=\"reset\" form=\"filters\">{reset}</button></div>\n\
         <div id=\"list\" role=\"feed\" aria-labelledby=\"changes-title\"></div>\n</section>"
    )
}

/// The changes by name, for who runs no scripts: what goes away, and then as much of the rest as is read.
fn without_script(plan: &Plan, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    if plan.changes.is_empty() {
        return Ok(());
    }
    writeln!(to, "<noscript>\n<section class=\"box\">\n<h2>{}</h2>\n<p>{}</p>", words.changes, words.no_script)?;
    writeln!(to, "<ul>")?;
    let (lost, others): (Vec<&Change>, Vec<&Change>) = plan.changes.iter().partition(|change| change.action.loses());
    let shown = lost.len().max(NAMED).min(plan.changes.len());
    for change in lost.into_iter().chain(others).take(shown) {
        let source = source(plan, change).map_or(words.undeclared.into(), |source| code(&source).into_owned());
        let (action, address) = (change.action.name(), code(&change.address().to_string()).into_owned());
        writeln!(to, "<li>{action} {address} <span class=\"faint\">{source}</span></li>")?;
    }
    let rest = (plan.changes.len() - shown) as u64;
    if rest > 0 {
        writeln!(to, "<li>{}</li>", say(words.and_more, &[&grouped(rest)]))?;
    }
    writeln!(to, "</ul>\n</section>\n</noscript>")
}

fn source(plan: &Plan, change: &Change) -> Option<String> {
    change.source.map(|source| format!("{}:{}", plan.file(source), source.place.line))
}

/// The files that declare changes, in the order of those.
struct Files<'a> {
    names: Vec<&'a str>,
    /// By `Source::file`: the place of its name.
    places: Vec<i64>,
}

impl<'a> Files<'a> {
    fn of(plan: &'a Plan) -> Files<'a> {
        let mut files = Files { names: Vec::new(), places: vec![-1; plan.files.len()] };
        for source in plan.changes.iter().filter_map(|change| change.source) {
            let place = &mut files.places[source.file as usize];
            if *place < 0 {
                *place = i64::try_from(files.names.len()).unwrap_or(-1);
                files.names.push(plan.file(source));
            }
        }
        files
    }
}

/// What the script reads: what holds for the whole page, the changes in blocks, and the values that
/// many of them share. A change is `[action, kind, key, file, line, fields, effect, marks]`, where
/// effect is 1 for a logout, 2 for lost mail and 3 for connections that end; the last ones are left out where they say nothing.
fn data(document: &PlanDocument<'_>, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    let plan = document.plan;
    let files = Files::of(plan);
    let mut top = serde_json::to_value(document.head()).map_err(io::Error::from)?;
    top["drift"] = plan.drift.iter().map(wire::drifted).collect();
    let page = json!({
        "words": words,
        "order": words.actions.iter().map(|(action, _)| action).collect::<Vec<_>>(),
        "actions": Action::ALL.map(Action::name),
        "kinds": Kind::ALL.map(Kind::name),
        "fields": values::fields().map(|field| (field.name, field.label, field.is_secret())).collect::<Vec<_>>(),
        "files": files.names,
        "head": top,
        "undeclared": plan.note.is_none(),
    });
    island("id=\"page\"", &page.to_string(), to)?;
    let mut values = Values::new(document);
    let mut block = String::new();
    for change in &plan.changes {
        block.push_str(if block.is_empty() { "[" } else { ",\n" });
        put_change(document, change, &files, &mut values, &mut block);
        if block.len() > BLOCK {
            block.push(']');
            island("class=\"changes\"", &block, to)?;
            block.clear();
        }
    }
    if !block.is_empty() {
        block.push(']');
        island("class=\"changes\"", &block, to)?;
    }
    island("id=\"values\"", &values.shared(), to)
}

fn put_change(
    document: &PlanDocument<'_>,
    change: &Change,
    files: &Files<'_>,
    values: &mut Values<'_>,
    to: &mut String,
) {
    let plan = document.plan;
    let (file, line) = change.source.map_or((-1, 0), |source| (files.places[source.file as usize], source.place.line));
    let key = json!(change.key.parts().collect::<Vec<_>>());
    let numbers = [change.action as u8, change.kind as u8].map(|number| number.to_string()).join(",");
    // Writing to a string cannot fail, here and below.
    let _ = write!(to, "[{numbers},{key},{file},{line},[");
    for (at, field) in change.fields.iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        values.put(change, field, to);
    }
    to.push(']');
    let effect = match change.effect(plan) {
        None => 0,
        Some(Effect::Logout(_)) => 1,
        Some(Effect::PurgeMail) => 2,
        Some(Effect::Kick) => 3,
    };
    let marks = wire::marks(change);
    if !marks.is_empty() {
        let _ = write!(to, ",{effect},{}", json!(marks));
    } else if effect > 0 {
        let _ = write!(to, ",{effect}");
    }
    to.push(']');
}

/// Data in an element that nothing in it can end. In JSON these characters only ever stand in strings.
fn island(attribute: &str, json: &str, to: &mut dyn Write) -> io::Result<()> {
    write!(to, "<script type=\"application/json\" {attribute}>")?;
    let mut plain = 0;
    for (at, c) in json.match_indices(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        write!(to, "{}\\u{:04x}", &json[plain..at], c.chars().next().map_or(0, u32::from))?;
        plain = at + c.len();
    }
    writeln!(to, "{}</script>", &json[plain..])
}

/// The sentence with things where it has `{}`, in turn.
fn say(sentence: &str, things: &[&str]) -> String {
    let mut things = things.iter();
    sentence.split("{}").enumerate().fold(String::new(), |said, (at, part)| {
        if at == 0 { part.to_owned() } else { said + things.next().unwrap_or(&"") + part }
    })
}

/// `50,000`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn code(text: &str) -> Cow<'_, str> {
    Cow::Owned(format!("<code>{}</code>", escape(&harmless(text))))
}

/// A sentence with the code that it quotes between backticks.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(&harmless(text)).into_owned();
    }
    let part = |(at, part)| if at % 2 == 1 { code(part) } else { Cow::Owned(escape(&harmless(part)).into_owned()) };
    parts.into_iter().enumerate().map(part).collect()
}

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut html = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            c => html.push(c),
        }
    }
    Cow::Owned(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let mut to = Vec::new();
        island("id=\"x\"", r#"["</script><!--&"]"#, &mut to).unwrap();
        let text = String::from_utf8(to).unwrap();
        let inner = text.strip_prefix("<script type=\"application/json\" id=\"x\">").unwrap();
        let inner = inner.strip_suffix("</script>\n").unwrap();
        assert_eq!(inner, r#"["\u003c/script\u003e\u003c!--\u0026"]"#);
        let read: Vec<String> = serde_json::from_str(inner).unwrap();
        assert_eq!(read, ["</script><!--&"]);
        let mut to = Vec::new();
        island("", "\"\u{2028}\u{2029}受\"", &mut to).unwrap();
        assert!(String::from_utf8(to).unwrap().contains(r"\u2028\u2029受"));
    }

    #[test]
    fn style_and_script_stand_in_their_elements() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }

    #[test]
    fn sentences_and_numbers() {
        assert_eq!(say("{} of {} changes", &["3", "{}"]), "3 of {} changes");
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(prose("`a<b` & `c`"), "<code>a&lt;b</code> &amp; <code>c</code>");
        assert_eq!(prose("one ` <alone>"), "one ` &lt;alone&gt;");
    }
}
