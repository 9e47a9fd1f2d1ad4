//! Diagnostics for the pages of a forge: workflow commands that GitHub's runner turns into annotations,
//! and the Code Quality report that GitLab shows in a merge request.

use std::collections::HashMap;
use std::io::{self, Write};

use super::Lang;
use super::text::harmless;
use crate::model::{Diagnostic, Refusal, Severity};

/// Where GitLab puts what concerns the project as a whole: it wants a file of each.
const PROJECT_FILE: &str = "yubin.yaml";

/// Workflow commands, a line each. `prefix` is the project's folder below the top of the repository:
/// the runner looks for files from there. Refusals come first, since GitHub shows ten errors of a step
/// and drops the others.
pub fn github<'d>(
    diagnostics: impl IntoIterator<Item = &'d Diagnostic>,
    refused: &[Refusal],
    lang: Lang,
    prefix: &str,
    to: &mut dyn Write,
) -> io::Result<()> {
    for refusal in refused {
        writeln!(to, "::error title={}::{}", property(refusal.rule), data(&(lang.words().refusal)(refusal)))?;
    }
    for diagnostic in diagnostics {
        let Diagnostic { severity, code, message, hint, file, line, column, address, field: _ } = diagnostic;
        let command = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        write!(to, "::{command} ")?;
        if let Some(file) = file {
            write!(to, "file={},", property(&from_top(prefix, file)))?;
            if *line > 0 {
                write!(to, "line={line},")?;
            }
            if *line > 0 && *column > 0 {
                write!(to, "col={column},")?;
            }
        }
        write!(to, "title={}::{}", property(code), data(message))?;
        // A place says which resource is meant; without one its address must.
        if let (Some(address), None) = (address, file) {
            write!(to, "%0A{}", data(&address.to_string()))?;
        }
        if let Some(hint) = hint {
            write!(to, "%0A{}", data(hint))?;
        }
        writeln!(to)?;
    }
    Ok(())
}

/// Writes text of which nothing is a command. The runner takes `::error::` behind the blanks at the beginning
/// of a line, and `##[error]` anywhere in one, and values of others stand in these lines: a character that is not
/// seen parts them.
pub struct Literal<W: Write> {
    to: W,
    line: Vec<u8>,
}

const UNSEEN: &str = "\u{200b}";

impl<W: Write> Literal<W> {
    pub fn new(to: W) -> Literal<W> {
        Literal { to, line: Vec::new() }
    }

    fn put(&mut self) -> io::Result<()> {
        let line = String::from_utf8_lossy(&self.line);
        let mut line = line.replace("##[", &format!("##{UNSEEN}["));
        let start = line.len() - line.trim_start().len();
        if line[start..].starts_with("::") {
            line.insert_str(start + 1, UNSEEN);
        }
        self.to.write_all(line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

impl<W: Write> Write for Literal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.put()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put()?;
        self.to.flush()
    }
}

/// A Code Quality report. `prefix` as for GitHub.
pub fn gitlab<'d>(
    diagnostics: impl IntoIterator<Item = &'d Diagnostic>,
    prefix: &str,
    to: &mut dyn Write,
) -> io::Result<()> {
    // Those that are alike but for their lines.
    let mut alike: HashMap<Fingerprint, u64> = HashMap::new();
    write!(to, "[")?;
    for (at, diagnostic) in diagnostics.into_iter().enumerate() {
        let Diagnostic { severity, code, message, hint, file, line, column: _, address, field } = diagnostic;
        // Of one report, GitLab has five words and none of them is "error".
        let severity = match severity {
            Severity::Error => "critical",
            Severity::Warning => "minor",
            Severity::Info => "info",
        };
        let path = from_top(prefix, file.as_deref().unwrap_or(PROJECT_FILE));
        let mut description = harmless(message).into_owned();
        if let Some(hint) = hint {
            description.push_str(" (");
            description.push_str(&harmless(hint));
            description.push(')');
        }
        let address = address.as_ref().map_or(String::new(), ToString::to_string);
        let said = [code, path.as_str(), &address, field.unwrap_or_default(), message];
        // Not the line: what has only moved is the same to GitLab. Of those that are alike it would show one,
        // so they are counted.
        let nth = alike.entry(fingerprint(said, 0)).or_default();
        *nth += 1;
        let issue = serde_json::json!({
            "description": description,
            "check_name": code,
            "fingerprint": hex(fingerprint(said, *nth)),
            "severity": severity,
            "location": { "path": harmless(&path), "lines": { "begin": (*line).max(1) } },
        });
        write!(to, "{}\n  {issue}", if at > 0 { "," } else { "" })?;
    }
    writeln!(to, "{}]", if alike.is_empty() { "" } else { "\n" })
}

type Fingerprint = [u8; 16];

/// The same for the same complaint, whatever stands around it.
fn fingerprint(said: [&str; 5], nth: u64) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    for part in said {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&nth.to_le_bytes());
    let mut short = Fingerprint::default();
    hasher.finalize_xof().fill(&mut short);
    short
}

fn hex(bytes: Fingerprint) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// A file of the project, as it is named from the top of the repository. A file outside the repository
/// keeps its name.
fn from_top(prefix: &str, file: &str) -> String {
    if file.starts_with('/') {
        return file.to_owned();
    }
    let mut parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return file.to_owned();
                }
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The message of a workflow command.
fn data(text: &str) -> String {
    // What is harmless to a terminal has no line breaks any more; the runner would take them for ours.
    harmless(text).replace('%', "%25")
}

/// The value of a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::refusal::{Among, Counted, Why};
    use crate::model::{Address, Key, Kind, Limit};

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut to = Vec::new();
        write(&mut to).unwrap();
        String::from_utf8(to).unwrap()
    }

    fn on_github(diagnostic: &Diagnostic, prefix: &str) -> String {
        written(|to| github([diagnostic], &[], Lang::En, prefix, to))
    }

    fn on_gitlab(diagnostics: &[Diagnostic], prefix: &str) -> serde_json::Value {
        serde_json::from_str(&written(|to| gitlab(diagnostics, prefix, to))).unwrap()
    }

    fn taro() -> Address {
        Address::new(Kind::Pattern, Key::pair("taro", "pattern1"))
    }

    #[test]
    fn a_diagnostic_is_a_workflow_command() {
        let error = Diagnostic::error("yaml/unknown-key", "`prot` is no key").hint("did you mean `port`?");
        assert_eq!(
            on_github(&error.clone().at("people/a.yaml", 3, 5).of(&taro()), "mail/"),
            "::error file=mail/people/a.yaml,line=3,col=5,title=yaml/unknown-key::`prot` is no key%0Adid you mean `port`?\n"
        );
        let warning = Diagnostic::warning("file/empty", "nothing in it").at("a.csv", 0, 0);
        assert_eq!(on_github(&warning, ""), "::warning file=a.csv,title=file/empty::nothing in it\n");
        let info = Diagnostic::info("resource/renamed", "looks renamed").of(&taro());
        assert_eq!(on_github(&info, ""), "::notice title=resource/renamed::looks renamed%0Apattern/taro/pattern1\n");
    }

    #[test]
    fn nothing_written_ends_a_command_or_begins_another() {
        let tricky = "100%0A::error::x\r\n##[set-output name=a]b, c: \u{1b}[2J\u{202e}";
        let at = Diagnostic::error("a/b", tricky).hint(tricky).at("a,line=9::b:%3A\n.yaml", 1, 2);
        let line = on_github(&at, "x:y/");
        assert_eq!(line.matches('\n').count(), 1);
        let said = "100%250A::error::x\\r\\n##[set-output name=a]b, c: \\u{1b}[2J\\u{202e}";
        assert_eq!(
            line,
            format!("::error file=x%3Ay/a%2Cline=9%3A%3Ab%3A%253A\\n.yaml,line=1,col=2,title=a/b::{said}%0A{said}\n")
        );
    }

    #[test]
    fn refusals_come_first() {
        let limit = Limit::Percent(3_000);
        let why =
            Why::Limit { of: Counted::Deletes, among: Among::Kind(Kind::Account), touched: 104, owned: 261, limit };
        let refused = [Refusal { rule: "max_deletes", why }];
        let info = Diagnostic::info("a/b", "c");
        let text = written(|to| github([&info], &refused, Lang::En, "", to));
        let (first, second) = text.split_once('\n').unwrap();
        assert!(first.starts_with("::error title=max_deletes::"), "{first}");
        assert!(first.ends_with("39.85 %25 is over 30 %25 (104 of 261)"), "{first}");
        assert_eq!(second, "::notice title=a/b::c\n");
        let text = written(|to| github([], &refused, Lang::Ja, "", to));
        assert!(text.contains("::error title=max_deletes::") && !text.contains("is over"), "{text}");
    }

    #[test]
    fn no_line_of_a_text_becomes_a_command() {
        let text = written(|to| {
            let mut to = Literal::new(to);
            write!(to, "::error::x\n  ::set-output::y\na ##[error]z\nname ::kept")?;
            to.flush()
        });
        assert_eq!(text, ":\u{200b}:error::x\n  :\u{200b}:set-output::y\na ##\u{200b}[error]z\nname ::kept");
    }

    #[test]
    fn files_are_named_from_the_top() {
        let check = |prefix: &str, file: &str, expected: &str| assert_eq!(from_top(prefix, file), expected);
        check("", "a.yaml", "a.yaml");
        check("mail/", "people/a.csv", "mail/people/a.csv");
        check("mail", "./a.yaml", "mail/a.yaml");
        check("sites/head/", "../shared/a.yaml", "sites/shared/a.yaml");
        check("mail/", "../../a.yaml", "../../a.yaml");
        check("mail/", "/etc/yubin/trusted.yaml", "/etc/yubin/trusted.yaml");
    }

    #[test]
    fn a_report_is_what_gitlab_reads() {
        let error = Diagnostic::error("yaml/unknown-key", "`prot`\u{7} is no key").hint("did you mean `port`?");
        let report = on_gitlab(
            &[error.at("a.yaml", 3, 5), Diagnostic::warning("a/b", "c"), Diagnostic::info("a/c", "d")],
            "mail/",
        );
        assert_eq!(report[0]["description"], "`prot`\\u{7} is no key (did you mean `port`?)");
        assert_eq!(report[0]["check_name"], "yaml/unknown-key");
        assert_eq!(report[0]["severity"], "critical");
        assert_eq!(report[0]["location"], serde_json::json!({ "path": "mail/a.yaml", "lines": { "begin": 3 } }));
        assert_eq!(report[1]["severity"], "minor");
        assert_eq!(report[1]["location"], serde_json::json!({ "path": "mail/yubin.yaml", "lines": { "begin": 1 } }));
        assert_eq!(report[2]["severity"], "info");
        assert_eq!(report[0].as_object().unwrap().len(), 5);
    }

    #[test]
    fn no_diagnostics_are_an_empty_report() {
        assert_eq!(written(|to| gitlab(&[], "", to)), "[]\n");
    }

    #[test]
    fn a_fingerprint_stays_where_lines_move_and_differs_from_every_other() {
        let one = |line| Diagnostic::error("a/b", "c").at("a.yaml", line, 1);
        let prints = |diagnostics: &[Diagnostic]| -> Vec<String> {
            let report = on_gitlab(diagnostics, "");
            report.as_array().unwrap().iter().map(|one| one["fingerprint"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(prints(&[one(3)]), prints(&[one(7)]));
        assert_eq!(prints(&[one(3), one(9)]), prints(&[one(4), one(5)]));
        let mut all = prints(&[
            one(3),
            one(9),
            one(12),
            one(3).of(&taro()),
            one(3).field("outgoing.port"),
            Diagnostic::error("a/c", "c").at("a.yaml", 3, 1),
            Diagnostic::error("a/b", "d").at("a.yaml", 3, 1),
            Diagnostic::error("a/b", "c").at("b.yaml", 3, 1),
            Diagnostic::error("a/b", "c"),
        ]);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|print| print.len() == 32));
    }
}
