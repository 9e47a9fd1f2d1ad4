//! The way to a server: its name, its addresses, and a connection of which every answer has its time.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::dialogue::{Dialogue, Stream};
use super::finding::{Finding, Steps, Stop};
use super::greeting::{Heard, heard};
use super::secrets::Secrets;
use super::tls::{self, Trust};
use super::{advice, greeting};
use crate::model::probe::{Security, Settings, StepName, Target};
use crate::net::dns::{self, Failure};

/// How long a second connection may take that is to tell why the first one failed.
const SECOND: Duration = Duration::from_secs(5);

/// A connection of TCP that fails when its time is over, however slowly bytes come.
#[derive(Debug)]
struct Timed {
    tcp: TcpStream,
    until: Rc<Cell<Instant>>,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.get().saturating_duration_since(Instant::now());
        // A time of zero would be none at all.
        if left < Duration::from_millis(1) { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// The system says `WouldBlock` where the time is over.
fn over(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(buffer).map_err(over)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        self.tcp.write(buffer).map_err(over)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

enum Wire {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
    /// A handshake has failed: nothing more is said.
    Gone,
}

/// A connection to the server of a target.
pub struct Link<'a> {
    wire: Wire,
    until: Rc<Cell<Instant>>,
    peer: SocketAddr,
    own: Option<IpAddr>,
    target: &'a Target,
    trust: &'a Trust,
    timeout: Duration,
}

impl Read for Link<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(wire) => wire.read(buffer),
            Wire::Tls(wire) => wire.read(buffer),
            Wire::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Link<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(wire) => wire.write(buffer),
            Wire::Tls(wire) => wire.write(buffer),
            Wire::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(wire) => wire.flush(),
            Wire::Tls(wire) => wire.flush(),
            Wire::Gone => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Stream for Link<'_> {
    fn until(&mut self, deadline: Instant) {
        self.until.set(deadline);
    }

    fn encrypt(&mut self, secrets: &Secrets) -> Result<Finding, Finding> {
        let unfit = |error: &dyn std::fmt::Display| {
            Finding::failed("probe/tls", format!("no handshake of TLS can be made: {error}"))
                .hint(advice::host(self.target))
        };
        let name = server_name(&self.target.host).map_err(|error| unfit(&error))?;
        let (config, watcher) = self.trust.checking().map_err(|error| unfit(&error))?;
        let mut client = ClientConnection::new(config, name).map_err(|error| unfit(&error))?;
        let Wire::Plain(mut wire) = std::mem::replace(&mut self.wire, Wire::Gone) else {
            return Err(unfit(&"there is no connection in clear"));
        };
        handshake(&mut client, &mut wire).map_err(|error| tls::failed(self.target, &error, self.timeout, secrets))?;
        let finding = tls::good(client.protocol_version(), &watcher);
        self.wire = Wire::Tls(Box::new(StreamOwned::new(client, wire)));
        Ok(finding)
    }

    fn is_encrypted(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    fn greets_with_tls(&mut self, within: Duration) -> Option<String> {
        let (mut wire, until) = self.second(within)?;
        let name = server_name(&self.target.host).ok()?;
        let mut client = ClientConnection::new(self.trust.learning().ok()?, name).ok()?;
        handshake(&mut client, &mut wire).ok()?;
        first_line(StreamOwned::new(client, wire), until)
    }

    fn own_address(&self) -> Option<IpAddr> {
        self.own
    }

    fn is_local(&self) -> bool {
        self.peer.ip().is_loopback() || self.own == Some(self.peer.ip())
    }
}

impl Link<'_> {
    /// Another connection to the same address, to learn from.
    fn second(&self, within: Duration) -> Option<(Timed, Instant)> {
        let until = Instant::now() + within;
        let tcp = TcpStream::connect_timeout(&self.peer, within.max(Duration::from_millis(1))).ok()?;
        Some((Timed { tcp, until: Rc::new(Cell::new(until)) }, until))
    }

    /// What the same port says to one who begins without TLS.
    fn greets_in_clear(&self, within: Duration) -> Option<String> {
        let (wire, until) = self.second(within)?;
        first_line(wire, until)
    }
}

fn handshake(client: &mut ClientConnection, wire: &mut Timed) -> io::Result<()> {
    while client.is_handshaking() {
        // What has been written is no progress while nothing comes.
        if client.complete_io(wire)? == (0, 0) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Up to the end of the line, or what there is of it.
fn first_line(mut stream: impl Read, until: Instant) -> Option<String> {
    let mut line = Vec::new();
    let mut piece = [0; 512];
    while !line.contains(&b'\n') && line.len() < 4096 && Instant::now() < until {
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => line.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    (!line.is_empty()).then(|| String::from_utf8_lossy(line).into_owned())
}

/// The name that the certificate must have.
fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let bare = bare(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    // Names beyond ASCII stand in certificates as DNS has them (RFC 5891).
    let ascii = idna::domain_to_ascii(bare).map_err(|_| "the host is no name".to_owned())?;
    ServerName::try_from(ascii).map_err(|error| error.to_string())
}

/// Without the brackets of IPv6, and without the point at the end of a name.
fn bare(host: &str) -> &str {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    inside.strip_suffix('.').unwrap_or(inside)
}

/// Connects to the server of the target, and makes the handshake where TLS comes first. The dialogue may last until
/// `overall`.
pub fn dial<'a>(
    target: &'a Target,
    settings: &Settings,
    trust: &'a Trust,
    secrets: &'a Secrets,
    overall: Instant,
    steps: &mut Steps,
) -> Result<Dialogue<'a, Link<'a>>, Stop> {
    if !settings.hosts.allow(&target.host, target.port) {
        let message = format!("{} is not named in `probe.hosts`, and was not connected to", target.host);
        let finding = Finding::failed("probe/host-not-allowed", message);
        steps.note(StepName::Allowed, finding.hint("add the host to `probe.hosts`, if it is the right one"));
        return Err(Stop);
    }
    let addresses = match bare(&target.host).parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => steps.take(StepName::Dns, resolve(target, settings))?,
    };
    let connected = connect(target, &addresses, settings.timeout, overall);
    let (tcp, peer) = steps.take(StepName::Connect, connected)?;
    // Lines are short, and answers are waited for.
    let _ = tcp.set_nodelay(true);
    let own = tcp.local_addr().ok().map(|address| address.ip());
    let until = Rc::new(Cell::new(overall));
    let wire = Wire::Plain(Timed { tcp, until: Rc::clone(&until) });
    let link = Link { wire, until, peer, own, target, trust, timeout: settings.timeout };
    let mut dialogue = Dialogue::new(link, secrets, settings.timeout, overall);
    if target.security == Security::ImplicitTls {
        let made = match dialogue.stream.encrypt(secrets) {
            Ok(finding) => Ok(((), finding)),
            Err(finding) => Err(instead(&dialogue.stream, secrets, finding)),
        };
        steps.take(StepName::Tls, made)?;
        dialogue.within(settings.timeout);
    }
    Ok(dialogue)
}

/// Where the handshake failed before there was a certificate, the port may speak without TLS.
fn instead(link: &Link<'_>, secrets: &Secrets, finding: Finding) -> Finding {
    let target = link.target;
    match finding.code {
        Some("probe/timeout") => {
            let within = link.timeout.as_secs_f32();
            let message = format!(
                "connected to port {}, and nothing came to the handshake of TLS within {within} s",
                target.port
            );
            Finding::failed("probe/no-greeting", message)
                .hint(format!("{}, or look at the server's load", advice::port(target)))
        }
        Some("probe/tls" | "probe/closed") => match link.greets_in_clear(SECOND.min(link.timeout)) {
            Some(said) => match heard(target.protocol, &said) {
                Heard::Ours | Heard::Refused => Finding::failed(
                    "probe/plain-port",
                    "TLS from the first byte is declared, and the port speaks without",
                )
                .said(secrets.shown(&said))
                .hint(advice::plain_port(target)),
                other @ Heard::Other(_) => greeting::finding(target, other, secrets.shown(&said)),
                Heard::Unknown => finding,
            },
            None => finding,
        },
        _ => finding,
    }
}

fn resolve(target: &Target, settings: &Settings) -> Result<(Vec<IpAddr>, Finding), Finding> {
    let unknown = || {
        Finding::failed("probe/unknown-host", format!("the name {} has no address", target.host))
            .hint(advice::host(target))
    };
    match dns::addresses(bare(&target.host), settings.nameserver, settings.timeout) {
        Ok(addresses) if addresses.is_empty() => Err(unknown()),
        Ok(addresses) => {
            let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            Ok((addresses, Finding::ok(list.join(", "))))
        }
        Err(Failure::NoSuchName) => Err(unknown()),
        Err(Failure::NoAnswer(why)) => {
            Err(Finding::failed("probe/dns", format!("the name {} cannot be looked up: {why}", target.host))
                .hint("look at the resolver (`probe.nameserver`); nothing is known of the server"))
        }
    }
}

/// The first address that answers.
fn connect(
    target: &Target,
    addresses: &[IpAddr],
    timeout: Duration,
    overall: Instant,
) -> Result<((TcpStream, SocketAddr), Finding), Finding> {
    let mut worst: Option<(ErrorKind, String)> = None;
    let mut mute = Vec::new();
    for address in addresses {
        let peer = SocketAddr::new(*address, target.port);
        let left = timeout.min(overall.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&peer, left) {
            Ok(tcp) => {
                let message =
                    if mute.is_empty() { String::new() } else { format!("{address}, but not {}", mute.join(", ")) };
                return Ok(((tcp, peer), Finding::ok(message)));
            }
            Err(error) => {
                mute.push(address.to_string());
                // That nobody listens says more than that there is no way, as there is none to IPv6 in many places.
                let rank = |kind: ErrorKind| match kind {
                    ErrorKind::ConnectionRefused => 2,
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => 1,
                    _ => 0,
                };
                if worst.as_ref().is_none_or(|(kind, _)| rank(error.kind()) > rank(*kind)) {
                    worst = Some((error.kind(), error.to_string()));
                }
            }
        }
    }
    let port = target.port;
    Err(match worst {
        Some((ErrorKind::ConnectionRefused, _)) => {
            Finding::failed("probe/refused", format!("nobody listens at port {port}")).hint(advice::port(target))
        }
        Some((ErrorKind::TimedOut | ErrorKind::WouldBlock, _)) => {
            let message = format!("no connection to port {port} within {} s", timeout.as_secs_f32());
            let hint = format!("{}, or look for a firewall between; {}", advice::host(target), advice::port(target));
            Finding::failed("probe/timeout", message).hint(hint)
        }
        Some((_, why)) => Finding::failed("probe/unreachable", format!("there is no way to the server: {why}"))
            .hint(format!("look at the network, or {}", advice::host(target))),
        None => Finding::failed("probe/unknown-host", "the name has no address").hint(advice::host(target)),
    })
}
