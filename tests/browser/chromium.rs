//! A headless Chromium of a test's own, told what to do over a pipe (the `DevTools` protocol).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// Longer than anything takes that is still going to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where time is measured, no other browser of these tests runs.
static TURNS: RwLock<()> = RwLock::new(());

enum Turn {
    Shared(#[expect(dead_code, reason = "it is held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "it is held")] RwLockWriteGuard<'static, ()>),
}

pub struct Chromium {
    process: Child,
    to: ChildStdin,
    from: Receiver<Json>,
    calls: u64,
    session: Option<String>,
    /// What the browser told since the page was opened.
    pub events: Vec<Json>,
    /// Profile and pages; goes after the process.
    folder: TempDir,
    _turn: Turn,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A browser that has gone already is as good as one that goes now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> &'static str {
    let there = |name: &&&str| {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).exists()))
    };
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().find(there).copied().unwrap_or_else(|| panic!("the tests need Chromium (`tests/run` installs it)"))
}

impl Chromium {
    pub fn start() -> Chromium {
        Chromium::with(Turn::Shared(TURNS.read().unwrap_or_else(PoisonError::into_inner)))
    }

    pub fn start_alone() -> Chromium {
        Chromium::with(Turn::Alone(TURNS.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn with(turn: Turn) -> Chromium {
        let folder = TempDir::new().unwrap();
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        // The browser reads from 3 and writes to 4. As root, it has no sandbox.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh", program(), "--headless"])
            .args(["--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"])
            .args([profile.as_str(), "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let (send, from) = channel();
        std::thread::spawn(move || {
            loop {
                let mut message = Vec::new();
                if answers.read_until(0, &mut message).unwrap_or(0) == 0 {
                    return;
                }
                message.pop();
                // Whoever listened is gone with its test.
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Chromium { process, to, from, calls: 0, session: None, events: Vec::new(), folder, _turn: turn };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.resize(1200, 900);
        browser
    }

    #[track_caller]
    pub fn call(&mut self, method: &str, params: &Json) -> Json {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{call}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.next();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn next(&mut self) -> Json {
        self.from.recv_timeout(PATIENCE).expect("Chromium answers")
    }

    /// What the expression, or its promise, is in the page.
    #[track_caller]
    pub fn js(&mut self, expression: &str) -> Json {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Writes the page to a file, loads that, and waits until it is painted: how long this took from
    /// the call to load it.
    #[track_caller]
    pub fn open(&mut self, name: &str, page: &[u8]) -> Duration {
        let started = self.load(name, page);
        self.painted();
        started.elapsed()
    }

    /// The same, for a page in which no script may wait for anything: when it was called.
    #[track_caller]
    pub fn load(&mut self, name: &str, page: &[u8]) -> Instant {
        let path = self.folder.path().join(name);
        std::fs::write(&path, page).unwrap();
        self.events.clear();
        let started = Instant::now();
        self.call("Page.navigate", &json!({ "url": format!("file://{}", path.display()) }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next();
            self.events.push(event);
        }
        started
    }

    /// Waits until what has happened so far is on the screen.
    pub fn painted(&mut self) {
        self.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))");
    }

    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    pub fn events(&self, method: &str) -> Vec<&Json> {
        self.events.iter().filter(|event| event["method"] == method).map(|event| &event["params"]).collect()
    }

    /// Nothing but the page itself was asked for, and nothing went wrong in it.
    #[track_caller]
    pub fn assert_quiet(&self) {
        let folder = format!("file://{}/", self.folder.path().display());
        let urls: Vec<&str> = self
            .events("Network.requestWillBeSent")
            .into_iter()
            .map(|sent| sent["request"]["url"].as_str().unwrap())
            .collect();
        assert_eq!(urls.len(), 1, "{urls:?}");
        assert!(urls[0].starts_with(&folder), "{urls:?}");
        assert_eq!(self.events("Runtime.exceptionThrown"), Vec::<&Json>::new());
        assert_eq!(self.events("Log.entryAdded"), Vec::<&Json>::new());
    }
}
