//! `yubin init`, and where the program looks for its project, its store and its key.

use super::{actions, mode, revision};
use crate::support::World;

#[test]
fn a_new_project_plans_and_applies_in_every_system() {
    for system in yubin::system::ALL {
        let world = World::new();
        world.expect(0, &["init", "--system", system.name, "mail"]);
        let run = world.expect(2, &["-C", "mail", "plan", "--exit-code"]);
        assert!(run.stderr.is_empty(), "{}: {}", system.name, run.stderr);
        world.expect(0, &["-C", "mail", "check", "--strict"]);
        world.expect(0, &["-C", "mail", "apply", "--yes"]);
        world.expect(0, &["-C", "mail", "plan", "--exit-code"]);
        assert_eq!(world.json(0, &["-C", "mail", "plan"])["system"], system.name);
        assert_eq!(mode(&world, "mail/yubin.db.key"), 0o600);
        // The store, its key and its secrets are not for git.
        let ignored = std::fs::read_to_string(world.file("mail/.gitignore")).unwrap();
        let git = |args: &[&str]| {
            let mut command = std::process::Command::new("git");
            command.args(args).current_dir(world.file("mail")).env("GIT_CONFIG_GLOBAL", "/dev/null");
            command.output().unwrap()
        };
        assert!(git(&["init", "-q"]).status.success());
        let status = String::from_utf8(git(&["status", "--porcelain", "-uall"]).stdout).unwrap();
        assert!(!status.contains("yubin.db") && !status.contains("secrets"), "{ignored}\n{status}");
        assert!(status.contains("yubin.yaml") && status.contains("mail.yaml"), "{status}");
        // Editors find the schema by the first line.
        for file in ["yubin.yaml", "mail.yaml"] {
            let text = std::fs::read_to_string(world.file("mail").join(file)).unwrap();
            let schema = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
            assert!(world.file("mail").join(schema).is_file(), "{schema}");
        }
    }
}

#[test]
fn init_never_overwrites() {
    for existing in ["yubin.yaml", "mail.yaml", ".gitignore"] {
        let world = World::new();
        world.write(existing, "mine");
        let run = world.run(&["init"]);
        assert!(matches!(run.code, 1 | 4), "{existing}: {}", run.code);
        assert!(run.stderr.contains(existing), "{}", run.stderr);
        assert_eq!(std::fs::read_to_string(world.file(existing)).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(world.path()).unwrap().count(), 1, "{existing}: something was written");
    }
    let world = World::new();
    world.expect(0, &["init"]);
    let before = std::fs::read(world.file("secrets/taro")).unwrap();
    let run = world.run(&["init", "--system", "catchme-mail"]);
    assert!(matches!(run.code, 1 | 4));
    assert_eq!(std::fs::read(world.file("secrets/taro")).unwrap(), before);
    assert!(std::fs::read_to_string(world.file("yubin.yaml")).unwrap().contains("system: generic"));
}

/// The project's name comes from the folder's, whatever that is.
#[test]
fn init_works_in_folders_of_any_name() {
    for name in
        ["mail", "2024", "null", "true", "受信箱", "a b", "-x", "a: b", "#1", "no", "1e3", "'q'", "日本 (本社)", "~"]
    {
        let world = World::new();
        std::fs::create_dir(world.file(name)).unwrap();
        let run = world.command(&["init"]).current_dir(world.file(name)).output().unwrap();
        assert!(run.status.success(), "{name}");
        let run = world.command(&["plan", "--exit-code"]).current_dir(world.file(name)).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn a_wrong_system_is_explained() {
    let run = World::new().expect(64, &["init", "--system", "catchme"]);
    assert!(run.stderr.contains("catchme-mail"), "{}", run.stderr);
}

#[test]
fn the_folder_is_given_by_c() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: {} }\n");
    let here = world.expect(0, &["plan", "--format", "json"]).stdout;
    let outside = World::new();
    let path = world.path().to_str().unwrap();
    assert_eq!(outside.expect(0, &["-C", path, "plan", "--format", "json"]).stdout, here);
    assert_eq!(outside.expect(0, &["plan", "--format", "json", "-C", path]).stdout, here);
    // Below the project is inside the project.
    world.write("deep/er/x.txt", "");
    assert_eq!(world.expect(0, &["-C", "deep/er", "plan", "--format", "json"]).stdout, here);
    outside.expect(0, &["-C", path, "apply", "--yes"]);
    assert!(world.file("yubin.db").exists());
    outside.expect(3, &["plan"]);
}

#[test]
fn the_store_is_given_by_option_variable_and_file_in_this_order() {
    let world = World::project("generic", "store: sqlite:state/file.db\n");
    std::fs::create_dir(world.file("state")).unwrap();
    world.write("a.yaml", "accounts: { a: {} }\n");
    let with = |args: &[&str], variable: Option<&str>| {
        let mut command = world.command(&[args, &["apply", "--yes", "-q"]].concat());
        if let Some(variable) = variable {
            command.env("YUBIN_STORE", variable);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    with(&[], None);
    assert!(world.file("state/file.db").exists() && world.file("state/file.db.key").exists());
    with(&[], Some("sqlite:variable.db"));
    assert!(world.file("variable.db").exists());
    with(&["--store", "sqlite:option.db"], Some("sqlite:unused.db"));
    assert!(world.file("option.db").exists() && !world.file("unused.db").exists());
    let absolute = world.file("absolute.db");
    with(&["--store", &format!("sqlite:{}", absolute.display())], None);
    assert!(absolute.exists());
    for wrong in ["yubin.db", "sqlite:", "mysql://x/y", ""] {
        let run = world.run(&["--store", wrong, "plan"]);
        assert!(matches!(run.code, 1 | 3 | 64), "{wrong}: {}", run.code);
    }
    // A path in the project file is relative to that file, wherever the user is.
    world.write("below/x", "");
    let plan = world.json(0, &["-C", "below", "plan"]);
    assert_eq!(actions(&plan), [""; 0]);
}

#[test]
fn a_project_may_contain_projects() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { outer: {} }\n");
    world.write("inner/yubin.yaml", "version: 1\nname: inner\n");
    world.write("inner/b.yaml", "accounts: { inner: {} }\n");
    assert_eq!(actions(&world.json(0, &["plan"])), ["add account/outer"]);
    assert_eq!(actions(&world.json(0, &["-C", "inner", "plan"])), ["add account/inner"]);
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(revision(&world), 1);
}
