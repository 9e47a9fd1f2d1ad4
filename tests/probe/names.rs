//! Names, asked of a name server that a test plays.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::dialogues::{IMAP, fields};
use super::fake::Fake;
use super::{expect, json, probed, step};
use crate::support::World;

const A: u16 = 1;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

/// What the name server says of every name.
#[derive(Clone)]
enum Zone {
    Addresses(Vec<Ipv4Addr>),
    Error(u8),
    Silent,
}

struct NameServer {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    /// At one port, over UDP; it ends with the tests.
    fn start(zone: Zone) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = NameServer { port: socket.local_addr().unwrap().port(), asked: Arc::default() };
        let asked = Arc::clone(&server.asked);
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut bytes) {
                asked.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = answer(&bytes[..length], &zone) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        server
    }
}

/// A message of RFC 1035: header, the question as it came, and an A record for each address.
fn answer(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let name = query[12..].iter().position(|byte| *byte == 0)?;
    let question = query.get(12..12 + name + 5)?;
    let kind = u16::from_be_bytes([question[name + 1], question[name + 2]]);
    let (code, addresses) = match zone {
        Zone::Silent => return None,
        Zone::Error(code) => (*code, Vec::new()),
        Zone::Addresses(addresses) if kind == A => (0, addresses.clone()),
        Zone::Addresses(_) => (0, Vec::new()),
    };
    let count = u8::try_from(addresses.len()).unwrap();
    let mut answer = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    answer.extend(question);
    for address in addresses {
        // The name of the question, type, class, an hour, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

fn world(server: &NameServer, hosts: &str, port: u16) -> World {
    let world = World::project(
        "generic",
        &format!("probe: {{ hosts: [{hosts}], timeout: 1s, nameserver: \"127.0.0.1:{}\" }}\n", server.port),
    );
    let fields = fields("a", "imap", "none", port).replace("host: 127.0.0.1", "host: mail.example.jp");
    world.write("a.yaml", format!("accounts: {{ a: {fields} }}\n"));
    world
}

#[test]
fn a_name_leads_to_its_server() {
    let fake = Fake::start(IMAP);
    let names = NameServer::start(Zone::Addresses(vec![Ipv4Addr::LOCALHOST]));
    for hosts in ["mail.example.jp", "\"*.example.jp\""] {
        let document = json(&world(&names, hosts, fake.port()), 0, &["probe"]);
        let probe = probed(&document, "account/a", "imap");
        assert!(step(probe, "dns")["message"].as_str().unwrap().contains("127.0.0.1"), "{document:#}");
        assert_eq!(probe["host"], "mail.example.jp");
    }
    assert_eq!(fake.logins(), 2);
    // A host that is not allowed is not even looked up.
    let asked = names.asked.load(Ordering::SeqCst);
    for hosts in ["example.jp", "\"*.mail.example.jp\"", "127.0.0.1"] {
        let document = json(&world(&names, hosts, fake.port()), 1, &["probe"]);
        let allowed = step(probed(&document, "account/a", "imap"), "allowed").clone();
        assert_eq!(allowed["code"], "probe/host-not-allowed", "{document:#}");
    }
    assert_eq!((names.asked.load(Ordering::SeqCst), fake.logins()), (asked, 2));
}

/// Each address in turn: the first that listens is taken.
#[test]
fn the_next_address_is_tried() {
    let fake = Fake::start(IMAP);
    let names = NameServer::start(Zone::Addresses(vec![Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::LOCALHOST]));
    let document = json(&world(&names, "mail.example.jp", fake.port()), 0, &["probe"]);
    assert_eq!(fake.logins(), 1, "{document:#}");
    // Nobody at any of them.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let document = json(&world(&names, "mail.example.jp", dead), 1, &["probe"]);
    let connect = step(probed(&document, "account/a", "imap"), "connect").clone();
    assert_eq!(connect["code"], "probe/refused", "{document:#}");
}

#[test]
fn names_that_are_not_there() {
    for (zone, code, field) in [
        (Zone::Error(NO_SUCH_NAME), "probe/unknown-host", "incoming.host"),
        (Zone::Addresses(Vec::new()), "probe/unknown-host", "incoming.host"),
        (Zone::Error(SERVER_FAILURE), "probe/dns", "resolver"),
        (Zone::Silent, "probe/dns", "resolver"),
    ] {
        let names = NameServer::start(zone);
        let start = Instant::now();
        let document = json(&world(&names, "mail.example.jp", 143), 1, &["probe"]);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let dns = step(probed(&document, "account/a", "imap"), "dns");
        assert_eq!(dns["code"], code, "{document:#}");
        let advice = dns["hint"].as_str().unwrap();
        assert!(advice.contains(field) || advice.contains("nameserver"), "{dns}");
    }
}

#[test]
fn settings_are_checked_where_they_stand() {
    for wrong in [
        "hosts: mail.example.jp",
        "hosts: [\"*\"]",
        "hosts: [\"\"]",
        "hosts: [\"mail.example.jp:0\"]",
        "hosts: [\"mail.example.jp:99999\"]",
        "timeout: 0s",
        "timeout: 6m",
        "timeout: 20",
        "parallel: 0",
        "parallel: 65",
        "attempts: 0",
        "attempts: 6",
        "arrival: 31m",
        "valid: 31d",
        "nameserver: not-an-address",
        "unknown: 1",
    ] {
        let hosts = if wrong.starts_with("hosts") { "" } else { "hosts: [127.0.0.1], " };
        let world = World::project("generic", &format!("probe: {{ {hosts}{wrong} }}\n"));
        world.write("a.yaml", format!("accounts: {{ a: {} }}\n", fields("a", "imap", "none", 1)));
        for command in ["check", "probe"] {
            let run = expect(&world, 3, &[command]);
            assert!(run.stderr.contains("yubin.yaml:4:"), "{command} {wrong}: {}", run.stderr);
        }
    }
    let world = World::project("generic", "probe: { hosts: [127.0.0.1], ca: missing.pem }\n");
    world.write("a.yaml", format!("accounts: {{ a: {} }}\n", fields("a", "imap", "none", 1)));
    let run = expect(&world, 3, &["probe"]);
    assert!(run.stderr.contains("yubin.yaml:4:"), "{}", run.stderr);
    let world = World::project("generic", "policy: { probe: always }\n");
    world.write("a.yaml", "accounts: {}\n");
    expect(&world, 3, &["plan"]);
}
