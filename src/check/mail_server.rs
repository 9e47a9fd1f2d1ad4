//! What Dovecot and Postfix need of an account that they read from the store, and what they do not know
//! (`docs/mail-server.md`).

use super::{Finding, Subject};
use crate::model::desired::{Existence, Origin};
use crate::model::{Diagnostic, FieldId, Kind, Value};

const ADDRESS: FieldId = Kind::Account.id("address");
const PASSWORD: FieldId = Kind::Account.id("password");
const CAPACITY: FieldId = Kind::Account.id("capacity");
const FORWARD: FieldId = Kind::Account.id("forward.enabled");
const FORWARD_TO: FieldId = Kind::Account.id("forward.to");
const KEEP_COPY: FieldId = Kind::Account.id("forward.keep_copy");
const AUTO_REPLY: FieldId = Kind::Account.id("auto_reply.enabled");
const BODY: FieldId = Kind::Account.id("auto_reply.body");

/// Bytes of an automatic answer. Dovecot asks for a script by its text in hexadecimal digits, in a line of at most
/// 64 KiB.
const LONGEST_BODY: usize = 16_000;

/// Fields of mail products that a mail server has no part in; what says how to connect is for `yubin probe`.
const UNKNOWN: [&str; 8] =
    ["spam.", "cc", "bcc", "signature", "contact_log.", "sending.", "outgoing.encoding", "visible"];
const UNKNOWN_OF_RECEIVING: [&str; 6] =
    ["delete_after_download", "leave_on_server", "leave_days", "errors_only", "save_attachments", "folder"];

pub fn account(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    needed(subject, findings);
    address(subject, findings);
    capacity(subject, findings);
    forward(subject, findings);
    auto_reply(subject, findings);
    ignored(subject, findings);
}

fn needed(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for (field, why) in [
        (ADDRESS, "a mail server knows an account by its `address`, and this one has none"),
        (PASSWORD, "nobody can log in to an account without a `password`"),
    ] {
        if !subject.has(field) {
            let problem = Diagnostic::error("mail-server/required", why)
                .hint("declare it; with `mail_server: true`, each account is a mailbox of the mail server");
            subject.tell(findings, problem, field, &[field]);
        }
    }
}

/// Postfix looks for addresses in lower case, and Dovecot turns what is typed at a login into it; it takes no other
/// characters (`auth_username_chars`), and makes the path of the mailbox of them.
fn address(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(address) = subject.wanted.wish(ADDRESS).and_then(|wish| wish.value()).and_then(Value::text) else {
        return;
    };
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let (message, hint) = if address.chars().any(char::is_uppercase) {
        ("a mail server looks for addresses in lower case, and would not find this one", "write it in lower case")
    } else if !address.chars().all(is_taken) || address.starts_with('.') || address.contains("@.") {
        (
            "Dovecot takes no such user name: it has letters and digits of ASCII, `.`, `-`, `_` and one `@`",
            "`+` and what follows is cut off where mail arrives; a domain is written in its ASCII form (`xn--…`)",
        )
    } else {
        return;
    };
    subject.tell(findings, Diagnostic::error("mail-server/address", message).hint(hint), ADDRESS, &[ADDRESS]);
}

fn capacity(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let is_zero = subject.wanted.wish(CAPACITY).and_then(|wish| wish.value()) == Some(&Value::Int(0));
    if is_zero && !subject.given.allow_zero_capacity {
        let message = "a capacity of 0 means no limit to the mail server, and may be meant as no room at all";
        let problem = Diagnostic::error("mail-server/zero-capacity", message)
            .hint("leave `capacity` out for no limit, or write `allow_zero_capacity: true` under `policy:`");
        subject.tell(findings, problem, CAPACITY, &[CAPACITY]);
    }
}

fn forward(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if !subject.is(FORWARD, "true") {
        return;
    }
    let targets = match subject.value(FORWARD_TO) {
        Some(Value::List(targets)) => &targets[..],
        // It is wrong, or nobody knows what the store holds.
        _ if subject.has(FORWARD_TO) => return,
        _ => &[],
    };
    if targets.is_empty() {
        let problem =
            Diagnostic::warning("mail-server/forward", "a forward without targets: mail stays in the mailbox")
                .hint("write `forward.to`");
        subject.tell(findings, problem, FORWARD, &[FORWARD_TO, FORWARD]);
        return;
    }
    let own = subject.value(ADDRESS).and_then(Value::text).unwrap_or_default();
    if targets.iter().any(|target| target.eq_ignore_ascii_case(own)) && !subject.is(KEEP_COPY, "true") {
        let message = "the forward names the account's own address: a copy stays in the mailbox";
        let problem = Diagnostic::warning("mail-server/forward", message)
            .hint("remove it, and say `forward.keep_copy: true` if the copy is meant");
        subject.tell(findings, problem, FORWARD_TO, &[FORWARD_TO, FORWARD]);
    }
}

fn auto_reply(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if let Some(body) = subject.wanted.wish(BODY).and_then(|wish| wish.value()).and_then(Value::text)
        && body.len() > LONGEST_BODY
    {
        let message = format!("the text has more than {LONGEST_BODY} bytes, and Dovecot would not get it");
        subject.tell(findings, Diagnostic::error("mail-server/auto-reply", message).hint("shorten it"), BODY, &[BODY]);
    }
    if !subject.is(AUTO_REPLY, "true") {
        return;
    }
    if !subject.has(BODY) {
        let problem = Diagnostic::warning("mail-server/auto-reply", "without a text, nothing is answered")
            .hint("write `auto_reply.body`");
        subject.tell(findings, problem, AUTO_REPLY, &[AUTO_REPLY]);
    }
    let leaves = subject.is(FORWARD, "true") && !subject.is(KEEP_COPY, "true");
    if leaves && !matches!(subject.existence, Existence::Unknown) {
        let message = "all mail is forwarded and no copy kept: what never reaches the mailbox is not answered";
        let problem = Diagnostic::warning("mail-server/auto-reply", message).hint("set `forward.keep_copy: true`");
        subject.tell(findings, problem, AUTO_REPLY, &[AUTO_REPLY, FORWARD]);
    }
}

fn ignored(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for wish in subject.wanted.wishes.iter().filter(|wish| wish.origin == Origin::Written && wish.value().is_some()) {
        let name = Kind::Account.field(wish.field).name;
        let group = |group: &&str| if group.ends_with('.') { name.starts_with(*group) } else { name == *group };
        let of_receiving = name.strip_prefix("incoming.").is_some_and(|rest| UNKNOWN_OF_RECEIVING.contains(&rest));
        if of_receiving || UNKNOWN.iter().any(group) {
            let message = format!("Dovecot and Postfix know nothing of `{name}`: it is kept, and has no effect");
            let problem = Diagnostic::warning("mail-server/ignored", message).hint("remove it");
            subject.tell(findings, problem, wish.field, &[wish.field]);
        }
    }
}
