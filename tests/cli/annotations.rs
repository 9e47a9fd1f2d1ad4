//! `--annotate`: what forges show beside the lines of a proposal.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::history_views::{commit, git};
use super::saved_plans::{document, read, said};
use super::{accounts, concat};
use crate::support::{Run, World};

/// A run outside of any pipeline, or with this file for its summary.
fn annotated(world: &World, summary: Option<&str>, args: &[&str]) -> Run {
    let mut command = world.command(args);
    for name in ["GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "GITLAB_CI", "GIT_DIR", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    if let Some(name) = summary {
        command.env("GITHUB_STEP_SUMMARY", world.file(name));
    }
    Run::of(command.output().unwrap())
}

#[track_caller]
fn expect(world: &World, code: i32, args: &[&str]) -> Run {
    let run = annotated(world, None, args);
    assert_eq!(run.code, code, "yubin {}\n{}", args.join(" "), said(&run));
    run
}

/// Lines that a runner takes for commands, wherever they stand: it does not look at leading blanks.
fn commands(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_start).filter(|line| line.starts_with("::")).collect()
}

/// As the runner of GitHub reads it back.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// How the line of a diagnostic begins, up to its message, and the message.
fn expected(diagnostic: &Json, folder: &str) -> (String, String) {
    let level = match diagnostic["severity"].as_str().unwrap() {
        "error" => "error",
        "warning" => "warning",
        _ => "notice",
    };
    let file = format!("{folder}{}", diagnostic["file"].as_str().unwrap());
    let (line, column) = (&diagnostic["line"], &diagnostic["column"]);
    let head = format!(
        "::{level} file={},line={line},col={column},title={}::",
        property(&file),
        property(diagnostic["code"].as_str().unwrap())
    );
    (head, data(diagnostic["message"].as_str().unwrap()))
}

/// Each diagnostic has its line, and there are no others.
#[track_caller]
fn assert_annotated(text: &str, diagnostics: &Json, folder: &str) {
    let found = commands(text);
    let diagnostics = diagnostics.as_array().unwrap();
    assert_eq!(found.len(), diagnostics.len(), "{text}");
    for (line, diagnostic) in found.iter().zip(diagnostics) {
        let (head, message) = expected(diagnostic, folder);
        let rest = line.strip_prefix(&head).unwrap_or_else(|| panic!("`{line}` does not begin with `{head}`"));
        assert!(rest.contains(&message), "`{line}` does not hold `{message}`");
    }
}

/// Errors and warnings in several files, one of them with a name full of what separates.
fn wrong() -> World {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts:\n  a: { capacityy: 5 }\n\n  b: { server: nobody, comment: x }\n");
    world.write("b, 50%: c.yaml", "accounts:\n  \"50%, a: b\": { capacity: many }\n  d: { password: clear }\n");
    world.write("受信/c.csv", "name,capacity\ne,many\n");
    world
}

/// No error, but something of each lower kind.
fn warned() -> World {
    let world = World::project("generic", "policy: { existing: skip, max_deletes: 9 }\n");
    world.write(
        "a.yaml",
        "accounts:\n  a: { comment: one }\n  b: { incoming.delete_after_download: true, password: clear }\n",
    );
    world
}

#[test]
fn every_diagnostic_of_a_check_has_a_workflow_command() {
    for (world, code) in [(wrong(), 3), (warned(), 0)] {
        let diagnostics = world.json(code, &["check"])["diagnostics"].take();
        assert!(!diagnostics.as_array().unwrap().is_empty(), "a world of which nothing is said");
        let run = expect(&world, code, &["check", "--annotate", "github"]);
        assert_annotated(&run.stdout, &diagnostics, "");
        assert_eq!(commands(&run.stderr), [""; 0]);
        // First of all: what comes behind is for people.
        let lines: Vec<&str> = run.stdout.lines().collect();
        let count = diagnostics.as_array().unwrap().len();
        assert!(lines[..count].iter().all(|line| line.starts_with("::")), "{}", run.stdout);
        // Without the option there is none.
        let run = expect(&world, code, &["check"]);
        assert_eq!(commands(&said(&run)), [""; 0]);
    }
}

#[test]
fn what_separates_is_escaped() {
    let world = wrong();
    let text = expect(&world, 3, &["check", "--annotate", "github"]).stdout;
    for part in
        ["::error file=b%2C 50%25%3A c.yaml,line=2,col=", "::error file=受信/c.csv,line=2,col=", "title=value/type::"]
    {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    assert!(text.contains("::error file=a.yaml,line=2,col=8,title=key/unknown::"), "{text}");
    assert!(text.contains("::warning file=b%2C 50%25%3A c.yaml,line=3,"), "{text}");
    for line in commands(&text) {
        // Head and message are parted once, and no property by chance.
        let (head, _) = line[2..].split_once("::").unwrap();
        let names: Vec<&str> =
            head.split_once(' ').unwrap().1.split(',').map(|one| one.split_once('=').unwrap().0).collect();
        assert_eq!(names, ["file", "line", "col", "title"], "{line}");
    }
}

#[test]
fn a_plan_is_annotated_as_a_check_is() {
    for (world, code) in [(wrong(), 3), (warned(), 0)] {
        let diagnostics = world.json(code, &["plan"])["diagnostics"].take();
        let run = expect(&world, code, &["plan", "--annotate", "github"]);
        assert_annotated(&run.stdout, &diagnostics, "");
        assert_eq!(commands(&run.stderr), [""; 0]);
        if code == 0 {
            let plain = expect(&world, 0, &["plan"]).stdout;
            assert!(run.stdout.starts_with("::") && run.stdout.ends_with(&plain), "{}", run.stdout);
            expect(&world, 2, &["plan", "--annotate", "github", "--exit-code"]);
        }
    }
}

/// Documents stay whole: the commands go to where the messages go.
#[test]
fn beside_a_document_the_commands_stand_on_stderr() {
    for (world, code) in [(wrong(), 3), (warned(), 0)] {
        let diagnostics = world.json(code, &["plan"])["diagnostics"].take();
        for format in ["json", "markdown", "html"] {
            let plain = expect(&world, code, &["plan", "--format", format]);
            let run = expect(&world, code, &["plan", "--format", format, "--annotate", "github"]);
            assert_eq!(run.stdout, plain.stdout, "{format}");
            assert_annotated(&run.stderr, &diagnostics, "");
        }
        let diagnostics = world.json(code, &["check"])["diagnostics"].take();
        let run = expect(&world, code, &["check", "--format", "json", "--annotate", "github"]);
        assert_eq!(run.stdout, expect(&world, code, &["check", "--format", "json"]).stdout);
        assert_annotated(&run.stderr, &diagnostics, "");
    }
}

#[test]
fn a_refusal_is_an_error_by_its_rule() {
    let world = World::project("generic", "policy: { undeclared: delete, protect: [account/a000] }\n");
    world.write("a.yaml", accounts(0..13, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", accounts(6..13, "x"));
    let plan = world.json(4, &["plan"]);
    let refused = plan["refused"].as_array().unwrap();
    let messages = concat(refused, |one| one["message"].to_string());
    assert!(refused.len() == 2 && messages.contains('%'), "{messages}");
    for args in [&["plan", "--annotate", "github"][..], &["apply", "--yes", "--annotate", "github"]] {
        let run = expect(&world, 4, args);
        let found = commands(&run.stdout);
        assert_eq!(found.len(), 2, "{}", run.stdout);
        for (line, one) in found.iter().zip(refused) {
            let head = format!("::error title={}::", one["rule"].as_str().unwrap());
            assert!(line.starts_with(&head), "{line}");
            assert!(line.contains(&data(one["message"].as_str().unwrap())), "{line}");
        }
    }
    let run = expect(&world, 4, &["plan", "--annotate", "github", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Json>(&run.stdout).unwrap(), plan);
    assert_eq!(commands(&run.stderr).len(), 2);
}

#[test]
fn a_blocked_change_and_a_vanished_source_are_annotated_too() {
    let world = World::project("generic", "sources: [a.yaml, people/*.yaml]\n");
    world.write("a.yaml", "accounts: { a: {} }\n");
    let plan = world.json(4, &["plan"]);
    assert_eq!(super::rules(&plan), ["source_vanished"]);
    let run = expect(&world, 4, &["plan", "--annotate", "github"]);
    assert!(
        commands(&run.stdout).iter().any(|line| line.starts_with("::error title=source_vanished::")),
        "{}",
        run.stdout
    );
}

/// What stands in the files is not for the runner: neither names nor values become commands.
#[test]
fn nothing_in_the_files_becomes_a_command() {
    let world = World::project("generic", "policy: { undeclared: delete, max_deletes: 0 }\n");
    let (name, text) = ("a %0A::error::x, b", "x\\n::error title=evil::x\\r\\n  ::stop-commands::x\\n##[error]x");
    world.write(
        "a.yaml",
        format!(
            "accounts:
  \"{name}\": {{ comment: \"{text}\", label: \"::error::x\" }}
  b:
    signature: |
      one
      ::set-output name=x::y
"
        ),
    );
    let plan = expect(&world, 0, &["plan", "--annotate", "github", "-v"]);
    assert_eq!(commands(&said(&plan)), [""; 0]);
    world.expect(0, &["apply", "--yes"]);
    // Shown as what would be lost, and refused by name.
    world.write("a.yaml", "accounts: { b: {} }\n");
    let run = expect(&world, 4, &["plan", "--annotate", "github", "-v"]);
    let found = commands(&run.stdout);
    assert!(found.len() == 1 && found[0].starts_with("::error title=max_deletes::"), "{}", run.stdout);
    assert_eq!(commands(&run.stderr), [""; 0]);
    // Unknown keys, names of files and of sources.
    world.write("a.yaml", format!("accounts:\n  \"{name}\": {{ \"{text}\": 1, capacity: \"{text}\" }}\n"));
    world.write("b\n::error::evil.yaml", "accounts: { c: { capacity: x } }\n");
    let count = world.json(3, &["check"])["diagnostics"].as_array().unwrap().len();
    for args in [&["check", "--annotate", "github"][..], &["plan", "--annotate", "github"]] {
        let run = expect(&world, 3, args);
        let found = commands(&run.stdout);
        assert_eq!(found.len(), count, "{}", said(&run));
        assert!(found.iter().all(|line| line.starts_with("::error file=")), "{}", run.stdout);
        assert_eq!(commands(&run.stderr), [""; 0], "{}", run.stderr);
    }
}

/// A forge counts paths from the top of the repository, and so do both kinds of annotation.
#[test]
fn paths_count_from_the_top_of_the_checkout() {
    for (folder, prefix) in [("mail", "mail/"), ("teams/b, 50%", "teams/b, 50%/"), (".", "")] {
        let world = World::new();
        git(&world, &["init", "-q"]);
        world.write(&format!("{folder}/yubin.yaml"), "version: 1\nname: head-office\n");
        world.write(&format!("{folder}/people/a.yaml"), "accounts:\n  a: { capacity: many }\n");
        commit(&world);
        let diagnostics = world.json(3, &["-C", folder, "check"])["diagnostics"].take();
        assert_eq!(diagnostics[0]["file"], "people/a.yaml");
        for command in ["check", "plan"] {
            let run = expect(&world, 3, &["-C", folder, command, "--annotate", "github"]);
            assert_annotated(&run.stdout, &diagnostics, prefix);
            let run = expect(&world, 3, &["-C", folder, command, "--annotate", "gitlab"]);
            let found: Json = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(found[0]["location"]["path"], format!("{prefix}people/a.yaml"));
        }
    }
}

#[test]
fn the_summary_of_a_job_gets_the_plan_as_markdown() {
    let world = warned();
    let page = expect(&world, 0, &["plan", "--format", "markdown"]).stdout;
    world.write("summary.md", "before\n");
    let run = annotated(&world, Some("summary.md"), &["plan", "--annotate", "github"]);
    assert_eq!(run.code, 0);
    let summary = read(&world, "summary.md");
    let added = summary.strip_prefix("before\n").unwrap_or_else(|| panic!("it was overwritten: {summary}"));
    assert_eq!(added.trim(), page.trim());
    // Again: behind, not instead.
    annotated(&world, Some("summary.md"), &["plan", "--annotate", "github", "--format", "json"]);
    assert_eq!(read(&world, "summary.md").matches(page.trim()).count(), 2);
    // A refused plan most of all.
    world.write("yubin.yaml", "version: 1\nname: head-office\npolicy: { max_deletes: 0 }\n");
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a: { absent: true }, b: {} }\n");
    annotated(&world, Some("refused.md"), &["plan", "--annotate", "github"]);
    assert!(read(&world, "refused.md").contains("max_deletes"));
    // Only for GitHub, and only when asked.
    for args in [&["plan"][..], &["plan", "--annotate", "gitlab"]] {
        annotated(&world, Some("none.md"), args);
        assert!(!world.file("none.md").exists(), "{args:?}");
    }
}

/// A job must not fail, or pass, by its summary.
#[test]
fn a_summary_that_cannot_be_written_does_not_change_the_plan() {
    let world = warned();
    let run =
        annotated(&world, Some("no-such-folder/summary.md"), &["plan", "--annotate", "github", "--out", "plan.json"]);
    assert!(matches!(run.code, 0 | 1), "{}", said(&run));
    if run.code == 1 {
        assert!(run.stderr.contains("summary.md"), "{}", run.stderr);
    } else {
        assert_eq!(document(&world, "plan.json")["summary"]["add"], 2);
    }
}

// --- GitLab -------------------------------------------------------------------------------

fn issues(world: &World, code: i32, args: &[&str]) -> Vec<Json> {
    let run = expect(world, code, args);
    let json: Json = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout));
    json.as_array().unwrap_or_else(|| panic!("no array: {json}")).clone()
}

const GITLAB: &[&str] = &["check", "--annotate", "gitlab"];

#[test]
fn a_report_for_gitlab_is_an_array_of_code_quality() {
    for (world, code) in [(wrong(), 3), (warned(), 0)] {
        let diagnostics = world.json(code, &["check"])["diagnostics"].take();
        let diagnostics = diagnostics.as_array().unwrap();
        let found = issues(&world, code, GITLAB);
        assert_eq!(found.len(), diagnostics.len());
        for (issue, diagnostic) in found.iter().zip(diagnostics) {
            let names: BTreeSet<&str> = super::keys(issue).into_iter().collect();
            let wanted = ["check_name", "description", "fingerprint", "location", "severity"];
            assert!(names.is_superset(&BTreeSet::from(wanted)), "{issue}");
            assert_eq!(issue["check_name"], diagnostic["code"]);
            assert_eq!(issue["location"]["path"], diagnostic["file"]);
            assert_eq!(issue["location"]["lines"]["begin"], diagnostic["line"]);
            let severity = issue["severity"].as_str().unwrap();
            assert!(["info", "minor", "major", "critical", "blocker"].contains(&severity), "{issue}");
            assert!(
                issue["description"].as_str().unwrap().contains(diagnostic["message"].as_str().unwrap()),
                "{issue}"
            );
            assert!(!issue["fingerprint"].as_str().unwrap().is_empty());
        }
        // An error weighs more than a warning.
        let of = |severity: &str| -> BTreeSet<&str> {
            let both = found.iter().zip(diagnostics).filter(|(_, one)| one["severity"] == severity);
            both.map(|(issue, _)| issue["severity"].as_str().unwrap()).collect()
        };
        assert!(of("error").is_disjoint(&of("warning")) && of("warning").is_disjoint(&of("info")));
    }
}

#[test]
fn a_report_of_nothing_is_an_empty_array() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    assert_eq!(issues(&world, 0, GITLAB), [Json::Null; 0]);
    assert_eq!(issues(&world, 0, &["plan", "--annotate", "gitlab"]), [Json::Null; 0]);
    assert_eq!(issues(&world, 2, &["plan", "--annotate", "gitlab", "--exit-code"]), [Json::Null; 0]);
    // A refusal has no line; the report is still one, and the exit code says it.
    let world = World::project("generic", "policy: { max_deletes: 0 }\n");
    world.write("a.yaml", accounts(0..2, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.write("a.yaml", "accounts: { a000: { absent: true }, a001: {} }\n");
    issues(&world, 4, &["plan", "--annotate", "gitlab"]);
}

/// GitLab takes two issues of one fingerprint for one, and one that changes for a new one.
#[test]
fn fingerprints_are_unique_and_do_not_follow_lines() {
    let world = World::project("generic", "");
    let yaml = "accounts:
  a: { capacity: many, visible: perhaps }
  b: { capacity: many }
  c: { capacity: many, incoming: { port: many }, outgoing: { port: many } }
patterns:
  a: { a: { incoming.port: many }, b: { incoming.port: many } }
";
    world.write("a.yaml", yaml);
    world.write("b.yaml", yaml.replace("  a:", "  x:").replace("  b:", "  y:").replace("  c:", "  z:"));
    // The same mistake twice in one resource.
    world.write("c.csv", "name,capacity\nq,many\nq,many\n");
    let prints = || -> Vec<String> {
        issues(&world, 3, GITLAB).iter().map(|one| one["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    let first = prints();
    assert!(first.len() >= 16, "{first:?}");
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "two have the same: {first:?}");
    assert_eq!(prints(), first);
    // Lines and columns move.
    world.write("a.yaml", format!("# one\n\n# two\n{}", yaml.replace("  b: { ", "  b:   { ")));
    let lines: Vec<Json> =
        issues(&world, 3, GITLAB).iter().map(|one| one["location"]["lines"]["begin"].clone()).collect();
    assert_eq!(lines[0], json!(5));
    assert_eq!(prints(), first);
    // One is put right: the others stay who they are.
    world.write("a.yaml", yaml.replace("  b: { capacity: many }", "  b: { capacity: 5 }"));
    let fewer: BTreeSet<String> = prints().into_iter().collect();
    let all: BTreeSet<String> = first.iter().cloned().collect();
    assert!(fewer.is_subset(&all), "{:?}", fewer.difference(&all));
    assert_eq!(fewer.len(), all.len() - 1);
}

#[test]
fn gitlab_wants_the_report_alone() {
    let world = warned();
    for args in [
        &["check", "--annotate", "gitlab", "--format", "json"][..],
        &["plan", "--annotate", "gitlab", "--format", "json"],
        &["plan", "--annotate", "gitlab", "--format", "markdown"],
        &["plan", "--annotate", "gitlab", "--format", "html"],
        &["apply", "--yes", "--annotate", "gitlab", "--format", "json"],
        &["check", "--annotate", "gitea"],
        &["check", "--annotate"],
        &["show", "--annotate", "github"],
    ] {
        assert!(expect(&world, 64, args).stdout.is_empty(), "{args:?}");
    }
    assert!(!world.file("yubin.db").exists());
    assert!(!issues(&world, 0, &["check", "--annotate", "gitlab", "--format", "text"]).is_empty());
}
