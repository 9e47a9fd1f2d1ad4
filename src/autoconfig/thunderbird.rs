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
    /// As this placeholder says, but for the case: clients put in the address as its user types it.
    OtherCase(&'static str),
    /// The same one for everybody.
    Fixed(String),
}

/// Why no file can say the user names of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRule {
    /// This field, and the address.
    OtherCase(&'static str),
    /// The name for receiving has nothing to do with the address.
    Unrelated,
}

impl NoRule {
    pub fn field(self) -> &'static str {
        match self {
            NoRule::OtherCase(field) => field,
            NoRule::Unrelated => "incoming.username",
        }
    }
}

const ADDRESS: &str = "%EMAILADDRESS%";
const LOCAL_PART: &str = "%EMAILLOCALPART%";

impl UserName {
    fn of(user: &str, setup: &Setup) -> UserName {
        if user == setup.mail {
            UserName::Address
        } else if user == setup.local_part() {
            UserName::LocalPart
        } else if user.to_lowercase() == setup.mail.to_lowercase() {
            UserName::OtherCase(ADDRESS)
        } else if user.to_lowercase() == setup.local_part().to_lowercase() {
            UserName::OtherCase(LOCAL_PART)
        } else {
            UserName::Fixed(user.to_owned())
        }
    }

    fn is_other_case(&self) -> bool {
        matches!(self, UserName::OtherCase(_))
    }

    fn text(&self) -> &str {
        match self {
            UserName::Address => ADDRESS,
            UserName::LocalPart => LOCAL_PART,
            UserName::OtherCase(placeholder) => placeholder,
            UserName::Fixed(name) => name,
        }
    }

    /// For people.
    fn summary(&self) -> String {
        let case = if self.is_other_case() { " in other case" } else { "" };
        format!(" as {}{case}", self.text())
    }
}

/// What all accounts of a domain must have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    incoming: Server,
    user: UserName,
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
        let sender = self.sender.as_ref().map_or(String::new(), UserName::summary);
        let before = if self.pop_before_smtp { ", POP before SMTP" } else { "" };
        format!("{}, {}{before}", server(&self.incoming, &self.user.summary()), server(&self.outgoing, &sender))
    }

    pub fn has_other_case(&self) -> bool {
        self.user.is_other_case() || self.sender.as_ref().is_some_and(UserName::is_other_case)
    }

    /// The file of the domain.
    pub fn text(&self, domain: &str) -> Result<String, NoRule> {
        match (&self.user, &self.sender) {
            (UserName::Fixed(_), _) => return Err(NoRule::Unrelated),
            (UserName::OtherCase(_), _) => return Err(NoRule::OtherCase("incoming.username")),
            (_, Some(UserName::OtherCase(_))) => return Err(NoRule::OtherCase("outgoing.auth.username")),
            _ => {}
        }
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
        Ok(xml.finish())
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
