//! A connection that is cut, wherever it is: what was to be done is done once or not at all, and whoever tries again
//! finds out.

use std::fmt::Write as _;

use super::{Content, POLICY, PROJECT, content, project, remote, token};
use crate::support::proxy::{Cut, Proxy};
use crate::support::server::{DEADLINE, Server, run_within};
use crate::support::{Run, World};

const STEP: usize = 64 * 1024;
const MANY: usize = 2500;

/// Text that no compression makes much shorter.
fn noise(seed: usize) -> String {
    let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    (0..180)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[(state % 62) as usize])
        })
        .collect()
}

fn accounts(count: usize, seed: usize) -> String {
    let mut csv = "name,comment\n".to_owned();
    for number in 0..count {
        writeln!(csv, "a{number:05},{}", noise(number + seed)).unwrap();
    }
    csv
}

/// A store of many accounts, of which the first run changes every one.
struct Stage {
    world: World,
    token: String,
    old: Content,
}

impl Stage {
    fn new() -> Stage {
        let world = project("generic", POLICY);
        world.write("a.csv", accounts(MANY, 0));
        world.expect(0, &["apply", "--yes", "-q"]);
        let token = token(&world, "apply", &[PROJECT]);
        let connection = crate::cli::database(&world);
        connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(connection);
        std::fs::copy(world.file("yubin.db"), world.file("old")).unwrap();
        let old = content(&world);
        world.write("a.csv", accounts(MANY, 1_000_000));
        Stage { world, token, old }
    }

    /// As it was, served anew.
    fn again(&self) -> Server {
        for name in ["yubin.db-wal", "yubin.db-shm"] {
            let _ = std::fs::remove_file(self.world.file(name));
        }
        std::fs::copy(self.world.file("old"), self.world.file("yubin.db")).unwrap();
        Server::start(&self.world)
    }

    fn run(&self, url: &str, args: &[&str]) -> Run {
        let run = run_within(&mut remote(&self.world, url, &self.token, args), DEADLINE);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        run
    }
}

/// The log and every row of it are those of one state.
fn is_new(stage: &Stage, found: &Content) -> bool {
    let revision = found.revision();
    assert!(matches!(revision, 1 | 2), "revision {revision}");
    if revision == 1 {
        assert!(*found == stage.old, "half of a changeset");
    } else {
        let all = found.show["resources"].as_array().unwrap();
        assert_eq!(all.len(), MANY);
        for (number, one) in all.iter().enumerate() {
            assert_eq!(one["fields"]["comment"], noise(number + 1_000_000));
            assert_eq!(one["revision"], 2);
        }
        assert_eq!(found.log["revisions"][0]["summary"]["overwrite"], MANY);
    }
    revision == 2
}

#[test]
fn an_apply_that_is_cut_anywhere_is_done_once_or_not() {
    let stage = Stage::new();
    let (sent, answered) = {
        let server = stage.again();
        let proxy = Proxy::new(server.address);
        let run = stage.run(&proxy.url(), &["apply", "--yes"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(is_new(&stage, &content(&stage.world)));
        proxy.count()
    };
    assert!(sent > 6 * STEP && answered > 3 * STEP, "{sent} bytes sent, {answered} answered");
    let requests = (0..=sent / STEP).map(|at| Cut::Request(at * STEP));
    let answers = (0..=answered / STEP).map(|at| Cut::Answer(at * STEP));
    // Around the ends, where the answer to the changeset is lost.
    let ends = [1, 2, 10, 100].into_iter().flat_map(|back| [Cut::Request(sent - back), Cut::Answer(answered - back)]);
    let mut outcomes = [0; 2];
    for cut in requests.chain(answers).chain(ends) {
        let server = stage.again();
        let proxy = Proxy::cutting(server.address, cut);
        let run = stage.run(&proxy.url(), &["apply", "--yes"]);
        assert!(matches!(run.code, 0 | 1), "{cut:?}: exit {}: {}", run.code, run.stderr);
        outcomes[usize::from(run.code == 0)] += 1;
        let is_done = is_new(&stage, &content(&stage.world));
        assert!(run.code != 0 || is_done, "{cut:?}: it says that it has done it");
        if run.code != 0 {
            assert!(proxy.is_cut() && run.stderr.contains(&proxy.url()), "{cut:?}: {}", run.stderr);
        }
        // Whoever comes back finds nothing to do, or does it now.
        let run = stage.run(&proxy.url(), &["apply", "--yes"]);
        assert_eq!(run.code, 0, "{cut:?}: {}", run.stderr);
        assert!(is_new(&stage, &content(&stage.world)), "{cut:?}");
        assert_eq!(stage.run(&proxy.url(), &["plan", "--exit-code"]).code, 0, "{cut:?}");
    }
    assert!(outcomes[1] > outcomes[0], "one cut is nothing to fail for: {outcomes:?}");
}

#[test]
fn a_read_that_is_cut_anywhere_is_whole_or_fails() {
    let stage = Stage::new();
    let server = stage.again();
    let show = ["show", "--format", "json"];
    let whole = stage.run(&server.url(), &show);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let answered = {
        let proxy = Proxy::new(server.address);
        assert_eq!(stage.run(&proxy.url(), &show).stdout, whole.stdout);
        proxy.count().1
    };
    assert!(answered > 4 * STEP, "{answered}");
    let mut outcomes = [0; 2];
    for cut in (0..=answered / STEP).map(|at| Cut::Answer(at * STEP)).chain([Cut::Answer(answered - 1)]) {
        let proxy = Proxy::cutting(server.address, cut);
        let run = stage.run(&proxy.url(), &show);
        assert!(matches!(run.code, 0 | 1), "{cut:?}: {}", run.stderr);
        outcomes[usize::from(run.code == 0)] += 1;
        if run.code == 0 {
            assert!(run.stdout == whole.stdout, "{cut:?}: it is not the whole state");
        } else {
            assert!(run.stdout.is_empty(), "{cut:?}: half a document");
        }
    }
    assert!(outcomes[1] > outcomes[0], "one cut is nothing to fail for: {outcomes:?}");
    // A line that never holds for long: from where it was cut it goes on, or says that it cannot.
    let proxy = Proxy::cutting(server.address, Cut::EveryAnswer(answered / 3));
    let run = stage.run(&proxy.url(), &show);
    assert!(matches!(run.code, 0 | 1), "{}", run.stderr);
    assert!(run.code != 0 || run.stdout == whole.stdout);
}

/// A plan that is made of a state that was read in two parts is made of one state.
#[test]
fn what_changes_between_the_two_halves_of_a_read_is_no_mixture() {
    let stage = Stage::new();
    let server = stage.again();
    let url = server.url();
    let answered = {
        let proxy = Proxy::new(server.address);
        stage.run(&proxy.url(), &["show", "--format", "json"]);
        proxy.count().1
    };
    for (part, seed) in [(3, 1_000_000), (2, 2_000_000)] {
        stage.world.write("a.csv", accounts(MANY, seed));
        let proxy = Proxy::cutting(server.address, Cut::Answer(answered / part));
        let run = std::thread::scope(|scope| {
            let reading = scope.spawn(|| stage.run(&proxy.url(), &["show", "--format", "json"]));
            while !proxy.is_cut() && !reading.is_finished() {
                std::thread::yield_now();
            }
            let changing = stage.run(&url, &["apply", "--yes"]);
            assert_eq!(changing.code, 0, "{}", changing.stderr);
            reading.join().unwrap()
        });
        assert!(matches!(run.code, 0 | 1 | 5), "{}", run.stderr);
        if run.code == 0 {
            let shown: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            let all = shown["resources"].as_array().unwrap();
            assert_eq!(all.len(), MANY);
            let revision = &shown["revision"];
            let mixed = all.iter().filter(|one| &one["revision"] != revision).count();
            assert!(mixed == 0, "{mixed} of another revision than {revision}");
        }
    }
}
