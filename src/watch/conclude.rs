//! What becomes of an attempt: what is taken down of it, what is told, and what follows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, Outcome, Tree};
use super::{Last, Watcher, consents};
use crate::load::Stamp;
use crate::model::watch::{Cause, Caused, Event, Reason, Summary, What};
use crate::model::{Change, Effect, Error};
use crate::pipeline::{Applied, Planned};

/// The longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(60);

impl Watcher<'_> {
    /// Takes down what an attempt has found, and tells of it.
    pub(super) fn conclude(&mut self, done: Attempt, before: Stamp, cause: Cause, begun: Instant) {
        let Attempt { session, planned, tree, base, outcome } = done;
        let opened = session.is_some();
        if let Some(session) = session {
            let session = Arc::new(session);
            self.project.clone_from(&session.project.name);
            self.board.named(&self.project, &session.store_name);
            if planned.is_some() {
                self.good = Some(Arc::clone(&session));
            }
            self.session = Some(session);
        }
        let tree = match tree {
            Some(tree) if opened => tree,
            Some(Tree { commit, .. }) => Tree { commit, files: before },
            None => Tree { commit: self.last.as_ref().and_then(|last| last.tree.commit.clone()), files: before },
        };
        let commit = tree.commit.clone();
        self.look_around();
        let now = Instant::now();
        (self.polled, self.whole, self.retry, self.opens) = (now, now, None, None);
        let awaits = matches!(
            outcome,
            Outcome::Refused(_) | Outcome::Waiting { reason: Reason::Approval | Reason::ByHand | Reason::Window, .. }
        );
        self.last = Some(Last {
            tree,
            base,
            paused: self.session.as_ref().is_some_and(|session| session.paused_by().is_some()),
            consents: self.session.as_ref().filter(|_| awaits).and_then(|session| consents(session)),
        });
        if !matches!(outcome, Outcome::Failed(_)) {
            self.failures = 0;
        }
        let diagnostics = || self.session.as_ref().map_or(Vec::new(), |one| one.diagnostics.iter().cloned().collect());
        let mut applied_now = None;
        let mut revision = base.map(|base| base.revision);
        let what = match outcome {
            Outcome::Torn => return,
            Outcome::Invalid(diagnostics) => What::Invalid { diagnostics },
            Outcome::Refused(refused) => What::Refused { refused, diagnostics: diagnostics() },
            Outcome::Unchanged => What::Unchanged,
            Outcome::Waiting { reason, message, until } => {
                self.opens = until;
                What::Waiting { reason, message, until }
            }
            Outcome::Drift => What::Drift { drift: planned.as_ref().map_or(Vec::new(), |one| one.plan.drift.clone()) },
            Outcome::Failed(error) => self.failed(&error),
            Outcome::Synced { revision: made, applied } => {
                applied_now = Some(applied);
                revision = Some(made);
                let effects = planned.as_ref().map_or(Vec::new(), caused);
                What::Synced { effects, commit, diagnostics: diagnostics() }
            }
        };
        let event = Event {
            config: self.session.as_ref().filter(|_| opened).and_then(|one| one.config_digest().map(str::to_owned)),
            digest: planned.as_ref().map(|one| one.digest.clone()),
            revision,
            summary: planned.as_ref().map(|one| Summary::of(&one.plan)),
            took: Some(begun.elapsed()),
            ..self.event(cause, what)
        };
        let in_sync = matches!(event.what, What::Synced { .. } | What::Unchanged);
        if let (true, Some(config), Some(revision)) = (in_sync, &event.config, revision) {
            self.settled = Some((config.clone(), revision));
        }
        // A store that has gone back is another one until somebody says that it is meant.
        let further = revision.filter(|now| in_sync || self.seen.as_ref().is_none_or(|(_, was)| was <= now));
        if let (Some(revision), Some(session)) = (further.filter(|revision| *revision > 0), &self.session) {
            self.seen = Some((session.store_name.clone(), revision));
        }
        let shown = planned.as_ref().zip(self.session.clone());
        let follows = std::mem::take(&mut self.told_change) && in_sync;
        let news = self.is_news(&event) || cause.is_asked() || follows;
        if in_sync {
            self.tell_drift(&event, planned.as_ref());
        }
        self.tell_state(&event, shown.as_ref().map(|(planned, session)| (&**session, *planned)), news);
        if let Some((_, _, lead)) = self.lead.as_ref().filter(|_| applied_now.is_some() || self.failures > 0) {
            // The store may be new, and nobody has led there.
            lead.renew();
        }
        if in_sync {
            self.deliver(applied_now);
        }
    }

    pub(super) fn failed(&mut self, error: &Error) -> What {
        self.failures += 1;
        let retry = (!self.options.once).then(|| backoff(self.failures));
        self.retry = retry.map(|retry| Instant::now() + retry);
        What::Failed { message: error.to_string(), hint: error.hint.clone(), retry }
    }

    pub(super) fn deliver(&mut self, applied: Option<Applied>) {
        self.delivered = Instant::now();
        if let Some(session) = &self.good {
            self.errands.deliver(Arc::clone(session), applied);
        }
    }
}

/// How long to wait after so many failures in a row: a quarter more or less by chance, so that many watchers of a
/// store that comes back do not all come at once.
fn backoff(failures: u32) -> Duration {
    let pause = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST);
    let chance = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.75 + chance / 2.0)
}

fn caused(planned: &Planned) -> Vec<Caused> {
    let plan = &planned.plan;
    let effect = |change: &Change| {
        let effect = change.effect(plan)?;
        let user = match effect {
            Effect::Logout(user) => Some(user.to_owned()),
            Effect::PurgeMail | Effect::Kick => None,
        };
        Some(Caused { effect: effect.name(), user, address: change.address() })
    };
    plan.changes.iter().filter_map(effect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_differ() {
        for (failures, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (1000, 60.0)] {
            for _ in 0..100 {
                let pause = backoff(failures).as_secs_f64();
                assert!((seconds * 0.75..=seconds * 1.25).contains(&pause), "{failures}: {pause}");
            }
        }
        assert!((0..100).any(|_| backoff(5) != backoff(5)));
    }
}
