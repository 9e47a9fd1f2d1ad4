//! Hooks: what an apply causes is carried out at least once, in order for each user, and never in the way of an apply.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value as Json;
use sha2::Sha256;
use yubin::pipeline::{self, Above, Session};

use crate::support::served::{Served, token};
use crate::support::{Run, World};

const SECRET: &str = "Regenpfeifer-hook-6Tz4";

fn project(hooks: &str) -> World {
    World::project("generic", &format!("sources: [a.yaml]\n{hooks}"))
}

/// Patterns of these users, each with this address.
fn declare(world: &World, users: &[&str], address: &str) {
    let mut yaml = "patterns:\n".to_owned();
    for user in users {
        let user = Json::from(*user);
        writeln!(yaml, "  {user}: {{ p: {{ address: {address}@example.jp }} }}").unwrap();
    }
    world.write("a.yaml", yaml);
}

fn script(world: &World, name: &str, body: &str) {
    world.write(name, format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(world.file(name), std::fs::Permissions::from_mode(0o700)).unwrap();
}

fn lines(world: &World, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(world.file(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn pending(world: &World) -> Vec<Json> {
    world.json(0, &["effects"])["events"].as_array().unwrap().clone()
}

fn codes(json: &Json) -> Vec<&str> {
    json["diagnostics"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

const KICK: &str = "hooks: [{ name: kick, on: [logout], command: [./kick, \"{user}\"] }]\n";

// --- Commands ------------------------------------------------------------------------------

#[test]
fn a_command_is_told_what_has_happened_and_nothing_else() {
    let world = project(
        "hooks:\n  - name: kick\n    on: [logout]\n    env: [EXTRA]\n    command: [./kick, \"{user}|{address}|{effect}|{revision}|{event}\", \"{x}\"]\n",
    );
    script(&world, "kick", "printf '%s\\n' \"$@\" >>args; cat >>body; echo >>body; env >>given; pwd >>folder");
    world.write(
        "a.yaml",
        "accounts: { info: { incoming: { password: { env: PW } } } }\npatterns: { taro: { p: { address: t@example.jp } } }\n",
    );
    let mut apply = world.command(&["apply", "--yes", "--format", "json"]);
    apply.env("PW", SECRET).env("EXTRA", "more").env("OTHER", "other").env("LC_TIME", "C");
    let run = Run::of(apply.output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let told: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(codes(&told), [""; 0]);
    assert_eq!(lines(&world, "args"), ["taro|pattern/taro/p|logout|1|2", "{x}"]);
    let body: Json = serde_json::from_str(&lines(&world, "body")[0]).unwrap();
    assert_eq!(body["format_version"], 1);
    assert_eq!((&body["id"], &body["effect"], &body["user"]), (&"2".into(), &"logout".into(), &"taro".into()));
    assert_eq!((&body["address"], &body["revision"]), (&"pattern/taro/p".into(), &1.into()));
    assert_eq!(body["project"], "head-office");
    let given = std::fs::read_to_string(world.file("given")).unwrap();
    assert!(given.contains("EXTRA=more") && given.contains("PATH=") && given.contains("LC_TIME=C"), "{given}");
    assert!(!given.contains("YUBIN_") && !given.contains("PW=") && !given.contains("OTHER="), "{given}");
    assert_eq!(lines(&world, "folder"), [std::fs::canonicalize(world.path()).unwrap().display().to_string()]);
    assert!(pending(&world).is_empty());
    // What is carried out is not carried out again, and nothing to do runs nothing.
    assert!(world.command(&["apply", "--yes"]).env("PW", SECRET).output().unwrap().status.success());
    world.expect(0, &["effects", "retry"]);
    assert_eq!(lines(&world, "args").len(), 2);
}

#[test]
fn names_of_users_are_nothing_but_names() {
    let users = ["$(touch pwned)", "`touch pwned`", "a'b\"c", "{event}", "; touch pwned", "%s\\n", "受信 者"];
    let world = project("hooks: [{ name: kick, on: [logout], command: [./kick, \"{user}\", \"<{user}>\"] }]\n");
    // One at a time, so that arguments of several do not mix.
    script(&world, "kick", "for one in \"$@\"; do printf '%s\\000' \"$one\"; done >>\"args-$$\"");
    declare(&world, &users, "a");
    let done = world.json(0, &["apply", "--yes"]);
    assert_eq!(codes(&done), [""; 0]);
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(world.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("args-") {
            let text = std::fs::read_to_string(path).unwrap();
            let arguments: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
            assert_eq!(arguments.len() % 2, 0);
            for two in arguments.chunks(2) {
                assert_eq!(two[1], format!("<{}>", two[0]));
                seen.push(two[0].clone());
            }
        }
    }
    assert_eq!(sorted(seen), sorted(users.map(str::to_owned).to_vec()));
    assert!(!world.file("pwned").exists());
}

#[test]
fn a_name_is_never_an_option() {
    let world = project(KICK);
    script(&world, "kick", "echo \"$@\" >>args");
    declare(&world, &["--all", "taro"], "a");
    let done = world.json(0, &["apply", "--yes"]);
    assert_eq!(codes(&done), ["hook/failed"]);
    assert!(done["diagnostics"][0]["message"].as_str().unwrap().contains("taken for an option"));
    assert_eq!(lines(&world, "args"), ["taro"]);
    let text = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", text.replace("./kick, ", "./kick, --, "));
    world.expect(0, &["effects", "retry"]);
    assert_eq!(lines(&world, "args"), ["taro", "-- --all"]);
}

// --- Failures ------------------------------------------------------------------------------

#[test]
fn what_fails_waits_in_order_and_blocks_nobody_else() {
    let world = project(KICK);
    script(
        &world,
        "kick",
        "echo \"$1 $(cat | grep -o '\"revision\":[0-9]*')\" >>log; test \"$1\" != bad || test -e well",
    );
    declare(&world, &["bad", "good"], "a");
    let done = world.json(0, &["apply", "--yes"]);
    assert_eq!((codes(&done), &done["revision"]), (vec!["hook/failed"], &1.into()));
    let problem = &done["diagnostics"][0];
    assert_eq!((&problem["severity"], &problem["file"]), (&"warning".into(), &"yubin.yaml".into()));
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("`kick`") && message.contains("logout of `bad`") && message.contains("exit status: 1"));
    assert!(problem["hint"].as_str().unwrap().contains("yubin effects retry"));
    declare(&world, &["bad", "good", "new"], "b");
    world.expect(0, &["apply", "--yes", "--strict"]);
    // The first event of `bad` is tried again, the second has to wait for it.
    let count = |line: &str| lines(&world, "log").iter().filter(|one| *one == line).count();
    assert_eq!((count("bad \"revision\":1"), count("bad \"revision\":2")), (2, 0));
    assert_eq!((count("good \"revision\":1"), count("good \"revision\":2"), count("new \"revision\":2")), (1, 1, 1));
    let waiting = pending(&world);
    let of: Vec<_> = waiting.iter().map(|one| (&one["user"], &one["tries"], &one["revision"])).collect();
    assert_eq!(of, [(&"bad".into(), &2.into(), &1.into()), (&"bad".into(), &0.into(), &2.into())]);
    assert_eq!(waiting[0]["hooks"][0]["hook"], "kick");
    assert!(waiting[0]["error"].as_str().unwrap().contains("exit status: 1"));
    let text = world.expect(0, &["effects"]).stdout;
    assert!(
        text.contains("logout") && text.contains("pattern/bad/p") && text.contains("kick: 2 failed attempts"),
        "{text}"
    );
    let failed = world.json(1, &["effects", "retry"]);
    assert_eq!(codes(&failed), ["hook/failed"]);
    world.write("well", "");
    // The later one by name: what is before it goes first.
    let id = waiting[1]["id"].as_str().unwrap();
    world.expect(0, &["effects", "retry", id]);
    let of_bad: Vec<String> = lines(&world, "log").into_iter().filter(|line| line.starts_with("bad")).collect();
    assert_eq!(of_bad[2..], ["bad \"revision\":1", "bad \"revision\":1", "bad \"revision\":2"][..of_bad.len() - 2]);
    assert_eq!(of_bad.last().unwrap(), "bad \"revision\":2");
    assert!(pending(&world).is_empty());
    world.expect(64, &["effects", "retry", id]);
    world.expect(64, &["effects", "retry", "x"]);
}

#[test]
fn a_hook_that_hangs_prints_secrets_or_talks_without_end_is_kept_quiet() {
    let world = project(
        "hooks:
  - { name: hangs, on: [logout], command: [./hang], timeout: 1s }
  - { name: talks, on: [logout], command: [./talk] }
  - { name: missing, on: [logout], command: [./missing] }
",
    );
    script(&world, "hang", &format!("echo {SECRET}; echo {SECRET} >&2; sleep 60 & sleep 60"));
    script(
        &world,
        "talk",
        &format!("yes {SECRET} | head -c 20000000; yes {SECRET} | head -c 20000000 >&2; echo >>talked; exit 3"),
    );
    declare(&world, &["taro"], "a");
    let started = Instant::now();
    let run = world.expect(0, &["apply", "--yes", "-v"]);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));
    for said in ["has not ended within 1 s", "exit status: 3", "its program is not found"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(lines(&world, "talked").len(), 1);
    let text = pending(&world)[0].to_string();
    assert!(!text.contains(SECRET) && text.matches("\"tries\":1").count() >= 3, "{text}");
    assert!(memchr::memmem::find(&std::fs::read(world.file("yubin.db")).unwrap(), SECRET.as_bytes()).is_none());
}

#[test]
fn a_hook_that_always_fails_is_left_alone_after_a_while() {
    let world = project(
        "hooks:
  - { name: fails, on: [logout], command: [./fail] }
  - { name: works, on: [logout], command: [./work] }
",
    );
    script(&world, "fail", "echo >>failed; exit 1");
    script(&world, "work", "echo >>worked");
    let users: Vec<String> = (0..100).map(|number| format!("u{number:03}")).collect();
    declare(&world, &users.iter().map(String::as_str).collect::<Vec<_>>(), "a");
    let done = world.json(0, &["apply", "--yes"]);
    assert_eq!(codes(&done), ["hook/failed"]);
    assert!(done["diagnostics"][0]["message"].as_str().unwrap().contains("not tried any more in this run"));
    let failed = lines(&world, "failed").len();
    assert!((20..40).contains(&failed), "{failed}");
    // The other does its part of all of them, once.
    assert_eq!(lines(&world, "worked").len(), 100);
    script(&world, "fail", "exit 0");
    world.expect(0, &["effects", "retry"]);
    assert_eq!((pending(&world).len(), lines(&world, "worked").len()), (0, 100));
}

#[test]
fn a_killed_delivery_is_made_up_for() {
    let world = project(KICK);
    script(&world, "kick", "cat >/dev/null; echo \"$1\" >>log; sleep 0.2");
    let users: Vec<String> = (0..40).map(|number| format!("u{number:03}")).collect();
    declare(&world, &users.iter().map(String::as_str).collect::<Vec<_>>(), "a");
    let mut apply = world.command(&["apply", "--yes", "-q"]);
    let mut child = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while lines(&world, "log").len() < 24 && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.json(0, &["show"])["revision"], 1);
    let left = pending(&world).len();
    assert!(left > 0 && left < 40, "{left}");
    world.expect(0, &["effects", "retry"]);
    let mut log = sorted(lines(&world, "log"));
    let runs = log.len();
    log.dedup();
    assert_eq!(log, users);
    assert!(runs < 40 + 32, "{runs}");
    assert!(pending(&world).is_empty());
}

#[test]
fn two_runs_at_once_carry_nothing_out_twice() {
    let world = project(KICK);
    script(&world, "kick", "test -e well || exit 1; echo \"$1\" >>log; sleep 0.05");
    let users: Vec<String> = (0..15).map(|number| format!("u{number:03}")).collect();
    declare(&world, &users.iter().map(String::as_str).collect::<Vec<_>>(), "a");
    world.expect(0, &["apply", "--yes"]);
    world.write("well", "");
    let runs: Vec<_> =
        (0..3).map(|_| world.command(&["effects", "retry"]).stderr(Stdio::null()).spawn().unwrap()).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    assert_eq!(sorted(lines(&world, "log")), users);
}

// --- Webhooks ------------------------------------------------------------------------------

struct Heard {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn hear(stream: &mut TcpStream, answer: &str) -> Heard {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    Heard { line, headers, body }
}

/// A server that gives each of these answers once, and the last of them from then on.
fn server(answers: &'static [&'static str]) -> (u16, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let answer = answers[number.min(answers.len() - 1)];
            let heard = hear(&mut stream.unwrap(), &format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n"));
            if send.send(heard).is_err() {
                break;
            }
        }
    });
    (port, receive)
}

const OK: &str = "204 No Content\r\ncontent-length: 0";

fn is_signed(heard: &Heard) {
    let signature = heard.header("yubin-signature");
    let (time, hex) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(&heard.body);
    let expected = mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    assert_eq!(hex, expected);
}

#[test]
fn a_webhook_is_signed() {
    let (port, heard) = server(&[OK]);
    for secret in ["{ env: HOOK_SECRET }", "{ file: secrets/hook }"] {
        let world = project(&format!(
            "hooks: [{{ name: tell, on: [logout, notify], webhook: \"http://127.0.0.1:{port}/in?k=v\", secret: {secret} }}]\n"
        ));
        world.write("secrets/hook", format!("{SECRET}\n"));
        declare(&world, &["taro"], "a");
        let mut apply = world.command(&["apply", "--yes", "-v", "--note", "first"]);
        let run = Run::of(apply.env("HOOK_SECRET", SECRET).output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(!run.stderr.contains(SECRET) && !run.stderr.contains("hook/"), "{}", run.stderr);
        assert_eq!(run.stderr.contains("secret/permissions"), secret.contains("file"));
        let mut two = [heard.recv().unwrap(), heard.recv().unwrap()];
        two.sort_by_key(|heard| heard.header("yubin-event").len());
        for one in &two {
            assert_eq!(one.line, "POST /in?k=v HTTP/1.1\r\n");
            assert_eq!(one.header("content-type"), "application/json");
            is_signed(one);
            assert_eq!(one.json()["id"], one.header("yubin-event"));
            assert!(!String::from_utf8_lossy(&one.body).contains(SECRET));
        }
        assert_eq!((two[0].header("yubin-event"), &two[0].json()["user"]), ("1", &"taro".into()));
        let notice = two[1].json();
        assert_eq!(
            (&notice["id"], &notice["actor"], &notice["note"]),
            (&"notify-1".into(), &"tester".into(), &"first".into())
        );
        assert_eq!(notice["summary"]["add"], 1);
        assert_eq!(notice["logged_out"], serde_json::json!({ "count": 1, "users": ["taro"] }));
        assert!(pending(&world).is_empty());
    }
}

#[test]
fn a_webhook_that_fails_is_called_again() {
    let (port, heard) = server(&[
        "500 Sorry\r\ncontent-length: 0",
        "302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0",
        OK,
    ]);
    let world =
        project(&format!("hooks: [{{ name: tell, on: [notify], webhook: \"http://127.0.0.1:{port}/{SECRET}\" }}]\n"));
    for (address, why) in [("a", "it answers 500"), ("b", "it answers 302"), ("c", "")] {
        declare(&world, &["taro"], address);
        let run = world.expect(0, &["apply", "--yes", "-v"]);
        // The address of a webhook may be all that it takes to call it.
        assert!(!run.stderr.contains(SECRET) && !run.stderr.contains(&port.to_string()), "{}", run.stderr);
        assert!(run.stderr.contains(why) && run.stderr.contains("hook/failed") != why.is_empty(), "{}", run.stderr);
        if !why.is_empty() {
            let waiting = pending(&world);
            let notice = waiting.iter().find(|one| one["effect"] == "notify").unwrap();
            assert_eq!((&notice["id"], &notice["error"]), (&"notify-1".into(), &why.into()));
        }
    }
    let told: Vec<u64> = (0..5).map(|_| heard.recv().unwrap().json()["revision"].as_u64().unwrap()).collect();
    assert_eq!(told, [1, 1, 1, 2, 3]);
    assert!(pending(&world).iter().all(|one| one["effect"] == "logout"));
}

#[test]
fn a_webhook_that_nobody_answers_is_a_warning() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let world = project(&format!(
        "hooks:
  - {{ name: gone, on: [logout], webhook: \"http://127.0.0.1:{port}/\" }}
  - {{ name: silent, on: [logout], webhook: \"http://127.0.0.1:{silent_port}/\", timeout: 1s }}
  - {{ name: unset, on: [logout], webhook: \"http://127.0.0.1:{silent_port}/\", secret: {{ env: NOT_SET }} }}
"
    ));
    declare(&world, &["taro"], "a");
    let done = world.json(0, &["apply", "--yes"]);
    let messages = done["diagnostics"].to_string();
    for said in ["cannot be reached", "no answer within 1 s", "`NOT_SET` is not set"] {
        assert!(messages.contains(said), "{said}: {messages}");
    }
    assert_eq!(pending(&world)[0]["hooks"].as_array().unwrap().len(), 3);
}

// --- Notices -------------------------------------------------------------------------------

#[test]
fn a_notice_comes_once_for_each_revision_of_the_project() {
    let world = project("");
    let hooks = "hooks: [{ name: tell, on: [notify], command: [./tell, \"{event}\", \"{user}\"] }]\n";
    script(&world, "tell", "echo \"$@\" >>log; test ! -e ill");
    let text = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    for address in ["a", "b"] {
        declare(&world, &["taro"], address);
        world.expect(0, &["apply", "--yes"]);
    }
    // What was before the hook is no news.
    world.write("yubin.yaml", text.clone() + hooks);
    world.expect(0, &["effects", "retry"]);
    assert_eq!(lines(&world, "log"), [""; 0]);
    declare(&world, &["taro"], "c");
    world.write("ill", "");
    world.expect(0, &["apply", "--yes"]);
    // Another project, and one whose hook is ill still.
    world.write("yubin.yaml", text.replace("head-office", "other"));
    world.write("a.yaml", "accounts: { other: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("yubin.yaml", text + hooks);
    declare(&world, &["taro"], "d");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(lines(&world, "log"), ["notify-3 ", "notify-3 "]);
    world.remove("ill");
    world.expect(64, &["effects", "ack", "notify-5", "--yes"]);
    world.expect(0, &["effects", "retry", "notify-5"]);
    assert_eq!(lines(&world, "log")[2..], ["notify-3 ", "notify-5 "]);
    world.expect(0, &["undo", "5", "--yes"]);
    assert_eq!(lines(&world, "log")[4..], ["notify-6 "]);
}

// --- A watcher -----------------------------------------------------------------------------

fn session(world: &World) -> Session {
    pipeline::open(world.path(), Above::default(), false).unwrap()
}

const REFUSED: &str = r#"{"format_version":1,"event":"refused","revision":42,"message":"受信 '$(x)'"}"#;

#[test]
fn what_a_watcher_tells_is_told_to_its_hooks_alone() {
    let (port, heard) = server(&["503 No\r\ncontent-length: 0", OK]);
    let world = project(&format!(
        "hooks:
  - {{ name: page, on: [watch], command: [./page, \"{{effect}}|{{event}}|{{revision}}|{{user}}{{address}}|\"] }}
  - {{ name: kick, on: [logout, notify], command: [./other] }}
  - {{ name: chat, on: [watch, notify], webhook: \"http://127.0.0.1:{port}/in\", secret: {{ file: secrets/hook }} }}
"
    ));
    world.write("secrets/hook", format!("{SECRET}\n"));
    std::fs::set_permissions(world.file("secrets/hook"), std::fs::Permissions::from_mode(0o600)).unwrap();
    script(&world, "page", "printf '%s\\n' \"$@\" >>args; cat >body; env >given");
    script(&world, "other", "echo >>others");
    world.write("a.yaml", "patterns: { taro: { p: { address: t@example.jp } } }\n");
    let problems = session(&world).tell_hooks("refused", "watch-7", REFUSED.as_bytes());
    assert_eq!(problems, []);
    assert_eq!(lines(&world, "args"), ["refused|watch-7|42||"]);
    assert_eq!(std::fs::read_to_string(world.file("body")).unwrap(), REFUSED);
    let given = std::fs::read_to_string(world.file("given")).unwrap();
    assert!(given.contains("PATH=") && !given.contains("CARGO_"), "{given}");
    for _ in 0..2 {
        let one = heard.recv().unwrap();
        is_signed(&one);
        assert_eq!((one.header("yubin-event"), one.body.as_slice()), ("watch-7", REFUSED.as_bytes()));
    }
    assert!(!world.file("others").exists());
    // An apply has nothing for it, and what it has for others is told to them.
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(heard.recv().unwrap().json()["effect"], "notify");
    assert_eq!(lines(&world, "args").len(), 1);
    assert!(world.file("others").exists() && heard.try_recv().is_err());
}

#[test]
fn a_hook_of_a_watcher_is_tried_three_times() {
    let hook = |name: &str, how: &str| format!("  - {{ name: {name}, on: [watch], {how} }}\n");
    let hooks = [
        hook("fails", "command: [./fails]"),
        hook("hangs", "timeout: 1s, command: [./hangs]"),
        hook("gone", "command: [./gone]"),
        hook("unset", "webhook: \"http://127.0.0.1:1/\", secret: { env: NOT_SET }"),
        hook("works", "command: [./works]"),
    ];
    let world = project(&format!("hooks:\n{}", hooks.concat()));
    script(&world, "fails", "echo >>tries; exit 7");
    script(&world, "hangs", "sleep 60");
    script(&world, "works", "echo >>worked");
    let begun = Instant::now();
    let problems = session(&world).tell_hooks("failed", "watch-1", b"{\"revision\":null}");
    // Side by side: the slowest takes three seconds, and six between its tries.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(begun.elapsed() >= Duration::from_secs(6), "{:?}", begun.elapsed());
    let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for (said, expected) in said.iter().zip([
        "the hook `fails` failed: failed: it failed: exit status: 7",
        "the hook `hangs` failed: failed: it has not ended within 1 s",
        "the hook `gone` failed: failed: its program is not found",
        "the hook `unset` failed: failed: its secret cannot be had:",
    ]) {
        assert!(said.starts_with(expected), "{said}");
    }
    assert_eq!(said.len(), 4);
    assert!(problems.iter().all(|problem| problem.code == "hook/failed" && problem.line > 0));
    assert_eq!((lines(&world, "tries").len(), lines(&world, "worked").len()), (3, 1));
}

#[test]
fn hooks_of_a_watcher_are_not_for_an_apply() {
    let world = project("hooks: [{ name: page, on: [watch], command: [./page] }]\n");
    script(&world, "page", "echo >>log");
    declare(&world, &["taro"], "a");
    let done = world.json(0, &["apply", "--yes"]);
    assert_eq!(codes(&done), [""; 0]);
    assert_eq!(pending(&world).len(), 1);
    world.expect(64, &["effects", "retry"]);
    assert!(!world.file("log").exists());
}

// --- Whose, and by whom --------------------------------------------------------------------

#[test]
fn without_hooks_everything_is_left_to_others() {
    let world = project("");
    declare(&world, &["taro", "jiro"], "a");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(pending(&world).len(), 2);
    world.expect(64, &["effects", "retry"]);
    world.expect(4, &["effects", "ack", "1"]);
    world.expect(64, &["effects", "ack", "1", "7", "--yes"]);
    assert_eq!(pending(&world).len(), 2);
    world.expect(0, &["effects", "ack", "1", "--yes"]);
    assert_eq!(pending(&world)[0]["user"], "taro");
    // Hooks that are added later carry out what is still pending, of their own project and effects alone.
    let text = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
    script(&world, "kick", "echo \"$1\" >>log");
    world.write("yubin.yaml", text.replace("head-office", "other") + KICK);
    world.expect(0, &["effects", "retry"]);
    assert_eq!((pending(&world).len(), lines(&world, "log").len()), (0, 0));
    let all = world.json(0, &["effects", "--all"]);
    assert_eq!(all["events"][0]["project"], "head-office");
    world.expect(64, &["effects", "ack", "2", "--yes"]);
    world.write("yubin.yaml", text.clone() + &KICK.replace("[logout]", "[purge_mail]"));
    world.expect(0, &["effects", "retry"]);
    assert_eq!((pending(&world).len(), lines(&world, "log").len()), (1, 0));
    world.write("yubin.yaml", text + KICK);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!((pending(&world).len(), lines(&world, "log")), (0, vec!["taro".to_owned()]));
}

#[test]
fn hooks_are_those_of_the_trusted_file_alone() {
    let world = World::new();
    let here = world.path().display().to_string();
    let evil = "hooks: [{ name: evil, on: [logout, notify], command: [./evil] }]\n";
    world.write("project/yubin.yaml", format!("version: 1\nname: x\nsystem: generic\n{evil}"));
    script(&world, "project/evil", &format!("echo evil >>{here}/log"));
    script(&world, "good", &format!("echo good $(pwd) >>{here}/log"));
    world.write("project/a.yaml", "patterns: { taro: { p: { address: a@example.jp } } }\n");
    let trusted = world.file("trusted.yaml").display().to_string();
    let args = |verb: &'static [&'static str]| -> Vec<String> {
        let words = ["-C", "project", "--trusted-config", &trusted].into_iter().chain(verb.iter().copied());
        words.map(str::to_owned).collect()
    };
    let run = |code: i32, verb: &'static [&'static str]| {
        let args = args(verb);
        world.expect(code, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    world.write("trusted.yaml", "policy: {}\n");
    run(0, &["apply", "--yes"]);
    run(64, &["effects", "retry"]);
    assert!(!world.file("log").exists());
    // A program or a secret that the project could change.
    for hook in ["command: [./project/evil]", "webhook: \"http://127.0.0.1:1/\", secret: { file: project/a.yaml }"] {
        world.write("trusted.yaml", format!("hooks: [{{ name: x, on: [logout], {hook} }}]\n"));
        let failed = run(1, &["effects", "retry"]);
        assert!(failed.stderr.contains("stands inside the project"), "{}", failed.stderr);
        assert!(failed.stderr.contains("trusted.yaml:1:"), "{}", failed.stderr);
    }
    assert!(!world.file("log").exists());
    world.write("trusted.yaml", "hooks: [{ name: good, on: [logout], command: [./good] }]\n");
    run(0, &["effects", "retry"]);
    assert_eq!(lines(&world, "log"), ["good /"]);
}

#[test]
fn what_is_wrong_with_a_hook_has_a_place() {
    let cases = [
        ("hooks: x\n", "value/type", "5:8"),
        ("hooks: [x]\n", "value/type", "5:9"),
        ("hooks:\n  - { name: a, on: [logout] }\n", "project/value", "6:5"),
        ("hooks:\n  - { name: a, command: [x] }\n", "project/value", "6:5"),
        ("hooks:\n  - { on: [logout], command: [x] }\n", "project/value", "6:5"),
        ("hooks:\n  - { name: \"a b\", on: [logout], command: [x] }\n", "project/value", "6:13"),
        ("hooks:\n  - { name: a, on: [login], command: [x] }\n", "project/value", "6:21"),
        ("hooks:\n  - { name: a, on: [], command: [x] }\n", "project/value", "6:20"),
        ("hooks:\n  - { name: a, on: [logout, logout], command: [x] }\n", "project/value", "6:29"),
        ("hooks:\n  - { name: a, on: [logout], command: [] }\n", "project/value", "6:39"),
        ("hooks:\n  - { name: a, on: [logout], command: [\"{user}\"] }\n", "project/value", "6:39"),
        ("hooks:\n  - { name: a, on: [logout], command: [x, \"{usr}\"] }\n", "project/value", "6:43"),
        ("hooks:\n  - { name: a, on: [logout], command: [x], timeout: 1h }\n", "project/value", "6:53"),
        ("hooks:\n  - { name: a, on: [logout], command: [x], env: [YUBIN_KEY] }\n", "project/value", "6:49"),
        ("hooks:\n  - { name: a, on: [logout], command: [x], secret: { env: A } }\n", "project/value", "6:52"),
        ("hooks:\n  - { name: a, on: [logout], comand: [x] }\n", "key/unknown", "6:30"),
        (
            "hooks:\n  - { name: a, on: [logout], command: [x], webhook: \"https://a.example/\" }\n",
            "project/value",
            "6:5",
        ),
        ("hooks:\n  - { name: a, on: [logout], webhook: \"http://a.example/S3CRET\" }\n", "project/value", "6:39"),
        ("hooks:\n  - { name: a, on: [logout], webhook: \"https://u:S3CRET@a.example/\" }\n", "project/value", "6:39"),
        ("hooks:\n  - { name: a, on: [logout], webhook: \"S3CRET\" }\n", "project/value", "6:39"),
        (
            "hooks:\n  - { name: a, on: [logout], webhook: \"https://a.example/\", secret: S3CRET }\n",
            "secret/form",
            "6:69",
        ),
        (
            "hooks:\n  - { name: a, on: [logout], webhook: \"https://a.example/\", secret: { env: YUBIN_KEY } }\n",
            "secret/form",
            "6:69",
        ),
        (
            "hooks:\n  - { name: a, on: [logout], command: [x] }\n  - { name: a, on: [notify], command: [x] }\n",
            "project/value",
            "7:5",
        ),
    ];
    for (hooks, code, place) in cases {
        let world = project(hooks);
        world.write("a.yaml", "accounts: {}\n");
        let checked = world.json(3, &["check"]);
        let problems = checked["diagnostics"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{hooks}: {checked}");
        let at = format!("{}:{}", problems[0]["line"], problems[0]["column"]);
        assert_eq!((problems[0]["code"].as_str().unwrap(), at.as_str()), (code, place), "{hooks}: {checked}");
        assert!(!checked.to_string().contains("S3CRET"), "{checked}");
    }
}

/// Where a server keeps the store: events come from it, and are acknowledged there.
#[test]
fn effects_of_a_store_behind_a_server_are_carried_out() {
    let keeper = World::new();
    let none = BTreeMap::new();
    let token = token(&keeper, "sqlite:kept.db", &none, "apply", &["head-office"]);
    let served = Served::start(&keeper, "sqlite:kept.db", &none);
    let hooks = "hooks:
  - { name: kick, on: [logout], command: [./kick, \"{user} {event}\"] }
  - { name: tell, on: [notify], command: [./kick, \"{event}\"] }
";
    let world = project(&format!("store: {}\n{hooks}", served.url));
    script(&world, "kick", "echo \"$1\" >>log; printf '%s\\n' \"$(cat)\" >>bodies; test ! -e ill");
    let run = |code: i32, args: &[&str]| {
        let run = Run::of(world.command(args).env("YUBIN_TOKEN", &token).output().unwrap());
        assert_eq!(run.code, code, "{args:?}\n{}\n{}", run.stdout, run.stderr);
        run
    };
    declare(&world, &["jiro", "taro"], "a");
    run(0, &["apply", "--yes"]);
    assert_eq!(sorted(lines(&world, "log")), ["jiro 1", "notify-1", "taro 2"]);
    let bodies: Vec<Json> = lines(&world, "bodies").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let notice = bodies.iter().find(|body| body["effect"] == "notify").unwrap();
    assert_eq!(notice["logged_out"], serde_json::json!({ "count": 2, "users": ["jiro", "taro"] }));
    let listed = |run: Run| serde_json::from_str::<Json>(&run.stdout).unwrap()["events"].as_array().unwrap().len();
    assert_eq!(listed(run(0, &["effects", "--format", "json"])), 0);
    world.write("ill", "");
    declare(&world, &["jiro", "taro"], "b");
    let failed = run(0, &["apply", "--yes"]);
    assert!(failed.stderr.contains("hook/failed"), "{}", failed.stderr);
    assert_eq!(listed(run(0, &["effects", "--format", "json"])), 2);
    run(0, &["effects", "ack", "3", "--yes"]);
    world.remove("ill");
    run(0, &["effects", "retry"]);
    assert_eq!(listed(run(0, &["effects", "--format", "json"])), 0);
    let log = lines(&world, "log");
    let count = |line: &str| log.iter().filter(|one| *one == line).count();
    assert_eq!((count("jiro 3"), count("taro 4"), count("notify-2")), (1, 2, 1));
}
