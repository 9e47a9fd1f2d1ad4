//! Applies to the store of servers that run, while clients log in all the time.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Login, Protocol, login, session, submit};
use crate::support::World;
use crate::support::mail::{Setup, Stack};

const OLD: &str = "Regenpfeifer-1";
const NEW: &str = "Regenpfeifer-2";
/// Accounts that a plan adds.
const STEP: usize = 2_500;

/// Of little work: the machine is to be busy with lookups.
fn hash(password: &str) -> String {
    let args = ["pw", "-s", "SHA512-CRYPT", "-r", "1000", "-p", password];
    let output = Command::new("doveadm").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A project whose store both servers read: Dovecot as root and as a user of its own, Postfix as another.
fn world() -> World {
    let world = World::project(
        "generic",
        "mail_server: true\nstore: sqlite:store/yubin.db\nsources: [a.yaml]\npolicy: { undeclared: delete, max_deletes: 100% }\n",
    );
    let mode = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(world.path(), 0o755);
    std::fs::create_dir(world.file("store")).unwrap();
    // Everybody, in the place of a group that a machine of tests need not have.
    mode(&world.file("store"), 0o2777);
    let account = format!("{{ address: first@example.jp, password: {{ hash: \"{}\" }} }}", super::hash("x"));
    world.write("a.yaml", format!("accounts: {{ first: {account} }}\n"));
    world.expect(0, &["apply", "--yes"]);
    mode(&world.file("store/yubin.db"), 0o666);
    world
}

fn start(world: &World) -> Stack {
    Stack::start(Setup { store: Some(world.file("store/yubin.db")), mechanisms: "plain login", ..Setup::default() })
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Accounts of one plan, as YAML: who, with which hash, and what else.
struct Declared<'a> {
    hashes: [&'a str; 2],
    /// How many accounts there are; the first of them are left out.
    count: usize,
    deleted: usize,
    /// From here on so many have the new password, so many no IMAP.
    changed: (usize, usize),
    switched: (usize, usize),
}

impl Declared<'_> {
    fn yaml(&self) -> String {
        let mut yaml = "accounts:\n".to_owned();
        let within = |range: (usize, usize), at: usize| (range.0..range.0 + range.1).contains(&at);
        for at in 0..3 {
            let hash = self.hashes[0];
            writeln!(yaml, "  stable{at}: {{ address: stable{at}@example.jp, password: {{ hash: \"{hash}\" }} }}")
                .unwrap();
        }
        for at in self.deleted..self.count {
            let hash = self.hashes[usize::from(within(self.changed, at))];
            let switch = if within(self.switched, at) { ", login: { imap: false }" } else { "" };
            writeln!(yaml, "  u{at}: {{ address: u{at}@example.jp, password: {{ hash: \"{hash}\" }}{switch} }}")
                .unwrap();
        }
        yaml
    }
}

/// 10,000 accounts in several plans. Who may log in can, whatever is written meanwhile; of a plan, everything is seen
/// or nothing; what it takes away is gone when it has ended.
#[test]
fn nobody_notices_an_apply_but_whom_it_concerns() {
    let world = world();
    let (old, new) = (hash(OLD), hash(NEW));
    let mut declared = Declared { hashes: [&old, &new], count: 0, deleted: 0, changed: (0, 0), switched: (0, 0) };
    world.write("a.yaml", declared.yaml());
    world.expect(0, &["apply", "--yes"]);
    let stack = start(&world);
    let ports = stack.ports;
    let (ended, logins) = (AtomicBool::new(false), AtomicUsize::new(0));
    // The last account of the plan that is on its way: whoever sees it must see the first of that plan.
    let last = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (at, protocol) in Protocol::ALL.into_iter().enumerate() {
            let (ended, logins) = (&ended, &logins);
            scope.spawn(move || {
                let user = format!("stable{at}@example.jp");
                while !ended.load(Ordering::Relaxed) {
                    let found = login(&ports, protocol, &user, OLD);
                    if found != Login::In {
                        ended.store(true, Ordering::Relaxed);
                        panic!("{protocol:?} of {user}: {found:?}");
                    }
                    logins.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (ended_too, last_of) = (&ended, &last);
        scope.spawn(move || {
            while !ended_too.load(Ordering::Relaxed) {
                let end = last_of.load(Ordering::Relaxed);
                if end == 0 {
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
                let of = |at: usize| login(&ports, Protocol::Imap, &format!("u{at}@example.jp"), OLD);
                // Added together: who sees the one must see the other from then on.
                for (one, other) in [(end - 1, end - STEP), (end - STEP, end - 1)] {
                    match of(one) {
                        Login::In => assert_eq!(of(other), Login::In, "u{one} is there, and u{other} not"),
                        Login::Refused => {}
                        Login::Broken(said) => panic!("u{one}: {said}"),
                    }
                }
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let apply = |declared: &Declared<'_>| {
                world.write("a.yaml", declared.yaml());
                world.expect(0, &["apply", "--yes", "--quiet"]);
            };
            let expect = |protocol: Protocol, at: usize, password: &str, expected: Login| {
                let found = login(&ports, protocol, &format!("u{at}@example.jp"), password);
                assert_eq!(found, expected, "{protocol:?} of u{at}");
            };
            for step in 1..=4 {
                expect(Protocol::Smtp, declared.count, OLD, Login::Refused);
                declared.count = step * STEP;
                last.store(declared.count, Ordering::Relaxed);
                apply(&declared);
                for protocol in Protocol::ALL {
                    expect(protocol, declared.count - 1, OLD, Login::In);
                }
            }
            last.store(0, Ordering::Relaxed);
            declared.changed = (5_000, 2_000);
            apply(&declared);
            for (at, password, expected) in [
                (5_000, NEW, Login::In),
                (6_999, NEW, Login::In),
                (5_000, OLD, Login::Refused),
                (7_000, OLD, Login::In),
            ] {
                expect(Protocol::Imap, at, password, expected.clone());
                expect(Protocol::Smtp, at, password, expected);
            }
            declared.switched = (7_000, 2_000);
            apply(&declared);
            expect(Protocol::Imap, 7_000, OLD, Login::Refused);
            expect(Protocol::Imap, 8_999, OLD, Login::Refused);
            expect(Protocol::Pop3, 7_000, OLD, Login::In);
            declared.deleted = 3_000;
            apply(&declared);
            for protocol in Protocol::ALL {
                expect(protocol, 0, OLD, Login::Refused);
                expect(protocol, 2_999, OLD, Login::Refused);
                expect(protocol, 3_000, OLD, Login::In);
            }
        }));
        ended.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(logins.load(Ordering::Relaxed) > 100, "{} logins", logins.load(Ordering::Relaxed));
    let logs = stack.logs();
    assert!(!logs.contains("fatal:") && !logs.contains("locked") && !logs.contains("query failed"), "{logs}");
}

/// Quota, forwards and automatic answers hold with the next message.
#[test]
fn what_is_switched_holds_at_once() {
    let world = world();
    let hash = hash(OLD);
    let stack = start(&world);
    let ports = stack.ports;
    let apply = |more: &str| {
        let password = format!("password: {{ hash: \"{hash}\" }}");
        world.write(
            "a.yaml",
            format!(
                "accounts:\n  ann: {{ address: ann@example.jp, {password} }}\n  ben: {{ address: ben@example.jp, {password} }}\n  \
                 box:\n    address: box@example.jp\n    {password}\n{more}"
            ),
        );
        world.expect(0, &["apply", "--yes"]);
    };
    let (ann, of_box) = ("ann@example.jp", "box@example.jp");
    let send = |subject: &str| submit(&ports, ann, OLD, of_box, subject);
    let has = |who: &str, word: &str| stack.messages(who).iter().any(|message| message.contains(word));
    let reaches = |who: &str, word: &str| until(&format!("{word} reaches {who}"), || has(who, word));
    let quota = || {
        let mut line = session(&ports, Protocol::Imap, of_box, OLD).unwrap_or_else(|login| panic!("{login:?}"));
        let told = line.ask("GETQUOTAROOT INBOX");
        told.lines().find(|line| line.starts_with("* QUOTA ")).map(str::to_owned)
    };
    apply("");
    assert!(send("first").starts_with("250"));
    reaches(of_box, "Subject: first");
    assert_eq!(quota().filter(|line| line.contains("STORAGE")), None, "no capacity is no limit");
    apply("    capacity: 2\n");
    assert!(quota().is_some_and(|line| line.contains("2097152")), "{:?}", quota());
    apply("    forward: { enabled: true, to: [ben@example.jp], keep_copy: true }\n");
    assert!(send("second").starts_with("250"));
    reaches("ben@example.jp", "Subject: second");
    reaches(of_box, "Subject: second");
    apply("    forward: { enabled: true, to: [ben@example.jp], keep_copy: false }\n");
    assert!(send("third").starts_with("250"));
    reaches("ben@example.jp", "Subject: third");
    assert!(!has(of_box, "Subject: third"), "without a copy");
    let body = "a \"b\" \\\\c\\n".repeat(500);
    apply(&format!(
        "    forward: {{ enabled: false }}\n    auto_reply: {{ enabled: true, subject: Out \\\"x\\\", body: \"{}\" }}\n",
        body.replace('"', "\\\"")
    ));
    assert!(send("fourth").starts_with("250"));
    reaches(of_box, "Subject: fourth");
    reaches(ann, "Auto-Submitted: auto-replied");
    apply("    auto_reply: { enabled: false }\n    receive: { enabled: false }\n");
    assert!(send("fifth").starts_with("554 5.2.1") || send("fifth").contains("switched off"), "{}", send("fifth"));
    apply("    receive: { enabled: true }\n    login: { smtp: false }\n");
    assert_eq!(login(&ports, Protocol::Smtp, of_box, OLD), Login::Refused);
    assert_eq!(login(&ports, Protocol::Imap, of_box, OLD), Login::In);
}
