//! `yubin plan`: exit codes, JSON, text, bytes, digest.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{accounts, actions, catchme, concat, database, expect_with, keys, private, row, rules};
use crate::support::World;

#[test]
fn the_exit_code_says_whether_there_are_changes() {
    let world = World::project("generic", "");
    world.write("people.yaml", accounts(0..2, "x"));
    world.expect(0, &["plan"]);
    world.expect(2, &["plan", "--exit-code"]);
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["plan", "--exit-code"]);
    world.write("people.yaml", accounts(0..2, "y"));
    world.expect(2, &["plan", "--exit-code"]);
    world.expect(2, &["plan", "--exit-code", "-q"]);
    world.expect(2, &["plan", "--exit-code", "--format", "json"]);
}

#[test]
fn invalid_input_exits_3_and_leaves_no_store() {
    let world = World::project("generic", "");
    world.write("people.yaml", "accounts:\n  a: { capacity: many }\n  b: { colour: red }\n");
    let run = world.expect(3, &["plan"]);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("people.yaml:2:18") && run.stderr.contains("people.yaml:3:8"), "{}", run.stderr);
    let plan = world.json(3, &["plan"]);
    assert_eq!(keys(&plan), ["format_version", "diagnostics"]);
    assert_eq!(plan["diagnostics"].as_array().unwrap().len(), 2);
    world.expect(3, &["apply", "--yes"]);
    world.expect(3, &["check"]);
    assert!(!world.file("yubin.db").exists() && !world.file("yubin.db.key").exists());
}

#[test]
fn a_folder_without_a_project_is_invalid_input() {
    let run = World::new().expect(3, &["plan"]);
    assert!(run.stderr.contains("yubin.yaml") && run.stderr.contains("yubin init"), "{}", run.stderr);
}

#[test]
fn wrong_usage_exits_64() {
    let world = World::project("generic", "");
    for args in [
        &["plan", "--colour"][..],
        &["plann"],
        &[],
        &["plan", "--format", "xml"],
        &["plan", "extra"],
        &["show", "taro"],
        &["show", "account/%zz"],
        &["log", "mailbox/x"],
        &["undo", "one"],
        &["undo"],
        &["export"],
        &["export", "xls"],
        &["import", "catchme-mail"],
        &["explain", "no-such-field"],
        &["completions", "cmd"],
        &["init", "--system", "outlook"],
        &["-C", "no-such-folder", "plan"],
    ] {
        let run = world.expect(64, args);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{args:?}: {}", run.stdout);
    }
    for args in [&["--help"][..], &["plan", "--help"], &["--version"], &["help", "apply"]] {
        assert!(!world.expect(0, args).stdout.is_empty());
    }
}

#[test]
fn a_store_that_cannot_be_read_exits_1() {
    let world = World::project("generic", "");
    world.write("people.yaml", accounts(0..1, "x"));
    world.write("yubin.db", "this is no database, however long it is".repeat(100));
    let run = world.expect(1, &["plan"]);
    assert!(run.stderr.contains("yubin.db"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(world.file("yubin.db")).unwrap().len(), 3_900);
}

#[test]
fn the_json_has_every_key_in_its_order() {
    let world = catchme("policy: { undeclared: delete, max_deletes: 10 }\n");
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    let text = row("taro", "p1").replace("recv", "RECV") + &row("sabro", "p1");
    world.write("people.csv", text);
    let run = world.expect(0, &["plan", "--format", "json"]);
    assert!(run.stdout.starts_with("{\"format_version\":1,") && run.stdout.ends_with("}\n"), "{}", run.stdout);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        keys(&plan),
        [
            "format_version",
            "yubin",
            "project",
            "system",
            "store",
            "base_revision",
            "config_digest",
            "digest",
            "summary",
            "refused",
            "changes",
            "effects",
            "drift",
            "diagnostics"
        ]
    );
    assert_eq!(plan["yubin"], env!("CARGO_PKG_VERSION"));
    assert_eq!(plan["project"], "head-office");
    assert_eq!(plan["system"], "catchme-mail");
    assert_eq!(plan["store"], "sqlite:yubin.db");
    assert_eq!(plan["base_revision"], 1);
    assert_eq!(plan["summary"].to_string(), r#"{"add":1,"overwrite":1,"delete":1,"skip":0,"blocked":0,"unchanged":0}"#);
    assert_eq!(plan["refused"], json!([]));
    // What is added and overwritten by kind and key, then what is deleted.
    assert_eq!(actions(&plan), ["add pattern/sabro/p1", "overwrite pattern/taro/p1", "delete pattern/jiro/p1"]);
    for change in plan["changes"].as_array().unwrap() {
        assert_eq!(keys(change), ["action", "address", "kind", "key", "source", "fields"]);
    }
    let overwrite = &plan["changes"][1];
    assert_eq!(overwrite["kind"], "pattern");
    assert_eq!(overwrite["key"], json!(["taro", "p1"]));
    assert_eq!(overwrite["source"].to_string(), r#"{"file":"people.csv","line":1,"column":1}"#);
    assert_eq!(overwrite["fields"].to_string(), r#"[{"field":"incoming.label","before":"recv","after":"RECV"}]"#);
    let add = &plan["changes"][0];
    assert_eq!(add["source"].to_string(), r#"{"file":"people.csv","line":2,"column":1}"#);
    let fields: Vec<String> = add["fields"].as_array().unwrap().iter().map(Json::to_string).collect();
    assert!(fields.contains(&r#"{"field":"outgoing.host","before":null,"after":"smtp.xxx.jp"}"#.to_owned()));
    assert!(fields.contains(&r#"{"field":"outgoing.port","before":null,"after":25,"default":true}"#.to_owned()));
    assert!(fields.contains(&r#"{"field":"incoming.port","before":null,"after":110,"default":true}"#.to_owned()));
    assert!(fields.contains(&r#"{"field":"incoming.password","secret":true,"change":"set"}"#.to_owned()));
    let delete = &plan["changes"][2];
    assert_eq!(delete["source"], Json::Null);
    let lost: Vec<String> = delete["fields"].as_array().unwrap().iter().map(Json::to_string).collect();
    assert!(lost.contains(&r#"{"field":"outgoing.host","before":"smtp.xxx.jp","after":null}"#.to_owned()), "{lost:?}");
    assert!(lost.contains(&r#"{"field":"incoming.password","secret":true,"change":"cleared"}"#.to_owned()));
    assert_eq!(
        plan["effects"].to_string(),
        concat!(
            r#"[{"effect":"logout","user":"sabro","address":"pattern/sabro/p1"},"#,
            r#"{"effect":"logout","user":"taro","address":"pattern/taro/p1"},"#,
            r#"{"effect":"logout","user":"jiro","address":"pattern/jiro/p1"}]"#
        )
    );
}

#[test]
fn a_diagnostic_has_every_key_null_included() {
    let world = catchme("");
    world.write("people.csv", row("taro", "p1").replace(",1,taro,", ",0,taro,").trim_end().to_owned() + ",1,5\n");
    let plan = world.json(0, &["plan"]);
    let diagnostic = &plan["diagnostics"][0];
    let all = ["severity", "code", "message", "hint", "file", "line", "column", "address", "field"];
    assert_eq!(keys(diagnostic), all);
    assert_eq!(diagnostic["severity"], "warning");
    assert_eq!(diagnostic["file"], "people.csv");
    assert_eq!(diagnostic["line"], 1);
    assert_eq!(diagnostic["address"], "pattern/taro/p1");
    let checked = world.json(0, &["check"]);
    assert_eq!(keys(&checked), ["format_version", "diagnostics"]);
    assert_eq!(checked["diagnostics"], plan["diagnostics"]);
    world.write("yubin.yaml", "version: 1\nsystem: generic\n");
    let checked = world.json(3, &["check"]);
    for diagnostic in checked["diagnostics"].as_array().unwrap() {
        assert_eq!(keys(diagnostic), all);
    }
    assert!(checked["diagnostics"].as_array().unwrap().iter().any(|one| one["address"].is_null()));
}

#[test]
fn diagnostics_of_all_files_come_in_one_run_sorted_by_place() {
    let world = World::project("generic", "");
    world.write("b.yaml", "accounts:\n  x: { capacity: a, colour: 1 }\n  y: { capacity: b }\n");
    world.write("a.csv", "name,capacity\none,x\ntwo,y\n");
    world.write("c/d.yaml", "servers: 5\n");
    let checked = world.json(3, &["check"]);
    let places: Vec<(String, u64, u64)> = checked["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["file"].as_str().unwrap().to_owned(), one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("a.csv", 2, 5),
        ("a.csv", 3, 5),
        ("b.yaml", 2, 18),
        ("b.yaml", 2, 21),
        ("b.yaml", 3, 18),
        ("c/d.yaml", 1, 10),
    ];
    assert_eq!(places, expected.map(|(file, line, column)| (file.to_owned(), line, column)));
}

#[test]
fn a_plan_of_several_kinds_stands_in_apply_order() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 10 }\n");
    let old = "patterns: { u: { old: {} } }\naccounts: { old: {} }\nservers: { old: {} }\n";
    world.write("a.yaml", old);
    world.expect(0, &["apply", "--yes"]);
    let new = "patterns: { v: { b: {}, a: {} }, u: { c: {} } }\naccounts: { z: {}, y: {} }\nservers: { s: {} }\n";
    world.write("a.yaml", new);
    assert_eq!(
        actions(&world.json(0, &["plan"])),
        [
            "add server/s",
            "add account/y",
            "add account/z",
            "add pattern/u/c",
            "add pattern/v/a",
            "add pattern/v/b",
            "delete pattern/u/old",
            "delete account/old",
            "delete server/old",
        ]
    );
}

#[test]
fn values_have_the_types_of_their_fields() {
    let world = World::project("generic", "");
    world.write(
        "a.yaml",
        "servers: { s: { incoming: { max_message_size: 1024KB }, outgoing: { max_message_size: unlimited } } }
accounts: { a: { capacity: 5, visible: false, forward: { to: [a@x.jp, b@x.jp] }, comment: 0123 } }
",
    );
    let plan = world.json(0, &["plan"]);
    assert_eq!(
        plan["changes"][0]["fields"].to_string(),
        concat!(
            r#"[{"field":"incoming.max_message_size","before":null,"after":"1MB"},"#,
            r#"{"field":"outgoing.max_message_size","before":null,"after":"unlimited"}]"#
        )
    );
    let fields = plan["changes"][1]["fields"].as_array().unwrap();
    let after = |name: &str| fields.iter().find(|one| one["field"] == name).unwrap()["after"].clone();
    assert_eq!(after("capacity"), 5);
    assert_eq!(after("visible"), false);
    assert_eq!(after("forward.to"), json!(["a@x.jp", "b@x.jp"]));
    assert_eq!(after("comment"), "0123");
}

#[test]
fn sources_are_named_from_the_project_and_lines_count_in_every_format() {
    let world = World::project("generic", "");
    world.write("teams/osaka/a.yaml", "accounts:\n\n  one: {}\n  two:\n    comment: x\n");
    world.write("teams/b.csv", "name,comment\r\nthree,\"two\r\nlines\"\r\nfour,x\r\n");
    world.write("teams/c.csv", "name,comment\rfive,x\rsix,y\r");
    let plan = world.json(0, &["plan"]);
    let mut places: Vec<String> = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let source = &change["source"];
            let file = source["file"].as_str().unwrap();
            format!("{} {file}:{}:{}", change["key"][0].as_str().unwrap(), source["line"], source["column"])
        })
        .collect();
    places.sort();
    assert_eq!(
        places,
        [
            "five teams/c.csv:2:1",
            "four teams/b.csv:4:1",
            "one teams/osaka/a.yaml:3:3",
            "six teams/c.csv:3:1",
            "three teams/b.csv:2:1",
            "two teams/osaka/a.yaml:4:3",
        ]
    );
    // Started below the project, the names are the same.
    let below = world.json(0, &["-C", "teams/osaka", "plan"]);
    assert_eq!(below["changes"], plan["changes"]);
}

#[test]
fn the_plan_as_text() {
    let world = catchme("policy: { max_deletes: 10 }\n");
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1") + &row("sabro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    private(&world, "pw2", "other");
    let changed = row("taro", "p1").replace("recv", "受信").replace("file:pw", "file:pw2").trim_end().to_owned();
    world.write("people.csv", format!("{changed},,,山田 太郎\nsabro,p1\n{}{}", row("jiro", "p1"), row("hana", "p1")));
    let run = world.expect(0, &["plan"]);
    let digest = world.json(0, &["plan"])["digest"].as_str().unwrap().to_owned();
    let expected = "\
- delete    pattern/sabro/p1  people.csv:2
    address                         sabro@xxx.jp
    save_sent                       false
    request_read_receipt            false
    incoming.label                  recv
    incoming.host                   pop.xxx.jp
    incoming.port                   110
    incoming.protocol               pop3
    incoming.username               sabro
    incoming.password               (secret) lost
    incoming.delete_after_download  false
    outgoing.label                  send
    outgoing.host                   smtp.xxx.jp
    outgoing.port                   25
    outgoing.auth.enabled           false
    outgoing.auth.credentials       incoming
    logs out sabro

~ overwrite pattern/taro/p1  people.csv:1
    sender_name        (none) → 山田 太郎
    incoming.label     recv → 受信
    incoming.password  (secret) changed (last set in revision 1, DATE)
    logs out taro

+ add       pattern/hana/p1  people.csv:4
    address                         hana@xxx.jp
    save_sent                       false  (default)
    request_read_receipt            false  (default)
    incoming.label                  recv
    incoming.host                   pop.xxx.jp
    incoming.port                   110  (default)
    incoming.protocol               pop3
    incoming.username               hana
    incoming.password               (secret) set
    incoming.delete_after_download  false  (default)
    outgoing.label                  send
    outgoing.host                   smtp.xxx.jp
    outgoing.port                   25  (default)
    outgoing.auth.enabled           false  (default)
    outgoing.auth.credentials       incoming  (default)
    logs out hana

Plan: 1 to add, 1 to overwrite, 1 to delete; 1 unchanged
Logs out 3 users: hana, sabro, taro
Unobservable everything: CatchMe@MAIL has no export, so drift there is not seen
head-office (catchme-mail) on sqlite:yubin.db at revision 1
digest DIGEST
";
    let since = run.stdout.split_once("revision 1, ").and_then(|(_, rest)| rest.get(..10)).unwrap();
    assert_eq!(run.stdout.replace(&digest, "DIGEST").replace(since, "DATE"), expected);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_text_of_several_lines_is_a_line_diff() {
    let world = World::project("generic", "");
    let body = |line: &str| {
        format!(
            "accounts:\n  info:\n    comment: one\n    signature: |\n      株式会社\n      東京都\n      {line}\n      -- \n      end\n"
        )
    };
    world.write("a.yaml", body("電話 03"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", body("電話 06"));
    let run = world.expect(0, &["plan"]);
    let expected = "\
~ overwrite account/info  a.yaml:2
    signature
        株式会社
        東京都
      - 電話 03
      + 電話 06
        -- 
        end

Plan: 0 to add, 1 to overwrite, 0 to delete; 0 unchanged
head-office (generic) on sqlite:yubin.db at revision 1
digest ";
    assert!(run.stdout.starts_with(expected), "{}", run.stdout);
}

#[test]
fn a_refused_plan_as_text_with_colours() {
    let world = World::project("generic", "policy: { max_deletes: 0 }\n");
    world.write("a.yaml", "accounts: { a: { comment: x }, b: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { comment: y }, b: { absent: true }, c: {} }\n");
    let digest = world.json(4, &["plan"])["digest"].as_str().unwrap().to_owned();
    let expected = "\
\u{1b}[1m\u{1b}[31m- delete   \u{1b}[0m \u{1b}[1maccount/b\u{1b}[0m  \u{1b}[2ma.yaml:1\u{1b}[0m

\u{1b}[33m~ overwrite\u{1b}[0m \u{1b}[1maccount/a\u{1b}[0m  \u{1b}[2ma.yaml:1\u{1b}[0m
    comment  \u{1b}[1m\u{1b}[31mx\u{1b}[0m → \u{1b}[32my\u{1b}[0m

\u{1b}[32m+ add      \u{1b}[0m \u{1b}[1maccount/c\u{1b}[0m  \u{1b}[2ma.yaml:1\u{1b}[0m

\u{1b}[1mPlan:\u{1b}[0m \u{1b}[32m1 to add\u{1b}[0m, \u{1b}[33m1 to overwrite\u{1b}[0m, \u{1b}[1m\u{1b}[31m1 to delete\u{1b}[0m; 0 unchanged
\u{1b}[1m\u{1b}[31mRefused:\u{1b}[0m max_deletes: too many deletes of accounts: 1 is over 0
\u{1b}[2mhead-office (generic) on sqlite:yubin.db at revision 1
digest DIGEST\u{1b}[0m
";
    for args in [&["plan", "--color", "always"][..], &["apply", "--yes", "--color", "always"]] {
        assert_eq!(world.expect(4, args).stdout.replace(&digest, "DIGEST"), expected);
    }
    // Nothing but the colours differs.
    let plain = anstream::adapter::strip_str(expected).to_string();
    assert_eq!(world.expect(4, &["plan"]).stdout.replace(&digest, "DIGEST"), plain);
    assert_eq!(world.expect(4, &["plan", "--color", "never"]).stdout.replace(&digest, "DIGEST"), plain);
    // JSON is never coloured.
    assert!(!world.expect(4, &["plan", "--color", "always", "--format", "json"]).stdout.contains('\u{1b}'));
}

#[test]
fn names_cannot_move_the_cursor() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: \"\\e[2J\\e]0;x\\a\", label: \"\\u202Ex\\rTOTAL\" } }\n");
    for args in [&["plan"][..], &["plan", "--color", "always"], &["apply", "--yes"], &["show"]] {
        let run = world.expect(0, args);
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains("\u{1b}[2J") && !text.contains("\u{1b}]") && !text.contains('\u{202e}'), "{text}");
            assert!(!text.contains('\r') && !text.contains('\u{7}'), "{text}");
        }
    }
}

#[test]
fn a_long_plan_is_cut_in_text_and_whole_in_json() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..1_500, "x"));
    let run = world.expect(0, &["plan"]);
    assert_eq!(run.stdout.matches("+ add").count(), 1_000);
    assert!(run.stdout.contains("500 add more") && run.stdout.contains("1500 to add"), "{}", &run.stdout[90_000..]);
    assert_eq!(world.expect(0, &["plan", "-v"]).stdout.matches("+ add").count(), 1_500);
    assert_eq!(world.json(0, &["plan"])["changes"].as_array().unwrap().len(), 1_500);
}

#[test]
fn quiet_shows_no_plan() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..1, "x"));
    let run = world.expect(0, &["plan", "-q"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let run = world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

/// Many files, many records: whatever the threads do, the bytes are the same.
#[test]
fn same_files_and_same_store_give_the_same_bytes() {
    let fill = |world: &World| {
        for file in 0..6 {
            world.write(&format!("f{file}.yaml"), accounts(file * 300..file * 300 + 300, "x"));
        }
        let rows = concat(0..3_000, |n| format!("u{},p{n},\"a, b\"\n", n % 7));
        world.write("patterns.csv", format!("user,name,organization\n{rows}"));
        world.write("broken.csv", "name,capacity\nx1,1\nx2,2\n");
    };
    let (one, two) = (World::project("generic", ""), World::project("generic", ""));
    fill(&one);
    fill(&two);
    for format in ["json", "text"] {
        let bytes = one.expect(0, &["plan", "--format", format]).stdout;
        for _ in 0..3 {
            assert_eq!(one.expect(0, &["plan", "--format", format]).stdout, bytes);
        }
        assert_eq!(two.expect(0, &["plan", "--format", format]).stdout, bytes);
    }
    // Another address of the store shows only as such.
    let elsewhere = format!("sqlite:{}", two.file("elsewhere.db").display());
    let mine = one.expect(0, &["plan", "--format", "json"]).stdout;
    let theirs = two.expect(0, &["--store", &elsewhere, "plan", "--format", "json"]).stdout;
    assert_ne!(mine, theirs);
    assert_eq!(mine, theirs.replace(&elsewhere, "sqlite:yubin.db"));
    // The same holds for problems.
    for world in [&one, &two] {
        world.write("broken.csv", "name,capacity\nx1,a\nx2,b,c\nf,\"\n");
        world.write("broken.yaml", "accounts: { a001: { x: 1 } }\nservers: 1\n");
    }
    for format in ["json", "text"] {
        let (mine, theirs) =
            (one.expect(3, &["plan", "--format", format]), two.expect(3, &["plan", "--format", format]));
        assert_eq!((mine.stdout, mine.stderr), (theirs.stdout, theirs.stderr));
    }
}

#[test]
fn the_digest_covers_the_base_revision_the_configuration_and_the_changes() {
    let digest = |world: &World| world.json(0, &["plan"])["digest"].as_str().unwrap().to_owned();
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", accounts(0..3, "y"));
    let base = digest(&world);
    assert_eq!(base.len(), 64);
    assert!(base.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(base, digest(&world));
    // A comment changes the configuration and nothing else.
    world.write("a.yaml", accounts(0..3, "y") + "# a comment\n");
    let config = world.json(0, &["plan"]);
    assert_ne!(config["digest"], base.as_str());
    world.write("a.yaml", accounts(0..3, "y"));
    assert_eq!(base, digest(&world));
    // Other software changes what the changes start from.
    database(&world).execute("UPDATE account SET comment = 'z' WHERE name = 'a001'", []).unwrap();
    let edited = world.json(0, &["plan"]);
    assert_eq!(edited["base_revision"], 1);
    assert_ne!(edited["digest"], base.as_str());
    database(&world).execute("UPDATE account SET comment = 'x' WHERE name = 'a001'", []).unwrap();
    assert_eq!(base, digest(&world));
    // Another project moves the revision.
    let other = World::new();
    other.write("yubin.yaml", format!("version: 1\nname: other\nstore: sqlite:{}\n", world.file("yubin.db").display()));
    other.write("b.yaml", "accounts: { other: {} }\n");
    other.expect(0, &["apply", "--yes"]);
    assert_ne!(base, digest(&world));
}

#[test]
fn the_digest_covers_nothing_else() {
    let make = |world: &World| {
        world.write("a.yaml", "accounts: { a: { comment: x, password: { env: PW } } }\n");
        world.write("README.md", "no source");
    };
    let plan = |world: &World, args: &[&str], password: &str| -> Json {
        let args = [&["plan", "--format", "json"], args].concat();
        let run = expect_with(world, 0, &[("PW", password), ("YUBIN_ACTOR", password)], &args);
        serde_json::from_str(&run.stdout).unwrap()
    };
    let (one, two) = (World::project("generic", ""), World::project("generic", ""));
    make(&one);
    make(&two);
    let first = plan(&one, &[], "a");
    // Neither the folder, nor the store's address, nor the clock, nor a secret's value.
    assert_eq!(first["digest"], plan(&two, &["--store", "sqlite:other.db"], "b")["digest"]);
    assert_eq!(first["digest"], plan(&two, &["-v", "--strict"], "b")["digest"]);
    // Neither files that are no sources, nor what the store holds of others.
    one.write("README.md", "changed");
    assert_eq!(first, plan(&one, &[], "a"));
    expect_with(&two, 0, &[("PW", "a")], &["apply", "--yes"]);
    two.write("a.yaml", "accounts: { a: { comment: y } }\n");
    let before = plan(&two, &[], "a");
    database(&two).execute("INSERT INTO account (name) VALUES ('stranger')", []).unwrap();
    let after = plan(&two, &[], "a");
    assert_eq!(before["digest"], after["digest"]);
    assert_eq!(before["changes"], after["changes"]);
}

#[test]
fn the_digest_of_the_configuration_follows_every_byte_of_it() {
    let world = World::project("catchme-mail", "users: users.txt\nsources: [a.yaml, b.csv]\n");
    let digest = || world.json(0, &["plan"])["config_digest"].as_str().unwrap().to_owned();
    world.write("users.txt", "taro\n");
    world.write("a.yaml", "patterns: {}\n");
    world.write("b.csv", "");
    let first = digest();
    assert_eq!(first, digest());
    let mut seen = vec![first.clone()];
    for (file, text) in [("users.txt", "taro\njiro\n"), ("a.yaml", "patterns:  {}\n"), ("b.csv", "\n")] {
        world.write(file, text);
        let now = digest();
        assert!(!seen.contains(&now), "{file}");
        seen.push(now);
    }
    world.write("c.yaml", "patterns: {}\n");
    assert_eq!(&digest(), seen.last().unwrap(), "a file that is no source");
    world.write("yubin.yaml", std::fs::read_to_string(world.file("yubin.yaml")).unwrap() + "\n");
    assert!(!seen.contains(&digest()));
}

#[test]
fn strict_turns_warnings_into_errors_and_leaves_infos() {
    let world = catchme("policy: { existing: skip }\n");
    world.write("people.csv", row("taro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    world.write("people.csv", "taro,p1\n");
    // An info: the product does not say whether the check box concerns deletes (AMB-A9).
    let plan = world.json(0, &["plan", "--strict"]);
    assert_eq!(plan["diagnostics"][0]["severity"], "info");
    world.write("people.csv", row("taro", "p1").trim_end().to_owned() + ",,,,,,,yes\n");
    world.expect(0, &["check"]);
    world.expect(0, &["plan"]);
    for args in [&["check", "--strict"][..], &["plan", "--strict"], &["apply", "--yes", "--strict"]] {
        assert_eq!(world.json(3, args)["diagnostics"][0]["severity"], "error");
    }
}

#[test]
fn three_states_of_a_field() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: one, label: two, capacity: 5 } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { label: null, capacity: 10 } }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(
        plan["changes"][0]["fields"].to_string(),
        r#"[{"field":"label","before":"two","after":null},{"field":"capacity","before":5,"after":10}]"#
    );
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(super::shown(&world, "account/a"), json!({ "capacity": 10, "comment": "one" }));
    // `null` where nothing is, is no change.
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn null_goes_back_to_the_products_default() {
    let world = catchme("");
    world.write(
        "people.csv",
        row("taro", "p1").replace("smtp.xxx.jp,,", "smtp.xxx.jp,587,").replace('\n', ",,,,,,,1,1,1\n"),
    );
    world.expect(0, &["apply", "--yes"]);
    world.write("people.csv", "user,name,outgoing.port\n");
    world.write(
        "more.yaml",
        "patterns: { taro: { p1: { outgoing: { port: null, auth: { enabled: null } }, save_sent: ~ } } }\n",
    );
    let plan = world.json(0, &["plan"]);
    assert_eq!(
        plan["changes"][0]["fields"].to_string(),
        concat!(
            r#"[{"field":"save_sent","before":true,"after":false},"#,
            r#"{"field":"outgoing.port","before":587,"after":25},"#,
            r#"{"field":"outgoing.auth.enabled","before":true,"after":false}]"#
        )
    );
}

/// A-R1, A-R2: an empty cell keeps, so nothing can be cleared by overwriting (000:124).
#[test]
fn what_the_product_cannot_clear_is_blocked_and_nothing_is_applied() {
    let world = catchme("");
    let full = row("taro", "p1").trim_end().to_owned() + ",,,山田,営業,r@xxx.jp\n";
    world.write("people.csv", full + &row("jiro", "p1"));
    world.expect(0, &["apply", "--yes"]);
    let before = super::state(&world);
    // Empty cells keep.
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1"));
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.remove("people.csv");
    for cleared in ["null", "~", "''"] {
        world.write(
            "people.yaml",
            format!("patterns: {{ taro: {{ p1: {{ reply_to: {cleared}, sender_name: {cleared} }} }}, jiro: {{ p1: {{ sender_name: x }} }} }}\n")
                .replace("reply_to: ''", "reply_to: null"),
        );
        let plan = world.json(4, &["plan", "--exit-code"]);
        assert_eq!(actions(&plan), ["overwrite pattern/jiro/p1", "blocked pattern/taro/p1"], "{cleared}");
        let blocked = &plan["changes"][1];
        assert_eq!(keys(blocked), ["action", "address", "kind", "key", "source", "reason", "fields"]);
        let reason = blocked["reason"].as_str().unwrap();
        assert!(reason.contains("sender_name") && reason.contains("000:124"), "{reason}");
        assert_eq!(rules(&plan), ["blocked"]);
        assert_eq!(plan["summary"]["blocked"], 1);
        // Who is not touched is not logged out.
        let users: Vec<&Json> = plan["effects"].as_array().unwrap().iter().map(|one| &one["user"]).collect();
        assert_eq!(users, ["jiro"]);
        let digest = plan["digest"].as_str().unwrap();
        world.expect(4, &["apply", "--yes"]);
        world.expect(4, &["apply", "--yes", "--ack", digest]);
        assert_eq!(super::state(&world), before);
        assert_eq!(super::revision(&world), 1);
    }
    let text = world.expect(4, &["plan"]).stdout;
    assert!(text.contains("! blocked") && text.contains("Refused: blocked"), "{text}");
}

#[test]
fn a_kind_that_no_file_mentions_is_not_managed() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100 }\n");
    world.write("a.yaml", "accounts: { a: {}, b: {} }\nservers: { s: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: {} }\n");
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete account/b"]);
    world.write("a.yaml", "# nothing\n");
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.write("a.yaml", "");
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn broken_pipes_are_silent() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..3_000, "x"));
    world.expect(0, &["apply", "--yes", "-q"]);
    for args in [
        &["show"][..],
        &["show", "--format", "json"],
        &["export", "yaml"],
        &["schema"],
        &["man"],
        &["explain", "generic"],
    ] {
        let mut child = world
            .command(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{args:?}");
    }
}

/// A reader that has gone does not change what a plan says by its exit code, or that it is saved.
#[test]
fn a_broken_pipe_does_not_change_the_exit_code_of_a_plan() {
    let world = World::project("generic", "policy: { max_deletes: 0 }\n");
    let gone = |args: &[&str]| {
        let mut command = world.command(args);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap().status.code()
    };
    world.write("a.yaml", accounts(0..500, "x"));
    assert_eq!(gone(&["plan", "--exit-code"]), Some(2));
    gone(&["plan", "--out", "plan.json"]);
    assert!(world.file("plan.json").exists(), "exit 0, and no plan was saved");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", "accounts: { a001: { absent: true } }\n");
    assert_eq!(gone(&["plan"]), Some(4));
}

/// A warning that holds for thousands is told for some, and the rest is counted.
#[test]
fn what_holds_for_many_is_told_of_some() {
    let world = World::project("generic", "");
    for (accounts, told, last) in [(20, 20, "for good"), (25, 21, "5 more"), (3_000, 21, "2980 more")] {
        let rows = concat(0..accounts, |number| format!("a{number:04},true\n"));
        world.write("a.csv", format!("name,incoming.delete_after_download\n{rows}"));
        let plan = world.json(0, &["plan"]);
        let found = plan["diagnostics"].as_array().unwrap();
        assert_eq!(found.len(), told);
        assert!(found.iter().all(|one| one["code"] == "irreversible/delete-after-download"));
        assert!(found.iter().any(|one| one["message"].as_str().unwrap().contains(last)), "{found:#?}");
    }
}

/// For a comment on a pull request: what loses something first, within its budget, and not a word of a password.
#[test]
fn the_plan_as_markdown() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 90% }\n");
    world.write("a.yaml", accounts(0..3, "one"));
    world.expect(0, &["apply", "--yes"]);
    world.write(
        "a.yaml",
        "accounts: { a001: { comment: \"<b> @all\" }, new: { comment: x, incoming.password: { env: PW } } }\n",
    );
    let plan = |more: &[&str]| {
        let args = [&["plan", "--format", "markdown"], more].concat();
        expect_with(&world, 0, &[("PW", "open sesame")], &args).stdout
    };
    let page = plan(&["--json-out", "plan.json"]);
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing:\n{page}"));
    assert!(place("Deletes (2)") < place("Overwrites (1)") && place("Overwrites (1)") < place("Adds (1)"));
    assert!(page.contains("`one` → `<b> @all`") && page.contains("`incoming.password` (secret) set"), "{page}");
    assert!(page.contains("- **`account/a000`** no longer declared"), "{page}");
    assert!(!page.contains("open sesame") && page.contains("<details>") && page.contains("</details>"));
    let json: Json = serde_json::from_str(&std::fs::read_to_string(world.file("plan.json")).unwrap()).unwrap();
    assert!(page.contains(json["digest"].as_str().unwrap()));
    assert_eq!(json["summary"]["delete"], 2);
    // Input with errors, too.
    world.write("a.yaml", "accounts: { a: { capacity: x } }\n");
    let run = world.run(&["plan", "--format", "markdown", "--json-out", "plan.json"]);
    assert!(run.code == 3 && run.stdout.contains("value/type") && run.stdout.contains("`a.yaml:1`"), "{}", run.stdout);
    let json: Json = serde_json::from_str(&std::fs::read_to_string(world.file("plan.json")).unwrap()).unwrap();
    assert_eq!(json["diagnostics"][0]["code"], "value/type");
    // Only a plan is a page.
    for args in [&["show"][..], &["check"], &["apply", "--yes"]] {
        assert_eq!(world.run(&[args, &["--format", "markdown"]].concat()).code, 64);
    }
    assert_eq!(world.run(&["plan", "--format", "markdown", "--budget", "10"]).code, 64);
}

#[test]
fn markdown_stays_within_its_budget() {
    let world = World::project("generic", "policy: { max_deletes: 100% }\n");
    world.write("a.yaml", accounts(0..900, "one"));
    world.expect(0, &["apply", "--yes", "-q"]);
    let mut yaml = accounts(900..1_900, "x");
    for number in 0..900 {
        let fields = if number % 2 == 0 { "{ absent: true }" } else { "{ comment: two }" };
        writeln!(yaml, "  a{number:03}: {fields}").unwrap();
    }
    world.write("a.yaml", yaml);
    for (budget, all_deletes) in [("4000", false), ("65536", true)] {
        let page = world.expect(0, &["plan", "--format", "markdown", "--budget", budget]).stdout;
        assert!(page.len() <= budget.parse().unwrap(), "{} bytes", page.len());
        let shown = page.lines().skip_while(|line| !line.contains("Deletes (450)")).skip(2);
        let shown = shown.take_while(|line| line.starts_with("- **`")).count();
        assert_eq!(shown == 450, all_deletes, "{shown}");
        assert!(all_deletes || page.contains(&format!("and {} more deletes", 450 - shown)), "{page}");
    }
}
