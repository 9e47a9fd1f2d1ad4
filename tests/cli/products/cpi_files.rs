//! Document 002 by its files: what the product exports, what is handed over to it, and accounts
//! whose passwords it has changed by force.

use std::fmt::Write as _;
use std::path::Path;

use encoding_rs::SHIFT_JIS;
use serde_json::{Value as Json, json};

use super::cpi::{
    ALL, BS, FRESH, KWC, PASSWORD, POSTMASTER, SV, account, applied, changes_of, cpi, declare, effects, export_file,
    infos, refresh, said,
};
use crate::cli::{actions, mode, private, revision, shown, state};
use crate::support::World;

const REGISTER: &str = "mail_account,mail_password,comment,mail_capacity";
const EDIT: &str = "mail_account,password,mail_capacity";

/// A header as the plan of CPI has it: SV-Basic has no capacity (002:116, 151).
fn header(system: &str, full: &str) -> String {
    if system == SV { full.trim_end_matches(",mail_capacity").to_owned() } else { full.to_owned() }
}

/// Cells of a record, without the last one on SV-Basic.
fn record<'a>(system: &str, cells: &[&'a str]) -> Vec<&'a str> {
    let cut = usize::from(system == SV);
    cells[..cells.len() - cut].to_vec()
}

fn text(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is to be handed over for the plan as it is now, in a folder: saved as `plan.json`, and
/// checked for what holds of every hand-over.
#[track_caller]
pub fn hand_over(world: &World, format: &str, folder: &str) -> Json {
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    let run = world.expect(0, &["export", format, "--plan", "plan.json", "--out", folder]);
    let manifest: Json = serde_json::from_str(&text(world, &format!("{folder}/manifest.json"))).unwrap();
    assert_eq!(manifest["format_version"], 1);
    let mut listed = vec!["MANIFEST.md", "manifest.json"];
    let guide = text(world, &format!("{folder}/MANIFEST.md"));
    let mut at = 0;
    for file in manifest["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        listed.push(name);
        let secrets = file["secrets"].as_bool().unwrap();
        let path = format!("{folder}/{name}");
        if secrets {
            assert_eq!(mode(world, &path), 0o600, "{name}");
            assert!(run.stderr.contains("0600"), "{}", run.stderr);
        }
        let content = text(world, &path);
        assert!(secrets || ![PASSWORD, FRESH].iter().any(|secret| content.contains(*secret)), "{name}: {content}");
        // The guide names the files in their order.
        at += guide[at..].find(name).unwrap_or_else(|| panic!("{name} is not in place in {guide}"));
    }
    let mut found: Vec<String> = std::fs::read_dir(world.file(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    listed.sort_unstable();
    assert_eq!(found, listed, "the manifest lists what is there");
    for other in [&guide, &manifest.to_string(), &run.stdout, &run.stderr] {
        assert!(!other.contains(PASSWORD) && !other.contains(FRESH), "{other}");
    }
    manifest
}

#[track_caller]
pub fn bundle(world: &World, folder: &str) -> Json {
    hand_over(world, "bundle", folder)
}

/// Names of the files of a hand-over, of one format or of all, in the order of upload.
pub fn names(manifest: &Json, format: &str) -> Vec<String> {
    let files = manifest["files"].as_array().unwrap();
    let of_format = files.iter().filter(|file| format.is_empty() || file["format"] == format);
    of_format.map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

/// The records of a CSV, its header included.
pub fn records(world: &World, path: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(world.file(path)).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The records of all files of a format, whose headers and counts are checked.
#[track_caller]
fn rows(world: &World, folder: &str, manifest: &Json, format: &str, header: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for name in names(manifest, format) {
        let mut of_file = records(world, &format!("{folder}/{name}"));
        assert_eq!(of_file.remove(0).join(","), header, "{name}");
        let entry = manifest["files"].as_array().unwrap().iter().find(|file| file["name"] == *name).unwrap();
        assert_eq!(entry["rows"], of_file.len(), "{name}");
        assert_eq!(entry["secrets"], true, "{name}");
        all.extend(of_file);
    }
    all
}

#[track_caller]
fn registered(world: &World, folder: &str, manifest: &Json, system: &str) -> Vec<Vec<String>> {
    rows(world, folder, manifest, "cpi-register", &header(system, REGISTER))
}

#[track_caller]
fn edited(world: &World, folder: &str, manifest: &Json, system: &str) -> Vec<Vec<String>> {
    rows(world, folder, manifest, "cpi-edit", &header(system, EDIT))
}

/// The worksheet, in Markdown and in HTML.
#[track_caller]
pub fn worksheet(world: &World, folder: &str, manifest: &Json) -> [String; 2] {
    ["worksheet.md", "worksheet.html"].map(|end| {
        let all = names(manifest, "");
        let name = all.iter().find(|name| name.ends_with(end)).unwrap_or_else(|| panic!("no {end} in {all:?}"));
        text(world, &format!("{folder}/{name}"))
    })
}

fn has_worksheet(manifest: &Json) -> bool {
    names(manifest, "").iter().any(|name| name.contains("worksheet"))
}

/// YAML of `m000`, `m001` … without a comment.
fn many(system: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| account(system, &format!("m{number:03}"), "")).collect()
}

/// Records that the plan was carried out, which leaves nothing to do.
#[track_caller]
pub fn done(world: &World) {
    world.expect(0, &["apply", "plan.json", "-q"]);
    world.expect(0, &["plan", "--exit-code", "-q"]);
}

#[test]
fn c_o2_accounts_are_deleted_on_the_screen() {
    for system in ALL {
        let world = applied(system, &["keiri", "sales", "staff"].map(|name| account(system, name, "")));
        let tombstones = "  sales: { absent: true }\n  staff: { absent: true }\n".to_owned();
        declare(&world, &[account(system, "keiri", ""), tombstones]);
        let manifest = bundle(&world, "out");
        assert_eq!(names(&manifest, "cpi-register").len() + names(&manifest, "cpi-edit").len(), 0);
        for sheet in worksheet(&world, "out", &manifest) {
            assert!(sheet.contains("sales") && sheet.contains("staff") && !sheet.contains("keiri"), "{sheet}");
            assert!(sheet.contains("メールアカウント(管理者用)") && sheet.contains("削除"), "{sheet}");
        }
        done(&world);
    }
}

#[test]
fn c_o4_emptying_an_inbox_is_a_step_on_the_screen() {
    for system in ALL {
        let world = applied(system, &[account(system, "info", "")]);
        declare(&world, &[account(system, "info", "purge_mail: x1")]);
        let manifest = bundle(&world, "out");
        for sheet in worksheet(&world, "out", &manifest) {
            assert!(sheet.contains("info") && sheet.contains("メールデータの削除"), "{sheet}");
        }
        done(&world);
        assert!(!has_worksheet(&bundle(&world, "again")), "it happens once");
    }
}

#[test]
fn c_o5_capacity_and_comment_are_changed_on_the_screen() {
    for system in ALL {
        let world = applied(system, &[account(system, "info", "comment: 代表")]);
        let capacity = if system == SV { "" } else { "capacity: 20, " };
        declare(&world, &[account(system, "info", &format!("{capacity}comment: 総務"))]);
        let manifest = bundle(&world, "out");
        assert_eq!(names(&manifest, "cpi-edit"), [""; 0]);
        for sheet in worksheet(&world, "out", &manifest) {
            assert!(sheet.contains("info") && sheet.contains("コメント") && sheet.contains("総務"), "{sheet}");
            assert!(sheet.contains("アカウント詳細設定変更"), "{sheet}");
            assert_eq!(sheet.contains("設定容量"), system != SV, "{sheet}");
            assert!(sheet.contains("20") || system == SV, "{sheet}");
        }
        done(&world);
        assert_eq!(shown(&world, "account/info")["comment"], "総務");
    }
}

#[test]
fn c_o6_after_a_forced_change_a_new_password_is_handed_over() {
    for system in ALL {
        let world = marked(system);
        declare(&world, &[account(system, "info", &format!("password: {FRESH}"))]);
        let manifest = bundle(&world, "out");
        let expected = record(system, &["info", FRESH, "5"]);
        assert_eq!(edited(&world, "out", &manifest, system), [expected]);
        done(&world);
        assert_ne!(shown(&world, "account/info")["status"], "password_forced");
    }
}

#[test]
fn c_o7_accounts_are_registered_by_a_file() {
    for system in ALL {
        let world = cpi(system, "");
        declare(
            &world,
            &[account(system, "info", "comment: \"代表, \\\"総合\\\" 窓口\""), account(system, "sales", "")],
        );
        let manifest = bundle(&world, "out");
        assert_eq!(names(&manifest, ""), ["1-cpi-register-01.csv"]);
        assert_eq!(
            registered(&world, "out", &manifest, system),
            [
                record(system, &["info", PASSWORD, "代表, \"総合\" 窓口", "5"]),
                record(system, &["sales", PASSWORD, "", "5"]),
            ]
        );
        // The same plan is the same bytes.
        let again = bundle(&world, "again");
        assert_eq!(again, manifest);
        for name in ["1-cpi-register-01.csv", "MANIFEST.md", "manifest.json"] {
            assert_eq!(text(&world, &format!("out/{name}")), text(&world, &format!("again/{name}")), "{name}");
        }
        done(&world);
        // Nothing is left to hand over.
        assert_eq!(names(&bundle(&world, "empty"), ""), [""; 0]);
    }
}

#[test]
fn c_o8_passwords_are_changed_by_a_file() {
    for system in ALL {
        let world = applied(system, &["info", "sales"].map(|name| account(system, name, "")));
        declare(&world, &[account(system, "info", &format!("password: {FRESH}")), account(system, "sales", "")]);
        assert_eq!(infos(&world), ["info cpi/mail-clients password"]);
        let manifest = bundle(&world, "out");
        assert_eq!(names(&manifest, "cpi-register"), [""; 0]);
        assert_eq!(edited(&world, "out", &manifest, system), [record(system, &["info", FRESH, "5"])]);
        assert!(!has_worksheet(&manifest));
        let guide = text(&world, "out/MANIFEST.md");
        assert!(says(&guide, &["002:81", "mail client", "メールソフト"]), "{guide}");
        done(&world);
    }
    // A new capacity goes along with a new password.
    let world = applied(BS, &[account(BS, "info", "")]);
    declare(&world, &[account(BS, "info", &format!("password: {FRESH}, capacity: 50"))]);
    let manifest = bundle(&world, "out");
    assert_eq!(edited(&world, "out", &manifest, BS), [["info", FRESH, "50"]]);
    assert!(!has_worksheet(&manifest));
    done(&world);
}

#[test]
fn c_o9_a_refresh_takes_an_export_into_an_empty_store() {
    for system in ALL {
        let world = cpi(system, "");
        let records =
            ["info,,\"代表, 総合\",1204,1,1,0,1,5", POSTMASTER, "sales,,営業,0,0,0,1,0,100", "0120,,,7,0,0,0,1,1"];
        world.write("export.txt", "\u{feff}".to_owned() + &export_file(system, &records));
        // It shows what it found, and asks.
        let plan = world.json(4, &["refresh", "cpi-export", "export.txt"]);
        let all = ["add account/0120", "add account/info", "add account/postmaster", "add account/sales"];
        assert_eq!(actions(&plan), all);
        assert!(!world.file("yubin.db").exists());
        world.expect(4, &["refresh", "cpi-export", "export.txt"]);
        world.expect(0, &["refresh", "cpi-export", "export.txt", "--yes"]);
        let info = shown(&world, "account/info");
        for (field, value) in [
            ("comment", json!("代表, 総合")),
            ("mailbox_size", json!("1204")),
            ("spam.tag_subject", json!(true)),
            ("forward.enabled", json!(true)),
            ("auto_reply.enabled", json!(false)),
            ("receive.enabled", json!(true)),
            ("capacity", if system == SV { Json::Null } else { json!(5) }),
            ("password", Json::Null),
        ] {
            assert_eq!(info[field], value, "{system} {field}");
        }
        // Nobody owns what was found; the second time there is nothing new.
        assert!(state(&world).as_array().unwrap().iter().all(|one| one["owner"].is_null()));
        let before = revision(&world);
        world.expect(0, &["refresh", "cpi-export", "export.txt"]);
        assert_eq!(revision(&world), before);
    }
}

#[test]
fn c_o9_a_refresh_of_a_filled_store_shows_the_drift() {
    for system in ALL {
        let world = cpi(system, "");
        let more = "comment: 代表, forward: { enabled: true, to: [taro@example.jp] }, spam.tag_subject: true, receive.enabled: true";
        declare(&world, &[account(system, "info", more), account(system, "sales", "")]);
        world.expect(0, &["apply", "--yes", "-q"]);
        let records = ["info,,総務,9,1,0,0,1,5", POSTMASTER];
        world.write("export.txt", export_file(system, &records));
        let plan = world.json(4, &["refresh", "cpi-export", "export.txt"]);
        let expected = ["overwrite account/info", "add account/postmaster", "delete account/sales"];
        assert_eq!(actions(&plan), expected);
        let comment = json!({ "field": "comment", "before": "代表", "after": "総務" });
        let forward = json!({ "field": "forward.enabled", "before": true, "after": false });
        let drift = changes_of(&plan, "account/info");
        assert!(drift.contains(&&comment) && drift.contains(&&forward), "{plan}");
        // What did not change is no drift, and what no export shows is not touched.
        let told: Vec<&str> = drift.iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert!(!told.contains(&"spam.tag_subject") && !told.contains(&"forward.to"), "{told:?}");
        let shown_to_people = world.expect(4, &["refresh", "cpi-export", "export.txt"]).stdout;
        for word in ["account/info", "代表", "総務", "account/sales"] {
            assert!(shown_to_people.contains(word), "{word}: {shown_to_people}");
        }
        assert_eq!(effects(&plan), [""; 0], "what the product has done already is not done again");
        world.expect(0, &["refresh", "cpi-export", "export.txt", "--yes", "-q"]);
        let info = shown(&world, "account/info");
        assert_eq!(info["comment"], "総務");
        assert_eq!(info["forward.to"], json!(["taro@example.jp"]));
        let people = world.expect(0, &["show", "account/info"]).stdout;
        let line = people.lines().find(|line| line.contains("forward.to")).unwrap();
        assert!(line.contains("observ"), "no export shows it, and `show` says so: {line}");
        // The files say how it is to be; they win in the next plan.
        let plan = world.json(0, &["plan"]);
        assert_eq!(actions(&plan), ["overwrite account/info", "add account/sales"]);
    }
}

#[test]
fn c_o10_switches_are_set_on_the_screen_under_the_names_that_it_has() {
    for system in ALL {
        let sort = if system == SV { "" } else { ", sort: true" };
        let switches = format!(
            "forward: {{ enabled: true, to: [taro@example.jp, hanako@example.jp] }}, auto_reply: {{ enabled: true, subject: 休業のお知らせ, body: \"三日まで\\n休みます <b>A&B</b>\\n\" }}, spam: {{ tag_subject: true{sort} }}, receive.enabled: false"
        );
        let world = applied(system, &[account(system, "info", "")]);
        // On an account that exists, and on one that is registered by a file first.
        declare(&world, &[account(system, "info", &switches), account(system, "sales", &switches)]);
        let manifest = bundle(&world, "out");
        assert_eq!(registered(&world, "out", &manifest, system), [record(system, &["sales", PASSWORD, "", "5"])]);
        assert_eq!(names(&manifest, "cpi-edit"), [""; 0]);
        let [markdown, html] = worksheet(&world, "out", &manifest);
        for sheet in [&markdown, &html] {
            for word in ["info", "sales", "転送", "自動応答", "件名表示", "taro@example.jp", "hanako@example.jp"]
            {
                assert!(sheet.contains(word), "{word}: {sheet}");
            }
            for word in ["休業のお知らせ", "三日まで", "休みます", if system == SV { "POP" } else { "メール受信" }]
            {
                assert!(sheet.contains(word), "{word}: {sheet}");
            }
            assert_eq!(sheet.contains("スパムメール自動振分"), system != SV, "{sheet}");
        }
        // To be ticked off, on the screen and on paper, without anything from elsewhere.
        assert!(markdown.contains("- [ ]"), "{markdown}");
        assert!(html.contains("checkbox") && html.contains("<html") && html.to_lowercase().contains("utf-8"), "{html}");
        assert!(html.contains("&lt;b&gt;A&amp;B&lt;/b&gt;") && !html.contains("<b>A"), "{html}");
        assert!(!html.contains("<link") && !html.contains("src=") && !html.contains("url("), "{html}");
        done(&world);
    }
}

#[test]
fn c_r3_one_wrong_account_and_nothing_is_handed_over() {
    for system in ALL {
        let world = cpi(system, "");
        declare(&world, &many(system, 3));
        world.expect(0, &["plan", "--out", "plan.json", "-q"]);
        declare(&world, &[many(system, 3), vec![account(system, "info", "password: short1")]].concat());
        world.expect(3, &["export", "bundle", "--plan", "plan.json", "--out", "out"]);
        assert!(!world.file("out").exists());
    }
}

/// Whether a text says something in one of these ways.
fn says(text: &str, ways: &[&str]) -> bool {
    ways.iter().any(|words| text.contains(*words))
}

#[test]
fn c_r4_more_than_50_accounts_are_several_files() {
    for system in [BS, KWC] {
        let world = cpi(system, "");
        declare(&world, &many(system, 120));
        let manifest = bundle(&world, "out");
        assert_eq!(names(&manifest, ""), ["1-cpi-register-01.csv", "1-cpi-register-02.csv", "1-cpi-register-03.csv"]);
        let counts: Vec<&Json> = manifest["files"].as_array().unwrap().iter().map(|file| &file["rows"]).collect();
        assert_eq!(counts, [50, 50, 20]);
        let found: Vec<String> =
            registered(&world, "out", &manifest, system).into_iter().map(|mut row| row.swap_remove(0)).collect();
        let expected: Vec<String> = (0..120).map(|number| format!("m{number:03}")).collect();
        assert_eq!(found, expected);
        let guide = text(&world, "out/MANIFEST.md");
        // What the files, all or nothing each, may leave half done.
        assert!(says(&guide, &["002:132", "002:133", "all or nothing", "all-or-nothing"]), "{guide}");
        done(&world);
        // 50 are one file, 51 are two.
        for (count, files) in [(50, 1), (51, 2)] {
            let world = cpi(system, "");
            declare(&world, &many(system, count));
            assert_eq!(names(&bundle(&world, "out"), "").len(), files, "{count}");
        }
    }
}

#[test]
fn c_r5_only_accounts_that_are_proven_present_are_edited() {
    for system in ALL {
        let world = applied(system, &["info", "sales", "staff"].map(|name| account(system, name, "")));
        // The product ignores an unknown account without a word (002:171): yubin may not hand one over.
        refresh(&world, system, &["info,,,0,0,0,0,1,5", POSTMASTER, "staff,,,0,0,0,0,1,5"]);
        let fresh = format!("password: {FRESH}");
        declare(&world, &["info", "sales", "staff"].map(|name| account(system, name, &fresh)));
        let manifest = bundle(&world, "out");
        let edited = edited(&world, "out", &manifest, system);
        assert_eq!(edited, ["info", "staff"].map(|name| record(system, &[name, FRESH, "5"])));
        let expected = record(system, &["sales", FRESH, "", "5"]);
        assert_eq!(registered(&world, "out", &manifest, system), [expected]);
        done(&world);
    }
}

/// Each format alone, and the two that are uploaded together.
#[test]
fn c_r5_a_hand_over_of_one_format_holds_nothing_else() {
    let world = applied(BS, &[account(BS, "info", ""), account(BS, "sales", "")]);
    let changed = [
        account(BS, "info", &format!("password: {FRESH}")),
        account(BS, "sales", "comment: 営業"),
        account(BS, "staff", ""),
    ];
    declare(&world, &changed);
    for (format, formats) in [
        ("cpi-register", &["cpi-register"][..]),
        ("cpi-edit", &["cpi-edit"]),
        ("cpi", &["cpi-register", "cpi-edit"]),
        ("worksheet", &["worksheet", "worksheet"]),
        ("bundle", &["cpi-register", "cpi-edit", "worksheet", "worksheet"]),
    ] {
        let manifest = hand_over(&world, format, &format!("out-{format}"));
        let found: Vec<&Json> = manifest["files"].as_array().unwrap().iter().map(|file| &file["format"]).collect();
        assert_eq!(found, formats, "{format}");
    }
    assert_eq!(
        names(&bundle(&world, "all"), ""),
        ["1-cpi-register-01.csv", "2-cpi-edit-01.csv", "3-worksheet.md", "3-worksheet.html"]
    );
    // Formats of other products are not for this one.
    for format in ["catchme-mail", "cybozu-office-accounts"] {
        assert_ne!(world.run(&["export", format, "--plan", "plan.json", "--out", "other"]).code, 0);
        assert!(!world.file("other").exists(), "{format}");
    }
}

/// What is handed over is what was planned, or nothing.
#[test]
fn a_plan_that_has_lapsed_is_not_handed_over() {
    let world = cpi(BS, "");
    private(&world, "pw", PASSWORD);
    declare(&world, &[account(BS, "info", "password: { file: pw }")]);
    let refused = |why: &str| {
        world.expect(5, &["export", "bundle", "--plan", "plan.json", "--out", "out"]);
        assert!(!world.file("out").exists(), "{why}");
    };
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    private(&world, "pw", FRESH);
    refused("the password is another");
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    declare(&world, &[account(BS, "info", "password: { file: pw }, comment: 代表")]);
    refused("the files are others");
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    refused("it has been applied");
    assert_ne!(world.run(&["export", "bundle", "--out", "out"]).code, 0, "a bundle is of a plan");
    assert!(!world.file("out").exists());
}

/// A file that is not what it should be: nothing is written, whatever is wrong with it.
#[track_caller]
fn refuses(world: &World, bytes: impl AsRef<[u8]>, code: &str) {
    world.write("export.txt", bytes);
    let before = world.file("yubin.db").exists().then(|| state(world));
    let document = world.json(3, &["refresh", "cpi-export", "export.txt", "--yes"]);
    let first = &document["diagnostics"][0];
    assert_eq!(first["severity"], "error");
    assert!(first["file"].as_str().unwrap().ends_with("export.txt"), "{first}");
    assert!(code.is_empty() || first["code"] == code, "{code}: {first}");
    let run = world.expect(3, &["refresh", "cpi-export", "export.txt", "--yes"]);
    assert!(run.stderr.contains("export.txt"), "{}", run.stderr);
    match before {
        Some(before) => assert_eq!(state(world), before),
        None => assert!(!world.file("yubin.db").exists()),
    }
}

#[test]
fn c_r7_and_amb_c5_a_refresh_reads_exports_and_nothing_else() {
    for system in ALL {
        let empty = cpi(system, "");
        let filled = applied(system, &[account(system, "info", "comment: 代表")]);
        for world in [&empty, &filled] {
            let good = export_file(system, &["info,,総務,1,0,0,0,1,5", POSTMASTER]);
            let lines: Vec<&str> = good.lines().collect();
            // Headers: of the two other files, of another plan, none at all.
            refuses(world, good.replace(lines[0], &header(system, REGISTER)), "csv/header");
            refuses(world, good.replace(lines[0], &header(system, EDIT)), "csv/header");
            let other = export_file(if system == SV { BS } else { SV }, &["info,,総務,1,0,0,0,1,5"]);
            refuses(world, other, "csv/header");
            refuses(world, lines[1..].join("\r\n"), "csv/header");
            refuses(world, "", "");
            // Records: an account twice, a cell too few, a cell too many, no flag, no name.
            refuses(world, format!("{good}{}\r\n", lines[1]), "resource/duplicate");
            refuses(world, good.replace(lines[2], "postmaster,,,0"), "csv/columns");
            refuses(world, good.replace(lines[2], &format!("{},x", lines[2])), "csv/columns");
            refuses(world, good.replace(",1,0,0,0,1", ",1,0,2,0,1"), "");
            refuses(world, good.replace("info,", ","), "");
            refuses(world, good.replace("総務", "\"総務"), "csv/quote");
            // Bytes.
            let (shift_jis, _, _) = SHIFT_JIS.encode(&good);
            refuses(world, &shift_jis, "file/encoding");
            let args = ["refresh", "cpi-export", "export.txt", "--yes", "-q", "--encoding"];
            world.expect(64, &[&args[..], &["klingon"]].concat());
            world.expect(0, &[&args[..], &["shift_jis"]].concat());
            assert_eq!(shown(world, "account/info")["comment"], "総務");
        }
        // Another product's file is not for this one.
        assert_ne!(empty.run(&["refresh", "cybozu-office-accounts", "export.txt", "--yes"]).code, 0);
    }
    // Records end as they like.
    for end in ["\n", "\r"] {
        let world = cpi(BS, "");
        world.write("export.txt", export_file(BS, &[POSTMASTER]).replace("\r\n", end));
        world.expect(0, &["refresh", "cpi-export", "export.txt", "--yes"]);
    }
    let world = cpi(BS, "");
    assert_ne!(world.run(&["refresh", "cpi-export", "missing.txt", "--yes"]).code, 0);
}

/// The sheets of an office in the forms of 002:111-116 and 002:147-151, read by `import`.
#[test]
fn c_r7_and_amb_c5_a_file_is_read_by_its_own_header_alone() {
    let folder = World::new();
    let import = |format: &str, bytes: &[u8], code: i32| {
        folder.write("sheet.csv", bytes);
        let run = folder.expect(code, &["import", format, "sheet.csv", "--out", "out.yaml"]);
        if code != 0 {
            assert!(run.stderr.contains("sheet.csv"), "{}", run.stderr);
            assert!(!folder.file("out.yaml").exists(), "{format}");
            return String::new();
        }
        let yaml = text(&folder, "out.yaml");
        folder.remove("out.yaml");
        yaml
    };
    let sheet = |header: &str, count: usize| {
        let mut text = format!("{header}\r\n");
        for number in 0..count {
            let cells = if header == EDIT {
                format!("m{number:03},{PASSWORD},5")
            } else {
                format!("m{number:03},{PASSWORD},,5")
            };
            writeln!(text, "{cells}\r").unwrap();
        }
        text.into_bytes()
    };
    let yaml = import("cpi-register", &sheet(REGISTER, 50), 0);
    assert!(yaml.contains("m049") && yaml.contains("capacity: 5") && !yaml.contains(PASSWORD), "{yaml}");
    // The 51st sinks the whole file (002:130-133).
    import("cpi-register", &sheet(REGISTER, 51), 3);
    // SV-Basic: no such limit is stated.
    let basic = String::from_utf8(sheet(REGISTER, 51)).unwrap().replace(",mail_capacity", "").replace(",,5", ",");
    import("cpi-register", basic.as_bytes(), 0);
    let export = export_file(BS, &["info,,代表,1,0,0,0,1,5"]);
    import("cpi-register", export.as_bytes(), 3);
    import("cpi-register", &sheet(EDIT, 1), 3);
    import("cpi-register", &sheet(REGISTER, 1)[REGISTER.len() + 2..], 3);
    import("cpi-register", format!("{REGISTER}\r\ninfo,{PASSWORD},,5\r\ninfo,{PASSWORD},,5\r\n").as_bytes(), 3);
    import("cpi-register", format!("{REGISTER}\r\ninfo,,,5\r\n").as_bytes(), 3);
    import("cpi-register", &SHIFT_JIS.encode(&format!("{REGISTER}\r\ninfo,{PASSWORD},代表,5\r\n")).0, 3);
    // The pair of headers that differ by a word.
    import("cpi-edit", &sheet(EDIT, 3), 0);
    import("cpi-edit", &sheet("mail_account,mail_password,mail_capacity", 1), 3);
    import("cpi-edit", &sheet(REGISTER, 1), 3);
    import("cpi-edit", export.as_bytes(), 3);
}

/// A world whose `info` the provider has taken in hand.
fn marked(system: &str) -> World {
    let world = applied(system, &[account(system, "info", "")]);
    world.expect(0, &["mark", "account/info", "password_forced"]);
    world
}

#[test]
fn c_r9_a_forced_change_is_marked_until_the_password_is_a_new_one() {
    for system in ALL {
        let world = marked(system);
        assert_eq!(shown(&world, "account/info")["status"], "password_forced");
        assert_eq!(said(&world, 3), ["error cpi/forced-password password"]);
        world.expect(3, &["apply", "--yes"]);
        // The provider's part can be taken back if it was a mistake.
        world.expect(0, &["mark", "account/info", "normal"]);
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
        world.expect(0, &["mark", "account/info", "password_forced"]);
        declare(&world, &[account(system, "info", &format!("password: {FRESH}"))]);
        assert_eq!(said(&world, 0), [""; 0]);
        assert_eq!(infos(&world), ["info cpi/mail-clients password"]);
        let plan = world.json(0, &["plan"]);
        let fields: Vec<&Json> = changes_of(&plan, "account/info").into_iter().map(|one| &one["field"]).collect();
        assert_eq!(fields, ["password", "status"]);
        assert_eq!(changes_of(&plan, "account/info")[1]["before"], "password_forced");
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_ne!(shown(&world, "account/info")["status"], "password_forced");
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    }
    let world = marked(BS);
    let before = state(&world);
    assert_ne!(world.run(&["mark", "account/nobody", "password_forced"]).code, 0);
    world.expect(64, &["mark", "account/info", "forced"]);
    // No file says what the provider has done.
    declare(&world, &[account(BS, "info", "status: normal")]);
    assert!(said(&world, 3).contains(&"error field/read-only status".to_owned()));
    assert_eq!(state(&world), before);
}

/// The record of an account is what was applied last, byte for byte, and yet may not pass.
#[test]
fn c_r9_a_record_that_has_not_changed_is_looked_at_all_the_same() {
    let world = cpi(BS, "");
    world.write("people.csv", format!("name,password,capacity\ninfo,{PASSWORD},5\nsales,{PASSWORD},5\n"));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["mark", "account/info", "password_forced"]);
    assert_eq!(said(&world, 3), ["error cpi/forced-password password"]);
    private(&world, "pw", PASSWORD);
    world.write("people.csv", "name,password,capacity\ninfo,${file:pw},5\n");
    assert_eq!(said(&world, 3), ["error cpi/forced-password password"], "wherever it comes from");
}

#[test]
fn c_r10_the_old_password_and_its_like_are_refused() {
    let world = marked(BS);
    let like = ["kX7.mQ2-wZ9b", "kX7.mQ2-wZ9a1", "1kX7.mQ2-wZ9a", "KX7.MQ2-WZ9A", "kX7_mQ2-wZ9a"];
    for password in [&[PASSWORD][..], &like].concat() {
        declare(&world, &[account(BS, "info", &format!("password: {password}"))]);
        assert_eq!(said(&world, 3), ["error cpi/forced-password password"], "{password}");
        let run = world.expect(3, &["apply", "--yes"]);
        assert!(!run.stderr.contains(password) && !run.stderr.contains(PASSWORD), "{}", run.stderr);
    }
    // Without the mark each of them may be set.
    world.expect(0, &["mark", "account/info", "normal"]);
    for password in like {
        declare(&world, &[account(BS, "info", &format!("password: {password}"))]);
        assert_eq!(said(&world, 0), [""; 0], "{password}");
    }
}

#[test]
fn c_r10_an_abused_password_never_comes_back() {
    let world = marked(BS);
    declare(&world, &[account(BS, "info", &format!("password: {FRESH}"))]);
    world.expect(0, &["apply", "--yes", "-q"]);
    declare(&world, &[account(BS, "info", "")]);
    assert_eq!(said(&world, 3), ["error cpi/forced-password password"], "the old one again");
    let run = world.expect(4, &["undo", "3", "--yes"]);
    assert!(run.stderr.contains("002:100"), "{}", run.stderr);
}

#[test]
fn c_o4_an_inbox_is_emptied_once_for_each_id() {
    let world = applied(BS, &[account(BS, "info", "")]);
    for (id, effects) in [("a", 1), ("b", 1), ("a", 0), ("b", 0), ("c", 1)] {
        declare(&world, &[account(BS, "info", &format!("purge_mail: {id}"))]);
        let plan = world.json(0, &["plan"]);
        assert_eq!(plan["effects"].as_array().unwrap().len(), effects, "{id}");
        world.expect(0, &["apply", "--yes", "-q"]);
    }
    let undo = world.json(4, &["undo", "6"]);
    assert_eq!(actions(&undo), ["overwrite account/info"]);
    assert!(undo["effects"].as_array().is_none_or(Vec::is_empty), "{undo:#}");
}

#[test]
fn amb_c8_what_anybody_would_try_first_is_refused_after_a_forced_change() {
    for known in [true, false] {
        // The old password is known, or the account was only ever seen in an export.
        let world = cpi(BS, "");
        refresh(&world, BS, &["info,,,0,0,0,0,1,5", POSTMASTER]);
        if known {
            declare(&world, &[account(BS, "info", "")]);
            world.expect(0, &["apply", "--yes", "-q"]);
        }
        world.expect(0, &["mark", "account/info", "password_forced"]);
        for password in ["password1", "qwerty123", "abcd1234", "info2026"] {
            declare(&world, &[account(BS, "info", &format!("password: {password}"))]);
            assert_eq!(said(&world, 3), ["error cpi/forced-password password"], "{password}");
        }
        declare(&world, &[account(BS, "info", &format!("password: {FRESH}"))]);
        assert_eq!(said(&world, 0), [""; 0]);
    }
    // Where nothing was forced it is a matter of taste.
    let world = cpi(BS, "");
    declare(&world, &[account(BS, "info", "password: password1")]);
    assert_eq!(said(&world, 0), [""; 0]);
}

#[test]
fn c_r14_large_sets_take_time_and_the_manifest_says_so() {
    let world = cpi(BS, "");
    declare(&world, &many(BS, 300));
    let manifest = bundle(&world, "out");
    assert_eq!(names(&manifest, "cpi-register").len(), 6);
    assert_eq!(registered(&world, "out", &manifest, BS).len(), 300);
    let guide = text(&world, "out/MANIFEST.md");
    assert!(says(&guide, &["002:124", "takes time", "take time", "時間"]), "{guide}");
    done(&world);
}

#[test]
fn c_r16_every_row_of_an_edit_file_has_all_that_it_must_have() {
    for system in ALL {
        let names: Vec<String> = (0..60).map(|number| format!("m{number:03}")).collect();
        let declared = |more: &dyn Fn(usize) -> String| -> Vec<String> {
            names.iter().enumerate().map(|(at, name)| account(system, name, &more(at))).collect()
        };
        let world = applied(system, &declared(&|_| String::new()));
        // Of every third the password changes, of every other third the comment.
        declare(
            &world,
            &declared(&|at| match at % 3 {
                0 => format!("password: {FRESH}"),
                1 => "comment: 営業".to_owned(),
                _ => String::new(),
            }),
        );
        let manifest = bundle(&world, "out");
        let expected: Vec<Vec<&str>> =
            names.iter().step_by(3).map(|name| record(system, &[name, FRESH, "5"])).collect();
        assert_eq!(edited(&world, "out", &manifest, system), expected);
        for sheet in worksheet(&world, "out", &manifest) {
            assert!(sheet.contains("m001") && !sheet.contains("m000") && !sheet.contains("m002"), "{sheet}");
        }
        done(&world);
    }
}

#[test]
fn amb_c1_the_way_to_create_an_account_deletes_none() {
    let world = cpi(BS, "");
    declare(&world, &[account(BS, "info", "")]);
    bundle(&world, "out");
    let guide = text(&world, "out/MANIFEST.md");
    assert!(guide.contains("一括登録") && !guide.contains("【×】"), "{guide}");
}

#[test]
fn amb_c3_a_capacity_alone_is_not_changed_by_a_file() {
    for system in [BS, KWC] {
        let world = applied(system, &["info", "sales", "staff"].map(|name| account(system, name, "")));
        declare(
            &world,
            &[
                account(system, "info", "capacity: 20"),
                account(system, "sales", &format!("password: {FRESH}")),
                account(system, "staff", ""),
            ],
        );
        let manifest = bundle(&world, "out");
        // No cell is left empty to keep a value: that would be an error (002:168).
        assert_eq!(edited(&world, "out", &manifest, system), [["sales", FRESH, "5"]]);
        for sheet in worksheet(&world, "out", &manifest) {
            assert!(sheet.contains("info") && sheet.contains("設定容量") && sheet.contains("20"), "{sheet}");
            assert!(!sheet.contains("sales") && !sheet.contains("staff"), "{sheet}");
        }
        done(&world);
    }
}

#[test]
fn amb_c4_what_exists_is_edited_and_what_does_not_is_registered() {
    for system in ALL {
        let world = cpi(system, "");
        refresh(&world, system, &["info,,代表,0,0,0,0,1,5", POSTMASTER]);
        declare(&world, &["info", "sales"].map(|name| account(system, name, "")));
        assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/info", "add account/sales"]);
        let manifest = bundle(&world, "out");
        assert_eq!(edited(&world, "out", &manifest, system), [record(system, &["info", PASSWORD, "5"])]);
        let expected = record(system, &["sales", PASSWORD, "", "5"]);
        assert_eq!(registered(&world, "out", &manifest, system), [expected]);
        done(&world);
        // What has just been registered exists from now on.
        declare(&world, &["info", "sales"].map(|name| account(system, name, &format!("password: {FRESH}"))));
        let manifest = bundle(&world, "next");
        assert_eq!(names(&manifest, "cpi-register"), [""; 0]);
        assert_eq!(edited(&world, "next", &manifest, system).len(), 2);
    }
}

#[test]
fn amb_c5_each_of_the_three_files_has_its_own_header() {
    for (system, register, edit) in [
        (BS, "mail_account,mail_password,comment,mail_capacity", "mail_account,password,mail_capacity"),
        (KWC, "mail_account,mail_password,comment,mail_capacity", "mail_account,password,mail_capacity"),
        (SV, "mail_account,mail_password,comment", "mail_account,password"),
    ] {
        let world = applied(system, &[account(system, "info", "")]);
        declare(&world, &[account(system, "info", &format!("password: {FRESH}")), account(system, "sales", "")]);
        bundle(&world, "out");
        for (name, header) in [("1-cpi-register-01.csv", register), ("2-cpi-edit-01.csv", edit)] {
            assert_eq!(text(&world, &format!("out/{name}")).lines().next(), Some(header), "{system}");
        }
    }
}

#[test]
fn amb_c7_no_limit_is_asserted_of_sv_basic_and_one_can_be_set() {
    let world = cpi(SV, "");
    declare(&world, &many(SV, 120));
    let manifest = bundle(&world, "out");
    assert_eq!(names(&manifest, ""), ["1-cpi-register-01.csv"]);
    assert_eq!(registered(&world, "out", &manifest, SV).len(), 120);
    for (system, rows, files) in [(SV, 50, 3), (BS, 20, 6)] {
        let world = cpi(system, &format!("rules: {{ register_rows: {rows} }}\n"));
        declare(&world, &many(system, 120));
        let manifest = bundle(&world, "out");
        assert_eq!(names(&manifest, "").len(), files, "{system}");
        assert_eq!(manifest["files"][0]["rows"], rows);
        assert_eq!(registered(&world, "out", &manifest, system).len(), 120);
    }
}

#[test]
fn amb_c10_postmaster_may_be_forced_and_gets_a_new_password_like_others() {
    for system in ALL {
        let world = cpi(system, "");
        refresh(&world, system, &[POSTMASTER]);
        declare(&world, &[account(system, "postmaster", "")]);
        world.expect(0, &["apply", "--yes", "-q"]);
        world.expect(0, &["mark", "account/postmaster", "password_forced"]);
        assert_eq!(said(&world, 3), ["error cpi/forced-password password"]);
        declare(&world, &[account(system, "postmaster", &format!("password: {FRESH}"))]);
        let manifest = bundle(&world, "out");
        let expected = record(system, &["postmaster", FRESH, "5"]);
        assert_eq!(edited(&world, "out", &manifest, system), [expected]);
        done(&world);
    }
}

/// The examples of all plans of CPI: every file that they name is read, and none is wrong.
#[test]
fn the_examples_are_free_of_errors_and_warnings() {
    for system in ALL {
        let world = World::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(system));
        assert_eq!(super::cpi::checked(&world, 0), [""; 0], "{system}");
    }
}

/// The guide says when nothing proves which accounts exist (AMB-C4).
#[test]
fn amb_c4_a_guide_says_that_nothing_was_compared() {
    let guide = |world: &World, out: &str| {
        world.expect(0, &["plan", "--out", "p", "-q"]);
        world.expect(0, &["export", "bundle", "--plan", "p", "--out", out, "-q"]);
        std::fs::read_to_string(world.file(&format!("{out}/MANIFEST.md"))).unwrap()
    };
    let world = cpi(BS, "");
    declare(&world, &[account(BS, "info", "")]);
    assert!(guide(&world, "one").contains("No export of the product was ever compared"));
    refresh(&world, BS, &["sales,,,0,0,0,0,1,5", POSTMASTER]);
    assert!(!guide(&world, "two").contains("was ever compared"));
}
