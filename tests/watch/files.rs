//! How files change: by editors, by scripts, by Kubernetes; and files that are not finished yet.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::support::{QUICK, Watcher, command, eventually};
use super::{FREE, accounts, comment, project, stored};
use crate::cli::{concat, private, revision};
use crate::support::World;

fn rename(world: &World, from: &str, to: &str) {
    fs::rename(world.file(from), world.file(to)).unwrap();
}

/// The project in a folder of the world, so that the folder itself can move.
fn inside(world: &World, folder: &str, comment: &str) {
    world.write(&format!("{folder}/yubin.yaml"), format!("version: 1\nname: head-office\n{FREE}"));
    world.write(&format!("{folder}/a.yaml"), accounts(3, comment));
}

#[test]
fn every_way_to_write_a_file_is_noticed() {
    let world = project("");
    // The poll does not help here.
    let mut watcher = Watcher::start(&world, &["--poll", "1h"]);
    watcher.next("synced");
    let applied = |watcher: &mut Watcher, text: &str| {
        let synced = watcher.until("synced");
        assert_eq!((&synced["cause"], comment(&world, "a000")), (&"files".into(), text.into()));
    };
    world.write("a.yaml", accounts(3, "in-place"));
    applied(&mut watcher, "in-place");
    world.write("a.yaml.new", accounts(3, "renamed"));
    rename(&world, "a.yaml.new", "a.yaml");
    applied(&mut watcher, "renamed");
    // As vim does with `backupcopy=no`.
    world.write("4913", "");
    world.remove("4913");
    rename(&world, "a.yaml", "a.yaml~");
    world.write("a.yaml", accounts(3, "vim"));
    world.remove("a.yaml~");
    applied(&mut watcher, "vim");
    // Removed and written again, by two commands.
    world.remove("a.yaml");
    world.write("a.yaml", accounts(3, "removed"));
    applied(&mut watcher, "removed");
    // A link in its place, which is swapped.
    world.write(".v1", accounts(3, "link-1"));
    world.write(".v2", accounts(3, "link-2"));
    for to in [".v1", ".v2"] {
        symlink(to, world.file("link")).unwrap();
        rename(&world, "link", "a.yaml");
        applied(&mut watcher, if to == ".v1" { "link-1" } else { "link-2" });
    }
    // What the link leads to is written in place.
    world.write(".v2", accounts(3, "behind"));
    applied(&mut watcher, "behind");
    // A hard link that is moved over it: another inode with the same size and perhaps the same second.
    world.write(".v3", accounts(3, "behinD"));
    fs::hard_link(world.file(".v3"), world.file("hard")).unwrap();
    rename(&world, "hard", "a.yaml");
    applied(&mut watcher, "behinD");
    let appended = "  a003: { comment: more }\n";
    OpenOptions::new().append(true).open(world.file("a.yaml")).unwrap().write_all(appended.as_bytes()).unwrap();
    assert_eq!(watcher.until("synced")["summary"]["add"], 1);
}

/// Without the system's help: with times and sizes alone, as on network mounts.
#[test]
fn the_poll_finds_what_the_system_does_not_tell() {
    let world = project("");
    world.write("elsewhere/real/a.csv", "name,comment\nb,one\n");
    // The folder is no part of the project's tree: nobody watches a link's target there.
    let mut watcher = Watcher::synced(&world, &[]);
    let before = fs::metadata(world.file("a.yaml")).unwrap().modified().unwrap();
    world.write("a.yaml", accounts(3, "two"));
    File::options().write(true).open(world.file("a.yaml")).unwrap().set_modified(before).unwrap();
    watcher.until("synced");
    assert_eq!(comment(&world, "a000"), "two");
}

#[test]
fn files_of_editors_are_nobodys_business() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    for name in [".a.yaml.swp", ".a.yaml.swx", "4913", "a.yaml~", "#a.yaml#", ".#a.yaml", "a.yaml.tmp", "notes.txt"] {
        world.write(name, "accounts: { broken");
    }
    watcher.quiet();
    for name in [".a.yaml.swp", "4913", "a.yaml~"] {
        world.remove(name);
    }
    let told = watcher.within(Duration::from_secs(1));
    assert_eq!(told, [serde_json::Value::Null; 0], "not even `changed`");
    assert_eq!(revision(&world), 1);
}

#[test]
fn folders_come_and_go() {
    let world = project(FREE);
    let mut watcher = Watcher::start(&world, &["--poll", "1h"]);
    watcher.next("synced");
    let one = |name: &str| format!("accounts: {{ {name}: {{ comment: x }} }}\n");
    let mut expected = 3;
    let mut added = |watcher: &mut Watcher, more: usize| {
        let mut sum = 0;
        while sum < more {
            sum += usize::try_from(watcher.until("synced")["summary"]["add"].as_u64().unwrap()).unwrap();
        }
        expected += more;
        assert_eq!(stored(&world), expected);
    };
    // The folder and what is in it are there at once, before anybody can watch the folder.
    world.write("sub/deep/er/b.yaml", one("b"));
    added(&mut watcher, 1);
    world.write("sub/deep/er/c.yaml", one("c"));
    added(&mut watcher, 1);
    for number in 0..10 {
        world.write(&format!("n{number}/m/x.yaml"), one(&format!("n{number}")));
    }
    added(&mut watcher, 10);
    // A folder that is moved here with its files.
    world.write(".new/d.csv", "name,comment\nd1,x\nd2,x\n");
    rename(&world, ".new", "new");
    added(&mut watcher, 2);
    // And one that has moved is watched where it is now.
    rename(&world, "new", "newer");
    watcher.next("unchanged");
    world.write("newer/e.yaml", one("e"));
    added(&mut watcher, 1);
    // Gone, with what it declared.
    fs::remove_dir_all(world.file("sub")).unwrap();
    let mut gone = 0;
    while gone < 2 {
        gone += watcher.until("synced")["summary"]["delete"].as_u64().unwrap();
    }
    rename(&world, "newer", ".newer");
    assert_eq!(watcher.until("synced")["summary"]["delete"], 3);
    assert_eq!(stored(&world), 13);
}

/// As Kubernetes mounts a `ConfigMap`: the files are links through `..data`, which is swapped.
#[test]
fn a_kubernetes_volume_is_swapped_as_one() {
    let world = World::new();
    let version = |name: &str, text: &str| {
        world.write(&format!("..{name}/yubin.yaml"), format!("version: 1\nname: head-office\n{FREE}"));
        world.write(&format!("..{name}/a.yaml"), accounts(3, text));
        world.write(&format!("..{name}/b.csv"), format!("name,comment\nb,{text}\n"));
        symlink(format!("..{name}"), world.file("..data_tmp")).unwrap();
        rename(&world, "..data_tmp", "..data");
    };
    version("2026_1", "one");
    for name in ["yubin.yaml", "a.yaml", "b.csv"] {
        symlink(format!("..data/{name}"), world.file(name)).unwrap();
    }
    let mut watcher = Watcher::start(&world, &["--poll", "1h"]);
    watcher.next("synced");
    for (name, text) in [("2026_2", "two"), ("2026_3", "three")] {
        version(name, text);
        let synced = watcher.next("synced");
        assert_eq!((&synced["cause"], &synced["summary"]["overwrite"]), (&"files".into(), &4.into()));
        assert_eq!((comment(&world, "a000"), comment(&world, "b")), (text.into(), text.into()));
    }
    fs::remove_dir_all(world.file("..2026_1")).unwrap();
    fs::remove_dir_all(world.file("..2026_2")).unwrap();
    watcher.quiet();
    version("2026_4", "four");
    watcher.next("synced");
    assert_eq!(comment(&world, "b"), "four");
}

/// As deployments do it: `current` leads to the release of the day.
#[test]
fn the_projects_folder_is_a_link_that_is_swapped() {
    let world = World::new();
    inside(&world, "r1", "one");
    inside(&world, "r2", "two");
    symlink("r1", world.file("current")).unwrap();
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    let args = [&["-C", "current", "watch", "--format", "json", "--store", &store][..], QUICK].concat();
    let mut watcher = Watcher::of(super::support::hermetic(&mut world.command(&args)));
    watcher.next("synced");
    symlink("r2", world.file("next")).unwrap();
    rename(&world, "next", "current");
    watcher.next("synced");
    assert_eq!(
        world.json(0, &["show", "account/a000", "--store", &store, "-C", "current"])["resources"][0]["fields"]["comment"],
        "two"
    );
    world.write("r2/a.yaml", accounts(3, "three"));
    watcher.next("synced");
    world.write("r1/a.yaml", accounts(3, "old"));
    watcher.quiet();
    // The release of the day is gone: nothing is deleted, and the next one is taken.
    fs::remove_file(world.file("current")).unwrap();
    watcher.next("refused");
    inside(&world, "r3", "four");
    symlink("r3", world.file("current")).unwrap();
    watcher.next("synced");
    assert_eq!(
        world.json(0, &["show", "account/a000", "--store", &store, "-C", "current"])["resources"][0]["fields"]["comment"],
        "four"
    );
}

// --- Files beside the sources -------------------------------------------------------------

#[test]
fn a_secret_in_a_file_is_watched() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { incoming.password: { file: secrets/pw } }, b: { comment: x } }\n");
    private(&world, "secrets/pw", "first\n");
    let mut watcher = Watcher::start(&world, &["--poll", "1h"]);
    watcher.next("synced");
    private(&world, "secrets/new", "second\n");
    rename(&world, "secrets/new", "secrets/pw");
    let changed = watcher.until("changed");
    assert_eq!(changed["files"], json!(["secrets/pw"]));
    assert_eq!(watcher.next("synced")["summary"]["overwrite"], 1);
    world.write("secrets/pw", "third\n");
    watcher.until("synced");
    // Another file in that folder is none of the project's.
    private(&world, "secrets/other", "x");
    watcher.quiet();
    assert_eq!(revision(&world), 3);
    world.remove("secrets/pw");
    watcher.next("invalid");
    private(&world, "secrets/pw", "third\n");
    watcher.next("unchanged");
}

#[test]
fn yubin_yaml_and_the_users_are_watched() {
    let world = World::project("generic", "users: users.txt\n");
    world.write("users.txt", "taro\n");
    world.write("a.yaml", "patterns: { taro: { p: { address: t@x.jp } } }\n");
    let mut watcher = Watcher::start(&world, &["--poll", "1h"]);
    watcher.next("synced");
    world.write("users.txt", "jiro\n");
    watcher.next("invalid");
    world.write("users.txt", "jiro\ntaro\n");
    watcher.next("unchanged");
    world.write("more/b.yaml", "patterns: { jiro: { p: { address: j@x.jp } } }\n");
    watcher.next("synced");
    // Other sources, by another `yubin.yaml`.
    world.write("yubin.yaml", "version: 1\nname: head-office\nsources: [a.yaml, c.data]\n");
    watcher.next("invalid");
    world.write("c.data", "user,name,address\nhana,p,h@x.jp\n");
    assert_eq!(watcher.next("synced")["summary"]["add"], 1);
    assert_eq!(stored(&world), 3);
    // What is no source any more is not watched any more.
    world.write("more/b.yaml", "patterns: { broken");
    watcher.quiet();
    world.write("c.data", "user,name,address\nhana,p,hana@x.jp\n");
    watcher.next("synced");
}

#[test]
fn the_trusted_configuration_is_watched() {
    let world = project("");
    let outside = World::new();
    outside.write("trusted.yaml", "policy: { undeclared: keep }\n");
    let path = outside.file("trusted.yaml").display().to_string();
    let mut watcher = Watcher::synced(&world, &["--trusted-config", &path]);
    outside.write("trusted.yaml", "policy: { undeclared: delete }\n");
    watcher.next("unchanged");
    world.write("a.yaml", accounts(2, "one"));
    assert_eq!(watcher.next("synced")["summary"]["delete"], 1);
    // `sync:` is that of the trusted file, too.
    outside.write("trusted.yaml", "sync: { approve: [deletes] }\npolicy: { undeclared: delete }\n");
    watcher.next("unchanged");
    world.write("a.yaml", accounts(1, "one"));
    assert_eq!(watcher.next("waiting")["reason"], "approval");
}

/// And `sync:` of the project says nothing then.
#[test]
fn sync_is_that_of_the_trusted_configuration() {
    let world = project("sync: { pause_file: PAUSE }\n");
    world.write("PAUSE", "");
    let outside = World::new();
    outside.write("trusted.yaml", "policy: { undeclared: keep }\n");
    let path = outside.file("trusted.yaml").display().to_string();
    Watcher::synced(&world, &["--trusted-config", &path]);
    assert_eq!(stored(&world), 3);
}

// --- Unfinished ---------------------------------------------------------------------------

/// Two parts, with a pause that is longer than the debounce, in one open file: half of it would be valid.
#[test]
fn half_a_file_is_never_applied() {
    let world = project(FREE);
    let mut watcher = Watcher::synced(&world, &["--debounce", "20ms"]);
    world.write(".tmp/keep", "");
    for round in 0..8 {
        let text = accounts(40, &format!("round-{round}"));
        let middle = text.match_indices('\n').nth(20).unwrap().0 + 1;
        let mut file = match round % 4 {
            0 => File::create(world.file("a.yaml")).unwrap(),
            1 => {
                // A new file is put into the place of the old one while it is being written.
                let file = File::create(world.file("a.new")).unwrap();
                rename(&world, "a.new", "a.yaml");
                file
            }
            2 => {
                let file = OpenOptions::new().write(true).open(world.file("a.yaml")).unwrap();
                file.set_len(0).unwrap();
                file
            }
            _ => File::create(world.file(".tmp/a")).unwrap(),
        };
        file.write_all(&text.as_bytes()[..middle]).unwrap();
        if round % 4 == 3 {
            // All of the writing so far was where nobody looks.
            rename(&world, ".tmp/a", "a.yaml");
        }
        std::thread::sleep(Duration::from_millis(700));
        file.write_all(&text.as_bytes()[middle..]).unwrap();
        drop(file);
        let synced = watcher.next("synced");
        assert_eq!(synced["revision"], round + 2, "one revision each");
        assert_eq!(comment(&world, "a039"), format!("round-{round}"));
    }
    assert_eq!(stored(&world), 40);
}

/// Somebody starts the watcher while a file is being written.
#[test]
fn half_a_file_is_not_applied_at_the_start_either() {
    let world = project(FREE);
    world.write("a.yaml", accounts(40, "one"));
    Watcher::synced(&world, &[]).stop();
    let text = accounts(40, "two");
    let middle = text.match_indices('\n').nth(20).unwrap().0 + 1;
    let mut file = File::create(world.file("a.yaml")).unwrap();
    file.write_all(&text.as_bytes()[..middle]).unwrap();
    let mut watcher = Watcher::start(&world, &[]);
    let told = watcher.within(Duration::from_millis(1_500));
    assert!(told.iter().all(|event| event["event"] != "synced"), "{told:?}");
    file.write_all(&text.as_bytes()[middle..]).unwrap();
    drop(file);
    let synced = watcher.until("synced");
    assert_eq!((&synced["revision"], stored(&world)), (&2.into(), 40));
}

#[test]
fn a_file_that_stays_open_is_waited_for() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    let mut file = File::create(world.file("a.yaml")).unwrap();
    file.write_all(accounts(3, "two").as_bytes()).unwrap();
    let waiting = watcher.next("waiting");
    assert_eq!(waiting["reason"], "writing");
    assert!(waiting["message"].as_str().unwrap().contains("a.yaml"), "{waiting}");
    watcher.quiet();
    assert_eq!(revision(&world), 1);
    drop(file);
    watcher.next("synced");
    assert_eq!(comment(&world, "a000"), "two");
    // Who asks takes the files as they are.
    let mut file = OpenOptions::new().write(true).open(world.file("a.yaml")).unwrap();
    file.write_all(accounts(3, "six").as_bytes()).unwrap();
    assert_eq!(watcher.next("waiting")["reason"], "writing");
    watcher.signal(Signal::HUP);
    watcher.until("synced");
    assert_eq!(comment(&world, "a000"), "six");
    drop(file);
    watcher.within(Duration::from_millis(500));
}

/// Reading is not writing, and neither is a file of nobody's.
#[test]
fn a_file_that_is_only_read_holds_nothing_up() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &[]);
    let _reader = File::open(world.file("a.yaml")).unwrap();
    let mut log = File::create(world.file("notes.log")).unwrap();
    log.write_all(b"open").unwrap();
    world.write("b.yaml", "accounts: { b: {} }\n");
    watcher.next("synced");
}

/// Changes that come together are applied together.
#[test]
fn a_sync_waits_until_nothing_changes() {
    let world = project("");
    let mut watcher = Watcher::synced(&world, &["--debounce", "700ms"]);
    for number in 0..12 {
        world.write(&format!("f{number}.yaml"), format!("accounts: {{ f{number}: {{}} }}\n"));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(watcher.next("synced")["summary"]["add"], 12);
    assert_eq!(revision(&world), 2);
}

/// A checkout is not applied before git is done.
#[test]
fn the_lock_of_git_is_waited_for() {
    let world = project("");
    world.write(".git/HEAD", "ref: refs/heads/main\n");
    let mut watcher = Watcher::synced(&world, &[]);
    world.write(".git/index.lock", "");
    world.write("a.yaml", accounts(3, "two"));
    let told = watcher.within(Duration::from_secs(2));
    assert!(told.iter().all(|event| event["event"] != "synced"), "{told:?}");
    assert_eq!(revision(&world), 1);
    world.remove(".git/index.lock");
    watcher.until("synced");
    assert_eq!(comment(&world, "a000"), "two");
}

/// A watcher that is stopped in between takes what has changed meanwhile.
#[test]
fn what_changes_while_nobody_watches_is_found_at_the_start() {
    let world = project("");
    Watcher::synced(&world, &[]).stop();
    world.write("a.yaml", accounts(3, "two"));
    let mut watcher = Watcher::of(&mut command(&world, &[]));
    assert_eq!(watcher.next("synced")["cause"], "start");
    eventually("the new state", || comment(&world, "a000") == "two");
}

/// Many records, and one of them changes: the others stand as they stood.
#[test]
fn one_record_of_many_changes() {
    let world = World::project("generic", FREE);
    let csv = |changed: usize| {
        let row = |number| format!("a{number:05},{}\n", if number == changed { "new" } else { "old" });
        "name,comment\n".to_owned() + &concat(0..5_000, row)
    };
    world.write("a.csv", csv(usize::MAX));
    world.write("b.yaml", accounts(0, ""));
    let mut watcher = Watcher::synced(&world, &[]);
    for changed in [0, 4_999, 2_500, 17] {
        world.write("a.csv", csv(changed));
        let summary = watcher.next("synced")["summary"].clone();
        let overwritten = if changed == 0 { 1 } else { 2 };
        assert_eq!(
            (&summary["overwrite"], &summary["add"], &summary["delete"]),
            (&overwritten.into(), &0.into(), &0.into())
        );
        world.expect(0, &["plan", "--exit-code", "-q"]);
    }
    // A record in the middle goes, others come, the lines shift.
    let text = csv(17)
        .replace("a02500,old\n", "")
        .replace("name,comment\n", "name,comment\nfirst,x\n\"se,\ncond\",\"a\nb\"\n");
    world.write("a.csv", text);
    // A name holds no line end.
    watcher.next("invalid");
    let text = csv(17).replace("a02500,old\n", "").replace("name,comment\n", "name,comment\nfirst,\"a\nb\"\n");
    world.write("a.csv", text);
    let summary = watcher.next("synced")["summary"].clone();
    assert_eq!((&summary["add"], &summary["delete"], &summary["overwrite"]), (&1.into(), &1.into(), &0.into()));
    world.expect(0, &["plan", "--exit-code", "-q"]);
}
