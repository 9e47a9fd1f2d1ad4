//! サイボウズ Office 10: mail servers, entered on the administrator's screen, in a list whose order
//! is shown (document 004), and the users' mail accounts by a CSV file that it only mentions.

use std::sync::OnceLock;

use super::{Clears, Default, Exclusion, Names, Need, Note, Rule, System, TextRules};
use crate::model::Kind;

pub static SYSTEM: System = System {
    name: "cybozu-office",
    product: "サイボウズ Office 10",
    document: "004",
    about: "an ordered list of mail servers, entered on the administrator's screen, and users' mail accounts by CSV",
    kinds: &[Kind::Server, Kind::Account],
    open: false,
    rules: RULES,
    index: OnceLock::new(),
    names: Names::Fixed(
        "the name is edited on the screen of the server; do that by hand, then `forget` the old resource and declare the new one (004)",
    ),
    clears: Clears::Yes,
    ordered: true,
    accounts: TextRules { name: None, password: None },
    permanent: &[],
    deletes_mail: false,
    notes: NOTES,
    excludes: EXCLUDES,
};

const fn rule(field: &'static str, screen: &'static str, source: &'static str, quote: &'static str) -> Rule {
    Rule {
        kind: Kind::Server,
        field,
        screen,
        need: Need::Optional,
        default: Default::None,
        values: &[],
        only_when: None,
        observable: false,
        source,
        quote,
        verified: true,
        note: "",
    }
}

/// A host without which there is no server; the document marks no item as one that must be written.
const fn host(field: &'static str, screen: &'static str, source: &'static str, quote: &'static str) -> Rule {
    Rule {
        need: Need::Required,
        verified: false,
        note: "that it is required is inferred; the document does not say",
        ..rule(field, screen, source, quote)
    }
}

const fn security(field: &'static str, screen: &'static str, source: &'static str) -> Rule {
    Rule {
        default: Default::Value("none"),
        verified: false,
        note: "one item for `none`, `implicit_tls` (TLS) and `starttls`; that `none` is preset is inferred",
        ..rule(field, screen, source, "メールサーバーとの通信にTLSまたはSTARTTLSを使用する場合に選択します。")
    }
}

/// An item of a user's account, of which only pages outside the documents tell.
const fn account(field: &'static str, screen: &'static str, source: &'static str, note: &'static str) -> Rule {
    Rule { kind: Kind::Account, observable: true, verified: false, note, ..rule(field, screen, source, "") }
}

/// What the product's export shows as `*`, or in a column that is only guessed.
const fn hidden(field: &'static str, screen: &'static str, source: &'static str, note: &'static str) -> Rule {
    Rule { observable: false, ..account(field, screen, source, note) }
}

const AUTH: Option<(&str, &str)> = Some(("outgoing.auth.enabled", "true"));
const CSV: &str = "[X] https://jp.cybozu.help/of10/ja/admin/spec/format/ml.html";
const SCREEN: &str = "[X] https://jp.cybozu.help/of10/ja/admin/app/ml/account.html";

/// In the order of the screen, in which a default also comes after what it depends on.
const RULES: &[Rule] = &[
    Rule {
        note: "a condition of use and no item of the screen: it is declared, never sent",
        ..rule("supports_uidl", "", "004:15, 004:11", "UIDLコマンドに対応している。")
    },
    Rule {
        need: Need::Fixed("pop3"),
        ..rule("incoming.protocol", "受信メールサーバー(POP3)", "004:13, 004:43", "SMTPとPOP3に対応している")
    },
    host(
        "incoming.host",
        "受信メールサーバー(POP3) サーバー名",
        "004:48",
        "受信メールサーバーのIPアドレス、またはホスト名を入力します。",
    ),
    Rule {
        default: Default::Value("110"),
        note: "usual: 110 for `none` and `starttls`, 995 for `implicit_tls` (004:52-55)",
        ..rule(
            "incoming.port",
            "受信メールサーバー(POP3) ポート番号",
            "004:51",
            "POP3のポート番号を入力します。初期値は「110」に設定されてい ます。",
        )
    },
    security("incoming.security", "受信メールサーバー(POP3) 通信を暗号化する", "004:56"),
    Rule {
        note: "no default is stated",
        ..rule(
            "incoming.apop",
            "受信メールサーバー(POP3) APOP認証を行う",
            "004:57",
            "受信メールサーバー(POP3)がAPOP認証に対応している場合に選択します。",
        )
    },
    host(
        "outgoing.host",
        "送信メールサーバー(SMTP) サーバー名",
        "004:64",
        "送信メールサーバーのIPアドレス、またはホスト名を入力します。",
    ),
    Rule {
        default: Default::Value("25"),
        note: "usual: 25 for `none`, 25 or 587 for `starttls`, 465 for `implicit_tls`, 587 with SMTP-AUTH (004:69-73)",
        ..rule(
            "outgoing.port",
            "送信メールサーバー(SMTP) ポート番号",
            "004:68, 004:67",
            "初期値は「25」に設定されています。",
        )
    },
    security("outgoing.security", "送信メールサーバー(SMTP) 通信を暗号化する", "004:74"),
    Rule {
        note: "not together with POP before SMTP; no default is stated",
        ..rule(
            "outgoing.auth.enabled",
            "送信メールサーバー(SMTP) SMTP認証を行う",
            "004:75, 004:81",
            "送信メールサーバー(SMTP)がSMTP認証(SMTP-AUTH 認証)に対応している場合に選択します。",
        )
    },
    Rule {
        need: Need::Fixed("auto"),
        verified: false,
        note: "inferred from its absence: the mechanism is not among the items (004:63-81)",
        ..rule(
            "outgoing.auth.mechanism",
            "",
            "004:75",
            "送信メールサーバー(SMTP)がSMTP認証(SMTP-AUTH 認証)に対応している場合に選択します。",
        )
    },
    Rule {
        need: Need::RequiredWhen("outgoing.auth.enabled", "true"),
        values: &["account", "per_account"],
        only_when: AUTH,
        note: "`per_account` asks for a second user name and password in each account \
               [X] https://jp.cybozu.help/of10/ja/admin/app/ml/account.html",
        ..rule(
            "outgoing.auth.credentials",
            "送信メールサーバー(SMTP) 認証に使用するユーザー名とパスワード",
            "004:76, 004:77, 004:78",
            "次のどちらかに設定します。",
        )
    },
    Rule {
        note: "not together with SMTP-AUTH; no default is stated",
        ..rule(
            "outgoing.pop_before_smtp",
            "送信メールサーバー(SMTP) 受信後に送信を行う(POP before SMTP)",
            "004:79, 004:81",
            "送信メールサーバー(SMTP)がPOP before SMTP認証に対応している場合に選択します。",
        )
    },
    Rule {
        only_when: Some(("outgoing.pop_before_smtp", "true")),
        verified: false,
        note: "the values of the list and their unit are not in the document: any number of seconds is accepted [P]; \
               that it belongs to POP before SMTP is inferred",
        ..rule(
            "outgoing.pop_before_smtp_wait",
            "送信メールサーバー(SMTP) 送信までの待ち時間",
            "004:80",
            "認証が実行されてから、メールの送信が実行されるまでの時間を、ドロップダウンリストから選択します。",
        )
    },
    Rule {
        note: "at first the end of the list (004:85)",
        ..rule(
            "position",
            "メールサーバーの登録 順番変更",
            "004:86, 004:85",
            "メールサーバーの表示順を変更する場合は、「メールサーバーの登録」画面で、 順番変更するをクリックします。",
        )
    },
    Rule {
        note: "the product gives it; the file of the accounts names servers by it",
        ..rule(
            "product_id",
            "メールサーバーID",
            "004:148",
            "移行先のメールサーバーのメールサーバーIDが必要です。\
             メールサーバーIDの確認方法を参照し、CSVファイルにメールサーバーIDを記述してください。",
        )
    },
    account(
        "user_id",
        "メールアカウントのCSV ユーザーID",
        CSV,
        "column 1; the user is found by it, and by the name only where it is missing",
    ),
    account(
        "user",
        "メールアカウントのCSV ユーザー名",
        CSV,
        "column 2; without an id it must be the name of one user only, or the file is not read",
    ),
    Rule {
        need: Need::Required,
        verified: true,
        note: "column 4 of the file is the id that the product gave to the server; column 5 is inferred to be its name",
        quote: "移行先のメールサーバーのメールサーバーIDが必要です。\
                メールサーバーIDの確認方法を参照し、CSVファイルにメールサーバーIDを記述してください。",
        ..account(
            "server",
            "メールアカウントの登録 使用するメールサーバー",
            "004:148, [X] https://jp.cybozu.help/of10/ja/admin/spec/format/ml.html",
            "",
        )
    },
    account("address", "メールアカウントの登録 E-mail", SCREEN, "column 6 of the file is inferred"),
    account(
        "incoming.username",
        "メールアカウントの登録 受信メールサーバー(POP3) アカウント",
        SCREEN,
        "column 7 of the file is inferred",
    ),
    hidden(
        "incoming.password",
        "メールアカウントの登録 受信メールサーバー(POP3) パスワード",
        SCREEN,
        "column 8 of the file is inferred; exported as `*`, and what `*` means on the way in is not known",
    ),
    account(
        "outgoing.auth.username",
        "メールアカウントの登録 送信メールサーバー(SMTP) アカウント",
        SCREEN,
        "column 9 of the file is inferred; shown only if the server has `credentials: per_account`",
    ),
    hidden(
        "outgoing.auth.password",
        "メールアカウントの登録 送信メールサーバー(SMTP) パスワード",
        SCREEN,
        "column 10 of the file is inferred; exported as `*`; shown only if the server has `credentials: per_account`",
    ),
    hidden(
        "incoming.leave_on_server",
        "メールアカウントの登録 受信メールをメールサーバーに残す",
        SCREEN,
        "column 11 of the file is a guess",
    ),
    hidden(
        "incoming.leave_days",
        "メールアカウントの登録 期限",
        SCREEN,
        "column 12 of the file is a guess; on the screen 14 days are preset",
    ),
];

const EXCLUDES: &[Exclusion] = &[
    Exclusion { id: "E-R1", kind: Kind::Server, when: None, fields: &["supports_uidl"], words: &["false"] },
    Exclusion {
        id: "E-R2",
        kind: Kind::Server,
        when: Some(("outgoing.auth.enabled", &["true"])),
        fields: &["outgoing.pop_before_smtp"],
        words: &["true"],
    },
];

/// The steps are not numbered in the document; 004:149 counts them.
const NOTES: &[Note] = &[Note {
    title: "Moving to another mail server, in this order",
    lines: &[
        (
            "004:141",
            "1. Office 10: add the new server",
            "サイボウズ Office 10側の作業 移行先のメールサーバーの情報を追加します。",
        ),
        ("004:142", "the old one is not deleted yet", "移行元のメールサーバーの情報は、まだ削除しないでください。"),
        (
            "004:144",
            "2. Office 10: export the mail accounts",
            "サイボウズ Office 10側の作業 登録されているメールアカウントをCSVファイルに書き出します。",
        ),
        (
            "004:146",
            "3. Office 10: add the accounts on the new server to the file",
            "サイボウズ Office 10側の作業 CSVファイルに、移行先のメールアカウントの情報を追加します。",
        ),
        (
            "004:148",
            "they name the new server by the id that step 1 gave to it",
            "移行先のメールサーバーのメールサーバーIDが必要です。\
             メールサーバーIDの確認方法を参照し、CSVファイルにメールサーバーIDを記述してください。",
        ),
        (
            "004:149",
            "4. Office 10: read the file of step 3",
            "サイボウズ Office 10側の作業 Step 3で編集したCSVファイルを読み込みます。",
        ),
        ("004:151", "5. the provider: switch DNS", "ご契約業者側の作業 DNS情報を切り替えます。"),
        (
            "004:152",
            "the provider knows how",
            "DNS情報の切り替えは、お客様のメールサーバーのご契約業者にお問い合わせください。",
        ),
        (
            "004:153",
            "6. Office 10: make sure that the new server sends and receives",
            "サイボウズ Office 10側の作業 移行先のメールサーバーの設定で、メールが送受信できることを確認します。",
        ),
        (
            "004:157",
            "7. Office 10: only then delete the old server",
            "サイボウズ Office 10側の作業 完全に移行が完了したら、移行元のメールサーバーの情報を削除します。",
        ),
    ],
}];
