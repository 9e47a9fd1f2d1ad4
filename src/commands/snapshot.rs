//! `yubin snapshot`

use std::path::PathBuf;

use super::{Common, End, plan, print_data};
use crate::model::{Code, Error, Result};

/// Write the state of the store to a signed file, for `yubin plan --against FILE`
#[derive(clap::Args)]
pub struct Args {
    /// Leave out every secret, and what other projects own but for its names
    #[arg(long)]
    redacted: bool,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    if !args.redacted {
        let message = "a snapshot is for those who may not see the store, and is written without its secrets";
        return Err(Error::new(Code::Usage, message).hint("say so: `yubin snapshot --redacted`"));
    }
    let session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let taken = session.redacted()?;
    match &args.out {
        Some(path) => plan::replace(path, |to| to.write_all(&taken.bytes))?,
        None => print_data(|to| to.write_all(&taken.bytes))?,
    }
    common.say(&format!("signed by {}", taken.signer));
    Ok(End::Done)
}
