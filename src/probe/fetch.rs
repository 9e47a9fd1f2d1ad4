//! Looks for the marked message where it should arrive, and deletes it there.

use std::thread;
use std::time::{Duration, Instant};

use super::dialogue::Stream;
use super::finding::{Finding, Steps};
use super::login::Login;
use super::secrets::Secrets;
use super::session::Session;
use super::{Ground, enter, imap, message, pop3};
use crate::model::probe::{Outcome, Protocol, Send, Target};

/// Messages of a POP3 mailbox that are looked at, the newest.
const NEWEST: u64 = 50;
/// From the first look to the second; then longer.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// Waits for the message with that word, until it is found or `arrival` is over.
pub fn fetch(ground: &Ground<'_>, send: &Send, secrets: &Secrets, word: &str) -> Finding {
    let Some(back) = &send.back else {
        return Finding::skipped(None, format!("{} is no mailbox that can be looked into here", send.to));
    };
    let begun = Instant::now();
    let until = begun + ground.settings.arrival;
    let mut pause = FIRST_PAUSE;
    loop {
        match visit(ground, back, secrets, word, until, &mut pause) {
            Ok(Some(deleted)) => {
                let seconds = begun.elapsed().as_secs_f32();
                return Finding::ok(format!("arrived within {seconds:.1} s, {deleted}"));
            }
            Ok(None) if Instant::now() >= until => {
                let message = format!("the message did not arrive within {} s", ground.settings.arrival.as_secs_f32());
                return Finding::failed("probe/not-arrived", message).hint(
                    "look at the server's queue and log; it may still come. `probe.arrival` says how long to wait",
                );
            }
            Ok(None) => rest(&mut pause, until),
            Err(finding) => return finding,
        }
    }
}

/// Longer each time, but not beyond the end.
fn rest(pause: &mut Duration, until: Instant) {
    thread::sleep((*pause).min(until.saturating_duration_since(Instant::now())));
    *pause = (*pause * 2).min(PAUSE);
}

/// One session. What came of the message, once it is found.
fn visit(
    ground: &Ground<'_>,
    back: &Target,
    secrets: &Secrets,
    word: &str,
    until: Instant,
    pause: &mut Duration,
) -> Result<Option<&'static str>, Finding> {
    let mut steps = Steps::default();
    let turn = ground.ledger.turn(back);
    // The last look may go beyond the time of arrival.
    let overall = until.max(Instant::now()) + ground.settings.timeout;
    let Ok((mut session, login)) = enter(ground, back, secrets, overall, turn, &mut steps) else {
        return Err(steps.into_last().unwrap_or_else(|| Finding::skipped(None, "not looked at")));
    };
    if login != Login::In {
        session.close();
        let last = steps.into_last().filter(|finding| finding.outcome == Outcome::Skipped);
        return Err(last.unwrap_or_else(|| Finding::skipped(None, "nobody logs in where it should arrive")));
    }
    let found = match back.protocol {
        Protocol::Imap => by_imap(&mut session, word, until, pause),
        Protocol::Pop3 => by_pop3(&mut session, word),
        Protocol::Smtp => Err(Finding::skipped(None, "nothing can be fetched over SMTP")),
    };
    session.close();
    found
}

/// Looks again and again in one session.
fn by_imap<S: Stream>(
    session: &mut Session<'_, S>,
    word: &str,
    until: Instant,
    pause: &mut Duration,
) -> Result<Option<&'static str>, Finding> {
    let reply = session.ask("SELECT", "SELECT INBOX")?;
    if !reply.is_done() {
        let said = session.dialogue.told(&reply);
        let finding = Finding::failed("probe/folder-missing", "INBOX cannot be opened").said(said);
        return Err(finding.hint("look at the server's log"));
    }
    loop {
        let search = format!("UID SEARCH HEADER {} {}", message::HEADER, imap::quoted(word));
        let reply = session.ask("SEARCH", &search)?;
        if !reply.is_done() {
            return Err(session.odd(&reply));
        }
        let uid = reply
            .lines
            .iter()
            .find_map(|line| line.strip_prefix("* SEARCH")?.split_ascii_whitespace().next_back()?.parse::<u32>().ok());
        if let Some(uid) = uid {
            let marked = session.ask("STORE", &format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
            if !marked.is_done() {
                return Ok(Some("and cannot be deleted"));
            }
            session.ask_offers()?;
            if !session.offers.has("UIDPLUS") {
                // Without it, all that others have marked would go as well.
                return Ok(Some("and is marked as deleted"));
            }
            let gone = session.ask("EXPUNGE", &format!("UID EXPUNGE {uid}"))?.is_done();
            return Ok(Some(if gone { "and is deleted" } else { "and is marked as deleted" }));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        rest(pause, until);
        session.ask("NOOP", "NOOP")?;
    }
}

/// POP3 shows the mailbox as it was at the login.
fn by_pop3<S: Stream>(session: &mut Session<'_, S>, word: &str) -> Result<Option<&'static str>, Finding> {
    let count = pop3::messages(session)?;
    for number in (count.saturating_sub(NEWEST) + 1..=count).rev() {
        let Some(headers) = pop3::headers(session, number)? else {
            let message = "the server does not show the headers of a message (TOP), by which it is found";
            return Err(Finding::failed("probe/protocol", message).hint("look into the mailbox by hand"));
        };
        if message::is_marked(&headers, word) {
            let gone = session.ask("DELE", &format!("DELE {number}"))?.is_done();
            return Ok(Some(if gone { "and is deleted" } else { "and cannot be deleted" }));
        }
    }
    Ok(None)
}
