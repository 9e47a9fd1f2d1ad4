//! What the system tells a process that runs on.

use crate::model::Result;

#[cfg(unix)]
pub struct Stop(tokio::signal::unix::Signal, tokio::signal::unix::Signal);
#[cfg(unix)]
pub struct Reload(tokio::signal::unix::Signal);

#[cfg(unix)]
pub fn listen() -> Result<(Stop, Reload)> {
    use tokio::signal::unix::{SignalKind, signal};
    let hear =
        |kind| signal(kind).map_err(|error| crate::model::Error::failure("signals cannot be heard").because(error));
    Ok((Stop(hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?), Reload(hear(SignalKind::hangup())?)))
}

#[cfg(unix)]
impl Stop {
    pub async fn heard(&mut self) {
        tokio::select! { _ = self.0.recv() => {}, _ = self.1.recv() => {} }
    }
}

#[cfg(unix)]
impl Reload {
    pub async fn heard(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(not(unix))]
pub struct Stop;
#[cfg(not(unix))]
pub struct Reload;

#[cfg(not(unix))]
pub fn listen() -> Result<(Stop, Reload)> {
    Ok((Stop, Reload))
}

#[cfg(not(unix))]
impl Stop {
    pub async fn heard(&mut self) {
        // Where it cannot be heard, the process is ended by other means.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
impl Reload {
    pub async fn heard(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// As many connections as there can be file descriptors for, beside those of the store and of bodies.
#[cfg(unix)]
pub fn affordable(connections: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const OTHERS: u64 = 1_000;
    let wanted = connections as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current.is_some_and(|current| current < most) {
        // If that is refused, what there is must do.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    }
    let there = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    if there >= wanted {
        return connections;
    }
    let rest = usize::try_from(there.saturating_sub(OTHERS).max(there / 2)).unwrap_or(connections);
    if rest >= connections {
        return connections;
    }
    super::say(&format!("warning: the limit of open files allows {rest} connections, not {connections}"));
    rest
}

#[cfg(not(unix))]
pub fn affordable(connections: usize) -> usize {
    connections
}
