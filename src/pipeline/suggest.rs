//! Renames that look likely: said, never assumed.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Action, Address, Cell, Change, Diagnostic, FieldId, Kind, Plan, Row, Rows, Type, Value};
use crate::system::System;

/// Of more deletes than this nobody has renamed anything by hand.
const MOST: usize = 200;

/// Resources that are lost while the same is added under another name.
pub fn renames(plan: &Plan, rows: &Rows, system: &System) -> Vec<Diagnostic> {
    let vanishes = |change: &&Change| change.action.loses() && change.source.is_none();
    let lost: Vec<&Change> = plan.changes.iter().filter(vanishes).collect();
    if lost.is_empty() || lost.len() > MOST || system.keeps_names().is_some() {
        return Vec::new();
    }
    // By what hardly two resources have in common.
    let mut by_value: HashMap<(Kind, &str), Vec<&Change>> = HashMap::new();
    for change in plan.changes.iter().filter(|change| change.action == Action::Add) {
        for text in change.fields.iter().filter_map(|field| telling(change.kind, field.field, field.after.as_ref())) {
            by_value.entry((change.kind, text)).or_default().push(change);
        }
    }
    let mut suggestions = Vec::new();
    for old in lost {
        let Some(row) = rows.get(old.kind, &old.key) else { continue };
        let mut alike: BTreeMap<Address, &Change> = BTreeMap::new();
        for cell in &row.cells {
            let Some(text) = telling(old.kind, cell.field, Some(&cell.value)) else { continue };
            let added = by_value.get(&(old.kind, text)).into_iter().flatten();
            alike.extend(added.filter(|new| looks_like(row, new, cell.field)).map(|new| (new.address(), *new)));
        }
        let same_user = |new: &&Change| old.kind != Kind::Pattern || new.key.first() == old.key.first();
        // Of two that are as like, nobody knows which.
        let [new] = alike.into_values().filter(same_user).collect::<Vec<_>>()[..] else { continue };
        let Some(source) = new.source else { continue };
        let message = format!("`{}` looks like `{}`, which is lost in the same plan", new.address(), old.address());
        let hint = format!("if it is the same one, write `previously: {}`", old.key.name());
        suggestions.push(
            Diagnostic::info("resource/renamed", message)
                .hint(hint)
                .at(plan.file(source), source.place.line, source.place.column)
                .of(&new.address()),
        );
    }
    suggestions
}

/// Whether an added resource shares the field of an address or a log-in, or all that was declared of the old one.
fn looks_like(row: &Row, new: &Change, field: FieldId) -> bool {
    let of_person = matches!(new.kind.field(field).ty, Type::Mail) || new.kind.field(field).name == "incoming.username";
    let same = |cell: &Cell| {
        new.kind.field(cell.field).is_secret()
            || new.fields.iter().any(|one| one.field == cell.field && one.after.as_ref() == Some(&cell.value))
    };
    of_person || row.cells.iter().all(same)
}

/// A value that tells resources apart: an address, or a name to log in with.
fn telling(kind: Kind, field: FieldId, value: Option<&Value>) -> Option<&str> {
    let spec = kind.field(field);
    let tells = matches!(spec.ty, Type::Mail)
        || matches!(spec.name, "incoming.username" | "comment" | "label" | "incoming.host" | "user_id");
    value?.text().filter(|text| tells && !text.is_empty())
}
