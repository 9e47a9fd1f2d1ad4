//! No password stands in what a watcher tells, wherever it came from.

use rustix::process::Signal;

use super::support::{Watcher, command};
use super::{digest, stored};
use crate::cli::canaries::disguises;
use crate::cli::{database, private};
use crate::support::World;

const ENV: &str = "Kanarie-watch-env-5Hq8";
const FILE: &str = "Kanarie-watch-file-3Tz6";
const CLEAR: &str = "Kanarie-watch-clear-9Wd1";
const HOOK: &str = "Kanarie-watch-hook-2Lm7";
const TOKEN: &str = "Kanarie-watch-token-7Bc4";

#[track_caller]
fn clean(what: &str, text: &str) {
    for canary in [ENV, FILE, CLEAR, HOOK, TOKEN] {
        for (form, needle) in disguises(canary.as_bytes()) {
            assert!(memchr::memmem::find(text.as_bytes(), &needle).is_none(), "{canary} ({form}) in {what}:\n{text}");
        }
    }
}

/// Applied, drifted, invalid, refused, waiting, failed: told in JSON, and looked at over the port.
#[test]
fn no_event_holds_a_secret() {
    let world = World::project(
        "generic",
        "policy: { undeclared: delete, max_deletes: 1 }\nsync: { approve: [deletes] }\nhooks: [{ name: h, on: [watch], webhook: \"http://127.0.0.1:1/x\", secret: { env: HOOK_SECRET } }]\n",
    );
    private(&world, "pw", &format!("{FILE}\n"));
    let files = |extra: &str| {
        format!(
            "accounts:\n  e: {{ incoming.password: {{ env: PW }} }}\n  f: {{ incoming.password: {{ file: pw }}, password: {{ file: pw }} }}\n  c: {{ incoming.password: {CLEAR}, password: {CLEAR} }}\n  x1: {{}}\n  x2: {{}}\n  x3: {{}}\n{extra}"
        )
    };
    world.write("a.yaml", files(""));
    let mut start = command(&world, &["--status", "127.0.0.1:0", "-v"]);
    start.env("PW", ENV).env("HOOK_SECRET", HOOK).env("YUBIN_TOKEN", TOKEN);
    let mut watcher = Watcher::of(&mut start);
    watcher.next("synced");
    // Drift of secrets, healed.
    database(&world)
        .execute_batch(
            "UPDATE account SET incoming_password = NULL; UPDATE account SET password = 'Kanarie-watch-clear-9Wd1' WHERE name = 'f'",
        )
        .unwrap();
    watcher.until("drift");
    watcher.until("synced");
    // Errors right at the secrets: types, places, names.
    for wrong in [
        format!("  w: {{ incoming.port: {CLEAR} }}\n").replace(CLEAR, "x"),
        format!("  w: {{ incoming.password: [{CLEAR}] }}\n"),
        format!("  w: {{ incoming.password: {{ {CLEAR}: x }} }}\n"),
        format!("  w: {{ incoming.password: {CLEAR}\n"),
    ] {
        world.write("a.yaml", files(&wrong));
        watcher.until("invalid");
    }
    // The file of a secret is gone, and comes back.
    world.write("a.yaml", files(""));
    watcher.until("unchanged");
    world.remove("pw");
    watcher.until("invalid");
    private(&world, "pw", &format!("{FILE}\n"));
    watcher.until("unchanged");
    // Refused and waiting, with changed secrets.
    world.write("a.yaml", files("").replace("  x1: {}\n  x2: {}\n", "").replace(CLEAR, &format!("{CLEAR}2")));
    watcher.until("refused");
    world.write("a.yaml", files("").replace("  x1: {}\n", "").replace(CLEAR, &format!("{CLEAR}3")));
    let waiting = watcher.until("waiting");
    for path in ["/status", "/metrics", "/readyz", "/healthz", "/nothing"] {
        clean(path, &watcher.port().get(path).body);
    }
    world.expect(0, &["watch", "approve", &digest(&waiting)]);
    watcher.until("synced");
    assert_eq!(stored(&world), 5);
    let held = database(&world);
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.write("a.yaml", files("").replace(CLEAR, &format!("{CLEAR}4")));
    watcher.until("failed");
    held.execute_batch("ROLLBACK").unwrap();
    watcher.until("synced");
    watcher.signal(Signal::HUP);
    watcher.until("unchanged");
    for path in ["/status", "/metrics"] {
        clean(path, &watcher.port().get(path).body);
    }
    clean("events", &watcher.told().join("\n"));
    clean("stderr", &watcher.stderr());
    // Neither in the database, where approvals and leases stand.
    drop(watcher);
    for name in ["yubin.db", "yubin.db-wal"] {
        let bytes = std::fs::read(world.file(name)).unwrap_or_default();
        // In the one place where other software has written it, and in the history of that.
        for canary in [ENV, FILE, HOOK, TOKEN] {
            assert!(memchr::memmem::find(&bytes, canary.as_bytes()).is_none(), "{canary} in {name}");
        }
    }
}

/// As people read it.
#[test]
fn no_text_holds_a_secret() {
    let world = World::project("generic", "");
    private(&world, "pw", &format!("{FILE}\n"));
    let yaml = format!(
        "accounts:\n  e: {{ incoming.password: {{ env: PW }} }}\n  f: {{ incoming.password: {{ file: pw }} }}\n  c: {{ incoming.password: {CLEAR} }}\n"
    );
    world.write("a.yaml", &yaml);
    let run = |code: i32| {
        let mut command = world.command(&["watch", "--once", "-v"]);
        let output = super::support::hermetic(&mut command).env("PW", ENV).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        clean("stdout", &String::from_utf8_lossy(&output.stdout));
        clean("stderr", &String::from_utf8_lossy(&output.stderr));
    };
    run(0);
    world.write("a.yaml", format!("{yaml}  w: {{ incoming.password: [{CLEAR}] }}\n"));
    run(3);
}
