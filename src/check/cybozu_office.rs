//! Rules of サイボウズ Office 10 (004).

use super::{Check, Finding, Subject};
use crate::model::desired::Aim;
use crate::model::{Diagnostic, FieldId, Kind, Value};

const fn check(
    id: &'static str,
    kind: Kind,
    source: &'static str,
    doc: &'static str,
    run: fn(&Subject<'_>, &mut Vec<Finding>),
) -> Check {
    Check { id, systems: &["cybozu-office"], kind, source, doc, run }
}

pub const CHECKS: &[Check] = &[
    check("E-R1", Kind::Server, "004:15", "the POP3 server knows UIDL", uidl),
    check("E-R2", Kind::Server, "004:81", "either SMTP-AUTH or POP before SMTP", one_authentication),
    check(
        "E-R7",
        Kind::Account,
        "004:78 [X]",
        "accounts have credentials for sending where the server asks for them",
        credentials,
    ),
    check("AMB-E1", Kind::Server, "004:52-55, 004:69-73", "ports that are usual for the encryption", usual_ports),
    check(
        "E-F13",
        Kind::Account,
        "[X] https://jp.cybozu.help/of10/ja/admin/spec/format/ml.html",
        "an account belongs to a user",
        user,
    ),
];

const UIDL: FieldId = Kind::Server.id("supports_uidl");
const AUTH: FieldId = Kind::Server.id("outgoing.auth.enabled");
const POP_BEFORE_SMTP: FieldId = Kind::Server.id("outgoing.pop_before_smtp");
const SERVER_CREDENTIALS: FieldId = Kind::Server.id("outgoing.auth.credentials");
const IN_PORT: FieldId = Kind::Server.id("incoming.port");
const IN_SECURITY: FieldId = Kind::Server.id("incoming.security");
const OUT_PORT: FieldId = Kind::Server.id("outgoing.port");
const OUT_SECURITY: FieldId = Kind::Server.id("outgoing.security");
const SERVER: FieldId = Kind::Account.id("server");
const USER: FieldId = Kind::Account.id("user");
const USER_ID: FieldId = Kind::Account.id("user_id");
const USERNAME: FieldId = Kind::Account.id("outgoing.auth.username");
const PASSWORD: FieldId = Kind::Account.id("outgoing.auth.password");

fn uidl(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(UIDL, "false") {
        let message = "サイボウズ Office 10 needs a POP3 server that knows the UIDL command (004:15)";
        let problem = Diagnostic::error("cybozu-office/uidl", message).hint("this server cannot be used");
        subject.tell(findings, problem, UIDL, &[UIDL]);
    } else if !subject.has(UIDL) {
        let message = "nobody says whether this server knows the UIDL command, which the product needs (004:15)";
        let problem = Diagnostic::warning("cybozu-office/uidl", message)
            .hint("ask the provider, and write `supports_uidl: true`");
        subject.tell(findings, problem, UIDL, &[]);
    }
}

fn one_authentication(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(AUTH, "true") && subject.is(POP_BEFORE_SMTP, "true") {
        let message = "SMTP-AUTH and POP before SMTP cannot be used at the same time (004:81)";
        let problem = Diagnostic::error("cybozu-office/one-authentication", message).hint("switch one of the two off");
        subject.tell(findings, problem, POP_BEFORE_SMTP, &[POP_BEFORE_SMTP, AUTH]);
    }
}

fn credentials(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(server) = subject.server else { return };
    let own = server.is(SERVER_CREDENTIALS, "per_account") && server.is(AUTH, "true");
    for field in [USERNAME, PASSWORD] {
        let name = Kind::Account.field(field).name;
        if own && !subject.has(field) {
            let message =
                format!("the server asks each account for credentials of its own (004:78), and `{name}` is left out");
            let problem = Diagnostic::error("cybozu-office/credentials", message).hint("write it");
            subject.tell(findings, problem, field, &[SERVER]);
        } else if !own && subject.wanted.wish(field).is_some_and(|wish| !matches!(wish.aim, Aim::Clear)) {
            let message = format!(
                "`{name}` can be entered only where the server says `outgoing.auth.credentials: per_account` (004:78)"
            );
            let problem =
                Diagnostic::error("cybozu-office/credentials", message).hint("remove it, or change the server");
            subject.tell(findings, problem, field, &[field]);
        }
    }
}

fn usual_ports(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let directions: [(FieldId, FieldId, [&[i64]; 3], &str); 2] = [
        (IN_PORT, IN_SECURITY, [&[110], &[995], &[110]], "004:53-55"),
        (OUT_PORT, OUT_SECURITY, [&[25, 587], &[465], &[25, 587]], "004:70-73"),
    ];
    for (port_field, security_field, [plain, implicit, starttls], lines) in directions {
        let (Some(Value::Int(port)), Some(Value::Text(word))) =
            (subject.value(port_field), subject.value(security_field))
        else {
            continue;
        };
        let usual = match word.as_str() {
            "implicit_tls" => implicit,
            "starttls" => starttls,
            // 587 in clear is usual with SMTP-AUTH alone (004:73).
            _ if port_field == OUT_PORT && !subject.is(AUTH, "true") => &plain[..1],
            _ => plain,
        };
        if !usual.contains(port) {
            let words: Vec<String> = usual.iter().map(ToString::to_string).collect();
            let message = format!("port {port} is unusual with `{word}`: usual is {} ({lines})", words.join(" or "));
            let problem =
                Diagnostic::warning("cybozu-office/usual-port", message).hint("keep it if the provider says so");
            subject.tell(findings, problem, port_field, &[port_field, security_field]);
        }
    }
}

fn user(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if !subject.has(USER) && !subject.has(USER_ID) {
        let message = "the account says neither `user_id` nor `user`: the product could not tell whose it is";
        let problem =
            Diagnostic::error("cybozu-office/user", message).hint("write `user_id`; names of users need not be unique");
        findings.push((problem, subject.wanted.source));
    }
}
