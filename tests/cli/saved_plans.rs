//! Saved plans: shown anywhere, told apart from what has moved since, rebased, partial, rehearsed.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{accounts, actions, database, expect_with, keys, mode, revision, rules, run_with, shown, state};
use crate::support::{Run, World};

const CLEAR: &str = "Kanarie-first-7Qx2";
const OTHER: &str = "Kanarie-second-9Zt4";
const ENV: &[(&str, &str)] = &[("PW", CLEAR), ("PW2", CLEAR), ("TZ", "UTC")];

const BEFORE: &str = "accounts:
  a: { comment: one, incoming.password: { env: PW } }
  b: { comment: two }
  c: { comment: three }
";
const AFTER: &str = "accounts:
  a: { comment: eins, incoming.password: { env: PW } }
  b: { comment: two }
  d: { label: new, incoming.password: { env: PW2 } }
";

/// A store, files that say something else, and a plan of it in `plan.json`: one overwrite, one add, one delete.
fn approved() -> World {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100 }\n");
    world.write("a.yaml", BEFORE);
    world.write("b.csv", "user,name,address\ntaro,p,t@x.jp\n");
    expect_with(&world, 0, ENV, &["apply", "--yes"]);
    world.write("a.yaml", AFTER);
    expect_with(&world, 0, ENV, &["plan", "--out", "plan.json"]);
    world
}

/// Another project on the same store.
pub fn sharing(world: &World, name: &str) -> World {
    let other = World::new();
    let store = world.file("yubin.db").display().to_string();
    other.write("yubin.yaml", format!("version: 1\nname: {name}\nstore: sqlite:{store}\n"));
    other
}

/// Another project adds or changes this account of its own.
fn others_apply(world: &World, actor: &str, yaml: &str) {
    let other = sharing(world, "branch");
    other.write("b.yaml", yaml);
    expect_with(&other, 0, &[("YUBIN_ACTOR", actor)], &["apply", "--yes"]);
}

pub fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.file(name)).unwrap()
}

pub fn document(world: &World, name: &str) -> Json {
    serde_json::from_str(&read(world, name)).unwrap()
}

/// Every file below the folder with its bytes.
pub fn bytes(world: &World) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(top, &path, found);
            } else {
                let name = path.strip_prefix(top).unwrap().to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(world.path(), world.path(), &mut found);
    found
}

/// All that a run says.
pub fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

/// What this project owns in the store.
fn owned(world: &World) -> Vec<Json> {
    let all = state(world).as_array().unwrap().clone();
    all.into_iter().filter(|one| one["owner"] == "head-office").collect()
}

fn edit(world: &World, name: &str, from: &str, to: &str) {
    let text = read(world, name);
    assert!(text.contains(from), "{name} has no `{from}`");
    world.write(name, text.replace(from, to));
}

fn sql(world: &World, statements: &str) {
    database(world).execute_batch(statements).unwrap();
}

// --- Shown --------------------------------------------------------------------------------

#[test]
fn a_saved_plan_is_shown_where_nothing_of_its_project_is() {
    let world = approved();
    let elsewhere = World::new();
    elsewhere.write("review/saved.json", read(&world, "plan.json"));
    let digest = document(&world, "plan.json")["digest"].as_str().unwrap().to_owned();
    for format in ["text", "markdown", "html", "json"] {
        let there = elsewhere.expect(0, &["plan", "--show", "review/saved.json", "--format", format]).stdout;
        assert!(there.contains(&digest) && there.contains("account/d") && there.contains("eins"), "{format}: {there}");
        if format == "json" {
            assert_eq!(there, read(&world, "plan.json"), "byte for byte");
        } else {
            // What is approved is what the planner saw.
            let here = expect_with(&world, 0, ENV, &["plan", "--format", format]).stdout;
            assert_eq!(there, here, "{format}");
        }
    }
    let variables = [("YUBIN_STORE", "sqlite:nowhere.db"), ("YUBIN_KEY_FILE", "no-such-key")];
    expect_with(&elsewhere, 0, &variables, &["plan", "--show", "review/saved.json"]);
    assert_eq!(bytes(&elsewhere).into_keys().collect::<Vec<_>>(), ["review/saved.json"]);
}

/// Neither the store nor the files nor the secrets are looked at, even if they are there.
#[test]
fn a_saved_plan_is_shown_as_it_was_made() {
    let world = approved();
    let first = world.expect(0, &["plan", "--show", "plan.json"]).stdout;
    world.remove("yubin.db");
    world.remove("yubin.db.key");
    world.write("a.yaml", "accounts: { a: { capacity: many } }\n");
    assert_eq!(world.expect(0, &["plan", "--show", "plan.json"]).stdout, first);
    world.write("yubin.yaml", "nonsense: [");
    assert_eq!(world.expect(0, &["plan", "--show", "plan.json"]).stdout, first);
    assert!(!world.file("yubin.db").exists() && !world.file("yubin.db.key").exists());
}

#[test]
fn what_json_out_wrote_is_shown_too() {
    let world = approved();
    expect_with(&world, 0, ENV, &["plan", "--json-out", "beside.json"]);
    assert_eq!(
        world.expect(0, &["plan", "--show", "beside.json", "--format", "json"]).stdout,
        read(&world, "beside.json")
    );
    let text = world.expect(0, &["plan", "--show", "beside.json"]).stdout;
    assert_eq!(text, world.expect(0, &["plan", "--show", "plan.json"]).stdout);
}

/// What no plan is, is refused; what is newer than this yubin is not guessed at.
#[test]
fn only_plans_of_a_known_format_are_shown() {
    let world = approved();
    let text = read(&world, "plan.json");
    let show = world.expect(0, &["show", "--format", "json"]).stdout;
    let receipt =
        "{\"format_version\":1,\"revision\":1,\"digest\":\"x\",\"summary\":{},\"effects\":[],\"diagnostics\":[]}";
    for (what, text, code) in [
        ("nothing", String::new(), 4),
        ("no JSON", "not a plan".to_owned(), 4),
        ("no object", "[]".to_owned(), 4),
        ("an empty object", "{}".to_owned(), 4),
        ("cut off", text[..text.len() / 2].to_owned(), 4),
        ("two documents", text.clone() + &text, 4),
        ("what check prints", "{\"format_version\":1,\"diagnostics\":[]}".to_owned(), 4),
        ("what show prints", show, 4),
        ("what apply prints", receipt.to_owned(), 4),
        ("a newer format", text.replacen("\"format_version\":1", "\"format_version\":2", 1), 5),
        ("a newer format of which nothing is known", "{\"format_version\":2,\"plan\":{}}".to_owned(), 5),
    ] {
        world.write("file.json", text);
        for format in ["text", "json", "html", "markdown"] {
            let run = run_with(&world, ENV, &["plan", "--show", "file.json", "--format", format]);
            assert_eq!(run.code, code, "{what}, {format}: {}", said(&run));
            assert!(run.stdout.is_empty() && run.stderr.contains("file.json"), "{what}: {}", said(&run));
            assert!(code == 4 || run.stderr.contains('2'), "{}", run.stderr);
        }
    }
    world.expect(1, &["plan", "--show", "no-such-file.json"]);
}

/// The digest covers the changes: who reviews must not see others than were planned.
#[test]
fn an_altered_plan_is_not_shown_as_if_it_were_whole() {
    let world = approved();
    let text = read(&world, "plan.json");
    let plan = document(&world, "plan.json");
    let mut without = plan.clone();
    without["changes"].as_array_mut().unwrap().pop();
    for (what, altered) in [
        ("a value", text.replace("\"eins\"", "\"evil\"")),
        ("an address", text.replace("account/d", "account/e")),
        ("a change is gone", without.to_string()),
        ("the digest", text.replace(plan["digest"].as_str().unwrap(), &"0".repeat(64))),
    ] {
        assert_ne!(altered, text, "{what}");
        world.write("altered.json", altered);
        let run = world.run(&["plan", "--show", "altered.json"]);
        assert_eq!(run.code, 4, "{what}: {}", said(&run));
    }
}

// --- What is saved ------------------------------------------------------------------------

#[test]
fn a_saved_plan_names_the_files_that_it_was_made_of() {
    let world = approved();
    world.write("README.md", "no source");
    expect_with(&world, 0, ENV, &["plan", "--out", "plan.json"]);
    assert_eq!(mode(&world, "plan.json"), 0o600);
    let files = |name: &str| -> BTreeMap<String, String> {
        let text = |json: &Json| json.as_str().unwrap().to_owned();
        let plan = document(&world, name);
        let files = plan["files"].as_array().unwrap();
        assert!(files.iter().all(|one| keys(one) == ["file", "digest"]), "{files:?}");
        files.iter().map(|one| (text(&one["file"]), text(&one["digest"]))).collect()
    };
    let first = files("plan.json");
    assert_eq!(first.keys().collect::<Vec<_>>(), ["a.yaml", "b.csv", "yubin.yaml"]);
    edit(&world, "a.yaml", "eins", "uno");
    expect_with(&world, 0, ENV, &["plan", "--out", "second.json"]);
    let second = files("second.json");
    assert_ne!(first["a.yaml"], second["a.yaml"]);
    assert_eq!((&first["b.csv"], &first["yubin.yaml"]), (&second["b.csv"], &second["yubin.yaml"]));
    let text = read(&world, "plan.json") + &read(&world, "second.json");
    assert!(!text.contains(CLEAR), "{text}");
}

/// The keys that came later are as closed as the others.
#[test]
fn no_key_of_a_plan_file_can_be_altered() {
    let world = approved();
    expect_with(&world, 0, ENV, &["plan", "--target", "account/a", "--out", "partial.json"]);
    let before = bytes(&world);
    let alter = |name: &str, change: &dyn Fn(&mut Json)| {
        let plan = document(&world, name);
        let mut altered = plan.clone();
        change(&mut altered);
        assert_ne!(altered, plan);
        altered.to_string()
    };
    let zeros = "0".repeat(64);
    for (what, text) in [
        ("the digest of a file", alter("plan.json", &|plan| plan["files"][0]["digest"] = json!(zeros))),
        ("the name of a file", alter("plan.json", &|plan| plan["files"][0]["file"] = json!("z.yaml"))),
        ("a file is gone", alter("plan.json", &|plan| drop(plan["files"].as_array_mut().unwrap().pop()))),
        ("drift", alter("plan.json", &|plan| plan["drift"] = json!([{ "address": "account/b", "field": "label" }]))),
        (
            "a plan that is partial",
            alter("partial.json", &|plan| drop(plan.as_object_mut().unwrap().remove("partial"))),
        ),
        ("its target", alter("partial.json", &|plan| plan["partial"]["target"] = json!(["account/b"]))),
        (
            "a plan that is whole",
            alter("plan.json", &|plan| plan["partial"] = json!({ "target": ["account/a"], "exclude": [] })),
        ),
    ] {
        world.write("altered.json", text);
        for more in [&[][..], &["--yes"]] {
            let run = run_with(&world, ENV, &[&["apply", "altered.json"], more].concat());
            assert_eq!(run.code, 4, "{what} {more:?}: {}", said(&run));
        }
        world.remove("altered.json");
        assert_eq!(bytes(&world), before, "{what}");
    }
}

// --- Old ----------------------------------------------------------------------------------

#[test]
fn an_old_plan_names_each_revision_since_with_its_actor_time_and_counts() {
    let world = approved();
    others_apply(&world, "alice@example.jp", "accounts: { x: {}, y: {} }\n");
    others_apply(&world, "bob", "accounts: { x: { comment: new }, y: {} }\n");
    let log = world.json(0, &["log"]);
    let before = state(&world);
    let run = expect_with(&world, 5, ENV, &["apply", "plan.json"]);
    for (entry, number, actor, counts) in [(1, "2", "alice@example.jp", "2 add"), (0, "3", "bob", "1 overwrite")] {
        let line = run.stderr.lines().find(|line| line.contains(actor));
        let line = line.unwrap_or_else(|| panic!("{actor} is not named: {}", said(&run)));
        let date = &log["revisions"][entry]["at"].as_str().unwrap()[..10];
        for word in [number, date, "branch", counts] {
            assert!(line.contains(word), "`{word}` is missing: {line}");
        }
    }
    // The plan was made from revision 1, which is not news.
    assert!(!run.stderr.contains("tester"), "{}", run.stderr);
    assert_eq!((state(&world), revision(&world)), (before, 3));
}

#[test]
fn an_old_plan_names_the_files_that_differ() {
    type Edit = (&'static str, fn(&World), &'static [&'static str]);
    let edits: [Edit; 5] = [
        ("edited", |world| edit(world, "a.yaml", "eins", "uno"), &["a.yaml"]),
        ("gone", |world| world.remove("b.csv"), &["b.csv"]),
        ("new", |world| world.write("c.yaml", "# nothing\n"), &["c.yaml"]),
        (
            "moved",
            |world| {
                world.write("c.csv", read(world, "b.csv"));
                world.remove("b.csv");
            },
            &["b.csv", "c.csv"],
        ),
        ("policy", |world| edit(world, "yubin.yaml", "100", "99"), &["yubin.yaml"]),
    ];
    for (what, change, named) in edits {
        let world = approved();
        change(&world);
        let run = expect_with(&world, 5, ENV, &["apply", "plan.json"]);
        for file in ["a.yaml", "b.csv", "c.yaml", "c.csv", "yubin.yaml"] {
            assert_eq!(run.stderr.contains(file), named.contains(&file), "{what}: {file}: {}", run.stderr);
        }
        assert_eq!(revision(&world), 1, "{what}");
    }
}

/// All that has moved is told at once, not one thing after the other.
#[test]
fn an_old_plan_tells_everything_that_moved() {
    let world = approved();
    others_apply(&world, "alice", "accounts: { x: {} }\n");
    edit(&world, "a.yaml", "eins", "uno");
    sql(&world, "UPDATE account SET label = 'meanwhile' WHERE name = 'b'");
    let run = expect_with(&world, 5, ENV, &["apply", "plan.json"]);
    for word in ["alice", "a.yaml", "other software"] {
        assert!(run.stderr.contains(word), "`{word}` is missing: {}", run.stderr);
    }
}

#[test]
fn a_plan_applies_once_rebased_or_not() {
    let world = approved();
    expect_with(&world, 0, ENV, &["apply", "plan.json"]);
    let after = state(&world);
    for more in [&[][..], &["--yes"], &["--rebase"], &["--rebase", "--yes"]] {
        let run = expect_with(&world, 5, ENV, &[&["apply", "plan.json"], more].concat());
        assert!(said(&run).contains("tester") || more.contains(&"--rebase"), "{more:?}: {}", said(&run));
    }
    assert_eq!((state(&world), revision(&world)), (after, 2));
}

// --- Rebased ------------------------------------------------------------------------------

type Move = (&'static str, fn(&World));

/// What moves the store or the files, and leaves what the plan does as it is.
const HARMLESS: &[Move] = &[
    ("nothing", |_| {}),
    ("a revision", |world| others_apply(world, "alice", "accounts: { x: {} }\n")),
    ("two revisions", |world| {
        others_apply(world, "alice", "accounts: { x: {} }\n");
        others_apply(world, "bob", "accounts: { x: { comment: y } }\n");
    }),
    ("a comment", |world| world.write("a.yaml", format!("# why\n\n{AFTER}"))),
    ("a file that declares nothing", |world| world.write("c.yaml", "# nothing\n")),
    ("a resource in another file", |world| {
        let line = "  d: { label: new, incoming.password: { env: PW2 } }\n";
        edit(world, "a.yaml", line, "");
        world.write("z.yaml", format!("accounts:\n{line}"));
    }),
    ("a limit that the plan is far from", |world| edit(world, "yubin.yaml", "100", "99")),
    ("a stranger in the store", |world| sql(world, "INSERT INTO account (name) VALUES ('stranger')")),
    ("a revision and a file", |world| {
        others_apply(world, "alice", "accounts: { x: {} }\n");
        world.write("a.yaml", format!("{AFTER}# later\n"));
    }),
];

#[test]
fn a_rebase_goes_on_while_the_changes_are_the_same() {
    let wanted = {
        let world = approved();
        expect_with(&world, 0, ENV, &["apply", "plan.json"]);
        owned(&world)
    };
    for (what, moved) in HARMLESS {
        let world = approved();
        moved(&world);
        let before = revision(&world);
        if *what != "nothing" {
            expect_with(&world, 5, ENV, &["apply", "plan.json"]);
        }
        let run = run_with(&world, ENV, &["apply", "plan.json", "--rebase"]);
        assert_eq!(run.code, 0, "{what}: {}", said(&run));
        assert_eq!(owned(&world), wanted, "{what}");
        assert_eq!(revision(&world), before + 1, "{what}");
        expect_with(&world, 0, ENV, &["plan", "--exit-code"]);
    }
}

/// What moved, how, and what must be said of it.
type Harm = (&'static str, fn(&World), &'static [&'static str]);

/// What changes what the plan does.
const HARMFUL: &[Harm] = &[
    ("another value", |world| edit(world, "a.yaml", "eins", "uno"), &["account/a", "uno"]),
    ("one more field", |world| edit(world, "a.yaml", "two", "two, label: more"), &["account/b", "label"]),
    ("one more resource", |world| world.write("c.yaml", "accounts: { extra: {} }\n"), &["account/extra"]),
    ("one change less", |world| edit(world, "a.yaml", "  d:", "  c: { comment: three }\n  d:"), &["account/c"]),
    (
        "a delete instead of an overwrite",
        |world| edit(world, "a.yaml", "{ comment: eins,", "{ absent: true } #"),
        &["account/a"],
    ),
    (
        "the value before",
        |world| sql(world, "UPDATE account SET comment = 'meanwhile' WHERE name = 'a'"),
        &["account/a", "meanwhile"],
    ),
    ("it is there already", |world| sql(world, "UPDATE account SET comment = 'eins' WHERE name = 'a'"), &["account/a"]),
    ("it is gone already", |world| sql(world, "DELETE FROM account WHERE name = 'c'"), &["account/c"]),
];

#[test]
fn a_rebase_stops_at_any_other_change_and_shows_it() {
    for (what, moved, words) in HARMFUL {
        for also in [&[][..], &["--yes"]] {
            let world = approved();
            moved(&world);
            // The revision moves as well: that alone is no reason.
            others_apply(&world, "alice", "accounts: { x: {} }\n");
            let before = (state(&world), revision(&world));
            let run = run_with(&world, ENV, &[&["apply", "plan.json", "--rebase"], also].concat());
            assert_eq!(run.code, 5, "{what}: {}", said(&run));
            for word in *words {
                assert!(said(&run).contains(word), "{what}: `{word}` is missing: {}", said(&run));
            }
            // What is the same is not the difference.
            assert!(!said(&run).contains("pattern/taro/p"), "{what}: {}", said(&run));
            assert_eq!((state(&world), revision(&world)), before, "{what}");
        }
    }
}

/// Both plans say `set`; what would be set is not what was approved.
#[test]
fn a_rebase_stops_at_another_secret() {
    for (variables, address) in
        [([("PW", CLEAR), ("PW2", OTHER)], "account/d"), ([("PW", OTHER), ("PW2", CLEAR)], "account/a")]
    {
        let world = approved();
        others_apply(&world, "alice", "accounts: { x: {} }\n");
        let run = expect_with(&world, 5, &variables, &["apply", "plan.json", "--rebase"]);
        assert!(said(&run).contains("secret") || said(&run).contains(address), "{}", said(&run));
        assert!(!said(&run).contains("Kanarie"), "{}", said(&run));
        assert_eq!(revision(&world), 2);
        // With what was approved, it goes.
        expect_with(&world, 0, ENV, &["apply", "plan.json", "--rebase"]);
        assert_eq!(shown(&world, "account/a")["comment"], "eins");
    }
}

/// What was consented to is the saved plan, whatever the digest of the fresh one.
#[test]
fn the_digest_of_the_saved_plan_is_consent_to_its_rebase() {
    let world = World::project("generic", "policy: { max_deletes: 1 }\n");
    world.write("a.yaml", accounts(0..4, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true }, a002: {} }\n");
    world.expect(4, &["plan", "--out", "plan.json"]);
    let digest = document(&world, "plan.json")["digest"].as_str().unwrap().to_owned();
    others_apply(&world, "alice", "accounts: { x: {} }\n");
    let wrong = "0".repeat(64);
    for more in [&[][..], &["--yes"], &["--ack", &wrong], &["--ack", &digest[..8]]] {
        let run = world.run(&[&["apply", "plan.json", "--rebase"], more].concat());
        assert_eq!(run.code, 4, "{more:?}: {}", said(&run));
    }
    // Without the rebase it is as old as before.
    world.expect(5, &["apply", "plan.json", "--ack", &digest]);
    assert_eq!(revision(&world), 2);
    world.expect(0, &["apply", "plan.json", "--rebase", "--ack", &digest]);
    assert_eq!(revision(&world), 3);
    world.expect(1, &["show", "account/a000"]);
}

#[test]
fn a_consent_does_not_stretch_to_another_plan_by_a_rebase() {
    let world = World::project("generic", "policy: { max_deletes: 1 }\n");
    world.write("a.yaml", accounts(0..5, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: { absent: true }, a002: {} }\n");
    world.expect(4, &["plan", "--out", "plan.json"]);
    let digest = document(&world, "plan.json")["digest"].as_str().unwrap().to_owned();
    edit(&world, "a.yaml", "a002: {}", "a002: { absent: true }");
    let run = world.run(&["apply", "plan.json", "--rebase", "--yes", "--ack", &digest]);
    assert_eq!(run.code, 5, "{}", said(&run));
    assert!(said(&run).contains("account/a002"), "{}", said(&run));
    assert_eq!(revision(&world), 1);
}

#[test]
fn a_plan_without_secrets_is_rebased_with_them() {
    let skipped = || {
        let world = approved();
        world.expect(0, &["plan", "--secrets=skip", "--out", "skip.json"]);
        others_apply(&world, "alice", "accounts: { x: {} }\n");
        world
    };
    let world = skipped();
    expect_with(&world, 5, ENV, &["apply", "skip.json"]);
    world.expect(3, &["apply", "skip.json", "--rebase"]);
    assert_eq!(revision(&world), 2);
    expect_with(&world, 0, ENV, &["apply", "skip.json", "--rebase"]);
    assert_eq!(revision(&world), 3);
    expect_with(&world, 0, ENV, &["plan", "--exit-code"]);
    // A secret was unknown, and may be any; another change was not.
    let world = skipped();
    let other = [("PW", OTHER), ("PW2", OTHER)];
    expect_with(&world, 0, &other, &["apply", "skip.json", "--rebase"]);
    let world = skipped();
    world.write("c.yaml", "accounts: { extra: {} }\n");
    let run = expect_with(&world, 5, ENV, &["apply", "skip.json", "--rebase"]);
    assert!(said(&run).contains("account/extra"), "{}", said(&run));
}

#[test]
fn only_a_file_is_rebased() {
    let world = approved();
    for args in
        [&["apply", "--rebase"][..], &["apply", "--rebase", "--yes"], &["plan", "--rebase"], &["plan", "--show"]]
    {
        assert!(expect_with(&world, 64, ENV, args).stdout.is_empty(), "{args:?}");
    }
    world.write("altered.json", read(&world, "plan.json").replace("\"eins\"", "\"evil\""));
    expect_with(&world, 4, ENV, &["apply", "altered.json", "--rebase"]);
    expect_with(&world, 1, ENV, &["apply", "no-such-file.json", "--rebase"]);
    assert_eq!(revision(&world), 1);
}

// --- Partial ------------------------------------------------------------------------------

/// Of everything a change: accounts `a`, `ab`, `b` and `gone`, and patterns of two users.
fn manifold() -> World {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100 }\n");
    let yaml = |word: &str, gone: &str| {
        format!(
            "accounts:
  a: {{ comment: {word} }}
  ab: {{ comment: {word} }}
  b: {{ comment: {word} }}
{gone}patterns:
  taro: {{ p: {{ organization: {word} }}, q: {{ organization: {word} }} }}
  hana: {{ p: {{ organization: {word} }} }}
"
        )
    };
    world.write("a.yaml", yaml("x", "  gone: {}\n"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", yaml("y", ""));
    world
}

#[test]
fn a_saved_partial_plan_applies_its_part_alone() {
    let all = actions(&manifold().json(0, &["plan"]));
    assert_eq!(all.len(), 7);
    for (options, expected) in [
        (&["--target", "account/a"][..], &["overwrite account/a"][..]),
        (&["--target", "account/a*"], &["overwrite account/a", "overwrite account/ab"]),
        (&["--target", "account/gone"], &["delete account/gone"]),
        (&["--target", "pattern/taro"], &["overwrite pattern/taro/p", "overwrite pattern/taro/q"]),
        (&["--target", "pattern/*/p"], &["overwrite pattern/hana/p", "overwrite pattern/taro/p"]),
        (&["--target", "account/a", "--target", "account/b"], &["overwrite account/a", "overwrite account/b"]),
        (&["--target", "account/*", "--exclude", "account/a*"], &["overwrite account/b", "delete account/gone"]),
        (&["--exclude", "account/*", "--exclude", "pattern/taro"], &["overwrite pattern/hana/p"]),
    ] {
        let world = manifold();
        let before = state(&world);
        world.expect(0, &[&["plan", "--out", "plan.json"], options].concat());
        let plan = document(&world, "plan.json");
        let values = |name: &str| -> Vec<&str> {
            options.chunks(2).filter(|pair| pair[0] == name).map(|pair| pair[1]).collect()
        };
        assert_eq!(plan["partial"], json!({ "target": values("--target"), "exclude": values("--exclude") }));
        assert_eq!(actions(&plan), expected, "{options:?}");
        let text = world.expect(0, &["plan", "--show", "plan.json"]).stdout;
        assert!(text.contains("Partial plan"), "{options:?}: {text}");
        world.expect(0, &["apply", "plan.json"]);
        assert_ne!(state(&world), before);
        let rest = actions(&world.json(0, &["plan"]));
        let left: Vec<&String> = all.iter().filter(|one| !expected.contains(&one.as_str())).collect();
        assert_eq!(rest.iter().collect::<Vec<_>>(), left, "{options:?}");
        world.expect(5, &["apply", "plan.json"]);
    }
    let plan = manifold().json(0, &["plan"]);
    assert!(plan.get("partial").is_none(), "a whole plan is not partial: {plan}");
}

#[test]
fn a_partial_plan_is_rebased_within_its_part() {
    for (from, to, code) in [
        ("b: { comment: y }", "b: { comment: z }", 0),
        ("a: { comment: y }", "a: { comment: z }", 5),
        ("ab: { comment: y }", "ab: { comment: y, label: l }", 5),
    ] {
        let world = manifold();
        world.expect(0, &["plan", "--target", "account/a*", "--out", "plan.json"]);
        edit(&world, "a.yaml", &format!("  {from}"), &format!("  {to}"));
        world.expect(5, &["apply", "plan.json"]);
        let run = world.run(&["apply", "plan.json", "--rebase"]);
        assert_eq!(run.code, code, "{to}: {}", said(&run));
        assert_eq!(shown(&world, "account/b")["comment"], "x", "{to}");
        assert_eq!(shown(&world, "account/a")["comment"], if code == 0 { "y" } else { "x" }, "{to}");
    }
}

#[test]
fn a_glob_that_matches_nothing_is_wrong_usage() {
    let world = manifold();
    for args in [
        &["plan", "--target", "account/zzz"][..],
        &["plan", "--target", "server/*"],
        &["plan", "--target", "account/a", "--target", "pattern/nobody"],
        &["plan", "--exclude", "account/zzz*"],
        &["apply", "--yes", "--target", "acount/a"],
        &["plan", "--target", "["],
    ] {
        assert!(world.expect(64, args).stdout.is_empty(), "{args:?}");
    }
    assert_eq!(revision(&world), 1);
}

// --- Rehearsed ----------------------------------------------------------------------------

#[test]
fn a_rehearsal_leaves_every_byte_as_it_was() {
    let world = approved();
    let before = bytes(&world);
    let plan = expect_with(&world, 0, ENV, &["plan"]);
    let run = expect_with(&world, 0, ENV, &["plan", "--rehearse"]);
    assert_eq!(run.stdout, plan.stdout);
    assert!(run.stderr.to_lowercase().contains("rehears"), "it does not say so: {}", run.stderr);
    assert!(!plan.stderr.to_lowercase().contains("rehears"), "{}", plan.stderr);
    expect_with(&world, 2, ENV, &["plan", "--rehearse", "--exit-code"]);
    expect_with(&world, 0, ENV, &["plan", "--rehearse", "--format", "json"]);
    assert_eq!(bytes(&world), before);
    // The saved plan has not lapsed by it.
    expect_with(&world, 0, ENV, &["apply", "plan.json"]);
}

#[test]
fn a_rehearsal_of_a_new_store_makes_none() {
    let world = World::project("generic", "");
    world.write("a.yaml", BEFORE);
    let before = bytes(&world);
    let run = expect_with(&world, 0, ENV, &["plan", "--rehearse"]);
    assert!(run.stderr.to_lowercase().contains("rehears"), "{}", run.stderr);
    assert_eq!(
        actions(
            &serde_json::from_str(&expect_with(&world, 0, ENV, &["plan", "--rehearse", "--format", "json"]).stdout)
                .unwrap()
        )
        .len(),
        3
    );
    assert_eq!(bytes(&world), before, "neither a store nor a key");
    expect_with(&world, 0, ENV, &["apply", "--yes"]);
}

#[test]
fn a_rehearsal_of_nothing_and_of_a_refused_plan_writes_nothing() {
    let world = World::project("generic", "policy: { max_deletes: 0 }\n");
    world.write("a.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    let before = bytes(&world);
    world.expect(0, &["plan", "--rehearse", "--exit-code"]);
    assert_eq!(bytes(&world), before);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: {} }\n");
    let before = bytes(&world);
    let plan = world.json(4, &["plan", "--rehearse"]);
    assert_eq!(rules(&plan), ["max_deletes"]);
    assert_eq!(bytes(&world), before);
}

/// Triggers of other software that tamper with what is written: which resource is not as predicted then.
const TAMPER: &[(&str, &str, &str)] = &[
    (
        "what is added",
        "AFTER INSERT ON account BEGIN UPDATE account SET label = 'x' WHERE name = NEW.name AND name = 'd'; END",
        "account/d",
    ),
    (
        "another row",
        "AFTER INSERT ON account WHEN NEW.name = 'd' BEGIN UPDATE account SET comment = 'x' WHERE name = 'b'; END",
        "account/b",
    ),
    (
        "another kind",
        "AFTER INSERT ON account WHEN NEW.name = 'd' BEGIN UPDATE pattern SET organization = 'x'; END",
        "pattern/taro/p",
    ),
    (
        "the owner",
        "AFTER INSERT ON account WHEN NEW.name = 'd' BEGIN UPDATE account SET yubin_owner = 'evil' WHERE name = 'd'; END",
        "account/d",
    ),
    (
        "what is added is gone",
        "AFTER INSERT ON account WHEN NEW.name = 'd' BEGIN DELETE FROM account WHERE name = 'd'; END",
        "account/d",
    ),
    (
        "what is deleted is back",
        "AFTER DELETE ON account WHEN OLD.name = 'c' BEGIN INSERT INTO account (name) VALUES ('c'); END",
        "account/c",
    ),
    (
        "one more",
        "AFTER INSERT ON account WHEN NEW.name = 'd' BEGIN INSERT INTO pattern (user, name) VALUES ('u', 'more'); END",
        "pattern/u/more",
    ),
    (
        "a secret",
        "AFTER INSERT ON account WHEN NEW.name = 'd' BEGIN UPDATE account SET incoming_password = NULL WHERE name = 'd'; END",
        "account/d",
    ),
];

#[test]
fn what_a_foreign_trigger_tampers_with_is_rolled_back() {
    for (what, trigger, address) in TAMPER {
        let world = approved();
        sql(&world, &format!("CREATE TRIGGER theirs {trigger}"));
        let before = bytes(&world);
        for args in [&["plan", "--rehearse"][..], &["plan", "--rehearse", "--format", "json"]] {
            let run = run_with(&world, ENV, args);
            assert_eq!(run.code, 1, "{what}: {}", said(&run));
            assert!(run.stderr.contains(address), "{what}: {}", said(&run));
            assert_eq!(bytes(&world), before, "{what}");
        }
        let (resources, log) = (state(&world), world.json(0, &["log"]));
        for args in [&["apply", "plan.json"][..], &["apply", "--yes"]] {
            let run = run_with(&world, ENV, args);
            assert_eq!(run.code, 1, "{what}: {args:?}: {}", said(&run));
            assert!(run.stderr.contains(address), "{what}: {}", said(&run));
            assert_eq!((state(&world), revision(&world)), (resources.clone(), 1), "{what}");
            assert_eq!(world.json(0, &["log"]), log, "{what}");
        }
        // With the trigger gone, the same plan goes.
        sql(&world, "DROP TRIGGER theirs");
        expect_with(&world, 0, ENV, &["apply", "plan.json"]);
    }
}

/// An overwrite may be written in more than one way; whichever it is, what is there afterwards counts.
#[test]
fn what_a_foreign_trigger_does_to_an_overwrite_is_rolled_back() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..2, "x"));
    world.expect(0, &["apply", "--yes"]);
    let body = "ON account WHEN NEW.comment = 'y' AND NEW.label IS NULL BEGIN UPDATE account SET label = 'evil' WHERE name = NEW.name; END";
    sql(&world, &format!("CREATE TRIGGER one AFTER INSERT {body}; CREATE TRIGGER two AFTER UPDATE {body}"));
    world.write("a.yaml", accounts(0..2, "y"));
    let before = state(&world);
    assert_eq!(world.run(&["plan", "--rehearse"]).code, 1);
    assert_eq!(world.run(&["apply", "--yes"]).code, 1);
    assert_eq!((state(&world), revision(&world)), (before, 1));
}

/// It is what is written that counts, not that there is a trigger.
#[test]
fn a_trigger_that_changes_nothing_of_the_state_is_no_obstacle() {
    let world = approved();
    sql(
        &world,
        "CREATE TABLE theirs (name TEXT);
         CREATE TRIGGER audit AFTER INSERT ON account BEGIN INSERT INTO theirs VALUES (NEW.name); END;
         CREATE TRIGGER same AFTER INSERT ON account BEGIN UPDATE account SET comment = comment WHERE name = NEW.name; END",
    );
    expect_with(&world, 0, ENV, &["plan", "--rehearse"]);
    let rehearsed: i64 = database(&world).query_row("SELECT count(*) FROM theirs", [], |row| row.get(0)).unwrap();
    assert_eq!(rehearsed, 0, "a rehearsal leaves nothing in tables of other software either");
    expect_with(&world, 0, ENV, &["apply", "plan.json"]);
    assert_eq!(shown(&world, "account/d")["label"], "new");
}
