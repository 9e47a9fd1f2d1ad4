//! Saved plans: a witness of what was approved. The plan itself is made again from files and store, and must
//! come out the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{Common, plan};
use crate::model::plan::Partial;
use crate::model::{Action, Change, Code, Diagnostic, Effect, Error, FieldChange, Kind, Plan, Result, Revision};
use crate::pipeline::{Asked, Planned, Secrets, Session};
use crate::render::text;
use crate::wire::{self, Document, Saving};

pub struct Saved {
    pub path: PathBuf,
    pub document: Document,
    /// Whether the servers that the plan touches are probed before it is judged.
    pub probe: bool,
}

const AGAIN: &str = "plan again, and have it approved again";

/// Reads a plan, saved or shown. What was altered in it is noticed by its digest.
pub fn read(path: &Path) -> Result<Saved> {
    let name = path.display();
    let unreadable = |error: io::Error| Error::failure(format!("the plan {name} cannot be read")).because(error);
    let file = File::open(path).map_err(unreadable)?;
    let document = wire::read_plan(BufReader::new(file)).map_err(|error| {
        if error.is_io() {
            return unreadable(error.into());
        }
        // Line and column only: the message may repeat what stands there.
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::new(Code::Refused, format!("{name} is no saved plan, or was altered ({place})"))
            .hint("`yubin plan --out FILE` saves one")
    })?;
    let head = &document.head;
    if head.format_version > wire::FORMAT_VERSION {
        let known = wire::FORMAT_VERSION;
        let message = format!("the plan {name} has format {}, this yubin reads {known}", head.format_version);
        return Err(Error::new(Code::Conflict, message).hint("use the yubin that made it, or plan again"));
    }
    if head.yubin == env!("CARGO_PKG_VERSION") && head.digest != wire::digest(&document.plan) {
        let message = format!("{name} was altered: its digest is not that of what it holds");
        return Err(Error::new(Code::Refused, message).hint(AGAIN));
    }
    if head.secrets_digest.is_some() && !is_whole(path).map_err(unreadable)? {
        let message = format!("{name} was altered: it is not as it was saved");
        return Err(Error::new(Code::Refused, message).hint(AGAIN));
    }
    Ok(Saved { path: path.to_owned(), document, probe: false })
}

/// Whether a saved plan ends with the digest of all that stands before.
fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let Some(body) = len.checked_sub(wire::SEAL_LEN) else { return Ok(false) };
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut (&mut file).take(body), &mut hasher)?;
    let mut end = String::new();
    file.take(wire::SEAL_LEN).read_to_string(&mut end)?;
    Ok(end == wire::seal(&hasher.finalize()))
}

/// A plan of this moment that is the one that was approved.
pub struct Again {
    pub session: Session,
    pub planned: Planned,
    /// The digest of the approved plan.
    pub approved: String,
}

impl Saved {
    /// Whether it was made without the secrets.
    fn skips(&self) -> bool {
        self.document.head.secrets.as_deref() == Some(wire::SKIPPED)
    }

    /// What the plan was asked for.
    fn asked(&self, secrets: Secrets) -> Result<Asked> {
        let partial = self.document.plan.partial.clone().unwrap_or_default();
        let as_of = match &self.document.head.as_of {
            None => None,
            Some(at) => {
                let at: Timestamp = at.parse().map_err(|_| self.altered())?;
                if at > Timestamp::now() + SignedDuration::from_secs(60) {
                    let message = format!("{} was made at {at}, which is yet to come", self.path.display());
                    return Err(Error::new(Code::Refused, message).hint("set the clock right, or plan again"));
                }
                Some(at)
            }
        };
        Ok(Asked { secrets, partial, as_of, again: true, probe: self.probe })
    }

    fn altered(&self) -> Error {
        let name = self.path.display();
        Error::new(Code::Refused, format!("{name} was altered: it is not what configuration and store give"))
            .hint(AGAIN)
    }

    /// Makes the plan again, which must be the one that was saved; with `rebase`, one that changes the same.
    /// `Err` if the input is invalid.
    pub fn plan_again(
        &self,
        common: &Common,
        strict: bool,
        rebase: bool,
    ) -> Result<std::result::Result<Again, Session>> {
        if self.document.head.between.is_some() {
            let message =
                format!("{} says what was between two revisions, and is not to be applied", self.path.display());
            return Err(Error::new(Code::Refused, message).hint("`yubin undo` takes a revision back"));
        }
        if self.document.head.secrets_digest.is_none() {
            let message = format!("{} is the JSON of a plan, and no saved one", self.path.display());
            return Err(Error::new(Code::Refused, message).hint("`yubin plan --out FILE` saves one to apply"));
        }
        let mut session = common.session(strict)?;
        let secrets = if self.skips() { Secrets::Skip } else { Secrets::Fetch };
        let Some(planned) = session.plan(&self.asked(secrets)?)? else { return Ok(Err(session)) };
        let moved = self.compare(&session, &planned)?;
        if let Some(moved) = moved {
            if !rebase {
                let hint = "plan again, and have it approved again; with `--rebase` it is enough that nothing else would happen";
                return Err(Error::new(Code::Conflict, moved).hint(hint));
            }
            common.say(&moved);
            self.rebase(&planned, common)?;
        }
        let approved = self.document.head.digest.clone();
        if !self.skips() {
            return Ok(Ok(Again { session, planned, approved }));
        }
        let shown = planned;
        let mut session = common.session(strict)?;
        let Some(planned) = session.plan(&self.asked(Secrets::Fetch)?)? else { return Ok(Err(session)) };
        let (now, then) = (&planned.plan, &shown.plan);
        // It may find less to do, and nothing else.
        if now.base != then.base || now.config_digest != then.config_digest || !now.is_within(then) {
            let message = "configuration or store have moved since the plan was made";
            return Err(Error::new(Code::Conflict, message).hint(AGAIN));
        }
        Ok(Ok(Again { session, planned, approved }))
    }

    /// What has moved since the plan was made, in a sentence; refused if nothing has, and it is another one.
    fn compare(&self, session: &Session, planned: &Planned) -> Result<Option<String>> {
        let (head, then, now) = (&self.document.head, &self.document.plan, &planned.plan);
        if self.is_same(session, planned)? {
            return Ok(None);
        }
        if head.yubin != env!("CARGO_PKG_VERSION") {
            let message = format!("the plan was made by yubin {}, this is {}", head.yubin, env!("CARGO_PKG_VERSION"));
            return Err(Error::new(Code::Conflict, message).hint(AGAIN));
        }
        let mut moved = Vec::new();
        let applied = match session.snapshot()? {
            Some(snapshot) => snapshot.revisions()?.into_iter().find(|one| one.digest == head.digest),
            None => None,
        };
        if let Some(applied) = applied {
            moved.push(format!("the plan was applied already, as revision {}", applied.revision));
        }
        if then.base.revision != now.base.revision {
            moved.push(format!(
                "the plan was made at revision {}, the store is at {}{}",
                then.base.revision,
                now.base.revision,
                since(session, then.base.revision)?
            ));
        }
        if then.base.outside_writes != now.base.outside_writes {
            moved.push("other software has changed the store since the plan was made".to_owned());
        }
        if then.config_digest != now.config_digest {
            moved.push(format!(
                "the configuration is not the one that the plan was made from{}",
                differing(&head.files, &planned.files)
            ));
        }
        let secrets = head.secrets_digest.as_deref() != Some(&planned.secrets_digest);
        if moved.is_empty() && secrets && same_but_secrets(&then.changes, &now.changes) {
            moved.push("a secret is not the one that the plan was made from".to_owned());
        }
        if moved.is_empty() && then.waiting != now.waiting {
            moved.push("what is disabled is purged at another time than when the plan was made".to_owned());
        }
        if moved.is_empty() {
            return Err(self.altered());
        }
        Ok(Some(moved.join("; ")))
    }

    /// Whether the plan of now gives the same document, byte for byte.
    fn is_same(&self, session: &Session, planned: &Planned) -> Result<bool> {
        let head = &self.document.head;
        if head.against.is_some() {
            // A snapshot does not say everything that the store does, but all that the digest is about.
            return Ok(head.digest == planned.digest && self.document.plan.base == planned.plan.base);
        }
        if head.secrets_digest.as_deref() != Some(&planned.secrets_digest) {
            return Ok(false);
        }
        let failed = |error| Error::failure("the plan cannot be compared").because(error);
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        let saving = Saving { as_of: head.as_of.clone(), ..plan::saving(planned) };
        let mut document = plan::document(session, planned, &diagnostics, Some(saving));
        (document.store, document.against) = (&head.store, head.against.as_ref());
        let file = File::open(&self.path).map_err(failed)?;
        let mut same = Same { file: BufReader::new(file), is_same: true };
        document.write(&mut same).map_err(failed)?;
        Ok(same.is_same && same.file.read(&mut [0]).map_err(failed)? == 0)
    }

    /// Whether the plan of now changes exactly what was approved, wherever it is declared by now.
    fn rebase(&self, planned: &Planned, common: &Common) -> Result<()> {
        let head = &self.document.head;
        let secret = !self.skips() && head.changed_secrets_digest.as_deref() != Some(&planned.changed_secrets);
        let (then, now) = (&self.document.plan, &planned.plan);
        if (&then.project, then.system, then.recorded) != (&now.project, now.system, now.recorded) {
            let message = "the plan is of another project or another product now";
            return Err(Error::new(Code::Conflict, message).hint(AGAIN));
        }
        let lines = differences(then, now);
        if lines.is_empty() && !secret {
            common.say(common.words().as_approved);
            return Ok(());
        }
        for line in lines.iter().take(DIFFERENCES) {
            common.say(line);
        }
        if lines.len() > DIFFERENCES {
            common.say(&format!("… and {} more", lines.len() - DIFFERENCES));
        }
        let message = if lines.is_empty() {
            "a secret that the plan changes is not the one that was approved"
        } else {
            "what would happen now is not what was approved"
        };
        Err(Error::new(Code::Conflict, message).hint(AGAIN))
    }
}

/// Differences of two plans that are told one by one.
const DIFFERENCES: usize = 50;
/// Revisions that are told one by one.
const REVISIONS: usize = 10;

/// The revisions since one, the oldest first.
fn since(session: &Session, base: u64) -> Result<String> {
    let Some(snapshot) = session.snapshot()? else { return Ok(String::new()) };
    let mut later: Vec<Revision> = snapshot.revisions()?;
    later.retain(|one| one.revision > base);
    later.reverse();
    let told = |one: &Revision| {
        let counts: Vec<String> = Action::ALL
            .into_iter()
            .map(|action| (action, one.counts[action as usize]))
            .filter(|(action, count)| action.writes() && *count > 0)
            .map(|(action, count)| format!("{count} {}", action.name()))
            .collect();
        format!("revision {} by {} at {} for {} ({})", one.revision, one.actor, one.at, one.project, counts.join(", "))
    };
    let mut all: Vec<String> = later.iter().take(REVISIONS).map(told).collect();
    if later.len() > REVISIONS {
        all.push(format!("and {} more", later.len() - REVISIONS));
    }
    Ok(if all.is_empty() { String::new() } else { format!(": {}", all.join("; ")) })
}

/// Which files of the configuration differ.
fn differing(then: &[(String, String)], now: &[(String, String)]) -> String {
    let (then, now): (BTreeMap<_, _>, BTreeMap<_, _>) = (then.iter().cloned().collect(), now.iter().cloned().collect());
    let shown = |name: &str| if name.is_empty() { "the trusted configuration".to_owned() } else { format!("`{name}`") };
    let gone = then.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{} is gone", shown(name)));
    let others = now.iter().filter_map(|(name, digest)| match then.get(name) {
        None => Some(format!("{} is new", shown(name))),
        Some(before) if before != digest => Some(format!("{} has changed", shown(name))),
        Some(_) => None,
    });
    let all: Vec<String> = gone.chain(others).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) }
}

/// What one plan does and another does not, a line each; places in files do not matter.
fn differences(approved_plan: &Plan, plan_now: &Plan) -> Vec<String> {
    let (approved, now) = (&approved_plan.changes, &plan_now.changes);
    let by_key = |changes: &[Change]| -> BTreeMap<(Kind, crate::model::Key), usize> {
        changes.iter().enumerate().map(|(at, change)| ((change.kind, change.key.clone()), at)).collect()
    };
    let (then, fresh) = (by_key(approved), by_key(now));
    let same_effect = |one: &Change, other: &Change| {
        let name = |effect: Option<Effect<'_>>| effect.map(Effect::name);
        name(one.effect(approved_plan)) == name(other.effect(plan_now))
    };
    let mut lines = Vec::new();
    let told = |mark: &str, change: &Change, more: &str| {
        text::harmless(&format!("{mark} {} {}{more}", change.action.name(), change.address())).into_owned()
    };
    for (key, at) in &then {
        let approved = &approved[*at];
        match fresh.get(key) {
            None => lines.push(told(
                "-",
                approved,
                &format!(" (approved, and would not happen now){}", shown_fields(approved)),
            )),
            Some(at) if !same_change(approved, &now[*at]) || !same_effect(approved, &now[*at]) => {
                lines.push(told("-", approved, &shown_fields(approved)));
                lines.push(told("+", &now[*at], &shown_fields(&now[*at])));
            }
            Some(_) => {}
        }
    }
    for (key, at) in &fresh {
        if !then.contains_key(key) {
            let fields = shown_fields(&now[*at]);
            lines.push(told("+", &now[*at], &format!(" (would happen now, and was not approved){fields}")));
        }
    }
    lines
}

/// Whether two plans do the same beside secrets: a secret that changed may also change one resource more.
fn same_but_secrets(one: &[Change], other: &[Change]) -> bool {
    let plain = |changes: &[Change]| -> Vec<String> {
        let open = |change: &Change| {
            let fields = change.fields.iter().filter(|field| !change.kind.field(field.field).is_secret());
            let fields: Vec<String> = fields.map(|field| format!("{field:?}")).collect();
            let only_secrets = change.action == Action::Overwrite && fields.is_empty() && !change.fields.is_empty();
            (!only_secrets).then(|| format!("{} {} {fields:?}", change.action.name(), change.address()))
        };
        changes.iter().filter_map(open).collect()
    };
    plain(one) == plain(other)
}

fn same_change(one: &Change, other: &Change) -> bool {
    let same_field = |(a, b): (&FieldChange, &FieldChange)| {
        let is_secret = one.kind.field(a.field).is_secret();
        a.field == b.field
            && if is_secret { a.secret() == b.secret() } else { a.before == b.before && a.after == b.after }
    };
    one.action == other.action
        // Whatever few changes have: owners, names, times, who follows.
        && wire::marks(one) == wire::marks(other)
        && one.fields.len() == other.fields.len()
        && one.fields.iter().zip(&other.fields).all(same_field)
}

fn shown_fields(change: &Change) -> String {
    let one = |field: &FieldChange| {
        let spec = change.kind.field(field.field);
        if spec.is_secret() {
            return format!("{} (secret) {}", spec.name, field.secret().name());
        }
        let side = |value: Option<&crate::model::Value>| value.map_or("(none)".to_owned(), ToString::to_string);
        format!("{} {} → {}", spec.name, side(field.before.as_deref()), side(field.after.as_ref()))
    };
    let fields: Vec<String> = change.fields.iter().map(one).collect();
    if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) }
}

/// Compares what is written with a file.
struct Same<R> {
    file: R,
    is_same: bool,
}

impl<R: Read> Write for Same<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut found = [0; 4_096];
        for part in bytes.chunks(found.len()) {
            let found = &mut found[..part.len()];
            if self.is_same {
                match self.file.read_exact(found) {
                    Ok(()) => self.is_same = found == part,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.is_same = false,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The options that restrict a plan.
#[derive(clap::Args)]
pub struct Part {
    /// Only resources whose address matches: `account/sales-*`, `pattern/taro` with all below
    #[arg(long, value_name = "GLOB")]
    target: Vec<String>,
    /// All but these
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

impl Part {
    pub fn partial(&self) -> Partial {
        Partial { targets: self.target.clone(), excludes: self.exclude.clone() }
    }
}
