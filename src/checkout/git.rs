//! The `git` program, and what it is run with.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Failed};
use crate::model::harmless::harmless;
use crate::model::{Error, Result};

/// Each question has this long. Nobody should wait longer to learn what is only written beside a plan.
pub const LIMIT: Duration = Duration::from_secs(5);
/// The most that an answer may take, in bytes: names of 100,000 files and more.
pub const MOST: usize = 16 * 1024 * 1024;

/// Settings that run a program or reach the network, or that let files of the checkout pass for a
/// repository. Filters have names of their own: see [`Git::filters_off`].
const SETTINGS: [&str; 8] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "log.showSignature=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.bareRepository=explicit",
];

/// What git is given of the environment, beside PATH: where its own user's settings are, and who is asked
/// about `safe.directory`. None of it comes from the repository.
const VARIABLES: [&str; 14] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "SUDO_UID",
    "SYSTEMROOT",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "PROGRAMDATA",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];

/// What a fetch and the look at a signature are given besides: how whoever runs yubin reaches other machines, and
/// where their keys are.
const OUTWARD: [&str; 23] = [
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "DISPLAY",
    "USER",
    "LOGNAME",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GNUPGHOME",
];

#[derive(Clone)]
pub struct Git {
    program: PathBuf,
    variables: Vec<(OsString, OsString)>,
    outward: Vec<(OsString, OsString)>,
    limit: Duration,
}

impl Git {
    /// `None` if there is no git. One among the project's files is none.
    pub fn new(root: &Path, variables: impl Iterator<Item = (OsString, OsString)>, limit: Duration) -> Option<Git> {
        let (mut kept, mut outward, mut folders) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in variables {
            if name == "PATH" {
                // Relative entries would depend on where git is run: among the project's files.
                folders = std::env::split_paths(&value).filter(|folder| folder.is_absolute()).collect();
            } else if name.to_str().is_some_and(is_kept) {
                kept.push((name, value));
            } else if name.to_str().is_some_and(|name| OUTWARD.contains(&name)) {
                outward.push((name, value));
            }
        }
        let name = if cfg!(windows) { "git.exe" } else { "git" };
        let program = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())?;
        if fs::canonicalize(&program).ok()?.starts_with(root) {
            return None;
        }
        kept.push(("PATH".into(), std::env::join_paths(&folders).ok()?));
        for (name, value) in [
            ("LC_ALL", "C"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_LITERAL_PATHSPECS", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            // An object that is missing would be fetched, by a program that the repository names. Older
            // versions know only the second: no protocol is allowed.
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_ALLOW_PROTOCOL", "none"),
        ] {
            kept.push((name.into(), value.into()));
        }
        Some(Git { program, variables: kept, outward, limit })
    }

    /// Arguments that take the program from every filter that is set anywhere; `None` if that cannot be.
    /// To see whether a file has changed, git runs the filter that `.gitattributes` names for it.
    pub fn filters_off(&self, folder: &Path) -> Option<Vec<OsString>> {
        let names = self.run(folder, &[], &["config", "--list", "--name-only", "-z"])?;
        let mut off = HashSet::new();
        for name in names.split(|byte| *byte == 0) {
            let Some(driver) = name.strip_prefix(b"filter.") else { continue };
            let Some(end) = driver.iter().rposition(|byte| *byte == b'.') else { continue };
            let driver = std::str::from_utf8(&driver[..end]).ok()?;
            // `-c` has no way to write these.
            if driver.contains(['=', '\n']) {
                return None;
            }
            off.insert(driver);
        }
        let settings = off.iter().flat_map(|driver| {
            ["clean=", "smudge=", "process=", "required=false"].map(|setting| format!("filter.{driver}.{setting}"))
        });
        Some(settings.flat_map(|setting| [OsString::from("-c"), setting.into()]).collect())
    }

    pub fn text(&self, folder: &Path, arguments: &[&str]) -> Option<String> {
        String::from_utf8(self.run(folder, &[], arguments)?).ok()
    }

    /// What git prints; `None` if it fails, takes too long or prints too much.
    pub fn run(&self, folder: &Path, settings: &[OsString], arguments: &[&str]) -> Option<Vec<u8>> {
        let mut command = self.command(folder, settings, arguments);
        child::run(&mut command, b"", MOST, self.limit).ok().map(|mut said| std::mem::take(&mut *said))
    }

    /// The same, with the reason if it fails.
    pub fn ask(&self, folder: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut command = self.command(folder, &[], arguments);
        match child::run_heard(&mut command, b"", MOST, self.limit) {
            Ok(mut said) => Ok(std::mem::take(&mut *said)),
            Err((failed, complaint)) => Err(Git::failure(arguments, &failed, &complaint)),
        }
    }

    pub fn command(&self, folder: &Path, settings: &[OsString], arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--no-pager").args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).args(settings);
        command.args(arguments).current_dir(folder).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (OsStr::new(name), value)));
        command
    }

    /// What the caller's environment says about the way to other machines, and about keys.
    pub fn outward(&self) -> &[(OsString, OsString)] {
        &self.outward
    }

    /// No question takes longer than whoever made this is ready to wait.
    pub fn at_most(&self, limit: Duration) -> Duration {
        if self.limit < LIMIT { self.limit } else { limit }
    }

    pub fn failure(arguments: &[&str], failed: &Failed, complaint: &[u8]) -> Error {
        let verb = arguments.first().copied().unwrap_or_default();
        let said = words(complaint);
        Error::failure(match failed {
            Failed::NotStarted(error) | Failed::Unread(error) => format!("`git {verb}` cannot be run: {error}"),
            Failed::Late => format!("`git {verb}` has not ended in time"),
            Failed::TooMuch => format!("`git {verb}` says more than it may"),
            Failed::Status(_) if said.is_empty() => format!("`git {verb}` has failed"),
            Failed::Status(_) => format!("`git {verb}` has failed: {said}"),
        })
    }
}

/// Whether git is given this variable. Settings that stand in the environment are the caller's own: with
/// them, CI names the folders that are safe.
pub fn is_kept(name: &str) -> bool {
    VARIABLES.contains(&name)
        || name == "GIT_CONFIG_COUNT"
        || name.starts_with("GIT_CONFIG_KEY_")
        || name.starts_with("GIT_CONFIG_VALUE_")
}

/// Whether a reference may have this name (git-check-ref-format), below `refs/` or in full.
pub fn is_ref_name(name: &str) -> bool {
    let fine = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.as_bytes().ends_with(b".lock");
    let odd = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !name.starts_with('-')
        && name != "@"
        && !name.contains(odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(fine)
}

/// Lines of a complaint that are told, and characters of each.
const LINES: usize = 5;
const WIDTH: usize = 300;

/// A complaint in one line, without what is secret in the addresses that it names.
pub fn words(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    // These go without saying, and the reason stands before them.
    let known = ["Please make sure you have the correct access rights", "and the repository exists."];
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty() && !known.contains(line));
    let lines: Vec<&str> = lines.collect();
    let lines: Vec<String> = lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| harmless(&without_secrets(line)).chars().take(WIDTH).collect::<String>())
        .collect();
    lines.join("; ")
}

/// Takes from every address what stands before its `@`, and its query, where tokens may be.
fn without_secrets(line: &str) -> String {
    let mut rest = line;
    let mut out = String::with_capacity(line.len());
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        out.push_str(before);
        let end = address.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).unwrap_or(address.len());
        let (address, behind) = address.split_at(end);
        // An `@` of the path takes the host with it, which is better than to leave a password that holds a `/`.
        let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
        out.push_str(address.split(['?', '#']).next().unwrap_or_default());
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_told_without_secrets() {
        for (said, told) in [
            ("fatal: no\n", "fatal: no"),
            ("\nremote: a\n\n  b\r\nc\nd\ne\nf\nand the repository exists.\n", "b; c; d; e; f"),
            (
                "fatal: unable to access 'https://u:p@ss/w@host/x?token=1': no",
                "fatal: unable to access 'https://host/x': no",
            ),
            ("https://tok@a/x ssh://git@b/y://", "https://a/x ssh://b/y://"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
        ] {
            assert_eq!(words(said.as_bytes()), told);
        }
        assert_eq!(words("x".repeat(1000).as_bytes()).len(), WIDTH);
    }
}
