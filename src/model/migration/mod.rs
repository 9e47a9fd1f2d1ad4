//! A move of accounts to another mail server (004:136-157): what is asked for. What was done for it stands in `act`,
//! where it is in `standing`.

mod act;
mod standing;
mod template;

use super::draft::Place;
use super::kind::{Address, Key, Kind};

pub use act::{ACTS, Act, Deed, EVIDENCE, EVIDENCE_BYTES, NOTE, NewAct, Open, is_open, open};
pub use standing::{ACCOUNTS, Facts, Progress, Report, Standing, State, Wait, standing};
pub use template::{Naming, Username};

/// The steps, as JSON names them; the first is step 1. The document does not number them; 004:149 counts them.
pub const STEPS: [&str; 7] = ["add_server", "backup", "entries", "apply", "dns", "verify", "remove_server"];

/// An entry of `migrations:`.
#[derive(Clone, Debug)]
pub struct Migration {
    pub name: String,
    pub place: Place,
    /// Names of servers.
    pub from: Named,
    pub to: Named,
    pub accounts: Chosen,
    pub naming: Naming,
    pub username: Username,
    /// Folder inside the project, with `/`.
    pub backup: String,
    /// Whose MX is looked up; those of the accounts' addresses if there are none.
    pub domains: Vec<String>,
    /// How many new entries are probed; all if not given.
    pub probe: Option<usize>,
    /// `self`, or an address to which each of them sends a message.
    pub send: Option<String>,
}

/// A word of the project file and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub place: Place,
}

/// Which accounts of the old server move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    All,
    /// Names and globs.
    Named(Vec<String>),
}

impl Migration {
    pub fn old_server(&self) -> Address {
        Address::new(Kind::Server, Key::single(&self.from.name))
    }

    pub fn new_server(&self) -> Address {
        Address::new(Kind::Server, Key::single(&self.to.name))
    }

    /// Whether a file of the project is one that the migration writes; names have `/`.
    pub fn writes(&self, file: &str) -> bool {
        let rest = file.strip_prefix("migrations/").and_then(|rest| rest.strip_prefix(self.name.as_str()));
        let rest = rest.and_then(|rest| rest.strip_suffix(".yaml"));
        rest.is_some_and(|rest| rest.is_empty() || rest == "-removed" || rest.strip_prefix('-').is_some_and(is_number))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_knows_its_own_files() {
        let migration = Migration {
            name: "move".to_owned(),
            place: Place::default(),
            from: Named::default(),
            to: Named::default(),
            accounts: Chosen::All,
            naming: Naming::parse("{name}-new").unwrap(),
            username: Username::parse("{username}").unwrap(),
            backup: "backups".to_owned(),
            domains: Vec::new(),
            probe: None,
            send: None,
        };
        for file in ["migrations/move.yaml", "migrations/move-2.yaml", "migrations/move-removed.yaml"] {
            assert!(migration.writes(file), "{file}");
        }
        for file in ["migrations/move-2x.yaml", "migrations/move2.yaml", "migrations/other.yaml", "move.yaml"] {
            assert!(!migration.writes(file), "{file}");
        }
    }
}
