//! What probes have found, kept beside the project: which settings were good, and when.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Session, Targets};
use crate::model::probe::{Entry, Lack, Outcome, Probed, Target, Unproven};
use crate::pipeline::written;
use crate::vault::{self, Vault};

/// Below the project's folder; git ignores what is there.
const FILE: &str = ".yubin/evidence.json";
/// Seconds; no policy takes evidence that is older.
const OLDEST: i64 = 30 * 24 * 3600;
/// Of those, the latest are kept.
const MOST: usize = 200_000;
/// Of the file.
const BYTES: u64 = 128 * 1024 * 1024;

/// What is known of one target, by a keyed digest of all that it was asked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    /// Seconds of Unix time.
    at: i64,
    good: bool,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Book {
    format_version: u32,
    evidence: BTreeMap<String, Known>,
}

/// A digest of everything that a server was asked with.
fn digest(vault: &Vault, target: &Target) -> String {
    let mut parts = Vec::new();
    put(target, &mut parts);
    vault.fingerprint(parts.into_iter())
}

fn put(target: &Target, parts: &mut Vec<Vec<u8>>) {
    let Target { address, protocol, host, port, security, entry, folder, uidl, size, before, send: _ } = target;
    parts.push(b"yubin evidence 1".to_vec());
    parts.push(address.to_string().into_bytes());
    parts.push(format!("{} {port} {} {uidl} {size:?}", protocol.name(), security.name()).into_bytes());
    parts.push(host.to_ascii_lowercase().into_bytes());
    parts.push(folder.clone().unwrap_or_default().into_bytes());
    match entry {
        Entry::Nobody => parts.push(b"nobody".to_vec()),
        Entry::Off(_) => parts.push(b"off".to_vec()),
        Entry::Without { .. } => parts.push(b"without".to_vec()),
        // By which field they came makes no difference to a server.
        Entry::User { name, password, mechanism, fields: _ } => {
            parts.push(mechanism.name().as_bytes().to_vec());
            parts.push(name.clone().into_bytes());
            parts.push(password.expose().as_bytes().to_vec());
        }
    }
    if let Some(before) = before {
        let (first, wait) = &**before;
        parts.push(wait.as_secs().to_string().into_bytes());
        put(first, parts);
    }
}

/// What a probe found is good if nothing has failed, and nothing was left out for a failure elsewhere.
fn is_good(probed: &Probed) -> bool {
    probed.outcome() != Outcome::Failed && !probed.steps.iter().any(|step| step.code == Some("probe/not-tried"))
}

/// Keeps what came of a probe. Evidence that cannot be kept has to be found again; nothing else depends on it.
pub fn keep(session: &Session, targets: &Targets, probed: &[Probed]) {
    let Some(vault) = &targets.vault else { return };
    let path = session.project.root.join(FILE);
    let mut book = read(&path);
    let now = Timestamp::now().as_second();
    for (target, probed) in targets.all.iter().zip(probed) {
        let code = probed.steps.iter().find(|step| step.outcome == Outcome::Failed).and_then(|step| step.code);
        let known = Known { at: now, good: is_good(probed), code: code.map(str::to_owned) };
        book.evidence.insert(digest(vault, target), known);
    }
    book.evidence.retain(|_, known| now - known.at < OLDEST);
    if book.evidence.len() > MOST {
        let mut times: Vec<i64> = book.evidence.values().map(|known| known.at).collect();
        times.sort_unstable();
        let from = times[times.len() - MOST];
        book.evidence.retain(|_, known| known.at >= from);
    }
    book.format_version = 1;
    let _ = write(&path, &book);
}

fn read(path: &Path) -> Book {
    let small = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= BYTES);
    // What is broken is no evidence.
    let book = small.then(|| fs::read(path).ok()).flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    book.filter(|book: &Book| book.format_version == 1).unwrap_or_default()
}

fn write(path: &Path, book: &Book) -> std::io::Result<()> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    fs::create_dir_all(&folder)?;
    let scratch = folder.join(format!(".evidence.{}", std::process::id()));
    let done = vault::private_file(&scratch)
        .and_then(|mut file| {
            file.write_all(&serde_json::to_vec(book)?)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&scratch, path));
    if done.is_err() {
        let _ = fs::remove_file(&scratch);
    }
    done
}

impl Session {
    /// The targets for which there is no good evidence that is young enough.
    pub(in crate::pipeline) fn unproven(&self, targets: &Targets, fresh: &[Probed]) -> Vec<Unproven> {
        let book = read(&self.project.root.join(FILE));
        let (now, valid) = (Timestamp::now().as_second(), self.project.probing.valid.as_secs());
        let of = |(at, target): (usize, &Target)| {
            let lack = match fresh.get(at) {
                Some(probed) if is_good(probed) => return None,
                Some(probed) => {
                    let failed = probed.steps.iter().find(|step| step.outcome == Outcome::Failed);
                    let code = failed.and_then(|step| step.code).unwrap_or("probe/not-tried");
                    Lack::Failed(at_second(now), code.to_owned())
                }
                None => match targets.vault.as_ref().and_then(|vault| book.evidence.get(&digest(vault, target))) {
                    None => Lack::Never,
                    Some(Known { at, good: false, code }) => {
                        Lack::Failed(at_second(*at), code.clone().unwrap_or_else(|| "probe/not-tried".to_owned()))
                    }
                    // A clock that was set back makes nothing young.
                    Some(known) if u64::try_from(now - known.at).is_ok_and(|age| age <= valid) => return None,
                    Some(known) => Lack::Old(at_second(known.at)),
                },
            };
            let server = format!("{} {}:{}", target.protocol.name(), target.host, target.port);
            Some(Unproven { address: target.address.clone(), server, lack })
        };
        targets.all.iter().enumerate().filter_map(of).collect()
    }
}

fn at_second(second: i64) -> String {
    written(Timestamp::from_second(second).unwrap_or_default())
}
