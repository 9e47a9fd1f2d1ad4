//! Just enough of IMAP, POP3 and SMTP to log in.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::support::mail::Ports;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Imap,
    Pop3,
    Smtp,
}

impl Protocol {
    pub const ALL: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];

    fn port(self, ports: &Ports) -> u16 {
        match self {
            Protocol::Imap => ports.imap,
            Protocol::Pop3 => ports.pop3,
            Protocol::Smtp => ports.submission,
        }
    }
}

/// What became of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    In,
    Refused,
    /// Neither: what was said, or that nothing was.
    Broken(String),
}

pub struct Line {
    reader: BufReader<TcpStream>,
}

impl Line {
    fn open(ports: &Ports, protocol: Protocol) -> std::io::Result<Line> {
        let stream = TcpStream::connect(("127.0.0.1", protocol.port(ports)))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Line { reader: BufReader::new(stream) })
    }

    fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.reader.get_mut().write_all(format!("{text}\r\n").as_bytes())
    }

    /// The next line; empty where the server has closed.
    fn next(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        Ok(line)
    }

    /// The first line with this mark: the tag of IMAP, or the last line of SMTP.
    fn until(&mut self, is_last: impl Fn(&str) -> bool) -> std::io::Result<(String, String)> {
        let mut all = String::new();
        loop {
            let line = self.next()?;
            if line.is_empty() || is_last(&line) {
                return Ok((all, line));
            }
            all.push_str(&line);
        }
    }

    /// An answer of SMTP.
    fn reply(&mut self) -> std::io::Result<String> {
        Ok(self.until(|line| line.as_bytes().get(3) != Some(&b'-'))?.1)
    }

    /// An answer of IMAP to one command: what stands before its last line.
    pub fn ask(&mut self, command: &str) -> String {
        self.send(&format!("x {command}")).unwrap();
        let (told, last) = self.until(|line| line.starts_with("x ")).unwrap();
        assert!(last.starts_with("x OK"), "{command}: {last}");
        told
    }

    fn log_in(&mut self, protocol: Protocol, user: &str, password: &str) -> std::io::Result<(bool, String)> {
        let (good, said) = match protocol {
            Protocol::Imap => {
                self.next()?;
                self.send(&format!("a LOGIN {user} {password}"))?;
                ("a OK", self.until(|line| line.starts_with("a "))?.1)
            }
            Protocol::Pop3 => {
                self.next()?;
                self.send(&format!("USER {user}"))?;
                self.next()?;
                self.send(&format!("PASS {password}"))?;
                ("+OK", self.next()?)
            }
            Protocol::Smtp => {
                self.reply()?;
                self.send("EHLO localhost")?;
                self.reply()?;
                let token = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
                self.send(&format!("AUTH PLAIN {token}"))?;
                ("235", self.reply()?)
            }
        };
        Ok((said.starts_with(good), said))
    }
}

/// Logs in; the line is open then.
pub fn session(ports: &Ports, protocol: Protocol, user: &str, password: &str) -> Result<Line, Login> {
    let broken = |error: std::io::Error| Login::Broken(error.to_string());
    let mut line = Line::open(ports, protocol).map_err(broken)?;
    let (is_in, said) = line.log_in(protocol, user, password).map_err(broken)?;
    let refusals = ["a NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]", "535 5.7.8"];
    match is_in {
        true => Ok(line),
        false if refusals.iter().any(|refusal| said.starts_with(refusal)) && !said.contains("emporary") => {
            Err(Login::Refused)
        }
        false => Err(Login::Broken(said)),
    }
}

pub fn login(ports: &Ports, protocol: Protocol, user: &str, password: &str) -> Login {
    match session(ports, protocol, user, password) {
        Ok(mut line) => {
            // Who only closes is logged as one who was cut off.
            let _ = line.send(if protocol == Protocol::Imap { "z LOGOUT" } else { "QUIT" });
            let _ = line.next();
            Login::In
        }
        Err(other) => other,
    }
}

/// Sends a message over the submission port; the last answer of the server.
pub fn submit(ports: &Ports, from: &str, password: &str, to: &str, subject: &str) -> String {
    let mut line = session(ports, Protocol::Smtp, from, password).unwrap_or_else(|login| panic!("{login:?}"));
    let message = format!("From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\r\nhello\r\n.");
    let mut said = String::new();
    for command in [&format!("MAIL FROM:<{from}>"), &format!("RCPT TO:<{to}>"), "DATA", &message] {
        line.send(command).unwrap();
        said = line.reply().unwrap();
        if !said.starts_with(['2', '3']) {
            break;
        }
    }
    said.trim_end().to_owned()
}
