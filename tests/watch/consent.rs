//! What needs somebody's word, and what waits for its time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use rustix::process::Signal;
use serde_json::Value as Json;

use super::support::{LIMIT, Watcher, hermetic, once};
use super::{FREE, accounts, comment, digest, project, revisions, rules, stored};
use crate::cli::{concat, revision};
use crate::support::{Run, World};

const LIMITED: &str = "policy: { undeclared: delete, max_deletes: 1 }\n";
const LONG: Duration = Duration::from_secs(75);

fn configure(world: &World, more: &str) {
    world.write("yubin.yaml", format!("version: 1\nname: head-office\nsystem: generic\n{more}"));
}

/// `HH:MM` in UTC, so many minutes from now.
fn clock(minutes: i64) -> String {
    let time = now() + SignedDuration::from_mins(minutes);
    format!("{:02}:{:02}", time.hour(), time.minute())
}

fn now() -> civil::DateTime {
    Timestamp::now().to_zoned(TimeZone::UTC).datetime()
}

/// `sync:` with these windows, in UTC.
fn windows(windows: &[String]) -> String {
    let list = concat(windows, |window| format!("    - {window}\n"));
    format!("sync:\n  timezone: UTC\n  windows:\n{list}")
}

fn window(from: i64, to: i64) -> String {
    format!("{}-{}", clock(from), clock(to))
}

/// How far away `until` is.
#[track_caller]
fn until(event: &Json) -> SignedDuration {
    let until: Timestamp = event["until"].as_str().unwrap_or_else(|| panic!("no end: {event}")).parse().unwrap();
    until.duration_since(Timestamp::now())
}

#[track_caller]
fn approve(world: &World, digest: &str) {
    let run = Run::of(hermetic(&mut world.command(&["watch", "approve", digest])).output().unwrap());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

// --- Limits -------------------------------------------------------------------------------

#[test]
fn an_approved_digest_lets_its_plan_through_a_limit() {
    let world = project(LIMITED);
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(1, "one"));
    let refused = watcher.next("refused");
    assert_eq!(rules(&refused), ["max_deletes"]);
    assert_eq!(refused["summary"]["delete"], 2);
    let right = digest(&refused);
    assert_eq!(world.json(4, &["plan"])["digest"], right);
    // Others, wrong in different ways, lift nothing.
    for wrong in ["", "x", &right[..32], &right.replace(|c: char| c.is_ascii_digit(), "g")] {
        let run = world.run(&["watch", "approve", wrong]);
        assert!(run.code != 0 && run.stderr.starts_with("error: "), "`{wrong}`: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("digest") || run.stderr.contains("DIGEST"), "{}", run.stderr);
    }
    let other = world.run(&["watch", "approve", &"0".repeat(64)]);
    assert!(matches!(other.code, 0 | 4), "{}{}", other.stdout, other.stderr);
    watcher.quiet();
    assert_eq!(stored(&world), 3);
    approve(&world, &right);
    let synced = watcher.next("synced");
    assert_eq!((&synced["cause"], &synced["digest"], stored(&world)), (&"time".into(), &right.into(), 1));
}

/// For exactly this plan, and for no later one that does the same.
#[test]
fn an_approval_holds_for_one_plan() {
    let world = project(LIMITED);
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(1, "one"));
    let first = digest(&watcher.next("refused"));
    world.write("a.yaml", accounts(1, "two"));
    let second = digest(&watcher.next("refused"));
    assert_ne!(first, second);
    approve(&world, &first);
    watcher.quiet();
    assert_eq!(stored(&world), 3);
    approve(&world, &second);
    watcher.next("synced");
    world.write("a.yaml", accounts(3, "two"));
    watcher.next("synced");
    world.write("a.yaml", accounts(1, "two"));
    watcher.next("refused");
    assert_eq!((stored(&world), revisions(&world)), (3, 3));
}

/// Approved before the watcher starts, as one may while it is down.
#[test]
fn an_approval_outlives_the_watcher() {
    let world = project(LIMITED);
    once(&world, 0, &[]);
    world.write("a.yaml", accounts(1, "one"));
    let event = once(&world, 4, &[])[1].clone();
    assert_eq!(event["event"], "refused");
    approve(&world, &digest(&event));
    assert_eq!(once(&world, 0, &[])[1]["event"], "synced");
    assert_eq!(stored(&world), 1);
}

/// An approval is no change of what the store holds.
#[test]
fn an_approval_is_no_revision() {
    let world = project(LIMITED);
    let mut watcher = Watcher::synced(&world, &[]);
    world.write("a.yaml", accounts(1, "one"));
    let before = digest(&watcher.next("refused"));
    world.run(&["watch", "approve", &"0".repeat(64)]);
    assert_eq!(world.json(4, &["plan"])["digest"], before);
    assert_eq!(revision(&world), 1);
    assert_eq!(world.json(0, &["drift"])["drift"].as_array().unwrap().len(), 0);
}

// --- Approval -----------------------------------------------------------------------------

#[test]
fn deletes_wait_for_a_person() {
    for by_option in [true, false] {
        let sync = if by_option { "" } else { "sync: { approve: [deletes] }\n" };
        let world = project(&format!("{FREE}{sync}"));
        let mut watcher = Watcher::synced(&world, if by_option { &["--approve", "deletes"] } else { &[] });
        // What deletes nothing does not wait.
        world.write("a.yaml", accounts(4, "two"));
        watcher.next("synced");
        world.write("a.yaml", accounts(3, "three"));
        let waiting = watcher.next("waiting");
        assert_eq!((&waiting["reason"], &waiting["until"]), (&"approval".into(), &Json::Null));
        assert_eq!(waiting["summary"]["delete"], 1);
        watcher.quiet();
        assert_eq!((stored(&world), comment(&world, "a000")), (4, "two".into()));
        approve(&world, &digest(&waiting));
        let synced = watcher.next("synced");
        assert_eq!(synced["digest"], waiting["digest"]);
        assert_eq!((stored(&world), comment(&world, "a000")), (3, "three".into()));
        // A newer tree supersedes what waits.
        world.write("a.yaml", accounts(1, "four"));
        watcher.next("waiting");
        world.write("a.yaml", accounts(3, "four"));
        watcher.next("synced");
        assert_eq!((stored(&world), revision(&world)), (3, 4));
    }
}

/// Deletes, disables and purges.
#[test]
fn disables_wait_for_a_person() {
    let world = project("policy: { undeclared: delete, delete: after 14d, max_deletes: 9 }\n");
    let mut watcher = Watcher::synced(&world, &["--approve", "deletes"]);
    world.write("a.yaml", accounts(2, "one"));
    let waiting = watcher.next("waiting");
    assert_eq!((&waiting["reason"], &waiting["summary"]["disable"]), (&"approval".into(), &1.into()));
}

/// The trailer of a commit is an approval, too: consent holds as in CI.
#[test]
fn an_acknowledged_commit_is_consent() {
    let world = project(LIMITED);
    super::git::init(&world);
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    world.write("a.yaml", accounts(1, "one"));
    let refused = watcher.next("refused");
    super::git::commit_message(&world, &format!("two go\n\nYubin-Ack: {}", digest(&refused)));
    // Nothing but the commit has changed.
    watcher.ask();
    let synced = watcher.until("synced");
    assert_eq!((&synced["digest"], stored(&world)), (&refused["digest"], 1));
}

// --- The pause ----------------------------------------------------------------------------

#[test]
fn nothing_is_applied_while_the_pause_file_exists() {
    let world = project("sync: { pause_file: PAUSE }\n");
    let mut watcher = Watcher::served(&world, &[]);
    watcher.next("synced");
    world.write("PAUSE", "");
    world.write("a.yaml", accounts(3, "two"));
    let waiting = watcher.until("waiting");
    assert_eq!((&waiting["reason"], &waiting["until"]), (&"paused".into(), &Json::Null));
    assert!(waiting["message"].as_str().unwrap().contains("PAUSE"), "{waiting}");
    watcher.quiet();
    // It stands above all.
    let digest = world.json(0, &["plan"])["digest"].as_str().unwrap().to_owned();
    approve(&world, &digest);
    watcher.ask();
    assert_eq!(watcher.next("waiting")["reason"], "paused");
    watcher.signal(Signal::HUP);
    assert_eq!(watcher.next("waiting")["cause"], "signal");
    assert_eq!(revision(&world), 1);
    // What is invalid is said all the same.
    world.write("a.yaml", "accounts: { a: { nothing: x } }\n");
    watcher.until("invalid");
    world.write("a.yaml", accounts(3, "three"));
    watcher.until("waiting");
    world.remove("PAUSE");
    let synced = watcher.next("synced");
    assert_eq!((&synced["cause"], comment(&world, "a000")), (&"time".into(), "three".into()));
}

/// A pause is no reason to wait where there is nothing to do.
#[test]
fn a_pause_without_anything_to_do_is_silent() {
    let world = project("sync: { pause_file: PAUSE }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("PAUSE", "");
    let mut watcher = Watcher::start(&world, &[]);
    watcher.next("unchanged");
    watcher.quiet();
}

// --- Windows ------------------------------------------------------------------------------

#[test]
fn an_open_window_is_no_hindrance() {
    let today = now().weekday();
    let name = format!("{today:?}")[..3].to_lowercase();
    for open in [
        vec![window(-60, 60)],
        vec![window(120, 180), window(-1, 2)],
        vec![format!("{name} 00:00-24:00")],
        // From yesterday or today into today or tomorrow.
        vec![window(-700, 700)],
    ] {
        let world = project(&windows(&open));
        assert_eq!(once(&world, 0, &[])[1]["event"], "synced", "{open:?} at {}", now());
    }
}

#[test]
fn a_closed_window_is_waited_for_until_it_opens() {
    let tomorrow = format!("{:?}", now().weekday().next())[..3].to_lowercase();
    for (closed, least, most) in [
        (vec![window(120, 180)], 118, 121),
        (vec![window(-120, -60)], 22 * 60 - 2, 22 * 60 + 1),
        (vec![window(300, 310), window(120, 130)], 118, 121),
        (vec![format!("{tomorrow} 00:00-24:00")], 0, 24 * 60),
    ] {
        let world = project(&windows(&closed));
        let event = once(&world, 6, &[])[1].clone();
        assert_eq!((&event["event"], &event["reason"]), (&"waiting".into(), &"window".into()), "{closed:?}");
        let away = until(&event);
        assert!(
            away > SignedDuration::from_mins(least) && away <= SignedDuration::from_mins(most),
            "{closed:?} at {}: {event}",
            now()
        );
        assert!(!world.file("yubin.db").exists() || stored(&world) == 0);
    }
}

/// The zone decides: an hour that is now in one zone is not now in another.
#[test]
fn windows_are_in_their_zone() {
    let here = window(-30, 30);
    let world = project(&windows(&[here]).replace("UTC", "Asia/Tokyo"));
    let event = once(&world, 6, &[])[1].clone();
    assert_eq!(event["reason"], "window");
    let away = until(&event).as_mins();
    // Nine hours earlier, so fifteen hours from now at the latest.
    assert!((14 * 60 + 28..=14 * 60 + 31).contains(&away), "{event}");
    let tokyo = Timestamp::now().to_zoned(TimeZone::get("Asia/Tokyo").unwrap()).datetime();
    let (from, to) = (tokyo - SignedDuration::from_mins(30), tokyo + SignedDuration::from_mins(30));
    let there = format!("{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute());
    configure(&world, &windows(&[there]).replace("UTC", "Asia/Tokyo"));
    assert_eq!(once(&world, 0, &[])[1]["event"], "synced");
}

/// What waits is applied when the window opens, without anybody's doing.
#[test]
fn a_window_that_opens_lets_through_what_waits() {
    let world = project("");
    once(&world, 0, &[]);
    world.write("a.yaml", accounts(3, "two"));
    // It must not open between this line and the first sync.
    if now().second() > 50 {
        std::thread::sleep(Duration::from_secs(11));
    }
    configure(&world, &windows(&[window(1, 30)]));
    let mut watcher = Watcher::start(&world, &[]);
    let waiting = watcher.next("waiting");
    assert_eq!(waiting["reason"], "window");
    let opens = Timestamp::now() + until(&waiting);
    let told = watcher.within(Duration::try_from(until(&waiting)).unwrap().min(LONG));
    assert!(told.iter().all(|event| event["event"] == "synced"), "{told:?}");
    let synced = if told.is_empty() { watcher.next("synced") } else { told[0].clone() };
    assert_eq!((&synced["cause"], comment(&world, "a000")), (&"time".into(), "two".into()));
    let at: Timestamp = synced["at"].as_str().unwrap().parse().unwrap();
    assert!(at >= opens - SignedDuration::from_millis(50), "{at} before {opens}");
    assert!(at.duration_since(opens) < SignedDuration::try_from(LIMIT).unwrap(), "{at} long after {opens}");
}

/// A digest opens every window; so does another setting.
#[test]
fn an_approved_plan_needs_no_window() {
    let world = project(&windows(&[window(120, 180)]));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", accounts(3, "one and a half"));
    let mut watcher = Watcher::start(&world, &[]);
    let waiting = watcher.next("waiting");
    watcher.quiet();
    approve(&world, &digest(&waiting));
    watcher.next("synced");
    world.write("a.yaml", accounts(3, "two"));
    assert_eq!(watcher.next("waiting")["reason"], "window");
    configure(&world, "");
    watcher.next("synced");
    assert_eq!(comment(&world, "a000"), "two");
}

/// `approve` lets through what needs an approval, whatever the time.
#[test]
fn an_approval_for_deletes_opens_windows_too() {
    let world = project(FREE);
    once(&world, 0, &[]);
    configure(&world, &format!("{FREE}{}  approve: [deletes]\n", windows(&[window(120, 180)])));
    world.write("a.yaml", accounts(2, "one"));
    let mut watcher = Watcher::start(&world, &[]);
    let waiting = watcher.next("waiting");
    approve(&world, &digest(&waiting));
    watcher.until("synced");
    assert_eq!(stored(&world), 2);
}

/// Windows for what logs somebody out, or changes a password, in the place of the general ones.
#[test]
fn plans_that_log_out_or_change_passwords_have_windows_of_their_own() {
    let (open, closed) = (window(-60, 60), window(120, 180));
    let special = |when: &str, what: &str| format!("{{ at: {when}, for: [{what}] }}");
    let before = "accounts: { a: { incoming.password: x } }\npatterns: { taro: { p: { incoming.password: x } } }\n";
    let plain = "accounts: { a: { comment: x } }\n";
    let logouts = "patterns: { taro: { p: { address: t@x.jp } } }\n";
    let passwords = "accounts: { a: { incoming.password: open sesame } }\n";
    let both = "patterns: { taro: { p: { incoming.password: open sesame } } }\n";
    for (what, list, files, code) in [
        ("a plain plan: general windows count", vec![open.clone(), special(&closed, "logouts")], plain, 0),
        ("a plain plan: only the special is open", vec![closed.clone(), special(&open, "logouts")], plain, 6),
        ("no general window: always", vec![special(&closed, "logouts")], plain, 0),
        ("a logout in its window", vec![closed.clone(), special(&open, "logouts")], logouts, 0),
        ("a logout out of it", vec![open.clone(), special(&closed, "logouts")], logouts, 6),
        ("a logout has no window of its own", vec![open.clone(), special(&closed, "passwords")], logouts, 0),
        ("a password in its window", vec![closed.clone(), special(&open, "passwords")], passwords, 0),
        ("a password out of it", vec![open.clone(), special(&closed, "passwords")], passwords, 6),
        ("both in one window", vec![closed.clone(), special(&open, "logouts, passwords")], both, 0),
        ("both, and one is closed", vec![special(&open, "logouts"), special(&closed, "passwords")], both, 6),
        ("both, each in its own", vec![special(&open, "logouts"), special(&open, "passwords")], both, 0),
    ] {
        let world = World::project("generic", &windows(&list));
        world.write("a.yaml", before);
        world.expect(0, &["apply", "--yes", "-q"]);
        world.write("a.yaml", files);
        let events = once_any(&world);
        let expected = if code == 0 { "synced" } else { "waiting" };
        assert_eq!(events[1]["event"], expected, "{what}: {list:?}\n{events:?}");
    }
}

fn once_any(world: &World) -> Vec<Json> {
    let output = super::support::plain(world, &["--once"]).output().unwrap();
    let run = Run::of(output);
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
