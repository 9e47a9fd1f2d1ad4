//! `yubin export autoconfig`: what clients find, held to the structure of the published formats, and what is refused.

mod addresses;
mod structure;

use std::collections::BTreeMap;
use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use super::canaries::disguises;
use crate::support::World;
use structure::{check, elements};

const SECRET: &str = "Wendehals-client-4Tq9";

/// With these resources applied.
fn world(system: &str, yaml: &str) -> World {
    let world = World::project(system, "sources: [a.yaml]\npolicy: { plaintext_secrets: allow }\n");
    world.write("a.yaml", yaml);
    world.expect(0, &["apply", "--yes"]);
    world
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    for (name, text) in &found {
        check(name, text);
        for (form, needle) in disguises(SECRET.as_bytes()) {
            assert!(memchr::memmem::find(text.as_bytes(), &needle).is_none(), "{name} shows the password in {form}");
        }
    }
    found
}

/// The text of each element, by its name, in the order of the document.
fn texts<'a>(document: &'a Document<'_>, name: &str) -> Vec<&'a str> {
    let named = document.descendants().filter(|node| node.tag_name().name() == name);
    named.map(|node| node.text().unwrap_or_default()).collect()
}

/// The values of a profile's account, by their keys.
fn keys(text: &str) -> BTreeMap<String, String> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).unwrap();
    let dict = document.descendants().filter(|node| node.tag_name().name() == "dict").nth(1).unwrap();
    let nodes: Vec<Node<'_, '_>> = elements(dict).collect();
    let value = |node: &Node<'_, '_>| node.text().unwrap_or(node.tag_name().name()).to_owned();
    nodes.chunks(2).map(|pair| (value(&pair[0]), value(&pair[1]))).collect()
}

fn office() -> String {
    format!(
        "servers:
  mail:
    incoming: {{ protocol: imap, host: imap.example.jp, security: implicit_tls }}
    outgoing:
      host: smtp.example.jp
      port: 587
      security: starttls
      auth: {{ enabled: true, mechanism: plain, credentials: account }}
accounts:
  info: {{ server: mail, address: info@example.jp, sender_name: '営業 <部> & \"Co\"', incoming: {{ username: info@example.jp, password: {SECRET} }} }}
  taro: {{ server: mail, address: taro@example.jp }}
patterns:
  hanako:
    work: {{ server: mail, address: hanako@例え.jp, incoming: {{ username: hanako, password: {SECRET} }} }}
"
    )
}

#[test]
fn clients_find_what_is_declared() {
    let world = world("generic", &office());
    let run = world.expect(0, &["export", "autoconfig", "--out", "web"]);
    assert_eq!(run.stderr, "10 files in web\n");
    let files = files(&world.file("web"));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "apple/hanako@xn--r8jz45g.jp.mobileconfig",
            "apple/info@example.jp.mobileconfig",
            "apple/taro@example.jp.mobileconfig",
            "autoconfig/example.jp/.well-known/autoconfig/mail/config-v1.1.xml",
            "autoconfig/example.jp/mail/config-v1.1.xml",
            "autoconfig/xn--r8jz45g.jp/.well-known/autoconfig/mail/config-v1.1.xml",
            "autoconfig/xn--r8jz45g.jp/mail/config-v1.1.xml",
            "autodiscover/hanako@xn--r8jz45g.jp.xml",
            "autodiscover/info@example.jp.xml",
            "autodiscover/taro@example.jp.xml",
        ]
    );
    let text = &files["autoconfig/example.jp/mail/config-v1.1.xml"];
    assert_eq!(text, &files["autoconfig/example.jp/.well-known/autoconfig/mail/config-v1.1.xml"]);
    let document = Document::parse(text).unwrap();
    assert_eq!(texts(&document, "domain"), ["example.jp"]);
    assert_eq!(texts(&document, "hostname"), ["imap.example.jp", "smtp.example.jp"]);
    assert_eq!(texts(&document, "port"), ["993", "587"]);
    assert_eq!(texts(&document, "socketType"), ["SSL", "STARTTLS"]);
    assert_eq!(texts(&document, "username"), ["%EMAILADDRESS%", "%EMAILADDRESS%"]);
    let local = Document::parse(&files["autoconfig/xn--r8jz45g.jp/mail/config-v1.1.xml"]).unwrap();
    assert_eq!(texts(&local, "username"), ["%EMAILLOCALPART%", "%EMAILLOCALPART%"]);

    let document = Document::parse(&files["autodiscover/info@example.jp.xml"]).unwrap();
    assert_eq!(texts(&document, "DisplayName"), ["営業 <部> & \"Co\""]);
    assert_eq!(texts(&document, "Type"), ["IMAP", "SMTP"]);
    assert_eq!(texts(&document, "Encryption"), ["SSL", "TLS"]);
    assert_eq!(texts(&document, "LoginName"), ["info@example.jp", "info@example.jp"]);

    let keys = keys(&files["apple/info@example.jp.mobileconfig"]);
    for (key, value) in [
        ("EmailAccountName", "営業 <部> & \"Co\""),
        ("EmailAccountType", "EmailTypeIMAP"),
        ("IncomingMailServerPortNumber", "993"),
        ("IncomingMailServerUseSSL", "true"),
        ("OutgoingMailServerAuthentication", "EmailAuthPassword"),
        ("OutgoingMailServerUsername", "info@example.jp"),
        ("OutgoingPasswordSameAsIncomingPassword", "true"),
    ] {
        assert_eq!(keys[key], value, "{key}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let world = world("generic", &office());
    world.expect(0, &["export", "autoconfig", "--out", "one"]);
    world.expect(0, &["export", "autoconfig", "--kind", "all", "--out", "two"]);
    let (one, two) = (files(&world.file("one")), files(&world.file("two")));
    assert_eq!(one, two);
    // A change is another profile of the same account.
    world.write("a.yaml", office().replace("port: 587", "port: 25"));
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["export", "autoconfig", "--kind", "apple", "--out", "three", "account/info"]);
    let three = files(&world.file("three"));
    assert_eq!(three.len(), 1);
    let name = "apple/info@example.jp.mobileconfig";
    let (before, after) = (keys(&one[name]), keys(&three[name]));
    assert_eq!(before["PayloadIdentifier"], after["PayloadIdentifier"]);
    assert_ne!(before["PayloadUUID"], after["PayloadUUID"]);
}

#[test]
fn what_holds_for_many_is_said_once() {
    let accounts: Vec<String> = (0..9).map(|n| format!("  a{n}: {{ server: s, address: a{n}@x.jp }}\n")).collect();
    let servers = "servers:\n  s: { incoming: { protocol: imap, host: i.x.jp }, outgoing: { host: s.x.jp } }\n";
    let yaml = format!("{servers}accounts:\n{}", accounts.concat());
    let world = world("generic", &yaml);
    let document = world.json(0, &["export", "autoconfig", "--out", "web"]);
    assert_eq!(document["diagnostics"].as_array().unwrap().len(), 1);
    let message = document["diagnostics"][0]["message"].as_str().unwrap();
    assert!(message.ends_with(": `account/a0`, `account/a1`, `account/a2` and 6 more"), "{message}");
    assert_eq!(document["files"].as_array().unwrap().len(), 20);
}

#[test]
fn a_domain_has_one_file_or_none() {
    let yaml = format!(
        "{}  jiro:
    home: {{ server: mail, address: jiro@example.jp, incoming: {{ username: jiro }} }}
",
        office()
    );
    let world = world("generic", &yaml);
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    assert!(
        run.stderr.contains("error[autoconfig/domain]: one file cannot be right for all of example.jp"),
        "{}",
        run.stderr
    );
    for part in [
        "`account/info`, `account/taro`: imap imap.example.jp:993 implicit_tls auto as %EMAILADDRESS%",
        "`pattern/jiro/home`: imap imap.example.jp:993 implicit_tls auto as %EMAILLOCALPART%",
        "--kind autodiscover,apple",
    ] {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
    assert!(!world.file("web").exists());
    world.expect(0, &["export", "autoconfig", "--out", "others", "--kind", "apple,autodiscover"]);
    assert_eq!(files(&world.file("others")).len(), 8);
    world.expect(0, &["export", "autoconfig", "--out", "some", "account/info", "account/taro"]);
    assert_eq!(files(&world.file("some")).len(), 6);
    // A user name that has nothing to do with the address.
    let odd = "accounts:\n  a: { address: a@x.jp, incoming: { protocol: pop3, host: p.x.jp, security: implicit_tls, username: u1 }, outgoing: { host: s.x.jp } }\n";
    let odd = self::world("generic", odd);
    let run = odd.expect(3, &["export", "autoconfig", "--out", "web", "--kind", "thunderbird"]);
    assert!(run.stderr.contains("error[autoconfig/user-name]"), "{}", run.stderr);
}

#[test]
fn what_a_format_cannot_say_is_said_and_nothing_is_weakened() {
    let yaml = |security: &str| {
        format!(
            "servers:
  old:
    incoming: {{ protocol: pop3, host: pop.x.jp, security: {security}, apop: true }}
    outgoing: {{ host: smtp.x.jp, security: {security}, pop_before_smtp: true, pop_before_smtp_wait: 3, auth: {{ enabled: false }} }}
accounts:
  a: {{ server: old, address: a@x.jp }}
"
        )
    };
    let world = world("generic", &yaml("none"));
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    assert_eq!(run.stderr.matches("error[autoconfig/weaker]").count(), 2, "{}", run.stderr);
    assert!(run.stderr.contains("Apple's profile has no word for APOP: over POP3 without TLS"), "{}", run.stderr);
    let run = world.expect(0, &["export", "autoconfig", "--out", "web", "--kind", "thunderbird"]);
    assert!(run.stderr.contains("cannot say the wait of 3 s of POP before SMTP"), "{}", run.stderr);
    let files = files(&world.file("web"));
    let document = Document::parse(&files["autoconfig/x.jp/mail/config-v1.1.xml"]).unwrap();
    assert_eq!(texts(&document, "authentication"), ["password-encrypted", "smtp-after-pop"]);
    assert_eq!(texts(&document, "socketType"), ["plain", "plain"]);

    let world = self::world("generic", &yaml("implicit_tls"));
    let run = world.expect(0, &["export", "autoconfig", "--out", "web"]);
    for part in [
        "Autodiscover cannot say APOP of POP3: clients choose the mechanism, below TLS",
        "Apple's profile cannot say APOP of POP3",
        "Apple's profile cannot say POP before SMTP",
    ] {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
    let files = self::files(&world.file("web"));
    let document = Document::parse(&files["autodiscover/a@x.jp.xml"]).unwrap();
    assert_eq!(texts(&document, "AuthRequired"), ["on", "off"]);
    assert_eq!(texts(&document, "SMTPLast"), ["on"]);
    assert_eq!(keys(&files["apple/a@x.jp.mobileconfig"])["OutgoingMailServerAuthentication"], "EmailAuthNone");
}

#[test]
fn a_password_that_goes_in_clear_is_warned_of() {
    let world = world(
        "generic",
        "accounts:
  a: { address: a@x.jp, incoming: { protocol: imap, host: i.x.jp, port: 1143, security: starttls }, outgoing: { host: s.x.jp, auth: { enabled: true, username: sender } } }
",
    );
    let run = world.expect(0, &["export", "autoconfig", "--out", "web"]);
    assert_eq!(run.stderr.matches("warning[autoconfig/password-in-clear]").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("SMTP s.x.jp:25, as `outgoing.security` says"), "{}", run.stderr);
    assert!(run.stderr.contains("IMAP takes `starttls` at port 1143"), "{}", run.stderr);
    let files = files(&world.file("web"));
    let keys = keys(&files["apple/a@x.jp.mobileconfig"]);
    assert_eq!(
        (&*keys["OutgoingMailServerUsername"], &*keys["OutgoingPasswordSameAsIncomingPassword"]),
        ("sender", "false")
    );
}

#[test]
fn what_is_wrong_with_the_question_is_said() {
    let world = world("generic", "accounts:\n  a: { address: a@x.jp }\n  b: { label: x }\n");
    for (args, part) in [
        (&["export", "autoconfig"][..], "--out DIR"),
        (&["export", "autoconfig", "server/x", "--out", "web"], "no user"),
        (&["export", "autoconfig", "--out", "."], "not empty"),
        (&["export", "yaml", "account/a"], "are for `autoconfig`"),
        (&["export", "csv", "--kind", "apple"], "are for `autoconfig`"),
        (&["export", "autoconfig", "--plan", "x", "--out", "web"], "of the store"),
    ] {
        let run = world.expect(64, args);
        assert!(run.stderr.contains(part), "{args:?}\n{}", run.stderr);
    }
    let run = world.expect(1, &["export", "autoconfig", "--out", "web"]);
    assert_eq!(run.stderr.matches("warning[autoconfig/incomplete]").count(), 2, "{}", run.stderr);
    for part in
        ["without `incoming.protocol`, `incoming.host`, `outgoing.host`, ", ": `account/a`\n", "could be set up"]
    {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
    world.expect(1, &["export", "autoconfig", "--out", "web", "account/nobody"]);
    let document = world.json(3, &["export", "autoconfig", "--out", "web", "account/a"]);
    assert_eq!(document["diagnostics"][0]["code"], "autoconfig/incomplete");
    assert!(!world.file("web").exists());
}

/// Accounts of this product name a server and keep none of its settings; it knows POP3 alone.
#[test]
fn settings_come_from_the_server_that_is_named() {
    let yaml = format!(
        "servers:
  office:
    position: 1
    supports_uidl: true
    incoming: {{ host: pop.x.jp, port: 995, security: implicit_tls }}
    outgoing: {{ host: smtp.x.jp, port: 465, security: implicit_tls, auth: {{ enabled: true, credentials: per_account }} }}
accounts:
  b:
    user: u
    server: office
    address: b@x.jp
    incoming: {{ username: b, password: {SECRET} }}
    outgoing: {{ auth: {{ username: b-sender, password: {SECRET} }} }}
"
    );
    let world = world("cybozu-office", &yaml);
    world.expect(0, &["export", "autoconfig", "--out", "web", "--kind", "apple", "--kind", "autodiscover"]);
    let files = files(&world.file("web"));
    let keys = keys(&files["apple/b@x.jp.mobileconfig"]);
    assert_eq!(keys["EmailAccountType"], "EmailTypePOP");
    assert_eq!(keys["IncomingMailServerHostName"], "pop.x.jp");
    assert_eq!(keys["IncomingMailServerUsername"], "b");
    assert_eq!(keys["OutgoingMailServerUsername"], "b-sender");
    assert_eq!(keys["OutgoingPasswordSameAsIncomingPassword"], "false");
    let document = Document::parse(&files["autodiscover/b@x.jp.xml"]).unwrap();
    assert_eq!(texts(&document, "UsePOPAuth"), ["off"]);
    assert_eq!(texts(&document, "Type"), ["POP3", "SMTP"]);
}

#[test]
fn a_login_of_the_server_itself_is_warned_of() {
    for kind in ["accounts:\n  a:", "patterns:\n  u:\n    a:"] {
        let yaml = format!(
            "servers:
  s:
    incoming: {{ protocol: imap, host: i.x.jp, security: implicit_tls }}
    outgoing: {{ host: s.x.jp, security: starttls, auth: {{ enabled: true, credentials: own, username: relay, password: {SECRET} }} }}
{kind} {{ server: s, address: a@x.jp }}
"
        );
        let world = world("generic", &yaml);
        let run = world.expect(0, &["export", "autoconfig", "--out", "web"]);
        assert_eq!(run.stderr.matches("warning[autoconfig/shared-login]").count(), 1, "{}", run.stderr);
        let files = files(&world.file("web"));
        assert_eq!(keys(&files["apple/a@x.jp.mobileconfig"])["OutgoingMailServerUsername"], "relay");
        let document = Document::parse(&files["autoconfig/x.jp/mail/config-v1.1.xml"]).unwrap();
        assert_eq!(texts(&document, "username"), ["%EMAILADDRESS%", "relay"]);
    }
}

#[test]
fn one_address_has_one_file() {
    let account = "incoming: { protocol: imap, host: i.x.jp, security: implicit_tls }, outgoing: { host: s.x.jp }";
    let world = world(
        "generic",
        &format!(
            "patterns:
  taro: {{ info: {{ address: info@x.jp, sender_name: Taro, {account} }} }}
  jiro: {{ info: {{ address: info@x.jp, sender_name: Jiro, {account} }} }}
"
        ),
    );
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    assert!(
        run.stderr.contains("error[autoconfig/same-address]") && run.stderr.contains("`pattern/jiro/info`"),
        "{}",
        run.stderr
    );
    let document = world.json(0, &["export", "autoconfig", "--out", "web", "pattern/taro/info"]);
    assert_eq!(document["files"].as_array().unwrap().len(), 4);
}
