//! `yubin refresh` and `yubin mark`: taking over what a product has done by itself.

use serde_json::json;

use super::products::cpi::{BS, PASSWORD, POSTMASTER, account, applied, cpi, declare, effects, export_file};
use super::{accounts, actions, revision, rules, shown, state};
use crate::support::World;

fn seen(name: &str, comment: &str) -> String {
    format!("{name},,{comment},0,0,0,0,1,5")
}

/// Writes an export of `postmaster` and these accounts.
fn export(world: &World, records: &[String]) {
    let records: Vec<&str> = records.iter().map(String::as_str).chain([POSTMASTER]).collect();
    world.write("export.txt", export_file(BS, &records));
}

const REFRESH: [&str; 3] = ["refresh", "cpi-export", "export.txt"];

fn refresh(world: &World, code: i32, more: &[&str]) -> String {
    world.expect(code, &[&REFRESH[..], more].concat()).stderr
}

#[test]
fn the_limits_hold_and_consent_lifts_them() {
    let world = cpi(BS, "");
    let names: Vec<String> = (0..20).map(|number| format!("m{number:02}")).collect();
    export(&world, &names.iter().map(|name| seen(name, "")).collect::<Vec<_>>());
    refresh(&world, 0, &["--yes"]);
    // More than 30 % are gone, and nobody owns one of them.
    export(&world, &names[..13].iter().map(|name| seen(name, "")).collect::<Vec<_>>());
    let plan = world.json(4, &[&REFRESH[..], &["--yes"]].concat());
    assert_eq!(rules(&plan), ["max_deletes"]);
    assert_eq!(state(&world).as_array().unwrap().len(), 21);
    refresh(&world, 4, &["--ack", "0123"]);
    refresh(&world, 0, &["--ack", plan["digest"].as_str().unwrap()]);
    assert_eq!(state(&world).as_array().unwrap().len(), 14);
    // An export without what the product never deletes is not whole.
    world.write("export.txt", export_file(BS, &[&seen("m00", "")]));
    let plan = world.json(4, &[&REFRESH[..], &["--yes"]].concat());
    assert!(rules(&plan).contains(&"protect"), "{plan}");
    assert!(plan["refused"].to_string().contains("account/postmaster"), "{plan}");
}

#[test]
fn a_known_account_keeps_its_owner_and_its_record_is_compared_again() {
    let world = cpi(BS, "policy: { existing: fail, plaintext_secrets: allow }\n");
    world.write("people.csv", format!("name,password,capacity,comment\ninfo,{PASSWORD},5,代表\n"));
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    export(&world, &[seen("info", "総務")]);
    refresh(&world, 0, &["--yes"]);
    assert_eq!(world.json(0, &["show", "account/info"])["resources"][0]["owner"], "head-office");
    assert_eq!(world.json(0, &["show", "account/postmaster"])["resources"][0]["owner"], json!(null));
    let plan = world.json(4, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite account/info"]);
    assert_eq!(rules(&plan), ["existing"], "that is for what files declare");
    let log = world.json(0, &["log"]);
    assert_eq!(log["revisions"][0]["note"], "refresh of cpi-export export.txt");
    let fields = world.json(0, &["log", "account/info"])["fields"].take();
    let comment = fields.as_array().unwrap().iter().find(|one| one["field"] == "comment").unwrap();
    assert_eq!((&comment["file"], &comment["line"]), (&json!("export.txt"), &json!(2)));
}

#[test]
fn the_accounts_of_others_stay() {
    let world = applied(BS, &[account(BS, "info", "")]);
    let other = World::new();
    other.write("yubin.yaml", "version: 1\nname: branch\nsystem: generic\n");
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    other.write("a.yaml", accounts(0..2, "x"));
    other.expect(0, &["apply", "--yes", "-q", "--store", &store]);
    export(&world, &[seen("info", ""), seen("a000", "y")]);
    let plan = world.json(4, &REFRESH);
    assert_eq!(actions(&plan), ["overwrite account/a000", "overwrite account/info", "add account/postmaster"]);
    assert_eq!(plan["diagnostics"][0]["code"], "refresh/kept");
    assert!(plan["diagnostics"][0]["message"].as_str().unwrap().contains("account/a001"), "{plan}");
}

#[test]
fn resource_files_that_are_wrong_do_not_matter() {
    let world = cpi(BS, "");
    world.write("a.yaml", "accounts: { info: { capacty: 5 } }\n");
    world.expect(3, &["check"]);
    export(&world, &[seen("info", "代表")]);
    refresh(&world, 0, &["--yes"]);
    assert_eq!(shown(&world, "account/info")["comment"], "代表");
    // Those of the project itself do.
    world.write("yubin.yaml", "version: 1\nname: head-office\nsystem: cpi\n");
    refresh(&world, 3, &["--yes"]);
}

#[test]
fn everything_that_is_wrong_is_said_in_one_run() {
    let world = cpi(BS, "");
    let (shift_jis, _, _) = encoding_rs::SHIFT_JIS.encode("mail_account\n総務\n");
    world.write("a.txt", shift_jis);
    world.write("b.txt", "mail_account,mail_password,comment,mail_capacity\n");
    world.write("c.txt", "");
    world.write("d.txt", export_file(BS, &["info,,,1,x,0,0,1,5", "ab,,,1", ",,,1,0,0,0,1,5", "info,,,1,0,0,2,1,"]));
    let document = world.json(3, &["refresh", "cpi-export", "a.txt", "b.txt", "c.txt", "d.txt", "--yes"]);
    let text = |json: &serde_json::Value| json.as_str().unwrap().to_owned();
    let found: Vec<String> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}:{}:{} {}", text(&one["file"]), one["line"], one["column"], text(&one["code"])))
        .collect();
    assert_eq!(
        found,
        [
            "a.txt:2:1 file/encoding",
            "b.txt:1:1 csv/header",
            "c.txt:1:1 file/empty",
            "d.txt:2:10 value/choice",
            "d.txt:3:1 csv/columns",
            "d.txt:4:1 resource/key",
            "d.txt:5:1 resource/duplicate",
            "d.txt:5:14 value/choice",
            "d.txt:5:18 system/required",
        ]
    );
    assert!(document["diagnostics"][0]["hint"].as_str().unwrap().contains("--encoding shift_jis"), "{document}");
    assert!(!world.file("yubin.db").exists());
}

/// What was only recorded is only taken from the record: nobody's mail is lost.
#[test]
fn an_undo_of_a_refresh_asks_nothing_of_the_product() {
    let world = cpi(BS, "");
    export(&world, &[seen("info", "代表"), seen("sales", "")]);
    refresh(&world, 0, &["--yes"]);
    export(&world, &[seen("info", "総務")]);
    refresh(&world, 0, &["--yes"]);
    let before = revision(&world);
    let plan = world.json(4, &["undo", "2"]);
    assert_eq!(actions(&plan), ["overwrite account/info", "add account/sales"]);
    world.expect(0, &["undo", "2", "--yes", "-q"]);
    let plan = world.json(4, &["undo", &(before + 1).to_string()]);
    assert_eq!(actions(&plan), ["overwrite account/info", "delete account/sales"]);
    assert_eq!(effects(&plan), [""; 0]);
    // What a plan of the files has added is deleted for good.
    declare(&world, &[account(BS, "staff", "")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let plan = world.json(4, &["undo", &revision(&world).to_string()]);
    assert_eq!(effects(&plan), ["purge_mail account/staff"]);
}

#[test]
fn a_mark_is_set_once_and_on_accounts_of_cpi_alone() {
    let world = applied(BS, &[account(BS, "info", "")]);
    world.expect(0, &["mark", "account/info", "normal"]);
    assert_eq!(revision(&world), 1, "it is so already");
    let receipt = world.json(0, &["mark", "account/info", "password_forced"]);
    assert_eq!(receipt["revision"], 2);
    world.expect(0, &["mark", "account/info", "password_forced"]);
    assert_eq!(revision(&world), 2);
    assert_eq!(world.json(0, &["log"])["revisions"][0]["note"], "mark of account/info as password_forced");
    for (address, code) in [("account/nobody", 1), ("server/info", 64), ("info", 64)] {
        world.expect(code, &["mark", address, "password_forced"]);
    }
    // Another project's account is for that project to mark.
    let other = World::new();
    other.write("yubin.yaml", format!("version: 1\nname: branch\nsystem: {BS}\n"));
    let store = format!("sqlite:{}", world.file("yubin.db").display());
    let key = format!("{}.key", world.file("yubin.db").display());
    let run =
        super::run_with(&other, &[("YUBIN_KEY_FILE", &key)], &["mark", "account/info", "normal", "--store", &store]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stdout.contains("foreign_owner"), "{}", run.stdout);
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(64, &["mark", "account/a000", "password_forced"]);
    world.expect(64, &["refresh", "cpi-export", "a.yaml"]);
}
