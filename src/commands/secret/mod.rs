//! `yubin secret`

mod edit;
mod generate;
mod rotate;

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use age::Recipient;
use zeroize::Zeroizing;

use super::plan::replace;
use super::{Common, End, print_data};
use crate::load::{self, Project};
use crate::model::{Code, Diagnostics, Error, Result};
use crate::pipeline;
use crate::vault::armour;

/// Make, encrypt and rotate the secrets that files declare
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Encrypt standard input to the project's recipients, as text for `{age: …}`
    Encrypt {
        /// A public key of age or SSH, instead of those of the project
        #[arg(short, long, value_name = "KEY")]
        recipient: Vec<String>,
        /// Write to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Decrypt a file, or standard input, to standard output
    Decrypt {
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Encrypt every secret of the sources anew, to the recipients of now
    Rotate {
        /// Open every secret, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Open an encrypted file in $VISUAL or $EDITOR, and encrypt what comes back
    Edit {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    Generate(generate::Args),
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    match &args.verb {
        Verb::Encrypt { recipient, out } => encrypt(common, recipient, out.as_deref()),
        Verb::Decrypt { file } => decrypt(common, file.as_deref()),
        Verb::Rotate { dry_run } => rotate::run(common, *dry_run),
        Verb::Edit { file } => edit::run(common, file),
        Verb::Generate(args) => generate::run(common, args),
    }
}

type Recipients = Vec<Box<dyn Recipient + Send>>;

/// The project around, if there is one; `Err` has said what is wrong with it.
fn project(common: &Common) -> Result<std::result::Result<Option<Project>, End>> {
    let dir = Common::dir()?;
    let Ok(root) = load::find_root(&dir) else { return Ok(Ok(None)) };
    let mut diagnostics = Diagnostics::default();
    let trusted = common.trusted_config.as_deref().map(|path| dir.join(path));
    let project = load::read_project(&load::Tree::Folder(root), trusted.as_deref(), &mut diagnostics)?;
    if diagnostics.has_errors() {
        return common.invalid(&diagnostics).map(Err);
    }
    Ok(Ok(Some(project)))
}

/// Those to whom the project encrypts.
fn recipients(project: Option<&Project>) -> Result<Recipients> {
    let recipients = armour::recipients(project.iter().flat_map(|one| &one.trust.recipients).map(String::as_str))?;
    if recipients.is_empty() {
        let error = Error::new(Code::Usage, "there is nobody to encrypt it to");
        return Err(error.hint("write public keys to `secrets: recipients:` in yubin.yaml, or name one with `-r`"));
    }
    Ok(recipients)
}

fn identities(project: Option<&Project>) -> Result<armour::Identities> {
    let ring = match project {
        Some(project) => pipeline::key_ring(&project.trust.identities, &project.root),
        None => pipeline::key_ring(&[], Path::new("")),
    };
    ring.identities()
}

/// Reads all of a file or of standard input.
fn input(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    let read = match file {
        Some(path) => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
        None => io::stdin().lock().read_to_end(&mut bytes),
    };
    let name = file.map_or("standard input".to_owned(), |path| path.display().to_string());
    read.map_err(|error| Error::failure(format!("{name} cannot be read")).because(error))?;
    Ok(bytes)
}

fn encrypt(common: &Common, keys: &[String], out: Option<&Path>) -> Result<End> {
    let recipients = if keys.is_empty() {
        match project(common)? {
            Ok(project) => recipients(project.as_ref())?,
            Err(end) => return Ok(end),
        }
    } else {
        armour::recipients(keys.iter().map(String::as_str))?
    };
    if io::stdin().is_terminal() {
        common.say("type the secret, then Enter and Ctrl-D; it shows on the screen");
    }
    let clear = input(None)?;
    refuse_no_secret(&clear)?;
    let encrypted = armour::encrypt(&clear, &recipients, true)?;
    match out {
        Some(path) => replace(path, |to| to.write_all(&encrypted))?,
        None => print_data(|to| to.write_all(&encrypted))?,
    }
    Ok(End::Done)
}

/// What a plan would refuse is not encrypted, and above all not written over something else.
fn refuse_no_secret(clear: &[u8]) -> Result<()> {
    let flaw = match std::str::from_utf8(clear) {
        Err(_) => "it is not UTF-8",
        Ok(text) if text.trim_end_matches(['\r', '\n']).is_empty() => "it is empty",
        Ok(_) => return Ok(()),
    };
    Err(Error::new(Code::Invalid, format!("this is no secret: {flaw}; nothing has been written")))
}

fn decrypt(common: &Common, file: Option<&Path>) -> Result<End> {
    let project = match project(common)? {
        Ok(project) => project,
        Err(end) => return Ok(end),
    };
    let encrypted = input(file)?;
    let clear = open(&encrypted, &identities(project.as_ref())?)?;
    print_data(|to| to.write_all(&clear))?;
    Ok(End::Done)
}

fn open(encrypted: &[u8], identities: &armour::Identities) -> Result<Zeroizing<Vec<u8>>> {
    armour::open(encrypted, identities)
        .map_err(|(message, hint)| Error::failure(format!("the secret cannot be opened: {message}")).hint(hint))
}
