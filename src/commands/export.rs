//! `yubin export`

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use encoding_rs::Encoding;
use serde_json::json;

use super::plan::replace;
use super::{Common, End, client_setup, hand_over, print_data};
use crate::bundle;
use crate::format::yaml::{Entity, Written};
use crate::format::{csv, json, yaml};
use crate::model::{Address, Code, Error, Field, FieldId, Kind, Result, Row, Sealed, Value};
use crate::pipeline::Session;
use crate::store::Snapshot;
use crate::wire;

/// Write what the project owns in the store as files, or what a saved plan hands over to a product
#[derive(clap::Args)]
pub struct Args {
    #[arg(id = "file_format", value_name = "FORMAT")]
    format: ExportFormat,
    /// Of `autoconfig`: only these accounts and patterns, such as `account/info`
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// Write to this file instead of stdout, mode 0600; with `--plan`, and of `autoconfig`, to this new folder, where
    /// files for clients have mode 0644 (with the usual umask of 022)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Encoding of a product's file
    #[arg(long, value_name = "LABEL", default_value = "utf-8")]
    pub encoding: String,
    /// Everything in the store, whoever owns it
    #[arg(long, conflicts_with = "plan")]
    pub all: bool,
    /// Of `autoconfig`: for these clients only
    #[arg(long, value_name = "KIND", value_delimiter = ',', conflicts_with = "plan")]
    pub kind: Vec<client_setup::ClientKind>,
    /// Hand over this saved plan: files to upload, worksheets, and a guide through them
    #[arg(long, value_name = "PLAN", requires = "out")]
    pub plan: Option<PathBuf>,
    /// Hand over the plan with this digest, although it breaks a limit
    #[arg(long, value_name = "DIGEST", requires = "plan")]
    pub ack: Option<String>,
    /// The id that the product has given to a server, which `cybozu-office-accounts` must name
    #[arg(long, value_name = "NAME=ID", requires = "plan")]
    pub server_id: Vec<String>,
    /// Fill columns too whose meaning is only guessed at: 11 and 12 of `cybozu-office-accounts`
    #[arg(long, requires = "plan")]
    pub unproven: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    Yaml,
    Csv,
    Json,
    /// Of the store, or of a plan
    CatchmeMail,
    /// Of the store: files by which mail clients set themselves up
    Autoconfig,
    /// Of a plan: accounts to register
    CpiRegister,
    /// Of a plan: accounts whose password changes
    CpiEdit,
    /// Of a plan: both of them
    Cpi,
    /// Of a plan: mail accounts
    CybozuOfficeAccounts,
    /// Of a plan: what to do on the product's screens
    Worksheet,
    /// Of a plan: all that the product needs
    Bundle,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let name = args.format.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
    if args.format != ExportFormat::Autoconfig && !(args.addresses.is_empty() && args.kind.is_empty()) {
        let message = format!("ADDRESS and `--kind` are for `autoconfig`, not for `{name}`");
        return Err(Error::new(Code::Usage, message).hint("leave them out"));
    }
    match (args.format, &args.plan) {
        (ExportFormat::Autoconfig, None) => return client_setup::run(common, args),
        (ExportFormat::Yaml | ExportFormat::Csv | ExportFormat::Json | ExportFormat::Autoconfig, Some(_)) => {
            let message = format!("`{name}` is written of the store, not of a plan");
            return Err(Error::new(Code::Usage, message).hint("`bundle` hands over a plan"));
        }
        (ExportFormat::Yaml | ExportFormat::Csv | ExportFormat::Json | ExportFormat::CatchmeMail, None) => {}
        (_, Some(plan)) => return hand_over::run(common, args, plan, &name),
        (_, None) => {
            let message = format!("`{name}` is written of a saved plan");
            return Err(
                Error::new(Code::Usage, message).hint("name it with `--plan FILE`, and a folder with `--out DIR`")
            );
        }
    }
    let session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let snapshot = session.snapshot()?;
    let mut rows = rows(&session, snapshot.as_deref(), args.all)?;
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
            let unseal = |address: &Address, field: &'static Field, sealed: &Sealed| match &vault {
                Some(vault) => vault.unseal(address, field, sealed),
                None => Err(Error::failure("there is no store, and so no key to its secrets")),
            };
            let text = bundle::catchme_mail::text(&rows, &unseal)?;
            let text = encode(text.expose(), &args.encoding)?;
            replace(out, |to| to.write_all(&text))?;
            common.say(&format!(
                "{} holds passwords in clear; its mode is 0600, and it is best deleted after the upload",
                out.display()
            ));
            return Ok(End::Done);
        }
        // Of a plan, and left above.
        _ => return Ok(End::Done),
    };
    written.map_err(|error| Error::failure("the export cannot be written").because(error))?;
    match &args.out {
        Some(out) => replace(out, |to| to.write_all(&bytes))?,
        None => print_data(|to| to.write_all(&bytes))?,
    }
    Ok(End::Done)
}

/// What the store holds of the project, or `all` of it.
pub fn rows(session: &Session, snapshot: Option<&dyn Snapshot>, all: bool) -> Result<Vec<(Kind, Row)>> {
    let mut rows: Vec<(Kind, Row)> = Vec::new();
    let Some(snapshot) = snapshot else { return Ok(rows) };
    for kind in Kind::ALL {
        snapshot.scan(kind, &mut |row| {
            // What is disabled is on its way out.
            let ours = row.owner.as_deref() == Some(&session.project.name);
            if (all || ours) && row.disabled.is_none() {
                rows.push((kind, row));
            }
            Ok(())
        })?;
    }
    Ok(rows)
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

pub fn encode(text: &str, label: &str) -> Result<Vec<u8>> {
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
