//! `previously`: which resources are to get another name, and what they are then.

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;

use crate::model::{
    Address, Cell, Draft, Error, FieldChange, Hashed, Inventory, Key, Kind, Plan, Renames, Result, Row, Rows, Value,
};
use crate::store::Snapshot;
use crate::vault::Vault;

/// The renames that the files ask for and the store has not done yet.
pub fn find(draft: &Draft, inventory: &Inventory, snapshot: Option<&dyn Snapshot>) -> Result<Renames> {
    let asks = || draft.resources.iter().filter(|one| one.previously.is_some() && !one.absent);
    let Some(snapshot) = snapshot.filter(|_| asks().next().is_some()) else { return Ok(Renames::default()) };
    let mut candidates: Vec<(Kind, Key, Key)> = Vec::new();
    for resource in asks() {
        let Some(old) = resource.previously() else { continue };
        if inventory.of(resource.kind).find(old.as_bytes()).is_some() {
            candidates.push((resource.kind, resource.key.clone(), old));
        }
    }
    let mut done: HashSet<(Kind, Key)> = HashSet::new();
    for kind in Kind::ALL {
        let of_kind = candidates.iter().filter(|(of, ..)| *of == kind);
        let exists = |key: &&Key| inventory.of(kind).find(key.as_bytes()).is_some();
        let mut keys: Vec<Key> = of_kind.clone().map(|(_, new, _)| new).filter(exists).cloned().collect();
        if keys.is_empty() {
            continue;
        }
        keys.sort_unstable();
        keys.dedup();
        let names: HashMap<Key, Option<CompactString>> =
            snapshot.fetch(kind, &keys)?.into_iter().map(|row| (row.key, row.previously)).collect();
        let is_done = |new: &Key, old: &Key| names.get(new).is_some_and(|name| name.as_deref() == Some(old.name()));
        done.extend(of_kind.filter(|(_, new, old)| is_done(new, old)).map(|(kind, new, _)| (*kind, new.clone())));
    }
    let asked = candidates.into_iter().filter(|(kind, new, _)| !done.contains(&(*kind, new.clone()))).collect();
    Ok(Renames::new(asked, |kind, key| inventory.of(kind).find(key.as_bytes()).is_some()))
}

/// Gives what is renamed the form that it has under its new name.
pub fn rename(
    rows: &mut Rows,
    renames: &Renames,
    vault: Option<&Vault>,
    snapshot: Option<&dyn Snapshot>,
) -> Result<()> {
    let mut told: HashMap<(Kind, Key), Row> = HashMap::new();
    if let Some(snapshot) = snapshot {
        for kind in Kind::ALL {
            let of_kind = renames.all().filter(|(of, ..)| *of == kind);
            let moves = of_kind.filter_map(|(_, new, old)| Some((rows.get(kind, old)?, new)));
            told.extend(told_anew(vault, snapshot, kind, moves)?);
        }
    }
    rows.rename(renames, |kind, row, new| match told.remove(&(kind, new.clone())) {
        Some(row) => Ok(row),
        None => called(vault, kind, row, new),
    })
}

/// Resources with secrets under their new names, where only the server can seal those anew.
fn told_anew<'a>(
    vault: Option<&Vault>,
    snapshot: &dyn Snapshot,
    kind: Kind,
    moves: impl Iterator<Item = (&'a Row, &'a Key)>,
) -> Result<HashMap<(Kind, Key), Row>> {
    if !vault.is_some_and(Vault::is_lent) {
        return Ok(HashMap::new());
    }
    let is_secret = |cell: &Cell| matches!(cell.value, Value::Sealed(_) | Value::Hashed(_));
    let secret = moves.filter(|(row, _)| row.cells.iter().any(is_secret));
    let pairs: Vec<(Key, Key)> = secret.map(|(row, new)| (row.key.clone(), new.clone())).collect();
    if pairs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: HashMap<(Kind, Key), Row> =
        snapshot.called(kind, &pairs)?.into_iter().map(|row| ((kind, row.key.clone()), row)).collect();
    match pairs.iter().find(|(_, new)| !rows.contains_key(&(kind, new.clone()))) {
        Some((old, _)) => Err(lacks(kind, old)),
        None => Ok(rows),
    }
}

fn lacks(kind: Kind, key: &Key) -> Error {
    Error::failure(format!("the store does not hold `{}`", Address::new(kind, key.clone())))
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
    let mut present: HashMap<(Kind, Key), Row> = HashMap::new();
    for kind in Kind::ALL {
        let of_kind = plan.changes.iter().filter(|change| change.kind == kind);
        let moves: Vec<(Key, Key)> =
            of_kind.filter_map(|change| Some((change.previously()?.clone(), change.key.clone()))).collect();
        if moves.is_empty() {
            continue;
        }
        let mut keys: Vec<Key> = moves.iter().map(|(old, _)| old.clone()).collect();
        keys.sort_unstable();
        let rows: HashMap<Key, Row> =
            snapshot.fetch(kind, &keys)?.into_iter().map(|row| (row.key.clone(), row)).collect();
        let row = |old: &Key| rows.get(old).ok_or_else(|| lacks(kind, old));
        let pairs = moves.iter().map(|(old, new)| Ok((row(old)?, new))).collect::<Result<Vec<_>>>()?;
        let mut told = told_anew(vault, snapshot, kind, pairs.iter().copied())?;
        for (row, new) in pairs {
            let place = (kind, new.clone());
            let anew = told.remove(&place).map_or_else(|| called(vault, kind, row, new), Ok)?;
            present.insert(place, anew);
        }
    }
    for change in &mut plan.changes {
        let place = (change.kind, change.key.clone());
        let Some(special) = change.special.as_mut().filter(|special| special.previously.is_some()) else { continue };
        let Some(row) = present.get(&place) else { continue };
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
