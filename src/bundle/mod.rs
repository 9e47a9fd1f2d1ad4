//! What is handed over to a product for a plan: files to upload, worksheets for what only its
//! screens can do, and a guide through them. Pure: a `Task` becomes a `Bundle` of files in memory.

pub mod catchme_mail;
mod cpi;
mod cybozu_office;
mod guide;
mod worksheet;

use std::collections::BTreeMap;

use crate::model::{Action, Address, Cell, Change, Clear, Code, Error, Field, FieldId, Given, Kind, Plan};
use crate::model::{Result, Row, Rows, Sealed, Value};
use crate::system::System;

pub use cybozu_office::masked as cybozu_office_masked;

/// A plan, and what its files are made from.
pub struct Task<'a> {
    pub system: &'static System,
    pub given: &'a Given,
    pub plan: &'a Plan,
    pub digest: &'a str,
    /// What is stored of the resources that the plan overwrites, and all servers.
    pub rows: &'a Rows,
    pub unseal: Unseal<'a>,
    /// Ids of servers that the store does not know yet (004:148).
    pub server_ids: &'a BTreeMap<String, String>,
    /// Fill columns too whose meaning no source proves.
    pub unproven: bool,
    /// Whether an export of the product was ever compared with the store.
    pub compared: bool,
    /// The command that records that the plan was carried out.
    pub apply: &'a str,
}

/// Opens a secret for the file that must carry it.
pub type Unseal<'a> = &'a dyn Fn(&Address, &'static Field, &Sealed) -> Result<Clear>;

/// Files in the order of upload, and the guide through them.
pub struct Bundle {
    pub files: Vec<File>,
    pub guide: String,
}

pub struct File {
    pub name: String,
    /// As in the manifest.
    pub format: &'static str,
    /// Records without a header; steps of a worksheet.
    pub rows: usize,
    /// Whether it holds secrets in clear.
    pub secrets: bool,
    pub content: Clear,
}

impl File {
    /// Whether a product reads it, and not a person.
    pub fn is_delimited(&self) -> bool {
        self.format != WORKSHEET
    }
}

/// A step of a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    CatchmeMail,
    CatchmeMailDeletes,
    CpiRegister,
    CpiEdit,
    OfficeAccounts,
    Worksheet,
}

const WORKSHEET: &str = "worksheet";

impl Part {
    fn format(self) -> &'static str {
        match self {
            Part::CatchmeMail | Part::CatchmeMailDeletes => "catchme-mail",
            Part::CpiRegister => "cpi-register",
            Part::CpiEdit => "cpi-edit",
            Part::OfficeAccounts => "cybozu-office-accounts",
            Part::Worksheet => WORKSHEET,
        }
    }
}

/// The steps of a hand-over to the product, in their order.
fn parts(system: &System) -> &'static [Part] {
    match system.name {
        "catchme-mail" => &[Part::CatchmeMail, Part::CatchmeMailDeletes],
        "cpi-business-standard" | "cpi-kwc-mail" | "cpi-sv-basic" => {
            &[Part::CpiRegister, Part::CpiEdit, Part::Worksheet]
        }
        "staff-express" | "mailwise" => &[Part::Worksheet],
        // Rows of accounts need the ids that the product gives to servers: servers come first.
        "cybozu-office" => &[Part::Worksheet, Part::OfficeAccounts],
        _ => &[],
    }
}

/// The formats in which a plan of the system can be handed over.
pub fn formats(system: &System) -> Vec<&'static str> {
    let mut formats: Vec<&str> = parts(system).iter().map(|part| part.format()).collect();
    formats.dedup();
    if parts(system).contains(&Part::CpiRegister) {
        formats.push("cpi");
    }
    if !formats.is_empty() {
        formats.push("bundle");
    }
    formats
}

/// Makes the files of one of the system's `formats`.
pub fn make(task: &Task<'_>, format: &str) -> Result<Bundle> {
    let asked = |part: Part| match format {
        "bundle" => true,
        "cpi" => matches!(part, Part::CpiRegister | Part::CpiEdit),
        format => part.format() == format,
    };
    cybozu_office::check_ids(task)?;
    let mut made = Vec::new();
    let mut missing = Vec::new();
    for (number, part) in (1..).zip(parts(task.system).iter().copied()) {
        let files = files(task, part, number);
        if asked(part) {
            made.push((part, files?));
        } else if !files.is_ok_and(|files| files.is_empty()) {
            missing.push(part.format());
        }
    }
    made.retain(|(_, files)| !files.is_empty());
    let guide = guide::write(task, &made, &missing);
    Ok(Bundle { files: made.into_iter().flat_map(|(_, files)| files).collect(), guide })
}

fn files(task: &Task<'_>, part: Part, number: usize) -> Result<Vec<File>> {
    match part {
        Part::CatchmeMail => catchme_mail::registered(task, number),
        Part::CatchmeMailDeletes => catchme_mail::deleted(task, number),
        Part::CpiRegister => cpi::register(task, number),
        Part::CpiEdit => cpi::edit(task, number),
        Part::OfficeAccounts => cybozu_office::accounts(task, number),
        Part::Worksheet => Ok(worksheet::files(task, number)),
    }
}

impl Task<'_> {
    fn changes(&self, kind: Kind, action: Action) -> impl Iterator<Item = &Change> {
        // What the product does not know of is not handed over, and a purge is a delete to it.
        let is_action = move |change: &Change| match action {
            Action::Delete => change.action.removes(),
            _ => change.action == action && !change.is_ours(),
        };
        self.plan.changes.iter().filter(move |change| change.kind == kind && is_action(change))
    }

    /// The resource as it stands once the change is carried out.
    fn after(&self, change: &Change) -> Row {
        let stored = match change.action {
            Action::Add => None,
            _ => self.rows.get(change.kind, &change.key),
        };
        let mut cells = stored.map_or_else(Vec::new, |row| row.cells.clone());
        cells.retain(|cell| !is_changed(change, cell.field));
        cells.extend(change.fields.iter().filter_map(|field| {
            let value = field.after.clone()?;
            Some(Cell { field: field.field, value })
        }));
        cells.sort_by_key(|cell| cell.field);
        Row { key: change.key.clone(), owner: None, revision: 0, disabled: None, previously: None, cells }
    }

    /// A value as a cell of a file, secrets in clear; empty if there is none.
    fn cell(&self, kind: Kind, row: &Row, field: FieldId) -> Result<String> {
        cell(kind, row, field, self.unseal)
    }
}

fn is_changed(change: &Change, field: FieldId) -> bool {
    change.fields.binary_search_by_key(&field, |one| one.field).is_ok()
}

fn cell(kind: Kind, row: &Row, field: FieldId, unseal: Unseal<'_>) -> Result<String> {
    match row.get(field) {
        None => Ok(String::new()),
        Some(Value::Sealed(sealed)) => {
            let address = Address::new(kind, row.key.clone());
            Ok(unseal(&address, kind.field(field), sealed)?.expose().to_owned())
        }
        Some(Value::Unhashed(clear)) => Ok(clear.expose().to_owned()),
        Some(Value::Hashed(_) | Value::Unknown) => {
            let address = Address::new(kind, row.key.clone());
            let message = format!(
                "`{}` of `{address}` is stored as a hash, and nobody can give the password back",
                kind.field(field).name
            );
            Err(Error::new(Code::Invalid, message).hint("declare the password itself, or a new one"))
        }
        Some(value) => Ok(value.to_string()),
    }
}

/// Records as the products read them: quotes where they are needed, CR LF.
pub fn delimited(records: impl IntoIterator<Item = Vec<String>>) -> Result<Clear> {
    let unwritten = || Error::failure("the records cannot be written");
    let mut writer = csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for record in records {
        writer.write_record(&record).map_err(|error| unwritten().because(error))?;
    }
    let bytes = writer.into_inner().map_err(|error| unwritten().because(error.to_string()))?;
    String::from_utf8(bytes).map(Clear::new).map_err(|_| unwritten())
}

/// What stands in the way of a file, in one error.
fn refused(problems: &[String]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("the store holds what the format cannot: {}", problems.join("; "));
    Err(Error::new(Code::Invalid, message))
}
