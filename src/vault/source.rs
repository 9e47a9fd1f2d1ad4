//! Fetching secrets from where they are declared to be: environment, files, commands, age.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use zeroize::Zeroizing;

use super::armour::{self, Identities, KeyRing};
use super::command;
use crate::model::{Clear, SecretSource, Trust};

/// Why a secret cannot be had: code, message, hint.
pub type Missing = (&'static str, String, &'static str);

type Fetched = Result<Clear, Missing>;

/// Fetches the secrets of one run.
pub struct Fetcher<'a> {
    /// The project's folder; paths are relative to it.
    root: &'a Path,
    trust: &'a Trust,
    ring: KeyRing,
    /// Files of the store and of its key, and what stands beside them under longer names.
    own: Vec<PathBuf>,
    /// Read when the first encrypted secret is met.
    identities: OnceLock<Result<Identities, Missing>>,
    /// What commands have said: each runs once.
    said: Mutex<HashMap<Vec<String>, Arc<OnceLock<Fetched>>>>,
    /// What variables and files hold: many resources may name the same.
    read: RwLock<HashMap<(&'static str, String), Fetched>>,
    /// Variables that hold secrets, which no command is given.
    hidden: Mutex<HashSet<String>>,
    /// The same of those that the project's files have no say in.
    hidden_always: HashSet<String>,
}

const RELATIVE: &str = "its path is relative to yubin.yaml";
/// The most that a file may hold, in bytes: encrypted to many, a password is far from it.
const MOST: u64 = 64 * 1024;
const OUTSIDE: &str = "keep the file itself inside the project, or allow its folder with `secrets: paths:`";

fn missing<T>(message: String, hint: &'static str) -> Result<T, Missing> {
    Err(("secret/missing", message, hint))
}

impl<'a> Fetcher<'a> {
    pub fn new(root: &'a Path, trust: &'a Trust, ring: KeyRing, own: Vec<PathBuf>) -> Fetcher<'a> {
        Fetcher {
            root,
            trust,
            own: own.into_iter().chain(ring.paths()).filter_map(|path| fs::canonicalize(path).ok()).collect(),
            ring,
            identities: OnceLock::new(),
            read: RwLock::default(),
            said: Mutex::default(),
            hidden: Mutex::default(),
            hidden_always: HashSet::new(),
        }
    }

    /// Keeps variables from the commands that are run, whoever has named these.
    #[must_use]
    pub fn hiding(mut self, names: impl Iterator<Item = String>) -> Fetcher<'a> {
        self.hidden_always.extend(names);
        self
    }

    /// Keeps variables from the commands that are run.
    pub fn hide<'n>(&self, names: impl Iterator<Item = &'n str>) {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner).extend(names.map(str::to_owned));
    }

    /// The files that have been asked for.
    pub fn files(&self) -> Vec<PathBuf> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        read.keys().filter(|(form, _)| *form == "file").map(|(_, name)| self.root.join(name)).collect()
    }

    /// The secret itself. A hash is none.
    pub fn fetch(&self, source: &SecretSource) -> Fetched {
        let (clear, what) = match source {
            SecretSource::Clear(clear) | SecretSource::Hash(clear) => return Ok(clear.clone()),
            SecretSource::Env(name) => return self.once("env", name, || self.variable(name)),
            SecretSource::File(name) => return self.once("file", name, || self.file(name)),
            SecretSource::Age(text) => {
                let opened = self.open(text.expose().as_bytes(), "the age text")?;
                (utf8(&opened, "the age text")?, "the age text".to_owned())
            }
            SecretSource::Command(words) => (self.command(words)?, COMMAND.to_owned()),
        };
        not_empty(clear, &what)
    }

    fn once(&self, form: &'static str, name: &str, fetch: impl FnOnce() -> Fetched) -> Fetched {
        let key = (form, name.to_owned());
        if let Some(known) = self.read.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let what =
            if form == "env" { format!("the environment variable `{name}`") } else { format!("the file `{name}`") };
        let fetched = fetch().and_then(|clear| not_empty(clear, &what));
        self.read.write().unwrap_or_else(PoisonError::into_inner).insert(key, fetched.clone());
        fetched
    }

    fn variable(&self, name: &str) -> Fetched {
        self.hide(std::iter::once(name));
        match std::env::var(name) {
            Ok(text) => Ok(Clear::new(text)),
            Err(std::env::VarError::NotPresent) => {
                missing(format!("the environment variable `{name}` is not set"), "set it for this run")
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                missing(format!("the environment variable `{name}` is not UTF-8"), "a password is text")
            }
        }
    }

    fn file(&self, name: &str) -> Fetched {
        // `load` has said so already, with its place; nothing that is not allowed gets further than this.
        if !self.trust.allows_path(self.root, name) {
            return Err(("secret/outside", "the file of a secret stands outside the project".to_owned(), OUTSIDE));
        }
        let path = self.root.join(name);
        let unread = |error| ("secret/missing", format!("the file `{name}` cannot be read: {error}"), RELATIVE);
        let real = fs::canonicalize(&path).map_err(unread)?;
        if !self.trust.allows_real(&real) {
            return Err(("secret/outside", format!("the file `{name}` leaves the project through a link"), OUTSIDE));
        }
        self.content(&real, name)
    }

    /// A file that is named where the project is not trusted to name any, wherever it stands.
    pub fn trusted_file(&self, path: &Path, name: &str) -> Fetched {
        let unread = |error| ("secret/missing", format!("the file `{name}` cannot be read: {error}"), RELATIVE);
        let clear = self.content(&fs::canonicalize(path).map_err(unread)?, name)?;
        not_empty(clear, &format!("the file `{name}`"))
    }

    fn content(&self, real: &Path, name: &str) -> Fetched {
        let unread = |error| ("secret/missing", format!("the file `{name}` cannot be read: {error}"), RELATIVE);
        let is_own =
            |own: &PathBuf| real.as_os_str().as_encoded_bytes().starts_with(own.as_os_str().as_encoded_bytes());
        if self.own.iter().any(is_own) {
            let message = format!("the file `{name}` is yubin's own, and holds no password of a mailbox");
            return Err(("secret/outside", message, RELATIVE));
        }
        if !real.is_file() {
            return missing(format!("`{name}` is no ordinary file"), RELATIVE);
        }
        if fs::metadata(real).map_err(unread)?.len() > MOST {
            return missing(format!("the file `{name}` holds more than 64 KiB"), "a password is far shorter");
        }
        let bytes = fs::read(real).map(Zeroizing::new).map_err(unread)?;
        let what = format!("the file `{name}`");
        if is_encrypted(name) {
            return utf8(&self.open(&bytes, &what)?, &what);
        }
        utf8(&bytes, &what)
    }

    fn open(&self, encrypted: &[u8], what: &str) -> Result<Zeroizing<Vec<u8>>, Missing> {
        let unread = |error: crate::model::Error| {
            (
                "secret/missing",
                error.to_string(),
                "YUBIN_AGE_KEY_FILE and `secrets: identities:` name files of identities",
            )
        };
        let identities = self.identities.get_or_init(|| self.ring.identities().map_err(unread));
        let identities = identities.as_ref().map_err(Clone::clone)?;
        armour::open(encrypted, identities)
            .map_err(|(message, hint)| ("secret/missing", format!("{what} cannot be opened: {message}"), hint))
    }

    fn command(&self, words: &[String]) -> Fetched {
        if !self.trust.allows_command(words) {
            return Err((
                "secret/command",
                "this command is not among those that may be run".to_owned(),
                "allow it with `secrets: commands:`",
            ));
        }
        let said = {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(said.entry(words.to_vec()).or_default())
        };
        said.get_or_init(|| {
            let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // Whoever proposes files must not take variables away from commands that others have allowed.
            let hidden = if self.trust.foreign { HashSet::new() } else { hidden };
            let hidden: HashSet<String> = hidden.union(&self.hidden_always).cloned().collect();
            let printed = command::run(words, self.root, &hidden, self.trust.foreign)?;
            utf8(&printed, COMMAND)
        })
        .clone()
    }

    /// Whether others than its owner may read a secret's file in clear.
    pub fn is_exposed(&self, source: &SecretSource) -> bool {
        matches!(source, SecretSource::File(name) if !is_encrypted(name) && super::is_exposed(&self.root.join(name)))
    }
}

fn not_empty(clear: Clear, what: &str) -> Fetched {
    if clear.expose().is_empty() {
        return missing(format!("{what} is empty"), "a password cannot be empty");
    }
    Ok(clear)
}

pub fn is_encrypted(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "age")
}

/// As messages call it: its words may say more than they should, and its place is named.
const COMMAND: &str = "the command";

/// Text without the one newline that ends it.
fn utf8(bytes: &[u8], what: &str) -> Fetched {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return missing(format!("{what} is not UTF-8"), "a password is text");
    };
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Clear::new(text.to_owned()))
}
