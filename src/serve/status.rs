//! Whether the server runs, and how: for those who watch it, without names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::json;

use super::call::{Answer, Call, JSON, Outcome, TEXT};
use super::openapi;
use super::problem::Problem;

/// Upper bounds of durations, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// How many took no longer than each bound, how many there were, and how long they took together.
type Took = ([u64; BOUNDS.len()], u64, f64);

#[derive(Default)]
pub struct Figures {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    durations: Mutex<BTreeMap<&'static str, Took>>,
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
        let seconds = took.as_secs_f64();
        let mut durations = lock(&self.durations);
        let (buckets, count, sum) = durations.entry(path).or_default();
        for (bucket, bound) in buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
        *count += 1;
        *sum += seconds;
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
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut family = |name: &str, kind: &str, doc: &str, lines: &[(String, String)]| {
        let _ = writeln!(text, "# HELP {name} {doc}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: String| vec![(String::new(), value)];
    let requests: Vec<(String, String)> = lock(&figures.requests)
        .iter()
        .map(|((method, path, status), count)| {
            (format!("{{method=\"{method}\",route=\"{path}\",status=\"{status}\"}}"), count.to_string())
        })
        .collect();
    family("yubin_requests_total", "counter", "Requests by route and status.", &requests);
    let mut durations = String::new();
    for (path, (buckets, count, sum)) in lock(&figures.durations).iter() {
        for (bucket, bound) in buckets.iter().zip(BOUNDS) {
            let _ = writeln!(durations, "yubin_request_seconds_bucket{{route=\"{path}\",le=\"{bound}\"}} {bucket}");
        }
        let _ = writeln!(durations, "yubin_request_seconds_bucket{{route=\"{path}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(durations, "yubin_request_seconds_sum{{route=\"{path}\"}} {sum}");
        let _ = writeln!(durations, "yubin_request_seconds_count{{route=\"{path}\"}} {count}");
    }
    let load = |value: &AtomicUsize| one(value.load(Ordering::Relaxed).to_string());
    let total = |value: &AtomicU64| one(value.load(Ordering::Relaxed).to_string());
    family("yubin_requests_in_flight", "gauge", "Requests in work.", &load(&figures.in_flight));
    family("yubin_requests_waiting", "gauge", "Requests that wait for events.", &load(&figures.waiting));
    family("yubin_connections", "gauge", "Open connections.", &load(&figures.connections));
    family(
        "yubin_connections_shed_total",
        "counter",
        "Connections closed to make room for others.",
        &total(&figures.shed),
    );
    family("yubin_applies_total", "counter", "Changesets applied.", &total(&figures.applies));
    family("yubin_refusals_total", "counter", "Calls refused.", &total(&figures.refusals));
    family(
        "yubin_store_up",
        "gauge",
        "Whether the store can be reached.",
        &one(u8::from(revision.is_some()).to_string()),
    );
    if let Some(revision) = revision {
        family("yubin_revision", "gauge", "Revision of the store.", &one(revision.to_string()));
    }
    let _ = writeln!(text, "# HELP yubin_request_seconds How long requests took to be answered.");
    let _ = writeln!(text, "# TYPE yubin_request_seconds histogram");
    text.push_str(&durations);
    Ok(Answer::of(StatusCode::OK, TEXT, text.into_bytes()))
}
