//! From the settings of a resource to what a probe asks of its servers.

use std::sync::Arc;
use std::time::Duration;

use super::known::{Held, Known, Settings};
use crate::model::probe::{Entry, Fields, Mechanism, Protocol, Security, Target};
use crate::model::{Address, Clear, Kind};

/// Opens a secret; where it cannot be shown to a server, what stands in the place of a login.
pub type Open<'a> = dyn FnMut(&Address, Held<'_>) -> Result<Clear, Entry> + 'a;

/// Whom a resource logs in as, each with its field.
struct Credentials<'a> {
    user: Option<(&'static str, &'a str)>,
    password: Option<(&'static str, Held<'a>)>,
    of_server: bool,
}

const NO_USER: &str = "declare `incoming.username` or `address`";
const NO_PASSWORD: &str = "declare `incoming.password`";

/// What to ask for a resource: receiving, and sending.
pub struct Ways {
    pub receiving: Option<Target>,
    pub sending: Option<Target>,
    /// Of the resource.
    pub mail: Option<String>,
}

impl Ways {
    pub fn of(address: &Address, settings: &Settings<'_>, needs_uidl: bool, open: &mut Open<'_>) -> Ways {
        let receiving = receiving(address, settings, needs_uidl, open);
        let sending = sending(address, settings, receiving.as_ref(), open);
        Ways { receiving, sending, mail: settings.own.text("address").map(str::to_owned) }
    }
}

fn port(declared: Option<i64>, protocol: Protocol, security: Security) -> u16 {
    declared.and_then(|port| u16::try_from(port).ok()).unwrap_or_else(|| protocol.port(security))
}

fn receiving(address: &Address, settings: &Settings<'_>, needs_uidl: bool, open: &mut Open<'_>) -> Option<Target> {
    let host = settings.text("incoming.host")?.to_owned();
    let declared = settings.int("incoming.port");
    let protocol = match (settings.text("incoming.protocol"), declared) {
        (Some("imap"), _) | (None, Some(143 | 993)) => Protocol::Imap,
        // All products that leave it open speak POP3.
        _ => Protocol::Pop3,
    };
    let security = Security::of(settings.text("incoming.security"));
    let apop = protocol == Protocol::Pop3 && settings.flag("incoming.apop") == Some(true);
    let mechanism = if apop { Mechanism::Apop } else { Mechanism::Auto };
    Some(Target {
        address: address.clone(),
        protocol,
        host,
        port: port(declared, protocol, security),
        security,
        entry: may(settings, protocol).unwrap_or_else(|| entry(address, &of_receiving(settings), mechanism, open)),
        folder: settings.own.text("incoming.imap_root").map(str::to_owned),
        uidl: needs_uidl || settings.flag("supports_uidl") == Some(true),
        size: None,
        before: None,
        send: None,
    })
}

fn sending(
    address: &Address,
    settings: &Settings<'_>,
    receiving: Option<&Target>,
    open: &mut Open<'_>,
) -> Option<Target> {
    let host = settings.text("outgoing.host")?.to_owned();
    let security = Security::of(settings.text("outgoing.security"));
    let entry = if settings.flag("outgoing.auth.enabled") == Some(true) {
        let mechanism = match settings.text("outgoing.auth.mechanism") {
            Some("login") => Mechanism::Login,
            Some("plain") => Mechanism::Plain,
            Some("cram-md5") => Mechanism::CramMd5,
            _ => Mechanism::Auto,
        };
        may(settings, Protocol::Smtp).unwrap_or_else(|| entry(address, &of_sending(settings), mechanism, open))
    } else {
        Entry::Nobody
    };
    let wait = settings.int("outgoing.pop_before_smtp_wait").and_then(|wait| u64::try_from(wait).ok());
    let first = receiving.filter(|_| settings.flag("outgoing.pop_before_smtp") == Some(true));
    Some(Target {
        address: address.clone(),
        protocol: Protocol::Smtp,
        host,
        port: port(settings.int("outgoing.port"), Protocol::Smtp, security),
        security,
        entry,
        folder: None,
        uidl: false,
        size: settings.size("outgoing.max_message_size"),
        before: first.map(|first| Box::new((first.clone(), Duration::from_secs(wait.unwrap_or_default())))),
        send: None,
    })
}

/// Nobody, where the account is not to log in this way: a refusal would be right, and count as an attempt.
fn may(settings: &Settings<'_>, protocol: Protocol) -> Option<Entry> {
    let switch = match protocol {
        Protocol::Imap => "login.imap",
        Protocol::Pop3 => "login.pop3",
        Protocol::Smtp => "login.smtp",
    };
    (settings.own.flag(switch) == Some(false)).then_some(Entry::Off(switch))
}

/// User and password for receiving: its own, and else the mail address and the password of the mailbox itself.
fn of_receiving<'a>(settings: &Settings<'a>) -> Credentials<'a> {
    let own = &settings.own;
    Credentials {
        user: ["incoming.username", "address"].into_iter().find_map(|field| Some((field, own.text(field)?))),
        password: ["incoming.password", "password"].into_iter().find_map(|field| Some((field, own.secret(field)?))),
        of_server: false,
    }
}

/// User and password for sending, by what is declared of whose they are (000 c22, 003 D-F6, 004:77-78).
fn of_sending<'a>(settings: &Settings<'a>) -> Credentials<'a> {
    const USER: &str = "outgoing.auth.username";
    const PASSWORD: &str = "outgoing.auth.password";
    let of = |known: &Known<'a>, of_server| Credentials {
        user: known.text(USER).map(|user| (USER, user)),
        password: known.secret(PASSWORD).map(|held| (PASSWORD, held)),
        of_server,
    };
    let own = of(&settings.own, false);
    let receiving = of_receiving(settings);
    let whose = settings.own.text("outgoing.auth.credentials");
    if let Some(server) = settings.server.filter(|_| whose.is_none()) {
        match server.text("outgoing.auth.credentials") {
            Some("own") => return of(&server, true),
            Some("account") => return receiving,
            _ => {}
        }
    }
    match whose {
        Some("incoming") => receiving,
        Some("own") => own,
        // What an account does not say apart is that of receiving.
        _ => Credentials {
            user: own.user.or(receiving.user),
            password: own.password.or(receiving.password),
            of_server: false,
        },
    }
}

fn entry(address: &Address, credentials: &Credentials<'_>, mechanism: Mechanism, open: &mut Open<'_>) -> Entry {
    if address.kind == Kind::Server {
        return Entry::Nobody;
    }
    let of_server = credentials.of_server;
    let Some((user_field, user)) = credentials.user else {
        let hint = if of_server { "declare `outgoing.auth.username` of the server" } else { NO_USER };
        return Entry::Without { why: "no user name is declared".to_owned(), hint: Some(hint) };
    };
    let Some((password_field, held)) = credentials.password else {
        let hint = if of_server { "declare `outgoing.auth.password` of the server" } else { NO_PASSWORD };
        return Entry::Without { why: "no password is declared".to_owned(), hint: Some(hint) };
    };
    match open(address, held) {
        Ok(clear) => Entry::User {
            name: user.to_owned(),
            password: Arc::new(clear),
            mechanism,
            fields: Fields { user: user_field, password: password_field, of_server },
        },
        Err(instead) => instead,
    }
}
