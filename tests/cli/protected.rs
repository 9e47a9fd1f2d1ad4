//! `protected: true`: kept in the store, so that a resource does not lose it together with its lines in a file.

use serde_json::{Value as Json, json};

use super::products::cpi::{BS, POSTMASTER, account, cpi, declare, effects, export_file};
use super::soft_delete::pass;
use super::{actions, catchme, database, private, revision, row, rules, shown, state};
use crate::support::World;

/// The smallest resource that a system takes.
pub struct Smallest {
    pub system: &'static str,
    pub address: &'static str,
    /// A name that it may be renamed to.
    pub other: &'static str,
    name: &'static str,
    /// What stands before its fields, `NAME` in the place of its name.
    before: &'static str,
    fields: &'static str,
}

const SERVER: &str = "incoming: { protocol: pop3, host: pop.x.jp, port: 110 }, outgoing: { host: smtp.x.jp, port: 25 }";

pub const SMALLEST: [Smallest; 8] = [
    Smallest {
        system: "generic",
        address: "account/a",
        other: "b",
        name: "a",
        before: "accounts:\n  NAME: ",
        fields: "comment: x",
    },
    Smallest {
        system: "catchme-mail",
        address: "pattern/taro/p1",
        other: "p2",
        name: "p1",
        before: "patterns:\n  taro:\n    NAME: ",
        fields: "address: taro@x.jp, incoming: { label: i, protocol: pop3, host: pop.x.jp, username: taro, \
                 password: { file: pw } }, outgoing: { label: o, host: smtp.x.jp }",
    },
    Smallest {
        system: "staff-express",
        address: "account/10",
        other: "'11'",
        name: "'10'",
        before: "accounts:\n  NAME: ",
        fields: "address: info@x.jp, incoming: { host: pop.x.jp, port: 110, username: info, password: { file: pw } }, \
                 outgoing: { host: smtp.x.jp, port: 25 }",
    },
    Smallest {
        system: "cpi-business-standard",
        address: "account/info",
        other: "sales",
        name: "info",
        before: "accounts:\n  NAME: ",
        fields: "password: { file: pw }, capacity: 5",
    },
    Smallest {
        system: "cpi-kwc-mail",
        address: "account/info",
        other: "sales",
        name: "info",
        before: "accounts:\n  NAME: ",
        fields: "password: { file: pw }, capacity: 5",
    },
    Smallest {
        system: "cpi-sv-basic",
        address: "account/info",
        other: "sales",
        name: "info",
        before: "accounts:\n  NAME: ",
        fields: "password: { file: pw }",
    },
    Smallest {
        system: "mailwise",
        address: "server/hq",
        other: "branch",
        name: "hq",
        before: "servers:\n  NAME: ",
        fields: SERVER,
    },
    Smallest {
        system: "cybozu-office",
        address: "account/191",
        other: "'192'",
        name: "'191'",
        before: "servers:\n  hq: { supports_uidl: true, incoming: { protocol: pop3, host: pop.x.jp, port: 110 }, \
                 outgoing: { host: smtp.x.jp, port: 25 } }\naccounts:\n  NAME: ",
        fields: "server: hq, address: info@x.jp, user: 高橋健太, \
                 incoming: { username: info, password: { file: pw } }",
    },
];

impl Smallest {
    /// An empty project of its system, with the password that it names.
    pub fn project(&self, policy: &str) -> World {
        let world = World::project(self.system, &format!("policy: {{ {policy} }}\n"));
        private(&world, "pw", "Himawari2026x\n");
        world
    }

    /// The resource with further fields.
    pub fn yaml(&self, more: &str) -> String {
        self.named(self.name, more)
    }

    /// The same under its other name.
    pub fn renamed(&self, more: &str) -> String {
        self.named(self.other, more)
    }

    fn named(&self, name: &str, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { ", " };
        format!("{}{{ {}{comma}{more} }}\n", self.before.replace("NAME", name), self.fields)
    }

    fn tombstone(&self) -> String {
        format!("{}{{ absent: true }}\n", self.before.replace("NAME", self.name))
    }
}

#[track_caller]
fn apply(world: &World, yaml: &str) {
    world.write("a.yaml", yaml);
    world.expect(0, &["apply", "--yes", "-q"]);
}

/// What stands in the store is refused to be deleted, in any way and with any consent.
#[track_caller]
fn refused(world: &World, args: &[&str], address: &str) {
    let kept = state(world);
    let plan = world.json(4, args);
    assert_eq!(rules(&plan), ["protected"], "{plan}");
    let message = plan["refused"][0]["message"].as_str().unwrap();
    assert!(message.contains(address), "{message}");
    let command = if args[0] == "plan" { &["apply"][..] } else { args };
    let digest = plan["digest"].as_str().unwrap();
    for consent in [&["--yes"][..], &["--ack", digest], &["--yes", "--ack", digest]] {
        let mut args = command.to_vec();
        args.retain(|one| *one != "--yes");
        world.expect(4, &[&args[..], consent].concat());
    }
    assert_eq!(&state(world), &kept);
}

#[test]
fn every_system_takes_it_and_needs_two_applied_plans_to_delete() {
    for one in &SMALLEST {
        let world = one.project("undeclared: keep");
        apply(&world, &one.yaml("protected: true"));
        assert_eq!(shown(&world, one.address)["protected"], true, "{}", one.system);
        world.expect(0, &["plan", "--exit-code"]);
        // Written or not, it stays.
        for yaml in [one.yaml(""), one.yaml("protected: true")] {
            world.write("a.yaml", yaml);
            world.expect(0, &["plan", "--exit-code"]);
        }
        world.write("a.yaml", one.tombstone());
        refused(&world, &["plan"], one.address);
        apply(&world, &one.yaml("protected: false"));
        apply(&world, &one.tombstone());
        world.expect(1, &["show", one.address]);
    }
}

/// It is yubin's own: no file and no worksheet asks the product for anything.
#[test]
fn no_product_hears_of_it() {
    for one in SMALLEST.iter().filter(|one| one.system != "generic") {
        let world = one.project("undeclared: keep");
        for (folder, protected) in [("on", "true"), ("off", "false")] {
            apply(&world, &one.yaml(if protected == "true" { "" } else { "protected: true" }));
            world.write("a.yaml", one.yaml(&format!("protected: {protected}")));
            let plan = world.json(0, &["plan"]);
            assert_eq!(actions(&plan), [format!("overwrite {}", one.address)], "{}", one.system);
            world.expect(0, &["plan", "--out", "saved.json", "-q"]);
            world.expect(0, &["export", "bundle", "--plan", "saved.json", "--out", folder, "-q"]);
            let manifest = std::fs::read_to_string(world.file(folder).join("manifest.json")).unwrap();
            let manifest: Json = serde_json::from_str(&manifest).unwrap();
            assert_eq!(manifest["files"], json!([]), "{} {folder}", one.system);
        }
    }
}

#[test]
fn every_kind_and_every_way_of_writing_it() {
    let resources = [
        ("server/s", "servers: { s: { incoming: { host: x.jp }MORE } }\n", "servers: { s: { absent: true } }\n"),
        ("account/a", "accounts: { a: { comment: x MORE } }\n", "accounts: { a: { absent: true } }\n"),
        (
            "pattern/u/p",
            "patterns: { u: { p: { organization: x MORE } } }\n",
            "patterns: { u: { p: { absent: true } } }\n",
        ),
    ];
    for (address, yaml, tombstone) in resources {
        for lift in ["false", "null", "~"] {
            let world = World::project("generic", "");
            let written = |value: &str| yaml.replace("MORE", &format!(", protected: {value}"));
            apply(&world, &yaml.replace("MORE", ""));
            world.write("a.yaml", written("true"));
            let plan = world.json(0, &["plan"]);
            assert_eq!(
                plan["changes"][0]["fields"].to_string(),
                r#"[{"field":"protected","before":null,"after":true}]"#,
                "{address}"
            );
            world.expect(0, &["apply", "--yes"]);
            assert_eq!(shown(&world, address)["protected"], true);
            assert!(world.expect(0, &["show", address]).stdout.contains("protected"));
            world.write("a.yaml", tombstone);
            refused(&world, &["plan"], address);
            // To write that it is not, and to delete, are two plans.
            world.write("a.yaml", written(lift));
            let plan = world.json(0, &["plan"]);
            let after = if lift == "false" { json!(false) } else { Json::Null };
            assert_eq!(
                plan["changes"][0]["fields"],
                json!([{ "field": "protected", "before": true, "after": after }]),
                "{address}: {lift}"
            );
            world.expect(0, &["apply", "--yes"]);
            apply(&world, tombstone);
            world.expect(1, &["show", address]);
        }
    }
    // From defaults of a file.
    let world = World::project("generic", "");
    apply(&world, "defaults: { accounts: { protected: true } }\naccounts: { a: {}, b: { protected: false } }\n");
    assert_eq!(shown(&world, "account/a"), json!({ "protected": true }));
    assert_eq!(shown(&world, "account/b"), json!({ "protected": false }));
    world.write("a.yaml", "accounts: { a: { absent: true }, b: { absent: true } }\n");
    refused(&world, &["plan"], "account/a");
}

#[test]
fn it_is_a_column_of_csv() {
    let world = World::project("generic", "");
    let csv = |text: &str| world.write("a.csv", text);
    csv("name,comment,protected\na,x,true\nb,x,false\nc,x,\n");
    world.expect(0, &["apply", "--yes"]);
    let shown = |name: &str| shown(&world, &format!("account/{name}"));
    assert_eq!(shown("a"), json!({ "comment": "x", "protected": true }));
    assert_eq!(shown("b"), json!({ "comment": "x", "protected": false }));
    assert_eq!(shown("c"), json!({ "comment": "x" }));
    // An empty cell is not written, and so is a column that is not there.
    for kept in ["name,comment,protected\na,x,\nb,x,\nc,x,\n", "name,comment\na,x\nb,x\nc,x\n"] {
        csv(kept);
        world.expect(0, &["plan", "--exit-code"]);
        world.expect(0, &["apply", "--yes"]);
    }
    csv("name,comment,absent\na,,true\nb,x,\nc,x,\n");
    refused(&world, &["plan"], "account/a");
    csv("name,comment,protected\na,x,false\nb,x,\nc,x,\n");
    world.expect(0, &["apply", "--yes"]);
    csv("name,comment,absent\na,,true\nb,x,\nc,x,\n");
    world.expect(0, &["apply", "--yes"]);
}

#[test]
fn a_word_that_is_no_flag_is_invalid_input() {
    for word in ["yes", "1", "\"true\"", "[true]", "{ env: X }"] {
        let world = World::project("generic", "");
        world.write("a.yaml", format!("accounts:\n  a: {{ protected: {word} }}\n"));
        let first = world.json(3, &["check"])["diagnostics"][0].take();
        assert_eq!((&first["code"], &first["line"], &first["column"]), (&json!("value/type"), &json!(2), &json!(19)));
    }
    let world = World::project("generic", "");
    world.write("a.csv", "name,protected\na,1\n");
    world.expect(3, &["check"]);
}

#[test]
fn no_way_of_deleting_gets_around_it() {
    type Way = fn(&World);
    let both = "accounts: { a: { comment: x, protected: true }, b: { comment: y } }\n";
    let ways: [(&str, &str, Way); 6] = [
        ("a tombstone", "undeclared: keep", |world| {
            world.write("a.yaml", "accounts: { a: { absent: true }, b: {} }\n");
        }),
        ("no longer declared", "undeclared: delete", |world| world.write("a.yaml", "accounts: { b: {} }\n")),
        ("declared in no file", "undeclared: delete", |world| {
            world.remove("a.yaml");
            world.write("b.csv", "name,comment\nb,y\n");
        }),
        ("disabled", "undeclared: delete, delete: after 14d", |world| world.write("a.yaml", "accounts: { b: {} }\n")),
        ("a tombstone that disables", "undeclared: keep, delete: after 1h", |world| {
            world.write("a.yaml", "accounts: { a: { absent: true }, b: {} }\n");
        }),
        ("without its key in the file, and then without the file", "undeclared: delete", |world| {
            apply(world, "accounts: { a: { comment: z }, b: {} }\n");
            world.write("a.yaml", "accounts: { b: {} }\n");
        }),
    ];
    for (what, policy, way) in ways {
        let world = World::project("generic", &format!("policy: {{ {policy} }}\n"));
        apply(&world, both);
        way(&world);
        refused(&world, &["plan"], "account/a");
        assert_eq!(shown(&world, "account/a")["protected"], true, "{what}");
    }
}

/// A plan that is refused deletes nothing else either.
#[test]
fn the_whole_plan_is_refused() {
    let world = World::project("generic", "policy: { undeclared: delete, protect: [account/c] }\n");
    apply(&world, "accounts: { a: { protected: true }, b: {}, c: {}, d: {} }\n");
    world.write("a.yaml", "accounts: { d: { comment: new } }\n");
    let plan = world.json(4, &["plan"]);
    let mut broken = rules(&plan);
    broken.sort_unstable();
    assert_eq!(broken, ["protect", "protected"], "what the file says and what the store says are two rules");
    world.expect(4, &["apply", "--yes"]);
    assert_eq!(revision(&world), 1);
    // With another reason to be kept, both have to be lifted.
    world.write("yubin.yaml", "version: 1\nname: head-office\npolicy: { undeclared: delete }\n");
    refused(&world, &["plan"], "account/a");
}

#[test]
fn an_undo_of_the_add_is_a_delete() {
    let world = World::project("generic", "");
    apply(&world, "accounts: { a: { comment: x, protected: true } }\n");
    refused(&world, &["undo", "1", "--yes"], "account/a");
    // An undo of what set it or lifted it is neither.
    apply(&world, "accounts: { a: { protected: false }, b: { comment: x } }\n");
    apply(&world, "accounts: { b: { protected: true } }\n");
    world.expect(0, &["undo", "3", "--yes"]);
    assert_eq!(shown(&world, "account/b"), json!({ "comment": "x" }));
    apply(&world, "accounts: { a: { comment: x } }\n");
    assert_eq!(shown(&world, "account/a")["protected"], false);
    let lifted = World::project("generic", "");
    apply(&lifted, "accounts: { a: { protected: true } }\n");
    apply(&lifted, "accounts: { a: { protected: false } }\n");
    lifted.expect(0, &["undo", "2", "--yes"]);
    lifted.write("a.yaml", "accounts: { a: { absent: true } }\n");
    refused(&lifted, &["plan"], "account/a");
}

/// It may come from elsewhere than from a file: it is the store that counts.
#[test]
fn what_other_software_has_protected_is_protected() {
    for (what, policy, disabled) in
        [("a delete", "undeclared: delete", false), ("a purge", "undeclared: delete, delete: after 14d", true)]
    {
        let world = World::project("generic", &format!("policy: {{ {policy} }}\n"));
        apply(&world, "accounts: { a: { comment: x }, b: {} }\n");
        if disabled {
            apply(&world, "accounts: { b: {} }\n");
            pass(&world, "14 days");
        }
        world.write("a.yaml", "accounts: { b: {} }\n");
        assert_eq!(actions(&world.json(0, &["plan"])).len(), 1, "{what}");
        database(&world).execute("UPDATE account SET protected = 1 WHERE name = 'a'", []).unwrap();
        refused(&world, &["plan"], "account/a");
        database(&world).execute("UPDATE account SET protected = 0 WHERE name = 'a'", []).unwrap();
        world.expect(0, &["apply", "--yes"]);
        world.expect(1, &["show", "account/a"]);
    }
}

#[test]
fn a_change_of_it_alone_logs_nobody_out() {
    let world = World::project("generic", "");
    apply(&world, "patterns: { taro: { p: {} }, jiro: { p: {}, q: {} } }\n");
    for value in ["true", "false", "true", "null"] {
        world
            .write("a.yaml", format!("patterns: {{ taro: {{ p: {{ protected: {value} }} }}, jiro: {{ p: {{}} }} }}\n"));
        let plan = world.json(2, &["plan", "--exit-code"]);
        assert_eq!(actions(&plan), ["overwrite pattern/taro/p"], "{value}");
        assert_eq!(effects(&plan), [""; 0], "{value}");
        let receipt = world.json(0, &["apply", "--yes"]);
        assert_eq!(effects(&receipt), [""; 0]);
    }
    let logged: i64 =
        database(&world).query_row("SELECT count(*) FROM effect WHERE revision > 1", [], |row| row.get(0)).unwrap();
    assert_eq!(logged, 0, "the software that carries effects out is told of none");
    // Beside another field it is a change like any other, and so is an add.
    world.write(
        "a.yaml",
        "patterns:
  taro: { p: { protected: true, organization: x }, new: { protected: true } }
  jiro: { p: { protected: true } }
",
    );
    let mut told = effects(&world.json(0, &["plan"]));
    told.sort();
    assert_eq!(told, ["logout pattern/taro/new", "logout pattern/taro/p"]);
}

/// Product files know nothing of it: it stays, and holds.
#[test]
fn a_record_of_the_product_neither_lifts_it_nor_deletes() {
    let world = catchme("");
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    world.write("people.csv", row("jiro", "p1"));
    world.write("more.yaml", "patterns: { taro: { p1: { protected: true } } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.remove("more.yaml");
    world.write("people.csv", row("taro", "p1").replace("recv", "RECV") + &row("jiro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(shown(&world, "pattern/taro/p1")["protected"], true);
    for deletes in ["taro,p1\n", "taro,p1,,,,,,,,,,\n"] {
        world.write("people.csv", deletes.to_owned() + &row("jiro", "p1"));
        refused(&world, &["plan"], "pattern/taro/p1");
    }
}

/// An export that lacks a protected account is not believed.
#[test]
fn a_refresh_does_not_delete_it() {
    let world = cpi(BS, "");
    declare(&world, &[account(BS, "info", "protected: true"), account(BS, "sales", "")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("export.txt", export_file(BS, &["sales,,,0,0,0,0,1,5", POSTMASTER]));
    let plan = world.json(4, &["refresh", "cpi-export", "export.txt", "--yes"]);
    assert_eq!(rules(&plan), ["protected"], "{plan}");
    let digest = plan["digest"].as_str().unwrap();
    world.expect(4, &["refresh", "cpi-export", "export.txt", "--yes", "--ack", digest]);
    assert_eq!(shown(&world, "account/info")["protected"], true);
    // One that shows it changes nothing of it.
    world.write("export.txt", export_file(BS, &["info,,,0,0,0,0,1,5", "sales,,,0,0,0,0,1,5", POSTMASTER]));
    world.expect(0, &["refresh", "cpi-export", "export.txt", "--yes"]);
    assert_eq!(shown(&world, "account/info")["protected"], true);
    world.expect(0, &["plan", "--exit-code"]);
}

#[test]
fn an_export_carries_it() {
    let world = World::project("generic", "");
    apply(&world, "accounts: { a: { comment: x, protected: true }, b: { comment: y } }\n");
    let yaml = world.expect(0, &["export", "yaml"]).stdout;
    assert!(yaml.contains("protected: true"), "{yaml}");
    let csv = world.expect(0, &["export", "csv"]).stdout;
    assert!(csv.lines().next().unwrap().split(',').any(|column| column == "protected"), "{csv}");
    // Into an empty store, it is protected there.
    let other = World::project("generic", "");
    apply(&other, &yaml);
    assert_eq!(shown(&other, "account/a"), json!({ "comment": "x", "protected": true }));
    other.expect(0, &["plan", "--exit-code"]);
}
