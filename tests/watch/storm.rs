//! Random edits at a random pace, while the store is held and the watcher is killed: whatever was applied at any time is
//! what the files were at some moment, in that order, and the end is what the files say.
//!
//! Each resource of a file is stamped with the generation of the file and how many resources that has, so that a half
//! of it, or a mixture, shows in the store. `YUBIN_STORM_EDITS` and `YUBIN_STORM_SEED` repeat and prolong it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::FREE;
use super::support::{Watcher, plain};
use crate::cli::database;
use crate::support::World;

const FILES: usize = 10;
const MOST: u64 = 40;
/// From here on, files stand in a folder that moves away at times.
const IN_FOLDER: usize = 7;
const OPTIONS: &[&str] = &["--poll", "500ms", "--debounce", "50ms", "--lease", "1s"];
/// How long it may take until all is quiet.
const END: Duration = Duration::from_secs(90);

/// Splitmix64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// What a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Nothing,
    /// A generation, and how many resources it has.
    Whole(u64, u64),
    /// Half of something, or with an error: never to be applied.
    Broken(u64),
}

#[derive(Debug)]
struct Span {
    state: State,
    from: Duration,
    to: Duration,
}

/// A file that has been written to and is still open.
struct Open {
    file: usize,
    handle: File,
    rest: Vec<u8>,
    state: State,
    due: Instant,
}

struct Storm {
    world: World,
    random: Random,
    start: Instant,
    began: Timestamp,
    generation: u64,
    /// For each file, what it has been.
    spans: Vec<Vec<Span>>,
    open: Vec<Open>,
    away: bool,
    /// What an empty file is, by format.
    empty: [bool; 2],
    done: Vec<String>,
}

fn is_csv(file: usize) -> bool {
    file % 2 == 1
}

fn name(file: usize) -> String {
    let folder = if file < IN_FOLDER { "" } else { "people/" };
    format!("{folder}f{file}.{}", if is_csv(file) { "csv" } else { "yaml" })
}

fn stamp(generation: u64, count: u64) -> String {
    format!("gen {generation:05} of {count:02}")
}

fn text(file: usize, generation: u64, count: u64) -> String {
    let mut text = if is_csv(file) { "name,comment\n" } else { "accounts:\n" }.to_owned();
    for number in 0..count {
        let stamp = stamp(generation, count);
        if is_csv(file) {
            writeln!(text, "f{file}-r{number:02},{stamp}").unwrap();
        } else {
            writeln!(text, "  f{file}-r{number:02}:\n    comment: {stamp}").unwrap();
        }
    }
    text
}

/// The same with an error somewhere.
fn spoilt(random: &mut Random, file: usize, generation: u64, count: u64) -> String {
    let good = text(file, generation, count);
    let more = match (is_csv(file), random.below(3)) {
        (true, 0) => format!("f{file}-x,gen,too,many\n"),
        (true, 1) => format!("f{file}-r00,twice\n"),
        (true, _) => "\"open\n".to_owned(),
        (false, 0) => format!("  f{file}-x:\n    no_such_field: x\n"),
        (false, 1) => "  [broken\n".to_owned(),
        (false, _) => format!("  f{file}-x:\n    incoming.port: many\n"),
    };
    good + &more
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let world = World::project("generic", FREE);
        let check = |name: &str| {
            let probe = World::project("generic", "");
            probe.write("good.yaml", "accounts: { a: {} }\n");
            probe.write(name, "");
            probe.run(&["check", "-q"]).code == 0
        };
        let mut storm = Storm {
            world,
            random: Random(seed),
            start: Instant::now(),
            began: Timestamp::now(),
            generation: 0,
            spans: (0..FILES)
                .map(|_| vec![Span { state: State::Nothing, from: Duration::ZERO, to: Duration::MAX }])
                .collect(),
            open: Vec::new(),
            away: false,
            empty: [check("e.yaml"), check("e.csv")],
            done: Vec::new(),
        };
        for file in 0..FILES {
            let (generation, count) = storm.fresh();
            let path = name(file);
            storm.atomically(file, State::Whole(generation, count), |world| {
                world.write(&path, text(file, generation, count));
            });
        }
        storm
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn state(&self, file: usize) -> State {
        self.spans[file].last().unwrap().state
    }

    fn fresh(&mut self) -> (u64, u64) {
        self.generation += 1;
        (self.generation, 1 + self.random.below(MOST))
    }

    /// From the first moment at which it may be seen on, this is what the file says.
    fn becomes(&mut self, file: usize, state: State, from: Duration) {
        let now = self.now();
        self.spans[file].last_mut().unwrap().to = now;
        self.spans[file].push(Span { state, from, to: Duration::MAX });
    }

    fn atomically(&mut self, file: usize, state: State, change: impl FnOnce(&World)) {
        let from = self.now();
        change(&self.world);
        self.becomes(file, state, from);
        self.note(file, &format!("{state:?}"));
    }

    fn note(&mut self, file: usize, what: &str) {
        self.remark(&format!("{} {what}", name(file)));
    }

    fn remark(&mut self, what: &str) {
        let now = self.now();
        self.done.push(format!("{:>9.3} {what}", now.as_secs_f64()));
    }

    /// Puts a complete file in the place of another one.
    fn replace(&mut self, file: usize, state: State, text: &str, like_before: bool) {
        let path = name(file);
        self.atomically(file, state, |world| {
            world.write(&format!(".tmp/{file}"), text);
            if like_before && let Ok(before) = fs::metadata(world.file(&path)) {
                let time = before.modified().unwrap();
                File::options()
                    .write(true)
                    .open(world.file(&format!(".tmp/{file}")))
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            }
            fs::rename(world.file(&format!(".tmp/{file}")), world.file(&path)).unwrap();
        });
    }

    /// Truncates and writes, in some pieces.
    fn in_place(&mut self, file: usize, state: State, text: &str) {
        let path = self.world.file(&name(file));
        let from = self.now();
        let mut handle = File::create(path).unwrap();
        self.becomes(file, State::Broken(0), from);
        let pieces = 1 + usize::try_from(self.random.below(3)).unwrap();
        let size = text.len().div_ceil(pieces);
        let mut last = self.now();
        for piece in text.as_bytes().chunks(size) {
            last = self.now();
            handle.write_all(piece).unwrap();
        }
        drop(handle);
        self.becomes(file, state, last);
        self.note(file, &format!("in place {state:?}"));
    }

    /// Writes a part of it, and leaves it open.
    fn begin(&mut self, file: usize, state: State, text: &str) {
        let path = self.world.file(&name(file));
        let at = 1 + usize::try_from(self.random.below(text.len() as u64 - 1)).unwrap();
        // At the end of a line, half of it is likely to be valid.
        let at = if self.random.one_in(2) { at } else { text[..at].rfind('\n').map_or(at, |end| end + 1) };
        let from = self.now();
        let mut handle = if self.random.one_in(3) {
            self.world.write(&format!(".tmp/{file}"), "");
            let mut handle = File::create(self.world.file(&format!(".tmp/{file}"))).unwrap();
            handle.write_all(&text.as_bytes()[..at / 2]).unwrap();
            fs::rename(self.world.file(&format!(".tmp/{file}")), &path).unwrap();
            handle.write_all(&text.as_bytes()[at / 2..at]).unwrap();
            handle
        } else {
            let mut handle = File::create(&path).unwrap();
            handle.write_all(&text.as_bytes()[..at]).unwrap();
            handle
        };
        handle.flush().unwrap();
        self.becomes(file, State::Broken(self.generation), from);
        self.note(file, &format!("the first {at} of {} bytes of {state:?}", text.len()));
        let due = Instant::now() + self.random.millis(80, 450);
        self.open.push(Open { file, handle, rest: text.as_bytes()[at..].to_vec(), state, due });
    }

    /// Ends what was begun, if it is time.
    fn go_on(&mut self, all: bool) {
        while let Some(at) = self.open.iter().position(|open| all || open.due <= Instant::now()) {
            let mut open = self.open.swap_remove(at);
            let from = self.now();
            open.handle.write_all(&open.rest).unwrap();
            drop(open.handle);
            self.becomes(open.file, open.state, from);
            self.note(open.file, &format!("the rest of {:?}", open.state));
        }
    }

    fn move_folder(&mut self) {
        if self.open.iter().any(|open| open.file >= IN_FOLDER) {
            return;
        }
        let from = self.now();
        let (here, there) = (self.world.file("people"), self.world.file(".people"));
        let (old, new) = if self.away { (there, here) } else { (here, there) };
        fs::rename(old, new).unwrap();
        for file in IN_FOLDER..FILES {
            let spans = &self.spans[file];
            let state = if self.away { spans[spans.len() - 2].state } else { State::Nothing };
            self.becomes(file, state, from);
        }
        self.away = !self.away;
        self.note(IN_FOLDER, if self.away { "folder away" } else { "folder back" });
    }

    fn edit(&mut self) {
        if self.random.one_in(40) {
            return self.move_folder();
        }
        let file = usize::try_from(self.random.below(FILES as u64)).unwrap();
        let path = name(file);
        if (self.away && file >= IN_FOLDER) || self.open.iter().any(|open| open.file == file) {
            return;
        }
        let (generation, count) = self.fresh();
        let whole = State::Whole(generation, count);
        let good = text(file, generation, count);
        match self.random.below(100) {
            0..30 => self.in_place(file, whole, &good),
            30..52 => self.replace(file, whole, &good, false),
            52..58 => {
                // As long as it was, and as old.
                let count = if let State::Whole(_, count) = self.state(file) { count } else { count };
                self.replace(file, State::Whole(generation, count), &text(file, generation, count), true);
            }
            58..68 => {
                let target = format!(".links/{file}-{generation}");
                self.world.write(&target, &good);
                let up = if file < IN_FOLDER { "" } else { "../" };
                let link = self.world.file(&format!(".tmp/link{file}"));
                fs::create_dir_all(self.world.file(".tmp")).unwrap();
                symlink(format!("{up}{target}"), &link).unwrap();
                self.atomically(file, whole, |world| fs::rename(link, world.file(&path)).unwrap());
            }
            68..76 => self.begin(file, whole, &good),
            76..80 => {
                let state = State::Broken(generation);
                let bad = spoilt(&mut self.random, file, generation, count);
                if self.random.one_in(2) {
                    self.in_place(file, state, &bad);
                } else {
                    self.replace(file, state, &bad, false);
                }
            }
            80..86 if file > 0 => {
                self.atomically(file, State::Nothing, |world| {
                    // It may be gone already.
                    let _ = fs::remove_file(world.file(&path));
                });
            }
            86..89 if file > 0 => {
                let state =
                    if self.empty[usize::from(is_csv(file))] { State::Nothing } else { State::Broken(generation) };
                self.atomically(file, state, |world| drop(File::create(world.file(&path)).unwrap()));
            }
            89..94 => {
                let junk = [format!(".f{file}.swp"), "4913".to_owned(), format!("{path}~")];
                for name in &junk {
                    self.world.write(name, "accounts: { junk");
                }
                self.replace(file, whole, &good, false);
                for name in &junk {
                    self.world.remove(name);
                }
            }
            _ => {
                // Moved away and written anew, as some editors do.
                if self.world.file(&path).exists() {
                    self.atomically(file, State::Nothing, |world| {
                        fs::rename(world.file(&path), world.file(&format!("{path}~"))).unwrap();
                    });
                }
                self.in_place(file, whole, &good);
            }
        }
    }

    /// Ends with nothing but whole files.
    fn calm(&mut self) {
        self.go_on(true);
        if self.away {
            self.move_folder();
        }
        for file in 0..FILES {
            if matches!(self.state(file), State::Broken(_)) {
                let (generation, count) = self.fresh();
                self.replace(file, State::Whole(generation, count), &text(file, generation, count), false);
            }
        }
    }

    fn expected(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for file in 0..FILES {
            if let State::Whole(generation, count) = self.state(file) {
                all.extend(
                    (0..count).map(|number| (format!("account/f{file}-r{number:02}"), stamp(generation, count))),
                );
            }
        }
        all
    }
}

/// Addresses and comments, of now or of a revision.
fn comments(shown: &Json) -> BTreeMap<String, String> {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let resources = shown["resources"].as_array().unwrap();
    resources.iter().map(|one| (text(&one["address"]), text(&one["fields"]["comment"]))).collect()
}

/// What each file was when this was applied, or why it was nothing that it ever was.
fn states(stored: &BTreeMap<String, String>) -> Result<Vec<State>, String> {
    let mut files: Vec<BTreeMap<&str, &str>> = vec![BTreeMap::new(); FILES];
    for (address, comment) in stored {
        let (file, row) = address
            .strip_prefix("account/f")
            .and_then(|rest| rest.split_once("-r"))
            .ok_or_else(|| format!("{address} was in no whole file"))?;
        files[file.parse::<usize>().unwrap()].insert(row, comment);
    }
    files
        .iter()
        .enumerate()
        .map(|(file, rows)| {
            let stamps: BTreeSet<&str> = rows.values().copied().collect();
            let Some(first) = stamps.first() else { return Ok(State::Nothing) };
            let parse = |text: &str| -> Option<(u64, u64)> {
                let (generation, count) = text.strip_prefix("gen ")?.split_once(" of ")?;
                Some((generation.parse().ok()?, count.parse().ok()?))
            };
            let (generation, count) = parse(first).ok_or_else(|| format!("{}: a cut stamp `{first}`", name(file)))?;
            let names: BTreeSet<String> = (0..count).map(|number| format!("{number:02}")).collect();
            if stamps.len() > 1 || !rows.keys().copied().eq(names.iter().map(String::as_str)) {
                return Err(format!("{}: half of a file: {rows:?}", name(file)));
            }
            Ok(State::Whole(generation, count))
        })
        .collect()
}

/// Holds the store now and then, as other software does.
fn hold(world: &World, seed: u64, end: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let (connection, end) = (database(world), Arc::clone(end));
    thread::spawn(move || {
        let mut random = Random(seed);
        while !end.load(Ordering::Relaxed) {
            thread::sleep(random.millis(200, 3_000));
            if connection.execute_batch("BEGIN IMMEDIATE").is_err() {
                continue;
            }
            // Longer than an apply waits, at times.
            let time = if random.one_in(8) { Duration::from_millis(5_500) } else { random.millis(20, 900) };
            let until = Instant::now() + time;
            while Instant::now() < until && !end.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            connection.execute_batch("ROLLBACK").unwrap();
        }
    })
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[test]
fn whatever_is_applied_was_there() {
    let seed = setting("YUBIN_STORM_SEED")
        .unwrap_or_else(|| u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    let edits = setting("YUBIN_STORM_EDITS").unwrap_or(1_000);
    let mut storm = Storm::new(seed);
    let start = |storm: &mut Storm| {
        let watcher = Watcher::silent(&mut plain(&storm.world, OPTIONS));
        storm.remark(&format!("a watcher starts: {}", watcher.pid()));
        watcher
    };
    let mut told: Vec<Json> = Vec::new();
    let mut watchers = vec![start(&mut storm)];
    watchers[0].until("synced");
    let end = Arc::new(AtomicBool::new(false));
    let holder = hold(&storm.world, seed ^ 1, &end);
    let mut down: Option<Instant> = None;
    for _ in 0..edits {
        storm.edit();
        let pause = match storm.random.below(100) {
            0..70 => storm.random.millis(0, 20),
            70..95 => storm.random.millis(40, 140),
            _ => storm.random.millis(200, 500),
        };
        thread::sleep(pause);
        storm.go_on(false);
        if down.is_none() && storm.random.one_in(60) {
            let mut last = watchers.remove(0);
            told.extend(last.within(Duration::ZERO));
            storm.remark(&format!("a watcher is killed: {}", last.pid()));
            last.kill();
            down = Some(Instant::now() + storm.random.millis(0, 600));
        }
        if down.is_some_and(|at| at <= Instant::now()) {
            down = None;
            // At times two of them.
            watchers.push(start(&mut storm));
            if watchers.len() < 2 && storm.random.one_in(3) {
                watchers.push(start(&mut storm));
            }
        }
    }
    storm.calm();
    end.store(true, Ordering::Relaxed);
    holder.join().unwrap();
    if watchers.is_empty() {
        watchers.push(start(&mut storm));
    }
    let repeat = format!("YUBIN_STORM_SEED={seed} YUBIN_STORM_EDITS={edits}");
    let history = |storm: &Storm, from: usize| {
        let lines: Vec<&str> = storm.done[from..].iter().map(String::as_str).collect();
        lines.join("\n")
    };
    let calm = Instant::now();
    let expected = storm.expected();
    while comments(&storm.world.json(0, &["show"])) != expected
        || storm.world.run(&["plan", "--exit-code", "-q"]).code != 0
    {
        if calm.elapsed() > END {
            let last = history(&storm, storm.done.len().saturating_sub(60));
            watchers[0].within(Duration::ZERO);
            watchers[0].fail(&format!("{repeat}\nthe store is not what the files say\n{last}"));
        }
        thread::sleep(Duration::from_millis(300));
    }
    for watcher in &mut watchers {
        // What is told after the end is what has been done before.
        told.extend(watcher.within(Duration::from_secs(2)));
    }
    verify(&storm, &told, &repeat);
}

fn verify(storm: &Storm, told: &[Json], repeat: &str) {
    // Where each state may have been seen.
    let mut seen: BTreeMap<(usize, State), Vec<(Duration, Duration)>> = BTreeMap::new();
    let mut moments: Vec<Duration> = Vec::new();
    for (file, spans) in storm.spans.iter().enumerate() {
        for span in spans {
            seen.entry((file, span.state)).or_default().push((span.from, span.to));
            moments.push(span.from);
        }
    }
    moments.sort();
    let log = storm.world.json(0, &["log"]);
    let log: BTreeMap<u64, &Json> =
        log["revisions"].as_array().unwrap().iter().map(|one| (one["revision"].as_u64().unwrap(), one)).collect();
    let mut moment = Duration::ZERO;
    let mut before = BTreeMap::new();
    for (revision, entry) in &log {
        let at: Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
        let at = at.duration_since(storm.began).as_secs_f64();
        // The hour of the log is of whole seconds.
        let history = || {
            let near = |line: &&String| {
                let time: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
                time > at - 4.0 && time < at + 2.0
            };
            let lines: Vec<&str> = storm.done.iter().filter(near).map(String::as_str).collect();
            format!("applied at about {at:.3}\n{}", lines.join("\n"))
        };
        let stored = comments(&storm.world.json(0, &["show", "--at", &revision.to_string()]));
        let found =
            states(&stored).unwrap_or_else(|error| panic!("{repeat}\nrevision {revision}: {error}\n{}", history()));
        assert_ne!(stored, before, "{repeat}\nrevision {revision} changes nothing");
        let holds = |at: Duration| {
            found.iter().enumerate().all(|(file, state)| {
                let spans = seen.get(&(file, *state)).map_or(&[][..], Vec::as_slice);
                spans.iter().any(|(from, to)| *from <= at && at <= *to)
            })
        };
        let later = moments.iter().copied().filter(|at| *at > moment);
        moment = std::iter::once(moment).chain(later).find(|at| holds(*at)).unwrap_or_else(|| {
            panic!("{repeat}\nrevision {revision}: never were the files so after {moment:?}: {found:?}\n{}", history())
        });
        before = stored;
    }
    assert!(log.len() as u64 > 10, "{repeat}\nonly {} revisions", log.len());
    for event in told {
        let kind = event["event"].as_str().unwrap();
        if kind == "synced" {
            let entry = log.get(&event["revision"].as_u64().unwrap()).unwrap_or_else(|| panic!("{repeat}\n{event}"));
            assert_eq!(
                (&entry["config_digest"], &entry["digest"]),
                (&event["config_digest"], &event["digest"]),
                "{repeat}"
            );
        }
        let strange = kind == "refused" || kind == "drift" || event["reason"] == "by_hand";
        assert!(!strange, "{repeat}\nnobody did that: {event}");
    }
}
