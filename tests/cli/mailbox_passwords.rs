//! Mailbox passwords (`account.password`): hashes in the notation of Dovecot, recognised when unchanged.

use std::process::Command;

use serde_json::{Value as Json, json};

use super::{actions, database, expect_with, keys, private, revision, run_with, shown};
use crate::support::{Run, World};

const CLEAR: &str = "open sesame";
const PW: &[(&str, &str)] = &[("PW", CLEAR)];

/// Name of a scheme, and how yubin begins what it writes.
const SCHEMES: [(&str, &str); 3] = [
    ("ARGON2ID", "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"),
    ("BLF-CRYPT", "{BLF-CRYPT}$2"),
    ("SHA512-CRYPT", "{SHA512-CRYPT}$6$"),
];

fn with_scheme(scheme: &str) -> World {
    World::project("generic", &format!("policy: {{ plaintext_secrets: allow, passwords: {{ scheme: {scheme} }} }}\n"))
}

fn project() -> World {
    World::project("generic", "policy: { plaintext_secrets: allow }\n")
}

/// Declares one account `a` with this YAML for its password.
fn declare(world: &World, password: &str) {
    world.write("a.yaml", format!("accounts:\n  a: {{ password: {password} }}\n"));
}

/// A hash as a reference, quoted.
fn reference(hash: &str) -> String {
    format!("{{ hash: '{hash}' }}")
}

fn stored(world: &World, name: &str) -> Option<String> {
    let sql = "SELECT password FROM account WHERE name = ?";
    database(world).query_row(sql, [name], |row| row.get(0)).unwrap()
}

fn proof(world: &World, name: &str) -> Option<Vec<u8>> {
    let sql = "SELECT password_proof FROM account WHERE name = ?";
    database(world).query_row(sql, [name], |row| row.get(0)).unwrap()
}

/// Other software sets the password of `a`.
fn set(world: &World, hash: &str) {
    assert_eq!(database(world).execute("UPDATE account SET password = ? WHERE name = 'a'", [hash]).unwrap(), 1);
}

/// What becomes of the password of `a`; empty if nothing does.
#[track_caller]
fn word(world: &World) -> String {
    let run = expect_with(world, 0, PW, &["plan", "--format", "json"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    let fields = plan["changes"].as_array().unwrap().iter().flat_map(|change| change["fields"].as_array().unwrap());
    let words: Vec<&str> = fields.filter_map(|field| field["change"].as_str()).collect();
    words.join(" ")
}

#[track_caller]
fn unchanged(world: &World) {
    expect_with(world, 0, PW, &["plan", "--exit-code"]);
}

/// Codes of what `check` and `plan` say, with their severities.
fn said(world: &World, verb: &str) -> (i32, Vec<String>) {
    let run = run_with(world, PW, &[verb, "--format", "json"]);
    let document: Json = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr));
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let all = document["diagnostics"].as_array().unwrap();
    (run.code, all.iter().map(|one| format!("{} {}", text(&one["severity"]), text(&one["code"]))).collect())
}

/// Dovecot's own program, with a configuration that holds nothing.
fn doveadm(world: &World, args: &[&str]) -> Run {
    world.write("dovecot.conf", "ssl = no\n");
    let mut command = Command::new("doveadm");
    command.arg("-c").arg(world.file("dovecot.conf")).args(args).current_dir(world.path());
    Run::of(command.output().unwrap_or_else(|error| panic!("install the Debian package dovecot-core: {error}")))
}

fn made_by_doveadm(world: &World, scheme: &str, password: &str) -> String {
    let run = doveadm(world, &["pw", "-s", scheme, "-p", password]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout.trim().to_owned()
}

// --- What is stored ------------------------------------------------------------------------

#[test]
fn a_mailbox_password_is_text_and_all_others_are_sealed() {
    let world = project();
    world.write(
        "a.yaml",
        "servers: { s: { outgoing: { auth: { enabled: true, credentials: own, username: u, password: { env: PW } } } } }
accounts: { a: { password: { env: PW }, incoming: { password: { env: PW } }, outgoing: { auth: { password: { env: PW } } } } }
patterns: { u: { p: { incoming: { password: { env: PW } } } } }
",
    );
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let database = database(&world);
    let kinds: [String; 6] = [
        "typeof(password) FROM account",
        "typeof(password_proof) FROM account",
        "typeof(incoming_password) FROM account",
        "typeof(outgoing_auth_password) FROM account",
        "typeof(incoming_password) FROM pattern",
        "typeof(outgoing_auth_password) FROM server",
    ]
    .map(|what| database.query_row(&format!("SELECT {what}"), [], |row| row.get(0)).unwrap());
    assert_eq!(kinds, ["text", "blob", "blob", "blob", "blob", "blob"]);
    for (table, column, expected) in [
        ("account", "password", "TEXT"),
        ("account_history", "password", "TEXT"),
        ("account", "password_proof", "BLOB"),
        ("account_history", "password_proof", "BLOB"),
        ("account", "incoming_password", "BLOB"),
    ] {
        let sql = "SELECT type FROM pragma_table_info(?) WHERE name = ?";
        let found: String = database.query_row(sql, [table, column], |row| row.get(0)).unwrap();
        assert_eq!(found, expected, "{table}.{column}");
    }
    for table in ["server", "pattern"] {
        let sql = "SELECT count(*) FROM pragma_table_info(?) WHERE name = 'password_proof'";
        assert_eq!(database.query_row(sql, [table], |row| row.get::<_, i64>(0)).unwrap(), 0, "{table}");
    }
}

#[test]
fn the_scheme_is_that_of_the_policy() {
    for (scheme, start) in SCHEMES {
        let world = with_scheme(scheme);
        declare(&world, "{ env: PW }");
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        let hash = stored(&world, "a").unwrap();
        assert!(hash.starts_with(start), "{hash}");
        unchanged(&world);
    }
    // Nothing said is ARGON2ID.
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    assert!(stored(&world, "a").unwrap().starts_with(SCHEMES[0].1));
    // A scheme that is not known, or easily guessed, is none.
    for scheme in ["MD5-CRYPT", "PLAIN", "argon2", "5"] {
        let world = with_scheme(scheme);
        declare(&world, "{ env: PW }");
        world.expect(3, &["check"]);
    }
}

/// Another scheme is for new passwords: those that are there stay as they are.
#[test]
fn another_scheme_changes_no_password() {
    let world = with_scheme("ARGON2ID");
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let text = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", text.replace("ARGON2ID", "BLF-CRYPT"));
    unchanged(&world);
    expect_with(&world, 0, &[("PW", "another one")], &["apply", "--yes"]);
    assert!(stored(&world, "a").unwrap().starts_with("{BLF-CRYPT}"));
}

#[test]
fn the_same_password_in_two_accounts_looks_different() {
    for (scheme, _) in SCHEMES {
        let world = with_scheme(scheme);
        world.write("a.yaml", "accounts: { a: { password: { env: PW } }, b: { password: { env: PW } } }\n");
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        assert_ne!(stored(&world, "a"), stored(&world, "b"));
        assert!(proof(&world, "a").is_some());
        assert_ne!(proof(&world, "a"), proof(&world, "b"));
    }
    // Nor do proofs tell how long a password is.
    let world = project();
    world.write("a.yaml", "accounts: { a: { password: x }, b: { password: abcdefghijklmnopqrst } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(proof(&world, "a").unwrap().len(), proof(&world, "b").unwrap().len());
}

/// Set, changed, and back again: each time with new salt.
#[test]
fn a_password_that_comes_back_is_hashed_anew() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let first = stored(&world, "a");
    expect_with(&world, 0, &[("PW", "another one")], &["apply", "--yes"]);
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    assert_ne!(stored(&world, "a"), first);
    unchanged(&world);
}

#[test]
fn hashes_and_proofs_are_never_shown() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let hash = stored(&world, "a").unwrap();
    assert_eq!(shown(&world, "account/a"), json!({ "password": { "secret": true } }));
    for args in [
        &["show"][..],
        &["show", "account/a"],
        &["log"],
        &["log", "account/a"],
        &["export", "yaml"],
        &["export", "csv"],
        &["export", "json", "--all"],
        &["undo", "1"],
        &["plan", "-v", "--out", "saved.plan"],
    ] {
        for format in ["text", "json"] {
            let run = run_with(&world, &[("PW", "another one")], &[args, &["--format", format]].concat());
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(
                !all.contains(&hash) && !all.contains("argon2id") && !all.contains("password_proof"),
                "{args:?} {all}"
            );
        }
    }
    let plan = std::fs::read_to_string(world.file("saved.plan")).unwrap();
    assert!(!plan.contains("argon2id"), "{plan}");
}

// --- What is unchanged ---------------------------------------------------------------------

#[test]
fn an_unchanged_password_is_recognised_however_it_is_declared() {
    for (scheme, _) in SCHEMES {
        for (file, text) in [
            ("a.yaml", "accounts: { a: { password: open sesame } }\n"),
            ("a.yaml", "accounts: { a: { password: { env: PW } } }\n"),
            ("a.yaml", "accounts: { a: { password: { file: pw } } }\n"),
            ("a.yaml", "defaults: { accounts: { password: { env: PW } } }\naccounts: { a: {} }\n"),
            ("a.csv", "name,password\na,open sesame\n"),
            ("a.csv", "name,password\na,${env:PW}\n"),
            ("a.csv", "name,password\na,${file:pw}\n"),
        ] {
            let world = with_scheme(scheme);
            private(&world, "pw", "open sesame\n");
            world.write(file, text);
            assert_eq!(word(&world), "set", "{text}");
            expect_with(&world, 0, PW, &["apply", "--yes"]);
            let (hash, sealed) = (stored(&world, "a"), proof(&world, "a"));
            unchanged(&world);
            expect_with(&world, 0, PW, &["apply", "--yes"]);
            assert_eq!(revision(&world), 1, "{scheme} {text}");
            assert_eq!((stored(&world, "a"), proof(&world, "a")), (hash, sealed), "{scheme} {text}");
            // Nor when something else changes beside it.
            world.write("b.csv", "name,comment\nb,x\n");
            assert_eq!(word(&world), "", "{text}");
        }
    }
}

#[test]
fn another_form_of_the_same_password_is_no_change() {
    let world = project();
    private(&world, "pw", "open sesame\n");
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    for form in ["open sesame", "{ file: pw }", "\"open\\x20sesame\""] {
        declare(&world, form);
        unchanged(&world);
    }
    world.remove("a.yaml");
    world.write("a.csv", "name,password\na,${file:pw}\n");
    unchanged(&world);
    assert_eq!(revision(&world), 1);
}

#[test]
fn every_other_password_is_a_change() {
    for (scheme, _) in SCHEMES {
        let world = with_scheme(scheme);
        declare(&world, "{ env: PW }");
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        for other in ["open sesam", "open sesame ", "Open sesame", "open sesame\n", "x", "オープン"] {
            let run = expect_with(&world, 2, &[("PW", other)], &["plan", "--exit-code"]);
            assert!(run.stdout.contains("changed"), "{scheme} {other:?}: {}", run.stdout);
        }
    }
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    declare(&world, "null");
    assert_eq!(word(&world), "cleared");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    assert_eq!((stored(&world, "a"), proof(&world, "a")), (None, None));
}

#[test]
fn the_plan_says_when_a_password_was_set_last() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    world.write("a.yaml", "accounts:\n  a: { comment: x, password: { env: PW } }\n");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let other = [("PW", "another one")];
    let run = expect_with(&world, 0, &other, &["plan", "--format", "json"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    let last = &plan["last_set"][0];
    assert_eq!(keys(last), ["address", "field", "revision", "at"]);
    assert_eq!((&last["address"], &last["field"]), (&json!("account/a"), &json!("password")));
    assert_eq!(last["revision"], 1, "the comment of revision 2 set no password");
    let log = world.json(0, &["log"]);
    let at = &log["revisions"].as_array().unwrap().iter().find(|one| one["revision"] == 1).unwrap()["at"];
    assert_eq!(&last["at"], at);
    let text = expect_with(&world, 0, &other, &["plan"]).stdout;
    let line = text.lines().find(|line| line.contains("password")).unwrap();
    assert!(line.contains("changed") && line.contains("last set in revision 1"), "{line}");
    // Where there was none, there is nothing to tell.
    world.write("a.yaml", "accounts:\n  a: { comment: x, incoming: { password: { env: PW } } }\n");
    let run = expect_with(&world, 0, PW, &["plan", "--format", "json"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(plan["last_set"], Json::Null);
}

// --- {hash} --------------------------------------------------------------------------------

#[test]
fn a_declared_hash_is_taken_as_it_is() {
    let world = project();
    let hash = made_by_doveadm(&world, "ARGON2ID", CLEAR);
    for (file, text) in [
        ("a.yaml", format!("accounts: {{ a: {{ password: {} }} }}\n", reference(&hash))),
        ("a.csv", format!("name,password\na,\"${{hash:{hash}}}\"\n")),
    ] {
        let world = project();
        world.write(file, text);
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(stored(&world, "a").as_deref(), Some(hash.as_str()), "{file}");
        assert_eq!(proof(&world, "a"), None, "{file}");
        world.expect(0, &["plan", "--exit-code"]);
        assert_eq!(revision(&world), 1);
        // From the hash to what it was made of.
        let _ = std::fs::remove_file(world.file(file));
        declare(&world, "{ env: PW }");
        unchanged(&world);
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        assert_eq!(revision(&world), 1);
        expect_with(&world, 2, &[("PW", "open sesamE")], &["plan", "--exit-code"]);
    }
}

#[test]
fn another_hash_is_a_change_and_the_stored_one_is_none() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    declare(&world, &reference(&stored(&world, "a").unwrap()));
    unchanged(&world);
    let other = made_by_doveadm(&world, "SHA512-CRYPT", CLEAR);
    declare(&world, &reference(&other));
    assert_eq!(word(&world), "changed");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!((stored(&world, "a"), proof(&world, "a")), (Some(other), None), "a proof of another hash stays behind");
}

#[test]
fn hashes_made_by_dovecot_are_recognised() {
    let world = project();
    for password in [CLEAR, "受信箱 パス\"ワード'", " lead and trail "] {
        for scheme in ["ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT"] {
            let hash = made_by_doveadm(&world, scheme, password);
            declare(&world, &reference(&hash));
            world.expect(0, &["apply", "--yes"]);
            let before = revision(&world);
            declare(&world, "{ env: PW }");
            expect_with(&world, 0, &[("PW", password)], &["plan", "--exit-code"]);
            expect_with(&world, 0, &[("PW", password)], &["apply", "--yes"]);
            assert_eq!(revision(&world), before, "{scheme}");
            expect_with(&world, 2, &[("PW", "other")], &["plan", "--exit-code"]);
        }
    }
}

#[test]
fn dovecot_accepts_every_hash_that_is_written() {
    for (scheme, _) in SCHEMES {
        for password in [CLEAR, "受信箱 パス\"ワード'", "$6$x${y}:z", "{PLAIN}x"] {
            let world = with_scheme(scheme);
            declare(&world, "{ env: PW }");
            expect_with(&world, 0, &[("PW", password)], &["apply", "--yes"]);
            let hash = stored(&world, "a").unwrap();
            let run = doveadm(&world, &["pw", "-t", &hash, "-p", password]);
            assert_eq!(run.code, 0, "{hash}: {}", run.stderr);
            assert!(run.stdout.contains("(verified)"), "{}", run.stdout);
            assert_ne!(doveadm(&world, &["pw", "-t", &hash, "-p", "other"]).code, 0);
        }
    }
}

/// Whoever can read the files can guess it: it is told, and taken.
#[test]
fn a_weak_hash_is_a_warning() {
    for hash in [
        "{MD5-CRYPT}$1$Yc8ypiLt$O3ipnnxV8WBsqDTA.4DqA/",
        "{SSHA}1uYnrXfKVgZ0u8WVnDZhAFYtYrsLZlY5",
        "{ssha}1uYnrXfKVgZ0u8WVnDZhAFYtYrsLZlY5",
        "{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6",
    ] {
        let world = project();
        declare(&world, &reference(hash));
        for verb in ["check", "plan"] {
            assert_eq!(said(&world, verb), (0, vec!["warning secret/weak-hash".to_owned()]), "{verb} {hash}");
        }
        world.expect(3, &["plan", "--strict"]);
        let run = world.expect(0, &["apply", "--yes"]);
        assert!(!run.stderr.contains(&hash[8..]), "{}", run.stderr);
        assert_eq!(stored(&world, "a").as_deref(), Some(hash));
    }
    for (scheme, _) in SCHEMES {
        let world = project();
        let hash = made_by_doveadm(&world, scheme, CLEAR);
        declare(&world, &reference(&hash));
        assert_eq!(said(&world, "plan"), (0, Vec::new()), "{scheme}");
    }
}

/// No policy allows it, and no spelling: Dovecot's schemes know no case, and may have an encoding.
#[test]
fn a_hash_that_is_the_password_itself_is_an_error() {
    for hash in [
        "{PLAIN}Xq7canary",
        "{CLEARTEXT}Xq7canary",
        "{CLEAR}Xq7canary",
        "{plain}Xq7canary",
        "{Clear}Xq7canary",
        "{PLAIN.HEX}587137",
        "{PLAIN.b64}WHE3Y2FuYXJ5",
    ] {
        for policy in ["allow", "warn"] {
            let world = World::project("generic", &format!("policy: {{ plaintext_secrets: {policy} }}\n"));
            declare(&world, &reference(hash));
            for verb in ["check", "plan"] {
                let (code, codes) = said(&world, verb);
                assert_eq!((code, codes), (3, vec!["error secret/plaintext".to_owned()]), "{verb} {policy} {hash}");
            }
            let run = world.expect(3, &["apply", "--yes"]);
            assert!(!run.stderr.contains("canary") && !run.stderr.contains("WHE3Y2"), "{}", run.stderr);
            assert!(!world.file("yubin.db").exists());
        }
    }
}

#[test]
fn what_is_no_hash_is_malformed() {
    for (text, place) in [
        ("accounts:\n  a: { password: { hash: Xq7canary } }\n", "password"),
        ("accounts:\n  a: { password: { hash: '' } }\n", "password"),
        ("accounts:\n  a: { password: { hash: '{}Xq7canary' } }\n", "password"),
        ("accounts:\n  a: { password: { hash: '{ARGON2ID}' } }\n", "password"),
        ("accounts:\n  a: { password: { hash: 'ARGON2ID}Xq7canary' } }\n", "password"),
        ("accounts:\n  a: { password: { hash: ['{ARGON2ID}Xq7canary'] } }\n", "password"),
        // Where the password itself is needed, no hash will do.
        ("accounts:\n  a: { incoming.password: { hash: '{ARGON2ID}$argon2id$Xq7canary' } }\n", "incoming.password"),
        ("accounts:\n  a: { outgoing.auth.password: { hash: '{SSHA}Xq7canary' } }\n", "outgoing.auth.password"),
        ("patterns:\n  u: { p: { incoming.password: { hash: '{ARGON2ID}Xq7canary' } } }\n", "incoming.password"),
    ] {
        let world = project();
        world.write("a.yaml", text);
        for verb in ["check", "plan"] {
            let document = world.json(3, &[verb]);
            let errors: Vec<&Json> =
                document["diagnostics"].as_array().unwrap().iter().filter(|one| one["severity"] == "error").collect();
            assert_eq!(errors.len(), 1, "{text}: {document}");
            let found = (&errors[0]["code"], &errors[0]["field"], &errors[0]["file"], &errors[0]["line"]);
            assert_eq!(found, (&json!("secret/form"), &json!(place), &json!("a.yaml"), &json!(2)), "{text}");
            assert!(!document.to_string().contains("canary"), "{document}");
        }
    }
}

// --- Other software, history ---------------------------------------------------------------

#[test]
fn a_hash_that_other_software_wrote_is_verified() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let first = stored(&world, "a").unwrap();
    for scheme in ["ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT"] {
        // Equal: nothing is to be done, and nothing is done.
        let equal = made_by_doveadm(&world, scheme, CLEAR);
        set(&world, &equal);
        unchanged(&world);
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        assert_eq!(stored(&world, "a"), Some(equal));
        // Not equal, although the proof beside it still is that of the declared password.
        set(&world, &made_by_doveadm(&world, scheme, "theirs"));
        assert_eq!(word(&world), "changed", "{scheme}");
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        unchanged(&world);
    }
    // An older hash of the same password is as good.
    set(&world, &first);
    unchanged(&world);
}

#[test]
fn what_other_software_wrote_and_is_no_hash_is_changed_back() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let hash = stored(&world, "a").unwrap();
    for garbage in [
        "",
        "x",
        "{",
        "{}",
        "{ARGON2ID}",
        "{ARGON2ID}garbage",
        "{ARGON2ID}$argon2id$v=19$m=4294967295,t=4294967295,p=1$c2FsdHNhbHQ$aGFzaA",
        "{BLF-CRYPT}$2b$31$",
        "{SHA512-CRYPT}$6$",
        "{NO-SUCH-SCHEME}x",
        &hash[..hash.len() - 1],
        &hash.replace("{ARGON2ID}", "{BLF-CRYPT}"),
    ] {
        set(&world, garbage);
        assert_eq!(word(&world), "changed", "{garbage:?}");
        world.expect(0, &["show"]);
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        unchanged(&world);
    }
    database(&world).execute("UPDATE account SET password = NULL WHERE name = 'a'", []).unwrap();
    assert_eq!(word(&world), "set");
    // The proof alone is nothing: without it the hash is asked.
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    database(&world).execute("UPDATE account SET password_proof = NULL WHERE name = 'a'", []).unwrap();
    unchanged(&world);
    database(&world).execute("UPDATE account SET password_proof = X'00' WHERE name = 'a'", []).unwrap();
    unchanged(&world);
}

/// A proof is for its place and its hash: moved elsewhere, it proves nothing.
#[test]
fn a_proof_of_another_account_proves_nothing() {
    let world = project();
    world.write("a.yaml", "accounts: { a: { password: { env: PW } }, b: { password: another one } }\n");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    for sql in [
        "UPDATE account SET (password, password_proof) = (SELECT password, password_proof FROM account WHERE name = 'b') WHERE name = 'a'",
        "UPDATE account SET password = (SELECT password FROM account WHERE name = 'b') WHERE name = 'a'",
    ] {
        database(&world).execute(sql, []).unwrap();
        assert_eq!(word(&world), "changed", "{sql}");
        expect_with(&world, 0, PW, &["apply", "--yes"]);
    }
    let sql =
        "UPDATE account SET password_proof = (SELECT password_proof FROM account WHERE name = 'b') WHERE name = 'a'";
    database(&world).execute(sql, []).unwrap();
    unchanged(&world);
    expect_with(&world, 2, &[("PW", "another one")], &["plan", "--exit-code"]);
}

#[test]
fn history_keeps_old_hashes_and_an_undo_brings_them_back() {
    for (scheme, _) in SCHEMES {
        let world = with_scheme(scheme);
        declare(&world, "{ env: PW }");
        expect_with(&world, 0, PW, &["apply", "--yes"]);
        let old = stored(&world, "a");
        expect_with(&world, 0, &[("PW", "another one")], &["apply", "--yes"]);
        let new = stored(&world, "a");
        assert_ne!(old, new);
        let sql = "SELECT password FROM account_history WHERE name = 'a'";
        assert_eq!(database(&world).query_row(sql, [], |row| row.get::<_, Option<String>>(0)).unwrap(), old);
        world.expect(0, &["undo", "2", "--yes"]);
        assert_eq!(stored(&world, "a"), old);
        unchanged(&world);
        expect_with(&world, 2, &[("PW", "another one")], &["plan", "--exit-code"]);
        world.expect(0, &["undo", "3", "--yes"]);
        assert_eq!(stored(&world, "a"), new);
        expect_with(&world, 0, &[("PW", "another one")], &["plan", "--exit-code"]);
    }
}

#[test]
fn an_undo_brings_a_deleted_accounts_hash_back() {
    let world = project();
    world.write("a.yaml", "accounts: { a: { password: { env: PW } }, b: {} }\n");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let old = (stored(&world, "a"), proof(&world, "a"));
    world.write("a.yaml", "accounts: { a: { absent: true }, b: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["undo", "2", "--yes"]);
    assert_eq!((stored(&world, "a"), proof(&world, "a")), old);
    world.write("a.yaml", "accounts: { a: { password: { env: PW } }, b: {} }\n");
    unchanged(&world);
}

/// Only a password of those that are planned is hashed: a saved plan is applied as it was made.
#[test]
fn a_saved_plan_notices_another_password() {
    let world = project();
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, PW, &["plan", "--out", "saved.plan"]);
    expect_with(&world, 5, &[("PW", "another one")], &["apply", "saved.plan"]);
    expect_with(&world, 0, PW, &["apply", "saved.plan"]);
    unchanged(&world);
    expect_with(&world, 0, &[("PW", "another one")], &["plan", "--out", "saved.plan"]);
    set(&world, &made_by_doveadm(&world, "SHA512-CRYPT", "theirs"));
    expect_with(&world, 5, &[("PW", "another one")], &["apply", "saved.plan"]);
    let run = expect_with(&world, 0, &[("PW", "another one")], &["plan", "--format", "json"]);
    assert_eq!(actions(&serde_json::from_str(&run.stdout).unwrap()), ["overwrite account/a"]);
}

// --- The limit of bcrypt -------------------------------------------------------------------

/// bcrypt cuts off after 72 bytes: two passwords that differ behind them would be one.
#[test]
fn blf_crypt_takes_72_bytes_at_most() {
    let longest = "x7".repeat(36);
    let kana = "あ".repeat(24);
    for (scheme, password, code) in [
        ("BLF-CRYPT", longest.clone(), 0),
        ("BLF-CRYPT", format!("{longest}y"), 3),
        ("BLF-CRYPT", kana.clone(), 0),
        ("BLF-CRYPT", format!("{kana}y"), 3),
        ("ARGON2ID", format!("{longest}y"), 0),
        ("SHA512-CRYPT", format!("{longest}y"), 0),
    ] {
        let world = with_scheme(scheme);
        declare(&world, "{ env: PW }");
        let run = run_with(&world, &[("PW", &password)], &["plan", "--format", "json"]);
        assert_eq!(run.code, code, "{scheme} {password}: {}", run.stderr);
        if code == 3 {
            let document: Json = serde_json::from_str(&run.stdout).unwrap();
            let one = &document["diagnostics"][0];
            let found = (&one["severity"], &one["code"], &one["address"], &one["field"], &one["line"]);
            let expected =
                (&json!("error"), &json!("password/length"), &json!("account/a"), &json!("password"), &json!(2));
            assert_eq!(found, expected);
            assert!(!run.stdout.contains(&password) && !run.stderr.contains(&password));
        }
        let run = run_with(&world, &[("PW", &password)], &["apply", "--yes"]);
        assert_eq!(run.code, code, "{scheme}: {}", run.stderr);
        assert!(!run.stderr.contains(&password));
    }
    // What Dovecot cut off itself is equal only where the first 72 bytes are all there is.
    let world = project();
    declare(&world, &reference(&made_by_doveadm(&world, "BLF-CRYPT", &longest)));
    world.expect(0, &["apply", "--yes"]);
    declare(&world, "{ env: PW }");
    expect_with(&world, 0, &[("PW", &longest)], &["plan", "--exit-code"]);
    expect_with(&world, 2, &[("PW", &format!("{longest}y"))], &["plan", "--exit-code"]);
}
