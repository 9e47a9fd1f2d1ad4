//! Hooks that are told of every revision, in order.

use super::{Delivery, NAMED};
use crate::hooks::Happening;
use crate::model::{Result, Revision, Told, Trigger};
use crate::store::Outbox;
use crate::wire;

pub fn notice_id(revision: u64) -> String {
    format!("notify-{revision}")
}

/// Where a hook begins of which the store knows nothing yet: what was applied before is not news, but for the
/// revision that has made the store.
pub fn baseline(last: u64) -> u64 {
    if last <= 1 { 0 } else { last }
}

/// Has hooks that are new begin behind this revision.
pub fn begin<'n>(outbox: &dyn Outbox, project: &str, names: impl Iterator<Item = &'n String>, base: u64) -> Result<()> {
    let known = outbox.told(project)?;
    for name in names.filter(|name| known.iter().all(|told| told.hook != **name)) {
        let told = Told { hook: name.clone(), revision: baseline(base), at: now(), ..Told::default() };
        outbox.tell(project, &told)?;
    }
    Ok(())
}

/// RFC 3339, UTC.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Delivery<'_> {
    /// Tells of every revision that is not told of.
    pub fn notices(&self) -> Result<()> {
        if self.hooks.iter().all(|carrier| !carrier.hook.is_for(Trigger::Notify)) {
            return Ok(());
        }
        let known = self.outbox.told(self.project)?;
        let before = self.applied.map_or(self.last, |applied| applied.revision - 1);
        for carrier in self.hooks.iter().filter(|carrier| carrier.hook.is_for(Trigger::Notify)) {
            let new = || Told { hook: carrier.hook.name.clone(), revision: baseline(before), ..Told::default() };
            let mut told = known.iter().find(|told| told.hook == carrier.hook.name).cloned().unwrap_or_else(new);
            for revision in self.revisions.range(told.revision + 1..).map(|(_, revision)| revision) {
                let applied = self.applied.filter(|applied| applied.revision == revision.revision);
                // Who does not remember would tell all of them, every time.
                if !self.outbox.remembers() && applied.is_none() {
                    continue;
                }
                if self.is_over() {
                    return Ok(());
                }
                let done = carrier.attempt(&self.notice(revision)?);
                told.at = now();
                match &done {
                    Ok(()) => (told.revision, told.tries, told.error) = (revision.revision, 0, None),
                    Err(why) => (told.tries, told.error) = (told.tries + 1, Some(why.clone())),
                }
                self.outbox.tell(self.project, &told)?;
                if done.is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn notice(&self, revision: &Revision) -> Result<Happening> {
        let (users, count) = match self.applied.filter(|applied| applied.revision == revision.revision) {
            Some(applied) => (applied.users.clone(), applied.count),
            None => self.outbox.logged_out(revision.revision, NAMED)?,
        };
        let id = notice_id(revision.revision);
        let body = wire::told_revision(&id, revision, &users, count).to_string().into_bytes();
        Ok(Happening {
            id,
            effect: Trigger::Notify.name().to_owned(),
            user: String::new(),
            address: String::new(),
            revision: revision.revision,
            mail: String::new(),
            body,
        })
    }
}
