//! `yubin plan`

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::Timestamp;

use super::annotate::{self, Annotations};
use super::saved::{self, Part};
use super::{Common, End, Format, actor, print_data, probe};
use crate::model::{Code, Diagnostic, Diagnostics, Error, Result};
use crate::pipeline::{Asked, Planned, Secrets, Session};
use crate::render::{self, html, markdown, text};
use crate::system::System;
use crate::vault;
use crate::wire::{self, Against, Hidden, PlanDocument, Saving};

/// Show what would change
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Args {
    /// Save the plan, for `yubin apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 if there are changes
    #[arg(long)]
    exit_code: bool,
    /// Show a plan that was saved; neither store nor secrets are needed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "rehearse", "between", "target", "exclude", "secrets"])]
    show: Option<PathBuf>,
    /// Show what was between two revisions
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["out", "rehearse", "target", "exclude", "secrets"])]
    between: Option<Vec<u64>>,
    /// Write all of it in a real transaction, compare what the store then holds, and roll back
    #[arg(long)]
    rehearse: bool,
    /// Plan against a snapshot in the place of the store, without secrets
    #[arg(long, value_name = "FILE", conflicts_with_all = ["show", "between", "rehearse"])]
    against: Option<PathBuf>,
    /// The public key that must have signed the snapshot
    #[arg(long, value_name = "KEY", requires = "against")]
    signed_by: Option<String>,
    /// Log in to the servers that the plan touches
    #[arg(long, conflicts_with_all = ["show", "between", "against", "secrets"])]
    probe: bool,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    annotations: Annotations,
    /// Whether secrets are fetched: without them and the store's key, a plan cannot tell which change
    #[arg(long, value_enum, value_name = "HOW", default_value_t = HowSecrets::Fetch, hide_default_value = true)]
    secrets: HowSecrets,
    /// Write the plan as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    json_out: Option<PathBuf>,
    /// The most that Markdown may take; what does not fit is counted
    #[arg(long, value_name = "BYTES", default_value_t = markdown::BUDGET, value_parser = budget)]
    budget: usize,
    /// Make warnings errors
    #[arg(long)]
    strict: bool,
}

/// Below this, not even the counts would fit.
const LEAST_BUDGET: usize = 2_000;

fn budget(word: &str) -> std::result::Result<usize, String> {
    let bytes = word.parse().ok().filter(|bytes| *bytes >= LEAST_BUDGET);
    bytes.ok_or_else(|| format!("a number of bytes from {LEAST_BUDGET}"))
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HowSecrets {
    Fetch,
    Skip,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    args.annotations.check(common)?;
    if let Some(path) = &args.show {
        return show_saved(common, args, path);
    }
    if args.probe {
        probe::refuse_untrusted(common)?;
    }
    let started = std::time::Instant::now();
    let against = args.against.as_deref().map(|path| (path, args.signed_by.as_deref()));
    let mut session = common.session_against(args.strict, against)?;
    if against.is_some() && args.signed_by.is_none() {
        common.say("who has signed the snapshot was not checked; `--signed-by KEY` does that");
    }
    if let Some([from, to]) = args.between.as_deref() {
        return between(common, args, &mut session, (*from, *to));
    }
    let secrets = match args.secrets {
        HowSecrets::Fetch if against.is_none() => Secrets::Fetch,
        _ => Secrets::Skip,
    };
    if args.rehearse && secrets == Secrets::Skip {
        let message = "a rehearsal writes what an apply would, and so needs the secrets";
        return Err(Error::new(Code::Usage, message).hint("leave `--secrets=skip` out"));
    }
    let asked = Asked { secrets, partial: args.part.partial(), probe: args.probe, ..Asked::default() };
    let Some(mut planned) = session.plan(&asked)? else { return invalid(common, args, &session) };
    common.time("planned", started);
    let diagnostics = diagnostics(&session, &planned);
    if let Some(path) = &args.json_out {
        replace(path, |to| document(&session, &planned, &diagnostics, None).write(to))?;
    }
    let report = report(common, &session, &planned);
    args.annotations.write(common, &session.project.root, &diagnostics, report.refused)?;
    args.annotations.summarise(common, || markdown::plan(&report, &diagnostics, annotate::SUMMARY));
    if !args.annotations.is_report() {
        let document = document(&session, &planned, &diagnostics, None);
        present(common, args.budget, &report, &document, &args.annotations)?;
    }
    if args.rehearse {
        rehearse(common, &session, &mut planned)?;
    }
    if let Some(path) = &args.out {
        session.keep_key(&mut planned)?;
        save(path, &session, &planned)?;
        common.say(&(common.words().saved)(&path.display().to_string()));
    }
    Ok(end(args, !planned.verdict.refused.is_empty(), planned.plan.is_empty()))
}

fn end(args: &Args, refused: bool, empty: bool) -> End {
    if refused {
        End::Code(Code::Refused)
    } else if args.exit_code && !empty {
        End::Changes
    } else {
        End::Done
    }
}

fn invalid(common: &Common, args: &Args, session: &Session) -> Result<End> {
    let diagnostics = &session.diagnostics;
    let all: Vec<Diagnostic> = diagnostics.iter().cloned().collect();
    args.annotations.write(common, &session.project.root, &all, &[])?;
    args.annotations.summarise(common, || markdown::invalid(&all, common.lang(), annotate::SUMMARY));
    if let Some(path) = &args.json_out {
        // A plan of before must not stand there for this one.
        let document = wire::diagnostics(diagnostics.iter());
        replace(path, |to| Ok(serde_json::to_writer_pretty(to, &document)?))?;
    }
    if common.format == Format::Html {
        print_data(|to| html::invalid(&all, common.lang(), to))?;
        return Ok(End::Code(Code::Invalid));
    }
    if common.format == Format::Markdown {
        print_data(|to| to.write_all(markdown::invalid(&all, common.lang(), args.budget).as_bytes()))?;
        return Ok(End::Code(Code::Invalid));
    }
    if !args.annotations.is_none() && common.format == Format::Text {
        return Ok(End::Code(Code::Invalid));
    }
    common.invalid(diagnostics)
}

/// What was between two revisions, as a plan that nobody applies.
fn between(common: &Common, args: &Args, session: &mut Session, revisions: (u64, u64)) -> Result<End> {
    let planned = session.between(revisions.0, revisions.1)?;
    let document = PlanDocument { between: Some(revisions), ..document(session, &planned, &[], None) };
    if let Some(path) = &args.json_out {
        replace(path, |to| document.write(to))?;
    }
    present(common, args.budget, &report(common, session, &planned), &document, &args.annotations)?;
    Ok(end(args, false, planned.plan.is_empty()))
}

/// A plan document, as it was saved.
fn show_saved(common: &Common, args: &Args, path: &Path) -> Result<End> {
    let saved = saved::read(path)?;
    let document = &saved.document;
    let failed = |error| Error::failure(format!("the plan {} cannot be read", path.display())).because(error);
    if let Some(out) = &args.json_out {
        let bytes = fs::read(path).map_err(failed)?;
        replace(out, |to| to.write_all(&bytes))?;
    }
    // The name was found when the document was read.
    let system = System::find(document.plan.system).ok_or_else(|| Error::failure("this plan is of no known system"))?;
    let report = text::Report {
        plan: &document.plan,
        system,
        digest: &document.head.digest,
        store: &document.head.store,
        refused: &document.refused,
        all: common.verbose,
        lang: common.lang(),
        against: document.head.against.as_ref(),
        age: age(document.head.against.as_ref()),
    };
    if common.is_json() {
        // As it stands: it may say more than this yubin understands.
        let mut file = fs::File::open(path).map_err(failed)?;
        print_data(|to| io::copy(&mut file, to).map(drop))?;
    } else {
        let hidden = |kind, field| !system.observes(kind, field);
        let shown = PlanDocument {
            plan: &document.plan,
            digest: &document.head.digest,
            store: &document.head.store,
            refused: &document.refused,
            diagnostics: &document.diagnostics,
            hidden: system.has_hidden().then(|| Box::new(hidden) as Box<Hidden<'_>>),
            probes: (&[], &wire::Places::new()),
            saving: None,
            against: document.head.against.as_ref(),
            between: document.head.between.map(|[from, to]| (from, to)),
            skipped: document.head.secrets.as_deref() == Some(wire::SKIPPED),
        };
        present(common, args.budget, &report, &shown, &args.annotations)?;
    }
    Ok(end(args, !document.refused.is_empty(), document.plan.is_empty()))
}

/// Prints a plan in the form that is asked for, its messages beside it.
fn present(
    common: &Common,
    budget: usize,
    report: &text::Report<'_>,
    document: &PlanDocument<'_>,
    annotations: &Annotations,
) -> Result<()> {
    if common.format == Format::Text && annotations.is_none() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.extend(document.diagnostics.iter().cloned());
        common.say_diagnostics(&diagnostics);
    }
    match common.format {
        Format::Json => print_data(|to| document.write(to)),
        Format::Html => print_data(|to| html::plan(document, report.age, common.lang(), to)),
        Format::Markdown => {
            let page = markdown::plan(report, document.diagnostics, budget);
            let (probed, places) = document.probes;
            let found =
                if probed.is_empty() { String::new() } else { render::probe::markdown(probed, places, report.lang) };
            annotations.print_data(|to| write!(to, "{page}{}{found}", if found.is_empty() { "" } else { "\n" }))
        }
        Format::Text if common.quiet => text::refusals(report.refused, report.lang, &mut anstream::stderr().lock())
            .map_err(|error| Error::failure("the output cannot be written").because(error)),
        Format::Text => annotations.print(|to| {
            text::plan(report, to)?;
            let (probed, places) = document.probes;
            if probed.is_empty() { Ok(()) } else { render::probe::text(probed, places, report.all, report.lang, to) }
        }),
    }
}

fn rehearse(common: &Common, session: &Session, planned: &mut Planned) -> Result<()> {
    if !session.rehearse(planned, &actor())? {
        common.say(common.words().not_rehearsed);
        return Ok(());
    }
    common.say(common.words().rehearsed);
    Ok(())
}

/// Prints the plan, refused or not.
pub fn show(common: &Common, session: &Session, planned: &Planned, annotations: &Annotations) -> Result<()> {
    let diagnostics = diagnostics(session, planned);
    let report = report(common, session, planned);
    annotations.write(common, &session.project.root, &diagnostics, report.refused)?;
    if annotations.is_report() {
        return Ok(());
    }
    present(common, markdown::BUDGET, &report, &document(session, planned, &diagnostics, None), annotations)
}

/// What is said about the files, and about the servers at this moment.
fn diagnostics(session: &Session, planned: &Planned) -> Vec<Diagnostic> {
    session.diagnostics.iter().chain(&planned.proof.notes).cloned().collect()
}

/// How long ago a snapshot was taken, in seconds.
fn age(against: Option<&Against>) -> Option<u64> {
    let at: Timestamp = against?.at.parse().ok()?;
    u64::try_from(Timestamp::now().duration_since(at).as_secs()).ok()
}

pub fn report<'a>(common: &Common, session: &'a Session, planned: &'a Planned) -> text::Report<'a> {
    text::Report {
        plan: &planned.plan,
        system: session.project.system,
        digest: &planned.digest,
        store: &session.store_name,
        refused: &planned.verdict.refused,
        all: common.verbose,
        lang: common.lang(),
        against: session.against(),
        age: age(session.against()),
    }
}

pub fn document<'a>(
    session: &'a Session,
    planned: &'a Planned,
    diagnostics: &'a [Diagnostic],
    saving: Option<Saving<'a>>,
) -> PlanDocument<'a> {
    let system = session.project.system;
    let hidden = |kind, field| !system.observes(kind, field);
    PlanDocument {
        plan: &planned.plan,
        digest: &planned.digest,
        store: &session.store_name,
        // What depends on the moment is no part of what is approved.
        refused: if saving.is_some() { planned.verdict.lasting() } else { &planned.verdict.refused },
        diagnostics,
        hidden: system.has_hidden().then(|| Box::new(hidden) as Box<Hidden<'_>>),
        probes: (&planned.proof.probed, &planned.proof.places),
        saving,
        against: session.against(),
        between: None,
        skipped: planned.secrets == Secrets::Skip,
    }
}

/// What is saved beside the plan.
pub fn saving(planned: &Planned) -> Saving<'_> {
    Saving {
        secrets: &planned.secrets_digest,
        changed_secrets: &planned.changed_secrets,
        as_of: planned.as_of.map(|at| at.to_string()),
        files: &planned.files,
    }
}

/// Writes the plan beside its place first: a plan file is whole or is not there.
fn save(path: &Path, session: &Session, planned: &Planned) -> Result<()> {
    let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
    replace(path, |to| document(session, planned, &diagnostics, Some(saving(planned))).write(to))
}

/// Replaces a file as a whole, mode 0600.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("out");
    let scratch = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = vault::private_file(&scratch).and_then(|file| {
        let mut to = BufWriter::new(file);
        write(&mut to)?;
        to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&scratch, path)
    });
    written.map_err(|error| {
        // What is left of it is of no use; the failure that counts is the first.
        let _ = fs::remove_file(&scratch);
        Error::failure(format!("{} cannot be written", path.display())).because(error)
    })
}
