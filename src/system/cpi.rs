//! CPI (KDDI Web Communications): mail accounts of three hosting plans, registered and edited in
//! bulk by CSV, everything else on the control panel (document 002).

use std::sync::OnceLock;

use super::{Clears, Default, Names, Need, Note, Rule, System, TextRule, TextRules};
use crate::model::Kind;

pub static BUSINESS_STANDARD: System = plan(
    "cpi-business-standard",
    "CPI ビジネス スタンダード",
    ABOUT,
    WITH_CAPACITY,
    &[ARCHIVE, LOSS, FILES, LIMIT, FORCED],
);

pub static KWC_MAIL: System =
    plan("cpi-kwc-mail", "CPI KWCメール", ABOUT, WITH_CAPACITY, &[ARCHIVE, LOSS, FILES, LIMIT, FORCED]);

pub static SV_BASIC: System = plan(
    "cpi-sv-basic",
    "CPI シェアードプラン SV-Basic",
    "mail accounts of a hosting plan without capacities, by CSV and on the control panel",
    WITHOUT_CAPACITY,
    &[LOSS, FILES, FORCED],
);

const fn plan(
    name: &'static str,
    product: &'static str,
    about: &'static str,
    rules: &'static [Rule],
    notes: &'static [Note],
) -> System {
    System {
        name,
        product,
        document: "002",
        about,
        kinds: &[Kind::Account],
        open: false,
        rules,
        index: OnceLock::new(),
        names: Names::Fixed("the name of a mailbox is its address, and no screen changes it (002)"),
        clears: Clears::Except(&[
            (
                "comment",
                "on the screen an empty comment keeps the old one (002:87, 002:89), and no file edits it (002:147-150)",
            ),
            ("password", "an empty password keeps the old one (002:89)"),
            ("capacity", "a capacity that is left alone stays (002:87)"),
        ]),
        ordered: false,
        accounts: TextRules { name: Some(ACCOUNT_NAME), password: Some(ACCOUNT_PASSWORD) },
        permanent: &[("postmaster", "002:49-50")],
        deletes_mail: true,
        notes,
        excludes: &[],
    }
}

const ABOUT: &str = "mail accounts of a hosting plan with capacities, by CSV and on the control panel";

const ARCHIVE: Note = Note {
    title: "What the product does by itself",
    lines: &[
        (
            "002:16",
            "mail in the inbox is moved to the archive folder after 180 days",
            "メール受信後、受信トレイに保存され 180 日を経過したメールは、自動的にアーカイブフォルダに移動します。",
        ),
        (
            "002:17",
            "mail in the trash is deleted after 31 days",
            "ごみ箱に入っているメールは 31 日を経過すると自動的に削除されます。",
        ),
        (
            "002:18",
            "what is deleted from there cannot be had back",
            "完全に削除されたメールの復旧はできませんので、十分ご注意ください。",
        ),
    ],
};

const LOSS: Note = Note {
    title: "What cannot be had back",
    lines: &[
        (
            "002:57",
            "all mail and all settings of an account go with it, for good",
            "■メールアカウントが削除されると、サーバー内に保存されている該当アカウントのメールデータおよび設定情報の\
             すべてが削除されます。",
        ),
        (
            "002:67",
            "`purge_mail` empties the inbox and keeps the account",
            "メールアカウントは残しつつ、受信箱を空にする機能です。",
        ),
    ],
};

const FILES: Note = Note {
    title: "What the product does with files",
    lines: &[
        (
            "002:132",
            "a file to register accounts is all or nothing: one that exists, or is wrong, and none is registered",
            "■エラーになった場合、その CSV ファイルからのアカウント登録は行われません。",
        ),
        (
            "002:169",
            "so is a file to change passwords",
            "■エラーになった場合、その CSV ファイルからのパスワード変更は行われません。",
        ),
        (
            "002:171",
            "an account that it does not have is passed over without a word, so yubin edits only what is recorded",
            "■存在しないアカウントが含まれていた場合、特にエラーなどは出さずに無視して処理を進めます。",
        ),
        (
            "002:175",
            "no password is ever exported: what is recorded of one is what yubin has handed over",
            "ただし、セキュリティの観点から各メールアカウントのパスワード情報は出力されません。ご注意ください。",
        ),
    ],
};

const LIMIT: Note = Note {
    title: "How much a file may hold",
    lines: &[(
        "002:131",
        "50 accounts in a file that registers; more are several files, and the set is not all or nothing",
        "ビジネススタンダード・KWCメールの場合、一括で登録可能なアカウント数は 50 個までとなります。",
    )],
};

const FORCED: Note = Note {
    title: "Passwords that the provider changes by force",
    lines: &[
        (
            "002:93",
            "where an address seems to be abused, the provider changes its password; `yubin mark` notes it",
            "第三者による不正利用の疑いのあるメールアドレスが見つかった場合、被害拡大を避けるために該当アドレスの\
             パスワードを強制変更することがあります。",
        ),
        (
            "002:100",
            "the old password, one like it, or one that is easily guessed is refused from then on",
            "パスワードを再設定していただく際、以前のパスワードと同一の文字列や類似する文字列、予想されやすい文字列などを\
             使われますと、不正利用の再発の恐れがあります。ご注意ください。",
        ),
        (
            "002:81",
            "the mail programs that use the account need a new password too",
            "メールアカウントのパスワードを変更した場合、そのアドレスが登録されているメールソフト側のパスワード設定も変更後の\
             パスワードに更新いただく必要があります。",
        ),
    ],
};

/// The document's own tables are empty (002:36-47): the conservative rules of an older plan, which
/// a project may override.
const ACCOUNT_NAME: TextRule = TextRule {
    min: 2,
    max: 32,
    chars: "A-Za-z0-9._-",
    edges: "A-Za-z0-9",
    letter: false,
    digit: false,
    not_equal: &[],
    source: OLDER_PLAN,
    verified: false,
    note: "the rule of an older plan; that of this plan is missing in the document (002:38, 002:44)",
};

const ACCOUNT_PASSWORD: TextRule = TextRule {
    min: 8,
    max: 16,
    chars: "A-Za-z0-9._-",
    edges: "",
    letter: true,
    digit: true,
    not_equal: &["name", "domain"],
    source: OLDER_PLAN,
    verified: false,
    note: "the rule of an older plan; that of this plan is missing in the document (002:40, 002:46) and may demand \
           what this one forbids",
};

const OLDER_PLAN: &str = "[X] http://storecart.secure.ne.jp/mail/mail_admin/mail_admin.php";

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

/// A switch that the export shows as 0 or 1.
const fn switch(field: &'static str, screen: &'static str, source: &'static str, quote: &'static str) -> Rule {
    Rule { observable: true, note: "no default is stated", ..rule(field, screen, source, quote) }
}

/// What is set with a switch. The document names the switch alone.
const fn detail(field: &'static str, screen: &'static str, when: &'static str, of: &Rule) -> Rule {
    Rule {
        only_when: Some((when, "true")),
        verified: false,
        note: "the document names the function, not its items, limits and texts; no export shows them",
        ..rule(field, screen, of.source, of.quote)
    }
}

const PASSWORD: Rule = Rule {
    need: Need::Required,
    note: "never exported (002:175); on the screen entered twice (002:87)",
    ..rule(
        "password",
        "アカウント詳細設定変更 パスワード",
        "002:113, 002:111, 002:33",
        "mail_password:メールアカウントのパスワード",
    )
};

const CAPACITY: Rule = Rule {
    need: Need::Required,
    values: &["0", "1", "2", "5", "10", "20", "50", "100"],
    observable: true,
    note: "GB; what 0 means is not stated",
    ..rule(
        "capacity",
        "アカウント詳細設定変更 設定容量",
        "002:115, 002:111, 002:33",
        "mail_capacity※:メールアカウントの設定容量( 0 / 1 / 2 / 5 / 10 / 20 / 50 / 100 (GB))",
    )
};

const NO_CAPACITY: Rule = Rule {
    need: Need::Never("the mailboxes of this plan have no capacity of their own"),
    ..rule(
        "capacity",
        "",
        "002:138, 002:91",
        "シェアードプラン SV-Basicでは、メールアカウントごとの容量上限を設定できません。",
    )
};

const COMMENT: Rule = Rule {
    observable: true,
    ..rule(
        "comment",
        "アカウント詳細設定変更 コメント",
        "002:34, 002:114, 002:179",
        "「コメント」は必須項目ではありませんので、必要なければ空白でも構いません。",
    )
};

const PURGE_MAIL: Rule = Rule {
    note: "the id is yubin's own [P]; all mail goes, for good (002:71, 002:72)",
    ..rule(
        "purge_mail",
        "設定 メールデータの削除",
        "002:67, 002:76",
        "メールアカウントは残しつつ、受信箱を空にする機能です。",
    )
};

const FORWARD: Rule = switch(
    "forward.enabled",
    "メールアカウント(管理者用) 転送設定",
    "002:8, 002:22, 002:182",
    "メールアカウントの転送設定・変更・削除",
);

const FORWARD_TO: Rule =
    detail("forward.to", "メールアカウント(管理者用) 転送設定 転送先", "forward.enabled", &FORWARD);

const FORWARD_KEEP_COPY: Rule =
    detail("forward.keep_copy", "メールアカウント(管理者用) 転送設定 サーバーに残す", "forward.enabled", &FORWARD);

const AUTO_REPLY: Rule = switch(
    "auto_reply.enabled",
    "メールアカウント(管理者用) 自動応答設定",
    "002:9, 002:23, 002:183",
    "メールアカウントの自動応答設定・変更・削除",
);

const AUTO_REPLY_SUBJECT: Rule =
    detail("auto_reply.subject", "メールアカウント(管理者用) 自動応答設定 件名", "auto_reply.enabled", &AUTO_REPLY);

const AUTO_REPLY_BODY: Rule =
    detail("auto_reply.body", "メールアカウント(管理者用) 自動応答設定 本文", "auto_reply.enabled", &AUTO_REPLY);

const SPAM_TAG_SUBJECT: Rule = switch(
    "spam.tag_subject",
    "メールアカウント(管理者用) スパムメール件名表示",
    "002:10, 002:24, 002:181",
    "スパムメール件名表示の ON/OFF",
);

const SPAM_SORT: Rule = Rule {
    note: "no default is stated; no export shows it",
    ..rule("spam.sort", "メールアカウント(管理者用) スパムメール自動振分", "002:11", "スパムメール自動振分の ON/OFF")
};

const NO_SPAM_SORT: Rule = Rule {
    need: Need::Never("only the other two plans sort spam by themselves"),
    verified: false,
    note: "inferred from its absence from the list of this plan (002:19-26)",
    ..rule("spam.sort", "", "002:11, 002:19-26", "スパムメール自動振分の ON/OFF")
};

const RECEIVE: Rule =
    switch("receive.enabled", "メールアカウント(管理者用) メール受信", "002:12, 002:184", "メール受信の ON/OFF");

const RECEIVE_POP: Rule = Rule {
    note: "on this plan the switch is about receiving by POP; no default is stated",
    ..switch("receive.enabled", "メールアカウント(管理者用) POP 受信", "002:25, 002:184", "POP 受信の ON/OFF")
};

const MAILBOX_SIZE: Rule = Rule {
    observable: true,
    note: "the product says it; in which unit is not stated",
    ..rule("mailbox_size", "一括出力 利用容量", "002:180", "amount_of_mail_box:利用容量")
};

const STATUS: Rule = Rule {
    note: "the product says it, on the screen and in no export",
    ..rule(
        "status",
        "メールアカウント(管理者用) ステータス",
        "002:96, 002:93",
        "強制変更された場合、「ステータス」に「強制変更済」のアイコンが表示されます。",
    )
};

const WITH_CAPACITY: &[Rule] = &[
    PASSWORD,
    CAPACITY,
    COMMENT,
    PURGE_MAIL,
    FORWARD,
    FORWARD_TO,
    FORWARD_KEEP_COPY,
    AUTO_REPLY,
    AUTO_REPLY_SUBJECT,
    AUTO_REPLY_BODY,
    SPAM_TAG_SUBJECT,
    SPAM_SORT,
    RECEIVE,
    MAILBOX_SIZE,
    STATUS,
];

const WITHOUT_CAPACITY: &[Rule] = &[
    PASSWORD,
    NO_CAPACITY,
    COMMENT,
    PURGE_MAIL,
    FORWARD,
    FORWARD_TO,
    FORWARD_KEEP_COPY,
    AUTO_REPLY,
    AUTO_REPLY_SUBJECT,
    AUTO_REPLY_BODY,
    SPAM_TAG_SUBJECT,
    NO_SPAM_SORT,
    RECEIVE_POP,
    MAILBOX_SIZE,
    STATUS,
];
