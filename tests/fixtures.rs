//! Whole projects, wrong and right, each with what must be said of it. See `fixtures/README.md`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::support::World;

fn folders(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn name(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

/// `SEVERITY CODE FILE:LINE:COLUMN [ADDRESS] [FIELD]`
fn line(diagnostic: &Json) -> String {
    let text = |key: &str| diagnostic[key].as_str();
    let file = text("file").unwrap_or("-");
    let place = match (diagnostic["line"].as_u64(), diagnostic["column"].as_u64()) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        _ => file.to_owned(),
    };
    let mut parts = vec![text("severity").unwrap(), text("code").unwrap(), &place];
    match (text("address"), text("field")) {
        (None, None) => {}
        (address, None) => parts.extend(address),
        (address, Some(field)) => parts.extend([address.unwrap_or("-"), field]),
    }
    parts.join(" ")
}

/// All wrong projects say exactly what is expected, and the exact words are those that were
/// looked at once: `YUBIN_BLESS=1` writes them anew.
#[test]
fn every_wrong_project_is_told_what_is_wrong() {
    let mut failures = Vec::new();
    for folder in folders("invalid") {
        let expect = std::fs::read_to_string(folder.join("expect")).unwrap();
        let (command, expected) = expect.split_once('\n').unwrap();
        let world = World::copy_of(&folder);
        world.remove("expect");
        let words_file = folder.join("words");
        if words_file.exists() {
            world.remove("words");
        }
        let run = world.run(&[command, "--format", "json"]);
        let json: Json = serde_json::from_str(&run.stdout).unwrap_or(Json::Null);
        let mut found: Vec<String> = json["diagnostics"].as_array().into_iter().flatten().map(line).collect();
        let mut expected: Vec<&str> = expected.lines().filter(|line| !line.is_empty()).collect();
        found.sort();
        expected.sort_unstable();
        if found != expected {
            failures.push(format!(
                "{}\n  expected\n    {}\n  found\n    {}\n{}",
                name(&folder),
                expected.join("\n    "),
                found.join("\n    "),
                run.stderr
            ));
            continue;
        }
        let wanted = if expected.iter().any(|line| line.starts_with("error")) { 3 } else { 0 };
        if run.code != wanted && command == "check" {
            failures.push(format!("{}: exit {} instead of {wanted}", name(&folder), run.code));
        }
        let words = world.run(&[command]).stderr;
        if std::env::var_os("YUBIN_BLESS").is_some() {
            std::fs::write(&words_file, &words).unwrap();
        } else if std::fs::read_to_string(&words_file).unwrap_or_default() != words {
            failures.push(format!("{}: other words than in `words`\n{words}", name(&folder)));
        }
        if world.file("yubin.db").exists() {
            failures.push(format!("{}: a store was made", name(&folder)));
        }
    }
    assert!(failures.is_empty(), "{} of the wrong projects:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn every_right_project_plans_what_it_declares() {
    let mut failures = Vec::new();
    for folder in folders("valid") {
        let expect = std::fs::read_to_string(folder.join("expect")).unwrap();
        let world = World::copy_of(&folder);
        world.remove("expect");
        let run = world.run(&["plan", "--format", "json"]);
        let json: Json = serde_json::from_str(&run.stdout).unwrap_or(Json::Null);
        let text = |json: &Json, key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let changes: Vec<&Json> = json["changes"].as_array().into_iter().flatten().collect();
        let found: Vec<String> =
            changes.iter().map(|change| format!("{} {}", text(change, "action"), text(change, "address"))).collect();
        let lines = || expect.lines().skip(1).filter(|line| !line.is_empty());
        let expected: Vec<&str> = lines().filter(|line| !line.starts_with("field ")).collect();
        if run.code != 0 || found != expected {
            failures.push(format!(
                "{}: exit {}\n  expected\n    {}\n  found\n    {}\n{}{}",
                name(&folder),
                run.code,
                expected.join("\n    "),
                found.join("\n    "),
                run.stderr,
                if found.is_empty() { &run.stdout } else { "" }
            ));
            continue;
        }
        for wanted in lines().filter_map(|line| line.strip_prefix("field ")) {
            let mut parts = wanted.splitn(3, ' ');
            let (address, field, value) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let value: Json = serde_json::from_str(value).unwrap();
            let after = changes
                .iter()
                .filter(|change| text(change, "address") == address)
                .flat_map(|change| change["fields"].as_array().unwrap())
                .find(|one| text(one, "field") == field);
            if after.map(|one| &one["after"]) != Some(&value) {
                failures.push(format!("{}: {wanted}, found {after:?}", name(&folder)));
            }
        }
        // The two-run rule: what was applied plans nothing.
        world.expect(0, &["apply", "--yes"]);
        let again = world.json(0, &["plan"]);
        if again["changes"].as_array().is_some_and(|changes| !changes.is_empty()) {
            failures.push(format!("{}: plans again {}", name(&folder), again["changes"]));
        }
    }
    assert!(failures.is_empty(), "{} of the right projects:\n\n{}", failures.len(), failures.join("\n\n"));
}
