use std::process::Command;
use std::time::Instant;

use super::git::is_kept;
use super::*;

/// A repository of its own, with none of the settings of whoever runs the tests.
struct Repository {
    folder: tempfile::TempDir,
}

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.jp")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.jp")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn variables(more: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> + use<> {
    let path = std::env::var_os("PATH").unwrap();
    let own = [("PATH".into(), path), ("HOME".into(), "/nonexistent".into())];
    let more: Vec<_> = more.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    own.into_iter().chain(more)
}

fn checkout(folder: &Path) -> Option<Checkout> {
    Checkout::open(folder, variables(&[]), LIMIT)
}

impl Repository {
    /// With `mail/yubin.yaml` and `mail/a.yaml` in its first commit.
    fn new() -> Repository {
        let repository = Repository { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "-q"]);
        repository.write("mail/yubin.yaml", "version: 1\n");
        repository.write("mail/a.yaml", "accounts: {}\n");
        repository.commit("first");
        repository
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn mail(&self) -> PathBuf {
        self.path().join("mail")
    }

    fn git(&self, arguments: &[&str]) -> String {
        git_in(self.path(), arguments)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    fn checkout(&self) -> Checkout {
        checkout(&self.mail()).unwrap()
    }

    fn is_clean(&self) -> bool {
        let commit = self.checkout().commit(["yubin.yaml", "a.yaml"]).unwrap();
        assert!(commit.starts_with(&self.head()));
        !commit.ends_with('+')
    }
}

#[test]
fn a_project_knows_its_commit_and_its_folder() {
    let repository = Repository::new();
    assert_eq!(repository.checkout().prefix(), "mail/");
    assert_eq!(repository.checkout().commit(["yubin.yaml", "a.yaml"]), Some(repository.head()));
    assert_eq!(checkout(repository.path()).unwrap().prefix(), "");
    repository.git(&["checkout", "-q", "--detach"]);
    assert!(repository.is_clean());
    // A linked work tree has a file in the place of `.git`.
    repository.git(&["worktree", "add", "-q", "../linked", "HEAD"]);
    let linked = repository.path().join("../linked");
    let commit = checkout(&linked.join("mail")).unwrap().commit(["a.yaml"]);
    fs::remove_dir_all(linked).unwrap();
    assert_eq!(commit, Some(repository.head()));
}

#[test]
fn what_the_commit_does_not_hold_is_marked() {
    let repository = Repository::new();
    // Other folders are not the project's, nor are files that are no sources.
    repository.write("other/file", "x");
    repository.write("mail/notes.txt", "x");
    assert!(repository.is_clean());
    // Looking into a file that has only been touched.
    repository.write("mail/a.yaml", "accounts: {}\n");
    assert!(repository.is_clean());
    repository.write("mail/a.yaml", "accounts: {x: {}}\n");
    assert!(!repository.is_clean());
    repository.git(&["add", "-A"]);
    assert!(!repository.is_clean(), "staged is not committed");
    repository.commit("second");
    assert!(repository.is_clean());
    fs::remove_file(repository.mail().join("a.yaml")).unwrap();
    assert!(!repository.is_clean());
}

#[test]
fn an_untracked_source_is_marked_even_if_git_ignores_it() {
    let repository = Repository::new();
    repository.write("mail/.gitignore", "new.csv\n");
    repository.commit("ignores");
    repository.write("mail/new.csv", "x\n");
    let checkout = repository.checkout();
    assert_eq!(checkout.commit(["a.yaml"]), Some(repository.head()));
    let marked = Some(format!("{}+", repository.head()));
    assert_eq!(checkout.commit(["a.yaml", "new.csv"]), marked);
    repository.write("shared/b.yaml", "accounts: {}\n");
    assert_eq!(checkout.commit(["../shared/b.yaml"]), marked);
    repository.commit("shared");
    assert_eq!(checkout.commit(["../shared/b.yaml", "./a.yaml"]), Some(repository.head()));
    assert!(checkout.commit(["../../elsewhere.yaml"]).unwrap().ends_with('+'));
    assert!(checkout.commit(["/etc/hosts"]).unwrap().ends_with('+'));
}

#[test]
fn line_ends_that_git_converts_are_no_change() {
    let repository = Repository::new();
    repository.write(".gitattributes", "*.csv text eol=crlf\n");
    repository.write("mail/b.csv", "a\r\nb\r\n");
    repository.commit("csv");
    repository.write("mail/b.csv", "a\r\nb\r\n");
    assert!(repository.is_clean());
}

#[test]
fn outside_a_work_tree_there_is_nothing_to_say() {
    let folder = tempfile::tempdir().unwrap();
    assert!(checkout(folder.path()).is_none());
    assert!(checkout(&folder.path().join("missing")).is_none());
    git_in(folder.path(), &["init", "-q", "--bare", "bare"]);
    assert!(checkout(&folder.path().join("bare")).is_none());
    // Inside `.git` there is no work tree either.
    let repository = Repository::new();
    assert!(checkout(&repository.path().join(".git")).is_none());
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    git_in(&empty, &["init", "-q"]);
    let empty = checkout(&empty).unwrap();
    assert_eq!((empty.commit([]), empty.acks()), (None, vec![]));
}

#[test]
fn without_git_there_is_nothing_to_say() {
    let repository = Repository::new();
    let nowhere = tempfile::tempdir().unwrap();
    let path = |path: &str| [("PATH".into(), OsString::from(path))].into_iter();
    assert!(Checkout::open(&repository.mail(), path(nowhere.path().to_str().unwrap()), LIMIT).is_none());
    assert!(Checkout::open(&repository.mail(), path(""), LIMIT).is_none());
    assert!(Checkout::open(&repository.mail(), [].into_iter(), LIMIT).is_none());
}

#[cfg(unix)]
fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_git_among_the_projects_files_is_not_run() {
    let repository = Repository::new();
    let mark = repository.path().join("ran");
    program(&repository.mail(), "git", &format!("touch {}", mark.display()));
    let path = format!("mail:.:{}", repository.mail().display());
    assert!(Checkout::open(&repository.mail(), [("PATH".into(), path.into())].into_iter(), LIMIT).is_none());
    assert!(!mark.exists());
}

#[cfg(unix)]
#[test]
fn a_git_that_hangs_or_never_stops_talking_is_ended() {
    let repository = Repository::new();
    for script in ["sleep 60", "sleep 60 & sleep 60", "exec yes", "exec >&-; sleep 60"] {
        let folder = tempfile::tempdir().unwrap();
        program(folder.path(), "git", script);
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let started = Instant::now();
        let limit = Duration::from_millis(300);
        let found = Checkout::open(&repository.mail(), [("PATH".into(), path.into())].into_iter(), limit);
        assert!(found.is_none(), "{script}");
        assert!(started.elapsed() < Duration::from_secs(20), "{script}");
    }
}

#[test]
fn only_settings_of_the_caller_reach_git() {
    for name in ["YUBIN_KEY", "GIT_DIR", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_TRACE", "GIT_EXEC_PATH", "TOKEN"] {
        assert!(!is_kept(name), "{name}");
    }
    for name in ["HOME", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_GLOBAL"] {
        assert!(is_kept(name), "{name}");
    }
    // As inside a hook of another repository.
    let (one, other) = (Repository::new(), Repository::new());
    let git_dir = other.path().join(".git");
    let here = variables(&[("GIT_DIR", git_dir.to_str().unwrap())]);
    let found = Checkout::open(&one.mail(), here, LIMIT).unwrap();
    assert_eq!(found.prefix(), "mail/");
}

#[test]
fn digests_come_from_the_messages_of_the_last_commits() {
    let repository = Repository::new();
    repository.commit(&format!("old\n\nYubin-Ack: {A}"));
    repository.git(&["checkout", "-q", "-b", "proposal"]);
    repository.commit(&format!("proposed\n\nSigned-off-by: x\nyubin-ack:  {}  ", B.to_uppercase()));
    repository.git(&["checkout", "-q", "main"]);
    repository.commit("meanwhile");
    repository.git(&["merge", "-q", "--no-ff", "-m", "merge", "proposal"]);
    assert_eq!(repository.checkout().acks(), [B, A]);
    for nth in 0..20 {
        repository.commit(&format!("{nth}"));
    }
    assert!(repository.checkout().acks().is_empty());
}

#[test]
fn trailers_stand_at_the_end_those_of_a_squash_before_its_own() {
    let repository = Repository::new();
    let squash = format!("Add taro (#12)\n\n* approve\r\n\r\nYubin-Ack: {A}\r\n\n---------\n\nCo-authored-by: x <x>");
    repository.commit(&squash);
    assert_eq!(repository.checkout().acks(), [A]);
    for text in [format!("x\n\nYubin-Ack: {B}\n\nBut not yet."), format!("x\n\nYubin-Ack: {B}\nor not")] {
        repository.commit(&text);
        assert_eq!(repository.checkout().acks(), [A], "{text}");
    }
}

#[test]
fn what_is_no_digest_is_dropped() {
    let repository = Repository::new();
    let short = &A[1..];
    let odd = A.replacen('a', "g", 1);
    repository.commit(&format!(
        "x\n\nYubin-Ack: {short}\nYubin-Ack: {A}0\nYubin-Ack: {odd}\nYubin-Ack: {A} {B}\nYubin-Ack:\nYubin-Acks: {A}"
    ));
    assert!(repository.checkout().acks().is_empty());
}

#[test]
fn a_shallow_clone_says_what_it_has() {
    let repository = Repository::new();
    repository.commit(&format!("old\n\nYubin-Ack: {A}"));
    repository.commit(&format!("new\n\nYubin-Ack: {B}"));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repository.path().display());
    git_in(folder.path(), &["clone", "-q", "--depth", "1", &url, "clone"]);
    let clone = checkout(&folder.path().join("clone/mail")).unwrap();
    assert_eq!(clone.commit(["a.yaml"]), Some(repository.head()));
    assert_eq!(clone.acks(), [B]);
}

/// Every setting that this code could make git run a program by.
#[cfg(unix)]
#[test]
fn nothing_that_a_repository_names_is_run() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    let mark = outside.path().join("ran");
    let evil = program(outside.path(), "evil", &format!("echo \"$0 $*\" >>{}\ncat", mark.display()));
    let evil = evil.to_str().unwrap();
    repository.write(".gitattributes", "*.yaml filter=f diff=d\n*.csv filter=p\n*.txt filter=a=b\n");
    repository.write("mail/b.csv", "x\n");
    repository.write("mail/c.txt", "x\n");
    repository.commit(&format!("attributes\n\nYubin-Ack: {A}"));
    let hooks = repository.path().join(".git/hooks");
    for name in ["post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"] {
        program(&hooks, name, evil);
    }
    for (key, value) in [
        ("filter.f.clean", evil),
        ("filter.f.smudge", evil),
        ("filter.f.required", "true"),
        ("filter.p.process", evil),
        ("filter.p.required", "true"),
        ("diff.d.textconv", evil),
        ("diff.d.command", evil),
        ("diff.external", evil),
        ("core.fsmonitor", evil),
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.pager", evil),
        ("pager.status", evil),
        ("pager.config", evil),
        ("core.editor", evil),
        ("core.sshCommand", evil),
        ("core.askPass", evil),
        ("gpg.program", evil),
        ("log.showSignature", "true"),
        ("trailer.yubin-ack.command", evil),
        ("alias.status", &format!("!{evil}")),
        ("alias.rev-list", &format!("!{evil}")),
        ("status.submoduleSummary", "true"),
        ("interactive.diffFilter", evil),
    ] {
        repository.git(&["config", key, value]);
    }
    // So that git has to look into the files.
    for (name, text) in [("a.yaml", "accounts: {}\n"), ("b.csv", "x\n"), ("c.txt", "x\n")] {
        repository.write(&format!("mail/{name}"), text);
    }
    let found = repository.checkout();
    assert_eq!(found.acks(), [A]);
    assert_eq!(found.commit(["a.yaml", "b.csv"]), Some(repository.head()));
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap());
    // A name that cannot be written on the command line: git is not asked.
    repository.git(&["config", "filter.a=b.clean", evil]);
    assert_eq!(found.commit(["a.yaml"]), Some(format!("{}+", repository.head())));
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap());
    // The trap works: git itself falls into it.
    let _ = Command::new("git").args(["status"]).current_dir(repository.path()).output();
    assert!(mark.exists());
}

/// An object that is missing from a partial clone is fetched by a program that its settings name.
#[cfg(unix)]
#[test]
fn nothing_is_fetched() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    let mark = outside.path().join("ran");
    let evil = program(outside.path(), "evil", &format!("touch {}", mark.display()));
    repository.commit("second");
    let parent = repository.git(&["rev-parse", "HEAD^"]);
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", outside.path().to_str().unwrap()),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", evil.to_str().unwrap()),
    ] {
        repository.git(&["config", key, value]);
    }
    for object in [parent, tree] {
        let path = repository.path().join(".git/objects").join(&object[..2]).join(&object[2..]);
        fs::remove_file(path).unwrap();
    }
    let found = repository.checkout();
    assert!(found.acks().is_empty());
    assert_eq!(found.commit(["a.yaml"]), Some(format!("{}+", repository.head())));
    assert!(!mark.exists());
}

/// A proposal may hold files that look like a repository of its own.
#[cfg(unix)]
#[test]
fn files_of_a_proposal_are_no_repository() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    let mark = outside.path().join("ran");
    let evil = program(outside.path(), "evil", &format!("touch {}", mark.display()));
    for folder in ["mail/objects", "mail/refs"] {
        fs::create_dir_all(repository.path().join(folder)).unwrap();
    }
    repository.write("mail/HEAD", "ref: refs/heads/main\n");
    let evil = evil.display();
    repository.write(
        "mail/config",
        &format!("[core]\nrepositoryformatversion = 0\nbare = false\nworktree = ..\nfsmonitor = {evil}\n"),
    );
    let found = checkout(&repository.mail());
    assert!(found.is_none_or(|found| found.commit([]).is_none_or(|commit| commit.starts_with(&repository.head()))));
    assert!(!mark.exists());
}

#[cfg(unix)]
#[test]
fn a_repository_may_not_say_that_it_stands_elsewhere() {
    let repository = Repository::new();
    repository.git(&["config", "core.worktree", "/"]);
    assert!(checkout(&repository.mail()).is_none());
}
