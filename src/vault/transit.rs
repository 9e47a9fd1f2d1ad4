//! Between a client and the server that keeps a store: secrets travel sealed to a key of the server, and what
//! the client must recognise is told under a key that the server lends for one project.
//!
//! Client and server agree on a key by X25519 (RFC 7748): the client's half is new for every run, the server's
//! comes from the key of its store, and is the same on all servers of the store.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{Vault, hex, signature::from_hex};
use crate::model::{Address, Clear, Field, Hashed, Result, Sealed};

/// The client's half of the agreement, for one run.
pub struct ClientKey(StaticSecret);

impl ClientKey {
    pub fn generate() -> Result<ClientKey> {
        Ok(ClientKey(StaticSecret::from(*super::random()?)))
    }

    /// In hexadecimal.
    pub fn public(&self) -> String {
        hex(PublicKey::from(&self.0).as_bytes())
    }

    /// `None` if that is no public key.
    pub fn agree(&self, server: &str) -> Option<Transit> {
        let server = PublicKey::from(from_hex::<32>(server)?);
        Transit::new(&self.0, &server, &PublicKey::from(&self.0), &server)
    }
}

/// What client and server agree on.
pub struct Transit(Vault);

impl Transit {
    fn new(ours: &StaticSecret, theirs: &PublicKey, client: &PublicKey, server: &PublicKey) -> Option<Transit> {
        let shared = ours.diffie_hellman(theirs);
        // A key that makes the secret the same for everybody.
        if !shared.was_contributory() {
            return None;
        }
        let material = Zeroizing::new([shared.as_bytes().as_slice(), client.as_bytes(), server.as_bytes()].concat());
        Some(Transit(Vault::new(&Zeroizing::new(blake3::derive_key("yubin 2026 transit", &material)))))
    }

    pub fn seal(&self, address: &Address, field: &Field, clear: &Clear) -> String {
        BASE64.encode(self.0.seal(address, field, clear).as_bytes())
    }

    pub fn open(&self, address: &Address, field: &Field, sealed: &str) -> Option<Clear> {
        self.0.unseal(address, field, &bytes(sealed)?).ok()
    }

    /// A hash, with the proof beside it as it is.
    pub fn seal_hashed(&self, address: &Address, field: &Field, hashed: &Hashed) -> String {
        let proof = hashed.proof.as_ref().map_or(String::new(), |proof| BASE64.encode(proof.as_bytes()));
        self.seal(address, field, &Clear::new(format!("{proof} {}", hashed.text)))
    }

    pub fn open_hashed(&self, address: &Address, field: &Field, sealed: &str) -> Option<Hashed> {
        let both = self.open(address, field, sealed)?;
        let (proof, text) = both.expose().split_once(' ')?;
        let proof = if proof.is_empty() { None } else { Some(bytes(proof)?) };
        Some(Hashed { text: text.into(), proof })
    }

    /// The key that a server lends.
    fn seal_key(&self, project: &str, key: &[u8; 32]) -> String {
        BASE64.encode(self.0.lock(&place(project), key, key).as_bytes())
    }

    /// The vault of a project, of the key that a server has lent.
    pub fn lent(&self, project: &str, sealed: &str) -> Option<Vault> {
        let key = self.0.unlock(&place(project), &bytes(sealed)?)?;
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(key.as_slice().try_into().ok()?);
        Some(Vault { lent: true, ..Vault::new(&key) })
    }
}

fn place(project: &str) -> Vec<u8> {
    [b"project\0", project.as_bytes()].concat()
}

/// What stands in Base64.
pub fn bytes(text: &str) -> Option<Sealed> {
    BASE64.decode(text).ok().map(|bytes| Sealed::from_bytes(&bytes))
}

/// A server's side, towards one client and for one project.
pub struct Telling<'a> {
    store: &'a Vault,
    lent: Vault,
    transit: Transit,
    key: Zeroizing<[u8; 32]>,
}

impl<'a> Telling<'a> {
    /// `None` if that is no public key of a client.
    pub fn new(store: &'a Vault, client: &str, project: &str) -> Option<Telling<'a>> {
        let client = PublicKey::from(from_hex::<32>(client)?);
        let ours = StaticSecret::from(*store.transit_key);
        let transit = Transit::new(&ours, &client, &client, &PublicKey::from(&ours))?;
        let key = store.project_key(project);
        Some(Telling { store, lent: Vault { lent: true, ..Vault::new(&key) }, transit, key })
    }

    /// The key that is lent, sealed for the client.
    pub fn key(&self, project: &str) -> String {
        self.transit.seal_key(project, &self.key)
    }

    /// By which the client recognises a secret; `None` if the store's key does not open it.
    pub fn tell(&self, address: &Address, field: &Field, stored: &Sealed) -> Option<String> {
        let clear = self.store.unseal(address, field, stored).ok()?;
        let told = Sealed::told(self.lent.seal(address, field, &clear).nonce(), stored);
        Some(BASE64.encode(told.as_bytes()))
    }

    /// The same as it would be under another address.
    pub fn tell_called(&self, from: &Address, to: &Address, field: &Field, stored: &Sealed) -> Option<String> {
        let clear = self.store.unseal(from, field, stored).ok()?;
        let moved = self.store.seal(to, field, &clear);
        let told = Sealed::told(self.lent.seal(to, field, &clear).nonce(), &moved);
        Some(BASE64.encode(told.as_bytes()))
    }

    pub fn tell_hashed(&self, address: &Address, field: &Field, stored: &Hashed) -> String {
        let proof = stored.proof.as_ref();
        let proof = proof.and_then(|proof| self.lent.reseal_proof(self.store, address, field, proof));
        self.transit.seal_hashed(address, field, &Hashed { text: stored.text.clone(), proof })
    }

    /// The same as it would be under another address.
    pub fn tell_hashed_called(&self, from: &Address, to: &Address, field: &Field, stored: &Hashed) -> String {
        let proof = stored.proof.as_ref().and_then(|proof| self.store.move_proof(from, to, field, proof));
        self.tell_hashed(to, field, &Hashed { text: stored.text.clone(), proof })
    }

    /// A secret that the client has sealed, as the store holds it.
    pub fn take(&self, address: &Address, field: &Field, sealed: &str) -> Option<Sealed> {
        let clear = self.transit.open(address, field, sealed)?;
        Some(self.store.seal(address, field, &clear))
    }

    pub fn take_hashed(&self, address: &Address, field: &Field, sealed: &str) -> Option<Hashed> {
        let Hashed { text, proof } = self.transit.open_hashed(address, field, sealed)?;
        let proof = match proof {
            Some(proof) => Some(self.store.reseal_proof(&self.lent, address, field, &proof)?),
            None => None,
        };
        Some(Hashed { text, proof })
    }

    /// What was told before, and is written again as it is stored.
    pub fn take_kept(&self, address: &Address, field: &Field, kept: &str) -> Option<Sealed> {
        let stored = bytes(kept)?;
        // Sealed for this place, or for none.
        self.store.unseal(address, field, &stored).ok().map(|_| stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, Kind};

    fn password() -> &'static Field {
        Kind::Account.field(Kind::Account.id("password"))
    }

    fn sides(store: &Vault) -> (ClientKey, Transit, Vault) {
        let client = ClientKey::generate().unwrap();
        let transit = client.agree(&store.transit_public()).unwrap();
        let lent = transit.lent("demo", &Telling::new(store, &client.public(), "demo").unwrap().key("demo")).unwrap();
        (client, transit, lent)
    }

    #[test]
    fn a_secret_is_recognised_kept_and_written_but_not_opened() {
        let store = Vault::new(&[7; 32]);
        let (client, transit, lent) = sides(&store);
        let telling = Telling::new(&store, &client.public(), "demo").unwrap();
        let field = Kind::Pattern.field(Kind::Pattern.id("incoming.password"));
        let address = Address::new(Kind::Pattern, Key::pair("taro", "p"));
        let clear = Clear::new("open sesame".to_owned());
        let stored = store.seal(&address, field, &clear);
        let told = bytes(&telling.tell(&address, field, &stored).unwrap()).unwrap();
        assert!(told == lent.seal(&address, field, &clear));
        assert!(told != lent.seal(&address, field, &Clear::new("Open sesame".to_owned())));
        assert!(lent.unseal(&address, field, &told).is_err());
        let kept = told.kept().unwrap();
        assert!(telling.take_kept(&address, field, &BASE64.encode(kept.as_bytes())).unwrap() == stored);
        let other = Address::new(Kind::Pattern, Key::pair("jiro", "p"));
        assert!(telling.take_kept(&other, field, &BASE64.encode(kept.as_bytes())).is_none());
        assert!(telling.take(&address, field, &transit.seal(&address, field, &clear)).unwrap() == stored);
        assert!(telling.take(&other, field, &transit.seal(&address, field, &clear)).is_none());
        let moved = bytes(&telling.tell_called(&address, &other, field, &stored).unwrap()).unwrap();
        assert!(moved == lent.seal(&other, field, &clear));
    }

    #[test]
    fn a_hash_and_its_proof_go_both_ways() {
        let store = Vault::new(&[7; 32]);
        let (client, transit, lent) = sides(&store);
        let telling = Telling::new(&store, &client.public(), "demo").unwrap();
        let address = Address::new(Kind::Account, Key::single("taro"));
        let clear = Clear::new("open sesame".to_owned());
        let stored = store.hashed(&address, password(), "{SHA512-CRYPT}$6$x", &clear);
        let told =
            transit.open_hashed(&address, password(), &telling.tell_hashed(&address, password(), &stored)).unwrap();
        assert!(lent.recall(&address, password(), &told).unwrap().is("open sesame"));
        assert!(store.recall(&address, password(), &told).is_none());
        let sent = lent.hashed(&address, password(), "{SHA512-CRYPT}$6$y", &clear);
        let taken =
            telling.take_hashed(&address, password(), &transit.seal_hashed(&address, password(), &sent)).unwrap();
        assert!(store.recall(&address, password(), &taken).unwrap().is("open sesame"));
    }

    #[test]
    fn projects_and_runs_have_keys_of_their_own() {
        let store = Vault::new(&[7; 32]);
        let (_, _, one) = sides(&store);
        let (client, _, two) = sides(&store);
        assert_eq!(one.record_key("demo"), two.record_key("demo"), "the same in every run");
        assert_eq!(one.record_key("demo"), store.record_key("demo"), "and beside the store");
        assert_ne!(store.record_key("demo"), store.record_key("other"));
        let telling = Telling::new(&store, &client.public(), "demo").unwrap();
        let stranger = ClientKey::generate().unwrap().agree(&store.transit_public()).unwrap();
        assert!(stranger.lent("demo", &telling.key("demo")).is_none());
        assert!(client.agree(&"0".repeat(64)).is_none(), "a key of low order");
        assert!(client.agree("nonsense").is_none());
    }
}
