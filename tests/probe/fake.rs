//! A server that says what a test tells it to, and counts who comes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Instead of an answer: the connection ends, or nothing more is ever said.
pub const CLOSE: &str = "\0close";
pub const SILENCE: &str = "\0silence";

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    logins: AtomicUsize,
    ended: AtomicBool,
    heard: Mutex<Vec<String>>,
}

/// What is said: at first, and to commands. `%` is the tag of an IMAP command.
#[derive(Clone, Copy)]
pub struct Script {
    pub greeting: &'static str,
    /// The first whose words begin the command, behind its tag for IMAP, answers it. Nothing fits: `otherwise`.
    pub answers: &'static [(&'static str, &'static str)],
    pub otherwise: &'static str,
    pub has_tags: bool,
    /// Before each answer.
    pub delay: Duration,
}

pub struct Fake {
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

impl Fake {
    pub fn start(script: Script) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake { address: listener.local_addr().unwrap(), counts: Arc::default() };
        let counts = Arc::clone(&fake.counts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if counts.ended.load(Ordering::SeqCst) {
                    return;
                }
                let counts = Arc::clone(&counts);
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
                counts.most.fetch_max(now, Ordering::SeqCst);
                std::thread::spawn(move || {
                    if let Ok(stream) = stream {
                        // A client that goes away is no concern of the server's.
                        let _ = script.serve(&stream, &counts);
                    }
                    counts.now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        fake
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// The most connections that there were at once.
    pub fn most(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }

    /// All lines so far.
    pub fn heard(&self) -> Vec<String> {
        self.counts.heard.lock().unwrap().clone()
    }

    /// Commands that log in.
    pub fn logins(&self) -> usize {
        self.counts.logins.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.counts.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Script {
    fn serve(self, stream: &TcpStream, counts: &Counts) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        if !say(stream, &mut reader, self.greeting)? {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            counts.heard.lock().unwrap().push(line.trim_end().to_owned());
            let (tag, command) = match line.trim_end().split_once(' ') {
                Some((tag, command)) if self.has_tags => (tag, command),
                _ => ("", line.trim_end()),
            };
            let folded = command.to_ascii_uppercase();
            if ["LOGIN ", "AUTHENTICATE ", "PASS ", "APOP ", "AUTH "].iter().any(|verb| folded.starts_with(verb)) {
                counts.logins.fetch_add(1, Ordering::SeqCst);
            }
            if folded.starts_with("LOGOUT") || folded.starts_with("QUIT") {
                return Ok(());
            }
            let fitting = self.answers.iter().find(|(words, _)| folded.starts_with(words));
            let answer = fitting.map_or(self.otherwise, |(_, answer)| answer);
            // A server that shows what it was told.
            let answer = answer.replace('%', tag).replace("$LINE", line.trim_end());
            std::thread::sleep(self.delay);
            if !say(stream, &mut reader, &answer)? {
                return Ok(());
            }
            line.clear();
        }
        Ok(())
    }
}

/// Whether it goes on.
fn say(mut stream: &TcpStream, reader: &mut impl BufRead, text: &str) -> std::io::Result<bool> {
    match text {
        CLOSE => Ok(false),
        SILENCE => {
            // Until the client has had enough.
            std::io::copy(reader, &mut std::io::sink())?;
            Ok(false)
        }
        _ => {
            stream.write_all(text.as_bytes())?;
            Ok(true)
        }
    }
}

/// A port that takes no more connections, and refuses none: as behind a firewall.
pub struct BlackHole {
    pub address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    pub fn open() -> BlackHole {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let (listener, address) = {
            let _entered = runtime.enter();
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(1).unwrap();
            let address = listener.local_addr().unwrap();
            (listener, address)
        };
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(stream);
            assert!(waiting.len() < 20, "the port takes every connection");
        }
        BlackHole { address, _runtime: runtime, _listener: listener, _waiting: waiting }
    }
}
