//! Bodies of answers: whole, or streamed from a thread through a short channel, which stops the thread where the
//! client does not read.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::incoming::Coding;

const CHUNK: usize = 64 * 1024;
/// Chunks that wait for the client: what fits here never holds a thread.
const CHUNKS: usize = 8;
/// Shorter answers are not worth it.
const COMPRESSED: usize = 1024;
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 4;

pub type Sender = mpsc::Sender<io::Result<Bytes>>;

enum Kind {
    Whole(Bytes),
    Stream(mpsc::Receiver<io::Result<Bytes>>),
}

pub struct Outgoing {
    kind: Kind,
    /// What is counted until the client has everything.
    held: Vec<Box<dyn Send + Sync>>,
}

impl Outgoing {
    pub fn whole(bytes: impl Into<Bytes>) -> Outgoing {
        Outgoing { kind: Kind::Whole(bytes.into()), held: Vec::new() }
    }

    pub fn channel() -> (Sender, Outgoing) {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        (sender, Outgoing { kind: Kind::Stream(receiver), held: Vec::new() })
    }

    /// Holds something until the body has been sent, or nobody reads it any more.
    pub fn hold(&mut self, held: Box<dyn Send + Sync>) {
        self.held.push(held);
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.kind {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream(receiver) => receiver.poll_recv(context).map(|next| next.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// A whole body, compressed where that is worth it.
pub fn compress(bytes: Vec<u8>, coding: Coding) -> (Vec<u8>, Coding) {
    if bytes.len() < COMPRESSED {
        return (bytes, Coding::Identity);
    }
    let compressed = match coding {
        Coding::Identity => return (bytes, coding),
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(&bytes).and_then(|()| encoder.finish())
        }
        Coding::Zstd => zstd::encode_all(&bytes[..], ZSTD_LEVEL),
    };
    match compressed {
        Ok(compressed) => (compressed, coding),
        Err(_) => (bytes, Coding::Identity),
    }
}

enum Encoder {
    Plain(Chunks),
    Gzip(flate2::write::GzEncoder<Chunks>),
    Zstd(zstd::Encoder<'static, Chunks>),
}

/// The thread's end of a stream. Dropped before it is finished, the client sees that the answer was cut.
pub struct Sink {
    encoder: Option<Encoder>,
    sender: Sender,
    runtime: Handle,
}

impl Sink {
    /// Only on a thread that may wait.
    pub fn new(sender: Sender, coding: Coding, stall: Duration, runtime: &Handle) -> io::Result<Sink> {
        let chunks = Chunks { sender: sender.clone(), chunk: Vec::new(), stall, runtime: runtime.clone() };
        let encoder = match coding {
            Coding::Identity => Encoder::Plain(chunks),
            Coding::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(chunks, flate2::Compression::new(GZIP_LEVEL))),
            Coding::Zstd => Encoder::Zstd(zstd::Encoder::new(chunks, ZSTD_LEVEL)?),
        };
        Ok(Sink { encoder: Some(encoder), sender, runtime: runtime.clone() })
    }

    /// Says that this was all.
    pub fn finish(mut self) -> io::Result<()> {
        let mut chunks = match self.encoder.take() {
            None => return Ok(()),
            Some(Encoder::Plain(chunks)) => chunks,
            Some(Encoder::Gzip(encoder)) => encoder.finish()?,
            Some(Encoder::Zstd(encoder)) => encoder.finish()?,
        };
        chunks.send()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            Some(Encoder::Plain(to)) => to.write(bytes),
            Some(Encoder::Gzip(to)) => to.write(bytes),
            Some(Encoder::Zstd(to)) => to.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.encoder {
            Some(Encoder::Plain(to)) => to.flush(),
            Some(Encoder::Gzip(to)) => to.flush(),
            Some(Encoder::Zstd(to)) => to.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.encoder.is_none() {
            return;
        }
        // Encoders write their end where they are dropped: that must not reach the client as a good one.
        let (sender, runtime) = (self.sender.clone(), self.runtime.clone());
        let cut = Err(io::Error::new(io::ErrorKind::Interrupted, "the answer was cut"));
        if let Err(mpsc::error::TrySendError::Full(cut)) = sender.try_send(cut) {
            runtime.spawn(async move {
                // A client that has gone needs not be told.
                let _ = sender.send(cut).await;
            });
        }
        match self.encoder.as_mut() {
            Some(Encoder::Plain(chunks)) => chunks.chunk.clear(),
            Some(Encoder::Gzip(encoder)) => encoder.get_mut().close(),
            Some(Encoder::Zstd(encoder)) => encoder.get_mut().close(),
            None => {}
        }
    }
}

struct Chunks {
    sender: Sender,
    chunk: Vec<u8>,
    stall: Duration,
    runtime: Handle,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let chunk = match self.sender.try_send(Ok(chunk)) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(mpsc::error::TrySendError::Full(chunk)) => chunk,
        };
        match self.runtime.block_on(async { tokio::time::timeout(self.stall, self.sender.send(chunk)).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")),
        }
    }

    /// Lets nothing more through.
    fn close(&mut self) {
        self.chunk.clear();
        self.sender = mpsc::channel(1).0;
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() >= CHUNK {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::runtime::Runtime;

    fn collect(runtime: &Runtime, body: Outgoing) -> io::Result<Vec<u8>> {
        runtime.block_on(body.collect()).map(|all| all.to_bytes().to_vec())
    }

    #[test]
    fn a_stream_is_whole_or_cut() {
        let runtime = Runtime::new().unwrap();
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            for whole in [true, false] {
                let (sender, body) = Outgoing::channel();
                let handle = runtime.handle().clone();
                let thread = std::thread::spawn(move || {
                    let mut sink = Sink::new(sender, coding, Duration::from_secs(5), &handle).unwrap();
                    for line in 0..100_000u32 {
                        writeln!(sink, "{}", line.wrapping_mul(2_654_435_761)).unwrap();
                    }
                    if whole {
                        sink.finish().unwrap();
                    }
                });
                let got = collect(&runtime, body);
                thread.join().unwrap();
                assert_eq!(got.is_ok(), whole, "{coding:?}");
            }
        }
    }

    #[test]
    fn a_client_that_does_not_read_holds_no_thread() {
        let runtime = Runtime::new().unwrap();
        let (sender, body) = Outgoing::channel();
        let mut sink = Sink::new(sender, Coding::Identity, Duration::from_millis(50), runtime.handle()).unwrap();
        let error = io::copy(&mut io::repeat(7).take(1 << 30), &mut sink).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(body);
    }

    use std::io::Read;
}
