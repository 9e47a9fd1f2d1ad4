//! The address of a database as libpq reads it: what stands in the URL, the variables, the file of passwords.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::Config;
use postgres::config::{Host, SslMode};

use super::tls::{self, Trust};
use crate::model::{Code, Error, Result};

/// How long a connection may take to come about, unless the address says so.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Address {
    pub config: Config,
    /// `None` without encryption.
    pub trust: Option<Trust>,
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// No error repeats the address, which may hold a password.
pub fn parse(url: &str) -> Result<Address> {
    let wrong = |what: String| {
        Error::new(Code::Usage, format!("the address of the PostgreSQL store cannot be used: {what}")).hint(
            "postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full; the password stands in PGPASSWORD or ~/.pgpass",
        )
    };
    let (front, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut root, mut passfile) = (given("PGSSLMODE"), given("PGSSLROOTCERT"), given("PGPASSFILE"));
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let of_ours = match name {
            "sslmode" => &mut mode,
            "sslrootcert" => &mut root,
            "passfile" => &mut passfile,
            "sslcert" | "sslkey" | "sslcrl" | "sslpassword" | "service" => {
                return Err(wrong(format!("`{name}` is not supported")));
            }
            _ => {
                rest.push(pair);
                continue;
            }
        };
        *of_ours = Some(unescape(value).ok_or_else(|| wrong(format!("`{name}` is not percent-encoded text")))?);
    }
    let plain = if rest.is_empty() { front.to_owned() } else { format!("{front}?{}", rest.join("&")) };
    let mut config: Config = plain.parse().map_err(|_| wrong("it is not one that libpq would read".to_owned()))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match given("PGHOST") {
            Some(host) if host.starts_with('/') => config.host_path(host),
            Some(host) => config.host(&host),
            None if Path::new(SOCKETS).is_dir() => config.host_path(SOCKETS),
            None => config.host("localhost"),
        };
    }
    if config.get_user().is_none()
        && let Some(user) = given("PGUSER").or_else(|| given("USER")).or_else(|| given("LOGNAME"))
    {
        config.user(&user);
    }
    if config.get_dbname().is_none()
        && let Some(name) = given("PGDATABASE")
    {
        config.dbname(&name);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("yubin");
    }
    if config.get_password().is_none()
        && let Some(password) =
            given("PGPASSWORD").or_else(|| password_of(&config, &passfile.map_or_else(usual, Some)?))
    {
        config.password(password);
    }
    let root = root.filter(|root| root != "system");
    let has_root = root.is_some();
    // As libpq does: who is encrypted to is not asked before a mode says so, or a root certificate is given.
    let (ssl, trust) = match mode.as_deref().unwrap_or("prefer") {
        "disable" => (SslMode::Disable, None),
        "allow" | "prefer" => (SslMode::Prefer, Some(Trust::Anyone)),
        "require" if has_root => (SslMode::Require, Some(Trust::Authority)),
        "require" => (SslMode::Require, Some(Trust::Anyone)),
        "verify-ca" => (SslMode::Require, Some(Trust::Authority)),
        "verify-full" => (SslMode::Require, Some(Trust::Name)),
        _ => return Err(wrong("`sslmode` is disable, prefer, require, verify-ca or verify-full".to_owned())),
    };
    config.ssl_mode(ssl);
    if let (Some(path), Some(_)) = (&root, &trust) {
        tls::check_roots(Path::new(path))?;
    }
    Ok(Address { config, trust: trust.map(|trust| trust.with_roots(root.map(PathBuf::from))) })
}

/// Where Debian and others have the server's socket.
const SOCKETS: &str = "/var/run/postgresql";

fn usual() -> Option<String> {
    Some(format!("{}/.pgpass", given("HOME")?))
}

/// The password that a file has for the address. As with libpq, a file that others may read does not count.
fn password_of(config: &Config, path: &str) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path).ok()?.permissions().mode() & 0o077 != 0 {
            return None;
        }
    }
    let text = std::fs::read_to_string(path).ok()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) if path == Path::new(SOCKETS) => "localhost".to_owned(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first()?.to_string(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    find_password(&text, [&host, &port, database, user])
}

fn find_password(text: &str, of: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut words = vec![String::new()];
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => words.last_mut()?.extend(chars.next()),
                // The password is the rest, in which a colon needs no mark.
                ':' if words.len() < 5 => words.push(String::new()),
                c => words.last_mut()?.push(c),
            }
        }
        let password = words.get(4)?;
        words.iter().zip(of).all(|(word, of)| word == "*" || word == of).then(|| password.clone())
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_as_libpq_finds_them() {
        let text = "# x:1:d:u:no\nx:5432:*:u:a\\:b\\\\:c\n*:*:*:*:last\n";
        let cases = [(["x", "5432", "d", "u"], "a:b\\:c"), (["y", "1", "d", "u"], "last")];
        for (of, password) in cases {
            assert_eq!(find_password(text, of).as_deref(), Some(password));
        }
        assert_eq!(find_password("x:1:d:u\n", ["x", "1", "d", "u"]), None);
    }

    #[test]
    fn no_error_repeats_the_address() {
        for url in
            ["postgres://u:hidden@h:no/d", "postgres://u:hidden@h/d?sslmode=maybe", "postgres://u:hidden@h/d?sslkey=x"]
        {
            let Err(error) = parse(url) else { panic!("{url}") };
            assert_eq!(error.code, Code::Usage);
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }

    #[test]
    fn modes_are_those_of_libpq() {
        let trust =
            |query: &str| parse(&format!("postgres://u@h/d?{query}")).unwrap().trust.map(|trust| trust.describe());
        assert_eq!(trust("sslmode=disable"), None);
        assert_eq!(trust("sslmode=require"), Some("anyone"));
        assert_eq!(trust("sslmode=verify-ca"), Some("authority"));
        assert_eq!(trust("sslmode=verify-full"), Some("name"));
    }
}
