//! Safety rules over a finished plan. A refused plan is still shown; only an approved one can be
//! committed, and only this module approves.

use std::collections::BTreeMap;

use crate::model::migration::Open;
use crate::model::probe::Unproven;
use crate::model::refusal::{Among, Counted, Why};
use crate::model::{Action, Address, Change, Existing, Kind, Limit, Limits, Origin, Plan, Policy, Refusal};

#[derive(Debug, Default)]
pub struct Verdict {
    pub refused: Vec<Refusal>,
    /// Of those, how many at the end are of the moment.
    passing: usize,
}

impl Verdict {
    /// What files and store alone refuse: the same plan is refused for the same, whenever it is made again.
    pub fn lasting(&self) -> &[Refusal] {
        &self.refused[..self.refused.len() - self.passing]
    }

    /// Refuses for want of evidence, which comes and goes.
    pub fn demand(&mut self, unproven: Vec<Unproven>) {
        let before = self.refused.len();
        put("probe", unproven.into_iter().map(|one| Why::Unproven(Box::new(one))).collect(), &mut self.refused);
        self.passing += self.refused.len() - before;
    }
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

/// What the store says about a plan, beside what stands in it.
#[derive(Default)]
pub struct Facts {
    pub in_use: Vec<InUse>,
    /// What the plan would delete and the store holds as protected.
    pub protected: Vec<Address>,
    /// What follows a renamed server and belongs to another project, and to which.
    pub followers: Vec<(Address, String)>,
    /// Migrations that keep their old servers. None are given of what has happened already, which is not held up; a
    /// server gives them all the same, since it cannot know whether what a client records has happened.
    pub migrations: Vec<Open>,
}

/// Rules that consent with the plan's digest lifts.
const LIMITS: [&str; 2] = ["max_deletes", "max_overwrites"];
/// Refusals of one rule that are named one by one.
const NAMED: usize = 20;

pub fn judge(plan: &Plan, policy: &Policy, facts: Facts) -> Verdict {
    let mut refused = Vec::new();
    for path in &plan.vanished {
        refused.push(Refusal { rule: "source_vanished", why: Why::Vanished(path.clone()) });
    }
    for kind in Kind::ALL {
        emptied(plan, kind, &mut refused);
    }
    limits(plan, &policy.max_deletes, Weight::of_deletes, "max_deletes", &mut refused);
    // What has happened already is no overwrite by this project.
    if !plan.recorded {
        limits(plan, &policy.max_overwrites, Weight::of_overwrites, "max_overwrites", &mut refused);
    }
    let mut of = |rule: &'static str, all: Vec<Why>| put(rule, all, &mut refused);
    // By another name, a resource would be protected no more.
    let lost = plan.changes.iter().filter(|change| change.action.loses() || change.action == Action::Rename);
    let lost = lost.map(|change| Address::new(change.kind, change.stored_key().clone()));
    let protect = lost.filter(|address| policy.protect.contains(address));
    of("protect", protect.map(if plan.recorded { Why::ProtectedLacking } else { Why::Protect }).collect());
    of("protected", facts.protected.into_iter().map(Why::Protected).collect());
    let in_use = |InUse { server, users, count }| Why::InUse { server, users, count };
    of("in_use", facts.in_use.into_iter().map(in_use).collect());
    let kept = |change: &Change| {
        // By another name, it would be kept no more.
        let goes = change.action.loses() || change.action == Action::Rename;
        let open = facts.migrations.iter().filter(|_| change.kind == Kind::Server && goes);
        let of_change = open.filter(|one| !one.consented && one.from == change.stored_key().name());
        let server = Address::new(change.kind, change.stored_key().clone());
        let why = |one: &Open| Why::Migration { server: server.clone(), migration: one.name.clone(), step: one.step };
        of_change.map(why).collect::<Vec<_>>()
    };
    of("migration", plan.changes.iter().flat_map(kept).collect());
    let foreign = |change: &Change| {
        let owner = change.foreign_owner()?.to_owned();
        Some(Why::Foreign { address: change.address(), owner, loses: change.action.loses() })
    };
    let follows = |(address, owner)| Why::Foreign { address, owner, loses: false };
    let followers = facts.followers.into_iter().map(follows);
    of("foreign_owner", plan.changes.iter().filter_map(foreign).chain(followers).collect());
    let blocked = |change: &Change| {
        let reason = change.reason().filter(|_| change.action == Action::Blocked)?.to_owned();
        Some(Why::Blocked { address: change.address(), reason })
    };
    of("blocked", plan.changes.iter().filter_map(blocked).collect());
    if policy.existing == Existing::Fail && !plan.recorded {
        let touches = |change: &&Change| matches!(change.action, Action::Overwrite | Action::Rename);
        let overwrites = plan.changes.iter().filter(touches);
        // A place that nobody has written gives way to those that are.
        let differs = overwrites
            .filter(|change| !change.only_moves() || change.fields.iter().any(|field| field.origin != Origin::Default));
        of("existing", differs.map(|change| Why::Exists(change.address())).collect());
    }
    Verdict { refused, passing: 0 }
}

/// The first refusals of a rule, and how many more there are.
fn put(rule: &'static str, all: Vec<Why>, refused: &mut Vec<Refusal>) {
    let more = all.len().saturating_sub(NAMED) as u64;
    refused.extend(all.into_iter().take(NAMED).map(|why| Refusal { rule, why }));
    if more > 0 {
        refused.push(Refusal { rule, why: Why::More(more) });
    }
}

/// Lets a plan through that nothing refuses, or only limits for which consent names this plan.
pub fn approve<'a>(plan: &'a Plan, verdict: &Verdict, consent: bool) -> Option<Approved<'a>> {
    let lifted = |refusal: &Refusal| consent && LIMITS.contains(&refusal.rule);
    verdict.refused.iter().all(lifted).then_some(Approved(plan))
}

fn emptied(plan: &Plan, kind: Kind, refused: &mut Vec<Refusal>) {
    // What was disabled before has been judged then.
    let vanishes = |change: &&Change| {
        change.kind == kind && change.source.is_none() && change.action.loses() && change.action != Action::Purge
    };
    let vanishing = plan.changes.iter().filter(vanishes).count() as u64;
    if plan.declared[kind as usize] == Some(0) && vanishing > 0 {
        refused.push(Refusal { rule: "empty_kind", why: Why::Empty { kind, vanishing } });
    }
}

/// What a change counts for a limit.
#[derive(Clone, Copy, Default)]
struct Weight {
    count: u64,
    /// An inbox that is emptied is as lost as a deleted one.
    inboxes: u64,
    overwrites: bool,
}

impl Weight {
    fn of_deletes(change: &Change) -> Weight {
        let inboxes = u64::from(change.purges());
        Weight { count: u64::from(change.action.loses()) + inboxes, inboxes, overwrites: false }
    }

    /// What may not change at all is counted when it is known: such a plan is never applied as it is.
    fn of_overwrites(change: &Change) -> Weight {
        let counts = matches!(change.action, Action::Overwrite | Action::Rename) && !change.is_unknown();
        Weight { count: u64::from(counts), inboxes: 0, overwrites: true }
    }
}

/// What one limit has counted.
#[derive(Default)]
struct Tally {
    touched: u64,
    inboxes: u64,
    /// A new order of the list is one change, however many places it moves.
    moved: bool,
}

impl Tally {
    fn add(&mut self, change: &Change, weight: Weight) {
        if weight.overwrites && change.only_moves() && std::mem::replace(&mut self.moved, true) {
            return;
        }
        self.touched += weight.count;
        self.inboxes += weight.inboxes;
    }

    fn judge(&self, limit: Limit, owned: u64, among: Among, rule: &'static str, refused: &mut Vec<Refusal>) {
        if limit.allows(self.touched, owned) {
            return;
        }
        let of = match (rule, self.inboxes) {
            ("max_overwrites", _) => Counted::Overwrites,
            (_, 0) => Counted::Deletes,
            _ => Counted::DeletesAndInboxes,
        };
        refused.push(Refusal { rule, why: Why::Limit { of, among, touched: self.touched, owned, limit } });
    }
}

fn limits(plan: &Plan, limits: &Limits, weigh: fn(&Change) -> Weight, rule: &'static str, refused: &mut Vec<Refusal>) {
    let mut kinds: [Tally; 3] = Default::default();
    let us = format!("project `{}`", plan.project);
    let (mut files, mut owners) = (BTreeMap::<&str, Tally>::new(), BTreeMap::<&str, Tally>::new());
    for change in &plan.changes {
        let weight = weigh(change);
        if weight.count == 0 {
            continue;
        }
        kinds[change.kind as usize].add(change, weight);
        if limits.file.is_some()
            && let Some(file) = file_of(plan, change)
        {
            files.entry(file).or_default().add(change, weight);
        }
        if limits.owner.is_some() {
            owners.entry(change.taken_from().unwrap_or(&us)).or_default().add(change, weight);
        }
    }
    for (kind, tally) in Kind::ALL.into_iter().zip(kinds) {
        if let Some(limit) = limits.kinds[kind as usize] {
            tally.judge(limit, plan.owned[kind as usize], Among::Kind(kind), rule, refused);
        }
    }
    for (file, tally) in files {
        if let Some(limit) = limits.file {
            // What a file touches, it has at the least: a new one may not take everything.
            let owned = plan.shares.files.get(file).copied().unwrap_or_default().max(tally.touched);
            tally.judge(limit, owned, Among::File(file.to_owned()), rule, refused);
        }
    }
    for (owner, tally) in owners {
        if let Some(limit) = limits.owner {
            let ours = || plan.owned.iter().sum();
            let owned = plan.shares.owners.get(owner).copied().unwrap_or_else(ours);
            tally.judge(limit, owned, Among::Owner(owner.to_owned()), rule, refused);
        }
    }
}

/// The file that was the last to declare the resource: whoever moves it elsewhere takes it from there.
fn file_of<'a>(plan: &'a Plan, change: &Change) -> Option<&'a str> {
    let stored = Address::new(change.kind, change.stored_key().clone());
    let last = plan.shares.last_file.get(&stored).map(String::as_str);
    last.or_else(|| change.source.map(|source| plan.file(source)))
}
