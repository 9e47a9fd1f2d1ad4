//! What systemd is told, where it has started the watcher: `sd_notify`. Elsewhere nothing happens.

use std::time::Duration;

#[cfg(unix)]
use sd_notify::NotifyState;

/// The first sync is through.
pub fn ready() {
    tell("READY=1");
}

/// How it stands, in a few words.
pub fn status(words: &str) {
    // A line more would be another message.
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    tell(&format!("STATUS={line}"));
}

pub fn stopping() {
    tell("STOPPING=1");
}

/// The loop still turns.
pub fn alive() {
    tell("WATCHDOG=1");
}

/// How often systemd should hear that the loop still turns: a third of `WatchdogSec=`, so that one that comes late
/// does no harm.
pub fn watchdog_period() -> Option<Duration> {
    #[cfg(unix)]
    return sd_notify::watchdog_enabled().map(|limit| limit / 3).filter(|period| !period.is_zero());
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn tell(message: &str) {
    // Whoever does not hear it can be told nothing else.
    let _ = sd_notify::notify(&[NotifyState::Custom(message)]);
}

#[cfg(not(unix))]
fn tell(_: &str) {}
