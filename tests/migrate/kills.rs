//! Killed at any moment, and by two people at once: it goes on, and nothing is done twice.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{MOVE, ack, acts, names, now, on, project, through};
use crate::support::World;

/// Runs `next`, killed after so long; whether it was still there.
fn killed(world: &World, delay: Duration) {
    let mut command = world.command(&["migrate", "next", "--yes", "-q"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    let _ = child.kill();
    child.wait().unwrap();
}

/// Every act of the store once, but for those that a step that was opened again asks for.
fn each_once(world: &World) {
    let mut counts: BTreeMap<(u64, String), usize> = BTreeMap::new();
    for act in acts(world) {
        *counts.entry(act).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn a_kill_at_every_step_loses_nothing_and_repeats_nothing() {
    const ACCOUNTS: usize = 200;
    let world = project(ACCOUNTS, &format!("policy: {{ max_deletes: 1000 }}\n{MOVE}"));
    // How long a step takes here.
    let start = Instant::now();
    world.expect(0, &["migrate", "status", "-q"]);
    let whole = start.elapsed().max(Duration::from_millis(20)) * 2;
    for step in 1..=7 {
        match step {
            5 => drop(ack(&world, 0, "5")),
            6 => drop(world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "x"])),
            _ => {
                if step == 7 {
                    ack(&world, 0, "7");
                }
                for part in 1..=6 {
                    killed(&world, whole.mul_f64(f64::from(part) / 4.0));
                    // Whatever has come of it, it can be said where it is, and there are no halves.
                    let (at, _) = now(&world);
                    assert!(at == 0 || at >= step, "{at} after {step}");
                    assert!([0, ACCOUNTS].contains(&on(&world, "new").len()));
                    if at != step {
                        break;
                    }
                }
                if now(&world).0 == step {
                    world.expect(0, &["migrate", "next", "--yes", "-q"]);
                }
            }
        }
        // A killed run may have done this step and the one behind it is due.
        let (at, _) = now(&world);
        assert!(at == 0 || at > step, "{at} after {step}");
    }
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (0, ACCOUNTS));
    assert_eq!(names(&world, "migrations"), ["move-removed.yaml", "move.yaml"]);
    assert_eq!(names(&world, "backups").len(), 1);
    each_once(&world);
    world.expect(0, &["plan", "--exit-code", "-q"]);
}

/// Of two who do the same at the same moment, one has done it.
#[test]
fn two_people_do_each_step_once() {
    let world = project(20, &format!("policy: {{ max_deletes: 1000 }}\n{MOVE}"));
    for step in 1..=7_u64 {
        let args: &[&str] = match step {
            5 => &["migrate", "ack", "5"],
            6 => &["migrate", "ack", "6", "--without-probe", "--note", "x"],
            7 => &["migrate", "ack", "7"],
            _ => &["migrate", "next", "--yes", "--until"],
        };
        let number = step.to_string();
        let args = if step < 5 { [args, &[&number]].concat() } else { args.to_vec() };
        let spawn = |_| {
            let mut command = world.command(&args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (0..3).map(spawn).collect();
        let ends: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let codes: Vec<i32> = ends.iter().map(|end| end.status.code().unwrap()).collect();
        assert!(codes.iter().all(|code| matches!(code, 0 | 5)), "{step}: {codes:?} {ends:?}");
        world.run(&args);
        let (at, _) = now(&world);
        assert!(at == step + 1 || step == 7, "{at} after {step}");
    }
    world.expect(0, &["migrate", "next", "--yes"]);
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!(names(&world, "migrations"), ["move-removed.yaml", "move.yaml"]);
    each_once(&world);
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (0, 20));
}

/// A run that has written something and not taken it down: the next one finds it.
#[test]
fn what_was_written_is_found_again() {
    let world = project(2, MOVE);
    through(&world, 1);
    next_without_act(&world);
    assert_eq!(names(&world, "backups").len(), 1);
    through_one(&world);
    assert_eq!(names(&world, "backups").len(), 1, "the same backup");
    next_without_act(&world);
    through_one(&world);
    assert_eq!(names(&world, "migrations"), ["move.yaml"]);
    next_without_act(&world);
    assert_eq!(on(&world, "new").len(), 2);
    through_one(&world);
    assert_eq!(now(&world).0, 5);
    each_once(&world);
}

#[track_caller]
fn through_one(world: &World) {
    super::next(world, 0);
}

/// Does a step, and takes its act back, as if it had been killed before that.
fn next_without_act(world: &World) {
    let before = acts(world).len();
    super::next(world, 0);
    let sql = format!("DELETE FROM migration WHERE number > {before}");
    crate::cli::database(world).execute_batch(&sql).unwrap();
}
