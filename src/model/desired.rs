//! What should be: every declared resource with typed values, its secrets sealed.

use super::draft::{Digest, Recognised, Source};
use super::field::FieldId;
use super::kind::{Address, Key, Kind};
use super::resource::Row;
use super::secret::SecretSource;
use super::value::Value;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Written,
    /// The product's default, on an add.
    Default,
    /// Brought by `server:`.
    Server,
}

#[derive(Clone, Debug)]
pub enum Aim {
    Value(Value),
    /// Until the vault has sealed it.
    Secret(SecretSource),
    /// `null` where the product has no default: no value.
    Clear,
}

#[derive(Clone, Debug)]
pub struct Wish {
    pub field: FieldId,
    pub origin: Origin,
    pub aim: Aim,
    /// Where it is written; that of the resource for defaults.
    pub source: Source,
}

#[derive(Clone, Debug)]
pub struct Wanted {
    pub kind: Kind,
    pub key: Key,
    pub source: Source,
    pub absent: bool,
    /// How it was called before, if the files say so.
    pub previously: Option<Key>,
    /// In table order.
    pub wishes: Vec<Wish>,
    /// Kept with the resource, so that the same record is recognised the next time.
    pub digest: Option<Digest>,
}

impl Wish {
    pub fn value(&self) -> Option<&Value> {
        match &self.aim {
            Aim::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl Wanted {
    pub fn address(&self) -> Address {
        Address::new(self.kind, self.key.clone())
    }

    pub fn wish(&self, field: FieldId) -> Option<&Wish> {
        self.place_of(field).map(|at| &self.wishes[at])
    }

    /// Place of a field among the wishes.
    pub fn place_of(&self, field: FieldId) -> Option<usize> {
        self.wishes.binary_search_by_key(&field, |wish| wish.field).ok()
    }

    pub fn extend(&mut self, wishes: impl IntoIterator<Item = Wish>) {
        self.wishes.extend(wishes);
        self.wishes.sort_by_key(|wish| wish.field);
    }
}

/// Everything that the files declare, beside the resources themselves.
#[derive(Debug, Default)]
pub struct Desired {
    pub files: Vec<String>,
    pub recognised: Vec<Recognised>,
    pub mentioned: [bool; 3],
    pub vanished: Vec<String>,
}

/// Whether a declared resource exists. Without a store it is not known.
#[derive(Clone, Copy)]
pub enum Existence<'a> {
    Unknown,
    Absent,
    Present(&'a Row),
}

impl<'a> Existence<'a> {
    pub fn row(self) -> Option<&'a Row> {
        match self {
            Existence::Present(row) => Some(row),
            _ => None,
        }
    }
}
