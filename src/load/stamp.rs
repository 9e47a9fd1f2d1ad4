//! What the files of a project look like without being read: enough to know that one has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::project::{FILE_NAME, Project};
use super::sources;

/// A file as its folder tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    /// Device and inode: another file may have taken its name.
    file: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
    /// Of content, name or mode; nobody can set it.
    changed: Option<SystemTime>,
}

impl Look {
    fn at(path: &Path) -> Option<Look> {
        let found = fs::metadata(path).ok()?;
        let modified = found.modified().ok();
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            use std::time::UNIX_EPOCH;
            let seconds = u64::try_from(found.ctime()).unwrap_or(0);
            let nanos = u32::try_from(found.ctime_nsec()).unwrap_or(0);
            let changed = UNIX_EPOCH.checked_add(Duration::new(seconds, nanos));
            Some(Look { file: (found.dev(), found.ino()), size: found.len(), modified, changed })
        }
        #[cfg(not(unix))]
        Some(Look { file: (0, 0), size: found.len(), modified, changed: modified })
    }
}

/// The files of a project, and others that its meaning depends on, as they stand now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// By path; `None` for a file that is named and not there.
    files: BTreeMap<PathBuf, Option<Look>>,
}

impl Stamp {
    /// `more` are files that no source is: secrets, and what stands above the project file.
    pub fn of(project: &Project, more: &[PathBuf]) -> Stamp {
        let (names, problems) =
            if project.tree.commit().is_some() { Default::default() } else { sources::names(project) };
        let users = project.users_path.iter().map(|(name, _)| name.clone());
        let own = users.chain([FILE_NAME.to_owned()]).filter(|_| project.tree.commit().is_none());
        let paths = names.into_iter().chain(own).map(|name| project.root.join(name)).chain(more.iter().cloned());
        let mut stamp = Stamp::of_files(paths);
        // What keeps a name from being a source comes and goes as files do.
        stamp.files.extend(problems.into_iter().map(|problem| (PathBuf::from(problem), None)));
        stamp
    }

    /// Those of single files.
    pub fn of_files(paths: impl IntoIterator<Item = PathBuf>) -> Stamp {
        Stamp { files: paths.into_iter().map(|path| (path.clone(), Look::at(&path))).collect() }
    }

    /// Whether the files of this one look the same in the other.
    pub fn stands_in(&self, other: &Stamp) -> bool {
        self.files.iter().all(|(path, look)| other.files.get(path) == Some(look))
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Files that look different in the other, or that only one of them has.
    pub fn differing<'a>(&'a self, other: &'a Stamp) -> Vec<&'a Path> {
        let here = self.files.iter().filter(|(path, look)| other.files.get(*path) != Some(look)).map(|(path, _)| path);
        let there = other.files.keys().filter(|path| !self.files.contains_key(*path));
        let mut all: Vec<&Path> = here.chain(there).map(PathBuf::as_path).collect();
        all.sort_unstable();
        all
    }

    /// For how long none of them has changed; `None` if there are none, or the clock of their disk cannot be believed.
    pub fn age(&self) -> Option<Duration> {
        SystemTime::now().duration_since(self.newest()?).ok()
    }

    /// When one of them has changed last, by the clock of their disk.
    pub fn newest(&self) -> Option<SystemTime> {
        self.files.values().flatten().filter_map(|look| look.changed).max()
    }

    /// Whether one of them has changed within this time.
    pub fn is_fresh(&self, within: Duration) -> bool {
        let is_empty = self.files.values().flatten().next().is_none();
        !is_empty && self.age().is_none_or(|age| age < within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let look = || Stamp::of_files(["a", "b"].map(path));
        fs::write(path("a"), "one").unwrap();
        let mut before = look();
        let steps: [&dyn Fn(); 5] = [
            // As long, and as old, as before.
            &|| {
                let modified = fs::metadata(path("a")).unwrap().modified().unwrap();
                std::thread::sleep(Duration::from_millis(20));
                fs::write(path("a"), "two").unwrap();
                fs::File::options().write(true).open(path("a")).unwrap().set_modified(modified).unwrap();
            },
            &|| {
                fs::write(path("c"), "two").unwrap();
                fs::rename(path("c"), path("a")).unwrap();
            },
            &|| fs::write(path("b"), "").unwrap(),
            &|| fs::remove_file(path("b")).unwrap(),
            &|| fs::remove_file(path("a")).unwrap(),
        ];
        for (number, step) in steps.iter().enumerate() {
            step();
            let after = look();
            assert_eq!(after.differing(&before).len(), 1, "step {number}");
            assert!(after != before && after == look());
            before = after;
        }
        assert!(before.age().is_none());
    }
}
