//! `yubin apply`

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use super::{Common, End, actor, confirm, is_interactive, plan, print_json};
use crate::guard;
use crate::model::{Action, Code, Diagnostic, Error, Result};
use crate::pipeline::{Planned, Secrets, Session, Step};
use crate::wire;

/// Make the store what the files declare, in one transaction
#[derive(clap::Args)]
pub struct Args {
    /// A saved plan: apply exactly this, or nothing
    #[arg(value_name = "PLAN")]
    file: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Let the plan with this digest through, although it breaks a limit
    #[arg(long, value_name = "DIGEST")]
    ack: Option<String>,
    /// What the log says about this apply
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Make warnings errors
    #[arg(long)]
    strict: bool,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    // Read first: a file that is no plan is told from a store that cannot be read.
    let saved = args.file.as_deref().map(read_saved).transpose()?;
    let (session, mut planned, approved) = match plan_again(common, saved.as_ref(), args.strict)? {
        Ok(made) => made,
        Err(session) => return common.invalid(&session.diagnostics),
    };
    planned.plan.note.clone_from(&args.note);
    let yes = args.yes || saved.is_some();
    // Whoever has approved the plan that was saved has approved what comes of it.
    let ack = args.ack.clone().map(|ack| if ack == approved { planned.digest.clone() } else { ack });
    carry_out(common, &session, planned, yes, ack.as_deref())
}

/// The plan of this moment, which must be the one that was saved if there is one; and the digest of that.
/// `Err` if the input is invalid.
pub fn plan_again(
    common: &Common,
    saved: Option<&Saved>,
    strict: bool,
) -> Result<std::result::Result<(Session, Planned, String), Session>> {
    let mut approved = None;
    if let Some(saved) = saved.filter(|saved| saved.skips()) {
        let mut session = common.session(strict)?;
        let Some(planned) = session.plan(Secrets::Skip)? else { return Ok(Err(session)) };
        saved.compare(&session, &planned)?;
        approved = Some(planned);
    }
    let mut session = common.session(strict)?;
    let Some(planned) = session.plan(Secrets::Fetch)? else { return Ok(Err(session)) };
    match (saved, approved) {
        (Some(_), Some(approved)) => {
            let now = &planned.plan;
            let same = now.base == approved.plan.base && now.config_digest == approved.plan.config_digest;
            // It may find less to do, and nothing else.
            if !same || !now.is_within(&approved.plan) {
                let message = "configuration or store have moved since the plan was made";
                return Err(Error::new(Code::Conflict, message).hint("plan again, and have it approved again"));
            }
            Ok(Ok((session, planned, approved.digest)))
        }
        (Some(saved), None) => {
            saved.compare(&session, &planned)?;
            let digest = planned.digest.clone();
            Ok(Ok((session, planned, digest)))
        }
        (None, _) => {
            let digest = planned.digest.clone();
            Ok(Ok((session, planned, digest)))
        }
    }
}

/// Shows a plan, asks for consent, and commits it.
pub fn carry_out(
    common: &Common,
    session: &Session,
    mut planned: Planned,
    yes: bool,
    ack: Option<&str>,
) -> Result<End> {
    let consent = ack == Some(planned.digest.as_str());
    let refused = guard::approve(&planned.plan, &planned.verdict, consent).is_none();
    let wrong_ack = ack.is_some() && !consent;
    if !common.is_json() || refused || wrong_ack {
        plan::show(common, session, &planned)?;
    }
    if refused || wrong_ack {
        if wrong_ack {
            common.say(common.words().other_ack);
        }
        return Ok(End::Code(Code::Refused));
    }
    if planned.plan.is_empty() {
        session.learn(&planned);
        if common.is_json() {
            receipt(session, &planned, planned.plan.base.revision)?;
        }
        return Ok(End::Done);
    }
    if !yes && !consent {
        if common.is_json() || !is_interactive() {
            if common.is_json() {
                plan::show(common, session, &planned)?;
            }
            return Err(
                Error::new(Code::Refused, "there is no terminal to ask on").hint("`--yes` applies without asking")
            );
        }
        if !confirm(common.words().ask) {
            common.say(common.words().untouched);
            return Ok(End::Code(Code::Refused));
        }
    }
    let started = std::time::Instant::now();
    let total = [Action::Add, Action::Overwrite, Action::Delete].map(|action| planned.plan.count(action)).iter().sum();
    let passwords = planned.passwords();
    let hashing = progress_bar(common, passwords, WORTH_A_BAR_OF_HASHES, common.words().hashing);
    let writing = progress_bar(common, total, WORTH_A_BAR, common.words().writing);
    let receipt_of = session.apply(&mut planned, consent, &actor(), &|step, done| match step {
        Step::Hash => {
            hashing.set_position(done);
            if done == passwords {
                hashing.finish_and_clear();
            }
        }
        Step::Write => writing.set_position(done),
    });
    hashing.finish_and_clear();
    writing.finish_and_clear();
    let revision = receipt_of?.revision;
    common.time("applied", started);
    if common.is_json() {
        receipt(session, &planned, revision)?;
    } else {
        common.say(&(common.words().applied)(revision));
    }
    // What was applied is not needed any more, and freeing a million changes takes a while.
    std::mem::forget(std::mem::take(&mut planned.plan.changes));
    Ok(End::Done)
}

const WORTH_A_BAR: u64 = 5_000;
/// Of these, some two seconds.
const WORTH_A_BAR_OF_HASHES: u64 = 100;

fn progress_bar(common: &Common, total: u64, worth: u64, template: &str) -> ProgressBar {
    if common.quiet || total < worth {
        return ProgressBar::hidden();
    }
    // On terminals only; it draws nowhere else.
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn receipt(session: &Session, planned: &Planned, revision: u64) -> Result<()> {
    let plan = &planned.plan;
    print_json(&json!({
        "format_version": wire::FORMAT_VERSION,
        "revision": revision,
        "digest": planned.digest,
        "summary": wire::summary(|action| plan.count(action), plan.unchanged),
        "effects": wire::effects(plan).collect::<Vec<_>>(),
        "diagnostics": session.diagnostics.iter().map(wire::diagnostic).collect::<Vec<_>>(),
    }))
}

/// A plan file: a witness of what was approved. The plan itself is made again from files and
/// store, and must come out the same.
pub struct Saved {
    head: Head,
    text: String,
}

#[derive(Deserialize)]
struct Head {
    format_version: u32,
    yubin: String,
    base_revision: u64,
    #[serde(default)]
    base_outside_writes: u64,
    config_digest: String,
    secrets_digest: String,
    secrets: Option<String>,
    store: String,
}

pub fn read_saved(path: &Path) -> Result<Saved> {
    let bytes = fs::read(path)
        .map_err(|error| Error::failure(format!("the plan {} cannot be read", path.display())).because(error))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let head: Head = serde_json::from_str(&text).map_err(|error| {
        // Line and column only: the message may repeat what stands there.
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::new(Code::Refused, format!("{} is no saved plan, or was altered ({place})", path.display()))
            .hint("`yubin plan --out FILE` saves one")
    })?;
    if head.format_version > wire::FORMAT_VERSION {
        let message = format!("the plan has format {}, this yubin reads {}", head.format_version, wire::FORMAT_VERSION);
        return Err(Error::new(Code::Conflict, message).hint("apply it with the yubin that made it, or plan again"));
    }
    Ok(Saved { head, text })
}

impl Saved {
    /// Whether it was made without the secrets.
    fn skips(&self) -> bool {
        self.head.secrets.as_deref() == Some(wire::SKIPPED)
    }

    pub fn compare(&self, session: &Session, planned: &Planned) -> Result<()> {
        let head = &self.head;
        let plan = &planned.plan;
        let moved =
            |message: String| Err(Error::new(Code::Conflict, message).hint("plan again, and have it approved again"));
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        let mut document = plan::document(session, planned, &diagnostics, Some(&head.secrets_digest));
        document.store = &head.store;
        let mut fresh = Vec::new();
        document.write(&mut fresh).map_err(|error| Error::failure("the plan cannot be compared").because(error))?;
        if fresh == self.text.as_bytes() && head.secrets_digest == planned.secrets_digest {
            return Ok(());
        }
        if head.yubin != env!("CARGO_PKG_VERSION") {
            return moved(format!("the plan was made by yubin {}, this is {}", head.yubin, env!("CARGO_PKG_VERSION")));
        }
        if head.base_revision != plan.base.revision {
            return moved(format!(
                "the plan was made at revision {}, the store is at {}",
                head.base_revision, plan.base.revision
            ));
        }
        if head.base_outside_writes != plan.base.outside_writes {
            return moved("other software has changed the store since the plan was made".to_owned());
        }
        if head.config_digest != plan.config_digest {
            return moved("the configuration is not the one that the plan was made from".to_owned());
        }
        if head.secrets_digest != planned.secrets_digest {
            return moved("a secret is not the one that the plan was made from".to_owned());
        }
        Err(Error::new(Code::Refused, "the plan file was altered: it is not what configuration and store give")
            .hint("plan again, and have it approved again"))
    }
}
