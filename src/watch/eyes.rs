//! What the system tells of files. It is a hint, no more: whoever is woken looks for himself, and looks now and then
//! without being woken.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::wake::Wake;

/// Folders that are watched. Of what is more the poll tells.
const MOST: usize = 50_000;

#[derive(Default)]
struct Seen {
    /// Those whose content counts; links followed, so that they are called as the system calls them.
    files: HashSet<PathBuf>,
    /// Whether a file that is not among them may be a source.
    test: Option<Arc<Test>>,
    /// Files of the store and of its key: they change all the time, and say nothing.
    own: Vec<PathBuf>,
    /// Written to, and not closed since, sources or not: one may be renamed to a source.
    writing: HashSet<PathBuf>,
    /// Of such a file that is on its way to another name: what the system knows the move by.
    moving: Option<usize>,
    /// When something has happened last.
    last: Option<Instant>,
    /// Whether there may be folders that are not watched yet.
    folders: bool,
    /// Whether something was not told.
    missed: bool,
}

pub type Test = dyn Fn(&Path) -> bool + Send + Sync;

pub struct Eyes {
    seen: Arc<Mutex<Seen>>,
    /// `None` where the system tells nothing.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Eyes {
    pub fn closed() -> Eyes {
        Eyes { seen: Arc::default(), watcher: None, watched: BTreeSet::new() }
    }

    pub fn open(wake: Sender<Wake>) -> Eyes {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let tells = Arc::clone(&seen);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| lock(&tells).hear(event)) {
                // Whoever has stopped needs not be woken.
                let _ = wake.send(Wake::Files);
            }
        });
        Eyes { seen, watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Looks at the folder of the project, those below it, and those of the files. `own` are files of the store.
    /// Whether there are folders among them of which nothing was told before.
    pub fn look_at<'a>(
        &mut self,
        root: &Path,
        files: impl Iterator<Item = &'a Path>,
        own: &[PathBuf],
        test: Arc<Test>,
    ) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let mut folders = BTreeSet::new();
        let mut known = HashSet::new();
        below(root, &mut folders);
        for file in files {
            known.insert(file.to_path_buf());
            // A link is watched where it stands, and where it leads.
            folders.extend(file.parent().map(Path::to_path_buf));
            if let Ok(real) = fs::canonicalize(file) {
                folders.extend(real.parent().map(Path::to_path_buf));
                known.insert(real);
            }
        }
        // The link that a whole project stands behind may be turned to another.
        if fs::symlink_metadata(root).is_ok_and(|found| found.is_symlink()) {
            folders.extend(root.parent().map(Path::to_path_buf));
        }
        for gone in self.watched.difference(&folders) {
            // What is gone is watched no more by itself.
            let _ = watcher.unwatch(gone);
        }
        let news = folders.iter().any(|folder| !self.watched.contains(folder));
        // Those that are watched already are watched again: another folder may have taken the name.
        self.watched = folders
            .into_iter()
            .take(MOST)
            .filter(|folder| watcher.watch(folder, RecursiveMode::NonRecursive).is_ok())
            .collect();
        let mut seen = lock(&self.seen);
        seen.files = known;
        seen.test = Some(test);
        let real = own.iter().filter_map(|path| fs::canonicalize(path).ok());
        seen.own = own.iter().cloned().chain(real).collect();
        news
    }

    /// A file that is being written.
    pub fn writing(&self) -> Option<PathBuf> {
        let mut seen = lock(&self.seen);
        // One that is gone is written no more.
        seen.writing.retain(|path| path.exists());
        let open = seen.writing.iter().filter(|path| seen.counts(path)).min().cloned()?;
        if sees_everybody() && written(std::iter::once(open.as_path())).is_none() {
            // A file can be cut off without being opened; of that nobody tells the end.
            seen.writing.remove(&open);
            return None;
        }
        Some(open)
    }

    /// Files are taken as they are, whoever is at them.
    pub fn forget_writing(&self) {
        lock(&self.seen).writing.clear();
    }

    /// Whether there may be folders that are not watched yet.
    pub fn have_missed_folders(&self) -> bool {
        std::mem::take(&mut lock(&self.seen).folders)
    }

    /// Whether something was not told since one has asked.
    pub fn have_missed(&self) -> bool {
        std::mem::take(&mut lock(&self.seen).missed)
    }

    pub fn last(&self) -> Option<Instant> {
        lock(&self.seen).last
    }
}

/// One of the files that a process has open for writing, as far as the system lets one look: before anything has been
/// watched, nobody has told of it.
pub fn written<'a>(files: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let files: HashSet<PathBuf> = files.filter_map(|file| fs::canonicalize(file).ok()).collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(handles) = fs::read_dir(process.path().join("fd")) else { continue };
        for handle in handles.flatten() {
            let Some(file) = fs::read_link(handle.path()).ok().filter(|file| files.contains(file)) else { continue };
            let about = fs::read_to_string(process.path().join("fdinfo").join(handle.file_name())).unwrap_or_default();
            let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
            // Octal; the last two bits say what for, and 0 is for reading alone.
            if flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 3 != 0) {
                return Some(file);
            }
        }
    }
    None
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder and all below it that may hold sources.
fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    if found.len() >= MOST || !found.insert(folder.to_path_buf()) {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
        }
    }
}

impl Seen {
    /// Whether there is something to look at.
    fn hear(&mut self, event: notify::Event) -> bool {
        if event.need_rescan() {
            // What was missed may have been the end of a write.
            self.writing.clear();
            self.missed = true;
            self.last = Some(Instant::now());
            return true;
        }
        let tracker = event.attrs.tracker();
        let mut paths = event.paths;
        paths.retain(|path| !self.is_own(path) && !path.components().any(|part| part.as_os_str() == ".git"));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                let writing = &mut self.writing;
                let written: Vec<PathBuf> = paths.iter().filter(|path| writing.remove(*path)).cloned().collect();
                paths.retain(|path| written.contains(path) || self.counts(path));
            }
            // Those who read are no concern: this program does.
            EventKind::Access(_) => return false,
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                if cfg!(target_os = "linux") {
                    // Elsewhere nobody tells of the end.
                    self.writing.extend(paths.iter().cloned());
                }
                paths.retain(|path| self.counts(path));
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                for path in &paths {
                    if self.writing.remove(path) {
                        self.moving = tracker;
                    }
                }
            }
            EventKind::Remove(_) => {
                for path in &paths {
                    self.writing.remove(path);
                }
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                let moved = self.moving.is_some() && self.moving == tracker;
                for path in &paths {
                    // Another file has the name now.
                    self.writing.remove(path);
                    self.folders |= path.is_dir();
                }
                if moved {
                    self.moving = None;
                    self.writing.extend(paths.iter().cloned());
                }
            }
            _ => {}
        }
        if paths.iter().any(|path| self.counts(path)) {
            self.last = Some(Instant::now());
        }
        !paths.is_empty()
    }

    /// Whether the content of the file has a say.
    fn counts(&self, path: &Path) -> bool {
        self.files.contains(path) || self.test.as_ref().is_some_and(|test| test(path))
    }

    /// The store, its key, and what a database keeps beside it.
    fn is_own(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_encoded_bytes();
        let of = |own: &PathBuf| bytes.strip_prefix(own.as_os_str().as_encoded_bytes()).map(<[u8]>::to_vec);
        let beside: [&[u8]; 4] = [b"", b"-wal", b"-shm", b"-journal"];
        self.own.iter().filter_map(of).any(|rest| beside.contains(&rest.as_slice()))
    }
}

/// Whether the system lets one see what every process has open.
fn sees_everybody() -> bool {
    fs::read_dir("/proc/1/fd").is_ok()
}
