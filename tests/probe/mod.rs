//! `yubin probe` against real mail servers, and against fakes that do what a real one cannot be made to do.

mod certificates;
mod commands;
mod dialogues;
mod fake;
mod logins;
mod names;
mod offers;
mod plans;
mod row;
mod sending;
mod stack;
mod stored;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::Value as Json;

use crate::cli::concat;
use crate::support::mail::{Setup, Stack};
use crate::support::server::run_within;
use crate::support::{Run, World};

/// What every account of the servers has for a password.
const RIGHT: &str = "Zilpzalp-richtig-4Kt7";
const WRONG: &str = "Wachtelkoenig-falsch-8Rm2";
/// What a protocol may stumble over: umlauts, blanks, quotes, what looks like a literal, a pattern or an end.
const ODD: &str = "Käuzchen \"sägt\" \\ {3} %u ~+=";

/// What has come of it, for the plans that follow.
const EVIDENCE: &str = ".yubin/evidence.json";

/// No run of these tests may take longer: those that wait for nothing are told by it, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server where everything is well, for all tests that leave it so. Whoever counts on it has users of its own.
static WELL: LazyLock<Stack> = LazyLock::new(|| Stack::start(Setup::default()));

/// A project that may go to this machine.
fn project(more: &str) -> World {
    World::project(
        "generic",
        &format!("probe: {{ hosts: [127.0.0.1, 127.0.0.2, localhost], ca: ca.pem, timeout: 5s{more} }}\n"),
    )
}

/// The program, outside every CI, with both passwords in its environment.
fn command(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.env_remove("CI").env("RIGHT", RIGHT).env("WRONG", WRONG).env("ODD", ODD);
    command
}

/// Runs and demands an exit code, and that no password is shown.
#[track_caller]
fn expect(world: &World, code: i32, args: &[&str]) -> Run {
    let run = run(world, args);
    assert_eq!(run.code, code, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
    run
}

/// Runs, however it ends.
fn run(world: &World, args: &[&str]) -> Run {
    let run = run_within(&mut command(world, args), PATIENCE);
    shows_no_password(&run);
    run
}

#[track_caller]
fn json(world: &World, code: i32, args: &[&str]) -> Json {
    parsed(&expect(world, code, &[args, &["--format", "json"]].concat()))
}

#[track_caller]
fn parsed(run: &Run) -> Json {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", run.stdout, run.stderr))
}

/// What came of one way of a resource.
fn probed<'a>(document: &'a Json, address: &str, protocol: &str) -> &'a Json {
    let found = document["probes"]
        .as_array()
        .and_then(|probes| probes.iter().find(|probe| probe["address"] == address && probe["protocol"] == protocol));
    found.unwrap_or(&Json::Null)
}

fn step<'a>(probe: &'a Json, name: &str) -> &'a Json {
    let found = probe["steps"].as_array().and_then(|steps| steps.iter().find(|step| step["step"] == name));
    found.unwrap_or(&Json::Null)
}

/// All codes of a document, sorted.
fn codes(document: &Json) -> Vec<&str> {
    let probes = document["probes"].as_array().into_iter().flatten();
    let steps = probes.flat_map(|probe| probe["steps"].as_array().into_iter().flatten());
    let mut codes: Vec<&str> = steps.filter_map(|step| step["code"].as_str()).collect();
    codes.sort_unstable();
    codes
}

#[track_caller]
fn shows_no_password(run: &Run) {
    for (place, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        assert!(!has_password(text.as_bytes()), "a password on {place}:\n{text}");
    }
}

/// Whether one of the two stands there, as it is, in Base64 behind whatever, or in hexadecimal.
fn has_password(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let folded = text.to_ascii_lowercase();
    [RIGHT, WRONG, ODD].iter().any(|password| {
        let hex = concat(password.bytes(), |byte| format!("{byte:02x}"));
        let in_base64 = (0..3).any(|shift| {
            let shifted = BASE64_STANDARD_NO_PAD.encode([&b"xxx"[..shift], password.as_bytes()].concat());
            // The characters that hold nothing but bits of the password.
            let first = (shift * 8).div_ceil(6);
            let last = (shift + password.len()) * 8 / 6;
            text.contains(&shifted[first..last])
        });
        text.contains(password) || folded.contains(&hex) || in_base64
    })
}

/// All files of a folder, with what they hold.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

#[test]
fn passwords_are_found_however_they_are_written() {
    for shift in 0..4 {
        let plain = format!("{}{RIGHT}", "\0".repeat(shift));
        assert!(has_password(BASE64_STANDARD_NO_PAD.encode(plain).as_bytes()), "{shift}");
    }
    let hex = concat(WRONG.bytes(), |byte| format!("{byte:02X}"));
    assert!(has_password(hex.as_bytes()));
    assert!(has_password(format!("x{WRONG}x").as_bytes()));
    assert!(!has_password(b"Zilpzalp"));
}
