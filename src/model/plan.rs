//! A plan is a value: what would change, from which state, and nothing left to decide.

use std::collections::HashMap;

use compact_str::CompactString;

use super::desired::Origin;
use super::draft::{Digest, Source};
use super::field::FieldId;
use super::kind::{Address, Key, Kind};
use super::policy::Grace;
use super::resource::{Cell, Row};
use super::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Add,
    Overwrite,
    Delete,
    Skip,
    Blocked,
    /// Another key; the fields that change besides stand with it.
    Rename,
    /// A delete that can be taken back for a while.
    Disable,
    /// The end of what was disabled before.
    Purge,
}

impl Action {
    pub const ALL: [Action; 8] = [
        Action::Add,
        Action::Overwrite,
        Action::Delete,
        Action::Skip,
        Action::Blocked,
        Action::Rename,
        Action::Disable,
        Action::Purge,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Action::Add => "add",
            Action::Overwrite => "overwrite",
            Action::Delete => "delete",
            Action::Skip => "skip",
            Action::Blocked => "blocked",
            Action::Rename => "rename",
            Action::Disable => "disable",
            Action::Purge => "purge",
        }
    }

    /// Whether an apply writes the resource.
    pub fn writes(self) -> bool {
        !matches!(self, Action::Skip | Action::Blocked)
    }

    /// Whether nothing is left of the resource.
    pub fn removes(self) -> bool {
        matches!(self, Action::Delete | Action::Purge)
    }

    /// Whether the resource is lost, at once or in the end.
    pub fn loses(self) -> bool {
        self.removes() || self == Action::Disable
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretChange {
    Set,
    Changed,
    Cleared,
    /// It was not fetched.
    Unknown,
}

impl SecretChange {
    pub fn name(self) -> &'static str {
        match self {
            SecretChange::Set => "set",
            SecretChange::Changed => "changed",
            SecretChange::Cleared => "cleared",
            SecretChange::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub field: FieldId,
    pub origin: Origin,
    /// Boxed: an add has none, and there may be millions of those.
    pub before: Option<Box<Value>>,
    pub after: Option<Value>,
}

impl FieldChange {
    /// How a secret changes; the values of a secret are not for showing.
    pub fn secret(&self) -> SecretChange {
        match (&self.before, &self.after) {
            (_, Some(Value::Unknown)) => SecretChange::Unknown,
            (_, None) => SecretChange::Cleared,
            (None, Some(_)) => SecretChange::Set,
            (Some(_), Some(_)) => SecretChange::Changed,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Change {
    pub action: Action,
    pub kind: Kind,
    pub key: Key,
    /// Where it is declared; `None` for what is no longer declared, and for an undo.
    pub source: Option<Source>,
    /// In table order. Of a delete: what is lost.
    pub fields: Vec<FieldChange>,
    /// Exists without an owner and is taken over.
    pub adopted: bool,
    /// Written with the resource, see `Wanted::digest`.
    pub digest: Option<Digest>,
    /// What few changes have.
    pub special: Option<Box<Special>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// Why the change is blocked.
    pub reason: Option<String>,
    /// Who owns the resource, if it is not the project of the plan.
    pub foreign_owner: Option<String>,
    /// Whether the inbox was emptied under this id before: it is not emptied again.
    pub purged: bool,
    /// Who owned a resource that is taken over.
    pub taken_from: Option<String>,
    /// Since when the secrets that change have been what they are.
    pub last_set: Vec<LastSet>,
    /// The owner afterwards, if it is not the project of the plan: an undo restores it.
    pub owner: Option<Option<String>>,
    /// Of a rename: how the resource is called so far.
    pub previously: Option<Key>,
    /// Of a rename that is taken back: what `Row::previously` was before.
    pub marker: Option<Option<CompactString>>,
    /// Of a rename: the secrets that stay what they are, sealed for the new address.
    pub resealed: Vec<Cell>,
    /// Of a rename: how many resources refer to it, and follow.
    pub followers: u64,
    /// Was disabled, and comes back whole.
    pub restored: bool,
    /// Of a disable: how long the resource can be brought back.
    pub grace: Option<Grace>,
    /// Disabled in this revision, and so again: an undo restores it.
    pub disabled: Option<u64>,
}

/// The revision that wrote the present value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSet {
    pub field: FieldId,
    pub revision: u64,
    /// RFC 3339, UTC.
    pub at: String,
}

impl Special {
    /// Boxed, if there is anything special.
    pub fn boxed(self) -> Option<Box<Special>> {
        (self != Special::default()).then(|| Box::new(self))
    }
}

impl Change {
    pub fn new(action: Action, kind: Kind, key: Key, source: Option<Source>, fields: Vec<FieldChange>) -> Change {
        Change { action, kind, key, source, fields, adopted: false, digest: None, special: None }
    }

    /// The change that deletes a resource; its fields say what is lost.
    pub fn delete(kind: Kind, row: &Row, source: Option<Source>) -> Change {
        let lost = |cell: &Cell| FieldChange {
            field: cell.field,
            origin: Origin::Written,
            before: Some(Box::new(cell.value.clone())),
            after: None,
        };
        Change::new(Action::Delete, kind, row.key.clone(), source, row.cells.iter().map(lost).collect())
    }

    pub fn address(&self) -> Address {
        Address::new(self.kind, self.key.clone())
    }

    pub fn reason(&self) -> Option<&str> {
        self.special.as_ref()?.reason.as_deref()
    }

    pub fn foreign_owner(&self) -> Option<&str> {
        self.special.as_ref()?.foreign_owner.as_deref()
    }

    /// Since when a secret has been what it is.
    pub fn last_set(&self, field: FieldId) -> Option<&LastSet> {
        self.special.as_ref()?.last_set.iter().find(|last| last.field == field)
    }

    /// Who loses a resource that is taken over, if anybody owns it.
    pub fn taken_from(&self) -> Option<&str> {
        self.special.as_ref()?.taken_from.as_deref()
    }

    /// How the resource is called in the store before the plan.
    pub fn stored_key(&self) -> &Key {
        self.previously().unwrap_or(&self.key)
    }

    /// Of a rename: how the resource is called so far.
    pub fn previously(&self) -> Option<&Key> {
        self.special.as_ref()?.previously.as_ref()
    }

    /// Of a rename: how many resources refer to it, and follow.
    pub fn followers(&self) -> u64 {
        self.special.as_ref().map_or(0, |special| special.followers)
    }

    /// Whether the resource was disabled, and comes back whole.
    pub fn is_restored(&self) -> bool {
        self.special.as_ref().is_some_and(|special| special.restored)
    }

    /// Of a disable: how long the resource can be brought back.
    pub fn grace(&self) -> Option<Grace> {
        self.special.as_ref()?.grace
    }

    /// Whether a product hears nothing of it: of yubin's own fields, and of what only was disabled.
    pub fn is_ours(&self) -> bool {
        self.is_own()
            || self.action == Action::Disable
            || (self.is_restored() && self.fields.iter().all(|field| self.kind.field(field.field).own))
    }

    /// Whether nothing changes but fields of yubin's own.
    fn is_own(&self) -> bool {
        self.action == Action::Overwrite
            && !self.adopted
            && !self.is_restored()
            && !self.fields.is_empty()
            && self.fields.iter().all(|field| self.kind.field(field.field).own)
    }

    /// Whether nobody knows if anything changes, without the secrets.
    pub fn is_unknown(&self) -> bool {
        self.action == Action::Overwrite
            && !self.adopted
            && !self.fields.is_empty()
            && self.fields.iter().all(|field| field.after == Some(Value::Unknown))
    }

    /// Whether the project lets the resource go.
    pub fn is_forgotten(&self) -> bool {
        self.action == Action::Overwrite
            && self.fields.is_empty()
            && self.special.as_ref().is_some_and(|special| special.owner == Some(None))
    }

    /// What an apply of the plan causes beside the state.
    pub fn effect(&self, plan: &Plan) -> Option<Effect<'_>> {
        if plan.recorded || !self.action.writes() || self.is_own() {
            return None;
        }
        match (self.kind, self.action) {
            // Who reads the store passes over what is disabled; a product hears of the purge alone.
            (Kind::Pattern, Action::Disable) if plan.is_handed_over => None,
            (Kind::Pattern, Action::Purge) if !plan.is_handed_over => None,
            (Kind::Pattern, _) => Some(Effect::Logout(self.key.first())),
            (Kind::Account, action) if action.removes() && plan.deletes_mail => Some(Effect::PurgeMail),
            (Kind::Account, Action::Overwrite | Action::Rename) if self.purges() => Some(Effect::PurgeMail),
            (Kind::Account, _) if plan.mail_server && self.kicks() => Some(Effect::Kick),
            _ => None,
        }
    }

    /// Whether a server changes nothing but its place in the list.
    pub fn only_moves(&self) -> bool {
        const POSITION: FieldId = Kind::Server.id("position");
        self.kind == Kind::Server
            && self.action == Action::Overwrite
            && !self.adopted
            && self.special.is_none()
            && !self.fields.is_empty()
            && self.fields.iter().all(|field| field.field == POSITION && field.before.is_some())
    }

    /// Whether an inbox is emptied: a new id asks for it once (002:67).
    pub fn purges(&self) -> bool {
        self.kind == Kind::Account
            && matches!(self.action, Action::Overwrite | Action::Rename)
            && !self.special.as_ref().is_some_and(|special| special.purged)
            && self.purge_id().is_some()
    }

    /// Whether who is connected to a mail server would not get in again in the same way: the account goes, its password
    /// or address is another, or a way to log in is switched off.
    fn kicks(&self) -> bool {
        let shuts = |one: &FieldChange| match one.field {
            PASSWORD | ADDRESS => one.before.is_some(),
            LOGIN_IMAP | LOGIN_POP3 | LOGIN_SMTP => one.after == Some(Value::Bool(false)),
            _ => false,
        };
        match self.action {
            Action::Delete | Action::Disable => true,
            Action::Overwrite | Action::Rename => self.fields.iter().any(shuts),
            // What is purged was disabled before.
            Action::Add | Action::Purge | Action::Skip | Action::Blocked => false,
        }
    }

    /// The id that is written now.
    pub fn purge_id(&self) -> Option<&str> {
        let written = self.fields.iter().find(|field| self.kind == Kind::Account && field.field == PURGE_MAIL)?;
        written.after.as_ref().and_then(Value::text)
    }
}

/// The id by which an inbox is emptied once. It stands for what has been done, and is never taken back.
pub const PURGE_MAIL: FieldId = Kind::Account.id("purge_mail");

const ADDRESS: FieldId = Kind::Account.id("address");
const PASSWORD: FieldId = Kind::Account.id("password");
const LOGIN_IMAP: FieldId = Kind::Account.id("login.imap");
const LOGIN_POP3: FieldId = Kind::Account.id("login.pop3");
const LOGIN_SMTP: FieldId = Kind::Account.id("login.smtp");

/// What happens beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// The user's sessions end (000:6).
    Logout(&'a str),
    /// All mail of the account is lost for good (002:57, 002:67).
    PurgeMail,
    /// The connections of the account to the mail server end.
    Kick,
}

impl Effect<'_> {
    pub fn name(self) -> &'static str {
        match self {
            Effect::Logout(_) => "logout",
            Effect::PurgeMail => "purge_mail",
            Effect::Kick => "kick",
        }
    }
}

/// The state that a plan was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    pub revision: u64,
    /// Writes by other software than yubin, ever: they leave the revision alone.
    pub outside_writes: u64,
}

/// A resource that is what its record says, which is recognised by this digest from now on.
pub type Learned = (Kind, Key, Digest);

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "what holds of the whole plan, each by itself")]
pub struct Plan {
    /// Owns what the plan adds and changes.
    pub project: String,
    pub system: &'static str,
    pub base: Base,
    pub config_digest: String,
    pub files: Vec<String>,
    /// In apply order.
    pub changes: Vec<Change>,
    /// Changes by kind and action, as `Plan::settle` counts them.
    pub counts: [[u64; 8]; 3],
    pub unchanged: u64,
    /// Resources that the project owns, by `Kind as usize`.
    pub owned: [u64; 3],
    /// Kinds that the files mention, and how many resources of each they declare.
    pub declared: [Option<u64>; 3],
    pub vanished: Vec<String>,
    /// Whether the mail of an account goes with it (002:57).
    pub deletes_mail: bool,
    /// Whether a product has a state of its own, which is brought up by a hand-over.
    pub is_handed_over: bool,
    /// Whether a mail server reads the accounts from the store, so that connections end with what let them in.
    pub mail_server: bool,
    /// Whether the plan only records what has happened already.
    pub recorded: bool,
    /// What the log says about the plan, such as which revision it takes back.
    pub note: Option<String>,
    /// Of unchanged resources: nothing of them changes, and the next plan is faster.
    pub learned: Vec<Learned>,
    /// What other software has changed in the store, sorted by address.
    pub drift: Vec<Drift>,
    /// What is disabled and can still be brought back, sorted by address.
    pub waiting: Vec<Waiting>,
    /// What the plan was restricted to; `None` if it is whole.
    pub partial: Option<Partial>,
    /// For limits of files and owners, where the policy has any.
    pub shares: Shares,
}

/// Who has how much of what the store holds.
#[derive(Debug, Default)]
pub struct Shares {
    /// By source file: how many resources of the project it declared last.
    pub files: HashMap<String, u64>,
    /// Of resources that the plan touches: which file declared them last.
    pub last_file: HashMap<Address, String>,
    /// By another project, as `Special::taken_from` names it: what it owns.
    pub owners: HashMap<String, u64>,
}

/// What other software has changed of a resource since yubin wrote it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub address: Address,
    pub what: Drifted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drifted {
    /// A resource that nobody has declared to yubin.
    Added,
    Deleted,
    /// Other values in a field.
    Field {
        field: FieldId,
        before: Option<Box<Value>>,
        after: Option<Value>,
    },
    /// In a column of yubin's own, such as the owner.
    Column(&'static str),
}

/// A disabled resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub address: Address,
    /// The revision that disabled it.
    pub revision: u64,
    /// From when on a plan purges it: RFC 3339, UTC.
    pub until: String,
}

/// Globs over addresses, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    pub targets: Vec<String>,
    pub excludes: Vec<String>,
}

impl Plan {
    /// Puts the changes in apply order and counts them: what is referred to comes before what
    /// refers to it, and goes after it.
    pub fn settle(&mut self) {
        let rank = |change: &Change| match change.action {
            // A rename may free the name that another change takes.
            Action::Rename => (0, change.kind as u8),
            Action::Delete | Action::Disable | Action::Purge => (2, 2 - change.kind as u8),
            _ => (1, change.kind as u8),
        };
        self.changes.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key)));
        self.settle_counts();
    }

    /// Counts the changes.
    pub fn settle_counts(&mut self) {
        self.counts = Default::default();
        for change in &self.changes {
            self.counts[change.kind as usize][change.action as usize] += 1;
        }
    }

    /// Whether nothing happens that the other plan does not show, of which `Value::Unknown` may become anything.
    pub fn is_within(&self, approved: &Plan) -> bool {
        let shown: HashMap<(Kind, &Key), &Change> =
            approved.changes.iter().map(|change| ((change.kind, &change.key), change)).collect();
        self.changes.iter().all(|change| {
            let Some(shown) = shown.get(&(change.kind, &change.key)) else { return false };
            let known = |one: &FieldChange| {
                let other = shown.fields.iter().find(|other| other.field == one.field);
                other.is_some_and(|other| other.after == Some(Value::Unknown) || other.after == one.after)
            };
            change.action == shown.action && change.adopted == shown.adopted && change.fields.iter().all(known)
        })
    }

    pub fn count(&self, action: Action) -> u64 {
        self.counts.iter().map(|of_kind| of_kind[action as usize]).sum()
    }

    pub fn count_of(&self, kind: Kind, action: Action) -> u64 {
        self.counts[kind as usize][action as usize]
    }

    /// The users whose sessions end, each once, in order.
    pub fn logged_out(&self) -> Vec<&str> {
        let effects = self.changes.iter().filter_map(|change| change.effect(self));
        let mut users: Vec<&str> = effects
            .filter_map(|effect| match effect {
                Effect::Logout(user) => Some(user),
                Effect::PurgeMail | Effect::Kick => None,
            })
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Whether an apply would write nothing.
    pub fn is_empty(&self) -> bool {
        Action::ALL.into_iter().filter(|action| action.writes()).all(|action| self.count(action) == 0)
    }

    pub fn file(&self, source: Source) -> &str {
        &self.files[source.file as usize]
    }
}
