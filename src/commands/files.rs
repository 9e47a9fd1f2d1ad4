//! Files that are replaced, several at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::{Error, Result};
use crate::vault;

/// Files whose content is to change.
pub type Anew = BTreeMap<PathBuf, Vec<u8>>;

/// The file itself, where the path is a link to it.
pub fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Writes all files beside their places before the first takes its place.
pub fn replace_all(anew: &Anew) -> Result<()> {
    let beside = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("out");
        path.with_file_name(format!(".{name}.{}", std::process::id()))
    };
    let prepare = |(path, bytes): (&PathBuf, &Vec<u8>)| -> std::io::Result<()> {
        let mode = fs::metadata(path)?.permissions();
        let mut file = vault::private_file(&beside(path))?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.set_permissions(mode)?;
        file.sync_all()
    };
    let prepared = anew.iter().try_for_each(prepare);
    let done = prepared.and_then(|()| anew.keys().try_for_each(|path| fs::rename(beside(path), path)));
    done.map_err(|error| {
        for path in anew.keys() {
            // Those that have taken their places are not there any more.
            let _ = fs::remove_file(beside(path));
        }
        Error::failure("the files cannot be written").because(error).hint("run it again: what is written is sound")
    })
}
