//! `--send`: a message goes out, comes back, and is gone again.

use std::time::Duration;

use serde_json::Value as Json;

use super::{RIGHT, WELL, codes, has_password, json, probed, project, step};
use crate::cli::concat;
use crate::support::World;
use crate::support::mail::{Logins, Setup, Stack};

/// What each message of a probe bears.
const MARK: &str = "X-Yubin-Probe:";

/// How receiving goes in these tests.
const IMAP: &str = "protocol: imap, port: @imaps@, security: implicit_tls";
const POP3: &str = "protocol: pop3, port: @pop3@, security: starttls";

/// A project of these accounts, which receive by `incoming` and send over port 25 with what they receive by.
fn world(stack: &Stack, incoming: &str, names: &[&str]) -> World {
    let world = project(", arrival: 4s");
    world.write("ca.pem", std::fs::read(stack.ca()).unwrap());
    let auth = "auth: { enabled: true, mechanism: plain, credentials: account }";
    for name in names {
        stack.account(&format!("{name}@example.jp"), RIGHT);
    }
    let text = format!(
        "servers:\n  s: {{ incoming: {{ host: 127.0.0.1, {incoming} }}, outgoing: {{ host: 127.0.0.1, port: @smtp@, \
         security: starttls, {auth} }} }}\naccounts:\n{}",
        concat(names, |name| login(name))
    );
    write(&world, stack, &text);
    world
}

fn login(name: &str) -> String {
    let login = format!("incoming: {{ username: {name}@example.jp, password: {{ env: RIGHT }} }}");
    format!("  {name}: {{ server: s, address: {name}@example.jp, {login} }}\n")
}

fn write(world: &World, stack: &Stack, text: &str) {
    let ports = stack.ports;
    let numbers = [("@smtp@", ports.smtp), ("@imaps@", ports.imaps), ("@pop3@", ports.pop3)];
    let text = numbers.iter().fold(text.to_owned(), |text, (name, port)| text.replace(name, &port.to_string()));
    world.write("a.yaml", text);
}

/// Sends from `name` to somebody, and gives what is said of sending.
#[track_caller]
fn send(world: &World, code: i32, name: &str, to: &str) -> Json {
    let address = format!("account/{name}");
    let document = json(world, code, &["probe", &address, "--send", to]);
    probed(&document, &address, "smtp").clone()
}

#[track_caller]
fn outcomes(probe: &Json, send: &str, fetch: &str) {
    assert_eq!(step(probe, "send")["outcome"], send, "{probe:#}");
    assert_eq!(step(probe, "fetch")["outcome"], fetch, "{probe:#}");
}

#[test]
fn a_message_comes_back_and_is_deleted() {
    let stack = &*WELL;
    for (incoming, name) in [(IMAP, "imap"), (POP3, "pop3")] {
        let world = world(stack, incoming, &[name]);
        let user = format!("{name}@example.jp");
        for _ in 0..3 {
            stack.deliver(&user, "somebody's mail");
        }
        let mut before = stack.messages(&user);
        outcomes(&send(&world, 0, name, "self"), "ok", "ok");
        let mut after = stack.messages(&user);
        before.sort();
        after.sort();
        assert_eq!(after, before, "the mailbox of {name}");
        let logins = stack.logins()[&user];
        assert_eq!(logins.refused, 0);
        assert!((2..=4).contains(&logins.taken), "{logins:?}");
        assert!(!world.file("yubin.db").exists());
    }
    assert!(!has_password(stack.logs().as_bytes()), "a password in the logs of the servers");
}

#[test]
fn messages_to_others() {
    let stack = &*WELL;
    let names = ["from", "other", "full", "moved", "closed", "strange"];
    let world = world(stack, IMAP, &names);
    // To a mailbox that is declared: it is looked for there.
    outcomes(&send(&world, 0, "from", "other@example.jp"), "ok", "ok");
    assert!(stack.messages("other@example.jp").is_empty());
    // To one that is not: it arrives, and stays.
    stack.account("quiet@example.jp", RIGHT);
    outcomes(&send(&world, 0, "from", "quiet@example.jp"), "ok", "skipped");
    let arrived = arrived(stack, "quiet@example.jp");
    let bytes = arrived.iter().position(|byte| *byte == b'\0').unwrap_or(arrived.len());
    let text = String::from_utf8_lossy(&arrived[..bytes]).into_owned();
    let own = text.find("From:").map_or(0, |from| text.len() - from);
    assert!(text.contains(MARK) && own <= 1024 + 512, "{text}");
    outcomes(&send(&world, 0, "from", "x@outside.test"), "ok", "skipped");
    // What real servers refuse.
    stack.deliver("full@example.jp", &"0123456789abcdef\r\n".repeat(200));
    stack.sql("UPDATE account SET quota_bytes = 2048 WHERE address = 'full@example.jp'");
    let full = send(&world, 1, "from", "full@example.jp");
    assert_eq!(step(&full, "send")["code"], "probe/mailbox-full", "{full:#}");
    assert!(step(&full, "send")["hint"].as_str().unwrap().contains("capacity"), "{full:#}");
    let unknown = send(&world, 1, "from", "nobody-at-all@example.jp");
    assert_eq!(step(&unknown, "send")["code"], "probe/recipient-refused", "{unknown:#}");
    stack.sql("UPDATE account SET recv_enabled = 0 WHERE address = 'closed@example.jp'");
    let closed = send(&world, 1, "from", "closed@example.jp");
    assert_eq!(step(&closed, "send")["code"], "probe/recipient-refused", "{closed:#}");
    assert_eq!(step(&closed, "fetch"), &Json::Null, "{closed:#}");
    // Taken, and never there.
    stack.sql("INSERT INTO forward VALUES ('moved@example.jp', 'x@outside.test')");
    let moved = send(&world, 1, "from", "moved@example.jp");
    assert_eq!(step(&moved, "fetch")["code"], "probe/not-arrived", "{moved:#}");
    assert!(step(&moved, "fetch")["ms"].as_u64().unwrap() >= 3900, "{moved:#}");
}

/// The one message that lies there, as soon as it does.
fn arrived(stack: &Stack, user: &str) -> Vec<u8> {
    for _ in 0..200 {
        if let [message] = stack.messages(user).as_slice() {
            return message.clone().into_bytes();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} messages\n{}", stack.messages(user).len(), stack.logs());
}

/// Whose address is not the user's: Postfix says so when the recipient is named.
#[test]
fn the_sender_is_refused() {
    let stack = &*WELL;
    let world = world(stack, IMAP, &["me", "them"]);
    let at = format!("host: 127.0.0.1, port: {}, security: starttls", stack.ports.submission);
    let auth = "auth: { enabled: true, mechanism: plain, username: me@example.jp, password: { env: RIGHT } }";
    world.write(
        "b.yaml",
        format!("accounts: {{ odd: {{ address: them@example.jp, outgoing: {{ {at}, {auth} }} }} }}\n"),
    );
    let probe = send(&world, 1, "odd", "me@example.jp");
    let step = step(&probe, "send");
    let code = step["code"].as_str().unwrap_or_default();
    assert!(["probe/sender-refused", "probe/recipient-refused"].contains(&code), "{probe:#}");
    assert!(step["hint"].as_str().unwrap().contains("address"), "{probe:#}");
    assert!(stack.messages("me@example.jp").is_empty());
}

#[test]
fn pop_before_smtp_lets_its_address_send() {
    let stack = Stack::start(Setup::default());
    let world = project(", arrival: 4s");
    world.write("ca.pem", std::fs::read(stack.ca()).unwrap());
    stack.account("pop@example.jp", RIGHT);
    let server = |before: &str| {
        format!(
            "servers:\n  s: {{ incoming: {{ host: 127.0.0.1, {POP3} }}, outgoing: {{ host: 127.0.0.1, port: @smtp@, \
             security: starttls{before} }} }}\naccounts:\n{}",
            login("pop")
        )
    };
    // Nobody has received yet, and sending alone is declared: the relay takes nothing.
    let at = format!("outgoing: {{ host: 127.0.0.1, port: {}, security: starttls }}", stack.ports.smtp);
    world.write("a.yaml", format!("accounts: {{ pop: {{ address: pop@example.jp, {at} }} }}\n"));
    let refused = send(&world, 1, "pop", "x@outside.test");
    assert_eq!(step(&refused, "send")["code"], "probe/recipient-refused", "{refused:#}");
    // With a wrong password the login before fails, and nothing is sent.
    let before = server(", pop_before_smtp: true, pop_before_smtp_wait: 2");
    write(&world, &stack, &before.replace("RIGHT", "WRONG"));
    let document = json(&world, 1, &["probe", "--send", "x@outside.test"]);
    assert!(codes(&document).contains(&"probe/login-refused"), "{document:#}");
    assert_eq!(step(probed(&document, "account/pop", "smtp"), "send"), &Json::Null, "{document:#}");
    assert_eq!(stack.logins()["pop@example.jp"], Logins { taken: 0, refused: 1 }, "{document:#}");
    write(&world, &stack, &before);
    let taken = send(&world, 0, "pop", "x@outside.test");
    assert_eq!(step(&taken, "pop_before_smtp")["outcome"], "ok", "{taken:#}");
    assert!(step(&taken, "pop_before_smtp")["ms"].as_u64().unwrap() >= 2000, "{taken:#}");
    outcomes(&taken, "ok", "skipped");
    let logins = stack.logins()["pop@example.jp"];
    assert!(logins.refused == 1 && (1..=2).contains(&logins.taken), "{logins:?}");
}
