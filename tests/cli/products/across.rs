//! One canonical server in a project of every system, what the systems read differently, and how
//! the tests of a product ask.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::cli::{actions, private};
use crate::support::World;

const SYSTEMS: [&str; 8] = [
    "generic",
    "catchme-mail",
    "staff-express",
    "cpi-business-standard",
    "cpi-kwc-mail",
    "cpi-sv-basic",
    "mailwise",
    "cybozu-office",
];

/// Names of fields and what is written for them.
pub type Fields<'a> = [(&'a str, &'a str)];

/// A project of this system with a password in the file `pw` that every product takes.
pub fn project(system: &str, more: &str) -> World {
    let world = World::project(system, more);
    private(&world, "pw", "Himawari2026x\n");
    world
}

/// These fields with others in their place or after them; an empty text leaves one out.
pub fn with<'a>(base: &Fields<'a>, changes: &Fields<'a>) -> Vec<(&'a str, &'a str)> {
    let mut fields = base.to_vec();
    for &(field, value) in changes {
        match fields.iter_mut().find(|(name, _)| *name == field) {
            Some(found) => found.1 = value,
            None => fields.push((field, value)),
        }
    }
    fields.retain(|(_, value)| !value.is_empty());
    fields
}

/// YAML of one resource, a line for each field.
pub fn yaml(kinds: &str, name: &str, fields: &Fields<'_>) -> String {
    let mut yaml = format!("{kinds}:\n  {name}:\n");
    for (field, value) in fields {
        writeln!(yaml, "    {field}: {value}").unwrap();
    }
    yaml
}

/// What a word of YAML is in JSON.
pub fn word(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
}

/// The diagnostics of a plan, which is invalid input if one of them is an error.
#[track_caller]
pub fn diagnostics(world: &World) -> Vec<Json> {
    let run = world.run(&["plan", "--format", "json"]);
    let plan: Json =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", run.stdout, run.stderr));
    let found = plan["diagnostics"].as_array().unwrap().clone();
    let invalid = found.iter().any(|one| one["severity"] == "error");
    assert_eq!(run.code, if invalid { 3 } else { 0 }, "{found:#?}\n{}", run.stderr);
    found
}

/// `SEVERITY CODE FIELD` of every diagnostic of a plan, sorted. Each must stand on the line that
/// writes its field or the reference that brings it, if there is one.
#[track_caller]
pub fn said(world: &World) -> Vec<String> {
    let text = |one: &Json, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let mut said = Vec::new();
    for one in diagnostics(world) {
        let (file, field) = (text(&one, "file"), text(&one, "field"));
        if file.contains(".yaml") {
            let yaml = std::fs::read_to_string(world.file(&file)).unwrap();
            let of = |name: &str| -> Vec<u64> {
                let key = format!("{name}:");
                (1..)
                    .zip(yaml.lines())
                    .filter(|(_, line)| line.trim_start().starts_with(&key))
                    .map(|(at, _)| at)
                    .collect()
            };
            let written = of(&field);
            let at = one["line"].as_u64().unwrap_or_default();
            assert!(written.is_empty() || written.contains(&at) || of("server").contains(&at), "{one:#}\n{yaml}");
        }
        said.push(format!("{} {} {field}", text(&one, "severity"), text(&one, "code")));
    }
    said.sort();
    said
}

/// The same without the fields.
#[track_caller]
pub fn codes(world: &World) -> Vec<String> {
    said(world).iter().map(|one| one.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// The one diagnostic with this code.
#[track_caller]
pub fn problem(world: &World, code: &str) -> Json {
    let mut found = diagnostics(world);
    found.retain(|one| one["code"] == code);
    assert_eq!(found.len(), 1, "{code}: {found:#?}");
    found.remove(0)
}

/// What an add takes from the product's defaults.
#[track_caller]
pub fn defaults(world: &World) -> Json {
    let plan = world.json(0, &["plan"]);
    assert_eq!(plan["changes"][0]["action"], "add");
    let fields = plan["changes"][0]["fields"].as_array().unwrap();
    fields
        .iter()
        .filter(|one| one["default"] == true)
        .map(|one| (one["field"].as_str().unwrap().to_owned(), one["after"].clone()))
        .collect()
}

/// Who uses the server `hq` in this system: an account, a pattern, or nobody.
fn user(system: &str) -> String {
    const OWN: &Fields<'_> = &[
        ("server", "hq"),
        ("address", "info@example.jp"),
        ("incoming.username", "info"),
        ("incoming.password", "{ file: pw }"),
    ];
    const MAILBOX: &Fields<'_> = &[("server", "hq"), ("password", "{ file: pw }")];
    match system {
        "mailwise" => String::new(),
        "catchme-mail" => {
            let fields = with(OWN, &[("incoming.label", "受信"), ("outgoing.label", "送信")]);
            let fields: Vec<String> = fields.iter().map(|(field, value)| format!("{field}: {value}")).collect();
            format!("patterns:\n  taro:\n    p1:\n      {}\n", fields.join("\n      "))
        }
        "cybozu-office" => yaml("accounts", "'191'", &with(OWN, &[("user", "高橋健太")])),
        "cpi-sv-basic" => yaml("accounts", "info", MAILBOX),
        "cpi-business-standard" | "cpi-kwc-mail" => yaml("accounts", "info", &with(MAILBOX, &[("capacity", "5")])),
        _ => yaml("accounts", "'10'", OWN),
    }
}

/// A project of this system with the server `hq` and who uses it.
fn with_server(system: &str, server: &Fields<'_>) -> World {
    let world = project(system, "");
    world.write("a.yaml", yaml("servers", "hq", server) + &user(system));
    world
}

/// What the system refuses to express, by its field, and that nothing else is wrong.
#[track_caller]
fn refused(world: &World) -> Vec<(String, Json)> {
    said(world);
    let mut errors = diagnostics(world);
    errors.retain(|one| one["severity"] == "error");
    let codes = ["system/not-expressible", "system/value"];
    assert!(errors.iter().all(|one| codes.contains(&one["code"].as_str().unwrap())), "{errors:#?}");
    let mut refused: Vec<(String, Json)> =
        errors.into_iter().map(|one| (one["field"].as_str().unwrap().to_owned(), one)).collect();
    refused.sort_by(|a, b| a.0.cmp(&b.0));
    refused
}

/// IMAP over TLS, and sending over STARTTLS with SMTP-AUTH.
const CANONICAL: &Fields<'_> = &[
    ("incoming.protocol", "imap"),
    ("incoming.host", "imap.example.jp"),
    ("incoming.port", "993"),
    ("incoming.security", "implicit_tls"),
    ("outgoing.host", "smtp.example.jp"),
    ("outgoing.port", "587"),
    ("outgoing.security", "starttls"),
    ("outgoing.auth.enabled", "true"),
    ("outgoing.auth.mechanism", "login"),
    ("outgoing.auth.credentials", "account"),
];

/// What every product can do that has servers at all.
const PLAIN: &Fields<'_> = &[
    ("incoming.protocol", "pop3"),
    ("incoming.host", "pop.example.jp"),
    ("incoming.port", "110"),
    ("outgoing.host", "smtp.example.jp"),
    ("outgoing.port", "25"),
];

#[test]
fn a_canonical_server_is_expressed_or_refused_with_reasons() {
    const HOSTING: &[(&str, &[&str])] = &[
        ("incoming.host", &["generic", "staff-express"]),
        ("incoming.port", &["generic", "staff-express"]),
        ("incoming.protocol", &["generic"]),
        ("incoming.security", &["generic", "staff-express"]),
        ("outgoing.auth.enabled", &["generic", "staff-express"]),
        ("outgoing.auth.mechanism", &["generic", "staff-express"]),
        ("outgoing.host", &["generic", "staff-express"]),
        ("outgoing.port", &["generic", "staff-express"]),
        ("outgoing.security", &["generic", "staff-express"]),
    ];
    /// A system, its document, and what it refuses with the systems that can.
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static [&'static str])]);
    const CASES: [Case; 8] = [
        ("generic", "", &[]),
        (
            "catchme-mail",
            "000:",
            &[
                ("incoming.security", &["generic"]),
                ("outgoing.auth.mechanism", &["generic"]),
                ("outgoing.security", &["generic"]),
            ],
        ),
        ("staff-express", "001:", &[("incoming.protocol", &["generic"])]),
        ("cpi-business-standard", "002", HOSTING),
        ("cpi-kwc-mail", "002", HOSTING),
        ("cpi-sv-basic", "002", HOSTING),
        (
            "mailwise",
            "003",
            &[
                ("incoming.security", &["generic", "cybozu-office"]),
                ("outgoing.security", &["generic", "cybozu-office"]),
            ],
        ),
        (
            "cybozu-office",
            "004",
            &[("incoming.protocol", &["generic", "mailwise"]), ("outgoing.auth.mechanism", &["generic", "mailwise"])],
        ),
    ];
    for (system, document, expected) in CASES {
        let found = refused(&with_server(system, CANONICAL));
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, expected.iter().map(|(field, _)| *field).collect::<Vec<_>>(), "{system}");
        for ((field, problem), (_, able)) in found.iter().zip(expected) {
            let message = problem["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{field}`")) && message.contains(document), "{system}: {problem:#}");
            let hint = problem["hint"].as_str().unwrap();
            assert!(able.iter().all(|able| hint.contains(able)), "{system}: {problem:#}");
            assert!(!hint.contains(system), "{system}: {problem:#}");
        }
    }
}

/// Each row changes `PLAIN` and says where its first field can be expressed.
#[test]
fn each_setting_of_a_server_goes_where_it_can_be_expressed() {
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a [&'a str]);
    const AUTH: &Fields<'_> = &[("outgoing.auth.enabled", "true"), ("outgoing.auth.credentials", "account")];
    let auth = |mechanism| [&[("outgoing.auth.mechanism", mechanism)][..], AUTH].concat();
    let cases: [Case<'_>; 11] = [
        (vec![], &["generic", "catchme-mail", "staff-express", "mailwise", "cybozu-office"]),
        (vec![("incoming.protocol", "imap"), ("incoming.port", "143")], &["generic", "catchme-mail", "mailwise"]),
        (
            vec![("incoming.security", "implicit_tls"), ("incoming.port", "995")],
            &["generic", "staff-express", "cybozu-office"],
        ),
        (vec![("incoming.security", "starttls")], &["generic", "staff-express", "cybozu-office"]),
        (
            vec![("outgoing.security", "implicit_tls"), ("outgoing.port", "465")],
            &["generic", "staff-express", "cybozu-office"],
        ),
        (
            vec![("outgoing.security", "starttls"), ("outgoing.port", "587")],
            &["generic", "staff-express", "cybozu-office"],
        ),
        (vec![("outgoing.port", "2525")], &["generic", "catchme-mail", "mailwise", "cybozu-office"]),
        (auth("login"), &["generic", "staff-express", "mailwise"]),
        (auth("plain"), &["generic", "staff-express", "mailwise"]),
        (auth("cram-md5"), &["generic", "mailwise"]),
        (auth("auto"), &["generic", "catchme-mail", "cybozu-office"]),
    ];
    for (changes, able) in &cases {
        for system in ["generic", "catchme-mail", "staff-express", "mailwise", "cybozu-office"] {
            let world = with_server(system, &with(PLAIN, changes));
            let found = refused(&world);
            let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
            let Some(&(field, value)) = changes.first() else {
                assert_eq!(fields, [""; 0], "{system}");
                continue;
            };
            if !able.contains(&system) {
                assert_eq!(fields, [field], "{system} {value}");
                continue;
            }
            assert_eq!(fields, [""; 0], "{system} {field} {value}");
            // What a product always does has no place in a plan.
            if value != "auto" || system == "generic" {
                let plan = world.json(0, &["plan"]);
                let mut fields =
                    plan["changes"].as_array().unwrap().iter().flat_map(|one| one["fields"].as_array().unwrap());
                assert!(fields.any(|one| one["field"] == field && one["after"] == word(value)), "{system} {plan:#}");
            }
        }
        for system in ["cpi-business-standard", "cpi-kwc-mail", "cpi-sv-basic"] {
            assert!(!refused(&with_server(system, &with(PLAIN, changes))).is_empty(), "{system} {changes:?}");
        }
    }
}

/// A reference that cannot bring a setting says so: mail would go another way than was declared.
#[test]
fn no_setting_of_a_server_is_dropped_in_silence() {
    for (field, value, unable) in [
        ("incoming.apop", "true", &["catchme-mail", "staff-express"][..]),
        ("outgoing.pop_before_smtp", "true", &["catchme-mail"]),
        ("incoming.max_message_size", "5MB", &["catchme-mail", "staff-express", "cybozu-office"]),
        ("outgoing.max_message_size", "5MB", &["catchme-mail", "staff-express", "cybozu-office"]),
    ] {
        for system in ["generic", "catchme-mail", "staff-express", "mailwise", "cybozu-office"] {
            let found = refused(&with_server(system, &with(PLAIN, &[(field, value)])));
            let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
            let expected: Vec<&str> = unable.contains(&system).then_some(field).into_iter().collect();
            assert_eq!(fields, expected, "{system} {field}");
        }
    }
    // What is off, or without a limit, is what they do anyway.
    let off =
        [("incoming.apop", "false"), ("outgoing.pop_before_smtp", "false"), ("incoming.max_message_size", "unlimited")];
    for system in ["catchme-mail", "staff-express"] {
        assert_eq!(said(&with_server(system, &with(PLAIN, &off))), [""; 0], "{system}");
    }
}

#[test]
fn servers_of_products_without_servers_only_serve_references() {
    for (system, expected) in [
        ("generic", &["add server/hq", "add account/10"][..]),
        ("catchme-mail", &["add pattern/taro/p1"]),
        ("staff-express", &["add account/10"]),
        ("mailwise", &["add server/hq"]),
        ("cybozu-office", &["add server/hq", "add account/191"]),
    ] {
        let world = with_server(system, PLAIN);
        assert_eq!(actions(&world.json(0, &["plan"])), expected, "{system}");
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0], "{system}");
    }
    for system in ["cpi-business-standard", "cpi-kwc-mail", "cpi-sv-basic"] {
        let world = project(system, "");
        world.write("a.yaml", yaml("servers", "hq", CANONICAL));
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0], "{system}");
    }
}

#[test]
fn a_kind_that_a_product_has_not_is_refused_with_the_systems_that_have_it() {
    for system in SYSTEMS {
        for (text, kind, able) in [
            (
                "accounts: { '10': {} }\n",
                "account",
                &["generic", "staff-express", "cpi-business-standard", "cpi-kwc-mail", "cpi-sv-basic", "cybozu-office"]
                    [..],
            ),
            ("patterns: { taro: { p1: {} } }\n", "pattern", &["generic", "catchme-mail"]),
        ] {
            if able.contains(&system) {
                continue;
            }
            let world = project(system, "");
            world.write("a.yaml", text);
            assert_eq!(said(&world), ["error system/not-expressible -"], "{system} {kind}");
            let problem = problem(&world, "system/not-expressible");
            assert!(problem["message"].as_str().unwrap().contains(kind), "{problem:#}");
            let hint = problem["hint"].as_str().unwrap();
            assert!(able.iter().all(|able| hint.contains(able)), "{system} {kind}: {hint}");
        }
    }
}

/// `TLS` is STARTTLS in 001 and implicit TLS in 004: the bare word is nobody's, and each canonical
/// word goes with the port that it has in the product.
#[test]
fn amb_x1_encryption_is_none_starttls_or_implicit_tls() {
    for system in SYSTEMS {
        for wrong in ["tls", "TLS", "ssl", "SSL", "smtps", "TLS/SSL", "空白"] {
            for field in ["incoming.security", "outgoing.security"] {
                let world = project(system, "");
                world.write("a.yaml", yaml("servers", "hq", &with(PLAIN, &[(field, wrong)])));
                assert!(said(&world).contains(&format!("error value/choice {field}")), "{system} {field} {wrong}");
                let message = problem(&world, "value/choice")["message"].to_string();
                for word in ["none", "starttls", "implicit_tls"] {
                    assert!(message.contains(word), "{message}");
                }
            }
        }
    }
    let receiving = [("incoming.security", "implicit_tls"), ("incoming.port", "995"), ("supports_uidl", "true")];
    for (security, port, staff_express, cybozu_office) in [
        ("starttls", "587", None, None),
        ("implicit_tls", "465", None, None),
        ("starttls", "465", Some("error staff-express/port-method"), Some("warning cybozu-office/usual-port")),
        ("implicit_tls", "587", Some("error staff-express/port-method"), Some("warning cybozu-office/usual-port")),
    ] {
        for (system, expected) in [("staff-express", staff_express), ("cybozu-office", cybozu_office)] {
            let sending = [&receiving[..], &[("outgoing.security", security), ("outgoing.port", port)]].concat();
            let found = codes(&with_server(system, &with(PLAIN, &sending)));
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{system} {security} {port}");
        }
    }
}

#[test]
fn amb_x2_two_authentications_are_an_error_in_004_and_a_warning_in_001_and_003() {
    const BOTH: &Fields<'_> = &[("outgoing.auth.enabled", "true"), ("outgoing.pop_before_smtp", "true")];
    let mailwise = with(BOTH, &[("outgoing.auth.mechanism", "login"), ("outgoing.auth.credentials", "account")]);
    let office = with(BOTH, &[("outgoing.auth.credentials", "account"), ("supports_uidl", "true")]);
    for (system, both, expected) in [
        ("staff-express", BOTH, "warning staff-express/two-authentications"),
        ("mailwise", &mailwise[..], "warning mailwise/two-authentications"),
        ("cybozu-office", &office[..], "error cybozu-office/one-authentication"),
    ] {
        let world = with_server(system, &with(PLAIN, both));
        let found = codes(&world);
        assert!(found.iter().any(|one| one == expected), "{system}: {found:?}");
        let errors = found.iter().filter(|one| one.starts_with("error ")).count();
        assert_eq!(errors, usize::from(system == "cybozu-office"), "{found:?}");
        // One of the two alone is nobody's concern.
        for one in ["outgoing.auth.enabled", "outgoing.pop_before_smtp"] {
            let alone = with(&with(PLAIN, both), &[(one, "false")]);
            let found = codes(&with_server(system, &alone));
            assert!(!found.iter().any(|code| code.contains("authentication")), "{found:?}");
        }
    }
}

/// Nothing written keeps what is there, whatever the product; whether a value can be emptied is
/// the product's: not by CSV in 000, not on the screen of 002, on every screen of 001.
#[test]
fn amb_x3_empty_means_what_it_means_in_the_product() {
    type Case<'a> = (&'a str, &'a dyn Fn(&'static str) -> String, &'a str, &'a str);
    let pattern = |name: &str| {
        let own = user("catchme-mail").replace("server: hq", "incoming.protocol: pop3");
        format!(
            "{own}      incoming.host: pop.example.jp\n      outgoing.host: smtp.example.jp\n      sender_name: {name}\n"
        )
    };
    let mailbox = |comment| {
        let fields = [("password", "{ file: pw }"), ("capacity", "5"), ("comment", comment)];
        yaml("accounts", "info", &fields)
    };
    let account = |name| {
        let own = [("incoming.username", "info"), ("incoming.password", "{ file: pw }"), ("sender_name", name)];
        yaml("accounts", "info", &with(&PLAIN[1..], &own))
    };
    let cases: [Case<'_>; 5] = [
        ("catchme-mail", &pattern, "user,name,sender_name\ntaro,p1,\n", "blocked pattern/taro/p1"),
        ("cpi-business-standard", &mailbox, "name,comment\ninfo,\n", "blocked account/info"),
        ("cpi-kwc-mail", &mailbox, "name,comment\ninfo,\n", "blocked account/info"),
        ("staff-express", &account, "name,sender_name\ninfo,\n", "overwrite account/info"),
        ("generic", &account, "name,sender_name\ninfo,\n", "overwrite account/info"),
    ];
    for (system, text, csv, emptied) in cases {
        let world = project(system, "");
        world.write("a.yaml", text("代表"));
        world.expect(0, &["apply", "--yes", "-q"]);
        let code = if emptied.starts_with("blocked") { 4 } else { 0 };
        world.write("a.yaml", text("null"));
        assert_eq!(actions(&world.json(code, &["plan"])), [emptied], "{system}");
        world.remove("a.yaml");
        world.write("b.csv", csv);
        assert_eq!(actions(&world.json(0, &["plan"])), [""; 0], "{system}");
    }
}
