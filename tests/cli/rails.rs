//! Limits at their edges, what counts towards them, what a consent lifts, and where it may stand.

use std::ops::Range;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::soft_delete::pass;
use super::{accounts, actions, concat, database, revision, rules, state};
use crate::support::{Run, World};

/// A project that deletes what it no longer declares, under a policy with these further keys.
fn project(policy: &str) -> World {
    World::project("generic", &format!("policy: {{ undeclared: delete, {policy} }}\n"))
}

/// YAML of a kind: its resources of these numbers, each with this value.
fn some(kind: &str, numbers: Range<usize>, value: &str) -> String {
    let empty = numbers.is_empty();
    match kind {
        "account" => accounts(numbers, value),
        "server" if empty => "servers: {}\n".to_owned(),
        "server" => {
            format!("servers:\n{}", concat(numbers, |n| format!("  s{n:03}: {{ incoming: {{ host: {value}.jp }} }}\n")))
        }
        _ if empty => "patterns: {}\n".to_owned(),
        _ => format!("patterns:\n  u:\n{}", concat(numbers, |n| format!("    p{n:03}: {{ organization: {value} }}\n"))),
    }
}

const KINDS: [&str; 3] = ["server", "account", "pattern"];

/// All three kinds: of each the resources of these numbers.
fn of_each(numbers: [Range<usize>; 3]) -> String {
    concat(KINDS.into_iter().zip(numbers), |(kind, numbers)| some(kind, numbers, "x"))
}

fn messages(plan: &Json) -> Vec<&str> {
    plan["refused"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap()).collect()
}

/// A message of a percentage ends with these figures, `30 % (31 of 100)`, behind what they come to. How many zeros
/// stand behind a point is not asked.
#[track_caller]
fn says(message: &str, figures: &str) {
    if figures.is_empty() {
        return;
    }
    let number = |text: &str| text.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok());
    let (limit, counts) = figures.split_once(" % ").unwrap();
    let said = message.strip_suffix(counts).and_then(|text| text.strip_suffix(" % "));
    let (said, over) = said.and_then(|text| text.rsplit_once(" % is over ")).unwrap_or_else(|| panic!("{message}"));
    let (count, owned) = counts.trim_matches(['(', ')']).split_once(" of ").unwrap();
    let [Some(said), Some(over), Some(limit), Some(count), Some(owned)] = [said, over, limit, count, owned].map(number)
    else {
        panic!("{message}");
    };
    assert!((over - limit).abs() < 1e-9 && said > limit, "{message}");
    assert!((said - 100.0 * count / owned).abs() < 0.0101, "{message}");
}

#[track_caller]
fn apply(world: &World) {
    world.expect(0, &["apply", "--yes", "-q"]);
}

/// The two limits, and how accounts of which `count` are to be changed break them.
type Break = fn(&World, usize, usize);
const LIMITS: [(&str, Break); 2] = [
    ("max_deletes", |world, count, owned| world.write("a.yaml", accounts(count..owned, "x"))),
    ("max_overwrites", |world, count, owned| {
        world.write("a.yaml", accounts(count..owned, "x"));
        world.write("b.yaml", if count == 0 { "accounts: {}\n".to_owned() } else { accounts(0..count, "y") });
    }),
];

#[test]
fn a_percentage_holds_at_its_edge_and_says_its_figures() {
    for (limit, owned, allowed, refused, figures) in [
        ("30%", 100, &[29, 30][..], 31, "30 % (31 of 100)"),
        ("30%", 10, &[2, 3], 4, "30 % (4 of 10)"),
        ("30%", 11, &[3], 4, "30 % (4 of 11)"),
        ("30%", 20, &[5, 6], 7, "30 % (7 of 20)"),
        ("30%", 261, &[78], 104, "30 % (104 of 261)"),
        // Where binary fractions would be a hair off.
        ("29%", 100, &[29], 30, "29 % (30 of 100)"),
        ("57%", 100, &[57], 58, "57 % (58 of 100)"),
        ("55%", 20, &[11], 12, "55 % (12 of 20)"),
        ("0.7%", 1_000, &[7], 8, "0.7 % (8 of 1000)"),
        ("0.5%", 200, &[1], 2, "0.5 % (2 of 200)"),
        ("33.3%", 30, &[9], 10, "33.3 % (10 of 30)"),
        ("2.5%", 40, &[1], 2, "2.5 % (2 of 40)"),
        ("0%", 10, &[0], 1, "0 % (1 of 10)"),
    ] {
        for (rule, change) in LIMITS {
            let world = project(&format!("{rule}: {limit}"));
            change(&world, 0, owned);
            apply(&world);
            for count in allowed {
                change(&world, *count, owned);
                assert_eq!(rules(&world.json(0, &["plan"])), [""; 0], "{rule}: {limit}: {count} of {owned}");
            }
            change(&world, refused, owned);
            let plan = world.json(4, &["plan"]);
            assert_eq!(rules(&plan), [rule], "{limit}: {refused} of {owned}");
            says(messages(&plan)[0], figures);
            let text = world.expect(4, &["plan"]).stdout;
            assert!(text.contains(figures.split_once(" % ").unwrap().1), "{text}");
        }
    }
}

/// As octoDNS says it; and 4 of 12 is over 33.33 % without being shown as equal to it.
#[test]
fn figures_are_rounded_and_never_lie() {
    for (limit, owned, gone, figures) in
        [("30%", 261, 104, "39.85 % is over 30 % (104 of 261)"), ("33.33%", 12, 4, " % is over 33.33 % (4 of 12)")]
    {
        let world = project(&format!("max_deletes: {limit}"));
        world.write("a.yaml", accounts(0..owned, "x"));
        apply(&world);
        world.write("a.yaml", accounts(gone..owned, "x"));
        let plan = world.json(4, &["plan"]);
        let message = messages(&plan)[0];
        assert!(message.ends_with(figures), "{message}");
        assert!(!message.contains("33.33 % is over 33.33 %"), "{message}");
        // A refused apply says the same to whoever started it.
        let run = world.expect(4, &["apply", "--yes"]);
        assert!((run.stdout + &run.stderr).contains(figures));
    }
}

#[test]
fn a_count_holds_at_its_edge_however_many_there_are() {
    for (rule, change) in LIMITS {
        for (limit, owned, allowed, refused) in
            [(10, 12, &[0, 9, 10][..], 11), (10, 60, &[10], 11), (1, 3, &[1], 2), (0, 3, &[0], 1), (0, 50, &[0], 1)]
        {
            let world = project(&format!("{rule}: {limit}"));
            change(&world, 0, owned);
            apply(&world);
            for count in allowed {
                change(&world, *count, owned);
                world.expect(0, &["plan"]);
            }
            change(&world, refused, owned);
            let plan = world.json(4, &["plan"]);
            assert_eq!(rules(&plan), [rule], "{limit}: {refused} of {owned}");
            let message = messages(&plan)[0];
            assert!(
                message.contains(&refused.to_string()) && message.contains(&limit.to_string()),
                "{refused} over {limit}: {message}"
            );
        }
    }
}

/// A percentage is of what was owned before: neither what is added nor what others own dilutes it.
#[test]
fn nothing_that_is_added_or_foreign_dilutes_a_percentage() {
    for (owned, deletes, code) in [(9, 8, 0), (10, 3, 0), (10, 4, 4)] {
        let world = project("max_deletes: 30%");
        world.write("a.yaml", accounts(0..owned, "x"));
        apply(&world);
        let rows = concat(0..50, |n| format!("('z{n}', 'other'),"));
        let sql = format!("INSERT INTO account (name, yubin_owner) VALUES {}", rows.trim_end_matches(','));
        database(&world).execute(&sql, []).unwrap();
        world.write("a.yaml", accounts((deletes..owned).chain(100..200), "x"));
        let plan = world.json(code, &["plan"]);
        assert_eq!((&plan["summary"]["delete"], &plan["summary"]["add"]), (&json!(deletes), &json!(100)));
        if code == 4 {
            says(messages(&plan)[0], "30 % (4 of 10)");
        }
    }
}

/// Of nothing no percentage can be said; a count holds all the same.
#[test]
fn limits_on_what_is_not_there() {
    let free = |policy: &str| {
        let world = project(policy);
        world.write("a.yaml", "accounts: { seed: { comment: x } }\n");
        apply(&world);
        let rows = concat(0..12, |n| format!("('a{n:03}', 'y'),"));
        let sql = format!("INSERT INTO account (name, comment) VALUES {}", rows.trim_end_matches(','));
        database(&world).execute_batch(&format!("DELETE FROM account; {sql}")).unwrap();
        world.write("a.yaml", accounts(0..12, "x"));
        world
    };
    let plan = free("max_overwrites: 0%").json(0, &["plan"]);
    assert_eq!(plan["summary"]["overwrite"], 12, "twelve taken over by a project that owns none");
    free("max_overwrites: 12").expect(0, &["plan"]);
    let plan = free("max_overwrites: 11").json(4, &["plan"]);
    assert_eq!(rules(&plan), ["max_overwrites"]);
    // Tombstones of nothing and an empty store.
    for limit in ["0", "0%", "{ account: 0, file: 0, owner: 0% }"] {
        let world = project(&format!("max_deletes: {limit}, max_overwrites: {limit}"));
        world.write("a.yaml", "accounts: { a: { absent: true }, b: {} }\npatterns: {}\n");
        apply(&world);
        world.expect(0, &["plan", "--exit-code"]);
    }
}

#[test]
fn each_kind_may_have_a_limit_of_its_own_and_the_others_keep_theirs() {
    for (limits, gone, refused) in [
        // Nothing said of a kind: 30 %.
        ("{ account: 1 }", [3, 1, 3], &[][..]),
        ("{ account: 1 }", [0, 2, 0], &["account"]),
        ("{ account: 1 }", [4, 1, 0], &["server"]),
        ("{ account: 9 }", [4, 9, 4], &["server", "pattern"]),
        ("{ server: 0 }", [1, 3, 3], &["server"]),
        ("{ server: 100%, account: 1, pattern: 50% }", [9, 1, 5], &[]),
        ("{ server: 100%, account: 1, pattern: 50% }", [9, 1, 6], &["pattern"]),
        ("{ server: 100%, account: 1, pattern: 50% }", [9, 2, 6], &["account", "pattern"]),
    ] {
        let world = project(&format!("max_deletes: {limits}"));
        world.write("a.yaml", of_each([0..10, 0..10, 0..10]));
        apply(&world);
        world.write("a.yaml", of_each(gone.map(|gone| gone..10)));
        let plan = world.json(if refused.is_empty() { 0 } else { 4 }, &["plan"]);
        assert_eq!(rules(&plan), vec!["max_deletes"; refused.len()], "{limits}: {gone:?}");
        for kind in KINDS {
            let named = messages(&plan).iter().any(|message| message.contains(kind));
            assert_eq!(named, refused.contains(&kind), "{limits}: {gone:?}: {kind}: {:?}", messages(&plan));
        }
    }
    // Of overwrites, the others have none.
    let world = project("max_overwrites: { account: 50% }");
    let write = |overwritten: usize| {
        let patterns = some("pattern", 0..10, if overwritten == 0 { "x" } else { "y" });
        world.write("a.yaml", some("account", overwritten..10, "x") + &patterns);
        world.write("b.yaml", some("account", 0..overwritten, "y"));
    };
    write(0);
    apply(&world);
    write(5);
    assert_eq!(world.json(0, &["plan"])["summary"]["overwrite"], 15);
    write(6);
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["max_overwrites"]);
    says(messages(&plan)[0], "50 % (6 of 10)");
}

#[test]
fn a_limit_of_a_file_is_of_what_it_declared_last() {
    for (limits, small, big, refused) in [
        ("{ account: 100%, file: 30% }", 3, 27, None),
        ("{ account: 100%, file: 30% }", 4, 0, Some(("small.yaml", "30 % (4 of 10)"))),
        ("{ account: 100%, file: 30% }", 0, 28, Some(("big.yaml", "30 % (28 of 90)"))),
        ("{ account: 100%, file: 5 }", 5, 5, None),
        ("{ account: 100%, file: 5 }", 6, 0, Some(("small.yaml", ""))),
        // Without a limit for files, only the kind counts: 10 of 100.
        ("30%", 9, 0, None),
    ] {
        let world = project(&format!("max_deletes: {limits}"));
        world.write("small.yaml", accounts(0..10, "x"));
        world.write("big.yaml", accounts(10..100, "x"));
        apply(&world);
        world.write("small.yaml", accounts(small..10, "x"));
        world.write("big.yaml", accounts(10 + big..100, "x"));
        let plan = world.json(if refused.is_some() { 4 } else { 0 }, &["plan"]);
        assert_eq!(plan["summary"]["delete"], small + big);
        if let Some((file, figures)) = refused {
            assert_eq!(rules(&plan), ["max_deletes"], "{limits}: {small} and {big}");
            let message = messages(&plan)[0];
            assert!(message.contains(file), "{message}");
            says(message, figures);
        }
    }
    // One that has moved with a change belongs to the file that declared it last: 4 of 24, not 4 of 10.
    let world = project("max_deletes: { account: 100%, file: 30% }");
    world.write("small.yaml", accounts(0..10, "x"));
    world.write("big.yaml", accounts(10..100, "x"));
    apply(&world);
    world.write("small.yaml", accounts(4..10, "x"));
    world.write("moved.yaml", accounts(0..4, "y") + &accounts(100..120, "x").replace("accounts:\n", ""));
    apply(&world);
    world.write("moved.yaml", accounts(100..120, "x"));
    assert_eq!(world.json(0, &["plan"])["summary"]["delete"], 4);
    world.write("moved.yaml", accounts(108..120, "x") + &accounts(0..4, "y").replace("accounts:\n", ""));
    let plan = world.json(4, &["plan"]);
    assert!(messages(&plan)[0].contains("moved.yaml"), "{plan}");
    says(messages(&plan)[0], "30 % (8 of 24)");
}

/// A file that is gone counts as one from which everything has vanished.
#[test]
fn a_file_gone_from_a_glob_with_other_matches_is_an_ordinary_removal() {
    for (limits, lost, refused) in [
        ("max_deletes: 30%", 10, None),
        ("max_deletes: 30%", 31, Some("30 % (31 of 100)")),
        ("max_deletes: { account: 30%, file: 50% }", 10, Some("50 % (10 of 10)")),
        ("max_deletes: { account: 30%, file: 10 }", 10, None),
        ("max_deletes: { account: 30%, file: 9 }", 10, Some("")),
    ] {
        let world = World::project(
            "generic",
            &format!("sources: [\"people/*.yaml\"]\npolicy: {{ undeclared: delete, {limits} }}\n"),
        );
        world.write("people/one.yaml", accounts(0..lost, "x"));
        world.write("people/two.yaml", accounts(lost..100, "x"));
        apply(&world);
        world.remove("people/one.yaml");
        let plan = world.json(if refused.is_some() { 4 } else { 0 }, &["plan"]);
        assert_eq!(plan["summary"]["delete"], lost);
        if let Some(figures) = refused {
            assert_eq!(rules(&plan), ["max_deletes"], "{limits}: nothing has vanished but a file");
            says(messages(&plan)[0], figures);
        }
        // Whatever the limits say of it can be consented to.
        world.expect(0, &["apply", "--ack", plan["digest"].as_str().unwrap(), "-q"]);
        // The last one is not.
        world.remove("people/two.yaml");
        let plan = world.json(4, &["plan"]);
        assert!(rules(&plan).contains(&"source_vanished"), "{plan}");
        world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        assert_eq!(revision(&world), 2);
    }
}

#[test]
fn a_limit_of_an_owner_is_of_all_kinds_together() {
    for (owner, owned, gone, figures) in [
        ("30%", 10, [3, 3, 3], None),
        ("30%", 10, [4, 3, 3], Some("30 % (10 of 30)")),
        ("30%", 10, [0, 9, 1], Some("30 % (10 of 30)")),
        // No kind has ten, and all together have.
        ("30%", 4, [1, 1, 1], None),
        ("30%", 4, [2, 1, 1], Some("30 % (4 of 12)")),
        ("30%", 3, [2, 2, 2], None),
        ("5", 10, [2, 2, 1], None),
        ("5", 10, [2, 2, 2], Some("")),
    ] {
        let world = project(&format!("max_deletes: {{ server: 99, account: 99, pattern: 99, owner: {owner} }}"));
        world.write("a.yaml", of_each([0..owned, 0..owned, 0..owned]));
        apply(&world);
        world.write("a.yaml", of_each(gone.map(|gone| gone..owned)));
        let plan = world.json(if figures.is_some() { 4 } else { 0 }, &["plan"]);
        if let Some(figures) = figures {
            assert_eq!(rules(&plan), ["max_deletes"], "{owner}: {gone:?}");
            says(messages(&plan)[0], figures);
        }
    }
}

#[test]
fn every_limit_that_is_broken_is_said_and_one_consent_lifts_them_all() {
    let world = project("max_deletes: { account: 10%, file: 5%, owner: 5% }");
    world.write("a.yaml", of_each([0..10, 0..10, 0..0]));
    apply(&world);
    world.write("a.yaml", of_each([0..10, 2..10, 0..0]));
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["max_deletes"; 3]);
    let mut figures: Vec<&str> = messages(&plan).iter().map(|one| one.rsplit_once(" is over ").unwrap().1).collect();
    figures.sort_unstable();
    assert_eq!(figures, ["10 % (2 of 10)", "5 % (2 of 20)", "5 % (2 of 20)"]);
    world.expect(4, &["apply", "--yes"]);
    world.expect(0, &["apply", "--ack", plan["digest"].as_str().unwrap()]);
    assert_eq!(world.json(0, &["plan"])["summary"]["unchanged"], 18);
}

#[test]
fn disables_and_purges_count_as_deletes() {
    let world = project("delete: after 14d, max_deletes: 2");
    let declare = |from: usize| world.write("a.yaml", accounts(from..8, "x"));
    declare(0);
    apply(&world);
    declare(3);
    let plan = world.json(4, &["plan"]);
    assert_eq!((plan["summary"]["disable"].clone(), rules(&plan)), (json!(3), vec!["max_deletes"]));
    assert!(messages(&plan)[0].contains('3'), "{plan}");
    declare(2);
    apply(&world);
    // What waits counts nothing.
    declare(4);
    assert_eq!(world.json(0, &["plan"])["summary"]["disable"], 2);
    // Two to purge and one to disable are three.
    pass(&world, "14 days");
    declare(2);
    assert_eq!(world.json(0, &["plan"])["summary"]["purge"], 2);
    declare(3);
    let plan = world.json(4, &["plan"]);
    assert_eq!((&plan["summary"]["purge"], &plan["summary"]["disable"]), (&json!(2), &json!(1)));
    assert_eq!(rules(&plan), ["max_deletes"]);
    world.expect(4, &["apply", "--yes"]);
    world.expect(0, &["apply", "--ack", plan["digest"].as_str().unwrap()]);
    assert_eq!(revision(&world), 3);
}

/// Each of these breaks a limit too; the right digest is still no way around the other rule.
#[test]
fn consent_lifts_limits_alone() {
    for (rule, policy, before, after, sql) in [
        (
            "protect",
            "protect: [account/a]",
            "accounts: { a: {}, b: {} }\n",
            "accounts: { a: { absent: true }, b: {} }\n",
            "",
        ),
        (
            "protected",
            "undeclared: delete",
            "accounts: { a: { protected: true }, b: {} }\n",
            "accounts: { b: {} }\n",
            "",
        ),
        ("empty_kind", "undeclared: delete", "accounts: { a: {}, b: {} }\n", "accounts: {}\n", ""),
        (
            "foreign_owner",
            "undeclared: delete",
            "accounts: { a: {}, b: {}, c: {} }\n",
            "accounts: { b: { comment: z }, c: {} }\n",
            "UPDATE account SET yubin_owner = 'other' WHERE name = 'b'",
        ),
        (
            "blocked",
            "undeclared: keep",
            "accounts: { a: {}, b: {}, c: {} }\n",
            "accounts: { a: { absent: true }, b: { previously: c } }\n",
            "",
        ),
        (
            "in_use",
            "undeclared: keep",
            "servers: { s: {} }\naccounts: { a: {}, b: { server: s } }\n",
            "servers: { s: { absent: true } }\naccounts: { a: { absent: true } }\n",
            "",
        ),
    ] {
        let world = World::project("generic", &format!("policy: {{ max_deletes: 0, {policy} }}\n"));
        world.write("a.yaml", before);
        apply(&world);
        database(&world).execute_batch(sql).unwrap();
        world.write("a.yaml", after);
        let kept = state(&world);
        let plan = world.json(4, &["plan"]);
        assert!(rules(&plan).contains(&rule) && rules(&plan).contains(&"max_deletes"), "{rule}: {plan}");
        world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        assert_eq!(state(&world), kept, "{rule}");
    }
}

#[test]
fn no_kind_is_emptied_by_omission_whatever_the_limits_say() {
    for delete in ["now", "after 14d"] {
        for (emptied, kind) in KINDS.iter().enumerate() {
            let world = project(&format!("max_deletes: 100%, delete: {delete}"));
            world.write("a.yaml", of_each([0..2, 0..2, 0..2]));
            apply(&world);
            let mut left = [0..2, 0..2, 0..2];
            left[emptied] = 0..0;
            world.write("a.yaml", of_each(left));
            let plan = world.json(4, &["plan"]);
            assert_eq!(rules(&plan), ["empty_kind"], "{kind}, {delete}");
            assert!(messages(&plan)[0].contains(kind), "{plan}");
            // One that is left is enough.
            let mut left = [0..2, 0..2, 0..2];
            left[emptied] = 1..2;
            world.write("a.yaml", of_each(left));
            assert_eq!(actions(&world.json(0, &["plan"])).len(), 1);
        }
    }
}

/// An entry that matches nothing is refused even where nothing would be deleted.
#[test]
fn an_entry_that_matches_nothing_is_a_vanished_source() {
    for sources in ["a.yaml, people/*.yaml", "a.yaml, people"] {
        let world = World::project("generic", &format!("sources: [{sources}]\n"));
        std::fs::create_dir(world.file("people")).unwrap();
        world.write("a.yaml", accounts(0..2, "x"));
        let plan = world.json(4, &["plan"]);
        assert_eq!((rules(&plan), actions(&plan).len()), (vec!["source_vanished"], 2), "{sources}");
        assert!(messages(&plan)[0].contains("people"), "{plan}");
        world.expect(4, &["apply", "--yes", "--ack", plan["digest"].as_str().unwrap()]);
        world.write("people/b.yaml", "accounts: { b: {} }\n");
        apply(&world);
    }
}

#[test]
fn a_limit_that_is_none_is_invalid_input() {
    for (limit, word) in [
        ("{ accounts: 3 }", "account"),
        ("{ acount: 3 }", "account"),
        ("{ files: 30% }", "file"),
        ("{ account: many }", ""),
        ("{ account: -1 }", ""),
        ("{ account: 1, account: 2 }", ""),
        ("{ owner: { account: 1 } }", ""),
        ("[10, 30%]", ""),
        ("-1", ""),
        ("-1%", ""),
        ("many", ""),
        ("x%", ""),
    ] {
        for key in ["max_deletes", "max_overwrites"] {
            let world = World::project("generic", &format!("policy:\n  {key}: {limit}\n"));
            world.write("a.yaml", accounts(0..1, "x"));
            let first = world.json(3, &["check"])["diagnostics"][0].take();
            assert_eq!((&first["file"], &first["line"]), (&json!("yubin.yaml"), &json!(5)), "{key}: {limit}");
            let hint = first["hint"].as_str().unwrap_or_default();
            assert!(hint.contains(word), "{key}: {limit}: {first}");
        }
    }
}

/// Git with none of the caller's settings: tests may run in a hook.
fn git(world: &World, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=taro", "-c", "user.email=taro@x.jp", "-c", "core.hooksPath=/dev/null"]);
    command.args(args).current_dir(world.path());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = without_git(&mut command).output().unwrap_or_else(|error| panic!("git: {error}"));
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn without_git(command: &mut Command) -> &mut Command {
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(name);
    }
    command
}

fn commit(world: &World, message: &str) {
    git(world, &["commit", "-q", "--allow-empty", "-m", message]);
}

/// What the program says in a checkout.
fn run(world: &World, args: &[&str]) -> Run {
    Run::of(without_git(&mut world.command(args)).output().unwrap())
}

/// A checkout with two tombstones where one delete is allowed, and the digest of that plan.
fn checkout(folder: &str) -> (World, String) {
    let world = World::new();
    let file = |name: &str| format!("{folder}{name}");
    world.write(&file("yubin.yaml"), "version: 1\nname: head-office\npolicy: { max_deletes: 1 }\n");
    world.write(&file("a.yaml"), accounts(0..4, "x"));
    let place = world.file(folder).display().to_string();
    world.expect(0, &["-C", &place, "apply", "--yes", "-q"]);
    world.write(&file("a.yaml"), "accounts: { a000: { absent: true }, a001: { absent: true }, a002: {}, a003: {} }\n");
    git(&world, &["init", "-q", "-b", "main"]);
    git(&world, &["add", &file("yubin.yaml"), &file("a.yaml")]);
    commit(&world, "two accounts go");
    let digest = world.json(4, &["-C", &place, "plan"])["digest"].as_str().unwrap().to_owned();
    (world, digest)
}

#[test]
fn a_trailer_of_the_last_commits_is_consent() {
    let other = "0".repeat(64);
    for (what, messages, code) in [
        ("the last commit", &["approve\n\nYubin-Ack: DIGEST"][..], 0),
        (
            "among other trailers",
            &["approve\n\nWhy.\n\nReviewed-by: x <x@x.jp>\nYubin-Ack: DIGEST\nSigned-off-by: y <y@x.jp>"],
            0,
        ),
        ("an older commit", &["approve\n\nYubin-Ack: DIGEST", "words", "more words"], 0),
        ("beside the ack of another plan", &["approve\n\nYubin-Ack: OTHER\nYubin-Ack: DIGEST"], 0),
        ("before the ack of another plan", &["approve\n\nYubin-Ack: DIGEST", "approve\n\nYubin-Ack: OTHER"], 0),
        ("none", &["approve"], 4),
        ("of another plan", &["approve\n\nYubin-Ack: OTHER"], 4),
        ("a part of it", &["approve\n\nYubin-Ack: PART"], 4),
        ("empty", &["approve\n\nYubin-Ack:"], 4),
        ("in the text", &["approve\n\nYubin-Ack: DIGEST\n\nBut not yet."], 4),
        ("quoted", &["talk\n\nSomebody wrote Yubin-Ack: DIGEST and nobody agreed."], 4),
        ("another trailer", &["approve\n\nReviewed-by: DIGEST"], 4),
    ] {
        let (world, digest) = checkout("");
        for message in messages {
            let message = message.replace("DIGEST", &digest).replace("OTHER", &other);
            commit(&world, &message.replace("PART", &digest[..32]));
        }
        // As of `--ack`, the right digest is consent by itself.
        let ran = run(&world, &["apply"]);
        assert_eq!(ran.code, code, "{what}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(revision(&world), if code == 0 { 2 } else { 1 }, "{what}");
        assert_eq!(run(&world, &["apply", "--yes"]).code, code, "{what}");
    }
}

#[test]
fn a_trailer_counts_where_its_commit_is_merged() {
    for (merged, in_merge, code) in [(true, false, 0), (true, true, 0), (false, false, 4)] {
        let (world, digest) = checkout("");
        let ack = format!("approve\n\nYubin-Ack: {digest}");
        git(&world, &["checkout", "-q", "-b", "topic"]);
        commit(&world, if in_merge { "work" } else { &ack });
        git(&world, &["checkout", "-q", "main"]);
        commit(&world, "meanwhile");
        if merged {
            let message = if in_merge { ack.as_str() } else { "merge topic" };
            git(&world, &["merge", "-q", "--no-ff", "-m", message, "topic"]);
        }
        let ran = run(&world, &["apply", "--yes"]);
        assert_eq!(ran.code, code, "merged: {merged}, in the merge: {in_merge}: {}{}", ran.stdout, ran.stderr);
    }
}

/// A project may be a part of the checkout, and a plan may be saved.
#[test]
fn a_trailer_counts_for_a_project_below_and_for_a_saved_plan() {
    let (world, digest) = checkout("mail/");
    commit(&world, &format!("approve\n\nYubin-Ack: {digest}"));
    assert_eq!(run(&world, &["-C", "mail", "apply"]).code, 0);
    let (world, digest) = checkout("");
    world.expect(4, &["plan", "--out", "plan.json"]);
    assert_eq!(run(&world, &["apply", "plan.json"]).code, 4);
    commit(&world, &format!("approve\n\nYubin-Ack: {digest}"));
    let ran = run(&world, &["apply", "plan.json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(revision(&world), 2);
}

/// It is as good as `--ack`, and no better; and an old one is in nobody's way.
#[test]
fn a_trailer_lifts_limits_alone_and_an_old_one_refuses_nothing() {
    let (world, digest) = checkout("");
    commit(&world, &format!("approve\n\nYubin-Ack: {digest}"));
    assert_eq!(run(&world, &["apply", "--yes"]).code, 0);
    // Its plan is done with: what breaks no limit needs `--yes` as ever, what breaks one is refused.
    world.write("a.yaml", accounts(2..6, "y"));
    assert_eq!(run(&world, &["apply"]).code, 4);
    assert_eq!(run(&world, &["apply", "--yes"]).code, 0);
    world.write("a.yaml", "accounts: { a002: { absent: true }, a003: { absent: true }, a004: {} }\n");
    assert_eq!(run(&world, &["apply", "--yes"]).code, 4);
    // Another rule stands.
    let text = "version: 1\nname: head-office\npolicy: { max_deletes: 1, protect: [account/a002] }\n";
    world.write("yubin.yaml", text);
    let digest = world.json(4, &["plan"])["digest"].as_str().unwrap().to_owned();
    commit(&world, &format!("approve\n\nYubin-Ack: {digest}"));
    assert_eq!(run(&world, &["apply", "--yes"]).code, 4);
    assert_eq!(revision(&world), 3);
}

#[test]
fn nobody_needs_git() {
    let world = project("max_deletes: 1");
    world.write("a.yaml", accounts(0..4, "x"));
    let without = |args: &[&str]| Run::of(world.command(args).env("PATH", "").output().unwrap());
    let ran = without(&["apply", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    world.write("a.yaml", accounts(2..4, "x"));
    let ran = without(&["apply", "--yes"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    // Neither a checkout without a commit nor a damaged one is in the way.
    world.write("a.yaml", accounts(1..4, "x"));
    std::fs::create_dir(world.file(".git")).unwrap();
    let ran = run(&world, &["apply", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
