//! Dialogues as they go over the line: what the server says (`S:`), what must be said to it (`C:`), where TLS begins
//! (`TLS`), and what comes of it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::dialogue::{Dialogue, Stream};
use super::finding::{Finding, Steps, Stop};
use super::ledger::Ledger;
use super::login::{Login, log_in};
use super::secrets::Secrets;
use super::session::Session;
use super::{behind, smtp};
use crate::model::probe::{Entry, Mechanism, Outcome, Protocol, Security, Send, Step, Target};
use crate::model::{Address, Clear, Key, Kind};

const PASSWORD: &str = "Kanaria \"7\\!";

#[derive(Clone, Debug)]
enum Line {
    Server(Vec<u8>),
    Client(String),
    Tls,
}

/// A server out of a script. Where it has nothing more to say, it closes; where it waits for another line than it
/// gets, it is silent.
struct Script {
    lines: VecDeque<Line>,
    written: Vec<u8>,
    encrypted: bool,
    second: Option<String>,
    local: bool,
}

impl Script {
    fn new(text: &str) -> Script {
        let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty()).map(|line| {
            let said = line.get(3..).unwrap_or("");
            match &line[..2] {
                "S:" => Line::Server(format!("{said}\r\n").into_bytes()),
                "C:" => Line::Client(said.to_owned()),
                "TL" => Line::Tls,
                other => panic!("{other}"),
            }
        });
        Script { lines: lines.collect(), written: Vec::new(), encrypted: false, second: None, local: false }
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.lines.front_mut() {
            Some(Line::Server(bytes)) => {
                let n = bytes.len().min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[..n]);
                bytes.drain(..n);
                if bytes.is_empty() {
                    self.lines.pop_front();
                }
                Ok(n)
            }
            Some(Line::Client(_) | Line::Tls) => Err(ErrorKind::WouldBlock.into()),
            None => Ok(0),
        }
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        while let Some(end) = self.written.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8(self.written.drain(..end + 2).take(end).collect()).unwrap();
            match self.lines.pop_front() {
                Some(Line::Client(expected)) if expected == "*" || expected == line => {}
                // A goodbye need not stand in the script.
                None if line.ends_with("LOGOUT") || line == "QUIT" => {}
                other => panic!("said {line:?}, expected {other:?}"),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn until(&mut self, _: Instant) {}

    fn encrypt(&mut self, _: &Secrets) -> Result<Finding, Finding> {
        assert!(matches!(self.lines.pop_front(), Some(Line::Tls)), "no TLS was expected");
        self.encrypted = true;
        Ok(Finding::ok("TLS 1.3"))
    }

    fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    fn greets_with_tls(&mut self, _: Duration) -> Option<String> {
        self.second.take()
    }

    fn own_address(&self) -> Option<IpAddr> {
        Some([192, 0, 2, 7].into())
    }

    fn is_local(&self) -> bool {
        self.local
    }
}

fn target(protocol: Protocol, security: Security, mechanism: Mechanism) -> Target {
    let password = Arc::new(Clear::new(PASSWORD.to_owned()));
    Target {
        address: Address::new(Kind::Account, Key::single("info")),
        protocol,
        host: "mail.example.jp".to_owned(),
        port: 1,
        security,
        entry: Entry::User { name: "info@example.jp".to_owned(), password, mechanism },
        folder: None,
        uidl: true,
        size: None,
        before: None,
        send: None,
    }
}

fn converse(target: &Target, script: Script) -> Vec<Step> {
    let secrets = Secrets::of(target);
    let ledger = Ledger::new(1, 1);
    let turn = ledger.turn(target);
    let mut steps = Steps::default();
    let timeout = Duration::from_secs(1);
    let dialogue = Dialogue::new(script, &secrets, timeout, Instant::now() + timeout);
    let all = |steps: &mut Steps| -> Result<(), Stop> {
        let mut session = Session::open(dialogue, target, steps)?;
        let login = match log_in(&mut session, steps, turn.as_ref()) {
            Ok(login) => login,
            Err(stop) => {
                session.close();
                return Err(stop);
            }
        };
        let asked = behind(&mut session, login, steps);
        if let (Some(send), true, Ok(())) = (&target.send, login != Login::Skipped, asked) {
            let sent = smtp::send(&mut session, send, "Subject: x");
            session.close();
            return steps.take(crate::model::probe::StepName::Send, sent);
        }
        session.close();
        asked
    };
    let _ = all(&mut steps);
    steps.into_list()
}

/// `outcome step [code] message « said » help: hint`
fn told(step: &Step) -> String {
    let mut words = vec![step.outcome.name().to_owned(), step.name.name().to_owned()];
    words.extend(step.code.map(|code| format!("[{code}]")));
    words.extend(Some(step.message.clone()).filter(|message| !message.is_empty()));
    words.extend(step.said.as_ref().map(|said| format!("« {said} »")));
    words.extend(step.hint.as_ref().map(|hint| format!("help: {hint}")));
    words.join(" ")
}

fn clean(steps: &[Step]) {
    let text = format!("{steps:?}").to_lowercase();
    for form in forms(PASSWORD) {
        assert!(!text.contains(&form.to_lowercase()), "{form} in {text}");
    }
}

fn forms(password: &str) -> Vec<String> {
    use base64::Engine as _;
    let code = base64::engine::general_purpose::STANDARD;
    let hex = super::secrets::hex(password.as_bytes()).to_string();
    let plain = code.encode(format!("\0info@example.jp\0{password}"));
    vec![password.to_owned(), code.encode(password), plain, hex]
}

/// Each line of `expected` is the beginning of what a step tells, in their order.
#[track_caller]
fn check(target: &Target, script: &str, expected: &[&str]) {
    check_script(target, Script::new(script), expected);
}

#[track_caller]
fn check_script(target: &Target, script: Script, expected: &[&str]) {
    let steps = converse(target, script);
    clean(&steps);
    let all: Vec<String> = steps.iter().map(told).collect();
    assert!(
        all.len() == expected.len() && all.iter().zip(expected).all(|(told, start)| told.starts_with(start)),
        "told:\n{}",
        all.join("\n")
    );
}

/// As `check`, of the last step alone; it must hold all of `expected`.
#[track_caller]
fn last(target: &Target, script: &str, expected: &[&str]) {
    let steps = converse(target, Script::new(script));
    clean(&steps);
    let text = steps.last().map(told).unwrap_or_default();
    assert!(expected.iter().all(|part| text.contains(part)), "{text}");
}

const IMAP: &str = "S: * OK ready\nC: a1 CAPABILITY\n";
const LOGIN: &str = "C: a2 LOGIN \"info@example.jp\" \"Kanaria \\\"7\\\\!\"\n";

fn imap() -> Target {
    target(Protocol::Imap, Security::None, Mechanism::Auto)
}

#[test]
fn imap_to_the_mailbox() {
    let mut target = imap();
    target.folder = Some("送信.".to_owned());
    check(
        &target,
        &format!(
            "{IMAP}S: * CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\nS: a1 OK done\n{LOGIN}S: a2 OK in\n\
             C: a3 CAPABILITY\nS: * CAPABILITY IMAP4rev1 QUOTA\nS: a3 OK done\n\
             C: a4 EXAMINE INBOX\nS: * 3 EXISTS\nS: a4 OK done\n\
             C: a5 LIST \"\" \"&kAFP4Q-.\"\nS: a5 OK none\n\
             C: a6 LIST \"\" \"&kAFP4Q-\"\nS: * LIST () \".\" {{8}}\nS: &kAFP4Q-\nS: a6 OK done\n\
             C: a7 GETQUOTAROOT INBOX\nS: * QUOTAROOT INBOX \"x\"\nS: * QUOTA \"x\" (STORAGE 10 512)\nS: a7 OK done\n\
             C: a8 LOGOUT\nS: * BYE\nS: a8 OK bye\n"
        ),
        &[
            "ok greeting « * OK ready »",
            "ok capabilities IMAP4REV1, STARTTLS, AUTH=PLAIN",
            "warning login [probe/password-in-clear] logged in by LOGIN, and the password went in clear over the network \
             « OK in » help: set `incoming.security: starttls` (the server offers it)",
            "ok mailbox INBOX, 3 messages, 10 of 512 KiB used",
        ],
    );
}

#[test]
fn imap_forgets_what_was_offered_before_starttls() {
    let target = target(Protocol::Imap, Security::StartTls, Mechanism::Auto);
    check(
        &target,
        &format!(
            "{IMAP}S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\nS: a1 OK done\nC: a2 STARTTLS\nS: a2 OK go\nTLS\n\
             C: a3 CAPABILITY\nS: * CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED\nS: a3 OK done\n\
             C: a4 AUTHENTICATE PLAIN\nS: +\nC: AGluZm9AZXhhbXBsZS5qcABLYW5hcmlhICI3XCE=\nS: a4 OK in\n\
             C: a5 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: a5 OK done\n\
             C: a6 EXAMINE INBOX\nS: a6 OK done\n"
        ),
        &[
            "ok greeting",
            "ok capabilities IMAP4REV1, STARTTLS, LOGINDISABLED",
            "ok starttls « OK go »",
            "ok tls TLS 1.3",
            "ok capabilities IMAP4REV1, AUTH=PLAIN, LOGINDISABLED",
            "ok login by PLAIN",
            "ok mailbox INBOX",
        ],
    );
}

#[test]
fn imap_says_what_is_wrong() {
    let offered = format!("{IMAP}S: * CAPABILITY IMAP4rev1 STARTTLS\nS: a1 OK done\n");
    for (answer, expected) in [
        ("S: a2 NO [AUTHENTICATIONFAILED] Authentication failed.", "failed login [probe/login-refused]"),
        ("S: a2 NO sorry", "failed login [probe/login-refused]"),
        ("S: a2 NO [UNAVAILABLE] Temporary authentication failure.", "failed login [probe/login-unavailable]"),
        ("S: a2 NO [LIMIT] Maximum number of connections", "failed login [probe/login-limit]"),
        ("S: a2 NO Too many login attempts", "failed login [probe/login-limit]"),
        ("S: a2 NO [PRIVACYREQUIRED] no", "failed login [probe/login-needs-tls]"),
        (
            "S: * BAD [ALERT] Plaintext authentication not allowed\nS: a2 NO [CLIENTBUG] no",
            "failed login [probe/login-needs-tls]",
        ),
        ("S: a2 BAD what?", "failed login [probe/protocol]"),
        ("S: a2 FINE", "failed login [probe/protocol]"),
        ("S: hello", "failed login [probe/protocol]"),
        ("", "failed login [probe/closed]"),
        ("S: * BYE shutting down", "failed login [probe/closed]"),
        ("S: * x {999999999999}", "failed login [probe/protocol]"),
        ("S: * x {99}", "failed login [probe/closed]"),
    ] {
        last(&imap(), &format!("{offered}{LOGIN}{answer}\n"), &[expected]);
    }
    last(
        &imap(),
        "S: * BYE too many\nC: a1 LOGOUT",
        &["failed greeting [probe/greeting-refused]", "« * BYE too many »"],
    );
    last(&imap(), "S: +OK hello", &["[probe/wrong-protocol]", "speaks POP3, not IMAP", "`incoming.protocol: pop3`"]);
    last(&imap(), "S: * PREAUTH root\nC: *", &["failed greeting [probe/protocol]"]);
    last(&imap(), &format!("{IMAP}S: a1 OK done\nC: *"), &["failed capabilities [probe/protocol]"]);
    last(&imap(), &format!("{IMAP}S: a1 BAD done\nC: *"), &["failed capabilities [probe/protocol]"]);
    let disabled = format!("{IMAP}S: * CAPABILITY AUTH=PLAIN LOGINDISABLED\nS: a1 OK done\nC: *\n");
    last(&imap(), &disabled, &["failed login [probe/login-needs-tls]", "implicit_tls", "993"]);
    let starttls = target(Protocol::Imap, Security::StartTls, Mechanism::Auto);
    last(&starttls, &disabled, &["failed starttls [probe/starttls-missing]", "993"]);
    last(
        &starttls,
        &format!("{offered}C: a2 STARTTLS\nS: a2 NO broken\nC: *"),
        &["failed starttls [probe/starttls-refused]"],
    );
}

#[test]
fn text_behind_starttls_is_refused() {
    for (protocol, script) in [
        (Protocol::Imap, "S: * OK\nC: *\nS: * CAPABILITY STARTTLS\nS: a1 OK\nC: *\nS: a2 OK go"),
        (Protocol::Pop3, "S: +OK\nC: *\nS: +OK\nS: STLS\nS: .\nC: *\nS: +OK go"),
        (Protocol::Smtp, "S: 220 x\nC: *\nS: 250-x\nS: 250 STARTTLS\nC: *\nS: 220 go"),
    ] {
        let mut script = Script::new(script);
        let Some(Line::Server(bytes)) = script.lines.back_mut() else { panic!() };
        bytes.extend_from_slice(b"a3 OK in\r\n+OK\r\n250 AUTH PLAIN\r\n");
        let target = target(protocol, Security::StartTls, Mechanism::Auto);
        check_script(&target, script, &["ok greeting", "ok capabilities", "failed starttls [probe/protocol]"]);
    }
}

#[test]
fn imap_folders_and_quota() {
    let to_inbox = format!(
        "{IMAP}S: * CAPABILITY QUOTA\nS: a1 OK done\n{LOGIN}S: a2 OK in\nC: a3 CAPABILITY\nS: * CAPABILITY QUOTA\n\
         S: a3 OK\nC: a4 EXAMINE INBOX\nS: * 1 EXISTS\nS: a4 OK done\n"
    );
    let quota = "C: a5 GETQUOTAROOT INBOX\nS: * QUOTA \"\" (STORAGE 512 512)\nS: a5 OK\n";
    last(
        &imap(),
        &format!("{to_inbox}{quota}"),
        &["warning mailbox [probe/mailbox-full]", "512 of 512 KiB", "`capacity`"],
    );
    let mut target = imap();
    target.folder = Some("Mail".to_owned());
    let lists = "C: a5 LIST \"\" \"Mail\"\nS: a5 OK\nC: a6 LIST \"\" \"Mail\"\nS: a6 OK\nC: a7 LIST \"\" \"%\"\n\
                 S: * LIST () \".\" INBOX\nS: * LIST () \".\" \"&kAFP4Q-\"\nS: a7 OK\n";
    last(
        &target,
        &format!("{to_inbox}{lists}"),
        &["failed mailbox [probe/folder-missing]", "there are: INBOX, 送信", "imap_root"],
    );
}

#[test]
fn passwords_beyond_ascii_are_literals() {
    let mut target = target(Protocol::Imap, Security::None, Mechanism::Login);
    let password = Arc::new(Clear::new("pä".to_owned()));
    target.entry = Entry::User { name: "ü".to_owned(), password, mechanism: Mechanism::Auto };
    let script = format!(
        "{IMAP}S: * CAPABILITY IMAP4rev1\nS: a1 OK done\nC: a2 LOGIN {{2}}\nS: + go\nC: ü {{3}}\nS: + go\nC: pä\nS: a2 NO no"
    );
    last(&target, &script, &["[probe/login-refused]"]);
}

#[test]
fn what_no_protocol_can_send_is_not_sent() {
    for password in ["a\n", "a\rb", "\0"] {
        let mut target = imap();
        let password = Arc::new(Clear::new(password.to_owned()));
        target.entry = Entry::User { name: "x".to_owned(), password, mechanism: Mechanism::Auto };
        last(
            &target,
            &format!("{IMAP}S: * CAPABILITY X\nS: a1 OK\nC: a2 LOGOUT"),
            &["failed login [probe/protocol]", "line break"],
        );
    }
}

const POP3: &str = "S: +OK ready <1896.697170952@dbc.mtview.ca.us>\nC: CAPA\n";

fn pop3(mechanism: Mechanism) -> Target {
    target(Protocol::Pop3, Security::None, mechanism)
}

#[test]
fn pop3_to_uidl() {
    let offers = "S: +OK\nS: USER\nS: STLS\nS: SASL PLAIN CRAM-MD5\nS: .\n";
    let login = "C: USER info@example.jp\nS: +OK\nC: PASS Kanaria \"7\\!\n";
    check(
        &pop3(Mechanism::Auto),
        &format!("{POP3}{offers}{login}S: +OK in\nC: STAT\nS: +OK 2 320\nC: UIDL 1\nS: +OK 1 x\nC: QUIT\nS: +OK"),
        &[
            "ok greeting",
            "ok capabilities USER, STLS, SASL PLAIN CRAM-MD5",
            "warning login [probe/password-in-clear]",
            "ok uidl 2 messages",
        ],
    );
    for (answer, expected) in [
        ("-ERR [AUTH] Authentication failed.", "login-refused"),
        ("-ERR no", "login-refused"),
        ("-ERR [SYS/TEMP] Temporary authentication failure.", "login-unavailable"),
        ("-ERR [IN-USE] locked", "login-unavailable"),
        ("-ERR [LOGIN-DELAY] wait", "login-limit"),
        ("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", "login-needs-tls"),
        ("* what", "protocol"),
    ] {
        last(
            &pop3(Mechanism::Auto),
            &format!("{POP3}{offers}{login}S: {answer}\nC: *"),
            &[&format!("failed login [probe/{expected}]")],
        );
    }
    let empty = "S: +OK in\nC: STAT\nS: +OK 0 0\nC: UIDL\nS: -ERR unknown\nC: *";
    last(&pop3(Mechanism::Auto), &format!("{POP3}{offers}{login}{empty}"), &["failed uidl [probe/uidl-missing]"]);
    let mut target = pop3(Mechanism::Auto);
    target.uidl = false;
    last(&target, &format!("{POP3}{offers}{login}{empty}"), &["warning uidl [probe/uidl-missing]"]);
}

#[test]
fn pop3_with_other_mechanisms() {
    let nothing = "S: -ERR unknown\n";
    last(
        &pop3(Mechanism::Apop),
        &format!("{POP3}{nothing}C: *\nS: -ERR no"),
        &["[probe/login-refused]", "APOP", "stores the password"],
    );
    last(
        &pop3(Mechanism::Apop),
        &format!("S: +OK\nC: CAPA\n{nothing}C: *"),
        &["[probe/mechanism-missing]", "`incoming.apop: false`"],
    );
    let only_tls = "S: +OK\nS: STLS\nS: SASL\nS: .\n";
    last(
        &pop3(Mechanism::Auto),
        &format!("{POP3}{only_tls}C: *"),
        &["[probe/login-needs-tls]", "`incoming.security: starttls`"],
    );
    let plain =
        "S: +OK\nS: SASL PLAIN\nS: .\nC: AUTH PLAIN\nS: +\nC: AGluZm9AZXhhbXBsZS5qcABLYW5hcmlhICI3XCE=\nS: -ERR no";
    last(&pop3(Mechanism::Auto), &format!("{POP3}{plain}"), &["[probe/login-refused]"]);
    let starttls = target(Protocol::Pop3, Security::StartTls, Mechanism::Auto);
    last(&starttls, &format!("{POP3}{nothing}C: STLS\nS: -ERR unknown\nC: *"), &["[probe/starttls-missing]", "995"]);
}

const EHLO: &str = "S: 220 mail ESMTP\nC: EHLO [192.0.2.7]\nS: 250-mail\n";

fn smtp(mechanism: Mechanism) -> Target {
    target(Protocol::Smtp, Security::None, mechanism)
}

#[test]
fn smtp_mechanisms() {
    let plain = "C: AUTH PLAIN AGluZm9AZXhhbXBsZS5qcABLYW5hcmlhICI3XCE=\n";
    let login =
        "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: aW5mb0BleGFtcGxlLmpw\nS: 334 UGFzc3dvcmQ6\nC: S2FuYXJpYSAiN1wh\n";
    let cram = "C: AUTH CRAM-MD5\nS: 334 PDEuMkBtYWlsPg==\nC: *\n";
    for (mechanism, offered, dialogue, by) in [
        (Mechanism::Plain, "PLAIN LOGIN CRAM-MD5", plain, "by PLAIN"),
        (Mechanism::Login, "PLAIN LOGIN CRAM-MD5", login, "by LOGIN"),
        (Mechanism::CramMd5, "PLAIN LOGIN CRAM-MD5", cram, "by CRAM-MD5"),
        (Mechanism::Auto, "PLAIN LOGIN CRAM-MD5", cram, "by CRAM-MD5"),
        (Mechanism::Auto, "LOGIN PLAIN", plain, "by PLAIN"),
        (Mechanism::Auto, "LOGIN", login, "by LOGIN"),
    ] {
        let script =
            format!("{EHLO}S: 250-SIZE 10\nS: 250 AUTH {offered}\n{dialogue}S: 235 2.7.0 ok\nC: QUIT\nS: 221 bye");
        last(&smtp(mechanism), &script, &["login", by]);
    }
    let mut local = Script::new(&format!("{EHLO}S: 250 AUTH PLAIN\n{plain}S: 235 ok"));
    local.local = true;
    check_script(&smtp(Mechanism::Auto), local, &["ok greeting", "ok capabilities AUTH PLAIN", "ok login by PLAIN"]);
    let offered = format!("{EHLO}S: 250 AUTH PLAIN\n{plain}");
    for (answer, expected) in [
        ("535 5.7.8 Error: authentication failed", "login-refused"),
        ("550 5.7.1 account closed", "login-refused"),
        ("454 4.7.0 Temporary authentication failure", "login-unavailable"),
        ("421 4.7.0 Too many connections", "login-limit"),
        ("454 4.7.0 too many attempts", "login-limit"),
        ("530 5.7.0 Must issue a STARTTLS command first", "login-needs-tls"),
        ("538 5.7.11 Encryption required", "login-needs-tls"),
        ("503 5.5.1 Error: authentication not enabled", "login-needs-tls"),
        ("534 5.7.9 too weak", "mechanism-missing"),
        ("501 what", "protocol"),
        ("334 more", "protocol"),
        ("what", "protocol"),
    ] {
        last(
            &smtp(Mechanism::Auto),
            &format!("{offered}S: {answer}\nC: *"),
            &[&format!("failed login [probe/{expected}]")],
        );
    }
    last(
        &smtp(Mechanism::CramMd5),
        &offered.replace(plain, "C: QUIT\n"),
        &["[probe/mechanism-missing]", "it offers PLAIN", "`outgoing.auth.mechanism: plain`"],
    );
    for challenge in ["", "!!!"] {
        let script = format!("{EHLO}S: 250 AUTH CRAM-MD5\nC: AUTH CRAM-MD5\nS: 334 {challenge}\nC: *");
        last(&smtp(Mechanism::CramMd5), &script, &["failed login [probe/protocol]"]);
    }
}

#[test]
fn smtp_without_auth() {
    last(&smtp(Mechanism::Auto), &format!("{EHLO}S: 250 SIZE\nC: *"), &["[probe/auth-missing]", "587"]);
    let hidden = format!("{EHLO}S: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\nC: *\nS: 250-mail\n");
    let found = ["[probe/login-needs-tls]", "`outgoing.security: starttls`"];
    last(&smtp(Mechanism::Auto), &format!("{hidden}S: 250 AUTH PLAIN\nC: *"), &found);
    last(&smtp(Mechanism::Auto), &format!("{hidden}S: 250 SIZE\nC: *"), &["[probe/auth-missing]"]);
    let mut target = smtp(Mechanism::Auto);
    target.entry = Entry::Nobody;
    target.size = Some(2_000);
    let offered = format!("{EHLO}S: 250-SIZE 1000\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221");
    let expected = [
        "ok greeting",
        "ok capabilities",
        "warning login [probe/auth-needed]",
        "warning size [probe/size] the server takes messages of 1000 bytes at most, 2000 are declared",
    ];
    check(&target, &offered, &expected);
    target.address = Address::new(Kind::Server, Key::single("main"));
    check(&target, &offered, &["ok greeting", "ok capabilities", "warning size [probe/size]"]);
    target.entry = Entry::Without("the password is a hash".to_owned());
    check(
        &target,
        &offered,
        &["ok greeting", "ok capabilities", "skipped login [probe/no-password] the password is a hash", "warning size"],
    );
}

#[test]
fn smtp_greetings() {
    for (script, expected) in [
        ("S: 220-mail\nS: 220-more\nS: 220 ready\nC: *\nS: 250 mail", "[probe/auth-missing]"),
        ("S: 554 no\nC: QUIT", "failed greeting [probe/greeting-refused]"),
        ("S: 421 busy\nC: QUIT", "failed greeting [probe/greeting-refused]"),
        ("S: 220-mail\nS: hello", "failed greeting [probe/protocol]"),
        ("S: 220 ProFTPD", "failed greeting [probe/wrong-protocol] the server speaks FTP, not SMTP"),
        ("S: \u{1}\u{2}", "failed greeting [probe/protocol]"),
        ("S: 220 x\nC: *\nS: 500 what\nC: *\nS: 500 what", "failed capabilities [probe/protocol]"),
        ("S: 220 x\nC: *\nS: 554 no\nC: *\nS: 554 no", "failed capabilities [probe/greeting-refused]"),
        ("S: 220 x\nC: *\nS: 500 what\nC: HELO [192.0.2.7]\nS: 250 hi", "[probe/auth-missing]"),
        ("", "failed greeting [probe/closed]"),
        ("C: x", "failed greeting [probe/no-greeting]"),
    ] {
        last(&smtp(Mechanism::Auto), script, &[expected]);
    }
    for rest in ["", "C: x"] {
        let mut script = Script::new(rest);
        script.second = Some("220 ready".to_owned());
        check_script(&smtp(Mechanism::Auto), script, &["failed greeting [probe/tls-port]"]);
    }
}

#[test]
fn smtp_sends() {
    let mut target = smtp(Mechanism::Auto);
    target.entry = Entry::Nobody;
    target.send = Some(Send { from: "a@example.jp".to_owned(), to: "b@example.com".to_owned(), back: None });
    let mail = format!("{EHLO}S: 250 SIZE\nC: MAIL FROM:<a@example.jp> SIZE=12\n");
    let rcpt = format!("{mail}S: 250 ok\nC: RCPT TO:<b@example.com>\n");
    let data = format!("{rcpt}S: 250 ok\nC: DATA\n");
    let text = format!("{data}S: 354 go\nC: Subject: x\nC: .\n");
    for (script, expected) in [
        (
            format!("{text}S: 250 2.0.0 queued as 1\nC: QUIT\nS: 221"),
            "ok send to b@example.com « 250 2.0.0 queued as 1 »",
        ),
        (format!("{mail}S: 553 5.7.1 not yours\nC: *"), "failed send [probe/sender-refused]"),
        (format!("{rcpt}S: 554 5.7.1 Relay access denied\nC: *"), "failed send [probe/recipient-refused]"),
        (format!("{rcpt}S: 450 4.2.0 Greylisted\nC: *"), "failed send [probe/recipient-refused]"),
        (format!("{rcpt}S: 552 5.2.2 Mailbox is full\nC: *"), "failed send [probe/mailbox-full]"),
        (format!("{rcpt}S: 452 4.2.2 Mailbox is full\nC: *"), "failed send [probe/mailbox-full]"),
        (format!("{data}S: 554 no\nC: *"), "failed send [probe/message-refused]"),
        (format!("{text}S: 550 5.7.1 spam\nC: *"), "failed send [probe/message-refused]"),
        (format!("{text}S: 552 5.3.4 too big\nC: *"), "failed send [probe/message-refused]"),
        (text, "failed send [probe/closed]"),
    ] {
        last(&target, &script, &[expected]);
    }
    target.send = Some(Send { from: "a@example.jp>\r\nX".to_owned(), to: "b@example.com".to_owned(), back: None });
    last(&target, &format!("{EHLO}S: 250 SIZE\nC: QUIT"), &["failed send [probe/sender-refused]"]);
}

#[test]
fn nobody_stops_behind_the_offers() {
    for (protocol, script) in [
        (Protocol::Imap, "S: * OK\nC: *\nS: * CAPABILITY X\nS: a1 OK\nC: a2 LOGOUT\nS: a2 OK"),
        (Protocol::Pop3, "S: +OK\nC: *\nS: +OK\nS: TOP\nS: .\nC: QUIT\nS: +OK"),
    ] {
        let mut target = target(protocol, Security::None, Mechanism::Auto);
        target.entry = Entry::Nobody;
        check(&target, script, &["ok greeting", "ok capabilities"]);
    }
}

#[test]
fn servers_that_repeat_the_password_do_not_get_it_into_a_step() {
    let all = forms(PASSWORD).join(" ");
    for (protocol, script) in [
        (Protocol::Imap, format!("S: * OK {all}\nC: *\nS: * CAPABILITY {all}\nS: a1 OK\nC: *\nS: a2 NO {all}\nC: *")),
        (
            Protocol::Pop3,
            format!("S: +OK {all}\nC: *\nS: +OK\nS: USER\nS: {all}\nS: .\nC: *\nS: +OK\nC: *\nS: -ERR {all}\nC: *"),
        ),
        (Protocol::Smtp, format!("S: 220 {all}\nC: *\nS: 250-x\nS: 250-AUTH {all}\nS: 250 {all}\nC: *")),
    ] {
        let target = target(protocol, Security::None, Mechanism::Auto);
        let steps = converse(&target, Script::new(&script));
        clean(&steps);
        assert!(steps.iter().any(|step| step.outcome == Outcome::Failed), "{steps:?}");
    }
}

/// A server that says these bytes, whatever it is asked.
struct Noise {
    bytes: VecDeque<u8>,
    piece: usize,
    encrypted: bool,
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.len().min(buffer.len()).min(self.piece);
        for place in &mut buffer[..n] {
            *place = self.bytes.pop_front().unwrap_or_default();
        }
        Ok(n)
    }
}

impl Write for Noise {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Noise {
    fn until(&mut self, _: Instant) {}

    fn encrypt(&mut self, _: &Secrets) -> Result<Finding, Finding> {
        self.encrypted = true;
        Ok(Finding::ok(""))
    }

    fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    fn greets_with_tls(&mut self, _: Duration) -> Option<String> {
        None
    }

    fn own_address(&self) -> Option<IpAddr> {
        None
    }

    fn is_local(&self) -> bool {
        false
    }
}

fn noisy(target: &Target, bytes: &[u8], piece: usize) -> Vec<Step> {
    let secrets = Secrets::of(target);
    let mut steps = Steps::default();
    let noise = Noise { bytes: bytes.iter().copied().collect(), piece, encrypted: false };
    let timeout = Duration::from_secs(1);
    let dialogue = Dialogue::new(noise, &secrets, timeout, Instant::now() + timeout);
    if let Ok(mut session) = Session::open(dialogue, target, &mut steps) {
        if let Ok(login) = log_in(&mut session, &mut steps, None) {
            let _ = behind(&mut session, login, &mut steps);
            if let Some(send) = &target.send {
                let sent = smtp::send(&mut session, send, "x");
                let _ = steps.take(crate::model::probe::StepName::Send, sent);
            }
        }
        session.close();
    }
    steps.into_list()
}

/// Lines that come near to the protocols, and bytes that do not.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "* OK ready",
        "* BYE",
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS QUOTA",
        "a1 OK",
        "a2 OK",
        "a3 OK x",
        "a4 OK",
        "a5 OK",
        "a2 NO [LIMIT]",
        "+ ",
        "+OK <1@2>",
        "+OK",
        "-ERR",
        ".",
        "USER",
        "STLS",
        "SASL PLAIN LOGIN CRAM-MD5",
        "220 x",
        "250-x",
        "250 AUTH LOGIN PLAIN",
        "250-STARTTLS",
        "250 SIZE 99999999999999999999",
        "334 ",
        "334 YWJj",
        "354 x",
        "235 x",
        "535 x",
        "* {3}",
        "* LIST () \".\" {9}",
        "* QUOTA \"\" (STORAGE 9 9)",
        "* 1 EXISTS",
        "250",
        "220-",
        "* OK Kanaria \"7\\!",
        "é",
        "字",
    ]);
    let line = prop_oneof![
        6 => words.prop_map(|word| format!("{word}\r\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(b"\n".to_vec()),
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn whatever_a_server_says(bytes in said(), piece in 1_usize..64, which in 0_usize..3, tls in 0_usize..2, how in 0_usize..5) {
        let protocol = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp][which];
        let mechanism = [Mechanism::Auto, Mechanism::Login, Mechanism::Plain, Mechanism::CramMd5, Mechanism::Apop][how];
        let mut target = target(protocol, [Security::None, Security::StartTls][tls], mechanism);
        target.folder = Some("x".to_owned());
        if protocol == Protocol::Smtp {
            target.send = Some(Send { from: "a@b".to_owned(), to: "c@d".to_owned(), back: None });
        }
        let steps = noisy(&target, &bytes, piece);
        clean(&steps);
        for step in &steps {
            let said = step.said.as_deref().unwrap_or("");
            prop_assert!(said.chars().count() <= 301 && !said.contains(char::is_control), "{said:?}");
            prop_assert_eq!(step.outcome == Outcome::Ok, step.code.is_none());
            prop_assert_eq!(step.outcome == Outcome::Ok, step.hint.is_none(), "{:?}", step);
        }
    }
}
