//! The status port, and signals.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use super::support::{Watcher, eventually, hermetic};
use super::{FREE, accounts, comment, digest, project};
use crate::cli::{concat, database, revision};
use crate::support::Run;
use crate::support::http::Caller;

/// The samples of an exposition, by name and labels; everything else has to be as the format wants it.
#[track_caller]
fn samples(port: &Caller) -> BTreeMap<String, f64> {
    let answer = port.get("/metrics").expect(200);
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer}");
    let mut samples = BTreeMap::new();
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    assert!(answer.body.ends_with('\n'));
    for line in answer.body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name, kind).is_none(), "twice: {line}");
            continue;
        }
        if line.starts_with("# HELP ") || line.is_empty() {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = types.contains_key(name) || family.is_some_and(|family| types.get(family) == Some(&"histogram"));
        assert!(known, "a sample without a type: {line}");
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    for (name, kind) in [
        ("yubin_watch_last_success_timestamp_seconds", "gauge"),
        ("yubin_watch_sync_seconds", "histogram"),
        ("yubin_watch_syncs_total", "counter"),
        ("yubin_watch_drift", "gauge"),
        ("yubin_watch_refusals_total", "counter"),
        ("yubin_watch_lag_seconds", "gauge"),
        ("yubin_watch_state", "gauge"),
        ("yubin_watch_leader", "gauge"),
        ("yubin_watch_revision", "gauge"),
    ] {
        assert_eq!(types.get(name), Some(&kind), "{name}\n{}", answer.body);
    }
    let buckets: Vec<f64> = answer
        .body
        .lines()
        .filter(|line| line.starts_with("yubin_watch_sync_seconds_bucket"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(buckets.len() > 3 && buckets.is_sorted(), "{}", answer.body);
    equal(&samples, "yubin_watch_sync_seconds_count", *buckets.last().unwrap());
    assert!(samples.contains_key("yubin_watch_sync_seconds_bucket{le=\"+Inf\"}"));
    let states: Vec<&String> = samples.keys().filter(|series| series.starts_with("yubin_watch_state{")).collect();
    assert_eq!(states.len(), 9, "{states:?}");
    let on = states.iter().filter(|series| (samples[**series] - 1.0).abs() < f64::EPSILON).count();
    assert_eq!(on, 1, "{}", answer.body);
    samples
}

fn in_state(samples: &BTreeMap<String, f64>, name: &str) -> bool {
    samples.get(&format!("yubin_watch_state{{state=\"{name}\"}}")).is_some_and(|value| *value > 0.5)
}

#[track_caller]
fn equal(samples: &BTreeMap<String, f64>, name: &str, value: f64) {
    let found = samples.get(name).unwrap_or_else(|| panic!("no {name}: {samples:?}"));
    assert!((found - value).abs() < 1e-9, "{name}: {found}, not {value}");
}

#[test]
fn the_port_says_how_it_stands() {
    let world = project("policy: { undeclared: delete, max_deletes: 1 }\n");
    let before = Timestamp::now().as_second();
    let mut watcher = Watcher::served(&world, &[]);
    let synced = watcher.next("synced");
    let address = watcher.address().to_owned();
    assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
    let port = watcher.port();
    port.get("/healthz").expect(200);
    watcher.state("in_sync");
    assert_eq!(port.get("/readyz").expect(200).body.trim(), "in_sync");
    let status = watcher.status();
    assert_eq!(status["format_version"], 1);
    for key in ["yubin", "started", "since", "last_success"] {
        assert!(status[key].is_string(), "{key}: {status}");
    }
    for key in ["started", "since", "last_success"] {
        assert!(status[key].as_str().unwrap().parse::<Timestamp>().is_ok(), "{key}: {status}");
    }
    assert_eq!((&status["pid"], &status["project"]), (&watcher.pid().into(), &"head-office".into()));
    assert_eq!((&status["store"], &status["role"]), (&"sqlite:yubin.db".into(), &"leader".into()));
    assert_eq!((&status["state"], &status["revision"]), (&"in_sync".into(), &1.into()));
    assert_eq!((&status["config_digest"], &status["next_try"]), (&synced["config_digest"], &Json::Null));
    assert_eq!(status["last"], synced, "the last event that told of a state");
    let metrics = samples(&port);
    assert!(in_state(&metrics, "in_sync"));
    equal(&metrics, "yubin_watch_leader", 1.0);
    equal(&metrics, "yubin_watch_revision", 1.0);
    equal(&metrics, "yubin_watch_drift", 0.0);
    equal(&metrics, "yubin_watch_lag_seconds", 0.0);
    equal(&metrics, "yubin_watch_refusals_total", 0.0);
    equal(&metrics, "yubin_watch_syncs_total{result=\"synced\"}", 1.0);
    #[allow(clippy::cast_precision_loss)]
    let (before, now) = (before as f64, Timestamp::now().as_second() as f64);
    let success = metrics["yubin_watch_last_success_timestamp_seconds"];
    assert!(success >= before && success <= now + 1.0, "{success} is not between {before} and {now}");

    // Refused: files and store differ, and that for a while.
    world.write("a.yaml", accounts(1, "one"));
    let refused = watcher.next("refused");
    watcher.state("refused");
    assert_eq!(port.get("/readyz").expect(503).body.trim(), "refused");
    port.get("/healthz").expect(200);
    assert_eq!(watcher.status()["last"], refused);
    eventually("a lag", || samples(&port)["yubin_watch_lag_seconds"] > 0.5);
    let metrics = samples(&port);
    assert!(in_state(&metrics, "refused"));
    equal(&metrics, "yubin_watch_refusals_total", 1.0);
    equal(&metrics, "yubin_watch_syncs_total{result=\"refused\"}", 1.0);
    let old = watcher.status()["last_success"].clone();

    world.write("a.yaml", "accounts: { a: { nothing: x } }\n");
    watcher.next("invalid");
    watcher.state("invalid");
    assert_eq!(port.get("/readyz").expect(503).body.trim(), "invalid");
    equal(&samples(&port), "yubin_watch_syncs_total{result=\"invalid\"}", 1.0);
    world.write("a.yaml", accounts(2, "one"));
    watcher.next("synced");
    watcher.state("in_sync");
    equal(&samples(&port), "yubin_watch_lag_seconds", 0.0);
    equal(&samples(&port), "yubin_watch_revision", 2.0);
    let status = watcher.status();
    assert_ne!(status["last_success"], old);
    assert_eq!(status["started"], watcher.status()["started"]);
}

#[test]
fn a_sync_may_be_asked_for() {
    let world = project("");
    let mut watcher = Watcher::served(&world, &["--poll", "1h"]);
    watcher.next("synced");
    let port = watcher.port();
    let answer = port.call(Method::POST, "/v1/sync", &[], "").expect(202);
    assert_eq!(answer.json(), json!({ "format_version": 1, "accepted": true }));
    assert_eq!(watcher.next("unchanged")["cause"], "request");
    // It looks at everything: what the poll would have found much later, too.
    database(&world).execute_batch("UPDATE account SET comment = 'edited'").unwrap();
    port.call(Method::POST, "/v1/sync", &[("content-type", "application/json")], "{}").expect(202);
    watcher.until("synced");
    assert_eq!(comment(&world, "a000"), "one");
    // From a page in somebody's browser.
    for origin in ["http://evil.example", "null", &port.base] {
        let answer = port.call(Method::POST, "/v1/sync", &[("origin", origin)], "");
        answer.problem(403);
    }
    watcher.quiet();
}

#[test]
fn what_it_does_not_know_is_a_problem() {
    let world = project("");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    let port = watcher.port();
    for path in ["/", "/nothing", "/v1", "/v1/sync/", "/status/x", "/%2e%2e/etc/passwd", "//healthz", "/v1/resources"] {
        port.get(path).problem(404);
    }
    for (method, path) in [
        (Method::GET, "/v1/sync"),
        (Method::POST, "/status"),
        (Method::DELETE, "/healthz"),
        (Method::PUT, "/metrics"),
        (Method::POST, "/readyz"),
    ] {
        let answer = port.call(method, path, &[], "");
        answer.problem(405);
        assert!(!answer.header("allow").is_empty(), "{answer}");
    }
    watcher.quiet();
}

/// A name that leads here is not enough: a page may have rebound its own.
#[test]
fn only_calls_that_name_loopback_are_answered() {
    let world = project("");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    let number = watcher.address().rsplit_once(':').unwrap().1.to_owned();
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", ""]
    {
        for call in ["GET /status", "GET /metrics", "GET /healthz", "POST /v1/sync"] {
            let request = format!("{call} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let answer = watcher.raw(&request);
            let status: u16 = answer.split_whitespace().nth(1).unwrap_or("0").parse().unwrap();
            assert!((400..500).contains(&status), "{host}: {call}: {answer}");
            assert!(!answer.contains("head-office") && !answer.contains("yubin_watch"), "{host}: {call}: {answer}");
        }
    }
    let answer = watcher.raw("GET /status HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 4"), "no host: {answer}");
    for host in
        ["127.0.0.1".to_owned(), format!("127.0.0.1:{number}"), format!("localhost:{number}"), "[::1]".to_owned()]
    {
        let answer = watcher.raw(&format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    watcher.quiet();
}

#[test]
fn other_addresses_than_loopback_are_wrong_usage() {
    let world = project("");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9180", "example.jp:9180", "127.0.0.1", "127.0.0.1:99999"] {
        let output = hermetic(&mut world.command(&["watch", "--once", "--status", address])).output().unwrap();
        let run = Run::of(output);
        assert_eq!((run.code, run.stdout.as_str()), (64, ""), "{address}: {}", run.stderr);
    }
    assert!(!world.file("yubin.db").exists());
    // A port that is taken is a failure that names it.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = hermetic(&mut world.command(&["watch", "--status", &address])).output().unwrap();
    let run = Run::of(output);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains(&address), "{}", run.stderr);
}

/// Callers that say nothing, or too much, hold nobody up.
#[test]
fn slow_and_rude_callers_are_in_nobodys_way() {
    let world = project("");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    let idle: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(watcher.address()).unwrap()).collect();
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    watcher.raw(&format!("GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", "x".repeat(100_000)));
    watcher.raw("\0\0\0\r\n\r\n");
    watcher.raw(&format!(
        "POST /v1/sync HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{}",
        "x".repeat(10)
    ));
    drop(idle);
    watcher.port().get("/healthz").expect(200);
    world.write("a.yaml", accounts(3, "three"));
    watcher.until("synced");
}

#[test]
fn waiting_and_failing_are_states() {
    let world = project(&format!("{FREE}sync: {{ pause_file: PAUSE, heal: false }}\n"));
    let mut watcher = Watcher::served(&world, &["--approve", "deletes"]);
    watcher.next("synced");
    let port = watcher.port();
    world.write("a.yaml", accounts(2, "one"));
    let waiting = watcher.next("waiting");
    watcher.state("waiting");
    assert_eq!(port.get("/readyz").expect(503).body.trim(), "waiting");
    assert_eq!(watcher.status()["last"], waiting);
    equal(&samples(&port), "yubin_watch_syncs_total{result=\"waiting\"}", 1.0);
    world.expect(0, &["watch", "approve", &digest(&waiting)]);
    watcher.next("synced");
    database(&world).execute_batch("UPDATE account SET comment = 'edited'").unwrap();
    watcher.next("drift");
    watcher.state("drift");
    port.get("/readyz").expect(503);
    equal(&samples(&port), "yubin_watch_drift", 2.0);
    world.write("a.yaml", accounts(2, "two"));
    watcher.until("synced");
    equal(&samples(&port), "yubin_watch_drift", 0.0);
    let held = database(&world);
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.write("a.yaml", accounts(2, "three"));
    watcher.until("failed");
    watcher.state("failed");
    port.get("/readyz").expect(503);
    port.get("/healthz").expect(200);
    assert!(
        watcher.status()["next_try"].as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok()),
        "{}",
        watcher.status()
    );
    held.execute_batch("ROLLBACK").unwrap();
    watcher.until("synced");
    watcher.state("in_sync");
    assert_eq!(watcher.status()["next_try"], Json::Null);
}

// --- Signals ------------------------------------------------------------------------------

#[test]
fn term_and_int_end_it() {
    let world = project("");
    for signal in [Signal::TERM, Signal::INT] {
        let mut watcher = Watcher::synced(&world, &[]);
        watcher.signal(signal);
        let since = Instant::now();
        let (status, rest) = watcher.ended();
        assert_eq!(status.code(), Some(0));
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert_eq!(rest.last().unwrap()["event"], "stopped", "{rest:?}");
        assert_eq!(rest.last().unwrap()["reason"], "signal");
    }
    // In whatever state: while it waits, while a try is far away.
    world.write("a.yaml", "accounts: { broken");
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("invalid");
    assert_eq!(watcher.stop().0.code(), Some(0));
    let mut watcher = Watcher::start(&world, &["--store", "sqlite:no/such/folder.db"]);
    watcher.within(Duration::from_secs(1));
    assert_eq!(watcher.stop().0.code(), Some(0));
}

/// An apply is finished or rolled back, and what is said is what is so.
#[test]
fn a_signal_during_an_apply_leaves_all_or_nothing() {
    let world = project(FREE);
    let many = |text: &str| {
        let rows = concat(0..20_000, |number| format!("u{number},p,{text}\n"));
        format!("user,name,organization\n{rows}")
    };
    world.write("b.csv", many("old"));
    let mut watcher = Watcher::start(&world, &[]);
    let first = watcher.next("synced");
    let whole = Duration::from_millis(first["duration_ms"].as_u64().unwrap());
    watcher.stop();
    for (round, part) in [0.2, 0.5, 0.8].into_iter().enumerate() {
        let watcher = Watcher::synced(&world, &[]);
        let before = revision(&world);
        world.write("b.csv.new", many(&format!("new{round}")));
        std::fs::rename(world.file("b.csv.new"), world.file("b.csv")).unwrap();
        std::thread::sleep(Duration::from_millis(50) + whole.mul_f64(part));
        let (status, rest) = watcher.stop();
        assert_eq!(status.code(), Some(0));
        let told = rest.iter().any(|event| event["event"] == "synced");
        let applied = revision(&world) > before;
        assert_eq!(told, applied, "{rest:?}");
        let code = world.run(&["plan", "--exit-code", "-q"]).code;
        assert_eq!(code, if applied { 0 } else { 2 });
    }
}

#[test]
fn hup_looks_at_everything() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &["--poll", "1h"]);
    database(&world).execute_batch("UPDATE account SET comment = 'edited'").unwrap();
    watcher.signal(Signal::HUP);
    let synced = watcher.until("synced");
    assert_eq!((&synced["cause"], comment(&world, "a000")), (&"signal".into(), "one".into()));
    for _ in 0..20 {
        watcher.signal(Signal::HUP);
    }
    watcher.until("unchanged");
    watcher.within(Duration::from_secs(1));
    assert_eq!(watcher.stop().0.code(), Some(0));
}
