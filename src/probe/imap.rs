//! `IMAP4rev1` (RFC 3501) as far as a probe speaks it.

use super::dialogue::{Broken, Dialogue, Stream};
use super::finding::{Finding, Steps, Stop};
use super::reply::{Refusal, Reply, Verdict, bracketed, wants_rest, wants_tls};
use super::session::{Offers, Session};
use super::{advice, utf7};
use crate::model::probe::StepName;

/// Folders that are named where one is missing.
const NAMED: usize = 10;

pub fn reply<S: Stream>(dialogue: &mut Dialogue<'_, S>, tag: u32) -> Result<Reply, Finding> {
    let tag = format!("a{tag} ");
    let mut lines = Vec::new();
    loop {
        let line = match line(dialogue) {
            Ok(line) => line,
            Err(fault) => return Err(with_bye(dialogue, &fault, &lines)),
        };
        if let Some(rest) = line.strip_prefix(&tag) {
            let (status, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let verdict = match status.to_ascii_uppercase().as_str() {
                "OK" => Verdict::Done,
                "NO" => Verdict::No,
                "BAD" => Verdict::Bad,
                _ => return Err(dialogue.odd(dialogue.shown(&line))),
            };
            return Ok(Reply { verdict, number: 0, code: bracketed(text), line: rest.to_owned(), lines });
        }
        if let Some(more) = line.strip_prefix('+') {
            let line = more.strip_prefix(' ').unwrap_or(more).to_owned();
            return Ok(Reply { verdict: Verdict::More, number: 0, code: String::new(), line, lines });
        }
        if !line.starts_with("* ") {
            return Err(dialogue.odd(dialogue.shown(&line)));
        }
        lines.push(line);
    }
}

/// A line with its literals in their places.
fn line<S: Stream>(dialogue: &mut Dialogue<'_, S>) -> Result<String, Broken> {
    let mut whole = dialogue.read_line()?;
    while let Some(bytes) = literal(&whole) {
        let text = dialogue.read_exact(bytes)?;
        whole.truncate(whole.rfind('{').unwrap_or(whole.len()));
        whole += &quoted(&text);
        whole += &dialogue.read_line()?;
    }
    Ok(whole)
}

fn literal(line: &str) -> Option<usize> {
    let (_, number) = line.strip_suffix('}')?.rsplit_once('{')?;
    let number = number.strip_suffix('+').unwrap_or(number);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // More than fits is refused when it is read.
    digits.then(|| number.parse().unwrap_or(usize::MAX))
}

/// A server that closes says why before.
fn with_bye<S: Stream>(dialogue: &Dialogue<'_, S>, fault: &Broken, lines: &[String]) -> Finding {
    let finding = dialogue.broken(fault);
    match lines.iter().rev().find(|line| line.len() > 5 && line[..5].eq_ignore_ascii_case("* BYE")) {
        Some(bye) => finding.said(dialogue.shown(bye)),
        None => finding,
    }
}

/// A quoted string.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub fn offers<S: Stream>(session: &mut Session<'_, S>) -> Result<Offers, Finding> {
    let reply = session.ask("CAPABILITY", "CAPABILITY")?;
    let told = reply.lines.iter().rev().find_map(|line| capabilities(line));
    match told {
        Some(words) if reply.is_done() => {
            let mechanisms = words.iter().filter_map(|word| word.strip_prefix("AUTH=")).map(str::to_owned).collect();
            let starttls = words.iter().any(|word| word == "STARTTLS");
            Ok(Offers { told: true, mechanisms, starttls, words, size: None })
        }
        _ => Err(session.odd(&reply)),
    }
}

fn capabilities(line: &str) -> Option<Vec<String>> {
    let upper = line.to_ascii_uppercase();
    let words = upper.strip_prefix("* CAPABILITY ")?;
    Some(words.split_ascii_whitespace().map(str::to_owned).collect())
}

/// RFC 5530, and the words of those servers that do not know it.
pub fn refusal(reply: &Reply, encrypted: bool) -> Refusal {
    // Dovecot tells the reason beside, in a line of its own.
    let told = Reply { line: reply.whole(), ..reply.clone() };
    match () {
        () if reply.has("PRIVACYREQUIRED") || wants_tls(&told, encrypted) => Refusal::NeedsTls,
        () if reply.has("AUTHENTICATIONFAILED") || reply.has("EXPIRED") || reply.has("AUTHORIZATIONFAILED") => {
            Refusal::Password
        }
        () if reply.has("LIMIT") => Refusal::Limit,
        () if ["UNAVAILABLE", "SERVERBUG", "INUSE", "CORRUPTION", "CONTACTADMIN"]
            .iter()
            .any(|code| reply.has(code)) =>
        {
            Refusal::Unavailable
        }
        () if wants_rest(&told) => Refusal::Limit,
        () if reply.verdict == Verdict::Bad => Refusal::Protocol,
        () if reply.tells(&["temporar", "unavailable", "internal error"]) => Refusal::Unavailable,
        () => Refusal::Password,
    }
}

/// INBOX, the quota, and the declared folder. What changes nothing is asked: `EXAMINE`, not `SELECT`.
pub fn mailbox<S: Stream>(session: &mut Session<'_, S>, steps: &mut Steps) -> Result<(), Stop> {
    let looked = look(session);
    steps.take(StepName::Mailbox, looked)
}

fn look<S: Stream>(session: &mut Session<'_, S>) -> Result<((), Finding), Finding> {
    // Most servers tell more to those who have logged in.
    session.ask_offers()?;
    let inbox = session.ask("EXAMINE", "EXAMINE INBOX")?;
    if !inbox.is_done() {
        let said = session.dialogue.told(&inbox);
        let hint = "look at the server's log; mailboxes are made at the first login, or by hand";
        return Err(if inbox.has("NONEXISTENT") || inbox.verdict == Verdict::No {
            Finding::failed("probe/folder-missing", "INBOX cannot be opened").said(said).hint(hint)
        } else {
            session.odd(&inbox)
        });
    }
    if let Some(folder) = &session.target.folder {
        find_folder(session, folder)?;
    }
    let count =
        inbox.lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse::<u64>().ok());
    let mut message = match count {
        Some(1) => "INBOX, 1 message".to_owned(),
        Some(count) => format!("INBOX, {count} messages"),
        None => "INBOX".to_owned(),
    };
    if session.offers.has("QUOTA") {
        let reply = session.ask("GETQUOTAROOT", "GETQUOTAROOT INBOX")?;
        let all: Vec<Quota> = reply.lines.iter().flat_map(|line| quotas(line)).collect();
        if let Some(full) = all.iter().find(|quota| quota.used >= quota.limit) {
            let message = format!("the mailbox is full: {}", full.words());
            return Ok(((), Finding::warning("probe/mailbox-full", message).hint(advice::MAKE_ROOM)));
        }
        for quota in all {
            message = format!("{message}, {}", quota.words());
        }
    }
    Ok(((), Finding::ok(message)))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Quota {
    storage: bool,
    used: u64,
    limit: u64,
}

impl Quota {
    fn words(&self) -> String {
        format!("{} of {} {} used", self.used, self.limit, if self.storage { "KiB" } else { "messages" })
    }
}

/// RFC 2087: `* QUOTA "root" (STORAGE 10 512 MESSAGE 2 100)`.
fn quotas(line: &str) -> Vec<Quota> {
    let Some((head, list)) = line.rsplit_once('(') else { return Vec::new() };
    if !head.to_ascii_uppercase().starts_with("* QUOTA ") {
        return Vec::new();
    }
    let words: Vec<&str> = list.trim_end_matches(')').split_ascii_whitespace().collect();
    words
        .chunks_exact(3)
        .filter_map(|chunk| {
            let storage = chunk[0].eq_ignore_ascii_case("STORAGE");
            let known = storage || chunk[0].eq_ignore_ascii_case("MESSAGE");
            let quota = Quota { storage, used: chunk[1].parse().ok()?, limit: chunk[2].parse().ok()? };
            (known && quota.limit > 0).then_some(quota)
        })
        .collect()
}

fn find_folder<S: Stream>(session: &mut Session<'_, S>, folder: &str) -> Result<(), Finding> {
    let missing =
        |message: String| Finding::failed("probe/folder-missing", message).hint("correct `incoming.imap_root`");
    if folder.chars().any(char::is_control) {
        return Err(missing("the name of the folder holds a line break".to_owned()));
    }
    // A root is often written with the separator behind it.
    for name in [folder, folder.trim_end_matches(['/', '.'])] {
        let reply = session.ask("LIST", &format!("LIST \"\" {}", quoted(&utf7::encode(name))))?;
        if !name.is_empty() && reply.is_done() && reply.lines.iter().any(|line| listed(line).is_some()) {
            return Ok(());
        }
    }
    let reply = session.ask("LIST", "LIST \"\" \"%\"")?;
    let names: Vec<String> = reply.lines.iter().filter_map(|line| listed(line)).take(NAMED).collect();
    let there = session.dialogue.shown(&names.join(", "));
    Err(missing(format!("the folder {folder} is not there; there are: {there}")))
}

/// The name in `* LIST (\HasNoChildren) "." "name"`, if the folder exists.
fn listed(line: &str) -> Option<String> {
    let upper = line.to_ascii_uppercase();
    if !upper.starts_with("* LIST (") || upper.contains("\\NONEXISTENT") {
        return None;
    }
    let rest = &line[line.find(')')? + 1..];
    // The separator: quoted, or NIL.
    let (_, rest) = word(rest.trim_start())?;
    let (name, _) = word(rest.trim_start())?;
    (!name.is_empty()).then(|| utf7::decode(&name))
}

/// A quoted string or an atom, and what is behind it.
fn word(text: &str) -> Option<(String, &str)> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return Some((name, &inside[at + 1..])),
            c => {
                name.push(c);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_quotas_are_read() {
        for (line, expected) in [
            (r#"* LIST (\HasNoChildren) "." "INBOX.Sent""#, Some("INBOX.Sent")),
            (r"* LIST () NIL INBOX", Some("INBOX")),
            (r#"* list (\Noselect) "/" "a \"b\" \\c""#, Some(r#"a "b" \c"#)),
            (r#"* LIST () "/" "&Tg1XKA-""#, Some("不在")),
            (r#"* LIST (\NonExistent) "/" "gone""#, None),
            (r"* LIST", None),
            (r#"* LIST () "/" "open"#, None),
            (r#"* LIST () "/" """#, None),
        ] {
            assert_eq!(listed(line).as_deref(), expected, "{line}");
        }
        let quota = |storage, used, limit| Quota { storage, used, limit };
        assert_eq!(
            quotas(r#"* QUOTA "User (a) quota" (STORAGE 10 512 MESSAGE 2 100)"#),
            [quota(true, 10, 512), quota(false, 2, 100)]
        );
        assert_eq!(quotas("* QUOTA x (STORAGE 10 0 MESSAGE a b ANNOTATION 1 2 STORAGE)"), []);
        assert_eq!(quotas("* QUOTAROOT INBOX (STORAGE 1 1)"), []);
    }

    #[test]
    fn a_literal_is_told_by_its_end() {
        for (line, expected) in [
            ("* LIST () \".\" {5}", Some(5)),
            ("x {0+}", Some(0)),
            ("{99999999999999999999999}", Some(usize::MAX)),
            ("{}", None),
            ("{-1}", None),
            ("{5} x", None),
        ] {
            assert_eq!(literal(line), expected, "{line}");
        }
    }
}
