//! Certificates, good and bad.

use std::path::{Path, PathBuf};

use jiff::{ToSpan, Zoned};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::{Certificate, Setup};

/// `server.pem` and `server.key` for the servers, and the authority, whose file this returns.
pub fn write(folder: &Path, setup: &Setup) -> PathBuf {
    let mut params = named("authority of the tests", Vec::new());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let names = match setup.certificate {
        Certificate::OtherName => vec!["mail.example.net".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned(), setup.listen.to_string()],
    };
    let mut params = named("server of the tests", names);
    match setup.certificate {
        Certificate::Expired => params.not_after = date_time_ymd(2020, 2, 29),
        Certificate::NotYet => params.not_before = date_time_ymd(2090, 1, 1),
        Certificate::Ending => {
            let day = Zoned::now().checked_add(7.days()).unwrap().date();
            params.not_after = date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
        }
        Certificate::Good | Certificate::OtherName | Certificate::SelfSigned | Certificate::None => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match setup.certificate {
        Certificate::SelfSigned => params.self_signed(&key).unwrap(),
        _ => params.signed_by(&key, &authority).unwrap(),
    };
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    ca
}

fn named(name: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
