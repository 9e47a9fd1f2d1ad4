//! How addresses and user names are written: what is one mailbox, and what is said where they differ.

use super::{files, world};

const SERVERS: &str = "servers:
  s:
    incoming: { protocol: imap, host: i.k.jp, security: implicit_tls }
    outgoing: { host: s.k.jp, security: starttls, auth: { enabled: true, credentials: account } }
accounts:
";

fn account(name: &str, address: &str, user: &str) -> String {
    format!("  {name}: {{ server: s, address: {address}, incoming: {{ username: {user} }} }}\n")
}

#[test]
fn one_mailbox_in_two_spellings_is_refused() {
    for (one, other) in [("info@k.jp", "Info@K.jp"), ("日本@日本.jp", "日本@xn--wgv71a.jp")] {
        // Even with one user name: the profile holds the address.
        let yaml = [SERVERS, &account("a", one, "info"), &account("b", other, "info")].concat();
        let world = world("generic", &yaml);
        let run = world.expect(3, &["export", "autoconfig", "--out", "web", "--kind", "apple,autodiscover"]);
        assert_eq!(run.stderr.matches("error[autoconfig/same-address]").count(), 2, "{}", run.stderr);
        let part = format!("`{other}` is the `{one}` of `account/a`, written in another way");
        assert!(run.stderr.contains(&part) && run.stderr.contains("account/b"), "{}", run.stderr);
        assert!(!world.file("web").exists());
        world.expect(0, &["export", "autoconfig", "--out", "web", "--kind", "apple,autodiscover", "account/b"]);
    }
}

#[test]
fn files_have_the_name_of_the_mailbox_in_lower_case() {
    let yaml = [SERVERS, &account("a", "Info@日本.JP", "x"), &account("b", "ÉÑ@k.jp", "x")].concat();
    let world = world("generic", &yaml);
    world.expect(0, &["export", "autoconfig", "--out", "web", "--kind", "apple,autodiscover"]);
    let files = files(&world.file("web"));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "apple/%C3%A9%C3%B1@k.jp.mobileconfig",
            "apple/info@xn--wgv71a.jp.mobileconfig",
            "autodiscover/%C3%A9%C3%B1@k.jp.xml",
            "autodiscover/info@xn--wgv71a.jp.xml",
        ]
    );
    // Inside, the address is as declared.
    assert!(files["apple/info@xn--wgv71a.jp.mobileconfig"].contains("<string>Info@日本.JP</string>"));
}

#[test]
fn all_accounts_that_differ_are_named() {
    let usual = (0..8).map(|at| account(&format!("a{at}"), &format!("a{at}@k.jp"), &format!("a{at}")));
    let odd = (0..5).map(|at| account(&format!("o{at}"), &format!("o{at}@k.jp"), &format!("o{at}@k.jp")));
    let case = (0..2).map(|at| account(&format!("u{at}"), &format!("u{at}@k.jp"), &format!("U{at}@k.jp")));
    let yaml: String = [SERVERS.to_owned()].into_iter().chain(usual).chain(odd).chain(case).collect();
    let world = world("generic", &yaml);
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    for part in [
        "`account/a6`, `account/a7`: imap i.k.jp:993 implicit_tls auto as %EMAILLOCALPART%,",
        "`account/o0`, `account/o1`, `account/o2`, `account/o3`, `account/o4`: imap i.k.jp:993 implicit_tls auto as",
        "`account/u0`, `account/u1`: imap i.k.jp:993 implicit_tls auto as %EMAILADDRESS% in other case,",
        "; where the case differs, user name and address are the same but for that",
        "write user names in the case of their addresses",
        "leave Thunderbird out with `--kind autodiscover,apple`",
    ] {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
    assert!(!run.stderr.contains(" more"), "{}", run.stderr);
    for (kind, hint) in [("thunderbird,apple", "`--kind apple`"), ("thunderbird", "`--kind autodiscover,apple`")] {
        let run = world.expect(3, &["export", "autoconfig", "--out", "web", "--kind", kind]);
        assert!(run.stderr.contains(&format!("leave Thunderbird out with {hint}")), "{}", run.stderr);
    }
    world.expect(0, &["export", "autoconfig", "--out", "web", "--kind", "autodiscover,apple"]);
}

#[test]
fn what_is_left_out_is_counted() {
    let all: String =
        (0..21).map(|at| account(&format!("a{at:02}"), &format!("a{at:02}@k.jp"), &format!("x{at}"))).collect();
    let world = world("generic", &(SERVERS.to_owned() + &all));
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    assert!(run.stderr.contains("; and 1 more way\n"), "{}", run.stderr);
    let more = account("a21", "a21@k.jp", "x21");
    world.write("a.yaml", [SERVERS, &all, &more].concat());
    world.expect(0, &["apply", "--yes"]);
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    assert!(run.stderr.contains("; and 2 more ways\n"), "{}", run.stderr);
}

#[test]
fn a_user_name_in_other_case_is_told() {
    let yaml = [SERVERS, &account("a", "info@k.jp", "Info@K.jp")].concat();
    let world = world("generic", &yaml);
    let run = world.expect(3, &["export", "autoconfig", "--out", "web"]);
    for part in [
        "error[autoconfig/user-name]: user name and address differ only in case",
        "write `incoming.username` and `address` in the same case",
    ] {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
}

#[test]
fn products_without_servers_have_nothing_to_export() {
    for system in ["cpi-business-standard", "cpi-kwc-mail", "cpi-sv-basic"] {
        let world = crate::support::World::project(system, "sources: [a.yaml]\n");
        world.write("a.yaml", "accounts: {}\n");
        let run = world.expect(64, &["export", "autoconfig", "--out", "web"]);
        assert!(run.stderr.contains("has no settings of servers: there is nothing to export"), "{}", run.stderr);
        assert!(!run.stderr.contains("`server:`") && !world.file("web").exists(), "{}", run.stderr);
    }
}

#[test]
fn a_folder_that_is_filled_is_refused_in_words_that_fit() {
    let yaml = [SERVERS, &account("a", "info@k.jp", "info")].concat();
    let world = world("generic", &yaml);
    let run = world.expect(64, &["export", "autoconfig", "--out", "."]);
    assert!(run.stderr.contains("files for clients are written to a new folder, or to an empty one"), "{}", run.stderr);
    assert!(!run.stderr.contains("hand-over"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_web_server_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let yaml = [SERVERS, &account("a", "info@k.jp", "info")].concat();
    let world = world("generic", &yaml);
    world.expect(0, &["export", "autoconfig", "--out", "web"]);
    world.expect(0, &["export", "yaml", "--out", "rows.yaml"]);
    world.write("usual", "");
    let mode = |name: &str| world.file(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("web/apple/info@k.jp.mobileconfig"), mode("usual"));
    assert_eq!(mode("rows.yaml"), 0o600);
}
