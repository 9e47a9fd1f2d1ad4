//! What hooks are told, and what is pending.

use serde_json::{Value as Json, json};

use super::{FORMAT_VERSION, revision};
use crate::model::{Attempt, Event, Revision, Trigger};

/// An effect, for the hook that carries it out.
pub fn told_event(event: &Event, project: &str, at: &str) -> Json {
    let Event { id, effect, user, address, revision, mail } = event;
    let mut json = json!({
        "format_version": FORMAT_VERSION,
        "id": id.to_string(),
        "effect": effect,
        "user": user,
        "address": address.to_string(),
        "revision": revision,
        "project": project,
        "at": at,
    });
    if let Some(mail) = mail {
        json["mail"] = Json::from(mail.as_str());
    }
    json
}

/// A revision, for a hook that tells of it: some of the users whom it has logged out, and how many there are.
pub fn told_revision(id: &str, of: &Revision, users: &[String], count: u64) -> Json {
    let mut json = json!({ "format_version": FORMAT_VERSION, "id": id, "effect": Trigger::Notify.name() });
    if let (Some(to), Json::Object(parts)) = (json.as_object_mut(), revision(of)) {
        to.extend(parts);
    }
    json["logged_out"] = json!({ "count": count, "users": users });
    json
}

/// What one hook has made of an event.
pub fn attempt(attempt: &Attempt) -> Json {
    let Attempt { event: _, hook, tries, done, error, at } = attempt;
    json!({ "hook": hook, "tries": tries, "done": done, "error": error, "at": at })
}
