//! A repository that has the objects of another one and nothing else of it: no settings, no hooks, no remotes. What git
//! does in it, it does with the settings of whoever runs yubin alone, whatever the other one says.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::git::Git;
use crate::model::{Error, Result};

pub struct Apart<'a> {
    git: &'a Git,
    folder: TempDir,
    objects: PathBuf,
}

impl<'a> Apart<'a> {
    /// `known` are objects that stand for what is there already.
    pub fn of(git: &'a Git, top: &Path, known: &str) -> Result<Apart<'a>> {
        let arguments = [
            "rev-parse",
            "--show-object-format",
            "--path-format=absolute",
            "--git-path",
            "objects",
            "--git-path",
            "shallow",
        ];
        let said = git.ask(top, &arguments)?;
        let said = String::from_utf8(said).map_err(|_| Error::failure("the repository's path is not UTF-8"))?;
        let mut lines = said.lines();
        let (Some(format), Some(objects), Some(shallow), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(Error::failure("`git rev-parse` does not say where the objects are"));
        };
        let mut config = "[core]\nbare = true\nrepositoryformatversion = ".to_owned();
        config += if format == "sha1" { "0\n" } else { "1\n[extensions]\nobjectFormat = " };
        config += if format == "sha1" { "" } else { format };
        let known = known.split_whitespace().enumerate();
        let refs: Vec<String> = known.map(|(nth, id)| format!("{id} refs/known/{nth:08}\n")).collect();
        let made = || -> std::io::Result<TempDir> {
            let folder = tempfile::Builder::new().prefix("yubin-git-").tempdir()?;
            fs::create_dir(folder.path().join("refs"))?;
            fs::write(folder.path().join("HEAD"), "ref: refs/heads/none\n")?;
            fs::write(folder.path().join("config"), &config)?;
            fs::write(folder.path().join("packed-refs"), refs.concat())?;
            // Where history ends here, its ends are known; there is no such file otherwise.
            if let Ok(ends) = fs::read(shallow) {
                fs::write(folder.path().join("shallow"), ends)?;
            }
            Ok(folder)
        };
        let folder =
            made().map_err(|error| Error::failure("a folder for temporary files cannot be made").because(error))?;
        Ok(Apart { git, folder, objects: PathBuf::from(objects) })
    }

    /// In `folder`, or where nothing of the repository stands.
    pub fn command(&self, folder: Option<&Path>, settings: &[OsString], arguments: &[&str]) -> Command {
        let mut command = self.git.command(folder.unwrap_or(self.folder.path()), settings, arguments);
        command.env("GIT_DIR", self.folder.path()).env("GIT_OBJECT_DIRECTORY", &self.objects);
        command.envs(self.git.outward().iter().map(|(name, value)| (name, value)));
        command
    }
}
