//! `yubin serve` and `yubin token`: the real program on a free port of this machine, and clients that are not nice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::{Client, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};

use crate::support::World;

const STORE: &str = "sqlite:store.db";
/// No test waits for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, which ends with the test.
struct Served {
    child: Child,
    url: String,
    client: Client,
}

fn client() -> Client {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).no_proxy().build().unwrap()
}

fn store() -> World {
    World::new()
}

#[track_caller]
fn token(world: &World, args: &[&str]) -> String {
    let args = [&["--store", STORE, "token", "create", "-q"], args].concat();
    world.expect(0, &args).stdout.trim().to_owned()
}

fn admin(world: &World) -> String {
    token(world, &["admin", "--scope", "admin"])
}

#[track_caller]
fn serve(world: &World, args: &[&str]) -> Served {
    let args = [&["--store", STORE, "serve", "--listen", "127.0.0.1:0", "--format", "json"], args].concat();
    start(world, &args)
}

#[track_caller]
fn start(world: &World, args: &[&str]) -> Served {
    let errors = std::fs::File::create(world.file("stderr")).unwrap();
    let mut child = world.command(args).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        let _ = told.send(line);
    });
    let line = heard.recv_timeout(PATIENCE).unwrap_or_default();
    let Ok(json) = serde_json::from_str::<Json>(&line) else {
        let _ = child.kill();
        panic!("{line}{}", std::fs::read_to_string(world.file("stderr")).unwrap());
    };
    Served { child, url: json["listening"].as_str().unwrap().to_owned(), client: client() }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn address(&self) -> SocketAddr {
        self.url.split("//").nth(1).unwrap().parse().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address(), PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes, and reads what comes until the server closes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // It may have answered before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(
        &self,
        method: &Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Response {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url)).body(body.into());
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().unwrap()
    }

    fn get(&self, path: &str, token: &str) -> (u16, Json) {
        let answer = self.ask(&Method::GET, path, token, &[], "");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().unwrap()).unwrap_or_default())
    }

    fn post(&self, path: &str, token: &str, body: &Json) -> (u16, Json) {
        let headers = [("content-type", "application/json")];
        let answer = self.ask(&Method::POST, path, token, &headers, body.to_string());
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().unwrap()).unwrap_or_default())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; the exit code.
    fn wait(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait()
    }

    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn audit(world: &World) -> Vec<Json> {
    let text = std::fs::read_to_string(world.file("audit")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A project of its own folder that plans against the server.
fn project(served: &Served, token: &str) -> (World, impl Fn(&World, i32, &[&str]) -> String + use<>) {
    let world = World::project("generic", "policy: { plaintext_secrets: allow }\n");
    world.write("a.yaml", "patterns: { taro: { p: { address: taro@example.jp } } }\n");
    let (url, token) = (served.url.clone(), token.to_owned());
    let run = move |world: &World, code: i32, args: &[&str]| {
        let output = world.command(args).env("YUBIN_STORE", &url).env("YUBIN_TOKEN", &token).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{text}");
        text
    };
    (world, run)
}

#[test]
fn tokens_say_who_may() {
    let world = store();
    let run = world.expect(64, &["--store", STORE, "token", "create", "x", "--scope", "apply"]);
    assert!(run.stderr.contains("--owner '*'"), "{}", run.stderr);
    let (admin, read) = (admin(&world), token(&world, &["reader", "--scope", "read"]));
    let apply = token(&world, &["ci", "--scope", "apply", "--owner", "head-office"]);
    let listed = world.expect(0, &["--store", STORE, "token", "list", "--format", "json"]).stdout;
    for secret in [&admin, &read, &apply] {
        assert!(secret.starts_with("yubin_") && secret.len() == 49);
        assert!(!listed.contains(&secret[6..]) && !listed.contains(&blake3::hash(secret.as_bytes()).to_string()));
    }
    let listed: Json = serde_json::from_str(&listed).unwrap();
    let id = |name: &str| {
        let tokens = listed["tokens"].as_array().unwrap();
        tokens.iter().find(|one| one["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let served = serve(&world, &["--audit", "audit"]);
    assert_eq!(served.get("/v1/revision", &read).0, 200);
    // Another one, whatever this one ends with.
    let similar = format!("{}{}", &read[..48], if read.ends_with('A') { 'E' } else { 'A' });
    for (path, token, status) in [
        ("/v1/revision", "", 401),
        ("/v1/revision", "yubin_x", 401),
        ("/v1/revision", &similar, 401),
        ("/v1/sessions", &read, 403),
        ("/v1/sessions", &apply, 200),
        ("/v1/tokens", &apply, 403),
        ("/v1/tokens", &admin, 200),
    ] {
        assert_eq!(served.get(path, token).0, status, "{path}");
    }
    // However slow this machine is just now, one of these is met before its end.
    let brief = [1, 4, 16, 32].into_iter().find_map(|seconds| {
        let expires = format!("{seconds}s");
        let brief = token(&world, &["brief", "--scope", "read", "--expires", &expires]);
        (served.get("/v1/revision", &brief).0 == 200).then_some(brief)
    });
    let brief = brief.expect("a token that holds for some time");
    eventually("an expired token", || served.get("/v1/revision", &brief).0 == 401);
    world.expect(0, &["--store", STORE, "token", "revoke", &id("ci"), "-q"]);
    world.expect(64, &["--store", STORE, "token", "revoke", &id("ci"), "-q"]);
    world.expect(64, &["--store", STORE, "token", "revoke", "no such", "-q"]);
    eventually("a revoked token", || served.get("/v1/sessions", &apply).0 == 401);
    // Over HTTP as well.
    let remote = |code: i32, args: &[&str]| {
        let mut command = world.command(&[&["--store", &served.url, "token"], args].concat());
        let output = command.env("YUBIN_TOKEN", &admin).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    remote(64, &["create", "far", "--scope", "apply"]);
    let far = remote(0, &["create", "far", "--scope", "apply", "--owner", "*", "-q"]);
    assert_eq!(served.get("/v1/sessions", &far).0, 200);
    let listed: Json = serde_json::from_str(&remote(0, &["list", "--format", "json"])).unwrap();
    let far_id = listed["tokens"].as_array().unwrap().iter().find(|one| one["name"] == "far").unwrap()["id"].clone();
    remote(0, &["revoke", far_id.as_str().unwrap(), "-q"]);
    assert_eq!(served.get("/v1/sessions", &far).0, 401, "at once, where this server has revoked it");
    let text = std::fs::read_to_string(world.file("audit")).unwrap();
    for secret in [&admin, &read, &apply, &far] {
        assert!(!text.contains(&secret[6..]));
    }
    let denied = audit(&world).into_iter().find(|line| line["status"] == 403).unwrap();
    assert_eq!(denied["name"], "reader");
    assert_eq!(denied["path"], "/v1/sessions");
    assert_eq!(denied["peer"], "127.0.0.1");
}

#[test]
fn without_tls_it_stays_on_this_machine() {
    let world = store();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let run = world.expect(64, &["--store", STORE, "serve", "--listen", listen]);
        assert!(run.stderr.contains("--behind-proxy"), "{}", run.stderr);
    }
    for listen in ["8025", "127.0.0.1", "127.0.0.1:x", ""] {
        world.expect(64, &["--store", STORE, "serve", "--listen", listen]);
    }
    world.expect(64, &["--store", STORE, "serve", "--tls-cert", "x.pem"]);
    world.expect(1, &["--store", STORE, "serve", "--audit", "no/such/folder"]);
    world.expect(1, &["--store", STORE, "serve", "--audit", "/dev/full"]);
    let args =
        ["--store", STORE, "serve", "--listen", "0.0.0.0:0", "--behind-proxy", "--audit", "audit", "--format", "json"];
    let mut served = start(&world, &args);
    served.url = served.url.replace("0.0.0.0", "127.0.0.1");
    let named = [("x-forwarded-for", "1.2.3.4, 192.0.2.7")];
    assert_eq!(served.ask(&Method::GET, "/v1/revision", "", &named, "").status(), 401);
    assert_eq!(served.stop(), 0);
    assert_eq!(audit(&world).last().unwrap()["peer"], "192.0.2.7");
}

#[test]
fn every_failure_is_a_problem_document() {
    let world = store();
    let admin = admin(&world);
    let served = serve(&world, &["--max-body", "1000"]);
    let json = ("content-type", "application/json");
    let long = "x".repeat(2000);
    for (method, path, headers, body, status) in [
        (Method::GET, "/", vec![], "", 404),
        (Method::GET, "/v1/nothing", vec![], "", 404),
        (Method::OPTIONS, "/v1/revision", vec![("origin", "https://evil.example")], "", 405),
        (Method::HEAD, "/v1/revision", vec![], "", 405),
        (Method::PUT, "/v1/sessions", vec![json], "{}", 405),
        (Method::GET, "/v1/resources?colour=red", vec![], "", 400),
        (Method::GET, "/v1/resources?limit=0", vec![], "", 400),
        (Method::GET, "/v1/resources?limit=ten", vec![], "", 400),
        (Method::GET, "/v1/resources?after=%ff", vec![], "", 400),
        (Method::GET, "/v1/resources?after=account/%00", vec![], "", 400),
        (Method::GET, "/v1/resources?kind=mailbox", vec![], "", 400),
        (Method::GET, "/v1/resources?at=7", vec![], "", 404),
        (Method::GET, "/v1/resources?revision=7", vec![], "", 410),
        (Method::GET, "/v1/resources", vec![("accept", "text/html")], "", 406),
        (Method::GET, "/v1/revisions/7", vec![], "", 404),
        (Method::GET, "/v1/resources/account%2Fa%00/versions", vec![], "", 400),
        (Method::POST, "/v1/sessions", vec![], "{}", 415),
        (Method::POST, "/v1/sessions", vec![("content-type", "text/plain")], "{}", 415),
        (Method::POST, "/v1/sessions", vec![("content-type", "application/json; charset=shift_jis")], "{}", 415),
        (Method::POST, "/v1/sessions", vec![json, ("content-encoding", "br")], "{}", 415),
        (Method::POST, "/v1/sessions", vec![json, ("content-encoding", "gzip")], "{}", 400),
        (Method::POST, "/v1/sessions", vec![json], "", 400),
        (Method::POST, "/v1/sessions", vec![json], "{", 400),
        (Method::POST, "/v1/sessions", vec![json], "[]", 422),
        (Method::POST, "/v1/sessions", vec![json], "{\"id\":\"a\"}", 422),
        (Method::POST, "/v1/sessions", vec![json], "{\"id\":\"a\\u0000\",\"user\":\"b\"}", 422),
        (Method::POST, "/v1/sessions", vec![json], "{\"id\":\"a\",\"user\":\"b\",\"more\":1}", 422),
        (Method::POST, "/v1/sessions", vec![json], &long, 413),
        (Method::DELETE, "/v1/sessions/none", vec![], "", 404),
        (Method::POST, "/v1/events/1/ack", vec![], "", 404),
        (Method::POST, "/v1/events/x/ack", vec![], "", 400),
        (Method::DELETE, "/v1/tokens/00000000", vec![], "", 404),
        (Method::POST, "/v1/tokens", vec![json], "{\"name\":\"x\",\"scope\":\"apply\"}", 422),
        (Method::POST, "/v1/changesets", vec![json], "{}", 428),
        (Method::POST, "/v1/changesets", vec![json, ("if-match", "W/\"0\"")], "{}", 400),
        (Method::POST, "/v1/changesets", vec![json, ("if-match", "\"0\"")], "{}", 422),
        (Method::POST, "/v1/queries", vec![json], "{\"query\":\"who\"}", 422),
    ] {
        let answer = served.ask(&method, path, &admin, &headers, body);
        let what = format!("{method} {path} {body:.40}");
        assert_eq!(answer.status(), status, "{what}: {:?}", answer.text());
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some("application/problem+json"), "{what}");
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{what}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{what}");
        assert_eq!(header("yubin-api").as_deref(), Some("1"), "{what}");
        assert_eq!(header("access-control-allow-origin"), None, "{what}");
        assert_eq!(header("allow").is_some(), status == 405, "{what}");
        if method != Method::HEAD {
            let problem: Json = serde_json::from_str(&answer.text().unwrap()).unwrap();
            assert_eq!(problem["status"], status, "{what}");
            assert!(problem["code"].as_str().unwrap().contains('/'), "{what}");
            assert!(!problem["detail"].as_str().unwrap().is_empty(), "{what}");
        }
    }
    let head = |lines: &str| format!("GET /v1/revision HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n");
    let many = format!("x-a: {}\r\n", "a".repeat(20_000));
    assert!(served.raw(head(&many).as_bytes()).starts_with("HTTP/1.1 431"));
    let path = format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(9_000));
    assert!(served.raw(path.as_bytes()).starts_with("HTTP/1.1 414"));
    assert!(served.raw(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert!(
        served
            .raw(head("authorization: Bearer a\r\nauthorization: Bearer b\r\n").as_bytes())
            .starts_with("HTTP/1.1 401")
    );
}

#[test]
fn sessions_come_and_go() {
    let world = store();
    let apply = token(&world, &["web", "--scope", "apply", "--owner", "*"]);
    let served = serve(&world, &["--audit", "audit"]);
    let open = |id: &str, user: &str| served.post("/v1/sessions", &apply, &json!({ "id": id, "user": user })).0;
    assert_eq!(open("a/1", "taro"), 201);
    assert_eq!(open("a/1", "taro"), 200);
    assert_eq!(open("a/1", "jiro"), 409);
    assert_eq!(open("b", "taro"), 201);
    assert_eq!(open("c", "jiro"), 201);
    let ids = |path: &str| -> Vec<String> {
        let (_, json) = served.get(path, &apply);
        json["sessions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/v1/sessions"), ["a/1", "b", "c"]);
    assert_eq!(ids("/v1/sessions?user=taro&after=a%2F1"), ["b"]);
    let (_, page) = served.get("/v1/sessions?limit=2", &apply);
    assert_eq!(ids(page["next"].as_str().unwrap()), ["c"]);
    let delete = |id: &str| served.ask(&Method::DELETE, &format!("/v1/sessions/{id}"), &apply, &[], "").status();
    assert_eq!(delete("a%2F1"), 204);
    assert_eq!(delete("a%2F1"), 404);
    // An apply that touches a user ends the sessions of the user.
    let (client, run) = project(&served, &apply);
    run(&client, 0, &["apply", "--yes", "-q"]);
    assert_eq!(ids("/v1/sessions"), ["c"]);
    let changed = audit(&world).into_iter().find(|line| line["path"] == "/v1/changesets").unwrap();
    assert_eq!(changed["revision"], 1);
    assert_eq!(changed["name"], "web");
}

#[test]
fn events_wake_those_who_wait() {
    let world = store();
    let apply = token(&world, &["web", "--scope", "apply", "--owner", "*"]);
    let mut served = serve(&world, &[]);
    assert_eq!(served.get("/v1/events", &apply).1["events"], json!([]));
    let begun = Instant::now();
    assert_eq!(served.get("/v1/events?wait=1", &apply).1["events"], json!([]));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let (client, run) = project(&served, &apply);
    let events = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| served.get("/v1/events?wait=50", &apply).1);
        std::thread::sleep(Duration::from_millis(300));
        run(&client, 0, &["apply", "--yes", "-q"]);
        waiting.join().unwrap()
    });
    assert!(begun.elapsed() < Duration::from_secs(45));
    assert_eq!(events["events"][0]["effect"], "logout");
    assert_eq!(events["events"][0]["user"], "taro");
    let id = events["events"][0]["id"].as_u64().unwrap();
    // A stream tells them, and goes on with those of another program.
    let mut stream = served.connect();
    let head = format!(
        "GET /v1/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {apply}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == format!("id: {id}")));
    assert_eq!(lines.next().unwrap(), "event: logout");
    assert!(lines.next().unwrap().starts_with("data: {\"id\":"));
    let beside = World::project("generic", "");
    beside.write("a.yaml", "patterns: { hana: { p: { address: hana@example.jp } } }\n");
    beside.write("yubin.yaml", "version: 1\nname: other\nsystem: generic\n");
    let path = format!("sqlite:{}", world.file("store.db").display());
    beside.expect(0, &["--store", &path, "apply", "--yes", "-q"]);
    assert!(lines.any(|line| line.contains("\"hana\"")));
    let ack = |id: u64| served.ask(&Method::POST, &format!("/v1/events/{id}/ack"), &apply, &[], "").status();
    assert_eq!(ack(id), 204);
    assert_eq!(ack(id), 204, "once more changes nothing");
    assert_eq!(ack(id + 1000), 404);
    let left = served.get("/v1/events", &apply).1;
    assert_eq!(left["events"].as_array().unwrap().len(), 1);
    assert_eq!(served.get(&format!("/v1/events?after={}", left["events"][0]["id"]), &apply).1["events"], json!([]));
    // A stop ends the waiting.
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| served.get("/v1/events?wait=50&after=1000", &apply));
        std::thread::sleep(Duration::from_millis(300));
        served.signal(Signal::TERM);
        assert_eq!(waiting.join().unwrap().0, 200);
    });
    assert_eq!(served.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

fn changeset(project: &str, base: u64, user: &str) -> Json {
    json!({
        "format_version": 1, "project": project, "system": "generic", "base_revision": base,
        "changes": [{
            "action": "add", "address": format!("pattern/{user}/p"), "kind": "pattern", "key": [user, "p"],
            "fields": [{ "field": "address", "before": null, "after": format!("{user}@example.jp") }],
        }],
    })
}

#[test]
fn a_changeset_is_applied_once_and_by_those_who_may() {
    let world = store();
    let ours = token(&world, &["ours", "--scope", "apply", "--owner", "head-office"]);
    let served = serve(&world, &[]);
    let send = |body: &Json, headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        let answer = served.ask(&Method::POST, "/v1/changesets", &ours, &headers, body.to_string());
        let status = answer.status().as_u16();
        (status, serde_json::from_str::<Json>(&answer.text().unwrap()).unwrap())
    };
    assert_eq!(send(&changeset("other", 0, "taro"), &[("if-match", "\"0\"")]).0, 403);
    let first = changeset("head-office", 0, "taro");
    let rehearsed = served.ask(
        &Method::POST,
        "/v1/changesets?rehearse=true",
        &ours,
        &[("content-type", "application/json"), ("if-match", "\"0\"")],
        first.to_string(),
    );
    assert_eq!(rehearsed.status(), 200);
    assert_eq!(served.get("/v1/revision", &ours).1["revision"], 0);
    let once = [("if-match", "\"0\""), ("idempotency-key", "k1")];
    let (status, done) = send(&first, &once);
    assert_eq!((status, &done["revision"], &done["summary"]["add"]), (200, &json!(1), &json!(1)), "{done}");
    assert_eq!(done["effects"][0]["user"], "taro");
    let (status, again) = send(&first, &once);
    assert_eq!((status, &again["revision"], &again["again"]), (200, &json!(1), &json!(true)), "{again}");
    assert_eq!(again["summary"]["add"], 1);
    let (status, reused) = send(&changeset("head-office", 0, "jiro"), &once);
    assert_eq!((status, &reused["code"]), (422, &json!("request/reused")));
    let (status, moved) = send(&first, &[("if-match", "\"0\"")]);
    assert_eq!((status, &moved["code"]), (412, &json!("store/moved")));
    let (status, exists) = send(&changeset("head-office", 1, "taro"), &[("if-match", "1")]);
    assert_eq!((status, &exists["diagnostics"][0]["code"]), (422, &json!("changeset/exists")));
    // As lines, compressed.
    let mut document = changeset("head-office", 1, "jiro");
    let changes = document.as_object_mut().unwrap().remove("changes").unwrap();
    let lines = format!("{document}\n{}\n", changes[0]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let headers =
        |coding| [("content-type", "application/x-ndjson"), ("if-match", "\"1\""), ("content-encoding", coding)];
    let answer = served.ask(&Method::POST, "/v1/changesets", &ours, &headers("gzip"), gzip);
    assert_eq!(answer.status(), 200, "{:?}", answer.text());
    let zstd = zstd::encode_all(lines.replace("jiro", "hana").as_bytes(), 3).unwrap();
    let headers = [("content-type", "application/x-ndjson"), ("if-match", "\"2\""), ("content-encoding", "zstd")];
    assert_eq!(served.ask(&Method::POST, "/v1/changesets", &ours, &headers, zstd).status(), 422, "another base");
    let answer = served.ask(&Method::GET, "/v1/resources?limit=1", &ours, &[], "");
    assert_eq!(answer.headers()["etag"], "\"2\"");
    let page: Json = serde_json::from_str(&answer.text().unwrap()).unwrap();
    assert_eq!(page["resources"][0]["address"], "pattern/jiro/p");
    let (_, rest) = served.get(page["next"].as_str().unwrap(), &ours);
    assert_eq!(rest["resources"][0]["address"], "pattern/taro/p");
    assert_eq!(rest["next"], Json::Null);
    assert_eq!(served.get("/v1/revisions/1", &ours).1["changes"].as_array().unwrap().len(), 1);
    let (_, log) = served.get("/v1/revisions?limit=1", &ours);
    assert_eq!(log["revisions"][0]["revision"], 2);
    assert_eq!(served.get(log["next"].as_str().unwrap(), &ours).1["revisions"][0]["revision"], 1);
    assert_eq!(
        served.get("/v1/resources/pattern%2Ftaro%2Fp/versions", &ours).1["versions"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn bodies_and_answers_may_be_compressed() {
    let world = store();
    let admin = admin(&world);
    let served = serve(&world, &[]);
    for coding in ["gzip", "zstd"] {
        let answer = served.raw(
            format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: {coding}\r\n\r\n")
                .as_bytes(),
        );
        assert!(answer.to_lowercase().contains(&format!("content-encoding: {coding}")), "{coding}");
    }
    let document = served.ask(&Method::GET, "/openapi.json", "", &[], "").text().unwrap();
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/openapi.json")).unwrap();
    assert_eq!(document, kept);
    let body = json!({ "id": "z", "user": "taro" }).to_string();
    let body = zstd::encode_all(body.as_bytes(), 1).unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "zstd")];
    assert_eq!(served.ask(&Method::POST, "/v1/sessions", &admin, &headers, body).status(), 201);
}

#[test]
fn what_is_too_long_or_too_slow_is_ended() {
    let world = store();
    let admin = admin(&world);
    let served = serve(&world, &["--max-changeset", "1000000", "--idle-timeout", "1", "--stall-timeout", "1"]);
    let head = |more: &str| {
        format!(
            "POST /v1/changesets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {admin}\r\nif-match: \"0\"\r\ncontent-type: application/json\r\n{more}\r\n"
        )
    };
    // Said beforehand, found out on the way, and found out when it is decompressed.
    assert!(served.raw(head("content-length: 1000001\r\n").as_bytes()).starts_with("HTTP/1.1 413"));
    let mut chunked = head("transfer-encoding: chunked\r\n").into_bytes();
    for _ in 0..40 {
        chunked.extend_from_slice(b"8000\r\n");
        chunked.extend_from_slice(&vec![b' '; 0x8000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert!(served.raw(&chunked).starts_with("HTTP/1.1 413"));
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 3).unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "zstd"), ("if-match", "\"0\"")];
    let before = served.memory();
    assert_eq!(served.ask(&Method::POST, "/v1/changesets", &admin, &headers, bomb).status(), 413);
    assert!(served.memory() < before + 40_000);
    // A body that stands still, a head that never ends, and a connection that says nothing.
    let begun = Instant::now();
    assert!(served.raw(format!("{}{{", head("content-length: 100\r\n")).as_bytes()).starts_with("HTTP/1.1 408"));
    for slow in ["", "GET /v1/rev", "GET / HTTP/1.1\r\nhost: x\r\nx-"] {
        let answer = served.raw(slow.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{slow}: {answer}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    // Without a token, nobody's body is waited for.
    let nobody = head("content-length: 100\r\n").replace("Bearer", "Basic");
    assert!(served.raw(nobody.as_bytes()).starts_with("HTTP/1.1 401"));
}

#[test]
fn a_flood_does_not_stop_others() {
    let world = store();
    let admin = admin(&world);
    let mut served =
        serve(&world, &["--failed-logins", "20", "--max-connections", "50", "--audit", "audit", "--rate", "40"]);
    assert_eq!(served.get("/v1/revision", &admin).0, 200);
    let mut refused = 0;
    for _ in 0..200 {
        let answer = served.ask(&Method::GET, "/v1/revision", &format!("yubin_{}", "x".repeat(43)), &[], "");
        if answer.status() == 429 {
            refused += 1;
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        } else {
            assert_eq!(answer.status(), 401);
        }
    }
    assert!(refused > 100, "{refused}");
    // Who was good before is not turned away with those at the same address.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(served.get("/v1/revision", &admin).0, 200);
    // More idle connections than there may be: the oldest make room.
    let idle: Vec<TcpStream> = (0..120).map(|_| served.connect()).collect();
    // Our own connection of before may be among those, and is found out when it is used.
    let alive = |path: &str| {
        let call = || served.client.get(format!("{}{path}", served.url)).send();
        (0..3).any(|_| call().is_ok_and(|answer| answer.status() == 200))
    };
    assert!(alive("/healthz"));
    drop(idle);
    assert!(alive("/healthz"));
    assert!((0..120).all(|_| alive("/readyz")));
    let text = served.ask(&Method::GET, "/metrics", "", &[], "").text().unwrap();
    assert!(text.contains("yubin_requests_total{method=\"GET\",route=\"/v1/revision\",status=\"429\"}"), "{text}");
    assert!(!text.contains("admin\""));
    assert!(!text.contains("yubin_connections_shed_total 0\n"));
    assert_eq!(served.stop(), 0);
    let lines = audit(&world);
    assert!(lines.len() < 60, "{}", lines.len());
    let counted: u64 = lines.iter().filter_map(|line| line["refused"].as_u64()).sum();
    let singly = lines.iter().filter(|line| matches!(line["status"].as_u64(), Some(401 | 429))).count() as u64;
    assert_eq!(counted + singly, 200);
}

#[test]
fn one_token_has_its_rate() {
    let world = store();
    let (one, other) = (admin(&world), token(&world, &["other", "--scope", "read"]));
    let served = serve(&world, &["--rate", "5"]);
    let statuses: Vec<u16> = (0..100).map(|_| served.get("/v1/disabled", &one).0).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(served.get("/v1/disabled", &other).0, 200);
    assert_eq!(served.get("/healthz", "").0, 200);
}

#[test]
fn idle_connections_are_cheap() {
    const MANY: u64 = 800;
    let world = store();
    let served = serve(&world, &[]);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    };
    // What the first ones cost is not what one more costs.
    let mut open: Vec<TcpStream> = (0..100).map(|_| served.connect()).collect();
    open.iter_mut().for_each(ask);
    let before = served.memory();
    let mut more: Vec<TcpStream> = (0..MANY).map(|_| served.connect()).collect();
    more.iter_mut().for_each(ask);
    let each = served.memory().saturating_sub(before) / MANY;
    assert!(each <= 24, "{each} KiB for an idle connection");
}

/// A certificate for this machine, of a new authority; both in PEM, with the key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_certificate_is_read_again_when_it_changes() {
    let world = store();
    let write = |(certificate, key): &(String, String)| {
        world.write("cert.pem", certificate);
        world.write("key.pem", key);
    };
    let (first, second, third) = (certificate(), certificate(), certificate());
    write(&first);
    let mut served = serve(&world, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(served.url.starts_with("https://127.0.0.1:"));
    let trusts = |(certificate, _): &(String, String)| {
        let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([certificate]).no_proxy().timeout(PATIENCE).build().unwrap();
        client.get(format!("{}/healthz", served.url)).send().is_ok_and(|answer| answer.status() == 200)
    };
    assert!(trusts(&first) && !trusts(&second));
    write(&second);
    eventually("the new certificate", || trusts(&second));
    // A key that is not the certificate's: the old pair goes on.
    world.write("key.pem", &third.1);
    served.signal(Signal::HUP);
    let errors = || std::fs::read_to_string(world.file("stderr")).unwrap();
    eventually("a word about it", || errors().contains("the certificate in use is kept"));
    assert!(trusts(&second));
    write(&third);
    served.signal(Signal::HUP);
    eventually("the third certificate", || trusts(&third));
    // Nobody who does not speak TLS gets an answer, and one who is slow holds nobody.
    let silent = served.connect();
    assert!(!served.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").contains("200 OK"));
    assert!(trusts(&third));
    drop(silent);
    assert_eq!(served.stop(), 0);
    world.write("key.pem", "no key");
    let run = world.expect(1, &["--store", STORE, "serve", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(run.stderr.contains("key.pem"), "{}", run.stderr);
}

#[test]
fn what_is_in_flight_is_finished_before_a_stop() {
    let world = store();
    let admin = admin(&world);
    let mut served = serve(&world, &["--grace", "20"]);
    let mut stream = served.connect();
    let body = changeset("head-office", 0, "taro").to_string();
    let head = format!(
        "POST /v1/changesets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {admin}\r\nif-match: \"0\"\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..10]).unwrap();
    eventually("the call", || {
        let text = served.ask(&Method::GET, "/metrics", "", &[], "").text().unwrap();
        text.contains("yubin_requests_in_flight 2")
    });
    served.signal(Signal::TERM);
    eventually("a closed door", || TcpStream::connect_timeout(&served.address(), PATIENCE).is_err());
    stream.write_all(&body.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(served.wait(), 0);
    // One that never comes to an end is given up.
    let mut served = serve(&world, &["--grace", "1"]);
    let mut stream = served.connect();
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(served.stop(), 0);
    let (_, json) = serve(&world, &[]).get("/v1/revision", &admin);
    assert_eq!(json["revision"], 1);
}

/// Every example of `docs/api.md` is run, in its order, against one server.
#[test]
fn the_examples_of_the_documentation_work() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let mut script = "set -euo pipefail\n".to_owned();
    for block in text.split("```sh\n").skip(1) {
        script.push_str(block.split("\n```").next().unwrap());
        script.push('\n');
    }
    let document = yubin::serve::document();
    for (path, _) in document["paths"].as_object().unwrap() {
        let literal = path.split('{').next().unwrap();
        assert!(script.contains(literal), "no example calls {path}");
    }
    let world = store();
    let admin = admin(&world);
    let served = serve(&world, &[]);
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(world.path()).env("YUBIN_URL", &served.url).env("YUBIN_TOKEN", &admin);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
