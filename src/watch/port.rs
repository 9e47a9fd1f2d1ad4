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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    #[derive(Default)]
    struct Mask {
        alive: AtomicBool,
        ready: AtomicBool,
        asked: AtomicUsize,
    }

    impl Face for Mask {
        fn is_alive(&self) -> bool {
            self.alive.load(Ordering::SeqCst)
        }
        fn state(&self) -> State {
            if self.ready.load(Ordering::SeqCst) { State::Standby } else { State::Refused }
        }
        fn status(&self) -> Json {
            json!({ "project": "head-office" })
        }
        fn metrics(&self) -> String {
            "yubin_watch_leader 1\n".to_owned()
        }
        fn ask(&self) {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whoever wants to end the tests can still do so.
    fn end(_: Signal) {
        std::process::exit(1);
    }

    fn start() -> (SocketAddr, Arc<Mask>) {
        let mask = Arc::new(Mask::default());
        let address = open(Some(&addresses("127.0.0.1:0").unwrap()), Arc::clone(&mask) as Arc<dyn Face>, end);
        (address.unwrap().unwrap(), mask)
    }

    fn connect(address: SocketAddr) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        stream
    }

    struct Answer {
        status: u16,
        head: String,
        body: String,
    }

    impl Answer {
        fn has(&self, header: &str) -> bool {
            self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
        }
    }

    fn answer(reader: &mut impl BufRead, has_body: bool) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "cut: {head}");
        }
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; if has_body { length.unwrap_or(0) } else { 0 }];
        reader.read_exact(&mut body).unwrap();
        let status = head[9..12].parse().unwrap();
        Answer { status, head: head.replace("\r\n", "\n"), body: String::from_utf8(body).unwrap() }
    }

    fn raw(address: SocketAddr, request: &str) -> Answer {
        let mut stream = connect(address);
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut BufReader::new(stream), !request.starts_with("HEAD"))
    }

    fn call(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
        raw(address, &format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n"))
    }

    #[test]
    fn only_loopback_is_listened_at() {
        for good in ["127.0.0.1:0", "127.8.8.8:9180", "[::1]:0", "localhost:9180"] {
            assert!(addresses(good).unwrap().iter().all(|address| address.ip().is_loopback()), "{good}");
        }
        for (wrong, said) in [
            ("0.0.0.0:9180", "can be called from other machines"),
            ("[::]:9180", "can be called from other machines"),
            ("192.0.2.1:9180", "can be called from other machines"),
            ("9180", "takes a host and a port"),
            ("127.0.0.1", "takes a host and a port"),
            ("127.0.0.1:x", "names no address"),
            ("127.0.0.1:70000", "names no address"),
            (":", "names no address"),
        ] {
            let error = addresses(wrong).unwrap_err();
            assert!(error.code == Code::Usage && error.message.contains(said), "{wrong}: {error}");
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn a_port_that_is_taken_is_a_failure() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = open(Some(&[taken.local_addr().unwrap()]), Arc::<Mask>::default(), end).unwrap_err();
        assert!(error.message.contains("cannot listen at 127.0.0.1:"), "{error}");
        assert_eq!(open(None, Arc::<Mask>::default(), end).unwrap(), None);
    }

    #[test]
    fn every_call_is_answered() {
        let (address, mask) = start();
        let check = |path: &str, status: u16, form: &str, body: &str| {
            let got = call(address, "GET", path, "");
            assert_eq!((got.status, got.body.as_str()), (status, body), "{path}");
            assert!(got.has(&format!("content-type: {form}")), "{}", got.head);
            assert!(got.has("cache-control: no-store") && got.has("x-content-type-options: nosniff"), "{}", got.head);
            let head = call(address, "HEAD", path, "");
            assert_eq!((head.status, head.body.as_str()), (status, ""));
            assert!(head.has(&format!("content-length: {}", body.len())), "{}", head.head);
        };
        let plain = "text/plain; charset=utf-8";
        check("/healthz", 503, plain, "stuck");
        check("/readyz", 503, plain, "refused");
        mask.alive.store(true, Ordering::SeqCst);
        mask.ready.store(true, Ordering::SeqCst);
        check("/healthz", 200, plain, "ok");
        check("/readyz?verbose=1", 200, plain, "standby");
        check("/status", 200, "application/json", "{\"project\":\"head-office\"}\n");
        check("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "yubin_watch_leader 1\n");
        assert_eq!(mask.asked.load(Ordering::SeqCst), 0);
        for headers in ["", "Content-Length: 3\r\n\r\n{ }", "Transfer-Encoding: chunked\r\n\r\n0\r\n"] {
            let got = call(address, "POST", "/v1/sync", headers);
            assert_eq!(
                (got.status, got.body.as_str()),
                (202, "{\"format_version\":1,\"accepted\":true}\n"),
                "{headers}"
            );
        }
        assert_eq!(mask.asked.load(Ordering::SeqCst), 3);
    }

    #[track_caller]
    fn is_problem(got: &Answer, status: u16, code: &str) {
        assert_eq!(got.status, status, "{}{}", got.head, got.body);
        assert!(got.has("content-type: application/problem+json"), "{}", got.head);
        let json: Json = serde_json::from_str(&got.body).unwrap();
        assert_eq!((&json["status"], &json["code"]), (&json!(status), &json!(code)));
        assert!(got.has("cache-control: no-store") && got.has("x-content-type-options: nosniff"), "{}", got.head);
    }

    #[test]
    fn anything_else_is_a_problem() {
        let (address, mask) = start();
        for path in ["/", "/v1", "/v1/sync/", "/healthz/", "/STATUS", "//status"] {
            is_problem(&call(address, "GET", path, ""), 404, "request/not-found");
        }
        for (method, path, allow) in [
            ("POST", "/healthz", "GET, HEAD"),
            ("DELETE", "/status", "GET, HEAD"),
            ("OPTIONS", "/metrics", "GET, HEAD"),
            ("GET", "/v1/sync", "POST"),
            ("HEAD", "/v1/sync", "POST"),
            ("PUT", "/v1/sync", "POST"),
        ] {
            let got = call(address, method, path, "");
            assert_eq!(got.status, 405, "{method} {path}");
            assert!(got.has(&format!("allow: {allow}")), "{}", got.head);
            if method != "HEAD" {
                is_problem(&got, 405, "request/method");
            }
        }
        assert_eq!(mask.asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_page_in_a_browser_reaches_nothing() {
        let (address, mask) = start();
        mask.alive.store(true, Ordering::SeqCst);
        let port = address.port();
        let host = |host: &str| raw(address, &format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        for good in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:9180"] {
            assert_eq!(host(good).status, 200, "{good}");
        }
        for evil in [
            "evil.example",
            &format!("evil.example:{port}"),
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "2130706433",
            "x@localhost",
            "",
            "127.0.0.1, evil.example",
        ] {
            is_problem(&host(evil), 403, "request/host");
        }
        for request in [
            "GET /healthz HTTP/1.1\r\n\r\n".to_owned(),
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n".to_owned(),
            format!("GET http://evil.example:{port}/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ] {
            is_problem(&raw(address, &request), 403, "request/host");
        }
        for origin in ["https://evil.example", "null", "http://localhost", ""] {
            let got = call(address, "POST", "/v1/sync", &format!("Origin: {origin}\r\nContent-Length: 0\r\n"));
            is_problem(&got, 403, "request/origin");
        }
        assert_eq!(mask.asked.load(Ordering::SeqCst), 0);
        assert_eq!(call(address, "GET", "/healthz", "Origin: https://evil.example\r\n").status, 200);
    }

    #[test]
    fn long_bodies_are_refused() {
        let (address, mask) = start();
        let sized = |length: usize| format!("Content-Length: {length}\r\n\r\n{}", " ".repeat(length - 2));
        assert_eq!(call(address, "POST", "/v1/sync", &sized(BODY)).status, 202);
        is_problem(&call(address, "POST", "/v1/sync", &sized(BODY + 1)), 413, "request/too-long");
        // One that does not say how long it is.
        let chunk = format!("{:x}\r\n{}\r\n", BODY / 2, " ".repeat(BODY / 2));
        let chunks = format!("Transfer-Encoding: chunked\r\n\r\n{}1\r\n \r\n0\r\n", chunk.repeat(2));
        is_problem(&call(address, "POST", "/v1/sync", &chunks), 413, "request/too-long");
        assert_eq!(mask.asked.load(Ordering::SeqCst), 1);
        let long = format!("X: {}\r\n", "x".repeat(2 * HEAD));
        assert_eq!(call(address, "GET", "/healthz", &long).status, 431);
    }

    #[test]
    fn a_connection_may_be_used_again_and_ends_when_it_is_idle() {
        let (address, _) = start();
        let stream = connect(address);
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        for _ in 0..3 {
            (&stream).write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            assert_eq!(answer(&mut reader, true).status, 200);
        }
        // So does one whose head or body does not come.
        let (slow, begun) = (connect(address), connect(address));
        (&slow).write_all(b"GET /status HTTP/1.1\r\nHo").unwrap();
        (&begun).write_all(b"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{").unwrap();
        let since = Instant::now();
        is_problem(&answer(&mut BufReader::new(&begun), true), 408, "request/slow");
        for mut stream in [stream, slow] {
            let mut rest = Vec::new();
            // It may be reset as well.
            let _ = stream.read_to_end(&mut rest);
            assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
        }
    }

    #[test]
    fn whoever_holds_all_connections_shuts_nobody_out() {
        let (address, _) = start();
        let held: Vec<_> = (0..3 * LINES).map(|_| connect(address)).collect();
        let since = Instant::now();
        for _ in 0..5 {
            assert_eq!(call(address, "GET", "/status", "").status, 200);
        }
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        // The oldest have made room.
        let mut first = &held[0];
        assert!(matches!(first.read(&mut [0]), Ok(0) | Err(_)));
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    }

    /// Run by the test below in a process of its own, whose signals are nobody else's.
    #[test]
    fn what_is_heard_of_signals() {
        if std::env::var_os("YUBIN_TEST_SIGNALS").is_none() {
            return;
        }
        let (send, heard) = mpsc::channel();
        let address = open(None, Arc::<Mask>::default(), move |signal| {
            let _ = send.send(signal);
        });
        assert_eq!(address.unwrap(), None);
        #[cfg(unix)]
        {
            use rustix::process::{Signal as Posix, getpid, kill_process};
            for (told, expected) in [
                (Posix::HUP, Signal::Again),
                (Posix::TERM, Signal::Stop),
                (Posix::HUP, Signal::Again),
                (Posix::INT, Signal::Stop),
            ] {
                kill_process(getpid(), told).unwrap();
                assert_eq!(heard.recv_timeout(Duration::from_secs(10)).unwrap(), expected);
            }
        }
    }

    #[test]
    fn signals_are_heard() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "watch::port::tests::what_is_heard_of_signals"]).env("YUBIN_TEST_SIGNALS", "1");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
