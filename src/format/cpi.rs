//! The CSV files of CPI: one to register accounts, one to edit them, and what the product exports
//! (002:107-186). Their headers differ by a word, so each is read by its own header alone (AMB-C5).

use std::borrow::Cow;

use compact_str::CompactString;

use super::records::{CellText, Record};
use super::secret::cell_secret;
use super::{File, Found, RecordFormat, cell_count, key_flaw};
use crate::model::diagnostic::{did_you_mean, unknown_word};
use crate::model::{Address, Diagnostic, DraftCell, DraftResource, Key, Kind, Raw, Source, Type, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sheet {
    Register,
    Edit,
    Export,
}

/// What a file must be to be read.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub sheet: Sheet,
    /// Whether it has the column of capacities, which SV-Basic has not (002:116, 002:186); `None` if both
    /// will do.
    pub capacity: Option<bool>,
    /// Rows of a register file, where the project knows more than the document.
    pub register_rows: Option<usize>,
}

#[derive(Clone, Copy)]
enum Holds {
    Name,
    /// A password that the product never writes (002:175).
    Nothing,
    Required(&'static str),
    Optional(&'static str),
    /// 0 or 1.
    Flag(&'static str),
}

type Column = (&'static str, Holds);

/// 002:112-115. The last column of each is the one that SV-Basic has not.
const REGISTER: &[Column] = &[
    ("mail_account", Holds::Name),
    ("mail_password", Holds::Required("password")),
    ("comment", Holds::Optional("comment")),
    ("mail_capacity", Holds::Required("capacity")),
];

/// 002:148-150.
const EDIT: &[Column] = &[
    ("mail_account", Holds::Name),
    ("password", Holds::Required("password")),
    ("mail_capacity", Holds::Required("capacity")),
];

/// 002:177-185.
const EXPORT: &[Column] = &[
    ("mail_account", Holds::Name),
    ("mail_password", Holds::Nothing),
    ("comment", Holds::Optional("comment")),
    ("amount_of_mail_box", Holds::Optional("mailbox_size")),
    ("spam", Holds::Flag("spam.tag_subject")),
    ("forward", Holds::Flag("forward.enabled")),
    ("auto", Holds::Flag("auto_reply.enabled")),
    ("pop", Holds::Flag("receive.enabled")),
    ("mail_capacity", Holds::Required("capacity")),
];

/// Rows of a register file on the plans with capacities (002:130-131).
const REGISTER_ROWS: usize = 50;
const POSTMASTER: &str = "postmaster";

/// Which of CPI's files has this header, if any.
pub fn sheet_of(header: &[&str]) -> Option<Sheet> {
    Sheet::ALL.into_iter().find(|sheet| [true, false].iter().any(|capacity| sheet.header(*capacity) == header))
}

/// How many rows a register file may have, if there is a limit. The one that the document states stands;
/// a project can only stay below it, and states its own where there is none.
pub fn row_limit(capacity: bool, given: Option<usize>) -> Option<usize> {
    let stated = capacity.then_some(REGISTER_ROWS);
    given.map(|rows| rows.min(stated.unwrap_or(rows))).or(stated)
}

impl Sheet {
    const ALL: [Sheet; 3] = [Sheet::Register, Sheet::Edit, Sheet::Export];

    fn columns(self, capacity: bool) -> &'static [Column] {
        let all = match self {
            Sheet::Register => REGISTER,
            Sheet::Edit => EDIT,
            Sheet::Export => EXPORT,
        };
        &all[..all.len() - usize::from(!capacity)]
    }

    /// Names of the columns.
    pub fn header(self, capacity: bool) -> Vec<&'static str> {
        self.columns(capacity).iter().map(|(name, _)| *name).collect()
    }

    fn noun(self) -> &'static str {
        match self {
            Sheet::Register => "a file to register accounts (`cpi-register`)",
            Sheet::Edit => "a file to edit accounts (`cpi-edit`)",
            Sheet::Export => "the product's own export (`cpi-export`)",
        }
    }
}

/// A file of CPI behind its header.
pub struct Cpi {
    sheet: Sheet,
    columns: &'static [Column],
    context: String,
}

impl Cpi {
    /// Reads the header and counts the rows; `None` if no record can be read.
    pub fn new(file: File<'_>, records: &[Record], form: Form, found: &mut Found) -> Option<Cpi> {
        let Some(first) = records.first() else {
            found.problems.push(empty("the file is empty", form).at(file.name, 1, 1));
            return None;
        };
        let mut cells = Vec::new();
        let flaws = first.cells(file.text, &mut cells);
        if !flaws.is_empty() {
            found.problems.extend(super::broken_quotes(file, first, &flaws));
            return None;
        }
        let plans = form.capacity.map_or(&[true, false][..], |capacity| if capacity { &[true] } else { &[false] });
        let same = |columns: &&[Column]| columns.iter().map(|(name, _)| *name).eq(cells.iter().map(|cell| &*cell.text));
        let Some(columns) = plans.iter().map(|capacity| form.sheet.columns(*capacity)).find(same) else {
            found.problems.extend(wrong_header(file, first, &cells, form));
            return None;
        };
        if records.len() == 1 {
            let message = "there is a header, and no account below it";
            found.problems.push(empty(message, form).at(file.name, first.line, 1));
        }
        if form.sheet == Sheet::Register
            && let Some(limit) = row_limit(columns.len() == REGISTER.len(), form.register_rows)
            && let Some(over) = records.get(1 + limit)
        {
            let message = format!(
                "the file registers {} accounts, and the product refuses a file of more than {limit} as a whole \
                 (002:130-133)",
                records.len() - 1
            );
            let problem = Diagnostic::error("cpi/register-rows", message).hint("part it into several files");
            found.problems.push(problem.at(file.name, over.line, 1));
        }
        Some(Cpi { sheet: form.sheet, columns, context: line(columns) })
    }
}

fn line(columns: &[Column]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",")
}

fn expected(form: Form) -> String {
    format!("expected `{}`: {}", line(form.sheet.columns(form.capacity.unwrap_or(true))), form.sheet.noun())
}

fn empty(message: &str, form: Form) -> Diagnostic {
    Diagnostic::error("file/empty", message).hint(expected(form))
}

/// What is wrong with a header, each column at its place. A word that is like no column may be a
/// password in the wrong place, and is not repeated.
fn wrong_header(file: File<'_>, record: &Record, cells: &[CellText<'_>], form: Form) -> Vec<Diagnostic> {
    let mut places = Vec::new();
    record.places(file.text, cells, &mut places);
    let at = |index: usize, message: String| {
        let place = places[index];
        Diagnostic::error("csv/header", message).hint(expected(form)).at(file.name, place.line, place.column)
    };
    let names: Vec<&str> = cells.iter().map(|cell| &*cell.text).collect();
    for sheet in Sheet::ALL {
        for capacity in [true, false] {
            if sheet.columns(capacity).iter().map(|(name, _)| *name).eq(names.iter().copied()) {
                let plan = if capacity { "a plan with capacities" } else { "SV-Basic, which has no capacities" };
                return vec![at(0, format!("this is the header of {}, of {plan}", sheet.noun()))];
            }
        }
    }
    let wanted: Vec<&str> = form.sheet.columns(form.capacity.unwrap_or(true)).iter().map(|(name, _)| *name).collect();
    if !names.iter().any(|name| did_you_mean(name, wanted.iter().copied()).is_some()) {
        let message = "the first record is no header, and without it no column is known (002:118, 002:153)";
        return vec![at(0, message.to_owned())];
    }
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if !wanted.contains(name) {
            let word = unknown_word(name, did_you_mean(name, wanted.iter().copied()));
            problems.push(at(index, format!("column {}: {word} is no column of this file", index + 1)));
        } else if names[..index].contains(name) {
            problems.push(at(index, format!("column {}: `{name}` stands twice in the header", index + 1)));
        }
    }
    for (index, name) in wanted.iter().enumerate().filter(|(_, name)| !names.contains(name)) {
        problems.push(at(index.min(names.len() - 1), format!("column {}: `{name}` is missing", index + 1)));
    }
    if problems.is_empty() {
        let index = names.iter().zip(&wanted).position(|(name, wanted)| name != wanted).unwrap_or_default();
        problems.push(at(index, format!("column {}: `{}` belongs here", index + 1, wanted[index])));
    }
    problems
}

impl RecordFormat for Cpi {
    fn locate(&self, cells: &mut dyn Iterator<Item = Cow<'_, str>>) -> Option<(Kind, Key)> {
        Some((Kind::Account, Key::single(&cells.next()?)))
    }

    fn first_record(&self) -> usize {
        1
    }

    fn context(&self) -> &str {
        &self.context
    }

    fn draft(&self, file: File<'_>, record: &Record, cells: &[CellText<'_>], found: &mut Found) {
        let mut places = Vec::new();
        record.places(file.text, cells, &mut places);
        let at = |index: usize, problem: Diagnostic| problem.at(file.name, places[index].line, places[index].column);
        if let Some(problem) = cell_count(cells.len(), self.columns.len(), "header") {
            found.problems.push(at(0, problem));
            return;
        }
        let name = &*cells[0].text;
        if let Some(flaw) = key_flaw(name) {
            let problem = Diagnostic::error("resource/key", format!("column 1 (`mail_account`) {flaw}"));
            found.problems.push(at(0, problem));
            return;
        }
        let address = Address::new(Kind::Account, Key::single(name));
        if self.sheet == Sheet::Register && name == POSTMASTER {
            let message = "`postmaster` exists from the start, and registering it sinks the whole file (002:49, 002:127, 002:132)";
            let problem = Diagnostic::error("cpi/postmaster", message).hint("remove the row").of(&address);
            found.problems.push(at(0, problem));
        }
        let mut draft = DraftResource {
            kind: Kind::Account,
            key: address.key.clone(),
            source: Source { file: file.id, place: places[0] },
            absent: false,
            previously: None,
            whole_record: false,
            cells: Vec::with_capacity(self.columns.len()),
            broken: Vec::new(),
            digest: None,
        };
        for (index, ((column, holds), cell)) in self.columns.iter().zip(cells).enumerate() {
            let field = match *holds {
                Holds::Name => continue,
                Holds::Nothing => {
                    if !cell.text.is_empty() {
                        let message = format!(
                            "column {} (`{column}`) is filled, and the product exports no password (002:175); it is not read",
                            index + 1
                        );
                        let problem = Diagnostic::warning("refresh/password", message)
                            .hint("make sure that this is the product's own export");
                        found.problems.push(at(index, problem.of(&address)));
                    }
                    continue;
                }
                Holds::Required(field) | Holds::Optional(field) | Holds::Flag(field) => field,
            };
            match read(*holds, field, &cell.text, self.sheet) {
                Ok(Some(raw)) => {
                    draft.cells.push(DraftCell { field: Kind::Account.id(field), raw, place: places[index] });
                }
                Ok(None) => {}
                Err((code, message)) => {
                    let problem = Diagnostic::error(code, format!("column {} (`{column}`): {message}", index + 1));
                    found.problems.push(at(index, problem.of(&address).field(field)));
                    draft.broken.push(Kind::Account.id(field));
                }
            }
        }
        draft.cells.sort_by_key(|cell| cell.field);
        found.mentioned[Kind::Account as usize] = true;
        found.resources.push(draft);
    }
}

/// What a cell says; `None` if it is empty and an empty cell says nothing.
fn read(holds: Holds, field: &str, text: &str, sheet: Sheet) -> Result<Option<Raw>, (&'static str, String)> {
    let ty = Kind::Account.field(Kind::Account.id(field)).ty;
    match (holds, text) {
        (Holds::Flag(_), "0") => Ok(Some(Raw::Cell(CompactString::const_new("false")))),
        (Holds::Flag(_), "1") => Ok(Some(Raw::Cell(CompactString::const_new("true")))),
        (Holds::Flag(_), _) => Err(("value/choice", "0 or 1 is expected (002:181-184)".to_owned())),
        (Holds::Required(_), "") => {
            Err(("system/required", "it is empty, and the product asks for it (002:129, 002:168)".to_owned()))
        }
        // What the export leaves empty is empty in the product.
        (_, "") => Ok((sheet == Sheet::Export).then_some(Raw::Null)),
        _ if matches!(ty, Type::Secret | Type::Password) => cell_secret(text).map(Some),
        _ if sheet == Sheet::Export && Value::from_word(ty, text).is_none() => {
            Err(("value/type", "a whole number is expected".to_owned()))
        }
        _ => Ok(Some(Raw::Cell(CompactString::new(text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::records;
    use super::*;

    fn problems(sheet: Sheet, capacity: Option<bool>, text: &str) -> Vec<String> {
        let file = File { id: 0, name: "a.csv", text };
        let records = records(text);
        let mut found = Found::default();
        if let Some(cpi) = Cpi::new(file, &records, Form { sheet, capacity, register_rows: None }, &mut found) {
            let mut cells = Vec::new();
            for record in &records[1..] {
                assert!(record.cells(text, &mut cells).is_empty());
                cpi.draft(file, record, &cells, &mut found);
            }
        }
        found.problems.iter().map(|one| format!("{}:{} {} {}", one.line, one.column, one.code, one.message)).collect()
    }

    #[track_caller]
    fn check(sheet: Sheet, capacity: Option<bool>, text: &str, expected: &[&str]) {
        let found = problems(sheet, capacity, text);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(expected.split(" … ").all(|part| found.contains(part)), "{found}: {expected}");
        }
    }

    #[test]
    fn every_wrong_column_of_a_header_is_told() {
        let good = line(EXPORT);
        check(Sheet::Export, Some(true), &format!("{good}\ninfo,,代表,1,0,1,0,1,5\n"), &[]);
        check(Sheet::Export, Some(false), &good, &["1:1 csv/header … of a plan with capacities"]);
        check(Sheet::Export, Some(true), &line(REGISTER), &["1:1 csv/header … cpi-register"]);
        check(
            Sheet::Edit,
            None,
            "mail_account,pasword,mail_capacity\n",
            &["1:14 csv/header column 2: `pasword` is no column", "1:14 csv/header column 2: `password` is missing"],
        );
        check(
            Sheet::Register,
            None,
            "mail_account,comment,mail_password,mail_capacity\n",
            &["1:14 csv/header column 2: `mail_password` belongs here"],
        );
        check(Sheet::Register, None, "info,hunter22,,5\n", &["1:1 csv/header the first record is no header"]);
        check(Sheet::Register, None, "", &["1:1 file/empty"]);
        check(Sheet::Export, Some(true), &good, &["1:1 file/empty"]);
        // What may be a password is not repeated.
        let found = problems(Sheet::Edit, None, "mail_account,hunter22,mail_capacity\n");
        assert!(found.iter().all(|one| !one.contains("hunter22")), "{found:?}");
    }

    #[test]
    fn every_wrong_cell_is_told() {
        let text = format!("{}\n,,,1,0,0,0,1,5\nab,x,,1,2,0,,1,\ncd,,,1\nef,,\"a\nb\",1,0,0,0,3,x\n", line(EXPORT));
        check(
            Sheet::Export,
            Some(true),
            &text,
            &[
                "2:1 resource/key … is empty",
                "3:4 refresh/password",
                "3:9 value/choice column 5 (`spam`)",
                "3:13 value/choice column 7 (`auto`)",
                "3:16 system/required column 9 (`mail_capacity`)",
                "4:1 csv/columns … 4 cells, the header has 9",
                "6:12 value/choice column 8 (`pop`)",
                "6:14 value/type column 9",
            ],
        );
        let text = format!("{}\npostmaster,Abc12345,,5\n", line(REGISTER));
        check(Sheet::Register, None, &text, &["2:1 cpi/postmaster"]);
    }
}
