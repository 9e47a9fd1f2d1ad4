//! What a server keeps beside the state, as JSON.

use serde_json::{Value as Json, json};

use crate::model::migration::Act;
use crate::model::{Approval, Event, Login, Token};

/// Without its hash: nothing of a token can be learned from it.
pub fn token(token: &Token) -> Json {
    let Token { id, name, hash: _, scope, owners, created, expires, revoked } = token;
    json!({
        "id": id,
        "name": name,
        "scope": scope.name(),
        "owners": owners,
        "created": created,
        "expires": expires,
        "revoked": revoked,
    })
}

pub fn login(login: &Login) -> Json {
    let Login { id, user, at } = login;
    json!({ "id": id, "user": user, "at": at })
}

pub fn event(event: &Event) -> Json {
    let Event { id, effect, user, address, revision, mail } = event;
    let mut json =
        json!({ "id": id, "effect": effect, "user": user, "address": address.to_string(), "revision": revision });
    if let Some(mail) = mail {
        json["mail"] = Json::from(mail.as_str());
    }
    json
}

pub fn approval(approval: &Approval) -> Json {
    let Approval { digest, actor, at } = approval;
    json!({ "digest": digest, "actor": actor, "at": at })
}

/// An act of a migration.
pub fn act(act: &Act) -> Json {
    let Act { act, at } = act;
    json!({
        "migration": act.migration,
        "number": act.number,
        "step": act.step,
        "deed": act.deed.name(),
        "actor": act.actor,
        "at": at,
        "note": act.note,
        "evidence": act.evidence,
    })
}
