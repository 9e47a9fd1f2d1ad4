//! The runs: the program and what it is measured against, in turns, so that both see the machine
//! in the same mood; the least of several runs counts.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use serde::Deserialize;

use crate::child::{self, Cost};
use crate::peers::{self, Expert, Result};
use crate::world::{self, Summary};

/// Enough for the least to be one that nobody disturbed. An apply and the expert's plan take so
/// long that fewer must do.
const PLANS: usize = 7;
const APPLIES: usize = 3;
const EXPERTS: usize = 2;

/// What every run pays, whatever its work.
pub fn start(dir: &Path) -> Result<Cost> {
    let mut least = None;
    for _ in 0..PLANS {
        keep_least(&mut least, child::run(yubin(dir).arg("--version"), None, &dir.join("start.out"))?);
    }
    least.ok_or_else(|| "no run".into())
}

/// A world of patterns and all that was measured in it.
pub struct World {
    pub rows: u32,
    pub apply: Cost,
    pub insert: Duration,
    pub plan: Cost,
    pub parse: Duration,
    pub expert: Option<Cost>,
}

/// First applies, each into a new store; then plans of the changes against the last of them.
pub fn patterns(scratch: &Path, rows: u32, expert: Option<&Expert>) -> Result<World> {
    eprintln!("{rows} rows ...");
    let dir = scratch.join(rows.to_string());
    fs::create_dir(&dir)?;
    let expected = world::patterns(&dir, rows)?;

    project(&dir, "catchme-mail", world::BASE)?;
    let (mut apply, mut insert) = (None, Duration::MAX);
    let base = peers::rows(&dir.join(world::BASE))?;
    for _ in 0..APPLIES {
        for file in ["yubin.db", "yubin.db.key", "limit.db"] {
            remove(&dir.join(file))?;
        }
        let output = dir.join("yubin.out");
        keep_least(&mut apply, child::run(yubin(&dir).args(["apply", "--yes"]), None, &output)?);
        let journal = journal(&dir.join("yubin.db"), rows)?;
        insert = insert.min(peers::insert(&base, &dir.join("limit.db"), &journal)?);
    }
    drop(base);

    project(&dir, "catchme-mail", world::DESIRED)?;
    let (mut least, mut parse) = (None, Duration::MAX);
    for _ in 0..PLANS {
        keep_least(&mut least, plan(&dir, expected)?);
        parse = parse.min(peers::parse(&dir.join(world::DESIRED))?);
    }
    let mut experts = None;
    if let Some(expert) = expert {
        expert.fill(&dir)?;
        for _ in 0..EXPERTS {
            keep_least(&mut experts, expert.plan(&dir, expected)?);
        }
    }
    fs::remove_dir_all(&dir)?;
    let (apply, plan) = apply.zip(least).ok_or("no run")?;
    Ok(World { rows, apply, insert, plan, parse, expert: experts })
}

pub struct Accounts {
    pub megabytes: f64,
    pub check: Cost,
}

pub fn accounts(scratch: &Path, count: u32) -> Result<Accounts> {
    const FILE: &str = "accounts.yaml";
    eprintln!("{count} accounts in YAML ...");
    world::accounts(&scratch.join(FILE), count)?;
    project(scratch, "generic", FILE)?;
    let output = scratch.join("check.out");
    let mut check = None;
    for _ in 0..APPLIES {
        keep_least(&mut check, child::run(yubin(scratch).arg("check"), None, &output)?);
        let said = fs::read_to_string(&output)?;
        assert!(said.contains(&format!("{count} resources")), "check: {said}");
    }
    let bytes = u32::try_from(fs::metadata(scratch.join(FILE))?.len())?;
    Ok(Accounts { megabytes: f64::from(bytes) / 1e6, check: check.ok_or("no run")? })
}

/// What an administrator of CPI does: take the product's export over, plan, and write what is to be
/// uploaded. The three together.
pub fn hand_over(scratch: &Path, count: u32) -> Result<Cost> {
    const EXPORT: &str = "export.txt";
    const WANTED: &str = "mailboxes.csv";
    eprintln!("{count} accounts of CPI ...");
    let dir = scratch.join("cpi");
    fs::create_dir(&dir)?;
    world::mailboxes(&dir.join(EXPORT), &dir.join(WANTED), count)?;
    project(&dir, "cpi-business-standard", WANTED)?;
    let mut least = None;
    for _ in 0..APPLIES {
        for file in ["yubin.db", "yubin.db.key", "plan.json"] {
            remove(&dir.join(file))?;
        }
        let output = dir.join("yubin.out");
        let run = |args: &[&str]| child::run(yubin(&dir).args(args), None, &output);
        let cost = run(&["refresh", "cpi-export", EXPORT, "--yes", "-q"])?
            .and(run(&["plan", "--out", "plan.json", "-q"])?)
            .and(run(&["export", "bundle", "--plan", "plan.json", "--out", "bundle"])?);
        let registered = |number: u32| fs::read_to_string(dir.join(format!("bundle/1-cpi-register-0{number}.csv")));
        let rows: Vec<usize> =
            (1..=3).map(|number| Ok(registered(number)?.lines().count() - 1)).collect::<Result<_>>()?;
        assert_eq!(rows, [50, 50, 20], "rows of the files to register");
        fs::remove_dir_all(dir.join("bundle"))?;
        keep_least(&mut least, cost);
    }
    least.ok_or_else(|| "no run".into())
}

/// Plans of rows that have not changed.
pub struct Secrets {
    pub none: Cost,
    /// A password in each row, in clear.
    pub clear: Cost,
    /// A password in each row that stands in the environment.
    pub outside: Cost,
}

pub fn secrets(scratch: &Path, rows: u32) -> Result<Secrets> {
    eprintln!("{rows} rows with and without secrets ...");
    let clear = |number: u32| format!("geheim-{number}");
    let outside = |_: u32| "${env:LIMITS_PASSWORD}".to_owned();
    let ways: [(&str, Option<world::Password<'_>>); 3] =
        [("none", None), ("clear", Some(&clear)), ("outside", Some(&outside))];
    let dirs = ways.map(|(name, _)| scratch.join(name));
    let run = |dir: &Path, args: &[&str]| {
        child::run(yubin(dir).args(args).env("LIMITS_PASSWORD", "open sesame"), None, &dir.join("yubin.out"))
    };
    for (dir, (_, password)) in dirs.iter().zip(ways) {
        fs::create_dir(dir)?;
        world::canonical(&dir.join("patterns.csv"), rows, password)?;
        project(dir, "generic", "patterns.csv")?;
        run(dir, &["apply", "--yes", "-q"])?;
    }
    let mut least = [None; 3];
    for _ in 0..PLANS {
        for (dir, least) in dirs.iter().zip(&mut least) {
            keep_least(least, run(dir, &["plan"])?);
            let said = fs::read_to_string(dir.join("yubin.out"))?;
            assert!(said.contains(&format!("{rows} unchanged")), "plan: {said}");
        }
    }
    for dir in dirs {
        fs::remove_dir_all(dir)?;
    }
    match least {
        [Some(none), Some(clear), Some(outside)] => Ok(Secrets { none, clear, outside }),
        _ => Err("no run".into()),
    }
}

fn project(dir: &Path, system: &str, source: &str) -> Result<()> {
    let text = format!(
        "version: 1\nname: limits\nsystem: {system}\nsources: [{source}]\npolicy: {{ plaintext_secrets: allow, max_deletes: \"100%\" }}\n"
    );
    Ok(fs::write(dir.join("yubin.yaml"), text)?)
}

fn yubin(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yubin"));
    command.current_dir(dir).env("YUBIN_ACTOR", "bench");
    for name in ["YUBIN_STORE", "YUBIN_KEY", "YUBIN_KEY_FILE"] {
        command.env_remove(name);
    }
    command
}

/// A plan, held to what is right. In JSON, because that says every change in full: the time is
/// that of all the output there can be.
fn plan(dir: &Path, expected: Summary) -> Result<Cost> {
    #[derive(Deserialize)]
    struct Document {
        summary: Summary,
    }
    let output = dir.join("yubin.out");
    let cost = child::run(yubin(dir).args(["plan", "--format", "json"]), None, &output)?;
    let document: Document = serde_json::from_slice(&fs::read(&output)?)?;
    assert_eq!(document.summary, expected, "the summary of the plan");
    Ok(cost)
}

/// The journal mode that the program has left in its store, and that nothing is missing there.
fn journal(store: &Path, rows: u32) -> Result<String> {
    let connection = Connection::open(store)?;
    let found: u32 = connection.query_row("SELECT count(*) FROM pattern", [], |row| row.get(0))?;
    assert_eq!(found, rows, "the rows of the store");
    Ok(connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
}

fn keep_least(least: &mut Option<Cost>, cost: Cost) {
    *least = Some(least.map_or(cost, |least| least.least(cost)));
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
