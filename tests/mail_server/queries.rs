//! What the documented queries find, and how: with the SQLite of the machine, which is that of the servers.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;

use super::{database, example, hash, project};
use crate::support::World;

/// The queries of the example for one address: a name, and SQL.
fn queries(address: &str) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for name in ["domains", "mailboxes", "forwards", "reception"] {
        let text = example(&format!("postfix/sql/{name}.cf"));
        let query = text.lines().find_map(|line| line.strip_prefix("query = ")).unwrap().to_owned();
        let key = if name == "domains" { address.split_once('@').unwrap().1 } else { address };
        queries.push((name.to_owned(), query.replace("%s", key)));
    }
    let text = example("dovecot/sql.conf.ext").replace("\\\n", " ");
    for service in ["imap", "pop3", "smtp", "lmtp"] {
        for name in ["password_query", "user_query"] {
            let query = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" =")).unwrap();
            let query = query.replace("%u", address).replace("%s", service).replace("%d/%n", "");
            queries.push((format!("{service} {name}"), query));
        }
    }
    // As the dict of Pigeonhole asks, by `sieve.conf.ext`.
    let of = format!("FROM sieve_script WHERE username = '{address}' AND");
    queries.push(("sieve id".to_owned(), format!("SELECT id {of} script_name = 'active'")));
    queries.push(("sieve data".to_owned(), format!("SELECT script_data {of} id = 'x'")));
    queries
}

fn shell(world: &World, sql: &str) -> String {
    let output = Command::new("sqlite3").arg(world.file("yubin.db")).arg(sql).output().unwrap();
    assert!(output.status.success(), "{}: {sql}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the named query answers.
fn answer(world: &World, name: &str, address: &str) -> String {
    let (_, sql) = queries(address).into_iter().find(|(one, _)| one == name).unwrap();
    shell(world, &sql).trim_end().to_owned()
}

#[test]
fn every_question_of_the_servers_is_a_search() {
    let world = project("");
    let account = format!("{{ address: a@example.jp, password: {{ hash: \"{}\" }} }}", hash("x"));
    world.write("a.yaml", format!("accounts: {{ a: {account} }}\n"));
    world.expect(0, &["apply", "--yes"]);
    let connection = database(&world);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO account (name, address, password, forward_enabled, forward_to, auto_reply_enabled, auto_reply_body)
             SELECT 'u' || i, 'u' || i || '@example' || (i % 3) || '.jp', '{SHA}x', i % 2, '[\"x@y.z\"]', i % 2, 'text' FROM n",
        )
        .unwrap();
    for (name, sql) in queries("u500001@example0.jp") {
        let plan = shell(&world, &format!("EXPLAIN QUERY PLAN {sql}"));
        assert!(plan.contains("SEARCH account USING INDEX account_by_"), "{name}: {plan}");
        assert!(!plan.contains("SCAN account"), "{name}: {plan}");
        let start = Instant::now();
        shell(&world, &sql);
        assert!(start.elapsed() < Duration::from_secs(1), "{name} takes {:?}", start.elapsed());
    }
}

#[test]
fn the_servers_find_what_is_declared() {
    let world = project("policy: { undeclared: delete, delete: after 14d, max_deletes: 100% }\n");
    let account = |name: &str, more: &str| {
        format!("  {name}:\n    address: {name}@example.jp\n    password: {{ hash: \"{}\" }}\n{more}", hash(name))
    };
    let mut yaml = "accounts:\n".to_owned();
    for (name, more) in [
        ("plain", ""),
        ("small", "    capacity: 3\n"),
        ("imap", "    login: { imap: false }\n"),
        ("mute", "    login: { smtp: false, pop3: false }\n    receive: { enabled: false }\n"),
        ("move", "    forward: { enabled: true, to: [b@x.jp, a@x.jp, b@x.jp] }\n"),
        ("shut", "    forward: { enabled: true, to: [a@x.jp] }\n    receive: { enabled: false }\n"),
        ("copy", "    forward: { enabled: true, to: [a@x.jp, Copy@example.jp], keep_copy: true }\n"),
        ("self", "    forward: { enabled: true, to: [self@example.jp] }\n"),
        ("none", "    forward: { enabled: true, to: [], keep_copy: true }\n"),
        ("off", "    forward: { enabled: false, to: [a@x.jp] }\n    auto_reply: { enabled: false, body: x }\n"),
        (
            "reply",
            "    auto_reply: { enabled: true, subject: \"不在 \\\"x\\\" \\\\\", body: \"a \\\"b\\\"\\n\\\\c\\n\" }\n",
        ),
        ("bare", "    auto_reply: { enabled: true, body: x }\n"),
        ("gone", "    forward: { enabled: true, to: [a@x.jp] }\n    auto_reply: { enabled: true, body: x }\n"),
    ] {
        write!(yaml, "{}", account(name, more)).unwrap();
    }
    let (kept, _) = yaml.split_once("  gone:").unwrap();
    world.write("a.yaml", &yaml);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(answer(&world, "imap password_query", "gone@example.jp"), format!("gone@example.jp|{}", hash("gone")));
    world.write("a.yaml", kept);
    world.expect(0, &["apply", "--yes"]);
    for (name, local, expected) in [
        ("imap password_query", "plain", "plain@example.jp|HASH"),
        ("imap user_query", "plain", "/var/vmail/|*:bytes=0"),
        ("imap user_query", "small", "/var/vmail/|*:bytes=3221225472"),
        ("imap password_query", "imap", ""),
        ("pop3 password_query", "imap", "imap@example.jp|HASH"),
        ("pop3 password_query", "mute", ""),
        ("smtp password_query", "mute", ""),
        ("imap password_query", "mute", "mute@example.jp|HASH"),
        ("lmtp user_query", "mute", ""),
        ("reception", "mute", "REJECT 5.2.1 reception is switched off for this mailbox"),
        ("reception", "plain", ""),
        ("mailboxes", "plain", "plain@example.jp"),
        ("domains", "plain", "example.jp"),
        ("forwards", "plain", ""),
        ("forwards", "shut", ""),
        ("forwards", "move", "b@x.jp\na@x.jp"),
        ("forwards", "copy", "a@x.jp\ncopy@example.jp"),
        ("forwards", "self", "self@example.jp"),
        ("forwards", "none", ""),
        ("forwards", "off", ""),
        ("sieve id", "off", ""),
        ("sieve id", "plain", ""),
        // Disabled: nobody logs in, and nothing is delivered or forwarded.
        ("imap password_query", "gone", ""),
        ("lmtp user_query", "gone", ""),
        ("mailboxes", "gone", ""),
        ("forwards", "gone", ""),
        ("sieve id", "gone", ""),
    ] {
        let found = answer(&world, name, &format!("{local}@example.jp")).replace(&hash(local), "HASH");
        assert_eq!(found, expected, "{name} of {local}");
    }
    let script = |local: &str| {
        shell(&world, &format!("SELECT script_data FROM sieve_script WHERE username = '{local}@example.jp'"))
    };
    assert_eq!(
        script("reply").trim_end(),
        "require \"vacation\";\nvacation :days 1 :subject \"不在 \\\"x\\\" \\\\\" \"a \\\"b\\\"\n\\\\c\n\";"
    );
    assert_eq!(script("bare").trim_end(), "require \"vacation\";\nvacation :days 1 \"x\";");
    // No mechanism but those that show the password.
    assert_eq!(shell(&world, "SELECT count(shared_secret), count(scram) FROM account"), "0|0\n");
}
