//! `yubin show`

use serde_json::{Value as Json, json};

use super::{Common, End, print, print_json};
use crate::model::{Address, Code, Error, Kind, Result, Row};
use crate::render::text;
use crate::system::System;
use crate::wire;

/// Show the current state of the store
#[derive(clap::Args)]
pub struct Args {
    /// Only these resources, such as `pattern/taro/work`
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// As the store was when this revision had been applied
    #[arg(long, value_name = "REVISION")]
    at: Option<u64>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let addresses = parse(&args.addresses)?;
    let session = common.session(false)?;
    let snapshot = session.snapshot()?;
    let mut rows: Vec<(Kind, Row)> = Vec::new();
    let last = snapshot.as_ref().map_or(0, |snapshot| snapshot.base().revision);
    let revision = args.at.unwrap_or(last);
    if revision > last {
        return Err(Error::new(Code::Usage, format!("there is no revision {revision}; the store is at {last}")));
    }
    if let Some(snapshot) = &snapshot {
        if let Some(at) = args.at {
            for kind in Kind::ALL {
                snapshot.scan_at(kind, at, &mut |row| {
                    let named = |address: &Address| address.kind == kind && address.key == row.key;
                    if addresses.is_empty() || addresses.iter().any(named) {
                        rows.push((kind, row));
                    }
                    Ok(())
                })?;
            }
        } else if addresses.is_empty() {
            for kind in Kind::ALL {
                snapshot.scan(kind, &mut |row| {
                    rows.push((kind, row));
                    Ok(())
                })?;
            }
        }
        for address in addresses.iter().filter(|_| args.at.is_none()) {
            rows.extend(
                snapshot
                    .fetch(address.kind, std::slice::from_ref(&address.key))?
                    .into_iter()
                    .map(|row| (address.kind, row)),
            );
        }
    }
    let missing: Vec<&Address> = addresses
        .iter()
        .filter(|address| !rows.iter().any(|(kind, row)| *kind == address.kind && row.key == address.key))
        .collect();
    rows.sort_by_cached_key(|(kind, row)| Address::new(*kind, row.key.clone()).to_string());
    rows.dedup_by(|a, b| (a.0, &a.1.key) == (b.0, &b.1.key));
    let system = session.project.system;
    if common.is_json() {
        let resources: Vec<_> = rows.iter().map(|(kind, row)| resource(system, *kind, row)).collect();
        print_json(&json!({ "format_version": wire::FORMAT_VERSION, "revision": revision, "resources": resources }))?;
    } else {
        print(|to| {
            rows.iter().try_for_each(|(kind, row)| text::row(system, *kind, row, common.lang(), to))?;
            if rows.is_empty() { Ok(()) } else { text::no_export(system, common.lang(), to) }
        })?;
        if rows.is_empty() && addresses.is_empty() {
            common.say(common.words().holds_nothing);
        }
    }
    if missing.is_empty() {
        return Ok(End::Done);
    }
    let names: Vec<String> = missing.iter().map(|address| format!("`{address}`")).collect();
    let (verb, when) = args.at.map_or(("does", String::new()), |at| ("did", format!(" at revision {at}")));
    Err(Error::failure(format!("the store {verb} not hold {}{when}", names.join(", "))))
}

/// With the names of what no export of the product shows.
fn resource(system: &System, kind: Kind, row: &Row) -> Json {
    let mut resource = wire::row(kind, row);
    if !system.open {
        let hidden = row.cells.iter().filter(|cell| !system.observes(kind, cell.field));
        resource["unobservable"] = hidden.map(|cell| kind.field(cell.field).name).collect();
    }
    resource
}

pub fn parse(addresses: &[String]) -> Result<Vec<Address>> {
    addresses.iter().map(|text| parse_one(text)).collect()
}

pub fn parse_one(text: &str) -> Result<Address> {
    Address::parse(text).map_err(|message| Error::new(Code::Usage, message))
}
