//! Ways around the rules, and ways to be shown something else than what happens: each was open once.

use serde_json::{Value as Json, json};

use super::saved_plans::{read, said};
use super::{actions, database, expect_with, private, revision, rules, run_with, shown};
use crate::support::World;

fn project(policy: &str, yaml: &str) -> World {
    let world = World::project("generic", &format!("policy: {{ undeclared: delete, {policy} }}\n"));
    world.write("a.yaml", yaml);
    world.expect(0, &["apply", "--yes"]);
    world
}

fn sql(world: &World, statements: &str) {
    database(world).execute_batch(statements).unwrap();
}

/// Moves a revision into the past.
fn age(world: &World, revision: u64, days: u32) {
    sql(
        world,
        &format!(
            "UPDATE revision SET at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-{days} days') WHERE revision = {revision}"
        ),
    );
}

#[test]
fn a_rename_is_in_a_part_of_a_plan_whole_or_not_at_all() {
    let world = project("max_deletes: 100%", "accounts: { old: { comment: x }, b: { comment: x } }\n");
    world.write("a.yaml", "accounts: { new: { previously: old, comment: x }, b: { comment: y } }\n");
    let rename = ["rename account/new"];
    let rest = ["overwrite account/b"];
    for (args, expected) in [
        (&["--target", "account/new"][..], &rename[..]),
        (&["--target", "account/old"], &rename),
        (&["--exclude", "account/new"], &rest),
        (&["--exclude", "account/old"], &rest),
        (&["--target", "account/b"], &rest),
    ] {
        assert_eq!(actions(&world.json(0, &[&["plan"], args].concat())), expected, "{args:?}");
    }
}

#[test]
fn a_server_that_a_target_brings_along_is_renamed_and_not_made_anew() {
    let world = project("max_deletes: 100%", "servers: { hq: {} }\naccounts: { a: { server: hq } }\n");
    world.write("a.yaml", "servers: { main: { previously: hq } }\naccounts: { a: { server: main, comment: x } }\n");
    world.expect(0, &["apply", "--target", "account/a", "--yes"]);
    world.expect(0, &["plan", "--exit-code"]);
    world.expect(1, &["show", "server/hq"]);
}

#[test]
fn half_a_swap_is_no_plan() {
    let world = project("max_deletes: 100%", "accounts: { a: { comment: a }, b: { comment: b } }\n");
    world.write("a.yaml", "accounts: { a: { previously: b }, b: { previously: a } }\n");
    // Both names of both are covered by either glob, so a swap is whole; a chain is not.
    world.write("a.yaml", "accounts: { b: { previously: a }, c: { previously: b } }\n");
    let run = world.run(&["plan", "--exclude", "account/c"]);
    assert!(run.code == 64 || !run.stdout.contains("delete"), "{}", said(&run));
}

#[test]
fn what_gives_way_to_nothing_is_not_deleted() {
    for existing in ["skip", "overwrite"] {
        let world = project(
            &format!("max_deletes: 100%, existing: {existing}"),
            "accounts: { old: { comment: x }, new: { comment: y } }\n",
        );
        world.write("a.yaml", "accounts: { new: { previously: old, comment: y } }\n");
        let plan = world.json(4, &["plan"]);
        assert_eq!((actions(&plan), rules(&plan)), (vec!["blocked account/new".to_owned()], vec!["blocked"]));
    }
}

#[test]
fn a_protected_name_is_not_given_up() {
    let world = project("protect: [account/postmaster]", "accounts: { postmaster: { comment: x } }\n");
    world.write("a.yaml", "accounts: { pm: { previously: postmaster, comment: x } }\n");
    assert_eq!(rules(&world.json(4, &["plan"])), ["protect"]);
}

#[test]
fn an_undo_that_disables_again_is_a_disable() {
    let policy = "delete: after 14d, max_deletes: 100%";
    let world = project(policy, "accounts: { a: { comment: x }, b: {} }\n");
    world.write("a.yaml", "accounts: { b: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    age(&world, 2, 20);
    world.write("a.yaml", "accounts: { a: { comment: x }, b: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    let plan = world.json(4, &["undo", "3"]);
    assert_eq!(actions(&plan), ["disable account/a"]);
    // It counts as what it is.
    let strict = "version: 1\nname: head-office\nsystem: generic\npolicy: { undeclared: delete, delete: after 14d, max_deletes: 0 }\n";
    world.write("yubin.yaml", strict);
    assert_eq!(rules(&world.json(4, &["undo", "3", "--yes"])), ["max_deletes"]);
    world.write("yubin.yaml", strict.replace("max_deletes: 0", "max_deletes: 5"));
    world.expect(0, &["undo", "3", "--yes"]);
    // From now on: the time of before does not count.
    world.write("a.yaml", "accounts: { b: {} }\n");
    assert_eq!(world.json(0, &["plan"])["changes"], json!([]));
}

#[test]
fn what_moves_to_another_file_counts_for_the_one_it_leaves() {
    let world = World::project("generic", "policy: { max_deletes: { file: 10%, account: 100% } }\n");
    let rows: Vec<String> = (0..20).map(|n| format!("a{n:02},x")).collect();
    world.write("a.csv", format!("name,comment\n{}\n", rows.join("\n")));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.csv", format!("name,comment\n{}\n", rows[10..].join("\n")));
    let gone: Vec<String> = (0..10).map(|n| format!("a{n:02},true")).collect();
    world.write("gone.csv", format!("name,absent\n{}\n", gone.join("\n")));
    let plan = world.json(4, &["plan"]);
    let message = plan["refused"][0]["message"].as_str().unwrap();
    assert!(rules(&plan) == ["max_deletes"] && message.contains("a.csv") && message.contains("(10 of 20)"), "{plan}");
}

#[test]
fn an_inbox_is_emptied_once_by_whatever_name() {
    let world = World::project("cpi-business-standard", "policy: { plaintext_secrets: allow }\n");
    let yaml = |id: &str| format!("accounts: {{ info: {{ password: Passw0rdX, capacity: 1, purge_mail: {id} }} }}\n");
    world.write("a.yaml", yaml("one"));
    world.expect(0, &["apply", "--yes"]);
    let effects = |id: &str| {
        world.write("a.yaml", yaml(id));
        world.json(0, &["apply", "--yes"])["effects"].as_array().unwrap().len()
    };
    assert_eq!((effects("two"), effects("one"), effects("three")), (1, 0, 1));
}

#[test]
fn a_rebase_goes_on_for_the_same_plan_alone() {
    let yaml = "accounts: { a: { comment: x }, b: {} }\n";
    let head = "version: 1\nname: head-office\nsystem: generic\npolicy: { undeclared: delete, max_deletes: 100%";
    for (what, policy) in [
        ("another time", format!("{head}, delete: after 1h }}\n")),
        ("another project", format!("{head}, delete: after 14d }}\n").replace("head-office", "branch")),
    ] {
        let world = World::project("generic", "");
        world.write("yubin.yaml", format!("{head}, delete: after 14d }}\n"));
        world.write("a.yaml", yaml);
        world.expect(0, &["apply", "--yes"]);
        world.write("a.yaml", "accounts: { b: {}, c: {} }\n");
        world.expect(0, &["plan", "--out", "plan.json"]);
        world.write("yubin.yaml", policy);
        world.expect(5, &["apply", "plan.json", "--rebase"]);
        assert_eq!(revision(&world), 1, "{what}");
    }
}

#[test]
fn whatever_is_altered_in_a_saved_plan_is_noticed() {
    let world = project("max_deletes: 0", "accounts: { a: { comment: x }, b: {} }\n");
    world.write("a.yaml", "accounts: { b: { comment: y } }\n");
    world.expect(4, &["plan", "--out", "plan.json"]);
    let text = read(&world, "plan.json");
    world.expect(4, &["plan", "--show", "plan.json"]);
    let refused = format!("\"refused\":{}", serde_json::from_str::<Json>(&text).unwrap()["refused"]);
    for altered in [
        text.replace(&refused, "\"refused\":[]"),
        text.replace("\"project\":\"head-office\"", "\"project\":\"other\""),
        text.replace("\"delete\":1", "\"delete\":0"),
        text.replacen("{\"format_version\"", "{ \"format_version\"", 1),
        text.replacen("\"changes\":[", "\"changes\":[],\n\"changes\":[", 1),
    ] {
        assert_ne!(altered, text);
        world.write("altered.json", altered);
        let run = world.expect(4, &["plan", "--show", "altered.json"]);
        assert!(run.stdout.is_empty() && run.stderr.contains("altered"), "{}", said(&run));
    }
}

#[test]
fn a_plan_of_a_part_knows_what_the_files_declare() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100% }\n");
    world.write("a.csv", "name,comment\na,x\nb,x\nc,x\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.csv", "name,comment\na,x\nb,x\n");
    let plan = world.json(0, &["plan", "--target", "account/c"]);
    assert_eq!(actions(&plan), ["delete account/c"]);
    assert_eq!(plan["summary"]["unchanged"], 0);
}

#[test]
fn a_snapshot_that_has_aged_applies_to_nothing_else() {
    let world = World::project("generic", "");
    private(&world, "pw", "secret\n");
    world.write("a.yaml", "accounts: { a: { comment: x, incoming.password: { file: pw } } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["snapshot", "--redacted", "--out", "state.json"]);
    world.write("a.yaml", "accounts: { a: { comment: y, incoming.password: { file: pw } } }\n");
    world.expect(0, &["plan", "--against", "state.json", "--out", "plan.json"]);
    sql(&world, "UPDATE account SET label = 'theirs'");
    world.expect(5, &["apply", "plan.json"]);
    world.write("yubin.yaml", "version: 1\nname: head-office\nsystem: staff-express\n");
    world.expect(4, &["plan", "--against", "state.json"]);
}

#[test]
fn a_password_beside_what_is_adopted_is_not_shown() {
    const CLEAR: &str = "Kuckuck-4Tz9";
    let world = World::project("generic", "policy: { plaintext_secrets: allow }\n");
    world.write(
        "a.yaml",
        format!(
            "defaults:\n  accounts: {{ incoming.password: {CLEAR} }}\naccounts:\n  a: {{ comment: x, incoming.password: {{ env: PW }} }}\n"
        ),
    );
    expect_with(&world, 0, &[("PW", "other")], &["apply", "--yes"]);
    sql(&world, "UPDATE account SET comment = 'y'");
    for args in [&["drift", "--adopt"][..], &["drift", "--adopt", "--yes"]] {
        let run = run_with(&world, &[("PW", "other")], args);
        assert!(!said(&run).contains(CLEAR) && run.stdout.contains("comment x → y"), "{}", said(&run));
    }
    assert!(read(&world, "a.yaml").contains("comment: y") && read(&world, "a.yaml").contains(CLEAR));
}

/// The runner looks behind blanks, and colours are blanks to it once they are taken away.
#[test]
fn no_value_is_a_command_of_the_runner() {
    let world = World::project("generic", "");
    let yaml =
        |line: &str| format!("accounts:\n  a:\n    signature: |\n      one\n      ::stop-commands::x\n      {line}\n");
    world.write("a.yaml", yaml("two"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", yaml("three"));
    for format in ["text", "markdown"] {
        let run = world.expect(0, &["plan", "--annotate", "github", "--format", format, "--color", "always"]);
        let commands = run.stdout.lines().filter(|line| line.trim_start().starts_with("::"));
        assert_eq!(commands.count(), 0, "{}", run.stdout);
        assert!(run.stdout.contains("stop-commands"), "{}", run.stdout);
    }
}

#[test]
fn other_software_can_neither_hide_a_change_nor_invent_a_past() {
    let world = World::project("generic", "");
    private(&world, "pw", "secret\n");
    world.write("a.csv", "name,comment,incoming.password\na,x,${file:pw}\nb,x,${file:pw}\n");
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["apply", "--yes"]);
    // The digest of the record is put back.
    let digest: Vec<u8> = database(&world)
        .query_row("SELECT yubin_declared FROM account WHERE name = 'a'", [], |row| row.get(0))
        .unwrap();
    sql(&world, "UPDATE account SET comment = 'evil' WHERE name = 'a'");
    database(&world).execute("UPDATE account SET yubin_declared = ?1 WHERE name = 'a'", [digest]).unwrap();
    assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/a"]);
    // A row that is replaced was what it was before.
    sql(&world, "INSERT OR REPLACE INTO account (name, comment) VALUES ('b', 'evil')");
    let then = world.json(0, &["show", "--at", "1", "account/b"]);
    assert_eq!(then["resources"][0]["fields"]["comment"], "x");
    assert_eq!(shown(&world, "account/b")["comment"], "evil");
    // And so was one that another one was put upon.
    world.write("a.csv", "name,comment,incoming.password\na,x,${file:pw}\nb,x,${file:pw}\nc,z,${file:pw}\n");
    world.expect(0, &["apply", "--yes"]);
    sql(&world, "UPDATE OR REPLACE account SET name = 'c' WHERE name = 'a'");
    let drift = world.json(2, &["drift"])["drift"].take();
    let of_c: Vec<&Json> = drift.as_array().unwrap().iter().filter(|one| one["address"] == "account/c").collect();
    assert!(of_c.iter().any(|one| one["before"] == "z" && one["after"] == "x"), "{drift}");
    assert_eq!(world.json(0, &["show", "--at", "2", "account/c"])["resources"][0]["fields"]["comment"], "z");
}

#[test]
fn odd_numbers_of_other_software_do_not_close_the_past() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    world.expect(0, &["apply", "--yes"]);
    sql(&world, "UPDATE account SET yubin_revision = -5");
    let run = world.run(&["plan"]);
    assert!(run.code == 1 && run.stderr.contains("yubin_revision"), "{}", said(&run));
    sql(&world, "UPDATE account SET yubin_revision = 1");
    for args in [&["show", "--at", "1"][..], &["log", "account/a"], &["plan"], &["drift"]] {
        assert!(matches!(world.run(args).code, 0 | 2), "{args:?}");
    }
}

#[test]
fn a_report_for_a_forge_says_why_a_plan_is_refused() {
    let world = project("max_deletes: 0", "accounts: { a: { comment: x }, b: {} }\n");
    world.write("a.yaml", "accounts: { b: {} }\n");
    let run = world.expect(4, &["plan", "--annotate", "gitlab"]);
    let report: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report[0]["check_name"], "max_deletes");
    assert_eq!(report[0]["location"]["path"], "yubin.yaml");
}

#[test]
fn newcomers_are_not_taken_for_those_who_left() {
    let world = project(
        "max_deletes: 100%",
        "accounts: { suzuki: { address: suzuki@x.jp, capacity: 5, comment: Tokyo }, sato: { address: sato@x.jp } }\n",
    );
    world.write(
        "a.yaml",
        "accounts: { tanaka: { address: tanaka@x.jp, capacity: 5, comment: Tokyo }, sato: { address: sato@x.jp } }\n",
    );
    assert_eq!(world.json(0, &["plan"])["diagnostics"], json!([]));
    let run = world.run(&["check"]);
    assert_eq!(run.code, 0);
    // A name is no address.
    world.write("a.yaml", "accounts: { tanaka: { previously: account/suzuki } }\n");
    assert_eq!(world.json(3, &["check"])["diagnostics"][0]["code"], "resource/previously");
}

#[test]
fn a_rehearsal_needs_the_secrets() {
    let world = project("max_deletes: 100%", "accounts: { a: {} }\n");
    world.expect(64, &["plan", "--rehearse", "--secrets=skip"]);
}

#[test]
fn what_became_of_a_plan_is_said() {
    let world = project("max_deletes: 100%", "accounts: { a: { comment: x } }\n");
    world.write("a.yaml", "accounts: { a: { comment: y } }\n");
    world.expect(0, &["plan", "--out", "plan.json", "--json-out", "beside.json"]);
    let run = world.expect(4, &["apply", "beside.json"]);
    assert!(run.stderr.contains("no saved one"), "{}", run.stderr);
    world.expect(0, &["apply", "plan.json"]);
    let run = world.expect(5, &["apply", "plan.json"]);
    assert!(run.stderr.contains("applied already, as revision 2"), "{}", run.stderr);
}

/// The product has the pattern until it is told of the purge.
#[test]
fn a_product_logs_out_when_it_hears_of_it() {
    for (system, disables, purges) in [("generic", 1, 0), ("catchme-mail", 0, 1)] {
        let policy = "policy: { delete: after 14d, max_deletes: 100%, plaintext_secrets: allow }\n";
        let world = World::project(system, policy);
        let fields = "incoming: { label: r, host: p.x.jp, protocol: pop3, username: u, password: Passw0rdX }, \
                      outgoing: { label: s, host: s.x.jp }, address: u@x.jp";
        world.write("a.yaml", format!("patterns: {{ u: {{ p: {{ {fields} }} }} }}\n"));
        world.expect(0, &["apply", "--yes"]);
        world.write("a.yaml", "patterns: { u: { p: { absent: true } } }\n");
        let effects = || world.json(0, &["apply", "--yes"])["effects"].as_array().unwrap().len();
        assert_eq!(effects(), disables, "{system}");
        age(&world, 2, 20);
        assert_eq!(effects(), purges, "{system}");
    }
}

#[test]
fn what_others_own_does_not_follow_a_renamed_server() {
    let world = project("max_deletes: 100%", "servers: { hq: {} }\naccounts: { a: { server: hq } }\n");
    sql(&world, "INSERT INTO account (name, server, yubin_owner) VALUES ('theirs', 'hq', 'branch')");
    world.write("a.yaml", "servers: { main: { previously: hq } }\naccounts: { a: { server: main } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["foreign_owner"]);
    assert!(plan["refused"][0]["message"].as_str().unwrap().contains("account/theirs"), "{plan}");
    sql(&world, "DELETE FROM account WHERE name = 'theirs'");
    assert_eq!(world.json(0, &["plan"])["changes"][0]["followers"], 1);
}
