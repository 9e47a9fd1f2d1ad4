//! Running the command that a secret is fetched with.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use zeroize::Zeroizing;

use super::source::Missing;
use crate::child::{self, Failed};

/// Longer than a password manager that asks its server takes.
const LIMIT: Duration = Duration::from_secs(30);
/// The most that a command may print, in bytes.
const MOST: usize = 64 * 1024;

/// What systemd has told a watcher is for nobody else: another could speak in its name.
const SYSTEMD: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

const BY_HAND: &str = "run it by hand to see what it says; yubin shows nothing of it";

/// Runs a program without a shell, and gives what it prints. `hidden` are variables that it is not
/// given; `foreign` says that the project's own files are not trusted.
pub fn run(
    words: &[String],
    root: &Path,
    hidden: &HashSet<String>,
    foreign: bool,
) -> Result<Zeroizing<Vec<u8>>, Missing> {
    let (name, arguments) = words.split_first().ok_or(("secret/form", "a command has no words".to_owned(), ""))?;
    let missing = |what: String, hint| ("secret/missing", format!("the command {what}"), hint);
    let program = child::find(name, root).ok_or_else(|| {
        missing("is not found".to_owned(), "a name is looked for in PATH, a path is relative to yubin.yaml")
    })?;
    if foreign && child::stands_in(&program, root) {
        let message = "the command's program stands inside the project, whose files are not trusted".to_owned();
        return Err(("secret/command", message, "keep the program outside the project"));
    }
    let mut command = Command::new(&program);
    // Many programs read what lies where they are started.
    let folder = if foreign { Path::new("/") } else { root };
    command.args(arguments).current_dir(folder);
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("YUBIN_") || SYSTEMD.contains(&&*name) || hidden.contains(&*name) {
            command.env_remove(&variable);
        }
    }
    child::run(&mut command, b"", MOST, LIMIT).map_err(|failed| match failed {
        Failed::NotStarted(error) => missing(format!("cannot be started: {error}"), "is the file executable?"),
        Failed::Unread(error) => missing(format!("cannot be read: {error}"), BY_HAND),
        Failed::Late => missing(format!("has not ended within {} s", LIMIT.as_secs()), BY_HAND),
        Failed::TooMuch => missing("prints more than 64 KiB".to_owned(), "a password is far shorter"),
        Failed::Status(status) => missing(format!("failed: {status}"), BY_HAND),
    })
}
