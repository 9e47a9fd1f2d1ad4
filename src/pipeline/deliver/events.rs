//! Events of the outbox on their way to hooks: users side by side, the events of each in order, a page at a time.
//!
//! First come those of users with whom nothing has failed before, then the others: what fails every time is never
//! in the way of what is new.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::notices::now;
use super::{Delivery, PAGE};
use crate::hooks::Happening;
use crate::model::{Attempt, Event, Result};
use crate::wire;

/// Users who are served at once.
const WORKERS: usize = 8;
/// After so many outcomes, or so long, they are written down. What a kill loses of them is carried out twice.
const OUTCOMES: usize = 200;
const MOMENT: Duration = Duration::from_millis(250);
/// How often outcomes are tried to be written where an apply holds the store.
const TRIES: u32 = 6;

/// What is known of a hook and a user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// It has failed in another run.
    Held,
    /// It has failed in this one.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    /// Of those with whom something has failed before.
    Second,
    /// Of those whom a person has named.
    Named,
}

enum Outcome {
    Tried(Vec<Attempt>),
    Done(u64),
}

/// The users of the events that are named, and the last of them for each.
type Only = HashMap<String, u64>;

pub struct Events<'d, 'a> {
    delivery: &'d Delivery<'a>,
    /// By the number of the hook, and the user.
    marks: Mutex<HashMap<(usize, String), Mark>>,
}

impl<'d, 'a> Events<'d, 'a> {
    pub fn new(delivery: &'d Delivery<'a>) -> Events<'d, 'a> {
        Events { delivery, marks: Mutex::default() }
    }

    pub fn deliver(&self, only: Option<&[u64]>) -> Result<()> {
        let Some(only) = only else {
            self.pass(Pass::First, None)?;
            if self.marks().values().any(|mark| *mark == Mark::Held) {
                self.pass(Pass::Second, None)?;
            }
            return Ok(());
        };
        let mut named = Only::new();
        for id in only {
            if let Some(event) = self.delivery.outbox.events(id.saturating_sub(1), 1)?.pop().filter(|one| one.id == *id)
            {
                let last = named.entry(event.user).or_default();
                *last = (*last).max(event.id);
            }
        }
        if named.is_empty() { Ok(()) } else { self.pass(Pass::Named, Some(&named)) }
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, String), Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, pass: Pass, only: Option<&Only>) -> Result<()> {
        let Delivery { outbox, hooks, revisions, .. } = self.delivery;
        let mut after = 0;
        let last = only.and_then(|only| only.values().max().copied()).unwrap_or(u64::MAX);
        while after < last && !self.delivery.is_over() {
            if hooks.iter().all(|carrier| {
                carrier.hook.on.iter().all(|on| !carrier.hook.carries_out(on.name())) || carrier.is_out()
            }) {
                break;
            }
            let mut page = outbox.events(after, PAGE)?;
            let (Some(first), Some(last)) = (page.first().map(|one| one.id), page.last().map(|one| one.id)) else {
                break;
            };
            after = last;
            page.retain(|event| {
                revisions.contains_key(&event.revision)
                    && hooks.iter().any(|carrier| carrier.hook.carries_out(&event.effect))
                    && only.is_none_or(|only| only.get(&event.user).is_some_and(|last| event.id <= *last))
            });
            if !page.is_empty() {
                let attempts = outbox.attempts(first, last)?;
                self.carry_out(pass, &page, &attempts)?;
            }
        }
        Ok(())
    }

    /// The events of a page.
    fn carry_out(&self, pass: Pass, page: &[Event], attempts: &[Attempt]) -> Result<()> {
        let attempts: HashMap<(u64, &str), &Attempt> =
            attempts.iter().map(|attempt| ((attempt.event, attempt.hook.as_str()), attempt)).collect();
        let mut queues: Vec<Vec<&Event>> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for event in page {
            let place = *places.entry(&event.user).or_insert_with(|| {
                queues.push(Vec::new());
                queues.len() - 1
            });
            queues[place].push(event);
        }
        let next = AtomicUsize::new(0);
        let (send, receive) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..WORKERS.min(queues.len()) {
                let send = send.clone();
                let (queues, next, attempts) = (&queues, &next, &attempts);
                scope.spawn(move || {
                    while let Some(queue) = queues.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.serve(pass, queue, attempts, &send);
                    }
                });
            }
            drop(send);
            let (mut tried, mut done, mut since) = (Vec::new(), Vec::new(), Instant::now());
            loop {
                match receive.recv_timeout(MOMENT) {
                    Ok(Outcome::Tried(attempts)) => tried.extend(attempts),
                    Ok(Outcome::Done(id)) => done.push(id),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if tried.len() + done.len() >= OUTCOMES || since.elapsed() >= MOMENT {
                    // If an apply holds the store, the next moment does as well.
                    if self.delivery.outbox.settle(&tried, &done).is_ok() {
                        tried.clear();
                        done.clear();
                    }
                    since = Instant::now();
                }
            }
            self.settle(&tried, &done)
        })
    }

    fn settle(&self, tried: &[Attempt], done: &[u64]) -> Result<()> {
        if tried.is_empty() && done.is_empty() {
            return Ok(());
        }
        for _ in 1..TRIES {
            if self.delivery.outbox.settle(tried, done).is_ok() {
                return Ok(());
            }
            thread::sleep(MOMENT);
        }
        self.delivery.outbox.settle(tried, done)
    }

    /// The events of one user, in order.
    fn serve(
        &self,
        pass: Pass,
        queue: &[&Event],
        attempts: &HashMap<(u64, &str), &Attempt>,
        outcomes: &Sender<Outcome>,
    ) {
        for event in queue {
            let (mut tried, mut all) = (Vec::new(), true);
            let mut happening = None;
            for (number, carrier) in self.delivery.hooks.iter().enumerate() {
                if !carrier.hook.carries_out(&event.effect) {
                    continue;
                }
                let before = attempts.get(&(event.id, carrier.hook.name.as_str()));
                if before.is_some_and(|attempt| attempt.done) {
                    continue;
                }
                let failed_before = before.is_some_and(|attempt| attempt.tries > 0);
                if self.delivery.is_over() || carrier.is_out() || !self.may(pass, number, &event.user, failed_before) {
                    all = false;
                    continue;
                }
                let result = carrier.attempt(happening.get_or_insert_with(|| self.happening(event)));
                if result.is_err() {
                    all = false;
                    self.marks().insert((number, event.user.clone()), Mark::Failed);
                }
                tried.push(Attempt {
                    event: event.id,
                    hook: carrier.hook.name.clone(),
                    tries: before.map_or(0, |attempt| attempt.tries) + 1,
                    done: result.is_ok(),
                    error: result.err(),
                    at: now(),
                });
            }
            let outcome = if all { Outcome::Done(event.id) } else { Outcome::Tried(tried) };
            // Whoever writes outcomes down waits for the last.
            let _ = outcomes.send(outcome);
        }
    }

    /// Whether a hook may be tried for a user in this pass.
    fn may(&self, pass: Pass, hook: usize, user: &str, failed_before: bool) -> bool {
        let mut marks = self.marks();
        let key = (hook, user.to_owned());
        match (pass, marks.get(&key)) {
            (Pass::First, None) if failed_before => {
                marks.insert(key, Mark::Held);
                false
            }
            (Pass::First | Pass::Named, None) | (Pass::Second, Some(Mark::Held)) => true,
            _ => false,
        }
    }

    fn happening(&self, event: &Event) -> Happening {
        let at = self.delivery.revisions.get(&event.revision).map_or("", |revision| revision.at.as_str());
        Happening {
            id: event.id.to_string(),
            effect: event.effect.clone(),
            user: event.user.clone(),
            address: event.address.to_string(),
            revision: event.revision,
            mail: event.mail.clone().unwrap_or_default(),
            body: wire::told_event(event, self.delivery.project, at).to_string().into_bytes(),
        }
    }
}
