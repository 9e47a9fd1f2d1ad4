//! `yubin check`

use super::annotate::Annotations;
use super::{Common, End, print, print_json};
use crate::model::{Code, Diagnostic, Result, Severity};
use crate::render::text;
use crate::wire;

/// Read and validate the files, without the store
#[derive(clap::Args)]
pub struct Args {
    /// Make warnings errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    annotations: Annotations,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    args.annotations.check(common)?;
    let started = std::time::Instant::now();
    let mut session = common.session(args.strict)?;
    let checked = session.check();
    common.time("checked", started);
    let diagnostics = &session.diagnostics;
    let end = if diagnostics.has_errors() { End::Code(Code::Invalid) } else { End::Done };
    let all: Vec<Diagnostic> = diagnostics.iter().cloned().collect();
    args.annotations.write(common, &session.project.root, &all, &[])?;
    if args.annotations.is_report() {
        return Ok(end);
    }
    if common.is_json() {
        print_json(&wire::diagnostics(diagnostics.iter()))?;
        return Ok(end);
    }
    if args.annotations.is_none() {
        common.say_diagnostics(diagnostics);
    }
    let (errors, warnings) = (diagnostics.count(Severity::Error), diagnostics.count(Severity::Warning));
    let words = common.words();
    let count = text::count(errors, warnings, common.lang());
    let count = if count.is_empty() { words.no_problems } else { &count };
    if !common.quiet {
        print(|to| writeln!(to, "{}", (words.checked)(count, checked.files, checked.resources)))?;
    }
    Ok(end)
}
