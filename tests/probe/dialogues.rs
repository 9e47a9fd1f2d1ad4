//! What a real server says seldom, or never: fakes that say it.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::fake::{BlackHole, CLOSE, Fake, SILENCE, Script};
use super::{RIGHT, expect, json, probed, step};
use crate::support::{Run, World};

pub const IMAP: Script = Script {
    greeting: "* OK [CAPABILITY IMAP4rev1] ready\r\n",
    answers: &[
        ("CAPABILITY", "* CAPABILITY IMAP4rev1\r\n% OK done\r\n"),
        ("LOGIN", "% OK [CAPABILITY IMAP4rev1] in\r\n"),
        ("SELECT", "* 0 EXISTS\r\n% OK [READ-WRITE] done\r\n"),
        ("EXAMINE", "* 0 EXISTS\r\n% OK [READ-ONLY] done\r\n"),
        ("LIST", "* LIST () \"/\" INBOX\r\n% OK done\r\n"),
        ("STATUS", "* STATUS INBOX (MESSAGES 0)\r\n% OK done\r\n"),
        ("NOOP", "% OK\r\n"),
    ],
    otherwise: "% BAD what?\r\n",
    has_tags: true,
    delay: Duration::ZERO,
};

const POP3: Script = Script {
    greeting: "+OK ready\r\n",
    answers: &[
        ("CAPA", "+OK\r\nUSER\r\nUIDL\r\n.\r\n"),
        ("USER", "+OK\r\n"),
        ("PASS", "+OK in\r\n"),
        ("STAT", "+OK 0 0\r\n"),
        ("UIDL", "+OK\r\n.\r\n"),
    ],
    otherwise: "-ERR what?\r\n",
    has_tags: false,
    delay: Duration::ZERO,
};

const SMTP: Script = Script {
    greeting: "220 mail ESMTP\r\n",
    answers: &[
        ("EHLO", "250-mail\r\n250-SIZE 10485760\r\n250 AUTH PLAIN LOGIN\r\n"),
        ("AUTH", "235 2.7.0 in\r\n"),
        ("RSET", "250 ok\r\n"),
        ("NOOP", "250 ok\r\n"),
    ],
    otherwise: "502 5.5.2 what?\r\n",
    has_tags: false,
    delay: Duration::ZERO,
};

/// A project with an account `a` at this port.
pub fn account(protocol: &str, security: &str, port: u16) -> World {
    let world = World::project("generic", "probe: { hosts: [127.0.0.1], timeout: 1s }\n");
    world.write("a.yaml", format!("accounts: {{ a: {} }}\n", fields("a", protocol, security, port)));
    world
}

/// Fields of an account that only receives, or only sends.
pub fn fields(user: &str, protocol: &str, security: &str, port: u16) -> String {
    let at = format!("host: 127.0.0.1, port: {port}, security: {security}");
    let login = format!("username: {user}@example.jp, password: {{ env: RIGHT }}");
    if protocol == "smtp" {
        format!("{{ address: {user}@example.jp, outgoing: {{ {at}, auth: {{ enabled: true, {login} }} }} }}")
    } else {
        format!("{{ address: {user}@example.jp, incoming: {{ protocol: {protocol}, {at}, {login} }} }}")
    }
}

/// What is said of `a`: by which step, which code, and how many logins came.
#[track_caller]
fn check(protocol: &str, script: Script, code: i32, name: &str, trouble: &str, logins: usize) -> Json {
    let fake = Fake::start(script);
    let document = json(&account(protocol, "none", fake.port()), code, &["probe"]);
    let probe = probed(&document, "account/a", protocol);
    assert_eq!(step(probe, name)["code"], trouble, "{document:#}");
    assert_eq!(fake.logins(), logins, "{document:#}");
    step(probe, name).clone()
}

/// The same script with one answer in front of its others.
pub fn with(script: Script, answer: (&'static str, &'static str)) -> Script {
    let answers: Vec<_> = [answer].into_iter().chain(script.answers.iter().copied()).collect();
    // A handful a run.
    Script { answers: answers.leak(), ..script }
}

fn greeting(script: Script, greeting: &'static str) -> Script {
    Script { greeting, ..script }
}

#[test]
fn the_fakes_are_taken_for_servers() {
    for (protocol, script) in [("imap", IMAP), ("pop3", POP3), ("smtp", SMTP)] {
        let fake = Fake::start(script);
        let document = json(&account(protocol, "none", fake.port()), 0, &["probe"]);
        assert_eq!(document["outcome"], "ok", "{document:#}");
        assert_eq!((fake.logins(), fake.accepted()), (1, 1), "{document:#}");
    }
}

#[test]
fn servers_that_turn_away() {
    for (protocol, script, said) in [
        ("imap", IMAP, "* BYE too busy\r\n"),
        ("pop3", POP3, "-ERR too busy\r\n"),
        ("smtp", SMTP, "421 4.7.0 too busy\r\n"),
        ("smtp", SMTP, "554 5.7.1 too busy\r\n"),
    ] {
        let step = check(protocol, greeting(script, said), 1, "greeting", "probe/greeting-refused", 0);
        assert!(step["said"].as_str().unwrap().contains("too busy"), "{step}");
    }
}

#[test]
fn servers_that_say_something_else() {
    for (protocol, script) in [("imap", IMAP), ("pop3", POP3), ("smtp", SMTP)] {
        let ssh =
            check(protocol, greeting(script, "SSH-2.0-OpenSSH_9.2\r\n"), 1, "greeting", "probe/wrong-protocol", 0);
        assert!(ssh.to_string().contains("SSH"), "{ssh}");
        check(protocol, greeting(script, "\u{1}\u{2}garbage\r\n"), 1, "greeting", "probe/protocol", 0);
        check(protocol, greeting(script, CLOSE), 1, "greeting", "probe/closed", 0);
    }
    check("imap", with(IMAP, ("CAPABILITY", "rubbish\r\n")), 1, "capabilities", "probe/protocol", 0);
}

#[test]
fn servers_that_close_in_the_middle() {
    check("imap", with(IMAP, ("LOGIN", CLOSE)), 1, "login", "probe/closed", 1);
    check("pop3", with(POP3, ("PASS", CLOSE)), 1, "login", "probe/closed", 1);
    check("smtp", with(SMTP, ("AUTH", CLOSE)), 1, "login", "probe/closed", 1);
    check("smtp", with(SMTP, ("EHLO", CLOSE)), 1, "capabilities", "probe/closed", 0);
}

/// No password was wrong: it says so, and asks once.
#[test]
fn logins_that_are_refused_for_something_else() {
    for (protocol, script, verb, said, code) in [
        ("imap", IMAP, "LOGIN", "% NO [UNAVAILABLE] Temporary authentication failure.\r\n", "probe/login-unavailable"),
        ("pop3", POP3, "PASS", "-ERR [SYS/TEMP] Temporary failure\r\n", "probe/login-unavailable"),
        ("smtp", SMTP, "AUTH", "454 4.7.0 Temporary authentication failure\r\n", "probe/login-unavailable"),
        ("imap", IMAP, "LOGIN", "% NO [LIMIT] Maximum number of connections\r\n", "probe/login-limit"),
        ("pop3", POP3, "PASS", "-ERR [LOGIN-DELAY] wait\r\n", "probe/login-limit"),
        ("imap", IMAP, "LOGIN", "% NO [PRIVACYREQUIRED] not in clear\r\n", "probe/login-needs-tls"),
        ("smtp", SMTP, "AUTH", "538 5.7.11 encryption required\r\n", "probe/login-needs-tls"),
        ("imap", IMAP, "LOGIN", "% NO [AUTHENTICATIONFAILED] no\r\n", "probe/login-refused"),
        ("imap", IMAP, "LOGIN", "% NO no\r\n", "probe/login-refused"),
        ("pop3", POP3, "PASS", "-ERR [AUTH] no\r\n", "probe/login-refused"),
        ("smtp", SMTP, "AUTH", "535 5.7.8 no\r\n", "probe/login-refused"),
    ] {
        check(protocol, with(script, (verb, said)), 1, "login", code, 1);
    }
}

#[test]
fn a_server_that_takes_no_login_command_is_not_shown_a_password() {
    let said = "* CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS\r\n% OK done\r\n";
    let disabled = greeting(with(IMAP, ("CAPABILITY", said)), "* OK ready\r\n");
    let step = check("imap", disabled, 1, "login", "probe/login-needs-tls", 0);
    assert!(step["hint"].as_str().unwrap().contains("incoming.security: starttls"), "{step}");
    check("smtp", with(SMTP, ("EHLO", "250-mail\r\n250 SIZE 1000\r\n")), 1, "login", "probe/auth-missing", 0);
}

#[test]
fn a_server_that_shows_the_password_is_not_repeated() {
    let text = "you said: $LINE";
    let imap: &'static str = format!("% NO [AUTHENTICATIONFAILED] {text}\r\n").leak();
    check("imap", with(IMAP, ("LOGIN", imap)), 1, "login", "probe/login-refused", 1);
    let pop3: &'static str = format!("-ERR [AUTH] {text}\r\n").leak();
    check("pop3", with(POP3, ("PASS", pop3)), 1, "login", "probe/login-refused", 1);
    let smtp: &'static str = format!("535 5.7.8 {text}\r\n").leak();
    check("smtp", with(SMTP, ("AUTH", smtp)), 1, "login", "probe/login-refused", 1);
    // All that a terminal would obey is gone, too.
    let ugly = "% NO [AUTHENTICATIONFAILED] \u{1b}[31mred\u{7}\u{202e}\r\n";
    let fake = Fake::start(with(IMAP, ("LOGIN", ugly)));
    let run = expect(&account("imap", "none", fake.port()), 1, &["probe"]);
    assert!(!run.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", run.stdout);
    assert!(run.stdout.contains("red"), "{}", run.stdout);
    assert!(!run.stdout.contains(RIGHT));
}

#[test]
fn pop3_without_uidl() {
    let script = with(with(POP3, ("CAPA", "+OK\r\nUSER\r\n.\r\n")), ("UIDL", "-ERR what?\r\n"));
    check("pop3", script, 0, "uidl", "probe/uidl-missing", 1);
    let fake = Fake::start(script);
    let world = World::project("generic", "probe: { hosts: [127.0.0.1], timeout: 1s }\n");
    let at = format!("protocol: pop3, host: 127.0.0.1, port: {}, security: none", fake.port());
    let login = "incoming: { username: a@example.jp, password: { env: RIGHT } }";
    world.write(
        "a.yaml",
        format!(
            "servers: {{ s: {{ supports_uidl: true, incoming: {{ {at} }} }} }}\n\
             accounts: {{ a: {{ server: s, {login} }} }}\n"
        ),
    );
    let document = json(&world, 1, &["probe", "account/a"]);
    assert_eq!(step(probed(&document, "account/a", "pop3"), "uidl")["outcome"], "failed", "{document:#}");
}

/// A server of old that knows the command and no CAPA.
#[test]
fn pop3_without_capa() {
    let fake = Fake::start(with(POP3, ("CAPA", "-ERR what?\r\n")));
    let document = json(&account("pop3", "none", fake.port()), 0, &["probe"]);
    let uidl = step(probed(&document, "account/a", "pop3"), "uidl");
    assert_eq!(uidl["outcome"], "ok", "{document:#}");
}

#[test]
fn starttls_that_is_refused_or_no_tls() {
    let offered = [
        ("imap", with(IMAP, ("CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS\r\n% OK\r\n")), "STARTTLS", "% BAD no\r\n"),
        ("pop3", with(POP3, ("CAPA", "+OK\r\nUSER\r\nSTLS\r\n.\r\n")), "STLS", "-ERR no\r\n"),
        ("smtp", with(SMTP, ("EHLO", "250-mail\r\n250 STARTTLS\r\n")), "STARTTLS", "454 4.7.0 no\r\n"),
    ];
    for (protocol, script, verb, said) in offered {
        let script = if protocol == "imap" { greeting(script, "* OK ready\r\n") } else { script };
        let fake = Fake::start(with(script, (verb, said)));
        let document = json(&account(protocol, "starttls", fake.port()), 1, &["probe"]);
        let probe = probed(&document, "account/a", protocol);
        assert_eq!(step(probe, "starttls")["code"], "probe/starttls-refused", "{document:#}");
        assert_eq!(fake.logins(), 0);
    }
    // What was sent in clear behind the consent is not taken for an answer over TLS.
    let script = with(SMTP, ("EHLO", "250-mail\r\n250 STARTTLS\r\n"));
    let fake = Fake::start(with(script, ("STARTTLS", "220 go\r\n250-mail\r\n250 AUTH PLAIN\r\n")));
    let document = json(&account("smtp", "starttls", fake.port()), 1, &["probe"]);
    assert_eq!(probed(&document, "account/a", "smtp")["outcome"], "failed", "{document:#}");
    assert_eq!(fake.logins(), 0);
}

/// The time limit of the project holds for each answer, and one more connection may ask for TLS.
#[test]
fn servers_that_say_nothing() {
    for (protocol, script) in [("imap", IMAP), ("pop3", POP3), ("smtp", SMTP)] {
        let start = Instant::now();
        check(protocol, greeting(script, SILENCE), 1, "greeting", "probe/no-greeting", 0);
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    }
    let step = check("imap", with(IMAP, ("LOGIN", SILENCE)), 1, "login", "probe/timeout", 1);
    assert!(step["ms"].as_u64().unwrap() >= 900, "{step}");
}

#[test]
fn a_port_that_takes_no_connection() {
    let hole = BlackHole::open();
    let start = Instant::now();
    let document = json(&account("imap", "none", hole.address.port()), 1, &["probe"]);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let connect = step(probed(&document, "account/a", "imap"), "connect");
    assert_eq!(connect["code"], "probe/timeout", "{document:#}");
}

/// No server may fill the memory, or talk for ever.
#[test]
fn servers_that_talk_too_much() {
    let flood: &'static str = format!("* OK {}\r\n", "x".repeat(8 << 20)).leak();
    let fake = Fake::start(greeting(IMAP, flood));
    let run = expect(&account("imap", "none", fake.port()), 1, &["probe"]);
    assert!(run.stdout.len() < 20_000, "{} bytes", run.stdout.len());
    let many: &'static str = "* OK noise\r\n".repeat(500_000).leak();
    let fake = Fake::start(with(IMAP, ("LOGIN", many)));
    let run = expect(&account("imap", "none", fake.port()), 1, &["probe"]);
    assert!(run.stdout.len() < 20_000, "{} bytes", run.stdout.len());
}

/// No text of a file, nor of the command line, becomes a command of its own.
#[test]
fn nothing_is_smuggled_into_a_dialogue() {
    for (protocol, script) in [("imap", IMAP), ("pop3", POP3), ("smtp", SMTP)] {
        let fake = Fake::start(script);
        let world = account(protocol, "none", fake.port());
        let text = std::fs::read_to_string(world.file("a.yaml")).unwrap();
        let user = "username: \"a@example.jp\\r\\nX1 SMUGGLED\\r\\n\"";
        world.write("a.yaml", text.replace("username: a@example.jp", user));
        super::run(&world, &["probe"]);
        let world = account(protocol, "none", fake.port());
        let mut command = super::command(&world, &["probe"]);
        super::shows_no_password(&Run::of(command.env("RIGHT", "x\r\nX1 SMUGGLED\r\n").output().unwrap()));
        let heard = fake.heard();
        assert!(!heard.iter().any(|line| line.starts_with("X1 ")), "{protocol} {heard:?}");
    }
    let fake = Fake::start(SMTP);
    let world = account("smtp", "none", fake.port());
    for to in ["a@example.jp>\r\nX1 SMUGGLED", "nonsense", "", "a@example.jp> SMUGGLED <b@example.jp"] {
        let run = super::run(&world, &["probe", "--send", to]);
        assert_ne!(run.code, 0, "{to:?}\n{}", run.stdout);
    }
    assert!(!fake.heard().iter().any(|line| line.contains("SMUGGLED")), "{:?}", fake.heard());
}

#[test]
fn a_server_without_any_mechanism_that_yubin_knows() {
    let digest = with(SMTP, ("EHLO", "250-mail\r\n250 AUTH DIGEST-MD5 XOAUTH2\r\n"));
    let step = check("smtp", digest, 1, "login", "probe/mechanism-missing", 0);
    assert!(step.to_string().contains("XOAUTH2"), "{step}");
}
