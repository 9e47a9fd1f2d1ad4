//! Slow, many and far too much: others are served all the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;

use super::{Site, add, applied, changeset, if_match, lines, post, post_lines};
use crate::support::http::NDJSON;

fn connect(site: &Site) -> TcpStream {
    let stream = TcpStream::connect(site.server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn head(site: &Site, length: usize, more: &str) -> String {
    format!(
        "POST /v1/changesets HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nif-match: \"1\"\r\ncontent-type: {NDJSON}\r\ncontent-length: {length}\r\n{more}\r\n",
        site.token
    )
}

/// Ordinary calls, among them an apply, while something else goes on.
#[track_caller]
fn others_are_served(site: &Site, revision: u64) {
    let api = site.api();
    let start = Instant::now();
    for _ in 0..10 {
        api.get("/v1/revision").expect(200);
        api.get("/v1/resources").expect(200);
    }
    let name = format!("other{revision}");
    assert_eq!(applied(post(&api, revision, &changeset(revision, &[add(&name, "x")]))), revision + 1);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

fn site() -> Site {
    Site::with("accounts: { a: { comment: x } }")
}

/// A byte now and then, of heads and of bodies.
#[test]
fn who_sends_slowly_stops_nobody() {
    let site = site();
    let done = AtomicBool::new(false);
    let body = lines(&changeset(1, &(0..200).map(|n| add(&format!("b{n}"), "x")).collect::<Vec<_>>()));
    std::thread::scope(|scope| {
        for number in 0..60 {
            let (site, done) = (&site, &done);
            let text = format!("{}{body}", head(site, body.len(), ""));
            // Some stop in the head, others in the first line, others behind a thousand bytes.
            let from = [10, 40, text.len() - body.len() + 30, text.len() - body.len() + 1000][number % 4];
            scope.spawn(move || {
                let mut stream = connect(site);
                let _ = stream.write_all(&text.as_bytes()[..from]);
                for byte in &text.as_bytes()[from..] {
                    if done.load(Ordering::SeqCst) || stream.write_all(&[*byte]).is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        for revision in 1..4 {
            others_are_served(&site, revision);
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(site.content().revision(), 4);
}

/// Whoever asks for much and does not take it.
#[test]
fn who_reads_slowly_stops_nobody() {
    let yaml = crate::cli::concat(0..3000, |n| format!("  a{n}: {{ comment: {} }}\n", "x".repeat(200)));
    let site = Site::with(&format!("accounts:\n{yaml}"));
    let asked: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect(&site);
            write!(
                stream,
                "GET /v1/resources?limit=1000000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\naccept: {NDJSON}\r\n\r\n",
                site.token
            )
            .unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    for revision in 1..4 {
        others_are_served(&site, revision);
    }
    #[cfg(target_os = "linux")]
    assert!(site.server.peak() < 400, "{} MiB", site.server.peak());
    // Who takes it after all gets the state of when it was asked, to the end, or is cut.
    for mut stream in asked.into_iter().take(3) {
        let mut text = Vec::new();
        let mut buffer = vec![0; 65536];
        while !text.ends_with(b"0\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(count @ 1..) => text.extend_from_slice(&buffer[..count]),
                _ => break,
            }
        }
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("other1") || text.contains("\"revision\":2"), "a mixture");
    }
}

#[test]
fn many_that_do_nothing_stop_nobody() {
    let site = site();
    let idle: Vec<TcpStream> = (0..500).filter_map(|_| TcpStream::connect(site.server.address).ok()).collect();
    assert!(idle.len() > 400);
    others_are_served(&site, 1);
    drop(idle);
    others_are_served(&site, 2);
}

/// A gzip of 4 GiB of nothing, in 5 MB.
fn bomb() -> Vec<u8> {
    // 64 KiB of zeros behind a full flush: it may stand there any number of times.
    const BLOCK: [(usize, &[u8]); 3] =
        [(1, b"\xec\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a"), (63, b"\0"), (1, b"j\0\0\0\xff\xff")];
    let block: Vec<u8> = BLOCK.iter().flat_map(|(times, bytes)| bytes.repeat(*times)).collect();
    [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), block.repeat(65_536)].concat()
}

#[test]
fn a_body_that_grows_when_it_is_unpacked_is_turned_back() {
    let site = site();
    let before = site.content();
    for kind in [NDJSON, "application/json"] {
        let revision = if_match(1);
        let headers = [("if-match", revision.as_str()), ("content-type", kind), ("content-encoding", "gzip")];
        let start = Instant::now();
        // It may answer before it has taken all, and hang up.
        if let Ok(answer) = site.api().try_call(Method::POST, "/v1/changesets", &headers, bomb()) {
            assert!(matches!(answer.status, 400 | 413 | 422), "{answer}");
            answer.problem(answer.status);
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        #[cfg(target_os = "linux")]
        assert!(site.server.peak() < 400, "{kind}: {} MiB", site.server.peak());
    }
    assert_eq!(site.content(), before);
    others_are_served(&site, 1);
}

/// Longer than the server takes: said as soon as the length is.
#[test]
fn a_body_over_the_limit_is_413() {
    let site = site();
    let mut stream = connect(&site);
    write!(stream, "{}", head(&site, 1 << 50, "")).unwrap();
    let mut answer = [0; 4096];
    let count = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.to_lowercase().contains("application/problem+json"), "{answer}");
    // Other bodies are small.
    let long = format!("{{\"id\":\"x\",\"user\":\"{}\"}}", "y".repeat(20_000_000));
    if let Ok(answer) = site.api().try_call(Method::POST, "/v1/sessions", &[("content-type", "application/json")], long)
    {
        answer.problem(413);
    }
    others_are_served(&site, 1);
}

/// One line without an end is no changeset of a million lines.
#[test]
fn a_line_without_an_end_is_turned_back() {
    let site = site();
    let before = site.content();
    let head = lines(&changeset(1, &[]));
    let endless = format!("{head}{{\"action\":\"add\",\"address\":\"account/{}", "x".repeat(200_000_000));
    let revision = if_match(1);
    let headers = [("if-match", revision.as_str()), ("content-type", NDJSON)];
    if let Ok(answer) = site.api().try_call(Method::POST, "/v1/changesets", &headers, endless) {
        assert!(matches!(answer.status, 400 | 413 | 422), "{answer}");
    }
    #[cfg(target_os = "linux")]
    assert!(site.server.peak() < 400, "{} MiB", site.server.peak());
    assert_eq!(site.content(), before);
}

#[test]
fn a_head_is_short() {
    let site = site();
    let long = "x".repeat(1_000_000);
    for (path, headers) in [
        (format!("/v1/resources?after=account/{long}"), vec![]),
        ("/v1/resources".to_owned(), vec![("x-long", long.as_str())]),
        ("/v1/resources".to_owned(), vec![("authorization", long.as_str())]),
    ] {
        if let Ok(answer) = site.nobody().try_call(Method::GET, &path, &headers, "") {
            assert!((400..500).contains(&answer.status), "{}", answer.status);
        }
    }
    others_are_served(&site, 1);
}

/// Bytes that are no HTTP, requests that are two, and bodies that are not as long as they say.
#[test]
fn what_is_no_request_harms_nobody() {
    let site = site();
    let before = site.content();
    let body = lines(&changeset(1, &[add("b", "x")]));
    let short = format!("{}{body}", head(&site, body.len() + 10, ""));
    let both = format!("{}0\r\n\r\n{body}", head(&site, body.len(), "transfer-encoding: chunked\r\n"));
    let twice = format!("{}{body}", head(&site, body.len(), "content-length: 1\r\n"));
    let cut = format!("{}{}", head(&site, body.len(), ""), &body[..body.len() / 2]);
    let texts: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /v1/revision HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff",
        short.as_bytes(),
        both.as_bytes(),
        twice.as_bytes(),
        cut.as_bytes(),
    ];
    for text in texts {
        let mut stream = connect(&site);
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let _ = stream.write_all(text);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(site.content(), before);
    others_are_served(&site, 1);
}

/// A change a line, a million lines; the last but ten is broken, and it is said which.
#[test]
fn of_a_million_lines_the_broken_one_is_named() {
    const COUNT: usize = 1_000_000;
    let site = site();
    let before = site.content();
    let mut body = lines(&changeset(1, &[]));
    let change = |n: usize| {
        format!(
            "{{\"action\":\"add\",\"address\":\"account/n{n}\",\"kind\":\"account\",\"key\":[\"n{n}\"],\"source\":null,\"fields\":[]}}\n"
        )
    };
    for number in 2..COUNT {
        if number == COUNT - 10 {
            body += &change(number).replace("\"fields\":[", "\"fields\":[oops");
        } else {
            body += &change(number);
        }
    }
    let answer = post_lines(&site.api(), 1, body);
    assert!(matches!(answer.status, 400 | 422), "{answer}");
    let problem = answer.problem(answer.status).to_string();
    assert!(problem.contains(&(COUNT - 10).to_string()), "the line is not named: {problem}");
    assert!(!problem.contains("oops"), "what stands there is not repeated: {problem}");
    assert_eq!(site.content(), before);
}
