//! What can go wrong between a client and a server, each in its own sentence. No error holds the token, or the
//! address with more than what may be shown.

use std::error::Error as StdError;
use std::io;

use reqwest::StatusCode;
use rustls::CertificateError;
use serde::Deserialize;

use super::access::Access;
use super::call::Answer;
use crate::model::{Code, Error, Result};
use crate::wire::remote::API;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of what a server says.
const LONGEST: usize = 2_000;
/// Reasons that are named.
const NAMED: usize = 20;

/// An error as RFC 9457 has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    hint: Option<String>,
    refused: Vec<Reason>,
    diagnostics: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    rule: Option<String>,
    #[serde(default)]
    message: String,
}

/// Codes that programs tell one failure from another by.
const CODES: [&str; 6] = ["store/moved", "store/busy", "store/gone", "token/unknown", "token/scope", "token/owner"];
/// What was asked for does not exist.
pub const NOT_FOUND: &str = "resource/not-found";

/// What cannot be known without the whole chain, as one text without the address.
pub fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        cause = inner.source();
    }
    if texts.is_empty() { "it gives no reason".to_owned() } else { texts.join(": ") }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut here = Some(error);
    while let Some(one) = here {
        if let Some(found) = one.downcast_ref::<T>() {
            return Some(found);
        }
        // Its source is that of what it holds.
        if let Some(inner) = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find(inner)
        {
            return Some(found);
        }
        here = one.source();
    }
    None
}

/// Whether the same may do in a moment. What takes its whole time is not waited for once more.
pub fn is_passing(error: &reqwest::Error) -> bool {
    !error.is_timeout() && !error.is_builder() && find::<rustls::Error>(error).is_none()
}

/// Whether nothing of the request has left this machine.
pub fn is_unsent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// Why a server cannot be reached.
pub fn unreachable(access: &Access, error: &reqwest::Error) -> Error {
    let name = access.shown();
    let host = access.url.host_str().unwrap_or_default();
    let fails = |message: String, hint: &str| Error::failure(message).hint(hint);
    if error.is_dns() {
        return fails(
            format!("the name `{host}` of the store cannot be resolved"),
            "check the name, and that this machine reaches its name server",
        );
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return tls_failure(host, tls);
    }
    let refused = find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if refused {
        return fails(
            format!("{name} refuses the connection"),
            "check host and port, and that `yubin serve` runs there",
        );
    }
    if error.is_timeout() && error.is_connect() {
        return fails(format!("{name} does not answer"), "check host and port, and whether a firewall stands between");
    }
    if error.is_timeout() {
        return fails(format!("{name} took too long to answer"), "try again; the log of the server may say why");
    }
    Error::failure(format!("the connection to {name} failed")).because(causes(error)).hint("try again")
}

fn tls_failure(host: &str, error: &rustls::Error) -> Error {
    let fails = |message: String, hint: &str| Error::failure(message).hint(hint);
    match error {
        rustls::Error::InvalidCertificate(flaw) => match flaw {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => fails(
                format!("the certificate of the server is not for the name `{host}`"),
                "name the server as its certificate does; another one may stand in its place",
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => fails(
                format!("the certificate of `{host}` has expired"),
                "the server needs a new one; if it has one, check the clock of this machine",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                fails(format!("the certificate of `{host}` is not valid yet"), "check the clock of this machine")
            }
            CertificateError::UnknownIssuer => fails(
                format!("nobody whom this machine trusts has signed the certificate of `{host}`"),
                "if the server has an authority of its own, set YUBIN_CA_FILE to the certificate of that, in PEM",
            ),
            CertificateError::Revoked => {
                fails(format!("the certificate of `{host}` is revoked"), "the server needs a new one")
            }
            _ => Error::failure(format!("the certificate of `{host}` cannot be trusted")).because(error.to_string()),
        },
        rustls::Error::InvalidMessage(_) => fails(
            format!("`{host}` does not speak TLS on this port"),
            "check the port; `http://` is for the same machine alone",
        ),
        _ => Error::failure(format!("no secure connection to `{host}` comes about")).because(error.to_string()),
    }
}

/// An answer that broke off, and did so again.
pub fn cut(access: &Access) -> Error {
    Error::failure(format!("the answers of {} break off", access.shown()))
        .hint("try again; a proxy in between may limit how long or how large an answer is")
}

/// An answer that is none of those that were asked for.
pub fn odd(access: &Access) -> Error {
    Error::failure(format!("{} says what this yubin ({VERSION}) does not understand", access.shown()))
        .hint("use the yubin of the server's version, or look whether a proxy changes its answers")
}

/// The state that is read is there no more.
pub fn gone() -> Error {
    Error::new(Code::Conflict, "the store has moved while it was read")
        .about("store/gone")
        .hint("run the same command again")
}

/// Gives the answer back if it is one of a yubin server that speaks as we do, and no error. `harmless` takes
/// away what a server must not repeat.
pub fn judge(access: &Access, answer: Answer, harmless: impl Fn(&str) -> String) -> Result<Answer> {
    let name = access.shown();
    let status = answer.status;
    let header =
        |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (api, version) = (header("yubin-api"), header("yubin-version"));
    if api.is_empty() {
        return Err(stranger(name, status));
    }
    if api != API {
        let (api, version) = (harmless(&api), harmless(&version));
        let message = format!(
            "{name} is yubin {version} and speaks version {api} of the interface; this yubin ({VERSION}) speaks version {API}"
        );
        let newer = api.parse::<u64>().ok() > API.parse().ok();
        let hint = if newer { "use a newer yubin here" } else { "the server needs a newer yubin" };
        return Err(Error::failure(message).hint(hint));
    }
    if status.is_success() {
        return Ok(answer);
    }
    let text = answer.text().unwrap_or_default();
    let problem: Problem = serde_json::from_slice(&text).unwrap_or_default();
    Err(told(access, status, &problem, harmless))
}

fn stranger(name: &str, status: StatusCode) -> Error {
    if status.is_redirection() {
        return Error::failure(format!("{name} sends elsewhere ({}), and is not followed", status.as_u16()))
            .hint("name the address of the store itself: a token goes to no other");
    }
    if matches!(status.as_u16(), 429 | 502..=504) {
        let message = format!("{name} is not ready: what stands before it answers {}", status.as_u16());
        return Error::failure(message).hint("try again in a while");
    }
    Error::failure(format!("{name} is no yubin server (it answers {})", status.as_u16()))
        .hint("check host, port and path; a proxy before the server must leave its headers as they are")
}

/// What the server says, in the words and with the exit code of a store that is here.
fn told(access: &Access, status: StatusCode, problem: &Problem, harmless: impl Fn(&str) -> String) -> Error {
    let name = access.shown();
    let said = |text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.trim().is_empty())?;
        Some(harmless(text).chars().take(LONGEST).collect::<String>())
    };
    let detail = said(&problem.detail);
    let with = |code: Code, message: String, hint: Option<&str>| {
        let error = Error::new(code, message);
        match said(&problem.hint).or(hint.map(str::to_owned)) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    };
    let or = |message: &str| detail.clone().unwrap_or_else(|| message.to_owned());
    let of_token = |message: &str| match &detail {
        Some(detail) => format!("{message}: {detail}"),
        None => message.to_owned(),
    };
    let code = problem.code.as_deref().and_then(|code| CODES.into_iter().find(|known| *known == code));
    let error = match status.as_u16() {
        401 => with(
            Code::Failure,
            format!("{name} does not know this token"),
            Some("it may have expired or been revoked; `yubin token create`, where the store is, makes another"),
        ),
        403 => with(
            Code::Failure,
            of_token("the token does not allow this"),
            Some("`yubin token create` makes one with the `--scope` and `--owner` that it takes"),
        ),
        410 => gone(),
        412 => with(Code::Conflict, or("the store has moved since the plan was made"), Some("plan again"))
            .about("store/moved"),
        409 | 503 => with(
            Code::Conflict,
            or("another apply holds the store"),
            Some("try again when it is done; nothing has been changed"),
        )
        .about("store/busy"),
        413 => with(
            Code::Failure,
            or("the changes are more than the server takes at once"),
            Some("apply them in parts with `--target`, or ask who runs the server to raise its limit"),
        ),
        422 => {
            let reasons = problem.refused.iter().chain(&problem.diagnostics);
            let reasons: Vec<String> = reasons
                .map(|reason| match &reason.rule {
                    Some(rule) => format!("{rule}: {}", reason.message),
                    None => reason.message.clone(),
                })
                .map(|text| harmless(&text).chars().take(LONGEST).collect())
                .collect();
            let more = reasons.len().saturating_sub(NAMED);
            let mut message = or("the server refuses the plan");
            // A server that names its reasons in the sentence itself has said them.
            let named = reasons.iter().take(NAMED).filter(|reason| !message.contains(reason.as_str()));
            let named: Vec<&str> = named.map(String::as_str).collect();
            if !named.is_empty() {
                message = format!("{message}: {}", named.join("; "));
            }
            if more > 0 {
                message = format!("{message}; and {more} more");
            }
            let wrong = problem.refused.is_empty() && !problem.diagnostics.is_empty();
            with(if wrong { Code::Invalid } else { Code::Refused }, message, None)
        }
        429 => with(Code::Failure, or("the server is asked too often"), Some("try again in a while")),
        404 => with(Code::Failure, or(&format!("{name} does not have what was asked for")), None).about(NOT_FOUND),
        _ => {
            let message = detail.clone().or_else(|| said(&problem.title)).unwrap_or("it gives no reason".to_owned());
            with(
                Code::Failure,
                format!("{name} answers {}: {message}", status.as_u16()),
                Some("the log of the server says more"),
            )
        }
    };
    match code {
        Some(code) if error.about.is_none() => error.about(code),
        _ => error,
    }
}
