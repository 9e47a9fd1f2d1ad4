//! A real mail server on this machine: Dovecot (IMAP, POP3, LMTP) and Postfix (SMTP), whose accounts are rows of
//! one SQLite file. Each `Stack` is a pair of its own in a folder of its own, and goes with the test.
//!
//! A shell watches the two and holds a pipe to this process, as it does for PostgreSQL: they end with the tests even
//! if those are killed.

mod configuration;
mod tls;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

/// Machines of CI are slow, and Postfix makes its folders first.
const START: Duration = Duration::from_secs(30);

/// How a stack differs from one where everything is well.
#[derive(Clone, Debug)]
pub struct Setup {
    /// A SQLite file with the tables, or views, of `mail/schema.sql`. Both servers must be able to write the file and
    /// its folder, for WAL. `None`: one of its own.
    pub store: Option<PathBuf>,
    /// Where it listens. Dovecot takes a client with the server's own address for secure: whoever connects from this
    /// machine to 127.0.0.1 is one, to 127.0.0.2 (still as 127.0.0.1) is not.
    pub listen: IpAddr,
    /// No password is taken on a connection without TLS.
    pub tls_only: bool,
    pub certificate: Certificate,
    /// The submission port takes no mail without TLS.
    pub submission_needs_tls: bool,
    /// How long a POP3 login lets its address send.
    pub pop_before_smtp_seconds: u32,
    /// How long Dovecot waits before it refuses a login; by default 2.
    pub fail_delay_seconds: u32,
    /// SASL mechanisms of all protocols, in Dovecot's words.
    pub mechanisms: &'static str,
    /// Bytes that a message may have.
    pub message_size_limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and the address that is listened at, of the authority in `Stack::ca`.
    Good,
    Expired,
    NotYet,
    /// Good for a week more.
    Ending,
    /// Of the same authority, for `mail.example.net`.
    OtherName,
    SelfSigned,
    /// TLS is not offered, and nobody listens at its ports.
    None,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            store: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            tls_only: false,
            certificate: Certificate::Good,
            submission_needs_tls: false,
            pop_before_smtp_seconds: 600,
            fail_delay_seconds: 0,
            mechanisms: "plain login cram-md5 digest-md5 apop scram-sha-256",
            message_size_limit: 10_240_000,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub smtp: u16,
    pub submission: u16,
    pub smtps: u16,
    pub imap: u16,
    pub imaps: u16,
    pub pop3: u16,
    pub pop3s: u16,
    pub lmtp: u16,
}

impl Ports {
    /// Ports that are free now; nothing keeps them so.
    fn free(listen: IpAddr) -> Ports {
        // All are held until the last is known, so that no two are the same.
        let held: Vec<TcpListener> = (0..8).map(|_| TcpListener::bind((listen, 0)).unwrap()).collect();
        let port = |i: usize| held[i].local_addr().unwrap().port();
        Ports {
            smtp: port(0),
            submission: port(1),
            smtps: port(2),
            imap: port(3),
            imaps: port(4),
            pop3: port(5),
            pop3s: port(6),
            lmtp: port(7),
        }
    }
}

/// How often somebody's password reached the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logins {
    pub taken: usize,
    pub refused: usize,
}

/// A running mail server.
pub struct Stack {
    pub ports: Ports,
    pub setup: Setup,
    root: PathBuf,
    ca: PathBuf,
    store: PathBuf,
    watch: Child,
}

impl Stack {
    /// Starts both servers and waits until they listen.
    pub fn start(setup: Setup) -> Stack {
        let id = Command::new("id").arg("-u").output().unwrap();
        assert_eq!(id.stdout.trim_ascii(), b"0", "a mail server needs root: run the tests as root, as CI does");
        for program in ["/usr/sbin/dovecot", "/usr/lib/postfix/sbin/master"] {
            assert!(Path::new(program).exists(), "no {program}: tests/run installs it");
        }
        let mut next = setup;
        for _ in 0..3 {
            let mut stack = Stack::spawn(next);
            if stack.is_up() {
                return stack;
            }
            // Somebody else may have taken a port in between.
            assert!(stack.is_port_taken(), "the mail server does not start:\n{}", stack.logs());
            next = stack.setup.clone();
        }
        panic!("the mail server finds no free ports");
    }

    fn spawn(setup: Setup) -> Stack {
        // Short, whatever TMPDIR says: the path of a Unix socket has 107 bytes at most.
        let root = tempfile::Builder::new().prefix("yb").tempdir_in("/tmp").unwrap().keep();
        let ports = Ports::free(setup.listen);
        let store = setup.store.clone().unwrap_or_else(|| root.join("db/mail.db"));
        configuration::write(&root, &setup, &ports, &store);
        let ca = tls::write(&root.join("tls"), &setup);
        let mut watch = Command::new("sh")
            .args(["-c", include_str!("mail/watch.sh"), "sh", root.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(watch.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Stack { ports, setup, root, ca, store, watch }
    }

    fn is_up(&mut self) -> bool {
        let Ports { smtp, submission, smtps, imap, imaps, pop3, pop3s, lmtp } = self.ports;
        // Postfix comes last: its services die where they do not find Dovecot's.
        let mut ports = vec![imap, pop3, lmtp, smtp, submission];
        if self.setup.certificate != Certificate::None {
            ports.extend([imaps, pop3s, smtps]);
        }
        let start = Instant::now();
        for port in ports {
            while TcpStream::connect((self.setup.listen, port)).is_err() {
                if self.is_port_taken() || start.elapsed() > START || self.watch.try_wait().unwrap().is_some() {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        true
    }

    fn is_port_taken(&self) -> bool {
        self.logs().contains("Address already in use")
    }

    /// The authority of its certificate, in PEM.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Into the store: both servers see what is committed at once.
    pub fn sql(&self, sql: &str) {
        let store = Connection::open(&self.store).unwrap();
        store.busy_timeout(Duration::from_secs(10)).unwrap();
        store.execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// An account that can log in with each mechanism. The hash is as cheap as it gets.
    pub fn account(&self, address: &str, password: &str) {
        let domain = address.rsplit_once('@').unwrap().1;
        let hash = BASE64_STANDARD.encode(Sha256::digest(password.as_bytes()));
        let quoted = password.replace('\'', "''");
        self.sql(&format!(
            "BEGIN IMMEDIATE; INSERT OR IGNORE INTO domain VALUES ('{domain}');
             INSERT OR REPLACE INTO account (address, password, shared_secret)
               VALUES ('{address}', '{{SHA256}}{hash}', '{{PLAIN}}{quoted}'); COMMIT;"
        ));
    }

    /// All that both servers have logged.
    pub fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = match std::fs::read_dir(self.root.join("log")) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => Vec::new(),
        };
        files.sort();
        files.iter().map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()).collect()
    }

    /// Of each user, how many logins have been decided so far, over all protocols.
    pub fn logins(&self) -> BTreeMap<String, Logins> {
        let log = self.settled_log();
        let mut logins = BTreeMap::<String, Logins>::new();
        for line in log.lines() {
            let Some((_, answer)) = line.split_once("client passdb out: ") else { continue };
            let mut words = answer.split('\t');
            let verdict = words.next();
            let Some(user) = words.find_map(|word| word.strip_prefix("user=")) else { continue };
            let count = logins.entry(user.to_owned()).or_default();
            match verdict {
                Some("OK") => count.taken += 1,
                Some("FAIL") => count.refused += 1,
                _ => {}
            }
        }
        logins
    }

    /// What Dovecot has logged until now. Answers go out before their lines are in the file, but all lines of the
    /// one process that decides about logins go there in their order: a question of our own comes behind them.
    fn settled_log(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let mark = format!("mark-{}@tests.invalid", COUNT.fetch_add(1, Ordering::Relaxed));
        let configuration = self.root.join("etc/dovecot/dovecot.conf");
        let mut doveadm = Command::new("doveadm");
        doveadm.arg("-c").arg(configuration).args(["auth", "lookup", &mark]).output().unwrap();
        let start = Instant::now();
        loop {
            let bytes = std::fs::read(self.root.join("log/dovecot.log")).unwrap();
            let log = String::from_utf8_lossy(&bytes).into_owned();
            // Its workers say of it, too, in an order of their own.
            if log.lines().any(|line| line.contains("auth: Debug: master in: ") && line.contains(&mark)) {
                return log;
            }
            assert!(start.elapsed() < START, "Dovecot does not log:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Into the mailbox, with a new header; it lies there when this returns.
    pub fn deliver(&self, to: &str, body: &str) {
        let stream = TcpStream::connect((self.setup.listen, self.ports.lmtp)).unwrap();
        stream.set_read_timeout(Some(START)).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let message = format!("From: <sender@outside.test>\r\nTo: <{to}>\r\nSubject: test\r\n\r\n{body}\r\n.");
        let recipient = format!("RCPT TO:<{to}>");
        let lines = ["LHLO localhost", "MAIL FROM:<sender@outside.test>", &recipient, "DATA", &message];
        for (line, expected) in
            [None].into_iter().chain(lines.map(Some)).zip(["220", "250", "250", "250", "354", "250"])
        {
            if let Some(line) = line {
                (&stream).write_all(format!("{line}\r\n").as_bytes()).unwrap();
            }
            let said = answer(&mut reader);
            assert!(said.starts_with(expected), "{said}");
        }
    }

    /// The messages that lie in somebody's INBOX.
    pub fn messages(&self, address: &str) -> Vec<String> {
        let (local, domain) = address.split_once('@').unwrap();
        let mailbox = self.root.join("mail").join(domain).join(local).join("Maildir");
        let entries = ["new", "cur"].map(|folder| std::fs::read_dir(mailbox.join(folder)));
        let files = entries.into_iter().flatten().flatten().flatten();
        files.map(|file| String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned()).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// An answer of LMTP or SMTP: its last line has a blank behind the code.
fn answer(reader: &mut impl BufRead) -> String {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the server closes: {said}");
        said.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return said;
        }
    }
}
