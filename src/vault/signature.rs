//! Signatures: whoever holds the key of a store can say that a state is of that store, and everyone can tell.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::hex;

pub struct Signer(SigningKey);

impl Signer {
    pub(super) fn new(seed: &Zeroizing<[u8; 32]>) -> Signer {
        Signer(SigningKey::from_bytes(seed))
    }

    /// The public key, in hexadecimal.
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    /// Ed25519 (RFC 8032), in hexadecimal.
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex(&self.0.sign(bytes).to_bytes())
    }
}

/// Whether the signature is that of the public key over the bytes.
pub fn is_signed(bytes: &[u8], public: &str, signature: &str) -> bool {
    let key = from_hex::<32>(public).and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let signature = from_hex::<64>(signature).map(|signature| Signature::from_bytes(&signature));
    // Strict: of one signature there is one spelling.
    matches!((key, signature), (Some(key), Some(signature)) if key.verify_strict(bytes, &signature).is_ok())
}

pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let plain = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 2 * N || !digits.iter().all(plain) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_and_key_alone() {
        let (signer, other) = (Signer::new(&Zeroizing::new([7; 32])), Signer::new(&Zeroizing::new([8; 32])));
        let signature = signer.sign(b"state");
        assert!(is_signed(b"state", &signer.public(), &signature));
        assert!(!is_signed(b"State", &signer.public(), &signature));
        assert!(!is_signed(b"state", &other.public(), &signature));
        for wrong in ["", "zz", &signature[1..], &signature.to_uppercase()] {
            assert!(!is_signed(b"state", &signer.public(), wrong), "{wrong}");
        }
    }
}
