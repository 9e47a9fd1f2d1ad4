//! What probes have found.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use crate::model::probe::{Outcome, Probed, Step};
use crate::model::{Address, Place};

/// Where resources are declared: file and place.
pub type Places = HashMap<Address, (String, Place)>;

pub fn probed(probed: &Probed, places: &Places) -> Json {
    let mut json = json!({
        "address": probed.address.to_string(),
        "protocol": probed.protocol.name(),
        "host": probed.host,
        "port": probed.port,
        "security": probed.security.name(),
        "user": probed.user,
        "outcome": probed.outcome().name(),
        "steps": probed.steps.iter().map(step).collect::<Vec<_>>(),
    });
    if let Some((file, place)) = places.get(&probed.address) {
        json["source"] = json!({ "file": file, "line": place.line, "column": place.column });
    }
    json
}

fn step(step: &Step) -> Json {
    let Step { name, outcome, code, message, said, hint, took } = step;
    json!({
        "step": name.name(),
        "outcome": outcome.name(),
        "code": code,
        "message": message,
        "said": said,
        "hint": hint,
        "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    })
}

/// How many came out how, and the worst of it.
pub fn outcomes(all: &[Probed]) -> (Outcome, Json) {
    let count = |outcome: Outcome| all.iter().filter(|one| one.outcome() == outcome).count();
    let summary: serde_json::Map<String, Json> =
        Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), count(outcome).into())).collect();
    (all.iter().map(Probed::outcome).max().unwrap_or(Outcome::Ok), Json::Object(summary))
}
