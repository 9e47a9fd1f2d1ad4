//! `yubin init`

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Common, End, generate};
use crate::load::FILE_NAME;
use crate::model::diagnostic::did_you_mean;
use crate::model::{Code, Error, Result};
use crate::system::{self, System};
use crate::vault;

/// Write a project that plans and applies as it stands
#[derive(clap::Args)]
pub struct Args {
    /// The product whose rules apply
    #[arg(long, value_name = "SYSTEM", default_value = "generic")]
    system: String,
    /// The project's folder, made if it is missing
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let names = system::ALL.map(|system| system.name);
    let system = System::find(&args.system).ok_or_else(|| {
        let error = Error::new(Code::Usage, format!("`{}` is no system", args.system));
        match did_you_mean(&args.system, names) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("systems are {}", names.join(", "))),
        }
    })?;
    let folder = common.dir.join(&args.folder);
    let failed = |error| Error::failure(format!("{} cannot be written to", folder.display())).because(error);
    fs::create_dir_all(&folder).map_err(failed)?;
    let whole = fs::canonicalize(&folder).map_err(failed)?;
    let files = files(system, &project_name(&whole));
    let existing: Vec<&str> = files.iter().map(|(name, _)| *name).filter(|name| whole.join(name).exists()).collect();
    if !existing.is_empty() {
        let message = format!("{} has {} already", folder.display(), existing.join(", "));
        return Err(Error::failure(message).hint("nothing has been written; name another folder"));
    }
    for (name, text) in &files {
        fs::write(whole.join(name), text).map_err(failed)?;
    }
    write_password(&whole.join("secrets")).map_err(failed)?;
    generate::write_schemas(&whole.join(".yubin"))?;
    common.say(&format!("wrote a project to {}; now `yubin -C {} plan`", folder.display(), folder.display()));
    Ok(End::Done)
}

/// The folder's name, without what a project's name cannot have.
fn project_name(folder: &Path) -> String {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(64)
        .collect();
    if name.is_empty() { "mail".to_owned() } else { name }
}

/// A random password, so that the example has one that is nobody's.
fn write_password(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join("taro");
    if path.exists() {
        return Ok(());
    }
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let mut file = vault::private_file(&path)?;
    for byte in bytes {
        write!(file, "{byte:02x}")?;
    }
    writeln!(file)
}

fn files(system: &System, name: &str) -> [(&'static str, String); 3] {
    let project = format!(
        "# yaml-language-server: $schema=.yubin/yubin.schema.json
version: 1
name: \"{name}\"              # marks what this project owns in the store
system: {}
store: sqlite:yubin.db      # made by the first apply, with its key beside it
policy:
  existing: overwrite       # overwrite | skip | fail: a declared resource that exists and differs
  undeclared: keep          # keep | delete: owned by this project, no longer declared
  max_deletes: 30%
  plaintext_secrets: deny   # passwords stand in secrets/, which git ignores
",
        system.name
    );
    let modeline = format!("# yaml-language-server: $schema=.yubin/{}.schema.json\n", system.name);
    let pattern = "patterns:
  taro:                     # user
    work:                   # name of the pattern
      address: taro@example.jp
      sender_name: 山田 太郎
      incoming:
        label: 受信サーバ
        host: pop.example.jp
        protocol: pop3
        username: taro
        password: { file: secrets/taro }
      outgoing:
        label: 送信サーバ
        host: smtp.example.jp
";
    let resources = if system.manages(crate::model::Kind::Account) {
        format!(
            "{modeline}servers:
  head-office:
    incoming: {{ protocol: imap, host: mail.example.jp, port: 993, security: implicit_tls }}
    outgoing: {{ host: smtp.example.jp, port: 587, security: starttls, auth: {{ enabled: true, mechanism: login, credentials: account }} }}
accounts:
  info:
    server: head-office
    address: info@example.jp
    comment: 代表
    incoming: {{ username: info, password: {{ file: secrets/taro }} }}
{pattern}"
        )
    } else {
        format!("{modeline}{pattern}")
    };
    let ignore = "# the store, its key and passwords\n/yubin.db*\n/secrets/\n".to_owned();
    [(FILE_NAME, project), ("mail.yaml", resources), (".gitignore", ignore)]
}
