//! Certificates, read again when their files change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::{Error, Result};

pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Seen>,
}

/// Digests of both files.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Prints([Option<[u8; 32]>; 2]);

struct Seen {
    tried: Prints,
    last: Prints,
}

impl Tls {
    pub fn open(certificate: PathBuf, key: PathBuf) -> Result<Tls> {
        let prints = prints(&certificate, &key);
        let config = RwLock::new(Arc::new(load(&certificate, &key)?));
        Ok(Tls { certificate, key, config, seen: Mutex::new(Seen { tried: prints, last: prints }) })
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads files that have changed, once they stand still: two files are not replaced at once.
    pub fn look(&self) {
        let prints = prints(&self.certificate, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let still = std::mem::replace(&mut seen.last, prints) == prints;
        if still && prints != seen.tried {
            seen.tried = prints;
            drop(seen);
            self.reload();
        }
    }

    /// Reads the files; a pair that is broken leaves the one that is in use.
    pub fn reload(&self) {
        match load(&self.certificate, &self.key) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                super::say(&format!("certificate {} read again", self.certificate.display()));
            }
            Err(error) => super::say(&format!("error: the certificate in use is kept: {error}")),
        }
    }
}

fn prints(certificate: &PathBuf, key: &PathBuf) -> Prints {
    let print = |path| std::fs::read(path).ok().map(|bytes| *blake3::hash(&bytes).as_bytes());
    Prints([print(certificate), print(key)])
}

fn load(certificate: &PathBuf, key: &PathBuf) -> Result<ServerConfig> {
    let unreadable = |path: &PathBuf, what: &str, error: rustls::pki_types::pem::Error| {
        Error::failure(format!("{} holds no {what}", path.display())).because(error.to_string())
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, "certificate", error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, "private key", error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            Error::failure(format!("{certificate} and {key} are no pair that TLS can use")).because(error)
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
