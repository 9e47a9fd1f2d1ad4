//! The language of what people read: `--lang`, or the locale.

use unicode_width::UnicodeWidthStr;

use super::{accounts, catchme, expect_with, private, row, run_with};
use crate::support::World;

/// A project in which everything happens at once: an add, an overwrite, a delete, a secret, a text of several lines.
fn busy() -> World {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 10 }\n");
    private(&world, "pw", "open sesame 1\n");
    world.write(
        "mail.yaml",
        "accounts:\n  営業: { comment: 旧, password: { file: pw }, auto_reply: { body: \"一行目\\n二行目\\n\" } }\n  総務: { comment: 消える }\npatterns:\n  太郎: { 仕事: { address: taro@example.jp } }\n",
    );
    world.expect(0, &["apply", "--yes"]);
    private(&world, "pw", "close sesame 2\n");
    world.write(
        "mail.yaml",
        "accounts:\n  営業: { comment: 新, capacity: 5, password: { file: pw }, auto_reply: { body: \"一行目\\n三行目\\n\" } }\n  広報: { comment: 追加, forward: { enabled: true, to: [a@example.jp, b@example.jp] } }\npatterns:\n  太郎: { 仕事: { address: t.yamada@example.jp, incoming: { port: 995 } } }\n",
    );
    world
}

/// Two words in a row that are English, as far as letters tell.
fn english(text: &str) -> Vec<String> {
    let word = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase());
    let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines
        .flat_map(|words| words.windows(2).map(<[&str]>::to_vec).collect::<Vec<_>>())
        .filter(|pair| pair.iter().all(|one| word(one.trim_matches(|c: char| !c.is_alphanumeric()))))
        .map(|pair| pair.join(" "))
        .collect()
}

#[test]
fn the_option_wins_over_the_locale_and_the_first_variable_that_is_set_is_the_locale() {
    let world = busy();
    let (ja, en) = ("ja_JP.UTF-8", "en_US.UTF-8");
    for (option, variables, japanese) in [
        (None, &[][..], false),
        (Some("ja"), &[], true),
        (Some("en"), &[], false),
        (Some("en"), &[("LC_ALL", ja)], false),
        (Some("ja"), &[("LC_ALL", en), ("LANG", en)], true),
        (None, &[("LANG", ja)], true),
        (None, &[("LANG", "ja")], true),
        (None, &[("LANG", "C.UTF-8")], false),
        (None, &[("LC_MESSAGES", ja), ("LANG", en)], true),
        (None, &[("LC_MESSAGES", en), ("LANG", ja)], false),
        (None, &[("LC_ALL", ja), ("LC_MESSAGES", en), ("LANG", en)], true),
        (None, &[("LC_ALL", "C"), ("LC_MESSAGES", ja), ("LANG", ja)], false),
        // An empty one is none.
        (None, &[("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", ja)], true),
        (None, &[("LC_ALL", ""), ("LC_MESSAGES", en), ("LANG", ja)], false),
        (None, &[("LANGUAGE", "ja"), ("LC_CTYPE", ja)], false),
    ] {
        for format in [&["plan"][..], &["plan", "--format", "markdown"]] {
            let lang = option.map_or(Vec::new(), |lang| vec!["--lang", lang]);
            let run = expect_with(&world, 0, variables, &[&lang[..], format].concat());
            let digest = if japanese { "ダイジェスト " } else { "digest " };
            assert!(run.stdout.contains(digest), "{option:?} {variables:?}: {}", run.stdout);
        }
    }
    for wrong in ["fr", "JA", ""] {
        assert_eq!(world.run(&["plan", "--lang", wrong]).code, 64, "{wrong}");
    }
}

#[test]
fn english_is_what_it_is_without_a_locale() {
    let world = busy();
    for format in ["text", "markdown"] {
        let plain = world.expect(0, &["plan", "--format", format]).stdout;
        let args = ["plan", "--format", format, "--lang", "en"];
        assert_eq!(expect_with(&world, 0, &[("LC_ALL", "ja_JP.UTF-8")], &args).stdout, plain);
        assert!(!plain.contains("コメント"), "{plain}");
    }
}

#[test]
fn json_is_the_same_in_every_language() {
    let world = busy();
    for args in [&["plan"][..], &["check"], &["show"], &["log"], &["log", "account/営業"]] {
        let args = [args, &["--format", "json"]].concat();
        let english = world.expect(0, &args).stdout;
        assert_eq!(expect_with(&world, 0, &[("LC_ALL", "ja_JP.UTF-8")], &args).stdout, english);
        assert_eq!(world.expect(0, &[&args[..], &["--lang", "ja"]].concat()).stdout, english);
    }
    world.expect(0, &["plan", "--lang", "ja", "--out", "a.plan"]);
    world.expect(0, &["plan", "--lang", "en", "--out", "b.plan"]);
    let read = |name: &str| std::fs::read(world.file(name)).unwrap();
    assert_eq!(read("a.plan"), read("b.plan"));
    // A plan is the same plan, whoever reads it.
    world.expect(0, &["apply", "--lang", "en", "a.plan"]);
    world.write("mail.yaml", "accounts:\n  a: { colour: red }\n");
    let english = world.expect(3, &["check", "--format", "json"]).stdout;
    assert_eq!(world.expect(3, &["check", "--format", "json", "--lang", "ja"]).stdout, english);
}

#[test]
fn a_plan_in_japanese() {
    let world = busy();
    let run = world.expect(0, &["plan", "--lang", "ja"]);
    let expected = "\
- 削除     account/総務  どのファイルにも宣言がなくなりました
    コメント (comment)  消える

~ 上書き   account/営業  mail.yaml:2
    パスワード (password)            （秘密）変更（前回の設定: リビジョン 1、DAY）
    設定容量 (capacity)              （なし） → 5
    コメント (comment)               旧 → 新
    自動応答 本文 (auto_reply.body)
        一行目
      - 二行目
      + 三行目

~ 上書き   pattern/太郎/仕事  mail.yaml:5
    メールアドレス (address)              taro@example.jp → t.yamada@example.jp
    受信サーバポート番号 (incoming.port)  （なし） → 995
    太郎 はログアウトされます

+ 追加     account/広報  mail.yaml:3
    コメント (comment)      追加
    転送 (forward.enabled)  true
    転送先 (forward.to)     a@example.jp;b@example.jp

計画: 追加 1 件、上書き 2 件、削除 1 件（変更なし 0 件）
強制ログアウト ユーザー 1 人: 太郎
プロジェクト head-office (generic)、ストア sqlite:yubin.db、リビジョン 1
ダイジェスト DIGEST
";
    let since = run.stdout.split("リビジョン 1、").nth(1).unwrap();
    let day = since.split('）').next().unwrap();
    let digest = run.stdout.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(run.stdout.replace(day, "DAY").replace(digest, "DIGEST").replace("  \n", "\n"), expected);
    assert_eq!(english(&run.stdout), Vec::<String>::new());
}

#[test]
fn values_stand_in_one_column_of_the_terminal() {
    let world = busy();
    for lang in ["en", "ja"] {
        let text = world.expect(0, &["show", "--lang", lang]).stdout
            + &world.expect(0, &["plan", "--lang", lang]).stdout.replace("自動応答 本文 (auto_reply.body)\n", "");
        let mut blocks = 0;
        for block in text.split("\n\n") {
            let fields = block.lines().filter_map(|line| line.strip_prefix("    "));
            let columns: Vec<usize> = fields
                .filter(|line| !line.starts_with(' '))
                .filter_map(|line| {
                    let gap = line.find("  ")?;
                    Some(line.width() - line[gap..].trim_start().width())
                })
                .collect();
            blocks += usize::from(columns.len() > 1);
            assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{columns:?}\n{block}");
        }
        assert!(blocks > 3, "{text}");
        let heads = text.lines().filter(|line| line.starts_with(['+', '~', '-']));
        let columns: Vec<usize> = heads
            .map(|line| line.find("account/").or(line.find("pattern/")).map_or(0, |at| line[..at].width()))
            .collect();
        assert!(columns.len() == 4 && columns.windows(2).all(|pair| pair[0] == pair[1]), "{columns:?}\n{text}");
    }
}

#[test]
fn a_plan_as_markdown_in_japanese() {
    let world = busy();
    let run = world.expect(0, &["plan", "--lang", "ja", "--format", "markdown"]);
    for line in [
        "### 追加 1 件、上書き 2 件、削除 1 件（変更なし 0 件）\n",
        "**強制ログアウト ユーザー 1 人**: `太郎`\n",
        "#### 削除 (1)\n",
        "- **`account/総務`** どのファイルにも宣言がなくなりました\n",
        "#### 上書き (2)\n",
        "  - コメント (`comment`) `旧` → `新`\n",
        "  - パスワード (`password`) （秘密）変更（前回の設定: リビジョン 1、",
        "  - 受信サーバポート番号 (`incoming.port`) （なし） → `995`\n",
        "<details><summary>追加 (1)</summary>\n",
        "\nダイジェスト `",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{}", run.stdout);
    }
    assert_eq!(english(&run.stdout), Vec::<String>::new(), "{}", run.stdout);
}

#[test]
fn markdown_stays_within_its_budget_in_bytes() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: \"1%\" }\n");
    world.write("people.yaml", accounts(0..400, "古いコメント"));
    world.expect(0, &["apply", "--yes"]);
    world.write("people.yaml", accounts(200..600, "新しいコメント"));
    for budget in [2_000, 5_000, 20_000, 65_536] {
        let args = ["plan", "--lang", "ja", "--format", "markdown", "--budget", &budget.to_string()];
        let page = world.expect(4, &args).stdout;
        assert!(page.len() <= budget, "{} of {budget}", page.len());
        assert!(page.starts_with("### 追加 200 件、上書き 200 件、削除 200 件（変更なし 0 件）\n"), "{page}");
        assert!(page.contains("> **拒否:** `max_deletes`（削除数の上限）: アカウントの削除が上限を超えています: 50.00 %（上限 1 %、400 件中 200 件）。"), "{page}");
        assert!(page.contains("ダイジェスト `"), "{page}");
        for (word, numbers) in [("削除", 0..200), ("上書き", 200..400), ("追加", 400..600)] {
            let shown = numbers.filter(|number| page.contains(&format!("**`account/a{number:03}`**"))).count();
            let left = format!("… ほか {} 件の{word}は省略", 200 - shown);
            assert!(shown == 200 || page.contains(&left), "{word}: {shown}\n{page}");
        }
    }
}

#[test]
fn diagnostics_are_explained_and_keep_their_message_place_and_hint() {
    let world = World::project("generic", "");
    world.write("mail.yaml", "accounts:\n  a: { commment: x }\n  b: { capacity: many }\n");
    let run = world.expect(3, &["check", "--lang", "ja"]);
    let expected = "\
エラー[key/unknown]: ここでは使えないキーまたは項目です。";
    assert!(run.stderr.starts_with(expected), "{}", run.stderr);
    assert!(run.stderr.contains("\n  --> mail.yaml:2:8  account/a\n  ヒント: "), "{}", run.stderr);
    assert!(
        run.stderr.contains("エラー[value/type]: 値の種類がこの項目に合いません。\n  `capacity` is"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stdout, "エラー 2 件（ファイル 1 件、リソース 2 件）\n");
    let run = world.expect(3, &["plan", "--lang", "ja"]);
    assert!(run.stderr.ends_with("エラー 2 件。何も変更していません\n"), "{}", run.stderr);
    let page = world.expect(3, &["plan", "--lang", "ja", "--format", "markdown"]).stdout;
    assert!(
        page.starts_with("### 入力に誤りがあるため、計画を作れません\n\n- **エラー** `key/unknown` `mail.yaml:2`: ")
    );
    assert!(
        page.contains("- **エラー** `value/type` `mail.yaml:3`: 値の種類がこの項目に合いません。  \n  `capacity` is")
    );
}

#[test]
fn what_is_said_beside_a_plan_is_japanese_too() {
    let world = catchme("");
    world.write("people.csv", row("taro", "p1"));
    let run = world.expect(0, &["apply", "--yes", "--lang", "ja"]);
    assert!(run.stderr.ends_with("リビジョン 1 として適用しました\n"), "{}", run.stderr);
    assert!(run.stdout.contains("\n強制ログアウト ユーザー 1 人: taro\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("\n差異を検出できない項目 すべて: CatchMe@MAIL にはエクスポートがないため、"),
        "{}",
        run.stdout
    );
    let run = world.expect(0, &["plan", "--lang", "ja"]);
    assert!(run.stdout.starts_with("変更はありません。\n計画: 追加 0 件、"), "{}", run.stdout);
    let page = world.expect(0, &["plan", "--lang", "ja", "--format", "markdown"]).stdout;
    assert!(page.starts_with("### 変更はありません\n\nプロジェクト head-office (catchme-mail)、"), "{page}");
    let run = world.expect(0, &["plan", "--lang", "ja", "--out", "x.plan"]);
    assert_eq!(run.stderr, "x.plan に保存しました。`yubin apply x.plan` でこの計画だけを適用できます\n");
    world.write("people.csv", row("taro", "p1").replace("recv", "RECV"));
    let run = world.expect(4, &["apply", "--lang", "ja", "--ack", "x"]);
    assert!(run.stderr.ends_with("`--ack` のダイジェストは、この計画のものではありません\n"), "{}", run.stderr);
    let run = world.expect(0, &["show", "--lang", "ja"]);
    assert!(run.stdout.starts_with("pattern/taro/p1  所有者 head-office、リビジョン 1\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\n    受信サーバ名 (incoming.label) "), "{}", run.stdout);
}

#[test]
fn a_refusal_says_its_rule_and_what_to_do() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 1 }\n");
    world.write("people.yaml", accounts(0..3, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("people.yaml", accounts(0..1, "x"));
    let said = "拒否: max_deletes（削除数の上限）: アカウントの削除が上限を超えています: 2 件（上限 1 件）。";
    let run = world.expect(4, &["plan", "--lang", "ja"]);
    assert!(run.stdout.contains(said), "{}", run.stdout);
    assert_eq!(english(&run.stdout), Vec::<String>::new());
    let run = run_with(&world, &[("LANG", "ja_JP.UTF-8")], &["plan", "-q"]);
    assert!(run.stderr.starts_with(said), "{}", run.stderr);
}
