//! Names asked of name servers: addresses by the system's resolver or by a server that is named, and mail exchanges,
//! for which systems have no call. Every question ends within the time that it is given.

mod ask;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{Name, TYPE};

/// Where systems without a resolver of their own say whom to ask.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// As many of its name servers as resolvers take, resolv.conf(5).
const NAME_SERVERS: usize = 3;
const PORT: u16 = 53;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such name, or it has no address; also what can be no name at all.
    NoSuchName,
    /// Nothing is known of the name; the sentence says why.
    NoAnswer(String),
}

/// A mail exchange of a domain: a record MX.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    /// The lowest is tried first.
    pub preference: u16,
    /// In lower case, without the dot at its end; `.` alone says that the domain takes no mail (RFC 7505).
    pub host: String,
}

/// The addresses of a host, at least one. Without `server`, those that programs of this machine get, in the order in
/// which they would try them; else what this name server says, in ascending order. An IP address is its own.
pub fn addresses(name: &str, server: Option<SocketAddr>, within: Duration) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let deadline = Instant::now() + within;
    let name = ascii(name)?;
    let Some(server) = server else { return of_system(name, within) };
    let [v4, v6] = thread::scope(|scope| {
        let asked = [TYPE::A, TYPE::AAAA].map(|kind| {
            scope.spawn({
                let name = &name;
                move || asked_addresses(name, kind, server, deadline)
            })
        });
        asked.map(|thread| thread.join().unwrap_or_else(|_| Err(Failure::NoAnswer("the question broke off".into()))))
    });
    let mut found: Vec<IpAddr> = [&v4, &v6].into_iter().flatten().flatten().copied().collect();
    found.sort_unstable();
    found.dedup();
    if !found.is_empty() {
        return Ok(found);
    }
    // What one half does not say may be the address that the name has.
    match (v4, v6) {
        (Err(failure @ Failure::NoAnswer(_)), _) | (_, Err(failure @ Failure::NoAnswer(_))) => Err(failure),
        _ => Err(Failure::NoSuchName),
    }
}

/// The mail exchanges of a domain, sorted by preference, then by host; none where the name is there and has no such
/// record. Without `server`, the name servers of `/etc/resolv.conf` are asked, one after the other.
pub fn mx(name: &str, server: Option<SocketAddr>, within: Duration) -> Result<Vec<Exchange>, Failure> {
    let deadline = Instant::now() + within;
    let name = ascii(name)?;
    let servers = match server {
        Some(server) => vec![server],
        None => name_servers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
    };
    let mut failure = Failure::NoAnswer(format!("{RESOLV_CONF} names no name server"));
    for (at, server) in servers.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        // The ones behind must still have their time where this one is silent.
        let until = Instant::now() + left / u32::try_from(servers.len() - at).unwrap_or(1);
        match ask::records(&name, TYPE::MX, *server, until, |data| match data {
            RData::MX(mx) => Some(Exchange { preference: mx.preference, host: host(&mx.exchange) }),
            _ => None,
        }) {
            Ok(mut found) => {
                found.sort_unstable();
                found.dedup();
                return Ok(found);
            }
            Err(Failure::NoSuchName) => return Err(Failure::NoSuchName),
            Err(other) => failure = other,
        }
    }
    Err(failure)
}

fn asked_addresses(name: &str, kind: TYPE, server: SocketAddr, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
    ask::records(name, kind, server, deadline, |data| match data {
        RData::A(a) => Some(IpAddr::from(Ipv4Addr::from_bits(a.address))),
        RData::AAAA(aaaa) => Some(IpAddr::from(Ipv6Addr::from_bits(aaaa.address))),
        _ => None,
    })
}

/// The resolver of the system knows no time limit. A thread that it keeps ends when it gives up itself.
fn of_system(name: String, within: Duration) -> Result<Vec<IpAddr>, Failure> {
    let (say, hear) = mpsc::sync_channel(1);
    let asked = thread::Builder::new().name("resolver".into()).spawn(move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        // Nobody listens any more when the time is over.
        let _ = say.send(found);
    });
    asked.map_err(|error| Failure::NoAnswer(format!("the resolver cannot be asked: {error}")))?;
    let found: Vec<IpAddr> = match hear.recv_timeout(within) {
        Ok(found) => found.map_err(|error| of_resolver(&error))?,
        Err(_) => return Err(Failure::NoAnswer(silent(within))),
    };
    let mut once: Vec<IpAddr> = Vec::with_capacity(found.len());
    for address in found {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    if once.is_empty() { Err(Failure::NoSuchName) } else { Ok(once) }
}

/// The numbers of getaddrinfo do not come through the standard library, only its words: those of glibc, musl, the BSDs
/// and macOS. What is not among them is taken for a resolver in trouble, so that no name is denied by mistake.
fn of_resolver(error: &io::Error) -> Failure {
    const UNKNOWN: [&str; 6] = [
        "Name or service not known",
        "No address associated with",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided",
        "No such host is known",
    ];
    let said = error.to_string();
    if UNKNOWN.iter().any(|words| said.contains(words)) {
        return Failure::NoSuchName;
    }
    Failure::NoAnswer(said.trim_start_matches("failed to lookup address information: ").to_owned())
}

fn silent(within: Duration) -> String {
    format!("no answer within {within:?}")
}

/// A name as it goes over the wire, of one in any script.
fn ascii(name: &str) -> Result<String, Failure> {
    let ascii = idna::domain_to_ascii(name).map_err(|_| Failure::NoSuchName)?;
    let labels = ascii.strip_suffix('.').unwrap_or(&ascii);
    // Lengths of RFC 1035, 2.3.4. A backslash would be read as an escape.
    let fits = labels.len() <= 253
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        });
    if fits { Ok(ascii) } else { Err(Failure::NoSuchName) }
}

/// What a server says is shown to people: bytes that are no plain text are escaped as in zone files.
fn host(name: &Name<'_>) -> String {
    let mut text = String::new();
    for label in name.as_bytes() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                byte if byte.is_ascii_graphic() => text.push(char::from(byte.to_ascii_lowercase())),
                byte => text.extend(format!("\\{byte:03}").chars()),
            }
        }
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Of a file in the form of resolv.conf(5).
fn name_servers(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
            let plain = address.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, PORT));
            // With the number of an interface behind it, which only the long form takes.
            plain.or_else(|| format!("[{address}]:{PORT}").parse().ok())
        })
        .take(NAME_SERVERS)
        .collect()
}
