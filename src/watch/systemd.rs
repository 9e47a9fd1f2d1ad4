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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;
    use std::time::Duration;

    /// Run by the test below in a process of its own, which is the one that systemd has started.
    #[test]
    fn what_a_watcher_tells() {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            // Nothing happens then.
            super::ready();
            assert_eq!(super::watchdog_period(), None);
            return;
        }
        super::ready();
        super::status("in_sync: 受信\nREADY=0");
        super::alive();
        super::stopping();
        assert_eq!(super::watchdog_period(), Some(Duration::from_secs(10)));
    }

    #[test]
    fn systemd_hears_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "watch::systemd::tests::what_a_watcher_tells"]);
        child.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "30000000").env_remove("WATCHDOG_PID");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        for expected in ["READY=1\n", "STATUS=in_sync: 受信 READY=0\n", "WATCHDOG=1\n", "STOPPING=1\n"] {
            let mut message = [0; 200];
            let length = socket.recv(&mut message).unwrap();
            assert_eq!(std::str::from_utf8(&message[..length]).unwrap(), expected);
        }
        // One that nobody listens at is no failure.
        std::fs::remove_file(&path).unwrap();
        assert!(child.output().unwrap().status.success());
    }
}
