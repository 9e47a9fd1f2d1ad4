//! `yubin store`

use std::path::PathBuf;

use super::{Common, End, confirm, is_interactive, print_json};
use crate::model::{Code, Error, Result};
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
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let Verb::Rekey { to, yes } = &args.verb;
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
    let done = session.rekey(to.as_deref())?;
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
