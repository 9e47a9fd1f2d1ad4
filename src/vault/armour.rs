//! age: secrets encrypted to the keys of people and machines, so that they may stand in a repository.

use std::io::{BufReader, Read, Write};
use std::path::PathBuf;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor, Identity, IdentityFile, NoCallbacks, Recipient, ssh};
use zeroize::Zeroizing;

use crate::model::{Clear, Error, Result};

pub type Identities = Vec<Box<dyn Identity + Send + Sync>>;

/// The most that an encrypted password may hold, in bytes: far more than any password.
const MOST: u64 = 64 * 1024;

/// Why something encrypted cannot be opened: what is wrong, and what to do.
pub type Closed = (String, &'static str);

/// Opens what age has encrypted, in armour or not.
pub fn open(encrypted: &[u8], identities: &Identities) -> std::result::Result<Zeroizing<Vec<u8>>, Closed> {
    let flaw = |error: age::DecryptError| match error {
        age::DecryptError::NoMatchingKeys => (
            "none of the keys at hand opens it".to_owned(),
            "it is encrypted to others: let one of its recipients run `yubin secret rotate` with your key among `secrets: recipients:`",
        ),
        _ => (format!("it is no sound age file: {error}"), "`yubin secret encrypt` makes one"),
    };
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(encrypted)).map_err(flaw)?;
    if decryptor.is_scrypt() {
        let message = "it is encrypted with a passphrase, and nobody is there to type it".to_owned();
        return Err((message, "encrypt it to recipients: `yubin secret encrypt`"));
    }
    if identities.is_empty() {
        let hint =
            "set YUBIN_AGE_KEY_FILE to a file of age identities, or name one that exists in `secrets: identities:`";
        return Err(("there is no key to open it with".to_owned(), hint));
    }
    let reader = decryptor.decrypt(identities.iter().map(|one| &**one as &dyn Identity)).map_err(flaw)?;
    // To the size at once: a buffer that grows leaves copies behind.
    let mut clear = Zeroizing::new(Vec::with_capacity(encrypted.len()));
    let unsound =
        |error: std::io::Error| (format!("it is no sound age file: {error}"), "`yubin secret encrypt` makes one");
    reader.take(MOST + 1).read_to_end(&mut clear).map_err(unsound)?;
    if clear.len() as u64 > MOST {
        return Err(("it holds more than 64 KiB".to_owned(), "a password is far shorter"));
    }
    Ok(clear)
}

/// The recipients of a project; each is a public key of age or of SSH.
pub fn recipients<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<Box<dyn Recipient + Send>>> {
    words.map(recipient).collect()
}

fn recipient(word: &str) -> Result<Box<dyn Recipient + Send>> {
    if let Ok(recipient) = word.parse::<age::x25519::Recipient>() {
        return Ok(Box::new(recipient));
    }
    if let Ok(recipient) = word.parse::<ssh::Recipient>() {
        return Ok(Box::new(recipient));
    }
    let message = match word.get(..15) {
        Some("AGE-SECRET-KEY-") => "a secret key stands in the place of a recipient",
        // What stands there may be a secret all the same.
        _ => "this is no recipient",
    };
    Err(Error::new(crate::model::Code::Invalid, message).hint("a recipient is `age1…`, `ssh-ed25519 …` or `ssh-rsa …`"))
}

/// Encrypts to all recipients; as text in armour, or as bytes.
pub fn encrypt(clear: &[u8], recipients: &[Box<dyn Recipient + Send>], armour: bool) -> Result<Vec<u8>> {
    let failed = |error: String| Error::failure("the secret cannot be encrypted").because(error);
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|one| &**one as &dyn Recipient))
        .map_err(|error| failed(error.to_string()))?;
    let format = if armour { Format::AsciiArmor } else { Format::Binary };
    let write = || -> std::io::Result<Vec<u8>> {
        let mut writer = encryptor.wrap_output(ArmoredWriter::wrap_output(Vec::new(), format)?)?;
        writer.write_all(clear)?;
        writer.finish()?.finish()
    };
    write().map_err(|error| failed(error.to_string()))
}

pub struct KeyFile {
    pub name: String,
    pub path: PathBuf,
    pub must_exist: bool,
}

/// Where identities are looked for.
pub struct KeyRing {
    /// `YUBIN_AGE_KEY`.
    pub given: Option<Clear>,
    /// `YUBIN_AGE_KEY_FILE`, which must exist, and those of the project: not every machine has all of them.
    pub files: Vec<KeyFile>,
}

impl KeyRing {
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|file| file.path.clone())
    }

    /// Reads all of them.
    pub fn identities(&self) -> Result<Identities> {
        let mut all = Identities::new();
        if let Some(text) = &self.given {
            read(text.expose().as_bytes(), "YUBIN_AGE_KEY", &mut all)?;
        }
        for KeyFile { name, path, must_exist } in &self.files {
            match super::read_small(path) {
                Ok(text) => read(&text, name, &mut all)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {}
                Err(error) => {
                    return Err(Error::failure(format!("the key file {name} cannot be read")).because(error));
                }
            }
        }
        Ok(all)
    }
}

fn read(text: &[u8], name: &str, to: &mut Identities) -> Result<()> {
    const SSH: &[u8] = b"-----BEGIN";
    if text.trim_ascii_start().starts_with(b"-----BEGIN AGE ENCRYPTED FILE") {
        return Err(Error::failure(format!("the key file {name} is itself encrypted"))
            .hint("decrypt it to a file of mode 0600 first: nobody is there to type a passphrase"));
    }
    if text.trim_ascii_start().starts_with(SSH) {
        let unread = || Error::failure(format!("{name} holds no SSH key that age can use"));
        let identity = ssh::Identity::from_buffer(BufReader::new(text), None).map_err(|_| unread())?;
        return match identity {
            ssh::Identity::Unencrypted(_) => {
                to.push(Box::new(identity));
                Ok(())
            }
            ssh::Identity::Encrypted(_) => Err(Error::failure(format!("the SSH key {name} has a passphrase"))
                .hint("take an age key, or an SSH key without one: nobody is there to type it")),
            ssh::Identity::Unsupported(_) => Err(unread().hint("age knows ssh-ed25519 and ssh-rsa")),
        };
    }
    let none = || {
        Error::failure(format!("{name} holds no age key"))
            .hint("`age-keygen` makes one: a line that begins with `AGE-SECRET-KEY-`")
    };
    let file = IdentityFile::from_buffer(BufReader::new(text)).map_err(|_| none())?;
    let identities = file.with_callbacks(NoCallbacks).into_identities().map_err(|_| none())?;
    if identities.is_empty() {
        return Err(none());
    }
    to.extend(identities);
    Ok(())
}
