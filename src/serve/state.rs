//! The state and its log: reading them, and taking changesets.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write as _};

use hyper::StatusCode;
use hyper::header::{ETAG, HeaderName};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::call::{Answer, Call, NDJSON, Outcome, Told};
use super::desk::{encoded, limit};
use super::outgoing::Sink;
use super::problem::Problem;
use crate::model::plan::Base;
use crate::model::{Address, Error, Key, Kind, Plan, Request, Result};
use crate::pipeline::hosted::{Accepted, Caller, Client, Declined, View, Which};
use crate::wire::{
    self,
    remote::{self, Broken, Changeset, Query, Tail, read_changeset},
};

/// Of one page of JSON; NDJSON is read while it comes.
const LONGEST_PAGE: usize = 10_000;

fn client(call: &Call) -> Option<Client> {
    let (key, project) = (call.given.text("Yubin-Client-Key")?, call.given.text("Yubin-Project")?);
    let bound = call.token.as_ref().is_some_and(|token| token.owns(project));
    Some(Client { key: key.to_owned(), project: project.to_owned(), bound })
}

fn tag(call: &Call, name: &str) -> Option<Base> {
    remote::read_tag(call.given.text(name)?)
}

fn view(call: &Call) -> std::result::Result<View, Problem> {
    call.server.hosted.view(tag(call, "revision")).map_err(|error| match error.about {
        Some("store/gone") => {
            Problem { hint: error.hint, ..Problem::new(StatusCode::GONE, "store/gone", error.message) }
        }
        _ => error.into(),
    })
}

/// That the state is meant which the client has seen.
fn seen(call: &Call) -> std::result::Result<Base, Problem> {
    tag(call, "If-Match").ok_or_else(|| {
        Problem::new(StatusCode::PRECONDITION_REQUIRED, "request/if-match", "`If-Match` is missing")
            .hint("send the ETag of the state that the changes were made from")
    })
}

fn entity(base: Base) -> (HeaderName, String) {
    (ETAG, format!("\"{}\"", remote::tag(base)))
}

/// An answer that begins with its first piece, and may turn out to be none before.
struct Pieces<'a> {
    call: &'a mut Call,
    base: Base,
    sink: Option<Sink>,
}

impl Pieces<'_> {
    fn put(&mut self, piece: &[u8]) -> Result<()> {
        let gone = |error: io::Error| Error::failure("the answer cannot be sent").because(error);
        if self.sink.is_none() {
            self.sink = Some(self.call.stream(&[entity(self.base)]).map_err(gone)?);
        }
        match &mut self.sink {
            Some(sink) => sink.write_all(piece).map_err(gone),
            None => Ok(()),
        }
    }

    /// What came of it, if anything was put.
    fn end(self, done: Result<()>) -> Outcome {
        match (self.sink, done) {
            (Some(sink), Ok(())) => {
                // A client that has gone needs not be told.
                let _ = sink.finish();
                Ok(Answer::Streamed)
            }
            // The client sees that the answer is cut.
            (Some(_), Err(_)) => Ok(Answer::Streamed),
            (None, Ok(())) => Err(Problem::missing("there is nothing")),
            (None, Err(error)) => Err(error.into()),
        }
    }
}

pub fn revision(call: &mut Call) -> Outcome {
    let base = call.server.hosted.base()?;
    let json = json!({ "revision": base.revision, "outside_writes": base.outside_writes });
    Ok(Answer::json(StatusCode::OK, &json).tagged(&remote::tag(base)))
}

pub fn resources(call: &mut Call) -> Outcome {
    let given = &call.given;
    let lines = call.form == NDJSON;
    let which = Which {
        kind: given.text("kind").and_then(Kind::from_name),
        after: given.text("after").and_then(|after| Address::parse(after).ok()),
        limit: if lines { limit(call) } else { limit(call).min(LONGEST_PAGE) },
        at: given.number("at"),
        keys_alone: given.text("view") == Some("keys"),
    };
    let (view, client) = (view(call)?, client(call));
    let base = view.base();
    if which.at.is_some_and(|at| at > base.revision) {
        return Err(Problem::missing(format!("there is no such revision; the store is at {}", base.revision)));
    }
    let mut rest = format!("&limit={}&revision={}", which.limit, remote::tag(base));
    for name in ["kind", "at", "view"] {
        if let Some(value) = given.text(name) {
            // Writing to a string cannot fail.
            let _ = write!(rest, "&{name}={value}");
        }
    }
    let next =
        |last: Option<Address>| last.map(|last| format!("/v1/resources?after={}{rest}", encoded(&last.to_string())));
    let mut pieces = Pieces { call, base, sink: None };
    let done = if lines {
        write_lines(&mut pieces, &view, client.as_ref(), |pieces| {
            Ok(next(view.page(&which, client.as_ref(), &mut |line| pieces.put(line))?))
        })
    } else {
        write_page(&mut pieces, |pieces| {
            let mut first = true;
            let mut emit = |line: &[u8]| {
                if !std::mem::replace(&mut first, false) {
                    pieces.put(b",\n")?;
                }
                pieces.put(line.trim_ascii_end())
            };
            Ok(next(view.page(&which, client.as_ref(), &mut emit)?))
        })
    };
    pieces.end(done)
}

fn line(pieces: &mut Pieces<'_>, json: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(json).map_err(|error| Error::failure("an answer is no JSON").because(error))?;
    text.push(b'\n');
    pieces.put(&text)
}

/// A head, then what `body` puts, then where the next page is.
fn write_lines(
    pieces: &mut Pieces<'_>,
    view: &View,
    client: Option<&Client>,
    body: impl FnOnce(&mut Pieces<'_>) -> Result<Option<String>>,
) -> Result<()> {
    let head = view.head(client)?;
    line(pieces, &head)?;
    let next = body(pieces)?;
    line(pieces, &Tail { next })
}

fn write_page(pieces: &mut Pieces<'_>, body: impl FnOnce(&mut Pieces<'_>) -> Result<Option<String>>) -> Result<()> {
    pieces.put(format!("{{\"revision\":{},\"resources\":[", pieces.base.revision).as_bytes())?;
    let next = body(pieces)?;
    pieces.put(format!("],\"next\":{}}}\n", json!(next)).as_bytes())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    #[schemars(with = "super::shapes::Kind")]
    kind: String,
    /// Each key as its parts.
    keys: Vec<Vec<String>>,
    /// Of each key, another one under which the resource is told.
    called: Option<Vec<Vec<String>>>,
}

pub fn query_resources(call: &mut Call) -> Outcome {
    let Wanted { kind, keys, called } = call.read()?;
    let unfit = |detail: &str| Problem::unfit("request/unfit", detail);
    let kind = Kind::from_name(&kind).ok_or_else(|| unfit("`kind` is none"))?;
    let key = |parts: &Vec<String>| {
        let fits =
            parts.len() == kind.key_parts().len() && parts.iter().all(|part| !part.is_empty() && !part.contains('\0'));
        fits.then(|| Key::from_parts(parts.iter().map(String::as_str)))
            .ok_or_else(|| unfit("a key is none of its kind"))
    };
    let keys = keys.iter().map(key).collect::<std::result::Result<Vec<Key>, _>>()?;
    let called =
        called.map(|called| called.iter().map(key).collect::<std::result::Result<Vec<Key>, _>>()).transpose()?;
    if called.as_ref().is_some_and(|called| called.len() != keys.len()) {
        return Err(unfit("`called` has a key for each of `keys`"));
    }
    let (view, client) = (view(call)?, client(call));
    let base = view.base();
    let mut pieces = Pieces { call, base, sink: None };
    let done = write_lines(&mut pieces, &view, client.as_ref(), |pieces| {
        view.query(kind, &keys, called.as_deref(), client.as_ref(), &mut |line| pieces.put(line))?;
        Ok(None)
    });
    pieces.end(done)
}

pub fn query(call: &mut Call) -> Outcome {
    let mut text = Vec::new();
    call.reader()?.read_to_end(&mut text).map_err(|_| Problem::bad("the body cannot be read"))?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_err() {
        return Err(Problem::bad("the body is no JSON"));
    }
    let query = Query::read(&text).map_err(|detail| Problem::unfit("request/unfit", detail))?;
    let (view, client) = (view(call)?, client(call));
    let base = view.base();
    let mut pieces = Pieces { call, base, sink: None };
    let done = view.answer(&query, client.as_ref(), &mut |piece| pieces.put(piece));
    pieces.end(done)
}

pub fn versions(call: &mut Call) -> Outcome {
    let address = call.given.text("address").and_then(|address| Address::parse(address).ok());
    let address = address.ok_or_else(|| Problem::bad("`address` is none"))?;
    let (view, client) = (view(call)?, client(call));
    let base = view.base();
    let mut pieces = Pieces { call, base, sink: None };
    // What stands before the first one waits for it.
    let (mut begin, mut some) = (Vec::new(), false);
    let done = view.versions(&address, client.as_ref(), &mut |piece| {
        if begin.is_empty() && !some {
            begin.extend_from_slice(piece);
            return Ok(());
        }
        if !some && piece.starts_with(b"]") {
            return Ok(());
        }
        if !std::mem::replace(&mut some, true) {
            pieces.put(&begin)?;
        }
        pieces.put(piece)
    });
    match pieces.end(done) {
        Err(problem) if problem.status == StatusCode::NOT_FOUND => {
            Err(Problem::new(StatusCode::NOT_FOUND, "resource/not-found", "there never was such a resource"))
        }
        done => done,
    }
}

pub fn revisions(call: &mut Call) -> Outcome {
    let limit = limit(call);
    let view = view(call)?;
    let (revisions, more) = view.revisions(call.given.number("after"), limit)?;
    let last = revisions.last().map(|last| last["revision"].clone());
    let next = last.filter(|_| more).map(|last| format!("/v1/revisions?after={last}&limit={limit}"));
    let json = json!({ "revisions": revisions, "next": next });
    Ok(Answer::json(StatusCode::OK, &json).tagged(&remote::tag(view.base())))
}

pub fn one_revision(call: &mut Call) -> Outcome {
    let number = call.given.number("n").unwrap_or_default();
    let (view, client) = (view(call)?, client(call));
    let base = view.base();
    let mut pieces = Pieces { call, base, sink: None };
    let done = view.revision(number, client.as_ref(), &mut |piece| pieces.put(piece)).map(drop);
    match pieces.end(done) {
        Err(problem) if problem.status == StatusCode::NOT_FOUND => {
            Err(Problem::new(StatusCode::NOT_FOUND, "revision/not-found", "there is no such revision"))
        }
        done => done,
    }
}

pub fn drift(call: &mut Call) -> Outcome {
    let view = view(call)?;
    let json = view.drift(client(call).as_ref())?;
    Ok(Answer::json(StatusCode::OK, &json).tagged(&remote::tag(view.base())))
}

pub fn disabled(call: &mut Call) -> Outcome {
    let view = view(call)?;
    Ok(Answer::json(StatusCode::OK, &view.disabled()?).tagged(&remote::tag(view.base())))
}

/// Digests what is read through it.
struct Digesting<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: BufRead> Read for Digesting<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to)?;
        self.hasher.update(&to[..read]);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Digesting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is consumed has been seen in the buffer, which is filled by then.
        if let Ok(bytes) = self.inner.fill_buf() {
            self.hasher.update(&bytes[..amount.min(bytes.len())]);
        }
        self.inner.consume(amount);
    }
}

/// The changeset of a body, and the digest of what is asked for.
fn receive(call: &mut Call, base: Base) -> std::result::Result<(Changeset, [u8; 32]), Problem> {
    let lines = call.body_form == NDJSON;
    let mut hasher = blake3::Hasher::new();
    hasher.update(remote::tag(base).as_bytes()).update(b"\0");
    let mut reader = Digesting { inner: call.reader()?, hasher };
    let set = read_changeset(&mut reader, lines).map_err(|broken| match broken {
        Broken::Io(_) => Problem::bad("the body cannot be read"),
        Broken::TooLong(most) => super::incoming::too_long(most).hint("send it line by line: `application/x-ndjson`"),
        Broken::Syntax(detail) => Problem::bad(detail),
        Broken::Wrong(detail) => Problem::unfit("changeset/invalid", detail),
    })?;
    Ok((set, *reader.hasher.finalize().as_bytes()))
}

pub fn apply(call: &mut Call) -> Outcome {
    let base = seen(call)?;
    let (set, body) = receive(call, base)?;
    let hosted = &call.server.hosted;
    let token = call.token()?;
    let request = call.given.text("Idempotency-Key").map(|name| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(token.id.as_bytes()).update(b"\0").update(name.as_bytes());
        Request { key: *hasher.finalize().as_bytes(), body }
    });
    let (actor, commit) = (set.head.actor.clone().unwrap_or_else(|| token.name.clone()), set.head.commit.clone());
    let rehearse = call.given.flag("rehearse");
    let request = request.as_ref().filter(|_| !rehearse);
    let caller = Caller { token, key: call.given.text("Yubin-Client-Key"), base, request };
    let planned = match hosted.accept(set, &caller).map_err(declined)? {
        Accepted::Done(revision) => return done_before(call, revision),
        Accepted::Plan(planned) => planned,
    };
    if !planned.verdict.refused.is_empty() {
        let reasons = planned.verdict.refused.iter();
        let reasons: Vec<Json> =
            reasons.map(|one| json!({ "rule": one.rule, "message": one.why.to_string() })).collect();
        return Err(Problem::unfit("plan/refused", "the plan is refused").with("refused", reasons.into()));
    }
    let (revision, again) = if rehearse {
        hosted.rehearse(&planned, &actor).map_err(Problem::from)?;
        (base.revision, false)
    } else if planned.plan.is_empty() {
        // Nothing is written down of nothing; what was learned on the way is not lost.
        hosted.learn(&planned.plan)?;
        (base.revision, false)
    } else {
        let receipt = hosted.apply(&planned, &actor, commit.as_deref(), request).map_err(Problem::from)?;
        call.server.applied();
        (receipt.revision, receipt.again)
    };
    let plan = &planned.plan;
    let summary = wire::summary(|action| plan.count(action), plan.unchanged);
    let mut text = format!("{{\"revision\":{revision},\"summary\":{summary},").into_bytes();
    if again {
        text.extend_from_slice(b"\"again\":true,");
    }
    text.extend_from_slice(b"\"effects\":[");
    for (at, effect) in wire::effects(plan).enumerate() {
        text.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
        text.extend_from_slice(effect.to_string().as_bytes());
    }
    text.extend_from_slice(b"]}\n");
    // What other software has written since is not what the client has seen.
    let now = Base { revision, ..base };
    let answer = Answer::of(StatusCode::OK, super::call::JSON, text).tagged(&remote::tag(now));
    Ok(if rehearse { answer } else { answer.told(Told { code: None, revision: Some(revision) }) })
}

/// The answer to a request whose first answer may have been lost.
fn done_before(call: &Call, revision: u64) -> Outcome {
    let (found, _) = call.server.hosted.view(None)?.revisions(Some(revision + 1), 1)?;
    let summary = found.into_iter().next().filter(|found| found["revision"] == revision);
    let summary = summary.map_or_else(|| json!({}), |found| found["summary"].clone());
    let json = json!({ "revision": revision, "again": true, "summary": summary, "effects": [] });
    let answer = Answer::json(StatusCode::OK, &json).tagged(&remote::tag(Base { revision, ..seen(call)? }));
    Ok(answer.told(Told { code: None, revision: Some(revision) }))
}

fn declined(declined: Declined) -> Problem {
    match declined {
        Declined::Error(error) if error.about == Some("token/owner") => {
            Problem { hint: error.hint, ..Problem::new(StatusCode::FORBIDDEN, "token/owner", error.message) }
        }
        Declined::Error(error) => error.into(),
        Declined::Invalid(diagnostics) => {
            let diagnostics: Vec<Json> = diagnostics.iter().map(wire::diagnostic).collect();
            Problem::unfit("changeset/invalid", "the changeset is invalid").with("diagnostics", diagnostics.into())
        }
    }
}

/// Digests by which a client recognises its unchanged records.
pub fn learn(call: &mut Call) -> Outcome {
    let base = seen(call)?;
    let project = call.given.text("Yubin-Project").map(str::to_owned);
    let project = project.ok_or_else(|| Problem::bad("`Yubin-Project` is missing"))?;
    call.bound(&project)?;
    // The lines are those of a changeset that changes nothing.
    let head = json!({ "format_version": wire::FORMAT_VERSION, "project": project, "system": "generic" });
    let head = format!("{head}\n").into_bytes();
    let reader = io::BufReader::new(io::Cursor::new(head).chain(call.reader()?));
    let set = read_changeset(reader, true).map_err(|broken| match broken {
        Broken::Io(_) => Problem::bad("the body cannot be read"),
        Broken::TooLong(most) => super::incoming::too_long(most).hint("send it line by line: `application/x-ndjson`"),
        Broken::Syntax(detail) => Problem::bad(detail),
        Broken::Wrong(detail) => Problem::unfit("request/unfit", detail),
    })?;
    if !set.changes.is_empty() {
        return Err(
            Problem::unfit("request/unfit", "this call takes digests alone").hint("changes go to /v1/changesets")
        );
    }
    call.server.hosted.learn(&Plan { project, base, learned: set.learned, ..Plan::default() })?;
    Ok(Answer::empty())
}
