//! What is wrong is said with its place, and nothing is done.

use std::fmt::Write as _;

use super::{MOVE, acts, names, next, project, servers};
use crate::support::World;

/// `CODE FILE:LINE:COLUMN` of each error.
fn said(world: &World, args: &[&str]) -> Vec<String> {
    let json = world.json(3, args);
    let all = json["diagnostics"].as_array().unwrap().iter().filter(|one| one["severity"] == "error");
    let text = |one: &serde_json::Value| {
        format!("{} {}:{}:{}", one["code"].as_str().unwrap(), one["file"].as_str().unwrap(), one["line"], one["column"])
    };
    all.map(text).collect()
}

#[test]
fn settings_are_read_strictly() {
    for (text, expected) in [
        ("migrations: [x]", "value/type yubin.yaml:4:13"),
        ("migrations: { move: x }", "value/type yubin.yaml:4:21"),
        ("migrations: { 'a b': { from: old, to: new } }", "project/value yubin.yaml:4:15"),
        ("migrations: { move: { from: old } }", "project/value yubin.yaml:4:15"),
        ("migrations: { move: { from: old, to: old } }", "project/value yubin.yaml:4:38"),
        ("migrations: { move: { from: old, too: new, to: new } }", "key/unknown yubin.yaml:4:34"),
        ("migrations: { move: { from: old, to: new, as: x } }", "project/value yubin.yaml:4:47"),
        ("migrations: { move: { from: old, to: new, username: '{x}' } }", "project/value yubin.yaml:4:53"),
        ("migrations: { move: { from: old, to: new, backup: ../x } }", "project/value yubin.yaml:4:51"),
        ("migrations: { move: { from: old, to: new, backup: . } }", "project/value yubin.yaml:4:51"),
        ("migrations: { move: { from: old, to: new, probe: 0 } }", "project/value yubin.yaml:4:50"),
        ("migrations: { move: { from: old, to: new, send: nobody } }", "project/value yubin.yaml:4:49"),
        (
            "migrations: { move: { from: old, to: new, send: \"a@b>\\r\\nRCPT TO:<c@d\" } }",
            "project/value yubin.yaml:4:49",
        ),
        ("migrations: { move: { from: old, to: new, send: 'a b@c' } }", "project/value yubin.yaml:4:49"),
        ("migrations: { move: { from: old, to: new, accounts: [] } }", "project/value yubin.yaml:4:53"),
        ("migrations: { move: { from: old, to: new, accounts: ['['] } }", "project/value yubin.yaml:4:54"),
        ("migrations: { move: { from: old, to: new, domains: ['a b'] } }", "project/value yubin.yaml:4:53"),
    ] {
        let world = World::project("generic", &format!("{text}\n"));
        world.write("a.yaml", "accounts: {}\n");
        assert_eq!(said(&world, &["check"]), [expected], "{text}");
        assert_eq!(said(&world, &["migrate", "status"]), [expected], "{text}");
    }
    let world = World::project("catchme-mail", MOVE);
    assert_eq!(said(&world, &["check"]), ["project/value yubin.yaml:4:15"]);
}

#[test]
fn which_migration_is_meant_must_be_clear() {
    let world = World::project("generic", "");
    let none = world.expect(64, &["migrate", "status"]);
    assert!(none.stderr.contains("has no `migrations:`"), "{}", none.stderr);
    let two = "migrations: { one: { from: old, to: new }, two: { from: other, to: new } }\n";
    let world = project(1, two);
    world.write("servers.yaml", servers(&["old", "new", "other"]));
    world.expect(0, &["apply", "--yes", "-q"]);
    assert!(world.expect(64, &["migrate", "next"]).stderr.contains("one, two"));
    world.expect(64, &["migrate", "next", "three"]);
    world.expect(0, &["migrate", "next", "one", "--yes"]);
    assert_eq!(world.json(0, &["migrate", "status"])["migrations"].as_array().unwrap().len(), 2);
    assert_eq!(world.json(0, &["migrate", "status", "two"])["migrations"][0]["step"], 1);
}

#[test]
fn servers_must_be_those_that_are_there() {
    let world = project(1, "migrations: { move: { from: olt, to: new } }\n");
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/server yubin.yaml:4:29"]);
    // Nothing is stored yet.
    let world = super::declared(1, MOVE);
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/server yubin.yaml:4:29"]);
    let world = project(1, "migrations: { one: { from: old, to: new }, two: { from: old, to: new } }\n");
    assert_eq!(said(&world, &["migrate", "next", "two", "--yes"]), ["migration/server yubin.yaml:4:57"]);
    // The store remembers the one whose lines were taken away; it can still be ended.
    let world = project(1, MOVE);
    next(&world, 0);
    let yaml = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", yaml.replace("move:", "other:"));
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/server yubin.yaml:4:30"]);
    world.write("yubin.yaml", yaml.replace(" } }", " }, other: { from: old, to: new } }"));
    world.expect(0, &["migrate", "abandon", "move", "--note", "by another"]);
    world.expect(0, &["migrate", "next", "other", "--yes"]);
    // Begun with others.
    let world = project(1, MOVE);
    next(&world, 0);
    world.write("servers.yaml", servers(&["old", "new", "newer"]));
    let yaml = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", yaml.replace("to: new", "to: newer"));
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/server yubin.yaml:4:38"]);
}

#[test]
fn names_must_be_free() {
    let world = project(2, "migrations: { move: { from: old, to: new, as: \"{name+1}\" } }\n");
    let place = |line| format!("migration/name people/a.yaml:{line}:3");
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), [place(2), place(3)]);
    let world = project(2, MOVE);
    world.write("other.yaml", "accounts:\n  a1-new: { server: old }\n");
    assert_eq!(said(&world, &["migrate", "status"]), ["migration/entry other.yaml:2:3"]);
    world.write("other.yaml", "accounts:\n  a1-new: { absent: true }\n");
    assert_eq!(said(&world, &["migrate", "status"]), ["migration/entry other.yaml:2:3"]);
    // Who has made an entry by hand has made it.
    world.write("other.yaml", "accounts:\n  a1-new: { server: new }\n");
    world.expect(0, &["migrate", "next", "--yes", "--until", "4"]);
    assert!(!std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap().contains("a1-new"));
}

/// Who only has the name is somebody else.
#[test]
fn a_new_entry_is_of_the_same_person() {
    let of = |address: &str| format!("accounts:\n  a1-new: {{ server: new, address: {address} }}\n");
    let world = project(2, MOVE);
    world.write("other.yaml", of("hanako@example.jp"));
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(said(&world, &["migrate", "status"]), ["migration/entry other.yaml:2:3"]);
    assert!(world.expect(3, &["migrate", "status"]).stderr.contains("not `a1@example.jp`"));
    world.write("other.yaml", of("A1@example.jp"));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["migrate", "status"]);
    // Of another project.
    crate::cli::database(&world)
        .execute_batch("UPDATE account SET yubin_owner = 'others' WHERE name = 'a1-new'")
        .unwrap();
    assert_eq!(said(&world, &["migrate", "status"]), ["migration/entry other.yaml:2:3"]);
    // In its own file a person may give an entry another address.
    let world = project(1, MOVE);
    world.expect(0, &["migrate", "next", "--yes", "--until", "3"]);
    let own = std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap();
    world.write("migrations/move.yaml", own.replace("a0@example.jp", "a0@example.com"));
    next(&world, 0);
    assert_eq!(super::now(&world), (5, "waiting".to_owned()));
}

/// What is disabled, or is declared nowhere, is not there.
#[test]
fn a_new_entry_is_declared_and_enabled() {
    let world = project(2, &format!("policy: {{ delete: after 14d }}\n{MOVE}"));
    super::through(&world, 6);
    let own = std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap();
    let only = own.split("  a1-new:").next().unwrap().to_owned();
    world.write("migrations/move.yaml", &only);
    assert_eq!(super::now(&world), (3, "due".to_owned()));
    next(&world, 0);
    assert!(std::fs::read_to_string(world.file("migrations/move-2.yaml")).unwrap().contains("a1-new"));
    assert_eq!(super::now(&world), (7, "waiting".to_owned()));
    world.write("migrations/move-2.yaml", "accounts: { a1-new: { absent: true } }\n");
    world.run(&["apply", "--yes", "-q"]);
    world.write(
        "migrations/move-2.yaml",
        own.replace("  a0-new:", "  a1-new:")
            .split("  a1-new:\n")
            .last()
            .map(|rest| format!("accounts:\n  a1-new:\n{rest}"))
            .unwrap(),
    );
    assert_eq!(super::now(&world), (4, "due".to_owned()), "it is disabled");
    next(&world, 0);
    assert_eq!(super::now(&world), (7, "waiting".to_owned()));
}

/// Patterns that are too large together choose nobody, not all.
#[test]
fn patterns_that_cannot_be_read_choose_nobody() {
    let mut names = String::new();
    for number in 0..3000 {
        write!(names, "'{{{}}}*{number}', ", "abcdefgh?*,".repeat(200)).unwrap();
    }
    let world = project(1, &format!("migrations: {{ move: {{ from: old, to: new, accounts: [{names}] }} }}\n"));
    let run = world.run(&["migrate", "status"]);
    assert!(run.code == 3 && run.stderr.contains("cannot be read as patterns"), "{}: {:.500}", run.code, run.stderr);
}

#[test]
fn passwords_are_never_copied() {
    let world = project(1, MOVE);
    world.write(
        "people/a.yaml",
        "accounts:\n  a0:\n    server: old\n    incoming: { password: Zaunkoenig-7Qx2 }\n  h: { server: old, password: { hash: \"{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\" } }\n",
    );
    world.expect(0, &["apply", "--yes", "-q"]);
    next(&world, 0);
    next(&world, 0);
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/password people/a.yaml:4:27"]);
    assert_eq!(names(&world, "migrations"), [""; 0]);
    let run = world.expect(3, &["migrate", "next", "--yes"]);
    assert!(!run.stderr.contains("Zaunkoenig") && run.stderr.contains("write a reference"), "{}", run.stderr);
    world.write(
        "people/a.yaml",
        std::fs::read_to_string(world.file("people/a.yaml")).unwrap().replace("Zaunkoenig-7Qx2", "{ file: pw }"),
    );
    next(&world, 0);
    let text = std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap();
    assert!(text.contains("hash: \"{SHA256}"), "{text}");
    let backup = std::fs::read_dir(world.file("backups")).unwrap().next().unwrap().unwrap().path();
    let csv = std::fs::read_to_string(backup.join("accounts.csv")).unwrap();
    assert!(!csv.contains("Zaunkoenig") && !csv.contains("SHA256"), "{csv}");
}

#[test]
fn what_no_file_declares_does_not_move() {
    let world = project(2, MOVE);
    next(&world, 0);
    next(&world, 0);
    let text = std::fs::read_to_string(world.file("people/a.yaml")).unwrap();
    world.write("people/a.yaml", text.lines().take(2).collect::<Vec<_>>().join("\n"));
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/undeclared yubin.yaml:4:15"]);
    assert_eq!(acts(&world).len(), 3);
}

/// Tidying a closed migration away does not make what has moved undeclared.
#[test]
fn files_of_a_migration_stay_sources() {
    let sources = "sources: [people, servers.yaml]\n";
    let world = project(1, &format!("{sources}{MOVE}"));
    super::through(&world, 7);
    let yaml = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    let tidy = yaml.replace(MOVE, "");
    world.write("yubin.yaml", &tidy);
    world.remove("migrations/move-removed.yaml");
    assert_eq!(said(&world, &["plan"]), ["migration/unlisted yubin.yaml:4:11"]);
    world.write("yubin.yaml", tidy.replace("servers.yaml]", "servers.yaml, migrations]"));
    world.expect(0, &["plan", "--exit-code", "-q"]);
}

#[test]
fn a_user_must_be_one() {
    let world = project(0, "migrations: { move: { from: old, to: new, username: \"{local}\" } }\n");
    world.write("people/a.yaml", "accounts:\n  a: { server: old, incoming: { username: a } }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    next(&world, 0);
    next(&world, 0);
    assert_eq!(said(&world, &["migrate", "next", "--yes"]), ["migration/username people/a.yaml:2:3"]);
}

/// An edit that would change anything else is left to a person.
#[test]
fn what_cannot_be_taken_out_is_named() {
    let world = project(0, MOVE);
    world.write("people/a.yaml", "accounts:\n  a: &a { server: old, address: a@example.jp }\n  b:\n    <<: *a\n    address: b@example.jp\n    server: new\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    super::through(&world, 6);
    super::ack(&world, 0, "7");
    let run = world.run(&["migrate", "next", "--yes"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains("migration/left") && run.stderr.contains("people/a.yaml:2:3"), "{}", run.stderr);
    world.write("people/a.yaml", "accounts:\n  b: { server: new, address: b@example.jp }\n");
    next(&world, 0);
    assert_eq!(super::now(&world), (0, "closed".to_owned()));
}
