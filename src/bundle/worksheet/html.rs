//! A sheet as one HTML page that needs nothing else: no network, no script. It prints, reads on a
//! phone, and follows the light or dark of the reader.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::{Entry, Sheet, Shown, Step};

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #b8b8b8; --faint: #5a5a5a; --field: #f3f3ee; --loud: #a40000 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #161616; --line: #555; --faint: #a8a8a8; --field: #262626; --loud: #ff8a80 } }
body { margin: 0 auto; padding: 1rem; max-width: 50rem; color: var(--ink); background: var(--paper); font: 1rem/1.6 system-ui, \"Hiragino Sans\", \"Noto Sans JP\", sans-serif }
h1 { font-size: 1.5rem } h2 { margin-top: 2rem; font-size: 1.2rem; border-bottom: 2px solid var(--line) }
ul, ol { padding-left: 1.6rem } ul { list-style: none } li { margin: .3rem 0; break-inside: avoid }
.step { margin: 1rem 0; padding-top: .5rem; border-top: 1px solid var(--line) }
label { display: block; padding-left: 1.7rem; text-indent: -1.7rem }
input { width: 1.1rem; height: 1.1rem; margin: 0 .6rem 0 0; vertical-align: -.15rem }
code, pre { padding: .05rem .3rem; font: .95em ui-monospace, monospace; background: var(--field); border: 1px solid var(--line); border-radius: 3px; text-indent: 0; unicode-bidi: isolate; overflow-wrap: anywhere; white-space: pre-wrap }
pre { margin: .3rem 0 .3rem 1.7rem; padding: .4rem .6rem }
.faint { color: var(--faint) } .loud { padding: .6rem .8rem; color: var(--loud); border: 2px solid var(--loud); font-weight: bold }
@media print { :root { --ink: #000; --paper: #fff; --line: #999; --faint: #333; --field: #fff; --loud: #000 } body { max-width: none; padding: 0; font-size: 10.5pt } h2 { break-after: avoid } }
";

pub fn write(sheet: &Sheet) -> String {
    let mut to = String::new();
    // Writing to a string cannot fail.
    let _ = lay_out(sheet, &mut to);
    to
}

fn lay_out(sheet: &Sheet, to: &mut String) -> fmt::Result {
    let title = escape(&sheet.title);
    write!(
        to,
        "<!DOCTYPE html>\n<html lang=\"ja\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )?;
    for line in &sheet.intro {
        writeln!(to, "<p>{}</p>", escape(line))?;
    }
    for (number, section) in (1..).zip(&sheet.sections) {
        writeln!(to, "<h2>{number}. {}</h2>", escape(&section.heading))?;
        if let Some(loud) = section.loud {
            writeln!(to, "<p class=\"loud\">{}</p>", escape(loud))?;
        }
        *to += "<ul>\n";
        for way in &section.way {
            writeln!(to, "<li>{}</li>", ticked(&escape(way)))?;
        }
        for one in &section.steps {
            step(one, to)?;
        }
        *to += "</ul>\n";
    }
    *to += "</body>\n</html>\n";
    Ok(())
}

fn step(step: &Step, to: &mut String) -> fmt::Result {
    let about: Vec<String> = step.about.iter().map(|text| code(text)).collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    let name =
        if step.name.is_empty() { String::new() } else { format!("<strong>{}</strong>{about}: ", code(&step.name)) };
    writeln!(to, "<li class=\"step\">{}", ticked(&format!("{name}{}", escape(step.open))))?;
    if !step.entries.is_empty() || !step.close.is_empty() {
        *to += "<ul>\n";
        for one in &step.entries {
            entry(one, to)?;
        }
        if !step.close.is_empty() {
            writeln!(to, "<li>{}</li>", ticked(&escape(step.close)))?;
        }
        *to += "</ul>\n";
    }
    if !step.order.is_empty() {
        let items: Vec<String> = step.order.iter().map(|name| format!("<li>{}</li>", code(name))).collect();
        writeln!(to, "<ol>\n{}\n</ol>", items.join("\n"))?;
    }
    *to += "</li>\n";
    Ok(())
}

fn entry(entry: &Entry, to: &mut String) -> fmt::Result {
    let before = match &entry.before {
        Some(Shown::Choice(words)) => format!(" <span class=\"faint\">(so far {})</span>", escape(words)),
        Some(Shown::Text(text)) => format!(" <span class=\"faint\">(so far {})</span>", code(text)),
        _ => String::new(),
    };
    let preset = if entry.preset { " <span class=\"faint\">(preset)</span>" } else { "" };
    let label = escape(&entry.label);
    let (line, block) = match &entry.shown {
        Shown::Choice(words) => (format!("{label}: <strong>{}</strong>{preset}{before}", escape(words)), String::new()),
        Shown::Text(text) => (format!("{label}: {}{preset}{before}", code(text)), String::new()),
        Shown::Password(place) => (format!("{label}: the password declared at {}", code(place)), String::new()),
        Shown::Lines(lines) => (format!("{label}:"), format!("<pre>{}</pre>\n", escape(&lines.join("\n")))),
    };
    writeln!(to, "<li>{}\n{block}</li>", ticked(&line))
}

fn ticked(html: &str) -> String {
    format!("<label><input type=\"checkbox\">{html}</label>")
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
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
