//! Folders that other users share by their group, as those of mail servers do: whoever reads a database in WAL writes
//! its log, so the file must be theirs to write, too.

use std::fs;
use std::io;
use std::path::Path;

/// Whether all that is made in this folder belongs to its group, which may write here.
#[cfg(unix)]
pub fn is_shared(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const SET_GROUP: u32 = 0o2000;
    const GROUP_WRITES: u32 = 0o020;
    let wanted = SET_GROUP | GROUP_WRITES;
    fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & wanted == wanted)
}

#[cfg(not(unix))]
pub fn is_shared(_: &Path) -> bool {
    false
}

/// Makes the empty file of a database that its group may write, where the folder is shared and there is none yet. Its
/// log and shared memory get the mode of the file from `SQLite`, whatever the umask of who makes them.
#[cfg(unix)]
pub fn make_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if !path.parent().is_some_and(is_shared) {
        return Ok(());
    }
    match fs::File::create_new(path) {
        // After it is made: the umask takes no part in that.
        Ok(file) => file.set_permissions(fs::Permissions::from_mode(0o660)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
pub fn make_file(_: &Path) -> io::Result<()> {
    Ok(())
}
