//! From the files of a project to a draft: find them, decode them, pick the format, read them on
//! all cores. A record that says byte for byte what was applied last is recognised by its digest
//! and not read any further, so that an unchanged file costs little more than the look at it.

mod digest;
mod project;
mod sources;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::format::encoding::decode;
use crate::format::records::{Record, records};
use crate::format::{File, Found, RecordFormat, broken_quotes, catchme_mail::CatchmeMail, csv, json, yaml};
use crate::model::draft::{Digest, Recognised};
use crate::model::inventory::Owner;
use crate::model::parallel;
use crate::model::{
    Address, Diagnostic, Diagnostics, Draft, DraftResource, Inventory, Kind, PlaintextSecrets, Raw, SecretSource,
    Source,
};

use digest::Digester;

pub use project::{
    FILE_NAME, FormatName, POLICY_KEYS, Project, SOURCE_KEYS, SourceSpec, TOP_KEYS, find_root, read_project,
};
pub use sources::{Sources, digest as config_digest, read_sources};

/// Records that one thread takes at a time.
const RUN: usize = 8_192;

/// The sources as text, files of records split into them.
pub struct Opened<'a> {
    sources: &'a Sources,
    /// One for each source that could be read.
    files: Vec<OpenFile<'a>>,
    mentioned: [bool; 3],
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

impl OpenFile<'_> {
    fn file(&self) -> File<'_> {
        File { id: self.id, name: self.name, text: &self.text }
    }
}

#[derive(Default)]
struct Done {
    resources: Vec<DraftResource>,
    recognised: Vec<Recognised>,
    problems: Vec<Diagnostic>,
    mentioned: [bool; 3],
}

/// Decodes the sources and splits those of records. `key` is that of the store for digests: without it
/// a digest says nothing about the passwords in a record.
pub fn open<'a>(
    project: &Project,
    sources: &'a Sources,
    key: Option<&[u8; 32]>,
    diagnostics: &mut Diagnostics,
) -> Opened<'a> {
    let mut opened = Opened { sources, files: Vec::with_capacity(sources.files.len()), mentioned: [false; 3] };
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

/// Reads all that was opened. Without an inventory every record is read in full.
pub fn draft(
    project: &Project,
    opened: &Opened<'_>,
    inventory: Option<&Inventory>,
    diagnostics: &mut Diagnostics,
) -> Draft {
    let sources = opened.sources;
    let mut draft = Draft {
        files: sources.files.iter().map(|file| file.name.clone()).collect(),
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
    for done in parallel::each(&work, |work| match *work {
        Work::Yaml(file) => read_yaml(file),
        Work::Records { file, table, from, to } => read_records(file, table, from, to, inventory),
    }) {
        mention(&mut draft.mentioned, done.mentioned);
        diagnostics.extend(done.problems);
        draft.resources.extend(done.resources);
        draft.recognised.extend(done.recognised);
    }
    refuse_duplicates(&mut draft, inventory, diagnostics);
    check_users(project, &draft, inventory, diagnostics);
    check_clear_secrets(project, &draft, opened, diagnostics);
    draft
}

/// Reads a single file outside a project; without a format, the JSON of `export`.
pub fn read_one(
    file: File<'_>,
    format: Option<FormatName>,
    kind: Option<Kind>,
    draft: &mut Draft,
    diagnostics: &mut Diagnostics,
) {
    let mut found = Found::default();
    match format {
        Some(FormatName::Yaml) => yaml::read(file, &mut found),
        None => json::read(file, &mut found),
        Some(format) => {
            let spec = SourceSpec { format: Some(format), kind, ..SourceSpec::default() };
            if let Some((records, format)) = open_records(file, &spec, false, &mut found) {
                let table = Table { records, format, digester: None };
                let done = read_records(file, &table, table.format.first_record(), table.records.len(), None);
                found.problems.extend(done.problems);
                found.resources.extend(done.resources);
            }
        }
    }
    diagnostics.extend(found.problems);
    draft.resources.extend(found.resources);
}

/// Sorts the resources by kind and key. Of several declarations of one resource the first stays,
/// in the order of files and lines, and the others are errors.
pub fn refuse_duplicates(draft: &mut Draft, inventory: Option<&Inventory>, diagnostics: &mut Diagnostics) {
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

fn mention(all: &mut [bool; 3], more: [bool; 3]) {
    for (one, other) in all.iter_mut().zip(more) {
        *one |= other;
    }
}

fn read_yaml(file: File<'_>) -> Done {
    let mut found = Found::default();
    yaml::read(file, &mut found);
    Done { resources: found.resources, recognised: Vec::new(), problems: found.problems, mentioned: found.mentioned }
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
        found.problems.push(
            Diagnostic::error("file/format", "the first record is no header of field names, so the format is unknown")
                .hint(
                    "write a header such as `name,address,comment`, or name the `format:` at this source in yubin.yaml",
                )
                .at(file.name, 1, 1),
        );
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
    // A clear password that is denied must be found again in every run.
    let denied = project.policy.plaintext_secrets == PlaintextSecrets::Deny;
    let context = [env!("CARGO_PKG_VERSION"), &project.name, project.system.name, format.context()];
    let digester = key.filter(|_| !denied).map(|key| Digester::new(key, &context));
    Some(Table { records, format, digester })
}

fn read_records(file: File<'_>, table: &Table, from: usize, to: usize, inventory: Option<&Inventory>) -> Done {
    let mut done = Done::default();
    let mut cells = Vec::new();
    let mut found = Found::default();
    // Files mostly are in the order of the store.
    let mut hint = 0;
    for record in &table.records[from..to] {
        let digest = table.digester.as_ref().map(|digester| digester.digest(record.text(file.text)));
        if let (Some(inventory), Some(digest)) = (inventory, &digest)
            && let Some(recognised) = recognise(file, table, record, digest, inventory, hint)
        {
            done.mentioned[recognised.kind as usize] = true;
            hint = recognised.entry + 1;
            done.recognised.push(recognised);
            continue;
        }
        let flaws = record.cells(file.text, &mut cells);
        if !flaws.is_empty() {
            done.problems.extend(broken_quotes(file, record, &flaws));
            continue;
        }
        let problems = found.problems.len();
        table.format.draft(file, record, &cells, &mut found);
        let spotless = found.problems.len() == problems;
        for mut resource in found.resources.drain(..) {
            resource.digest = digest.filter(|_| spotless && says_everything(&resource));
            done.resources.push(resource);
        }
    }
    done.problems.append(&mut found.problems);
    mention(&mut done.mentioned, found.mentioned);
    done
}

fn recognise(
    file: File<'_>,
    table: &Table,
    record: &Record,
    digest: &Digest,
    inventory: &Inventory,
    hint: u32,
) -> Option<Recognised> {
    let (kind, key) = table.format.locate(&mut record.texts(file.text))?;
    let shelf = inventory.of(kind);
    let entry = shelf.find_from(hint, key.as_bytes())?;
    let ours = matches!(shelf.owner(entry), Owner::Us);
    (ours && shelf.recognises(entry, digest)).then(|| {
        let place = record.place(file.text, 0);
        Recognised { kind, entry, source: Source { file: file.id, place } }
    })
}

/// Whether the record's meaning depends on nothing but its text: no server, no secret elsewhere.
fn says_everything(resource: &DraftResource) -> bool {
    // Others take values from servers, so those are read in every run.
    !resource.absent
        && resource.kind != Kind::Server
        && resource.cells.iter().all(|cell| match &cell.raw {
            Raw::Secret(source) => matches!(source, SecretSource::Clear(_)),
            _ => resource.kind.field(cell.field).name != "server",
        })
}

/// Patterns belong to registered users (000:2).
fn check_users(project: &Project, draft: &Draft, inventory: Option<&Inventory>, diagnostics: &mut Diagnostics) {
    let Some(users) = &project.users else { return };
    let mut check = |key: &str, address: &dyn Fn() -> Address, source: Source| {
        if !users.contains(key) {
            diagnostics.push(
                Diagnostic::error("catchme-mail/unknown-user", "the user of this pattern is not registered (000:2)")
                    .hint("add the user to the file named by `users:` in yubin.yaml, or correct the name")
                    .at(&draft.files[source.file as usize], source.place.line, source.place.column)
                    .of(&address()),
            );
        }
    };
    for resource in draft.resources.iter().filter(|resource| resource.kind == Kind::Pattern && !resource.absent) {
        check(resource.key.first(), &|| resource.address(), resource.source);
    }
    let Some(inventory) = inventory else { return };
    let shelf = inventory.of(Kind::Pattern);
    for one in draft.recognised.iter().filter(|one| one.kind == Kind::Pattern) {
        let joined = shelf.joined(one.entry);
        let user = joined.split('\0').next().unwrap_or_default();
        check(user, &|| Address::new(Kind::Pattern, shelf.key(one.entry)), one.source);
    }
}

const SECRET_HINT: &str = "keep it in an environment variable or a file: `{ env: NAME }`, `{ file: PATH }`, in CSV `${env:NAME}`, `${file:PATH}`";

/// Passwords in clear: an error for each where they are denied, otherwise a warning for each file.
fn check_clear_secrets(project: &Project, draft: &Draft, opened: &Opened<'_>, diagnostics: &mut Diagnostics) {
    let policy = project.policy.plaintext_secrets;
    if policy == PlaintextSecrets::Allow {
        return;
    }
    let mut first: HashMap<u32, (Source, Address, &'static str)> = HashMap::new();
    for resource in &draft.resources {
        for cell in &resource.cells {
            let Raw::Secret(SecretSource::Clear(_)) = &cell.raw else { continue };
            let field = resource.kind.field(cell.field).name;
            let source = Source { place: cell.place, ..resource.source };
            if policy == PlaintextSecrets::Deny {
                diagnostics.push(
                    Diagnostic::error(
                        "secret/plaintext",
                        "a password is written in clear, and `plaintext_secrets: deny` forbids it",
                    )
                    .hint(SECRET_HINT)
                    .at(&draft.files[source.file as usize], cell.place.line, cell.place.column)
                    .of(&resource.address())
                    .field(field),
                );
            } else if first.get(&source.file).is_none_or(|(earlier, ..)| source < *earlier) {
                first.insert(source.file, (source, resource.address(), field));
            }
        }
    }
    if policy == PlaintextSecrets::Deny {
        return;
    }
    for open in &opened.files {
        let Some(table) = &open.table else { continue };
        let mut recognised = draft.recognised.iter().filter(|one| one.source.file == open.id);
        let clear = recognised.find_map(|one| clear_in(open.file(), table, one));
        if let Some((source, address, field)) = clear
            && first.get(&source.file).is_none_or(|(earlier, ..)| source < *earlier)
        {
            first.insert(source.file, (source, address, field));
        }
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
fn clear_in(file: File<'_>, table: &Table, one: &Recognised) -> Option<(Source, Address, &'static str)> {
    let at = table.records.binary_search_by_key(&one.source.place.line, |record| record.line).ok()?;
    let record = &table.records[at];
    let mut cells = Vec::new();
    record.cells(file.text, &mut cells);
    let mut found = Found::default();
    table.format.draft(file, record, &cells, &mut found);
    let resource = found.resources.pop()?;
    resource.cells.iter().find_map(|cell| {
        matches!(cell.raw, Raw::Secret(_)).then(|| {
            (Source { place: cell.place, ..one.source }, resource.address(), resource.kind.field(cell.field).name)
        })
    })
}
