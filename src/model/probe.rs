//! What a probe asks of a server, and what comes of it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Address, Clear, Place};

/// A message is sent to whoever sends it.
pub const ONESELF: &str = "self";

/// Whether a message may be sent to this: `self`, or a mail address that no command of SMTP could take for more.
pub fn is_recipient(word: &str) -> bool {
    let is_address = word.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let plain = !word.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>'));
    word == ONESELF || (is_address && plain)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Imap,
    Pop3,
    Smtp,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Smtp => "smtp",
        }
    }

    /// The port that is taken where none is declared, as the products do (000:119, 004:68).
    pub fn port(self, security: Security) -> u16 {
        match (self, security) {
            (Protocol::Imap, Security::ImplicitTls) => 993,
            (Protocol::Imap, _) => 143,
            (Protocol::Pop3, Security::ImplicitTls) => 995,
            (Protocol::Pop3, _) => 110,
            (Protocol::Smtp, Security::ImplicitTls) => 465,
            (Protocol::Smtp, _) => 25,
        }
    }

    /// As people write it.
    pub fn title(self) -> &'static str {
        match self {
            Protocol::Imap => "IMAP",
            Protocol::Pop3 => "POP3",
            Protocol::Smtp => "SMTP",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    None,
    StartTls,
    ImplicitTls,
}

impl Security {
    pub const ALL: [Security; 3] = [Security::None, Security::StartTls, Security::ImplicitTls];

    /// By its word in the files; none where there is no word.
    pub fn of(word: Option<&str>) -> Security {
        Security::ALL.into_iter().find(|security| Some(security.name()) == word).unwrap_or(Security::None)
    }

    /// The word in the files.
    pub fn name(self) -> &'static str {
        match self {
            Security::None => "none",
            Security::StartTls => "starttls",
            Security::ImplicitTls => "implicit_tls",
        }
    }
}

/// How the password is shown to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// The best one that the server offers.
    Auto,
    Login,
    Plain,
    CramMd5,
    /// POP3 only.
    Apop,
}

impl Mechanism {
    /// The word in the files, but for APOP, which is a switch there.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Auto => "auto",
            Mechanism::Login => "login",
            Mechanism::Plain => "plain",
            Mechanism::CramMd5 => "cram-md5",
            Mechanism::Apop => "apop",
        }
    }
}

/// Who logs in.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Nobody: a server alone, or sending without authentication.
    Nobody,
    /// Somebody who is declared not to log in this way; the switch that says so.
    Off(&'static str),
    /// Somebody who cannot log in: why, and what to declare, where that would change it.
    Without {
        why: String,
        hint: Option<&'static str>,
    },
    User {
        name: String,
        password: Arc<Clear>,
        mechanism: Mechanism,
        fields: Fields,
    },
}

/// Where user and password are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    pub user: &'static str,
    pub password: &'static str,
    /// Those of the server that the resource refers to, not its own.
    pub of_server: bool,
}

/// One server that one resource uses, one way.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: Address,
    pub protocol: Protocol,
    /// Name or IP address.
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub entry: Entry,
    /// IMAP: the folder that must be there, beside INBOX.
    pub folder: Option<String>,
    /// POP3: whether the UIDL command must be there.
    pub uidl: bool,
    /// SMTP: bytes that a message may have by what is declared.
    pub size: Option<u64>,
    /// SMTP: a login for receiving that must come first, and the wait behind it.
    pub before: Option<Box<(Target, Duration)>>,
    /// SMTP: the message to send.
    pub send: Option<Send>,
}

#[derive(Clone, Debug)]
pub struct Send {
    pub from: String,
    pub to: String,
    /// Where it should arrive, if that mailbox is one that can be looked into.
    pub back: Option<Box<Target>>,
}

/// Where passwords may be sent: `probe.hosts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(pub Vec<HostRule>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// Lower case; with `*.` in front, every name below it, and not the name itself.
    pub name: String,
    pub port: Option<u16>,
}

impl Hosts {
    pub fn allow(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|rule| {
            let named = match rule.name.strip_prefix('*') {
                Some(below) => host.len() > below.len() && host.ends_with(below),
                None => host == rule.name,
            };
            named && rule.port.is_none_or(|only| only == port)
        })
    }
}

/// A file of certificates in PEM, and where it is named.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// Relative to the project, or absolute.
    pub path: PathBuf,
    pub file: String,
    pub place: Place,
}

/// `probe:` of a project.
#[derive(Clone, Debug)]
pub struct Probing {
    /// But for the certificates of authorities, which stand in `authorities`.
    pub settings: Settings,
    pub authorities: Option<Authorities>,
    /// How old evidence may be.
    pub valid: Duration,
}

impl Default for Probing {
    fn default() -> Probing {
        Probing { settings: Settings::default(), authorities: None, valid: Duration::from_secs(24 * 3600) }
    }
}

/// `policy.probe`: what a plan without good evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Demand {
    #[default]
    Off,
    Warn,
    Require,
}

/// How servers are asked.
#[derive(Clone, Debug)]
pub struct Settings {
    pub hosts: Hosts,
    /// Connections at once.
    pub parallel: usize,
    /// For each answer of a server.
    pub timeout: Duration,
    /// Refused logins of one user at one host, after which nobody tries that user there again in this run.
    pub attempts: u32,
    /// Certificates of authorities in PEM, trusted beside those of the system.
    pub authorities: Option<Vec<u8>>,
    /// Asked instead of the system's resolver.
    pub nameserver: Option<SocketAddr>,
    /// How long a message may take to arrive.
    pub arrival: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hosts: Hosts::default(),
            parallel: 8,
            // Servers answer a refused login after two seconds, then after six, and more under load.
            timeout: Duration::from_secs(20),
            attempts: 1,
            authorities: None,
            nameserver: None,
            arrival: Duration::from_secs(60),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepName {
    /// Whether the host is one that may be probed.
    Allowed,
    Dns,
    Connect,
    Tls,
    Greeting,
    Starttls,
    Capabilities,
    Login,
    Mailbox,
    Uidl,
    Size,
    /// The login for receiving before sending, and its wait.
    PopBeforeSmtp,
    Send,
    Fetch,
}

impl StepName {
    pub fn name(self) -> &'static str {
        match self {
            StepName::Allowed => "allowed",
            StepName::Dns => "dns",
            StepName::Connect => "connect",
            StepName::Tls => "tls",
            StepName::Greeting => "greeting",
            StepName::Starttls => "starttls",
            StepName::Capabilities => "capabilities",
            StepName::Login => "login",
            StepName::Mailbox => "mailbox",
            StepName::Uidl => "uidl",
            StepName::Size => "size",
            StepName::PopBeforeSmtp => "pop_before_smtp",
            StepName::Send => "send",
            StepName::Fetch => "fetch",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    /// Not asked, and nothing is known to be wrong.
    Skipped,
    Warning,
    Failed,
}

impl Outcome {
    pub const ALL: [Outcome; 4] = [Outcome::Ok, Outcome::Skipped, Outcome::Warning, Outcome::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Skipped => "skipped",
            Outcome::Warning => "warning",
            Outcome::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: StepName,
    pub outcome: Outcome,
    /// `probe/what-is-wrong`; `None` of what is well.
    pub code: Option<&'static str>,
    pub message: String,
    /// What the server said: all its lines as one, printable, without anything that was sent to it as a secret.
    pub said: Option<String>,
    /// What to change.
    pub hint: Option<String>,
    pub took: Duration,
}

/// What came of a target.
#[derive(Clone, Debug)]
pub struct Probed {
    pub address: Address,
    pub protocol: Protocol,
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Who logged in, or tried to.
    pub user: Option<String>,
    pub steps: Vec<Step>,
}

impl Probed {
    /// The worst of its steps.
    pub fn outcome(&self) -> Outcome {
        self.steps.iter().map(|step| step.outcome).max().unwrap_or(Outcome::Skipped)
    }
}

/// Why there is no good evidence for what a plan wants of a server. Times are RFC 3339, UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    Never,
    /// It was good, and is too old.
    Old(String),
    /// The last probe has failed: when, and with which code.
    Failed(String, String),
}

impl Lack {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Lack::Never | Lack::Old(_) => "`--probe` probes it now",
            // Another try with the same password is one more refusal.
            Lack::Failed(..) => "mend that first: `yubin probe` says what to change",
        }
    }
}

/// A target without good evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    pub address: Address,
    /// `imap mail.example.jp:993`.
    pub server: String,
    pub lack: Lack,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unproven { address, server, lack } = self;
        match lack {
            Lack::Never => write!(f, "`{address}` was never probed as it is declared at {server}"),
            Lack::Old(at) => write!(f, "`{address}` was probed at {server} too long ago, at {at}"),
            Lack::Failed(at, code) => write!(f, "`{address}` failed its last probe at {server}, at {at}: {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_to_hosts_that_are_named() {
        let rule = |name: &str, port| HostRule { name: name.to_owned(), port };
        let hosts =
            Hosts(vec![rule("mail.example.jp", None), rule("*.example.com", Some(993)), rule("192.0.2.1", None)]);
        for (host, port, expected) in [
            ("mail.example.jp", 25, true),
            ("MAIL.example.jp.", 25, true),
            ("mail.example.jp.example.net", 25, false),
            ("xmail.example.jp", 25, false),
            ("a.example.com", 993, true),
            ("a.b.example.com", 993, true),
            ("a.example.com", 143, false),
            ("example.com", 993, false),
            (".example.com", 993, false),
            ("aexample.com", 993, false),
            ("192.0.2.1", 1, true),
            ("192.0.2.10", 1, false),
        ] {
            assert_eq!(hosts.allow(host, port), expected, "{host}:{port}");
        }
        assert!(!Hosts::default().allow("mail.example.jp", 25));
    }
}
