//! What a mail client needs to know of an account: of its row, of the server that it names, and of what its product
//! cannot set otherwise.

use std::collections::BTreeMap;

use crate::model::probe::{Mechanism, Protocol, Security};
use crate::model::{Address, Kind, Row, Value};
use crate::system::{Need, System};

#[derive(Clone, Debug)]
pub struct Setup {
    pub of: Address,
    /// The mail address.
    pub mail: String,
    /// As recipients see it, or else the name of the account.
    pub name: Option<String>,
    pub incoming: Server,
    pub outgoing: Server,
    /// IMAP: the folder below which all others stand.
    pub root: Option<String>,
    /// Seconds between the login for receiving that must come before sending, and the sending.
    pub pop_before_smtp: Option<i64>,
    /// Whether sending has a user and a password of its own.
    pub own_login: bool,
    /// Whether those are the server's, the same ones for everybody.
    pub shared_login: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub protocol: Protocol,
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Nobody logs in for sending where it is not declared.
    pub login: Option<Login>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub mechanism: Mechanism,
}

impl Setup {
    pub fn local_part(&self) -> &str {
        self.mail.rsplit_once('@').map_or(&*self.mail, |(local, _)| local)
    }

    /// In the form of DNS.
    pub fn domain(&self) -> String {
        let domain = self.mail.rsplit_once('@').map_or("", |(_, domain)| domain);
        idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
    }

    /// The address, one for all ways to write it: in lower case, with the domain in the form of DNS.
    pub fn mailbox(&self) -> String {
        format!("{}@{}", self.local_part().to_lowercase(), self.domain())
    }
}

impl Server {
    /// Whether whoever listens on the way hears the password.
    pub fn shows_password(&self) -> bool {
        let shown = |login: &Login| !matches!(login.mechanism, Mechanism::CramMd5 | Mechanism::Apop);
        self.security == Security::None && self.login.as_ref().is_some_and(shown)
    }
}

/// The set-up, or the names of the fields that lack for it.
pub fn of(kind: Kind, row: &Row, servers: &BTreeMap<&str, &Row>, system: &System) -> Result<Setup, Vec<&'static str>> {
    let server = kind.find("server").and_then(|field| row.get(field)).and_then(Value::text);
    let view = View { kind, row, server: server.and_then(|name| servers.get(name).copied()), system };
    let mut missing = Vec::new();
    let mail = view.text("address").unwrap_or_default();
    let protocol = match view.text("incoming.protocol").as_deref() {
        Some("imap") => Protocol::Imap,
        Some(_) => Protocol::Pop3,
        // Of mailboxes that are their own receiving server.
        None => {
            missing.push("incoming.protocol");
            Protocol::Imap
        }
    };
    let [receiving, sending] = ["incoming.host", "outgoing.host"].map(|field| view.text(field).unwrap_or_default());
    for (field, value) in [("address", &mail), ("incoming.host", &receiving), ("outgoing.host", &sending)] {
        if value.is_empty() {
            missing.push(field);
        }
    }
    let user = view.text("incoming.username").filter(|user| !user.is_empty()).unwrap_or_else(|| mail.clone());
    let apop = protocol == Protocol::Pop3 && view.is_on("incoming.apop");
    let incoming = Server {
        protocol,
        host: receiving,
        login: Some(Login { user: user.clone(), mechanism: if apop { Mechanism::Apop } else { Mechanism::Auto } }),
        ..view.connection("incoming.security", "incoming.port", protocol)
    };
    let own = view.sends_as();
    let own_login = own.is_some();
    let login = view.is_on("outgoing.auth.enabled").then(|| {
        let user = own.unwrap_or(Some(user)).filter(|user| !user.is_empty()).unwrap_or_else(|| {
            missing.push("outgoing.auth.username");
            String::new()
        });
        Login { user, mechanism: view.mechanism() }
    });
    let shared = login.as_ref().is_some_and(|login| view.is_servers(&login.user));
    let outgoing =
        Server { host: sending, login, ..view.connection("outgoing.security", "outgoing.port", Protocol::Smtp) };
    if !missing.is_empty() {
        return Err(missing);
    }
    let before = view.is_on("outgoing.pop_before_smtp");
    Ok(Setup {
        of: Address::new(kind, row.key.clone()),
        mail,
        name: ["sender_name", "label"].into_iter().find_map(|field| view.text(field)).filter(|name| !name.is_empty()),
        own_login: own_login && outgoing.login.is_some(),
        shared_login: own_login && shared,
        incoming,
        outgoing,
        root: view.text("incoming.imap_root").filter(|root| protocol == Protocol::Imap && !root.is_empty()),
        pop_before_smtp: before.then(|| view.number("outgoing.pop_before_smtp_wait").unwrap_or_default()),
    })
}

struct View<'a> {
    kind: Kind,
    row: &'a Row,
    server: Option<&'a Row>,
    system: &'a System,
}

impl View<'_> {
    /// The resource's own value, or else that of its server, or else the one that its product always has.
    fn value(&self, field: &str) -> Option<Value> {
        let own = || self.kind.find(field).and_then(|field| self.row.get(field)).cloned();
        let fixed = || {
            let id = self.kind.find(field)?;
            match self.system.rule(self.kind, id)?.need {
                Need::Fixed(word) => Value::from_word(self.kind.field(id).ty, word),
                _ => None,
            }
        };
        own().or_else(|| self.of_server(field).cloned()).or_else(fixed).or_else(|| self.fixed_by_server(field))
    }

    fn of_server(&self, field: &str) -> Option<&Value> {
        // These are free texts of the resource itself, and a server's words for whose credentials count are others.
        let shared = field.starts_with("incoming.") || field.starts_with("outgoing.");
        let id = Kind::Server.find(field).filter(|_| shared && field != "outgoing.auth.credentials")?;
        self.server?.get(id)
    }

    fn fixed_by_server(&self, field: &str) -> Option<Value> {
        let id = Kind::Server.find(field).filter(|_| self.server.is_some())?;
        match self.system.rule(Kind::Server, id)?.need {
            Need::Fixed(word) => Value::from_word(Kind::Server.field(id).ty, word),
            _ => None,
        }
    }

    fn text(&self, field: &str) -> Option<String> {
        self.value(field).as_ref().and_then(Value::text).map(str::to_owned)
    }

    fn number(&self, field: &str) -> Option<i64> {
        match self.value(field)? {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    fn is_on(&self, field: &str) -> bool {
        self.value(field) == Some(Value::Bool(true))
    }

    /// Of a server whose host and login are said elsewhere. Ports that are not declared are those of 000:119, and their
    /// likes for TLS.
    fn connection(&self, security: &str, port: &str, protocol: Protocol) -> Server {
        let security = Security::of(self.text(security).as_deref());
        let port = self.number(port).and_then(|port| u16::try_from(port).ok());
        let port = port.unwrap_or_else(|| protocol.port(security));
        Server { protocol, host: String::new(), port, security, login: None }
    }

    /// Whether this is the user that the server itself has for sending.
    fn is_servers(&self, user: &str) -> bool {
        let names = ["outgoing.auth.credentials", "outgoing.auth.username"];
        let [credentials, name] = names.map(|field| Kind::Server.find(field).and_then(|id| self.server?.get(id)));
        credentials.and_then(Value::text) == Some("own") && name.and_then(Value::text) == Some(user)
    }

    fn mechanism(&self) -> Mechanism {
        match self.text("outgoing.auth.mechanism").as_deref() {
            Some("login") => Mechanism::Login,
            Some("plain") => Mechanism::Plain,
            Some("cram-md5") => Mechanism::CramMd5,
            _ => Mechanism::Auto,
        }
    }

    /// Who sends, if it is not who receives; no name where one should be there.
    #[expect(clippy::option_option, reason = "whether there is another one, and its name")]
    fn sends_as(&self) -> Option<Option<String>> {
        let credentials = const { Kind::Server.id("outgoing.auth.credentials") };
        let own = self.text("outgoing.auth.credentials");
        let own = own.as_deref().or_else(|| self.server?.get(credentials)?.text());
        let name = self.text("outgoing.auth.username");
        match own {
            Some("incoming" | "account") => None,
            Some(_) => Some(name),
            None => name.map(Some),
        }
    }
}
