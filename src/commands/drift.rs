//! `yubin drift`

use std::fs;
use std::io::{self, Write};

use serde_json::{Value as Json, json};
use similar::TextDiff;

use super::files::{Anew, real, replace_all};
use super::{Common, End, confirm, is_interactive, print, print_json, show};
use crate::load::{self, Changed, Left};
use crate::model::{Address, Code, Diagnostics, Drift, Error, Result};
use crate::pipeline::{Asked, Secrets, Session};
use crate::render::text;
use crate::wire;

/// Show what other software has changed in the store since yubin wrote it last; ends with 2 if anything
#[derive(clap::Args)]
pub struct Args {
    /// Edit the files, so that they declare what the store holds: of these resources, or of all
    #[arg(long, num_args = 0.., value_name = "ADDRESS")]
    adopt: Option<Vec<String>>,
    /// Do not ask
    #[arg(short, long, requires = "adopt")]
    yes: bool,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let named = args.adopt.as_deref().map(show::parse).transpose()?;
    let mut session = common.session(false)?;
    let drift = match session.snapshot()? {
        Some(snapshot) => snapshot.drift()?,
        None => Vec::new(),
    };
    if drift.is_empty() && named.is_none() && !session.diagnostics.has_errors() {
        // Nothing that files say could make it more.
        return shown(common, &[], session.snapshot()?.map_or(0, |snapshot| snapshot.base().revision));
    }
    // Whether a secret is still the one that yubin wrote can be told without it.
    let asked = Asked { secrets: Secrets::Skip, ..Asked::default() };
    let Some(planned) = session.plan(&asked)? else { return common.invalid(&session.diagnostics) };
    let plan = &planned.plan;
    if let Some(named) = named {
        return adopt(common, &session, &plan.drift, &named, args.yes);
    }
    shown(common, &plan.drift, plan.base.revision)
}

fn shown(common: &Common, drift: &[Drift], revision: u64) -> Result<End> {
    if common.is_json() {
        let drift: Vec<Json> = drift.iter().map(wire::drift).collect();
        print_json(&json!({ "format_version": wire::FORMAT_VERSION, "revision": revision, "drift": drift }))?;
    } else {
        print(|to| text::drift_in_full(drift, common.lang(), to))?;
        if drift.is_empty() {
            common.say(common.words().no_drift);
        }
    }
    Ok(if drift.is_empty() { End::Done } else { End::Changes })
}

/// Brings the files up to what the store holds.
fn adopt(common: &Common, session: &Session, drift: &[Drift], named: &[Address], yes: bool) -> Result<End> {
    let wanted: Vec<Drift> =
        drift.iter().filter(|one| named.is_empty() || named.contains(&one.address)).cloned().collect();
    let (changed, left) = load::adopt(&session.project, &wanted, &mut Diagnostics::default());
    if common.is_json() {
        print_json(&document(&changed, &left))?;
    } else {
        print(|to| changed.iter().try_for_each(|file| differences(file, to)))?;
    }
    // What is left is still drift.
    let end = if left.is_empty() { End::Done } else { End::Changes };
    for Left { address, reason } in &left {
        common.say(&format!("left: {address}: {}", text::harmless(reason)));
    }
    if changed.is_empty() {
        common.say("no file is to be changed");
        return Ok(end);
    }
    if !yes {
        if common.is_json() || !is_interactive() {
            return Err(
                Error::new(Code::Refused, "there is no terminal to ask on").hint("`--yes` edits without asking")
            );
        }
        if !confirm("Edit these files?") {
            common.say("nothing has been changed");
            return Ok(End::Code(Code::Refused));
        }
    }
    let mut anew = Anew::new();
    for Changed { name, path, before, after, .. } in changed {
        // An editor may have saved it meanwhile.
        if fs::read(&path).ok().as_ref() != Some(&before) {
            let message = format!("{name} has changed since it was read; no file has been changed");
            return Err(Error::new(Code::Conflict, message).hint("run the same command again"));
        }
        anew.insert(real(&path), after);
    }
    replace_all(&anew)?;
    common.say(&format!("{} edited; `yubin plan` shows what is left", text::number(anew.len(), "file")));
    Ok(end)
}

fn document(changed: &[Changed], left: &[Left]) -> Json {
    let files: Vec<Json> = changed
        .iter()
        .map(|file| {
            let adopted: Vec<Json> = file
                .adopted
                .iter()
                .map(|(address, what)| json!({ "address": address.to_string(), "what": what }))
                .collect();
            json!({ "file": file.name, "adopted": adopted })
        })
        .collect();
    let left: Vec<Json> =
        left.iter().map(|one| json!({ "address": one.address.to_string(), "reason": one.reason })).collect();
    json!({ "format_version": wire::FORMAT_VERSION, "files": files, "left": left })
}

/// What changes in a file, line by line; where passwords stand in it, only what is adopted.
fn differences(file: &Changed, to: &mut dyn Write) -> io::Result<()> {
    let name = text::harmless(&file.name);
    let Some((before, after)) = &file.texts else {
        writeln!(to, "{name} (passwords stand in it, so its lines are not shown)")?;
        return file.adopted.iter().try_for_each(|(address, what)| {
            writeln!(to, "  {}  {}", text::harmless(&address.to_string()), text::harmless(what))
        });
    };
    writeln!(to, "--- {name}\n+++ {name}")?;
    let diff = TextDiff::from_lines(before, after);
    for hunk in diff.unified_diff().context_radius(1).missing_newline_hint(false).iter_hunks() {
        let hunk = hunk.to_string();
        hunk.lines().try_for_each(|line| writeln!(to, "{}", text::harmless(line)))?;
    }
    writeln!(to)
}
