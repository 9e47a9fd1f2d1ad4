//! A redacted state of the store, for those who plan without the store.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::Session;
use crate::model::{Address, Code, Error, Key, Kind, Result, Row, Value};
use crate::store::state::Taken;
use crate::vault::is_signed;
use crate::wire::{self, Against, State};

/// A state file as it was written, and who signed it.
pub struct TakenState {
    pub bytes: Vec<u8>,
    pub signer: String,
}

impl Session {
    /// The state of the store without secrets, signed with a key that only the store's key gives.
    pub fn redacted(&self) -> Result<TakenState> {
        self.refuse_far("a snapshot")?;
        let nothing =
            || Error::failure("there is no store yet, so there is no state to take").hint("`yubin apply` makes one");
        let snapshot = self.store.snapshot()?.ok_or_else(nothing)?;
        let vault = self.vault(Some(&*snapshot))?.ok_or_else(|| self.lost_key())?;
        if snapshot.key_id().is_none() {
            let message = "the store has no key yet, by which its state could be signed";
            return Err(Error::failure(message).hint("the first apply with a secret makes one"));
        }
        let project = self.project.name.clone();
        let mut state = State {
            system: self.project.system.name.to_owned(),
            base: snapshot.base(),
            at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            drift: snapshot.drift()?,
            project,
            ..State::default()
        };
        for kind in Kind::ALL {
            let mut rows = Vec::new();
            snapshot.scan(kind, &mut |row| {
                rows.push(row);
                Ok(())
            })?;
            state.rows.put(kind, rows);
        }
        let is_ours = |row: &Row| row.owner.as_ref().is_none_or(|owner| *owner == state.project);
        let foreign: HashSet<(Kind, Key)> = Kind::ALL
            .into_iter()
            .flat_map(|kind| {
                state.rows.of(kind).iter().filter(|row| !is_ours(row)).map(move |row| (kind, row.key.clone()))
            })
            .collect();
        let servers: HashSet<String> = state
            .rows
            .of(Kind::Server)
            .iter()
            .filter(|row| is_ours(row))
            .map(|row| row.key.name().to_owned())
            .collect();
        let mut users = Vec::new();
        for kind in Kind::ALL {
            let Some(reference) = kind.find("server") else { continue };
            for row in state.rows.of(kind).iter().filter(|row| !is_ours(row)) {
                let server = row.get(reference).and_then(Value::text).filter(|name| servers.contains(*name));
                let address = Address::new(kind, row.key.clone());
                users.extend(server.map(|server| (server.to_owned(), address)));
            }
        }
        let disabled: HashSet<u64> =
            Kind::ALL.iter().flat_map(|kind| state.rows.of(*kind)).filter_map(|row| row.disabled).collect();
        let times = snapshot.revisions()?.into_iter().filter(|one| disabled.contains(&one.revision));
        state.times = times.map(|one| (one.revision, one.at)).collect();
        state.users = users;
        state.drift.retain(|one| !foreign.contains(&(one.address.kind, one.address.key.clone())));
        let mut bytes = Vec::new();
        state.write(&mut bytes).map_err(|error| Error::failure("the state cannot be written").because(error))?;
        let far = || {
            Error::failure("a snapshot is signed with the key of the store, which stays with its server")
                .hint("run this where the store is, with `--store` and its own address")
        };
        let signer = vault.signer().ok_or_else(far)?;
        let signature = signer.sign(&bytes);
        wire::seal_state(&mut bytes, &signer.public(), &signature);
        Ok(TakenState { bytes, signer: signer.public() })
    }
}

/// Reads a state file, as a store that is only read. `expected` is the public key that must have signed it.
pub fn read(path: &Path, expected: Option<&str>, project: &str, system: &str) -> Result<(Taken, Against)> {
    let name = path.display();
    let bytes =
        fs::read(path).map_err(|error| Error::failure(format!("the snapshot {name} cannot be read")).because(error))?;
    let refuse = |message: String, hint: &str| Err(Error::new(Code::Refused, message).hint(hint));
    let Some(found) = wire::read_state(&bytes) else {
        return refuse(format!("{name} is no snapshot, or was altered"), "`yubin snapshot --redacted` writes one");
    };
    if found.format_version > wire::FORMAT_VERSION {
        let known = wire::FORMAT_VERSION;
        let message = format!("the snapshot has format {}, this yubin reads {known}", found.format_version);
        return Err(Error::new(Code::Conflict, message).hint("use the yubin that made it, or take it again"));
    }
    if !is_signed(found.bytes, &found.against.signer, &found.signature) {
        return refuse(format!("{name} was altered: its signature does not hold"), "take it again");
    }
    if let Some(expected) = expected
        && expected != found.against.signer
    {
        let message = format!("{name} is signed by {}, and not by the key that is expected", found.against.signer);
        return refuse(message, "whoever has the store's key has taken another one; ask for its new public key");
    }
    if found.state.system != system {
        let message = format!("{name} is a snapshot of a store for `{}`, not for `{system}`", found.state.system);
        return refuse(message, "the rules of another product would judge it");
    }
    if found.state.project != project {
        let message = format!("{name} is a snapshot for project `{}`, not `{project}`", found.state.project);
        return refuse(message, "it holds nothing of other projects but that their resources exist");
    }
    Ok((Taken::new(found.state), found.against))
}
