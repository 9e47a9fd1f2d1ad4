//! The response of Microsoft's Autodiscover in plain XML (POX), for one mail address: [MS-OXDSCLI], and "POX
//! Autodiscover XML elements" of Exchange's reference.

use super::setup::{Server, Setup};
use super::xml::Xml;
use crate::model::probe::{Mechanism, Protocol, Security};

const OUTER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const INNER: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

pub fn text(setup: &Setup) -> String {
    let mut xml = Xml::new("");
    xml.open("Autodiscover", &[("xmlns", OUTER)]);
    xml.open("Response", &[("xmlns", INNER)]);
    if let Some(name) = &setup.name {
        xml.open("User", &[]);
        xml.leaf("DisplayName", name);
        xml.close();
    }
    xml.open("Account", &[]);
    xml.leaf("AccountType", "email");
    xml.leaf("Action", "settings");
    for server in [&setup.incoming, &setup.outgoing] {
        xml.open("Protocol", &[]);
        protocol(&mut xml, server);
        if server.protocol == Protocol::Smtp {
            xml.leaf("UsePOPAuth", switch(server.login.is_some() && !setup.own_login));
            xml.leaf("SMTPLast", switch(setup.pop_before_smtp.is_some()));
        }
        xml.close();
    }
    xml.finish()
}

fn protocol(xml: &mut Xml, server: &Server) {
    let name = match server.protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Smtp => "SMTP",
    };
    // What overrides the older `SSL`, which cannot tell the two ways to TLS apart.
    let encryption = match server.security {
        Security::None => "None",
        Security::StartTls => "TLS",
        Security::ImplicitTls => "SSL",
    };
    xml.leaf("Type", name);
    xml.leaf("Server", &server.host);
    xml.leaf("Port", &server.port.to_string());
    if let Some(login) = &server.login {
        xml.leaf("LoginName", &login.user);
    }
    xml.leaf("DomainRequired", "off");
    // Microsoft's own mechanism, which none of the products knows.
    xml.leaf("SPA", "off");
    xml.leaf("SSL", switch(server.security != Security::None));
    xml.leaf("Encryption", encryption);
    xml.leaf("AuthRequired", switch(server.login.is_some()));
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Whether the mechanism that hides the password has a word.
pub fn says(mechanism: Mechanism) -> bool {
    !matches!(mechanism, Mechanism::CramMd5 | Mechanism::Apop)
}

/// What is declared, and the format has no words for.
pub fn unsaid(setup: &Setup) -> Vec<String> {
    let mut unsaid = Vec::new();
    if setup.root.is_some() {
        unsaid.push("the root folder (`incoming.imap_root`)".to_owned());
    }
    if let Some(wait) = setup.pop_before_smtp.filter(|wait| *wait > 0) {
        unsaid.push(format!("the wait of {wait} s of POP before SMTP"));
    }
    unsaid
}
