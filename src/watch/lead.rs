//! Which of several watchers of a project may apply. The store says so, for a few seconds at a time.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::wake::Wake;
use crate::model::{Error, Lead as Held, Result};
use crate::pipeline::Session;

/// What is known of the lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Leads,
    /// Another one leads; who.
    StandsBy(String),
    /// The store does not say.
    Unknown(String),
}

pub struct Lead {
    session: Arc<Session>,
    holder: String,
    lease: Duration,
    shared: Arc<Mutex<Shared>>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    role: Role,
    /// Until when it holds without being renewed.
    until: Instant,
}

/// Names this watcher among others, for people too.
pub fn holder(actor: &str) -> Result<String> {
    let random = getrandom::u32().map_err(|error| Error::failure("the system gives no random bytes").because(error))?;
    Ok(format!("{actor} (process {}, {random:08x})", std::process::id()))
}

impl Lead {
    /// Asks for the lead at once, and keeps it, or goes on asking.
    pub fn begin(session: Arc<Session>, holder: String, lease: Duration, wake: Sender<Wake>) -> Lead {
        let shared = Arc::new(Mutex::new(Shared { role: Role::Unknown(String::new()), until: Instant::now() }));
        ask(&session, &holder, lease, &shared);
        let (stop, stopped) = mpsc::channel();
        let seen = Arc::clone(&shared);
        let (asks, name) = (Arc::clone(&session), holder.clone());
        let thread = thread::spawn(move || {
            let mut role = lock(&seen).role.clone();
            loop {
                match stopped.recv_timeout(lease / 3) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
                ask(&asks, &name, lease, &seen);
                let now = lock(&seen).role.clone();
                if now != role {
                    role = now;
                    // Whoever has stopped needs not be woken.
                    let _ = wake.send(Wake::Lead);
                }
            }
        });
        Lead { session, holder, lease, shared, stop, thread: Some(thread) }
    }

    pub fn role(&self) -> Role {
        let has_run_out = {
            let shared = lock(&self.shared);
            shared.role == Role::Leads && Instant::now() >= shared.until
        };
        if has_run_out {
            // A long apply has kept the store to itself: nobody else can have taken it, unless the store says so.
            ask(&self.session, &self.holder, self.lease, &self.shared);
        }
        lock(&self.shared).role.clone()
    }
}

/// Whoever stands by need not wait for the lease to run out.
impl Drop for Lead {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            // What it might say of a panic is said already.
            let _ = thread.join();
        }
        if lock(&self.shared).role == Role::Leads
            && let Some(turns) = self.session.turns()
        {
            // If that fails, it runs out.
            let _ = turns.resign(&self.session.project.name, &self.holder);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask(session: &Session, holder: &str, lease: Duration, shared: &Mutex<Shared>) {
    // From before the question: the store counts from when it has heard it.
    let until = Instant::now() + lease;
    let held = match session.turns() {
        Some(turns) => turns.lead(&session.project.name, holder, lease),
        None => Ok(Held::Ours),
    };
    let mut shared = lock(shared);
    match held {
        Ok(Held::Ours) => (shared.role, shared.until) = (Role::Leads, until),
        Ok(Held::Other { holder }) => shared.role = Role::StandsBy(holder),
        // It may still hold; then it runs out.
        Err(_) if shared.role == Role::Leads && Instant::now() < shared.until => {}
        Err(error) => shared.role = Role::Unknown(error.to_string()),
    }
}
