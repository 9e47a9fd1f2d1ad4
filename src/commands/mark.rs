//! `yubin mark`

use clap::ValueEnum;

use super::annotate::Annotations;
use super::{Common, End, apply, show};
use crate::model::Result;

/// Note that the provider has changed a password by force, or that all is well again
#[derive(clap::Args)]
pub struct Args {
    /// An account, such as `account/info`
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// As the product's screen shows it
    #[arg(value_name = "STATUS")]
    status: Status,
    /// Let the plan with this digest through, although it breaks a limit
    #[arg(long, value_name = "DIGEST")]
    ack: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Status {
    #[value(name = "password_forced")]
    PasswordForced,
    Normal,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let status = match args.status {
        Status::PasswordForced => "password_forced",
        Status::Normal => "normal",
    };
    let address = show::parse_one(&args.address)?;
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let planned = session.mark(&address, status)?;
    apply::carry_out(common, &session, planned, true, args.ack.as_deref(), &Annotations::default())
}
