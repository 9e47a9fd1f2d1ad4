//! What others do to the store: other software, and people with yubin.

use serde_json::{Value as Json, json};

use super::support::{Watcher, hermetic};
use super::{FREE, accounts, comment, project, revisions, stored};
use crate::cli::{database, revision};
use crate::support::{Run, World};

fn sql(world: &World, statements: &str) {
    database(world).execute_batch(statements).unwrap();
}

/// A healed store is told of twice: what had drifted, and that it is as it should be.
#[test]
fn drift_is_healed() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'a001'");
    let drift = watcher.next("drift");
    assert_eq!(
        (&drift["cause"], &drift["drift"]),
        (&"store".into(), &json!([{ "address": "account/a001", "field": "comment" }]))
    );
    let synced = watcher.next("synced");
    assert_eq!((&synced["cause"], &synced["summary"]["overwrite"]), (&"store".into(), &1.into()));
    assert_eq!((comment(&world, "a001"), revision(&world)), ("one".into(), 2));
    // What is deleted comes back; again and again.
    sql(&world, "DELETE FROM account WHERE name = 'a000'");
    let drift = watcher.next("drift");
    assert_eq!(drift["drift"], json!([{ "address": "account/a000", "resource": "deleted" }]));
    assert_eq!(watcher.next("synced")["summary"]["add"], 1);
    assert_eq!((comment(&world, "a000"), revision(&world)), ("one".into(), 3));
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'a001'");
    watcher.next("drift");
    watcher.next("synced");
    watcher.quiet();
    assert_eq!((comment(&world, "a001"), revision(&world)), ("one".into(), 4));
}

/// What no file declares is not taken back, and does not stand in the way.
#[test]
fn drift_that_no_file_speaks_of_stays() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    sql(&world, "UPDATE account SET label = 'theirs' WHERE name = 'a001'; INSERT INTO account (name) VALUES ('new')");
    watcher.within(std::time::Duration::from_secs(2));
    assert_eq!(revision(&world), 1);
    world.write("a.yaml", accounts(3, "two"));
    watcher.until("synced");
    assert_eq!((stored(&world), comment(&world, "a001")), (4, "two".into()));
    assert_eq!(crate::cli::shown(&world, "account/a001")["label"], "theirs");
}

#[test]
fn drift_is_only_told_where_it_is_not_to_be_healed() {
    let world = project("sync: { heal: false }\n");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'a001'");
    let drift = watcher.next("drift");
    assert_eq!(drift["drift"], json!([{ "address": "account/a001", "field": "comment" }]));
    assert_eq!(watcher.status()["state"], "drift");
    watcher.quiet();
    watcher.ask();
    assert_eq!(watcher.next("drift")["cause"], "request");
    assert_eq!((comment(&world, "a001"), revision(&world)), ("edited".into(), 1));
    // A restart does not heal either.
    watcher.stop();
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("drift");
    watcher.quiet();
    assert_eq!(comment(&world, "a001"), "edited");
    // The files change: what they say counts.
    world.write("a.yaml", accounts(3, "two"));
    watcher.until("synced");
    assert_eq!((comment(&world, "a000"), comment(&world, "a001")), ("two".into(), "two".into()));
    watcher.quiet();
}

/// Files that are brought up to the drift end it.
#[test]
fn adopted_drift_is_over() {
    let world = project("sync: { heal: false }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'a001'");
    watcher.next("drift");
    world.expect(0, &["drift", "--adopt", "--yes"]);
    watcher.next("unchanged");
    assert_eq!((comment(&world, "a001"), revision(&world)), ("edited".into(), 1));
}

/// Limits hold for healing, too.
#[test]
fn drift_is_healed_within_the_limits() {
    let world = project("policy: { max_overwrites: 1 }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    sql(&world, "UPDATE account SET comment = 'edited'");
    let refused = watcher.until("refused");
    assert_eq!(super::rules(&refused), ["max_overwrites"]);
    watcher.quiet();
    world.expect(0, &["watch", "approve", &super::digest(&refused)]);
    watcher.until("synced");
    assert_eq!(comment(&world, "a002"), "one");
}

// --- By hand ------------------------------------------------------------------------------

#[track_caller]
fn by_hand(watcher: &mut Watcher) -> Json {
    let waiting = watcher.until("waiting");
    assert_eq!((&waiting["reason"], &waiting["until"]), (&"by_hand".into(), &Json::Null), "{waiting}");
    waiting
}

#[test]
fn an_undo_by_hand_is_not_taken_back() {
    let world = project("");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    let waiting = by_hand(&mut watcher);
    assert_eq!(waiting["cause"], "store");
    watcher.quiet();
    watcher.ask();
    by_hand(&mut watcher);
    assert_eq!((comment(&world, "a000"), revision(&world)), ("one".into(), 3));
    // Not by the next watcher, either.
    watcher.stop();
    let mut watcher = Watcher::start(&world, &[]);
    let waiting = by_hand(&mut watcher);
    watcher.quiet();
    assert_eq!((comment(&world, "a000"), revision(&world)), ("one".into(), 3));
    // Somebody wants it again.
    world.expect(0, &["watch", "approve", &super::digest(&waiting)]);
    watcher.next("synced");
    assert_eq!((comment(&world, "a000"), revision(&world)), ("two".into(), 4));
    watcher.quiet();
}

#[test]
fn new_files_end_the_wait_after_an_undo() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    by_hand(&mut watcher);
    world.write("a.yaml", accounts(3, "one"));
    watcher.until("unchanged");
    world.write("a.yaml", accounts(3, "three"));
    watcher.next("synced");
    assert_eq!((comment(&world, "a000"), revision(&world)), ("three".into(), 4));
}

/// Files of the same project that stand elsewhere, as in somebody's own checkout.
#[test]
fn other_files_that_are_applied_by_hand_are_not_taken_back() {
    let world = project("");
    let other = World::project("generic", "");
    other.write("a.yaml", accounts(4, "other"));
    let mut watcher = Watcher::synced(&world, &[]);
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    other.expect(0, &["apply", "--yes", "-q", "--store", &store]);
    by_hand(&mut watcher);
    watcher.quiet();
    assert_eq!((comment(&world, "a000"), revision(&world)), ("other".into(), 2));
    world.write("a.yaml", accounts(4, "mine"));
    watcher.next("synced");
    assert_eq!((comment(&world, "a003"), stored(&world)), ("mine".into(), 4));
}

/// The same files, by another hand: nothing to do, and nothing to say against the next change.
#[test]
fn the_same_files_applied_by_hand_are_no_reason_to_wait() {
    let world = project("");
    world.expect(0, &["apply", "--yes", "-q"]);
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("PAUSED", "");
    world.write("yubin.yaml", "version: 1\nname: head-office\nsync: { pause_file: PAUSED }\n");
    watcher.next("unchanged");
    world.write("a.yaml", accounts(3, "two"));
    assert_eq!(watcher.next("waiting")["reason"], "paused");
    // Somebody does it by hand while the watcher is paused.
    world.expect(0, &["apply", "--yes", "-q"]);
    world.remove("PAUSED");
    watcher.within(std::time::Duration::from_secs(1));
    world.write("a.yaml", accounts(3, "three"));
    watcher.next("synced");
    assert_eq!((comment(&world, "a000"), revisions(&world)), ("three".into(), 3));
}

/// Another project in the same store is nobody's hand.
#[test]
fn what_another_project_applies_is_no_reason_to_wait() {
    let world = project(FREE);
    let other = World::new();
    other.write("yubin.yaml", "version: 1\nname: sales\n");
    other.write("a.yaml", "accounts: { s: { comment: x } }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    for comment in ["x", "y"] {
        other.write("a.yaml", format!("accounts: {{ s: {{ comment: {comment} }} }}\n"));
        other.expect(0, &["apply", "--yes", "-q", "--store", &store]);
    }
    watcher.quiet();
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    assert_eq!((stored(&world), revision(&world)), (4, 4));
}

/// An undo of what the watcher of another folder did, with drift on top: the hand counts.
#[test]
fn drift_after_an_undo_is_not_healed_over_it() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    let undo = Run::of(hermetic(&mut world.command(&["undo", "2", "--yes", "-q"])).output().unwrap());
    assert_eq!(undo.code, 0, "{}", undo.stderr);
    by_hand(&mut watcher);
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'a001'");
    watcher.within(std::time::Duration::from_secs(2));
    assert_eq!((comment(&world, "a000"), revision(&world)), ("one".into(), 3));
}
