//! The probe itself, against a real mail server: it says the truth, and asks no more often than it may.

use std::sync::Arc;
use std::time::Duration;

use yubin::model::probe::{
    Entry, HostRule, Hosts, Mechanism, Outcome, Probed, Protocol, Security, Send, Settings, Step, Target,
};
use yubin::model::{Address, Clear, Key, Kind};

use crate::support::mail::{Logins, Setup, Stack};

const USER: &str = "taro@example.jp";
const PASSWORD: &str = "right \"horse\" \\ 7";

fn target(stack: &Stack, protocol: Protocol, security: Security, mechanism: Mechanism) -> Target {
    let ports = stack.ports;
    let port = match (protocol, security) {
        (Protocol::Imap, Security::ImplicitTls) => ports.imaps,
        (Protocol::Imap, _) => ports.imap,
        (Protocol::Pop3, Security::ImplicitTls) => ports.pop3s,
        (Protocol::Pop3, _) => ports.pop3,
        (Protocol::Smtp, Security::ImplicitTls) => ports.smtps,
        (Protocol::Smtp, _) => ports.smtp,
    };
    Target {
        address: Address::new(Kind::Account, Key::single("taro")),
        protocol,
        host: stack.setup.listen.to_string(),
        port,
        security,
        entry: entry(PASSWORD, mechanism),
        folder: None,
        uidl: true,
        size: None,
        before: None,
        send: None,
    }
}

fn entry(password: &str, mechanism: Mechanism) -> Entry {
    Entry::User { name: USER.to_owned(), password: Arc::new(Clear::new(password.to_owned())), mechanism }
}

fn settings(stack: &Stack) -> Settings {
    Settings {
        hosts: Hosts(vec![HostRule { name: stack.setup.listen.to_string(), port: None }]),
        timeout: Duration::from_secs(8),
        authorities: Some(std::fs::read(stack.ca()).unwrap()),
        arrival: Duration::from_secs(20),
        ..Settings::default()
    }
}

#[track_caller]
fn probe(stack: &Stack, target: &Target, settings: &Settings) -> Probed {
    let probed = yubin::probe::run(std::slice::from_ref(target), settings, &|_| {}).unwrap().remove(0);
    assert!(!format!("{probed:?}").contains("horse"));
    assert!(probed.outcome() != Outcome::Failed || probed.steps.last().unwrap().hint.is_some());
    assert!(!stack.logs().contains("horse"));
    probed
}

/// The last step of a target.
#[track_caller]
fn last(stack: &Stack, target: &Target) -> Step {
    probe(stack, target, &settings(stack)).steps.pop().unwrap()
}

#[test]
fn what_is_right_is_well() {
    use Mechanism::{Apop, Auto, CramMd5, Login, Plain};
    let stack = Stack::start(Setup::default());
    stack.account(USER, PASSWORD);
    let mut all = Vec::new();
    for security in Security::ALL {
        for mechanism in [Auto, Login, Plain, CramMd5] {
            all.push(target(&stack, Protocol::Smtp, security, mechanism));
            all.push(target(&stack, Protocol::Imap, security, mechanism));
            all.push(target(&stack, Protocol::Pop3, security, mechanism));
        }
        all.push(target(&stack, Protocol::Pop3, security, Apop));
    }
    let probed = yubin::probe::run(&all, &settings(&stack), &|_| {}).unwrap();
    for (probed, target) in probed.iter().zip(&all) {
        assert_eq!(probed.outcome(), Outcome::Ok, "{:?} {probed:?}", target.entry);
        assert!(probed.steps.iter().any(|step| step.name.name() == "login"));
    }
    assert_eq!(stack.logins()[USER], Logins { taken: all.len(), refused: 0 });
}

#[test]
fn a_wrong_password_is_shown_once() {
    let stack = Stack::start(Setup { fail_delay_seconds: 1, ..Setup::default() });
    stack.account(USER, PASSWORD);
    for (n, protocol) in [Protocol::Imap, Protocol::Pop3, Protocol::Smtp].into_iter().enumerate() {
        let all: Vec<Target> = Security::ALL
            .into_iter()
            .map(|security| Target {
                entry: entry("wrong horse", Mechanism::Auto),
                ..target(&stack, protocol, security, Mechanism::Auto)
            })
            .collect();
        let probed = yubin::probe::run(&all, &settings(&stack), &|_| {}).unwrap();
        let codes: Vec<_> = probed.iter().map(|probed| probed.steps.last().unwrap().code).collect();
        assert_eq!(codes, [Some("probe/login-refused"), Some("probe/not-tried"), Some("probe/not-tried")]);
        assert_eq!(stack.logins()[USER], Logins { taken: 0, refused: n + 1 });
    }
}

#[test]
fn passwords_go_nowhere_in_clear_where_the_server_forbids_it() {
    let stack = Stack::start(Setup { tls_only: true, listen: [127, 0, 0, 2].into(), ..Setup::default() });
    stack.account(USER, PASSWORD);
    for (protocol, port) in [
        (Protocol::Imap, stack.ports.imap),
        (Protocol::Pop3, stack.ports.pop3),
        (Protocol::Smtp, stack.ports.submission),
    ] {
        let mut target = target(&stack, protocol, Security::None, Mechanism::Auto);
        target.port = port;
        let step = last(&stack, &target);
        // Postfix says nothing of AUTH before, and there is no telling before TLS is there.
        assert_eq!(step.code, Some("probe/login-needs-tls"), "{step:?}");
        assert!(step.hint.unwrap().contains(".security: starttls"), "{protocol:?}");
        target.security = Security::StartTls;
        assert_eq!(probe(&stack, &target, &settings(&stack)).outcome(), Outcome::Ok);
    }
    assert_eq!(stack.logins()[USER], Logins { taken: 3, refused: 0 });
}

#[test]
fn ports_are_told_apart() {
    let stack = Stack::start(Setup::default());
    let ports = stack.ports;
    let quick = Settings { timeout: Duration::from_secs(2), ..settings(&stack) };
    for (protocol, plain, tls) in [
        (Protocol::Imap, ports.imap, ports.imaps),
        (Protocol::Pop3, ports.pop3, ports.pop3s),
        (Protocol::Smtp, ports.smtp, ports.smtps),
    ] {
        for (security, port, code) in [
            (Security::None, tls, "probe/tls-port"),
            (Security::StartTls, tls, "probe/tls-port"),
            (Security::ImplicitTls, plain, "probe/plain-port"),
        ] {
            let mut target = target(&stack, protocol, security, Mechanism::Auto);
            target.port = port;
            let probed = probe(&stack, &target, &quick);
            let step = probed.steps.last().unwrap();
            assert_eq!(step.code, Some(code), "{protocol:?} {security:?} {step:?}");
        }
    }
    let mut target = target(&stack, Protocol::Imap, Security::None, Mechanism::Auto);
    for (port, spoken) in [(ports.pop3, "POP3"), (ports.smtp, "SMTP")] {
        target.port = port;
        let step = last(&stack, &target);
        assert_eq!(step.code, Some("probe/wrong-protocol"));
        assert!(step.message.contains(spoken), "{}", step.message);
    }
    assert!(stack.logins().is_empty());
}

#[test]
fn mailboxes_are_looked_at() {
    let stack = Stack::start(Setup::default());
    stack.account(USER, PASSWORD);
    let mut target = target(&stack, Protocol::Imap, Security::StartTls, Mechanism::Auto);
    target.folder = Some("Archive".to_owned());
    let step = last(&stack, &target);
    assert_eq!(step.code, Some("probe/folder-missing"));
    assert!(step.message.contains("INBOX"), "{}", step.message);
    target.folder = Some("INBOX".to_owned());
    stack.deliver(USER, &"x".repeat(5_000));
    stack.sql("UPDATE account SET quota_bytes = 1024");
    let step = last(&stack, &target);
    assert_eq!((step.outcome, step.code), (Outcome::Warning, Some("probe/mailbox-full")), "{step:?}");
    target.protocol = Protocol::Pop3;
    target.port = stack.ports.pop3;
    let step = last(&stack, &target);
    assert_eq!((step.name.name(), step.outcome, step.message.as_str()), ("uidl", Outcome::Ok, "1 message"));
    let mut sending = self::target(&stack, Protocol::Smtp, Security::StartTls, Mechanism::Auto);
    sending.send = Some(Send { from: USER.to_owned(), to: USER.to_owned(), back: None });
    let step = last(&stack, &sending);
    assert_eq!((step.name.name(), step.code), ("send", Some("probe/mailbox-full")), "{step:?}");
}

#[test]
fn a_message_goes_round_and_leaves_nothing() {
    let stack = Stack::start(Setup::default());
    stack.account(USER, PASSWORD);
    stack.deliver(USER, "this one stays");
    for protocol in [Protocol::Imap, Protocol::Pop3] {
        let mut sending = target(&stack, Protocol::Smtp, Security::ImplicitTls, Mechanism::Auto);
        let back = target(&stack, protocol, Security::StartTls, Mechanism::Auto);
        sending.send = Some(Send { from: USER.to_owned(), to: USER.to_owned(), back: Some(Box::new(back)) });
        let step = last(&stack, &sending);
        assert_eq!((step.name.name(), step.outcome), ("fetch", Outcome::Ok), "{step:?}");
        assert!(step.message.ends_with("and is deleted"), "{}", step.message);
        assert_eq!(stack.messages(USER).len(), 1);
    }
    // Nobody may relay without a login, until he has fetched his mail.
    let mut sending = target(&stack, Protocol::Smtp, Security::None, Mechanism::Auto);
    sending.entry = Entry::Nobody;
    sending.send = Some(Send { from: USER.to_owned(), to: "x@outside.test".to_owned(), back: None });
    let step = last(&stack, &sending);
    let first = step.code;
    let before = target(&stack, Protocol::Pop3, Security::None, Mechanism::Apop);
    sending.before = Some(Box::new((before, Duration::from_millis(500))));
    let probed = probe(&stack, &sending, &settings(&stack));
    let names: Vec<_> = probed.steps.iter().rev().take(3).map(|step| (step.name.name(), step.outcome)).collect();
    let expected = [("fetch", Outcome::Skipped), ("send", Outcome::Ok), ("pop_before_smtp", Outcome::Ok)];
    assert_eq!(names, expected, "{:?}", probed.steps);
    // The POP3 login above has opened the door already.
    assert!(matches!(first, None | Some("probe/recipient-refused")), "{first:?}");
}
