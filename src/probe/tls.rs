//! The handshake of TLS, and what its failure says of the certificate.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};

use super::advice;
use super::finding::Finding;
use super::secrets::Secrets;
use crate::model::probe::Target;
use crate::model::{Error, Result};

/// A certificate that is valid for less than this is warned of.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Whose certificates are taken: those of the system, and those that the project names.
#[derive(Debug)]
pub struct Trust {
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    pub fn new(authorities: Option<&[u8]>) -> Result<Trust> {
        let provider = Arc::new(ring::default_provider());
        let unread = || {
            Error::failure("the certificates of `probe.ca` cannot be read")
                .hint("`probe.ca` names a file of certificates in PEM")
        };
        let roots: Vec<CertificateDer<'static>> = match authorities {
            Some(pem) => CertificateDer::pem_slice_iter(pem)
                .collect::<std::result::Result<_, _>>()
                .map_err(|error| unread().because(error))?,
            None => Vec::new(),
        };
        if authorities.is_some() && roots.is_empty() {
            return Err(unread());
        }
        let verifier = verifier(roots, Arc::clone(&provider))
            .map_err(|error| Error::failure("encryption cannot be set up").because(error))?;
        Ok(Trust { verifier, provider })
    }

    /// With the certificate looked at.
    pub fn checking(&self) -> std::result::Result<(Arc<ClientConfig>, Arc<Watcher>), rustls::Error> {
        self.config(Some(Arc::clone(&self.verifier)))
    }

    /// With any certificate: to learn whether TLS is spoken at all. No password goes over such a connection.
    pub fn learning(&self) -> std::result::Result<Arc<ClientConfig>, rustls::Error> {
        Ok(self.config(None)?.0)
    }

    fn config(
        &self,
        inner: Option<Arc<dyn ServerCertVerifier>>,
    ) -> std::result::Result<(Arc<ClientConfig>, Arc<Watcher>), rustls::Error> {
        let watcher = Arc::new(Watcher { inner, provider: Arc::clone(&self.provider), soon: AtomicBool::new(false) });
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Watcher>::clone(&watcher);
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok((Arc::new(config), watcher))
    }
}

#[cfg(any(windows, target_os = "macos"))]
fn verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> std::result::Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let made = if roots.is_empty() {
        rustls_platform_verifier::Verifier::new(provider)
    } else {
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider)
    };
    Ok(Arc::new(made?))
}

#[cfg(not(any(windows, target_os = "macos")))]
fn verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> std::result::Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    Ok(Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider)?))
}

/// Asks the verifier, and once more as if it were later.
#[derive(Debug)]
pub struct Watcher {
    /// `None` takes anyone.
    inner: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
    soon: AtomicBool,
}

impl Watcher {
    pub fn expires_soon(&self) -> bool {
        self.soon.load(Ordering::Relaxed)
    }
}

impl ServerCertVerifier for Watcher {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        let verified = inner.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
        let expired = matches!(
            inner.verify_server_cert(end_entity, intermediates, name, ocsp, later),
            Err(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }))
        );
        self.soon.store(expired, Ordering::Relaxed);
        Ok(verified)
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

/// Of a handshake that went well.
pub fn good(version: Option<ProtocolVersion>, watcher: &Watcher) -> Finding {
    let version = match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    if watcher.expires_soon() {
        let message = format!("{version}; the certificate, or one of its chain, is valid for less than 14 days");
        Finding::warning("probe/certificate-expires", message).hint("renew the certificate at the server")
    } else {
        Finding::ok(version)
    }
}

/// Of one that failed.
pub fn failed(target: &Target, error: &io::Error, within: Duration, secrets: &Secrets) -> Finding {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                let message = format!("the handshake of TLS was not complete within {} s", within.as_secs_f32());
                Finding::failed("probe/timeout", message).hint("look at the server's load and log")
            }
            _ => Finding::failed("probe/closed", "the server closed the connection in the handshake of TLS")
                .hint("look at the server's log: its certificate or key may be missing"),
        };
    };
    match cause {
        rustls::Error::InvalidCertificate(error) => certificate(target, error, secrets),
        rustls::Error::NoCertificatesPresented => {
            Finding::failed("probe/certificate-untrusted", "the server shows no certificate")
                .hint("give the server a certificate")
        }
        rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_) => {
            Finding::failed("probe/tls", format!("the handshake of TLS failed: {}", secrets.shown(&cause.to_string())))
                .hint("the server must speak TLS 1.2 or 1.3 with a cipher that is held for safe")
        }
        _ => {
            Finding::failed("probe/tls", format!("the handshake of TLS failed: {}", secrets.shown(&cause.to_string())))
                .hint("look at the server's log")
        }
    }
}

fn certificate(target: &Target, error: &CertificateError, secrets: &Secrets) -> Finding {
    use CertificateError as E;
    let day = |time: &UnixTime| {
        let moment = i64::try_from(time.as_secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        moment.map_or_else(String::new, |moment| format!(" ({})", moment.strftime("%Y-%m-%d")))
    };
    let renew = "renew the certificate at the server";
    match error {
        E::Expired => Finding::failed("probe/certificate-expired", "the certificate has expired").hint(renew),
        E::ExpiredContext { not_after, .. } => {
            let message = format!("the certificate, or one of its chain, has expired{}", day(not_after));
            Finding::failed("probe/certificate-expired", message).hint(renew)
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            let from =
                if let E::NotValidYetContext { not_before, .. } = error { day(not_before) } else { String::new() };
            Finding::failed("probe/certificate-not-yet", format!("the certificate is not valid yet{from}"))
                .hint("correct the clock of this machine, or the certificate at the server")
        }
        E::NotValidForName => {
            let message = format!("the certificate is not for {}", target.host);
            Finding::failed("probe/certificate-name", message).hint(format!(
                "{} to a name of the certificate, or get a certificate for this name",
                advice::host(target)
            ))
        }
        E::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().take(10).map(|name| bare(name)).collect();
            let names = secrets.shown(&names.join(", ")).to_string();
            let host = advice::host(target);
            let (names, hint) = if names.is_empty() {
                ("for no name at all".to_owned(), format!("get a certificate for {} at the server", target.host))
            } else {
                let hint = format!("{host} to a name of the certificate ({names}), or get one for {}", target.host);
                (format!("for {names}"), hint)
            };
            Finding::failed(
                "probe/certificate-name",
                format!("the certificate is not for {}, but {names}", target.host),
            )
            .hint(hint)
        }
        E::UnknownIssuer => {
            Finding::failed("probe/certificate-untrusted", "the issuer of the certificate is not known here").hint(
                "let the server send its whole chain; of an authority of your own, name its certificate in `probe.ca`",
            )
        }
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            let message = "the certificate is that of an authority itself, signed by its own key";
            Finding::failed("probe/certificate-untrusted", message)
                .hint("issue a certificate for the server (`CA:FALSE`), and name the authority's in `probe.ca`")
        }
        other => {
            let message = format!("the certificate is not accepted: {}", secrets.shown(&other.to_string()));
            Finding::failed("probe/certificate-untrusted", message).hint("get a certificate that holds, at the server")
        }
    }
}

/// `DnsName("mail.example.jp")`, as rustls tells it.
fn bare(name: &str) -> String {
    match name.split_once('"').and_then(|(_, rest)| rest.split_once('"')) {
        Some((inside, _)) => inside.to_owned(),
        None => name.trim_start_matches("IpAddress(").trim_end_matches(')').to_owned(),
    }
}
