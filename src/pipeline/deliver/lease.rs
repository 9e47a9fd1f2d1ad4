//! One run at a time delivers for a project. The store keeps who, for a few seconds at a time; nothing is locked
//! while a hook runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Error, Result};
use crate::store::Outbox;

/// For as long as this a run that was killed keeps others waiting.
const LEASE: SignedDuration = SignedDuration::from_secs(10);
const RENEWAL: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

pub struct Lease<'a> {
    outbox: &'a dyn Outbox,
    project: &'a str,
    holder: String,
}

impl Lease<'_> {
    pub fn new<'a>(outbox: &'a dyn Outbox, project: &'a str) -> Result<Lease<'a>> {
        let random =
            getrandom::u64().map_err(|error| Error::failure("the system gives no random bytes").because(error))?;
        Ok(Lease { outbox, project, holder: format!("{random:016x}") })
    }

    /// Waits for its turn; `false` if it does not come.
    pub fn take(&self, until: Option<Instant>) -> Result<bool> {
        loop {
            if self.hold()? {
                return Ok(true);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            sleep(LOOK);
        }
    }

    fn hold(&self) -> Result<bool> {
        let now = Timestamp::now();
        let written = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let until = now.checked_add(LEASE).unwrap_or(now);
        self.outbox.hold(self.project, &self.holder, &written(now), &written(until))
    }

    /// Keeps it until the end; `lost` tells that another has it.
    pub fn keep(&self, ended: &AtomicBool, lost: &AtomicBool) {
        let mut renewed = Instant::now();
        while !ended.load(Ordering::Relaxed) {
            sleep(LOOK / 10);
            if renewed.elapsed() < RENEWAL {
                continue;
            }
            // A store that is held by an apply is asked again in a moment.
            match self.hold() {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return lost.store(true, Ordering::Relaxed),
                Err(_) => {}
            }
        }
    }

    pub fn end(&self) {
        // It ends by itself.
        let _ = self.outbox.let_go(self.project, &self.holder);
    }
}
