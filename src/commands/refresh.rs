//! `yubin refresh`

use std::path::PathBuf;

use clap::ValueEnum;

use super::annotate::Annotations;
use super::{Common, End, apply, import};
use crate::model::Result;
use crate::pipeline::Export;

/// Take over what a product's own export says, and show how it drifted from what is recorded
#[derive(clap::Args)]
pub struct Args {
    #[arg(id = "file_format", value_name = "FORMAT")]
    format: Format,
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Encoding of the files
    #[arg(long, value_name = "LABEL", default_value = "utf-8")]
    encoding: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Let the plan with this digest through, although it breaks a limit
    #[arg(long, value_name = "DIGEST")]
    ack: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    CpiExport,
    CybozuOfficeAccounts,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let encoding = import::encoding(&args.encoding)?;
    let export = match args.format {
        Format::CpiExport => Export::Cpi,
        Format::CybozuOfficeAccounts => Export::CybozuOfficeAccounts,
    };
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let files = import::read_files(&args.files)?;
    let Some(planned) = session.refresh(export, &files, encoding)? else {
        return common.invalid(&session.diagnostics);
    };
    apply::carry_out(common, &session, planned, args.yes, args.ack.as_deref(), &Annotations::default())
}
