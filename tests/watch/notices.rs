//! Who is told beside those who read the events: hooks, and systemd.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::support::{LIMIT, Watcher, command, eventually};
use super::{accounts, digest, project};
use crate::cli::{database, revision};
use crate::support::World;

const HOOK: &str = "hooks: [{ name: tell, on: [watch], command: [./tell] }]\n";

fn script(world: &World, name: &str, body: &str) {
    world.write(name, format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(world.file(name), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// A project whose hook writes down what it gets.
fn telling(more: &str) -> World {
    let world = project(&format!("{HOOK}{more}"));
    script(&world, "tell", "body=$(cat) && printf '%s\\n' \"$body\" >>told");
    world
}

fn told(world: &World) -> Vec<Json> {
    let text = std::fs::read_to_string(world.file("told")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn names(world: &World) -> Vec<String> {
    told(world).iter().map(|event| event["event"].as_str().unwrap_or("?").to_owned()).collect()
}

#[track_caller]
fn hears(world: &World, expected: &[&str]) {
    eventually(&format!("{expected:?}"), || names(world).len() >= expected.len());
    assert_eq!(names(world), expected, "{:?}", told(world));
}

#[test]
fn a_hook_is_told_of_trouble_and_of_its_end() {
    let world = telling("policy: { undeclared: delete, max_deletes: 1 }\n");
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("synced");
    world.write("a.yaml", "accounts: { a000: { nothing: x } }\n");
    let invalid = watcher.next("invalid");
    hears(&world, &["invalid"]);
    assert_eq!(told(&world)[0], invalid, "the event as its JSON");
    world.write("a.yaml", accounts(3, "two"));
    let synced = watcher.next("synced");
    hears(&world, &["invalid", "synced"]);
    assert_eq!(told(&world)[1], synced);
    // While all is well, nobody is told.
    world.write("a.yaml", accounts(3, "three"));
    watcher.next("synced");
    world.write("a.yaml", accounts(1, "three"));
    watcher.next("refused");
    hears(&world, &["invalid", "synced", "refused"]);
    // A recovery without a change.
    world.write("a.yaml", accounts(3, "three"));
    watcher.next("unchanged");
    hears(&world, &["invalid", "synced", "refused", "unchanged"]);
    watcher.quiet();
    assert_eq!(names(&world).len(), 4);
}

#[test]
fn a_hook_is_told_of_waiting_and_of_drift() {
    let world = telling("sync: { heal: false, pause_file: PAUSE }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("unchanged");
    let mut second = Watcher::start(&world, &[]);
    assert_eq!(second.next("waiting")["reason"], "standby");
    world.write("PAUSE", "");
    world.write("a.yaml", accounts(3, "two"));
    watcher.until("waiting");
    hears(&world, &["waiting"]);
    assert_eq!(told(&world)[0]["reason"], "paused", "of `standby` nobody is told");
    world.remove("PAUSE");
    watcher.until("synced");
    hears(&world, &["waiting", "synced"]);
    database(&world).execute_batch("UPDATE account SET comment = 'edited'").unwrap();
    watcher.until("drift");
    hears(&world, &["waiting", "synced", "drift"]);
    assert!(second.within(Duration::from_millis(200)).iter().all(|event| event["event"] != "synced"));
}

/// One failure is no news, three are.
#[test]
fn a_hook_is_told_of_the_third_failure() {
    let world = telling("");
    Watcher::synced(&world, &[]).stop();
    std::fs::rename(world.file("yubin.db"), world.file("yubin.away")).unwrap();
    std::fs::create_dir(world.file("yubin.db")).unwrap();
    let mut watcher = Watcher::silent(&mut command(&world, &[]));
    watcher.until("failed");
    watcher.until("failed");
    assert_eq!(names(&world), [""; 0]);
    watcher.until("failed");
    hears(&world, &["failed"]);
    std::fs::remove_dir(world.file("yubin.db")).unwrap();
    std::fs::rename(world.file("yubin.away"), world.file("yubin.db")).unwrap();
    watcher.until("unchanged");
    eventually("the end of it", || names(&world).last().is_some_and(|name| name == "unchanged"));
}

/// A hook that hangs or fails is tried three times, and holds nothing up.
#[test]
fn a_hook_is_never_in_the_way() {
    let world = project(
        "hooks:\n  - { name: slow, on: [watch], command: [./slow], timeout: 2s }\n  - { name: bad, on: [watch], command: [./bad] }\n",
    );
    script(&world, "slow", "echo x >>slow-runs; exec sleep 600");
    script(&world, "bad", "cat >/dev/null; echo x >>bad-runs; exit 75");
    let mut watcher = Watcher::synced(&world, &[]);
    let since = Instant::now();
    for round in 0..3 {
        world.write("a.yaml", "accounts: { a000: { nothing: x } }\n");
        watcher.next("invalid");
        world.write("a.yaml", accounts(3, &format!("round-{round}")));
        watcher.next("synced");
    }
    let took = since.elapsed();
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(revision(&world), 4);
    let runs = |name: &str| std::fs::read_to_string(world.file(name)).unwrap_or_default().lines().count();
    eventually("three tries", || runs("bad-runs") >= 3);
    let since = Instant::now();
    assert_eq!(watcher.stop().0.code(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[test]
fn one_event_is_tried_three_times() {
    let world = project(HOOK);
    script(&world, "tell", "cat >>told; echo >>told; exit 1");
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", "accounts: { a000: { nothing: x } }\n");
    watcher.next("invalid");
    eventually("three tries", || names(&world).len() >= 3);
    watcher.quiet();
    assert_eq!(names(&world), ["invalid"; 3]);
}

/// Others than `watch` are for applies, and `notify` tells of every revision.
#[test]
fn effects_of_a_sync_are_carried_out() {
    let world = World::project(
        "generic",
        "hooks: [{ name: kick, on: [logout], command: [./kick, \"{user}\"] }, { name: n, on: [notify], command: [./note] }]\n",
    );
    script(&world, "kick", "cat >/dev/null; echo \"$1\" >>kicked");
    script(&world, "note", "cat >>noted; echo >>noted");
    world.write("a.yaml", "patterns: { taro: { p: { address: t@x.jp } } }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    let lines = |name: &str| std::fs::read_to_string(world.file(name)).unwrap_or_default().lines().count();
    eventually("the logout", || lines("kicked") == 1 && lines("noted") == 1);
    world.write("a.yaml", "patterns: { taro: { p: { address: u@x.jp } } }\n");
    watcher.next("synced");
    eventually("another one", || lines("kicked") == 2 && lines("noted") == 2);
    eventually("nothing pending", || world.json(0, &["effects"])["events"].as_array().unwrap().is_empty());
}

/// A hook for `watch` is told of an approval that is needed, with the digest that is to be approved.
#[test]
fn a_hook_has_the_digest() {
    let world = telling("policy: { undeclared: delete }\n");
    let mut watcher = Watcher::synced(&world, &["--approve", "deletes"]);
    world.write("a.yaml", accounts(2, "one"));
    watcher.next("waiting");
    hears(&world, &["waiting"]);
    world.expect(0, &["watch", "approve", &digest(&told(&world)[0])]);
    watcher.next("synced");
    hears(&world, &["waiting", "synced"]);
}

// --- systemd ------------------------------------------------------------------------------

/// What systemd has been told until it has been told this.
#[track_caller]
fn until(socket: &UnixDatagram, what: &str) -> Vec<String> {
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {what} ({error}): {all:?}"));
        let lines = str::from_utf8(&buffer[..length]).unwrap().lines().map(str::to_owned);
        all.extend(lines);
        if all.iter().any(|line| line.starts_with(what)) {
            return all;
        }
    }
}

#[test]
fn systemd_is_told_how_it_stands() {
    let world = project("");
    let path = world.file("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    world.write("PAUSED", "");
    let mut command = command(&world, &[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    let mut watcher = Watcher::of(&mut command);
    let before = until(&socket, "READY=1");
    assert!(before.iter().all(|line| line != "STOPPING=1"), "{before:?}");
    assert_eq!(revision(&world), 1, "ready when the first sync is through");
    watcher.next("synced");
    until(&socket, "STATUS=");
    // More than once in the time that it has.
    let since = Instant::now();
    for _ in 0..4 {
        until(&socket, "WATCHDOG=1");
    }
    assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
    world.write("a.yaml", "accounts: { a000: { nothing: x } }\n");
    watcher.next("invalid");
    let end = Instant::now() + LIMIT;
    while !until(&socket, "STATUS=").iter().any(|line| line.starts_with("STATUS=") && line.contains("invalid")) {
        assert!(Instant::now() < end, "no status says `invalid`");
    }
    let (status, _) = watcher.stop();
    assert_eq!(status.code(), Some(0));
    until(&socket, "STOPPING=1");
}

/// Without a watchdog nobody is told that it lives.
#[test]
fn without_a_watchdog_there_is_none() {
    let world = project("");
    let path = world.file("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = command(&world, &[]);
    command.env("NOTIFY_SOCKET", &path);
    let mut watcher = Watcher::of(&mut command);
    watcher.next("synced");
    watcher.quiet();
    watcher.stop();
    let all = until(&socket, "STOPPING=1");
    assert!(all.iter().all(|line| !line.starts_with("WATCHDOG")), "{all:?}");
}

/// A first sync that is invalid is through as well: the service is up, and says what is wrong.
#[test]
fn a_service_with_broken_files_is_up() {
    let world = project("");
    world.write("a.yaml", "accounts: { broken");
    let path = world.file("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = command(&world, &[]);
    command.env("NOTIFY_SOCKET", &path);
    let mut watcher = Watcher::of(&mut command);
    watcher.next("invalid");
    until(&socket, "READY=1");
}
