//! The field tables: every field of every kind is one row. YAML, CSV, JSON, SQL columns, JSON
//! Schema, docs, diff and renderers are loops over them; a new field is a new row.

/// Place of a field in the table of its kind.
pub type FieldId = u8;

#[derive(Clone, Copy, Debug)]
pub enum Type {
    Bool,
    Int {
        min: i64,
        max: i64,
    },
    Text,
    /// Text of several lines; plans show it as a line diff.
    Multiline,
    /// One mail address.
    Mail,
    /// Mail addresses in one text, parted by commas.
    Mails,
    /// A host name or an IP address.
    Host,
    /// Mail addresses, one an item.
    List,
    Choice(&'static [&'static str]),
    /// `512KB`, `5MB`, `unlimited`.
    Size,
    /// A password of a client, which must be given back.
    Secret,
    /// The password of a mailbox itself, of which a hash is enough.
    Password,
    /// The name of a server.
    Reference,
}

#[derive(Debug)]
pub struct Field {
    /// Dotted; the same name in YAML, CSV, JSON and HTTP, and in SQL with `_`.
    pub name: &'static str,
    pub ty: Type,
    /// Japanese, as the products' screens call it.
    pub label: &'static str,
    pub doc: &'static str,
    /// Given by the product or set by a command, never by a file.
    pub read_only: bool,
    /// Yubin's own: it holds for every product, and none knows of it.
    pub own: bool,
}

impl Field {
    pub fn is_secret(&self) -> bool {
        matches!(self.ty, Type::Secret | Type::Password)
    }

    pub fn column(&self) -> String {
        self.name.replace('.', "_")
    }
}

const fn row(name: &'static str, ty: Type, label: &'static str, doc: &'static str) -> Field {
    Field { name, ty, label, doc, read_only: false, own: false }
}

const fn read_only(name: &'static str, ty: Type, label: &'static str, doc: &'static str) -> Field {
    Field { name, ty, label, doc, read_only: true, own: false }
}

/// Whether a resource may be deleted is a matter of the store, so that it survives the file that says so.
const PROTECTED: Field = Field {
    name: "protected",
    ty: Type::Bool,
    label: "削除の保護",
    doc: "the resource may not be deleted before a plan of its own has lifted this",
    read_only: false,
    own: true,
};

const PORT: Type = Type::Int { min: 1, max: 65535 };
const COUNT: Type = Type::Int { min: 0, max: 1_000_000_000 };
const SECURITY: Type = Type::Choice(&["none", "starttls", "implicit_tls"]);
const PROTOCOL: Type = Type::Choice(&["imap", "pop3"]);
const MECHANISM: Type = Type::Choice(&["auto", "login", "plain", "cram-md5"]);

/// Key `name` (003 D-F1, 004 E-F1).
pub const SERVER: &[Field] = &[
    row("position", Type::Int { min: 1, max: 1_000_000 }, "表示順", "place in the list of servers, from 1"),
    read_only("product_id", Type::Text, "メールサーバーID", "id that the product gave to the server"),
    row("supports_uidl", Type::Bool, "UIDLコマンドに対応", "the POP3 server knows the UIDL command"),
    row("incoming.protocol", PROTOCOL, "受信プロトコル", "protocol for receiving"),
    row("incoming.host", Type::Host, "受信サーバー名", "host name or IP address of the receiving server"),
    row("incoming.port", PORT, "受信ポート番号", "port of the receiving server"),
    row("incoming.security", SECURITY, "受信 通信を暗号化する", "encryption of the connection to the receiving server"),
    row("incoming.apop", Type::Bool, "APOP認証を行う", "log in with APOP (POP3 only)"),
    row("incoming.max_message_size", Type::Size, "受信メールサイズの制限", "larger messages are not received"),
    row("outgoing.host", Type::Host, "送信サーバー名", "host name or IP address of the sending server (SMTP)"),
    row("outgoing.port", PORT, "送信ポート番号", "port of the sending server"),
    row("outgoing.security", SECURITY, "送信 通信を暗号化する", "encryption of the connection to the sending server"),
    row("outgoing.auth.enabled", Type::Bool, "SMTP認証を行う", "authenticate for sending (SMTP-AUTH)"),
    row("outgoing.auth.mechanism", MECHANISM, "認証方式", "mechanism of SMTP-AUTH"),
    row(
        "outgoing.auth.credentials",
        Type::Choice(&["account", "own", "per_account"]),
        "認証情報",
        "whose user name and password SMTP-AUTH takes: the account's receiving ones, the server's own, or separate ones in each account",
    ),
    row(
        "outgoing.auth.username",
        Type::Text,
        "SMTP認証のユーザー名",
        "user name for SMTP-AUTH, with `credentials: own`",
    ),
    row(
        "outgoing.auth.password",
        Type::Secret,
        "SMTP認証のパスワード",
        "password for SMTP-AUTH, with `credentials: own`",
    ),
    row(
        "outgoing.pop_before_smtp",
        Type::Bool,
        "受信後に送信を行う(POP before SMTP)",
        "log in for receiving before sending",
    ),
    row(
        "outgoing.pop_before_smtp_wait",
        Type::Int { min: 0, max: 3600 },
        "送信までの待ち時間",
        "seconds between the login for receiving and the sending",
    ),
    row("outgoing.max_message_size", Type::Size, "送信メールサイズの制限", "larger messages are not sent"),
    PROTECTED,
];

/// Key `name` (001 メールアカウントNO, 002 `mail_account`, 004 メールアカウントID).
pub const ACCOUNT: &[Field] = &[
    row("label", Type::Text, "アカウント名", "free name of the account"),
    row("user", Type::Text, "ユーザー名", "name of the user the account belongs to"),
    row("user_id", Type::Text, "ユーザーID", "id of the user the account belongs to"),
    row("server", Type::Reference, "メールサーバー", "the server whose settings the account takes"),
    row("address", Type::Mail, "メールアドレス", "mail address"),
    row("password", Type::Password, "パスワード", "password of the mailbox itself"),
    row("capacity", Type::Int { min: 0, max: 1_000_000 }, "設定容量", "capacity of the mailbox in GB"),
    row("comment", Type::Text, "コメント", "free text for administrators"),
    read_only("mailbox_size", Type::Text, "利用容量", "how much of the mailbox is used, as the product says"),
    read_only(
        "status",
        Type::Choice(&["normal", "password_forced"]),
        "ステータス",
        "whether the provider has changed the password by force",
    ),
    row("purge_mail", Type::Text, "メールデータの削除", "an id: each new id empties the inbox once"),
    row("forward.enabled", Type::Bool, "転送", "forward incoming mail"),
    row("forward.to", Type::List, "転送先", "addresses to forward to"),
    row("forward.keep_copy", Type::Bool, "転送 サーバーに残す", "keep a copy of forwarded mail"),
    row("auto_reply.enabled", Type::Bool, "自動応答", "answer incoming mail automatically"),
    row("auto_reply.subject", Type::Text, "自動応答 件名", "subject of the automatic answer"),
    row("auto_reply.body", Type::Multiline, "自動応答 本文", "text of the automatic answer"),
    row("spam.tag_subject", Type::Bool, "スパム件名表示", "mark the subject of spam"),
    row("spam.sort", Type::Bool, "スパムメール自動振分", "sort spam into a folder of its own"),
    row("receive.enabled", Type::Bool, "メール受信", "receive mail for this account"),
    row("login.imap", Type::Bool, "IMAPログイン", "may log in over IMAP; on unless it is false"),
    row("login.pop3", Type::Bool, "POP3ログイン", "may log in over POP3; on unless it is false"),
    row("login.smtp", Type::Bool, "SMTP送信ログイン", "may log in for sending (SMTP-AUTH); on unless it is false"),
    row("visible", Type::Bool, "表示区分", "show the account in the product's lists"),
    row("sender_name", Type::Text, "送信者名", "name in the From header"),
    row("reply_to", Type::Mail, "Reply-To", "address in the Reply-To header"),
    row("cc", Type::Mails, "CC", "copies of bulk mail"),
    row("bcc", Type::Mails, "BCC", "blind copies of bulk mail"),
    row("signature", Type::Multiline, "署名", "signature under outgoing mail"),
    row("incoming.protocol", PROTOCOL, "受信プロトコル", "protocol for receiving"),
    row("incoming.host", Type::Host, "POPサーバー名", "host name or IP address of the receiving server"),
    row("incoming.port", PORT, "POPポート番号", "port of the receiving server"),
    row(
        "incoming.security",
        SECURITY,
        "POPサーバー接続時にTLSを使う",
        "encryption of the connection to the receiving server",
    ),
    row("incoming.username", Type::Text, "ユーザID", "user name for receiving"),
    row("incoming.password", Type::Secret, "パスワード", "password for receiving"),
    row(
        "incoming.delete_after_download",
        Type::Bool,
        "受信したメールは削除する",
        "received mail is deleted on the mail server",
    ),
    row("incoming.leave_on_server", Type::Bool, "サーバーに残す", "received mail stays on the mail server"),
    row(
        "incoming.leave_days",
        Type::Int { min: 0, max: 36_500 },
        "サーバーに残す期間",
        "days for which received mail stays",
    ),
    row("incoming.errors_only", Type::Bool, "エラーメールのみ受信する", "receive bounced mail only"),
    row("incoming.save_attachments", Type::Bool, "添付ファイルを保存する", "save attachments of received mail"),
    row("incoming.folder", Type::Text, "メール保存先", "folder for received mail"),
    row("contact_log.enabled", Type::Bool, "連絡記録に展開する", "enter received mail into the contact log"),
    row("contact_log.category1.to", Type::Text, "連絡区分1 TO", "category 1 of contacts by To"),
    row("contact_log.category1.cc", Type::Text, "連絡区分1 CC", "category 1 of contacts by Cc"),
    row("contact_log.category1.from", Type::Text, "連絡区分1 FROM", "category 1 of contacts by From"),
    row("contact_log.category2.to", Type::Text, "連絡区分2 TO", "category 2 of contacts by To"),
    row("contact_log.category2.cc", Type::Text, "連絡区分2 CC", "category 2 of contacts by Cc"),
    row("contact_log.category2.from", Type::Text, "連絡区分2 FROM", "category 2 of contacts by From"),
    row("contact_log.category3.to", Type::Text, "連絡区分3 TO", "category 3 of contacts by To"),
    row("contact_log.category3.cc", Type::Text, "連絡区分3 CC", "category 3 of contacts by Cc"),
    row("contact_log.category3.from", Type::Text, "連絡区分3 FROM", "category 3 of contacts by From"),
    row("contact_log.status.to", Type::Text, "連絡ステータス TO", "contact status by To"),
    row("contact_log.status.cc", Type::Text, "連絡ステータス CC", "contact status by Cc"),
    row("contact_log.status.from", Type::Text, "連絡ステータス FROM", "contact status by From"),
    row("outgoing.host", Type::Host, "SMTPサーバー名", "host name or IP address of the sending server (SMTP)"),
    row("outgoing.port", PORT, "SMTPポート番号", "port of the sending server"),
    row("outgoing.security", SECURITY, "通信方法", "encryption of the connection to the sending server"),
    row("outgoing.encoding", Type::Text, "エンコード", "character set of outgoing mail"),
    row("outgoing.pop_before_smtp", Type::Bool, "POP before SMTP認証", "log in for receiving before sending"),
    row("outgoing.auth.enabled", Type::Bool, "SMTP認証", "authenticate for sending (SMTP-AUTH)"),
    row("outgoing.auth.mechanism", MECHANISM, "認証方式", "mechanism of SMTP-AUTH"),
    row(
        "outgoing.auth.username",
        Type::Text,
        "送信アカウント",
        "user name for SMTP-AUTH, where the server asks for separate ones",
    ),
    row(
        "outgoing.auth.password",
        Type::Secret,
        "送信パスワード",
        "password for SMTP-AUTH, where the server asks for separate ones",
    ),
    row("sending.warn_hours", Type::Text, "警告MSG時間帯", "hours in which sending shows a warning, as `22:00-06:00`"),
    row("sending.max_per_run", COUNT, "1回の送信上限件数", "addresses that one bulk sending may reach"),
    row("sending.batch_size", COUNT, "1回の送信処理件数", "messages sent before a pause"),
    row("sending.pause", COUNT, "スリープ間隔", "pause between batches, in the product's unit"),
    row("sending.attachments", Type::Bool, "添付ファイルを使用する", "bulk mail may carry attachments"),
    row("sending.recipient_names", Type::Bool, "送信の宛先に宛先名称を含める", "write recipients' names into To"),
    row(
        "sending.allow_non_rfc_addresses",
        Type::Bool,
        "RFCに準拠していないメールアドレスを送信可能とする",
        "send to addresses that break the RFC",
    ),
    row(
        "sending.allow_do_not_send",
        Type::Bool,
        "「送らない」スタッフへメールを送信可能とする",
        "send to staff marked as not to be written to",
    ),
    row(
        "sending.result_notice",
        Type::Choice(&["always", "never", "failures"]),
        "送信結果通知",
        "when the result of a sending is shown",
    ),
    PROTECTED,
];

/// Key `user`, `name` (000 columns 1 and 2).
pub const PATTERN: &[Field] = &[
    row("server", Type::Reference, "メールサーバー", "the server whose settings the pattern takes"),
    row("address", Type::Mail, "メールアドレス", "mail address"),
    row("sender_name", Type::Text, "送信者名", "name in the From header"),
    row("organization", Type::Text, "組織名", "the Organization header"),
    row("reply_to", Type::Mail, "返信アドレス", "address in the Reply-To header"),
    row("default_bcc", Type::Mails, "デフォルトBCC", "blind copies of every message"),
    row("save_sent", Type::Bool, "送信済みメールを保存する", "keep sent mail"),
    row("request_read_receipt", Type::Bool, "開封確認を要求する", "ask for a receipt when sent mail is read"),
    row("incoming.label", Type::Text, "受信サーバ名", "name under which the receiving server is shown"),
    row("incoming.host", Type::Host, "受信サーバホスト名", "host name or IP address of the receiving server"),
    row("incoming.port", PORT, "受信サーバポート番号", "port of the receiving server"),
    row("incoming.protocol", PROTOCOL, "受信プロトコル", "protocol for receiving"),
    row("incoming.security", SECURITY, "受信 通信の暗号化", "encryption of the connection to the receiving server"),
    row("incoming.username", Type::Text, "受信メールサーバのアカウント", "user name for receiving"),
    row("incoming.password", Type::Secret, "受信メールサーバのパスワード", "password for receiving"),
    row(
        "incoming.delete_after_download",
        Type::Bool,
        "POP3メールをサーバから削除する",
        "received mail is deleted on the mail server (POP3 only)",
    ),
    row(
        "incoming.delete_after_days",
        Type::Int { min: 0, max: 99 },
        "POP3メールを削除するタイミング",
        "days after the download when mail is deleted, 0 for at once (POP3 only)",
    ),
    row("incoming.imap_root", Type::Text, "IMAPルートフォルダのパス", "path of the root folder (IMAP only)"),
    row(
        "incoming.folder",
        Type::Text,
        "POP3メールの保存先",
        "folder for received mail, levels parted by `/` (POP3 only)",
    ),
    row("outgoing.label", Type::Text, "送信サーバ名", "name under which the sending server is shown"),
    row("outgoing.host", Type::Host, "送信サーバホスト名", "host name or IP address of the sending server (SMTP)"),
    row("outgoing.port", PORT, "送信サーバポート番号", "port of the sending server"),
    row("outgoing.security", SECURITY, "送信 通信の暗号化", "encryption of the connection to the sending server"),
    row("outgoing.auth.enabled", Type::Bool, "SMTP認証を使用する", "authenticate for sending (SMTP-AUTH)"),
    row("outgoing.auth.mechanism", MECHANISM, "認証方式", "mechanism of SMTP-AUTH"),
    row(
        "outgoing.auth.credentials",
        Type::Choice(&["incoming", "own"]),
        "SMTP認証方法の指定",
        "whose user name and password SMTP-AUTH takes: the receiving ones, or its own",
    ),
    row(
        "outgoing.auth.username",
        Type::Text,
        "SMTP認証方法指定時のユーザアカウント",
        "user name for SMTP-AUTH, with `credentials: own`",
    ),
    row(
        "outgoing.auth.password",
        Type::Secret,
        "SMTP認証方法指定時のパスワード",
        "password for SMTP-AUTH, with `credentials: own`",
    ),
    PROTECTED,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::model::Kind;

    #[test]
    fn the_tables_are_sound() {
        for kind in Kind::ALL {
            let mut names = HashSet::new();
            let mut columns: HashSet<String> = kind.key_parts().iter().map(|p| (*p).to_owned()).collect();
            assert!(kind.fields().len() < 255, "an id is one byte");
            for field in kind.fields() {
                assert!(names.insert(field.name), "{} twice", field.name);
                // `account.user` is a field, `pattern.user` a part of the key.
                assert!(columns.insert(field.column()), "column {} twice", field.column());
                assert!(!field.doc.is_empty() && !field.label.is_empty(), "{}", field.name);
                assert!(!field.name.ends_with("password") || field.is_secret(), "{} must be secret", field.name);
            }
            // A field may not also be a group of fields: nested and dotted YAML would clash.
            for name in &names {
                assert!(!names.iter().any(|other| other.starts_with(&format!("{name}."))), "{name}");
            }
        }
    }
}
