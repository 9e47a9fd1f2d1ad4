//! Answers that break off, that come late, that say no.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use yubin::model::{Approval, Code, Key, Kind, Lead};
use yubin::store::{Snapshot, Store};

use super::server::{Reply, Server, TOKEN};
use super::{answer, client, expect_error, problem, project, rows};
use crate::support::{Run, World};

fn snapshot(url: &str) -> Box<dyn Snapshot> {
    client(url).snapshot().unwrap().unwrap()
}

fn names(snapshot: &dyn Snapshot) -> Vec<String> {
    let inventory = snapshot.inventory("head-office").unwrap();
    let accounts = inventory.of(Kind::Account);
    (0..accounts.len() as u32).map(|at| accounts.key(at).name().to_owned()).collect()
}

fn scanned(snapshot: &dyn Snapshot) -> Vec<String> {
    let mut names = Vec::new();
    let mut take = |row: yubin::model::Row| {
        names.push(row.key.name().to_owned());
        Ok(())
    };
    snapshot.scan(Kind::Account, &mut take).unwrap();
    names
}

#[test]
fn an_answer_that_is_cut_anywhere_is_read_to_its_end() {
    let all = rows(24);
    let expected: Vec<String> = all.iter().map(|row| row.key.name().to_owned()).collect();
    let length = 3_600;
    let offsets: Arc<Mutex<Vec<usize>>> =
        Arc::new(Mutex::new((0..length).step_by(61).chain([1, 2, 50, 51, 52]).collect()));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let Some(offset) = offsets.lock().unwrap().pop() else { return };
                    let all = all.clone();
                    // Every other answer is cut there, those behind the first one too.
                    let server = Server::start(move |number, request| {
                        let reply = answer(request, &all, 1, 1_000);
                        if number % 2 == 0 { reply.cut(offset) } else { reply }
                    });
                    let snapshot = snapshot(&server.url());
                    assert_eq!(names(&*snapshot), expected, "cut at {offset}");
                    assert_eq!(scanned(&*snapshot), expected, "cut at {offset}");
                    let keys: Vec<Key> = all_keys(&expected);
                    let fetched = snapshot.fetch(Kind::Account, &keys).unwrap();
                    assert_eq!(fetched.len(), expected.len(), "cut at {offset}");
                }
            });
        }
    });
}

fn all_keys(names: &[String]) -> Vec<Key> {
    names.iter().map(|name| Key::single(name)).collect()
}

#[test]
fn pages_are_read_one_after_the_other_and_pinned() {
    let all = rows(25);
    let server = Server::start(move |_, request| answer(request, &all, 7, 10));
    let snapshot = snapshot(&server.url());
    assert_eq!(names(&*snapshot).len(), 25);
    assert_eq!(snapshot.base().revision, 7);
    let seen = server.seen();
    assert_eq!(seen.len(), 3, "25 resources are three pages of ten, and nothing else");
    assert_eq!(seen[0].query("revision"), None);
    assert!(seen[1..].iter().all(|request| request.query("revision").as_deref() == Some("7")));
    assert_eq!(seen[2].query("after").unwrap(), "account/a0019");
    for request in &seen {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert_eq!(request.header("yubin-project"), Some("head-office"));
        assert_eq!(request.header("yubin-client-key").unwrap().len(), 64);
        assert_eq!(request.header("accept-encoding"), None, "on loopback nothing is packed");
        assert_eq!(request.query("view").as_deref(), Some("keys"));
    }
    assert!(snapshot.drift().unwrap().is_empty() && snapshot.disabled().unwrap().is_empty());
    assert_eq!(server.seen().len(), 3, "nobody asks for what the head says is not there");
}

#[test]
fn rows_are_asked_for_once() {
    let all = rows(9);
    let server = Server::start(move |_, request| answer(request, &all, 7, 100));
    let snapshot = snapshot(&server.url());
    let keys = all_keys(&["a0001", "a0003", "nobody", "a0004"].map(str::to_owned));
    for _ in 0..2 {
        let found = snapshot.fetch(Kind::Account, &keys).unwrap();
        assert_eq!(found.iter().map(|row| row.key.name()).collect::<Vec<_>>(), ["a0001", "a0003", "a0004"]);
    }
    let queries = server.seen().iter().filter(|request| request.method == "POST").count();
    assert_eq!(queries, 1);
}

#[test]
fn a_store_that_moves_is_read_anew_until_something_of_it_is_used() {
    let (all, revision) = (rows(5), Arc::new(AtomicUsize::new(1)));
    let (moving, now) = (Arc::clone(&revision), Arc::clone(&revision));
    let server = Server::start(move |number, request| {
        let reply = answer(request, &all, now.load(Ordering::Relaxed) as u64, 1_000);
        if number == 0 {
            // While the first answer is read, somebody applies.
            now.store(2, Ordering::Relaxed);
            return reply.cut(150);
        }
        reply
    });
    let snapshot = snapshot(&server.url());
    assert_eq!(names(&*snapshot).len(), 5);
    assert_eq!(snapshot.base().revision, 2);
    moving.store(3, Ordering::Relaxed);
    let error = expect_error(snapshot.fetch(Kind::Account, &[Key::single("a0001")]));
    assert_eq!((error.code, error.about), (Code::Conflict, Some("store/gone")));
}

#[test]
fn a_plan_of_a_store_that_never_rests_is_given_up() {
    let all = rows(5);
    let moving = AtomicUsize::new(0);
    let server = Server::start(move |_, request| {
        let revision = moving.fetch_add(1, Ordering::Relaxed) as u64;
        if request.query("revision").is_some() {
            return problem(410, "store/gone", "that state is gone");
        }
        answer(request, &all, revision, 1_000).cut(200)
    });
    let world = project(&server);
    let run = run(&world, &["plan"]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(run.stderr.contains("the store has moved while it was read"), "{}", run.stderr);
}

fn run(world: &World, args: &[&str]) -> Run {
    let run = Run::of(world.command(args).env("YUBIN_TOKEN", TOKEN).output().unwrap());
    assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN), "{}{}", run.stdout, run.stderr);
    run
}

#[test]
fn a_plan_is_sent_until_it_has_arrived_and_applied_once() {
    let server = Server::start(|number, request| match (request.path(), number) {
        ("/v1/changesets", 1) => problem(503, "store/busy", "busy").with("Retry-After", "0"),
        ("/v1/changesets", 2) => Reply::silence(),
        ("/v1/changesets", 3) => problem(400, "request/invalid", "the body is empty"),
        ("/v1/changesets", _) => Reply::new(200, json!({ "revision": 8, "again": true }).to_string()),
        _ => answer(request, &[], 7, 1_000),
    });
    let world = project(&server);
    let run = run(&world, &["apply", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("revision 8"), "{}", run.stderr);
    let sent: Vec<_> = server.seen().into_iter().filter(|request| request.path() == "/v1/changesets").collect();
    let [first, second, asked, third] = &sent[..] else { panic!("{} requests", sent.len()) };
    let key = first.header("idempotency-key").unwrap();
    for one in [first, second, third] {
        assert!(one.whole && one.body == first.body, "each time the whole plan is written anew");
        assert_eq!(one.header("idempotency-key"), Some(key));
        assert_eq!(one.header("if-match"), Some("\"7\""));
        assert_eq!(one.header("content-type"), Some("application/x-ndjson"));
    }
    // What asks why nothing came back can change nothing.
    assert_eq!((asked.body.len(), asked.header("idempotency-key")), (0, None));
    assert_eq!(asked.query("rehearse").as_deref(), Some("true"));
    let lines: Vec<&str> = std::str::from_utf8(&first.body).unwrap().lines().collect();
    assert_eq!(lines.len(), 3, "a head, and a line for each change");
}

#[test]
fn an_answer_that_is_lost_for_good_is_said_to_be_lost() {
    let server = Server::start(|_, request| match request.path() {
        "/v1/changesets" => Reply::silence(),
        _ => answer(request, &[], 7, 1_000),
    });
    let run = run(&project(&server), &["apply", "--yes"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("whether the plan has been applied is not known"), "{}", run.stderr);
}

#[test]
fn what_a_server_refuses_ends_as_it_would_beside_the_store() {
    let refused = json!({
        "title": "x", "status": 422, "code": "plan/refused", "detail": "the plan is refused",
        "refused": [{ "rule": "protected", "message": "`account/b` is protected" }],
    });
    let invalid = json!({
        "title": "x", "status": 422, "code": "changeset/wrong", "detail": "the changes are wrong",
        "diagnostics": [{ "severity": "error", "code": "x/y", "message": "this is no value" }],
    });
    let table: Vec<(Reply, i32, &str)> = vec![
        (problem(412, "store/moved", "the store is at 9"), 5, "the store is at 9"),
        (problem(412, "store/moved", ""), 5, "the store has moved since the plan was made"),
        (problem(409, "store/busy", "held by taro"), 5, "held by taro"),
        (problem(503, "store/busy", "held by taro").with("Retry-After", "0"), 5, "held by taro"),
        (Reply::new(422, refused.to_string()), 4, "protected: `account/b` is protected"),
        (Reply::new(422, invalid.to_string()), 3, "this is no value"),
        (problem(401, "token/unknown", "no"), 1, "does not know this token"),
        (problem(403, "token/scope", "it has `read`, and this takes `apply`"), 1, "it has `read`"),
        (problem(413, "request/too-long", "more than 5 MiB"), 1, "more than 5 MiB"),
        (problem(429, "server/rate", "slow down").with("Retry-After", "0"), 1, "slow down"),
        (problem(500, "server/failed", "the server failed"), 1, "500"),
        (Reply::new(500, "<html>"), 1, "500"),
        (Reply::new(200, "nonsense"), 1, "does not understand"),
        // A server that repeats what it was sent.
        (problem(422, "plan/refused", &format!("Authorization: Bearer {TOKEN}")), 4, "Bearer (token)"),
        (problem(400, TOKEN, TOKEN), 1, "(token)"),
    ];
    for (reply, code, said) in table {
        let given = reply.clone();
        let server = Server::start(move |_, request| match request.path() {
            "/v1/changesets" => given.clone(),
            _ => answer(request, &[], 7, 1_000),
        });
        let run = run(&project(&server), &["apply", "--yes"]);
        assert_eq!(run.code, code, "{reply:?}\n{}", run.stderr);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
}

#[test]
fn what_passes_is_waited_for_and_what_lasts_is_said() {
    let all = rows(3);
    let server = Server::start(move |number, request| match number {
        0 => Reply::stranger(502, "a proxy"),
        1 => problem(429, "server/rate", "slow down").with("Retry-After", "0"),
        2 => Reply::silence(),
        _ => answer(request, &all, 7, 1_000),
    });
    assert_eq!(names(&*snapshot(&server.url())).len(), 3);
    let server = Server::start(|_, _| Reply::stranger(502, "a proxy"));
    let error = expect_error(client(&server.url()).snapshot()).to_string();
    assert!(error.contains("is not ready") && error.contains("502"), "{error}");
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn a_secret_of_a_project_stays_with_its_server() {
    let server = Server::start(|_, request| answer(request, &rows(3), 7, 1_000));
    let world = project(&server);
    for args in
        [&["store", "rekey", "--yes"][..], &["snapshot", "--redacted"], &["export", "catchme-mail", "--out", "x.csv"]]
    {
        let run = run(&world, args);
        assert_eq!(run.code, 1, "{args:?} {}", run.stderr);
        assert!(run.stderr.contains("stays with its server"), "{args:?} {}", run.stderr);
    }
}

#[test]
fn watchers_ask_again_and_an_older_server_is_said_to_be_one() {
    let server = Server::start(|number, request| match number {
        0 => Reply::stranger(502, "a proxy"),
        1 => Reply::silence(),
        2 => Reply::new(200, "{\"held\":true,\"holder\":\"a\"}").cut(5),
        _ => {
            assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/v1/projects/%E4%BA%8C/lead"));
            assert_eq!(request.header("content-type"), Some("application/json"));
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body, json!({ "holder": "a", "seconds": 1.5 }));
            Reply::new(200, "{\"format_version\":1,\"held\":false,\"holder\":\"b\"}")
        }
    });
    let http = client(&server.url());
    let found = http.turns().unwrap().lead("二", "a", Duration::from_millis(1500)).unwrap();
    assert_eq!((found, server.seen().len()), (Lead::Other { holder: "b".to_owned() }, 4));

    let server = Server::start(|_, _| problem(404, "request/not-found", "there is nothing at this path"));
    let http = client(&server.url());
    let turns = http.turns().unwrap();
    let approval = Approval { digest: "1".repeat(64), actor: "taro".to_owned(), at: String::new() };
    for error in [
        turns.lead("p", "a", Duration::from_secs(1)).map(drop),
        turns.resign("p", "a"),
        turns.approve("p", &approval),
        turns.approvals("p").map(drop),
    ] {
        let error = expect_error(error);
        assert!(error.to_string().contains("knows nothing of watchers"), "{error}");
        assert!(error.hint.unwrap().contains("newer yubin"));
    }
    assert_eq!(server.seen().len(), 4);
    // No address can name it.
    assert!(turns.lead("..", "a", Duration::from_secs(1)).is_err());
    assert_eq!(server.seen().len(), 4);
}
