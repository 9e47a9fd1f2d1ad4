//! What follows a sync and must not hold up the next: effects for hooks, and those that are told of the watcher.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::model::Diagnostic;
use crate::pipeline::{Applied, Session};

/// Errands that wait at once.
const MOST: usize = 20;

type Job = Box<dyn FnOnce() -> Vec<Diagnostic> + Send>;

/// One thread for effects, one for those who are told, each in order.
pub struct Errands {
    effects: Sender<Job>,
    telling: Sender<Job>,
    left: Arc<AtomicUsize>,
    /// Effects that are waited for, and whether some have failed.
    trouble: Arc<AtomicUsize>,
}

impl Errands {
    /// `say` is told what has gone wrong.
    pub fn new(say: impl Fn(Vec<Diagnostic>) + Send + Sync + 'static) -> Errands {
        let say = Arc::new(say);
        let left: Arc<AtomicUsize> = Arc::default();
        let trouble: Arc<AtomicUsize> = Arc::default();
        let start = |trouble: Option<Arc<AtomicUsize>>| {
            let (send, receive) = mpsc::channel::<Job>();
            let (say, left) = (Arc::clone(&say), Arc::clone(&left));
            thread::spawn(move || {
                for job in receive {
                    let problems = job();
                    if let Some(trouble) = &trouble {
                        trouble.store(problems.len(), Ordering::Relaxed);
                    }
                    if !problems.is_empty() {
                        say(problems);
                    }
                    left.fetch_sub(1, Ordering::AcqRel);
                }
            });
            send
        };
        Errands { effects: start(Some(Arc::clone(&trouble))), telling: start(None), left, trouble }
    }

    pub fn deliver(&self, session: Arc<Session>, applied: Option<Applied>) {
        if !session.project.hooks.is_empty() {
            self.give(&self.effects, Box::new(move || session.deliver(applied.as_ref())));
        }
    }

    pub fn tell(&self, session: Arc<Session>, name: &'static str, id: String, body: Vec<u8>) {
        self.give(&self.telling, Box::new(move || session.tell_hooks(name, &id, &body)));
    }

    fn give(&self, to: &Sender<Job>, job: Job) {
        // What is left out is still pending in the store, and the next one delivers it.
        if self.left.load(Ordering::Acquire) >= MOST {
            return;
        }
        self.left.fetch_add(1, Ordering::AcqRel);
        if to.send(job).is_err() {
            self.left.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether some effects have not been delivered.
    pub fn is_troubled(&self) -> bool {
        self.trouble.load(Ordering::Relaxed) > 0
    }

    /// Waits until all is done, or for so long: effects that are left are still pending.
    pub fn finish(&self, limit: Option<Duration>) {
        let begun = Instant::now();
        while self.left.load(Ordering::Acquire) > 0 && limit.is_none_or(|limit| begun.elapsed() < limit) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
