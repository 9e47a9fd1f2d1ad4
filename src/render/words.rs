//! What the renderers say: one table a language. A plan is walked once, whoever reads it, and a
//! further language is one more table. What is put into a sentence has been made harmless before.

use super::{Lang, japanese};
use crate::model::policy::Grace;
use crate::model::{Action, Field, Kind, Refusal, SecretChange, Severity};

pub struct Words {
    // Punctuation.
    pub comma: &'static str,
    pub stop: &'static str,
    /// Around what stands aside.
    pub aside: [&'static str; 2],

    // Names.
    /// How a field is called beside its name.
    pub label: fn(&Field) -> Option<&'static str>,
    pub kinds: fn(Kind) -> &'static str,
    pub action: fn(Action) -> &'static str,
    /// The title of all changes of this action.
    pub section: fn(Action) -> &'static str,
    pub severity: fn(Severity) -> &'static str,
    /// How a rule is called beside its name.
    pub rule: fn(&str) -> Option<&'static str>,

    // The plan as a whole.
    pub plan: &'static str,
    pub nothing: &'static str,
    pub counted: fn(u64, Action) -> String,
    /// What is counted, and how much is unchanged.
    pub tally: fn(&str, u64) -> String,
    /// Project, system, store, revision.
    pub place: fn(&str, &str, &str, u64) -> String,
    pub digest: &'static str,
    /// Before what the plan is restricted to.
    pub partial: &'static str,
    pub only: fn(&str) -> String,
    pub without: fn(&str) -> String,
    /// Revision, time and signer of the state that stands for the store.
    pub against: fn(u64, &str, &str) -> String,
    /// How long ago something was, of so many seconds.
    pub age: fn(u64) -> String,
    pub drift: &'static str,
    /// How many resources other software has changed.
    pub drifted: fn(usize) -> String,
    pub drift_added: &'static str,
    pub drift_deleted: &'static str,
    pub no_drift: &'static str,
    pub waiting: &'static str,
    /// How many disabled resources can still be brought back.
    pub waiting_for: fn(usize) -> String,
    /// When a disabled resource is purged.
    pub from: fn(&str) -> String,
    pub refused: &'static str,
    /// Why, and what to do about it.
    pub refusal: fn(&Refusal) -> String,
    pub more_refusals: fn(usize) -> String,
    /// How many of each action.
    pub not_shown: fn(&[(usize, Action)]) -> String,
    /// How many accounts have grown or shrunk, and nothing else.
    pub sizes: fn(usize) -> String,
    pub new_order: &'static str,

    // Effects.
    pub empties: &'static str,
    pub mailboxes: fn(usize) -> String,
    pub mail_in_them: &'static str,
    pub logs_out: &'static str,
    pub users: fn(usize) -> String,
    /// Behind names, what is not named.
    pub and_more: fn(usize) -> String,
    pub unobservable: &'static str,
    /// The product.
    pub no_export: fn(&str) -> String,
    /// The fields.
    pub not_exported: fn(&str) -> String,

    // A change.
    pub undeclared: &'static str,
    /// From whom, if from anybody.
    pub taken_over: fn(Option<&str>) -> String,
    pub forgotten: &'static str,
    /// Of the revision that disabled it.
    pub disabled: fn(u64) -> String,
    /// How the resource was called before.
    pub was: fn(&str) -> String,
    /// How many resources refer to it.
    pub followers: fn(u64) -> String,
    pub restored: &'static str,
    /// How long it can be brought back.
    pub grace: fn(Grace) -> String,
    pub belongs: fn(&str) -> String,
    /// Why the product cannot do it.
    pub reason: fn(&str) -> String,
    pub left_alone: &'static str,
    pub user_out: fn(&str) -> String,
    /// How much mail, and whether the settings go with it.
    pub mail_lost: fn(Option<&str>, bool) -> String,
    pub mail_of_it: &'static str,
    /// Of an account of a mail server.
    pub kicked: &'static str,

    // A field.
    pub none: &'static str,
    pub default: &'static str,
    pub from_server: &'static str,
    /// Before how it changes.
    pub secret: &'static str,
    /// `None` of one that goes with its resource.
    pub secret_change: fn(Option<SecretChange>) -> &'static str,
    /// Revision and day.
    pub last_set: fn(u64, &str) -> String,

    // Diagnostics.
    /// What the code means, if the message does not say it in this language.
    pub meaning: fn(&str) -> Option<&'static str>,
    pub help: &'static str,
    pub invalid: &'static str,
    /// Code and file.
    pub more_of: fn(usize, &str, &str) -> String,
    pub the_project: &'static str,
    pub errors: fn(usize) -> String,
    pub warnings: fn(usize) -> String,
    pub no_problems: &'static str,
    /// Problems, files, resources.
    pub checked: fn(&str, usize, usize) -> String,

    // Markdown, where room is short.
    /// How many changes of an action are left out, or how many messages.
    pub left_out: fn(usize, Option<Action>) -> String,

    // What the store holds.
    pub owner: fn(Option<&str>) -> String,
    pub revision: fn(u64) -> String,
    pub hidden: &'static str,
    /// The product.
    pub never_exported: fn(&str) -> String,
    pub holds_nothing: &'static str,
    pub no_servers: &'static str,

    // Beside the plan.
    pub ask: &'static str,
    pub untouched: &'static str,
    /// Problems.
    pub invalid_untouched: fn(&str) -> String,
    pub other_ack: &'static str,
    /// The file.
    pub saved: fn(&str) -> String,
    pub applied: fn(u64) -> String,
    /// Of a plan that is made anew.
    pub as_approved: &'static str,
    pub rehearsed: &'static str,
    pub not_rehearsed: &'static str,
    pub hashing: &'static str,
    pub writing: &'static str,
}

impl Lang {
    pub fn words(self) -> &'static Words {
        match self {
            Lang::En => &EN,
            Lang::Ja => &JA,
        }
    }
}

/// `1 file`, `2 files`
fn number(count: usize, noun: &str) -> String {
    super::text::number(count, noun)
}

static EN: Words = Words {
    comma: ", ",
    stop: ".",
    aside: [" (", ")"],

    label: |_| None,
    kinds: Kind::plural,
    action: Action::name,
    section: |action| match action {
        Action::Blocked => "Blocked",
        Action::Delete => "Deletes",
        Action::Overwrite => "Overwrites",
        Action::Add => "Adds",
        Action::Skip => "Skipped",
        Action::Rename => "Renames",
        Action::Disable => "Disables",
        Action::Purge => "Purges",
    },
    severity: Severity::name,
    rule: |_| None,

    plan: "Plan:",
    nothing: "Nothing to change",
    counted: |count, action| {
        let word = match action {
            Action::Add => "to add",
            Action::Overwrite => "to overwrite",
            Action::Delete => "to delete",
            Action::Skip => "skipped",
            Action::Blocked => "blocked",
            Action::Rename => "to rename",
            Action::Disable => "to disable",
            Action::Purge => "to purge",
        };
        format!("{count} {word}")
    },
    tally: |counts, unchanged| format!("{counts}; {unchanged} unchanged"),
    place: |project, system, store, revision| format!("{project} ({system}) on {store} at revision {revision}"),
    digest: "digest",
    partial: "Partial plan:",
    only: |globs| format!("only {globs}"),
    without: |globs| format!("without {globs}"),
    age: |seconds| match seconds {
        0..=119 => format!("{seconds} seconds ago"),
        120..=7_199 => format!("{} minutes ago", seconds / 60),
        7_200..=172_799 => format!("{} hours ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    },
    against: |revision, at, signer| {
        format!("Against the snapshot of revision {revision} from {at}, signed by {signer}")
    },
    drift: "Drift",
    drifted: |count| format!("{} changed by other software", number(count, "resource")),
    drift_added: "added",
    drift_deleted: "deleted",
    no_drift: "no drift: the store is as yubin left it",
    waiting: "Disabled",
    waiting_for: |count| format!("{} that can still be brought back", number(count, "resource")),
    from: |when| format!("until {when}"),
    refused: "Refused:",
    refusal: |refusal| refusal.why.to_string(),
    more_refusals: |count| format!("… and {}, left out here", number(count, "more refusal")),
    not_shown: |counts| {
        let counts: Vec<String> = counts.iter().map(|(count, action)| format!("{count} {}", action.name())).collect();
        format!("… and {} more, not written out (-v writes all)", counts.join(", "))
    },
    sizes: |count| format!("how much of the mailbox is used, of {}", number(count, "account")),
    new_order: "position of servers in the list: ",

    empties: "Empties",
    mailboxes: |count| if count == 1 { "1 mailbox".to_owned() } else { format!("{count} mailboxes") },
    mail_in_them: "all mail in them is lost for good",
    logs_out: "Logs out",
    users: |count| number(count, "user"),
    and_more: |count| format!(" and {count} more"),
    unobservable: "Unobservable",
    no_export: |product| format!("everything: {product} has no export, so drift there is not seen"),
    not_exported: |fields| format!("{fields}: no export of the product shows them, so drift there is not seen"),

    undeclared: "no longer declared",
    taken_over: |from| match from {
        Some(from) => format!("belongs to {from} and is taken over"),
        None => "has no owner so far and is taken over".to_owned(),
    },
    forgotten: "stays as it is, and nobody owns it any more",
    disabled: |revision| format!("disabled in revision {revision}"),
    was: |address| format!("(was {address})"),
    followers: |count| match count {
        1 => "1 resource that refers to it follows".to_owned(),
        count => format!("{count} resources that refer to it follow"),
    },
    restored: "was disabled and comes back",
    grace: |grace| format!("is purged after {grace}, unless it is declared again"),
    belongs: |owner| format!("belongs to {owner}"),
    reason: str::to_owned,
    left_alone: "exists and differs; `existing: skip` leaves it",
    user_out: |user| format!("logs out {user}"),
    mail_lost: |size, settings| {
        let size = size.map_or(String::new(), |size| format!(" ({size})"));
        format!("all mail of the account{size}{} is lost for good", if settings { " and all its settings" } else { "" })
    },
    mail_of_it: "all mail of it is lost for good",
    kicked: "its connections to the mail server end",

    none: "(none)",
    default: "(default)",
    from_server: "(from the server)",
    secret: "(secret) ",
    secret_change: |change| change.map_or("lost", SecretChange::name),
    last_set: |revision, day| format!(" (last set in revision {revision}, {day})"),

    meaning: |_| None,
    help: "help:",
    invalid: "The input is invalid; nothing is planned",
    more_of: |count, code, file| format!("… and {count} more of {code} in {file} (-v shows all)"),
    the_project: "the project",
    errors: |count| number(count, "error"),
    warnings: |count| number(count, "warning"),
    no_problems: "no problems",
    checked: |problems, files, resources| {
        format!("{problems} in {}, {}", number(files, "file"), number(resources, "resource"))
    },

    left_out: |count, of| {
        let noun = match of {
            None => "message",
            Some(Action::Delete) => "delete",
            Some(Action::Overwrite) => "overwrite",
            Some(Action::Add) => "add",
            Some(Action::Rename) => "rename",
            Some(Action::Disable) => "disable",
            Some(Action::Purge) => "purge",
            Some(Action::Skip | Action::Blocked) => "resource",
        };
        format!("… and {}, left out here", number(count, &format!("more {noun}")))
    },

    owner: |owner| owner.map_or("no owner".to_owned(), |owner| format!("owner {owner}")),
    revision: |revision| format!("revision {revision}"),
    hidden: "unobservable",
    never_exported: |product| format!("(unobservable: {product} has no export)"),
    holds_nothing: "the store holds nothing",
    no_servers: "nothing that is declared names a server",

    ask: "Apply this plan?",
    untouched: "nothing has been changed",
    invalid_untouched: |problems| format!("{problems}; nothing has been changed"),
    other_ack: "`--ack` names another plan than this one",
    saved: |file| format!("saved to {file}; `yubin apply {file}` applies exactly this plan"),
    applied: |revision| format!("applied as revision {revision}"),
    as_approved: "the changes are those that were approved",
    rehearsed: "rehearsed: everything was written, compared with the plan, and rolled back",
    not_rehearsed: "not rehearsed: the plan is refused",
    hashing: "{bar:40} {human_pos} of {human_len} passwords hashed, {eta} left",
    writing: "{bar:40} {human_pos} of {human_len} written, {eta} left",
};

static JA: Words = Words {
    comma: "、",
    stop: "。",
    aside: ["（", "）"],

    label: |field| Some(field.label),
    kinds: japanese::kind,
    action: japanese::action,
    section: japanese::action,
    severity: |severity| match severity {
        Severity::Error => "エラー",
        Severity::Warning => "警告",
        Severity::Info => "情報",
    },
    rule: japanese::rule,

    plan: "計画:",
    nothing: "変更はありません",
    counted: |count, action| format!("{} {count} 件", japanese::action(action)),
    tally: |counts, unchanged| format!("{counts}（変更なし {unchanged} 件）"),
    place: |project, system, store, revision| {
        format!("プロジェクト {project} ({system})、ストア {store}、リビジョン {revision}")
    },
    digest: "ダイジェスト",
    partial: "部分的な計画:",
    only: |globs| format!("対象は {globs} のみ"),
    without: |globs| format!("{globs} を除く"),
    age: |seconds| match seconds {
        0..=119 => format!("{seconds} 秒前"),
        120..=7_199 => format!("{} 分前", seconds / 60),
        7_200..=172_799 => format!("{} 時間前", seconds / 3_600),
        _ => format!("{} 日前", seconds / 86_400),
    },
    against: |revision, at, signer| {
        format!("ストアの代わりに、リビジョン {revision} のスナップショット（{at}、署名者 {signer}）と比較しました")
    },
    drift: "差異",
    drifted: |count| format!("ほかのソフトウェアが変更したリソース {count} 件"),
    drift_added: "追加",
    drift_deleted: "削除",
    no_drift: "差異はありません。ストアは yubin が最後に書いたままです",
    waiting: "無効化中",
    waiting_for: |count| format!("まだ元に戻せるリソース {count} 件"),
    from: |when| format!("期限 {when}"),
    refused: "拒否:",
    refusal: japanese::refusal,
    more_refusals: |count| format!("… ほか {count} 件の拒否理由は省略"),
    not_shown: |counts| {
        let counts: Vec<String> =
            counts.iter().map(|(count, action)| format!("{} {count} 件", japanese::action(*action))).collect();
        format!("… ほか {} は省略（-v ですべて表示）", counts.join("、"))
    },
    sizes: |count| format!("メールボックスの利用容量だけの変化: アカウント {count} 件"),
    new_order: "サーバーの表示順: ",

    empties: "メール消失",
    mailboxes: |count| format!("メールボックス {count} 件"),
    mail_in_them: "中のメールはすべて失われ、元に戻せません",
    logs_out: "強制ログアウト",
    users: |count| format!("ユーザー {count} 人"),
    and_more: |count| format!(" ほか {count} 件"),
    unobservable: "差異を検出できない項目",
    no_export: |product| format!("すべて: {product} にはエクスポートがないため、製品側での変更は検出できません"),
    not_exported: |fields| format!("{fields}: 製品のエクスポートに含まれないため、製品側での変更は検出できません"),

    undeclared: "どのファイルにも宣言がなくなりました",
    taken_over: |from| match from {
        Some(from) => format!("{} の所有から引き継ぎます", japanese::owner(from)),
        None => "所有者のいなかったリソースを引き取ります".to_owned(),
    },
    forgotten: "内容はそのままで、所有者がいなくなります",
    disabled: |revision| format!("リビジョン {revision} で無効化"),
    was: |address| format!("（旧 {address}）"),
    followers: |count| format!("参照しているリソース {count} 件も新しい名前に付け替わります"),
    restored: "無効化されていましたが、元に戻ります",
    grace: |grace| format!("{}以内に宣言し直せば元に戻り、過ぎると完全に削除されます", japanese::grace(grace)),
    belongs: japanese::belongs,
    reason: japanese::reason,
    left_alone: "すでに存在し、内容が異なります。`existing: skip` によりそのままにします",
    user_out: |user| format!("{user} はログアウトされます"),
    mail_lost: |size, settings| {
        let size = size.map_or(String::new(), |size| format!("（{size}）"));
        format!(
            "このアカウントの全メール{size}{}が失われ、元に戻せません",
            if settings { "とすべての設定" } else { "" }
        )
    },
    mail_of_it: "全メールが失われ、元に戻せません",
    kicked: "メールサーバーとの接続は切断されます",

    none: "（なし）",
    default: "（既定値）",
    from_server: "（サーバーの設定値）",
    secret: "（秘密）",
    secret_change: |change| match change {
        None => "失われます",
        Some(SecretChange::Set) => "新規に設定",
        Some(SecretChange::Changed) => "変更",
        Some(SecretChange::Cleared) => "消去",
        Some(SecretChange::Unknown) => "変わるかどうか不明",
    },
    last_set: |revision, day| format!("（前回の設定: リビジョン {revision}、{day}）"),

    meaning: japanese::meaning,
    help: "ヒント:",
    invalid: "入力に誤りがあるため、計画を作れません",
    more_of: |count, code, file| format!("… {file} には {code} がほか {count} 件（-v ですべて表示）"),
    the_project: "プロジェクト",
    errors: |count| format!("エラー {count} 件"),
    warnings: |count| format!("警告 {count} 件"),
    no_problems: "問題なし",
    checked: |problems, files, resources| format!("{problems}（ファイル {files} 件、リソース {resources} 件）"),

    left_out: |count, of| {
        let noun = of.map_or("メッセージ", japanese::action);
        format!("… ほか {count} 件の{noun}は省略")
    },

    owner: |owner| owner.map_or("所有者なし".to_owned(), |owner| format!("所有者 {owner}")),
    revision: |revision| format!("リビジョン {revision}"),
    hidden: "製品側の値は確認不可",
    never_exported: |product| format!("（製品側の値は確認不可: {product} にはエクスポートがありません）"),
    holds_nothing: "ストアは空です",
    no_servers: "サーバーを指定した宣言がありません",

    ask: "この計画を適用しますか?",
    untouched: "何も変更していません",
    invalid_untouched: |problems| format!("{problems}。何も変更していません"),
    other_ack: "`--ack` のダイジェストは、この計画のものではありません",
    saved: |file| format!("{file} に保存しました。`yubin apply {file}` でこの計画だけを適用できます"),
    applied: |revision| format!("リビジョン {revision} として適用しました"),
    as_approved: "承認された変更と同じです",
    rehearsed: "リハーサル完了: すべてを書き込んで計画と照合し、元に戻しました",
    not_rehearsed: "計画が拒否されているため、リハーサルは行いませんでした",
    hashing: "{bar:40} パスワードのハッシュ化 {human_pos} / {human_len}、残り {eta}",
    writing: "{bar:40} 書き込み {human_pos} / {human_len}、残り {eta}",
};
