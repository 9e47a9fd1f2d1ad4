//! `previously:`: a resource gets another name and stays what it is.

use serde_json::{Value as Json, json};

use super::products::cpi::effects;
use super::protected::SMALLEST;
use super::soft_delete::pass;
use super::{actions, database, expect_with, keys, private, revision, rules, shown, state};
use crate::support::World;

/// A world that has applied this; no plan of it may delete anything.
fn applied(yaml: &str) -> World {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 0 }\n");
    private(&world, "pw", "open sesame");
    private(&world, "pw2", "another");
    apply(&world, yaml);
    world
}

#[track_caller]
fn apply(world: &World, yaml: &str) {
    world.write("a.yaml", yaml);
    world.expect(0, &["apply", "--yes", "-q"]);
}

/// What the next plan does, sorted.
#[track_caller]
fn planned(world: &World) -> Vec<String> {
    let mut planned = actions(&world.json(0, &["plan"]));
    planned.sort();
    planned
}

#[track_caller]
fn nothing_to_do(world: &World) {
    assert_eq!(planned(world), [""; 0]);
    world.expect(0, &["plan", "--exit-code"]);
}

/// Every reference leads to a server that there is.
#[track_caller]
fn references_are_whole(world: &World) {
    let broken: i64 =
        database(world).query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);
}

/// `NAME COMMENT` of each account.
fn comments(world: &World) -> Vec<String> {
    let state = state(world);
    let all = state.as_array().unwrap().iter().filter(|one| one["kind"] == "account");
    all.map(|one| format!("{} {}", one["key"][0].as_str().unwrap(), one["fields"]["comment"].as_str().unwrap()))
        .collect()
}

const OLD: &str = "accounts:
  old:
    label: l
    comment: one
    capacity: 5
    forward: { to: [b@x.jp] }
    signature: \"one\\ntwo\\n\"
    password: { file: pw }
    incoming.password: { file: pw }
    protected: true
";

#[test]
fn a_rename_keeps_everything() {
    for declared in [
        // Only what names it, or all of it once more.
        "accounts:\n  new: { previously: old }\n".to_owned(),
        OLD.replace("  old:\n", "  new:\n    previously: old\n"),
    ] {
        let world = applied(OLD);
        let before = world.json(0, &["show", "account/old"])["resources"][0].take();
        world.write("a.yaml", &declared);
        let plan = world.json(2, &["plan", "--exit-code"]);
        assert_eq!(actions(&plan), ["rename account/new"]);
        assert_eq!(rules(&plan), [""; 0], "a rename is no delete");
        let change = &plan["changes"][0];
        assert_eq!((&change["kind"], &change["key"]), (&json!("account"), &json!(["new"])));
        assert_eq!(change["previously"], "account/old");
        assert_eq!((&change["source"]["file"], &change["source"]["line"]), (&json!("a.yaml"), &json!(2)));
        assert_eq!(change["fields"], json!([]), "a password that moves is not another one");
        assert_eq!(change.get("followers"), None);
        assert_eq!(keys(&plan["summary"]), ["add", "overwrite", "delete", "skip", "blocked", "unchanged", "rename"]);
        assert_eq!(
            plan["summary"],
            json!({ "add": 0, "overwrite": 0, "delete": 0, "skip": 0, "blocked": 0, "unchanged": 0, "rename": 1 })
        );
        let text = world.expect(0, &["plan"]).stdout;
        assert!(["rename", "account/old", "account/new"].iter().all(|word| text.contains(word)), "{text}");
        let receipt = world.json(0, &["apply", "--yes"]);
        assert_eq!(receipt["summary"], plan["summary"]);
        world.expect(1, &["show", "account/old"]);
        let after = world.json(0, &["show", "account/new"])["resources"][0].take();
        assert_eq!((&after["fields"], &after["owner"]), (&before["fields"], &before["owner"]));
        // The secrets are the same ones, sealed for their new place.
        for yaml in [OLD.replace("  old:\n", "  new:\n"), OLD.replace("  old:\n", "  new:\n    previously: old\n")] {
            world.write("a.yaml", yaml);
            nothing_to_do(&world);
        }
        private(&world, "pw", "changed");
        let plan = world.json(0, &["plan"]);
        assert_eq!(plan["changes"][0]["fields"][0]["change"], "changed");
        assert_eq!(plan["changes"][0]["fields"].as_array().unwrap().len(), 2, "{plan}");
    }
}

#[test]
fn a_rename_may_change_fields_too() {
    let world = applied("accounts: { old: { comment: x, label: l, capacity: 5, incoming.password: { file: pw } } }\n");
    world.write(
        "a.yaml",
        "accounts: { new: { previously: old, comment: y, label: null, incoming.password: { file: pw2 } } }\n",
    );
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["rename account/new"]);
    assert_eq!(
        plan["changes"][0]["fields"].to_string(),
        concat!(
            r#"[{"field":"label","before":"l","after":null},"#,
            r#"{"field":"comment","before":"x","after":"y"},"#,
            r#"{"field":"incoming.password","secret":true,"change":"changed"}]"#
        )
    );
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(
        shown(&world, "account/new"),
        json!({ "comment": "y", "capacity": 5, "incoming.password": { "secret": true } })
    );
    nothing_to_do(&world);
}

/// What is in the store decides, so that the key may stay in the file for ever.
#[test]
fn previously_says_what_should_have_been_and_the_store_what_is() {
    const NEW: &str = "accounts: { new: { previously: old, comment: x }, other: {} }\n";
    for (before, expected) in [
        ("accounts: { other: {} }\n", &["add account/new"][..]),
        ("accounts: { other: {}, old: { comment: x } }\n", &["rename account/new"]),
        ("accounts: { other: {}, new: { comment: x } }\n", &[]),
        ("accounts: { other: {}, new: { comment: y } }\n", &["overwrite account/new"]),
    ] {
        let world = applied(before);
        world.write("a.yaml", NEW);
        assert_eq!(planned(&world), expected, "{before}");
        world.expect(0, &["apply", "--yes"]);
        nothing_to_do(&world);
        assert_eq!(shown(&world, "account/new")["comment"], "x", "{before}");
    }
}

#[test]
fn a_name_that_is_taken_blocks_the_whole_plan() {
    let world = World::project("generic", "");
    apply(&world, "accounts: { old: { comment: o }, new: { comment: n }, other: { comment: x } }\n");
    let before = state(&world);
    world.write("a.yaml", "accounts: { new: { previously: old }, other: { comment: y } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["blocked"]);
    let blocked = plan["changes"].as_array().unwrap().iter().find(|one| one["action"] == "blocked").unwrap();
    assert_eq!(blocked["address"], "account/new");
    assert!(blocked["reason"].as_str().unwrap().contains("account/old"), "{blocked}");
    assert_eq!(plan["summary"]["blocked"], 1);
    let digest = plan["digest"].as_str().unwrap();
    for consent in [&["--yes"][..], &["--ack", digest], &["--yes", "--ack", digest]] {
        world.expect(4, &[&["apply"], consent].concat());
    }
    assert_eq!(state(&world), before);
    // One of them has to go first.
    apply(&world, "accounts: { new: { absent: true } }\n");
    apply(&world, "accounts: { new: { previously: old }, other: { comment: y } }\n");
    assert_eq!(comments(&world), ["new o", "other y"]);
}

/// Whoever takes the old name later has nothing to do with it.
#[test]
fn what_was_carried_out_is_remembered() {
    let world = applied("accounts: { old: { comment: x } }\n");
    apply(&world, "accounts: { new: { previously: old } }\n");
    database(&world).execute("INSERT INTO account (name, comment) VALUES ('old', 'theirs')", []).unwrap();
    nothing_to_do(&world);
    // An overwrite does not forget it.
    apply(&world, "accounts: { new: { previously: old, comment: y } }\n");
    nothing_to_do(&world);
    assert_eq!(comments(&world), ["new y", "old theirs"]);
}

#[test]
fn there_and_back_and_further() {
    let world = applied("accounts: { a: { comment: x, incoming.password: { file: pw } } }\n");
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "b"), ("b", "a")] {
        apply(&world, &format!("accounts: {{ {to}: {{ previously: {from}, incoming.password: {{ file: pw }} }} }}\n"));
        assert_eq!(comments(&world), [format!("{to} x")], "{from} to {to}");
        nothing_to_do(&world);
    }
    assert_eq!(revision(&world), 6);
}

#[test]
fn swaps_rotations_and_chains_are_one_plan() {
    const PASSWORDS: &str =
        "a: { comment: A, incoming.password: { file: pw } }, b: { comment: B, incoming.password: { file: pw2 } }";
    for (before, after, planned_actions, end) in [
        (
            PASSWORDS,
            "a: { previously: b }, b: { previously: a }",
            &["rename account/a", "rename account/b"][..],
            &["a B", "b A"][..],
        ),
        (
            PASSWORDS,
            "a: { previously: b, incoming.password: { file: pw2 } }, \
             b: { previously: a, incoming.password: { file: pw } }",
            &["rename account/a", "rename account/b"],
            &["a B", "b A"],
        ),
        (
            "a: { comment: A }, b: { comment: B }, c: { comment: C }",
            "a: { previously: c }, b: { previously: a }, c: { previously: b }",
            &["rename account/a", "rename account/b", "rename account/c"],
            &["a C", "b A", "c B"],
        ),
        (
            PASSWORDS,
            "b: { previously: a }, c: { previously: b }",
            &["rename account/b", "rename account/c"],
            &["b A", "c B"],
        ),
        (
            "b: { comment: B }, c: { comment: C }, d: { comment: D }",
            "a: { previously: b }, b: { previously: c }, c: { previously: d }",
            &["rename account/a", "rename account/b", "rename account/c"],
            &["a B", "b C", "c D"],
        ),
    ] {
        let world = applied(&format!("accounts: {{ {before} }}\n"));
        let first = state(&world);
        let after = format!("accounts: {{ {after} }}\n");
        world.write("a.yaml", &after);
        assert_eq!(planned(&world), planned_actions, "{after}");
        let plan = world.json(0, &["plan"]);
        assert!(plan["changes"].as_array().unwrap().iter().all(|one| one["fields"] == json!([])), "{plan}");
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(comments(&world), end, "{after}");
        nothing_to_do(&world);
        // Taken back, what the files say is brought again.
        world.expect(0, &["undo", "2", "--yes"]);
        assert_eq!(state(&world), first, "{after}");
        assert_eq!(planned(&world), planned_actions, "{after}");
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(comments(&world), end, "{after}");
        nothing_to_do(&world);
    }
}

#[test]
fn a_claim_that_cannot_be_meant_is_invalid_input() {
    for (yaml, line) in [
        // The old name is declared and stays where it is.
        ("accounts:\n  old: {}\n  new: { previously: old }\n", 3),
        ("accounts:\n  new: { previously: old }\n  old: { comment: x }\n", 2),
        ("accounts:\n  a: { previously: b }\n  b: {}\n  c: { previously: a }\n", 2),
        // Two cannot both have been it: the second is named.
        ("accounts:\n  x: { previously: old }\n  y: { previously: old }\n", 3),
        ("patterns:\n  u:\n    x: { previously: old }\n    y: { previously: old }\n", 4),
        ("servers:\n  x: { previously: old }\n  y: { previously: old }\n", 3),
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", yaml);
        for verb in ["check", "plan"] {
            let found = world.json(3, &[verb])["diagnostics"].take();
            assert_eq!(found.as_array().unwrap().len(), 1, "{yaml}: {found:#}");
            assert_eq!((&found[0]["code"], &found[0]["severity"]), (&json!("resource/previously"), &json!("error")));
            assert_eq!((&found[0]["file"], &found[0]["line"]), (&json!("a.yaml"), &json!(line)), "{yaml}: {found:#}");
        }
    }
    // In two files, and in two formats.
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { x: { previously: old } }\n");
    world.write("b.csv", "name,previously\ny,old\n");
    let found = world.json(3, &["check"])["diagnostics"].take();
    assert_eq!((&found[0]["code"], &found[0]["file"]), (&json!("resource/previously"), &json!("b.csv")), "{found:#}");
    // Not a name, and not beside a tombstone.
    for wrong in ["{ previously: [old] }", "{ previously: { name: old } }", "{ previously: old, absent: true }"] {
        let world = World::project("generic", "");
        world.write("a.yaml", format!("accounts: {{ new: {wrong} }}\n"));
        world.expect(3, &["check"]);
    }
    // The same name of another kind or another user is another name.
    let world = World::project("generic", "");
    world.write(
        "a.yaml",
        "accounts: { x: { previously: old } }\nservers: { y: { previously: old } }\n\
         patterns: { u: { x: { previously: old } }, v: { x: { previously: old }, z: {} }, w: { old: {} } }\n",
    );
    world.expect(0, &["check"]);
}

#[test]
fn every_kind_and_every_name() {
    for (before, after, address, old, key) in [
        (
            "patterns: { u: { old: { organization: x } }, v: { old: {} } }\n",
            "patterns: { u: { new: { previously: old } }, v: { old: {} } }\n",
            "pattern/u/new",
            "pattern/u/old",
            json!(["u", "new"]),
        ),
        (
            "servers: { old: { incoming: { host: x.jp } } }\n",
            "servers: { new: { previously: old } }\n",
            "server/new",
            "server/old",
            json!(["new"]),
        ),
        (
            "accounts: { a/b: { comment: x } }\n",
            "accounts: { 50%: { previously: a/b } }\n",
            "account/50%25",
            "account/a%2Fb",
            json!(["50%"]),
        ),
        // What YAML takes for a number or a flag is a name all the same.
        (
            "accounts: { '0123': { comment: x } }\n",
            "accounts: { '1': { previously: 0123 } }\n",
            "account/1",
            "account/0123",
            json!(["1"]),
        ),
        (
            "accounts: { 'no': { comment: x } }\n",
            "accounts: { 'yes': { previously: no } }\n",
            "account/yes",
            "account/no",
            json!(["yes"]),
        ),
        (
            "accounts: { a: { comment: x } }\n",
            "accounts: { A: { previously: a } }\n",
            "account/A",
            "account/a",
            json!(["A"]),
        ),
    ] {
        let world = applied(before);
        let fields = shown(&world, old);
        world.write("a.yaml", after);
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), [format!("rename {address}")]);
        assert_eq!((&plan["changes"][0]["previously"], &plan["changes"][0]["key"]), (&json!(old), &key));
        // The user of a pattern is logged out, and of one that is not touched nobody.
        let logout: Vec<String> =
            if address.starts_with("pattern") { vec![format!("logout {address}")] } else { vec![] };
        assert_eq!(effects(&plan), logout, "{after}");
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(shown(&world, address), fields);
        world.expect(1, &["show", old]);
        nothing_to_do(&world);
    }
}

#[test]
fn references_follow_a_renamed_server() {
    let world = applied(
        "servers: { old: { incoming: { host: x.jp } } }
accounts: { a: { server: old }, b: { server: old }, c: {} }
patterns: { u: { p: { server: old } } }
",
    );
    // One that nobody declares refers to it, too.
    database(&world)
        .execute_batch("PRAGMA foreign_keys = ON; INSERT INTO account (name, server) VALUES ('theirs', 'old')")
        .unwrap();
    let hosts = |world: &World| -> Vec<Json> {
        let all = ["account/a", "account/b", "account/theirs", "pattern/u/p"];
        all.iter().map(|address| shown(world, address)["server"].clone()).collect()
    };
    // Some write the new name, one leaves it unsaid, and the kind of one is not mentioned at all.
    world.write(
        "a.yaml",
        "servers: { new: { previously: old, incoming: { host: x.jp } } }
accounts: { a: { server: new }, b: {}, c: {} }
",
    );
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["rename server/new"]);
    assert_eq!(plan["changes"][0]["followers"], 4);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(hosts(&world), ["new"; 4]);
    references_are_whole(&world);
    nothing_to_do(&world);
    world.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(hosts(&world), ["old"; 4]);
    references_are_whole(&world);
}

/// After a swap a name means the other server, and so does who writes that name.
#[test]
fn references_to_swapped_servers_are_what_is_written() {
    let world = applied(
        "servers: { s: { incoming: { host: s.jp } }, t: { incoming: { host: t.jp } } }
accounts: { writes: { server: s }, follows: { server: s } }
",
    );
    let after =
        "servers: { s: { previously: t, incoming: { host: t.jp } }, t: { previously: s, incoming: { host: s.jp } } }
accounts: { writes: { server: s }, follows: {} }
";
    apply(&world, after);
    let of = |name: &str| shown(&world, &format!("account/{name}"));
    assert_eq!(shown(&world, "server/s")["incoming.host"], "t.jp");
    assert_eq!(of("writes"), json!({ "server": "s", "incoming.host": "t.jp" }));
    assert_eq!(of("follows"), json!({ "server": "t", "incoming.host": "s.jp" }));
    references_are_whole(&world);
    nothing_to_do(&world);
}

/// The key of a resource is fixed in these products, or nobody says that it is not.
#[test]
fn a_product_that_cannot_rename_blocks_it() {
    for one in &SMALLEST {
        if ["generic", "mailwise", "cybozu-office"].contains(&one.system) {
            continue;
        }
        let world = one.project("undeclared: keep");
        apply(&world, &one.yaml(""));
        let before = state(&world);
        world.write("a.yaml", one.renamed(&format!("previously: {}", last(one.address))));
        let plan = world.json(4, &["plan"]);
        assert_eq!(rules(&plan), ["blocked"], "{}", one.system);
        assert_eq!(plan["changes"].as_array().unwrap().len(), 1, "{plan}");
        let blocked = &plan["changes"][0];
        let address = one.address.replace(last(one.address), one.other.trim_matches('\''));
        assert_eq!((&blocked["action"], &blocked["address"]), (&json!("blocked"), &json!(address)), "{}", one.system);
        assert!(blocked["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{blocked}");
        world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        assert_eq!(state(&world), before, "{}", one.system);
        // Where there is nothing of the old name, nothing has to be renamed.
        let empty = one.project("undeclared: keep");
        apply(&empty, &one.renamed(&format!("previously: {}", last(one.address))));
        empty.expect(0, &["show", &address]);
    }
}

/// The last part of an address.
fn last(address: &str) -> &str {
    address.rsplit_once('/').unwrap().1
}

#[test]
fn it_is_a_column_of_csv() {
    let world = applied("accounts: {}\n");
    world.remove("a.yaml");
    let write = |csv: &str| world.write("b.csv", csv);
    write("name,comment\nold,x\nkept,y\n");
    world.expect(0, &["apply", "--yes"]);
    write("name,comment,previously\nnew,x,old\nkept,y,\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["rename account/new"]);
    assert_eq!(plan["changes"][0]["source"].to_string(), r#"{"file":"b.csv","line":2,"column":1}"#);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(comments(&world), ["kept y", "new x"]);
    nothing_to_do(&world);
    // Byte for byte the old file again: what it says has not been done.
    write("name,comment\nold,x\nkept,y\n");
    assert_eq!(actions(&world.json(4, &["plan"])), ["add account/old", "delete account/new"]);
    write("name,comment,previously\nold,x,new\nkept,y,\n");
    assert_eq!(planned(&world), ["rename account/old"]);
    world.expect(0, &["apply", "--yes"]);
    nothing_to_do(&world);
}

#[test]
fn who_wrote_a_field_is_known_under_the_new_name() {
    let world = applied("accounts: { old: { comment: x, label: l } }\n");
    apply(&world, "accounts: { old: { label: m } }\n");
    world.write("b.yaml", "accounts:\n  new: { previously: old, capacity: 5 }\n");
    world.remove("a.yaml");
    let mut command = world.command(&["apply", "--yes"]);
    assert!(command.env("YUBIN_ACTOR", "somebody").output().unwrap().status.success());
    let fields = world.json(0, &["log", "account/new"])["fields"].take();
    let mut lines: Vec<String> = fields
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {} {}", one["field"], one["revision"], one["actor"], one["file"]).replace('"', ""))
        .collect();
    lines.sort();
    assert_eq!(lines, ["capacity 3 somebody b.yaml", "comment 1 tester a.yaml", "label 2 tester a.yaml"]);
}

#[test]
fn an_undo_renames_back() {
    let world = applied(OLD);
    let before = state(&world);
    let renamed = OLD.replace("  old:\n", "  new:\n    previously: old\n").replace("comment: one", "comment: two");
    apply(&world, &renamed);
    let after = state(&world);
    let receipt = world.json(0, &["undo", "2", "--yes"]);
    assert_eq!(receipt["summary"]["rename"], 1);
    assert_eq!((&receipt["summary"]["add"], &receipt["summary"]["delete"]), (&json!(0), &json!(0)));
    assert_eq!(state(&world), before);
    world.write("a.yaml", OLD);
    nothing_to_do(&world);
    world.expect(0, &["undo", "3", "--yes"]);
    assert_eq!(state(&world), after);
    world.write("a.yaml", &renamed);
    nothing_to_do(&world);
    // What has been touched since is not run over.
    apply(&world, &renamed.replace("two", "three"));
    world.expect(4, &["undo", "2", "--yes"]);
    assert_eq!(comments(&world), ["new three"]);
}

#[test]
fn a_plan_without_secrets_renames_and_its_apply_too() {
    let variables: &[(&str, &str)] = &[("PW", "first")];
    let world = World::project("generic", "");
    let old = "accounts: { old: { comment: x, incoming.password: { env: PW } } }\n";
    world.write("a.yaml", old);
    expect_with(&world, 0, variables, &["apply", "--yes"]);
    world.write("a.yaml", old.replace("old: {", "new: { previously: old,"));
    let plan = world.json(0, &["plan", "--secrets=skip"]);
    assert_eq!(actions(&plan), ["rename account/new"]);
    assert_eq!(
        plan["changes"][0]["fields"],
        json!([{ "field": "incoming.password", "secret": true, "change": "unknown" }])
    );
    world.expect(0, &["plan", "--secrets=skip", "--out", "plan.json"]);
    // The secret is asked for when it is applied.
    world.expect(3, &["apply", "plan.json"]);
    expect_with(&world, 0, variables, &["apply", "plan.json"]);
    world.expect(1, &["show", "account/old"]);
    expect_with(&world, 0, variables, &["plan", "--exit-code"]);
    expect_with(&world, 2, &[("PW", "second")], &["plan", "--exit-code"]);
    expect_with(&world, 5, variables, &["apply", "plan.json"]);
}

#[test]
fn a_saved_rename_applies_once_and_to_what_it_was_made_from() {
    let world = applied("accounts: { old: { comment: x } }\n");
    world.write("a.yaml", "accounts: { new: { previously: old } }\n");
    world.expect(0, &["plan", "--out", "plan.json"]);
    let saved = std::fs::read_to_string(world.file("plan.json")).unwrap();
    let mut altered: Json = serde_json::from_str(&saved).unwrap();
    altered["changes"][0]["previously"] = json!("account/odd");
    world.write("altered.json", altered.to_string());
    world.expect(4, &["apply", "altered.json"]);
    let taken = World::copy_of(world.path());
    database(&taken).execute("INSERT INTO account (name) VALUES ('new')", []).unwrap();
    taken.expect(5, &["apply", "plan.json"]);
    taken.expect(0, &["show", "account/old"]);
    world.expect(0, &["apply", "plan.json"]);
    world.expect(5, &["apply", "plan.json"]);
    assert_eq!((comments(&world), revision(&world)), (vec!["new x".to_owned()], 2));
}

/// That two look the same is worth a word, and no more than a word.
#[test]
fn a_likely_rename_is_suggested_and_never_assumed() {
    let world = World::project("generic", "policy: { undeclared: delete }\n");
    apply(&world, "accounts: { old: { comment: o, address: info@x.jp }, kept: {} }\n");
    let suggested = |yaml: &str| -> Vec<Json> {
        world.write("a.yaml", yaml);
        let mut found = world.json(0, &["plan"])["diagnostics"].as_array().unwrap().clone();
        found.retain(|one| one["code"] == "resource/renamed");
        found
    };
    for yaml in [
        "accounts: { kept: {}, new: { comment: another, address: other@x.jp } }\n",
        "accounts: { kept: {}, new: { previously: old } }\n",
        "accounts: { kept: {}, old: {}, new: { comment: o, address: info@x.jp } }\n",
        "accounts: { kept: {} }\n",
    ] {
        assert!(suggested(yaml).is_empty(), "{yaml}");
    }
    let found = suggested("accounts:\n  kept: {}\n  new: { comment: o, address: info@x.jp }\n");
    assert_eq!(found.len(), 1, "{found:#?}");
    let one = &found[0];
    assert_eq!((&one["severity"], &one["address"]), (&json!("info"), &json!("account/new")));
    assert_eq!((&one["file"], &one["line"]), (&json!("a.yaml"), &json!(3)));
    assert!(one["hint"].as_str().unwrap().contains("previously: old"), "{one}");
    assert_eq!(planned(&world), ["add account/new", "delete account/old"]);
    world.expect(0, &["apply", "--yes", "--strict"]);
    assert_eq!(world.json(0, &["log"])["revisions"][0]["summary"]["delete"], 1);
}

/// It comes back under its new name, whole and for good.
#[test]
fn a_disabled_resource_may_be_renamed() {
    let world = World::project("generic", "policy: { undeclared: delete, delete: after 14d }\n");
    private(&world, "pw", "open sesame");
    apply(&world, "accounts: { old: { comment: x, incoming.password: { file: pw } }, kept: { comment: k } }\n");
    apply(&world, "accounts: { kept: {} }\n");
    pass(&world, "13 days");
    world.write("a.yaml", "accounts: { kept: {}, new: { previously: old, incoming.password: { file: pw } } }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["rename account/new"]);
    assert_eq!(plan["changes"][0]["fields"], json!([]));
    world.expect(0, &["apply", "--yes"]);
    let resource = world.json(0, &["show", "account/new"])["resources"][0].take();
    assert_eq!((resource.get("disabled"), &resource["fields"]["comment"]), (None, &json!("x")));
    nothing_to_do(&world);
    pass(&world, "14 days");
    nothing_to_do(&world);
    // A name on which a disabled one still sits is not free.
    apply(&world, "accounts: { kept: {} }\n");
    world.write("a.yaml", "accounts: { new: { previously: kept } }\n");
    let run = world.run(&["plan", "--format", "json"]);
    assert_eq!(run.code, 4, "{}", run.stdout);
    assert_eq!(comments(&world), ["kept k", "new x"]);
}

#[test]
fn what_another_project_owns_is_not_renamed() {
    let world = World::project("generic", "");
    apply(&world, "accounts: { old: { comment: x }, mine: { comment: y } }\n");
    database(&world).execute("UPDATE account SET yubin_owner = 'other' WHERE name = 'old'", []).unwrap();
    let before = state(&world);
    world.write("a.yaml", "accounts: { mine: {}, new: { previously: old } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["foreign_owner"]);
    world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
    assert_eq!(state(&world), before);
}
