//! A call as a handler sees it, on a thread that may wait.

use std::io::{self, BufRead};
use std::sync::Arc;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Server;
use super::incoming::{Coding, Received};
use super::outgoing::{Outgoing, Sink, compress};
use super::param::Given;
use super::problem::Problem;
use crate::model::Token;

pub const JSON: &str = "application/json";
pub const NDJSON: &str = "application/x-ndjson";
pub const EVENTS: &str = "text/event-stream";
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
pub const PROBLEM: &str = "application/problem+json";

/// What the audit and the metrics hear of an answer.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub code: Option<String>,
    pub revision: Option<u64>,
}

pub struct Call {
    pub server: Arc<Server>,
    pub given: Given,
    /// `None` where no token is asked for.
    pub token: Option<Arc<Token>>,
    /// The form of the answer that was agreed on.
    pub form: &'static str,
    /// The form of the body.
    pub body_form: &'static str,
    pub body: Option<Received>,
    pub coding: Coding,
    pub head: Option<oneshot::Sender<Result<Response<Outgoing>, Problem>>>,
    pub runtime: Handle,
}

/// An answer, whole or begun.
pub enum Answer {
    Whole {
        status: StatusCode,
        form: &'static str,
        headers: Vec<(HeaderName, String)>,
        body: Vec<u8>,
        told: Told,
    },
    /// It is on its way through `Call::stream`.
    Streamed,
}

pub type Outcome = Result<Answer, Problem>;

impl Answer {
    pub fn json(status: StatusCode, json: &Json) -> Answer {
        let mut body = json.to_string().into_bytes();
        body.push(b'\n');
        Answer::of(status, JSON, body)
    }

    pub fn of(status: StatusCode, form: &'static str, body: Vec<u8>) -> Answer {
        Answer::Whole { status, form, headers: Vec::new(), body, told: Told::default() }
    }

    pub fn empty() -> Answer {
        Answer::of(StatusCode::NO_CONTENT, JSON, Vec::new())
    }

    #[must_use]
    pub fn tagged(self, tag: &str) -> Answer {
        self.header(header::ETAG, format!("\"{tag}\""))
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: String) -> Answer {
        if let Answer::Whole { headers, .. } = &mut self {
            headers.push((name, value));
        }
        self
    }

    #[must_use]
    pub fn told(mut self, what: Told) -> Answer {
        if let Answer::Whole { told, .. } = &mut self {
            *told = what;
        }
        self
    }

    /// As it is sent, compressed if that was asked for.
    pub fn response(self, coding: Coding) -> Option<Response<Outgoing>> {
        let Answer::Whole { status, form, headers, body, told } = self else { return None };
        let (body, coding) = compress(body, coding);
        let mut response = head(status, form, &headers, coding);
        if body.is_empty() {
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        *response.body_mut() = Outgoing::whole(body);
        response.extensions_mut().insert(told);
        Some(response)
    }
}

fn head(
    status: StatusCode,
    form: &'static str,
    headers: &[(HeaderName, String)],
    coding: Coding,
) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(Vec::new()));
    *response.status_mut() = status;
    let to = response.headers_mut();
    to.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    match coding {
        Coding::Identity => {}
        Coding::Gzip => drop(to.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
        Coding::Zstd => drop(to.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"))),
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            to.insert(name, value);
        }
    }
    response
}

impl Call {
    /// Begins an answer that is written as it comes.
    pub fn stream(&mut self, headers: &[(HeaderName, String)]) -> io::Result<Sink> {
        let (sender, body) = Outgoing::channel();
        let sink = Sink::new(sender, self.coding, self.server.limits.stall, &self.runtime)?;
        let mut response = head(StatusCode::OK, self.form, headers, self.coding);
        *response.body_mut() = body;
        let sent = match self.head.take() {
            Some(to) => to.send(Ok(response)).is_ok(),
            None => false,
        };
        if sent { Ok(sink) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    pub fn token(&self) -> Result<&Token, Problem> {
        self.token.as_deref().ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "token/missing", "no token"))
    }

    /// That the token is bound to the project.
    pub fn bound(&self, project: &str) -> Result<(), Problem> {
        if self.token()?.owns(project) {
            return Ok(());
        }
        let detail = format!("the token is not bound to the project `{project}`");
        Err(Problem::new(StatusCode::FORBIDDEN, "token/owner", detail))
    }

    /// The body, decompressed.
    pub fn reader(&mut self) -> Result<Box<dyn BufRead + Send>, Problem> {
        let body = self.body.take().ok_or_else(|| Problem::bad("there is no body"))?;
        body.open().map_err(|_| Problem::bad("the body cannot be read"))
    }

    /// A short body of JSON.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let body = self.body.take().ok_or_else(|| Problem::bad("there is no body"))?;
        let bytes = body.bytes().map_err(|_| Problem::bad("the body cannot be read"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Problem::bad("the body is not UTF-8"))?;
        serde_json::from_str(text).map_err(|error| {
            // What it says of a value may repeat it.
            let place = format!("line {}, column {}", error.line(), error.column());
            match error.classify() {
                serde_json::error::Category::Data => {
                    Problem::unfit("request/unfit", format!("the body is not what this call takes, at {place}"))
                }
                _ => Problem::bad(format!("the body is no JSON, at {place}")),
            }
        })
    }
}
