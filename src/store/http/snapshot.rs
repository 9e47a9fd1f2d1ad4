//! One consistent read over HTTP: what is asked after the first answer is asked for the revision of that one.

use std::cell::{Cell as Mutable, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::access::Access;
use super::call::{Call, LINES, Line, Lines, TRIES, pause};
use super::{Held, failure};
use crate::model::draft::Digest;
use crate::model::inventory::Owner;
use crate::model::plan::Base;
use crate::model::{
    Address, Drift, Error, FieldId, Hashed, Inventory, Key, Kind, Logged, Result, Revision, Row, Type, Value, Version,
};
use crate::store::{Each, Snapshot};
use crate::vault::{Transit, Vault, bytes};
use crate::wire::remote::{self, Head, Query, Tail};

/// Resources of one answer: all of them, of most stores.
const PAGE: usize = 1_000_000;
/// Keys that are asked for at once.
const BATCH: usize = 10_000;
/// Revisions of one answer.
const REVISIONS: usize = 1_000;
/// Rows that are kept, should they be asked for again.
const KEPT: usize = 20_000;
/// How often a read is begun anew because the store has moved below it.
const BEGINNINGS: u32 = 3;

/// What a server has said in its first answer.
pub struct Beginning {
    head: Head,
    base: Base,
    transit: Option<Transit>,
    /// The inventory, whose first line the head was; until it is asked for.
    rest: Option<Lines>,
}

pub struct Reading {
    line: Arc<Line>,
    held: Arc<Held>,
    base: Mutable<Base>,
    /// Of the first answer: whoever has a reference to it needs it to stay.
    key_id: Option<String>,
    begun: RefCell<Beginning>,
    /// Whether anything of this state has been given away: after that it cannot become another.
    given: Mutable<bool>,
    rows: RefCell<HashMap<(Kind, Key), Option<Row>>>,
    /// How many resources of each kind there are, once that is known.
    counts: Mutable<[Option<usize>; 3]>,
}

/// What is listed, and from where on.
struct Listing<'a> {
    kind: Option<Kind>,
    keys_alone: bool,
    at: Option<u64>,
    after: Option<&'a Address>,
    /// In all, not of one answer.
    limit: Option<usize>,
}

impl Listing<'_> {
    const ALL_KEYS: Listing<'static> = Listing { kind: None, keys_alone: true, at: None, after: None, limit: None };
    const ROWS: Listing<'static> = Listing { keys_alone: false, ..Listing::ALL_KEYS };
}

/// How the lines of an answer ended.
enum Ended {
    /// With their tail; whether there are more pages.
    Whole(bool),
    /// Without it.
    Cut,
    /// As whoever takes them wants it.
    Enough,
}

/// Whether further lines are wanted.
enum Taken {
    More,
    Enough,
}

fn odd(access: &Access) -> Error {
    failure::odd(access)
}

impl Beginning {
    /// Reads the head of the inventory, and leaves the rest for later.
    fn of(line: &Line) -> Result<Beginning> {
        for attempt in 1..=TRIES {
            let mut lines = line.lines(&list(&Listing::ALL_KEYS, None, PAGE), None)?;
            let Ok(Some(text)) = lines.next() else {
                pause(attempt, None);
                continue;
            };
            let head: Head = serde_json::from_slice(text).map_err(|_| odd(&line.access))?;
            let base = Base { revision: head.revision, outside_writes: head.outside_writes };
            let transit = head.server_key.as_deref().and_then(|key| line.key.agree(key));
            return Ok(Beginning { head, base, transit, rest: Some(lines) });
        }
        Err(failure::cut(&line.access))
    }
}

fn list(listing: &Listing<'_>, base: Option<Base>, limit: usize) -> Call<'static> {
    let mut query = Vec::new();
    if let Some(kind) = listing.kind {
        query.push(("kind", kind.name().to_owned()));
    }
    if let Some(after) = listing.after {
        query.push(("after", after.to_string()));
    }
    query.push(("limit", limit.to_string()));
    if let Some(base) = base {
        query.push(("revision", remote::tag(base)));
    }
    if let Some(at) = listing.at {
        query.push(("at", at.to_string()));
    }
    if listing.keys_alone {
        query.push(("view", "keys".to_owned()));
    }
    Call { query, accept: LINES, ..Call::get(&["v1", "resources"]) }
}

/// Takes the lines behind the head until they end.
fn drain(lines: &mut Lines, access: &Access, take: &mut dyn FnMut(&[u8]) -> Result<Taken>) -> Result<Ended> {
    loop {
        let Ok(Some(text)) = lines.next() else { return Ok(Ended::Cut) };
        if text.starts_with(b"{\"next\"") {
            let tail: Tail = serde_json::from_slice(text).map_err(|_| odd(access))?;
            return Ok(Ended::Whole(tail.next.is_some()));
        }
        if let Taken::Enough = take(text)? {
            return Ok(Ended::Enough);
        }
    }
}

impl Reading {
    pub fn begin(line: Arc<Line>, held: Arc<Held>) -> Result<Reading> {
        let begun = Beginning::of(&line)?;
        Ok(Reading {
            line,
            held,
            base: Mutable::new(begun.base),
            key_id: begun.head.key.clone(),
            begun: RefCell::new(begun),
            given: Mutable::new(false),
            rows: RefCell::default(),
            counts: Mutable::default(),
        })
    }

    fn access(&self) -> &Access {
        &self.line.access
    }

    fn pin(&self) -> (&'static str, String) {
        ("revision", remote::tag(self.base.get()))
    }

    /// Begins anew, where nobody has seen anything of the state that is gone.
    fn begin_anew(&self) -> Result<()> {
        let begun = Beginning::of(&self.line)?;
        if begun.head.key != self.key_id {
            return Err(failure::gone());
        }
        self.base.set(begun.base);
        *self.begun.borrow_mut() = begun;
        Ok(())
    }

    /// Takes a listing line by line. What breaks off is gone on with behind the last line that came.
    fn listed(
        &self,
        listing: &Listing<'_>,
        begun: Option<Lines>,
        take: &mut dyn FnMut(&[u8]) -> Result<Option<Address>>,
    ) -> Result<()> {
        let mut after = listing.after.cloned();
        let mut lines = begun;
        let (mut failures, mut taken) = (0, 0);
        loop {
            let limit = listing.limit.map_or(PAGE, |limit| (limit - taken).min(PAGE));
            let before = taken;
            let ended = match lines.take() {
                Some(lines) => Ok(lines),
                None => {
                    self.open(&list(&Listing { after: after.as_ref(), ..*listing }, Some(self.base.get()), limit), None)
                }
            };
            let ended = match ended {
                // The head itself was cut.
                Err(None) => Ended::Cut,
                Err(Some(error)) => return Err(error),
                Ok(mut lines) => drain(&mut lines, self.access(), &mut |text| {
                    let Some(address) = take(text)? else { return Ok(Taken::Enough) };
                    taken += 1;
                    after = Some(address);
                    let enough = listing.limit.is_some_and(|limit| taken >= limit);
                    Ok(if enough { Taken::Enough } else { Taken::More })
                })?,
            };
            match ended {
                Ended::Whole(false) | Ended::Enough => return Ok(()),
                // A page without a line would come again for ever.
                Ended::Whole(true) if taken == before => return Err(odd(self.access())),
                Ended::Whole(true) => {}
                Ended::Cut => {
                    failures = if taken > before { 1 } else { failures + 1 };
                    if failures >= TRIES {
                        return Err(failure::cut(self.access()));
                    }
                    pause(failures, None);
                }
            }
        }
    }

    /// Opens an answer in lines behind its head; `Err(None)` if that was cut.
    fn open(&self, call: &Call<'_>, body: Option<&[u8]>) -> std::result::Result<Lines, Option<Error>> {
        let mut lines = self.line.lines(call, body).map_err(Some)?;
        let Ok(Some(text)) = lines.next() else { return Err(None) };
        let head: Head = serde_json::from_slice(text).map_err(|_| Some(odd(self.access())))?;
        let base = Base { revision: head.revision, outside_writes: head.outside_writes };
        if base != self.base.get() {
            return Err(Some(failure::gone()));
        }
        Ok(lines)
    }

    /// A secret as the server tells it.
    fn opened(transit: Option<&Transit>, address: &Address, field: FieldId, told: &str) -> Option<Value> {
        let spec = address.kind.field(field);
        if matches!(spec.ty, Type::Password) {
            if let Some(hashed) = transit.and_then(|transit| transit.open_hashed(address, spec, told)) {
                return Some(Value::Hashed(Box::new(hashed)));
            }
            // Stores of before hold the password itself, sealed.
            return Some(match bytes(told).filter(|sealed| sealed.kept().is_some()) {
                Some(sealed) => Value::Sealed(sealed),
                None => Value::Hashed(Box::new(Hashed { text: "".into(), proof: None })),
            });
        }
        bytes(told).map(Value::Sealed)
    }

    fn row(&self, text: &[u8]) -> Result<(Kind, Row)> {
        let begun = self.begun.borrow();
        let open = |address: &Address, field, told: &str| Reading::opened(begun.transit.as_ref(), address, field, told);
        remote::read_row(text, &open).ok_or_else(|| odd(self.access()))
    }

    /// Takes rows of one kind.
    fn rows(&self, listing: &Listing<'_>, each: &mut dyn FnMut(Row) -> Result<bool>) -> Result<()> {
        self.rows_told(listing, &mut |row, _| each(row))
    }

    /// The same, with their lines.
    fn rows_told(&self, listing: &Listing<'_>, each: &mut dyn FnMut(Row, &[u8]) -> Result<bool>) -> Result<()> {
        self.given.set(true);
        let mut last: Option<Key> = None;
        self.listed(listing, None, &mut |text| {
            let (kind, row) = self.row(text)?;
            if Some(kind) != listing.kind || last.as_ref().is_some_and(|last| *last >= row.key) {
                return Err(odd(self.access()));
            }
            last = Some(row.key.clone());
            let address = Address::new(kind, row.key.clone());
            Ok(each(row, text)?.then_some(address))
        })
    }

    /// The rows of a batch of keys that exist; `called` are the keys under which they are wanted.
    fn batch(
        &self,
        kind: Kind,
        keys: &[Key],
        called: Option<&[Key]>,
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        self.given.set(true);
        let wanted = called.unwrap_or(keys);
        let parts = |keys: &[Key]| {
            keys.iter().map(|key| key.parts().map(str::to_owned).collect()).collect::<Vec<Vec<String>>>()
        };
        let (mut done, mut failures) = (0, 0);
        loop {
            let mut body = json!({ "kind": kind.name(), "keys": parts(&keys[done..]) });
            if let Some(called) = called {
                body["called"] = json!(parts(&called[done..]));
            }
            let body = serde_json::to_vec(&body).unwrap_or_default();
            let call = Call { query: vec![self.pin()], accept: LINES, ..Call::post(&["v1", "resources", "query"]) };
            let before = done;
            let ended = match self.open(&call, Some(&body)) {
                Err(None) => Ended::Cut,
                Err(Some(error)) => return Err(error),
                Ok(mut lines) => drain(&mut lines, self.access(), &mut |text| {
                    let (of, row) = self.row(text)?;
                    // They come in the order in which they are asked for.
                    let at = wanted[done..].iter().position(|key| *key == row.key).filter(|_| of == kind);
                    done += at.ok_or_else(|| odd(self.access()))? + 1;
                    each(row)?;
                    Ok(Taken::More)
                })?,
            };
            match ended {
                Ended::Whole(false) | Ended::Enough => return Ok(()),
                Ended::Whole(true) => return Err(odd(self.access())),
                Ended::Cut => {
                    failures = if done > before { 1 } else { failures + 1 };
                    if failures >= TRIES {
                        return Err(failure::cut(self.access()));
                    }
                    if done == keys.len() {
                        return Ok(());
                    }
                    pause(failures, None);
                }
            }
        }
    }

    /// What few plans ask.
    fn query<T: for<'de> Deserialize<'de>>(&self, query: &Query) -> Result<T> {
        self.given.set(true);
        let body = query.to_json().to_string();
        let call = Call { query: vec![self.pin()], ..Call::post(&["v1", "queries"]) };
        self.line.document(&call, Some(body.as_bytes()))
    }

    fn document<T: for<'de> Deserialize<'de>>(&self, path: &[&str]) -> Result<T> {
        self.given.set(true);
        self.line.document(&Call { query: vec![self.pin()], ..Call::get(path) }, None)
    }

    /// Reads each of the texts with the secrets that they tell.
    fn each<T>(&self, texts: &[Box<RawValue>], read: impl Fn(&[u8], &remote::Open<'_>) -> Option<T>) -> Result<Vec<T>> {
        let begun = self.begun.borrow();
        let open = |address: &Address, field, told: &str| Reading::opened(begun.transit.as_ref(), address, field, told);
        let read = texts.iter().map(|text| read(text.get().as_bytes(), &open));
        read.collect::<Option<_>>().ok_or_else(|| odd(self.access()))
    }

    fn read_inventory(&self, project: &str) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        let mut counts = [0; 3];
        let begun = self.begun.borrow_mut().rest.take();
        self.listed(&Listing::ALL_KEYS, begun, &mut |text| {
            let listed = remote::read_listed(text).ok_or_else(|| odd(self.access()))?;
            let owner = match listed.owner.as_deref() {
                None => Owner::Nobody,
                Some(owner) if owner == project => Owner::Us,
                Some(owner) => Owner::Other(inventory.owner_id(owner)),
            };
            let parts: Vec<&str> = listed.key.parts().collect();
            counts[listed.kind as usize] += 1;
            if !inventory.of_mut(listed.kind).push(&parts, owner, listed.declared) {
                return Err(Error::failure(format!("the keys of table `{}` do not ascend bytewise", listed.kind)));
            }
            Ok(Some(Address::new(listed.kind, listed.key)))
        })?;
        self.counts.set(counts.map(Some));
        Ok(inventory)
    }

    fn keep(&self, kind: Kind, key: &Key, row: Option<&Row>) {
        let mut rows = self.rows.borrow_mut();
        if rows.len() < KEPT {
            rows.insert((kind, key.clone()), row.cloned());
        }
    }
}

#[derive(Deserialize)]
struct Disabled {
    disabled: Vec<DisabledOne>,
}

#[derive(Deserialize)]
struct DisabledOne {
    address: String,
    revision: u64,
}

#[derive(Deserialize)]
struct Texts {
    #[serde(alias = "drift", alias = "versions", alias = "resources", alias = "changes")]
    texts: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Revisions {
    revisions: Vec<Box<RawValue>>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Files {
    files: Vec<FileOf>,
}

#[derive(Deserialize)]
struct FileOf {
    key: Vec<String>,
    file: String,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<String>,
    count: u64,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<Json>,
}

#[derive(Deserialize)]
struct LastSets {
    revisions: Vec<Option<u64>>,
}

impl Snapshot for Reading {
    fn base(&self) -> Base {
        self.given.set(true);
        self.base.get()
    }

    fn lent(&self, project: &str) -> Option<Vault> {
        let begun = self.begun.borrow();
        let lent = begun.transit.as_ref()?.lent(project, begun.head.lent.as_deref()?)?;
        self.held.keep(begun.head.server_key.as_deref()?, project, begun.head.lent.as_deref()?);
        Some(lent)
    }

    fn called(&self, kind: Kind, keys: &[(Key, Key)]) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let (present, called): (Vec<Key>, Vec<Key>) = batch.iter().cloned().unzip();
            self.batch(kind, &present, Some(&called), &mut |row| {
                rows.push(row);
                Ok(())
            })?;
        }
        Ok(rows)
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    fn inventory(&self, project: &str) -> Result<Inventory> {
        for _ in 1..BEGINNINGS {
            match self.read_inventory(project) {
                Err(error) if error.about == Some("store/gone") && !self.given.get() => self.begin_anew()?,
                read => return read,
            }
        }
        self.read_inventory(project)
    }

    fn list(&self, kind: Kind, after: Option<&Key>, limit: usize, each: &mut Each<'_>) -> Result<()> {
        self.given.set(true);
        let after = after.map(|key| Address::new(kind, key.clone()));
        let listing = Listing { kind: Some(kind), after: after.as_ref(), limit: Some(limit), ..Listing::ALL_KEYS };
        if limit == 0 {
            return Ok(());
        }
        self.listed(&listing, None, &mut |text| {
            let listed = remote::read_listed(text).ok_or_else(|| odd(self.access()))?;
            let parts: Vec<&str> = listed.key.parts().collect();
            each(&parts, listed.owner.as_deref(), listed.declared)?;
            Ok(Some(Address::new(listed.kind, listed.key)))
        })
    }

    fn page(
        &self,
        kind: Kind,
        after: Option<&Key>,
        limit: usize,
        each: &mut dyn FnMut(Row, Option<Digest>) -> Result<()>,
    ) -> Result<()> {
        let after = after.map(|key| Address::new(kind, key.clone()));
        let listing = Listing { kind: Some(kind), after: after.as_ref(), limit: Some(limit), ..Listing::ROWS };
        if limit == 0 {
            return Ok(());
        }
        self.rows_told(&listing, &mut |row, text| {
            let declared = remote::read_listed(text).and_then(|listed| listed.declared);
            each(row, declared).map(|()| true)
        })
    }

    fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(keys.len());
        let ascends = keys.is_sorted_by(|a, b| a < b);
        // Reading the table is less work for both than looking up the better part of it.
        if ascends
            && keys.len() > BATCH
            && self.counts.get()[kind as usize].is_some_and(|count| keys.len() >= count / 2)
        {
            let mut wanted = keys.iter().peekable();
            self.rows(&Listing { kind: Some(kind), ..Listing::ROWS }, &mut |row| {
                while wanted.next_if(|key| **key < row.key).is_some() {}
                if wanted.next_if(|key| **key == row.key).is_some() {
                    rows.push(row);
                }
                Ok(wanted.peek().is_some())
            })?;
            return Ok(rows);
        }
        let kept = |key: &Key| self.rows.borrow().get(&(kind, key.clone())).cloned();
        let known: Vec<Option<Option<Row>>> = keys.iter().map(kept).collect();
        let asked: Vec<Key> =
            keys.iter().zip(&known).filter(|(_, row)| row.is_none()).map(|(key, _)| key.clone()).collect();
        let mut found = Vec::with_capacity(asked.len());
        for batch in asked.chunks(BATCH) {
            self.batch(kind, batch, None, &mut |row| {
                found.push(row);
                Ok(())
            })?;
        }
        let mut found = found.into_iter().peekable();
        for (key, known) in keys.iter().zip(known) {
            let row = known.unwrap_or_else(|| {
                let row = found.next_if(|row| row.key == *key);
                self.keep(kind, key, row.as_ref());
                row
            });
            rows.extend(row);
        }
        Ok(rows)
    }

    fn scan(&self, kind: Kind, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        self.rows(&Listing { kind: Some(kind), ..Listing::ROWS }, &mut |row| each(row).map(|()| true))
    }

    fn scan_at(&self, kind: Kind, revision: u64, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let listing = Listing { kind: Some(kind), at: Some(revision), ..Listing::ROWS };
        self.rows(&listing, &mut |row| each(row).map(|()| true))
    }

    fn drift(&self) -> Result<Vec<Drift>> {
        if self.begun.borrow().head.drift == 0 {
            return Ok(Vec::new());
        }
        let Texts { texts } = self.document(&["v1", "drift"])?;
        self.each(&texts, remote::read_drift)
    }

    fn disabled(&self) -> Result<Vec<(Address, u64)>> {
        if self.begun.borrow().head.disabled == 0 {
            return Ok(Vec::new());
        }
        let Disabled { disabled } = self.document(&["v1", "disabled"])?;
        let read = disabled.into_iter().map(|one| Some((Address::parse(&one.address).ok()?, one.revision)));
        read.collect::<Option<_>>().ok_or_else(|| odd(self.access()))
    }

    fn last_files(&self, kind: Kind, each: &mut dyn FnMut(Key, String)) -> Result<()> {
        let Files { files } = self.query(&Query::LastFiles { kind })?;
        for FileOf { key, file } in files {
            each(Key::from_parts(key.iter().map(String::as_str)), file);
        }
        Ok(())
    }

    fn users_of_server(&self, server: &Key) -> Result<(Vec<Address>, u64)> {
        let Users { users, count } = self.query(&Query::UsersOfServer { server: server.clone() })?;
        let users = users.iter().map(|user| Address::parse(user)).collect::<std::result::Result<_, _>>();
        Ok((users.map_err(|_| odd(self.access()))?, count))
    }

    fn ever(&self, kind: Kind, field: FieldId, word: Option<&str>) -> Result<Vec<Row>> {
        let Texts { texts } = self.query(&Query::Ever { kind, field, word: word.map(str::to_owned) })?;
        self.each(&texts, |text, open| remote::read_row(text, open).map(|(_, row)| row))
    }

    fn past_values(&self, kind: Kind, field: FieldId, key: &Key) -> Result<Vec<Value>> {
        let Values { values } = self.query(&Query::PastValues { kind, field, key: key.clone() })?;
        let address = Address::new(kind, key.clone());
        let begun = self.begun.borrow();
        let open = |address: &Address, field, told: &str| Reading::opened(begun.transit.as_ref(), address, field, told);
        let values = values.into_iter().map(|json| remote::read_past_value(json, &address, field, &open));
        values.collect::<Option<_>>().ok_or_else(|| odd(self.access()))
    }

    fn last_set(&self, kind: Kind, field: FieldId, keys: &[&Key]) -> Result<Vec<Option<u64>>> {
        let mut all = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let keys: Vec<Key> = batch.iter().map(|key| (*key).clone()).collect();
            let LastSets { revisions } = self.query(&Query::LastSet { kind, field, keys })?;
            if revisions.len() != batch.len() {
                return Err(odd(self.access()));
            }
            all.extend(revisions);
        }
        Ok(all)
    }

    fn revisions(&self) -> Result<Vec<Revision>> {
        self.given.set(true);
        let last = self.base.get().revision;
        let mut all: Vec<Revision> = Vec::new();
        loop {
            let mut query = vec![("limit", REVISIONS.to_string())];
            query.extend(all.last().map(|oldest| ("after", oldest.revision.to_string())));
            let page: Revisions = self.line.document(&Call { query, ..Call::get(&["v1", "revisions"]) }, None)?;
            let read = page.revisions.iter().map(|text| remote::read_revision(text.get().as_bytes()));
            let read = read.collect::<Option<Vec<Revision>>>().ok_or_else(|| odd(self.access()))?;
            let descends = all.last().into_iter().chain(&read).is_sorted_by(|a, b| a.revision > b.revision);
            if !descends || (read.is_empty() && page.next.is_some()) {
                return Err(odd(self.access()));
            }
            all.extend(read);
            if page.next.is_none() {
                break;
            }
        }
        // The log only grows: what has come since belongs to another state.
        all.retain(|one| one.revision <= last);
        Ok(all)
    }

    fn changes(&self, revision: u64) -> Result<Vec<Logged>> {
        if revision == 0 || revision > self.base.get().revision {
            return Ok(Vec::new());
        }
        self.given.set(true);
        let number = revision.to_string();
        let Texts { texts } = self.line.document(&Call::get(&["v1", "revisions", &number]), None)?;
        self.each(&texts, remote::read_logged)
    }

    fn versions(&self, address: &Address) -> Result<Vec<Version>> {
        let address = address.to_string();
        let Texts { texts } = match self.document(&["v1", "resources", &address, "versions"]) {
            Err(error) if error.about == Some(failure::NOT_FOUND) => return Ok(Vec::new()),
            found => found?,
        };
        self.each(&texts, remote::read_version)
    }
}

impl Held {
    /// Remembers what secrets are sealed with on their way to the server.
    fn keep(&self, server: &str, project: &str, lent: &str) {
        let mut agreed = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *agreed = Some((server.to_owned(), project.to_owned(), lent.to_owned()));
    }
}
