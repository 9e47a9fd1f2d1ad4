//! Every rule of document 004 (`requirements/systems.md`, sections 6 and 7), by its name there.

use encoding_rs::SHIFT_JIS;
use serde_json::{Value as Json, json};

use super::cpi::{FRESH, PASSWORD, changes_of, checked, said, words};
use super::cpi_files::{bundle, done, hand_over, names, records, worksheet};
use crate::cli::{actions, revision, rules, shown, state};
use crate::support::World;

const OFFICE: &str = "cybozu-office";
/// SMTP-AUTH with what each account has for receiving, and with what it has for sending.
const AUTH: &str = ", port: 587, auth: { enabled: true, credentials: account }";
const OWN_AUTH: &str = ", port: 587, auth: { enabled: true, credentials: per_account }";

fn office() -> World {
    World::project(OFFICE, "policy: { plaintext_secrets: allow }\n")
}

/// YAML of a server with further fields for receiving and sending.
fn server(name: &str, incoming: &str, outgoing: &str) -> String {
    format!(
        "  {name}: {{ supports_uidl: true, incoming: {{ host: pop.{name}.jp{incoming} }}, outgoing: {{ host: smtp.{name}.jp{outgoing} }} }}\n"
    )
}

/// YAML of an account of the user 170, with further fields.
fn account(id: &str, server: &str, more: &str) -> String {
    format!(
        "  \"{id}\": {{ user: 高橋健太, user_id: \"170\", server: {server}, address: kenta@{server}.jp, incoming: {{ username: kenta, password: {PASSWORD} }}{more} }}\n"
    )
}

const OWN: &str = ", outgoing.auth.username: kenta-smtp, outgoing.auth.password: Tn4_hR8.vLc6pYe2";

fn declare(world: &World, servers: &[String], accounts: &[String]) {
    let mut yaml = format!("servers:\n{}", servers.concat());
    if !accounts.is_empty() {
        yaml = format!("{yaml}accounts:\n{}", accounts.concat());
    }
    world.write("a.yaml", yaml);
}

/// A world that has applied these.
fn applied(servers: &[String], accounts: &[String]) -> World {
    let world = office();
    declare(&world, servers, accounts);
    world.expect(0, &["apply", "--yes", "-q"]);
    world
}

/// A record of 12 columns as the product writes it: no password is readable in it.
fn record(id: &str, server_id: &str, server: &str, address: &str) -> String {
    format!("170,高橋健太,{id},{server_id},{server},{address},kenta,*,kenta,*,1,0\r\n")
}

#[track_caller]
fn refresh(world: &World, records: &str) {
    world.write("export.txt", records);
    world.expect(0, &["refresh", "cybozu-office-accounts", "export.txt", "--yes", "-q"]);
}

fn fields<'a>(plan: &'a Json, address: &str) -> Vec<&'a str> {
    changes_of(plan, address).into_iter().map(|one| one["field"].as_str().unwrap()).collect()
}

#[test]
fn e_r1_a_server_speaks_smtp_and_pop3_with_uidl() {
    let world = office();
    declare(&world, &[server("main", "", "")], &[]);
    assert_eq!(said(&world, 0), [""; 0]);
    // The one protocol may be named.
    declare(&world, &[server("main", ", protocol: pop3", "")], &[]);
    assert_eq!(said(&world, 0), [""; 0]);
    declare(&world, &[server("main", ", protocol: imap", "")], &[]);
    assert_eq!(said(&world, 3), ["error system/not-expressible incoming.protocol"]);
    let why = words(&world);
    assert!(why.contains("004:") && why.contains("mailwise"), "{why}");
    for (uidl, code, expected) in [
        ("supports_uidl: false, ", 3, "error cybozu-office/uidl supports_uidl"),
        ("", 0, "warning cybozu-office/uidl supports_uidl"),
    ] {
        declare(&world, &[server("main", "", "").replace("supports_uidl: true, ", uidl)], &[]);
        assert_eq!(said(&world, code), [expected]);
    }
    world.expect(3, &["plan", "--strict"]);
}

#[test]
fn e_r2_smtp_auth_and_pop_before_smtp_exclude_each_other() {
    const BEFORE: &str = ", pop_before_smtp: true, pop_before_smtp_wait: 3";
    let world = office();
    for (outgoing, code) in [(AUTH, 0), (BEFORE, 0), (&*format!("{AUTH}{BEFORE}"), 3)] {
        declare(&world, &[server("main", "", outgoing)], &[]);
        let found = said(&world, code);
        assert_eq!(found.len(), usize::from(code == 3), "{found:?}");
        assert!(found.iter().all(|one| one.starts_with("error cybozu-office/one-authentication")), "{found:?}");
    }
    assert!(words(&world).contains("004:81"));
    // What is kept counts as well.
    let world = applied(&[server("main", "", AUTH)], &[]);
    declare(&world, &[server("main", "", BEFORE)], &[]);
    assert!(said(&world, 3)[0].starts_with("error cybozu-office/one-authentication"));
    let off = BEFORE.to_owned() + ", auth: { enabled: false }";
    declare(&world, &[server("main", "", &off)], &[]);
    assert!(!said(&world, 0).iter().any(|one| one.starts_with("error")));
    // The wait belongs to POP before SMTP (004:80).
    let world = office();
    declare(&world, &[server("main", "", ", pop_before_smtp: false, pop_before_smtp_wait: 3")], &[]);
    assert_eq!(said(&world, 0), ["warning system/no-effect outgoing.pop_before_smtp_wait"]);
}

#[test]
fn e_r3_what_is_added_stands_last_and_the_order_is_one_change() {
    let [alpha, beta, gamma] = ["alpha", "beta", "gamma"].map(|name| server(name, "", ""));
    let world = applied(&[alpha.clone(), beta.clone()], &[]);
    let positions =
        || ["alpha", "beta"].map(|name| shown(&world, &format!("server/{name}"))["position"].as_u64().unwrap());
    assert_eq!(positions(), [1, 2]);
    declare(&world, &[beta.clone(), alpha.clone()], &[]);
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite server/alpha", "overwrite server/beta"]);
    for address in ["server/alpha", "server/beta"] {
        assert_eq!(fields(&plan, address), ["position"]);
    }
    let text = world.expect(0, &["plan"]).stdout;
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("alpha") && line.contains("beta")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    let manifest = bundle(&world, "out");
    for sheet in worksheet(&world, "out", &manifest) {
        assert!(sheet.contains("順番変更する") && sheet.find("beta") < sheet.rfind("alpha"), "{sheet}");
        assert!(!sheet.contains("削除する"), "{sheet}");
    }
    done(&world);
    assert_eq!(positions(), [2, 1]);
    declare(&world, &[beta, alpha, gamma], &[]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["add server/gamma"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(shown(&world, "server/gamma")["position"], 3);
}

#[test]
fn e_r4_every_item_can_be_changed() {
    let world = applied(&[server("main", ", port: 110", ", port: 25")], &[]);
    let incoming = ", port: 995, security: implicit_tls, apop: true";
    let outgoing = ", port: 465, security: implicit_tls, auth: { enabled: true, credentials: per_account }";
    let changed =
        server("main", incoming, outgoing).replace("pop.main.jp", "10.0.1.55").replace("smtp.main.jp", "10.0.1.56");
    declare(&world, &[changed], &[]);
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite server/main"]);
    assert_eq!(
        fields(&plan, "server/main"),
        [
            "incoming.host",
            "incoming.port",
            "incoming.security",
            "incoming.apop",
            "outgoing.host",
            "outgoing.port",
            "outgoing.security",
            "outgoing.auth.enabled",
            "outgoing.auth.credentials",
        ]
    );
    let manifest = bundle(&world, "out");
    assert_eq!(names(&manifest, "cybozu-office-accounts"), [""; 0]);
    for sheet in worksheet(&world, "out", &manifest) {
        for word in [
            "変更する",
            "サーバー名",
            "ポート番号",
            "通信を暗号化する",
            "APOP認証",
            "SMTP認証",
            "10.0.1.55",
            "995",
            "465",
        ] {
            assert!(sheet.contains(word), "{word}: {sheet}");
        }
    }
    done(&world);
}

#[test]
fn e_r5_deleting_is_a_step_on_the_screen() {
    let servers = [server("main", "", ""), server("old", "", "")];
    let world = applied(&servers, &[]);
    declare(&world, &[servers[0].clone(), "  old: { absent: true }\n".to_owned()], &[]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete server/old"]);
    let manifest = bundle(&world, "out");
    for sheet in worksheet(&world, "out", &manifest) {
        assert!(sheet.contains("old") && sheet.contains("削除する"), "{sheet}");
    }
    done(&world);
}

#[test]
fn e_r6_the_worksheet_starts_with_the_way_to_the_screen_and_its_password() {
    let world = office();
    declare(&world, &[server("main", "", "")], &[]);
    let manifest = bundle(&world, "out");
    for sheet in worksheet(&world, "out", &manifest) {
        for step in ["システム設定", "システム管理用パスワード", "詳細設定", "メールサーバーの登録", "追加する"]
        {
            assert!(sheet.contains(step), "{step}: {sheet}");
        }
    }
}

#[test]
fn e_r7_separate_credentials_stand_in_each_account() {
    let world = office();
    for (outgoing, more, errors) in [
        (AUTH, "", 0),
        (OWN_AUTH, OWN, 0),
        // Entered where the product shows no such items.
        (AUTH, OWN, 1),
        ("", OWN, 1),
        // Missing where it asks for them.
        (OWN_AUTH, "", 1),
        (OWN_AUTH, ", outgoing.auth.username: kenta-smtp", 1),
    ] {
        declare(&world, &[server("main", "", outgoing)], &[account("191", "main", more)]);
        let found = said(&world, if errors == 0 { 0 } else { 3 });
        assert_eq!(found.is_empty(), errors == 0, "{outgoing} {more}: {found:?}");
        assert!(found.iter().all(|one| one.starts_with("error cybozu-office/credentials")), "{found:?}");
    }
    // 003 keeps them in the server; here there is no place for them.
    declare(&world, &[server("main", "", &AUTH.replace("account", "own"))], &[]);
    assert_eq!(said(&world, 3), ["error system/value outgoing.auth.credentials"]);
    let in_server = AUTH.replace("account", "account, username: smtp");
    declare(&world, &[server("main", "", &in_server)], &[]);
    assert_eq!(said(&world, 3), ["error system/not-expressible outgoing.auth.username"]);
}

/// Section 6.1.
#[test]
fn ports_have_defaults_and_the_rest_has_none() {
    let world = applied(&[server("main", "", "")], &[]);
    let fields = shown(&world, "server/main");
    assert_eq!((&fields["incoming.port"], &fields["outgoing.port"]), (&json!(110), &json!(25)));
    // What 004 does not say is not made up.
    for field in ["incoming.apop", "outgoing.auth.credentials", "outgoing.pop_before_smtp_wait", "product_id"] {
        assert_eq!(fields.get(field), None, "{field}");
    }
    for (incoming, outgoing, field) in [
        (", max_message_size: 5MB", "", "incoming.max_message_size"),
        ("", ", max_message_size: 5MB", "outgoing.max_message_size"),
        ("", ", auth: { enabled: true, credentials: account, mechanism: login }", "outgoing.auth.mechanism"),
    ] {
        declare(&world, &[server("main", incoming, outgoing)], &[]);
        let expected = format!("error system/not-expressible {field}");
        assert_eq!(
            checked(&world, 3).into_iter().filter(|one| one.starts_with("error")).collect::<Vec<_>>(),
            [expected]
        );
    }
    for (field, source, quote) in [
        ("incoming.port", "004:51", "初期値は「110」に設定されてい"),
        ("outgoing.pop_before_smtp_wait", "004:80", "ドロップダウンリストから選択します"),
    ] {
        let text = world.expect(0, &["explain", OFFICE, field]).stdout;
        assert!(text.contains(source) && text.contains(quote), "{text}");
    }
}

#[test]
fn amb_e1_usual_ports_are_advice() {
    let world = office();
    for (incoming, outgoing, unusual) in [
        (", port: 110", ", port: 25", ""),
        (", port: 110, security: starttls", ", port: 25, security: starttls", ""),
        (", port: 995, security: implicit_tls", ", port: 465, security: implicit_tls", ""),
        ("", ", port: 587, security: starttls", ""),
        ("", AUTH, ""),
        (", port: 995", "", "incoming.port"),
        (", port: 995, security: starttls", "", "incoming.port"),
        (", port: 110, security: implicit_tls", "", "incoming.port"),
        // The default of the port does not follow the encryption.
        (", security: implicit_tls", "", "incoming.port"),
        ("", ", port: 2525", "outgoing.port"),
        ("", ", port: 465", "outgoing.port"),
        ("", ", port: 465, security: starttls", "outgoing.port"),
        ("", ", security: implicit_tls", "outgoing.port"),
    ] {
        declare(&world, &[server("main", incoming, outgoing)], &[]);
        let expected: Vec<String> = [unusual]
            .iter()
            .filter(|field| !field.is_empty())
            .map(|field| format!("warning cybozu-office/usual-port {field}"))
            .collect();
        assert_eq!(said(&world, 0), expected, "{incoming} {outgoing}");
    }
    // The table has a row for each of them, and none for both: never refused.
    declare(&world, &[server("main", "", &format!("{}, security: starttls", AUTH.replace("587", "25")))], &[]);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(shown(&world, "server/main")["outgoing.port"], 25);
}

#[test]
fn amb_e2_encryption_is_none_tls_or_starttls() {
    for (security, ports) in [("none", [110, 25]), ("implicit_tls", [995, 465]), ("starttls", [110, 587])] {
        let [pop, smtp] = ports.map(|port| format!(", port: {port}, security: {security}"));
        let world = applied(&[server("main", &pop, &smtp)], &[]);
        let fields = shown(&world, "server/main");
        assert_eq!((&fields["incoming.security"], &fields["outgoing.security"]), (&json!(security), &json!(security)));
    }
    // The bare word says neither of the two.
    let world = office();
    for word in ["tls", "TLS", "ssl", "true"] {
        declare(&world, &[server("main", &format!(", security: {word}"), "")], &[]);
        world.expect(3, &["check"]);
    }
}

#[test]
fn amb_e3_accounts_are_added_for_the_new_server_and_the_old_ones_stay() {
    let servers = [server("old", "", OWN_AUTH), server("new", "", OWN_AUTH)];
    let world = applied(&servers, &[account("191", "old", OWN), account("198", "new", OWN)]);
    // The product's own export tells the ids that it gave to the servers.
    let export = record("191", "192", "old", "kenta@old.jp") + &record("198", "199", "new", "kenta@new.jp");
    refresh(&world, &export.replace("kenta,*,kenta,*", "kenta,*,kenta-smtp,*"));
    assert_eq!(shown(&world, "server/new")["product_id"], "199");
    let moved = account("201", "new", OWN).replace("kenta@new.jp", "kenta2@new.jp");
    declare(&world, &servers, &[account("191", "old", OWN), account("198", "new", OWN), moved]);
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["add account/201"]);
    let manifest = bundle(&world, "out");
    let files = names(&manifest, "");
    assert_eq!(files, names(&manifest, "cybozu-office-accounts"), "no server changes");
    let name = &files[0];
    let entry = &manifest["files"][0];
    assert_eq!((&entry["name"], &entry["secrets"]), (&json!(name), &json!(true)));
    // Rows of other accounts would write them again.
    let all = records(&world, &format!("out/{name}"));
    assert!(!all.iter().any(|row| row.contains(&"kenta@old.jp".to_owned())), "{all:?}");
    let row = all.iter().find(|row| row.contains(&"kenta2@new.jp".to_owned())).unwrap();
    assert_eq!(row.len(), 12);
    assert_eq!(row[..2], ["170", "高橋健太"]);
    assert_eq!(row[3..10], ["199", "new", "kenta2@new.jp", "kenta", PASSWORD, "kenta-smtp", FRESH]);
    done(&world);
    // Alone, too.
    declare(&world, &servers, &[account("191", "old", OWN).replace("kenta@old.jp", "k@old.jp")]);
    let manifest = hand_over(&world, "cybozu-office-accounts", "alone");
    let all = records(&world, &format!("alone/{}", names(&manifest, "")[0]));
    let row = all.iter().find(|row| row[5] == "k@old.jp").unwrap();
    assert_eq!(row[2..4], ["191", "192"]);
}

/// A server that has just been declared has no id yet, and none is made up (004:148).
#[test]
fn amb_e3_a_row_needs_the_id_that_the_product_gives_to_the_server() {
    let world = office();
    declare(&world, &[server("main", "", AUTH)], &[account("191", "main", "")]);
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    let run = world.run(&["export", "bundle", "--plan", "plan.json", "--out", "out"]);
    let guide = std::fs::read_to_string(world.file("out/MANIFEST.md")).unwrap_or_default();
    let told = run.stderr + &guide;
    assert!(told.contains("メールサーバーID") || told.contains("product_id"), "{told}");
    assert_eq!(run.code == 0, world.file("out").exists());
    if run.code == 0 {
        let manifest: Json =
            serde_json::from_str(&std::fs::read_to_string(world.file("out/manifest.json")).unwrap()).unwrap();
        let all = names(&manifest, "");
        // Servers first: their ids are known only then.
        let place = |end: &str| all.iter().position(|name| name.contains(end)).unwrap();
        assert!(place("worksheet") < place("cybozu-office-accounts"), "{all:?}");
        for row in records(&world, &format!("out/{}", names(&manifest, "cybozu-office-accounts")[0])) {
            assert!(!row[3].chars().any(|c| c.is_ascii_digit()), "{row:?}");
        }
    }
}

/// The seven steps of 004:136-157, told in their order.
#[test]
fn amb_e4_the_order_of_a_migration_is_told() {
    let steps = ["004:142", "004:144", "004:146", "004:149", "004:151", "004:153", "004:157"];
    let in_order = |text: &str| {
        let mut rest = text;
        steps.iter().all(|step| {
            rest.find(*step).is_some_and(|at| {
                rest = &rest[at..];
                true
            })
        })
    };
    let explained = World::new().expect(0, &["explain", OFFICE]).stdout;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems/cybozu-office.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    assert!(in_order(&explained) || in_order(&page), "{explained}");
}

#[test]
fn amb_e5_a_server_in_use_is_not_deleted() {
    let servers = [server("main", "", AUTH), server("old", "", AUTH)];
    let world = applied(&servers, &[account("191", "old", "")]);
    let gone = [servers[0].clone(), "  old: { absent: true }\n".to_owned()];
    // Not even by a plan that moves the account away in the same go.
    declare(&world, &gone, &[account("191", "main", "")]);
    let plan = world.json(4, &["plan"]);
    assert_eq!(rules(&plan), ["in_use"]);
    assert!(plan["refused"][0]["message"].as_str().unwrap().contains("account/191"), "{plan}");
    world.expect(4, &["apply", "--yes"]);
    world.expect(4, &["plan", "--out", "plan.json"]);
    world.expect(4, &["export", "worksheet", "--plan", "plan.json", "--out", "out"]);
    assert!(!world.file("out").exists());
    declare(&world, &servers, &[account("191", "main", "")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    declare(&world, &gone, &[account("191", "main", "")]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["delete server/old"]);
    world.expect(0, &["apply", "--yes", "-q"]);
}

/// Section 6.4: whose account it is, and where.
#[test]
fn an_account_names_its_user_and_its_server() {
    let world = office();
    let whole = account("191", "main", "");
    for (left_out, expected) in [
        ("user: 高橋健太, ", &[""; 0][..]),
        ("user_id: \"170\", ", &[]),
        ("user: 高橋健太, user_id: \"170\", ", &["error cybozu-office/user -"]),
        ("server: main, ", &["error system/required server"]),
    ] {
        declare(&world, &[server("main", "", AUTH)], &[whole.replace(left_out, "")]);
        let code = if expected.is_empty() { 0 } else { 3 };
        assert_eq!(said(&world, code), expected, "{left_out}");
    }
    declare(&world, &[server("main", "", AUTH)], &[account("191", "old", "")]);
    assert!(said(&world, 3).contains(&"error reference/unknown server".to_owned()));
}

#[test]
fn a_refresh_takes_the_accounts_of_an_export() {
    let world = office();
    world.write("export.txt", record("191", "192", "サイボウズメールサーバー", "kenta@example.jp"));
    let plan = world.json(4, &["refresh", "cybozu-office-accounts", "export.txt"]);
    assert!(actions(&plan).contains(&"add account/191".to_owned()), "{plan}");
    assert!(!world.file("yubin.db").exists());
    world.expect(0, &["refresh", "cybozu-office-accounts", "export.txt", "--yes", "-q"]);
    let fields = shown(&world, "account/191");
    for (field, value) in [
        ("user_id", json!("170")),
        ("user", json!("高橋健太")),
        ("server", json!("サイボウズメールサーバー")),
        ("address", json!("kenta@example.jp")),
        ("incoming.username", json!("kenta")),
        // An asterisk is no password, and the last two columns are only guessed at.
        ("incoming.password", Json::Null),
        ("outgoing.auth.password", Json::Null),
        ("incoming.leave_on_server", Json::Null),
        ("incoming.leave_days", Json::Null),
    ] {
        assert_eq!(fields[field], value, "{field}");
    }
    let before = revision(&world);
    world.expect(0, &["refresh", "cybozu-office-accounts", "export.txt"]);
    assert_eq!(revision(&world), before, "nothing new");
}

#[test]
fn a_refresh_shows_what_drifted() {
    let world = applied(&[server("main", "", AUTH)], &[account("191", "main", ""), account("193", "main", "")]);
    let export = record("191", "192", "main", "takahashi@main.jp") + &record("205", "192", "main", "sato@main.jp");
    world.write("export.txt", export);
    let plan = world.json(4, &["refresh", "cybozu-office-accounts", "export.txt"]);
    let accounts: Vec<String> = actions(&plan).into_iter().filter(|one| one.contains("account/")).collect();
    assert_eq!(accounts, ["overwrite account/191", "add account/205", "delete account/193"]);
    let address = json!({ "field": "address", "before": "kenta@main.jp", "after": "takahashi@main.jp" });
    assert!(changes_of(&plan, "account/191").contains(&&address), "{plan}");
    let text = world.expect(4, &["refresh", "cybozu-office-accounts", "export.txt"]).stdout;
    assert!(text.contains("kenta@main.jp") && text.contains("takahashi@main.jp"), "{text}");
    world.expect(0, &["refresh", "cybozu-office-accounts", "export.txt", "--yes", "-q"]);
    assert_eq!(shown(&world, "server/main")["product_id"], "192");
    assert_eq!(shown(&world, "account/191")["incoming.password"], json!({ "secret": true }), "it is kept");
    // Servers stand in no export: nothing of them is claimed as checked.
    for (field, observable) in [("address", true), ("incoming.username", true), ("incoming.password", false)] {
        let rows = world.json(0, &["explain", OFFICE, field]);
        let rows = rows["fields"].as_array().unwrap();
        let row = rows.iter().find(|row| row["kind"] == "account" && row["expressible"] == true).unwrap();
        assert_eq!(row["observable"], observable, "{field}");
    }
    let rows = world.json(0, &["explain", OFFICE, "outgoing.port"]);
    assert_eq!(rows["fields"][0]["observable"], false);
    // The files win in the next plan.
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), ["overwrite account/191", "add account/193"]);
}

#[test]
fn a_file_that_is_no_export_changes_nothing() {
    let good = record("191", "192", "main", "kenta@main.jp");
    let cut = good.trim_end().rsplit_once(',').unwrap().0;
    let cpi = "mail_account,mail_password,comment,amount_of_mail_box,spam,forward,auto,pop,mail_capacity\r\ninfo,,,1,0,0,0,1,5\r\n";
    let empty = office();
    let filled = applied(&[server("main", "", AUTH)], &[account("191", "main", "")]);
    for world in [&empty, &filled] {
        for (bytes, code) in [
            (cut.as_bytes().to_vec(), ""),
            (good.replace(",1,0\r", ",1,0,0\r").into_bytes(), ""),
            (good.repeat(2).into_bytes(), "resource/duplicate"),
            (good.replace(",191,", ",,").into_bytes(), ""),
            (good.replace("main,", "\"main,").into_bytes(), "csv/quote"),
            (cpi.as_bytes().to_vec(), ""),
            (SHIFT_JIS.encode(&good).0.into_owned(), "file/encoding"),
        ] {
            world.write("export.txt", &bytes);
            let before = world.file("yubin.db").exists().then(|| state(world));
            let document = world.json(3, &["refresh", "cybozu-office-accounts", "export.txt", "--yes"]);
            let first = &document["diagnostics"][0];
            assert!(first["file"].as_str().unwrap().ends_with("export.txt"), "{first}");
            assert!(code.is_empty() || first["code"] == code, "{code}: {first}");
            assert_eq!(world.file("yubin.db").exists().then(|| state(world)), before);
        }
        world.write("export.txt", SHIFT_JIS.encode(&good).0);
        let args = ["refresh", "cybozu-office-accounts", "export.txt", "--yes", "--encoding", "shift_jis"];
        world.expect(0, &args);
    }
    // Another product's file is not for this one.
    assert_ne!(empty.run(&["refresh", "cpi-export", "export.txt", "--yes"]).code, 0);
}

#[test]
fn the_example_is_free_of_errors_and_warnings() {
    let world = World::copy_of(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(OFFICE));
    assert_eq!(checked(&world, 0), [""; 0]);
}
