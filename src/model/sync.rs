//! When a watcher may apply: `Sync`, made of windows of local time. Of an instant it says whether one is open, until
//! when none is, and when that may change.

use std::path::{Path, PathBuf};

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

/// `sync:` of a project.
#[derive(Clone, Debug)]
pub struct Sync {
    /// Without any: always.
    pub windows: Vec<Window>,
    pub timezone: TimeZone,
    /// While it exists, nothing is applied. Relative to the folder of the project.
    pub pause_file: Option<PathBuf>,
    /// Whether what other software has changed is changed back.
    pub heal: bool,
    /// Whether plans that delete wait for a person.
    pub approve_deletes: bool,
}

impl Default for Sync {
    fn default() -> Sync {
        Sync { windows: Vec::new(), timezone: TimeZone::UTC, pause_file: None, heal: true, approve_deletes: false }
    }
}

/// What a plan does that may have windows of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Logouts,
    Passwords,
}

impl Sort {
    pub const ALL: [Sort; 2] = [Sort::Logouts, Sort::Passwords];

    pub fn name(self) -> &'static str {
        match self {
            Sort::Logouts => "logouts",
            Sort::Passwords => "passwords",
        }
    }

    pub fn parse(name: &str) -> Option<Sort> {
        Sort::ALL.into_iter().find(|sort| sort.name() == name)
    }
}

/// Whether a plan may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// `None` if its windows never meet.
    Closed {
        until: Option<Timestamp>,
    },
}

/// A time of the day on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// By `Weekday::to_monday_zero_offset`.
    pub days: [bool; 7],
    /// Minutes of the day.
    pub from: u16,
    /// Of the same day, or of the next if it is not behind `from`.
    pub to: u16,
    /// What it is for alone; everything if empty.
    pub sorts: Vec<Sort>,
}

const DAY: u16 = 24 * 60;
const DAYS: [(&str, &str); 7] =
    [("mon", "月"), ("tue", "火"), ("wed", "水"), ("thu", "木"), ("fri", "金"), ("sat", "土"), ("sun", "日")];

/// What is wrong with the words of a window, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub message: &'static str,
    pub hint: &'static str,
}

const FORM: &str = "as in `22:00-05:00`, `mon-fri 22:00-05:00` or `sat,sun 00:00-24:00`";

impl Window {
    /// `[DAYS ]HH:MM-HH:MM`.
    pub fn parse(text: &str) -> Result<Window, Wrong> {
        let wrong = |message| Wrong { message, hint: FORM };
        let text = text.trim();
        let (days, times) = match text.rsplit_once(char::is_whitespace) {
            Some((days, times)) => (Some(days), times),
            None => (None, text),
        };
        let (from, to) = times
            .split_once('-')
            .and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)))
            .ok_or(wrong("a window is two times of the day, `HH:MM-HH:MM`, with days before them or not"))?;
        if from == DAY {
            return Err(Wrong { message: "`24:00` ends a day, and begins none", hint: "write `00:00`" });
        }
        if from == to {
            let message = "a window that ends when it begins is none";
            return Err(Wrong { message, hint: "`00:00-24:00` is the whole day" });
        }
        let days = match days {
            None => [true; 7],
            Some(words) => days_of(words).ok_or(Wrong {
                message: "the days of a window are `mon`, `tue`, `wed`, `thu`, `fri`, `sat` and `sun`",
                hint: "as in `mon-fri`, `fri-mon` or `sat,sun`",
            })?,
        };
        Ok(Window { days, from, to, sorts: Vec::new() })
    }

    /// When it opens on a day, by the clock there, and for how long.
    fn on(&self, day: Date) -> Option<(DateTime, Span)> {
        let opens = self.days[usize::try_from(day.weekday().to_monday_zero_offset()).ok()?];
        let minutes = if self.to > self.from { self.to - self.from } else { self.to + DAY - self.from };
        let begin = day.at(0, 0, 0, 0).checked_add(Span::new().minutes(self.from)).ok()?;
        opens.then(|| (begin, Span::new().minutes(minutes)))
    }
}

/// `HH:MM`, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| -> Option<u16> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
}

fn days_of(words: &str) -> Option<[bool; 7]> {
    let day = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        DAYS.iter().position(|(latin, kanji)| *latin == word || *kanji == word)
    };
    let mut days = [false; 7];
    for part in words.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|further| days[(first + further) % 7] = true);
    }
    Some(days)
}

/// From an instant to another, without the latter.
type Stretch = (Timestamp, Timestamp);

/// What is looked at before and behind an instant, in days: windows come again after seven.
const BEFORE: i64 = 4;
const AHEAD: i64 = 17;

impl Sync {
    /// Whether a plan that does this may be applied. For each sort its own windows count, or the general ones if it
    /// has none; a plan of several waits for all of them.
    pub fn standing(&self, now: Timestamp, sorts: &[Sort]) -> Standing {
        let clock = Clock::around(&self.timezone, now);
        let mut needs: Vec<Vec<Stretch>> = Vec::new();
        let general = |window: &&Window| window.sorts.is_empty();
        if sorts.is_empty() {
            needs.extend(self.open(&clock, general));
        }
        for sort in sorts {
            let own = |window: &&Window| window.sorts.contains(sort);
            let has_own = self.windows.iter().any(|window| own(&window));
            needs.extend(if has_own { self.open(&clock, own) } else { self.open(&clock, general) });
        }
        // The next instant at which each of them is open: from one to the next, until they agree.
        let mut at = now;
        loop {
            let next = needs.iter().map(|open| open.iter().find(|(_, to)| *to > at).map(|(from, _)| at.max(*from)));
            let Some(next) = next.collect::<Option<Vec<Timestamp>>>() else { return Standing::Closed { until: None } };
            match next.into_iter().max() {
                Some(next) if next > at => at = next,
                _ if at == now => return Standing::Open,
                _ => return Standing::Closed { until: Some(at) },
            }
        }
    }

    /// When the answer of `standing` may change next.
    pub fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        let clock = Clock::around(&self.timezone, now);
        let general = self.open(&clock, |window| window.sorts.is_empty());
        let own = Sort::ALL.map(|sort| self.open(&clock, |window| window.sorts.contains(&sort)));
        let all = general.into_iter().chain(own.into_iter().flatten()).flatten();
        all.flat_map(|(from, to)| [from, to]).filter(|turn| *turn > now).min()
    }

    /// The file that holds everything up while it exists.
    pub fn pause(&self, root: &Path) -> Option<PathBuf> {
        self.pause_file.as_ref().map(|file| root.join(file))
    }

    /// When these windows are open, in order and without overlaps; `None` if there are none of them.
    fn open(&self, clock: &Clock<'_>, which: impl Fn(&&Window) -> bool) -> Option<Vec<Stretch>> {
        let windows: Vec<&Window> = self.windows.iter().filter(which).collect();
        if windows.is_empty() {
            return None;
        }
        let mut all: Vec<Stretch> = Vec::new();
        for day in clock.days() {
            for (begin, length) in windows.iter().filter_map(|window| window.on(day)) {
                all.extend(clock.when(begin, length));
            }
        }
        all.sort_unstable();
        let mut open: Vec<Stretch> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match open.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => open.push((from, to)),
            }
        }
        Some(open)
    }
}

/// Local time around an instant: stretches in each of which clocks are so far from UTC.
struct Clock<'a> {
    timezone: &'a TimeZone,
    today: Date,
    stretches: Vec<(Stretch, Offset)>,
}

impl Clock<'_> {
    fn around(timezone: &TimeZone, now: Timestamp) -> Clock<'_> {
        let shifted = |days: i64, edge| now.checked_add(Span::new().hours(24 * days)).unwrap_or(edge);
        let (mut from, end) = (shifted(-BEFORE, Timestamp::MIN), shifted(AHEAD, Timestamp::MAX));
        let mut offset = timezone.to_offset(from);
        let mut stretches = Vec::new();
        for turn in timezone.following(from).take_while(|turn| turn.timestamp() < end) {
            stretches.push(((from, turn.timestamp()), offset));
            (from, offset) = (turn.timestamp(), turn.offset());
        }
        stretches.push(((from, end), offset));
        Clock { timezone, today: timezone.to_datetime(now).date(), stretches }
    }

    /// All days that may have to do with the instant; one that could be cut off by the edges is none of them.
    fn days(&self) -> impl Iterator<Item = Date> {
        (2 - BEFORE..AHEAD - 2).filter_map(|day| self.today.checked_add(Span::new().days(day)).ok())
    }

    /// When clocks show these times: twice where they are set back over them. What falls wholly into a gap comes
    /// right after it, as if the clocks had not been set forward, or else it would be passed over.
    fn when(&self, begin: DateTime, length: Span) -> Vec<Stretch> {
        let Ok(end) = begin.checked_add(length) else { return Vec::new() };
        let mut found = Vec::new();
        for ((from, to), offset) in &self.stretches {
            let (Ok(begin), Ok(end)) = (offset.to_timestamp(begin), offset.to_timestamp(end)) else { continue };
            let stretch = (begin.max(*from), end.min(*to));
            if stretch.0 < stretch.1 {
                found.push(stretch);
            }
        }
        if found.is_empty()
            && let Ok(begin) = self.timezone.to_timestamp(begin)
            && let Ok(end) = begin.checked_add(length)
        {
            found.push((begin, end));
        }
        found
    }
}
