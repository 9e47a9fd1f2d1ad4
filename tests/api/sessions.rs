//! Who is logged in to the mail product, and whom an apply logs out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Site, applied, changeset, overwrite, post};
use crate::cli::database;
use crate::support::http::Caller;

const YAML: &str = "accounts: { a: { comment: x } }
patterns: { taro: { p: { organization: x }, q: {} }, jiro: { p: { organization: x } }, 'ü/1': { p: {} } }
";

#[track_caller]
fn login(api: &Caller, id: &str, user: &str) {
    let answer = api.post("/v1/sessions", &json!({ "id": id, "user": user }));
    assert!(matches!(answer.status, 200 | 201 | 204), "{answer}");
}

/// `ID USER` of each session.
#[track_caller]
fn sessions(api: &Caller) -> Vec<String> {
    let answer = api.get("/v1/sessions").expect(200).json();
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    answer["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", text(&one["id"]), text(&one["user"])))
        .collect()
}

fn pattern(user: &str, before: &str, after: &str) -> Json {
    json!({ "action": "overwrite", "address": format!("pattern/{user}/p"), "kind": "pattern", "key": [user, "p"],
        "source": { "file": "a.yaml", "line": 1, "column": 1 },
        "fields": [{ "field": "organization", "before": before, "after": after }] })
}

#[test]
fn sessions_are_registered_listed_and_ended() {
    let site = Site::with(YAML);
    let api = site.api();
    assert!(sessions(&api).is_empty());
    for (id, user) in [("s2", "taro"), ("s1", "jiro"), ("s3", "taro"), ("a/b c", "ü/1")] {
        login(&api, id, user);
    }
    assert_eq!(sessions(&api), ["a/b c ü/1", "s1 jiro", "s2 taro", "s3 taro"]);
    // The same once more changes nothing; the id of another user's is taken.
    login(&api, "s1", "jiro");
    let answer = api.post("/v1/sessions", &json!({ "id": "s1", "user": "taro" }));
    assert!(matches!(answer.status, 409 | 422), "{answer}");
    answer.problem(answer.status);
    assert_eq!(sessions(&api).len(), 4);
    let answer = api.delete("/v1/sessions/a%2Fb%20c");
    assert!(matches!(answer.status, 200 | 204), "{answer}");
    api.delete("/v1/sessions/a%2Fb%20c").problem(404);
    assert_eq!(sessions(&api), ["s1 jiro", "s2 taro", "s3 taro"]);
    for wrong in [
        json!({}),
        json!({ "id": "x" }),
        json!({ "user": "taro" }),
        json!({ "id": "", "user": "taro" }),
        json!({ "id": 1, "user": "taro" }),
        json!({ "id": "x", "user": "taro", "expires": 1 }),
        json!([]),
        json!({ "id": "x".repeat(100_000), "user": "taro" }),
    ] {
        let answer = api.post("/v1/sessions", &wrong);
        assert!(matches!(answer.status, 400 | 413 | 422), "{answer}");
        answer.problem(answer.status);
    }
    // It is no revision.
    assert_eq!(site.content().revision(), 1);
}

#[test]
fn a_changeset_ends_the_sessions_of_whom_it_touches() {
    let site = Site::with(YAML);
    let api = site.api();
    for (id, user) in [("t1", "taro"), ("t2", "taro"), ("j", "jiro"), ("n", "nobody")] {
        login(&api, id, user);
    }
    // Accounts log nobody out; what is refused neither.
    applied(post(&api, 1, &changeset(1, &[overwrite("a", "x", "y")])));
    post(&api, 2, &changeset(2, &[pattern("taro", "wrong", "y")])).problem(422);
    post(&api, 1, &changeset(1, &[pattern("taro", "x", "y")])).problem(412);
    assert_eq!(sessions(&api).len(), 4);
    let answer = post(&api, 2, &changeset(2, &[pattern("taro", "x", "y")])).expect(200);
    assert_eq!(answer.json()["effects"], json!([{ "effect": "logout", "user": "taro", "address": "pattern/taro/p" }]));
    assert_eq!(sessions(&api), ["j jiro", "n nobody"]);
    // They may come again.
    login(&api, "t1", "taro");
    assert_eq!(sessions(&api).len(), 3);
}

/// Without the server, on the same store.
#[test]
fn an_apply_beside_the_server_ends_them_too() {
    let site = Site::with(YAML);
    let api = site.api();
    for (id, user) in [("t", "taro"), ("j", "jiro"), ("u", "ü/1"), ("n", "nobody")] {
        login(&api, id, user);
    }
    site.world.write("a.yaml", YAML.replace("taro: { p: { organization: x }", "taro: { p: { organization: y }"));
    let plan = site.world.json(0, &["plan"]);
    assert_eq!(plan["effects"][0]["user"], "taro");
    assert_eq!(sessions(&api).len(), 4, "a plan is no apply");
    site.world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(sessions(&api), ["j jiro", "n nobody", "u ü/1"]);
    // A delete of a pattern; and the client that has its store there.
    site.world.write("a.yaml", YAML.replace(", 'ü/1': { p: {} }", ""));
    site.run(0, &["apply", "--yes"]);
    assert_eq!(sessions(&api), ["j jiro", "n nobody"]);
    login(&api, "t", "taro");
    site.run(0, &["undo", "2", "--yes"]);
    assert_eq!(sessions(&api), ["j jiro", "n nobody"]);
}

/// Nobody ever sees the new state and a session that was to end with the old one.
#[test]
fn they_end_in_the_transaction_of_the_apply() {
    let site = Site::with(YAML);
    let api = site.api();
    login(&api, "t", "taro");
    let reader = database(&site.world);
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '%session%'";
    let table: String = reader.query_row(tables, [], |row| row.get(0)).unwrap();
    let sql = format!(
        "SELECT (SELECT organization FROM pattern WHERE user = 'taro' AND name = 'p'), (SELECT count(*) FROM {table} WHERE user = 'taro')"
    );
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut revision, mut before) = (1, "x".to_owned());
            for round in 0..40 {
                let after = format!("r{round}");
                revision = applied(post(&api, revision, &changeset(revision, &[pattern("taro", &before, &after)])));
                before = after;
                assert!(sessions(&api).is_empty(), "round {round}");
                // Whoever logs in again does it after the apply, so the count says which state belongs to it.
                if round % 2 == 1 {
                    login(&api, "t", "taro");
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        let start = Instant::now();
        while !done.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(60) {
            let (organization, count): (String, u64) =
                reader.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            // After an even round nobody has logged in again.
            let even = organization.strip_prefix('r').is_some_and(|n| n.parse::<u32>().unwrap() % 2 == 0);
            assert!(!even || count == 0, "{organization} with {count}");
        }
        assert!(done.load(Ordering::SeqCst));
    });
}

/// What an apply starts while many log in, ends those that were there before it.
#[test]
fn a_user_who_logs_in_meanwhile_is_either_ended_or_came_later() {
    let site = Site::with(YAML);
    let api = site.api();
    for round in 0..10_u64 {
        let (before, after) = (if round == 0 { "x".to_owned() } else { round.to_string() }, (round + 1).to_string());
        login(&api, "before", "taro");
        std::thread::scope(|scope| {
            scope.spawn(|| login(&api, &format!("during-{round}"), "taro"));
            applied(post(&api, round + 1, &changeset(round + 1, &[pattern("taro", &before, &after)])));
        });
        assert!(!sessions(&api).contains(&"before taro".to_owned()), "round {round}");
        let _ = api.delete(&format!("/v1/sessions/during-{round}"));
    }
    assert_eq!(site.content().revision(), 11);
}
