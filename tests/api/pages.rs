//! Reading: the revision, pages of one state, lines, the log.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::{Site, add, applied, changeset, delete, overwrite, post};
use crate::cli::database;
use crate::support::http::{Caller, NDJSON};

const YAML: &str = "servers: { s1: { incoming: { host: a.jp } }, 'ü/%': { incoming: { host: b.jp } } }
accounts: { b: { comment: one }, a: { comment: two }, 'C': { }, 'ä': { }, '日本': { }, 'a b': { }, 'a/b': { } }
patterns:
  taro: { p1: { server: s1, organization: x, incoming: { username: t, password: geheim-1 } }, p2: { } }
  'a/b': { 'c%d': { } }
";

/// All resources, page by page, and the numbers of resources of the pages.
fn paged(api: &Caller, first: &str) -> (Vec<Json>, Vec<usize>) {
    let (mut all, mut sizes, mut next) = (Vec::new(), Vec::new(), Some(first.to_owned()));
    while let Some(url) = next {
        let page = api.get(&url).expect(200).json();
        let resources = page["resources"].as_array().unwrap();
        sizes.push(resources.len());
        all.extend(resources.iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
        assert!(sizes.len() < 100, "it does not end");
    }
    (all, sizes)
}

fn addresses(resources: &[Json]) -> Vec<&str> {
    resources.iter().map(|one| one["address"].as_str().unwrap()).collect()
}

#[test]
fn the_revision_is_an_etag_too() {
    let site = Site::new();
    let api = site.api();
    let answer = api.get("/v1/revision").expect(200);
    assert_eq!((answer.json()["revision"].clone(), answer.header("etag")), (0.into(), "\"0\""));
    assert_eq!(answer.header("yubin-version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.header("yubin-api"), "1");
    assert_eq!(applied(post(&api, 0, &changeset(0, &[add("a", "x")]))), 1);
    let answer = api.get("/v1/revision").expect(200);
    assert_eq!((answer.json()["revision"].clone(), answer.header("etag")), (1.into(), "\"1\""));
    // What other software writes is no revision, and yet the state is another.
    database(&site.world).execute_batch("UPDATE account SET comment = 'theirs'").unwrap();
    let answer = api.get("/v1/revision").expect(200);
    let outside = answer.json()["outside_writes"].as_u64().unwrap();
    assert!(outside > 0, "{answer}");
    assert_eq!(answer.header("etag"), format!("\"1.{outside}\""));
    post(&api, 1, &changeset(1, &[overwrite("a", "x", "y")])).problem(412);
}

#[test]
fn a_page_is_what_show_says() {
    let site = Site::with(YAML);
    let answer = site.api().get("/v1/resources").expect(200);
    assert_eq!(answer.header("etag"), "\"1\"");
    assert!(answer.header("content-type").starts_with("application/json"));
    let page = answer.json();
    assert_eq!(page["revision"], 1);
    assert_eq!(page["next"], Json::Null);
    assert_eq!(page["resources"], site.content().show["resources"]);
    assert!(!answer.body.contains("geheim"));
}

#[test]
fn pages_of_any_size_hold_the_same_once_and_in_order() {
    let site = Site::with(YAML);
    let api = site.api();
    let whole = site.content();
    let all = whole.show["resources"].as_array().unwrap();
    for limit in 1..=all.len() + 1 {
        let (found, sizes) = paged(&api, &format!("/v1/resources?limit={limit}"));
        assert_eq!(&found, all, "limit {limit}");
        assert_eq!(sizes.len(), all.len().div_ceil(limit), "limit {limit}: {sizes:?}");
    }
    for kind in ["server", "account", "pattern"] {
        let (found, _) = paged(&api, &format!("/v1/resources?kind={kind}&limit=2"));
        let expected: Vec<_> = all.iter().filter(|one| one["kind"] == kind).cloned().collect();
        assert_eq!(found, expected);
    }
    // By hand: after each address comes the next, and an address need not exist.
    let mut expected = addresses(all);
    for at in 0..expected.len() {
        let after = expected[at].replace('%', "%25").replace(' ', "%20").replace('/', "%2F");
        let page = api.get(&format!("/v1/resources?after={after}&limit=1000")).expect(200).json();
        assert_eq!(addresses(page["resources"].as_array().unwrap()), expected[at + 1..], "after {after}");
    }
    expected.retain(|one| *one > "account/aaaa");
    let page = api.get("/v1/resources?after=account/aaaa").expect(200).json();
    assert_eq!(addresses(page["resources"].as_array().unwrap()), expected);
}

#[test]
fn a_link_holds_its_revision_and_is_gone_with_it() {
    let site = Site::with(YAML);
    let api = site.api();
    let page = api.get("/v1/resources?limit=2").expect(200).json();
    let next = page["next"].as_str().unwrap();
    api.get(next).expect(200);
    assert_eq!(applied(post(&api, 1, &changeset(1, &[add("new", "x")]))), 2);
    api.get(next).problem(410);
    api.get("/v1/resources?limit=2&revision=1").problem(410);
    api.get("/v1/resources?limit=2&revision=2").expect(200);
    // Other software moves it on, too.
    let next = api.get("/v1/resources?limit=2").expect(200).json()["next"].as_str().unwrap().to_owned();
    database(&site.world).execute_batch("UPDATE account SET comment = 'theirs' WHERE name = 'b'").unwrap();
    api.get(&next).problem(410);
}

/// What is past is told as it was.
#[test]
fn a_state_of_before_is_read_in_pages_too() {
    let site = Site::with(YAML);
    let api = site.api();
    let then = site.content().show["resources"].clone();
    let all = [overwrite("a", "two", "2"), delete("b", "one"), add("z", "x")];
    assert_eq!(applied(post(&api, 1, &changeset(1, &all))), 2);
    assert_eq!(Json::from(paged(&api, "/v1/resources?at=1&limit=3").0), then);
    assert_eq!(Json::from(paged(&api, "/v1/resources?at=2&limit=3").0), site.content().show["resources"]);
    let answer = api.get("/v1/resources?at=99");
    assert!((400..500).contains(&answer.status), "{answer}");
}

#[test]
fn lines_are_the_same_between_a_head_and_a_tail() {
    let site = Site::with(YAML);
    let api = site.api();
    let all = site.content().show["resources"].as_array().unwrap().clone();
    let answer = api.stream("/v1/resources").expect(200);
    assert!(answer.header("content-type").starts_with(NDJSON));
    assert_eq!(answer.header("etag"), "\"1\"");
    assert!(answer.body.ends_with('\n'));
    let lines = answer.lines();
    assert_eq!((lines[0]["revision"].as_u64(), lines[0]["outside_writes"].as_u64()), (Some(1), Some(0)));
    assert_eq!(lines[1..lines.len() - 1], all);
    assert_eq!(lines[lines.len() - 1], serde_json::json!({ "next": null }));
    // And in pages.
    let (mut found, mut next) = (Vec::new(), Some("/v1/resources?limit=4".to_owned()));
    while let Some(url) = next {
        let mut lines = api.stream(&url).expect(200).lines();
        next = lines.pop().unwrap()["next"].as_str().map(str::to_owned);
        found.extend(lines.drain(1..));
    }
    assert_eq!(found, all);
    let keys = api.stream("/v1/resources?view=keys").expect(200).lines();
    let of = |all: &[Json]| {
        all.iter().map(|one| (one["kind"].clone(), one["key"].clone(), one["owner"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(of(&keys[1..keys.len() - 1]), of(&all));
    assert!(keys[1].get("fields").is_none());
}

#[test]
fn rows_are_asked_for_by_key() {
    let site = Site::with(YAML);
    let api = site.api();
    let body = serde_json::json!({ "kind": "account", "keys": [["a"], ["nobody"], ["b"], ["日本"]] });
    let lines = api.post("/v1/resources/query", &body).expect(200).lines();
    assert_eq!(addresses(&lines[1..lines.len() - 1]), ["account/a", "account/b", "account/日本"]);
    assert_eq!(lines[lines.len() - 1]["next"], Json::Null);
    let text = body.to_string();
    let pinned = |revision: u64| {
        let path = format!("/v1/resources/query?revision={revision}");
        api.call(reqwest::Method::POST, &path, &[("content-type", "application/json")], text.clone())
    };
    pinned(1).expect(200);
    pinned(0).problem(410);
}

#[test]
fn what_is_no_number_or_address_is_said() {
    let site = Site::with(YAML);
    let api = site.api();
    for query in [
        "limit=0",
        "limit=1000001",
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "kind=mailbox",
        "kind=",
        "after=nonsense",
        "after=account",
        "after=pattern%2Fx",
        "revision=x",
        "at=-1",
        "at=x",
        "view=everything",
    ] {
        let answer = api.get(&format!("/v1/resources?{query}"));
        assert!(matches!(answer.status, 400 | 422), "{query}: {answer}");
        answer.problem(answer.status);
    }
    for path in ["/v1/nothing", "/v2/revision", "/", "/v1/revisions/99", "/v1/resources/account%2Fnobody/versions"] {
        api.get(path).problem(404);
    }
    for path in ["/v1/revisions/x", "/v1/resources/nonsense/versions"] {
        let answer = api.get(path);
        assert!(matches!(answer.status, 400 | 404 | 422), "{answer}");
        answer.problem(answer.status);
    }
    api.call(reqwest::Method::PUT, "/v1/revision", &[], "x").problem(405);
    api.delete("/v1/resources").problem(405);
}

#[test]
fn the_log_is_that_of_the_program() {
    let site = Site::with(YAML);
    let api = site.api();
    for revision in 1..6 {
        let (before, after) =
            (if revision == 1 { "two".to_owned() } else { revision.to_string() }, (revision + 1).to_string());
        applied(post(&api, revision, &changeset(revision, &[overwrite("a", &before, &after)])));
    }
    let log = site.content().log["revisions"].clone();
    assert_eq!(api.get("/v1/revisions").expect(200).json()["revisions"], log);
    let two = api.get("/v1/revisions?limit=2").expect(200).json()["revisions"].clone();
    assert_eq!(two.as_array().unwrap()[..], log.as_array().unwrap()[..2]);
    let rest = api.get("/v1/revisions?after=5").expect(200).json()["revisions"].clone();
    assert_eq!(rest.as_array().unwrap()[..], log.as_array().unwrap()[2..], "what comes after 5, newest first");
    let one = api.get("/v1/revisions/3").expect(200).json();
    assert_eq!(one["revision"], log[3]);
    let change = &one["changes"][0];
    assert_eq!((change["action"].as_str(), change["address"].as_str()), (Some("overwrite"), Some("account/a")));
    let versions = api.get("/v1/resources/account%2Fa/versions").expect(200).json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 6, "{versions}");
    assert_eq!(api.get("/v1/drift").expect(200).json()["drift"], serde_json::json!([]));
    assert_eq!(api.get("/v1/disabled").expect(200).json()["disabled"], serde_json::json!([]));
}

/// Whoever has the state need not get it again.
#[test]
fn many_read_at_once_while_it_changes_and_each_sees_one_state() {
    let site = Site::with("accounts: { a: { comment: '1' }, b: { comment: '1' } }");
    let api = site.api();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0;
                    while start.elapsed() < Duration::from_secs(2) {
                        let page = api.get("/v1/resources").expect(200).json();
                        let comment = page["resources"][0]["fields"]["comment"].clone();
                        assert_eq!(comment, page["resources"][1]["fields"]["comment"], "half a revision");
                        assert_eq!(comment, page["revision"].to_string());
                        seen = seen.max(page["revision"].as_u64().unwrap());
                    }
                    seen
                })
            })
            .collect();
        let mut revision = 1;
        while start.elapsed() < Duration::from_secs(2) {
            let (before, after) = (revision.to_string(), (revision + 1).to_string());
            let both = ["a", "b"].map(|name| overwrite(name, &before, &after));
            revision = applied(post(&api, revision, &changeset(revision, &both)));
        }
        for reader in readers {
            assert!(reader.join().unwrap() > 1);
        }
    });
}
