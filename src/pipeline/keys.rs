//! Where the key of a store is, and those of secrets that stand encrypted in files.

use std::path::{Path, PathBuf};

use super::{Planned, Session};
use crate::model::{Clear, Code, Error, Result};
use crate::store::Snapshot;
use crate::store::http::{TokenSource, far};
use crate::store::sqlite::is_shared;
use crate::vault::{KeyFile, KeyRing, KeySource, Vault};

/// Beside a database that is a file; others have no key of their own. What stands in a folder that others share is
/// taken only if they cannot have put it there.
pub(super) fn key_source(database: Option<&Path>) -> Result<KeySource> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(key) = given("YUBIN_KEY") {
        return Ok(KeySource::Given(Clear::new(key)));
    }
    if let Some(path) = given("YUBIN_KEY_FILE") {
        return Ok(KeySource::File(real(PathBuf::from(path))));
    }
    let Some(database) = database else { return Ok(KeySource::Absent) };
    let (place, within) = places(database);
    match within {
        Some(within) if std::fs::symlink_metadata(&place).is_err() && std::fs::symlink_metadata(&within).is_ok() => {
            refuse_planted(&within, &place)?;
            Ok(KeySource::Beside(within))
        }
        _ => Ok(KeySource::Beside(real(place))),
    }
}

/// Where the key of a database stands: beside the file, or in a folder that others share, beside the folder; then also
/// where it stood before the folder was shared.
pub(super) fn places(database: &Path) -> (PathBuf, Option<PathBuf>) {
    let with_ending = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".key");
        PathBuf::from(name)
    };
    let beside = with_ending(database);
    let shared = database.parent().filter(|folder| is_shared(folder));
    // A folder that is named as `.` has another name besides.
    match shared.and_then(|folder| std::fs::canonicalize(folder).ok()) {
        Some(folder) => (with_ending(&folder), Some(beside)),
        None => (beside, None),
    }
}

/// Whoever may write the folder could have put a key there, by which new passwords would be sealed for them. They can
/// make no file that belongs to us and is ours alone; a link may lead to one.
#[cfg(unix)]
fn refuse_planted(key: &Path, place: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::symlink_metadata(key)
        .map_err(|error| Error::failure(format!("the key file {} cannot be read", key.display())).because(error))?;
    let ours = rustix::process::geteuid().as_raw();
    if about.is_file() && about.nlink() == 1 && about.uid() == ours && about.mode() & 0o7777 == 0o600 {
        return Ok(());
    }
    let message = format!(
        "the key file {} stands in a folder that others may write, and is not a file of ours alone (mode 0600): they \
         may have put it there",
        key.display()
    );
    let hint = format!("if it is the key of the store, move it to {}; otherwise remove it", place.display());
    Err(Error::new(Code::Refused, message).about("secret/permissions").hint(hint))
}

#[cfg(not(unix))]
fn refuse_planted(_: &Path, _: &Path) -> Result<()> {
    Ok(())
}

/// The token of a client, and its file, if it stands in one.
pub(super) fn token_source() -> (TokenSource, Vec<PathBuf>) {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = given("YUBIN_TOKEN_FILE").map(|path| real(PathBuf::from(path)));
    let own = file.iter().cloned().collect();
    let source = match (given("YUBIN_TOKEN"), file) {
        (Some(token), _) => TokenSource::Given(Clear::new(token)),
        (None, Some(path)) => TokenSource::File(path),
        (None, None) => TokenSource::Absent,
    };
    (source, own)
}

impl Session {
    /// Writes a key that was made for a new store, before anything that depends on it.
    pub fn keep_key(&self, planned: &mut Planned) -> Result<()> {
        match (&mut planned.vault, &self.keys) {
            (Some(vault), KeySource::Beside(path)) => vault.keep(path),
            _ => Ok(()),
        }
    }

    /// Opens the store's secrets, for a product file that must carry them.
    pub fn unsealing(&self, snapshot: &dyn Snapshot) -> Result<Vault> {
        self.refuse_far("a file with passwords")?;
        self.vault(Some(snapshot))?.ok_or_else(|| self.lost_key())
    }

    /// Refuses what cannot be done without the key of the store.
    pub fn refuse_far(&self, what: &str) -> Result<()> {
        if matches!(self.keys, KeySource::Server) { Err(far(what)) } else { Ok(()) }
    }

    /// The vault of the store, or a new one for a store without a key; `None` if the key is lost.
    pub(super) fn vault(&self, snapshot: Option<&dyn Snapshot>) -> Result<Option<Vault>> {
        match snapshot.and_then(|snapshot| snapshot.lent(&self.project.name)) {
            Some(lent) => Ok(Some(lent)),
            None => vault(&self.keys, snapshot.and_then(Snapshot::key_id)),
        }
    }

    pub(super) fn lost_key(&self) -> Error {
        let name = match &self.keys {
            KeySource::Absent => {
                return Error::failure("the secrets of this store need a key, and there is none")
                    .hint("set YUBIN_KEY_FILE to the key file of the store; for a new store, to one that you make: 64 hexadecimal digits, as of `openssl rand -hex 32`");
            }
            KeySource::Server => {
                let project = &self.project.name;
                return Error::failure(format!(
                    "the token is not bound to the project `{project}`, so its secrets cannot be compared"
                ))
                .hint(format!("use a token of `--owner {project}`, or plan with `--secrets=skip`"));
            }
            KeySource::Beside(path) | KeySource::File(path) => path.display().to_string(),
            KeySource::Given(_) => "YUBIN_KEY".to_owned(),
        };
        Error::failure(format!("the store's key {name} is missing, and its secrets cannot be read without it"))
            .hint("restore the key file, or set YUBIN_KEY_FILE; a new key would not open them")
    }
}

/// The vault of a store whose key has this identity, or a new one for a store without a key; `None` if the key is
/// lost.
pub(super) fn vault(keys: &KeySource, stored: Option<&str>) -> Result<Option<Vault>> {
    let fits = |vault: &Option<Vault>| vault.as_ref().is_none_or(|vault| stored.is_none_or(|id| vault.id() == id));
    let mut opened = Vault::open(keys)?;
    if !fits(&opened) {
        // A rekey may have put the new key in its place meanwhile.
        opened = Vault::open(keys)?;
    }
    match (opened, stored) {
        (Some(vault), Some(id)) if vault.id() != id => next_key(keys, id)
            .ok_or_else(|| {
                Error::failure(format!(
                    "the key is not the one of this store: it is key {}, the store was written with key {id}",
                    vault.id()
                ))
                .hint(match keys {
                    KeySource::Given(_) => "set YUBIN_KEY to the store's own key",
                    _ => "set YUBIN_KEY_FILE to the store's own key file",
                })
            })
            .map(Some),
        (Some(vault), _) => Ok(Some(vault)),
        // No key is ever made for a store that has one.
        (None, Some(_)) => Ok(None),
        (None, None) if matches!(keys, KeySource::Absent | KeySource::Server) => Ok(None),
        (None, None) => Vault::generate().map(Some),
    }
}

/// The store's key, where a rekey was interrupted after the store had taken it.
fn next_key(keys: &KeySource, id: &str) -> Option<Vault> {
    let (KeySource::File(path) | KeySource::Beside(path)) = keys else { return None };
    let next = Vault::open_next(path, id)?;
    // It serves where it is as well; the next run tries again.
    let _ = Vault::promote(path, id);
    Some(next)
}

/// The file itself, where the path is a link to it.
fn real(path: PathBuf) -> PathBuf {
    std::fs::canonicalize(&path).unwrap_or(path)
}

/// Where the keys to encrypted secrets are: those of the environment, then those named.
pub fn key_ring(identities: &[String], root: &Path) -> KeyRing {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = |name: String, path: PathBuf, must_exist| KeyFile { name, path, must_exist };
    let mut files = Vec::new();
    if let Some(path) = given("YUBIN_AGE_KEY_FILE") {
        files.push(file("YUBIN_AGE_KEY_FILE".to_owned(), PathBuf::from(path), true));
    }
    for (number, name) in (1..).zip(identities) {
        let home = name.strip_prefix("~/").and_then(|rest| Some(Path::new(&given("HOME")?).join(rest)));
        let path = home.unwrap_or_else(|| root.join(name));
        // It is not repeated: a key may stand there by mistake.
        files.push(file(format!("number {number} of `secrets: identities:`"), path, false));
    }
    KeyRing { given: given("YUBIN_AGE_KEY").map(Clear::new), files }
}
