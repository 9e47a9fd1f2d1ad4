//! A watcher as a child process, and what it tells.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

use crate::support::http::Caller;
use crate::support::{Run, World};

/// How long anything may take on a machine that has other things to do.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Options for those who do not want to wait.
pub const QUICK: &[&str] = &["--poll", "300ms", "--debounce", "50ms"];

/// What every event has.
const COMMON: [&str; 10] = [
    "format_version",
    "event",
    "at",
    "project",
    "cause",
    "config_digest",
    "digest",
    "revision",
    "summary",
    "duration_ms",
];
const CAUSES: [&str; 8] = ["start", "files", "poll", "git", "store", "signal", "request", "time"];
/// What every summary counts, and what only some do.
const COUNTS: [&str; 6] = ["add", "overwrite", "delete", "skip", "blocked", "unchanged"];
const RARE: [&str; 3] = ["rename", "disable", "purge"];
const REASONS: [&str; 6] = ["paused", "window", "approval", "by_hand", "writing", "standby"];

pub struct Watcher {
    child: Child,
    lines: Receiver<String>,
    /// All that was read so far, for messages.
    seen: Vec<String>,
    stderr: Arc<Mutex<String>>,
    started: Json,
}

/// None of the caller's git, and nobody to notify.
pub fn hermetic(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("GIT_") || name.starts_with("WATCHDOG_") || name == "NOTIFY_SOCKET" {
            command.env_remove(&*name);
        }
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1")
}

/// `yubin watch` with these options, and those of [`QUICK`].
pub fn command(world: &World, args: &[&str]) -> Command {
    plain(world, &[&quick(args)[..], args].concat())
}

/// Those of [`QUICK`] that are not given otherwise.
fn quick(args: &[&str]) -> Vec<&'static str> {
    QUICK.chunks(2).filter(|pair| !args.contains(&pair[0])).flatten().copied().collect()
}

/// `yubin watch` with these options alone.
pub fn plain(world: &World, args: &[&str]) -> Command {
    let mut command = world.command(&[&["watch", "--format", "json"], args].concat());
    hermetic(&mut command);
    command
}

/// Ends by itself: `--once`, and wrong usage.
#[track_caller]
pub fn once(world: &World, code: i32, args: &[&str]) -> Vec<Json> {
    let run = Run::of(plain(world, &[&["--once"], args].concat()).output().unwrap());
    assert_eq!(run.code, code, "{args:?}\n{}{}", run.stdout, run.stderr);
    run.stdout
        .lines()
        .map(|line| {
            let event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(flaw(&event), None, "{event}");
            event
        })
        .collect()
}

impl Watcher {
    /// Starts one and waits until it says so.
    #[track_caller]
    pub fn start(world: &World, args: &[&str]) -> Watcher {
        Watcher::of(&mut command(world, args))
    }

    /// With a port, too.
    #[track_caller]
    pub fn served(world: &World, args: &[&str]) -> Watcher {
        Watcher::start(world, &[&["--status", "127.0.0.1:0"], args].concat())
    }

    /// Starts one, and waits until files and store are the same.
    #[track_caller]
    pub fn synced(world: &World, args: &[&str]) -> Watcher {
        let mut watcher = Watcher::start(world, args);
        watcher.next_of(&["synced", "unchanged"]);
        watcher
    }

    #[track_caller]
    pub fn of(command: &mut Command) -> Watcher {
        let mut watcher = Watcher::silent(command);
        let started = watcher.event();
        watcher.demand(started["event"] == "started", "`started` comes first");
        watcher.started = started;
        watcher
    }

    /// One of which no event has been read.
    pub fn silent(command: &mut Command) -> Watcher {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = listen(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Watcher { child, lines, seen: Vec::new(), stderr, started: Json::Null }
    }

    /// One that says everything elsewhere.
    pub fn silent_to(command: &mut Command, output: File) -> Watcher {
        let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        let (_, lines) = mpsc::channel();
        Watcher { child, lines, seen: Vec::new(), stderr: Arc::default(), started: Json::Null }
    }

    pub fn started(&self) -> &Json {
        &self.started
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line, whatever it is.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => {
                self.seen.push(line.clone());
                line
            }
            Err(RecvTimeoutError::Timeout) => self.fail("nothing is told"),
            Err(RecvTimeoutError::Disconnected) => self.fail("it has ended"),
        }
    }

    #[track_caller]
    pub fn event(&mut self) -> Json {
        let line = self.line();
        self.parse(&line)
    }

    #[track_caller]
    fn parse(&self, line: &str) -> Json {
        let event: Json = serde_json::from_str(line).unwrap_or_else(|error| self.fail(&format!("{error}: {line}")));
        if let Some(flaw) = flaw(&event) {
            self.fail(&format!("{flaw}: {event}"));
        }
        event
    }

    /// The next event but for `changed`, which has to be this one.
    #[track_caller]
    pub fn next(&mut self, name: &str) -> Json {
        self.next_of(&[name])
    }

    #[track_caller]
    pub fn next_of(&mut self, names: &[&str]) -> Json {
        loop {
            let event = self.event();
            if names.iter().any(|name| event["event"] == *name) {
                return event;
            }
            self.demand(event["event"] == "changed", &format!("expected {names:?}, not {event}"));
        }
    }

    /// The next event of this name, whatever comes before it.
    #[track_caller]
    pub fn until(&mut self, name: &str) -> Json {
        self.until_that(name, |event| event["event"] == name)
    }

    #[track_caller]
    pub fn until_that(&mut self, what: &str, is: impl Fn(&Json) -> bool) -> Json {
        let end = Instant::now() + LIMIT;
        loop {
            self.demand(Instant::now() < end, what);
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    let event = self.parse(&line);
                    if is(&event) {
                        return event;
                    }
                }
                Err(error) => self.fail(&format!("{what}: {error}")),
            }
        }
    }

    /// What is told within this time.
    #[track_caller]
    pub fn within(&mut self, time: Duration) -> Vec<Json> {
        let end = Instant::now() + time;
        let mut events = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line.clone());
            events.push(self.parse(&line));
        }
        events
    }

    /// For some polls, nothing but `changed` is told.
    #[track_caller]
    pub fn quiet(&mut self) {
        self.quiet_or("changed");
    }

    /// For some polls, nothing but this and `changed` is told.
    #[track_caller]
    pub fn quiet_or(&mut self, name: &str) {
        let told: Vec<Json> = self.within(Duration::from_millis(1_500));
        let loud = told.iter().find(|event| event["event"] != "changed" && event["event"] != name);
        self.demand(loud.is_none(), &format!("nothing but {name} should be told"));
        let there = self.child.try_wait().unwrap().is_none();
        self.demand(there, "it should be there");
    }

    #[track_caller]
    pub fn demand(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what);
        }
    }

    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        panic!("{what}\n--- events\n{}\n--- stderr\n{}", self.seen.join("\n"), self.stderr());
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// All lines that were read.
    pub fn told(&self) -> &[String] {
        &self.seen
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator does; how it ended, and what it told after what was read.
    #[track_caller]
    pub fn stop(mut self) -> (ExitStatus, Vec<Json>) {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> (ExitStatus, Vec<Json>) {
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            self.demand(Instant::now() < end, "it does not end");
            thread::sleep(Duration::from_millis(10));
        };
        let events = self.within(LIMIT);
        (status, events)
    }

    /// Its status port.
    #[track_caller]
    pub fn port(&self) -> Caller {
        Caller { base: format!("http://{}", self.address()), token: None }
    }

    #[track_caller]
    pub fn address(&self) -> &str {
        self.started["status"].as_str().unwrap_or_else(|| self.fail("no status port"))
    }

    #[track_caller]
    pub fn ask(&self) {
        self.port().call(reqwest::Method::POST, "/v1/sync", &[], "").expect(202);
    }

    #[track_caller]
    pub fn status(&self) -> Json {
        self.port().get("/status").expect(200).json()
    }

    /// Waits until `/status` says so.
    #[track_caller]
    pub fn state(&self, name: &str) {
        eventually(&format!("the state {name}"), || self.status()["state"] == name);
    }

    /// What it answers to these bytes.
    #[track_caller]
    pub fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // It may close without having read all.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// Processor time so far, and resident memory, in bytes.
    pub fn usage(&self) -> (Duration, u64) {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap();
        // Fields are counted behind the name, which may hold blanks.
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        (Duration::from_millis(ticks * 10), kib * 1024)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended by itself.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let end = Instant::now() + Duration::from_secs(3);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            if line.is_err() || sender.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn collect(stderr: ChildStderr) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&all);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut all = kept.lock().unwrap();
            all.push_str(&line);
            all.push('\n');
        }
    });
    all
}

/// Waits for something that no event tells.
#[track_caller]
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {LIMIT:?}");
        thread::sleep(Duration::from_millis(30));
    }
}

/// What an event has that the document does not say, or lacks.
fn flaw(event: &Json) -> Option<String> {
    let Some(object) = event.as_object() else { return Some("no object".to_owned()) };
    if let Some(key) = COMMON.iter().find(|key| !object.contains_key(**key)) {
        return Some(format!("no `{key}`"));
    }
    let text = |json: &Json| json.as_str().is_some_and(|text| !text.is_empty());
    let or_null = |json: &Json, is: fn(&Json) -> bool| json.is_null() || is(json);
    let digest = |json: &Json| {
        let hex = |text: &str| text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
        json.is_null() || json.as_str().is_some_and(hex)
    };
    let time =
        |json: &Json| json.as_str().is_some_and(|text| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok());
    let counts = |json: &Json| {
        json.is_null()
            || (COUNTS.iter().all(|key| json[*key].is_u64())
                && json.as_object().is_some_and(|all| {
                    all.keys().all(|key| COUNTS.contains(&key.as_str()) || RARE.contains(&key.as_str()))
                }))
    };
    let named = |list: &Json, keys: &[&str]| {
        list.as_array().is_some_and(|list| list.iter().all(|one| keys.iter().all(|key| text(&one[*key]))))
    };
    let diagnostics = named(&event["diagnostics"], &["severity", "code", "message"]);
    let wrong = |key: &str| Some(format!("wrong `{key}`"));
    let common = [
        ("format_version", event["format_version"] == 1),
        ("at", time(&event["at"])),
        ("project", event["project"].is_null() || text(&event["project"])),
        ("cause", event["cause"].is_null() || CAUSES.iter().any(|cause| event["cause"] == *cause)),
        ("config_digest", digest(&event["config_digest"])),
        ("digest", digest(&event["digest"])),
        ("revision", or_null(&event["revision"], Json::is_u64)),
        ("summary", counts(&event["summary"])),
        ("duration_ms", or_null(&event["duration_ms"], Json::is_u64)),
    ];
    if let Some((key, _)) = common.into_iter().find(|(_, holds)| !holds) {
        return wrong(key);
    }
    let has = |key: &str| object.contains_key(key);
    let own: Vec<(&str, bool)> = match event["event"].as_str().unwrap_or_default() {
        "started" => vec![
            ("yubin", text(&event["yubin"])),
            ("store", event["store"].is_null() || text(&event["store"])),
            ("pid", event["pid"].is_u64()),
            ("status", has("status") && or_null(&event["status"], Json::is_string)),
            ("role", event["role"] == "leader" || event["role"] == "standby"),
        ],
        "changed" => {
            let files = event["files"].as_array().map_or(usize::MAX, Vec::len);
            let count = event["files_count"].as_u64().unwrap_or_default();
            vec![
                ("files", files <= 20 && event["files"].as_array().is_some_and(|all| all.iter().all(text))),
                ("files_count", event["files_count"].is_u64() && count >= files as u64),
            ]
        }
        "synced" => vec![
            ("effects", named(&event["effects"], &["effect", "address"])),
            ("commit", has("commit") && or_null(&event["commit"], Json::is_string)),
            ("diagnostics", diagnostics),
            ("revision", event["revision"].is_u64()),
            ("config_digest", event["config_digest"].is_string()),
            ("digest", event["digest"].is_string()),
            ("summary", event["summary"].is_object()),
            ("duration_ms", event["duration_ms"].is_u64()),
        ],
        "unchanged" => vec![("nothing more", object.len() == COMMON.len())],
        "invalid" => vec![("diagnostics", diagnostics && event["diagnostics"][0].is_object())],
        "refused" => vec![
            ("refused", named(&event["refused"], &["rule", "message"]) && event["refused"][0].is_object()),
            ("diagnostics", diagnostics),
        ],
        "waiting" => vec![
            ("reason", REASONS.iter().any(|reason| event["reason"] == *reason)),
            ("message", text(&event["message"])),
            ("until", has("until") && (event["until"].is_null() || time(&event["until"]))),
        ],
        "drift" => vec![("drift", named(&event["drift"], &["address"]) && event["drift"][0].is_object())],
        "failed" => vec![
            ("message", text(&event["message"])),
            ("hint", has("hint") && or_null(&event["hint"], Json::is_string)),
            ("retry_ms", has("retry_ms") && or_null(&event["retry_ms"], Json::is_u64)),
        ],
        "stopped" => vec![("reason", event["reason"] == "signal" || event["reason"] == "once")],
        _ => return wrong("event"),
    };
    own.into_iter().find(|(_, holds)| !holds).and_then(|(key, _)| wrong(key))
}
