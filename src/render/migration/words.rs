//! What is said of migrations in each language. The tasks of the sheet are those of 004:141-157.

use crate::model::migration::{State, Wait};
use crate::render::Lang;

pub struct Words {
    pub titles: [&'static str; 7],
    /// Columns of the longest title.
    pub width: usize,
    pub tasks: [&'static str; 7],
    pub provider: &'static str,
    pub administrator: fn(Option<&str>) -> String,
    /// Step, task, by whom, what was done.
    pub columns: [&'static str; 4],
    pub accounts: [&'static str; 2],
    pub sheet: fn(&str) -> String,
    /// Name, old and new server, accounts, state.
    pub head: fn(&str, &str, &str, u64, State) -> String,
    pub did: fn(u8, &str, &str) -> String,
    pub due: fn(u8) -> String,
    pub wait: fn(u8, &Wait) -> String,
}

impl Words {
    pub fn of(lang: Lang) -> &'static Words {
        match lang {
            Lang::En => &EN,
            Lang::Ja => &JA,
        }
    }
}

static EN: Words = Words {
    titles: [
        "add the new server",
        "back up the accounts",
        "declare the new entries",
        "apply the new entries",
        "switch DNS",
        "verify receiving and sending",
        "remove the old server",
    ],
    width: 28,
    tasks: [
        "Add the new mail server. Do not delete the old one yet (004:141-142).",
        "Export the registered mail accounts (004:144).",
        "Add the accounts on the new server, with its id (004:146-148).",
        "Read what step 3 has made (004:149).",
        "Switch DNS (004:151-152).",
        "Make sure that mail is sent and received by the new server (004:153).",
        "When all is done, delete the old mail server (004:157).",
    ],
    provider: "provider",
    administrator: |product| {
        product.map_or("administrator".to_owned(), |product| format!("administrator of {product}"))
    },
    columns: ["Step", "Task", "By", "Done"],
    accounts: ["Old account", "New account"],
    sheet: |name| format!("Check sheet of the migration {name}"),
    head: |name, from, to, accounts, state| {
        let noun = if accounts == 1 { "account" } else { "accounts" };
        format!("{name}: {from} → {to}, {accounts} {noun}, {}", state.name())
    },
    did: |step, title, said| format!("step {step}, {title}: {said}"),
    due: |step| match step {
        7 => "due: `yubin migrate next` deletes the old entries and the old server".to_owned(),
        _ => "due: `yubin migrate next`".to_owned(),
    },
    wait: |_, wait| format!("waits: {wait}"),
};

static JA: Words = Words {
    titles: [
        "移行先のサーバーの追加",
        "メールアカウントの書き出し",
        "移行先のアカウントの追加",
        "追加したアカウントの適用",
        "DNS情報の切り替え",
        "送受信の確認",
        "移行元のサーバーの削除",
    ],
    width: 26,
    tasks: [
        "移行先のメールサーバーの情報を追加します。移行元のメールサーバーの情報は、まだ削除しないでください。",
        "登録されているメールアカウントをCSVファイルに書き出します。",
        "CSVファイルに、移行先のメールアカウントの情報を追加します。移行先のメールサーバーのメールサーバーIDが必要です。",
        "Step 3で編集したCSVファイルを読み込みます。",
        "DNS情報を切り替えます。DNS情報の切り替えは、お客様のメールサーバーのご契約業者にお問い合わせください。",
        "移行先のメールサーバーの設定で、メールが送受信できることを確認します。",
        "完全に移行が完了したら、移行元のメールサーバーの情報を削除します。",
    ],
    provider: "ご契約業者側の作業",
    administrator: |product| format!("{}側の作業", product.unwrap_or("管理者")),
    columns: ["Step", "作業", "担当", "完了"],
    accounts: ["移行元のメールアカウント", "移行先のメールアカウント"],
    sheet: |name| format!("メールサーバー移行 チェックシート: {name}"),
    head: |name, from, to, accounts, state| {
        let state = match state {
            State::Open => "移行中",
            State::Closed => "完了",
            State::Abandoned => "中止",
        };
        format!("{name}: {from} → {to}、メールアカウント {accounts} 件、{state}")
    },
    did: |step, title, said| format!("Step {step} {title}: {said}"),
    due: |step| match step {
        7 => "次の作業: `yubin migrate next` で移行元のアカウントとサーバーを削除します".to_owned(),
        _ => "次の作業: `yubin migrate next`".to_owned(),
    },
    wait: |step, wait| {
        match wait {
        Wait::Declare => "移行先のメールサーバーをファイルに宣言してください".to_owned(),
        Wait::HandedOver(folder) => format!("{folder} の作業を行い、`yubin migrate ack {step}` で知らせてください"),
        Wait::Id => "メールサーバーIDの確認方法（004:148）に従って ID を調べ、`yubin migrate ack 3 --server-id ID` で知らせるか、ID を含む書き出しファイルを refresh してください".to_owned(),
        Wait::Dns => "ご契約業者が DNS 情報を切り替えたら（004:151）、`yubin migrate ack 5` で知らせてください".to_owned(),
        Wait::Look => format!("担当者が確認し、`yubin migrate ack {step}` で知らせてください"),
        Wait::Consent => "移行元のアカウントとサーバーを削除してよければ、`yubin migrate ack 7` で同意してください".to_owned(),
        Wait::Used(count) => format!("移行しない {count} 件がまだ移行元のサーバーを使っています。移すか削除して、適用してください"),
        Wait::Grace(count) => format!("移行元の {count} 件は無効化されており、まだ元に戻せます。期限が過ぎたら `yubin apply` が完全に削除します"),
    }
    },
};
