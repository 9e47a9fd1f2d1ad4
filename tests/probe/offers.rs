//! Servers that offer less: no TLS, few mechanisms, or no password without TLS.

use std::net::{IpAddr, Ipv4Addr};

use super::row::{Row, check, nobody, receiving, sending};
use crate::support::mail::{Certificate, Setup, Stack};

#[test]
fn a_server_without_tls_and_with_one_mechanism() {
    let stack = Stack::start(Setup { certificate: Certificate::None, mechanisms: "plain", ..Setup::default() });
    let missing = "probe/starttls-missing";
    let apop = "incoming: { protocol: pop3, host: @host@, port: @pop3@, security: none, apop: true }";
    check(
        &stack,
        &[
            receiving("imap", "imap", "none", "imap", "RIGHT"),
            receiving("pop3", "pop3", "none", "pop3", "RIGHT"),
            sending("smtp", "none", "submission", "plain", "RIGHT"),
            sending("auto", "none", "submission", "auto", "RIGHT"),
            receiving("imap-starttls", "imap", "starttls", "imap", "RIGHT").fails("starttls", missing, &["incoming."]),
            receiving("pop3-starttls", "pop3", "starttls", "pop3", "RIGHT").fails("starttls", missing, &["incoming."]),
            sending("smtp-starttls", "starttls", "submission", "plain", "RIGHT").fails(
                "starttls",
                missing,
                &["outgoing."],
            ),
            receiving("imaps", "imap", "implicit_tls", "imaps", "RIGHT").fails("connect", "probe/refused", &["993"]),
            receiving("plain-as-tls", "pop3", "implicit_tls", "pop3", "RIGHT").fails(
                "tls",
                "probe/plain-port",
                &["incoming.security"],
            ),
            sending("cram", "none", "submission", "cram-md5", "RIGHT").fails(
                "login",
                "probe/mechanism-missing",
                &["outgoing.auth.mechanism", "plain"],
            ),
            sending("login", "none", "smtp", "login", "RIGHT").fails(
                "login",
                "probe/mechanism-missing",
                &["outgoing.auth.mechanism", "plain"],
            ),
            Row::at_server("apop", "pop3", apop, "RIGHT").fails(
                "login",
                "probe/mechanism-missing",
                &["incoming.apop: false"],
            ),
        ],
    );
}

#[test]
fn a_server_that_takes_no_password_without_tls() {
    // From another address than its own, as clients come.
    let listen = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let stack = Stack::start(Setup { listen, tls_only: true, submission_needs_tls: true, ..Setup::default() });
    let needs = "probe/login-needs-tls";
    let receive = &["incoming.security", "starttls"];
    let send = &["outgoing.security", "starttls"];
    let apop = "incoming: { protocol: pop3, host: @host@, port: @pop3@, security: none, apop: true }";
    check(
        &stack,
        &[
            receiving("imap", "imap", "none", "imap", "RIGHT").fails("login", needs, receive),
            receiving("pop3", "pop3", "none", "pop3", "RIGHT").fails("login", needs, receive),
            sending("plain", "none", "smtp", "plain", "RIGHT").fails("login", needs, send),
            sending("submission", "none", "submission", "auto", "RIGHT").fails("login", needs, send),
            // What shows no password is taken all the same.
            Row::at_server("apop", "pop3", apop, "RIGHT").asks(&["login"]),
            receiving("imap-starttls", "imap", "starttls", "imap", "RIGHT"),
            receiving("pop3-implicit", "pop3", "implicit_tls", "pop3s", "RIGHT"),
            sending("smtp-starttls", "starttls", "submission", "auto", "RIGHT"),
            nobody("nobody", "starttls", "smtp").warns("login", "probe/auth-needed", &["outgoing.auth.enabled"]),
        ],
    );
}
