//! Files of the two servers.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::{Certificate, Ports, Setup};

/// Whose the mailboxes are: a number is enough, nobody needs to be called so.
const OWNER: u32 = 5000;

/// Everything below the folder `root`, but for certificates.
pub fn write(root: &Path, setup: &Setup, ports: &Ports, store: &Path) {
    mode(root, 0o755);
    for folder in [
        "etc/dovecot",
        "etc/postfix",
        "db",
        "popauth",
        "mail",
        "log",
        "tls",
        "run/dovecot",
        "run/state",
        "run/spool",
        "run/postfix",
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    chown(root.join("mail"), Some(OWNER), Some(OWNER)).unwrap();
    owned_by("postfix", &root.join("run/postfix"));
    spool(&root.join("run/spool"));
    if setup.store.is_none() {
        database(store, include_str!("schema.sql"));
    }
    let noted = root.join("popauth/popauth.db");
    database(&noted, "CREATE TABLE popauth (ip TEXT PRIMARY KEY, address TEXT, at INTEGER) WITHOUT ROWID;");
    let fill = |text: &str| fill(text, root, setup, ports, store);
    for (name, text) in [
        ("dovecot/dovecot.conf", include_str!("dovecot.conf")),
        ("dovecot/sql.conf.ext", include_str!("sql.conf.ext")),
        ("dovecot/dict-sieve.conf.ext", include_str!("dict-sieve.conf.ext")),
        ("dovecot/postlogin.sh", include_str!("postlogin.sh")),
    ] {
        std::fs::write(root.join("etc").join(name), fill(text).replace("@TLS@", &dovecot_tls(root, setup))).unwrap();
    }
    mode(&root.join("etc/dovecot/postlogin.sh"), 0o755);
    for (name, text) in [("main.cf", include_str!("main.cf")), ("master.cf", include_str!("master.cf"))] {
        let text = fill(text).replace("@TLS@", &postfix_tls(root, setup)).replace("@SMTPS_LINE@", &smtps(setup, ports));
        std::fs::write(root.join("etc/postfix").join(name), text).unwrap();
    }
    // `%%` is a percent sign in the queries of Postfix.
    let since = format!("strftime('%%s', 'now') - {}", setup.pop_before_smtp_seconds);
    let reception = "'REJECT 5.2.1 reception is switched off for this mailbox'";
    for (name, database, query) in [
        ("domains", store, "SELECT name FROM domain WHERE name = '%s'"),
        ("mailboxes", store, "SELECT address FROM account WHERE address = '%s' AND enabled"),
        ("aliases", store, "SELECT target FROM forward WHERE address = '%s'"),
        ("reception", store, &format!("SELECT {reception} FROM account WHERE address = '%s' AND NOT recv_enabled")),
        ("senders", store, "SELECT address FROM account WHERE address = '%s' AND enabled"),
        ("popauth", &noted, &format!("SELECT 'OK' FROM popauth WHERE ip = '%s' AND at > {since}")),
    ] {
        let text = format!("dbpath = {}\nquery = {query}\n", database.display());
        std::fs::write(root.join("etc/postfix").join(name).with_extension("cf"), text).unwrap();
    }
}

fn fill(text: &str, root: &Path, setup: &Setup, ports: &Ports, store: &Path) -> String {
    let Setup {
        store: _,
        listen,
        tls_only,
        certificate,
        submission_needs_tls,
        pop_before_smtp_seconds: _,
        fail_delay_seconds,
        mechanisms,
        message_size_limit,
    } = setup;
    let submission_tls = match certificate {
        Certificate::None => "none",
        _ if *submission_needs_tls => "encrypt",
        _ => "may",
    };
    [
        ("@ROOT@", root.display().to_string()),
        ("@STORE@", store.display().to_string()),
        ("@OWNER@", OWNER.to_string()),
        ("@LISTEN@", listen.to_string()),
        ("@TLS_ONLY@", if *tls_only { "yes" } else { "no" }.to_owned()),
        ("@FAIL_DELAY@", fail_delay_seconds.to_string()),
        ("@MECHANISMS@", (*mechanisms).to_owned()),
        ("@SIZE@", message_size_limit.to_string()),
        ("@SUBMISSION_TLS@", submission_tls.to_owned()),
        ("@SMTP@", ports.smtp.to_string()),
        ("@SUBMISSION@", ports.submission.to_string()),
        ("@IMAP@", ports.imap.to_string()),
        ("@IMAPS@", ports.imaps.to_string()),
        ("@POP3@", ports.pop3.to_string()),
        ("@POP3S@", ports.pop3s.to_string()),
        ("@LMTP@", ports.lmtp.to_string()),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn dovecot_tls(root: &Path, setup: &Setup) -> String {
    if setup.certificate == Certificate::None {
        return "ssl = no".to_owned();
    }
    let folder = root.join("tls").display().to_string();
    format!("ssl = yes\nssl_cert = <{folder}/server.pem\nssl_key = <{folder}/server.key")
}

fn postfix_tls(root: &Path, setup: &Setup) -> String {
    if setup.certificate == Certificate::None {
        return "smtpd_tls_security_level = none".to_owned();
    }
    let folder = root.join("tls").display().to_string();
    format!(
        "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n\
         smtpd_tls_cert_file = {folder}/server.pem\nsmtpd_tls_key_file = {folder}/server.key"
    )
}

fn smtps(setup: &Setup, ports: &Ports) -> String {
    match setup.certificate {
        Certificate::None => String::new(),
        _ => format!(
            "{}:{} inet n - n - - smtpd\n  -o syslog_name=postfix/smtps -o smtpd_tls_wrappermode=yes \
             -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject \
             -o smtpd_sender_restrictions=reject_sender_login_mismatch",
            setup.listen, ports.smtps
        ),
    }
}

/// What `postfix check` would make, much faster.
fn spool(folder: &Path) {
    for name in
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"]
    {
        std::fs::create_dir(folder.join(name)).unwrap();
        mode(&folder.join(name), 0o700);
        owned_by("postfix", &folder.join(name));
    }
    for (name, bits) in [("maildrop", 0o730), ("public", 0o710)] {
        std::fs::create_dir(folder.join(name)).unwrap();
        owned_by("postfix:postdrop", &folder.join(name));
        mode(&folder.join(name), bits);
    }
    std::fs::create_dir(folder.join("pid")).unwrap();
}

/// In WAL, which needs all who read it to write its folder, too.
fn database(file: &Path, schema: &str) {
    let database = Connection::open(file).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    database.execute_batch(schema).unwrap();
    drop(database);
    mode(file.parent().unwrap(), 0o777);
    mode(file, 0o666);
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn owned_by(user: &str, path: &Path) {
    assert!(Command::new("chown").arg(user).arg(path).status().unwrap().success());
}
