//! One step after the other.

use super::{MOVE, ack, acts, names, next, now, on, project, status, through};
use crate::support::World;

#[test]
fn a_migration_goes_through_its_seven_steps() {
    let world = project(3, MOVE);
    assert_eq!(now(&world), (1, "due".to_owned()));
    next(&world, 0);
    assert_eq!(now(&world), (2, "due".to_owned()));
    next(&world, 0);
    let backup = status(&world)["steps"][1]["evidence"]["folder"].as_str().unwrap().to_owned();
    assert!(backup.starts_with("backups/move-20"), "{backup}");
    assert_eq!(names(&world, &backup), ["MANIFEST.md", "accounts.csv", "manifest.json", "servers.csv"]);
    let csv = std::fs::read_to_string(world.file(&format!("{backup}/accounts.csv"))).unwrap();
    assert_eq!((csv.lines().count(), csv.contains("a2@example.jp"), csv.contains("sesame")), (4, true, false));
    // A backup is no source.
    world.expect(0, &["plan", "--exit-code", "-q"]);
    next(&world, 0);
    assert_eq!(
        std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap(),
        "# Entries on new, made of those on old by `yubin migrate next` (move). Yours to edit.
accounts:
  a0-new:
    server: new
    address: a0@example.jp
    incoming:
      username: a0
      password:
        file: pw
  a1-new:
    server: new
    address: a1@example.jp
    incoming:
      username: a1
      password:
        file: pw
  a2-new:
    server: new
    address: a2@example.jp
    incoming:
      username: a2
      password:
        file: pw
"
    );
    assert_eq!(on(&world, "new"), [""; 0], "declared, and not applied");
    next(&world, 0);
    assert_eq!(on(&world, "new"), ["account/a0-new", "account/a1-new", "account/a2-new"]);
    assert_eq!(now(&world), (5, "waiting".to_owned()));
    let waits = next(&world, 6);
    assert!(waits.stdout.contains("migrate ack 5"), "{}", waits.stdout);
    let said = world.expect(0, &["migrate", "ack", "5", "--note", "ticket 812"]);
    // Nothing is said by a name server here that looks like the new one.
    assert!(said.stderr.contains("migration/dns"), "{}", said.stderr);
    let dns = status(&world)["steps"][4].take();
    assert_eq!((&dns["state"], &dns["actor"], &dns["note"]), (&"done".into(), &"tester".into(), &"ticket 812".into()));
    assert!(dns["evidence"].as_object().unwrap().contains_key("mx localhost"), "{dns}");
    assert_eq!(now(&world), (6, "due".to_owned()));
    world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "looked"]);
    assert_eq!(now(&world), (7, "waiting".to_owned()));
    next(&world, 6);
    ack(&world, 0, "7");
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (3, 3));
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (0, 3));
    assert_eq!(std::fs::read_to_string(world.file("people/a.yaml")).unwrap(), "accounts: {}\n");
    assert_eq!(names(&world, "migrations"), ["move-removed.yaml", "move.yaml"]);
    world.expect(0, &["plan", "--exit-code", "-q"]);
    // All is done: nothing more happens.
    let count = acts(&world).len();
    next(&world, 0);
    assert!(ack(&world, 0, "5").stderr.contains("by tester"));
    world.expect(4, &["migrate", "abandon", "--note", "too late"]);
    assert_eq!(acts(&world).len(), count);
    // The tombstones have done their work.
    world.remove("migrations/move-removed.yaml");
    world.expect(0, &["plan", "--exit-code", "-q"]);
}

#[test]
fn several_steps_are_done_at_once() {
    let world = project(2, MOVE);
    let run = world.expect(0, &["migrate", "next", "--yes", "--until", "4"]);
    assert_eq!(now(&world), (5, "waiting".to_owned()), "{}", run.stderr);
    world.expect(0, &["migrate", "next", "--yes", "--until", "4"]);
    world.expect(6, &["migrate", "next", "--yes", "--until", "7"]);
    world.expect(64, &["migrate", "next", "--until", "8"]);
    let done = world.json(6, &["migrate", "next"]);
    assert_eq!(done["migrations"][0]["step"], 5);
}

/// Without a person, nothing is applied and no file is changed.
#[test]
fn nobody_to_ask_is_no_consent() {
    let world = project(2, MOVE);
    world.expect(4, &["migrate", "next"]);
    world.json(4, &["migrate", "next"]);
    assert_eq!(now(&world), (1, "due".to_owned()));
    through(&world, 6);
    ack(&world, 0, "7");
    let before = std::fs::read_to_string(world.file("people/a.yaml")).unwrap();
    world.expect(4, &["migrate", "next"]);
    assert_eq!(std::fs::read_to_string(world.file("people/a.yaml")).unwrap(), before);
    assert_eq!(on(&world, "old").len(), 2);
}

#[test]
fn words_are_taken_in_their_order_only() {
    let world = project(1, MOVE);
    for step in 1..=7 {
        let run = world.run(&["migrate", "ack", &step.to_string()]);
        assert_eq!(run.code, 4, "{step}: {}", run.stderr);
    }
    through(&world, 4);
    assert!(acts(&world).iter().all(|(_, deed)| deed != "ack"));
    for step in ["6", "7"] {
        assert!(ack(&world, 4, step).stderr.contains("is not due: the migration is at step 5"));
    }
    assert!(ack(&world, 0, "4").stderr.contains("done already, by tester"));
    world.expect(64, &["migrate", "ack", "5", "--server-id", "3"]);
    world.expect(64, &["migrate", "ack", "8"]);
    ack(&world, 0, "5");
    // A word without a look is none.
    assert!(ack(&world, 4, "6").stderr.contains("--without-probe"));
    world.expect(64, &["migrate", "ack", "6", "--without-probe"]);
    // Without the hosts that may be probed, no probe.
    world.expect(64, &["migrate", "next", "--yes"]);
    let long = "x".repeat(2000);
    world.expect(64, &["migrate", "ack", "6", "--without-probe", "--note", &long]);
}

/// What is no more true opens its step again.
#[test]
fn who_comes_late_moves_as_well() {
    let world = project(1, MOVE);
    through(&world, 6);
    let late = "accounts: { late: { server: old, address: late@example.jp, incoming: { password: { file: pw } } } }\n";
    world.write("late.yaml", late);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(now(&world), (2, "due".to_owned()), "the backup has it not");
    assert!(ack(&world, 4, "7").stderr.contains("is at step 2"));
    world.expect(0, &["migrate", "next", "--yes", "--until", "4"]);
    assert_eq!(names(&world, "migrations"), ["move-2.yaml", "move.yaml"]);
    assert_eq!(now(&world), (5, "waiting".to_owned()), "nobody has looked at DNS and probe for it");
    words(&world);
    assert_eq!(on(&world, "new"), ["account/a0-new", "account/late-new"]);
    through_the_end(&world);
}

/// Those of steps 5 and 6.
#[track_caller]
fn words(world: &World) {
    ack(world, 0, "5");
    world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "looked"]);
    assert_eq!(now(world), (7, "waiting".to_owned()));
}

/// Consent to the end of some is none to the end of others.
#[test]
fn consent_is_for_the_accounts_it_was_given_for() {
    let world = project(4, "migrations: { move: { from: old, to: new, domains: [localhost], accounts: [a0, a1] } }\n");
    through(&world, 7);
    assert_eq!(on(&world, "old"), ["account/a2", "account/a3"]);
    let yaml = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", yaml.replace("[a0, a1]", "all"));
    assert_eq!(now(&world), (2, "due".to_owned()));
    world.expect(6, &["migrate", "next", "--until", "7", "--yes"]);
    assert_eq!(now(&world), (5, "waiting".to_owned()));
    assert_eq!(on(&world, "old"), ["account/a2", "account/a3"]);
    words(&world);
    through_the_end(&world);
}

/// It holds for what is left of them, and for nobody who has come since.
#[test]
fn consent_holds_while_it_is_carried_out() {
    let world = project(3, MOVE);
    through(&world, 6);
    ack(&world, 0, "7");
    let people = std::fs::read_to_string(world.file("people/a.yaml")).unwrap();
    let without: Vec<&str> = people.lines().filter(|line| !line.contains("a1:")).collect();
    world.write("people/a.yaml", without.join("\n") + "\n  a1: { absent: true }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(now(&world), (7, "due".to_owned()));
    let late = "accounts: { late: { server: old, address: late@example.jp, incoming: { password: { file: pw } } } }\n";
    world.write("late.yaml", late);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(now(&world), (2, "due".to_owned()));
    world.write("late.yaml", "accounts: { late: { absent: true } }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
}

#[track_caller]
fn through_the_end(world: &World) {
    ack(world, 0, "7");
    next(world, 0);
    assert_eq!(now(world), (0, "closed".to_owned()));
    assert_eq!(on(world, "old").len(), 0);
}

#[test]
fn a_backup_that_is_gone_or_changed_is_written_again() {
    let world = project(1, MOVE);
    through(&world, 4);
    let backup = status(&world)["steps"][1]["evidence"]["folder"].as_str().unwrap().to_owned();
    world.write(&format!("{backup}/.DS_Store"), "what a file manager leaves behind");
    assert_eq!(now(&world), (5, "waiting".to_owned()));
    world.write(&format!("{backup}/accounts.csv"), "kind,user,name\n");
    assert_eq!(now(&world), (2, "due".to_owned()));
    next(&world, 0);
    assert_eq!(now(&world), (5, "waiting".to_owned()));
    // It is never overwritten.
    let again = status(&world)["steps"][1]["evidence"]["folder"].as_str().unwrap().to_owned();
    assert_eq!(again, format!("{backup}-2"));
    assert_eq!(std::fs::read_to_string(world.file(&format!("{backup}/accounts.csv"))).unwrap(), "kind,user,name\n");
}

#[test]
fn what_is_undeclared_is_deleted_without_tombstones() {
    let world = project(2, &format!("policy: {{ undeclared: delete }}\n{MOVE}"));
    through(&world, 7);
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!(names(&world, "migrations"), ["move.yaml"]);
    world.expect(0, &["plan", "--exit-code", "-q"]);
}

/// Consent to the end is not consent to any number.
#[test]
fn limits_hold_in_the_end() {
    let world = project(12, &format!("policy: {{ max_deletes: {{ account: 5 }} }}\n{MOVE}"));
    through(&world, 6);
    ack(&world, 0, "7");
    let people = std::fs::read_to_string(world.file("people/a.yaml")).unwrap();
    let refused = world.json(4, &["migrate", "next", "--yes"]);
    assert_eq!(refused["refused"][0]["rule"], "max_deletes");
    let digest = refused["digest"].as_str().unwrap();
    assert_eq!(on(&world, "old").len(), 12);
    // No other plan may do what this one may not.
    assert_eq!(std::fs::read_to_string(world.file("people/a.yaml")).unwrap(), people);
    assert_eq!(names(&world, "migrations"), ["move.yaml"]);
    world.expect(0, &["plan", "--exit-code", "-q"]);
    world.expect(4, &["migrate", "next", "--yes", "--ack", &"0".repeat(64)]);
    world.expect(0, &["migrate", "next", "--ack", digest]);
    // The digest was that of the accounts; the server is another plan.
    assert_eq!((on(&world, "old").len(), now(&world)), (0, (7, "due".to_owned())));
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
}

/// What can still be brought back holds the end up.
#[test]
fn a_grace_is_waited_for() {
    let world = project(2, &format!("policy: {{ delete: after 1h }}\n{MOVE}"));
    through(&world, 6);
    ack(&world, 0, "7");
    next(&world, 0);
    assert_eq!(now(&world), (7, "waiting".to_owned()));
    next(&world, 6);
    assert!(world.expect(0, &["migrate", "status"]).stdout.contains("2 old entries are disabled"));
    let past = "UPDATE revision SET at = '2020-01-01T00:00:00Z'";
    crate::cli::database(&world).execute_batch(past).unwrap();
    world.expect(0, &["apply", "--yes", "-q"]);
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
}

#[test]
fn some_accounts_move_with_other_names_and_users() {
    let more = "migrations:\n  move: { from: old, to: new, accounts: [\"a[01]\"], as: \"{to}.{name}\", username: \"{local}@new\" }\n";
    let world = project(3, more);
    through(&world, 4);
    assert_eq!(on(&world, "new"), ["account/new.a0", "account/new.a1"]);
    assert_eq!(crate::cli::shown(&world, "account/new.a0")["incoming.username"], "a0@new");
    // `a2` still uses the old server, which therefore stays.
    world.expect(0, &["migrate", "ack", "5"]);
    world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "x"]);
    ack(&world, 0, "7");
    let run = next(&world, 0);
    assert!(run.stdout.contains("1 more that do not move use the old server"), "{}", run.stdout);
    next(&world, 6);
    assert_eq!(on(&world, "old"), ["account/a2"]);
    let text = std::fs::read_to_string(world.file("people/a.yaml")).unwrap();
    world.write("people/a.yaml", text.replace("server: old", "server: new"));
    world.expect(0, &["apply", "--yes", "-q"]);
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
}

#[test]
fn entries_take_over_what_is_declared() {
    let world = project(0, MOVE);
    world.write(
        "people/a.yaml",
        "defaults:\n  accounts: { server: old }\naccounts:\n  a:\n    comment: 'yes'\n    purge_mail: once\n    protected: true\n    \
         forward: { enabled: true, to: [x@example.jp, y@example.jp], keep_copy: false }\n    signature: |\n      Taro\n      -- \n    \
         outgoing: { host: other.example.jp, auth: { username: a, password: { file: pw } } }\n    \
         incoming: { username: a, password: { file: pw }, port: 10143 }\n",
    );
    world.write(
        "people/b.csv",
        "kind,name,server,comment,capacity,visible,forward.to,incoming.password\naccount,b,old,\"007, =x\",5,true,x@example.jp;y@example.jp,${file:pw}\n",
    );
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["migrate", "next", "--yes", "--until", "4"]);
    let (old, new) = (crate::cli::shown(&world, "account/a"), crate::cli::shown(&world, "account/a-new"));
    for field in ["comment", "protected", "forward.enabled", "forward.to", "forward.keep_copy", "signature"] {
        assert_eq!(old[field], new[field], "{field}");
    }
    assert_eq!(new["comment"], "yes");
    // A mailbox is not emptied because another was.
    assert!(new["purge_mail"].is_null() && new["incoming.port"].is_null(), "{new}");
    assert_eq!(new["outgoing.host"], "new.example.jp");
    assert_eq!(new["outgoing.auth.username"], "a");
    let (old, new) = (crate::cli::shown(&world, "account/b"), crate::cli::shown(&world, "account/b-new"));
    for field in ["comment", "capacity", "visible", "forward.to"] {
        assert_eq!(old[field], new[field], "{field}");
    }
}

#[test]
fn an_abandoned_migration_lets_its_server_go() {
    let world = project(1, MOVE);
    through(&world, 2);
    world.expect(64, &["migrate", "abandon"]);
    world.expect(0, &["migrate", "abandon", "--note", "not this year"]);
    assert_eq!(now(&world), (0, "abandoned".to_owned()));
    next(&world, 0);
    assert_eq!(names(&world, "migrations"), [""; 0]);
    world.write("people/a.yaml", "accounts: { a0: { absent: true } }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("servers.yaml", super::servers(&["new"]) + "  old: { absent: true }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
}

#[test]
fn the_sheet_is_that_of_the_document() {
    let world = project(2, MOVE);
    through(&world, 2);
    let sheet = world.expect(0, &["migrate", "sheet", "--lang", "ja"]).stdout;
    assert!(sheet.starts_with("# メールサーバー移行 チェックシート: move\n"), "{sheet}");
    assert!(sheet.contains("| ☑ | 2 | 登録されているメールアカウントをCSVファイルに書き出します。"), "{sheet}");
    assert!(sheet.contains("| ☐ | 5 | DNS情報を切り替えます。"), "{sheet}");
    assert!(sheet.contains("| ☐ | account/a1 | account/a1-new |"), "{sheet}");
    assert_eq!(world.expect(0, &["migrate", "sheet", "--lang", "ja", "--format", "markdown"]).stdout, sheet);
    let page = world.expect(0, &["migrate", "sheet", "--format", "html"]).stdout;
    assert!(page.starts_with("<!doctype html>") && page.matches('☑').count() == 2, "{page}");
    assert!(!page.contains("<script"));
    // Of many, the count.
    let many = project(51, MOVE);
    let sheet = many.expect(0, &["migrate", "sheet"]).stdout;
    assert!(sheet.contains("51 accounts") && !sheet.contains("account/a1"), "{sheet}");
    many.expect(64, &["migrate", "status", "--format", "html"]);
}
