//! `probe --stored`: with what the store holds.

use std::os::unix::fs::PermissionsExt;

use super::{EVIDENCE, RIGHT, WELL, expect, files, has_password, json, probed, project, step};
use crate::support::mail::Logins;

#[test]
fn what_is_stored_is_probed_and_not_what_the_files_say() {
    let stack = &*WELL;
    let world = project("");
    world.write("ca.pem", std::fs::read(stack.ca()).unwrap());
    let at = format!("protocol: imap, host: 127.0.0.1, port: {}, security: implicit_tls", stack.ports.imaps);
    for name in ["sealed", "hashed"] {
        stack.account(&format!("{name}@example.jp"), RIGHT);
    }
    let text = |password: &str| {
        let sealed = format!("username: sealed@example.jp, password: {{ env: {password} }}");
        format!(
            "accounts:\n  sealed: {{ address: sealed@example.jp, incoming: {{ {at}, {sealed} }} }}\n  \
             hashed: {{ address: hashed@example.jp, password: {{ env: {password} }}, incoming: {{ {at} }} }}\n"
        )
    };
    world.write("a.yaml", text("RIGHT"));
    // From the files, the password of the mailbox is there.
    let document = json(&world, 0, &["probe"]);
    for name in ["sealed", "hashed"] {
        let probe = probed(&document, &format!("account/{name}"), "imap");
        assert_eq!(step(probe, "login")["outcome"], "ok", "{document:#}");
        assert_eq!(probe["user"], format!("{name}@example.jp"), "{document:#}");
    }
    expect(&world, 0, &["apply", "--yes"]);
    world.write("a.yaml", text("WRONG"));
    let log = json(&world, 0, &["log"]);
    let before = files(world.path());
    let stored = json(&world, 0, &["probe", "--stored"]);
    let sealed = probed(&stored, "account/sealed", "imap");
    assert_eq!(step(sealed, "login")["outcome"], "ok", "{stored:#}");
    assert_eq!(sealed.get("source"), None, "{stored:#}");
    // Of the other only the hash is there, and nobody can show that.
    let hashed = probed(&stored, "account/hashed", "imap");
    let login = step(hashed, "login");
    assert_eq!((&login["outcome"], &login["code"]), (&"skipped".into(), &"probe/no-password".into()), "{stored:#}");
    assert_eq!(hashed["outcome"], "skipped", "{stored:#}");
    assert_eq!(stored["summary"], serde_json::json!({ "ok": 1, "skipped": 1, "warning": 0, "failed": 0 }));
    let one = json(&world, 0, &["probe", "--stored", "account/sealed"]);
    assert_eq!(one["probes"].as_array().unwrap().len(), 1, "{one:#}");
    expect(&world, 64, &["probe", "--stored", "account/nobody"]);
    // The store is what it was.
    assert_eq!(json(&world, 0, &["log"]), log);
    let mut after = files(world.path());
    assert!(!has_password(&after.remove(EVIDENCE).unwrap_or_default()));
    assert!(
        before.keys().eq(after.keys().filter(|name| !name.ends_with("-shm") && !name.ends_with("-wal"))),
        "{after:?}"
    );
    assert_eq!(after.get("yubin.db"), before.get("yubin.db"), "the store has changed");
    assert!(!after.values().any(|content| has_password(content)));
    let counts = stack.logins();
    assert_eq!(counts["sealed@example.jp"], Logins { taken: 3, refused: 0 });
    assert_eq!(counts["hashed@example.jp"], Logins { taken: 1, refused: 0 });
}

#[test]
fn a_declared_hash_cannot_be_shown() {
    let stack = &*WELL;
    let world = project("");
    world.write("ca.pem", std::fs::read(stack.ca()).unwrap());
    stack.account("hash@example.jp", RIGHT);
    let at = format!("protocol: pop3, host: 127.0.0.1, port: {}, security: implicit_tls", stack.ports.pop3s);
    // The form of SHA512-CRYPT: salt, and 86 characters.
    let hash = format!("{{SHA512-CRYPT}}$6$0123456789abcdef${}", "a".repeat(86));
    world.write(
        "a.yaml",
        format!(
            "accounts: {{ hash: {{ address: hash@example.jp, password: {{ hash: '{hash}' }}, \
             incoming: {{ {at} }} }} }}\n"
        ),
    );
    let document = json(&world, 0, &["probe"]);
    let probe = probed(&document, "account/hash", "pop3");
    assert_eq!(step(probe, "login")["code"], "probe/no-password", "{document:#}");
    assert_eq!(step(probe, "tls")["outcome"], "ok", "{document:#}");
    assert!(!stack.logins().contains_key("hash@example.jp"));
    // A password file that others may read is a warning, as everywhere; its content is not shown.
    world.write("pw", RIGHT);
    std::fs::set_permissions(world.file("pw"), PermissionsExt::from_mode(0o600)).unwrap();
    world.write(
        "a.yaml",
        format!(
            "accounts: {{ hash: {{ address: hash@example.jp, password: {{ file: pw }}, incoming: {{ {at} }} }} }}\n"
        ),
    );
    let document = json(&world, 0, &["probe"]);
    assert_eq!(document["outcome"], "ok", "{document:#}");
    assert_eq!(stack.logins()["hash@example.jp"].taken, 1);
}
