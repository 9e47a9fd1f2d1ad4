//! `yubin export FORMAT --plan FILE --out DIR`: what a saved plan hands over to a product, in a
//! folder that is whole or is not there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::annotate::Annotations;
use super::export::{Args, encode};
use super::saved::{self, Again};
use super::{Common, End, plan};
use crate::bundle::{self, Bundle, File, Task};
use crate::guard;
use crate::model::{Address, Code, Error, Field, Result, Sealed};
use crate::pipeline::{Planned, Session};
use crate::render::text;
use crate::{vault, wire};

const GUIDE: &str = "MANIFEST.md";
const MANIFEST: &str = "manifest.json";

pub fn run(common: &Common, args: &Args, saved: &Path, format: &str) -> Result<End> {
    let Some(out) = &args.out else {
        return Err(Error::new(Code::Usage, "a hand-over needs a folder").hint("name it with `--out DIR`"));
    };
    let server_ids = server_ids(&args.server_id)?;
    let document = saved::read(saved)?;
    let session = common.session(false)?;
    let system = session.project.system;
    let formats = bundle::formats(system);
    if !formats.contains(&format) && !session.diagnostics.has_errors() {
        let message = format!("`{format}` is no format of {}", system.name);
        let hint = match formats.len() {
            0 => "this system has no product to hand anything over to".to_owned(),
            _ => format!("its formats are {}", formats.join(", ")),
        };
        return Err(Error::new(Code::Usage, message).hint(hint));
    }
    refuse_filled(out, "a hand-over is written")?;
    let Again { session, planned, approved } = match document.plan_again(common, false, false)? {
        Ok(again) => again,
        Err(session) => return common.invalid(&session.diagnostics),
    };
    let consent = args.ack.as_deref().is_some_and(|ack| ack == planned.digest || ack == approved);
    if guard::approve(&planned.plan, &planned.verdict, consent).is_none() || (args.ack.is_some() && !consent) {
        plan::show(common, &session, &planned, &Annotations::default())?;
        if args.ack.is_some() && !consent {
            common.say("`--ack` names another plan than this one");
        }
        return Ok(End::Code(Code::Refused));
    }
    let ack = args.ack.as_ref().map_or(String::new(), |digest| format!(" --ack {digest}"));
    let apply = format!("yubin {}apply {}{ack}", place(common), quoted(saved));
    let asked = Asked { server_ids: &server_ids, unproven: args.unproven, apply: &apply };
    let made = make(&session, &planned, format, &asked)?;
    write(out, &made, &args.encoding)?;
    let secret = made.files.iter().filter(|file| file.secrets).count();
    common.say(&format!("{} for {} in {}", text::number(made.files.len(), "file"), system.product, out.display()));
    if secret > 0 {
        common.say(&format!(
            "{} with passwords in clear: the mode is 0600, and they are best deleted after the upload",
            text::number(secret, "file")
        ));
    }
    Ok(End::Done)
}

/// What is to be known of a hand-over beside its plan.
pub struct Asked<'a> {
    /// Ids of servers that the store does not know yet.
    pub server_ids: &'a BTreeMap<String, String>,
    pub unproven: bool,
    /// The command that records that the plan was carried out.
    pub apply: &'a str,
}

/// Makes the files of a plan.
pub fn make(session: &Session, planned: &Planned, format: &str, asked: &Asked<'_>) -> Result<Bundle> {
    let rows = session.stored(&planned.plan)?;
    let unseal =
        |address: &Address, field: &'static Field, sealed: &Sealed| session.unseal(planned, address, field, sealed);
    let task = Task {
        system: session.project.system,
        given: &session.project.given,
        plan: &planned.plan,
        digest: &planned.digest,
        rows: &rows,
        unseal: &unseal,
        server_ids: asked.server_ids,
        unproven: asked.unproven,
        compared: session.compared()?,
        apply: asked.apply,
    };
    bundle::make(&task, format)
}

/// The options that lead to the same project and store. An address of a store may hold a password, but
/// for that of a file.
pub fn place(common: &Common) -> String {
    let dir = (common.dir != Path::new(".")).then(|| format!("-C {} ", quoted(&common.dir)));
    let store = common.store.as_deref().filter(|store| store.starts_with("sqlite:"));
    let store = store.map(|store| format!("--store {} ", quoted(Path::new(store))));
    [dir, store].into_iter().flatten().collect()
}

fn server_ids(given: &[String]) -> Result<BTreeMap<String, String>> {
    let mut ids = BTreeMap::new();
    for one in given {
        // A name may hold the sign, an id has no reason to.
        let (name, id) = one
            .rsplit_once('=')
            .filter(|(name, id)| !name.is_empty() && !id.is_empty())
            .ok_or_else(|| Error::new(Code::Usage, format!("`--server-id {one}` is not of the form NAME=ID")))?;
        if ids.insert(name.to_owned(), id.to_owned()).is_some() {
            return Err(Error::new(Code::Usage, format!("`--server-id` names `{name}` twice")));
        }
    }
    Ok(ids)
}

/// `what` begins the hint: "a hand-over is written".
pub fn refuse_filled(out: &Path, what: &str) -> Result<()> {
    let filled = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::failure(format!("{} is no folder to write to", out.display())).because(error)),
    };
    if filled {
        let message = format!("{} is not empty", out.display());
        return Err(Error::new(Code::Usage, message).hint(format!("{what} to a new folder, or to an empty one")));
    }
    Ok(())
}

/// Writes the folder beside its place first. It can be made again at any time, so nothing is
/// forced to the disk.
pub fn write(out: &Path, made: &Bundle, encoding: &str) -> Result<()> {
    let mut contents = Vec::with_capacity(made.files.len());
    for file in &made.files {
        contents.push((file, if file.is_delimited() { encode(file.content.expose(), encoding)? } else { Vec::new() }));
    }
    let manifest = wire::manifest(made.files.iter().map(|file| (&*file.name, file.format, file.rows, file.secrets)));
    write_folder(out, |folder| {
        for (file, bytes) in &contents {
            write_file(folder, file, bytes)?;
        }
        fs::write(folder.join(GUIDE), &made.guide)?;
        fs::write(folder.join(MANIFEST), format!("{manifest:#}\n"))
    })
}

/// A folder that is whole or is not there: what `fill` writes to the one beside it gets its name.
pub fn write_folder(out: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let failed = |error: io::Error| Error::failure(format!("{} cannot be written", out.display())).because(error);
    let (place, scratch) = places(out).map_err(failed)?;
    let written = fs::create_dir(&scratch).and_then(|()| {
        fill(&scratch)?;
        if place.is_dir() {
            fs::remove_dir(&place)?;
        }
        fs::rename(&scratch, &place)
    });
    written.map_err(|error| {
        // What is left of it is of no use; the failure that counts is the first.
        let _ = fs::remove_dir_all(&scratch);
        failed(error)
    })
}

/// The folder, and the hidden one beside it in which it is made.
fn places(out: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let place = if out.exists() { fs::canonicalize(out)? } else { std::path::absolute(out)? };
    let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    let scratch = place.with_file_name(format!(".{name}.{}", std::process::id()));
    Ok((place, scratch))
}

fn write_file(folder: &Path, file: &File, encoded: &[u8]) -> io::Result<()> {
    let path = folder.join(&file.name);
    let bytes = if file.is_delimited() { encoded } else { file.content.expose().as_bytes() };
    if file.secrets {
        return vault::private_file(&path)?.write_all(bytes);
    }
    fs::write(path, bytes)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
