//! Sessions, events and tokens.

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::problem::Problem;
use super::shapes::{self, NewSession, NewToken};
use crate::model::{Login, Scope};
use crate::pipeline::{AskedToken, make_token, written};
use crate::wire;

pub const PAGE: u64 = 1000;

pub fn limit(call: &Call) -> usize {
    usize::try_from(call.given.number("limit").unwrap_or(PAGE)).unwrap_or(usize::MAX)
}

pub fn list_sessions(call: &mut Call) -> Outcome {
    let (user, limit) = (call.given.text("user"), limit(call));
    let sessions = call.server.desk().sessions(user, call.given.text("after"), limit)?;
    let next = sessions.last().filter(|_| sessions.len() == limit).map(|last| {
        let user = user.map_or(String::new(), |user| format!("&user={}", encoded(user)));
        format!("/v1/sessions?after={}&limit={limit}{user}", encoded(&last.id))
    });
    let sessions: Vec<Json> = sessions.iter().map(wire::login).collect();
    Ok(Answer::json(StatusCode::OK, &json!({ "sessions": sessions, "next": next })))
}

pub fn open_session(call: &mut Call) -> Outcome {
    let NewSession { id, user } = call.read()?;
    for text in [&id, &user] {
        if text.is_empty() || text.chars().count() > 256 || text.chars().any(char::is_control) {
            return Err(Problem::unfit(
                "session/invalid",
                "id and user have 1 to 256 characters, no control characters",
            ));
        }
    }
    let desk = call.server.desk();
    let known = desk.sessions(Some(&user), None, usize::MAX >> 1)?.into_iter().find(|login| login.id == id);
    let status = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let login = known.unwrap_or_else(|| Login { id, user, at: written(Timestamp::now()) });
    if !desk.open_session(&login)? {
        return Err(Problem::new(StatusCode::CONFLICT, "session/taken", "the session is one of another user"));
    }
    Ok(Answer::json(status, &wire::login(&login)))
}

pub fn close_session(call: &mut Call) -> Outcome {
    let id = call.given.text("id").unwrap_or_default();
    if call.server.desk().close_session(id)? {
        return Ok(Answer::empty());
    }
    Err(Problem::missing("there is no such session"))
}

pub fn acknowledge(call: &mut Call) -> Outcome {
    if call.server.desk().acknowledge(call.given.number("id").unwrap_or_default())? {
        return Ok(Answer::empty());
    }
    Err(Problem::missing("there is no such event"))
}

pub fn list_tokens(call: &mut Call) -> Outcome {
    let tokens: Vec<Json> = call.server.desk().tokens()?.iter().map(wire::token).collect();
    Ok(Answer::json(StatusCode::OK, &json!({ "tokens": tokens })))
}

pub fn create_token(call: &mut Call) -> Outcome {
    let NewToken { name, scope, owners, expires } = call.read()?;
    let scope = match scope {
        shapes::Scope::Read => Scope::Read,
        shapes::Scope::Apply => Scope::Apply,
        shapes::Scope::Admin => Scope::Admin,
    };
    let (token, text) =
        make_token(AskedToken { name: &name, scope, owners, expires: expires.as_deref() }, Timestamp::now())?;
    call.server.desk().add_token(&token)?;
    let mut json = wire::token(&token);
    json["token"] = text.expose().into();
    Ok(Answer::json(StatusCode::CREATED, &json))
}

pub fn revoke_token(call: &mut Call) -> Outcome {
    let id = call.given.text("id").unwrap_or_default();
    let revoked = call.server.desk().revoke_token(id, &written(Timestamp::now()))?;
    call.server.logins.forget();
    if revoked {
        return Ok(Answer::empty());
    }
    Err(Problem::missing("there is no such token, or it is revoked already"))
}

/// Percent-encoded, as a part of a path or a value of a query.
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
