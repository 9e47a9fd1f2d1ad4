//! The dated backup of a migration: a folder that is written whole, that nobody overwrites, and that is no source.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::{Look, Session};
use crate::bundle;
use crate::format::csv;
use crate::model::migration::Deed;
use crate::model::{Error, Key, Kind, Result, Row};
use crate::wire;

/// By these two files a folder is told from one of sources.
const GUIDE: &str = "MANIFEST.md";
const MANIFEST: &str = "manifest.json";

/// Backups of one day.
const MOST: usize = 1000;

/// Name, format, rows and content of a file.
type Content = (&'static str, &'static str, usize, Vec<u8>);

impl Session {
    /// Writes the backup of a migration, or finds the one that a run has written which did not come to the end. Its
    /// folder, relative to the project, and its digest.
    pub fn back_up(&self, look: &Look) -> Result<(String, String)> {
        let files =
            self.contents(look).map_err(|error| Error::failure("the backup cannot be written").because(error))?;
        let digest = digest(files.iter().map(|(name, _, _, bytes)| (*name, bytes.as_slice())));
        let day = Timestamp::now().to_zoned(jiff::tz::TimeZone::system()).date();
        for count in 1..=MOST {
            let more = if count == 1 { String::new() } else { format!("-{count}") };
            let name = format!("{}/{}-{day}{more}", look.migration.backup, look.migration.name);
            let folder = self.project.root.join(&name);
            if folder.exists() {
                if digest_of(&folder).as_deref() == Some(&*digest) {
                    return Ok((name, digest));
                }
                continue;
            }
            let failed = |error| Error::failure(format!("{} cannot be written", folder.display())).because(error);
            if write(&folder, &files, &guide(look, &digest)).map_err(failed)? {
                return Ok((name, digest));
            }
        }
        Err(Error::failure(format!("there are {MOST} backups of today already")).hint("move some of them away"))
    }

    /// Whether the backup that was recorded is here, as it was written.
    pub(super) fn has_backup(&self, look: &Look) -> bool {
        let Some(done) = look.last(2, Deed::Done) else { return false };
        let evidence = |name: &str| done.act.evidence.get(name);
        let Some((folder, digest)) = evidence("folder").zip(evidence("digest")) else { return false };
        // What is recorded may come from elsewhere.
        !folder.contains("..") && digest_of(&self.project.root.join(folder)).as_ref() == Some(digest)
    }

    /// Digest over the accounts of the recorded backup, by their names and those that they get, if it is here as it
    /// was written and all that move now are among them. It is asked for behind consent alone.
    pub(super) fn backed_up(&self, look: &Look) -> Option<String> {
        look.last(7, Deed::Ack)?;
        let folder = look.last(2, Deed::Done).filter(|_| self.has_backup(look))?.act.evidence.get("folder")?;
        let mut reader = ::csv::Reader::from_path(self.project.root.join(folder).join("accounts.csv")).ok()?;
        let name = reader.headers().ok()?.iter().position(|column| column == "name")?;
        let mut pairs = BTreeMap::new();
        for record in reader.records() {
            let old = record.ok()?.get(name)?.to_owned();
            let new = look.migration.naming.of(&old, &look.migration.to.name).ok()?;
            pairs.insert(Key::single(&old), Key::single(&new));
        }
        let all = look.pairs.iter().all(|pair| pairs.get(&pair.old) == Some(&pair.new));
        all.then(|| super::look::digest(pairs.iter()))
    }

    fn contents(&self, look: &Look) -> io::Result<Vec<Content>> {
        let of = |kind: Kind, rows: &[Row]| -> io::Result<Vec<u8>> {
            let rows: Vec<(Kind, Row)> = rows.iter().map(|row| (kind, row.clone())).collect();
            let mut bytes = Vec::new();
            csv::write(&rows, &mut bytes)?;
            Ok(bytes)
        };
        let servers: Vec<Row> = look.servers.values().cloned().collect();
        let mut files = vec![("servers.csv", "csv", servers.len(), of(Kind::Server, &servers)?)];
        if self.project.system.manages(Kind::Account) {
            files.push(("accounts.csv", "csv", look.rows.len(), of(Kind::Account, &look.rows)?));
        }
        if self.project.system.name == "cybozu-office" {
            let text = bundle::cybozu_office_masked(&look.rows, &servers).map_err(io::Error::other)?;
            files.push(("cybozu-office-accounts.csv", "cybozu-office-accounts", look.rows.len(), text.into_bytes()));
        }
        Ok(files)
    }
}

fn guide(look: &Look, digest: &str) -> String {
    let at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let (name, old) = (&look.migration.name, &look.migration.from.name);
    format!(
        "# Backup of the migration `{name}`\n\n\
         The accounts of `{old}` and the servers, as the store had them at {at}, without passwords (004:144). \
         `yubin` never writes to this folder again, and reads no sources from it.\n\n\
         BLAKE3 over the files, as the store has recorded it: `{digest}`\n"
    )
}

/// Over names and contents, those of the guide and the manifest left out.
fn digest<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut files: Vec<(&str, &[u8])> = files.collect();
    files.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in files {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(blake3::hash(bytes).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// `None` if it cannot be read.
fn digest_of(folder: &Path) -> Option<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        // What a file manager leaves behind is no part of it.
        if name != GUIDE && name != MANIFEST && !name.starts_with('.') {
            files.push((name, fs::read(entry.path()).ok()?));
        }
    }
    Some(digest(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))))
}

/// Writes the folder beside its place first; `false` if another has come before.
fn write(folder: &Path, files: &[Content], guide: &str) -> io::Result<bool> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let scratch = folder.with_file_name(format!(".{name}.{}", std::process::id()));
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let manifest = wire::manifest(files.iter().map(|(name, format, rows, _)| (*name, *format, *rows, false)));
    let put = |name: &str, bytes: &[u8]| {
        let path = scratch.join(name);
        fs::write(&path, bytes)?;
        fs::File::open(path)?.sync_all()
    };
    let written = fs::create_dir(&scratch).and_then(|()| {
        files.iter().try_for_each(|(name, _, _, bytes)| put(name, bytes))?;
        put(GUIDE, guide.as_bytes())?;
        put(MANIFEST, format!("{manifest:#}\n").as_bytes())?;
        // A folder that holds something is never replaced.
        fs::rename(&scratch, folder)
    });
    match written {
        Ok(()) => Ok(true),
        Err(error) => {
            // What is left of it is of no use; the failure that counts is the first.
            let _ = fs::remove_dir_all(&scratch);
            let late = matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists);
            if late { Ok(false) } else { Err(error) }
        }
    }
}
