//! File formats, reading and writing side by side.

pub mod armour;
pub mod catchme_mail;
pub mod cpi;
pub mod csv;
pub mod cybozu_office;
pub mod edit;
pub mod encoding;
pub mod json;
pub mod node;
pub mod records;
pub mod secret;
pub mod yaml;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use crate::model::{Diagnostic, DraftResource, Key, Kind, Place};
use records::{CellText, Flaw, Malformed, Record};

/// A file whose bytes are text by now.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// Index into `Draft::files`.
    pub id: u32,
    /// Relative to the project, with `/`.
    pub name: &'a str,
    pub text: &'a str,
}

/// What reading brings forth.
#[derive(Default)]
pub struct Found {
    pub resources: Vec<DraftResource>,
    pub problems: Vec<Diagnostic>,
    pub mentioned: [bool; 3],
    /// Places of unknown keys of this file that have been told.
    pub told: HashSet<Place>,
}

/// A format of delimited records, one resource each.
pub trait RecordFormat: Send + Sync {
    /// Kind and key of the record, cheaply; `None` if only `draft` can tell what is wrong.
    fn locate(&self, cells: &mut dyn Iterator<Item = Cow<'_, str>>) -> Option<(Kind, Key)>;

    /// Reads a record whose quotes are sound.
    fn draft(&self, file: File<'_>, record: &Record, cells: &[CellText<'_>], found: &mut Found);

    /// The first record that holds a resource: 1 behind a header.
    fn first_record(&self) -> usize;

    /// Whether a record may hold a secret.
    fn holds_secrets(&self) -> bool {
        true
    }

    /// What gives the cells their meaning beside the system: the header.
    fn context(&self) -> &str;
}

/// Problems of quotes, which make a record unreadable.
pub fn broken_quotes(file: File<'_>, record: &Record, flaws: &[Malformed]) -> Vec<Diagnostic> {
    // One pass over the record, however many flaws it has.
    let cells: Vec<CellText<'_>> = flaws.iter().map(|flaw| CellText { text: "".into(), offset: flaw.cell }).collect();
    let mut places = Vec::new();
    record.places(file.text, &cells, &mut places);
    flaws
        .iter()
        .zip(places)
        .map(|(flaw, place)| {
            let (message, hint) = match flaw.what {
                Flaw::Unterminated => (
                    "the quote that opens this cell is never closed, and everything after it is lost in it",
                    "write the closing `\"`",
                ),
                Flaw::AfterQuote => (
                    "there is text behind the quote that closes this cell",
                    "double a quote inside a quoted cell: `\"\"`",
                ),
                Flaw::StrayQuote => (
                    "a quote stands inside an unquoted cell",
                    "quote the whole cell and double the quote inside it: `\"…\"\"…\"` (000:125)",
                ),
            };
            Diagnostic::error("csv/quote", message).hint(hint).at(file.name, place.line, place.column)
        })
        .collect()
}

/// What is wrong with the number of cells of a record; `whole` is what says how many there are.
pub fn cell_count(cells: usize, expected: usize, whole: &str) -> Option<Diagnostic> {
    let hint = match cells.cmp(&expected) {
        Ordering::Equal => return None,
        Ordering::Greater => "a value that contains a comma must be quoted as a whole",
        Ordering::Less => "write every cell, the empty ones too",
    };
    let message = format!("the record has {cells} cells, the {whole} has {expected}");
    Some(Diagnostic::error("csv/columns", message).hint(hint))
}

/// What is wrong with a part of a key, if anything.
pub fn key_flaw(part: &str) -> Option<&'static str> {
    if part.is_empty() {
        Some("is empty")
    } else if part.chars().any(char::is_control) {
        Some("holds a control character")
    } else if part.trim() != part {
        Some("starts or ends with a blank")
    } else {
        None
    }
}

/// The column of the cell behind one at `place`, on the same line.
pub fn step(place: Place, text: &str) -> Place {
    Place { column: place.column + text.chars().count() as u32 + 1, ..place }
}
