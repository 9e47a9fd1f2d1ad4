//! What is demanded of the files, and what ends connections.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value as Json;

use super::{database, project};
use crate::support::World;

const HASH: &str = "password: { hash: \"{SHA512-CRYPT}$6$x$......................................................................................\" }";

/// Severity, code, line and account of what is said.
fn said(json: &Json) -> Vec<String> {
    let one = |one: &Json| {
        let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {}", word("severity"), word("code"), one["line"], word("address"))
    };
    json["diagnostics"].as_array().unwrap().iter().map(one).collect()
}

#[track_caller]
fn check(accounts: &str, expected: &[&str]) {
    let world = project("");
    world.write("a.yaml", format!("accounts:\n{accounts}"));
    let run = world.run(&["plan", "--format", "json"]);
    let json: Json = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr));
    assert_eq!(said(&json), expected, "{}", run.stdout);
}

#[test]
fn an_account_is_one_that_the_servers_find() {
    check(&format!("  a: {{ address: a@example.jp, {HASH} }}\n"), &[]);
    check("  a: {}\n", &["error mail-server/required 2 account/a", "error mail-server/required 2 account/a"]);
    for address in ["Taro@example.jp", "taro@Example.jp", "ta+ro@example.jp", "ta/ro@example.jp", ".x@example.jp"] {
        check(&format!("  a:\n    address: {address}\n    {HASH}\n"), &["error mail-server/address 3 account/a"]);
    }
    let more = |more: &str| format!("  a:\n    address: a@example.jp\n    {HASH}\n    {more}\n");
    check(&more("capacity: 0"), &["error mail-server/zero-capacity 5 account/a"]);
    check(&more("capacity: 5"), &[]);
    check(&more("forward: { enabled: true }"), &["warning mail-server/forward 5 account/a"]);
    check(&more("forward: { enabled: true, to: [a@example.jp] }"), &["warning mail-server/forward 5 account/a"]);
    check(&more("forward: { enabled: true, to: [b@example.jp] }"), &[]);
    check(&more("auto_reply: { enabled: true }"), &["warning mail-server/auto-reply 5 account/a"]);
    check(&more("spam: { sort: true }"), &["warning mail-server/ignored 5 account/a"]);
    check(
        &more(&format!("auto_reply: {{ body: {} }}", "x".repeat(16_001))),
        &["error mail-server/auto-reply 5 account/a"],
    );
    check(
        &more("forward: { enabled: true, to: [b@example.jp] }\n    auto_reply: { enabled: true, body: x }"),
        &["warning mail-server/auto-reply 6 account/a"],
    );
    // Without `mail_server`, nothing of it is asked; with it, no product is possible.
    let world = World::project("generic", "sources: [a.yaml]\n");
    world.write("a.yaml", "accounts: { a: { capacity: 0 } }\n");
    assert!(said(&world.json(0, &["check"])).is_empty());
    let world = World::project("cpi-sv-basic", "mail_server: true\n");
    assert_eq!(said(&world.json(3, &["check"])), ["error project/value 4 -"]);
}

/// Postfix would go round and round; one copy ends it.
#[test]
fn forwards_in_a_circle_are_told() {
    let world = project("");
    let account = |name: &str, to: &str, more: &str| {
        format!(
            "  {name}:\n    address: {name}@example.jp\n    {HASH}\n    forward: {{ enabled: true, to: [{to}]{more} }}\n"
        )
    };
    let found = |accounts: &[String]| {
        world.write("a.yaml", format!("accounts:\n{}", accounts.concat()));
        said(&world.json(0, &["check"]))
    };
    let (a, b) = (account("a", "B@example.jp, x@y.jp", ""), account("b", "a@example.jp", ""));
    let c = account("c", "x@y.jp", "");
    let circle = ["warning mail-server/forward 5 account/a", "warning mail-server/forward 9 account/b"];
    assert_eq!(found(&[a.clone(), b.clone(), c.clone()]), circle);
    assert!(found(&[a.clone(), c]).is_empty());
    assert!(found(&[a, account("b", "a@example.jp", ", keep_copy: true")]).is_empty());
    // Who leads there is lost as well; reception that is off forwards nothing.
    assert_eq!(found(&[account("d", "b@example.jp", ""), account("a", "b@example.jp", ""), b.clone()]).len(), 3);
    let off = account("a", "b@example.jp", "") + "    receive: { enabled: false }\n";
    assert!(found(&[off, b]).is_empty());
}

/// What cannot work is refused where the project is read.
#[test]
fn a_mail_server_reads_one_store_in_sqlite_whose_accounts_stay() {
    let head = "version: 1\nname: x\nsystem: generic\nmail_server: true\n";
    let world = World::new();
    for (more, expected) in [
        ("store: sqlite:store/yubin.db\n", None),
        ("store: https://store.example\n", None),
        ("store: postgres://db.example/mail\n", Some((5, 8))),
        ("migrations:\n  move: { from: old, to: new }\n", Some((6, 3))),
    ] {
        world.write("yubin.yaml", format!("{head}{more}"));
        let run = world.run(&["check", "--format", "json"]);
        let json: Json = serde_json::from_str(&run.stdout).unwrap();
        let errors = json["diagnostics"].as_array().unwrap().iter().filter(|one| one["code"] == "project/value");
        let found: Vec<_> =
            errors.map(|one| (one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap())).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{more}");
    }
}

#[test]
fn two_accounts_have_two_addresses() {
    let world = project("policy: { undeclared: delete, max_deletes: 100% }\n");
    let account = |name: &str, address: &str| format!("  {name}: {{ address: {address}, {HASH} }}\n");
    let declare = |accounts: &[(&str, &str)]| {
        let all: String = accounts.iter().map(|(name, address)| account(name, address)).collect();
        world.write("a.yaml", format!("accounts:\n{all}"));
    };
    declare(&[("a", "x@example.jp"), ("b", "y@example.jp"), ("c", "x@example.jp")]);
    let twice = ["error mail-server/address-taken 4 account/c"];
    assert_eq!(said(&world.json(3, &["check"])), twice);
    assert_eq!(said(&world.json(3, &["plan"])), twice);
    declare(&[("a", "x@example.jp"), ("b", "y@example.jp")]);
    world.expect(0, &["apply", "--yes"]);
    // Who stands unchanged beside it is not even read; the store says it.
    declare(&[("a", "x@example.jp"), ("b", "y@example.jp"), ("c", "x@example.jp")]);
    assert_eq!(said(&world.json(3, &["plan"])), ["error mail-server/address-taken 4 account/c"]);
    // An address that is given up in the same plan is free, also where two change places.
    declare(&[("a", "y@example.jp"), ("b", "x@example.jp")]);
    world.expect(0, &["apply", "--yes"]);
    declare(&[("b", "x@example.jp"), ("c", "y@example.jp")]);
    world.expect(0, &["apply", "--yes"]);
    // Another project has the store, too.
    let other =
        "version: 1\nname: other\nsystem: generic\nmail_server: true\nstore: sqlite:../yubin.db\nsources: [a.yaml]\n";
    world.write("other/yubin.yaml", other);
    world.write("other/a.yaml", format!("accounts:\n{}", account("d", "y@example.jp")));
    assert_eq!(said(&world.json(3, &["-C", "other", "plan"])), ["error mail-server/address-taken 2 account/d"]);
    // An undo would bring the address of `a` back.
    let run = world.run(&["undo", "3", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    declare(&[("b", "x@example.jp")]);
    world.expect(0, &["apply", "--yes"]);
    declare(&[("b", "x@example.jp"), ("e", "y@example.jp")]);
    world.expect(0, &["apply", "--yes"]);
    let run = world.run(&["undo", "5", "--yes"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("account/e"), "{}", run.stderr);
}

/// Whoever writes: another project would get the mail of an address that it takes too.
#[test]
fn an_address_is_taken_for_every_project_of_the_store() {
    let world = project("");
    let ceo = format!("accounts:\n  ceo: {{ address: ceo@example.jp, {HASH} }}\n");
    world.write("a.yaml", &ceo);
    let other = "version: 1\nname: other\nsystem: generic\nstore: sqlite:../yubin.db\nsources: [a.yaml]\n";
    world.write("other/yubin.yaml", other);
    world.write(
        "other/a.yaml",
        format!("accounts:\n  x:\n    address: CEO@example.jp\n    {HASH}\n    forward: {{ enabled: true, to: [me@evil.example] }}\n"),
    );
    // As long as no mail server reads the store, two may have one address.
    world.expect(0, &["-C", "other", "plan"]);
    world.expect(0, &["apply", "--yes"]);
    let taken = ["error mail-server/address-taken 2 account/x"];
    assert_eq!(said(&world.json(3, &["-C", "other", "plan"])), taken);
    assert_eq!(world.run(&["-C", "other", "apply", "--yes"]).code, 3);
    let copied = ["store", "copy", "sqlite:yubin.db", "sqlite:copy.db"];
    world.expect(0, &copied);
    world.write("other/yubin.yaml", other.replace("yubin.db", "copy.db"));
    std::fs::copy(world.file("yubin.db.key"), world.file("copy.db.key")).unwrap();
    assert_eq!(said(&world.json(3, &["-C", "other", "plan"])), taken);
    // An undo of the other project brings no address back that somebody has by now.
    world.write(
        "other/yubin.yaml",
        other.replace("sources", "policy: { undeclared: delete, max_deletes: 100% }\nsources"),
    );
    let x = |address: &str| format!("accounts:\n  x: {{ address: {address}@example.jp, {HASH} }}\n");
    for address in ["boss", "x"] {
        world.write("other/a.yaml", x(address));
        world.expect(0, &["-C", "other", "apply", "--yes"]);
    }
    world.write("a.yaml", format!("{ceo}  boss: {{ address: boss@example.jp, {HASH} }}\n"));
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(world.run(&["-C", "other", "undo", "3", "--yes"]).code, 4);
}

/// Whoever says `mail_server: true` over a store that has an address twice is told, also where nothing would change.
#[test]
fn what_the_store_holds_twice_is_told_when_a_mail_server_is_to_read_it() {
    let world = World::project("generic", "sources: [a.yaml]\n");
    let account = |name: &str| format!("accounts:\n  {name}: {{ address: x@example.jp, {HASH} }}\n");
    world.write("a.yaml", account("b"));
    world.expect(0, &["apply", "--yes"]);
    let head = "version: 1\nsystem: generic\nsources: [a.yaml]\n";
    world.write("other/yubin.yaml", format!("{head}name: other\nstore: sqlite:../yubin.db\n"));
    world.write("other/a.yaml", account("a"));
    world.expect(0, &["-C", "other", "apply", "--yes"]);
    let name = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", format!("{name}mail_server: true\n"));
    assert_eq!(said(&world.json(3, &["plan"])), ["error mail-server/address-taken null account/b"]);
    world.write("other/a.yaml", account("a").replace("x@", "y@"));
    world.expect(0, &["-C", "other", "apply", "--yes"]);
    // An apply that changes nothing says it to the store as well.
    world.expect(0, &["apply", "--yes"]);
    world.write("other/a.yaml", account("a"));
    assert_eq!(said(&world.json(3, &["-C", "other", "plan"])), ["error mail-server/address-taken 2 account/a"]);
}

/// Which changes end connections, and what the hooks are told.
#[test]
fn who_would_not_get_in_again_is_kicked() {
    let hooks = "policy: { undeclared: delete, max_deletes: 100% }
hooks:
  - { name: kick, on: [kick, purge_mail], command: [./note, kick, --, \"{mail}\"] }
  - { name: purge, on: [purge_mail], command: [./note, purge, --, \"{mail}\"] }
";
    let world = project(hooks);
    world.write("note", "#!/bin/sh\necho \"$1 $3\" >>noted; cat >>told; echo >>told\n");
    std::fs::set_permissions(world.file("note"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let noted = || {
        let text = std::fs::read_to_string(world.file("noted")).unwrap_or_default();
        let _ = std::fs::remove_file(world.file("noted"));
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let step = |account: &str, expected: &[&str]| {
        world.write("a.yaml", format!("accounts:\n  b: {{ address: b@example.jp, {HASH} }}\n{account}"));
        let effects = world.json(0, &["plan"])["effects"].as_array().unwrap().len();
        world.expect(0, &["apply", "--yes"]);
        let noted = noted();
        assert_eq!(noted, expected, "{account}");
        assert_eq!(effects, usize::from(!expected.is_empty()), "{account}");
    };
    let a = |hash: &str, more: &str| {
        format!("  a: {{ address: a@example.jp, password: {{ hash: \"{}\" }}{more} }}\n", super::hash(hash))
    };
    step(&a("1", ""), &[]);
    step(&a("1", ", comment: x"), &[]);
    step(&a("2", ""), &["kick a@example.jp"]);
    step(&a("2", ", login: { imap: false }"), &["kick a@example.jp"]);
    step(&a("2", ", login: { imap: true }"), &[]);
    step(&a("2", ", purge_mail: \"1\""), &["kick a@example.jp", "purge a@example.jp"]);
    step(&a("2", "").replace("a@", "z@"), &["kick a@example.jp"]);
    step("", &["kick z@example.jp"]);
    let told = std::fs::read_to_string(world.file("told")).unwrap();
    let last: Json = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["effect"], &last["mail"], &last["address"]),
        (&"kick".into(), &"z@example.jp".into(), &"account/a".into())
    );
    // A store that nobody but yubin reads has no such effect.
    let world = World::project("generic", "sources: [a.yaml]\n");
    world.write("a.yaml", format!("accounts:\n{}", a("1", "")));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", format!("accounts:\n{}", a("2", "")));
    assert_eq!(world.json(0, &["plan"])["effects"].as_array().unwrap().len(), 0);
    assert_eq!(database(&world).query_row("SELECT count(*) FROM effect", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}
