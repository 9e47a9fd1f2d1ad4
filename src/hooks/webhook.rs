//! A hook that is called over HTTP, with a signature.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use sha2::Sha256;

use super::{Around, Failed, Happening};
use crate::model::{Clear, Hook};
use crate::net;
use crate::vault::read_small;

const AGENT: &str = concat!("yubin/", env!("CARGO_PKG_VERSION"));

pub struct Webhook {
    client: Client,
    url: Url,
    secret: Option<Clear>,
    seconds: u64,
}

impl Webhook {
    pub fn new(hook: &Hook, url: &str, secret: Option<Clear>, around: &Around<'_>) -> Result<Webhook, Failed> {
        let url = Url::parse(url).map_err(|_| Failed::always("its address is none"))?;
        let pem = match &around.authorities {
            Some(path) if url.scheme() == "https" => {
                Some(read_small(path).map_err(|_| Failed::always(net::no_authorities(path).to_string()))?)
            }
            _ => None,
        };
        let authorities = around.authorities.as_deref().zip(pem.as_deref().map(Vec::as_slice));
        let builder = net::client(&url, authorities).map_err(|error| Failed::always(error.to_string()))?;
        let client = builder
            .user_agent(AGENT)
            .timeout(hook.timeout)
            .build()
            .map_err(|error| Failed::always(format!("a connection cannot be prepared: {}", cause(&error))))?;
        Ok(Webhook { client, url, secret, seconds: hook.timeout.as_secs() })
    }

    pub fn call(&self, happening: &Happening) -> Result<(), Failed> {
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        request = request.header("yubin-event", happening.id.as_str());
        if let Some(secret) = &self.secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let signature = HeaderValue::try_from(sign(secret, now, &happening.body));
            request = request.header("yubin-signature", signature.map_err(|_| Failed::once("it cannot be signed"))?);
        }
        match request.body(happening.body.clone()).send() {
            // What it says is not read: it may say anything, for any time.
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Failed::once(format!("it answers {}", answer.status().as_u16()))),
            Err(error) if error.is_connect() => Err(Failed::always(format!("it cannot be reached: {}", cause(&error)))),
            Err(error) if error.is_timeout() => Err(Failed::once(format!("no answer within {} s", self.seconds))),
            Err(error) => Err(Failed::once(format!("the call failed: {}", cause(&error)))),
        }
    }
}

/// The innermost cause, which does not hold the address.
fn cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "it gives no reason".to_owned(), ToString::to_string)
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 of the time, a dot and the body.
fn sign(secret: &Clear, now: u64, body: &[u8]) -> String {
    let mut signature = format!("t={now},v1=");
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return signature };
    mac.update(format!("{now}.").as_bytes());
    mac.update(body);
    for byte in mac.finalize().into_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret`
    #[test]
    fn a_signature_is_that_of_openssl() {
        let made = sign(&Clear::new("secret".to_owned()), 1_700_000_000, b"{\"a\":1}");
        assert_eq!(made, "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
    }
}
