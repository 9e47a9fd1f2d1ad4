//! Of several watchers one leads, and whatever becomes of it, everything is applied once.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::support::{Watcher, command, eventually};
use super::{FREE, accounts, comment, project, revisions};
use crate::support::World;

const MANY: usize = 20_000;
/// Of [`super::support::QUICK`].
const DEBOUNCE: Duration = Duration::from_millis(50);

fn patterns(organization: &str) -> String {
    let mut csv = "user,name,organization,incoming.host,outgoing.host\n".to_owned();
    for number in 0..MANY {
        writeln!(csv, "u{:03},p{number:05},{organization},pop.xxx.jp,smtp.xxx.jp", number % 997).unwrap();
    }
    csv
}

/// Waits until this one leads.
#[track_caller]
fn leads(watcher: &Watcher) {
    eventually("the lead", || watcher.status()["role"] == "leader");
}

#[track_caller]
fn stands_by(watcher: &mut Watcher) {
    watcher.demand(watcher.started()["role"] == "standby", "two lead");
    let waiting = watcher.next("waiting");
    assert_eq!(waiting["reason"], "standby");
    assert_eq!(
        (watcher.status()["role"].clone(), watcher.status()["state"].clone()),
        ("standby".into(), "standby".into())
    );
    let ready = watcher.port().get("/readyz").expect(200);
    assert_eq!(ready.body.trim(), "standby");
}

#[test]
fn one_leads_and_the_other_takes_over_when_it_ends() {
    let world = project("");
    world.expect(0, &["apply", "--yes", "-q"]);
    let args = ["--lease", "15s"];
    let mut first = Watcher::served(&world, &args);
    first.next("unchanged");
    assert_eq!(first.started()["role"], "leader");
    let mut second = Watcher::served(&world, &args);
    stands_by(&mut second);
    world.write("a.yaml", accounts(3, "two"));
    first.next("synced");
    second.quiet_or("waiting");
    assert_eq!(revisions(&world), 2);
    let (status, _) = first.stop();
    assert_eq!(status.code(), Some(0));
    let since = Instant::now();
    leads(&second);
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    world.write("a.yaml", accounts(3, "three"));
    second.until("synced");
    assert_eq!((comment(&world, "a000"), revisions(&world)), ("three".into(), 3));
    assert_eq!(second.status()["state"], "in_sync");
    // A third stands by behind the second.
    let mut third = Watcher::served(&world, &args);
    stands_by(&mut third);
}

/// Whoever makes the store leads from then on.
#[test]
fn the_first_watcher_of_a_new_store_leads() {
    let world = project("");
    let args = ["--lease", "2m"];
    let mut first = Watcher::served(&world, &args);
    first.next("synced");
    let mut second = Watcher::served(&world, &args);
    stands_by(&mut second);
    assert_eq!(first.status()["role"], "leader");
}

#[test]
fn a_killed_leader_is_followed_when_its_lease_is_out() {
    let world = project("");
    world.expect(0, &["apply", "--yes", "-q"]);
    let args = ["--lease", "2s"];
    let mut first = Watcher::served(&world, &args);
    first.next("unchanged");
    let mut second = Watcher::served(&world, &args);
    stands_by(&mut second);
    // For much longer than a lease, the leader stays the leader.
    thread::sleep(Duration::from_secs(5));
    assert_eq!((first.status()["role"].clone(), second.status()["role"].clone()), ("leader".into(), "standby".into()));
    first.kill();
    let since = Instant::now();
    world.write("a.yaml", accounts(3, "two"));
    second.until("synced");
    let took = since.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!((comment(&world, "a000"), revisions(&world)), ("two".into(), 2));
}

/// Leases are for a project: another one in the same store has a leader of its own.
#[test]
fn each_project_has_a_leader_of_its_own() {
    let world = project("");
    let other = World::new();
    other.write("yubin.yaml", "version: 1\nname: sales\n");
    other.write("a.yaml", "accounts: { s: { comment: x } }\n");
    let mut first = Watcher::synced(&world, &[]);
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    let mut second = Watcher::start(&other, &["--store", &store]);
    assert_eq!(second.started()["role"], "leader");
    second.until("synced");
    world.write("a.yaml", accounts(3, "two"));
    first.until("synced");
    assert_eq!(revisions(&world), 3);
}

/// A lease is no revision, no drift, and lapses no saved plan.
#[test]
fn leading_changes_nothing_in_the_store() {
    let world = project("sync: { pause_file: PAUSE }\n");
    let mut watcher = Watcher::synced(&world, &["--lease", "1s"]);
    let before = world.json(0, &["show"]);
    thread::sleep(Duration::from_secs(3));
    watcher.quiet();
    assert_eq!(world.json(0, &["show"]), before);
    assert_eq!(world.json(0, &["drift"])["drift"].as_array().unwrap().len(), 0);
    watcher.stop();
    world.write("PAUSE", "");
    world.write("a.yaml", accounts(3, "two"));
    world.expect(0, &["plan", "--out", "plan.json"]);
    let mut watcher = Watcher::start(&world, &["--lease", "1s"]);
    assert_eq!(watcher.next("waiting")["reason"], "paused");
    thread::sleep(Duration::from_secs(2));
    world.expect(0, &["apply", "plan.json"]);
}

/// Killed in the middle of a large apply: the next one ends it, and nothing is applied twice.
#[test]
fn a_leader_that_is_killed_while_it_applies_leaves_nothing_half() {
    let world = World::project("generic", FREE);
    world.write("a.csv", patterns("round-first"));
    world.expect(0, &["apply", "--yes", "-q"]);
    let origin = world.json(0, &["log"])["revisions"][0]["config_digest"].clone();
    world.write("a.csv", patterns("round-0"));
    let args = ["--lease", "1s"];
    let mut leader = Watcher::start(&world, &args);
    let first = leader.next("synced");
    let whole = Duration::from_millis(first["duration_ms"].as_u64().unwrap());
    let mut digests = vec![origin, first["config_digest"].clone()];
    for round in 1..=5_u32 {
        let mut second = Watcher::silent(&mut command(&world, &args));
        let role = second.event();
        assert_eq!(role["role"], "standby");
        world.write("a.csv.new", patterns(&format!("round-{round}")));
        std::fs::rename(world.file("a.csv.new"), world.file("a.csv")).unwrap();
        // What is told comes when all is through.
        thread::sleep(DEBOUNCE + whole.mul_f64(f64::from(round) * 0.17));
        leader.kill();
        let told = second.until_that("the same files, by the other", |event| {
            matches!(event["event"].as_str(), Some("synced" | "unchanged"))
                && Some(&event["config_digest"]) != digests.last()
        });
        digests.push(told["config_digest"].clone());
        leader = second;
        world.expect(0, &["plan", "--exit-code", "-q"]);
        let organization = &world.json(0, &["show", "pattern/u000/p00000"])["resources"][0]["fields"]["organization"];
        assert_eq!(*organization, format!("round-{round}"));
    }
    let log = world.json(0, &["log"]);
    let all: Vec<&Json> = log["revisions"].as_array().unwrap().iter().rev().collect();
    let found: Vec<&Json> = all.iter().map(|one| &one["config_digest"]).collect();
    assert_eq!(found, digests.iter().collect::<Vec<_>>(), "each tree once: {log}");
    for entry in &all[1..] {
        assert_eq!(entry["summary"]["overwrite"], MANY, "{entry}");
    }
}

/// Two that begin at the same moment, with the same to do.
#[test]
fn of_two_that_start_together_one_applies() {
    for _ in 0..3 {
        let world = project("");
        let mut both: Vec<Watcher> =
            (0..2).map(|_| Watcher::silent(&mut command(&world, &["--lease", "2s"]))).collect();
        eventually("a store", || world.file("yubin.db").exists());
        for (text, count) in [("one", 1), ("two", 2), ("three", 3)] {
            world.write("a.yaml", accounts(3, text));
            eventually("the new state", || world.run(&["plan", "--exit-code", "-q"]).code == 0);
            assert_eq!((comment(&world, "a000"), revisions(&world)), (text.into(), count));
        }
        let roles: Vec<Json> = both.iter_mut().map(|watcher| watcher.until("started")["role"].clone()).collect();
        assert!(roles.contains(&"leader".into()), "{roles:?}");
        let synced: usize = both
            .iter_mut()
            .map(|watcher| watcher.within(Duration::from_millis(500)))
            .map(|told| told.iter().filter(|event| event["event"] == "synced").count())
            .sum();
        assert_eq!(synced, 3);
    }
}
