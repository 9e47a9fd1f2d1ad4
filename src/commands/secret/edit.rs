//! `yubin secret edit`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use zeroize::Zeroizing;

use super::{identities, open, project, recipients, refuse_no_secret};
use crate::commands::plan::replace;
use crate::commands::{Common, End};
use crate::model::{Code, Error, Result};
use crate::vault::{self, armour};

pub fn run(common: &Common, path: &Path) -> Result<End> {
    let project = match project(common)? {
        Ok(project) => project,
        Err(end) => return Ok(end),
    };
    // Before the editor: what it brings back must not be lost.
    let recipients = recipients(project.as_ref())?;
    let encrypted = match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::failure(format!("{} cannot be read", path.display())).because(error)),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::new(Code::Usage, format!("{} is no folder", folder.display())));
    }
    let before = match &encrypted {
        Some(bytes) => open(bytes, &identities(project.as_ref())?)?,
        None => Zeroizing::default(),
    };
    let after = edit(&before)?;
    if after == before {
        common.say("nothing has been changed");
        return Ok(End::Done);
    }
    refuse_no_secret(&after)?;
    if fs::read(path).ok() != encrypted {
        let message = format!("{} was changed by somebody else meanwhile; nothing has been written", path.display());
        return Err(Error::new(Code::Conflict, message).hint("edit it again"));
    }
    let is_armour = encrypted.is_none_or(|bytes| bytes.trim_ascii_start().starts_with(b"-----BEGIN"));
    let sealed = armour::encrypt(&after, &recipients, is_armour)?;
    // Through a link, to the file itself.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    replace(path, |to| to.write_all(&sealed))?;
    common.say(&format!("encrypted to {}", path.display()));
    Ok(End::Done)
}

/// A folder of its own for the clear text, in memory where there is one; gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let folder =
            place.join(format!("yubin-{}-{}", std::process::id(), vault::pick(usize::MAX).unwrap_or_default()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a person makes of the text.
fn edit(before: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let Some(editor) = given("VISUAL").or_else(|| given("EDITOR")) else {
        return Err(Error::new(Code::Usage, "no editor is named").hint("set VISUAL or EDITOR"));
    };
    let failed = |error| Error::failure("the text cannot be given to the editor").because(error);
    let scratch = Scratch::new().map_err(failed)?;
    let file = scratch.0.join("secret");
    vault::private_file(&file).and_then(|mut to| to.write_all(before)).map_err(failed)?;
    // The variable may hold arguments too: it is the user's own command line.
    let status = Command::new("sh")
        .arg("-c")
        .arg("eval \"$YUBIN_EDITOR\" '\"$1\"'")
        .arg("yubin")
        .arg(&file)
        .env("YUBIN_EDITOR", &editor)
        .env_remove("YUBIN_KEY")
        .env_remove("YUBIN_AGE_KEY")
        .status()
        .map_err(failed)?;
    if !status.success() {
        return Err(Error::failure(format!("the editor failed: {status}; nothing has been changed")));
    }
    fs::read(&file).map(Zeroizing::new).map_err(failed)
}
