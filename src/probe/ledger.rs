//! Who may log in now, and who may not any more: logins of one user at one host wait for each other, whatever the port,
//! and a user who was refused often enough is not tried again.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::probe::{Entry, Target};

/// A host and a user of it.
type Who = (String, String);

#[derive(Default)]
struct State {
    /// Places of the targets that nobody has begun with.
    waiting: Vec<usize>,
    busy: HashSet<Who>,
    /// How often the server said no, or nothing at all.
    refused: HashMap<Who, u32>,
}

pub struct Ledger {
    state: Mutex<State>,
    freed: Condvar,
    attempts: u32,
}

/// The right to log in, until it is dropped.
pub struct Turn<'a> {
    ledger: &'a Ledger,
    who: Who,
}

/// Who logs in at this target. Servers do not tell `INFO` from `info`, nor do those that lock.
fn who(target: &Target) -> Option<Who> {
    match &target.entry {
        Entry::User { name, .. } => {
            Some((target.host.trim_end_matches('.').to_lowercase(), name.trim().to_lowercase()))
        }
        Entry::Nobody | Entry::Without(_) => None,
    }
}

impl Ledger {
    pub fn new(targets: usize, attempts: u32) -> Ledger {
        let state = State { waiting: (0..targets).rev().collect(), ..State::default() };
        Ledger { state: Mutex::new(state), freed: Condvar::new(), attempts }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first target that nobody has begun with and whose user is free, with the turn of that user. `None` once all
    /// are begun.
    pub fn next(&self, targets: &[Target]) -> Option<(usize, Option<Turn<'_>>)> {
        let mut state = self.state();
        loop {
            let free = |at: &usize| who(&targets[*at]).is_none_or(|who| !state.busy.contains(&who));
            // The last ones come first, so that taking one out moves little.
            if let Some(place) = state.waiting.iter().rposition(free) {
                let at = state.waiting.remove(place);
                let turn = who(&targets[at]).map(|who| {
                    state.busy.insert(who.clone());
                    Turn { ledger: self, who }
                });
                return Some((at, turn));
            }
            if state.waiting.is_empty() {
                return None;
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The turn of another login, which is waited for. Nobody may have one while he asks for the next.
    pub fn turn(&self, target: &Target) -> Option<Turn<'_>> {
        let who = who(target)?;
        let mut state = self.state();
        while !state.busy.insert(who.clone()) {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(Turn { ledger: self, who })
    }
}

impl Turn<'_> {
    /// Whether the password may be shown once more.
    pub fn may_try(&self) -> bool {
        self.ledger.state().refused.get(&self.who).copied().unwrap_or(0) < self.ledger.attempts
    }

    /// The server did not take it, or did not say.
    pub fn refused(&self) {
        *self.ledger.state().refused.entry(self.who.clone()).or_default() += 1;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.ledger.state().busy.remove(&self.who);
        self.ledger.freed.notify_all();
    }
}
