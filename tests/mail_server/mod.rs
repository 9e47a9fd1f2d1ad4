//! Accounts that Dovecot and Postfix read from the store: what is demanded of them, what the servers find, and that an
//! apply is seen by both at once.

mod client;
mod live;
mod queries;
mod rules;

use std::path::Path;

use rusqlite::Connection;

use crate::support::World;

/// With the lines of `yubin.yaml` that a mail server needs.
fn project(more: &str) -> World {
    World::project("generic", &format!("mail_server: true\nsources: [a.yaml]\n{more}"))
}

/// Takes away what a store in SQLite has for mail servers since version 7; its triggers are gone by then.
pub const WITHOUT: &str = "
    DROP VIEW sieve_script; DROP VIEW autoreply; DROP VIEW forward; DROP VIEW domain;
    DROP INDEX account_by_address; DROP INDEX account_by_domain;
    ALTER TABLE meta DROP COLUMN mail_server;
    ALTER TABLE account DROP COLUMN shared_secret; ALTER TABLE account DROP COLUMN scram;
    ALTER TABLE account DROP COLUMN quota_bytes; ALTER TABLE account DROP COLUMN imap_enabled;
    ALTER TABLE account DROP COLUMN pop3_enabled; ALTER TABLE account DROP COLUMN smtp_enabled;
    ALTER TABLE account DROP COLUMN recv_enabled; ALTER TABLE account DROP COLUMN enabled;
    ALTER TABLE account DROP COLUMN login_imap; ALTER TABLE account_history DROP COLUMN login_imap;
    ALTER TABLE account DROP COLUMN login_pop3; ALTER TABLE account_history DROP COLUMN login_pop3;
    ALTER TABLE account DROP COLUMN login_smtp; ALTER TABLE account_history DROP COLUMN login_smtp;
";

/// What has the form of a hash, and is none.
fn hash(word: &str) -> String {
    format!("{{SHA512-CRYPT}}$6$x${word:.<86}")
}

fn database(world: &World) -> Connection {
    Connection::open(world.file("yubin.db")).unwrap()
}

fn example(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mail-server").join(name)).unwrap()
}

/// The document has every file of the example, as it is.
#[test]
fn the_document_quotes_the_example() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mail-server.md")).unwrap();
    let mut files = vec!["yubin.yaml".to_owned()];
    let mut folders = vec!["dovecot".to_owned(), "postfix".to_owned(), "hooks".to_owned()];
    while let Some(folder) = folders.pop() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mail-server").join(&folder);
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() { folders.push(name) } else { files.push(name) }
        }
    }
    assert!(files.len() > 10, "{files:?}");
    for name in files {
        let head = format!("\n`{name}`:\n\n```");
        let (_, rest) = document.split_once(&head).unwrap_or_else(|| panic!("docs/mail-server.md has no `{name}`"));
        let (_, quoted) = rest.split_once('\n').unwrap();
        let (quoted, _) = quoted.split_once("\n```\n").unwrap();
        assert!(format!("{quoted}\n") == example(&name), "docs/mail-server.md quotes `{name}` as it was");
    }
}

/// What `init` writes is whole, and the servers find it.
#[test]
fn a_new_project_is_one_of_a_mail_server() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let world = World::new();
    world.expect(64, &["init", "--mail-server", "--system", "cpi-sv-basic", "x"]);
    world.expect(0, &["init", "--mail-server", "mail"]);
    world.expect(0, &["-C", "mail", "check", "--strict"]);
    let mode = |name: &str| std::fs::metadata(world.file(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("mail/store"), mode("mail/hooks/kick"), mode("mail/secrets/info")), (0o2770, 0o755, 0o600));
    let run = world.command(&["-C", "mail", "apply", "--yes"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(mode("mail/store/yubin.db"), 0o660, "whatever the umask");
    assert_eq!(mode("mail/store.key"), 0o600);
    let folder: Vec<_> =
        std::fs::read_dir(world.file("mail/store")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(folder.iter().all(|path| !path.to_string_lossy().ends_with(".key")), "{folder:?}");
    // While somebody has it open, its log stands beside it with the same mode.
    let connection = Connection::open(world.file("mail/store/yubin.db")).unwrap();
    let enabled: i64 =
        connection.query_row("SELECT count(*) FROM account WHERE enabled", [], |row| row.get(0)).unwrap();
    assert_eq!(enabled, 2);
    assert_eq!((mode("mail/store/yubin.db-wal"), mode("mail/store/yubin.db-shm")), (0o660, 0o660));
    assert_eq!(
        std::fs::metadata(world.file("mail/store")).unwrap().gid(),
        std::fs::metadata(world.file("mail/store/yubin.db-wal")).unwrap().gid()
    );
    world.expect(0, &["-C", "mail", "plan", "--exit-code"]);
}

/// Who may write the folder of the store cannot put a key in the place of ours.
#[test]
fn a_key_in_the_shared_folder_is_taken_only_if_it_is_ours() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.expect(0, &["init", "--mail-server", "mail"]);
    let (inner, outer) = (world.file("mail/store/yubin.db.key"), world.file("mail/store.key"));
    let planted = "ab".repeat(32);
    fs::write(&inner, &planted).unwrap();
    fs::set_permissions(&inner, Permissions::from_mode(0o644)).unwrap();
    let run = world.expect(4, &["-C", "mail", "apply", "--yes"]);
    assert!(run.stderr.contains("others may write") && !run.stderr.contains(&planted), "{}", run.stderr);
    // A link to a file of ours is none of ours.
    fs::rename(&inner, world.file("elsewhere")).unwrap();
    fs::set_permissions(world.file("elsewhere"), Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(world.file("elsewhere"), &inner).unwrap();
    world.expect(4, &["-C", "mail", "apply", "--yes"]);
    fs::remove_file(&inner).unwrap();
    world.expect(0, &["-C", "mail", "apply", "--yes"]);
    assert!(outer.exists());
    // Where ours stands beside the folder, another in it is not even looked at: by no command.
    fs::write(&inner, &planted).unwrap();
    world.expect(0, &["-C", "mail", "plan", "--exit-code"]);
    let before = fs::read(&outer).unwrap();
    world.expect(0, &["-C", "mail", "store", "rekey", "--yes"]);
    assert!(fs::read(&outer).unwrap() != before && fs::read_to_string(&inner).unwrap() == planted);
    let run = world.expect(0, &["store", "copy", "sqlite:mail/store/yubin.db", "sqlite:copy.db"]);
    assert!(format!("{}{}", run.stdout, run.stderr).contains("mail/store.key"), "{}{}", run.stdout, run.stderr);
    // One of ours from before the folder was shared is taken.
    fs::remove_file(&inner).unwrap();
    fs::rename(&outer, &inner).unwrap();
    world.expect(0, &["-C", "mail", "plan", "--exit-code"]);
}

/// Dovecot's queries fail where the tables are others than when it opened the store.
#[test]
fn an_apply_leaves_the_schema_alone() {
    let world = project("policy: { undeclared: delete, max_deletes: 100% }\n");
    let schema = || -> i64 { database(&world).query_row("PRAGMA schema_version", [], |row| row.get(0)).unwrap() };
    let account =
        |name: &str| format!("  {name}: {{ address: {name}@example.jp, password: {{ hash: \"{}\" }} }}\n", hash("x"));
    world.write("a.yaml", format!("accounts:\n{}{}", account("a"), account("b")));
    world.expect(0, &["apply", "--yes"]);
    let before = schema();
    world.write("a.yaml", format!("accounts:\n{}{}", account("b"), account("c")));
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["undo", "2", "--yes"]);
    world.expect(0, &["store", "rekey", "--yes"]);
    assert_eq!(schema(), before);
    // Writes of other software are noticed all the same.
    database(&world).execute("UPDATE account SET comment = 'theirs' WHERE name = 'b'", []).unwrap();
    assert_eq!(world.json(2, &["drift"])["drift"].as_array().unwrap().len(), 1);
}
