//! Every rule of document 002 (`requirements/systems.md`, sections 4 and 7), by its name there.
//! What is about files and marks stands in `cpi_files`.

use serde_json::{Value as Json, json};

use crate::cli::{actions, private, rules, shown};
use crate::support::World;

pub const BS: &str = "cpi-business-standard";
pub const KWC: &str = "cpi-kwc-mail";
pub const SV: &str = "cpi-sv-basic";
pub const ALL: [&str; 3] = [BS, KWC, SV];

/// As the rules of an older plan want them: 8 to 16 of `A-Za-z0-9._-`, a letter and a digit.
pub const PASSWORD: &str = "kX7.mQ2-wZ9a";
pub const FRESH: &str = "Tn4_hR8.vLc6pYe2";

/// The system account as the product exports it.
pub const POSTMASTER: &str = "postmaster,,,0,0,0,0,1,5";

/// A project for a plan of CPI; its files may hold passwords in clear.
pub fn cpi(system: &str, more: &str) -> World {
    let policy = if more.contains("policy:") { "" } else { "policy: { plaintext_secrets: allow }\n" };
    World::project(system, &format!("{policy}{more}"))
}

/// YAML of an account with further fields, and what an add needs where they do not say it.
pub fn account(system: &str, name: &str, more: &str) -> String {
    let mut fields = Vec::new();
    if !more.contains("password:") {
        fields.push(format!("password: {PASSWORD}"));
    }
    if system != SV && !more.contains("capacity:") {
        fields.push("capacity: 5".to_owned());
    }
    if !more.is_empty() {
        fields.push(more.to_owned());
    }
    format!("  {name}: {{ {} }}\n", fields.join(", "))
}

pub fn declare(world: &World, accounts: &[String]) {
    world.write("a.yaml", format!("accounts:\n{}", accounts.concat()));
}

/// A world that has applied these accounts.
pub fn applied(system: &str, accounts: &[String]) -> World {
    let world = cpi(system, "");
    declare(&world, accounts);
    world.expect(0, &["apply", "--yes", "-q"]);
    world
}

/// What the product exports; the last column is left out for SV-Basic (002:185-186).
pub fn export_file(system: &str, records: &[&str]) -> String {
    const HEADER: &str = "mail_account,mail_password,comment,amount_of_mail_box,spam,forward,auto,pop,mail_capacity";
    let mut text = String::new();
    for line in [&[HEADER][..], records].concat() {
        text += if system == SV { line.rsplit_once(',').unwrap().0 } else { line };
        text += "\r\n";
    }
    text
}

/// Takes over what the product exports. The name of the file is none of a source.
#[track_caller]
pub fn refresh(world: &World, system: &str, records: &[&str]) {
    world.write("export.txt", export_file(system, records));
    world.expect(0, &["refresh", "cpi-export", "export.txt", "--yes", "-q"]);
}

#[track_caller]
fn diagnostics(world: &World, code: i32, verb: &str, wanted: fn(&str) -> bool) -> Vec<String> {
    let document = world.json(code, &[verb]);
    let text = |json: &Json| json.as_str().unwrap_or("-").to_owned();
    let mut found: Vec<String> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| wanted(one["severity"].as_str().unwrap()))
        .map(|one| format!("{} {} {}", text(&one["severity"]), text(&one["code"]), text(&one["field"])))
        .collect();
    found.sort();
    found
}

/// `SEVERITY CODE FIELD` of the errors and warnings of a plan that exits with this code.
#[track_caller]
pub fn said(world: &World, code: i32) -> Vec<String> {
    diagnostics(world, code, "plan", |severity| severity != "info")
}

/// The same of a check, which knows no store.
#[track_caller]
pub fn checked(world: &World, code: i32) -> Vec<String> {
    diagnostics(world, code, "check", |severity| severity != "info")
}

/// The same of the infos of a plan.
#[track_caller]
pub fn infos(world: &World) -> Vec<String> {
    diagnostics(world, 0, "plan", |severity| severity == "info")
}

/// Message and hint of the first diagnostic of a plan that is invalid.
#[track_caller]
pub fn words(world: &World) -> String {
    let first = world.json(3, &["plan"])["diagnostics"][0].take();
    format!("{} {}", first["message"].as_str().unwrap(), first["hint"].as_str().unwrap_or_default())
}

/// `EFFECT ADDRESS` of each effect.
pub fn effects(plan: &Json) -> Vec<String> {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let all = plan["effects"].as_array().unwrap();
    all.iter().map(|one| format!("{} {}", text(&one["effect"]), text(&one["address"]))).collect()
}

/// The fields that a plan changes in a resource.
pub fn changes_of<'a>(plan: &'a Json, address: &str) -> Vec<&'a Json> {
    let changes = plan["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["address"] == address);
    change.map_or_else(Vec::new, |change| change["fields"].as_array().unwrap().iter().collect())
}

/// What a person reads of a plan.
#[track_caller]
fn read(world: &World, args: &[&str], code: i32) -> String {
    let run = world.expect(code, args);
    run.stdout + &run.stderr
}

/// Whether a text says that something cannot be had back.
fn is_loud(text: &str) -> bool {
    ["for good", "rreversibl", "cannot be undone", "cannot be restored", "cannot be recovered"]
        .iter()
        .any(|words| text.contains(words))
}

#[test]
fn c_o1_an_account_has_a_name_a_password_a_capacity_and_perhaps_a_comment() {
    for system in ALL {
        let world = cpi(system, "");
        world.write("a.yaml", "accounts: { info: {} }\n");
        let mut missing = vec!["error system/required password"];
        if system != SV {
            missing.insert(0, "error system/required capacity");
        }
        assert_eq!(said(&world, 3), missing, "{system}");
        declare(&world, &[account(system, "info", ""), account(system, "sales", "comment: 営業")]);
        assert_eq!(said(&world, 0), [""; 0], "{system}");
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["add account/info", "add account/sales"]);
        // The document names no defaults, so none are made up.
        let names: Vec<&Json> = changes_of(&plan, "account/sales").into_iter().map(|change| &change["field"]).collect();
        let expected: &[&str] =
            if system == SV { &["password", "comment"] } else { &["password", "capacity", "comment"] };
        assert_eq!(names, expected);
        world.expect(0, &["apply", "--yes", "-q"]);
        // What exists needs neither again.
        declare(&world, &["  info: { comment: 代表 }\n".to_owned()]);
        assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/info"]);
    }
}

#[test]
fn c_o2_deleting_an_account_loses_its_mail_and_settings_for_good() {
    for system in ALL {
        let world = applied(system, &[account(system, "info", ""), account(system, "sales", "")]);
        refresh(&world, system, &[POSTMASTER, "info,,,12,0,0,0,1,5", "sales,,,1204,0,0,0,1,5"]);
        declare(&world, &[account(system, "info", ""), "  sales: { absent: true }\n".to_owned()]);
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["delete account/sales"]);
        assert_eq!(effects(&plan), ["purge_mail account/sales"]);
        let text = read(&world, &["plan"], 0);
        assert!(is_loud(&text) && text.contains("1204"), "{text}");
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    }
}

#[test]
fn c_o3_several_accounts_are_deleted_at_once() {
    let names = ["ab", "cd", "ef"];
    let world = applied(BS, &names.map(|name| account(BS, name, "")));
    declare(&world, &[account(BS, "ab", ""), "  cd: { absent: true }\n  ef: { absent: true }\n".to_owned()]);
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["delete account/cd", "delete account/ef"]);
    assert_eq!(effects(&plan), ["purge_mail account/cd", "purge_mail account/ef"]);
}

#[test]
fn c_o4_an_inbox_is_emptied_once_for_each_new_id() {
    for system in ALL {
        let world = applied(system, &[account(system, "info", "comment: 代表")]);
        declare(&world, &[account(system, "info", "comment: 代表, purge_mail: 2026-04")]);
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["overwrite account/info"]);
        assert_eq!(effects(&plan), ["purge_mail account/info"]);
        assert!(is_loud(&read(&world, &["plan"], 0)));
        world.expect(0, &["apply", "--yes", "-q"]);
        let plan = world.json(0, &["plan"]);
        assert_eq!((actions(&plan), effects(&plan)), (vec![], vec![]));
        // The settings are what they were (002:69).
        assert_eq!(shown(&world, "account/info")["comment"], "代表");
        declare(&world, &[account(system, "info", "comment: 代表, purge_mail: 2026-05")]);
        assert_eq!(effects(&world.json(0, &["plan"])), ["purge_mail account/info"]);
    }
}

#[test]
fn c_o10_switches_are_those_of_the_plan() {
    const SWITCHES: &str = "forward: { enabled: true, to: [taro@example.jp], keep_copy: true }, auto_reply: { enabled: true, subject: 不在, body: 不在です }, spam: { tag_subject: true }, receive.enabled: true";
    for system in ALL {
        let world = cpi(system, "");
        declare(&world, &[account(system, "info", SWITCHES)]);
        assert_eq!(said(&world, 0), [""; 0], "{system}");
        world.expect(0, &["apply", "--yes", "-q"]);
        let fields = shown(&world, "account/info");
        assert_eq!(fields["forward.to"], json!(["taro@example.jp"]));
        assert_eq!(fields["spam.tag_subject"], true);
        declare(&world, &[account(system, "info", "spam: { sort: true }")]);
        if system == SV {
            assert_eq!(said(&world, 3), ["error system/not-expressible spam.sort"]);
            let words = words(&world);
            assert!(words.contains(BS) && words.contains(KWC) && words.contains("002:"), "{words}");
        } else {
            assert_eq!(said(&world, 0), [""; 0]);
        }
    }
}

#[test]
fn c_r1_postmaster_is_an_address_like_others_and_is_never_deleted() {
    for system in ALL {
        let world = cpi(system, "policy: { plaintext_secrets: allow, undeclared: delete }\n");
        declare(&world, &["  postmaster: { absent: true }\n".to_owned()]);
        assert_eq!(checked(&world, 3), ["error cpi/postmaster -"]);
        let others = account(system, "info", "");
        declare(&world, &[others.clone(), "  postmaster: { comment: 管理者 }\n".to_owned()]);
        refresh(&world, system, &[POSTMASTER]);
        assert_eq!(said(&world, 0), [""; 0]);
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "account/postmaster")["comment"], "管理者");
        declare(&world, &[others.clone(), "  postmaster: { absent: true }\n".to_owned()]);
        assert_eq!(said(&world, 3), ["error cpi/postmaster -"]);
        // However this ends, no longer being declared does not delete it either.
        declare(&world, &[others]);
        world.run(&["apply", "--yes"]);
        assert_eq!(shown(&world, "account/postmaster")["comment"], "管理者");
    }
}

#[test]
fn c_r2_postmaster_cannot_be_created() {
    for system in ALL {
        let world = cpi(system, "");
        declare(&world, &[account(system, "info", ""), account(system, "postmaster", "")]);
        assert_eq!(checked(&world, 0), [""; 0], "without a store it is not known");
        assert_eq!(said(&world, 3), ["error cpi/postmaster -"]);
        let words = words(&world);
        assert!(words.contains("refresh"), "{words}");
        world.expect(3, &["apply", "--yes"]);
        assert!(!world.file("yubin.db").exists());
        refresh(&world, system, &[POSTMASTER]);
        assert_eq!(said(&world, 0), [""; 0]);
        assert_eq!(actions(&world.json(0, &["plan"])), ["add account/info", "overwrite account/postmaster"]);
    }
}

/// The product never shows a password: what is compared is what was recorded.
#[test]
fn c_r6_the_password_of_an_account_is_not_observable() {
    for system in ALL {
        let world = applied(system, &[account(system, "info", "")]);
        refresh(&world, system, &["info,,,12,0,0,0,1,5", POSTMASTER, "sales,,営業,8,0,0,0,1,5"]);
        assert_eq!(shown(&world, "account/info")["password"], json!({ "secret": true }), "a refresh keeps it");
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
        // Of what yubin has not set itself it knows nothing, so a declared one is set.
        assert_eq!(shown(&world, "account/sales").get("password"), None);
        declare(&world, &[account(system, "info", ""), account(system, "sales", "comment: 営業")]);
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["overwrite account/sales"]);
        let secret = json!({ "field": "password", "secret": true, "change": "set" });
        assert_eq!(changes_of(&plan, "account/sales"), [&secret]);
        assert_eq!(infos(&world), ["info cpi/mail-clients password"]);
        for (field, observable) in [
            ("comment", true),
            ("mailbox_size", true),
            ("spam.tag_subject", true),
            ("forward.enabled", true),
            ("auto_reply.enabled", true),
            ("receive.enabled", true),
            ("password", false),
            ("forward.to", false),
            ("auto_reply.body", false),
            ("status", false),
        ] {
            let row = world.json(0, &["explain", system, field])["fields"][0].take();
            assert_eq!(row["observable"], observable, "{system} {field}");
        }
    }
    let world = World::new();
    for (system, field, observable) in [(BS, "capacity", true), (KWC, "capacity", true), (BS, "spam.sort", false)] {
        assert_eq!(world.json(0, &["explain", system, field])["fields"][0]["observable"], observable);
    }
}

#[test]
fn c_r8_capacity_is_one_of_eight_and_not_on_sv_basic() {
    for system in [BS, KWC] {
        let world = cpi(system, "");
        for capacity in [1, 2, 5, 10, 20, 50, 100] {
            declare(&world, &[account(system, "info", &format!("capacity: {capacity}"))]);
            assert_eq!(said(&world, 0), [""; 0], "{capacity}");
        }
        for capacity in [3, 4, 15, 99, 101, 1000] {
            declare(&world, &[account(system, "info", &format!("capacity: {capacity}"))]);
            assert_eq!(checked(&world, 3), ["error system/value capacity"], "{capacity}");
        }
        let text = read(&world, &["explain", system, "capacity"], 0);
        assert!(text.contains("002:115") && text.contains("0 / 1 / 2 / 5 / 10 / 20 / 50 / 100 (GB)"), "{text}");
    }
    let world = cpi(SV, "");
    declare(&world, &[account(SV, "info", "capacity: 5")]);
    assert_eq!(said(&world, 3), ["error system/not-expressible capacity"]);
    let words = words(&world);
    assert!(words.contains("002:138") || words.contains("002:91"), "{words}");
    assert!(words.contains(BS) && words.contains(KWC) && !words.contains(SV), "{words}");
}

#[test]
fn c_r11_what_cannot_be_had_back_needs_consent() {
    let world = applied(BS, &[account(BS, "info", ""), account(BS, "sales", "")]);
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    for (accounts, effect) in [
        ([account(BS, "info", ""), "  sales: { absent: true }\n".to_owned()], "purge_mail account/sales"),
        ([account(BS, "info", "purge_mail: x1"), account(BS, "sales", "")], "purge_mail account/info"),
    ] {
        declare(&world, &accounts);
        let plan = world.json(0, &["plan"]);
        assert_eq!(effects(&plan), [effect]);
        world.expect(4, &["apply"]);
        // Both count as deletes.
        world.write("yubin.yaml", project.replace("allow }", "allow, max_deletes: 0 }"));
        let plan = world.json(4, &["plan"]);
        assert_eq!(rules(&plan), ["max_deletes"]);
        world.expect(4, &["apply", "--yes"]);
        assert_eq!(shown(&world, "account/sales")["capacity"], 5);
        world.expect(4, &["plan", "--out", "plan.json"]);
        world.expect(4, &["export", "bundle", "--plan", "plan.json", "--out", "out"]);
        assert!(!world.file("out").exists(), "what is refused is not handed over either");
        let digest = plan["digest"].as_str().unwrap();
        let receipt = world.json(0, &["apply", "--ack", digest]);
        assert_eq!(effects(&receipt), [effect]);
        world.write("yubin.yaml", &project);
        declare(&world, &[account(BS, "info", ""), account(BS, "sales", "")]);
        world.expect(0, &["apply", "--yes"]);
    }
}

#[test]
fn c_r12_emptying_an_inbox_is_an_action_and_no_state() {
    let world = applied(BS, &[account(BS, "info", "")]);
    declare(&world, &[account(BS, "info", "purge_mail: x1")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    // Nothing is done again because the id is gone, or stands there still.
    for more in ["", "purge_mail: x1"] {
        declare(&world, &[account(BS, "info", more)]);
        let plan = world.json(0, &["plan"]);
        assert_eq!((actions(&plan), effects(&plan)), (vec![], vec![]), "{more}");
    }
    // Nor because the product's export, which knows nothing of it, is read.
    refresh(&world, BS, &["info,,,0,0,0,0,1,5", POSTMASTER]);
    assert_eq!(effects(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn c_r13_an_empty_comment_keeps_the_old_one() {
    for system in ALL {
        const FORWARD: &str = "forward: { enabled: true, to: [a@example.jp], keep_copy: ";
        let world = applied(system, &[account(system, "info", &format!("comment: 代表, {FORWARD}true }}"))]);
        declare(&world, &[account(system, "info", "comment: null")]);
        let plan = world.json(4, &["plan"]);
        assert_eq!(actions(&plan), ["blocked account/info"]);
        assert_eq!(rules(&plan), ["blocked"]);
        assert!(plan["changes"][0]["reason"].as_str().unwrap().contains("002:"), "{plan}");
        world.expect(4, &["apply", "--yes"]);
        assert_eq!(shown(&world, "account/info")["comment"], "代表");
        // Other texts can be emptied; of a switch nobody says where it stands at first.
        declare(&world, &[account(system, "info", "forward: { to: null }")]);
        assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/info"]);
        for switch in [&format!("{FORWARD}null }}"), "receive.enabled: null", "spam.tag_subject: null"] {
            let world = applied(
                system,
                &[account(
                    system,
                    "info",
                    "forward.keep_copy: true, receive.enabled: true, spam.tag_subject: true, forward.enabled: true",
                )],
            );
            declare(&world, &[account(system, "info", switch)]);
            assert_eq!(actions(&world.json(4, &["plan"])), ["blocked account/info"], "{switch}");
        }
    }
}

#[test]
fn c_r15_old_mail_is_moved_and_trash_is_purged_and_explain_says_so() {
    let world = World::new();
    for system in [BS, KWC] {
        let text = read(&world, &["explain", system], 0);
        assert!(text.contains("180 days") || text.contains("180 日"), "{text}");
        assert!(text.contains("31 days") || text.contains("31 日"), "{text}");
        assert!(text.contains("002:16"), "{text}");
    }
    let text = read(&world, &["explain", SV], 0);
    assert!(!text.contains("180 days") && !text.contains("180 日"), "002 does not say it of this plan: {text}");
}

#[test]
fn amb_c2_a_capacity_of_0_is_taken_only_from_who_says_that_it_is_meant() {
    for system in [BS, KWC] {
        let world = cpi(system, "");
        declare(&world, &[account(system, "info", "capacity: 0")]);
        assert_eq!(said(&world, 3), ["error cpi/zero-capacity capacity"]);
        let world = cpi(system, "policy: { plaintext_secrets: allow, allow_zero_capacity: true }\n");
        declare(&world, &[account(system, "info", "capacity: 0")]);
        assert_eq!(said(&world, 0), [""; 0]);
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "account/info")["capacity"], 0);
        // It is never a default.
        world.write("a.yaml", format!("accounts: {{ sales: {{ password: {PASSWORD} }} }}\n"));
        assert_eq!(said(&world, 3), ["error system/required capacity"]);
    }
}

#[test]
fn amb_c6_a_comment_can_be_replaced_and_not_emptied() {
    let world = applied(BS, &[account(BS, "info", "comment: 代表")]);
    for (comment, code, action) in [("\"\"", 4, "blocked"), ("null", 4, "blocked"), ("総務", 0, "overwrite")] {
        declare(&world, &[account(BS, "info", &format!("comment: {comment}"))]);
        assert_eq!(actions(&world.json(code, &["plan"])), [format!("{action} account/info")], "{comment}");
    }
    // Where there is none, there is none to empty.
    declare(&world, &[account(BS, "info", "comment: 代表"), account(BS, "sales", "comment: null")]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["add account/sales"]);
}

#[test]
fn amb_c9_receiving_is_one_switch_and_about_pop_on_sv_basic() {
    for system in ALL {
        let world = cpi(system, "");
        declare(&world, &[account(system, "info", "receive.enabled: false")]);
        assert_eq!(said(&world, 0), [""; 0]);
        let expected: &[&str] = if system == SV { &["info cpi/receive-pop receive.enabled"] } else { &[] };
        assert_eq!(infos(&world), expected, "{system}");
        world.expect(0, &["apply", "--yes", "-q"]);
        refresh(&world, system, &["info,,,0,0,0,0,1,5", POSTMASTER]);
        assert_eq!(shown(&world, "account/info")["receive.enabled"], true);
    }
}

/// Section 4.7: the document's own tables are empty, so the rules of an older plan hold until the
/// project says otherwise.
#[test]
fn names_follow_the_rules_of_an_older_plan_unless_the_project_has_others() {
    let longest = "a".repeat(32);
    for system in ALL {
        let world = cpi(system, "");
        for name in ["ab", "info-2", "a_b.c", "Info", "0120", &longest] {
            declare(&world, &[account(system, &format!("\"{name}\""), "")]);
            assert_eq!(checked(&world, 0), [""; 0], "{name}");
        }
        for name in ["a", "-info", "info.", "_info", "in fo", "in+fo", "総務", &format!("{longest}a")] {
            declare(&world, &[account(system, &format!("\"{name}\""), "")]);
            assert_eq!(checked(&world, 3), ["error cpi/account-name -"], "{name}");
        }
        let text = read(&world, &["explain", system], 0);
        assert!(text.contains("unverified"), "{text}");
    }
    let world = cpi(BS, "rules: { account_name: { min: 1, max: 40, chars: \"a-z+\", edges: \"a-z\" } }\n");
    for (name, code) in [("a", 0), ("in+fo", 0), ("+info", 3), ("Info", 3), ("info-2", 3)] {
        declare(&world, &[account(BS, &format!("\"{name}\""), "")]);
        world.expect(code, &["check"]);
    }
    let world = cpi(BS, "rules: { account_nam: { min: 1 } }\n");
    assert_eq!(checked(&world, 3), ["error key/unknown -"]);
}

#[test]
fn passwords_follow_the_rules_of_an_older_plan_unless_the_project_has_others() {
    for system in ALL {
        let world = cpi(system, "rules: { domain: kita-hama1.jp }\n");
        for password in ["abcdefg1", "1234567a", "A.b_c-d9", "abcdefgh12345678"] {
            declare(&world, &[account(system, "taro2026x", &format!("password: \"{password}\""))]);
            assert_eq!(said(&world, 0), [""; 0], "{password}");
        }
        for password in [
            "abcde1x",
            "abcdefgh123456789",
            "abcdefgh",
            "12345678",
            "abc#1234",
            "パスワード12345",
            "taro2026x",
            "kita-hama1.jp",
        ] {
            declare(&world, &[account(system, "taro2026x", &format!("password: \"{password}\""))]);
            assert_eq!(said(&world, 3), ["error cpi/password password"], "{password}");
            let words = words(&world);
            assert!(["taro2026x", "kita-hama1.jp"].contains(&password) || !words.contains(password), "{words}");
        }
    }
    // A file's password as well.
    let world = cpi(BS, "");
    private(&world, "pw", "short1\n");
    declare(&world, &[account(BS, "info", "password: { file: pw }")]);
    assert_eq!(said(&world, 3), ["error cpi/password password"]);
    // A newer plan may demand what the old one forbids.
    let world = cpi(BS, "rules: { password: { min: 12, max: 64, chars: \"!-~\" } }\n");
    for (password, code) in [("Abc#1234!xyz-2026-long-one", 0), ("abcd1234", 3), ("Abc 1234 xyz 2026", 3)] {
        declare(&world, &[account(BS, "info", &format!("password: \"{password}\""))]);
        world.expect(code, &["plan"]);
    }
}

#[test]
fn what_the_product_has_no_setting_for_is_refused() {
    for system in ALL {
        let world = cpi(system, "");
        for (field, value) in [("address", "info@example.jp"), ("incoming.host", "pop.example.jp"), ("label", "x")] {
            declare(&world, &[account(system, "info", &format!("{field}: {value}"))]);
            assert_eq!(checked(&world, 3), [format!("error system/not-expressible {field}")]);
        }
        world.write("a.yaml", "patterns: { taro: { p1: { address: taro@example.jp } } }\n");
        assert_eq!(checked(&world, 3), ["error system/not-expressible -"]);
        // What the product says of an account is not declared.
        declare(&world, &[account(system, "info", "mailbox_size: \"12\", status: normal")]);
        assert_eq!(checked(&world, 3), ["error field/read-only mailbox_size", "error field/read-only status"]);
    }
}

/// What a project says about its product is part of what a record means: an unchanged one is judged anew.
#[test]
fn a_new_rule_of_the_project_holds_for_records_that_have_not_changed() {
    let world = cpi(BS, "policy: { plaintext_secrets: allow, allow_zero_capacity: true }");
    world.write("people.csv", format!("name,password,capacity\ninfo,{PASSWORD},0\n"));
    world.expect(0, &["apply", "--yes", "-q"]);
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write(
        "yubin.yaml",
        project.replace(", allow_zero_capacity: true", "") + "\nrules: { account_name: { max: 3 } }\n",
    );
    assert_eq!(said(&world, 3), ["error cpi/account-name -", "error cpi/zero-capacity capacity"]);
}
