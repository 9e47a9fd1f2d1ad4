//! Evidence for a plan: what it touches is probed, or was.

use std::collections::HashMap;

use super::{AskedProbe, Targets};
use crate::model::probe::{Demand, Probed};
use crate::model::{Action, Address, Change, Diagnostic, Kind, Place, Plan, Result};
use crate::pipeline::{Asked, Planned, Secrets, Session};

/// What is known of the servers that a plan touches.
#[derive(Default)]
pub struct Proof {
    /// What was probed for this plan.
    pub probed: Vec<Probed>,
    pub places: HashMap<Address, (String, Place)>,
    /// Warnings of this moment: no part of the plan.
    pub notes: Vec<Diagnostic>,
}

/// Fields without a part in any dialogue with a server, of those below `incoming.` and `outgoing.`.
const IDLE: [&str; 11] = [
    "outgoing.label",
    "outgoing.encoding",
    "incoming.label",
    "incoming.delete_after_download",
    "incoming.delete_after_days",
    "incoming.leave_on_server",
    "incoming.leave_days",
    "incoming.errors_only",
    "incoming.save_attachments",
    "incoming.folder",
    "incoming.max_message_size",
];
/// Fields that have a part in it, of the others.
const OTHERS: [&str; 4] = ["server", "supports_uidl", "address", "password"];

fn asks(kind: Kind, name: &str) -> bool {
    let way = name.starts_with("incoming.") || name.starts_with("outgoing.");
    let other = OTHERS.contains(&name) && !(kind == Kind::Server && name == "address");
    other || (way && !IDLE.contains(&name))
}

/// Whether a probe would ask something else after the change than before.
fn touches(change: &Change) -> bool {
    let comes = matches!(change.action, Action::Add | Action::Overwrite | Action::Rename);
    comes && change.fields.iter().any(|field| asks(change.kind, change.kind.field(field.field).name))
}

fn touched(plan: &Plan) -> Vec<Address> {
    plan.changes.iter().filter(|change| touches(change)).map(Change::address).collect()
}

impl Session {
    /// Judges a plan by what is known of the servers that it touches; asks them now, if that is wanted.
    pub(in crate::pipeline) fn prove(&mut self, planned: &mut Planned, asked: &Asked) -> Result<()> {
        let demand = self.project.policy.probe;
        if (demand == Demand::Off && !asked.probe) || asked.secrets == Secrets::Skip || self.against.is_some() {
            return Ok(());
        }
        let addresses = touched(&planned.plan);
        if addresses.is_empty() {
            return Ok(());
        }
        // What is wrong with the files was said when they were planned.
        let said = self.diagnostics.clone();
        let targets = self.targets(&AskedProbe { addresses: &addresses, for_plan: true, ..AskedProbe::default() });
        self.diagnostics = said;
        let Some(targets) = targets? else { return Ok(()) };
        let mut proof = Proof::default();
        if asked.probe {
            proof.probed = self.probe(&targets, &|_| {})?;
        }
        let unproven = self.unproven(&targets, &proof.probed);
        let Targets { places, .. } = targets;
        match demand {
            Demand::Off => {}
            Demand::Require => planned.verdict.demand(unproven),
            Demand::Warn => proof.notes.extend(unproven.iter().map(|one| {
                let warning = Diagnostic::warning("probe/no-evidence", one.to_string());
                let warning = warning.hint("`--probe` probes it now").of(&one.address);
                match places.get(&one.address) {
                    Some((file, place)) => warning.at(file, place.line, place.column),
                    None => warning,
                }
            })),
        }
        proof.places = places;
        planned.proof = proof;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that is new asks something of a server, or is named as one that does not.
    #[test]
    fn the_fields_that_are_named_are_there() {
        for name in IDLE.iter().chain(&OTHERS) {
            assert!(Kind::ALL.into_iter().any(|kind| kind.find(name).is_some()), "{name}");
        }
        for (kind, name, expected) in [
            (Kind::Account, "incoming.host", true),
            (Kind::Account, "incoming.folder", false),
            (Kind::Account, "comment", false),
            (Kind::Account, "password", true),
            (Kind::Pattern, "outgoing.auth.mechanism", true),
            (Kind::Pattern, "outgoing.label", false),
            (Kind::Pattern, "sender_name", false),
            (Kind::Server, "position", false),
            (Kind::Server, "outgoing.pop_before_smtp_wait", true),
        ] {
            assert_eq!(asks(kind, name), expected, "{name}");
        }
    }
}
