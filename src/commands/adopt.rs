//! `yubin adopt` and `yubin forget`

use super::annotate::Annotations;
use super::{Common, End, apply, show};
use crate::model::{Result, Undeclared};
use crate::pipeline::Ownership;

/// Take over resources that exist in the store and that no project owns
#[derive(clap::Args)]
pub struct AdoptArgs {
    /// What is taken over; all that nobody owns, if nothing is named
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// Take over what belongs to this project
    #[arg(long, value_name = "OWNER")]
    from: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Let resources of the project go: they stay in the store, and nobody owns them
#[derive(clap::Args)]
pub struct ForgetArgs {
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub fn adopt(common: &Common, args: &AdoptArgs) -> Result<End> {
    run(common, &args.addresses, &Ownership::Adopt { from: args.from.as_deref() }, args.yes)
}

pub fn forget(common: &Common, args: &ForgetArgs) -> Result<End> {
    run(common, &args.addresses, &Ownership::Forget, args.yes)
}

fn run(common: &Common, addresses: &[String], what: &Ownership<'_>, yes: bool) -> Result<End> {
    let named = show::parse(addresses)?;
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let planned = session.ownership(&named, what)?;
    let taken = planned.plan.changes.iter().any(|change| change.adopted);
    if taken && session.project.policy.undeclared == Undeclared::Delete {
        common.say("what no file declares is deleted by the next plan (`undeclared: delete`): declare it before");
    }
    apply::carry_out(common, &session, planned, yes, None, &Annotations::default())
}
