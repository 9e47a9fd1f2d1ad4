//! A server with a certificate of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{POLICY, PROJECT, Site, project, remote, token};
use crate::support::World;
use crate::support::server::{DEADLINE, Server, run_within};

/// Somebody whom the client trusts, in a file.
fn authority(world: &World, file: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    world.write(file, authority.pem());
    authority
}

/// A certificate of this name, and its key, where the server looks for them.
fn certify(world: &World, authority: &CertifiedIssuer<'static, KeyPair>, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    crate::cli::private(world, "key.pem", &key.serialize_pem());
    world.write("cert.pem", certificate.pem());
}

struct Secure {
    site: Site,
    authority: CertifiedIssuer<'static, KeyPair>,
}

fn secure() -> Secure {
    let world = project("generic", POLICY);
    world.write("a.yaml", "accounts: { a: { comment: x } }");
    world.expect(0, &["apply", "--yes", "-q"]);
    let authority = authority(&world, "ca.pem");
    certify(&world, &authority, "localhost");
    let token = token(&world, "apply", &[PROJECT]);
    let flags = ["--listen", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let server = Server::start_secure(&world, &flags);
    Secure { site: Site { world, server, token }, authority }
}

/// The program, which trusts whom this file names.
fn run(site: &Site, host: &str, trust: &Path, args: &[&str]) -> crate::support::Run {
    let url = format!("https://{host}:{}", site.server.address.port());
    run_within(remote(&site.world, &url, &site.token, args).env("SSL_CERT_FILE", trust), DEADLINE)
}

#[test]
fn a_client_trusts_the_certificate_of_the_right_name_alone() {
    let Secure { site, .. } = secure();
    let trusted = site.world.file("ca.pem");
    let shown = run(&site, "localhost", &trusted, &["show"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("account/a"));
    site.world.write("a.yaml", "accounts: { a: { comment: y } }");
    assert_eq!(run(&site, "localhost", &trusted, &["apply", "--yes"]).code, 0);
    // Another name, and an authority that the client does not know.
    let wrong = run(&site, "127.0.0.1", &trusted, &["show"]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
    assert!(wrong.stderr.to_lowercase().contains("certificate"), "{}", wrong.stderr);
    authority(&site.world, "other.pem");
    let unknown = run(&site, "localhost", &site.world.file("other.pem"), &["show"]);
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
    assert!(unknown.stderr.to_lowercase().contains("certificate"), "{}", unknown.stderr);
    // Plain HTTP where TLS is spoken.
    let url = format!("http://localhost:{}", site.server.address.port());
    let plain = run_within(&mut remote(&site.world, &url, &site.token, &["show"]), DEADLINE);
    assert_eq!(plain.code, 1, "{}", plain.stderr);
    assert!(!site.server.said().contains("panicked"));
}

#[test]
fn a_new_certificate_is_taken_without_a_restart() {
    let Secure { site, authority } = secure();
    let trusted = site.world.file("ca.pem");
    assert_eq!(run(&site, "localhost", &trusted, &["show"]).code, 0);
    // Half of a file, and a key that is not its own, are not taken.
    let good = std::fs::read_to_string(site.world.file("cert.pem")).unwrap();
    site.world.write("cert.pem", &good[..good.len() / 2]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(run(&site, "localhost", &trusted, &["show"]).code, 0, "{}", site.server.said());
    certify(&site.world, &authority, "127.0.0.1");
    let start = Instant::now();
    while run(&site, "127.0.0.1", &trusted, &["show"]).code != 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", site.server.said());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_certificate_that_is_none_is_said_at_the_start() {
    let world = project("generic", "");
    let authority = authority(&world, "ca.pem");
    certify(&world, &authority, "localhost");
    world.write("junk", "junk");
    let other = KeyPair::generate().unwrap().serialize_pem();
    world.write("other.pem", other);
    for (cert, key, word) in [
        ("missing", "key.pem", "missing"),
        ("cert.pem", "missing", "missing"),
        ("junk", "key.pem", "junk"),
        ("cert.pem", "junk", "junk"),
        ("key.pem", "key.pem", "key.pem"),
        ("cert.pem", "other.pem", "other.pem"),
    ] {
        let args = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        let run = run_within(&mut world.command(&args), DEADLINE);
        assert!(matches!(run.code, 1 | 3 | 64), "{cert} {key}: {}", run.stderr);
        assert!(run.stderr.contains(word), "{cert} {key}: {}", run.stderr);
    }
    assert_eq!(world.run(&["serve", "--tls-cert", "cert.pem"]).code, 64);
}
