//! The records of CatchMe@MAIL: every ○ column always, `0` for a flag that is off, and nothing but
//! the key only where a pattern is deleted (000:116, AMB-A2, AMB-A3).

use super::{File, Task, Unseal, cell, delimited, refused};
use crate::format::catchme_mail::encode;
use crate::model::{Action, Address, Clear, FieldId, Kind, Result, Row, Value};
use crate::system::{CATCHME_COLUMNS, Coding, REQUIRED_COLUMNS, System, Target};

/// Patterns that are added or changed. Whole records: a column that is left out keeps what is
/// there, but that of a flag means 0 under the other reading (000:119-124).
pub fn registered(task: &Task<'_>, number: usize) -> Result<Vec<File>> {
    let adds = task.changes(Kind::Pattern, Action::Add);
    // Taking over what is as it should be is nothing to the product.
    let overwrites = task.changes(Kind::Pattern, Action::Overwrite).filter(|change| !change.fields.is_empty());
    let mut rows: Vec<(Kind, Row)> = adds.chain(overwrites).map(|change| (change.kind, task.after(change))).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    rows.sort_by(|a, b| a.1.key.cmp(&b.1.key));
    let name = format!("{number}-catchme-mail.csv");
    let content = text(&rows, task.unseal)?;
    Ok(vec![File { name, format: "catchme-mail", rows: rows.len(), secrets: true, content }])
}

/// Patterns that are deleted, in a file of their own (AMB-A9).
pub fn deleted(task: &Task<'_>, number: usize) -> Result<Vec<File>> {
    let records: Vec<Vec<String>> = task
        .changes(Kind::Pattern, Action::Delete)
        .map(|change| change.key.parts().map(str::to_owned).collect())
        .collect();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let name = format!("{number}-catchme-mail-delete.csv");
    let rows = records.len();
    Ok(vec![File { name, format: "catchme-mail", rows, secrets: false, content: delimited(records)? }])
}

/// The records of these rows.
pub fn text(rows: &[(Kind, Row)], unseal: Unseal<'_>) -> Result<Clear> {
    let mut problems = Vec::new();
    let mut records = Vec::with_capacity(rows.len());
    for (kind, row) in rows {
        if *kind == Kind::Pattern {
            records.push(record(row, unseal, &mut problems)?);
        } else {
            problems.push(format!("`{}`: the format has no {kind}s", Address::new(*kind, row.key.clone())));
        }
    }
    refused(&problems)?;
    delimited(records)
}

fn record(row: &Row, unseal: Unseal<'_>, problems: &mut Vec<String>) -> Result<Vec<String>> {
    const KIND: Kind = Kind::Pattern;
    let address = || Address::new(KIND, row.key.clone());
    let mut record = Vec::with_capacity(CATCHME_COLUMNS.len());
    let mut parts = row.key.parts();
    for (at, column) in CATCHME_COLUMNS.iter().enumerate() {
        let Target::Field(name) = column.target else {
            record.push(parts.next().unwrap_or_default().to_owned());
            continue;
        };
        let field = KIND.id(name);
        let text = match row.get(field) {
            _ if is_idle(row, field) => {
                record.push(String::new());
                continue;
            }
            Some(Value::Sealed(_)) => cell(KIND, row, field, unseal)?,
            Some(value) => encode(column.coding, &value.to_string()),
            // A flag without a value is off, and the file says so.
            None if column.coding == Coding::Flag && name != "incoming.delete_after_download" => "0".to_owned(),
            None => String::new(),
        };
        if text.is_empty() && REQUIRED_COLUMNS.contains(&(at + 1)) {
            problems.push(format!("`{}`: `{name}` has no value, and the format requires it", address()));
        }
        record.push(text);
    }
    for cell in &row.cells {
        let name = KIND.field(cell.field).name;
        let has_column = CATCHME_COLUMNS.iter().any(|column| column.target == Target::Field(name));
        if !has_column && name != "server" && !KIND.field(cell.field).own {
            problems.push(format!("`{}`: the format has no column for `{name}`", address()));
        }
    }
    Ok(record)
}

/// Whether the value has no effect beside the others (△ and ▲ of 000:116, AMB-A6).
fn is_idle(row: &Row, field: FieldId) -> bool {
    let rule = System::find("catchme-mail").and_then(|system| system.rule(Kind::Pattern, field));
    rule.and_then(|rule| rule.only_when)
        .is_some_and(|(other, word)| row.get(Kind::Pattern.id(other)).is_some_and(|value| !value.is_word(word)))
}
