//! Servers over real sockets: those that do not do what they should, and those whose certificate is wrong.

mod certificates;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use self::certificates::authority;
use super::run;
use crate::model::probe::{
    Entry, Fields, HostRule, Hosts, Mechanism, Outcome, Probed, Protocol, Security, Send as Sent, Settings, Step,
    Target,
};
use crate::model::{Address, Clear, Key, Kind};

const FIELDS: Fields = Fields { user: "incoming.username", password: "incoming.password", of_server: false };
const PASSWORD: &str = "canary-in-a-mine";

/// A server that does this with every connection. It goes with the process.
fn server(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    port
}

/// An IMAP server that takes everybody, and counts logins by what `login` says to the n-th.
fn imap(stream: impl Read + Write, offers: &str, mut login: impl FnMut() -> &'static str) -> Option<()> {
    let mut lines = BufReader::new(stream);
    lines.get_mut().write_all(b"* OK ready\r\n").ok()?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let (tag, command) = line.trim_end().split_once(' ')?;
        let answer = match command.split(' ').next()? {
            "CAPABILITY" => format!("* CAPABILITY {offers}\r\n{tag} OK done\r\n"),
            "LOGIN" => format!("{tag} {}\r\n", login()),
            "LOGOUT" => format!("* BYE\r\n{tag} OK bye\r\n"),
            _ => format!("{tag} OK done\r\n"),
        };
        lines.get_mut().write_all(answer.as_bytes()).ok()?;
        lines.get_mut().flush().ok()?;
    }
}

fn target(port: u16, protocol: Protocol, security: Security) -> Target {
    let password = Arc::new(Clear::new(PASSWORD.to_owned()));
    Target {
        address: Address::new(Kind::Account, Key::single("info")),
        protocol,
        host: "127.0.0.1".to_owned(),
        port,
        security,
        entry: Entry::User { name: "info@example.jp".to_owned(), password, mechanism: Mechanism::Auto, fields: FIELDS },
        folder: None,
        uidl: true,
        size: None,
        before: None,
        send: None,
    }
}

fn settings() -> Settings {
    let rule = |name: &str| HostRule { name: name.to_owned(), port: None };
    Settings {
        hosts: Hosts(vec![rule("127.0.0.1"), rule("localhost"), rule("*.test")]),
        timeout: Duration::from_millis(600),
        authorities: Some(authority().pem.clone()),
        arrival: Duration::from_secs(3),
        ..Settings::default()
    }
}

fn probe(targets: &[Target], settings: &Settings) -> Vec<Probed> {
    let told = AtomicUsize::new(0);
    let begun = Instant::now();
    let probed = run(targets, settings, &|n| {
        assert_eq!(told.fetch_add(1, Ordering::SeqCst) + 1, n);
    })
    .unwrap();
    assert_eq!(told.into_inner(), targets.len());
    assert!(begun.elapsed() < settings.timeout * 11 * u32::try_from(targets.len()).unwrap() + settings.arrival);
    let text = format!("{probed:?}");
    assert!(!text.contains(PASSWORD) && !text.contains("Y2FuYXJ5LWluLWEtbWluZ"), "{text}");
    probed
}

/// The last step of the only target.
#[track_caller]
fn last(target: &Target, settings: &Settings) -> Step {
    probe(std::slice::from_ref(target), settings).remove(0).steps.pop().unwrap()
}

#[track_caller]
fn check(target: &Target, code: &str) -> Step {
    let step = last(target, &settings());
    assert_eq!(step.code, Some(code), "{step:?}");
    assert!(step.hint.is_some(), "{step:?}");
    step
}

const ALL: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];

#[test]
fn a_black_hole_ends() {
    let port = server(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    for security in Security::ALL {
        let step = check(&target(port, Protocol::Imap, security), "probe/no-greeting");
        assert!(step.message.contains("within 0.6 s"), "{}", step.message);
    }
}

#[test]
fn lines_without_an_end_do() {
    let endless = |piece: &'static [u8]| server(move |mut stream| while stream.write_all(piece).is_ok() {});
    let [none, some, greeted] = [endless(&[b'x'; 4096]), endless(b"* OK hello\r\n"), endless(b"220-hello\r\n")];
    check(&target(none, Protocol::Imap, Security::None), "probe/protocol");
    check(&target(some, Protocol::Imap, Security::None), "probe/protocol");
    check(&target(greeted, Protocol::Smtp, Security::None), "probe/protocol");
}

#[test]
fn a_byte_now_and_then_is_no_answer() {
    for text in ["x", "* OK hello, this is a long greeting\r\n"] {
        let port = server(move |mut stream| {
            for byte in text.bytes().cycle() {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(80));
            }
        });
        let begun = Instant::now();
        let step = last(&target(port, Protocol::Imap, Security::None), &settings());
        assert_eq!(step.outcome, Outcome::Failed, "{step:?}");
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
}

#[test]
fn whoever_closes_anywhere_is_told() {
    for protocol in ALL {
        for after in 0..6 {
            let lines: &[&str] = match protocol {
                Protocol::Imap => &[
                    "* OK\r\n",
                    "* CAPABILITY X\r\na1 OK\r\n",
                    "a2 OK\r\n",
                    "* CAPABILITY X\r\na3 OK\r\n",
                    "a4 OK\r\n",
                ],
                Protocol::Pop3 => &["+OK\r\n", "+OK\r\nUSER\r\n.\r\n", "+OK\r\n", "+OK\r\n", "+OK 1 1\r\n"],
                Protocol::Smtp => &["220 x\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "235 ok\r\n", "221 bye\r\n", ""],
            };
            let lines: Vec<&str> = lines[..after.min(lines.len())].to_vec();
            let port = server(move |mut stream| {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                for (at, line) in lines.iter().enumerate() {
                    if at > 0 {
                        let _ = reader.read_line(&mut String::new());
                    }
                    let _ = stream.write_all(line.as_bytes());
                }
            });
            let probed = probe(&[target(port, protocol, Security::None)], &settings()).remove(0);
            let step = probed.steps.last().unwrap();
            assert!(matches!(step.code, None | Some("probe/closed")), "{after} {step:?}");
        }
    }
}

#[test]
fn ten_thousand_words_are_read() {
    let port = server(|stream| {
        let offers: Vec<String> = (0..10_000).map(|n| format!("W{n}")).collect();
        imap(stream, &offers.join(" "), || "OK in");
    });
    let probed = probe(&[target(port, Protocol::Imap, Security::None)], &settings()).remove(0);
    assert_eq!(probed.outcome(), Outcome::Ok, "{probed:?}");
    assert!(probed.steps.iter().all(|step| step.message.chars().count() <= 301));
}

/// What came is the protocol; its end did not come.
#[test]
fn a_greeting_without_an_end_is_not_another_protocol() {
    let begins = |text: &'static str, stays: bool| {
        server(move |mut stream| {
            let _ = stream.write_all(text.as_bytes());
            if stays {
                let _ = stream.read_to_end(&mut Vec::new());
            }
        })
    };
    let port = begins("* OK xxxx", true);
    let step = check(&target(port, Protocol::Imap, Security::None), "probe/timeout");
    assert_eq!(step.message, "the first line of the server did not end within 0.6 s");
    assert_eq!(step.said.as_deref(), Some("* OK xxxx"));
    check(&target(port, Protocol::Pop3, Security::None), "probe/wrong-protocol");
    let step = check(&target(begins("220 x", false), Protocol::Smtp, Security::None), "probe/closed");
    assert_eq!(step.said.as_deref(), Some("220 x"));
}

#[test]
fn binary_is_no_greeting() {
    for bytes in [&b"\x15\x03\x01\0\x02\x02\x46"[..], b"\0\0\0\n5.5.5-10.11\0\xff\xfe", b"SSH-2.0-x\r\n", b"\xff\n"] {
        let port = server(move |mut stream| {
            let _ = stream.write_all(bytes);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let step = last(&target(port, Protocol::Pop3, Security::None), &settings());
        assert!(matches!(step.code, Some("probe/protocol" | "probe/wrong-protocol")), "{step:?}");
    }
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let step = check(&target(port, Protocol::Smtp, Security::None), "probe/refused");
    assert!(step.hint.unwrap().contains("587"));
}

#[test]
fn a_host_that_is_not_named_is_not_connected_to() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let port = server(|_| {
        SEEN.fetch_add(1, Ordering::SeqCst);
    });
    let mut target = target(port, Protocol::Imap, Security::None);
    target.host = "127.0.0.2".to_owned();
    let probed = probe(&[target], &settings()).remove(0);
    assert_eq!(probed.steps.len(), 1);
    assert_eq!(probed.steps[0].code, Some("probe/host-not-allowed"));
    assert_eq!(SEEN.load(Ordering::SeqCst), 0);
}

#[test]
fn names_are_looked_up() {
    let mute = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let knows_none = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let none = knows_none.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((n, from)) = knows_none.recv_from(&mut question) {
            // An answer: no such name.
            question[2..4].copy_from_slice(&[0x81, 0x83]);
            let _ = knows_none.send_to(&question[..n], from);
        }
    });
    for (server, code) in [(mute.local_addr().unwrap(), "probe/dns"), (none, "probe/unknown-host")] {
        let mut target = target(1, Protocol::Imap, Security::None);
        target.host = "mail.test".to_owned();
        let settings = Settings { nameserver: Some(server), ..settings() };
        let step = last(&target, &settings);
        assert_eq!(step.code, Some(code), "{step:?}");
    }
}

#[test]
fn a_user_is_refused_no_more_often_than_allowed() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    for attempts in [1, 3] {
        let logins = Arc::new(AtomicUsize::new(0));
        let ports: Vec<u16> = (0..2)
            .map(|_| {
                let logins = Arc::clone(&logins);
                server(move |stream| {
                    imap(stream, "IMAP4rev1", || {
                        logins.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(NOW.fetch_add(1, Ordering::SeqCst), 0, "two logins of one user at once");
                        thread::sleep(Duration::from_millis(50));
                        NOW.fetch_sub(1, Ordering::SeqCst);
                        "NO [AUTHENTICATIONFAILED] no"
                    });
                })
            })
            .collect();
        let targets: Vec<Target> = (0..8).map(|n| target(ports[n % 2], Protocol::Imap, Security::None)).collect();
        let probed = probe(&targets, &Settings { attempts, ..settings() });
        assert_eq!(logins.load(Ordering::SeqCst), attempts as usize);
        let codes: Vec<_> = probed.iter().map(|probed| probed.steps.last().unwrap().code.unwrap()).collect();
        let refused = codes.iter().filter(|code| **code == "probe/login-refused").count();
        assert_eq!(refused, attempts as usize);
        assert_eq!(codes.iter().filter(|code| **code == "probe/not-tried").count(), 8 - refused);
    }
}

#[test]
fn who_is_not_tried_learns_which_login_was_not_taken() {
    for (login, came) in [
        (Some("NO [AUTHENTICATIONFAILED] no"), "was refused for"),
        (Some("FINE"), "got an answer to the password that is neither yes nor no for"),
        (None, "got no answer to the password for"),
    ] {
        let port = server(move |stream| {
            let silent = stream.try_clone().unwrap();
            imap(stream, "IMAP4rev1", || {
                login.unwrap_or_else(|| {
                    let _ = silent.shutdown(std::net::Shutdown::Both);
                    ""
                })
            });
        });
        let mut targets = vec![target(port, Protocol::Imap, Security::None); 2];
        targets[0].address = Address::new(Kind::Account, Key::single("a-wrongpw"));
        let probed = probe(&targets, &settings());
        let step = probed[1].steps.last().unwrap();
        assert_eq!(step.code, Some("probe/not-tried"), "{step:?}");
        let expected = format!("info@example.jp {came} `account/a-wrongpw` at imap 127.0.0.1:{port} in this run");
        assert_eq!(step.message, expected);
    }
}

#[test]
fn results_stand_in_the_order_of_the_targets() {
    let port = server(|stream| {
        imap(stream, "IMAP4rev1", || {
            thread::sleep(Duration::from_millis(20));
            "OK in"
        });
    });
    let targets: Vec<Target> = (0..20)
        .map(|n| {
            let mut target = target(port, Protocol::Imap, Security::None);
            target.address = Address::new(Kind::Account, Key::single(&format!("u{n}")));
            let password = Arc::new(Clear::new(PASSWORD.to_owned()));
            target.entry = Entry::User { name: format!("u{n}"), password, mechanism: Mechanism::Auto, fields: FIELDS };
            target
        })
        .collect();
    let probed = probe(&targets, &settings());
    assert!(probed.iter().zip(&targets).all(|(probed, target)| probed.address == target.address));
    assert!(probed.iter().all(|probed| probed.outcome() == Outcome::Ok));
}

#[test]
fn the_receiving_login_comes_first_and_is_waited_behind() {
    let receiving = server(|stream| {
        imap(stream, "IMAP4rev1", || "OK in");
    });
    let sending = server(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let _ = stream.write_all(b"220 x\r\n");
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
            let answer: &[u8] = if line.starts_with("DATA") { b"354 go\r\n" } else { b"250 ok\r\n" };
            if !line.contains(':') || line.starts_with("MAIL") || line.starts_with("RCPT") {
                let _ = stream.write_all(answer);
            }
            line.clear();
        }
    });
    let mut target = target(sending, Protocol::Smtp, Security::None);
    let before = self::target(receiving, Protocol::Imap, Security::None);
    target.entry = Entry::Nobody;
    target.before = Some(Box::new((before, Duration::from_millis(200))));
    let probed = probe(std::slice::from_ref(&target), &settings()).remove(0);
    let step = probed.steps.last().unwrap();
    assert_eq!((step.name.name(), step.outcome), ("pop_before_smtp", Outcome::Ok), "{step:?}");
    assert!(step.took >= Duration::from_millis(200));
    // A host that may not be probed is not logged in at for this either.
    target.before.as_mut().unwrap().0.host = "127.0.0.3".to_owned();
    target.send = Some(Sent { from: "a@example.jp".to_owned(), to: "b@example.jp".to_owned(), back: None });
    let step = last(&target, &settings());
    assert_eq!((step.name.name(), step.code), ("pop_before_smtp", Some("probe/host-not-allowed")), "{step:?}");
}

#[test]
fn addresses_are_of_the_right_kind() {
    // Names of the machine itself need no name server.
    let port = server(|stream| {
        imap(stream, "IMAP4rev1", || "OK in");
    });
    let mut target = target(port, Protocol::Imap, Security::None);
    target.host = "localhost".to_owned();
    let probed = probe(std::slice::from_ref(&target), &settings()).remove(0);
    assert_eq!(probed.outcome(), Outcome::Ok, "{probed:?}");
    assert_eq!(probed.steps[0].name.name(), "dns");
    assert!(
        probed.steps[0]
            .message
            .split(", ")
            .any(|address| address.parse() == Ok(SocketAddr::from(([127, 0, 0, 1], 0)).ip()))
    );
}
