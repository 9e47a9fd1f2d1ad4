//! What is known of a watcher while it runs: its loop writes on the `Board`, the status port reads from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::port::Face;
use crate::model::watch::{Event, Reason, State, What};
use crate::serve::metrics::{Families, Histogram, labels};
use crate::wire::{FORMAT_VERSION, moment};

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
    /// An apply may be under way.
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

    /// Work begins that may take long, or has ended.
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
        self.known().state
    }

    fn status(&self) -> Json {
        let known = self.known();
        json!({
            "format_version": FORMAT_VERSION,
            "yubin": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "project": known.project,
            "store": known.store,
            "started": moment(self.started),
            "role": if known.leads { "leader" } else { "standby" },
            "state": known.state.name(),
            "since": moment(known.since),
            "revision": known.revision,
            "config_digest": known.config,
            "last_success": known.success.map(moment),
            "next_try": known.next_try.map(moment),
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
            State::ALL.map(|state| (labels(&[("state", state.name())]), u8::from(state == known.state).to_string()));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::watch::Cause;
    use crate::model::{Address, Drift, Drifted, Key, Kind};

    fn event(what: What) -> Event {
        Event {
            at: "2026-11-22T09:30:00.120Z".parse().unwrap(),
            project: "head-office".to_owned(),
            cause: Cause::Files,
            config: None,
            digest: None,
            revision: None,
            summary: None,
            took: None,
            what,
        }
    }

    fn shape(event: &Event) -> Json {
        json!({ "event": event.what.name() })
    }

    fn board() -> Board {
        Board::new("head-office", "sqlite:yubin.db", shape, || {})
    }

    fn waiting(reason: Reason) -> What {
        What::Waiting { reason, message: String::new(), until: None }
    }

    fn failed() -> What {
        What::Failed { message: "away".to_owned(), hint: None, retry: None }
    }

    fn value(board: &Board, name: &str) -> Option<String> {
        let text = board.metrics();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
    }

    #[test]
    fn what_is_told_is_shown() {
        let board = board();
        assert_eq!((board.state(), &board.status()["last"]), (State::Starting, &Json::Null));
        assert_eq!(board.status()["role"], "standby");
        board.leads(true);
        board.told(&event(What::Started { store: String::new(), status: None, leads: true }));
        assert_eq!((board.state(), &board.status()["last"]), (State::Starting, &Json::Null));
        let changed = What::Changed { files: Vec::new(), count: 0, commit: None };
        board.told(&Event { config: Some("c0ffee".to_owned()), ..event(changed) });
        assert_eq!(board.state(), State::Syncing);
        let synced = What::Synced { effects: Vec::new(), commit: None, diagnostics: Vec::new() };
        board.told(&Event { revision: Some(42), took: Some(Duration::from_millis(300)), ..event(synced) });
        let status = board.status();
        for (key, expected) in [
            ("format_version", json!(1)),
            ("yubin", json!(env!("CARGO_PKG_VERSION"))),
            ("pid", json!(std::process::id())),
            ("project", json!("head-office")),
            ("store", json!("sqlite:yubin.db")),
            ("role", json!("leader")),
            ("state", json!("in_sync")),
            ("since", json!("2026-11-22T09:30:00.120Z")),
            ("revision", json!(42)),
            ("config_digest", json!("c0ffee")),
            ("last_success", json!("2026-11-22T09:30:00.120Z")),
            ("next_try", Json::Null),
            ("last", json!({ "event": "synced" })),
        ] {
            assert_eq!(status[key], expected, "{key}");
        }
        assert_eq!(status.as_object().unwrap().len(), 14);
        board.named("branch", "sqlite:other.db");
        board.next_try(Some("2026-11-22T10:00:00Z".parse().unwrap()));
        let status = board.status();
        assert_eq!((&status["project"], &status["store"]), (&json!("branch"), &json!("sqlite:other.db")));
        assert_eq!(status["next_try"], "2026-11-22T10:00:00.000Z");
        // What is known stays known where an event does not tell of it.
        board.told(&Event { at: "2026-11-22T09:31:00Z".parse().unwrap(), ..event(failed()) });
        let status = board.status();
        assert_eq!((&status["state"], &status["revision"]), (&json!("failed"), &json!(42)));
        assert_eq!(
            (&status["since"], &status["last"]["event"]),
            (&json!("2026-11-22T09:31:00.000Z"), &json!("failed"))
        );
        board.told(&Event { at: "2026-11-22T09:32:00Z".parse().unwrap(), ..event(failed()) });
        assert_eq!(board.status()["since"], "2026-11-22T09:31:00.000Z");
        board.told(&event(What::Stopped { by_signal: true }));
        assert_eq!(board.status()["last"]["event"], "failed");
    }

    #[test]
    fn it_is_counted() {
        let board = board();
        assert_eq!(value(&board, "yubin_watch_last_success_timestamp_seconds"), None);
        assert_eq!(value(&board, "yubin_watch_revision"), None);
        assert_eq!(value(&board, "yubin_watch_leader").as_deref(), Some("0"));
        for result in RESULTS {
            let line = format!("yubin_watch_syncs_total{{result=\"{result}\"}}");
            assert_eq!(value(&board, &line).as_deref(), Some("0"));
        }
        let drift = |key: &str| Drift { address: Address::new(Kind::Account, Key::single(key)), what: Drifted::Added };
        let refused = || What::Refused { refused: Vec::new(), diagnostics: Vec::new() };
        for what in [refused(), refused(), failed(), waiting(Reason::Window), waiting(Reason::Standby)] {
            board.told(&event(what));
        }
        assert_eq!(board.state(), State::Standby);
        board.told(&event(What::Drift { drift: vec![drift("a"), drift("b")] }));
        board.leads(true);
        board.differs(Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(90)).ok());
        let lag: f64 = value(&board, "yubin_watch_lag_seconds").unwrap().parse().unwrap();
        assert!((90.0..100.0).contains(&lag), "{lag}");
        for (name, expected) in [
            ("yubin_watch_refusals_total", "2"),
            ("yubin_watch_syncs_total{result=\"refused\"}", "2"),
            ("yubin_watch_syncs_total{result=\"failed\"}", "1"),
            ("yubin_watch_syncs_total{result=\"waiting\"}", "1"),
            ("yubin_watch_drift", "2"),
            ("yubin_watch_leader", "1"),
            ("yubin_watch_state{state=\"drift\"}", "1"),
            ("yubin_watch_state{state=\"standby\"}", "0"),
            ("yubin_watch_sync_seconds_count", "0"),
        ] {
            assert_eq!(value(&board, name).as_deref(), Some(expected), "{name}");
        }
        board.differs(None);
        board.told(&Event { revision: Some(7), took: Some(Duration::from_secs(2)), ..event(What::Unchanged) });
        for (name, expected) in [
            ("yubin_watch_last_success_timestamp_seconds", "1795339800.12"),
            ("yubin_watch_drift", "0"),
            ("yubin_watch_lag_seconds", "0"),
            ("yubin_watch_revision", "7"),
            ("yubin_watch_sync_seconds_bucket{le=\"1\"}", "0"),
            ("yubin_watch_sync_seconds_bucket{le=\"2.5\"}", "1"),
            ("yubin_watch_sync_seconds_sum", "2"),
        ] {
            assert_eq!(value(&board, name).as_deref(), Some(expected), "{name}");
        }
        let states = board.metrics().lines().filter(|line| line.starts_with("yubin_watch_state{")).count();
        assert_eq!(states, State::ALL.len());
    }

    #[test]
    fn what_was_seen_holds_as_long_as_the_loop_turns() {
        let board = board();
        board.turned();
        assert_eq!(board.status()["last_success"], Json::Null);
        board.told(&event(What::Unchanged));
        let told = board.status()["last_success"].clone();
        board.turned();
        let turned = board.status()["last_success"].clone();
        assert_ne!(turned, told);
        board.told(&event(failed()));
        board.turned();
        assert_eq!(board.status()["last_success"], turned);
    }

    #[test]
    fn a_loop_that_stands_still_is_not_alive() {
        let board = board();
        let alive = |seconds: u64| board.known().is_alive(Instant::now() + Duration::from_secs(seconds));
        assert!(board.is_alive() && alive(59) && !alive(61));
        board.told(&event(What::Unchanged));
        board.busy(true);
        assert!(alive(3600));
        // A look at what is in sync does not make it any less so.
        assert_eq!((board.state(), &board.status()["state"]), (State::InSync, &json!("in_sync")));
        board.busy(false);
        assert!(alive(59) && !alive(61));
        assert_eq!(board.state(), State::InSync);
    }

    #[test]
    fn who_asks_is_heard() {
        let count = Arc::new(AtomicUsize::new(0));
        let heard = Arc::clone(&count);
        let board = Board::new("x", "y", shape, move || {
            heard.fetch_add(1, Ordering::Relaxed);
        });
        board.ask();
        board.ask();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
