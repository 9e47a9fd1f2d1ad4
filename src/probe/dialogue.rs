//! A dialogue of lines over any stream, with bounds: on a line, on an answer, and in time. What comes from a server is
//! never trusted to end.

use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::finding::Finding;
use super::reply::Reply;
use super::secrets::{Secrets, Shown};

/// Bytes of a line. RFC 5321 and 2449 ask for 512, IMAP for 8,192.
const LINE: usize = 64 * 1024;
/// Bytes of an answer: the folders of a mailbox, the headers of a message.
const ANSWER: usize = 512 * 1024;

/// A connection to a server.
pub trait Stream: Read + Write {
    /// Reading and writing fail from then on, with `TimedOut`.
    fn until(&mut self, deadline: Instant);
    /// The handshake of TLS over what is there. What the step says: which version, or what is wrong.
    fn encrypt(&mut self, secrets: &Secrets) -> Result<Finding, Finding>;
    fn is_encrypted(&self) -> bool;
    /// By a connection of its own: what the same port says to one who begins with TLS.
    fn greets_with_tls(&mut self, within: Duration) -> Option<String>;
    /// The address here, which a client tells by `EHLO`.
    fn own_address(&self) -> Option<IpAddr>;
    /// Whether the server is this machine.
    fn is_local(&self) -> bool;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    Closed,
    /// Nothing, or not all of it, within the time.
    Silent,
    /// More than anyone needs.
    Endless,
    Other(ErrorKind),
}

impl Broken {
    /// As what came of `asked`, a greeting or the answer to a command.
    pub fn finding(&self, asked: &str, within: Duration) -> Finding {
        match self {
            Broken::Closed => {
                Finding::failed("probe/closed", format!("the server closed the connection: there is no {asked}"))
                    .hint("look at the server's log")
            }
            Broken::Silent => Finding::failed(
                "probe/timeout",
                format!("the {asked} was not complete within {} s", within.as_secs_f32()),
            )
            .hint("look at the server's load and log; `probe.timeout` says how long an answer may take"),
            Broken::Endless => {
                Finding::failed("probe/protocol", format!("the {asked} does not end within {} KiB", ANSWER / 1024))
                    .hint("look at what listens at this port")
            }
            Broken::Other(kind) => {
                Finding::failed("probe/closed", format!("the connection broke off: there is no {asked} ({kind})"))
                    .hint("look at the server's log, and at what stands between")
            }
        }
    }
}

pub struct Dialogue<'a, S> {
    pub stream: S,
    pub secrets: &'a Secrets,
    /// For an answer.
    pub timeout: Duration,
    /// Of all that is said over this connection.
    overall: Instant,
    buffer: Vec<u8>,
    at: usize,
    /// Bytes of this answer.
    taken: usize,
    /// What was asked last, as it may be told.
    asked: String,
}

impl<'a, S: Stream> Dialogue<'a, S> {
    pub fn new(stream: S, secrets: &'a Secrets, timeout: Duration, overall: Instant) -> Dialogue<'a, S> {
        let asked = "greeting".to_owned();
        let mut dialogue = Dialogue { stream, secrets, timeout, overall, buffer: Vec::new(), at: 0, taken: 0, asked };
        dialogue.within(timeout);
        dialogue
    }

    /// From now on, this long, but never beyond what the whole may take.
    pub fn within(&mut self, time: Duration) {
        self.taken = 0;
        self.stream.until((Instant::now() + time).min(self.overall));
    }

    /// Sends a line, and gives the server time to answer it. `asked` is how the command is called.
    pub fn say(&mut self, asked: &str, line: &str) -> Result<(), Finding> {
        self.asked = format!("answer to {asked}");
        self.send(line.as_bytes())
    }

    /// The same of a line with a secret.
    pub fn say_secret(&mut self, asked: &str, line: &Zeroizing<Vec<u8>>) -> Result<(), Finding> {
        self.asked = format!("answer to {asked}");
        self.send(line)
    }

    fn send(&mut self, line: &[u8]) -> Result<(), Finding> {
        let whole = Zeroizing::new([line, b"\r\n"].concat());
        self.within(self.timeout);
        let sent = self.stream.write_all(&whole).and_then(|()| self.stream.flush());
        match sent {
            // What the server said before it closed is still there to be read.
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            Err(error) => Err(self.broken(&broken(error.kind()))),
        }
    }

    pub fn broken(&self, broken: &Broken) -> Finding {
        broken.finding(&self.asked, self.timeout)
    }

    /// What is not the protocol.
    pub fn odd(&self, said: Shown) -> Finding {
        let message = format!("the {} is not what the protocol has there", self.asked);
        Finding::failed("probe/protocol", message).said(said).hint("look at what the server said")
    }

    pub fn shown(&self, said: &str) -> Shown {
        self.secrets.shown(said)
    }

    /// An answer. What it repeats over several lines has their numbers between.
    pub fn told(&self, reply: &Reply) -> Shown {
        self.secrets.shown_unless(&reply.text(), &reply.said())
    }

    pub fn line(&mut self) -> Result<String, Finding> {
        self.read_line().map_err(|fault| self.broken(&fault))
    }

    /// One line, without its end.
    pub fn read_line(&mut self) -> Result<String, Broken> {
        let mut searched = self.at;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[searched..]).map(|end| searched + end) {
                let line = &self.buffer[self.at..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let text = String::from_utf8_lossy(line).into_owned();
                self.count(end + 1 - self.at)?;
                self.at = end + 1;
                return Ok(text);
            }
            searched = self.buffer.len();
            if self.buffer.len() - self.at > LINE {
                return Err(Broken::Endless);
            }
            let before = self.at;
            self.fill()?;
            searched -= before - self.at;
        }
    }

    /// Bytes of a literal.
    pub fn read_exact(&mut self, bytes: usize) -> Result<String, Broken> {
        if bytes > ANSWER {
            return Err(Broken::Endless);
        }
        while self.buffer.len() - self.at < bytes {
            self.fill()?;
        }
        self.count(bytes)?;
        let text = String::from_utf8_lossy(&self.buffer[self.at..self.at + bytes]).into_owned();
        self.at += bytes;
        Ok(text)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Broken> {
        self.taken += bytes;
        if self.taken > ANSWER { Err(Broken::Endless) } else { Ok(()) }
    }

    fn fill(&mut self) -> Result<(), Broken> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(Broken::Closed),
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error.kind())),
            }
        }
    }

    /// What was received, and belongs to no answer yet.
    pub fn is_ahead(&self) -> bool {
        self.at < self.buffer.len()
    }

    /// What came without an end of line.
    pub fn rest(&self) -> String {
        String::from_utf8_lossy(&self.buffer[self.at..]).into_owned()
    }
}

fn broken(kind: ErrorKind) -> Broken {
    match kind {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Broken::Silent,
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => Broken::Closed,
        kind => Broken::Other(kind),
    }
}
