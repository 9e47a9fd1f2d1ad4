//! `yubin store`

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Common, End, confirm, is_interactive, print_json};
use crate::model::{Code, Error, Result};
use crate::pipeline;
use crate::render::text;
use crate::wire;

/// Look after the store itself
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Put every secret, those of the log too, under a new key, in one transaction
    Rekey {
        /// Take the key of this file instead of a new one
        #[arg(long, value_name = "KEYFILE")]
        to: Option<PathBuf>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Copy a store with its whole log into another database, which must be empty
    #[command(
        after_help = "Both are addresses of stores, `sqlite:PATH` or `postgres://…`. Who is logged in is not copied.
The key is not copied either: the same key opens the copy."
    )]
    Copy {
        /// The store that is read
        from: String,
        /// The store that is made
        to: String,
    },
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    match &args.verb {
        Verb::Rekey { to, yes } => rekey(common, to.as_deref(), *yes),
        Verb::Copy { from, to } => copy(common, from, to),
    }
}

fn copy(common: &Common, from: &str, to: &str) -> Result<End> {
    let bar = if common.quiet { ProgressBar::hidden() } else { ProgressBar::no_length() };
    bar.set_style(
        ProgressStyle::with_template("{spinner} {human_pos} rows").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let done = pipeline::copy(from, to, &Common::dir()?, &|rows| bar.set_position(rows));
    bar.finish_and_clear();
    let done = done?;
    if common.is_json() {
        print_json(&serde_json::json!({
            "format_version": wire::FORMAT_VERSION,
            "from": done.from,
            "to": done.to,
            "revision": done.revision,
            "rows": done.rows,
            "digest": done.digest,
        }))?;
        return Ok(End::Done);
    }
    let rows = text::number(usize::try_from(done.rows).unwrap_or(usize::MAX), "row");
    common.say(&format!(
        "{} is now in {}: {rows} at revision {}, read back and compared (digest {})",
        done.from, done.to, done.revision, done.digest
    ));
    if let Some(key) = &done.key {
        common.say(key);
    }
    Ok(End::Done)
}

fn rekey(common: &Common, to: Option<&Path>, yes: bool) -> Result<End> {
    let session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    if !yes {
        if common.is_json() || !is_interactive() {
            return Err(
                Error::new(Code::Refused, "there is no terminal to ask on").hint("`--yes` does it without asking")
            );
        }
        if !confirm(
            "Put the store under a new key? The old one stays beside it, for backups, and opens the store no more.",
        ) {
            common.say("nothing has been changed");
            return Ok(End::Code(Code::Refused));
        }
    }
    let done = session.rekey(to)?;
    if common.is_json() {
        let json =
            serde_json::json!({ "format_version": wire::FORMAT_VERSION, "key": done.id, "secrets": done.secrets });
        print_json(&json)?;
    } else {
        let secrets = text::number(usize::try_from(done.secrets).unwrap_or(usize::MAX), "secret");
        common.say(&format!("{secrets} under the new key {}", done.id));
        if let Some(old) = &done.old {
            common.say(&format!(
                "backups of the store need the old key: it stays in {}; keep it as long as them and apart from them, or destroy it",
                old.display()
            ));
        }
    }
    Ok(End::Done)
}
