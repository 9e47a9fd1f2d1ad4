//! `plan --probe`, the evidence that it keeps, and `policy.probe`.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value as Json;

use super::dialogues::{IMAP, fields, with};
use super::fake::{Fake, Script};
use super::{EVIDENCE, expect, files, has_password, json, parsed, run};
use crate::cli::concat;
use crate::support::World;

fn world(policy: &str) -> World {
    World::project("generic", &format!("probe: {{ hosts: [127.0.0.1], timeout: 1s }}\n{policy}"))
}

/// The store is there, with its key: evidence is kept with it.
fn applied(policy: &str) -> World {
    let world = world(policy);
    world.write("first.yaml", "accounts: { first: { comment: x } }\n");
    expect(&world, 0, &["apply", "--yes"]);
    world
}

fn declare(world: &World, rows: &[(&str, &Fake, &str)]) {
    let text = concat(rows, |(name, fake, more)| {
        let fields = fields(name, "imap", "none", fake.port());
        format!("  {name}: {}\n", fields.replacen("{ ", &format!("{{ {more}"), 1))
    });
    world.write("a.yaml", format!("accounts:\n{text}"));
}

/// Rules that refuse a plan.
fn refusals(plan: &Json) -> Vec<&str> {
    plan["refused"].as_array().into_iter().flatten().filter_map(|why| why["rule"].as_str()).collect()
}

fn warnings(plan: &Json) -> Vec<&str> {
    plan["diagnostics"].as_array().into_iter().flatten().filter_map(|said| said["code"].as_str()).collect()
}

fn addresses(plan: &Json) -> Vec<&str> {
    plan["probes"].as_array().into_iter().flatten().filter_map(|probe| probe["address"].as_str()).collect()
}

#[test]
fn only_what_a_plan_touches_is_probed() {
    let (one, two) = (Fake::start(IMAP), Fake::start(IMAP));
    let world = world("");
    declare(&world, &[("a", &one, ""), ("b", &two, "")]);
    let plan = json(&world, 0, &["plan", "--probe"]);
    assert_eq!(addresses(&plan), ["account/a", "account/b"], "{plan:#}");
    assert_eq!((one.logins(), two.logins()), (1, 1));
    assert_eq!(plan["probes"][0]["outcome"], "ok", "{plan:#}");
    expect(&world, 0, &["apply", "--yes"]);
    assert_eq!((one.logins(), two.logins()), (1, 1), "an apply without --probe asks nobody");
    // Nothing of it is what a probe would ask.
    declare(&world, &[("a", &one, "comment: x, "), ("b", &two, "")]);
    assert!(addresses(&json(&world, 0, &["plan", "--probe"])).is_empty());
    assert_eq!((one.logins(), two.logins()), (1, 1));
    // Another server, and another password: those.
    declare(&world, &[("a", &two, ""), ("b", &two, "")]);
    assert_eq!(addresses(&json(&world, 0, &["plan", "--probe"])), ["account/a"]);
    assert_eq!((one.logins(), two.logins()), (1, 2));
    let text = std::fs::read_to_string(world.file("a.yaml")).unwrap();
    world.write("a.yaml", text.replace(&format!("port: {}", two.port()), &format!("port: {}", one.port())));
    let text = std::fs::read_to_string(world.file("a.yaml")).unwrap();
    world.write("a.yaml", text.replacen("env: RIGHT", "env: WRONG", 1));
    let plan = json(&world, 0, &["plan", "--probe"]);
    assert_eq!(addresses(&plan), ["account/a", "account/b"], "{plan:#}");
}

#[test]
fn a_changed_server_is_probed_for_all_who_use_it() {
    let (one, two) = (Fake::start(IMAP), Fake::start(IMAP));
    let world = world("");
    let write = |fake: &Fake| {
        let at = format!("protocol: imap, host: 127.0.0.1, port: {}, security: none", fake.port());
        let login = |name| format!("incoming: {{ username: {name}@example.jp, password: {{ env: RIGHT }} }}");
        world.write(
            "a.yaml",
            format!(
                "servers: {{ s: {{ incoming: {{ {at} }} }} }}\naccounts:\n  \
                 a: {{ server: s, {} }}\n  b: {{ server: s, {} }}\n",
                login("a"),
                login("b")
            ),
        );
    };
    write(&one);
    expect(&world, 0, &["apply", "--yes"]);
    write(&two);
    let plan = json(&world, 0, &["plan", "--probe"]);
    let addresses = addresses(&plan);
    assert!(addresses.contains(&"account/a") && addresses.contains(&"account/b"), "{plan:#}");
    assert_eq!((one.accepted(), two.logins()), (0, 2), "{plan:#}");
}

#[test]
fn evidence_is_kept_without_secrets() {
    let fake = Fake::start(IMAP);
    let world = applied("policy: { probe: require }\n");
    declare(&world, &[("a", &fake, "")]);
    let before = files(world.path());
    json(&world, 4, &["plan"]);
    assert!(!world.file(EVIDENCE).exists());
    json(&world, 0, &["plan", "--probe"]);
    let mode = std::fs::metadata(world.file(EVIDENCE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let after = files(world.path());
    assert!(!after.values().any(|content| has_password(content)));
    assert!(after.len() > before.len());
    // It stands for this password, at this port, of this account alone.
    assert_eq!(json(&world, 0, &["plan"])["refused"], serde_json::json!([]));
    let text = std::fs::read_to_string(world.file("a.yaml")).unwrap();
    for changed in [text.replace("RIGHT", "WRONG"), text.replace("a@example.jp", "b@example.jp")] {
        world.write("a.yaml", changed);
        assert_eq!(refusals(&json(&world, 4, &["plan"])), ["probe"]);
    }
    world.write("a.yaml", &text);
    json(&world, 0, &["plan"]);
    // Old evidence is none.
    let evidence = std::fs::read_to_string(world.file(EVIDENCE)).unwrap();
    let mut old: Json = serde_json::from_str(&evidence).unwrap();
    for (_, one) in old["evidence"].as_object_mut().unwrap() {
        one["at"] = (one["at"].as_i64().unwrap() - 2 * 86_400).into();
    }
    world.write(EVIDENCE, old.to_string());
    assert_eq!(refusals(&json(&world, 4, &["plan"])), ["probe"]);
    // What cannot be read is none, and no reason to fail otherwise.
    world.write(EVIDENCE, "garbage");
    assert_eq!(refusals(&json(&world, 4, &["plan"])), ["probe"]);
    json(&world, 0, &["plan", "--probe"]);
}

#[test]
fn without_evidence_a_plan_is_warned_of_or_refused() {
    let refusing = Script {
        answers: &[
            ("CAPABILITY", "* CAPABILITY IMAP4rev1\r\n% OK\r\n"),
            ("LOGIN", "% NO [AUTHENTICATIONFAILED] no\r\n"),
        ],
        ..IMAP
    };
    let (good, bad) = (Fake::start(IMAP), Fake::start(refusing));
    for (policy, code) in [("off", 0), ("warn", 0), ("require", 4)] {
        let world = applied(&format!("policy: {{ probe: {policy} }}\n"));
        declare(&world, &[("a", &good, "")]);
        let plan = json(&world, code, &["plan"]);
        assert_eq!(warnings(&plan).contains(&"probe/no-evidence"), policy == "warn", "{policy} {plan:#}");
        assert_eq!(refusals(&plan), if policy == "require" { vec!["probe"] } else { vec![] }, "{policy} {plan:#}");
        // Good evidence is enough, of whichever run.
        json(&world, 0, &["plan", "--probe"]);
        let plan = json(&world, 0, &["plan"]);
        assert!(!warnings(&plan).contains(&"probe/no-evidence"), "{policy} {plan:#}");
        // Evidence of a failure is none.
        declare(&world, &[("a", &bad, "")]);
        let probed = parsed(&run(&world, &["plan", "--probe", "--format", "json"]));
        assert_eq!(probed["probes"][0]["outcome"], "failed", "{policy} {probed:#}");
        assert_eq!(refusals(&probed), if policy == "require" { vec!["probe"] } else { vec![] }, "{policy} {probed:#}");
        let again = json(&world, code, &["plan"]);
        assert_eq!(refusals(&again), if policy == "require" { vec!["probe"] } else { vec![] }, "{policy} {again:#}");
        if policy == "warn" {
            assert!(!warnings(&again).is_empty(), "{again:#}");
        }
    }
}

#[test]
fn no_consent_stands_for_evidence() {
    let fake = Fake::start(IMAP);
    let world = applied("policy: { probe: require }\n");
    declare(&world, &[("a", &fake, "")]);
    let digest = json(&world, 4, &["plan"])["digest"].as_str().unwrap().to_owned();
    json(&world, 4, &["apply", "--ack", &digest]);
    json(&world, 4, &["apply", "--yes"]);
    assert_eq!(fake.accepted(), 0);
    // A saved plan holds none; what is there when it is applied counts.
    expect(&world, 0, &["plan", "--probe", "--out", "saved.plan"]);
    assert_eq!(fake.logins(), 1);
    std::fs::remove_file(world.file(EVIDENCE)).unwrap();
    expect(&world, 4, &["apply", "saved.plan"]);
    expect(&world, 0, &["apply", "saved.plan", "--probe"]);
    assert_eq!(fake.logins(), 2);
    // A plan that asks no server for anything new needs none.
    declare(&world, &[("a", &fake, "comment: x, ")]);
    std::fs::remove_file(world.file(EVIDENCE)).unwrap();
    expect(&world, 0, &["apply", "--yes"]);
}

/// What a proposal says about probing does not count under CI.
#[test]
fn the_trusted_file_says_what_is_required() {
    let fake = Fake::start(IMAP);
    let world = applied("policy: { probe: off }\n");
    declare(&world, &[("a", &fake, "")]);
    let outside = World::new();
    outside.write("trusted.yaml", "probe: { hosts: [127.0.0.1], timeout: 1s }\npolicy: { probe: require }\n");
    let trusted = outside.file("trusted.yaml").display().to_string();
    let plan = json(&world, 4, &["plan", "--trusted-config", &trusted]);
    assert_eq!(refusals(&plan), ["probe"], "{plan:#}");
    json(&world, 0, &["plan", "--probe", "--trusted-config", &trusted]);
    json(&world, 0, &["plan", "--trusted-config", &trusted]);
    assert_eq!(fake.logins(), 1);
}

/// Whoever asks for it before an apply does not want it where the answer is bad.
#[test]
fn an_apply_is_refused_where_its_own_probe_fails() {
    let fake = Fake::start(with(IMAP, ("LOGIN", "% NO [AUTHENTICATIONFAILED] no\r\n")));
    for policy in ["", "policy: { probe: warn }\n"] {
        let world = applied(policy);
        declare(&world, &[("a", &fake, "")]);
        let before = fake.logins();
        let plan = json(&world, 1, &["plan", "--probe"]);
        assert!(refusals(&plan).is_empty(), "{plan:#}");
        let plan = json(&world, 4, &["apply", "--probe", "--yes"]);
        assert_eq!(refusals(&plan), ["probe"], "{plan:#}");
        assert!(!plan["refused"][0]["message"].as_str().unwrap().contains("--probe"), "{plan:#}");
        assert_eq!(fake.logins(), before + 2);
        assert_eq!(json(&world, 0, &["show"])["revision"], 1);
        if policy.is_empty() {
            expect(&world, 0, &["apply", "--yes"]);
        } else {
            expect(&world, 4, &["plan", "--strict"]);
            expect(&world, 4, &["apply", "--strict", "--yes"]);
        }
    }
}

#[test]
fn a_file_inside_the_project_is_not_to_be_trusted() {
    let fake = Fake::start(IMAP);
    let world = applied("");
    declare(&world, &[("a", &fake, "")]);
    let output = |args: &[&str]| super::command(&world, args).env("CI", "true").output().unwrap();
    for args in [["--trusted-config", "yubin.yaml", "probe"], ["--trusted-config", "yubin.yaml", "plan"]] {
        let args = if args[2] == "plan" { [&args[..], &["--probe"]].concat() } else { args.to_vec() };
        let output = output(&args);
        assert_eq!(output.status.code(), Some(64), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // Nor one elsewhere in the same repository.
    let whole = World::new();
    assert!(std::process::Command::new("git").args(["init", "-q"]).arg(whole.path()).status().unwrap().success());
    std::fs::create_dir(whole.file("mail")).unwrap();
    for name in ["yubin.yaml", "a.yaml"] {
        std::fs::copy(world.file(name), whole.file(&format!("mail/{name}"))).unwrap();
        std::fs::copy(world.file(name), whole.file(name)).unwrap();
    }
    let args = ["-C", "mail", "--trusted-config", "../yubin.yaml", "probe"];
    let output = super::command(&whole, &args).env("CI", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fake.logins(), 0);
}
