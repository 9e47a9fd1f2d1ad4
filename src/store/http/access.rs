//! Which server, and by what right: the address of a store over HTTP, its token, and who vouches for its
//! certificate.

use std::path::{Path, PathBuf};

use reqwest::Url;

use crate::model::{Clear, Code, Error, Result};
use crate::net::is_loopback;
use crate::vault::{is_exposed, read_small};

/// Where the token of a client comes from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// The token itself, of `YUBIN_TOKEN`.
    Given(Clear),
    /// `YUBIN_TOKEN_FILE`.
    File(PathBuf),
    Absent,
}

impl TokenSource {
    /// The file, if others than its owner may read it.
    pub fn exposed(&self) -> Option<&Path> {
        match self {
            TokenSource::File(path) if is_exposed(path) => Some(path),
            _ => None,
        }
    }

    /// Reads it; the error never holds it.
    pub fn read(&self) -> Result<Clear> {
        let (text, of) = match self {
            TokenSource::Given(clear) => (clear.clone(), "YUBIN_TOKEN".to_owned()),
            TokenSource::File(path) => {
                let of = format!("the token file {}", path.display());
                let unread = || Error::failure(format!("{of} cannot be read")).hint("YUBIN_TOKEN_FILE names it");
                let bytes = read_small(path).map_err(|error| unread().because(error))?;
                let text = std::str::from_utf8(&bytes).map_err(|_| unread())?;
                (Clear::new(text.to_owned()), of)
            }
            TokenSource::Absent => {
                return Err(Error::failure("a store over HTTP needs a token, and there is none").hint(
                    "set YUBIN_TOKEN or YUBIN_TOKEN_FILE; `yubin token create`, where the store is, makes a token",
                ));
            }
        };
        let token = text.expose().trim();
        // As of a header: anything else is likely to be another file.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::failure(format!("{of} holds no token")).hint("a token is one word, as in `yubin_…`"));
        }
        Ok(Clear::new(token.to_owned()))
    }
}

/// What it takes to call a server.
#[derive(Clone, Debug)]
pub struct Access {
    pub url: Url,
    pub token: TokenSource,
    /// `YUBIN_CA_FILE`: certificates in PEM that are trusted beside those of the system.
    pub authorities: Option<PathBuf>,
    /// Whose secrets are compared.
    pub project: Option<String>,
}

impl Access {
    /// Refuses what would carry the token in clear, or in an address. No error repeats the address.
    pub fn new(
        address: &str,
        token: TokenSource,
        authorities: Option<PathBuf>,
        project: Option<&str>,
    ) -> Result<Access> {
        let refuse = |message: &str, hint: &str| Err(Error::new(Code::Usage, message).hint(hint));
        let Ok(url) = Url::parse(address) else {
            return refuse("this is no address of a store", "as in `https://mail.example/yubin`");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(
                "a user or token in the address of a store would be seen by everyone who sees the address",
                "name the server alone, and set YUBIN_TOKEN or YUBIN_TOKEN_FILE",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("the address of a store has no `?` and no `#`", "as in `https://mail.example/yubin`");
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return refuse(
                "over `http://` the token and the settings would travel in clear: it is for this machine alone",
                "use `https://`; on the same machine `http://127.0.0.1:PORT`",
            );
        }
        Ok(Access { url, token, authorities, project: project.map(str::to_owned) })
    }

    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// As it is named in output.
    pub fn shown(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(address: &str) -> Result<Access> {
        Access::new(address, TokenSource::Absent, None, None)
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for address in
            ["http://127.0.0.1:1", "http://127.3.2.1", "http://[::1]:8", "http://localhost:9/p", "https://a.example/p"]
        {
            assert!(access(address).is_ok(), "{address}");
        }
        for address in [
            "http://mail.example",
            "http://128.0.0.1",
            "http://localhost.example",
            "http://[::2]",
            "http://0.0.0.0:1",
            "http://127.0.0.1.example",
        ] {
            assert_eq!(access(address).unwrap_err().code, Code::Usage, "{address}");
        }
    }

    #[test]
    fn what_stands_in_an_address_besides_is_refused_and_not_repeated() {
        for address in
            ["https://s3cret@a.example", "https://u:s3cret@a.example", "https://a.example/?t=s3cret", "https://s3cret@"]
        {
            let error = access(address).unwrap_err();
            assert_eq!(error.code, Code::Usage, "{address}");
            assert!(!format!("{error} {:?}", error.hint).contains("s3cret"));
        }
    }

    #[test]
    fn a_token_is_one_word() {
        let given = |text: &str| TokenSource::Given(Clear::new(text.to_owned())).read();
        assert_eq!(given(" yubin_abc\n").unwrap().expose(), "yubin_abc");
        for wrong in ["", " \n", "a b", "a\nb", "受信"] {
            let error = given(wrong).unwrap_err().to_string();
            assert_eq!(error, "YUBIN_TOKEN holds no token");
        }
        assert!(TokenSource::Absent.read().is_err());
    }
}
