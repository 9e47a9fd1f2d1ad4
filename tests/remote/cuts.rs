//! Connections to a real server that break after so many bytes, in either direction: nothing is lost, and
//! nothing is done twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value as Json;

use crate::support::served::{Served, token};
use crate::support::{Run, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Passes connections on to a server; the first ones that carry so many bytes one way are cut there.
fn proxy(target: &str, way: Way, at: usize, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = target.trim_start_matches("http://").to_owned();
    let left = Arc::new(AtomicUsize::new(times));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else { continue };
            for (from, to, limited) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap(), way == Way::Up),
                (server, client, way == Way::Down),
            ] {
                let left = Arc::clone(&left);
                thread::spawn(move || pass(from, to, limited.then_some((at, &*left))));
            }
        }
    });
    url
}

fn pass(mut from: TcpStream, mut to: TcpStream, limit: Option<(usize, &AtomicUsize)>) {
    let (mut passed, mut buffer) = (0, [0; 8192]);
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if let Some((at, left)) = limit
            && passed + read > at
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            let _ = to.write_all(&buffer[..at.saturating_sub(passed)]);
            break;
        }
        passed += read;
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn a_connection_that_is_cut_anywhere_loses_nothing_and_doubles_nothing() {
    const STORE: &str = "sqlite:yubin.db";
    const COUNT: usize = 1_200;
    let world = World::project("generic", "");
    let none = BTreeMap::new();
    let server = Served::start(&world, STORE, &none);
    let token = token(&world, STORE, &none, "apply", &["head-office"]);
    let yaml = |round: usize| {
        let mut yaml = "accounts:\n".to_owned();
        for number in 0..COUNT {
            writeln!(yaml, "  a{number:05}: {{ comment: round {round} of {number} }}").unwrap();
        }
        yaml
    };
    let run = |url: &str, args: &[&str]| {
        let mut command = world.command(&[&["--store", url], args].concat());
        Run::of(command.env("YUBIN_TOKEN", &token).output().unwrap())
    };
    world.write("a.yaml", yaml(0));
    assert_eq!(run(&server.url, &["apply", "--yes", "-q"]).code, 0);
    // The head of a request is cut too, and that of an answer.
    let points = [100, 400].into_iter().chain((1..5).map(|number| number * 64 * 1024));
    let mut round = 0;
    for at in points {
        for way in [Way::Up, Way::Down] {
            round += 1;
            world.write("a.yaml", yaml(round));
            let url = proxy(&server.url, way, at, 2);
            let run = run(&url, &["apply", "--yes", "-q"]);
            assert_eq!(run.code, 0, "{way:?} {at}: {}", run.stderr);
            let shown = world.json(0, &["show", "--store", STORE]);
            assert_eq!(shown["revision"], round + 1, "{way:?} {at}: once, and only once");
            let resources: &Vec<Json> = shown["resources"].as_array().unwrap();
            assert_eq!(resources.len(), COUNT);
            let comment = |number: usize| format!("round {round} of {number}");
            let is_whole =
                (0..).zip(resources).all(|(number, one)| one["fields"]["comment"] == comment(number).as_str());
            assert!(is_whole, "{way:?} {at}");
        }
    }
}
