//! Rules of StaffExpress (001).

use super::{Check, Finding, Subject};
use crate::model::{Diagnostic, FieldId, Kind, Value};

const fn check(
    id: &'static str,
    source: &'static str,
    doc: &'static str,
    run: fn(&Subject<'_>, &mut Vec<Finding>),
) -> Check {
    Check { id, systems: &["staff-express"], kind: Kind::Account, source, doc, run }
}

pub const CHECKS: &[Check] = &[
    check("B-R1", "001:30", "port and method of sending belong together", port_and_method),
    check("B-R2", "001:40", "TLS and SMTP over SSL always authenticate", auth_is_forced),
    check("B-R3", "001:40", "TLS authenticates by LOGIN alone", mechanism),
    check("B-R4", "001:40", "who only sends, and authenticates, needs user name and password", credentials),
    check("B-R5", "001:18", "receiving needs TLS where sending is encrypted", receiving_with_tls),
    check(
        "B-R7",
        "001:22-24",
        "the contact log depends on receiving, its categories and status on the log",
        contact_log,
    ),
    check("B-R8", "001:24", "categories and status come from the product's masters", masters),
    check("B-R10", "001:45-47", "a batch is no larger than a run", batch),
    check("B-R11", "001:39-40", "POP before SMTP beside SMTP-AUTH is not said to be impossible", two_authentications),
    check("AMB-B5", "001:17-18", "a port for receiving beside TLS is not stated", receiving_port),
    check("AMB-B6", "001:15, 001:39", "POP before SMTP needs the settings for receiving", pop_before_smtp),
    check("B-E1", "001:43", "hours are a time range", warn_hours),
];

const RECEIVE: FieldId = Kind::Account.id("receive.enabled");
const USERNAME: FieldId = Kind::Account.id("incoming.username");
const PASSWORD: FieldId = Kind::Account.id("incoming.password");
const IN_SECURITY: FieldId = Kind::Account.id("incoming.security");
const IN_PORT: FieldId = Kind::Account.id("incoming.port");
const PORT: FieldId = Kind::Account.id("outgoing.port");
const SECURITY: FieldId = Kind::Account.id("outgoing.security");
const AUTH: FieldId = Kind::Account.id("outgoing.auth.enabled");
const MECHANISM: FieldId = Kind::Account.id("outgoing.auth.mechanism");
const POP_BEFORE_SMTP: FieldId = Kind::Account.id("outgoing.pop_before_smtp");
const LOG: FieldId = Kind::Account.id("contact_log.enabled");
const CATEGORIES: [FieldId; 9] = [
    Kind::Account.id("contact_log.category1.to"),
    Kind::Account.id("contact_log.category1.cc"),
    Kind::Account.id("contact_log.category1.from"),
    Kind::Account.id("contact_log.category2.to"),
    Kind::Account.id("contact_log.category2.cc"),
    Kind::Account.id("contact_log.category2.from"),
    Kind::Account.id("contact_log.category3.to"),
    Kind::Account.id("contact_log.category3.cc"),
    Kind::Account.id("contact_log.category3.from"),
];
const STATUS: [FieldId; 3] = [
    Kind::Account.id("contact_log.status.to"),
    Kind::Account.id("contact_log.status.cc"),
    Kind::Account.id("contact_log.status.from"),
];
const MAX_PER_RUN: FieldId = Kind::Account.id("sending.max_per_run");
const BATCH_SIZE: FieldId = Kind::Account.id("sending.batch_size");
const WARN_HOURS: FieldId = Kind::Account.id("sending.warn_hours");

/// 通信方法 as the screen shows it.
fn method(security: &str) -> &'static str {
    match security {
        "starttls" => "TLS",
        "implicit_tls" => "SMTP over SSL",
        _ => "空白",
    }
}

fn security<'a>(subject: &'a Subject<'_>) -> Option<&'a str> {
    subject.value(SECURITY)?.text()
}

fn is_encrypted(subject: &Subject<'_>) -> bool {
    security(subject).is_some_and(|word| word != "none")
}

fn port_and_method(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let (Some(Value::Int(port)), Some(word)) = (subject.value(PORT), security(subject)) else { return };
    if subject.broken.contains(&PORT) || subject.broken.contains(&SECURITY) {
        return;
    }
    let right = match port {
        25 => "none",
        465 => "implicit_tls",
        587 => "starttls",
        _ => return,
    };
    if word == right {
        return;
    }
    let message = format!(
        "port {port} belongs to 通信方法 {}, not {}: 25 sends in clear, 465 is SMTP over SSL, 587 is TLS (001:30)",
        method(right),
        method(word)
    );
    // In clear on 587, and STARTTLS on 25, exist; the document does not name them (AMB-B2).
    let doubtful = matches!((port, word), (25, "starttls") | (587, "none"));
    let problem = if doubtful {
        Diagnostic::warning("staff-express/port-method", message)
    } else {
        Diagnostic::error("staff-express/port-method", message)
    };
    let problem = problem.hint(format!("`outgoing.security: {right}` goes with this port"));
    subject.tell(findings, problem, SECURITY, &[SECURITY, PORT]);
}

fn auth_is_forced(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if is_encrypted(subject) && subject.is(AUTH, "false") {
        let message = "with TLS or SMTP over SSL the product always authenticates for sending (001:40)";
        let problem = Diagnostic::error("staff-express/auth-forced", message)
            .hint("write `outgoing.auth.enabled: true`, or `outgoing.security: none`");
        subject.tell(findings, problem, AUTH, &[AUTH, SECURITY]);
    }
}

fn mechanism(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if security(subject) == Some("starttls") && subject.is(MECHANISM, "plain") {
        let message = "with TLS the product authenticates by LOGIN alone, and `login` is the only mechanism (001:40)";
        let problem = Diagnostic::error("staff-express/mechanism", message)
            .hint("write `outgoing.auth.mechanism: login`, or use port 465 with `implicit_tls`");
        subject.tell(findings, problem, MECHANISM, &[MECHANISM, SECURITY]);
    }
}

fn credentials(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if !subject.is(RECEIVE, "false") || !(subject.is(AUTH, "true") || is_encrypted(subject)) {
        return;
    }
    for field in [USERNAME, PASSWORD] {
        if !subject.has(field) {
            let name = Kind::Account.field(field).name;
            let message = format!(
                "without receiving and with SMTP-AUTH, `{name}` may not be left out (001:40): it is the login for sending"
            );
            let problem = Diagnostic::error("staff-express/credentials", message).hint("write it");
            subject.tell(findings, problem, field, &[field, AUTH, RECEIVE]);
        }
    }
}

fn receiving_with_tls(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let plain = subject.value(IN_SECURITY).is_none_or(|value| value.is_word("none"));
    if subject.is(RECEIVE, "true") && is_encrypted(subject) && plain && !subject.broken.contains(&IN_SECURITY) {
        let message = "sending is encrypted and receiving is not: the product then receives nothing (001:18)";
        let problem = Diagnostic::warning("staff-express/receive-tls", message)
            .hint("write `incoming.security: implicit_tls` or `starttls`: it ticks POP サーバー接続時にTLS を使う");
        subject.tell(findings, problem, IN_SECURITY, &[IN_SECURITY, SECURITY]);
    }
}

fn contact_log(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(LOG, "true") && subject.is(RECEIVE, "false") {
        let message = "連絡記録に展開する can be ticked only while mail is received, with `receive.enabled` (001:22)";
        let problem = Diagnostic::error("staff-express/contact-log", message)
            .hint("write `contact_log.enabled: false`, or `receive.enabled: true`");
        subject.tell(findings, problem, LOG, &[LOG, RECEIVE]);
    }
    if !subject.is(LOG, "false") {
        return;
    }
    for (fields, line) in [(&CATEGORIES[..], "001:23"), (&STATUS[..], "001:24")] {
        // What is stored goes with the log; what is written cannot be entered.
        let written = |field: &&FieldId| subject.wanted.wish(**field).is_some_and(|wish| wish.value().is_some());
        for field in fields.iter().filter(written) {
            let name = Kind::Account.field(*field).name;
            let message = format!("`{name}` can be chosen only while 連絡記録に展開する is ticked ({line})");
            let problem = Diagnostic::error("staff-express/contact-log", message)
                .hint("write `contact_log.enabled: true`, or remove it");
            subject.tell(findings, problem, *field, &[*field, LOG]);
        }
    }
}

fn masters(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let lists = [
        (&CATEGORIES[..], &subject.given.contact_category, "contact_category", "連絡区分"),
        (&STATUS[..], &subject.given.contact_status, "contact_status", "連絡ステータス"),
    ];
    for (fields, known, key, label) in lists {
        let Some(known) = known else { continue };
        for field in fields {
            let Some(Value::Text(text)) = subject.value(*field) else { continue };
            if !known.iter().any(|word| word == text.as_str()) {
                let message = format!("this is no value of the master {label} (001:24)");
                let problem = Diagnostic::error("staff-express/master", message)
                    .hint(format!("`masters: {key}:` in yubin.yaml lists: {}", known.join(", ")));
                subject.tell(findings, problem, *field, &[*field]);
            }
        }
    }
}

fn batch(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if let (Some(Value::Int(run)), Some(Value::Int(batch))) = (subject.value(MAX_PER_RUN), subject.value(BATCH_SIZE))
        && batch > run
    {
        let message = format!("a batch of {batch} is larger than the {run} that one run may reach (001:45, 001:47)");
        let problem = Diagnostic::warning("staff-express/batch", message)
            .hint("the pause between batches then never comes; mind the provider's limits (001:45)");
        subject.tell(findings, problem, BATCH_SIZE, &[BATCH_SIZE, MAX_PER_RUN]);
    }
}

fn two_authentications(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    super::two_authentications(subject, "staff-express/two-authentications", [POP_BEFORE_SMTP, AUTH], findings);
}

fn receiving_port(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let encrypted = subject.value(IN_SECURITY).is_some_and(|value| !value.is_word("none"));
    if encrypted && subject.is(IN_PORT, "110") && !subject.is(RECEIVE, "false") {
        let message = "TLS for receiving on port 110: the document names no other port, and not which kind of TLS it is (001:17-18)";
        let problem = Diagnostic::info("staff-express/receive-port", message)
            .hint("a provider with TLS from the start of the connection usually listens on 995");
        subject.tell(findings, problem, IN_PORT, &[IN_PORT, IN_SECURITY]);
    }
}

fn pop_before_smtp(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.is(POP_BEFORE_SMTP, "true") && subject.is(RECEIVE, "false") {
        let message = "POP before SMTP logs in to a POP server, whose settings cannot be entered without receiving (001:15, 001:39)";
        let problem = Diagnostic::error("staff-express/pop-before-smtp", message)
            .hint("write `outgoing.pop_before_smtp: false`, or `receive.enabled: true`");
        subject.tell(findings, problem, POP_BEFORE_SMTP, &[POP_BEFORE_SMTP, RECEIVE]);
    }
}

fn warn_hours(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(Value::Text(text)) = subject.value(WARN_HOURS) else { return };
    let time = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let number = |text: &str, most: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|n| n <= most);
        (number(hours, 23) && number(minutes, 59)).then_some(())
    };
    if text.split_once('-').and_then(|(from, to)| time(from).and(time(to))).is_none() {
        let problem =
            Diagnostic::error("staff-express/warn-hours", "`sending.warn_hours` is a range of times (001:43)")
                .hint("as in `22:00-06:00`");
        subject.tell(findings, problem, WARN_HOURS, &[WARN_HOURS]);
    }
}
