//! Cybozu メールワイズ 4 (package edition): mail servers, entered on the administrator's screen, in
//! a list whose order is shown; no file goes in or out (document 003).

use std::sync::OnceLock;

use super::{Clears, Default, Exclusion, Names, Need, Rule, System, TextRules};
use crate::model::Kind;

pub static SYSTEM: System = System {
    name: "mailwise",
    product: "メールワイズ 4",
    document: "003",
    about: "an ordered list of mail servers, entered on the administrator's screen",
    kinds: &[Kind::Server],
    open: false,
    rules: RULES,
    index: OnceLock::new(),
    names: Names::Fixed(
        "the name is edited on the screen of the server; do that by hand, then `forget` the old resource and declare the new one (003)",
    ),
    clears: Clears::Yes,
    ordered: true,
    accounts: TextRules { name: None, password: None },
    permanent: &[],
    deletes_mail: false,
    notes: &[],
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

/// A server that wants encryption must be refused, not weakened: this edition never encrypts.
const fn unencrypted(field: &'static str, screen: &'static str) -> Rule {
    Rule {
        need: Need::Fixed("none"),
        verified: false,
        note: "inferred from its absence: encryption is not among the items (003:10-14, 003:25-70)",
        ..rule(field, screen, "003:9", "メールサーバーの情報として次の項目を設定できます。")
    }
}

const AUTH: Option<(&str, &str)> = Some(("outgoing.auth.enabled", "true"));
const WITH_AUTH: Need = Need::RequiredWhen("outgoing.auth.enabled", "true");
const OWN: Option<(&str, &str)> = Some(("outgoing.auth.credentials", "own"));
const SIZES: &[&str] = &["unlimited", "512KB", "1MB", "3MB", "5MB", "10MB"];

/// In the order of the screen, in which a default also comes after what it depends on.
const RULES: &[Rule] = &[
    Rule {
        need: Need::Required,
        ..rule(
            "outgoing.host",
            "送信メールサーバー(SMTP) サーバー名",
            "003:31, 003:33, 003:34",
            "サーバー名 送信メールサーバー(SMTP)のIPアドレス、またはホスト名を入力します。",
        )
    },
    Rule {
        need: Need::Required,
        default: Default::Value("25"),
        ..rule(
            "outgoing.port",
            "送信メールサーバー(SMTP) ポート番号",
            "003:36, 003:37",
            "初期値では、標準のSMTPポート番号である「25」が設定されています。",
        )
    },
    unencrypted("outgoing.security", "送信メールサーバー(SMTP)"),
    Rule {
        note: "no default is stated",
        ..rule(
            "outgoing.auth.enabled",
            "送信メールサーバー(SMTP) SMTP認証をおこなう",
            "003:38",
            "SMTP認証をおこなう SMTPサーバーが「SMTP認証」(SMTP-AUTH認証)に対応している場合にチェックを入れます。",
        )
    },
    Rule {
        need: WITH_AUTH,
        values: &["login", "plain", "cram-md5"],
        only_when: AUTH,
        verified: false,
        note: "that it belongs to SMTP-AUTH and is required with it is inferred",
        ..rule(
            "outgoing.auth.mechanism",
            "送信メールサーバー(SMTP) 認証方式",
            "003:41",
            "SMTP-AUTH認証の認証方式を設定します。\
             メールサーバー側で採用している認証方式(LOGIN/ PLAIN/ CRAM-MD5 )選択できます。",
        )
    },
    Rule {
        need: WITH_AUTH,
        values: &["account", "own"],
        only_when: AUTH,
        verified: false,
        note: "that it belongs to SMTP-AUTH and is required with it is inferred; `own` stands in the server, for all \
               accounts",
        ..rule(
            "outgoing.auth.credentials",
            "送信メールサーバー(SMTP) 認証に使用するユーザー名とパスワード",
            "003:44",
            "「認証にメールアカウントのユーザー名とパスワードを使用する」/\
             「 認証に使用するユーザー名とパスワードを設定する」のいずれかを選択してください。",
        )
    },
    Rule {
        only_when: OWN,
        note: "needed when credentials is own",
        ..rule(
            "outgoing.auth.username",
            "送信メールサーバー(SMTP) 認証に使用するユーザー名",
            "003:44",
            "「認証に使用するユーザー名とパスワードを設定する」にチェックを入れた場合は、\
             ユーザー名とパスワードを入力します。",
        )
    },
    Rule {
        only_when: OWN,
        note: "needed when credentials is own",
        ..rule(
            "outgoing.auth.password",
            "送信メールサーバー(SMTP) 認証に使用するパスワード",
            "003:44",
            "「認証に使用するユーザー名とパスワードを設定する」にチェックを入れた場合は、\
             ユーザー名とパスワードを入力します。",
        )
    },
    Rule {
        note: "no default is stated",
        ..rule(
            "outgoing.pop_before_smtp",
            "送信メールサーバー(SMTP) 受信後に送信をおこなう(POP before SMTP)",
            "003:47",
            "SMTPサーバーが「POP before SMTP認証」に対応している場合はチェックを入れます。",
        )
    },
    Rule {
        values: &["0", "1", "2", "3", "4", "5"],
        only_when: Some(("outgoing.pop_before_smtp", "true")),
        verified: false,
        note: "seconds; that it belongs to POP before SMTP is inferred",
        ..rule(
            "outgoing.pop_before_smtp_wait",
            "送信メールサーバー(SMTP) 送信までの待ち時間",
            "003:50",
            "POP3認証からメールの送信が実行されるまでの時間を設定します。 \
             0 秒/ 1秒/ 2秒/ 3秒/ 4秒/ 5秒 から選択できます。",
        )
    },
    Rule {
        values: SIZES,
        note: "a message of exactly this size passes; no default is stated",
        ..rule(
            "outgoing.max_message_size",
            "送信メールサーバー(SMTP) メールサイズの制限",
            "003:52, 003:53",
            "(無制限)/512KB/1MB/3MB/5MB/10MB から選択できます。",
        )
    },
    Rule {
        default: Default::Value("pop3"),
        note: "of an IMAP server only mail directly in the inbox is received (003:73)",
        ..rule(
            "incoming.protocol",
            "受信メールサーバー POP3 / IMAP4",
            "003:56",
            "初期値では、標準的な受信メールプロトコルである、POP3 が選択されています。",
        )
    },
    Rule {
        note: "of POP3; no default is stated",
        ..rule(
            "incoming.apop",
            "受信メールサーバー APOP認証をおこなう",
            "003:60",
            "POP3サーバーが APOP 認証に対応している場合はチェックを入れます。",
        )
    },
    Rule {
        need: Need::Required,
        ..rule(
            "incoming.host",
            "受信メールサーバー サーバー名",
            "003:61, 003:63, 003:64",
            "サーバー名 受信メールサーバーのIPアドレス、またはホスト名を入力します。",
        )
    },
    Rule {
        need: Need::Required,
        default: Default::By("incoming.protocol", &[("pop3", "110"), ("imap", "143")]),
        note: "a port that is written does not follow a change of the protocol",
        ..rule(
            "incoming.port",
            "受信メールサーバー ポート番号",
            "003:66, 003:67",
            "初期値では、標準のポート番号である「POP3:110」・「IMAP4:143」 が設定されています。",
        )
    },
    unencrypted("incoming.security", "受信メールサーバー"),
    Rule {
        values: SIZES,
        note: "a message of exactly this size passes; a larger one can be deleted on the mail server from the error \
               message (003:70); no default is stated",
        ..rule(
            "incoming.max_message_size",
            "受信メールサーバー メールサイズの制限",
            "003:69, 003:70",
            "(無制限)/512KB/1MB/3MB/5MB/10MB から選択できます。",
        )
    },
    Rule {
        note: "at first the order in which servers are added (003:87)",
        ..rule(
            "position",
            "メールサーバーの順番変更 表示順",
            "003:85, 003:87",
            "メールサーバー選択時のプルダウンメニューに表示されるメールサーバーの表示順を変更します。",
        )
    },
];

const IMAP: (&str, &[&str]) = ("incoming.protocol", &["imap"]);

const EXCLUDES: &[Exclusion] = &[
    Exclusion { id: "AMB-D5", kind: Kind::Server, when: Some(IMAP), fields: &["incoming.apop"], words: &["true"] },
    Exclusion {
        id: "D-R6",
        kind: Kind::Server,
        when: Some(IMAP),
        fields: &["outgoing.pop_before_smtp"],
        words: &["true"],
    },
];
