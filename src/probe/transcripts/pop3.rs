//! POP3.

use super::{check, last, target};
use crate::model::probe::{Mechanism, Protocol, Security, Target};

const POP3: &str = "S: +OK ready <1896.697170952@dbc.mtview.ca.us>\nC: CAPA\n";

fn pop3(mechanism: Mechanism) -> Target {
    target(Protocol::Pop3, Security::None, mechanism)
}

#[test]
fn pop3_to_uidl() {
    let offers = "S: +OK\nS: USER\nS: STLS\nS: SASL PLAIN CRAM-MD5\nS: .\n";
    let login = "C: USER info@example.jp\nS: +OK\nC: PASS Kanaria \"7\\!\n";
    check(
        &pop3(Mechanism::Auto),
        &format!("{POP3}{offers}{login}S: +OK in\nC: STAT\nS: +OK 2 320\nC: UIDL 1\nS: +OK 1 x\nC: QUIT\nS: +OK"),
        &[
            "ok greeting",
            "ok capabilities USER, STLS, SASL PLAIN CRAM-MD5",
            "warning login [probe/password-in-clear]",
            "ok uidl 2 messages",
        ],
    );
    for (answer, expected) in [
        ("-ERR [AUTH] Authentication failed.", "login-refused"),
        ("-ERR no", "login-refused"),
        ("-ERR [SYS/TEMP] Temporary authentication failure.", "login-unavailable"),
        ("-ERR [IN-USE] locked", "login-unavailable"),
        ("-ERR [LOGIN-DELAY] wait", "login-limit"),
        ("-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", "login-needs-tls"),
        ("* what", "protocol"),
    ] {
        last(
            &pop3(Mechanism::Auto),
            &format!("{POP3}{offers}{login}S: {answer}\nC: *"),
            &[&format!("failed login [probe/{expected}]")],
        );
    }
    let empty = "S: +OK in\nC: STAT\nS: +OK 0 0\nC: UIDL\nS: -ERR unknown\nC: *";
    last(&pop3(Mechanism::Auto), &format!("{POP3}{offers}{login}{empty}"), &["failed uidl [probe/uidl-missing]"]);
    let mut target = pop3(Mechanism::Auto);
    target.uidl = false;
    last(&target, &format!("{POP3}{offers}{login}{empty}"), &["warning uidl [probe/uidl-missing]"]);
}

#[test]
fn pop3_with_other_mechanisms() {
    let nothing = "S: -ERR unknown\n";
    last(
        &pop3(Mechanism::Apop),
        &format!("{POP3}{nothing}C: *\nS: -ERR no"),
        &[
            "[probe/login-refused]",
            "no stored form of the password that APOP can use: then set `incoming.apop: false`, over TLS alone",
        ],
    );
    last(
        &pop3(Mechanism::Apop),
        &format!("S: +OK\nC: CAPA\n{nothing}C: *"),
        &["[probe/mechanism-missing]", "`incoming.apop: false`"],
    );
    let only_tls = "S: +OK\nS: STLS\nS: SASL\nS: .\n";
    last(
        &pop3(Mechanism::Auto),
        &format!("{POP3}{only_tls}C: *"),
        &["[probe/login-needs-tls]", "`incoming.security: starttls`"],
    );
    let plain =
        "S: +OK\nS: SASL PLAIN\nS: .\nC: AUTH PLAIN\nS: +\nC: AGluZm9AZXhhbXBsZS5qcABLYW5hcmlhICI3XCE=\nS: -ERR no";
    last(&pop3(Mechanism::Auto), &format!("{POP3}{plain}"), &["[probe/login-refused]"]);
    let starttls = target(Protocol::Pop3, Security::StartTls, Mechanism::Auto);
    last(&starttls, &format!("{POP3}{nothing}C: STLS\nS: -ERR unknown\nC: *"), &["[probe/starttls-missing]", "995"]);
}
