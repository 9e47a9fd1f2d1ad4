//! Taking a revision back, as an ordinary plan.

use crate::model::plan::Base;
use crate::model::{
    Action, Address, Cell, Change, Code, Error, FieldChange, FieldId, Inventory, Key, Kind, Logged, Origin, Plan,
    Result, Row, Rows, Special, Type, Value, Version,
};
use crate::system::System;

/// The log of a store, as far as an undo asks it.
pub trait Log {
    /// Whether the revision only recorded what the product had done already.
    fn recorded(&self, revision: u64) -> Result<bool>;
    fn changes(&self, revision: u64) -> Result<Vec<Logged>>;
    fn versions(&self, address: &Address) -> Result<Vec<Version>>;
    fn current(&self, address: &Address) -> Result<Option<Row>>;
}

/// The plan that takes back one revision. Refused, with every reason, where later revisions
/// touched the same fields.
pub fn undo(
    log: &dyn Log,
    revision: u64,
    project: &str,
    system: &'static System,
    base: Base,
    inventory: &Inventory,
) -> Result<Plan> {
    if revision == 0 || revision > base.revision {
        return Err(Error::new(
            Code::Usage,
            format!("there is no revision {revision}; the store is at {}", base.revision),
        ));
    }
    let mut plan = Plan {
        project: project.to_owned(),
        system: system.name,
        deletes_mail: system.deletes_mail,
        is_handed_over: !system.open,
        base,
        owned: Kind::ALL.map(|kind| inventory.of(kind).owned() as u64),
        // What was only recorded is only taken from the record.
        recorded: log.recorded(revision)?,
        note: Some(format!("undo of revision {revision}")),
        ..Plan::default()
    };
    let mut overlaps = Vec::new();
    let changes = log.changes(revision)?;
    // They give their names back together.
    let renamed: Vec<Address> =
        changes.iter().filter(|logged| logged.action == Action::Rename).map(Logged::address).collect();
    for logged in changes {
        let address = logged.address();
        match later_touch(log, &logged, revision, &renamed)? {
            Some(why) => overlaps.push(format!("`{address}` {why}")),
            None if renews(&logged) => overlaps.push(format!(
                "`{address}` had its password changed by force, and the one from before may not come back (002:100)"
            )),
            None => plan.changes.extend(inverse(log, &logged, &address, project)?),
        }
    }
    for change in &plan.changes {
        overlaps.extend(dangling(log, &plan, change)?);
    }
    if !overlaps.is_empty() {
        const NAMED: usize = 20;
        let more = overlaps.len().saturating_sub(NAMED);
        overlaps.truncate(NAMED);
        if more > 0 {
            overlaps.push(format!("and {more} more"));
        }
        let message = format!("revision {revision} cannot be taken back alone: {}", overlaps.join("; "));
        return Err(
            Error::new(Code::Refused, message).hint("take back the later revision first, or declare what should be")
        );
    }
    plan.settle();
    Ok(plan)
}

/// What a later state of the store has and an earlier one has not, as a plan: it says what was done.
pub fn between(
    project: &str,
    system: &'static System,
    (from, before): (u64, &Rows),
    (to, after): (u64, &Rows),
) -> Plan {
    let mut plan = Plan {
        project: project.to_owned(),
        system: system.name,
        base: Base { revision: from, outside_writes: 0 },
        recorded: true,
        note: Some(format!("from revision {from} to revision {to}")),
        ..Plan::default()
    };
    for kind in Kind::ALL {
        let gone = before.of(kind).iter().filter(|row| after.get(kind, &row.key).is_none());
        plan.changes.extend(gone.map(|row| Change::delete(kind, row, None)));
        for row in after.of(kind) {
            let old = before.get(kind, &row.key);
            let fields: Vec<FieldChange> = differing(kind, old, Some(row))
                .into_iter()
                .map(|field| restored(field, old.and_then(|old| old.get(field)).cloned(), row.get(field).cloned()))
                .collect();
            let disabled = old.is_some_and(|old| old.disabled.is_some());
            let action = match old {
                None => Action::Add,
                Some(_) if !disabled && row.disabled.is_some() => Action::Disable,
                Some(old) if fields.is_empty() && old.owner == row.owner && disabled == row.disabled.is_some() => {
                    plan.unchanged += 1;
                    continue;
                }
                Some(_) => Action::Overwrite,
            };
            let restores = action == Action::Overwrite && disabled && row.disabled.is_none();
            let special = Special { restored: restores, owner: Some(row.owner.clone()), ..Special::default() };
            let change = Change::new(action, kind, row.key.clone(), None, fields);
            plan.changes.push(Change { special: special.boxed(), ..change });
        }
    }
    plan.settle();
    plan
}

/// Whether the revision answered a forced change of a password with a new one.
fn renews(logged: &Logged) -> bool {
    const STATUS: FieldId = Kind::Account.id("status");
    let forced = |row: &Option<Row>| {
        let status = row.as_ref().and_then(|row| row.get(STATUS));
        status.is_some_and(|status| status.is_word("password_forced"))
    };
    logged.kind == Kind::Account && logged.after.is_some() && forced(&logged.before) && !forced(&logged.after)
}

/// A server that a change brings back a reference to, and that is gone.
fn dangling(log: &dyn Log, plan: &Plan, change: &Change) -> Result<Option<String>> {
    let restored = change.fields.iter().find(|field| matches!(change.kind.field(field.field).ty, Type::Reference));
    let Some(name) = restored.and_then(|field| field.after.as_ref()).and_then(Value::text) else { return Ok(None) };
    let server = Address::new(Kind::Server, Key::single(name));
    let comes_back = plan.changes.iter().any(|other| other.action == Action::Add && other.address() == server);
    let exists = comes_back || log.current(&server)?.is_some();
    Ok((!exists).then(|| format!("`{}` needs `{server}`, which was deleted since", change.address())))
}

/// Fields in which two states differ.
fn differing(kind: Kind, before: Option<&Row>, after: Option<&Row>) -> Vec<FieldId> {
    let get = |row: Option<&Row>, field| row.and_then(|row| row.get(field).cloned());
    (0..kind.fields().len() as FieldId).filter(|field| get(before, *field) != get(after, *field)).collect()
}

fn later_touch(log: &dyn Log, logged: &Logged, revision: u64, renamed: &[Address]) -> Result<Option<String>> {
    let address = logged.address();
    let current = log.current(&address)?;
    let later = |from: &Version, to: &Version, touched: &[FieldId]| {
        if let Some(until) = from.until.filter(|until| *until != to.row.revision) {
            return Some(format!("was deleted by revision {until} and made again by revision {}", to.row.revision));
        }
        let fields: Vec<&str> = differing(logged.kind, Some(&from.row), Some(&to.row))
            .into_iter()
            .filter(|field| touched.contains(field))
            .map(|field| logged.kind.field(field).name)
            .collect();
        let by = if to.outside { "other software".to_owned() } else { format!("revision {}", to.row.revision) };
        (!fields.is_empty()).then(|| format!("had `{}` changed by {by} since", fields.join("`, `")))
    };
    if logged.action.removes() {
        return Ok(current.map(|_| "exists again".to_owned()));
    }
    let Some(current) = current else { return Ok(Some("was deleted since".to_owned())) };
    let touched = match logged.action {
        // An add touched everything, and its undo would take everything.
        Action::Add => (0..logged.kind.fields().len() as FieldId).collect(),
        _ => differing(logged.kind, logged.before.as_ref(), logged.after.as_ref()),
    };
    let previously = logged.previously.as_ref().map(|key| Address::new(logged.kind, key.clone()));
    if let Some(previously) = previously.filter(|previously| !renamed.contains(previously))
        && log.current(&previously)?.is_some()
    {
        return Ok(Some(format!("was called `{previously}`, and that name is taken again")));
    }
    // What is as the revision left it, nothing has touched: its history need not be read.
    if current.revision == revision && logged.after.as_ref() == Some(&current) {
        return Ok(None);
    }
    let versions = log.versions(&address)?;
    let Some(own) = versions.iter().position(|version| version.row.revision == revision && !version.outside) else {
        return Ok(Some("has no record of that revision".to_owned()));
    };
    Ok(versions[own..].windows(2).find_map(|pair| later(&pair[0], &pair[1], &touched)))
}

fn inverse(log: &dyn Log, logged: &Logged, address: &Address, project: &str) -> Result<Option<Change>> {
    let gone = || Error::failure(format!("the log has no image of `{address}`"));
    let foreign = |owner: Option<&str>| match owner {
        Some(owner) if owner != project => Some(format!("project `{owner}`")),
        _ => None,
    };
    let current = log.current(address)?;
    let change = match logged.action {
        Action::Add => {
            let current = current.ok_or_else(gone)?;
            let foreign_owner = foreign(current.owner.as_deref());
            let special = Special { foreign_owner, ..Special::default() }.boxed();
            Change { special, ..Change::delete(logged.kind, &current, None) }
        }
        Action::Delete | Action::Purge => {
            let before = logged.before.as_ref().ok_or_else(gone)?;
            let fields =
                before.cells.iter().map(|Cell { field, value }| restored(*field, None, Some(value.clone()))).collect();
            let mut change = blank(Action::Add, logged, fields, foreign(before.owner.as_deref()), before.owner.clone());
            change.special.get_or_insert_default().disabled = before.disabled;
            change
        }
        Action::Rename => {
            let (before, after) = (logged.before.as_ref().ok_or_else(gone)?, logged.after.as_ref().ok_or_else(gone)?);
            let current = current.ok_or_else(gone)?;
            let kind = logged.kind;
            // The secrets of before are sealed for the address of before, and return with it.
            let is_secret = |field: &FieldId| kind.field(*field).is_secret();
            let fields = differing(kind, Some(before), Some(after)).into_iter().filter(|field| !is_secret(field));
            let fields = fields
                .map(|field| restored(field, current.get(field).cloned(), before.get(field).cloned()))
                .filter(|change| change.before.as_deref() != change.after.as_ref())
                .collect();
            let owner = if before.owner == after.owner { current.owner.clone() } else { before.owner.clone() };
            let mut change = blank(Action::Rename, logged, fields, foreign(current.owner.as_deref()), owner);
            change.key = logged.previously.clone().ok_or_else(gone)?;
            let special = change.special.get_or_insert_default();
            special.previously = Some(logged.key.clone());
            special.marker = Some(before.previously.clone());
            special.resealed = before.cells.iter().filter(|cell| is_secret(&cell.field)).cloned().collect();
            change
        }
        Action::Overwrite | Action::Disable => {
            let (before, after) = (logged.before.as_ref().ok_or_else(gone)?, logged.after.as_ref().ok_or_else(gone)?);
            let current = current.ok_or_else(gone)?;
            let fields: Vec<FieldChange> = differing(logged.kind, Some(before), Some(after))
                .into_iter()
                .map(|field| restored(field, current.get(field).cloned(), before.get(field).cloned()))
                .filter(|change| change.before.as_deref() != change.after.as_ref())
                .collect();
            let owner = if before.owner == after.owner { current.owner.clone() } else { before.owner.clone() };
            let comes_back = before.disabled.is_none() && current.disabled.is_some() && after.disabled.is_some();
            let goes_again = before.disabled.filter(|_| after.disabled.is_none() && current.disabled.is_none());
            if fields.is_empty() && owner == current.owner && !comes_back && goes_again.is_none() {
                return Ok(None);
            }
            // It is on its way out again, and from now on.
            let action = if goes_again.is_some() { Action::Disable } else { Action::Overwrite };
            let mut change = blank(action, logged, fields, foreign(current.owner.as_deref()), owner);
            change.special.get_or_insert_default().restored = comes_back;
            change
        }
        Action::Skip | Action::Blocked => return Ok(None),
    };
    Ok(Some(change))
}

fn restored(field: FieldId, before: Option<Value>, after: Option<Value>) -> FieldChange {
    FieldChange { field, origin: Origin::Written, before: before.map(Box::new), after }
}

fn blank(
    action: Action,
    logged: &Logged,
    fields: Vec<FieldChange>,
    foreign_owner: Option<String>,
    owner: Option<String>,
) -> Change {
    Change {
        action,
        kind: logged.kind,
        key: logged.key.clone(),
        source: None,
        fields,
        adopted: false,
        digest: None,
        special: Special { foreign_owner, owner: Some(owner), ..Special::default() }.boxed(),
    }
}
