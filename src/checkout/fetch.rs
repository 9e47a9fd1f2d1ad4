//! Fetching what a plan is to be made from. Of the repository's settings only two things are taken: which remote a
//! branch is followed at, and the address of that. The fetch runs apart from them (see `apart`): programs, credentials,
//! proxies and certificates are those of whoever runs yubin, and what is fetched is one branch or tag.

use std::time::Duration;

use super::apart::Apart;
use super::git::{Git, is_ref_name, words};
use super::{Checkout, check, is_id};
use crate::child::{self, Failed};
use crate::model::{Code, Error, Result};

const LIMIT: Duration = Duration::from_secs(60);
/// What it may say, in bytes; it is asked to be quiet.
const MOST: usize = 64 * 1024;
/// Without them, another machine would be told nothing of what is there, and send all of it.
const KNOWN: &str = "--count=2000";
/// Programs that a protocol of another name stands for are not run.
const PROTOCOLS: &str = "https:http:ssh:git:file";

/// Where a reference is followed, and where what was fetched is kept.
struct Upstream {
    remote: String,
    theirs: String,
    ours: String,
}

impl Checkout {
    /// The reference whose commit is to be taken: with `pull`, of a branch the one that is kept of its remote.
    pub fn followed(&self, reference: &str, pull: bool) -> Result<String> {
        check(reference)?;
        if pull { Ok(self.upstream(reference)?.ours) } else { Ok(reference.to_owned()) }
    }

    /// Fetches a branch or a tag from its remote. Nothing changes but the reference that is kept of it: no file, no
    /// branch of its own.
    pub fn fetch(&self, reference: &str) -> Result<()> {
        check(reference)?;
        let Upstream { remote, theirs, ours } = self.upstream(reference)?;
        let settings = self.settings()?;
        let url = settings.iter().find(|(key, _)| *key == format!("remote.{remote}.url")).map(|(_, url)| url);
        let Some(url) = url.filter(|url| !url.is_empty() && !url.starts_with('-')) else {
            return Err(Error::failure(format!("there is no remote `{remote}` to fetch `{reference}` from")).hint(
                "`git remote add` names one, `git branch --set-upstream-to` says which a branch is followed at",
            ));
        };
        let refs = ["for-each-ref", KNOWN, "--format=%(objectname)", "refs/remotes", "refs/heads"];
        let known = String::from_utf8(self.git.ask(&self.top, &refs)?).unwrap_or_default();
        let apart = Apart::of(&self.git, &self.top, &known)?;
        let spec = format!("+{theirs}:refs/fetched");
        let arguments = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--refmap=",
            "--",
            url,
            &spec,
        ];
        // A path of another repository is relative to the top of this one.
        let mut command = apart.command(Some(&self.top), &[], &arguments);
        command.env("GIT_ALLOW_PROTOCOL", PROTOCOLS);
        let has = |name: &str| self.git.outward().iter().any(|(other, _)| other == name);
        if !has("GIT_ASKPASS") {
            command.env("GIT_ASKPASS", "");
        }
        if !has("GIT_SSH") && !has("GIT_SSH_COMMAND") && self.asked(&apart, "core.sshCommand").is_none() {
            // Nobody is there to answer it.
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        child::run_heard(&mut command, b"", MOST, self.git.at_most(LIMIT)).map_err(|(failed, complaint)| {
            let said = words(&complaint);
            if matches!(failed, Failed::Status(_)) && said.contains("couldn't find remote ref") {
                return gone(&remote, &theirs);
            }
            match failed {
                Failed::Late => Error::failure(format!("`{remote}` has not answered `git fetch` in time")),
                Failed::Status(_) => Error::failure(format!("`git fetch` from `{remote}` has failed: {said}"))
                    .hint("it is run with the settings of your own, not with those of the repository"),
                failed => Git::failure(&arguments, &failed, &complaint),
            }
        })?;
        let new = self.asked_of(&apart, &["rev-parse", "--verify", "--quiet", "refs/fetched"]);
        let new = new.ok_or_else(|| Error::failure("`git fetch` does not say what it has fetched"))?;
        let old = self.git.text(&self.top, &["rev-parse", "--verify", "--quiet", &ours]);
        if old.as_deref().map(str::trim) != Some(&new) {
            // Whatever the reference is a name for stays what it is.
            let arguments = ["update-ref", "--no-deref", "-m", "yubin: fetch", &ours, &new];
            self.git.ask(&self.top, &arguments)?;
        }
        Ok(())
    }

    /// A setting of whoever runs yubin.
    fn asked(&self, apart: &Apart<'_>, key: &str) -> Option<String> {
        self.asked_of(apart, &["config", "--get", key])
    }

    fn asked_of(&self, apart: &Apart<'_>, arguments: &[&str]) -> Option<String> {
        let mut command = apart.command(None, &[], arguments);
        let said = child::run(&mut command, b"", MOST, self.git.at_most(LIMIT)).ok()?;
        Some(String::from_utf8(said.to_vec()).ok()?.trim_end().to_owned())
    }

    fn upstream(&self, reference: &str) -> Result<Upstream> {
        let settings = self.settings()?;
        let get = |key: &str| settings.iter().rev().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
        let tag = |name: &str, remote: &str| Upstream {
            remote: remote.to_owned(),
            theirs: format!("refs/tags/{name}"),
            ours: format!("refs/tags/{name}"),
        };
        let branch = |remote: &str, name: &str, theirs: String| Upstream {
            remote: remote.to_owned(),
            ours: format!("refs/remotes/{remote}/{name}"),
            theirs,
        };
        let mut remotes: Vec<&str> = settings
            .iter()
            .filter_map(|(key, _)| key.strip_prefix("remote.")?.strip_suffix(".url"))
            .filter(|name| is_ref_name(name))
            .collect();
        // Of `a` and `a/b` the longer one is meant.
        remotes.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let at_remote = |name: &str| {
            remotes.iter().find_map(|remote| {
                let rest = name.strip_prefix(remote)?.strip_prefix('/')?;
                Some(branch(remote, rest, format!("refs/heads/{rest}")))
            })
        };
        let sole = if let [one] = remotes.as_slice() { *one } else { "origin" };
        let nowhere = || {
            Error::new(Code::Usage, format!("`{reference}` is nothing that could be fetched"))
                .hint("`--pull` is for a branch, a tag or REMOTE/BRANCH")
        };
        if let Some(name) = reference.strip_prefix("refs/tags/") {
            return Ok(tag(name, sole));
        }
        if let Some(name) = reference.strip_prefix("refs/remotes/") {
            return at_remote(name).ok_or_else(nowhere);
        }
        let plain = !reference.starts_with("refs/");
        if plain && let Some(found) = at_remote(reference) {
            return Ok(found);
        }
        let name = reference.strip_prefix("refs/heads/").unwrap_or(reference);
        if name.starts_with("refs/") || name == "HEAD" || is_id(name) {
            return Err(nowhere());
        }
        let remote = get(&format!("branch.{name}.remote"));
        let theirs = get(&format!("branch.{name}.merge")).and_then(|theirs| theirs.strip_prefix("refs/heads/"));
        if let (Some(remote), Some(theirs)) = (remote, theirs)
            && is_ref_name(theirs)
        {
            if !remotes.contains(&remote) {
                return Err(nowhere());
            }
            return Ok(branch(remote, theirs, format!("refs/heads/{theirs}")));
        }
        if plain && self.named(name)? == [format!("refs/tags/{name}")] {
            return Ok(tag(name, sole));
        }
        Ok(branch(sole, name, format!("refs/heads/{name}")))
    }

    /// All settings that git knows here, in the order in which they hold.
    fn settings(&self) -> Result<Vec<(String, String)>> {
        let listed = self.git.ask(&self.top, &["config", "--list", "-z"])?;
        let listed = String::from_utf8_lossy(&listed);
        let pairs = listed.split('\0').filter_map(|one| one.split_once('\n'));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

fn gone(remote: &str, theirs: &str) -> Error {
    Error::failure(format!("`{remote}` has no `{theirs}` (any more)"))
        .about("git/no-ref")
        .hint("a tag is named `refs/tags/NAME`, if no branch is meant")
}
