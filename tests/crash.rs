//! Kills, full disks, locks: afterwards the store is what it was, or what it was to become.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags};

use yubin::model::{Address, Clear, Key, Kind};
use yubin::vault::{KeySource, Vault};

use crate::support::{Run, World};

const MANY: usize = 20_000;

/// Patterns that all have this organization.
fn patterns(count: usize, organization: &str) -> String {
    let mut csv = "user,name,organization,incoming.host,outgoing.host\n".to_owned();
    for number in 0..count {
        writeln!(csv, "u{:03},p{number:05},{organization},pop.xxx.jp,smtp.xxx.jp", number % 997).unwrap();
    }
    csv
}

/// Everything in the database but the time of day, or `nothing`.
fn content(world: &World) -> String {
    let path = world.file("yubin.db");
    if !path.exists() {
        return "nothing".to_owned();
    }
    let connection = Connection::open(path).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let names = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    let tables = names("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name");
    if tables.is_empty() {
        return "nothing".to_owned();
    }
    let mut hasher = blake3::Hasher::new();
    // Tables, indexes, and the triggers that notice other software.
    for sql in names("SELECT concat_ws(' ', type, name, sql) FROM sqlite_schema ORDER BY name") {
        hasher.update(sql.as_bytes());
    }
    let mut counts = String::new();
    for table in tables {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}') WHERE name <> 'at'"));
        let sql = format!("SELECT concat_ws('|', {}) FROM {table}", columns.join(", "));
        let mut statement = connection.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut count = 0;
        while let Some(row) = rows.next().unwrap() {
            count += 1;
            // Digests are bytes that are no text.
            hasher.update(row.get_ref(0).unwrap().as_bytes().unwrap());
            hasher.update(b"\n");
        }
        write!(counts, "{table} {count}, ").unwrap();
    }
    format!("{counts}{}", hasher.finalize().to_hex())
}

fn restore(world: &World) {
    for name in ["yubin.db-wal", "yubin.db-shm"] {
        let _ = std::fs::remove_file(world.file(name));
    }
    std::fs::copy(world.file("old"), world.file("yubin.db")).unwrap();
}

/// A store of many patterns, and files that change every one of them.
fn about_to_change(count: usize) -> World {
    let world = World::project("generic", "");
    world.write("a.csv", patterns(count, "old"));
    world.expect(0, &["apply", "--yes", "-q"]);
    std::fs::copy(world.file("yubin.db"), world.file("old")).unwrap();
    world.write("a.csv", patterns(count, "new"));
    world
}

/// Delays over a whole run and a little more, half of them in its last part, where it writes.
fn delays(whole: Duration, count: u32) -> impl Iterator<Item = Duration> {
    (0..count).map(move |number| {
        let step = f64::from(number / 2) / f64::from((count / 2).max(2) - 1);
        // Off the grid by a little, in another way in each run.
        let jitter = f64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_micros() % 100) / 3_000.0;
        let part = if number % 2 == 0 { step * 1.1 } else { 0.45 + step * 0.6 };
        whole.mul_f64(part + jitter)
    })
}

fn kill_after(world: &World, delay: Duration) {
    let mut command = world.command(&["apply", "--yes", "-q"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_killed_apply_leaves_the_old_state_or_the_new_one() {
    let world = about_to_change(MANY);
    let old = content(&world);
    let start = Instant::now();
    world.expect(0, &["apply", "--yes", "-q"]);
    let whole = start.elapsed();
    let new = content(&world);
    assert_ne!(old, new);
    restore(&world);
    let mut seen = [0, 0];
    for delay in delays(whole, 24) {
        kill_after(&world, delay);
        let found = content(&world);
        assert!(found == old || found == new, "killed after {delay:?}: {found}\nold {old}\nnew {new}");
        seen[usize::from(found == new)] += 1;
        if found == new {
            restore(&world);
        }
    }
    assert!(seen[0] > 0, "no kill came early enough: {seen:?}");
    // The one who was killed holds nothing up.
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(content(&world), new);
    world.expect(0, &["plan", "--exit-code", "-q"]);
}

#[test]
fn a_killed_first_apply_leaves_nothing_or_everything() {
    let world = World::project("generic", "");
    world.write("a.csv", patterns(MANY, "first"));
    // With a key of its own, so that what is written is the same in every run.
    world.write("yubin.db.key", "0123456789abcdef".repeat(4));
    let start = Instant::now();
    world.expect(0, &["apply", "--yes", "-q"]);
    let whole = start.elapsed();
    let all = content(&world);
    for delay in delays(whole, 8) {
        for name in ["yubin.db", "yubin.db-wal", "yubin.db-shm"] {
            let _ = std::fs::remove_file(world.file(name));
        }
        kill_after(&world, delay);
        let found = content(&world);
        assert!(found == "nothing" || found == all, "killed after {delay:?}: {found}");
        world.expect(0, &["log", "-q"]);
    }
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(content(&world), all);
}

/// Killed while it makes the key: there is no key, or a whole one.
#[test]
fn a_killed_apply_leaves_no_broken_key() {
    for millis in 0..10 {
        let world = World::project("generic", "");
        world.write("a.yaml", "accounts: { a: { password: { file: pw } } }\n");
        world.write("pw", "x");
        kill_after(&world, Duration::from_millis(millis));
        if let Ok(key) = std::fs::read_to_string(world.file("yubin.db.key")) {
            assert_eq!(key.trim().len(), 64);
        }
        world.expect(0, &["apply", "--yes", "-q"]);
        world.expect(0, &["plan", "--exit-code", "-q"]);
    }
}

fn bash(world: &World, script: &str) -> Run {
    let mut command = world.command(&[]);
    let yubin = command.get_program().to_owned();
    command = {
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(script).current_dir(world.path()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bash.env(name, value),
                None => bash.env_remove(name),
            };
        }
        bash
    };
    Run::of(command.env("YUBIN", yubin).output().unwrap())
}

/// No file may grow beyond 1.5 MB: the write fails in the middle of the transaction.
#[test]
fn a_write_that_fails_leaves_the_old_state() {
    let world = about_to_change(MANY);
    let old = content(&world);
    let run = bash(&world, "trap '' XFSZ; ulimit -f 1500; exec \"$YUBIN\" apply --yes -q");
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("yubin.db") && run.stderr.contains("as it was"), "{}", run.stderr);
    assert_eq!(content(&world), old);
    // Without room for the first page.
    let first = World::project("generic", "");
    first.write("a.csv", patterns(100, "x"));
    let run = bash(&first, "trap '' XFSZ; ulimit -f 1; exec \"$YUBIN\" apply --yes -q");
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(content(&first), "nothing");
    first.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["apply", "--yes", "-q"]);
}

/// A file system of its own that is too small. Needs user namespaces; where they are forbidden,
/// the test above has to do.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_state() {
    let world = about_to_change(MANY);
    let old = content(&world);
    std::fs::create_dir(world.file("disk")).unwrap();
    let mount = "mount -t tmpfs -o size=8m none disk || exit 99";
    if bash(&world, &format!("exec unshare -rm bash -c '{mount}'")).code != 0 {
        eprintln!("no user namespaces here: not tested");
        return;
    }
    let script = format!(
        "{mount}
cp yubin.yaml a.csv yubin.db yubin.db.key disk/ || exit 98
\"$YUBIN\" -C disk apply --yes -q
code=$?
\"$YUBIN\" -C disk show --format json >/dev/null || exit 97
mkdir back && cp disk/yubin.db* back/
exit $code"
    );
    let run = bash(&world, &format!("exec unshare -rm bash -c '{script}'"));
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("full") && run.stderr.contains("room"), "{}", run.stderr);
    restore(&world);
    for entry in std::fs::read_dir(world.file("back")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), world.path().join(entry.file_name())).unwrap();
    }
    assert_eq!(content(&world), old);
    world.expect(0, &["apply", "--yes", "-q"]);
}

#[test]
fn an_apply_waits_for_a_writer_and_then_names_it() {
    let world = about_to_change(10);
    let old = content(&world);
    let writer = Connection::open(world.file("yubin.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE pattern SET organization = 'half' WHERE name = 'p00001'").unwrap();
    // Reading goes on, and sees nothing of it.
    world.expect(2, &["plan", "--exit-code", "-q"]);
    assert!(!world.expect(0, &["show"]).stdout.contains("half"));
    let start = Instant::now();
    let run = world.expect(5, &["apply", "--yes", "-q"]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(start.elapsed() > Duration::from_secs(1), "it did not wait");
    if cfg!(target_os = "linux") {
        assert!(run.stderr.contains(&std::process::id().to_string()), "{}", run.stderr);
    }
    assert!(run.stderr.contains("yubin.db"), "{}", run.stderr);
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(content(&world), old);
    world.expect(0, &["apply", "--yes", "-q"]);
}

#[test]
fn a_short_writer_is_waited_for() {
    let world = about_to_change(10);
    let writer = Connection::open(world.file("yubin.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut command = world.command(&["apply", "--yes", "-q"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Runs an apply that plans while this transaction is open, and meets it, committed, at its own
/// commit.
fn apply_across(world: &World, transaction: &str) -> Run {
    let writer = Connection::open(world.file("yubin.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    writer.execute_batch(transaction).unwrap();
    let mut command = world.command(&["apply", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The plan is shown before it is committed.
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("digest ") {
        line.clear();
        assert!(shown.read_line(&mut line).unwrap() > 0, "no plan was shown");
    }
    std::thread::sleep(Duration::from_millis(200));
    writer.execute_batch("COMMIT").unwrap();
    Run::of(child.wait_with_output().unwrap())
}

/// Between the plan and its commit, other software writes: nothing of the plan is written.
#[test]
fn what_is_committed_between_plan_and_apply_is_a_conflict() {
    for sql in [
        "UPDATE pattern SET organization = 'theirs' WHERE name = 'p00003'",
        "DELETE FROM pattern WHERE name = 'p00003'",
        "INSERT INTO pattern (user, name) VALUES ('u', 'theirs')",
        // What the plan adds, too.
        "INSERT INTO pattern (user, name) VALUES ('u010', 'p00010')",
    ] {
        let world = about_to_change(10);
        world.write("a.csv", patterns(12, "new"));
        let run = apply_across(&world, sql);
        assert_eq!(run.code, 5, "{sql}: {}", run.stderr);
        assert!(run.stderr.contains("plan again"), "{sql}: {}", run.stderr);
        assert_eq!(world.json(0, &["show"])["revision"], 1, "{sql}");
        world.expect(0, &["log", "-q"]);
    }
}

#[test]
fn of_two_applies_at_once_one_wins() {
    for round in 0..6 {
        let world = World::project("generic", "");
        world.write("pw", "x");
        let csv = |organization: &str| {
            format!("user,name,organization,incoming.password\nu,p,{organization},${{file:pw}}\n")
                + &crate::cli::concat(0..400, |n| format!("u,q{n},{organization},\n"))
        };
        world.write("a.csv", csv("first"));
        // In every other round there is no store and no key yet.
        if round % 2 == 1 {
            world.expect(0, &["apply", "--yes", "-q"]);
            world.write("a.csv", csv("second"));
        }
        let children: Vec<_> = (0..3)
            .map(|_| {
                let mut command = world.command(&["apply", "--yes", "-q"]);
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let mut codes = Vec::new();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 5)), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
            codes.push(code.unwrap());
        }
        assert!(codes.contains(&0), "{codes:?}");
        world.expect(0, &["plan", "--exit-code", "-q"]);
        let log = world.json(0, &["log"]);
        assert_eq!(log["revisions"].as_array().unwrap().len(), 1 + round % 2, "{codes:?}");
        let resources = world.json(0, &["show"])["resources"].as_array().unwrap().len();
        assert_eq!(resources, 401);
    }
}

/// As root, permissions hold nobody up; then a read-only mount has to do.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_folder_is_explained() {
    let world = about_to_change(10);
    world.write("fresh/yubin.yaml", "version: 1\nname: fresh\n");
    world.write("fresh/a.yaml", "accounts: { a: {} }\n");
    let old = content(&world);
    let folders = [world.path().to_owned(), world.file("fresh")];
    let set = |mode: u32| {
        for folder in &folders {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::set_permissions(world.file("yubin.db"), std::fs::Permissions::from_mode(mode & 0o666)).unwrap();
    };
    set(0o555);
    let root = std::fs::write(world.file("probe"), "").is_ok();
    let read_only = "mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\" || exit 99";
    let run = |args: &str| {
        if root {
            bash(&world, &format!("exec unshare -rm bash -c '{read_only}; exec \"$YUBIN\" {args}'"))
        } else {
            bash(&world, &format!("exec \"$YUBIN\" {args}"))
        }
    };
    let probe = run("--version");
    if probe.code != 0 {
        set(0o755);
        eprintln!("root, and no user namespaces here: not tested");
        return;
    }
    let apply = run("apply --yes -q");
    let first = run("-C fresh apply --yes -q");
    let plan = run("-C fresh plan -q");
    let show = run("show");
    set(0o755);
    assert_eq!(apply.code, 1, "{}", apply.stderr);
    assert!(apply.stderr.contains("yubin.db"), "{}", apply.stderr);
    assert_eq!(first.code, 1, "{}", first.stderr);
    assert!(first.stderr.contains("yubin.db"), "{}", first.stderr);
    // What only reads the files needs no store; what reads the store says why it cannot.
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(show.code == 0 || (show.code == 1 && show.stderr.contains("yubin.db")), "{} {}", show.code, show.stderr);
    assert!(!world.file("fresh/yubin.db").exists() && !world.file("fresh/yubin.db.key").exists());
    assert_eq!(content(&world), old);
}

#[test]
fn what_is_no_store_of_this_yubin_is_left_alone() {
    let refuse = |make: &dyn Fn(&World), word: &str| {
        let world = World::project("generic", "");
        world.write("a.yaml", "accounts: { a: {} }\n");
        make(&world);
        let before = std::fs::read(world.file("yubin.db")).ok();
        for args in
            [&["plan"][..], &["apply", "--yes"], &["show"], &["log"], &["undo", "1", "--yes"], &["export", "yaml"]]
        {
            let run = world.run(args);
            assert_eq!(run.code, 1, "{word}: {args:?}: {}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
        }
        assert_eq!(std::fs::read(world.file("yubin.db")).ok(), before, "{word}");
        assert!(!world.file("yubin.db.key").exists(), "{word}: a key was made");
    };
    // Other software's.
    refuse(
        &|world| {
            let connection = Connection::open(world.file("yubin.db")).unwrap();
            connection.execute_batch("CREATE TABLE account (name TEXT); INSERT INTO account VALUES ('x')").unwrap();
        },
        "other software",
    );
    // That of a later yubin.
    refuse(
        &|world| {
            world.expect(0, &["apply", "--yes", "-q"]);
            world.remove("yubin.db.key");
            let connection = Connection::open(world.file("yubin.db")).unwrap();
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            connection.pragma_update(None, "user_version", version + 1).unwrap();
            connection.pragma_update(None, "journal_mode", "DELETE").unwrap();
        },
        "format",
    );
    refuse(&|world| world.write("yubin.db", vec![7; 9_000]), "database");
    refuse(&|world| std::fs::create_dir(world.file("yubin.db")).unwrap(), "yubin.db");
}

/// Every message about a store says which.
#[test]
fn a_store_that_cannot_be_used_is_named() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: {} }\n");
    let connection = Connection::open(world.file("theirs.db")).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    world.write("junk.db", vec![7; 9_000]);
    for store in ["theirs.db", "junk.db", "no/such/folder/x.db"] {
        let run = world.expect(1, &["--store", &format!("sqlite:{store}"), "apply", "--yes", "-q"]);
        assert!(run.stderr.contains(store), "{store}: {}", run.stderr);
    }
    assert!(!world.file("no").exists());
}

/// A database that is damaged is an error, not a panic, and nothing is planned from half of it.
#[test]
fn a_damaged_store_is_explained() {
    let world = about_to_change(2_000);
    let whole = std::fs::read(world.file("old")).unwrap();
    for (from, to) in
        [(100, 4_000), (4_096, 8_192), (whole.len() / 2, whole.len() / 2 + 40_000), (whole.len() - 8_192, whole.len())]
    {
        restore(&world);
        let mut bytes = whole.clone();
        bytes[from..to].fill(0xA5);
        world.write("yubin.db", &bytes);
        for args in [&["plan", "-q"][..], &["show", "-q"], &["apply", "--yes", "-q"]] {
            let run = world.run(args);
            assert!(matches!(run.code, 0 | 1), "{from}..{to}: {args:?}: exit {}: {}", run.code, run.stderr);
        }
    }
    restore(&world);
    let half = whole.len() / 2;
    world.write("yubin.db", &whole[..half]);
    assert_eq!(world.run(&["plan", "-q"]).code, 1);
}

/// Readers keep their view while an apply commits.
#[test]
fn a_reader_does_not_hold_an_apply_up() {
    let world = about_to_change(100);
    let reader = Connection::open_with_flags(world.file("yubin.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = || -> u64 {
        reader.query_row("SELECT count(*) FROM pattern WHERE organization = 'old'", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(), 100);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(count(), 100);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(), 0);
}

/// A store of an older version is read as it is, and brought up by the next apply, in its transaction.
#[test]
fn a_store_of_an_older_version_is_brought_up() {
    let world = World::project("generic", "");
    let written = |comment: &str, password: &str| {
        let yaml = format!("accounts: {{ a: {{ comment: {comment} }}, b: {{ password: {password} }} }}\n");
        world.write("a.yaml", yaml);
    };
    let labelled =
        |label: &str| format!("accounts: {{ a: {{ comment: one }}, b: {{ label: {label}, password: first }} }}\n");
    for label in ["x", "y", "z"] {
        world.write("a.yaml", labelled(label));
        world.expect(0, &["apply", "--yes", "-q"]);
    }
    let database = || Connection::open(world.file("yubin.db")).unwrap();
    let schema = || -> Vec<String> {
        let connection = database();
        let mut columns = connection.prepare("SELECT name FROM pragma_table_info('revision')").unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        let columns = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap);
        columns.chain([version.to_string()]).collect()
    };
    let now = schema();
    // What version 1 did not have yet: it sealed the passwords of mailboxes, too.
    let triggers = "SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'";
    let drops: Vec<String> = {
        let connection = database();
        let mut statement = connection.prepare(triggers).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    database().execute_batch(&drops.join(";")).unwrap();
    database().execute_batch(super::mail_server::WITHOUT).unwrap();
    for table in ["server", "account", "pattern"] {
        let drop = |column: &str| {
            format!("ALTER TABLE {table} DROP COLUMN {column}; ALTER TABLE {table}_history DROP COLUMN {column};")
        };
        let columns: String = ["yubin_disabled", "yubin_previously", "protected"].map(drop).concat();
        let sql =
            format!("DROP INDEX {table}_disabled; ALTER TABLE {table}_history DROP COLUMN yubin_during; {columns}");
        database().execute_batch(&sql).unwrap();
    }
    database()
        .execute_batch(
            "DROP TABLE token; DROP TABLE session; DROP TABLE request; DROP TABLE acknowledged; DROP TABLE attempt;
             DROP TABLE told; DROP TABLE delivery; DROP TABLE lead; DROP TABLE approval; DROP TABLE migration;
             DROP INDEX revision_by_changes; DROP INDEX revision_by_event;
             ALTER TABLE meta DROP COLUMN events_done;
             ALTER TABLE revision DROP COLUMN changes_before; ALTER TABLE revision DROP COLUMN last_event;
             DROP TABLE outside; DROP INDEX change_renames; ALTER TABLE change DROP COLUMN previously;
             ALTER TABLE revision DROP COLUMN renames; ALTER TABLE revision DROP COLUMN disables;
             ALTER TABLE revision DROP COLUMN purges; ALTER TABLE revision DROP COLUMN git_commit",
        )
        .unwrap();
    for table in ["account", "account_history"] {
        let sql = format!(
            "ALTER TABLE {table} DROP COLUMN password; ALTER TABLE {table} RENAME COLUMN password_proof TO password"
        );
        database().execute_batch(&sql).unwrap();
    }
    let vault = Vault::open(&KeySource::Beside(world.file("yubin.db.key"))).unwrap().unwrap();
    let (kind, clear) = (Kind::Account, Clear::new("of before".to_owned()));
    let sealed = vault.seal(&Address::new(kind, Key::single("b")), kind.field(kind.id("password")), &clear);
    for table in ["account", "account_history"] {
        let sql = format!("UPDATE {table} SET password = ?1 WHERE name = 'b'");
        database().execute(&sql, [sealed.as_bytes()]).unwrap();
    }
    database().execute_batch("ALTER TABLE revision DROP COLUMN recorded; PRAGMA user_version = 1").unwrap();
    let then = schema();
    assert_ne!(then, now);
    assert_eq!(world.json(0, &["log"])["revisions"].as_array().unwrap().len(), 3);
    world.expect(0, &["show"]);
    written("one", "of before");
    world.expect(0, &["plan", "--exit-code"]);
    written("two", "of before");
    world.expect(2, &["plan", "--exit-code"]);
    assert_eq!(schema(), then, "reading leaves a store alone");
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(schema(), now);
    let password = || -> Option<String> {
        database().query_row("SELECT password FROM account WHERE name = 'b'", [], |row| row.get(0)).unwrap()
    };
    // It stays sealed until it changes, or the store gets a new key.
    world.expect(0, &["plan", "--exit-code"]);
    assert_eq!(password(), None);
    world.expect(0, &["store", "rekey", "--yes"]);
    assert!(password().unwrap().starts_with("{ARGON2ID}"));
    world.expect(0, &["plan", "--exit-code"]);
    // In the log it has one hash, as it was one password.
    let undone = |revision: &str| {
        let plan = world.run(&["undo", revision, "--format", "json"]);
        let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
        plan["changes"][0]["fields"].as_array().unwrap().iter().map(|one| one["field"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(undone("3"), ["\"label\""]);
    world.expect(0, &["undo", "4", "--yes", "-q"]);
    assert_eq!(world.json(0, &["log"])["revisions"].as_array().unwrap().len(), 5);
}
