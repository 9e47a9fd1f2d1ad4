//! What the store holds, by key: enough to tell adds from overwrites and to recognise records
//! that have not changed, at some tens of bytes a resource.

use std::cmp::Ordering;

use super::draft::{CLEAR_BIT, Digest};
use super::kind::{Key, Kind};

#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// The project of this run.
    Us,
    Nobody,
    /// Index into `Inventory::owners`.
    Other(u32),
}

#[derive(Debug)]
struct Entry {
    end: u32,
    owner: Owner,
    declared: Option<Digest>,
}

/// The resources of one kind, in ascending order of keys.
#[derive(Debug, Default)]
pub struct Shelf {
    keys: String,
    entries: Vec<Entry>,
    owned: usize,
}

impl Shelf {
    /// Whether the key ascends bytewise after those before it: a store with another collation would
    /// turn into deletes and adds.
    #[must_use]
    pub fn push(&mut self, key: &[&str], owner: Owner, declared: Option<Digest>) -> bool {
        let start = self.keys.len();
        for (at, part) in key.iter().enumerate() {
            if at > 0 {
                self.keys.push('\0');
            }
            self.keys.push_str(part);
        }
        if let Some(last) = self.entries.len().checked_sub(1)
            && self.joined(last as u32) >= &self.keys[start..]
        {
            return false;
        }
        let end = u32::try_from(self.keys.len()).expect("keys of one kind exceed 4 GiB");
        self.entries.push(Entry { end, owner, declared });
        self.owned += usize::from(matches!(owner, Owner::Us));
        true
    }

    /// No record is recognised any more as what declared the resource.
    pub fn forget(&mut self, key: &Key) {
        if let Some(at) = self.find(key.as_bytes()) {
            self.entries[at as usize].declared = None;
        }
    }

    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.entries.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.joined(middle).as_bytes().cmp(key) {
                Ordering::Equal => return Some(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// `find` for keys that mostly come in the order of the store: `hint` is where the next one
    /// is expected.
    pub fn find_from(&self, hint: u32, key: &[u8]) -> Option<u32> {
        if (hint as usize) < self.entries.len() && self.joined(hint).as_bytes() == key {
            return Some(hint);
        }
        self.find(key)
    }

    /// The parts of the key, joined by NUL.
    pub fn joined(&self, at: u32) -> &str {
        let start = if at == 0 { 0 } else { self.entries[at as usize - 1].end as usize };
        &self.keys[start..self.entries[at as usize].end as usize]
    }

    pub fn key(&self, at: u32) -> Key {
        Key::from_parts(self.joined(at).split('\0'))
    }

    pub fn owner(&self, at: u32) -> Owner {
        self.entries[at as usize].owner
    }

    /// Whether a record of this digest was the last one applied to the resource.
    pub fn recognises(&self, at: u32, digest: &Digest) -> bool {
        let plain = |mut digest: Digest| {
            digest[15] &= !CLEAR_BIT;
            digest
        };
        self.entries[at as usize].declared.is_some_and(|declared| plain(declared) == plain(*digest))
    }

    /// Whether that record held a password in clear.
    pub fn is_marked(&self, at: u32) -> bool {
        self.entries[at as usize].declared.is_some_and(|declared| declared[15] & CLEAR_BIT != 0)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many belong to the project of this run.
    pub fn owned(&self) -> usize {
        self.owned
    }
}

#[derive(Debug, Default)]
pub struct Inventory {
    shelves: [Shelf; 3],
    pub owners: Vec<String>,
}

impl Inventory {
    pub fn of(&self, kind: Kind) -> &Shelf {
        &self.shelves[kind as usize]
    }

    pub fn of_mut(&mut self, kind: Kind) -> &mut Shelf {
        &mut self.shelves[kind as usize]
    }

    pub fn owner_id(&mut self, name: &str) -> u32 {
        let at = self.owners.iter().position(|owner| owner == name).unwrap_or_else(|| {
            self.owners.push(name.to_owned());
            self.owners.len() - 1
        });
        at as u32
    }
}
