//! What goes over the wire between the program and a server: no secret in clear, and not more than there has to be.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::{POLICY, Site, project, remote};
use crate::cli::database;
use crate::support::World;
use crate::support::proxy::{Message, Proxy, messages};
use crate::support::server::{DEADLINE, run_within};

/// A text in clear, and as it looks in hexadecimal, Base64 (wherever it begins) and JSON with escapes.
pub fn spellings(text: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![text.to_vec(), text.iter().rev().copied().collect()];
    let hex = text.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    all.push(hex.to_uppercase().into_bytes());
    all.push(hex.into_bytes());
    all.push(text.iter().flat_map(|byte| [*byte, 0]).collect());
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for lead in 0..3 {
            let encoded = engine.encode([&vec![0; lead], text].concat());
            // The first and last characters depend on what stands beside it.
            let from = [0, 2, 3][lead];
            let to = encoded.len() - usize::from(!(lead + text.len()).is_multiple_of(3));
            all.push(encoded.as_bytes()[from..to].to_vec());
        }
    }
    all
}

/// The first of these that stands in the bytes.
pub fn hidden(bytes: &[u8], words: &[Vec<u8>]) -> Option<String> {
    let found = words.iter().find(|word| memchr::memmem::find(bytes, word).is_some())?;
    Some(String::from_utf8_lossy(found).into_owned())
}

#[test]
fn a_word_is_found_in_every_spelling() {
    let words = spellings(b"open sesame");
    for text in [
        "xopen sesamex".to_owned(),
        "6f70656e20736573616d65".to_owned(),
        STANDARD_NO_PAD.encode("open sesame"),
        STANDARD_NO_PAD.encode("{\"p\":\"open sesame\"}"),
        STANDARD_NO_PAD.encode("x open sesame"),
        STANDARD_NO_PAD.encode("xy open sesame, too"),
    ] {
        assert!(hidden(text.as_bytes(), &words).is_some(), "{text}");
    }
    assert_eq!(hidden(b"nothing of it", &words), None);
}

const WORDS: [&str; 6] = [
    "Girlitz-server-2Bt7",
    "Hausrot-konto-9Js5",
    "Kiebitz-abruf-4Gy8",
    "Lachmoewe-muster-3Ux6",
    "Mauersegler-neu-7Dk2",
    "Nachtigall-neu-1Ep5",
];

fn yaml(mailbox: &str, client: &str) -> String {
    format!(
        "servers: {{ s: {{ outgoing: {{ auth: {{ enabled: true, credentials: own, username: u, password: {} }} }} }} }}
accounts: {{ a: {{ password: {mailbox}, incoming: {{ password: {} }} }}, b: {{ password: {{ env: PW }} }} }}
patterns: {{ taro: {{ p: {{ server: s, incoming: {{ username: t, password: {client} }} }} }} }}
",
        WORDS[0], WORDS[2]
    )
}

/// Everything that the proxy has seen: as it was on the wire, and as it was meant.
fn traffic(proxy: &Proxy) -> (Vec<u8>, Vec<Message>) {
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    for talk in proxy.talks() {
        for way in [talk.up, talk.down] {
            all.extend(messages(&way));
            bytes.extend(way);
        }
    }
    (bytes, all)
}

fn run(site: &Site, proxy: &Proxy, code: i32, args: &[&str]) -> String {
    let mut command = remote(&site.world, &proxy.url(), &site.token, args);
    let run = run_within(command.env("PW", WORDS[3]), DEADLINE);
    assert_eq!(run.code, code, "{args:?}: {}{}", run.stdout, run.stderr);
    run.stdout
}

#[test]
fn a_proxy_sees_no_secret() {
    let site = Site::of(project("generic", POLICY));
    let proxy = Proxy::new(site.server.address);
    let steps: &[(i32, &[&str])] = &[
        (0, &["apply", "--yes"]),
        (0, &["plan", "--exit-code"]),
        (0, &["show"]),
        (0, &["log", "account/a"]),
        (0, &["plan", "--secrets=skip"]),
    ];
    site.world.write("a.yaml", yaml(WORDS[1], WORDS[3]));
    for (code, args) in steps {
        run(&site, &proxy, *code, args);
    }
    // Others, and another name.
    site.world.write("a.yaml", yaml(WORDS[4], WORDS[5]).replace(" b: {", " c: { previously: b,"));
    let plan = run(&site, &proxy, 0, &["plan", "--format", "json"]);
    assert!(plan.contains("\"changed\""), "{plan}");
    run(&site, &proxy, 0, &["plan", "--out", "plan.json"]);
    run(&site, &proxy, 0, &["apply", "plan.json"]);
    run(&site, &proxy, 0, &["plan", "--exit-code"]);
    run(&site, &proxy, 0, &["undo", "2", "--yes"]);
    let rows = |sql: &str| -> Vec<String> {
        let store = database(&site.world);
        let mut statement = store.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let hashes = rows(
        "SELECT password FROM account WHERE password IS NOT NULL UNION SELECT password FROM account_history WHERE password IS NOT NULL",
    );
    assert!(hashes.len() >= 3, "{hashes:?}");
    let mut words: Vec<Vec<u8>> = WORDS.iter().flat_map(|word| spellings(word.as_bytes())).collect();
    words.extend(hashes.iter().flat_map(|hash| spellings(hash.rsplit('$').next().unwrap().as_bytes())));
    words.extend(spellings(super::KEY.as_bytes()));
    let (bytes, all) = traffic(&proxy);
    assert!(all.len() > 20 && bytes.len() > 10_000);
    assert_eq!(hidden(&bytes, &words), None);
    for message in &all {
        let text = [message.head.as_bytes(), b"\n", &message.body].concat();
        assert_eq!(hidden(&text, &words), None, "{}", String::from_utf8_lossy(&text));
        // A token stands in its header and nowhere else.
        assert!(!String::from_utf8_lossy(&message.body).contains(&site.token));
        assert!(!message.head.lines().next().unwrap().contains(&site.token));
    }
    let sealed = all.iter().filter(|one| memchr::memmem::find(&one.body, b"\"sealed\"").is_some()).count();
    assert!(sealed >= 2, "they have travelled, after all");
}

/// The same secret twice on its way is not the same bytes, and of two runs neither helps with the other.
#[test]
fn what_was_recorded_cannot_be_sent_by_another_run() {
    let site = Site::of(project("generic", POLICY));
    site.world.write("a.yaml", yaml(WORDS[1], WORDS[3]));
    let sealed = || {
        let proxy = Proxy::new(site.server.address);
        run(&site, &proxy, 0, &["apply", "--yes"]);
        let (_, all) = traffic(&proxy);
        let change = all.iter().find(|one| one.start() == ("POST", "/v1/changesets")).expect("a changeset");
        let text = String::from_utf8_lossy(&change.body).into_owned();
        let mut parts: Vec<String> =
            text.split("\"sealed\":\"").skip(1).map(|part| part.split('"').next().unwrap().to_owned()).collect();
        parts.sort();
        assert!(parts.len() >= 4, "{text}");
        parts
    };
    let first = sealed();
    // The same passwords for what is gone.
    let rows = "DELETE FROM pattern; DELETE FROM account; DELETE FROM server";
    database(&site.world).execute_batch(rows).unwrap();
    let second = sealed();
    assert!(first.iter().all(|one| !second.contains(one)));
}

fn many(world: &World, count: usize) {
    let mut csv = "user,name,organization,incoming.host\n".to_owned();
    for number in 0..count {
        writeln!(csv, "u{:03},p{number:05},x,pop.xxx.jp", number % 97).unwrap();
    }
    world.write("a.csv", csv);
}

/// How many of its resources a client asks for at a time; by default a thousand.
fn page(path: &str) -> usize {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|part| part.strip_prefix("limit=")).map_or(1000, |text| text.parse().unwrap())
}

#[test]
fn a_plan_of_what_has_not_changed_needs_no_more_calls_than_pages() {
    const COUNT: usize = 10_000;
    let site = Site::of(project("generic", POLICY));
    many(&site.world, COUNT);
    site.world.expect(0, &["apply", "--yes", "-q"]);
    let proxy = Proxy::new(site.server.address);
    run(&site, &proxy, 0, &["plan", "--exit-code"]);
    let asked: Vec<Message> = proxy.talks().iter().flat_map(|talk| messages(&talk.up)).collect();
    let paths: Vec<(&str, &str)> = asked.iter().map(Message::start).collect();
    let page = paths.iter().filter(|(_, path)| path.starts_with("/v1/resources")).map(|(_, path)| page(path)).min();
    let page = page.expect("resources are asked for");
    assert!(asked.len() <= COUNT.div_ceil(page), "{} calls for pages of {page}: {paths:?}", asked.len());
    let (sent, answered) = proxy.count();
    assert!(sent < 64 * 1024 && answered < COUNT * 120, "{sent} bytes sent, {answered} answered");
    assert_eq!(proxy.talks().len(), 1, "over one connection");
}

/// What is not touched does not travel with what is.
#[test]
fn an_apply_sends_what_changes() {
    let site = Site::of(project("generic", POLICY));
    many(&site.world, 3000);
    site.world.expect(0, &["apply", "--yes", "-q"]);
    let csv = std::fs::read_to_string(site.world.file("a.csv")).unwrap().replacen(",x,", ",y,", 3);
    site.world.write("a.csv", csv);
    let proxy = Proxy::new(site.server.address);
    run(&site, &proxy, 0, &["apply", "--yes"]);
    let (sent, _) = proxy.count();
    assert!(sent < 64 * 1024, "{sent} bytes for three changes");
    let asked: Vec<Message> = proxy.talks().iter().flat_map(|talk| messages(&talk.up)).collect();
    let sets: Vec<_> = asked.iter().filter(|one| one.start().1.starts_with("/v1/changesets")).collect();
    assert_eq!(sets.len(), 1);
    // So that a retry is safe.
    assert!(sets[0].header("idempotency-key").is_some_and(|key| key.len() >= 16), "{}", sets[0].head);
    assert_eq!(sets[0].header("if-match"), Some("\"1\""), "{}", sets[0].head);
    assert!(sets[0].header("user-agent").is_some_and(|agent| agent.starts_with("yubin/")), "{}", sets[0].head);
}
