//! What a store keeps beside the state: who may call its server, who is logged in to the mail product, what is
//! still to be carried out, which requests have been answered, and what watchers agree on.

use super::kind::Address;

/// What a token allows; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    Apply,
    Admin,
}

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Apply, Scope::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Apply => "apply",
            Scope::Admin => "admin",
        }
    }

    pub fn parse(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A bearer token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// By which it is revoked; it tells nothing of the token.
    pub id: String,
    pub name: String,
    /// BLAKE3 of the token, which holds 256 random bits.
    pub hash: [u8; 32],
    pub scope: Scope,
    /// The projects whose resources it may change, and whose secrets it may compare; `*` is every project.
    pub owners: Vec<String>,
    /// RFC 3339, UTC, as are the others.
    pub created: String,
    pub expires: Option<String>,
    pub revoked: Option<String>,
}

impl Token {
    pub const EVERY: &'static str = "*";

    /// Whether the token is bound to the project.
    pub fn owns(&self, project: &str) -> bool {
        self.owners.iter().any(|owner| owner == project || owner == Token::EVERY)
    }
}

/// A user who is logged in to the mail product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub id: String,
    pub user: String,
    /// Since when: RFC 3339, UTC.
    pub at: String,
}

/// An effect that is still to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number of the change that caused it, counted over all revisions: ascending, with gaps.
    pub id: u64,
    /// As `Effect::name` says it.
    pub effect: String,
    /// Whom it concerns: the user of a pattern, the name of an account.
    pub user: String,
    pub address: Address,
    pub revision: u64,
    /// Of an account that changes: the mail address that it had before, by which a mail server knows it.
    pub mail: Option<String>,
}

/// What has come of the attempts to carry an event out by a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    pub event: u64,
    /// Name of the hook.
    pub hook: String,
    pub tries: u64,
    pub done: bool,
    /// Of the last failed one, without secrets.
    pub error: Option<String>,
    /// Of the last one: RFC 3339, UTC.
    pub at: String,
}

/// Of which revisions a hook has told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Name of the hook.
    pub hook: String,
    /// Of all those of its project up to this one.
    pub revision: u64,
    /// Failed attempts at the next.
    pub tries: u64,
    /// Of the last failed one, without secrets.
    pub error: Option<String>,
    /// Of the last one: RFC 3339, UTC.
    pub at: String,
}

/// A request that must be carried out once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Digest of who sends it and of the key that names it.
    pub key: [u8; 32],
    /// Digest of what it asks for.
    pub body: [u8; 32],
}

/// Which of the watchers of a project leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    Ours,
    Other { holder: String },
}

/// That a plan may be applied, whatever it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Of the plan.
    pub digest: String,
    pub actor: String,
    /// By the clock of the store: RFC 3339, UTC.
    pub at: String,
}
