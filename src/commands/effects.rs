//! `yubin effects`

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::{Common, End, confirm, is_interactive, print, print_data};
use crate::model::{Code, Diagnostic, Diagnostics, Error, Hook, Result};
use crate::pipeline::{Id, Pending, Session};
use crate::render::text::{self, harmless};
use crate::wire;

/// Show what applies have caused beside the state and what is still to be carried out; try it again
///
/// Where a server keeps the store, what hooks have tried is known only to the run that has tried it.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What the revisions of other projects have caused, too
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// List what is still to be carried out
    List {
        /// What the revisions of other projects have caused, too
        #[arg(long)]
        all: bool,
    },
    /// Run the hooks of the project for what is pending; ends with 1 if any fails
    Retry {
        /// Events, with what is pending before them of the same users; without any, all
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Mark as carried out what has been carried out by hand: no hook is run for it
    Ack {
        /// Events and notices, as `yubin effects` lists them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    match &args.verb {
        None => list(common, &session, args.all),
        Some(Verb::List { all }) => list(common, &session, *all),
        Some(Verb::Retry { ids }) => retry(common, &session, &parse(ids)?),
        Some(Verb::Ack { ids, yes }) => acknowledge(common, &session, &parse(ids)?, *yes),
    }
}

fn parse(ids: &[String]) -> Result<Vec<Id>> {
    let wrong = |text: &str| {
        Error::new(Code::Usage, format!("`{}` is no id of an effect", harmless(text)))
            .hint("as in `yubin effects`: a number, or `notify-` and that of a revision")
    };
    ids.iter().map(|text| Id::parse(text).ok_or_else(|| wrong(text))).collect()
}

/// Written one by one: what is pending may be more than fits into memory.
fn list(common: &Common, session: &Session, all: bool) -> Result<End> {
    let (mut count, mut failed) = (0_usize, None);
    let mut each = |to: &mut dyn Write, write: &dyn Fn(&Pending, bool, &mut dyn Write) -> io::Result<()>| {
        // The output may be closed by a reader that has seen enough, which is no failure.
        let mut written = Ok(());
        let read = session.pending(all, &mut |pending| {
            count += 1;
            written = write(&pending, count == 1, to);
            if written.is_err() { Err(Error::failure("the output cannot be written")) } else { Ok(()) }
        });
        if written.is_ok() {
            failed = read.err();
        }
        written
    };
    if common.is_json() {
        print_data(|to| {
            write!(to, "{{\n  \"format_version\": {},\n  \"events\": [", wire::FORMAT_VERSION)?;
            each(to, &|pending, first, to| {
                let comma = if first { "" } else { "," };
                write!(to, "{comma}\n    {}", document(pending))
            })?;
            writeln!(to, "\n  ]\n}}")
        })?;
    } else {
        print(|to| each(to, &|pending, _, to| line(pending, to)))?;
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if count == 0 && !common.is_json() {
        common.say("nothing is to be carried out");
    }
    Ok(End::Done)
}

fn document(pending: &Pending) -> Json {
    let Pending { id, effect, user, address, revision, project, at, attempts } = pending;
    json!({
        "id": id,
        "effect": effect,
        "user": user,
        "address": address,
        "revision": revision,
        "project": project,
        "at": at,
        "tries": pending.tries(),
        "error": pending.error(),
        "hooks": attempts.iter().map(wire::attempt).collect::<Vec<_>>(),
    })
}

fn line(pending: &Pending, to: &mut dyn Write) -> io::Result<()> {
    let Pending { id, effect, address, revision, project, at, attempts, user } = pending;
    let of = match (user, address) {
        (Some(user), Some(address)) => format!("{}  {}  ", harmless(user), harmless(address)),
        _ => String::new(),
    };
    writeln!(to, "{id:>8}  {effect:<10}  {of}revision {revision}  {at}  {}", harmless(project))?;
    for attempt in attempts {
        let hook = harmless(&attempt.hook);
        let told = match &attempt.error {
            Some(error) if !attempt.done => {
                let tries = text::number(usize::try_from(attempt.tries).unwrap_or(usize::MAX), "failed attempt");
                format!("{tries}, last {}: {}", attempt.at, harmless(error))
            }
            _ => format!("done {}", attempt.at),
        };
        writeln!(to, "          {hook}: {told}")?;
    }
    Ok(())
}

fn retry(common: &Common, session: &Session, ids: &[Id]) -> Result<End> {
    if !session.project.hooks.iter().any(Hook::is_delivered) {
        return Err(Error::new(Code::Usage, "the project has no `hooks:` that could carry anything out")
            .hint("other software takes effects from the API or the view `effect`"));
    }
    let problems = session.retry(ids)?;
    let failed = problems.iter().any(|problem| problem.code.starts_with("hook/"));
    let mut diagnostics = Diagnostics::default();
    diagnostics.extend(problems);
    if common.is_json() {
        let all: Vec<&Diagnostic> = diagnostics.iter().collect();
        super::print_json(&wire::diagnostics(all.into_iter()))?;
    } else {
        common.say_diagnostics(&diagnostics);
    }
    Ok(if failed { End::Code(Code::Failure) } else { End::Done })
}

fn acknowledge(common: &Common, session: &Session, ids: &[Id], yes: bool) -> Result<End> {
    if !yes {
        if common.is_json() || !is_interactive() {
            return Err(
                Error::new(Code::Refused, "there is no terminal to ask on").hint("`--yes` does it without asking")
            );
        }
        let what = text::number(ids.len(), "effect");
        if !confirm(&format!("Mark {what} as carried out? No hook will be run for it.")) {
            common.say("nothing has been changed");
            return Ok(End::Code(Code::Refused));
        }
    }
    session.acknowledge(ids)?;
    if common.is_json() {
        super::print_json(&json!({ "format_version": wire::FORMAT_VERSION, "acknowledged": ids.len() }))?;
    } else {
        common.say(&format!("{} marked as carried out", text::number(ids.len(), "effect")));
    }
    Ok(End::Done)
}
