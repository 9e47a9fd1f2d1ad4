//! Logs in at real servers with what is declared, and says of each step what came of it: `run`. What is asked, in which
//! order, and all codes stand in `docs/probe.md`.

mod advice;
mod dial;
mod dialogue;
mod fetch;
mod finding;
mod greeting;
mod imap;
mod ledger;
mod login;
mod message;
mod pop3;
mod reply;
mod sasl;
mod secrets;
mod session;
mod smtp;
mod tls;
mod utf7;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod transcripts;

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Zoned;

use self::dial::{Link, dial};
use self::dialogue::Stream;
use self::finding::{Finding, Steps, Stop};
use self::ledger::{Ledger, Turn};
use self::login::{Login, log_in};
use self::secrets::Secrets;
use self::session::Session;
use self::tls::Trust;
use crate::model::probe::{Entry, Outcome, Probed, Protocol, Send, Settings, StepName, Target};
use crate::model::{Result, parallel};

/// Answers that a target may take the time of, all together.
const ANSWERS: u32 = 10;

/// What all targets share.
struct Ground<'a> {
    settings: &'a Settings,
    trust: Trust,
    ledger: Ledger,
}

/// Probes all targets, results in their order. `told(n)` is called when n targets are done.
pub fn run(targets: &[Target], settings: &Settings, told: &(dyn Fn(usize) + Sync)) -> Result<Vec<Probed>> {
    let trust = Trust::new(settings.authorities.as_deref())?;
    let ground = Ground { settings, trust, ledger: Ledger::new(targets, settings.attempts.max(1)) };
    let results: Mutex<Vec<(usize, Result<Probed>)>> = Mutex::new(Vec::new());
    let work = || {
        while let Some((at, turn)) = ground.ledger.next() {
            let probed = probe(&ground, &targets[at], turn);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((at, probed));
            told(results.len());
        }
    };
    thread::scope(|scope| {
        let threads = settings.parallel.max(1).min(targets.len());
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().for_each(parallel::join);
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, probed)| probed).collect()
}

fn probe(ground: &Ground<'_>, target: &Target, turn: Option<Turn<'_>>) -> Result<Probed> {
    let secrets = Secrets::of(target);
    let mut steps = Steps::default();
    let word = match &target.send {
        Some(_) => message::word()?,
        None => String::new(),
    };
    // That something has failed stands in the steps.
    let _ = stages(ground, target, &secrets, turn, &word, &mut steps);
    let user = match &target.entry {
        Entry::User { name, .. } => Some(name.clone()),
        Entry::Nobody | Entry::Off(_) | Entry::Without { .. } => None,
    };
    Ok(Probed {
        address: target.address.clone(),
        protocol: target.protocol,
        host: target.host.clone(),
        port: target.port,
        security: target.security,
        user,
        steps: steps.into_list(),
    })
}

fn stages(
    ground: &Ground<'_>,
    target: &Target,
    secrets: &Secrets,
    turn: Option<Turn<'_>>,
    word: &str,
    steps: &mut Steps,
) -> std::result::Result<(), Stop> {
    let mut overall = Instant::now() + ground.settings.timeout * ANSWERS;
    let (mut session, login) = enter(ground, target, secrets, overall, turn, steps)?;
    let asked = behind(&mut session, login, steps);
    let send = target.send.as_ref().filter(|_| login != Login::Skipped);
    let told = match (send, &target.before) {
        (Some(message), None) => asked.and_then(|()| {
            let done = smtp::send(&mut session, message, &message::text(message, word, &Zoned::now()));
            steps.take(StepName::Send, done)
        }),
        _ => asked,
    };
    session.close();
    told?;
    if let Some(before) = &target.before {
        let (before, wait) = &**before;
        steps.now();
        let begun = Instant::now();
        let logged_in = pop_before_smtp(ground, before, secrets, *wait);
        steps.take(StepName::PopBeforeSmtp, logged_in)?;
        if let Some(message) = send {
            // Waiting is no answer of the server.
            overall += begun.elapsed();
            // Only who connects after that login may send.
            let done = send_anew(ground, target, message, secrets, overall, word);
            steps.take(StepName::Send, done)?;
        }
    }
    if let Some(message) = send {
        steps.now();
        steps.note(StepName::Fetch, fetch::fetch(ground, message, secrets, word));
    }
    Ok(())
}

/// To the end of the login.
fn enter<'a>(
    ground: &'a Ground<'_>,
    target: &'a Target,
    secrets: &'a Secrets,
    overall: Instant,
    turn: Option<Turn<'_>>,
    steps: &mut Steps,
) -> std::result::Result<(Session<'a, Link<'a>>, Login), Stop> {
    steps.now();
    let dialogue = dial(target, ground.settings, &ground.trust, secrets, overall, steps)?;
    let mut session = Session::open(dialogue, target, steps)?;
    let login = log_in(&mut session, steps, turn.as_ref());
    // The next one who wants to log in need not wait for what is asked behind.
    drop(turn);
    if let Ok(login) = login {
        return Ok((session, login));
    }
    session.close();
    Err(Stop)
}

/// What is asked behind the login, and leaves nothing behind.
fn behind<S: Stream>(session: &mut Session<'_, S>, login: Login, steps: &mut Steps) -> std::result::Result<(), Stop> {
    match session.target.protocol {
        Protocol::Imap if login == Login::In => imap::mailbox(session, steps),
        Protocol::Pop3 if login == Login::In => pop3::uidl(session, steps),
        Protocol::Imap | Protocol::Pop3 => Ok(()),
        Protocol::Smtp => {
            smtp::size(session, steps);
            Ok(())
        }
    }
}

/// The login for receiving, and the wait that the product keeps behind it.
fn pop_before_smtp(
    ground: &Ground<'_>,
    target: &Target,
    secrets: &Secrets,
    wait: Duration,
) -> std::result::Result<((), Finding), Finding> {
    let mut steps = Steps::default();
    let turn = ground.ledger.turn(target);
    let overall = Instant::now() + ground.settings.timeout * ANSWERS;
    match enter(ground, target, secrets, overall, turn, &mut steps) {
        Ok((session, login)) => {
            session.close();
            let last = steps.into_last();
            if login != Login::In {
                let skipped = last.filter(|finding| finding.outcome == Outcome::Skipped);
                return Err(skipped.unwrap_or_else(|| Finding::skipped(None, "nobody logs in for receiving")));
            }
            thread::sleep(wait);
            let message = format!("logged in by {}, and waited {} s", target.protocol.title(), wait.as_secs());
            Ok((
                (),
                match last {
                    Some(warned) if warned.outcome == Outcome::Warning => Finding { message: warned.message, ..warned },
                    _ => Finding::ok(message),
                },
            ))
        }
        Err(Stop) => Err(steps.into_last().unwrap_or_else(|| Finding::skipped(None, "not asked"))),
    }
}

/// Over a connection of its own.
fn send_anew(
    ground: &Ground<'_>,
    target: &Target,
    message: &Send,
    secrets: &Secrets,
    overall: Instant,
    word: &str,
) -> std::result::Result<((), Finding), Finding> {
    let mut steps = Steps::default();
    let turn = ground.ledger.turn(target);
    let Ok((mut session, _)) = enter(ground, target, secrets, overall, turn, &mut steps) else {
        return Err(steps.into_last().unwrap_or_else(|| Finding::skipped(None, "not asked")));
    };
    let sent = smtp::send(&mut session, message, &message::text(message, word, &Zoned::now()));
    session.close();
    sent
}
