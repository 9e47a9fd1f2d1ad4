//! The description of the server, and what it says about itself.

use std::path::Path;

use reqwest::Method;
use serde_json::Value as Json;

use super::{Site, project};
use crate::support::server::{DEADLINE, Server, run_within};

/// Each route with its methods.
const ROUTES: &[(&str, &[&str])] = &[
    ("/v1/revision", &["get"]),
    ("/v1/resources", &["get"]),
    ("/v1/resources/query", &["post"]),
    ("/v1/resources/{address}/versions", &["get"]),
    ("/v1/revisions", &["get"]),
    ("/v1/revisions/{n}", &["get"]),
    ("/v1/drift", &["get"]),
    ("/v1/disabled", &["get"]),
    ("/v1/queries", &["post"]),
    ("/v1/changesets", &["post"]),
    ("/v1/records", &["post"]),
    ("/v1/sessions", &["get", "post"]),
    ("/v1/sessions/{id}", &["delete"]),
    ("/v1/events", &["get"]),
    ("/v1/events/{id}/ack", &["post"]),
    ("/v1/projects/{project}/lead", &["put", "delete"]),
    ("/v1/projects/{project}/approvals", &["get"]),
    ("/v1/projects/{project}/approvals/{digest}", &["put"]),
    ("/v1/projects/{project}/migrations", &["get"]),
    ("/v1/projects/{project}/migrations/{migration}/{number}", &["put"]),
    ("/v1/tokens", &["get", "post"]),
    ("/v1/tokens/{id}", &["delete"]),
    ("/openapi.json", &["get"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
];

/// Names of parameters are free.
fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

fn document(site: &Site) -> Json {
    site.nobody().get("/openapi.json").expect(200).json()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let site = Site::new();
    let document = document(&site);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch", "head", "options"] {
            if item.get(method).is_some() {
                found.push((shape(path), method.to_owned()));
            }
        }
    }
    let mut expected: Vec<_> = ROUTES
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(|method| (shape(path), (*method).to_owned())))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    // None of them is nothing.
    for (path, methods) in ROUTES {
        let path = path.replace("{address}", "account%2Fx").replace("{n}", "1").replace("{id}", "1");
        let path = path.replace("{project}", super::PROJECT).replace("{digest}", &"0".repeat(64));
        let path = path.replace("{migration}", "m").replace("{number}", "1");
        for method in *methods {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = site.api().call(method, &path, &[], "");
            assert!(answer.status != 405 && answer.status < 500, "{answer}");
        }
    }
}

#[test]
fn every_call_says_its_scope_its_problems_and_how_to_ask() {
    let site = Site::new();
    let document = document(&site);
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert!(schemes.values().any(|one| one["type"] == "http" && one["scheme"] == "bearer"), "{schemes:?}");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let Some(responses) = call["responses"].as_object() else { continue };
            assert!(call["operationId"].is_string() && call["summary"].is_string(), "{method} {path}");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
            if path.starts_with("/v1/") {
                for status in ["401", "403"] {
                    let problem = &responses[status]["content"]["application/problem+json"];
                    assert!(problem.is_object(), "{method} {path}: {status}");
                }
            }
        }
    }
    let changesets = document["paths"]["/v1/changesets"]["post"].clone();
    for status in ["200", "412", "422", "428", "413", "503"] {
        assert!(changesets["responses"].get(status).is_some(), "{status}");
    }
    for name in ["If-Match", "Idempotency-Key"] {
        let all = changesets["parameters"].as_array().unwrap();
        assert!(all.iter().any(|one| one["name"].as_str().unwrap().eq_ignore_ascii_case(name)), "{name}");
    }
}

#[test]
fn what_is_served_is_what_is_checked_in() {
    let site = Site::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json");
    let checked_in: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(document(&site), checked_in);
}

/// A server that nobody has meant to open to the world does not start.
#[test]
fn beyond_this_machine_it_wants_tls_or_to_be_told() {
    let world = project("generic", "");
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let run = run_within(&mut world.command(&["serve", "--listen", listen]), DEADLINE);
        assert!(matches!(run.code, 1 | 4 | 64), "{}: {}", run.code, run.stderr);
        assert!(run.stderr.contains("TLS") && run.stderr.contains("--"), "it says what to do: {}", run.stderr);
    }
    for listen in ["nonsense", "127.0.0.1:99999", ":"] {
        let run = run_within(&mut world.command(&["serve", "--listen", listen]), DEADLINE);
        assert_eq!(run.code, 64, "{listen}: {}", run.stderr);
    }
    let server = Server::start(&world);
    let taken = server.address.to_string();
    let run = run_within(&mut world.command(&["serve", "--listen", &taken]), DEADLINE);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains(&taken), "{}", run.stderr);
}

#[test]
fn a_stop_finishes_what_is_in_flight() {
    let mut site = Site::with("accounts: { a: { comment: x } }");
    let api = site.api();
    let changes: Vec<Json> = (0..3000).map(|n| super::add(&format!("b{n}"), "x")).collect();
    let body = super::changeset(1, &changes);
    let status = std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            let revision = super::if_match(1);
            let headers = [("if-match", revision.as_str()), ("content-type", "application/json")];
            api.try_call(Method::POST, "/v1/changesets", &headers, body.to_string()).map(|answer| answer.status)
        });
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert_eq!(site.server.stop(), Some(0), "{}", site.server.said());
        posting.join().unwrap()
    });
    let content = site.content();
    match status {
        Ok(200) => assert_eq!(content.revision(), 2),
        // It was not under way yet, or was turned back.
        Ok(503) | Err(_) => assert_eq!(content.revision(), 1),
        Ok(other) => panic!("{other}"),
    }
    assert_eq!(content.addresses().len(), if content.revision() == 2 { 3001 } else { 1 });
}
