//! Keys, references, and the passwords that are never shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::canaries::disguises;
use super::{catchme, database, expect_with, keys, mode, private, revision, row, run_with, state};
use crate::support::World;

const PW: &[(&str, &str)] = &[("PW", "open sesame")];

fn with_secret() -> World {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x, password: { env: PW } } }\n");
    world
}

#[test]
fn a_key_is_made_beside_the_database_with_mode_0600() {
    let world = with_secret();
    expect_with(&world, 0, PW, &["plan"]);
    assert!(!world.file("yubin.db.key").exists(), "a plan alone needs no key");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    assert_eq!(mode(&world, "yubin.db.key"), 0o600);
    let key = std::fs::read(world.file("yubin.db.key")).unwrap();
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
    expect_with(&world, 0, &[("PW", "other")], &["apply", "--yes"]);
    assert_eq!(std::fs::read(world.file("yubin.db.key")).unwrap(), key);
    // Two stores have two keys.
    let other = with_secret();
    expect_with(&other, 0, PW, &["apply", "--yes"]);
    assert_ne!(std::fs::read(other.file("yubin.db.key")).unwrap(), key);
}

#[test]
fn the_key_comes_from_the_environment_or_its_file() {
    let key = "0123456789abcdef".repeat(4);
    let world = with_secret();
    let given = [PW, &[("YUBIN_KEY", key.as_str())]].concat();
    expect_with(&world, 0, &given, &["apply", "--yes"]);
    assert!(!world.file("yubin.db.key").exists());
    expect_with(&world, 0, &given, &["plan", "--exit-code"]);
    private(&world, "keys/yubin", &format!("{key}\n"));
    let path = world.file("keys/yubin").display().to_string();
    let file = [PW, &[("YUBIN_KEY_FILE", path.as_str())]].concat();
    expect_with(&world, 0, &file, &["plan", "--exit-code"]);
    private(&world, "yubin.db.key", &key);
    expect_with(&world, 0, PW, &["plan", "--exit-code"]);
    // A key file that is named must be there.
    let missing = [PW, &[("YUBIN_KEY_FILE", "no-such-file")]].concat();
    expect_with(&world, 1, &missing, &["plan"]);
    assert!(!world.file("no-such-file").exists());
}

#[test]
fn a_wrong_key_exits_1_and_changes_nothing() {
    let world = with_secret();
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let key = std::fs::read(world.file("yubin.db.key")).unwrap();
    let before = state(&world);
    let wrong = "f".repeat(64);
    world.write("a.yaml", "accounts: { a: { comment: y, password: { env: PW } } }\n");
    for variables in [[PW, &[("YUBIN_KEY", wrong.as_str())]].concat(), [PW, &[("YUBIN_KEY", "abc")]].concat()] {
        for args in [&["plan"][..], &["apply", "--yes"], &["undo", "1", "--yes"]] {
            let run = expect_with(&world, 1, &variables, args);
            assert!(run.stderr.contains("key") && !run.stderr.contains(&wrong), "{}", run.stderr);
        }
    }
    private(&world, "yubin.db.key", &wrong);
    expect_with(&world, 1, PW, &["plan"]);
    expect_with(&world, 1, PW, &["apply", "--yes"]);
    private(&world, "yubin.db.key", "no key at all");
    expect_with(&world, 1, PW, &["apply", "--yes"]);
    std::fs::write(world.file("yubin.db.key"), &key).unwrap();
    assert_eq!(state(&world), before);
    expect_with(&world, 0, PW, &["apply", "--yes"]);
}

#[test]
fn a_lost_key_exits_1_and_no_new_one_is_made() {
    let world = with_secret();
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    world.remove("yubin.db.key");
    for args in [&["plan"][..], &["apply", "--yes"], &["plan", "--out", "plan.json"]] {
        let run = expect_with(&world, 1, PW, args);
        assert!(run.stderr.contains("yubin.db.key"), "{}", run.stderr);
        assert!(!world.file("yubin.db.key").exists(), "{args:?} made a key");
    }
    // A change of something else does not make one either.
    world.write("a.yaml", "accounts: { a: { comment: y }, b: {} }\n");
    for args in [&["plan"][..], &["apply", "--yes"], &["undo", "1", "--yes"]] {
        run_with(&world, PW, args);
        assert!(!world.file("yubin.db.key").exists(), "{args:?} made a key");
    }
    let run = world.expect(1, &["export", "catchme-mail", "--out", "out.csv", "--all"]);
    assert!(run.stderr.contains("key"), "{}", run.stderr);
    assert!(!world.file("yubin.db.key").exists() && !world.file("out.csv").exists());
}

#[test]
fn state_without_secrets_is_readable_without_a_key() {
    let world = with_secret();
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    let with_key: Vec<String> =
        [&["show"][..], &["log"], &["log", "account/a"], &["export", "yaml"], &["export", "csv"]]
            .iter()
            .map(|args| world.expect(0, args).stdout)
            .collect();
    world.remove("yubin.db.key");
    let without: Vec<String> =
        [&["show"][..], &["log"], &["log", "account/a"], &["export", "yaml"], &["export", "csv"]]
            .iter()
            .map(|args| world.expect(0, args).stdout)
            .collect();
    assert_eq!(with_key, without);
    world.expect(0, &["check"]);
    // A store that never held a secret needs no key at all.
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { comment: y } }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(revision(&world), 2);
}

#[test]
fn what_becomes_of_a_secret_is_told_by_words() {
    let world = World::project("generic", "");
    let words = |variables: &[(&str, &str)]| -> Vec<String> {
        let run = expect_with(&world, 0, variables, &["plan", "--format", "json"]);
        let plan: Json = serde_json::from_str(&run.stdout).unwrap();
        let changes = plan["changes"].as_array().unwrap();
        let fields = changes.iter().flat_map(|change| change["fields"].as_array().unwrap());
        fields
            .filter(|field| field.get("secret").is_some())
            .map(|field| {
                assert_eq!(keys(field), ["field", "secret", "change"]);
                field["change"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    world.write("a.yaml", "accounts: { a: { password: { env: PW } } }\n");
    assert_eq!(words(PW), ["set"]);
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    assert_eq!(words(PW), [""; 0]);
    assert_eq!(words(&[("PW", "other")]), ["changed"]);
    // Another source of the same text is no change.
    private(&world, "pw", "open sesame\n");
    world.write("a.yaml", "accounts: { a: { password: { file: pw } } }\n");
    assert_eq!(words(&[]), [""; 0]);
    world.write("a.yaml", "accounts: { a: { password: \"open sesame\" } }\n");
    assert_eq!(words(&[]), [""; 0]);
    world.write("a.yaml", "accounts: { a: { password: null } }\n");
    assert_eq!(words(&[]), ["cleared"]);
    world.write("a.yaml", "accounts: { a: {} }\n");
    assert_eq!(words(&[]), [""; 0]);
}

/// One newline at the end of a file is dropped, and nothing else.
#[test]
fn a_secret_file_loses_one_newline() {
    let world = catchme("policy: { plaintext_secrets: allow }\n");
    let stored = |text: &[u8]| {
        world.write("pw", text);
        world.write("people.csv", row("taro", "p1"));
        world.expect(0, &["apply", "--yes"]);
        world.expect(0, &["export", "catchme-mail", "--out", "out/x.csv"]);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(world.file("out/x.csv")).unwrap();
        let cell = reader.records().next().unwrap().unwrap()[11].to_owned();
        std::fs::remove_file(world.file("out/x.csv")).unwrap();
        cell
    };
    std::fs::create_dir(world.file("out")).unwrap();
    for (text, expected) in [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\n\n", "secret\n"),
        (" secret ", " secret "),
        ("098765\n", "098765"),
        ("パス,\"ワード\n", "パス,\"ワード"),
        ("${env:X}\n", "${env:X}"),
    ] {
        assert_eq!(stored(text.as_bytes()), expected, "{text:?}");
    }
    let long = "x".repeat(10_000);
    assert_eq!(stored(long.as_bytes()), long);
}

#[test]
fn a_password_is_the_text_that_was_written() {
    let world = catchme("policy: { plaintext_secrets: allow }\n");
    for (written, expected) in [
        ("098765", "098765"),
        ("0123", "0123"),
        ("1e3", "1e3"),
        ("no", "no"),
        ("1_000", "1_000"),
        ("true", "true"),
        ("2026-01-02", "2026-01-02"),
        ("\"a\\u0042\"", "aB"),
        ("'it''s'", "it's"),
        ("p@ss:w#rd", "p@ss:w#rd"),
    ] {
        let base = "label: l, host: x.jp";
        world.write(
            "a.yaml",
            format!("patterns: {{ u: {{ p: {{ address: a@x.jp, incoming: {{ {base}, protocol: pop3, username: u, password: {written} }}, outgoing: {{ {base} }} }} }} }}\n"),
        );
        world.expect(0, &["apply", "--yes"]);
        world.expect(0, &["export", "catchme-mail", "--out", "../x.csv".trim_start_matches("../")]);
        let text = std::fs::read_to_string(world.file("x.csv")).unwrap();
        world.remove("x.csv");
        assert_eq!(text.split(',').nth(11).unwrap(), expected, "{written}");
    }
}

#[test]
fn a_secret_in_clear_is_governed_by_the_policy() {
    for (policy, code, severity) in [("deny", 3, Some("error")), ("warn", 0, Some("warning")), ("allow", 0, None)] {
        let world = World::project("generic", &format!("policy: {{ plaintext_secrets: {policy} }}\n"));
        world.write("a.yaml", "accounts:\n  a: { password: clear }\n");
        world.write("b.csv", "name,password\nb,clear\nc,${env:PW}\n");
        let checked = world.json(code, &["check"]);
        let found: Vec<String> = checked["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!(
                    "{} {}:{}:{}",
                    one["severity"].as_str().unwrap(),
                    one["file"].as_str().unwrap(),
                    one["line"],
                    one["column"]
                )
            })
            .collect();
        let expected: Vec<String> =
            severity.map_or(Vec::new(), |word| vec![format!("{word} a.yaml:2:18"), format!("{word} b.csv:2:3")]);
        assert_eq!(found, expected, "{policy}");
        let run = run_with(&world, PW, &["apply", "--yes"]);
        assert_eq!(run.code, code, "{policy}: {}", run.stderr);
        // Once applied, and so recognised, they are still told about.
        assert_eq!(run_with(&world, PW, &["plan"]).stderr.contains("clear"), severity.is_some(), "{policy}");
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_invalid_input() {
    let world = World::project("generic", "");
    std::os::unix::fs::symlink("/etc/hostname", world.file("link")).unwrap();
    world.write("empty", "\n");
    world.write("latin1", b"p\xe9ss");
    world.write(
        "a.yaml",
        "accounts:
  a: { password: { env: NOT_SET } }
  b: { password: { file: missing } }
  c: { password: { file: link } }
  d: { password: { file: empty } }
  e: { password: { file: latin1 } }
  f: { password: { env: EMPTY } }
  g: { password: { file: . } }
",
    );
    // Their form is right.
    world.expect(0, &["check"]);
    let run = run_with(&world, &[("EMPTY", "")], &["plan", "--format", "json"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    let errors: Vec<&Json> =
        plan["diagnostics"].as_array().unwrap().iter().filter(|one| one["severity"] == "error").collect();
    let lines: Vec<u64> = errors.iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8], "{plan}");
    assert!(errors.iter().all(|one| one["field"] == "password"));
    assert!(!world.file("yubin.db").exists());
}

/// A pipe that nobody writes to would be waited for for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_secret_file_that_is_no_file_holds_nothing_up() {
    let world = World::project("generic", "");
    assert!(std::process::Command::new("mkfifo").arg(world.file("pw")).status().unwrap().success());
    world.write("a.yaml", "accounts: { a: { password: { file: pw } } }\n");
    let mut command = world.command(&["plan"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    for _ in 0..300 {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(3));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it still waits");
}

#[test]
fn a_secret_file_that_others_may_read_is_a_warning() {
    let world = World::project("generic", "");
    world.write("pw", "x");
    world.write("a.yaml", "accounts: { a: { password: { file: pw } } }\n");
    let plan = world.json(0, &["plan"]);
    assert_eq!(plan["diagnostics"][0]["severity"], "warning");
    world.expect(3, &["plan", "--strict"]);
    private(&world, "pw", "x");
    assert_eq!(world.json(0, &["plan", "--strict"])["diagnostics"], json!([]));
}

/// Equal passwords are not seen to be equal in the store, and their length is not seen.
#[test]
fn sealed_secrets_tell_nothing() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { outgoing: { auth: { password: { env: PW } } }, incoming: { password: { env: PW } } }, b: { incoming: { password: { env: PW } } }, c: { incoming: { password: { env: S } } } }\n");
    expect_with(&world, 0, &[PW, &[("S", "x")]].concat(), &["apply", "--yes"]);
    let database = database(&world);
    let mut statement = database.prepare("SELECT incoming_password FROM account UNION ALL SELECT outgoing_auth_password FROM account WHERE outgoing_auth_password IS NOT NULL").unwrap();
    let sealed: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(sealed.len(), 4);
    assert_eq!(sealed.iter().collect::<BTreeSet<_>>().len(), 4);
    assert!(sealed.iter().all(|one| one.len() == sealed[0].len()));
}

// --- Canaries ------------------------------------------------------------------------------

/// A password, and everything that it could be disguised as.
struct Canary {
    needles: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    fn new(text: &str) -> Canary {
        let mut needles = disguises(text.as_bytes());
        needles.push(("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        needles.push(("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        Canary { needles }
    }

    fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        let found = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
        self.needles.iter().find(|(_, needle)| found(needle)).map(|(form, _)| *form)
    }
}

/// Files below the folder, but for these.
fn files(folder: &Path, but: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, but));
        } else if !but.contains(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Runs commands in a world and looks for the canaries in all that they print and leave behind.
struct Search<'a> {
    world: &'a World,
    variables: Vec<(&'a str, &'a str)>,
    canaries: Vec<Canary>,
    inputs: BTreeSet<PathBuf>,
    found: Vec<String>,
}

impl<'a> Search<'a> {
    fn new(world: &'a World, variables: &[(&'a str, &'a str)], canaries: &[&str]) -> Search<'a> {
        Search {
            world,
            variables: variables.to_vec(),
            canaries: canaries.iter().map(|text| Canary::new(text)).collect(),
            inputs: files(world.path(), &BTreeSet::new()).into_iter().collect(),
            found: Vec::new(),
        }
    }

    fn look(&mut self, place: &str, bytes: &[u8]) {
        if let Some(form) = self.canaries.iter().find_map(|canary| canary.find(bytes)) {
            let text = String::from_utf8_lossy(bytes);
            let line =
                text.lines().find(|line| self.canaries.iter().any(|canary| canary.find(line.as_bytes()).is_some()));
            self.found.push(format!("{place} ({form}): {}", line.unwrap_or("(bytes)").trim()));
        }
    }

    fn run(&mut self, args: &[&str]) -> i32 {
        let mut command = self.world.command(args);
        let output = command.envs(self.variables.iter().copied()).env("RUST_BACKTRACE", "full").output().unwrap();
        let name = args.join(" ");
        self.look(&format!("stdout of `{name}`"), &output.stdout);
        self.look(&format!("stderr of `{name}`"), &output.stderr);
        let code = output.status.code().unwrap_or(-1);
        assert!(
            (0..=64).contains(&code) && code != 101,
            "`{name}` ended with {code}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        code
    }

    fn everywhere(&mut self) {
        for args in [
            &["check"][..],
            &["check", "--strict"],
            &["plan"],
            &["plan", "-v"],
            &["plan", "--color", "always"],
            &["plan", "--out", "saved.plan"],
            &["apply", "saved.plan"],
            &["apply", "--yes", "-v"],
            &["show"],
            &["log"],
            &["export", "yaml"],
            &["export", "csv"],
            &["export", "json"],
            &["export", "yaml", "--all"],
            &["undo", "1"],
        ] {
            self.run(args);
            self.run(&[args, &["--format", "json"]].concat());
        }
        for name in self.inputs.clone() {
            let name = name.to_str().unwrap();
            for format in ["yaml", "csv", "json", "catchme-mail"] {
                self.run(&["import", format, name]);
            }
        }
    }

    fn left_behind(&mut self) {
        for path in files(self.world.path(), &self.inputs) {
            self.look(&format!("file {}", path.display()), &std::fs::read(&path).unwrap());
            self.look("name of a file", path.as_os_str().as_encoded_bytes());
        }
    }
}

/// Every secret field of every kind, from every source and through every format.
#[test]
fn no_password_is_ever_printed_or_stored() {
    let canaries = [
        "Kanarie-yaml-7Qx2",
        "Kanarie-quoted-9Zt4",
        "Kanarie-csv-3Wm8",
        "Kanarie-env-5Rk1",
        "Kanarie-file-8Lp6",
        "Kanarie-old-2Hn7",
        "098765432109876",
    ];
    let world = World::project("generic", "policy: { max_deletes: 1000 }\n");
    private(&world, "secrets/pw", canaries[4]);
    let write = |clear: &str| {
        world.write(
            "a.yaml",
            format!(
                "servers:
  s: {{ outgoing: {{ auth: {{ enabled: true, credentials: own, username: u, password: {clear} }} }} }}
accounts:
  a: {{ server: s, password: {clear}, incoming: {{ password: \"{quoted}\" }}, outgoing: {{ auth: {{ password: {{ env: PW }} }} }} }}
  b: {{ password: {zero}, incoming: {{ password: {{ file: secrets/pw }} }} }}
  c:
    password: >-
      {clear}
    incoming.password: '{quoted}'
patterns:
  u:
    p: {{ server: s, incoming: {{ password: {clear} }}, outgoing: {{ auth: {{ password: {{ file: secrets/pw }} }} }} }}
",
                quoted = canaries[1],
                zero = canaries[6],
            ),
        );
        world.write(
            "b.csv",
            format!("user,name,incoming.password,outgoing.auth.password\nv,p,{0},\"{0}\"\nv,q,${{env:PW}},${{file:secrets/pw}}\n", canaries[2]),
        );
    };
    write(canaries[5]);
    let mut search = Search::new(&world, &[("PW", canaries[3])], &canaries);
    search.run(&["plan", "--out", "first.plan"]);
    assert_eq!(search.run(&["apply", "--yes"]), 0);
    // A reader that stays keeps the log of SQLite from being folded into the database.
    let reader = database(&world);
    reader.execute_batch("BEGIN; SELECT count(*) FROM account").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM account", [], |row| row.get(0)).unwrap();
    write(canaries[0]);
    search.everywhere();
    assert!(revision(&world) >= 2);
    for name in ["yubin.db", "yubin.db-wal", "yubin.db-shm", "yubin.db.key", "saved.plan"] {
        assert!(world.file(name).exists(), "{name} was not looked at");
    }
    for args in [
        &["show", "account/a"][..],
        &["log", "account/a"],
        &["log", "pattern/u/p"],
        &["undo", "2", "--yes"],
        &["undo", "3", "--yes", "--format", "json"],
        &["explain", "generic"],
        &["schema"],
    ] {
        search.run(args);
    }
    search.run(&["apply", "--yes"]);
    search.run(&["export", "yaml", "--out", "out.txt"]);
    search.run(&["export", "csv", "--out", "out2.txt"]);
    search.run(&["export", "json", "--out", "out3.txt"]);
    search.left_behind();
    drop(reader);
    search.run(&["plan"]);
    search.left_behind();
    // With no key, a wrong one, and a password for a key.
    for variables in
        [[("PW", canaries[3]), ("YUBIN_KEY", canaries[0])], [("PW", canaries[3]), ("YUBIN_KEY_FILE", "secrets/pw")]]
    {
        search.variables = variables.to_vec();
        search.everywhere();
    }
    world.remove("yubin.db.key");
    search.variables = vec![("PW", canaries[3])];
    search.everywhere();
    search.left_behind();
    assert!(search.found.is_empty(), "{} places:\n{}", search.found.len(), search.found.join("\n"));
}

#[test]
fn no_password_of_a_catchme_mail_file_is_ever_printed_or_stored() {
    let canaries = ["Kanarie-recv-4Xc9", "Kanarie-auth-1Bv5", "Kanarie-new-6Tg3"];
    let world = World::project("catchme-mail", "policy: { max_deletes: 1000 }\n");
    let write = |password: &str| {
        let row = |n: usize| {
            format!(
                "u{n},p,s,smtp.xxx.jp,,r,pop.xxx.jp,,t@xxx.jp,1,t,{password},,,,,,,1,1,1,1,auth,{},,\r\n",
                canaries[1]
            )
        };
        world.write("people.csv", (0..700).map(row).collect::<String>());
    };
    write(canaries[0]);
    let mut search = Search::new(&world, &[], &canaries);
    assert_eq!(search.run(&["apply", "--yes"]), 0);
    let reader = database(&world);
    let _: i64 = reader.query_row("SELECT count(*) FROM pattern", [], |row| row.get(0)).unwrap();
    write(canaries[2]);
    search.everywhere();
    search.run(&["log", "pattern/u1/p"]);
    search.run(&["undo", "2", "--yes"]);
    search.left_behind();
    // The one file that carries them is private, and says so.
    search.run(&["export", "catchme-mail"]);
    assert_eq!(search.run(&["export", "catchme-mail", "--out", "up.csv"]), 0);
    assert_eq!(mode(&world, "up.csv"), 0o600);
    assert!(std::fs::read_to_string(world.file("up.csv")).unwrap().contains(canaries[1]));
    world.remove("up.csv");
    search.left_behind();
    assert!(search.found.is_empty(), "{} places:\n{}", search.found.len(), search.found.join("\n"));
}

/// Projects in which a password (`@@`) stands where it does not belong: system, file, text.
fn misplaced() -> Vec<(&'static str, &'static str, String)> {
    let mut all = Vec::new();
    let mut add = |system, file, text: &str| all.push((system, file, text.to_owned()));
    // Under a key that is not known, as something that no secret is, and in broken YAML.
    for value in [
        "{ pasword: @@ }",
        "{ incoming: { passwd: @@ } }",
        "{ incoming: { password2: '@@' } }",
        "{ password: [@@] }",
        "{ password: [[@@]] }",
        "{ password: { env: [@@] } }",
        "{ password: { env: '@@ !' } }",
        "{ password: { plain: @@ } }",
        "{ password: { command: [@@] } }",
        "{ password: { age: @@ } }",
        "{ password: { hash: @@ } }",
        "{ password: { env: X, value: @@ } }",
        "{ password: { file: ../@@ } }",
        "{ password: @@, password: @@ }",
        "{ incoming: @@ }",
        "{ password: @@, absent: true }",
        "@@",
        "[@@]",
        "{ password: \"@@ }",
        "{ password: '@@ }",
        "{ password: @@",
        "{ password: '@@'x }",
        "{ password: \"\\q@@\" }",
        "{ password: *@@ }",
        "{ password: &@@ }",
        "{ password: !@@ x }",
        "{ password: !x @@ }",
        "{ password: %@@ }",
        "{ password: `@@ }",
        "{ password: @@@ }",
        "{ password: |@@ }",
        "\n    password: @@: x",
        "\n    password: @@\n   x: y",
        "\n    password: @@\n\tx: y",
        "\n    password:@@",
        "\n    password: |@@",
        "\n    password: \"@@",
        "\n    password: '@@",
        "\n    password: - @@",
        "\n    password: @@\n    password: @@",
        "\n    password: *@@",
        "\n    - @@",
        "\n    password: &@@ *@@",
        "\n    password: !<@@",
        "\n    password: @@\n--- @@",
    ] {
        add("generic", "a.yaml", &format!("accounts:\n  a: {value}\n"));
    }
    add("generic", "a.yaml", "@@\n");
    add("generic", "a.yaml", "accounts: @@\n");
    add("generic", "a.yaml", "- @@\n");
    add("generic", "a.yaml", "%YAML @@\n---\n");
    add("generic", "a.yaml", "defaults: { accounts: { pasword: @@ } }\naccounts: { a: {} }\n");
    add("generic", "a.yaml", "defaults: @@\n");
    add("generic", "a.yaml", "patterns: { u: @@ }\n");
    // CSV with a header.
    for text in [
        "name,password\na,\"@@\n",
        "name,password\na,x\"@@\"\n",
        "name,password\na,\"@@\"x\n",
        "name,password\na,@@,more\n",
        "name,password,comment\na,@@\n",
        "name,password\na,${env:@@\n",
        "name,password\na,${@@}\n",
        "name,password\na,${plain:@@}\n",
        "name,password\na,${command:@@}\n",
        "name,password\na,@@\na,@@\n",
        "name,password\n,@@\n",
        "name,pasword\na,@@\n",
        "name,absent,password\na,true,@@\n",
        "kind,name,password\nmailbox,a,@@\n",
        "kind,name,password\n@@,a,x\n",
        "name,absent\na,@@\n",
        "name,capacity,password\na,@@,5\n",
        "name,visible\na,@@\n",
        "name,address\na,@@\n",
        "name,incoming.port\na,@@\n",
        "name,incoming.protocol\na,@@\n",
        "name,incoming.host\na,@@ x\n",
        "name;password\na;@@\n",
    ] {
        add("generic", "a.csv", text);
    }
    add("generic", "a.csv", "a,@@\n");
    // The 26 columns.
    let row = |cells: &[(usize, &str)], count: usize| -> String {
        let mut record =
            "taro,p,s,smtp.xxx.jp,,r,pop.xxx.jp,,t@xxx.jp,1,t,pw,,,,,,,,,,,,,,".split(',').collect::<Vec<_>>();
        for (number, text) in cells {
            record[number - 1] = text;
        }
        record[..count].join(",") + "\n"
    };
    // The printed example 2: a comma is missing, and the password stands in column 23.
    add(
        "catchme-mail",
        "a.csv",
        "sabro,pattern2,send2,smtp.xxx.jp,,recv2,pop.xxx.jp,,taro2@xxx.jp,1,taro2,passwd,,,,,,,,1,1,authaccount,@@,,受信箱/pattern2\n",
    );
    add("catchme-mail", "a.csv", "sabro,pattern2,send2,smtp.xxx.jp,,recv2,pop.xxx.jp,taro2@xxx.jp,1,taro2,@@\n");
    add("catchme-mail", "a.csv", "sabro,pattern2,send2,smtp.xxx.jp,,recv2,pop.xxx.jp,,,taro2@xxx.jp,1,taro2,@@\n");
    for column in [5, 8, 9, 10, 13, 14, 17, 18, 19, 20, 21, 22] {
        add("catchme-mail", "a.csv", &row(&[(column, "@@")], 26));
    }
    for text in ["\"@@", "x\"@@", "\"@@\"x", "${env:@@", "${@@}"] {
        add("catchme-mail", "a.csv", &row(&[(12, text)], 12));
    }
    add("catchme-mail", "a.csv", &(row(&[(12, "@@")], 26).trim_end().to_owned() + ",x,y\n"));
    add("catchme-mail", "a.csv", &(row(&[(12, "@@")], 12) + &row(&[(12, "@@")], 12)));
    add("catchme-mail", "a.csv", &row(&[(1, ""), (12, "@@")], 12));
    add("catchme-mail", "a.csv", &row(&[(1, "a\tb"), (12, "@@")], 12));
    add("catchme-mail", "a.csv", "taro,p,@@\n");
    // In yubin.yaml.
    for text in [
        "password: @@\n",
        "secrets: { pw: @@ }\n",
        "store: postgres://yubin:@@/db\n",
        "policy: { password: @@ }\n",
        "sources: { pw: @@ }\n",
        "policy: @@\n",
        "users: /@@\n",
        "x: \"@@\n",
        "x: *@@\n",
        "x: [@@\n",
        "- @@\n",
    ] {
        add("generic", "yubin.yaml", &format!("version: 1\nname: x\n{text}"));
    }
    all
}

/// How many of the misplaced passwords are shown; each is named.
fn shown_of(misplaced: Vec<(&str, &str, String)>) -> Vec<String> {
    const CANARY: &str = "Kanarie-4711-Xq7";
    let mut found = Vec::new();
    for (system, file, text) in misplaced {
        let world = World::project(system, "");
        world.write(file, text.replace("@@", CANARY));
        let mut search = Search::new(&world, &[], &[CANARY]);
        for args in [
            &["check"][..],
            &["check", "--format", "json"],
            &["plan", "-v"],
            &["plan", "--format", "json", "--strict"],
            &["plan", "--out", "saved.plan"],
        ] {
            search.run(args);
        }
        let format = match (file, system) {
            ("a.csv", "generic") => "csv",
            ("a.csv", system) => system,
            _ => "yaml",
        };
        if search.run(&["import", format, file]) == 0 {
            // What was accepted is no password, but a value like others.
            search.found.retain(|place| !place.contains("import"));
        }
        search.run(&["apply", "--yes"]);
        search.left_behind();
        if !search.found.is_empty() {
            found.push(format!("{file}: {text:?}\n    {}", search.found.join("\n    ")));
        }
    }
    found
}

#[test]
fn a_misplaced_password_is_not_shown() {
    let found = shown_of(misplaced());
    assert!(found.is_empty(), "{} are shown:\n{}", found.len(), found.join("\n"));
}

/// A password under the key of another field: what does not fit there is not repeated.
#[test]
fn a_password_under_another_fields_key_is_not_shown() {
    let mut all = Vec::new();
    for value in [
        "{ capacity: @@ }",
        "{ capacity: '@@' }",
        "{ visible: @@ }",
        "{ incoming: { port: @@ } }",
        "{ incoming: { protocol: @@ } }",
        "{ incoming: { security: @@ } }",
        "{ outgoing: { auth: { mechanism: @@, password: x } } }",
        "{ outgoing: { auth: { enabled: @@ } } }",
        "{ address: @@ }",
        "{ cc: @@ }",
        "{ incoming: { host: '@@ x' } }",
        "{ forward: { to: @@ } }",
        "{ absent: @@ }",
        "{ server: @@ }",
        "{ password: {@@} }",
        "{ password: { @@: x } }",
        "{@@}",
        "\n    ? @@",
    ] {
        all.push(("generic", "a.yaml", format!("accounts:\n  a: {value}\n")));
    }
    for text in [
        "system: @@\n",
        "policy: { existing: @@ }\n",
        "policy: { max_deletes: @@ }\n",
        "policy: { protect: [@@] }\n",
        "sources: [{ path: a.csv, encoding: @@ }]\n",
        "sources: [{ path: a.csv, format: @@ }]\n",
    ] {
        all.push(("generic", "yubin.yaml", format!("version: 1\nname: x\n{text}")));
    }
    all.push(("generic", "yubin.yaml", "version: @@\nname: x\n".to_owned()));
    all.push(("generic", "yubin.yaml", "version: 1\nname: '@@ !'\n".to_owned()));
    let found = shown_of(all);
    assert!(found.is_empty(), "{} are shown:\n{}", found.len(), found.join("\n"));
}

/// A product's file read as if it had a header: its first record is no list of names to repeat.
#[test]
fn a_file_without_its_header_shows_no_cell() {
    const CANARY: &str = "Kanarie-0815-Yw3";
    let world = World::project("generic", "sources: [{ path: a.csv, format: csv }]\n");
    world.write("a.csv", row("taro", "p1").replace("${file:pw}", CANARY) + &row("jiro", "p1"));
    world.write("b.csv", format!("name,{CANARY},{CANARY}\na,x,y\n"));
    let mut search = Search::new(&world, &[], &[CANARY]);
    for args in [
        &["check"][..],
        &["check", "--format", "json"],
        &["plan"],
        &["import", "csv", "a.csv"],
        &["import", "csv", "b.csv"],
        &["import", "csv", "a.csv", "--format", "json"],
    ] {
        search.run(args);
    }
    assert!(search.found.is_empty(), "{}", search.found.join("\n"));
}

/// The address of a store may carry a password.
#[test]
fn the_password_in_a_stores_address_is_not_shown() {
    const CANARY: &str = "Kanarie-1234-Zv9";
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: {} }\n");
    let url = format!("postgres://yubin:{CANARY}@db.example.jp/yubin");
    let mut search = Search::new(&world, &[], &[CANARY]);
    for args in [&["plan"][..], &["plan", "--format", "json"], &["show"], &["apply", "--yes"], &["check"]] {
        search.run(&[args, &["--store", &url]].concat());
        search.variables = vec![("YUBIN_STORE", &url)];
        search.run(args);
        search.run(&["--help"]);
        search.variables.clear();
    }
    world.write("yubin.yaml", format!("version: 1\nname: x\nstore: {url}\n"));
    search.everywhere();
    search.left_behind();
    assert!(search.found.is_empty(), "{}", search.found.join("\n"));
}
