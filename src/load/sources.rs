//! Finding the files of a project and turning them into text.

use std::collections::BTreeMap;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::project::{
    COMMIT_HINT, FILE_NAME, FormatName, LINK_HINT, LINK_IN_COMMIT, LINK_OUTSIDE, Project, SourceSpec,
};
use super::tree::{self, Nature, Tree, Unread};
use crate::model::{Diagnostic, Diagnostics};

pub struct SourceFile {
    /// Relative to the project, with `/`.
    pub name: String,
    pub spec: SourceSpec,
    /// `None` if it could not be read.
    pub bytes: Option<Vec<u8>>,
}

impl SourceFile {
    pub fn is_yaml(&self) -> bool {
        match self.spec.format {
            Some(format) => format == FormatName::Yaml,
            None => is_yaml_name(&self.name),
        }
    }
}

/// The sources as they stand on the disk, or in a commit.
pub struct Sources {
    /// By name.
    pub files: Vec<SourceFile>,
    /// Entries of `sources:` that match no file.
    pub vanished: Vec<String>,
}

/// Finds and reads all sources.
pub fn read_sources(project: &Project, diagnostics: &mut Diagnostics) -> Sources {
    let mut all = Vec::new();
    if let Err(error) = walk(&project.tree, "", &mut all, diagnostics) {
        diagnostics.push(Diagnostic::error("file/unreadable", format!("the project's folder cannot be read: {error}")));
    }
    all.sort();
    let (picked, vanished) = pick(project, &all, diagnostics);
    let names: Vec<&str> = picked.keys().map(String::as_str).collect();
    let read = tree::read(project, &names);
    let files = picked.into_iter().zip(read);
    let files = files.map(|((name, spec), read)| {
        let mut tell = |problem: Diagnostic| diagnostics.push(problem.at(&name, 0, 0));
        let bytes = match read {
            Ok(bytes) => Some(bytes),
            Err(unread) => {
                tell(match unread {
                    Unread::Outside => Diagnostic::error("file/outside", LINK_OUTSIDE).hint(LINK_HINT),
                    Unread::Link => Diagnostic::error("file/link", LINK_IN_COMMIT).hint(COMMIT_HINT),
                    Unread::Failed(error) => {
                        Diagnostic::error("file/unreadable", format!("the file cannot be read: {error}"))
                    }
                });
                None
            }
        };
        SourceFile { name, spec, bytes }
    });
    let files = files.collect();
    Sources { files, vanished }
}

/// The names of all sources, as far as they can be told, and what is wrong with others.
pub fn names(project: &Project) -> (Vec<String>, Vec<String>) {
    let mut problems = Diagnostics::default();
    let mut all = Vec::new();
    if let Err(error) = walk(&project.tree, "", &mut all, &mut problems) {
        problems.push(Diagnostic::error("file/unreadable", error.to_string()));
    }
    all.sort();
    let names = pick(project, &all, &mut problems).0.into_keys().collect();
    (names, problems.iter().map(|one| format!("{} {:?}", one.message, one.file)).collect())
}

/// Whether a file of this name, with `/`, would be a source.
pub fn would_be_source(project: &Project, name: &str) -> bool {
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    let below_another = || {
        name.char_indices().filter(|(_, c)| *c == '/').any(|(at, _)| {
            let within = |file: &str| format!("{}/{file}", &name[..at]);
            project.tree.is_file(&within(FILE_NAME)) || is_bundle(&project.tree, &within)
        })
    };
    let mut unheard = Diagnostics::default();
    !hidden && pick(project, &[name.to_owned()], &mut unheard).0.contains_key(name) && !below_another()
}

/// The digest of the configuration, in hexadecimal: the project file and everything that it names. And that of
/// each file.
pub fn digest(project: &Project, sources: &Sources) -> (String, Vec<(String, String)>) {
    let mut files: Vec<(&str, &[u8])> = vec![(FILE_NAME, &project.bytes)];
    files.extend(project.users_file.as_ref().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    // No file of a project has this name.
    files.extend(project.trusted.as_ref().map(|bytes| ("", bytes.as_slice())));
    files.extend(sources.files.iter().filter_map(|file| Some((file.name.as_str(), file.bytes.as_deref()?))));
    let mut all = blake3::Hasher::new();
    let mut each = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let digest = blake3::hash(bytes);
        all.update(&(name.len() as u64).to_le_bytes());
        all.update(name.as_bytes());
        all.update(digest.as_bytes());
        each.push((name.to_owned(), digest.to_hex().to_string()));
    }
    (all.finalize().to_hex().to_string(), each)
}

/// By name; the first entry that names a file says how it is read.
type Picked = BTreeMap<String, SourceSpec>;

fn pick(project: &Project, all: &[String], diagnostics: &mut Diagnostics) -> (Picked, Vec<String>) {
    let mut vanished = Vec::new();
    let mut picked = Picked::new();
    let Some(sources) = &project.sources else {
        for name in all.iter().filter(|name| is_source_name(name)) {
            picked.insert(name.clone(), SourceSpec::default());
        }
        return (picked, vanished);
    };
    for spec in sources {
        let mut take = |name: &str| {
            picked.entry(name.to_owned()).or_insert_with(|| spec.clone());
        };
        let mut matched = false;
        if let Some(glob) = glob(&spec.path) {
            for name in all.iter().filter(|name| glob.is_match(name)) {
                matched = true;
                take(name);
            }
            if !matched {
                no_match(spec, &mut vanished, diagnostics);
            }
        } else {
            let path = spec.path.trim_start_matches("./").trim_end_matches('/');
            let below = format!("{path}/");
            if project.tree.is_dir(path) {
                let mut matched = false;
                for name in all.iter().filter(|name| name.starts_with(&below) && is_source_name(name)) {
                    matched = true;
                    take(name);
                }
                if !matched {
                    no_match(spec, &mut vanished, diagnostics);
                }
            } else if project.tree.is_file(path) {
                take(path);
            } else {
                diagnostics.push(
                    Diagnostic::error("file/missing", format!("the source `{}` does not exist", spec.path))
                        .hint("restore the file, or remove the entry; what it declared is not deleted by that")
                        .at(FILE_NAME, spec.place.line, spec.place.column),
                );
            }
        }
    }
    // What a migration writes is for the plan, whatever the list says.
    for migration in &project.migrations {
        for name in all.iter().filter(|name| migration.writes(name)) {
            picked.entry(name.clone()).or_default();
        }
    }
    for name in all.iter().filter(|name| is_of_migration(name) && !picked.contains_key(*name)) {
        let place = sources.first().map(|spec| spec.place).unwrap_or_default();
        diagnostics.push(
            Diagnostic::error("migration/unlisted", format!("`{name}` is in no source, and no migration writes it"))
                .hint("list it in `sources:`: without it, what has moved is declared nowhere; or take it away")
                .at(FILE_NAME, place.line, place.column),
        );
    }
    (picked, vanished)
}

/// Whether a file stands where migrations put what they write. When the lines of a closed one are tidied away, what
/// has moved must stay declared.
fn is_of_migration(name: &str) -> bool {
    name.strip_prefix("migrations/").is_some_and(|rest| !rest.contains('/') && rest.strip_suffix(".yaml").is_some())
}

fn no_match(spec: &SourceSpec, vanished: &mut Vec<String>, diagnostics: &mut Diagnostics) {
    vanished.push(spec.path.clone());
    diagnostics.push(
        Diagnostic::warning("file/no-match", format!("`{}` matches no file", spec.path))
            .hint("correct the pattern, or remove the entry; a plan is refused until then")
            .at(FILE_NAME, spec.place.line, spec.place.column),
    );
}

/// `None` for a path without glob characters.
fn glob(path: &str) -> Option<GlobMatcher> {
    if !path.contains(['*', '?', '[', '{']) {
        return None;
    }
    let glob = GlobBuilder::new(path.trim_start_matches("./")).literal_separator(true).build();
    // `project` has checked the pattern.
    glob.ok().map(|glob| glob.compile_matcher())
}

/// All files below the folder, but for hidden ones, bundles that were exported, and projects
/// inside the project.
fn walk(tree: &Tree, below: &str, found: &mut Vec<String>, diagnostics: &mut Diagnostics) -> std::io::Result<()> {
    let within = |name: &str| if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
    if !below.is_empty() && (tree.is_file(&within(FILE_NAME)) || is_bundle(tree, &within)) {
        return Ok(());
    }
    for (name, nature) in tree.entries(below)? {
        let name = match name {
            Ok(name) => name,
            Err(name) => {
                // Passed over in silence, what it declares would look like what is declared no more.
                let message = format!("the name of `{name}` is not UTF-8, and the file is not read");
                diagnostics.push(Diagnostic::error("file/unreadable", message).hint("rename it"));
                continue;
            }
        };
        if name.starts_with('.') {
            continue;
        }
        let path = within(&name);
        let mut warn = |message: &str, hint: &str| {
            diagnostics.push(Diagnostic::warning("file/link", message).hint(hint).at(&path, 0, 0));
        };
        match nature {
            Nature::Folder => walk(tree, &path, found, diagnostics)?,
            Nature::LinkedFolder => warn("a folder behind a link is not read", "move the folder into the project"),
            // It may lead to a folder; as a source, it is refused where it is read.
            Nature::Link if !is_source_name(&path) => {
                warn(LINK_IN_COMMIT, COMMIT_HINT);
                found.push(path);
            }
            Nature::File | Nature::Link if path != FILE_NAME => found.push(path),
            Nature::File | Nature::Link => {}
        }
    }
    Ok(())
}

fn is_bundle(tree: &Tree, within: &impl Fn(&str) -> String) -> bool {
    tree.is_file(&within("manifest.json")) && tree.is_file(&within("MANIFEST.md"))
}

fn is_source_name(name: &str) -> bool {
    is_yaml_name(name) || has_extension(name, "csv")
}

fn is_yaml_name(name: &str) -> bool {
    has_extension(name, "yaml") || has_extension(name, "yml")
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
