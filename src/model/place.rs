//! Where a store is.

use super::error::{Code, Error, Result};

/// Where a store is, by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file; relative to the folder of the project, or to where the user is.
    Sqlite(String),
    /// The whole address, which may hold a password.
    Postgres(String),
    /// `https://…`, or `http://…` on loopback.
    Http(String),
}

impl Place {
    /// The error does not repeat the address, which may hold a password.
    pub fn parse(name: &str) -> Result<Place> {
        if let Some(path) = name.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Place::Sqlite(path.to_owned()));
        }
        if name.starts_with("postgres://") || name.starts_with("postgresql://") {
            return Ok(Place::Postgres(name.to_owned()));
        }
        if name.starts_with("https://") || name.starts_with("http://") {
            return Ok(Place::Http(name.to_owned()));
        }
        Err(Error::new(Code::Usage, "this is no address of a store")
            .hint("a store is `sqlite:PATH`, `postgres://…`, or the `https://…` of a `yubin serve`"))
    }

    /// Whether a password stands in the address.
    pub fn has_password(&self) -> bool {
        let (Place::Postgres(url) | Place::Http(url)) = self else { return false };
        let authority = url.split("://").nth(1).unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
    }

    /// As it is named in output: without a password.
    pub fn shown(&self) -> String {
        match self {
            Place::Sqlite(path) => format!("sqlite:{path}"),
            Place::Postgres(url) | Place::Http(url) => without_password(url),
        }
    }
}

/// The address without what stands before `@`, and without its query, where parameters may be passwords too.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_passwords() {
        for (given, shown) in [
            ("sqlite:a b.db", "sqlite:a b.db"),
            ("postgres://yubin:p@ss@db.example:5433/mail?password=x", "postgres://db.example:5433/mail"),
            ("postgresql:///mail?host=/run/pg", "postgresql:///mail"),
            ("https://token@store.example", "https://store.example"),
        ] {
            assert_eq!(Place::parse(given).unwrap().shown(), shown);
        }
        for wrong in ["", "sqlite:", "mysql://x", "yubin.db", "postgres:x"] {
            assert!(!Place::parse(wrong).unwrap_err().to_string().contains("mysql"), "{wrong}");
        }
    }
}
