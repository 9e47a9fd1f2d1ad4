//! `yubin adopt` and `yubin forget`: who owns what.

use serde_json::Value as Json;

use super::{actions, database, revision, rules};
use crate::support::World;

/// Resources of nobody, of this project, and of another.
fn world() -> World {
    let world = World::project("generic", "");
    world.write(
        "a.yaml",
        "accounts: { a: { comment: x }, b: { comment: x } }\npatterns: { u: { p: { address: u@x.jp } } }\n",
    );
    world.expect(0, &["apply", "--yes"]);
    database(&world)
        .execute_batch(
            "UPDATE account SET yubin_owner = NULL WHERE name = 'a';
             UPDATE pattern SET yubin_owner = NULL;
             INSERT INTO account (name, comment, yubin_owner) VALUES ('theirs', 'x', 'elsewhere')",
        )
        .unwrap();
    world
}

fn owners(world: &World) -> Vec<String> {
    let shown = world.json(0, &["show"]);
    let all = shown["resources"].as_array().unwrap();
    all.iter().map(|one| format!("{} {}", one["address"].as_str().unwrap(), one["owner"])).collect()
}

#[test]
fn adopt_takes_over_what_nobody_owns() {
    let world = world();
    assert_eq!(
        owners(&world),
        ["account/a null", "account/b \"head-office\"", "account/theirs \"elsewhere\"", "pattern/u/p null"]
    );
    let run = world.expect(4, &["adopt"]);
    assert!(run.stdout.contains("account/a") && run.stdout.contains("no owner so far"), "{}", run.stdout);
    assert!(!run.stdout.contains("theirs") && !run.stdout.contains("account/b"), "{}", run.stdout);
    let before = revision(&world);
    let receipt = world.json(0, &["adopt", "--yes"]);
    assert_eq!(receipt["effects"], Json::Array(vec![]), "nobody is logged out by that");
    assert_eq!(
        owners(&world),
        [
            "account/a \"head-office\"",
            "account/b \"head-office\"",
            "account/theirs \"elsewhere\"",
            "pattern/u/p \"head-office\""
        ]
    );
    assert_eq!(revision(&world), before + 1);
    // Nothing else has changed, and there is nothing more to do.
    world.expect(0, &["plan", "--exit-code"]);
    world.expect(0, &["adopt", "--yes"]);
    assert_eq!(revision(&world), before + 1);
    world.expect(0, &["undo", &(before + 1).to_string(), "--yes"]);
    assert_eq!(owners(&world)[0], "account/a null");
}

#[test]
fn what_belongs_to_another_project_is_taken_over_by_its_name_alone() {
    let world = world();
    let plan = world.json(4, &["adopt", "account/theirs", "--yes"]);
    assert_eq!(rules(&plan), ["foreign_owner"]);
    let run = world.expect(0, &["adopt", "account/theirs", "--from", "elsewhere", "--yes"]);
    assert!(run.stdout.contains("belongs to project `elsewhere`"), "{}", run.stdout);
    assert!(owners(&world).contains(&"account/theirs \"head-office\"".to_owned()));
    // Of all that is there, only what that project has.
    let world = self::world();
    world.expect(0, &["adopt", "--from", "elsewhere", "--yes"]);
    assert_eq!(owners(&world)[0], "account/a null");
    assert!(owners(&world).contains(&"account/theirs \"head-office\"".to_owned()));
}

#[test]
fn forget_lets_go_without_deleting() {
    let world = world();
    let plan = world.json(4, &["forget", "account/b"]);
    assert_eq!(actions(&plan), ["overwrite account/b"]);
    let run = world.expect(0, &["forget", "account/b", "--yes"]);
    assert!(run.stdout.contains("nobody owns it any more"), "{}", run.stdout);
    assert!(owners(&world).contains(&"account/b null".to_owned()));
    world.write("a.yaml", "accounts: {}\n");
    world.write("yubin.yaml", "version: 1\nname: head-office\npolicy: { undeclared: delete, max_deletes: 100% }\n");
    world.expect(0, &["plan", "--exit-code"]);
    let plan = world.json(4, &["forget", "account/theirs", "--yes"]);
    assert_eq!(rules(&plan), ["foreign_owner"]);
    for args in [&["forget"][..], &["forget", "nonsense"], &["adopt", "nonsense"]] {
        assert_eq!(world.run(args).code, 64, "{args:?}");
    }
    let run = world.expect(1, &["forget", "account/nobody", "--yes"]);
    assert!(run.stderr.contains("account/nobody"), "{}", run.stderr);
}
