//! Rules of CPI's mail accounts (002).

use super::text::Effective;
use super::{Check, Finding, Subject};
use crate::model::desired::{Aim, Existence};
use crate::model::{Diagnostic, FieldId, Kind, Value};

const PLANS: &[&str] = &["cpi-business-standard", "cpi-kwc-mail", "cpi-sv-basic"];

const fn check(
    id: &'static str,
    source: &'static str,
    doc: &'static str,
    run: fn(&Subject<'_>, &mut Vec<Finding>),
) -> Check {
    Check { id, systems: PLANS, kind: Kind::Account, source, doc, run }
}

pub const CHECKS: &[Check] = &[
    check("C-R2", "002:49, 002:127", "`postmaster` exists from the start and cannot be added", postmaster),
    check("C-F1", "002:36-47", "names of accounts", account_name),
    check("AMB-C2", "002:115", "what a capacity of 0 means is not stated", zero_capacity),
    check("AMB-C9", "002:25", "on SV-Basic the switch is about POP", receive_pop),
];

pub const POSTMASTER: &str = "postmaster";
const CAPACITY: FieldId = Kind::Account.id("capacity");
const RECEIVE: FieldId = Kind::Account.id("receive.enabled");

fn postmaster(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.wanted.key.first() == POSTMASTER && matches!(subject.existence, Existence::Absent) {
        let message = "`postmaster` exists from the start and cannot be added (002:49, 002:127), and the store does not know it yet";
        let problem = Diagnostic::error("cpi/postmaster", message)
            .hint("take it over first: `yubin refresh cpi-export FILE` with the product's own export");
        findings.push((problem, subject.wanted.source));
    }
}

fn account_name(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(rule) = &subject.system.accounts.name else { return };
    let rule = Effective::new(rule, &subject.given.account_name);
    if let Some(flaw) = rule.flaw(subject.wanted.key.first()) {
        let unverified = if rule.unverified { ", unverified" } else { "" };
        let message = format!("this is no name for an account: {flaw} ({}{unverified})", rule.source);
        let problem = Diagnostic::error("cpi/account-name", message)
            .hint("if the plan allows it, say so with `rules: account_name:` in yubin.yaml");
        findings.push((problem, subject.wanted.source));
    }
}

fn zero_capacity(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(wish) = subject.wanted.wish(CAPACITY) else { return };
    if matches!(wish.aim, Aim::Value(Value::Int(0))) && !subject.given.allow_zero_capacity {
        let message = "a capacity of 0 is accepted by the product, and nobody says what it means (002:115)";
        let problem = Diagnostic::error("cpi/zero-capacity", message)
            .hint("if you know, write `allow_zero_capacity: true` under `policy:` in yubin.yaml");
        subject.tell(findings, problem, CAPACITY, &[CAPACITY]);
    }
}

fn receive_pop(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    if subject.system.name == "cpi-sv-basic" && subject.wanted.wish(RECEIVE).is_some() {
        let message = "on this plan the switch is about receiving by POP (002:25)";
        subject.tell(findings, Diagnostic::info("cpi/receive-pop", message), RECEIVE, &[RECEIVE]);
    }
}
