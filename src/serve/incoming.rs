//! Bodies of requests. One is received whole, compressed as it comes, before a thread works on it: a slow client
//! costs a file, not a thread. What is long goes to a file without a name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout};

use super::limits::Limits;
use super::problem::Problem;

/// More than this goes to a file.
const IN_MEMORY: usize = 256 * 1024;
/// Windows that a client may ask for: RFC 9659 allows no more.
const WINDOW: u32 = 23;
/// What is still taken from a client that has been refused, so that it reads the answer.
const DRAINED: usize = 16 * 1024 * 1024;
const DRAIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    pub fn parse(name: &str) -> Option<Coding> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Coding::Identity),
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }
}

enum Held {
    Memory(Vec<u8>),
    File(File),
}

/// A body that has been received.
pub struct Received {
    held: Held,
    coding: Coding,
    limit: u64,
    state: Arc<AtomicU8>,
}

const TOO_LONG: u8 = 1;
const BROKEN: u8 = 2;

/// Whether reading a body has failed, and for which reason.
#[derive(Clone)]
pub struct Reading {
    state: Arc<AtomicU8>,
    limit: u64,
}

impl Reading {
    pub fn problem(&self) -> Option<Problem> {
        match self.state.load(Ordering::Acquire) {
            TOO_LONG => Some(too_long(self.limit)),
            BROKEN => Some(Problem::new(
                StatusCode::BAD_REQUEST,
                "request/encoding",
                "the body is not what `Content-Encoding` says",
            )),
            _ => None,
        }
    }
}

impl Received {
    pub fn reading(&self) -> Reading {
        Reading { state: Arc::clone(&self.state), limit: self.limit }
    }

    /// The body, decompressed.
    pub fn open(self) -> io::Result<Box<dyn BufRead + Send>> {
        let raw: Box<dyn BufRead + Send> = match self.held {
            Held::Memory(bytes) => Box::new(Cursor::new(bytes)),
            Held::File(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(BufReader::with_capacity(128 * 1024, file))
            }
        };
        let plain: Box<dyn Read + Send> = match self.coding {
            Coding::Identity => raw,
            Coding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            Coding::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(raw)?;
                decoder.window_log_max(WINDOW)?;
                Box::new(decoder)
            }
        };
        let bounded = Bounded { inner: plain, left: self.limit, state: self.state };
        Ok(Box::new(BufReader::with_capacity(128 * 1024, bounded)))
    }

    /// The whole of a short body.
    pub fn bytes(self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Fails behind so many bytes.
struct Bounded {
    inner: Box<dyn Read + Send>,
    left: u64,
    state: Arc<AtomicU8>,
}

impl Read for Bounded {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(to).inspect_err(|_| self.state.store(BROKEN, Ordering::Release))?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.state.store(TOO_LONG, Ordering::Release);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the body is too long"));
        };
        self.left = left;
        Ok(read)
    }
}

pub fn too_long(limit: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request/too-long", format!("the body is longer than {limit} bytes"))
}

/// Receives a body of at most so many bytes.
pub async fn receive(mut body: Incoming, coding: Coding, limit: u64, stall: Duration) -> Result<Received, Problem> {
    let failed = receive_held(&mut body, limit, stall).await;
    match failed {
        Ok(held) => Ok(Received { held, coding, limit, state: Arc::default() }),
        Err(problem) => {
            drain(body);
            Err(problem)
        }
    }
}

async fn receive_held(body: &mut Incoming, limit: u64, stall: Duration) -> Result<Held, Problem> {
    if body.size_hint().lower() > limit {
        return Err(too_long(limit));
    }
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, "request/slow", "the body did not arrive in time");
    let until = Instant::now() + Limits::UPLOAD;
    let (mut chunk, mut file, mut length) = (Vec::new(), None, 0u64);
    loop {
        if Instant::now() >= until {
            return Err(slow());
        }
        let data = match timeout(stall, body.frame()).await.map_err(|_| slow())? {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return Err(Problem::bad("the body ended before it was complete")),
        };
        length += data.len() as u64;
        if length > limit {
            return Err(too_long(limit));
        }
        chunk.extend_from_slice(&data);
        if chunk.len() > IN_MEMORY {
            (chunk, file) = spill(chunk, file).await?;
        }
    }
    match file {
        None => Ok(Held::Memory(chunk)),
        Some(file) => Ok(Held::File(spill(chunk, Some(file)).await?.1.ok_or_else(no_room)?)),
    }
}

/// Writes a chunk to the file, on a thread that may wait for the disk.
async fn spill(mut chunk: Vec<u8>, file: Option<File>) -> Result<(Vec<u8>, Option<File>), Problem> {
    let written = tokio::task::spawn_blocking(move || -> io::Result<(Vec<u8>, File)> {
        let mut file = match file {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        file.write_all(&chunk)?;
        chunk.clear();
        Ok((chunk, file))
    });
    match written.await {
        Ok(Ok((chunk, file))) => Ok((chunk, Some(file))),
        Ok(Err(error)) => {
            super::say(&format!("error: a body cannot be kept: {error}"));
            Err(no_room())
        }
        Err(_) => Err(no_room()),
    }
}

fn no_room() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server/no-room", "the server has no room for the body now")
        .retry_after(30)
}

/// Takes some more of a body that nobody wants: a client that is still sending would not read the answer.
pub fn drain(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DRAIN, async move {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8], coding: Coding, limit: u64) -> Received {
        Received { held: Held::Memory(bytes.to_vec()), coding, limit, state: Arc::default() }
    }

    #[test]
    fn a_bomb_ends_where_the_limit_is() {
        let zeros = vec![0; 4 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&zeros).unwrap();
        let zstd = zstd::encode_all(&zeros[..], 3).unwrap();
        for (bytes, coding) in [(gzip.finish().unwrap(), Coding::Gzip), (zstd, Coding::Zstd)] {
            assert!(bytes.len() < 8192);
            assert_eq!(received(&bytes, coding, 4 << 20).bytes().unwrap().len(), 4 << 20);
            let bomb = received(&bytes, coding, (4 << 20) - 1);
            let reading = bomb.reading();
            assert!(bomb.bytes().is_err());
            assert_eq!(reading.problem().unwrap().status, StatusCode::PAYLOAD_TOO_LARGE);
            let broken = received(&bytes[..bytes.len() - 5], coding, 8 << 20);
            let reading = broken.reading();
            assert!(broken.bytes().is_err());
            assert_eq!(reading.problem().unwrap().status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn a_window_that_is_too_large_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&vec![7; 1 << 20]).unwrap();
        let bytes = encoder.finish().unwrap();
        assert!(received(&bytes, Coding::Zstd, 1 << 30).bytes().is_err());
    }
}
