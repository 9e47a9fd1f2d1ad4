//! The login: with which mechanism, how it goes, and what a refusal means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::dialogue::Stream;
use super::finding::{Finding, Steps, Stop};
use super::ledger::{Answer, Turn};
use super::reply::{Refusal, Reply, Verdict};
use super::session::Session;
use super::{advice, imap, pop3, sasl, smtp};
use crate::model::probe::{Entry, Fields, Mechanism, Protocol, StepName, Target};
use crate::model::{Clear, Kind};

/// Characters of a challenge that is answered.
const CHALLENGE: usize = 4096;

/// What has come of it, where nothing has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    In,
    /// Nobody should.
    Nobody,
    /// Somebody should, whose password is not there.
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `LOGIN` of IMAP, `USER` and `PASS` of POP3.
    Command,
    Plain,
    Login,
    CramMd5,
    Apop,
}

impl Way {
    fn name(self, protocol: Protocol) -> &'static str {
        match self {
            Way::Command if protocol == Protocol::Pop3 => "USER and PASS",
            Way::Command | Way::Login => "LOGIN",
            Way::Plain => "PLAIN",
            Way::CramMd5 => "CRAM-MD5",
            Way::Apop => "APOP",
        }
    }

    fn shows_the_password(self) -> bool {
        !matches!(self, Way::CramMd5 | Way::Apop)
    }
}

pub fn log_in<S: Stream>(
    session: &mut Session<'_, S>,
    steps: &mut Steps,
    turn: Option<&Turn<'_>>,
) -> Result<Login, Stop> {
    match &session.target.entry {
        Entry::Nobody => {
            if wants_a_login(session) {
                let offered = session.dialogue.shown(&session.offers.mechanisms.join(", "));
                let message =
                    format!("no authentication is declared, and the server offers it at this port: {offered}");
                let hint = "set `outgoing.auth.enabled: true`, if the server wants it";
                steps.note(StepName::Login, Finding::warning("probe/auth-needed", message).hint(hint));
            }
            Ok(Login::Nobody)
        }
        Entry::Off(switch) => {
            let message = format!("`{switch}: false` says that the account does not log in this way");
            steps.note(StepName::Login, Finding::skipped(Some("probe/no-password"), message));
            Ok(Login::Skipped)
        }
        Entry::Without { why, hint } => {
            let finding = Finding::skipped(Some("probe/no-password"), why.as_str());
            steps.note(StepName::Login, Finding { hint: hint.map(str::to_owned), ..finding });
            Ok(Login::Skipped)
        }
        Entry::User { name, password, mechanism, fields } => {
            if let Some(turn) = turn.filter(|turn| !turn.may_try()) {
                let message = format!("{name} {} in this run", turn.told());
                let finding = Finding::skipped(Some("probe/not-tried"), message).hint("mend that login first");
                steps.note(StepName::Login, finding);
                return Err(Stop);
            }
            let done = attempt(session, name, password, *mechanism, *fields, turn);
            steps.take(StepName::Login, done)
        }
    }
}

fn wants_a_login<S: Stream>(session: &Session<'_, S>) -> bool {
    let target = session.target;
    // Of a server alone it is not known here whether its users log in.
    target.protocol == Protocol::Smtp
        && target.address.kind != Kind::Server
        && target.before.is_none()
        && !session.offers.mechanisms.is_empty()
}

fn attempt<S: Stream>(
    session: &mut Session<'_, S>,
    user: &str,
    password: &Clear,
    declared: Mechanism,
    fields: Fields,
    turn: Option<&Turn<'_>>,
) -> Result<(Login, Finding), Finding> {
    let unfit = |text: &str| text.contains(['\r', '\n', '\0']);
    if unfit(user) || unfit(password.expose()) {
        let message = "user or password hold a line break or NUL, which no protocol can send; nothing was sent";
        return Err(Finding::failed("probe/protocol", message).hint("take it out; often a file ends in a line break"));
    }
    let way = choose(session, password, declared)?;
    let mut shown = false;
    let reply = match exchange(session, way, user, password, &mut shown) {
        Ok(reply) => reply,
        Err(finding) => {
            // It may well have been refused: some servers close then.
            if let (true, Some(turn)) = (shown, turn) {
                let odd = finding.code == Some("probe/protocol");
                turn.failed(session.target, if odd { Answer::Unclear } else { Answer::Nothing });
            }
            return Err(finding);
        }
    };
    let target = session.target;
    let name = way.name(target.protocol);
    let said = session.dialogue.told(&reply);
    let stream = &session.dialogue.stream;
    let encrypted = stream.is_encrypted();
    if reply.is_done() {
        if !encrypted && !stream.is_local() && way.shows_the_password() {
            let message = format!("logged in by {name}, and the password went in clear over the network");
            let hint = advice::encrypt(target, session.offers.starttls);
            return Ok((Login::In, Finding::warning("probe/password-in-clear", message).said(said).hint(hint)));
        }
        return Ok((Login::In, Finding::ok(format!("by {name}")).said(said)));
    }
    if reply.verdict == Verdict::More {
        if let Some(turn) = turn {
            turn.failed(target, Answer::Unclear);
        }
        return Err(session.odd(&reply));
    }
    let refusal = match target.protocol {
        Protocol::Imap => imap::refusal(&reply, encrypted),
        Protocol::Pop3 => pop3::refusal(&reply, encrypted),
        Protocol::Smtp => smtp::refusal(&reply, encrypted),
    };
    if let (Refusal::Password, true, Some(turn)) = (refusal, shown, turn) {
        turn.failed(target, Answer::No);
    }
    let offered = &session.offers.mechanisms;
    let refused = advice::Refused { fields, by: name, text: &reply.text(), offered, encrypted };
    Err(match refusal {
        Refusal::Password => {
            Finding::failed("probe/login-refused", format!("user or password are refused (by {name})"))
                .hint(advice::login_refused(target, &refused))
        }
        Refusal::NeedsTls => needs_tls(session),
        Refusal::Unavailable => Finding::failed("probe/login-unavailable", "the server cannot check passwords now")
            .hint("look at the server's log; it is not the password"),
        Refusal::Limit => Finding::failed("probe/login-limit", "too many connections or attempts")
            .hint("wait, and lower `probe.parallel` or raise the server's limits"),
        Refusal::Mechanism => missing(session, declared, name),
        Refusal::NoAuth if encrypted => no_auth(target),
        Refusal::NoAuth => needs_tls(session),
        Refusal::Protocol => session.odd(&reply),
    }
    .said(said))
}

fn needs_tls<S: Stream>(session: &Session<'_, S>) -> Finding {
    Finding::failed("probe/login-needs-tls", "the server takes no password without encryption")
        .hint(advice::encrypt(session.target, session.offers.starttls))
}

fn no_auth(target: &Target) -> Finding {
    let message = "authentication is declared, and the server offers none at this port";
    Finding::failed("probe/auth-missing", message).hint(advice::auth_missing(target))
}

fn missing<S: Stream>(session: &Session<'_, S>, declared: Mechanism, name: &str) -> Finding {
    let offered = &session.offers.mechanisms;
    let message = if session.offers.takes(name) {
        format!("the server offers {name}, and then does not know it")
    } else if offered.is_empty() {
        format!("the server does not offer {name}")
    } else {
        format!("the server does not offer {name}; it offers {}", session.dialogue.shown(&offered.join(", ")))
    };
    Finding::failed("probe/mechanism-missing", message).hint(advice::mechanism_missing(
        session.target,
        declared,
        name,
        offered,
    ))
}

/// What is declared, as far as the server takes it here.
fn choose<S: Stream>(session: &mut Session<'_, S>, password: &Clear, declared: Mechanism) -> Result<Way, Finding> {
    let encrypted = session.dialogue.stream.is_encrypted();
    let takes = |name: &str| session.offers.takes(name);
    let told = session.offers.told;
    match session.target.protocol {
        Protocol::Imap => match declared {
            _ if session.offers.has("LOGINDISABLED") && !encrypted && declared != Mechanism::CramMd5 => {
                Err(needs_tls(session))
            }
            Mechanism::CramMd5 if takes("CRAM-MD5") => Ok(Way::CramMd5),
            Mechanism::CramMd5 => Err(missing(session, declared, "CRAM-MD5")),
            Mechanism::Plain if takes("PLAIN") => Ok(Way::Plain),
            Mechanism::Plain => Err(missing(session, declared, "PLAIN")),
            Mechanism::Apop => Err(missing(session, declared, "APOP")),
            // Beyond ASCII, strings of IMAP have no charset, and SASL has.
            Mechanism::Auto | Mechanism::Login if !password.expose().is_ascii() && takes("PLAIN") => Ok(Way::Plain),
            Mechanism::Auto | Mechanism::Login if !session.offers.has("LOGINDISABLED") => Ok(Way::Command),
            Mechanism::Auto | Mechanism::Login if takes("PLAIN") => Ok(Way::Plain),
            Mechanism::Auto | Mechanism::Login if takes("LOGIN") => Ok(Way::Login),
            Mechanism::Auto | Mechanism::Login => Err(missing(session, declared, "LOGIN or PLAIN")),
        },
        Protocol::Pop3 => match declared {
            Mechanism::Apop if session.stamp.is_some() => Ok(Way::Apop),
            Mechanism::Apop => Err(missing(session, declared, "APOP")),
            Mechanism::CramMd5 if takes("CRAM-MD5") => Ok(Way::CramMd5),
            Mechanism::CramMd5 => Err(missing(session, declared, "CRAM-MD5")),
            Mechanism::Plain if takes("PLAIN") => Ok(Way::Plain),
            Mechanism::Auto | Mechanism::Login if !told || session.offers.has("USER") => Ok(Way::Command),
            Mechanism::Auto | Mechanism::Login if takes("PLAIN") => Ok(Way::Plain),
            Mechanism::Auto | Mechanism::Login if takes("LOGIN") => Ok(Way::Login),
            _ if !encrypted => Err(needs_tls(session)),
            _ => Err(missing(session, declared, "USER or PLAIN")),
        },
        Protocol::Smtp => {
            if session.offers.mechanisms.is_empty() {
                return Err(without_auth(session, encrypted));
            }
            let known = [("PLAIN", Way::Plain), ("LOGIN", Way::Login), ("CRAM-MD5", Way::CramMd5)];
            let wanted: &[usize] = match declared {
                Mechanism::Auto if encrypted => &[0, 1, 2],
                Mechanism::Auto => &[2, 0, 1],
                Mechanism::Plain => &[0],
                Mechanism::Login => &[1],
                Mechanism::CramMd5 => &[2],
                Mechanism::Apop => &[],
            };
            match wanted.iter().map(|at| known[*at]).find(|(name, _)| takes(name)) {
                Some((_, way)) => Ok(way),
                None => Err(missing(session, declared, &declared.name().to_ascii_uppercase())),
            }
        }
    }
}

/// No authentication is offered: never, or not without encryption? With STARTTLS the server tells, before any password.
fn without_auth<S: Stream>(session: &mut Session<'_, S>, encrypted: bool) -> Finding {
    if encrypted || !session.offers.starttls {
        return no_auth(session.target);
    }
    let hidden = needs_tls(session);
    match session.offers_with_tls() {
        Some(offers) if offers.mechanisms.is_empty() => no_auth(session.target),
        Some(_) | None => hidden,
    }
}

/// Shows the password. `shown` says whether the server has got to see anything of it.
fn exchange<S: Stream>(
    session: &mut Session<'_, S>,
    way: Way,
    user: &str,
    password: &Clear,
    shown: &mut bool,
) -> Result<Reply, Finding> {
    match (way, session.target.protocol) {
        (Way::Command, Protocol::Imap) => login_command(session, user, password, shown),
        (Way::Command, Protocol::Pop3) => {
            let reply = session.ask("USER", &format!("USER {user}"))?;
            if !reply.is_done() {
                // Some refuse a user that they do not know here; the password has not been seen.
                *shown = true;
                return Ok(reply);
            }
            let line = Zeroizing::new([b"PASS ", password.expose().as_bytes()].concat());
            tell(session, "PASS", &line, shown)
        }
        (Way::Apop, _) => {
            let digest = sasl::apop(password, session.stamp.as_deref().unwrap_or_default());
            session.dialogue.secrets.add(digest.as_bytes());
            let line = Zeroizing::new([b"APOP ", user.as_bytes(), b" ", digest.as_bytes()].concat());
            tell(session, "APOP", &line, shown)
        }
        (Way::Plain, Protocol::Smtp) => {
            let coded = Zeroizing::new(BASE64.encode(sasl::plain(user, password)));
            tell(session, "AUTH PLAIN", &Zeroizing::new([b"AUTH PLAIN ", coded.as_bytes()].concat()), shown)
        }
        (Way::Plain, _) => {
            let reply = begin(session, "PLAIN")?;
            answer(session, reply, "AUTH PLAIN", &sasl::plain(user, password), shown)
        }
        (Way::Login | Way::Command, _) => {
            let reply = begin(session, "LOGIN")?;
            let reply = answer(session, reply, "AUTH LOGIN", user.as_bytes(), &mut false)?;
            answer(session, reply, "AUTH LOGIN", password.expose().as_bytes(), shown)
        }
        (Way::CramMd5, _) => {
            let reply = begin(session, "CRAM-MD5")?;
            if reply.verdict != Verdict::More {
                return Ok(reply);
            }
            let coded = reply.line.trim();
            let Some(challenge) = BASE64.decode(coded).ok().filter(|_| !coded.is_empty() && coded.len() <= CHALLENGE)
            else {
                return Err(session.odd(&reply));
            };
            let digest = sasl::cram_md5(password, &challenge);
            let response = Zeroizing::new([user.as_bytes(), b" ", digest.as_bytes()].concat());
            session.dialogue.secrets.add(digest.as_bytes());
            answer(session, reply, "AUTH CRAM-MD5", &response, shown)
        }
    }
}

/// `AUTHENTICATE` or `AUTH`, and the first challenge.
fn begin<S: Stream>(session: &mut Session<'_, S>, mechanism: &str) -> Result<Reply, Finding> {
    let verb = if session.target.protocol == Protocol::Imap { "AUTHENTICATE" } else { "AUTH" };
    let command = format!("{verb} {mechanism}");
    session.ask(&command, &command)
}

/// The response to a challenge; if the server has said no instead of one, that stands.
fn answer<S: Stream>(
    session: &mut Session<'_, S>,
    reply: Reply,
    asked: &str,
    response: &[u8],
    shown: &mut bool,
) -> Result<Reply, Finding> {
    if reply.verdict != Verdict::More {
        return Ok(reply);
    }
    let coded = Zeroizing::new(BASE64.encode(response));
    if response != user_of(session).as_bytes() {
        session.dialogue.secrets.add(coded.as_bytes());
    }
    tell(session, asked, &Zeroizing::new(coded.as_bytes().to_vec()), shown)
}

/// A user's name is no secret, and may be shown.
fn user_of<'a, S: Stream>(session: &Session<'a, S>) -> &'a str {
    match &session.target.entry {
        Entry::User { name, .. } => name,
        Entry::Nobody | Entry::Off(_) | Entry::Without { .. } => "",
    }
}

/// A line with a secret, and what the server answers.
fn tell<S: Stream>(
    session: &mut Session<'_, S>,
    asked: &str,
    line: &Zeroizing<Vec<u8>>,
    shown: &mut bool,
) -> Result<Reply, Finding> {
    *shown = true;
    let sent = session.dialogue.say_secret(asked, line);
    session.mark(sent)?;
    session.reply()
}

/// `LOGIN`: strings in quotes, and as literals where quotes cannot hold them.
fn login_command<S: Stream>(
    session: &mut Session<'_, S>,
    user: &str,
    password: &Clear,
    shown: &mut bool,
) -> Result<Reply, Finding> {
    session.tag += 1;
    let mut line = Zeroizing::new(format!("a{} LOGIN", session.tag).into_bytes());
    for (text, secret) in [(user, false), (password.expose(), true)] {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let quoted = Zeroizing::new(imap::quoted(text));
            line.extend_from_slice(b" ");
            line.extend_from_slice(quoted.as_bytes());
        } else {
            line.extend_from_slice(format!(" {{{}}}", text.len()).as_bytes());
            let reply = tell(session, "LOGIN", &line, &mut false)?;
            if reply.verdict != Verdict::More {
                return Ok(reply);
            }
            line = Zeroizing::new(text.as_bytes().to_vec());
        }
        *shown |= secret;
    }
    tell(session, "LOGIN", &line, shown)
}
