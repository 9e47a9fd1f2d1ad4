//! The guide through a hand-over, for people: what each file is, how the product takes it, and
//! what to do when it does not.

use std::fmt::{self, Write};

use super::{File, Part, Task, cpi};
use crate::model::{Action, Change, Kind, harmless};

/// `made` are the parts that have files, `missing` the formats that the plan needs beside them.
pub fn write(task: &Task<'_>, made: &[(Part, Vec<File>)], missing: &[&str]) -> String {
    let mut to = String::new();
    // Writing to a string cannot fail.
    let _ = lay_out(task, made, missing, &mut to);
    to
}

fn lay_out(task: &Task<'_>, made: &[(Part, Vec<File>)], missing: &[&str], to: &mut String) -> fmt::Result {
    writeln!(to, "# Hand-over to {}\n", task.system.product)?;
    writeln!(
        to,
        "Project {}, system `{}`, plan `{}`, made from revision {} of the store.",
        code(&harmless(&task.plan.project)),
        task.system.name,
        task.digest,
        task.plan.base.revision
    )?;
    if made.is_empty() {
        *to += if missing.is_empty() {
            "\nThe plan asks nothing of the product: there is nothing to hand over.\n"
        } else {
            "\nIn this format there is nothing to hand over.\n"
        };
    } else {
        *to += "\nCarry the parts out from top to bottom, and tick off each file.\n";
    }
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|format| format!("`{format}`")).collect();
        writeln!(
            to,
            "\n**This is not all of the plan.** It needs {} too; `yubin export bundle` writes everything.",
            missing.join(" and ")
        )?;
    }
    let proven = |(part, _): &(Part, Vec<File>)| matches!(part, Part::CpiRegister | Part::CpiEdit);
    if !task.compared && made.iter().any(proven) {
        *to += "\n**No export of the product was ever compared with the store**: nothing proves which of these accounts \
                exist. Take one (一括出力), `yubin refresh cpi-export FILE`, plan again, and hand over that plan.\n";
    }
    for (number, (part, files)) in (1..).zip(made) {
        let Text { heading, how, notes } = text(task, *part);
        writeln!(to, "\n## {number}. {heading}\n")?;
        for file in files {
            let secrets = if file.secrets { ", with passwords in clear" } else { "" };
            writeln!(to, "- [ ] `{}`: {}{secrets}", file.name, count(file))?;
        }
        *to += "\n";
        for (number, line) in (1..).zip(&how) {
            writeln!(to, "{number}. {line}")?;
        }
        if !notes.is_empty() {
            *to += "\n";
        }
        for note in notes {
            writeln!(to, "* {note}")?;
        }
    }
    end(task, made, to)
}

fn end(task: &Task<'_>, made: &[(Part, Vec<File>)], to: &mut String) -> fmt::Result {
    *to += "\n## At the end\n\n";
    if made.iter().flat_map(|(_, files)| files).any(|file| file.secrets) {
        *to += "- [ ] Delete the files with passwords in clear.\n";
    }
    writeln!(
        to,
        "- [ ] When everything is done, and not before: {}. It records what the product now has; a second plan is then \
         empty.",
        code(task.apply)
    )?;
    if made.is_empty() {
        return Ok(());
    }
    let refresh = match task.system.document {
        "002" => {
            "take the product's own export (一括出力), `yubin refresh cpi-export FILE`, plan again, and hand over again"
        }
        "004" => {
            "take the product's own export of accounts, `yubin refresh cybozu-office-accounts FILE`, plan again, and \
             hand over again; of servers there is no export: undo by hand what was done, or change the files to it"
        }
        _ => "the product exports nothing to compare with: carry it through, or undo by hand what was done",
    };
    writeln!(to, "\nIf a part fails, stop there and do not apply: {refresh}.")?;
    if task.changes(Kind::Account, Action::Overwrite).any(Change::purges) {
        *to += "\nInboxes that were emptied before it failed would be emptied again by the next hand-over: take their new \
                `purge_mail` ids out of the files first.\n";
    }
    Ok(())
}

fn count(file: &File) -> String {
    let noun = if file.is_delimited() { "row" } else { "step" };
    if file.rows == 1 { format!("1 {noun}") } else { format!("{} {noun}s", file.rows) }
}

#[derive(Default)]
struct Text {
    heading: &'static str,
    how: Vec<&'static str>,
    notes: Vec<&'static str>,
}

fn text(task: &Task<'_>, part: Part) -> Text {
    match part {
        Part::CatchmeMail => Text {
            heading: "Add and change patterns",
            how: vec![
                "On ユーザアカウント管理, click 「個人メールサーバ一括登録」 (000:1).",
                "Choose the file, **tick 「既存の設定パターン名を上書きする」**, and click 「OK」 (000:2-5): without \
                 the tick no pattern that exists is changed.",
            ],
            notes: vec![
                "Users who are logged in are logged out by force (000:6): tell them first.",
                "Every user must be registered already (000:2).",
            ],
        },
        Part::CatchmeMailDeletes => Text {
            heading: "Delete patterns",
            how: vec![
                "On ユーザアカウント管理, click 「個人メールサーバ一括登録」 (000:1).",
                "Choose the file, tick 「既存の設定パターン名を上書きする」, and click 「OK」 (000:2-5).",
            ],
            notes: vec![
                "**Each row is a key alone, and deletes that pattern (000:148).** Nobody can bring it back but by \
                 adding it again.",
                "Whether deleting needs the tick is not stated; with it, it works under both readings.",
            ],
        },
        Part::CpiRegister => Text {
            heading: "Register new accounts (一括登録)",
            how: vec![
                "In the control panel, click 【Mail】 > 【メールアカウント(管理者用)】 > 【一括登録・編集】 \
                 (002:105-106).",
                "For each file: 【選択】, and then 【一括登録】; wait for its message (002:120-122).",
            ],
            notes: vec![
                "Each file is all or nothing: an account that exists, or one that is wrong, and none of that file is \
                 registered (002:132-133). The files together are not: those before it stay registered. Stop at a \
                 file that fails; the reason may stand on the メッセージボード (002:126).",
                "Large sets take time until they are done (002:124).",
                "The first line of a file stays as it is (002:118).",
                "No document states the encoding that the product reads. Look at one account with a Japanese comment \
                 first; `--encoding shift_jis` writes another one.",
            ],
        },
        Part::CpiEdit => edit(task),
        Part::OfficeAccounts => Text {
            heading: "Add and change mail accounts",
            how: vec![
                "First export the mail accounts to a CSV file, and keep it (004:144).",
                "Read this file in as the CSV file of mail accounts (004:149).",
                "Look at the settings of each account of this file: the product does not check them ([X] \
                 https://jp.cybozu.help/of10/ja/admin/spec/format/ml.html).",
            ],
            notes: vec![
                "A row with an account id (メールアカウントID) that the product does not have becomes a new account, \
                 and so does one that is mistyped ([X], same page).",
                "A user is found by ユーザーID, by the name only where the id is missing; two users of one name make \
                 the file unreadable ([X], same page).",
                "The file has no header. Its encoding is not documented; `--encoding` of the export sets it.",
                if task.unproven {
                    "Columns 11 and 12 are filled, although their meaning is only guessed at: try it with one account \
                     first."
                } else {
                    "Columns 11 and 12 are empty: what they mean is not documented."
                },
                "When it is done, export once more, and `yubin refresh cybozu-office-accounts FILE`: the product's own \
                 ids come with it.",
            ],
        },
        Part::Worksheet => worksheet(task),
    }
}

fn edit(task: &Task<'_>) -> Text {
    let how = if cpi::has_capacity(task.system) {
        vec![
            "In the control panel, click 【Mail】 > 【メールアカウント(管理者用)】 > 【一括登録・編集】 > 【一括編集】 \
             (002:139-140).",
            "【選択】 the file, and click 【一括編集】; wait for its message (002:155-160).",
        ]
    } else {
        vec![
            "In the control panel, click 【Mail】 > 【メールアカウント(管理者用)】 > 【一括登録・編集】 > \
             【一括パスワード変更】 (002:139-141).",
            "【選択】 the file, and click 【一括パスワード変更】; wait for its message (002:155-160).",
        ]
    };
    Text {
        heading: "Change passwords (一括登録・編集)",
        how,
        notes: vec![
            "The file is all or nothing: one row that is wrong, and no password of it is changed (002:169-170). What \
             was registered before it stays.",
            "An account that the product does not have is passed over without a word (002:171). These accounts exist \
             as far as the store knows; if it may be out of date, refresh it from a fresh export and plan again first.",
            "Mail clients (メールソフト) that use these accounts must be given the new passwords (002:81).",
            "Large sets take time until they are done (002:163).",
        ],
    }
}

fn worksheet(task: &Task<'_>) -> Text {
    let mut notes = Vec::new();
    let deletes = |kind| task.changes(kind, Action::Delete).next().is_some();
    let purges = task.changes(Kind::Account, Action::Overwrite).any(Change::purges);
    if task.system.deletes_mail && (deletes(Kind::Account) || purges) {
        notes.push(
            "**Mail is lost for good in its last steps, and nobody can bring it back (002:57, 002:71).** Have them \
             looked at by a second person.",
        );
    }
    if task.system.document == "004" && task.plan.changes.iter().any(|change| change.kind == Kind::Account) {
        notes.push(
            "Its section on items of accounts comes after the file of accounts; deletes come when all else is done.",
        );
    }
    Text {
        heading: "Carry out the worksheet on the screens",
        how: vec!["The two files say the same: print or open one of them, and tick off each step."],
        notes,
    }
}

/// A text as a code span, whatever stands in it.
pub fn code(text: &str) -> String {
    let run = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(run + 1);
    let blank = text.starts_with(' ') && text.ends_with(' ') && !text.trim().is_empty();
    let pad = if text.starts_with('`') || text.ends_with('`') || blank { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn a_code_span_holds_any_text() {
        for (text, expected) in [
            ("a", "`a`"),
            ("a`b", "``a`b``"),
            ("`a", "`` `a ``"),
            ("``", "``` `` ```"),
            (" a ", "`  a  `"),
            (" ", "` `"),
        ] {
            assert_eq!(code(text), expected);
        }
    }
}
