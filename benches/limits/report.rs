//! Figures against their bars: one table, on the terminal and in the documentation.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::peers::Expert;

#[derive(Clone, Copy)]
pub enum Amount {
    Seconds(f64),
    /// A share of the whole time.
    PerRow(f64),
    Mebibytes(f64),
}

impl Amount {
    fn number(self) -> f64 {
        match self {
            Amount::Seconds(number) | Amount::PerRow(number) | Amount::Mebibytes(number) => number,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Seconds(number) if *number < 0.1 => write!(f, "{number:.3} s"),
            Amount::Seconds(number) => write!(f, "{number:.2} s"),
            Amount::PerRow(seconds) => write!(f, "{:.2} µs", seconds * 1e6),
            Amount::Mebibytes(number) => write!(f, "{number:.0} MiB"),
        }
    }
}

/// What a figure must keep.
#[derive(Clone, Copy)]
pub enum Bar {
    /// At most so many times the limit.
    Times(f64),
    /// At least so many times faster than the peer.
    Faster(f64),
    /// At most this, whatever the machine.
    Most(Amount),
    /// For orientation.
    None,
}

pub struct Figure {
    pub name: String,
    /// `None` if this machine cannot say it.
    pub measured: Option<Amount>,
    /// What it is compared with, and by which name.
    pub limit: Option<(Amount, &'static str)>,
    pub bar: Bar,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        let (measured, (limit, _)) = self.measured.zip(self.limit)?;
        // Times below the clock's resolution would divide by zero.
        let (measured, limit) = (measured.number().max(1e-9), limit.number().max(1e-9));
        Some(if matches!(self.bar, Bar::Faster(_)) { limit / measured } else { measured / limit })
    }

    /// Whether the bar is kept; `None` if there is nothing to judge.
    fn keeps(&self) -> Option<bool> {
        match self.bar {
            Bar::Times(most) => Some(self.ratio()? <= most),
            Bar::Faster(least) => Some(self.ratio()? >= least),
            Bar::Most(most) => Some(self.measured?.number() <= most.number()),
            Bar::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let none = || "–".to_owned();
        let bar = match self.bar {
            Bar::Times(most) => format!("≤ {most} ×"),
            Bar::Faster(least) => format!("≥ {least} × faster"),
            Bar::Most(most) => format!("≤ {most}"),
            Bar::None => none(),
        };
        let ratio = self.ratio().map_or_else(none, |ratio| {
            if matches!(self.bar, Bar::Faster(_)) { format!("{ratio:.1} × faster") } else { format!("{ratio:.2} ×") }
        });
        [
            self.name.clone(),
            self.measured.map_or_else(|| "not measured".to_owned(), |amount| amount.to_string()),
            self.limit.map_or_else(none, |(amount, what)| format!("{amount} ({what})")),
            ratio,
            bar,
            self.keeps().map_or_else(none, |keeps| if keeps { "ok" } else { "over" }.to_owned()),
        ]
    }
}

/// The table in Markdown, columns aligned.
pub fn table(figures: &[Figure]) -> String {
    let head = ["figure", "measured", "limit", "ratio", "bar (must)", ""].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(figures.iter().map(Figure::cells)).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("| {} |\n", cells.join(" | "))
        })
        .collect();
    lines.insert(1, format!("|{}|\n", widths.map(|width| "-".repeat(width + 2)).join("|")));
    lines.concat()
}

/// The names of the figures that are over their bars.
pub fn over(figures: &[Figure]) -> Vec<&str> {
    figures.iter().filter(|figure| figure.keeps() == Some(false)).map(|figure| figure.name.as_str()).collect()
}

/// The machine and the software, in one sentence: without them the absolute figures say nothing.
pub fn machine(expert: Option<&Expert>) -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("processor unknown", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shell = expert.map_or("no sqlite3 shell".to_owned(), |expert| format!("sqlite3 shell {}", expert.version));
    format!(
        "{date}, yubin {version}, {cores} cores ({model}), {os}, SQLite {sqlite} in the program, {shell}",
        date = jiff::Timestamp::now().strftime("%Y-%m-%d"),
        version = env!("CARGO_PKG_VERSION"),
        os = std::env::consts::OS,
        sqlite = rusqlite::version(),
    )
}

/// Replaces what stands between the marks of the documentation; the prose around them is written
/// by people.
pub fn update(document: &Path, content: &str) -> io::Result<()> {
    const BEGIN: &str = "<!-- measured: begin -->\n";
    const END: &str = "<!-- measured: end -->";
    let text = fs::read_to_string(document)?;
    let without_marks = || io::Error::other(format!("{} has no marks to write between", document.display()));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(without_marks)?;
    let (_, after) = rest.split_once(END).ok_or_else(without_marks)?;
    fs::write(document, format!("{before}{BEGIN}{content}{END}{after}"))
}
