//! The house is built in layers (`docs/architecture.md`): who may import whom, and who may not do what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules of each layer, and what each may import beside the layers below: its own parts.
const LAYERS: &[&[(&str, &[&str])]] = &[
    // Nouns: nothing of ours.
    &[("model", &[])],
    // Facts import nouns; a document names the system of its plan. So do the ways to other programs and machines.
    &[("system", &[]), ("wire", &["system"]), ("child", &[]), ("net", &[])],
    // Steps import nouns and facts, never another step.
    &[
        // Files are read from the disk, or from a commit.
        ("load", &["format", "checkout"]),
        ("format", &[]),
        ("autoconfig", &[]),
        ("bundle", &["format"]),
        ("resolve", &["check"]),
        ("check", &[]),
        ("checkout", &[]),
        ("diff", &[]),
        ("guard", &[]),
        ("history", &[]),
        ("ownership", &[]),
        ("refresh", &[]),
        ("vault", &[]),
        // The secret of a webhook is fetched like others.
        ("hooks", &["vault"]),
        ("render", &[]),
        // What guard approves is what a store takes: the permission is a type of guard's own. What a server
        // has lent is a key of the vault's.
        ("store", &["guard", "vault"]),
        ("probe", &[]),
    ],
    // The line imports steps.
    &[("pipeline", &[])],
    // Doors import everything below.
    // A watcher answers on its status port with parts of the server.
    &[("commands", &["schema", "serve", "watch"]), ("schema", &[]), ("serve", &[]), ("watch", &["serve"])],
    &[("main", &[])],
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Files by their path below `src`, without comments and without tests, which stand last.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root)
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let lines: Vec<&str> = lines.map(|line| line.split(" // ").next().unwrap()).collect();
            (path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"), lines.join("\n"))
        })
        .collect()
}

/// The top-level module of a file.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// First names behind each `prefix::`, those in braces included.
fn names_behind(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        // `my_crate::` is another word.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let name = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (end, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.insert(name(&group[start..end]));
                    start = end + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

#[test]
fn names_are_found_behind_a_prefix() {
    let text =
        "use crate::model::{Key, Kind};\nuse crate::{diff, guard::{self, Verdict}, wire};\nlet x = crate::store::y();";
    let found: Vec<String> = names_behind(text, "crate::").into_iter().collect();
    assert_eq!(found, ["diff", "guard", "model", "store", "wire"]);
}

#[test]
fn every_module_imports_only_what_its_layer_may() {
    let layer_of: BTreeMap<&str, usize> =
        (0..).zip(LAYERS).flat_map(|(layer, modules)| modules.iter().map(move |(name, _)| (*name, layer))).collect();
    let own: BTreeMap<&str, &[&str]> = LAYERS.iter().flat_map(|modules| modules.iter().copied()).collect();
    let mut wrong = BTreeSet::new();
    for (file, text) in code() {
        let module = module(&file);
        // `lib` declares the modules.
        if module == "lib" {
            continue;
        }
        let Some(layer) = layer_of.get(module) else {
            wrong.insert(format!("{file}: the module `{module}` is in no layer"));
            continue;
        };
        let mut imported = names_behind(&text, "crate::");
        imported.extend(names_behind(&text, "yubin::"));
        // At the top of a module, `super` is the crate.
        if !file.contains('/') || file.ends_with("/mod.rs") {
            let depth = file.matches('/').count();
            if depth <= 1 {
                imported.extend(
                    names_behind(&text, "super::").into_iter().filter(|name| layer_of.contains_key(name.as_str())),
                );
            }
        }
        for name in imported.iter().filter(|name| *name != module) {
            let allowed = match layer_of.get(name.as_str()) {
                None => false,
                Some(other) => other < layer || own[module].contains(&name.as_str()),
            };
            // The parts of `load` and `resolve` are called by the doors through them.
            if !allowed {
                wrong.insert(format!("{file}: `{module}` may not import `{name}`"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} imports break the layers:\n{}",
        wrong.len(),
        wrong.into_iter().collect::<Vec<_>>().join("\n")
    );
}

/// Where the words may stand that do something to the world outside.
#[test]
fn only_some_modules_touch_the_world() {
    let rules: &[(&[&str], &[&str])] = &[
        // Nouns do no I/O and are not serializable.
        (
            &["serde", "std::fs", "fs::", "std::io", "std::env", "TcpStream", "std::process", "println!", "rusqlite"],
            &[
                "commands", "load", "store", "vault", "pipeline", "wire", "render", "format", "schema", "probe",
                "serve", "watch", "history", "main", "lib", "checkout", "child", "net", "hooks",
            ],
        ),
        // Only doors print and exit.
        (
            &["println!", "eprintln!", "print!(", "dbg!(", "process::exit", "io::stdout", "io::stderr"],
            &["commands", "serve", "main"],
        ),
        // Only the store knows its database.
        (&["rusqlite", "use postgres::", "tokio_postgres"], &["store"]),
        // Async is for the sockets that are listened at.
        (&["async fn", ".await", "tokio::"], &["serve", "watch"]),
        (&["unsafe "], &[]),
    ];
    let mut wrong = Vec::new();
    for (file, text) in code() {
        for (words, allowed) in rules {
            if allowed.contains(&module(&file)) {
                continue;
            }
            for line in text.lines() {
                // Words of messages are no code.
                let line = line.split('"').step_by(2).collect::<String>();
                if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                    wrong.push(format!("{file}: `{word}`: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `main` parses, runs, and maps to an exit code.
#[test]
fn main_is_short() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(text.lines().count() < 40);
}

/// A file of tests that nobody names is never run.
#[test]
fn no_test_file_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for folder in ["", "cli", "watch"] {
        let folder = root.join(folder);
        let list = folder.join(if folder == root { "main.rs" } else { "mod.rs" });
        let declared = std::fs::read_to_string(&list).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_module = path.extension().is_some_and(|ext| ext == "rs") || path.join("mod.rs").exists();
            if is_module && path != list && name != "mod" {
                assert!(declared.contains(&format!("mod {name};")), "{} is not in {}", path.display(), list.display());
            }
        }
    }
}
