//! What a hand-over of a plan asks of the store.

use super::{Planned, Session};
use crate::model::{Action, Address, Clear, Code, Error, Field, Key, Kind, Plan, Result, Revision, Rows, Sealed};

impl Session {
    /// Whether the store was ever compared with what the product says of itself.
    pub fn compared(&self) -> Result<bool> {
        let Some(snapshot) = self.store.snapshot()? else { return Ok(false) };
        let refreshed = |revision: &Revision| {
            // A mark only records too.
            revision.recorded && revision.note.as_deref().is_some_and(|note| note.starts_with("refresh"))
        };
        Ok(snapshot.revisions()?.iter().any(refreshed))
    }

    /// What a hand-over needs of the store beside the plan: the rows that are overwritten, and all
    /// servers.
    pub fn stored(&self, plan: &Plan) -> Result<Rows> {
        let mut rows = Rows::default();
        let Some(snapshot) = self.store.snapshot()? else { return Ok(rows) };
        if snapshot.base() != plan.base {
            return Err(Error::new(Code::Conflict, "the store has moved since the plan was made").hint("plan again"));
        }
        let mut servers = Vec::new();
        snapshot.scan(Kind::Server, &mut |row| {
            servers.push(row);
            Ok(())
        })?;
        rows.put(Kind::Server, servers);
        for kind in [Kind::Account, Kind::Pattern] {
            let overwrites = plan.changes.iter().filter(|one| one.kind == kind && one.action == Action::Overwrite);
            let mut keys: Vec<Key> = overwrites.map(|change| change.key.clone()).collect();
            keys.sort_unstable();
            rows.put(kind, snapshot.fetch(kind, &keys)?);
        }
        Ok(rows)
    }

    /// Opens a secret of a plan or of the store that it was made from.
    pub fn unseal(
        &self,
        planned: &Planned,
        address: &Address,
        field: &'static Field,
        sealed: &Sealed,
    ) -> Result<Clear> {
        planned.vault.as_ref().ok_or_else(|| self.lost_key())?.unseal(address, field, sealed)
    }
}
