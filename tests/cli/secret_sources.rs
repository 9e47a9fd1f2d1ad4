//! Where secrets come from: `{env}`, `{file}`, `{command}`, `{age}`, `{hash}`, and what each of them must not do.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::{concat, database, expect_with, private, run_with, shown};
use crate::support::{Run, World};

/// The password that stands in the store, and that every source gives.
pub const CLEAR: &str = "open sesame 7!";

const PW: &[(&str, &str)] = &[("PW", CLEAR)];

// --- Helpers, for the other files about secrets too ------------------------------------------

/// A program of another package, with this on its standard input.
pub fn foreign(package: &str, program: &str, args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; install the Debian package {package}"));
    // One that has seen enough may be gone already.
    drop(child.stdin.take().unwrap().write_all(input));
    child.wait_with_output().unwrap()
}

#[track_caller]
fn output_of(package: &str, program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = foreign(package, program, args, input);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What `age` encrypts to these recipients; armour with `-a` among the options.
pub fn sealed(text: &str, options: &[&str], recipients: &[&str]) -> Vec<u8> {
    let recipients = recipients.iter().flat_map(|one| ["-r", one]);
    output_of("age", "age", &options.iter().copied().chain(recipients).collect::<Vec<_>>(), text.as_bytes())
}

/// A private key in a folder of its own, and the recipient that belongs to it.
pub struct Identity {
    home: World,
    pub recipient: String,
}

impl Identity {
    /// As `age-keygen` makes it.
    pub fn age() -> Identity {
        let home = World::new();
        let text = String::from_utf8(output_of("age", "age-keygen", &[], b"")).unwrap();
        private(&home, "id", &text);
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
        Identity { home, recipient }
    }

    /// As `ssh-keygen` makes it.
    pub fn ssh(options: &[&str]) -> Identity {
        let home = World::new();
        let path = home.file("id").display().to_string();
        let args = [options, &["-q", "-N", "", "-C", "taro@example.jp", "-f", &path]].concat();
        output_of("openssh-client", "ssh-keygen", &args, b"");
        let recipient = fs::read_to_string(home.file("id.pub")).unwrap().trim_end().to_owned();
        Identity { home, recipient }
    }

    pub fn path(&self) -> String {
        self.home.file("id").display().to_string()
    }

    /// The file that holds it.
    pub fn text(&self) -> String {
        fs::read_to_string(self.home.file("id")).unwrap()
    }

    /// Its last line, the key itself.
    pub fn key(&self) -> String {
        self.text().lines().last().unwrap().to_owned()
    }

    /// Armour that only this opens.
    pub fn armour(&self, text: &str) -> String {
        String::from_utf8(sealed(text, &["-a"], &[&self.recipient])).unwrap()
    }

    /// What `age` makes of it with this identity alone.
    pub fn open(&self, sealed: impl AsRef<[u8]>) -> Option<String> {
        let output = foreign("age", "age", &["-d", "-i", &self.path()], sealed.as_ref());
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

/// A program that `install` copies: while this process has a file open for writing, a child that
/// another test starts may have it too, and the kernel starts no program that is being written.
pub fn script(world: &World, name: &str, body: &str) -> String {
    let source = format!("{name}.source");
    world.write(&source, format!("#!/bin/sh\n{body}\n"));
    let path = world.file(name).display().to_string();
    output_of("coreutils", "install", &["-m", "755", world.file(&source).to_str().unwrap(), &path], b"");
    world.remove(&source);
    path
}

/// The JSON of a run with further variables.
#[track_caller]
pub fn told(world: &World, code: i32, variables: &[(&str, &str)], args: &[&str]) -> Json {
    let run = expect_with(world, code, variables, &[args, &["--format", "json"]].concat());
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}

/// `CODE FILE:LINE:COLUMN ADDRESS FIELD` of each diagnostic of this severity.
pub fn problems(json: &Json, severity: &str) -> Vec<String> {
    let all = json["diagnostics"].as_array().unwrap().iter();
    let text = |one: &Json, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    all.filter(|one| one["severity"] == severity)
        .map(|one| {
            let place = format!("{}:{}:{}", text(one, "file"), one["line"], one["column"]);
            format!("{} {place} {} {}", text(one, "code"), text(one, "address"), text(one, "field"))
        })
        .collect()
}

/// The codes of the errors.
pub fn codes(json: &Json) -> Vec<String> {
    let first = |line: &String| line.split(' ').next().unwrap().to_owned();
    problems(json, "error").iter().map(first).collect()
}

#[track_caller]
pub fn hidden(run: &Run, secrets: &[&str]) {
    for secret in secrets {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{}\n{}", run.stdout, run.stderr);
    }
}

pub fn lines_of(world: &World, name: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        fs::read_to_string(world.file(name)).unwrap_or_default().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A project in whose store the receiving password of `account/a` is [`CLEAR`].
pub fn stored_clear(more: &str) -> World {
    let world = World::project("generic", more);
    world.write("a.yaml", "accounts: { a: { incoming.password: { env: PW } } }\n");
    expect_with(&world, 0, PW, &["apply", "--yes"]);
    world
}

/// Declares `account/a` in this file alone.
pub fn declare(world: &World, file: &str, text: &str) {
    for name in ["a.yaml", "a.csv"] {
        if world.file(name).exists() {
            world.remove(name);
        }
    }
    world.write(file, text);
}

/// The receiving password of `account/a`, as YAML.
pub fn account(secret: &str) -> String {
    format!("accounts: {{ a: {{ incoming.password: {secret} }} }}\n")
}

/// The ways to write an armour: file and text.
pub fn ways_to_write(armour: &str) -> [(&'static str, String); 5] {
    let lines = concat(armour.lines(), |line| format!("        {line}\n"));
    let cell = |armour: &str| format!("name,incoming.password\na,\"${{age:{armour}}}\"\n");
    [
        ("a.yaml", format!("accounts:\n  a:\n    incoming.password:\n      age: |\n{lines}")),
        ("a.yaml", account(&format!("{{ age: \"{}\" }}", armour.replace('\n', "\\n")))),
        ("a.csv", cell(armour)),
        ("a.csv", cell(armour.trim_end())),
        ("a.csv", cell(&armour.replace('\n', "\r\n"))),
    ]
}

/// Whether the files give what is stored: then nothing is to be changed.
#[track_caller]
fn gives_clear(world: &World, variables: &[(&str, &str)]) -> bool {
    let run = run_with(world, variables, &["plan", "--exit-code"]);
    hidden(&run, &[CLEAR]);
    match run.code {
        0 => true,
        2 => false,
        code => panic!("exit {code}: {}", run.stderr),
    }
}

// --- Each source -----------------------------------------------------------------------------

#[test]
fn every_source_gives_its_text() {
    let identity = Identity::age();
    let world = stored_clear("secrets: { identities: [id.txt], commands: [[printf, '%s\\n', '*']] }\n");
    private(&world, "id.txt", &identity.text());
    let recipient: &[&str] = &[&identity.recipient];
    for (text, right) in [(CLEAR, true), ("another", false)] {
        // One newline at the end of a file or of an output is dropped.
        private(&world, "pw", &format!("{text}\n"));
        world.write("armoured.age", sealed(&format!("{text}\n"), &["-a"], recipient));
        world.write("binary.age", sealed(text, &[], recipient));
        let references = [
            ("a.yaml", account("{ env: PW }")),
            ("a.yaml", account("{ file: pw }")),
            ("a.yaml", account("{ file: armoured.age }")),
            ("a.yaml", account("{ file: binary.age }")),
            ("a.yaml", account(&format!("{{ command: [printf, '%s\\n', '{text}'] }}"))),
            ("a.csv", "name,incoming.password\na,${env:PW}\n".to_owned()),
            ("a.csv", "name,incoming.password\na,${file:pw}\n".to_owned()),
            ("a.csv", "name,incoming.password\na,${file:armoured.age}\n".to_owned()),
        ];
        for (file, source) in references.into_iter().chain(ways_to_write(&identity.armour(text))) {
            declare(&world, file, &source);
            assert_eq!(gives_clear(&world, &[("PW", text)]), right, "{source}");
        }
    }
}

#[test]
fn identities_come_from_the_environment_or_the_project() {
    let (mine, other) = (Identity::age(), Identity::age());
    let home = World::new();
    private(&home, ".config/yubin/age.txt", &mine.text());
    let home = home.path().display().to_string();
    let (mine_path, other_path) = (mine.path(), other.path());
    let (mine_text, mine_key) = (mine.text(), mine.key());
    let armour = mine.armour(CLEAR);
    for (identities, variables) in [
        (String::new(), vec![("YUBIN_AGE_KEY", mine_key.as_str())]),
        (String::new(), vec![("YUBIN_AGE_KEY", mine_text.as_str())]),
        (String::new(), vec![("YUBIN_AGE_KEY_FILE", mine_path.as_str())]),
        (format!("{other_path}, {mine_path}"), vec![]),
        ("~/.config/yubin/age.txt".to_owned(), vec![("HOME", home.as_str())]),
        ("keys/age.txt".to_owned(), vec![]),
    ] {
        let world = stored_clear(&format!("secrets: {{ identities: [{identities}] }}\n"));
        private(&world, "keys/age.txt", &mine_text);
        declare(&world, "a.yaml", &ways_to_write(&armour)[0].1);
        assert!(gives_clear(&world, &variables), "{identities} {variables:?}");
        // Relative to yubin.yaml, wherever the program runs.
        fs::create_dir(world.file("below")).unwrap();
        let mut command = world.command(&["plan", "--exit-code"]);
        let run = Run::of(command.envs(variables).current_dir(world.file("below")).output().unwrap());
        assert_eq!(run.code, 0, "{identities}: {}", run.stderr);
        hidden(&run, &[CLEAR, &mine_key]);
    }
}

#[test]
fn ssh_keys_open_what_age_seals_for_them() {
    for options in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"]] {
        let identity = Identity::ssh(options);
        let world = stored_clear(&format!("secrets: {{ identities: [{}] }}\n", identity.path()));
        for (file, source) in ways_to_write(&identity.armour(CLEAR)) {
            declare(&world, file, &source);
            assert!(gives_clear(&world, &[]), "{options:?}");
        }
    }
}

#[test]
fn age_text_that_no_identity_opens_is_missing() {
    let (mine, other) = (Identity::age(), Identity::age());
    let world = stored_clear("");
    let key = other.key();
    let armour = mine.armour(CLEAR);
    let [literal, ..] = ways_to_write(&armour);
    for (variables, source) in [
        (vec![], &literal.1),
        (vec![("YUBIN_AGE_KEY", key.as_str())], &literal.1),
        (vec![("YUBIN_AGE_KEY", key.as_str())], &account("{ file: x.age }")),
    ] {
        world.write("x.age", &armour);
        declare(&world, "a.yaml", source);
        world.expect(0, &["check"]);
        let plan = told(&world, 3, &variables, &["plan"]);
        assert_eq!(codes(&plan), ["secret/missing"], "{variables:?}");
        hidden(&expect_with(&world, 3, &variables, &["plan", "-v"]), &[&key]);
    }
    // What is no age text at all, or was cut off or altered.
    let own = mine.key();
    let cut = concat(armour.lines().take(4), |line| format!("{line}\n"));
    let middle = armour.lines().nth(2).unwrap();
    let altered = armour.replace(middle, &middle.chars().rev().collect::<String>());
    for text in ["nonsense", "", &cut, &altered] {
        declare(&world, "a.yaml", &ways_to_write(text)[1].1);
        let plan = told(&world, 3, &[("YUBIN_AGE_KEY", &own)], &["plan"]);
        assert_eq!(codes(&plan).len(), 1, "{plan}");
        assert!(["secret/form", "secret/missing"].contains(&codes(&plan)[0].as_str()), "{plan}");
        world.write("x.age", text);
        declare(&world, "a.yaml", &account("{ file: x.age }"));
        assert_eq!(codes(&told(&world, 3, &[("YUBIN_AGE_KEY", &own)], &["plan"])), ["secret/missing"]);
    }
}

// --- Problems --------------------------------------------------------------------------------

/// Every kind of problem, each in its place, whatever else is wrong.
#[test]
fn all_problems_come_in_one_run() {
    const CANARY: &str = "Kanarie-stderr-3Wm8";
    let (mine, other) = (Identity::age(), Identity::age());
    let tools = World::new();
    let failing = script(&tools, "failing", &format!("echo {CANARY}; echo {CANARY} >&2; exit 3"));
    let world = World::project(
        "generic",
        &format!(
            "secrets:
  identities: [{}]
  commands:
    - [printf, '%s', '*']
    - ['false']
    - ['true']
    - [echo]
    - [no-such-program-of-yubin]
    - [{failing}]
",
            mine.path()
        ),
    );
    private(&world, "empty", "\n");
    private(&world, "latin1", "");
    fs::write(world.file("latin1"), b"p\xe9ss").unwrap();
    fs::create_dir(world.file("folder")).unwrap();
    symlink("/etc/hostname", world.file("link")).unwrap();
    let armour = other.armour(CANARY);
    private(&world, "other.age", &armour);
    let quoted = armour.replace('\n', "\\n");
    let (own, seen) = ("incoming.password", true);
    let rows = [
        (own, "{ env: NOT_SET }", "secret/missing", false),
        (own, "{ env: EMPTY }", "secret/missing", false),
        (own, "{ env: YUBIN_KEY }", "secret/form", seen),
        (own, "{ env: YUBIN_AGE_KEY }", "secret/form", seen),
        (own, "{ file: missing }", "secret/missing", false),
        (own, "{ file: empty }", "secret/missing", false),
        (own, "{ file: latin1 }", "secret/missing", false),
        (own, "{ file: folder }", "secret/missing", false),
        (own, "{ file: other.age }", "secret/missing", false),
        (own, "{ file: missing.age }", "secret/missing", false),
        (own, "{ file: link }", "secret/outside", false),
        (own, "{ file: /etc/hostname }", "secret/outside", seen),
        (own, "{ file: ../pw }", "secret/outside", seen),
        (own, "{ command: ['false'] }", "secret/missing", false),
        (own, "{ command: ['true'] }", "secret/missing", false),
        (own, "{ command: [echo] }", "secret/missing", false),
        (own, "{ command: [no-such-program-of-yubin] }", "secret/missing", false),
        (own, &format!("{{ command: [{failing}] }}"), "secret/missing", false),
        (own, &format!("{{ command: [{failing}, x] }}"), "secret/command", seen),
        (own, "{ command: [printf, '%d', '7'] }", "secret/command", seen),
        (own, "{ command: [printf, '%s'] }", "secret/command", seen),
        (own, &format!("{{ age: \"{quoted}\" }}"), "secret/missing", false),
        (own, "{ hash: '{SHA512-CRYPT}$6$salt$hash' }", "secret/form", seen),
        ("outgoing.auth.password", "{ hash: '{SHA512-CRYPT}$6$salt$hash' }", "secret/form", seen),
        ("password", "{ hash: no scheme }", "secret/form", seen),
    ];
    let mut yaml = "accounts:\n".to_owned();
    let mut expected = Vec::new();
    for (number, (field, reference, code, by_check)) in rows.iter().enumerate() {
        let start = format!("  y{number:02}: {{ {field}: ");
        let problem = format!("{code} a.yaml:{}:{} account/y{number:02} {field}", number + 2, start.len() + 1);
        expected.push((problem, *by_check));
        writeln!(yaml, "{start}{reference} }}").unwrap();
    }
    world.write("a.yaml", yaml);
    // Lines go on behind a cell of several.
    let next = 2 + armour.trim_end().lines().count();
    world.write(
        "b.csv",
        format!(
            "name,incoming.password\nz0,\"${{age:{}}}\"\nz1,${{env:NOT_SET}}\nz2,${{command:pass}}\nz3,{}\n",
            armour.trim_end(),
            "${hash:{SHA512-CRYPT}$6$salt$hash}"
        ),
    );
    for (number, (line, code, by_check)) in [
        (2, "secret/missing", false),
        (next, "secret/missing", false),
        (next + 1, "secret/form", seen),
        (next + 2, "secret/form", seen),
    ]
    .into_iter()
    .enumerate()
    {
        expected.push((format!("{code} b.csv:{line}:4 account/z{number} incoming.password"), by_check));
    }
    let checked: Vec<&String> = expected.iter().filter(|(_, by_check)| *by_check).map(|(line, _)| line).collect();
    let all: Vec<&String> = expected.iter().map(|(line, _)| line).collect();
    assert_eq!(problems(&world.json(3, &["check"]), "error").iter().collect::<Vec<_>>(), checked);
    for args in [&["plan"][..], &["apply", "--yes"]] {
        assert_eq!(problems(&told(&world, 3, &[("EMPTY", "")], args), "error").iter().collect::<Vec<_>>(), all);
    }
    hidden(&run_with(&world, &[("EMPTY", "")], &["plan", "-v"]), &[CANARY]);
    assert!(!world.file("yubin.db").exists() && !world.file("yubin.db.key").exists());
}

#[test]
fn what_is_no_reference_is_said_by_check() {
    for reference in [
        "{ command: pass }",
        "{ command: [] }",
        "{ command: [[pass]] }",
        "{ command: { pass: show } }",
        "{ age: [x] }",
        "{ hash: [x] }",
        "{ env: A, file: b }",
        "{ env: YUBIN_TOKEN }",
        "{ password: x }",
    ] {
        let world = World::project("generic", "secrets: { commands: [[pass]] }\n");
        world.write("a.yaml", format!("accounts:\n  a:\n    password: {reference}\n"));
        let checked = world.json(3, &["check"]);
        assert_eq!(codes(&checked), ["secret/form"], "{reference}");
        assert_eq!(checked["diagnostics"][0]["line"], 3, "{reference}");
    }
}

#[test]
fn what_is_wrong_with_secrets_of_the_project_is_said_with_its_place() {
    let world = World::project(
        "generic",
        "secrets: { commands: [[pass, '*']], paths: [/run/secrets, ../x], recipients: [], identities: [~/missing] }\n",
    );
    world.write("a.yaml", "accounts: {}\n");
    world.expect(0, &["check", "--strict"]);
    for secrets in [
        "{ command: [[pass]] }",
        "{ commands: [pass] }",
        "{ commands: [[]] }",
        "{ commands: pass }",
        "{ paths: /run/secrets }",
        "{ recipients: [nobody] }",
        "{ identities: x }",
        "x",
    ] {
        let world = World::project("generic", &format!("secrets: {secrets}\n"));
        world.write("a.yaml", "accounts: {}\n");
        let checked = world.json(3, &["check"]);
        let found = problems(&checked, "error");
        assert!(found.len() == 1 && found[0].contains(" yubin.yaml:4:"), "{secrets}: {found:?}");
    }
}

/// `check` needs no secret, and other commands do not fetch any.
#[test]
fn only_plan_and_apply_fetch_secrets() {
    let tools = World::new();
    let log = tools.file("log").display().to_string();
    let get = script(&tools, "get", &format!("echo run >> {log}; echo secret"));
    let world = World::project("generic", &format!("secrets: {{ commands: [[{get}]] }}\n"));
    world.write("a.yaml", account(&format!("{{ command: [{get}] }}")));
    world.expect(0, &["check", "--strict"]);
    assert!(!tools.file("log").exists());
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(lines_of(&tools, "log"), ["run"]);
    for args in [
        &["check"][..],
        &["show"],
        &["log"],
        &["log", "account/a"],
        &["export", "yaml"],
        &["export", "csv"],
        &["explain", "generic"],
        &["import", "yaml", "a.yaml"],
    ] {
        world.expect(0, args);
    }
    assert_eq!(lines_of(&tools, "log"), ["run"]);
    world.write("b.yaml", "accounts: { b: { password: { env: NOT_SET }, incoming.password: { file: missing } } }\n");
    world.expect(0, &["check"]);
}

// --- Files -----------------------------------------------------------------------------------

#[test]
fn a_file_that_others_may_read_is_a_warning_with_its_place() {
    let world = World::project("generic", "");
    let mut yaml = "accounts:\n".to_owned();
    let mut expected = Vec::new();
    for (number, mode) in [0o644, 0o640, 0o604, 0o660, 0o600, 0o400].into_iter().enumerate() {
        private(&world, &format!("pw{number}"), "secret");
        fs::set_permissions(world.file(&format!("pw{number}")), fs::Permissions::from_mode(mode)).unwrap();
        writeln!(yaml, "  a{number}: {{ incoming.password: {{ file: pw{number} }} }}").unwrap();
        if mode & 0o077 != 0 {
            let line = number + 2;
            expected.push(format!("secret/permissions a.yaml:{line}:28 account/a{number} incoming.password"));
        }
    }
    world.write("a.yaml", yaml);
    assert_eq!(problems(&world.json(0, &["plan"]), "warning"), expected);
    world.expect(3, &["apply", "--yes", "--strict"]);
    world.expect(0, &["apply", "--yes"]);
}

/// A project beside folders of secrets, with links of every kind.
fn beside_shared(paths: &str) -> World {
    let world = World::new();
    let paths = paths.replace('@', &world.path().display().to_string());
    world.write(
        "project/yubin.yaml",
        format!("version: 1\nname: x\nsystem: generic\nsecrets: {{ paths: [{paths}] }}\n"),
    );
    for name in ["project/pw", "project/sub/pw", "shared/pw", "shared/sub/pw", "shared/..2026/token", "shared-too/pw"] {
        private(&world, name, CLEAR);
    }
    for (target, link) in [
        ("pw", "project/near"),
        ("../shared/pw", "project/link"),
        ("../shared", "project/folder"),
        ("../shared-too/pw", "shared/away"),
        // As Kubernetes mounts them.
        ("..2026", "shared/..data"),
        ("..data/token", "shared/token"),
    ] {
        symlink(target, world.file(link)).unwrap();
    }
    world
}

#[test]
fn a_file_leaves_the_project_only_where_it_may() {
    let (fine, said_by_check, said_by_plan) = ((0, 0), (3, 3), (0, 3));
    for (paths, reference, (check, plan)) in [
        ("", "pw", fine),
        ("", "sub/pw", fine),
        ("", "near", fine),
        ("", "../shared/pw", said_by_check),
        ("", "sub/../../shared/pw", said_by_check),
        ("", "@/shared/pw", said_by_check),
        ("", "link", said_by_plan),
        ("", "folder/pw", said_by_plan),
        ("../shared", "pw", fine),
        ("../shared", "../shared/pw", fine),
        ("../shared", "../shared/sub/pw", fine),
        ("../shared", "@/shared/pw", fine),
        ("../shared", "link", fine),
        ("../shared", "folder/pw", fine),
        ("../shared", "../shared/token", fine),
        ("../shared", "../shared-too/pw", said_by_check),
        ("../shared", "@/shared-too/pw", said_by_check),
        ("../shared", "../shared/../shared-too/pw", said_by_check),
        ("../shared", "../shared/away", said_by_plan),
        ("@/shared", "../shared/pw", fine),
        ("@/shared", "@/shared/sub/pw", fine),
        ("@/shared, ../shared-too", "../shared/away", fine),
        ("@/shared/pw", "../shared/pw", fine),
        ("@/shared/pw", "link", fine),
        ("@/shared/pw", "../shared/sub/pw", said_by_check),
        ("@/no-such-folder", "../shared/pw", said_by_check),
    ] {
        let world = beside_shared(paths);
        let path = reference.replace('@', &world.path().display().to_string());
        world.write("project/a.yaml", account(&format!("{{ file: {path} }}")));
        world.write("project/b.csv", format!("name,incoming.password\nb,${{file:{path}}}\n"));
        for (args, code) in [(&["-C", "project", "check"][..], check), (&["-C", "project", "plan"], plan)] {
            let json = world.json(code, args);
            let expected = if code == 0 { vec![] } else { vec!["secret/outside"; 2] };
            assert_eq!(codes(&json), expected, "{args:?} with paths [{paths}] and {reference}");
        }
        if plan == 3 {
            world.expect(3, &["-C", "project", "apply", "--yes"]);
        }
    }
}

// --- Commands --------------------------------------------------------------------------------

#[test]
fn only_the_commands_of_the_list_are_allowed() {
    for (list, command, allowed) in [
        ("[]", "[pass, show, x]", false),
        ("[[pass, show, x]]", "[pass, show, x]", true),
        ("[[vault, get], [pass, show, x]]", "[pass, show, x]", true),
        ("[[pass, show, x]]", "[pass, show]", false),
        ("[[pass, show, x]]", "[pass, show, x, y]", false),
        ("[[pass, show, x]]", "[pass, show, y]", false),
        ("[[pass, show, x]]", "[pass, SHOW, x]", false),
        ("[[pass, show, x]]", "['pass show', x]", false),
        ("[[pass, show, x]]", "['pass show x']", false),
        ("[[pass, show, x]]", "[/usr/bin/pass, show, x]", false),
        ("[[/usr/bin/pass, show, x]]", "[pass, show, x]", false),
        ("[[pass]]", "[pass]", true),
        ("[[pass]]", "[pass, show]", false),
        // A star is one further word that is no option.
        ("[[pass, show, '*']]", "[pass, show, mail/info]", true),
        ("[[pass, show, '*']]", "[pass, show, 'a b; c']", true),
        ("[[pass, show, '*']]", "[pass, show]", false),
        ("[[pass, show, '*']]", "[pass, show, a, b]", false),
        ("[[pass, show, '*']]", "[pass, show, --clip]", false),
        ("[[pass, show, '*']]", "[pass, show, '-']", false),
        ("[[pass, show, '*']]", "[pass, insert, a]", false),
        ("[[vault, '*', get, '*']]", "[vault, kv, get, a]", true),
        ("[[vault, '*', get, '*']]", "[vault, kv, put, a]", false),
        ("[[vault, --json, '*']]", "[vault, --json, a]", true),
        // Part of a word it is a star like any other.
        ("[[pass, 'mail/*']]", "[pass, mail/info]", false),
        ("[[pass, 'mail/*']]", "[pass, 'mail/*']", true),
        ("[[pass, '**']]", "[pass, mail]", false),
    ] {
        let world = World::project("generic", &format!("secrets: {{ commands: {list} }}\n"));
        world.write("a.yaml", account(&format!("{{ command: {command} }}")));
        let checked = world.json(if allowed { 0 } else { 3 }, &["check"]);
        let expected = if allowed { vec![] } else { vec!["secret/command a.yaml:1:37 account/a incoming.password"] };
        assert_eq!(problems(&checked, "error"), expected, "{list} {command}");
    }
}

#[test]
fn no_shell_reads_a_command() {
    let words =
        ["$(touch made)", "`touch made`", "; touch made", "> made", "a b  c", "*", "$HOME", "~", "'\"\\", "日本 語"];
    let tools = World::new();
    let log = tools.file("log").display().to_string();
    let get = script(&tools, "get", &format!("[ $# = 1 ] && printf '%s\\n' \"$1\" >> {log}; echo secret"));
    let world = World::project("generic", &format!("secrets: {{ commands: [[{get}, '*']] }}\n"));
    let row = |(number, word): (usize, &&str)| {
        format!("  a{number}: {{ incoming.password: {{ command: [{get}, {}] }} }}\n", Json::from(*word))
    };
    world.write("a.yaml", format!("accounts:\n{}", concat(words.iter().enumerate(), row)));
    world.expect(0, &["plan"]);
    let mut expected = words.map(str::to_owned);
    expected.sort();
    assert_eq!(lines_of(&tools, "log"), expected);
    assert!(!world.file("made").exists() && !tools.file("made").exists());
}

#[test]
fn a_command_runs_once_however_many_fields_name_it() {
    let tools = World::new();
    let log = tools.file("log").display().to_string();
    let get = script(&tools, "get", &format!("echo \"$*\" >> {log}; echo \"secret of $*\""));
    let world = World::project("generic", &format!("secrets: {{ commands: [[{get}, '*']] }}\n"));
    let row = |number| {
        let argument = if number < 40 { "one" } else { "two" };
        format!("  a{number}: {{ incoming.password: {{ command: [{get}, {argument}] }} }}\n")
    };
    world.write("a.yaml", format!("accounts:\n{}", concat(0..50, row)));
    world.expect(0, &["plan"]);
    assert_eq!(lines_of(&tools, "log"), ["one", "two"]);
    // To plan and to apply is one run as well.
    tools.remove("log");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(lines_of(&tools, "log"), ["one", "two"]);
    tools.remove("log");
    world.expect(0, &["plan", "--exit-code"]);
    assert_eq!(lines_of(&tools, "log"), ["one", "two"]);
}

#[test]
fn a_command_sees_no_other_secret() {
    let tools = World::new();
    let log = tools.file("log").display().to_string();
    let get = script(&tools, "get", &format!("env >> {log}; echo secret"));
    let identity = Identity::age();
    let world = World::project("generic", &format!("secrets: {{ commands: [[{get}]] }}\n"));
    world.write("a.yaml", account(&format!("{{ command: [{get}] }}")));
    world.write("b.yaml", "accounts: { b: { incoming.password: { env: FIRST_PW } } }\n");
    world.write("c.csv", "name,incoming.password\nc,${env:SECOND_PW}\n");
    let key = "0123456789abcdef".repeat(4);
    let age_key = identity.key();
    let variables = [
        ("YUBIN_KEY", key.as_str()),
        ("YUBIN_AGE_KEY", &age_key),
        ("FIRST_PW", "one"),
        ("SECOND_PW", "two"),
        ("NOTIFY_SOCKET", "/no/such"),
        ("KEPT", "x"),
    ];
    expect_with(&world, 0, &variables, &["apply", "--yes"]);
    let seen = lines_of(&tools, "log");
    assert!(seen.contains(&"KEPT=x".to_owned()), "{seen:?}");
    let told =
        |line: &&String| ["YUBIN_", "FIRST_PW", "SECOND_PW", "NOTIFY_"].iter().any(|name| line.starts_with(name));
    assert_eq!(seen.iter().find(told), None);
}

#[test]
fn a_command_reads_nothing_from_standard_input() {
    let world = World::project("generic", "secrets: { commands: [[cat]] }\n");
    world.write("a.yaml", account("{ command: [cat] }"));
    world.write("input", CLEAR);
    let mut command = world.command(&["plan", "--format", "json"]);
    let run = Run::of(command.stdin(File::open(world.file("input")).unwrap()).output().unwrap());
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert_eq!(codes(&serde_json::from_str(&run.stdout).unwrap()), ["secret/missing"]);
}

#[test]
fn an_output_is_text_of_at_most_64_kib_from_a_command_that_succeeds() {
    let cases = [
        ("full", "head -c 65536 /dev/zero | tr '\\0' x", true),
        ("over", "head -c 65537 /dev/zero | tr '\\0' x", false),
        ("endless", "exec yes Kanarie", false),
        ("latin1", "printf 'p\\351ss'", false),
        ("failed", "echo Kanarie; exit 1", false),
        ("killed", "echo Kanarie; kill -9 $$", false),
        ("newline", "echo", false),
        ("silent", "echo Kanarie >&2", false),
    ];
    let tools = World::new();
    let branches = concat(&cases, |(name, body, _)| format!("{name}) {body} ;;\n"));
    let get = script(&tools, "get", &format!("case $1 in\n{branches}esac"));
    let world = World::project("generic", &format!("secrets: {{ commands: [[{get}, '*']] }}\n"));
    let row = |(name, ..): &(&str, &str, bool)| {
        format!("  {name}: {{ incoming.password: {{ command: [{get}, {name}] }} }}\n")
    };
    world.write("a.yaml", format!("accounts:\n{}", concat(&cases, row)));
    let start = Instant::now();
    let run = world.expect(3, &["plan", "--format", "json"]);
    assert!(start.elapsed() < Duration::from_secs(15), "it waited for the end of what has none");
    hidden(&run, &["Kanarie"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    let expected: Vec<String> = cases
        .iter()
        .enumerate()
        .filter(|(_, (.., fine))| !fine)
        .map(|(at, (name, ..))| {
            format!("secret/missing a.yaml:{}:{} account/{name} incoming.password", at + 2, name.len() + 26)
        })
        .collect();
    assert_eq!(problems(&plan, "error"), expected);
    hidden(&world.expect(3, &["plan", "-v"]), &["Kanarie"]);
}

#[test]
fn programs_are_found_beside_yubin_yaml_or_in_absolute_folders_of_path() {
    let tools = World::new();
    let echo = format!("echo '{CLEAR}'");
    script(&tools, "yubin-test-get", &echo);
    let found = format!("{}:/usr/bin:/bin", tools.path().display());
    for (command, path, code) in [
        ("yubin-test-get", found.as_str(), 0),
        ("yubin-test-get", "/usr/bin:/bin", 3),
        // Whoever can write to the project would be run.
        ("yubin-test-get", "bin:.:/usr/bin:/bin", 3),
        ("yubin-test-get", ":bin:/usr/bin:/bin", 3),
        ("./bin/yubin-test-get", "/usr/bin:/bin", 0),
        ("bin/yubin-test-get", "/usr/bin:/bin", 0),
    ] {
        let world = stored_clear(&format!("secrets: {{ commands: [[{command}]] }}\n"));
        fs::create_dir_all(world.file("bin/below")).unwrap();
        script(&world, "bin/yubin-test-get", &echo);
        script(&world, "yubin-test-get", &echo);
        declare(&world, "a.yaml", &account(&format!("{{ command: [{command}] }}")));
        for folder in ["", "bin", "bin/below"] {
            let mut program = world.command(&["plan", "--exit-code"]);
            let run = Run::of(program.env("PATH", path).current_dir(world.file(folder)).output().unwrap());
            assert_eq!(run.code, code, "{command} with {path} in {folder:?}: {}", run.stderr);
            assert!(code == 0 || run.stderr.contains("secret/missing"), "{}", run.stderr);
        }
    }
}

#[test]
fn a_saved_plan_lapses_when_a_secret_changes_at_its_source() {
    let identity = Identity::age();
    let tools = World::new();
    let get = script(&tools, "get", &format!("cat {}", tools.file("pw").display()));
    for reference in [format!("{{ command: [{get}] }}"), "{ file: x.age }".to_owned()] {
        let world = World::project(
            "generic",
            &format!("secrets: {{ commands: [[{get}]], identities: [{}] }}\n", identity.path()),
        );
        let change = |text: &str| {
            tools.write("pw", text);
            world.write("x.age", identity.armour(text));
        };
        world.write("a.yaml", account(&reference));
        change("one");
        world.expect(0, &["plan", "--out", "plan.json"]);
        change("two");
        world.expect(5, &["apply", "plan.json"]);
        // Encrypted anew it is the same secret.
        change("one");
        world.expect(0, &["apply", "plan.json"]);
    }
}

// --- Hashes ----------------------------------------------------------------------------------

/// What these are hashes of.
const HASHED: &str = "Korrekt-Pferd-7-Batterie";

/// Made by `argon2` and `openssl passwd`.
const HASHES: [&str; 2] = [
    "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$U2FsdFNhbHRTYWx0MTIzNA$eXQV8xXz0VsPvBkFAh22JODzF8gCvHydi4flH3RyWuw",
    "{SHA512-CRYPT}$6$Zq3xT9bLmR4s$wv78n2SNJx0s2ukpcbXMGr5k00wj0qAVMbHSPfzn3JhL8XzZeImY1/LkewTxlq5Bj4DSt.KfIEMSkGqWfN2fg/",
];

#[test]
fn a_hash_is_stored_as_it_is_written() {
    for hash in HASHES {
        for (file, text) in [
            ("a.yaml", format!("accounts: {{ a: {{ password: {{ hash: \"{hash}\" }} }} }}\n")),
            ("a.csv", format!("name,password\na,\"${{hash:{hash}}}\"\n")),
        ] {
            let world = World::project("generic", "policy: { plaintext_secrets: deny }\n");
            world.write(file, text);
            assert_eq!(world.json(0, &["check"])["diagnostics"].as_array().unwrap().len(), 0);
            for args in [&["plan"][..], &["plan", "--format", "json"], &["apply", "--yes"], &["show"]] {
                hidden(&world.expect(0, args), &[hash, &hash[20..]]);
            }
            let stored: String =
                database(&world).query_row("SELECT password FROM account", [], |row| row.get(0)).unwrap();
            assert_eq!(stored, hash);
            assert_eq!(shown(&world, "account/a"), serde_json::json!({ "password": { "secret": true } }));
            world.expect(0, &["plan", "--exit-code"]);
            // The password itself is no change, and any other is.
            declare(&world, "a.yaml", "accounts: { a: { password: { env: PW } } }\n");
            expect_with(&world, 0, &[("PW", HASHED)], &["plan", "--exit-code"]);
            expect_with(&world, 2, &[("PW", "Falsches-Pferd-8-Batterie")], &["plan", "--exit-code"]);
            let salted = hash.replace("eXQV", "eXQW").replace("wv78", "wv79");
            declare(&world, "a.yaml", &format!("accounts: {{ a: {{ password: {{ hash: \"{salted}\" }} }} }}\n"));
            world.expect(2, &["plan", "--exit-code"]);
        }
    }
}

#[test]
fn a_hash_is_for_mailbox_passwords_only() {
    let hash = HASHES[1];
    for text in [
        "accounts:\n  a: { incoming.password: HASH }\n",
        "accounts:\n  a: { outgoing.auth.password: HASH }\n",
        "patterns:\n  u: { p: { incoming.password: HASH } }\n",
        "patterns:\n  u: { p: { outgoing.auth.password: HASH } }\n",
        "servers:\n  s: { outgoing.auth.password: HASH }\n",
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", text.replace("HASH", &format!("{{ hash: \"{hash}\" }}")));
        for args in [&["check"][..], &["plan"]] {
            let found = world.json(3, args);
            assert_eq!(codes(&found), ["secret/form"], "{text}");
            assert_eq!(found["diagnostics"][0]["line"], 2, "{text}");
        }
    }
}

#[test]
fn a_hash_that_is_easily_guessed_is_a_warning_and_clear_text_an_error() {
    let world = World::project("generic", "policy: { plaintext_secrets: allow }\n");
    let written =
        |hash: &str| world.write("a.yaml", format!("accounts:\n  a: {{ password: {{ hash: \"{hash}\" }} }}\n"));
    for hash in [
        "{MD5-CRYPT}$1$abcdefgh$cHf0s5Fxd4gq8vbXPFTvt1",
        "{SSHA}oUHNkJmyqgEMrkT1HFoCz9Ky6nhzYWx0c2FsdA==",
        "{CRAM-MD5}8ebd45bf0fa8a1f2b1f4e5d2a83ef85a0f41e6a6f1b14cd2b5a9b1b0d7b1e2c3",
    ] {
        written(hash);
        let plan = world.json(0, &["plan"]);
        assert_eq!(problems(&plan, "warning"), ["secret/weak-hash a.yaml:2:18 account/a password"], "{hash}");
        world.expect(3, &["plan", "--strict"]);
    }
    for scheme in ["{PLAIN}", "{CLEARTEXT}", "{CLEAR}", "{plain}"] {
        written(&format!("{scheme}Kanarie"));
        for args in [&["check"][..], &["plan"]] {
            let found = world.json(3, args);
            assert_eq!(problems(&found, "error"), ["secret/plaintext a.yaml:2:18 account/a password"], "{scheme}");
            hidden(&world.expect(3, args), &["Kanarie"]);
        }
    }
    // Clear text in another coat, and what has no scheme or no hash.
    for hash in ["{PLAIN.B64}S2FuYXJpZQ==", "{CLEAR.HEX}4b616e61726965", "Kanarie", "{}Kanarie", "{ARGON2ID", ""] {
        written(hash);
        let found = codes(&world.json(3, &["check"]));
        assert!(found == ["secret/form"] || found == ["secret/plaintext"], "{hash}: {found:?}");
        hidden(&world.expect(3, &["check"]), &["Kanarie", "S2FuYXJpZQ", "4b616e61726965"]);
    }
}

/// A record that is recognised says what it said before: nothing, or the same again.
#[test]
fn records_that_are_recognised_are_spoken_of_as_before() {
    let world = World::project("generic", "sources: [a.csv]\n");
    private(&world, "pw", "x");
    world.write(
        "a.csv",
        concat!(
            "name,password,incoming.password\n",
            "a,,${env:PW}\n",
            "b,,${file:pw}\n",
            "c,\"${hash:{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$qfu2h2EkFFzoYVb9F69yFw$6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY}\",\n",
        ),
    );
    let pw = [("PW", "open sesame")];
    expect_with(&world, 0, &pw, &["apply", "--yes", "--strict"]);
    for _ in 0..2 {
        expect_with(&world, 0, &pw, &["plan", "--exit-code", "--strict"]);
    }
    world.write("a.csv", "name,password\nd,${hash:{SSHA}bm90IGEgcmVhbCBoYXNo}\n");
    world.expect(0, &["apply", "--yes"]);
    for _ in 0..2 {
        let run = world.expect(0, &["apply", "--yes"]);
        assert!(run.stderr.contains("secret/weak-hash"), "{}", run.stderr);
    }
    world.write("a.csv", "name,incoming.password\ne,in clear\n");
    world.expect(0, &["apply", "--yes"]);
    for _ in 0..2 {
        let run = world.expect(0, &["plan"]);
        assert!(run.stderr.contains("secret/plaintext") && run.stderr.contains("a.csv:2"), "{}", run.stderr);
    }
    // What is denied from now on is found again.
    world.write("yubin.yaml", "version: 1\nname: head-office\nsources: [a.csv]\npolicy: { plaintext_secrets: deny }\n");
    world.expect(3, &["plan"]);
}

/// Not every machine has all the identities of a project; one that is named by hand must be there.
#[test]
fn identities_that_are_not_here_are_passed_over() {
    let identity = Identity::age();
    let world = World::project("generic", "secrets: { identities: [~/no/such/age.txt, nor/this] }\n");
    world.write("a.yaml", account(&format!("{{ age: \"{}\" }}", identity.armour("Kanarie").replace('\n', "\\n"))));
    let path = identity.path();
    expect_with(&world, 0, &[("YUBIN_AGE_KEY_FILE", &path)], &["plan"]);
    let run = world.run(&["plan"]);
    assert!(run.code == 3 && run.stderr.contains("secret/missing"), "{}", run.stderr);
    let run = run_with(&world, &[("YUBIN_AGE_KEY_FILE", "no/such")], &["plan"]);
    assert!(run.code == 3 && run.stderr.contains("YUBIN_AGE_KEY_FILE"), "{}", run.stderr);
}

#[test]
fn yubins_own_files_and_large_ones_are_no_passwords() {
    let world = World::project("generic", "");
    world.write("a.yaml", account("{ env: PW }"));
    expect_with(&world, 0, &[("PW", "x")], &["apply", "--yes"]);
    private(&world, "large", &"x".repeat(70_000));
    for (name, code) in
        [("yubin.db.key", "secret/outside"), ("yubin.db", "secret/outside"), ("large", "secret/missing")]
    {
        world.write("a.yaml", account(&format!("{{ file: {name} }}")));
        let run = world.run(&["plan"]);
        assert!(run.code == 3 && run.stderr.contains(code), "{name}: {}", run.stderr);
    }
}
