//! Rules of CatchMe@MAIL (000).

use super::{Check, Finding, Subject};
use crate::model::desired::Aim;
use crate::model::{Diagnostic, FieldId, Kind, Value, Wish};

pub const CHECKS: &[Check] = &[
    Check {
        id: "A-R4",
        systems: &["catchme-mail"],
        kind: Kind::Pattern,
        source: "000:128",
        doc: "own credentials for sending are written with user name and password",
        run: own_credentials,
    },
    Check {
        id: "AMB-A14",
        systems: &["catchme-mail"],
        kind: Kind::Pattern,
        source: "000:128",
        doc: "own credentials have no effect while SMTP-AUTH is off",
        run: own_credentials_unused,
    },
    Check {
        id: "AMB-A7",
        systems: &["catchme-mail"],
        kind: Kind::Pattern,
        source: "000:67 [P]",
        doc: "deleting on the mail server says after how many days",
        run: delete_days,
    },
];

const CREDENTIALS: FieldId = Kind::Pattern.id("outgoing.auth.credentials");
const AUTH: FieldId = Kind::Pattern.id("outgoing.auth.enabled");
const AUTH_USERNAME: FieldId = Kind::Pattern.id("outgoing.auth.username");
const AUTH_PASSWORD: FieldId = Kind::Pattern.id("outgoing.auth.password");
const DELETE: FieldId = Kind::Pattern.id("incoming.delete_after_download");
const DELETE_DAYS: FieldId = Kind::Pattern.id("incoming.delete_after_days");

fn wishes_own<'a>(subject: &'a Subject<'_>) -> Option<&'a Wish> {
    let wish = subject.wanted.wish(CREDENTIALS)?;
    matches!(&wish.aim, Aim::Value(value) if value.text() == Some("own")).then_some(wish)
}

fn own_credentials(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(wish) = wishes_own(subject) else { return };
    for field in [AUTH_USERNAME, AUTH_PASSWORD] {
        if !subject.is_written(field) {
            let name = Kind::Pattern.field(field).name;
            let message = format!("with `outgoing.auth.credentials: own`, `{name}` may not be left out (000:128)");
            let problem =
                Diagnostic::error("catchme-mail/own-credentials", message).hint("write it too, or use `incoming`");
            findings.push((problem.field(name), wish.source));
        }
    }
}

fn own_credentials_unused(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(wish) = wishes_own(subject) else { return };
    if subject.value(AUTH) != Some(&Value::Bool(true)) {
        let message = "own credentials have no effect while `outgoing.auth.enabled` is not true";
        let problem = Diagnostic::warning("catchme-mail/own-credentials-unused", message);
        findings.push((problem.field("outgoing.auth.credentials"), wish.source));
    }
}

fn delete_days(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(wish) = subject.wanted.wish(DELETE) else { return };
    if matches!(wish.aim, Aim::Value(Value::Bool(true)))
        && subject.value(DELETE_DAYS).is_none()
        && !subject.is_written(DELETE_DAYS)
    {
        let message = "mail is to be deleted on the server, but `incoming.delete_after_days` does not say when";
        let problem = Diagnostic::error("catchme-mail/delete-days", message)
            .hint("0 is at once, 1 to 99 are days after the download (000:67)");
        findings.push((problem.field("incoming.delete_after_days"), wish.source));
    }
}
