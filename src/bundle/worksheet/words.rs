//! The words of the screens: how they show a value, and the way to each of them.

use super::Way;

/// Ticked and not ticked, by document, as it words it.
pub const TICKS: &[(&str, [&str; 2])] = &[
    ("001", ["チェックを付ける", "チェックを外す"]),
    ("002", ["ON", "OFF"]),
    ("003", ["チェックを入れる", "チェックを外す"]),
    ("004", ["選択する", "選択を外す"]),
];

type Words = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// By document and field: the word of the value, and that of the screen.
pub const WORDS: &[Words] = &[
    ("001", "outgoing.security", &[("none", "空白"), ("starttls", "TLS"), ("implicit_tls", "SMTP over SSL")]),
    (
        "001",
        "incoming.security",
        &[("none", "チェックを外す"), ("starttls", "チェックを付ける"), ("implicit_tls", "チェックを付ける")],
    ),
    ("001", "outgoing.auth.mechanism", &[("login", "LOGIN"), ("plain", "PLAIN")]),
    ("001", "visible", &[("true", "表示する"), ("false", "表示しない")]),
    (
        "001",
        "sending.result_notice",
        &[("always", "常に出力する"), ("never", "常に出力しない"), ("failures", "失敗のみ出力する")],
    ),
    ("002", "forward.enabled", &[("true", "有効"), ("false", "無効")]),
    ("002", "forward.keep_copy", &[("true", "残す"), ("false", "残さない")]),
    ("002", "auto_reply.enabled", &[("true", "有効"), ("false", "無効")]),
    ("003", "incoming.protocol", &[("pop3", "POP3"), ("imap", "IMAP4")]),
    ("003", "incoming.max_message_size", &[("unlimited", "(無制限)")]),
    ("003", "outgoing.max_message_size", &[("unlimited", "(無制限)")]),
    ("003", "outgoing.auth.mechanism", &[("login", "LOGIN"), ("plain", "PLAIN"), ("cram-md5", "CRAM-MD5")]),
    (
        "003",
        "outgoing.auth.credentials",
        &[
            ("account", "認証にメールアカウントのユーザー名とパスワードを使用する"),
            ("own", "認証に使用するユーザー名とパスワードを設定する"),
        ],
    ),
    ("004", "incoming.security", ENCRYPTION),
    ("004", "outgoing.security", ENCRYPTION),
    (
        "004",
        "outgoing.auth.credentials",
        &[
            ("account", "認証に受信メールアカウントのユーザー名とパスワードを使用する"),
            ("per_account", "認証に使用するユーザー名とパスワードを個別に設定する"),
        ],
    ),
];

const ENCRYPTION: &[(&str, &str)] = &[("none", "選択を外す"), ("implicit_tls", "TLS"), ("starttls", "STARTTLS")];

/// What the screens write behind a number, by field.
pub const UNITS: &[(&str, &str)] =
    &[("capacity", " GB"), ("outgoing.pop_before_smtp_wait", " 秒"), ("incoming.leave_days", " 日")];

/// What a value that is taken away leaves behind.
pub const EMPTY: &str = "空にする";

pub const STAFF_EXPRESS: Way = Way {
    steps: &["open メールアカウント設定; its tabs are 共通項目, POP設定, SMTP設定 and その他 (001:3-7)"],
    add: "start a new entry",
    added: "save the entry; the document does not name the button",
    change: "find it: 共通項目 ① 検索, which shows [メールアカウント検索] (001:11)",
    changed: "save the entry; the document does not name the button",
    delete: "find it with 共通項目 ① 検索, and delete it; the document does not describe how",
    reorder: "",
};

pub const MAILWISE: Way = Way {
    steps: &[
        "on 「システム設定」, click 「全般」 > 「基本設定」 > 「メールサーバー」: 「メールサーバーの設定」 is shown (003:21)",
    ],
    add: "click 「追加する」: 「メールサーバーの追加」 is shown (003:22)",
    added: "click 「追加する」 (003:23)",
    change: "at this server, click 「変更する」: 「メールサーバーの変更」 is shown (003:80)",
    changed: "click 「変更する」 (003:81)",
    delete: "at this server, click 「削除する」: 「メールサーバーの削除」 is shown; click 「はい」 (003:97-98)",
    reorder: "click 「順番変更」: 「メールサーバーの順番変更」 is shown; bring the list into this order (003:89-90)",
};

pub const CYBOZU_OFFICE: Way = Way {
    steps: &[
        "click the gear at the right of the header (歯車アイコン, 004:23)",
        "click [システム設定]; if there is a システム管理用パスワード, enter it and click [OK] (004:25-29)",
        "click 「[+]詳細設定を開く」 (004:31)",
        "in the section 「各アプリケーション」, click 「メール」 (004:33)",
        "click 「メールサーバーの登録」 (004:35)",
    ],
    add: "click 「追加する」 (004:37)",
    added: "look everything over, and click 「追加する」 (004:83); the server then stands last in the list (004:85)",
    change: "at this server, click 「変更する」 (004:106)",
    changed: "click 「変更する」 (004:108)",
    delete: "at this server, click 「削除する」, and 「削除する」 again to confirm (004:132-134)",
    reorder: "on 「メールサーバーの登録」, click 「順番変更する」, and bring the list into this order (004:86)",
};

/// The way of a page outside 004: <https://jp.cybozu.help/of10/ja/admin/app/ml/account.html>.
pub const OFFICE_ACCOUNTS: Way = Way {
    steps: &["open the user's mail accounts: 「メールアカウントの登録」"],
    add: "add it",
    added: "save it",
    change: "open it",
    changed: "save it",
    delete: "delete it",
    reorder: "",
};

pub const CPI: &str = "in the control panel, click 【Mail】 > 【メールアカウント(管理者用)】 (002:83)";

/// Comment, capacity, and where no file can set it the password.
pub const CPI_DETAILS: [&str; 2] = [
    "at this account, click 【設定】, and then 【アカウント詳細設定変更】 (002:83-84)",
    "leave the other items as they are, and the other texts empty, which keeps them (002:87, 002:89); click \
     【変更する】 (002:85)",
];

pub const CPI_AGAIN: &str = "アカウント詳細設定変更 パスワード再入力";

/// The document names these functions, and no more (002:8-12, 002:22-25).
pub const CPI_SWITCHES: [&str; 2] =
    ["at this account, click 【設定】; the document names these settings without their buttons", "save them"];

pub const CPI_PURGE: &str =
    "at this account, click 【設定】; at 「メールデータの削除」, click 【削除】, and then 【OK】 (002:75-77)";

pub const CPI_DELETE: &str = "at this account, click 【×】 (削除), and then 【削除する】 (002:61-62); several at once: \
                              tick them, and click 【削除】 (002:65)";

pub const CPI_PURGE_LOUD: &str = "All mail in these inboxes is lost for good, never a part of it, and nobody can \
                                  bring it back (002:71-72). Mail that arrives meanwhile may get lost too: wait \
                                  until it is done (002:70), which takes long for much mail (002:73).";

pub const CPI_DELETE_LOUD: &str = "All mail and all settings of these accounts are lost for good, and nobody can \
                                   bring them back (002:57-58). Much mail takes long (002:59). If it fails, ask the \
                                   provider (002:60).";
