//! POP3 (RFC 1939, 2449, 3206) as far as a probe speaks it.

use super::dialogue::{Dialogue, Stream};
use super::finding::{Finding, Steps, Stop};
use super::reply::{Refusal, Reply, Verdict, bracketed, wants_rest, wants_tls};
use super::session::{Offers, Session};
use crate::model::probe::StepName;

pub fn reply<S: Stream>(dialogue: &mut Dialogue<'_, S>) -> Result<Reply, Finding> {
    let line = dialogue.line()?;
    let (status, text) = line.split_once(' ').unwrap_or((&line, ""));
    let verdict = match status.to_ascii_uppercase().as_str() {
        "+OK" => Verdict::Done,
        "-ERR" => Verdict::No,
        "+" => Verdict::More,
        _ => return Err(dialogue.odd(dialogue.shown(&line))),
    };
    let code = bracketed(text);
    let line = if verdict == Verdict::More { text.to_owned() } else { line };
    Ok(Reply { verdict, number: 0, code, line, lines: Vec::new() })
}

/// The lines behind an answer that has many, without the point at their end and those that were put before others.
fn lines<S: Stream>(session: &mut Session<'_, S>) -> Result<Vec<String>, Finding> {
    let mut lines = Vec::new();
    loop {
        let line = session.dialogue.line();
        let line = session.mark(line)?;
        match line.strip_prefix('.') {
            Some("") => return Ok(lines),
            Some(stuffed) => lines.push(stuffed.to_owned()),
            None => lines.push(line),
        }
    }
}

pub fn offers<S: Stream>(session: &mut Session<'_, S>) -> Result<Offers, Finding> {
    if !session.ask("CAPA", "CAPA")?.is_done() {
        return Ok(Offers::default());
    }
    let words: Vec<String> = lines(session)?.into_iter().map(|line| line.to_ascii_uppercase()).collect();
    let mut mechanisms = words.iter().filter_map(|line| line.strip_prefix("SASL "));
    let mechanisms = mechanisms.next().unwrap_or("").split_ascii_whitespace().map(str::to_owned).collect();
    let starttls = words.iter().any(|word| word == "STLS");
    Ok(Offers { told: true, words, mechanisms, starttls, size: None })
}

/// RFC 2449 and 3206, and the words of those servers that do not know them.
pub fn refusal(reply: &Reply, encrypted: bool) -> Refusal {
    match () {
        // Dovecot says `[AUTH]` of this, too.
        () if wants_tls(reply, encrypted) => Refusal::NeedsTls,
        () if reply.has("AUTH") => Refusal::Password,
        () if reply.code.starts_with("SYS/") || reply.has("IN-USE") => Refusal::Unavailable,
        () if reply.has("LOGIN-DELAY") || wants_rest(reply) => Refusal::Limit,
        () if reply.tells(&["temporar", "unavailable", "internal error"]) => Refusal::Unavailable,
        () => Refusal::Password,
    }
}

/// Whether there is UIDL, by which a client knows what it has fetched (004:15).
pub fn uidl<S: Stream>(session: &mut Session<'_, S>, steps: &mut Steps) -> Result<(), Stop> {
    let asked = ask_uidl(session);
    steps.take(StepName::Uidl, asked)
}

fn ask_uidl<S: Stream>(session: &mut Session<'_, S>) -> Result<((), Finding), Finding> {
    let messages = messages(session)?;
    // One message tells as much as all of them, which may be many.
    let reply = if messages > 0 {
        session.ask("UIDL", "UIDL 1")?
    } else {
        let reply = session.ask("UIDL", "UIDL")?;
        if reply.is_done() {
            lines(session)?;
        }
        reply
    };
    if reply.is_done() {
        return Ok((
            (),
            Finding::ok(if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") }),
        ));
    }
    let said = session.dialogue.shown(&reply.line);
    let message = "the server has no UIDL: clients that leave mail on the server fetch it again and again";
    if session.target.uidl {
        let hint = "the product needs UIDL: use another server, or ask the administrator of this one";
        Err(Finding::failed("probe/uidl-missing", message).said(said).hint(hint))
    } else {
        Ok((
            (),
            Finding::warning("probe/uidl-missing", message)
                .said(said)
                .hint("use another server, or ask its administrator"),
        ))
    }
}

/// How many messages there are.
pub fn messages<S: Stream>(session: &mut Session<'_, S>) -> Result<u64, Finding> {
    let reply = session.ask("STAT", "STAT")?;
    let count = reply.line.split_ascii_whitespace().nth(1).and_then(|count| count.parse().ok());
    match count {
        Some(count) if reply.is_done() => Ok(count),
        _ => Err(session.odd(&reply)),
    }
}

/// The headers of a message; `None` if the server does not give them.
pub fn headers<S: Stream>(session: &mut Session<'_, S>, number: u64) -> Result<Option<Vec<String>>, Finding> {
    if session.ask("TOP", &format!("TOP {number} 0"))?.is_done() { lines(session).map(Some) } else { Ok(None) }
}
