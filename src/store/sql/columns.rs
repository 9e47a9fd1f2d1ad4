//! The columns of the tables, generated from the field tables: one typed column per field, so that other
//! software can read the state.

use crate::model::{Field, FieldId, Kind, Type};

/// Columns of yubin before the fields: digest of the record that declared the resource, the
/// project that owns it, the revision that wrote it, the one that disabled it, its name before its last rename.
pub const OWN_COLUMNS: [&str; 5] =
    ["yubin_declared", "yubin_owner", "yubin_revision", "yubin_disabled", "yubin_previously"];

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Text,
    Integer,
    /// An integer in `SQLite`, which has no other.
    Boolean,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As SQL names it.
    pub name: String,
    pub holds: Holds,
}

impl Column {
    pub fn new(name: &str, holds: Holds) -> Column {
        Column { name: name.to_owned(), holds }
    }
}

/// A column as SQL names it: `user` is a word of its own there, and in PostgreSQL means who is connected.
fn quoted(name: String) -> String {
    if name == "user" { format!("\"{name}\"") } else { name }
}

/// The columns of a key as SQL names them.
pub fn keys(kind: Kind) -> impl Iterator<Item = String> {
    kind.key_parts().iter().map(|part| quoted((*part).to_owned()))
}

/// The column of a field as SQL names it.
pub fn column(kind: Kind, field: FieldId) -> String {
    quoted(kind.field(field).column())
}

pub fn key_list(kind: Kind) -> String {
    keys(kind).collect::<Vec<_>>().join(", ")
}

/// `name = ?1`, the parameters counted from `first`.
pub fn by_key(kind: Kind, first: usize) -> String {
    let parts: Vec<String> = (first..).zip(keys(kind)).map(|(at, part)| format!("{part} = ?{at}")).collect();
    parts.join(" AND ")
}

/// Key, yubin's own, fields, proofs of hashed passwords: the order of columns in every statement.
pub fn all_columns(kind: Kind) -> Vec<String> {
    typed(kind).map(|column| column.name).collect()
}

/// The same, with what they hold.
pub fn typed(kind: Kind) -> impl Iterator<Item = Column> {
    let own = [Holds::Bytes, Holds::Text, Holds::Integer, Holds::Integer, Holds::Text];
    let own = OWN_COLUMNS.into_iter().zip(own).map(|(name, holds)| Column::new(name, holds));
    let fields = kind.fields().iter().map(|field: &Field| {
        let holds = match field.ty {
            Type::Bool => Holds::Boolean,
            Type::Int { .. } => Holds::Integer,
            Type::Secret => Holds::Bytes,
            _ => Holds::Text,
        };
        Column { name: quoted(field.column()), holds }
    });
    let proofs = proofs(kind).map(|name| Column { name, holds: Holds::Bytes });
    keys(kind).map(|name| Column { name, holds: Holds::Text }).chain(own).chain(fields).chain(proofs)
}

/// The columns, as a store of an older version has them.
pub fn columns_of(kind: Kind, version: i32) -> Vec<String> {
    let mut columns = all_columns(kind);
    if version < 7 {
        for name in columns.iter_mut().filter(|name| NEW_IN_7.contains(&name.as_str())) {
            *name = format!("NULL AS {name}");
        }
    }
    if version < 4 {
        for name in columns.iter_mut().filter(|name| NEW_IN_4.contains(&name.as_str())) {
            *name = format!("NULL AS {name}");
        }
    }
    if version < 3 {
        for column in proofs(kind) {
            let hash = column.trim_end_matches(PROOF);
            columns.iter_mut().filter(|name| *name == hash).for_each(|name| *name = format!("NULL AS {hash}"));
            columns.iter_mut().filter(|name| **name == column).for_each(|name| *name = format!("{hash} AS {column}"));
        }
    }
    columns
}

const NEW_IN_4: [&str; 3] = ["yubin_disabled", "yubin_previously", "protected"];

const NEW_IN_7: [&str; 3] = ["login_imap", "login_pop3", "login_smtp"];

const PROOF: &str = "_proof";

/// The fields that are stored as hashes.
pub fn hashed(kind: Kind) -> impl Iterator<Item = FieldId> {
    (0..).zip(kind.fields()).filter(|(_, field)| matches!(field.ty, Type::Password)).map(|(id, _)| id)
}

/// Columns beside those of hashes: by what they hold, an unchanged password is recognised.
pub fn proofs(kind: Kind) -> impl Iterator<Item = String> {
    hashed(kind).map(move |field| proof(kind, field))
}

pub fn proof(kind: Kind, field: FieldId) -> String {
    format!("{}{PROOF}", kind.field(field).column())
}
