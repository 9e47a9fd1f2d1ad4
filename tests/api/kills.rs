//! Servers that die in the middle of a changeset, and disks that are full.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value as Json;

use super::{
    Content, POLICY, PROJECT, Site, add, applied, changeset, content, lines, post, post_lines, project, remote, token,
};
use crate::cli::database;
use crate::support::World;
use crate::support::http::Caller;
use crate::support::server::{DEADLINE, Server, run_within};

const MANY: usize = 6000;

/// Accounts, and all of them with another comment.
fn world() -> World {
    let world = project("generic", POLICY);
    world.write("a.csv", csv("old"));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.csv", csv("new"));
    world
}

fn csv(comment: &str) -> String {
    "name,comment,label\n".to_owned() + &crate::cli::concat(0..MANY, |n| format!("a{n:05},{comment},{n}\n"))
}

/// The old state or the new one, in the log and in every row.
fn is_new(found: &Content, old: &Content) -> bool {
    let revision = found.revision();
    assert!(matches!(revision, 1 | 2), "revision {revision}");
    let all = found.show["resources"].as_array().unwrap();
    assert_eq!(all.len(), MANY);
    let comment = if revision == 2 { "new" } else { "old" };
    assert!(all.iter().all(|one| one["fields"]["comment"] == comment && one["revision"] == revision));
    assert!(revision == 2 || found == old);
    revision == 2
}

fn save(world: &World) {
    database(world).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    std::fs::copy(world.file("yubin.db"), world.file("old")).unwrap();
}

fn restore(world: &World) {
    for name in ["yubin.db-wal", "yubin.db-shm"] {
        let _ = std::fs::remove_file(world.file(name));
    }
    std::fs::copy(world.file("old"), world.file("yubin.db")).unwrap();
}

/// Over the whole time of a run, half of the moments in its last part.
fn delays(whole: Duration, count: u32) -> impl Iterator<Item = Duration> {
    (0..count).map(move |number| {
        let step = f64::from(number / 2) / f64::from((count / 2).max(2) - 1);
        let jitter = f64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_micros() % 100) / 3_000.0;
        whole.mul_f64(if number % 2 == 0 { step } else { 0.5 + step * 0.5 } + jitter)
    })
}

/// Killed at any moment, and started anew while the client still tries.
#[test]
fn a_changeset_outlives_its_server_or_never_was() {
    let world = world();
    let token = token(&world, "apply", &[PROJECT]);
    save(&world);
    let old = content(&world);
    let apply = |address: SocketAddr| remote(&world, &format!("http://{address}"), &token, &["apply", "--yes"]);
    let whole = {
        let server = Server::start(&world);
        let start = Instant::now();
        let run = run_within(&mut apply(server.address), DEADLINE);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(is_new(&content(&world), &old));
        start.elapsed()
    };
    let mut seen = [0, 0];
    for delay in delays(whole, 12) {
        restore(&world);
        let mut server = Server::start(&world);
        let mut command = apply(server.address);
        let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        server.kill();
        let then = content(&world);
        seen[usize::from(is_new(&then, &old))] += 1;
        // The next one, at the same address: the client may find it, or have given up.
        let server = Server::start_at(&world, server.address);
        let start = Instant::now();
        let status = loop {
            if let Some(status) = client.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > DEADLINE {
                client.kill().unwrap();
                panic!("the client hangs, killed after {delay:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let found = content(&world);
        assert!(matches!(status.code(), Some(0 | 1)), "after {delay:?}: {status}");
        assert!(is_new(&found, &old) || status.code() == Some(1), "after {delay:?}: it says that it has done it");
        let run = run_within(&mut apply(server.address), DEADLINE);
        assert_eq!(run.code, 0, "after {delay:?}: {}", run.stderr);
        assert!(is_new(&content(&world), &old), "after {delay:?}");
    }
    assert!(seen[0] > 0, "no kill came early enough: {seen:?}");
}

/// With a key, the one that was killed and the one that came after it are one.
#[test]
fn a_key_is_known_to_the_next_server() {
    let mut site = Site::new();
    let body = changeset(0, &(0..2000).map(|n| add(&format!("a{n}"), "x")).collect::<Vec<_>>());
    let key = [("idempotency-key", "k")];
    for millis in [5, 20, 60, 150, 400, 0] {
        let api = site.api();
        std::thread::scope(|scope| {
            let posting = scope.spawn(|| {
                let headers = [("if-match", "\"0\""), key[0], ("content-type", "application/json")];
                api.try_call(reqwest::Method::POST, "/v1/changesets", &headers, body.to_string())
                    .map(|answer| answer.status)
            });
            std::thread::sleep(Duration::from_millis(millis));
            site.server.kill();
            let _ = posting.join().unwrap();
        });
        site.server = Server::start(&site.world);
        let found = site.content();
        assert!(matches!((found.revision(), found.addresses().len()), (0, 0) | (1, 2000)));
    }
    for _ in 0..2 {
        assert_eq!(applied(super::post_with(&site.api(), 0, &key, &body)), 1);
    }
    assert_eq!((site.content().revision(), site.content().addresses().len()), (1, 2000));
}

/// Sends many resources to a store that has no room for them, and a few afterwards.
fn overflow(site: &Site, before: &Content) {
    let api = site.api();
    let changes: Vec<Json> = (0..20_000).map(|n| add(&format!("big{n}"), &format!("{n:0>200}"))).collect();
    let answer = post_lines(&api, 1, lines(&changeset(1, &changes)));
    assert!(matches!(answer.status, 500 | 503 | 507), "{answer}");
    let problem = answer.problem(answer.status);
    assert!(!problem.to_string().contains(&*site.world.path().to_string_lossy()), "no paths of the server: {problem}");
    assert_eq!(&site.content(), before);
    // It goes on reading, and says the same with the same key.
    assert_eq!(api.get("/v1/revision").expect(200).json()["revision"], 1);
    let listed = api.get("/v1/resources").expect(200).json();
    assert_eq!(listed["resources"].as_array().unwrap().len(), before.addresses().len());
}

const SMALL: &str = "accounts: { a: { comment: x } }";

#[test]
fn a_file_that_may_not_grow_leaves_the_old_state() {
    let world = project("generic", POLICY);
    world.write("a.yaml", SMALL);
    world.expect(0, &["apply", "--yes", "-q"]);
    let token = token(&world, "apply", &[PROJECT]);
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" serve --listen 127.0.0.1:0";
    let server = Server::start_in_shell(&world, script);
    let site = Site { world, server, token };
    let before = site.content();
    overflow(&site, &before);
    // What fits is taken.
    assert_eq!(applied(post(&site.api(), 1, &changeset(1, &[add("b", "x")]))), 2);
}

/// A file system of its own that is too small. Needs user namespaces; where they are forbidden, the test above has
/// to do.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_leaves_the_old_state() {
    let world = project("generic", POLICY);
    world.write("a.yaml", SMALL);
    world.expect(0, &["apply", "--yes", "-q"]);
    let token = token(&world, "apply", &[PROJECT]);
    database(&world).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    std::fs::create_dir(world.file("disk")).unwrap();
    let mount = "mount -t tmpfs -o size=4m none disk";
    let mut unshare = std::process::Command::new("unshare");
    if !unshare.args(["-rm", "bash", "-c", mount]).current_dir(world.path()).status().is_ok_and(|one| one.success()) {
        eprintln!("no user namespaces here: not tested");
        return;
    }
    let script = format!(
        "exec unshare -rm bash -c '{mount} && cp yubin.yaml yubin.db yubin.db.key disk/ && \
         exec \"$0\" -C disk serve --listen 127.0.0.1:0' \"$0\""
    );
    let server = Server::start_in_shell(&world, &script);
    let api = Caller { base: server.url(), token: Some(token.clone()) };
    let changes: Vec<Json> = (0..20_000).map(|n| add(&format!("big{n}"), &format!("{n:0>200}"))).collect();
    for key in ["one", "one", "two"] {
        let body = changeset(1, &changes);
        let answer = super::post_with(&api, 1, &[("idempotency-key", key)], &body);
        assert!(matches!(answer.status, 500 | 503 | 507), "{answer}");
        let problem = answer.problem(answer.status);
        assert_eq!(problem["code"], "store/full", "{problem}");
        assert_eq!(api.get("/v1/revision").expect(200).json()["revision"], 1);
        assert_eq!(api.get("/v1/resources").expect(200).json()["resources"].as_array().unwrap().len(), 1);
        assert_eq!(api.get("/v1/revisions").expect(200).json()["revisions"].as_array().unwrap().len(), 1);
    }
    // The program says so, too, and what fits is taken.
    let yaml = crate::cli::concat(0..20_000, |n| format!("  big{n}: {{ comment: '{n:0>200}' }}\n"));
    world.write("a.yaml", format!("accounts:\n  a: {{ comment: x }}\n{yaml}"));
    let run = run_within(&mut remote(&world, &server.url(), &token, &["apply", "--yes"]), DEADLINE);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("full") || run.stderr.contains("room"), "{}", run.stderr);
    world.write("a.yaml", "accounts: { a: { comment: x }, b: {} }");
    let run = run_within(&mut remote(&world, &server.url(), &token, &["apply", "--yes"]), DEADLINE);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(api.get("/v1/revision").expect(200).json()["revision"], 2);
}
