//! SMTP.

use super::{Script, check, check_script, last, target};
use crate::model::probe::{Entry, Fields, Mechanism, Protocol, Security, Send, Target};
use crate::model::{Address, Key, Kind};

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
        ("504 5.5.4 Unrecognized authentication type", "mechanism-missing"),
        ("534 5.7.9 too weak", "login-refused"),
        ("530 TLS required", "login-needs-tls"),
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

/// 534 is no word about the mechanism where that is offered: it is about this user's password.
#[test]
fn smtp_says_what_is_wrong_with_the_password() {
    let offered =
        |list: &str| format!("{EHLO}S: 250 AUTH {list}\nC: AUTH PLAIN AGluZm9AZXhhbXBsZS5qcABLYW5hcmlhICI3XCE=\n");
    let gmail = "S: 534-5.7.9 Application-specific password required. For more information, go to\n\
                 S: 534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor\nC: *";
    let plain = smtp(Mechanism::Plain);
    last(
        &plain,
        &format!("{}{gmail}", offered("PLAIN LOGIN")),
        &[
            "failed login [probe/login-refused]",
            "« 534-5.7.9 Application-specific password required. For more information, go to 534 5.7.9 \
             https://support.google.com/mail/?p=InvalidSecondFactor »",
            "help: the account wants a password for each program",
            "declare it as `incoming.password`",
        ],
    );
    for (list, answer, help) in [
        ("PLAIN", "534 5.7.12 password has expired", "the password has expired: set a new one"),
        ("PLAIN", "535-5.7.8 Your password\nS: 535 5.7.8 expired", "the password has expired: set a new one"),
        ("PLAIN", "534 5.7.1 account has expired", "check in this order"),
        ("PLAIN CRAM-MD5", "534 5.7.9 Authentication mechanism is too weak", "set `outgoing.auth.mechanism: cram-md5`"),
        ("PLAIN LOGIN", "534 5.7.9 Authentication mechanism is too weak", "ask the server's administrator"),
    ] {
        let script = format!("{}S: {answer}\nC: *", offered(list));
        last(&plain, &script, &["failed login [probe/login-refused]", &format!("help: {help}")]);
    }
    let unknown = "S: 504 5.5.4 Unrecognized authentication type\nC: *";
    last(
        &plain,
        &format!("{}{unknown}", offered("PLAIN LOGIN")),
        &["[probe/mechanism-missing] the server offers PLAIN, and then does not know it", "mechanism: login`"],
    );
}

#[test]
fn a_refusal_names_the_fields_in_use() {
    let cram = "C: AUTH CRAM-MD5\nS: 334 PDEuMkBtYWlsPg==\nC: *\nS: 535 5.7.8 no\nC: *";
    let plain = "C: AUTH PLAIN AGluZm9AZXhhbXBsZS5qcABLYW5hcmlhICI3XCE=\nS: 535 5.7.8 no\nC: *";
    let receiving = smtp(Mechanism::Plain);
    last(
        &receiving,
        &format!("{EHLO}S: 250 AUTH PLAIN\n{plain}"),
        &["help: check in this order: the password (`incoming.password`), the user (`incoming.username`), whether \
             SMTP is switched on for the account, whether the account is open"],
    );
    let mut of_server = receiving.clone();
    let Entry::User { fields, .. } = &mut of_server.entry else { panic!() };
    *fields = Fields { user: "outgoing.auth.username", password: "outgoing.auth.password", of_server: true };
    let named =
        ["the password (`outgoing.auth.password` of the server), the user (`outgoing.auth.username` of the server)"];
    last(&of_server, &format!("{EHLO}S: 250 AUTH PLAIN\n{plain}"), &named);
    for (list, other) in [
        ("CRAM-MD5 LOGIN", "then set `outgoing.auth.mechanism: login`, over TLS alone"),
        ("CRAM-MD5", "then ask its administrator for PLAIN, over TLS alone"),
    ] {
        let script = format!("{EHLO}S: 250 AUTH {list}\n{cram}");
        let expected = ["the server may also have no stored form of the password that CRAM-MD5 can use", other];
        last(&smtp(Mechanism::CramMd5), &script, &expected);
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
    target.entry = Entry::Without { why: "the password is a hash".to_owned(), hint: Some("declare it") };
    check(
        &target,
        &offered,
        &[
            "ok greeting",
            "ok capabilities",
            "skipped login [probe/no-password] the password is a hash help: declare it",
            "warning size",
        ],
    );
}

#[test]
fn smtp_greetings() {
    for (script, expected) in [
        ("S: 220-mail\nS: 220-more\nS: 220 ready\nC: *\nS: 250 mail", "[probe/auth-missing]"),
        ("S: 554 no\nC: QUIT", "failed greeting [probe/greeting-refused]"),
        ("S: 554-no\nS: 554 listed\nC: QUIT", "« 554-no 554 listed »"),
        ("S: 554-no", "failed greeting [probe/greeting-refused] the server turns us away « 554-no »"),
        ("S: 421 busy\nC: QUIT", "failed greeting [probe/greeting-refused]"),
        ("S: 220-mail\nS: hello", "failed greeting [probe/protocol]"),
        ("S: 220 ProFTPD", "failed greeting [probe/wrong-protocol] the server speaks FTP, not SMTP"),
        ("S: \u{1}\u{2}", "failed greeting [probe/protocol]"),
        ("S: 220 x\nC: *\nS: 500 what\nC: *\nS: 500 what\nC: *\nS: 500 what", "failed capabilities [probe/protocol]"),
        (
            "S: 220 x\nC: *\nS: 500 what\nC: *\nS: 500 what\nC: LHLO [192.0.2.7]\nS: 250 x",
            "failed capabilities [probe/wrong-protocol] the server speaks LMTP, not SMTP",
        ),
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
        (
            format!("{rcpt}S: 553 5.7.1 <a@example.jp>: Sender address rejected: not owned by user info@w.test\nC: *"),
            "failed send [probe/sender-refused] the sender is refused « 553 5.7.1 <a@example.jp>: Sender address \
             rejected: not owned by user info@w.test » help: correct `address`",
        ),
        (format!("{rcpt}S: 450 4.1.8 <a@example.jp>: Domain not found\nC: *"), "failed send [probe/sender-refused]"),
        (format!("{rcpt}S: 550 5.1.7 syntax\nC: *"), "failed send [probe/sender-refused]"),
        (
            format!("{rcpt}S: 550-5.7.1 A@Example.JP is not\nS: 550 one of yours\nC: *"),
            "failed send [probe/sender-refused]",
        ),
        (format!("{rcpt}S: 550 5.7.1 <aa@example.jp>: no\nC: *"), "failed send [probe/recipient-refused]"),
        (format!("{rcpt}S: 550 5.7.1 a@example.jp may not relay\nC: *"), "failed send [probe/recipient-refused]"),
        (
            format!("{rcpt}S: 554 5.7.1 <b@example.com>: not for a@example.jp\nC: *"),
            "failed send [probe/recipient-refused]",
        ),
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
