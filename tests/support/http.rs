//! Calls over HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::HeaderMap;
use serde_json::Value as Json;

/// Without the proxies of the machine, and with an end.
pub fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // Another test may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap()
    })
}

/// Somebody who calls a server.
#[derive(Clone)]
pub struct Caller {
    pub base: String,
    pub token: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// What was asked, for messages.
    asked: String,
}

impl Caller {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // A link of a page is a whole URL, or one without a host.
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = client().request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    #[track_caller]
    pub fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        self.try_call(method, path, headers, body).unwrap()
    }

    pub fn try_call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let asked = format!("{method} {path} {headers:?}");
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.into();
        let answer = if body.is_empty() { request } else { request.body(body) }.send()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = String::from_utf8_lossy(&answer.bytes()?).into_owned();
        Ok(Answer { status, headers, body, asked })
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "")
    }

    /// In lines.
    #[track_caller]
    pub fn stream(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[("accept", NDJSON)], "")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Json) -> Answer {
        self.call(Method::POST, path, &[("content-type", JSON)], body.to_string())
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Json) -> Answer {
        self.call(Method::PUT, path, &[("content-type", JSON)], body.to_string())
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], "")
    }
}

pub const JSON: &str = "application/json";
pub const NDJSON: &str = "application/x-ndjson";

impl Answer {
    /// Demands a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    #[track_caller]
    pub fn lines(&self) -> Vec<Json> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.body.lines().map(parse).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Demands a problem document (RFC 9457) of this status; what it says.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{self}");
        assert!(self.header("content-type").starts_with("application/problem+json"), "{self}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self}");
        for key in ["type", "title", "detail", "code"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "no `{key}`: {self}");
        }
        let code = problem["code"].as_str().unwrap();
        let word =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || "-_0123456789".contains(c));
        assert!(code.split_once('/').is_some_and(|(area, what)| word(area) && word(what)), "`{code}`: {self}");
        problem
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.body.char_indices().nth(2_000).map_or(self.body.len(), |(at, _)| at);
        write!(f, "{} -> {} {:?}\n{}", self.asked, self.status, self.headers, &self.body[..end])
    }
}
