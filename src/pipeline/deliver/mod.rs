//! What an apply causes beside the state, on its way to the hooks of the project: at least once, in order for each
//! user, and never in the way of an apply.

mod carrier;
mod events;
mod lease;
mod notices;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use super::{Session, key_ring};
use crate::hooks::Around;
use crate::load::Project;
use crate::model::{Diagnostic, Event, Hook, Plan, Result, Revision, Trigger};
use crate::store::Outbox;
use crate::vault::Fetcher;
use carrier::Carrier;
use events::Events;
use lease::Lease;

pub use notices::{baseline, notice_id};

/// How long an apply waits for its hooks. What is left then is still pending.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Events that are asked for at once.
pub const PAGE: usize = 1000;
/// Users who are named to a hook that tells of a revision.
const NAMED: usize = 1000;

const AGAIN: &str = "`yubin effects retry` tries again; `yubin effects` lists what is pending";

/// What has just been applied.
pub struct Applied {
    pub revision: u64,
    /// Some of the users whom it has logged out, and how many they are.
    users: Vec<String>,
    count: u64,
}

impl Applied {
    pub fn of(plan: &Plan, revision: u64) -> Applied {
        let users = plan.logged_out();
        let named = users.iter().take(NAMED).map(|user| (*user).to_owned()).collect();
        Applied { revision, users: named, count: users.len() as u64 }
    }
}

/// What of that which is pending is delivered.
pub struct Chosen {
    /// These events, with those before them of the same users; `None` is all.
    pub events: Option<Vec<u64>>,
    pub notices: bool,
}

impl Chosen {
    pub const ALL: Chosen = Chosen { events: None, notices: true };
}

/// A delivery for one project.
struct Delivery<'a> {
    project: &'a str,
    outbox: &'a dyn Outbox,
    /// Its revisions by their numbers.
    revisions: BTreeMap<u64, Revision>,
    /// The last revision of the store.
    last: u64,
    /// In the order of the file.
    hooks: Vec<Carrier<'a>>,
    applied: Option<&'a Applied>,
    until: Option<Instant>,
    /// Another run has taken over.
    lost: AtomicBool,
}

impl Delivery<'_> {
    fn is_over(&self) -> bool {
        self.is_late() || self.lost.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Session {
    /// Delivers what is pending for the hooks of the project, what was pending before first. Whatever fails is a
    /// warning, and is still pending.
    pub fn deliver(&self, applied: Option<&Applied>) -> Vec<Diagnostic> {
        self.delivered(applied, &Chosen::ALL, Some(PATIENCE))
    }

    pub(super) fn delivered(
        &self,
        applied: Option<&Applied>,
        chosen: &Chosen,
        patience: Option<Duration>,
    ) -> Vec<Diagnostic> {
        let concerned = self.project.hooks.iter().any(Hook::is_delivered);
        let Some(outbox) = self.store.outbox().filter(|_| concerned) else { return Vec::new() };
        self.try_deliver(outbox, applied, chosen, patience).unwrap_or_else(|error| {
            let message = format!("what hooks are to carry out is not known, or not kept: {error}");
            vec![Diagnostic::warning("hook/outbox", message).hint(AGAIN)]
        })
    }

    fn try_deliver(
        &self,
        outbox: &dyn Outbox,
        applied: Option<&Applied>,
        chosen: &Chosen,
        patience: Option<Duration>,
    ) -> Result<Vec<Diagnostic>> {
        let until = patience.map(|patience| Instant::now() + patience);
        let project = self.project.name.as_str();
        if applied.is_none() && self.is_idle(outbox)? {
            return Ok(Vec::new());
        }
        let lease = Lease::new(outbox, project)?;
        if !lease.take(until)? {
            let message = "another run has delivered effects all the time; what is left is still pending";
            return Ok(vec![Diagnostic::warning("hook/unfinished", message).hint(AGAIN)]);
        }
        // What others have applied until now is behind them.
        let (revisions, last) = self.own_revisions()?;
        let fetcher = self.fetcher();
        let around = self.around(&fetcher);
        let hooks = self.project.hooks.iter().filter(|hook| hook.is_delivered());
        let hooks = hooks.map(|hook| Carrier::new(hook, &around)).collect();
        let delivery =
            Delivery { project, outbox, revisions, last, hooks, applied, until, lost: AtomicBool::new(false) };
        let ended = AtomicBool::new(false);
        let done = thread::scope(|scope| {
            scope.spawn(|| lease.keep(&ended, &delivery.lost));
            let notices = scope.spawn(|| if chosen.notices { delivery.notices() } else { Ok(()) });
            let events = Events::new(&delivery).deliver(chosen.events.as_deref());
            let notices = notices.join().unwrap_or(Ok(()));
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            events.and(notices)
        });
        lease.end();
        done?;
        let mut problems: Vec<Diagnostic> = delivery.hooks.iter().filter_map(Carrier::problem).collect();
        problems.extend(delivery.hooks.iter().filter_map(|carrier| exposed(carrier.hook, &fetcher)));
        if delivery.is_late() {
            let message = "hooks take longer than an apply waits for them; what is left is still pending";
            problems.push(Diagnostic::warning("hook/unfinished", message).hint(AGAIN));
        }
        Ok(problems)
    }

    /// What fetches the secrets of hooks.
    fn fetcher(&self) -> Fetcher<'_> {
        let Project { root, trust, .. } = &self.project;
        Fetcher::new(root, trust, key_ring(&trust.identities, root), self.own.clone())
    }

    fn around<'a>(&'a self, fetcher: &'a Fetcher<'a>) -> Around<'a> {
        let authorities = std::env::var_os("YUBIN_CA_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        Around { root: &self.project.root, fetcher, authorities }
    }

    /// Whether there is nothing to do, as far as can be seen at a glance: then nothing is written.
    fn is_idle(&self, outbox: &dyn Outbox) -> Result<bool> {
        let (revisions, last) = self.own_revisions()?;
        if revisions.is_empty() {
            return Ok(true);
        }
        let page = outbox.events(0, PAGE)?;
        let hooks = &self.project.hooks;
        let concerns = |event: &Event| {
            revisions.contains_key(&event.revision) && hooks.iter().any(|hook| hook.carries_out(&event.effect))
        };
        if page.len() >= PAGE || page.iter().any(concerns) {
            return Ok(false);
        }
        Ok(self.notices_of(outbox, &revisions, last)?.is_empty())
    }

    /// The revisions of the project, and the number of the last of all.
    pub(super) fn own_revisions(&self) -> Result<(BTreeMap<u64, Revision>, u64)> {
        let Some(snapshot) = self.store.snapshot()? else { return Ok((BTreeMap::new(), 0)) };
        let all = snapshot.revisions()?;
        let own = all.into_iter().filter(|one| one.project == self.project.name);
        Ok((own.map(|one| (one.revision, one)).collect(), snapshot.base().revision))
    }

    /// Before an apply: hooks that are new tell of what is applied from here on, also if this run is killed.
    pub(super) fn expect_notices(&self, base: u64) {
        let Some(outbox) = self.store.outbox() else { return };
        let mut names =
            self.project.hooks.iter().filter(|hook| hook.is_for(Trigger::Notify)).map(|hook| &hook.name).peekable();
        if base > 0 && outbox.remembers() && names.peek().is_some() {
            // A store that is brought up only now does not know them; then they begin when they are run.
            let _ = notices::begin(outbox, &self.project.name, names, base);
        }
    }
}

fn exposed(hook: &Hook, fetcher: &Fetcher<'_>) -> Option<Diagnostic> {
    let crate::model::How::Webhook { secret: Some(source), .. } = &hook.how else { return None };
    if hook.foreign || !fetcher.is_exposed(source) {
        return None;
    }
    let message = format!("others than its owner may read the file of the secret of the hook `{}`", hook.name);
    let warning = Diagnostic::warning("secret/permissions", message).hint("chmod 600 it");
    Some(warning.at(&hook.file, hook.place.line, hook.place.column))
}
