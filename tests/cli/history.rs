//! `yubin show`, `yubin log`, `yubin undo`.

use serde_json::{Value as Json, json};

use super::{accounts, actions, catchme, database, expect_with, keys, private, revision, row, rules, shown, state};
use crate::support::World;

#[test]
fn show_as_json() {
    let world = World::project("generic", "");
    assert_eq!(world.json(0, &["show"]), json!({ "format_version": 1, "revision": 0, "resources": [] }));
    world.write(
        "a.yaml",
        "servers: { s: { incoming: { host: i.x.jp, port: 993, protocol: imap } } }
accounts: { b: { server: s, capacity: 5, password: { env: PW }, forward: { to: [a@x.jp] } }, B: {}, a/b: {} }
patterns: { u: { p: { incoming: { port: 110 } } } }
",
    );
    expect_with(&world, 0, &[("PW", "x")], &["apply", "--yes"]);
    let show = world.json(0, &["show"]);
    assert_eq!(keys(&show), ["format_version", "revision", "resources"]);
    assert_eq!(show["revision"], 1);
    let resources = show["resources"].as_array().unwrap();
    let addresses: Vec<&str> = resources.iter().map(|one| one["address"].as_str().unwrap()).collect();
    // Bytewise.
    assert_eq!(addresses, ["account/B", "account/a%2Fb", "account/b", "pattern/u/p", "server/s"]);
    for resource in resources {
        assert_eq!(keys(resource), ["address", "kind", "key", "owner", "revision", "fields"]);
        assert_eq!(resource["owner"], "head-office");
        assert_eq!(resource["revision"], 1);
    }
    assert_eq!(resources[1]["key"], json!(["a/b"]));
    assert_eq!(resources[3]["key"], json!(["u", "p"]));
    assert_eq!(resources[3]["kind"], "pattern");
    // What the server brought is there too, and of a secret only that there is one.
    assert_eq!(
        resources[2]["fields"],
        json!({
            "server": "s",
            "password": { "secret": true },
            "capacity": 5,
            "forward.to": ["a@x.jp"],
            "incoming.protocol": "imap",
            "incoming.host": "i.x.jp",
            "incoming.port": 993,
        })
    );
}

#[test]
fn show_of_some_resources() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x }, a/b%c: {} }\npatterns: { u: { p: {} } }\n");
    world.expect(0, &["apply", "--yes"]);
    let show = world.json(0, &["show", "pattern/u/p", "account/a"]);
    let addresses: Vec<&str> =
        show["resources"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["account/a", "pattern/u/p"]);
    assert_eq!(world.json(0, &["show", "account/a%2Fb%25c"])["resources"][0]["key"], json!(["a/b%c"]));
    assert_eq!(world.json(0, &["show", "account/a", "account/a"])["resources"].as_array().unwrap().len(), 1);
    let run = world.expect(0, &["show", "account/a"]);
    assert_eq!(run.stdout, "account/a  owner head-office, revision 1\n    comment  x\n\n");
    let run = world.expect(1, &["show", "account/nobody"]);
    assert!(run.stderr.contains("account/nobody"), "{}", run.stderr);
    world.expect(64, &["show", "account"]);
}

#[test]
fn the_log_as_json_and_text() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    assert_eq!(world.json(0, &["log"]), json!({ "format_version": 1, "revisions": [] }));
    world.write("a.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { comment: y }, a001: { absent: true }, b: {}, a002: { comment: x } }\n");
    let plan = world.json(0, &["plan"]);
    world.expect(0, &["apply", "--yes", "--note", "why"]);
    let log = world.json(0, &["log"]);
    assert_eq!(keys(&log), ["format_version", "revisions"]);
    let newest = &log["revisions"][0];
    assert_eq!(keys(newest), ["revision", "at", "actor", "project", "digest", "config_digest", "summary", "note"]);
    assert_eq!(newest["revision"], 2);
    assert_eq!(log["revisions"][1]["revision"], 1);
    assert_eq!(log["revisions"][1]["note"], Json::Null);
    assert_eq!(newest["project"], "head-office");
    assert_eq!(newest["actor"], "tester");
    for key in ["digest", "config_digest", "summary"] {
        assert_eq!(newest[key], plan[key], "{key}");
    }
    let at = newest["at"].as_str().unwrap();
    // RFC 3339 in UTC.
    assert!(at.len() >= 20 && at.ends_with('Z') && at.as_bytes()[10] == b'T', "{at}");
    let text = world.expect(0, &["log"]).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("1 add, 1 overwrite, 1 delete") && lines[0].ends_with("why"), "{text}");
    assert!(lines[1].trim_start().starts_with("1 ") && lines[1].contains("3 add"), "{text}");
}

#[test]
fn the_log_of_a_resource_names_the_revision_of_each_field() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts:\n  a: { comment: one, label: two, password: { env: PW } }\n");
    expect_with(&world, 0, &[("PW", "x")], &["apply", "--yes"]);
    world.write("b.yaml", "\n\naccounts:\n  a: { comment: ONE, label: two, password: { env: PW } }\n");
    world.remove("a.yaml");
    let mut command = world.command(&["apply", "--yes"]);
    assert!(command.env("PW", "x").env("YUBIN_ACTOR", "someone").output().unwrap().status.success());
    let log = world.json(0, &["log", "account/a"]);
    assert_eq!(keys(&log), ["format_version", "fields"]);
    let fields = log["fields"].as_array().unwrap();
    for field in fields {
        assert_eq!(keys(field), ["field", "revision", "at", "actor", "file", "line", "commit"]);
    }
    let line = |field: &Json| {
        format!("{} {} {} {}:{}", field["field"], field["revision"], field["actor"], field["file"], field["line"])
            .replace('"', "")
    };
    let lines: Vec<String> = fields.iter().map(line).collect();
    assert_eq!(lines, ["label 1 tester a.yaml:2", "password 1 tester a.yaml:2", "comment 2 someone b.yaml:4"]);
    // What other software wrote has no revision.
    database(&world).execute("UPDATE account SET label = 'edited' WHERE name = 'a'", []).unwrap();
    let log = world.json(0, &["log", "account/a"]);
    let label = log["fields"].as_array().unwrap().iter().find(|field| field["field"] == "label").unwrap();
    assert_eq!((&label["revision"], &label["actor"]), (&Json::Null, &Json::Null));
    let text = world.expect(0, &["log", "account/a"]).stdout;
    assert!(text.contains("comment   revision 2") && text.contains("someone  b.yaml:4"), "{text}");
    world.expect(1, &["log", "account/nobody"]);
    world.expect(64, &["log", "account/"]);
}

#[test]
fn an_undo_takes_back_an_add_an_overwrite_and_a_delete() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    let env: &[(&str, &str)] = &[("PW", "x"), ("PW2", "y")];
    world.write("a.yaml", "accounts: { a: { comment: one, password: { env: PW } }, b: { comment: two, password: { env: PW }, capacity: 5 } }\n");
    expect_with(&world, 0, env, &["apply", "--yes"]);
    let before = state(&world);
    world.write(
        "a.yaml",
        "accounts: { a: { comment: ONE, label: new, password: { env: PW2 } }, b: { absent: true }, c: { comment: three } }\n",
    );
    expect_with(&world, 0, env, &["apply", "--yes"]);
    let after = state(&world);
    let receipt = world.json(0, &["undo", "2", "--yes"]);
    assert_eq!(keys(&receipt), ["format_version", "revision", "digest", "summary", "effects", "diagnostics"]);
    assert_eq!(receipt["revision"], 3);
    assert_eq!(
        receipt["summary"].to_string(),
        r#"{"add":1,"overwrite":1,"delete":1,"skip":0,"blocked":0,"unchanged":0}"#
    );
    assert_eq!(state(&world), before);
    // The passwords are back as well.
    world.write(
        "a.yaml",
        "accounts: { a: { comment: one, password: { env: PW } }, b: { comment: two, password: { env: PW } } }\n",
    );
    expect_with(&world, 0, env, &["plan", "--exit-code"]);
    // An undo is a revision like any other.
    let log = world.json(0, &["log"]);
    assert_eq!(log["revisions"][0]["revision"], 3);
    assert!(log["revisions"][0]["note"].as_str().unwrap().contains('2'));
    world.expect(0, &["undo", "3", "--yes"]);
    assert_eq!(state(&world), after);
    world.expect(0, &["undo", "4", "--yes"]);
    assert_eq!(state(&world), before);
}

#[test]
fn an_undo_shows_its_plan_and_asks() {
    let world = catchme("policy: { max_deletes: 9 }\n");
    world.write("people.csv", row("taro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    let run = world.expect(4, &["undo", "1"]);
    assert!(run.stdout.contains("- delete    pattern/taro/p1"), "{}", run.stdout);
    assert!(run.stdout.contains("Logs out 1 user: taro"), "{}", run.stdout);
    assert_eq!(revision(&world), 1);
    let receipt = world.json(0, &["undo", "1", "--yes"]);
    assert_eq!(receipt["effects"][0]["user"], "taro");
    assert_eq!(state(&world), json!([]));
}

/// It is an ordinary plan: what a plan may not do, an undo may not do either.
#[test]
fn an_undo_is_held_to_the_policy() {
    let world = World::project("generic", "policy: { max_deletes: 1, protect: [account/a000] }\n");
    world.write("a.yaml", accounts(1..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    let refused = world.json(4, &["undo", "1", "--yes"]);
    assert_eq!(rules(&refused), ["max_deletes"]);
    assert_eq!(actions(&refused), ["delete account/a001", "delete account/a002"]);
    world.expect(0, &["undo", "1", "--ack", refused["digest"].as_str().unwrap(), "--yes"]);
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes"]);
    let refused = world.json(4, &["undo", "3", "--yes"]);
    assert_eq!(rules(&refused), ["protect"]);
    world.expect(4, &["undo", "3", "--yes", "--ack", refused["digest"].as_str().unwrap()]);
    assert_eq!(revision(&world), 3);
}

#[test]
fn an_undo_is_refused_where_later_revisions_touched_the_same_fields() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    let apply = |text: &str| {
        world.write("a.yaml", text);
        world.expect(0, &["apply", "--yes"]);
    };
    apply("accounts: { a: { comment: one, label: l, capacity: 1 }, b: { comment: x } }\n");
    apply("accounts: { a: { comment: two } }\n");
    apply("accounts: { a: { comment: three } }\n");
    let before = state(&world);
    let run = world.expect(4, &["undo", "2", "--yes"]);
    assert!(
        run.stderr.contains("account/a") && run.stderr.contains("comment") && run.stderr.contains("revision 3"),
        "{}",
        run.stderr
    );
    // The add of a resource touched every field of it.
    world.expect(4, &["undo", "1", "--yes"]);
    assert_eq!(state(&world), before);
    // Back and forth: the field has the value that revision 2 gave it, but revision 4 wrote it.
    apply("accounts: { a: { comment: two } }\n");
    world.expect(4, &["undo", "2", "--yes"]);
    // Deleted since, and deleted and made again.
    apply("accounts: { a: { label: new } }\n");
    apply("accounts: { a: { absent: true } }\n");
    world.expect(4, &["undo", "5", "--yes"]);
    apply("accounts: { a: { comment: again } }\n");
    world.expect(4, &["undo", "6", "--yes"]);
    world.expect(4, &["undo", "5", "--yes"]);
    assert_eq!(revision(&world), 7);
    // Other software counts as well.
    apply("accounts: { b: { comment: y } }\n");
    database(&world).execute("UPDATE account SET comment = 'z' WHERE name = 'b'", []).unwrap();
    let run = world.expect(4, &["undo", "8", "--yes"]);
    assert!(run.stderr.contains("other software"), "{}", run.stderr);
}

#[test]
fn an_undo_is_allowed_where_later_revisions_touched_other_fields() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    let apply = |text: &str| {
        world.write("a.yaml", text);
        world.expect(0, &["apply", "--yes"]);
    };
    apply("accounts: { a: { comment: one, label: l }, b: {} }\n");
    apply("accounts: { a: { comment: two } }\n");
    apply("accounts: { a: { label: L, capacity: 5 } }\n");
    apply("accounts: { c: {} }\n");
    let plan = world.json(0, &["undo", "2", "--yes"]);
    assert_eq!(plan["summary"]["overwrite"], 1);
    assert_eq!(shown(&world, "account/a"), json!({ "label": "L", "capacity": 5, "comment": "one" }));
    database(&world).execute("UPDATE account SET visible = 1 WHERE name = 'a'", []).unwrap();
    world.expect(0, &["undo", "3", "--yes"]);
    assert_eq!(shown(&world, "account/a"), json!({ "label": "l", "comment": "one", "visible": true }));
    world.expect(0, &["undo", "4", "--yes"]);
    world.expect(1, &["show", "account/c"]);
}

#[test]
fn an_undo_of_an_adoption_leaves_no_owner() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    world.write("a.yaml", "accounts: { seed: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    let sql = "INSERT INTO account (name, comment) VALUES ('same', 'x'), ('other', 'y')";
    database(&world).execute(sql, []).unwrap();
    let before = state(&world);
    world.write("a.yaml", "accounts: { same: { comment: x }, other: { comment: x } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(world.json(0, &["show", "account/same"])["resources"][0]["owner"], "head-office");
    let adopted = state(&world);
    world.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(state(&world), before);
    assert_eq!(world.json(0, &["show", "account/same"])["resources"][0]["owner"], Json::Null);
    world.expect(0, &["undo", "3", "--yes"]);
    assert_eq!(state(&world), adopted);
}

#[test]
fn an_undo_of_what_never_was_is_wrong_usage() {
    let world = World::project("generic", "");
    world.expect(64, &["undo", "1", "--yes"]);
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes"]);
    for number in ["0", "2", "99", "-1"] {
        world.expect(64, &["undo", number, "--yes"]);
    }
    assert_eq!(revision(&world), 1);
}

#[test]
fn a_project_takes_back_only_what_it_owns() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    world.write("a.yaml", accounts(0..2, "x"));
    world.expect(0, &["apply", "--yes"]);
    let other = World::new();
    let store = world.file("yubin.db").display().to_string();
    other.write("yubin.yaml", format!("version: 1\nname: other\nstore: sqlite:{store}\n"));
    let refused = other.json(4, &["undo", "1", "--yes"]);
    assert_eq!(rules(&refused)[0], "foreign_owner");
    assert_eq!(revision(&world), 1);
}

/// A server that is gone cannot be referred to again: refused with the reason, for to plan again
/// would be of no use.
#[test]
fn an_undo_that_needs_a_deleted_server_is_refused() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    for text in [
        "servers: { s: {}, t: {} }\naccounts: { a: { server: s }, b: { server: s } }\n",
        "servers: { s: {}, t: {} }\naccounts: { a: { absent: true }, b: { server: t } }\n",
        "servers: { s: { absent: true }, t: {} }\n",
    ] {
        world.write("a.yaml", text);
        world.expect(0, &["apply", "--yes", "-q"]);
    }
    let run = world.expect(4, &["undo", "2", "--yes"]);
    let said = run.stdout + &run.stderr;
    assert!(said.contains("server/s") && !said.contains("other software"), "{said}");
    assert_eq!(revision(&world), 3);
    // With the server back, it goes.
    world.expect(0, &["undo", "3", "--yes", "-q"]);
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    assert_eq!(shown(&world, "account/a"), json!({ "server": "s" }));
}

/// What other software wrote before the revision is what was there before it.
#[test]
fn an_undo_brings_back_what_other_software_wrote() {
    let world = World::project("generic", "");
    world.write("a.csv", "name,comment,label\na,x,l\n");
    world.expect(0, &["apply", "--yes"]);
    database(&world).execute("UPDATE account SET comment = 'theirs', capacity = 5 WHERE name = 'a'", []).unwrap();
    let before = state(&world);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(shown(&world, "account/a"), json!({ "label": "l", "capacity": 5, "comment": "x" }));
    world.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(state(&world), before);
    assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/a"]);
}

/// Nothing has changed but a password: it is seen, and its undo brings the old one back.
#[test]
fn an_undo_of_a_change_of_secrets_alone() {
    let world = World::project("generic", "");
    private(&world, "pw", "one");
    world.write("a.yaml", "accounts: { a: { password: { file: pw } } }\n");
    world.expect(0, &["apply", "--yes"]);
    private(&world, "pw", "two");
    let plan = world.json(0, &["plan"]);
    assert_eq!(plan["changes"][0]["fields"].to_string(), r#"[{"field":"password","secret":true,"change":"changed"}]"#);
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/a"]);
    private(&world, "pw", "one");
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

/// Servers come before what refers to them and go after it, in an undo too.
#[test]
fn an_undo_keeps_references_whole() {
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    world.write("a.yaml", "servers: { s: { incoming: { host: x.jp } } }\naccounts: { a: { server: s } }\npatterns: { u: { p: { server: s } } }\n");
    world.expect(0, &["apply", "--yes"]);
    let before = state(&world);
    world.write("a.yaml", "accounts: { a: { absent: true } }\npatterns: { u: { p: { absent: true } } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "servers: { s: { absent: true } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(state(&world), json!([]));
    world.expect(0, &["undo", "3", "--yes"]);
    world.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(state(&world), before);
    let integrity: String = database(&world)
        .query_row("SELECT group_concat(\"table\") FROM pragma_foreign_key_check", [], |row| {
            Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default())
        })
        .unwrap();
    assert_eq!(integrity, "");
}
