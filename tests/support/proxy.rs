//! A wire between a client and a server, which keeps all that goes over it, and can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a connection is cut, in bytes over all connections since the start. It happens once.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    Never,
    /// Of what the client sends.
    Request(usize),
    /// Of what the server answers.
    Answer(usize),
    /// Each connection anew, as often as it gets there.
    EveryAnswer(usize),
}

/// The bytes of a connection, each way.
#[derive(Clone, Default)]
pub struct Talk {
    pub up: Vec<u8>,
    pub down: Vec<u8>,
}

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    cut: Cut,
    is_cut: AtomicBool,
    stopped: AtomicBool,
    sent: AtomicUsize,
    answered: AtomicUsize,
    talks: Mutex<Vec<Talk>>,
}

impl Proxy {
    pub fn new(server: SocketAddr) -> Proxy {
        Proxy::cutting(server, Cut::Never)
    }

    pub fn cutting(server: SocketAddr, cut: Cut) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            cut,
            is_cut: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            talks: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(client) = client else { continue };
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.join(&client));
            }
        });
        Proxy { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether the cut has happened.
    pub fn is_cut(&self) -> bool {
        self.shared.is_cut.load(Ordering::SeqCst)
    }

    /// Bytes so far: sent, and answered.
    pub fn count(&self) -> (usize, usize) {
        (self.shared.sent.load(Ordering::SeqCst), self.shared.answered.load(Ordering::SeqCst))
    }

    /// What each connection has carried so far.
    pub fn talks(&self) -> Vec<Talk> {
        self.shared.talks.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the one who accepts.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Shared {
    fn join(&self, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else {
            let _ = client.shutdown(Shutdown::Both);
            return;
        };
        let number = {
            let mut talks = self.talks.lock().unwrap();
            talks.push(Talk::default());
            talks.len() - 1
        };
        for one in [client, &server] {
            let _ = one.set_nodelay(true);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| self.pump(client, &server, number, true));
            scope.spawn(|| self.pump(&server, client, number, false));
        });
    }

    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, number: usize, up: bool) {
        let mut buffer = vec![0; 16 * 1024];
        let mut own = 0;
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let total = if up { &self.sent } else { &self.answered };
            let before = total.fetch_add(count, Ordering::SeqCst);
            let limit = match self.cut {
                Cut::Request(at) if up && !self.is_cut() => at.checked_sub(before),
                Cut::Answer(at) if !up && !self.is_cut() => at.checked_sub(before),
                Cut::EveryAnswer(at) if !up => at.checked_sub(own),
                _ => None,
            };
            own += count;
            let passed = limit.filter(|limit| *limit < count);
            let bytes = &buffer[..passed.unwrap_or(count)];
            if to.write_all(bytes).is_err() {
                break;
            }
            let mut talks = self.talks.lock().unwrap();
            let talk = if up { &mut talks[number].up } else { &mut talks[number].down };
            talk.extend_from_slice(bytes);
            drop(talks);
            if passed.is_some() {
                self.is_cut.store(true, Ordering::SeqCst);
                // Both ways at once, as when a cable is pulled.
                for one in [from, to] {
                    let _ = one.shutdown(Shutdown::Both);
                }
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        if !up {
            let _ = from.shutdown(Shutdown::Both);
        }
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }
}

/// A message of HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Message {
    /// First line and headers, as they stand there.
    pub head: String,
    /// As it was before it was compressed and cut into chunks.
    pub body: Vec<u8>,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The first word of the first line, and the second.
    pub fn start(&self) -> (&str, &str) {
        let mut words = self.head.split_whitespace();
        (words.next().unwrap_or(""), words.next().unwrap_or(""))
    }
}

/// The messages that stand one behind the other; the last may be cut.
pub fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 4..];
        let mut message = Message { head, body: Vec::new() };
        let (first, second) = message.start();
        let bodiless = first.starts_with("HTTP/") && (second.starts_with('1') || second == "204" || second == "304");
        let length = message.header("content-length").map(|text| text.parse::<usize>().unwrap());
        let mut body = Vec::new();
        if message.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            bytes = unchunk(bytes, &mut body);
        } else if let Some(length) = length.filter(|_| !bodiless) {
            let (this, rest) = bytes.split_at(length.min(bytes.len()));
            body.extend_from_slice(this);
            bytes = rest;
        }
        message.body = match message.header("content-encoding") {
            Some(encoding) => decoded(encoding, &body),
            None => body,
        };
        all.push(message);
    }
    all
}

/// Takes the chunks from the front; what is left.
fn unchunk<'a>(mut bytes: &'a [u8], body: &mut Vec<u8>) -> &'a [u8] {
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap().split(';').next().unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        bytes = &bytes[end + 2..];
        let (this, rest) = bytes.split_at(size.min(bytes.len()));
        body.extend_from_slice(this);
        bytes = rest.get(2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    bytes
}

/// Undoes a compression: whatever was compressed, the client of these tests can read it.
fn decoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        });
        let mut found = Vec::new();
        // What was cut ends early.
        let _ = super::http::client().get(&url).send().unwrap().read_to_end(&mut found);
        found
    })
}
