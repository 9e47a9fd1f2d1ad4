//! Telling: each thing once, and to everybody who wants to know.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::attempt::{differing, newest};
use super::{Telling, Watcher, systemd};
use crate::model::watch::{Cause, Event, Reason, State, What};
use crate::pipeline::{Planned, Session};
use crate::wire;

/// Failures in a row from which on those are told who want to know.
const ALARMING: u32 = 3;
/// Files that are named when they have changed.
const NAMED: usize = 20;

impl Watcher<'_> {
    /// Tells which files have changed since the attempt before; nothing at the start, and once for what is read again.
    pub(super) fn tell_change(&mut self, cause: Cause) {
        let Some(last) = &self.last else { return };
        let root = &self.options.root;
        let stamp = self.stamp();
        let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        let mut files: Vec<String> = stamp.differing(&last.tree.files).into_iter().map(name).collect();
        let commit = self.options.git.as_ref().and_then(|git| newest(root, git).ok().flatten());
        if let (Some(now), Some(was)) = (&commit, &last.tree.commit)
            && now != was
        {
            files.extend(differing(root, was, now));
        }
        if commit == last.tree.commit && files.is_empty()
            || self.changing.as_ref() == Some(&(stamp.clone(), commit.clone()))
        {
            return;
        }
        let count = files.len();
        files.truncate(NAMED);
        self.changing = Some((stamp, commit.clone()));
        self.told_change = true;
        let revision = last.base.map(|base| base.revision);
        self.say(&Event { revision, ..self.event(cause, What::Changed { files, count, commit }) }, None);
    }

    /// What other software has changed, once.
    pub(super) fn tell_drift(&mut self, event: &Event, planned: Option<&Planned>) {
        let drift = planned.map_or(Vec::new(), |one| one.plan.drift.clone());
        if drift.is_empty() {
            self.told_drift = None;
            return;
        }
        let key = format!("{drift:?}");
        if self.told_drift.as_ref() == Some(&key) {
            return;
        }
        self.told_drift = Some(key);
        let event = Event { what: What::Drift { drift }, ..event.clone() };
        self.say(&event, None);
    }

    /// Whether an event says something else than the last one about the state.
    pub(super) fn is_news(&self, event: &Event) -> bool {
        match event.what {
            What::Synced { .. } | What::Failed { .. } => true,
            What::Unchanged => self.state != State::InSync,
            _ => self.told != Some(key(event)),
        }
    }

    /// Tells of the state, if it is news, and whoever else wants to know.
    pub(super) fn tell_state(&mut self, event: &Event, plan: Option<(&Session, &Planned)>, even_if_known: bool) {
        let Some(state) = event.what.state() else { return };
        let news = self.is_news(event);
        self.told = Some(key(event));
        let was_starting = self.state == State::Starting;
        self.state = state;
        let differs = !state.is_ready();
        self.differs = if differs { self.differs.or(Some(event.at)) } else { None };
        self.board.differs(self.differs);
        let retry = self
            .retry
            .map(|at| Timestamp::now().checked_add(at.saturating_duration_since(Instant::now())).unwrap_or_default());
        let next = retry.or(self.opens);
        self.board.next_try(next);
        if news || even_if_known {
            self.say(event, plan);
        } else {
            self.board.told(event);
        }
        if news {
            self.alarm(event);
        }
        if was_starting {
            systemd::ready();
        }
        systemd::status(state.name());
    }

    pub(super) fn say(&self, event: &Event, plan: Option<(&Session, &Planned)>) {
        self.board.told(event);
        (self.tell)(&match plan {
            Some((session, planned)) => Telling::Plan(event, session, planned),
            None => Telling::Event(event),
        });
    }

    /// Tells the hooks that want to know of what is wrong, and that it is right again.
    pub(super) fn alarm(&mut self, event: &Event) {
        let wrong = match &event.what {
            What::Invalid { .. } | What::Refused { .. } | What::Drift { .. } => true,
            What::Waiting { reason, .. } => *reason != Reason::Standby,
            What::Failed { .. } => self.failures == ALARMING,
            _ => false,
        };
        let right = self.alarmed.is_some() && matches!(event.what, What::Synced { .. } | What::Unchanged);
        // Who knows of a mistake in one file needs not hear of it again with every save of another.
        let about = wrong.then(|| match &event.what {
            What::Invalid { diagnostics } => format!("{diagnostics:?}"),
            _ => key(event),
        });
        if !right && (!wrong || about == self.alarmed) {
            return;
        }
        self.alarmed = about;
        // The hooks of a tree that is wrong may be wrong themselves.
        let Some(session) = self.good.as_ref().or(self.session.as_ref()) else { return };
        let body = wire::watch_event(event).to_string().into_bytes();
        let id = format!("watch-{}", wire::moment(event.at));
        self.errands.tell(Arc::clone(session), event.what.name(), id, body);
    }
}

/// What makes an event about the state the same as another.
fn key(event: &Event) -> String {
    let Event { config, digest, what, .. } = event;
    match what {
        What::Waiting { reason, .. } => format!("{} {reason:?} {config:?} {digest:?}", what.name()),
        What::Invalid { diagnostics } => format!("{} {config:?} {diagnostics:?}", what.name()),
        What::Refused { refused, .. } => format!("{} {config:?} {digest:?} {refused:?}", what.name()),
        What::Drift { drift } => format!("{} {config:?} {digest:?} {drift:?}", what.name()),
        _ => what.name().to_owned(),
    }
}
