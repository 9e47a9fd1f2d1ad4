//! Reading records and YAML, on whichever core is free. A record that says byte for byte what was
//! applied last is recognised by its digest and not read any further.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::{Digester, meaning};
use super::memory::{Memory, Remembered};
use super::{SECRET_HINT, Table};
use crate::format::records::{CellText, Record};
use crate::format::secret::{Strength, find_references, hash_scheme, referred};
use crate::format::{File, Found, broken_quotes, yaml};
use crate::load::Project;
use crate::model::draft::{CLEAR_BIT, Digest, Recognised};
use crate::model::inventory::Owner;
use crate::model::{
    Address, Clear, Diagnostic, DraftResource, Field, Inventory, Key, Kind, PlaintextSecrets, Raw, SecretSource,
    Severity, Source, Type,
};

/// What is done with resources that are new to the store and depend on no other one, as soon as they
/// are read: so a million of them never stand in memory as drafts.
pub type Early<'a, T> = dyn Fn(Vec<DraftResource>) -> T + Sync + 'a;

/// A secret that stands elsewhere; `None` if there is something to say about it.
pub type Fetch<'a> = dyn Fn(&SecretSource) -> Option<Clear> + Sync + 'a;

/// Resources that are finished at a time: few enough to stay in a core's cache.
const EARLY_RUN: usize = 1_024;

/// A password in clear.
pub type ClearSecret = (Source, Address, &'static str);

pub struct Done<T> {
    pub resources: Vec<DraftResource>,
    pub recognised: Vec<Recognised>,
    /// Hash of the digests of those recognised that name secrets elsewhere.
    pub outside: Option<[u8; 32]>,
    /// What has been finished, and where each of it is declared.
    pub early: Vec<T>,
    pub finished: Vec<(Kind, Key, Source)>,
    /// The first one.
    pub clear: Option<ClearSecret>,
    pub problems: Vec<Diagnostic>,
    pub mentioned: [bool; 3],
    /// Of a YAML file that is to be remembered.
    pub remembered: Option<Remembered>,
}

/// What a YAML file says, before the store is asked about it.
pub struct Read {
    resources: Vec<Understood>,
    clear: Option<ClearSecret>,
    problems: Vec<Diagnostic>,
    mentioned: [bool; 3],
}

struct Understood {
    resource: DraftResource,
    /// By which it is recognised; `None` if it is not to be.
    meaning: Option<[u8; 32]>,
}

impl<T> Done<T> {
    fn new() -> Done<T> {
        Done {
            resources: Vec::new(),
            recognised: Vec::new(),
            outside: None,
            early: Vec::new(),
            finished: Vec::new(),
            clear: None,
            problems: Vec::new(),
            mentioned: [false; 3],
            remembered: None,
        }
    }
}

/// Reads runs of records, and files that cannot be parted.
pub struct Reader<'a, T> {
    pub project: &'a Project,
    /// Without one every record is read in full, and nothing is known to be new.
    pub inventory: Option<&'a Inventory>,
    /// Fetches a secret that stands elsewhere. Without it, records that name one are read in full.
    pub fetch: Option<&'a Fetch<'a>>,
    pub early: Option<&'a Early<'a, T>>,
    /// What is known of files that were read before.
    pub memory: Option<&'a Memory>,
}

impl<T> Reader<'_, T> {
    /// A file of YAML. What is known of it is not read again, and of what is in the store as it is declared, nothing
    /// is left to do.
    pub(super) fn yaml(&self, file: File<'_>, digester: Option<&Digester>, known: Option<&Remembered>) -> Done<T> {
        let mut done = Done::new();
        let digest = self.memory.map(|_| <[u8; 32]>::from(blake3::hash(file.text.as_bytes())));
        let read = match known.filter(|known| digest == Some(known.digest)) {
            Some(known) => Arc::clone(&known.read),
            None => Arc::new(self.understand(file)),
        };
        // What is in clear stays in memory no longer than it must.
        if let Some(digest) = digest.filter(|_| !read.holds_clear()) {
            done.remembered = Some(Remembered { digest, read: Arc::clone(&read) });
        }
        let mut rest = Vec::with_capacity(read.resources.len());
        let (mut hints, mut outside) = ([0; 3], Vec::new());
        for (at, one) in read.resources.iter().enumerate() {
            let digest = self.digest_of(one, digester);
            let DraftResource { kind, ref key, source, .. } = one.resource;
            if let (Some(inventory), Some(digest)) = (self.inventory, &digest)
                && let Some(entry) = entry_of(inventory, kind, key, digest, hints[kind as usize])
            {
                hints[kind as usize] = entry + 1;
                let source = Source { file: file.id, ..source };
                done.recognised.push(Recognised { kind, entry, source, clear: false });
                if secrets_outside(&one.resource).next().is_some() {
                    outside.extend_from_slice(digest);
                }
                continue;
            }
            rest.push((at, digest));
        }
        done.outside = (!outside.is_empty()).then(|| blake3::hash(&outside).into());
        done.mentioned = read.mentioned;
        // The number of a file is that of this run.
        let here = |source: Source| Source { file: file.id, ..source };
        let clear = read.clear.clone();
        done.clear = clear.map(|(source, address, field)| (here(source), address, field));
        let mut take = |resource: DraftResource, digest: Option<Digest>| {
            let digest = digest.map(|digest| marked(digest, &resource));
            done.resources.push(DraftResource { source: here(resource.source), digest, ..resource });
        };
        match Arc::try_unwrap(read) {
            Ok(read) => {
                let mut rest = rest.into_iter().peekable();
                for (at, one) in read.resources.into_iter().enumerate() {
                    if let Some((_, digest)) = rest.next_if(|(next, _)| *next == at) {
                        take(one.resource, digest);
                    }
                }
                done.problems = read.problems;
            }
            Err(kept) => {
                for (at, digest) in rest {
                    take(kept.resources[at].resource.clone(), digest);
                }
                done.problems.clone_from(&kept.problems);
            }
        }
        done
    }

    /// Reads a file of YAML and looks at what it says.
    fn understand(&self, file: File<'_>) -> Read {
        let mut found = Found::default();
        yaml::read(file, &mut found);
        // What is said of a file may concern any of its resources, and must be said again in the next run.
        let spotless = found.problems.is_empty();
        let mut done = Done::new();
        done.problems = found.problems;
        let resources = found.resources.into_iter().map(|mut resource| {
            let said = done.problems.len();
            self.look(file, &mut resource, &mut done);
            let recognisable = spotless && said == done.problems.len() && says_everything(&resource);
            Understood { meaning: if recognisable { meaning(&resource) } else { None }, resource }
        });
        let resources = resources.collect();
        Read { resources, clear: done.clear, problems: done.problems, mentioned: found.mentioned }
    }

    /// The digest of a resource with the secrets that it names and that stand elsewhere; `None` if there is something
    /// to say about one.
    fn digest_of(&self, one: &Understood, digester: Option<&Digester>) -> Option<Digest> {
        let (digester, meaning) = (digester?, one.meaning.as_ref()?);
        let mut secrets = Vec::new();
        for source in secrets_outside(&one.resource) {
            secrets.push(self.fetch.and_then(|fetch| fetch(source))?);
        }
        Some(digester.digest(meaning, secrets.iter()))
    }

    pub(super) fn records(&self, file: File<'_>, table: &Table, from: usize, to: usize) -> Done<T> {
        let mut done = Done::new();
        let mut cells = Vec::new();
        let mut found = Found::default();
        let mut fresh = Vec::new();
        let (mut references, mut fetched, mut outside) = (Vec::new(), Fetched::default(), Vec::new());
        // Files mostly are in the order of the store.
        let mut hint = 0;
        for record in &table.records[from..to] {
            let text = record.text(file.text);
            let digest = table.digester.as_ref().and_then(|digester| {
                let told = find_references(text, &mut references) && self.fetch_all(&references, &mut fetched);
                told.then(|| digester.digest(text.as_bytes(), fetched.of_record()))
            });
            if let (Some(inventory), Some(digest)) = (self.inventory, &digest)
                && let Some(recognised) = recognise(file, table, record, digest, inventory, hint)
            {
                done.mentioned[recognised.kind as usize] = true;
                hint = recognised.entry + 1;
                let user = inventory.of(recognised.kind).joined(recognised.entry).split('\0').next();
                let address = || Address::new(recognised.kind, inventory.of(recognised.kind).key(recognised.entry));
                self.look_at_user(file, user.unwrap_or_default(), address, recognised.source, &mut done);
                done.recognised.push(recognised);
                if !references.is_empty() {
                    outside.extend_from_slice(digest);
                }
                continue;
            }
            let spotless = table.read(file, record, &mut cells, &mut found);
            for mut resource in found.resources.drain(..) {
                let said = done.problems.len();
                self.look(file, &mut resource, &mut done);
                // What is said must be said again in the next run.
                let recognisable = spotless && said == done.problems.len() && says_everything(&resource);
                resource.digest = digest.filter(|_| recognisable).map(|digest| marked(digest, &resource));
                if self.is_fresh(&resource) {
                    fresh.push(resource);
                } else {
                    done.resources.push(resource);
                }
            }
            if fresh.len() >= EARLY_RUN {
                self.finish(std::mem::take(&mut fresh), &mut done);
            }
        }
        done.outside = (!outside.is_empty()).then(|| blake3::hash(&outside).into());
        self.finish(fresh, &mut done);
        done.problems.append(&mut found.problems);
        done.mentioned.iter_mut().zip(found.mentioned).for_each(|(all, one)| *all |= one);
        done
    }

    /// Fetches what references name, each once; false if there is something to say about one.
    fn fetch_all<'r>(&self, references: &[&'r str], fetched: &mut Fetched<'r>) -> bool {
        fetched.record.clear();
        for &reference in references {
            let at = match fetched.last {
                Some((last, at)) if last == reference => at,
                _ => *fetched.places.entry(reference).or_insert_with(|| {
                    fetched.secrets.push(self.fetch.and_then(|fetch| fetch(&referred(reference)?)));
                    fetched.secrets.len() - 1
                }),
            };
            fetched.last = Some((reference, at));
            fetched.record.push(at);
        }
        fetched.record.iter().all(|at| fetched.secrets[*at].is_some())
    }

    /// Whether the resource is new and depends on nothing but itself.
    fn is_fresh(&self, resource: &DraftResource) -> bool {
        let (Some(inventory), Some(_)) = (self.inventory, self.early) else { return false };
        let refers = |name| resource.kind.find(name).is_some_and(|id| resource.cells.iter().any(|c| c.field == id));
        !resource.absent
            && resource.previously.is_none()
            && resource.kind != Kind::Server
            && !refers("server")
            && inventory.of(resource.kind).find(resource.key.as_bytes()).is_none()
    }

    fn finish(&self, fresh: Vec<DraftResource>, done: &mut Done<T>) {
        let Some(early) = self.early else { return };
        if !fresh.is_empty() {
            done.finished.extend(fresh.iter().map(|one| (one.kind, one.key.clone(), one.source)));
            done.early.push(early(fresh));
        }
    }

    /// What can be said of a resource before it is understood.
    fn look(&self, file: File<'_>, resource: &mut DraftResource, done: &mut Done<T>) {
        if resource.kind == Kind::Pattern && !resource.absent {
            self.look_at_user(file, resource.key.first(), || resource.address(), resource.source, done);
        }
        let policy = self.project.policy.plaintext_secrets;
        let mut mistrusted = Vec::new();
        for cell in &resource.cells {
            let Raw::Secret(secret) = &cell.raw else { continue };
            let spec = resource.kind.field(cell.field);
            let field = spec.name;
            let source = Source { place: cell.place, ..resource.source };
            if let Some(problem) = self.mistrust(secret, spec) {
                let place = cell.place;
                if problem.severity == Severity::Error {
                    mistrusted.push(cell.field);
                }
                done.problems
                    .push(problem.at(file.name, place.line, place.column).of(&resource.address()).field(field));
            }
            if policy == PlaintextSecrets::Allow || !matches!(secret, SecretSource::Clear(_)) {
                continue;
            }
            if policy == PlaintextSecrets::Deny {
                let message = "a password is written in clear, and `plaintext_secrets: deny` forbids it";
                done.problems.push(
                    Diagnostic::error("secret/plaintext", message)
                        .hint(SECRET_HINT)
                        .at(file.name, cell.place.line, cell.place.column)
                        .of(&resource.address())
                        .field(field),
                );
            } else if done.clear.as_ref().is_none_or(|(earlier, ..)| source < *earlier) {
                done.clear = Some((source, resource.address(), field));
            }
        }
        // What must not be read or run is not there for the steps to come.
        resource.cells.retain(|cell| !mistrusted.contains(&cell.field));
        resource.broken.extend(mistrusted);
    }

    /// What is wrong with where a secret is said to stand, as far as its words tell.
    fn mistrust(&self, secret: &SecretSource, spec: &Field) -> Option<Diagnostic> {
        let Project { root, trust, system, .. } = self.project;
        let allow = if trust.foreign { "the file of `--trusted-config`" } else { "yubin.yaml" };
        match secret {
            SecretSource::File(path) if !trust.allows_path(root, path) => {
                let message = "a secret's file stands inside the project: no absolute path and no `..`";
                Some(
                    Diagnostic::error("secret/outside", message)
                        .hint(format!("allow its folder with `secrets: paths:` in {allow}")),
                )
            }
            SecretSource::Command(words) if !trust.allows_command(words) => {
                let message = "this command is not among those that may be run";
                Some(
                    Diagnostic::error("secret/command", message)
                        .hint(format!("allow it, word by word, with `secrets: commands:` in {allow}")),
                )
            }
            SecretSource::Hash(_) if !matches!(spec.ty, Type::Password) => {
                let message = "a hash will not do here: this password must be given to a server";
                Some(Diagnostic::error("secret/form", message).hint("`hash` is for the password of an account itself"))
            }
            SecretSource::Hash(_) if !system.takes_hashes() => {
                let message = format!("a hash will not do here: {} asks for the password itself", system.product);
                Some(Diagnostic::error("secret/form", message))
            }
            SecretSource::Hash(hash) if hash_scheme(hash.expose()) == Some(Strength::Weak) => {
                let message = "passwords behind a hash of this scheme are guessed at many millions a second";
                Some(
                    Diagnostic::warning("secret/weak-hash", message)
                        .hint("let its owner set it anew: ARGON2ID, BLF-CRYPT or SHA512-CRYPT"),
                )
            }
            _ => None,
        }
    }

    /// Patterns belong to registered users (000:2).
    fn look_at_user(
        &self,
        file: File<'_>,
        user: &str,
        address: impl Fn() -> Address,
        source: Source,
        done: &mut Done<T>,
    ) {
        let Some(users) = &self.project.users else { return };
        if !users.contains(user) && address().kind == Kind::Pattern {
            done.problems.push(
                Diagnostic::error("catchme-mail/unknown-user", "the user of this pattern is not registered (000:2)")
                    .hint("add the user to the file named by `users:` in yubin.yaml, or correct the name")
                    .at(file.name, source.place.line, source.place.column)
                    .of(&address()),
            );
        }
    }
}

/// The secrets that the records of a run name. Most runs name few, many times.
#[derive(Default)]
struct Fetched<'r> {
    secrets: Vec<Option<Clear>>,
    /// By reference.
    places: HashMap<&'r str, usize>,
    last: Option<(&'r str, usize)>,
    /// Those of the record at hand.
    record: Vec<usize>,
}

impl Fetched<'_> {
    fn of_record(&self) -> impl Iterator<Item = &Clear> {
        self.record.iter().filter_map(|at| self.secrets[*at].as_ref())
    }
}

impl Table {
    /// Reads one record in full. Whether nothing was to be said about it.
    pub fn read<'a>(&self, file: File<'a>, record: &Record, cells: &mut Vec<CellText<'a>>, found: &mut Found) -> bool {
        let problems = found.problems.len();
        let flaws = record.cells(file.text, cells);
        if flaws.is_empty() {
            self.format.draft(file, record, cells, found);
        } else {
            found.problems.extend(broken_quotes(file, record, &flaws));
        }
        found.problems.len() == problems
    }
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
    let entry = entry_of(inventory, kind, &key, digest, hint)?;
    let place = record.place(file.text, 0);
    let clear = inventory.of(kind).is_marked(entry);
    Some(Recognised { kind, entry, source: Source { file: file.id, place }, clear })
}

/// The project's resource that was last declared with this digest. `hint` is where it is expected.
fn entry_of(inventory: &Inventory, kind: Kind, key: &Key, digest: &Digest, hint: u32) -> Option<u32> {
    let shelf = inventory.of(kind);
    let entry = shelf.find_from(hint, key.as_bytes())?;
    let ours = matches!(shelf.owner(entry), Owner::Us);
    (ours && shelf.recognises(entry, digest)).then_some(entry)
}

/// The secrets that a resource names and that stand elsewhere.
fn secrets_outside(resource: &DraftResource) -> impl Iterator<Item = &SecretSource> {
    resource.cells.iter().filter_map(|cell| match &cell.raw {
        Raw::Secret(source @ (SecretSource::Env(_) | SecretSource::File(_) | SecretSource::Age(_))) => Some(source),
        _ => None,
    })
}

impl Read {
    fn holds_clear(&self) -> bool {
        let mut cells = self.resources.iter().flat_map(|one| &one.resource.cells);
        cells.any(|cell| matches!(cell.raw, Raw::Secret(SecretSource::Clear(_))))
    }
}

/// The digest, with what it says of passwords in clear.
fn marked(mut digest: Digest, resource: &DraftResource) -> Digest {
    if resource.cells.iter().any(|cell| matches!(cell.raw, Raw::Secret(SecretSource::Clear(_)))) {
        digest[15] |= CLEAR_BIT;
    }
    digest
}

/// Whether the record's meaning depends on nothing but its text and the secrets that its digest covers: on no
/// server.
fn says_everything(resource: &DraftResource) -> bool {
    // Others take values from servers, so those are read in every run.
    !resource.absent
        && resource.kind != Kind::Server
        && resource.cells.iter().all(|cell| match &cell.raw {
            Raw::Secret(source) => !matches!(source, SecretSource::Command(_)),
            _ => resource.kind.field(cell.field).name != "server",
        })
}
