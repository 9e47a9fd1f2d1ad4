//! `yubin probe`

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;

use super::{Common, End, Format, print, print_data, print_json};
use crate::checkout::Checkout;
use crate::model::probe::{ONESELF, Outcome, is_recipient};
use crate::model::{Code, Error, Result};
use crate::pipeline::{AskedProbe, Targets, To, find_root, written};
use crate::render::{self, probe::Told};
use crate::wire;

/// Log in to the declared servers for real
#[derive(clap::Args)]
pub struct Args {
    /// Only these resources, such as `account/info`; everything that is declared without any
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// With what the store holds, instead of the files
    #[arg(long)]
    stored: bool,
    /// Send one marked message from each resource, and fetch it back: `self`, or a mail address
    #[arg(long, value_name = "TO", value_parser = recipient)]
    send: Option<String>,
    /// Make warnings failures
    #[arg(long)]
    strict: bool,
}

fn recipient(word: &str) -> std::result::Result<String, String> {
    if is_recipient(word) { Ok(word.to_owned()) } else { Err("`self` or a mail address".to_owned()) }
}

/// Whoever proposes a change names hosts, and says which are allowed: in a CI, another file must.
pub fn refuse_untrusted(common: &Common) -> Result<()> {
    let ci = std::env::var("CI").unwrap_or_default();
    if matches!(ci.as_str(), "" | "0" | "false") {
        return Ok(());
    }
    if let Some(trusted) = &common.trusted_config {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let whole = find_root(&Common::dir()?).ok().and_then(|root| real(&root)).map(|root| checkout(&root));
        let inside = real(trusted).zip(whole).is_some_and(|(file, whole)| file.starts_with(whole));
        if !inside {
            return Ok(());
        }
        let message = "the file of `--trusted-config` stands in the same checkout, where a proposal can change it";
        return Err(Error::new(Code::Usage, message).hint("name one of another checkout; docs/security.md shows how"));
    }
    let message = "a probe sends passwords to hosts that the files name, and under CI these may be a stranger's";
    Err(Error::new(Code::Usage, message)
        .hint("name the file that says which hosts are allowed: `--trusted-config FILE`; see docs/probe.md"))
}

/// The folder of all that a proposal can change: the checkout that a project stands in.
fn checkout(root: &Path) -> PathBuf {
    let below = Checkout::of(root).map_or(0, |checkout| Path::new(checkout.prefix()).components().count());
    root.ancestors().nth(below).unwrap_or(root).to_path_buf()
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    refuse_untrusted(common)?;
    let addresses = super::show::parse(&args.addresses)?;
    let started = std::time::Instant::now();
    let mut session = common.session(args.strict)?;
    let send = args.send.as_deref().map(|to| if to == ONESELF { To::Oneself } else { To::Address(to) });
    let asked = AskedProbe { addresses: &addresses, stored: args.stored, send, for_plan: false };
    let Some(targets) = session.targets(&asked)? else { return common.invalid(&session.diagnostics) };
    if !common.is_json() {
        common.say_diagnostics(&session.diagnostics);
    }
    let at = Timestamp::now();
    let bar = bar(common, &targets);
    let probed = session.probe(&targets, &|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    let probed = probed?;
    common.time("probed", started);
    let Targets { places, .. } = &targets;
    match common.format {
        Format::Json => {
            let (outcome, summary) = wire::outcomes(&probed);
            print_json(&json!({
                "format_version": wire::FORMAT_VERSION,
                "at": written(at),
                "outcome": outcome.name(),
                "summary": summary,
                "probes": probed.iter().map(|one| wire::probed(one, places)).collect::<Vec<_>>(),
                "diagnostics": session.diagnostics.iter().map(wire::diagnostic).collect::<Vec<_>>(),
            }))?;
        }
        Format::Markdown => {
            let page = render::probe::markdown(&probed, places, common.lang());
            print_data(|to| to.write_all(page.as_bytes()))?;
        }
        _ => print(|to| render::probe::text(&probed, places, told(common), common.lang(), to))?,
    }
    if probed.is_empty() {
        common.say(common.words().no_servers);
    }
    let worst = if args.strict { Outcome::Warning } else { Outcome::Failed };
    let failed = probed.iter().any(|one| one.outcome() >= worst);
    Ok(if failed { End::Code(Code::Failure) } else { End::Done })
}

pub fn told(common: &Common) -> Told {
    match (common.quiet, common.verbose) {
        (true, _) => Told::Problems,
        (_, true) => Told::InFull,
        _ => Told::Short,
    }
}

pub fn bar(common: &Common, targets: &Targets) -> ProgressBar {
    let target = if common.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed}");
    let bar = ProgressBar::with_draw_target(Some(targets.all.len() as u64), target);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
