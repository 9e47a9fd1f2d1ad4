//! Secrets: where they come from, and how they are sealed.
//!
//! A secret is sealed with AES-256-GCM-SIV (RFC 8452), which stays safe where nonces repeat. Its
//! nonce is a keyed BLAKE3 hash of address, field and text: sealing is deterministic, so an
//! unchanged secret is recognised without opening it, and the same secret in two places looks
//! different. Address and field are authenticated too: a sealed secret cannot be moved.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::{Zeroize, Zeroizing};

use crate::model::{Address, Clear, Code, Error, Field, Result, Sealed, SecretSource};

const NONCE: usize = 12;
/// Texts are padded to a multiple of this, so that the stored length tells little.
const BLOCK: usize = 32;

pub struct Vault {
    cipher: Aes256GcmSiv,
    nonce_key: Zeroizing<[u8; 32]>,
    record_key: Zeroizing<[u8; 32]>,
    id: String,
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
}

impl Vault {
    pub fn new(key: &[u8; 32]) -> Vault {
        let derive = |purpose: &str| Zeroizing::new(blake3::derive_key(purpose, key));
        let id = blake3::derive_key("yubin 2026 key identity", key);
        Vault {
            cipher: Aes256GcmSiv::new(derive("yubin 2026 sealing").as_slice().into()),
            nonce_key: derive("yubin 2026 nonces and fingerprints"),
            record_key: derive("yubin 2026 digests of records"),
            id: hex(&id[..8]),
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
        let (text, name) = match source {
            KeySource::Given(key) => (Zeroizing::new(key.expose().to_owned()), "YUBIN_KEY".to_owned()),
            KeySource::File(path) | KeySource::Beside(path) => match fs::read_to_string(path) {
                Ok(text) => (Zeroizing::new(text), path.display().to_string()),
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound && matches!(source, KeySource::Beside(_)) =>
                {
                    return Ok(None);
                }
                Err(error) => {
                    return Err(
                        Error::failure(format!("the key file {} cannot be read", path.display())).because(error)
                    );
                }
            },
        };
        let mut key = parse_key(text.trim()).ok_or_else(|| {
            Error::failure(format!("{name} holds no key")).hint("a key is 64 hexadecimal digits: 32 random bytes")
        })?;
        let vault = Vault::new(&key);
        key.zeroize();
        Ok(Some(vault))
    }

    /// Writes a generated key to its file: mode 0600, complete or not at all. Does nothing for a
    /// key that was opened.
    pub fn keep(&mut self, path: &Path) -> Result<()> {
        let Some(key) = &self.fresh else { return Ok(()) };
        let failed = |error| Error::failure(format!("the key file {} cannot be made", path.display())).because(error);
        let mut text = Zeroizing::new(hex(&**key));
        text.push('\n');
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

    /// Key of the digests by which unchanged records are recognised.
    pub fn record_key(&self) -> [u8; 32] {
        *self.record_key
    }

    pub fn seal(&self, address: &Address, field: &Field, clear: &Clear) -> Sealed {
        let place = place(address, field);
        let text = clear.expose().as_bytes();
        let mut nonce = blake3::Hasher::new_keyed(&self.nonce_key);
        nonce.update(&place);
        nonce.update(text);
        let nonce = &nonce.finalize().as_bytes()[..NONCE].to_owned();
        let mut padded = Zeroizing::new(Vec::with_capacity((text.len() + 4).next_multiple_of(BLOCK)));
        padded.extend_from_slice(&(text.len() as u32).to_le_bytes());
        padded.extend_from_slice(text);
        padded.resize((text.len() + 4).next_multiple_of(BLOCK), 0);
        let sealed = self
            .cipher
            .encrypt(Nonce::from_slice(nonce), Payload { msg: &padded, aad: &place })
            .expect("a secret is far below the cipher's 64 GiB");
        Sealed::from_bytes(&[nonce.as_slice(), &sealed].concat())
    }

    pub fn unseal(&self, address: &Address, field: &Field, sealed: &Sealed) -> Result<Clear> {
        let broken =
            || Error::failure(format!("the secret `{}` of `{address}` cannot be opened with this key", field.name));
        let (nonce, sealed) = sealed.as_bytes().split_at_checked(NONCE).ok_or_else(broken)?;
        let place = place(address, field);
        let padded = self.cipher.decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: &place });
        let padded = Zeroizing::new(padded.map_err(|_| broken())?);
        let (len, text) = padded.split_first_chunk::<4>().ok_or_else(broken)?;
        let text = text.get(..u32::from_le_bytes(*len) as usize).ok_or_else(broken)?;
        String::from_utf8(text.to_vec()).map(Clear::new).map_err(|_| broken())
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

fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|error| Error::failure("the system gives no random bytes").because(error))?;
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
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

/// Why a secret cannot be had: code, message, hint.
pub type Missing = (&'static str, String, &'static str);

/// Fetches a secret from where it is declared to be; a path is relative to `root`.
pub fn fetch(source: &SecretSource, root: &Path) -> std::result::Result<Clear, Missing> {
    let missing = |message: String, hint| Err(("secret/missing", message, hint));
    let (text, what) = match source {
        SecretSource::Clear(clear) => return Ok(clear.clone()),
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(text) => (text, format!("the environment variable `{name}`")),
            Err(std::env::VarError::NotPresent) => {
                return missing(format!("the environment variable `{name}` is not set"), "set it for this run");
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                return missing(format!("the environment variable `{name}` is not UTF-8"), "a password is text");
            }
        },
        SecretSource::File(name) => {
            let path = root.join(name);
            let inside = fs::canonicalize(&path).and_then(|path| Ok(path.starts_with(fs::canonicalize(root)?)));
            match inside {
                Ok(true) => {}
                Ok(false) => {
                    let message = format!("the file `{name}` leaves the project through a link");
                    return Err(("secret/outside", message, "keep the file itself inside the project"));
                }
                Err(error) => {
                    return missing(
                        format!("the file `{name}` cannot be read: {error}"),
                        "its path is relative to yubin.yaml",
                    );
                }
            }
            if !path.is_file() {
                return missing(format!("`{name}` is no ordinary file"), "its path is relative to yubin.yaml");
            }
            match fs::read(&path).map(String::from_utf8) {
                Ok(Ok(mut text)) => {
                    let end = text.strip_suffix('\n').map_or(text.len(), |t| t.strip_suffix('\r').unwrap_or(t).len());
                    text.truncate(end);
                    (text, format!("the file `{name}`"))
                }
                Ok(Err(_)) => return missing(format!("the file `{name}` is not UTF-8"), "a password is text"),
                Err(error) => {
                    return missing(
                        format!("the file `{name}` cannot be read: {error}"),
                        "its path is relative to yubin.yaml",
                    );
                }
            }
        }
    };
    if text.is_empty() {
        return missing(format!("{what} is empty"), "a password cannot be empty");
    }
    Ok(Clear::new(text))
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
