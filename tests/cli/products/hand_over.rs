//! `yubin export FORMAT --plan FILE --out DIR` beyond the rules of one document: what is refused,
//! and what the words of the screens are.

use encoding_rs::SHIFT_JIS;

use super::across::{project, yaml};
use super::cpi::{BS, FRESH, PASSWORD, account, applied, cpi, declare};
use super::cpi_files::{bundle, done, hand_over, names, records, worksheet};
use crate::cli::{catchme, private, row};
use crate::support::World;

fn text(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn catchme_mail_gets_what_changes_and_deletes_in_a_file_of_their_own() {
    let world = catchme("");
    private(&world, "pw", PASSWORD);
    let write = |rows: &[String]| world.write("a.csv", rows.concat());
    write(&[row("taro", "p1"), row("jiro", "p1"), row("sabro", "p1")]);
    world.expect(0, &["apply", "--yes", "-q"]);
    write(&[
        row("taro", "p1"),
        "jiro,p1\n".to_owned(),
        row("sabro", "p1").replace("smtp.xxx.jp", "smtp2.xxx.jp"),
        row("hanako", "p1"),
    ]);
    let manifest = bundle(&world, "out");
    assert_eq!(names(&manifest, ""), ["1-catchme-mail.csv", "2-catchme-mail-delete.csv"]);
    assert_eq!((&manifest["files"][0]["secrets"], &manifest["files"][1]["secrets"]), (&true.into(), &false.into()));
    let rows = records(&world, "out/1-catchme-mail.csv");
    let keys: Vec<&[String]> = rows.iter().map(|row| &row[..1]).collect();
    assert_eq!(keys, [["hanako"], ["sabro"]], "what does not change is not handed over");
    for row in &rows {
        assert_eq!(row.len(), 26);
        // The ○ columns of 000:116, whatever changes.
        assert!([1, 2, 3, 4, 6, 7, 9, 10, 11, 12].iter().all(|column| !row[column - 1].is_empty()), "{row:?}");
        assert_eq!((&*row[11], &*row[18], &*row[19], &*row[20]), (PASSWORD, "0", "0", "0"));
    }
    assert_eq!(rows[1][3], "smtp2.xxx.jp");
    assert_eq!(text(&world, "out/2-catchme-mail-delete.csv"), "jiro,p1\r\n");
    let guide = text(&world, "out/MANIFEST.md");
    assert!(guide.contains("既存の設定パターン名を上書きする") && guide.contains("000:6"), "{guide}");
    assert!(guide.contains("`yubin apply plan.json`"), "{guide}");
    done(&world);
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    // Taking over what is as it should be asks nothing of the product, and the format is of the store too.
    world.expect(0, &["export", "catchme-mail", "--out", "all.csv", "-q"]);
}

#[test]
fn what_cannot_be_handed_over_leaves_nothing_behind() {
    let world = applied(BS, &[account(BS, "info", "")]);
    declare(&world, &[account(BS, "info", ""), account(BS, "sales", "comment: 髙橋🦀")]);
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    let entries = || std::fs::read_dir(world.path()).unwrap().count();
    let before = entries();
    let refused = |code: i32, args: &[&str]| {
        let run = world.expect(code, &[&["export"], args].concat());
        assert_eq!(entries(), before, "{args:?}: {}", run.stderr);
        run.stderr
    };
    let with_plan = ["--plan", "plan.json", "--out", "out"];
    for format in ["yaml", "csv", "json", "catchme-mail", "cybozu-office-accounts"] {
        let said = refused(64, &[&[format][..], &with_plan].concat());
        assert!(said.contains("bundle"), "{said}");
    }
    for format in ["cpi-register", "cpi-edit", "cpi", "cybozu-office-accounts", "worksheet", "bundle"] {
        refused(64, &[format, "--out", "out"]);
        refused(64, &[format, "--plan", "plan.json"]);
    }
    refused(64, &["bundle", "--plan", "plan.json", "--out", "out", "--encoding", "klingon"]);
    refused(3, &["bundle", "--plan", "plan.json", "--out", "out", "--encoding", "shift_jis"]);
    refused(64, &["bundle", "--plan", "plan.json", "--out", "out", "--server-id", "hq=192"]);
    refused(64, &["bundle", "--plan", "plan.json", "--out", "out", "--server-id", "hq"]);
    refused(1, &["bundle", "--plan", "plan.json", "--out", "a.yaml"]);
    refused(1, &["bundle", "--plan", "missing.json", "--out", "out"]);
    // An altered plan is no plan, and neither is anything else.
    let plan = text(&world, "plan.json");
    world.write("plan.json", plan.replace("sales", "salas"));
    refused(4, &[&["bundle"][..], &with_plan].concat());
    world.write("plan.json", "{}");
    refused(4, &[&["bundle"][..], &with_plan].concat());
    world.write("plan.json", plan);
    // A folder is written once; an empty one is as good as none.
    std::fs::create_dir(world.file("out")).unwrap();
    world.expect(0, &[&["export", "bundle", "-q"][..], &with_plan].concat());
    let first = text(&world, "out/MANIFEST.md");
    world.expect(64, &[&["export", "worksheet"][..], &with_plan].concat());
    assert_eq!(text(&world, "out/MANIFEST.md"), first);
    world.expect(0, &["export", "bundle", "--plan", "plan.json", "--out", "deep/er/out", "-q"]);
    assert_eq!(text(&world, "deep/er/out/MANIFEST.md"), first);
}

#[test]
fn files_to_upload_have_the_encoding_that_is_asked_for_and_the_rest_is_utf_8() {
    let world = cpi(BS, "");
    declare(&world, &[account(BS, "info", "comment: 代表, spam.sort: true")]);
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    world.expect(0, &["export", "bundle", "--plan", "plan.json", "--out", "out", "--encoding", "shift_jis"]);
    let bytes = std::fs::read(world.file("out/1-cpi-register-01.csv")).unwrap();
    let expected = format!("mail_account,mail_password,comment,mail_capacity\r\ninfo,{PASSWORD},代表,5\r\n");
    assert_eq!(bytes, *SHIFT_JIS.encode(&expected).0);
    assert!(text(&world, "out/3-worksheet.md").contains("スパムメール自動振分: **ON**"));
}

#[test]
fn a_part_of_a_plan_says_what_is_missing() {
    let world = applied(BS, &[account(BS, "info", ""), account(BS, "sales", "")]);
    let fresh = format!("password: {FRESH}");
    declare(&world, &[account(BS, "info", &fresh), account(BS, "sales", "comment: 営業"), account(BS, "staff", "")]);
    for (format, missing) in
        [("cpi", "It needs `worksheet` too"), ("worksheet", "It needs `cpi-register` and `cpi-edit` too")]
    {
        hand_over(&world, format, format);
        let guide = text(&world, &format!("{format}/MANIFEST.md"));
        assert!(guide.contains(missing), "{guide}");
    }
    bundle(&world, "out");
    assert!(!text(&world, "out/MANIFEST.md").contains("It needs"));
}

#[test]
fn a_plan_beyond_a_limit_is_handed_over_by_consent_alone() {
    let world = applied(BS, &["info", "sales", "staff"].map(|name| account(BS, name, "")));
    world.write(
        "yubin.yaml",
        format!(
            "version: 1\nname: head-office\nsystem: {BS}\npolicy: {{ plaintext_secrets: allow, max_deletes: 1, undeclared: delete }}\n"
        ),
    );
    declare(&world, &[account(BS, "info", "")]);
    world.expect(4, &["plan", "--out", "plan.json", "-q"]);
    let plan: serde_json::Value = serde_json::from_str(&text(&world, "plan.json")).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    let export = ["export", "bundle", "--plan", "plan.json", "--out", "out"];
    let run = world.expect(4, &export);
    assert!(run.stdout.contains("max_deletes"), "{}", run.stdout);
    world.expect(4, &[&export[..], &["--ack", "0123"]].concat());
    assert!(!world.file("out").exists());
    world.expect(0, &[&export[..], &["--ack", digest]].concat());
    let guide = text(&world, "out/MANIFEST.md");
    assert!(guide.contains(&format!("yubin apply plan.json --ack {digest}")), "{guide}");
    let sheet = text(&world, "out/3-worksheet.md");
    assert!(sheet.contains("for good") && sheet.find("`sales`") < sheet.find("`staff`"), "{sheet}");
}

#[test]
fn a_worksheet_says_it_in_the_words_of_staff_express() {
    let world = project("staff-express", "");
    let fields = [
        ("label", "\"`梅田` <支店>\""),
        ("address", "umeda@example.jp"),
        ("incoming.host", "pop.example.jp"),
        ("incoming.port", "995"),
        ("incoming.security", "implicit_tls"),
        ("incoming.username", "umeda"),
        ("incoming.password", "{ file: pw }"),
        ("outgoing.host", "smtp.example.jp"),
        ("outgoing.port", "465"),
        ("outgoing.security", "implicit_tls"),
        ("outgoing.auth.mechanism", "plain"),
        ("signature", "\"北浜\\n  梅田\\n\""),
        ("sending.result_notice", "failures"),
        ("visible", "false"),
    ];
    world.write("a.yaml", yaml("accounts", "'10'", &fields));
    let manifest = bundle(&world, "out");
    assert_eq!(names(&manifest, ""), ["1-worksheet.md", "1-worksheet.html"]);
    let [markdown, html] = worksheet(&world, "out", &manifest);
    for line in [
        "共通項目 メールアカウントNO: `10`",
        "共通項目 ② アカウント名: `` `梅田` <支店> ``",
        "POP設定 ① メール受信対象とする: **チェックを付ける** (preset)",
        "POP設定 ④ POP サーバー接続時にTLS を使う: **チェックを付ける**",
        "POP設定 ⑤ パスワード: the password declared at `a.yaml:2`",
        "SMTP設定 ② SMTP ポート番号: `465`",
        "SMTP設定 ② 通信方法: **SMTP over SSL**",
        "SMTP設定 ⑪ SMTP 認証: **チェックを付ける** (preset)",
        "SMTP設定 ⑪ 認証方式: **PLAIN**",
        "その他 ⑥ 表示区分: **表示しない**",
        "その他 ⑩ 送信結果通知: **失敗のみ出力する**",
        "\n    ```text\n    北浜\n      梅田\n    ```\n",
    ] {
        assert!(markdown.contains(line), "{line}\n{markdown}");
    }
    assert!(html.contains("<code>`梅田` &lt;支店&gt;</code>") && html.contains("<pre>北浜\n  梅田</pre>"), "{html}");
    for sheet in [&markdown, &html] {
        assert!(!sheet.contains("Himawari") && !sheet.contains("implicit_tls"), "{sheet}");
        assert!(sheet.find("共通項目") < sheet.find("POP設定 ①") && sheet.find("POP設定 ⑪") < sheet.find("SMTP設定 ①"));
    }
    done(&world);
    // What was there before helps to find the place.
    let changed = yaml("accounts", "'10'", &[("outgoing.security", "implicit_tls"), ("label", "null")]);
    world.write("a.yaml", changed.replace("label: null", "label: 梅田"));
    let [markdown, _] = worksheet(&world, "next", &bundle(&world, "next"));
    assert!(markdown.contains("アカウント名: `梅田` (so far `` `梅田` <支店> ``)"), "{markdown}");
    assert!(!markdown.contains("通信方法"), "{markdown}");
}

#[test]
fn a_new_order_of_servers_is_one_step_and_none_where_adding_brings_it() {
    let world = project("mailwise", "");
    let server = |name: &str| {
        yaml("servers", name, &[("incoming.host", "pop.example.jp"), ("outgoing.host", "smtp.example.jp")])
            .replace("servers:\n", "")
    };
    let list = |names: &[&str]| {
        let servers: Vec<String> = names.iter().map(|name| server(name)).collect();
        world.write("a.yaml", format!("servers:\n{}", servers.concat()));
    };
    list(&["本社", "支店"]);
    let [markdown, _] = worksheet(&world, "1", &bundle(&world, "1"));
    assert!(markdown.find("`本社`") < markdown.find("`支店`") && !markdown.contains("順番変更"), "{markdown}");
    done(&world);
    list(&["本社", "工場", "支店"]);
    let [markdown, html] = worksheet(&world, "2", &bundle(&world, "2"));
    assert_eq!(markdown.matches("「順番変更」").count(), 1, "{markdown}");
    assert!(markdown.contains("  1. `本社`\n  2. `工場`\n  3. `支店`\n"), "{markdown}");
    assert!(
        html.contains("<li><code>本社</code></li>\n<li><code>工場</code></li>\n<li><code>支店</code></li>"),
        "{html}"
    );
    assert!(markdown.contains("Add servers") && !markdown.contains("Change servers"), "{markdown}");
    done(&world);
}

fn office(accounts: &str) -> World {
    let world = World::project("cybozu-office", "policy: { plaintext_secrets: allow }\n");
    let server = "  main: { supports_uidl: true, incoming: { host: pop.main.jp }, outgoing: { host: smtp.main.jp } }\n";
    world.write("a.yaml", format!("servers:\n{server}accounts:\n{accounts}"));
    world
}

#[test]
fn an_id_that_the_product_has_given_to_a_server_can_be_given_to_the_hand_over() {
    let more = "incoming: { username: kenta, password: kX7.mQ2-wZ9a, leave_on_server: true, leave_days: 7 }";
    let world = office(&format!("  '191': {{ user_id: '170', server: main, address: k@main.jp, {more} }}\n"));
    world.expect(0, &["plan", "--out", "plan.json", "-q"]);
    let export = |format: &str, out: &str, more: &[&str], code: i32| {
        world.expect(code, &[&["export", format, "--plan", "plan.json", "--out", out], more].concat()).stderr
    };
    let said = export("bundle", "out", &[], 3);
    assert!(said.contains("メールサーバーID") && said.contains("`main`") && said.contains("--server-id"), "{said}");
    export("worksheet", "servers", &[], 0);
    assert!(text(&world, "servers/MANIFEST.md").contains("It needs `cybozu-office-accounts` too"));
    export("bundle", "out", &["--server-id", "main=192"], 0);
    let file = "out/2-cybozu-office-accounts.csv";
    assert_eq!(text(&world, file), format!("170,,191,192,main,k@main.jp,kenta,{PASSWORD},,,,\r\n"));
    // The columns that are only guessed at are filled on demand, and left to the screen otherwise.
    let sheet = text(&world, "out/1-worksheet.md");
    assert!(
        sheet.contains("受信メールをメールサーバーに残す: **選択する**") && sheet.contains("期限: **7 日**"),
        "{sheet}"
    );
    assert!(!sheet.contains("E-mail"), "{sheet}");
    assert_eq!(sheet.matches("システム管理用パスワード").count(), 1, "{sheet}");
    export("bundle", "all", &["--server-id", "main=192", "--unproven"], 0);
    assert!(text(&world, "all/2-cybozu-office-accounts.csv").ends_with(",,,1,7\r\n"));
    assert!(!text(&world, "all/1-worksheet.md").contains("期限"));
}

/// What an empty cell or an asterisk would do to a password that is not known, nobody says.
#[test]
fn an_account_without_a_known_password_is_changed_on_the_screen() {
    let account = |address: &str| format!("  '191': {{ user_id: '170', server: main, address: {address} }}\n");
    let world = office(&account("k@main.jp"));
    world.expect(0, &["apply", "--yes", "-q"]);
    let yaml = text(&world, "a.yaml");
    world.write("a.yaml", yaml.replace("k@main.jp", "kenta@main.jp"));
    let manifest = bundle(&world, "out");
    assert_eq!(names(&manifest, ""), ["1-worksheet.md", "1-worksheet.html"]);
    for sheet in worksheet(&world, "out", &manifest) {
        assert!(sheet.contains("E-mail") && sheet.contains("kenta@main.jp") && sheet.contains("170"), "{sheet}");
    }
    done(&world);
}
