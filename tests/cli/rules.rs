//! Every rule of document 000 (`requirements/systems.md`, sections 2 and 7), by its name there.

use serde_json::{Value as Json, json};

use super::{actions, catchme, private, row, rules, shown, state};
use crate::support::World;

/// A complete record with these cells in place of others, by their number in the document.
fn record(cells: &[(usize, &str)]) -> String {
    let mut record = vec![
        "taro",
        "p1",
        "send",
        "smtp.xxx.jp",
        "",
        "recv",
        "pop.xxx.jp",
        "",
        "taro@xxx.jp",
        "1",
        "taro",
        "${file:pw}",
    ];
    record.resize(26, "");
    for (number, text) in cells {
        record[number - 1] = text;
    }
    record.join(",") + "\n"
}

/// A world that has applied this record.
fn with(cells: &[(usize, &str)]) -> World {
    let world = catchme("");
    world.write("people.csv", record(cells));
    world.expect(0, &["apply", "--yes", "-q"]);
    world
}

/// `SEVERITY CODE COLUMN` of every diagnostic of a plan that exits with this code.
#[track_caller]
fn said(world: &World, code: i32) -> Vec<String> {
    let plan = world.json(code, &["plan"]);
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let all = plan["diagnostics"].as_array().unwrap();
    all.iter().map(|one| format!("{} {} {}", text(&one["severity"]), text(&one["code"]), one["column"])).collect()
}

fn fields(plan: &Json) -> String {
    plan["changes"][0]["fields"].to_string()
}

#[test]
fn a_o1_only_registered_users_get_patterns() {
    let world = catchme("users: users.txt\n");
    world.write("users.txt", "taro\nhanako\n");
    world.write("people.csv", row("taro", "p1"));
    world.expect(0, &["plan"]);
    world.write("people.csv", row("taro", "p1") + &row("jiro", "p1"));
    let plan = world.json(3, &["plan"]);
    assert_eq!(plan["diagnostics"].as_array().unwrap().len(), 1);
    assert_eq!(plan["diagnostics"][0]["address"], "pattern/jiro/p1");
}

#[test]
fn a_o2_what_is_cancelled_registers_nothing() {
    let world = catchme("");
    world.write("people.csv", record(&[]));
    world.expect(4, &["apply"]);
    assert!(!world.file("yubin.db").exists());
}

#[test]
fn a_o3_overwriting_takes_the_new_values() {
    let world = with(&[]);
    world.write("people.csv", record(&[(3, "SEND")]));
    assert_eq!(fields(&world.json(0, &["plan"])), r#"[{"field":"outgoing.label","before":"send","after":"SEND"}]"#);
}

#[test]
fn a_o4_without_overwriting_what_exists_is_skipped_and_the_rest_is_registered() {
    let world = with(&[]);
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", project + "policy: { existing: skip }\n");
    world.write("people.csv", record(&[(3, "SEND")]) + &row("jiro", "p1"));
    assert_eq!(actions(&world.json(0, &["plan"])), ["add pattern/jiro/p1", "skip pattern/taro/p1"]);
}

#[test]
fn a_o5_a_record_of_two_columns_deletes() {
    let world = with(&[]);
    world.write("people.csv", "taro,p1\n");
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete pattern/taro/p1"]);
}

#[test]
fn a_o7_who_is_registered_for_is_logged_out() {
    let world = with(&[]);
    world.write("people.csv", record(&[(3, "SEND")]) + &row("jiro", "p1") + &row("jiro", "p2"));
    let plan = world.json(0, &["plan"]);
    let effects: Vec<String> = plan["effects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["effect"].as_str().unwrap(), one["address"].as_str().unwrap()))
        .collect();
    assert_eq!(effects, ["logout pattern/jiro/p1", "logout pattern/jiro/p2", "logout pattern/taro/p1"]);
    assert!(world.expect(0, &["plan"]).stdout.contains("Logs out 2 users: jiro, taro"));
}

#[test]
fn a_r1_an_omitted_column_keeps_the_previous_setting() {
    let full = [
        (5, "587"),
        (8, "995"),
        (13, "1"),
        (14, "30"),
        (15, "山田"),
        (16, "営業"),
        (17, "r@xxx.jp"),
        (18, "b@xxx.jp"),
        (19, "1"),
        (20, "1"),
        (21, "1"),
        (22, "1"),
        (23, "auth"),
        (24, "${file:pw}"),
        (26, "受信箱/p"),
    ];
    let world = with(&full);
    let before = shown(&world, "pattern/taro/p1");
    assert_eq!(before["incoming.folder"], "受信箱/p");
    world.write("people.csv", record(&[]));
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.write("people.csv", record(&[(3, "SEND")]));
    world.expect(0, &["apply", "--yes"]);
    let mut expected = before.clone();
    expected["outgoing.label"] = json!("SEND");
    assert_eq!(shown(&world, "pattern/taro/p1"), expected);
}

#[test]
fn a_r2_an_optional_value_cannot_be_cleared_but_flags_are_switched_off() {
    let world = with(&[(15, "山田"), (19, "1"), (5, "587")]);
    world.write("people.csv", record(&[(19, "0"), (5, "25")]));
    let plan = world.json(0, &["plan"]);
    assert_eq!(
        fields(&plan),
        r#"[{"field":"save_sent","before":true,"after":false},{"field":"outgoing.port","before":587,"after":25}]"#
    );
    world.remove("people.csv");
    world.write("a.yaml", "patterns: { taro: { p1: { sender_name: null } } }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(actions(&plan), ["blocked pattern/taro/p1"]);
    assert_eq!(rules(&plan), ["blocked"]);
}

#[test]
fn a_r3_defaults_of_an_add() {
    let world = with(&[]);
    let fields = shown(&world, "pattern/taro/p1");
    for (field, value) in [
        ("incoming.delete_after_download", json!(false)),
        ("save_sent", json!(false)),
        ("request_read_receipt", json!(false)),
        ("outgoing.auth.enabled", json!(false)),
        ("outgoing.auth.credentials", json!("incoming")),
        ("outgoing.port", json!(25)),
        ("incoming.port", json!(110)),
    ] {
        assert_eq!(fields[field], value, "{field}");
    }
    let imap = shown(&with(&[(10, "0")]), "pattern/taro/p1");
    assert_eq!(imap["incoming.port"], 143);
    assert_eq!(imap.get("incoming.delete_after_download"), None);
}

#[test]
fn a_r4_own_credentials_are_written_with_name_and_password() {
    let world = catchme("");
    for (cells, errors) in [
        (&[(21, "1"), (22, "1")][..], 2),
        (&[(21, "1"), (22, "1"), (23, "auth")], 1),
        (&[(21, "1"), (22, "1"), (24, "${file:pw}")], 1),
        (&[(21, "1"), (22, "1"), (23, "auth"), (24, "${file:pw}")], 0),
    ] {
        world.write("people.csv", record(cells));
        let found = said(&world, if errors > 0 { 3 } else { 0 });
        assert_eq!(found.len(), errors, "{cells:?}: {found:?}");
    }
    // On an overwrite as well: the document looks at the record alone.
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("people.csv", record(&[(21, "1"), (22, "1")]));
    assert_eq!(said(&world, 3).len(), 2);
}

#[test]
fn a_r5_a_record_with_more_than_its_key_is_no_delete() {
    let world = with(&[]);
    for text in ["taro,p1,,,,,,,new@xxx.jp\n", "taro,p1,SEND\n", "taro,p1,,,,,,,,,,,,,,,,,0\n"] {
        world.write("people.csv", text);
        let plan = world.json(0, &["plan"]);
        assert_eq!(plan["summary"]["delete"], 0, "{text}");
    }
    world.remove("people.csv");
    world.write("a.yaml", "patterns: { taro: { p1: { absent: true, address: a@x.jp } } }\n");
    assert_eq!(said(&world, 3).len(), 1);
}

#[test]
fn a_r6_a_value_with_a_comma_is_quoted() {
    let world = with(&[(15, "\"山田, 太郎\""), (16, "\"営業\"\"部\"\"\"")]);
    let fields = shown(&world, "pattern/taro/p1");
    assert_eq!(fields["sender_name"], "山田, 太郎");
    assert_eq!(fields["organization"], "営業\"部\"");
}

#[test]
fn a_r7_records_end_in_any_of_three_ways() {
    for terminator in ["\r\n", "\r", "\n"] {
        let world = catchme("");
        world.write("people.csv", (row("taro", "p1") + &row("jiro", "p1")).replace('\n', terminator));
        let plan = world.json(0, &["plan"]);
        let lines: Vec<&Json> = plan["changes"].as_array().unwrap().iter().map(|one| &one["source"]["line"]).collect();
        assert_eq!(lines, [&json!(2), &json!(1)], "{terminator:?}");
    }
}

#[test]
fn a_r8_trailing_columns_may_be_absent() {
    let world = with(&[(13, "1"), (14, "7")]);
    let whole = shown(&world, "pattern/taro/p1");
    for count in 14..=26 {
        let world = catchme("");
        world.write(
            "people.csv",
            record(&[(13, "1"), (14, "7")]).trim_end().split(',').take(count).collect::<Vec<_>>().join(","),
        );
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "pattern/taro/p1"), whole, "{count} columns");
    }
}

#[test]
fn a_r9_what_does_not_change_is_never_written_as_a_key_alone() {
    let world = with(&[]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.expect(0, &["export", "catchme-mail", "--out", "out.csv"]);
    let text = std::fs::read_to_string(world.file("out.csv")).unwrap();
    for line in text.lines() {
        assert_eq!(line.split(',').count(), 26);
        assert!(line.split(',').filter(|cell| !cell.is_empty()).count() >= 10, "{line}");
    }
}

#[test]
fn a_r10_the_plan_names_the_users_who_are_logged_out() {
    let world = with(&[]);
    world.write("people.csv", "taro,p1\n".to_owned() + &row("jiro", "p1"));
    let plan = world.json(0, &["plan"]);
    let users: Vec<&Json> = plan["effects"].as_array().unwrap().iter().map(|one| &one["user"]).collect();
    assert_eq!(users, ["jiro", "taro"]);
}

#[test]
fn a_r11_passwords_in_clear_are_told_about_and_never_shown() {
    let world = catchme("");
    world.write("people.csv", record(&[(12, "offen"), (21, "1"), (22, "1"), (23, "auth"), (24, "offen")]));
    let run = world.expect(0, &["plan"]);
    assert!(run.stderr.contains("written in clear") && run.stderr.contains("people.csv:1:"), "{}", run.stderr);
    assert!(!run.stdout.contains("offen") && !run.stderr.contains("offen"));
}

#[test]
fn a_r12_what_has_no_effect_is_a_warning_and_left_out() {
    let world = catchme("");
    world.write("people.csv", record(&[(10, "0"), (13, "1"), (14, "7"), (26, "受信箱/p")]));
    let found = said(&world, 0);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|one| one.starts_with("warning ")), "{found:?}");
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "pattern/taro/p1");
    assert!(fields.get("incoming.folder").is_none() && fields.get("incoming.delete_after_days").is_none(), "{fields}");
    world.write("people.csv", record(&[(25, "INBOX")]));
    let world = catchme("");
    world.write("people.csv", record(&[(25, "INBOX")]));
    assert_eq!(said(&world, 0).len(), 1);
    world.expect(3, &["plan", "--strict"]);
}

const EXAMPLE_2: &str = "sabro,pattern2,send2,smtp.xxx.jp,,recv2,pop.xxx.jp,,taro2@xxx.jp,1,taro2,passwd,,,,,,,,1,1,authaccount,authpasswd,,受信箱/pattern2";

#[test]
fn amb_a1_the_printed_example_2_lacks_a_comma_and_the_corrected_one_applies() {
    let world = World::project("catchme-mail", "policy: { plaintext_secrets: allow }\n");
    world.write("people.csv", EXAMPLE_2);
    let plan = world.json(3, &["plan"]);
    let problem = &plan["diagnostics"][0];
    assert_eq!(problem["code"], "catchme-mail/column-shift");
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("comma is missing between columns 12 and 21"), "{message}");
    world.write("people.csv", EXAMPLE_2.replace(",1,1,", ",,1,1,"));
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "pattern/sabro/pattern2");
    assert_eq!(fields["outgoing.auth.enabled"], true);
    assert_eq!(fields["outgoing.auth.credentials"], "own");
    assert_eq!(fields["outgoing.auth.username"], "authaccount");
    assert_eq!(fields["outgoing.auth.password"], json!({ "secret": true }));
    assert_eq!(fields["incoming.folder"], "受信箱/pattern2");
    assert_eq!(fields["request_read_receipt"], false);
}

#[test]
fn amb_a2_required_on_an_add_and_kept_with_a_warning_on_an_overwrite() {
    for column in [3, 4, 6, 7, 9, 10, 11, 12] {
        let world = catchme("");
        world.write("people.csv", record(&[(column, "")]));
        assert!(said(&world, 3).iter().any(|one| one.starts_with("error system/required")), "column {column}");
        let world = with(&[]);
        world.write("people.csv", record(&[(column, ""), (15, "山田")]));
        let found = said(&world, 0);
        assert!(found.len() == 1 && found[0].starts_with("warning "), "column {column}: {found:?}");
        assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite pattern/taro/p1"]);
        world.expect(3, &["plan", "--strict"]);
    }
    // Written: always all of them.
    let world = with(&[]);
    world.write("people.csv", "taro,p1,,,,,,,,,,,,,山田\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["export", "catchme-mail", "--out", "out.csv"]);
    let text = std::fs::read_to_string(world.file("out.csv")).unwrap();
    let cells: Vec<&str> = text.trim_end().split(',').collect();
    for column in [1, 2, 3, 4, 6, 7, 9, 10, 11, 12] {
        assert!(!cells[column - 1].is_empty(), "column {column}");
    }
}

#[test]
fn amb_a3_a_key_alone_deletes_in_every_spelling() {
    for text in [
        "taro,p1",
        "taro,p1,",
        "taro,p1,,,,",
        "\"taro\",\"p1\"",
        "taro,p1,\"\",\"\"",
        "taro,p1,,,,,,,,,,,,,,,,,,,,,,,,",
    ] {
        let world = with(&[]);
        world.write("people.csv", text);
        assert_eq!(actions(&world.json(0, &["plan"])), ["delete pattern/taro/p1"], "{text}");
    }
}

#[test]
fn amb_a4_columns_23_and_24_are_required_only_if_22_is_1() {
    let world = catchme("");
    for flag in ["", "0"] {
        world.write("people.csv", record(&[(21, "1"), (22, flag)]));
        assert_eq!(said(&world, 0), [""; 0]);
    }
}

#[test]
fn amb_a5_an_omitted_port_is_kept_on_an_overwrite() {
    let world = with(&[(5, "587"), (8, "995")]);
    world.write("people.csv", record(&[(3, "SEND")]));
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "pattern/taro/p1");
    assert_eq!((&fields["outgoing.port"], &fields["incoming.port"]), (&json!(587), &json!(995)));
}

/// A value of the other protocol is a warning, and is not emitted.
#[test]
fn amb_a6_what_has_no_effect_is_not_emitted() {
    let world = with(&[(13, "1"), (14, "30"), (26, "受信箱/p")]);
    world.write("people.csv", record(&[(10, "0"), (25, "INBOX")]));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["export", "catchme-mail", "--out", "out.csv"]);
    let text = std::fs::read_to_string(world.file("out.csv")).unwrap();
    let cells: Vec<&str> = text.trim_end().split(',').collect();
    assert_eq!(cells[24], "INBOX");
    assert_eq!((cells[12], cells[13], cells[25]), ("", "", ""), "{text}");
}

#[test]
fn amb_a7_deleting_says_after_how_many_days() {
    let world = catchme("");
    world.write("people.csv", record(&[(13, "1")]));
    assert_eq!(said(&world, 3).len(), 1);
    for (days, code) in [("0", 0), ("1", 0), ("99", 0), ("100", 3), ("-1", 3), ("1.5", 3), ("07", 3), ("7日", 3)] {
        world.write("people.csv", record(&[(13, "1"), (14, days)]));
        world.expect(code, &["plan"]);
    }
}

#[test]
fn amb_a8_a_flag_that_is_neither_0_nor_1_is_off_with_a_warning() {
    for flag in ["2", "yes", "TRUE", "１", "on", "-1", "01"] {
        let world = catchme("");
        world.write("people.csv", record(&[(19, flag)]));
        let found = said(&world, 0);
        assert!(found.len() == 1 && found[0].starts_with("warning catchme-mail/flag-value"), "{flag}: {found:?}");
        world.expect(3, &["plan", "--strict"]);
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "pattern/taro/p1")["save_sent"], false, "{flag}");
    }
}

#[test]
fn amb_a9_deletes_do_not_depend_on_overwriting_and_the_plan_says_so() {
    let world = with(&[]);
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", project + "policy: { existing: skip }\n");
    world.write("people.csv", "taro,p1\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["delete pattern/taro/p1"]);
    assert_eq!(plan["diagnostics"][0]["severity"], "info");
}

#[test]
fn amb_a10_a_skipped_record_logs_nobody_out() {
    let world = with(&[]);
    let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", project + "policy: { existing: skip }\n");
    world.write("people.csv", record(&[(3, "SEND")]));
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["skip pattern/taro/p1"]);
    assert_eq!(plan["effects"], json!([]));
}

#[test]
fn amb_a11_two_records_of_one_key_are_an_error() {
    let world = catchme("");
    world.write("people.csv", record(&[]) + &record(&[(3, "SEND")]));
    assert_eq!(said(&world, 3), ["error resource/duplicate 1"]);
    world.write("people.csv", record(&[]) + "taro,p1\n");
    assert_eq!(said(&world, 3), ["error resource/duplicate 1"]);
    // Also when the first of them is an old acquaintance.
    let world = with(&[]);
    world.write("people.csv", record(&[]) + &record(&[]));
    assert_eq!(said(&world, 3), ["error resource/duplicate 1"]);
}

#[test]
fn amb_a12_the_encoding_is_an_option() {
    for (label, encoding) in
        [("shift_jis", encoding_rs::SHIFT_JIS), ("euc-jp", encoding_rs::EUC_JP), ("utf-8", encoding_rs::UTF_8)]
    {
        let world = World::project("catchme-mail", &format!("sources: [{{ path: people.csv, encoding: {label} }}]\n"));
        private(&world, "pw", "x");
        let text = record(&[(15, "髙橋"), (16, "表示①")]);
        let (bytes, _, lossy) = encoding.encode(&text);
        // EUC-JP has no such characters; it says so instead of replacing them.
        if lossy {
            continue;
        }
        world.write("people.csv", &bytes);
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "pattern/taro/p1")["organization"], "表示①", "{label}");
    }
    let world = catchme("");
    world.write("people.csv", "\u{feff}".to_owned() + &record(&[]));
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(state(&world)[0]["key"], json!(["taro", "p1"]));
}

#[test]
fn amb_a13_protocol_1_is_pop3_and_0_is_imap() {
    for (cell, word) in [("0", "imap"), ("1", "pop3")] {
        assert_eq!(shown(&with(&[(10, cell)]), "pattern/taro/p1")["incoming.protocol"], word);
    }
    for wrong in ["2", "POP3", "IMAP", "pop", "１"] {
        let world = catchme("");
        world.write("people.csv", record(&[(10, wrong)]));
        world.expect(3, &["plan"]);
    }
}

#[test]
fn amb_a14_own_credentials_without_authentication_are_needed_and_warned_about() {
    let world = catchme("");
    world.write("people.csv", record(&[(22, "1")]));
    let found = said(&world, 3);
    assert_eq!(found.iter().filter(|one| one.starts_with("error ")).count(), 2, "{found:?}");
    world.write("people.csv", record(&[(22, "1"), (23, "auth"), (24, "${file:pw}")]));
    let found = said(&world, 0);
    assert!(found.len() == 1 && found[0].starts_with("warning "), "{found:?}");
}
