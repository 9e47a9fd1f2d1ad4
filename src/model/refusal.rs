//! Why a plan may not be applied.

use std::fmt;

use super::kind::{Address, Kind};
use super::policy::Limit;
use super::probe::Unproven;

/// Why a plan may not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub rule: &'static str,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// An entry of `sources:`.
    Vanished(String),
    Limit {
        of: Counted,
        among: Among,
        touched: u64,
        owned: u64,
        limit: Limit,
    },
    /// The files declare nothing of the kind any more.
    Empty {
        kind: Kind,
        vanishing: u64,
    },
    /// Named in the policy, or permanent in the product.
    Protect(Address),
    /// The product's export lacks what is protected.
    ProtectedLacking(Address),
    /// The store holds it as protected.
    Protected(Address),
    InUse {
        server: Address,
        users: Vec<Address>,
        count: u64,
    },
    /// It belongs to another project, or to none.
    Foreign {
        address: Address,
        owner: String,
        loses: bool,
    },
    Blocked {
        address: Address,
        reason: String,
    },
    /// Under `existing: fail`.
    Exists(Address),
    /// Under `probe: require`.
    Unproven(Box<Unproven>),
    /// Of one rule, what is not named.
    More(u64),
    /// As another yubin has said it.
    Said(String),
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Deletes,
    /// Inboxes that are emptied are as lost.
    DeletesAndInboxes,
    Overwrites,
}

/// Among what a limit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Among {
    Kind(Kind),
    File(String),
    Owner(String),
}

impl Why {
    /// The share that is over a limit in hundredths of a percent, rounded up: 30.001 % is over 30 %.
    pub fn share(touched: u64, owned: u64) -> u64 {
        (touched * 10_000).div_ceil(owned.max(1))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Vanished(path) => write!(f, "the source `{path}` matches no file"),
            Why::Limit { of, among, touched, owned, limit } => {
                let what = match of {
                    Counted::Deletes => "deletes",
                    Counted::DeletesAndInboxes => "deletes and emptied inboxes",
                    Counted::Overwrites => "overwrites",
                };
                write!(f, "too many {what} ")?;
                match among {
                    Among::Kind(kind) => write!(f, "of {}", kind.plural())?,
                    Among::File(file) => write!(f, "of what `{file}` declares")?,
                    Among::Owner(owner) => write!(f, "of what {owner} owns")?,
                }
                match limit {
                    Limit::Count(_) => write!(f, ": {touched} is over {limit}"),
                    Limit::Percent(_) => {
                        let share = Why::share(*touched, *owned);
                        let (whole, part) = (share / 100, share % 100);
                        write!(f, ": {whole}.{part:02} % is over {limit} ({touched} of {owned})")
                    }
                }
            }
            Why::Empty { kind, vanishing } => write!(
                f,
                "the files declare no {} any more, and all {vanishing} would be deleted; write `absent: true` for each that is meant to go",
                kind.plural()
            ),
            Why::Protect(address) => {
                write!(f, "`{address}` is protected by `policy.protect` and may never be deleted")
            }
            Why::ProtectedLacking(address) => {
                write!(f, "`{address}` is protected, and yet the export lacks it: make sure that it is whole")
            }
            Why::Protected(address) => {
                write!(f, "`{address}` is protected; declare `protected: false`, apply that, and delete it then")
            }
            Why::InUse { server, users, count } => {
                let named: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
                let more = count.saturating_sub(users.len() as u64);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                write!(f, "`{server}` is used by {}{more}; move them first, in a plan of their own", named.join(", "))
            }
            Why::Foreign { address, owner, loses } => {
                let verb = if *loses { "deletes" } else { "changes" };
                write!(f, "`{address}` belongs to {owner}; a project {verb} only what it owns")
            }
            Why::Blocked { address, reason } => write!(f, "`{address}`: {reason}"),
            Why::Exists(address) => {
                write!(f, "`{address}` exists and differs, and the policy says `existing: fail`")
            }
            Why::Unproven(unproven) => write!(f, "{unproven}; `--probe` probes it now"),
            Why::More(more) => write!(f, "and {more} more"),
            Why::Said(message) => f.write_str(message),
        }
    }
}
