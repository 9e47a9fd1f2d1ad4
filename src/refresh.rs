//! What the product is known to have done, by its own export or by a person who has seen it, against
//! what is recorded. A plan of it records, and asks nothing of the product.

use crate::model::plan::Base;
use crate::model::{
    Action, Address, Change, Draft, DraftResource, FieldChange, FieldId, Key, Kind, Origin, Plan, Raw, Row, Rows,
    Special, Value,
};
use crate::system::System;

/// What the store records.
pub struct Recorded<'a> {
    pub project: &'a str,
    pub base: Base,
    /// Of an export: every account, and the servers that it names. Of a mark: the account.
    pub rows: &'a Rows,
}

pub struct Drift {
    pub plan: Plan,
    /// Accounts that the export lacks and that are kept: they may be those of another product.
    pub kept: Vec<Address>,
}

/// Compares what the product shows, in ascending order of kinds and keys. An account of which it says nothing is gone; of a server, which it
/// names beside an account, nothing but the id is known.
pub fn compare(export: &Draft, recorded: &Recorded<'_>, system: &'static System, note: String) -> Drift {
    let mut plan = Plan { files: export.files.clone(), ..blank(recorded, system, note) };
    for seen in &export.resources {
        let row = recorded.rows.get(seen.kind, &seen.key);
        let fields = differences(seen, row, system);
        match row {
            None => plan.changes.push(found(seen, fields)),
            Some(_) if fields.is_empty() => plan.unchanged += 1,
            Some(row) => {
                plan.changes.push(Change { source: Some(seen.source), ..noted(seen.kind, row, fields) });
            }
        }
    }
    let mut kept = Vec::new();
    for row in recorded.rows.of(Kind::Account) {
        let foreign = row.owner.as_deref().is_some_and(|owner| owner != recorded.project);
        let of_product = row.cells.iter().all(|cell| system.open || system.rule(Kind::Account, cell.field).is_some());
        let place = |seen: &DraftResource| (seen.kind, &seen.key).cmp(&(Kind::Account, &row.key));
        let listed = export.resources.binary_search_by(place).is_ok();
        if foreign || !of_product {
            if !listed {
                kept.push(Address::new(Kind::Account, row.key.clone()));
            }
            continue;
        }
        plan.owned[Kind::Account as usize] += 1;
        if !listed {
            plan.changes.push(Change::delete(Kind::Account, row, None));
        }
    }
    plan.owned[Kind::Server as usize] = recorded.rows.of(Kind::Server).len() as u64;
    plan.settle();
    Drift { plan, kept }
}

/// The plan that notes the status of an account, as the product's screen shows it (002:96).
pub fn mark(key: &Key, status: &str, recorded: &Recorded<'_>, system: &'static System) -> Plan {
    const STATUS: FieldId = Kind::Account.id("status");
    let address = Address::new(Kind::Account, key.clone());
    let mut plan = blank(recorded, system, format!("mark of {address} as {status}"));
    plan.owned[Kind::Account as usize] = 1;
    if let Some(row) = recorded.rows.get(Kind::Account, key) {
        let before = row.get(STATUS);
        // What nobody has marked is as it should be.
        if before.map_or("normal", |before| before.text().unwrap_or_default()) != status {
            let after = Some(Value::Text(status.into()));
            let before = before.cloned().map(Box::new);
            let field = FieldChange { field: STATUS, origin: Origin::Written, before, after };
            let mut change = noted(Kind::Account, row, vec![field]);
            if let (Some(special), Some(owner)) = (&mut change.special, &row.owner)
                && owner != recorded.project
            {
                special.foreign_owner = Some(format!("project `{owner}`"));
            }
            plan.changes.push(change);
        }
    }
    plan.settle();
    plan
}

fn blank(recorded: &Recorded<'_>, system: &'static System, note: String) -> Plan {
    Plan {
        project: recorded.project.to_owned(),
        system: system.name,
        base: recorded.base,
        deletes_mail: system.deletes_mail,
        recorded: true,
        note: Some(note),
        ..Plan::default()
    }
}

/// The fields that the product shows and that are recorded otherwise. A password is in no export.
fn differences(seen: &DraftResource, row: Option<&Row>, system: &System) -> Vec<FieldChange> {
    let shown = |field| system.observes(seen.kind, field) || seen.kind.field(field).read_only;
    let differing = |(field, after): (FieldId, Option<Value>)| {
        let before = row.and_then(|row| row.get(field));
        let same = before == after.as_ref() || (is_blank(before) && is_blank(after.as_ref()));
        let before = before.cloned().map(Box::new);
        (!same).then_some(FieldChange { field, origin: Origin::Written, before, after })
    };
    let value = |raw: &Raw, field| match raw {
        // The format has read it by the field's type.
        Raw::Cell(word) => Value::from_word(seen.kind.field(field).ty, word),
        _ => None,
    };
    seen.cells
        .iter()
        .filter(|cell| shown(cell.field))
        .map(|cell| (cell.field, value(&cell.raw, cell.field)))
        .filter_map(differing)
        .collect()
}

/// No text and an empty text are the same in a file.
fn is_blank(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.text() == Some(""))
}

/// What the product has and nobody has declared belongs to nobody.
fn found(seen: &DraftResource, fields: Vec<FieldChange>) -> Change {
    let special = Special { owner: Some(None), ..Special::default() }.boxed();
    Change { special, ..Change::new(Action::Add, seen.kind, seen.key.clone(), Some(seen.source), fields) }
}

/// A resource keeps its owner, and loses the digest of its record, which so is compared again.
fn noted(kind: Kind, row: &Row, fields: Vec<FieldChange>) -> Change {
    let special = Special { owner: Some(row.owner.clone()), ..Special::default() }.boxed();
    Change { special, ..Change::new(Action::Overwrite, kind, row.key.clone(), None, fields) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cell, DraftCell, Place, Source};

    const SOURCE: Source = Source { file: 0, place: Place { line: 2, column: 1 } };

    fn seen(kind: Kind, name: &str, cells: &[(&str, &str)]) -> DraftResource {
        let mut cells: Vec<DraftCell> = cells
            .iter()
            .map(|(field, word)| DraftCell {
                field: kind.id(field),
                raw: if word.is_empty() { Raw::Null } else { Raw::Cell((*word).into()) },
                place: SOURCE.place,
            })
            .collect();
        cells.sort_by_key(|cell| cell.field);
        DraftResource {
            kind,
            key: Key::single(name),
            source: SOURCE,
            absent: false,
            previously: None,
            whole_record: false,
            cells,
            broken: Vec::new(),
            digest: None,
        }
    }

    fn row(name: &str, owner: Option<&str>, cells: &[(&str, &str)]) -> Row {
        let ty = |field: &str| Kind::Account.field(Kind::Account.id(field)).ty;
        let mut cells: Vec<Cell> = cells
            .iter()
            .map(|(field, word)| Cell {
                field: Kind::Account.id(field),
                value: Value::from_word(ty(field), word).unwrap(),
            })
            .collect();
        cells.sort_by_key(|cell| cell.field);
        Row {
            key: Key::single(name),
            owner: owner.map(str::to_owned),
            revision: 1,
            disabled: None,
            previously: None,
            cells,
        }
    }

    fn drift(rows: Vec<Row>, resources: Vec<DraftResource>) -> Drift {
        let mut all = Rows::default();
        all.put(Kind::Account, rows);
        let export = Draft { files: vec!["export.csv".to_owned()], resources, ..Draft::default() };
        let recorded = Recorded { project: "office", base: Base::default(), rows: &all };
        let system = System::find("cpi-business-standard").unwrap();
        compare(&export, &recorded, system, "refresh".to_owned())
    }

    fn told(drift: &Drift) -> Vec<String> {
        let field = |change: &Change, field: &FieldChange| {
            let side = |value: Option<&Value>| value.map_or("-".to_owned(), ToString::to_string);
            let name = change.kind.field(field.field).name;
            format!(" {name} {}>{}", side(field.before.as_deref()), side(field.after.as_ref()))
        };
        let one = |change: &Change| {
            let fields: String = change.fields.iter().map(|one| field(change, one)).collect();
            let owner = change.special.as_ref().and_then(|special| special.owner.clone()).flatten();
            format!("{} {} {}{fields}", change.action.name(), change.address(), owner.unwrap_or("-".to_owned()))
        };
        drift.plan.changes.iter().map(one).collect()
    }

    #[test]
    fn only_what_the_product_shows_is_compared() {
        let rows = vec![
            row(
                "info",
                Some("office"),
                &[("comment", "代表"), ("forward.to", "a@x.jp"), ("status", "password_forced")],
            ),
            row("sales", None, &[("comment", ""), ("capacity", "5")]),
        ];
        let export = vec![
            seen(Kind::Account, "info", &[("comment", ""), ("mailbox_size", "7"), ("forward.to", "b@x.jp")]),
            seen(Kind::Account, "new", &[("comment", ""), ("capacity", "5")]),
            seen(Kind::Account, "sales", &[("comment", ""), ("capacity", "5")]),
        ];
        let drift = drift(rows, export);
        assert_eq!(
            told(&drift),
            ["overwrite account/info office comment 代表>- mailbox_size ->7", "add account/new - capacity ->5"]
        );
        assert_eq!(drift.plan.unchanged, 1);
        assert!(drift.plan.changes.iter().all(|change| change.effect(&drift.plan).is_none()));
    }

    #[test]
    fn what_may_be_of_another_product_is_not_taken_for_gone() {
        let rows = vec![
            row("170", None, &[("user_id", "1")]),
            row("branch", Some("branch"), &[("comment", "x")]),
            row("info", Some("branch"), &[("comment", "x")]),
            row("old", None, &[("comment", "x")]),
            row("ours", Some("office"), &[("comment", "x")]),
        ];
        let drift = drift(rows, vec![seen(Kind::Account, "info", &[("comment", "y")])]);
        assert_eq!(
            told(&drift),
            [
                "overwrite account/info branch comment x>y",
                "delete account/old - comment x>-",
                "delete account/ours - comment x>-"
            ]
        );
        let kept: Vec<String> = drift.kept.iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["account/170", "account/branch"]);
        assert_eq!(drift.plan.owned[Kind::Account as usize], 2);
    }
}
