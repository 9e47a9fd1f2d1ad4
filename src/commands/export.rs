//! `yubin export`

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use encoding_rs::Encoding;
use serde_json::json;

use super::plan::replace;
use super::{Common, End, print_data};
use crate::format::yaml::{Entity, Written};
use crate::format::{catchme_mail, csv, json, yaml};
use crate::model::{Address, Code, Error, FieldId, Kind, Result, Row, Value};
use crate::system::{CATCHME_COLUMNS, Coding, REQUIRED_COLUMNS, System, Target};
use crate::vault::Vault;
use crate::wire;

/// Write what the project owns in the store as files
#[derive(clap::Args)]
pub struct Args {
    #[arg(id = "file_format", value_name = "FORMAT")]
    format: ExportFormat,
    /// Write to this file instead of stdout, mode 0600
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Encoding of a product's file
    #[arg(long, value_name = "LABEL", default_value = "utf-8")]
    encoding: String,
    /// Everything in the store, whoever owns it
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    Yaml,
    Csv,
    Json,
    CatchmeMail,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let snapshot = session.snapshot()?;
    let mut rows: Vec<(Kind, Row)> = Vec::new();
    if let Some(snapshot) = &snapshot {
        for kind in Kind::ALL {
            snapshot.scan(kind, &mut |row| {
                if args.all || row.owner.as_deref() == Some(&session.project.name) {
                    rows.push((kind, row));
                }
                Ok(())
            })?;
        }
    }
    let servers = servers(&rows);
    for (kind, row) in &mut rows {
        leave_out_server(*kind, row, &servers);
    }
    let mut bytes = Vec::new();
    let written = match args.format {
        ExportFormat::Yaml => to_yaml(&rows, &mut bytes),
        ExportFormat::Csv => csv::write(&rows, &mut bytes),
        ExportFormat::Json => {
            let revision = snapshot.as_ref().map_or(0, |snapshot| snapshot.base().revision);
            to_json(&rows, revision, &mut bytes)
        }
        ExportFormat::CatchmeMail => {
            let Some(out) = &args.out else {
                return Err(Error::new(Code::Usage, "this file carries passwords in clear and does not go to stdout")
                    .hint("name it with `--out FILE`"));
            };
            let vault = snapshot.as_deref().map(|snapshot| session.unsealing(snapshot)).transpose()?;
            let text = to_catchme(&rows, vault.as_ref())?;
            let text = encode(&text, &args.encoding)?;
            replace(out, |to| to.write_all(&text))?;
            common.say(&format!(
                "{} holds passwords in clear; its mode is 0600, and it is best deleted after the upload",
                out.display()
            ));
            return Ok(End::Done);
        }
    };
    written.map_err(|error| Error::failure("the export cannot be written").because(error))?;
    match &args.out {
        Some(out) => replace(out, |to| to.write_all(&bytes))?,
        None => print_data(|to| to.write_all(&bytes))?,
    }
    Ok(End::Done)
}

/// Names of the fields that each exported server brings.
fn servers(rows: &[(Kind, Row)]) -> HashMap<String, Vec<&'static str>> {
    rows.iter()
        .filter(|(kind, _)| *kind == Kind::Server)
        .map(|(kind, row)| {
            let names =
                row.cells.iter().filter(|cell| declarable(*kind, cell.field)).map(|cell| kind.field(cell.field).name);
            (row.key.as_joined().to_owned(), names.collect())
        })
        .collect()
}

/// A reference is left out if it would dangle, or bring a field that the resource does not have.
fn leave_out_server(kind: Kind, row: &mut Row, servers: &HashMap<String, Vec<&'static str>>) {
    let Some(reference) = kind.find("server") else { return };
    let Some(name) = row.get(reference).and_then(Value::text) else { return };
    let true_to_it = servers.get(name).is_some_and(|names| {
        names
            .iter()
            .filter(|name| !name.contains("auth.username"))
            .filter_map(|name| kind.find(name))
            .all(|field| row.get(field).is_some())
    });
    if !true_to_it {
        row.cells.retain(|cell| cell.field != reference);
    }
}

fn to_yaml(rows: &[(Kind, Row)], to: &mut Vec<u8>) -> std::io::Result<()> {
    yaml::write(
        to,
        rows.iter().map(|(kind, row)| Entity {
            kind: *kind,
            key: &row.key,
            absent: false,
            fields: row
                .cells
                .iter()
                .filter(|cell| declarable(*kind, cell.field))
                .map(|cell| (cell.field, Written::Value(&cell.value)))
                .collect(),
        }),
    )
}

/// Secrets are left out, and what only the product can set.
fn declarable(kind: Kind, field: FieldId) -> bool {
    let spec = kind.field(field);
    !spec.is_secret() && !spec.read_only
}

fn to_json(rows: &[(Kind, Row)], revision: u64, to: &mut Vec<u8>) -> std::io::Result<()> {
    let mut rows: Vec<(Kind, Row)> = rows.to_vec();
    for (kind, row) in &mut rows {
        row.cells.retain(|cell| declarable(*kind, cell.field));
    }
    rows.sort_by_cached_key(|(kind, row)| Address::new(*kind, row.key.clone()).to_string());
    let resources: Vec<_> = rows.iter().map(|(kind, row)| wire::row(*kind, row)).collect();
    let text = format!(
        "{:#}",
        json!({ "format_version": wire::FORMAT_VERSION, "revision": revision, "resources": resources })
    );
    writeln!(to, "{}", json::escape(&text))
}

/// The product's file: every ○ column always, `0` for a flag that is off.
fn to_catchme(rows: &[(Kind, Row)], vault: Option<&Vault>) -> Result<String> {
    let mut problems = Vec::new();
    let mut records = Vec::with_capacity(rows.len());
    for (kind, row) in rows {
        let address = Address::new(*kind, row.key.clone());
        if *kind != Kind::Pattern {
            problems.push(format!("`{address}`: the format has no {kind}s"));
            continue;
        }
        let mut record = Vec::with_capacity(CATCHME_COLUMNS.len());
        let mut parts = row.key.parts();
        for (at, column) in CATCHME_COLUMNS.iter().enumerate() {
            let Target::Field(name) = column.target else {
                record.push(parts.next().unwrap_or_default().to_owned());
                continue;
            };
            let field = kind.id(name);
            if is_idle(*kind, row, field) {
                record.push(String::new());
                continue;
            }
            let cell = match (row.get(field), vault) {
                (Some(Value::Sealed(sealed)), Some(vault)) => {
                    vault.unseal(&address, kind.field(field), sealed)?.expose().to_owned()
                }
                (Some(value), _) => catchme_mail::encode(column.coding, &value.to_string()),
                // A flag without a value is off, and the file says so.
                (None, _) if column.coding == Coding::Flag && name != "incoming.delete_after_download" => {
                    "0".to_owned()
                }
                (None, _) => String::new(),
            };
            if cell.is_empty() && REQUIRED_COLUMNS.contains(&(at + 1)) {
                problems.push(format!("`{address}`: `{name}` has no value, and the format requires it"));
            }
            record.push(cell);
        }
        for cell in &row.cells {
            let spec = kind.field(cell.field);
            let has_column = CATCHME_COLUMNS.iter().any(|column| column.target == Target::Field(spec.name));
            if !has_column && spec.name != "server" {
                problems.push(format!("`{address}`: the format has no column for `{}`", spec.name));
            }
        }
        records.push(record);
    }
    if !problems.is_empty() {
        return Err(Error::new(
            Code::Invalid,
            format!("the store holds what the format cannot: {}", problems.join("; ")),
        ));
    }
    let mut bytes = Vec::new();
    catchme_mail::write(&mut bytes, records.into_iter())
        .map_err(|error| Error::failure("the export cannot be written").because(error))?;
    String::from_utf8(bytes).map_err(|error| Error::failure("the export cannot be written").because(error))
}

/// Whether the value has no effect beside the others (△ and ▲ of 000:116, AMB-A6).
fn is_idle(kind: Kind, row: &Row, field: FieldId) -> bool {
    let rule = System::find("catchme-mail").and_then(|system| system.rule(kind, field));
    rule.and_then(|rule| rule.only_when)
        .is_some_and(|(other, word)| row.get(kind.id(other)).is_some_and(|value| value.text() != Some(word)))
}

fn encode(text: &str, label: &str) -> Result<Vec<u8>> {
    let Some(encoding) = Encoding::for_label(label.as_bytes()) else {
        return Err(Error::new(Code::Usage, format!("`{label}` is no encoding")).hint("as in utf-8, shift_jis, euc-jp"));
    };
    let (bytes, used, lossy) = encoding.encode(text);
    if lossy || used != encoding {
        return Err(
            Error::new(Code::Invalid, format!("{label} cannot hold every character of the export")).hint("use utf-8")
        );
    }
    Ok(bytes.into_owned())
}
