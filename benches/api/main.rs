//! `cargo bench --bench api [-- --rows N]`: a store behind `yubin serve` against the same store beside the
//! program, and what the server does for others meanwhile. It prints the table of `docs/performance.md`.

mod server;
#[path = "../table.rs"]
mod table;
mod traffic;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use server::Server;
use table::{Bar, Figure};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Enough for the least to be one that nobody disturbed.
const RUNS: usize = 5;
/// Reads a second that are asked for while an apply runs.
const RATE: u32 = 2_000;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Rows, and connections that do nothing.
fn sizes() -> Result<(u32, usize)> {
    // `cargo bench` says `--bench`; without it, it is enough to know whether it still works.
    let (mut rows, mut idle) =
        if std::env::args().any(|arg| arg == "--bench") { (100_000, 10_000) } else { (1_000, 100) };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "--rows" => rows = args.next().ok_or("`--rows` is followed by a number")?.parse()?,
            "--idle" => idle = args.next().ok_or("`--idle` is followed by a number")?.parse()?,
            _ => return Err(format!("`{arg}` is neither `--rows N` nor `--idle N`").into()),
        }
    }
    Ok((rows, idle))
}

fn measure() -> Result<()> {
    let (rows, idle) = sizes()?;
    server::allow_files(2 * idle as u64 + 1_000)?;
    // Below `target`, which is on a disk: the folder for temporary files may be in memory.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let dir = scratch.path();
    fs::write(
        dir.join("yubin.yaml"),
        "version: 1\nname: bench\nsources: [a.csv]\npolicy: { max_deletes: 1000000, max_overwrites: 1000000 }\n",
    )?;
    let mut figures = Vec::new();
    write(dir, rows, 0)?;
    let direct = timed(yubin(dir).args(["apply", "--yes", "-q"]), 0)?;
    let token = server::token(dir)?;
    let server = Server::start(dir)?;
    let remote = |args: &[&str]| {
        let mut command = yubin(dir);
        command.args(args).env("YUBIN_STORE", server.url()).env("YUBIN_TOKEN", &token);
        command
    };

    for (name, changed, code) in [("unchanged", 0, 0), ("2 % of them changed", rows / 50, 2)] {
        write(dir, rows, changed)?;
        let args = ["plan", "--exit-code", "-q"];
        let (mut beside, mut over) = (Duration::MAX, Duration::MAX);
        for _ in 0..RUNS {
            beside = beside.min(timed(yubin(dir).args(args), code)?);
            over = over.min(timed(&mut remote(&args), code)?);
        }
        figures.push(Figure::times(format!("plan over HTTP, {rows} resources, {name}"), over, beside, Bar::Most(2.0)));
    }

    // Every resource changes, while others read.
    let before = server::revision(&server, &token)?;
    write(dir, rows, rows)?;
    let mut apply = remote(&["apply", "--yes", "-q"]).stdout(Stdio::null()).spawn()?;
    let start = Instant::now();
    let reads = traffic::reads(server.address, &token, RATE, || !matches!(apply.try_wait(), Ok(None)))?;
    let took = start.elapsed();
    if !apply.wait()?.success() || server::revision(&server, &token)? != before + 1 {
        return Err("the apply has failed".into());
    }
    figures.push(Figure::times(
        format!("apply over HTTP, {rows} overwrites, while others read"),
        took,
        direct,
        Bar::None,
    ));
    figures.push(Figure::amount(
        "reads a second meanwhile".to_owned(),
        reads.rate(),
        "/s",
        Bar::Least(f64::from(RATE) * 0.999),
    ));
    for (name, part, bar) in [
        ("half of these reads", 0.5, Bar::None),
        ("99 % of these reads", 0.99, Bar::Most(20.0)),
        ("the slowest of these reads", 1.0, Bar::None),
    ] {
        figures.push(Figure::amount(name.to_owned(), reads.within(part), "ms", bar));
    }
    if reads.failed > 0 {
        return Err(format!("{} reads have failed", reads.failed).into());
    }

    let empty = server.resident()?;
    let connections = traffic::idle(server.address, &token, idle)?;
    let full = server.resident()?;
    figures.push(Figure::amount(format!("{idle} idle connections"), (full - empty).max(0.0), "MiB", Bar::Most(200.0)));
    // It still answers.
    server::revision(&server, &token)?;
    drop(connections);
    figures.push(Figure::amount("peak memory of the server".to_owned(), server.peak()?, "MiB", Bar::None));

    println!("{}\n\n{}", table::machine(), table::table(&figures));
    for figure in figures.iter().filter(|figure| figure.keeps() == Some(false)) {
        println!("over its bar: {}", figure.name);
    }
    Ok(())
}

pub fn yubin(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yubin"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("YUBIN_") {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// The time of a run, which must end with this code.
fn timed(command: &mut Command, code: i32) -> Result<Duration> {
    let start = Instant::now();
    let output = command.output()?;
    let took = start.elapsed();
    if output.status.code() != Some(code) {
        return Err(
            format!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    Ok(took)
}

/// Patterns of which the first so many have another organization.
fn write(dir: &Path, rows: u32, changed: u32) -> Result<()> {
    let mut csv = "user,name,organization,address,incoming.host,incoming.username,outgoing.host\n".to_owned();
    for user in 0..rows {
        let organization = if user < changed { "本社営業部" } else { "総務部" };
        writeln!(
            csv,
            "u{user:06},main,{organization},u{user:06}@example.jp,imap.example.jp,u{user:06},smtp.example.jp"
        )?;
    }
    Ok(fs::write(dir.join("a.csv"), csv)?)
}
