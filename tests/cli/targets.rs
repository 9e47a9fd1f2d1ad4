//! `--target` and `--exclude`: a plan of some addresses.

use serde_json::{Value as Json, json};

use super::products::cpi::effects;
use super::{accounts, actions, database, revision, rules, state};
use crate::support::World;

/// What comes next has another value in each of these, `new` in the place of `left`.
const FIRST: &str = "servers: { hq: { incoming: { host: one.jp } } }
accounts: { a1: { comment: one }, a2: { comment: one }, b: { comment: one }, left: { comment: one } }
patterns:
  taro: { p1: { organization: one }, p2: { organization: one } }
  taro2: { p1: { organization: one } }
";

const ACCOUNTS: &[&str] = &["account/a1", "account/a2", "account/b", "account/left", "account/new"];
const PATTERNS: &[&str] = &["pattern/taro/p1", "pattern/taro/p2", "pattern/taro2/p1"];
const OTHERS: &[&str] = &["pattern/taro/p1", "pattern/taro/p2", "pattern/taro2/p1", "server/hq"];

/// All that a plan from `FIRST` to what comes next touches.
fn everything() -> Vec<&'static str> {
    [ACCOUNTS, OTHERS].concat()
}

/// A project that has applied `FIRST` and declares what comes next.
fn pending() -> World {
    let world = World::project("generic", "policy: { undeclared: delete }\n");
    world.write("a.yaml", FIRST);
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", FIRST.replace("one", "two").replace("left: {", "new: {"));
    world
}

/// The flags of a row: words that begin with `-` are excluded, the others are targets.
fn flags(words: &[&'static str]) -> Vec<&'static str> {
    words
        .iter()
        .flat_map(|word| word.strip_prefix('-').map_or(["--target", *word], |glob| ["--exclude", glob]))
        .collect()
}

/// The addresses of all changes of a plan, sorted.
fn addresses(plan: &Json) -> Vec<String> {
    let mut all: Vec<String> = actions(plan).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    all.sort();
    all
}

#[test]
fn a_partial_plan_holds_what_its_globs_name_and_its_apply_does_that() {
    type Row = (&'static [&'static str], &'static [&'static str]);
    const TABLE: &[Row] = &[
        (&["account/a1"], &["account/a1"]),
        (&["account/a*"], &["account/a1", "account/a2"]),
        (&["account/a?"], &["account/a1", "account/a2"]),
        (&["account/left"], &["account/left"]),
        (&["account/new"], &["account/new"]),
        (&["account/a1", "server/hq"], &["account/a1", "server/hq"]),
        // The upper part of an address covers all that is below it.
        (&["account"], ACCOUNTS),
        (&["account/*"], ACCOUNTS),
        (&["pattern/taro"], &["pattern/taro/p1", "pattern/taro/p2"]),
        (&["pattern/taro/*"], &["pattern/taro/p1", "pattern/taro/p2"]),
        (&["pattern/*"], PATTERNS),
        (&["pattern/*/p1"], &["pattern/taro/p1", "pattern/taro2/p1"]),
        // A star does not cross a stroke.
        (&["*/hq"], &["server/hq"]),
        (&["-account"], OTHERS),
        (&["-account", "-pattern/taro"], &["pattern/taro2/p1", "server/hq"]),
        (&["-account/a*"], &[ACCOUNTS[2], ACCOUNTS[3], ACCOUNTS[4], OTHERS[0], OTHERS[1], OTHERS[2], OTHERS[3]]),
        (&["-pattern/*/p1", "-server", "-account"], &["pattern/taro/p2"]),
        // What is excluded is out, whatever names it.
        (&["account", "-account/a*"], &["account/b", "account/left", "account/new"]),
        (&["account/a1", "-account/a1"], &[]),
    ];
    let world = pending();
    assert_eq!(addresses(&world.json(0, &["plan"])), everything());
    for &(globs, expected) in TABLE {
        let flags = flags(globs);
        let plan =
            world.json(if expected.is_empty() { 0 } else { 2 }, &[&["plan", "--exit-code"], &flags[..]].concat());
        assert_eq!(addresses(&plan), expected, "{globs:?}");
        assert_eq!(rules(&plan), [""; 0], "{globs:?}");
        // Done on a copy, it leaves the rest to do, and nothing else.
        let copy = World::copy_of(world.path());
        copy.expect(0, &[&["apply", "--yes"], &flags[..]].concat());
        let mut rest = everything();
        rest.retain(|one| !expected.contains(one));
        assert_eq!(addresses(&copy.json(0, &["plan"])), rest, "{globs:?}");
        copy.expect(0, &["apply", "--yes"]);
        copy.expect(0, &["plan", "--exit-code"]);
    }
}

#[test]
fn a_partial_plan_says_that_it_is_one() {
    let world = pending();
    assert_eq!(world.json(0, &["plan"]).get("partial"), None);
    assert!(!world.expect(0, &["plan"]).stdout.contains("Partial plan"));
    for (globs, partial) in [
        (&["account/a*"][..], json!({ "target": ["account/a*"], "exclude": [] })),
        (&["-account"], json!({ "target": [], "exclude": ["account"] })),
        (&["server", "account", "-account/b"], json!({ "target": ["server", "account"], "exclude": ["account/b"] })),
    ] {
        let flags = flags(globs);
        let plan = world.json(0, &[&["plan"], &flags[..]].concat());
        assert_eq!(plan["partial"], partial, "{globs:?}");
        let text = world.expect(0, &[&["plan"], &flags[..]].concat()).stdout;
        let line = text.lines().find(|line| line.contains("Partial plan")).unwrap_or_else(|| panic!("{text}"));
        assert!(globs.iter().all(|glob| line.contains(glob.trim_start_matches('-'))), "{globs:?}: {line}");
        assert!(line.contains("Partial plan: only") || globs[0].starts_with('-'), "{line}");
        let page = world.expect(0, &[&["plan", "--format", "markdown"], &flags[..]].concat()).stdout;
        assert!(page.contains("Partial plan"), "{page}");
    }
}

#[test]
fn a_glob_that_names_nothing_is_wrong_usage() {
    let world = pending();
    let before = state(&world);
    for glob in [
        "account/nobody",
        "account/A1",
        "acount/a1",
        "*/p1",
        "account/a1/x",
        "pattern/p1",
        "taro",
        "a1",
        "",
        "account/[",
    ] {
        for flag in ["--target", "--exclude"] {
            for command in [&["plan"][..], &["apply", "--yes"]] {
                let run = world.expect(64, &[command, &[flag, glob]].concat());
                assert!(run.stdout.is_empty() && run.stderr.contains(glob), "{flag} {glob}: {}", run.stderr);
            }
        }
        // Beside one that does, too.
        world.expect(64, &["plan", "--target", "account/a1", "--target", glob]);
    }
    assert_eq!(state(&world), before);
    // What only the files or only the store know is something.
    for glob in ["account/new", "account/left"] {
        world.expect(0, &["plan", "--target", glob]);
    }
}

#[test]
fn names_with_strokes_and_per_cents_are_named_as_in_addresses() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a/b: {}, 50%: {}, a: {} }\n");
    for (glob, expected) in [
        ("account/a%2Fb", &["account/a%2Fb"][..]),
        ("account/50%25", &["account/50%25"]),
        ("account/a", &["account/a"]),
        ("account/a*", &["account/a", "account/a%2Fb"]),
    ] {
        assert_eq!(addresses(&world.json(0, &["plan", "--target", glob])), expected, "{glob}");
    }
    world.expect(64, &["plan", "--target", "account/a/b"]);
}

#[test]
fn effects_are_those_of_the_part() {
    let world = pending();
    let plan = world.json(0, &["plan", "--target", "pattern/taro2", "--target", "account"]);
    assert_eq!(effects(&plan), ["logout pattern/taro2/p1"]);
    let receipt = world.json(0, &["apply", "--yes", "--exclude", "pattern"]);
    assert_eq!(effects(&receipt), [""; 0]);
    let logged: i64 =
        database(&world).query_row("SELECT count(*) FROM effect WHERE revision = 2", [], |row| row.get(0)).unwrap();
    assert_eq!(logged, 0);
}

/// A reference to a server that is only just declared would lead nowhere.
#[test]
fn a_target_brings_the_new_servers_that_it_refers_to() {
    let world = World::project("generic", "");
    world.write("a.yaml", "servers: { there: { incoming: { host: one.jp } } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write(
        "a.yaml",
        "servers: { there: { incoming: { port: 110 } }, new: { incoming: { host: n.jp } }, other: {} }
accounts: { a: { server: new }, b: { server: there }, c: {} }
patterns: { u: { p: { server: new }, q: { server: other } } }
",
    );
    for (globs, expected) in [
        (&["account/a"][..], &["account/a", "server/new"][..]),
        (&["account/b"], &["account/b"]),
        (&["account/c"], &["account/c"]),
        (&["account"], &["account/a", "account/b", "account/c", "server/new"]),
        (&["pattern/u"], &["pattern/u/p", "pattern/u/q", "server/new", "server/other"]),
        (&["server/there"], &["server/there"]),
    ] {
        let flags = flags(globs);
        assert_eq!(addresses(&world.json(0, &[&["plan"], &flags[..]].concat())), expected, "{globs:?}");
        let copy = World::copy_of(world.path());
        copy.expect(0, &[&["apply", "--yes"], &flags[..]].concat());
        let broken: i64 =
            database(&copy).query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(broken, 0, "{globs:?}");
        copy.expect(0, &["apply", "--yes"]);
        copy.expect(0, &["plan", "--exit-code"]);
    }
    // To leave out what is needed is no plan that could be applied, and nobody is told that it is one.
    let args = ["--target", "account/a", "--exclude", "server/new"];
    let planned = world.run(&[&["plan"][..], &args].concat()).code;
    let applied = world.run(&[&["apply", "--yes"][..], &args].concat()).code;
    assert_eq!(planned, applied);
    let broken: i64 =
        database(&world).query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);
}

#[test]
fn a_saved_partial_plan_applies_as_it_was_made() {
    let world = pending();
    let whole = world.json(0, &["plan"]);
    world.expect(0, &["plan", "--target", "account", "--exclude", "account/a1", "--out", "part.json"]);
    let saved: Json = serde_json::from_str(&std::fs::read_to_string(world.file("part.json")).unwrap()).unwrap();
    assert_eq!(saved["partial"], json!({ "target": ["account"], "exclude": ["account/a1"] }));
    assert_ne!(saved["digest"], whole["digest"]);
    // What it leaves out cannot be put in by whoever has the file.
    let mut altered = saved.clone();
    altered.as_object_mut().unwrap().remove("partial");
    world.write("altered.json", altered.to_string());
    world.expect(4, &["apply", "altered.json"]);
    altered["partial"] = json!({ "target": ["account"], "exclude": [] });
    world.write("altered.json", altered.to_string());
    world.expect(4, &["apply", "altered.json"]);
    assert_eq!(revision(&world), 1);
    let moved = World::copy_of(world.path());
    let receipt = world.json(0, &["apply", "part.json"]);
    assert_eq!(receipt["digest"], saved["digest"]);
    let rest = ["account/a1", "pattern/taro/p1", "pattern/taro/p2", "pattern/taro2/p1", "server/hq"];
    assert_eq!(addresses(&world.json(0, &["plan"])), rest);
    world.expect(5, &["apply", "part.json"]);
    // A byte of what it leaves out is still a byte of the configuration.
    let text = std::fs::read_to_string(moved.file("a.yaml")).unwrap();
    moved.write("a.yaml", text.replace("taro2: { p1: { organization: two", "taro2: { p1: { organization: three"));
    moved.expect(5, &["apply", "part.json"]);
}

#[test]
fn limits_are_of_what_the_part_deletes() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 30% }\n");
    world.write("a.yaml", accounts(0..20, "x"));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", accounts(10..20, "x"));
    for (globs, deletes, refused) in [
        (&["account"][..], 10, true),
        (&["-account/a009"], 9, true),
        (&["account/a000", "account/a001"], 2, false),
        (&["-account/a00[0-3]"], 6, false),
        (&["-account/a00[0-2]"], 7, true),
    ] {
        let flags = flags(globs);
        let plan = world.json(if refused { 4 } else { 0 }, &[&["plan"], &flags[..]].concat());
        assert_eq!(plan["summary"]["delete"], deletes, "{globs:?}");
        assert_eq!(!rules(&plan).is_empty(), refused, "{globs:?}");
        if refused {
            // A percentage stays one of all that is owned.
            let message = plan["refused"][0]["message"].as_str().unwrap();
            assert!(message.ends_with(&format!("({deletes} of 20)")), "{message}");
        }
    }
}

/// What is left out refuses nothing, and what is in is refused as ever.
#[test]
fn rules_are_about_the_part() {
    for (rule, policy, before, after) in [
        (
            "protect",
            "protect: [account/x]",
            "accounts: { x: {}, y: {} }\n",
            "accounts: { x: { absent: true }, y: CHANGED }\n",
        ),
        (
            "protected",
            "undeclared: delete",
            "accounts: { x: { protected: true }, y: {} }\n",
            "accounts: { y: CHANGED }\n",
        ),
        (
            "blocked",
            "undeclared: keep",
            "accounts: { x: {}, old: {}, y: {} }\n",
            "accounts: { x: { previously: old }, y: CHANGED }\n",
        ),
        (
            "empty_kind",
            "undeclared: delete",
            "accounts: { y: {} }\nservers: { x: {}, z: {} }\n",
            "accounts: { y: CHANGED }\nservers: {}\n",
        ),
        (
            "in_use",
            "undeclared: keep",
            "servers: { x: {} }\naccounts: { y: {}, z: { server: x } }\n",
            "servers: { x: { absent: true } }\naccounts: { y: CHANGED, z: { server: null } }\n",
        ),
        (
            "foreign_owner",
            "undeclared: keep",
            "accounts: { x: { comment: 1 }, y: {} }\n",
            "accounts: { x: { comment: 2 }, y: CHANGED }\n",
        ),
    ] {
        let world = World::project("generic", &format!("policy: {{ {policy} }}\n"));
        world.write("a.yaml", before);
        world.expect(0, &["apply", "--yes", "-q"]);
        if rule == "foreign_owner" {
            database(&world).execute("UPDATE account SET yubin_owner = 'other' WHERE name = 'x'", []).unwrap();
        }
        world.write("a.yaml", after.replace("CHANGED", "{ comment: changed }"));
        assert!(rules(&world.json(4, &["plan"])).contains(&rule), "{rule}");
        let culprit = if matches!(rule, "empty_kind" | "in_use") { "server/x" } else { "account/x" };
        assert!(rules(&world.json(4, &["plan", "--target", culprit])).contains(&rule), "{rule}: {culprit} alone");
        let plan = world.json(0, &["plan", "--target", "account/y"]);
        assert_eq!((actions(&plan), rules(&plan)), (vec!["overwrite account/y".to_owned()], vec![]), "{rule}");
        world.expect(0, &["apply", "--yes", "--target", "account/y"]);
        assert!(rules(&world.json(4, &["plan"])).contains(&rule), "{rule}: it is still refused");
    }
}

/// A part is planned from files that are right as a whole.
#[test]
fn mistakes_outside_of_the_part_are_mistakes() {
    let world = pending();
    world.write("b.yaml", "accounts: { wrong: { capacity: many } }\n");
    for args in [&["plan"][..], &["apply", "--yes"]] {
        world.expect(3, &[args, &["--target", "server/hq"]].concat());
    }
    assert_eq!(revision(&world), 1);
}

/// Half of a swap would put one resource in the place of another.
#[test]
fn half_of_a_swap_loses_nobody() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: A }, b: { comment: B }, c: { comment: C } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { previously: b }, b: { previously: a }, c: { comment: c } }\n");
    let comments = |world: &World| -> Vec<String> {
        let mut all: Vec<String> =
            state(world).as_array().unwrap().iter().map(|one| one["fields"]["comment"].to_string()).collect();
        all.sort();
        all
    };
    for flags in [["--target", "account/a"], ["--exclude", "account/a"]] {
        let copy = World::copy_of(world.path());
        let planned = copy.run(&[&["plan"][..], &flags].concat()).code;
        let applied = copy.run(&[&["apply", "--yes"][..], &flags].concat()).code;
        assert_eq!(planned, applied, "{flags:?}");
        let left = comments(&copy);
        assert!(left.contains(&"\"A\"".to_owned()) && left.contains(&"\"B\"".to_owned()), "{flags:?}: {left:?}");
        assert_eq!(left.len(), 3, "{flags:?}");
        // What was not done is done by the next whole plan.
        copy.expect(0, &["apply", "--yes"]);
        assert_eq!(comments(&copy), ["\"A\"", "\"B\"", "\"c\""]);
        assert_eq!(super::shown(&copy, "account/a")["comment"], "B");
        copy.expect(0, &["plan", "--exit-code"]);
    }
    // Both halves, or neither, are whole.
    world.expect(0, &["apply", "--yes", "--target", "account/[ab]"]);
    assert_eq!(super::shown(&world, "account/a")["comment"], "B");
    assert_eq!(super::shown(&world, "account/c")["comment"], "C");
}

#[test]
fn the_order_of_flags_does_not_matter() {
    let world = pending();
    let one = ["plan", "--target", "account", "--exclude", "account/b", "--target", "server"];
    let two = ["plan", "--exclude", "account/b", "--target", "server", "--target", "account"];
    let (one, two) = (world.json(0, &one), world.json(0, &two));
    assert_eq!(one["changes"], two["changes"]);
    assert_eq!(addresses(&one), ["account/a1", "account/a2", "account/left", "account/new", "server/hq"]);
}
