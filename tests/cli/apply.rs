//! `yubin apply`, with and without a saved plan.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value as Json, json};

use super::{
    accounts, actions, catchme, database, expect_with, keys, mode, private, revision, row, rules, run_with, state,
};
use crate::support::World;

#[test]
fn an_apply_asks_on_a_terminal_only() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..2, "x"));
    let run = world.expect(4, &["apply"]);
    assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    // What would have been applied is shown.
    assert!(run.stdout.contains("2 to add"), "{}", run.stdout);
    assert!(!world.file("yubin.db").exists());
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(revision(&world), 1);
    world.expect(4, &["undo", "1"]);
    assert_eq!(revision(&world), 1);
    // Where nothing is to be done, nothing is to be asked.
    let run = world.expect(0, &["apply"]);
    assert!(run.stdout.contains("Nothing to change"), "{}", run.stdout);
    assert_eq!(revision(&world), 1);
}

/// One document on stdout, whatever the reason.
#[test]
fn a_refusal_to_ask_is_json_too() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..2, "x"));
    let refused = world.json(4, &["apply"]);
    assert_eq!(actions(&refused), ["add account/a000", "add account/a001"]);
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_only_yes_is_yes() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..2, "x"));
    let answer = |text: &str| {
        let yubin = env!("CARGO_BIN_EXE_yubin");
        let mut command = std::process::Command::new("script");
        command.args(["-qefc", &format!("'{yubin}' apply"), "/dev/null"]).current_dir(world.path());
        command.env_remove("YUBIN_STORE").env_remove("YUBIN_KEY").env_remove("YUBIN_KEY_FILE");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    for no in ["\n", "n\n", "no\n", "yess\n", "\u{4}"] {
        let (code, shown) = answer(no);
        assert_eq!(code, 4, "{no:?}: {shown}");
        assert!(shown.contains("Apply this plan?"), "{shown}");
        assert!(!world.file("yubin.db").exists());
    }
    let (code, shown) = answer("yes\n");
    assert_eq!(code, 0, "{shown}");
    assert_eq!(revision(&world), 1);
}

#[test]
fn the_receipt_as_json() {
    let world = catchme("");
    world.write("people.csv", row("taro", "p1"));
    let plan = world.json(0, &["plan"]);
    let receipt = world.json(0, &["apply", "--yes"]);
    assert_eq!(keys(&receipt), ["format_version", "revision", "digest", "summary", "effects", "diagnostics"]);
    assert_eq!(receipt["format_version"], 1);
    assert_eq!(receipt["revision"], 1);
    for key in ["digest", "summary", "effects", "diagnostics"] {
        assert_eq!(receipt[key], plan[key], "{key}");
    }
    assert_eq!(receipt["effects"], json!([{ "effect": "logout", "user": "taro", "address": "pattern/taro/p1" }]));
    // Nothing to do is a receipt, too.
    let receipt = world.json(0, &["apply"]);
    assert_eq!(receipt["revision"], 1);
    assert_eq!(
        receipt["summary"].to_string(),
        r#"{"add":0,"overwrite":0,"delete":0,"skip":0,"blocked":0,"unchanged":1}"#
    );
    assert_eq!(receipt["effects"], json!([]));
}

#[test]
fn a_refused_apply_prints_the_plan() {
    let world = World::project("generic", "policy: { max_deletes: 0 }\n");
    world.write("a.yaml", accounts(0..2, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true } }\n");
    let plan = world.json(4, &["plan"]);
    let refused = world.json(4, &["apply", "--yes"]);
    assert_eq!(refused, plan);
    assert_eq!(keys(&refused["refused"][0]), ["rule", "message"]);
    assert_eq!(rules(&refused), ["max_deletes"]);
}

/// The two-run rule: what was applied plans nothing, and applies as nothing.
#[test]
fn a_second_apply_has_nothing_to_do() {
    let world = catchme("");
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1"));
    world.write("more.yaml", "patterns: { hana: { p: { server: s, address: h@x.jp, incoming: { label: l, username: h, password: { env: PW } }, outgoing: { label: l } } } }\nservers: { s: { incoming: { host: i.x.jp, protocol: imap }, outgoing: { host: o.x.jp } } }\n");
    expect_with(&world, 0, &[("PW", "x")], &["apply", "--yes"]);
    for _ in 0..2 {
        let run = expect_with(&world, 0, &[("PW", "x")], &["plan", "--format", "json", "--exit-code"]);
        let plan: Json = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(plan["summary"]["unchanged"], 3);
        expect_with(&world, 0, &[("PW", "x")], &["apply", "--yes"]);
    }
    assert_eq!(world.json(0, &["log"])["revisions"].as_array().unwrap().len(), 1);
}

fn saved() -> World {
    let world = World::project("generic", "policy: { max_deletes: 100 }\n");
    private(&world, "pw", "first");
    world.write(
        "a.yaml",
        "accounts:
  a: { comment: one, password: { file: pw } }
  b: { comment: two, password: { env: PW } }
  c: { comment: three }
  d: { label: x }
",
    );
    expect_with(&world, 0, &[("PW", "first")], &["apply", "--yes"]);
    world.write(
        "a.yaml",
        "accounts:
  a: { comment: eins, password: { file: pw } }
  b: { comment: zwei, password: { env: PW } }
  c: { absent: true }
  d: { label: x }
  e: { comment: five }
",
    );
    expect_with(&world, 0, &[("PW", "first")], &["plan", "--out", "plan.json"]);
    world
}

const FIRST: &[(&str, &str)] = &[("PW", "first")];

#[test]
fn a_saved_plan_is_applied_exactly_once() {
    let world = saved();
    assert_eq!(mode(&world, "plan.json"), 0o600);
    let plan: Json = serde_json::from_str(&std::fs::read_to_string(world.file("plan.json")).unwrap()).unwrap();
    let shown: Json =
        serde_json::from_str(&expect_with(&world, 0, FIRST, &["plan", "--format", "json"]).stdout).unwrap();
    assert_eq!(plan["format_version"], 1);
    for (key, value) in shown.as_object().unwrap() {
        assert_eq!(&plan[key], value, "{key}");
    }
    let receipt = expect_with(&world, 0, FIRST, &["apply", "plan.json", "--format", "json"]);
    let receipt: Json = serde_json::from_str(&receipt.stdout).unwrap();
    assert_eq!(receipt["digest"], plan["digest"]);
    assert_eq!(revision(&world), 2);
    let log = world.json(0, &["log"]);
    assert_eq!(log["revisions"][0]["digest"], plan["digest"]);
    assert_eq!(log["revisions"][0]["config_digest"], plan["config_digest"]);
    let run = expect_with(&world, 5, FIRST, &["apply", "plan.json"]);
    assert!(run.stderr.contains("revision"), "{}", run.stderr);
    expect_with(&world, 5, FIRST, &["apply", "plan.json", "--yes"]);
    assert_eq!(revision(&world), 2);
}

#[test]
fn a_plan_of_a_first_apply_is_saved_and_applied() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { password: { env: PW } } }\n");
    expect_with(&world, 0, FIRST, &["plan", "--out", "plan.json"]);
    assert!(!world.file("yubin.db").exists());
    expect_with(&world, 0, FIRST, &["apply", "plan.json"]);
    expect_with(&world, 5, FIRST, &["apply", "plan.json"]);
    assert_eq!(revision(&world), 1);
}

#[test]
fn an_altered_plan_file_is_refused() {
    let world = saved();
    let text = std::fs::read_to_string(world.file("plan.json")).unwrap();
    let before = state(&world);
    let plan: Json = serde_json::from_str(&text).unwrap();
    let alter = |change: &dyn Fn(&mut Json)| {
        let mut altered = plan.clone();
        change(&mut altered);
        assert_ne!(altered, plan);
        altered.to_string()
    };
    let other = "0".repeat(64);
    let altered = [
        ("a value", text.replace("eins", "evil")),
        ("a value of the same length before", text.replace("one", "eno")),
        ("an address", text.replace("account/e", "account/f")),
        ("a change is gone", alter(&|plan| drop(plan["changes"].as_array_mut().unwrap().pop()))),
        (
            "a change twice",
            alter(&|plan| {
                let change = plan["changes"][0].clone();
                plan["changes"].as_array_mut().unwrap().push(change);
            }),
        ),
        ("other order", alter(&|plan| plan["changes"].as_array_mut().unwrap().reverse())),
        ("an action", text.replace("\"delete\",\"address\"", "\"skip\",\"address\"")),
        (
            "how a secret changes",
            alter(&|plan| {
                plan["changes"][0]["fields"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "field": "password", "secret": true, "change": "changed" }));
            }),
        ),
        ("a source", text.replace("\"line\":2", "\"line\":3")),
        ("a summary", text.replace("\"unchanged\":1", "\"unchanged\":2")),
        ("its digest", text.replace(plan["digest"].as_str().unwrap(), &other)),
        (
            "an effect",
            alter(&|plan| {
                plan["effects"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "effect": "logout", "user": "x", "address": "pattern/x/y" }));
            }),
        ),
        (
            "a refusal",
            alter(&|plan| plan["refused"].as_array_mut().unwrap().push(json!({ "rule": "protect", "message": "" }))),
        ),
        ("a new key", alter(&|plan| plan["approved"] = json!(true))),
        ("the project", text.replace("\"head-office\"", "\"branch\"")),
        ("the system", text.replace("\"generic\"", "\"catchme-mail\"")),
        ("cut off", text[..text.len() / 2].to_owned()),
        ("nothing", String::new()),
        ("no JSON", "not a plan".to_owned()),
        ("another document", "{\"format_version\": 1, \"diagnostics\": []}".to_owned()),
        ("two documents", text.clone() + &text),
    ];
    for (what, text) in altered {
        world.write("altered.json", text);
        let run = run_with(&world, FIRST, &["apply", "altered.json"]);
        assert_eq!(run.code, 4, "{what}: {}{}", run.stdout, run.stderr);
        assert_eq!(state(&world), before, "{what}");
    }
    assert_eq!(revision(&world), 1);
    world.expect(1, &["apply", "no-such-plan.json"]);
}

/// What the file says of where it was made is part of the file: if the digest in it does not
/// cover it, the file was altered, not the store moved.
#[test]
fn an_altered_head_of_a_plan_file_is_refused() {
    let world = saved();
    let text = std::fs::read_to_string(world.file("plan.json")).unwrap();
    let plan: Json = serde_json::from_str(&text).unwrap();
    let other = "0".repeat(64);
    for (what, text) in [
        ("base_revision", text.replace("\"base_revision\":1", "\"base_revision\":0")),
        ("config_digest", text.replace(plan["config_digest"].as_str().unwrap(), &other)),
        ("yubin", text.replace("\"yubin\":\"", "\"yubin\":\"9")),
    ] {
        world.write("altered.json", text);
        let run = run_with(&world, FIRST, &["apply", "altered.json"]);
        assert!(matches!(run.code, 4 | 5), "{what}: exit {}\n{}", run.code, run.stderr);
        assert_eq!(revision(&world), 1, "{what}");
    }
}

#[test]
fn a_plan_of_a_later_format_is_not_applied() {
    let world = saved();
    let text = std::fs::read_to_string(world.file("plan.json")).unwrap();
    world.write("later.json", text.replace("\"format_version\":1", "\"format_version\":2"));
    let run = run_with(&world, FIRST, &["apply", "later.json"]);
    assert!(matches!(run.code, 4 | 5), "{}", run.stderr);
    assert!(run.stderr.contains('2'), "{}", run.stderr);
    assert_eq!(revision(&world), 1);
}

#[test]
fn a_plan_is_refused_when_configuration_secret_or_store_has_moved() {
    let refused = |world: &World, variables: &[(&str, &str)], word: &str| {
        let run = expect_with(world, 5, variables, &["apply", "plan.json"]);
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
        assert_eq!(world.json(0, &["show", "account/a"])["resources"][0]["fields"]["comment"], "one");
    };
    // A source: even a comment, which changes nothing in the plan but its digest.
    let world = saved();
    let text = std::fs::read_to_string(world.file("a.yaml")).unwrap();
    world.write("a.yaml", format!("{text}# later\n"));
    refused(&world, FIRST, "configuration");
    world.write("a.yaml", text.replace("eins", "uno"));
    refused(&world, FIRST, "configuration");
    world.write("a.yaml", &text);
    // Another file.
    world.write("b.yaml", "accounts: {}\n");
    refused(&world, FIRST, "configuration");
    world.remove("b.yaml");
    // The policy.
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", project.replace("100", "99"));
    refused(&world, FIRST, "configuration");
    world.write("yubin.yaml", &project);
    // Secrets.
    refused(&world, &[("PW", "second")], "secret");
    private(&world, "pw", "second");
    refused(&world, FIRST, "secret");
    private(&world, "pw", "first");
    // A secret that cannot be had any more is invalid input.
    world.expect(3, &["apply", "plan.json"]);
    // With everything as it was, it still applies.
    expect_with(&world, 0, FIRST, &["apply", "plan.json"]);
    assert_eq!(revision(&world), 2);
}

#[test]
fn a_plan_is_refused_when_the_store_has_moved() {
    let other = |world: &World| {
        let other = World::new();
        let store = world.file("yubin.db").display().to_string();
        other.write("yubin.yaml", format!("version: 1\nname: other\nstore: sqlite:{store}\n"));
        other.write("b.yaml", "accounts: { elsewhere: {} }\n");
        other.expect(0, &["apply", "--yes"]);
    };
    let world = saved();
    other(&world);
    let run = expect_with(&world, 5, FIRST, &["apply", "plan.json"]);
    assert!(run.stderr.contains("revision"), "{}", run.stderr);
    assert_eq!(revision(&world), 2);
    // The store is gone.
    let world = saved();
    world.remove("yubin.db");
    expect_with(&world, 5, FIRST, &["apply", "plan.json"]);
    assert!(!world.file("yubin.db").exists());
}

/// Other software leaves the revision alone, and still the plan is not what it was made for.
#[test]
fn a_plan_is_refused_when_other_software_has_written() {
    let mut wrong = Vec::new();
    for sql in [
        "UPDATE account SET comment = 'three!' WHERE name = 'c'",
        "UPDATE account SET label = 'y' WHERE name = 'd'",
        "DELETE FROM account WHERE name = 'd'",
        "INSERT INTO account (name) VALUES ('e')",
        "UPDATE account SET yubin_owner = 'other' WHERE name = 'a'",
        "UPDATE account SET name = 'b2' WHERE name = 'b'",
        "UPDATE account SET password = NULL WHERE name = 'a'",
    ] {
        let world = saved();
        database(&world).execute(sql, []).unwrap();
        let run = run_with(&world, FIRST, &["apply", "plan.json"]);
        assert_eq!(revision(&world), 1, "{sql}");
        if run.code != 5 {
            wrong.push(format!("exit {} after {sql}: {}", run.code, run.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_plan_of_another_project_is_not_applied() {
    let (one, two) = (saved(), saved());
    two.write("yubin.yaml", "version: 1\nname: branch\nsystem: generic\n");
    two.write("plan.json", std::fs::read(one.file("plan.json")).unwrap());
    let run = run_with(&two, FIRST, &["apply", "plan.json"]);
    assert!(matches!(run.code, 4 | 5), "{}", run.stderr);
    assert_eq!(revision(&two), 1);
}

/// The same store by another address is the same store.
#[test]
fn the_stores_address_is_no_part_of_a_plan() {
    let world = saved();
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    expect_with(&world, 0, FIRST, &["apply", "plan.json", "--store", &store]);
    assert_eq!(revision(&world), 2);
}

#[test]
fn a_refused_plan_is_saved_and_needs_consent() {
    let world = World::project("generic", "policy: { max_deletes: 1 }\n");
    world.write("a.yaml", accounts(0..4, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true } }\n");
    world.expect(4, &["plan", "--out", "plan.json"]);
    world.expect(4, &["apply", "plan.json"]);
    world.expect(4, &["apply", "plan.json", "--yes"]);
    let digest = world.json(4, &["plan"])["digest"].as_str().unwrap().to_owned();
    let wrong = digest.replace(&digest[..2], if digest.starts_with("00") { "11" } else { "00" });
    for wrong in [wrong.as_str(), &digest[..8], "", "yes"] {
        let run = run_with(&world, &[], &["apply", "--yes", "--ack", wrong]);
        assert_eq!(run.code, 4, "--ack {wrong}: {}", run.stderr);
        assert_eq!(run_with(&world, &[], &["apply", "plan.json", "--ack", wrong]).code, 4);
    }
    assert_eq!(revision(&world), 1);
    world.expect(0, &["apply", "plan.json", "--ack", &digest]);
    assert_eq!(revision(&world), 2);
    assert_eq!(world.json(0, &["log"])["revisions"][0]["digest"], digest.as_str());
}

#[test]
fn consent_is_for_exactly_one_plan() {
    let world = World::project("generic", "policy: { max_deletes: 1 }\n");
    world.write("a.yaml", accounts(0..4, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true } }\n");
    let digest = world.json(4, &["plan"])["digest"].as_str().unwrap().to_owned();
    // One more delete is another plan.
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true }, a002: { absent: true } }\n");
    world.expect(4, &["apply", "--yes", "--ack", &digest]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true } }\n");
    world.expect(0, &["apply", "--yes", "--ack", &digest]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn a_note_stands_in_the_log() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes", "--note", "ticket 4711 受信"]);
    let log = world.json(0, &["log"]);
    assert_eq!(log["revisions"][0]["note"], "ticket 4711 受信");
    assert_eq!(log["revisions"][0]["actor"], "tester");
    assert!(world.expect(0, &["log"]).stdout.contains("ticket 4711 受信"));
}

/// Whoever reads the output has gone: what exits 0 was applied all the same.
#[test]
fn exit_0_of_an_apply_means_that_it_was_applied() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..3_000, "x"));
    for format in ["text", "json"] {
        world.write("a.yaml", accounts(0..3_000, format));
        let before = world.json(0, &["show"])["revision"].as_u64().unwrap();
        let mut command = world.command(&["apply", "--yes", "--format", format]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let code = child.wait_with_output().unwrap().status.code();
        let applied = revision(&world) > before;
        assert_eq!(code == Some(0), applied, "--format {format}: exit {code:?}, applied: {applied}");
    }
}
