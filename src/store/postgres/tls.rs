//! Encryption of the connection, and whom it is made to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::model::{Code, Error, Result};

/// Whose certificate is taken.
#[derive(Clone, Debug)]
pub enum Trust {
    Anyone,
    /// One that an authority has signed, for whatever name.
    Authority,
    /// One for the name of the host.
    Name,
    With(Box<Trust>, PathBuf),
}

impl Trust {
    /// With the authorities of a file instead of those of the system.
    pub fn with_roots(self, path: Option<PathBuf>) -> Trust {
        match path {
            Some(path) => Trust::With(Box::new(self), path),
            None => self,
        }
    }

    #[cfg(test)]
    pub fn describe(&self) -> &'static str {
        match self {
            Trust::Anyone => "anyone",
            Trust::Authority => "authority",
            Trust::Name => "name",
            Trust::With(..) => "with",
        }
    }

    pub fn connector(&self) -> Result<MakeRustlsConnect> {
        let provider = Arc::new(ring::default_provider());
        let failed = |error: rustls::Error| Error::failure("encryption cannot be set up").because(error);
        let (trust, roots) = match self {
            Trust::With(trust, path) => (&**trust, Some(read_roots(path)?)),
            trust => (trust, None),
        };
        let verifier: Arc<dyn ServerCertVerifier> = match (trust, roots) {
            (Trust::Anyone | Trust::With(..), _) => Arc::new(Verifier { inner: None, provider: Arc::clone(&provider) }),
            (trust, roots) => {
                let inner: Arc<dyn ServerCertVerifier> = match roots {
                    Some(roots) => WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                        .build()
                        .map_err(|error| Error::failure("the root certificates cannot be used").because(error))?,
                    None => Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(failed)?),
                };
                if matches!(trust, Trust::Name) {
                    inner
                } else {
                    Arc::new(Verifier { inner: Some(inner), provider: Arc::clone(&provider) })
                }
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

pub fn check_roots(path: &Path) -> Result<()> {
    read_roots(path).map(drop)
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let unread = |what: String| {
        Error::new(Code::Usage, format!("the root certificates {} cannot be read: {what}", path.display()))
            .hint("`sslrootcert` names a file of PEM certificates")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unread(error.to_string()))? {
        let certificate = certificate.map_err(|error| unread(error.to_string()))?;
        roots.add(certificate).map_err(|error| unread(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unread("there is none in it".to_owned()));
    }
    Ok(roots)
}

/// Does not ask for the name, or for anything.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is looked at last, when the chain is found to be good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
