//! Plans from a commit: what stands in the folder does not matter, and everything else is as from the disk.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use yubin::checkout::{Checkout, CommitTree};
use yubin::model::Diagnostics;
use yubin::pipeline::{self, Above, Asked, Session};

use crate::support::World;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "core.autocrlf=false"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("HOME", "/nonexistent"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.jp")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.jp")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A repository with a project in `mail/`.
struct Repository {
    world: World,
}

impl Repository {
    fn new(more: &str) -> Repository {
        let world = World::new();
        world.write("mail/yubin.yaml", format!("version: 1\nname: head-office\nsystem: generic\n{more}"));
        git(world.path(), &["init", "-q"]);
        Repository { world }
    }

    fn write(&self, name: &str, text: &str) {
        self.world.write(&format!("mail/{name}"), text);
    }

    fn link(&self, to: &str, name: &str) {
        std::os::unix::fs::symlink(to, self.world.file(&format!("mail/{name}"))).unwrap();
    }

    fn commit(&self) -> String {
        git(self.world.path(), &["add", "-A"]);
        git(self.world.path(), &["commit", "-q", "--allow-empty", "-m", "x"]);
        git(self.world.path(), &["rev-parse", "HEAD"])
    }

    /// Everything in the folder but the store is gone afterwards.
    fn empty(&self) {
        for entry in std::fs::read_dir(self.world.file("mail")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("yubin.db") {
                continue;
            }
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
    }

    fn tree(&self, commit: &str) -> Arc<CommitTree> {
        Arc::new(Checkout::of(&self.world.file("mail")).unwrap().tree(commit).unwrap())
    }

    fn at(&self, commit: &str) -> yubin::model::Result<Session> {
        let tree = self.tree(commit);
        let root = self.world.file("mail");
        pipeline::open_at(&root, &root, Above { tree: Some(&tree), ..Above::default() }, false)
    }

    fn on_disk(&self) -> Session {
        let root = self.world.file("mail");
        pipeline::open_at(&root, &root, Above::default(), false).unwrap()
    }
}

fn said(diagnostics: &Diagnostics) -> Vec<String> {
    let line = |one: &yubin::model::Diagnostic| {
        format!("{} {} {}", one.severity.name(), one.code, one.file.as_deref().unwrap_or("-"))
    };
    diagnostics.iter().map(line).collect()
}

/// Plans and applies; the names of what changes, and the digest of the configuration.
fn apply(session: &mut Session) -> (Vec<String>, String) {
    let mut planned = session.plan(&Asked::default()).unwrap().unwrap();
    let changes = planned.plan.changes.iter().map(|one| format!("{} {}", one.action.name(), one.key.name())).collect();
    let config = planned.plan.config_digest.clone();
    if !planned.plan.is_empty() {
        session.apply(&mut planned, false, "tester", &|_, _| {}).unwrap();
    }
    (changes, config)
}

fn logged(world: &World) -> String {
    let log = world.json(0, &["-C", "mail", "log"]);
    log["revisions"][0]["commit"].as_str().unwrap_or("-").to_owned()
}

const SOME: &str = "accounts:\n  taro: { comment: a }\n";

#[test]
fn a_commit_is_planned_as_the_same_files_on_the_disk() {
    let repository = Repository::new("users: users.txt\n");
    repository.write("users.txt", "u\n");
    repository.write("a.yaml", SOME);
    repository.write("people/b.csv", "name,comment\r\nhanako,受信\r\n");
    repository.write(".hidden/c.yaml", "no: file\n");
    repository.write("inner/yubin.yaml", "version: 1\nname: inner\n");
    repository.write("inner/d.yaml", "accounts: { inner: {} }\n");
    repository.write("bundle/manifest.json", "{}");
    repository.write("bundle/MANIFEST.md", "");
    repository.write("bundle/e.csv", "no file\n");
    repository.world.write("a.yaml", "accounts: { outside: {} }\n");
    let commit = repository.commit();
    let on_disk = repository.on_disk().plan(&Asked::default()).unwrap().unwrap();
    repository.empty();
    repository.write("a.yaml", "half: [");
    repository.write("z.yaml", "accounts: { z: {} }\n");
    let mut session = repository.at(&commit).unwrap();
    let (changes, config) = apply(&mut session);
    assert_eq!(changes, ["add hanako", "add taro"]);
    assert_eq!(config, on_disk.plan.config_digest);
    assert!(said(&session.diagnostics).is_empty(), "{:?}", said(&session.diagnostics));
    // The folder is not looked at: `yubin.yaml` is missing in it, and the commit is not what is checked out there.
    git(repository.world.path(), &["commit", "-q", "--allow-empty", "-m", "later"]);
    repository.write("yubin.yaml", "version: 1\nname: head-office\n");
    assert_eq!(logged(&repository.world), commit);
    let (changes, _) = apply(&mut repository.at(&commit).unwrap());
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn entries_of_sources_are_those_of_the_commit() {
    let sources = "sources: [a.yaml, ./people/, 'more/*.csv', gone, gone.csv, 'none/*.yaml', empty]\n";
    let repository = Repository::new(sources);
    repository.write("a.yaml", SOME);
    repository.write("people/x/b.yaml", "accounts: { b: {} }\n");
    repository.write("more/c.csv", "name\nc\n");
    repository.write("empty/notes.txt", "");
    repository.write("other.yaml", "accounts: { other: {} }\n");
    let commit = repository.commit();
    let mut disk = repository.on_disk();
    disk.check();
    repository.write("gone.csv", "name\nlate\n");
    repository.write("gone/late.yaml", "accounts: {}\n");
    let mut session = repository.at(&commit).unwrap();
    assert_eq!(session.check().resources, 3);
    assert_eq!(said(&session.diagnostics), said(&disk.diagnostics));
    assert_eq!(
        said(&session.diagnostics).iter().filter(|one| one.contains("file/missing")).count(),
        2,
        "{:?}",
        said(&session.diagnostics)
    );
}

#[test]
fn secrets_and_the_store_are_those_of_the_folder() {
    let repository = Repository::new("");
    repository.write("a.yaml", "accounts:\n  taro: { password: { file: pw } }\n");
    repository.write("pw", "committed\n");
    let commit = repository.commit();
    repository.empty();
    let mut session = repository.at(&commit).unwrap();
    assert!(session.plan(&Asked::default()).unwrap().is_none());
    assert!(said(&session.diagnostics).iter().any(|one| one.contains("secret/missing")));
    repository.write("pw", "of the folder\n");
    let (changes, _) = apply(&mut repository.at(&commit).unwrap());
    assert_eq!(changes, ["add taro"]);
    assert!(repository.world.file("mail/yubin.db").exists());
}

#[test]
fn links_are_not_followed() {
    let repository = Repository::new("");
    repository.write("a.yaml", SOME);
    repository.write("folder/b.yaml", "accounts: { b: {} }\n");
    repository.link("folder", "linked");
    repository.link("README", "notes");
    repository.link("nowhere", ".hidden.yaml");
    let commit = repository.commit();
    let mut session = repository.at(&commit).unwrap();
    assert_eq!(session.check().resources, 2);
    assert_eq!(said(&session.diagnostics), ["warning file/link linked", "warning file/link notes"]);
    repository.link("a.yaml", "c.yaml");
    let mut session = repository.at(&repository.commit()).unwrap();
    session.check();
    assert!(said(&session.diagnostics).contains(&"error file/link c.yaml".to_owned()));

    for (more, link, name) in [
        ("sources: [a.yaml, l]\n", "a.yaml", "l"),
        ("sources: [a.yaml, 'l*']\n", "a.yaml", "l.csv"),
        ("users: u\n", "a.yaml", "u"),
    ] {
        let repository = Repository::new(more);
        repository.write("a.yaml", SOME);
        repository.link(link, name);
        let mut session = repository.at(&repository.commit()).unwrap();
        session.check();
        let errors = said(&session.diagnostics).into_iter().filter(|one| one.starts_with("error file/link")).count();
        assert_eq!(errors, 1, "{more}: {:?}", said(&session.diagnostics));
    }
    // A folder behind a link is not there.
    let repository = Repository::new("sources: [l/b.yaml]\n");
    repository.write("folder/b.yaml", SOME);
    repository.link("folder", "l");
    let mut session = repository.at(&repository.commit()).unwrap();
    session.check();
    assert_eq!(said(&session.diagnostics), ["warning file/link l", "error file/missing yubin.yaml"]);
}

#[test]
fn a_commit_without_a_project_is_an_error() {
    let repository = Repository::new("");
    let with = repository.commit();
    std::fs::rename(repository.world.file("mail/yubin.yaml"), repository.world.file("mail/project.yaml")).unwrap();
    repository.link("project.yaml", "yubin.yaml");
    let linked = repository.commit();
    let error = repository.at(&linked).err().unwrap();
    assert_eq!((error.code, error.about), (yubin::model::Code::Invalid, None), "{error}");
    repository.empty();
    repository.write("x", "");
    // One above is another project.
    repository.world.write("yubin.yaml", "version: 1\nname: above\n");
    let without = repository.commit();
    let error = repository.at(&without).err().unwrap();
    assert_eq!((error.code, error.about), (yubin::model::Code::Invalid, Some("project/missing")), "{error}");
    let root = repository.world.file("mail");
    let error = pipeline::open_at(&root, &root, Above::default(), false).err().unwrap();
    assert_eq!((error.code, error.about), (yubin::model::Code::Invalid, Some("project/missing")), "{error}");
    assert_eq!(pipeline::open(&root, Above::default(), false).unwrap().project.name, "above");
    assert!(repository.at(&with).is_ok());
}

#[test]
fn line_ends_of_work_trees_are_not_those_of_a_commit() {
    let repository = Repository::new("");
    repository.world.write(".gitattributes", "*.yaml text eol=crlf\n");
    repository.write("a.yaml", "accounts:\r\n  taro:\r\n    comment: |\r\n      a\r\n      b\r\n");
    let commit = repository.commit();
    let (changes, _) = apply(&mut repository.on_disk());
    assert_eq!(changes, ["add taro"]);
    // YAML knows one end of a line, however it is written.
    let (changes, _) = apply(&mut repository.at(&commit).unwrap());
    assert!(changes.is_empty());
}

#[test]
fn ten_thousand_files_are_read_at_once() {
    let repository = Repository::new("");
    for number in 0..10_000 {
        repository.write(&format!("{}/{number}.yaml", number % 100), &format!("accounts: {{ a{number}: {{}} }}\n"));
    }
    let commit = repository.commit();
    let started = std::time::Instant::now();
    let mut session = repository.at(&commit).unwrap();
    assert_eq!(session.check().resources, 10_000);
    // About 1 s where it was written, most of it for YAML.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
