//! `yubin init`

mod mail_server;

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
    /// A project whose store Dovecot and Postfix read, with `--system generic`: see docs/mail-server.md
    #[arg(long)]
    mail_server: bool,
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
    if args.mail_server && !system.open {
        return Err(Error::new(
            Code::Usage,
            "`--mail-server` is for `--system generic`: products have servers of their own",
        ));
    }
    let folder = args.folder.clone();
    let failed = |error| Error::failure(format!("{} cannot be written to", folder.display())).because(error);
    fs::create_dir_all(&folder).map_err(failed)?;
    let whole = fs::canonicalize(&folder).map_err(failed)?;
    let name = project_name(&whole);
    let files = if args.mail_server { mail_server::files(&name) } else { files(system, &name) };
    let existing: Vec<&str> = files.iter().map(|(name, _)| *name).filter(|name| whole.join(name).exists()).collect();
    if !existing.is_empty() {
        let message = format!("{} has {} already", folder.display(), existing.join(", "));
        return Err(Error::failure(message).hint("nothing has been written; name another folder"));
    }
    if args.mail_server {
        mail_server::make_folders(&whole).map_err(failed)?;
    }
    for (name, text) in &files {
        fs::write(whole.join(name), text).map_err(failed)?;
    }
    write_password(&whole.join("secrets"), "taro").map_err(failed)?;
    if args.mail_server {
        write_password(&whole.join("secrets"), "info").map_err(failed)?;
        mail_server::set_modes(&whole).map_err(failed)?;
    }
    generate::write_schemas(&whole.join(".yubin"))?;
    let shown = common.dir.join(&folder);
    common.say(&format!("wrote a project to {}; now `yubin -C {} plan`", shown.display(), shown.display()));
    if args.mail_server {
        common.say(&format!(
            "before the first apply, give {}/store to the group of both servers: docs/mail-server.md",
            shown.display()
        ));
    }
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

/// A random password, so that the example has one that is nobody's. Letters and digits, 16 of them:
/// no product refuses that.
fn write_password(folder: &Path, name: &str) -> std::io::Result<()> {
    const CHARS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    if path.exists() {
        return Ok(());
    }
    let mut password = String::new();
    while !(password.contains(|c: char| c.is_ascii_digit()) && password.contains(|c: char| c.is_ascii_alphabetic())) {
        password.clear();
        while password.len() < 16 {
            let mut byte = [0];
            getrandom::fill(&mut byte).map_err(std::io::Error::other)?;
            // What lies beyond the last character is drawn again, so that all are as likely.
            if let Some(c) = CHARS.get(usize::from(byte[0] & 63)) {
                password.push(char::from(*c));
            }
        }
    }
    writeln!(vault::private_file(&path)?, "{password}")
}

fn files(system: &System, name: &str) -> Vec<(&'static str, String)> {
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
    let resources = modeline + starter(system);
    let ignore = "# the store, its key and passwords, what probes have found, and what migrations hand over\n/yubin.db*\n/secrets/\n/.yubin/evidence.json\n/.yubin/migrations/\n".to_owned();
    vec![(FILE_NAME, project), ("mail.yaml", resources), (".gitignore", ignore)]
}

/// A first resource or two of the product, without anything to be warned of.
fn starter(system: &System) -> &'static str {
    match system.name {
        "catchme-mail" => PATTERN,
        "staff-express" => STAFF_EXPRESS,
        "cpi-sv-basic" => MAILBOX,
        "cpi-business-standard" | "cpi-kwc-mail" => MAILBOX_WITH_CAPACITY,
        "mailwise" => MAILWISE,
        "cybozu-office" => CYBOZU_OFFICE,
        _ => GENERIC,
    }
}

const GENERIC: &str = "servers:
  head-office:
    incoming: { protocol: imap, host: mail.example.jp, port: 993, security: implicit_tls }
    outgoing: { host: smtp.example.jp, port: 587, security: starttls, auth: { enabled: true, mechanism: login, credentials: account } }
accounts:
  info:
    server: head-office
    address: info@example.jp
    comment: 代表
    incoming: { username: info, password: { file: secrets/taro } }
patterns:
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

const PATTERN: &str = "patterns:
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

const STAFF_EXPRESS: &str = "accounts:
  1:                        # メールアカウントNO
    label: 代表
    address: info@example.jp
    sender_name: 総務課
    incoming:
      host: pop.example.jp
      port: 995
      security: implicit_tls
      username: info
      password: { file: secrets/taro }
    outgoing:
      host: smtp.example.jp
      port: 587
      security: starttls    # TLS: SMTP-AUTH is on, with LOGIN
";

const MAILBOX: &str = "accounts:
  taro:
    password: { file: secrets/taro }
    comment: 山田 太郎
";

const MAILBOX_WITH_CAPACITY: &str = "accounts:
  taro:
    password: { file: secrets/taro }
    capacity: 5             # GB
    comment: 山田 太郎
";

const MAILWISE: &str = "servers:                    # in the order of the product's list
  head-office:
    incoming: { protocol: pop3, host: pop.example.jp }
    outgoing:
      host: smtp.example.jp
      auth:
        enabled: true
        mechanism: login
        credentials: own    # in the server, for all its accounts
        username: taro
        password: { file: secrets/taro }
";

const CYBOZU_OFFICE: &str = "servers:                    # in the order of the product's list
  head-office:
    supports_uidl: true     # the product needs it
    incoming: { host: pop.example.jp, port: 995, security: implicit_tls }
    outgoing: { host: smtp.example.jp, port: 587, security: starttls, auth: { enabled: true, credentials: account } }
accounts:
  191:                      # メールアカウントID
    user: 山田 太郎
    server: head-office
    address: taro@example.jp
    incoming: { username: taro, password: { file: secrets/taro } }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_a_starter_of_its_own_kinds() {
        for system in system::ALL {
            assert!(system.open || starter(system) != GENERIC, "{}", system.name);
        }
    }
}
