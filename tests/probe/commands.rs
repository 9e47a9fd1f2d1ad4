//! Where a probe goes, how often, and what it prints.

use std::time::Duration;

use super::dialogues::{IMAP, account, fields};
use super::fake::{Fake, Script};
use super::{EVIDENCE, codes, command, expect, files, json, parsed, probed, shows_no_password, step};
use crate::cli::concat;
use crate::support::{Run, World};

#[test]
fn without_hosts_nothing_is_probed() {
    let fake = Fake::start(IMAP);
    for more in ["", "probe: { timeout: 2s }\n", "probe: { hosts: [] }\n"] {
        let world = World::project("generic", more);
        world.write("a.yaml", format!("accounts: {{ a: {} }}\n", fields("a", "imap", "none", fake.port())));
        let run = expect(&world, 64, &["probe"]);
        assert!(run.stderr.contains("probe"), "{}", run.stderr);
        assert!(run.stderr.contains("hosts"), "{}", run.stderr);
    }
    assert_eq!(fake.accepted(), 0);
}

#[test]
fn a_host_that_is_not_named_is_not_connected_to() {
    let fake = Fake::start(IMAP);
    let port = fake.port();
    let other = if port == 1 { 2 } else { 1 };
    for hosts in ["mail.example.jp", &format!("127.0.0.1:{other}"), "127.0.0.10", "localhost"] {
        let world = World::project("generic", &format!("probe: {{ hosts: [{}] }}\n", quoted(hosts)));
        world.write("a.yaml", format!("accounts: {{ a: {} }}\n", fields("a", "imap", "none", port)));
        let document = json(&world, 1, &["probe"]);
        let probe = probed(&document, "account/a", "imap");
        let allowed = step(probe, "allowed");
        assert_eq!(allowed["code"], "probe/host-not-allowed", "{hosts} {document:#}");
        assert!(allowed["hint"].as_str().unwrap().contains("probe.hosts"), "{allowed}");
        assert_eq!(probe["steps"].as_array().unwrap().len(), 1, "{probe:#}");
    }
    assert_eq!(fake.accepted(), 0);
    let world = World::project("generic", &format!("probe: {{ hosts: [\"127.0.0.1:{port}\"], timeout: 1s }}\n"));
    world.write("a.yaml", format!("accounts: {{ a: {} }}\n", fields("a", "imap", "none", port)));
    expect(&world, 0, &["probe"]);
    assert_eq!(fake.accepted(), 1);
}

fn quoted(host: &str) -> String {
    if host.starts_with('"') { host.to_owned() } else { format!("\"{host}\"") }
}

#[test]
fn under_ci_only_a_trusted_file_says_where_to_go() {
    let fake = Fake::start(IMAP);
    let world = account("imap", "none", fake.port());
    let outside = World::new();
    let trusted = outside.file("trusted.yaml").display().to_string();
    let run = |ci: &str, args: &[&str]| Run::of(command(&world, args).env("CI", ci).output().unwrap());
    for ci in ["true", "1", "TRUE", "yes"] {
        for args in [&["probe"][..], &["plan", "--probe"], &["apply", "--probe", "--yes"]] {
            let run = run(ci, args);
            assert_eq!(run.code, 64, "{ci} {args:?}\n{}\n{}", run.stdout, run.stderr);
            assert!(run.stderr.contains("--trusted-config"), "{}", run.stderr);
        }
    }
    // What the project itself allows does not count.
    outside.write("trusted.yaml", "policy: { max_deletes: 1 }\n");
    assert_eq!(run("true", &["probe", "--trusted-config", &trusted]).code, 64);
    outside.write("trusted.yaml", "probe: { hosts: [mail.example.jp] }\n");
    let refused = run("true", &["probe", "--trusted-config", &trusted, "--format", "json"]);
    assert_eq!(refused.code, 1, "{}\n{}", refused.stdout, refused.stderr);
    assert_eq!(codes(&parsed(&refused)), ["probe/host-not-allowed"]);
    assert_eq!(fake.accepted(), 0);
    outside.write("trusted.yaml", "probe: { hosts: [127.0.0.1], timeout: 1s }\n");
    let taken = run("true", &["probe", "--trusted-config", &trusted]);
    assert_eq!(taken.code, 0, "{}\n{}", taken.stdout, taken.stderr);
    shows_no_password(&taken);
    for ci in ["", "0", "false"] {
        assert_eq!(run(ci, &["probe"]).code, 0, "{ci}");
    }
    assert_eq!(fake.accepted(), 4);
}

/// All of one user, at one host: after the first refusal nobody tries again.
#[test]
fn a_refused_user_is_not_tried_again() {
    let refusing = Script {
        answers: &[
            ("CAPABILITY", "* CAPABILITY IMAP4rev1\r\n% OK\r\n"),
            ("LOGIN", "% NO [AUTHENTICATIONFAILED] no\r\n"),
        ],
        ..IMAP
    };
    let (first, second) = (Fake::start(refusing), Fake::start(refusing));
    for (attempts, expected) in [(1, 1), (2, 2), (5, 5)] {
        let world = World::project(
            "generic",
            &format!("probe: {{ hosts: [127.0.0.1], timeout: 1s, attempts: {attempts}, parallel: 8 }}\n"),
        );
        let rows = concat(0..8, |i| {
            let port = if i % 2 == 0 { first.port() } else { second.port() };
            format!("  a{i}: {}\n", fields("same", "imap", "none", port))
        });
        let other = fields("other", "imap", "none", first.port());
        world.write("a.yaml", format!("accounts:\n{rows}  other: {other}\n"));
        let before = first.logins() + second.logins();
        let document = json(&world, 1, &["probe"]);
        let codes = codes(&document);
        let count = |code: &str| codes.iter().filter(|found| **found == code).count();
        assert_eq!(first.logins() + second.logins() - before, expected + 1, "{document:#}");
        assert_eq!(count("probe/login-refused"), expected + 1);
        assert_eq!(count("probe/not-tried"), 8 - expected);
    }
}

#[test]
fn no_more_connections_than_allowed_stand_at_once() {
    for (parallel, most) in [(1, 1), (3, 3)] {
        let fake = Fake::start(Script { delay: Duration::from_millis(60), ..IMAP });
        let world =
            World::project("generic", &format!("probe: {{ hosts: [127.0.0.1], timeout: 5s, parallel: {parallel} }}\n"));
        let rows = concat(0..9, |i| format!("  u{i}: {}\n", fields(&format!("u{i}"), "imap", "none", fake.port())));
        world.write("a.yaml", format!("accounts:\n{rows}"));
        let document = json(&world, 0, &["probe"]);
        assert_eq!(document["summary"]["ok"], 9, "{document:#}");
        assert_eq!(fake.accepted(), 9);
        // A connection that its client has just closed still counts until the server has noticed.
        assert!(fake.most() <= 2 * most, "{} at once, {parallel} allowed", fake.most());
        assert!(parallel == 1 || fake.most() > 1, "one after the other");
    }
}

/// Logins of one user at one host wait for each other.
#[test]
fn one_user_does_not_log_in_twice_at_once() {
    let fake = Fake::start(Script { delay: Duration::from_millis(60), ..IMAP });
    let world = World::project("generic", "probe: { hosts: [127.0.0.1], timeout: 5s }\n");
    let rows = concat(0..4, |i| format!("  a{i}: {}\n", fields("same", "imap", "none", fake.port())));
    world.write("a.yaml", format!("accounts:\n{rows}"));
    let document = json(&world, 0, &["probe"]);
    assert_eq!((document["summary"]["ok"].as_u64(), fake.logins()), (Some(4), 4), "{document:#}");
}

#[test]
fn what_is_asked_for_is_probed() {
    let fake = Fake::start(IMAP);
    let world = World::project("generic", "probe: { hosts: [127.0.0.1], timeout: 1s }\n");
    let server =
        format!("{{ incoming: {{ protocol: imap, host: 127.0.0.1, port: {}, security: none }} }}", fake.port());
    let (a, b) = (fields("a", "imap", "none", fake.port()), fields("b", "imap", "none", fake.port()));
    world.write(
        "a.yaml",
        format!("servers: {{ lone: {server} }}\naccounts:\n  a: {a}\n  b: {b}\n  gone: {{ absent: true }}\n"),
    );
    let addresses = |args: &[&str]| -> Vec<String> {
        let document = json(&world, 0, &[&["probe"], args].concat());
        let probes = document["probes"].as_array().unwrap().clone();
        probes.iter().map(|probe| probe["address"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(addresses(&[]), ["account/a", "account/b", "server/lone"]);
    assert_eq!(fake.logins(), 2);
    assert_eq!(addresses(&["account/b"]), ["account/b"]);
    assert_eq!(addresses(&["server/lone"]), ["server/lone"]);
    assert_eq!(addresses(&["server/lone", "account/a"]), ["account/a", "server/lone"]);
    assert_eq!(fake.logins(), 4);
    let before = fake.accepted();
    for wrong in [&["account/nobody"][..], &["account/a", "account/nobody"], &["nonsense"], &["account/gone"]] {
        let run = expect(&world, 64, &[&["probe"], wrong].concat());
        assert!(!run.stderr.is_empty());
    }
    assert_eq!(fake.accepted(), before);
    world.write("b.yaml", "accounts: { a: [] }\n");
    expect(&world, 3, &["probe"]);
    assert_eq!(fake.accepted(), before);
}

#[test]
fn json_has_its_shape() {
    let fake = Fake::start(IMAP);
    let world = account("imap", "none", fake.port());
    let document = json(&world, 0, &["probe"]);
    assert_eq!(document["format_version"], 1);
    assert!(document["at"].as_str().unwrap().ends_with('Z'), "{document:#}");
    assert_eq!(document["outcome"], "ok");
    assert_eq!(document["summary"], serde_json::json!({ "ok": 1, "skipped": 0, "warning": 0, "failed": 0 }));
    assert_eq!(document["diagnostics"], serde_json::json!([]));
    let probe = &document["probes"][0];
    for (key, value) in [("protocol", "imap"), ("host", "127.0.0.1"), ("security", "none"), ("user", "a@example.jp")] {
        assert_eq!(probe[key], value, "{probe:#}");
    }
    assert_eq!(probe["port"], fake.port());
    assert_eq!((&probe["source"]["file"], &probe["source"]["line"]), (&"a.yaml".into(), &1.into()), "{probe:#}");
    let steps: Vec<&str> = probe["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["connect", "greeting", "capabilities", "login", "mailbox"]);
    for step in probe["steps"].as_array().unwrap() {
        assert_eq!(step["outcome"], "ok", "{step}");
        assert!(step["message"].is_string() && step["ms"].is_u64(), "{step}");
        assert!(step["code"].is_null() && step["hint"].is_null(), "{step}");
    }
}

#[test]
fn people_get_text_markdown_and_japanese() {
    let fake = Fake::start(Script {
        answers: &[
            ("CAPABILITY", "* CAPABILITY IMAP4rev1\r\n% OK\r\n"),
            ("LOGIN", "% NO [AUTHENTICATIONFAILED] a|b`c\r\n"),
        ],
        ..IMAP
    });
    let world = account("imap", "none", fake.port());
    let before = files(world.path());
    let text = expect(&world, 1, &["probe"]).stdout;
    for part in ["✗ account/a", "IMAP 127.0.0.1:", "as a@example.jp", "a.yaml:1", "[probe/login-refused]", "help: "] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(text.trim_end().ends_with("1 probed: 1 failed"), "{text}");
    let markdown = expect(&world, 1, &["probe", "--format", "markdown"]).stdout;
    assert!(markdown.contains("account/a") && markdown.contains("probe/login-refused"), "{markdown}");
    let table = markdown.lines().filter(|line| line.starts_with('|')).count();
    assert!(table >= 3, "{markdown}");
    // What a server says makes no column of its own.
    let said = markdown.lines().find(|line| line.contains("probe/login-refused")).unwrap();
    assert!(!said.contains("a|b") || said.contains("a\\|b"), "{said}");
    let japanese = expect(&world, 1, &["probe", "--lang", "ja"]).stdout;
    assert!(japanese.chars().any(|c| ('ぁ'..='ん').contains(&c)), "{japanese}");
    assert!(japanese.contains("probe/login-refused"), "{japanese}");
    let mut after = files(world.path());
    after.remove(EVIDENCE);
    assert_eq!(after, before);
}

#[test]
fn the_worst_stands_last() {
    let fake = Fake::start(IMAP);
    let world = World::project("generic", "probe: { hosts: [127.0.0.1], timeout: 1s }\n");
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let (bad, good) = (fields("a", "imap", "none", dead), fields("b", "imap", "none", fake.port()));
    world.write("a.yaml", format!("accounts:\n  a: {bad}\n  b: {good}\n"));
    let text = expect(&world, 1, &["probe"]).stdout;
    assert!(text.find("account/b").unwrap() < text.find("account/a").unwrap(), "{text}");
    assert!(text.contains("2 probed: 1 ok, 1 failed"), "{text}");
    let document = json(&world, 1, &["probe"]);
    assert_eq!(document["probes"][0]["address"], "account/a");
}
