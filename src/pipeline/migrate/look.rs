//! What is there of a migration: its files, the store, and what was recorded.

use std::collections::{BTreeMap, HashMap, HashSet};

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::Session;
use crate::bundle;
use crate::load::{self, FILE_NAME, Reader};
use crate::model::migration::{Act, Chosen, Deed, Facts, Migration, Named, Open, Standing, open, standing};
use crate::model::{
    Address, Code, Diagnostic, Diagnostics, Draft, DraftResource, Error, FieldId, Key, Kind, Raw, Result, Row, Value,
};

const SERVER: FieldId = Kind::Account.id("server");
const ADDRESS: FieldId = Kind::Account.id("address");
const PRODUCT_ID: FieldId = Kind::Server.id("product_id");

/// An account that moves.
#[derive(Clone, Debug)]
pub struct Pair {
    pub old: Key,
    pub new: Key,
    /// Whether the new entry is declared, and in the store.
    pub declared: bool,
    pub stored: bool,
    /// Its mail address, as the store has it.
    pub address: Option<String>,
}

/// A migration and what is there of it.
pub struct Look {
    pub migration: Migration,
    pub acts: Vec<Act>,
    pub facts: Facts,
    pub standing: Standing,
    /// In ascending order of the old ones.
    pub pairs: Vec<Pair>,
    /// All that the files declare.
    pub draft: Draft,
    /// The old and the new server, as far as the store has them.
    pub servers: BTreeMap<String, Row>,
    /// The accounts of the old server, as they are stored.
    pub rows: Vec<Row>,
}

impl Look {
    /// How many accounts move, or have moved.
    pub fn accounts(&self) -> u64 {
        let recorded = self.acts.iter().filter_map(|act| act.act.evidence.get("accounts")?.parse::<u64>().ok());
        recorded.max().unwrap_or_default().max(self.facts.old)
    }

    /// The last act of this kind in a step.
    pub fn last(&self, step: u8, deed: Deed) -> Option<&Act> {
        self.acts.iter().rfind(|act| act.act.step == step && act.act.deed == deed)
    }

    /// The last act of this kind in a step, if it was given for the accounts that move now.
    pub fn valid(&self, step: u8, deed: Deed) -> Option<&Act> {
        self.last(step, deed).filter(|act| self.facts.covers(&act.act))
    }

    /// The id that the product has given to the new server: by the store, or by a person.
    pub fn server_id(&self) -> Option<&str> {
        let stored = self.servers.get(&self.migration.to.name).and_then(|row| row.get(PRODUCT_ID));
        let stored = stored.and_then(Value::text).filter(|id| !id.is_empty());
        stored.or_else(|| self.last(3, Deed::Ack)?.act.evidence.get("server_id").map(String::as_str))
    }

    /// How many that do not move, or are not stored yet, are declared with the old server.
    fn declares_others(&self) -> u64 {
        let moves: HashSet<&Key> = self.pairs.iter().map(|pair| &pair.old).collect();
        let uses = |one: &&DraftResource| {
            let own = one.kind == Kind::Account && moves.contains(&one.key);
            !one.absent && !own && server_of(one) == Some(&*self.migration.from.name)
        };
        self.draft.resources.iter().filter(uses).count() as u64
    }

    /// The resource as it is declared.
    pub fn declared(&self, kind: Kind, key: &Key) -> Option<&DraftResource> {
        declared(&self.draft, kind, key)
    }
}

fn declared<'a>(draft: &'a Draft, kind: Kind, key: &Key) -> Option<&'a DraftResource> {
    draft.resources.iter().find(|one| one.kind == kind && one.key == *key)
}

impl Session {
    /// The migration of this name, or the only one.
    pub fn migration(&self, name: Option<&str>) -> Result<&Migration> {
        let all = &self.project.migrations;
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        let usage = |message: String, hint: String| Err(Error::new(Code::Usage, message).hint(hint));
        match (name, all.as_slice()) {
            (_, []) => usage(
                format!("`{FILE_NAME}` has no `migrations:`"),
                "as in `migrations: { to-new-host: { from: old-server, to: new-server } }`".to_owned(),
            ),
            (Some(name), _) => match all.iter().find(|one| one.name == name) {
                Some(found) => Ok(found),
                None => usage(format!("there is no migration `{name}`"), format!("there is {}", names.join(", "))),
            },
            (None, [only]) => Ok(only),
            (None, _) => usage("there are several migrations".to_owned(), format!("name one: {}", names.join(", "))),
        }
    }

    /// What is there of a migration; `None` if the files have errors or do not fit it, which then stands among the
    /// diagnostics.
    pub fn look(&mut self, migration: &Migration) -> Result<Option<Look>> {
        let all = self.acts()?;
        let acts: Vec<Act> = all.iter().filter(|act| act.act.migration == migration.name).cloned().collect();
        let mut look = Look {
            migration: migration.clone(),
            standing: standing(&acts, &Facts::default()),
            acts,
            facts: Facts::default(),
            pairs: Vec::new(),
            draft: Draft::default(),
            servers: BTreeMap::new(),
            rows: Vec::new(),
        };
        if look.standing.now.is_none() {
            return Ok(Some(look));
        }
        let mut problems = Diagnostics::default();
        let sources = load::read_sources(&self.project, &mut problems);
        let opened = load::open(&self.project, &sources, None, &mut problems);
        let reader = Reader::<()> { project: &self.project, inventory: None, fetch: None, early: None, memory: None };
        let (draft, _) = load::draft(&opened, &reader, &mut problems);
        drop(opened);
        look.draft = draft;
        let (mut disabled, mut users) = (0, 0);
        let mut others: HashMap<Key, Stored> = HashMap::new();
        if let Some(snapshot) = self.store.snapshot()? {
            let keys = [&migration.from.name, &migration.to.name].map(|name| Key::single(name));
            let mut keys = keys.to_vec();
            keys.sort_unstable();
            for row in snapshot.fetch(Kind::Server, &keys)?.into_iter().filter(|row| row.disabled.is_none()) {
                look.servers.insert(row.key.name().to_owned(), row);
            }
            (_, users) = snapshot.users_of_server(&Key::single(&migration.from.name))?;
            let (ours, chosen) = (self.project.name.clone(), chosen(migration)?);
            snapshot.scan(Kind::Account, &mut |row| {
                let server = row.get(SERVER).and_then(Value::text).map(str::to_owned);
                let is_old = server.as_deref() == Some(&*migration.from.name) && row.owner.as_deref() == Some(&*ours);
                if !is_old {
                    let address = row.get(ADDRESS).and_then(Value::text).map(str::to_owned);
                    let foreign = row.owner.filter(|owner| *owner != ours);
                    let stored = Stored { server, foreign, address, disabled: row.disabled.is_some() };
                    others.insert(row.key, stored);
                } else if row.disabled.is_some() {
                    disabled += 1;
                } else if chosen.as_ref().is_none_or(|globs| globs.is_match(row.key.name())) {
                    look.rows.push(row);
                }
                Ok(())
            })?;
        }
        look.pairs = pairs(&look, &others, &mut problems);
        self.refuse_unfit(&look, &all, &mut problems);
        let system = self.project.system;
        let is_new = |resource: &&DraftResource| !resource.absent;
        look.facts = Facts {
            handed_over: !bundle::formats(system).is_empty(),
            has_accounts: system.manages(Kind::Account),
            to_declared: look.declared(Kind::Server, &Key::single(&migration.to.name)).as_ref().is_some_and(is_new),
            to_stored: look.servers.contains_key(&migration.to.name),
            from_stored: look.servers.contains_key(&migration.from.name),
            id_known: !system.manages(Kind::Account)
                || system.rule(Kind::Server, PRODUCT_ID).is_none()
                || look.server_id().is_some(),
            backup_intact: self.has_backup(&look),
            old: look.pairs.len() as u64,
            accounts: digest(look.pairs.iter().map(|pair| (&pair.old, &pair.new))),
            backed_up: self.backed_up(&look),
            undeclared: look.pairs.iter().filter(|pair| !pair.declared).count() as u64,
            unstored: look.pairs.iter().filter(|pair| !pair.stored).count() as u64,
            disabled,
            others: users.saturating_sub(look.pairs.len() as u64 + disabled).max(look.declares_others()),
        };
        look.standing = standing(&look.acts, &look.facts);
        let has_errors = problems.has_errors();
        self.diagnostics.extend(problems);
        self.settle();
        Ok((!has_errors).then_some(look))
    }

    /// What the project file says of servers must be true.
    fn refuse_unfit(&self, look: &Look, all: &[Act], problems: &mut Diagnostics) {
        let migration = &look.migration;
        let at = |named: &Named, problem: Diagnostic| problem.at(FILE_NAME, named.place.line, named.place.column);
        let declared = self.project.migrations.iter().map(|one| (one.name.as_str(), one.from.name.as_str()));
        // One that was begun is not held up by one that was not: it can still be ended.
        let begun = |name: &str| all.iter().any(|act| act.act.migration == name);
        let same = |other: &&Open| {
            let counts = other.name != migration.name && other.from == migration.from.name;
            counts && (begun(&other.name) || !begun(&migration.name))
        };
        if let Some(other) = open(all, declared).iter().find(same) {
            let message = format!("the accounts of `{}` move by `{}` already", migration.from.name, other.name);
            let problem = Diagnostic::error("migration/server", message).hint(
                "finish or abandon that one first; if its lines are not in the project file any more, write them again",
            );
            problems.push(at(&migration.from, problem));
        }
        let consented = look.last(7, Deed::Ack).is_some();
        if !look.servers.contains_key(&migration.from.name) && !consented {
            let message = format!("the old server `{}` is not in the store", migration.from.name);
            let hint = "correct the name; a server that was declared just now is applied first";
            problems.push(at(&migration.from, Diagnostic::error("migration/server", message).hint(hint)));
        }
        // Other servers are meant than those with which it was begun.
        for act in look.acts.iter().filter(|act| act.act.deed == Deed::Opened) {
            for (name, named) in [("from", &migration.from), ("to", &migration.to)] {
                let begun = act.act.evidence.get(name).filter(|begun| **begun != named.name);
                if let Some(begun) = begun {
                    let message = format!("the migration was begun with `{name}: {begun}`");
                    let problem = Diagnostic::error("migration/server", message);
                    let hint = "write that again; another move takes another name, and this one is ended by `yubin migrate abandon`";
                    problems.push(at(named, problem.hint(hint)));
                }
            }
        }
    }
}

/// Over old and new keys, in ascending order of the old ones.
pub(super) fn digest<'a>(pairs: impl Iterator<Item = (&'a Key, &'a Key)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for key in pairs.flat_map(|(old, new)| [old, new]) {
        hasher.update(&(key.name().len() as u64).to_le_bytes());
        hasher.update(key.name().as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// `None` if all are. What cannot be told apart is an error: it must not choose all.
fn chosen(migration: &Migration) -> Result<Option<GlobSet>> {
    let Chosen::Named(names) = &migration.accounts else { return Ok(None) };
    let failed = |error: globset::Error| {
        let message = format!("`accounts:` of the migration `{}` cannot be read as patterns", migration.name);
        let place = migration.place;
        Error::new(Code::Invalid, format!("{FILE_NAME}:{}:{}: {message}", place.line, place.column))
            .because(error)
            .hint("name fewer or shorter ones")
    };
    let mut globs = GlobSetBuilder::new();
    for name in names {
        globs.add(Glob::new(name).map_err(failed)?);
    }
    globs.build().map(Some).map_err(failed)
}

/// The server that a declared resource refers to.
fn server_of(resource: &DraftResource) -> Option<&str> {
    let reference = resource.kind.find("server")?;
    match &resource.cells.iter().find(|cell| cell.field == reference)?.raw {
        Raw::Plain(name) | Raw::Quoted(name) | Raw::Cell(name) => Some(name),
        _ => None,
    }
}

/// A stored account that does not move.
struct Stored {
    server: Option<String>,
    /// The project that owns it, if that is another one.
    foreign: Option<String>,
    address: Option<String>,
    disabled: bool,
}

/// Why a stored account is not the new entry of one that moves, although it has its name and its server. `own_file`:
/// it is declared in a file that the migration has written, where a person may give it another address.
fn other_than(stored: &Stored, mail: Option<&str>, own_file: bool) -> Option<String> {
    if let Some(project) = &stored.foreign {
        return Some(format!("it is owned by the project `{project}`"));
    }
    let (ours, mail) = stored.address.as_deref().zip(mail)?;
    (!own_file && !ours.eq_ignore_ascii_case(mail)).then(|| format!("its mail address is `{ours}`, not `{mail}`"))
}

/// Who moves to where. `others` are the stored accounts that do not move.
fn pairs(look: &Look, others: &HashMap<Key, Stored>, problems: &mut Diagnostics) -> Vec<Pair> {
    let migration = &look.migration;
    let declared: HashMap<&Key, &DraftResource> =
        look.draft.resources.iter().filter(|one| one.kind == Kind::Account).map(|one| (&one.key, one)).collect();
    let mut taken: HashMap<Key, &Key> = HashMap::new();
    let mut pairs = Vec::with_capacity(look.rows.len());
    for row in &look.rows {
        // The place of what is wrong: the account, or the migration where no file declares it.
        let (file, place) = match declared.get(&row.key) {
            Some(resource) => (look.draft.files[resource.source.file as usize].as_str(), resource.source.place),
            None => (FILE_NAME, migration.place),
        };
        let old = Address::new(Kind::Account, row.key.clone());
        let wrong = |code, message: String, hint: &str| {
            Diagnostic::error(code, message).hint(hint).at(file, place.line, place.column).of(&old)
        };
        let new = match migration.naming.of(row.key.name(), &migration.to.name) {
            Ok(name) => Key::single(&name),
            Err(why) => {
                let hint = "correct `as:` of the migration";
                problems.push(wrong("migration/name", format!("`{old}` gets no name on the new server: {why}"), hint));
                continue;
            }
        };
        let address = Address::new(Kind::Account, new.clone());
        if let Some(other) = taken.insert(new.clone(), &row.key) {
            let message = format!("`{old}` and `account/{}` would both become `{address}`", other.name());
            problems.push(wrong("migration/name", message, "correct `as:` of the migration"));
        }
        let to = Some(migration.to.name.as_str());
        let entry = declared.get(&new);
        let stored = others.get(&new);
        let mail = row.get(ADDRESS).and_then(Value::text).map(str::to_owned);
        let file_of = |entry: &DraftResource| look.draft.files[entry.source.file as usize].as_str();
        let has_other = match (entry, stored) {
            (Some(entry), _) => entry.absent || server_of(entry) != to,
            (None, Some(stored)) => stored.server.as_deref() != to,
            // It moves itself.
            (None, None) => look.rows.binary_search_by(|other| other.key.cmp(&new)).is_ok(),
        };
        let other = if has_other {
            Some(format!("`{address}` is no entry on `{}`, as which `{old}` would move", migration.to.name))
        } else {
            let own_file = entry.is_some_and(|entry| migration.writes(file_of(entry)));
            let why = stored.and_then(|stored| other_than(stored, mail.as_deref(), own_file));
            why.map(|why| format!("`{address}` is not the entry as which `{old}` would move: {why}"))
        };
        if let Some(message) = other {
            let (file, place) = entry.map_or((file, place), |entry| (file_of(entry), entry.source.place));
            let problem = Diagnostic::error("migration/entry", message).hint("correct it, or `as:` of the migration");
            problems.push(problem.at(file, place.line, place.column).of(&address));
        }
        let stored = stored.is_some_and(|stored| !stored.disabled && stored.server.as_deref() == to);
        pairs.push(Pair { old: row.key.clone(), new, declared: entry.is_some(), stored, address: mail });
    }
    pairs
}
