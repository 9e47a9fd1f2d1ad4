//! What is declared or stored, as targets of a probe; and the probe itself.

mod evidence;
mod judge;
mod known;
mod target;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;

use super::{Session, key_ring, rules};
use crate::load::{self, Reader};
use crate::model::probe::{Authorities, Entry, Probed, Send, Settings as Terms, Target};
use crate::model::{
    Address, Code, Diagnostic, Diagnostics, Error, Inventory, Key, Kind, Place, Result, Row, Rows, Wanted,
};
use crate::probe;
use crate::resolve::{self, Stored};
use crate::store::Snapshot;
use crate::vault::{Fetcher, Vault};
pub use judge::Proof;
use known::{Held, Known, Settings};
use target::Ways;

const ONLY_A_HASH: &str = "probe with the password itself: declare it by `{env}` or `{file}`";
const NO_KEY: &str = "set YUBIN_KEY_FILE to the key file of the store";
/// Of a secret that the store has.
const NOT_OPENED: &str = "set YUBIN_KEY_FILE to the store's own key file; over a network, probe where the store is";

/// What is probed.
#[derive(Default)]
pub struct AskedProbe<'a> {
    /// Everything, if there are none.
    pub addresses: &'a [Address],
    /// What the store holds, instead of what the files say.
    pub stored: bool,
    /// A plan names them: whoever is in the store and refers to a server that is named is meant as well, and what is
    /// not declared is left out.
    pub for_plan: bool,
    pub send: Option<To<'a>>,
}

/// Where messages go.
#[derive(Clone, Copy)]
pub enum To<'a> {
    /// Everybody to themselves.
    Oneself,
    Address(&'a str),
}

/// What is to be asked, sorted by address, receiving before sending.
pub struct Targets {
    pub all: Vec<Target>,
    /// Where each resource is declared: file, line, column.
    pub places: HashMap<Address, (String, Place)>,
    /// Certificates in PEM.
    authorities: Option<Vec<u8>>,
    vault: Option<Vault>,
}

/// The declared resources of a project, resolved, and the rows of the store below them.
struct Found {
    files: Vec<String>,
    wanted: Vec<Wanted>,
    rows: Rows,
}

impl Session {
    /// What a probe would ask; `None` if the input has errors, which then stand among the diagnostics.
    pub fn targets(&mut self, asked: &AskedProbe<'_>) -> Result<Option<Targets>> {
        if self.diagnostics.has_errors() {
            self.settle();
            return Ok(None);
        }
        if self.project.probing.settings.hosts.0.is_empty() {
            return Err(Error::new(
                Code::Usage,
                "the project does not say where passwords may be sent, so nothing is probed",
            )
            .hint("name the hosts in yubin.yaml, or in the file of `--trusted-config` if there is one: `probe: { hosts: [mail.example.jp] }`"));
        }
        self.steadily(|session| session.targets_once(asked))
    }

    fn targets_once(&mut self, asked: &AskedProbe<'_>) -> Result<Option<Targets>> {
        let snapshot = self.store.snapshot()?;
        let vault = self.vault(snapshot.as_deref())?;
        // A key that was made for a store to come is forgotten with this run, and evidence under it is none.
        let lasts = snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.key_id().is_some() || snapshot.lent(&self.project.name).is_some());
        let authorities = self.authorities();
        let found = if asked.stored { stored(snapshot.as_deref())? } else { self.declared(snapshot.as_deref())? };
        if self.diagnostics.has_errors() {
            self.settle();
            return Ok(None);
        }
        let all = found.known(asked.stored);
        for address in asked.addresses {
            if !asked.for_plan && !all.contains_key(address) {
                let message = if asked.stored { "the store holds no" } else { "no file declares" };
                let error = Error::new(Code::Usage, format!("{message} `{address}`"));
                return Err(if asked.stored { error } else { error.hint("`--stored` probes what the store holds") });
            }
        }
        let named: HashSet<&Address> = asked.addresses.iter().collect();
        let used: HashSet<&str> = all.values().filter_map(|known| known.text("server")).collect();
        let follows = |known: &Known<'_>| {
            let server = known.text("server").filter(|_| asked.for_plan && known.row.is_some());
            server.is_some_and(|name| named.contains(&Address::new(Kind::Server, Key::single(name))))
        };
        let chosen = |address: &Address, known: &Known<'_>| {
            if asked.addresses.is_empty() {
                // Who uses a server asks more of it.
                address.kind != Kind::Server || !used.contains(address.key.name())
            } else {
                named.contains(address) || follows(known)
            }
        };
        let ring = key_ring(&self.project.trust.identities, &self.project.root);
        let fetcher = Fetcher::new(&self.project.root, &self.project.trust, ring, self.own.clone())
            .hiding(self.project.hooks.iter().filter_map(|hook| hook.variable().map(str::to_owned)));
        let mut problems = Diagnostics::default();
        let without = |why: &str, hint| Entry::Without { why: why.to_owned(), hint };
        let mut open = |address: &Address, held: Held<'_>| match held {
            Held::Hash => {
                Err(without("only a hash of the password is there, which no server takes", Some(ONLY_A_HASH)))
            }
            Held::Sealed(field, sealed) => match &vault {
                Some(vault) => vault
                    .unseal(address, address.kind.field(field), sealed)
                    .map_err(|error| without(&error.to_string(), Some(NOT_OPENED))),
                None => Err(without("the key of the store is not at hand", Some(NO_KEY))),
            },
            Held::Declared(source, place) => fetcher.fetch(source).map_err(|(code, message, hint)| {
                let (file, place) = (&found.files[place.file as usize], place.place);
                let problem = Diagnostic::error(code, message).hint(hint);
                problems.push(problem.at(file, place.line, place.column).of(address));
                // Among the diagnostics it stands with its hint, and nothing is probed.
                without("", None)
            }),
        };
        let needs_uidl = self.project.system.name == "cybozu-office";
        let mut ways = BTreeMap::new();
        for (address, known) in all.iter().filter(|(address, known)| chosen(address, known)) {
            let of = Ways::of(address, &found.settings(&all, known), needs_uidl, &mut open);
            ways.insert(address.to_string(), of);
        }
        if let Some(to) = asked.send {
            let mailbox = |mail: &str, open: &mut target::Open<'_>| {
                let is_it = |(address, known): &(&Address, &Known<'_>)| {
                    address.kind != Kind::Server
                        && known.text("address").is_some_and(|own| own.eq_ignore_ascii_case(mail))
                };
                let mut those: Vec<_> = all.iter().filter(is_it).collect();
                those.sort_by_key(|(address, _)| address.to_string());
                those
                    .into_iter()
                    .find_map(|(address, known)| Ways::of(address, &found.settings(&all, known), false, open).receiving)
            };
            for ways in ways.values_mut() {
                let (Some(sending), Some(from)) = (&mut ways.sending, &ways.mail) else { continue };
                let (to, back) = match to {
                    To::Oneself => (from.as_str(), ways.receiving.clone().or_else(|| mailbox(from, &mut open))),
                    To::Address(to) => (to, mailbox(to, &mut open)),
                };
                sending.send = Some(Send { from: from.clone(), to: to.to_owned(), back: back.map(Box::new) });
            }
        }
        self.diagnostics.extend(problems.iter().cloned());
        self.settle();
        if self.diagnostics.has_errors() {
            return Ok(None);
        }
        let places = found.wanted.iter().map(|wanted| {
            let (file, place) = (found.files[wanted.source.file as usize].clone(), wanted.source.place);
            (wanted.address(), (file, place))
        });
        let places = if asked.stored { HashMap::new() } else { places.collect() };
        let targets = ways.into_values().flat_map(|ways| [ways.receiving, ways.sending]).flatten().collect();
        Ok(Some(Targets { all: targets, places, authorities, vault: vault.filter(|_| lasts) }))
    }

    /// The certificates of `probe: ca:`. That they cannot be read stands among the diagnostics.
    fn authorities(&mut self) -> Option<Vec<u8>> {
        let Authorities { path, file, place } = self.project.probing.authorities.as_ref()?;
        match fs::read(self.project.root.join(path)) {
            Ok(pem) => Some(pem),
            Err(error) => {
                let message = format!("the certificates of `ca` cannot be read: {error}");
                let problem = Diagnostic::error("project/value", message).at(file, place.line, place.column);
                self.diagnostics.push(problem.hint("its path is relative to this file"));
                None
            }
        }
    }

    /// Asks the servers. What comes of it is kept as evidence.
    pub fn probe(&self, targets: &Targets, told: &(dyn Fn(usize) + Sync)) -> Result<Vec<Probed>> {
        let settings = Terms { authorities: targets.authorities.clone(), ..self.project.probing.settings.clone() };
        let probed = probe::run(&targets.all, &settings, told)?;
        evidence::keep(self, targets, &probed);
        Ok(probed)
    }

    /// What the files say, and the store below it.
    fn declared(&mut self, snapshot: Option<&dyn Snapshot>) -> Result<Found> {
        let sources = load::read_sources(&self.project, &mut self.diagnostics);
        let opened = load::open(&self.project, &sources, None, &mut self.diagnostics);
        let reader = Reader::<()> { project: &self.project, inventory: None, fetch: None, early: None, memory: None };
        let (draft, _) = load::draft(&opened, &reader, &mut self.diagnostics);
        let inventory = match snapshot {
            Some(snapshot) => snapshot.inventory(&self.project.name)?,
            None => Inventory::default(),
        };
        let rows = super::plan::fetch(snapshot, &draft, &[], &inventory, true)?;
        let stored = Stored { inventory: &inventory, rows: &rows, gone: &[] };
        let rules = rules(&self.project);
        let (desired, parts) = resolve::resolve(rules, draft, Some(&stored), &mut self.diagnostics, |_, wanted| wanted);
        let wanted = parts.into_iter().flatten().filter(|wanted| !wanted.absent).collect();
        Ok(Found { files: desired.files, wanted, rows })
    }
}

/// All that the store holds.
fn stored(snapshot: Option<&dyn Snapshot>) -> Result<Found> {
    let mut rows = Rows::default();
    for kind in Kind::ALL {
        let mut all = Vec::new();
        if let Some(snapshot) = snapshot {
            snapshot.scan(kind, &mut |row| {
                all.push(row);
                Ok(())
            })?;
        }
        rows.put(kind, all);
    }
    Ok(Found { files: Vec::new(), wanted: Vec::new(), rows })
}

impl Found {
    /// Everything that can be probed: what is disabled cannot.
    fn known(&self, stored: bool) -> HashMap<Address, Known<'_>> {
        if stored {
            let of_kind = |kind: Kind| {
                let here = self.rows.of(kind).iter().filter(|row| row.disabled.is_none());
                here.map(move |row| (Address::new(kind, row.key.clone()), Known { kind, wanted: None, row: Some(row) }))
            };
            return Kind::ALL.into_iter().flat_map(of_kind).collect();
        }
        self.wanted.iter().map(|wanted| (wanted.address(), self.of(wanted))).collect()
    }

    fn of<'a>(&'a self, wanted: &'a Wanted) -> Known<'a> {
        Known { kind: wanted.kind, wanted: Some(wanted), row: self.row(wanted.kind, &wanted.key) }
    }

    /// What the store has; a resource that is disabled begins anew.
    fn row(&self, kind: Kind, key: &Key) -> Option<&Row> {
        self.rows.get(kind, key).filter(|row| row.disabled.is_none())
    }

    /// With the server that it refers to.
    fn settings<'a>(&'a self, all: &HashMap<Address, Known<'a>>, own: &Known<'a>) -> Settings<'a> {
        let server = own.text("server").map(|name| Address::new(Kind::Server, Key::single(name)));
        let server = server.and_then(|address| all.get(&address).copied().or_else(|| self.kept(&address)));
        Settings { own: *own, server }
    }

    /// What no file declares, and the store keeps.
    fn kept(&self, address: &Address) -> Option<Known<'_>> {
        self.row(address.kind, &address.key).map(|row| Known { kind: address.kind, wanted: None, row: Some(row) })
    }
}

#[cfg(test)]
mod tests;
