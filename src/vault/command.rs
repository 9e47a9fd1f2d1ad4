//! Running the command that a secret is fetched with.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::source::Missing;

/// Longer than a password manager that asks its server takes.
const LIMIT: Duration = Duration::from_secs(30);
/// The most that a command may print, in bytes.
const MOST: usize = 64 * 1024;

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
    let program = find(name, root).ok_or_else(|| {
        missing("is not found".to_owned(), "a name is looked for in PATH, a path is relative to yubin.yaml")
    })?;
    let real = std::fs::canonicalize(&program).unwrap_or_else(|_| program.clone());
    let home = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    if foreign && (real.starts_with(&home) || program.starts_with(&home)) {
        let message = "the command's program stands inside the project, whose files are not trusted".to_owned();
        return Err(("secret/command", message, "keep the program outside the project"));
    }
    let mut command = Command::new(&program);
    // Many programs read what lies where they are started.
    let folder = if foreign { Path::new("/") } else { root };
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("YUBIN_") || hidden.contains(&*name) {
            command.env_remove(&variable);
        }
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let until = Instant::now() + LIMIT;
    let mut child =
        command.spawn().map_err(|error| missing(format!("cannot be started: {error}"), "is the file executable?"))?;
    let printed = listen(&mut child);
    let late = || missing(format!("has not ended within {} s", LIMIT.as_secs()), BY_HAND);
    let Some(printed) = printed else {
        stop(&mut child);
        return Err(late());
    };
    let printed = printed.map_err(|error| missing(format!("cannot be read: {error}"), BY_HAND));
    if printed.as_ref().is_ok_and(|printed| printed.len() > MOST) {
        stop(&mut child);
        return Err(missing("prints more than 64 KiB".to_owned(), "a password is far shorter"));
    }
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                stop(&mut child);
                return Err(late());
            }
            Err(error) => return Err(missing(format!("cannot be waited for: {error}"), BY_HAND)),
        }
    };
    if !status.success() {
        return Err(missing(format!("failed: {status}"), BY_HAND));
    }
    printed
}

/// What the command prints until it closes its output; `None` if that takes too long.
fn listen(child: &mut Child) -> Option<std::io::Result<Zeroizing<Vec<u8>>>> {
    let mut output = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // To the size at once: a buffer that grows leaves copies behind.
        let mut printed = Zeroizing::new(vec![0; MOST + 1]);
        let mut len = 0;
        let done = loop {
            match output.read(&mut printed[len..]) {
                Ok(0) => break Ok(()),
                Ok(more) => len += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        printed.truncate(len);
        // Nobody waits any more if this came too late.
        let _ = send.send(done.map(|()| printed));
    });
    receive.recv_timeout(LIMIT).ok()
}

/// Ends the command and what it has started.
fn stop(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The program's file. Relative entries of PATH would depend on where yubin is run.
fn find(name: &str, root: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(root.join(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
