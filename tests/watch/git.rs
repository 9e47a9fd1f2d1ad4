//! Files from the objects of git: what is committed, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use super::support::{Watcher, command, hermetic, once, plain};
use super::{FREE, accounts, comment, rules, stored};
use crate::cli::{private, revision};
use crate::support::{Run, World};

/// Git with none of the caller's settings, in a folder.
fn run(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    hermetic(&mut command).args(["-c", "user.name=taro", "-c", "user.email=taro@x.jp", "-c", "commit.gpgSign=false"]);
    let output = command.args(args).current_dir(folder).output().unwrap_or_else(|error| panic!("git: {error}"));
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository that does not see the store, with all that is there.
pub fn init(world: &World) -> String {
    run(world.path(), &["init", "-q", "-b", "main"]);
    world.write(".gitignore", "yubin.db*\nsecrets\nPAUSE\n");
    commit(world)
}

/// Commits all there is.
pub fn commit(world: &World) -> String {
    commit_message(world, "x")
}

pub fn commit_message(world: &World, message: &str) -> String {
    run(world.path(), &["add", "-A"]);
    run(world.path(), &["commit", "-q", "--allow-empty", "-m", message]);
    run(world.path(), &["rev-parse", "HEAD"])
}

/// A project in a repository, with one commit.
fn repository(more: &str) -> (World, String) {
    let world = super::project(more);
    let first = init(&world);
    (world, first)
}

#[test]
fn only_what_is_committed_is_applied() {
    let (world, first) = repository(FREE);
    // Half-edited: neither a broken file nor a new one matters.
    world.write("a.yaml", "accounts: { broken");
    world.write("new.yaml", "accounts: { new: {} }\n");
    let mut watcher = Watcher::start(&world, &["--git", "main"]);
    let synced = watcher.next("synced");
    assert_eq!((&synced["commit"], &synced["cause"], stored(&world)), (&first.into(), &"start".into(), 3));
    world.write("a.yaml", accounts(3, "two"));
    world.remove("new.yaml");
    watcher.quiet();
    assert_eq!(comment(&world, "a000"), "one");
    let second = commit(&world);
    let changed = watcher.event();
    assert_eq!((&changed["event"], &changed["cause"]), (&"changed".into(), &"git".into()), "{changed}");
    assert_eq!((&changed["commit"], &changed["files"]), (&second.clone().into(), &json!(["a.yaml"])));
    let synced = watcher.next("synced");
    assert_eq!(
        (&synced["commit"], &synced["cause"], comment(&world, "a000")),
        (&second.clone().into(), &"git".into(), "two".into())
    );
    // The log names the commit, without a mark: the files were all of it.
    assert_eq!(world.json(0, &["log"])["revisions"][0]["commit"], second);
    // Another branch, and a work tree that is somewhere else, are nothing to it.
    run(world.path(), &["checkout", "-q", "-b", "topic"]);
    world.write("a.yaml", accounts(1, "topic"));
    commit(&world);
    watcher.quiet();
    run(world.path(), &["checkout", "-q", "main"]);
    watcher.quiet();
    run(world.path(), &["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    assert_eq!(watcher.next("synced")["summary"]["delete"], 2);
    // Back, as somebody does who has pushed too early.
    run(world.path(), &["reset", "-q", "--hard", &second]);
    assert_eq!(watcher.next("synced")["commit"], second);
    assert_eq!((stored(&world), comment(&world, "a000")), (3, "two".into()));
}

/// An empty work tree deletes nothing: it does not matter.
#[test]
fn the_work_tree_may_be_empty() {
    let (world, _) = repository(FREE);
    let mut watcher = Watcher::synced(&world, &["--git", "main"]);
    world.remove("a.yaml");
    watcher.quiet();
    world.write("a.yaml", accounts(3, "two"));
    commit(&world);
    watcher.next("synced");
    assert_eq!(comment(&world, "a000"), "two");
}

/// A tag that moves, and a project below the top of the repository.
#[test]
fn a_tag_and_a_folder_of_the_repository() {
    let world = World::new();
    world.write("mail/yubin.yaml", "version: 1\nname: head-office\n");
    world.write("mail/people/a.yaml", accounts(3, "one"));
    world.write("other/b.yaml", accounts(9, "other"));
    init(&world);
    run(world.path(), &["tag", "live"]);
    let mut command = command(&world, &["--git", "live", "-C", "mail"]);
    let mut watcher = Watcher::of(&mut command);
    watcher.next("synced");
    world.write("mail/people/a.yaml", accounts(3, "two"));
    world.write("mail/new/b.csv", "name,comment\nb,two\n");
    let second = commit(&world);
    watcher.quiet();
    run(world.path(), &["tag", "-f", "live"]);
    let synced = watcher.next("synced");
    assert_eq!((&synced["commit"], &synced["summary"]["add"]), (&second.into(), &1.into()));
    assert_eq!(world.json(0, &["-C", "mail", "show"])["resources"].as_array().unwrap().len(), 4);
}

/// Secrets, the store and the pause file stand in the folder.
#[test]
fn what_is_no_part_of_a_commit_stands_in_the_folder() {
    let (world, _) = repository("sync: { pause_file: PAUSE }\n");
    private(&world, "secrets/pw", "first\n");
    world.write("a.yaml", "accounts: { a: { incoming.password: { file: secrets/pw } } }\n");
    commit(&world);
    let mut watcher = Watcher::synced(&world, &["--git", "main"]);
    private(&world, "secrets/pw", "second\n");
    assert_eq!(watcher.until("synced")["summary"]["overwrite"], 1);
    world.write("PAUSE", "");
    world.write("a.yaml", "accounts: { a: { incoming.password: { file: secrets/pw }, comment: x } }\n");
    commit(&world);
    assert_eq!(watcher.until("waiting")["reason"], "paused");
    world.remove("PAUSE");
    watcher.until("synced");
    assert_eq!(comment(&world, "a"), "x");
}

#[test]
fn a_ref_that_vanishes_deletes_nothing() {
    let (world, first) = repository(FREE);
    run(world.path(), &["checkout", "-q", "-b", "other"]);
    let mut watcher = Watcher::synced(&world, &["--git", "main"]);
    run(world.path(), &["branch", "-D", "main"]);
    let refused = watcher.next("refused");
    assert_eq!(rules(&refused), ["ref_vanished"]);
    watcher.quiet();
    assert_eq!((stored(&world), revision(&world)), (3, 1));
    run(world.path(), &["branch", "main", &first]);
    watcher.next("unchanged");
    world.write("a.yaml", accounts(3, "two"));
    let second = commit(&world);
    run(world.path(), &["branch", "-f", "main", &second]);
    watcher.next("synced");
    // One that never was.
    let events = once(&world, 4, &["--git", "nowhere"]);
    assert_eq!(rules(&events[1]), ["ref_vanished"]);
    // An option is no ref.
    let output = plain(&world, &["--once", "--git=--output=pwned"]).output().unwrap();
    assert!(matches!(Run::of(output).code, 4 | 64));
    assert!(!world.file("pwned").exists());
}

#[test]
fn a_commit_without_a_project_deletes_nothing() {
    let (world, _) = repository(FREE);
    let mut watcher = Watcher::synced(&world, &["--git", "main"]);
    let text = fs::read(world.file("yubin.yaml")).unwrap();
    world.remove("yubin.yaml");
    commit(&world);
    watcher.next("refused");
    // It stands in the folder again, and is not committed.
    world.write("yubin.yaml", text);
    watcher.quiet();
    assert_eq!((stored(&world), revision(&world)), (3, 1));
    commit(&world);
    watcher.next("unchanged");
    // A commit without sources.
    world.remove("a.yaml");
    commit(&world);
    watcher.next("refused");
    assert_eq!((stored(&world), revision(&world)), (3, 1));
    world.write("a.yaml", "accounts: { x: { unknown: y } }\n");
    commit(&world);
    watcher.next("invalid");
    world.write("a.yaml", accounts(2, "two"));
    commit(&world);
    watcher.next("synced");
    assert_eq!(stored(&world), 2);
}

// --- From a remote ------------------------------------------------------------------------

/// A bare repository, a clone that is watched, and one to push from.
fn remote(more: &str) -> (World, World, World) {
    let (bare, author) = (World::new(), super::project(more));
    run(bare.path(), &["init", "-q", "--bare", "-b", "main"]);
    init(&author);
    let url = bare.path().display().to_string();
    run(author.path(), &["remote", "add", "origin", &url]);
    run(author.path(), &["push", "-q", "origin", "main"]);
    let clone = World::new();
    run(clone.path(), &["clone", "-q", &url, "."]);
    (bare, author, clone)
}

#[test]
fn what_is_pushed_is_applied() {
    let (bare, author, clone) = remote(FREE);
    // Neither a hook of the repository nor a program that it names is run.
    for name in ["reference-transaction", "post-merge", "post-checkout", "pre-auto-gc"] {
        clone.write(&format!(".git/hooks/{name}"), "#!/bin/sh\ntouch \"$PWD/pwned-$0\" pwned\n");
        fs::set_permissions(clone.file(&format!(".git/hooks/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut watcher = Watcher::synced(&clone, &["--git", "origin/main", "--pull"]);
    author.write("a.yaml", accounts(3, "two"));
    let second = commit(&author);
    watcher.quiet();
    run(author.path(), &["push", "-q", "origin", "main"]);
    let synced = watcher.next("synced");
    assert_eq!((&synced["commit"], comment(&clone, "a000")), (&second.into(), "two".into()));
    // The work tree of the clone is left alone.
    assert_eq!(fs::read_to_string(clone.file("a.yaml")).unwrap(), accounts(3, "one"));
    // The remote is away: that is told, and what was fetched last stays.
    let away = format!("{}.away", bare.path().display());
    fs::rename(bare.path(), &away).unwrap();
    let failed = watcher.until("failed");
    assert!(failed["retry_ms"].is_u64(), "{failed}");
    assert_eq!((stored(&clone), revision(&clone)), (3, 2));
    fs::rename(&away, bare.path()).unwrap();
    author.write("a.yaml", accounts(3, "three"));
    commit(&author);
    run(author.path(), &["push", "-q", "origin", "main"]);
    watcher.until("synced");
    assert_eq!(comment(&clone, "a000"), "three");
    // A forced push takes back.
    run(author.path(), &["reset", "-q", "--hard", "HEAD~1"]);
    run(author.path(), &["push", "-q", "-f", "origin", "main"]);
    watcher.until("synced");
    assert_eq!(comment(&clone, "a000"), "two");
    // The branch is gone over there.
    run(bare.path(), &["update-ref", "-d", "refs/heads/main"]);
    let event =
        watcher.until_that("a vanished branch", |event| event["event"] == "refused" || event["event"] == "failed");
    assert_eq!((stored(&clone), comment(&clone, "a000")), (3, "two".into()), "{event}");
    let pwned = fs::read_dir(clone.path()).unwrap().chain(fs::read_dir(clone.file(".git")).unwrap());
    let pwned: Vec<_> =
        pwned.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains("pwned")).collect();
    assert!(pwned.is_empty(), "{pwned:?}");
}

/// Without `--pull` nothing is fetched.
#[test]
fn without_pull_nothing_is_fetched() {
    let (_bare, author, clone) = remote("");
    let mut watcher = Watcher::synced(&clone, &["--git", "origin/main"]);
    author.write("a.yaml", accounts(3, "two"));
    commit(&author);
    run(author.path(), &["push", "-q", "origin", "main"]);
    watcher.quiet();
    assert_eq!(revision(&clone), 1);
    // Somebody else fetches.
    run(clone.path(), &["fetch", "-q"]);
    watcher.next("synced");
    assert_eq!(comment(&clone, "a000"), "two");
}

// --- Signed -------------------------------------------------------------------------------

/// Keys and settings of whoever runs yubin, and a repository.
struct Signed {
    world: World,
    home: World,
}

impl Signed {
    fn new() -> Signed {
        let home = World::new();
        for name in ["good", "stranger"] {
            let path = home.file(name).display().to_string();
            let mut command = Command::new("ssh-keygen");
            let output = command.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let allowed = |name: &str| {
            let key = fs::read_to_string(home.file(&format!("{name}.pub"))).unwrap();
            home.write(&format!("{name}.allowed"), format!("taro@x.jp {key}"));
            home.file(&format!("{name}.allowed")).display().to_string()
        };
        let (good, stranger) = (allowed("good"), allowed("stranger"));
        let settings = format!("[gpg]\n\tformat = ssh\n[gpg \"ssh\"]\n\tallowedSignersFile = {good}\n");
        home.write(".gitconfig", settings);
        let world = super::project(FREE);
        run(world.path(), &["init", "-q", "-b", "main"]);
        world.write(".gitignore", "yubin.db*\n");
        // What the repository names is its own affair.
        run(world.path(), &["config", "gpg.ssh.allowedSignersFile", &stranger]);
        run(world.path(), &["config", "gpg.ssh.program", "/bin/true"]);
        run(world.path(), &["config", "gpg.program", "/bin/true"]);
        Signed { world, home }
    }

    /// Commits, signed with this key.
    fn commit(&self, key: &str) -> String {
        let path = self.home.file(key).display().to_string();
        let key = format!("user.signingkey={path}");
        run(self.world.path(), &["add", "-A"]);
        let settings = ["-c", "gpg.format=ssh", "-c", "gpg.ssh.program=ssh-keygen", "-c", &key];
        run(self.world.path(), &[&settings[..], &["commit", "-q", "-S", "-m", "signed"]].concat());
        run(self.world.path(), &["rev-parse", "HEAD"])
    }

    fn command(&self) -> Command {
        let mut command = command(&self.world, &["--git", "main", "--signed"]);
        command.env("HOME", self.home.path()).env_remove("XDG_CONFIG_HOME");
        command.env("GIT_CONFIG_GLOBAL", self.home.file(".gitconfig"));
        command
    }
}

#[test]
fn only_good_signatures_count() {
    let signed = Signed::new();
    let world = &signed.world;
    let first = signed.commit("good");
    let mut watcher = Watcher::of(&mut signed.command());
    assert_eq!(watcher.next("synced")["commit"], first);
    let refused = |watcher: &mut Watcher| -> Json {
        let event = watcher.next("refused");
        assert_eq!(rules(&event), ["unsigned"]);
        assert_eq!((comment(world, "a000"), revision(world)), ("one".into(), 1));
        event
    };
    world.write("a.yaml", accounts(3, "unsigned"));
    commit(world);
    refused(&mut watcher);
    world.write("a.yaml", accounts(3, "stranger"));
    signed.commit("stranger");
    watcher.quiet_or("refused");
    assert_eq!((comment(world, "a000"), revision(world)), ("one".into(), 1));
    // A signature for something else, grafted on.
    let object = run(world.path(), &["cat-file", "commit", &first]);
    world.write("a.yaml", accounts(3, "forged"));
    run(world.path(), &["add", "-A"]);
    let tree = run(world.path(), &["write-tree"]);
    let forged = object.replace(object.lines().next().unwrap(), &format!("tree {tree}"));
    world.write(".git/forged", format!("{forged}\n"));
    let forged = run(world.path(), &["hash-object", "-t", "commit", "-w", ".git/forged"]);
    run(world.path(), &["update-ref", "refs/heads/main", &forged]);
    watcher.quiet_or("refused");
    assert_eq!((comment(world, "a000"), revision(world)), ("one".into(), 1));
    // A replacement of the commit is none.
    run(world.path(), &["update-ref", "refs/heads/main", &first]);
    watcher.until("unchanged");
    run(world.path(), &["replace", &first, &forged]);
    watcher.quiet_or("refused");
    assert_eq!((comment(world, "a000"), revision(world)), ("one".into(), 1));
    run(world.path(), &["replace", "-d", &first]);
    run(world.path(), &["reset", "-q", "--hard", &first]);
    world.write("a.yaml", accounts(3, "two"));
    let last = signed.commit("good");
    assert_eq!(watcher.until("synced")["commit"], last);
    assert_eq!(comment(world, "a000"), "two");
}
