//! CatchMe@MAIL: personal mail servers ("patterns") of registered users, by a CSV file of 26
//! columns without a header (document 000).

use std::sync::OnceLock;

use super::{Clears, Default, Need, Rule, System};
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
    clears: Clears::No(
        "an empty column keeps what was there (000:124); to clear it, delete the pattern and add it again",
    ),
};

const fn rule(field: &'static str, need: Need, default: Default, source: &'static str) -> Rule {
    Rule { kind: Kind::Pattern, field, need, default, only_when: None, source, verified: true, note: "" }
}

const POP3: Option<(&str, &str)> = Some(("incoming.protocol", "pop3"));
const IMAP: Option<(&str, &str)> = Some(("incoming.protocol", "imap"));

const RULES: &[Rule] = &[
    rule("outgoing.label", Need::Required, Default::None, "000:23"),
    rule("outgoing.host", Need::Required, Default::None, "000:27"),
    Rule {
        verified: false,
        note: "the number stands in the product's help for users [X]; the document only says デフォルト値",
        ..rule("outgoing.port", Need::Optional, Default::Value("25"), "000:31")
    },
    rule("incoming.label", Need::Required, Default::None, "000:35"),
    rule("incoming.host", Need::Required, Default::None, "000:39"),
    Rule {
        verified: false,
        note: "the numbers are those of the protocols [P]; the document only says デフォルト値",
        ..rule(
            "incoming.port",
            Need::Optional,
            Default::By("incoming.protocol", &[("pop3", "110"), ("imap", "143")]),
            "000:43",
        )
    },
    rule("address", Need::Required, Default::None, "000:47"),
    rule("incoming.protocol", Need::Required, Default::None, "000:51"),
    rule("incoming.username", Need::Required, Default::None, "000:55"),
    rule("incoming.password", Need::Required, Default::None, "000:59"),
    Rule {
        only_when: POP3,
        ..rule("incoming.delete_after_download", Need::Optional, Default::Value("false"), "000:63, 000:119")
    },
    Rule {
        only_when: POP3,
        note: "days; needed when delete_after_download is on [P]",
        ..rule("incoming.delete_after_days", Need::Optional, Default::None, "000:67")
    },
    rule("sender_name", Need::Optional, Default::None, "000:71"),
    rule("organization", Need::Optional, Default::None, "000:75"),
    rule("reply_to", Need::Optional, Default::None, "000:79"),
    rule("default_bcc", Need::Optional, Default::None, "000:83"),
    rule("save_sent", Need::Optional, Default::Value("false"), "000:87, 000:120"),
    rule("request_read_receipt", Need::Optional, Default::Value("false"), "000:91, 000:121"),
    rule("outgoing.auth.enabled", Need::Optional, Default::Value("false"), "000:95, 000:122"),
    rule("outgoing.auth.credentials", Need::Optional, Default::Value("incoming"), "000:99"),
    Rule {
        note: "needed when credentials is own (000:128)",
        ..rule("outgoing.auth.username", Need::Optional, Default::None, "000:103")
    },
    Rule {
        note: "needed when credentials is own (000:128)",
        ..rule("outgoing.auth.password", Need::Optional, Default::None, "000:107")
    },
    Rule { only_when: IMAP, ..rule("incoming.imap_root", Need::Optional, Default::None, "000:111") },
    Rule { only_when: POP3, ..rule("incoming.folder", Need::Optional, Default::None, "000:115") },
    Rule {
        note: "taken over when the file is read; the product has no servers of its own",
        ..rule("server", Need::Optional, Default::None, "000:12-115")
    },
    rule("incoming.security", Need::Fixed("none"), Default::None, "000:12-115 has no column"),
    rule("outgoing.security", Need::Fixed("none"), Default::None, "000:12-115 has no column"),
    rule("outgoing.auth.mechanism", Need::Fixed("auto"), Default::None, "000:12-115 has no column"),
];

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
                }
            }
        }
    }
}
