//! What watchers of a project agree on by way of a server.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{OTHER, PROJECT, Site, limits};
use crate::support::http::{Answer, Caller, JSON};

const LEAD: &str = "/v1/projects/head-office/lead";
const APPROVALS: &str = "/v1/projects/head-office/approvals";

fn site() -> Site {
    Site::with("accounts: { a: { comment: x } }")
}

fn lead(api: &Caller, holder: &str, seconds: f64) -> Answer {
    api.put(LEAD, &json!({ "holder": holder, "seconds": seconds }))
}

#[track_caller]
fn led(answer: Answer) -> (bool, String) {
    let json = answer.expect(200).json();
    assert_eq!(json["format_version"], 1);
    (json["held"].as_bool().unwrap(), json["holder"].as_str().unwrap().to_owned())
}

fn approval(digit: &str) -> String {
    format!("{APPROVALS}/{}", digit.repeat(64))
}

#[test]
fn one_of_two_leads_until_it_gives_the_lead_back() {
    let site = site();
    let api = site.api();
    let (a, b) = ("a:1:ü", "b & c");
    assert_eq!(led(lead(&api, a, 60.0)), (true, a.to_owned()));
    assert_eq!(led(lead(&api, b, 60.0)), (false, a.to_owned()));
    assert_eq!(led(lead(&api, a, 0.5)), (true, a.to_owned()));
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(led(lead(&api, b, 3600.0)), (true, b.to_owned()));
    for _ in 0..2 {
        assert!(api.delete(&format!("{LEAD}?holder=a:1:%C3%BC")).expect(204).body.is_empty());
    }
    assert_eq!(led(lead(&api, a, 60.0)), (false, b.to_owned()));
    api.delete(&format!("{LEAD}?holder=b+%26%20c")).expect(204);
    assert_eq!(led(lead(&api, a, 60.0)), (true, a.to_owned()));
    assert_eq!(site.content().revision(), 1);
}

#[test]
fn approvals_are_listed_newest_first() {
    let site = site();
    let api = site.api();
    let all = || -> Vec<Json> {
        let json = api.get(APPROVALS).expect(200).json();
        assert_eq!(json["format_version"], 1);
        json["approvals"].as_array().unwrap().clone()
    };
    assert!(all().is_empty());
    let first = api.put(&approval("a"), &json!({ "actor": "taro" })).expect(200).json();
    assert_eq!((&first["digest"], &first["actor"]), (&json!("a".repeat(64)), &json!("taro")));
    first["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    api.put(&approval("b"), &json!({ "actor": "花子" })).expect(200);
    let actors = || all().iter().map(|one| one["actor"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(actors(), ["花子", "taro"]);
    api.put(&approval("a"), &json!({ "actor": "jiro" })).expect(200);
    assert_eq!(actors(), ["jiro", "花子"]);
    assert!(site.api().get("/v1/projects/branch/approvals").expect(200).json()["approvals"] == json!([]));
    assert_eq!(site.content().revision(), 1);
}

/// To look at approvals takes a token; the rest takes one that is bound to the project.
#[test]
fn only_who_may_apply_a_project_leads_it_and_lets_its_plans_through() {
    let site = site();
    let calls: [(Method, String, &str); 3] = [
        (Method::PUT, LEAD.to_owned(), r#"{"holder":"x","seconds":60}"#),
        (Method::DELETE, format!("{LEAD}?holder=a"), ""),
        (Method::PUT, approval("a"), r#"{"actor":"x"}"#),
    ];
    led(lead(&site.api(), "a", 600.0));
    for (scope, owners, code) in [
        ("read", &[PROJECT][..], "token/scope"),
        ("apply", &[OTHER], "token/owner"),
        ("admin", &[OTHER], "token/owner"),
    ] {
        let caller = site.with_token(scope, owners);
        for (method, path, body) in &calls {
            let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", JSON)] };
            let problem = caller.call(method.clone(), path, headers, *body).problem(403);
            assert_eq!(problem["code"], code, "{scope} {method} {path}");
        }
        caller.get(APPROVALS).expect(200);
    }
    for (method, path, body) in &calls {
        site.nobody().call(method.clone(), path, &[("content-type", JSON)], *body).problem(401);
    }
    site.nobody().get(APPROVALS).problem(401);
    assert_eq!(led(lead(&site.api(), "b", 60.0)), (false, "a".to_owned()));
    assert_eq!(site.api().get(APPROVALS).expect(200).json()["approvals"], json!([]));
    let every = site.with_token("apply", &["*"]);
    assert_eq!(led(lead(&every, "b", 60.0)), (false, "a".to_owned()));
    every.put("/v1/projects/%E4%BA%8C/lead", &json!({ "holder": "b", "seconds": 60 })).expect(200);
}

#[test]
fn what_is_no_lead_and_no_approval_is_refused() {
    let site = site();
    let api = site.api();
    let long = "x".repeat(257);
    for body in [
        json!({}),
        json!([]),
        json!({ "holder": "a" }),
        json!({ "seconds": 15 }),
        json!({ "holder": "", "seconds": 15 }),
        json!({ "holder": "a\u{0}", "seconds": 15 }),
        json!({ "holder": "a\nb", "seconds": 15 }),
        json!({ "holder": long, "seconds": 15 }),
        json!({ "holder": 1, "seconds": 15 }),
        json!({ "holder": "a", "seconds": "15" }),
        json!({ "holder": "a", "seconds": null }),
        json!({ "holder": "a", "seconds": 15, "more": 1 }),
        json!({ "holder": "a", "seconds": 0 }),
        json!({ "holder": "a", "seconds": 0.49 }),
        json!({ "holder": "a", "seconds": -1 }),
        json!({ "holder": "a", "seconds": 3600.5 }),
        json!({ "holder": "a", "seconds": 1e300 }),
    ] {
        api.put(LEAD, &body).problem(422);
    }
    for body in [
        json!({}),
        json!({ "actor": "" }),
        json!({ "actor": "a\u{7f}" }),
        json!({ "actor": long }),
        json!({ "actor": null }),
        json!({ "actor": "a", "at": "2026-01-01T00:00:00Z" }),
    ] {
        api.put(&approval("a"), &body).problem(422);
    }
    for text in ["", "{", "{\"holder\":\"a\",\"seconds\":1e999}"] {
        let answer = api.call(Method::PUT, LEAD, &[("content-type", JSON)], text);
        assert!(matches!(answer.status, 400 | 422), "{answer}");
        answer.problem(answer.status);
    }
    api.call(Method::PUT, LEAD, &[("content-type", "text/plain")], "{}").problem(415);
    for digest in ["a".repeat(63), "a".repeat(65), "A".repeat(64), "g".repeat(64), String::new(), "%00".to_owned()] {
        api.put(&format!("{APPROVALS}/{digest}"), &json!({ "actor": "taro" })).problem(400);
    }
    for query in ["", "?holder=", "?holder=a&holder=b", "?holder=a&more=b", "?holder=%00"] {
        api.delete(&format!("{LEAD}{query}")).problem(400);
    }
    site.with_token("apply", &["*"])
        .put(&format!("/v1/projects/{}/lead", "x".repeat(65)), &json!({ "holder": "a", "seconds": 15 }))
        .problem(400);
    assert_eq!(api.get(LEAD).header("allow"), "DELETE, PUT");
    assert_eq!(led(lead(&api, "b", 60.0)), (true, "b".to_owned()), "nobody has got it by one of these");
    assert_eq!(api.get(APPROVALS).expect(200).json()["approvals"], json!([]));
}

/// A lead is renewed every few seconds; what it leads to stands in the audit by itself.
#[test]
fn approvals_stand_in_the_audit_and_leads_do_not() {
    let site = limits::site(&["--audit", "audit.jsonl"]);
    let api = site.api();
    for _ in 0..3 {
        led(lead(&api, "a", 60.0));
        led(lead(&api, "b", 60.0));
    }
    api.delete(&format!("{LEAD}?holder=a")).expect(204);
    api.put(&approval("a"), &json!({ "actor": "taro" })).expect(200);
    site.with_token("read", &[PROJECT]).put(LEAD, &json!({ "holder": "c", "seconds": 60 })).problem(403);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let text = std::fs::read_to_string(site.world.file("audit.jsonl")).unwrap();
    let all: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&Json, &Json)> = all[1..].iter().map(|one| (&one["path"], &one["status"])).collect();
    assert_eq!(told, [(&json!(approval("a")), &json!(200)), (&json!(LEAD), &json!(403))], "{text}");
}
