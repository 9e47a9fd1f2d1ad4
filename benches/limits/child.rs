//! A child process and what it cost.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a process cost; where there is no `/proc`, the wall clock alone.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: Duration,
    pub cpu: Option<Duration>,
    pub peak_mib: Option<f64>,
}

impl Cost {
    /// One after the other.
    pub fn and(self, next: Cost) -> Cost {
        let cpu = self.cpu.zip(next.cpu).map(|(one, two)| one + two);
        let peak_mib = self.peak_mib.zip(next.peak_mib).map(|(one, two)| one.max(two));
        Cost { wall: self.wall + next.wall, cpu, peak_mib }
    }

    /// The least time of several runs, since others can only make it longer; and the most memory.
    pub fn least(self, other: Cost) -> Cost {
        let cpu = self.cpu.zip(other.cpu).map(|(one, two)| one.min(two));
        let peak_mib = self.peak_mib.zip(other.peak_mib).map(|(one, two)| one.max(two));
        Cost { wall: self.wall.min(other.wall), cpu, peak_mib }
    }
}

/// Runs the command to its end with its output in files, so that nobody has to read them
/// meanwhile; a failure is an error that says what the command has said.
pub fn run(command: &mut Command, input: Option<&Path>, output: &Path) -> io::Result<Cost> {
    let errors = output.with_extension("stderr");
    command.stdout(File::create(output)?).stderr(File::create(&errors)?);
    command.stdin(match input {
        Some(path) => Stdio::from(File::open(path)?),
        None => Stdio::null(),
    });
    let before = cpu_of_children();
    let started = Instant::now();
    let mut child = command.spawn()?;
    let done = AtomicBool::new(false);
    let pid = child.id();
    let (status, wall, peak) = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(pid, &done));
        let status = child.wait();
        let wall = started.elapsed();
        done.store(true, Ordering::Relaxed);
        (status, wall, watching.join().unwrap_or_default())
    });
    let status = status?;
    if !status.success() {
        let said = fs::read_to_string(&errors).unwrap_or_default();
        return Err(io::Error::other(format!("{command:?} ended with {status}: {said}")));
    }
    let cpu = before.zip(cpu_of_children()).map(|(before, after)| after.saturating_sub(before));
    Ok(Cost { wall, cpu, peak_mib: peak })
}

/// The peak of the resident memory of a running process.
///
/// The kernel keeps the peak, so polling loses no more than what grows in the last moment.
/// `wait4` would say it without polling, but needs unsafe code; `time -v` is not everywhere, and
/// both count what the process was before `exec`.
fn watch(pid: u32, done: &AtomicBool) -> Option<f64> {
    let started = Instant::now();
    let mut peak = None;
    while !done.load(Ordering::Relaxed) {
        // A process that has ended but was not waited for has no such line any more.
        peak = high_water_mark(pid).or(peak);
        // The longer it runs, the less often: looking takes time from the cores that are measured.
        thread::sleep((started.elapsed() / 100).clamp(Duration::from_millis(1), Duration::from_millis(20)));
    }
    peak
}

fn high_water_mark(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u32 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}

/// CPU time of all children that were waited for.
fn cpu_of_children() -> Option<Duration> {
    /// Linux shows these times in hundredths of a second on every architecture in use.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process stands in brackets and may hold spaces; behind it is field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    Some(TICK * (ticks(16)? + ticks(17)?))
}
