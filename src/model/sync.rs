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
    #[cfg(test)]
    fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
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

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn sync(zone_name: &str, windows: &[(&str, &[Sort])]) -> Sync {
        let windows =
            windows.iter().map(|(text, sorts)| Window { sorts: sorts.to_vec(), ..Window::parse(text).unwrap() });
        Sync { windows: windows.collect(), timezone: zone(zone_name), ..Sync::default() }
    }

    /// By the clock there; the first of two.
    fn at(zone_name: &str, text: &str) -> Timestamp {
        zone(zone_name).to_timestamp(text.parse().unwrap()).unwrap()
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(sync: &Sync, now: Timestamp, sorts: &[Sort], closed_until: Option<Timestamp>) {
        let expected = match closed_until {
            None => Standing::Open,
            until => Standing::Closed { until },
        };
        assert_eq!(sync.standing(now, sorts), expected, "{now}");
    }

    #[test]
    fn a_window_has_days_and_times() {
        let days = |words: &str| -> String {
            let window = Window::parse(&format!("{words} 01:00-02:00")).unwrap();
            window.days.iter().map(|day| if *day { 'x' } else { '.' }).collect()
        };
        for (words, expected) in [
            ("mon", "x......"),
            ("sun", "......x"),
            ("mon-fri", "xxxxx.."),
            ("fri-mon", "x...xxx"),
            ("sat,sun", ".....xx"),
            ("Sat, SUN", ".....xx"),
            ("mon,wed-thu,sun", "x.xx..x"),
            ("tue-tue", ".x....."),
            ("月-金", "xxxxx.."),
            ("土,日", ".....xx"),
            ("金-mon", "x...xxx"),
            ("mon-sun", "xxxxxxx"),
        ] {
            assert_eq!(days(words), expected, "{words}");
        }
        let times = |text: &str| Window::parse(text).map(|window| (window.from, window.to));
        assert_eq!(times("22:00-05:00"), Ok((1320, 300)));
        assert_eq!(times(" 00:00-24:00 "), Ok((0, 1440)));
        assert_eq!(times("23:59-00:00"), Ok((1439, 0)));
        assert_eq!(times("mon  09:30-17:05"), Ok((570, 1025)));
    }

    #[test]
    fn what_is_no_window_is_said() {
        for text in [
            "",
            "mon",
            "mon-fri",
            "9:00-17:00",
            "09:00",
            "09:00-",
            "09:00 - 17:00",
            "09:00-17:60",
            "09:00-25:00",
            "09:00-24:01",
            "0900-1700",
            "09:00-17:00 mon",
            "09:00–17:00",
            "-1:00-02:00",
            "+1:00-02:00",
            "09:00-17:00-18:00",
            "０９:００-１７:００",
        ] {
            assert!(Window::parse(text).unwrap_err().message.contains("HH:MM-HH:MM"), "{text}");
        }
        for text in [
            "monday 09:00-17:00",
            "mon fri 09:00-17:00",
            ", 09:00-17:00",
            "mon-fri-sat 09:00-10:00",
            "mon- 09:00-10:00",
            "月曜 09:00-10:00",
        ] {
            assert!(Window::parse(text).unwrap_err().message.contains("days"), "{text}");
        }
        for text in ["09:00-09:00", "00:00-00:00", "mon 24:00-24:00"] {
            let hint = Window::parse(text).unwrap_err().hint;
            assert!(hint.contains("00:00"), "{text}: {hint}");
        }
        assert_eq!(Window::parse("05:00-05:00").unwrap_err().hint, "`00:00-24:00` is the whole day");
        assert_eq!(Window::parse("24:00-05:00").unwrap_err().hint, "write `00:00`");
    }

    #[test]
    fn without_windows_it_is_always_open() {
        let sync = Sync::default();
        for sorts in [&[][..], &Sort::ALL] {
            check(&sync, Timestamp::MIN, sorts, None);
            check(&sync, Timestamp::MAX, sorts, None);
        }
        assert_eq!(sync.next_turn(Timestamp::now()), None);
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        const TOKYO: &str = "Asia/Tokyo";
        let sync = sync(TOKYO, &[("mon-fri 22:00-05:00", &[])]);
        let tokyo = |text: &str| at(TOKYO, text);
        // 2026-11-20 is a Friday.
        assert_eq!("2026-11-20".parse::<Date>().unwrap().weekday(), Weekday::Friday);
        check(&sync, tokyo("2026-11-20T21:59:59"), &[], Some(tokyo("2026-11-20T22:00")));
        check(&sync, tokyo("2026-11-20T22:00"), &[], None);
        check(&sync, tokyo("2026-11-21T04:59:59.999"), &[], None);
        check(&sync, tokyo("2026-11-21T05:00"), &[], Some(tokyo("2026-11-23T22:00")));
        check(&sync, tokyo("2026-11-21T22:30"), &[], Some(tokyo("2026-11-23T22:00")));
        check(&sync, tokyo("2026-11-23T01:00"), &[], Some(tokyo("2026-11-23T22:00")));
        assert_eq!(sync.next_turn(tokyo("2026-11-20T22:00")), Some(tokyo("2026-11-21T05:00")));
        assert_eq!(sync.next_turn(tokyo("2026-11-21T05:00")), Some(tokyo("2026-11-23T22:00")));
        for edge in [Timestamp::MIN, Timestamp::MAX] {
            let _ = (sync.standing(edge, &Sort::ALL), sync.next_turn(edge));
        }
    }

    #[test]
    fn days_that_touch_are_one_window() {
        let sync = sync("UTC", &[("sat,sun 00:00-24:00", &[]), ("mon 00:00-06:00", &[])]);
        assert_eq!(sync.next_turn(utc("2026-11-20T12:00Z")), Some(utc("2026-11-21T00:00Z")));
        assert_eq!(sync.next_turn(utc("2026-11-21T00:00Z")), Some(utc("2026-11-23T06:00Z")));
    }

    #[test]
    fn a_window_may_be_for_some_plans_alone() {
        let night = sync("UTC", &[("22:00-23:00", &[]), ("03:00-04:00", &[Sort::Logouts])]);
        let (evening, late, day) = (utc("2026-11-20T22:30Z"), utc("2026-11-20T03:30Z"), utc("2026-11-20T12:00Z"));
        let (next_evening, next_late) = (utc("2026-11-20T22:00Z"), utc("2026-11-21T03:00Z"));
        check(&night, evening, &[], None);
        check(&night, evening, &[Sort::Passwords], None);
        check(&night, evening, &[Sort::Logouts], Some(next_late));
        check(&night, late, &[Sort::Logouts], None);
        check(&night, late, &[], Some(next_evening));
        check(&night, day, &[Sort::Passwords], Some(next_evening));
        // Both have their windows, and these never meet.
        assert_eq!(night.standing(day, &Sort::ALL), Standing::Closed { until: None });

        let only = sync("UTC", &[("03:00-04:00", &[Sort::Logouts]), ("sat 03:30-05:00", &[Sort::Passwords])]);
        check(&only, day, &[], None);
        check(&only, day, &[Sort::Logouts], Some(next_late));
        check(&only, day, &[Sort::Passwords], Some(utc("2026-11-21T03:30Z")));
        check(&only, utc("2026-11-21T03:10Z"), &Sort::ALL, Some(utc("2026-11-21T03:30Z")));
        check(&only, utc("2026-11-21T03:30Z"), &Sort::ALL, None);
        check(&only, utc("2026-11-21T04:00Z"), &Sort::ALL, Some(utc("2026-11-28T03:30Z")));
    }

    const NEW_YORK: &str = "America/New_York";

    /// On 2026-03-08 clocks are set from 02:00 to 03:00.
    #[test]
    fn a_window_in_a_gap_is_not_passed_over() {
        let (before, day) = (utc("2026-03-08T06:00Z"), "2026-03-08");
        for (times, from, to) in [
            // Wholly in the gap: as long as it should be, right behind.
            ("02:15-02:45", "07:15", "07:45"),
            ("02:00-03:00", "07:00", "08:00"),
            // What clocks show of it.
            ("01:30-02:30", "06:30", "07:00"),
            ("02:30-04:00", "07:00", "08:00"),
            ("01:00-04:00", "06:00", "08:00"),
        ] {
            let sync = sync(NEW_YORK, &[(&format!("sun {times}"), &[])]);
            let (from, to) = (utc(&format!("{day}T{from}Z")), utc(&format!("{day}T{to}Z")));
            if from > before {
                check(&sync, before, &[], Some(from));
            }
            check(&sync, from, &[], None);
            assert_eq!(sync.next_turn(from), Some(to), "{times}");
            assert!(
                matches!(sync.standing(to, &[]), Standing::Closed { until: Some(next) } if next < utc("2026-03-16T00:00Z"))
            );
        }
    }

    /// On 2026-11-01 clocks are set from 02:00 to 01:00.
    #[test]
    fn a_window_in_a_fold_is_open_when_clocks_show_it() {
        let sync = sync(NEW_YORK, &[("01:15-01:45", &[])]);
        let mut turns = vec![utc("2026-11-01T00:00Z")];
        for _ in 0..4 {
            turns.push(sync.next_turn(turns[turns.len() - 1]).unwrap());
        }
        let expected = ["05:15", "05:45", "06:15", "06:45"].map(|time| utc(&format!("2026-11-01T{time}Z")));
        assert_eq!(turns[1..], expected);
        for (turn, open) in turns.iter().zip([false, true, false, true, false]) {
            assert_eq!(sync.standing(*turn, &[]) == Standing::Open, open, "{turn}");
        }
    }

    /// Samoa had no 2011-12-30.
    #[test]
    fn a_day_that_is_left_out_keeps_nothing_shut() {
        let sync = sync("Pacific/Apia", &[("fri 09:00-10:00", &[])]);
        let standing = sync.standing(utc("2011-12-30T09:00Z"), &[]);
        assert!(
            matches!(standing, Standing::Closed { until: Some(next) } if next < utc("2012-01-02T00:00Z")),
            "{standing:?}"
        );
    }

    /// What clocks show, minute by minute: whether these windows are open.
    fn by_the_clock(sync: &Sync, windows: &[&Window], now: Timestamp) -> bool {
        let civil = sync.timezone.to_datetime(now);
        let number = |number: i8| usize::try_from(number).unwrap();
        let minute = (number(civil.hour()) * 60 + number(civil.minute())) as u16;
        let day = number(civil.weekday().to_monday_zero_offset());
        windows.iter().any(|window| {
            if window.from < window.to {
                window.days[day] && (window.from..window.to).contains(&minute)
            } else {
                window.days[day] && minute >= window.from || window.days[(day + 6) % 7] && minute < window.to
            }
        })
    }

    fn is_open(sync: &Sync, now: Timestamp, sorts: &[Sort]) -> bool {
        let of = |which: &dyn Fn(&&Window) -> bool| sync.windows.iter().filter(which).collect::<Vec<_>>();
        let general = of(&|window| window.sorts.is_empty());
        let fits = |windows: &[&Window]| windows.is_empty() || by_the_clock(sync, windows, now);
        if sorts.is_empty() {
            return fits(&general);
        }
        sorts.iter().all(|sort| {
            let own = of(&|window| window.sorts.contains(sort));
            fits(if own.is_empty() { &general } else { &own })
        })
    }

    fn windows() -> impl Strategy<Value = Vec<Window>> {
        let sorts = prop_oneof![
            3 => Just(vec![]),
            1 => Just(vec![Sort::Logouts]),
            1 => Just(vec![Sort::Passwords]),
            1 => Just(Sort::ALL.to_vec()),
        ];
        // On quarters of an hour, so that windows touch, and long enough for no gap to swallow one.
        let window = (any::<[bool; 7]>(), 0u16..96, 5u16..=96, sorts).prop_map(|(days, from, long, sorts)| {
            let end = from + long;
            let to = if end > 96 { end - 96 } else { end };
            Window { days, from: from * 15, to: to * 15, sorts }
        });
        let usable = |window: &Window| window.from != window.to && window.from < DAY;
        proptest::collection::vec(window.prop_filter("it ends when it begins", usable), 1..4)
    }

    impl Standing {
        /// The same, a while later and before anything changes.
        fn at(self, now: Timestamp) -> Standing {
            if let Standing::Closed { until: Some(until) } = self {
                assert!(until > now, "{until} {now}");
            }
            self
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn standing_is_what_clocks_say(
            windows in windows(),
            zone_name in prop_oneof![Just("UTC"), Just("Asia/Tokyo"), Just(NEW_YORK), Just("Australia/Lord_Howe"), Just("Asia/Kathmandu")],
            // A week before a change of New York's clocks, or some day.
            start in prop_oneof![Just("2026-03-01T00:00Z"), Just("2026-10-25T00:00Z"), Just("2026-06-01T12:34Z")],
            sorts in prop_oneof![Just(vec![]), Just(vec![Sort::Logouts]), Just(Sort::ALL.to_vec())],
        ) {
            let sync = Sync { windows, timezone: zone(zone_name), ..Sync::default() };
            let start = utc(start);
            let (mut turn, mut until, mut standing) = (None, None, None);
            for minute in 0..14 * 24 * 60 {
                let now = start.checked_add(Span::new().minutes(minute)).unwrap();
                let open = is_open(&sync, now, &sorts);
                // Asked again only where it has said that the answer may change.
                if minute == 0 || turn.is_some_and(|turn| now >= turn) {
                    let answer = sync.standing(now, &sorts);
                    if let Some(until) = until.replace(match answer {
                        Standing::Closed { until } => until,
                        Standing::Open => None,
                    }).flatten().filter(|_| answer == Standing::Open) {
                        prop_assert_eq!(until, now);
                    }
                    standing = Some(answer == Standing::Open);
                    turn = sync.next_turn(now);
                    prop_assert!(turn.is_none_or(|turn| turn > now));
                    if let Some(before) = turn.and_then(|turn| turn.checked_sub(Span::new().nanoseconds(1)).ok()) {
                        prop_assert_eq!(sync.standing(before, &sorts), answer.at(before), "{}", before);
                    }
                }
                prop_assert_eq!(standing, Some(open), "{} {:?}", now, sync.windows);
            }
        }
    }
}
