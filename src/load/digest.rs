//! The digest by which an unchanged record is recognised. A plan computes one for every record, so it
//! is made of what processors do in hardware: POLYVAL, a hash that no two texts share unless its key
//! is known, and one block of AES over the result, which tells nothing without the key: the way
//! AES-GCM-SIV makes its tags (RFC 8452).

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use polyval::Polyval;
use polyval::universal_hash::UniversalHash;

use crate::model::Clear;
use crate::model::draft::{CLEAR_BIT, Digest};

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
    pub fn digest<'s>(&self, record: &str, secrets: impl Iterator<Item = &'s Clear>) -> Digest {
        let mut hash = self.hash.clone();
        for secret in secrets {
            let secret = secret.expose().as_bytes();
            hash.update_padded(secret);
            hash.update(&[u128::to_le_bytes(secret.len() as u128 | 1 << 64).into()]);
        }
        hash.update_padded(record.as_bytes());
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
            for text in texts {
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
