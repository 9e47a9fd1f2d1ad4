//! What to change, as functions of what was learnt.

use crate::model::probe::{Fields, Mechanism, Protocol, Security, Target};

/// Where the fields of this way stand.
pub fn side(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap | Protocol::Pop3 => "incoming",
        Protocol::Smtp => "outgoing",
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
    let usual = target.protocol.port(Security::None);
    format!("set `{side}.security: implicit_tls`, or `{side}.port: {usual}`")
}

/// The port speaks without TLS.
pub fn plain_port(target: &Target) -> String {
    let side = side(target.protocol);
    let usual = target.protocol.port(Security::ImplicitTls);
    format!("set `{side}.security: starttls` (`none` only if the server offers no STARTTLS), or `{side}.port: {usual}`")
}

pub fn starttls_missing(target: &Target) -> String {
    let side = side(target.protocol);
    let usual = target.protocol.port(Security::ImplicitTls);
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
        let usual = target.protocol.port(Security::ImplicitTls);
        format!(
            "set `{side}.security: implicit_tls` and `{side}.port: {usual}`; the server offers no STARTTLS at this port"
        )
    }
}

/// A login that was refused.
pub struct Refused<'a> {
    pub fields: Fields,
    /// The mechanism, as servers call it.
    pub by: &'static str,
    /// What the server said, in lower case.
    pub text: &'a str,
    pub offered: &'a [String],
    pub encrypted: bool,
}

pub fn login_refused(target: &Target, refused: &Refused<'_>) -> String {
    let Refused { fields, by, text, offered, encrypted } = *refused;
    let of = if fields.of_server { " of the server" } else { "" };
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let password = format!("`{}`{of}", fields.password);
    if says(&["application-specific", "app-specific", "application password", "app password"]) {
        return format!(
            "the account wants a password for each program: make an application password at the provider, and declare \
             it as {password}"
        );
    }
    if says(&["expired"]) && says(&["password", "passphrase", "[expired]"]) {
        return format!("the password has expired: set a new one at the server, and declare it as {password}");
    }
    let takes = |mechanism: &str| mechanism != by && offered.iter().any(|one| one == mechanism);
    if target.protocol == Protocol::Smtp && says(&["too weak", "stronger mechanism"]) {
        return if takes("CRAM-MD5") {
            "set `outgoing.auth.mechanism: cram-md5`".to_owned()
        } else {
            "ask the server's administrator by which mechanism this user may log in".to_owned()
        };
    }
    let protocol = target.protocol.title();
    let checks = format!(
        "check in this order: the password ({password}), the user (`{}`{of}), whether {protocol} is switched on for \
         the account",
        fields.user
    );
    if !matches!(by, "CRAM-MD5" | "APOP") {
        return format!("{checks}, whether the account is open");
    }
    let other = match target.protocol {
        Protocol::Pop3 if by == "APOP" => "set `incoming.apop: false`".to_owned(),
        Protocol::Smtp => match ["PLAIN", "LOGIN"].into_iter().find(|one| takes(one)) {
            Some(one) => format!("set `outgoing.auth.mechanism: {}`", one.to_ascii_lowercase()),
            None => "ask its administrator for PLAIN".to_owned(),
        },
        Protocol::Imap | Protocol::Pop3 => "ask its administrator for PLAIN".to_owned(),
    };
    // The others show the password.
    let clear = if encrypted { "" } else { ", over TLS alone" };
    format!("{checks}; the server may also have no stored form of the password that {by} can use: then {other}{clear}")
}

/// `name` is the mechanism that the server does not take, as it calls it.
pub fn mechanism_missing(target: &Target, declared: Mechanism, name: &str, offered: &[String]) -> String {
    match (target.protocol, declared) {
        (Protocol::Pop3, Mechanism::Apop) => "set `incoming.apop: false`".to_owned(),
        (Protocol::Smtp, _) => {
            let known = ["PLAIN", "LOGIN", "CRAM-MD5"];
            match known.into_iter().find(|known| *known != name && offered.iter().any(|one| one == known)) {
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
