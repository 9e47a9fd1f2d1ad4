//! A sheet as Markdown, with boxes to tick.

use std::fmt::{self, Write};

use super::{Entry, Sheet, Shown, Step};
use crate::bundle::guide::code;

pub fn write(sheet: &Sheet) -> String {
    let mut to = String::new();
    // Writing to a string cannot fail.
    let _ = lay_out(sheet, &mut to);
    to
}

fn lay_out(sheet: &Sheet, to: &mut String) -> fmt::Result {
    writeln!(to, "# {}", sheet.title)?;
    for line in &sheet.intro {
        writeln!(to, "\n{line}")?;
    }
    for (number, section) in (1..).zip(&sheet.sections) {
        writeln!(to, "\n## {number}. {}\n", section.heading)?;
        if let Some(loud) = section.loud {
            writeln!(to, "> **{loud}**\n")?;
        }
        for way in &section.way {
            writeln!(to, "- [ ] {way}")?;
        }
        for one in &section.steps {
            step(one, to)?;
        }
    }
    Ok(())
}

fn step(step: &Step, to: &mut String) -> fmt::Result {
    let about: Vec<String> = step.about.iter().map(|text| code(text)).collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    let name = if step.name.is_empty() { String::new() } else { format!("**{}**{about}: ", code(&step.name)) };
    writeln!(to, "- [ ] {name}{}", step.open)?;
    for one in &step.entries {
        entry(one, to)?;
    }
    for (number, name) in (1..).zip(&step.order) {
        writeln!(to, "  {number}. {}", code(name))?;
    }
    if !step.close.is_empty() {
        writeln!(to, "  - [ ] {}", step.close)?;
    }
    Ok(())
}

fn entry(entry: &Entry, to: &mut String) -> fmt::Result {
    let before = match &entry.before {
        Some(Shown::Choice(words)) => format!(" (so far {words})"),
        Some(Shown::Text(text)) => format!(" (so far {})", code(text)),
        _ => String::new(),
    };
    let preset = if entry.preset { " (preset)" } else { "" };
    write!(to, "  - [ ] {}:", entry.label)?;
    match &entry.shown {
        Shown::Choice(words) => writeln!(to, " **{words}**{preset}{before}"),
        Shown::Text(text) => writeln!(to, " {}{preset}{before}", code(text)),
        Shown::Password(place) => writeln!(to, " the password declared at {}", code(place)),
        Shown::Lines(lines) => {
            let fence = "`".repeat(lines.iter().map(|line| longest_run(line)).max().unwrap_or(0).max(2) + 1);
            writeln!(to, "\n\n    {fence}text")?;
            for line in lines {
                writeln!(to, "    {line}")?;
            }
            writeln!(to, "    {fence}\n")
        }
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
