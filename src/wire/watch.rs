//! What a watcher tells, a document a line.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::{FORMAT_VERSION, diagnostic, drifted, summary};
use crate::model::watch::{Caused, Event, Refused, What};

/// Effects that are told to those who only look on.
const EFFECTS: usize = 100;

/// RFC 3339, UTC, with milliseconds.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

pub fn watch_event(event: &Event) -> Json {
    let Event { at, project, cause, config, digest, revision, summary: counts, took, what } = event;
    let mut json = json!({
        "format_version": FORMAT_VERSION,
        "event": what.name(),
        "at": moment(*at),
        "project": known(project),
        "cause": cause.name(),
        "config_digest": config,
        "digest": digest,
        "revision": revision,
        "summary": counts.map(|counts| summary(|action| counts.counts[action as usize], counts.unchanged)),
        "duration_ms": took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    });
    if let Json::Object(json) = &mut json {
        special(what, json);
    }
    json
}

/// The same for those who only look on: of a large apply there are many effects.
pub fn watch_state(event: &Event) -> Json {
    let mut json = watch_event(event);
    if let Some(effects) = json.get_mut("effects").and_then(Json::as_array_mut) {
        effects.truncate(EFFECTS);
    }
    json
}

/// What could not be found out is null.
fn known(name: &str) -> Json {
    if name.is_empty() { Json::Null } else { name.into() }
}

fn special(what: &What, json: &mut Map<String, Json>) {
    let mut put = |name: &str, value: Json| json.insert(name.to_owned(), value);
    match what {
        What::Started { store, status, leads } => {
            put("yubin", env!("CARGO_PKG_VERSION").into());
            put("store", known(store));
            put("pid", std::process::id().into());
            put("status", status.map(|address| address.to_string()).into());
            put("role", if *leads { "leader" } else { "standby" }.into());
        }
        What::Changed { files, count, commit } => {
            put("files", files.clone().into());
            put("files_count", (*count).into());
            if let Some(commit) = commit {
                put("commit", commit.as_str().into());
            }
        }
        What::Synced { effects, commit, diagnostics } => {
            let effect = |one: &Caused| {
                let address = one.address.to_string();
                match &one.user {
                    Some(user) => json!({ "effect": one.effect, "user": user, "address": address }),
                    None => json!({ "effect": one.effect, "address": address }),
                }
            };
            put("effects", effects.iter().map(effect).collect());
            put("commit", commit.clone().into());
            put("diagnostics", diagnostics.iter().map(diagnostic).collect());
        }
        What::Unchanged => {}
        What::Invalid { diagnostics } => {
            put("diagnostics", diagnostics.iter().map(diagnostic).collect());
        }
        What::Refused { refused, diagnostics } => {
            put("refused", refused.iter().map(rule).collect());
            put("diagnostics", diagnostics.iter().map(diagnostic).collect());
        }
        What::Waiting { reason, message, until } => {
            put("reason", reason.name().into());
            put("message", message.as_str().into());
            put("until", until.map(moment).into());
        }
        What::Drift { drift } => {
            put("drift", drift.iter().map(drifted).collect());
        }
        What::Failed { message, hint, retry } => {
            put("message", message.as_str().into());
            put("hint", hint.clone().into());
            put("retry_ms", retry.map(|retry| u64::try_from(retry.as_millis()).unwrap_or(u64::MAX)).into());
        }
        What::Stopped { by_signal } => {
            put("reason", if *by_signal { "signal" } else { "once" }.into());
        }
    }
}

fn rule(refused: &Refused) -> Json {
    match refused {
        Refused::Plan(refusal) => json!({ "rule": refusal.rule, "message": refusal.why.to_string() }),
        Refused::Tree { rule, message } => json!({ "rule": rule, "message": message }),
    }
}
