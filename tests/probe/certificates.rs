//! Certificates that do not hold: no password is shown to them.

use super::row::{check, check_at, receiving, sending};
use super::{codes, json, project};
use crate::support::mail::{Certificate, Setup, Stack};

/// Over each protocol, and both ways to TLS.
#[track_caller]
fn refused(stack: &Stack, code: &'static str, imap: &'static [&'static str], smtp: &'static [&'static str]) {
    check(
        stack,
        &[
            receiving("imap", "imap", "implicit_tls", "imaps", "RIGHT").fails("tls", code, imap),
            receiving("imap-starttls", "imap", "starttls", "imap", "RIGHT").fails("tls", code, imap),
            receiving("pop3", "pop3", "starttls", "pop3", "RIGHT").fails("tls", code, imap),
            sending("smtp", "starttls", "submission", "plain", "RIGHT").fails("tls", code, smtp),
            sending("smtps", "implicit_tls", "smtps", "cram-md5", "RIGHT").fails("tls", code, smtp),
        ],
    );
}

fn with(certificate: Certificate) -> Stack {
    Stack::start(Setup { certificate, ..Setup::default() })
}

#[test]
fn an_expired_certificate_is_told() {
    refused(&with(Certificate::Expired), "probe/certificate-expired", &[], &[]);
}

#[test]
fn a_certificate_of_the_future_is_told() {
    refused(&with(Certificate::NotYet), "probe/certificate-not-yet", &[], &[]);
}

#[test]
fn a_certificate_for_another_name_is_told_with_its_names() {
    let stack = with(Certificate::OtherName);
    let (imap, smtp) = (&["incoming.host", "mail.example.net"], &["outgoing.host", "mail.example.net"]);
    refused(&stack, "probe/certificate-name", imap, smtp);
    let by_name = receiving("by-name", "imap", "implicit_tls", "imaps", "RIGHT");
    check_at(&stack, "localhost", &[by_name.fails("tls", "probe/certificate-name", imap)]);
}

#[test]
fn a_certificate_of_nobody_is_told() {
    refused(&with(Certificate::SelfSigned), "probe/certificate-untrusted", &["probe.ca"], &["probe.ca"]);
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let code = "probe/certificate-expires";
    check(
        &with(Certificate::Ending),
        &[
            receiving("imap", "imap", "implicit_tls", "imaps", "RIGHT").warns("tls", code, &[]),
            receiving("pop3", "pop3", "starttls", "pop3", "RIGHT").warns("tls", code, &[]),
            sending("smtp", "starttls", "submission", "plain", "RIGHT").warns("tls", code, &[]),
            receiving("strict", "imap", "implicit_tls", "imaps", "RIGHT").warns("tls", code, &[]).args(&["--strict"]),
        ],
    );
}

#[test]
fn a_name_of_the_certificate_holds_as_well_as_its_address() {
    let stack = with(Certificate::Good);
    check_at(&stack, "localhost", &[receiving("by-name", "imap", "implicit_tls", "imaps", "RIGHT").asks(&["dns"])]);
    // Nobody asked for this authority: nothing is trusted but what the project and the system name.
    let world = project("");
    let other = Stack::start(Setup::default());
    world.write("ca.pem", std::fs::read(other.ca()).unwrap());
    let at = format!("protocol: imap, host: 127.0.0.1, port: {}, security: implicit_tls", stack.ports.imaps);
    let login = "username: by-name@example.jp, password: { env: RIGHT }";
    world.write("a.yaml", format!("accounts: {{ a: {{ incoming: {{ {at}, {login} }} }} }}\n"));
    let document = json(&world, 1, &["probe"]);
    assert_eq!(codes(&document), ["probe/certificate-untrusted"], "{document:#}");
    // The servers cannot read their accounts: that is not the password's fault.
    world.write("ca.pem", std::fs::read(stack.ca()).unwrap());
    stack.sql("ALTER TABLE account RENAME TO lost");
    let document = json(&world, 1, &["probe"]);
    assert_eq!(codes(&document), ["probe/login-unavailable"], "{document:#}");
}
