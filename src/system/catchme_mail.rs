//! CatchMe@MAIL: personal mail servers ("patterns") of registered users, by a CSV file of 26
//! columns without a header (document 000).

use std::sync::OnceLock;

use super::{Clears, Default, Names, Need, Rule, System, TextRules};
use crate::model::Kind;

pub static SYSTEM: System = System {
    name: "catchme-mail",
    product: "CatchMe@MAIL",
    document: "000",
    about: "personal mail servers of registered users, registered in bulk by CSV",
    kinds: &[Kind::Pattern],
    open: false,
    rules: RULES,
    index: OnceLock::new(),
    names: Names::Fixed("a record finds its pattern by user and name, and nothing else names one (000:16-17)"),
    clears: Clears::No(
        "an empty column keeps what was there (000:124); to clear it, delete the pattern and add it again",
    ),
    ordered: false,
    accounts: TextRules { name: None, password: None },
    permanent: &[],
    deletes_mail: false,
    notes: &[],
    excludes: &[],
};

const POP3: Option<(&str, &str)> = Some(("incoming.protocol", "pop3"));
const IMAP: Option<(&str, &str)> = Some(("incoming.protocol", "imap"));

const RULES: &[Rule] = &[
    required("outgoing.label", "カラムNo.3 送信サーバ名", "000:23", "個人メールサーバの送信サーバ名"),
    required("outgoing.host", "カラムNo.4 送信サーバホスト名", "000:27", "個人メールサーバの送信サーバホスト名"),
    Rule {
        default: Default::Value("25"),
        verified: false,
        note: "the number stands in the product's help for users [X]; the document only says デフォルト値",
        ..rule(
            "outgoing.port",
            "カラムNo.5 送信サーバポート番号",
            "000:31",
            "個人メールサーバの送信サーバポート番号(省略時はデフォルト値)",
        )
    },
    required("incoming.label", "カラムNo.6 受信サーバ名", "000:35", "個人メールサーバの受信サーバ名"),
    required("incoming.host", "カラムNo.7 受信サーバホスト名", "000:39", "個人メールサーバの受信サーバホスト名"),
    Rule {
        default: Default::By("incoming.protocol", &[("pop3", "110"), ("imap", "143")]),
        verified: false,
        note: "the numbers are those of the protocols [P]; the document only says デフォルト値",
        ..rule(
            "incoming.port",
            "カラムNo.8 受信サーバポート番号",
            "000:43",
            "個人メールサーバの受信サーバポート番号(省略時はデフォルト値)",
        )
    },
    required("address", "カラムNo.9 メールアドレス", "000:47", "個人メールサーバのメールアドレス"),
    required(
        "incoming.protocol",
        "カラムNo.10 受信プロトコル",
        "000:51",
        "個人メールサーバの受信プロトコル(0:IMAP、1:POP3)",
    ),
    required(
        "incoming.username",
        "カラムNo.11 受信メールサーバのアカウント",
        "000:55",
        "個人メールサーバの受信メールサーバのアカウント",
    ),
    required(
        "incoming.password",
        "カラムNo.12 受信メールサーバのパスワード",
        "000:59",
        "個人メールサーバの受信メールサーバのパスワード",
    ),
    Rule {
        default: Default::Value("false"),
        only_when: POP3,
        ..rule(
            "incoming.delete_after_download",
            "カラムNo.13 POP3メールをサーバから削除するかどうか",
            "000:63, 000:119",
            "個人メールサーバのPOP3メールをサーバから削除するかどうか(1:削除する、それ以外:削除しない)",
        )
    },
    Rule {
        only_when: POP3,
        note: "days; needed when delete_after_download is on [P]",
        ..rule(
            "incoming.delete_after_days",
            "カラムNo.14 POP3メールを削除するタイミング",
            "000:67",
            "個人メールサーバのPOP3メールを削除するタイミング(1〜99:ダウンロード後指定日時後に削除、0:すぐに削除)",
        )
    },
    rule("sender_name", "カラムNo.15 送信者名", "000:71", "個人メールサーバの送信者名"),
    rule("organization", "カラムNo.16 組織名", "000:75", "個人メールサーバのアドレスに対応する組織名"),
    rule("reply_to", "カラムNo.17 返信アドレス", "000:79", "個人メールサーバの返信アドレス"),
    rule("default_bcc", "カラムNo.18 デフォルトBCC", "000:83", "個人メールサーバのデフォルトBCC"),
    Rule {
        default: Default::Value("false"),
        ..rule(
            "save_sent",
            "カラムNo.19 送信済みメールを保存するかどうか",
            "000:87, 000:120",
            "個人メールサーバの送信済みメールを保存するかどうか(1:保存する、それ以外、保存しない)",
        )
    },
    Rule {
        default: Default::Value("false"),
        ..rule(
            "request_read_receipt",
            "カラムNo.20 開封確認を要求するかどうか",
            "000:91, 000:121",
            "個人メールサーバの送信メールに対して開封確認を要求するかどうか(1:要求する、それ以外:要求しない)",
        )
    },
    Rule {
        default: Default::Value("false"),
        ..rule(
            "outgoing.auth.enabled",
            "カラムNo.21 SMTP認証を使用するかどうか",
            "000:95, 000:122",
            "個人メールサーバのSMTP認証を使用するかどうか(1:使用する、それ以外:使用しない)",
        )
    },
    Rule {
        default: Default::Value("incoming"),
        ..rule(
            "outgoing.auth.credentials",
            "カラムNo.22 SMTP認証方法の指定",
            "000:99",
            "個人メールサーバのSMTP認証方法の指定(1:認証情報を指定する、それ以外:受信サーバと同じ認証情報を使用)",
        )
    },
    Rule {
        note: "needed when credentials is own (000:128)",
        ..rule(
            "outgoing.auth.username",
            "カラムNo.23 SMTP認証方法指定時のユーザアカウント",
            "000:103",
            "個人メールサーバのSMTP認証方法指定時のユーザアカウント",
        )
    },
    Rule {
        note: "needed when credentials is own (000:128)",
        ..rule(
            "outgoing.auth.password",
            "カラムNo.24 SMTP認証方法指定時のパスワード",
            "000:107",
            "個人メールサーバのSMTP認証方法指定時のパスワード",
        )
    },
    Rule {
        only_when: IMAP,
        ..rule(
            "incoming.imap_root",
            "カラムNo.25 IMAPルートフォルダのパス",
            "000:111",
            "個人メールサーバのIMAPルートフォルダのパス",
        )
    },
    Rule {
        only_when: POP3,
        ..rule(
            "incoming.folder",
            "カラムNo.26 POP3メールの保存先",
            "000:115",
            "個人メールサーバのPOP3メールの保存先(子メールボックスは親階層も含めて指定)",
        )
    },
    Rule {
        verified: false,
        note: "taken over when the file is read; the product has no servers of its own",
        ..rule("server", "", "[P]", "")
    },
    no_column("incoming.security", "none"),
    no_column("outgoing.security", "none"),
    no_column("outgoing.auth.mechanism", "auto"),
];

const fn rule(field: &'static str, screen: &'static str, source: &'static str, quote: &'static str) -> Rule {
    Rule {
        kind: Kind::Pattern,
        field,
        screen,
        need: Need::Optional,
        default: Default::None,
        values: &[],
        only_when: None,
        // The document describes no export.
        observable: false,
        source,
        quote,
        verified: true,
        note: "",
    }
}

const fn required(field: &'static str, screen: &'static str, source: &'static str, quote: &'static str) -> Rule {
    Rule { need: Need::Required, ..rule(field, screen, source, quote) }
}

const fn no_column(field: &'static str, word: &'static str) -> Rule {
    let quote = "個人メールサーバ一括登録用CSVファイルのフォーマットを以下に示します。";
    Rule { need: Need::Fixed(word), ..rule(field, "", "000:7, 000:12-115 has no column", quote) }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    User,
    Name,
    Field(&'static str),
}

/// How the value stands in the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Word,
    /// `1`, and anything else for off (000:63).
    Flag,
    /// `0` and the first word, `1` and the second.
    Either(&'static str, &'static str),
}

#[derive(Debug)]
pub struct Column {
    pub target: Target,
    pub coding: Coding,
    /// As the document calls it, without what is common to all.
    pub label: &'static str,
}

const fn column(field: &'static str, coding: Coding, label: &'static str) -> Column {
    Column { target: Target::Field(field), coding, label }
}

/// Columns that a record that adds must fill, from 1 (○ in 000:12-115).
pub const REQUIRED_COLUMNS: [usize; 10] = [1, 2, 3, 4, 6, 7, 9, 10, 11, 12];

pub const COLUMNS: [Column; 26] = [
    Column { target: Target::User, coding: Coding::Word, label: "ユーザアカウント" },
    Column { target: Target::Name, coding: Coding::Word, label: "設定パターン名" },
    column("outgoing.label", Coding::Word, "送信サーバ名"),
    column("outgoing.host", Coding::Word, "送信サーバホスト名"),
    column("outgoing.port", Coding::Word, "送信サーバポート番号"),
    column("incoming.label", Coding::Word, "受信サーバ名"),
    column("incoming.host", Coding::Word, "受信サーバホスト名"),
    column("incoming.port", Coding::Word, "受信サーバポート番号"),
    column("address", Coding::Word, "メールアドレス"),
    column("incoming.protocol", Coding::Either("imap", "pop3"), "受信プロトコル"),
    column("incoming.username", Coding::Word, "受信メールサーバのアカウント"),
    column("incoming.password", Coding::Word, "受信メールサーバのパスワード"),
    column("incoming.delete_after_download", Coding::Flag, "POP3メールをサーバから削除するかどうか"),
    column("incoming.delete_after_days", Coding::Word, "POP3メールを削除するタイミング"),
    column("sender_name", Coding::Word, "送信者名"),
    column("organization", Coding::Word, "組織名"),
    column("reply_to", Coding::Word, "返信アドレス"),
    column("default_bcc", Coding::Word, "デフォルトBCC"),
    column("save_sent", Coding::Flag, "送信済みメールを保存するかどうか"),
    column("request_read_receipt", Coding::Flag, "開封確認を要求するかどうか"),
    column("outgoing.auth.enabled", Coding::Flag, "SMTP認証を使用するかどうか"),
    column("outgoing.auth.credentials", Coding::Either("incoming", "own"), "SMTP認証方法の指定"),
    column("outgoing.auth.username", Coding::Word, "SMTP認証方法指定時のユーザアカウント"),
    column("outgoing.auth.password", Coding::Word, "SMTP認証方法指定時のパスワード"),
    column("incoming.imap_root", Coding::Word, "IMAPルートフォルダのパス"),
    column("incoming.folder", Coding::Word, "POP3メールの保存先"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_agree_with_the_rules() {
        for (at, column) in COLUMNS.iter().enumerate() {
            let required = REQUIRED_COLUMNS.contains(&(at + 1));
            match column.target {
                Target::User | Target::Name => assert!(required),
                Target::Field(name) => {
                    let rule = SYSTEM.rule(Kind::Pattern, Kind::Pattern.id(name)).unwrap();
                    assert_eq!(rule.need == Need::Required, required, "{name}");
                    // A column is three lines of the table: number, marks, text.
                    assert!(rule.source.starts_with(&format!("000:{}", 15 + 4 * at)), "{name} {}", rule.source);
                    assert_eq!(rule.screen, format!("カラムNo.{} {}", at + 1, column.label), "{name}");
                }
            }
        }
    }
}
