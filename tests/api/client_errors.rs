//! What the program says when the server is not there, is another one, or does not want it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{OTHER, PROJECT, Site, remote, token};
use crate::support::Run;
use crate::support::server::{DEADLINE, Server, run_within};

/// Answers everything with the same bytes.
struct Fake {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl Fake {
    fn new(answer: impl Into<Vec<u8>>) -> Fake {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Fake { address, calls: Arc::default(), stopped: Arc::default() };
        let (calls, stopped) = (Arc::clone(&fake.calls), Arc::clone(&fake.stopped));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(mut stream) = stream else { continue };
                calls.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
                    let mut asked = Vec::new();
                    let mut buffer = [0; 4096];
                    while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
                        match stream.read(&mut buffer) {
                            Ok(count @ 1..) => asked.extend_from_slice(&buffer[..count]),
                            _ => return,
                        }
                    }
                    let _ = stream.write_all(&answer);
                });
            }
        });
        fake
    }

    fn json(status: &str, headers: &str, body: &str) -> Fake {
        Fake::new(format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

/// Whatever asks the store: none of these may go on as if it were empty.
const COMMANDS: &[&[&str]] = &[&["plan"], &["apply", "--yes"], &["show"], &["log"], &["drift"]];

/// Every command fails with this code and says these words; no panic, no token.
#[track_caller]
fn fails(site: &Site, url: &str, token: &str, codes: &[i32], words: &[&str]) {
    for args in COMMANDS {
        let run = run_within(&mut remote(&site.world, url, token, args), DEADLINE);
        check(&run, codes, words, &format!("{args:?} at {url}"));
        assert!(token.len() < 20 || !format!("{}{}", run.stdout, run.stderr).contains(token), "{}", run.stderr);
    }
}

#[track_caller]
fn check(run: &Run, codes: &[i32], words: &[&str], what: &str) {
    assert!(codes.contains(&run.code), "{what}: exit {}\n{}{}", run.code, run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.to_lowercase().contains(&word.to_lowercase()), "{what}: no `{word}` in: {}", run.stderr);
    }
    assert!(!run.stderr.contains("panicked"), "{what}: {}", run.stderr);
}

fn site() -> Site {
    Site::with("accounts: { a: { comment: x } }")
}

#[test]
fn a_token_that_is_missing_wrong_or_not_enough_is_named() {
    let site = site();
    let url = site.server.url();
    fails(&site, &url, &format!("yubin_{}", "Q".repeat(43)), &[1], &["token", &url]);
    // None at all: it says where one comes from.
    for args in COMMANDS {
        let mut command = remote(&site.world, &url, "", args);
        let run = run_within(command.env_remove("YUBIN_TOKEN"), DEADLINE);
        check(&run, &[1], &["YUBIN_TOKEN"], &format!("{args:?}"));
    }
    // One that is bound to another project, and one that may only read.
    site.world.write("a.yaml", "accounts: { a: { comment: y } }");
    let before = site.content();
    let other = token(&site.world, "apply", &[OTHER]);
    let run = run_within(&mut remote(&site.world, &url, &other, &["apply", "--yes"]), DEADLINE);
    check(&run, &[1, 4], &["token", PROJECT], "another project's");
    let read = token(&site.world, "read", &[PROJECT]);
    let run = run_within(&mut remote(&site.world, &url, &read, &["plan", "--exit-code"]), DEADLINE);
    assert_eq!(run.code, 2, "reading is enough for a plan: {}", run.stderr);
    let run = run_within(&mut remote(&site.world, &url, &read, &["apply", "--yes"]), DEADLINE);
    check(&run, &[1, 4], &["token", "apply"], "one that may read");
    assert_eq!(site.content(), before);
}

#[test]
fn a_token_comes_from_a_file_too() {
    let site = site();
    crate::cli::private(&site.world, "token", &format!("{}\n", site.token));
    let run = |file: &str| {
        let mut command = remote(&site.world, &site.server.url(), "", &["show"]);
        run_within(command.env_remove("YUBIN_TOKEN").env("YUBIN_TOKEN_FILE", file), DEADLINE)
    };
    assert_eq!(run("token").code, 0, "{}", run("token").stderr);
    check(&run("missing"), &[1, 3, 64], &["missing"], "no such file");
    site.world.write("empty", "\n");
    check(&run("empty"), &[1, 3, 64], &["empty"], "an empty file");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let site = site();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = Instant::now();
    let url = format!("http://{free}");
    fails(&site, &url, &site.token, &[1], &[&url]);
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    fails(&site, "https://no-such-host.invalid", &site.token, &[1], &["no-such-host.invalid"]);
    // TLS where there is none.
    let url = format!("https://{}", site.server.address);
    fails(&site, &url, &site.token, &[1], &["TLS", "127.0.0.1"]);
}

#[test]
fn what_is_no_yubin_server_is_told_from_one() {
    let site = site();
    let html = "<html><body>Willkommen</body></html>";
    let html_head = "content-type: text/html\r\n";
    let empty = "content-type: application/json\r\n";
    for fake in [
        Fake::json("200 OK", html_head, html),
        Fake::json("404 Not Found", html_head, html),
        Fake::json("401 Unauthorized", html_head, html),
        Fake::json("200 OK", empty, "{}"),
        Fake::json("200 OK", empty, "{\"revision\":0,\"resources\":[],\"next\":null}"),
        Fake::json("200 OK", "content-type: application/x-ndjson\r\n", "{\"revision\":0}\n{\"next\":null}\n"),
        Fake::json("204 No Content", "", ""),
    ] {
        fails(&site, &fake.url(), &site.token, &[1], &["yubin", &fake.url()]);
    }
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let fake = Fake::json(status, "location: http://127.0.0.1:9/\r\n", "");
        fails(&site, &fake.url(), &site.token, &[1], &["elsewhere", &fake.url()]);
    }
    for garbage in
        [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\0\0\0\0", b"", b"HTTP/1.1 200 OK\r\n", b"220 mail.example.jp ESMTP\r\n"]
    {
        let fake = Fake::new(garbage);
        fails(&site, &fake.url(), &site.token, &[1], &[&fake.url()]);
    }
}

#[test]
fn a_server_of_another_version_is_told_from_a_broken_one() {
    let site = site();
    for (api, version) in [("2", "9.0.0"), ("0", "0.0.1")] {
        let headers = format!("yubin-api: {api}\r\nyubin-version: {version}\r\ncontent-type: application/json\r\n");
        for status in ["200 OK", "404 Not Found"] {
            let fake = Fake::json(status, &headers, "{}");
            fails(&site, &fake.url(), &site.token, &[1], &["version", version]);
        }
    }
}

const YUBIN: &str = "yubin-api: 1\r\nyubin-version: 0.1.0\r\n";

/// An answer that says nothing of the state is none, however friendly it looks.
#[test]
fn an_answer_that_is_broken_or_ends_early_is_no_state() {
    let site = site();
    let lines = format!("{YUBIN}content-type: application/x-ndjson\r\netag: \"1\"\r\n");
    let head = "{\"revision\":1,\"outside_writes\":0,\"drift\":0,\"disabled\":0,\"key\":null}\n";
    for body in [
        "",
        "{",
        head,
        &format!("{head}nonsense\n{{\"next\":null}}\n"),
        &format!("{head}{{\"kind\":\"mailbox\",\"key\":[\"x\"]}}\n{{\"next\":null}}\n"),
        &format!("{head}{{\"next\":\"http://elsewhere.invalid/v1/resources?after=x\"}}\n"),
        &format!("{head}{{\"next\":\"/v1/resources?after=account/a\"}}\n"),
    ] {
        let fake = Fake::json("200 OK", &lines, body);
        let start = Instant::now();
        for args in [&["apply", "--yes"][..], &["plan"], &["show"]] {
            let run = run_within(&mut remote(&site.world, &fake.url(), &site.token, args), DEADLINE);
            check(&run, &[1], &[], &format!("{args:?} with {body}"));
        }
        assert!(start.elapsed() < 2 * DEADLINE, "{body}");
    }
}

/// What a server has a bad time with is tried again, and then said; what it refuses is not tried again.
#[test]
fn only_what_may_pass_is_tried_again() {
    let site = site();
    let problem = |status: u16| {
        let body = format!(
            "{{\"type\":\"about:blank\",\"title\":\"x\",\"status\":{status},\"detail\":\"the disk is full of bees\",\"code\":\"store/full\"}}"
        );
        Fake::json(&format!("{status} X"), &format!("{YUBIN}content-type: application/problem+json\r\n"), &body)
    };
    for status in [401, 403, 404, 422] {
        let fake = problem(status);
        let run = run_within(&mut remote(&site.world, &fake.url(), &site.token, &["show"]), DEADLINE);
        check(&run, &[1, 3, 4, 5], &[], &status.to_string());
        assert_eq!(fake.calls.load(Ordering::SeqCst), 1, "{status}");
    }
    for status in [502, 503, 504] {
        let fake = problem(status);
        let run = run_within(&mut remote(&site.world, &fake.url(), &site.token, &["show"]), DEADLINE);
        check(&run, &[1, 5], &["bees"], &status.to_string());
        let calls = fake.calls.load(Ordering::SeqCst);
        assert!((2..20).contains(&calls), "{status}: {calls} calls");
    }
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    let site = site();
    for url in [
        "http://192.0.2.1",
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:1",
        "http://[2001:db8::1]:1",
    ] {
        let start = Instant::now();
        for args in COMMANDS {
            let run = run_within(&mut remote(&site.world, url, &site.token, args), DEADLINE);
            check(&run, &[1, 3, 64], &["https"], &format!("{args:?} at {url}"));
        }
        assert!(start.elapsed() < Duration::from_secs(5), "it has not even tried: {:?}", start.elapsed());
    }
    // A name that is this machine.
    let url = format!("http://localhost:{}", site.server.address.port());
    let run = run_within(&mut remote(&site.world, &url, &site.token, &["show"]), DEADLINE);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

/// A password in the address of a store would stand in every log.
#[test]
fn the_address_of_a_store_holds_no_password() {
    let site = site();
    let url = format!("http://user:hunter2@{}", site.server.address);
    let run = run_within(&mut remote(&site.world, &url, &site.token, &["show"]), DEADLINE);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2"), "{}", run.stderr);
    for odd in [
        "http://",
        "http://:80",
        "http:",
        "https://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:1/?x=1",
        "ftp://127.0.0.1",
    ] {
        let run = run_within(&mut remote(&site.world, odd, &site.token, &["show"]), DEADLINE);
        check(&run, &[1, 3, 64], &[], odd);
    }
}

/// A store that is a server needs neither a key here, nor leaves anything here.
#[test]
fn nothing_is_left_beside_the_project() {
    let site = site();
    let far = crate::support::World::project("generic", "");
    far.write("a.yaml", "accounts: { a: { password: { env: PW } } }");
    let names = || {
        let mut all: Vec<_> = std::fs::read_dir(far.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
        all.sort();
        all
    };
    let before = names();
    for args in [&["plan"][..], &["apply", "--yes"], &["show"], &["log"], &["drift"]] {
        let run = run_within(remote(&far, &site.server.url(), &site.token, args).env("PW", "x"), DEADLINE);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
    }
    assert_eq!(names(), before);
    // Its key is the server's business.
    let run = run_within(&mut remote(&far, &site.server.url(), &site.token, &["store", "rekey", "--yes"]), DEADLINE);
    assert!(matches!(run.code, 1 | 4 | 64), "{}: {}", run.code, run.stderr);
}

#[test]
fn a_server_that_goes_away_meanwhile_is_a_failure_and_no_state() {
    let mut site = site();
    let address = site.server.address;
    site.world.write("a.yaml", "accounts: { a: { comment: y } }");
    let before = site.content();
    site.server.kill();
    let url = format!("http://{address}");
    let run = run_within(&mut remote(&site.world, &url, &site.token, &["apply", "--yes"]), DEADLINE);
    check(&run, &[1], &[&url], "killed");
    assert_eq!(site.content(), before);
    // It comes back while the client tries.
    std::thread::scope(|scope| {
        let mut command = remote(&site.world, &url, &site.token, &["apply", "--yes"]);
        let running = scope.spawn(move || run_within(&mut command, DEADLINE));
        std::thread::sleep(Duration::from_millis(150));
        let server = Server::start_at(&site.world, address);
        let run = running.join().unwrap();
        assert!(matches!(run.code, 0 | 1), "{}", run.stderr);
        drop(server);
    });
    let revision = site.content().revision();
    assert!(matches!(revision, 1 | 2));
}
