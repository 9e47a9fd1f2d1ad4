//! Whether the server runs, and how: for those who watch it, without names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::json;

use super::call::{Answer, Call, JSON, Outcome, TEXT};
use super::metrics::{Families, Histogram, labels};
use super::openapi;
use super::problem::Problem;

/// Upper bounds of durations, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

#[derive(Default)]
pub struct Figures {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    durations: Mutex<BTreeMap<&'static str, Histogram>>,
    pub in_flight: AtomicUsize,
    pub waiting: AtomicUsize,
    pub connections: AtomicUsize,
    pub shed: AtomicU64,
    pub applies: AtomicU64,
    pub refusals: AtomicU64,
}

impl Figures {
    pub fn count(&self, method: &'static str, path: &'static str, status: u16, took: Duration) {
        *lock(&self.requests).entry((method, path, status)).or_default() += 1;
        lock(&self.durations).entry(path).or_insert_with(|| Histogram::new(&BOUNDS)).count(took);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was seen of the store, and when: those who ask without a token must not each ask it.
#[derive(Default)]
pub struct Glance(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    revision: Option<u64>,
    at: Option<Instant>,
    /// Since when somebody asks.
    asking: Option<Instant>,
}

impl Glance {
    const FRESH: Duration = Duration::from_secs(1);
    /// Who has asked for so long will not come back.
    const LOST: Duration = Duration::from_secs(60);

    /// The revision; `None` if the store cannot be reached.
    pub fn of(&self, look: impl FnOnce() -> Option<u64>) -> Option<u64> {
        {
            let mut seen = lock(&self.0);
            let fresh = seen.at.is_some_and(|at| at.elapsed() < Self::FRESH);
            // One asks, the others hold no thread: they take what was heard last.
            let asked = seen.at.is_some() && seen.asking.is_some_and(|since| since.elapsed() < Self::LOST);
            if fresh || asked {
                return seen.revision;
            }
            seen.asking = Some(Instant::now());
        }
        let revision = look();
        *lock(&self.0) = Seen { revision, at: Some(Instant::now()), asking: None };
        revision
    }
}

#[expect(clippy::unnecessary_wraps, reason = "calls of the table have one type")]
pub fn healthz(_: &mut Call) -> Outcome {
    Ok(Answer::json(StatusCode::OK, &json!({ "status": "ok" })))
}

pub fn readyz(call: &mut Call) -> Outcome {
    match call.server.glance() {
        Some(_) => Ok(Answer::json(StatusCode::OK, &json!({ "status": "ok" }))),
        None => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store/unreachable", "the store cannot be reached now")
                .retry_after(1))
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "calls of the table have one type")]
pub fn openapi(_: &mut Call) -> Outcome {
    static DOCUMENT: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = DOCUMENT.get_or_init(|| format!("{:#}\n", openapi::document()).into_bytes());
    Ok(Answer::of(StatusCode::OK, JSON, bytes.clone()))
}

#[expect(clippy::unnecessary_wraps, reason = "calls of the table have one type")]
pub fn metrics(call: &mut Call) -> Outcome {
    let (figures, revision) = (&call.server.figures, call.server.glance());
    let mut families = Families::default();
    let requests: Vec<(String, String)> = lock(&figures.requests)
        .iter()
        .map(|((method, path, status), count)| {
            let status = status.to_string();
            (labels(&[("method", method), ("route", path), ("status", &status)]), count.to_string())
        })
        .collect();
    families.family("yubin_requests_total", "counter", "Requests by route and status.", &requests);
    let load = |value: &AtomicUsize| value.load(Ordering::Relaxed);
    let total = |value: &AtomicU64| value.load(Ordering::Relaxed);
    families.one("yubin_requests_in_flight", "gauge", "Requests in work.", load(&figures.in_flight));
    families.one("yubin_requests_waiting", "gauge", "Requests that wait for events.", load(&figures.waiting));
    families.one("yubin_connections", "gauge", "Open connections.", load(&figures.connections));
    families.one(
        "yubin_connections_shed_total",
        "counter",
        "Connections closed to make room for others.",
        total(&figures.shed),
    );
    families.one("yubin_applies_total", "counter", "Changesets applied.", total(&figures.applies));
    families.one("yubin_refusals_total", "counter", "Calls refused.", total(&figures.refusals));
    families.one("yubin_store_up", "gauge", "Whether the store can be reached.", u8::from(revision.is_some()));
    if let Some(revision) = revision {
        families.one("yubin_revision", "gauge", "Revision of the store.", revision);
    }
    let durations = lock(&figures.durations);
    let routes: Vec<_> = durations.iter().map(|(path, took)| ([("route", *path)], took)).collect();
    let routes = routes.iter().map(|(labels, took)| (labels.as_slice(), *took));
    families.histogram("yubin_request_seconds", "How long requests took to be answered.", routes);
    Ok(Answer::of(StatusCode::OK, TEXT, families.into_text().into_bytes()))
}
