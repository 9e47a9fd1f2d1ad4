//! What a watcher tells people: a line for each event, and what it is about below it.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Lang;
use super::text::{self, harmless};
use crate::model::watch::{Event, Reason, Refused, State, What};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WAITS: Style = AnsiColor::Yellow.on_default().bold();
const CALM: Style = AnsiColor::Cyan.on_default();

fn look(what: &What) -> Style {
    match what {
        What::Synced { .. } => GOOD,
        What::Invalid { .. } | What::Refused { .. } | What::Failed { .. } => BAD,
        What::Waiting { reason: Reason::Standby, .. } => CALM,
        What::Waiting { .. } | What::Drift { .. } => WAITS,
        What::Started { .. } | What::Changed { .. } | What::Unchanged | What::Stopped { .. } => CALM,
    }
}

/// The line of an event, and what is to be said of it beside plan and diagnostics.
pub fn event(event: &Event, lang: Lang, to: &mut dyn Write) -> io::Result<()> {
    let style = look(&event.what);
    let at = event.at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
    let name = format!("{:<9}", event.what.name());
    writeln!(to, "{at} {style}{name}{style:#} {}", harmless(&sentence(event, lang)))?;
    let words = lang.words();
    if let Some(help) = help(event, lang) {
        writeln!(to, "  {CALM}{}{CALM:#} {}", words.help, harmless(&help))?;
    }
    Ok(())
}

/// How it stands from now on, in one line; `None` if the event does not say.
pub fn stands(event: &Event, lang: Lang) -> Option<String> {
    let state = event.what.state()?;
    let style = look(&event.what);
    let at = event.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
    let revision = event.revision.map_or(String::new(), |revision| (Watch::of(lang).at_revision)(revision));
    Some(format!("{style}●{style:#} {} {}{revision} · {at}", harmless(&event.project), (Watch::of(lang).state)(state)))
}

fn sentence(event: &Event, lang: Lang) -> String {
    let words = lang.words();
    let watch = Watch::of(lang);
    let revision = event.revision.unwrap_or_default();
    let mut said = match &event.what {
        What::Started { store, leads, status } => {
            let mut said = (watch.started)(&event.project, store, *leads);
            if let Some(address) = status {
                let _ = write!(said, "; http://{address}/status");
            }
            said
        }
        What::Changed { commit: Some(commit), .. } => (watch.commit)(commit),
        What::Changed { files, count, .. } => {
            let more = count.saturating_sub(files.len());
            let names = files.join(words.comma);
            if more > 0 { format!("{names}{}", (words.and_more)(more)) } else { names }
        }
        What::Synced { .. } => (watch.synced)(revision),
        What::Unchanged => (watch.unchanged)(revision),
        What::Invalid { diagnostics } => (watch.invalid)(diagnostics.len()),
        What::Refused { refused, .. } => match refused.first() {
            Some(Refused::Plan(one)) => format!("{}: {}; {}", one.rule, (words.refusal)(one), watch.refused),
            Some(Refused::Tree { rule, message }) => format!("{rule}: {message}; {}", watch.refused),
            None => watch.refused.to_owned(),
        },
        What::Waiting { reason, message, until } => (watch.waits)(*reason, message, until.map(when).as_deref()),
        What::Drift { drift } => (words.drifted)(drift.len()),
        What::Failed { message, .. } => message.clone(),
        What::Stopped { .. } => watch.stopped.to_owned(),
    };
    if let Some(took) = event.took.filter(|_| !matches!(event.what, What::Failed { .. })) {
        let _ = write!(said, " ({:.2} s)", took.as_secs_f64());
    }
    said
}

fn when(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

fn help(event: &Event, lang: Lang) -> Option<String> {
    let watch = Watch::of(lang);
    let digest = event.digest.as_deref();
    match &event.what {
        What::Waiting { reason: Reason::Approval | Reason::ByHand | Reason::Window, .. } => {
            digest.map(|digest| (watch.approve)(digest))
        }
        What::Waiting { reason: Reason::Paused, .. } => Some(watch.unpause.to_owned()),
        What::Waiting { reason: Reason::Writing, .. } => Some(watch.close.to_owned()),
        What::Refused { refused, .. } => {
            let limit = |one: &Refused| matches!(one, Refused::Plan(one) if one.rule.starts_with("max_"));
            digest.filter(|_| refused.iter().all(limit)).map(|digest| (watch.approve)(digest))
        }
        What::Failed { hint, retry, .. } => {
            let retry = retry.map(|retry| (watch.retry)(retry.as_secs_f64()));
            let said: Vec<String> = hint.iter().cloned().chain(retry).collect();
            (!said.is_empty()).then(|| said.join(lang.words().comma))
        }
        _ => None,
    }
}

/// What is said in each language.
struct Watch {
    /// Project, store, and whether this watcher leads.
    started: fn(&str, &str, bool) -> String,
    commit: fn(&str) -> String,
    synced: fn(u64) -> String,
    unchanged: fn(u64) -> String,
    invalid: fn(usize) -> String,
    refused: &'static str,
    /// Why, in what words, and until when.
    waits: fn(Reason, &str, Option<&str>) -> String,
    stopped: &'static str,
    state: fn(State) -> &'static str,
    at_revision: fn(u64) -> String,
    approve: fn(&str) -> String,
    unpause: &'static str,
    close: &'static str,
    retry: fn(f64) -> String,
}

impl Watch {
    fn of(lang: Lang) -> &'static Watch {
        match lang {
            Lang::En => &EN,
            Lang::Ja => &JA,
        }
    }
}

static EN: Watch = Watch {
    started: |project, store, leads| {
        let role = if leads { "" } else { ", and stands by" };
        if project.is_empty() {
            "the project is not known yet".to_owned()
        } else {
            format!("{project} is kept in sync with {store}{role}")
        }
    },
    commit: |commit| format!("commit {commit}"),
    synced: |revision| format!("applied as revision {revision}"),
    unchanged: |revision| format!("nothing to change at revision {revision}"),
    invalid: |count| format!("the files have {}; nothing is applied until they change", text::number(count, "problem")),
    refused: "nothing is applied until files or store change",
    waits: |_, message, _| message.to_owned(),
    stopped: "no longer watching",
    state: |state| match state {
        State::Starting => "starts",
        State::InSync => "in sync",
        State::Syncing => "syncing",
        State::Invalid => "invalid files",
        State::Refused => "refused",
        State::Waiting => "waits",
        State::Drift => "drifted",
        State::Failed => "failed",
        State::Standby => "stands by",
    },
    at_revision: |revision| format!(", revision {revision}"),
    approve: |digest| format!("`yubin watch approve {digest}` lets this plan through"),
    unpause: "it goes on when that file is gone",
    close: "it goes on when that is over; SIGHUP takes the files as they are. A lock that a git has left behind is to be removed",
    retry: |seconds| format!("tried again in {seconds:.0} s"),
};

static JA: Watch = Watch {
    started: |project, store, leads| {
        let role =
            if leads { "同期します" } else { "同期の控えに入ります（別の監視が主導中）" };
        if project.is_empty() {
            "プロジェクトはまだ読めません".to_owned()
        } else {
            format!("{project} を {store} へ{role}")
        }
    },
    commit: |commit| format!("コミット {commit}"),
    synced: |revision| format!("リビジョン {revision} として適用しました"),
    unchanged: |revision| format!("変更はありません（リビジョン {revision}）"),
    invalid: |count| format!("ファイルに問題が {count} 件あります。直るまで何も適用しません"),
    refused: "ファイルかストアが変わるまで何も適用しません",
    waits: |reason, message, until| match (reason, until) {
        (Reason::Paused, _) => format!("一時停止中です: {message}"),
        (Reason::Window, Some(until)) => format!("適用できる時間帯ではありません（{until} から）"),
        (Reason::Window, None) => "適用できる時間帯がありません".to_owned(),
        (Reason::Approval, _) => "失われるものがあるため、承認を待っています".to_owned(),
        (Reason::ByHand, _) => format!("このファイルの適用後に手作業の変更がありました: {message}"),
        (Reason::Writing, _) => format!("書き込み中のファイルがあります: {message}"),
        (Reason::Standby, _) => format!("控えています: {message}"),
    },
    stopped: "監視を終えました",
    state: |state| match state {
        State::Starting => "開始中",
        State::InSync => "同期済み",
        State::Syncing => "同期中",
        State::Invalid => "ファイルに誤り",
        State::Refused => "拒否",
        State::Waiting => "待機中",
        State::Drift => "差異あり",
        State::Failed => "失敗",
        State::Standby => "控え",
    },
    at_revision: |revision| format!("、リビジョン {revision}"),
    approve: |digest| format!("`yubin watch approve {digest}` でこの計画を通します"),
    unpause: "そのファイルを消すと再開します",
    close: "終わると再開します。SIGHUP でそのまま読み込みます。git が残したロックは消してください",
    retry: |seconds| format!("{seconds:.0} 秒後に再試行します"),
};
