//! The command line: one file a verb. Only here (and in a server) the program prints and exits.

mod adopt;
mod annotate;
mod apply;
mod check;
mod client_setup;
mod drift;
mod effects;
mod explain;
mod export;
mod files;
mod generate;
mod hand_over;
mod import;
mod init;
mod log;
mod mark;
mod plan;
mod probe;
mod refresh;
mod saved;
mod secret;
mod serve;
mod show;
mod snapshot;
mod store;
mod token;
mod undo;
mod watch;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anstream::AutoStream;
use clap::builder::PossibleValue;
use clap::{Parser, Subcommand, ValueEnum};

use crate::model::{Code, Diagnostics, Error, Result, Severity};
use crate::pipeline::{self, Above, Session};
use crate::render::words::Words;
use crate::render::{Lang, text};
use crate::wire;

/// Mail settings as code: declare accounts, servers and patterns in files, see what would change,
/// and apply it in one transaction.
#[derive(Parser)]
#[command(name = "yubin", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Args)]
pub struct Common {
    /// Run as if started in this folder
    #[arg(short = 'C', value_name = "DIR", default_value = ".", global = true, hide_default_value = true)]
    dir: PathBuf,
    /// The same, with the links by which it was named.
    #[arg(skip)]
    named: PathBuf,
    /// Where current state lives, instead of the project's `store:`
    #[arg(long, value_name = "URL", env = "YUBIN_STORE", hide_env_values = true, global = true)]
    store: Option<String>,
    /// Take `secrets:`, `policy:`, `hooks:`, `sync:` and `probe:` from this file, and nothing that leads out of the
    /// project from another
    #[arg(long, value_name = "FILE", global = true)]
    trusted_config: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
    /// Colours in text; `NO_COLOR` is respected
    #[arg(long, value_enum, default_value_t = Colour::Auto, global = true)]
    color: Colour,
    /// Language of text and Markdown; without it, that of `LC_ALL`, `LC_MESSAGES` or `LANG`
    #[arg(long, value_enum, value_name = "LANG", global = true)]
    lang: Option<Lang>,
    /// Say less: errors and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: every change, and how long each step took
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Markdown,
    Html,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

impl ValueEnum for Lang {
    fn value_variants<'a>() -> &'a [Lang] {
        &[Lang::Ja, Lang::En]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Lang::En => "en",
            Lang::Ja => "ja",
        }))
    }
}

#[derive(Subcommand)]
enum Verb {
    Init(init::Args),
    Check(check::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Probe(probe::Args),
    Show(show::Args),
    Drift(drift::Args),
    Log(log::Args),
    Undo(undo::Args),
    Effects(effects::Args),
    Watch(watch::Args),
    Adopt(adopt::AdoptArgs),
    Forget(adopt::ForgetArgs),
    Refresh(refresh::Args),
    Mark(mark::Args),
    Secret(secret::Args),
    Store(store::Args),
    Serve(serve::Args),
    Token(token::Args),
    Snapshot(snapshot::Args),
    Import(import::Args),
    Export(export::Args),
    Explain(explain::Args),
    Schema(generate::SchemaArgs),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

/// How a run ends when nothing failed.
pub enum End {
    Done,
    /// `plan --exit-code`: there are changes.
    Changes,
    /// The reason has been said already.
    Code(Code),
}

pub fn main() -> ExitCode {
    keep_to_ourselves();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors. Nothing is to be done if they cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(Code::Usage as u8) } else { ExitCode::SUCCESS };
        }
    };
    let Cli { mut common, verb } = cli;
    common.named = as_named(&common.dir);
    // A watcher tells what happens from more than one thread.
    let common = Arc::new(common);
    match common.color {
        Colour::Auto => {}
        Colour::Always => anstream::ColorChoice::Always.write_global(),
        Colour::Never => anstream::ColorChoice::Never.write_global(),
    }
    // Once, at the start: every path of the command line is then relative to it.
    if !common.dir.is_dir() || std::env::set_current_dir(&common.dir).is_err() {
        let error = Error::new(Code::Usage, format!("{} is no folder", common.dir.display()));
        say_error(&error);
        return ExitCode::from(error.code as u8);
    }
    let fits = match common.format {
        Format::Text | Format::Json => true,
        Format::Markdown => matches!(verb, Verb::Plan(_) | Verb::Probe(_)),
        Format::Html => matches!(verb, Verb::Plan(_)),
    };
    if !fits {
        let message = "only `yubin plan` writes Markdown and HTML, and `yubin probe` Markdown";
        let error = Error::new(Code::Usage, message).hint("`--format text` or `json`");
        say_error(&error);
        return ExitCode::from(error.code as u8);
    }
    let result = match verb {
        Verb::Init(args) => init::run(&common, &args),
        Verb::Check(args) => check::run(&common, &args),
        Verb::Plan(args) => plan::run(&common, &args),
        Verb::Apply(args) => apply::run(&common, &args),
        Verb::Probe(args) => probe::run(&common, &args),
        Verb::Show(args) => show::run(&common, &args),
        Verb::Drift(args) => drift::run(&common, &args),
        Verb::Log(args) => log::run(&common, &args),
        Verb::Undo(args) => undo::run(&common, &args),
        Verb::Effects(args) => effects::run(&common, &args),
        Verb::Watch(args) => watch::run(&common, &args),
        Verb::Adopt(args) => adopt::adopt(&common, &args),
        Verb::Forget(args) => adopt::forget(&common, &args),
        Verb::Refresh(args) => refresh::run(&common, &args),
        Verb::Mark(args) => mark::run(&common, &args),
        Verb::Secret(args) => secret::run(&common, &args),
        Verb::Store(args) => store::run(&common, &args),
        Verb::Serve(args) => serve::run(&common, &args),
        Verb::Token(args) => token::run(&common, &args),
        Verb::Snapshot(args) => snapshot::run(&common, &args),
        Verb::Import(args) => import::run(&common, &args),
        Verb::Export(args) => export::run(&common, &args),
        Verb::Explain(args) => explain::run(&common, &args),
        Verb::Schema(args) => generate::schema(&common, &args),
        Verb::Completions(args) => generate::completions(&args),
        Verb::Man(args) => generate::man(&args),
    };
    match result {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Changes) => ExitCode::from(2),
        Ok(End::Code(code)) => ExitCode::from(code as u8),
        Err(error) => {
            say_error(&error);
            ExitCode::from(error.code as u8)
        }
    }
}

/// A folder as somebody has named it who stands where the shell says: links are not resolved.
fn as_named(dir: &Path) -> PathBuf {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let here = std::env::current_dir().unwrap_or_default();
    let said = std::env::var_os("PWD").map(PathBuf::from);
    let from = said.filter(|path| path.is_absolute() && real(path) == real(&here)).unwrap_or(here);
    // Without the dots, which would stand in every message.
    from.join(dir).components().collect()
}

/// What is in memory, passwords among it, is neither for a core file nor for a debugger.
fn keep_to_ourselves() {
    #[cfg(target_os = "linux")]
    // Where the system does not know this, nothing is worse than before.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(unix)]
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    );
}

fn say_error(error: &Error) {
    let mut to = anstream::stderr().lock();
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // Nobody can be told that stderr is gone.
    let _ = writeln!(to, "{style}error{style:#}: {}", text::harmless(&error.to_string()));
    if let Some(hint) = &error.hint {
        let style = anstyle::AnsiColor::Cyan.on_default().bold();
        let _ = writeln!(to, "  {style}help:{style:#} {}", text::harmless(hint));
    }
}

/// Prints text to stdout; colours only where they are wanted.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    flush(write, AutoStream::auto(io::stdout()).lock())
}

/// Prints data to stdout, byte for byte.
pub fn print_data(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    flush(write, io::stdout().lock())
}

fn flush(write: impl FnOnce(&mut dyn Write) -> io::Result<()>, to: impl Write) -> Result<()> {
    let mut to = BufWriter::with_capacity(64 * 1024, to);
    match write(&mut to).and_then(|()| to.flush()) {
        // A reader that has seen enough changes nothing of what is done and how it ends.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| Error::failure("the output cannot be written").because(error)),
    }
}

pub fn print_json(json: &serde_json::Value) -> Result<()> {
    print_data(|to| {
        serde_json::to_writer_pretty(&mut *to, json)?;
        writeln!(to)
    })
}

impl Common {
    pub fn session(&self, strict: bool) -> Result<Session> {
        self.session_against(strict, None)
    }

    /// With a snapshot in the place of the store, and the public key that must have signed it.
    pub fn session_against(&self, strict: bool, against: Option<(&Path, Option<&str>)>) -> Result<Session> {
        let dir = Common::dir()?;
        let above =
            Above { store: self.store.as_deref(), trusted: self.trusted_config.as_deref(), against, tree: None };
        pipeline::open(&dir, above, strict)
    }

    /// The store that is named, and the folder that its path is relative to. No project is needed where it is
    /// named from outside.
    fn store_name(&self) -> Result<(String, PathBuf)> {
        let dir = Common::dir()?;
        match &self.store {
            Some(name) => Ok((name.clone(), dir)),
            None => pipeline::store_of_project(&dir),
        }
    }

    /// Where the run was started, or is as if.
    fn dir() -> Result<PathBuf> {
        std::env::current_dir().map_err(|error| Error::failure("the current folder cannot be found").because(error))
    }

    /// The language of the output: what is asked for, or else that of the locale.
    pub fn lang(&self) -> Lang {
        let locale = || {
            let values = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(std::env::var_os);
            values.map(|value| value.to_string_lossy().into_owned()).find(|value| !value.is_empty())
        };
        self.lang.unwrap_or_else(|| locale().map_or(Lang::En, |locale| Lang::of_locale(&locale)))
    }

    pub fn words(&self) -> &'static Words {
        self.lang().words()
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A message beside the data.
    pub fn say(&self, message: &str) {
        if !self.quiet {
            // Nobody can be told that stderr is gone.
            let _ = writeln!(anstream::stderr(), "{message}");
        }
    }

    /// With `-v`: how long a step took.
    pub fn time(&self, step: &str, since: std::time::Instant) {
        if self.verbose {
            self.say(&format!("{step}: {:.3} s", since.elapsed().as_secs_f64()));
        }
    }

    /// Diagnostics as messages, in text. Of the same mistake all over a file the first are enough.
    pub fn say_diagnostics(&self, diagnostics: &Diagnostics) {
        const SAME: usize = 100;
        let mut to = BufWriter::new(anstream::stderr().lock());
        let mut counts: BTreeMap<(Option<&str>, &str), usize> = BTreeMap::new();
        for diagnostic in diagnostics.iter().filter(|one| !self.quiet || one.severity == Severity::Error) {
            let count = counts.entry((diagnostic.file.as_deref(), diagnostic.code)).or_default();
            *count += 1;
            if *count <= SAME || self.verbose {
                // Nobody can be told that stderr is gone.
                let _ = text::diagnostic(diagnostic, self.lang(), &mut to);
            }
        }
        for ((file, code), count) in counts.into_iter().filter(|(_, count)| *count > SAME && !self.verbose) {
            let words = self.words();
            let file = text::harmless(file.unwrap_or(words.the_project));
            let _ = writeln!(to, "{}", (words.more_of)(count - SAME, code, &file));
        }
        let _ = to.flush();
    }

    /// What is printed where the input is invalid.
    pub fn invalid(&self, diagnostics: &Diagnostics) -> Result<End> {
        if self.is_json() {
            print_json(&wire::diagnostics(diagnostics.iter()))?;
        } else {
            self.say_diagnostics(diagnostics);
            let (errors, warnings) = (diagnostics.count(Severity::Error), diagnostics.count(Severity::Warning));
            self.say(&(self.words().invalid_untouched)(&text::count(errors, warnings, self.lang())));
        }
        Ok(End::Code(Code::Invalid))
    }
}

/// Who applies, for the log.
pub fn actor() -> String {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    given("YUBIN_ACTOR").unwrap_or_else(|| {
        let user = given("USER")
            .or_else(|| given("LOGNAME"))
            .or_else(|| given("USERNAME"))
            .unwrap_or_else(|| "unknown".to_owned());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|host| host.trim().to_owned());
        match host.or_else(|| given("HOSTNAME")).or_else(|| given("COMPUTERNAME")) {
            Some(host) => format!("{user}@{host}"),
            None => user,
        }
    })
}

/// Asks on the terminal; anything but yes is no.
pub fn confirm(question: &str) -> bool {
    // Nobody can be told that stderr is gone.
    let _ = write!(anstream::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "はい")
}

pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
