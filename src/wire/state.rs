//! A state of a store that may be shown to everyone: no secret stands in it, and nothing of what other projects
//! own but that it exists, who owns it, and which of this project's servers it uses.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::plan::list;
use super::read::{Moved, value as read_value};
use super::{Against, FORMAT_VERSION, drifted, value};
use crate::model::plan::Base;
use crate::model::{Address, Cell, Drift, FieldId, Kind, Row, Rows, Sealed, Value};

/// Before the signature, in every file.
const SIGNER: &[u8] = b",\n\"signer\":";

/// What stands in a state file.
#[derive(Debug, Default)]
pub struct State {
    pub project: String,
    pub system: String,
    pub base: Base,
    pub at: String,
    pub rows: Rows,
    pub drift: Vec<Drift>,
    /// Of the revisions that disabled resources.
    pub times: HashMap<u64, String>,
    /// Who refers to servers of the project, and belongs to others.
    pub users: Vec<(String, Address)>,
}

impl State {
    /// Writes the state as it is signed: without its end.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let head = json!({
            "format_version": FORMAT_VERSION,
            "yubin": env!("CARGO_PKG_VERSION"),
            "project": self.project,
            "system": self.system,
            "revision": self.base.revision,
            "outside_writes": self.base.outside_writes,
            "at": self.at,
            "redacted": true,
        });
        let head = head.to_string();
        write!(to, "{}", head.strip_suffix('}').unwrap_or(&head))?;
        let mut written = Vec::new();
        let put = |to: &mut Vec<u8>, json: Json| to.extend_from_slice(json.to_string().as_bytes());
        list(to, "drift", &self.drift, &mut written, |to, one| put(to, drifted(one)))?;
        let rows: Vec<(Kind, &Row)> =
            Kind::ALL.into_iter().flat_map(|kind| self.rows.of(kind).iter().map(move |row| (kind, row))).collect();
        list(to, "resources", &rows, &mut written, |to, (kind, row)| put(to, self.resource(*kind, row)))
    }

    fn resource(&self, kind: Kind, row: &Row) -> Json {
        let address = Address::new(kind, row.key.clone());
        let mut json = json!({ "address": address.to_string(), "owner": row.owner, "revision": row.revision });
        if row.owner.as_ref().is_none_or(|owner| *owner == self.project) {
            let fields: Map<String, Json> =
                row.cells.iter().map(|cell| (kind.field(cell.field).name.to_owned(), value(&cell.value))).collect();
            json["fields"] = fields.into();
        } else {
            if let Some((server, _)) = self.users.iter().find(|(_, user)| *user == address) {
                json["uses"] = server.as_str().into();
            }
            return json;
        }
        if let Some(revision) = row.disabled {
            json["disabled"] = revision.into();
            json["disabled_at"] = self.times.get(&revision).map_or(Json::Null, |at| at.as_str().into());
        }
        if let Some(previously) = &row.previously {
            json["previously"] = previously.as_str().into();
        }
        json
    }
}

/// The end of a file: the public key of who signs, and the signature over all that stands before.
pub fn seal_state(state: &mut Vec<u8>, signer: &str, signature: &str) {
    state.extend_from_slice(SIGNER);
    state.extend_from_slice(format!("\"{signer}\",\"signature\":\"{signature}\"}}\n").as_bytes());
}

#[derive(Deserialize)]
struct Written {
    format_version: u32,
    project: String,
    system: String,
    revision: u64,
    outside_writes: u64,
    at: String,
    drift: Vec<Moved>,
    resources: Vec<Resource>,
    signer: String,
    signature: String,
}

#[derive(Deserialize)]
struct Resource {
    address: String,
    owner: Option<String>,
    revision: u64,
    #[serde(default)]
    fields: Map<String, Json>,
    uses: Option<String>,
    disabled: Option<u64>,
    disabled_at: Option<String>,
    previously: Option<String>,
}

/// A state, who says so, and the bytes over which that is signed.
pub struct Signed<'a> {
    pub format_version: u32,
    pub state: State,
    pub against: Against,
    pub signature: String,
    pub bytes: &'a [u8],
}

/// Reads a state file; `None` if it is none. The signature is for the caller to check.
pub fn read_state(bytes: &[u8]) -> Option<Signed<'_>> {
    let end = memchr::memmem::rfind(bytes, SIGNER)?;
    let written: Written = serde_json::from_slice(bytes).ok()?;
    let mut state = State {
        project: written.project,
        system: written.system,
        base: Base { revision: written.revision, outside_writes: written.outside_writes },
        at: written.at.clone(),
        drift: written.drift.into_iter().map(Moved::into_drift).collect::<Option<_>>()?,
        ..State::default()
    };
    let mut rows: [Vec<Row>; 3] = Default::default();
    for resource in written.resources {
        let address = Address::parse(&resource.address).ok()?;
        let mut cells = Vec::with_capacity(resource.fields.len());
        for (name, json) in resource.fields {
            let field: FieldId = address.kind.find(&name)?;
            let spec = address.kind.field(field);
            // Which secret it is nobody can tell; only that there is one.
            let hidden = || Value::Sealed(Sealed::from_bytes(&[]));
            let value = if spec.is_secret() { hidden() } else { read_value(spec.ty, json)? };
            cells.push(Cell { field, value });
        }
        cells.sort_by_key(|cell| cell.field);
        if let (Some(revision), Some(at)) = (resource.disabled, resource.disabled_at) {
            state.times.insert(revision, at);
        }
        if let Some(server) = resource.uses {
            state.users.push((server, address.clone()));
        }
        let Address { kind, key } = address;
        let previously = resource.previously.map(Into::into);
        let row = Row {
            key,
            owner: resource.owner,
            revision: resource.revision,
            disabled: resource.disabled,
            previously,
            cells,
        };
        rows[kind as usize].push(row);
    }
    for (kind, mut rows) in Kind::ALL.into_iter().zip(rows) {
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        if rows.windows(2).any(|pair| pair[0].key == pair[1].key) {
            return None;
        }
        state.rows.put(kind, rows);
    }
    let against = Against { revision: written.revision, at: written.at, signer: written.signer };
    let (format_version, signature) = (written.format_version, written.signature);
    Some(Signed { format_version, state, against, signature, bytes: &bytes[..end] })
}
