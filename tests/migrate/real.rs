//! A thousand accounts between two real mail servers, killed at every step, without losing a message.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::{acts, names, now, on};
use crate::cli::private;
use crate::support::World;
use crate::support::mail::{Setup, Stack};

const ACCOUNTS: usize = 1000;
const PASSWORD: &str = "Gartenrotschwanz-4Tz8";

fn address(number: usize) -> String {
    format!("u{number:04}@example.test")
}

/// All accounts, in one transaction.
fn fill(stack: &Stack) {
    let hash = BASE64_STANDARD.encode(Sha256::digest(PASSWORD.as_bytes()));
    let mut sql = "BEGIN IMMEDIATE; INSERT OR IGNORE INTO domain VALUES ('example.test');\n".to_owned();
    for number in 0..ACCOUNTS {
        writeln!(
            sql,
            "INSERT INTO account (address, password, shared_secret) VALUES ('{}', '{{SHA256}}{hash}', '{{PLAIN}}{PASSWORD}');",
            address(number)
        )
        .unwrap();
    }
    stack.sql(&(sql + "COMMIT;"));
}

fn server(name: &str, stack: &Stack) -> String {
    let (imap, smtp) = (stack.ports.imap, stack.ports.submission);
    format!(
        "  {name}:\n    incoming: {{ protocol: imap, host: 127.0.0.1, port: {imap}, security: starttls }}\n    \
         outgoing: {{ host: 127.0.0.1, port: {smtp}, security: starttls, auth: {{ enabled: true, credentials: account }} }}\n"
    )
}

/// `next`, killed a few times on its way, until it is through.
#[track_caller]
fn next_with_kills(world: &World, step: u64, more: &[&str]) {
    let args = [&["migrate", "next", "--yes", "-q"], more].concat();
    for delay in [60, 250, 700] {
        let mut command = world.command(&args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
        if now(world).0 != step {
            return;
        }
    }
    world.expect(0, &args);
    assert_ne!(now(world).0, step);
}

#[test]
fn a_thousand_accounts_move_and_no_message_is_lost() {
    let (old, new) = (Stack::start(Setup::default()), Stack::start(Setup::default()));
    fill(&old);
    fill(&new);
    let more = "probe: { hosts: [127.0.0.1], parallel: 32, ca: ca.pem }\n\
         migrations: { move: { from: old, to: new, domains: [example.test], probe: 40, send: self } }\n";
    let world = World::project("generic", more);
    private(&world, "pw", PASSWORD);
    let authorities = [old.ca(), new.ca()].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    world.write("ca.pem", authorities);
    world.write("servers.yaml", format!("servers:\n{}", server("old", &old)));
    let mut yaml = "accounts:\n".to_owned();
    for number in 0..ACCOUNTS {
        let address = address(number);
        writeln!(
            yaml,
            "  u{number:04}: {{ server: old, address: {address}, incoming: {{ username: {address}, password: {{ file: pw }} }} }}"
        )
        .unwrap();
    }
    world.write("people.yaml", yaml);
    world.expect(0, &["apply", "--yes", "-q"]);
    // Mail that lies at the old server.
    let some = [0, 1, 499, 998, 999];
    for number in some {
        old.deliver(&address(number), &format!("before {number}"));
    }
    let servers = format!("servers:\n{}{}", server("old", &old), server("new", &new));
    world.write("servers.yaml", servers);
    for step in 1..=4 {
        next_with_kills(&world, step, &[]);
    }
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (ACCOUNTS, ACCOUNTS));
    assert_eq!(now(&world), (5, "waiting".to_owned()));
    world.expect(0, &["migrate", "ack", "5", "--note", "switched"]);
    for number in some {
        new.deliver(&address(number), &format!("after {number}"));
    }
    // Somebody's password is another one there: step 6 says so, and stays.
    new.account(&address(0), "another");
    let run = world.expect(1, &["migrate", "next", "--yes"]);
    assert!(run.stdout.contains("account/u0000-new") && run.stdout.contains("probe/login-refused"), "{}", run.stdout);
    assert!(!run.stdout.contains(PASSWORD) && !run.stderr.contains(PASSWORD));
    assert_eq!(now(&world), (6, "due".to_owned()));
    new.account(&address(0), PASSWORD);
    next_with_kills(&world, 6, &[]);
    let verify = super::status(&world)["steps"][5]["evidence"].take();
    assert_eq!((&verify["probed"], &verify["well"]), (&"40".into(), &"40".into()), "{verify}");
    world.expect(6, &["migrate", "next", "--yes", "-q"]);
    world.expect(0, &["migrate", "ack", "7"]);
    // Half of all accounts is more than the limit.
    let refused = world.json(4, &["migrate", "next", "--yes"]);
    assert_eq!(refused["refused"][0]["rule"], "max_deletes");
    let digest = refused["digest"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        let mut command = world.command(&["migrate", "next", "--yes", "-q", "--ack", &digest]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(400));
        let _ = child.kill();
        child.wait().unwrap();
    }
    if !on(&world, "old").is_empty() {
        world.run(&["migrate", "next", "--yes", "-q", "--ack", &digest]);
    }
    if now(&world).0 == 7 {
        world.expect(0, &["migrate", "next", "--yes", "-q"]);
    }
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (0, ACCOUNTS));
    assert_eq!(names(&world, "backups").len(), 1);
    world.expect(0, &["plan", "--exit-code", "-q"]);
    let deeds = acts(&world);
    for step in 1..=6 {
        assert_eq!(deeds.iter().filter(|act| **act == (step, "done".to_owned())).count(), 1, "{deeds:?}");
    }
    // What lay at the old server still lies there, and what came to the new one there.
    for number in some {
        let before = old.messages(&address(number));
        assert!(before.iter().any(|message| message.contains(&format!("before {number}"))), "{before:?}");
        let after = new.messages(&address(number));
        assert!(after.iter().any(|message| message.contains(&format!("after {number}"))), "{after:?}");
    }
}
