//! From the files of a project to a draft: find them, decode them, pick the format, read them on
//! all cores. A record that says byte for byte what was applied last is recognised by its digest
//! and not read any further, so that an unchanged file costs little more than the look at it.

mod adopt;
mod digest;
mod memory;
mod named;
mod project;
mod read;
mod sources;
mod stamp;
mod tree;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::format::encoding::decode;
use crate::format::records::{Record, records};
use crate::format::{File, Found, RecordFormat, broken_quotes, catchme_mail::CatchmeMail, cpi, csv};
use crate::model::draft::Recognised;
use crate::model::parallel;
use crate::model::{
    Address, Diagnostic, Diagnostics, Draft, DraftResource, Inventory, Key, Kind, PlaintextSecrets, Raw, SecretSource,
    Source,
};

use digest::Digester;
use memory::Files;
use read::ClearSecret;

pub use adopt::{Changed, Left, adopt};
pub use memory::Memory;
pub use named::{NamedFile, NamedFormat, read_named};
pub use project::{
    FILE_NAME, FormatName, HOOK_KEYS, LIMIT_KEYS, PASSWORD_KEYS, POLICY_KEYS, PROBE_KEYS, Project, SECRET_KEYS,
    SOURCE_KEYS, SYNC_KEYS, SourceSpec, TOP_KEYS, WINDOW_KEYS, find_root, read_project,
};
pub use read::{Early, Fetch, Reader};
pub use sources::{Sources, digest as config_digest, read_sources, would_be_source};
pub use stamp::Stamp;
pub use tree::Tree;

/// Records that one thread takes at a time.
const RUN: usize = 8_192;

/// The sources as text, files of records split into them.
pub struct Opened<'a> {
    sources: &'a Sources,
    /// One for each source that could be read.
    files: Vec<OpenFile<'a>>,
    mentioned: [bool; 3],
    /// Of resources in YAML; `None` if they are not to be recognised.
    digester: Option<Digester>,
}

struct OpenFile<'a> {
    id: u32,
    name: &'a str,
    text: Cow<'a, str>,
    /// `None` for YAML, and for records of no known format.
    table: Option<Table>,
}

/// A file of delimited records.
struct Table {
    records: Vec<Record>,
    format: Box<dyn RecordFormat>,
    /// `None` if the records of this file are not to be recognised.
    digester: Option<Digester>,
}

enum Work<'a> {
    Yaml(File<'a>),
    Records { file: File<'a>, table: &'a Table, from: usize, to: usize },
}

impl Opened<'_> {
    /// Relative to the project, with `/`; by `Source::file`.
    pub fn names(&self) -> Vec<String> {
        self.sources.files.iter().map(|file| file.name.clone()).collect()
    }
}

impl OpenFile<'_> {
    fn file(&self) -> File<'_> {
        File { id: self.id, name: self.name, text: &self.text }
    }
}

/// Decodes the sources and splits those of records. `key` is that of the store for digests: without it
/// a digest says nothing about the passwords in a record.
pub fn open<'a>(
    project: &Project,
    sources: &'a Sources,
    key: Option<&[u8; 32]>,
    diagnostics: &mut Diagnostics,
) -> Opened<'a> {
    // No header of a file of records is these two words.
    let digester = key.map(|key| digester(project, key, "yaml resources"));
    let files = Vec::with_capacity(sources.files.len());
    let mut opened = Opened { sources, files, mentioned: [false; 3], digester };
    for (id, source) in (0..).zip(&sources.files) {
        let Some(bytes) = &source.bytes else { continue };
        let text = match decode(&source.name, bytes, source.spec.encoding) {
            Ok(text) => text,
            Err(problem) => {
                diagnostics.push(problem);
                continue;
            }
        };
        let mut file = OpenFile { id, name: &source.name, text, table: None };
        if !source.is_yaml() {
            let mut found = Found::default();
            file.table = open_table(project, file.file(), &source.spec, key, &mut found);
            diagnostics.extend(found.problems);
            mention(&mut opened.mentioned, found.mentioned);
            if file.table.is_none() {
                continue;
            }
        }
        opened.files.push(file);
    }
    opened
}

/// Reads all that was opened.
pub fn draft<T: Send>(opened: &Opened<'_>, reader: &Reader<'_, T>, diagnostics: &mut Diagnostics) -> (Draft, Vec<T>) {
    let sources = opened.sources;
    let mut draft = Draft {
        files: opened.names(),
        vanished: sources.vanished.clone(),
        mentioned: opened.mentioned,
        ..Draft::default()
    };
    let mut work = Vec::new();
    for open in &opened.files {
        let file = open.file();
        let Some(table) = &open.table else {
            work.push(Work::Yaml(file));
            continue;
        };
        let count = table.records.len();
        for from in (table.format.first_record()..count).step_by(RUN) {
            work.push(Work::Records { file, table, from, to: (from + RUN).min(count) });
        }
    }
    let settings = reader.memory.map(|memory| (memory, memory::settings(reader.project)));
    let known = settings.map_or_else(Files::new, |(memory, settings)| memory.known(&settings));
    let mut remembered = Files::new();
    let (mut early, mut finished, mut clear) = (Vec::new(), Vec::new(), HashMap::new());
    let read = parallel::each(&work, |work| match *work {
        Work::Yaml(file) => reader.yaml(file, opened.digester.as_ref(), known.get(file.name)),
        Work::Records { file, table, from, to } => reader.records(file, table, from, to),
    });
    for (work, done) in work.iter().zip(read) {
        if let (Work::Yaml(file), Some(read)) = (work, done.remembered) {
            remembered.insert(file.name.to_owned(), read);
        }
        mention(&mut draft.mentioned, done.mentioned);
        diagnostics.extend(done.problems);
        draft.resources.extend(done.resources);
        draft.recognised.extend(done.recognised);
        draft.outside.extend(done.outside);
        early.extend(done.early);
        finished.extend(done.finished);
        keep_first(&mut clear, done.clear);
    }
    if let Some((memory, settings)) = settings {
        memory.keep(settings, remembered);
    }
    let asks = draft.resources.iter().any(|resource| resource.previously.is_some());
    let new: HashSet<(Kind, Key)> =
        finished.iter().filter(|_| asks).map(|(kind, key, _)| (*kind, key.clone())).collect();
    refuse_duplicates(&mut draft, finished, reader.inventory, diagnostics);
    if asks {
        refuse_previously(&draft, &new, reader.inventory, diagnostics);
    }
    if reader.project.policy.plaintext_secrets == PlaintextSecrets::Warn {
        warn_of_clear_secrets(&draft, opened, clear, diagnostics);
    }
    (draft, early)
}

/// Sorts the resources by kind and key. Of several declarations of one resource the first stays,
/// in the order of files and lines, and the others are errors. `finished` are further declarations, of
/// resources that the inventory does not have.
pub fn refuse_duplicates(
    draft: &mut Draft,
    mut finished: Vec<(Kind, Key, Source)>,
    inventory: Option<&Inventory>,
    diagnostics: &mut Diagnostics,
) {
    let mut problems = Vec::new();
    let files = &draft.files;
    let mut duplicate = |address: Address, first: Source, second: Source| {
        let place = second.place;
        let hint = format!(
            "it stands first at {}:{}:{}; keep one of the two",
            files[first.file as usize], first.place.line, first.place.column
        );
        problems.push(
            Diagnostic::error("resource/duplicate", format!("`{address}` is declared twice"))
                .hint(hint)
                .at(&files[second.file as usize], place.line, place.column)
                .of(&address),
        );
    };
    draft.resources.sort_by(|a, b| (a.kind, &a.key, a.source).cmp(&(b.kind, &b.key, b.source)));
    draft.resources.dedup_by(|later, first| {
        let same = later.kind == first.kind && later.key == first.key;
        if same {
            duplicate(first.address(), first.source, later.source);
        }
        same
    });
    finished.sort_unstable();
    for pair in finished.windows(2) {
        if (pair[0].0, &pair[0].1) == (pair[1].0, &pair[1].1) {
            duplicate(Address::new(pair[0].0, pair[0].1.clone()), pair[0].2, pair[1].2);
        }
    }
    for resource in draft.resources.iter().filter(|_| !finished.is_empty()) {
        let same = (resource.kind, &resource.key);
        if let Ok(at) = finished.binary_search_by(|(kind, key, _)| (*kind, key).cmp(&same)) {
            let other = finished[at].2;
            duplicate(resource.address(), other.min(resource.source), other.max(resource.source));
        }
    }
    if let Some(inventory) = inventory
        && !draft.recognised.is_empty()
    {
        let mut seen: [Vec<Option<Source>>; 3] = Kind::ALL.map(|kind| vec![None; inventory.of(kind).len()]);
        draft.recognised.retain(|one| {
            let address = || Address::new(one.kind, inventory.of(one.kind).key(one.entry));
            match &mut seen[one.kind as usize][one.entry as usize] {
                Some(first) => {
                    duplicate(address(), (*first).min(one.source), (*first).max(one.source));
                    false
                }
                free => {
                    *free = Some(one.source);
                    true
                }
            }
        });
        for resource in &draft.resources {
            let entry = inventory.of(resource.kind).find(resource.key.as_bytes());
            if let Some(other) = entry.and_then(|entry| seen[resource.kind as usize][entry as usize]) {
                duplicate(resource.address(), other.min(resource.source), other.max(resource.source));
            }
        }
    }
    diagnostics.extend(problems);
}

/// What can be said of `previously` without the store.
fn refuse_previously(
    draft: &Draft,
    new: &HashSet<(Kind, Key)>,
    inventory: Option<&Inventory>,
    diagnostics: &mut Diagnostics,
) {
    // A resource that takes another name gives up its own.
    let named: HashSet<(Kind, &Key)> = draft
        .resources
        .iter()
        .filter(|one: &&DraftResource| one.previously.is_none())
        .map(|one| (one.kind, &one.key))
        .collect();
    let recognised: HashSet<(Kind, u32)> = draft.recognised.iter().map(|one| (one.kind, one.entry)).collect();
    let stays = |kind: Kind, key: &Key| {
        let entry = inventory.and_then(|inventory| inventory.of(kind).find(key.as_bytes()));
        new.contains(&(kind, key.clone()))
            || named.contains(&(kind, key))
            || entry.is_some_and(|at| recognised.contains(&(kind, at)))
    };
    let mut claimed: HashMap<(Kind, Key), Source> = HashMap::new();
    for resource in &draft.resources {
        let (Some(previously), Some(old)) = (&resource.previously, resource.previously()) else { continue };
        let source = Source { place: previously.1, ..resource.source };
        let mut refuse = |message: &str, hint: String| {
            diagnostics.push(
                Diagnostic::error("resource/previously", message)
                    .hint(hint)
                    .at(&draft.files[source.file as usize], source.place.line, source.place.column)
                    .of(&resource.address()),
            );
        };
        if resource.absent {
            refuse("what is `absent` gets no other name", "remove one of the two".to_owned());
        } else if old == resource.key {
            refuse("this is its name already", "remove `previously`".to_owned());
        } else if previously.0.starts_with(&format!("{}/", resource.kind)) {
            refuse("`previously` is a name, and no address", "write the last part alone".to_owned());
        } else if stays(resource.kind, &old) {
            let message = format!("`{}` is declared besides", Address::new(resource.kind, old));
            let hint = "a renamed resource stands in the files once, under its new name";
            refuse(&message, hint.to_owned());
        } else if let Some(first) = claimed.get(&(resource.kind, old.clone())) {
            let (file, place) = (&draft.files[first.file as usize], first.place);
            let hint = format!("the other one stands at {file}:{}:{}; keep one", place.line, place.column);
            refuse("two resources cannot come from the same one", hint);
        } else {
            claimed.insert((resource.kind, old), source);
        }
    }
}

fn mention(all: &mut [bool; 3], more: [bool; 3]) {
    for (one, other) in all.iter_mut().zip(more) {
        *one |= other;
    }
}

/// Splits a file into records and picks its format.
fn open_records(
    file: File<'_>,
    spec: &SourceSpec,
    is_catchme: bool,
    found: &mut Found,
) -> Option<(Vec<Record>, Box<dyn RecordFormat>)> {
    let records = records(file.text);
    let first = records.first()?;
    let mut cells = Vec::new();
    let flaws = first.cells(file.text, &mut cells);
    let canonical = match spec.format {
        Some(format) => format == FormatName::Csv,
        None => csv::is_header(&cells),
    };
    let format: Box<dyn RecordFormat> = if canonical {
        if !flaws.is_empty() {
            found.problems.extend(broken_quotes(file, first, &flaws));
            return None;
        }
        Box::new(csv::Canonical::new(file, first, &cells, spec.kind, found)?)
    } else if is_catchme || spec.format == Some(FormatName::CatchmeMail) {
        Box::new(CatchmeMail)
    } else {
        let names: Vec<&str> = cells.iter().map(|cell| cell.text.as_ref()).collect();
        let (message, hint) = match cpi::sheet_of(&names) {
            Some(cpi::Sheet::Export) => (
                "this is an export of CPI, and says what is, not what should be",
                "take it over with `yubin refresh cpi-export FILE`, and keep it out of the sources",
            ),
            Some(_) => (
                "this is a file that CPI reads, and no source",
                "`yubin import cpi-register FILE` or `cpi-edit` makes YAML of it; keep it out of the sources",
            ),
            None => (
                "the first record is no header of field names, so the format is unknown",
                "write a header such as `name,address,comment`, or name the `format:` at this source in yubin.yaml",
            ),
        };
        found.problems.push(Diagnostic::error("file/format", message).hint(hint).at(file.name, 1, 1));
        return None;
    };
    Some((records, format))
}

fn open_table(
    project: &Project,
    file: File<'_>,
    spec: &SourceSpec,
    key: Option<&[u8; 32]>,
    found: &mut Found,
) -> Option<Table> {
    let (records, format) = open_records(file, spec, project.system.name == "catchme-mail", found)?;
    let digester = key.map(|key| digester(project, key, format.context()));
    Some(Table { records, format, digester })
}

/// `format` is what gives the words of a file their meaning.
fn digester(project: &Project, key: &[u8; 32], format: &str) -> Digester {
    // What is denied must be found again where it was applied before.
    let denied = if project.policy.plaintext_secrets == PlaintextSecrets::Deny { "denied" } else { "" };
    // What a project says about its product decides whether a record is right: all of it, by its `Debug`.
    let given = format!("{:?}", project.given);
    Digester::new(key, &[env!("CARGO_PKG_VERSION"), &project.name, project.system.name, &given, denied, format])
}

const SECRET_HINT: &str = "keep it in an environment variable, a file, or encrypted: `{ env: NAME }`, `{ file: PATH }`, `{ age: … }`, in CSV `${env:NAME}`";

/// By file.
type ClearSecrets = HashMap<u32, ClearSecret>;

fn keep_first(first: &mut ClearSecrets, found: Option<ClearSecret>) {
    if let Some(found) = found
        && first.get(&found.0.file).is_none_or(|(earlier, ..)| found.0 < *earlier)
    {
        first.insert(found.0.file, found);
    }
}

/// A warning for each file that holds passwords in clear.
fn warn_of_clear_secrets(draft: &Draft, opened: &Opened<'_>, mut first: ClearSecrets, diagnostics: &mut Diagnostics) {
    for open in &opened.files {
        let Some(table) = open.table.as_ref().filter(|table| table.format.holds_secrets()) else { continue };
        // They stand in the order of the files.
        let start = draft.recognised.partition_point(|one| one.source.file < open.id);
        let mut recognised = draft.recognised[start..].iter().take_while(|one| one.source.file == open.id);
        keep_first(&mut first, recognised.find_map(|one| one.clear.then(|| clear_in(open.file(), table, one))?));
    }
    for (source, address, field) in first.into_values() {
        let problem =
            Diagnostic::warning("secret/plaintext", "passwords are written in clear in this file, the first one here")
                .hint(SECRET_HINT)
                .at(&draft.files[source.file as usize], source.place.line, source.place.column)
                .field(field);
        diagnostics.push(problem.of(&address));
    }
}

/// The first password in clear of a recognised record.
fn clear_in(file: File<'_>, table: &Table, one: &Recognised) -> Option<ClearSecret> {
    let at = table.records.binary_search_by_key(&one.source.place.line, |record| record.line).ok()?;
    let record = &table.records[at];
    let mut cells = Vec::new();
    record.cells(file.text, &mut cells);
    let mut found = Found::default();
    table.format.draft(file, record, &cells, &mut found);
    let resource = found.resources.pop()?;
    resource.cells.iter().find_map(|cell| {
        matches!(cell.raw, Raw::Secret(SecretSource::Clear(_))).then(|| {
            (Source { place: cell.place, ..one.source }, resource.address(), resource.kind.field(cell.field).name)
        })
    })
}
