//! Edits of delimited records: a cell is replaced where it stands, quoted if it was or must be.

use std::collections::HashMap;
use std::ops::Range;

use super::patch::Patch;
use super::{Edit, Notation, Plan, Refused, lines};
use crate::format::catchme_mail::{CatchmeMail, encode};
use crate::format::csv::Canonical;
use crate::format::records::{CellText, Record, records};
use crate::format::{File, Found, RecordFormat};
use crate::model::{FieldId, Key, Kind, Type, Value};
use crate::system::{CATCHME_COLUMNS, Target};

/// A file of records, and where each resource stands.
struct Sheet<'a> {
    text: &'a str,
    notation: Notation,
    /// Of canonical CSV.
    header: Vec<String>,
    index: HashMap<(Kind, Key), Record>,
}

pub fn plan(text: &str, notation: Notation, edits: &[(usize, &Edit)]) -> Plan {
    let sheet = Sheet::of(text, notation);
    let mut plan = Plan::default();
    for (at, edit) in edits {
        let made = match sheet.index.get(&(edit.kind(), edit.key().clone())) {
            None => Err(format!("the file does not declare `{}`", edit.address())),
            Some(record) => match edit {
                Edit::Remove { .. } => Ok(Patch::remove(sheet.lines(record))),
                Edit::Set { kind, field, value, .. } => sheet.set(record, *kind, *field, value.as_ref()),
            },
        };
        match made {
            Ok(patch) => plan.patches.push(patch),
            Err(reason) => plan.refused.push(Refused { edit: *at, reason }),
        }
    }
    plan
}

impl<'a> Sheet<'a> {
    fn of(text: &'a str, notation: Notation) -> Sheet<'a> {
        let records = records(text);
        let mut sheet = Sheet { text, notation, header: Vec::new(), index: HashMap::with_capacity(records.len()) };
        let Some(first) = records.first() else { return sheet };
        let mut cells = Vec::new();
        let format: Box<dyn RecordFormat> = if let Notation::Csv(kind) = notation {
            first.cells(text, &mut cells);
            sheet.header = cells.iter().map(|cell| cell.text.trim().to_owned()).collect();
            let file = File { id: 0, name: "", text };
            match Canonical::new(file, first, &cells, kind, &mut Found::default()) {
                Some(format) => Box::new(format),
                None => return sheet,
            }
        } else {
            Box::new(CatchmeMail)
        };
        for record in &records[format.first_record()..] {
            if let Some(name) = format.locate(&mut record.texts(text)) {
                sheet.index.insert(name, *record);
            }
        }
        sheet
    }

    /// The record with what ends it.
    fn lines(&self, record: &Record) -> Range<usize> {
        let span = record.span();
        span.start..lines::next(self.text, span.end)
    }

    fn set(&self, record: &Record, kind: Kind, field: FieldId, value: Option<&Value>) -> Result<Patch, String> {
        let name = kind.field(field).name;
        let Some(value) = value else {
            return Err(format!(
                "`{name}` has no value now, and an empty cell says that it is not managed: CSV cannot say `null`"
            ));
        };
        let mut word = value.to_string();
        let column = if self.notation == Notation::CatchmeMail {
            let column = CATCHME_COLUMNS.iter().position(|column| column.target == Target::Field(name));
            let column = column.ok_or_else(|| format!("the format has no column for `{name}`"))?;
            word = encode(CATCHME_COLUMNS[column].coding, &word);
            column
        } else {
            // A new column would change every record of the file for the sake of one.
            self.header.iter().position(|column| column == name).ok_or_else(|| {
                format!("the header has no column `{name}`; add it, with an empty cell in every other record")
            })?
        };
        if word.is_empty() {
            return Err(format!(
                "`{name}` is {} now, and an empty cell says that it is not managed",
                if matches!(kind.field(field).ty, Type::List) { "an empty list" } else { "an empty text" }
            ));
        }
        let mut cells = Vec::new();
        record.cells(self.text, &mut cells);
        let start = record.span().start;
        if let Some(span) = cell_span(record, &cells, column) {
            let old = &self.text[start + span.start..start + span.end];
            let written = cell(&word, old.starts_with('"'));
            return Ok(Patch::replace(start + span.start..start + span.end, written));
        }
        // Trailing cells may be left out.
        let commas = ",".repeat(column + 1 - cells.len());
        Ok(Patch::insert(record.span().end, commas + &cell(&word, false)))
    }
}

/// The bytes of a cell in its record, quotes included.
fn cell_span(record: &Record, cells: &[CellText<'_>], column: usize) -> Option<Range<usize>> {
    let start = cells.get(column)?.offset;
    let end = cells.get(column + 1).map_or(record.span().len(), |next| next.offset - 1);
    Some(start..end)
}

fn cell(text: &str, quoted: bool) -> String {
    if quoted || text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
