//! Renames that look likely: said, never assumed.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Address, Change, Diagnostic, Kind, Plan, Rows, Type, Value};

/// Of more deletes than this nobody has renamed anything by hand.
const MOST: usize = 200;

/// Resources that are lost while much the same is added under another name.
pub fn renames(plan: &Plan, rows: &Rows) -> Vec<Diagnostic> {
    let vanishes = |change: &&Change| change.action.loses() && change.source.is_none();
    let lost: Vec<&Change> = plan.changes.iter().filter(vanishes).collect();
    if lost.is_empty() || lost.len() > MOST {
        return Vec::new();
    }
    // By what hardly two resources have in common.
    let mut by_value: HashMap<(Kind, &str), Vec<&Change>> = HashMap::new();
    for change in plan.changes.iter().filter(|change| change.action == crate::model::Action::Add) {
        for text in change.fields.iter().filter_map(|field| telling(change.kind, field.field, field.after.as_ref())) {
            by_value.entry((change.kind, text)).or_default().push(change);
        }
    }
    let mut suggestions = Vec::new();
    for old in lost {
        let Some(row) = rows.get(old.kind, &old.key) else { continue };
        let mut shared: BTreeMap<Address, (usize, &Change)> = BTreeMap::new();
        for text in row.cells.iter().filter_map(|cell| telling(old.kind, cell.field, Some(&cell.value))) {
            for new in by_value.get(&(old.kind, text)).into_iter().flatten() {
                shared.entry(new.address()).or_insert((0, new)).0 += 1;
            }
        }
        let same_user = |new: &Change| old.kind != Kind::Pattern || new.key.first() == old.key.first();
        let mut shared: Vec<(usize, &Change)> = shared.into_values().filter(|(_, new)| same_user(new)).collect();
        shared.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        // Two that are as like: nobody knows which.
        let new = match shared.as_slice() {
            [(_, only)] => only,
            [(first, best), (second, _), ..] if first > second => best,
            _ => continue,
        };
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

/// A value that tells resources apart: an address, or a name to log in with.
fn telling(kind: Kind, field: crate::model::FieldId, value: Option<&Value>) -> Option<&str> {
    let spec = kind.field(field);
    let tells = matches!(spec.ty, Type::Mail)
        || matches!(spec.name, "incoming.username" | "comment" | "label" | "incoming.host" | "user_id");
    value?.text().filter(|text| tells && !text.is_empty())
}
