//! Secrets: where they come from, and how they are sealed and hashed.
//!
//! A secret is sealed with AES-256-GCM-SIV (RFC 8452), which stays safe where nonces repeat. Its
//! nonce is a keyed BLAKE3 hash of address, field and text: sealing is deterministic, so an
//! unchanged secret is recognised without opening it, and the same secret in two places looks
//! different. Address and field are authenticated too: a sealed secret cannot be moved.

pub mod armour;
mod command;
pub mod hash;
mod signature;
mod source;
mod transit;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::Zeroizing;

use crate::model::{Address, Clear, Code, Error, Field, Hashed, Result, Sealed};

pub use armour::{KeyFile, KeyRing};
pub use signature::{Signer, is_signed};
pub use source::{Fetcher, is_encrypted};
pub use transit::{ClientKey, Telling, Transit, bytes};

const NONCE: usize = 12;
/// Texts are padded to a multiple of this, so that the stored length tells little.
const BLOCK: usize = 32;

pub struct Vault {
    cipher: Aes256GcmSiv,
    nonce_key: Zeroizing<[u8; 32]>,
    record_key: Zeroizing<[u8; 32]>,
    signing_key: Zeroizing<[u8; 32]>,
    /// From which those of projects come.
    lending_key: Zeroizing<[u8; 32]>,
    transit_key: Zeroizing<[u8; 32]>,
    id: String,
    /// Whether it is the key of one project, which a server has lent.
    lent: bool,
    /// The key itself, while it stands nowhere but here.
    fresh: Option<Zeroizing<[u8; 32]>>,
}

/// Where the key of a store comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The key itself, of `YUBIN_KEY`.
    Given(Clear),
    /// `YUBIN_KEY_FILE`: it must exist.
    File(PathBuf),
    /// Beside the database; made when the store is.
    Beside(PathBuf),
    /// Neither given nor beside a file.
    Absent,
    /// With the server that keeps the store.
    Server,
}

impl Vault {
    pub fn new(key: &[u8; 32]) -> Vault {
        let derive = |purpose: &str| Zeroizing::new(blake3::derive_key(purpose, key));
        let id = blake3::derive_key("yubin 2026 key identity", key);
        Vault {
            cipher: Aes256GcmSiv::new(derive("yubin 2026 sealing").as_slice().into()),
            nonce_key: derive("yubin 2026 nonces and fingerprints"),
            record_key: derive("yubin 2026 digests of records"),
            signing_key: derive("yubin 2026 signatures of states"),
            lending_key: derive("yubin 2026 keys of projects"),
            transit_key: derive("yubin 2026 transit key of a server"),
            id: hex(&id[..8]),
            lent: false,
            fresh: None,
        }
    }

    /// A new key, for a store that has none; it lasts only if it is kept.
    pub fn generate() -> Result<Vault> {
        let key = random()?;
        Ok(Vault { fresh: Some(key.clone()), ..Vault::new(&key) })
    }

    /// Opens the key; `None` if the one beside the database is yet to be made.
    pub fn open(source: &KeySource) -> Result<Option<Vault>> {
        let key = match source {
            KeySource::Given(key) => parse_key(key.expose(), "YUBIN_KEY")?,
            KeySource::Absent | KeySource::Server => return Ok(None),
            KeySource::Beside(path) if !path.exists() => return Ok(None),
            KeySource::File(path) | KeySource::Beside(path) => read_key(path)?,
        };
        Ok(Some(Vault::new(&key)))
    }

    /// The key of a file that a person has named.
    pub fn take(path: &Path) -> Result<Vault> {
        let key = read_key(path)?;
        Ok(Vault { fresh: Some(key.clone()), ..Vault::new(&key) })
    }

    /// Writes a key that is to come beside the file of the present one, see `open_next`. Its file is named
    /// by the key, so that two runs at once do not overwrite each other's.
    pub fn keep_next(&self, path: &Path) -> Result<()> {
        let Some(key) = &self.fresh else { return Ok(()) };
        let next = next_of(path, &self.id);
        // Of the same key, from an interrupted run.
        let _ = fs::remove_file(&next);
        private_file(&next)
            .and_then(|mut file| file.write_all(written(key).as_bytes()).and_then(|()| file.sync_all()))
            // The name must last as well, before the store depends on it.
            .and_then(|()| sync_folder(&next))
            .map_err(|error| Error::failure(format!("the key file {} cannot be made", next.display())).because(error))
    }

    /// The key of this identity where it stands beside the file of another: a run was interrupted before it
    /// took its place.
    pub fn open_next(path: &Path, id: &str) -> Option<Vault> {
        read_key(&next_of(path, id)).ok().map(|key| Vault::new(&key)).filter(|next| next.id == id)
    }

    /// Puts the key that stands beside a file in its place. The one that stood there stays beside it, under
    /// its identity: backups of the store need it.
    pub fn promote(path: &Path, id: &str) -> Result<()> {
        let next = next_of(path, id);
        if next.exists()
            && let Ok(old) = read_key(path)
        {
            // That it exists already, or cannot be made, must not leave the store without its key.
            let kept = old_of(path, Vault::new(&old).id());
            if fs::hard_link(path, &kept).is_err() && !kept.exists() {
                // Not every file system has such links.
                let _ = private_file(&kept).and_then(|mut file| file.write_all(written(&old).as_bytes()));
            }
            #[cfg(unix)]
            let _ = fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o600));
        }
        match fs::rename(&next, path) {
            // Another run has met it before it took its place, and has done that.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(|error| {
                let message =
                    format!("the new key stands in {} and cannot take the place of {}", next.display(), path.display());
                Error::failure(message).because(error).hint("move it there: the store has the new key already")
            }),
        }
    }

    /// Writes a generated key to its file: mode 0600, complete or not at all. Does nothing for a
    /// key that was opened.
    pub fn keep(&mut self, path: &Path) -> Result<()> {
        let Some(key) = &self.fresh else { return Ok(()) };
        let failed = |error| Error::failure(format!("the key file {} cannot be made", path.display())).because(error);
        let text = written(key);
        let scratch = path.with_extension(format!("key.{}", std::process::id()));
        let written = private_file(&scratch)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            // A link fails where a key exists: two first applies cannot make two keys.
            .and_then(|()| fs::hard_link(&scratch, path));
        let removed = fs::remove_file(&scratch);
        match written {
            Ok(()) => removed.map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let message = format!("another run has made the key file {} meanwhile", path.display());
                return Err(Error::new(Code::Conflict, message).hint("run the same command again"));
            }
            Err(error) => return Err(failed(error)),
        }
        self.fresh = None;
        Ok(())
    }

    /// Names the key without telling anything of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is the key of one project, which a server has lent: it recognises secrets and does not open
    /// what the server tells of them.
    pub fn is_lent(&self) -> bool {
        self.lent
    }

    /// Signs what is said of the store; `None` if the key of the store is not at hand.
    pub fn signer(&self) -> Option<Signer> {
        (!self.lent).then(|| Signer::new(&self.signing_key))
    }

    /// Key of the digests by which unchanged records of a project are recognised.
    pub fn record_key(&self, project: &str) -> [u8; 32] {
        if self.lent { *self.record_key } else { *Vault::new(&self.project_key(project)).record_key }
    }

    /// The key that is lent for a project. Nothing is to be learned from it about those of others.
    fn project_key(&self, project: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*blake3::keyed_hash(&self.lending_key, project.as_bytes()).as_bytes())
    }

    /// The public key to which clients of a server seal secrets, in hexadecimal.
    pub fn transit_public(&self) -> String {
        let secret = x25519_dalek::StaticSecret::from(*self.transit_key);
        hex(x25519_dalek::PublicKey::from(&secret).as_bytes())
    }

    pub fn seal(&self, address: &Address, field: &Field, clear: &Clear) -> Sealed {
        let text = clear.expose().as_bytes();
        let mut padded = Zeroizing::new(Vec::with_capacity((text.len() + 4).next_multiple_of(BLOCK)));
        padded.extend_from_slice(&(text.len() as u32).to_le_bytes());
        padded.extend_from_slice(text);
        padded.resize((text.len() + 4).next_multiple_of(BLOCK), 0);
        self.lock(&place(address, field), text, &padded)
    }

    pub fn unseal(&self, address: &Address, field: &Field, sealed: &Sealed) -> Result<Clear> {
        if self.lent && sealed.kept().is_some() {
            let message = format!("the secret `{}` of `{address}` stays with the server", field.name);
            return Err(Error::failure(message).hint("run this where the store is, with `--store` and its own address"));
        }
        let broken =
            || Error::failure(format!("the secret `{}` of `{address}` cannot be opened with this key", field.name));
        let padded = self.unlock(&place(address, field), sealed).ok_or_else(broken)?;
        let (len, text) = padded.split_first_chunk::<4>().ok_or_else(broken)?;
        let text = text.get(..u32::from_le_bytes(*len) as usize).ok_or_else(broken)?;
        String::from_utf8(text.to_vec()).map(Clear::new).map_err(|_| broken())
    }

    /// The nonce is a keyed hash of place and `text`.
    fn lock(&self, place: &[u8], text: &[u8], padded: &[u8]) -> Sealed {
        let mut nonce = blake3::Hasher::new_keyed(&self.nonce_key);
        nonce.update(place);
        nonce.update(text);
        let nonce = &nonce.finalize().as_bytes()[..NONCE].to_owned();
        let sealed = self
            .cipher
            .encrypt(Nonce::from_slice(nonce), Payload { msg: padded, aad: place })
            .expect("a secret is far below the cipher's 64 GiB");
        Sealed::from_bytes(&[nonce.as_slice(), &sealed].concat())
    }

    fn unlock(&self, place: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.as_bytes().split_at_checked(NONCE)?;
        let padded = self.cipher.decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: place });
        padded.ok().map(Zeroizing::new)
    }

    /// A hash of a password, with what it takes to recognise that password without the work of the hash.
    pub fn hashed(&self, address: &Address, field: &Field, hash: &str, clear: &Clear) -> Hashed {
        let proof = Memory::of(hash, clear.expose()).to_bytes();
        Hashed { text: hash.into(), proof: Some(self.lock(&place_of_proof(address, field), &proof, &proof)) }
    }

    /// What is remembered of the password behind a hash; `None` if nothing is: the hash was declared, or
    /// other software has written it.
    pub fn recall(&self, address: &Address, field: &Field, hashed: &Hashed) -> Option<Memory> {
        let proof = self.unlock(&place_of_proof(address, field), hashed.proof.as_ref()?)?;
        Memory::from_bytes(&proof, &hashed.text)
    }

    /// Whether a stored hash is that of the password.
    pub fn is(&self, address: &Address, field: &Field, hashed: &Hashed, clear: &Clear) -> bool {
        match self.recall(address, field, hashed) {
            Some(memory) => memory.is(clear.expose()),
            None => hash::verify(&hashed.text, clear).unwrap_or_default(),
        }
    }

    /// The same proof under another key.
    pub fn reseal_proof(&self, from: &Vault, address: &Address, field: &Field, proof: &Sealed) -> Option<Sealed> {
        let place = place_of_proof(address, field);
        let bytes = from.unlock(&place, proof)?;
        Some(self.lock(&place, &bytes, &bytes))
    }

    /// The same proof for another address.
    pub fn move_proof(&self, from: &Address, to: &Address, field: &Field, proof: &Sealed) -> Option<Sealed> {
        let bytes = self.unlock(&place_of_proof(from, field), proof)?;
        Some(self.lock(&place_of_proof(to, field), &bytes, &bytes))
    }

    /// A digest under this key, for what must be compared later and may not be guessed now.
    pub fn fingerprint(&self, parts: impl Iterator<Item = Vec<u8>>) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(&part);
        }
        hasher.finalize().to_hex().to_string()
    }
}

fn place(address: &Address, field: &Field) -> Vec<u8> {
    let mut place = Vec::with_capacity(64);
    place.extend_from_slice(address.kind.name().as_bytes());
    place.push(0);
    place.extend_from_slice(address.key.as_bytes());
    place.push(0);
    place.extend_from_slice(field.name.as_bytes());
    // Length last: no two places have the same bytes, whatever text follows.
    place.extend_from_slice(&(address.key.as_bytes().len() as u64).to_le_bytes());
    place
}

fn place_of_proof(address: &Address, field: &Field) -> Vec<u8> {
    [place(address, field).as_slice(), b"proof"].concat()
}

/// Digests of a password, salted with its hash: enough to recognise it, and it written in other case.
pub struct Memory {
    salt: [u8; 32],
    exact: [u8; 16],
    folded: [u8; 16],
}

impl Memory {
    fn of(hash: &str, text: &str) -> Memory {
        let salt = blake3::derive_key("yubin 2026 memory of a password", hash.as_bytes());
        let digest = |text: &str| digest(&salt, text);
        Memory { exact: digest(text), folded: digest(&text.to_lowercase()), salt }
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Of the hash, only what tells that the proof belongs to it.
        Zeroizing::new([&self.salt[..16], &self.exact, &self.folded].concat())
    }

    fn from_bytes(bytes: &[u8], hash: &str) -> Option<Memory> {
        let salt = blake3::derive_key("yubin 2026 memory of a password", hash.as_bytes());
        let (of, digests) = bytes.split_first_chunk::<16>()?;
        let (exact, folded) = digests.split_first_chunk::<16>()?;
        (salt.starts_with(of)).then_some(Memory { salt, exact: *exact, folded: folded.try_into().ok()? })
    }

    pub fn is(&self, text: &str) -> bool {
        digest(&self.salt, text) == self.exact
    }

    /// Whether it is the text but for upper and lower case; the text is in lower case.
    pub fn is_folded(&self, lower: &str) -> bool {
        digest(&self.salt, lower) == self.folded
    }
}

fn digest(salt: &[u8; 32], text: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::keyed_hash(salt, text.as_bytes()).as_bytes()[..16]);
    digest
}

fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|error| Error::failure("the system gives no random bytes").because(error))?;
    Ok(key)
}

/// A number below `count`, each as likely as the others.
pub fn pick(count: usize) -> Result<usize> {
    let count = count as u64;
    // The numbers from here on would favour the lowest.
    let end = u64::MAX - u64::MAX % count.max(1);
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::failure("the system gives no random bytes").because(error))?;
        let number = u64::from_le_bytes(bytes);
        if number < end {
            return Ok((number % count.max(1)) as usize);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A key as its file holds it.
fn written(key: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(hex(key) + "\n")
}

fn next_of(path: &Path, id: &str) -> PathBuf {
    beside(path, "next", id)
}

/// Where a key stays when it is replaced.
pub fn old_of(path: &Path, id: &str) -> PathBuf {
    beside(path, "old", id)
}

fn beside(path: &Path, what: &str, id: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}.{id}"));
    PathBuf::from(name)
}

/// Makes the names in the folder of a file last.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let text = read_small(path).and_then(|bytes| {
        String::from_utf8(bytes.to_vec()).map(Zeroizing::new).map_err(|_| std::io::Error::other("it is no text"))
    });
    let text =
        text.map_err(|error| Error::failure(format!("the key file {} cannot be read", path.display())).because(error))?;
    parse_key(&text, &path.display().to_string())
}

/// Reads an ordinary file that cannot be large: a device or a pipe would be read for ever.
pub fn read_small(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    const MOST: u64 = 1024 * 1024;
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(std::io::Error::other("it is no ordinary file"));
    }
    if about.len() > MOST {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    fs::read(path).map(Zeroizing::new)
}

fn parse_key(text: &str, name: &str) -> Result<Zeroizing<[u8; 32]>> {
    let text = text.trim();
    let digit = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let mut key = Zeroizing::new([0; 32]);
    let mut sound = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    for (at, byte) in key.iter_mut().enumerate() {
        match digit(2 * at) {
            Some(value) if sound => *byte = value,
            _ => sound = false,
        }
    }
    if sound {
        return Ok(key);
    }
    Err(Error::failure(format!("{name} holds no key")).hint("a key is 64 hexadecimal digits: 32 random bytes"))
}

/// A new file that only its owner can read.
pub fn private_file(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether others than the owner may read the file.
#[cfg(unix)]
pub fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub fn is_exposed(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, Kind};

    fn at(name: &str) -> (Address, &'static Field) {
        let field = Kind::Account.field(Kind::Account.id("incoming.password"));
        (Address::new(Kind::Account, Key::single(name)), field)
    }

    #[test]
    fn sealing_is_deterministic_bound_to_its_place_and_reversible() {
        let vault = Vault::new(&[7; 32]);
        let (taro, field) = at("taro");
        let (jiro, _) = at("jiro");
        for text in ["x", "p@ss 受信", &"long".repeat(50)] {
            let clear = Clear::new(text.to_owned());
            let sealed = vault.seal(&taro, field, &clear);
            assert_eq!(sealed, vault.seal(&taro, field, &clear));
            assert_ne!(sealed, vault.seal(&jiro, field, &clear));
            assert_eq!(vault.unseal(&taro, field, &sealed).unwrap().expose(), text);
            assert!(vault.unseal(&jiro, field, &sealed).is_err());
            assert!(Vault::new(&[8; 32]).unseal(&taro, field, &sealed).is_err());
            let mut bent = sealed.as_bytes().to_vec();
            *bent.last_mut().unwrap() ^= 1;
            assert!(vault.unseal(&taro, field, &Sealed::from_bytes(&bent)).is_err());
            assert!(!sealed.as_bytes().windows(text.len()).any(|w| text.len() > 3 && w == text.as_bytes()));
        }
        assert!(vault.unseal(&taro, field, &Sealed::from_bytes(b"short")).is_err());
    }

    #[test]
    fn a_hashed_password_is_recognised_at_its_place_and_by_its_hash_alone() {
        let vault = Vault::new(&[7; 32]);
        let field = Kind::Account.field(Kind::Account.id("password"));
        let (taro, jiro) = (at("taro").0, at("jiro").0);
        let clear = |text: &str| Clear::new(text.to_owned());
        let text = hash::hash(crate::model::Scheme::Argon2id, &clear("Open Sesame")).unwrap();
        let hashed = vault.hashed(&taro, field, &text, &clear("Open Sesame"));
        let memory = vault.recall(&taro, field, &hashed).unwrap();
        assert!(memory.is("Open Sesame") && !memory.is("open sesame") && memory.is_folded("open sesame"));
        assert!(vault.is(&taro, field, &hashed, &clear("Open Sesame")));
        assert!(!vault.is(&taro, field, &hashed, &clear("open sesame")));
        // Without a proof the hash itself tells, and so it does where the proof is of another place or hash.
        let bare = Hashed { proof: None, ..hashed.clone() };
        assert!(vault.recall(&taro, field, &bare).is_none() && vault.recall(&jiro, field, &hashed).is_none());
        let other = hash::hash(crate::model::Scheme::Argon2id, &clear("Other")).unwrap();
        let other = Hashed { text: other.into(), ..hashed.clone() };
        assert!(vault.recall(&taro, field, &other).is_none());
        for (hashed, password) in [(&bare, "Open Sesame"), (&other, "Other")] {
            assert!(vault.is(&taro, field, hashed, &clear(password)));
            assert!(!vault.is(&taro, field, hashed, &clear("Open sesame")));
        }
        let new = Vault::new(&[8; 32]);
        let proof = new.reseal_proof(&vault, &taro, field, hashed.proof.as_ref().unwrap());
        let moved = Hashed { proof, ..hashed.clone() };
        assert!(new.recall(&taro, field, &moved).unwrap().is("Open Sesame"));
        assert!(vault.recall(&taro, field, &moved).is_none());
    }

    #[test]
    fn short_passwords_do_not_show_their_length() {
        let vault = Vault::new(&[7; 32]);
        let (taro, field) = at("taro");
        let len = |text: &str| vault.seal(&taro, field, &Clear::new(text.to_owned())).as_bytes().len();
        assert_eq!(len("a"), len("abcdefghijklmnopqrstuvwxyz12"));
    }

    #[test]
    fn the_key_file_is_private_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let mut made = Vault::generate().unwrap();
        made.keep(&path).unwrap();
        assert!(!is_exposed(&path));
        assert_eq!(Vault::generate().unwrap().keep(&path).unwrap_err().code, Code::Conflict);
        let opened = Vault::open(&KeySource::Beside(path.clone())).unwrap().unwrap();
        assert_eq!(opened.id(), made.id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&path, "nonsense").unwrap();
        let error = Vault::open(&KeySource::Beside(path)).err().unwrap();
        assert!(!error.to_string().contains("nonsense"));
    }
}
