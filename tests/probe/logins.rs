//! A server where everything is well: each protocol, security and mechanism, and what people get wrong about it.

use super::row::{Row, check, nobody, receiving, sending};
use super::{ODD, WELL};

const IMPLICIT: &str = "implicit_tls";

#[test]
fn imap_tells_what_is_true() {
    let stack = &*WELL;
    let of = |name, security, port, password| receiving(name, "imap", security, port, password);
    let root = |name, folder: &str| {
        let incoming = "incoming: { protocol: imap, host: @host@, port: @imaps@, security: implicit_tls";
        let user = format!("username: {name}@example.jp, password: {{ env: RIGHT }}, imap_root: {folder}");
        Row::pattern(name, "imap", &format!("{incoming}, {user} }}"))
    };
    check(
        stack,
        &[
            of("none", "none", "imap", "RIGHT").asks(&["greeting", "capabilities", "mailbox"]),
            of("starttls", "starttls", "imap", "RIGHT").asks(&["starttls", "tls", "mailbox"]),
            of("implicit", IMPLICIT, "imaps", "RIGHT").asks(&["tls", "greeting", "mailbox"]),
            of("wrong-none", "none", "imap", "WRONG").refused(&["incoming.password"]),
            of("wrong-starttls", "starttls", "imap", "WRONG").refused(&["incoming.password"]),
            of("wrong-implicit", IMPLICIT, "imaps", "WRONG").refused(&["incoming.password"]),
            of("off", "starttls", "imap", "RIGHT")
                .refused(&["incoming.password"])
                .sql("UPDATE account SET imap_enabled = 0"),
            of("odd-none", "none", "imap", "ODD").has(ODD),
            of("odd-tls", IMPLICIT, "imaps", "ODD").has(ODD),
            of("odd-wrong", IMPLICIT, "imaps", "ODD").refused(&["incoming.password"]),
            of("disabled", IMPLICIT, "imaps", "RIGHT")
                .refused(&["incoming.username"])
                .sql("UPDATE account SET enabled = 0"),
            of("gone", IMPLICIT, "imaps", "RIGHT").refused(&["incoming.username"]).sql("DELETE FROM account"),
            of("pop3-off", IMPLICIT, "imaps", "RIGHT").sql("UPDATE account SET pop3_enabled = 0"),
            of("tls-as-none", "none", "imaps", "RIGHT").fails(
                "greeting",
                "probe/tls-port",
                &["incoming.security", "implicit_tls"],
            ),
            of("tls-as-starttls", "starttls", "imaps", "RIGHT").fails(
                "greeting",
                "probe/tls-port",
                &["incoming.security", "implicit_tls"],
            ),
            of("plain-as-tls", IMPLICIT, "imap", "RIGHT").fails(
                "tls",
                "probe/plain-port",
                &["incoming.security", "starttls"],
            ),
            of("smtp-port", "none", "submission", "RIGHT").fails(
                "greeting",
                "probe/wrong-protocol",
                &["incoming.port"],
            ),
            of("smtps-port", IMPLICIT, "smtps", "RIGHT").fails("greeting", "probe/wrong-protocol", &["incoming.port"]),
            of("pop3-port", "none", "pop3", "RIGHT").fails("greeting", "probe/wrong-protocol", &["incoming.port"]),
            of("dead-none", "none", "dead", "RIGHT").fails("connect", "probe/refused", &["incoming.port", "143"]),
            of("dead-tls", IMPLICIT, "dead", "RIGHT").fails("connect", "probe/refused", &["incoming.port", "993"]),
            of("full", IMPLICIT, "imaps", "RIGHT")
                .warns("mailbox", "probe/mailbox-full", &[])
                .filled(3000)
                .sql("UPDATE account SET quota_bytes = 2048"),
            of("roomy", IMPLICIT, "imaps", "RIGHT").filled(3000).sql("UPDATE account SET quota_bytes = 1048576"),
            root("root-missing", "Absent/Folder")
                .fails("mailbox", "probe/folder-missing", &["incoming.imap_root"])
                .taken(1),
            root("root-there", "INBOX").asks(&["mailbox"]),
        ],
    );
}

#[test]
fn pop3_tells_what_is_true() {
    let stack = &*WELL;
    let of = |name, security, port, password| receiving(name, "pop3", security, port, password);
    let apop = |name, security: &str, port: &str, password| {
        let fields = format!("protocol: pop3, host: @host@, port: @{port}@, security: {security}, apop: true");
        Row::at_server(name, "pop3", &format!("incoming: {{ {fields} }}"), password)
    };
    check(
        stack,
        &[
            of("none", "none", "pop3", "RIGHT").asks(&["greeting", "capabilities", "uidl"]),
            of("starttls", "starttls", "pop3", "RIGHT").asks(&["starttls", "tls", "uidl"]),
            of("implicit", IMPLICIT, "pop3s", "RIGHT").asks(&["tls", "uidl"]),
            of("odd", "starttls", "pop3", "ODD").has(ODD),
            apop("odd-apop", "none", "pop3", "ODD").has(ODD),
            of("wrong-none", "none", "pop3", "WRONG").refused(&["incoming.password"]),
            of("wrong-starttls", "starttls", "pop3", "WRONG").refused(&["incoming.password"]),
            of("wrong-implicit", IMPLICIT, "pop3s", "WRONG").refused(&["incoming.password"]),
            apop("apop-none", "none", "pop3", "RIGHT").asks(&["login", "uidl"]),
            apop("apop-starttls", "starttls", "pop3", "RIGHT").asks(&["login"]),
            apop("apop-implicit", IMPLICIT, "pop3s", "RIGHT").asks(&["login"]),
            apop("apop-wrong", "none", "pop3", "WRONG").refused(&["incoming.password"]),
            apop("apop-unstored", "none", "pop3", "RIGHT")
                .refused(&["incoming.apop"])
                .sql("UPDATE account SET shared_secret = NULL"),
            of("off", "starttls", "pop3", "RIGHT")
                .refused(&["incoming.password"])
                .sql("UPDATE account SET pop3_enabled = 0"),
            of("imap-off", IMPLICIT, "pop3s", "RIGHT").sql("UPDATE account SET imap_enabled = 0"),
            of("tls-as-none", "none", "pop3s", "RIGHT").fails("greeting", "probe/tls-port", &["implicit_tls"]),
            of("tls-as-starttls", "starttls", "pop3s", "RIGHT").fails("greeting", "probe/tls-port", &["implicit_tls"]),
            of("plain-as-tls", IMPLICIT, "pop3", "RIGHT").fails("tls", "probe/plain-port", &["incoming.security"]),
            of("imap-port", "none", "imap", "RIGHT").fails("greeting", "probe/wrong-protocol", &["incoming.port"]),
            of("imaps-port", IMPLICIT, "imaps", "RIGHT").fails("greeting", "probe/wrong-protocol", &["incoming.port"]),
            of("smtp-port", "none", "smtp", "RIGHT").fails("greeting", "probe/wrong-protocol", &["incoming.port"]),
            of("dead", "none", "dead", "RIGHT").fails("connect", "probe/refused", &["incoming.port", "110"]),
        ],
    );
}

#[test]
fn smtp_tells_what_is_true() {
    let stack = &*WELL;
    let size = |name, size: &str| {
        let auth = "auth: { enabled: true, mechanism: plain, credentials: account }";
        let fields = format!("host: @host@, port: @submission@, security: starttls, max_message_size: {size}, {auth}");
        Row::at_server(name, "smtp", &format!("outgoing: {{ {fields} }}"), "RIGHT").asks(&["login"])
    };
    let with = |name, credentials: &str, password| {
        let auth = format!("auth: {{ enabled: true, mechanism: plain, {credentials} }}");
        let fields = format!("host: @host@, port: @submission@, security: starttls, {auth}");
        Row::at_server(name, "smtp", &format!("outgoing: {{ {fields} }}"), password).asks(&["login"])
    };
    let pattern = |name, password: &str| {
        let login = format!("incoming: {{ username: {name}@example.jp, password: {{ env: {password} }} }}");
        let auth = "auth: { enabled: true, mechanism: login, credentials: incoming }";
        let outgoing = format!("outgoing: {{ host: @host@, port: @smtps@, security: implicit_tls, {auth} }}");
        Row::pattern(name, "smtp", &format!("{login}, {outgoing}")).asks(&["login"])
    };
    let ports = [("none", "submission"), ("starttls", "submission"), (IMPLICIT, "smtps")];
    let names = [
        ["plain-none", "plain-starttls", "plain-implicit"],
        ["login-none", "login-starttls", "login-implicit"],
        ["cram-none", "cram-starttls", "cram-implicit"],
        ["auto-none", "auto-starttls", "auto-implicit"],
    ];
    let wrong = [
        ["bad-plain-none", "bad-plain-starttls", "bad-plain-implicit"],
        ["bad-login-none", "bad-login-starttls", "bad-login-implicit"],
        ["bad-cram-none", "bad-cram-starttls", "bad-cram-implicit"],
        ["bad-auto-none", "bad-auto-starttls", "bad-auto-implicit"],
    ];
    let mut rows = Vec::new();
    for (row, mechanism) in ["plain", "login", "cram-md5", "auto"].into_iter().enumerate() {
        for (column, (security, port)) in ports.into_iter().enumerate() {
            rows.push(sending(names[row][column], security, port, mechanism, "RIGHT"));
            rows.push(
                sending(wrong[row][column], security, port, mechanism, "WRONG").refused(&["outgoing.auth.password"]),
            );
        }
    }
    let of = |name, security, port| sending(name, security, port, "plain", "RIGHT");
    rows.extend([
        of("port-25", "starttls", "smtp"),
        sending("odd-plain", "starttls", "submission", "plain", "ODD").has(ODD),
        sending("odd-login", "starttls", "submission", "login", "ODD").has(ODD),
        sending("odd-cram", "none", "submission", "cram-md5", "ODD").has(ODD),
        with("own", "credentials: own, username: own@example.jp, password: { env: RIGHT }", "WRONG"),
        with("own-wrong", "credentials: own, username: own-wrong@example.jp, password: { env: WRONG }", "RIGHT")
            .refused(&["outgoing.auth.password"]),
        with("same", "credentials: account", "RIGHT"),
        with("same-wrong", "credentials: account", "WRONG").refused(&["incoming.password"]),
        pattern("pattern", "RIGHT"),
        pattern("pattern-wrong", "WRONG").refused(&["incoming.password"]),
        of("off", "starttls", "submission").refused(&["outgoing.auth"]).sql("UPDATE account SET smtp_enabled = 0"),
        sending("unstored", "starttls", "submission", "cram-md5", "RIGHT")
            .refused(&["outgoing.auth.mechanism"])
            .sql("UPDATE account SET shared_secret = NULL"),
        of("tls-as-none", "none", "smtps").fails("greeting", "probe/tls-port", &["outgoing.security", "implicit_tls"]),
        of("tls-as-starttls", "starttls", "smtps").fails("greeting", "probe/tls-port", &["implicit_tls"]),
        of("plain-as-tls", IMPLICIT, "submission").fails("tls", "probe/plain-port", &["outgoing.security", "starttls"]),
        of("imap-port", "none", "imap").fails("greeting", "probe/wrong-protocol", &["outgoing.port"]),
        of("pop3-port", "starttls", "pop3").fails("greeting", "probe/wrong-protocol", &["outgoing.port"]),
        of("lmtp-port", "none", "lmtp").fails("capabilities", "probe/wrong-protocol", &["outgoing.port"]),
        of("dead", "starttls", "dead").fails("connect", "probe/refused", &["outgoing.port", "25"]),
        size("size-small", "50MB").warns("size", "probe/size", &["outgoing.max_message_size"]),
        size("size-well", "5MB").asks(&["size"]),
        nobody("nobody", "starttls", "submission").warns(
            "login",
            "probe/auth-needed",
            &["outgoing.auth.enabled", "true"],
        ),
    ]);
    check(stack, &rows);
}
