//! A watcher that runs for months: it rests when there is nothing to do, and does not grow.

use std::thread;
use std::time::Duration;

use super::support::{Watcher, plain};
use super::{accounts, comment, project};
use crate::cli::concat;

const MIB: u64 = 1024 * 1024;

#[test]
fn nothing_to_do_costs_next_to_nothing() {
    let world = project("");
    for number in 0..200 {
        world.write(&format!("many/{number}.yaml"), format!("accounts: {{ m{number}: {{ comment: x }} }}\n"));
    }
    let mut watcher = Watcher::of(&mut plain(&world, &["--status", "127.0.0.1:0"]));
    watcher.next("synced");
    thread::sleep(Duration::from_secs(1));
    let (before, _) = watcher.usage();
    thread::sleep(Duration::from_secs(10));
    let (after, _) = watcher.usage();
    let used = after.saturating_sub(before);
    assert!(used <= Duration::from_millis(200), "{used:?} of processor time in ten seconds");
}

/// Asks and edits in turn, so many times; how much it has grown since the first tenth.
fn growth(rounds: usize) -> u64 {
    let world = project("");
    world.write("b.csv", {
        let rows = concat(0..300, |number| format!("c{number},x\n"));
        format!("name,comment\n{rows}")
    });
    let mut watcher =
        Watcher::of(&mut plain(&world, &["--status", "127.0.0.1:0", "--debounce", "10ms", "--poll", "500ms"]));
    watcher.next("synced");
    let mut first = 0;
    for round in 0..rounds {
        if round == rounds / 10 {
            first = watcher.usage().1;
        }
        match round % 4 {
            0 => {
                let text = format!("round-{round}");
                world.write("a.yaml", accounts(3, &text));
                watcher.until("synced");
            }
            1 => {
                world.write("a.yaml", "accounts: { a000: { nothing: x } }\n");
                watcher.until("invalid");
                world.write("a.yaml", accounts(3, &format!("round-{}", round - 1)));
                watcher.until("unchanged");
            }
            _ => {
                watcher.ask();
                watcher.until("unchanged");
            }
        }
    }
    assert!(comment(&world, "a000").as_str().unwrap().starts_with("round-"));
    watcher.usage().1.saturating_sub(first)
}

#[test]
fn five_hundred_syncs_leave_nothing_behind() {
    let grown = growth(500);
    assert!(grown < 6 * MIB, "{} KiB more", grown / 1024);
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn many_thousand_syncs_leave_nothing_behind() {
    let grown = growth(10_000);
    assert!(grown < 8 * MIB, "{} KiB more", grown / 1024);
}
