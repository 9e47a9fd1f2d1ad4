//! IMAP.

use std::sync::Arc;

use super::{FIELDS, check, last, target};
use crate::model::Clear;
use crate::model::probe::{Entry, Mechanism, Protocol, Security, Target};

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
            "warning login [probe/password-in-clear] logged in by LOGIN, and the password went in clear over the \
             network « OK in » help: set `incoming.security: starttls` (the server offers it)",
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
        &format!(
            "{offered}{LOGIN}S: * CAPABILITY X\nS: * BAD [ALERT] Plaintext authentication not allowed\n\
             S: a2 NO [X] no\nC: *"
        ),
        &["« NO [X] no * BAD [ALERT] Plaintext authentication not allowed »"],
    );
    last(
        &imap(),
        &format!("{offered}{LOGIN}S: a2 NO [ALERT] Application-specific password required (Failure)\nC: *"),
        &["[probe/login-refused]", "make an application password at the provider", "`incoming.password`"],
    );
    last(
        &imap(),
        &format!("{offered}{LOGIN}S: a2 NO [EXPIRED] no\nC: *"),
        &["[probe/login-refused]", "the password has expired"],
    );
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
    target.entry = Entry::User { name: "ü".to_owned(), password, mechanism: Mechanism::Auto, fields: FIELDS };
    let script = format!(
        "{IMAP}S: * CAPABILITY IMAP4rev1\nS: a1 OK done\nC: a2 LOGIN {{2}}\nS: + go\n\
         C: ü {{3}}\nS: + go\nC: pä\nS: a2 NO no"
    );
    last(&target, &script, &["[probe/login-refused]"]);
}

#[test]
fn what_no_protocol_can_send_is_not_sent() {
    for password in ["a\n", "a\rb", "\0"] {
        let mut target = imap();
        let password = Arc::new(Clear::new(password.to_owned()));
        target.entry = Entry::User { name: "x".to_owned(), password, mechanism: Mechanism::Auto, fields: FIELDS };
        last(
            &target,
            &format!("{IMAP}S: * CAPABILITY X\nS: a1 OK\nC: a2 LOGOUT"),
            &["failed login [probe/protocol]", "line break"],
        );
    }
}
