//! What was: the state at a revision, the difference between two, and the commit behind a field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::saved_plans::{bytes, read, said};
use super::{database, keys, private, revision, state};
use crate::support::World;

/// A store, and what `show` printed right after each revision.
struct Story {
    world: World,
    shown: Vec<Json>,
}

impl Story {
    fn new() -> Story {
        let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 100 }\n");
        private(&world, "pw", "Kanarie-7Qx2");
        Story { world, shown: Vec::new() }
    }

    /// Runs what makes one revision.
    #[track_caller]
    fn step(&mut self, args: &[&str]) {
        self.world.expect(0, args);
        let shown = self.world.json(0, &["show"]);
        self.shown.push(shown);
        assert_eq!(revision(&self.world), self.shown.len() as u64, "{args:?} made no revision");
    }

    #[track_caller]
    fn apply(&mut self, yaml: &str) {
        self.world.write("a.yaml", yaml);
        self.step(&["apply", "--yes"]);
    }

    fn sql(&self, statements: &str) {
        database(&self.world).execute_batch(statements).unwrap();
    }
}

/// Adds, overwrites, deletes, an undo, and edits of other software that the next revision comes upon.
fn story() -> Story {
    let mut story = Story::new();
    let head = "servers: { s: { incoming: { host: i.x.jp, port: 993 } } }\npatterns: { taro: { p: { server: s } } }\n";
    let c = "c: { comment: three, incoming.password: { file: pw } }";
    story.apply(&format!("{head}accounts: {{ a: {{ comment: one }}, b: {{ comment: two }}, {c} }}\n"));
    story.apply(&format!("{head}accounts: {{ a: {{ comment: eins }}, b: {{ comment: two, label: l }}, {c} }}\n"));
    story.apply(&format!(
        "{head}accounts: {{ a: {{ comment: eins }}, b: {{ label: l }}, d: {{ forward.to: [x@x.jp] }} }}\n"
    ));
    story.sql("UPDATE account SET label = 'outside', comment = 'outside' WHERE name = 'a'");
    story.apply(&format!("{head}accounts: {{ a: {{ comment: uno }}, b: {{ label: null }}, d: {{}} }}\n"));
    story.step(&["undo", "3", "--yes"]);
    story.sql("DELETE FROM account WHERE name = 'b'");
    let five = head.replace("993", "143");
    story.apply(&format!("{five}accounts: {{ a: {{}}, b: {{ comment: again }}, {c} }}\n"));
    story.sql("INSERT INTO account (name, comment, capacity) VALUES ('wild', 'theirs', 5)");
    story.apply(&format!("{five}accounts: {{ a: {{}}, b: {{}}, {c}, wild: {{ comment: ours }} }}\n"));
    story.step(&["undo", "6", "--yes"]);
    story
}

fn at(number: usize) -> String {
    number.to_string()
}

#[test]
fn the_state_at_a_revision_is_what_show_printed_then() {
    let mut story = story();
    story.step(&["forget", "account/a", "--yes"]);
    let Story { world, shown } = story;
    let every = |what: &str| {
        for (index, then) in shown.iter().enumerate() {
            let found = world.json(0, &["show", "--at", &at(index + 1)]);
            assert_eq!(&found, then, "{what}: revision {}", index + 1);
        }
    };
    let before = bytes(&world);
    every("as it is");
    assert_eq!(bytes(&world), before, "looking back writes nothing");
    world.expect(0, &["store", "rekey", "--yes"]);
    every("under a new key");
    world.remove("yubin.db.key");
    world.write("a.yaml", "accounts: { a: { capacity: many } }\n");
    every("without a key, and with files that have errors");
}

#[test]
fn a_resource_at_a_revision() {
    let Story { world, .. } = story();
    let fields = |number: &str, address: &str| {
        world.json(0, &["show", "--at", number, address])["resources"][0]["fields"].clone()
    };
    assert_eq!(fields("1", "account/a"), json!({ "comment": "one" }));
    assert_eq!(fields("2", "account/a"), json!({ "comment": "eins" }));
    assert_eq!(fields("3", "account/a"), json!({ "comment": "eins" }));
    // What other software wrote before revision 4, and it kept.
    assert_eq!(fields("4", "account/a"), json!({ "label": "outside", "comment": "uno" }));
    assert_eq!(fields("2", "account/c"), json!({ "comment": "three", "incoming.password": { "secret": true } }));
    assert_eq!(fields("3", "account/d"), json!({ "forward.to": ["x@x.jp"] }));
    // Not there yet, or not there then.
    for (number, address) in [("3", "account/c"), ("1", "account/d"), ("6", "account/wild"), ("1", "account/nobody")] {
        let run = world.expect(1, &["show", "--at", number, address]);
        assert!(run.stderr.contains(address), "{}", run.stderr);
    }
    let text = world.expect(0, &["show", "--at", "1", "account/a"]).stdout;
    assert_eq!(text, "account/a  owner head-office, revision 1\n    comment  one\n\n");
    let both = world.json(0, &["show", "--at", "1", "account/b", "account/a"]);
    assert_eq!((both["resources"].as_array().unwrap().len(), &both["revision"]), (2, &json!(1)));
}

#[test]
fn a_revision_that_never_was_is_wrong_usage() {
    let Story { world, shown } = story();
    let (last, next) = (at(shown.len()), at(shown.len() + 1));
    world.expect(0, &["show", "--at", &last]);
    for args in [
        &["show", "--at", &next][..],
        &["show", "--at", "99"],
        &["show", "--at", "-1"],
        &["show", "--at", "one"],
        &["show", "--at"],
        &["plan", "--between", "1", &next],
        &["plan", "--between", &next, "1"],
        &["plan", "--between", "1"],
        &["plan", "--between", "1", "x"],
        &["apply", "--between", "1", "2"],
    ] {
        let run = world.expect(64, args);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?}: {}", said(&run));
    }
}

/// Sequences that nobody thought of, by a generator of fixed seed.
#[test]
fn the_state_at_any_revision_of_a_long_history() {
    let mut story = Story::new();
    let mut seed: u64 = 0x7975_6269;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut tries = 0;
    while story.shown.len() < 14 && tries < 60 {
        tries += 1;
        if !story.shown.is_empty() && next(4) == 0 {
            // Of the last one, which nothing has touched since.
            story.step(&["undo", &at(story.shown.len()), "--yes"]);
            continue;
        }
        let values = ["x", "y", "null"];
        let mut yaml = format!("accounts:\n  a: {{ comment: {} }}\n", values[next(2) as usize]);
        for name in ["b", "c", "d", "e"] {
            let (comment, label) = (values[next(3) as usize], values[next(3) as usize]);
            if next(3) > 0 {
                writeln!(yaml, "  {name}: {{ comment: {comment}, label: {label} }}").unwrap();
            }
        }
        story.world.write("a.yaml", yaml);
        if story.world.run(&["plan", "--exit-code", "-q"]).code == 2 {
            story.step(&["apply", "--yes"]);
        }
    }
    assert_eq!(story.shown.len(), 14);
    for (index, then) in story.shown.iter().enumerate() {
        assert_eq!(&story.world.json(0, &["show", "--at", &at(index + 1)]), then, "revision {}", index + 1);
    }
}

#[test]
fn a_rename_is_seen_from_before_and_after() {
    let mut story = Story::new();
    story.apply("accounts: { old: { comment: one, label: l }, other: {} }\n");
    story.apply("accounts: { new: { previously: old, comment: two, label: l }, other: {} }\n");
    story.step(&["undo", "2", "--yes"]);
    let Story { world, shown } = story;
    for (index, then) in shown.iter().enumerate() {
        assert_eq!(&world.json(0, &["show", "--at", &at(index + 1)]), then, "revision {}", index + 1);
    }
    let addresses = |number: &str| -> Vec<String> {
        let all = world.json(0, &["show", "--at", number])["resources"].as_array().unwrap().clone();
        all.iter().map(|one| one["address"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(addresses("1"), ["account/old", "account/other"]);
    assert_eq!(addresses("2"), ["account/new", "account/other"]);
    assert_eq!(addresses("3"), ["account/old", "account/other"]);
}

// --- Between ------------------------------------------------------------------------------

/// `ADDRESS` and fields of each resource that `show` printed.
fn resources(shown: &Json) -> BTreeMap<String, BTreeMap<String, Json>> {
    let fields = |one: &Json| -> BTreeMap<String, Json> {
        one["fields"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let all = shown["resources"].as_array().unwrap();
    all.iter().map(|one| (one["address"].as_str().unwrap().to_owned(), fields(one))).collect()
}

/// The changes that lead from one state to the other.
fn model(from: &Json, to: &Json) -> BTreeSet<String> {
    let (from, to) = (resources(from), resources(to));
    let nothing = BTreeMap::new();
    let mut changes = BTreeSet::new();
    for address in from.keys().chain(to.keys()).collect::<BTreeSet<_>>() {
        let action = match (from.contains_key(address), to.contains_key(address)) {
            (true, true) => "overwrite",
            (true, false) => "delete",
            _ => "add",
        };
        let (before, after) = (from.get(address).unwrap_or(&nothing), to.get(address).unwrap_or(&nothing));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let mut fields = Vec::new();
        for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
            let of = |side: &BTreeMap<String, Json>| side.get(name).cloned().unwrap_or_default();
            let (before, after) = (of(before), of(after));
            let secret = json!({ "secret": true });
            fields.push(if before == secret {
                format!("{name} cleared")
            } else if after == secret {
                format!("{name} set")
            } else {
                format!("{name} {before} {after}")
            });
        }
        if action != "overwrite" || !fields.is_empty() {
            changes.insert(format!("{action} {address}: {}", fields.join(", ")));
        }
    }
    changes
}

/// The same of a plan.
fn told(plan: &Json) -> BTreeSet<String> {
    let one = |change: &Json| {
        let mut fields: Vec<String> = change["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| {
                let name = field["field"].as_str().unwrap();
                match field["change"].as_str() {
                    Some(change) => format!("{name} {change}"),
                    None => format!("{name} {} {}", field["before"], field["after"]),
                }
            })
            .collect();
        fields.sort();
        let (action, address) = (change["action"].as_str().unwrap(), change["address"].as_str().unwrap());
        format!("{action} {address}: {}", fields.join(", "))
    };
    plan["changes"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn between_two_revisions_stands_what_the_one_has_and_the_other_has_not() {
    let Story { world, shown } = story();
    let before = bytes(&world);
    for (from, one) in shown.iter().enumerate() {
        for (to, other) in shown.iter().enumerate() {
            let plan = world.json(0, &["plan", "--between", &at(from + 1), &at(to + 1)]);
            let expected = model(one, other);
            assert_eq!(told(&plan), expected, "from {} to {}", from + 1, to + 1);
            assert_eq!(plan["changes"].as_array().unwrap().len(), expected.len());
            for (key, action) in [("add", "add "), ("overwrite", "overwrite "), ("delete", "delete ")] {
                let count = expected.iter().filter(|one| one.starts_with(action)).count();
                assert_eq!(plan["summary"][key], count, "{key} from {} to {}", from + 1, to + 1);
            }
            assert_eq!(plan["format_version"], 1);
        }
    }
    assert_eq!(bytes(&world), before);
}

#[test]
fn between_shows_forward_backward_and_nothing() {
    let Story { world, .. } = story();
    let forward = world.expect(0, &["plan", "--between", "1", "3"]).stdout;
    for word in ["account/a", "one", "eins", "account/c", "account/d"] {
        assert!(forward.contains(word), "`{word}` is missing: {forward}");
    }
    assert!(!forward.contains("Kanarie"), "{forward}");
    let sides = |from: &str, to: &str| {
        let plan = world.json(0, &["plan", "--between", from, to]);
        let change =
            plan["changes"].as_array().unwrap().iter().find(|one| one["address"] == "account/a").unwrap().clone();
        (change["fields"][0]["before"].clone(), change["fields"][0]["after"].clone())
    };
    assert_eq!(sides("1", "3"), (json!("one"), json!("eins")));
    assert_eq!(sides("3", "1"), (json!("eins"), json!("one")));
    let same = world.json(0, &["plan", "--between", "3", "3"]);
    assert_eq!(same["changes"], json!([]));
    for format in ["markdown", "html"] {
        let page = world.expect(0, &["plan", "--between", "1", "3", "--format", format]).stdout;
        assert!(page.contains("account/d") && page.contains("eins"), "{format}: {page}");
    }
}

#[test]
fn between_tells_that_a_secret_changed_and_not_what_it_was() {
    let mut story = Story::new();
    let yaml = "accounts: { a: { password: { file: pw }, incoming.password: { file: pw } }, b: {} }\n";
    story.apply(yaml);
    private(&story.world, "pw", "Kanarie-9Zt4");
    story.apply(yaml);
    story.apply(&yaml.replace("b: {}", "b: { comment: x }"));
    let world = story.world;
    let changed = BTreeSet::from(["overwrite account/a: incoming.password changed, password changed".to_owned()]);
    assert_eq!(told(&world.json(0, &["plan", "--between", "1", "2"])), changed);
    assert_eq!(told(&world.json(0, &["plan", "--between", "2", "1"])), changed);
    let same = BTreeSet::from(["overwrite account/b: comment null \"x\"".to_owned()]);
    assert_eq!(told(&world.json(0, &["plan", "--between", "2", "3"])), same);
    let run = world.expect(0, &["plan", "--between", "1", "3", "-v"]);
    assert!(!said(&run).contains("Kanarie") && !said(&run).contains("argon2"), "{}", said(&run));
}

/// It is a look back, and no proposal.
#[test]
fn apply_refuses_what_between_printed() {
    let mut story = Story::new();
    story.apply("accounts: { a: { comment: one } }\n");
    story.apply("accounts: { a: { comment: two } }\n");
    let world = story.world;
    let before = (state(&world), revision(&world));
    for (from, to) in [("1", "2"), ("2", "1"), ("2", "2")] {
        // Whether the files declare the one or the other.
        for comment in ["one", "two"] {
            world.write("a.yaml", format!("accounts: {{ a: {{ comment: {comment} }} }}\n"));
            let printed = world.expect(0, &["plan", "--between", from, to, "--format", "json"]).stdout;
            world.expect(0, &["plan", "--between", from, to, "--json-out", "between.json"]);
            assert_eq!(read(&world, "between.json"), printed);
            for more in [&[][..], &["--yes"], &["--rebase"]] {
                let run = world.run(&[&["apply", "between.json"], more].concat());
                assert_eq!(run.code, 4, "{from} {to} {comment} {more:?}: {}", said(&run));
            }
            assert_eq!((state(&world), revision(&world)), before);
        }
    }
}

// --- The commit of a field ----------------------------------------------------------------

/// Git without the caller's configuration.
pub fn git(world: &World, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=tester", "-c", "user.email=tester@x.jp"]).args(args).current_dir(world.path());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().unwrap_or_else(|error| panic!("git: {error}"));
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Commits all there is, and gives the commit.
pub fn commit(world: &World) -> String {
    git(world, &["add", "-A"]);
    git(world, &["commit", "-q", "--no-gpg-sign", "-m", "x"]);
    git(world, &["rev-parse", "HEAD"])
}

/// A project in a checkout that does not see the store.
fn checkout() -> World {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 9 }\n");
    git(&world, &["init", "-q"]);
    world.write(".gitignore", "yubin.db*\n");
    world
}

/// The commit of each field of a resource, without a final `+`, and whether there was one.
fn commits(world: &World, address: &str) -> BTreeMap<String, Option<(String, bool)>> {
    let log = world.json(0, &["log", address]);
    let fields = log["fields"].as_array().unwrap();
    fields
        .iter()
        .map(|field| {
            assert!(keys(field).contains(&"commit"), "{field}");
            let commit = field["commit"].as_str().map(|commit| {
                let clean = commit.strip_suffix('+').unwrap_or(commit);
                assert!(clean.len() >= 7 && clean.bytes().all(|b| b.is_ascii_hexdigit()), "{commit}");
                (clean.to_owned(), commit.ends_with('+'))
            });
            (field["field"].as_str().unwrap().to_owned(), commit)
        })
        .collect()
}

#[track_caller]
fn assert_commit(found: Option<&Option<(String, bool)>>, commit: &str, dirty: bool) {
    let Some(Some((hash, plus))) = found else { panic!("no commit: {found:?}") };
    assert!(commit.starts_with(hash), "{hash} is not {commit}");
    assert_eq!(*plus, dirty, "a `+` says that the tree was dirty");
}

#[test]
fn the_log_of_a_resource_names_the_commit_of_each_field() {
    let world = checkout();
    world.write("a.yaml", "accounts: { a: { comment: one, label: l, capacity: 5 } }\n");
    let first = commit(&world);
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { comment: two, label: l, capacity: 5 } }\n");
    let second = commit(&world);
    world.expect(0, &["apply", "--yes"]);
    // Edited, and not committed.
    world.write("a.yaml", "accounts: { a: { comment: two, label: L, capacity: 5 } }\n");
    world.expect(0, &["apply", "--yes"]);
    let found = commits(&world, "account/a");
    assert_commit(found.get("capacity"), &first, false);
    assert_commit(found.get("comment"), &second, false);
    assert_commit(found.get("label"), &second, true);
    let text = world.expect(0, &["log", "account/a"]).stdout;
    for (field, hash) in [("capacity", &first[..7]), ("comment", &second[..7]), ("label", &second[..7])] {
        let line = text.lines().find(|line| line.trim_start().starts_with(field));
        assert!(line.is_some_and(|line| line.contains(hash)), "{field} {hash}: {text}");
    }
    // What is committed later does not change what was applied.
    commit(&world);
    assert_eq!(commits(&world, "account/a"), found);
    // What other software wrote is of no commit.
    database(&world).execute("UPDATE account SET comment = 'outside'", []).unwrap();
    assert_eq!(commits(&world, "account/a")["comment"], None);
}

#[test]
fn a_file_that_no_commit_holds_makes_the_tree_dirty() {
    let world = checkout();
    world.write("a.yaml", "accounts: { a: { comment: one } }\n");
    let first = commit(&world);
    world.write("b.yaml", "accounts: { b: { comment: one } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_commit(commits(&world, "account/b").get("comment"), &first, true);
    // In the index is not in the commit.
    world.write("b.yaml", "accounts: { b: { comment: two } }\n");
    git(&world, &["add", "-A"]);
    world.expect(0, &["apply", "--yes"]);
    assert_commit(commits(&world, "account/b").get("comment"), &first, true);
}

#[test]
fn a_project_in_a_folder_of_a_checkout_has_its_commit() {
    let world = World::new();
    git(&world, &["init", "-q"]);
    world.write(".gitignore", "yubin.db*\n");
    world.write("mail/yubin.yaml", "version: 1\nname: head-office\n");
    world.write("mail/a.yaml", "accounts: { a: { comment: one } }\n");
    let head = commit(&world);
    world.expect(0, &["-C", "mail", "apply", "--yes"]);
    let log = world.json(0, &["-C", "mail", "log", "account/a"]);
    let found = log["fields"][0]["commit"].as_str().unwrap();
    assert!(found.len() >= 7 && head.starts_with(found), "{found} is not {head}");
}

#[test]
fn where_there_is_no_commit_none_is_named() {
    // No checkout; a checkout without a commit; no git.
    for what in ["none", "empty", "no program"] {
        let world = World::project("generic", "");
        world.write(".gitignore", "yubin.db*\n");
        world.write("a.yaml", "accounts: { a: { comment: one } }\n");
        if what == "empty" {
            git(&world, &["init", "-q"]);
        }
        let mut command = world.command(&["apply", "--yes"]);
        if what == "no program" {
            command.env("PATH", world.file("nothing"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(commits(&world, "account/a")["comment"], None, "{what}");
        assert!(world.expect(0, &["log", "account/a"]).stdout.contains("comment"), "{what}");
    }
}

#[test]
fn a_field_keeps_its_revision_and_commit_across_a_rename() {
    let world = checkout();
    world.write("a.yaml", "accounts: { old: { comment: one, label: l }, other: {} }\n");
    let first = commit(&world);
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { new: { previously: old, comment: one, label: L }, other: {} }\n");
    let second = commit(&world);
    world.expect(0, &["apply", "--yes"]);
    let log = world.json(0, &["log", "account/new"]);
    let revisions: BTreeMap<&str, &Json> = log["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["field"].as_str().unwrap(), &one["revision"]))
        .collect();
    assert_eq!(revisions, BTreeMap::from([("comment", &json!(1)), ("label", &json!(2))]));
    let found = commits(&world, "account/new");
    assert_commit(found.get("comment"), &first, false);
    assert_commit(found.get("label"), &second, false);
}
