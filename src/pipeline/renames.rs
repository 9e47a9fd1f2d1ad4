//! `previously`: which resources are to get another name, and what they are then.

use crate::model::{
    Address, Cell, Draft, Error, FieldChange, Hashed, Inventory, Key, Kind, Plan, Renames, Result, Row, Value,
};
use crate::store::Snapshot;
use crate::vault::Vault;

/// The renames that the files ask for and the store has not done yet.
pub fn find(draft: &Draft, inventory: &Inventory, snapshot: Option<&dyn Snapshot>) -> Result<Renames> {
    let asks = || draft.resources.iter().filter(|one| one.previously.is_some() && !one.absent);
    let Some(snapshot) = snapshot.filter(|_| asks().next().is_some()) else { return Ok(Renames::default()) };
    let mut asked = Vec::new();
    for resource in asks() {
        let Some(old) = resource.previously() else { continue };
        let (kind, new) = (resource.kind, &resource.key);
        if inventory.of(kind).find(old.as_bytes()).is_none() {
            continue;
        }
        let present = snapshot.fetch(kind, std::slice::from_ref(new))?.pop();
        let is_done = present.is_some_and(|row| row.previously.as_deref() == Some(old.name()));
        if !is_done {
            asked.push((kind, new.clone(), old));
        }
    }
    Ok(Renames::new(asked, |kind, key| inventory.of(kind).find(key.as_bytes()).is_some()))
}

/// A stored resource under another name. A secret is sealed for its address, so it is sealed anew.
pub fn called(vault: Option<&Vault>, kind: Kind, row: &Row, new: &Key) -> Result<Row> {
    let (from, to) = (Address::new(kind, row.key.clone()), Address::new(kind, new.clone()));
    let cells = row.cells.iter().map(|cell| {
        let value = match vault {
            Some(vault) => moved(vault, &from, &to, cell)?,
            // Without its key nobody asks what a secret is.
            None => cell.value.clone(),
        };
        Ok(Cell { field: cell.field, value })
    });
    Ok(Row { key: new.clone(), cells: cells.collect::<Result<_>>()?, ..row.clone() })
}

fn moved(vault: &Vault, from: &Address, to: &Address, cell: &Cell) -> Result<Value> {
    let field = from.kind.field(cell.field);
    Ok(match &cell.value {
        Value::Sealed(sealed) => Value::Sealed(vault.seal(to, field, &vault.unseal(from, field, sealed)?)),
        Value::Hashed(hashed) => {
            let proof = hashed.proof.as_ref().and_then(|proof| vault.move_proof(from, to, field, proof));
            Value::Hashed(Box::new(Hashed { text: hashed.text.clone(), proof }))
        }
        value => value.clone(),
    })
}

/// Says of a rename that is taken back which secrets change with it: those of before are sealed for the name of
/// before, and are compared with what the present ones would be there.
pub fn compare_secrets(plan: &mut Plan, vault: Option<&Vault>, snapshot: &dyn Snapshot) -> Result<()> {
    for change in &mut plan.changes {
        let (kind, key) = (change.kind, change.key.clone());
        let Some(special) = change.special.as_mut() else { continue };
        let Some(present) = special.previously.clone() else { continue };
        let gone = || Error::failure(format!("the store does not hold `{}`", Address::new(kind, present.clone())));
        let row = snapshot.fetch(kind, std::slice::from_ref(&present))?.pop().ok_or_else(gone)?;
        let row = called(vault, kind, &row, &key)?;
        let mut kept = Vec::new();
        for cell in std::mem::take(&mut special.resealed) {
            if row.get(cell.field) == Some(&cell.value) {
                kept.push(cell);
            } else {
                let before = row.get(cell.field).cloned().map(Box::new);
                let origin = crate::model::Origin::Written;
                change.fields.push(FieldChange { field: cell.field, origin, before, after: Some(cell.value) });
            }
        }
        special.resealed = kept;
        change.fields.sort_by_key(|field| field.field);
    }
    Ok(())
}
