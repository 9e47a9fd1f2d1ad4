//! Connections: how many, how long they may be idle, and how they end.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Server;
use super::limits::Limits;
use super::steady::Steady;

/// A connection, as those see it who look for one that may go.
pub struct Line {
    pub peer: SocketAddr,
    /// Requests in work on it.
    pub busy: AtomicUsize,
    /// Milliseconds since the start at which it became idle.
    idle_since: AtomicU64,
    close: Notify,
}

/// A request in work on a connection.
pub struct Busy {
    line: Arc<Line>,
    server: Arc<Server>,
}

impl Busy {
    pub fn new(server: &Arc<Server>, line: &Arc<Line>) -> Busy {
        line.busy.fetch_add(1, Ordering::AcqRel);
        server.figures.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy { line: Arc::clone(line), server: Arc::clone(server) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.line.idle_since.store(self.server.now(), Ordering::Release);
        self.line.busy.fetch_sub(1, Ordering::AcqRel);
        self.server.figures.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All open connections.
#[derive(Default)]
pub struct Lines {
    open: Mutex<HashMap<u64, Arc<Line>>>,
    next: AtomicU64,
    /// Told when one has gone.
    gone: Notify,
}

impl Lines {
    fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn add(&self, line: &Arc<Line>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(line));
        id
    }

    fn remove(&self, id: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.gone.notify_waiters();
    }

    /// Closes the connection that has been idle for the longest, to make room; `false` if all are at work.
    fn shed(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = open.iter().filter(|(_, line)| line.busy.load(Ordering::Acquire) == 0);
        let oldest = idle.min_by_key(|(_, line)| line.idle_since.load(Ordering::Acquire)).map(|(id, _)| *id);
        let Some(line) = oldest.and_then(|id| open.remove(&id)) else { return false };
        line.close.notify_one();
        true
    }

    /// Waits until there is none left.
    pub async fn empty(&self) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            gone.await;
        }
    }
}

/// Accepts until the server stops.
pub async fn accept(server: Arc<Server>, listener: TcpListener) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(server.limits.idle).max_buf_size(4 * Limits::HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(2 * Limits::HEAD as u32)
        .max_concurrent_streams(100)
        .max_send_buf_size(64 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    let builder = Arc::new(builder);
    let mut stop = server.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(&server, &builder, stream, peer),
            // That one connection failed is its own matter; without file descriptors, others must go first.
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    super::say(&format!("error: a connection cannot be accepted: {error}"));
                    server.lines.shed();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

fn admit(server: &Arc<Server>, builder: &Arc<Builder<TokioExecutor>>, stream: TcpStream, peer: SocketAddr) {
    if server.lines.len() >= server.limits.connections {
        server.figures.shed.fetch_add(1, Ordering::Relaxed);
        if !server.lines.shed() {
            // All are at work: this one is the one too many.
            return;
        }
    }
    // Small answers must not wait for others. Nothing depends on it.
    let _ = stream.set_nodelay(true);
    let line = Arc::new(Line {
        peer,
        busy: AtomicUsize::new(0),
        idle_since: AtomicU64::new(server.now()),
        close: Notify::new(),
    });
    let (server, builder) = (Arc::clone(server), Arc::clone(builder));
    let id = server.lines.add(&line);
    server.figures.connections.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        let stream = Steady::new(stream, server.limits.stall);
        match server.tls.as_ref().map(super::tls::Tls::config) {
            None => talk(&server, &builder, &line, stream).await,
            Some(config) => {
                let shaking = tokio_rustls::TlsAcceptor::from(config).accept(stream);
                tokio::select! {
                    shaken = timeout(Limits::HANDSHAKE, shaking) => if let Ok(Ok(stream)) = shaken {
                        // It is far larger than a plain one.
                        Box::pin(talk(&server, &builder, &line, stream)).await;
                    },
                    () = line.close.notified() => {}
                }
            }
        }
        server.figures.connections.fetch_sub(1, Ordering::Relaxed);
        server.lines.remove(id);
    });
}

async fn talk<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    server: &Arc<Server>,
    builder: &Builder<TokioExecutor>,
    line: &Arc<Line>,
    stream: T,
) {
    // In a box, so that an idle connection does not keep the room for a call.
    let service = service_fn(|request| Box::pin(super::serve(Arc::clone(server), Arc::clone(line), request)));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut stop: watch::Receiver<bool> = server.stop.subscribe();
    let mut closing = *stop.borrow_and_update();
    if closing {
        connection.as_mut().graceful_shutdown();
    }
    let idle = server.limits.idle;
    let deadline = sleep_until(Instant::now() + idle);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            // What went wrong on one connection is known to its client.
            _ = connection.as_mut() => return,
            _ = stop.changed(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = line.close.notified() => return,
            () = deadline.as_mut() => {
                let since = Duration::from_millis(server.now().saturating_sub(line.idle_since.load(Ordering::Acquire)));
                let busy = line.busy.load(Ordering::Acquire) > 0;
                let left = if busy { idle } else { idle.saturating_sub(since) };
                if !left.is_zero() {
                    deadline.as_mut().reset(Instant::now() + left);
                } else if closing {
                    return;
                } else {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    deadline.as_mut().reset(Instant::now() + Duration::from_secs(1));
                }
            }
        }
    }
}
