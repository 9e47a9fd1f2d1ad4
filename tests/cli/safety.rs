//! What a plan may not do, and what it sees that others did.

use serde_json::{Value as Json, json};
use yubin::model::{Kind, Type};

use super::{accounts, actions, catchme, concat, database, expect_with, private, revision, row, rules, shown, state};
use crate::support::World;

/// A world that owns this many accounts.
fn owning(owned: usize, policy: &str) -> World {
    let world = World::project("generic", &format!("policy: {{ undeclared: delete, {policy} }}\n"));
    world.write("a.yaml", accounts(0..owned, "x"));
    world.expect(0, &["apply", "--yes"]);
    world
}

#[test]
fn max_deletes_holds_at_its_edges() {
    for (policy, owned, allowed, refused) in [
        // Nothing said: 30 %, from ten resources on.
        ("existing: overwrite", 9, &[1, 3, 8][..], &[][..]),
        ("existing: overwrite", 10, &[3], &[4, 9]),
        ("existing: overwrite", 11, &[3], &[4]),
        ("existing: overwrite", 100, &[29, 30], &[31]),
        ("max_deletes: 30%", 100, &[29, 30], &[31]),
        ("max_deletes: \"30%\"", 10, &[3], &[4]),
        ("max_deletes: 2.5%", 40, &[1], &[2]),
        ("max_deletes: 0%", 10, &[], &[1]),
        ("max_deletes: 0%", 9, &[1, 8], &[]),
        ("max_deletes: 100%", 10, &[9], &[]),
        // A count always holds.
        ("max_deletes: 10", 50, &[9, 10], &[11]),
        ("max_deletes: 10", 12, &[10], &[11]),
        ("max_deletes: 2", 5, &[2], &[3]),
        ("max_deletes: 0", 3, &[], &[1]),
    ] {
        let world = owning(owned, policy);
        for gone in allowed {
            world.write("a.yaml", accounts(*gone..owned, "x"));
            let plan = world.json(0, &["plan"]);
            assert_eq!(plan["summary"]["delete"], *gone, "{policy}: {gone} of {owned}");
        }
        for gone in refused {
            world.write("a.yaml", accounts(*gone..owned, "x"));
            let plan = world.json(4, &["plan"]);
            assert_eq!(rules(&plan), ["max_deletes"], "{policy}: {gone} of {owned}");
            // Refused, and still shown.
            assert_eq!(plan["summary"]["delete"], *gone);
            assert_eq!(plan["changes"].as_array().unwrap().len(), *gone);
            let message = plan["refused"][0]["message"].as_str().unwrap();
            assert!(message.contains(&gone.to_string()), "{message}");
        }
    }
}

#[test]
fn max_overwrites_holds_at_its_edges() {
    for (policy, owned, allowed, refused) in [
        ("existing: overwrite", 20, &[20][..], &[][..]),
        ("max_overwrites: 50%", 9, &[9], &[]),
        ("max_overwrites: 50%", 10, &[5], &[6]),
        ("max_overwrites: 50%", 11, &[5], &[6]),
        ("max_overwrites: 3", 5, &[2, 3], &[4]),
        ("max_overwrites: 0", 5, &[], &[1]),
    ] {
        let world = owning(owned, policy);
        let change = |count: usize| {
            world.write("a.yaml", accounts(0..count, "y"));
            world.write("b.yaml", accounts(count..owned, "x"));
        };
        for count in allowed {
            change(*count);
            assert_eq!(world.json(0, &["plan"])["summary"]["overwrite"], *count, "{policy}");
        }
        for count in refused {
            change(*count);
            assert_eq!(rules(&world.json(4, &["plan"])), ["max_overwrites"], "{policy}: {count} of {owned}");
            world.expect(4, &["apply", "--yes"]);
        }
    }
}

#[test]
fn limits_count_each_kind_by_itself() {
    let world = World::project("generic", "policy: { undeclared: delete }\n");
    let write = |servers: usize, patterns: usize| {
        let servers = concat(servers..10, |n| format!("  s{n}: {{}}\n"));
        let patterns = concat(patterns..10, |n| format!("    p{n}: {{}}\n"));
        world.write("a.yaml", format!("servers:\n{servers}patterns:\n  u:\n{patterns}"));
    };
    write(0, 0);
    world.expect(0, &["apply", "--yes"]);
    write(3, 3);
    world.expect(0, &["plan"]);
    write(4, 0);
    let plan = world.json(4, &["plan"]);
    assert!(plan["refused"][0]["message"].as_str().unwrap().contains("servers"), "{plan}");
    write(4, 5);
    assert_eq!(rules(&world.json(4, &["plan"])), ["max_deletes", "max_deletes"]);
}

/// A percent counts what this project owns, not what the store holds.
#[test]
fn a_percent_is_of_what_the_project_owns() {
    let world = owning(10, "existing: overwrite");
    let rows = concat(0..100, |n| format!("('z{n}'),"));
    database(&world).execute(&format!("INSERT INTO account (name) VALUES {}", rows.trim_end_matches(',')), []).unwrap();
    world.write("a.yaml", accounts(4..10, "x"));
    assert_eq!(rules(&world.json(4, &["plan"])), ["max_deletes"]);
}

/// A-R9, AMB-A3: a record with nothing but its key deletes, in every spelling, and counts.
#[test]
fn every_delete_counts_tombstones_and_key_only_rows_too() {
    let world = catchme("policy: { max_deletes: 2 }\n");
    let rows = |deletes: &[&str]| -> String {
        (0..6)
            .map(|n| deletes.get(n).map_or_else(|| row("taro", &format!("p{n}")), |text| format!("{text}\n")))
            .collect()
    };
    world.write("people.csv", rows(&[]));
    world.expect(0, &["apply", "--yes"]);
    world.write("people.csv", rows(&["taro,p0", "taro,p1,,,,,,,,,,"]));
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete pattern/taro/p0", "delete pattern/taro/p1"]);
    world.write("people.csv", rows(&["taro,p0", "taro,p1,", "taro,p2,,,,,,,,,,,,,,,,,,,,,,,,"]));
    assert_eq!(rules(&world.json(4, &["plan"])), ["max_deletes"]);
    world.write("people.csv", rows(&["taro,p0", "taro,p1"]).replace(&row("taro", "p2"), ""));
    world.write("more.yaml", "patterns: { taro: { p2: { absent: true } } }\n");
    assert_eq!(rules(&world.json(4, &["plan"])), ["max_deletes"]);
    world.expect(4, &["apply", "--yes"]);
    assert_eq!(world.json(0, &["show"])["resources"].as_array().unwrap().len(), 6);
}

#[test]
fn what_is_protected_is_never_deleted() {
    let world = World::project(
        "generic",
        "policy: { undeclared: delete, max_deletes: 100, protect: [account/a000, pattern/u/p, account/a%2Fb] }\n",
    );
    world.write("a.yaml", "accounts: { a000: { comment: x }, a001: {}, a/b: {} }\npatterns: { u: { p: {}, q: {} } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: {} }\npatterns: { u: { q: {} } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["protect", "protect", "protect"]);
    let digest = plan["digest"].as_str().unwrap();
    world.expect(4, &["apply", "--yes", "--ack", digest]);
    assert_eq!(revision(&world), 1);
    // It may be changed all the same.
    world.write(
        "a.yaml",
        "accounts: { a000: { comment: y }, a001: {}, a/b: {} }\npatterns: { u: { p: { organization: z }, q: {} } }\n",
    );
    world.expect(0, &["apply", "--yes"]);
}

#[test]
fn consent_lifts_the_two_limits_and_nothing_else() {
    let world = World::project("generic", "policy: { max_deletes: 0, max_overwrites: 0, protect: [account/a000] }\n");
    world.write("a.yaml", accounts(0..4, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { comment: y } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["max_deletes", "max_overwrites", "protect"]);
    world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
    world.write("a.yaml", "accounts: { a001: { comment: y }, a002: { absent: true } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["max_deletes", "max_overwrites"]);
    world.expect(0, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
}

#[test]
fn a_kind_never_shrinks_to_nothing_by_omission() {
    for policy in ["max_deletes: 100%", "max_deletes: 1000", "existing: overwrite"] {
        let world = owning(3, policy);
        for empty in ["accounts: {}\n", "accounts:\n  a000: { absent: true }\n"] {
            world.write("a.yaml", empty);
            let plan = world.json(4, &["plan"]);
            assert!(rules(&plan).contains(&"empty_kind"), "{plan}");
            world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        }
        world.write("a.csv", "name,comment\n");
        world.remove("a.yaml");
        assert!(rules(&world.json(4, &["plan"])).contains(&"empty_kind"));
        assert_eq!(revision(&world), 1);
    }
    // Each by name is meant.
    let world = owning(3, "max_deletes: 3");
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true }, a002: { absent: true } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(state(&world), json!([]));
    // Where undeclared is kept, an empty kind deletes nothing.
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: {}\n");
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn a_source_that_vanished_deletes_nothing() {
    let project = |sources: &str| {
        let world = World::project(
            "generic",
            &format!("sources: [{sources}]\npolicy: {{ undeclared: delete, max_deletes: 1000 }}\n"),
        );
        world.write("base.yaml", accounts(0..2, "x"));
        world.write("people/tokyo.yaml", accounts(2..4, "x"));
        world.write("people/osaka.yaml", accounts(4..6, "x"));
        world.expect(0, &["apply", "--yes"]);
        world
    };
    for sources in ["base.yaml, people/*.yaml", "base.yaml, people"] {
        let world = project(sources);
        // One of several files gone is an ordinary removal.
        world.remove("people/osaka.yaml");
        assert_eq!(actions(&world.json(0, &["plan"])), ["delete account/a004", "delete account/a005"], "{sources}");
        world.remove("people/tokyo.yaml");
        if sources.ends_with("people") {
            std::fs::write(world.file("people/.keep"), "").unwrap();
        }
        let plan = world.json(4, &["plan"]);
        assert_eq!(rules(&plan), ["source_vanished"], "{sources}");
        world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        assert_eq!(revision(&world), 1);
    }
    // A file that is named and missing is invalid input.
    let world = project("base.yaml, people/tokyo.yaml, people/osaka.yaml");
    world.remove("people/osaka.yaml");
    world.expect(3, &["plan"]);
    world.expect(3, &["apply", "--yes"]);
    // So is the folder of a project that has moved away.
    std::fs::remove_dir_all(world.file("people")).unwrap();
    world.remove("base.yaml");
    world.expect(3, &["apply", "--yes"]);
    assert_eq!(revision(&world), 1);
}

/// What is not read, although it looks like a source, must not read as "delete what it declared".
#[cfg(target_os = "linux")]
#[test]
fn files_are_not_passed_over_in_silence() {
    use std::os::unix::ffi::OsStrExt;
    let world = owning(3, "max_deletes: 100%");
    world.write("a.yaml", accounts(0..1, "x"));
    // A name in Shift_JIS, as file servers have them.
    let name = std::ffi::OsStr::from_bytes(b"\x8c\xda\x8bq.yaml");
    std::fs::write(world.path().join(name), accounts(1..3, "x")).unwrap();
    let plan = world.run(&["plan", "--format", "json"]);
    let json: Json = serde_json::from_str(&plan.stdout).unwrap();
    let told = json["diagnostics"].as_array().is_some_and(|all| !all.is_empty());
    assert!(told || json["summary"]["delete"] == 0, "two accounts are deleted without a word: {}", plan.stdout);
    std::fs::remove_file(world.path().join(name)).unwrap();
    // A folder behind a link.
    let elsewhere = World::new();
    elsewhere.write("b.yaml", accounts(1..3, "x"));
    std::os::unix::fs::symlink(elsewhere.path(), world.file("people")).unwrap();
    let plan = world.run(&["plan", "--format", "json"]);
    let json: Json = serde_json::from_str(&plan.stdout).unwrap();
    let told = json["diagnostics"].as_array().is_some_and(|all| !all.is_empty());
    assert!(told || json["summary"]["delete"] == 0, "two accounts are deleted without a word: {}", plan.stdout);
}

/// Without `sources:` nothing says that a file is missing, but an emptied folder mentions nothing.
#[test]
fn a_folder_without_files_deletes_nothing() {
    let world = owning(3, "max_deletes: 100%");
    world.remove("a.yaml");
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.write("a.csv", "");
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    let world = catchme("policy: { undeclared: delete, max_deletes: 100% }\n");
    world.write("people.csv", row("taro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    for empty in ["", "\r\n", "\n\n", "\u{feff}"] {
        world.write("people.csv", empty);
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), [""; 0], "{empty:?}");
    }
}

/// A-O4, AMB-A10: what exists is left alone, and its user is not logged out.
#[test]
fn existing_skip_leaves_what_differs() {
    let world = catchme("policy: { existing: skip }\n");
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    let before = state(&world);
    world.write("people.csv", row("taro", "p1").replace("recv", "RECV") + &row("jiro", "p1") + &row("hana", "p1"));
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["add pattern/hana/p1", "skip pattern/taro/p1"]);
    assert_eq!(plan["summary"].to_string(), r#"{"add":1,"overwrite":0,"delete":0,"skip":1,"blocked":0,"unchanged":1}"#);
    assert_eq!(plan["effects"], json!([{ "effect": "logout", "user": "hana", "address": "pattern/hana/p1" }]));
    world.expect(0, &["apply", "--yes"]);
    let after = state(&world);
    for resource in before.as_array().unwrap() {
        assert!(after.as_array().unwrap().contains(resource));
    }
    // Only what is skipped is left: nothing is to be done, in every run.
    for _ in 0..2 {
        assert_eq!(actions(&world.json(0, &["plan"])), ["skip pattern/taro/p1"]);
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(revision(&world), 2);
    }
    // Deletes do not depend on it, and the plan says so (AMB-A9).
    world.write("people.csv", "taro,p1\n".to_owned() + &row("jiro", "p1") + &row("hana", "p1"));
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["delete pattern/taro/p1"]);
    assert_eq!(plan["diagnostics"][0]["severity"], "info");
}

#[test]
fn existing_fail_refuses_what_differs() {
    let world = World::project("generic", "policy: { existing: fail, max_deletes: 9 }\n");
    world.write("a.yaml", accounts(0..2, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { comment: y }, a003: {}, a001: { absent: true } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(plan["refused"].as_array().unwrap().len(), 1);
    assert!(plan["refused"][0]["message"].as_str().unwrap().contains("account/a000"));
    world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
    assert_eq!(revision(&world), 2);
}

#[test]
fn undeclared_keep_keeps() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", accounts(0..1, "x"));
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), [""; 0]);
    assert_eq!(plan["summary"]["unchanged"], 1);
}

/// Rename is delete and add; swapping two identities is two overwrites; nothing is lost halfway.
#[test]
fn renames_and_swaps_converge_in_one_apply() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 9 }\n");
    world.write("a.yaml", "accounts: { a: { address: a@x.jp }, b: { address: b@x.jp }, old: { comment: o } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { address: b@x.jp }, b: { address: a@x.jp }, new: { comment: o } }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite account/a", "overwrite account/b", "add account/new", "delete account/old"]);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    assert_eq!(shown(&world, "account/a"), json!({ "address": "b@x.jp" }));
}

/// Names that differ in case alone are two names.
#[test]
fn keys_are_compared_bytewise() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: {}, A: {}, á: {}, \"a\\u0301\": {} }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(world.json(0, &["show"])["resources"].as_array().unwrap().len(), 4);
    assert_eq!(world.json(0, &["plan"])["summary"]["unchanged"], 4);
}

struct Two {
    one: World,
    two: World,
}

fn two_projects() -> Two {
    let policy = "policy: { undeclared: delete, max_deletes: 100 }\n";
    let one = World::project("generic", policy);
    one.write("a.yaml", "accounts: { one-a: { comment: x }, one-b: {} }\n");
    one.expect(0, &["apply", "--yes"]);
    let two = World::new();
    let store = one.file("yubin.db").display().to_string();
    two.write("yubin.yaml", format!("version: 1\nname: branch\nstore: sqlite:{store}\n{policy}"));
    two.write("a.yaml", "accounts: { two-a: { comment: y }, two-b: {} }\n");
    two.expect(0, &["apply", "--yes"]);
    Two { one, two }
}

#[test]
fn two_projects_in_one_store_never_touch_each_other() {
    let Two { one, two } = two_projects();
    assert_eq!(
        world_owners(&one),
        [("one-a", "head-office"), ("one-b", "head-office"), ("two-a", "branch"), ("two-b", "branch")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    // What a project no longer declares is deleted only if it owns it.
    one.write("a.yaml", "accounts: { one-a: { comment: x } }\n");
    assert_eq!(actions(&one.json(0, &["plan"])), ["delete account/one-b"]);
    one.expect(0, &["apply", "--yes"]);
    two.write("a.yaml", "accounts: { two-b: {} }\n");
    assert_eq!(actions(&two.json(0, &["plan"])), ["delete account/two-a"]);
    two.expect(0, &["apply", "--yes"]);
    let before = state(&one);
    // Neither overwriting, nor declaring the same, nor a tombstone touches what another owns.
    for declared in ["{ comment: z }", "{ comment: x }", "{}", "{ absent: true }"] {
        two.write("a.yaml", format!("accounts: {{ two-b: {{}}, one-a: {declared} }}\n"));
        let plan = two.json(4, &["plan"]);
        assert_eq!(rules(&plan), ["foreign_owner"], "{declared}");
        let message = plan["refused"][0]["message"].as_str().unwrap();
        assert!(message.contains("account/one-a") && message.contains("head-office"), "{message}");
        two.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        assert_eq!(state(&one), before);
    }
}

fn world_owners(world: &World) -> Vec<(String, String)> {
    let text = |json: &Json| json.as_str().unwrap_or("-").to_owned();
    let resources = world.json(0, &["show"])["resources"].as_array().unwrap().clone();
    resources.iter().map(|one| (text(&one["key"][0]), text(&one["owner"]))).collect()
}

/// The digest by which an unchanged record is recognised belongs to the project, too.
#[test]
fn the_same_csv_in_two_projects_is_still_a_clash() {
    let Two { one, two } = two_projects();
    one.remove("a.yaml");
    two.remove("a.yaml");
    one.write("a.csv", "name,comment\none-a,x\none-b,\n");
    one.expect(0, &["apply", "--yes"]);
    two.write("a.csv", "name,comment\none-a,x\none-b,\n");
    let plan = two.json(4, &["plan"]);
    assert!(rules(&plan).contains(&"foreign_owner"), "{plan}");
}

#[test]
fn what_has_no_owner_is_taken_over_when_it_is_declared() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100 }\n");
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes"]);
    let sql =
        "INSERT INTO account (name, comment, capacity) VALUES ('free', 'x', 5), ('wild', 'y', 5), ('not', 'z', 1);
               INSERT INTO pattern (user, name, organization) VALUES ('u', 'p', 'o')";
    database(&world).execute_batch(sql).unwrap();
    // Nobody's resources are nobody's business.
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.write(
        "a.yaml",
        accounts(0..1, "x")
            + "  free: { comment: x }\n  wild: { comment: changed }\npatterns: { u: { p: { organization: o } } }\n",
    );
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite account/free", "overwrite account/wild", "overwrite pattern/u/p"]);
    for change in plan["changes"].as_array().unwrap() {
        assert_eq!(change["adopted"], true);
        assert_eq!(super::keys(change), ["action", "address", "kind", "key", "source", "adopted", "fields"]);
    }
    assert_eq!(plan["changes"][0]["fields"], json!([]));
    assert_eq!(plan["changes"][1]["fields"].to_string(), r#"[{"field":"comment","before":"y","after":"changed"}]"#);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(shown(&world, "account/wild"), json!({ "capacity": 5, "comment": "changed" }));
    let owners = world_owners(&world);
    assert!(owners.contains(&("free".to_owned(), "head-office".to_owned())));
    assert!(owners.contains(&("not".to_owned(), "-".to_owned())));
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    // From now on it is ours to delete; what was not declared is not.
    world.write("a.yaml", accounts(0..1, "x"));
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete account/free", "delete account/wild"]);
}

#[test]
fn a_project_deletes_only_what_it_owns() {
    let world = World::project("generic", "policy: { max_deletes: 100 }\n");
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes"]);
    database(&world).execute("INSERT INTO account (name) VALUES ('free')", []).unwrap();
    world.write("a.yaml", "accounts: { free: { absent: true }, nobody: { absent: true } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["foreign_owner"]);
    assert_eq!(actions(&plan), ["delete account/free"]);
}

#[test]
fn a_server_in_use_is_not_deleted() {
    let world = World::project("generic", "policy: { max_deletes: 100 }\n");
    world.write(
        "a.yaml",
        "servers: { s: { incoming: { host: x.jp } }, t: { incoming: { host: y.jp } } }
accounts: { a: { server: s } }
patterns: { u: { p: { server: s } } }
",
    );
    world.expect(0, &["apply", "--yes"]);
    // Not even when the same plan moves its users.
    world.write(
        "a.yaml",
        "servers: { s: { absent: true }, t: { incoming: { host: y.jp } } }
accounts: { a: { server: t } }
patterns: { u: { p: { absent: true } } }
",
    );
    let plan = world.json(4, &["plan"]);
    assert_eq!(plan["refused"].as_array().unwrap().len(), 1);
    let message = plan["refused"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("server/s") && message.contains("account/a") && message.contains("pattern/u/p"),
        "{message}"
    );
    world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
    // In two steps it works.
    world.write(
        "a.yaml",
        "servers: { s: {}, t: { incoming: { host: y.jp } } }
accounts: { a: { server: t } }
patterns: { u: { p: { absent: true } } }
",
    );
    world.expect(0, &["apply", "--yes"]);
    world.write(
        "a.yaml",
        "servers: { s: { absent: true }, t: { incoming: { host: y.jp } } }\naccounts: { a: { server: t } }\n",
    );
    world.expect(0, &["apply", "--yes"]);
    world.expect(1, &["show", "server/s"]);
}

/// A value for every field that a file may set, and what other software might make of it.
fn values(kind: Kind) -> Vec<(&'static str, String, String)> {
    kind.fields()
        .iter()
        .filter(|field| !field.read_only && !field.is_secret())
        .filter_map(|field| {
            let (written, edited) = match field.ty {
                Type::Bool => ("true".to_owned(), "0".to_owned()),
                Type::Int { max, .. } => (max.min(7).to_string(), "3".to_owned()),
                Type::Text | Type::Multiline => ("text".to_owned(), "'edited'".to_owned()),
                Type::Mail | Type::Mails => ("a@x.jp".to_owned(), "'b@x.jp'".to_owned()),
                Type::Host => ("a.x.jp".to_owned(), "'b.x.jp'".to_owned()),
                Type::List => ("a@x.jp;b@x.jp".to_owned(), "'[\"c@x.jp\"]'".to_owned()),
                Type::Choice(words) => (words[0].to_owned(), format!("'{}'", words[1])),
                Type::Size => ("5MB".to_owned(), "'unlimited'".to_owned()),
                Type::Secret | Type::Password | Type::Reference => return None,
            };
            Some((field.name, written, edited))
        })
        .collect()
}

/// One resource for each column, each with all fields; in each, another column is edited. Records
/// of CSV are recognised by a digest, so this is where an edit could hide.
#[test]
fn direct_edits_of_any_column_are_changed_back() {
    for kind in Kind::ALL {
        let world =
            World::project("generic", "sources: [{ path: a.csv, kind: KIND }]\n".replace("KIND", kind.name()).as_str());
        let fields = values(kind);
        // `name` is the key; `user` is one of patterns and a field of accounts.
        let names: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
        let words: Vec<&str> = fields.iter().map(|(_, word, _)| word.as_str()).collect();
        let keyed = if kind == Kind::Pattern { ("user,name", "u,") } else { ("name", "") };
        let rows = concat(0..fields.len() + 3, |n| format!("{}r{n:03},{}\n", keyed.1, words.join(",")));
        world.write("a.csv", format!("{},{}\n{rows}", keyed.0, names.join(",")));
        world.expect(0, &["apply", "--yes"]);
        world.expect(0, &["plan", "--exit-code"]);
        world.expect(0, &["plan", "--out", "plan.json"]);
        let database = database(&world);
        for (n, (name, _, edited)) in fields.iter().enumerate() {
            let column = name.replace('.', "_");
            let sql = format!("UPDATE {kind} SET {column} = {edited} WHERE name = 'r{n:03}'");
            assert_eq!(database.execute(&sql, []).unwrap(), 1);
        }
        // Emptied instead of edited; deleted; renamed.
        let last = fields.len();
        let column = fields[0].0.replace('.', "_");
        database.execute(&format!("UPDATE {kind} SET {column} = NULL WHERE name = 'r{last:03}'"), []).unwrap();
        database.execute(&format!("DELETE FROM {kind} WHERE name = 'r{:03}'", last + 1), []).unwrap();
        database.execute(&format!("UPDATE {kind} SET name = 'zz' WHERE name = 'r{:03}'", last + 2), []).unwrap();
        let plan = world.json(0, &["plan"]);
        let changes = plan["changes"].as_array().unwrap();
        assert_eq!(changes.len(), fields.len() + 3, "{kind}: {:?}", actions(&plan));
        let of = |n: usize| {
            changes
                .iter()
                .find(|change| change["key"].as_array().unwrap().last().unwrap() == &format!("r{n:03}"))
                .unwrap()
        };
        for (n, (name, ..)) in fields.iter().enumerate() {
            let change = of(n);
            assert_eq!(change["action"], "overwrite", "{name}");
            let touched: Vec<&Json> = change["fields"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
            assert_eq!(touched, [name], "{kind} {name}");
        }
        assert_eq!(of(last)["action"], "overwrite");
        assert_eq!(of(last + 1)["action"], "add");
        assert_eq!(of(last + 2)["action"], "add");
        world.expect(5, &["apply", "plan.json"]);
        world.expect(0, &["apply", "--yes"]);
        world.expect(0, &["plan", "--exit-code"]);
        assert_eq!(
            shown(&world, &if kind == Kind::Pattern { "pattern/u/r000".to_owned() } else { format!("{kind}/r000") }),
            shown(&world, &if kind == Kind::Pattern { "pattern/u/r001".to_owned() } else { format!("{kind}/r001") })
        );
    }
}

/// However other software writes: by REPLACE, by an upsert, in a transaction, with triggers that
/// fire in triggers.
fn ways_to_write() -> Vec<String> {
    let all: Vec<String> = ["name", "yubin_declared", "yubin_owner", "yubin_revision"]
        .into_iter()
        .map(str::to_owned)
        .chain(Kind::Account.fields().iter().map(yubin::model::Field::column))
        .collect();
    let all = all.join(", ");
    let edited = all.replace(" comment,", " 'edited',");
    let head = "INSERT OR REPLACE INTO account";
    [
        "UPDATE account SET comment = 'edited' WHERE name = 'b'",
        "UPDATE OR REPLACE account SET comment = 'edited' WHERE name = 'b'",
        "INSERT INTO account (name) VALUES ('b') ON CONFLICT DO UPDATE SET comment = 'edited'",
        "BEGIN; UPDATE account SET comment = 'one'; UPDATE account SET comment = 'edited' WHERE name = 'b'; UPDATE account SET comment = 'x' WHERE name <> 'b'; COMMIT",
        "PRAGMA recursive_triggers = 1; UPDATE account SET comment = 'edited' WHERE name = 'b'",
        "DELETE FROM account WHERE name = 'b'; INSERT INTO account (name, yubin_owner, yubin_revision, comment) VALUES ('b', 'head-office', 1, 'edited')",
        "REPLACE INTO account (name, comment) VALUES ('b', 'edited')",
        &format!("{head} (name, yubin_owner, comment) VALUES ('b', 'head-office', 'edited')"),
        // A whole row copied over itself, as sync tools do: all columns, yubin's own included.
        &format!("{head} ({all}) SELECT {edited} FROM account WHERE name = 'b'"),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn start(sql: &str) -> String {
    sql.chars().take(120).collect()
}

fn edited_by(sql: &str) -> World {
    let world = World::project("generic", "");
    world.write("a.csv", "name,comment\na,x\nb,x\nc,x\n");
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["plan", "--out", "plan.json"]);
    database(&world).execute_batch(sql).unwrap();
    world
}

#[test]
fn every_way_to_write_is_seen_by_the_next_plan() {
    let mut missed = Vec::new();
    for sql in ways_to_write() {
        let world = edited_by(&sql);
        if actions(&world.json(0, &["plan"])) != ["overwrite account/b"] {
            missed.push(start(&sql));
            continue;
        }
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(shown(&world, "account/b"), json!({ "comment": "x" }), "{sql}");
    }
    assert!(missed.is_empty(), "not seen:\n{}", missed.join("\n"));
}

#[test]
fn every_way_to_write_makes_a_saved_plan_stale() {
    let mut missed = Vec::new();
    for sql in ways_to_write() {
        let code = edited_by(&sql).run(&["apply", "plan.json"]).code;
        if code != 5 {
            missed.push(format!("exit {code} after {}", start(&sql)));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn an_edited_owner_is_respected() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100 }\n");
    world.write("a.csv", "name,comment\na,x\nb,x\n");
    world.expect(0, &["apply", "--yes"]);
    database(&world).execute_batch("UPDATE account SET yubin_owner = 'other' WHERE name = 'a'; UPDATE account SET yubin_owner = NULL WHERE name = 'b'").unwrap();
    let plan = world.json(4, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite account/a", "overwrite account/b"]);
    assert_eq!(rules(&plan), ["foreign_owner"]);
    assert_eq!(plan["changes"][1]["adopted"], true);
}

#[test]
fn an_edited_secret_is_changed_back() {
    let world = World::project("generic", "");
    private(&world, "pw", "x");
    world.write(
        "a.yaml",
        "accounts: { a: { incoming.password: { file: pw } }, b: { incoming.password: { file: pw } }, c: { incoming.password: { file: pw } } }\n",
    );
    world.expect(0, &["apply", "--yes"]);
    // Garbage, nothing, and another resource's secret: it is sealed for its place.
    database(&world)
        .execute_batch(
            "UPDATE account SET incoming_password = X'00' WHERE name = 'a';
             UPDATE account SET incoming_password = NULL WHERE name = 'b';
             UPDATE account SET incoming_password = (SELECT incoming_password FROM account_history WHERE name = 'b') WHERE name = 'c'",
        )
        .unwrap();
    let plan = world.json(0, &["plan"]);
    let words: Vec<&Json> = plan["changes"].as_array().unwrap().iter().map(|one| &one["fields"][0]["change"]).collect();
    assert_eq!(words, ["changed", "set", "changed"]);
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["plan", "--exit-code"]);
}

/// What no type allows is an error that names table and column, never a panic.
#[test]
fn values_that_no_field_can_hold_are_explained() {
    for (sql, word) in [
        ("UPDATE account SET visible = 7 WHERE name = 'a'", "visible"),
        ("UPDATE account SET forward_to = 'no json' WHERE name = 'a'", "forward_to"),
        ("UPDATE account SET comment = CAST(X'FF' AS TEXT) WHERE name = 'a'", "comment"),
        ("UPDATE server SET incoming_max_message_size = 'huge' WHERE name = 's'", "incoming_max_message_size"),
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", "accounts: { a: { comment: x } }\nservers: { s: { position: 1 } }\n");
        world.expect(0, &["apply", "--yes"]);
        database(&world).execute(sql, []).unwrap();
        for args in [&["show"][..], &["plan"], &["apply", "--yes"], &["export", "yaml"]] {
            let run = world.run(args);
            assert!(run.code == 1 && run.stderr.contains(word), "{sql}: {args:?}: {} {}", run.code, run.stderr);
        }
    }
    // Keys as files could never write them.
    for sql in [
        "INSERT INTO account (name) VALUES ('')",
        "INSERT INTO account (name) VALUES (char(10) || 'x' || char(27) || '[2J')",
        "INSERT INTO account (name) VALUES ('a' || char(0) || 'b')",
        "INSERT INTO pattern (user, name) VALUES ('a', 'b'), ('a' || char(0), 'z'), ('a' || char(1), 'z')",
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", "accounts: { a: { comment: x } }\n");
        world.expect(0, &["apply", "--yes"]);
        database(&world).execute(sql, []).unwrap();
        for args in [&["show"][..], &["plan"], &["show", "--format", "json"], &["export", "yaml", "--all"]] {
            let run = world.run(args);
            assert!(matches!(run.code, 0 | 1), "{sql}: {args:?}: {} {}", run.code, run.stderr);
            assert!(!run.stdout.contains("\u{1b}[2J") && !run.stderr.contains("\u{1b}[2J"));
        }
    }
}

/// Kubernetes mounts swap a link to a folder; editors save by rename.
#[cfg(unix)]
#[test]
fn files_behind_links_are_read() {
    let world = World::new();
    world.write("v1/yubin.yaml", "version: 1\nname: head-office\nstore: sqlite:../yubin.db\n");
    world.write("v1/a.yaml", accounts(0..1, "one"));
    world.write("v2/yubin.yaml", "version: 1\nname: head-office\nstore: sqlite:../yubin.db\n");
    world.write("v2/a.yaml", accounts(0..1, "two"));
    std::os::unix::fs::symlink("v1", world.file("current")).unwrap();
    world.expect(0, &["-C", "current", "apply", "--yes"]);
    std::os::unix::fs::symlink("v2", world.file("next")).unwrap();
    std::fs::rename(world.file("next"), world.file("current")).unwrap();
    let plan = world.json(0, &["-C", "current", "plan"]);
    assert_eq!(plan["changes"][0]["fields"].to_string(), r#"[{"field":"comment","before":"one","after":"two"}]"#);
}

/// A store that a failed apply has met takes the next good one.
#[test]
fn a_good_apply_follows_a_failed_one() {
    let world = World::project("generic", "");
    private(&world, "pw", "x");
    world.write("a.yaml", "accounts: { a: { password: { env: PW } } }\n");
    world.expect(3, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { capacity: x } }\n");
    world.expect(3, &["apply", "--yes"]);
    expect_with(&world, 3, &[], &["plan"]);
    world.write("a.yaml", "accounts: { a: { password: { file: pw } } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(revision(&world), 1);
}

/// What a product cannot do does not matter where nothing is to be done.
#[test]
fn a_clearing_that_is_skipped_blocks_nothing() {
    let world = catchme("policy: { existing: skip }\n");
    world.write("people.csv", row("taro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    database(&world).execute("UPDATE pattern SET organization = 'x'", []).unwrap();
    world.remove("people.csv");
    world.write("a.yaml", "patterns: { taro: { p1: { organization: null } } }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["skip pattern/taro/p1"]);
}
