//! `yubin apply`

use std::io::Write;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::annotate::Annotations;
use super::saved::{self, Again, Part, Saved};
use super::{Common, End, Format, actor, confirm, is_interactive, plan, print_json, probe};
use crate::checkout::Checkout;
use crate::guard;
use crate::model::{Action, Code, Diagnostic, Diagnostics, Error, Result};
use crate::pipeline::{Applied, Asked, Planned, Session, Step};
use crate::wire;

/// Make the store what the files declare, in one transaction
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Args {
    /// A saved plan: apply exactly this, or nothing
    #[arg(value_name = "PLAN", conflicts_with_all = ["target", "exclude"])]
    file: Option<PathBuf>,
    /// Where store or files have moved since the plan was saved: go on if exactly the same would change
    #[arg(long, requires = "file")]
    rebase: bool,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    annotations: Annotations,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Let the plan with this digest through, although it breaks a limit
    #[arg(long, value_name = "DIGEST")]
    ack: Option<String>,
    /// Log in to the servers that the plan touches, before it is applied
    #[arg(long)]
    probe: bool,
    /// What the log says about this apply
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Make warnings errors
    #[arg(long)]
    strict: bool,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    args.annotations.check(common)?;
    if args.probe {
        probe::refuse_untrusted(common)?;
    }
    let yes = args.yes || args.file.is_some();
    let planned = if let Some(path) = &args.file {
        let saved = Saved { probe: args.probe, ..saved::read(path)? };
        let again = saved.plan_again(common, args.strict, args.rebase)?;
        again.map(|Again { session, planned, approved }| (session, planned, Some(approved)))
    } else {
        let mut session = common.session(args.strict)?;
        match session.plan(&Asked { partial: args.part.partial(), probe: args.probe, ..Asked::default() })? {
            Some(planned) => Ok((session, planned, None)),
            None => Err(session),
        }
    };
    let (session, mut planned, approved) = match planned {
        Ok(planned) => planned,
        Err(session) => return invalid(common, &session, &args.annotations),
    };
    planned.plan.note.clone_from(&args.note);
    // Whoever has approved the plan that was saved has approved what comes of it.
    let is_approved = args.ack.is_some() && args.ack == approved;
    let ack = if is_approved { Some(planned.digest.clone()) } else { args.ack.clone() };
    let ack = ack.or_else(|| consent_of_commits(common, &session, &planned, approved.as_deref()));
    carry_out(common, &session, planned, yes, ack.as_deref(), &args.annotations)
}

fn invalid(common: &Common, session: &Session, annotations: &Annotations) -> Result<End> {
    let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
    annotations.write(common, &session.project.root, &diagnostics, &[])?;
    if !annotations.is_none() && common.format == Format::Text {
        return Ok(End::Code(Code::Invalid));
    }
    common.invalid(&session.diagnostics)
}

/// The digest of this plan, if one of the last commits of the checkout names it.
fn consent_of_commits(common: &Common, session: &Session, planned: &Planned, approved: Option<&str>) -> Option<String> {
    // Only what breaks a limit asks for more than the usual consent.
    if planned.verdict.refused.is_empty() {
        return None;
    }
    let acks = Checkout::of(&session.project.root)?.acks();
    let names = |digest: &str| acks.iter().any(|ack| ack == digest);
    if !names(&planned.digest) && !approved.is_some_and(names) {
        return None;
    }
    common.say("a commit consents to this plan (Yubin-Ack)");
    Some(planned.digest.clone())
}

/// Shows a plan, asks for consent, and commits it.
pub fn carry_out(
    common: &Common,
    session: &Session,
    planned: Planned,
    yes: bool,
    ack: Option<&str>,
    annotations: &Annotations,
) -> Result<End> {
    carry_out_as_part(common, session, planned, yes, ack, annotations, &receipt)
}

/// How it is told in JSON that a plan is applied: with the revision, and what became of its effects.
pub type Telling<'a> = dyn Fn(&Session, &Planned, u64, &Diagnostics) -> Result<()> + 'a;

/// The same, for who has something else to tell.
pub fn carry_out_as_part(
    common: &Common,
    session: &Session,
    mut planned: Planned,
    yes: bool,
    ack: Option<&str>,
    annotations: &Annotations,
    receipt: &Telling<'_>,
) -> Result<End> {
    let consent = ack == Some(planned.digest.as_str());
    let refused = guard::approve(&planned.plan, &planned.verdict, consent).is_none();
    let wrong_ack = ack.is_some() && !consent;
    if !common.is_json() || refused || wrong_ack {
        plan::show(common, session, &planned, annotations)?;
    } else {
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        annotations.write(common, &session.project.root, &diagnostics, &planned.verdict.refused)?;
    }
    if refused || wrong_ack {
        if wrong_ack {
            // Even of those who want to hear little: it is why nothing has happened.
            let _ = writeln!(anstream::stderr(), "{}", common.words().other_ack);
        }
        return Ok(End::Code(Code::Refused));
    }
    if planned.plan.is_empty() {
        session.learn(&planned);
        let problems = deliver(common, session, None);
        if common.is_json() {
            receipt(session, &planned, planned.plan.base.revision, &problems)?;
        }
        return Ok(End::Done);
    }
    if !yes && !consent {
        if common.is_json() || !is_interactive() {
            if common.is_json() {
                plan::show(common, session, &planned, annotations)?;
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
    let total = Action::ALL.into_iter().filter(|action| action.writes()).map(|action| planned.plan.count(action)).sum();
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
    if !common.is_json() {
        common.say(&(common.words().applied)(revision));
    }
    let applied = (!session.project.hooks.is_empty()).then(|| Applied::of(&planned.plan, revision));
    let problems = deliver(common, session, applied.as_ref());
    if common.is_json() {
        receipt(session, &planned, revision, &problems)?;
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

/// What is applied stays applied, whatever becomes of its effects.
fn deliver(common: &Common, session: &Session, applied: Option<&Applied>) -> Diagnostics {
    let mut problems = Diagnostics::default();
    problems.extend(session.deliver(applied));
    if !common.is_json() {
        common.say_diagnostics(&problems);
    }
    problems
}

fn receipt(session: &Session, planned: &Planned, revision: u64, problems: &Diagnostics) -> Result<()> {
    let plan = &planned.plan;
    let diagnostics = session.diagnostics.iter().chain(problems.iter());
    print_json(&json!({
        "format_version": wire::FORMAT_VERSION,
        "revision": revision,
        "digest": planned.digest,
        "summary": wire::summary(|action| plan.count(action), plan.unchanged),
        "effects": wire::effects(plan).collect::<Vec<_>>(),
        "diagnostics": diagnostics.map(wire::diagnostic).collect::<Vec<_>>(),
    }))
}
