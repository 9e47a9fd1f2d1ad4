//! Waiting until files have come to rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Watcher;
use super::attempt::git_works;
use super::eyes;
use super::wake::{Heard, wait};
use crate::load::Stamp;
use crate::model::watch::{Cause, Reason, What};

/// A file that is open for writing for longer than this is worth a word.
const WRITING: Duration = Duration::from_secs(5);

/// How a wait for files has ended.
pub struct Settled {
    pub heard: Heard,
    /// They are still being written, and nobody waits any longer.
    pub writing: Option<String>,
}

impl Watcher<'_> {
    /// Waits until nothing happens to the files any more, for as long as they are to be left alone by our own clock.
    /// Unless somebody has asked for the files as they are, it waits for those who write, too.
    pub(super) fn settle(&mut self, patient: bool) -> Settled {
        let begun = Instant::now();
        let (mut heard, mut told) = (Heard::default(), false);
        let debounce = self.options.debounce;
        let mut stamp = self.stamp();
        // If the clock of their disk can be believed, they may have been left alone for long.
        let mut since = stamp.age().and_then(|age| begun.checked_sub(age)).unwrap_or(begun);
        loop {
            heard.join(wait(&self.wakes, Instant::now()));
            if heard.stop {
                return Settled { heard, writing: None };
            }
            if self.eyes.have_missed_folders() {
                self.look_around();
            }
            self.unsure |= self.eyes.have_missed();
            let now = self.stamp();
            if now != stamp {
                (stamp, since) = (now, Instant::now());
            }
            since = since.max(self.eyes.last().unwrap_or(since));
            let patient = patient && heard.asked.is_none();
            let busy = if patient { self.who_writes(&stamp) } else { None };
            let quiet = since.elapsed();
            if busy.is_none() && (quiet >= debounce || (!patient && begun.elapsed() >= debounce)) {
                if !patient {
                    self.eyes.forget_writing();
                }
                return Settled { heard, writing: None };
            }
            if begun.elapsed() >= WRITING + debounce {
                let message = busy.clone().unwrap_or_else(|| "the files do not come to rest".to_owned());
                if self.options.once {
                    return Settled { heard, writing: Some(message) };
                }
                if !std::mem::replace(&mut told, true) {
                    let what = What::Waiting { reason: Reason::Writing, message, until: None };
                    self.tell_state(&self.event(Cause::Files, what), None, false);
                }
            }
            self.board.turned();
            let rest = match busy {
                // To look who writes is not cheap, and the system tells of most.
                Some(_) if told => Duration::from_secs(2),
                Some(_) => debounce.min(Duration::from_millis(200)),
                None => debounce.saturating_sub(quiet).min(Duration::from_secs(2)),
            };
            heard.join(wait(&self.wakes, Instant::now() + rest));
        }
    }

    /// Who is still at the files.
    fn who_writes(&mut self, stamp: &Stamp) -> Option<String> {
        let open = if self.unsure { eyes::written(stamp.paths()) } else { None };
        self.unsure = open.is_some();
        let root = &self.options.root;
        if let Some(path) = open.or_else(|| self.eyes.writing()) {
            return Some(format!("{} is open for writing", path.strip_prefix(root).unwrap_or(&path).display()));
        }
        let works = self.options.git.is_none() && git_works(root);
        works.then(|| "git is at work: its index.lock is there".to_owned())
    }

    /// Keeps an eye on all files that the project was read from.
    pub(super) fn look_around(&mut self) {
        if let Some(session) = &self.session {
            let stamp = session.stamp(self.options.trusted.as_deref());
            let pause = session.project.sync.pause(&session.project.root);
            let files = stamp.paths().chain(pause.as_deref());
            let test = Arc::clone(session);
            let test: Arc<eyes::Test> = Arc::new(move |path| test.would_be_source(path));
            self.unsure |= self.eyes.look_at(&self.options.root, files, session.own_files(), test);
        }
    }
}
