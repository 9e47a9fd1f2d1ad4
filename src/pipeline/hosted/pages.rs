//! What a server reads for its clients: resources, line by line, and the log.

use serde_json::{Value as Json, json};

use super::{Client, View};
use crate::model::{Address, Drifted, FieldId, Key, Kind, Result, Row, Value};
use crate::vault::Telling;
use crate::wire::{
    self,
    remote::{self, Head, More, Query},
};

/// Takes what is to be sent.
pub type Emit<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// The order of addresses.
const ORDER: [Kind; 3] = [Kind::Account, Kind::Pattern, Kind::Server];

/// Which resources are wanted.
#[derive(Clone, Debug, Default)]
pub struct Which {
    pub kind: Option<Kind>,
    pub after: Option<Address>,
    pub limit: usize,
    /// As they were when this revision had been applied.
    pub at: Option<u64>,
    /// Key, owner and digest alone.
    pub keys_alone: bool,
}

impl Which {
    /// The kinds from which something may be wanted, each with the key behind which it is.
    fn kinds(&self) -> impl Iterator<Item = (Kind, Option<&Key>)> {
        let place = |kind: Kind| ORDER.iter().position(|other| *other == kind);
        let first = self.after.as_ref().map(|after| after.kind);
        ORDER
            .into_iter()
            .filter(move |kind| self.kind.is_none_or(|only| only == *kind))
            .filter(move |kind| first.is_none_or(|first| place(first) <= place(*kind)))
            .map(|kind| (kind, self.after.as_ref().filter(|after| after.kind == kind).map(|after| &after.key)))
    }
}

/// What a secret is told as, if it is.
fn word(telling: Option<&Telling<'_>>, address: &Address, field: FieldId, value: &Value) -> Option<String> {
    let (telling, spec) = (telling?, address.kind.field(field));
    match value {
        Value::Sealed(sealed) => telling.tell(address, spec, sealed),
        Value::Hashed(hashed) => Some(telling.tell_hashed(address, spec, hashed)),
        _ => None,
    }
}

impl View {
    /// What stands before the lines of an answer.
    pub fn head(&self, client: Option<&Client>) -> Result<Head> {
        let base = self.base();
        let vault = self.vault.as_deref().filter(|_| client.is_some());
        Ok(Head {
            revision: base.revision,
            outside_writes: base.outside_writes,
            drift: self.snapshot.drift()?.len() as u64,
            disabled: self.snapshot.disabled()?.len() as u64,
            key: self.snapshot.key_id().map(str::to_owned),
            server_key: vault.map(crate::vault::Vault::transit_public),
            lent: client.and_then(|client| Some(self.telling(Some(client))?.key(&client.project))),
        })
    }

    /// Resources, a line each; the address behind which the next page begins, if there is more.
    pub fn page(&self, which: &Which, client: Option<&Client>, emit: &mut Emit<'_>) -> Result<Option<Address>> {
        let telling = self.telling(client);
        let (mut left, mut last, mut more) = (which.limit, None, false);
        let mut line = Vec::with_capacity(1_024);
        for (kind, after) in which.kinds() {
            let mut take = |key: Key, line: &[u8]| -> Result<()> {
                if left == 0 {
                    more = true;
                    return Ok(());
                }
                left -= 1;
                last = Some(Address::new(kind, key));
                emit(line)
            };
            if which.keys_alone {
                let project = client.map(|client| client.project.as_str());
                self.snapshot.list(kind, after, which.limit + 1, &mut |parts, owner, declared| {
                    // Of others it could only be guessed from.
                    let declared = declared.filter(|_| telling.is_some() && owner.is_some() && owner == project);
                    line.clear();
                    remote::put_listed(&mut line, kind, parts, owner, declared.as_ref());
                    take(Key::from_parts(parts.iter().copied()), &line)
                })?;
            } else if let Some(at) = which.at {
                self.snapshot.scan_at(kind, at, &mut |row| {
                    if after.is_some_and(|after| row.key <= *after) {
                        return Ok(());
                    }
                    line.clear();
                    put(&mut line, kind, &row, client, telling.as_ref());
                    take(row.key, &line)
                })?;
            } else {
                self.snapshot.page(kind, after, which.limit + 1, &mut |row, _| {
                    line.clear();
                    put(&mut line, kind, &row, client, telling.as_ref());
                    take(row.key, &line)
                })?;
            }
            if more {
                break;
            }
        }
        Ok(last.filter(|_| more))
    }

    /// The rows of those keys that exist, a line each, in the order of the keys; under other keys, if `called` names
    /// them.
    pub fn query(
        &self,
        kind: Kind,
        keys: &[Key],
        called: Option<&[Key]>,
        client: Option<&Client>,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        const RUN: usize = 1_000;
        let telling = self.telling(client);
        let mut line = Vec::with_capacity(1_024);
        for (run, keys) in keys.chunks(RUN).enumerate() {
            let rows = self.snapshot.fetch(kind, keys)?;
            let mut rows = rows.into_iter().peekable();
            for (at, key) in keys.iter().enumerate() {
                let Some(row) = rows.next_if(|row| row.key == *key) else { continue };
                line.clear();
                match called.and_then(|called| called.get(run * RUN + at)) {
                    None => put(&mut line, kind, &row, client, telling.as_ref()),
                    Some(new) => put_called(&mut line, kind, &row, new, client, telling.as_ref()),
                }
                emit(&line)?;
            }
        }
        Ok(())
    }

    pub fn drift(&self, client: Option<&Client>) -> Result<Json> {
        let telling = self.telling(client);
        let owned = |address: &Address| self.is_owned(address, client);
        let mut all = Vec::new();
        for drift in self.snapshot.drift()? {
            let telling = match drift.what {
                Drifted::Field { field, .. } if drift.address.kind.field(field).is_secret() => {
                    telling.as_ref().filter(|_| owned(&drift.address))
                }
                _ => None,
            };
            all.push(remote::drift(&drift, &|address, field, value| word(telling, address, field, value)));
        }
        Ok(json!({ "drift": all }))
    }

    pub fn disabled(&self) -> Result<Json> {
        let one = |(address, revision): (Address, u64)| json!({ "address": address.to_string(), "revision": revision });
        Ok(json!({ "disabled": self.snapshot.disabled()?.into_iter().map(one).collect::<Vec<_>>() }))
    }

    /// Newest first, older than `after`; whether there are more.
    pub fn revisions(&self, after: Option<u64>, limit: usize) -> Result<(Vec<Json>, bool)> {
        let mut all =
            self.snapshot.revisions()?.into_iter().filter(|one| after.is_none_or(|after| one.revision < after));
        let page: Vec<Json> = all.by_ref().take(limit).map(|one| wire::revision(&one)).collect();
        Ok((page, all.next().is_some()))
    }

    /// A revision and its changes, as one JSON text in pieces; `false` if there is none.
    pub fn revision(&self, number: u64, client: Option<&Client>, emit: &mut Emit<'_>) -> Result<bool> {
        let Some(found) = self.snapshot.revisions()?.into_iter().find(|one| one.revision == number) else {
            return Ok(false);
        };
        let telling = self.telling(client);
        emit(format!("{{\"revision\":{},\"changes\":[", wire::revision(&found)).as_bytes())?;
        let mut text = Vec::new();
        for (at, logged) in self.snapshot.changes(number)?.into_iter().enumerate() {
            let rows = [&logged.before, &logged.after];
            let owned = rows.into_iter().flatten().all(|row| is_owned(row, client));
            let telling = telling.as_ref().filter(|_| owned);
            text.clear();
            text.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
            remote::put_logged(&mut text, &logged, &|address, field, value| word(telling, address, field, value));
            emit(&text)?;
        }
        emit(b"]}\n")?;
        Ok(true)
    }

    /// Every state that a resource was in, as one JSON text in pieces.
    pub fn versions(&self, address: &Address, client: Option<&Client>, emit: &mut Emit<'_>) -> Result<()> {
        let telling = self.telling(client);
        emit(b"{\"versions\":[")?;
        let mut text = Vec::new();
        for (at, version) in self.snapshot.versions(address)?.into_iter().enumerate() {
            let telling = telling.as_ref().filter(|_| is_owned(&version.row, client));
            text.clear();
            text.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
            let tell = |address: &Address, field, value: &Value| word(telling, address, field, value);
            remote::put_version(&mut text, address.kind, &version, &tell);
            emit(&text)?;
        }
        emit(b"]}\n")
    }

    /// What only a client that plans asks, as one JSON text in pieces.
    pub fn answer(&self, query: &Query, client: Option<&Client>, emit: &mut Emit<'_>) -> Result<()> {
        let telling = self.telling(client);
        let json = match query {
            Query::LastFiles { kind } => {
                let mut files = Vec::new();
                self.snapshot.last_files(*kind, &mut |key, file| {
                    files.push(json!({ "key": key.parts().collect::<Vec<_>>(), "file": file }));
                })?;
                json!({ "files": files })
            }
            Query::UsersOfServer { server } => {
                let (users, count) = self.snapshot.users_of_server(server)?;
                json!({ "users": users.iter().map(ToString::to_string).collect::<Vec<_>>(), "count": count })
            }
            Query::LastSet { kind, field, keys } => {
                let keys: Vec<&Key> = keys.iter().collect();
                json!({ "revisions": self.snapshot.last_set(*kind, *field, &keys)? })
            }
            Query::Ever { kind, field, word } => {
                emit(b"{\"resources\":[")?;
                let mut text = Vec::new();
                for (at, row) in self.snapshot.ever(*kind, *field, word.as_deref())?.into_iter().enumerate() {
                    text.clear();
                    text.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
                    put(&mut text, *kind, &row, client, telling.as_ref());
                    emit(&text)?;
                }
                return emit(b"]}\n");
            }
            Query::PastValues { kind, field, key } => {
                let address = Address::new(*kind, key.clone());
                let telling = telling.as_ref().filter(|_| self.is_owned(&address, client));
                let tell = |address: &Address, field, value: &Value| word(telling, address, field, value);
                emit(b"{\"values\":[")?;
                let mut text = Vec::new();
                for (at, value) in self.snapshot.past_values(*kind, *field, key)?.into_iter().enumerate() {
                    text.clear();
                    text.extend_from_slice(if at > 0 { b",\n" } else { b"\n" });
                    remote::put_past_value(&mut text, &address, *field, &value, &tell);
                    emit(&text)?;
                }
                return emit(b"]}\n");
            }
        };
        emit(json.to_string().as_bytes())
    }

    /// Whether the project of the client owns the resource as it is.
    fn is_owned(&self, address: &Address, client: Option<&Client>) -> bool {
        let row =
            self.snapshot.fetch(address.kind, std::slice::from_ref(&address.key)).ok().and_then(|mut rows| rows.pop());
        row.is_some_and(|row| is_owned(&row, client))
    }
}

fn is_owned(row: &Row, client: Option<&Client>) -> bool {
    client.is_some_and(|client| row.owner.as_deref() == Some(client.project.as_str()))
}

/// A resource, with what is told to clients that plan.
fn put(to: &mut Vec<u8>, kind: Kind, row: &Row, client: Option<&Client>, telling: Option<&Telling<'_>>) {
    let telling = telling.filter(|_| is_owned(row, client));
    let tell = |address: &Address, field, value: &Value| word(telling, address, field, value);
    let more = More { declared: None, tell: &tell };
    remote::put_row(to, kind, row, client.map(|_| &more));
}

/// The same as it would be under another key: a secret is sealed for its address.
fn put_called(
    to: &mut Vec<u8>,
    kind: Kind,
    row: &Row,
    new: &Key,
    client: Option<&Client>,
    telling: Option<&Telling<'_>>,
) {
    let telling = telling.filter(|_| is_owned(row, client));
    let from = Address::new(kind, row.key.clone());
    let tell = |to: &Address, field, value: &Value| {
        let (telling, spec) = (telling?, kind.field(field));
        match value {
            Value::Sealed(sealed) => telling.tell_called(&from, to, spec, sealed),
            Value::Hashed(hashed) => Some(telling.tell_hashed_called(&from, to, spec, hashed)),
            _ => None,
        }
    };
    let more = More { declared: None, tell: &tell };
    let row = Row { key: new.clone(), ..row.clone() };
    remote::put_row(to, kind, &row, client.map(|_| &more));
}
