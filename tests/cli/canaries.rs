//! Canaries: passwords in every input, looked for in all that every command prints and leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{concat, database, private};
use crate::support::World;

// What is planted. Each stands in one kind of input; none is similar to another.
const CLEAR: &str = "Zaunkoenig-yaml-7Qx2";
const DEFAULTS: &str = "Rotkehl-vorgabe-5Fd3";
const CSV: &str = "Amselruf-csv-3Wm8";
const ENV: &str = "Bachstelze-env-5Rk1";
const FILE: &str = "Dompfaff-datei-8Lp6";
const COMMAND: &str = "Eisvogel-befehl-1Nc4";
const AGE: &str = "Fitislaub-age-6Hv9";
const AGE_FILE: &str = "Girlitz-agefile-2Bt7";
const OLD: &str = "Hausrot-vorher-9Js5";
const STDIN: &str = "Kiebitz-stdin-4Gy8";
const EDITED: &str = "Lachmoewe-editor-3Ux6";
const PLAN: &str = "Mauersegler-plan-7Dk2";
const EXPORT: &str = "Nachtigall-export-1Ep5";
const BROKEN: &str = "Ortolan-kaputt-8Wz4";
const HOOK: &str = "Rohrammer-hook-2Lf9";
// As CPI wants them: 8 to 16 of `A-Za-z0-9._-`.
const CPI: &str = "Pirol-cpi.5Kw3";
/// The key of the store, and the one that it gets.
const KEY: &str = "9b1f4c7ae2d05836c4e7180fb3a96d52f07e2b8146cd93ea5d1870bf62a4391c";
const NEXT_KEY: &str = "e07d53a1b8f6924c1d8ea36f40b792c5d96b2e817c034fa8b51e6df7290c84a3";
/// Made for these tests by `age-keygen`.
const RECIPIENT: &str = "age1s56547l2lfnld45aqvh6gw66x2ez53dzzfezydetehrhlvxu89ds5m9354";
const IDENTITY: &str = "AGE-SECRET-KEY-1DS3459KQ5XN9749Z6GEHHWRUDEWUH422CVDV7WCYKL7X4UT2ZSASHNM73Z";
/// A hash, as Dovecot makes them, and the part of it that says something.
const HASH: &str =
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$qfu2h2EkFFzoYVb9F69yFw$6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY";
const DIGEST: &str = "6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY";

const ALL: [&str; 20] = [
    HOOK, CLEAR, DEFAULTS, CSV, ENV, FILE, COMMAND, AGE, AGE_FILE, OLD, STDIN, EDITED, PLAN, EXPORT, BROKEN, CPI, KEY,
    NEXT_KEY, IDENTITY, DIGEST,
];

/// Where one may be, beside the input in which it was planted: file and canary.
const KEPT: [(&str, &str); 4] =
    [("yubin.db", DIGEST), ("yubin.db-wal", DIGEST), ("yubin.db.key", NEXT_KEY), ("secrets/yubin.key", NEXT_KEY)];

/// Which files are made to carry passwords to a product, and must have mode 0600.
fn handed_over(name: &str) -> bool {
    let csv = Path::new(name).extension().is_some_and(|end| end == "csv");
    // A folder is one for mail clients, which have none.
    (name.starts_with("up-") && !name.contains('/')) || (name.starts_with("bundle-") && csv)
}

/// A command: how it is run in each world, and what may stand on its stdout.
/// `{}` is each possible value of its argument, `@` each source, `#` a number that is new.
struct Entry {
    command: &'static str,
    runs: &'static [&'static str],
    stdout: &'static [&'static str],
}

const fn entry(command: &'static str, runs: &'static [&'static str]) -> Entry {
    Entry { command, runs, stdout: &[] }
}

/// Every command of the program, in the order in which they are run. A new command needs a row here.
const TABLE: &[Entry] = &[
    entry("help", &["help", "help plan", "help secret", "help nothing"]),
    entry("init", &["init new-#", "init --system catchme-mail new-#"]),
    entry("check", &["check", "check --strict", "check --color always", "check --trusted-config trusted.yaml"]),
    entry(
        "plan",
        &[
            "plan",
            "plan --color always",
            "plan --exit-code",
            "plan --strict",
            "plan --secrets=skip",
            "plan --secrets=skip --out skip.plan",
            "plan --trusted-config trusted.yaml",
            "plan --target account/info",
            "plan --annotate github",
            "plan --rehearse",
            "plan --out saved.plan",
            "plan --show saved.plan",
            "plan --between 1 2",
        ],
    ),
    // Of the plan that was just saved.
    entry(
        "export",
        &[
            "export {}",
            "export {} --all",
            "export {} --all --out up-#",
            "export {} --plan saved.plan --out bundle-#",
            "export autoconfig --all --out clients-#",
            "export autoconfig --out clients-# account/clear",
        ],
    ),
    entry(
        "apply",
        &[
            "apply",
            "apply evil.plan",
            "apply evil.plan --yes",
            "apply garbage.plan",
            "apply skip.plan",
            "apply skip.plan --rebase",
            "apply saved.plan",
            "apply --yes --strict",
            "apply --yes --note x",
        ],
    ),
    entry(
        "probe",
        &["probe", "probe --stored", "probe --send self", "probe account/clear --trusted-config hosts.yaml"],
    ),
    entry("show", &["show", "show account/clear", "show account/info pattern/u/p", "show account/nobody"]),
    entry("drift", &["drift", "drift --adopt", "drift --adopt --yes", "drift --adopt account/info --yes"]),
    entry("snapshot", &["snapshot --redacted", "snapshot", "snapshot --redacted --out state.json"]),
    entry("log", &["log", "log account/clear", "log pattern/u/p", "log account/info"]),
    entry("refresh", &["refresh {} export.txt", "refresh {} export.txt --yes", "refresh {} broken.txt --yes"]),
    entry("mark", &["mark account/info {}", "mark account/clear {}"]),
    entry("adopt", &["adopt", "adopt --yes", "adopt account/info --from x"]),
    entry("forget", &["forget account/nobody", "forget account/clear --yes", "forget account/info"]),
    entry("undo", &["undo 1", "undo 2", "undo 2 --yes", "undo 9999 --yes"]),
    entry(
        "watch approve",
        &[
            "watch --once",
            "watch --once --approve deletes",
            "watch --once --git HEAD",
            "watch approve 0000000000000000000000000000000000000000000000000000000000000000",
            "watch approve nothing",
        ],
    ),
    entry("migrate status", &["migrate status", "migrate status move", "migrate status nothing"]),
    entry(
        "migrate next",
        &["migrate next", "migrate next --yes", "migrate next --until 4 --yes", "migrate next --format json"],
    ),
    entry("migrate ack", &["migrate ack 5", "migrate ack 5 --note x", "migrate ack 3 --server-id 1"]),
    entry("migrate sheet", &["migrate sheet", "migrate sheet --format html", "migrate sheet --lang ja"]),
    entry("migrate abandon", &["migrate abandon --note x"]),
    entry("effects list", &["effects", "effects list", "effects --all"]),
    entry("effects retry", &["effects retry", "effects retry 1", "effects retry notify-1", "effects retry nothing"]),
    entry("effects ack", &["effects ack 1", "effects ack 999 --yes", "effects ack notify-1 --yes"]),
    // A declared hash is a reference like others, and is kept.
    Entry { command: "import", runs: &["import {} @", "import {} @ --out imported-#"], stdout: &[DIGEST] },
    entry("explain", &["explain generic", "explain password", "explain --matrix", "explain --out pages-#"]),
    entry("schema", &["schema", "schema --out schemas-#"]),
    entry("completions", &["completions {}"]),
    entry("man", &["man", "man --out man-#"]),
    entry("secret encrypt", &["secret encrypt", "secret encrypt -r age1nobody", "secret encrypt --out new-#.age"]),
    Entry {
        command: "secret decrypt",
        runs: &[
            "secret decrypt secrets/x.age",
            "secret decrypt",
            "secret decrypt garbage.plan",
            "secret decrypt missing",
        ],
        stdout: &[AGE_FILE, EDITED],
    },
    entry("secret rotate", &["secret rotate --dry-run", "secret rotate"]),
    entry("secret edit", &["secret edit new-edit-#.age", "secret edit secrets/x.age", "secret edit garbage.plan"]),
    entry(
        "secret generate",
        &[
            "secret generate --for account/clear",
            "secret generate --for account/info --length 14",
            "secret generate --for account/clear --encrypt",
            "secret generate --for account/clear --out generated-#",
            "secret generate --for account/clear --out generated-#.age",
        ],
    ),
    // One that serves would not end, and ids of tokens are drawn by lot.
    entry("serve", &["serve --help", "serve --listen nothing", "serve --listen 0.0.0.0:0"]),
    entry("token create", &["token create ci --scope read", "token create ci --scope apply --owner x", "token create"]),
    entry("token list", &["token list"]),
    entry("token revoke", &["token revoke --help", "token revoke nothing"]),
    entry("store copy", &["store copy sqlite:yubin.db sqlite:copied-#.db", "store copy sqlite:missing.db nothing"]),
    entry(
        "store rekey",
        &[
            "store rekey",
            "store rekey --yes --to garbage.plan",
            "store rekey --yes --to next.key",
            "plan",
            "store rekey --yes",
        ],
    ),
];

// --- Disguises -----------------------------------------------------------------------------

/// A password, and everything that it could be disguised as.
struct Canary {
    text: &'static str,
    needles: Vec<(&'static str, Vec<u8>)>,
}

fn base64(bytes: &[u8], alphabet: &[u8]) -> String {
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word = chunk.iter().enumerate().fold(0u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
            (0..=chunk.len()).map(move |at| char::from(alphabet[(word >> (18 - 6 * at) & 63) as usize]))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Bytes as they are, in hex, and inside of a longer base64.
pub fn disguises(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = hex(bytes);
    let mut needles =
        vec![("clear", bytes.to_vec()), ("hex", hex.to_uppercase().into_bytes()), ("hex", hex.into_bytes())];
    let letters: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    for signs in [b"+/", b"-_"] {
        let alphabet = [letters.as_slice(), signs].concat();
        for shift in 0..3 {
            // What depends on its neighbours is cut off at both ends.
            let text = base64(&[&b"\0\0\0"[..shift], bytes].concat(), &alphabet);
            let inside = &text[if shift == 0 { 0 } else { shift + 1 }..text.len() - 2];
            needles.push(("base64", inside.as_bytes().to_vec()));
        }
    }
    needles
}

impl Canary {
    fn new(text: &'static str) -> Canary {
        let mut needles = disguises(text.as_bytes());
        needles.push(("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        needles.push(("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            // A key: its bytes as well as its digits.
            let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
            needles.extend(disguises(&bytes));
        }
        needles.sort();
        needles.dedup();
        Canary { text, needles }
    }

    fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        let found = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
        self.needles.iter().find(|(_, needle)| found(needle)).map(|(form, _)| *form)
    }
}

#[test]
fn every_disguise_is_found() {
    let standard = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for text in ALL {
        let canary = Canary::new(text);
        assert_eq!(canary.find(b"nothing of it"), None);
        for shift in 0..4 {
            let inside = [&b"#?!&"[..shift], text.as_bytes(), b"~~"].concat();
            assert!(canary.find(base64(&inside, standard).as_bytes()).is_some(), "{text} {shift}");
            assert!(canary.find(hex(&inside).as_bytes()).is_some());
            assert!(canary.find(hex(&inside).to_uppercase().as_bytes()).is_some());
            let wide = String::from_utf8(inside.clone()).unwrap();
            let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert!(canary.find(&wide).is_some() && canary.find(&wide[1..]).is_some());
            assert_eq!(canary.find(&inside), Some("clear"));
        }
        // None is part of another.
        assert_eq!(ALL.iter().filter(|other| canary.find(other.as_bytes()).is_some()).count(), 1, "{text}");
    }
}

// --- Search --------------------------------------------------------------------------------

/// Files below the folder, named relative to it.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.strip_prefix(folder).unwrap().to_string_lossy().into_owned(), path));
            }
        }
    }
    found.sort();
    found
}

/// Runs commands in a world and looks for the canaries in all that they print and leave behind.
struct Search<'a> {
    world: &'a World,
    variables: Vec<(&'static str, String)>,
    canaries: Vec<Canary>,
    /// What was planted where. Whatever else a file holds later is a leak.
    planted: BTreeMap<String, BTreeSet<&'static str>>,
    found: Vec<String>,
    /// How each command ended.
    codes: BTreeMap<&'static str, BTreeSet<i32>>,
    number: usize,
    /// One value and two forms for each run: for what differs only in what is read first.
    quick: bool,
    /// Files that have been looked at, and when they were written.
    seen: BTreeMap<String, (u64, std::time::SystemTime)>,
}

impl<'a> Search<'a> {
    fn new(world: &'a World, variables: &[(&'static str, &str)]) -> Search<'a> {
        std::fs::create_dir_all(world.file("tmp")).unwrap();
        let canaries: Vec<Canary> = ALL.into_iter().map(Canary::new).collect();
        let planted = files(world.path())
            .into_iter()
            .map(|(name, path)| {
                let bytes = std::fs::read(path).unwrap();
                (name, canaries.iter().filter(|one| one.find(&bytes).is_some()).map(|one| one.text).collect())
            })
            .collect();
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Search {
            world,
            variables,
            canaries,
            planted,
            found: Vec::new(),
            codes: BTreeMap::new(),
            number: 0,
            quick: false,
            seen: BTreeMap::new(),
        }
    }

    fn look(&mut self, place: &str, bytes: &[u8], allowed: &dyn Fn(&str) -> bool) {
        for canary in self.canaries.iter().filter(|canary| !allowed(canary.text)) {
            if let Some(form) = canary.find(bytes) {
                let text = String::from_utf8_lossy(bytes);
                let line = text.lines().find(|line| canary.find(line.as_bytes()).is_some()).unwrap_or("(bytes)");
                let line: String = line.trim().chars().take(200).collect();
                self.found.push(format!("{place}: {} ({form}): {line}", canary.text));
            }
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .env("TMPDIR", self.world.file("tmp"))
            .env("RUST_BACKTRACE", "full")
            .env("EDITOR", self.world.file("editor.sh"))
            .env("VISUAL", self.world.file("editor.sh"))
            .stdin(std::fs::File::open(self.world.file("stdin.txt")).unwrap());
        command
    }

    fn run(&mut self, entry: &Entry, args: &[&str]) {
        let output = self.command(args).output().unwrap();
        let name = args.join(" ");
        let code = output.status.code().unwrap_or(-1);
        if code == 0 && self.is_misread(args) {
            // What was accepted there is no password, but a value like others.
            if let Some(made) = args.iter().find(|word| word.starts_with("imported-")) {
                self.world.remove(made);
            }
        } else {
            self.look(&format!("stdout of `{name}`"), &output.stdout, &|text| entry.stdout.contains(&text));
        }
        self.look(&format!("stderr of `{name}`"), &output.stderr, &|_| false);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!((0..=64).contains(&code) && !stderr.contains("panicked"), "`{name}` ended with {code}: {stderr}");
        // Another command in an entry only sets the stage.
        if name.starts_with(entry.command) {
            self.codes.entry(entry.command).or_default().insert(code);
        }
    }

    /// Is a file imported as if it were of another format?
    fn is_misread(&self, args: &[&str]) -> bool {
        let project = std::fs::read_to_string(self.world.file("yubin.yaml")).unwrap();
        let csv = if project.contains("system: catchme-mail") { "catchme-mail" } else { "csv" };
        args[0] == "import" && (args[1], args[2]) != ("yaml", "a.yaml") && (args[1], args[2]) != (csv, "b.csv")
    }

    /// All that a command can be told: every value of its argument, every form of output, and `-v`.
    fn run_all(&mut self, entry: &Entry, offered: &Offered) {
        let sources: Vec<String> = ["a.yaml", "b.csv", "export.txt"]
            .into_iter()
            .filter(|name| self.world.file(name).exists())
            .map(str::to_owned)
            .collect();
        for run in entry.runs {
            let mut values = if run.contains("{}") { offered.values.clone() } else { vec![String::new()] };
            values.truncate(if self.quick { 1 } else { values.len() });
            let files = if run.contains('@') { sources.clone() } else { vec![String::new()] };
            for (value, file) in values.iter().flat_map(|value| files.iter().map(move |file| (value, file))) {
                let run = run.replace("{}", value).replace('@', file);
                // There a password would be the name of a pattern, and names are no secrets.
                if run.starts_with("import catchme-mail export.txt") {
                    continue;
                }
                let forms = offered.formats.iter().map(|format| vec!["--format", format.as_str()]);
                // `help` takes no options.
                let last = if entry.command == "help" { vec![] } else { vec!["-v"] };
                for more in forms.chain([last]).skip(usize::from(self.quick)) {
                    self.number += 1;
                    let run = run.replace('#', &self.number.to_string());
                    let args: Vec<&str> = run.split(' ').chain(more).collect();
                    self.run(entry, &args);
                }
            }
        }
        self.left_behind(entry.command);
    }

    fn left_behind(&mut self, after: &str) {
        for (name, path) in files(self.world.path()) {
            self.look("name of a file", name.as_bytes(), &|_| false);
            let Ok(about) = std::fs::metadata(&path) else { continue };
            let stamp = (about.len(), about.modified().unwrap());
            if self.seen.insert(name.clone(), stamp) == Some(stamp) {
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else { continue };
            if handed_over(&name) {
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                if mode != 0o600 {
                    self.found.push(format!("{name} has mode {mode:o}"));
                }
                continue;
            }
            let planted = self.planted.get(&name).cloned().unwrap_or_default();
            // The key of before stays beside the new one, for backups.
            let kept = |text: &str| name.contains(".key.old.") && [KEY, NEXT_KEY].contains(&text);
            // A copy of the store holds the hashes that it has.
            let imported =
                |text: &str| (name.starts_with("imported-") || name.starts_with("copied-")) && text == DIGEST;
            let allowed = |text: &str| {
                planted.contains(text) || imported(text) || kept(text) || KEPT.contains(&(name.as_str(), text))
            };
            self.look(&format!("file {name} after `{after}`"), &bytes, &allowed);
        }
        self.found.sort();
        self.found.dedup();
    }
}

// --- The program itself --------------------------------------------------------------------

/// What the help of a command offers.
#[derive(Default)]
struct Offered {
    /// The words that `--format` takes.
    formats: Vec<String>,
    /// The words that its arguments take.
    values: Vec<String>,
}

fn help(command: &str) -> String {
    let words = std::iter::once("help").chain(command.split_whitespace());
    World::new().expect(0, &words.collect::<Vec<_>>()).stdout
}

/// A part of a help text: what follows a heading, up to the next.
fn part<'a>(help: &'a str, heading: &str) -> &'a str {
    let Some(start) = help.find(&format!("\n{heading}:\n")) else { return "" };
    let rest = &help[start + heading.len() + 3..];
    let end = rest.match_indices('\n').find(|(at, _)| rest[at + 1..].starts_with(|next: char| next.is_alphabetic()));
    end.map_or(rest, |(at, _)| &rest[..at])
}

/// Below a command, whatever the depth, without `help`, that each has.
fn commands_below(command: &str) -> Vec<String> {
    let help = help(command);
    let names = part(&help, "Commands").lines().filter_map(|line| {
        let line = line.strip_prefix("  ").filter(|line| line.starts_with(|next: char| next.is_alphanumeric()))?;
        line.split_whitespace().next().filter(|name| *name != "help")
    });
    let mut found = Vec::new();
    for name in names {
        let name = format!("{command} {name}").trim().to_owned();
        let below = commands_below(&name);
        found.extend(if below.is_empty() { vec![name] } else { below });
    }
    found
}

/// The first list of possible values in a text, in its short form or in its long one.
fn possible(text: &str) -> Vec<String> {
    if let Some(start) = text.find("[possible values:") {
        let list = &text[start + "[possible values:".len()..];
        return list[..list.find(']').unwrap()].split(',').map(|word| word.trim().to_owned()).collect();
    }
    let Some(start) = text.find("Possible values:") else { return Vec::new() };
    let lines = text[start..].lines().skip(1).take_while(|line| !line.trim().is_empty());
    let items = lines.filter_map(|line| line.trim().strip_prefix("- "));
    items.map(|item| item.split([':', ' ']).next().unwrap().to_owned()).collect()
}

fn offered(command: &str) -> Offered {
    let help = help(command);
    let options = part(&help, "Options");
    let start = options.find("--format <FORMAT>").unwrap_or_else(|| panic!("`{command}` has no --format: {help}"));
    Offered { formats: possible(&options[start..]), values: possible(part(&help, "Arguments")) }
}

#[test]
fn help_is_understood() {
    let commands = commands_below("");
    for known in ["plan", "import", "secret encrypt", "store rekey"] {
        assert!(commands.iter().any(|command| command == known), "{known} is not found in {commands:?}");
    }
    let import = offered("import");
    assert!(import.formats.contains(&"json".to_owned()) && import.values.contains(&"catchme-mail".to_owned()));
    let export = offered("export");
    assert!(
        export.values.contains(&"bundle".to_owned()) && export.values.contains(&"yaml".to_owned()),
        "{:?}",
        export.values
    );
    assert!(offered("completions").values.contains(&"bash".to_owned()));
}

#[test]
fn every_command_has_an_entry() {
    let listed: BTreeSet<String> = TABLE.iter().map(|entry| entry.command.to_owned()).collect();
    assert_eq!(listed.len(), TABLE.len(), "a command has two entries");
    let mut commands: BTreeSet<String> = commands_below("").into_iter().collect();
    commands.insert("help".to_owned());
    let missing: Vec<&String> = commands.difference(&listed).collect();
    assert!(missing.is_empty(), "write a row in TABLE of tests/cli/canaries.rs for {missing:?}");
    let gone: Vec<&String> = listed.difference(&commands).collect();
    assert!(gone.is_empty(), "these are no commands: {gone:?}");
    // What a command's argument can be is tried, all of it.
    for entry in TABLE.iter().filter(|entry| entry.command != "help") {
        let named = entry.runs.iter().any(|run| run.contains("{}"));
        assert!(named || offered(entry.command).values.is_empty(), "`{}` has an argument to try", entry.command);
    }
}

// --- Worlds --------------------------------------------------------------------------------

/// A world and the variables in it.
struct Case {
    name: &'static str,
    world: World,
    variables: Vec<(&'static str, &'static str)>,
}

/// Text as a program encrypts it to us.
fn encrypted(text: &str) -> String {
    let world = World::project("generic", "");
    private(&world, "stdin.txt", text);
    let mut command = world.command(&["secret", "encrypt", "-r", RECIPIENT]);
    command.stdin(std::fs::File::open(world.file("stdin.txt")).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn script(world: &World, name: &str, text: &str) {
    world.write(name, format!("#!/bin/sh\n{text}"));
    std::fs::set_permissions(world.file(name), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// What every world holds, whatever its system.
fn furnish(world: &World) {
    let armour = encrypted(AGE_FILE);
    private(world, "secrets/x.age", &armour);
    private(world, "stdin.txt", STDIN);
    private(world, "secrets/pw", FILE);
    private(world, "secrets/edited", EDITED);
    private(world, "secrets/hook", HOOK);
    private(world, "secrets/command", COMMAND);
    private(world, "secrets/age.txt", &format!("{IDENTITY}\n"));
    private(world, "next.key", &format!("{NEXT_KEY}\n"));
    // The child shows what it was given, and what it says of its own accord is not repeated.
    script(
        world,
        "tool.sh",
        "here=$(dirname \"$0\")\nenv >\"$here/child-env\"\ncat \"$here/secrets/command\" >&2\ncat \"$here/secrets/command\"\n",
    );
    script(
        world,
        "hook.sh",
        "here=$(dirname \"$0\")\nenv >\"$here/hook-env\"\ncat >\"$here/hook-event\"\ncat \"$here/secrets/hook\"\ncat \"$here/secrets/hook\" >&2\n",
    );
    script(world, "editor.sh", "cat \"$(dirname \"$0\")/secrets/edited\" >\"$1\"\n");
    world.write("trusted.yaml", format!("version: 1\nname: head-office\nsecrets: {{ recipients: [{RECIPIENT}] }}\n"));
    world.write(
        "evil.plan",
        format!(
            "{{\"format_version\":1,\"yubin\":\"0.1.0\",\"project\":\"head-office\",\"system\":\"generic\",\"base_revision\":0,\
             \"changes\":[{{\"action\":\"add\",\"address\":\"account/x\",\"kind\":\"account\",\"key\":[\"x\"],\"fields\":[\
             {{\"field\":\"password\",\"secret\":true,\"change\":\"{PLAN}\",\"after\":\"{PLAN}\"}}]}}]}}\n"
        ),
    );
    private(world, "garbage.plan", PLAN);
    world.write("broken.txt", format!("{EXPORT}\n\"{EXPORT},\"x{EXPORT}\n"));
}

/// `secrets:` of `yubin.yaml`, with the identities in a file.
fn secrets(identities: &str) -> String {
    // Nobody is at home where the accounts of these worlds would log in.
    format!(
        "probe: {{ hosts: [127.0.0.1], timeout: 1s }}\n\
         secrets: {{ commands: [[./tool.sh, mail]], recipients: [{RECIPIENT}]{identities} }}\n"
    )
}

/// A command that talks, and a webhook that nobody answers; what it is signed with stands there.
fn hooks(on: &str, secret: &str) -> String {
    format!(
        "hooks:\n  - {{ name: runs, on: [logout, notify], command: [./hook.sh, \"{{user}}\"] }}\n  - {{ name: calls, on: [{on}], webhook: \"http://127.0.0.1:1/\", secret: {secret} }}\n"
    )
}

const IN_FILE: &str = ", identities: [secrets/age.txt]";

/// Every field from every source, in YAML and CSV.
fn declare(world: &World, clear: &str) {
    let armour = encrypted(AGE).replace('\n', "\n        ");
    world.write(
        "a.yaml",
        format!(
            "defaults: {{ accounts: {{ outgoing: {{ auth: {{ password: {DEFAULTS} }} }} }} }}
servers:
  s: {{ outgoing: {{ auth: {{ enabled: true, credentials: own, username: u, password: {clear} }} }} }}
accounts:
  clear: {{ server: s, address: info@example.jp, password: {clear}, incoming: {{ password: \"{clear}\" }} }}
  env: {{ password: {{ env: PW }}, incoming: {{ password: {{ env: PW }} }} }}
  file: {{ password: {{ file: secrets/pw }}, incoming: {{ password: {{ file: secrets/pw }} }} }}
  command: {{ password: {{ command: [./tool.sh, mail] }} }}
  agefile: {{ password: {{ file: secrets/x.age }} }}
  hash: {{ password: {{ hash: \"{HASH}\" }} }}
  age:
    incoming.password:
      age: |
        {armour}
patterns:
  u:
    p: {{ server: s, incoming: {{ password: {clear} }} }}
"
        ),
    );
    world.write(
        "b.csv",
        format!(
            "name,comment,password,incoming.password\ncsv,x,{CSV},\"{CSV}\"\nmore,x,${{env:PW}},${{file:secrets/pw}}\n"
        ),
    );
    world.write("export.txt", format!("a,x,{EXPORT}\n"));
}

const SOURCES: &str = "sources: [a.yaml, b.csv]\n";

fn generic(name: &'static str, more: &str, variables: &[(&'static str, &'static str)]) -> Case {
    let world = World::project("generic", &format!("{SOURCES}{more}"));
    furnish(&world);
    Case { name, world, variables: [&[("PW", ENV)], variables].concat() }
}

/// Applies what is declared, with no mistakes.
fn apply(case: &Case) {
    let mut command = case.world.command(&["apply", "--yes", "-q"]);
    let output = command.envs(case.variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
}

/// All is well, and is changed; the key and the identity in files.
fn in_files() -> Case {
    let case = generic("files", &(secrets(IN_FILE) + &hooks("purge_mail", "{ file: secrets/hook }")), &[]);
    private(&case.world, "yubin.db.key", KEY);
    declare(&case.world, OLD);
    apply(&case);
    declare(&case.world, CLEAR);
    case
}

/// The same, with key and identity in the environment.
fn in_variables() -> Case {
    let variables = [("YUBIN_KEY", KEY), ("YUBIN_AGE_KEY", IDENTITY), ("HOOK_PW", HOOK)];
    let case = generic("variables", &(secrets("") + &hooks("logout, notify", "{ env: HOOK_PW }")), &variables);
    declare(&case.world, OLD);
    apply(&case);
    declare(&case.world, CLEAR);
    case
}

/// Accounts that move to another server. A hash that is declared is declared again there, so none is.
fn moving() -> Case {
    let migration = "migrations: { move: { from: s, to: t, accounts: [m-*], domains: [localhost] } }\n";
    let case = generic("moving", &(secrets(IN_FILE) + migration), &[]);
    private(&case.world, "yubin.db.key", KEY);
    let servers = "servers: { s: { incoming: { host: a.example.jp } }, t: { incoming: { host: b.example.jp } } }\n";
    let accounts = format!(
        "accounts:\n  clear: {{ server: s, incoming: {{ password: {CLEAR} }} }}\n  m-env: {{ server: s, incoming: {{ password: {{ env: PW }} }} }}\n  \
         m-file: {{ server: s, incoming: {{ password: {{ file: secrets/pw }} }} }}\n"
    );
    case.world.write("a.yaml", format!("{servers}{accounts}"));
    case.world.write("b.csv", "name,server,incoming.password\nm-csv,s,${env:PW}\n");
    case.world.write("export.txt", format!("a,x,{EXPORT}\n"));
    apply(&case);
    case
}

/// Every password breaks every rule.
fn judged() -> Case {
    let case = generic("policy", &secrets(IN_FILE), &[]);
    private(&case.world, "secrets/yubin.key", KEY);
    let case = Case { variables: [&case.variables[..], &[("YUBIN_KEY_FILE", "secrets/yubin.key")]].concat(), ..case };
    declare(&case.world, OLD);
    apply(&case);
    let text = std::fs::read_to_string(case.world.file("yubin.yaml")).unwrap();
    let rules =
        "policy: { plaintext_secrets: warn, passwords: { min_length: 60, classes: 4, score: 4, history: 5 } }\n";
    case.world.write("yubin.yaml", text + rules);
    declare(&case.world, CLEAR);
    case
}

/// Sources that fail, and passwords where references belong.
fn failing() -> Case {
    let case = generic("failing sources", &secrets(IN_FILE), &[]);
    script(
        &case.world,
        "tool.sh",
        "here=$(dirname \"$0\")\ncat \"$here/secrets/command\"\ncat \"$here/secrets/command\" >&2\nexit 1\n",
    );
    case.world.write(
        "a.yaml",
        format!(
            "accounts:
  a: {{ password: {{ command: [./tool.sh, mail] }} }}
  b: {{ password: {{ command: [{BROKEN}] }} }}
  c: {{ password: {{ command: [curl, -H, \"Token: {BROKEN}\"] }} }}
  d: {{ password: {{ age: {BROKEN} }} }}
  e: {{ password: {{ hash: {BROKEN} }} }}
  f: {{ password: {{ hash: \"{{PLAIN}}{BROKEN}\" }} }}
  g: {{ password: {{ env: [{BROKEN}] }} }}
  h: {{ password: {{ env: \"{BROKEN} !\" }} }}
  i: {{ password: {{ value: {BROKEN} }} }}
  j: {{ incoming: {{ password: {{ hash: \"{HASH}\" }} }} }}
  k: {{ password: [{BROKEN}] }}
  l: {{ pasword: {BROKEN} }}
  m: {{ password: {{ env: NOT_SET, file: {BROKEN} }} }}
  n: {{ password: {{ hash: \"{{SSHA}}{BROKEN}\" }} }}
  o: {{ password: {{ age: \"-----BEGIN AGE ENCRYPTED FILE-----\\n{BROKEN}\\n-----END AGE ENCRYPTED FILE-----\" }} }}
"
        ),
    );
    case.world.write(
        "b.csv",
        format!(
            "name,password\np,${{age:{BROKEN}}}\nq,${{hash:{BROKEN}}}\nr,${{command:{BROKEN}}}\ns,\"{BROKEN}\nt,x\n"
        ),
    );
    case
}

/// Passwords where they do not belong in `yubin.yaml`; one project for each place.
fn misplaced() -> Vec<Case> {
    [
        ("secrets: pw", format!("secrets: {{ pw: {BROKEN} }}\n")),
        ("secrets: identities", format!("secrets: {{ identities: [{IDENTITY}], recipients: [{IDENTITY}] }}\n")),
        ("secrets: commands", format!("secrets: {{ commands: [{BROKEN}], paths: {BROKEN} }}\n")),
        ("policy", format!("policy: {{ passwords: {{ scheme: {BROKEN}, min_length: {BROKEN}, pw: {BROKEN} }} }}\n")),
        (
            "hooks",
            format!(
                "hooks: [{{ name: {BROKEN}!, on: [{BROKEN}], webhook: \"https://u:{BROKEN}@a.example/\", secret: {BROKEN} }}, {BROKEN}]\n"
            ),
        ),
        ("syntax", format!("secrets: {{ identities: [\"{BROKEN}\n")),
        ("store", format!("store: postgres://yubin:{BROKEN}@db.example.jp/yubin\n")),
    ]
    .into_iter()
    .map(|(name, more)| {
        let case = generic(name, &more, &[]);
        case.world.write("a.yaml", format!("accounts: {{ clear: {{ password: {CLEAR} }} }}\n"));
        case.world.write("b.csv", "name\nb\n");
        case
    })
    .collect()
}

/// Passwords for keys: in the key file, in the variables, as identities.
fn broken_keys() -> Vec<Case> {
    let with = |name, variables: &[(&'static str, &'static str)]| {
        let case = generic(name, &secrets(IN_FILE), &[]);
        declare(&case.world, OLD);
        apply(&case);
        declare(&case.world, CLEAR);
        Case { variables: [&case.variables[..], variables].concat(), ..case }
    };
    let file = with("a password in the key file", &[]);
    private(&file.world, "yubin.db.key", BROKEN);
    let identity = with("a password in the identity file", &[]);
    private(&identity.world, "secrets/age.txt", BROKEN);
    let near = with("a wrong key", &[("YUBIN_KEY", KEY), ("YUBIN_AGE_KEY", RECIPIENT)]);
    vec![file, identity, near, with("passwords as keys", &[("YUBIN_KEY", BROKEN), ("YUBIN_AGE_KEY", BROKEN)])]
}

fn catchme() -> Case {
    let world = World::project("catchme-mail", &format!("sources: [b.csv]\n{}", secrets(IN_FILE)));
    furnish(&world);
    let case = Case { name: "catchme-mail", world, variables: vec![("PW", ENV)] };
    private(&case.world, "yubin.db.key", KEY);
    for clear in [OLD, CSV] {
        let row = |user: &str, password: &str| {
            format!("{user},p,s,smtp.xxx.jp,,r,pop.xxx.jp,,t@xxx.jp,1,t,{password},,,,,,,1,1,1,1,auth,{clear},,\r\n")
        };
        case.world.write("b.csv", row("u", clear) + &row("v", "${env:PW}") + &row("w", "${file:secrets/pw}"));
        if clear == OLD {
            apply(&case);
        }
    }
    case
}

fn cpi() -> Case {
    let policy = "policy: { plaintext_secrets: allow, max_deletes: 1000 }\n";
    let world = World::project("cpi-business-standard", &format!("sources: [a.yaml]\n{policy}{}", secrets(IN_FILE)));
    furnish(&world);
    let case = Case { name: "cpi", world, variables: vec![("PW", CPI)] };
    private(&case.world, "yubin.db.key", KEY);
    case.world.write("a.yaml", "accounts: { info: { password: kX7.mQ2-wZ9a, capacity: 5 } }\n");
    apply(&case);
    case.world.write(
        "a.yaml",
        format!(
            "accounts:\n  info: {{ password: {CPI}, capacity: 5 }}\n  clear: {{ password: {{ env: PW }}, capacity: 5 }}\n"
        ),
    );
    let header = "mail_account,mail_password,comment,amount_of_mail_box,spam,forward,auto,pop,mail_capacity";
    let rows = format!("postmaster,,,0,0,0,0,1,5\r\ninfo,{EXPORT},x,0,0,0,0,1,5\r\n");
    case.world.write("export.txt", format!("{header}\r\n{rows}"));
    case
}

fn cybozu() -> Case {
    let policy = "policy: { plaintext_secrets: allow }\n";
    let world = World::project("cybozu-office", &format!("sources: [a.yaml]\n{policy}{}", secrets(IN_FILE)));
    furnish(&world);
    world.write("a.yaml", "servers: { main: { incoming: { host: pop.example.jp }, outgoing: { host: smtp.example.jp }, supports_uidl: true } }\n");
    world.write("export.txt", format!("170,高橋健太,3,1,main,kenta@example.jp,kenta,{EXPORT},kenta,{EXPORT},1,0\r\n"));
    Case { name: "cybozu-office", world, variables: vec![("PW", ENV)] }
}

/// In this world, all commands. Gives what was found, and how each command ended.
fn search(
    case: &Case,
    quick: bool,
    offers: &BTreeMap<&'static str, Offered>,
) -> (Vec<String>, BTreeMap<&'static str, BTreeSet<i32>>) {
    let mut search = Search::new(&case.world, &case.variables);
    search.quick = quick;
    // A connection that stays keeps the log of SQLite from being folded into the database.
    let reader = case.world.file("yubin.db").exists().then(|| database(&case.world));
    if let Some(reader) = &reader {
        let _: i64 = reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    }
    for entry in TABLE {
        search.run_all(entry, &offers[entry.command]);
    }
    drop(reader);
    search.left_behind("all");
    (search.found.into_iter().map(|place| format!("{}: {place}", case.name)).collect(), search.codes)
}

/// Runs these worlds, some at a time.
fn search_all(cases: &[Case], quick: bool) -> BTreeMap<&'static str, BTreeSet<i32>> {
    let offers: BTreeMap<&'static str, Offered> = TABLE
        .iter()
        .map(|entry| {
            let plain = || Offered { formats: vec!["text".to_owned(), "json".to_owned()], ..Offered::default() };
            (entry.command, if entry.command == "help" { plain() } else { offered(entry.command) })
        })
        .collect();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases.iter().map(|case| scope.spawn(|| search(case, quick, &offers))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut found, mut codes) = (Vec::new(), BTreeMap::<&str, BTreeSet<i32>>::new());
    for (places, ends) in results {
        found.extend(places);
        for (command, ends) in ends {
            codes.entry(command).or_default().extend(ends);
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    codes
}

#[test]
fn no_command_shows_or_leaves_a_password_where_all_is_well() {
    let cases = [in_files(), in_variables(), catchme(), cpi(), cybozu(), moving()];
    let codes = search_all(&cases, false);
    // A command that only ever fails has shown nothing, and proved nothing.
    for entry in TABLE {
        let ends = codes.get(entry.command).cloned().unwrap_or_default();
        assert!(ends.contains(&0) || ends.contains(&2), "`{}` never ended well: {ends:?}", entry.command);
    }
    // What a child is given: none of our variables, and none that holds a password.
    let given = std::fs::read_to_string(cases[1].world.file("child-env")).expect("the command has not been run");
    assert!(given.contains("PATH=") && !given.contains("YUBIN_") && !given.contains("PW="), "{given}");
    let given = std::fs::read_to_string(cases[1].world.file("hook-env")).expect("the hook has not been run");
    assert!(given.contains("PATH=") && !given.contains("YUBIN_") && !given.contains("PW="), "{given}");
    for name in ["yubin.db", "saved.plan"] {
        assert!(cases.iter().all(|case| case.world.file(name).exists()), "{name} was not looked at");
    }
}

#[test]
fn no_command_shows_or_leaves_a_password_that_breaks_a_rule() {
    search_all(&[judged(), failing()], false);
}

#[test]
fn no_command_shows_or_leaves_a_password_in_the_wrong_place() {
    search_all(&misplaced(), true);
}

#[test]
fn no_command_shows_or_leaves_a_password_that_is_given_for_a_key() {
    search_all(&broken_keys(), true);
}

// --- What is made, and what is killed ------------------------------------------------------

#[test]
fn what_is_made_is_not_shown() {
    let case = in_files();
    let shown = |args: &[&str]| -> String {
        let mut command = case.world.command(args);
        command.envs(case.variables.iter().copied()).env("RUST_BACKTRACE", "full");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for more in [&["--format", "text"][..], &["--format", "json"], &["-v"]] {
        let _ = std::fs::remove_file(case.world.file("made"));
        let text = shown(&[&["secret", "generate", "--for", "account/clear", "--out", "made"], more].concat());
        let made = std::fs::read_to_string(case.world.file("made")).unwrap();
        assert_eq!(super::mode(&case.world, "made"), 0o600);
        assert!(made.trim().len() >= 8 && !text.contains(made.trim()), "{text}");
        let text = shown(&[&["store", "rekey", "--yes"], more].concat());
        let key = std::fs::read_to_string(case.world.file("yubin.db.key")).unwrap();
        assert!(!text.contains(key.trim()) && !text.contains(KEY), "{text}");
        let database = std::fs::read(case.world.file("yubin.db")).unwrap();
        assert!(memchr::memmem::find(&database, key.trim().as_bytes()).is_none());
    }
}

/// The temporary file of an editor is private while it is there, and gone afterwards, even if the editor fails.
#[test]
fn an_editors_file_is_private_and_goes() {
    let case = in_files();
    for (end, code) in [("exit 0", 0), ("exit 1", 1)] {
        script(
            &case.world,
            "editor.sh",
            &format!(
                "here=$(dirname \"$0\")\nstat -c %a \"$1\" \"$(dirname \"$1\")\" >\"$here/modes\"\necho \"$1\" >\"$here/where\"\n{end}\n"
            ),
        );
        let search = Search::new(&case.world, &case.variables);
        let output = search.command(&["secret", "edit", "secrets/x.age"]).output().unwrap();
        assert_eq!(output.status.success(), code == 0, "{}", String::from_utf8_lossy(&output.stderr));
        let modes = std::fs::read_to_string(case.world.file("modes")).unwrap();
        assert!(modes.starts_with("600\n"), "{modes}");
        let place = std::fs::read_to_string(case.world.file("where")).unwrap();
        assert!(!Path::new(place.trim()).exists(), "{place} is still there");
        assert_eq!(files(&case.world.file("tmp")), []);
    }
}

#[test]
fn a_killed_apply_leaves_no_password_behind() {
    let case = generic("killed", &secrets(IN_FILE), &[]);
    declare(&case.world, OLD);
    let rows = |clear: &str| {
        let rows = concat(0..400, |n| format!("k{n:03},{clear},${{env:PW}}\n"));
        case.world.write("b.csv", format!("name,incoming.password,outgoing.auth.password\n{rows}"));
    };
    rows(OLD);
    apply(&case);
    declare(&case.world, CLEAR);
    rows(CSV);
    let saved: Vec<(String, Vec<u8>)> =
        ["yubin.db"].map(|name| (name.to_owned(), std::fs::read(case.world.file(name)).unwrap())).to_vec();
    let mut search = Search::new(&case.world, &case.variables);
    let start = Instant::now();
    assert!(search.command(&["apply", "--yes", "-q"]).output().unwrap().status.success());
    let whole = start.elapsed();
    for number in 0..10_u32 {
        for name in ["yubin.db-wal", "yubin.db-shm"] {
            let _ = std::fs::remove_file(case.world.file(name));
        }
        for (name, bytes) in &saved {
            case.world.write(name, bytes);
        }
        let mut command = search.command(&["apply", "--yes", "-v"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(whole * number / 9 + Duration::from_micros(300));
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        search.look("stdout of a killed apply", &output.stdout, &|_| false);
        search.look("stderr of a killed apply", &output.stderr, &|_| false);
        search.left_behind("a killed apply");
    }
    assert!(search.found.is_empty(), "{} places:\n{}", search.found.len(), search.found.join("\n"));
}
