//! What is still to be carried out, for a person who looks after it.

use std::collections::{BTreeMap, HashMap};

use super::Session;
use super::deliver::{Chosen, PAGE, baseline, notice_id};
use crate::model::{Attempt, Code, Diagnostic, Error, Result, Revision, Told, Trigger};
use crate::store::Outbox;

/// Something that is still to be carried out.
pub struct Pending {
    pub id: String,
    pub effect: String,
    /// Of a notice: nothing, as of the address.
    pub user: Option<String>,
    pub address: Option<String>,
    pub revision: u64,
    pub project: String,
    /// Since when.
    pub at: String,
    /// What hooks have tried; none where the store does not keep it.
    pub attempts: Vec<Attempt>,
}

impl Pending {
    /// Failed attempts.
    pub fn tries(&self) -> u64 {
        self.attempts.iter().filter(|attempt| !attempt.done).map(|attempt| attempt.tries).sum()
    }

    /// Of the last failed one.
    pub fn error(&self) -> Option<&str> {
        let failed = self.attempts.iter().filter(|attempt| !attempt.done);
        failed.max_by(|a, b| a.at.cmp(&b.at)).and_then(|attempt| attempt.error.as_deref())
    }
}

/// What `effects` is asked for by an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// Of a revision.
    Notice(u64),
    Event(u64),
}

impl Id {
    pub fn parse(text: &str) -> Option<Id> {
        let number = |text: &str| text.parse().ok().filter(|number: &u64| *number > 0);
        match text.strip_prefix("notify-") {
            Some(revision) => number(revision).map(Id::Notice),
            None => number(text).map(Id::Event),
        }
    }
}

fn unknown(id: &str) -> Error {
    Error::new(Code::Usage, format!("nothing of this project is pending as `{id}`"))
        .hint("`yubin effects` lists what is pending")
}

impl Session {
    fn outbox(&self) -> Result<&dyn Outbox> {
        self.store.outbox().ok_or_else(|| Error::failure("this store has no effects"))
    }

    /// Everything that is pending of the project, or of `all` projects; events first, in ascending order.
    pub fn pending(&self, all: bool, each: &mut dyn FnMut(Pending) -> Result<()>) -> Result<()> {
        let outbox = self.outbox()?;
        let Some(snapshot) = self.store.snapshot()? else { return Ok(()) };
        let revisions = snapshot.revisions()?;
        drop(snapshot);
        let revisions: BTreeMap<u64, (String, String)> = revisions
            .into_iter()
            .filter(|one| all || one.project == self.project.name)
            .map(|one| (one.revision, (one.project, one.at)))
            .collect();
        let mut after = 0;
        loop {
            let page = outbox.events(after, PAGE)?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else { break };
            let mut attempts: HashMap<u64, Vec<Attempt>> = HashMap::new();
            for attempt in outbox.attempts(first.id, last.id)? {
                attempts.entry(attempt.event).or_default().push(attempt);
            }
            after = last.id;
            for event in page {
                let Some((project, at)) = revisions.get(&event.revision) else { continue };
                each(Pending {
                    id: event.id.to_string(),
                    attempts: attempts.remove(&event.id).unwrap_or_default(),
                    effect: event.effect,
                    user: Some(event.user),
                    address: Some(event.address.to_string()),
                    revision: event.revision,
                    project: project.clone(),
                    at: at.clone(),
                })?;
            }
        }
        let (own, last) = self.own_revisions()?;
        for (revision, attempts) in self.notices_of(outbox, &own, last)? {
            let (project, at) = revisions.get(&revision).cloned().unwrap_or_default();
            let effect = Trigger::Notify.name().to_owned();
            let id = notice_id(revision);
            each(Pending { id, effect, user: None, address: None, revision, project, at, attempts })?;
        }
        Ok(())
    }

    /// The revisions that hooks are still to tell of, and what has come of it.
    pub(super) fn notices_of(
        &self,
        outbox: &dyn Outbox,
        revisions: &BTreeMap<u64, Revision>,
        last: u64,
    ) -> Result<BTreeMap<u64, Vec<Attempt>>> {
        let mut pending: BTreeMap<u64, Vec<Attempt>> = BTreeMap::new();
        if !outbox.remembers() {
            return Ok(pending);
        }
        for told in self.told(outbox, last)? {
            for (at, revision) in revisions.range(told.revision + 1..).map(|(revision, _)| *revision).enumerate() {
                let tries = if at == 0 { told.tries } else { 0 };
                let attempts = pending.entry(revision).or_default();
                if tries > 0 {
                    let Told { hook, error, at, .. } = told.clone();
                    attempts.push(Attempt { event: 0, hook, tries, done: false, error, at });
                }
            }
        }
        Ok(pending)
    }

    /// How far the hooks of the project have told of its revisions.
    fn told(&self, outbox: &dyn Outbox, last: u64) -> Result<Vec<Told>> {
        let known = outbox.told(&self.project.name)?;
        let hooks = self.project.hooks.iter().filter(|hook| hook.is_for(Trigger::Notify));
        let told = hooks.map(|hook| {
            let new = || Told { hook: hook.name.clone(), revision: baseline(last), ..Told::default() };
            known.iter().find(|told| told.hook == hook.name).cloned().unwrap_or_else(new)
        });
        Ok(told.collect())
    }

    fn is_pending(&self, id: u64, revisions: &BTreeMap<u64, Revision>) -> Result<bool> {
        let event = self.outbox()?.events(id - 1, 1)?.pop().filter(|event| event.id == id);
        Ok(event.is_some_and(|event| revisions.contains_key(&event.revision)))
    }

    /// Runs the hooks for what is pending, for as long as it takes: for all, or for what is named, with what comes
    /// before it.
    pub fn retry(&self, ids: &[Id]) -> Result<Vec<Diagnostic>> {
        let mut chosen = Chosen { events: Some(Vec::new()), notices: false };
        if ids.is_empty() {
            chosen = Chosen::ALL;
        }
        let (revisions, _) = self.own_revisions()?;
        for id in ids {
            match id {
                Id::Event(id) if !self.is_pending(*id, &revisions)? => return Err(unknown(&id.to_string())),
                Id::Event(id) => chosen.events.get_or_insert_default().push(*id),
                Id::Notice(_) => chosen.notices = true,
            }
        }
        Ok(self.delivered(None, &chosen, None))
    }

    /// Marks as carried out what a person has carried out.
    pub fn acknowledge(&self, ids: &[Id]) -> Result<()> {
        let outbox = self.outbox()?;
        let (revisions, last) = self.own_revisions()?;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        // All of it is looked at before anything is written.
        let mut told = self.told(outbox, last)?;
        let (mut events, mut changed) = (Vec::new(), vec![false; told.len()]);
        for id in ids {
            match id {
                Id::Event(id) => {
                    if !self.is_pending(id, &revisions)? {
                        return Err(unknown(&id.to_string()));
                    }
                    events.push(id);
                }
                Id::Notice(revision) => {
                    let mut known = false;
                    for (one, changed) in told.iter_mut().zip(&mut changed).filter(|(one, _)| one.revision < revision) {
                        let next = revisions.range(one.revision + 1..).next().map(|(next, _)| *next);
                        if let Some(next) = next.filter(|next| *next < revision) {
                            let message = format!("`{}` comes before `{}`", notice_id(next), notice_id(revision));
                            return Err(Error::new(Code::Usage, message).hint("name both"));
                        }
                        if next == Some(revision) {
                            (one.revision, one.tries, one.error, *changed, known) = (revision, 0, None, true, true);
                        }
                    }
                    if !known {
                        return Err(unknown(&notice_id(revision)));
                    }
                }
            }
        }
        for one in told.iter().zip(changed).filter(|(_, changed)| *changed).map(|(one, _)| one) {
            outbox.tell(&self.project.name, one)?;
        }
        outbox.settle(&[], &events)
    }
}
