//! Many small reads at a steady rate, and connections that do nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// Connections that share the rate.
const THREADS: u32 = 16;
const TIMEOUT: Duration = Duration::from_secs(10);

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(BufReader::new(stream))
}

/// The body of an answer of 200.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> io::Result<String> {
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut line, mut first, mut length, mut chunked) = (String::new(), true, None, false);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if std::mem::take(&mut first) && !text.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(text.to_owned()));
        }
        if text.is_empty() {
            break;
        }
        if let Some((_, value)) = text.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            length = value.trim().parse().ok();
        }
        chunked |= text.eq_ignore_ascii_case("transfer-encoding: chunked");
    }
    let mut body = Vec::new();
    if chunked {
        let mut size = 1;
        while size > 0 {
            line.clear();
            stream.read_line(&mut line)?;
            size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let from = body.len();
            body.resize(from + size, 0);
            stream.read_exact(&mut body[from..])?;
            stream.read_line(&mut line)?;
        }
    } else {
        body.resize(length.ok_or_else(|| io::Error::other("an answer without a length"))?, 0);
        stream.read_exact(&mut body)?;
    }
    String::from_utf8(body).map_err(io::Error::other)
}

fn request(token: &str, path: &str) -> String {
    let authorization = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{authorization}\r\n")
}

pub fn get(address: SocketAddr, token: &str, path: &str) -> io::Result<String> {
    ask(&mut connect(address)?, &request(token, path))
}

/// What came of many reads.
pub struct Reads {
    /// From the moment when each was due, in ascending order.
    latencies: Vec<Duration>,
    took: Duration,
    pub failed: u64,
}

#[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "counts are far below 2^52")]
impl Reads {
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// In milliseconds, how long this part of them took at most.
    pub fn within(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * part).round() as usize;
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Reads at this rate until it is over. A read that is late does not make the next one later: who waits, waits
/// from the moment when it was due.
pub fn reads(address: SocketAddr, token: &str, rate: u32, mut is_over: impl FnMut() -> bool) -> Result<Reads> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let each = Duration::from_secs(1) * THREADS / rate;
    let (mut latencies, mut failed) = (Vec::new(), 0);
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let stop = &stop;
                scope.spawn(move || -> io::Result<(Vec<Duration>, u64)> {
                    // The revision, and every other time a page of a few resources.
                    let paths = ["/v1/revision", "/v1/resources?limit=5&after=pattern%2Fu000500%2Fmain"];
                    let requests = paths.map(|path| request(token, path));
                    let mut stream = connect(address)?;
                    let (mut latencies, mut failed) = (Vec::new(), 0);
                    let mut due = start + each * number / THREADS;
                    for request in requests.iter().cycle() {
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        if ask(&mut stream, request).is_ok() {
                            latencies.push(due.elapsed());
                        } else {
                            failed += 1;
                            stream = connect(address)?;
                        }
                        due += each;
                    }
                    Ok((latencies, failed))
                })
            })
            .collect();
        while !is_over() {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        for one in threads {
            let (some, lost) = one.join().map_err(|_| "a thread has failed")??;
            latencies.extend(some);
            failed += lost;
        }
        Ok(())
    })?;
    let took = start.elapsed();
    latencies.sort_unstable();
    Ok(Reads { latencies, took, failed })
}

/// Connections that have asked once and stay.
pub fn idle(address: SocketAddr, token: &str, count: usize) -> Result<Vec<BufReader<TcpStream>>> {
    let request = request(token, "/v1/revision");
    let mut all = Vec::new();
    for _ in 0..count {
        let mut stream = connect(address)?;
        ask(&mut stream, &request)?;
        all.push(stream);
    }
    // None of them was sent away for the others.
    let mut last = all.pop().ok_or("no connection")?;
    ask(&mut last, &request)?;
    all.push(last);
    Ok(all)
}
