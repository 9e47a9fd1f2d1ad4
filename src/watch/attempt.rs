//! One sync: the files as they are, a plan, and what becomes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::eyes::written;
use super::lead::{Lead, Role};
use super::{FromGit, Options};
use crate::checkout::{Checkout, CommitTree};
use crate::guard;
use crate::load::{FILE_NAME, Memory, Stamp};
use crate::model::plan::Base;
use crate::model::sync::Standing;
use crate::model::watch::{Reason, Refused};
use crate::model::{Code, Diagnostic, Error, Result, harmless};
use crate::pipeline::{self, Above, Applied, Asked, Decided, Planned, Session};

/// What the files were when they were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// `None` where the ref names none, and without git.
    pub commit: Option<String>,
    /// Those of the folder that have a say.
    pub files: Stamp,
}

/// What an attempt goes by, beside files and store.
pub struct Around<'a> {
    pub options: &'a Options,
    pub memory: &'a Arc<Memory>,
    /// Of a store and a project, if it has been asked for.
    pub lead: Option<(&'a str, &'a str, &'a Lead)>,
    /// The files that were last found to be what the store holds, and at which revision.
    pub settled: Option<(&'a str, u64)>,
    /// The store that was there, and the last revision of it.
    pub seen: Option<(&'a str, u64)>,
    /// Files of secrets that the attempt before has read.
    pub secrets: &'a [PathBuf],
    /// Somebody wants the files taken as they are, whoever is writing.
    pub forced: bool,
}

pub struct Attempt {
    /// As it was opened; `None` if it could not be.
    pub session: Option<Session>,
    pub planned: Option<Planned>,
    pub tree: Option<Tree>,
    /// As it was before the plan, or is after the apply.
    pub base: Option<Base>,
    pub outcome: Outcome,
}

pub enum Outcome {
    /// The files have changed while they were read.
    Torn,
    Invalid(Vec<Diagnostic>),
    Refused(Vec<Refused>),
    Unchanged,
    Waiting {
        reason: Reason,
        message: String,
        until: Option<Timestamp>,
    },
    Drift,
    Failed(Error),
    Synced {
        revision: u64,
        applied: Applied,
    },
}

/// What is to be done about a plan.
enum Decision {
    Apply { consent: bool },
    Not(Outcome),
}

/// `fetched` is what has come of the look at the remote.
pub fn attempt(around: &Around<'_>, fetched: Result<()>) -> Attempt {
    let mut done = Attempt { session: None, planned: None, tree: None, base: None, outcome: Outcome::Torn };
    done.outcome = fetched.and_then(|()| try_it(around, &mut done)).unwrap_or_else(outcome_of);
    done
}

/// What a failure is for a watcher: whether it may go away by itself.
fn outcome_of(error: Error) -> Outcome {
    match error.code {
        _ if error.about == Some("git/no-ref") => refused("ref_vanished", error.to_string()),
        Code::Invalid => {
            let problem = Diagnostic::error("file/unreadable", error.to_string());
            Outcome::Invalid(vec![match error.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            }])
        }
        // What is asked for can never be.
        Code::Usage => refused("usage", error.to_string()),
        Code::Refused => {
            let rule = error.about.unwrap_or("plan/refused");
            Outcome::Refused(vec![Refused::Tree { rule, message: error.to_string() }])
        }
        _ => Outcome::Failed(error),
    }
}

fn refused(rule: &'static str, message: impl Into<String>) -> Outcome {
    Outcome::Refused(vec![Refused::Tree { rule, message: message.into() }])
}

fn try_it(around: &Around<'_>, done: &mut Attempt) -> Result<Outcome> {
    let Options { root, start, store, trusted, .. } = around.options;
    let before = of_project(around.options);
    let commit = match &around.options.git {
        None => None,
        Some(git) => {
            let found = look_up(root, git)?;
            let id = found.as_ref().map_or_else(|(id, _)| id.clone(), |commit| Some(commit.commit().to_owned()));
            done.tree = Some(Tree { commit: id, files: before.clone() });
            match found {
                Ok(commit) => Some(commit),
                Err((_, outcome)) => return Ok(outcome),
            }
        }
    };
    if commit.is_none() && !root.join(FILE_NAME).is_file() {
        let message = format!("there is no `{FILE_NAME}` in {} any more", root.display());
        return Ok(refused("project_vanished", message));
    }
    let tree = commit.as_ref();
    let above = Above { store: store.as_deref(), trusted: trusted.as_deref(), tree, ..Above::default() };
    let session = done.session.insert(pipeline::open_at(root, start, above, around.options.strict)?);
    session.remember(Arc::clone(around.memory));
    session.expect_secrets(around.secrets);
    done.base = Some(session.base()?);
    let stamp = session.stamp(trusted.as_deref());
    let planned = session.plan(&Asked::default());
    let after = session.stamp(trusted.as_deref());
    let is_secret = |path: &Path| session.secret_files().iter().any(|file| file == path);
    let torn = !before.stands_in(&stamp)
        || !stamp.stands_in(&after)
        || stamp.differing(&after).into_iter().any(|path| !is_secret(path))
        // Secrets are known only once they have been read: they must not be fresh.
        || (after != stamp && after.is_fresh(around.options.debounce));
    if torn {
        return Ok(Outcome::Torn);
    }
    done.tree = Some(Tree { commit: commit.map(|commit| commit.commit().to_owned()), files: after });
    let Some(planned) = planned? else {
        return Ok(Outcome::Invalid(session.diagnostics.iter().cloned().collect()));
    };
    let planned = done.planned.insert(planned);
    done.base = Some(planned.plan.base);
    match decide(around, session, planned)? {
        Decision::Not(outcome) => {
            if matches!(outcome, Outcome::Unchanged) {
                session.learn(planned);
            }
            Ok(outcome)
        }
        Decision::Apply { consent } => {
            // What the system has told may not be all.
            if !around.forced && done.tree.as_ref().is_some_and(|tree| written(tree.files.paths()).is_some()) {
                return Ok(Outcome::Torn);
            }
            if !around.options.once {
                let here = (session.store_name.as_str(), session.project.name.as_str());
                let Some((_, _, lead)) = around.lead.filter(|(store, project, _)| (*store, *project) == here) else {
                    // Who leads there is to be asked first.
                    return Ok(Outcome::Torn);
                };
                let role = lead.role();
                if role != Role::Leads {
                    return Ok(stand_by(&role));
                }
            }
            let receipt = session.apply(planned, consent, &around.options.actor, &|_, _| {})?;
            // Writes of others since the plan are not in it.
            done.base = Some(Base { revision: receipt.revision, ..planned.plan.base });
            let applied = Applied::of(&planned.plan, receipt.revision);
            Ok(Outcome::Synced { revision: receipt.revision, applied })
        }
    }
}

pub fn stand_by(role: &Role) -> Outcome {
    match role {
        Role::StandsBy(holder) => {
            let message = format!("another watcher leads: {}", harmless(holder));
            Outcome::Waiting { reason: Reason::Standby, message, until: None }
        }
        Role::Unknown(why) => {
            Outcome::Failed(Error::failure(format!("whether another watcher leads cannot be told: {why}")))
        }
        Role::Leads => Outcome::Torn,
    }
}

/// The files that say what the project is: they are looked at before anything is read.
pub fn of_project(options: &Options) -> Stamp {
    let own = options.git.is_none().then(|| options.root.join(FILE_NAME));
    Stamp::of_files(options.trusted.iter().cloned().chain(own))
}

/// Brings what is kept of the remote up, if that is asked for.
pub fn fetch(options: &Options) -> Result<()> {
    let Some(git) = options.git.as_ref().filter(|git| git.pull) else { return Ok(()) };
    Checkout::of(&options.root).map_or(Ok(()), |checkout| checkout.fetch(&git.reference))
}

/// The commit that would be taken now, of those that are here.
pub fn newest(root: &Path, git: &FromGit) -> Result<Option<String>> {
    match Checkout::of(root) {
        Some(checkout) => checkout.resolve(&checkout.followed(&git.reference, git.pull)?),
        None => Ok(None),
    }
}

/// Files of the project that differ between two commits.
pub fn differing(root: &Path, one: &str, other: &str) -> Vec<String> {
    Checkout::of(root).map_or(Vec::new(), |checkout| checkout.differing(one, other))
}

/// A commit that is not taken, if there is one, and what becomes of that.
pub type Left = (Option<String>, Outcome);

/// The commit to take the files from, of those that are here.
pub fn look_up(root: &Path, git: &FromGit) -> Result<std::result::Result<Arc<CommitTree>, Left>> {
    let Some(checkout) = Checkout::of(root) else {
        let message = "this is no folder of a git repository, or git does not trust it";
        return Ok(Err((None, refused("ref_vanished", message))));
    };
    let found = checkout.followed(&git.reference, git.pull).and_then(|reference| checkout.resolve(&reference));
    let id = match found {
        Ok(Some(id)) => id,
        Ok(None) => {
            let message = format!("`{}` names no commit", harmless(&git.reference));
            return Ok(Err((None, refused("ref_vanished", message))));
        }
        // A name that is none, or that several have.
        Err(error) if error.code == Code::Usage => {
            return Ok(Err((None, refused("ref_vanished", error.to_string()))));
        }
        Err(error) => return Err(error),
    };
    if git.signed
        && let Err(why) = checkout.is_signed(&id)?
    {
        let message = format!("the commit {id} has no good signature: {}", harmless(&why));
        return Ok(Err((Some(id), refused("unsigned", message))));
    }
    let commit = checkout.tree(&id)?;
    if commit.find(FILE_NAME).is_none() {
        let message = format!("the commit {id} holds no `{FILE_NAME}` here");
        return Ok(Err((Some(id), refused("project_vanished", message))));
    }
    Ok(Ok(Arc::new(commit)))
}

fn decide(around: &Around<'_>, session: &Session, planned: &Planned) -> Result<Decision> {
    let plan = &planned.plan;
    let wait = |reason, message: String, until| Ok(Decision::Not(Outcome::Waiting { reason, message, until }));
    if !session.has_sources(planned) && session.owns_anything()? {
        let message = "no source is left, though the project owns something in the store";
        return Ok(Decision::Not(refused("source_vanished", message)));
    }
    if plan.base.revision == 0 && !plan.is_empty() && (around.seen.is_some() || session.has_lost_its_store()?) {
        let message = format!(
            "the store {} has vanished, or is another one than before; it is not made anew without `yubin apply`",
            session.store_name
        );
        return Ok(Decision::Not(refused("store_vanished", message)));
    }
    let mut approved = None;
    let mut is_approved = || -> Result<bool> {
        if let Some(known) = approved {
            return Ok(known);
        }
        let found = session.approvals()?.iter().any(|one| one.digest == planned.digest)
            || session.acks().contains(&planned.digest);
        approved = Some(found);
        Ok(found)
    };
    if !planned.verdict.refused.is_empty() {
        let consent = is_approved()?;
        if guard::approve(plan, &planned.verdict, consent).is_none() {
            let refused = planned.verdict.refused.iter().cloned().map(Refused::Plan).collect();
            return Ok(Decision::Not(Outcome::Refused(refused)));
        }
    }
    if plan.is_empty() {
        return Ok(Decision::Not(Outcome::Unchanged));
    }
    if let Some((store, revision)) = around.seen
        && store == session.store_name
        && plan.base.revision < revision
        && !is_approved()?
    {
        let message = format!("the store has gone back from revision {revision} to {}", plan.base.revision);
        return wait(Reason::ByHand, message, None);
    }
    let sync = &session.project.sync;
    if let Some(path) = session.paused_by() {
        return wait(Reason::Paused, format!("paused: {} is there", path.display()), None);
    }
    let decided = match around.settled {
        // Nobody has been at the store since.
        Some((config, revision)) if revision == plan.base.revision => {
            if config == plan.config_digest {
                Decided::Same
            } else {
                Decided::New
            }
        }
        settled => session.decided(planned, settled.map(|(config, _)| config))?,
    };
    if !sync.heal && !matches!(decided, Decided::New) && planned.only_heals() {
        return Ok(Decision::Not(Outcome::Drift));
    }
    if let Decided::ByHand(revision) = &decided
        && !is_approved()?
    {
        let note = revision.note.as_ref().map_or(String::new(), |note| format!(", {}", harmless(note)));
        let message = format!(
            "{} has decided otherwise since these files were applied, in revision {}{note}",
            harmless(&revision.actor),
            revision.revision
        );
        return wait(Reason::ByHand, message, None);
    }
    if (sync.approve_deletes || around.options.approve_deletes) && planned.loses() && !is_approved()? {
        let message = "the plan takes something away, and waits for a person";
        return wait(Reason::Approval, message.to_owned(), None);
    }
    if let Standing::Closed { until } = sync.standing(Timestamp::now(), &planned.sorts())
        && !is_approved()?
    {
        let message = match until {
            Some(until) => {
                let until = until.to_zoned(sync.timezone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string();
                format!("no window is open before {until}")
            }
            None => "no window will be open".to_owned(),
        };
        return wait(Reason::Window, message, until);
    }
    let consent = !planned.verdict.refused.is_empty();
    Ok(Decision::Apply { consent })
}

/// Whether git is at work in the repository that the folder stands in.
pub fn git_works(root: &Path) -> bool {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    let Some(git) = root.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists()) else { return false };
    // A linked work tree has a file that says where its repository is.
    let told = fs::read_to_string(&git).ok();
    let elsewhere = told.as_deref().and_then(|text| text.strip_prefix("gitdir:")).map(|path| root.join(path.trim()));
    fs::symlink_metadata(elsewhere.unwrap_or(git).join("index.lock")).is_ok()
}
