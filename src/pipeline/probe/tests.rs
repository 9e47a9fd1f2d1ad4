//! From files to what is asked.

use std::path::Path;

use super::*;
use crate::model::probe::{Entry, Mechanism, Protocol, Security};
use crate::pipeline::{Above, open_at};

fn targets(system: &str, files: &str, asked: &AskedProbe<'_>) -> (Vec<Target>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let project = format!(
        "version: 1\nname: x\nsystem: {system}\nprobe: {{ hosts: [\"*.example.jp\"] }}\n\
         policy: {{ plaintext_secrets: allow }}\n"
    );
    fs::write(folder.path().join("yubin.yaml"), project).unwrap();
    fs::write(folder.path().join("mail.yaml"), files).unwrap();
    let mut session = open_at(folder.path(), Path::new("/"), Above::default(), false).unwrap();
    let targets = session.targets(asked).unwrap().map(|targets| targets.all).unwrap_or_default();
    let said = session.diagnostics.iter().map(|one| format!("{}:{} {}", one.line, one.column, one.code));
    (targets, said.collect())
}

/// `address protocol host:port security user/password mechanism`
fn line(target: &Target) -> String {
    let entry = match &target.entry {
        Entry::Nobody => "nobody".to_owned(),
        Entry::Off(switch) => format!("off by {switch}"),
        Entry::Without { why, .. } => why.clone(),
        Entry::User { name, password, mechanism, .. } => format!("{name}/{} {}", password.expose(), mechanism.name()),
    };
    let Target { address, protocol, host, port, security, .. } = target;
    format!("{address} {} {host}:{port} {} {entry}", protocol.name(), security.name())
}

fn lines(system: &str, files: &str) -> Vec<String> {
    let (targets, said) = targets(system, files, &AskedProbe::default());
    assert_eq!(said, [""; 0]);
    targets.iter().map(line).collect()
}

#[test]
fn an_account_takes_from_its_server_what_it_does_not_say() {
    let files = "servers:
  s:
    supports_uidl: true
    incoming: { protocol: pop3, host: pop.example.jp, security: starttls, apop: true }
    outgoing:
      host: smtp.example.jp
      port: 587
      security: starttls
      auth: { enabled: true, mechanism: cram-md5, credentials: account }
      pop_before_smtp_wait: 3
      max_message_size: 5MB
accounts:
  a: { server: s, address: a@example.jp, password: p1 }
  b: { server: s, address: b@example.jp, incoming: { username: bee, password: p2, port: 1110 } }
  c: { server: s, address: c@example.jp, password: p3, outgoing: { auth: { username: sea, password: p4 } } }
";
    assert_eq!(
        lines("generic", files),
        [
            "account/a pop3 pop.example.jp:110 starttls a@example.jp/p1 apop",
            "account/a smtp smtp.example.jp:587 starttls a@example.jp/p1 cram-md5",
            "account/b pop3 pop.example.jp:1110 starttls bee/p2 apop",
            "account/b smtp smtp.example.jp:587 starttls bee/p2 cram-md5",
            "account/c pop3 pop.example.jp:110 starttls c@example.jp/p3 apop",
            "account/c smtp smtp.example.jp:587 starttls c@example.jp/p3 cram-md5",
        ]
    );
    let (all, _) = targets("generic", files, &AskedProbe::default());
    assert!(all[0].uidl && !all[1].uidl);
    assert_eq!(all[1].size, Some(5 << 20));
    let per_account = files.replace("credentials: account", "credentials: per_account");
    assert_eq!(lines("generic", &per_account)[5], "account/c smtp smtp.example.jp:587 starttls sea/p4 cram-md5");
}

#[test]
fn whose_password_it_is_for_sending_is_as_declared() {
    let own = "servers:
  s:
    incoming: { protocol: pop3, host: pop.example.jp }
    outgoing: { host: smtp.example.jp, auth: { enabled: true, credentials: own, username: u, password: p } }
accounts: { a: { server: s, address: a@example.jp, incoming: { password: q } } }
";
    assert_eq!(lines("generic", own)[1], "account/a smtp smtp.example.jp:25 none u/p auto");
    let patterns = "patterns:
  taro:
    a:
      address: taro@example.jp
      incoming: { label: x, host: i.example.jp, protocol: imap, username: taro, password: q, imap_root: INBOX.a }
      outgoing: { label: x, host: o.example.jp }
    b:
      address: taro@example.jp
      incoming: { label: x, host: i.example.jp, protocol: pop3, username: taro, password: q }
      outgoing: { label: x, host: o.example.jp, auth: { enabled: true, credentials: incoming } }
    c:
      address: taro@example.jp
      incoming: { label: x, host: i.example.jp, protocol: pop3, username: taro, password: q }
      outgoing: { label: x, host: o.example.jp, auth: { enabled: true, credentials: own, username: u, password: p } }
";
    assert_eq!(
        lines("catchme-mail", patterns),
        [
            "pattern/taro/a imap i.example.jp:143 none taro/q auto",
            "pattern/taro/a smtp o.example.jp:25 none nobody",
            "pattern/taro/b pop3 i.example.jp:110 none taro/q auto",
            "pattern/taro/b smtp o.example.jp:25 none taro/q auto",
            "pattern/taro/c pop3 i.example.jp:110 none taro/q auto",
            "pattern/taro/c smtp o.example.jp:25 none u/p auto",
        ]
    );
}

/// Where accounts refer to servers themselves, too.
#[test]
fn a_product_with_servers_is_followed_through_them() {
    let files = "servers:
  s:
    supports_uidl: true
    incoming: { host: pop.example.jp, port: 995, security: implicit_tls }
    outgoing: { host: smtp.example.jp, pop_before_smtp: true, pop_before_smtp_wait: 2 }
accounts:
  191: { user: 山田, server: s, address: a@example.jp, incoming: { username: taro, password: q } }
";
    let (all, _) = targets("cybozu-office", files, &AskedProbe::default());
    assert_eq!(line(&all[0]), "account/191 pop3 pop.example.jp:995 implicit_tls taro/q auto");
    assert!(all[0].uidl);
    assert_eq!(line(&all[1]), "account/191 smtp smtp.example.jp:25 none nobody");
    let (first, wait) = &**all[1].before.as_ref().unwrap();
    assert_eq!((first.protocol, wait.as_secs()), (Protocol::Pop3, 2));
}

#[test]
fn what_is_absent_is_not_probed_and_a_server_alone_is() {
    let files = "servers:
  used: { incoming: { protocol: imap, host: a.example.jp } }
  alone: { incoming: { protocol: imap, host: b.example.jp, security: implicit_tls } }
accounts:
  a: { server: used, address: a@example.jp, password: { hash: \"{SHA512-CRYPT}$6$rounds=1000$feObNoAd.x8tfyT5$4wF0lobbrFhI8YIYCS9AmiF9CbG6SMXFYATFkBU7Lyb3rK6fu1XdPccUAT3XpRpbwMZDnszK38LTdLwm9aBvJ/\" } }
  b: { absent: true }
  c: { address: c@example.jp }
";
    let (all, said) = targets("generic", files, &AskedProbe::default());
    assert_eq!(said, [""; 0]);
    let shown: Vec<String> = all.iter().map(line).collect();
    assert_eq!(
        shown,
        [
            "account/a imap a.example.jp:143 none only a hash of the password is there, which no server takes",
            "server/alone imap b.example.jp:993 implicit_tls nobody",
        ]
    );
    assert_eq!((all[1].security, all[1].port), (Security::ImplicitTls, 993));
    let named = [Address::parse("server/used").unwrap()];
    let asked = AskedProbe { addresses: &named, ..AskedProbe::default() };
    assert_eq!(targets("generic", files, &asked).0.len(), 1);
    // Nobody is in the store yet.
    let asked = AskedProbe { for_plan: true, ..asked };
    assert_eq!(targets("generic", files, &asked).0.len(), 1);
}

#[test]
fn messages_go_where_they_can_be_found_again() {
    let files = "accounts:
  a:
    address: a@example.jp
    incoming: { protocol: imap, host: i.example.jp, password: q }
    outgoing: { host: o.example.jp, auth: { enabled: true, mechanism: plain } }
  b:
    address: b@example.jp
    incoming: { protocol: pop3, host: i.example.jp, password: r }
    outgoing: { host: o.example.jp }
";
    let sent = |to| {
        let asked = AskedProbe { send: Some(to), ..AskedProbe::default() };
        let all = targets("generic", files, &asked).0;
        let sends = all.into_iter().filter_map(|target| target.send);
        sends.map(|one| format!("{}>{} {}", one.from, one.to, one.back.map_or("-".to_owned(), |back| line(&back))))
    };
    let back_a = "account/a imap i.example.jp:143 none a@example.jp/q auto";
    let back_b = "account/b pop3 i.example.jp:110 none b@example.jp/r auto";
    let oneself: Vec<String> = sent(To::Oneself).collect();
    assert_eq!(oneself, [format!("a@example.jp>a@example.jp {back_a}"), format!("b@example.jp>b@example.jp {back_b}")]);
    let other: Vec<String> = sent(To::Address("B@example.jp")).collect();
    assert_eq!(other, [format!("a@example.jp>B@example.jp {back_b}"), format!("b@example.jp>B@example.jp {back_b}")]);
    let away: Vec<String> = sent(To::Address("x@example.com")).collect();
    assert_eq!(away, ["a@example.jp>x@example.com -", "b@example.jp>x@example.com -"]);
}

#[test]
fn a_secret_that_is_missing_is_said_where_it_is_declared() {
    let files = "accounts:
  a: { address: a@example.jp, incoming: { protocol: imap, host: i.example.jp, password: { file: none } } }
";
    let (all, said) = targets("generic", files, &AskedProbe::default());
    assert!(all.is_empty());
    assert_eq!(said, ["2:89 secret/missing"]);
    assert_eq!(Mechanism::Auto.name(), "auto");
}

/// The refusal would be right, and count.
#[test]
fn who_may_not_log_in_does_not_try() {
    let files = "accounts:
  a:
    address: a@example.jp
    login: { imap: false, smtp: false, pop3: true }
    incoming: { protocol: imap, host: i.example.jp, password: q }
    outgoing: { host: o.example.jp, auth: { enabled: true } }
";
    let off = |switch: &str| format!("off by {switch}");
    assert_eq!(
        lines("generic", files),
        [
            format!("account/a imap i.example.jp:143 none {}", off("login.imap")),
            format!("account/a smtp o.example.jp:25 none {}", off("login.smtp")),
        ]
    );
}

#[test]
fn what_is_missing_for_a_login_is_what_to_declare() {
    let hash = "{SHA512-CRYPT}$6$rounds=1000$feObNoAd.x8tfyT5\
                $4wF0lobbrFhI8YIYCS9AmiF9CbG6SMXFYATFkBU7Lyb3rK6fu1XdPccUAT3XpRpbwMZDnszK38LTdLwm9aBvJ/";
    let incoming = "protocol: imap, host: i.example.jp";
    for (account, expected) in [
        (format!("incoming: {{ {incoming}, password: q }}"), "declare `incoming.username` or `address`"),
        (format!("address: a@example.jp, incoming: {{ {incoming} }}"), "declare `incoming.password`"),
        (
            format!("address: a@example.jp, password: {{ hash: \"{hash}\" }}, incoming: {{ {incoming} }}"),
            "probe with the password itself: declare it by `{env}` or `{file}`",
        ),
    ] {
        let (all, said) = targets("generic", &format!("accounts: {{ a: {{ {account} }} }}\n"), &AskedProbe::default());
        assert_eq!(said, [""; 0]);
        let Entry::Without { hint, .. } = &all[0].entry else { panic!("{:?}", all[0].entry) };
        assert_eq!(*hint, Some(expected));
    }
}

#[test]
fn a_login_knows_the_fields_that_it_is_made_of() {
    let files = "servers:
  s:
    incoming: { protocol: pop3, host: pop.example.jp }
    outgoing: { host: smtp.example.jp, auth: { enabled: true, credentials: CREDENTIALS, username: u, password: p } }
accounts: { a: { server: s, address: a@example.jp, incoming: { password: q } } }
";
    let fields = |credentials: &str, way: usize| {
        let (all, _) = targets("generic", &files.replace("CREDENTIALS", credentials), &AskedProbe::default());
        let Entry::User { fields, .. } = all[way].entry else { panic!() };
        (fields.user, fields.password, fields.of_server)
    };
    assert_eq!(fields("own", 0), ("address", "incoming.password", false));
    assert_eq!(fields("own", 1), ("outgoing.auth.username", "outgoing.auth.password", true));
    assert_eq!(fields("account", 1), ("address", "incoming.password", false));
}
