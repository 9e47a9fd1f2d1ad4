//! Where a migration is: a function of what was done for it and of what is there.

use std::fmt;

use super::act::{Act, Deed, NewAct};

/// Evidence that says for which accounts a word or a proof was given: a digest over old and new names.
pub const ACCOUNTS: &str = "accounts_digest";

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// Whether a person carries plans out.
    pub handed_over: bool,
    /// Whether the product has accounts that files declare.
    pub has_accounts: bool,
    /// The new server is declared, and in the store.
    pub to_declared: bool,
    pub to_stored: bool,
    /// The old one is in the store, and not disabled.
    pub from_stored: bool,
    /// Whether the product's id of the new server is known, or none is needed.
    pub id_known: bool,
    /// Whether the recorded backup is here as it was written.
    pub backup_intact: bool,
    /// Accounts of the old server that move, but for those that are disabled.
    pub old: u64,
    /// Digest over them and their new names ([`ACCOUNTS`]).
    pub accounts: String,
    /// The same over those of the recorded backup, if all that move now are among them.
    pub backed_up: Option<String>,
    /// Of them, those without a declared entry, and without a stored one that is not disabled.
    pub undeclared: u64,
    pub unstored: u64,
    /// Accounts of the old server that are disabled, and not purged yet.
    pub disabled: u64,
    /// What uses the old server, declared or stored, and does not move.
    pub others: u64,
}

impl Facts {
    /// Whether what was recorded was given for the accounts that move now. Consent holds for what is left of its
    /// accounts while they are being removed.
    pub fn covers(&self, act: &NewAct) -> bool {
        if self.old == 0 || !matches!(act.step, 2 | 5..=7) {
            return true;
        }
        let Some(given) = act.evidence.get(ACCOUNTS) else { return false };
        *given == self.accounts || act.step == 7 && act.deed == Deed::Ack && self.backed_up.as_ref() == Some(given)
    }
}

/// What a person, or time, must do first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The new server is declared nowhere.
    Declare,
    /// What was written to this folder is carried out.
    HandedOver(String),
    /// The id that the product has given to the new server.
    Id,
    Dns,
    /// Nothing can log in: a person looks.
    Look,
    Consent,
    /// So many old entries can still be brought back.
    Grace(u64),
    /// So many resources still use the old server, and do not move.
    Used(u64),
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wait::Declare => f.write_str("declare the new server in a file"),
            Wait::HandedOver(folder) => {
                write!(f, "carry out what stands in {folder}, and say so with `yubin migrate ack`")
            }
            Wait::Id => f.write_str(
                "look up the id that the product has given to the new server (004:148), and say it with \
                 `yubin migrate ack 3 --server-id ID`, or refresh from an export that shows it",
            ),
            Wait::Dns => f.write_str("the provider switches DNS (004:151); then `yubin migrate ack 5`"),
            Wait::Look => f.write_str("a person looks, and says so with `yubin migrate ack`"),
            Wait::Consent => {
                f.write_str("`yubin migrate ack 7` consents to deleting the old entries and the old server")
            }
            Wait::Used(count) => write!(
                f,
                "{count} more that do not move use the old server (`yubin show`); move or delete them, and apply that"
            ),
            Wait::Grace(count) => write!(
                f,
                "{count} old entries are disabled and can be brought back; when their time is over, `yubin apply` purges them"
            ),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Done(Box<Act>),
    /// `next` does it.
    Due,
    Waiting(Wait),
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Closed,
    Abandoned,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Abandoned => "abandoned",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: State,
    /// The first is step 1.
    pub steps: Vec<Progress>,
    /// The step that is due or waiting; `None` when the migration is at its end.
    pub now: Option<u8>,
}

/// What people are told of a migration.
#[derive(Clone, Debug)]
pub struct Report {
    pub name: String,
    /// Names of servers.
    pub from: String,
    pub to: String,
    /// The product, if it is one.
    pub product: Option<&'static str>,
    pub accounts: u64,
    pub standing: Standing,
    /// Addresses of accounts, old and new, and whether the new one is in the store.
    pub pairs: Vec<(String, String, bool)>,
}

/// `acts` are those of the migration, ascending.
pub fn standing(acts: &[Act], facts: &Facts) -> Standing {
    let found = |step: u8, deed: Deed| acts.iter().rfind(|act| act.act.step == step && act.act.deed == deed);
    let ended = acts.iter().find(|act| act.act.deed.ends());
    let consented = found(7, Deed::Ack).is_some_and(|act| facts.covers(&act.act));
    let holds = |step: u8| match step {
        1 => facts.to_stored || consented,
        2 => consented || facts.backup_intact && found(2, Deed::Done).is_some_and(|act| facts.covers(&act.act)),
        3 => facts.undeclared == 0,
        4 => facts.unstored == 0,
        _ => consented || found(step, Deed::Done).is_some_and(|act| facts.covers(&act.act)),
    };
    let mut steps = Vec::with_capacity(7);
    let mut now = None;
    for step in 1..=7 {
        let recorded = match (ended, step) {
            (Some(_), 1..=6) => found(step, Deed::Done),
            (Some(end), _) => (end.act.deed == Deed::Closed).then_some(end),
            (None, 7) => None,
            (None, _) => found(step, Deed::Done).filter(|_| holds(step)),
        };
        steps.push(match recorded {
            Some(act) if now.is_none() => Progress::Done(Box::new(act.clone())),
            _ if now.is_some() || ended.is_some() => Progress::Later,
            _ => {
                now = Some(step);
                wait(step, acts, facts).map_or(Progress::Due, Progress::Waiting)
            }
        });
    }
    let state = match ended.map(|act| act.act.deed) {
        None => State::Open,
        Some(Deed::Abandoned) => State::Abandoned,
        Some(_) => State::Closed,
    };
    Standing { state, steps, now }
}

/// What the step that is due waits for.
fn wait(step: u8, acts: &[Act], facts: &Facts) -> Option<Wait> {
    let has = |deed: Deed| {
        let last = acts.iter().map(|act| &act.act).rfind(|act| act.step == step && act.deed == deed);
        last.is_some_and(|act| facts.covers(act))
    };
    // What was found done is only taken down.
    let handed = || handed(step, acts).map(Wait::HandedOver).filter(|_| facts.handed_over);
    match step {
        1 if facts.to_stored => None,
        1 if !facts.to_declared => Some(Wait::Declare),
        1 => handed(),
        3 if facts.undeclared > 0 && !facts.id_known => Some(Wait::Id),
        4 if facts.unstored > 0 => handed(),
        4 if facts.handed_over && !facts.has_accounts && !has(Deed::Ack) => Some(Wait::Look),
        5 if !has(Deed::Ack) => Some(Wait::Dns),
        6 if !facts.has_accounts && !has(Deed::Ack) => Some(Wait::Look),
        7 if !has(Deed::Ack) => Some(Wait::Consent),
        7 if facts.old == 0 && facts.disabled > 0 => Some(Wait::Grace(facts.disabled)),
        7 if facts.old == 0 && facts.from_stored && facts.others > 0 => Some(Wait::Used(facts.others)),
        7 if facts.old > 0 || facts.from_stored => handed(),
        _ => None,
    }
}

/// The folder of what was handed over last in a step, if nobody has said since that it was carried out.
fn handed(step: u8, acts: &[Act]) -> Option<String> {
    let mut of_step = acts.iter().map(|act| &act.act).filter(|act| act.step == step);
    let last = of_step.rfind(|act: &&NewAct| matches!(act.deed, Deed::Handed | Deed::Ack))?;
    (last.deed == Deed::Handed).then(|| last.evidence.get("folder").cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(number: u64, step: u8, deed: Deed) -> Act {
        let evidence = [("folder".to_owned(), "f".to_owned()), (ACCOUNTS.to_owned(), "three".to_owned())].into();
        let (migration, actor) = ("m".to_owned(), "taro".to_owned());
        Act { act: NewAct { migration, number, step, deed, actor, note: None, evidence }, at: String::new() }
    }

    fn acts(deeds: &[(u8, Deed)]) -> Vec<Act> {
        (1..).zip(deeds).map(|(number, (step, deed))| act(number, *step, *deed)).collect()
    }

    /// Half way: everything is there.
    fn facts() -> Facts {
        Facts {
            has_accounts: true,
            to_declared: true,
            to_stored: true,
            from_stored: true,
            id_known: true,
            backup_intact: true,
            old: 3,
            accounts: "three".to_owned(),
            ..Facts::default()
        }
    }

    #[track_caller]
    fn check(deeds: &[(u8, Deed)], facts: &Facts, now: Option<u8>, expected: Option<&Progress>) {
        let standing = standing(&acts(deeds), facts);
        assert_eq!(standing.now, now);
        assert_eq!(now.map(|now| &standing.steps[usize::from(now) - 1]), expected);
    }

    const DONE: [(u8, Deed); 6] =
        [(1, Deed::Done), (2, Deed::Done), (3, Deed::Done), (4, Deed::Done), (5, Deed::Done), (6, Deed::Done)];

    #[test]
    fn each_step_comes_behind_the_one_before() {
        let nothing = Facts { has_accounts: true, old: 3, undeclared: 3, unstored: 3, ..Facts::default() };
        check(&[], &nothing, Some(1), Some(&Progress::Waiting(Wait::Declare)));
        check(&[], &Facts { to_declared: true, ..nothing.clone() }, Some(1), Some(&Progress::Due));
        for step in 1..=6_u8 {
            let due = if step == 4 { Progress::Waiting(Wait::Dns) } else { Progress::Due };
            let due = if step == 6 { Progress::Waiting(Wait::Consent) } else { due };
            check(&DONE[..usize::from(step)], &facts(), Some(step + 1), Some(&due));
        }
        // A word for a step that is not due is none.
        check(&[(7, Deed::Ack), (5, Deed::Ack)], &facts(), Some(1), Some(&Progress::Due));
        check(&[&DONE[..], &[(7, Deed::Ack)]].concat(), &facts(), Some(7), Some(&Progress::Due));
        check(&[&DONE[..], &[(7, Deed::Ack), (7, Deed::Closed)]].concat(), &facts(), None, None);
    }

    #[test]
    fn what_is_no_more_true_opens_its_step_again() {
        for (facts, step) in [
            (Facts { to_stored: false, ..facts() }, 1),
            (Facts { backup_intact: false, ..facts() }, 2),
            (Facts { undeclared: 1, unstored: 1, ..facts() }, 3),
            (Facts { unstored: 1, ..facts() }, 4),
        ] {
            check(&DONE, &facts, Some(step), Some(&Progress::Due));
        }
        // Behind consent, what is gone is gone on purpose; an account that has no entry is not.
        let consented = [&DONE[..], &[(7, Deed::Ack)]].concat();
        check(&consented, &Facts { backup_intact: false, ..facts() }, Some(7), Some(&Progress::Due));
        check(&consented, &Facts { undeclared: 1, ..facts() }, Some(3), Some(&Progress::Due));
        let grace = Facts { old: 0, disabled: 2, ..facts() };
        check(&consented, &grace, Some(7), Some(&Progress::Waiting(Wait::Grace(2))));
        let used = Facts { old: 0, others: 2, ..facts() };
        check(&consented, &used, Some(7), Some(&Progress::Waiting(Wait::Used(2))));
        check(&consented, &Facts { from_stored: false, ..used }, Some(7), Some(&Progress::Due));
    }

    #[test]
    fn words_and_proofs_are_for_the_accounts_they_were_given_for() {
        let more = Facts { old: 4, accounts: "four".to_owned(), ..facts() };
        check(&DONE, &more, Some(2), Some(&Progress::Due));
        let consented = [&DONE[..], &[(7, Deed::Ack)]].concat();
        check(&consented, &more, Some(2), Some(&Progress::Due));
        let fewer = Facts { old: 2, accounts: "two".to_owned(), backed_up: Some("three".to_owned()), ..facts() };
        check(&consented, &fewer, Some(7), Some(&Progress::Due));
        check(&consented, &Facts { backed_up: Some("five".to_owned()), ..fewer }, Some(2), Some(&Progress::Due));
        check(&consented, &Facts { old: 0, accounts: "none".to_owned(), ..facts() }, Some(7), Some(&Progress::Due));
        // Each alone.
        let mut acts = acts(&consented);
        for step in [5, 6, 7] {
            let mut acts = acts.clone();
            acts.retain(|act| act.act.step != 7 || step == 7);
            let of_step = acts.iter_mut().filter(|act| act.act.step == step);
            of_step.for_each(|act| drop(act.act.evidence.remove(ACCOUNTS)));
            assert_eq!(standing(&acts, &facts()).now, Some(step));
        }
        acts.retain(|act| act.act.step < 6);
        acts.push(Act {
            act: NewAct { step: 6, deed: Deed::Ack, evidence: [].into(), ..acts[0].act.clone() },
            at: String::new(),
        });
        let looked = Facts { has_accounts: false, ..facts() };
        assert_eq!(standing(&acts, &looked).steps[5], Progress::Waiting(Wait::Look));
    }

    #[test]
    fn what_is_handed_over_waits_for_a_person() {
        let facts = Facts { handed_over: true, unstored: 3, ..facts() };
        let before = &DONE[..3];
        let waits = Progress::Waiting(Wait::HandedOver("f".to_owned()));
        check(before, &facts, Some(4), Some(&Progress::Due));
        check(&[before, &[(4, Deed::Handed)]].concat(), &facts, Some(4), Some(&waits));
        check(&[before, &[(4, Deed::Handed), (4, Deed::Ack)]].concat(), &facts, Some(4), Some(&Progress::Due));
        check(
            &[before, &[(4, Deed::Handed), (4, Deed::Ack), (4, Deed::Handed)]].concat(),
            &facts,
            Some(4),
            Some(&waits),
        );
        // Who has recorded it in another way has carried it out.
        let stored = Facts { unstored: 0, ..facts };
        check(&[before, &[(4, Deed::Handed)]].concat(), &stored, Some(4), Some(&Progress::Due));
    }
}
