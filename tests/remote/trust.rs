//! Whom a client trusts: which addresses, which certificates, which answers; and what it keeps to itself.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use yubin::model::Code;
use yubin::store::Store;

use super::server::{Reply, Server, TOKEN};
use super::{answer, client, expect_error, project, rows};
use crate::cli::private;
use crate::support::served::{Served, token};
use crate::support::{Run, World};

#[test]
fn a_token_goes_to_no_other_server() {
    let other = Arc::new(Server::start(|_, request| answer(request, &rows(3), 7, 1_000)));
    for status in [301, 302, 303, 307, 308] {
        let location = other.url();
        let server = Server::start(move |_, request| {
            Reply::stranger(status, "").with("Location", &format!("{location}{}", request.target))
        });
        let error = expect_error(client(&server.url()).snapshot()).to_string();
        assert!(error.contains("sends elsewhere"), "{error}");
    }
    assert!(other.seen().is_empty());
}

#[test]
fn another_server_is_told_from_one_of_ours() {
    let page = || Reply::stranger(200, "<html>hello</html>\n");
    for (reply, said) in [
        (page(), "is no yubin server (it answers 200)"),
        (Reply::stranger(404, ""), "is no yubin server (it answers 404)"),
        (Reply::stranger(401, ""), "is no yubin server (it answers 401)"),
        (page().with("Yubin-Api", "2").with("Yubin-Version", "9.1.0"), "is yubin 9.1.0 and speaks version 2"),
        (page().with("Yubin-Api", "0").with("Yubin-Version", "0.0.1"), "is yubin 0.0.1 and speaks version 0"),
        (page().with("Yubin-Api", "1"), "does not understand"),
    ] {
        let server = Server::start(move |_, _| reply.clone());
        let error = expect_error(client(&server.url()).snapshot());
        assert_eq!(error.code, Code::Failure);
        assert!(error.to_string().contains(said), "{error}");
    }
}

fn run(world: &World, args: &[&str], variables: &[(&str, &str)]) -> Run {
    let run = Run::of(world.command(args).envs(variables.iter().copied()).output().unwrap());
    assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN), "{}{}", run.stdout, run.stderr);
    run
}

#[test]
fn an_address_that_would_give_the_token_away_is_refused() {
    let world = World::project("generic", "");
    for address in ["http://mail.example", "http://10.0.0.1:8080/yubin", &format!("https://{TOKEN}@mail.example")] {
        let run = run(&world, &["plan", "--store", address], &[("YUBIN_TOKEN", TOKEN)]);
        assert_eq!(run.code, 64, "{address}: {}", run.stderr);
    }
}

#[test]
fn a_token_comes_from_a_variable_or_a_file() {
    let server = Server::start(|_, request| answer(request, &rows(3), 7, 1_000));
    let world = project(&server);
    let none = run(&world, &["plan"], &[]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("needs a token") && none.stderr.contains("YUBIN_TOKEN_FILE"), "{}", none.stderr);
    // What needs no store needs no token.
    assert_eq!(run(&world, &["check"], &[]).code, 0);
    world.write("token", format!("{TOKEN}\n"));
    let mode = |mode| std::fs::set_permissions(world.file("token"), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let quiet = run(&world, &["plan"], &[("YUBIN_TOKEN_FILE", "token")]);
    assert_eq!((quiet.code, quiet.stderr.contains("may read the token file")), (0, false), "{}", quiet.stderr);
    mode(0o644);
    let open = run(&world, &["plan"], &[("YUBIN_TOKEN_FILE", "token")]);
    assert_eq!((open.code, open.stderr.contains("may read the token file")), (0, true), "{}", open.stderr);
    world.write("token", "two words");
    let wrong = run(&world, &["plan"], &[("YUBIN_TOKEN_FILE", "token")]);
    assert!(wrong.code == 1 && wrong.stderr.contains("holds no token"), "{}", wrong.stderr);
    let gone = run(&world, &["plan"], &[("YUBIN_TOKEN_FILE", "nowhere")]);
    assert!(gone.code == 1 && gone.stderr.contains("cannot be read"), "{}", gone.stderr);
    for request in server.seen() {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert!(!request.target.contains(TOKEN));
    }
}

#[test]
fn a_server_that_is_not_there_is_said_to_be() {
    let server = Server::start(|_, _| Reply::silence());
    let url = server.url();
    let error = expect_error(client(&url).snapshot()).to_string();
    assert!(error.contains("the connection to") && error.contains("failed"), "{error}");
    drop(server);
    // The listener is gone with its thread, which a last connection has woken.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let error = expect_error(client(&url).snapshot()).to_string();
    assert!(error.contains("refuses the connection"), "{error}");
}

/// An authority, a certificate of it for these names and years, and the key of that, in PEM.
fn issued(names: &[&str], years: (i32, i32)) -> (String, rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&own, &issuer).unwrap();
    (authority.pem(), certificate, own)
}

/// An authority, and a server's configuration with a certificate of it.
fn certified(names: &[&str], years: (i32, i32)) -> (String, ServerConfig) {
    let (authority, certificate, own) = issued(names, years);
    let key = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (authority, config)
}

#[test]
fn a_certificate_is_trusted_or_the_reason_why_not_is_said() {
    let own = (2020, 2090);
    for (names, years, known, said) in [
        (&["127.0.0.1"][..], own, true, None),
        (&["127.0.0.1"], own, false, Some("nobody whom this machine trusts has signed the certificate")),
        (&["mail.example"], own, true, Some("is not for the name `127.0.0.1`")),
        (&["127.0.0.1"], (2001, 2002), true, Some("has expired")),
        (&["127.0.0.1"], (2080, 2090), true, Some("is not valid yet")),
    ] {
        let (authority, config) = certified(names, years);
        let server = Server::with_tls(config, |_, request| answer(request, &rows(3), 7, 1_000));
        let world = project(&server);
        world.write("ca.pem", authority);
        let mut variables = vec![("YUBIN_TOKEN", TOKEN)];
        if known {
            variables.push(("YUBIN_CA_FILE", "ca.pem"));
        }
        let run = run(&world, &["plan"], &variables);
        match said {
            None => assert_eq!(run.code, 0, "{}", run.stderr),
            Some(said) => {
                assert_eq!(run.code, 1, "{}", run.stderr);
                assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
                assert!(server.seen().is_empty(), "nothing is sent to whom nobody trusts");
            }
        }
    }
}

#[test]
fn what_is_no_file_of_certificates_and_what_is_no_tls_is_said() {
    let (_, config) = certified(&["127.0.0.1"], (2020, 2090));
    let server = Server::with_tls(config, |_, request| answer(request, &[], 7, 1_000));
    let world = project(&server);
    world.write("ca.pem", "no certificate");
    for file in ["ca.pem", "nowhere.pem"] {
        let run = run(&world, &["plan"], &[("YUBIN_TOKEN", TOKEN), ("YUBIN_CA_FILE", file)]);
        assert!(run.code == 1 && run.stderr.contains("YUBIN_CA_FILE"), "{}", run.stderr);
    }
    let plain = Server::start(|_, _| Reply::stranger(200, "hello"));
    let url = plain.url().replace("http://", "https://");
    let run = run(&world, &["plan", "--store", &url], &[("YUBIN_TOKEN", TOKEN)]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("TLS") || run.stderr.contains("connection"), "{}", run.stderr);
}

#[test]
fn a_store_is_kept_behind_tls() {
    let world = World::project("generic", "");
    let (authority, certificate, key) = issued(&["127.0.0.1"], (2020, 2090));
    world.write("ca.pem", authority);
    world.write("cert.pem", certificate.pem());
    private(&world, "key.pem", &key.serialize_pem());
    private(&world, "pw", "open sesame");
    let (store, none) = ("sqlite:yubin.db", BTreeMap::new());
    let server = Served::with(&world, store, &none, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let token = token(&world, store, &none, "apply", &["head-office"]);
    let records = (0..5_000).map(|at| format!("account,n{at:05},number {at},${{file:pw}}\n"));
    world.write("a.csv", format!("kind,name,comment,incoming.password\n{}", records.collect::<String>()));
    let variables = [("YUBIN_TOKEN", token.as_str()), ("YUBIN_CA_FILE", "ca.pem")];
    for args in [&["apply", "--yes", "-q"][..], &["plan", "--exit-code"], &["log"]] {
        let run = run(&world, &[&["--store", &server.url], args].concat(), &variables);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
    }
}

/// Whoever writes the files must not choose to whom the token goes.
#[test]
fn files_that_are_not_trusted_name_no_server() {
    let server = Server::start(|_, request| answer(request, &rows(3), 7, 1_000));
    let world = project(&server);
    world.write("trusted.conf", "policy: {}\n");
    let plan = ["plan", "--trusted-config", "trusted.conf"];
    let run_it = |args: &[&str]| run(&world, args, &[("YUBIN_TOKEN", TOKEN)]);
    let refused = run_it(&plan);
    assert_eq!(refused.code, 64, "{}", refused.stderr);
    assert!(server.seen().is_empty());
    assert_eq!(run_it(&[&plan[..], &["--store", &server.url()]].concat()).code, 0);
}
