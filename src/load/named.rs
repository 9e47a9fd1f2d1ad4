//! Files that are named on the command line, and are no sources of a project.

use encoding_rs::Encoding;

use super::{FormatName, SourceSpec, Table, open_records, refuse_duplicates};
use crate::format::encoding::decode_named;
use crate::format::records::{Record, records};
use crate::format::{File, Found, RecordFormat, cpi, cybozu_office, json, yaml};
use crate::model::{Diagnostics, Draft, Kind};

pub struct NamedFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
pub enum NamedFormat {
    Source(FormatName),
    /// Of `export`.
    Json,
    Cpi(cpi::Form),
    CybozuOffice,
}

/// Reads all files. `kind` is that of CSV records that do not say it.
pub fn read_named(
    files: &[NamedFile],
    format: NamedFormat,
    encoding: &'static Encoding,
    kind: Option<Kind>,
    diagnostics: &mut Diagnostics,
) -> Draft {
    let mut draft = Draft { files: files.iter().map(|file| file.name.clone()).collect(), ..Draft::default() };
    for (id, NamedFile { name, bytes }) in (0..).zip(files) {
        let text = match decode_named(name, bytes, encoding) {
            Ok(text) => text,
            Err(problem) => {
                diagnostics.push(problem);
                continue;
            }
        };
        let mut found = Found::default();
        read_one(File { id, name, text: &text }, format, kind, &mut found);
        diagnostics.extend(found.problems);
        draft.resources.extend(found.resources);
    }
    if matches!(format, NamedFormat::CybozuOffice) {
        cybozu_office::unite_servers(&mut draft, diagnostics);
    }
    refuse_duplicates(&mut draft, Vec::new(), None, diagnostics);
    draft
}

fn read_one(file: File<'_>, format: NamedFormat, kind: Option<Kind>, found: &mut Found) {
    let table: Option<(Vec<Record>, Box<dyn RecordFormat>)> = match format {
        NamedFormat::Source(FormatName::Yaml) => return yaml::read(file, found),
        NamedFormat::Json => return json::read(file, found),
        NamedFormat::Source(format) => {
            let spec = SourceSpec { format: Some(format), kind, ..SourceSpec::default() };
            open_records(file, &spec, false, found)
        }
        NamedFormat::Cpi(form) => {
            let records = records(file.text);
            let format = cpi::Cpi::new(file, &records, form, found);
            format.map(|format| (records, Box::new(format) as Box<dyn RecordFormat>))
        }
        NamedFormat::CybozuOffice => {
            let records = records(file.text);
            let format = cybozu_office::Accounts::new(file, &records, found);
            format.map(|format| (records, Box::new(format) as Box<dyn RecordFormat>))
        }
    };
    let Some((records, format)) = table else { return };
    let table = Table { records, format, digester: None };
    let mut cells = Vec::new();
    for record in table.records.iter().skip(table.format.first_record()) {
        table.read(file, record, &mut cells, found);
    }
}
