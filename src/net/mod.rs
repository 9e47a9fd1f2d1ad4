//! The ways to other machines: what every connection over HTTP begins with (no redirects, nothing in clear beyond this
//! machine, and whom to trust), and questions to name servers.

pub mod dns;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;

use crate::model::{Error, Result};

const CONNECT: Duration = Duration::from_secs(10);

/// Whether the address is that of this machine, over which `http://` may go.
pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => address.is_loopback(),
        Err(_) => host == "localhost",
    }
}

/// For connections to this address. `authorities` are trusted beside those of the system: a file that is in PEM,
/// and what it holds.
pub fn client(url: &Url, authorities: Option<(&Path, &[u8])>) -> Result<ClientBuilder> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // That there is one already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = Client::builder()
        // What is sent is for the server that is named.
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .https_only(url.scheme() == "https");
    if is_loopback(url) {
        // Nothing that is sent in clear goes through others, and packing costs more than the way.
        builder = builder.no_proxy().no_gzip().no_zstd();
    }
    if url.scheme() == "http" {
        // No certificate is looked at, so that a system without any will do.
        builder = builder.tls_certs_only([]);
    } else if let Some((path, pem)) = authorities {
        let certificates = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(no_authorities(path));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

/// The error of a file that holds no certificates.
pub fn no_authorities(path: &Path) -> Error {
    Error::failure(format!("the certificates of {} cannot be read", path.display()))
        .hint("YUBIN_CA_FILE names a file of certificates in PEM")
}
