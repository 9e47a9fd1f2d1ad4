//! A configuration profile of Apple's devices with one mail account: an unsigned property list. The keys are those of
//! `com.apple.mail.managed` in Apple's device management schema.

use super::setup::{Server, Setup};
use super::xml::Xml;
use crate::model::probe::{Mechanism, Protocol, Security};

const DOCTYPE: &str =
    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">";
/// Keeps these digests apart from all others.
const PURPOSE: &str = "yubin 2026-11 uuid of a configuration profile";

enum Plist {
    Text(String),
    Integer(i64),
    Bool(bool),
    Dict(Dict),
    Array(Vec<Plist>),
}

type Dict = Vec<(&'static str, Plist)>;

pub fn text(setup: &Setup) -> String {
    let name = identifier(setup);
    let account = payload(account(setup), "com.apple.mail.managed", &format!("{name}.account"), &setup.mail);
    let whole = vec![("PayloadContent", Plist::Array(vec![Plist::Dict(account)]))];
    document(&payload(whole, "Configuration", &name, &setup.mail))
}

/// By which a device recognises a newer profile of the same account. The digest stands for the address, whose
/// characters an identifier need not take.
fn identifier(setup: &Setup) -> String {
    let mut labels: Vec<String> = setup.domain().split('.').map(str::to_owned).collect();
    labels.reverse();
    let digest = blake3::hash(setup.mailbox().as_bytes()).to_hex();
    format!("{}.mail.{}", labels.join("."), &digest[..16])
}

/// With what every payload has, sorted by keys.
fn payload(mut dict: Dict, kind: &str, name: &str, shown: &str) -> Dict {
    dict.extend([
        ("PayloadDisplayName", Plist::Text(shown.to_owned())),
        ("PayloadIdentifier", Plist::Text(name.to_owned())),
        ("PayloadType", Plist::Text(kind.to_owned())),
        ("PayloadVersion", Plist::Integer(1)),
    ]);
    dict.sort_by_key(|(key, _)| *key);
    // Of the content: the same one is the same profile, and a changed one is another.
    let uuid = uuid(&document(&dict));
    dict.push(("PayloadUUID", Plist::Text(uuid)));
    dict.sort_by_key(|(key, _)| *key);
    dict
}

fn account(setup: &Setup) -> Dict {
    let (incoming, outgoing) = (&setup.incoming, &setup.outgoing);
    let text = |text: &str| Plist::Text(text.to_owned());
    let kind = if incoming.protocol == Protocol::Imap { "EmailTypeIMAP" } else { "EmailTypePOP" };
    let mut dict = vec![
        ("EmailAccountDescription", text(&setup.mail)),
        ("EmailAccountType", text(kind)),
        ("EmailAddress", text(&setup.mail)),
        ("IncomingMailServerAuthentication", text(authentication(incoming))),
        ("IncomingMailServerHostName", text(&incoming.host)),
        ("IncomingMailServerPortNumber", Plist::Integer(incoming.port.into())),
        ("IncomingMailServerUseSSL", Plist::Bool(incoming.security != Security::None)),
        ("OutgoingMailServerAuthentication", text(authentication(outgoing))),
        ("OutgoingMailServerHostName", text(&outgoing.host)),
        ("OutgoingMailServerPortNumber", Plist::Integer(outgoing.port.into())),
        ("OutgoingMailServerUseSSL", Plist::Bool(outgoing.security != Security::None)),
    ];
    if let Some(name) = &setup.name {
        dict.push(("EmailAccountName", text(name)));
    }
    if let Some(login) = &incoming.login {
        dict.push(("IncomingMailServerUsername", text(&login.user)));
    }
    if let Some(root) = &setup.root {
        dict.push(("IncomingMailServerIMAPPathPrefix", text(root)));
    }
    if let Some(login) = &outgoing.login {
        dict.push(("OutgoingMailServerUsername", text(&login.user)));
        dict.push(("OutgoingPasswordSameAsIncomingPassword", Plist::Bool(!setup.own_login)));
    }
    dict
}

fn authentication(server: &Server) -> &'static str {
    match server.login.as_ref().map(|login| login.mechanism) {
        None => "EmailAuthNone",
        Some(Mechanism::CramMd5) => "EmailAuthCRAMMD5",
        Some(Mechanism::Auto | Mechanism::Login | Mechanism::Plain | Mechanism::Apop) => "EmailAuthPassword",
    }
}

/// Version 8 of RFC 9562: bits of one's own making.
fn uuid(content: &str) -> String {
    let digest = blake3::derive_key(PURPOSE, content.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032X}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn document(dict: &Dict) -> String {
    let mut xml = Xml::new(DOCTYPE);
    xml.open("plist", &[("version", "1.0")]);
    write_dict(&mut xml, dict);
    xml.finish()
}

fn write_dict(xml: &mut Xml, dict: &Dict) {
    xml.open("dict", &[]);
    for (key, value) in dict {
        xml.leaf("key", key);
        write(xml, value);
    }
    xml.close();
}

fn write(xml: &mut Xml, value: &Plist) {
    match value {
        Plist::Text(text) => xml.leaf("string", text),
        Plist::Integer(number) => xml.leaf("integer", &number.to_string()),
        Plist::Bool(true) => xml.empty("true"),
        Plist::Bool(false) => xml.empty("false"),
        Plist::Dict(dict) => write_dict(xml, dict),
        Plist::Array(items) => {
            xml.open("array", &[]);
            for item in items {
                write(xml, item);
            }
            xml.close();
        }
    }
}

/// Whether the mechanism that hides the password has a word.
pub fn says(mechanism: Mechanism) -> bool {
    mechanism != Mechanism::Apop
}

/// What is declared, and the format has no words for.
pub fn unsaid(setup: &Setup) -> Vec<String> {
    let mut unsaid = Vec::new();
    for server in [&setup.incoming, &setup.outgoing] {
        // The format knows that there is TLS, and not which way leads to it: the port must tell.
        let tells = match server.security {
            Security::None => true,
            Security::StartTls => matches!(server.port, 25 | 110 | 143 | 587),
            Security::ImplicitTls => matches!(server.port, 465 | 993 | 995),
        };
        if !tells {
            let (way, port, title) = (server.security.name(), server.port, server.protocol.title());
            unsaid.push(format!("that {title} takes `{way}` at port {port}, by which it is not recognised"));
        }
    }
    if setup.pop_before_smtp.is_some() {
        unsaid.push("POP before SMTP".to_owned());
    }
    unsaid
}
