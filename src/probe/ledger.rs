//! Who may log in now, and who may not any more: logins of one user at one host wait for each other, whatever the port,
//! and a user who was refused often enough is not tried again.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::probe::{Entry, Target};

/// A user of a host, by his place in the list of them.
type Who = usize;

#[derive(Default)]
struct State {
    /// Targets that nobody has begun with, the first one last, and who logs in there.
    waiting: Vec<(usize, Option<Who>)>,
    known: HashMap<(String, String), Who>,
    users: Vec<User>,
}

/// What a server said to a password that it did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    No,
    /// It was silent, or closed.
    Nothing,
    /// What tells neither yes nor no.
    Unclear,
}

#[derive(Clone, PartialEq, Eq)]
struct Failure {
    answer: Answer,
    /// The resource, and the server as people write it.
    login: String,
}

#[derive(Clone, Default)]
struct User {
    busy: bool,
    /// The logins that the server did not take. There are no more of them than `attempts`.
    failures: Vec<Failure>,
}

impl State {
    /// Who logs in at this target. Servers do not tell `INFO` from `info`, nor do those that lock.
    fn who(&mut self, target: &Target) -> Option<Who> {
        let Entry::User { name, .. } = &target.entry else { return None };
        let key = (target.host.trim_end_matches('.').to_lowercase(), name.trim().to_lowercase());
        let next = self.users.len();
        let who = *self.known.entry(key).or_insert(next);
        if who == next {
            self.users.push(User::default());
        }
        Some(who)
    }
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

impl Ledger {
    pub fn new(targets: &[Target], attempts: u32) -> Ledger {
        let mut state = State::default();
        state.waiting = targets.iter().enumerate().map(|(at, target)| (at, state.who(target))).collect();
        state.waiting.reverse();
        Ledger { state: Mutex::new(state), freed: Condvar::new(), attempts }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first target that nobody has begun with and whose user is free, by its place, with the turn of that user.
    /// `None` once all are begun.
    pub fn next(&self) -> Option<(usize, Option<Turn<'_>>)> {
        let mut state = self.state();
        while !state.waiting.is_empty() {
            let free = |(_, who): &(usize, Option<Who>)| who.is_none_or(|who| !state.users[who].busy);
            if let Some(place) = state.waiting.iter().rposition(free) {
                let (at, who) = state.waiting.remove(place);
                let turn = who.map(|who| {
                    state.users[who].busy = true;
                    Turn { ledger: self, who }
                });
                return Some((at, turn));
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// The turn of another login, which is waited for. Nobody may have one while he asks for the next.
    pub fn turn(&self, target: &Target) -> Option<Turn<'_>> {
        let mut state = self.state();
        let who = state.who(target)?;
        while state.users[who].busy {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.users[who].busy = true;
        Some(Turn { ledger: self, who })
    }
}

impl Turn<'_> {
    /// Whether the password may be shown once more.
    pub fn may_try(&self) -> bool {
        let tried = self.ledger.state().users[self.who].failures.len();
        u32::try_from(tried).is_ok_and(|tried| tried < self.ledger.attempts)
    }

    /// The server did not take the password of this target.
    pub fn failed(&self, target: &Target, answer: Answer) {
        let Target { address, protocol, host, port, .. } = target;
        let login = format!("`{address}` at {} {host}:{port}", protocol.name());
        self.ledger.state().users[self.who].failures.push(Failure { answer, login });
    }

    /// What has come of the logins of this user, for a sentence that begins with him.
    pub fn told(&self) -> String {
        let mut failures = self.ledger.state().users[self.who].failures.clone();
        failures.dedup();
        let told = failures.iter().map(|Failure { answer, login }| match answer {
            Answer::No => format!("was refused for {login}"),
            Answer::Nothing => format!("got no answer to the password for {login}"),
            Answer::Unclear => format!("got an answer to the password that is neither yes nor no for {login}"),
        });
        told.collect::<Vec<_>>().join(" and ")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.ledger.state().users[self.who].busy = false;
        self.ledger.freed.notify_all();
    }
}
