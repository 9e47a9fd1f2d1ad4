//! Delimited text, split into records and cells with the place of each.
//!
//! The rules are those of RFC 4180 with any of CR LF, CR and LF after a record (000:126). The
//! `csv` crate reads the same records, but reports neither columns, nor lines of CR-only files,
//! nor broken quotes; a property test holds this splitter to it. Finding the ends of records
//! without looking at their cells is what lets unchanged ones be recognised at the speed of
//! memory.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2, memchr3};

use crate::model::Place;

/// A record: its bytes without the terminator, and where it starts.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    start: usize,
    len: u32,
    /// From 1.
    pub line: u32,
    quoted: bool,
}

/// A quote that breaks the rules, by its offset in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub cell: usize,
    pub what: Flaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    Unterminated,
    AfterQuote,
    StrayQuote,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellText<'a> {
    pub text: Cow<'a, str>,
    /// In the record, of the first character or of the quote.
    pub offset: usize,
}

/// All records of `text`; blank lines are none. A record holds at most 4 GiB.
pub fn records(text: &str) -> Vec<Record> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len() / 256);
    let mut start = 0;
    let mut line = 1;
    while start < bytes.len() {
        let plain = memchr2(b'\n', b'\r', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        let quoted = memchr(b'"', &bytes[start..plain]).is_some();
        let end = if quoted { end_of_quoted(bytes, start) } else { plain };
        if end > start {
            let len = u32::try_from(end - start).unwrap_or(u32::MAX);
            found.push(Record { start, len, line, quoted });
        }
        if quoted {
            line += breaks(&bytes[start..end]);
        }
        start = match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => end + 2,
            _ => end + 1,
        };
        line += 1;
    }
    found
}

fn end_of_quoted(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        if bytes.get(at) == Some(&b'"') {
            at = past_quote(bytes, at).unwrap_or(bytes.len());
        }
        match memchr3(b',', b'\n', b'\r', &bytes[at..]) {
            Some(next) if bytes[at + next] == b',' => at += next + 1,
            Some(next) => return at + next,
            None => return bytes.len(),
        }
    }
}

/// The offset behind the quote that closes the one at `open`.
fn past_quote(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr(b'"', &bytes[at..])? + 1;
        if bytes.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// The cell of a record that starts at `offset`, and the offset of the comma behind it.
fn cell<'a>(text: &'a str, offset: usize, flaws: &mut Vec<Malformed>) -> (Cow<'a, str>, usize) {
    let bytes = text.as_bytes();
    if bytes.get(offset) != Some(&b'"') {
        let end = memchr(b',', &bytes[offset..]).map_or(bytes.len(), |at| offset + at);
        if memchr(b'"', &bytes[offset..end]).is_some() {
            flaws.push(Malformed { cell: offset, what: Flaw::StrayQuote });
        }
        return (Cow::Borrowed(&text[offset..end]), end);
    }
    let close = past_quote(bytes, offset);
    if close.is_none() {
        flaws.push(Malformed { cell: offset, what: Flaw::Unterminated });
    }
    let close = close.unwrap_or(bytes.len() + 1);
    let end = memchr(b',', bytes.get(close..).unwrap_or_default()).map_or(bytes.len(), |at| close + at);
    if end > close {
        flaws.push(Malformed { cell: offset, what: Flaw::AfterQuote });
    }
    let inside = &text[offset + 1..close - 1];
    let inside = if inside.contains('"') { Cow::Owned(inside.replace("\"\"", "\"")) } else { Cow::Borrowed(inside) };
    (inside, end)
}

/// Line breaks: CR LF counts once.
fn breaks(bytes: &[u8]) -> u32 {
    let lf = memchr::memchr_iter(b'\n', bytes).count();
    let lone_cr = memchr::memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1) != Some(&b'\n')).count();
    (lf + lone_cr) as u32
}

impl Record {
    /// Its bytes in the file, without what ends it.
    pub fn span(&self) -> Range<usize> {
        self.start..self.start + self.len as usize
    }

    pub fn text<'a>(&self, file: &'a str) -> &'a str {
        &file[self.start..self.start + self.len as usize]
    }

    /// The texts of the cells one by one, for whoever needs only the first few. The record's flaws do
    /// not show.
    pub fn texts<'a>(&self, file: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        let text = self.text(file);
        let mut next = Some(0);
        let mut flaws = Vec::new();
        std::iter::from_fn(move || {
            let (cell, end) = cell(text, next?, &mut flaws);
            next = (end < text.len()).then_some(end + 1);
            Some(cell)
        })
    }

    /// The cells of the record, and its flaws; a flawed cell is cut short.
    pub fn cells<'a>(&self, file: &'a str, cells: &mut Vec<CellText<'a>>) -> Vec<Malformed> {
        cells.clear();
        let text = self.text(file);
        let bytes = text.as_bytes();
        if !self.quoted {
            let mut offset = 0;
            for comma in memchr::memchr_iter(b',', bytes) {
                cells.push(CellText { text: Cow::Borrowed(&text[offset..comma]), offset });
                offset = comma + 1;
            }
            cells.push(CellText { text: Cow::Borrowed(&text[offset..]), offset });
            return Vec::new();
        }
        let mut flaws = Vec::new();
        let mut offset = 0;
        loop {
            let (cell, end) = cell(text, offset, &mut flaws);
            cells.push(CellText { text: cell, offset });
            if end >= bytes.len() {
                return flaws;
            }
            offset = end + 1;
        }
    }

    /// The places of all cells, in one pass.
    pub fn places(&self, file: &str, cells: &[CellText<'_>], places: &mut Vec<Place>) {
        places.clear();
        let text = self.text(file);
        let mut place = Place { line: self.line, column: 1 };
        let mut from = 0;
        for cell in cells {
            let passed = &text[from..cell.offset];
            from = cell.offset;
            match if self.quoted { passed.rfind(['\n', '\r']) } else { None } {
                Some(at) => {
                    place.line += breaks(passed.as_bytes());
                    place.column = passed[at + 1..].chars().count() as u32 + 1;
                }
                None if passed.is_ascii() => place.column += passed.len() as u32,
                None => place.column += passed.chars().count() as u32,
            }
            places.push(place);
        }
    }

    /// The place of the first record's or cell's character.
    pub fn place(&self, file: &str, offset: usize) -> Place {
        let before = &self.text(file)[..offset];
        let line = self.line + if self.quoted { breaks(before.as_bytes()) } else { 0 };
        let in_line = before.rfind(['\n', '\r']).map_or(before, |at| &before[at + 1..]);
        Place { line, column: in_line.chars().count() as u32 + 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Vec<Vec<String>>, bool) {
        let mut cells = Vec::new();
        let mut flawed = false;
        let all = records(text)
            .iter()
            .map(|record| {
                flawed |= !record.cells(text, &mut cells).is_empty();
                cells.iter().map(|cell| cell.text.to_string()).collect()
            })
            .collect();
        (all, flawed)
    }

    fn oracle(text: &str) -> Vec<Vec<String>> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes())
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect()
    }

    proptest! {
        #[test]
        fn sound_text_reads_as_the_csv_crate_reads_it(text in r#"([a-z受\r\n,"]|,,|""|"a,b"|\r\n){0,40}"#) {
            let (mine, flawed) = read(&text);
            if !flawed {
                prop_assert_eq!(mine, oracle(&text));
            }
        }

        #[test]
        fn what_the_csv_crate_writes_reads_back(rows in prop::collection::vec(prop::collection::vec("[a-z受 ,\"\r\n]{0,8}", 2..5), 0..6)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let (mine, flawed) = read(&text);
            prop_assert!(!flawed);
            prop_assert_eq!(mine, rows);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}|[\"\r\n,]{0,30}") {
            let mut cells = Vec::new();
            for record in records(&text) {
                record.cells(&text, &mut cells);
                let mut places = Vec::new();
                record.places(&text, &cells, &mut places);
                let one_by_one: Vec<Place> = cells.iter().map(|cell| record.place(&text, cell.offset)).collect();
                prop_assert_eq!(places, one_by_one);
            }
        }
    }

    #[test]
    fn every_terminator_counts_lines() {
        for text in ["a,b\r\nc,d\r\n\r\ne,f", "a,b\rc,d\r\re,f\r", "a,b\nc,d\n\ne,f\n"] {
            let lines: Vec<u32> = records(text).iter().map(|record| record.line).collect();
            assert_eq!(lines, [1, 2, 4], "{text:?}");
        }
        let text = "a,\"x\r\ny\",\"z\rz\"\r\nb,受信箱,c";
        let found = records(text);
        assert_eq!(found[1].line, 4);
        let mut cells = Vec::new();
        found[0].cells(text, &mut cells);
        assert_eq!(found[0].place(text, cells[2].offset), Place { line: 2, column: 4 });
        let mut places = Vec::new();
        found[0].places(text, &cells, &mut places);
        let one_by_one: Vec<Place> = cells.iter().map(|cell| found[0].place(text, cell.offset)).collect();
        assert_eq!(places, one_by_one);
        found[1].cells(text, &mut cells);
        assert_eq!(found[1].place(text, cells[2].offset), Place { line: 4, column: 7 });
    }

    #[test]
    fn broken_quotes_are_found() {
        for (text, what, cell) in [
            ("a,\"b", Flaw::Unterminated, 2),
            ("a,\"b\"c,d", Flaw::AfterQuote, 2),
            ("a,b\"c\",d", Flaw::StrayQuote, 2),
            ("\"", Flaw::Unterminated, 0),
        ] {
            let mut cells = Vec::new();
            assert_eq!(records(text)[0].cells(text, &mut cells), [Malformed { cell, what }], "{text}");
        }
    }
}
