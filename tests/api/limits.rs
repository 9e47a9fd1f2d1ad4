//! The limits that a server is started with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{POLICY, PROJECT, Site, add, applied, changeset, lines, post, post_lines, project, token};
use crate::support::server::Server;

/// A site whose server is started with these flags.
pub fn site(flags: &[&str]) -> Site {
    let world = project("generic", POLICY);
    world.write("a.yaml", "accounts: { a: { comment: x } }");
    world.expect(0, &["apply", "--yes", "-q"]);
    let token = token(&world, "apply", &[PROJECT]);
    let server = Server::start_with(&world, &[&["--listen", "127.0.0.1:0"], flags].concat());
    Site { world, server, token }
}

#[test]
fn a_changeset_may_be_so_long_and_no_longer() {
    let site = site(&["--max-changeset", "20000"]);
    let api = site.api();
    let long = changeset(1, &[add("b", &"x".repeat(30_000))]);
    let problem = post(&api, 1, &long).problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("20000"), "{problem}");
    post_lines(&api, 1, lines(&long)).problem(413);
    // In chunks, so that nobody knows beforehand.
    let mut stream = TcpStream::connect(site.server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let text = lines(&long);
    let sent = write!(
        stream,
        "POST /v1/changesets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nif-match: \"1\"\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
        site.token,
        text.len()
    );
    let mut answer = [0; 1024];
    let count = stream.read(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..count]).starts_with("HTTP/1.1 413"), "{sent:?}");
    assert_eq!(site.content().revision(), 1);
    assert_eq!(applied(post(&api, 1, &changeset(1, &[add("b", &"x".repeat(10_000))]))), 2);
}

#[test]
fn who_fails_to_log_in_too_often_waits() {
    let site = site(&["--failed-logins", "5"]);
    site.api().get("/v1/revision").expect(200);
    let stranger = site.as_one_with(&format!("yubin_{}", "Q".repeat(43)));
    let statuses: Vec<u16> = (0..12).map(|_| stranger.get("/v1/revision").status).collect();
    assert_eq!(statuses[0], 401);
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)) && statuses.ends_with(&[429]), "{statuses:?}");
    let answer = stranger.get("/v1/revision");
    answer.problem(429);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{answer}");
    // A token that is known is not shut out by one who guesses.
    site.api().get("/v1/revision").expect(200);
}

#[test]
fn who_calls_too_often_is_told_when_to_come_again() {
    let site = site(&["--rate", "20"]);
    let api = site.api();
    let start = Instant::now();
    let mut turned_back = 0;
    for _ in 0..200 {
        let answer = api.get("/v1/revision");
        if answer.status == 429 {
            turned_back += 1;
            answer.problem(429);
            assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer}");
        } else {
            answer.expect(200);
        }
    }
    if start.elapsed() < Duration::from_secs(4) {
        assert!(turned_back > 50, "{turned_back} in {:?}", start.elapsed());
    }
    // Others are others, and the program waits and comes again.
    site.with_token("read", &[]).get("/v1/revision").expect(200);
    site.run(0, &["show"]);
}

#[test]
fn when_there_are_too_many_connections_the_idle_ones_go() {
    let site = site(&["--max-connections", "20"]);
    let mut idle: Vec<TcpStream> = (0..60).filter_map(|_| TcpStream::connect(site.server.address).ok()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    site.nobody().get("/healthz").expect(200);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let closed = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        matches!(stream.read(&mut [0; 1]), Ok(0)) || {
            let _ = stream.write_all(b"x");
            std::thread::sleep(Duration::from_millis(2));
            stream.take_error().unwrap().is_some()
        }
    };
    let gone = idle.iter_mut().filter_map(|stream| closed(stream).then_some(())).count();
    assert!(gone >= 35, "{gone} of 60 are closed");
}

#[test]
fn who_says_nothing_is_sent_away() {
    let site = site(&["--idle-timeout", "1", "--stall-timeout", "1"]);
    let head = format!(
        "POST /v1/changesets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nif-match: \"1\"\r\ncontent-type: application/x-ndjson\r\ncontent-length: 1000\r\n\r\n",
        site.token
    );
    for text in ["", "GET /v1", head.as_str(), &format!("{head}{{\"format_version\"")] {
        let mut stream = TcpStream::connect(site.server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let start = Instant::now();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("it stays, after {text:?}: {error}"));
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(site.content().revision(), 1);
    site.run(0, &["show"]);
}

/// The audit: one JSON line a call that changes or is refused.
#[test]
fn an_audit_file_has_a_line_for_each_call() {
    let site = site(&["--audit", "audit.jsonl"]);
    let api = site.api();
    api.get("/v1/resources").expect(200);
    applied(post(&api, 1, &changeset(1, &[add("b", "geheim")])));
    post(&api, 1, &changeset(1, &[add("c", "geheim")])).problem(412);
    site.nobody().get("/v1/resources").problem(401);
    std::thread::sleep(Duration::from_millis(300));
    let text = std::fs::read_to_string(site.world.file("audit.jsonl")).unwrap();
    let all: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The first line says since when.
    let statuses: Vec<u64> = all[1..].iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 412, 401], "{text}");
    assert_eq!((&all[1]["name"], &all[1]["revision"]), (&"test".into(), &2.into()), "{text}");
    assert!(!text.contains("geheim") && !text.contains(&site.token), "{text}");
    assert_eq!(crate::cli::mode(&site.world, "audit.jsonl") & 0o007, 0, "not for everybody");
}
