//! What makes a watcher look.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::model::watch::Cause;

#[derive(Clone, Copy, Debug)]
pub enum Wake {
    /// Something has happened to files.
    Files,
    /// SIGHUP.
    Again,
    /// `POST /v1/sync`.
    Asked,
    /// Whether this watcher leads has changed.
    Lead,
    /// SIGTERM and SIGINT.
    Stop,
}

/// What has come in since one has looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub files: bool,
    /// Somebody wants a sync, whatever stands against a look.
    pub asked: Option<Cause>,
    pub stop: bool,
}

impl Heard {
    fn add(&mut self, wake: Wake) {
        match wake {
            Wake::Files => self.files = true,
            Wake::Again => self.asked = Some(Cause::Signal),
            Wake::Asked => self.asked = Some(Cause::Request),
            // It is looked at in any case.
            Wake::Lead => {}
            Wake::Stop => self.stop = true,
        }
    }

    pub fn join(&mut self, other: Heard) {
        let Heard { files, asked, stop } = other;
        self.files |= files;
        self.asked = asked.or(self.asked);
        self.stop |= stop;
    }
}

/// Waits for something to come in, at most so long, and takes all that has.
pub fn wait(wakes: &Receiver<Wake>, until: Instant) -> Heard {
    let mut heard = Heard::default();
    match wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(wake) => heard.add(wake),
        Err(RecvTimeoutError::Timeout) => return heard,
        // The watcher itself holds the other end.
        Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(10)),
    }
    for wake in wakes.try_iter() {
        heard.add(wake);
    }
    heard
}
