//! `yubin secret encrypt`, `decrypt`, `rotate`, `edit` and `generate`.

use std::collections::BTreeSet;
use std::fs;

use super::secret_sources::{Identity, foreign, hidden, lines_of, script, sealed};
use super::{concat, expect_with, mode, private};
use crate::support::{Run, World};

const CLEAR: &str = "Kanarie 4711, \"Xq7\": ü";

const HEAD: &str = "-----BEGIN AGE ENCRYPTED FILE-----\n";
const TAIL: &str = "-----END AGE ENCRYPTED FILE-----\n";

/// A run with this on standard input.
fn fed(world: &World, input: impl AsRef<[u8]>, variables: &[(&str, &str)], args: &[&str]) -> Run {
    world.write(".input", input);
    let mut command = world.command(args);
    command.stdin(fs::File::open(world.file(".input")).unwrap()).envs(variables.iter().copied());
    let output = command.output().unwrap();
    world.remove(".input");
    Run::of(output)
}

#[track_caller]
fn fed_well(world: &World, input: impl AsRef<[u8]>, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let run = fed(world, input, variables, args);
    assert_eq!(run.code, 0, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
    run
}

/// It fails, says why, gives nothing, and shows nothing.
#[track_caller]
fn fails(run: &Run, codes: &[i32]) {
    assert!(codes.contains(&run.code), "exit {}: {}\n{}", run.code, run.stdout, run.stderr);
    assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{}\n{}", run.stdout, run.stderr);
    hidden(run, &[CLEAR, "AGE-SECRET-KEY"]);
}

/// All files below the world, and what they hold.
fn files(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![world.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn project(recipients: &[&Identity], identities: &[&Identity]) -> World {
    let recipients = concat(recipients, |one| format!("    - {}\n", one.recipient));
    let identities = concat(identities, |one| format!("    - {}\n", one.path()));
    World::project("generic", &format!("secrets:\n  recipients:\n{recipients}  identities:\n{identities}"))
}

fn keys() -> [Identity; 3] {
    [Identity::age(), Identity::ssh(&["-t", "ed25519"]), Identity::ssh(&["-t", "rsa", "-b", "2048"])]
}

// --- encrypt and decrypt ---------------------------------------------------------------------

#[test]
fn age_opens_what_yubin_encrypts() {
    let [age, ed25519, rsa] = keys();
    let world = project(&[&age, &ed25519, &rsa], &[&age]);
    let run = fed_well(&world, CLEAR, &[], &["secret", "encrypt"]);
    assert!(run.stdout.starts_with(HEAD) && run.stdout.ends_with(TAIL), "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.len() <= 64), "{}", run.stdout);
    hidden(&run, &[CLEAR]);
    for identity in [&age, &ed25519, &rsa] {
        assert_eq!(identity.open(&run.stdout).as_deref(), Some(CLEAR), "{}", identity.recipient);
    }
    // The same text never looks the same.
    assert_ne!(fed_well(&world, CLEAR, &[], &["secret", "encrypt"]).stdout, run.stdout);
    // With `-r` the project is not asked, and need not be there.
    for world in [&world, &World::new()] {
        let args = ["secret", "encrypt", "-r", &ed25519.recipient, "-r", &rsa.recipient];
        let armour = fed_well(world, CLEAR, &[], &args).stdout;
        assert_eq!(age.open(&armour), None);
        assert_eq!(ed25519.open(&armour).as_deref(), Some(CLEAR));
        assert_eq!(rsa.open(&armour).as_deref(), Some(CLEAR));
    }
    let run = fed_well(&world, CLEAR, &[], &["secret", "encrypt", "--out", "new.age"]);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    let armour = fs::read(world.file("new.age")).unwrap();
    assert!(armour.starts_with(HEAD.as_bytes()));
    assert_eq!(age.open(armour).as_deref(), Some(CLEAR));
}

#[test]
fn yubin_opens_what_age_encrypts() {
    for identity in &keys() {
        let world = project(&[], &[identity]);
        let stranger = Identity::age();
        for options in [&["-a"][..], &[]] {
            // For several recipients, too.
            let bytes = sealed(CLEAR, options, &[&stranger.recipient, &identity.recipient]);
            world.write("x.age", &bytes);
            for run in [
                fed_well(&world, &bytes, &[], &["secret", "decrypt"]),
                world.expect(0, &["secret", "decrypt", "x.age"]),
            ] {
                assert_eq!(run.stdout, CLEAR, "{options:?}");
                hidden(&run, &["AGE-SECRET-KEY"]);
            }
        }
    }
    // With an identity of the environment no project is needed.
    let identity = Identity::age();
    let (key, path) = (identity.key(), identity.path());
    for variable in [("YUBIN_AGE_KEY", key.as_str()), ("YUBIN_AGE_KEY_FILE", path.as_str())] {
        let run = fed_well(&World::new(), identity.armour(CLEAR), &[variable], &["secret", "decrypt"]);
        assert_eq!(run.stdout, CLEAR);
    }
}

#[test]
fn what_cannot_be_encrypted_is_said() {
    let identity = Identity::age();
    let none = World::project("generic", "");
    fails(&fed(&none, CLEAR, &[], &["secret", "encrypt"]), &[64]);
    fails(&fed(&none, CLEAR, &[], &["secret", "encrypt", "--out", "x.age"]), &[64]);
    assert!(!none.file("x.age").exists());
    for recipient in
        ["nobody", "", "age1", &identity.recipient.replace("age1", "age2"), &identity.key(), "ssh-ed25519 x"]
    {
        let run = fed(&none, CLEAR, &[], &["secret", "encrypt", "-r", &identity.recipient, "-r", recipient]);
        fails(&run, &[3, 64]);
        // One that is wrong among the project's.
        let list = format!("secrets: {{ recipients: [{}, '{recipient}'] }}\n", identity.recipient);
        fails(&fed(&World::project("generic", &list), CLEAR, &[], &["secret", "encrypt"]), &[3]);
    }
    for args in [&["secret"][..], &["secret", "frobnicate"], &["secret", "encrypt", "x", "y"]] {
        assert_eq!(fed(&none, CLEAR, &[], args).code, 64, "{args:?}");
    }
}

#[test]
fn what_cannot_be_decrypted_is_said() {
    let (mine, other) = (Identity::age(), Identity::age());
    let armour = mine.armour(CLEAR);
    let binary = sealed(CLEAR, &[], &[&mine.recipient]);
    let middle = armour.lines().nth(2).unwrap();
    let altered = armour.replace(middle, &middle.chars().rev().collect::<String>());
    let with_key = project(&[], &[&mine]);
    let cut = armour.len() - TAIL.len();
    let mut last = binary.clone();
    *last.last_mut().unwrap() ^= 1;
    for input in
        [b"".as_slice(), b"nonsense", &armour.as_bytes()[..cut], altered.as_bytes(), &binary[..binary.len() - 1], &last]
    {
        fails(&fed(&with_key, input, &[], &["secret", "decrypt"]), &[1, 3]);
    }
    for world in [project(&[], &[&other]), World::project("generic", "")] {
        fails(&fed(&world, &armour, &[], &["secret", "decrypt"]), &[1, 3]);
        fails(&fed(&world, &binary, &[], &["secret", "decrypt"]), &[1, 3]);
    }
    fails(&with_key.run(&["secret", "decrypt", "missing.age"]), &[1, 3]);
}

// --- rotate ----------------------------------------------------------------------------------

/// As the literal of a YAML block.
fn literal(armour: &str) -> String {
    armour.lines().map(|line| format!("          {line}")).collect::<Vec<_>>().join("\n")
}

/// As a YAML text in double quotes.
fn escaped(armour: &str) -> String {
    armour.replace('\n', "\\n")
}

/// A source in which each value stands at a `@`, and how it is written there.
type Template = (&'static str, Vec<u8>, fn(&str) -> String);

/// With what an editor of text could trip over.
fn templates(comment: &str) -> [Template; 5] {
    let block = format!(
        "# was: {{ age: \"{comment}\" }}
defaults:   # odd   blanks\x20
  accounts: {{comment: 'it''s',  }}

accounts:
  a:
    label:   \"x\"
    incoming.password:
      age: |   # sealed
@

    # behind
  b:
    incoming.password: &shared
      age: |-
@
  b2: {{incoming.password: *shared}}
  c:   {{ }}
"
    );
    let quoted = r#"---
patterns:
  u: {p: {incoming: { password: {age:   "@"  } , username: "\x41"}, outgoing: {auth: { password: { env: PW, } } } } }
  v:
    "p":
      'incoming.password': { "age": "@" }   # behind
...
"#;
    let bom = "\u{feff}name,comment,incoming.password,label\r\nd,\"a \"\"b\"\"\",\"${age:@}\",x\r\n\r\ne,,\"${age:@}\",\"\"\r\nf,${env:x},,";
    // 代表 and 表 in Shift_JIS, where they end in what is a backslash elsewhere.
    let sjis = b"name,comment,incoming.password\ng,\x91\xe3\x95\x5c,\"${age:@}\"\nh,\x95\x5c,${env:PW}\n";
    let files = "accounts: { i: { incoming.password: {file: x.age} }, j: { incoming.password: { file: x.age } },
  k: { incoming.password: {file: sub/y.age} } }\n";
    [
        ("a.yaml", block.into_bytes(), literal),
        ("b.yml", quoted.into(), escaped),
        ("c.csv", bom.into(), |armour| armour.trim_end().to_owned()),
        ("d.csv", sjis.into(), str::to_owned),
        ("e.yaml", files.into(), str::to_owned),
    ]
}

/// The template with a value at each `@`.
fn filled(template: &[u8], value: impl FnMut() -> String) -> Vec<u8> {
    let pieces: Vec<&[u8]> = template.split(|byte| *byte == b'@').collect();
    let mut values: Vec<String> = std::iter::repeat_with(value).take(pieces.len() - 1).collect();
    values.push(String::new());
    pieces.into_iter().zip(values).flat_map(|(piece, value)| [piece, value.as_bytes()].concat()).collect()
}

/// The values at the places of `@`; everything around them must stand as in the template.
#[track_caller]
fn values(name: &str, template: &[u8], text: &[u8]) -> Vec<String> {
    let pieces: Vec<&[u8]> = template.split(|byte| *byte == b'@').collect();
    let mut rest = text.strip_prefix(pieces[0]).unwrap_or_else(|| panic!("{name} begins otherwise"));
    let mut found = Vec::new();
    for (at, piece) in pieces[1..].iter().enumerate() {
        let end = if at + 2 == pieces.len() {
            rest.ends_with(piece).then(|| rest.len() - piece.len())
        } else {
            memchr::memmem::find(rest, piece)
        };
        let end = end.unwrap_or_else(|| panic!("{name}, behind value {at}: {}", String::from_utf8_lossy(rest)));
        found.push(String::from_utf8(rest[..end].to_vec()).unwrap());
        rest = &rest[end + piece.len()..];
    }
    assert!(rest.is_empty(), "{name} goes on: {}", String::from_utf8_lossy(rest));
    found
}

/// The armour that a value holds, however it is written.
fn armour_of(value: &str) -> String {
    let lines = value.replace("\\n", "\n");
    concat(lines.lines().map(str::trim).filter(|line| !line.is_empty()), |line| format!("{line}\n"))
}

/// A project whose values only `old` opens, and whose recipients are others.
fn to_rotate(old: &Identity, new: &[&Identity]) -> (World, Vec<(&'static str, Vec<u8>)>) {
    let identities: Vec<&Identity> = [old].into_iter().chain(new.iter().copied()).collect();
    let world = project(new, &identities);
    let config = fs::read_to_string(world.file("yubin.yaml")).unwrap();
    let sources = "sources: [a.yaml, b.yml, c.csv, { path: d.csv, encoding: shift_jis }, e.yaml]\n";
    world.write("yubin.yaml", config + sources);
    let mut number = 0;
    let mut written = Vec::new();
    // In a comment it is no value.
    for (name, template, write) in templates(&escaped(&old.armour("gone"))) {
        let next = || {
            number += 1;
            write(&old.armour(&format!("Kanarie-{number}")))
        };
        world.write(name, filled(&template, next));
        written.push((name, template));
    }
    private(&world, "x.age", &old.armour("Kanarie-x"));
    world.write("sub/y.age", sealed("Kanarie-y", &[], &[&old.recipient]));
    world.write("unnamed.age", old.armour("unnamed"));
    (world, written)
}

const VARIABLES: &[(&str, &str)] = &[("PW", "x")];

#[test]
fn rotate_seals_every_value_anew_and_leaves_the_rest_byte_for_byte() {
    let (old, new, ssh) = (Identity::age(), Identity::age(), Identity::ssh(&["-t", "ed25519"]));
    let (world, templates) = to_rotate(&old, &[&new, &ssh]);
    expect_with(&world, 0, VARIABLES, &["apply", "--yes"]);
    let (unnamed, config) = (fs::read(world.file("unnamed.age")).unwrap(), fs::read(world.file("yubin.yaml")).unwrap());
    let before = files(&world);
    let run = world.expect(0, &["secret", "rotate", "--dry-run"]);
    hidden(&run, &["Kanarie-", "AGE-SECRET-KEY"]);
    assert_eq!(files(&world), before, "a dry run wrote");

    let run = world.expect(0, &["secret", "rotate"]);
    hidden(&run, &["Kanarie-", "AGE-SECRET-KEY"]);
    let mut number = 0;
    for (name, template) in &templates {
        for value in values(name, template, &fs::read(world.file(name)).unwrap()) {
            number += 1;
            let armour = armour_of(&value);
            assert!(armour.starts_with(HEAD) && armour.ends_with(TAIL), "{name}: {value}");
            for identity in [&new, &ssh] {
                assert_eq!(identity.open(&armour), Some(format!("Kanarie-{number}")), "{name}");
            }
            assert_eq!(old.open(&armour), None, "{name}");
        }
    }
    assert_eq!(number, 7);
    for (name, text, armoured) in [("x.age", "Kanarie-x", true), ("sub/y.age", "Kanarie-y", false)] {
        let bytes = fs::read(world.file(name)).unwrap();
        assert_eq!((new.open(&bytes).as_deref(), old.open(&bytes)), (Some(text), None), "{name}");
        assert_eq!(bytes.starts_with(HEAD.as_bytes()), armoured, "{name} has another form");
    }
    assert_eq!(mode(&world, "x.age"), 0o600);
    assert_eq!(fs::read(world.file("unnamed.age")).unwrap(), unnamed);
    assert_eq!(fs::read(world.file("yubin.yaml")).unwrap(), config);
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&files(&world)), names(&before), "something was left behind");
    // The secrets are the same as before.
    expect_with(&world, 0, VARIABLES, &["plan", "--exit-code"]);
    // Once more, now that the old key is gone.
    let config = String::from_utf8(config).unwrap().replace(&format!("    - {}\n", old.path()), "");
    world.write("yubin.yaml", config);
    world.expect(0, &["secret", "rotate"]);
    expect_with(&world, 0, VARIABLES, &["plan", "--exit-code"]);
}

#[test]
fn rotate_changes_all_or_nothing() {
    let (old, new, other) = (Identity::age(), Identity::age(), Identity::age());
    let foreign = other.armour("not mine");
    let cell = format!("name,incoming.password\nz,\"${{age:{foreign}}}\"\n");
    let yaml = format!("accounts: {{ z: {{ incoming.password: {{ age: \"{}\" }} }} }}\n", escaped(&foreign));
    for (name, text, place) in [
        // The last of the sources, a file that one names, and one that is not there.
        ("z.csv", cell.as_str(), "z.csv:2"),
        ("z.yaml", yaml.as_str(), "z.yaml:1"),
        ("z.yaml", "accounts: { z: { incoming.password: { file: z.age } } }\n", "z.yaml:1"),
        ("z.yaml", "accounts: { z: { incoming.password: { file: no-such.age } } }\n", "z.yaml:1"),
        ("z.yaml", "accounts: { z: { incoming.password: { age: nonsense } } }\n", "z.yaml:1"),
        ("z.yaml", "accounts: { z: { comment: [broken\n", "z.yaml:"),
    ] {
        let (world, _) = to_rotate(&old, &[&new]);
        let config = fs::read_to_string(world.file("yubin.yaml")).unwrap();
        world.write("yubin.yaml", config.replace("e.yaml]", &format!("e.yaml, {name}]")));
        world.write("z.age", &foreign);
        world.write(name, text);
        let before = files(&world);
        for args in [&["secret", "rotate"][..], &["secret", "rotate", "--dry-run"]] {
            let run = world.run(args);
            assert_eq!(run.code, 3, "{text}: {}", run.stderr);
            assert!(run.stderr.contains(place), "{}", run.stderr);
            assert_eq!(files(&world), before, "{text}");
        }
    }
    // For nobody.
    let (world, _) = to_rotate(&old, &[&new]);
    let config = fs::read_to_string(world.file("yubin.yaml")).unwrap();
    world.write("yubin.yaml", config.replace(&format!("    - {}\n", new.recipient), "    []\n"));
    let before = files(&world);
    fails(&world.run(&["secret", "rotate"]), &[3, 64]);
    assert_eq!(files(&world), before);
    // Where nothing is sealed there is nothing to do.
    let world = project(&[&new], &[&new]);
    world.write("a.yaml", "accounts: { a: { incoming.password: { env: PW } } }\n");
    let before = files(&world);
    world.expect(0, &["secret", "rotate"]);
    assert_eq!(files(&world), before);
}

// --- edit ------------------------------------------------------------------------------------

/// Runs `secret edit` with an editor of these lines, in which `$1` is the file to edit.
fn edited(world: &World, tools: &World, body: &str, file: &str) -> Run {
    let editor = script(
        tools,
        "editor",
        &format!("echo \"$1 $(stat -c %a \"$1\")\" >> {}; {body}", tools.file("log").display()),
    );
    edit_with(world, &[("EDITOR", &editor)], file)
}

fn edit_with(world: &World, variables: &[(&str, &str)], file: &str) -> Run {
    let mut command = world.command(&["secret", "edit", file]);
    command.env_remove("VISUAL").env_remove("EDITOR").envs(variables.iter().copied());
    Run::of(command.output().unwrap())
}

#[test]
fn edit_opens_the_clear_text_and_seals_what_comes_back() {
    let identity = Identity::age();
    let stranger = Identity::ssh(&["-t", "ed25519"]);
    for options in [&["-a"][..], &[]] {
        let (world, tools) = (project(&[&identity, &stranger], &[&identity]), World::new());
        let read = |name: &str| fs::read(world.file(name)).unwrap();
        world.write("x.age", sealed(CLEAR, options, &[&identity.recipient]));
        let sealed_before = read("x.age");
        let names = files(&world).len();

        // Looked at and left alone, it stays byte for byte.
        let run = edited(&world, &tools, &format!("cp \"$1\" {}", tools.file("seen").display()), "x.age");
        assert_eq!((run.code, read("x.age")), (0, sealed_before.clone()), "{}", run.stderr);
        assert_eq!(fs::read_to_string(tools.file("seen")).unwrap().trim_end(), CLEAR);
        // An editor that fails changes nothing.
        let run = edited(&world, &tools, "echo other > \"$1\"; exit 1", "x.age");
        assert!(run.code != 0 && read("x.age") == sealed_before, "{}", run.stderr);

        let run = edited(&world, &tools, "printf 'Kanarie-new' > \"$1\"", "x.age");
        assert_eq!(run.code, 0, "{}", run.stderr);
        hidden(&run, &[CLEAR, "Kanarie-new", "AGE-SECRET-KEY"]);
        for one in [&identity, &stranger] {
            assert_eq!(one.open(read("x.age")).as_deref(), Some("Kanarie-new"));
        }
        // Editors save by rename, too.
        let run = edited(&world, &tools, "printf renamed > \"$1.new\"; mv \"$1.new\" \"$1\"", "x.age");
        assert_eq!((run.code, identity.open(read("x.age")).as_deref()), (0, Some("renamed")), "{}", run.stderr);

        // What was in clear was private, stood outside the project, and is gone.
        let log = lines_of(&tools, "log");
        assert_eq!(log.len(), 4);
        for line in log {
            let (path, mode) = line.rsplit_once(' ').unwrap();
            assert_eq!(mode, "600");
            assert!(
                !std::path::Path::new(path).exists() && !path.starts_with(world.path().to_str().unwrap()),
                "{path}"
            );
        }
        assert_eq!(files(&world).len(), names, "something was left behind");
    }
}

#[test]
fn edit_makes_a_new_file() {
    let identity = Identity::age();
    let (world, tools) = (project(&[&identity], &[]), World::new());
    let run = edited(&world, &tools, "[ -s \"$1\" ] && exit 1; printf 'Kanarie-new' > \"$1\"", "new.age");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(identity.open(fs::read(world.file("new.age")).unwrap()).as_deref(), Some("Kanarie-new"));
    // Nothing written, nothing made.
    edited(&world, &tools, "true", "empty.age");
    assert!(!world.file("empty.age").exists());
    edited(&world, &tools, "printf x > \"$1\"; exit 1", "failed.age");
    assert!(!world.file("failed.age").exists());
}

#[test]
fn edit_prefers_visual_and_needs_an_editor_that_works() {
    let identity = Identity::age();
    let (world, tools) = (project(&[&identity], &[&identity]), World::new());
    let editor = script(&tools, "editor", "printf 'Kanarie-new' > \"$1\"");
    world.write("x.age", identity.armour(CLEAR));
    let run = edit_with(&world, &[("VISUAL", &editor), ("EDITOR", "false")], "x.age");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(identity.open(fs::read(world.file("x.age")).unwrap()).as_deref(), Some("Kanarie-new"));
    let before = files(&world);
    for (name, variable) in [
        ("x.age", ("VISUAL", "no-such-editor-of-yubin")),
        ("x.age", ("EDITOR", "false")),
        ("no-such-folder/x.age", ("EDITOR", &editor)),
    ] {
        let run = edit_with(&world, &[variable], name);
        assert!(run.code != 0 && !run.stderr.is_empty(), "{name} {variable:?}");
        assert_eq!(files(&world), before);
    }
}

#[test]
fn edit_does_not_overwrite_what_it_cannot_open() {
    let (mine, other) = (Identity::age(), Identity::age());
    let (world, tools) = (project(&[&mine], &[&mine]), World::new());
    for text in [other.armour(CLEAR), "nonsense".to_owned()] {
        world.write("x.age", &text);
        let run = edited(&world, &tools, "printf new > \"$1\"", "x.age");
        fails(&run, &[1, 3]);
        assert_eq!(fs::read_to_string(world.file("x.age")).unwrap(), text);
        assert!(!tools.file("log").exists(), "the editor was started");
    }
    // Nor is the editor started where its text could not be kept.
    let world = project(&[], &[&mine]);
    world.write("yubin.yaml", format!("version: 1\nname: x\nsecrets: {{ identities: [{}] }}\n", mine.path()));
    world.write("x.age", mine.armour(CLEAR));
    fails(&edited(&world, &tools, "printf new > \"$1\"", "x.age"), &[3, 64]);
    assert_eq!(mine.open(fs::read(world.file("x.age")).unwrap()).as_deref(), Some(CLEAR));
}

// --- generate --------------------------------------------------------------------------------

const STRICT: &str =
    "policy:\n  plaintext_secrets: deny\n  passwords: { min_length: 20, classes: 4, score: 4, history: 5 }\n";

const CPI_STRICT: &str =
    "rules: { domain: example.jp }\npolicy:\n  passwords: { min_length: 14, classes: 3, score: 4 }\n";

/// It is on standard output, alone on a line.
#[track_caller]
fn generated(world: &World, args: &[&str]) -> String {
    let run = world.expect(0, &[&["secret", "generate", "--for", "account/taro"], args].concat());
    let password = run.stdout.trim_end_matches('\n').to_owned();
    assert!(!password.is_empty() && !password.contains(char::is_whitespace), "{:?}", run.stdout);
    password
}

#[test]
fn a_generated_password_passes_the_policy_and_the_products_rule() {
    for (system, more, fields) in [
        ("generic", "", ""),
        ("generic", STRICT, ""),
        ("cpi-business-standard", "", ", capacity: 5"),
        ("cpi-business-standard", CPI_STRICT, ", capacity: 5"),
        ("cpi-business-standard", "rules: { password: { min: 20, max: 24 } }\n", ", capacity: 5"),
    ] {
        let world = World::project(system, more);
        world.write("a.yaml", format!("accounts: {{ taro: {{ password: {{ env: PW }}{fields} }} }}\n"));
        let all: BTreeSet<String> = (0..6).map(|_| generated(&world, &[])).collect();
        assert_eq!(all.len(), 6, "they repeat");
        for password in &all {
            expect_with(&world, 0, &[("PW", password)], &["plan"]);
            let length = password.chars().count();
            match more {
                "" | CPI_STRICT if system != "generic" => {
                    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
                    let low = if more.is_empty() { 8 } else { 14 };
                    assert!((low..=16).contains(&length) && password.chars().all(allowed), "{password}");
                    assert!(password.contains(|letter: char| letter.is_ascii_alphabetic()), "{password}");
                    assert!(password.contains(|letter: char| letter.is_ascii_digit()), "{password}");
                }
                STRICT => {
                    let classes: [fn(char) -> bool; 4] =
                        [char::is_lowercase, char::is_uppercase, char::is_numeric, |letter| !letter.is_alphanumeric()];
                    assert!(length >= 20 && classes.iter().all(|class| password.contains(*class)), "{password}");
                }
                "" => assert!(length >= 12, "{password}"),
                _ => assert!((20..=24).contains(&length), "{password}"),
            }
        }
        let last = all.last().unwrap();
        hidden(&expect_with(&world, 0, &[("PW", last)], &["apply", "--yes"]), &[last]);
    }
}

#[test]
fn the_length_of_a_generated_password_is_what_was_asked_for() {
    let world = World::project("cpi-business-standard", "");
    for length in ["8", "12", "16"] {
        assert_eq!(generated(&world, &["--length", length]).len().to_string(), length);
    }
    let strict = World::project("generic", STRICT);
    assert_eq!(generated(&strict, &["--length", "64"]).chars().count(), 64);
    // None that breaks a rule, and none where rules contradict each other.
    let contradiction = World::project("cpi-business-standard", "policy: { passwords: { min_length: 20 } }\n");
    for (world, args) in [
        (&world, &["--length", "7"][..]),
        (&world, &["--length", "17"]),
        (&world, &["--length", "0"]),
        (&world, &["--length", "-1"]),
        (&world, &["--length", "many"]),
        (&strict, &["--length", "19"]),
        (&strict, &["--length", "3"]),
        (&contradiction, &[]),
    ] {
        let run = world.run(&[&["secret", "generate", "--for", "account/taro"], args].concat());
        fails(&run, &[3, 4, 64]);
    }
}

#[test]
fn a_generated_password_is_for_an_account() {
    let world = World::project("generic", "");
    generated(&world, &[]);
    for args in [
        &[][..],
        &["--for", "taro"],
        &["--for", "account"],
        &["--for", "account/"],
        &["--for", "mailbox/taro"],
        &["--for", "account/taro", "--encrypt", "--length"],
    ] {
        fails(&world.run(&[&["secret", "generate"], args].concat()), &[64]);
    }
}

#[test]
fn a_generated_password_goes_into_a_private_file_or_armour() {
    let identity = Identity::age();
    let world = project(&[&identity], &[&identity]);
    let armour = world.expect(0, &["secret", "generate", "--for", "account/taro", "--encrypt"]).stdout;
    assert!(armour.starts_with(HEAD) && armour.ends_with(TAIL), "{armour}");
    let first = identity.open(&armour).unwrap();
    assert!(first.trim_end().len() >= 12 && !first.trim_end().contains('\n'));
    for (name, yaml) in [("pw", "{ file: pw }"), ("pw.age", "{ file: pw.age }")] {
        let args = ["secret", "generate", "--for", "account/taro", "--out", name];
        let run = world.expect(0, &args);
        assert_eq!(mode(&world, name), 0o600);
        let bytes = fs::read(world.file(name)).unwrap();
        let text =
            if name == "pw" { String::from_utf8(bytes.clone()).unwrap() } else { identity.open(&bytes).unwrap() };
        assert!(text.trim_end().len() >= 12);
        assert_ne!(text, first);
        hidden(&run, &[text.trim_end()]);
        world.write("a.yaml", format!("accounts: {{ taro: {{ password: {yaml} }} }}\n"));
        world.expect(0, &["plan", "--strict"]);
        // One that is there is not lost.
        let run = world.run(&args);
        assert_ne!(run.code, 0);
        assert_eq!(fs::read(world.file(name)).unwrap(), bytes);
    }
    // For no recipient nothing is made.
    let world = World::project("generic", "");
    for more in [&["--encrypt"][..], &["--out", "x.age"]] {
        fails(&world.run(&[&["secret", "generate", "--for", "account/taro"], more].concat()), &[64]);
    }
    assert!(!world.file("x.age").exists());
}

/// Keeps the helper honest: where `age` is missing, it says which package to install.
#[test]
#[should_panic(expected = "install the Debian package age")]
fn a_missing_program_names_its_package() {
    foreign("age", "no-such-program-of-age", &[], b"");
}
