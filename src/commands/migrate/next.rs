//! `yubin migrate next`: one step, or several. Where a migration is, is found anew before each, so it does not matter
//! where a run before this one has stopped.

use super::steps::{self, Did};
use super::{report, show};
use crate::commands::{Common, End};
use crate::model::migration::{Progress, Wait};
use crate::model::{Code, Error, Result};
use crate::render::migration::{self as words};

/// Do the next step
#[derive(clap::Args)]
pub struct Args {
    /// Of this migration, if there are several
    pub name: Option<String>,
    /// Go on until this step is done
    #[arg(long, value_name = "STEP", value_parser = clap::value_parser!(u8).range(1..=7))]
    pub until: Option<u8>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Let the plan with this digest through, although it breaks a limit
    #[arg(long, value_name = "DIGEST")]
    pub ack: Option<String>,
    /// Probe the servers that a plan touches, where the policy asks for it
    #[arg(long)]
    pub probe: bool,
}

/// More than the parts of all steps.
const PARTS: usize = 64;

pub fn run(common: &Common, args: &Args) -> Result<End> {
    if args.probe {
        crate::commands::probe::refuse_untrusted(common)?;
    }
    let (mut begun, mut did) = (None, false);
    for _ in 0..PARTS {
        let mut session = common.session(false)?;
        if session.diagnostics.has_errors() {
            return common.invalid(&session.diagnostics);
        }
        let migration = session.migration(args.name.as_deref())?.clone();
        let Some(look) = session.look(&migration)? else { return common.invalid(&session.diagnostics) };
        let end = |end: End| show(common, &[report(&session, &look)]).map(|()| end);
        let Some(step) = look.standing.now else { return end(End::Done) };
        let first = *begun.get_or_insert(step);
        if args.until.map_or(step != first, |until| step > until) {
            return end(End::Done);
        }
        match &look.standing.steps[usize::from(step) - 1] {
            Progress::Waiting(wait) => {
                let done = did && args.until.is_none() && !matches!(wait, Wait::Declare);
                return end(if done { End::Done } else { End::Code(Code::Waiting) });
            }
            _ => match steps::due(common, session, &look, step, args)? {
                Did::Part(said) => {
                    did = true;
                    if !common.is_json() && !said.is_empty() {
                        common.say(&words::did(step, &said, common.lang()));
                    }
                }
                Did::Acknowledged => return super::shown(common, &migration),
                Did::Stopped(end) => return Ok(end),
            },
        }
    }
    Err(Error::new(Code::Conflict, "the migration does not come forward: somebody else changes what it looks at")
        .hint("look at `yubin migrate status`, and start again"))
}
