//! Effects, for the software that carries them out: in order, until they are acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{PROJECT, Site, add, applied, changeset, post};
use crate::support::http::Caller;

const YAML: &str = "patterns: { taro: { p: { organization: x } }, jiro: { p: { organization: x } } }\n";

#[track_caller]
fn events(api: &Caller, query: &str) -> Vec<Json> {
    let answer = api.get(&format!("/v1/events{query}")).expect(200);
    assert!(answer.header("content-type").starts_with("application/json"), "{answer}");
    answer.json()["events"].as_array().unwrap().clone()
}

#[track_caller]
fn ack(api: &Caller, id: &Json) {
    let answer = api.call(Method::POST, &format!("/v1/events/{id}/ack"), &[], "");
    assert!(matches!(answer.status, 200 | 204), "{answer}");
}

fn users(events: &[Json]) -> Vec<&str> {
    events.iter().map(|one| one["user"].as_str().unwrap()).collect()
}

fn touch(api: &Caller, revision: u64, users: &[&str], before: &str, after: &str) {
    let one = |user: &&str| {
        json!({ "action": "overwrite", "address": format!("pattern/{user}/p"), "kind": "pattern", "key": [user, "p"],
            "source": { "file": "a.yaml", "line": 1, "column": 1 },
            "fields": [{ "field": "organization", "before": before, "after": after }] })
    };
    let changes: Vec<Json> = users.iter().map(one).collect();
    applied(post(api, revision, &changeset(revision, &changes)));
}

/// The first revision has two events of its own: they are acknowledged.
fn quiet() -> Site {
    let site = Site::with(YAML);
    let api = site.api();
    let first = events(&api, "");
    assert_eq!(users(&first), ["jiro", "taro"], "what is added logs out, too");
    for one in &first {
        ack(&api, &one["id"]);
    }
    assert!(events(&api, "").is_empty());
    site
}

#[test]
fn events_stand_in_order_until_they_are_acknowledged() {
    let site = quiet();
    let api = site.api();
    touch(&api, 1, &["jiro", "taro"], "x", "y");
    applied(post(&api, 2, &changeset(2, &[add("a", "x")])));
    touch(&api, 3, &["taro"], "y", "z");
    let all = events(&api, "");
    let of = |at: usize, key: &str| all[at][key].clone();
    assert_eq!(users(&all), ["jiro", "taro", "taro"]);
    assert_eq!((of(0, "revision"), of(1, "revision"), of(2, "revision")), (json!(2), json!(2), json!(4)));
    assert_eq!((of(0, "effect"), of(0, "address")), (json!("logout"), json!("pattern/jiro/p")));
    // The number of the change over all revisions: two of the first, two of the second, one of the third.
    assert_eq!((of(0, "id"), of(1, "id"), of(2, "id")), (json!(3), json!(4), json!(6)));
    assert_eq!(events(&api, "?after=3"), all[1..]);
    assert_eq!(events(&api, "?after=6"), Vec::<Json>::new());
    assert_eq!(events(&api, "?limit=2"), all[..2]);
    assert_eq!(events(&api, "?after=3&limit=1"), all[1..2]);
    // One in the middle, twice: nothing changes the second time.
    for _ in 0..2 {
        ack(&api, &json!(4));
        assert_eq!(events(&api, ""), [all[0].clone(), all[2].clone()]);
    }
    for unknown in ["5", "99", "0"] {
        api.call(Method::POST, &format!("/v1/events/{unknown}/ack"), &[], "").problem(404);
    }
    for wrong in ["/v1/events?after=x", "/v1/events?limit=0", "/v1/events?wait=x", "/v1/events?wait=-1"] {
        let answer = api.get(wrong);
        assert!(matches!(answer.status, 400 | 422), "{answer}");
        answer.problem(answer.status);
    }
    let answer = api.call(Method::POST, "/v1/events/x/ack", &[], "");
    assert!(matches!(answer.status, 400 | 404 | 422), "{answer}");
}

/// They are kept over a kill, and with an apply beside the server.
#[test]
fn an_event_is_as_lasting_as_its_apply() {
    let mut site = quiet();
    site.world.write("a.yaml", YAML.replace('x', "y"));
    site.world.expect(0, &["apply", "--yes", "-q"]);
    let before = events(&site.api(), "");
    assert_eq!(before.len(), 2);
    ack(&site.api(), &before[0]["id"]);
    site.server.kill();
    site.server = crate::support::server::Server::start(&site.world);
    assert_eq!(events(&site.api(), ""), before[1..]);
    // An undo is an apply like others.
    site.run(0, &["undo", "2", "--yes"]);
    assert_eq!(events(&site.api(), "").len(), 3);
}

#[test]
fn a_long_poll_wakes_up_at_once() {
    let site = quiet();
    let api = site.api();
    let start = Instant::now();
    assert!(events(&api, "?wait=1").is_empty());
    assert!((1..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let found = events(&api, "?wait=30");
            (found.len(), Instant::now())
        });
        std::thread::sleep(Duration::from_millis(500));
        touch(&api, 1, &["taro"], "x", "y");
        let applied = Instant::now();
        let (count, woken) = waiting.join().unwrap();
        assert_eq!(count, 1);
        assert!(woken.saturating_duration_since(applied) < Duration::from_secs(2), "too late");
    });
    // What is there is not waited for.
    let start = Instant::now();
    assert_eq!(events(&api, "?wait=30").len(), 1);
    assert!(start.elapsed() < Duration::from_secs(2));
    // Also what others apply.
    std::thread::scope(|scope| {
        let after = events(&api, "")[0]["id"].clone();
        let waiting = scope.spawn({
            let api = &api;
            move || events(api, &format!("?after={after}&wait=30")).len()
        });
        std::thread::sleep(Duration::from_millis(300));
        site.world.write("a.yaml", YAML.replace("jiro: { p: { organization: x", "jiro: { p: { organization: y"));
        let start = Instant::now();
        site.world.expect(0, &["apply", "--yes", "-q"]);
        assert!(waiting.join().unwrap() >= 1);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    });
}

/// Who waits holds nobody up, and is sent home when the server stops.
#[test]
fn many_may_wait() {
    let mut site = quiet();
    let api = site.api();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let api = &api;
                scope
                    .spawn(move || api.try_call(Method::GET, "/v1/events?wait=50", &[], "").map(|answer| answer.status))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        for _ in 0..20 {
            api.get("/v1/revision").expect(200);
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let start = Instant::now();
        assert_eq!(site.server.stop(), Some(0), "{}", site.server.said());
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        for one in waiting {
            let _ = one.join().unwrap();
        }
    });
}

/// A stream of server-sent events: fields of each, by name.
struct Stream {
    lines: BufReader<TcpStream>,
}

impl Stream {
    fn open(site: &Site, token: &str, more: &str) -> Stream {
        let mut stream = TcpStream::connect(site.server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n{more}\r\n"
        )
        .unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("text/event-stream"), "{head}");
        Stream { lines }
    }

    /// The id and the data of the next event.
    fn next(&mut self) -> (u64, Json) {
        let (mut id, mut data) = (None, String::new());
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the stream has ended");
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("id:") {
                id = Some(text.trim().parse().unwrap());
            } else if let Some(text) = line.strip_prefix("data:") {
                data.push_str(text.trim());
            } else if line.is_empty() && !data.is_empty() {
                // Between the lines of a chunked answer there are sizes, too.
                return (id.expect("an id, to go on from"), serde_json::from_str(&data).unwrap());
            }
        }
    }
}

#[test]
fn events_are_sent_as_they_come() {
    let site = quiet();
    let api = site.api();
    let mut stream = Stream::open(&site, &site.token, "");
    touch(&api, 1, &["jiro", "taro"], "x", "y");
    let all = events(&api, "");
    for expected in &all {
        let (id, data) = stream.next();
        assert_eq!((json!(id), &data), (expected["id"].clone(), expected));
    }
    touch(&api, 2, &["taro"], "y", "z");
    assert_eq!(stream.next().1["revision"], 3);
    drop(stream);
    // What is still to be done comes again; or what came after the last that was seen.
    let mut stream = Stream::open(&site, &site.token, "");
    assert_eq!(stream.next().1, all[0]);
    let id = all[0]["id"].as_u64().unwrap();
    let mut stream = Stream::open(&site, &site.token, &format!("last-event-id: {id}\r\n"));
    assert_eq!(stream.next().1, all[1]);
}

/// At least once and in order for each user, while others apply and acknowledge.
#[test]
fn a_worker_gets_every_event_once_it_acknowledges_what_it_has_done() {
    let site = quiet();
    let api = site.api();
    let worker = site.with_token("apply", &[PROJECT]);
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            let (mut done, start) = (Vec::new(), Instant::now());
            while done.len() < 40 && start.elapsed() < Duration::from_secs(60) {
                for event in events(&worker, "?wait=2&limit=3") {
                    ack(&worker, &event["id"]);
                    done.push((event["revision"].as_u64().unwrap(), event["user"].as_str().unwrap().to_owned()));
                }
            }
            done
        });
        for round in 0..20_u64 {
            let (before, after) =
                (if round == 0 { "x".to_owned() } else { round.to_string() }, (round + 1).to_string());
            touch(&api, round + 1, &["jiro", "taro"], &before, &after);
        }
        let done = done.join().unwrap();
        let expected: Vec<_> =
            (2..22).flat_map(|revision| ["jiro", "taro"].map(|user| (revision, user.to_owned()))).collect();
        assert_eq!(done, expected);
    });
    assert!(events(&api, "").is_empty());
}
