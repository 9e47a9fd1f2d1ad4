//! What to change, as functions of what was learnt.

use crate::model::probe::{Mechanism, Protocol, Security, Target};

/// Where the fields of this way stand.
pub fn side(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap | Protocol::Pop3 => "incoming",
        Protocol::Smtp => "outgoing",
    }
}

/// The port that is taken where none is declared (000:119).
pub fn usual_port(protocol: Protocol, security: Security) -> u16 {
    match (protocol, security) {
        (Protocol::Imap, Security::ImplicitTls) => 993,
        (Protocol::Imap, _) => 143,
        (Protocol::Pop3, Security::ImplicitTls) => 995,
        (Protocol::Pop3, _) => 110,
        (Protocol::Smtp, Security::ImplicitTls) => 465,
        (Protocol::Smtp, _) => 25,
    }
}

pub fn port(target: &Target) -> String {
    let ports = match target.protocol {
        Protocol::Imap => "143 for IMAP, 993 with `security: implicit_tls`",
        Protocol::Pop3 => "110 for POP3, 995 with `security: implicit_tls`",
        Protocol::Smtp => "25 for SMTP, 587 for submission, 465 with `security: implicit_tls`",
    };
    format!("correct `{}.port`; usual are {ports}", side(target.protocol))
}

pub fn host(target: &Target) -> String {
    format!("correct `{}.host`", side(target.protocol))
}

pub fn other_protocol(target: &Target, other: &str) -> String {
    match (target.protocol, other) {
        (Protocol::Imap, "POP3") | (Protocol::Pop3, "IMAP") => {
            format!("{}; or `incoming.protocol: {}`", port(target), other.to_ascii_lowercase())
        }
        _ => port(target),
    }
}

/// The port has TLS from the first byte.
pub fn tls_port(target: &Target) -> String {
    let side = side(target.protocol);
    let usual = usual_port(target.protocol, Security::None);
    format!("set `{side}.security: implicit_tls`, or `{side}.port: {usual}`")
}

/// The port speaks without TLS.
pub fn plain_port(target: &Target) -> String {
    let side = side(target.protocol);
    let usual = usual_port(target.protocol, Security::ImplicitTls);
    format!("set `{side}.security: starttls` (`none` only if the server offers no STARTTLS), or `{side}.port: {usual}`")
}

pub fn starttls_missing(target: &Target) -> String {
    let side = side(target.protocol);
    let usual = usual_port(target.protocol, Security::ImplicitTls);
    format!(
        "ask the server's administrator for STARTTLS, or set `{side}.port: {usual}` and \
         `{side}.security: implicit_tls`; with `none` passwords would go in clear"
    )
}

/// A connection without TLS should have it.
pub fn encrypt(target: &Target, offered: bool) -> String {
    let side = side(target.protocol);
    if offered {
        format!("set `{side}.security: starttls` (the server offers it)")
    } else {
        let usual = usual_port(target.protocol, Security::ImplicitTls);
        format!(
            "set `{side}.security: implicit_tls` and `{side}.port: {usual}`; the server offers no STARTTLS at this port"
        )
    }
}

pub fn login_refused(target: &Target, mechanism: &str) -> String {
    let fields = match target.protocol {
        Protocol::Imap | Protocol::Pop3 => {
            "the password (`incoming.password`, else `password`), the user (`incoming.username`, else `address`)"
        }
        Protocol::Smtp => {
            "the password and the user (`outgoing.auth.credentials` says whose: `outgoing.auth.password` and \
             `outgoing.auth.username`, or those for receiving)"
        }
    };
    let form = match mechanism {
        "CRAM-MD5" | "APOP" => {
            let other = match target.protocol {
                Protocol::Pop3 if mechanism == "APOP" => " (else set `incoming.apop: false`)",
                Protocol::Smtp => " (else set `outgoing.auth.mechanism: plain`)",
                Protocol::Imap | Protocol::Pop3 => "",
            };
            format!("whether the server stores the password in a form that {mechanism} can use{other}")
        }
        _ => "whether the account is open".to_owned(),
    };
    let protocol = target.protocol.title();
    format!("check in this order: {fields}, whether {protocol} is switched on for the account, {form}")
}

pub fn mechanism_missing(target: &Target, declared: Mechanism, offered: &[String]) -> String {
    match (target.protocol, declared) {
        (Protocol::Pop3, Mechanism::Apop) => "set `incoming.apop: false`".to_owned(),
        (Protocol::Smtp, _) => {
            let known = ["PLAIN", "LOGIN", "CRAM-MD5"];
            match known.into_iter().find(|known| offered.iter().any(|one| one == known)) {
                Some(one) => format!("set `outgoing.auth.mechanism: {}`", one.to_ascii_lowercase()),
                None => "ask the server's administrator for PLAIN, LOGIN or CRAM-MD5".to_owned(),
            }
        }
        _ => "ask the server's administrator for PLAIN".to_owned(),
    }
}

pub fn auth_missing(target: &Target) -> String {
    if target.port == 587 {
        "ask the server's administrator for SMTP-AUTH, or set `outgoing.auth.enabled: false`".to_owned()
    } else {
        "set `outgoing.port: 587` (submission), or `outgoing.auth.enabled: false`".to_owned()
    }
}

/// A full mailbox.
pub const MAKE_ROOM: &str = "make room in the mailbox, or raise its `capacity`";
