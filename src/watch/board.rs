//! What is known of a watcher while it runs: its loop writes on the `Board`, the status port reads from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::port::Face;
use crate::model::watch::{Event, Reason, State, What};
use crate::serve::metrics::{Families, Histogram, labels};
use crate::wire::FORMAT_VERSION;

/// A loop that has not turned for so long is stuck.
const STUCK: Duration = Duration::from_secs(60);
/// Upper bounds of durations, in seconds: a sync waits for files to settle first, and for hooks never.
const BOUNDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// The ends of a sync, as they are counted.
const RESULTS: [&str; 7] = ["synced", "unchanged", "invalid", "refused", "waiting", "drift", "failed"];

pub struct Board {
    asked: Box<dyn Fn() + Send + Sync>,
    shape: fn(&Event) -> Json,
    started: Timestamp,
    known: Mutex<Known>,
}

struct Known {
    project: String,
    store: String,
    leads: bool,
    state: State,
    since: Timestamp,
    /// An apply is under way.
    busy: bool,
    turned: Instant,
    revision: Option<u64>,
    config: Option<String>,
    /// When store and files were last seen to be equal.
    success: Option<Timestamp>,
    next_try: Option<Timestamp>,
    /// Since when they differ.
    differs: Option<Timestamp>,
    /// The last event that told of a state.
    last: Option<Json>,
    drift: usize,
    results: BTreeMap<&'static str, u64>,
    took: Histogram,
}

impl Board {
    /// `shape` makes JSON of an event; `asked` is told of who asks for a sync.
    pub fn new(
        project: &str,
        store: &str,
        shape: fn(&Event) -> Json,
        asked: impl Fn() + Send + Sync + 'static,
    ) -> Board {
        let now = Timestamp::now();
        let known = Known {
            project: project.to_owned(),
            store: store.to_owned(),
            leads: false,
            state: State::default(),
            since: now,
            busy: false,
            turned: Instant::now(),
            revision: None,
            config: None,
            success: None,
            next_try: None,
            differs: None,
            last: None,
            drift: 0,
            results: RESULTS.map(|name| (name, 0)).into(),
            took: Histogram::new(&BOUNDS),
        };
        Board { asked: Box::new(asked), shape, started: now, known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an event tells.
    pub fn told(&self, event: &Event) {
        let shape = (self.shape)(event);
        let known = &mut *self.known();
        known.revision = event.revision.or(known.revision);
        if let Some(config) = &event.config {
            known.config = Some(config.clone());
        }
        let Some(state) = event.what.state() else { return };
        if state != known.state {
            (known.state, known.since) = (state, event.at);
        }
        known.last = Some(shape);
        match &event.what {
            // Another watcher does what there is to do.
            What::Started { .. }
            | What::Stopped { .. }
            | What::Changed { .. }
            | What::Waiting { reason: Reason::Standby, .. } => return,
            What::Synced { .. } | What::Unchanged => {
                known.success = Some(event.at);
                known.drift = 0;
                if let Some(took) = event.took {
                    known.took.count(took);
                }
            }
            What::Drift { drift } => known.drift = drift.len(),
            What::Invalid { .. } | What::Refused { .. } | What::Waiting { .. } | What::Failed { .. } => {}
        }
        *known.results.entry(event.what.name()).or_default() += 1;
    }

    /// The loop has turned. As long as nothing is told, what was seen last still holds.
    pub fn turned(&self) {
        let known = &mut *self.known();
        known.turned = Instant::now();
        if known.state == State::InSync && !known.busy {
            known.success = Some(Timestamp::now());
        }
    }

    /// An apply begins, or has ended.
    pub fn busy(&self, busy: bool) {
        let known = &mut *self.known();
        (known.busy, known.turned) = (busy, Instant::now());
    }

    pub fn leads(&self, leads: bool) {
        self.known().leads = leads;
    }

    pub fn next_try(&self, at: Option<Timestamp>) {
        self.known().next_try = at;
    }

    /// Since when files and store differ; `None` if they do not.
    pub fn differs(&self, since: Option<Timestamp>) {
        self.known().differs = since;
    }

    /// The files may name another project or store than before.
    pub fn named(&self, project: &str, store: &str) {
        let known = &mut *self.known();
        (known.project, known.store) = (project.to_owned(), store.to_owned());
    }
}

impl Known {
    fn is_alive(&self, now: Instant) -> bool {
        self.busy || now.saturating_duration_since(self.turned) < STUCK
    }

    fn state(&self) -> State {
        if self.busy { State::Syncing } else { self.state }
    }
}

/// RFC 3339, UTC.
fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Seconds, to the millisecond, from an instant to a later one.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    let millis = (to.as_millisecond() - from.as_millisecond()).max(0);
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 milliseconds of calendar")]
    let seconds = millis as f64 / 1000.0;
    seconds
}

impl Face for Board {
    fn is_alive(&self) -> bool {
        self.known().is_alive(Instant::now())
    }

    fn state(&self) -> State {
        self.known().state()
    }

    fn status(&self) -> Json {
        let known = self.known();
        json!({
            "format_version": FORMAT_VERSION,
            "yubin": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "project": known.project,
            "store": known.store,
            "started": written(self.started),
            "role": if known.leads { "leader" } else { "standby" },
            "state": known.state().name(),
            "since": written(known.since),
            "revision": known.revision,
            "config_digest": known.config,
            "last_success": known.success.map(written),
            "next_try": known.next_try.map(written),
            "last": known.last,
        })
    }

    fn metrics(&self) -> String {
        let (known, now) = (self.known(), Timestamp::now());
        let mut families = Families::default();
        if let Some(success) = known.success {
            families.one(
                "yubin_watch_last_success_timestamp_seconds",
                "gauge",
                "When store and files were last seen to be equal.",
                seconds(Timestamp::UNIX_EPOCH, success),
            );
        }
        families.histogram(
            "yubin_watch_sync_seconds",
            "How long it took from a change until store and files were equal.",
            [(&[][..], &known.took)],
        );
        let results = known.results.iter().map(|(name, count)| (labels(&[("result", name)]), count.to_string()));
        families.family("yubin_watch_syncs_total", "counter", "Syncs by their ends.", &results.collect::<Vec<_>>());
        families.one("yubin_watch_drift", "gauge", "Changes of other software that stand in the store.", known.drift);
        let refusals = known.results.get("refused").copied().unwrap_or_default();
        families.one("yubin_watch_refusals_total", "counter", "Plans and files refused by a safety rule.", refusals);
        let lag = known.differs.map_or(0.0, |since| seconds(since, now));
        families.one("yubin_watch_lag_seconds", "gauge", "Since when files and store differ.", lag);
        let states =
            State::ALL.map(|state| (labels(&[("state", state.name())]), u8::from(state == known.state()).to_string()));
        families.family("yubin_watch_state", "gauge", "1 for the state that the watcher is in.", &states);
        families.one("yubin_watch_leader", "gauge", "Whether this watcher leads.", u8::from(known.leads));
        if let Some(revision) = known.revision {
            families.one("yubin_watch_revision", "gauge", "Revision of the store.", revision);
        }
        families.into_text()
    }

    fn ask(&self) {
        (self.asked)();
    }
}
