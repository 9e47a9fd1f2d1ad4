//! The old server stays until there is consent, whoever asks.

use super::{MOVE, ack, next, now, project, servers, through};
use crate::cli::rules;
use crate::support::World;

/// Nobody uses the old server, and no file declares it.
fn without_old(world: &World) {
    world.write("people/a.yaml", "accounts: { a0: { absent: true } }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("servers.yaml", servers(&["new"]) + "  old: { absent: true }\n");
}

#[test]
fn no_plan_deletes_the_old_server() {
    let world = project(1, &format!("policy: {{ max_deletes: 10 }}\n{MOVE}"));
    through(&world, 2);
    without_old(&world);
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["migration"]);
    let message = plan["refused"][0]["message"].as_str().unwrap();
    assert!(message.contains("`move`") && message.contains("step 3 of 7"), "{message}");
    let digest = plan["digest"].as_str().unwrap();
    for args in [&["apply", "--yes"][..], &["apply", "--ack", digest], &["apply", "--yes", "--target", "server/old"]] {
        world.expect(4, args);
    }
    let japanese = world.expect(4, &["plan", "--lang", "ja"]).stdout;
    assert!(japanese.contains("移行元"), "{japanese}");
    // By another name it would be as lost.
    world.write("servers.yaml", servers(&["new"]) + "  older: { previously: old }\n");
    assert_eq!(rules(&world.json(4, &["plan"])), ["migration"]);
    // The store remembers, whatever stands in the project.
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", project.replace(MOVE, ""));
    world.write("servers.yaml", servers(&["new"]) + "  old: { absent: true }\n");
    assert_eq!(rules(&world.json(4, &["plan"])), ["migration"]);
}

/// An undo goes the same way as every plan.
#[test]
fn no_undo_takes_the_old_server_away() {
    let world = super::declared(0, MOVE);
    world.expect(0, &["apply", "--yes", "-q"]);
    let undo = world.json(4, &["undo", "1", "--yes"]);
    assert!(rules(&undo).contains(&"migration"), "{undo}");
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", project.replace(MOVE, ""));
    world.expect(0, &["undo", "1", "--yes"]);
}

/// Declared is as good as begun.
#[test]
fn a_migration_that_was_not_begun_keeps_its_server() {
    let world = project(1, &format!("policy: {{ max_deletes: 10 }}\n{MOVE}"));
    without_old(&world);
    assert_eq!(rules(&world.json(4, &["plan"])), ["migration"]);
}

#[test]
fn with_consent_every_plan_may() {
    let world = project(1, &format!("policy: {{ max_deletes: 10 }}\n{MOVE}"));
    through(&world, 6);
    assert_eq!(now(&world), (7, "waiting".to_owned()));
    ack(&world, 0, "7");
    without_old(&world);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(now(&world), (7, "due".to_owned()));
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
}
