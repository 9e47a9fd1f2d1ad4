//! `yubin watch`

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use super::{Common, End, Format, actor, plan, print, print_data};
use crate::model::watch::{Event, Refused, What};
use crate::model::{Approval, Code, Diagnostics, Error, Result};
use crate::pipeline;
use crate::render::{text, watch as render};
use crate::watch::{self, FromGit, Options, Telling, port};
use crate::wire;

/// Keep the store equal to the files, until it is stopped
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Look once, and end as `yubin apply` does; with 6 where something waits
    #[arg(long)]
    once: bool,
    /// Take the files from the commit of a branch or a tag, not from the folder
    #[arg(long, value_name = "REF")]
    git: Option<String>,
    /// Fetch from the remote of the ref before each look
    #[arg(long, requires = "git")]
    pull: bool,
    /// Take only commits with a good signature
    #[arg(long, requires = "git")]
    signed: bool,
    /// Plans that do this wait for `yubin watch approve`
    #[arg(long, value_enum, value_name = "WHAT")]
    approve: Vec<Approve>,
    /// Answer at this address of loopback how things stand; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    status: Option<String>,
    /// How often to look at files and store without being told of a change
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    poll: Duration,
    /// How long files must have been left alone before they are read
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    debounce: Duration,
    /// How long another watcher waits after this one is gone without a word
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    lease: Duration,
    /// Make warnings errors
    #[arg(long)]
    strict: bool,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Let the plan with this digest through, whatever it waits for but a pause
    Approve {
        /// As the watcher and `yubin plan` print it
        digest: String,
        /// The project is that of this commit, as the watcher's
        #[arg(long, value_name = "REF")]
        git: Option<String>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Approve {
    /// Delete, disable or purge
    Deletes,
}

/// Changes that are written out where nobody reads along.
const JOURNALED: usize = 50;

/// `500ms`, `10s`, `2m`, `1h`.
fn time(word: &str) -> std::result::Result<Duration, String> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a number and its unit, such as `500ms`, `10s` or `2m`".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "a number and its unit, such as `10s`".to_owned())?;
    let time = number.checked_mul(factor).filter(|time| (10..=86_400_000).contains(time));
    time.map(Duration::from_millis).ok_or_else(|| "a time from `10ms` to `24h`".to_owned())
}

/// As the stores take it.
fn lease(word: &str) -> std::result::Result<Duration, String> {
    let bounds = Duration::from_millis(500)..=Duration::from_secs(60 * 60);
    time(word)
        .and_then(|time| if bounds.contains(&time) { Ok(time) } else { Err("a time from `500ms` to `1h`".to_owned()) })
}

pub fn run(common: &Arc<Common>, args: &Args) -> Result<End> {
    let status = args.status.as_deref().map(port::addresses).transpose()?;
    let git = match &args.verb {
        Some(Verb::Approve { git, .. }) => git.clone(),
        None => args.git.clone(),
    };
    let git = git.map(|reference| FromGit { reference, pull: args.pull, signed: args.signed });
    let options = Options {
        root: common.project_folder(git.is_some())?,
        store: common.store.clone(),
        start: Common::dir()?,
        trusted: common.trusted_config.as_ref().map(|path| Common::dir().map(|dir| dir.join(path))).transpose()?,
        strict: args.strict,
        git,
        approve_deletes: args.approve.contains(&Approve::Deletes),
        once: args.once,
        status,
        poll: args.poll,
        debounce: args.debounce,
        lease: args.lease,
        actor: actor(),
        give_up: || std::process::exit(0),
    };
    if let Some(Verb::Approve { digest, .. }) = &args.verb {
        return approve(common, digest, &options);
    }
    let screen = Screen::new(Arc::clone(common), args.once);
    let code = watch::run(&options, Arc::new(move |telling: &Telling<'_>| screen.show(telling)))?;
    Ok(code.map_or(End::Done, End::Code))
}

/// What is told, line by line; below it on a terminal, how it stands.
struct Screen {
    common: Arc<Common>,
    stands: ProgressBar,
}

impl Screen {
    fn new(common: Arc<Common>, once: bool) -> Screen {
        let hidden = once || common.quiet || common.is_json();
        // It draws on terminals alone.
        let stands = if hidden {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        };
        let stands = match ProgressStyle::with_template("{msg}") {
            Ok(style) => stands.with_style(style),
            Err(_) => stands,
        };
        Screen { common, stands }
    }

    fn show(&self, telling: &Telling<'_>) {
        self.stands.suspend(|| show(&self.common, telling));
        if let Telling::Event(event) | Telling::Plan(event, ..) = telling {
            match event.what {
                What::Stopped { .. } => self.stands.finish_and_clear(),
                _ => {
                    if let Some(line) = render::stands(event, self.common.lang()) {
                        self.stands.set_message(line);
                        self.stands.tick();
                    }
                }
            }
        }
    }
}

/// Prints what is told. That it cannot be printed ends nothing: the store is more important than who reads along.
fn show(common: &Common, telling: &Telling<'_>) {
    let _ = match telling {
        Telling::Problems(problems) => {
            let mut diagnostics = Diagnostics::default();
            diagnostics.extend(problems.iter().cloned());
            common.say_diagnostics(&diagnostics);
            Ok(())
        }
        Telling::Event(event) | Telling::Plan(event, ..) if common.format == Format::Json => {
            print_data(|to| writeln!(to, "{}", wire::watch_event(event)))
        }
        Telling::Event(event) => line(common, event),
        Telling::Plan(event, session, planned) => line(common, event).and_then(|()| {
            let is_about_it = match &event.what {
                What::Refused { refused, .. } => refused.iter().any(|one| matches!(one, Refused::Plan(_))),
                What::Synced { .. } | What::Waiting { .. } | What::Drift { .. } => true,
                _ => false,
            };
            if !is_about_it {
                return Ok(());
            }
            let report = plan::report(common, session, planned);
            if common.quiet {
                return print(|to| text::refusals(report.refused, report.lang, to));
            }
            // A journal takes so many lines at a time, and the last are the ones that count.
            if common.verbose || io::stdout().is_terminal() || planned.plan.changes.len() <= JOURNALED {
                return print(|to| text::plan(&report, to));
            }
            print(|to| {
                writeln!(to, "{}", text::tally(&planned.plan, common.words()))?;
                text::refusals(report.refused, report.lang, to)?;
                writeln!(to, "{} {}", common.words().digest, planned.digest)
            })
        }),
    };
}

fn line(common: &Common, event: &Event) -> Result<()> {
    let is_routine =
        matches!(event.what, What::Started { .. } | What::Changed { .. } | What::Unchanged | What::Stopped { .. });
    if common.quiet && is_routine {
        return Ok(());
    }
    print(|to| render::event(event, common.lang(), to))?;
    let (What::Invalid { diagnostics } | What::Refused { diagnostics, .. } | What::Synced { diagnostics, .. }) =
        &event.what
    else {
        return Ok(());
    };
    let mut said = Diagnostics::default();
    said.extend(diagnostics.iter().cloned());
    common.say_diagnostics(&said);
    io::stderr().flush().map_err(|error| Error::failure("the output cannot be written").because(error))
}

fn approve(common: &Common, digest: &str, options: &Options) -> Result<End> {
    let digest = digest.to_ascii_lowercase();
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::new(Code::Usage, "this is no digest of a plan")
            .hint("it has 64 hexadecimal digits; the event of the watcher and `yubin plan` say it"));
    }
    let session = watch::open(options)?;
    let Some(turns) = session.turns() else {
        return Err(Error::new(Code::Usage, "nothing can be written to this store"));
    };
    let at = pipeline::written(Timestamp::now());
    let approval = Approval { digest, actor: actor(), at };
    turns.approve(&session.project.name, &approval)?;
    if common.is_json() {
        super::print_json(&json!({
            "format_version": wire::FORMAT_VERSION,
            "digest": approval.digest,
            "actor": approval.actor,
            "at": approval.at,
        }))?;
    } else {
        common.say(&format!("the plan {} of {} may be applied", approval.digest, session.project.name));
    }
    Ok(End::Done)
}

impl Common {
    /// The folder of the project as it was named: behind a link that is turned to another, another project stands.
    /// With git, its files need not stand in the folder.
    fn project_folder(&self, with_git: bool) -> Result<PathBuf> {
        match pipeline::find_root(&self.named) {
            Err(_) if with_git => Ok(self.named.clone()),
            found => found,
        }
    }
}
