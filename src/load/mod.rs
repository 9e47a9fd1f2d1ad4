//! From the files of a project to a draft: find them, decode them, pick the format, read them on
//! all cores. A record that says byte for byte what was applied last is recognised by its digest
//! and not read any further, so that an unchanged file costs little more than the look at it.

mod project;
mod sources;

use std::collections::HashMap;

use crate::format::records::{CellText, Record, records};
use crate::format::{File, Found, RecordFormat, broken_quotes, catchme_mail::CatchmeMail, csv, json, yaml};
use crate::model::draft::{Digest, Recognised};
use crate::model::inventory::Owner;
use crate::model::parallel;
use crate::model::{
    Address, Diagnostic, Diagnostics, Draft, DraftResource, Inventory, Kind, PlaintextSecrets, Raw, SecretSource,
    Source,
};

pub use project::{
    FILE_NAME, FormatName, POLICY_KEYS, Project, SOURCE_KEYS, SourceSpec, TOP_KEYS, find_root, read_project,
};
pub use sources::{Loaded, read_sources};

/// How unchanged records are told from changed ones.
pub struct Recogniser<'a> {
    pub inventory: &'a Inventory,
    /// Of the store: without it a digest says nothing about the passwords in a record.
    pub key: [u8; 32],
}

/// Records that one thread takes at a time.
const RUN: usize = 8_192;

enum Work<'a> {
    Yaml(File<'a>),
    Records { table: usize, from: usize, to: usize },
}

/// A file of delimited records.
struct Table<'a> {
    file: File<'a>,
    records: Vec<Record>,
    format: Box<dyn RecordFormat>,
    /// Key of the digests of this file's records; `None` if they are not to be recognised.
    digest_key: Option<[u8; 32]>,
}

#[derive(Default)]
struct Done {
    resources: Vec<DraftResource>,
    recognised: Vec<Recognised>,
    problems: Vec<Diagnostic>,
    mentioned: [bool; 3],
}

/// Reads all sources. Without a recogniser every record is read in full.
pub fn draft(
    project: &Project,
    loaded: &Loaded,
    known: Option<&Recogniser<'_>>,
    diagnostics: &mut Diagnostics,
) -> Draft {
    let mut draft = Draft {
        files: loaded.files.iter().map(|file| file.name.clone()).collect(),
        config_digest: loaded.config_digest.clone(),
        vanished: loaded.vanished.clone(),
        ..Draft::default()
    };
    let mut tables = Vec::new();
    let mut work = Vec::new();
    for (id, source) in (0..).zip(&loaded.files) {
        let Some(text) = &source.text else { continue };
        let file = File { id, name: &source.name, text };
        if source.is_yaml() {
            work.push(Work::Yaml(file));
            continue;
        }
        let mut found = Found::default();
        if let Some(table) = open_table(project, file, &source.spec, known, &mut found) {
            let first = table.format.first_record();
            for from in (first..table.records.len()).step_by(RUN) {
                work.push(Work::Records { table: tables.len(), from, to: (from + RUN).min(table.records.len()) });
            }
            tables.push(table);
        }
        diagnostics.extend(found.problems);
        mention(&mut draft.mentioned, found.mentioned);
    }
    for done in parallel::each(&work, |work| match *work {
        Work::Yaml(file) => read_yaml(file),
        Work::Records { table, from, to } => read_records(&tables[table], from, to, known),
    }) {
        mention(&mut draft.mentioned, done.mentioned);
        diagnostics.extend(done.problems);
        draft.resources.extend(done.resources);
        draft.recognised.extend(done.recognised);
    }
    refuse_duplicates(&mut draft, known.map(|known| known.inventory), diagnostics);
    check_users(project, &draft, known, diagnostics);
    check_clear_secrets(project, &draft, &tables, diagnostics);
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
                let table = Table { file, records, format, digest_key: None };
                let done = read_records(&table, table.format.first_record(), table.records.len(), None);
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

type Opened = (Vec<Record>, Box<dyn RecordFormat>);

/// Splits a file into records and picks its format.
fn open_records(file: File<'_>, spec: &SourceSpec, is_catchme: bool, found: &mut Found) -> Option<Opened> {
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

fn open_table<'a>(
    project: &Project,
    file: File<'a>,
    spec: &SourceSpec,
    known: Option<&Recogniser<'_>>,
    found: &mut Found,
) -> Option<Table<'a>> {
    let (records, format) = open_records(file, spec, project.system.name == "catchme-mail", found)?;
    // A clear password that is denied must be found again in every run.
    let denied = project.policy.plaintext_secrets == PlaintextSecrets::Deny;
    let digest_key = known.filter(|_| !denied).map(|known| {
        let mut context = blake3::Hasher::new_keyed(&known.key);
        for part in [env!("CARGO_PKG_VERSION"), &project.name, project.system.name, format.context()] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        *context.finalize().as_bytes()
    });
    Some(Table { file, records, format, digest_key })
}

fn digest(key: &[u8; 32], record: &str) -> Digest {
    let hash = blake3::keyed_hash(key, record.as_bytes());
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}

fn read_records(table: &Table<'_>, from: usize, to: usize, known: Option<&Recogniser<'_>>) -> Done {
    let file = table.file;
    let mut done = Done::default();
    let mut cells = Vec::new();
    let mut found = Found::default();
    // Files mostly are in the order of the store.
    let mut hint = 0;
    for record in &table.records[from..to] {
        let digest = table.digest_key.as_ref().map(|key| digest(key, record.text(file.text)));
        if let (Some(known), Some(digest)) = (known, &digest)
            && let Some(recognised) = recognise(table, record, digest, known, hint)
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
    table: &Table<'_>,
    record: &Record,
    digest: &Digest,
    known: &Recogniser<'_>,
    hint: u32,
) -> Option<Recognised> {
    let text = record.text(table.file.text);
    let (kind, key) = if record.is_quoted() {
        let mut cells: Vec<CellText<'_>> = Vec::new();
        record.cells(table.file.text, &mut cells);
        table.format.locate(&mut cells.iter().map(|cell| cell.text.as_ref()))?
    } else {
        table.format.locate(&mut text.split(','))?
    };
    let shelf = known.inventory.of(kind);
    let entry = shelf.find_from(hint, key.as_bytes())?;
    let ours = matches!(shelf.owner(entry), Owner::Us);
    (ours && shelf.recognises(entry, digest)).then(|| {
        let place = record.place(table.file.text, 0);
        Recognised { kind, entry, source: Source { file: table.file.id, place } }
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
fn check_users(project: &Project, draft: &Draft, known: Option<&Recogniser<'_>>, diagnostics: &mut Diagnostics) {
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
    let Some(known) = known else { return };
    let shelf = known.inventory.of(Kind::Pattern);
    for one in draft.recognised.iter().filter(|one| one.kind == Kind::Pattern) {
        let joined = shelf.joined(one.entry);
        let user = joined.split('\0').next().unwrap_or_default();
        check(user, &|| Address::new(Kind::Pattern, shelf.key(one.entry)), one.source);
    }
}

const SECRET_HINT: &str = "keep it in an environment variable or a file: `{ env: NAME }`, `{ file: PATH }`, in CSV `${env:NAME}`, `${file:PATH}`";

/// Passwords in clear: an error for each where they are denied, otherwise a warning for each file.
fn check_clear_secrets(project: &Project, draft: &Draft, tables: &[Table<'_>], diagnostics: &mut Diagnostics) {
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
    for table in tables {
        let mut recognised = draft.recognised.iter().filter(|one| one.source.file == table.file.id);
        let clear = recognised.find_map(|one| clear_in(table, one));
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
fn clear_in(table: &Table<'_>, one: &Recognised) -> Option<(Source, Address, &'static str)> {
    let at = table.records.binary_search_by_key(&one.source.place.line, |record| record.line).ok()?;
    let record = &table.records[at];
    let mut cells = Vec::new();
    record.cells(table.file.text, &mut cells);
    let mut found = Found::default();
    table.format.draft(table.file, record, &cells, &mut found);
    let resource = found.resources.pop()?;
    resource.cells.iter().find_map(|cell| {
        matches!(cell.raw, Raw::Secret(_)).then(|| {
            (Source { place: cell.place, ..one.source }, resource.address(), resource.kind.field(cell.field).name)
        })
    })
}
