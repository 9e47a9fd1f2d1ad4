//! The project of a mail server: `yubin init --mail-server`.

use std::fs;
use std::io;
use std::path::Path;

use crate::load::FILE_NAME;

/// Where the database is: nothing else, since both servers may write all that is in it.
const STORE: &str = "store";
const HOOKS: [&str; 2] = ["hooks/kick", "hooks/purge"];

pub fn files(name: &str) -> Vec<(&'static str, String)> {
    let project = format!(
        "# yaml-language-server: $schema=.yubin/yubin.schema.json
version: 1
name: \"{name}\"              # marks what this project owns in the store
system: generic
mail_server: true         # Dovecot and Postfix read the accounts from the store
store: sqlite:store/yubin.db   # the servers write this folder; the key stands beside it, in store.key
policy:
  existing: overwrite       # overwrite | skip | fail: a declared resource that exists and differs
  undeclared: delete        # keep | delete: owned by this project, no longer declared
  max_deletes: 30%
  plaintext_secrets: deny   # passwords stand in secrets/, which git ignores
# On the machine of the servers, as a user who may run doveadm:
# hooks:
#   - name: kick
#     on: [kick, purge_mail]
#     command: [hooks/kick, --, \"{{mail}}\"]
#   - name: purge
#     on: [purge_mail]
#     command: [hooks/purge, --, \"{{mail}}\"]
probe:
  hosts: [localhost]        # where `yubin probe` may log in
"
    );
    let resources = format!("# yaml-language-server: $schema=.yubin/generic.schema.json\n{ACCOUNTS}");
    let ignore = "# the store, its key and passwords, and what probes have found\n/store/\n/store.key*\n/secrets/\n/.yubin/evidence.json\n".to_owned();
    vec![
        (FILE_NAME, project),
        ("mail.yaml", resources),
        (".gitignore", ignore),
        (HOOKS[0], include_str!("../../../examples/mail-server/hooks/kick").to_owned()),
        (HOOKS[1], include_str!("../../../examples/mail-server/hooks/purge").to_owned()),
    ]
}

/// The folders that files need, which git does not keep.
pub fn make_folders(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("hooks"))?;
    fs::create_dir_all(root.join(STORE))
}

/// What is made in the folder of the store belongs to its group, and to nobody else.
#[cfg(unix)]
pub fn set_modes(root: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for hook in HOOKS {
        fs::set_permissions(root.join(hook), fs::Permissions::from_mode(0o755))?;
    }
    fs::set_permissions(root.join(STORE), fs::Permissions::from_mode(0o2770))
}

#[cfg(not(unix))]
pub fn set_modes(_: &Path) -> io::Result<()> {
    Ok(())
}

const ACCOUNTS: &str = "servers:
  local:                    # how clients connect
    incoming: { protocol: imap, host: localhost, port: 143, security: starttls }
    outgoing: { host: localhost, port: 587, security: starttls, auth: { enabled: true, mechanism: plain, credentials: account } }
accounts:
  taro:
    server: local
    address: taro@example.jp  # what is typed at a login
    password: { file: secrets/taro }
    capacity: 5             # GB; without it, no limit
    comment: 山田 太郎
  info:
    server: local
    address: info@example.jp
    password: { file: secrets/info }
    comment: 代表
    login: { pop3: false }  # imap, pop3, smtp: on unless they are false
    forward: { enabled: true, to: [taro@example.jp], keep_copy: true }
    auto_reply:
      enabled: true
      subject: 受け付けました
      body: |
        お問い合わせありがとうございます。
        担当者よりご連絡いたします。
";
