//! Set-up of mail clients: from rows to the files in which Thunderbird, Outlook and Apple's devices look for the
//! settings of an account. Never a password, and never less than what is declared. Pure: a `Made` holds files in
//! memory.

mod apple;
mod autodiscover;
mod setup;
mod thunderbird;
mod xml;

use std::collections::BTreeMap;

use crate::model::probe::{Mechanism, Security};
use crate::model::{Address, Diagnostic, Diagnostics, Kind, Row, Severity};
use crate::system::System;
use setup::{Server, Setup};
use thunderbird::{Provider, UserName};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Thunderbird,
    Autodiscover,
    Apple,
}

impl Client {
    pub const ALL: [Client; 3] = [Client::Thunderbird, Client::Autodiscover, Client::Apple];

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
        domains(&setups, &mut made);
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
        let message =
            if addresses.is_empty() { one.message.clone() } else { one.message.clone() + ": " + &names(&addresses) };
        Diagnostic { message, address, ..one.clone() }
    }));
    said.sort();
    said
}

/// The first of them, and how many there are beside.
fn names(addresses: &[&Address]) -> String {
    let first: Vec<String> = addresses.iter().take(NAMED).map(|address| format!("`{address}`")).collect();
    match addresses.len().saturating_sub(NAMED) {
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

/// A file for each mail domain.
fn domains(setups: &[Setup], made: &mut Made) {
    let mut by_domain: BTreeMap<String, Vec<(&Setup, Provider)>> = BTreeMap::new();
    for setup in setups {
        made.diagnostics.extend(unsaid(setup, Client::Thunderbird));
        by_domain.entry(setup.domain()).or_default().push((setup, Provider::of(setup)));
    }
    for (domain, users) in by_domain {
        let problem = match users.as_slice() {
            [(setup, provider), others @ ..] if others.iter().all(|(_, other)| other == provider) => {
                if let UserName::Fixed(_) = provider.user {
                    Some(no_rule(setup))
                } else {
                    let text = provider.text(&domain);
                    let folder = format!("autoconfig/{}", file_name(&domain));
                    made.files.extend(thunderbird::PATHS.map(|path| (format!("{folder}/{path}"), text.clone())));
                    None
                }
            }
            users => Some(differ(&domain, users)),
        };
        made.diagnostics.extend(problem);
    }
}

fn no_rule(setup: &Setup) -> Diagnostic {
    let message = "Thunderbird's file is one for the whole domain, and this user name does not come of the address";
    Diagnostic::error("autoconfig/user-name", message)
        .hint("`incoming.username` as the address, or as what stands before its `@`; or leave `--kind thunderbird` out")
        .of(&setup.of)
        .field("incoming.username")
}

/// Says which accounts want which file, those that most want first.
fn differ(domain: &str, users: &[(&Setup, Provider)]) -> Diagnostic {
    let mut groups: Vec<(&Provider, Vec<&Setup>)> = Vec::new();
    for (setup, provider) in users {
        match groups.iter_mut().find(|(other, _)| *other == provider) {
            Some((_, group)) => group.push(setup),
            None => groups.push((provider, vec![setup])),
        }
    }
    // Stable, so that of groups of one size the first by address stays the first.
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
    let told: Vec<String> = groups
        .iter()
        .take(NAMED)
        .map(|(provider, group)| {
            let addresses: Vec<&Address> = group.iter().map(|setup| &setup.of).collect();
            format!("{}: {}", names(&addresses), provider.summary())
        })
        .collect();
    let more = match groups.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more ways"),
    };
    let message = format!("one file cannot be right for all of {domain}: {}{more}", told.join("; "));
    // All of them are concerned, and named in the message.
    Diagnostic::error("autoconfig/domain", message).hint(
        "make servers and user names alike; or name those that the file is for; or leave `--kind thunderbird` out",
    )
}

/// A file for each mail address.
fn accounts(setups: &[Setup], client: Client, made: &mut Made) {
    let mut taken: BTreeMap<String, &Setup> = BTreeMap::new();
    for setup in setups {
        made.diagnostics.extend(unsaid(setup, client));
        let name = file_name(&setup.mail);
        let (path, text) = match client {
            Client::Apple => (format!("apple/{name}.mobileconfig"), apple::text(setup)),
            Client::Thunderbird | Client::Autodiscover => {
                (format!("autodiscover/{name}.xml"), autodiscover::text(setup))
            }
        };
        if made.files.get(&path).is_some_and(|other| *other != text) {
            let other = taken.get(&path).map_or(String::new(), |other| format!(" `{}`", other.of));
            let message = format!("{} has one file for a mail address, and{other} has other settings", client.title());
            let diagnostic = Diagnostic::error("autoconfig/same-address", message);
            made.diagnostics
                .push(diagnostic.hint("name the one that counts as ADDRESS").of(&setup.of).field("address"));
            continue;
        }
        taken.insert(path.clone(), setup);
        made.files.insert(path, text);
    }
}

/// A name that no file system reads as a path, or as one of its own; each address has another.
fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || "@_-+=".contains(c) || (c == '.' && at > 0) {
            name.push(c);
        } else {
            let mut bytes = [0; 4];
            name.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    name
}
