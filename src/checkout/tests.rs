use std::process::Command;
use std::time::Instant;

use Nature::{File, Folder, Link};

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

/// Whoever runs yubin, with settings of their own.
fn checkout_with(folder: &Path, more: &[(&str, &str)]) -> Checkout {
    Checkout::open(folder, variables(more), LIMIT).unwrap()
}

fn id(checkout: &Checkout, reference: &str) -> Option<String> {
    checkout.resolve(reference).unwrap()
}

fn read(tree: &CommitTree, name: &str) -> String {
    String::from_utf8(tree.read(&[name]).unwrap().remove(0)).unwrap()
}

#[test]
fn a_reference_is_resolved_to_its_commit() {
    let repository = Repository::new();
    let first = repository.head();
    repository.git(&["tag", "light"]);
    repository.git(&["tag", "-a", "heavy", "-m", "x"]);
    repository.git(&["branch", "topic/a"]);
    repository.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    repository.git(&["update-ref", "refs/tags/blob", "HEAD:mail/a.yaml"]);
    let second = repository.commit("second");
    let checkout = repository.checkout();
    for name in ["light", "heavy", "topic/a", "origin/main", "refs/tags/heavy", "refs/heads/topic/a", &first] {
        assert_eq!(id(&checkout, name), Some(first.clone()), "{name}");
    }
    for name in ["main", "HEAD", "refs/heads/main", &second] {
        assert_eq!(id(&checkout, name), Some(second.clone()), "{name}");
    }
    for name in ["topic", "missing", "origin", "blob", "refs/heads/light", &first[..12], "FETCH_HEAD", &"0".repeat(40)]
    {
        assert_eq!(id(&checkout, name), None, "{name}");
    }
    repository.git(&["tag", "main"]);
    assert!(checkout.resolve("main").unwrap_err().to_string().contains("refs/tags/main"));
    assert_eq!(id(&checkout, "refs/heads/main"), Some(second));
}

#[test]
fn what_is_no_name_of_a_reference_is_refused() {
    let repository = Repository::new();
    let checkout = repository.checkout();
    for name in [
        "",
        "-",
        "--all",
        "-upload-pack=x",
        "main^",
        "main~1",
        "@{u}",
        "@",
        "a..b",
        "a b",
        "a:b",
        "a*",
        "a?",
        "a[",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a.",
        "a\\b",
        "a\nb",
        "a\0b",
        ":/first",
        "HEAD^{tree}",
    ] {
        for error in [
            checkout.resolve(name).unwrap_err(),
            checkout.followed(name, false).unwrap_err(),
            checkout.followed(name, true).unwrap_err(),
            checkout.fetch(name).unwrap_err(),
        ] {
            assert_eq!(error.code, Code::Usage, "{name:?}");
        }
        assert!(checkout.tree(name).is_err() && checkout.is_signed(name).is_err(), "{name:?}");
        assert!(checkout.acks_of(name).is_empty(), "{name:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_commit_holds_the_files_below_the_projects_folder() {
    let repository = Repository::new();
    repository.write(".gitattributes", "*.csv text eol=crlf\n*.yaml filter=f\n");
    repository.write("mail/b.csv", "a\r\nb\r\n");
    repository.write("mail/a-b/x", "1");
    repository.write("mail/a/b/c", "2\n3");
    repository.write("mail/空.yaml", "");
    repository.write("mail.yaml", "other");
    std::os::unix::fs::symlink("a.yaml", repository.mail().join("link.yaml")).unwrap();
    let module = Repository::new();
    let module = format!("file://{}", module.path().display());
    repository.git(&["submodule", "--quiet", "add", &module, "mail/module"]);
    let commit = repository.commit("second");
    // What stands in the folder does not matter, nor what is staged.
    fs::remove_dir_all(repository.mail().join("a")).unwrap();
    repository.write("mail/a.yaml", "half");
    repository.git(&["add", "-A"]);
    let whole = checkout(repository.path()).unwrap().tree(&commit).unwrap();
    let checkout = repository.checkout();
    let tree = checkout.tree(&commit).unwrap();
    assert_eq!(tree.commit(), commit);
    let names = |folder: &str| -> Vec<(String, Nature)> {
        let entries = tree.folder(folder).into_iter();
        entries.map(|(name, nature)| (String::from_utf8(name.to_vec()).unwrap(), nature)).collect()
    };
    let of = |names: &[(&str, Nature)]| -> Vec<(String, Nature)> {
        names.iter().map(|(name, nature)| ((*name).to_owned(), *nature)).collect()
    };

    let all = [
        ("a-b", Folder),
        ("a.yaml", File),
        ("a", Folder),
        ("b.csv", File),
        ("link.yaml", Link),
        ("yubin.yaml", File),
        ("空.yaml", File),
    ];
    assert_eq!(names(""), of(&all));
    assert_eq!(names("a"), of(&[("b", Folder)]));
    assert_eq!(names("a/b"), of(&[("c", File)]));
    assert!(names("b").is_empty() && names("a.yaml").is_empty());
    for (name, nature) in all.iter().copied().chain([("a/b/c", File), ("a/b", Folder), ("", Folder)]) {
        assert_eq!(tree.find(name), Some(nature), "{name}");
    }
    for name in ["b", "a/c", "module", "module/a.yaml", "../mail.yaml", "mail.yaml"] {
        assert_eq!(tree.find(name), None, "{name}");
    }
    let read = tree.read(&["b.csv", "a/b/c", "空.yaml", "b.csv"]).unwrap();
    assert_eq!(read, [b"a\nb\n".to_vec(), b"2\n3".to_vec(), vec![], b"a\nb\n".to_vec()]);
    assert!(tree.read(&[]).unwrap().is_empty());
    for name in ["link.yaml", "a", "missing"] {
        assert!(tree.read(&[name]).is_err(), "{name}");
    }
    assert_eq!(whole.find("mail/a/b/c"), Some(File));
    assert_eq!(whole.find("mail.yaml"), Some(File));
    // Before the folder was there, and of what is no commit.
    assert!(checkout.tree(&"0".repeat(40)).is_err());
    repository.git(&["checkout", "-q", "-f", "--orphan", "empty"]);
    repository.git(&["rm", "-r", "-q", "--cached", "."]);
    let empty = repository.git(&["commit-tree", "-m", "x", &repository.git(&["write-tree"])]);
    assert_eq!(checkout.tree(&empty).unwrap().find(""), None);
}

#[test]
fn an_object_that_is_missing_is_said() {
    let repository = Repository::new();
    let blob = repository.git(&["rev-parse", "HEAD:mail/a.yaml"]);
    fs::remove_file(repository.path().join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let tree = repository.checkout().tree(&repository.head()).unwrap();
    assert_eq!(read(&tree, "yubin.yaml"), "version: 1\n");
    assert!(tree.read(&["yubin.yaml", "a.yaml"]).is_err());
}

#[test]
fn acknowledgements_are_those_of_the_commit_that_is_asked_for() {
    let repository = Repository::new();
    let first = repository.commit(&format!("x\n\nYubin-Ack: {A}"));
    repository.commit(&format!("x\n\nYubin-Ack: {B}"));
    assert_eq!(repository.checkout().acks_of(&first), [A]);
    assert_eq!(repository.checkout().acks_of("main"), [B, A]);
}

/// A clone, and the repository that it is of.
struct Pair {
    far: Repository,
    folder: tempfile::TempDir,
}

impl Pair {
    fn new() -> Pair {
        let far = Repository::new();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", far.path().display());
        git_in(folder.path(), &["clone", "-q", &url, "near"]);
        Pair { far, folder }
    }

    fn near(&self) -> PathBuf {
        self.folder.path().join("near")
    }

    fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.near(), arguments)
    }

    fn checkout(&self) -> Checkout {
        checkout(&self.near().join("mail")).unwrap()
    }

    /// What must not change by a fetch.
    fn local(&self) -> String {
        let refs = self.git(&["for-each-ref", "refs/heads", "refs/tags"]);
        let index = blake3::hash(&fs::read(self.near().join(".git/index")).unwrap());
        format!("{refs}\n{index}\n{}", self.git(&["rev-parse", "--symbolic-full-name", "HEAD"]))
    }
}

#[test]
fn a_branch_is_fetched_from_its_remote_and_nothing_else_is_touched() {
    let pair = Pair::new();
    let (first, local) = (pair.far.head(), pair.local());
    pair.far.git(&["tag", "v1"]);
    pair.far.git(&["branch", "other"]);
    let second = pair.far.commit("second");
    let checkout = pair.checkout();
    for reference in ["main", "origin/main", "refs/heads/main", "refs/remotes/origin/main"] {
        assert_eq!(checkout.followed(reference, true).unwrap(), "refs/remotes/origin/main");
        assert_eq!(checkout.followed(reference, false).unwrap(), reference);
    }
    assert_eq!(id(&checkout, "origin/main"), Some(first.clone()));
    checkout.fetch("main").unwrap();
    assert_eq!(id(&checkout, "origin/main"), Some(second.clone()));
    assert_eq!(id(&checkout, "main"), Some(first));
    assert_eq!(read(&checkout.tree(&second).unwrap(), "a.yaml"), "accounts: {}\n");
    assert_eq!(pair.local(), local);
    assert_eq!(id(&checkout, "origin/other"), None, "only what was asked for");
    assert!(!pair.near().join(".git/FETCH_HEAD").exists());
    // What was rewritten there is taken as it is.
    pair.far.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "rewritten"]);
    checkout.fetch("origin/main").unwrap();
    assert_eq!(id(&checkout, "origin/main"), Some(pair.far.head()));
    checkout.fetch("origin/main").unwrap();
    // A tag is another one afterwards, if it was moved.
    assert_eq!(checkout.followed("refs/tags/v1", true).unwrap(), "refs/tags/v1");
    for _ in 0..2 {
        checkout.fetch("refs/tags/v1").unwrap();
        assert_eq!(id(&checkout, "v1").unwrap(), pair.far.git(&["rev-parse", "v1"]));
        pair.far.git(&["tag", "-f", "v1"]);
    }
    assert_eq!(checkout.followed("v1", true).unwrap(), "refs/tags/v1");
    let gone = checkout.fetch("missing").unwrap_err();
    assert_eq!(gone.about, Some("git/no-ref"), "{gone}");
    for none in ["HEAD", &second, "refs/notes/x"] {
        assert_eq!(checkout.fetch(none).unwrap_err().code, Code::Usage, "{none}");
    }
}

#[test]
fn a_branch_is_followed_where_its_upstream_says() {
    let pair = Pair::new();
    let far = pair.far.path().display().to_string();
    pair.git(&["remote", "add", "up", &far]);
    pair.git(&["remote", "add", "up/b", "../nowhere"]);
    pair.git(&["checkout", "-q", "-b", "mine"]);
    let checkout = pair.checkout();
    let followed = |name| checkout.followed(name, true).unwrap();
    assert_eq!(followed("mine"), "refs/remotes/origin/mine");
    pair.git(&["config", "branch.mine.remote", "up"]);
    pair.git(&["config", "branch.mine.merge", "refs/heads/main"]);
    assert_eq!(followed("mine"), "refs/remotes/up/main");
    assert_eq!(followed("up/main"), "refs/remotes/up/main");
    assert_eq!(followed("up/b/c"), "refs/remotes/up/b/c");
    let second = pair.far.commit("second");
    // By a path, too.
    checkout.fetch("mine").unwrap();
    assert_eq!(id(&checkout, "up/main"), Some(second));
    assert_ne!(id(&checkout, "origin/main"), id(&checkout, "up/main"));
    // Another branch of its own is no remote.
    pair.git(&["config", "branch.mine.remote", "."]);
    assert!(checkout.fetch("mine").is_err());
    pair.git(&["remote", "remove", "origin"]);
    pair.git(&["remote", "remove", "up/b"]);
    assert_eq!(followed("other"), "refs/remotes/up/other");
    pair.git(&["remote", "remove", "up"]);
    let error = checkout.fetch("other").unwrap_err();
    assert!(error.to_string().contains("no remote `origin`"), "{error}");
}

#[test]
fn shallow_clones_linked_work_trees_and_other_hashes_are_fetched_into() {
    let far = Repository::new();
    far.commit("second");
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", far.path().display());
    git_in(folder.path(), &["clone", "-q", "--depth", "1", &url, "near"]);
    git_in(&folder.path().join("near"), &["worktree", "add", "-q", "../linked", "-b", "side"]);
    let third = far.commit("third");
    let linked = checkout(&folder.path().join("linked/mail")).unwrap();
    linked.fetch("origin/main").unwrap();
    assert_eq!(id(&linked, "origin/main"), Some(third.clone()));
    assert!(linked.tree(&third).unwrap().find("a.yaml").is_some());

    // A clone that has not taken every object gets those that are new, and asks for no others.
    far.git(&["config", "uploadpack.allowFilter", "true"]);
    far.write("mail/big.yaml", "accounts: { x: {} }\n");
    far.commit("fourth");
    far.write("mail/big.yaml", "accounts: { y: {} }\n");
    far.commit("fifth");
    git_in(folder.path(), &["clone", "-q", "--filter=blob:none", &url, "partial"]);
    far.write("mail/new.yaml", "accounts: { z: {} }\n");
    let sixth = far.commit("sixth");
    let partial = checkout(&folder.path().join("partial/mail")).unwrap();
    partial.fetch("main").unwrap();
    let tree = partial.tree(&sixth).unwrap();
    for name in ["new.yaml", "big.yaml", "a.yaml", "yubin.yaml"] {
        assert_eq!(tree.read(&[name]).unwrap().len(), 1, "{name}");
    }

    let far = folder.path().join("sha256");
    git_in(folder.path(), &["init", "-q", "--object-format=sha256", "sha256"]);
    fs::write(far.join("yubin.yaml"), "version: 1\n").unwrap();
    git_in(&far, &["add", "-A"]);
    git_in(&far, &["commit", "-q", "-m", "first"]);
    git_in(folder.path(), &["clone", "-q", &format!("file://{}", far.display()), "near256"]);
    git_in(&far, &["commit", "-q", "--allow-empty", "-m", "second"]);
    let near = checkout(&folder.path().join("near256")).unwrap();
    near.fetch("main").unwrap();
    let second = git_in(&far, &["rev-parse", "HEAD"]);
    assert_eq!(id(&near, "origin/main"), Some(second.clone()));
    assert_eq!(read(&near.tree(&second).unwrap(), "yubin.yaml"), "version: 1\n");
}

#[test]
fn a_remote_that_says_nothing_is_left_alone_in_time() {
    let pair = Pair::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in [format!("git://127.0.0.1:{port}/x"), format!("http://127.0.0.1:{port}/x")] {
        pair.git(&["config", "remote.origin.url", &url]);
        let started = Instant::now();
        let limit = Duration::from_secs(2);
        let hurried = Checkout::open(&pair.near(), variables(&[]), limit).unwrap();
        let error = hurried.fetch("main").unwrap_err();
        assert!(error.to_string().contains("in time"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn what_git_says_of_a_failed_fetch_is_told_without_passwords() {
    let pair = Pair::new();
    pair.git(&["config", "remote.origin.url", "http://me:s3cret@127.0.0.1:1/x?private_token=s3cret"]);
    let error = pair.checkout().fetch("main").unwrap_err();
    assert!(error.to_string().contains("`git fetch` from `origin` has failed: "), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// Everything by which a repository could have a program of its own run by a fetch, or have it ask elsewhere.
#[cfg(unix)]
#[test]
fn nothing_that_a_repository_names_is_run_by_a_fetch() {
    let outside = tempfile::tempdir().unwrap();
    let mark = outside.path().join("ran");
    let evil = program(outside.path(), "evil", &format!("echo \"$0 $*\" >>{}\nexit 1", mark.display()));
    let evil = evil.to_str().unwrap();
    let pair = Pair::new();
    let elsewhere = Repository::new();
    elsewhere.commit("evil");
    let second = pair.far.commit("second");
    let hooks = pair.near().join(".git/hooks");
    for name in ["reference-transaction", "post-merge", "post-checkout", "pre-auto-gc", "post-rewrite", "fsmonitor"] {
        program(&hooks, name, evil);
    }
    let into = format!("url.file://{}.insteadOf", elsewhere.path().display());
    for (key, value) in [
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.fsmonitor", evil),
        ("core.sshCommand", evil),
        ("core.gitProxy", evil),
        ("core.askPass", evil),
        ("core.pager", evil),
        ("core.alternateRefsCommand", evil),
        ("credential.helper", &format!("!{evil}")),
        ("remote.origin.uploadpack", evil),
        ("remote.origin.vcs", "evil"),
        ("remote.origin.fetch", "+refs/heads/*:refs/heads/*"),
        ("remote.origin.tagOpt", "--tags"),
        ("remote.origin.prune", "true"),
        ("remote.origin.mirror", "true"),
        ("uploadpack.packObjectsHook", evil),
        ("alias.fetch", &format!("!{evil}")),
        ("protocol.ext.allow", "always"),
        ("fetch.recurseSubmodules", "true"),
        ("fetch.parallel", "4"),
        ("gc.auto", "1"),
        ("maintenance.auto", "true"),
        (&into, &format!("file://{}", pair.far.path().display())),
    ] {
        pair.git(&["config", key, value]);
    }
    let local = pair.local();
    let checkout = pair.checkout();
    checkout.fetch("main").unwrap();
    assert_eq!(id(&checkout, "origin/main"), Some(second));
    assert_eq!(pair.local(), local);
    let ran = || fs::read_to_string(&mark).unwrap_or_default();
    assert!(!mark.exists(), "{}", ran());
    let ext = format!("ext::{evil} %S");
    for url in
        [&*ext, "evil::x", "ssh://127.0.0.1:1/x", "git://127.0.0.1:1/x", "http://127.0.0.1:1/x", "-oProxyCommand=x"]
    {
        pair.git(&["config", "remote.origin.url", url]);
        assert!(checkout.fetch("main").is_err(), "{url}");
        assert!(!mark.exists(), "{url}: {}", ran());
    }
    // A reference that is another's name does not move that one.
    pair.git(&["config", "remote.origin.url", pair.far.path().to_str().unwrap()]);
    pair.git(&["-c", "core.hooksPath=/dev/null", "symbolic-ref", "refs/remotes/origin/main", "refs/heads/main"]);
    pair.far.commit("third");
    let local = pair.local();
    checkout.fetch("main").unwrap();
    assert_eq!(pair.local(), local);
    assert_eq!(id(&checkout, "origin/main"), Some(pair.far.head()));
    // The trap works: git itself falls into it.
    assert!(!mark.exists(), "{}", ran());
    let _ = Command::new("git").args(["fetch", "origin"]).current_dir(pair.near()).output();
    assert!(mark.exists());
}

/// The settings of whoever runs yubin hold.
#[test]
fn a_fetch_takes_the_settings_of_its_caller() {
    let pair = Pair::new();
    let second = pair.far.commit("second");
    pair.git(&["config", "remote.origin.url", "https://nowhere.example/mail"]);
    let settings = pair.folder.path().join("gitconfig");
    let text = format!("[url \"file://{}\"]\n\tinsteadOf = https://nowhere.example/mail\n", pair.far.path().display());
    fs::write(&settings, text).unwrap();
    let mine = checkout_with(&pair.near(), &[("GIT_CONFIG_GLOBAL", settings.to_str().unwrap())]);
    mine.fetch("main").unwrap();
    assert_eq!(id(&mine, "origin/main"), Some(second));
}

/// Makes a commit that is signed by a key of its own, and gives its public key.
fn sign_with_ssh(repository: &Repository, folder: &Path, name: &str) -> String {
    let key = folder.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let key = key.to_str().unwrap();
    let signing = format!("user.signingKey={key}.pub");
    repository.git(&["-c", "gpg.format=ssh", "-c", &signing, "commit", "-q", "--allow-empty", "-S", "-m", name]);
    fs::read_to_string(format!("{key}.pub")).unwrap()
}

#[cfg(unix)]
#[test]
fn a_signature_is_good_by_the_signers_of_whoever_asks() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    let unsigned = repository.head();
    let known = sign_with_ssh(&repository, outside.path(), "known");
    let good = repository.head();
    let unknown = sign_with_ssh(&repository, outside.path(), "unknown");
    let strange = repository.head();
    let (signers, settings) = (outside.path().join("signers"), outside.path().join("gitconfig"));
    fs::write(&signers, format!("a@example.jp {known}")).unwrap();
    fs::write(&settings, format!("[gpg \"ssh\"]\n\tallowedSignersFile = {}\n", signers.display())).unwrap();
    let mine = [("GIT_CONFIG_GLOBAL", settings.to_str().unwrap())];
    let signed = |commit: &str| checkout_with(&repository.mail(), &mine).is_signed(commit).unwrap();
    assert_eq!(signed(&good), Ok(()));
    assert_eq!(signed(&unsigned), Err("it has no signature".to_owned()));
    assert!(signed(&strange).unwrap_err().contains("not trusted"));
    // Whoever names no signers trusts none, and is told so.
    let none = repository.checkout().is_signed(&good).unwrap().unwrap_err();
    assert!(none.contains("allowedSignersFile"), "{none}");
    // Another message under the same signature.
    let raw = repository.git(&["cat-file", "commit", &good]);
    let forged = outside.path().join("forged");
    fs::write(&forged, raw.replace("\n\nknown", "\n\nforged") + "\n").unwrap();
    let forged = repository.git(&["hash-object", "-t", "commit", "-w", forged.to_str().unwrap()]);
    assert!(signed(&forged).unwrap_err().contains("bad"));

    // What the repository says of signers, programs and trust does not count.
    let mark = outside.path().join("ran");
    let evil = program(outside.path(), "evil", &format!("touch {}\necho '[GNUPG:] GOODSIG 1 x'", mark.display()));
    let theirs = repository.path().join("signers");
    fs::write(&theirs, format!("a@example.jp {known}a@example.jp {unknown}")).unwrap();
    for (key, value) in [
        ("gpg.program", evil.to_str().unwrap()),
        ("gpg.openpgp.program", evil.to_str().unwrap()),
        ("gpg.ssh.program", evil.to_str().unwrap()),
        ("gpg.x509.program", evil.to_str().unwrap()),
        ("gpg.ssh.defaultKeyCommand", evil.to_str().unwrap()),
        ("gpg.ssh.allowedSignersFile", theirs.to_str().unwrap()),
        ("gpg.format", "openpgp"),
        ("gpg.minTrustLevel", "undefined"),
        ("alias.verify-commit", &format!("!{}", evil.display())),
    ] {
        repository.git(&["config", key, value]);
    }
    assert_eq!(signed(&good), Ok(()));
    assert!(signed(&strange).is_err() && signed(&unsigned).is_err());
    assert!(repository.checkout().is_signed(&good).unwrap().is_err());
    // A replacement is no signature of what it replaces, and a file of the project no list of signers.
    repository.git(&["replace", &unsigned, &good]);
    assert!(signed(&unsigned).is_err());
    fs::write(&settings, "[gpg \"ssh\"]\n\tallowedSignersFile = signers\n").unwrap();
    assert!(signed(&good).is_err());
    assert!(!mark.exists());
    // The trap works: git itself falls into it.
    let _ = Command::new("git").args(["verify-commit", &good]).current_dir(repository.path()).output();
    assert!(mark.exists());
}

#[cfg(unix)]
#[test]
fn a_signature_of_gnupg_is_good_by_the_ring_of_whoever_asks() {
    let gpg = |home: &Path, arguments: &[&str]| -> Option<Vec<u8>> {
        let output = Command::new("gpg").arg("--batch").args(arguments).env("GNUPGHOME", home).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let home = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        folder
    };
    let (signer, other) = (home("s"), home("o"));
    let make = ["--passphrase", "", "--quick-generate-key", "a <a@example.jp>", "ed25519", "sign", "never"];
    // Without GnuPG there is nothing to test.
    if gpg(signer.path(), &make).is_none() {
        return;
    }
    let repository = Repository::new();
    let folder = repository.path();
    let output = Command::new("git")
        .args(["-c", "user.signingKey=a@example.jp", "commit", "-q", "--allow-empty", "-S", "-m", "signed"])
        .current_dir(folder)
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.jp")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@example.jp")])
        .env("GNUPGHOME", signer.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let commit = repository.head();
    let by = |home: &Path| {
        checkout_with(&repository.mail(), &[("GNUPGHOME", home.to_str().unwrap())]).is_signed(&commit).unwrap()
    };
    assert_eq!(by(signer.path()), Ok(()));
    assert!(by(other.path()).unwrap_err().contains("not known"));
    // Known, and trusted by nobody.
    let public = gpg(signer.path(), &["--export"]).unwrap();
    let file = other.path().join("public");
    fs::write(&file, public).unwrap();
    gpg(other.path(), &["--import", file.to_str().unwrap()]).unwrap();
    assert!(by(other.path()).unwrap_err().contains("not trusted"));
    for home in [signer, other] {
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", home.path()).status();
    }
}
