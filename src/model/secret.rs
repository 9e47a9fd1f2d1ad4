//! Secrets: the clear text that cannot be printed, and the sealed form that is stored.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in clear. It has no `Display`, its `Debug` shows nothing, and its memory is zeroed.
#[derive(Clone)]
pub struct Clear(Zeroizing<String>);

impl Clear {
    pub fn new(text: String) -> Clear {
        Clear(Zeroizing::new(text))
    }

    /// The one way to the text: for sealing, and for the product file that must carry it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a declared secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    Clear(Clear),
    Env(String),
    /// Relative to the project's folder.
    File(String),
}

/// A secret sealed under the store's key: a nonce of 12 bytes, then the ciphertext. The nonce is a
/// keyed hash of place and text, so equal bytes mean an unchanged secret, and nothing is to be
/// learned from two places that hold the same one.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Box<[u8]>);

impl Sealed {
    pub fn from_bytes(bytes: &[u8]) -> Sealed {
        Sealed(bytes.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}
