//! `cargo bench --bench watch [-- --rows N --syncs N --idle SECONDS]`: how soon a watcher has applied what was saved, what
//! it costs while nothing happens, and whether it grows. It prints the table of `docs/performance.md`.

#[path = "../table.rs"]
#[expect(dead_code, reason = "others have other figures")]
mod table;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use table::{Bar, Figure};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Saves that are measured; the median counts.
const SAVES: u32 = 21;
const FILES: u32 = 100;
const DEBOUNCE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(300);

struct Sizes {
    rows: u32,
    syncs: u32,
    idle: Duration,
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn sizes() -> Result<Sizes> {
    // `cargo bench` says `--bench`; without it, it is enough to know whether it still works.
    let mut sizes = if std::env::args().any(|arg| arg == "--bench") {
        Sizes { rows: 100_000, syncs: 10_000, idle: Duration::from_secs(120) }
    } else {
        Sizes { rows: 1_000, syncs: 50, idle: Duration::from_secs(2) }
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number =
            || -> Result<u32> { Ok(args.next().ok_or(format!("`{arg}` is followed by a number"))?.parse()?) };
        match arg.as_str() {
            "--bench" => {}
            "--rows" => sizes.rows = number()?,
            "--syncs" => sizes.syncs = number()?,
            "--idle" => sizes.idle = Duration::from_secs(number()?.into()),
            _ => return Err(format!("`{arg}` is none of `--rows N`, `--syncs N` and `--idle SECONDS`").into()),
        }
    }
    Ok(sizes)
}

fn measure() -> Result<()> {
    let sizes = sizes()?;
    let mut figures = Vec::new();
    for kind in ["yaml", "csv"] {
        // Below `target`, which is on a disk: the folder for temporary files may be in memory.
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let dir = scratch.path();
        project(dir)?;
        for file in 0..FILES {
            write(dir, kind, file, sizes.rows / FILES, 0)?;
        }
        let mut watcher = Watcher::start(dir, &[])?;
        watcher.next("synced")?;
        let mut times = Vec::new();
        for save in 1..=SAVES {
            let saved = write(dir, kind, save * 7 % FILES, sizes.rows / FILES, save)?;
            watcher.next("synced")?;
            times.push(saved.elapsed().saturating_sub(DEBOUNCE));
        }
        times.sort_unstable();
        let name = |what: &str| format!("save of one {kind} file of {FILES}, {} resources, {what}", sizes.rows);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let median = times[times.len() / 2];
        figures.push(Figure::amount(
            name("to the commit beyond the debounce, median"),
            millis(median),
            "ms",
            Bar::Most(300.0),
        ));
        let worst = times.last().copied().unwrap_or_default();
        figures.push(Figure::amount(name("the worst"), millis(worst), "ms", Bar::None));
        figures.push(Figure::amount(name("memory"), watcher.memory()?, "MiB", Bar::None));
        // Not what follows a sync.
        thread::sleep(Duration::from_secs(1));
        let (before, begun) = (watcher.ticks()?, Instant::now());
        thread::sleep(sizes.idle);
        // 100 to a second, on every Linux.
        let share = (watcher.ticks()? - before) / begun.elapsed().as_secs_f64();
        figures.push(Figure::amount(
            format!("CPU while nothing happens, {} resources in {kind}", sizes.rows),
            share,
            "%",
            Bar::Most(0.1),
        ));
    }
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let dir = scratch.path();
    project(dir)?;
    write(dir, "yaml", 0, 100, 0)?;
    let mut watcher = Watcher::start(dir, &["--debounce", "10ms"])?;
    watcher.next("synced")?;
    let mut early = 0.0;
    for sync in 1..=sizes.syncs {
        write(dir, "yaml", 0, 100, sync)?;
        watcher.next("synced")?;
        if sync == sizes.syncs / 10 {
            early = watcher.memory()?;
        }
    }
    let grown = watcher.memory()? - early;
    let name = format!("growth of memory over {} syncs", sizes.syncs - sizes.syncs / 10);
    figures.push(Figure::amount(name, grown, "MiB", Bar::Most(2.0)));
    let revision = watcher.last["revision"].as_u64().unwrap_or_default();
    if revision != u64::from(sizes.syncs) + 1 {
        return Err(format!("{} syncs have made revision {revision}", sizes.syncs).into());
    }
    println!("{}\n\n{}", table::machine(), table::table(&figures));
    Ok(())
}

fn project(dir: &Path) -> Result<()> {
    fs::write(dir.join("yubin.yaml"), "version: 1\nname: bench\npolicy: { undeclared: delete }\n")?;
    Ok(())
}

/// Writes a file as an editor does, beside its place and over it; one of its resources differs with every save.
fn write(dir: &Path, kind: &str, file: u32, rows: u32, save: u32) -> Result<Instant> {
    let mut text = String::from(if kind == "csv" { "name,capacity,comment\n" } else { "accounts:\n" });
    for row in 0..rows {
        let (name, comment) = (format!("u{file:03}x{row:06}"), if row == rows / 2 { save } else { 0 });
        if kind == "csv" {
            writeln!(text, "{name},5,save {comment}")?;
        } else {
            writeln!(text, "  {name}: {{ capacity: 5, comment: save {comment} }}")?;
        }
    }
    let beside = dir.join(format!(".{file}.new"));
    fs::write(&beside, text)?;
    let saved = Instant::now();
    fs::rename(beside, dir.join(format!("f{file:03}.{kind}")))?;
    Ok(saved)
}

struct Watcher {
    child: Child,
    events: Receiver<Json>,
    last: Json,
}

impl Watcher {
    fn start(dir: &Path, options: &[&str]) -> Result<Watcher> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_yubin"));
        command.args(["watch", "--format", "json"]).args(options).current_dir(dir).env_remove("PWD");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = child.stdout.take().ok_or("the watcher has no output")?;
        let (send, events) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { return };
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Watcher { child, events, last: Json::Null })
    }

    /// Waits for an event of this name.
    fn next(&mut self, name: &str) -> Result<()> {
        loop {
            let event = self.events.recv_timeout(PATIENCE).map_err(|_| format!("no `{name}` comes"))?;
            let found = event["event"].as_str().unwrap_or_default().to_owned();
            self.last = event;
            if found == name {
                return Ok(());
            }
            if !matches!(found.as_str(), "started" | "changed") {
                return Err(format!("`{found}` comes before `{name}`: {}", self.last).into());
            }
        }
    }

    /// MiB that are in memory.
    fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("there is no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Hundredths of a second that the process has been at work.
    fn ticks(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let rest = stat.rsplit_once(") ").ok_or("a strange /proc/PID/stat")?.1;
        let mut words = rest.split(' ').skip(11);
        let mut next = || -> Result<f64> { Ok(words.next().ok_or("a strange /proc/PID/stat")?.parse()?) };
        Ok(next()? + next()?)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
