//! The digest by which an unchanged record is recognised. A plan computes one for every record, so it
//! is made of what processors do in hardware: POLYVAL, a hash that no two texts share unless its key
//! is known, and one block of AES over the result, which tells nothing without the key: the way
//! AES-GCM-SIV makes its tags (RFC 8452).

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use polyval::Polyval;
use polyval::universal_hash::UniversalHash;

use crate::model::draft::{CLEAR_BIT, Digest, DraftCell, DraftResource};
use crate::model::{Clear, Raw, SecretSource};

pub struct Digester {
    hash: Polyval,
    mask: Aes256,
}

impl Digester {
    /// `context` is all that gives the records their meaning beside their bytes.
    pub fn new(key: &[u8; 32], context: &[&str]) -> Digester {
        let mut hasher = blake3::Hasher::new_keyed(key);
        for part in context {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut keys = [0; 48];
        hasher.finalize_xof().fill(&mut keys);
        let (hash, mask) = keys.split_at(16);
        Digester { hash: Polyval::new(hash.into()), mask: Aes256::new(mask.into()) }
    }

    /// `secrets` are those that the record names and that stand elsewhere: it says the same only while they
    /// are the same.
    pub fn digest<'s>(&self, record: &[u8], secrets: impl Iterator<Item = &'s Clear>) -> Digest {
        let mut hash = self.hash.clone();
        for secret in secrets {
            let secret = secret.expose().as_bytes();
            hash.update_padded(secret);
            hash.update(&[u128::to_le_bytes(secret.len() as u128 | 1 << 64).into()]);
        }
        hash.update_padded(record);
        // The padding makes texts alike that differ in zeros at their end; their lengths tell them apart.
        hash.update(&[u128::to_le_bytes(record.len() as u128).into()]);
        let mut digest = hash.finalize();
        self.mask.encrypt_block(&mut digest);
        let mut digest: Digest = digest.into();
        // Kept for what is to be known of the record besides.
        digest[15] &= !CLEAR_BIT;
        digest
    }
}

/// All that a resource means by its own words, in 32 bytes, wherever it stands and whatever stands between them;
/// `None` of one whose meaning depends on more: it is deleted or renamed, or a part of it could not be read.
pub fn meaning(resource: &DraftResource) -> Option<[u8; 32]> {
    let DraftResource { kind, key, source: _, absent, previously, whole_record, cells, broken, digest: _ } = resource;
    if *absent || previously.is_some() || !broken.is_empty() {
        return None;
    }
    let mut words = Words::default();
    words.put(kind.name());
    words.put_bytes(key.as_bytes());
    words.count(usize::from(*whole_record));
    words.count(cells.len());
    for DraftCell { field, raw, place: _ } in cells {
        words.put(kind.field(*field).name);
        match raw {
            Raw::Null => words.put("null"),
            Raw::Plain(text) => words.put("plain").put(text),
            Raw::Quoted(text) => words.put("quoted").put(text),
            Raw::Cell(text) => words.put("cell").put(text),
            Raw::List(items) => {
                words.put("list").count(items.len());
                items.iter().fold(&mut words, |words, (item, _)| words.put(item))
            }
            Raw::Secret(SecretSource::Clear(clear)) => words.put("clear").put(clear.expose()),
            Raw::Secret(SecretSource::Env(name)) => words.put("env").put(name),
            Raw::Secret(SecretSource::File(name)) => words.put("file").put(name),
            Raw::Secret(SecretSource::Age(text)) => words.put("age").put(text.expose()),
            Raw::Secret(SecretSource::Hash(hash)) => words.put("hash").put(hash.expose()),
            // What it prints is not known without running it.
            Raw::Secret(SecretSource::Command(_)) => return None,
        };
    }
    Some(words.0.finalize().into())
}

/// Texts one behind the other, so that no two rows of them are the same bytes.
#[derive(Default)]
struct Words(blake3::Hasher);

impl Words {
    fn put(&mut self, text: &str) -> &mut Words {
        self.put_bytes(text.as_bytes())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> &mut Words {
        self.count(bytes.len());
        self.0.update(bytes);
        self
    }

    fn count(&mut self, count: usize) -> &mut Words {
        self.0.update(&(count as u64).to_le_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whatever_differs_has_another_digest() {
        let texts = ["", "\0", "a", "a\0", "taro,p1", "taro,p2", "taro,p1,", &"x".repeat(16), &"x".repeat(17)];
        let mut seen = HashSet::new();
        for (key, context) in
            [([1; 32], ["a", "b"]), ([2; 32], ["a", "b"]), ([1; 32], ["ab", ""]), ([1; 32], ["a", "c"])]
        {
            let digester = Digester::new(&key, &context);
            for text in texts.map(str::as_bytes) {
                let secrets =
                    |texts: &[&str]| texts.iter().map(|text| Clear::new((*text).to_owned())).collect::<Vec<_>>();
                for secrets in [vec![], secrets(&[""]), secrets(&["a"]), secrets(&["a", ""]), secrets(&["", "a"])] {
                    assert!(seen.insert(digester.digest(text, secrets.iter())), "{text:?} {context:?}");
                    assert_eq!(
                        digester.digest(text, secrets.iter()),
                        Digester::new(&key, &context).digest(text, secrets.iter())
                    );
                }
            }
        }
    }
}
