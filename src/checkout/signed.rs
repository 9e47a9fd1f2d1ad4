//! Whether a commit is signed by somebody whom whoever runs yubin trusts.

use std::time::Duration;

use super::apart::Apart;
use super::git::{Git, words};
use super::{Checkout, is_id};
use crate::child::{self, Failed};
use crate::model::{Code, Error, Result};

/// The program that looks at a signature has this long.
const LIMIT: Duration = Duration::from_secs(20);
/// What it may say, in bytes.
const MOST: usize = 64 * 1024;

impl Checkout {
    /// `Err` inside says why it is not. Programs, keys and signers are those that the settings and the environment of
    /// whoever runs yubin name: git is asked apart from the repository, whose settings are not read.
    pub fn is_signed(&self, commit: &str) -> Result<std::result::Result<(), String>> {
        if !is_id(commit) {
            return Err(Error::new(Code::Usage, format!("`{commit}` is no id of a commit")));
        }
        let apart = Apart::of(&self.git, &self.top, "")?;
        let run = |arguments: &[&str]| {
            let mut command = apart.command(None, &[], arguments);
            child::run_heard(&mut command, b"", MOST, self.git.at_most(LIMIT))
        };
        let grade = ["log", "--no-walk", "--no-decorate", "--format=%G?", commit, "--"];
        let said = run(&grade).map_err(|(failed, complaint)| Git::failure(&grade, &failed, &complaint))?;
        let why = match String::from_utf8_lossy(&said).trim() {
            "G" => {
                // What `gpg.minTrustLevel` asks for is looked at here alone.
                let verify = ["verify-commit", commit];
                return match run(&verify) {
                    Ok(_) => Ok(Ok(())),
                    Err((Failed::Status(_), complaint)) => {
                        Ok(Err(format!("git does not find its signature good: {}", words(&complaint))))
                    }
                    Err((failed, complaint)) => Err(Git::failure(&verify, &failed, &complaint)),
                };
            }
            "N" => {
                let object = run(&["cat-file", "commit", commit]).map(|bytes| bytes.to_vec()).unwrap_or_default();
                let head = String::from_utf8_lossy(&object);
                let mut head = head.lines().take_while(|line| !line.is_empty());
                // Git says the same of both.
                if head.any(|line| line.starts_with("gpgsig")) {
                    "it is signed, but nothing says whose keys are good: `git config --global gpg.ssh.allowedSignersFile`"
                } else {
                    "it has no signature"
                }
            }
            "B" => "its signature is bad",
            "U" => "it is signed with a key that is not trusted",
            "X" => "its signature has expired",
            "Y" => "it is signed with a key that has expired",
            "R" => "it is signed with a key that was revoked",
            "E" => "its signature cannot be checked: the key is not known",
            _ => "git does not find its signature good",
        };
        Ok(Err(why.to_owned()))
    }
}
