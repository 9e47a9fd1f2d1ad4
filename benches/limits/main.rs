//! `cargo bench --bench limits [-- --rows N] [--update]`: the program against the limits of the
//! machine and against an SQL expert, all of it measured in the same run. `--update` writes the
//! table into `docs/performance.md`.

mod child;
mod peers;
mod report;
mod runs;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use child::Cost;
use peers::{Expert, Result};
use report::{Amount, Bar, Figure};
use runs::World;

struct Options {
    rows: u32,
    update: bool,
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| measure(&options));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    // `cargo bench` says `--bench`. `cargo test --all-targets` does not, and wants to know no more
    // than whether it still works.
    let rows = if std::env::args().any(|arg| arg == "--bench") { 1_000_000 } else { 2_000 };
    let mut options = Options { rows, update: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "--update" => options.update = true,
            "--rows" => options.rows = args.next().ok_or("`--rows` is followed by a number")?.parse()?,
            _ => return Err(format!("`{arg}` is neither `--rows N` nor `--update`").into()),
        }
    }
    if options.rows < 2_000 { Err("fewer rows than 2000 say nothing".into()) } else { Ok(options) }
}

fn measure(options: &Options) -> Result<()> {
    // Below `target`, which is on a disk: the folder for temporary files may be in memory.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let expert = Expert::find();
    let rows = options.rows;
    let start = runs::start(scratch.path())?;
    let small = runs::patterns(scratch.path(), rows / 100, None)?;
    let middle = runs::patterns(scratch.path(), rows / 10, None)?;
    let large = runs::patterns(scratch.path(), rows, expert.as_ref())?;
    let yaml = runs::accounts(scratch.path(), rows / 10)?;
    let secrets = runs::secrets(scratch.path(), rows)?;
    let mailboxes = rows / 100;
    let hand_over = runs::hand_over(scratch.path(), mailboxes)?;

    let seconds = |duration: Duration| Amount::Seconds(duration.as_secs_f64());
    let figure = |name: String, measured, limit, bar| Figure { name, measured: Some(measured), limit, bar };
    let peak = |name: String, cost: Cost, bar| Figure {
        name,
        measured: cost.peak_mib.map(Amount::Mebibytes),
        limit: None,
        bar,
    };
    let cpu = |name: &str, cost: Cost| Figure {
        name: name.to_owned(),
        measured: cost.cpu.map(seconds),
        limit: None,
        bar: Bar::None,
    };
    let mut figures = vec![
        figure(
            format!("plan, {rows} rows, 2 % of them changed"),
            seconds(large.plan.wall),
            Some((seconds(large.parse), "csv parse alone")),
            Bar::Times(2.5),
        ),
        Figure {
            limit: large.expert.map(|cost| (seconds(cost.wall), "SQL expert")),
            ..figure("plan, against an SQL expert".to_owned(), seconds(large.plan.wall), None, Bar::Faster(10.0))
        },
        Figure {
            limit: large.expert.and_then(|cost| cost.cpu).map(|cpu| (seconds(cpu), "SQL expert")),
            ..cpu("plan, CPU time", large.plan)
        },
        peak("plan, peak memory".to_owned(), large.plan, Bar::Most(Amount::Mebibytes(700.0))),
        figure(
            format!("first apply, {rows} rows"),
            seconds(large.apply.wall),
            Some((seconds(large.insert), "bulk insert alone")),
            Bar::Times(2.0),
        ),
        cpu("first apply, CPU time", large.apply),
        peak("first apply, peak memory".to_owned(), large.apply, Bar::None),
    ];
    let steps = [(&small, &middle), (&middle, &large)];
    for (verb, cost) in [("plan", (|world| world.plan) as fn(&World) -> Cost), ("first apply", |world| world.apply)] {
        for (at, (less, more)) in (0..).zip(steps) {
            let per_row = |world: &World| {
                let wall = cost(world).wall.saturating_sub(start.wall);
                Amount::PerRow(wall.as_secs_f64() / f64::from(world.rows))
            };
            // The first step is told for orientation: so few rows are over before the caches are warm.
            let bar = if at == 0 { Bar::None } else { Bar::Times(1.5) };
            let name = format!("{verb}, a row of {} against {}", more.rows, less.rows);
            figures.push(figure(name, per_row(more), Some((per_row(less), "a row of fewer")), bar));
        }
    }
    let count = rows / 10;
    figures.push(figure(
        format!("check, {count} YAML accounts, {:.0} MB", yaml.megabytes),
        seconds(yaml.check.wall),
        None,
        Bar::Most(Amount::Seconds(2.5)),
    ));
    figures.push(peak("check, peak memory".to_owned(), yaml.check, Bar::Most(Amount::Mebibytes(300.0))));
    figures.push(figure(
        format!("refresh, plan and bundle of {mailboxes} CPI accounts"),
        seconds(hand_over.wall),
        None,
        Bar::Most(Amount::Seconds(1.0)),
    ));
    for (name, cost) in [("in clear", secrets.clear), ("in the environment", secrets.outside)] {
        figures.push(figure(
            format!("plan, {rows} rows unchanged, a password in each, {name}"),
            seconds(cost.wall),
            Some((seconds(secrets.none.wall), "without passwords")),
            Bar::Times(1.3),
        ));
    }
    figures.push(figure("start of the program".to_owned(), seconds(start.wall), None, Bar::None));

    let table = report::table(&figures);
    let machine = report::machine(expert.as_ref());
    println!("{machine}\n\n{table}");
    if expert.is_none() {
        println!("the `sqlite3` shell is not installed: the plan was not measured against the SQL expert");
    }
    for name in report::over(&figures) {
        println!("over its bar: {name}");
    }
    if options.update {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        report::update(&document, &format!("\nMeasured: {machine}.\n\n{table}\n"))?;
    }
    Ok(())
}
