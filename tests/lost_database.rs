//! A PostgreSQL that ends the sessions of yubin, as one does that is restarted: the old state or the new one.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::stores::Home;
use crate::support::Run;

const ACCOUNTS: i64 = 4_000;

/// Ends, in the middle of what they do, all sessions of yubin in the database of a client.
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND usename = 'yubin' AND pid <> pg_backend_pid()";

fn csv(comment: u64) -> String {
    (0..ACCOUNTS).fold("kind,name,comment\n".to_owned(), |mut csv, number| {
        writeln!(csv, "account,n{number:05},round {comment}").unwrap();
        csv
    })
}

fn check(home: &Home) {
    home.world.write("yubin.yaml", "version: 1\nname: one\nsystem: generic\n");
    home.world.write("a.csv", csv(0));
    let apply = || Run::of(home.command(&["apply", "--yes", "-q"]).output().unwrap());
    let first = apply();
    assert_eq!(first.code, 0, "{}", first.stderr);
    let database = home.database();
    let mut ended = 0;
    for round in 1..=8_u64 {
        home.world.write("a.csv", csv(round));
        let mut admin = database.client();
        let run = thread::scope(|scope| {
            let run = scope.spawn(apply);
            thread::sleep(Duration::from_millis(60 * round));
            for _ in 0..3 {
                ended += admin.query(END, &[]).unwrap().len();
                thread::sleep(Duration::from_millis(20));
            }
            run.join().unwrap()
        });
        assert!([0, 1, 5].contains(&run.code), "{}: {}", run.code, run.stderr);
        let row = admin
            .query_one(
                "SELECT count(*), count(DISTINCT comment), min(comment), (SELECT max(revision) FROM revision),
                        (SELECT count(*) FROM revision), (SELECT count(*) FROM change) FROM account",
                &[],
            )
            .unwrap();
        let number = |at: usize| row.get::<_, i64>(at);
        let (comment, revision): (String, i64) = (row.get(2), row.get(3));
        assert_eq!((number(0), number(1)), (ACCOUNTS, 1), "half of a plan, in round {round}");
        assert_eq!(number(4), revision, "a revision is lacking");
        assert_eq!(number(5), ACCOUNTS * revision, "a revision is lost or doubled");
        if run.code == 0 {
            assert_eq!(comment, format!("round {round}"), "an apply that ended well has applied");
        }
        // What did not come through does now, and once.
        let again = apply();
        assert_eq!(again.code, 0, "{}", again.stderr);
    }
    assert!(ended > 0, "no session was ended, so nothing was tried");
}

#[test]
fn an_apply_is_whole_or_nothing() {
    check(&Home::postgres());
}

#[test]
fn an_apply_through_a_server_is_whole_or_nothing() {
    check(&Home::http_postgres());
}
