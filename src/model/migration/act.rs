//! What was done for a migration: appended, never changed.

use std::collections::BTreeMap;

/// The most acts of a migration.
pub const ACTS: u64 = 1000;
/// The most characters of a note.
pub const NOTE: usize = 1000;
/// The most entries of the evidence, and bytes of it.
pub const EVIDENCE: usize = 32;
pub const EVIDENCE_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// From now on the old server is kept.
    Opened,
    /// The step was found done.
    Done,
    /// What a person has to carry out was written.
    Handed,
    /// A person's word.
    Ack,
    Closed,
    Abandoned,
}

impl Deed {
    pub const ALL: [Deed; 6] = [Deed::Opened, Deed::Done, Deed::Handed, Deed::Ack, Deed::Closed, Deed::Abandoned];

    pub fn name(self) -> &'static str {
        match self {
            Deed::Opened => "opened",
            Deed::Done => "done",
            Deed::Handed => "handed",
            Deed::Ack => "ack",
            Deed::Closed => "closed",
            Deed::Abandoned => "abandoned",
        }
    }

    pub fn parse(name: &str) -> Option<Deed> {
        Deed::ALL.into_iter().find(|deed| deed.name() == name)
    }

    pub fn ends(self) -> bool {
        matches!(self, Deed::Closed | Deed::Abandoned)
    }
}

/// What is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAct {
    pub migration: String,
    /// The one behind the last that whoever acts has seen; the first is 1.
    pub number: u64,
    /// 1 to 7.
    pub step: u8,
    pub deed: Deed,
    pub actor: String,
    pub note: Option<String>,
    /// Names and values, sorted by name.
    pub evidence: BTreeMap<String, String>,
}

impl NewAct {
    /// What is wrong with it, if anything; the bounds hold in every store.
    pub fn flaw(&self) -> Option<&'static str> {
        let NewAct { migration, number, step, deed: _, actor, note, evidence } = self;
        let named = |text: &str| (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        let name = |text: &str| {
            (1..=64).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))
        };
        let bytes: usize = evidence.iter().map(|(name, value)| name.len() + value.len()).sum();
        if !name(migration) {
            Some("the name of a migration has 1 to 64 letters, digits, `-` and `_`")
        } else if !(1..=ACTS).contains(number) {
            Some("a migration has at most 1000 acts")
        } else if !(1..=7).contains(step) {
            Some("a migration has the steps 1 to 7")
        } else if !named(actor) {
            Some("the actor has 1 to 256 characters, no control characters")
        } else if note.as_ref().is_some_and(|note| note.is_empty() || note.chars().count() > NOTE) {
            Some("a note has 1 to 1000 characters")
        } else if evidence.len() > EVIDENCE || bytes > EVIDENCE_BYTES {
            Some("the evidence has at most 32 entries and 8 KB")
        } else {
            None
        }
    }
}

/// One that was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub act: NewAct,
    /// By the clock of the store: RFC 3339, UTC.
    pub at: String,
}

/// A migration that keeps its old server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub name: String,
    /// Name of the old server.
    pub from: String,
    /// That it is at.
    pub step: u8,
    /// Whether a person has consented to the end.
    pub consented: bool,
}

/// The acts of one migration, ascending.
fn of<'a>(acts: &'a [Act], migration: &'a str) -> impl DoubleEndedIterator<Item = &'a NewAct> {
    acts.iter().map(|act| &act.act).filter(move |act| act.migration == migration)
}

/// Whether a migration keeps its old server, by what was done for it.
pub fn is_open(acts: &[Act], migration: &str) -> bool {
    !of(acts, migration).any(|act| act.deed.ends())
}

/// The migrations of a project that keep their old servers: those that are recorded as opened, and those that the
/// project declares (name and old server), by the acts of the project.
pub fn open<'a>(acts: &'a [Act], declared: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Open> {
    let recorded = acts.iter().map(|act| &act.act).filter(|act| act.deed == Deed::Opened);
    let recorded = recorded.filter_map(|act| Some((act.migration.as_str(), act.evidence.get("from")?.as_str())));
    let mut all: Vec<(&str, &str)> = recorded.chain(declared).filter(|(name, _)| is_open(acts, name)).collect();
    all.sort_unstable();
    all.dedup();
    let each = all.into_iter().map(|(name, from)| {
        let done = |step: u8| of(acts, name).any(|act| act.step == step && act.deed == Deed::Done);
        let step = (1..7).find(|step| !done(*step)).unwrap_or(7);
        let consented = step == 7 && of(acts, name).any(|act| act.step == 7 && act.deed == Deed::Ack);
        Open { name: name.to_owned(), from: from.to_owned(), step, consented }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(migration: &str, number: u64, step: u8, deed: Deed) -> Act {
        let evidence =
            if deed == Deed::Opened { [("from".to_owned(), "old".to_owned())].into() } else { BTreeMap::new() };
        let actor = "taro".to_owned();
        let act = NewAct { migration: migration.to_owned(), number, step, deed, actor, note: None, evidence };
        Act { act, at: String::new() }
    }

    #[test]
    fn an_old_server_is_kept_until_the_end_or_consent() {
        let check = |acts: &[Act], declared: &[(&str, &str)], expected: &[(&str, u8, bool)]| {
            let found = open(acts, declared.iter().copied());
            let found: Vec<(&str, u8, bool)> = found.iter().map(|one| (&*one.name, one.step, one.consented)).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[], &[]);
        check(&[], &[("m", "old")], &[("m", 1, false)]);
        let mut acts = vec![act("m", 1, 1, Deed::Opened)];
        check(&acts, &[], &[("m", 1, false)]);
        check(&acts, &[("m", "old")], &[("m", 1, false)]);
        // Consent that comes too early is none.
        acts.push(act("m", 2, 7, Deed::Ack));
        check(&acts, &[], &[("m", 1, false)]);
        acts.extend((1..7).map(|step| act("m", u64::from(step) + 2, step, Deed::Done)));
        check(&acts, &[], &[("m", 7, true)]);
        acts.push(act("m", 9, 7, Deed::Closed));
        check(&acts, &[("m", "old"), ("n", "old")], &[("n", 1, false)]);
    }

    #[test]
    fn what_is_too_large_is_not_taken() {
        let fine = act("m", 1, 1, Deed::Ack).act;
        assert_eq!(fine.flaw(), None);
        let wrong: [fn(&mut NewAct); 7] = [
            |act| act.migration = "a/b".to_owned(),
            |act| act.number = 1001,
            |act| act.step = 8,
            |act| act.actor = "a\nb".to_owned(),
            |act| act.note = Some("x".repeat(1001)),
            |act| act.evidence = (0..33).map(|number| (number.to_string(), String::new())).collect(),
            |act| act.evidence = [("a".to_owned(), "x".repeat(8192))].into(),
        ];
        for change in wrong {
            let mut act = fine.clone();
            change(&mut act);
            assert!(act.flaw().is_some(), "{act:?}");
        }
    }
}
