//! `yubin undo`

use super::annotate::Annotations;
use super::{Common, End, apply};
use crate::model::Result;

/// Take back one revision, as an ordinary plan
#[derive(clap::Args)]
pub struct Args {
    /// Number of the revision, as `yubin log` shows it
    #[arg(value_name = "REVISION")]
    revision: u64,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Let the plan with this digest through, although it breaks a limit
    #[arg(long, value_name = "DIGEST")]
    ack: Option<String>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let planned = session.undo(args.revision)?;
    apply::carry_out(common, &session, planned, args.yes, args.ack.as_deref(), &Annotations::default())
}
