//! `yubin drift`

use serde_json::{Value as Json, json};

use super::{Common, End, print, print_json};
use crate::model::Result;
use crate::pipeline::{Asked, Secrets};
use crate::render::text;
use crate::wire;

/// Show what other software has changed in the store since yubin wrote it last; ends with 2 if anything
#[derive(clap::Args)]
pub struct Args {}

pub fn run(common: &Common, _: &Args) -> Result<End> {
    let mut session = common.session(false)?;
    // Whether a secret is still the one that yubin wrote can be told without it.
    let asked = Asked { secrets: Secrets::Skip, ..Asked::default() };
    let Some(planned) = session.plan(&asked)? else { return common.invalid(&session.diagnostics) };
    let plan = &planned.plan;
    if common.is_json() {
        let drift: Vec<Json> = plan.drift.iter().map(wire::drift).collect();
        let revision = plan.base.revision;
        print_json(&json!({ "format_version": wire::FORMAT_VERSION, "revision": revision, "drift": drift }))?;
    } else {
        print(|to| text::drift_in_full(&plan.drift, common.lang(), to))?;
        if plan.drift.is_empty() {
            common.say("no drift: the store is as yubin left it");
        }
    }
    Ok(if plan.drift.is_empty() { End::Done } else { End::Changes })
}
