//! The CSV of CatchMe@MAIL: 26 positional columns, no header (000:7-148). The table of the
//! document is the truth; its printed example 2 is a misprint (AMB-A1).

use std::borrow::Cow;

use compact_str::CompactString;

use super::records::{CellText, Record};
use super::secret::cell_secret;
use super::{File, Found, RecordFormat, key_flaw};
use crate::model::{Diagnostic, DraftCell, DraftResource, FieldId, Key, Kind, Raw, Source};
use crate::system::{CATCHME_COLUMNS as COLUMNS, Coding, REQUIRED_COLUMNS, Target};

pub struct CatchmeMail;

impl RecordFormat for CatchmeMail {
    fn locate(&self, cells: &mut dyn Iterator<Item = Cow<'_, str>>) -> Option<(Kind, Key)> {
        Some((Kind::Pattern, Key::pair(&cells.next()?, &cells.next()?)))
    }

    fn first_record(&self) -> usize {
        0
    }

    fn context(&self) -> &'static str {
        ""
    }

    fn draft(&self, file: File<'_>, record: &Record, cells: &[CellText<'_>], found: &mut Found) {
        found.mentioned[Kind::Pattern as usize] = true;
        let filled = cells.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |at| at + 1);
        let mut places = Vec::with_capacity(COLUMNS.len());
        record.places(file.text, cells, &mut places);
        let place = |at: usize| places[at];
        let problem = |at: usize, problem: Diagnostic| {
            let place = place(at);
            problem.at(file.name, place.line, place.column)
        };
        let mut sound = true;
        for (at, part) in [(0, "ユーザアカウント"), (1, "設定パターン名")] {
            let text = cells.get(at).map_or("", |cell| cell.text.as_ref());
            if let Some(flaw) = key_flaw(text) {
                let message =
                    format!("column {} ({part}) {flaw}; user and pattern name are never left out (000:127)", at + 1);
                let at = at.min(cells.len() - 1);
                found.problems.push(problem(at, Diagnostic::error("resource/key", message)));
                sound = false;
            }
        }
        if !sound {
            return;
        }
        let texts: Vec<&str> = cells[..filled].iter().map(|cell| cell.text.as_ref()).collect();
        let key = Key::pair(texts[0], texts[1]);
        let address = crate::model::Address::new(Kind::Pattern, key.clone());
        if let Some((at, shift)) = shift(&texts) {
            found.problems.push(problem(at, shift.of(&address)));
            return;
        }
        if filled > COLUMNS.len() {
            let message = format!("the record has {filled} columns, the format has {}", COLUMNS.len());
            let hint = "a value that contains a comma must be quoted as a whole (000:125)";
            found.problems.push(problem(
                COLUMNS.len(),
                Diagnostic::error("catchme-mail/columns", message).hint(hint).of(&address),
            ));
            return;
        }
        let source = Source { file: file.id, place: place(0) };
        let mut draft = DraftResource {
            kind: Kind::Pattern,
            key,
            source,
            // A record with nothing but its key deletes, in every spelling (000:148, AMB-A3).
            absent: filled == 2,
            previously: None,
            whole_record: true,
            // With room for the defaults that an add brings.
            cells: Vec::with_capacity(filled + 2),
            broken: Vec::new(),
            digest: None,
        };
        for (at, (text, column)) in texts.iter().zip(&COLUMNS).enumerate().skip(2) {
            let Target::Field(name) = column.target else { continue };
            if text.is_empty() {
                continue;
            }
            let field = FIELDS[at];
            let secret = Kind::Pattern.field(field).is_secret();
            let odd_flag = || {
                Diagnostic::warning(
                    "catchme-mail/flag-value",
                    format!(
                        "column {} ({}) is neither 0 nor 1 nor empty; the product takes it for 0",
                        at + 1,
                        column.label
                    ),
                )
                .hint("write 1 or 0, in half-width digits")
            };
            let raw = match column.coding {
                Coding::Word if secret => match cell_secret(text) {
                    Ok(raw) => raw,
                    Err((code, message)) => {
                        found.problems.push(problem(at, Diagnostic::error(code, message)).of(&address).field(name));
                        draft.broken.push(field);
                        continue;
                    }
                },
                Coding::Word => Raw::Cell(CompactString::new(text)),
                Coding::Flag => {
                    if !matches!(*text, "0" | "1") {
                        found.problems.push(problem(at, odd_flag()).of(&address).field(name));
                    }
                    Raw::Cell(CompactString::const_new(if *text == "1" { "true" } else { "false" }))
                }
                Coding::Either(zero, one) => match *text {
                    "0" => Raw::Cell(CompactString::const_new(zero)),
                    "1" => Raw::Cell(CompactString::const_new(one)),
                    _ if name == "incoming.protocol" => {
                        let message =
                            format!("column {} ({}) is 0 for IMAP or 1 for POP3 (000:51)", at + 1, column.label);
                        found
                            .problems
                            .push(problem(at, Diagnostic::error("value/choice", message)).of(&address).field(name));
                        draft.broken.push(field);
                        continue;
                    }
                    _ => {
                        found.problems.push(problem(at, odd_flag()).of(&address).field(name));
                        Raw::Cell(CompactString::const_new(zero))
                    }
                },
            };
            draft.cells.push(DraftCell { field, raw, place: place(at) });
        }
        draft.cells.sort_by_key(|cell| cell.field);
        found.resources.push(draft);
    }
}

/// The field of each column; of the key's columns it means nothing.
const FIELDS: [FieldId; COLUMNS.len()] = {
    let mut fields = [0; COLUMNS.len()];
    let mut at = 0;
    while at < COLUMNS.len() {
        if let Target::Field(name) = COLUMNS[at].target {
            fields[at] = Kind::Pattern.id(name);
        }
        at += 1;
    }
    fields
};

/// Signs that cells stand in the wrong columns: those that break a rule, and those that merely
/// have no effect where they stand.
fn signs(cells: &[&str]) -> (usize, usize) {
    let cell = |number: usize| cells.get(number - 1).copied().unwrap_or_default();
    let number = |number: usize, most: u32| {
        let text = cell(number);
        text.is_empty() || text.parse::<u32>().is_ok_and(|n| n <= most)
    };
    let flag = |number: usize| matches!(cell(number), "" | "0" | "1");
    let mail = |number: usize| cell(number).is_empty() || cell(number).contains('@');
    let (imap, pop3) = (cell(10) == "0", cell(10) == "1");
    let hard = [number(5, 65_535), number(8, 65_535), mail(9), flag(10), number(14, 99), mail(17), mail(18)];
    let soft = [
        flag(13),
        flag(19),
        flag(20),
        flag(21),
        flag(22),
        cell(23).is_empty() || cell(22) == "1",
        cell(22) != "1" || cell(21) == "1",
        cell(25).is_empty() || !pop3,
        cell(26).is_empty() || !imap,
    ];
    (hard.iter().filter(|fits| !**fits).count(), soft.iter().filter(|fits| !**fits).count())
}

/// Whether the cells are a complete record without any sign of a shift.
fn fits(cells: &[&str]) -> bool {
    let filled = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |at| at + 1);
    filled <= COLUMNS.len()
        && REQUIRED_COLUMNS.iter().all(|column| cells.get(column - 1).is_some_and(|cell| !cell.is_empty()))
        && signs(cells) == (0, 0)
}

/// Recognises a record that one comma too few or too many has shifted: it is odd as it stands,
/// and sound with a comma more or less. The place (from 0) is that of the first cell in doubt.
fn shift(cells: &[&str]) -> Option<(usize, Diagnostic)> {
    let (hard, soft) = signs(cells);
    // One sign alone is a mistake in its own cell: a shift moves every later cell.
    if cells.len() <= COLUMNS.len() && hard + soft < 2 {
        return None;
    }
    let span = |candidates: Vec<usize>| Some((*candidates.first()?, *candidates.last()?));
    let error = |message: String, hint: String| Diagnostic::error("catchme-mail/column-shift", message).hint(hint);
    let missing = (2..cells.len()).filter(|at| fits(&[&cells[..*at], &[""], &cells[*at..]].concat())).collect();
    if let Some((first, last)) = span(missing) {
        let message =
            format!("the record looks shifted: a comma is missing between columns {} and {}", first, last + 2);
        let hint = format!(
            "one more `,` behind column {first} puts every later cell where the table wants it (000:12-115): {}",
            landed(cells, last)
        );
        return Some((first, error(message, hint)));
    }
    let surplus = (2..cells.len())
        .filter(|at| cells[*at].is_empty() && fits(&[&cells[..*at], &cells[at + 1..]].concat()))
        .collect();
    if let Some((first, last)) = span(surplus) {
        let message =
            format!("the record looks shifted: there is a comma too many between columns {} and {}", first, last + 2);
        return Some((first, error(message, format!("remove one `,` behind column {first}"))));
    }
    let unquoted = (2..cells.len() - 1)
        .filter(|at| {
            let joined = format!("{},{}", cells[*at], cells[at + 1]);
            fits(&[&cells[..*at], &[joined.as_str()], &cells[at + 2..]].concat())
        })
        .collect();
    span(unquoted).map(|(first, last)| {
        let message = format!(
            "the record looks shifted: a value with a comma is not quoted, between columns {} and {}",
            first + 1,
            last + 2
        );
        (
            first,
            error(message, "a value that contains a comma must be quoted as a whole: `\"a,b\"` (000:125)".to_owned()),
        )
    })
}

/// Where the first filled cell behind the gap belongs, by the table.
fn landed(cells: &[&str], last: usize) -> String {
    let at = (last..cells.len()).find(|at| !cells[*at].is_empty()).unwrap_or(last);
    format!("what now stands in column {} belongs in column {} ({})", at + 1, at + 2, COLUMNS[(at + 1).min(25)].label)
}

/// The cell in which a value stands; `word` is that of `Value`.
pub fn encode(coding: Coding, word: &str) -> String {
    match coding {
        Coding::Word => word.to_owned(),
        Coding::Flag => if word == "true" { "1" } else { "0" }.to_owned(),
        Coding::Either(_, one) => if word == one { "1" } else { "0" }.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE_2: &str = "sabro,pattern2,send2,smtp.xxx.jp,,recv2,pop.xxx.jp,,taro2@xxx.jp,1,taro2,passwd,,,,,,,,1,1,authaccount,authpasswd,,受信箱/pattern2";

    fn shift_of(line: &str) -> Option<(usize, String)> {
        let cells: Vec<&str> = line.split(',').collect();
        let filled = cells.iter().rposition(|cell| !cell.is_empty()).unwrap() + 1;
        shift(&cells[..filled]).map(|(at, problem)| (at, problem.message))
    }

    #[test]
    fn amb_a1_the_printed_example_2_is_recognised() {
        let (at, message) = shift_of(EXAMPLE_2).unwrap();
        assert_eq!(at, 12);
        assert!(message.contains("a comma is missing between columns 12 and 21"), "{message}");
        assert_eq!(shift_of(&EXAMPLE_2.replace(",,,,,,,,1,1", ",,,,,,,,,1,1")), None);
    }

    #[test]
    fn every_single_missing_comma_of_a_full_record_is_found() {
        let sound = "sabro,p2,s2,smtp.xxx.jp,25,r2,pop.xxx.jp,110,t@xxx.jp,1,taro2,pw,1,30,山田,営業,r@xxx.jp,b@xxx.jp,1,0,1,1,auth,apw,,受信箱/p2";
        assert_eq!(shift_of(sound), None);
        // Only an empty column can lose its comma and keep every value; filled neighbours melt.
        for (from, to) in [(",25,r2", ",r2"), (",110,t@", ",t@"), (",1,30,", ",30,")] {
            let line = sound.replacen(from, to, 1);
            assert!(shift_of(&line).is_some(), "{line}");
        }
        assert!(shift_of(&sound.replacen("山田", "山田, 太郎", 1)).unwrap().1.contains("not quoted"));
        assert!(shift_of(&sound.replacen(",25,", ",25,,", 1)).unwrap().1.contains("too many"));
    }

    #[test]
    fn ordinary_records_are_not_suspected() {
        for line in [
            "taro,pattern1,send,smtp.xxx.jp,,recv,pop.xxx.jp,,taro@xxx.jp,1,taro,passwd",
            "taro,p,,,,,,,,,,newpass",
            "taro,p,s,smtp.xxx.jp,,r,imap.xxx.jp,,t@xxx.jp,0,t,pw,,,,,,,1,2,,,,,INBOX",
            "taro,p,s,smtp.xxx.jp,,r,pop.xxx.jp,,t@xxx.jp,1,t,pw,,,,,,,,,,,,,INBOX",
            "jiro,pattern3",
        ] {
            assert_eq!(shift_of(line), None, "{line}");
        }
    }
}
