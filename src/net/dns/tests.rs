use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use simple_dns::rdata::{A, AAAA, CNAME, MX, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use super::{Exchange, Failure, addresses, ascii, mx, name_servers, of_resolver};

const SHORT: Duration = Duration::from_millis(300);
/// What should not be waited for.
const LONG: Duration = Duration::from_secs(20);

/// Packets to answer a query with, over UDP, or with `true` over TCP.
type Answer = dyn Fn(&Packet<'_>, bool) -> Vec<Vec<u8>> + Send + Sync;

/// A name server on loopback that says what a test wants.
struct Fake {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Fake {
    fn new(answer: impl Fn(&Packet<'_>, bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Fake {
        let answer: Arc<Answer> = Arc::new(answer);
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            // The number may be taken for UDP.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (tcp, udp);
            }
        };
        let address = udp.local_addr().unwrap();
        let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let datagrams = thread::spawn({
            let (answer, asked, over) = (answer.clone(), asked.clone(), over.clone());
            udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            move || {
                let mut bytes = [0; 1024];
                while !over.load(Ordering::Relaxed) {
                    let Ok((length, from)) = udp.recv_from(&mut bytes) else { continue };
                    asked.fetch_add(1, Ordering::Relaxed);
                    for packet in answer(&Packet::parse(&bytes[..length]).unwrap(), false) {
                        udp.send_to(&packet, from).unwrap();
                    }
                }
            }
        });
        let streams = thread::spawn({
            let over = over.clone();
            move || {
                for stream in tcp.incoming() {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let mut stream = stream.unwrap();
                    let mut length = [0; 2];
                    stream.read_exact(&mut length).unwrap();
                    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut query).unwrap();
                    for packet in answer(&Packet::parse(&query).unwrap(), true) {
                        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
                        stream.write_all(&[&length[..], &packet].concat()).unwrap();
                    }
                }
            }
        });
        Fake { address, asked, over, threads: vec![datagrams, streams] }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The listener has to wake up.
        let _ = std::net::TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn name(text: &str) -> Name<'_> {
    Name::new(text).unwrap()
}

fn record<'a>(of: &'a str, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(name(of), CLASS::IN, 60, data)
}

fn a(of: &str, last: u8) -> ResourceRecord<'_> {
    record(of, RData::A(A { address: Ipv4Addr::new(192, 0, 2, last).to_bits() }))
}

fn exchange<'a>(of: &'a str, preference: u16, host: &'a str) -> ResourceRecord<'a> {
    record(of, RData::MX(MX { preference, exchange: name(host) }))
}

fn alias<'a>(of: &'a str, to: &'a str) -> ResourceRecord<'a> {
    record(of, RData::CNAME(CNAME(name(to))))
}

fn reply(query: &Packet<'_>, answers: Vec<ResourceRecord<'_>>) -> Vec<u8> {
    changed(query, answers, |_| ())
}

fn changed<'a>(query: &Packet<'a>, answers: Vec<ResourceRecord<'a>>, change: impl Fn(&mut Packet<'a>)) -> Vec<u8> {
    let mut packet = query.clone().into_reply();
    packet.answers = answers;
    change(&mut packet);
    packet.build_bytes_vec_compressed().unwrap()
}

fn is(query: &Packet<'_>, kind: TYPE) -> bool {
    query.questions[0].qtype == QTYPE::from(kind)
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn said<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::NoAnswer(said)) => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_families_are_asked_and_aliases_followed() {
    let fake = Fake::new(|query, _| {
        let (first, last) = ("mail.example.jp", "host.example.jp");
        let mut answers = vec![alias(first, "other.example.jp"), alias("OTHER.example.jp", last)];
        if is(query, TYPE::A) {
            answers.extend([a(last, 26), a(last, 25), a("evil.example.jp", 66), a(last, 25)]);
        } else {
            let v6: std::net::Ipv6Addr = "2001:db8::25".parse().unwrap();
            answers.push(record(last, RData::AAAA(AAAA { address: v6.to_bits() })));
        }
        vec![reply(query, answers)]
    });
    let expected = vec![ip(25), ip(26), "2001:db8::25".parse().unwrap()];
    assert_eq!(addresses("Mail.example.jp", Some(fake.address), LONG), Ok(expected));
    assert_eq!(fake.asked(), 2);
}

#[test]
fn a_chain_of_aliases_without_end_ends() {
    let fake = Fake::new(|query, _| {
        vec![reply(query, vec![alias("a.example.jp", "b.example.jp"), alias("b.example.jp", "a.example.jp")])]
    });
    assert_eq!(addresses("a.example.jp", Some(fake.address), LONG), Err(Failure::NoSuchName));
}

#[test]
fn exchanges_are_sorted() {
    let fake = Fake::new(|query, _| {
        let of = "example.jp";
        vec![reply(
            query,
            vec![
                exchange(of, 20, "b.example.jp"),
                exchange(of, 10, "MX2.example.jp"),
                exchange(of, 10, "mx1.example.jp"),
            ],
        )]
    });
    let expected: Vec<Exchange> = [(10, "mx1.example.jp"), (10, "mx2.example.jp"), (20, "b.example.jp")]
        .map(|(preference, host)| Exchange { preference, host: host.to_owned() })
        .to_vec();
    assert_eq!(mx("example.jp", Some(fake.address), LONG), Ok(expected));
}

#[test]
fn no_mail_no_record_and_no_name_are_three_things() {
    let fake = Fake::new(|query, _| {
        let asked = query.questions[0].qname.to_string();
        vec![match asked.as_str() {
            "null.example.jp" => reply(query, vec![exchange("null.example.jp", 0, ".")]),
            "host.example.jp" => reply(query, Vec::new()),
            _ => changed(query, Vec::new(), |packet| *packet.rcode_mut() = RCODE::NameError),
        }]
    });
    let server = Some(fake.address);
    assert_eq!(mx("null.example.jp", server, LONG), Ok(vec![Exchange { preference: 0, host: ".".to_owned() }]));
    assert_eq!(mx("host.example.jp", server, LONG), Ok(Vec::new()));
    assert_eq!(mx("none.example.jp", server, LONG), Err(Failure::NoSuchName));
    // A name without any address is of no more use than none.
    assert_eq!(addresses("host.example.jp", server, LONG), Err(Failure::NoSuchName));
    assert_eq!(addresses("none.example.jp", server, LONG), Err(Failure::NoSuchName));
}

#[test]
fn what_is_no_answer_to_the_question_is_not_taken() {
    let fake = Fake::new(|query, _| {
        let of = "example.jp";
        let evil = || vec![exchange(of, 1, "evil.example.net")];
        vec![
            Vec::new(),
            vec![0xff; 11],
            vec![0xff; 600],
            changed(query, evil(), |packet| packet.set_id(query.id().wrapping_add(1))),
            changed(query, evil(), |packet| packet.questions[0].qname = name("example.com")),
            changed(query, evil(), |packet| packet.questions[0].qtype = TYPE::A.into()),
            changed(query, evil(), |packet| packet.questions[0].qclass = CLASS::CH.into()),
            changed(query, evil(), |packet| packet.questions.clear()),
            changed(query, evil(), |packet| {
                packet.questions.push(Question::new(name("a.example.jp"), TYPE::MX.into(), CLASS::IN.into(), false));
            }),
            // The query itself, sent back.
            changed(query, evil(), |packet| packet.remove_flags(PacketFlag::RESPONSE)),
            // A name that points at itself.
            {
                let mut bytes = reply(query, Vec::new());
                bytes[7] = 1;
                let here = u8::try_from(bytes.len()).unwrap();
                bytes.extend([0xc0, here, 0, 15, 0, 1, 0, 0, 0, 9, 0, 4, 0, 1, 0xc0, here]);
                bytes
            },
            // More records than there are.
            {
                let mut bytes = reply(query, evil());
                bytes[6..8].copy_from_slice(&[0xff, 0xff]);
                bytes
            },
            reply(query, vec![exchange(of, 10, "mx.example.jp"), exchange("example.com", 1, "evil.example.net")]),
        ]
    });
    let expected = vec![Exchange { preference: 10, host: "mx.example.jp".to_owned() }];
    assert_eq!(mx("example.jp", Some(fake.address), LONG), Ok(expected));
    assert_eq!(fake.asked(), 1);
}

#[test]
fn another_address_is_not_heard() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let thread = thread::spawn(move || {
        let mut bytes = [0; 512];
        let (length, from) = server.recv_from(&mut bytes).unwrap();
        let query = Packet::parse(&bytes[..length]).unwrap();
        other.send_to(&reply(&query, vec![exchange("example.jp", 1, "evil.example.net")]), from).unwrap();
        thread::sleep(Duration::from_millis(50));
        server.send_to(&reply(&query, vec![exchange("example.jp", 10, "mx.example.jp")]), from).unwrap();
    });
    let expected = vec![Exchange { preference: 10, host: "mx.example.jp".to_owned() }];
    assert_eq!(mx("example.jp", Some(address), LONG), Ok(expected));
    thread.join().unwrap();
}

#[test]
fn damaged_answers_end_in_words() {
    // Each answer has other bytes changed, by a generator that needs no crate and gives the same ones every time.
    let seed = AtomicUsize::new(1);
    let fake = Fake::new(move |query, _| {
        let good =
            reply(query, vec![alias("a.example.jp", "b.example.jp"), exchange("b.example.jp", 10, "mx.example.jp")]);
        let mut state = seed.fetch_add(1, Ordering::Relaxed) as u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let mut bytes = good.clone();
        for _ in 0..4 {
            // Id and flags stay, so that it is read.
            let at = 4 + next() % (bytes.len() - 4);
            bytes[at] = (next() % 256) as u8;
        }
        bytes.truncate(12 + next() % (bytes.len() - 11));
        vec![bytes, good]
    });
    for _ in 0..300 {
        assert!(mx("a.example.jp", Some(fake.address), LONG).is_ok());
    }
}

#[test]
fn a_long_answer_comes_over_tcp() {
    let hosts: Vec<String> = (0..100).map(|at| format!("mx{at:02}.example.jp")).collect();
    let expected: Vec<Exchange> = hosts.iter().map(|host| Exchange { preference: 10, host: host.clone() }).collect();
    let fake = Fake::new(move |query, tcp| {
        if !tcp {
            // Cut in the middle of a record.
            let mut bytes = changed(query, vec![exchange("example.jp", 10, "mx.example.jp")], |packet| {
                packet.set_flags(PacketFlag::TRUNCATION);
            });
            bytes.pop();
            return vec![bytes];
        }
        vec![reply(query, hosts.iter().map(|host| exchange("example.jp", 10, host)).collect())]
    });
    assert_eq!(mx("example.jp", Some(fake.address), LONG), Ok(expected));
}

#[test]
fn what_is_no_answer_over_tcp_is_said() {
    let cut = |query: &Packet<'_>| changed(query, Vec::new(), |packet| packet.set_flags(PacketFlag::TRUNCATION));
    let wrong = Fake::new(move |query, tcp| {
        let id = query.id().wrapping_add(1);
        vec![if tcp { changed(query, Vec::new(), |packet| packet.set_id(id)) } else { cut(query) }]
    });
    assert!(said(mx("example.jp", Some(wrong.address), LONG)).contains("no answer to the question"));
    let closes = Fake::new(move |query, tcp| if tcp { Vec::new() } else { vec![cut(query)] });
    assert!(said(mx("example.jp", Some(closes.address), LONG)).contains("closes"));
}

#[test]
fn a_lost_question_is_repeated_once() {
    let lost = AtomicUsize::new(0);
    let fake = Fake::new(move |query, _| {
        if lost.fetch_add(1, Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        vec![reply(query, vec![exchange("example.jp", 10, "mx.example.jp")])]
    });
    let found = mx("example.jp", Some(fake.address), Duration::from_secs(2));
    assert_eq!(found.map(|found| found.len()), Ok(1));
    assert_eq!(fake.asked(), 2);

    let silent = Fake::new(|_, _| Vec::new());
    let begun = Instant::now();
    assert!(said(mx("example.jp", Some(silent.address), SHORT)).contains("no answer within"));
    assert!(said(addresses("example.jp", Some(silent.address), SHORT)).contains("no answer within"));
    assert!(begun.elapsed() >= SHORT * 2 && begun.elapsed() < SHORT * 20, "{:?}", begun.elapsed());
    // On a busy machine the server may get to its last questions later than the one who asks gives up.
    while silent.asked() < 2 + 4 && begun.elapsed() < LONG {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(silent.asked(), 2 + 4);
}

#[test]
fn trouble_of_the_server_is_no_missing_name() {
    let fake = Fake::new(|query, _| vec![changed(query, Vec::new(), |packet| *packet.rcode_mut() = RCODE::Refused)]);
    assert!(said(mx("example.jp", Some(fake.address), LONG)).contains("REFUSED"));
    assert!(said(addresses("example.jp", Some(fake.address), LONG)).contains("REFUSED"));
    // One family alone may fail.
    let half = Fake::new(|query, _| {
        vec![if is(query, TYPE::A) {
            reply(query, vec![a("example.jp", 25)])
        } else {
            changed(query, Vec::new(), |packet| *packet.rcode_mut() = RCODE::ServerFailure)
        }]
    });
    assert_eq!(addresses("example.jp", Some(half.address), LONG), Ok(vec![ip(25)]));
    // Nobody listens.
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begun = Instant::now();
    said(mx("example.jp", Some(gone), LONG));
    assert!(begun.elapsed() < LONG);
}

#[test]
fn the_resolver_of_the_system_is_asked_without_a_server() {
    assert!(addresses("localhost", None, LONG).unwrap().iter().all(IpAddr::is_loopback));
    assert_eq!(addresses("192.0.2.25", None, LONG), Ok(vec![ip(25)]));
    assert_eq!(addresses("a..b", None, LONG), Err(Failure::NoSuchName));
    let error = |text: &str| of_resolver(&std::io::Error::other(text.to_owned()));
    assert_eq!(error("failed to lookup address information: Name or service not known"), Failure::NoSuchName);
    assert_eq!(
        error("failed to lookup address information: Temporary failure in name resolution"),
        Failure::NoAnswer("Temporary failure in name resolution".to_owned())
    );
}

#[test]
fn names_go_over_the_wire_in_ascii() {
    for (name, expected) in [
        ("Mail.Example.JP", Some("mail.example.jp")),
        ("例え.jp", Some("xn--r8jz45g.jp")),
        ("mail.example.jp.", Some("mail.example.jp.")),
        ("_imaps._tcp.example.jp", Some("_imaps._tcp.example.jp")),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a b", None),
        ("a\\.b", None),
        ("a\0b", None),
        (&"a".repeat(64), None),
        (&["a".repeat(63), "a".repeat(63), "a".repeat(63), "a".repeat(62)].join("."), None),
    ] {
        assert_eq!(ascii(name).ok().as_deref(), expected, "{name:?}");
    }
}

#[test]
fn name_servers_are_read() {
    let text = "# nameserver 192.0.2.9\nsearch example.jp\nnameserver 192.0.2.1 # first\n\tnameserver\t2001:db8::1\n\
                nameserver\nnameserver name\nnameserver fe80::1%2\nnameserver 192.0.2.4\n";
    let found: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%2]:53"]);
}
