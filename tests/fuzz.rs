//! Mutational fuzzing of the readers on stable Rust, for seconds in every run and for longer with
//! `YUBIN_FUZZ_SECONDS`: no panic, no hang, no flood of words. A failing input is written to
//! `target/fuzz/`; `YUBIN_FUZZ_SEED` runs a sequence again.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_yaml::Value as Yaml;
use yubin::format::node::{Content, Node, Reader};

use crate::support::World;

/// A small generator, so that a sequence of inputs follows from a number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `most`, which may be 0.
    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % (most as u64).max(1)).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const YAML_WORDS: &[&str] = &[
    "accounts:",
    "patterns:",
    "servers:",
    "defaults:",
    "absent: true",
    "password:",
    "{ env: X }",
    "{ file: x }",
    "&a ",
    "*a",
    "<<: *a",
    "<<",
    "[",
    "]",
    "{",
    "}",
    "- ",
    "? ",
    ": ",
    ":",
    "|\n",
    ">-\n",
    "|2-\n",
    "\"",
    "'",
    "#",
    "!x ",
    "!!str ",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "\t",
    "\r",
    "\r\n",
    "\n",
    "\n  ",
    "\n    ",
    "\u{feff}",
    "~",
    "null",
    "no",
    "0123",
    "1e3",
    "\\u0000",
    "\\x",
    "\u{2028}",
    "\u{85}",
    "🦀",
    "受信",
    "server: s",
    "incoming: { port: 1 }",
    "incoming.port: 1",
    "2024-01-01",
    "&a [*a]",
    "&a {a: *a}",
];

const CSV_WORDS: &[&str] = &[
    ",",
    ",,,,,,",
    "\"",
    "\"\"",
    "\"\"\"",
    "\r",
    "\n",
    "\r\n",
    "name",
    "kind",
    "user,name",
    "absent",
    "true",
    "${env:X}",
    "${file:x}",
    "${",
    "}",
    ";",
    "\u{feff}",
    "受信",
    "🦀",
    "0",
    "1",
    "65536",
    "-1",
    "@",
    "a@x.jp",
    "taro,p\n",
    "\t",
    "\u{0}",
    "incoming.port",
    "password",
    "pattern",
    "server",
    "account",
];

/// One to six changes of a seed.
fn mutate(dice: &mut Dice, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    const LONGEST: usize = 20_000;
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let len = dice.below(40).min(bytes.len() - at);
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
            2 => drop(bytes.drain(at..at + len)),
            3 => bytes.truncate(at),
            4 => {
                let piece = bytes[at..at + len].to_vec();
                let times = 1 + dice.below(30);
                bytes.splice(at..at, piece.repeat(times));
            }
            5 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(200)).min(other.len());
                bytes.splice(at..at + len, other[from..to].iter().copied());
            }
            6 => {
                // Swap two lines.
                let mut lines: Vec<Vec<u8>> =
                    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let (a, b) = (dice.below(lines.len()), dice.below(lines.len()));
                if a < lines.len() && b < lines.len() {
                    lines.swap(a, b);
                }
                bytes = lines.concat();
            }
            _ => {
                let word = dice.pick(words).repeat(if dice.below(20) == 0 { 200 } else { 1 });
                bytes.splice(at..at, word.into_bytes());
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// The source files of all fixtures with these extensions.
fn seeds(extensions: &[&str]) -> Vec<Vec<u8>> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, extensions, found);
            } else if path.extension().is_some_and(|ext| extensions.iter().any(|one| ext == *one)) {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), extensions, &mut paths);
    // In the same order on every machine.
    paths.sort();
    let seeds: Vec<Vec<u8>> =
        paths.iter().map(|path| std::fs::read(path).unwrap()).filter(|seed| seed.len() < 20_000).collect();
    assert!(seeds.len() > 20, "the fixtures are gone");
    seeds
}

/// What is being read, since when.
type Watched = Arc<Mutex<Option<(Vec<u8>, Instant)>>>;

/// Checks mutated seeds, in the format of this name.
fn fuzz(target: &'static str, system: &str, seeds: Vec<Vec<u8>>, words: &'static [&'static str]) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let duration = Duration::from_secs(number("YUBIN_FUZZ_SECONDS").unwrap_or(5));
    let seed = number("YUBIN_FUZZ_SEED").unwrap_or_else(|| {
        u64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() & u128::from(u64::MAX)).unwrap()
    });
    let watched: Watched = Arc::default();
    let inside = Arc::clone(&watched);
    let world = project(system, target);
    let worker = std::thread::Builder::new().name(format!("fuzz {target}")).spawn(move || {
        let start = Instant::now();
        let mut dice = Dice(seed);
        let mut count = 0u64;
        while start.elapsed() < duration {
            let input = mutate(&mut dice, &seeds, words);
            *inside.lock().unwrap() = Some((input.clone(), Instant::now()));
            let said = catch_unwind(AssertUnwindSafe(|| check(&world, &input)));
            *inside.lock().unwrap() = None;
            count += 1;
            match said {
                Err(_) => return Err((input, "panicked".to_owned())),
                // Each byte may be wrong in a few words of its own, and no more than that.
                Ok(said) if said > 100_000 + 2_000 * input.len() => {
                    return Err((input, format!("said {said} bytes")));
                }
                Ok(_) => {}
            }
        }
        Ok(count)
    });
    let worker = worker.unwrap();
    let fail = |input: &[u8], what: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{target}-{}", &blake3::hash(input).to_hex()[..12]));
        std::fs::write(&file, input).unwrap();
        panic!("{target} {what}; YUBIN_FUZZ_SEED={seed}; the input stands in {}", file.display());
    };
    while !worker.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        let slow = watched
            .lock()
            .unwrap()
            .as_ref()
            .filter(|(_, since)| since.elapsed() > PATIENCE)
            .map(|(input, _)| input.clone());
        if let Some(input) = slow {
            fail(&input, "takes more than 2 s");
        }
    }
    match worker.join().unwrap() {
        Ok(count) => println!("{target}: {count} inputs from seed {seed}"),
        Err((input, what)) => fail(&input, &what),
    }
}

/// A project whose one source is to be written again and again.
fn project(system: &str, format: &str) -> World {
    World::project(system, &format!("sources: [{{ path: f, format: {format} }}]\n"))
}

/// Checks the project with these bytes as its source; the length of all that is said about them.
fn check(world: &World, bytes: &[u8]) -> usize {
    world.write("f", bytes);
    let mut session = yubin::pipeline::open(world.path(), yubin::pipeline::Above::default(), false).unwrap();
    session.check();
    session
        .diagnostics
        .iter()
        .map(|one| {
            assert!(one.message.len() < 4_000, "a message of {} bytes", one.message.len());
            let mut text = Vec::new();
            yubin::render::text::diagnostic(one, yubin::render::Lang::Ja, &mut text).unwrap();
            text.len()
        })
        .sum()
}

#[test]
fn yaml() {
    fuzz("yaml", "generic", seeds(&["yaml", "yml"]), YAML_WORDS);
}

#[test]
fn canonical_csv() {
    let mut seeds = seeds(&["csv"]);
    seeds.push(b"kind,user,name,incoming.port,password\npattern,u,p,110,\naccount,,a,143,${env:X}\n".to_vec());
    fuzz("csv", "generic", seeds, CSV_WORDS);
}

#[test]
fn catchme_mail() {
    fuzz("catchme-mail", "catchme-mail", seeds(&["csv"]), CSV_WORDS);
}

/// How long a check of this source takes, in seconds and in bytes of messages; `None` if it had to
/// be ended.
fn told(name: &str, text: &str) -> Option<usize> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let world = World::project("generic", "");
    world.write(name, text);
    let output = std::fs::File::create(world.file("output")).unwrap();
    let mut child = world.command(&["check"]).stdout(Stdio::null()).stderr(output).spawn().unwrap();
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(matches!(status.code(), Some(0 | 3)), "{status}");
            return Some(usize::try_from(std::fs::metadata(world.file("output")).unwrap().len()).unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// A file of a megabyte that is wrong throughout, or in one very long word, is told about in time.
#[test]
fn large_mistakes_are_told_quickly() {
    let long = "x".repeat(1_000_000);
    let join = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let mut slow = Vec::new();
    for (what, name, text) in [
        ("a long word", "a.yaml", format!("accounts:\n  a:\n    incoming.protocol: {long}\n")),
        ("a long key", "a.yaml", format!("accounts:\n  a:\n    ? {long}\n    : 1\n")),
        ("a long reference", "a.yaml", format!("accounts:\n  a: {{ server: {long} }}\nservers: {{ s: {{}} }}\n")),
        ("a long column name", "a.csv", format!("name,{long}\na,b\n")),
        ("many unknown keys", "a.yaml", format!("accounts:\n  a:\n{}", join(20_000, &|n| format!("    k{n}: 1\n")))),
        ("many unknown columns", "a.csv", format!("name{}\n", join(20_000, &|n| format!(",k{n}")))),
        ("many cells too many", "a.csv", format!("name,comment\na{}\n", ",x".repeat(200_000))),
        ("many quoted cells", "a.csv", format!("name,comment\na{}\n", ",\"x\"".repeat(200_000))),
        ("many broken quotes", "a.csv", format!("name,comment\na{}\n", ",\"x\"y".repeat(20_000))),
        ("many duplicates", "a.csv", format!("name\n{0}{0}", join(20_000, &|n| format!("a{n}\n")))),
        (
            "many dangling references",
            "a.yaml",
            format!(
                "accounts:\n{}servers:\n{}",
                join(5_000, &|n| format!("  a{n}: {{ server: t }}\n")),
                join(200, &|n| format!("  s{n}: {{}}\n"))
            ),
        ),
        ("deep lists", "a.yaml", format!("accounts: {}", "[".repeat(100_000))),
        ("deep mappings", "a.yaml", format!("accounts: {}", "{ a: ".repeat(100_000))),
        (
            "many anchors",
            "a.yaml",
            format!("accounts:\n{}", join(20_000, &|n| format!("  a{n}: &x{n} {{ comment: y }}\n"))),
        ),
        ("a long text", "a.yaml", format!("accounts:\n  a: {{ signature: \"{}\" }}\n", long.repeat(4))),
        ("many lines of text", "a.csv", format!("name,signature\na,\"{}\"\nb,x,y\n", "x\n".repeat(500_000))),
    ] {
        match told(name, &text) {
            None => slow.push(format!("{what}: more than 3 s for {} bytes", text.len())),
            Some(said) if said > 100_000 + 20 * text.len() => slow.push(format!("{what}: {said} bytes of messages")),
            Some(_) => {}
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// Whatever is wrong with a word, it is not repeated at length.
#[test]
fn a_long_word_makes_no_long_message() {
    let long = "x".repeat(5_000);
    let mut wordy = Vec::new();
    for field in [
        "incoming.protocol",
        "capacity",
        "visible",
        "address",
        "cc",
        "incoming.host",
        "server",
        "forward.to",
        "mailbox_size",
    ] {
        let said = told("a.yaml", &format!("accounts:\n  a: {{ {field}: {long} }}\n")).unwrap();
        if said > 1_000 {
            wordy.push(format!("{field}: {said} bytes"));
        }
    }
    assert!(wordy.is_empty(), "{}", wordy.join("\n"));
}

/// Aliases and merge keys multiply: what a small file can say is bounded all the same.
#[test]
fn a_small_file_cannot_say_very_much() {
    let list = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(", ");
    let wrong = list(100, &|n| format!("x{n}: 1"));
    let patterns = list(100, &|n| if n == 0 { format!("p0: &r {{ {wrong} }}") } else { format!("p{n}: *r") });
    let users = list(100, &|n| if n == 0 { format!("u0: &m {{ {patterns} }}") } else { format!("u{n}: *m") });
    let text = format!("patterns: {{ {users} }}\n");
    let said = told("a.yaml", &text);
    assert!(said.is_some(), "{} bytes of YAML take more than 3 s", text.len());
    assert!(said < Some(20_000_000), "{} bytes of YAML make {said:?} bytes of messages", text.len());
}

// --- The same values as another reader ----------------------------------------------------------

/// A plain block of YAML: mappings, lists and scalars, in a careful hand.
fn block(dice: &mut Dice, depth: usize, indent: usize, text: &mut String) {
    const PLAIN: &[&str] = &[
        "x",
        "taro",
        "no",
        "yes",
        "on",
        "0123",
        "098765",
        "1e3",
        "1_000",
        "0x1F",
        "0o17",
        "12",
        "-5",
        "+5",
        "1.5",
        ".5",
        "true",
        "false",
        "True",
        "TRUE",
        "null",
        "~",
        "",
        "a b c",
        "a#b",
        "a: ",
        "x:y",
        "mail.example.jp",
        "a@x.jp",
        "2024-01-02",
        "12:34",
        "受信箱/表示",
        "🦀",
        "it's",
        "a \"b\"",
        "..",
        "=",
        "<",
        "1.",
        ".inf",
        "NaN",
        "a, b",
        "a]b",
        "a}b",
        "$x",
        "100%",
        "a&b",
        "a*b",
        "-x",
        "?x",
        ":x",
        "a -b",
        "trail \\",
        "'quoted'",
        "\"quoted\"",
        "'it''s'",
        "\"a\\tb\\u53d7\\\"\"",
        "'# no'",
        "\"- x\"",
        "'a: b'",
        "''",
        "\"\"",
    ];
    const KEYS: &[&str] = &[
        "a", "b", "c", "host", "port", "no", "0123", "true", "a.b", "x y", "受信", "'q'", "\"d\"", "-k", "a#b", "1",
        "12:30", "k: ",
    ];
    let pad = " ".repeat(indent);
    let entries = 1 + dice.below(4);
    let list = dice.below(5) == 0;
    let first = dice.below(KEYS.len());
    for at in 0..entries {
        let key = KEYS[(first + at) % KEYS.len()].trim_end_matches(": ");
        let head = if list { format!("{pad}-") } else { format!("{pad}{key}:") };
        match dice.below(if depth == 0 { 2 } else { 6 }) {
            0 | 1 | 5 => {
                let value = dice.pick(PLAIN).trim_end_matches(": ");
                let comment = if dice.below(8) == 0 { "  # why" } else { "" };
                writeln!(text, "{head} {value}{comment}").unwrap();
            }
            2 => {
                let sign = dice.pick(&["|", "|-", "|+", ">", ">-", ">+"]);
                writeln!(text, "{head} {sign}").unwrap();
                for _ in 0..=dice.below(4) {
                    let line = dice.pick(&["one", "two words", "", "  more", "# no comment", "受信: x", "- y"]);
                    // Of folded text, only lines at the same indent mean the same to all.
                    let line = if sign.starts_with('>') { line.trim_start() } else { line };
                    if line.is_empty() {
                        text.push('\n');
                    } else {
                        writeln!(text, "{pad}  {line}").unwrap();
                    }
                }
                // The first line of a block must not be empty.
                writeln!(text, "{pad}  end").unwrap();
            }
            _ => {
                writeln!(text, "{head}").unwrap();
                let deeper = indent + 2 + dice.below(2);
                block(dice, depth - 1, deeper, text);
            }
        }
        if dice.below(10) == 0 {
            text.push_str(dice.pick(&["\n", "# a comment\n", "   \n"]));
        }
    }
}

/// Whether our node says what the other reader's value says. A plain scalar is text to us, and
/// only the field tells what it means.
fn same(node: &Node, yaml: &Yaml) -> bool {
    match (&node.content, yaml) {
        (_, Yaml::Null) => node.is_null(),
        (Content::Plain(text), Yaml::Bool(flag)) => text.eq_ignore_ascii_case(&flag.to_string()),
        (Content::Plain(text), Yaml::Number(number)) => {
            let plain = text.trim_start_matches('+');
            let digits =
                |radix: &str, base| plain.strip_prefix(radix).and_then(|text| i64::from_str_radix(text, base).ok());
            let whole =
                plain.parse().ok().or_else(|| digits("0x", 16)).or_else(|| digits("0o", 8)).or_else(|| digits("0b", 2));
            match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => whole == Some(number),
                (None, Some(number)) if number.is_finite() => plain.parse::<f64>() == Ok(number),
                _ => text.to_lowercase().contains("inf") || text.to_lowercase().contains("nan"),
            }
        }
        (Content::Plain(text) | Content::Quoted(text), Yaml::String(other)) => text == other,
        (Content::List(items), Yaml::Sequence(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(item, other)| same(item, other))
        }
        (Content::Map(entries), Yaml::Mapping(others)) => {
            entries.len() == others.len()
                && entries.iter().zip(others).all(|(entry, (key, other))| {
                    let key_node = Node { place: entry.key_place, content: Content::Plain(entry.key.clone()) };
                    (same(&key_node, key) || Yaml::String(entry.key.to_string()) == *key) && same(&entry.value, other)
                })
        }
        _ => false,
    }
}

#[test]
fn plain_blocks_mean_the_same_to_another_reader() {
    let mut both = 0;
    for seed in 0..20_000 {
        let mut dice = Dice(seed);
        let mut text = String::new();
        block(&mut dice, 3, 0, &mut text);
        if dice.below(4) == 0 {
            text = text.replace('\n', "\r\n");
        }
        let mut reader = Reader::new("f", &text);
        let ours = reader.document();
        let theirs: Result<Yaml, _> = serde_yaml::from_str(&text);
        if let (Ok(Some(ours)), true, Ok(theirs)) = (ours, reader.problems.is_empty(), theirs) {
            both += 1;
            assert!(same(&ours, &theirs), "seed {seed}:\n{text}\nours: {ours:#?}\ntheirs: {theirs:#?}");
        }
    }
    assert!(both > 10_000, "only {both} blocks are accepted by both");
}

/// The fixtures that are right are read alike, too, where they use no merge keys.
#[test]
fn fixtures_mean_the_same_to_another_reader() {
    let mut both = 0;
    for seed in seeds(&["yaml", "yml"]) {
        let Ok(text) = String::from_utf8(seed) else { continue };
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = Reader::new("f", text);
        let ours = reader.document();
        let theirs: Result<Yaml, _> = serde_yaml::from_str(text);
        if text.contains("<<") {
            continue;
        }
        if let (Ok(Some(ours)), true, Ok(theirs)) = (ours, reader.problems.is_empty(), theirs) {
            both += 1;
            assert!(same(&ours, &theirs), "{text}\nours: {ours:#?}\ntheirs: {theirs:#?}");
        }
    }
    assert!(both > 50, "only {both} fixtures are accepted by both");
}
