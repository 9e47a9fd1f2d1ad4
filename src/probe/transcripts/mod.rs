//! Dialogues as they go over the line: what the server says (`S:`), what must be said to it (`C:`), where TLS begins
//! (`TLS`), and what comes of it.

mod imap;
mod noise;
mod pop3;
mod smtp;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::behind;
use super::dialogue::{Dialogue, Stream};
use super::finding::{Finding, Steps, Stop};
use super::ledger::Ledger;
use super::login::{Login, log_in};
use super::secrets::Secrets;
use super::session::Session;
use crate::model::probe::{Entry, Fields, Mechanism, Outcome, Protocol, Security, Step, StepName, Target};
use crate::model::{Address, Clear, Key, Kind};

const FIELDS: Fields = Fields { user: "incoming.username", password: "incoming.password", of_server: false };
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
        entry: Entry::User { name: "info@example.jp".to_owned(), password, mechanism, fields: FIELDS },
        folder: None,
        uidl: true,
        size: None,
        before: None,
        send: None,
    }
}

fn converse(target: &Target, script: Script) -> Vec<Step> {
    let secrets = Secrets::of(target);
    let ledger = Ledger::new(&[], 1);
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
            let sent = super::smtp::send(&mut session, send, "Subject: x");
            session.close();
            return steps.take(StepName::Send, sent);
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
    // In pieces, it is not to be put together again.
    let script =
        "S: 220 x\nC: *\nS: 250-x\nS: 250 AUTH PLAIN\nC: *\nS: 535-5.7.8 for Kana\nS: 535 5.7.8 ria \"7\\!\nC: *";
    last(&target(Protocol::Smtp, Security::None, Mechanism::Auto), script, &["login-refused", "« [withheld: "]);
}
