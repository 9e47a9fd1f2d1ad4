//! Figures against their bars.

use std::time::Duration;

#[derive(Clone, Copy)]
pub enum Bar {
    Most(f64),
    Least(f64),
    None,
}

pub struct Figure {
    pub name: String,
    measured: String,
    /// With what it is compared.
    limit: String,
    /// What the bar is about.
    number: f64,
    unit: &'static str,
    bar: Bar,
}

impl Figure {
    /// A time against that of the store beside the program.
    pub fn times(name: String, measured: Duration, direct: Duration, bar: Bar) -> Figure {
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let number = measured.as_secs_f64() / direct.as_secs_f64().max(1e-9);
        let limit = format!("{} (direct)", seconds(direct));
        Figure { name, measured: seconds(measured), limit, number, unit: "×", bar }
    }

    /// An amount by itself, in `/s`, `ms`, `MiB` or `%`.
    pub fn amount(name: String, number: f64, unit: &'static str, bar: Bar) -> Figure {
        let decimals = match unit {
            "/s" => 0,
            "%" => 3,
            _ => 1,
        };
        Figure { name, measured: format!("{number:.decimals$} {unit}"), limit: "–".to_owned(), number, unit, bar }
    }

    /// Whether the bar is kept; `None` if there is nothing to judge.
    pub fn keeps(&self) -> Option<bool> {
        match self.bar {
            Bar::Most(most) => Some(self.number <= most),
            Bar::Least(least) => Some(self.number >= least),
            Bar::None => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let none = || "–".to_owned();
        let ratio = if self.unit == "×" { format!("{:.2} ×", self.number) } else { none() };
        let bar = match self.bar {
            Bar::Most(most) => format!("≤ {most} {}", self.unit),
            Bar::Least(least) => format!("≥ {least} {}", self.unit),
            Bar::None => none(),
        };
        let verdict = self.keeps().map_or_else(none, |keeps| if keeps { "ok" } else { "over" }.to_owned());
        [self.name.clone(), self.measured.clone(), self.limit.clone(), ratio, bar, verdict]
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

/// The machine, in one sentence: without it the absolute figures say nothing.
pub fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("processor unknown", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "Measured: {date}, yubin {version}, {cores} cores ({model}), {os}; clients and server share the cores.",
        date = jiff::Timestamp::now().strftime("%Y-%m-%d"),
        version = env!("CARGO_PKG_VERSION"),
        os = std::env::consts::OS,
    )
}
