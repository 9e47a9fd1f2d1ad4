//! Every word of the page that people read: one table a language, for the page and for its script.
//! In sentences, `{}` is a number or a name.

use serde::Serialize;

use crate::render::Lang;

#[derive(Serialize)]
pub struct Words {
    /// Of `<html lang>`.
    #[serde(skip)]
    pub lang: &'static str,
    /// Whether fields are called by their labels, which are Japanese.
    pub labels: bool,

    // The plan as a whole.
    #[serde(skip)]
    pub title: &'static str,
    #[serde(skip)]
    pub nothing: &'static str,
    /// Between two counts.
    #[serde(skip)]
    pub comma: &'static str,
    /// What is counted, and how much is unchanged.
    #[serde(skip)]
    pub tally: &'static str,
    #[serde(skip)]
    pub system: &'static str,
    #[serde(skip)]
    pub store: &'static str,
    pub revision: &'static str,
    #[serde(skip)]
    pub digest: &'static str,
    #[serde(skip)]
    pub made_by: &'static str,
    #[serde(skip)]
    pub invalid: &'static str,

    // What is said before the changes.
    #[serde(skip)]
    pub refused: &'static str,
    #[serde(skip)]
    pub mail_lost: &'static str,
    #[serde(skip)]
    pub mail_is_gone: &'static str,
    #[serde(skip)]
    pub logged_out: &'static str,
    #[serde(skip)]
    pub secrets_skipped: &'static str,
    #[serde(skip)]
    pub secrets_unknown: &'static str,
    #[serde(skip)]
    pub diagnostics: &'static str,
    #[serde(skip)]
    pub severities: [&'static str; 3],
    #[serde(skip)]
    pub hint: &'static str,
    pub and_more: &'static str,
    pub partial: &'static str,
    pub target: &'static str,
    pub exclude: &'static str,
    pub against: &'static str,
    pub at: &'static str,
    pub signer: &'static str,
    pub drift: &'static str,

    // The list.
    #[serde(skip)]
    pub changes: &'static str,
    #[serde(skip)]
    pub no_script: &'static str,
    #[serde(skip)]
    pub search: &'static str,
    #[serde(skip)]
    pub search_hint: &'static str,
    #[serde(skip)]
    pub action: &'static str,
    #[serde(skip)]
    pub kind: &'static str,
    #[serde(skip)]
    pub user: &'static str,
    #[serde(skip)]
    pub file: &'static str,
    #[serde(skip)]
    pub all: &'static str,
    #[serde(skip)]
    pub reset: &'static str,
    #[serde(skip)]
    pub unfold: &'static str,
    #[serde(skip)]
    pub fold: &'static str,
    #[serde(skip)]
    pub kinds: [&'static str; 3],
    pub found: &'static str,
    pub none_found: &'static str,
    pub not_printed: &'static str,
    #[serde(serialize_with = "by_action")]
    pub actions: Actions,

    // A change.
    pub undeclared: &'static str,
    pub adopted: &'static str,
    pub restored: &'static str,
    pub previously: &'static str,
    pub followers: &'static str,
    pub purge_after: &'static str,
    pub drifted: &'static str,
    pub logs_out: &'static str,
    pub mail_of_it: &'static str,
    pub kicked: &'static str,
    pub left_alone: &'static str,

    // A field.
    pub field: &'static str,
    pub value: &'static str,
    pub before: &'static str,
    pub after: &'static str,
    pub none: &'static str,
    pub default: &'static str,
    pub from_server: &'static str,
    pub unobservable: &'static str,
    pub same_lines: &'static str,
    pub secret: &'static str,
    pub secrets: Secrets,
    /// Revision and day.
    pub last_set: &'static str,
}

/// Actions, in the order of the page: what loses something comes first.
pub type Actions = &'static [(&'static str, Action)];

#[derive(Serialize)]
pub struct Action {
    pub name: &'static str,
    /// Of all changes with it.
    pub title: &'static str,
    #[serde(skip)]
    pub counted: &'static str,
}

#[derive(Serialize)]
pub struct Secrets {
    pub set: &'static str,
    pub changed: &'static str,
    pub cleared: &'static str,
    pub unknown: &'static str,
    /// It goes with its resource.
    pub lost: &'static str,
}

pub fn of(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Ja => &JA,
    }
}

fn by_action<S: serde::Serializer>(actions: &Actions, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(actions.iter().map(|(action, words)| (action, words)))
}

const fn action(name: &'static str, title: &'static str, counted: &'static str) -> Action {
    Action { name, title, counted }
}

static EN: Words = Words {
    lang: "en",
    labels: false,

    title: "Plan for {}",
    nothing: "Nothing to change",
    comma: ", ",
    tally: "{}; {} unchanged",
    system: "System",
    store: "Store",
    revision: "Revision",
    digest: "Digest",
    made_by: "Made by yubin {}",
    invalid: "The input is invalid; nothing is planned",

    refused: "Refused: this plan cannot be applied as it is",
    mail_lost: "Mail is lost for good ({})",
    mail_is_gone: "All mail in the mailboxes of these accounts goes when the plan is applied:",
    logged_out: "Users who are logged out ({})",
    secrets_skipped: "Secrets were not fetched",
    secrets_unknown: "Which of them change is not known. An apply fetches them, and may find less to do, never more.",
    diagnostics: "Messages ({})",
    severities: ["error", "warning", "info"],
    hint: "Hint: ",
    and_more: "… and {} more",
    partial: "Partial plan: not everything that the files declare is in it",
    target: "only",
    exclude: "without",
    against: "Made against a snapshot, not against the store",
    at: "Time",
    signer: "Signed by",
    drift: "Changed by other software since yubin wrote it",

    changes: "Changes",
    no_script: "To search and unfold the changes takes JavaScript. These are they, what goes away first:",
    search: "Search",
    search_hint: "address, field, value",
    action: "Action",
    kind: "Kind",
    user: "User or account",
    file: "File",
    all: "all",
    reset: "Clear filters",
    unfold: "Unfold all",
    fold: "Fold all",
    kinds: ["server", "account", "pattern"],
    found: "{} of {} changes",
    none_found: "No change is like this",
    not_printed: "… and {} more changes that are not printed; filter the list to print fewer",
    actions: &[
        ("blocked", action("blocked", "Blocked", "{} blocked")),
        ("delete", action("delete", "Deletes", "{} to delete")),
        ("purge", action("purge", "Purges", "{} to purge")),
        ("disable", action("disable", "Disables", "{} to disable")),
        ("overwrite", action("overwrite", "Overwrites", "{} to overwrite")),
        ("rename", action("rename", "Renames", "{} to rename")),
        ("add", action("add", "Adds", "{} to add")),
        ("skip", action("skip", "Skipped", "{} skipped")),
    ],

    undeclared: "no longer declared",
    adopted: "taken over",
    restored: "restored",
    previously: "was {}",
    followers: "{} resources follow",
    purge_after: "purged after {}",
    drifted: "changed by other software",
    logs_out: "logs out its user",
    mail_of_it: "all mail of it is lost for good",
    kicked: "its connections to the mail server end",
    left_alone: "It exists and differs; `existing: skip` leaves it.",

    field: "Field",
    value: "Value",
    before: "Before",
    after: "After",
    none: "(none)",
    default: "default",
    from_server: "from the server",
    unobservable: "not in the product's export",
    same_lines: "{} lines as before",
    secret: "secret",
    secrets: Secrets { set: "set", changed: "changed", cleared: "cleared", unknown: "unknown", lost: "lost" },
    last_set: "last set in revision {}, {}",
};

static JA: Words = Words {
    lang: "ja",
    labels: true,

    title: "{} の変更計画",
    nothing: "変更はありません",
    comma: "、",
    tally: "{}（変更なし {} 件）",
    system: "システム",
    store: "ストア",
    revision: "リビジョン",
    digest: "ダイジェスト",
    made_by: "yubin {} で作成",
    invalid: "入力に誤りがあるため、計画を作れません",

    refused: "拒否: この計画はこのままでは適用できません",
    mail_lost: "メールが失われ、元に戻せません（{} 件）",
    mail_is_gone: "計画を適用すると、次のアカウントのメールボックスにあるメールがすべて失われます。",
    logged_out: "ログアウトされるユーザー（{} 人）",
    secrets_skipped: "秘密情報を取得せずに作った計画です",
    secrets_unknown: "秘密情報のどれが変わるかは不明です。適用時に取得し、変更がこの計画より少なくなることはあっても、多くなることはありません。",
    diagnostics: "メッセージ（{} 件）",
    severities: ["エラー", "警告", "情報"],
    hint: "ヒント: ",
    and_more: "… ほか {} 件",
    partial: "部分的な計画: ファイルで宣言された内容の一部だけを対象とします",
    target: "対象",
    exclude: "除外",
    against: "ストアではなく、スナップショットと比較した計画です",
    at: "日時",
    signer: "署名者",
    drift: "前回の書き込み以降に他のソフトウェアが変更した項目",

    changes: "変更の一覧",
    no_script: "変更の検索と展開には JavaScript が必要です。変更は次のとおりです（なくなるものが先）。",
    search: "検索",
    search_hint: "アドレス、項目名、値",
    action: "操作",
    kind: "種別",
    user: "ユーザー・アカウント",
    file: "ファイル",
    all: "すべて",
    reset: "条件を解除",
    unfold: "すべて開く",
    fold: "すべて閉じる",
    kinds: ["サーバー", "アカウント", "パターン"],
    found: "{} 件を表示（全 {} 件）",
    none_found: "条件に合う変更はありません",
    not_printed: "… ほか {} 件の変更は印刷されません。印刷する範囲は絞り込みで選べます",
    actions: &[
        ("blocked", action("適用不可", "適用不可", "適用不可 {} 件")),
        ("delete", action("削除", "削除", "削除 {} 件")),
        ("purge", action("完全削除", "完全削除", "完全削除 {} 件")),
        ("disable", action("無効化", "無効化", "無効化 {} 件")),
        ("overwrite", action("上書き", "上書き", "上書き {} 件")),
        ("rename", action("名前変更", "名前変更", "名前変更 {} 件")),
        ("add", action("追加", "追加", "追加 {} 件")),
        ("skip", action("スキップ", "スキップ", "スキップ {} 件")),
    ],

    undeclared: "どのファイルにも宣言がなくなりました",
    adopted: "引き継ぎ",
    restored: "復元",
    previously: "旧名 {}",
    followers: "参照元 {} 件も追随",
    purge_after: "{} 後に完全削除",
    drifted: "他のソフトウェアによる変更あり",
    logs_out: "ユーザーをログアウト",
    mail_of_it: "全メールが失われ、元に戻せません",
    kicked: "メールサーバーとの接続は切断されます",
    left_alone: "すでに存在し、内容が異なります。`existing: skip` によりそのままにします。",

    field: "項目",
    value: "値",
    before: "変更前",
    after: "変更後",
    none: "（なし）",
    default: "既定値",
    from_server: "サーバーの設定値",
    unobservable: "製品のエクスポートに含まれない項目",
    same_lines: "変更のない {} 行",
    secret: "秘密",
    secrets: Secrets {
        set: "新規に設定",
        changed: "変更",
        cleared: "消去",
        unknown: "変わるかどうか不明",
        lost: "失われます",
    },
    last_set: "前回の設定: リビジョン {}、{}",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_know_every_action_in_the_same_order() {
        let names = |words: &Words| words.actions.iter().map(|(action, _)| *action).collect::<Vec<_>>();
        assert_eq!(names(&EN), names(&JA));
        assert!(crate::model::Action::ALL.iter().all(|action| names(&EN).contains(&action.name())));
    }

    #[test]
    fn both_languages_fill_the_same_places() {
        let sentences = |words: &Words| {
            let json = serde_json::to_value(words).unwrap();
            let Words { title, tally, made_by, mail_lost, logged_out, diagnostics, .. } = words;
            let mut all: Vec<usize> = json
                .as_object()
                .unwrap()
                .values()
                .filter_map(|word| Some(word.as_str()?.matches("{}").count()))
                .collect();
            all.extend(
                [title, tally, made_by, mail_lost, logged_out, diagnostics].map(|one| one.matches("{}").count()),
            );
            all.extend(words.actions.iter().map(|(_, action)| action.counted.matches("{}").count()));
            all
        };
        assert_eq!(sentences(&EN), sentences(&JA));
    }
}
