//! What is kept from one plan to the next, so that files which have not changed are not read again: of each YAML file
//! what reading it gave. A file with a password in clear is not kept: it is read again, and its passwords are gone
//! from memory between two plans.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Project;
use super::read::Read;

/// Kept between the plans of one project, or of several in turn: what was read under other settings is forgotten.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// What says how files are understood, as a digest.
    settings: Option<[u8; 32]>,
    files: Files,
}

/// By name.
pub type Files = HashMap<String, Remembered>;

#[derive(Clone)]
pub struct Remembered {
    /// Of its text.
    pub digest: [u8; 32],
    pub read: Arc<Read>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::default()
    }

    /// How many files are kept.
    pub fn len(&self) -> usize {
        self.lock().files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known under these settings.
    pub(super) fn known(&self, settings: &[u8; 32]) -> Files {
        let kept = self.lock();
        if kept.settings.as_ref() == Some(settings) { kept.files.clone() } else { Files::new() }
    }

    /// From now on nothing else is known.
    pub(super) fn keep(&self, settings: [u8; 32], files: Files) {
        *self.lock() = Kept { settings: Some(settings), files };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.len())
    }
}

/// A digest of all that has a say in what is read beside the file itself: the project file, and what it names or what
/// stands above it.
pub fn settings(project: &Project) -> [u8; 32] {
    let mut all = blake3::Hasher::new();
    let mut put = |part: &[u8]| {
        all.update(&(part.len() as u64).to_le_bytes());
        all.update(part);
    };
    put(project.root.as_os_str().as_encoded_bytes());
    put(&project.bytes);
    let (name, users) = project.users_file.as_ref().map_or(("", &[][..]), |(name, bytes)| (name, bytes));
    put(name.as_bytes());
    put(users);
    put(&[u8::from(project.users.is_some()), u8::from(project.trusted.is_some())]);
    put(project.trusted.as_deref().unwrap_or_default());
    // Paths are made absolute by where these files stand.
    put(format!("{:?}", project.trust).as_bytes());
    all.finalize().into()
}
