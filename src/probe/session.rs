//! A session with one server: from its greeting to what it offers, over a connection as secure as declared.

use std::time::{Duration, Instant};

use super::dialogue::{Broken, Dialogue, Stream};
use super::finding::{Finding, Steps, Stop};
use super::greeting::{Heard, begins, finding, heard};
use super::reply::Reply;
use super::{advice, imap, pop3, sasl, smtp};
use crate::model::probe::{Protocol, Security, StepName, Target};

/// How long a first line is waited for before the port is looked at with TLS: a server that speaks TLS from the first
/// byte says nothing to those who wait.
const FIRST: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the server offers, since the connection is as it is.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Whether the server tells at all what it offers.
    pub told: bool,
    /// Each with its arguments; upper case.
    pub words: Vec<String>,
    /// Of SASL; upper case.
    pub mechanisms: Vec<String>,
    pub starttls: bool,
    /// SMTP: bytes of a message; 0 is without a limit.
    pub size: Option<u64>,
}

impl Offers {
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|one| one == word)
    }

    pub fn takes(&self, mechanism: &str) -> bool {
        self.mechanisms.iter().any(|one| one == mechanism)
    }
}

pub struct Session<'a, S> {
    pub target: &'a Target,
    pub dialogue: Dialogue<'a, S>,
    pub offers: Offers,
    /// POP3: the time stamp of the greeting, for APOP.
    pub stamp: Option<String>,
    /// IMAP: the number of the command.
    pub tag: u32,
    alive: bool,
}

impl<'a, S: Stream> Session<'a, S> {
    /// Over a connection on which nothing has been said, or whose TLS stands: greeting, offers and STARTTLS.
    pub fn open(dialogue: Dialogue<'a, S>, target: &'a Target, steps: &mut Steps) -> Result<Session<'a, S>, Stop> {
        let mut session = Session { target, dialogue, offers: Offers::default(), stamp: None, tag: 0, alive: true };
        let greeting = session.greeting();
        let line = steps.take(StepName::Greeting, greeting)?;
        session.stamp = sasl::stamp(&line).filter(|_| target.protocol == Protocol::Pop3).map(str::to_owned);
        let offers = session.ask_offers();
        steps.take(StepName::Capabilities, offers)?;
        if target.security == Security::StartTls {
            let taken = session.starttls();
            steps.take(StepName::Starttls, taken)?;
            let handshake = session.encrypt();
            steps.take(StepName::Tls, handshake)?;
            let offers = session.ask_offers();
            steps.take(StepName::Capabilities, offers)?;
        }
        Ok(session)
    }

    fn greeting(&mut self) -> Result<(String, Finding), Finding> {
        let timeout = self.dialogue.timeout;
        let begun = Instant::now();
        let mut line = if self.dialogue.stream.is_encrypted() {
            self.dialogue.read_line()
        } else {
            self.dialogue.within(FIRST.min(timeout));
            let first = self.dialogue.read_line();
            let nothing = self.dialogue.rest().is_empty();
            match first {
                Err(Broken::Silent | Broken::Closed) if nothing => {
                    if let Some(said) = self.dialogue.stream.greets_with_tls(FIRST.min(timeout)) {
                        self.alive = false;
                        let message = "the port speaks TLS from the first byte, and this connection was made without";
                        let finding = Finding::failed("probe/tls-port", message).hint(advice::tls_port(self.target));
                        return Err(finding.said(self.dialogue.shown(&said)));
                    }
                }
                _ => {}
            }
            first
        };
        if line == Err(Broken::Silent) {
            self.dialogue.within(timeout.saturating_sub(begun.elapsed()));
            line = self.dialogue.read_line();
        }
        let rest = self.dialogue.rest();
        let line = match line {
            Ok(line) => line,
            Err(Broken::Silent) if rest.is_empty() => {
                self.alive = false;
                let port = self.target.port;
                let message = format!("connected to port {port}, and nothing came within {} s", timeout.as_secs_f32());
                let hint = format!("{}, or look at the server's load", advice::port(self.target));
                return Err(Finding::failed("probe/no-greeting", message).hint(hint));
            }
            Err(Broken::Silent) if begins(self.target.protocol, &rest) => {
                self.alive = false;
                let message = format!("the first line of the server did not end within {} s", timeout.as_secs_f32());
                let hint = "look at the server's load and log; `probe.timeout` says how long an answer may take";
                return Err(Finding::failed("probe/timeout", message).said(self.dialogue.shown(&rest)).hint(hint));
            }
            Err(fault) if begins(self.target.protocol, &rest) => {
                self.alive = false;
                return Err(self.dialogue.broken(&fault).said(self.dialogue.shown(&rest)));
            }
            // A protocol without lines.
            Err(_) if !rest.is_empty() => {
                self.alive = false;
                return Err(finding(self.target, heard_other(self.target.protocol, &rest), self.dialogue.shown(&rest)));
            }
            Err(fault) => {
                self.alive = false;
                return Err(self.dialogue.broken(&fault));
            }
        };
        let first = heard(self.target.protocol, &line);
        let mut said = self.dialogue.shown(&line);
        if self.target.protocol == Protocol::Smtp && matches!(first, Heard::Ours | Heard::Refused) {
            self.dialogue.within(timeout);
            match smtp::rest_of(&mut self.dialogue, &line) {
                Ok(reply) => said = self.dialogue.told(&reply),
                // Who turns us away has said so with the first line, whatever comes of the others.
                Err(_) if first == Heard::Refused => {}
                Err(finding) => return Err(finding),
            }
        }
        if first != Heard::Ours {
            self.alive = first == Heard::Refused;
            return Err(finding(self.target, first, said));
        }
        match self.target.protocol {
            Protocol::Imap if line.get(..9).is_some_and(|word| word.eq_ignore_ascii_case("* PREAUTH")) => {
                let message = "the server takes us for logged in before anyone has logged in (PREAUTH)";
                return Err(Finding::failed("probe/protocol", message).said(said).hint(advice::port(self.target)));
            }
            Protocol::Imap | Protocol::Pop3 | Protocol::Smtp => {}
        }
        Ok((line, Finding::ok("").said(said)))
    }

    /// What was offered before is forgotten: it may have come from somebody between.
    pub fn ask_offers(&mut self) -> Result<((), Finding), Finding> {
        self.offers = Offers::default();
        self.offers = match self.target.protocol {
            Protocol::Imap => imap::offers(self),
            Protocol::Pop3 => pop3::offers(self),
            Protocol::Smtp => smtp::offers(self),
        }?;
        let message = if self.offers.told {
            self.dialogue.shown(&self.offers.words.join(", ")).to_string()
        } else {
            "the server does not tell what it offers".to_owned()
        };
        Ok(((), Finding::ok(message)))
    }

    fn starttls(&mut self) -> Result<((), Finding), Finding> {
        // Old servers for POP3 tell nothing, and are asked.
        if self.offers.told && !self.offers.starttls {
            return Err(self.starttls_missing());
        }
        let command = if self.target.protocol == Protocol::Pop3 { "STLS" } else { "STARTTLS" };
        let reply = self.ask(command, command)?;
        let said = self.dialogue.told(&reply);
        if !reply.is_done() {
            if !self.offers.told {
                return Err(self.starttls_missing().said(said));
            }
            return Err(Finding::failed("probe/starttls-refused", "the server offers STARTTLS, and refuses it")
                .said(said)
                .hint("look at the server's log: its certificate or key may be missing"));
        }
        if self.dialogue.is_ahead() {
            // It would be taken for what came encrypted (CVE-2011-0411).
            self.alive = false;
            let message =
                "behind its answer to STARTTLS the server sent more in clear, which somebody between may have";
            return Err(Finding::failed("probe/protocol", message).said(said).hint("look at what stands between"));
        }
        Ok(((), Finding::ok("").said(said)))
    }

    fn starttls_missing(&self) -> Finding {
        Finding::failed("probe/starttls-missing", "STARTTLS is declared, and the server does not offer it")
            .hint(advice::starttls_missing(self.target))
    }

    fn encrypt(&mut self) -> Result<((), Finding), Finding> {
        self.dialogue.within(self.dialogue.timeout);
        let secrets = self.dialogue.secrets;
        match self.dialogue.stream.encrypt(secrets) {
            Ok(finding) => Ok(((), finding)),
            Err(finding) => {
                self.alive = false;
                Err(finding)
            }
        }
    }

    /// Whether what the server does not offer in clear is offered with TLS: nothing secret is sent for it.
    pub fn offers_with_tls(&mut self) -> Option<Offers> {
        self.starttls().ok()?;
        self.encrypt().ok()?;
        self.ask_offers().ok()?;
        Some(self.offers.clone())
    }

    /// A command, `asked` without its arguments, and its answer.
    pub fn ask(&mut self, asked: &str, line: &str) -> Result<Reply, Finding> {
        self.begin(asked, line)?;
        self.reply()
    }

    /// A command whose answer is still to be read.
    pub fn begin(&mut self, asked: &str, line: &str) -> Result<(), Finding> {
        let sent = match self.target.protocol {
            Protocol::Imap => {
                self.tag += 1;
                self.dialogue.say(asked, &format!("a{} {line}", self.tag))
            }
            Protocol::Pop3 | Protocol::Smtp => self.dialogue.say(asked, line),
        };
        self.mark(sent)
    }

    pub fn reply(&mut self) -> Result<Reply, Finding> {
        let reply = match self.target.protocol {
            Protocol::Imap => imap::reply(&mut self.dialogue, self.tag),
            Protocol::Pop3 => pop3::reply(&mut self.dialogue),
            Protocol::Smtp => smtp::reply(&mut self.dialogue),
        };
        self.mark(reply)
    }

    /// After a failure of the connection or of the protocol there is nobody to say goodbye to.
    pub fn mark<T>(&mut self, result: Result<T, Finding>) -> Result<T, Finding> {
        self.alive &= result.is_ok();
        result
    }

    /// What the server answered, where it is no answer to that.
    pub fn odd(&self, reply: &Reply) -> Finding {
        self.dialogue.odd(self.dialogue.told(reply))
    }

    /// Says goodbye. Whatever comes of it, all is known.
    pub fn close(mut self) {
        if self.alive {
            let word = if self.target.protocol == Protocol::Imap { "LOGOUT" } else { "QUIT" };
            self.dialogue.timeout = self.dialogue.timeout.min(GOODBYE);
            let _ = self.ask(word, word);
        }
    }
}

/// Without an end of line it is nobody's greeting.
fn heard_other(protocol: Protocol, rest: &str) -> Heard {
    match heard(protocol, rest) {
        Heard::Other(other) => Heard::Other(other),
        _ => Heard::Unknown,
    }
}
