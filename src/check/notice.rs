//! What is right, and worth a word before it happens.

use super::Finding;
use crate::model::desired::Aim;
use crate::model::{Diagnostic, FieldId, Kind, Row, Value, Wanted};

const PASSWORD: FieldId = Kind::Account.id("password");

/// What the change of a resource, whose secrets are sealed, does to people and to their mail.
pub fn notices(system: &str, wanted: &Wanted, row: Option<&Row>, findings: &mut Vec<Finding>) {
    const DELETE: &str = "incoming.delete_after_download";
    let before = |field| row.and_then(|row| row.get(field));
    if let Some(field) = wanted.kind.find(DELETE)
        && let Some(wish) = wanted.wish(field)
        && matches!(wish.aim, Aim::Value(Value::Bool(true)))
        && before(field) != Some(&Value::Bool(true))
    {
        let message = "from now on mail that is received is deleted on the mail server, for good";
        let problem = Diagnostic::warning("irreversible/delete-after-download", message)
            .hint("other programs that read this mailbox will not find it any more");
        findings.push((problem.field(DELETE), wish.source));
    }
    if system.starts_with("cpi-")
        && wanted.kind == Kind::Account
        && let Some(wish) = wanted.wish(PASSWORD)
        && let Aim::Value(value) = &wish.aim
        && row.is_some()
        && before(PASSWORD) != Some(value)
    {
        let message = "the mail programs that use this account need the new password too (002:81)";
        let problem = Diagnostic::info("cpi/mail-clients", message).hint("tell the people who use it");
        findings.push((problem.field("password"), wish.source));
    }
}
