//! What watchers agree on.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use super::call::{Answer, Call, Outcome};
use super::problem::Problem;
use super::shapes::{NewApproval, NewLead};
use crate::model::{Approval, Lead};
use crate::wire;

/// As `shapes` describes names of holders and people.
fn named(name: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.chars().count() > 256 || text.chars().any(char::is_control) {
        let detail = format!("`{name}` has 1 to 256 characters, no control characters");
        return Err(Problem::unfit("request/unfit", detail));
    }
    Ok(())
}

pub(super) fn project(call: &Call) -> &str {
    call.given.text("project").unwrap_or_default()
}

pub fn lead(call: &mut Call) -> Outcome {
    call.bound(project(call))?;
    let NewLead { holder, seconds } = call.read()?;
    named("holder", &holder)?;
    let lease = Duration::try_from_secs_f64(seconds)
        .map_err(|_| Problem::unfit("request/unfit", "`seconds` is a number from 0.5 to 3600"))?;
    let (held, holder) = match call.server.desk().lead(project(call), &holder, lease)? {
        Lead::Ours => (true, holder),
        Lead::Other { holder } => (false, holder),
    };
    let json = json!({ "format_version": wire::FORMAT_VERSION, "held": held, "holder": holder });
    Ok(Answer::json(StatusCode::OK, &json))
}

pub fn resign(call: &mut Call) -> Outcome {
    call.bound(project(call))?;
    call.server.desk().resign(project(call), call.given.text("holder").unwrap_or_default())?;
    Ok(Answer::empty())
}

pub fn approve(call: &mut Call) -> Outcome {
    call.bound(project(call))?;
    let NewApproval { actor } = call.read()?;
    named("actor", &actor)?;
    let digest = call.given.text("digest").unwrap_or_default().to_owned();
    let (desk, project) = (call.server.desk(), project(call));
    desk.approve(project, &Approval { digest: digest.clone(), actor, at: String::new() })?;
    let approved = desk.approvals(project)?.into_iter().find(|approval| approval.digest == digest);
    let approved = approved.ok_or_else(|| Problem::busy("too much is approved at the same time"))?;
    let mut json = wire::approval(&approved);
    json["format_version"] = wire::FORMAT_VERSION.into();
    Ok(Answer::json(StatusCode::OK, &json))
}

pub fn approvals(call: &mut Call) -> Outcome {
    let approvals = call.server.desk().approvals(project(call))?;
    let approvals: Vec<_> = approvals.iter().map(wire::approval).collect();
    let json = json!({ "format_version": wire::FORMAT_VERSION, "approvals": approvals });
    Ok(Answer::json(StatusCode::OK, &json))
}
