//! What a caller is told when a call fails: RFC 9457.

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::call::PROBLEM;
use super::outgoing::Outgoing;
use crate::model::{Code, Error, harmless};

#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// The command line's code for the same thing.
    pub code: &'static str,
    pub detail: String,
    pub hint: Option<String>,
    /// Further members: `refused`, `diagnostics`.
    pub more: Option<Box<Map<String, Json>>>,
    /// Seconds after which to try again.
    pub retry_after: Option<u64>,
    /// Methods that the path takes.
    pub allow: Option<Box<str>>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), hint: None, more: None, retry_after: None, allow: None }
    }

    pub fn bad(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "request/invalid", detail)
    }

    pub fn unfit(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub fn missing(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "request/not-found", detail)
    }

    pub fn busy(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server/busy", detail).retry_after(1)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: Json) -> Problem {
        self.more.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    pub fn document(&self) -> Vec<u8> {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut json = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": harmless(&self.detail),
            "code": self.code,
        });
        if let Some(hint) = &self.hint {
            json["hint"] = harmless(hint).into();
        }
        for (name, value) in self.more.iter().flat_map(|more| more.iter()) {
            json[name] = value.clone();
        }
        let mut bytes = json.to_string().into_bytes();
        bytes.push(b'\n');
        bytes
    }

    pub fn response(&self) -> Response<Outgoing> {
        let mut response = Response::new(Outgoing::whole(self.document()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow.as_ref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for Problem {
    /// What failed on this side is said in the server's log: it may name files and addresses.
    fn from(error: Error) -> Problem {
        let (status, code) = match (error.code, error.about) {
            (_, Some(about @ ("store/busy" | "store/unreachable"))) => (StatusCode::SERVICE_UNAVAILABLE, about),
            (Code::Conflict, Some(about @ "request/reused")) => (StatusCode::UNPROCESSABLE_ENTITY, about),
            (Code::Conflict, about) => (StatusCode::PRECONDITION_FAILED, about.unwrap_or("store/moved")),
            (Code::Refused | Code::Waiting, about) => {
                (StatusCode::UNPROCESSABLE_ENTITY, about.unwrap_or("plan/refused"))
            }
            (Code::Invalid | Code::Usage, about) => {
                (StatusCode::UNPROCESSABLE_ENTITY, about.unwrap_or("request/unfit"))
            }
            (Code::Failure, about) => (StatusCode::INTERNAL_SERVER_ERROR, about.unwrap_or("server/failed")),
        };
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        if status.is_server_error() {
            super::say(&format!("error: {error}"));
        }
        let detail = match (error.code, unavailable) {
            _ if code == "store/full" => "the disk of the store is full; nothing has been changed".to_owned(),
            // Its words name files of this machine.
            (Code::Conflict, _) if error.about.is_none() => "the store is not what the plan was made from".to_owned(),
            (Code::Failure, true) => "the store cannot be reached now".to_owned(),
            (Code::Failure, false) => "the server failed; its log says how".to_owned(),
            _ => error.message.clone(),
        };
        let mut problem = Problem::new(status, code, detail);
        if error.code != Code::Failure {
            problem.hint = error.hint;
        }
        problem.retry_after = unavailable.then_some(1);
        problem
    }
}
