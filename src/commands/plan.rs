//! `yubin plan`

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Common, End, Format, print, print_data};
use crate::model::{Code, Diagnostic, Error, Result};
use crate::pipeline::{Planned, Secrets, Session};
use crate::render::{Lang, html, markdown, text};
use crate::vault;
use crate::wire::{self, Hidden, PlanDocument};

/// Show what would change
#[derive(clap::Args)]
pub struct Args {
    /// Save the plan, for `yubin apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 2 if there are changes
    #[arg(long)]
    exit_code: bool,
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
    let started = std::time::Instant::now();
    let mut session = common.session(args.strict)?;
    let secrets = match args.secrets {
        HowSecrets::Fetch => Secrets::Fetch,
        HowSecrets::Skip => Secrets::Skip,
    };
    let Some(mut planned) = session.plan(secrets)? else {
        if let Some(path) = &args.json_out {
            let document = wire::diagnostics(session.diagnostics.iter());
            replace(path, |to| Ok(serde_json::to_writer_pretty(to, &document)?))?;
        }
        if common.format == Format::Markdown {
            let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
            print_data(|to| to.write_all(markdown::invalid(&diagnostics, args.budget).as_bytes()))?;
            return Ok(End::Code(Code::Invalid));
        }
        if common.format == Format::Html {
            let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
            print_data(|to| html::invalid(&diagnostics, Lang::En, to))?;
            return Ok(End::Code(Code::Invalid));
        }
        return common.invalid(&session.diagnostics);
    };
    common.time("planned", started);
    if let Some(path) = &args.json_out {
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        replace(path, |to| document(&session, &planned, &diagnostics, None).write(to))?;
    }
    if common.format == Format::Markdown {
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        let page = markdown::plan(&report(common, &session, &planned), &diagnostics, args.budget);
        print_data(|to| to.write_all(page.as_bytes()))?;
    } else if common.format == Format::Html {
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        print_data(|to| html::plan(&document(&session, &planned, &diagnostics, None), Lang::En, to))?;
    } else {
        show(common, &session, &planned)?;
    }
    if let Some(path) = &args.out {
        session.keep_key(&mut planned)?;
        save(path, &session, &planned)?;
        common.say(&format!("saved to {}; `yubin apply {}` applies exactly this plan", path.display(), path.display()));
    }
    Ok(if !planned.verdict.refused.is_empty() {
        End::Code(Code::Refused)
    } else if args.exit_code && !planned.plan.is_empty() {
        End::Changes
    } else {
        End::Done
    })
}

/// Prints the plan, refused or not.
pub fn show(common: &Common, session: &Session, planned: &Planned) -> Result<()> {
    if common.is_json() {
        let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
        return print_data(|to| document(session, planned, &diagnostics, None).write(to));
    }
    common.say_diagnostics(&session.diagnostics);
    if common.quiet {
        return text::refusals(&planned.verdict.refused, &mut anstream::stderr().lock())
            .map_err(|error| Error::failure("the output cannot be written").because(error));
    }
    print(|to| text::plan(&report(common, session, planned), to))
}

fn report<'a>(common: &Common, session: &'a Session, planned: &'a Planned) -> text::Report<'a> {
    text::Report {
        plan: &planned.plan,
        system: session.project.system,
        digest: &planned.digest,
        store: &session.store_name,
        refused: &planned.verdict.refused,
        all: common.verbose,
    }
}

pub fn document<'a>(
    session: &'a Session,
    planned: &'a Planned,
    diagnostics: &'a [Diagnostic],
    secrets_digest: Option<&'a str>,
) -> PlanDocument<'a> {
    let system = session.project.system;
    let hidden = |kind, field| !system.observes(kind, field);
    PlanDocument {
        plan: &planned.plan,
        digest: &planned.digest,
        store: &session.store_name,
        refused: &planned.verdict.refused,
        diagnostics,
        hidden: system.has_hidden().then(|| Box::new(hidden) as Box<Hidden<'_>>),
        secrets_digest,
        skipped: planned.secrets == Secrets::Skip,
    }
}

/// Writes the plan beside its place first: a plan file is whole or is not there.
fn save(path: &Path, session: &Session, planned: &Planned) -> Result<()> {
    let diagnostics: Vec<Diagnostic> = session.diagnostics.iter().cloned().collect();
    replace(path, |to| document(session, planned, &diagnostics, Some(&planned.secrets_digest)).write(to))
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
