//! What is said in Japanese of codes and rules, which are many: tables, held to the documents by
//! the tests below.

use crate::model::policy::Grace;
use crate::model::probe::{Lack, Unproven};
use crate::model::refusal::{Among, Counted, Why};
use crate::model::{Action, Kind, Limit, Refusal};

pub fn action(action: Action) -> &'static str {
    match action {
        Action::Add => "追加",
        Action::Overwrite => "上書き",
        Action::Delete => "削除",
        Action::Skip => "スキップ",
        Action::Blocked => "適用不可",
        Action::Rename => "名前変更",
        Action::Disable => "無効化",
        Action::Purge => "完全削除",
    }
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "サーバー",
        Kind::Account => "アカウント",
        Kind::Pattern => "パターン",
    }
}

pub fn grace(grace: Grace) -> String {
    let told = grace.to_string();
    match (told.strip_suffix('d'), told.strip_suffix('h')) {
        (Some(days), _) => format!("{days} 日"),
        (_, Some(hours)) => format!("{hours} 時間"),
        (None, None) => told,
    }
}

/// An owner as a plan names it, which is in English.
pub fn owner(owner: &str) -> String {
    owner.strip_prefix("project ").map_or_else(|| owner.to_owned(), |name| format!("プロジェクト {name}"))
}

pub fn belongs(by: &str) -> String {
    if by == "no project" {
        "どのプロジェクトも所有していません".to_owned()
    } else {
        format!("{} が所有しています", owner(by))
    }
}

/// Rules: what they are called, and what is to be done about a refusal of which only the English words are known.
const RULES: &[(&str, &str, &str)] = &[
    (
        "probe",
        "接続確認の不足",
        "`policy.probe: require` では、計画が触れるサーバーへの接続が確認されていなければなりません。`--probe` を付けて実行してください",
    ),
    (
        "max_deletes",
        "削除数の上限",
        "削除の件数が上限を超えています。意図した削除なら `--ack` でこの計画のダイジェストを指定し、そうでなければファイルの欠落を確認してください",
    ),
    (
        "max_overwrites",
        "上書き数の上限",
        "上書きの件数が上限を超えています。意図した変更なら `--ack` でこの計画のダイジェストを指定し、そうでなければファイルを確認してください",
    ),
    (
        "empty_kind",
        "種別の全消失",
        "ある種別の宣言がファイルから一つもなくなり、すべて削除されるところです。本当に削除するものには、個別に `absent: true` を書いてください",
    ),
    (
        "source_vanished",
        "ソースの消失",
        "`sources:` に一致するファイルがありません。パターンを直すか、その項目を外してください",
    ),
    (
        "protect",
        "削除禁止",
        "`policy.protect` で保護されているリソースは削除できません。宣言をファイルに戻すか、保護の対象を見直してください",
    ),
    (
        "protected",
        "保護中",
        "`protected: true` のリソースは削除も無効化もできません。まず保護を外す計画を適用し、削除は次の計画で行ってください",
    ),
    (
        "migration",
        "移行中",
        "メールサーバー移行が完了するまで、移行元のメールサーバーの情報は削除できません（004:142）。`yubin migrate status` で進み具合を確認してください",
    ),
    (
        "foreign_owner",
        "所有者の相違",
        "このプロジェクトが所有していないリソースは、変更も削除もできません。所有するプロジェクトで変更するか、先に引き継いでください",
    ),
    (
        "in_use",
        "使用中のサーバー",
        "使われているサーバーは削除できません。先に別の計画で、使っているアカウントやパターンを別のサーバーに移してください",
    ),
    (
        "blocked",
        "適用不可の変更",
        "製品では行えない変更です。意図する値をはっきり書くか、削除してから追加し直してください",
    ),
    (
        "existing",
        "既存の設定との相違",
        "`existing: fail` のため、すでに存在し内容の異なるリソースは上書きしません。ファイルを現状に合わせるか、方針を見直してください",
    ),
];

/// What a rule is called.
pub fn rule(name: &str) -> Option<&'static str> {
    RULES.iter().find(|(rule, ..)| *rule == name).map(|(_, called, _)| *called)
}

const PROBE_NOW: &str = "`--probe` で今すぐ確認できます";

/// Why a plan is refused, and what to do.
pub fn refusal(refusal: &Refusal) -> String {
    match &refusal.why {
        Why::Migration { server, migration, step } => format!(
            "`{server}` は移行 `{migration}` の移行元で、移行は 7 段階中の {step} です。削除は手順 7 で、同意を得てから行います（`yubin migrate status`）"
        ),
        Why::Vanished(path) => {
            format!("`{path}` に一致するファイルがありません。`sources:` のパターンを直すか、その項目を外してください")
        }
        Why::Limit { of, among, touched, owned, limit } => {
            let what = match of {
                Counted::Deletes => "削除",
                Counted::DeletesAndInboxes => "削除と受信箱の消去",
                Counted::Overwrites => "上書き",
            };
            let among = match among {
                Among::Kind(kind) => self::kind(*kind).to_owned(),
                Among::File(file) => format!("`{file}` が宣言したリソース"),
                Among::Owner(by) => format!("{} が所有するリソース", owner(by)),
            };
            let over = match limit {
                Limit::Count(_) => format!("{touched} 件（上限 {limit} 件）"),
                Limit::Percent(_) => {
                    let share = Why::share(*touched, *owned);
                    format!("{}.{:02} %（上限 {limit}、{owned} 件中 {touched} 件）", share / 100, share % 100)
                }
            };
            format!(
                "{among}の{what}が上限を超えています: {over}。意図したものなら `--ack` にこの計画のダイジェストを指定してください"
            )
        }
        Why::Empty { kind, vanishing } => format!(
            "ファイルに{}の宣言が一つもなくなり、{vanishing} 件すべてが削除されるところです。本当に削除するものには、個別に `absent: true` を書いてください",
            self::kind(*kind)
        ),
        Why::Protect(address) => format!("`{address}` は `policy.protect` で保護されているため、削除できません"),
        Why::ProtectedLacking(address) => format!(
            "`{address}` は保護されていますが、エクスポートに含まれていません。エクスポートに欠けがないか確認してください"
        ),
        Why::Protected(address) => format!(
            "`{address}` は保護されています。まず `protected: false` を宣言して適用し、削除はそのあとで行ってください"
        ),
        Why::InUse { server, users, count } => {
            let named: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
            let more = count.saturating_sub(users.len() as u64);
            let more = if more > 0 { format!(" ほか {more} 件") } else { String::new() };
            format!(
                "`{server}` は {}{more}が使っています。先に別の計画で、別のサーバーに移してください",
                named.join("、")
            )
        }
        Why::Foreign { address, owner, loses } => {
            let verb = if *loses { "削除" } else { "変更" };
            format!("`{address}` は{}。{verb}できるのは、このプロジェクトが所有するリソースだけです", belongs(owner))
        }
        Why::Blocked { address, reason: why } => format!("`{address}`: {}", reason(why)),
        Why::Exists(address) => {
            format!("`{address}` はすでに存在し、内容が異なります。方針 `existing: fail` により上書きしません")
        }
        Why::Unproven(unproven) => {
            let Unproven { address, server, lack } = &**unproven;
            let (why, what) = match lack {
                Lack::Never => ("まだ確認されていません".to_owned(), PROBE_NOW),
                Lack::Old(at) => (format!("{at} の確認では古すぎます"), PROBE_NOW),
                Lack::Failed(at, code) => (
                    format!("{at} の確認に失敗しています（{code}）"),
                    "まず原因を直してください（`yubin probe` で対処を確認できます）",
                ),
            };
            format!("`{address}` の宣言どおりの {server} への接続は{why}。{what}")
        }
        Why::More(more) => format!("ほか {more} 件"),
        Why::Said(message) => match RULES.iter().find(|(name, ..)| *name == refusal.rule) {
            Some((_, _, what)) => format!("{what}（{message}）"),
            None => message.clone(),
        },
    }
}

/// Why a product keeps what is to be cleared.
const KEEPS: &[(&str, &str)] = &[
    (
        "an empty column keeps what was there (000:124); to clear it, delete the pattern and add it again",
        "空の列では元の値が残ります (000:124)。空にするには、パターンを削除してから追加し直してください",
    ),
    (
        "on the screen an empty comment keeps the old one (002:87, 002:89), and no file edits it (002:147-150)",
        "画面では空のコメントを保存しても元のコメントが残り (002:87, 002:89)、ファイルでは編集できません (002:147-150)",
    ),
    ("an empty password keeps the old one (002:89)", "空のパスワードでは元のパスワードが残ります (002:89)"),
    ("a capacity that is left alone stays (002:87)", "容量は指定しなければ元のまま残ります (002:87)"),
    (
        "no document says where it stands at first; write the value that is meant",
        "初期値がどの文書にも書かれていません。意図する値を書いてください",
    ),
    (
        "a record finds its pattern by user and name, and nothing else names one (000:16-17)",
        "レコードはユーザー名とパターン名だけでパターンを特定します (000:16-17)",
    ),
    (
        "the name of a mailbox is its address, and no screen changes it (002)",
        "メールボックスの名前はアドレスそのもので、変更できる画面がありません (002)",
    ),
    (
        "the name is edited on the screen of the server; do that by hand, then `forget` the old resource and declare the new one (004)",
        "名前は製品のサーバー画面で手動で変更し、古いリソースを `forget` してから新しい名前で宣言してください (004)",
    ),
    (
        "the name is edited on the screen of the server; do that by hand, then `forget` the old resource and declare the new one (003)",
        "名前は製品のサーバー画面で手動で変更し、古いリソースを `forget` してから新しい名前で宣言してください (003)",
    ),
    (
        "the number of an account is given once, and no screen changes it (001)",
        "アカウントの番号は一度だけ付けられ、変更できる画面がありません (001)",
    ),
];

/// Why the product cannot make a change.
pub fn reason(reason: &str) -> String {
    let clash = reason.strip_suffix(" exists besides; delete one of them first");
    if let Some((old, new)) = clash.and_then(|both| both.split_once(" cannot be renamed: ")) {
        return format!("{old} の名前を変更できません。{new} も存在するため、先にどちらかを削除してください");
    }
    let known = KEEPS.iter().find_map(|(english, why)| Some((reason.strip_suffix(english)?.strip_suffix(": ")?, why)));
    let told = known.and_then(|(head, why)| {
        if let Some((product, field)) = head.split_once(" cannot clear ") {
            return Some(format!("{product} では {field} を空に戻せません: {why}"));
        }
        let (product, _) = head.split_once(" cannot rename")?;
        Some(format!("{product} では名前を変更できません: {why}"))
    });
    told.unwrap_or_else(|| format!("製品では行えない変更です（{reason}）"))
}

/// What a diagnostic means. Values and places stand in its message.
pub fn meaning(code: &str) -> Option<&'static str> {
    CODES.binary_search_by(|(one, _)| (*one).cmp(code)).ok().map(|at| CODES[at].1)
}

/// By code, in order.
const CODES: &[(&str, &str)] = &[
    ("audit/failed", "監査記録を書けないため、書けるようになるまで何も変更しません。"),
    (
        "autoconfig/domain",
        "同じドメインのアカウントで、サーバーやユーザー名の決まり方が異なるため、Thunderbird 用の 1 つのファイルでは正しく表せません。",
    ),
    (
        "autoconfig/incomplete",
        "メールアドレス、受信サーバー、送信サーバーなどがそろっていないため、クライアントを設定できません。宣言して適用してください。",
    ),
    (
        "autoconfig/not-said",
        "宣言された設定のうち、この形式では表せないものがあります。必要であれば利用者に伝えてください。",
    ),
    (
        "autoconfig/password-in-clear",
        "宣言どおりでは、クライアントは暗号化なしでパスワードを送ります。サーバーが対応していれば TLS を使ってください。",
    ),
    (
        "autoconfig/same-address",
        "同じメールアドレスのリソースで、設定か、アドレスの書き方 (大文字と小文字、ドメインの表記) が異なります。ファイルは 1 アドレスに 1 つなので、使うものを指定してください。",
    ),
    (
        "autoconfig/shared-login",
        "送信時に、サーバー独自のユーザーのパスワードが全員に求められます。利用者に伝えるか、認証情報の指定を変えてください。",
    ),
    (
        "autoconfig/user-name",
        "ユーザー名がメールアドレスから決まらないか、大文字と小文字だけが異なるため、ドメイン全体で 1 つのファイルには書けません。",
    ),
    (
        "autoconfig/weaker",
        "パスワードを隠す認証方式をこの形式では表せず、TLS もありません。TLS を使うか、`--kind` でこの形式を外してください。",
    ),
    (
        "catchme-mail/column-shift",
        "セルが本来の列からずれています。カンマの過不足か引用符の抜けが原因で、それを直せば正しい列に収まります。",
    ),
    ("catchme-mail/columns", "列が 26 を超えています。カンマを含む値は引用符で囲んでください。"),
    (
        "catchme-mail/delete-days",
        "サーバーのメールを削除する設定ですが、削除するタイミングがありません。0 は即時、1 から 99 は日数です。",
    ),
    (
        "catchme-mail/delete-ignores-existing",
        "`existing: skip` や `fail` の下での削除です。これらの方針は上書きだけに関わり、削除には影響しないものとして扱います。",
    ),
    (
        "catchme-mail/flag-value",
        "フラグが `0`、`1`、空のいずれでもありません。製品は 0 とみなします。半角の `0` か `1` を書いてください。",
    ),
    (
        "catchme-mail/own-credentials",
        "SMTP 認証に独自の認証情報を使う設定ですが、ユーザー名とパスワードがそろっていません。両方を書いてください。",
    ),
    (
        "catchme-mail/own-credentials-unused",
        "SMTP 認証を使わないのに、独自の認証情報が書かれています。認証を有効にするか、認証情報を消してください。",
    ),
    (
        "catchme-mail/unknown-user",
        "このパターンのユーザーが `users:` のファイルにいません。ユーザーを追加するか、名前を直してください。",
    ),
    (
        "changeset/base",
        "変更セットの計画が、If-Match の示す状態とは別の状態から作られています。計画を作り直してください。",
    ),
    ("changeset/before", "フィールドの変更前の値がストアの値と一致しません。計画を作り直してください。"),
    (
        "changeset/digest",
        "変更セットのダイジェストが変更の内容と一致しません。計画をそのまま送るか、`digest` を省いてください。",
    ),
    ("changeset/disabled", "リソースはすでに無効になっているか、無効になったことがありません。"),
    ("changeset/exists", "追加するリソース、または新しい名前がすでに存在します。"),
    ("changeset/field", "製品にこの項目はありません。`yubin explain` で項目を確認できます。"),
    ("changeset/invalid", "変更セットを読めないか、計画になっていません。どの変更かはメッセージにあります。"),
    ("changeset/kind", "製品にこの種類のリソースはありません。"),
    ("changeset/lacking", "変更するリソースがストアにありません。"),
    ("changeset/more", "ほかにも誤りがあります。まず示されたものを直してください。"),
    ("changeset/previously", "名前の変更には `previously` が必要で、ほかの変更には書けません。"),
    ("changeset/purge", "無効になっていないリソースは完全には削除できません。"),
    ("changeset/reference", "参照先のサーバーが、適用後には存在しません。"),
    ("changeset/restored", "無効になっていないリソースは復元できません。"),
    ("changeset/system", "サーバーの yubin が知らない製品です。"),
    ("changeset/twice", "同じリソースが変更セットに二度あります。"),
    ("changeset/value", "フィールドに入れられない値です。"),
    (
        "cpi/account-name",
        "アカウント名がプランの規則に合いません。規則はどの文書にもなく、旧プランのものです。異なる場合は yubin.yaml の `rules:` に書いてください。",
    ),
    (
        "cpi/forced-password",
        "事業者がパスワードを強制変更しています。以前と同じ、似ている、または推測されやすいパスワードは使えません。まったく新しいパスワードを宣言してください。",
    ),
    ("cpi/mail-clients", "アカウントのパスワードが変わります。利用者にメールソフトの設定変更を知らせてください。"),
    (
        "cpi/password",
        "パスワードがプランの規則に合いません。規則はどの文書にもなく、旧プランのものです。異なる場合は yubin.yaml の `rules:` に書いてください。",
    ),
    (
        "cpi/postmaster",
        "`postmaster` は追加も削除もできません。製品にはじめからあるので、先に `yubin refresh cpi-export FILE` で取り込んでください。",
    ),
    ("cpi/receive-pop", "SV-Basic では、`receive.enabled` は POP による受信の設定です。"),
    ("cpi/register-rows", "一度に登録できる件数を超えています。ファイルを複数に分けてください。"),
    (
        "cpi/zero-capacity",
        "容量 0 の意味はどの文書にもありません。承知のうえで使う場合は `policy: allow_zero_capacity` を書いてください。",
    ),
    (
        "csv/columns",
        "セルの数がヘッダーまたは形式の列数と合いません。空のセルも省かずに書き、カンマを含む値は引用符で囲んでください。",
    ),
    ("csv/header", "CSV のヘッダーが正しくありません。必要な列がないか、製品のファイルのヘッダーと異なります。"),
    ("csv/quote", "引用符の使い方が正しくありません。セル全体を引用符で囲み、中の引用符は二つ重ねてください。"),
    (
        "cybozu-office/credentials",
        "アカウント固有の送信用の認証情報が、サーバーの設定と合いません。必要なサーバーなら書き、そうでなければ消してください。",
    ),
    (
        "cybozu-office/one-authentication",
        "SMTP 認証と POP before SMTP は同時に使えません。どちらか一方にしてください。",
    ),
    (
        "cybozu-office/server-id",
        "エクスポートの中で、一つのサーバーに二つの ID があります。エクスポートし直してください。",
    ),
    (
        "cybozu-office/uidl",
        "POP3 サーバーが UIDL コマンドに対応していないか、対応しているかが分かりません。対応していれば `supports_uidl: true` と書いてください。",
    ),
    ("cybozu-office/user", "`user_id` も `user` もありません。`user_id` を書いてください。"),
    (
        "cybozu-office/usual-port",
        "暗号化の方式に対して、ふつうは使わないポート番号です。プロバイダーの指定であればそのままで構いません。",
    ),
    ("field/read-only", "製品側で決まる項目なので、ファイルには書けません。この項目を消してください。"),
    ("file/empty", "ファイルにレコードが一件もありません。エクスポートし直してください。"),
    (
        "file/encoding",
        "ファイルの内容が、宣言された文字コードと合いません。ソースに正しい `encoding:` を書いてください。",
    ),
    (
        "file/format",
        "ファイルの形式が分かりません。一行目に項目名のヘッダーを書くか、ソースに `format:` を書いてください。",
    ),
    (
        "file/link",
        "シンボリックリンクの先は読みません。フォルダーやファイルそのものをプロジェクトの中に置いてください。",
    ),
    (
        "file/missing",
        "`sources:` または `users:` に書かれたファイルがありません。ファイルを戻すか、その項目を外してください。",
    ),
    (
        "file/no-match",
        "`sources:` のパターンまたはフォルダーに一致するファイルがありません。このままでは計画は拒否されます。",
    ),
    (
        "file/outside",
        "ファイルがリンクを通じてプロジェクトの外に出るため、読みません。ファイル自体をプロジェクトの中に置くか、`secrets: paths:` で許可してください。",
    ),
    (
        "file/unreadable",
        "ファイルまたはフォルダーを読めないか、名前が UTF-8 ではありません。権限または名前を直してください。",
    ),
    ("git/no-ref", "リモートにそのブランチまたはタグがありません。名前を確認してください。"),
    (
        "hook/failed",
        "フックが失敗しました。適用は済んでいます。`yubin effects retry` でもう一度実行できます。ただし `watch` のフックは三回試したあと、同じことでは実行されません。",
    ),
    (
        "hook/outbox",
        "フックで実行すべきことをストアから読めないか、実行したことを書き込めません。適用は済んでいます。ストアを確認してから `yubin effects retry` を実行してください。",
    ),
    (
        "hook/unfinished",
        "フックに時間がかかり、まだ残りがあります。適用は済んでいます。残りは `yubin effects retry` で実行できます。",
    ),
    (
        "irreversible/delete-after-download",
        "受信したメールをメールサーバーから削除する設定が有効になります。削除されたメールは元に戻せません。",
    ),
    ("key/duplicate", "同じキーまたは項目が二度書かれています。一つにしてください。"),
    (
        "key/unknown",
        "ここでは使えないキーまたは項目です。綴りを確認してください。項目の一覧は `yubin explain generic` にあります。",
    ),
    (
        "mail-server/address",
        "メールサーバーはこのアドレスを見つけられません。小文字の ASCII 英数字と `.` `-` `_` だけで書いてください。",
    ),
    (
        "mail-server/address-taken",
        "同じアドレスのアカウントがほかにあります。メールサーバーでは一つのアドレスは一つのアカウントのものです。",
    ),
    ("mail-server/auto-reply", "この自動応答は送られません。本文の有無と長さ、転送の設定を確認してください。"),
    ("mail-server/forward", "この転送は意図どおりに働きません。転送先を確認してください。"),
    ("mail-server/ignored", "この項目はメールサーバーには効果がありません。削除してください。"),
    ("mail-server/required", "メールサーバーのアカウントには `address` と `password` が必要です。"),
    (
        "mail-server/zero-capacity",
        "容量 0 はメールサーバーでは無制限になります。省略するか、`policy: allow_zero_capacity` を書いてください。",
    ),
    ("mailwise/apop", "APOP は POP3 専用で、IMAP4 とは併用できません。無効にするか、POP3 を使ってください。"),
    ("mailwise/imap-inbox", "IMAP4 で受信されるのは受信箱のメールだけです。"),
    (
        "mailwise/own-credentials",
        "独自の認証情報を使う設定ですが、ユーザー名とパスワードがそろっていません。両方を書いてください。",
    ),
    (
        "mailwise/pop-before-smtp",
        "POP before SMTP には POP3 が必要で、IMAP4 とは併用できません。無効にするか、POP3 を使ってください。",
    ),
    ("mailwise/two-authentications", "POP before SMTP と SMTP 認証が両方とも有効です。どちらか一方にしてください。"),
    (
        "migration/dns",
        "MX が移行先のサーバーを指していないか、調べられませんでした。Step 6 の前にもう一度確認してください。",
    ),
    (
        "migration/entry",
        "移行先のエントリーになるはずの名前が、別のアカウント（別のサーバー、別のプロジェクト、別のメールアドレス）に使われています。その宣言か `as:` を直してください。",
    ),
    ("migration/left", "編集ではファイルから取り除けません。手で取り除いてから、もう一度実行してください。"),
    ("migration/moved", "ほかの人が同時にこの移行を進めました。`yubin migrate status` を確認してください。"),
    ("migration/name", "移行先での名前を決められないか、同じ名前になるアカウントがあります。`as:` を直してください。"),
    ("migration/password", "パスワードが平文で書かれているため、別のファイルに書き写せません。参照にしてください。"),
    (
        "migration/server",
        "移行元のサーバーがストアにないか、別の移行で使われているか、開始時と異なります。`from:` と `to:` を確認してください。",
    ),
    (
        "migration/undeclared",
        "移行するアカウントがストアにありますが、どのファイルにも宣言されていません。宣言するか、削除してください。",
    ),
    (
        "migration/unlisted",
        "`migrations/` のファイルが `sources:` になく、どの移行のものでもありません。`sources:` に加えるか、ファイルを片付けてください。",
    ),
    ("migration/username", "移行先でのユーザー名を決められません。`username:` かアカウントを直してください。"),
    ("password/classes", "パスワードに含まれる文字の種類（英小文字、英大文字、数字、その他）が足りません。"),
    ("password/history", "以前に使われていたパスワードと同じか、似ています。共通点のないパスワードにしてください。"),
    ("password/length", "パスワードが短すぎるか、ハッシュの方式が扱える長さを超えています。"),
    (
        "password/score",
        "推測されやすいパスワードです。単語、名前、日付、キーボードの並びを避け、ランダムなものにしてください。",
    ),
    ("plan/refused", "計画は安全規則により拒否されました。"),
    (
        "probe/auth-missing",
        "SMTP認証を行う宣言ですが、サーバーはこのポートで認証に対応していません。送信用ポート（587 など）を使うか、`outgoing.auth.enabled: false` にしてください。",
    ),
    (
        "probe/auth-needed",
        "SMTP認証を行わない宣言ですが、サーバーはこのポートで認証を求めることがあります。必要なら `outgoing.auth.enabled: true` にしてください。",
    ),
    ("probe/certificate-expired", "サーバー証明書の有効期限が切れています。サーバー側で更新してください。"),
    ("probe/certificate-expires", "サーバー証明書の有効期限が 14 日以内に切れます。サーバー側で更新してください。"),
    (
        "probe/certificate-name",
        "サーバー証明書が別の名前のものです。証明書にある名前を `host` に書くか、証明書を直してください。",
    ),
    ("probe/certificate-not-yet", "サーバー証明書の有効期間がまだ始まっていません。時計か証明書を確認してください。"),
    (
        "probe/certificate-untrusted",
        "サーバー証明書の発行者が信頼されていません。サーバー側で中間証明書を含めるか、`probe.ca` に発行者の証明書を指定してください。",
    ),
    ("probe/closed", "サーバーが途中で接続を閉じました。サーバーのログを確認してください。"),
    ("probe/dns", "名前解決のサーバーから応答がありません。メールサーバーについては何も分かっていません。"),
    (
        "probe/folder-missing",
        "`incoming.imap_root` のフォルダーがサーバーにありません。サーバーにあるフォルダーを指定してください。",
    ),
    ("probe/greeting-refused", "サーバーが接続を断りました。応答の内容を確認してください。"),
    (
        "probe/host-not-allowed",
        "`probe.hosts` にないホストなので、接続していません。正しいホストなら `probe.hosts` に追加してください。",
    ),
    ("probe/login-limit", "接続数またはログイン回数の上限に達しています。しばらく待ってください。"),
    (
        "probe/login-needs-tls",
        "サーバーは暗号化していない接続ではパスワードを受け付けません。`security` を `starttls` か `implicit_tls` にしてください。",
    ),
    (
        "probe/login-refused",
        "ユーザー名またはパスワードが拒否されました。パスワードの誤り、存在しないユーザー、アカウントでのプロトコルの無効化、認証方式に必要な形式の未登録のどれかを、サーバーは区別しません。",
    ),
    (
        "probe/login-unavailable",
        "サーバーが今はパスワードを確認できません。サーバーのログを確認してください。パスワードの問題ではありません。",
    ),
    ("probe/mailbox-full", "メールボックスの容量がいっぱいです。メールを減らすか、容量を増やしてください。"),
    (
        "probe/mechanism-missing",
        "宣言した認証方式にサーバーが対応していません。`outgoing.auth.mechanism` か `incoming.apop` を直してください。",
    ),
    ("probe/message-refused", "サーバーがメッセージを拒否しました。応答の内容を確認してください。"),
    ("probe/no-evidence", "計画が触れるサーバーへの接続が、最近確認されていません。`--probe` で今すぐ確認できます。"),
    (
        "probe/no-greeting",
        "接続はできましたが、サーバーから応答がありません。別のサービスのポートか、サーバーの過負荷が考えられます。",
    ),
    ("probe/no-password", "サーバーに示すパスワードがないため、ログインは確認していません。"),
    (
        "probe/not-arrived",
        "送信したメッセージが時間内に届きませんでした。サーバーのキューを確認してください。後から届くこともあります。",
    ),
    (
        "probe/not-tried",
        "このユーザーはこの実行中に同じホストで拒否されたため、もう試していません。先にその原因を直してください。",
    ),
    ("probe/password-in-clear", "暗号化していない接続でパスワードをそのまま送りました。TLS を使ってください。"),
    (
        "probe/plain-port",
        "`implicit_tls` の宣言ですが、このポートは TLS を使わずに応答します。`security: starttls` にするか、TLS 用のポート（993、995、465）にしてください。",
    ),
    ("probe/protocol", "サーバーの応答がプロトコルに合っていません。応答の内容を確認してください。"),
    ("probe/recipient-refused", "宛先が拒否されました。宛先か、中継の規則を確認してください。"),
    ("probe/refused", "このポートで待ち受けているサーバーがありません。ポート番号を直してください。"),
    ("probe/sender-refused", "差出人が拒否されました。`address` か、サーバーの規則を確認してください。"),
    (
        "probe/size",
        "サーバーが受け付けるメッセージの大きさが、宣言より小さいです。`outgoing.max_message_size` を直してください。",
    ),
    (
        "probe/starttls-missing",
        "STARTTLS の宣言ですが、サーバーは対応していません。ポートを直すか、`implicit_tls` を使ってください。`none` にするとパスワードが平文で流れます。",
    ),
    (
        "probe/starttls-refused",
        "サーバーは STARTTLS に対応していますが、要求を拒否しました。サーバーのログを確認してください。",
    ),
    (
        "probe/timeout",
        "時間内に接続または応答がありませんでした。ホスト、ポート、途中のファイアウォールを確認してください。",
    ),
    ("probe/tls", "TLS の接続を確立できませんでした。メッセージの内容を確認してください。"),
    (
        "probe/tls-port",
        "このポートは最初から TLS を使います。`security: implicit_tls` にするか、TLS を使わないポートにしてください。",
    ),
    (
        "probe/uidl-missing",
        "サーバーが UIDL コマンドに対応していません (004:15)。対応しているサーバーを使ってください。",
    ),
    ("probe/unknown-host", "この名前のアドレスが見つかりません。名前を直してください。"),
    ("probe/unreachable", "ネットワーク上の経路がありません。"),
    ("probe/wrong-protocol", "別のプロトコルのサーバーが応答しました。宣言したプロトコルのポートを指定してください。"),
    (
        "project/missing",
        "`yubin.yaml` がありません。`yubin init` でプロジェクトを作るか、`-C DIR` でプロジェクトのフォルダーを指定してください。",
    ),
    (
        "project/password",
        "ストアのアドレスにパスワードが書かれており、このファイルを読む人すべてに見えます。PGPASSWORD や ~/.pgpass、または YUBIN_STORE で渡してください。",
    ),
    (
        "project/value",
        "yubin.yaml（または `--trusted-config` のファイル）の値が正しくないか、必要なキーがありません。使える値はメッセージにあります。",
    ),
    (
        "reference/unknown",
        "`server:` が指すサーバーを、どのファイルも宣言していません。サーバーを宣言してください。名前は一字一句そのまま比べられます。",
    ),
    (
        "refresh/kept",
        "エクスポートにないアカウントのうち、ほかのプロジェクトのもの、または別の製品の項目を持つものを残しました。",
    ),
    (
        "refresh/password",
        "製品が書き出さないはずのパスワードがエクスポートにあります。パスワードは読みませんが、製品自身のエクスポートかどうかを確認してください。",
    ),
    ("request/accept", "クライアントが受け取れる形式の応答がありません。"),
    ("request/content-type", "この呼び出しが受け付けない種類の本文です。"),
    ("request/encoding", "本文の Content-Encoding が不明か、本文がその形式ではありません。"),
    ("request/head", "要求のヘッダーが長すぎます。"),
    ("request/host", "ループバックのアドレスか localhost 以外の名前で呼ばれたため、拒否しました。"),
    ("request/if-match", "If-Match がありません。変更の元になった状態の ETag を送ってください。"),
    ("request/invalid", "パラメーター、ヘッダー、または本文の形式が正しくありません。"),
    ("request/method", "このパスでは使えないメソッドです。"),
    ("request/not-found", "そのようなパス、セッション、イベント、トークンはありません。"),
    ("request/origin", "ブラウザーのページからの要求のため、拒否しました。"),
    ("request/path", "要求のパスが長すぎます。"),
    ("request/rate", "このトークンの要求が多すぎます。Retry-After の時間だけ待ってください。"),
    ("request/reused", "この Idempotency-Key は別の要求に使われています。新しいキーを使ってください。"),
    ("request/slow", "本文が時間内に届きませんでした。"),
    ("request/too-long", "本文がサーバーの上限を超えています。"),
    ("request/unfit", "本文がこの呼び出しの求める内容ではありません。"),
    (
        "resource/absent",
        "`absent: true` と一緒にほかの項目が書かれています。項目か `absent` のどちらかを消してください。",
    ),
    ("resource/duplicate", "同じリソースが二度宣言されています。一つにしてください。"),
    ("resource/key", "名前またはユーザーが空か、制御文字を含むか、空白で始まるか終わっています。"),
    ("resource/not-found", "そのようなリソースはこれまで存在しません。"),
    (
        "resource/previously",
        "`previously:` の指定が矛盾しています。元の名前がまだ宣言されているか、二つ以上のリソースが同じ名前を引き継ごうとしています。",
    ),
    (
        "resource/renamed",
        "内容の同じ削除と追加があります。名前の変更なら、新しいほうに `previously:` で元の名前を書いてください。自動では名前の変更とみなしません。",
    ),
    ("revision/not-found", "そのようなリビジョンはありません。"),
    (
        "secret/command",
        "`secrets: commands:` が許可していないコマンドです。許可するか、プログラムをプロジェクトの外に置いてください。",
    ),
    ("secret/form", "秘密情報の参照の書き方が正しくありません。書き方は files.md の「Secrets」にあります。"),
    (
        "secret/missing",
        "秘密情報を取得できません。環境変数、ファイル、コマンド、鍵のいずれかがないか、得られた値が空か不正です。",
    ),
    ("secret/no-key", "秘密の値を受け取るための鍵がサーバー側かクライアント側にありません。"),
    (
        "secret/outside",
        "秘密情報のファイルがプロジェクトの外にあるか、読んではならないファイルです。プロジェクトの中に置くか、`secrets: paths:` で許可してください。",
    ),
    ("secret/permissions", "秘密情報のファイルを所有者以外も読めます。`chmod 600` で権限を直してください。"),
    (
        "secret/plaintext",
        "パスワードが平文で書かれています。`{ env: NAME }`、`{ file: PATH }`、`{ age: … }` のいずれかにしてください。`yubin secret encrypt` で暗号化できます。",
    ),
    ("secret/sealed", "秘密の値が、この場所・このサーバー・このクライアントのために封じられたものではありません。"),
    (
        "secret/weak-hash",
        "短時間で破られるハッシュ方式です。本人に新しいパスワードを設定してもらい、`ARGON2ID`、`BLF-CRYPT`、`SHA512-CRYPT` のいずれかにしてください。",
    ),
    ("server/busy", "サーバーが混み合っています。しばらくしてからもう一度送ってください。"),
    ("server/failed", "サーバーで失敗が起きました。詳細はサーバーのログにあります。"),
    ("server/no-room", "サーバーに本文を置く空きがありません。"),
    ("server/position", "二つのサーバーの表示順が同じです。別々の順番にするか、どちらも書かないでください。"),
    ("session/invalid", "セッションの ID かユーザーの形式が正しくありません。"),
    ("session/taken", "そのセッション ID は別のユーザーのものです。"),
    (
        "staff-express/auth-forced",
        "TLS または SMTP over SSL では必ず SMTP 認証が行われます。`outgoing.auth.enabled` を `true` にするか、暗号化をやめてください。",
    ),
    ("staff-express/batch", "一度に処理する件数が、一回の送信上限件数を超えています。"),
    (
        "staff-express/contact-log",
        "連絡記録に展開するには受信の設定が必要です。または、展開しないのに連絡記録の値が書かれています。",
    ),
    (
        "staff-express/credentials",
        "受信をせず、SMTP 認証のユーザー名とパスワードもそろっていません。両方を書いてください。",
    ),
    ("staff-express/master", "yubin.yaml の `masters:` にない値です。値か `masters:` を直してください。"),
    ("staff-express/mechanism", "TLS では認証方式 PLAIN を使えません。`login` にするか、ポート 465 を使ってください。"),
    ("staff-express/pop-before-smtp", "POP before SMTP には受信の設定が必要です。"),
    ("staff-express/port-method", "ポート番号と通信方法の組み合わせが合いません。"),
    ("staff-express/receive-port", "ポート 110 で TLS による受信を行う設定です。プロバイダーに確認してください。"),
    (
        "staff-express/receive-tls",
        "送信は暗号化され、受信は平文の設定です。このままでは受信できません。`incoming.security` を見直してください。",
    ),
    (
        "staff-express/two-authentications",
        "POP before SMTP と SMTP 認証が両方とも有効です。どちらか一方にしてください。",
    ),
    ("staff-express/warn-hours", "時間帯の書き方が正しくありません。`22:00-06:00` のように書いてください。"),
    ("store/busy", "別の適用がストアを使用中です。終わってからもう一度実行してください。"),
    ("store/full", "ストアのディスクに空きがありません。何も変更されていません。"),
    ("store/gone", "最初のページを読んだ後にストアが変更されました。最初から読み直してください。"),
    ("store/moved", "計画を作った後にストアが変更されました。計画を作り直してください。"),
    ("store/unreachable", "サーバーがストアに接続できません。"),
    (
        "system/incomplete",
        "製品の形式のレコードに必須の列が足りません。すでに存在するリソースなら問題ありませんが、追加の場合はエラーになります。",
    ),
    ("system/no-effect", "ほかの値との組み合わせで効果がない値なので、無視されます。消してください。"),
    ("system/not-expressible", "製品にこの種別や項目がないか、決まった値しか取れません。消してください。"),
    ("system/required", "製品が必須とする項目がありません。値を書いてください。"),
    ("system/value", "製品がこの項目に認めていない値です。認められている値のいずれかにしてください。"),
    ("token/failed", "このアドレスからの認証の失敗が多すぎます。しばらく待ってください。"),
    ("token/invalid", "トークンの名前、権限、プロジェクト、または期限が正しくありません。"),
    ("token/missing", "トークンがありません。"),
    ("token/owner", "トークンは、変更しようとするリソースのプロジェクトに結び付けられていません。"),
    ("token/scope", "このトークンの権限ではこの呼び出しはできません。"),
    ("token/unknown", "トークンが不明か、期限切れか、取り消されています。"),
    ("value/address", "メールアドレスの形式ではありません。"),
    ("value/choice", "この項目で選べる値ではありません。"),
    ("value/empty", "この項目には空の値を書けません。省くか、既定値に戻すなら `null` と書いてください。"),
    ("value/host", "ホスト名の形式ではありません。ホスト名だけを書いてください。ポート番号には別の項目があります。"),
    ("value/range", "数値が許される範囲の外です。"),
    ("value/type", "値の種類がこの項目に合いません。"),
    ("yaml/limit", "YAML の入れ子が深すぎるか、エイリアスの展開が大きすぎます。展開した形で書いてください。"),
    ("yaml/multiple-documents", "一つのファイルに二つ以上の YAML 文書（`---`）があります。ファイルを分けてください。"),
    (
        "yaml/syntax",
        "YAML として読めません。タブ、引用符のない `: ` や行頭の `@`、未定義のエイリアスなどを確認してください。",
    ),
    ("yaml/tag", "`!!str` などのタグは使えません。値の種類は項目から決まるので、タグを消してください。"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::model::Address;
    use crate::system;

    /// Names between backticks in the first cells of the rows of a document's tables.
    fn named(document: &str) -> BTreeSet<&str> {
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').step_by(2)).collect()
    }

    /// Literals of the form of a code, without those of tests.
    fn written(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                written(&path, found);
                continue;
            }
            if path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            found.extend(code.split('"').filter(|word| is_code(word)).map(str::to_owned));
        }
    }

    fn is_code(word: &str) -> bool {
        let name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        word.split_once('/').is_some_and(|(area, what)| name(area) && name(what))
    }

    #[test]
    fn every_code_has_a_meaning() {
        let documented = named(include_str!("../../docs/diagnostics.md"));
        let mut codes: BTreeSet<String> =
            documented.into_iter().filter(|name| is_code(name)).map(str::to_owned).collect();
        assert!(codes.len() > 80, "{}", codes.len());
        written(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut codes);
        // An address of an account looks the same, and so do a type of content, a name of git's
        // and a file of hooks.
        codes.retain(|code| {
            !["account/", "application/", "text/", "refs/", "hooks/"].iter().any(|other| code.starts_with(other))
        });
        let missing: Vec<&String> = codes.iter().filter(|code| meaning(code).is_none()).collect();
        assert!(missing.is_empty(), "without a Japanese sentence: {missing:?}");
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, text) in CODES {
            assert!(text.ends_with('。') && text.matches('`').count() % 2 == 0, "{code}: {text}");
        }
    }

    #[test]
    fn every_rule_has_a_name() {
        let document = include_str!("../../docs/safety.md");
        let rules = document.split("\n## Rules\n").nth(1).unwrap().split("\n## ").next().unwrap();
        for name in named(rules) {
            assert!(rule(name).is_some(), "{name}");
        }
        for (name, _, what) in RULES {
            assert!(what.matches('`').count() % 2 == 0, "{name}");
        }
    }

    #[test]
    fn every_reason_why_a_product_keeps_a_value_is_told() {
        for system in system::ALL {
            if let Some(why) = system.keeps_names() {
                let told = reason(&format!("{} cannot rename `a`: {why}", system.product));
                assert!(!told.contains(why) && told.contains("名前を変更できません"), "{told}");
            }
            for kind in Kind::ALL {
                for (id, field) in (0..).zip(kind.fields()) {
                    let Some(why) = system.keeps(kind, id) else { continue };
                    let told = reason(&format!("{} cannot clear `{}`: {why}", system.product, field.name));
                    assert!(!told.contains(why) && told.contains(field.name), "{told}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_is_taken_is_told() {
        let told = reason("`account/a` cannot be renamed: `account/b` exists besides; delete one of them first");
        assert_eq!(
            told,
            "`account/a` の名前を変更できません。`account/b` も存在するため、先にどちらかを削除してください"
        );
    }

    #[test]
    fn a_refusal_is_told_with_its_names_and_numbers() {
        let of = |rule, why| refusal(&Refusal { rule, why });
        let limit = |among, limit| Why::Limit { of: Counted::Deletes, among, touched: 104, owned: 261, limit };
        let told = of("max_deletes", limit(Among::Kind(Kind::Account), Limit::Percent(3_000)));
        assert!(
            told.starts_with("アカウントの削除が上限を超えています: 39.85 %（上限 30 %、261 件中 104 件）。"),
            "{told}"
        );
        let told = of("max_deletes", limit(Among::File("people.csv".to_owned()), Limit::Count(10)));
        assert!(
            told.starts_with("`people.csv` が宣言したリソースの削除が上限を超えています: 104 件（上限 10 件）。"),
            "{told}"
        );
        let foreign = |owner: &str| Why::Foreign {
            address: Address::parse("account/a").unwrap(),
            owner: owner.to_owned(),
            loses: true,
        };
        assert!(
            of("foreign_owner", foreign("project `b`"))
                .starts_with("`account/a` はプロジェクト `b` が所有しています。")
        );
        assert!(
            of("foreign_owner", foreign("no project"))
                .starts_with("`account/a` はどのプロジェクトも所有していません。")
        );
        assert_eq!(of("protect", Why::More(5)), "ほか 5 件");
        assert!(of("protect", Why::Said("no".to_owned())).ends_with("見直してください（no）"));
        assert_eq!(of("some_new_rule", Why::Said("no".to_owned())), "no");
        assert_eq!(grace(Grace::parse("14d").unwrap()), "14 日");
    }
}
