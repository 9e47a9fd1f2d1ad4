//! A password that the store holds stands in no answer, and in nothing that the server says.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::travel::{hidden, spellings};
use super::{PROJECT, Site, applied, changeset, if_match, overwrite, post, post_with, project, token};
use crate::cli::database;
use crate::support::http::{Caller, JSON, NDJSON};
use crate::support::server::{DEADLINE, run_within};

const WORDS: [&str; 4] = ["Zaunkoenig-eins-7Qx2", "Rotkehl-zwei-5Fd3", "Amselruf-drei-3Wm8", "Bachstelze-vier-5Rk1"];

/// A store with each kind of secret, set twice.
fn site() -> Site {
    let world = project("generic", super::POLICY);
    let yaml = |one: &str, two: &str| {
        format!(
            "servers: {{ s: {{ outgoing: {{ auth: {{ enabled: true, credentials: own, username: u, password: {one} }} }} }} }}
accounts: {{ a: {{ comment: x, password: {two}, incoming: {{ password: {one} }} }} }}
patterns: {{ taro: {{ p: {{ server: s, organization: x, incoming: {{ username: t, password: {two} }} }} }} }}
"
        )
    };
    world.write("a.yaml", yaml(WORDS[0], WORDS[1]));
    world.expect(0, &["apply", "--yes", "-q"]);
    let site = Site::of(world);
    // Once through the server.
    site.world.write("a.yaml", yaml(WORDS[2], WORDS[3]));
    site.run(0, &["apply", "--yes"]);
    site
}

/// Every way of asking that there is.
fn all_calls() -> Vec<(Method, String, Option<Json>)> {
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let post = |path: &str, body: Json| (Method::POST, path.to_owned(), Some(body));
    let mut calls: Vec<_> = [
        "/v1/revision",
        "/v1/resources",
        "/v1/resources?view=keys",
        "/v1/resources?at=1",
        "/v1/resources?at=2",
        "/v1/revisions",
        "/v1/revisions/1",
        "/v1/revisions/2",
        "/v1/resources/account%2Fa/versions",
        "/v1/resources/server%2Fs/versions",
        "/v1/resources/pattern%2Ftaro%2Fp/versions",
        "/v1/drift",
        "/v1/disabled",
        "/v1/sessions",
        "/v1/events",
        "/v1/tokens",
        "/metrics",
        "/healthz",
        "/readyz",
        "/openapi.json",
    ]
    .map(get)
    .into();
    calls.push(post("/v1/resources/query", json!({ "kind": "account", "keys": [["a"]] })));
    calls.push(post("/v1/resources/query", json!({ "kind": "account", "keys": [["a"]], "called": [["b"]] })));
    for (kind, field, key) in
        [("account", "password", json!(["a"])), ("pattern", "incoming.password", json!(["taro", "p"]))]
    {
        for query in ["past_values", "last_set", "ever"] {
            calls.push(post(
                "/v1/queries",
                json!({ "query": query, "kind": kind, "field": field, "key": key, "keys": [key], "word": null }),
            ));
        }
    }
    calls
}

/// Neither the passwords in any spelling, nor what is sealed or hashed in the store, nor its key.
fn forbidden(site: &Site) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = WORDS.iter().flat_map(|word| spellings(word.as_bytes())).collect();
    all.extend(spellings(super::KEY.as_bytes()));
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&super::KEY[2 * at..2 * at + 2], 16).unwrap()).collect();
    all.extend(spellings(&key));
    for sql in ["SELECT password FROM account", "SELECT password FROM account_history"] {
        let store = database(&site.world);
        let mut statement = store.prepare(sql).unwrap();
        let hashes = statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        // The last part of a hash is the hash.
        all.extend(hashes.filter_map(Result::unwrap).map(|hash| hash.rsplit('$').next().unwrap().as_bytes().to_vec()));
    }
    all
}

fn ask(caller: &Caller, headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let call = |(method, path, body): (Method, String, Option<Json>)| {
        let mut all = headers.to_vec();
        all.extend(body.as_ref().map(|_| ("content-type", JSON)));
        let answer = caller.call(method, &path, &all, body.map_or(String::new(), |body| body.to_string()));
        assert!(answer.status < 500, "{answer}");
        (path, format!("{:?}\n{}", answer.headers, answer.body))
    };
    all_calls().into_iter().map(call).collect()
}

#[test]
fn no_answer_holds_a_secret() {
    let site = site();
    let forbidden = forbidden(&site);
    assert!(forbidden.len() > 20);
    let key = yubin::vault::ClientKey::generate().unwrap().public();
    for (scope, owners) in [("read", &[PROJECT][..]), ("admin", &["*"]), ("admin", &[])] {
        let caller = site.with_token(scope, owners);
        let yubin = [("accept", NDJSON), ("yubin-client-key", key.as_str()), ("yubin-project", PROJECT)];
        for headers in [&[][..], &[("accept", NDJSON)], &yubin] {
            for (path, text) in ask(&caller, headers) {
                assert_eq!(hidden(text.as_bytes(), &forbidden), None, "{scope} {path}\n{text}");
            }
        }
    }
    // What is not sealed for a client is not there at all.
    let plain = site.api().get("/v1/resources").json();
    assert_eq!(plain["resources"][0]["fields"]["password"], json!({ "secret": true }));
    assert!(!plain.to_string().contains("sealed"));
}

/// The server says who has called and what has come of it, and nothing of what was in it.
#[test]
fn every_call_that_changes_or_is_refused_is_written_down() {
    let site = site();
    let api = site.api();
    let caller = site.with_token("read", &[PROJECT]);
    let before = site.server.said().len();
    let secret = WORDS[0];
    applied(post(&api, 2, &changeset(2, &[overwrite("a", "x", "y")])));
    post(&api, 2, &changeset(2, &[overwrite("a", "y", "z")])).problem(412);
    // With a password where none belongs.
    post(&api, 3, &changeset(3, &[overwrite("a", secret, "z")])).problem(422);
    post_with(&api, 3, &[("idempotency-key", secret)], &changeset(3, &[overwrite("a", secret, "z")])).problem(422);
    post(&caller, 3, &changeset(3, &[overwrite("a", "y", "z")])).problem(403);
    site.as_one_with(&format!("yubin_{}", "Q".repeat(43))).get("/v1/revision").problem(401);
    let revision = if_match(3);
    let headers = [("if-match", revision.as_str()), ("content-type", JSON)];
    let broken = api.call(Method::POST, "/v1/changesets", &headers, format!("{{\"changes\":[{secret}"));
    assert!(matches!(broken.status, 400 | 422), "{broken}");
    let field = json!({ "field": "password", "secret": true, "sealed": secret });
    let mut change = overwrite("a", "y", "z");
    change["fields"] = json!([field, { "field": secret, "before": null, "after": secret }]);
    let answer = post(&api, 3, &changeset(3, &[change]));
    assert!(matches!(answer.status, 400 | 422), "{answer}");
    for answer in [&broken, &answer] {
        assert!(!answer.body.contains(secret), "{answer}");
    }
    // It is written when it is answered, or a moment later.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let said = site.server.said();
    let log = &said[before..];
    for status in ["200", "412", "422", "403", "401"] {
        assert!(log.lines().any(|line| line.contains(status)), "no line of a {status}: {log}");
    }
    assert!(log.lines().all(|line| !line.contains('\u{1b}')));
    let forbidden: Vec<_> =
        forbidden(&site).into_iter().chain([site.token.as_bytes().to_vec(), b"QQQQQQQQ".to_vec()]).collect();
    assert_eq!(hidden(said.as_bytes(), &forbidden), None, "{said}");
}

/// What a caller makes up does not become a line of its own in the log.
#[test]
fn a_log_line_cannot_be_forged() {
    let site = site();
    let api = site.api();
    let evil = "x\r\n2026-01-01 200 POST forged\u{1b}[2J\u{202e}";
    let mut document = changeset(2, &[overwrite("a", "x", "y")]);
    for key in ["actor", "note", "commit"] {
        document[key] = evil.into();
    }
    post(&api, 2, &document);
    document["project"] = evil.into();
    post(&api, 2, &document);
    api.get("/v1/resources?kind=x%0d%0aforged%1b[2J");
    api.get("/v1/%0d%0aforged");
    api.delete("/v1/sessions/x%0d%0aforged");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let said = site.server.said();
    assert!(
        !said.lines().any(|line| line.trim_start().starts_with("forged") || line.starts_with("2026-01-01 200")),
        "{said}"
    );
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    let run = run_within(&mut site.command(&["log"]), DEADLINE);
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{}", run.stdout);
}

/// Other pages in a browser get nothing.
#[test]
fn other_origins_are_not_let_in() {
    let site = site();
    let origin = ("origin", "https://evil.example");
    let token = token(&site.world, "read", &[PROJECT]);
    for path in ["/v1/revision", "/v1/resources", "/openapi.json", "/healthz"] {
        let asked =
            [origin, ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
        for answer in [
            site.as_one_with(&token).call(Method::GET, path, &[origin], ""),
            site.as_one_with(&token).call(Method::OPTIONS, path, &asked, ""),
        ] {
            let opened = answer.headers.keys().any(|name| name.as_str().starts_with("access-control-allow"));
            assert!(!opened, "{answer}");
        }
        let answer = site.as_one_with(&token).get(path);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer}");
    }
    assert_eq!(site.api().get("/v1/resources").header("cache-control"), "no-store");
}
