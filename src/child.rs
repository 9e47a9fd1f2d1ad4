//! Programs that are run without a shell, with a limit on their time and on what they print. Nothing that they
//! have started is left when they are stopped.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

/// Where a buffer begins.
const FIRST: usize = 64 * 1024;
/// What is kept of a complaint, in bytes.
const COMPLAINT: usize = 16 * 1024;
/// How long a complaint is listened to when the program has ended: what it has started may hold its stderr open.
const REST: Duration = Duration::from_millis(200);

/// Why there is nothing to take from a program.
#[derive(Debug)]
pub enum Failed {
    NotStarted(io::Error),
    Unread(io::Error),
    /// It has not ended in time, and was stopped.
    Late,
    /// It has printed more than it may, and was stopped.
    TooMuch,
    Status(ExitStatus),
}

/// Runs a program to its end, and gives what it has printed. It hears `input`, and nothing else.
pub fn run(command: &mut Command, input: &[u8], most: usize, limit: Duration) -> Result<Zeroizing<Vec<u8>>, Failed> {
    command.stdout(Stdio::piped());
    let until = Instant::now() + limit;
    finish(start(command, input, Stdio::null())?, most, until)
}

/// The same; where it fails, with the beginning of what the program has written to stderr.
pub fn run_heard(
    command: &mut Command,
    input: &[u8],
    most: usize,
    limit: Duration,
) -> Result<Zeroizing<Vec<u8>>, (Failed, Vec<u8>)> {
    command.stdout(Stdio::piped());
    let until = Instant::now() + limit;
    let mut child = start(command, input, Stdio::piped()).map_err(|failed| (failed, Vec::new()))?;
    let complaint = child.stderr.take().map(hear);
    finish(child, most, until).map_err(|failed| {
        let said = complaint.map(|(said, ended)| {
            // Whether it has ended makes no difference: what there is by now is told.
            let _ = ended.recv_timeout(REST);
            std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner))
        });
        (failed, said.unwrap_or_default())
    })
}

/// Takes the beginning of what comes, and lets the rest go by, so that nobody waits to write it.
fn hear(mut from: ChildStderr) -> (Arc<Mutex<Vec<u8>>>, mpsc::Receiver<()>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let (send, ended) = mpsc::channel();
    let kept = Arc::clone(&said);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(more) => {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = COMPLAINT.saturating_sub(kept.len());
                    kept.extend_from_slice(&buffer[..more.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Nobody listens any more if the program has not failed.
        let _ = send.send(());
    });
    (said, ended)
}

fn finish(mut child: Child, most: usize, until: Instant) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let printed = child.stdout.take().map(|output| listen(output, most, until));
    let printed = match printed {
        Some(Err(failed)) => {
            stop(&mut child);
            return Err(failed);
        }
        Some(Ok(printed)) => printed,
        None => Zeroizing::default(),
    };
    end(&mut child, until).map(|()| printed)
}

/// Runs a program to its end; what it prints goes nowhere.
pub fn run_unheard(command: &mut Command, input: &[u8], limit: Duration) -> Result<(), Failed> {
    command.stdout(Stdio::null());
    let until = Instant::now() + limit;
    end(&mut start(command, input, Stdio::null())?, until)
}

fn start(command: &mut Command, input: &[u8], stderr: Stdio) -> Result<Child, Failed> {
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() }).stderr(stderr);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn().map_err(Failed::NotStarted)?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // A program need not read it, and whoever it has started may hold it open.
        thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
    }
    Ok(child)
}

/// What a program prints until it closes its output.
fn listen(mut output: ChildStdout, most: usize, until: Instant) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut printed = Zeroizing::new(vec![0; FIRST]);
        let mut len = 0;
        let done = loop {
            if len > most {
                break Err(Failed::TooMuch);
            }
            if len == printed.len() {
                // By hand: a vector that grows leaves a copy behind.
                let mut larger = Zeroizing::new(vec![0; len * 2]);
                larger[..len].copy_from_slice(&printed);
                printed = larger;
            }
            match output.read(&mut printed[len..]) {
                Ok(0) => break Ok(()),
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(Failed::Unread(error)),
            }
        };
        printed.truncate(len);
        // Nobody waits any more if this came too late.
        let _ = send.send(done.map(|()| printed));
    });
    receive.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or(Err(Failed::Late))
}

fn end(child: &mut Child, until: Instant) -> Result<(), Failed> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(Failed::Status(status)),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            Ok(None) => {
                stop(child);
                return Err(Failed::Late);
            }
            Err(error) => return Err(Failed::Unread(error)),
        }
    }
}

/// Ends a program and what it has started.
fn stop(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The file of a program that is named: a path is relative to `base`, a name stands in PATH. Relative entries of
/// PATH would depend on where yubin is run.
pub fn find(name: &str, base: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(base.join(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Whether the file stands in the folder, links followed or not.
pub fn stands_in(file: &Path, folder: &Path) -> bool {
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let home = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    real.starts_with(&home) || file.starts_with(&home)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_prints_is_taken_to_a_limit() {
        let run = |script: &str, most| run(&mut sh(script), b"", most, LIMIT);
        assert_eq!(run("printf abc", 10).unwrap().as_slice(), b"abc");
        assert_eq!(run("head -c 300000 /dev/zero", 300_000).unwrap().len(), 300_000);
        assert!(matches!(run("head -c 300001 /dev/zero", 300_000), Err(Failed::TooMuch)));
        assert!(matches!(run("yes", 1000), Err(Failed::TooMuch)));
        assert!(matches!(run("echo x; exit 3", 10), Err(Failed::Status(status)) if status.code() == Some(3)));
        assert!(matches!(super::run(&mut Command::new("/no/such"), b"", 1, LIMIT), Err(Failed::NotStarted(_))));
    }

    #[test]
    fn what_a_program_hears_need_not_be_read() {
        let long = vec![b'x'; 1_000_000];
        let count = run(&mut sh("wc -c"), &long, 100, LIMIT).unwrap();
        assert_eq!(std::str::from_utf8(&count).unwrap().trim(), "1000000");
        run_unheard(&mut sh("exit 0"), &long, LIMIT).unwrap();
        run_unheard(&mut sh("head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2"), &long, LIMIT).unwrap();
    }

    #[test]
    fn the_beginning_of_a_complaint_is_heard() {
        let run = |script: &str| run_heard(&mut sh(script), b"", 10, LIMIT);
        assert_eq!(run("echo no >&2; printf abc").unwrap().as_slice(), b"abc");
        let (failed, said) = run("echo no >&2; exit 3").unwrap_err();
        assert!(matches!(failed, Failed::Status(status) if status.code() == Some(3)));
        assert_eq!(said, b"no\n");
        assert_eq!(run("head -c 10000000 /dev/zero >&2; exit 1").unwrap_err().1.len(), COMPLAINT);
        // Whoever still holds stderr open is not waited for.
        let started = Instant::now();
        assert_eq!(run("echo no >&2; sleep 5 >/dev/null & exit 1").unwrap_err().1, b"no\n");
        assert!(matches!(
            run_heard(&mut sh("echo no >&2; sleep 60"), b"", 10, Duration::from_millis(200)),
            Err((Failed::Late, said)) if said == b"no\n"
        ));
        assert!(started.elapsed() < LIMIT);
    }

    #[test]
    fn what_hangs_is_stopped() {
        let short = Duration::from_millis(200);
        for script in ["sleep 60", "sleep 60 & sleep 60", "exec >&-; sleep 60", "trap '' TERM; sleep 60"] {
            let started = Instant::now();
            assert!(matches!(run(&mut sh(script), b"x", 10, short), Err(Failed::Late)), "{script}");
            assert!(matches!(run_unheard(&mut sh(script), b"x", short), Err(Failed::Late)), "{script}");
            assert!(started.elapsed() < LIMIT, "{script}");
        }
    }
}
