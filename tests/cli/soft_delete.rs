//! `policy.delete: after TIME`: what is to be deleted is disabled first and purged later.

use serde_json::{Value as Json, json};

use super::products::cpi::{BS, account, cpi, declare, effects};
use super::{actions, database, keys, private, revision, rules, shown, state};
use crate::support::World;

/// Lets a time pass, `14 days` or `36 hours`: all that was applied lies further back.
pub fn pass(world: &World, time: &str) {
    let sql = format!("UPDATE revision SET at = strftime('%Y-%m-%dT%H:%M:%SZ', at, '-{time}')");
    assert!(database(world).execute(&sql, []).unwrap() > 0);
}

/// Two accounts and a pattern, of which the first has a value of every type and two secrets.
const ALL: &str = "accounts:
  a:
    label: l
    comment: going
    capacity: 5
    visible: false
    forward: { to: [b@x.jp, c@x.jp] }
    signature: \"one\\ntwo\\n\"
    password: { file: pw }
    incoming.password: { file: pw }
  b: { comment: staying }
";

/// `ALL` without the first account.
const LESS: &str = "accounts:\n  b: { comment: staying }\n";

/// The first account as a tombstone.
const TOMBSTONE: &str = "accounts:\n  a: { absent: true }\n  b: { comment: staying }\n";

/// A world that has applied `ALL` and deletes in this way.
fn applied(delete: &str) -> World {
    let world = World::project("generic", "");
    private(&world, "pw", "open sesame");
    policy(&world, &format!("undeclared: delete, max_deletes: 100, delete: {delete}"));
    apply(&world, ALL);
    world
}

fn policy(world: &World, policy: &str) {
    world.write("yubin.yaml", format!("version: 1\nname: head-office\nsystem: generic\npolicy: {{ {policy} }}\n"));
}

#[track_caller]
fn apply(world: &World, yaml: &str) {
    world.write("a.yaml", yaml);
    world.expect(0, &["apply", "--yes", "-q"]);
}

/// The actions of the plan as things stand.
#[track_caller]
fn planned(world: &World) -> Vec<String> {
    actions(&world.json(0, &["plan"]))
}

#[track_caller]
fn resource(world: &World, address: &str) -> Json {
    world.json(0, &["show", address])["resources"][0].clone()
}

#[test]
fn what_is_deleted_is_disabled_then_waits_then_is_purged() {
    for (yaml, declared) in [(LESS, false), (TOMBSTONE, true)] {
        let world = applied("after 14d");
        let fields = shown(&world, "account/a");
        world.write("a.yaml", yaml);
        let plan = world.json(2, &["plan", "--exit-code"]);
        assert_eq!(actions(&plan), ["disable account/a"]);
        let disable = &plan["changes"][0];
        assert_eq!(disable["fields"], json!([]), "nothing is lost yet");
        assert_eq!(disable["purge_after"], "14d");
        assert_eq!((&disable["kind"], &disable["key"]), (&json!("account"), &json!(["a"])));
        assert_eq!(disable["source"].is_object(), declared, "{disable}");
        world.expect(0, &["apply", "--yes"]);
        // It waits: every plan finds nothing to do, and what it was is all there.
        for time in ["1 hours", "13 days"] {
            assert_eq!(planned(&world), [""; 0], "{yaml}");
            world.expect(0, &["plan", "--exit-code"]);
            world.expect(0, &["apply", "--yes"]);
            assert_eq!(revision(&world), 2);
            assert_eq!(shown(&world, "account/a"), fields);
            pass(&world, time);
        }
        assert_eq!(planned(&world), [""; 0], "23 hours short of 14 days");
        pass(&world, "23 hours");
        let plan = world.json(2, &["plan", "--exit-code"]);
        assert_eq!(actions(&plan), ["purge account/a"]);
        assert_eq!(plan["changes"][0]["source"].is_object(), declared);
        world.expect(0, &["apply", "--yes"]);
        world.expect(1, &["show", "account/a"]);
        for _ in 0..2 {
            world.expect(0, &["plan", "--exit-code"]);
            pass(&world, "14 days");
        }
    }
}

/// What is lost is said where it is lost, as of a delete.
#[test]
fn a_purge_shows_what_a_delete_would_show() {
    let (soft, hard) = (applied("after 14d"), applied("now"));
    apply(&soft, LESS);
    pass(&soft, "14 days");
    hard.write("a.yaml", LESS);
    let (purge, delete) = (soft.json(0, &["plan"]), hard.json(0, &["plan"]));
    assert_eq!((actions(&purge), actions(&delete)), (vec!["purge account/a".into()], vec!["delete account/a".into()]));
    let (purge, delete) = (&purge["changes"][0], &delete["changes"][0]);
    assert_eq!(purge["fields"], delete["fields"]);
    assert!(
        purge["fields"].to_string().contains(r#"{"field":"comment","before":"going","after":null}"#)
            && purge["fields"].to_string().contains(r#"{"field":"password","secret":true,"change":"cleared"}"#),
        "{purge}"
    );
}

#[test]
fn the_summary_counts_each_and_names_only_what_there_is() {
    let summary = |world: &World| {
        let plan = world.json(0, &["plan"]);
        let text = world.expect(0, &["plan"]).stdout;
        let receipt = world.json(0, &["apply", "--yes"]);
        assert_eq!(receipt["summary"], plan["summary"]);
        let log = world.json(0, &["log"]);
        assert_eq!(log["revisions"][0]["summary"], plan["summary"], "the log keeps the counts");
        (plan["summary"].clone(), text)
    };
    let line = |text: &str, word: &str| text.lines().any(|line| line.contains(word) && line.contains("account/a"));
    let world = applied("after 14d");
    world.write("a.yaml", TOMBSTONE.replace("staying", "changed"));
    let (counts, text) = summary(&world);
    assert_eq!(counts["disable"], 1);
    assert_eq!(keys(&counts), ["add", "overwrite", "delete", "skip", "blocked", "unchanged", "disable"]);
    assert_eq!((&counts["delete"], &counts["overwrite"]), (&json!(0), &json!(1)));
    assert!(line(&text, "disable") && text.contains("14d"), "{text}");
    pass(&world, "14 days");
    let (counts, text) = summary(&world);
    assert_eq!(counts["purge"], 1);
    assert_eq!(keys(&counts), ["add", "overwrite", "delete", "skip", "blocked", "unchanged", "purge"]);
    assert_eq!((&counts["delete"], &counts["overwrite"]), (&json!(0), &json!(0)));
    assert!(line(&text, "purge"), "{text}");
    // With neither, the keys are the six of always.
    let summary = world.json(0, &["plan"])["summary"].take();
    assert_eq!(keys(&summary), ["add", "overwrite", "delete", "skip", "blocked", "unchanged"]);
}

#[test]
fn what_is_declared_again_comes_back_whole() {
    for gone in [LESS, TOMBSTONE] {
        let world = applied("after 14d");
        let before = state(&world);
        apply(&world, gone);
        pass(&world, "13 days");
        // Nothing but its name is written, so all its fields are kept.
        world.write("a.yaml", LESS.to_owned() + "  a: {}\n");
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["overwrite account/a"]);
        assert_eq!(plan["changes"][0]["restored"], true);
        assert_eq!(plan["changes"][0]["fields"], json!([]));
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(state(&world), before, "every field, the secrets, the owner, and no mark of the time between");
        // The secrets are those of before, not only some.
        world.write("a.yaml", ALL);
        world.expect(0, &["plan", "--exit-code"]);
        private(&world, "pw", "another");
        assert_eq!(planned(&world), ["overwrite account/a"]);
        pass(&world, "400 days");
        assert_eq!(planned(&world), ["overwrite account/a"], "it is not purged later");
    }
}

#[test]
fn what_comes_back_may_change_at_once() {
    let world = applied("after 14d");
    apply(&world, LESS);
    world.write("a.yaml", LESS.to_owned() + "  a: { comment: back, label: null }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(plan["changes"][0]["restored"], true);
    assert_eq!(
        plan["changes"][0]["fields"].to_string(),
        r#"[{"field":"label","before":"l","after":null},{"field":"comment","before":"going","after":"back"}]"#
    );
    world.expect(0, &["apply", "--yes"]);
    let fields = shown(&world, "account/a");
    assert_eq!((&fields["comment"], &fields["capacity"]), (&json!("back"), &json!(5)));
    assert_eq!(fields.get("label"), None);
    world.expect(0, &["plan", "--exit-code"]);
    // An ordinary overwrite does not say that anything was restored.
    world.write("a.yaml", LESS.to_owned() + "  a: { comment: more }\n");
    assert_eq!(world.json(0, &["plan"])["changes"][0].get("restored"), None);
}

/// An unchanged record is recognised by its digest, and yet something is to be done.
#[test]
fn a_csv_record_that_is_byte_for_byte_the_old_one_comes_back() {
    let world = applied("after 14d");
    world.remove("a.yaml");
    let whole = "name,comment\na,x\nb,x\nc,x\n";
    let write = |csv: &str| world.write("b.csv", csv);
    write(whole);
    world.expect(0, &["apply", "--yes"]);
    write("name,comment\nb,x\nc,x\n");
    assert_eq!(planned(&world), ["disable account/a"]);
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["plan", "--exit-code"]);
    write(whole);
    assert_eq!(planned(&world), ["overwrite account/a"]);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(resource(&world, "account/a").get("disabled"), None);
    world.expect(0, &["plan", "--exit-code"]);
}

#[test]
fn each_time_that_it_is_disabled_the_waiting_begins_anew() {
    let world = applied("after 14d");
    apply(&world, LESS);
    pass(&world, "10 days");
    apply(&world, ALL);
    apply(&world, LESS);
    assert_eq!(resource(&world, "account/a")["disabled"], 4);
    pass(&world, "10 days");
    assert_eq!(planned(&world), [""; 0], "20 days since the first time, 10 since the second");
    pass(&world, "4 days");
    assert_eq!(planned(&world), ["purge account/a"]);
}

#[test]
fn show_and_sql_say_since_which_revision() {
    let world = applied("after 14d");
    apply(&world, TOMBSTONE);
    let disabled = resource(&world, "account/a");
    assert_eq!(disabled["disabled"], 2);
    assert_eq!(disabled["owner"], "head-office");
    assert_eq!(keys(&resource(&world, "account/b")), ["address", "kind", "key", "owner", "revision", "fields"]);
    let text = world.expect(0, &["show", "account/a"]).stdout;
    assert!(text.contains("disabled"), "{text}");
    assert!(!world.expect(0, &["show", "account/b"]).stdout.contains("disabled"));
    let column = |name: &str| -> Option<i64> {
        let sql = "SELECT yubin_disabled FROM account WHERE name = ?";
        database(&world).query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    assert_eq!((column("a"), column("b")), (Some(2), None));
    apply(&world, ALL);
    assert_eq!(column("a"), None);
}

#[test]
fn an_export_leaves_out_what_is_disabled() {
    let world = applied("after 14d");
    for format in ["yaml", "csv", "json"] {
        assert!(world.expect(0, &["export", format]).stdout.contains("going"), "{format}");
    }
    apply(&world, LESS);
    for format in ["yaml", "csv", "json"] {
        let text = world.expect(0, &["export", format]).stdout;
        assert!(text.contains("staying") && !text.contains("going"), "{format}: {text}");
    }
    // What was exported is what is declared: nothing comes back by it.
    let yaml = world.expect(0, &["export", "yaml"]).stdout;
    world.write("a.yaml", yaml);
    world.expect(0, &["plan", "--exit-code"]);
}

/// The user of a disabled pattern works with it no more; the mail of an account is there until it is purged.
#[test]
fn a_disabled_pattern_logs_out_and_mail_is_lost_with_the_purge_alone() {
    let world = World::project("generic", "policy: { undeclared: delete, delete: after 14d }\n");
    let both = "patterns: { taro: { p: {}, q: {} }, jiro: { p: {} } }\n";
    apply(&world, both);
    world.write("a.yaml", "patterns: { taro: { p: {} }, jiro: { p: {} } }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["disable pattern/taro/q"]);
    assert_eq!(effects(&plan), ["logout pattern/taro/q"]);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(effects(&world.json(0, &["plan"])), [""; 0], "while it waits, nobody is logged out");
    world.write("a.yaml", both);
    assert_eq!(effects(&world.json(0, &["plan"])), ["logout pattern/taro/q"], "it comes back");

    let world = cpi(BS, "policy: { plaintext_secrets: allow, delete: after 14d }\n");
    declare(&world, &[account(BS, "info", ""), account(BS, "sales", "")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    declare(&world, &[account(BS, "info", ""), "  sales: { absent: true }\n".to_owned()]);
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["disable account/sales"]);
    assert_eq!(effects(&plan), [""; 0], "its mail is there still");
    world.expect(0, &["apply", "--yes"]);
    pass(&world, "14 days");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["purge account/sales"]);
    assert_eq!(effects(&plan), ["purge_mail account/sales"]);
}

#[test]
fn an_undo_of_a_disable_enables() {
    let world = applied("after 14d");
    let before = state(&world);
    apply(&world, LESS);
    let receipt = world.json(0, &["undo", "2", "--yes"]);
    assert_eq!(receipt["summary"]["disable"], Json::Null);
    assert_eq!(state(&world), before);
    world.write("a.yaml", ALL);
    world.expect(0, &["plan", "--exit-code"]);
    // The files are not touched: what still does not declare it disables it again, from now on.
    apply(&world, LESS);
    assert_eq!(resource(&world, "account/a")["disabled"], 4);
    // And an undo of what brought it back disables it.
    apply(&world, ALL);
    world.expect(0, &["undo", "5", "--yes"]);
    assert!(resource(&world, "account/a")["disabled"].is_u64());
}

#[test]
fn an_undo_of_a_purge_brings_everything_back() {
    let world = applied("after 14d");
    let before = state(&world);
    let fields = shown(&world, "account/a");
    apply(&world, LESS);
    pass(&world, "14 days");
    world.expect(0, &["apply", "--yes"]);
    world.expect(1, &["show", "account/a"]);
    world.expect(0, &["undo", "3", "--yes"]);
    assert_eq!(shown(&world, "account/a"), fields);
    assert_eq!(resource(&world, "account/a")["owner"], "head-office");
    // Declared with the passwords of before, no field of it differs.
    world.write("a.yaml", ALL);
    let plan = world.json(0, &["plan"]);
    for change in plan["changes"].as_array().unwrap() {
        assert_eq!((&change["action"], &change["fields"]), (&json!("overwrite"), &json!([])), "{plan}");
    }
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(state(&world), before);
}

#[test]
fn a_saved_plan_of_a_purge_applies_once() {
    let world = applied("after 14d");
    world.write("a.yaml", LESS);
    world.expect(0, &["plan", "--out", "disable.json"]);
    world.expect(0, &["apply", "disable.json"]);
    assert_eq!(resource(&world, "account/a")["disabled"], 2);
    pass(&world, "14 days");
    world.expect(0, &["plan", "--out", "purge.json"]);
    // What was restored in between is not purged by a plan from before.
    let moved = World::copy_of(world.path());
    apply(&moved, ALL);
    moved.write("a.yaml", LESS);
    moved.expect(5, &["apply", "purge.json"]);
    moved.expect(0, &["show", "account/a"]);
    world.expect(0, &["apply", "purge.json"]);
    world.expect(1, &["show", "account/a"]);
    world.expect(5, &["apply", "purge.json"]);
    assert_eq!(revision(&world), 3);
}

/// Time alone puts nothing into a plan that somebody has approved.
#[test]
fn a_saved_plan_never_purges_what_it_does_not_show() {
    let world = applied("after 14d");
    apply(&world, LESS);
    pass(&world, "13 days");
    world.write("a.yaml", LESS.replace("staying", "changed"));
    world.expect(0, &["plan", "--out", "plan.json"]);
    pass(&world, "1 days");
    let run = world.run(&["apply", "plan.json"]);
    assert!(matches!(run.code, 0 | 5), "exit {}: {}", run.code, run.stderr);
    world.expect(0, &["show", "account/a"]);
    assert!(planned(&world).contains(&"purge account/a".to_owned()));
}

#[test]
fn the_time_is_of_hours_days_or_weeks() {
    for (delete, short, rest) in [
        ("after 1h", "50 minutes", "10 minutes"),
        ("after 36h", "35 hours", "1 hours"),
        ("after 1d", "23 hours", "1 hours"),
        ("after 14d", "335 hours", "1 hours"),
        ("after 2w", "335 hours", "1 hours"),
    ] {
        let world = applied(delete);
        world.write("a.yaml", LESS);
        assert_eq!(world.json(0, &["plan"])["changes"][0]["purge_after"], delete["after ".len()..]);
        world.expect(0, &["apply", "--yes"]);
        pass(&world, short);
        assert_eq!(planned(&world), [""; 0], "{delete}: {short}");
        pass(&world, rest);
        assert_eq!(planned(&world), ["purge account/a"], "{delete}: {short} and {rest}");
    }
}

#[test]
fn now_and_nothing_said_delete_at_once() {
    for policy_line in ["undeclared: delete, delete: now", "undeclared: delete"] {
        let world = applied("now");
        policy(&world, policy_line);
        world.write("a.yaml", TOMBSTONE);
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["delete account/a"], "{policy_line}");
        assert_eq!(plan["changes"][0].get("purge_after"), None);
        world.expect(0, &["apply", "--yes"]);
        world.expect(1, &["show", "account/a"]);
    }
}

#[test]
fn a_time_that_is_none_is_invalid_input() {
    for delete in [
        "after",
        "after 14",
        "after d",
        "after 14m",
        "after 14y",
        "after -1d",
        "after 1.5d",
        "after 14dd",
        "after 1d 2h",
        "after 99999999999999999999d",
        "14d",
        "later",
        "never",
        "14",
        "true",
        "[after, 14d]",
        "{ after: 14d }",
    ] {
        let world = World::project("generic", &format!("policy:\n  delete: {delete}\n"));
        world.write("a.yaml", LESS);
        for args in [&["check"][..], &["plan"], &["apply", "--yes"]] {
            let found = world.json(3, args)["diagnostics"].take();
            let first = &found[0];
            assert_eq!((&first["severity"], &first["file"]), (&json!("error"), &json!("yubin.yaml")), "{delete}");
            assert_eq!(first["line"], 5, "{delete}: {first}");
        }
        assert!(!world.file("yubin.db").exists(), "{delete}");
    }
}

/// What is not managed is not purged either, however long it has waited.
#[test]
fn what_nobody_asks_to_delete_any_more_is_not_purged() {
    let unmanaged = |world: &World| world.write("a.yaml", "patterns: {}\n");
    let kept = |world: &World| policy(world, "undeclared: keep, delete: after 14d");
    for (what, change) in [("kind not mentioned", &unmanaged as &dyn Fn(&World)), ("undeclared: keep", &kept)] {
        let world = applied("after 14d");
        apply(&world, LESS);
        pass(&world, "100 days");
        assert_eq!(planned(&world), ["purge account/a"]);
        change(&world);
        assert_eq!(planned(&world), [""; 0], "{what}");
    }
}

#[test]
fn a_server_in_use_is_not_disabled() {
    let world = World::project("generic", "policy: { delete: after 14d }\n");
    apply(&world, "servers: { s: {}, t: {} }\naccounts: { a: { server: s } }\n");
    world.write("a.yaml", "servers: { s: { absent: true }, t: {} }\naccounts: { a: { server: t } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["in_use"]);
    world.expect(4, &["apply", "--yes"]);
    // Moved first, it is disabled and then purged.
    apply(&world, "servers: { s: {}, t: {} }\naccounts: { a: { server: t } }\n");
    apply(&world, "servers: { s: { absent: true }, t: {} }\naccounts: { a: { server: t } }\n");
    assert_eq!(resource(&world, "server/s")["disabled"], 3);
    pass(&world, "14 days");
    assert_eq!(planned(&world), ["purge server/s"]);
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["plan", "--exit-code"]);
}
