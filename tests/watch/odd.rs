//! What stood in the way of somebody once: each of these has happened.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::support::{Watcher, once};
use super::{FREE, accounts, comment, project, revisions, stored};

fn rule(refused: &serde_json::Value) -> &str {
    refused["refused"][0]["rule"].as_str().unwrap()
}

/// Else the log, the owners and every other project in it would be gone, and everybody logged out.
#[test]
fn a_store_that_has_vanished_is_not_made_anew() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    let database = fs::read(world.file("yubin.db")).unwrap();
    for name in ["yubin.db", "yubin.db-wal", "yubin.db-shm"] {
        let _ = fs::remove_file(world.file(name));
    }
    assert_eq!(rule(&watcher.next("refused")), "store_vanished");
    watcher.quiet();
    assert!(!world.file("yubin.db").exists());
    drop(watcher);
    // Nor by one that begins now: its key is still there.
    let told = once(&world, 4, &[]);
    assert_eq!(rule(told.iter().find(|event| event["event"] == "refused").unwrap()), "store_vanished");
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("refused");
    world.write("yubin.db", &database);
    watcher.next_of(&["unchanged", "synced"]);
}

/// Somebody else saves something of no concern, and what was taken back would be back.
#[test]
fn what_was_undone_stays_so_whatever_else_is_edited() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(3, "bad"));
    watcher.next("synced");
    let undo = world.run(&["undo", "2", "--yes"]);
    assert_eq!(undo.code, 0, "{}", undo.stderr);
    assert_eq!(watcher.next("waiting")["reason"], "by_hand");
    world.write("b.yaml", "accounts:\n  b: { comment: another }\n");
    assert_eq!(watcher.next("waiting")["reason"], "by_hand");
    assert_eq!((comment(&world, "a000"), revisions(&world)), ("one".into(), 3));
    world.write("a.yaml", accounts(3, "one"));
    assert_eq!(watcher.next("synced")["summary"]["add"], 1);
    assert_eq!((comment(&world, "a000"), stored(&world)), ("one".into(), 4));
}

/// A copy of the files from before, on another machine or in a cron job of long ago.
#[test]
fn an_old_copy_takes_nothing_back() {
    let world = project("");
    once(&world, 0, &[]);
    for name in ["yubin.yaml", "a.yaml"] {
        world.write(&format!("old/{name}"), fs::read(world.file(name)).unwrap());
    }
    // The log counts in seconds.
    thread::sleep(Duration::from_millis(1100));
    world.write("a.yaml", accounts(3, "two"));
    once(&world, 0, &[]);
    let told = once(&world, 6, &["-C", "old", "--store", "sqlite:../yubin.db"]);
    assert_eq!(told.iter().find(|event| event["event"] == "waiting").unwrap()["reason"], "by_hand");
    assert_eq!(comment(&world, "a000"), "two");
    // Whoever writes again what was there before means it.
    thread::sleep(Duration::from_millis(1100));
    world.write("a.yaml", accounts(3, "one"));
    once(&world, 0, &[]);
    assert_eq!(comment(&world, "a000"), "one");
}

#[test]
fn a_busy_file_that_is_no_source_is_no_concern() {
    let world = project("sources: [a.yaml]\n");
    let busy = Arc::new(AtomicBool::new(true));
    let (folder, goes_on) = (world.file(""), Arc::clone(&busy));
    let writer = thread::spawn(move || {
        let mut live = fs::File::create(folder.join("live.csv")).unwrap();
        while goes_on.load(Ordering::Relaxed) {
            writeln!(live, "a line").unwrap();
            fs::write(folder.join("app.log"), "x").unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    busy.store(false, Ordering::Relaxed);
    writer.join().unwrap();
}

/// Such a file is written without being opened, so nobody tells that it is closed.
#[test]
fn a_file_that_is_cut_off_by_its_name_is_read() {
    let world = project(FREE);
    let mut watcher = Watcher::synced(&world, &[]);
    let text = accounts(3, "one");
    let first = text.match_indices('\n').nth(1).unwrap().0 + 1;
    let path = world.file("a.yaml");
    let done = std::process::Command::new("truncate").args(["-s", &first.to_string()]).arg(&path).status().unwrap();
    assert!(done.success());
    watcher.next("synced");
    assert_eq!(stored(&world), 1);
}

/// It names a server that is not there, and is put right again.
#[test]
fn a_wrong_store_is_left_when_the_file_is_corrected() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    let right = fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", format!("{right}store: postgres://127.0.0.1:1/nothing\n"));
    watcher.until("failed");
    world.write("yubin.yaml", &right);
    watcher.until("unchanged");
    world.write("a.yaml", accounts(3, "two"));
    watcher.until("synced");
}

#[test]
fn one_look_does_not_wait_for_a_lock_that_was_left_behind() {
    let world = project("");
    fs::create_dir(world.file(".git")).unwrap();
    world.write(".git/index.lock", "");
    let told = once(&world, 6, &[]);
    assert!(told.iter().any(|event| event["reason"] == "writing"), "{told:?}");
    let mut watcher = Watcher::start(&world, &[]);
    assert_eq!(watcher.next("waiting")["reason"], "writing");
    watcher.signal(Signal::HUP);
    watcher.next("synced");
}

#[test]
fn half_a_secret_is_not_applied() {
    let world = project("");
    world.write("a.yaml", "accounts:\n  a000: { comment: one }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    let mut secret = fs::File::create(world.file("pw")).unwrap();
    secret.write_all(b"half-of-it-").unwrap();
    world.write("a.yaml", "accounts:\n  a000: { comment: one, incoming: { password: { file: pw } } }\n");
    assert!(watcher.within(Duration::from_secs(2)).iter().all(|event| event["event"] == "changed"));
    assert_eq!(revisions(&world), 1);
    secret.write_all(b"and-the-rest").unwrap();
    drop(secret);
    watcher.until("synced");
    assert_eq!(revisions(&world), 2);
}
