//! One JSON line for every call that changes something or is refused. A flood of refusals is counted, and the count
//! is a line.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::limits::host;
use crate::model::{Error, Result, Token};
use crate::pipeline::written;

/// How long refusals of one sort are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Of those, the first are written one by one.
const SINGLY: u64 = 10;
/// More sorts than these are counted as one.
const SORTS: usize = 1024;

pub struct Audit {
    path: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    file: Option<File>,
    broken: bool,
    floods: HashMap<(Option<IpAddr>, String), Flood>,
}

struct Flood {
    since: Instant,
    began: Timestamp,
    count: u64,
}

/// What a line says.
pub struct Entry<'a> {
    pub token: Option<&'a Token>,
    pub peer: IpAddr,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub code: Option<&'a str>,
    pub revision: Option<u64>,
    /// Whether it is nothing but a refusal, of which there may be many.
    pub refused: bool,
}

impl Audit {
    /// To a file, or to stderr.
    pub fn open(path: Option<PathBuf>) -> Result<Audit> {
        let mut inner = Inner::default();
        if let Some(path) = &path {
            let file = append(path).map_err(|error| {
                Error::failure(format!("the audit file {} cannot be written", path.display())).because(error)
            })?;
            inner.file = Some(file);
            inner.write(&json!({ "at": written(Timestamp::now()), "audit": "started" }));
            if inner.broken {
                return Err(Error::failure(format!("the audit file {} cannot be written", path.display()))
                    .hint("make room for it, or name another file"));
            }
        }
        Ok(Audit { path, inner: Mutex::new(inner) })
    }

    /// Opens the file anew: it may have been moved away.
    pub fn reopen(&self) {
        let Some(path) = &self.path else { return };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match append(path) {
            Ok(file) => inner.file = Some(file),
            Err(error) => {
                inner.broken = true;
                super::say(&format!("error: the audit file {} cannot be written: {error}", path.display()));
            }
        }
    }

    /// Whether what changes can be written down; where it could not be, that is tried again first.
    pub fn works(&self) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.broken {
            return true;
        }
        if let Some(path) = &self.path
            && let Ok(file) = append(path)
        {
            inner.file = Some(file);
        }
        inner.write(&json!({ "at": written(Timestamp::now()), "audit": "resumed" }));
        !inner.broken
    }

    pub fn write(&self, entry: &Entry<'_>) {
        let Entry { token, peer, method, path, status, code, revision, refused } = *entry;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sum_up(false);
        if refused && inner.is_flood(host(peer), code.unwrap_or_default()) {
            return;
        }
        let line = json!({
            "at": written(Timestamp::now()),
            "token": token.map(|token| &token.id),
            "name": token.map(|token| &token.name),
            "peer": peer.to_string(),
            "method": method,
            "path": path,
            "status": status,
            "code": code,
            "revision": revision,
        });
        inner.write(&line);
    }

    /// Writes the counts of what was not written one by one.
    pub fn sum_up(&self, all: bool) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).sum_up(all);
    }
}

impl Inner {
    fn is_flood(&mut self, peer: IpAddr, code: &str) -> bool {
        let mut sort = (Some(peer), code.to_owned());
        if self.floods.len() >= SORTS && !self.floods.contains_key(&sort) {
            sort = (None, String::new());
        }
        let flood = self.floods.entry(sort).or_insert_with(|| Flood {
            since: Instant::now(),
            began: Timestamp::now(),
            count: 0,
        });
        flood.count += 1;
        flood.count > SINGLY
    }

    fn sum_up(&mut self, all: bool) {
        let over = |flood: &Flood| all || flood.since.elapsed() >= WINDOW;
        let done: Vec<_> = self.floods.extract_if(|_, flood| over(flood)).collect();
        for ((peer, code), flood) in done.into_iter().filter(|(_, flood)| flood.count > SINGLY) {
            self.write(&json!({
                "at": written(Timestamp::now()),
                "peer": peer.map(|peer| peer.to_string()),
                "code": code,
                "since": written(flood.began),
                "refused": flood.count - SINGLY,
            }));
        }
    }

    fn write(&mut self, line: &Json) {
        let text = format!("{line}\n");
        let done = match &mut self.file {
            // One write, so that lines of several servers in one file stay whole.
            Some(file) => file.write_all(text.as_bytes()),
            None => io::stderr().lock().write_all(text.as_bytes()),
        };
        if let Err(error) = &done
            && !self.broken
        {
            super::say(&format!(
                "error: the audit cannot be written, nothing is changed until it can: {error}; {line}"
            ));
        }
        self.broken = done.is_err();
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let audit = Audit::open(Some(path.clone())).unwrap();
        let refused = |peer: &str| {
            audit.write(&Entry {
                token: None,
                peer: peer.parse().unwrap(),
                method: "GET",
                path: "/v1/tokens",
                status: 401,
                code: Some("token/missing"),
                revision: None,
                refused: true,
            });
        };
        for _ in 0..1000 {
            refused("192.0.2.1");
        }
        refused("192.0.2.2");
        audit.sum_up(true);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 13);
        assert_eq!(lines[12]["refused"], 990);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Audit::open(Some(folder.path().join("no/such/folder"))).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_nothing_can_be_written_nothing_is_changed() {
        assert!(Audit::open(Some(PathBuf::from("/dev/full"))).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let audit = Audit::open(Some(path)).unwrap();
        audit.inner.lock().unwrap().file = Some(append(&PathBuf::from("/dev/full")).unwrap());
        assert!(audit.works());
        let (peer, method, path) = ("192.0.2.1".parse().unwrap(), "POST", "/v1/changesets");
        audit.write(&Entry {
            token: None,
            peer,
            method,
            path,
            status: 200,
            code: None,
            revision: None,
            refused: false,
        });
        assert!(audit.inner.lock().unwrap().broken);
        assert!(audit.works(), "the file itself can be written again");
    }
}
