//! `--trusted-config FILE`: what a pull request may not decide, and links that lead out of a project.

use std::os::unix::fs::symlink;

use super::secret_sources::{CLEAR, Identity, account, codes, hidden, lines_of, problems, script};
use super::{actions, private, rules};
use crate::support::World;

/// A project, beside it the configuration that its owners trust, and what is outside both.
fn proposed(secrets: &str, trusted: &str) -> World {
    let world = World::new();
    let here = world.path().display().to_string();
    world.write("project/yubin.yaml", format!("version: 1\nname: x\nsystem: generic\n{}", secrets.replace('@', &here)));
    world.write("trusted.yaml", trusted.replace('@', &here));
    private(&world, "outside/pw", CLEAR);
    world
}

fn args<'a>(trusted: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["-C", "project", "--trusted-config", trusted], args].concat()
}

/// What each verb ends with when the trusted configuration is asked.
#[track_caller]
fn judged(world: &World, code: i32) -> Vec<Vec<String>> {
    let trusted = world.file("trusted.yaml").display().to_string();
    let run = |verb: &[&str]| codes(&world.json(code, &args(&trusted, verb)));
    vec![run(&["check"]), run(&["plan"]), run(&["apply", "--yes"])]
}

#[test]
fn a_command_is_allowed_by_the_trusted_file_alone() {
    let tools = World::new();
    let log = tools.file("log").display().to_string();
    let get = script(&tools, "get", &format!("echo run >> {log}; echo secret"));
    let allowing = format!("secrets: {{ commands: [[{get}]] }}\n");
    let reference = account(&format!("{{ command: [{get}] }}"));
    for trusted in ["secrets: { commands: [] }\n", "policy: { max_deletes: 1 }\n"] {
        let world = proposed(&allowing, trusted);
        world.write("project/a.yaml", &reference);
        assert_eq!(judged(&world, 3), [["secret/command"]; 3], "{trusted}");
        assert!(!tools.file("log").exists(), "it ran");
        world.expect(0, &["-C", "project", "check"]);
    }
    for stranger in ["", "secrets: { commands: [] }\n"] {
        let world = proposed(stranger, &allowing);
        world.write("project/a.yaml", &reference);
        world.expect(3, &["-C", "project", "plan"]);
        let trusted = world.file("trusted.yaml").display().to_string();
        world.expect(0, &args(&trusted, &["check"]));
        world.expect(0, &args(&trusted, &["plan"]));
        // It is an option of every command, in front of it or behind.
        world.expect(0, &["-C", "project", "apply", "--yes", "--trusted-config", &trusted]);
        world.expect(0, &args(&trusted, &["plan", "--exit-code"]));
        world.expect(0, &args(&trusted, &["export", "yaml"]));
    }
    assert!(!lines_of(&tools, "log").is_empty());
}

#[test]
fn a_path_is_allowed_by_the_trusted_file_alone() {
    let allowing = "secrets: { paths: ['@/outside'] }\n";
    for reference in ["../outside/pw", "@/outside/pw"] {
        let write = |world: &World| {
            let path = reference.replace('@', &world.path().display().to_string());
            world.write("project/a.yaml", account(&format!("{{ file: {path} }}")));
        };
        for trusted in ["secrets: { paths: [] }\n", "secrets: {}\n", "policy: {}\n"] {
            let world = proposed(allowing, trusted);
            write(&world);
            assert_eq!(judged(&world, 3), [["secret/outside"]; 3], "{trusted} {reference}");
            world.expect(0, &["-C", "project", "plan"]);
        }
        let world = proposed("", allowing);
        write(&world);
        assert_eq!(judged(&world, 0), [[""; 0]; 3], "{reference}");
        world.expect(3, &["-C", "project", "plan"]);
    }
}

#[test]
fn identities_are_those_of_the_trusted_file() {
    let identity = Identity::age();
    let with_identity = format!("secrets: {{ identities: [{}] }}\n", identity.path());
    for (stranger, trusted, code) in [(with_identity.as_str(), "secrets: {}\n", 3), ("", with_identity.as_str(), 0)] {
        let world = proposed(stranger, trusted);
        let quoted = identity.armour(CLEAR).replace('\n', "\\n");
        world.write("project/a.yaml", account(&format!("{{ age: \"{quoted}\" }}")));
        let path = world.file("trusted.yaml").display().to_string();
        let plan = world.json(code, &args(&path, &["plan"]));
        assert_eq!(codes(&plan), if code == 0 { vec![] } else { vec!["secret/missing"] });
    }
}

/// Also what it does not say: then the defaults hold, not what the project says.
#[test]
fn the_policy_is_that_of_the_trusted_file() {
    let lax = "policy: { plaintext_secrets: allow, max_deletes: 1000, undeclared: delete, protect: [] }\n";
    let world = proposed(lax, "policy: { plaintext_secrets: deny }\n");
    world.write("project/a.yaml", account("clear"));
    assert_eq!(judged(&world, 3), [["secret/plaintext"]; 3]);
    let world = proposed(lax, "secrets: {}\n");
    world.write("project/a.yaml", account("clear"));
    let trusted = world.file("trusted.yaml").display().to_string();
    assert_eq!(problems(&world.json(0, &args(&trusted, &["check"])), "warning").len(), 1);
    assert_eq!(problems(&world.json(0, &["-C", "project", "check"]), "warning").len(), 0);
    // Limits.
    let world = proposed(lax, "policy: { max_deletes: 1, undeclared: keep, protect: [account/c] }\n");
    let trusted = world.file("trusted.yaml").display().to_string();
    world.write("project/a.yaml", "accounts: { a: {}, b: {}, c: {}, d: {} }\n");
    world.expect(0, &args(&trusted, &["apply", "--yes"]));
    for (text, broken, deleted) in [
        ("accounts: { a: { absent: true }, b: { absent: true } }\n", vec!["max_deletes"], 2),
        ("accounts: { c: { absent: true } }\n", vec!["protect"], 1),
        ("accounts: { a: { absent: true } }\n", vec![], 1),
    ] {
        world.write("project/a.yaml", text);
        let code = if broken.is_empty() { 0 } else { 4 };
        let plan = world.json(code, &args(&trusted, &["plan"]));
        assert_eq!((rules(&plan), actions(&plan).len()), (broken, deleted), "{text}");
        world.expect(code, &args(&trusted, &["apply", "--yes"]));
    }
}

/// A pull request could have changed it.
#[test]
fn a_program_inside_the_project_is_refused() {
    for command in ["./get", "bin/get", "../project/get", "@/project/get", "@/linked", "yubin-test-inside"] {
        let world = World::new();
        let here = world.path().display().to_string();
        let command = command.replace('@', &here);
        let allowing = format!("secrets: {{ commands: [[{command}]] }}\n");
        world.write("project/yubin.yaml", format!("version: 1\nname: x\nsystem: generic\n{allowing}"));
        world.write("trusted.yaml", &allowing);
        world.write("project/a.yaml", account(&format!("{{ command: [{command}] }}")));
        let body = format!("echo run >> {here}/log; echo secret");
        for name in ["project/get", "project/bin/get", "project/yubin-test-inside"] {
            script(&world, name, &body);
        }
        symlink("project/get", world.file("linked")).unwrap();
        let trusted = world.file("trusted.yaml").display().to_string();
        let path = format!("{here}/project:/usr/bin:/bin");
        for verb in [&["plan"][..], &["apply", "--yes"]] {
            let mut refused = world.command(&args(&trusted, verb));
            let output = refused.env("PATH", &path).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "{command}: {stderr}");
            assert!(stderr.contains("secret/command"), "{command}: {stderr}");
        }
        assert!(!world.file("log").exists(), "{command} ran");
        // Those who trust their own project may.
        let output = world.command(&["-C", "project", "plan"]).env("PATH", &path).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Sources, the file of users and secrets: with the option and without.
#[test]
fn links_out_of_the_project_are_refused_unless_a_path_allows_them() {
    const CANARY: &str = "kanarie-outside-5Rk1";
    let nowhere = "secrets: { paths: [] }\n";
    let here = "secrets: { paths: ['@/outside'] }\n";
    let elsewhere = "secrets: { paths: ['@/out', '@/outside/no-such-file'] }\n";
    for (target, link, source) in [
        ("../outside/a.yaml", "project/a.yaml", "- a.yaml"),
        ("../outside/a.yaml", "project/a.yaml", "- '*.yaml'"),
        ("../outside/a.csv", "project/a.csv", "- a.csv"),
        ("../../outside/a.yaml", "project/sub/a.yaml", "- sub"),
        ("near.txt", "project/a.yaml", "- a.yaml"),
        ("../outside/users.txt", "project/users.txt", "users"),
        ("../outside/pw", "project/pw", "secret"),
    ] {
        for (stranger, trusted, with, without) in
            [(nowhere, nowhere, 3, 3), (nowhere, here, 0, 3), (here, nowhere, 3, 0), (here, elsewhere, 3, 0)]
        {
            let more = match source {
                "users" => "users: users.txt\nsources: [own.yaml]\n".to_owned(),
                "secret" => "sources: [own.yaml]\n".to_owned(),
                _ => format!("sources:\n  {source}\n"),
            };
            let world = proposed(&format!("{stranger}{more}"), trusted);
            world.write("outside/a.yaml", format!("accounts: {{ {CANARY}: {{}} }}\n"));
            world.write("outside/a.csv", format!("name\n{CANARY}\n"));
            world.write("outside/users.txt", "taro\n");
            let own = if source == "secret" { account("{ file: pw }") } else { "accounts: {}\n".to_owned() };
            world.write("project/own.yaml", own);
            std::fs::create_dir(world.file("project/sub")).unwrap();
            // A link to a link is followed to its end.
            symlink("../outside/a.yaml", world.file("project/near.txt")).unwrap();
            symlink(target, world.file(link)).unwrap();
            let path = world.file("trusted.yaml").display().to_string();
            let told = format!("{link} as {source}, paths {stranger} {trusted}");
            for (code, front) in [(with, args(&path, &[])), (without, vec!["-C", "project"])] {
                for verb in [&["plan"][..], &["apply", "--yes"]] {
                    let run = world.run(&[&front, verb].concat());
                    assert_eq!(run.code, code, "{told}, {verb:?}: {}", run.stderr);
                    if code == 3 {
                        let name = if source == "secret" { "own.yaml" } else { link.trim_start_matches("project/") };
                        assert!(run.stderr.contains(name), "{told}: {}", run.stderr);
                        hidden(&run, &[CANARY, CLEAR]);
                    }
                }
            }
        }
    }
}

#[test]
fn links_within_the_project_are_followed() {
    let world = proposed("sources: [a.yaml]\nusers: users.txt\n", "secrets: {}\n");
    private(&world, "project/real/pw", CLEAR);
    world.write("project/real/a.txt", account("{ file: pw }") + "patterns: { taro: { p: {} } }\n");
    world.write("project/real/users", "taro\n");
    for (target, link) in [("real/a.txt", "a.yaml"), ("real/users", "users.txt"), ("real/pw", "pw")] {
        symlink(target, world.file("project").join(link)).unwrap();
    }
    // The project itself may stand behind one.
    symlink("project", world.file("current")).unwrap();
    let trusted = world.file("trusted.yaml").display().to_string();
    world.expect(0, &args(&trusted, &["apply", "--yes"]));
    world.expect(0, &["-C", "current", "--trusted-config", &trusted, "plan", "--exit-code"]);
    world.expect(0, &["-C", "current", "plan", "--exit-code"]);
}

#[test]
fn errors_in_the_trusted_file_name_it() {
    for (text, line) in [
        ("secrets:\n  comands: []\n", 2),
        ("secrets:\n  commands: [pass]\n", 2),
        ("secrets:\n  paths: x\n", 2),
        ("secrets:\n  paths: []\n  paths: []\n", 3),
        ("policy:\n  existing: perhaps\n", 2),
        ("policy:\n  max_delete: 3\n", 2),
        ("secrets: x\n", 1),
        ("- x\n", 1),
        ("secrets:\n  paths: ['x\n", 0),
        ("frobnicate: 1\n", 1),
    ] {
        let world = proposed("", text);
        world.write("project/a.yaml", "accounts: { a: {} }\n");
        let trusted = world.file("trusted.yaml").display().to_string();
        for verb in [&["check"][..], &["plan"]] {
            let found = world.json(3, &args(&trusted, verb));
            let one = &found["diagnostics"][0];
            assert!(one["file"].as_str().unwrap().ends_with("trusted.yaml"), "{text}: {found}");
            assert!(line == 0 || one["line"] == line, "{text}: {found}");
        }
        world.expect(3, &args(&trusted, &["apply", "--yes"]));
        assert!(!world.file("project/yubin.db").exists());
    }
    // One that is not there is never taken for an empty one.
    let world = proposed("", "");
    world.write("project/a.yaml", "accounts: { a: {} }\n");
    let missing = world.file("missing.yaml").display().to_string();
    for verb in [&["check"][..], &["plan"], &["apply", "--yes"]] {
        let run = world.run(&args(&missing, verb));
        assert!(run.code != 0 && run.stderr.contains("missing.yaml"), "{verb:?}: {} {}", run.code, run.stderr);
    }
    assert!(!world.file("project/yubin.db").exists());
}

#[test]
fn a_saved_plan_lapses_with_the_trusted_file() {
    let world = proposed("", "policy: { max_deletes: 5 }\n");
    world.write("project/a.yaml", "accounts: { a: {} }\n");
    let trusted = world.file("trusted.yaml").display().to_string();
    let plan = world.file("plan.json").display().to_string();
    world.expect(0, &args(&trusted, &["plan", "--out", &plan]));
    world.write("trusted.yaml", "policy: { max_deletes: 6 }\n");
    world.expect(5, &args(&trusted, &["apply", &plan]));
    world.write("trusted.yaml", "policy: { max_deletes: 5 }\n");
    world.expect(0, &args(&trusted, &["apply", &plan]));
    assert_eq!(revision_of(&world), 1);
}

fn revision_of(world: &World) -> u64 {
    let shown = world.json(0, &["-C", "project", "show"]);
    shown["revision"].as_u64().unwrap()
}

/// A folder of the project that the trusted file allows could become a link to anywhere.
#[test]
fn an_allowed_path_inside_the_project_allows_nothing_outside() {
    let world = proposed("sources: [own.yaml]\n", "secrets: { paths: [project/secrets] }\n");
    world.write("project/own.yaml", account("{ file: secrets/pw }"));
    symlink("../outside", world.file("project/secrets")).unwrap();
    world.write("outside/pw", CLEAR);
    let path = world.file("trusted.yaml").display().to_string();
    let run = world.run(&args(&path, &["plan"]));
    assert!(run.code == 3 && run.stderr.contains("secret/outside"), "{}", run.stderr);
    // `~` is the home folder, and no folder of the project that is called so.
    world.write("trusted.yaml", "secrets: { paths: [~/sec] }\n");
    std::fs::create_dir(world.file("project/~")).unwrap();
    symlink("../../outside", world.file("project/~/sec")).unwrap();
    world.write("project/own.yaml", account("{ file: '~/sec/pw' }"));
    let run = world.run(&args(&path, &["plan"]));
    assert!(run.code == 3 && run.stderr.contains("secret/outside"), "{}", run.stderr);
    // Nor is the project file itself read from elsewhere.
    std::fs::rename(world.file("project/yubin.yaml"), world.file("outside/yubin.yaml")).unwrap();
    symlink("../outside/yubin.yaml", world.file("project/yubin.yaml")).unwrap();
    let run = world.run(&args(&path, &["check"]));
    assert!(run.code == 3 && run.stderr.contains("yubin.yaml"), "{}", run.stderr);
}
