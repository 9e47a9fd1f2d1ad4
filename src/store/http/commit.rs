//! A plan on its way to the server: written while it is sent, and sent again with the same key where it is not
//! known whether it arrived.

use std::io::{self, ErrorKind};
use std::sync::PoisonError;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::call::{APPLY, Answer, Call, LINES, Line, STALL, TRIES, again, pause};
use super::pipe::{Inlet, pipe};
use super::{Held, failure};
use crate::model::plan::Base;
use crate::model::{Address, Error, FieldId, Plan, Result, Value};
use crate::store::{Entry, Receipt};
use crate::vault::{Transit, Vault};
use crate::wire::remote::{self, SentHead};

/// What the server says of a plan that it has applied. The rest of its answer the client knows.
#[derive(Deserialize)]
struct Applied {
    revision: u64,
    #[serde(default)]
    again: bool,
}

pub fn commit(line: &Line, held: &Held, plan: &Plan, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<Receipt> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| Error::failure("the system gives no random bytes").because(error))?;
    let key = format!("{:032x}", u128::from_le_bytes(key));
    let call = Call { headers: vec![if_match(plan.base), ("idempotency-key", key)], ..changesets() };
    let text = send(line, held, &call, plan, entry, progress)?;
    let Applied { revision, again } = serde_json::from_slice(&text).map_err(|_| failure::odd(&line.access))?;
    Ok(Receipt { revision, again })
}

pub fn rehearse(line: &Line, held: &Held, plan: &Plan, entry: &Entry<'_>, progress: &dyn Fn(u64)) -> Result<()> {
    let query = vec![("rehearse", "true".to_owned())];
    let call = Call { query, headers: vec![if_match(plan.base)], ..changesets() };
    send(line, held, &call, plan, entry, progress).map(drop)
}

pub fn learn(line: &Line, plan: &Plan) -> Result<()> {
    let mut body = Vec::with_capacity(plan.learned.len() * 80);
    plan.learned.iter().for_each(|learned| remote::learned_line(&mut body, learned));
    let call = Call { sent: LINES, headers: vec![if_match(plan.base)], ..Call::post(&["v1", "records"]) };
    line.ask(&call, Some(&body)).map(drop)
}

fn changesets() -> Call<'static> {
    Call { sent: LINES, ..Call::post(&["v1", "changesets"]) }
}

fn if_match(base: Base) -> (&'static str, String) {
    ("if-match", format!("\"{}\"", remote::tag(base)))
}

/// What secrets are sealed with for the server.
struct Sealing {
    transit: Transit,
    lent: Vault,
}

impl Sealing {
    fn of(line: &Line, held: &Held) -> Option<Sealing> {
        let held = held.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (server, project, lent) = held.as_ref()?;
        let transit = line.key.agree(server)?;
        let lent = transit.lent(project, lent)?;
        Some(Sealing { transit, lent })
    }

    /// A secret that is to be written; `None` if it cannot be sent.
    fn word(&self, address: &Address, field: FieldId, value: &Value) -> Option<String> {
        let spec = address.kind.field(field);
        match value {
            Value::Sealed(sealed) => Some(match sealed.kept() {
                Some(stored) => format!("kept:{}", BASE64.encode(stored.as_bytes())),
                None => self.transit.seal(address, spec, &self.lent.unseal(address, spec, sealed).ok()?),
            }),
            // What the server has not told, it cannot be told.
            Value::Hashed(hashed) if !hashed.text.is_empty() => Some(self.transit.seal_hashed(address, spec, hashed)),
            _ => None,
        }
    }
}

/// Refuses before anything is sent what the server would refuse in the middle.
fn check_secrets(plan: &Plan, sealing: Option<&Sealing>) -> Result<()> {
    let can_be_sent = |value: &Value| match value {
        Value::Sealed(sealed) => !sealed.as_bytes().is_empty(),
        Value::Hashed(hashed) => !hashed.text.is_empty(),
        _ => false,
    };
    for change in plan.changes.iter().filter(|change| change.action.writes()) {
        let secrets = change.fields.iter().filter(|one| change.kind.field(one.field).is_secret());
        for (field, after) in secrets.filter_map(|one| Some((one.field, one.after.as_ref()?))) {
            if sealing.is_none() || !can_be_sent(after) {
                let (name, address) = (change.kind.field(field).name, change.address());
                let message =
                    format!("the secret `{name}` of `{address}` stays with the server, and cannot be written");
                return Err(Error::failure(message)
                    .hint("use a token that is bound to the project (`--owner`), or run this where the store is"));
            }
        }
    }
    Ok(())
}

/// How a body came through.
enum Sent {
    Answer(StatusCode, HeaderMap, Result<Vec<u8>>),
    /// Nothing has left this machine.
    Not(reqwest::Error),
    /// Whether it has arrived nobody knows.
    Lost(Option<reqwest::Error>),
}

/// Sends a plan until there is an answer, and gives its text.
fn send(
    line: &Line,
    heard: &Held,
    call: &Call<'_>,
    plan: &Plan,
    entry: &Entry<'_>,
    progress: &dyn Fn(u64),
) -> Result<Vec<u8>> {
    let sealing = Sealing::of(line, heard);
    check_secrets(plan, sealing.as_ref())?;
    let about = SentHead {
        project: plan.project.clone(),
        system: plan.system.to_owned(),
        base: Some(plan.base),
        config_digest: plan.config_digest.clone(),
        digest: Some(entry.digest.to_owned()),
        actor: Some(entry.actor.to_owned()),
        commit: entry.commit.map(str::to_owned),
        note: plan.note.clone(),
        mail_server: plan.mail_server,
        recorded: plan.recorded,
        unchanged: plan.unchanged,
    };
    let seal = |address: &Address, field: FieldId, value: &Value| sealing.as_ref()?.word(address, field, value);
    let write = |inlet: &mut Inlet| remote::write_changeset(plan, &about, &seal, progress, inlet);
    // Once anything may have arrived, "it cannot be reached" is not the whole truth.
    let mut uncertain = false;
    for attempt in 1.. {
        match send_once(line, call, &write)? {
            Sent::Answer(status, headers, text) => match again(status, &headers).filter(|_| attempt < TRIES) {
                Some(asked) => pause(attempt, asked),
                None => return text,
            },
            Sent::Not(error) if attempt < TRIES && failure::is_passing(&error) => pause(attempt, None),
            Sent::Not(error) if !uncertain => {
                return Err(failure::unreachable(&line.access, &error));
            }
            Sent::Lost(_) if attempt < TRIES => {
                uncertain = true;
                refused_early(line, plan.base)?;
                pause(attempt, None);
            }
            Sent::Not(error) => return Err(lost(line, call, Some(&error))),
            Sent::Lost(error) => return Err(lost(line, call, error.as_ref())),
        }
    }
    Err(failure::cut(&line.access))
}

fn lost(line: &Line, call: &Call<'_>, error: Option<&reqwest::Error>) -> Error {
    let name = line.access.shown();
    let cause = error.map_or("it stalls".to_owned(), failure::causes);
    if call.query.is_empty() {
        Error::failure(format!("the answer of {name} is lost: whether the plan has been applied is not known"))
            .because(cause)
            .hint("run the same command again: what has been applied is no change any more; `yubin log` says it too")
    } else {
        Error::failure(format!("the connection to {name} failed")).because(cause).hint("try again")
    }
}

/// A server may answer before it has read a body, and hang up: then the answer is lost on the way. It is asked
/// once more, with nothing, which can change nothing.
fn refused_early(line: &Line, base: Base) -> Result<()> {
    let query = vec![("rehearse", "true".to_owned())];
    let call = Call { query, headers: vec![if_match(base)], ..changesets() };
    let Ok(request) = line.long(&call, io::empty()) else { return Ok(()) };
    let Ok(response) = request.timeout(STALL).send() else { return Ok(()) };
    let early = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    if early.contains(&response.status()) { line.checked(Answer::of(response)).map(drop) } else { Ok(()) }
}

fn send_once(line: &Line, call: &Call<'_>, write: &dyn Fn(&mut Inlet) -> io::Result<()>) -> Result<Sent> {
    let (mut inlet, outlet) = pipe(STALL);
    let request = line.long(call, outlet)?;
    let (to, from) = mpsc::channel();
    // If the server stalls, the thread is left to itself: a limit of time on all of it would forbid long plans.
    thread::spawn(move || {
        let answer = request.send().map(|response| {
            let answer = Answer::of(response);
            (answer.status, answer.headers.clone(), answer)
        });
        // Whoever waited has gone.
        let _ = to.send(answer);
    });
    let written = write(&mut inlet).and_then(|()| inlet.finish());
    let stalled = matches!(&written, Err(error) if error.kind() == ErrorKind::TimedOut);
    let patience = if stalled { std::time::Duration::ZERO } else { APPLY };
    match from.recv_timeout(patience) {
        Ok(Ok((status, headers, answer))) => {
            let text = line.checked(answer).and_then(|answer| answer.text().map_err(|_| failure::cut(&line.access)));
            Ok(Sent::Answer(status, headers, text))
        }
        Ok(Err(error)) if failure::is_unsent(&error) => Ok(Sent::Not(error)),
        Ok(Err(error)) => Ok(Sent::Lost(Some(error))),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(Sent::Lost(None)),
    }
}
