//! Who calls: bearer tokens, kept for a moment, so that not every call asks the store.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::Server;
use super::limits::{Limits, Rates, host};
use super::pool::Work;
use super::problem::Problem;
use crate::model::{Scope, Token};
use crate::pipeline::{is_same_hash, token_hash, token_holds};

/// A revoked token may still hold for so long.
const KEPT: Duration = Duration::from_secs(1);
/// From then on, one call asks again while others take what is kept.
const STALE: Duration = Duration::from_millis(600);
/// More tokens than these are not kept.
const MOST: usize = 10_000;

struct Kept {
    token: Arc<Token>,
    at: Instant,
    asking: bool,
}

pub struct Logins {
    kept: Mutex<HashMap<[u8; 32], Kept>>,
    failed: Rates<IpAddr>,
    calls: Rates<String>,
}

impl Logins {
    pub fn new(limits: &Limits) -> Logins {
        Logins {
            kept: Mutex::default(),
            failed: Rates::new(limits.failed_logins, f64::from(limits.failed_logins) / 60.0),
            calls: Rates::new(limits.rate, f64::from(limits.rate)),
        }
    }

    /// Asks the store again for every token.
    pub fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is kept of a token, and is fresh enough.
    fn recall(&self, hash: &[u8; 32]) -> Option<Arc<Token>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let one = kept.get_mut(hash)?;
        let age = one.at.elapsed();
        if age >= KEPT || (age >= STALE && !std::mem::replace(&mut one.asking, true)) {
            return None;
        }
        Some(Arc::clone(&one.token))
    }

    /// Whether it was a good one when it was last seen.
    fn is_known(&self, hash: &[u8; 32]) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).contains_key(hash)
    }

    fn keep(&self, hash: [u8; 32], token: Option<Token>) -> Option<Arc<Token>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A hash that found it is the one of the token, and a store that says otherwise is not believed.
        let Some(token) = token.filter(|token| is_same_hash(token.hash, hash)) else {
            kept.remove(&hash);
            return None;
        };
        if kept.len() >= MOST {
            kept.clear();
        }
        let token = Arc::new(token);
        kept.insert(hash, Kept { token: Arc::clone(&token), at: Instant::now(), asking: false });
        Some(token)
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "token/unknown", detail)
        .hint("send `Authorization: Bearer` with a token of `yubin token create`")
}

/// The token of a request, if it holds and allows this.
pub async fn login(
    server: &Arc<Server>,
    headers: &HeaderMap,
    peer: IpAddr,
    scope: Scope,
) -> Result<Arc<Token>, (Problem, Option<Arc<Token>>)> {
    let peer = host(peer);
    let result = known(server, headers, peer).await;
    let token = result.map_err(|problem| {
        if problem.status == StatusCode::UNAUTHORIZED {
            // Found out here so that the next one is turned away.
            let _ = server.logins.failed.take(peer);
        }
        (problem, None)
    })?;
    if let Err(wait) = server.logins.calls.take(token.id.clone()) {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "request/rate", "too many requests with this token");
        return Err((problem.retry_after(wait), Some(token)));
    }
    if token.scope < scope {
        let detail =
            format!("this needs a token of the scope `{}`, and this one is `{}`", scope.name(), token.scope.name());
        return Err((Problem::new(StatusCode::FORBIDDEN, "token/scope", detail), Some(token)));
    }
    Ok(token)
}

async fn known(server: &Arc<Server>, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<Token>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let flood = |wait| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "token/failed", "too many failed logins from this address")
            .retry_after(wait)
    };
    let hash = match (values.next(), values.next()) {
        (None, _) => {
            server.logins.failed.has(peer).map_err(flood)?;
            let problem = unauthorized("there is no token");
            return Err(Problem { code: "token/missing", ..problem });
        }
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| token_hash(token.trim())),
        (Some(_), Some(_)) => None,
    };
    let found = if let Some(hash) = hash {
        if let Some(token) = server.logins.recall(&hash) {
            Some(token)
        } else {
            // What others at this address try is no reason to turn away one who was good before.
            if !server.logins.is_known(&hash) {
                server.logins.failed.has(peer).map_err(flood)?;
            }
            let asked = super::work(server, Work::Quick, move |server| Ok(server.desk().token(&hash)?)).await?;
            server.logins.keep(hash, asked)
        }
    } else {
        server.logins.failed.has(peer).map_err(flood)?;
        None
    };
    found
        .filter(|token| token_holds(token, Timestamp::now()))
        .ok_or_else(|| unauthorized("the token does not hold: it is unknown, expired or revoked"))
}

/// Whether a token that was good still is, for calls that last.
pub async fn still(server: &Arc<Server>, token: &Token) -> bool {
    let (at, hash) = (Arc::clone(server), token.hash);
    if let Some(token) = server.logins.recall(&hash) {
        return token_holds(&token, Timestamp::now());
    }
    let Ok(permit) = server.pools.place(Work::Quick).await else { return true };
    let asked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        at.desk().token(&hash)
    });
    match asked.await {
        Ok(Ok(found)) => server.logins.keep(hash, found).is_some_and(|token| token_holds(&token, Timestamp::now())),
        // A store that is away for a moment is no reason to end what goes on.
        _ => true,
    }
}
