//! `yubin.yaml`.

mod given;
mod hooks;
mod migrations;
mod policy;
mod probe;
mod secrets;
mod sync;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, UTF_8};
use globset::GlobBuilder;

use super::tree::{self, Tree, Unread, leaves_by_link};
use crate::format::node::{Content, Entry, Node, Reader};
use crate::model::diagnostic::{did_you_mean, instead, shown, unknown_word};
use crate::model::migration::Migration;
use crate::model::policy::plain;
use crate::model::probe::Probing;
use crate::model::{
    Address, Code, Diagnostic, Diagnostics, Error, Given, Hook, Key as ResourceKey, Kind, Place, Policy, Result,
    Severity, StorePlace, Sync, Trust,
};
use crate::system::{self, System};
use given::{MASTER_KEYS, RULE_KEYS};

pub use hooks::HOOK_KEYS;
pub use migrations::MIGRATION_KEYS;
pub use policy::{LIMIT_KEYS, POLICY_KEYS};
pub use probe::PROBE_KEYS;
pub use secrets::{PASSWORD_KEYS, SECRET_KEYS};
pub use sync::{SYNC_KEYS, WINDOW_KEYS};

pub const FILE_NAME: &str = "yubin.yaml";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatName {
    Yaml,
    Csv,
    CatchmeMail,
}

impl FormatName {
    pub const ALL: [(&'static str, FormatName); 3] =
        [("yaml", FormatName::Yaml), ("csv", FormatName::Csv), ("catchme-mail", FormatName::CatchmeMail)];
}

/// An entry of `sources:`.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// A path or a glob, relative to the project.
    pub path: String,
    pub place: Place,
    /// By the name and content of the file if not given.
    pub format: Option<FormatName>,
    pub encoding: &'static Encoding,
    /// Of records without a `kind` column.
    pub kind: Option<Kind>,
}

impl Default for SourceSpec {
    fn default() -> SourceSpec {
        SourceSpec { path: String::new(), place: Place::default(), format: None, encoding: UTF_8, kind: None }
    }
}

#[derive(Debug)]
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// Where its files are read from.
    pub tree: Tree,
    pub name: String,
    pub system: &'static System,
    pub store: String,
    /// Where the project file names it.
    pub store_place: Option<Place>,
    /// `None`: every YAML and CSV file of the folder.
    pub sources: Option<Vec<SourceSpec>>,
    pub policy: Policy,
    /// `secrets:`.
    pub trust: Trust,
    /// `hooks:`.
    pub hooks: Vec<Hook>,
    /// `sync:`.
    pub sync: Sync,
    /// `migrations:`, in the order of the file.
    pub migrations: Vec<Migration>,
    /// `probe:`.
    pub probing: Probing,
    /// `masters:` and `rules:`.
    pub given: Given,
    pub users: Option<HashSet<String>>,
    /// The file of `users:` as it was read.
    pub users_file: Option<(String, Vec<u8>)>,
    /// Where it stands, read or not.
    pub users_path: Option<(String, Place)>,
    /// The project file as it was read.
    pub bytes: Vec<u8>,
    /// The file of `--trusted-config` as it was read.
    pub trusted: Option<Vec<u8>>,
}

/// The folder of the project: `start` or the nearest above it that has a `yubin.yaml`.
pub fn find_root(start: &Path) -> Result<PathBuf> {
    start.ancestors().find(|folder| folder.join(FILE_NAME).is_file()).map(Path::to_path_buf).ok_or_else(|| {
        Error::new(Code::Invalid, format!("no `{FILE_NAME}` in {} or above it", start.display()))
            .about("project/missing")
            .hint("`yubin init` makes a project; `-C DIR` names the folder of one")
    })
}

/// Reads the project file, and the one that stands above its `policy:`, `secrets:`, `hooks:`, `sync:` and `probe:`.
/// What is wrong with single values stands among the diagnostics; the project is then good for reporting problems
/// of the other files too, and for nothing else.
pub fn read_project(tree: &Tree, trusted: Option<&Path>, diagnostics: &mut Diagnostics) -> Result<Project> {
    let root = tree.root();
    let bytes = read_own(tree)?;
    let mut project = read_file(tree, &bytes, FILE_NAME, true, diagnostics);
    if let Some(path) = trusted {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| unread(path, error))?;
        let other = read_file(tree, &bytes, &name, false, diagnostics);
        project.policy = other.policy;
        project.given.allow_zero_capacity = other.given.allow_zero_capacity;
        // What one of them demands, the other does not lift.
        project.given.mail_server |= other.given.mail_server;
        project.trust = foreign(root, path, other.trust);
        project.hooks = hooks::foreign(other.hooks, root, path);
        project.sync = sync::foreign(other.sync, root, path);
        project.probing = probe::foreign(other.probing, root, path);
        project.trusted = Some(other.bytes);
    }
    if project.given.mail_server {
        diagnostics.extend(unfit_for_mail_server(&project));
    }
    let real = |path: PathBuf| fs::canonicalize(path).ok();
    let allowed = project.trust.paths.iter().map(|path| root.join(path));
    project.trust.real = std::iter::once(root.to_path_buf()).chain(allowed).filter_map(real).collect();
    if project.trust.foreign && tree.commit().is_none() && leaves_by_link(&project, &root.join(FILE_NAME)) {
        return Err(Error::new(Code::Invalid, format!("`{FILE_NAME}` leads out of the project through a link"))
            .hint("with `--trusted-config`, the project file stands in the project itself"));
    }
    let permanent =
        project.system.permanent.iter().map(|(name, _)| Address::new(Kind::Account, ResourceKey::single(name)));
    project.policy.protect.extend(permanent);
    if let Some(users) = project.users_path.clone() {
        read_users(&mut project, users, diagnostics);
    }
    Ok(project)
}

/// What another file allows: its paths are relative to that file, and none of them is one that the project
/// could put a link in the place of.
fn foreign(root: &Path, file: &Path, trust: Trust) -> Trust {
    let folder = file.parent().unwrap_or(root);
    let absolute = |path: String| folder.join(path).display().to_string();
    let inside = |path: &String| plain(Path::new(path)).starts_with(plain(root));
    let paths = trust.paths.into_iter().map(absolute).filter(|path| !inside(path)).collect();
    let at_home = |path: String| if path.starts_with("~/") { path } else { absolute(path) };
    let identities = trust.identities.into_iter().map(at_home).collect();
    Trust { foreign: true, paths, identities, ..trust }
}

fn unread(path: &Path, error: io::Error) -> Error {
    Error::failure(format!("{} cannot be read", path.display())).because(error)
}

fn read_own(tree: &Tree) -> Result<Vec<u8>> {
    let missing = |message| Error::new(Code::Invalid, message).about("project/missing");
    match tree {
        Tree::Folder(root) => {
            let path = root.join(FILE_NAME);
            fs::read(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    missing(format!("no `{FILE_NAME}` in {}", root.display()))
                }
                _ => unread(&path, error),
            })
        }
        Tree::Commit(_, files) => {
            let commit = files.commit();
            if !tree.is_file(FILE_NAME) {
                return Err(missing(format!("the commit {commit} has no `{FILE_NAME}` in the project's folder")));
            }
            let mut read = tree::read_committed(files, &[FILE_NAME]);
            read.pop().unwrap_or(Err(Unread::Outside)).map_err(|unread| match unread {
                Unread::Failed(error) => Error::failure(format!("`{FILE_NAME}` of {commit} cannot be read: {error}")),
                Unread::Link | Unread::Outside => {
                    let message = format!("`{FILE_NAME}` is a link in the commit {commit}, and not followed");
                    Error::new(Code::Invalid, message).hint(COMMIT_HINT)
                }
            })
        }
    }
}

/// What stands beside `mail_server: true` and cannot work with it, whichever file says it.
fn unfit_for_mail_server(project: &Project) -> Vec<Diagnostic> {
    let at = |message: &str, place: Place, hint: &str| {
        Diagnostic::error("project/value", message).at(FILE_NAME, place.line, place.column).hint(hint)
    };
    // Where a server keeps the store, that may be in SQLite.
    let database =
        project.store_place.filter(|_| matches!(StorePlace::parse(&project.store), Ok(StorePlace::Postgres(_))));
    let message = "a mail server reads a store in SQLite, and this one is in PostgreSQL";
    let store = database
        .map(|place| at(message, place, "as in `store: sqlite:store/yubin.db`, or take `mail_server: true` out"));
    let message = "a migration makes a second account with the address of the first, and a mail server knows each once";
    let hint =
        "take `mail_server: true` out as long as accounts move, or move them in a project without it and another store";
    let moves = project.migrations.iter().map(|migration| at(message, migration.place, hint));
    store.into_iter().chain(moves).collect()
}

/// `whole` says that a project file must be complete: only some of its keys are of use elsewhere.
fn read_file(tree: &Tree, bytes: &[u8], name: &str, whole: bool, diagnostics: &mut Diagnostics) -> Project {
    let mut project = Project {
        root: tree.root().to_path_buf(),
        tree: tree.clone(),
        name: String::new(),
        system: system::ALL[0],
        store: "sqlite:yubin.db".to_owned(),
        store_place: None,
        sources: None,
        policy: Policy::default(),
        trust: Trust::default(),
        hooks: Vec::new(),
        sync: Sync::default(),
        migrations: Vec::new(),
        probing: Probing::default(),
        given: Given::default(),
        users: None,
        users_file: None,
        users_path: None,
        bytes: bytes.to_vec(),
        trusted: None,
    };
    let text = match crate::format::encoding::decode(name, bytes, UTF_8) {
        Ok(text) => text,
        Err(problem) => {
            diagnostics.push(problem);
            return project;
        }
    };
    let mut reader = Reader::new(name, &text);
    let node = reader.document();
    diagnostics.extend(reader.problems);
    if let Ok(node) = node {
        let mut look = Look { diagnostics, project: &mut project, name, mail_server: None };
        look.top(node, whole);
    }
    project
}

fn read_users(project: &mut Project, (name, place): (String, Place), diagnostics: &mut Diagnostics) {
    let problem = |code, message| Diagnostic::error(code, message).at(FILE_NAME, place.line, place.column);
    match tree::read(project, &[&name]).pop().unwrap_or(Err(Unread::Outside)) {
        Ok(bytes) => match crate::format::encoding::decode(&name, &bytes, UTF_8) {
            Ok(text) => {
                let users = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                project.users = Some(users.map(str::to_owned).collect());
                project.users_file = Some((name, bytes));
            }
            Err(problem) => diagnostics.push(problem),
        },
        Err(Unread::Outside) => {
            let name = shown(&name);
            let message =
                format!("the file of users `{name}` leads out of the project through a link, and is not read");
            diagnostics.push(problem("file/outside", message).hint(LINK_HINT));
        }
        Err(Unread::Link) => {
            let message = format!("the file of users `{}` is a link in the commit, and is not read", shown(&name));
            diagnostics.push(problem("file/link", message).hint(COMMIT_HINT));
        }
        Err(Unread::Failed(error)) => {
            let message = format!("the file of users `{}` cannot be read: {error}", shown(&name));
            diagnostics.push(problem("file/missing", message));
        }
    }
}

pub const LINK_OUTSIDE: &str = "the file leads out of the project through a link, and is not read";
pub const LINK_HINT: &str = "keep the file itself inside the project, or allow its folder with `secrets: paths:`";

pub const LINK_IN_COMMIT: &str = "a link is not followed in a commit";
pub const COMMIT_HINT: &str = "commit the file itself in its place";

/// A key and how it is read. What it is for stands in `schema`; a test holds the two together.
pub struct Key {
    pub name: &'static str,
    read: fn(&mut Look<'_>, Node),
}

pub static TOP_KEYS: &[Key] = &[
    Key { name: "version", read: |look, node| look.version(node) },
    Key { name: "name", read: |look, node| look.name(node) },
    Key { name: "system", read: |look, node| look.system(node) },
    Key { name: "store", read: |look, node| look.store(node) },
    Key { name: "sources", read: |look, node| look.sources(node) },
    Key { name: "policy", read: |look, node| look.policy(node) },
    Key { name: "secrets", read: |look, node| look.keys(node, "`secrets`", SECRET_KEYS, |_| {}) },
    Key { name: "hooks", read: |look, node| look.hooks(node) },
    Key { name: "sync", read: |look, node| look.sync(node) },
    Key { name: "mail_server", read: |look, node| look.mail_server(&node) },
    Key { name: "migrations", read: |look, node| look.migrations(node) },
    Key { name: "probe", read: |look, node| look.probe(node) },
    Key { name: "users", read: |look, node| look.users(node) },
    Key { name: "masters", read: |look, node| look.keys(node, "`masters`", MASTER_KEYS, |_| {}) },
    Key { name: "rules", read: |look, node| look.keys(node, "`rules`", RULE_KEYS, |_| {}) },
];

pub const SOURCE_KEYS: [&str; 4] = ["path", "format", "encoding", "kind"];

pub struct Look<'a> {
    diagnostics: &'a mut Diagnostics,
    project: &'a mut Project,
    /// Of the file.
    name: &'a str,
    /// Where `mail_server: true` stands.
    mail_server: Option<Place>,
}

#[expect(clippy::needless_pass_by_value, reason = "a reader takes the value that it reads")]
impl Look<'_> {
    fn problem(&mut self, code: &'static str, message: impl Into<String>, place: Place, hint: &str) {
        let problem = Diagnostic::error(code, message).at(self.name, place.line, place.column);
        self.diagnostics.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }

    fn top(&mut self, node: Option<Node>, whole: bool) {
        let Some(node) = node else {
            self.problem(
                "project/value",
                "the file is empty",
                Place { line: 1, column: 1 },
                "`yubin init` writes one that works",
            );
            return;
        };
        let place = node.place;
        let mut missing = vec!["version", "name"];
        self.keys(node, "a project file", TOP_KEYS, |name| missing.retain(|other| *other != name));
        // The product may stand behind them.
        self.fit_migrations();
        for key in missing.into_iter().filter(|_| whole) {
            let hint = if key == "version" {
                "write `version: 1`"
            } else {
                "write `name:` and a name of your choice: it marks what the project owns"
            };
            self.problem("project/value", format!("`{key}` is missing"), place, hint);
        }
        if let Some(place) = self.mail_server.filter(|_| !self.project.system.open) {
            let message = "a mail server reads a store that holds hashes of passwords, and products need the passwords";
            self.problem("project/value", message, place, "`mail_server` is for `system: generic`");
        }
    }

    fn mail_server(&mut self, node: &Node) {
        self.project.given.mail_server = self.flag(node).unwrap_or_default();
        self.mail_server = self.project.given.mail_server.then_some(node.place);
    }

    fn keys(&mut self, node: Node, what: &str, keys: &[Key], mut seen: impl FnMut(&str)) {
        let found = node.what();
        let Content::Map(entries) = node.content else {
            self.problem("value/type", format!("{what} is a mapping, not {found}"), node.place, "");
            return;
        };
        for Entry { key, key_place, value } in entries {
            match keys.iter().find(|known| known.name == key) {
                Some(known) => {
                    seen(known.name);
                    (known.read)(self, value);
                }
                None => self.unknown(&key, key_place, what, keys.iter().map(|key| key.name).collect()),
            }
        }
    }

    fn unknown(&mut self, key: &str, place: Place, what: &str, known: Vec<&str>) {
        let near = did_you_mean(key, known.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are `{}`", known.join("`, `")),
        };
        self.problem("key/unknown", format!("{} is no key of {what}", unknown_word(key, near)), place, &hint);
    }

    /// The text of a single value.
    fn word(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.content {
            Content::Plain(text) | Content::Quoted(text) if !node.is_null() => Some(text.to_string()),
            _ => {
                self.problem("value/type", format!("`{what}` is a single value, not {}", node.what()), node.place, "");
                None
            }
        }
    }

    fn wrong_word(&mut self, word: &str, what: &str, names: &[&str], place: Place) {
        let near = did_you_mean(word, names.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => String::new(),
        };
        let message = format!("`{what}` is one of `{}`{}", names.join("`, `"), instead(word, near));
        self.problem("project/value", message, place, &hint);
    }

    fn version(&mut self, node: Node) {
        let Some(word) = self.word(&node, "version") else { return };
        if let Content::Quoted(_) = node.content {
            self.problem("value/type", "`version` is a number", node.place, "write it without quotes");
            return;
        }
        if word != "1" {
            let message = "this yubin reads version 1";
            self.problem("project/value", message, node.place, "a newer version needs a newer yubin");
        }
    }

    fn name(&mut self, node: Node) {
        let Some(word) = self.word(&node, "name") else { return };
        let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if word.is_empty() || word.chars().count() > 64 || !word.chars().all(fine) {
            let message = "a project's name has 1 to 64 letters, digits, `-`, `_` and `.`";
            self.problem("project/value", message, node.place, "");
        } else {
            self.project.name = word;
        }
    }

    fn system(&mut self, node: Node) {
        let Some(word) = self.word(&node, "system") else { return };
        if let Some(system) = System::find(&word) {
            self.project.system = system;
        } else {
            let names: Vec<&str> = system::ALL.iter().map(|system| system.name).collect();
            self.wrong_word(&word, "system", &names, node.place);
        }
    }

    fn store(&mut self, node: Node) {
        let Some(word) = self.word(&node, "store") else { return };
        if let Ok(place) = StorePlace::parse(&word) {
            if place.has_password() {
                let message = "a password stands in the address of the store, for everyone who reads this file";
                let hint =
                    "leave it out, and give it as PGPASSWORD or in a `.pgpass`, or the whole address as YUBIN_STORE";
                let warning = Diagnostic::warning("project/password", message).hint(hint);
                self.diagnostics.push(warning.at(self.name, node.place.line, node.place.column));
            }
            self.project.store = word;
            self.project.store_place = Some(node.place);
        } else {
            let hint = "as in `store: sqlite:yubin.db`, `postgres://db.example/mail` or `https://store.example`";
            self.problem("project/value", "this is no address of a store", node.place, hint);
        }
    }

    fn users(&mut self, node: Node) {
        let Some(name) = self.word(&node, "users") else { return };
        if outside(&name) {
            self.problem("project/value", "the file of `users:` stands inside the project", node.place, "");
            return;
        }
        self.project.users_path = Some((name, node.place));
    }

    fn sources(&mut self, node: Node) {
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem(
                "value/type",
                format!("`sources` is a list of paths, not {found}"),
                node.place,
                "as in `[servers.yaml, people/*.csv]`",
            );
            return;
        };
        let mut sources = Vec::with_capacity(items.len());
        for item in items {
            let mut spec = SourceSpec { place: item.place, ..SourceSpec::default() };
            let problems = self.diagnostics.count(Severity::Error);
            match item.content {
                Content::Map(entries) => {
                    for Entry { key, key_place, value } in entries {
                        self.source_key(&key, key_place, &value, &mut spec);
                    }
                    if spec.path.is_empty() {
                        self.problem("project/value", "this source has no `path`", item.place, "");
                        continue;
                    }
                }
                _ => match self.word(&item, "source") {
                    Some(path) => spec.path = path,
                    None => continue,
                },
            }
            if outside(&spec.path) {
                self.problem(
                    "project/value",
                    "a source stands inside the project: no absolute path and no `..`",
                    item.place,
                    "",
                );
            } else if let Err(error) = GlobBuilder::new(&spec.path).literal_separator(true).build() {
                self.problem("project/value", format!("not a pattern of paths: {}", error.kind()), item.place, "");
            } else if self.diagnostics.count(Severity::Error) == problems {
                // Files of a source that is wrong would be read wrongly.
                sources.push(spec);
            }
        }
        self.project.sources = Some(sources);
    }

    fn source_key(&mut self, key: &str, key_place: Place, value: &Node, spec: &mut SourceSpec) {
        match key {
            "path" => {
                if let Some(word) = self.word(value, "path") {
                    spec.path = word;
                    spec.place = value.place;
                }
            }
            "format" => {
                let Some(word) = self.word(value, "format") else { return };
                match FormatName::ALL.iter().find(|(name, _)| *name == word) {
                    Some((_, format)) => spec.format = Some(*format),
                    None => self.wrong_word(&word, "format", &FormatName::ALL.map(|(name, _)| name), value.place),
                }
            }
            "encoding" => {
                let Some(word) = self.word(value, "encoding") else { return };
                match Encoding::for_label(word.as_bytes()) {
                    Some(encoding) => spec.encoding = encoding,
                    None => self.problem(
                        "project/value",
                        "this is no encoding",
                        value.place,
                        "as in utf-8, shift_jis, euc-jp, iso-2022-jp, utf-16le",
                    ),
                }
            }
            "kind" => {
                let Some(word) = self.word(value, "kind") else { return };
                match Kind::from_name(&word) {
                    Some(kind) => spec.kind = Some(kind),
                    None => self.wrong_word(&word, "kind", &Kind::ALL.map(Kind::name), value.place),
                }
            }
            _ => self.unknown(key, key_place, "a source", SOURCE_KEYS.to_vec()),
        }
    }
}

/// Whether a path leaves the project's folder by its words.
fn outside(path: &str) -> bool {
    use std::path::Component;
    Path::new(path).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
}
