//! `policy.passwords`: what a new mailbox password must be, and that no message repeats it.

use serde_json::{Value as Json, json};

use super::products::cpi::{BS, account};
use super::{expect_with, private, revision, run_with};
use crate::support::World;

/// A project of this name in which only these rules hold.
fn project(name: &str, rules: &str) -> World {
    let world = World::new();
    let policy = format!("policy: {{ plaintext_secrets: allow, passwords: {{ {rules} }} }}\n");
    world.write("yubin.yaml", format!("version: 1\nname: {name}\nsystem: generic\n{policy}"));
    world
}

fn with(rules: &str) -> World {
    let world = project("head-office", rules);
    world.write("a.yaml", "accounts:\n  a: { password: { env: PW } }\n");
    world
}

/// Other rules for the same project.
fn rule(world: &World, rules: &str) {
    let policy = format!("policy: {{ plaintext_secrets: allow, passwords: {{ {rules} }} }}\n");
    world.write("yubin.yaml", format!("version: 1\nname: head-office\nsystem: generic\n{policy}"));
}

/// The rules of passwords that a plan with this one breaks. The password is nowhere in the output, and an apply
/// ends in the same way.
#[track_caller]
fn broken(world: &World, password: &str) -> Vec<String> {
    let variables = [("PW", password)];
    let run = run_with(world, &variables, &["plan", "--format", "json"]);
    let document: Json = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr));
    let text = |json: &Json| json.as_str().unwrap_or("-").to_owned();
    let found: Vec<String> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| text(&one["code"]).starts_with("password/"))
        .map(|one| {
            assert_eq!(one["severity"], "error", "{one}");
            assert_eq!((&one["field"], &one["file"]), (&json!("password"), &json!("a.yaml")), "{one}");
            text(&one["code"]).trim_start_matches("password/").to_owned()
        })
        .collect();
    let code = if found.is_empty() { 0 } else { 3 };
    assert_eq!(run.code, code, "{password}: {}{}", run.stdout, run.stderr);
    let spoken = run_with(world, &variables, &["plan", "-v"]);
    assert_eq!(spoken.code, code);
    for text in [run.stdout, run.stderr, spoken.stdout, spoken.stderr] {
        // Shorter ones stand in digests and ordinary words.
        assert!(password.len() < 8 || !text.contains(password), "the password is shown: {text}");
    }
    found
}

#[track_caller]
fn apply(world: &World, password: &str) {
    expect_with(world, 0, &[("PW", password)], &["apply", "--yes", "-q"]);
}

/// A world that has applied these passwords, one after the other.
fn having(rules: &str, passwords: &[&str]) -> World {
    let world = with(rules);
    for password in passwords {
        apply(&world, password);
    }
    world
}

// --- Each rule at its edge -----------------------------------------------------------------

#[test]
fn without_rules_every_password_is_good() {
    for rules in ["", "scheme: ARGON2ID"] {
        let world = with(rules);
        for password in ["x", "12345678", "a", "あ"] {
            assert_eq!(broken(&world, password), [""; 0], "{password}");
        }
    }
}

#[test]
fn each_rule_holds_at_its_edge() {
    for (rules, password, expected) in [
        // Characters, not bytes.
        ("min_length: 12", "abcdefghijk", &["length"][..]),
        ("min_length: 12", "abcdefghijkl", &[]),
        ("min_length: 12", "あいうえおかきくけこさ", &["length"]),
        ("min_length: 12", "あいうえおかきくけこさし", &[]),
        ("min_length: 2", "🦀", &["length"]),
        ("min_length: 2", "🦀🦀", &[]),
        ("min_length: 1", "x", &[]),
        // Lower case, upper case, digits, others.
        ("classes: 1", "aaaa", &[]),
        ("classes: 2", "aaaa", &["classes"]),
        ("classes: 2", "aaaA", &[]),
        ("classes: 2", "aaa1", &[]),
        ("classes: 2", "aaa-", &[]),
        ("classes: 2", "111-", &[]),
        ("classes: 2", "aaa ", &[]),
        ("classes: 3", "aaA1", &[]),
        ("classes: 3", "aaAA", &["classes"]),
        ("classes: 3", "AA1-", &[]),
        ("classes: 3", "a1パス", &[]),
        ("classes: 3", "パスワ1", &["classes"]),
        ("classes: 4", "aA1-", &[]),
        ("classes: 4", "aA1あ", &[]),
        ("classes: 4", "aA11", &["classes"]),
        ("classes: 4", "-_-_a1", &["classes"]),
        // What zxcvbn gives them: 0, 1, 2, 3, 4.
        ("score: 0", "12345678", &[]),
        ("score: 1", "12345678", &["score"]),
        ("score: 1", "qwert12345", &[]),
        ("score: 2", "qwert12345", &["score"]),
        ("score: 2", "blue42sky", &[]),
        ("score: 3", "blue42sky", &["score"]),
        ("score: 3", "gt5Rkw82z", &[]),
        ("score: 4", "gt5Rkw82z", &["score"]),
        ("score: 4", "tulip-mango-7", &[]),
        // Several at once are said at once.
        ("min_length: 12, classes: 3, score: 3", "abcdefgh", &["classes", "length", "score"]),
        ("min_length: 12, classes: 3, score: 3, history: 5", "tulip-mango-7", &[]),
    ] {
        let mut found = broken(&with(rules), password);
        found.sort();
        assert_eq!(found, expected, "{rules}: {password}");
    }
}

#[test]
fn a_refused_password_changes_nothing() {
    let world = with("min_length: 12");
    expect_with(&world, 3, &[("PW", "kurz-Xq7")], &["apply", "--yes"]);
    assert!(!world.file("yubin.db").exists());
    expect_with(&world, 3, &[("PW", "kurz-Xq7")], &["plan", "--out", "saved.plan"]);
    assert!(!world.file("saved.plan").exists());
    apply(&world, "tulip-mango-7");
    let run = expect_with(&world, 3, &[("PW", "kurz-Xq7")], &["apply", "--yes"]);
    assert!(!run.stderr.contains("kurz-Xq7") && run.stderr.contains("account/a"), "{}", run.stderr);
    assert_eq!(revision(&world), 1);
}

#[test]
fn values_that_no_rule_can_have_are_errors() {
    for rules in [
        "scheme: MD5-CRYPT",
        "min_length: x",
        "min_length: -1",
        "classes: 0",
        "classes: 5",
        "score: 5",
        "score: -1",
        "history: x",
        "history: -1",
        "min_lenght: 12",
        "score: 3, score: 3",
    ] {
        let world = with(rules);
        world.expect(3, &["check"]);
        let document = world.json(3, &["check"]);
        assert_eq!(document["diagnostics"][0]["file"], "yubin.yaml", "{rules}: {document}");
    }
}

/// Every place that sets a password is named, in one run.
#[test]
fn all_passwords_are_judged_in_one_run() {
    let world = project("head-office", "min_length: 12");
    private(&world, "pw", "kurz-Xq7\n");
    world.write(
        "a.yaml",
        "accounts:\n  a: { password: kurz-Xq7 }\n  b: { password: { env: PW } }\n  c: { password: { file: pw } }\n  d: { password: tulip-mango-7 }\n",
    );
    world.write("b.csv", "name,password\ne,kurz-Xq7\nf,${env:PW}\n");
    let run = run_with(&world, &[("PW", "kurz-Xq7")], &["plan", "--format", "json"]);
    assert_eq!(run.code, 3);
    let document: Json = serde_json::from_str(&run.stdout).unwrap();
    let places: Vec<String> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}:{}", one["code"].as_str().unwrap(), one["file"].as_str().unwrap(), one["line"]))
        .collect();
    let expected = ["a.yaml:2", "a.yaml:3", "a.yaml:4", "b.csv:2", "b.csv:3"].map(|at| format!("password/length {at}"));
    assert_eq!(places, expected);
    assert!(!run.stdout.contains("kurz-Xq7") && !run.stderr.contains("kurz-Xq7"));
}

/// They are rules of mailboxes: what a foreign server asks for is not ours to choose.
#[test]
fn other_passwords_are_not_judged() {
    let world = project("head-office", "min_length: 30, classes: 4, score: 4, history: 5");
    world.write(
        "a.yaml",
        "servers: { s: { outgoing: { auth: { enabled: true, credentials: own, username: u, password: x } } } }
accounts: { a: { incoming: { password: x }, outgoing: { auth: { password: x } } } }
patterns: { u: { p: { incoming: { password: x } } } }
",
    );
    world.expect(0, &["apply", "--yes", "-q"]);
}

#[test]
fn a_hash_is_not_judged() {
    let world = project("head-office", "min_length: 30, classes: 4, score: 4, history: 5");
    let hash =
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$qfu2h2EkFFzoYVb9F69yFw$6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY";
    world.write("a.yaml", format!("accounts: {{ a: {{ password: {{ hash: '{hash}' }} }} }}\n"));
    world.expect(0, &["check", "--strict"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    // Nor is the password that it was made of, which is no change.
    world.write("a.yaml", "accounts: { a: { password: { env: PW } } }\n");
    expect_with(&world, 0, &[("PW", "x")], &["plan", "--exit-code"]);
}

// --- Names ---------------------------------------------------------------------------------

/// Random letters are good until they are somebody's name.
#[test]
fn names_make_a_password_weak() {
    const NAME: &str = "wqzkxvjtp";
    const PASSWORD: &str = "wqzkxvjtp7";
    let write = |world: &World, yaml: &str| world.write("a.yaml", format!("accounts:\n  {yaml}\n"));
    let world = project("head-office", "score: 3");
    write(&world, "info: { password: { env: PW } }");
    assert_eq!(broken(&world, PASSWORD), [""; 0]);
    write(&world, &format!("{NAME}: {{ password: {{ env: PW }} }}"));
    assert_eq!(broken(&world, PASSWORD), ["score"], "the account's name");
    // Names do not know upper case.
    assert_eq!(broken(&world, "Wqzkxvjtp7"), ["score"]);
    let world = project(NAME, "score: 3");
    write(&world, "info: { password: { env: PW } }");
    assert_eq!(broken(&world, PASSWORD), ["score"], "the project's name");
    let world = project("head-office", "score: 3");
    write(&world, &format!("info: {{ address: info@{NAME}.jp, password: {{ env: PW }} }}"));
    assert_eq!(broken(&world, &format!("{NAME}.jp7")), ["score"], "the domain's name");
    assert_eq!(broken(&world, PASSWORD), ["score"], "the domain's name without its end");
    assert_eq!(broken(&world, "tulip-mango-7"), [""; 0]);
}

#[test]
fn the_domain_of_the_rules_makes_a_password_weak() {
    let world = World::project(
        BS,
        "rules: { domain: wqzkxvjtp.jp }\npolicy: { plaintext_secrets: allow, passwords: { score: 3 } }\n",
    );
    world.write("a.yaml", format!("accounts:\n{}", account(BS, "info", "password: { env: PW }")));
    assert_eq!(broken(&world, "wqzkxvjtp.jp7"), ["score"]);
    assert_eq!(broken(&world, "gt5Rkw82zP"), [""; 0]);
}

// --- History -------------------------------------------------------------------------------

#[test]
fn a_password_similar_to_the_current_one_is_refused() {
    for (current, similar) in [
        ("Sakura2024x", &["sakura2024x", "SAKURA2024X", "Sakura2025x", "Sakura2024y", "Zakura2024x"][..]),
        // Reversed, rotated.
        ("Sakura2024x", &["x4202arukaS", "xSakura2024", "akura2024xS", "2024xSakura"]),
        // Digits at the end, fewer or more of them.
        ("Sakura-Hana-2024", &["Sakura-Hana-2117", "Sakura-Hana-1", "Sakura-Hana-20250101", "Sakura-Hana-"]),
        ("Sakura-Hana-", &["Sakura-Hana-2024"]),
        ("あさがおの花7", &["あさがおの花8", "7花のおがさあ"]),
    ] {
        let world = having("history: 1", &[current]);
        for password in similar {
            assert_eq!(broken(&world, password), ["history"], "{current} → {password}");
            expect_with(&world, 3, &[("PW", password)], &["apply", "--yes"]);
        }
        for password in ["tulip-mango-7", "gt5Rkw82zP"] {
            assert_eq!(broken(&world, password), [""; 0], "{current} → {password}");
        }
        // The same is no change.
        assert_eq!(broken(&world, current), [""; 0]);
        expect_with(&world, 0, &[("PW", current)], &["plan", "--exit-code"]);
    }
}

/// The current one, and so many before it.
#[test]
fn history_counts_from_the_one_before_the_current() {
    let all = ["gt5Rkw82zP", "tulip-mango-7", "Vm4.quarzuhr", "98-hofLaterne"];
    for (count, refused) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let world = having("scheme: ARGON2ID", &all);
        rule(&world, &format!("history: {count}"));
        for (before, password) in all.iter().rev().enumerate() {
            // The current one is no change.
            let expected: &[&str] = if before == 0 || before > refused { &[] } else { &["history"] };
            assert_eq!(broken(&world, password), expected, "history: {count}, {before} before the current");
        }
        // Similar to one of them, as well.
        assert_eq!(broken(&world, "98-hofLaterne2"), ["history"]);
        assert_eq!(broken(&world, "vm4.QUARZUHR"), ["history"]);
        assert_eq!(broken(&world, "7-ognam-pilut") == ["history"], refused >= 2, "history: {count}");
    }
}

/// A change of something else is no password of its own.
#[test]
fn only_passwords_count_in_the_history() {
    let world = having("history: 1", &["gt5Rkw82zP", "tulip-mango-7"]);
    for comment in ["x", "y", "z"] {
        world.write("a.yaml", format!("accounts:\n  a: {{ comment: {comment}, password: {{ env: PW }} }}\n"));
        apply(&world, "tulip-mango-7");
    }
    assert_eq!(broken(&world, "gt5Rkw82zP"), ["history"]);
    // One that was never applied is none.
    assert_eq!(broken(&world, "Vm4.quarzuhr"), [""; 0]);
    assert_eq!(broken(&world, "Vm4.quarzuhs"), [""; 0]);
}

#[test]
fn the_history_is_the_accounts_own() {
    let world = project("head-office", "history: 5");
    world.write("a.yaml", "accounts:\n  a: { password: { env: PW } }\n  b: { password: tulip-mango-7 }\n");
    apply(&world, "gt5Rkw82zP");
    assert_eq!(broken(&world, "tulip-mango-7"), [""; 0], "somebody else's password says nothing");
    apply(&world, "tulip-mango-7");
    expect_with(&world, 0, &[("PW", "tulip-mango-7")], &["plan", "--exit-code"]);
}

/// Kept hashes are all there is: a declared one, or one of other software, is equal or it is not.
#[test]
fn a_kept_hash_refuses_the_password_that_it_was_made_of() {
    let world = project("head-office", "history: 5");
    // Of the password `x`, by Dovecot.
    let hash =
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$qfu2h2EkFFzoYVb9F69yFw$6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY";
    world.write("a.yaml", format!("accounts:\n  a: {{ password: {{ hash: '{hash}' }} }}\n"));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", "accounts:\n  a: { password: { env: PW } }\n");
    apply(&world, "tulip-mango-7");
    assert_eq!(broken(&world, "x"), ["history"]);
    assert_eq!(broken(&world, "gt5Rkw82zP"), [""; 0]);
}

/// An account that is deleted and declared again has the passwords behind it that it had.
#[test]
fn a_cleared_password_stays_in_the_history() {
    let world = having("history: 2", &["gt5Rkw82zP"]);
    world.write("a.yaml", "accounts:\n  a: { password: null }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", "accounts:\n  a: { password: { env: PW } }\n");
    assert_eq!(broken(&world, "gt5Rkw82zQ"), ["history"]);
    assert_eq!(broken(&world, "tulip-mango-7"), [""; 0]);
}

/// Whatever the scheme, similar is similar.
#[test]
fn every_scheme_has_a_history() {
    for scheme in ["ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT"] {
        let world = having(&format!("scheme: {scheme}, history: 2"), &["gt5Rkw82zP", "tulip-mango-7"]);
        assert_eq!(broken(&world, "gt5Rkw82zP"), ["history"], "{scheme}");
        assert_eq!(broken(&world, "tulip-Mango-7"), ["history"], "{scheme}");
        assert_eq!(broken(&world, "Vm4.quarzuhr"), [""; 0], "{scheme}");
    }
}

// --- Who is judged, and when ---------------------------------------------------------------

#[test]
fn an_unchanged_password_is_never_judged() {
    let world = having("", &["kurz-Xq7"]);
    rule(&world, "min_length: 30, classes: 4, score: 4, history: 9");
    expect_with(&world, 0, &[("PW", "kurz-Xq7")], &["plan", "--exit-code", "--strict"]);
    // Not even where something else of the account changes.
    world.write("a.yaml", "accounts:\n  a: { comment: x, password: { env: PW } }\n");
    assert_eq!(broken(&world, "kurz-Xq7"), [""; 0]);
    apply(&world, "kurz-Xq7");
    // A new account is, with the same password.
    world.write("a.yaml", "accounts:\n  a: { password: { env: PW } }\n  b: { password: { env: PW } }\n");
    let run = run_with(&world, &[("PW", "kurz-Xq7")], &["plan", "--format", "json"]);
    assert_eq!(run.code, 3);
    let document: Json = serde_json::from_str(&run.stdout).unwrap();
    let all = document["diagnostics"].as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|one| one["address"] == "account/b"), "{document}");
    // And a changed one.
    world.write("a.yaml", "accounts:\n  a: { password: { env: PW } }\n");
    let mut found = broken(&world, "kurz-Xq8");
    found.sort();
    assert_eq!(found, ["history", "length", "score"]);
}

#[test]
fn an_undo_is_not_judged() {
    let world = having("", &["kurz-Xq7", "kurz-Xq8"]);
    rule(&world, "min_length: 30, classes: 4, score: 4, history: 9");
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    expect_with(&world, 0, &[("PW", "kurz-Xq7")], &["plan", "--exit-code"]);
    world.expect(0, &["undo", "3", "--yes", "-q"]);
    expect_with(&world, 0, &[("PW", "kurz-Xq8")], &["plan", "--exit-code"]);
}

/// It has no store: what is in clear is told, what it would have to fetch is not, and history is not known.
#[test]
fn check_warns_of_passwords_in_clear() {
    let world = project("head-office", "min_length: 12, classes: 3, score: 3, history: 5");
    private(&world, "pw", "kurz-Xq7\n");
    world.write(
        "a.yaml",
        "accounts:\n  a: { password: kurz-Xq7 }\n  b: { password: { env: PW } }\n  c: { password: { file: pw } }\n  d: { password: Tulip-mango-7 }\n",
    );
    let document = world.json(0, &["check"]);
    let all = document["diagnostics"].as_array().unwrap();
    assert!(!all.is_empty());
    for one in all {
        assert!(one["code"].as_str().unwrap().starts_with("password/"), "{one}");
        assert_eq!(
            (&one["severity"], &one["address"], &one["line"]),
            (&json!("warning"), &json!("account/a"), &json!(2))
        );
    }
    let run = world.expect(0, &["check"]);
    assert!(run.stderr.contains("password/length"), "{}", run.stderr);
    assert!(!document.to_string().contains("kurz") && !run.stdout.contains("kurz") && !run.stderr.contains("kurz"));
    assert!(!world.expect(3, &["check", "--strict"]).stderr.contains("kurz"));
    // History: it does not know.
    let world = having("history: 5", &["gt5Rkw82zP", "tulip-mango-7"]);
    world.write("a.yaml", "accounts:\n  a: { password: gt5Rkw82zP }\n");
    assert_eq!(world.json(0, &["check", "--strict"])["diagnostics"], json!([]));
    world.expect(3, &["plan"]);
}

/// What the product refuses is said first.
#[test]
fn rules_of_the_product_come_first() {
    let policy = "policy: { plaintext_secrets: allow, passwords: { min_length: 12, classes: 4 } }\n";
    let world = World::project(BS, policy);
    world.write("a.yaml", format!("accounts:\n{}", account(BS, "info", "password: { env: PW }")));
    let codes = |password: &str, code: i32| -> Vec<String> {
        let run = expect_with(&world, code, &[("PW", password)], &["plan", "--format", "json"]);
        assert!(!run.stdout.contains(password) && !run.stderr.contains(password));
        let document: Json = serde_json::from_str(&run.stdout).unwrap();
        let errors = document["diagnostics"].as_array().unwrap().iter().filter(|one| one["severity"] == "error");
        errors.map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes("kX7.mQ2-wZ9a", 0), [""; 0]);
    // Good for the product, not for the policy.
    assert_eq!(codes("abcdefg1", 3).len(), 2);
    assert!(codes("abcdefg1", 3).iter().all(|code| code.starts_with("password/")));
    // Good for neither.
    assert_eq!(codes("xq#7", 3)[0], "cpi/password");
    // Good for the policy, not for the product.
    assert_eq!(codes("kX7#mQ2-wZ9a", 3), ["cpi/password"]);
}

/// With `--secrets=skip` nobody can tell, and the apply judges.
#[test]
fn a_plan_without_secrets_is_judged_when_it_is_applied() {
    let world = with("min_length: 12");
    world.expect(0, &["plan", "--secrets=skip", "--out", "saved.plan"]);
    let run = expect_with(&world, 3, &[("PW", "kurz-Xq7")], &["apply", "saved.plan"]);
    assert!(!run.stderr.contains("kurz-Xq7"), "{}", run.stderr);
    assert!(run.stderr.contains("password/length"), "{}", run.stderr);
    expect_with(&world, 0, &[("PW", "tulip-mango-7")], &["apply", "saved.plan"]);
}

// --- secret generate -----------------------------------------------------------------------

#[test]
fn what_is_generated_passes() {
    let rules = "min_length: 12, classes: 4, score: 4, history: 5";
    let world = with(rules);
    apply(&world, "Tulip-mango-7");
    let generate = |args: &[&str]| -> String {
        let run = world.expect(0, &[&["secret", "generate", "--for", "account/a"][..], args].concat());
        run.stdout.trim_end_matches('\n').to_owned()
    };
    let (one, other) = (generate(&[]), generate(&[]));
    assert_ne!(one, other);
    for password in [&one, &other, &generate(&["--length", "40"])] {
        assert_eq!(broken(&world, password), [""; 0]);
    }
    assert_eq!(generate(&["--length", "40"]).chars().count(), 40);
    // By the product's rules too, which forbid more than the policy knows of.
    let world = World::project(BS, "policy: { plaintext_secrets: allow, passwords: { min_length: 12, classes: 4 } }\n");
    world.write("a.yaml", format!("accounts:\n{}", account(BS, "info", "password: { env: PW }")));
    for _ in 0..20 {
        let password = world.expect(0, &["secret", "generate", "--for", "account/info"]).stdout;
        let password = password.trim_end_matches('\n');
        expect_with(&world, 0, &[("PW", password)], &["plan"]);
    }
}
