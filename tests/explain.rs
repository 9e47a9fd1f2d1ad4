//! `yubin explain`: what the tables say, to administrators, editors and readers of `docs/systems/`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::World;

fn explained(args: &[&str]) -> Json {
    World::new().json(0, &[&["explain"], args].concat())
}

fn text(args: &[&str]) -> String {
    World::new().expect(0, &[&["explain"], args].concat()).stdout
}

fn field<'a>(explained: &'a Json, name: &str) -> &'a Json {
    explained["fields"].as_array().unwrap().iter().find(|one| one["field"] == name).unwrap()
}

#[test]
fn the_pages_are_those_that_the_program_generates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems");
    let world = World::new();
    world.expect(0, &["explain", "--out", "."]);
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names(&folder), names(world.path()), "run `yubin explain --out docs/systems`");
    for name in names(&folder) {
        let kept = std::fs::read_to_string(folder.join(&name)).unwrap();
        let fresh = std::fs::read_to_string(world.file(&name)).unwrap();
        assert!(kept == fresh, "docs/systems/{name} is stale: run `yubin explain --out docs/systems`");
    }
}

/// Every line that a row quotes stands on the page and in the explanation, and so does its source.
#[test]
fn every_row_and_every_rule_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems");
    for system in yubin::system::ALL {
        let page = std::fs::read_to_string(folder.join(format!("{}.md", system.name))).unwrap();
        let terminal = text(&[system.name]);
        for told in [&page, &terminal] {
            for rule in system.rules {
                for part in [rule.field, rule.quote, rule.source, rule.note] {
                    assert!(told.contains(part), "{}: {part}", system.name);
                }
            }
            for check in yubin::check::of(system.name) {
                assert!(told.contains(check.id) && told.contains(check.source), "{}: {}", system.name, check.id);
            }
            for (source, _, quote) in system.notes.iter().flat_map(|note| note.lines) {
                assert!(told.contains(source) && told.contains(quote), "{}: {source}", system.name);
            }
        }
    }
}

#[test]
fn a_field_is_told_with_its_screen_its_words_its_line_and_its_doubts() {
    const WAIT: &str = "outgoing.pop_before_smtp_wait";
    let told = text(&["mailwise", WAIT]);
    assert_eq!(told, text(&[WAIT, "mailwise"]));
    for part in [
        "one of 0, 1, 2, 3, 4, 5",
        "effective only if outgoing.pop_before_smtp is true",
        "送信メールサーバー(SMTP) 送信までの待ち時間",
        "003:50, unverified",
        "「POP3認証からメールの送信が実行されるまでの時間を設定します。 0 秒/ 1秒/ 2秒/ 3秒/ 4秒/ 5秒 から選択できます。」",
        "unobservable",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let row = &explained(&["mailwise", WAIT])["fields"][0];
    assert_eq!(row["values"], json!([0, 1, 2, 3, 4, 5]));
    assert_eq!(row["only_when"], json!({ "field": "outgoing.pop_before_smtp", "value": "true" }));
    assert_eq!((&row["verified"], &row["observable"], &row["required"]), (&false.into(), &false.into(), &false.into()));
    assert_eq!(row["screen"], "送信メールサーバー(SMTP) 送信までの待ち時間");
    assert!(row["quote"].as_str().unwrap().starts_with("POP3認証から"));
}

#[test]
fn conditions_fixed_words_and_what_cannot_be_are_told() {
    let all = explained(&["staff-express"]);
    let host = field(&all, "incoming.host");
    assert_eq!(host["required_when"], json!({ "field": "receive.enabled", "value": "true" }));
    assert_eq!(field(&all, "outgoing.port")["values"], json!([25, 465, 587]));
    assert_eq!(field(&all, "incoming.protocol")["fixed"], "pop3");
    let told = text(&["staff-express", "outgoing.auth.mechanism"]);
    assert!(told.contains("not plain while outgoing.security is starttls (B-R3)"), "{told}");
    let told = text(&["staff-express", "incoming.host"]);
    assert!(told.contains("required when it is added while receive.enabled is true"), "{told}");
    // Why not, by which line, and who can.
    let told = text(&["cpi-sv-basic", "capacity"]);
    for part in ["cannot be expressed", "002:138", "cpi-business-standard", "容量上限を設定できません"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = text(&["cpi-sv-basic"]);
    for part in ["002:138", "comment cannot be cleared", "002:87", "postmaster is never deleted (002:49-50)"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for part in ["2 to 32 characters", "8 to 16 characters", "rules: password:", "unverified"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = text(&["catchme-mail", "reply_to"]);
    assert!(told.contains("cannot be cleared") && told.contains("000:124"), "{told}");
    assert!(!text(&["catchme-mail", "save_sent"]).contains("cannot be cleared"), "it goes back to its default");
    let told = text(&["mailwise", "capacity"]);
    assert!(told.contains("servers alone"), "{told}");
    let whole = explained(&["cpi-kwc-mail"])["systems"][0].clone();
    assert_eq!(whole["permanent"], json!([{ "name": "postmaster", "source": "002:49-50" }]));
    assert_eq!(whole["password"]["verified"], false);
    assert!(whole["rules"].as_array().unwrap().iter().any(|rule| rule["id"] == "AMB-C2"));
}

/// Section 1.2 of the requirements, as the tables have it.
#[test]
fn the_matrix_tells_what_each_system_can() {
    let matrix = explained(&["--matrix"]);
    let cell = |name: &str, system: &str| {
        let rows = matrix["rows"].as_array().unwrap();
        rows.iter().find(|row| row["field"] == name).unwrap()["cells"][system].clone()
    };
    for (name, system, expected) in [
        ("outgoing.port", "staff-express", "25, 465, 587"),
        ("outgoing.port", "cpi-kwc-mail", "–"),
        ("outgoing.port", "mailwise", "yes; default 25"),
        ("outgoing.port", "cybozu-office", "yes; default 25"),
        ("incoming.port", "mailwise", "yes; default 110 for pop3, 143 for imap (by incoming.protocol)"),
        ("incoming.protocol", "catchme-mail", "imap, pop3"),
        ("incoming.protocol", "staff-express", "always pop3"),
        ("incoming.protocol", "mailwise", "imap, pop3; default pop3"),
        ("incoming.protocol", "cybozu-office", "always pop3"),
        ("outgoing.security", "catchme-mail", "always none"),
        ("outgoing.security", "mailwise", "always none"),
        ("outgoing.security", "cybozu-office", "none, starttls, implicit_tls; default none"),
        ("incoming.apop", "staff-express", "–"),
        ("incoming.apop", "mailwise", "yes"),
        ("outgoing.auth.mechanism", "mailwise", "login, plain, cram-md5"),
        ("outgoing.auth.mechanism", "cybozu-office", "always auto"),
        ("outgoing.auth.credentials", "cybozu-office", "account, per_account"),
        ("outgoing.pop_before_smtp_wait", "mailwise", "0, 1, 2, 3, 4, 5"),
        ("outgoing.pop_before_smtp_wait", "staff-express", "–"),
        ("incoming.max_message_size", "mailwise", "unlimited, 512KB, 1MB, 3MB, 5MB, 10MB"),
        ("capacity", "cpi-business-standard", "0, 1, 2, 5, 10, 20, 50, 100"),
        ("capacity", "cpi-sv-basic", "–"),
        ("spam.sort", "cpi-kwc-mail", "yes"),
        ("spam.sort", "cpi-sv-basic", "–"),
        ("position", "mailwise", "yes"),
        ("position", "staff-express", "–"),
    ] {
        let expected = if expected == "–" { Json::Null } else { expected.into() };
        assert_eq!(cell(name, system), expected, "{name} {system}");
    }
    let table = text(&["--matrix"]);
    let widths: BTreeSet<usize> = table.lines().map(|line| line.matches('|').count()).collect();
    assert_eq!(widths.len(), 1, "{table}");
    let row = table.lines().find(|line| line.starts_with("| `spam.sort`")).unwrap();
    assert!(row.ends_with("| – | yes | yes | – | – | – |"), "{row}");
    assert!(table.lines().next().unwrap().contains("| mailwise | cybozu-office |"), "{table}");
}

#[test]
fn wrong_uses_are_refused() {
    for args in [&["explain"][..], &["explain", "--matrix", "mailwise"], &["explain", "--matrix", "--out", "x"]] {
        World::new().expect(64, args);
    }
}

/// What no export shows is never claimed as checked.
#[test]
fn what_no_export_shows_is_marked_in_plan_and_show() {
    let world = World::project("cpi-kwc-mail", "policy: { plaintext_secrets: allow }\n");
    let account = "accounts: { info: { password: Himawari2026x, capacity: 5, comment: 代表, spam: { sort: true } } }\n";
    world.write("a.yaml", account);
    let plan = world.json(0, &["plan"]);
    let change = |name: &str| {
        let fields = plan["changes"][0]["fields"].as_array().unwrap();
        fields.iter().find(|one| one["field"] == name).unwrap().clone()
    };
    assert_eq!(
        change("spam.sort"),
        json!({ "field": "spam.sort", "before": null, "after": true, "observable": false })
    );
    assert_eq!(change("comment"), json!({ "field": "comment", "before": null, "after": "代表" }));
    let text = world.expect(0, &["plan"]).stdout;
    let line = text.lines().find(|line| line.starts_with("Unobservable")).unwrap();
    assert!(line.contains("password, spam.sort:") && !line.contains("comment"), "{line}");
    world.expect(0, &["plan", "--out", "saved.plan", "-q"]);
    world.expect(0, &["apply", "saved.plan", "--yes", "-q"]);
    let shown = world.json(0, &["show"]);
    assert_eq!(shown["resources"][0]["unobservable"], json!(["password", "spam.sort"]));
    let text = world.expect(0, &["show"]).stdout;
    for (field, marked) in [("spam.sort", true), ("password", true), ("comment", false), ("capacity", false)] {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{field} "))).unwrap();
        assert_eq!(line.ends_with("(unobservable)"), marked, "{line}");
    }
    // yubin's own store shows all.
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    assert!(!world.expect(0, &["plan"]).stdout.contains("nobservable"));
    world.expect(0, &["apply", "--yes", "-q"]);
    assert!(!world.expect(0, &["show"]).stdout.contains("observable"));
    assert!(world.json(0, &["show"])["resources"][0].get("unobservable").is_none());
}

/// The document describes no export: nothing is claimed as checked, and that is said once.
#[test]
fn a_o6_the_product_has_no_export_and_nothing_is_claimed_as_checked() {
    let all = explained(&["catchme-mail"]);
    assert!(all["fields"].as_array().unwrap().iter().all(|one| one["observable"] == false));
    assert_eq!(all["systems"][0]["exported"], json!([]));
    let world = World::project("catchme-mail", "policy: { plaintext_secrets: allow }\n");
    world.write(
        "a.yaml",
        "patterns: { u: { p: { address: a@x.jp, incoming: { label: i, host: i.x.jp, protocol: pop3, username: u, \
         password: p }, outgoing: { label: o, host: o.x.jp } } } }\n",
    );
    assert!(!world.json(0, &["plan"])["changes"].to_string().contains("observable"));
    let text = world.expect(0, &["plan"]).stdout;
    assert_eq!(text.matches("Unobservable").count(), 1, "{text}");
    world.expect(0, &["apply", "--yes", "-q"]);
    let text = world.expect(0, &["show"]).stdout;
    assert_eq!(text.matches("unobservable").count(), 1, "{text}");
    assert!(!world.expect(0, &["plan"]).stdout.contains("Unobservable"), "nothing changes");
}

/// A row that no head stands above is shown as plain text.
#[test]
fn no_table_of_the_documents_is_cut_in_two() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rule = |line: &str| line.starts_with("|-") && line.chars().all(|c| "|-: ".contains(c));
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, pair) in lines.windows(2).enumerate() {
            if pair[1].starts_with('|') && !pair[0].starts_with('|') {
                let next = lines.get(at + 2).copied().unwrap_or_default();
                assert!(rule(next), "{}:{}: a row without a head", path.display(), at + 2);
            }
        }
    }
}
