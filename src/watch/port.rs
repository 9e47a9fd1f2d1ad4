//! What reaches a watcher from outside: signals, and calls on its status port. A thread of its own hears both; only
//! there is anything async. What is shown is a `Face`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::model::watch::State;
use crate::model::{Code, Error, Result};
use crate::serve::outgoing::Outgoing;
use crate::serve::problem::Problem;
use crate::serve::signals::{self, Reload, Stop};
use crate::serve::steady::Steady;
use crate::serve::{JSON, TEXT, drain};
use crate::wire::FORMAT_VERSION;

/// What the port shows, and whom it tells.
pub trait Face: Send + Sync + 'static {
    fn is_alive(&self) -> bool;
    fn state(&self) -> State;
    fn status(&self) -> Json;
    fn metrics(&self) -> String;
    /// Somebody asks for a sync.
    fn ask(&self);
}

/// What the system has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Again,
}

/// Connections at once.
const LINES: usize = 64;
/// How long the head of a request may take, and a body; and how long a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may not read its answer.
const STALL: Duration = Duration::from_secs(30);
const HEAD: usize = 16 * 1024;
const BODY: usize = 64 * 1024;

/// The addresses of `--status`, all of this machine.
pub fn addresses(text: &str) -> Result<Vec<SocketAddr>> {
    let wrong = |message: &str| {
        Error::new(Code::Usage, message).hint("such as `--status 127.0.0.1:9180`; port 0 takes a free one")
    };
    if !text.contains(':') {
        return Err(wrong("`--status` takes a host and a port"));
    }
    let found = text.to_socket_addrs().map_err(|error| wrong("`--status` names no address").because(error))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(wrong("`--status` names no address"));
    }
    if found.iter().any(|address| !address.ip().is_loopback()) {
        let message = format!("the status port asks nobody who calls, and {text} can be called from other machines");
        return Err(Error::new(Code::Usage, message)
            .hint("take one of loopback, and a proxy that asks, or `ssh -L 9180:127.0.0.1:9180 HOST`, to reach it"));
    }
    Ok(found)
}

/// Listens until the process ends, at the first of the addresses that can be had, and for signals in any case. The
/// address is the one that was taken.
pub fn open(
    address: Option<&[SocketAddr]>,
    face: Arc<dyn Face>,
    heard: impl Fn(Signal) + Send + Sync + 'static,
) -> Result<Option<SocketAddr>> {
    let failed = |error: io::Error| Error::failure("the thread of the status port cannot be started").because(error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (listener, taken, signals) = {
        let _inside = runtime.enter();
        // From here on a signal does not end the process.
        let signals = signals::listen()?;
        match address.map(bind).transpose()? {
            Some((listener, taken)) => (Some(listener), Some(taken), signals),
            None => (None, None, signals),
        }
    };
    let run = move || {
        runtime.block_on(async {
            match listener {
                Some(listener) => {
                    tokio::join!(hear(signals, heard), accept(listener, face));
                }
                None => hear(signals, heard).await,
            }
        });
    };
    thread::Builder::new().name("status".to_owned()).spawn(run).map_err(failed)?;
    Ok(taken)
}

fn bind(addresses: &[SocketAddr]) -> Result<(TcpListener, SocketAddr)> {
    let mut failure = Error::failure("the status port has no address");
    for address in addresses {
        let bound = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let taken = listener.local_addr()?;
            Ok((TcpListener::from_std(listener)?, taken))
        });
        match bound {
            Ok(bound) => return Ok(bound),
            Err(error) => {
                failure = Error::failure(format!("the status port cannot listen at {address}")).because(error);
            }
        }
    }
    Err(failure)
}

async fn hear((mut stop, mut reload): (Stop, Reload), heard: impl Fn(Signal)) {
    loop {
        tokio::select! {
            () = stop.heard() => heard(Signal::Stop),
            () = reload.heard() => heard(Signal::Again),
        }
    }
}

async fn accept(listener: TcpListener, face: Arc<dyn Face>) {
    // The oldest first.
    let mut lines: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                lines.retain(|line| !line.is_finished());
                if lines.len() >= LINES {
                    make_room(&mut lines);
                }
                lines.push_back(tokio::spawn(talk(stream, Arc::clone(&face))).abort_handle());
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            // Without file descriptors, others must go first.
            Err(_) => {
                make_room(&mut lines);
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Answers are short, so that the oldest connection is most likely one that is idle.
fn make_room(lines: &mut VecDeque<AbortHandle>) {
    if let Some(oldest) = lines.pop_front() {
        oldest.abort();
    }
}

async fn talk(stream: TcpStream, face: Arc<dyn Face>) {
    let stream = Steady::new(stream, STALL);
    let service = service_fn(|request| answer(&*face, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD);
    // What went wrong on one connection is known to its client.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// A path, whether a call begins something, and what it answers.
type Route = (&'static str, bool, fn(&dyn Face) -> Response<Outgoing>);

static ROUTES: [Route; 5] = [
    ("/healthz", false, |face| {
        if face.is_alive() { text(StatusCode::OK, "ok") } else { text(StatusCode::SERVICE_UNAVAILABLE, "stuck") }
    }),
    ("/readyz", false, |face| {
        let state = face.state();
        text(if state.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, state.name())
    }),
    ("/status", false, |face| document(StatusCode::OK, &face.status())),
    ("/metrics", false, |face| of(StatusCode::OK, TEXT, face.metrics())),
    ("/v1/sync", true, |face| {
        face.ask();
        document(StatusCode::ACCEPTED, &json!({ "format_version": FORMAT_VERSION, "accepted": true }))
    }),
];

fn of(status: StatusCode, form: &'static str, text: String) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    response
}

fn text(status: StatusCode, word: &str) -> Response<Outgoing> {
    of(status, "text/plain; charset=utf-8", word.to_owned())
}

fn document(status: StatusCode, json: &Json) -> Response<Outgoing> {
    of(status, JSON, format!("{json}\n"))
}

async fn answer(face: &dyn Face, request: Request<Incoming>) -> std::result::Result<Response<Outgoing>, Infallible> {
    let (head, mut body) = request.into_parts();
    let begun = match begin(&head) {
        Ok(route) => receive(&mut body).await.map(|()| route),
        Err(problem) => Err(problem),
    };
    let mut response = match begun {
        Ok((_, _, run)) => run(face),
        Err(problem) => {
            drain(body);
            problem.response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn begin(head: &Parts) -> std::result::Result<&'static Route, Problem> {
    // A page of a stranger may have given this machine a name of its own, or sends a form here.
    if !is_called_by_name(head) {
        let detail = "this port is called by an address of loopback or as `localhost`";
        return Err(Problem::new(StatusCode::FORBIDDEN, "request/host", detail));
    }
    if head.method == Method::POST && head.headers.contains_key(header::ORIGIN) {
        let detail = "a page in a browser may not begin anything here";
        return Err(Problem::new(StatusCode::FORBIDDEN, "request/origin", detail));
    }
    let path = head.uri.path();
    let route = ROUTES.iter().find(|route| route.0 == path).ok_or_else(|| Problem::missing("there is no such path"))?;
    let (allow, fits) = if route.1 {
        ("POST", head.method == Method::POST)
    } else {
        ("GET, HEAD", matches!(head.method, Method::GET | Method::HEAD))
    };
    if fits {
        return Ok(route);
    }
    let detail = format!("this path takes {allow} only");
    let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "request/method", detail);
    problem.allow = Some(allow.into());
    Err(problem)
}

fn is_called_by_name(head: &Parts) -> bool {
    let hosts: Vec<&HeaderValue> = head.headers.get_all(header::HOST).iter().collect();
    let [host] = hosts.as_slice() else { return false };
    let named = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    named.is_some_and(|host| is_here(&host)) && head.uri.authority().is_none_or(is_here)
}

fn is_here(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !authority.as_str().contains('@')
        && (host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// Takes a body that says nothing.
async fn receive(body: &mut Incoming) -> std::result::Result<(), Problem> {
    let too_long = || {
        let detail = format!("the body is longer than {BODY} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request/too-long", detail)
    };
    if body.size_hint().lower() > BODY as u64 {
        return Err(too_long());
    }
    let all = async {
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::bad("the body ended before it was complete"))?;
            length += frame.data_ref().map_or(0, bytes::Bytes::len);
            if length > BODY {
                return Err(too_long());
            }
        }
        Ok(())
    };
    let slow = || Problem::new(StatusCode::REQUEST_TIMEOUT, "request/slow", "the body did not arrive in time");
    timeout(PATIENCE, all).await.unwrap_or_else(|_| Err(slow()))
}
