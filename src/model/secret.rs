//! Secrets: the clear text that cannot be printed, where it comes from, and the two forms in which
//! it is stored.

use std::fmt;

use zeroize::Zeroizing;

/// A secret in clear. It has no `Display`, its `Debug` shows nothing, and its memory is zeroed.
#[derive(Clone, PartialEq, Eq)]
pub struct Clear(Zeroizing<String>);

impl Clear {
    pub fn new(text: String) -> Clear {
        Clear(Zeroizing::new(text))
    }

    /// The one way to the text: for sealing and hashing, and for the product file that must carry it.
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
    /// Relative to the project's folder, or absolute. Encrypted if its name ends in `.age`.
    File(String),
    /// A program and its arguments.
    Command(Vec<String>),
    /// Encrypted to the project's recipients: an age file in ASCII armour.
    Age(Clear),
    /// Of a mailbox password, in the notation of Dovecot.
    Hash(Clear),
}

/// A secret sealed under the store's key: a nonce of 12 bytes, then the ciphertext. The nonce is a
/// keyed hash of place and text, so equal bytes mean an unchanged secret, and nothing is to be
/// learned from two places that hold the same one.
///
/// What a server tells of a secret has the nonce that the key it has lent would give, and behind it the secret
/// as the store holds it: it can be recognised and kept, and not be opened.
#[derive(Clone)]
pub struct Sealed(Box<[u8]>);

const NONCE: usize = 12;

impl Sealed {
    pub fn from_bytes(bytes: &[u8]) -> Sealed {
        Sealed(bytes.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What a server tells of a secret: the nonce under the key that it has lent, and the secret as it is stored.
    pub fn told(nonce: &[u8], stored: &Sealed) -> Sealed {
        Sealed([nonce, stored.as_bytes()].concat().into())
    }

    /// Of what a server has told: the secret as it is stored there.
    pub fn kept(&self) -> Option<Sealed> {
        // A sealed text has 28 bytes more than a multiple of 32.
        (self.0.len() % 32 == 8).then(|| Sealed::from_bytes(&self.0[NONCE..]))
    }

    /// A keyed hash of place and text.
    pub fn nonce(&self) -> &[u8] {
        &self.0[..self.0.len().min(NONCE)]
    }

    /// Whether it is the proof beside a hash: no sealed text has its length.
    pub fn is_proof(&self) -> bool {
        self.0.len() == 12 + 48 + 16
    }
}

impl PartialEq for Sealed {
    fn eq(&self, other: &Sealed) -> bool {
        let told = self.kept().is_some() || other.kept().is_some();
        self.0 == other.0 || (told && self.0.len() > NONCE && self.nonce() == other.nonce())
    }
}

impl Eq for Sealed {}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

/// A mailbox password as it is stored: nobody can give it back.
#[derive(Clone)]
pub struct Hashed {
    /// `{SCHEME}…`, as Dovecot reads it.
    pub text: Box<str>,
    /// By which the vault recognises the password that was hashed, without the work of the hash.
    /// `None` for a hash that was declared, or written by other software.
    pub proof: Option<Sealed>,
}

/// The same password under the same salt; a proof says nothing more.
impl PartialEq for Hashed {
    fn eq(&self, other: &Hashed) -> bool {
        self.text == other.text
    }
}

impl Eq for Hashed {}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hashed]")
    }
}
