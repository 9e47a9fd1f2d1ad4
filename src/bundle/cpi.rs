//! The two files that CPI reads: accounts to register, of which none may exist, and accounts to
//! edit, of which all must (002:127, 002:171).

use super::{File, Task, delimited, is_changed};
use crate::format::cpi::{Sheet, row_limit};
use crate::model::{Action, Change, FieldId, Kind, Result, Row};
use crate::system::System;

const PASSWORD: FieldId = Kind::Account.id("password");
const COMMENT: FieldId = Kind::Account.id("comment");
const CAPACITY: FieldId = Kind::Account.id("capacity");

/// Whether the mailboxes of the plan have a capacity of their own: of SV-Basic they have none
/// (002:116, 002:138), and no limit of its register file is stated either (002:131).
pub fn has_capacity(system: &System) -> bool {
    system.expresses(Kind::Account, CAPACITY)
}

pub fn register(task: &Task<'_>, number: usize) -> Result<Vec<File>> {
    let capacity = has_capacity(task.system);
    let header = Sheet::Register.header(capacity);
    let mut records = Vec::new();
    for change in task.changes(Kind::Account, Action::Add) {
        let row = task.after(change);
        let mut record = vec![change.key.first().to_owned()];
        for field in &[PASSWORD, COMMENT, CAPACITY][..header.len() - 1] {
            record.push(task.cell(Kind::Account, &row, *field)?);
        }
        records.push(record);
    }
    let limit = row_limit(capacity, task.given.register_rows).unwrap_or(usize::MAX);
    chunks("cpi-register", number, &header, &records, limit.max(1))
}

pub fn edit(task: &Task<'_>, number: usize) -> Result<Vec<File>> {
    let header = Sheet::Edit.header(has_capacity(task.system));
    let mut records = Vec::new();
    for change in task.changes(Kind::Account, Action::Overwrite) {
        let row = task.after(change);
        if !is_edited(task.system, change, &row) {
            continue;
        }
        let mut record = vec![change.key.first().to_owned()];
        for field in &[PASSWORD, CAPACITY][..header.len() - 1] {
            record.push(task.cell(Kind::Account, &row, *field)?);
        }
        records.push(record);
    }
    chunks("cpi-edit", number, &header, &records, usize::MAX)
}

/// Whether the account stands in the edit file: its password changes, and all that a row must
/// have is known (002:168, AMB-C3).
pub fn is_edited(system: &System, change: &Change, after: &Row) -> bool {
    change.action == Action::Overwrite
        && is_changed(change, PASSWORD)
        && after.get(PASSWORD).is_some()
        && (!has_capacity(system) || after.get(CAPACITY).is_some())
}

fn chunks(
    format: &'static str,
    number: usize,
    header: &[&str],
    records: &[Vec<String>],
    limit: usize,
) -> Result<Vec<File>> {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let files = (1..).zip(records.chunks(limit)).map(|(at, chunk)| {
        let content = delimited(std::iter::once(header.clone()).chain(chunk.iter().cloned()))?;
        let name = format!("{number}-{format}-{at:02}.csv");
        Ok(File { name, format, rows: chunk.len(), secrets: true, content })
    });
    files.collect()
}
