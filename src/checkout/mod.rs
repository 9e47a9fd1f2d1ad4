//! What git says of the folder that a project stands in, asked of the `git` program. The repository may
//! be a stranger's: nothing that its configuration or its files name is run. Nothing is fetched or written but by
//! `fetch`, when somebody asks for it. Without git, and outside a repository, there is nothing to say.

mod apart;
mod fetch;
mod git;
mod signed;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::model::{Code, Error, Result};
use git::{Git, LIMIT, is_ref_name};

pub use tree::{CommitTree, Nature};

/// Commits that are read for acknowledgements.
const COMMITS: &str = "--max-count=20";
/// The trailer of a commit that consents to a plan.
const ACK: &str = "yubin-ack";
/// Hexadecimal digits of a plan's digest.
const DIGEST: usize = 64;

/// The checkout that a project stands in.
pub struct Checkout {
    git: Git,
    top: PathBuf,
    prefix: String,
}

impl Checkout {
    /// `None` without git, and outside the work tree of a repository that git trusts.
    pub fn of(root: &Path) -> Option<Checkout> {
        Checkout::open(root, std::env::vars_os(), LIMIT)
    }

    fn open(root: &Path, variables: impl Iterator<Item = (OsString, OsString)>, limit: Duration) -> Option<Checkout> {
        let root = fs::canonicalize(root).ok()?;
        let git = Git::new(&root, variables, limit)?;
        let said = git.text(&root, &["rev-parse", "--is-inside-work-tree", "--show-prefix"])?;
        let prefix = said.strip_prefix("true\n")?.strip_suffix('\n')?;
        // A repository may say of itself that it stands elsewhere. The one that is meant has its `.git` above.
        let below = Path::new(prefix);
        let top = root.ancestors().nth(below.components().count())?;
        if root.strip_prefix(top) != Ok(below) || fs::symlink_metadata(top.join(".git")).is_err() {
            return None;
        }
        Some(Checkout { top: top.to_path_buf(), prefix: prefix.to_owned(), git })
    }

    /// The project's folder below the top of the repository: empty, or with `/` at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The commit that is checked out. It has a `+` at its end if it is not all that the project was read
    /// from: if a tracked file of the project's folder differs from it, or one of these sources (relative
    /// to the project, with `/`) is not tracked; also if git cannot tell. `None` before the first commit.
    ///
    /// Filters of the repository are not run. A file that one would change counts as changed where git
    /// has to look into it, because its size or time is not what git noted at checkout.
    pub fn commit<'s>(&self, sources: impl IntoIterator<Item = &'s str>) -> Option<String> {
        let head = self.git.text(&self.top, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        let head = head.trim_end();
        let mark = if self.is_all_of(sources).unwrap_or(false) { "" } else { "+" };
        Some(format!("{head}{mark}"))
    }

    /// Digests of plans that one of the last commits consents to with a trailer `Yubin-Ack: DIGEST`, newest
    /// first.
    pub fn acks(&self) -> Vec<String> {
        self.acks_of("HEAD")
    }

    /// The same of a commit and those before it.
    pub fn acks_of(&self, commit: &str) -> Vec<String> {
        if check(commit).is_err() {
            return Vec::new();
        }
        let arguments = ["rev-list", COMMITS, "--encoding=UTF-8", "--format=%B%x00", commit, "--"];
        let messages = self.git.run(&self.top, &[], &arguments).unwrap_or_default();
        let mut acks: Vec<String> = Vec::new();
        for (key, digest) in String::from_utf8_lossy(&messages).split('\0').flat_map(trailers) {
            let digest = digest.to_ascii_lowercase();
            if key.eq_ignore_ascii_case(ACK)
                && digest.len() == DIGEST
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !acks.contains(&digest)
            {
                acks.push(digest);
            }
        }
        acks
    }

    /// The commit of a branch, a tag, REMOTE/BRANCH or HEAD, or that with this id; `None` if there is none. A name
    /// that stands for several is an error: whoever may push a tag should not decide for a branch.
    pub fn resolve(&self, reference: &str) -> Result<Option<String>> {
        check(reference)?;
        let named = self.named(reference)?;
        if let [one, other, ..] = named.as_slice() {
            let message = format!("`{reference}` is both `{one}` and `{other}`");
            return Err(Error::new(Code::Usage, message).hint("write it in full"));
        }
        let name = match named.into_iter().next() {
            Some(name) => name,
            None if reference == "HEAD" || is_id(reference) => reference.to_owned(),
            None => return Ok(None),
        };
        let commit = format!("{name}^{{commit}}");
        let found = self.git.text(&self.top, &["rev-parse", "--verify", "--quiet", &commit]);
        Ok(found.map(|id| id.trim_end().to_owned()).filter(|id| is_id(id)))
    }

    /// What the commit holds below the project's folder; its id is one that `resolve` has given.
    pub fn tree(&self, commit: &str) -> Result<CommitTree> {
        if !is_id(commit) {
            return Err(Error::new(Code::Usage, format!("`{commit}` is no id of a commit")));
        }
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", commit];
        if !self.prefix.is_empty() {
            arguments.extend(["--", &self.prefix]);
        }
        let listed = self.git.ask(&self.top, &arguments)?;
        CommitTree::new(self.git.clone(), self.top.clone(), commit, &self.prefix, &listed)
    }

    /// The references that a name stands for, in full.
    fn named(&self, name: &str) -> Result<Vec<String>> {
        let full = if name.starts_with("refs/") {
            vec![name.to_owned()]
        } else {
            ["heads", "remotes", "tags"].map(|folder| format!("refs/{folder}/{name}")).to_vec()
        };
        let mut arguments = vec!["for-each-ref", "--format=%(refname)", "--"];
        arguments.extend(full.iter().map(String::as_str));
        let found = self.git.ask(&self.top, &arguments)?;
        // Those below one are not it.
        let found = String::from_utf8_lossy(&found);
        Ok(full.into_iter().filter(|name| found.lines().any(|line| line == name)).collect())
    }

    /// Whether HEAD holds the project's folder as it is, and all of these sources; `None` if git cannot tell.
    fn is_all_of<'s>(&self, sources: impl IntoIterator<Item = &'s str>) -> Option<bool> {
        let mut named = HashSet::new();
        for source in sources {
            named.insert(self.below_top(source)?);
        }
        // Sources may stand outside the project's folder.
        let inside = named.iter().all(|name| name.starts_with(&self.prefix));
        let folder = if inside { self.top.join(&self.prefix) } else { self.top.clone() };
        let listed = self.git.run(&folder, &[], &["ls-files", "-z", "--cached", "--full-name", "--", "."])?;
        for name in listed.split(|byte| *byte == 0) {
            if let Ok(name) = std::str::from_utf8(name) {
                named.remove(name);
            }
        }
        if !named.is_empty() {
            return Some(false);
        }
        let filters_off = self.git.filters_off(&folder)?;
        let arguments = [
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=no",
            "--ignore-submodules=all",
            "--no-renames",
            "--",
            ".",
        ];
        Some(self.git.run(&folder, &filters_off, &arguments)?.is_empty())
    }

    /// A file of the project as git names it; `None` if it stands outside the repository.
    fn below_top(&self, source: &str) -> Option<String> {
        let mut parts: Vec<&str> = self.prefix.split('/').filter(|part| !part.is_empty()).collect();
        for part in Path::new(source).components() {
            match part {
                Component::Normal(part) => parts.push(part.to_str()?),
                Component::CurDir => {}
                Component::ParentDir => {
                    parts.pop()?;
                }
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(parts.join("/"))
    }
}

/// Refuses what is no name of a reference, or could pass for an option of git.
fn check(reference: &str) -> Result<()> {
    if is_ref_name(reference) {
        return Ok(());
    }
    Err(Error::new(Code::Usage, format!("`{}` is no name of a branch or a tag", crate::model::harmless(reference)))
        .hint("as in `main`, `v1` or `origin/main`"))
}

/// Whether it is the id of an object, in full.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The trailers of a message: the last paragraph, if each of its lines is one. A squash puts those of its commits
/// before a rule and its own: paragraphs like these are taken together.
fn trailers(message: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = message.lines().map(str::trim_end).collect();
    for paragraph in lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty()).rev() {
        let is_rule = |line: &str| line.len() >= 3 && line.bytes().all(|byte| byte == b'-');
        let trailer = |line: &'_ str| -> Option<(usize, usize)> {
            let key = line.split_once(':')?.0;
            let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            plain.then_some((key.len(), key.len() + 1))
        };
        if !paragraph.iter().all(|line| is_rule(line) || trailer(line).is_some()) {
            break;
        }
        found.extend(
            paragraph.iter().filter_map(|line| trailer(line).map(|(end, next)| (&line[..end], line[next..].trim()))),
        );
    }
    found
}
