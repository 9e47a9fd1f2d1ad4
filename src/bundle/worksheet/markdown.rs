//! A sheet as Markdown, with boxes to tick.

use super::{Entry, Sheet, Shown, Step};
use crate::bundle::guide::code;

pub fn write(sheet: &Sheet) -> String {
    let mut to = format!("# {}\n", sheet.title);
    for line in &sheet.intro {
        to += &format!("\n{line}\n");
    }
    for (number, section) in (1..).zip(&sheet.sections) {
        to += &format!("\n## {number}. {}\n\n", section.heading);
        if let Some(loud) = section.loud {
            to += &format!("> **{loud}**\n\n");
        }
        for way in &section.way {
            to += &format!("- [ ] {way}\n");
        }
        for one in &section.steps {
            step(one, &mut to);
        }
    }
    to
}

fn step(step: &Step, to: &mut String) {
    let name = if step.name.is_empty() { String::new() } else { format!("**{}**: ", code(&step.name)) };
    *to += &format!("- [ ] {name}{}\n", step.open);
    for one in &step.entries {
        entry(one, to);
    }
    for (number, name) in (1..).zip(&step.order) {
        *to += &format!("  {number}. {}\n", code(name));
    }
    if !step.close.is_empty() {
        *to += &format!("  - [ ] {}\n", step.close);
    }
}

fn entry(entry: &Entry, to: &mut String) {
    let before = match &entry.before {
        Some(Shown::Choice(words)) => format!(" (so far {words})"),
        Some(Shown::Text(text)) => format!(" (so far {})", code(text)),
        _ => String::new(),
    };
    let preset = if entry.preset { " (preset)" } else { "" };
    *to += &format!("  - [ ] {}: ", entry.label);
    match &entry.shown {
        Shown::Choice(words) => *to += &format!("**{words}**{preset}{before}\n"),
        Shown::Text(text) => *to += &format!("{}{preset}{before}\n", code(text)),
        Shown::Password(place) => *to += &format!("the password declared at {}\n", code(place)),
        Shown::Lines(lines) => {
            let fence = "`".repeat(lines.iter().map(|line| longest_run(line)).max().unwrap_or(0).max(2) + 1);
            *to += &format!("\n\n    {fence}text\n");
            for line in lines {
                *to += &format!("    {line}\n");
            }
            *to += &format!("    {fence}\n\n");
        }
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
