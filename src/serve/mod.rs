//! The server: a store over HTTP. Only here is anything async, and only as far as the socket: every call is a
//! plain function on a thread. The status port of `watch` shares some of its parts.

mod accept;
mod audit;
mod call;
mod desk;
mod events;
mod incoming;
mod limits;
mod listen;
mod login;
pub mod metrics;
mod migrations;
mod openapi;
pub mod outgoing;
mod param;
mod pool;
pub mod problem;
mod routes;
mod shapes;
pub mod signals;
mod state;
mod status;
pub mod steady;
mod tls;
mod turns;

use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::timeout;

use self::audit::{Audit, Entry};
use self::call::{Call, Told};
use self::incoming::{Coding, receive};
use self::listen::{Busy, Line, Lines};
use self::login::{Logins, login};
use self::outgoing::Outgoing;
use self::pool::{Pools, Work};
use self::problem::Problem;
use self::routes::{Route, Run};
use self::status::{Figures, Glance};
use self::tls::Tls;
use crate::model::{Error, Result, Token, harmless};
use crate::pipeline::hosted::Hosted;
use crate::store::Desk;
use crate::wire::remote::API;

pub use call::{JSON, TEXT};
pub use incoming::drain;
pub use limits::Limits;
pub use openapi::document;

/// What a server is started with.
pub struct Options {
    /// The first of these that can be had.
    pub listen: Vec<SocketAddr>,
    /// Files of the certificate chain and of its key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether a proxy stands before it, which says who calls.
    pub behind_proxy: bool,
    pub limits: Limits,
    pub audit: Option<PathBuf>,
}

pub struct Server {
    hosted: Hosted,
    limits: Limits,
    tls: Option<Tls>,
    behind_proxy: bool,
    audit: Audit,
    logins: Logins,
    pools: Pools,
    figures: Figures,
    seen: Glance,
    lines: Lines,
    in_flight: Arc<Semaphore>,
    /// Counts what has been applied, as far as this server has heard.
    applied: watch::Sender<u64>,
    /// Told when somebody begins to wait.
    waiters: Notify,
    stop: watch::Sender<bool>,
    started: Instant,
}

impl Server {
    fn desk(&self) -> &dyn Desk {
        self.hosted.desk()
    }

    /// The revision, as of a second ago at most; `None` if the store cannot be reached.
    fn glance(&self) -> Option<u64> {
        self.seen.of(|| self.hosted.base().ok().map(|base| base.revision))
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn applied(&self) {
        self.figures.applies.fetch_add(1, Ordering::Relaxed);
        self.applied.send_modify(|count| *count += 1);
    }

    /// Who calls: the other end of the connection, or whom the proxy names.
    fn peer(&self, line: &Line, headers: &HeaderMap) -> IpAddr {
        let named = || {
            // The last entry is the proxy's own; those before it anybody could have written.
            let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse().ok()
        };
        self.behind_proxy.then(named).flatten().unwrap_or_else(|| line.peer.ip())
    }
}

/// A message of the server, with its secrets left out by those who say it.
fn say(message: &str) {
    // Nobody can be told that stderr is gone.
    let _ = writeln!(anstream::stderr(), "{}", harmless(message));
}

/// Serves until a signal stops it. `listening` is told the address.
pub fn run(hosted: Hosted, options: Options, listening: impl FnOnce(SocketAddr) -> Result<()>) -> Result<()> {
    let Options { listen, tls, behind_proxy, mut limits, audit } = options;
    let audit = Audit::open(audit)?;
    let tls = tls.map(|(certificate, key)| Tls::open(certificate, key)).transpose()?;
    limits.connections = signals::affordable(limits.connections);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(Pools::THREADS)
        .build()
        .map_err(|error| Error::failure("the server cannot start its threads").because(error))?;
    let grace = limits.grace;
    let server = Arc::new(Server {
        hosted,
        tls,
        behind_proxy,
        audit,
        logins: Logins::new(&limits),
        pools: Pools::new(),
        figures: Figures::default(),
        seen: Glance::default(),
        lines: Lines::default(),
        in_flight: Arc::new(Semaphore::new(limits.in_flight)),
        applied: watch::Sender::new(0),
        waiters: Notify::new(),
        stop: watch::Sender::new(false),
        started: Instant::now(),
        limits,
    });
    let result = runtime.block_on(async {
        let (listener, address) = bind(&listen)?;
        let (mut stop, reload) = signals::listen()?;
        tokio::spawn(events::watch(Arc::clone(&server)));
        tokio::spawn(look_after(Arc::clone(&server), reload));
        listening(address)?;
        let accepting = tokio::spawn(listen::accept(Arc::clone(&server), listener));
        stop.heard().await;
        say("stopping: what is in flight is finished first");
        server.stop.send_replace(true);
        // The socket is closed with it.
        let _ = accepting.await;
        tokio::select! {
            left = timeout(grace, server.lines.empty()) => if left.is_err() {
                say("what is still in flight is given up; what is not committed is rolled back");
            },
            () = stop.heard() => {}
        }
        Ok(())
    });
    server.audit.sum_up(true);
    // Threads that are still at work end with the process, and their transactions with them.
    runtime.shutdown_background();
    result
}

fn bind(addresses: &[SocketAddr]) -> Result<(tokio::net::TcpListener, SocketAddr)> {
    // Many may come at once.
    const BACKLOG: u32 = 4096;
    let mut failure = None;
    for address in addresses {
        let bound = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(*address)?;
            let listener = socket.listen(BACKLOG)?;
            let real = listener.local_addr()?;
            Ok((listener, real))
        });
        match bound {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = Some((address, error)),
        }
    }
    Err(match failure {
        Some((address, error)) => Error::failure(format!("the server cannot listen at {address}")).because(error),
        None => Error::failure("the name to listen at has no address"),
    })
}

/// Certificates that change, and the sums of the audit.
async fn look_after(server: Arc<Server>, mut reload: signals::Reload) {
    loop {
        let hung_up = tokio::select! {
            () = reload.heard() => true,
            () = tokio::time::sleep(Duration::from_secs(1)) => false,
        };
        let at = Arc::clone(&server);
        let looked = tokio::task::spawn_blocking(move || {
            if hung_up {
                at.audit.reopen();
                at.logins.forget();
            }
            if let Some(tls) = &at.tls {
                if hung_up { tls.reload() } else { tls.look() }
            }
            at.audit.sum_up(false);
        });
        // That one look failed does not end the next.
        let _ = looked.await;
    }
}

/// Does work that waits for the store on a thread of its sort.
async fn work<T: Send + 'static>(
    server: &Arc<Server>,
    sort: Work,
    job: impl FnOnce(&Server) -> std::result::Result<T, Problem> + Send + 'static,
) -> std::result::Result<T, Problem> {
    let permit = server.pools.place(sort).await?;
    let server = Arc::clone(server);
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        job(&server)
    });
    done.await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "server/failed", "the server failed; its log says how")
}

/// What is known of a call by the time it is answered.
#[derive(Default)]
struct Known {
    route: Option<&'static Route>,
    token: Option<Arc<Token>>,
}

/// Answers one request.
async fn serve(
    server: Arc<Server>,
    line: Arc<Line>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Outgoing>, Infallible> {
    let begun = Instant::now();
    let busy = Busy::new(&server, &line);
    let peer = server.peer(&line, request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut known = Known::default();
    let answered = answer(&server, peer, request, &mut known).await;
    let (mut response, code) = match answered {
        Ok(response) => (response, None),
        Err(problem) => (problem.response(), Some(problem.code)),
    };
    decorate(response.headers_mut());
    response.body_mut().hold(Box::new(busy));
    let status = response.status();
    // Methods and paths of others are anybody's words.
    let (name, template) = known.route.map_or(("other", "other"), |route| (route.method, route.path));
    server.figures.count(name, template, status.as_u16(), begun.elapsed());
    let refused = matches!(status.as_u16(), 401 | 403 | 429);
    let changes = known.route.is_some_and(|route| route.changes);
    if refused || (changes && status.is_client_error()) {
        server.figures.refusals.fetch_add(1, Ordering::Relaxed);
    }
    if refused || (changes && known.token.is_some()) {
        let told = response.extensions_mut().remove::<Told>().unwrap_or_default();
        let path: String = path.chars().take(512).collect();
        let told_code = told.code.as_deref().or(code);
        let entry = Entry {
            token: known.token.as_deref(),
            peer,
            method: method.as_str(),
            path: &path,
            status: status.as_u16(),
            code: told_code,
            revision: told.revision,
            refused,
        };
        server.audit.write(&entry);
    }
    Ok(response)
}

fn decorate(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding, authorization"));
    headers.insert(HeaderName::from_static("yubin-version"), HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    headers.insert(HeaderName::from_static("yubin-api"), HeaderValue::from_static(API));
}

async fn answer(
    server: &Arc<Server>,
    peer: IpAddr,
    request: Request<Incoming>,
    known: &mut Known,
) -> std::result::Result<Response<Outgoing>, Problem> {
    let (head, body) = request.into_parts();
    let begun = begin(server, peer, &head, &body, known).await;
    let (route, given, form, body_form, encoding) = match begun {
        Ok(begun) => begun,
        Err(problem) => {
            drain(body);
            return Err(problem);
        }
    };
    let coding = accept::coding(&head.headers);
    if let Run::Here(run) = route.run {
        let (server, token) = (Arc::clone(server), known.token.clone());
        let runtime = Handle::current();
        let mut call = Call { server, given, token, form, body_form, body: None, coding, head: None, runtime };
        return run(&mut call)?.response(coding).ok_or_else(panicked);
    }
    let Ok(permit) = Arc::clone(&server.in_flight).try_acquire_owned() else {
        drain(body);
        return Err(Problem::busy("too many requests are in work"));
    };
    let body = match &route.body {
        None => None,
        Some(takes) => {
            let limit = if takes.long { server.limits.changeset } else { server.limits.body };
            Some(receive(body, encoding, limit, server.limits.stall).await?)
        }
    };
    let (sender, receiver) = oneshot::channel();
    let call = Call {
        server: Arc::clone(server),
        given,
        token: known.token.clone(),
        form,
        body_form,
        body,
        coding,
        head: Some(sender),
        runtime: Handle::current(),
    };
    match route.run {
        Run::Here(_) => Err(panicked()),
        Run::Events => events::answer(call, permit).await,
        Run::Work(sort, run) => {
            let place = server.pools.place(sort).await?;
            tokio::task::spawn_blocking(move || {
                let (_permit, _place) = (permit, place);
                carry_out(call, run);
            });
            // Nobody answers where the thread has panicked.
            receiver.await.map_err(|_| panicked())?
        }
    }
}

/// What the thread has to say: an answer, or why there is none.
type Said = std::result::Result<Response<Outgoing>, Problem>;

fn carry_out(mut call: Call, run: fn(&mut Call) -> call::Outcome) {
    let reading = call.body.as_ref().map(incoming::Received::reading);
    let done = run(&mut call);
    let Some(to) = call.head.take() else { return };
    let said: Said = match done {
        // A handler sees only that it could not read on.
        Err(problem) => Err(reading.and_then(|reading| reading.problem()).unwrap_or(problem)),
        Ok(answer) => answer.response(call.coding).ok_or_else(panicked),
    };
    // A client that has gone needs no answer.
    let _ = to.send(said);
}

/// A request that may begin: its route, parameters, and forms of answer and body.
type Begun = (&'static Route, param::Given, &'static str, &'static str, Coding);

async fn begin(
    server: &Arc<Server>,
    peer: IpAddr,
    head: &hyper::http::request::Parts,
    body: &Incoming,
    known: &mut Known,
) -> std::result::Result<Begun, Problem> {
    let length: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if length > Limits::HEAD {
        let detail = format!("the head of the request is longer than {} bytes", Limits::HEAD);
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "request/head", detail));
    }
    let (path, query) = (head.uri.path(), head.uri.query());
    if path.len() + query.map_or(0, str::len) > Limits::PATH {
        let detail = format!("path and query are longer than {} bytes", Limits::PATH);
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "request/path", detail));
    }
    let (route, in_path) = routes::find(&head.method, path)?;
    known.route = Some(route);
    if let Some(scope) = route.scope {
        match login(server, &head.headers, peer, scope).await {
            Ok(token) => known.token = Some(token),
            Err((problem, token)) => {
                known.token = token;
                return Err(problem);
            }
        }
    }
    let given = param::take(route.params, in_path, query, &head.headers)?;
    let mut offered: Vec<&'static str> = Vec::new();
    for (form, _) in route.answers.iter().flat_map(|gives| gives.forms) {
        if !offered.contains(form) {
            offered.push(form);
        }
    }
    let form = match offered.as_slice() {
        [] => JSON,
        offered => accept::form(&head.headers, offered).ok_or_else(|| {
            Problem::new(StatusCode::NOT_ACCEPTABLE, "request/accept", "no form of the answer is acceptable")
                .hint(format!("there is {}", offered.join(", ")))
        })?,
    };
    if route.changes && !server.audit.works() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "audit/failed",
            "the audit cannot be written, and nothing is changed until it can",
        )
        .retry_after(30));
    }
    let Some(takes) = &route.body else {
        if !body.is_end_stream() && head.method != Method::GET {
            return Err(Problem::bad("this call takes no body"));
        }
        return Ok((route, given, form, JSON, Coding::Identity));
    };
    let unsupported = |code, detail: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail.to_owned());
    let said = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body_form = takes.forms.iter().find(|form| is_form(said, form)).ok_or_else(|| {
        unsupported("request/content-type", "the body is not in a form that this call takes")
            .hint(format!("send `Content-Type: {}`", takes.forms.join("` or `")))
    })?;
    let encoding = match head.headers.get(header::CONTENT_ENCODING) {
        None => Coding::Identity,
        Some(value) => value.to_str().ok().and_then(Coding::parse).ok_or_else(|| {
            unsupported("request/encoding", "`Content-Encoding` is not one that this server knows")
                .hint("gzip, zstd, or none")
        })?,
    };
    Ok((route, given, form, body_form, encoding))
}

/// Whether a content type is this form, in UTF-8.
fn is_form(said: &str, form: &str) -> bool {
    let mut parts = said.split(';');
    let plain = parts.next().unwrap_or_default().trim();
    plain.eq_ignore_ascii_case(form)
        && parts.all(|parameter| match parameter.trim().split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}
