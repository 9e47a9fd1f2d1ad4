//! A state that was written to a file: it can be planned against, and nothing can be written to it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Each, Entry, Receipt, Reseal, Snapshot, Store};
use crate::guard::Approved;
use crate::model::draft::Digest;
use crate::model::inventory::Owner;
use crate::model::plan::Base;
use crate::model::{
    Address, Drift, Error, FieldId, Inventory, Key, Kind, Logged, Plan, Result, Revision, Row, Value, Version,
};
use crate::wire::State;

pub struct Taken(Arc<State>);

impl Taken {
    pub fn new(state: State) -> Taken {
        Taken(Arc::new(state))
    }
}

fn written() -> Error {
    Error::failure("a snapshot is read, and nothing is written to it").hint("name the store itself")
}

impl Store for Taken {
    fn rekey(&self, _: &str, _: &str, _: &dyn Reseal) -> Result<u64> {
        Err(written())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>> {
        Ok(Some(Box::new(Taken(Arc::clone(&self.0)))))
    }

    fn learn(&self, _: &Plan, _: &str) -> Result<()> {
        Err(written())
    }

    fn commit(&self, _: &Approved<'_>, _: &Entry<'_>, _: &dyn Fn(u64)) -> Result<Receipt> {
        Err(written())
    }

    fn rehearse(&self, _: &Approved<'_>, _: &Entry<'_>, _: &dyn Fn(u64)) -> Result<()> {
        Err(written())
    }
}

impl Snapshot for Taken {
    fn base(&self) -> Base {
        self.0.base
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn inventory(&self, project: &str) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        for kind in Kind::ALL {
            for row in self.0.rows.of(kind) {
                let owner = match row.owner.as_deref() {
                    None => Owner::Nobody,
                    Some(owner) if owner == project => Owner::Us,
                    Some(owner) => Owner::Other(inventory.owner_id(owner)),
                };
                let parts: Vec<&str> = row.key.parts().collect();
                // They are sorted.
                let _ = inventory.of_mut(kind).push(&parts, owner, None);
            }
        }
        Ok(inventory)
    }

    fn list(&self, kind: Kind, after: Option<&Key>, limit: usize, each: &mut Each<'_>) -> Result<()> {
        self.page(kind, after, limit, &mut |row, digest| {
            each(&row.key.parts().collect::<Vec<_>>(), row.owner.as_deref(), digest)
        })
    }

    fn page(
        &self,
        kind: Kind,
        after: Option<&Key>,
        limit: usize,
        each: &mut dyn FnMut(Row, Option<Digest>) -> Result<()>,
    ) -> Result<()> {
        let rows = self.0.rows.of(kind);
        let start = after.map_or(0, |after| rows.partition_point(|row| row.key <= *after));
        rows[start..].iter().take(limit).try_for_each(|row| each(row.clone(), None))
    }

    fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Row>> {
        Ok(keys.iter().filter_map(|key| self.0.rows.get(kind, key).cloned()).collect())
    }

    fn scan(&self, kind: Kind, each: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        self.0.rows.of(kind).iter().cloned().try_for_each(each)
    }

    fn scan_at(&self, _: Kind, _: u64, _: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        Err(Error::failure("a snapshot has no history").hint("name the store itself"))
    }

    fn drift(&self) -> Result<Vec<Drift>> {
        Ok(self.0.drift.clone())
    }

    fn disabled(&self) -> Result<Vec<(Address, u64)>> {
        let of_kind = |kind: Kind| {
            let rows = self.0.rows.of(kind).iter();
            rows.filter_map(move |row| Some((Address::new(kind, row.key.clone()), row.disabled?)))
        };
        Ok(Kind::ALL.into_iter().flat_map(of_kind).collect())
    }

    /// Which file declared what is nobody's business but the store's.
    fn last_files(&self, _: Kind, _: &mut dyn FnMut(Key, String)) -> Result<()> {
        Ok(())
    }

    fn users_of_server(&self, server: &Key) -> Result<(Vec<Address>, u64)> {
        const SOME: usize = 3;
        let mut users: Vec<Address> = Vec::new();
        for kind in Kind::ALL {
            let Some(reference) = kind.find("server") else { continue };
            let refers = |row: &&Row| row.get(reference).and_then(Value::text) == Some(server.name());
            users.extend(self.0.rows.of(kind).iter().filter(refers).map(|row| Address::new(kind, row.key.clone())));
        }
        users.extend(self.0.users.iter().filter(|(name, _)| name == server.name()).map(|(_, user)| user.clone()));
        let count = users.len() as u64;
        users.truncate(SOME);
        Ok((users, count))
    }

    fn ever(&self, _: Kind, _: FieldId, _: Option<&str>) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }

    fn past_values(&self, _: Kind, _: FieldId, _: &Key) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }

    fn last_set(&self, _: Kind, _: FieldId, keys: &[&Key]) -> Result<Vec<Option<u64>>> {
        Ok(vec![None; keys.len()])
    }

    /// Those that matter: which disabled something.
    fn revisions(&self) -> Result<Vec<Revision>> {
        let times: &HashMap<u64, String> = &self.0.times;
        let revision =
            |(revision, at): (&u64, &String)| Revision { revision: *revision, at: at.clone(), ..Revision::default() };
        Ok(times.iter().map(revision).collect())
    }

    fn changes(&self, _: u64) -> Result<Vec<Logged>> {
        Ok(Vec::new())
    }

    fn versions(&self, _: &Address) -> Result<Vec<Version>> {
        Ok(Vec::new())
    }
}
