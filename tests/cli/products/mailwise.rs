//! Every rule of document 003 (`requirements/systems.md`, sections 5 and 7), by its name there.

use std::path::Path;

use serde_json::json;

use super::across::{Fields, codes, defaults, problem, project, said, with, word, yaml};
use crate::cli::{actions, shown, state};
use crate::support::World;

const SERVER: &Fields<'_> = &[("incoming.host", "pop.example.jp"), ("outgoing.host", "smtp.example.jp")];

const IMAP: &Fields<'_> = &[("incoming.protocol", "imap")];
const INBOX_ALONE: &str = "info mailwise/imap-inbox incoming.protocol";

/// SMTP認証をおこなう, with the user name and password of the account.
const AUTH: &Fields<'_> = &[
    ("outgoing.auth.enabled", "true"),
    ("outgoing.auth.mechanism", "login"),
    ("outgoing.auth.credentials", "account"),
];

const SIZES: [&str; 6] = ["unlimited", "512KB", "1MB", "3MB", "5MB", "10MB"];

fn declare(world: &World, fields: &Fields<'_>) {
    world.write("a.yaml", yaml("servers", "本社", fields));
}

/// A project that is about to add `SERVER` with these changes, one after the other.
fn adding(changes: &[&Fields<'_>]) -> World {
    let world = project("mailwise", "");
    declare(&world, &with(SERVER, &changes.concat()));
    world
}

#[track_caller]
fn on_add(changes: &[&Fields<'_>]) -> Vec<String> {
    said(&adding(changes))
}

fn applied(changes: &[&Fields<'_>]) -> World {
    let world = adding(changes);
    world.expect(0, &["apply", "--yes", "-q"]);
    world
}

/// Declares servers of these names in this order.
fn list(world: &World, names: &[&str]) {
    let servers: Vec<String> = names.iter().map(|name| yaml("servers", name, SERVER)).collect();
    world.write("a.yaml", format!("servers:\n{}", servers.concat().replace("servers:\n", "")));
}

/// The names of the servers in the store, in the order of their places.
fn order(world: &World) -> Vec<String> {
    let mut servers = state(world).as_array().unwrap().clone();
    servers.sort_by_key(|server| server["fields"]["position"].as_u64().unwrap());
    servers.iter().map(|server| server["key"][0].as_str().unwrap().to_owned()).collect()
}

/// All that is handed over for what a plan would do, as text, and the names of its files.
#[track_caller]
fn bundle(world: &World) -> (String, Vec<String>) {
    fn read(folder: &Path, text: &mut String, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text, names);
            } else {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
                names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    world.expect(0, &["plan", "--out", "change.plan"]);
    world.expect(0, &["export", "bundle", "--plan", "change.plan", "--out", "out"]);
    let (mut text, mut names) = (String::new(), Vec::new());
    read(&world.file("out"), &mut text, &mut names);
    names.sort();
    (text, names)
}

#[test]
fn d_o1_servers_stand_in_the_order_in_which_they_are_added() {
    let world = project("mailwise", "");
    list(&world, &["本社", "支店", "工場"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["本社", "支店", "工場"]);
    list(&world, &["本社", "支店", "工場", "倉庫"]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["add server/倉庫"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["本社", "支店", "工場", "倉庫"]);
    assert_eq!(shown(&world, "server/倉庫")["position"], 4);
}

#[test]
fn d_o2_every_setting_can_be_changed() {
    let world = applied(&[]);
    let all: &Fields<'_> = &[
        ("incoming.protocol", "pop3"),
        ("incoming.host", "10.0.1.55"),
        ("incoming.port", "1110"),
        ("incoming.apop", "true"),
        ("incoming.max_message_size", "3MB"),
        ("outgoing.host", "mailwise.server.co.jp"),
        ("outgoing.port", "587"),
        ("outgoing.auth.enabled", "true"),
        ("outgoing.auth.mechanism", "cram-md5"),
        ("outgoing.auth.credentials", "own"),
        ("outgoing.auth.username", "0123"),
        ("outgoing.max_message_size", "10MB"),
    ];
    declare(&world, &[all, &[("outgoing.auth.password", "{ file: pw }")]].concat());
    assert_eq!(said(&world), [""; 0]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite server/本社"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "server/本社");
    for (field, value) in all {
        assert_eq!(fields[field], word(value), "{field}");
    }
    assert_eq!(fields["outgoing.auth.password"], json!({ "secret": true }));
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn d_o3_a_new_order_is_one_change_of_the_list() {
    let world = project("mailwise", "");
    list(&world, &["本社", "支店", "工場"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    list(&world, &["工場", "本社", "支店"]);
    let plan = world.json(0, &["plan"]);
    for change in plan["changes"].as_array().unwrap() {
        assert_eq!(change["action"], "overwrite", "{change:#}");
        let fields = change["fields"].as_array().unwrap();
        assert!(fields.iter().all(|one| one["field"] == "position"), "{change:#}");
    }
    let text = world.expect(0, &["plan"]).stdout;
    let all_in = |line: &&str| ["本社", "支店", "工場"].iter().all(|name| line.contains(name));
    assert_eq!(text.lines().filter(all_in).count(), 1, "{text}");
    assert!(text.lines().filter(|line| line.contains("position")).count() <= 1, "{text}");
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["工場", "本社", "支店"]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    // The same, written down.
    let places = |places: [(&str, &str); 3]| {
        let one = |(name, place)| yaml("servers", name, &with(SERVER, &[("position", place)]));
        world.write("a.yaml", format!("servers:\n{}", places.map(one).concat().replace("servers:\n", "")));
    };
    places([("本社", "2"), ("支店", "3"), ("工場", "1")]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    places([("本社", "1"), ("支店", "2"), ("工場", "3")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["本社", "支店", "工場"]);
}

#[test]
fn d_o4_a_server_is_deleted_after_a_confirmation() {
    let world = project("mailwise", "");
    list(&world, &["本社", "支店"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("a.yaml", yaml("servers", "本社", SERVER) + "  支店: { absent: true }\n");
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete server/支店"]);
    world.expect(4, &["apply"]);
    assert_eq!(order(&world), ["本社", "支店"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["本社"]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

/// The product reads no file of servers, so what is to be done on its screens is written down.
#[test]
fn d_o5_the_hand_over_is_a_worksheet_and_no_csv() {
    let world = adding(&[AUTH, &[("outgoing.pop_before_smtp_wait", "3"), ("outgoing.pop_before_smtp", "true")]]);
    let (text, names) = bundle(&world);
    assert!(names.iter().any(|name| name == "MANIFEST.md") && names.iter().any(|name| name == "manifest.json"));
    assert!(names.iter().any(|name| name.contains(".html")), "{names:?}");
    assert!(!names.iter().any(|name| name.to_lowercase().ends_with(".csv")), "{names:?}");
    for words in
        ["本社", "smtp.example.jp", "SMTP認証をおこなう", "認証方式", "受信後に送信をおこなう", "送信までの待ち時間"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    for format in ["catchme-mail", "cpi-register", "cybozu-office-accounts"] {
        let run = world.run(&["export", format, "--plan", "change.plan", "--out", "other"]);
        assert!(run.code != 0 && !world.file("other").exists(), "{format}: {}", run.stderr);
    }
}

#[test]
fn d_r1_sending_has_six_limits_of_size() {
    size("outgoing.max_message_size", "003:52");
}

#[test]
fn d_r2_receiving_has_six_limits_of_size() {
    size("incoming.max_message_size", "003:69");
}

#[track_caller]
fn size(field: &str, source: &str) {
    for size in SIZES {
        assert_eq!(on_add(&[&[(field, size)]]), [""; 0], "{size}");
    }
    for wrong in ["1KB", "511KB", "2MB", "4MB", "20MB", "1GB"] {
        let world = adding(&[&[(field, wrong)]]);
        assert_eq!(said(&world), [format!("error system/value {field}")], "{wrong}");
        let problem = problem(&world, "system/value");
        let words = format!("{} {}", problem["message"], problem["hint"]);
        assert!(SIZES.iter().chain(&[source, "generic"]).all(|word| words.contains(word)), "{words}");
    }
    for wrong in ["5", "0MB", "5 MB", "5mb", "５MB", "(無制限)", "無制限"] {
        assert_eq!(on_add(&[&[(field, wrong)]]), [format!("error value/type {field}")], "{wrong}");
    }
    // Nothing is said about a size that is not chosen.
    assert_eq!(defaults(&adding(&[])).get(field), None);
}

#[test]
fn d_r3_imap_receives_what_stands_in_the_inbox_alone() {
    let world = adding(&[IMAP]);
    assert_eq!(said(&world), [INBOX_ALONE]);
    let message = problem(&world, "mailwise/imap-inbox")["message"].to_string();
    assert!(message.contains("003:73"), "{message}");
    world.expect(0, &["plan", "--strict"]);
    assert_eq!(on_add(&[&[("incoming.protocol", "pop3")]]), [""; 0]);
    assert_eq!(on_add(&[]), [""; 0]);
}

#[test]
fn d_r4_both_hosts_are_required_and_both_ports_have_defaults() {
    const NONE: &Fields<'_> = &[("incoming.host", ""), ("outgoing.host", "")];
    let missing = ["error system/required incoming.host", "error system/required outgoing.host"];
    assert_eq!(on_add(&[NONE, &[("incoming.protocol", "pop3")]]), missing);
    assert_eq!(on_add(&[&[("incoming.host", "null"), ("outgoing.host", "null")]]), missing);
    let found = defaults(&adding(&[]));
    for (field, value) in
        [("incoming.protocol", json!("pop3")), ("incoming.port", json!(110)), ("outgoing.port", json!(25))]
    {
        assert_eq!(found[field], value, "{field}");
    }
    for port in ["incoming.port", "outgoing.port"] {
        assert_eq!(on_add(&[&[(port, "null")]]), [""; 0]);
        assert_eq!(on_add(&[&[(port, "''")]]), [format!("error value/empty {port}")]);
        assert_eq!(on_add(&[&[(port, "0")]]), [format!("error value/range {port}")]);
        assert_eq!(on_add(&[&[(port, "110番")]]), [format!("error value/type {port}")]);
    }
    // The name is the key.
    let world = project("mailwise", "");
    world.write("a.yaml", yaml("servers", "''", SERVER));
    assert_eq!(codes(&world), ["error resource/key"]);
    // On an overwrite what is not written is kept.
    let world = applied(&[]);
    declare(&world, &[("outgoing.port", "587")]);
    assert_eq!(said(&world), [""; 0]);
}

/// What is as large as the limit passes, so a limit is kept to the byte and never rounded.
#[test]
fn d_r5_a_limit_is_the_size_that_still_passes() {
    for (written, kept) in [("512KB", "512KB"), ("1024KB", "1MB"), ("3072KB", "3MB"), ("10240KB", "10MB")] {
        let world = applied(&[&[("outgoing.max_message_size", written), ("incoming.max_message_size", written)]]);
        let fields = shown(&world, "server/本社");
        assert_eq!(
            (&fields["outgoing.max_message_size"], &fields["incoming.max_message_size"]),
            (&json!(kept), &json!(kept))
        );
        declare(&world, &with(SERVER, &[("outgoing.max_message_size", kept)]));
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    }
    for wrong in ["1023KB", "1025KB", "10239KB"] {
        let found = on_add(&[&[("outgoing.max_message_size", wrong)]]);
        assert_eq!(found, ["error system/value outgoing.max_message_size"], "{wrong}");
    }
}

#[test]
fn d_r6_pop_before_smtp_needs_pop3() {
    const ON: &Fields<'_> = &[("outgoing.pop_before_smtp", "true")];
    const ERROR: &str = "error mailwise/pop-before-smtp outgoing.pop_before_smtp";
    let world = adding(&[IMAP, ON]);
    assert_eq!(said(&world), [ERROR, INBOX_ALONE]);
    let message = problem(&world, "mailwise/pop-before-smtp")["message"].to_string();
    assert!(message.contains("003:50"), "{message}");
    assert_eq!(on_add(&[ON]), [""; 0]);
    assert_eq!(on_add(&[IMAP, &[("outgoing.pop_before_smtp", "false")]]), [INBOX_ALONE]);
    // What counts is how the two will stand, whoever wrote them.
    let world = applied(&[ON]);
    declare(&world, IMAP);
    assert!(codes(&world).contains(&"error mailwise/pop-before-smtp".to_owned()));
}

#[test]
fn d_r7_two_authentications_are_not_forbidden_but_warned_about() {
    let before: &Fields<'_> = &[("outgoing.pop_before_smtp", "true")];
    let world = adding(&[AUTH, before]);
    assert_eq!(codes(&world), ["warning mailwise/two-authentications"]);
    world.expect(3, &["plan", "--strict"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "server/本社");
    assert!(fields["outgoing.auth.enabled"] == true && fields["outgoing.pop_before_smtp"] == true, "{fields}");
    assert_eq!(on_add(&[AUTH]), [""; 0]);
    assert_eq!(on_add(&[before]), [""; 0]);
}

#[test]
fn d_r8_encryption_is_refused_and_never_weakened() {
    for field in ["incoming.security", "outgoing.security"] {
        for word in ["starttls", "implicit_tls"] {
            let world = adding(&[&[(field, word)]]);
            assert_eq!(said(&world), [format!("error system/not-expressible {field}")]);
            let problem = problem(&world, "system/not-expressible");
            let message = problem["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{field}`")) && message.contains("003"), "{message}");
            let hint = problem["hint"].as_str().unwrap();
            assert!(hint.contains("generic") && hint.contains("cybozu-office"), "{hint}");
        }
        let world = applied(&[&[(field, "none")]]);
        assert_eq!(shown(&world, "server/本社").get(field), None);
    }
}

/// Nothing is said about names that are alike, so they are; the key of a file is written once.
#[test]
fn d_r9_names_that_differ_at_all_are_different_servers() {
    let world = project("mailwise", "");
    list(&world, &["HQ", "hq", "ＨＱ", "本社 (新)"]);
    assert_eq!(said(&world), [""; 0]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["HQ", "hq", "ＨＱ", "本社 (新)"]);
    list(&world, &["HQ", "HQ"]);
    assert_eq!(codes(&world), ["error key/duplicate"]);
}

/// `own` stands in the server and serves all accounts; `per_account` is another product's.
#[test]
fn amb_d1_own_credentials_stand_in_the_server() {
    const OWN: &Fields<'_> = &[("outgoing.auth.credentials", "own")];
    const USERNAME: &Fields<'_> = &[("outgoing.auth.username", "relay")];
    const PASSWORD: &Fields<'_> = &[("outgoing.auth.password", "{ file: pw }")];
    const NO_USERNAME: &str = "error mailwise/own-credentials outgoing.auth.username";
    const NO_PASSWORD: &str = "error mailwise/own-credentials outgoing.auth.password";
    assert_eq!(on_add(&[AUTH, OWN]), [NO_PASSWORD, NO_USERNAME]);
    assert_eq!(on_add(&[AUTH, OWN, USERNAME]), [NO_PASSWORD]);
    assert_eq!(on_add(&[AUTH, OWN, PASSWORD]), [NO_USERNAME]);
    let message = problem(&adding(&[AUTH, OWN, PASSWORD]), "mailwise/own-credentials")["message"].to_string();
    assert!(message.contains("003:44"), "{message}");
    let world = applied(&[AUTH, OWN, USERNAME, PASSWORD]);
    let fields = shown(&world, "server/本社");
    assert_eq!(fields["outgoing.auth.username"], "relay");
    assert_eq!(fields["outgoing.auth.password"], json!({ "secret": true }));
    // With the account's own there is nothing to enter.
    let world = adding(&[AUTH, USERNAME]);
    assert_eq!(said(&world), ["warning system/no-effect outgoing.auth.username"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(shown(&world, "server/本社").get("outgoing.auth.username"), None);
    let found = on_add(&[AUTH, &[("outgoing.auth.credentials", "per_account")]]);
    assert_eq!(found, ["error system/value outgoing.auth.credentials"]);
    assert_eq!(
        on_add(&[AUTH, &[("outgoing.auth.credentials", "incoming")]]),
        ["error value/choice outgoing.auth.credentials"]
    );
}

#[test]
fn amb_d2_the_port_follows_the_protocol_only_where_it_is_not_declared() {
    let port = |world: &World| {
        world.expect(0, &["apply", "--yes", "-q"]);
        shown(world, "server/本社")["incoming.port"].clone()
    };
    assert_eq!(port(&adding(&[])), 110);
    assert_eq!(defaults(&adding(&[IMAP]))["incoming.port"], 143);
    assert_eq!(port(&adding(&[IMAP])), 143);
    assert_eq!(port(&adding(&[IMAP, &[("incoming.port", "110")]])), 110);
    assert_eq!(port(&adding(&[&[("incoming.port", "143")]])), 143);
    for (declared, expected) in [("8110", 8110), ("null", 143)] {
        let world = applied(&[&[("incoming.port", "110")]]);
        declare(&world, &with(SERVER, &[IMAP, &[("incoming.port", declared)]].concat()));
        assert_eq!(port(&world), expected);
    }
    // Not declared on an overwrite is kept, as everywhere.
    let world = applied(&[]);
    declare(&world, IMAP);
    assert_eq!(port(&world), 110);
}

#[test]
fn amb_d3_no_limit_is_the_word_unlimited_and_the_product_s_own_on_its_screen() {
    let world = adding(&[&[("outgoing.max_message_size", "unlimited")]]);
    let (text, _) = bundle(&world);
    assert!(text.contains("(無制限)"), "{text}");
    world.expect(0, &["apply", "change.plan", "--yes", "-q"]);
    assert_eq!(shown(&world, "server/本社")["outgoing.max_message_size"], "unlimited");
}

/// The text of the document holds the words of its icons too: nobody is to look for them.
#[test]
fn amb_d4_the_screens_are_named_without_the_words_of_their_icons() {
    let (text, _) = bundle(&adding(&[AUTH]));
    let explained = World::new().expect(0, &["explain", "mailwise"]).stdout;
    for words in
        ["全般全般", "基本設定基本設定", "メールサーバーメールサーバー", "追加する追加する", "変更する変更する"]
    {
        assert!(!text.contains(words) && !explained.contains(words), "{words}");
    }
}

#[test]
fn amb_d5_apop_needs_pop3() {
    const ON: &Fields<'_> = &[("incoming.apop", "true")];
    const ERROR: &str = "error mailwise/apop incoming.apop";
    let world = adding(&[IMAP, ON]);
    assert_eq!(said(&world), [ERROR, INBOX_ALONE]);
    let message = problem(&world, "mailwise/apop")["message"].to_string();
    assert!(message.contains("003:60"), "{message}");
    assert_eq!(on_add(&[ON]), [""; 0]);
    assert_eq!(on_add(&[IMAP, &[("incoming.apop", "false")]]), [INBOX_ALONE]);
    let world = applied(&[ON]);
    declare(&world, IMAP);
    assert!(codes(&world).contains(&"error mailwise/apop".to_owned()));
}

/// SMTP-AUTH says how and with whose credentials (003:40-44).
#[test]
fn authentication_has_three_mechanisms_and_needs_one() {
    let on: &Fields<'_> = &[("outgoing.auth.enabled", "true")];
    let missing = ["error system/required outgoing.auth.credentials", "error system/required outgoing.auth.mechanism"];
    assert_eq!(on_add(&[on]), missing);
    assert_eq!(on_add(&[&[("outgoing.auth.enabled", "false")]]), [""; 0]);
    for mechanism in ["login", "plain", "cram-md5"] {
        assert_eq!(on_add(&[AUTH, &[("outgoing.auth.mechanism", mechanism)]]), [""; 0], "{mechanism}");
    }
    let world = adding(&[AUTH, &[("outgoing.auth.mechanism", "auto")]]);
    assert_eq!(said(&world), ["error system/value outgoing.auth.mechanism"]);
    let problem = problem(&world, "system/value");
    let words = format!("{} {}", problem["message"], problem["hint"]);
    for word in ["login", "plain", "cram-md5", "003:41", "generic"] {
        assert!(words.contains(word), "{words}");
    }
    let found = on_add(&[AUTH, &[("outgoing.auth.mechanism", "CRAM-MD5")]]);
    assert_eq!(found, ["error value/choice outgoing.auth.mechanism"]);
}

/// 送信までの待ち時間 is 0 to 5 seconds (003:50).
#[test]
fn the_wait_is_0_to_5_seconds_after_receiving() {
    let wait = |seconds| [("outgoing.pop_before_smtp", "true"), ("outgoing.pop_before_smtp_wait", seconds)];
    for seconds in ["0", "1", "2", "3", "4", "5"] {
        let world = applied(&[&wait(seconds)]);
        assert_eq!(shown(&world, "server/本社")["outgoing.pop_before_smtp_wait"], word(seconds));
    }
    for (wrong, code) in [
        ("6", "system/value"),
        ("10", "system/value"),
        ("-1", "value/range"),
        ("2秒", "value/type"),
        ("1.5", "value/type"),
    ] {
        assert_eq!(on_add(&[&wait(wrong)]), [format!("error {code} outgoing.pop_before_smtp_wait")], "{wrong}");
    }
    for alone in [&wait("3")[1..], &[("outgoing.pop_before_smtp", "false"), wait("3")[1]]] {
        let world = adding(&[alone]);
        assert_eq!(said(&world), ["warning system/no-effect outgoing.pop_before_smtp_wait"]);
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "server/本社").get("outgoing.pop_before_smtp_wait"), None);
    }
}

#[test]
fn what_the_product_has_no_setting_for_is_refused() {
    for (field, value) in [("supports_uidl", "true"), ("supports_uidl", "false")] {
        let world = adding(&[&[(field, value)]]);
        assert_eq!(said(&world), [format!("error system/not-expressible {field}")]);
        let hint = problem(&world, "system/not-expressible")["hint"].to_string();
        assert!(hint.contains("generic") && hint.contains("cybozu-office"), "{hint}");
    }
    assert_eq!(on_add(&[&[("product_id", "'192'")]]), ["error field/read-only product_id"]);
    for (host, code) in
        [("smtp.example.jp:25", "value/host"), ("smtp://example.jp", "value/host"), ("''", "value/empty")]
    {
        assert_eq!(on_add(&[&[("outgoing.host", host)]]), [format!("error {code} outgoing.host")], "{host}");
    }
    for host in ["10.0.1.55", "mailwise.server.co.jp", "2001:db8::25", "メール.example.jp"] {
        let world = applied(&[&[("outgoing.host", host)]]);
        assert_eq!(shown(&world, "server/本社")["outgoing.host"], host);
    }
}

/// A server that no file declares keeps its place, and new ones stand behind it (003:87).
#[test]
fn d_o1_a_server_that_no_file_declares_keeps_its_place() {
    let world = project("mailwise", "");
    list(&world, &["本社", "支店", "工場"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    list(&world, &["本社", "工場", "倉庫"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["本社", "支店", "工場", "倉庫"]);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    world.write("a.yaml", yaml("servers", "倉庫", &with(SERVER, &[("position", "2")])));
    assert_eq!(codes(&world), ["error server/position"]);
}

/// What must be there may not be taken away either.
#[test]
fn d_r4_what_is_required_stays_required() {
    let world = applied(&[]);
    declare(&world, &[("incoming.host", "null")]);
    assert_eq!(said(&world), ["error system/required incoming.host"]);
    declare(&world, &[("outgoing.auth.enabled", "true")]);
    let missing = ["outgoing.auth.credentials", "outgoing.auth.mechanism"];
    assert_eq!(said(&world), missing.map(|field| format!("error system/required {field}")));
}

/// A new order is one change, whatever the limit says of many.
#[test]
fn d_o3_a_new_order_is_one_overwrite_for_the_limits() {
    let world = project("mailwise", "policy: { max_overwrites: 1 }");
    list(&world, &["a", "b", "c", "d"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    list(&world, &["d", "a", "b", "c"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(order(&world), ["d", "a", "b", "c"]);
}
