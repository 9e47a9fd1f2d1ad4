//! What has vanished deletes nothing, and is taken again when it comes back.

use std::fs;

use serde_json::Value as Json;

use super::support::{QUICK, Watcher, hermetic};
use super::{FREE, accounts, comment, project, rules, stored};
use crate::cli::revision;
use crate::support::World;

#[track_caller]
fn refused(watcher: &mut Watcher) -> Json {
    watcher.next("refused")
}

#[test]
fn an_emptied_folder_deletes_nothing() {
    let world = project(FREE);
    let mut watcher = Watcher::synced(&world, &[]);
    let text = fs::read(world.file("a.yaml")).unwrap();
    world.remove("a.yaml");
    let event = refused(&mut watcher);
    assert!(!event["refused"][0]["message"].as_str().unwrap().is_empty());
    watcher.quiet();
    assert_eq!((stored(&world), revision(&world)), (3, 1));
    world.write("a.yaml", text);
    watcher.next("unchanged");
    // With `yubin.yaml`, as `git clean` or a failed mount leaves it.
    world.remove("a.yaml");
    world.remove("yubin.yaml");
    refused(&mut watcher);
    watcher.quiet();
    world.write("yubin.yaml", format!("version: 1\nname: head-office\n{FREE}"));
    world.write("a.yaml", accounts(3, "two"));
    watcher.until("synced");
    assert_eq!((stored(&world), revision(&world)), (3, 2));
}

#[test]
fn a_folder_that_has_moved_away_deletes_nothing() {
    let world = World::new();
    world.write("mail/yubin.yaml", format!("version: 1\nname: head-office\n{FREE}"));
    world.write("mail/a.yaml", accounts(3, "one"));
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    let args = [&["-C", "mail", "watch", "--format", "json", "--store", &store][..], QUICK].concat();
    let mut watcher = Watcher::of(hermetic(&mut world.command(&args)));
    watcher.next("synced");
    fs::rename(world.file("mail"), world.file("away")).unwrap();
    refused(&mut watcher);
    // What happens to it elsewhere is nothing to anybody.
    world.write("away/a.yaml", accounts(2, "elsewhere"));
    watcher.quiet();
    fs::rename(world.file("away"), world.file("mail")).unwrap();
    assert_eq!(watcher.next("synced")["summary"]["delete"], 1);
    fs::remove_dir_all(world.file("mail")).unwrap();
    refused(&mut watcher);
    watcher.quiet();
    world.write("mail/yubin.yaml", format!("version: 1\nname: head-office\n{FREE}"));
    world.write("mail/a.yaml", accounts(3, "new"));
    watcher.until("synced");
    let show = world.json(0, &["show", "--store", &store, "-C", "mail"]);
    assert_eq!(show["resources"].as_array().unwrap().len(), 3);
    assert_eq!(show["resources"][0]["fields"]["comment"], "new");
}

#[test]
fn a_project_file_that_has_vanished_deletes_nothing() {
    let world = project(FREE);
    let mut watcher = Watcher::synced(&world, &[]);
    let text = fs::read(world.file("yubin.yaml")).unwrap();
    world.remove("yubin.yaml");
    refused(&mut watcher);
    world.write("a.yaml", accounts(1, "two"));
    watcher.quiet();
    assert_eq!(stored(&world), 3);
    world.write("yubin.yaml", text);
    assert_eq!(watcher.next("synced")["summary"]["delete"], 2);
}

#[test]
fn sources_that_have_vanished_delete_nothing() {
    let world = World::project("generic", &format!("sources: [a.yaml, people/*.csv]\n{FREE}"));
    world.write("a.yaml", accounts(3, "one"));
    world.write("people/b.csv", "name,comment\nb,one\n");
    let mut watcher = Watcher::synced(&world, &[]);
    fs::rename(world.file("people"), world.file("people.away")).unwrap();
    assert_eq!(rules(&refused(&mut watcher)), ["source_vanished"]);
    // Nothing else is applied meanwhile.
    world.write("a.yaml", accounts(3, "two"));
    watcher.quiet_or("refused");
    assert_eq!((stored(&world), revision(&world)), (4, 1));
    fs::rename(world.file("people.away"), world.file("people")).unwrap();
    watcher.next("synced");
    assert_eq!((stored(&world), comment(&world, "a000")), (4, "two".into()));
    // A plain path that does not exist is an error.
    world.remove("a.yaml");
    watcher.next("invalid");
    assert_eq!((stored(&world), revision(&world)), (4, 2));
}

/// The same rules as for `apply`: a kind of which nothing is left, somebody else's, protected.
#[test]
fn what_apply_refuses_a_watcher_refuses() {
    let world = project(&format!("{}, protect: [account/a000] }}\n", FREE.trim_end().trim_end_matches(" }")));
    world.write("b.yaml", "servers: { s: {} }\n");
    let mut watcher = Watcher::synced(&world, &[]);
    for (text, rule) in
        [("accounts: {}\n".to_owned(), "empty_kind"), (accounts(3, "x").replace("a000", "b000"), "protect")]
    {
        world.write("a.yaml", text);
        let event = refused(&mut watcher);
        assert!(rules(&event).contains(&rule), "{event}");
        assert!(event["digest"].is_string() && event["summary"].is_object(), "{event}");
        let plan = world.json(4, &["plan"]);
        assert_eq!((&plan["refused"], &plan["digest"]), (&event["refused"], &event["digest"]));
    }
    assert_eq!((stored(&world), revision(&world)), (4, 1));
    // No digest lifts these.
    let digest = world.json(4, &["plan"])["digest"].as_str().unwrap().to_owned();
    world.run(&["watch", "approve", &digest]);
    let told = watcher.within(std::time::Duration::from_secs(1));
    assert!(told.iter().all(|event| event["event"] != "synced"), "{told:?}");
    assert_eq!(revision(&world), 1);
    world.write("a.yaml", accounts(3, "good"));
    watcher.until("synced");
}

/// Not made again until something changes; told again to those who ask.
#[test]
fn what_is_refused_is_left_alone_until_something_changes() {
    let world = project("policy: { undeclared: delete, max_deletes: 1 }\n");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    world.write("a.yaml", accounts(1, "one"));
    assert_eq!(rules(&refused(&mut watcher)), ["max_deletes"]);
    watcher.quiet();
    watcher.ask();
    assert_eq!(refused(&mut watcher)["cause"], "request");
    // A newer tree is looked at at once, whatever became of the one before.
    world.write("a.yaml", accounts(2, "one"));
    watcher.next("synced");
    assert_eq!(stored(&world), 2);
    // The store changes, so that the plan is allowed: by hand, and not by the project's own files.
    world.write("a.yaml", "accounts: { z: {} }\n");
    refused(&mut watcher);
    assert_eq!((stored(&world), revision(&world)), (2, 2));
    world.write("yubin.yaml", "version: 1\nname: head-office\npolicy: { undeclared: delete, max_deletes: 2 }\n");
    watcher.next("synced");
    assert_eq!(stored(&world), 1);
}
