//! TLS from the first byte, with certificates good and bad.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{check, imap, probe, run, server, settings, target};
use crate::model::probe::{Protocol, Security, Settings};

pub struct Authority {
    pub pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(new_authority)
}

fn new_authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem().into_bytes();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// With days from today.
fn certified(authority: &Authority, name: &str, from: i64, until: i64) -> Arc<ServerConfig> {
    let day = |days: i64| {
        let date = jiff::Zoned::now().date() + jiff::Span::new().days(days);
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (day(from), day(until));
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

fn tls_server(config: Arc<ServerConfig>) -> u16 {
    server(move |stream| {
        let secured = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        imap(secured, "IMAP4rev1", || "OK in");
    })
}

#[test]
fn a_port_with_tls_is_told_from_one_without() {
    let config = certified(authority(), "elsewhere.example.jp", -1, 90);
    let port = tls_server(config);
    for security in [Security::None, Security::StartTls] {
        let step = check(&target(port, Protocol::Imap, security), "probe/tls-port");
        assert!(step.hint.unwrap().contains("`incoming.security: implicit_tls`"));
        assert_eq!(step.said.as_deref(), Some("* OK ready"));
    }
    let port = server(|stream| {
        imap(stream, "IMAP4rev1", || "OK in");
    });
    let step = check(&target(port, Protocol::Imap, Security::ImplicitTls), "probe/plain-port");
    assert!(step.hint.unwrap().contains("`incoming.security: starttls`"));
    let step = check(&target(port, Protocol::Pop3, Security::ImplicitTls), "probe/wrong-protocol");
    assert!(step.message.contains("speaks IMAP"), "{}", step.message);
}

#[test]
fn certificates_are_looked_at() {
    let stranger = new_authority();
    for (authority, name, from, until, code) in [
        (authority(), "127.0.0.1", -1, 90, None),
        (authority(), "127.0.0.1", -1, 10, Some("probe/certificate-expires")),
        (authority(), "127.0.0.1", -90, -1, Some("probe/certificate-expired")),
        (authority(), "127.0.0.1", 2, 90, Some("probe/certificate-not-yet")),
        (authority(), "mail.example.jp", -1, 90, Some("probe/certificate-name")),
        (&stranger, "127.0.0.1", -1, 90, Some("probe/certificate-untrusted")),
    ] {
        let port = tls_server(certified(authority, name, from, until));
        let probed = probe(&[target(port, Protocol::Imap, Security::ImplicitTls)], &settings()).remove(0);
        let step = &probed.steps[1];
        assert_eq!((step.name.name(), step.code), ("tls", code), "{step:?}");
        let failed = !matches!(code, None | Some("probe/certificate-expires"));
        assert_eq!(probed.steps.len(), if failed { 2 } else { 6 }, "{:?}", probed.steps);
        if code == Some("probe/certificate-name") {
            assert!(step.message.contains("but for mail.example.jp"), "{}", step.message);
            let hint =
                "correct `incoming.host` to a name of the certificate (mail.example.jp), or get one for 127.0.0.1";
            assert_eq!(step.hint.as_deref(), Some(hint));
        }
    }
    let none = server(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"\x15\x03\x03\0\x02\x02\x28");
    });
    check(&target(none, Protocol::Imap, Security::ImplicitTls), "probe/tls");
}

#[test]
fn certificates_that_cannot_be_read_are_an_error() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let settings = Settings { authorities: Some(pem.as_bytes().to_vec()), ..settings() };
        assert!(run(&[], &settings, &|_| {}).is_err(), "{pem}");
    }
}
