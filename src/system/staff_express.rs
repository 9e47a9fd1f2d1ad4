//! StaffExpress: mail accounts for bulk mail and for receiving, entered on the four tabs of one
//! screen; no file goes in or out (document 001).

use std::sync::OnceLock;

use super::{Clears, Default, Exclusion, Names, Need, Rule, System, TextRules};
use crate::model::Kind;

pub static SYSTEM: System = System {
    name: "staff-express",
    product: "スタッフエクスプレス",
    document: "001",
    about: "mail accounts for bulk mail to staff, clients and applicants, entered on the product's screen",
    kinds: &[Kind::Account],
    open: false,
    rules: RULES,
    index: OnceLock::new(),
    names: Names::Fixed("the number of an account is given once, and no screen changes it (001)"),
    clears: Clears::Yes,
    ordered: false,
    accounts: TextRules { name: None, password: None },
    permanent: &[],
    deletes_mail: false,
    notes: &[],
    excludes: EXCLUDES,
};

const fn rule(field: &'static str, screen: &'static str, source: &'static str, quote: &'static str) -> Rule {
    Rule {
        kind: Kind::Account,
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

/// A cell of ⑨. That the contact log must be on is a check, not `only_when`: the product refuses
/// the entry, so leaving it out with a warning would hide a mistake.
const fn category(field: &'static str, screen: &'static str) -> Rule {
    Rule {
        verified: false,
        note: "selectable only with `contact_log.enabled: true`; that each of the three categories has a value of its \
               own for TO, CC and FROM is inferred",
        ..rule(field, screen, "001:23", "TO、CC、FROM によって、登録する連絡区分を設定できます。")
    }
}

/// A cell of ⑩; its condition is a check, as in `category`.
const fn status(field: &'static str, screen: &'static str) -> Rule {
    Rule {
        note: "only with `contact_log.enabled: true`; the value must stand in the product's class master",
        ..rule(field, screen, "001:24", "値は、[区分マスタ]-[連絡記録入力]-[連絡ステータス]にて登録します。")
    }
}

const RECEIVING: Option<(&str, &str)> = Some(("receive.enabled", "true"));
const WHEN_RECEIVING: Need = Need::RequiredWhen("receive.enabled", "true");

/// In the order of the screen, in which a default also comes after what it depends on.
const RULES: &[Rule] = &[
    rule("label", "共通項目 ② アカウント名", "001:12", "メールアカウントの名称を任意に設定できます。"),
    Rule {
        default: Default::Value("true"),
        ..rule(
            "receive.enabled",
            "POP設定 ① メール受信対象とする",
            "001:15",
            "チェックを付けると、POPサーバーに関する設定が入力可能となります。 \
             デフォルトはチェックが付いた状態です。",
        )
    },
    Rule {
        need: Need::Fixed("pop3"),
        note: "the document says POP; its usual port, 110, is that of POP3 (001:17)",
        ..rule(
            "incoming.protocol",
            "POP設定",
            "001:2",
            "[メール一括送信]及び[メール受信]を利用する場合のメールアカウント\
             (受信POP、送信SMTPのメールサーバー)を設定します。",
        )
    },
    Rule {
        need: WHEN_RECEIVING,
        only_when: RECEIVING,
        verified: false,
        note: "that it is required while mail is received is inferred; the document does not say",
        ..rule("incoming.host", "POP設定 ② POPサーバー名", "001:16", "受信メールサーバーを指定します。")
    },
    Rule {
        default: Default::Value("110"),
        only_when: RECEIVING,
        verified: false,
        note: "110 is the usual value; the document does not say that it is preset. Others are possible, for proxies",
        ..rule(
            "incoming.port",
            "POP設定 ③ POP ポート番号",
            "001:17",
            "通常は 110 を設定します。プロキシサーバ経由でメールの送受信を行う場合などに、変更の必要があります。",
        )
    },
    Rule {
        verified: false,
        note: "a check box: every value but `none` ticks it [P]; which of the two encryptions it means is not said",
        ..rule(
            "incoming.security",
            "POP設定 ④ POP サーバー接続時にTLS を使う",
            "001:18",
            "チェックを付けると、[SMTP 設定]-[通信方法]で「TLS/SMTP over SSL」を使用する設定にした場合も、\
             メール受信が可能となります。",
        )
    },
    Rule {
        need: WHEN_RECEIVING,
        verified: false,
        note: "that it is required while mail is received is inferred; the document demands it only with receiving off \
               and SMTP-AUTH on (001:40)",
        ..rule(
            "incoming.username",
            "POP設定 ⑤ ユーザ ID",
            "001:19, 001:40",
            "メールサーバーへログインするアカウント情報を設定します。",
        )
    },
    Rule {
        need: WHEN_RECEIVING,
        verified: false,
        note: "that it is required while mail is received is inferred; the document demands it only with receiving off \
               and SMTP-AUTH on (001:40)",
        ..rule(
            "incoming.password",
            "POP設定 ⑤ パスワード",
            "001:19, 001:40",
            "メールサーバーへログインするアカウント情報を設定します。",
        )
    },
    Rule {
        only_when: RECEIVING,
        verified: false,
        note: "cannot be undone: the mail is gone from the mail server; that it needs receiving is inferred (001:15)",
        ..rule(
            "incoming.delete_after_download",
            "POP設定 ⑥ 受信したメールは削除する",
            "001:20",
            "チェックを付けた場合、スタッフエクスプレスでメールを受信すると同時に、\
             メールサーバの該当受信メールは削除されます。",
        )
    },
    Rule {
        only_when: RECEIVING,
        verified: false,
        note: "that it needs receiving is inferred (001:15)",
        ..rule(
            "incoming.errors_only",
            "POP設定 ⑦ エラーメールのみ受信する",
            "001:21",
            "チェックを付けた場合、エラーメール以外は受信しなくなります。",
        )
    },
    Rule {
        default: Default::Value("false"),
        note: "selectable only with `receive.enabled: true`",
        ..rule(
            "contact_log.enabled",
            "POP設定 ⑧ 連絡記録に展開する",
            "001:22",
            "「メール受信対象とする」にチェックを付けた場合に、選択可能となります。 \
             チェックを付けた場合、受信したメールを連絡記録として連絡記録入力へ登録します。\
             デフォルトはチェックが外れた状態です。",
        )
    },
    category("contact_log.category1.to", "POP設定 ⑨ 連絡区分 1 TO"),
    category("contact_log.category1.cc", "POP設定 ⑨ 連絡区分 1 CC"),
    category("contact_log.category1.from", "POP設定 ⑨ 連絡区分 1 FROM"),
    category("contact_log.category2.to", "POP設定 ⑨ 連絡区分 2 TO"),
    category("contact_log.category2.cc", "POP設定 ⑨ 連絡区分 2 CC"),
    category("contact_log.category2.from", "POP設定 ⑨ 連絡区分 2 FROM"),
    category("contact_log.category3.to", "POP設定 ⑨ 連絡区分 3 TO"),
    category("contact_log.category3.cc", "POP設定 ⑨ 連絡区分 3 CC"),
    category("contact_log.category3.from", "POP設定 ⑨ 連絡区分 3 FROM"),
    status("contact_log.status.to", "POP設定 ⑩ 連絡ステータス TO"),
    status("contact_log.status.cc", "POP設定 ⑩ 連絡ステータス CC"),
    status("contact_log.status.from", "POP設定 ⑩ 連絡ステータス FROM"),
    Rule {
        default: Default::Value("true"),
        ..rule(
            "incoming.save_attachments",
            "POP設定 ⑪ 添付ファイルを保存する",
            "001:25",
            "添付ファイルを保存する場合にチェックを付けます。 デフォルトはチェックが付いた状態です。",
        )
    },
    Rule {
        note: "a shared folder is recommended: what lies in a local one the others cannot see",
        ..rule(
            "incoming.folder",
            "POP設定 ⑫ メール保存先",
            "001:26",
            "[メール保存先]にローカルなど他の方がアクセスできないような場所を登録した場合、\
             メール受信の内容が他の方から見ることができなくなりますので、\
             共有されているフォルダを登録することを推奨しています。",
        )
    },
    rule("outgoing.host", "SMTP設定 ① SMTP サーバー名", "001:29", "送信メールサーバーを指定します"),
    Rule {
        need: Need::Required,
        values: &["25", "465", "587"],
        note: "chosen together with `outgoing.security`; no default is stated",
        ..rule(
            "outgoing.port",
            "SMTP設定 ② SMTP ポート番号",
            "001:30",
            "使用可能なポート番号は以下になります。 ・25:Simple Mail Transfer Protocol(一般的なメール送信ポート) \
             ・465:SMTP over SSL 【注意】 ・587:TLS",
        )
    },
    Rule {
        default: Default::Value("none"),
        verified: false,
        note: "`none` is the blank, `implicit_tls` SMTP over SSL; that TLS means `starttls` and that the blank is preset \
               is inferred",
        ..rule(
            "outgoing.security",
            "SMTP設定 ② 通信方法",
            "001:30",
            "また、通信方法も併せて選択します。(空白/TLS/SMTP over SSL)",
        )
    },
    Rule {
        verified: false,
        note: "the list of character sets is not in the document: any text is accepted [P]",
        ..rule("outgoing.encoding", "SMTP設定 ③ エンコード", "001:31", "メール送信時の文字コードを選択します。")
    },
    rule(
        "sender_name",
        "SMTP設定 ④ 送信者名",
        "001:32",
        "ここに入力された送信者名は、メールアドレスと対になって、送信メールの差出人欄に設定されます。",
    ),
    rule(
        "address",
        "SMTP設定 ⑤ メールアドレス",
        "001:33",
        "ここで入力されたメールアドレスは、送信メールの差出人欄に設定されます。",
    ),
    rule(
        "reply_to",
        "SMTP設定 ⑥ Reply-To",
        "001:35",
        "返信を受け取りたいメールアドレス(送信先アドレス)を入力することで、 \
         送信元メールアドレスとは異なるメールアドレスで、メールの返信を受け取る場合に使用してください。",
    ),
    rule(
        "cc",
        "SMTP設定 ⑦ CC",
        "001:36",
        "ここで入力されたメールアドレスは、メール一括送信時に[CC]として送信されます。",
    ),
    rule(
        "bcc",
        "SMTP設定 ⑧ BCC",
        "001:37",
        "ここで入力されたメールアドレスは、メール一括送信時に[BCC]として送信されます。",
    ),
    Rule {
        note: "exactly one",
        ..rule("signature", "SMTP設定 ⑨ 署名", "001:38", "メールに付与する署名を設定できます。複数の設定はできません。")
    },
    Rule {
        note: "no default is stated",
        ..rule(
            "outgoing.pop_before_smtp",
            "SMTP設定 ⑩ POP before SMTP 認証",
            "001:39",
            "プロバイダの SMTP サーバーが[POP before SMTP]の機構をサポートしている場合、\
             メール送信の前に一旦受信メールサーバーに接続するように指定できます。",
        )
    },
    Rule {
        default: Default::By("outgoing.security", &[("starttls", "true"), ("implicit_tls", "true")]),
        note: "no default is stated for the blank",
        ..rule(
            "outgoing.auth.enabled",
            "SMTP設定 ⑪ SMTP 認証",
            "001:40",
            "通信方法で[TLS][SMTP over SSL]を選択した場合は、必ずチェックが付きます。",
        )
    },
    Rule {
        default: Default::By("outgoing.security", &[("starttls", "login")]),
        values: &["login", "plain"],
        only_when: Some(("outgoing.auth.enabled", "true")),
        note: "with TLS only LOGIN; no default is stated for the others",
        ..rule(
            "outgoing.auth.mechanism",
            "SMTP設定 ⑪ 認証方式",
            "001:40",
            "使用可能な認証方式としては、LOGIN、PLAIN があり、どれを使用するか選択することができます。 \
             通信方法で[TLS][SMTP over SSL]を選択した場合は、必ずチェックが付きます。\
             また、[TLS]を選択した場合は、[LOGIN]のみ選択可能です。",
        )
    },
    rule(
        "sending.warn_hours",
        "その他 ① 警告MSG時間帯",
        "001:43",
        "ここで指定した時間帯にメール送信が行われようとした場合に警告メッセージを表示します。",
    ),
    Rule {
        note: "addresses: a member of staff with two of them counts twice \
               [X] https://express-knowledge.si-system.jp/hc/ja/articles/12468731690777-",
        ..rule(
            "sending.max_per_run",
            "その他 ② 1回の送信上限件数",
            "001:45",
            "メール一括送信の1つの送信管理NOで送信できる件数となります。\
             画面右側で選択しているスタッフのメールアドレスの数をカウントしています。",
        )
    },
    rule(
        "sending.batch_size",
        "その他 ③ 1回の送信処理件数",
        "001:47",
        "[送信(F11)]を押下した際に、メールサーバーに一度に送信するメールの件数を指定します。\
         スリープ間隔と併用して件数を指定してください。",
    ),
    Rule {
        note: "the document does not name the unit",
        ..rule(
            "sending.pause",
            "その他 ④ スリープ間隔",
            "001:49",
            "多くのメールを送信した際に、1回の送信処理件数で指定した件数まで送信を行った後、\
             スリープ間隔で指定した間隔を置いてから、続きを送信する処理を繰り返します。",
        )
    },
    rule(
        "sending.attachments",
        "その他 ⑤ 添付ファイルを使用する",
        "001:50",
        "メール一括送信で添付ファイルを使用する場合にチェックを付けます。",
    ),
    rule(
        "visible",
        "その他 ⑥ 表示区分",
        "001:51",
        "以下画面でメールアカウントを表示するか否か選択します。 ・[メール一括送信]-[送信元アカウント] \
         ・[メール受信]-[抽出条件]-[受信元アカウント]",
    ),
    Rule {
        default: Default::Value("true"),
        ..rule(
            "sending.recipient_names",
            "その他 ⑦ 送信の宛先に宛先名称を含める",
            "001:52",
            "チェックを付けると、メール送信時の宛先に宛先名称を含めて送信します。 \
             デフォルトはチェックが付いた状態です。",
        )
    },
    Rule {
        default: Default::Value("true"),
        ..rule(
            "sending.allow_non_rfc_addresses",
            "その他 ⑧ RFCに準拠していないメールアドレスを送信可能とする",
            "001:54",
            "デフォルトはチェックが付いた状態です。 \
             ※送信により何かしらのエラーが発生する場合は、本設定をOFFにしてご確認ください。",
        )
    },
    Rule {
        default: Default::Value("false"),
        ..rule(
            "sending.allow_do_not_send",
            "その他 ⑨ 「送らない」スタッフへメールを送信可能とする",
            "001:55",
            "チェックを付けると、スタッフマスタ上で メールアドレス1、2が[送らない]となっているスタッフに対し、\
             メールを送れるようになります。 デフォルトはチェックが外れた状態です。",
        )
    },
    rule(
        "sending.result_notice",
        "その他 ⑩ 送信結果通知",
        "001:56",
        "[常に出力する]:送信成否にかかわらず、送信結果画面を表示します。 \
         [常に出力しない]:送信成否にかかわらず、送信結果画面を非表示にします。 \
         [失敗のみ出力する]:送信が失敗した場合のみ、送信結果画面を表示します。",
    ),
    Rule {
        verified: false,
        note: "taken over when the file is read; the product has no servers of its own",
        ..rule("server", "", "[P]", "")
    },
];

const fn excludes(
    id: &'static str,
    when: (&'static str, &'static [&'static str]),
    fields: &'static [&'static str],
    words: &'static [&'static str],
) -> Exclusion {
    Exclusion { id, kind: Kind::Account, when: Some(when), fields, words }
}

const SECURITY: &[&str] = &["outgoing.security"];
const NOT_RECEIVING: (&str, &[&str]) = ("receive.enabled", &["false"]);
const NOT_LOGGING: (&str, &[&str]) = ("contact_log.enabled", &["false"]);
const LOGGED: &[&str] = &[
    "contact_log.category1.to",
    "contact_log.category1.cc",
    "contact_log.category1.from",
    "contact_log.category2.to",
    "contact_log.category2.cc",
    "contact_log.category2.from",
    "contact_log.category3.to",
    "contact_log.category3.cc",
    "contact_log.category3.from",
    "contact_log.status.to",
    "contact_log.status.cc",
    "contact_log.status.from",
];

const EXCLUDES: &[Exclusion] = &[
    excludes("B-R1", ("outgoing.port", &["25"]), SECURITY, &["implicit_tls"]),
    excludes("B-R1", ("outgoing.port", &["465"]), SECURITY, &["none", "starttls"]),
    excludes("B-R1", ("outgoing.port", &["587"]), SECURITY, &["implicit_tls"]),
    excludes("B-R2", ("outgoing.security", &["starttls", "implicit_tls"]), &["outgoing.auth.enabled"], &["false"]),
    excludes("B-R3", ("outgoing.security", &["starttls"]), &["outgoing.auth.mechanism"], &["plain"]),
    excludes("B-R7", NOT_RECEIVING, &["contact_log.enabled"], &["true"]),
    excludes("B-R7", NOT_LOGGING, LOGGED, &[]),
    excludes("AMB-B6", NOT_RECEIVING, &["outgoing.pop_before_smtp"], &["true"]),
];
