//! The client against a real server: what holds beside a store must hold over HTTP.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::cli::{actions, database, private};
use crate::support::served::{Served, token};
use crate::support::{Run, World};

/// A project, its store, and a server before it.
struct Home {
    world: World,
    server: Served,
    token: String,
}

const STORE: &str = "sqlite:yubin.db";
const SECRET: &str = "open sesame";

impl Home {
    fn new(system: &str, more: &str) -> Home {
        let world = World::project(system, more);
        let none = BTreeMap::new();
        let server = Served::start(&world, STORE, &none);
        let token = token(&world, STORE, &none, "apply", &["head-office"]);
        private(&world, "pw", SECRET);
        private(&world, "pw2", "another one");
        Home { world, server, token }
    }

    fn run_with(&self, token: &str, args: &[&str]) -> Run {
        let mut command = self.world.command(&[&["--store", &self.server.url], args].concat());
        let run = Run::of(command.env("YUBIN_TOKEN", token).output().unwrap());
        for hidden in [token, SECRET] {
            assert!(!run.stdout.contains(hidden) && !run.stderr.contains(hidden), "{args:?}");
        }
        run
    }

    #[track_caller]
    fn expect(&self, code: i32, args: &[&str]) -> Run {
        let run = self.run_with(&self.token, args);
        assert_eq!(run.code, code, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
        run
    }

    #[track_caller]
    fn json(&self, code: i32, args: &[&str]) -> Json {
        let run = self.expect(code, &[args, &["--format", "json"]].concat());
        serde_json::from_str(&run.stdout).unwrap()
    }

    #[track_caller]
    fn apply(&self, yaml: &str) {
        self.world.write("a.yaml", yaml);
        self.expect(0, &["apply", "--yes"]);
        self.nothing_to_do();
    }

    #[track_caller]
    fn nothing_to_do(&self) {
        assert_eq!(actions(&self.json(0, &["plan"])), [""; 0]);
        // And those who stand beside the store see the same.
        assert_eq!(actions(&self.world.json(0, &["plan", "--store", STORE])), [""; 0]);
    }
}

const YAML: &str = "accounts:\n  a: { comment: x, password: { file: pw }, incoming.password: { file: pw } }\n  b: {}\npatterns: { u: { p: { incoming.password: { file: pw2 } }, q: {} } }\n";

#[test]
fn secrets_are_written_recognised_and_changed() {
    let home = Home::new("generic", "");
    home.apply(YAML);
    home.world.write("a.yaml", YAML.replace("file: pw2", "file: pw"));
    let plan = home.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite pattern/u/p"]);
    assert_eq!(plan["changes"][0]["fields"][0]["change"], "changed");
    home.expect(0, &["apply", "--yes"]);
    home.nothing_to_do();
    // The past comes back without anybody here having seen it.
    home.expect(0, &["undo", "2", "--yes"]);
    home.apply(YAML);
    assert_eq!(home.json(0, &["log"])["revisions"][0]["revision"], 3);
    // Beside the store, what the server has written can be opened.
    home.world.expect(0, &["store", "rekey", "--store", STORE, "--yes"]);
    home.apply(YAML);
}

#[test]
fn records_are_recognised_by_their_digests() {
    let home = Home::new("generic", "policy: { undeclared: delete, max_deletes: 100% }\n");
    let csv = |comment: &str| {
        let rows = (0..3_000).map(|at| format!("account,n{at:05},{comment},${{file:pw}}\n"));
        format!("kind,name,comment,incoming.password\n{}", rows.collect::<String>())
    };
    home.world.write("a.csv", csv("x"));
    home.expect(0, &["apply", "--yes"]);
    home.nothing_to_do();
    home.world.write("a.csv", csv("y"));
    let plan = home.json(0, &["plan"]);
    assert_eq!(plan["summary"]["overwrite"], 3_000);
    home.expect(0, &["apply", "--yes"]);
    home.nothing_to_do();
    home.expect(0, &["undo", "2", "--yes"]);
    home.world.write("a.csv", csv("x"));
    home.expect(0, &["apply", "--yes"]);
    home.nothing_to_do();
}

#[test]
fn names_change_places_with_their_secrets() {
    let home = Home::new("generic", "policy: { undeclared: delete, max_deletes: 0 }\n");
    home.apply("accounts:\n  a: { comment: a, password: { file: pw } }\n  b: { comment: b, incoming.password: { file: pw2 } }\n  c: { incoming.password: { file: pw } }\n");
    home.apply("accounts:\n  b: { previously: a, comment: a, password: { file: pw } }\n  a: { previously: b, comment: b, incoming.password: { file: pw2 } }\n  d: { previously: c, incoming.password: { file: pw2 } }\n");
    home.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(home.json(0, &["show", "account/a"])["resources"][0]["fields"]["comment"], "a");
    home.apply("accounts:\n  a: { comment: a, password: { file: pw } }\n  b: { comment: b, incoming.password: { file: pw2 } }\n  c: { incoming.password: { file: pw } }\n");
    // What has come back is what it was.
    assert_eq!(home.json(0, &["log"])["revisions"].as_array().unwrap().len(), 3);
}

#[test]
fn a_saved_plan_applies_once_and_moves_are_noticed() {
    let home = Home::new("generic", "");
    home.apply(YAML);
    home.world.write("a.yaml", YAML.replace("comment: x", "comment: y"));
    home.expect(0, &["plan", "--out", "plan.yubin"]);
    home.expect(0, &["apply", "plan.yubin", "--yes"]);
    let run = home.expect(5, &["apply", "plan.yubin", "--yes"]);
    assert!(run.stderr.contains("revision 1") && run.stderr.contains("is at 2"), "{}", run.stderr);
    database(&home.world).execute_batch("UPDATE account SET comment = 'theirs' WHERE name = 'a'").unwrap();
    let drift = home.json(2, &["drift"]);
    assert_eq!(drift["drift"][0]["after"], "theirs", "{drift}");
    assert_eq!(drift["drift"][0]["before"], "y", "{drift}");
    assert_eq!(actions(&home.json(0, &["plan"])), ["overwrite account/a"]);
    home.expect(0, &["apply", "--yes"]);
    home.nothing_to_do();
}

#[test]
fn what_is_disabled_waits_and_comes_back() {
    let home = Home::new("generic", "policy: { undeclared: delete, max_deletes: 100%, delete: after 14d }\n");
    home.apply(YAML);
    let less = "accounts: { b: {} }\npatterns: { u: { q: {} } }\n";
    home.world.write("a.yaml", less);
    home.expect(0, &["apply", "--yes"]);
    home.apply(YAML);
    home.world.write("a.yaml", less);
    home.expect(0, &["apply", "--yes"]);
    database(&home.world).execute_batch("UPDATE revision SET at = '2020-01-01T00:00:00Z'").unwrap();
    home.expect(0, &["apply", "--yes"]);
    home.expect(1, &["show", "account/a"]);
    home.expect(0, &["undo", "5", "--yes"]);
    home.apply(YAML);
}

#[test]
fn a_token_allows_what_it_says() {
    let home = Home::new("generic", "");
    home.apply(YAML);
    let none = BTreeMap::new();
    let read = token(&home.world, STORE, &none, "read", &["head-office"]);
    assert_eq!(home.run_with(&read, &["plan", "--exit-code"]).code, 0);
    home.world.write("a.yaml", YAML.replace("comment: x", "comment: y"));
    let run = home.run_with(&read, &["apply", "--yes"]);
    assert!(run.code == 1 && run.stderr.contains("does not allow this"), "{}", run.stderr);
    let foreign = token(&home.world, STORE, &none, "apply", &["other"]);
    let run = home.run_with(&foreign, &["plan"]);
    assert!(run.code == 1 && run.stderr.contains("not bound to the project `head-office`"), "{}", run.stderr);
    assert_eq!(home.run_with(&foreign, &["plan", "--secrets=skip"]).code, 0);
    let run = home.run_with("yubin_0000000000000000000000000000000000000000000", &["plan"]);
    assert!(run.code == 1 && run.stderr.contains("does not know this token"), "{}", run.stderr);
    home.expect(0, &["apply", "--yes"]);
}

/// Accounts of CPI ask most of what a plan can ask of a store.
#[test]
fn passwords_of_mailboxes_are_judged_by_what_the_server_remembers() {
    let home = Home::new("cpi-business-standard", "policy: { passwords: { history: 5 } }\n");
    private(&home.world, "one", "kX7.mQ2-wZ9a");
    private(&home.world, "two", "Tn4_hR8.vLc6pYe2");
    let yaml = |file: &str| format!("accounts:\n  info: {{ password: {{ file: {file} }}, capacity: 5 }}\n");
    home.world.write("a.yaml", yaml("one"));
    home.expect(0, &["apply", "--yes"]);
    home.world.write("a.yaml", yaml("two"));
    home.expect(0, &["apply", "--yes"]);
    home.expect(0, &["plan", "--exit-code"]);
    home.world.write("a.yaml", yaml("one"));
    let run = home.expect(3, &["plan"]);
    let beside = home.world.expect(3, &["plan", "--store", STORE]);
    assert_eq!(run.stderr, beside.stderr, "the same is said of it");
    home.world.write("a.yaml", yaml("two"));
    home.expect(0, &["mark", "account/info", "password_forced"]);
    let run = home.expect(3, &["plan"]);
    let beside = home.world.expect(3, &["plan", "--store", STORE]);
    assert_eq!(run.stderr, beside.stderr);
}

/// A client whose files say nothing of the mail server is held to its addresses all the same.
#[test]
fn nobody_takes_an_address_that_a_mail_server_looks_for() {
    let home = Home::new("generic", "sources: [a.yaml]\n");
    let feed =
        "version: 1\nname: feed\nsystem: generic\nmail_server: true\nstore: sqlite:../yubin.db\nsources: [a.yaml]\n";
    home.world.write("feed/yubin.yaml", feed);
    let account =
        |name: &str| format!("accounts:\n  {name}: {{ address: ceo@example.jp, password: {{ file: pw }} }}\n");
    private(&home.world, "feed/pw", SECRET);
    home.world.write("feed/a.yaml", account("ceo"));
    home.world.expect(0, &["-C", "feed", "apply", "--yes"]);
    home.world.write("a.yaml", account("x"));
    let run = home.expect(3, &["apply", "--yes"]);
    assert!(run.stderr.contains("account/ceo"), "{}", run.stderr);
}
