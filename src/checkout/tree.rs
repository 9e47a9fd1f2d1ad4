//! The files of a project as a commit holds them: their names at once, their bytes when they are asked for. Filters,
//! line ends and whatever else `.gitattributes` says are for work trees, and not applied.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::git::Git;
use crate::child::{self, Failed};
use crate::model::{Error, Result};

/// The most that the files of one plan may be, in bytes.
const MOST: usize = 1024 * 1024 * 1024;
/// Reading all of them has this long.
const LIMIT: Duration = Duration::from_secs(60);

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Folder,
    File,
    /// A symbolic link: where it leads to is not looked at.
    Link,
}

struct Entry {
    /// Below the project's folder, as git has it: it need not be UTF-8.
    name: Box<[u8]>,
    id: Box<str>,
    nature: Nature,
}

/// What a commit holds below the project's folder.
pub struct CommitTree {
    git: Git,
    top: PathBuf,
    commit: String,
    /// By name. A submodule is none.
    entries: Vec<Entry>,
}

impl fmt::Debug for CommitTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.commit)
    }
}

impl CommitTree {
    /// `listed` is what `git ls-tree -r -z` says.
    pub(super) fn new(git: Git, top: PathBuf, commit: &str, prefix: &str, listed: &[u8]) -> Result<CommitTree> {
        let odd = || Error::failure("`git ls-tree` says what is no list of files");
        let mut entries = Vec::new();
        for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let tab = line.iter().position(|byte| *byte == b'\t').ok_or_else(odd)?;
            let mut words = std::str::from_utf8(&line[..tab]).map_err(|_| odd())?.split(' ');
            let (Some(mode), Some(_), Some(id)) = (words.next(), words.next(), words.next()) else {
                return Err(odd());
            };
            let nature = match mode {
                "120000" => Nature::Link,
                "160000" => continue,
                _ => Nature::File,
            };
            let name = line[tab + 1..].strip_prefix(prefix.as_bytes()).ok_or_else(odd)?;
            entries.push(Entry { name: name.into(), id: id.into(), nature });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(CommitTree { git, top, commit: commit.to_owned(), entries })
    }

    /// Its id, in full.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// `None` if nothing stands there. `name` is relative to the project, with `/`; empty for the project itself.
    pub fn find(&self, name: &str) -> Option<Nature> {
        if let Some(entry) = self.entry(name) {
            return Some(entry.nature);
        }
        let below = below(name);
        let at = self.entries.partition_point(|entry| *entry.name < *below);
        self.entries.get(at).is_some_and(|entry| entry.name.starts_with(&below)).then_some(Nature::Folder)
    }

    /// What stands in a folder, by name.
    pub fn folder(&self, name: &str) -> Vec<(&[u8], Nature)> {
        let below = below(name);
        let mut at = self.entries.partition_point(|entry| *entry.name < *below);
        let mut found = Vec::new();
        while let Some(entry) = self.entries.get(at) {
            let Some(rest) = entry.name.strip_prefix(&*below) else { break };
            let Some(slash) = rest.iter().position(|byte| *byte == b'/') else {
                found.push((rest, entry.nature));
                at += 1;
                continue;
            };
            found.push((&rest[..slash], Nature::Folder));
            let folder = &entry.name[..=below.len() + slash];
            at += self.entries[at..].partition_point(|entry| entry.name.starts_with(folder));
        }
        found
    }

    /// The bytes of files, in the order of their names.
    pub fn read(&self, names: &[&str]) -> Result<Vec<Vec<u8>>> {
        let entries = names
            .iter()
            .map(|name| {
                let file = self.entry(name).filter(|entry| entry.nature == Nature::File);
                file.ok_or_else(|| Error::failure(format!("`{name}` is no file of the commit {}", self.commit)))
            })
            .collect::<Result<Vec<&Entry>>>()?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = String::new();
        for entry in &entries {
            asked.push_str(&entry.id);
            asked.push('\n');
        }
        let arguments = ["cat-file", "--batch", "--buffer"];
        let mut command = self.git.command(&self.top, &[], &arguments);
        let said = child::run_heard(&mut command, asked.as_bytes(), MOST, self.git.at_most(LIMIT));
        let said = said.map_err(|(failed, complaint)| match failed {
            Failed::TooMuch => Error::failure(format!("the files of the commit {} are more than 1 GiB", self.commit)),
            failed => Git::failure(&arguments, &failed, &complaint),
        })?;
        blobs(&said, &entries)
            .ok_or_else(|| Error::failure(format!("not every object of the commit {} is there", self.commit)))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.name).cmp(name.as_bytes())).ok()?;
        Some(&self.entries[at])
    }
}

/// What the names of all that stands in a folder begin with.
fn below(folder: &str) -> Vec<u8> {
    if folder.is_empty() { Vec::new() } else { [folder.as_bytes(), b"/"].concat() }
}

/// What `cat-file --batch` says: for each object a line, its bytes, and a newline. `None` if one is missing.
fn blobs(said: &[u8], entries: &[&Entry]) -> Option<Vec<Vec<u8>>> {
    let mut rest = said;
    let mut blobs = Vec::with_capacity(entries.len());
    for entry in entries {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let size = line.strip_prefix(&*entry.id)?.strip_prefix(" blob ")?.parse().ok()?;
        rest = &rest[end + 1..];
        let blob = rest.get(..size)?;
        blobs.push(blob.to_vec());
        rest = rest[size..].strip_prefix(b"\n")?;
    }
    Some(blobs)
}
