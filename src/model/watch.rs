//! What a watcher tells: an `Event`, of which some say the `State` that store and files are in.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::diagnostic::Diagnostic;
use super::kind::Address;
use super::plan::{Action, Drift, Plan};
use super::refusal::Refusal;

/// Why a sync has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Start,
    Files,
    Poll,
    Git,
    Store,
    Signal,
    Request,
    Time,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::Start => "start",
            Cause::Files => "files",
            Cause::Poll => "poll",
            Cause::Git => "git",
            Cause::Store => "store",
            Cause::Signal => "signal",
            Cause::Request => "request",
            Cause::Time => "time",
        }
    }

    /// Whether somebody waits for the answer.
    pub fn is_asked(self) -> bool {
        matches!(self, Cause::Start | Cause::Signal | Cause::Request)
    }
}

/// Why what could be applied is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Paused,
    Window,
    Approval,
    ByHand,
    Writing,
    Standby,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Paused => "paused",
            Reason::Window => "window",
            Reason::Approval => "approval",
            Reason::ByHand => "by_hand",
            Reason::Writing => "writing",
            Reason::Standby => "standby",
        }
    }
}

/// What store and files are to each other, as of the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Starting,
    InSync,
    Syncing,
    Invalid,
    Refused,
    Waiting,
    Drift,
    Failed,
    Standby,
}

impl State {
    pub const ALL: [State; 9] = [
        State::Starting,
        State::InSync,
        State::Syncing,
        State::Invalid,
        State::Refused,
        State::Waiting,
        State::Drift,
        State::Failed,
        State::Standby,
    ];

    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::InSync => "in_sync",
            State::Syncing => "syncing",
            State::Invalid => "invalid",
            State::Refused => "refused",
            State::Waiting => "waiting",
            State::Drift => "drift",
            State::Failed => "failed",
            State::Standby => "standby",
        }
    }

    /// Whether nothing is left to do here.
    pub fn is_ready(self) -> bool {
        matches!(self, State::InSync | State::Standby)
    }
}

/// How many resources a plan changes, by `Action`, and how many it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub counts: [u64; Action::ALL.len()],
    pub unchanged: u64,
}

impl Summary {
    pub fn of(plan: &Plan) -> Summary {
        Summary { counts: Action::ALL.map(|action| plan.count(action)), unchanged: plan.unchanged }
    }
}

/// An effect of a plan that was applied: its name, the user and the resource concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caused {
    pub effect: &'static str,
    pub user: Option<String>,
    pub address: Address,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub at: Timestamp,
    pub project: String,
    pub cause: Cause,
    /// Digest of the configuration.
    pub config: Option<String>,
    /// Digest of the plan.
    pub digest: Option<String>,
    /// Of the store.
    pub revision: Option<u64>,
    pub summary: Option<Summary>,
    /// Since the change was noticed.
    pub took: Option<Duration>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Started {
        store: String,
        status: Option<SocketAddr>,
        leads: bool,
    },
    /// Some of the files, and how many they are.
    Changed {
        files: Vec<String>,
        count: usize,
        commit: Option<String>,
    },
    Synced {
        effects: Vec<Caused>,
        commit: Option<String>,
        diagnostics: Vec<Diagnostic>,
    },
    Unchanged,
    Invalid {
        diagnostics: Vec<Diagnostic>,
    },
    Refused {
        refused: Vec<Refused>,
        diagnostics: Vec<Diagnostic>,
    },
    Waiting {
        reason: Reason,
        message: String,
        until: Option<Timestamp>,
    },
    Drift {
        drift: Vec<Drift>,
    },
    Failed {
        message: String,
        hint: Option<String>,
        retry: Option<Duration>,
    },
    Stopped {
        by_signal: bool,
    },
}

/// Why nothing is applied until something changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// By a rule over the plan.
    Plan(Refusal),
    /// By what stands before a plan: the name of the rule, and a sentence.
    Tree { rule: &'static str, message: String },
}

impl What {
    pub fn name(&self) -> &'static str {
        match self {
            What::Started { .. } => "started",
            What::Changed { .. } => "changed",
            What::Synced { .. } => "synced",
            What::Unchanged => "unchanged",
            What::Invalid { .. } => "invalid",
            What::Refused { .. } => "refused",
            What::Waiting { .. } => "waiting",
            What::Drift { .. } => "drift",
            What::Failed { .. } => "failed",
            What::Stopped { .. } => "stopped",
        }
    }

    /// The state that it tells of.
    pub fn state(&self) -> Option<State> {
        match self {
            What::Started { .. } | What::Stopped { .. } => None,
            What::Changed { .. } => Some(State::Syncing),
            What::Synced { .. } | What::Unchanged => Some(State::InSync),
            What::Invalid { .. } => Some(State::Invalid),
            What::Refused { .. } => Some(State::Refused),
            What::Waiting { reason: Reason::Standby, .. } => Some(State::Standby),
            What::Waiting { .. } => Some(State::Waiting),
            What::Drift { .. } => Some(State::Drift),
            What::Failed { .. } => Some(State::Failed),
        }
    }
}
