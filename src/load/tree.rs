//! Where the files of a project are read from: its folder, or a commit of git. What stands where by its path on this
//! machine, such as the files of secrets, is found in the folder either way.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::project::Project;
use crate::checkout::{self, CommitTree};

#[derive(Clone, Debug)]
pub enum Tree {
    /// As it stands on the disk.
    Folder(PathBuf),
    /// What a commit holds of the folder.
    Commit(PathBuf, Arc<CommitTree>),
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Folder,
    File,
    /// A link to a folder, which is not followed.
    LinkedFolder,
    /// A link of a commit, which is not followed wherever it leads.
    Link,
}

/// Why a file is not read.
pub enum Unread {
    /// It leads out of the project through a link.
    Outside,
    /// It is a link of a commit.
    Link,
    Failed(String),
}

impl Tree {
    /// The project's folder.
    pub fn root(&self) -> &Path {
        match self {
            Tree::Folder(root) | Tree::Commit(root, _) => root,
        }
    }

    /// The commit that it is, if it is one.
    pub fn commit(&self) -> Option<&str> {
        match self {
            Tree::Folder(_) => None,
            Tree::Commit(_, files) => Some(files.commit()),
        }
    }

    /// Whether a folder stands under a name that was written.
    pub fn is_dir(&self, name: &str) -> bool {
        match self {
            Tree::Folder(root) => root.join(name).is_dir(),
            Tree::Commit(_, files) => files.find(&plain(name)) == Some(checkout::Nature::Folder),
        }
    }

    /// Whether a file does, or a link that reading it will refuse.
    pub fn is_file(&self, name: &str) -> bool {
        match self {
            Tree::Folder(root) => root.join(name).is_file(),
            Tree::Commit(_, files) => files.find(&plain(name)).is_some_and(|nature| nature != checkout::Nature::Folder),
        }
    }

    /// What stands in a folder; `Err` has the name of what is no UTF-8.
    pub fn entries(&self, folder: &str) -> io::Result<Vec<(Result<String, String>, Nature)>> {
        match self {
            Tree::Folder(root) => entries_of(&root.join(folder)),
            Tree::Commit(_, files) => {
                let entries = files.folder(folder).into_iter().map(|(name, nature)| {
                    let name = match str::from_utf8(name) {
                        Ok(name) => Ok(name.to_owned()),
                        Err(_) => Err(String::from_utf8_lossy(name).into_owned()),
                    };
                    let nature = match nature {
                        checkout::Nature::Folder => Nature::Folder,
                        checkout::Nature::File => Nature::File,
                        checkout::Nature::Link => Nature::Link,
                    };
                    (name, nature)
                });
                Ok(entries.collect())
            }
        }
    }
}

/// The bytes of files of a project, in the order of their names.
pub fn read(project: &Project, names: &[&str]) -> Vec<Result<Vec<u8>, Unread>> {
    match &project.tree {
        Tree::Commit(_, files) => read_committed(files, names),
        Tree::Folder(root) => {
            let read = |name: &&str| {
                let path = root.join(name);
                if leaves_by_link(project, &path) {
                    return Err(Unread::Outside);
                }
                fs::read(path).map_err(|error| Unread::Failed(error.to_string()))
            };
            names.iter().map(read).collect()
        }
    }
}

/// All at once: one process of git for any number of them.
pub fn read_committed(files: &CommitTree, names: &[&str]) -> Vec<Result<Vec<u8>, Unread>> {
    let plain: Vec<String> = names.iter().map(|name| plain(name)).collect();
    let is_link = |name: &String| files.find(name) == Some(checkout::Nature::Link);
    let asked: Vec<&str> = plain.iter().filter(|name| !is_link(name)).map(String::as_str).collect();
    let mut read = match files.read(&asked) {
        Ok(read) => Ok(read.into_iter()),
        Err(error) => Err(error.to_string()),
    };
    let gone = || Unread::Failed("git has not said what it holds".to_owned());
    let each = plain.iter().map(|name| {
        if is_link(name) {
            return Err(Unread::Link);
        }
        match &mut read {
            Ok(read) => read.next().ok_or_else(gone),
            Err(message) => Err(Unread::Failed(message.clone())),
        }
    });
    each.collect()
}

fn entries_of(folder: &Path) -> io::Result<Vec<(Result<String, String>, Nature)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let nature = if entry.file_type()?.is_dir() {
            Nature::Folder
        } else if path.is_file() {
            Nature::File
        } else if path.is_dir() {
            Nature::LinkedFolder
        } else if entry.file_name().to_str().is_none() {
            // Whatever it is, it is told that its name cannot be read.
            Nature::File
        } else {
            continue;
        };
        entries.push((entry.file_name().into_string().map_err(|name| name.to_string_lossy().into_owned()), nature));
    }
    Ok(entries)
}

/// Whether a file of the project stands elsewhere, where the project may not read.
pub fn leaves_by_link(project: &Project, path: &Path) -> bool {
    // What does not exist is not read either.
    let Ok(real) = fs::canonicalize(path) else { return false };
    !project.trust.allows_real(&real)
}

/// The name as git has it, which knows no `.` and no two `/`.
fn plain(name: &str) -> String {
    let parts = Path::new(name).components().filter_map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
