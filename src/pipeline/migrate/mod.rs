//! Migrations to another mail server: what is there, and what the steps write. The plans of a migration are those of
//! everybody.

mod backup;
mod entries;
mod look;
mod names;
mod removal;
mod verify;

use std::collections::BTreeMap;

use super::Session;
use crate::model::migration::{self, Act, Deed, Migration, NewAct, Open};
use crate::model::{Code, Error, Result};

pub use look::Look;
pub use removal::Removal;
pub use verify::Verified;

/// What is recorded.
pub struct Word<'a> {
    pub step: u8,
    pub deed: Deed,
    pub actor: &'a str,
    pub note: Option<&'a str>,
    pub evidence: BTreeMap<String, String>,
}

impl Session {
    /// What was done for the migrations of the project.
    pub fn acts(&self) -> Result<Vec<Act>> {
        self.store.migrations().map_or(Ok(Vec::new()), |migrations| migrations.acts(&self.project.name))
    }

    /// Appends to what was done for a migration, if that still is what was seen.
    pub fn act(&self, migration: &Migration, seen: &[Act], word: Word<'_>) -> Result<Act> {
        let Word { step, deed, actor, note, evidence } = word;
        let Some(migrations) = self.store.migrations() else {
            return Err(Error::new(Code::Usage, "nothing can be written to this store"));
        };
        let new = NewAct {
            migration: migration.name.clone(),
            number: seen.last().map_or(0, |last| last.act.number) + 1,
            step,
            deed,
            actor: actor.to_owned(),
            note: note.map(str::to_owned),
            evidence,
        };
        migrations.act(&self.project.name, &new)
    }

    /// Migrations that keep their old servers: those of the store, and those that the files declare.
    pub(super) fn open_migrations(&self) -> Result<Vec<Open>> {
        let acts = self.acts()?;
        let declared = self.project.migrations.iter().map(|one| (one.name.as_str(), one.from.name.as_str()));
        Ok(migration::open(&acts, declared))
    }
}
