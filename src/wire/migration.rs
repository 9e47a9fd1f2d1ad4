//! Where a migration is, as JSON.

use serde_json::{Value as Json, json};

use crate::model::migration::{Progress, Report, STEPS};

pub fn migration(report: &Report) -> Json {
    let Report { name, from, to, product: _, accounts, standing, pairs: _ } = report;
    let steps: Vec<Json> = (1_u8..).zip(&standing.steps).map(|(step, progress)| one(step, progress)).collect();
    json!({
        "name": name,
        "from": format!("server/{from}"),
        "to": format!("server/{to}"),
        "state": standing.state.name(),
        "step": standing.now,
        "accounts": accounts,
        "steps": steps,
    })
}

fn one(step: u8, progress: &Progress) -> Json {
    let mut json = json!({ "step": step, "name": STEPS[usize::from(step) - 1] });
    match progress {
        Progress::Done(act) => {
            json["state"] = "done".into();
            json["actor"] = act.act.actor.clone().into();
            json["at"] = act.at.clone().into();
            json["note"] = act.act.note.clone().into();
            json["evidence"] = json!(act.act.evidence);
        }
        Progress::Due => json["state"] = "due".into(),
        Progress::Waiting(wait) => {
            json["state"] = "waiting".into();
            json["message"] = wait.to_string().into();
        }
        Progress::Later => json["state"] = "later".into(),
    }
    json
}
