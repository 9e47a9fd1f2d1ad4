//! Canonical CSV: a header of field names, one record a resource. An empty cell is "not written",
//! lists are parted by `;`, `absent` is a column.

use std::borrow::Cow;
use std::collections::HashSet;

use compact_str::CompactString;

use super::records::{CellText, Record};
use super::secret::cell_secret;
use super::{File, Found, RecordFormat, cell_count, key_flaw};
use crate::model::diagnostic::{did_you_mean, unknown_word};
use crate::model::{Address, Diagnostic, DraftCell, DraftResource, FieldId, Key, Kind, Raw, Source, Type};

#[derive(Clone, Copy)]
enum Column {
    Kind,
    /// Part of the key, or a field of that name in kinds whose key has no such part.
    Name,
    User,
    Absent,
    Previously,
    /// By `Kind as usize`.
    Field([Option<FieldId>; 3]),
    Unknown,
}

pub struct Canonical {
    columns: Vec<(String, Column)>,
    /// Without a `kind` column: the kind of all records.
    kind: Option<Kind>,
    /// Behind the last column that says which resource it is.
    key_ends: usize,
    context: String,
}

const SPECIAL: [&str; 5] = ["kind", "user", "name", "absent", "previously"];

/// Whether the first record is a header of canonical CSV.
pub fn is_header(cells: &[CellText<'_>]) -> bool {
    let known = |name: &str| SPECIAL.contains(&name) || Kind::ALL.iter().any(|kind| kind.find(name).is_some());
    let first = cells.first().map_or("", |cell| cell.text.as_ref());
    matches!(first, "kind" | "user" | "name")
        || cells.iter().filter(|cell| known(cell.text.trim())).count() * 2 > cells.len()
}

impl Canonical {
    /// Reads the header; `None` if no record can be read with it.
    pub fn new(
        file: File<'_>,
        record: &Record,
        cells: &[CellText<'_>],
        declared: Option<Kind>,
        found: &mut Found,
    ) -> Option<Canonical> {
        let names: Vec<&str> = cells.iter().map(|cell| cell.text.trim()).collect();
        let has_kind = names.contains(&"kind");
        let kind = match (has_kind, declared) {
            (true, _) => None,
            (false, Some(kind)) => Some(kind),
            (false, None) if names.contains(&"user") => Some(Kind::Pattern),
            (false, None) => Some(Kind::Account),
        };
        let mut seen = HashSet::new();
        let mut columns = Vec::with_capacity(names.len());
        let mut places = Vec::new();
        record.places(file.text, cells, &mut places);
        for (place, name) in places.into_iter().zip(&names) {
            if !seen.insert(*name) {
                let word = unknown_word(
                    name,
                    SPECIAL
                        .into_iter()
                        .chain(Kind::ALL.iter().filter_map(|kind| kind.find(name).map(|field| kind.field(field).name)))
                        .find(|known| known == name),
                );
                let message = format!("the header has {word} twice");
                found.problems.push(Diagnostic::error("key/duplicate", message).at(
                    file.name,
                    place.line,
                    place.column,
                ));
            }
            let fields = Kind::ALL.map(|of| if kind.is_none_or(|kind| kind == of) { of.find(name) } else { None });
            let column = match *name {
                "kind" => Column::Kind,
                "name" => Column::Name,
                "user" => Column::User,
                "absent" => Column::Absent,
                "previously" => Column::Previously,
                _ if fields.iter().any(Option::is_some) => Column::Field(fields),
                _ => {
                    found.problems.push(unknown(name, kind).at(file.name, place.line, place.column));
                    Column::Unknown
                }
            };
            columns.push(((*name).to_owned(), column));
        }
        let missing: Vec<&str> =
            kind.map_or(&["name"][..], Kind::key_parts).iter().copied().filter(|part| !names.contains(part)).collect();
        if !missing.is_empty() {
            let message = format!("the header has no column `{}`", missing.join("`, `"));
            let hint = "the key is `name` for servers and accounts, `user` and `name` for patterns";
            found.problems.push(Diagnostic::error("csv/header", message).hint(hint).at(file.name, record.line, 1));
            return None;
        }
        // A header alone mentions its kind.
        if let Some(kind) = kind {
            found.mentioned[kind as usize] = true;
        }
        let context = format!("{:?} {}", kind.map(Kind::name), names.join(","));
        let of_key = |(_, column): &(String, Column)| matches!(column, Column::Kind | Column::User | Column::Name);
        let key_ends = columns.iter().rposition(of_key).map_or(0, |at| at + 1);
        Some(Canonical { columns, kind, key_ends, context })
    }

    fn kind_of(&self, cells: &[CellText<'_>]) -> Option<Kind> {
        self.kind.or_else(|| {
            let at = self.columns.iter().position(|(_, column)| matches!(column, Column::Kind))?;
            Kind::from_name(cells.get(at)?.text.as_ref())
        })
    }
}

fn unknown(name: &str, kind: Option<Kind>) -> Diagnostic {
    let kinds = kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
    let known = kinds.iter().flat_map(|kind| kind.fields()).map(|field| field.name).chain(SPECIAL);
    let near = did_you_mean(name, known);
    // A known field of another kind may be named too.
    let is_field = Kind::ALL.iter().any(|kind| kind.find(name).is_some());
    let word = unknown_word(name, near.or(is_field.then_some(name)));
    let what = kind.map_or("any kind".to_owned(), |kind| format!("{kind}s"));
    let problem = Diagnostic::error("key/unknown", format!("{word} is no field of {what}"));
    match near {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => {
            problem.hint("`yubin explain SYSTEM` lists the fields; without a header, name the `format:` in yubin.yaml")
        }
    }
}

impl RecordFormat for Canonical {
    fn locate(&self, cells: &mut dyn Iterator<Item = Cow<'_, str>>) -> Option<(Kind, Key)> {
        let (mut kind, mut user, mut name) = (self.kind, Cow::Borrowed(""), Cow::Borrowed(""));
        for ((_, column), cell) in self.columns[..self.key_ends].iter().zip(cells) {
            match column {
                Column::Kind => kind = Kind::from_name(&cell),
                Column::User => user = cell,
                Column::Name => name = cell,
                _ => {}
            }
        }
        Some(match kind? {
            Kind::Pattern => (Kind::Pattern, Key::pair(&user, &name)),
            kind => (kind, Key::single(&name)),
        })
    }

    fn first_record(&self) -> usize {
        1
    }

    fn holds_secrets(&self) -> bool {
        let is_secret = |kind: Kind, field: &Option<FieldId>| field.is_some_and(|field| kind.field(field).is_secret());
        self.columns.iter().any(|(_, column)| match column {
            Column::Field(fields) => Kind::ALL.into_iter().zip(fields).any(|(kind, field)| is_secret(kind, field)),
            _ => false,
        })
    }

    fn context(&self) -> &str {
        &self.context
    }

    fn draft(&self, file: File<'_>, record: &Record, cells: &[CellText<'_>], found: &mut Found) {
        let start = record.place(file.text, 0);
        let source = Source { file: file.id, place: start };
        if let Some(problem) = cell_count(cells.len(), self.columns.len(), "header") {
            found.problems.push(problem.at(file.name, start.line, start.column));
            return;
        }
        let at = |index: usize, problem: Diagnostic| {
            let place = record.place(file.text, cells[index].offset);
            problem.at(file.name, place.line, place.column)
        };
        let Some(kind) = self.kind_of(cells) else {
            let index = self.columns.iter().position(|(_, column)| matches!(column, Column::Kind)).unwrap_or(0);
            let problem = Diagnostic::error("value/choice", "`kind` is `server`, `account` or `pattern`");
            found.problems.push(at(index, problem));
            return;
        };
        found.mentioned[kind as usize] = true;
        let mut parts = Vec::with_capacity(2);
        for part in kind.key_parts() {
            let index = self.columns.iter().position(|(name, _)| name == part);
            let text = index.map_or("", |index| cells[index].text.as_ref());
            if let Some(flaw) = key_flaw(text) {
                let problem = Diagnostic::error("resource/key", format!("the key `{part}` {flaw}"));
                found.problems.push(at(index.unwrap_or(0), problem));
                return;
            }
            parts.push(text);
        }
        let key = Key::from_parts(parts);
        let address = Address::new(kind, key.clone());
        let mut draft = DraftResource {
            kind,
            key,
            source,
            absent: false,
            previously: None,
            whole_record: false,
            cells: Vec::new(),
            broken: Vec::new(),
            digest: None,
        };
        let mut places = Vec::new();
        record.places(file.text, cells, &mut places);
        for (index, ((name, column), cell)) in self.columns.iter().zip(cells).enumerate() {
            let text = cell.text.as_ref();
            if text.is_empty() {
                continue;
            }
            let field = match column {
                Column::Field(fields) => fields[kind as usize],
                // `account.user` is a field of accounts.
                Column::User if kind != Kind::Pattern => kind.find("user"),
                Column::Absent => {
                    match text {
                        "true" => draft.absent = true,
                        "false" => {}
                        _ => found.problems.push(
                            at(index, Diagnostic::error("value/type", "`absent` is `true`, `false` or empty"))
                                .of(&address),
                        ),
                    }
                    continue;
                }
                Column::Previously => {
                    match key_flaw(text) {
                        None => draft.previously = Some(Box::new((text.into(), places[index]))),
                        Some(flaw) => found.problems.push(
                            at(index, Diagnostic::error("resource/key", format!("the name in `previously` {flaw}")))
                                .of(&address),
                        ),
                    }
                    continue;
                }
                _ => continue,
            };
            let Some(field) = field else {
                found.problems.push(at(index, unknown(name, Some(kind))).of(&address));
                continue;
            };
            let spec = kind.field(field);
            let raw = match spec.ty {
                Type::Secret | Type::Password => match cell_secret(text) {
                    Ok(raw) => raw,
                    Err((code, message)) => {
                        found.problems.push(at(index, Diagnostic::error(code, message)).of(&address).field(spec.name));
                        draft.broken.push(field);
                        continue;
                    }
                },
                _ => Raw::Cell(CompactString::new(text)),
            };
            draft.cells.push(DraftCell { field, raw, place: places[index] });
        }
        draft.cells.sort_by_key(|cell| cell.field);
        found.resources.push(draft);
    }
}

/// Writes rows of any kinds under one header; secrets are left out.
pub fn write(rows: &[(Kind, crate::model::Row)], to: &mut Vec<u8>) -> std::io::Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for kind in Kind::ALL {
        let of_kind = || rows.iter().filter(|(other, _)| *other == kind);
        for (field, spec) in (0..).zip(kind.fields()) {
            let used = of_kind().any(|(_, row)| row.get(field).is_some());
            if used && !spec.is_secret() && !spec.read_only && spec.name != "user" && !names.contains(&spec.name) {
                names.push(spec.name);
            }
        }
    }
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(["kind", "user", "name"].into_iter().chain(names.iter().copied()))?;
    for (kind, row) in rows {
        let mut parts = row.key.parts();
        // `user` is part of a pattern's key, and a field of accounts.
        let user = match kind {
            Kind::Pattern => parts.next().unwrap_or_default().to_owned(),
            _ => cell(*kind, row, "user"),
        };
        let key = [kind.name().to_owned(), user, parts.next().unwrap_or_default().to_owned()];
        writer.write_record(key.into_iter().chain(names.iter().map(|name| cell(*kind, row, name))))?;
    }
    writer.flush()
}

fn cell(kind: Kind, row: &crate::model::Row, name: &str) -> String {
    kind.find(name).and_then(|field| row.get(field)).map_or_else(String::new, ToString::to_string)
}
