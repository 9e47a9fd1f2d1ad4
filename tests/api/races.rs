//! Several servers over one store, and several who apply: every change is there once, in some order.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{OTHER, PROJECT, Site, add, changeset, overwrite, post, post_with, remote, sharing, token};
use crate::support::World;
use crate::support::http::Caller;
use crate::support::server::{DEADLINE, Server, run_within};

/// A site, and callers of its server and of a second one over the same store.
fn two_servers(site: &Site) -> (Server, [Caller; 2]) {
    let second = Server::start(&site.world);
    let callers = [site.api(), Caller { base: second.url(), ..site.api() }];
    (second, callers)
}

/// Each counts one up, from what it sees, until all have done it often enough.
#[test]
fn counters_lose_no_step() {
    const EACH: usize = 12;
    let site = Site::with("accounts: { a: { comment: '0' } }");
    let (_second, callers) = two_servers(&site);
    let mut revisions: Vec<u64> = std::thread::scope(|scope| {
        let count = |caller: Caller| {
            let (mut made, start) = (Vec::new(), Instant::now());
            while made.len() < EACH {
                assert!(start.elapsed() < DEADLINE, "no progress: {made:?}");
                let page = caller.get("/v1/resources").expect(200).json();
                let revision = page["revision"].as_u64().unwrap();
                let before = page["resources"][0]["fields"]["comment"].as_str().unwrap().to_owned();
                let after = (before.parse::<u64>().unwrap() + 1).to_string();
                let answer = post(&caller, revision, &changeset(revision, &[overwrite("a", &before, &after)]));
                match answer.status {
                    200 => made.push(answer.json()["revision"].as_u64().unwrap()),
                    412 | 503 => {
                        answer.problem(answer.status);
                    }
                    _ => panic!("{answer}"),
                }
            }
            made
        };
        let all: Vec<_> =
            (0..4).map(|n| callers[n % 2].clone()).map(|caller| scope.spawn(move || count(caller))).collect();
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    revisions.sort_unstable();
    assert_eq!(revisions, (2..2 + 4 * EACH as u64).collect::<Vec<_>>());
    let content = site.content();
    assert_eq!(content.field("account/a", "comment"), &json!((4 * EACH).to_string()));
    assert_eq!(content.revision(), 1 + 4 * EACH as u64);
}

/// The same request to both, at once and again: one revision.
#[test]
fn a_key_holds_across_servers() {
    let site = Site::new();
    let (_second, callers) = two_servers(&site);
    for round in 0..10_u64 {
        let body = changeset(round, &[add(&format!("a{round}"), "x")]);
        let key = format!("round-{round}");
        let call = |caller: &Caller| {
            let start = Instant::now();
            loop {
                let answer = post_with(caller, round, &[("idempotency-key", &key)], &body);
                match answer.status {
                    200 => break answer.json()["revision"].as_u64().unwrap(),
                    409 | 503 if start.elapsed() < DEADLINE => std::thread::sleep(Duration::from_millis(20)),
                    _ => panic!("{answer}"),
                }
            }
        };
        let made: BTreeSet<u64> = std::thread::scope(|scope| {
            let call = &call;
            let all: Vec<_> = callers.iter().cycle().take(4).map(|caller| scope.spawn(move || call(caller))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(made, BTreeSet::from([round + 1]));
    }
    assert_eq!(site.content().revision(), 10);
}

/// Another project's folder, whose token is its own.
fn project_of(site: &Site, name: &str) -> (World, String) {
    let world = sharing(&site.world, name);
    (world, token(&site.world, "apply", &[name]))
}

/// Two projects apply through two servers, again and again.
#[test]
fn two_appliers_at_two_servers_get_all_their_changes_in() {
    const ROUNDS: usize = 8;
    let site = Site::new();
    let (second, _) = two_servers(&site);
    let projects: Vec<_> = [PROJECT, OTHER].into_iter().zip([site.server.url(), second.url()]).collect();
    let totals: Vec<usize> = std::thread::scope(|scope| {
        let all: Vec<_> = projects
            .iter()
            .map(|(name, url)| {
                let site = &site;
                scope.spawn(move || {
                    let (world, token) = project_of(site, name);
                    let mut conflicts = 0;
                    for round in 0..ROUNDS {
                        let yaml = crate::cli::concat(0..40, |n| format!("  {name}-{n}: {{ comment: '{round}' }}\n"));
                        world.write("a.yaml", format!("accounts:\n{yaml}"));
                        let start = Instant::now();
                        loop {
                            let run = run_within(&mut remote(&world, url, &token, &["apply", "--yes", "-q"]), DEADLINE);
                            match run.code {
                                0 => break,
                                5 if start.elapsed() < DEADLINE => conflicts += 1,
                                code => panic!("{code}: {}{}", run.stdout, run.stderr),
                            }
                        }
                    }
                    conflicts
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let content = site.content();
    assert_eq!(content.revision(), 2 * ROUNDS as u64, "conflicts: {totals:?}");
    assert_eq!(content.addresses().len(), 80);
    for entry in content.log["revisions"].as_array().unwrap() {
        let summary = &entry["summary"];
        let (adds, overwrites) = (summary["add"].as_u64().unwrap(), summary["overwrite"].as_u64().unwrap());
        assert!(matches!((adds, overwrites), (40, 0) | (0, 40)), "{entry}");
    }
    for (name, _) in &projects {
        let last = format!("account/{name}-39");
        assert_eq!(content.field(&last, "comment"), &json!((ROUNDS - 1).to_string()));
    }
}

/// One at the server, one beside it.
#[test]
fn an_applier_beside_the_server_is_one_of_them() {
    let site = Site::new();
    let other = sharing(&site.world, OTHER);
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| {
            for round in 0..8 {
                other.write("a.yaml", format!("accounts: {{ o: {{ comment: '{round}' }} }}"));
                let start = Instant::now();
                while run_within(&mut other.command(&["apply", "--yes", "-q"]), DEADLINE).code == 5 {
                    assert!(start.elapsed() < DEADLINE);
                }
            }
        });
        for round in 0..8 {
            site.world.write("b.yaml", format!("accounts: {{ h: {{ comment: '{round}' }} }}"));
            let start = Instant::now();
            loop {
                let run = run_within(&mut site.command(&["apply", "--yes", "-q"]), DEADLINE);
                assert!(matches!(run.code, 0 | 5), "{}", run.stderr);
                if run.code == 0 {
                    break;
                }
                assert!(start.elapsed() < DEADLINE);
            }
        }
        beside.join().unwrap();
    });
    let content = site.content();
    assert_eq!(content.revision(), 16);
    assert_eq!(
        (content.field("account/o", "comment"), content.field("account/h", "comment")),
        (&json!("7"), &json!("7"))
    );
}

/// What one server has answered is what the other answers next.
#[test]
fn servers_tell_the_same() {
    let site = Site::with("accounts: { a: { comment: '0' } }");
    let (_second, callers) = two_servers(&site);
    for round in 0..20_u64 {
        let (before, after) = (round.to_string(), (round + 1).to_string());
        let one = &callers[usize::from(round % 2 == 0)];
        let two = &callers[usize::from(round % 2 == 1)];
        assert_eq!(
            super::applied(post(one, round + 1, &changeset(round + 1, &[overwrite("a", &before, &after)]))),
            round + 2
        );
        assert_eq!(two.get("/v1/revision").json()["revision"], round + 2);
        assert_eq!(two.get("/v1/resources").json(), one.get("/v1/resources").json());
        // A token that is new at one is known to the other, and a session, too.
        let answer = one.post("/v1/sessions", &json!({ "id": format!("s{round}"), "user": "taro" }));
        assert!(answer.status < 300, "{answer}");
        assert_eq!(two.get("/v1/sessions").json()["sessions"].as_array().unwrap().len() as u64, round + 1);
    }
}
