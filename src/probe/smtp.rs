//! SMTP (RFC 5321, 1870, 4954) as far as a probe speaks it.

use std::net::IpAddr;

use super::advice;
use super::dialogue::{Dialogue, Stream};
use super::finding::{Finding, Steps};
use super::greeting::{self, Heard};
use super::reply::{Refusal, Reply, Verdict, enhanced, wants_rest, wants_tls};
use super::session::{Offers, Session};
use crate::model::probe::{Send, StepName};

pub fn reply<S: Stream>(dialogue: &mut Dialogue<'_, S>) -> Result<Reply, Finding> {
    let first = dialogue.line()?;
    rest_of(dialogue, &first)
}

/// The answer that begins with this line.
pub fn rest_of<S: Stream>(dialogue: &mut Dialogue<'_, S>, first: &str) -> Result<Reply, Finding> {
    let mut line = first.to_owned();
    let mut lines = Vec::new();
    loop {
        let number: u16 = match line.get(..3).map(str::parse) {
            Some(Ok(number)) if (200..600).contains(&number) => number,
            _ => return Err(dialogue.odd(dialogue.shown(&line))),
        };
        match line.as_bytes().get(3) {
            Some(b'-') => lines.push(line),
            None | Some(b' ') => {
                let verdict = match number / 100 {
                    2 => Verdict::Done,
                    3 => Verdict::More,
                    _ => Verdict::No,
                };
                let text = line.get(4..).unwrap_or("");
                // Some give it in the first line alone.
                let all = [text].into_iter().chain(lines.iter().filter_map(|line: &String| line.get(4..)));
                let code = all.map(enhanced).find_map(|code| code).unwrap_or_default().to_owned();
                // What the server waits with: the challenge.
                let line = if verdict == Verdict::More { text.to_owned() } else { line };
                return Ok(Reply { verdict, number, code, line, lines });
            }
            Some(_) => return Err(dialogue.odd(dialogue.shown(&line))),
        }
        line = dialogue.line()?;
    }
}

pub fn offers<S: Stream>(session: &mut Session<'_, S>) -> Result<Offers, Finding> {
    let name = match session.dialogue.stream.own_address() {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => "[127.0.0.1]".to_owned(),
    };
    let reply = session.ask("EHLO", &format!("EHLO {name}"))?;
    if !reply.is_done() {
        // RFC 5321, 4.1.4: servers that know no extensions.
        let helo = session.ask("HELO", &format!("HELO {name}"))?;
        if helo.is_done() {
            return Ok(Offers::default());
        }
        // What knows neither is often the port by which mail comes into mailboxes (RFC 2033).
        if matches!(helo.number, 500 | 502) && session.ask("LHLO", &format!("LHLO {name}"))?.is_done() {
            return Err(greeting::finding(session.target, Heard::Other("LMTP"), session.dialogue.told(&helo)));
        }
        return Err(turned_away(session, &helo));
    }
    // The first line is the name of the server.
    let all: Vec<&String> = reply.lines.iter().chain([&reply.line]).collect();
    let words: Vec<String> =
        all.iter().skip(1).filter_map(|line| line.get(4..)).map(|word| word.trim().to_ascii_uppercase()).collect();
    let mut mechanisms: Vec<String> = Vec::new();
    for word in &words {
        // `AUTH=` is how it was written before there was a standard.
        if let Some(list) = word.strip_prefix("AUTH ").or_else(|| word.strip_prefix("AUTH=")) {
            mechanisms.extend(list.split_ascii_whitespace().map(str::to_owned));
        }
    }
    mechanisms.sort_unstable();
    mechanisms.dedup();
    let size = words.iter().find_map(|word| match word.strip_prefix("SIZE")? {
        "" => Some(0),
        number => number.trim().parse().ok(),
    });
    let starttls = words.iter().any(|word| word == "STARTTLS");
    Ok(Offers { told: true, words, mechanisms, starttls, size })
}

fn turned_away<S: Stream>(session: &Session<'_, S>, reply: &Reply) -> Finding {
    let said = session.dialogue.told(reply);
    if matches!(reply.number, 421 | 450..=499 | 550..=559) {
        let hint = "the server says why: limits, or lists of addresses that it refuses";
        Finding::failed("probe/greeting-refused", "the server turns us away").said(said).hint(hint)
    } else {
        Finding::failed("probe/protocol", "the server knows neither EHLO nor HELO")
            .said(said)
            .hint(advice::port(session.target))
    }
}

/// RFC 4954, 6, and the words of those servers that go their own way.
pub fn refusal(reply: &Reply, encrypted: bool) -> Refusal {
    match reply.number {
        421 => Refusal::Limit,
        523 | 530 | 538 if !encrypted => Refusal::NeedsTls,
        _ if wants_tls(reply, encrypted) => Refusal::NeedsTls,
        450..=459 | 432 if wants_rest(reply) || reply.code == "4.7.0" && reply.tells(&["many"]) => Refusal::Limit,
        400..=499 => Refusal::Unavailable,
        // 534 is about this user's password, or about the mechanism for this user: what is asked for was offered.
        504 => Refusal::Mechanism,
        500 | 502 | 503 => Refusal::NoAuth,
        501 => Refusal::Protocol,
        _ => Refusal::Password,
    }
}

/// Whether the server takes messages as large as declared.
pub fn size<S: Stream>(session: &Session<'_, S>, steps: &mut Steps) {
    let Some(declared) = session.target.size else { return };
    steps.note(
        StepName::Size,
        match session.offers.size {
            Some(limit) if limit > 0 && limit < declared => Finding::warning(
                "probe/size",
                format!("the server takes messages of {limit} bytes at most, {declared} are declared"),
            )
            .hint(format!("set `outgoing.max_message_size` to no more than {limit} bytes")),
            Some(limit) if limit > 0 => Finding::ok(format!("{limit} bytes")),
            _ => Finding::ok("the server tells no limit"),
        },
    );
}

/// Sends one message. `message` has its lines, each with its end but the last.
pub fn send<S: Stream>(session: &mut Session<'_, S>, send: &Send, message: &str) -> Result<((), Finding), Finding> {
    let wide = !send.from.is_ascii() || !send.to.is_ascii();
    for (address, code, field) in
        [(&send.from, "probe/sender-refused", "`address`"), (&send.to, "probe/recipient-refused", "`--send`")]
    {
        if address.chars().any(|c| c.is_control() || c.is_whitespace() || "<>".contains(c)) {
            return Err(
                Finding::failed(code, "this is no address of mail; it was not sent").hint(format!("correct {field}"))
            );
        }
        if !address.is_ascii() && !session.offers.has("SMTPUTF8") {
            let message = "the server takes no addresses beyond ASCII (SMTPUTF8)";
            return Err(Finding::failed(code, message).hint(format!("write {field} in ASCII")));
        }
    }
    // The server can tell at once that there is no room.
    let size = if session.offers.size.is_some() { format!(" SIZE={}", message.len() + 2) } else { String::new() };
    let utf8 = if wide { " SMTPUTF8" } else { "" };
    let reply = session.ask("MAIL FROM", &format!("MAIL FROM:<{}>{size}{utf8}", send.from))?;
    if !reply.is_done() {
        return Err(refused(session, &reply, "probe/sender-refused", "the sender is refused", sender_hint));
    }
    let reply = session.ask("RCPT TO", &format!("RCPT TO:<{}>", send.to))?;
    if !reply.is_done() && is_of_sender(&reply, send) {
        return Err(refused(session, &reply, "probe/sender-refused", "the sender is refused", sender_hint));
    }
    if !reply.is_done() {
        let later = reply.number / 100 == 4;
        let before = session.target.before.is_some();
        return Err(refused(session, &reply, "probe/recipient-refused", "the recipient is refused", || match () {
            () if later => "the server may take it later: so do many with senders that they do not know yet".to_owned(),
            () if before => "correct the address of `--send`, or raise `outgoing.pop_before_smtp_wait`".to_owned(),
            () => "correct the address of `--send`; for other domains servers want `outgoing.auth.enabled: true`"
                .to_owned(),
        }));
    }
    let reply = session.ask("DATA", "DATA")?;
    let reply = if reply.verdict == Verdict::More {
        session.begin("the message", &format!("{message}\r\n."))?;
        session.reply()?
    } else {
        reply
    };
    if !reply.is_done() {
        return Err(refused(session, &reply, "probe/message-refused", "the message is refused", || {
            "the server says why; filters for spam are the usual reason".to_owned()
        }));
    }
    let said = session.dialogue.told(&reply);
    Ok(((), Finding::ok(format!("to {}", send.to)).said(said)))
}

fn sender_hint() -> String {
    "correct `address`, or ask the server's administrator which senders this user may have".to_owned()
}

/// Whether an answer to RCPT TO is about the sender: Postfix and others look at both only then. X.1.7 and X.1.8 are
/// codes of bad senders (RFC 3463); others are told by words, or by the address that is named.
fn is_of_sender(reply: &Reply, send: &Send) -> bool {
    if matches!(reply.code.as_str(), "4.1.7" | "5.1.7" | "4.1.8" | "5.1.8") {
        return true;
    }
    let text = reply.text();
    if text.contains("sender address rejected") || text.contains("not owned by user") {
        return true;
    }
    let names = |address: &str| {
        let address = address.to_lowercase();
        let inside = |c: char| c.is_alphanumeric() || "@.!#$%&'*+-/=?^_`{|}~".contains(c);
        text.split(|c| !inside(c)).any(|word| word.trim_matches(|c| "'`.".contains(c)) == address)
    };
    // Who may relay is told with the sender as well, and is a matter of the login.
    names(&send.from) && !names(&send.to) && !["relay", "recipient"].iter().any(|word| text.contains(word))
}

fn refused<S: Stream>(
    session: &Session<'_, S>,
    reply: &Reply,
    code: &'static str,
    message: &str,
    hint: impl Fn() -> String,
) -> Finding {
    let said = session.dialogue.told(reply);
    match () {
        () if is_full(reply) => {
            Finding::failed("probe/mailbox-full", "the mailbox of the recipient is full").hint(advice::MAKE_ROOM)
        }
        () if reply.number == 421 => {
            Finding::failed("probe/login-limit", "too many connections or messages").hint("wait")
        }
        () => Finding::failed(code, message).hint(hint()),
    }
    .said(said)
}

fn is_full(reply: &Reply) -> bool {
    match reply.code.as_str() {
        "4.2.2" | "5.2.2" => true,
        "5.3.4" | "5.2.3" => false,
        _ => reply.number == 552,
    }
}
