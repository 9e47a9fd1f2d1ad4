//! `plan --secrets=skip`: a plan for those who may not see the secrets.

use serde_json::Value as Json;

use super::secret_sources::{Identity, codes, hidden, script, told};
use super::{actions, database, expect_with, private, revision, run_with, shown, state};
use crate::support::World;

const PW: &[(&str, &str)] = &[("PW", "Kanarie-first-7Qx2")];
const NEXT: &[(&str, &str)] = &[("PW", "Kanarie-second-9Zt4")];

const SKIP: &[&str] = &["plan", "--secrets=skip"];

/// One applied resource with a secret, one with a secret and another change, one with neither, a
/// new one, and a tombstone.
fn changed() -> World {
    let world = World::project("generic", "policy: { max_deletes: 10 }\n");
    let yaml = "accounts:
  a: { incoming.password: { env: PW } }
  b: { comment: one, incoming.password: { env: PW } }
  c: { comment: one }
  d: { comment: one }
";
    world.write("a.yaml", yaml);
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let next =
        yaml.replace("b: { comment: one", "b: { comment: two").replace("d: { comment: one }", "d: { absent: true }");
    world
        .write("a.yaml", next + "  e: { incoming.password: { env: PW }, outgoing.auth.password: { file: missing } }\n");
    world
}

/// `ADDRESS FIELD CHANGE` of each secret in a plan.
fn secrets(plan: &Json) -> Vec<String> {
    let changes = plan["changes"].as_array().unwrap().iter();
    let of = |change: &Json| {
        let fields = change["fields"].as_array().unwrap().iter().filter(|field| field["secret"] == true);
        let line = |field: &Json| {
            let word = |json: &Json| json.as_str().unwrap().to_owned();
            format!("{} {} {}", word(&change["address"]), word(&field["field"]), word(&field["change"]))
        };
        fields.map(line).collect::<Vec<_>>()
    };
    let mut all: Vec<String> = changes.flat_map(of).collect();
    all.sort();
    all
}

/// A project of every source, none of which can be had.
fn without_anything() -> (World, World) {
    let tools = World::new();
    let get = script(&tools, "get", &format!("echo run >> {}; exit 1", tools.file("log").display()));
    let armour = Identity::age().armour("secret");
    let world = World::project("generic", &format!("secrets: {{ commands: [[{get}]] }}\n"));
    world.write("x.age", &armour);
    world.write(
        "a.yaml",
        format!(
            "accounts:
  a: {{ password: {{ env: NOT_SET }} }}
  b: {{ incoming.password: {{ file: missing }} }}
  c: {{ incoming.password: {{ file: x.age }} }}
  d: {{ incoming.password: {{ command: [{get}] }} }}
  e: {{ incoming.password: {{ age: \"{}\" }} }}
patterns:
  u: {{ p: {{ outgoing.auth.password: {{ env: NOT_SET }} }} }}
servers:
  s: {{ outgoing.auth.password: {{ env: NOT_SET }} }}
",
            armour.replace('\n', "\\n")
        ),
    );
    (world, tools)
}

#[test]
fn no_secret_no_key_and_no_identity_is_needed() {
    let (world, tools) = without_anything();
    world.expect(3, &["plan"]);
    if tools.file("log").exists() {
        tools.remove("log");
    }
    let plan = world.json(0, SKIP);
    assert_eq!(
        secrets(&plan),
        [
            "account/a password unknown",
            "account/b incoming.password unknown",
            "account/c incoming.password unknown",
            "account/d incoming.password unknown",
            "account/e incoming.password unknown",
            "pattern/u/p outgoing.auth.password unknown",
            "server/s outgoing.auth.password unknown",
        ]
    );
    assert_eq!(plan["summary"]["add"], 7);
    let text = world.expect(0, SKIP).stdout;
    assert_eq!(text.lines().filter(|line| line.contains("password") && line.contains("unknown")).count(), 7, "{text}");
    world.expect(0, &["plan", "--secrets", "skip", "--out", "plan.json"]);
    assert!(!tools.file("log").exists(), "a command ran");
    assert!(!world.file("yubin.db").exists() && !world.file("yubin.db.key").exists(), "something was made");
}

#[test]
fn every_declared_secret_is_unknown_whatever_else_changes() {
    let world = changed();
    let plan = world.json(0, SKIP);
    let mut all = actions(&plan);
    all.sort();
    assert_eq!(all, ["add account/e", "delete account/d", "overwrite account/a", "overwrite account/b"]);
    let declared: Vec<String> = secrets(&plan).into_iter().filter(|line| !line.starts_with("account/d")).collect();
    assert_eq!(
        declared,
        [
            "account/a incoming.password unknown",
            "account/b incoming.password unknown",
            "account/e incoming.password unknown",
            "account/e outgoing.auth.password unknown",
        ]
    );
    // When it was set is no secret.
    let of = |address: &str| plan["changes"].as_array().unwrap().iter().find(|one| one["address"] == address).unwrap();
    assert_eq!(of("account/a")["fields"].as_array().unwrap().len(), 1);
    let since: Vec<&Json> = plan["last_set"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert!(since.contains(&&Json::from("account/a")) && !since.contains(&&Json::from("account/e")), "{since:?}");
    assert_eq!(plan["last_set"][0]["revision"], 1);
    let text = world.expect(0, SKIP).stdout;
    assert!(text.contains("account/a") && text.contains("unknown") && !text.contains("account/c"), "{text}");
    hidden(&run_with(&world, PW, &[SKIP, &["-v"]].concat()), &[PW[0].1]);
}

/// A pipeline without the key and one with it speak of the same plan.
#[test]
fn the_plan_is_the_same_with_and_without_key_and_secrets() {
    let world = changed();
    let key = std::fs::read_to_string(world.file("yubin.db.key")).unwrap();
    let wrong = "f".repeat(64);
    let skipped = [SKIP, &["--format", "json"]].concat();
    let first = world.expect(0, &skipped).stdout;
    let digest = |text: &str| serde_json::from_str::<Json>(text).unwrap()["digest"].clone();
    assert!(digest(&first).is_string());
    world.remove("yubin.db.key");
    for variables in [
        vec![],
        PW.to_vec(),
        NEXT.to_vec(),
        vec![("YUBIN_KEY", key.trim())],
        vec![("YUBIN_KEY", wrong.as_str())],
        vec![("YUBIN_KEY_FILE", "no-such-file")],
    ] {
        assert_eq!(expect_with(&world, 0, &variables, &skipped).stdout, first, "{variables:?}");
        expect_with(&world, 0, &variables, &[SKIP, &["--out", "plan.json"]].concat());
        let saved = std::fs::read_to_string(world.file("plan.json")).unwrap();
        assert_eq!(digest(&saved), digest(&first), "{variables:?}");
        assert!(!world.file("yubin.db.key").exists(), "a key was made");
    }
}

#[test]
fn a_saved_plan_fetches_the_secrets_when_it_is_applied() {
    let world = changed();
    world.expect(0, &[SKIP, &["--out", "plan.json"]].concat());
    let before = state(&world);
    // Missing: nothing is changed.
    let receipt = told(&world, 3, &[], &["apply", "plan.json"]);
    assert!(codes(&receipt).iter().all(|code| code == "secret/missing"), "{receipt}");
    expect_with(&world, 3, PW, &["apply", "plan.json"]);
    assert_eq!((state(&world), revision(&world)), (before, 1));
    // There, and others than when the plan was made.
    private(&world, "missing", "Kanarie-file-8Lp6");
    let run = expect_with(&world, 0, NEXT, &["apply", "plan.json"]);
    hidden(&run, &[NEXT[0].1, "Kanarie-file"]);
    assert_eq!(revision(&world), 2);
    assert_eq!(shown(&world, "account/b")["comment"], "two");
    assert_eq!(shown(&world, "account/e")["outgoing.auth.password"]["secret"], true);
    expect_with(&world, 0, NEXT, &["plan", "--exit-code"]);
    expect_with(&world, 2, PW, &["plan", "--exit-code"]);
    // Once.
    expect_with(&world, 5, NEXT, &["apply", "plan.json"]);
}

#[test]
fn a_plan_of_a_new_store_is_applied_too() {
    let (world, _tools) = without_anything();
    world.write("a.yaml", "accounts: { a: { incoming.password: { env: PW } } }\n");
    world.expect(0, &[SKIP, &["--out", "plan.json"]].concat());
    world.expect(3, &["apply", "plan.json"]);
    assert!(!world.file("yubin.db.key").exists());
    expect_with(&world, 0, PW, &["apply", "plan.json"]);
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
}

#[test]
fn secrets_that_did_not_change_are_applied_as_nothing() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { incoming.password: { env: PW } } }\n");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    world.expect(0, &[SKIP, &["--out", "plan.json"]].concat());
    let before = state(&world);
    expect_with(&world, 0, PW, &["apply", "plan.json"]);
    assert_eq!(state(&world), before);
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
}

#[test]
fn a_saved_plan_lapses_when_anything_else_moves() {
    for moved in ["configuration", "source", "store", "revision"] {
        let world = changed();
        private(&world, "missing", "Kanarie-file-8Lp6");
        world.expect(0, &[SKIP, &["--out", "plan.json"]].concat());
        match moved {
            "configuration" => world.write("yubin.yaml", "version: 1\nname: head-office\nsystem: generic\n"),
            "source" => world.write("b.yaml", "accounts: { f: {} }\n"),
            "store" => {
                database(&world).execute("UPDATE account SET comment = 'x' WHERE name = 'c'", []).unwrap();
            }
            _ => {
                expect_with(&world, 0, PW, &["apply", "--yes"]);
            }
        }
        expect_with(&world, 5, PW, &["apply", "plan.json"]);
    }
    // A plan file that was altered.
    let world = changed();
    private(&world, "missing", "Kanarie-file-8Lp6");
    world.expect(0, &[SKIP, &["--out", "plan.json"]].concat());
    let saved = std::fs::read_to_string(world.file("plan.json")).unwrap();
    world.write("plan.json", saved.replace("\"two\"", "\"six\""));
    expect_with(&world, 4, PW, &["apply", "plan.json"]);
}

/// What needs no secret is still judged.
#[test]
fn what_check_finds_is_found() {
    for (reference, code) in [
        ("{ file: ../pw }", "secret/outside"),
        ("{ command: [pass] }", "secret/command"),
        ("{ env: [x] }", "secret/form"),
        ("{ hash: x }", "secret/form"),
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", format!("accounts: {{ a: {{ password: {reference} }} }}\n"));
        assert_eq!(codes(&world.json(3, SKIP)), [code], "{reference}");
    }
}

#[test]
fn only_plan_skips_secrets() {
    let world = changed();
    world.expect(0, SKIP);
    let before = state(&world);
    for args in [
        &["check", "--secrets=skip"][..],
        &["apply", "--secrets=skip", "--yes"],
        &["show", "--secrets=skip"],
        &["log", "--secrets=skip"],
        &["undo", "1", "--secrets=skip", "--yes"],
        &["export", "yaml", "--secrets=skip"],
        &["--secrets=skip", "apply", "--yes"],
        &["plan", "--secrets=perhaps"],
        &["plan", "--secrets="],
        &["plan", "--secrets"],
    ] {
        assert!(expect_with(&world, 64, PW, args).stdout.is_empty(), "{args:?}");
    }
    assert_eq!(state(&world), before);
}

/// What a new password brings with it is shown before the password is known.
#[test]
fn what_comes_with_a_new_password_is_shown_too() {
    let world = World::project("cpi-business-standard", "");
    world.write("a.yaml", "accounts: { info: { password: { env: PW }, capacity: 5 } }\n");
    expect_with(&world, 0, &[("PW", "Kanarie-1x")], &["apply", "--yes"]);
    world.expect(0, &["mark", "account/info", "password_forced"]);
    let plan = world.json(0, &["plan", "--secrets=skip"]);
    let names: Vec<&str> =
        plan["changes"][0]["fields"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert!(names.contains(&"password") && names.contains(&"status"), "{names:?}");
    world.expect(0, &["plan", "--secrets=skip", "--out", "saved.plan"]);
    expect_with(&world, 0, &[("PW", "vT9-kq_Lm4xZ")], &["apply", "saved.plan"]);
}

/// What may not change at all is over no limit; what does is counted when the secrets are known.
#[test]
fn unknown_secrets_are_no_overwrites_yet() {
    let world = World::project("generic", "policy: { max_overwrites: 1 }\n");
    let yaml = |comment: &str| {
        let one = |name: &str| format!("  {name}: {{ comment: {comment}, incoming.password: {{ env: PW }} }}\n");
        world.write("a.yaml", format!("accounts:\n{}", ["a", "b", "c"].map(one).concat()));
    };
    yaml("x");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    world.expect(0, &["plan", "--secrets=skip", "--out", "saved.plan"]);
    expect_with(&world, 0, PW, &["apply", "saved.plan"]);
    expect_with(&world, 4, NEXT, &["apply", "saved.plan"]);
    yaml("y");
    world.expect(4, &["plan", "--secrets=skip"]);
}
