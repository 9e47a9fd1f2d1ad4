//! Set-up of mail clients: from rows to the files in which Thunderbird, Outlook and Apple's devices look for the
//! settings of an account. Never a password, and never less than what is declared. Pure: a `Made` holds files in
//! memory.

mod apple;
mod autodiscover;
mod domain;
mod setup;
mod thunderbird;
mod xml;

use std::collections::BTreeMap;

use crate::model::probe::{Mechanism, Security};
use crate::model::{Address, Diagnostic, Diagnostics, Kind, Row, Severity};
use crate::system::System;
use setup::{Server, Setup};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Thunderbird,
    Autodiscover,
    Apple,
}

impl Client {
    pub const ALL: [Client; 3] = [Client::Thunderbird, Client::Autodiscover, Client::Apple];

    /// Of `--kind`.
    fn name(self) -> &'static str {
        match self {
            Client::Thunderbird => "thunderbird",
            Client::Autodiscover => "autodiscover",
            Client::Apple => "apple",
        }
    }

    /// As people write it.
    fn title(self) -> &'static str {
        match self {
            Client::Thunderbird => "Thunderbird's file",
            Client::Autodiscover => "Autodiscover",
            Client::Apple => "Apple's profile",
        }
    }
}

/// Files by their path below the folder that they are written to.
#[derive(Debug, Default)]
pub struct Made {
    pub files: BTreeMap<String, String>,
    pub diagnostics: Diagnostics,
}

/// Accounts of one line of a message.
const NAMED: usize = 3;

/// Of these rows, or of those among them that are `named`; servers are taken from the rows, too.
pub fn make(rows: &[(Kind, Row)], named: &[Address], clients: &[Client], system: &System) -> Made {
    let mut made = Made::default();
    let servers: BTreeMap<&str, &Row> =
        rows.iter().filter(|(kind, _)| *kind == Kind::Server).map(|(_, row)| (row.key.as_joined(), row)).collect();
    let mut setups = Vec::new();
    for (kind, row) in rows.iter().filter(|(kind, _)| *kind != Kind::Server) {
        let address = Address::new(*kind, row.key.clone());
        if !named.is_empty() && !named.contains(&address) {
            continue;
        }
        match setup::of(*kind, row, &servers, system) {
            Ok(setup) => setups.push(setup),
            Err(missing) => made.diagnostics.push(incomplete(&address, &missing, !named.is_empty())),
        }
    }
    setups.sort_by_cached_key(|setup| setup.of.to_string());
    for setup in &setups {
        made.diagnostics.extend(in_clear(setup));
        made.diagnostics.extend(shared(setup));
        made.diagnostics.extend(clients.iter().flat_map(|client| weaker(setup, *client)));
    }
    if clients.contains(&Client::Thunderbird) {
        domain::make(&setups, clients, &mut made);
    }
    for client in clients.iter().filter(|client| **client != Client::Thunderbird) {
        accounts(&setups, *client, &mut made);
    }
    made.diagnostics = together(&made.diagnostics);
    made
}

/// What holds for many accounts is said once, with the first of them.
fn together(all: &Diagnostics) -> Diagnostics {
    let mut groups: Vec<(&Diagnostic, Vec<&Address>)> = Vec::new();
    let mut places: BTreeMap<(Severity, &str, &str), usize> = BTreeMap::new();
    for one in all.iter() {
        let at = *places.entry((one.severity, one.code, &one.message)).or_insert(groups.len());
        if at == groups.len() {
            groups.push((one, Vec::new()));
        }
        groups[at].1.extend(&one.address);
    }
    let mut said = Diagnostics::default();
    said.extend(groups.into_iter().map(|(one, addresses)| {
        let address = one.address.clone().filter(|_| addresses.len() == 1);
        let message = if addresses.is_empty() {
            one.message.clone()
        } else {
            one.message.clone() + ": " + &names(&addresses, NAMED)
        };
        Diagnostic { message, address, ..one.clone() }
    }));
    said.sort();
    said
}

/// The first `most` of them, and how many there are beside.
fn names(addresses: &[&Address], most: usize) -> String {
    let first: Vec<String> = addresses.iter().take(most).map(|address| format!("`{address}`")).collect();
    match addresses.len().saturating_sub(most) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The user whose set-up would be made, but for these fields.
fn incomplete(address: &Address, missing: &[&'static str], asked: bool) -> Diagnostic {
    let names: Vec<String> = missing.iter().map(|field| format!("`{field}`")).collect();
    let message = format!("no client can be set up without {}, which the store does not have", names.join(", "));
    let hint = "declare it, or a `server:` that brings it, and apply";
    // Mailboxes without servers stand beside those with some; whoever names one wants to have it.
    let diagnostic = if asked {
        Diagnostic::error("autoconfig/incomplete", message)
    } else {
        Diagnostic::warning("autoconfig/incomplete", message)
    };
    diagnostic.hint(hint).of(address)
}

fn in_clear(setup: &Setup) -> impl Iterator<Item = Diagnostic> {
    [(&setup.incoming, "incoming.security"), (&setup.outgoing, "outgoing.security")]
        .into_iter()
        .filter(|(server, _)| server.shows_password())
        .map(|(server, field)| {
            let (title, host, port) = (server.protocol.title(), &server.host, server.port);
            let message = format!("clients send the password in clear to {title} {host}:{port}, as `{field}` says");
            Diagnostic::warning("autoconfig/password-in-clear", message)
                .hint(format!("`{field}: starttls` or `implicit_tls`, if the server knows it"))
                .of(&setup.of)
                .field(field)
        })
}

fn shared(setup: &Setup) -> Option<Diagnostic> {
    let login = setup.outgoing.login.as_ref().filter(|_| setup.shared_login)?;
    let message =
        format!("for sending, the client asks for the password of `{}`, which is the server's own", login.user);
    Some(
        Diagnostic::warning("autoconfig/shared-login", message)
            .hint("tell it to the users, or set `outgoing.auth.credentials: account` or `per_account` at the server")
            .of(&setup.of),
    )
}

/// A mechanism that hides the password, and that the format has no word for: without TLS the client would show it.
fn weaker(setup: &Setup, client: Client) -> Vec<Diagnostic> {
    let says = match client {
        Client::Thunderbird => |_| true,
        Client::Autodiscover => autodiscover::says,
        Client::Apple => apple::says,
    };
    let silent = |server: &&Server| server.login.as_ref().is_some_and(|login| !says(login.mechanism));
    [&setup.incoming, &setup.outgoing]
        .into_iter()
        .filter(silent)
        .map(|server| {
            let mechanism = server.login.as_ref().map_or(Mechanism::Auto, |login| login.mechanism);
            let word = mechanism.name().to_uppercase();
            let (format, title) = (client.title(), server.protocol.title());
            if server.security == Security::None {
                let message = format!(
                    "{format} has no word for {word}: over {title} without TLS, clients would show the password"
                );
                let diagnostic = Diagnostic::error("autoconfig/weaker", message);
                diagnostic.hint("declare TLS for this server, or leave this format out with `--kind`").of(&setup.of)
            } else {
                let message = format!("{format} cannot say {word} of {title}: clients choose the mechanism, below TLS");
                Diagnostic::warning("autoconfig/not-said", message).of(&setup.of)
            }
        })
        .collect()
}

fn unsaid(setup: &Setup, client: Client) -> Vec<Diagnostic> {
    let unsaid = match client {
        Client::Thunderbird => thunderbird::unsaid(setup),
        Client::Autodiscover => autodiscover::unsaid(setup),
        Client::Apple => apple::unsaid(setup),
    };
    let say = |what: String| {
        let message = format!("{} cannot say {what}", client.title());
        Diagnostic::warning("autoconfig/not-said", message)
            .hint("tell it to the user, if the account needs it")
            .of(&setup.of)
    };
    unsaid.into_iter().map(say).collect()
}

/// A file for each mail address.
fn accounts(setups: &[Setup], client: Client, made: &mut Made) {
    let mut taken: BTreeMap<String, &Setup> = BTreeMap::new();
    for setup in setups {
        made.diagnostics.extend(unsaid(setup, client));
        let name = file_name(&setup.mailbox());
        let (path, text) = match client {
            Client::Apple => (format!("apple/{name}.mobileconfig"), apple::text(setup)),
            Client::Thunderbird | Client::Autodiscover => {
                (format!("autodiscover/{name}.xml"), autodiscover::text(setup))
            }
        };
        if let Some(other) = taken.get(&path) {
            if other.mail != setup.mail || made.files.get(&path) != Some(&text) {
                made.diagnostics.push(same_address(setup, other, client));
            }
            continue;
        }
        taken.insert(path.clone(), setup);
        made.files.insert(path, text);
    }
}

/// Also of addresses that differ only in how they are written: web servers and file systems may take them for one.
fn same_address(setup: &Setup, other: &Setup, client: Client) -> Diagnostic {
    let (title, other_of) = (client.title(), &other.of);
    let (message, hint) = if other.mail == setup.mail {
        let message = format!("{title} has one file for a mail address, and `{other_of}` has other settings");
        (message, "name the one that counts as ADDRESS")
    } else {
        let message = format!(
            "{title} has one file for a mail address, and `{}` is the `{}` of `{other_of}`, written in another way",
            setup.mail, other.mail
        );
        (message, "write both addresses alike, or name the one that counts as ADDRESS")
    };
    Diagnostic::error("autoconfig/same-address", message).hint(hint).of(&setup.of).field("address")
}

/// A name that no file system reads as a path, or as one of its own; each mailbox has another. Letters are those of
/// ASCII: of others, file systems take several forms for one.
fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c.is_ascii_alphanumeric() || "@_-+=".contains(c) || (c == '.' && at > 0) {
            name.push(c);
        } else {
            let mut bytes = [0; 4];
            name.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    name
}
