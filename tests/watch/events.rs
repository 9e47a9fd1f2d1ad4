//! What is told, in lines of JSON and for people; that the same is told once; what is tried again.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use super::support::{Watcher, command, eventually, hermetic, once, plain};
use super::{FREE, accounts, comment, digest, project, revisions, rules, stored};
use crate::cli::{database, revision};
use crate::support::{Run, World};

const BROKEN: &str = "accounts:\n  a000: { comment: two, no_such_field: x }\n";

fn names(events: &[Json]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_change_is_applied_and_told() {
    let world = project("");
    let mut watcher = Watcher::start(&world, &[]);
    let started = watcher.started().clone();
    assert_eq!((&started["project"], &started["cause"]), (&"head-office".into(), &"start".into()));
    assert_eq!((&started["pid"], &started["status"]), (&watcher.pid().into(), &Json::Null));
    assert_eq!((&started["role"], &started["store"]), (&"leader".into(), &"sqlite:yubin.db".into()));
    assert_eq!(started["yubin"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&started["digest"], &started["summary"]), (&Json::Null, &Json::Null));
    let first = watcher.next("synced");
    assert_eq!((&first["cause"], &first["revision"], &first["commit"]), (&"start".into(), &1.into(), &Json::Null));
    let counts = |event: &Json| ["add", "overwrite", "delete", "unchanged"].map(|key| event["summary"][key].clone());
    assert_eq!(counts(&first), [3, 0, 0, 0]);
    world.write("a.yaml", accounts(3, "one").replace("a000: { comment: one", "a000: { comment: two"));
    let changed = watcher.event();
    assert_eq!((&changed["event"], &changed["cause"]), (&"changed".into(), &"files".into()), "{changed}");
    assert_eq!((&changed["files"], &changed["files_count"]), (&json!(["a.yaml"]), &1.into()));
    let second = watcher.next("synced");
    assert_eq!((&second["cause"], &second["revision"]), (&"files".into(), &2.into()));
    assert_eq!(counts(&second), [0, 1, 0, 2]);
    assert_eq!((&second["effects"], &second["diagnostics"]), (&json!([]), &json!([])));
    assert_eq!(comment(&world, "a000"), "two");
    // The log says the same.
    let entry = world.json(0, &["log"])["revisions"][0].take();
    assert_eq!((&entry["revision"], &entry["digest"]), (&2.into(), &second["digest"]));
    assert_eq!(entry["config_digest"], second["config_digest"]);
    let (status, rest) = watcher.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(names(&rest), ["stopped"]);
    assert_eq!(rest[0]["reason"], "signal");
}

#[test]
fn effects_and_diagnostics_are_those_of_an_apply() {
    let world = World::project("generic", "");
    world.write("a.yaml", "patterns: { taro: { p: { address: taro@example.jp, incoming.password: clear } } }\n");
    let mut watcher = Watcher::start(&world, &[]);
    let synced = watcher.next("synced");
    assert_eq!(synced["effects"], json!([{ "effect": "logout", "user": "taro", "address": "pattern/taro/p" }]));
    let planned = world.json(0, &["plan"]);
    assert!(!planned["diagnostics"].as_array().unwrap().is_empty());
    assert_eq!(synced["diagnostics"], planned["diagnostics"]);
}

/// After the start, only those who ask are told that there is nothing to do.
#[test]
fn nothing_to_do_is_told_to_those_who_ask() {
    let world = project("");
    world.expect(0, &["apply", "--yes", "-q"]);
    let mut watcher = Watcher::served(&world, &[]);
    let first = watcher.next("unchanged");
    assert_eq!((&first["cause"], &first["revision"]), (&"start".into(), &1.into()));
    assert_eq!(first["summary"]["unchanged"], 3);
    watcher.quiet();
    watcher.signal(Signal::HUP);
    assert_eq!(watcher.next("unchanged")["cause"], "signal");
    watcher.ask();
    assert_eq!(watcher.next("unchanged")["cause"], "request");
    // A change of what is written, but not of what it says.
    world.write("a.yaml", format!("# a comment\n{}", accounts(3, "one")));
    assert_eq!(watcher.until("changed")["files"], json!(["a.yaml"]));
    watcher.next("unchanged");
    watcher.quiet();
    assert_eq!(revision(&world), 1);
}

#[test]
fn at_most_twenty_names_are_told() {
    let world = project(FREE);
    for number in 0..30 {
        world.write(&format!("many/{number:02}.yaml"), format!("accounts: {{ m{number}: {{ comment: x }} }}\n"));
    }
    let mut watcher = Watcher::synced(&world, &["--debounce", "1s"]);
    for number in 0..30 {
        world.write(&format!("many/{number:02}.yaml"), format!("accounts: {{ m{number}: {{ comment: y }} }}\n"));
    }
    let changed = watcher.until("changed");
    assert_eq!((changed["files"].as_array().unwrap().len(), &changed["files_count"]), (20, &30.into()), "{changed}");
    let synced = watcher.next("synced");
    assert_eq!(synced["summary"]["overwrite"], 30);
}

// --- Invalid ------------------------------------------------------------------------------

#[test]
fn what_is_invalid_is_told_once_and_the_last_good_state_stays() {
    let world = project("");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    world.write("a.yaml", BROKEN);
    let invalid = watcher.next("invalid");
    let problem = &invalid["diagnostics"][0];
    assert_eq!((&problem["severity"], &problem["file"]), (&"error".into(), &"a.yaml".into()), "{invalid}");
    assert_eq!(problem["line"], 2);
    assert_eq!(invalid["diagnostics"], world.json(3, &["check"])["diagnostics"]);
    watcher.quiet();
    watcher.ask();
    assert_eq!(watcher.next("invalid")["cause"], "request");
    watcher.signal(Signal::HUP);
    assert_eq!(watcher.next("invalid")["cause"], "signal");
    // The same bytes, written again.
    world.write("a.yaml", BROKEN);
    watcher.quiet();
    // Another error is told.
    world.write("a.yaml", BROKEN.replace("no_such_field", "nor_this"));
    watcher.next("invalid");
    assert_eq!((comment(&world, "a000"), revision(&world)), ("one".into(), 1));
    world.write("a.yaml", accounts(3, "three"));
    watcher.next("synced");
    assert_eq!((comment(&world, "a000"), revision(&world)), ("three".into(), 2));
    // After it was good, the same error is news.
    world.write("a.yaml", BROKEN);
    watcher.next("invalid");
}

/// A good file does not help while another one is broken, and is applied with it once it is corrected.
#[test]
fn nothing_is_applied_of_files_of_which_one_is_broken() {
    let world = project("");
    world.write("b.yaml", "accounts: { b: { comment: one } }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("b.yaml", "accounts: { b: { comment: one }\n");
    watcher.next("invalid");
    world.write("a.yaml", accounts(3, "two"));
    watcher.quiet_or("invalid");
    assert_eq!(revision(&world), 1);
    world.write("b.yaml", "accounts: { b: { comment: two } }\n");
    watcher.next("synced");
    assert_eq!((comment(&world, "a000"), comment(&world, "b"), revision(&world)), ("two".into(), "two".into(), 2));
}

#[test]
fn a_missing_secret_is_invalid_until_it_is_there() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { incoming.password: { file: pw } } }\n");
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("invalid");
    crate::cli::private(&world, "pw", "open sesame\n");
    watcher.next("synced");
    assert_eq!(stored(&world), 1);
}

/// A project that is invalid from the start, `yubin.yaml` included, is waited for.
#[test]
fn a_broken_project_file_is_invalid() {
    let world = project("polcy: {}\n");
    let mut watcher = Watcher::silent(&mut command(&world, &[]));
    let event = watcher.until("invalid");
    assert_eq!(event["diagnostics"][0]["file"], "yubin.yaml");
    world.write("yubin.yaml", "version: 1\nname: head-office\n");
    watcher.until("synced");
    assert_eq!(stored(&world), 3);
    // And while it runs.
    world.write("yubin.yaml", "version: 1\nname: head-office\nsystem: nothing\n");
    watcher.next("invalid");
    world.write("a.yaml", accounts(3, "two"));
    watcher.quiet_or("invalid");
    world.write("yubin.yaml", "version: 1\nname: head-office\n");
    watcher.next("synced");
    assert_eq!(comment(&world, "a000"), "two");
}

/// `--strict` of other commands is none of its options; what a person mistypes is.
#[test]
fn wrong_usage_is_said_at_once() {
    let world = project("");
    for args in [
        &["watch", "--poll", "soon"][..],
        &["watch", "--debounce", "-1s"],
        &["watch", "--lease", "0s"],
        &["watch", "--approve", "everything"],
        &["watch", "--pull"],
        &["watch", "--signed"],
        &["watch", "--status", "9180"],
        &["watch", "approve"],
        &["watch", "approve", "not-a-digest"],
    ] {
        let output = hermetic(&mut world.command(args)).output().unwrap();
        let run = Run::of(output);
        assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{args:?}: {}", run.stderr);
    }
    assert!(!world.file("yubin.db").exists());
}

// --- The store ----------------------------------------------------------------------------

/// The retries of a store that is away: 1 s, 2 s, 4 s, each a quarter more or less.
#[test]
fn a_store_that_is_away_is_tried_again_and_again() {
    let world = project("");
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = format!("http://{free}");
    let mut command = command(&world, &["--store", &store]);
    let mut watcher = Watcher::silent(command.env("YUBIN_TOKEN", "yubin_x"));
    let mut last = None;
    for expected in [1_000, 2_000, 4_000] {
        let failed = watcher.until("failed");
        let retry = failed["retry_ms"].as_u64().unwrap();
        assert!((expected * 3 / 4..=expected * 5 / 4).contains(&retry), "about {expected}: {failed}");
        assert!(failed["message"].as_str().unwrap().contains("127.0.0.1"), "{failed}");
        let now = Instant::now();
        if let Some((at, wait)) = last.replace((now, Duration::from_millis(retry))) {
            assert!(now - at > wait / 2, "{:?} after {wait:?}", now - at);
        }
    }
    assert!(!world.file("yubin.db").exists());
}

#[test]
fn a_damaged_store_fails_until_it_is_brought_back() {
    let world = project("");
    let good = World::new();
    Watcher::synced(&world, &[]).stop();
    for name in ["yubin.db", "yubin.db.key"] {
        std::fs::copy(world.file(name), good.file(name)).unwrap();
    }
    world.write("yubin.db", vec![7; 9_000]);
    let mut again = Watcher::silent(&mut command(&world, &[]));
    let failed = again.until("failed");
    assert!(failed["message"].as_str().unwrap().contains("yubin.db"), "{failed}");
    std::fs::copy(good.file("yubin.db"), world.file("renamed")).unwrap();
    std::fs::rename(world.file("renamed"), world.file("yubin.db")).unwrap();
    again.until("unchanged");
    world.write("a.yaml", accounts(3, "two"));
    again.next("synced");
    assert_eq!((comment(&world, "a000"), revision(&world)), ("two".into(), 2));
}

/// Another process that holds the store for longer than an apply waits.
#[test]
fn a_store_that_is_held_fails_and_is_tried_again() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    let other = database(&world);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.write("a.yaml", accounts(3, "two"));
    let failed = watcher.until("failed");
    assert!(failed["retry_ms"].is_u64(), "{failed}");
    other.execute_batch("ROLLBACK").unwrap();
    watcher.until("synced");
    assert_eq!((comment(&world, "a000"), revision(&world)), ("two".into(), 2));
    // A new tree does not wait for the retry of an old one.
    watcher.quiet();
}

// --- Once ---------------------------------------------------------------------------------

#[test]
fn once_ends_as_an_apply_does() {
    let world = project(FREE);
    let events = once(&world, 0, &[]);
    assert_eq!(names(&events), ["started", "synced", "stopped"]);
    assert_eq!(events[2]["reason"], "once");
    assert_eq!(names(&once(&world, 0, &[])), ["started", "unchanged", "stopped"]);
    world.write("a.yaml", BROKEN);
    assert_eq!(names(&once(&world, 3, &[])), ["started", "invalid", "stopped"]);
    world.write("a.yaml", "accounts: {}\n");
    let events = once(&world, 4, &[]);
    assert_eq!(names(&events), ["started", "refused", "stopped"]);
    assert_eq!(rules(&events[1]), ["empty_kind"]);
    world.write("a.yaml", accounts(2, "one"));
    let events = once(&world, 6, &["--approve", "deletes"]);
    assert_eq!(names(&events), ["started", "waiting", "stopped"]);
    assert_eq!(events[1]["reason"], "approval");
    // A digest that was approved holds for it, too.
    world.expect(0, &["watch", "approve", &digest(&events[1])]);
    assert_eq!(names(&once(&world, 0, &["--approve", "deletes"])), ["started", "synced", "stopped"]);
    assert_eq!((stored(&world), revisions(&world)), (2, 2));
    world.write("PAUSE", "");
    world.write("yubin.yaml", format!("version: 1\nname: head-office\n{FREE}sync: {{ pause_file: PAUSE }}\n"));
    world.write("a.yaml", accounts(2, "two"));
    let events = once(&world, 6, &[]);
    assert_eq!((names(&events), &events[1]["reason"]), (vec!["started", "waiting", "stopped"], &"paused".into()));
    world.remove("PAUSE");
    let held = database(&world);
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(names(&once(&world, 5, &[])).contains(&"failed"));
    held.execute_batch("ROLLBACK").unwrap();
    once(&world, 0, &[]);
    world.write("a.yaml", accounts(2, "three"));
    world.write("junk.db", vec![7; 9_000]);
    assert!(names(&once(&world, 1, &["--store", "sqlite:junk.db"])).contains(&"failed"));
    assert_eq!(comment(&world, "a000"), "two");
}

/// `--once` asks nobody who leads.
#[test]
fn once_works_beside_a_watcher() {
    let world = project("sync: { pause_file: PAUSE }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    let events = once(&world, 0, &[]);
    assert_eq!((names(&events), &events[0]["role"]), (vec!["started", "unchanged", "stopped"], &"leader".into()));
    watcher.quiet();
}

// --- Text ---------------------------------------------------------------------------------

/// A line for each event with the time, what has happened and what to do; plan and diagnostics below.
#[test]
fn people_read_lines() {
    let world = project(FREE);
    let output = world.file("told");
    let file = std::fs::File::options().create(true).append(true).open(&output).unwrap();
    let mut command = world.command(&["watch", "--poll", "300ms", "--debounce", "50ms"]);
    // What `check` shows stands on stderr, as there.
    let watcher = Watcher::silent_to(hermetic(&mut command), file);
    let read = || std::fs::read_to_string(&output).unwrap();
    eventually("the first sync", || read().contains("account/a002"));
    let from = read().len();
    world.write("a.yaml", BROKEN);
    eventually("the error", || read()[from..].contains("a.yaml:2"));
    assert!(read()[from..].contains("no field of accounts"), "{}", read());
    let from = read().len();
    world.write("a.yaml", "accounts: {}\n");
    eventually("the rule", || read()[from..].contains("empty_kind") || read()[from..].contains("no account"));
    let from = read().len();
    world.write("a.yaml", accounts(3, "two"));
    eventually("the plan", || read()[from..].contains("one → two"));
    let (status, _) = watcher.stop();
    assert_eq!(status.code(), Some(0));
    let text = read();
    assert!(!text.contains("format_version") && !text.contains('\u{1b}'), "{text}");
    // Each event begins with its time, and names itself.
    for name in ["started", "invalid", "refused", "synced", "stopped"] {
        let line = text.lines().find(|line| line.split_whitespace().any(|word| word.trim_end_matches(':') == name));
        let line = line.unwrap_or_else(|| panic!("no {name}:\n{text}"));
        assert!(line.contains(':') && line.starts_with(|c: char| c.is_ascii_digit()), "{line}");
    }
}

/// Whoever reads may go away; the store is kept in sync all the same, or the watcher ends with an error.
#[test]
fn nothing_but_events_stands_on_stdout() {
    let world = project("");
    let run = Run::of(plain(&world, &["--once", "-v"]).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{}", run.stdout);
    assert!(run.stdout.ends_with("}\n"));
}

/// Every setting of `sync:` is checked as the rest of the file is.
#[test]
fn what_is_wrong_in_sync_is_said_with_its_line() {
    for (text, line) in [
        ("sync: { windows: [noon] }\n", 4),
        ("sync:\n  windows: [\"25:00-26:00\"]\n", 5),
        ("sync:\n  windows:\n    - { at: 03:00-04:00, for: [lunch] }\n", 6),
        ("sync:\n  windows:\n    - funday 03:00-04:00\n", 6),
        ("sync:\n  timezone: Nowhere/Town\n", 5),
        ("sync:\n  heal: maybe\n", 5),
        ("sync:\n  approve: [everything]\n", 5),
        ("sync:\n  pause: x\n", 5),
    ] {
        let world = project(text);
        let found = world.json(3, &["check"])["diagnostics"][0].take();
        assert_eq!((&found["file"], &found["line"]), (&"yubin.yaml".into(), &line.into()), "{text}: {found}");
        let events = once(&world, 3, &[]);
        assert!(events.iter().any(|event| event["event"] == "invalid"), "{text}");
    }
    let world = project(
        "sync:\n  windows: [mon-fri 22:00-05:00, \"sat,sun 00:00-24:00\", 01:00-02:00, { at: 03:00-04:00, for: [logouts, passwords] }]\n  timezone: Asia/Tokyo\n  pause_file: PAUSE\n  heal: false\n  approve: [deletes]\n",
    );
    world.expect(0, &["check", "--strict"]);
}

/// A file of a database that a watcher has made is as any apply makes it.
#[test]
fn the_log_says_who_it_was() {
    let world = project("");
    once(&world, 0, &[]);
    let entry = world.json(0, &["log"])["revisions"][0].take();
    assert_eq!((&entry["actor"], &entry["project"]), (&"tester".into(), &"head-office".into()));
    let check: String = Connection::open(world.file("yubin.db"))
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}
