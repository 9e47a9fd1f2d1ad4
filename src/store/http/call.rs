//! Calls to a server: what every request carries, how long it may take, and what is tried again.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::access::Access;
use super::failure;
use crate::model::{Clear, Error, Result};
use crate::net;
use crate::vault::{ClientKey, pick, read_small};
use crate::wire::remote::API;

/// How long the head of an answer may take, and then each piece of it.
pub const STALL: Duration = Duration::from_secs(60);
/// How long an apply may take when all of it is sent: as long as others may hold the store before it.
pub const APPLY: Duration = Duration::from_secs(30 * 60);
/// A peer that vanished without a word is noticed after about a minute.
const ALIVE: Duration = Duration::from_secs(20);

/// How often something is tried that did not come through.
pub const TRIES: u32 = 4;
/// Before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(250);
/// Whatever a server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest line and the longest text of an answer that are taken: a resource, an error.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;
const LONGEST_TEXT: u64 = 4 * 1024 * 1024 * 1024;

pub const JSON: &str = "application/json";
pub const LINES: &str = "application/x-ndjson";

/// A request without its body.
pub struct Call<'a> {
    pub method: Method,
    /// Of the path behind the address of the store, not encoded.
    pub path: &'a [&'a str],
    pub query: Vec<(&'static str, String)>,
    /// What is sent, and what is to come back.
    pub sent: &'static str,
    pub accept: &'static str,
    pub headers: Vec<(&'static str, String)>,
}

impl<'a> Call<'a> {
    pub fn get(path: &'a [&'a str]) -> Call<'a> {
        Call { method: Method::GET, path, query: Vec::new(), sent: JSON, accept: JSON, headers: Vec::new() }
    }

    pub fn post(path: &'a [&'a str]) -> Call<'a> {
        Call { method: Method::POST, ..Call::get(path) }
    }

    pub fn put(path: &'a [&'a str]) -> Call<'a> {
        Call { method: Method::PUT, ..Call::get(path) }
    }
}

/// An answer whose head has come.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Response,
}

impl Answer {
    pub fn of(body: Response) -> Answer {
        Answer { status: body.status(), headers: body.headers().clone(), body }
    }

    pub fn text(self) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.body.take(LONGEST_TEXT).read_to_end(&mut text)?;
        Ok(text)
    }
}

/// An answer in lines.
pub struct Lines {
    reader: BufReader<Response>,
    line: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` behind the last one. A line without an end was cut.
    pub fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.pop() != Some(b'\n') {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(&self.line))
    }
}

/// The line to one server, for one run.
pub struct Line {
    pub access: Access,
    /// The client's half of what secrets are sealed with on the way.
    pub key: ClientKey,
    ready: Mutex<Option<Ready>>,
}

/// What is made of the environment when it is needed first: `check` needs neither token nor network.
#[derive(Clone)]
struct Ready {
    token: Clear,
    client: Client,
    /// Without a limit on the time that sending takes; who uses it looks after that.
    patient: Client,
}

impl Line {
    pub fn new(access: Access) -> Result<Line> {
        Ok(Line { access, key: ClientKey::generate()?, ready: Mutex::default() })
    }

    fn ready(&self) -> Result<Ready> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*ready {
            return Ok(ready.clone());
        }
        let token = self.access.token.read()?;
        let (client, patient) = (self.client(Some(STALL), &token)?, self.client(None, &token)?);
        Ok(ready.insert(Ready { token, client, patient }).clone())
    }

    fn client(&self, limit: Option<Duration>, token: &Clear) -> Result<Client> {
        let mut headers = HeaderMap::new();
        let bearer = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::try_from(bearer.as_str())
            .map_err(|_| Error::failure("the token is not of the letters of a token"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("yubin/", env!("CARGO_PKG_VERSION"))));
        headers.insert("yubin-api", HeaderValue::from_static(API));
        let public = HeaderValue::try_from(self.key.public());
        headers.insert("yubin-client-key", public.unwrap_or_else(|_| HeaderValue::from_static("")));
        if let Some(project) = &self.access.project {
            // As UTF-8, whatever letters it has.
            let name = HeaderValue::from_bytes(project.as_bytes());
            headers.insert("yubin-project", name.map_err(|_| Error::failure("the project's name fits no header"))?);
        }
        let pem = match &self.access.authorities {
            Some(path) => Some(read_small(path).map_err(|error| net::no_authorities(path).because(error))?),
            None => None,
        };
        let authorities = self.access.authorities.as_deref().zip(pem.as_deref().map(Vec::as_slice));
        let builder = net::client(&self.access.url, authorities)?
            .default_headers(headers)
            .timeout(limit)
            .tcp_keepalive(ALIVE)
            .tcp_keepalive_interval(ALIVE)
            .tcp_keepalive_retries(2);
        builder.build().map_err(|error| {
            let message = "a connection cannot be prepared";
            Error::failure(message).because(failure::causes(&error)).hint(
                "where the system has no certificates of its own, set YUBIN_CA_FILE to those that are to be trusted",
            )
        })
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.access.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }

    fn request(&self, client: &Client, call: &Call<'_>) -> RequestBuilder {
        let mut request = client.request(call.method.clone(), self.url(call)).header(ACCEPT, call.accept);
        if matches!(call.method, Method::POST | Method::PUT) {
            request = request.header(CONTENT_TYPE, call.sent);
        }
        for (name, value) in &call.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value.as_str())) {
                request = request.header(name, value);
            }
        }
        request
    }

    /// A request whose body is of any length and whose answer may take long. No limit of time holds.
    pub fn long(&self, call: &Call<'_>, body: impl Read + Send + 'static) -> Result<RequestBuilder> {
        Ok(self.request(&self.ready()?.patient, call).body(Body::new(body)))
    }

    /// Sends a request that changes nothing, so that it can be sent again, and gives an answer that is no
    /// error.
    pub fn ask(&self, call: &Call<'_>, body: Option<&[u8]>) -> Result<Answer> {
        let ready = self.ready()?;
        for attempt in 1.. {
            let mut request = self.request(&ready.client, call);
            if let Some(body) = body {
                request = request.body(body.to_vec());
            }
            match request.send() {
                Ok(response) => {
                    let answer = Answer::of(response);
                    match again(answer.status, &answer.headers).filter(|_| attempt < TRIES) {
                        Some(asked) => pause(attempt, asked),
                        None => return self.checked(answer),
                    }
                }
                Err(error) if attempt < TRIES && failure::is_passing(&error) => pause(attempt, None),
                Err(error) => return Err(failure::unreachable(&self.access, &error)),
            }
        }
        Err(failure::cut(&self.access))
    }

    /// The answer, if it is one of a yubin server of our version, and no error.
    pub fn checked(&self, answer: Answer) -> Result<Answer> {
        failure::judge(&self.access, answer, |text| self.harmless(text))
    }

    /// What a server says, without the token, should it repeat that.
    pub fn harmless(&self, text: &str) -> String {
        match self.ready() {
            Ok(ready) => text.replace(ready.token.expose(), "(token)"),
            Err(_) => String::new(),
        }
    }

    /// Asks for a document. One that is cut is asked for again.
    pub fn document<T: DeserializeOwned>(&self, call: &Call<'_>, body: Option<&[u8]>) -> Result<T> {
        for attempt in 1.. {
            match self.ask(call, body)?.text() {
                Ok(text) => return serde_json::from_slice(&text).map_err(|_| failure::odd(&self.access)),
                Err(_) if attempt < TRIES => pause(attempt, None),
                Err(_) => break,
            }
        }
        Err(failure::cut(&self.access))
    }

    /// Asks for lines.
    pub fn lines(&self, call: &Call<'_>, body: Option<&[u8]>) -> Result<Lines> {
        let answer = self.ask(call, body)?;
        Ok(Lines { reader: BufReader::with_capacity(256 * 1024, answer.body), line: Vec::new() })
    }
}

/// Whether an answer says that the same request may do later, and when, if it says so.
#[expect(clippy::option_option, reason = "whether, and when")]
pub fn again(status: StatusCode, headers: &HeaderMap) -> Option<Option<Duration>> {
    let passing = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    passing.contains(&status).then(|| asked.map(Duration::from_secs))
}

/// Waits before the next try: twice as long each time, and never as long as others do, unless the server says
/// how long.
pub fn pause(attempt: u32, asked: Option<Duration>) {
    let length = asked.unwrap_or(PAUSE * 2_u32.saturating_pow(attempt.saturating_sub(1).min(8)));
    let length = length.min(LONGEST_PAUSE);
    let jitter = pick(500).unwrap_or_default() as u32;
    sleep(length / 1000 * (750 + jitter));
}
