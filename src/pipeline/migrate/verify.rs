//! Whether the new entries receive and send.

use std::collections::{BTreeMap, HashSet};

use super::super::{AskedProbe, Targets, To};
use super::{Look, Session};
use crate::model::probe::{Entry, ONESELF, Outcome, Probed, Protocol, StepName};
use crate::model::{Address, Kind, Result};

/// What a probe of the new entries has found.
pub struct Verified {
    pub probed: Vec<Probed>,
    pub targets: Targets,
    /// How many entries were asked, and those that do not both receive and send, and why.
    pub asked: usize,
    pub wanting: Vec<(Address, &'static str)>,
}

impl Session {
    /// Logs in to the new entries, or to some of them, spread over all. `None` if the input has errors, which then
    /// stand among the diagnostics.
    pub fn verify(&mut self, look: &Look, told: &(dyn Fn(usize) + Sync)) -> Result<Option<Verified>> {
        let all: Vec<Address> = look.pairs.iter().map(|pair| Address::new(Kind::Account, pair.new.clone())).collect();
        let addresses = spread(&all, look.migration.probe);
        let send = look.migration.send.as_deref().map(|to| if to == ONESELF { To::Oneself } else { To::Address(to) });
        let asked = AskedProbe { addresses: &addresses, stored: false, for_plan: false, send };
        let Some(targets) = self.targets(&asked)? else { return Ok(None) };
        let probed = self.probe(&targets, told)?;
        let off = targets.all.iter().filter(|target| matches!(target.entry, Entry::Off(_)));
        let off = off.map(|target| (target.address.clone(), target.protocol)).collect();
        let wanting = wanting(&addresses, &probed, &off, send.is_some());
        Ok(Some(Verified { probed, targets, asked: addresses.len(), wanting }))
    }
}

/// So many of them, the first and the last among them.
fn spread(all: &[Address], count: Option<usize>) -> Vec<Address> {
    let count = count.unwrap_or(all.len()).min(all.len());
    let last = all.len().saturating_sub(1);
    (0..count).map(|at| all[if count > 1 { at * last / (count - 1) } else { 0 }].clone()).collect()
}

/// Entries of which it is not proven that they receive and send. What was not asked proves nothing; what an entry is
/// declared not to do, it need not.
fn wanting(
    addresses: &[Address],
    probed: &[Probed],
    off: &HashSet<(Address, Protocol)>,
    sends: bool,
) -> Vec<(Address, &'static str)> {
    let mut of: BTreeMap<&Address, Vec<&Probed>> = BTreeMap::new();
    for one in probed {
        of.entry(&one.address).or_default().push(one);
    }
    let each = addresses.iter().filter_map(|address| {
        let own = of.get(address).map_or(&[][..], Vec::as_slice);
        let is_off = |sends: bool| {
            let here = |one: &&Probed| off.contains(&(one.address.clone(), one.protocol));
            own.iter().filter(|one| (one.protocol == Protocol::Smtp) == sends).any(here)
        };
        let receives = is_off(false) || own.iter().any(|one| one.protocol != Protocol::Smtp && is_well(one));
        let sent = |one: &Probed| !sends || one.steps.iter().any(|step| step.name == StepName::Send);
        let sending = is_off(true) || own.iter().any(|one| one.protocol == Protocol::Smtp && is_well(one) && sent(one));
        let why = if own.iter().any(|one| one.outcome() == Outcome::Failed) {
            "it failed"
        } else if !receives {
            "it is not proven that it receives"
        } else if !sending {
            "it is not proven that it sends"
        } else {
            return None;
        };
        Some((address.clone(), why))
    });
    each.collect()
}

fn is_well(probed: &Probed) -> bool {
    let fine = |outcome: Outcome| matches!(outcome, Outcome::Ok | Outcome::Warning);
    // A message to somebody whose mailbox is not here is not fetched.
    let well = probed.steps.iter().all(|step| fine(step.outcome) || step.name == StepName::Fetch);
    well && !probed.steps.is_empty() && probed.outcome() != Outcome::Failed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Key;
    use crate::model::probe::{Security, Step};

    fn address(name: &str) -> Address {
        Address::new(Kind::Account, Key::single(name))
    }

    fn probed(protocol: Protocol, steps: &[(StepName, Outcome)]) -> Probed {
        let step = |(name, outcome): &(StepName, Outcome)| Step {
            name: *name,
            outcome: *outcome,
            code: None,
            message: String::new(),
            said: None,
            hint: None,
            took: Duration::ZERO,
        };
        Probed {
            address: address("a"),
            protocol,
            host: "h".to_owned(),
            port: 1,
            security: Security::None,
            user: None,
            steps: steps.iter().map(step).collect(),
        }
    }

    #[test]
    fn what_was_not_asked_proves_nothing() {
        use Outcome::{Failed, Ok, Skipped, Warning};
        use Protocol::{Imap, Smtp};
        use StepName::{Fetch, Login, Send};
        let check = |probed: &[Probed], sends: bool, expected: Option<&str>| {
            let found = wanting(&[address("a")], probed, &HashSet::new(), sends);
            assert_eq!(found.first().map(|(_, why)| *why), expected, "{probed:?}");
        };
        let receives = || probed(Imap, &[(Login, Ok)]);
        let sending = |steps: &[(StepName, Outcome)]| [receives(), probed(Smtp, steps)];
        check(&sending(&[(Login, Warning)]), false, None);
        check(&[], false, Some("it is not proven that it receives"));
        check(&[probed(Imap, &[])], false, Some("it is not proven that it receives"));
        check(&[probed(Imap, &[(Login, Skipped)])], false, Some("it is not proven that it receives"));
        check(&[receives()], false, Some("it is not proven that it sends"));
        check(&sending(&[(Login, Failed)]), false, Some("it failed"));
        check(&sending(&[(Login, Ok)]), true, Some("it is not proven that it sends"));
        check(&sending(&[(Login, Ok), (Send, Ok), (Fetch, Skipped)]), true, None);
        check(&sending(&[(Login, Ok), (Send, Skipped)]), true, Some("it is not proven that it sends"));
        check(&sending(&[(Send, Ok), (Fetch, Failed)]), true, Some("it failed"));
        // Whoever may not send need not.
        let off = HashSet::from([(address("a"), Smtp)]);
        let skipped = sending(&[(Login, Skipped)]);
        assert!(wanting(&[address("a")], &skipped, &off, true).is_empty());
        assert_eq!(wanting(&[address("a")], &skipped, &HashSet::new(), true).len(), 1);
        let failed = [probed(Imap, &[(Login, Failed)]), probed(Smtp, &[(Login, Skipped)])];
        assert_eq!(wanting(&[address("a")], &failed, &off, true).len(), 1);
    }

    #[test]
    fn some_are_spread_over_all() {
        let all: Vec<Address> = (0..10).map(|number| address(&number.to_string())).collect();
        let names =
            |count| -> Vec<String> { spread(&all, count).iter().map(|one| one.key.name().to_owned()).collect() };
        assert_eq!(names(None).len(), 10);
        assert_eq!(names(Some(99)).len(), 10);
        assert_eq!(names(Some(1)), ["0"]);
        assert_eq!(names(Some(3)), ["0", "4", "9"]);
        assert!(spread(&[], Some(3)).is_empty());
    }
}
