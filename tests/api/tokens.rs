//! Who may call: tokens, their scopes, their end.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::limits;
use super::{OTHER, PROJECT, Site, add, changeset, if_match, post, token};
use crate::cli::{database, expect_with};
use crate::support::http::{Answer, Caller, JSON};

const YAML: &str = "accounts: { a: { comment: x } }\npatterns: { taro: { p: {} } }\n";

/// Calls of each scope: method, path, body.
const READ: &[(&str, &str, &str)] = &[
    ("GET", "/v1/revision", ""),
    ("GET", "/v1/resources", ""),
    ("POST", "/v1/resources/query", r#"{"kind":"account","keys":[["a"]]}"#),
    ("GET", "/v1/resources/account%2Fa/versions", ""),
    ("GET", "/v1/revisions", ""),
    ("GET", "/v1/revisions/1", ""),
    ("GET", "/v1/drift", ""),
    ("GET", "/v1/disabled", ""),
    ("GET", "/v1/projects/head-office/approvals", ""),
    ("POST", "/v1/queries", r#"{"query":"users_of_server","server":"server/s","key":["s"]}"#),
];
const APPLY: &[(&str, &str, &str)] = &[
    ("GET", "/v1/sessions", ""),
    ("POST", "/v1/sessions", r#"{"id":"s1","user":"taro"}"#),
    ("DELETE", "/v1/sessions/s1", ""),
    ("GET", "/v1/events", ""),
    ("POST", "/v1/events/1/ack", ""),
    ("PUT", "/v1/projects/head-office/lead", r#"{"holder":"a","seconds":5}"#),
    ("DELETE", "/v1/projects/head-office/lead?holder=a", ""),
    (
        "PUT",
        "/v1/projects/head-office/approvals/0000000000000000000000000000000000000000000000000000000000000000",
        r#"{"actor":"taro"}"#,
    ),
    // Refused for what it says, not for who says it.
    ("POST", "/v1/changesets", "{}"),
];
const ADMIN: &[(&str, &str, &str)] = &[("GET", "/v1/tokens", ""), ("DELETE", "/v1/tokens/00000000", "")];

fn call(caller: &Caller, (method, path, body): (&str, &str, &str)) -> Answer {
    let revision = if_match(1);
    let mut headers = vec![("if-match", revision.as_str())];
    headers.extend((!body.is_empty()).then_some(("content-type", JSON)));
    caller.call(Method::from_bytes(method.as_bytes()).unwrap(), path, &headers, body)
}

#[test]
fn each_scope_includes_those_before_it_and_nothing_else() {
    let site = Site::with(YAML);
    let callers = ["read", "apply", "admin"].map(|scope| site.with_token(scope, &[PROJECT]));
    for (needed, calls) in (0..).zip([READ, APPLY, ADMIN]) {
        for one in calls {
            for (scope, caller) in (0..).zip(&callers) {
                let answer = call(caller, *one);
                if scope < needed {
                    answer.problem(403);
                } else {
                    assert!(!matches!(answer.status, 401 | 403) && answer.status < 500, "{answer}");
                }
            }
        }
    }
}

#[test]
fn without_a_token_there_is_nothing_to_see() {
    let site = limits::site(&["--failed-logins", "100000"]);
    let good = &site.token;
    let (longer, shorter, other) =
        (format!("{good}A"), good[..good.len() - 1].to_owned(), format!("yubin_{}", "A".repeat(43)));
    let upper = good.to_uppercase();
    for token in ["", "x", &longer, &shorter, &other, &upper, "yubin_", " ", &"y".repeat(10_000)] {
        for one in READ.iter().chain(APPLY).chain(ADMIN) {
            let answer = call(&site.as_one_with(token), *one);
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer}");
            let problem = answer.problem(401);
            assert!(token.len() < 10 || !problem.to_string().contains(token));
        }
    }
    let basic = |value: &str| site.nobody().call(Method::GET, "/v1/revision", &[("authorization", value)], "");
    for value in [good.as_str(), &format!("Basic {good}"), &format!("Bearer{good}"), "Bearer"] {
        basic(value).problem(401);
    }
    // The name of the scheme may be written in any case (RFC 9110).
    basic(&format!("bearer {good}")).expect(200);
    // Not in the address, which every log holds.
    site.nobody().get(&format!("/v1/revision?access_token={good}")).problem(401);
    site.nobody().get(&format!("/v1/revision?token={good}")).problem(401);
}

#[test]
fn what_needs_no_token_tells_nothing() {
    let site = Site::with("accounts: { geheimrat: { comment: x } }\npatterns: { hofrat: { p: {} } }\n");
    site.api().get("/v1/resources").expect(200);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = site.nobody().get(path).expect(200);
        for name in ["geheimrat", "hofrat", PROJECT, &site.token] {
            assert!(!answer.body.contains(name), "{answer}");
        }
    }
    let metrics = site.nobody().get("/metrics").expect(200);
    assert!(metrics.header("content-type").starts_with("text/plain"), "{metrics}");
    assert!(metrics.body.lines().any(|line| line.starts_with("# TYPE yubin_")), "{metrics}");
    // What is asked for is no name of a measure.
    let _ = site.nobody().get("/v1/resources/account%2Fgeheimrat/versions");
    let _ = site.nobody().get("/geheimrat");
    assert!(!site.nobody().get("/metrics").body.contains("geheimrat"));
}

/// The id of a token with this name.
fn id(site: &Site, name: &str) -> String {
    let list = site.world.json(0, &["token", "list"]);
    let all = list["tokens"].as_array().unwrap_or_else(|| panic!("{list}"));
    all.iter().find(|one| one["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let site = Site::with(YAML);
    let name = |name: &str| {
        let run = expect_with(&site.world, 0, &[], &["token", "create", name, "--scope", "read", "--owner", PROJECT]);
        site.as_one_with(run.stdout.trim())
    };
    let (one, two) = (name("one"), name("two"));
    for caller in [&one, &two] {
        caller.get("/v1/revision").expect(200);
    }
    // Beside the server, and through it.
    site.world.expect(0, &["token", "revoke", &id(&site, "one")]);
    let start = Instant::now();
    while one.get("/v1/revision").status == 200 {
        assert!(start.elapsed() < Duration::from_secs(1), "it still works");
        std::thread::sleep(Duration::from_millis(20));
    }
    one.get("/v1/revision").problem(401);
    two.get("/v1/revision").expect(200);
    let admin = site.with_token("admin", &[PROJECT]);
    let answer = admin.delete(&format!("/v1/tokens/{}", id(&site, "two")));
    assert!(matches!(answer.status, 200 | 204), "{answer}");
    two.get("/v1/revision").problem(401);
    admin.delete(&format!("/v1/tokens/{}", id(&site, "two"))).problem(404);
    let answer = admin.delete("/v1/tokens/nonsense");
    assert!(matches!(answer.status, 400 | 404), "{answer}");
    assert_ne!(site.world.run(&["token", "revoke", "nonsense"]).code, 0);
}

#[test]
fn an_expired_token_is_refused() {
    let site = Site::with(YAML);
    let admin = site.with_token("admin", &["*"]);
    let make = |expires: &str| {
        let body = json!({ "name": "short", "scope": "read", "owners": [PROJECT], "expires": expires });
        let answer = admin.post("/v1/tokens", &body);
        assert!(matches!(answer.status, 200 | 201), "{answer}");
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let short = site.as_one_with(&make(&soon.to_string()));
    let long = site.as_one_with(&make("2999-01-01T00:00:00Z"));
    short.get("/v1/revision").expect(200);
    std::thread::sleep(Duration::from_millis(4200));
    short.get("/v1/revision").problem(401);
    long.get("/v1/revision").expect(200);
    for expires in ["2001-01-01T00:00:00Z", "tomorrow", ""] {
        let body = json!({ "name": "short", "scope": "read", "owners": [PROJECT], "expires": expires });
        let answer = admin.post("/v1/tokens", &body);
        assert!(matches!(answer.status, 400 | 422), "{expires}: {answer}");
    }
}

#[test]
fn tokens_are_made_and_listed_and_never_told_again() {
    let site = Site::with(YAML);
    let admin = site.with_token("admin", &["*"]);
    let body = json!({ "name": "ci", "scope": "apply", "owners": [PROJECT, OTHER] });
    let answer = admin.post("/v1/tokens", &body);
    assert!(matches!(answer.status, 200 | 201), "{answer}");
    let made = answer.json();
    let secret = made["token"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("yubin_") && secret.len() == 49, "{made}");
    site.as_one_with(&secret).get("/v1/sessions").expect(200);
    let listed = admin.get("/v1/tokens").expect(200);
    let found = listed.json()["tokens"].as_array().unwrap().iter().find(|one| one["name"] == "ci").cloned().unwrap();
    assert_eq!(found["id"], made["id"]);
    assert_eq!((&found["scope"], &found["owners"]), (&json!("apply"), &json!([OTHER, PROJECT])));
    // The program lists the same.
    let list: Json = site.world.json(0, &["token", "list"]);
    assert!(list["tokens"].as_array().unwrap().iter().any(|one| one["id"] == made["id"]));
    // Neither is there a way from the list to a token, nor from the store.
    let text = site.world.expect(0, &["token", "list"]).stdout;
    let hash = blake3::hash(secret.as_bytes()).to_hex();
    for place in [&listed.body, &list.to_string(), &text, &site.server.said()] {
        for word in [secret.as_str(), &site.token, &hash[..16]] {
            assert!(!place.contains(word), "{place}");
        }
    }
    database(&site.world).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = std::fs::read(site.world.file("yubin.db")).unwrap();
    for token in [&secret, &site.token] {
        assert!(memchr::memmem::find(&bytes, &token.as_bytes()["yubin_".len()..]).is_none(), "it stands in the store");
    }
    for wrong in [
        json!({}),
        json!({ "name": "x" }),
        json!({ "name": "x", "scope": "root", "owners": [PROJECT] }),
        json!({ "name": 1, "scope": "read", "owners": [PROJECT] }),
        json!({ "name": "x", "scope": "read", "owners": "all" }),
        json!({ "name": "", "scope": "read", "owners": [PROJECT] }),
        json!({ "name": "x", "scope": "read", "owners": [PROJECT], "expire": "2999-01-01T00:00:00Z" }),
    ] {
        let answer = admin.post("/v1/tokens", &wrong);
        assert!(matches!(answer.status, 400 | 422), "{wrong}: {answer}");
        answer.problem(answer.status);
    }
}

/// Two tokens are never the same, and each one works.
#[test]
fn the_program_makes_tokens_beside_a_running_server() {
    let site = Site::with(YAML);
    let all: Vec<String> = (0..5).map(|_| token(&site.world, "read", &[PROJECT])).collect();
    for (at, one) in all.iter().enumerate() {
        site.as_one_with(one).get("/v1/revision").expect(200);
        assert!(!all[..at].contains(one));
    }
    for wrong in [
        &["token", "create", "x", "--scope", "root", "--owner", PROJECT][..],
        &["token", "create", "--scope", "read"],
        &["token", "revoke"],
    ] {
        assert_eq!(site.world.run(wrong).code, 64, "{wrong:?}");
    }
}

/// A token that is bound to no project reads, and changes nothing.
#[test]
fn a_token_without_a_project_changes_nothing() {
    let site = Site::with(YAML);
    let caller = site.with_token("read", &[]);
    caller.get("/v1/resources").expect(200);
    post(&caller, 1, &changeset(1, &[add("b", "x")])).problem(403);
    assert_eq!(site.content().revision(), 1);
    // To apply without one would be for nothing.
    assert_eq!(site.world.run(&["token", "create", "x", "--scope", "apply"]).code, 64);
    let answer = site.with_token("admin", &["*"]).post("/v1/tokens", &json!({ "name": "x", "scope": "apply" }));
    assert!(matches!(answer.status, 400 | 422), "{answer}");
}
