//! What probes have found, for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::Lang;
use super::japanese;
use super::markdown::{code, prose};
use super::text::{harmless, style};
use crate::model::probe::{Outcome, Probed, Step};
use crate::wire::Places;

const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const HELP: Style = AnsiColor::Cyan.on_default().bold();
/// Targets that are well are named up to so many.
const WELL: usize = 50;

fn look(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Ok => ("✓", AnsiColor::Green.on_default().bold()),
        Outcome::Skipped => ("-", AnsiColor::Cyan.on_default().bold()),
        Outcome::Warning => ("!", AnsiColor::Yellow.on_default().bold()),
        Outcome::Failed => ("✗", AnsiColor::Red.on_default().bold()),
    }
}

/// What is said in each language.
struct Words {
    outcome: fn(Outcome) -> &'static str,
    /// How many, and how many came out how.
    tally: fn(usize, &[(usize, &'static str)]) -> String,
    more_well: fn(usize) -> String,
    user: &'static str,
    heads: [&'static str; 5],
    meaning: fn(&str) -> Option<&'static str>,
}

const ENGLISH: Words = Words {
    outcome: Outcome::name,
    tally: |all, counts| {
        let counts: Vec<String> = counts.iter().map(|(count, outcome)| format!("{count} {outcome}")).collect();
        if all == 0 { "nothing to probe".to_owned() } else { format!("{all} probed: {}", counts.join(", ")) }
    },
    more_well: |more| format!("✓ and {more} more that are well (-v names them)"),
    user: "as",
    heads: ["", "step", "what", "server said", "to do"],
    meaning: |_| None,
};

const JAPANESE: Words = Words {
    outcome: |outcome| match outcome {
        Outcome::Ok => "正常",
        Outcome::Skipped => "未確認",
        Outcome::Warning => "警告",
        Outcome::Failed => "失敗",
    },
    tally: |all, counts| {
        let counts: Vec<String> = counts.iter().map(|(count, outcome)| format!("{outcome} {count} 件")).collect();
        if all == 0 {
            "確認するものはありません".to_owned()
        } else {
            format!("{all} 件を確認: {}", counts.join("、"))
        }
    },
    more_well: |more| format!("✓ ほか正常 {more} 件（-v で表示）"),
    user: "ユーザー",
    heads: ["", "手順", "結果", "サーバーの応答", "対処"],
    meaning: japanese::meaning,
};

impl Words {
    fn of(lang: Lang) -> &'static Words {
        match lang {
            Lang::En => &ENGLISH,
            Lang::Ja => &JAPANESE,
        }
    }
}

/// Those that are well first, so that what matters stands where the eye ends.
fn ordered(all: &[Probed]) -> Vec<&Probed> {
    let mut ordered: Vec<&Probed> = all.iter().collect();
    ordered.sort_by_key(|probed| probed.outcome());
    ordered
}

fn server(probed: &Probed) -> String {
    let Probed { protocol, host, port, security, .. } = probed;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    format!("{} {host}:{port} ({})", protocol.title(), security.name())
}

fn place(probed: &Probed, places: &Places) -> Option<String> {
    places.get(&probed.address).map(|(file, place)| format!("{file}:{}", place.line))
}

fn message(step: &Step, words: &Words) -> String {
    let meaning = step.code.and_then(words.meaning);
    match (meaning, step.message.is_empty()) {
        (Some(meaning), true) => meaning.to_owned(),
        (Some(meaning), false) => format!("{meaning} ({})", step.message),
        (None, _) => step.message.clone(),
    }
}

fn tally(all: &[Probed], words: &Words) -> String {
    let counts: Vec<(usize, &'static str)> = Outcome::ALL
        .into_iter()
        .map(|outcome| (all.iter().filter(|one| one.outcome() == outcome).count(), (words.outcome)(outcome)))
        .filter(|(count, _)| *count > 0)
        .collect();
    (words.tally)(all.len(), &counts)
}

/// A line for each target that is well, all steps of the others; with `in_full`, of all.
pub fn text(all: &[Probed], places: &Places, in_full: bool, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let words = Words::of(lang);
    let mut well = 0;
    for probed in ordered(all) {
        let is_well = probed.outcome() == Outcome::Ok;
        well += usize::from(is_well);
        if is_well && well > WELL && !in_full {
            continue;
        }
        let (mark, colour) = look(probed.outcome());
        let user = probed.user.as_ref().map_or(String::new(), |user| format!(" {} {}", words.user, harmless(user)));
        let declared = place(probed, places).map_or(String::new(), |place| format!("  {}", harmless(&place)));
        let address = probed.address.to_string();
        let server = server(probed);
        writeln!(
            to,
            "{} {}  {}{user}{}",
            style(mark, colour),
            style(harmless(&address), STRONG),
            harmless(&server),
            style(declared, FAINT)
        )?;
        if !is_well || in_full {
            probed.steps.iter().try_for_each(|one| step(one, words, to))?;
        }
    }
    if well > WELL && !in_full {
        writeln!(to, "{}", style((words.more_well)(well - WELL), FAINT))?;
    }
    writeln!(to, "{}", tally(all, words))
}

fn step(step: &Step, words: &Words, to: &mut dyn Write) -> io::Result<()> {
    const INDENT: &str = "                             ";
    let (_, colour) = look(step.outcome);
    let outcome = format!("{:<8}", (words.outcome)(step.outcome));
    let mut line = format!("    {} {:<15} ", style(outcome, colour), step.name.name());
    let message = message(step, words);
    if !message.is_empty() {
        let _ = write!(line, "{} ", harmless(&message));
    }
    if let Some(code) = step.code {
        let _ = write!(line, "{} ", style(format!("[{code}]"), FAINT));
    }
    let _ = write!(line, "{}", style(format!("{} ms", step.took.as_millis()), FAINT));
    writeln!(to, "{line}")?;
    if let Some(said) = &step.said {
        writeln!(to, "{INDENT}{}", style(format!("« {} »", harmless(said)), FAINT))?;
    }
    if let Some(hint) = &step.hint {
        writeln!(to, "{INDENT}{} {}", style("help:", HELP), harmless(hint))?;
    }
    Ok(())
}

/// A table for each target that is not well, for a comment.
pub fn markdown(all: &[Probed], places: &Places, lang: Lang) -> String {
    let words = Words::of(lang);
    let mut page = format!("**{}**\n", prose(&tally(all, words)));
    for probed in ordered(all).into_iter().rev() {
        let (mark, _) = look(probed.outcome());
        let user = probed.user.as_ref().map_or(String::new(), |user| format!(" {} {}", words.user, code(user)));
        let declared = place(probed, places).map_or(String::new(), |place| format!(" · {}", code(&place)));
        let address = code(&probed.address.to_string());
        let _ = write!(page, "\n{mark} {address} {}{user}{declared}\n", code(&server(probed)));
        if probed.outcome() == Outcome::Ok {
            continue;
        }
        let _ = write!(page, "\n| {} |\n|---|---|---|---|---|\n", words.heads.join(" | "));
        for step in &probed.steps {
            let cell = |text: &str| if text.is_empty() { String::new() } else { prose(text) };
            let named = step.code.map_or(String::new(), |name| format!(" ({})", code(name)));
            let _ = writeln!(
                page,
                "| {} | {} | {}{named} | {} | {} |",
                (words.outcome)(step.outcome),
                step.name.name(),
                cell(&message(step, words)),
                cell(step.said.as_deref().unwrap_or_default()),
                cell(step.hint.as_deref().unwrap_or_default()),
            );
        }
    }
    page
}
