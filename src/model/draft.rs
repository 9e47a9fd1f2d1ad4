//! What the files say, with the place of every value, before anything is decided about it.

use compact_str::CompactString;

use super::field::FieldId;
use super::kind::{Address, Key, Kind};
use super::secret::SecretSource;

/// Line and column (characters), both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// A place in one of the run's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Index into `Draft::files`.
    pub file: u32,
    pub place: Place,
}

/// A value as it was written. Only the field's type says what it means.
#[derive(Clone, Debug)]
pub enum Raw {
    /// `null`, `~` or nothing at all: back to the default.
    Null,
    /// A plain YAML scalar: what it is depends on the field.
    Plain(CompactString),
    /// A quoted or block YAML scalar: text, never a number.
    Quoted(CompactString),
    /// A CSV cell: the word of the value.
    Cell(CompactString),
    List(Vec<(CompactString, Place)>),
    Secret(SecretSource),
}

#[derive(Clone, Debug)]
pub struct DraftCell {
    pub field: FieldId,
    pub raw: Raw,
    pub place: Place,
}

/// The digest by which an unchanged record is recognised, see `Inventory`.
pub type Digest = [u8; 16];

/// In the last byte of a digest: whether the record holds a password in clear.
pub const CLEAR_BIT: u8 = 1;

#[derive(Clone, Debug)]
pub struct DraftResource {
    pub kind: Kind,
    pub key: Key,
    pub source: Source,
    /// A tombstone: delete it if it exists.
    pub absent: bool,
    /// Its name so far, if it is to be renamed: the last part of the key.
    pub previously: Option<Box<(CompactString, Place)>>,
    /// From a file of a product that writes whole records, where what is missing is worth a word.
    pub whole_record: bool,
    pub cells: Vec<DraftCell>,
    /// Fields that are written, but so that they cannot be read; what is wrong is said already.
    pub broken: Vec<FieldId>,
    /// Of a record that says everything by itself; `None` if its meaning depends on more.
    pub digest: Option<Digest>,
}

impl DraftResource {
    pub fn address(&self) -> Address {
        Address::new(self.kind, self.key.clone())
    }

    /// Its key so far, if it is to be renamed.
    pub fn previously(&self) -> Option<Key> {
        self.previously.as_ref().map(|previously| self.key.renamed(&previously.0))
    }
}

/// A record that says, byte for byte, what was applied last.
#[derive(Clone, Copy, Debug)]
pub struct Recognised {
    pub kind: Kind,
    /// Index into the inventory of the kind.
    pub entry: u32,
    pub source: Source,
    /// Whether it holds a password in clear.
    pub clear: bool,
}

#[derive(Debug, Default)]
pub struct Draft {
    /// Relative to the project, with `/`.
    pub files: Vec<String>,
    pub resources: Vec<DraftResource>,
    pub recognised: Vec<Recognised>,
    /// Hashes of the digests of those recognised that name secrets elsewhere: they cover those, too.
    pub outside: Vec<[u8; 32]>,
    /// Kinds that the files mention, by `Kind as usize`: only they are managed.
    pub mentioned: [bool; 3],
    /// Entries of `sources:` that match no file.
    pub vanished: Vec<String>,
}
