//! The structure of the formats of `export autoconfig`, as they are published.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

/// An element: what it may hold, each with the least and the most of it, in any order.
struct Element {
    name: &'static str,
    children: &'static [(&'static str, usize, usize)],
    /// The words of its text; none where it is free, or where it has children.
    words: &'static [&'static str],
}

const MANY: usize = usize::MAX;

const fn group(name: &'static str, children: &'static [(&'static str, usize, usize)]) -> Element {
    Element { name, children, words: &[] }
}

const fn words(name: &'static str, words: &'static [&'static str]) -> Element {
    Element { name, children: &[], words }
}

const SWITCH: &[&str] = &["on", "off"];

/// <https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat>
const THUNDERBIRD: &[Element] = &[
    group("clientConfig", &[("emailProvider", 1, 1)]),
    group(
        "emailProvider",
        &[
            ("domain", 1, MANY),
            ("displayName", 0, 1),
            ("displayShortName", 0, 1),
            ("incomingServer", 1, MANY),
            ("outgoingServer", 1, MANY),
        ],
    ),
    group(
        "incomingServer",
        &[("hostname", 1, 1), ("port", 1, 1), ("socketType", 1, 1), ("username", 1, 1), ("authentication", 1, MANY)],
    ),
    group(
        "outgoingServer",
        &[("hostname", 1, 1), ("port", 1, 1), ("socketType", 1, 1), ("username", 0, 1), ("authentication", 1, MANY)],
    ),
    words("socketType", &["plain", "SSL", "STARTTLS"]),
    words("authentication", &["password-cleartext", "password-encrypted", "none", "smtp-after-pop"]),
];

/// [MS-OXDSCLI] 2.2.4, and "POX Autodiscover XML elements" of Exchange's reference.
const AUTODISCOVER: &[Element] = &[
    group("Autodiscover", &[("Response", 1, 1)]),
    group("Response", &[("User", 0, 1), ("Account", 1, 1)]),
    group("User", &[("DisplayName", 0, 1)]),
    group("Account", &[("AccountType", 1, 1), ("Action", 1, 1), ("Protocol", 1, MANY)]),
    group(
        "Protocol",
        &[
            ("Type", 1, 1),
            ("Server", 1, 1),
            ("Port", 1, 1),
            ("LoginName", 0, 1),
            ("DomainRequired", 0, 1),
            ("SPA", 0, 1),
            ("SSL", 0, 1),
            ("Encryption", 0, 1),
            ("AuthRequired", 0, 1),
            ("UsePOPAuth", 0, 1),
            ("SMTPLast", 0, 1),
        ],
    ),
    words("AccountType", &["email"]),
    words("Action", &["settings"]),
    words("Type", &["IMAP", "POP3", "SMTP"]),
    words("DomainRequired", SWITCH),
    words("SPA", SWITCH),
    words("SSL", SWITCH),
    words("Encryption", &["None", "SSL", "TLS", "Auto"]),
    words("AuthRequired", SWITCH),
    words("UsePOPAuth", SWITCH),
    words("SMTPLast", SWITCH),
];

/// Keys, the element of their value, whether they are required, and the words that it may have: those of a payload, and
/// of `com.apple.mail.managed` in `mdm/profiles/` of Apple's device management schema, but for passwords.
type Keys = &'static [(&'static str, &'static str, bool, &'static [&'static str])];

const AUTHENTICATION: &[&str] =
    &["EmailAuthNone", "EmailAuthPassword", "EmailAuthCRAMMD5", "EmailAuthNTLM", "EmailAuthHTTPMD5"];

const PROFILE: Keys = &[
    ("PayloadContent", "array", true, &[]),
    ("PayloadDisplayName", "string", false, &[]),
    ("PayloadIdentifier", "string", true, &[]),
    ("PayloadType", "string", true, &["Configuration"]),
    ("PayloadUUID", "string", true, &[]),
    ("PayloadVersion", "integer", true, &["1"]),
];

const ACCOUNT: Keys = &[
    ("EmailAccountDescription", "string", false, &[]),
    ("EmailAccountName", "string", false, &[]),
    ("EmailAccountType", "string", true, &["EmailTypeIMAP", "EmailTypePOP"]),
    ("EmailAddress", "string", false, &[]),
    ("IncomingMailServerAuthentication", "string", true, AUTHENTICATION),
    ("IncomingMailServerHostName", "string", true, &[]),
    ("IncomingMailServerIMAPPathPrefix", "string", false, &[]),
    ("IncomingMailServerPortNumber", "integer", false, &[]),
    ("IncomingMailServerUseSSL", "boolean", false, &[]),
    ("IncomingMailServerUsername", "string", false, &[]),
    ("OutgoingMailServerAuthentication", "string", true, AUTHENTICATION),
    ("OutgoingMailServerHostName", "string", true, &[]),
    ("OutgoingMailServerPortNumber", "integer", false, &[]),
    ("OutgoingMailServerUseSSL", "boolean", false, &[]),
    ("OutgoingMailServerUsername", "string", false, &[]),
    ("OutgoingPasswordSameAsIncomingPassword", "boolean", false, &[]),
    ("PayloadDisplayName", "string", false, &[]),
    ("PayloadIdentifier", "string", true, &[]),
    ("PayloadType", "string", true, &["com.apple.mail.managed"]),
    ("PayloadUUID", "string", true, &[]),
    ("PayloadVersion", "integer", true, &["1"]),
];

pub fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn conforms(node: Node<'_, '_>, table: &[Element]) {
    let name = node.tag_name().name();
    let element = table.iter().find(|element| element.name == name);
    let children = element.map_or(&[][..], |element| element.children);
    for child in elements(node) {
        let known = children.iter().any(|(known, ..)| *known == child.tag_name().name());
        assert!(known, "<{}> in <{name}>", child.tag_name().name());
        conforms(child, table);
    }
    for (child, least, most) in children {
        let count = elements(node).filter(|node| node.tag_name().name() == *child).count();
        assert!((*least..=*most).contains(&count), "{count} of <{child}> in <{name}>");
    }
    let text = node.text().unwrap_or_default();
    if children.is_empty() {
        assert!(!text.trim().is_empty(), "<{name}> is empty");
    }
    if let Some(Element { words, .. }) = element.filter(|element| !element.words.is_empty()) {
        assert!(words.contains(&text), "<{name}>{text}");
    }
    if name.eq_ignore_ascii_case("port") {
        assert!(text.parse::<u16>().unwrap() > 0);
    }
}

fn keys_conform(dict: Node<'_, '_>, table: Keys) {
    let mut seen = Vec::new();
    let nodes: Vec<Node<'_, '_>> = elements(dict).collect();
    for pair in nodes.chunks(2) {
        let [key, value] = pair else { panic!("a key without a value") };
        assert_eq!(key.tag_name().name(), "key");
        let key = key.text().unwrap();
        let (_, kind, _, words) =
            table.iter().find(|(known, ..)| *known == key).unwrap_or_else(|| panic!("the key {key}"));
        let element = value.tag_name().name();
        let is = if matches!(element, "true" | "false") { "boolean" } else { element };
        assert_eq!(is, *kind, "{key}");
        assert!(words.is_empty() || words.contains(&value.text().unwrap()), "{key}: {:?}", value.text());
        if key == "PayloadUUID" {
            let lengths: Vec<usize> = value.text().unwrap().split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
        }
        assert!(!seen.contains(&key), "{key} twice");
        seen.push(key);
    }
    for (key, _, required, _) in table {
        assert!(!required || seen.contains(key), "{key} is missing");
    }
}

/// Well formed, and of the structure that its format has.
pub fn check(name: &str, text: &str) {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    let root = document.root_element();
    let extension = Path::new(name).extension().and_then(std::ffi::OsStr::to_str).unwrap();
    if extension == "mobileconfig" {
        assert_eq!((root.tag_name().name(), root.attribute("version")), ("plist", Some("1.0")));
        assert!(text.contains("<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\""));
        let dict = elements(root).next().unwrap();
        keys_conform(dict, PROFILE);
        let array = elements(dict).find(|node| node.tag_name().name() == "array").unwrap();
        elements(array).for_each(|account| keys_conform(account, ACCOUNT));
    } else if name.ends_with("config-v1.1.xml") {
        assert_eq!(root.attribute("version"), Some("1.1"));
        conforms(root, THUNDERBIRD);
    } else {
        let uri = |name: &str| {
            let found = root.descendants().find(|node| node.tag_name().name() == name).unwrap();
            found.tag_name().namespace().unwrap().to_owned()
        };
        assert!(uri("Autodiscover").ends_with("/exchange/autodiscover/responseschema/2006"));
        assert!(uri("Protocol").ends_with("/exchange/autodiscover/outlook/responseschema/2006a"));
        conforms(root, AUTODISCOVER);
    }
}

#[test]
fn the_published_examples_are_of_the_structure_that_is_demanded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clients");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        check(path.file_name().unwrap().to_str().unwrap(), &std::fs::read_to_string(&path).unwrap());
        seen += 1;
    }
    assert_eq!(seen, 3);
}
