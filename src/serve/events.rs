//! Calls that wait for events, without a thread: long polls and server-sent events.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::Value as Json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::call::{Answer, Call, EVENTS};
use super::outgoing::Outgoing;
use super::pool::Work;
use super::problem::Problem;
use super::{Server, desk, login, work};
use crate::model::{Event, Token};
use crate::wire;

/// Between signs of life on a stream, which also keep proxies from closing it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between looks at the revision, for what other servers and programs apply.
const POLL: Duration = Duration::from_secs(1);

/// Counts who waits.
struct Waiting(Arc<Server>);

impl Waiting {
    fn new(server: &Arc<Server>) -> Waiting {
        server.figures.waiting.fetch_add(1, Ordering::Relaxed);
        server.waiters.notify_one();
        Waiting(Arc::clone(server))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.figures.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers a call; `permit` is its place among those in work, which it leaves while it waits.
pub async fn answer(call: Call, permit: OwnedSemaphorePermit) -> Result<Response<Outgoing>, Problem> {
    if call.form == EVENTS {
        return Ok(stream(&call));
    }
    let server = Arc::clone(&call.server);
    let wait = Duration::from_secs(call.given.number("wait").unwrap_or_default());
    let (after, limit, coding) = (call.given.number("after").unwrap_or_default(), desk::limit(&call), call.coding);
    let until = Instant::now() + wait;
    // Before the first look, so that nothing passes unseen between the two.
    let mut applied = server.applied.subscribe();
    let mut stop = server.stop.subscribe();
    let mut events = read(&server, after, limit).await?;
    if events.is_empty() && !wait.is_zero() {
        drop(permit);
        let _waiting = Waiting::new(&server);
        while events.is_empty() && !*stop.borrow() {
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { break },
                _ = stop.changed() => break,
                () = sleep_until(until) => break,
            }
            if let Some(token) = &call.token
                && !login::still(&server, token).await
            {
                break;
            }
            events = read(&server, after, limit).await?;
        }
    }
    let events: Vec<Json> = events.iter().map(wire::event).collect();
    let answer = Answer::json(StatusCode::OK, &serde_json::json!({ "events": events }));
    answer.response(coding).ok_or_else(|| Problem::busy("no answer"))
}

async fn read(server: &Arc<Server>, after: u64, limit: usize) -> Result<Vec<Event>, Problem> {
    work(server, Work::Quick, move |server| Ok(server.desk().events(after, limit)?)).await
}

/// Events as they come, until the client goes, the server stops or the token no longer holds.
fn stream(call: &Call) -> Response<Outgoing> {
    let (sender, body) = Outgoing::channel();
    let server = Arc::clone(&call.server);
    let number = |name| call.given.number(name);
    let (mut after, limit) = (number("Last-Event-ID").or(number("after")).unwrap_or_default(), desk::limit(call));
    let token: Option<Arc<Token>> = call.token.clone();
    tokio::spawn(async move {
        let _waiting = Waiting::new(&server);
        let mut applied = server.applied.subscribe();
        let mut stop = server.stop.subscribe();
        // Something at once, so that the client knows that it is connected.
        let mut text = ": yubin\n\n".to_owned();
        loop {
            let Ok(events) = read(&server, after, limit).await else { return };
            let full = events.len() == limit;
            for event in events {
                after = event.id;
                // Writing to a string cannot fail.
                let _ = write!(text, "id: {}\nevent: {}\ndata: {}\n\n", event.id, event.effect, wire::event(&event));
            }
            if !text.is_empty() {
                let chunk = Bytes::from(std::mem::take(&mut text));
                if !matches!(timeout(server.limits.stall, sender.send(Ok(chunk))).await, Ok(Ok(()))) {
                    return;
                }
            }
            if full {
                continue;
            }
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                _ = stop.changed() => return,
                () = sender.closed() => return,
                () = tokio::time::sleep(HEARTBEAT) => text.push_str(": still here\n\n"),
            }
            if let Some(token) = &token
                && !login::still(&server, token).await
            {
                return;
            }
        }
    });
    let mut response = Response::new(body);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(EVENTS));
    response
}

/// Looks at the revision while somebody waits, and wakes those who do.
pub async fn watch(server: Arc<Server>) {
    let mut last = None;
    loop {
        if server.figures.waiting.load(Ordering::Relaxed) == 0 {
            server.waiters.notified().await;
            last = None;
        }
        let seen = work(&server, Work::Quick, |server| Ok(server.hosted.base()?.revision)).await.ok();
        // The first one is news to those who came after an apply elsewhere.
        if seen.is_some() && seen != last {
            last = seen;
            server.applied.send_modify(|count| *count += 1);
        }
        tokio::time::sleep(POLL).await;
    }
}
