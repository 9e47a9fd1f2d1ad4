//! Safety rules over a finished plan. A refused plan is still shown; only an approved one can be
//! committed, and only this module approves.

use crate::model::{Action, Address, Existing, Kind, Limit, Origin, Plan, Policy, Refusal};

#[derive(Debug, Default)]
pub struct Verdict {
    pub refused: Vec<Refusal>,
}

/// A plan that every rule lets through.
pub struct Approved<'a>(&'a Plan);

impl<'a> Approved<'a> {
    pub fn plan(&self) -> &'a Plan {
        self.0
    }
}

/// A server that the plan deletes although the store has users of it.
pub struct InUse {
    pub server: Address,
    pub users: Vec<Address>,
    pub count: u64,
}

/// Rules that consent with the plan's digest lifts.
const LIMITS: [&str; 2] = ["max_deletes", "max_overwrites"];
/// Refusals of one rule that are named one by one.
const NAMED: usize = 20;

pub fn judge(plan: &Plan, policy: &Policy, in_use: &[InUse]) -> Verdict {
    let mut refused = Vec::new();
    for path in &plan.vanished {
        refuse(&mut refused, "source_vanished", format!("the source `{path}` matches no file"));
    }
    for kind in Kind::ALL {
        limits(plan, policy, kind, &mut refused);
    }
    let of = |rule: &'static str, refused: &mut Vec<Refusal>, messages: Vec<String>| {
        let more = messages.len().saturating_sub(NAMED);
        for message in messages.into_iter().take(NAMED) {
            refuse(refused, rule, message);
        }
        if more > 0 {
            refuse(refused, rule, format!("and {more} more"));
        }
    };
    let deletes = || plan.changes.iter().filter(|change| change.action == Action::Delete);
    of(
        "protect",
        &mut refused,
        deletes()
            .map(super::model::plan::Change::address)
            .filter(|address| policy.protect.contains(address))
            .map(|address| {
                if plan.recorded {
                    format!("`{address}` is protected, and yet the export lacks it: make sure that it is whole")
                } else {
                    format!("`{address}` is protected by `policy.protect` and may never be deleted")
                }
            })
            .collect(),
    );
    of(
        "in_use",
        &mut refused,
        in_use
            .iter()
            .map(|used| {
                let users: Vec<String> = used.users.iter().map(|user| format!("`{user}`")).collect();
                let more = used.count.saturating_sub(users.len() as u64);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(
                    "`{}` is used by {}{more}; move them first, in a plan of their own",
                    used.server,
                    users.join(", ")
                )
            })
            .collect(),
    );
    of(
        "foreign_owner",
        &mut refused,
        plan.changes
            .iter()
            .filter_map(|change| {
                let owner = change.foreign_owner()?;
                let verb = if change.action == Action::Delete { "deletes" } else { "changes" };
                Some(format!("`{}` belongs to {owner}; a project {verb} only what it owns", change.address()))
            })
            .collect(),
    );
    of(
        "blocked",
        &mut refused,
        plan.changes
            .iter()
            .filter_map(|change| {
                let reason = change.reason()?;
                (change.action == Action::Blocked).then(|| format!("`{}`: {reason}", change.address()))
            })
            .collect(),
    );
    // What has happened already is no overwrite by this project.
    if policy.existing == Existing::Fail && !plan.recorded {
        of(
            "existing",
            &mut refused,
            plan.changes
                .iter()
                .filter(|change| change.action == Action::Overwrite)
                // A place that nobody has written gives way to those that are.
                .filter(|change| {
                    !change.only_moves() || change.fields.iter().any(|field| field.origin != Origin::Default)
                })
                .map(|change| {
                    format!("`{}` exists and differs, and the policy says `existing: fail`", change.address())
                })
                .collect(),
        );
    }
    Verdict { refused }
}

/// Lets a plan through that nothing refuses, or only limits for which consent names this plan.
pub fn approve<'a>(plan: &'a Plan, verdict: &Verdict, consent: bool) -> Option<Approved<'a>> {
    let lifted = |refusal: &Refusal| consent && LIMITS.contains(&refusal.rule);
    verdict.refused.iter().all(lifted).then_some(Approved(plan))
}

fn refuse(refused: &mut Vec<Refusal>, rule: &'static str, message: String) {
    refused.push(Refusal { rule, message });
}

fn limits(plan: &Plan, policy: &Policy, kind: Kind, refused: &mut Vec<Refusal>) {
    let owned = plan.owned[kind as usize];
    let deletes = || plan.changes.iter().filter(|change| change.kind == kind && change.action == Action::Delete);
    let vanishing = deletes().filter(|change| change.source.is_none()).count();
    if plan.declared[kind as usize] == Some(0) && vanishing > 0 {
        let plural = kind.plural();
        let message = format!("the files declare no {plural} any more, and all {vanishing} would be deleted");
        refuse(refused, "empty_kind", format!("{message}; write `absent: true` for each that is meant to go"));
    }
    // An emptied inbox is as lost as a deleted one.
    let purges = plan.changes.iter().filter(|change| change.kind == kind && change.purges()).count() as u64;
    let verb = if purges > 0 { "deletes and emptied inboxes" } else { "deletes" };
    // A new order of the list is one change, however many places it moves.
    let moves = plan.changes.iter().filter(|change| change.kind == kind && change.only_moves()).count() as u64;
    // What may not change at all is counted when it is known: such a plan is never applied as it is.
    let unknown = plan.changes.iter().filter(|change| change.kind == kind && change.is_unknown()).count() as u64;
    let overwrites = plan.count_of(kind, Action::Overwrite) - moves.saturating_sub(1) - unknown;
    let rules = [
        ("max_deletes", verb, plan.count_of(kind, Action::Delete) + purges, Some(policy.max_deletes)),
        ("max_overwrites", "overwrites", overwrites, policy.max_overwrites.filter(|_| !plan.recorded)),
    ];
    for (rule, verb, touched, limit) in rules {
        let Some(limit) = limit else { continue };
        if limit.allows(touched, owned) {
            continue;
        }
        let message = match limit {
            Limit::Count(_) => format!("too many {verb} of {}: {touched} is over {limit}", kind.plural()),
            Limit::Percent(_) => {
                // Hundredths, rounded up: 30.001 % is over 30 %.
                let share = (touched * 10_000).div_ceil(owned.max(1));
                format!(
                    "too many {verb} of {}: {}.{:02} % is over {limit} ({touched} of {owned})",
                    kind.plural(),
                    share / 100,
                    share % 100
                )
            }
        };
        refuse(refused, rule, message);
    }
}
