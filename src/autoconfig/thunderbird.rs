//! Thunderbird's `config-v1.1.xml`: one file for all accounts of a mail domain, with placeholders for what differs by
//! the address. <https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat>

use super::setup::{Login, Server, Setup};
use super::xml::Xml;
use crate::model::probe::{Mechanism, Protocol, Security};

/// Where Thunderbird looks: on the host `autoconfig.DOMAIN`, and on DOMAIN itself.
pub const PATHS: [&str; 2] = ["mail/config-v1.1.xml", ".well-known/autoconfig/mail/config-v1.1.xml"];

/// How a user name comes of the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserName {
    Address,
    LocalPart,
    /// The same one for everybody.
    Fixed(String),
}

impl UserName {
    fn of(user: &str, setup: &Setup) -> UserName {
        if user == setup.mail {
            UserName::Address
        } else if user == setup.local_part() {
            UserName::LocalPart
        } else {
            UserName::Fixed(user.to_owned())
        }
    }

    pub fn text(&self) -> &str {
        match self {
            UserName::Address => "%EMAILADDRESS%",
            UserName::LocalPart => "%EMAILLOCALPART%",
            UserName::Fixed(name) => name,
        }
    }
}

/// What all accounts of a domain must have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    incoming: Server,
    pub user: UserName,
    outgoing: Server,
    sender: Option<UserName>,
    pop_before_smtp: bool,
}

impl Provider {
    pub fn of(setup: &Setup) -> Provider {
        let name = |login: &Login| UserName::of(&login.user, setup);
        // The names stand beside the servers, as rules.
        let nameless = |server: &Server| {
            let login = server.login.clone().map(|login| Login { user: String::new(), ..login });
            Server { host: server.host.to_lowercase(), login, ..server.clone() }
        };
        Provider {
            user: setup.incoming.login.as_ref().map_or(UserName::Address, name),
            sender: setup.outgoing.login.as_ref().map(name),
            incoming: nameless(&setup.incoming),
            outgoing: nameless(&setup.outgoing),
            pop_before_smtp: setup.pop_before_smtp.is_some(),
        }
    }

    /// For people who must see in what two of them differ.
    pub fn summary(&self) -> String {
        let server = |server: &Server, user: &str| {
            let Server { protocol, host, port, security, login } = server;
            let by = login.as_ref().map_or("no authentication", |login| login.mechanism.name());
            format!("{} {host}:{port} {} {by}{user}", protocol.name(), security.name())
        };
        let sender = self.sender.as_ref().map_or(String::new(), |sender| format!(" as {}", sender.text()));
        let before = if self.pop_before_smtp { ", POP before SMTP" } else { "" };
        let receiver = format!(" as {}", self.user.text());
        format!("{}, {}{before}", server(&self.incoming, &receiver), server(&self.outgoing, &sender))
    }

    pub fn text(&self, domain: &str) -> String {
        let mut xml = Xml::new("");
        xml.open("clientConfig", &[("version", "1.1")]);
        xml.open("emailProvider", &[("id", domain)]);
        for name in ["domain", "displayName", "displayShortName"] {
            xml.leaf(name, domain);
        }
        xml.open("incomingServer", &[("type", self.incoming.protocol.name())]);
        connection(&mut xml, &self.incoming);
        xml.leaf("username", self.user.text());
        xml.leaf("authentication", authentication(&self.incoming));
        xml.close();
        xml.open("outgoingServer", &[("type", self.outgoing.protocol.name())]);
        connection(&mut xml, &self.outgoing);
        if let Some(sender) = &self.sender {
            xml.leaf("username", sender.text());
        }
        let after_pop = self.outgoing.login.is_none() && self.pop_before_smtp;
        xml.leaf("authentication", if after_pop { "smtp-after-pop" } else { authentication(&self.outgoing) });
        xml.finish()
    }
}

fn connection(xml: &mut Xml, server: &Server) {
    xml.leaf("hostname", &server.host);
    xml.leaf("port", &server.port.to_string());
    let socket = match server.security {
        Security::None => "plain",
        Security::StartTls => "STARTTLS",
        Security::ImplicitTls => "SSL",
    };
    xml.leaf("socketType", socket);
}

fn authentication(server: &Server) -> &'static str {
    match server.login.as_ref().map(|login| login.mechanism) {
        None => "none",
        Some(Mechanism::Auto | Mechanism::Login | Mechanism::Plain) => "password-cleartext",
        Some(Mechanism::CramMd5 | Mechanism::Apop) => "password-encrypted",
    }
}

/// What is declared, and the format has no words for.
pub fn unsaid(setup: &Setup) -> Vec<String> {
    let mut unsaid = Vec::new();
    if setup.root.is_some() && setup.incoming.protocol == Protocol::Imap {
        unsaid.push("the root folder (`incoming.imap_root`)".to_owned());
    }
    match setup.pop_before_smtp {
        Some(_) if setup.outgoing.login.is_some() => unsaid.push("POP before SMTP beside authentication".to_owned()),
        Some(wait) if wait > 0 => unsaid.push(format!("the wait of {wait} s of POP before SMTP")),
        _ => {}
    }
    unsaid
}
