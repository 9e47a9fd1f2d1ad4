//! One question to one name server: over UDP, once more where it is lost, and over TCP where the answer is too long.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

use super::{Failure, silent};

/// The second is the repeat.
const TRIES: u32 = 2;
/// More than servers send to those that offer no more than the 512 bytes of RFC 1035.
const DATAGRAM: usize = 4096;
/// Longer chains of aliases are mistakes or attacks.
const ALIASES: usize = 8;
const HEADER: usize = 12;

/// What `pick` takes of the records of this type; none where the name is there and has no such record.
pub fn records<T>(
    name: &str,
    kind: TYPE,
    server: SocketAddr,
    deadline: Instant,
    pick: impl Fn(&RData<'_>) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let begun = Instant::now();
    let question = Asked { name: Name::new(name).map_err(|_| Failure::NoSuchName)?, kind, server };
    let mut failure = Failure::NoAnswer(silent(deadline.saturating_duration_since(begun)));
    for at in 0..TRIES {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let bytes = match question.ask(Instant::now() + left / (TRIES - at), deadline) {
            Ok(bytes) => bytes,
            Err(error) => {
                failure = Failure::NoAnswer(match error.kind() {
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => silent(begun.elapsed()),
                    _ => format!("{server}: {error}"),
                });
                continue;
            }
        };
        // It was read before, by what has taken it.
        let Ok(answer) = Packet::parse(&bytes) else { continue };
        match answer.rcode() {
            RCODE::NoError => return Ok(found(&answer, &question.name, kind, &pick)),
            RCODE::NameError => return Err(Failure::NoSuchName),
            code => failure = Failure::NoAnswer(format!("{server} answers {}", word(code))),
        }
    }
    Err(failure)
}

/// Records of the name itself, and of the names that it is an alias of, as far as the answer tells.
fn found<T>(answer: &Packet<'_>, name: &Name<'_>, kind: TYPE, pick: impl Fn(&RData<'_>) -> Option<T>) -> Vec<T> {
    let mut name = name;
    for _ in 0..=ALIASES {
        let of_name = || answer.answers.iter().filter(|record| record.class == CLASS::IN && record.name == *name);
        let picked: Vec<T> = of_name()
            .filter(|record| record.rdata.type_code() == kind)
            .filter_map(|record| pick(&record.rdata))
            .collect();
        let alias = of_name().find_map(|record| match &record.rdata {
            RData::CNAME(alias) => Some(&alias.0),
            _ => None,
        });
        match alias {
            Some(alias) if picked.is_empty() => name = alias,
            _ => return picked,
        }
    }
    Vec::new()
}

fn word(code: RCODE) -> String {
    match code {
        RCODE::FormatError => "FORMERR".to_owned(),
        RCODE::ServerFailure => "SERVFAIL".to_owned(),
        RCODE::NotImplemented => "NOTIMP".to_owned(),
        RCODE::Refused => "REFUSED".to_owned(),
        other => format!("{other:?}"),
    }
}

struct Asked<'a> {
    name: Name<'a>,
    kind: TYPE,
    server: SocketAddr,
}

impl Asked<'_> {
    /// Over UDP until `repeat`; what follows over TCP has until `deadline`.
    fn ask(&self, repeat: Instant, deadline: Instant) -> io::Result<Vec<u8>> {
        // Whoever wants to answer in the server's place has to guess the id and the port, which is new with each
        // socket; a connected one takes nothing from other addresses.
        let id = u16::try_from(getrandom::u32().map_err(io::Error::other)? >> 16).unwrap_or_default();
        let query = self.query(id)?;
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(self.server)?;
        socket.send(&query)?;
        let mut bytes = vec![0; DATAGRAM];
        loop {
            socket.set_read_timeout(Some(left(repeat)?))?;
            let length = socket.recv(&mut bytes)?;
            let answer = &bytes[..length];
            if is_cut(answer, id) {
                return self.over_tcp(&query, id, deadline);
            }
            if self.is_answered_by(answer, id) {
                return Ok(answer.to_vec());
            }
        }
    }

    fn query(&self, id: u16) -> io::Result<Vec<u8>> {
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(self.name.clone(), self.kind.into(), CLASS::IN.into(), false));
        packet.build_bytes_vec().map_err(io::Error::other)
    }

    fn over_tcp(&self, query: &[u8], id: u16, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.server, left(deadline)?)?;
        stream.set_write_timeout(Some(left(deadline)?))?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat())?;
        let mut length = [0; 2];
        read(&mut stream, &mut length, deadline)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        read(&mut stream, &mut answer, deadline)?;
        if self.is_answered_by(&answer, id) {
            return Ok(answer);
        }
        Err(io::Error::new(ErrorKind::InvalidData, "what comes over TCP is no answer to the question"))
    }

    /// Whether these bytes are a response, with this id, to this question.
    fn is_answered_by(&self, bytes: &[u8], id: u16) -> bool {
        let Ok(packet) = Packet::parse(bytes) else { return false };
        let [question] = packet.questions.as_slice() else { return false };
        packet.id() == id
            && packet.has_flags(PacketFlag::RESPONSE)
            && question.qname == self.name
            && question.qtype == QTYPE::from(self.kind)
            && question.qclass == CLASS::IN.into()
    }
}

/// Whether a response with this id says that it is cut. The records may be cut anywhere, so nothing else is read of it.
fn is_cut(bytes: &[u8], id: u16) -> bool {
    const RESPONSE: u8 = 0x80;
    const TRUNCATED: u8 = 0x02;
    bytes.len() >= HEADER && bytes[..2] == id.to_be_bytes() && bytes[2] & RESPONSE != 0 && bytes[2] & TRUNCATED != 0
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A server that sends a byte now and then gets no more time than another.
fn read(stream: &mut TcpStream, to: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < to.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut to[filled..])? {
            0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closes before its answer is whole")),
            length => filled += length,
        }
    }
    Ok(())
}
