//! Who holds the write lock of a `SQLite` database.

use std::path::Path;

/// The process that holds the write lock, as a phrase for an error; where the system does not
/// tell, only that there is one.
pub fn holder(database: &Path) -> String {
    find(database).unwrap_or_else(|| "another program".to_owned())
}

#[cfg(target_os = "linux")]
fn find(database: &Path) -> Option<String> {
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    // The writer locks byte 120 of the shared memory in WAL mode (SQLite's walindex format, section 2.3), and
    // the byte behind the pending byte of the file itself while a store is loaded for the first time.
    const WAL_WRITE: u64 = 120;
    const RESERVED: u64 = 0x4000_0001;
    let mut shared = OsString::from(database);
    shared.push("-shm");
    let inode = |path: &Path| fs::metadata(path).ok().map(|meta| meta.ino());
    let held = [(inode(Path::new(&shared)), WAL_WRITE), (inode(database), RESERVED)];
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        // "1: POSIX  ADVISORY  WRITE 4711 08:01:131 120 120"
        let mut words = line.split_whitespace().skip(3);
        let (mode, pid, file) = (words.next()?, words.next()?, words.next()?);
        let first: u64 = words.next()?.parse().ok()?;
        let last: u64 = words.next()?.parse().ok()?;
        let file: u64 = file.rsplit(':').next()?.parse().ok()?;
        let holds = held.iter().any(|(inode, byte)| *inode == Some(file) && (first..=last).contains(byte));
        (mode == "WRITE" && holds).then(|| pid.to_owned())
    })?;
    // The name only: arguments of a process may hold secrets.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("process {pid} ({})", name.trim()))
}

#[cfg(not(target_os = "linux"))]
fn find(_database: &Path) -> Option<String> {
    None
}
