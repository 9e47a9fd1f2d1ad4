//! `yubin store rekey`: everything that is sealed, under another key, or nothing of it.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value as Json;

use super::{catchme, concat, database, expect_with, mode, private, revision, row, run_with};
use crate::support::World;

const REKEY: [&str; 4] = ["store", "rekey", "--yes", "-q"];
const KEY_FILE: &str = "yubin.db.key";
const PW: &[(&str, &str)] = &[("PW", "open sesame")];

fn key(world: &World) -> String {
    std::fs::read_to_string(world.file(KEY_FILE)).unwrap()
}

/// What the product would get: all client passwords, in clear.
#[track_caller]
fn opened(world: &World, variables: &[(&str, &str)]) -> String {
    expect_with(world, 0, variables, &["export", "catchme-mail", "--all", "--out", "opened.csv", "-q"]);
    let text = std::fs::read_to_string(world.file("opened.csv")).unwrap();
    world.remove("opened.csv");
    text
}

/// Records of CatchMe@MAIL, two with passwords of their own, applied with an old password and then this one.
fn patterns() -> World {
    let world = catchme("sources: [people.csv]\npolicy: { plaintext_secrets: allow }\n");
    world.write(
        "people.csv",
        row("taro", "p1") + &row("jiro", "p1") + &row("hana", "p1").replace("${file:pw}", "in-clear"),
    );
    private(&world, "pw", "the old one\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    private(&world, "pw", "open sesame\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world
}

/// Every kind of secret, from YAML and CSV, each set twice.
fn everything() -> World {
    let world = World::project("generic", "sources: [a.yaml, b.csv]\npolicy: { plaintext_secrets: allow }\n");
    world.write(
        "a.yaml",
        "servers: { s: { outgoing: { auth: { enabled: true, credentials: own, username: u, password: { env: PW } } } } }
accounts: { a: { password: { env: PW }, incoming: { password: { env: PW } } } }
patterns: { u: { p: { server: s, incoming: { password: { env: PW } } } } }
",
    );
    world.write("b.csv", "name,password,incoming.password,comment\nc,${env:PW},${env:PW},x\nd,in clear,,x\n");
    expect_with(&world, 0, &[("PW", "the old one")], &["apply", "--yes", "-q"]);
    expect_with(&world, 0, PW, &["apply", "--yes", "-q"]);
    world
}

/// All that is sealed, of the current state and of the history; and all that is not.
fn content(world: &World) -> (Vec<Vec<u8>>, Vec<String>) {
    let database = database(world);
    let names = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (mut sealed, mut open) = (Vec::new(), Vec::new());
    for table in names("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
    {
        let columns = |wanted: &str| {
            let but = "name NOT IN ('yubin_declared', 'key_id')";
            names(&format!("SELECT name FROM pragma_table_info('{table}') WHERE {wanted} AND {but}"))
        };
        let order = if table.ends_with("_history") { "rowid" } else { "1" };
        for column in columns("type = 'BLOB' AND name LIKE '%password%'") {
            let sql = format!("SELECT {column}, name FROM {table} WHERE {column} IS NOT NULL");
            let mut statement = database.prepare(&sql).unwrap();
            let found = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
            sealed.extend(found.map(Result::unwrap));
        }
        let list: Vec<String> = columns("type <> 'BLOB'").iter().map(|name| format!("quote({name})")).collect();
        if !list.is_empty() {
            let sql = format!("SELECT concat_ws('|', '{table}', {}) FROM {table} ORDER BY {order}", list.join(", "));
            open.extend(names(&sql));
        }
    }
    (sealed, open)
}

#[test]
fn all_that_was_sealed_is_sealed_anew_and_opens() {
    let world = patterns();
    let (before, old) = (opened(&world, &[]), key(&world));
    assert!(before.contains("open sesame") && before.contains("in-clear"));
    let run = world.expect(0, &["store", "rekey", "--yes"]);
    assert_ne!(key(&world), old);
    assert_eq!(key(&world).trim().len(), 64);
    assert_eq!(mode(&world, KEY_FILE), 0o600);
    for text in [old.trim(), key(&world).trim(), "open sesame"] {
        assert!(!run.stdout.contains(text) && !run.stderr.contains(text), "{}{}", run.stdout, run.stderr);
    }
    assert_eq!(opened(&world, &[]), before);
    world.expect(0, &["plan", "--exit-code"]);
    // And again.
    world.expect(0, &REKEY);
    assert_eq!(opened(&world, &[]), before);
    world.expect(0, &["plan", "--exit-code"]);
}

#[test]
fn nothing_sealed_is_left_as_it_was_and_all_else_is() {
    let world = everything();
    let (shown, log) = (world.json(0, &["show"]), world.json(0, &["log"]));
    let (sealed, open) = content(&world);
    world.expect(0, &REKEY);
    let (resealed, still) = content(&world);
    assert_eq!(sealed.len(), resealed.len());
    assert!(sealed.len() >= 12, "{}", sealed.len());
    for one in &sealed {
        assert!(!resealed.contains(one), "a sealed value is still under the old key");
    }
    assert_eq!(still, open, "something else than secrets was touched");
    assert_eq!(world.json(0, &["show"]), shown);
    assert_eq!(world.json(0, &["log"]), log, "a rekey is no revision");
}

#[test]
fn a_plan_afterwards_is_empty() {
    let world = everything();
    world.expect(0, &REKEY);
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    assert_eq!(revision(&world), 2);
    // And a change is still seen to be one, in each place.
    let run = expect_with(&world, 0, &[("PW", "a third one")], &["plan", "--format", "json"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    let fields = plan["changes"].as_array().unwrap().iter().flat_map(|change| change["fields"].as_array().unwrap());
    assert!(fields.clone().all(|field| field["change"] == "changed"), "{plan}");
    assert_eq!(fields.count(), 7, "{plan}");
    expect_with(&world, 0, &[("PW", "a third one")], &["apply", "--yes", "-q"]);
    expect_with(&world, 0, &[("PW", "a third one")], &["plan", "--exit-code"]);
}

#[test]
fn a_change_of_a_csv_file_is_seen_afterwards() {
    let world = everything();
    world.expect(0, &REKEY);
    let text = std::fs::read_to_string(world.file("b.csv")).unwrap();
    world.write("b.csv", text.replace("in clear", "in klar"));
    let run = expect_with(&world, 0, PW, &["plan", "--format", "json"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(super::actions(&plan), ["overwrite account/d"]);
}

/// Images in the log are sealed anew: an undo brings the old password back.
#[test]
fn an_undo_afterwards_restores_the_old_password() {
    let world = patterns();
    world.expect(0, &REKEY);
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    let text = opened(&world, &[]);
    assert_eq!((text.matches("the old one").count(), text.matches("open sesame").count()), (2, 0), "{text}");
    private(&world, "pw", "the old one");
    world.expect(0, &["plan", "--exit-code"]);
    // Of mailbox passwords the proof is sealed anew, and the hash is what it was.
    let world = everything();
    let hash = |world: &World| -> String {
        database(world).query_row("SELECT password FROM account WHERE name = 'a'", [], |row| row.get(0)).unwrap()
    };
    let before = hash(&world);
    world.expect(0, &REKEY);
    assert_eq!(hash(&world), before);
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    assert_ne!(hash(&world), before);
    expect_with(&world, 0, &[("PW", "the old one")], &["plan", "--exit-code"]);
}

#[test]
fn the_old_key_is_refused_and_changes_nothing() {
    let world = everything();
    let old = key(&world);
    world.expect(0, &REKEY);
    let (new, before) = (key(&world), content(&world));
    let given = [PW, &[("YUBIN_KEY", old.trim())]].concat();
    private(&world, "old.key", &old);
    private(&world, "next.key", &"0123456789abcdef".repeat(4));
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["undo", "2", "--yes"],
        &["export", "catchme-mail", "--all", "--out", "up.csv"],
        &["store", "rekey", "--yes", "--to", "next.key"],
    ] {
        let run = expect_with(&world, 1, &given, args);
        assert!(run.stderr.contains("key") && !run.stderr.contains(old.trim()), "{}", run.stderr);
        expect_with(&world, 1, &[PW, &[("YUBIN_KEY_FILE", "old.key")]].concat(), args);
        assert!(!world.file("up.csv").exists());
    }
    assert_eq!((key(&world), content(&world)), (new, before));
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
}

// --- Where keys come from and go to --------------------------------------------------------

#[test]
fn to_takes_the_key_of_a_file() {
    let world = patterns();
    let before = opened(&world, &[]);
    let next = "0123456789abcdef".repeat(4);
    private(&world, "keys/next", &format!("{next}\n"));
    world.expect(0, &["store", "rekey", "--yes", "--to", "keys/next"]);
    assert_eq!(key(&world).trim(), next, "the key file is replaced");
    assert_eq!(mode(&world, KEY_FILE), 0o600);
    assert_eq!(std::fs::read_to_string(world.file("keys/next")).unwrap(), format!("{next}\n"));
    for variables in [&[][..], &[("YUBIN_KEY", next.as_str())], &[("YUBIN_KEY_FILE", "keys/next")]] {
        assert_eq!(opened(&world, variables), before);
        expect_with(&world, 0, variables, &["plan", "--exit-code"]);
    }
    // To the key that it has: whatever is said of it, it stays open.
    world.run(&["store", "rekey", "--yes", "--to", "keys/next"]);
    assert_eq!(opened(&world, &[]), before);
}

#[test]
fn a_key_that_cannot_be_had_changes_nothing() {
    let world = patterns();
    let (old, before) = (key(&world), content(&world));
    private(&world, "broken.key", "no key at all");
    private(&world, "short.key", "0123456789abcdef");
    private(&world, "empty.key", "");
    std::fs::create_dir(world.file("folder.key")).unwrap();
    for to in ["missing.key", "broken.key", "short.key", "empty.key", "folder.key"] {
        let run = world.expect(1, &["store", "rekey", "--yes", "--to", to]);
        assert!(run.stderr.contains(to) && !run.stderr.contains("no key at all"), "{}", run.stderr);
        assert_eq!((key(&world), content(&world)), (old.clone(), before.clone()), "{to}");
    }
    assert!(!world.file("missing.key").exists());
    // A wrong key, garbage, or none before it.
    let wrong = "f".repeat(64);
    private(&world, "next.key", &"0123456789abcdef".repeat(4));
    for given in [wrong.as_str(), "abc"] {
        let run = expect_with(&world, 1, &[("YUBIN_KEY", given)], &["store", "rekey", "--yes", "--to", "next.key"]);
        assert!(run.stderr.contains("key") && !run.stderr.contains(&wrong), "{}", run.stderr);
    }
    private(&world, KEY_FILE, &wrong);
    world.expect(1, &REKEY);
    assert_eq!(key(&world), wrong);
    world.remove(KEY_FILE);
    world.expect(1, &REKEY);
    world.expect(1, &["store", "rekey", "--yes", "--to", "next.key"]);
    assert!(!world.file(KEY_FILE).exists(), "a key was made for a store that has one");
    private(&world, KEY_FILE, &old);
    assert_eq!(content(&world), before);
    world.expect(0, &["plan", "--exit-code"]);
}

#[test]
fn a_key_of_the_environment_needs_to() {
    let world = patterns();
    let (before, old) = (opened(&world, &[]), key(&world));
    let old = old.trim();
    let sealed = content(&world);
    world.remove(KEY_FILE);
    let run = expect_with(&world, 64, &[("YUBIN_KEY", old)], &REKEY);
    assert!(run.stderr.contains("--to"), "{}", run.stderr);
    assert_eq!(content(&world), sealed);
    private(&world, "next.key", &"0123456789abcdef".repeat(4));
    expect_with(&world, 0, &[("YUBIN_KEY", old)], &["store", "rekey", "--yes", "--to", "next.key"]);
    assert!(!world.file(KEY_FILE).exists(), "nobody asked for a key file");
    assert_eq!(opened(&world, &[("YUBIN_KEY_FILE", "next.key")]), before);
    expect_with(&world, 1, &[("YUBIN_KEY", old)], &["plan"]);
}

#[test]
fn a_named_key_file_is_the_one_that_is_replaced() {
    let world = patterns();
    let before = opened(&world, &[]);
    std::fs::create_dir(world.file("keys")).unwrap();
    std::fs::rename(world.file(KEY_FILE), world.file("keys/mine")).unwrap();
    let old = std::fs::read(world.file("keys/mine")).unwrap();
    let named = [("YUBIN_KEY_FILE", "keys/mine")];
    expect_with(&world, 0, &named, &REKEY);
    assert_ne!(std::fs::read(world.file("keys/mine")).unwrap(), old);
    assert_eq!(mode(&world, "keys/mine"), 0o600);
    assert!(!world.file(KEY_FILE).exists());
    assert_eq!(opened(&world, &named), before);
    // The old one stays beside it, and nothing else.
    assert_eq!(std::fs::read_dir(world.file("keys")).unwrap().count(), 2);
}

/// Whatever mode the old file had.
#[test]
fn the_new_key_file_is_private() {
    let world = patterns();
    std::fs::set_permissions(world.file(KEY_FILE), std::fs::Permissions::from_mode(0o644)).unwrap();
    world.expect(0, &REKEY);
    assert_eq!(mode(&world, KEY_FILE), 0o600);
    let keys = std::fs::read_dir(world.path()).unwrap().filter_map(Result::ok);
    let names: Vec<String> = keys.map(|one| one.file_name().into_string().unwrap()).collect();
    let names: Vec<&String> = names.iter().filter(|name| name.contains("key")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| mode(&world, name) == 0o600), "{names:?}");
}

// --- Consent, others at work ---------------------------------------------------------------

#[test]
fn a_rekey_needs_consent() {
    let world = patterns();
    let (old, before) = (key(&world), content(&world));
    private(&world, "next.key", &"0123456789abcdef".repeat(4));
    for args in
        [&["store", "rekey"][..], &["store", "rekey", "--to", "next.key"], &["store", "rekey", "--format", "json"]]
    {
        world.expect(4, args);
        assert_eq!((key(&world), content(&world)), (old.clone(), before.clone()));
    }
    world.expect(0, &["plan", "--exit-code"]);
}

#[test]
fn an_apply_under_way_is_waited_for_and_then_named() {
    let world = patterns();
    let old = key(&world);
    let writer = database(&world);
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE pattern SET organization = 'half'").unwrap();
    world.expect(5, &["store", "rekey", "--yes"]);
    assert_eq!(key(&world), old);
    writer.execute_batch("ROLLBACK").unwrap();
    world.expect(0, &["plan", "--exit-code"]);
    world.expect(0, &REKEY);
    world.expect(0, &["plan", "--exit-code"]);
}

/// What it says of its secrets is keyed, and nobody can tell any more whether they are the same.
#[test]
fn a_plan_made_before_is_to_be_made_again() {
    let world = everything();
    let text = std::fs::read_to_string(world.file("b.csv")).unwrap();
    world.write("b.csv", text.replace(",x\n", ",y\n"));
    expect_with(&world, 0, PW, &["plan", "--out", "saved.plan"]);
    world.expect(0, &REKEY);
    expect_with(&world, 5, &[("PW", "another one")], &["apply", "saved.plan"]);
    expect_with(&world, 5, PW, &["apply", "saved.plan"]);
    expect_with(&world, 0, PW, &["plan", "--out", "saved.plan"]);
    expect_with(&world, 0, PW, &["apply", "saved.plan"]);
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
}

/// What other software wrote, and does not open, stays what it is and holds nothing up.
#[test]
fn a_value_that_does_not_open_is_told_or_kept() {
    let world = patterns();
    database(&world).execute("UPDATE pattern SET incoming_password = X'00' WHERE user = 'taro'", []).unwrap();
    let old = key(&world);
    let run = world.run(&["store", "rekey", "--yes"]);
    assert!(matches!(run.code, 0 | 1), "{}", run.stderr);
    assert_eq!(key(&world) == old, run.code == 1, "{}", run.stderr);
    assert_eq!(super::actions(&world.json(0, &["plan"])), ["overwrite pattern/taro/p1"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["plan", "--exit-code"]);
}

/// Old passwords stay refused: what they are compared by is sealed anew too.
#[test]
fn the_history_of_passwords_is_kept() {
    let world = World::project("generic", "policy: { plaintext_secrets: allow, passwords: { history: 3 } }\n");
    world.write("a.yaml", "accounts: { a: { password: { env: PW } } }\n");
    for password in ["gt5Rkw82zP", "tulip-mango-7", "Vm4.quarzuhr"] {
        expect_with(&world, 0, &[("PW", password)], &["apply", "--yes", "-q"]);
    }
    world.expect(0, &REKEY);
    for password in ["gt5Rkw82zP", "tulip-mango-8"] {
        let run = run_with(&world, &[("PW", password)], &["plan", "--format", "json"]);
        assert_eq!(run.code, 3, "{password}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("password/history"), "{}", run.stdout);
    }
}

// --- Kills ---------------------------------------------------------------------------------

/// Whenever it is killed, the key file that stands there opens the store.
#[test]
fn a_killed_rekey_leaves_a_store_and_a_key_that_belong_together() {
    const MANY: usize = 3000;
    let world = catchme("sources: [people.csv]\n");
    private(&world, "next.key", &"0123456789abcdef".repeat(4));
    for organization in ["old", "new"] {
        world.write("people.csv", concat(0..MANY, |n| row("taro", &format!("p{n:04}")).replace("send", organization)));
        world.expect(0, &["apply", "--yes", "-q"]);
    }
    let before = opened(&world, &[]);
    let start = Instant::now();
    let first = key(&world);
    world.expect(0, &REKEY);
    let whole = start.elapsed();
    assert_ne!(key(&world), first);
    let (mut same, mut moved) = (0, 0);
    for number in 0..16_u32 {
        let to = if number % 4 == 3 { &["--to", "next.key"][..] } else { &[] };
        let old = key(&world);
        // Half of the kills in the last part, where it commits; off the grid by a little each time.
        let step = f64::from(number / 2) / 7.0;
        let jitter = f64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_micros() % 100) / 3_000.0;
        let part = if number % 2 == 0 { step * 1.1 } else { 0.6 + step * 0.45 };
        let mut command = world.command(&[&REKEY[..], to].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(part + jitter));
        let _ = child.kill();
        child.wait().unwrap();
        world.expect(0, &["plan", "--exit-code", "-q"]);
        if number % 4 == 0 {
            assert_eq!(opened(&world, &[]), before, "killed after {part:.2} of {whole:?}");
        }
        assert_eq!(mode(&world, KEY_FILE), 0o600);
        *(if key(&world) == old { &mut same } else { &mut moved }) += 1;
    }
    assert!(same > 0, "no kill came early enough: {same} {moved}");
    // The one who was killed holds nothing up. Beside the key stand those of before, and some that were never taken.
    world.expect(0, &REKEY);
    assert_eq!(opened(&world, &[]), before);
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    for name in std::fs::read_dir(world.path()).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()) {
        let Some(kind) = name.strip_prefix(KEY_FILE) else { continue };
        assert!(kind.is_empty() || kind.starts_with(".old.") || kind.starts_with(".next."), "{name}");
        assert_eq!(mode(&world, &name), 0o600, "{name}");
    }
}

/// Each takes the key that it finds, or gives way.
#[test]
fn two_at_once_leave_a_store_that_opens() {
    let world = patterns();
    let before = opened(&world, &[]);
    for _ in 0..4 {
        let old = key(&world);
        let children: Vec<_> = (0..3)
            .map(|_| {
                let mut command = world.command(&REKEY);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let mut codes = Vec::new();
        for child in children {
            let output = child.wait_with_output().unwrap();
            codes.push(output.status.code());
            // One that comes late reads the old key file and meets a store that has another key.
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1 | 5)), "{text}");
        }
        assert!(codes.contains(&Some(0)), "{codes:?}");
        assert_ne!(key(&world), old);
        world.expect(0, &["plan", "--exit-code", "-q"]);
        assert_eq!(opened(&world, &[]), before);
    }
}

/// It does not wait for ever, whatever the number of values.
#[test]
fn a_rekey_of_nothing_is_quick() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    let start = Instant::now();
    let run = world.run(&["store", "rekey", "--yes"]);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(matches!(run.code, 0 | 1), "{}", run.stderr);
    world.expect(0, &["plan", "--exit-code"]);
}

/// Digests of records are keyed too. An apply that has nothing else to do learns them anew, and a plan does not.
#[test]
fn records_are_recognised_again_after_the_next_apply() {
    let world = World::project("generic", "sources: [a.csv]\n");
    world.write("a.csv", "name,comment,incoming.password\na,x,${env:PW}\nb,y,\n");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let known = || -> (i64, i64) {
        let sql = "SELECT count(yubin_declared), (SELECT outside_writes FROM meta) FROM account";
        database(&world).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(known(), (2, 0));
    world.expect(0, &REKEY);
    assert_eq!(known(), (0, 0));
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
    assert_eq!(known(), (0, 0));
    expect_with(&world, 0, PW, &["apply"]);
    assert_eq!((known(), revision(&world)), ((2, 0), 1));
    // What they cover is the secret, too.
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
    expect_with(&world, 2, &[("PW", "another one")], &["plan", "--exit-code"]);
    expect_with(&world, 3, &[], &["plan", "--exit-code"]);
}

/// Backups of the store need the old key, and nothing else that stands beside it is touched.
#[test]
fn the_old_key_stays_beside_the_new_one() {
    let world = patterns();
    let first = key(&world);
    private(&world, "yubin.db.key.0123456789abcdef", "an archived key\n");
    std::fs::copy(world.file("yubin.db"), world.file("backup.db")).unwrap();
    let before = opened(&world, &[]);
    let run = world.expect(0, &["store", "rekey", "--yes"]);
    let name =
        run.stderr.split_whitespace().find(|word| word.contains(".old.")).unwrap().trim_end_matches(';').to_owned();
    assert_eq!(std::fs::read_to_string(&name).unwrap(), first);
    assert!(world.file("yubin.db.key.0123456789abcdef").exists());
    let with_old = [("YUBIN_KEY_FILE", name.as_str()), ("YUBIN_STORE", "sqlite:backup.db")];
    assert_eq!(opened(&world, &with_old), before);
    // It is no password of a mailbox, either.
    let name = name.rsplit('/').next().unwrap();
    let text = row("taro", "p1").replace("file:pw", &format!("file:{name}"));
    world.write("people.csv", text);
    let run = world.run(&["plan"]);
    assert!(run.code == 3 && run.stderr.contains("secret/outside"), "{}", run.stderr);
}

#[test]
fn a_key_behind_a_link_is_replaced_where_it_stands() {
    let world = everything();
    std::fs::create_dir(world.file("keys")).unwrap();
    std::fs::rename(world.file(KEY_FILE), world.file("keys/yubin")).unwrap();
    std::os::unix::fs::symlink("keys/yubin", world.file(KEY_FILE)).unwrap();
    let first = key(&world);
    world.expect(0, &REKEY);
    assert!(std::fs::symlink_metadata(world.file(KEY_FILE)).unwrap().is_symlink());
    assert_ne!(key(&world), first);
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
}
