//! Rules of Mailwise (003).

use super::{Check, Finding, Subject};
use crate::model::{Diagnostic, FieldId, Kind};

const fn check(
    id: &'static str,
    source: &'static str,
    doc: &'static str,
    run: fn(&Subject<'_>, &mut Vec<Finding>),
) -> Check {
    Check { id, systems: &["mailwise"], kind: Kind::Server, source, doc, run }
}

pub const CHECKS: &[Check] = &[
    check("D-F7", "003:44", "own credentials for sending are written with user name and password", own_credentials),
    check("D-R3", "003:73", "of IMAP4 only the inbox is received", imap_inbox),
    check("D-R6", "003:50", "POP before SMTP needs POP3", pop_before_smtp),
    check("AMB-D5", "003:60", "APOP needs POP3", apop),
    check(
        "AMB-X2",
        "003:38, 003:47",
        "both ways to authenticate are not said to exclude each other",
        two_authentications,
    ),
];

const PROTOCOL: FieldId = Kind::Server.id("incoming.protocol");
const APOP: FieldId = Kind::Server.id("incoming.apop");
const AUTH: FieldId = Kind::Server.id("outgoing.auth.enabled");
const CREDENTIALS: FieldId = Kind::Server.id("outgoing.auth.credentials");
const USERNAME: FieldId = Kind::Server.id("outgoing.auth.username");
const PASSWORD: FieldId = Kind::Server.id("outgoing.auth.password");
const POP_BEFORE_SMTP: FieldId = Kind::Server.id("outgoing.pop_before_smtp");

fn own_credentials(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if !subject.is(CREDENTIALS, "own") {
        return;
    }
    for field in [USERNAME, PASSWORD] {
        if !subject.has(field) {
            let name = Kind::Server.field(field).name;
            let message = format!("with `outgoing.auth.credentials: own`, `{name}` may not be left out (003:44)");
            let problem = Diagnostic::error("mailwise/own-credentials", message).hint("write it too, or use `account`");
            subject.tell(findings, problem, field, &[field, CREDENTIALS]);
        }
    }
}

fn imap_inbox(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(PROTOCOL, "imap") {
        let message = "with IMAP4 the product receives what lies directly in the inbox and nothing else (003:73)";
        subject.tell(findings, Diagnostic::info("mailwise/imap-inbox", message), PROTOCOL, &[PROTOCOL]);
    }
}

fn pop_before_smtp(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(POP_BEFORE_SMTP, "true") && subject.is(PROTOCOL, "imap") {
        let message = "POP before SMTP waits for a login by POP3 (003:50), and this server receives by IMAP4";
        let problem = Diagnostic::error("mailwise/pop-before-smtp", message)
            .hint("write `outgoing.pop_before_smtp: false`, or `incoming.protocol: pop3`");
        subject.tell(findings, problem, POP_BEFORE_SMTP, &[POP_BEFORE_SMTP, PROTOCOL]);
    }
}

fn apop(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(APOP, "true") && subject.is(PROTOCOL, "imap") {
        let message = "APOP is a login of POP3 (003:60), and this server receives by IMAP4";
        let problem = Diagnostic::error("mailwise/apop", message)
            .hint("write `incoming.apop: false`, or `incoming.protocol: pop3`");
        subject.tell(findings, problem, APOP, &[APOP, PROTOCOL]);
    }
}

fn two_authentications(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    super::two_authentications(subject, "mailwise/two-authentications", [POP_BEFORE_SMTP, AUTH], findings);
}
