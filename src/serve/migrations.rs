//! What was done for migrations.

use hyper::StatusCode;
use serde_json::json;

use super::call::{Answer, Call, Outcome};
use super::problem::Problem;
use super::shapes::NewAct as Body;
use super::turns::project;
use crate::model::migration::{Deed, NewAct};
use crate::wire;

pub fn acts(call: &mut Call) -> Outcome {
    let acts = call.server.desk().acts(project(call))?;
    let acts: Vec<_> = acts.iter().map(wire::act).collect();
    let json = json!({ "format_version": wire::FORMAT_VERSION, "acts": acts });
    Ok(Answer::json(StatusCode::OK, &json))
}

pub fn append(call: &mut Call) -> Outcome {
    call.bound(project(call))?;
    let Body { step, deed, actor, note, evidence } = call.read()?;
    let unfit = |detail: &str| Problem::unfit("request/unfit", detail);
    let deed = Deed::parse(&deed).ok_or_else(|| {
        let known = Deed::ALL.map(Deed::name).join(", ");
        unfit(&format!("`deed` is one of {known}"))
    })?;
    let migration = call.given.text("migration").unwrap_or_default().to_owned();
    let number = call.given.number("number").unwrap_or_default();
    let new = NewAct { migration, number, step, deed, actor, note, evidence };
    if let Some(flaw) = new.flaw() {
        return Err(unfit(flaw));
    }
    let act = call.server.desk().act(project(call), &new)?;
    let mut json = wire::act(&act);
    json["format_version"] = wire::FORMAT_VERSION.into();
    Ok(Answer::json(StatusCode::OK, &json))
}
