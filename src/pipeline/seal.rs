//! Between resolving and comparing: declared secrets are fetched, judged by the rules about passwords, and
//! sealed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use crate::check;
use crate::model::desired::Aim;
use crate::model::plan::PURGE_MAIL;
use crate::model::{
    Address, Change, Diagnostic, FieldId, Key, Kind, Origin, Plan, Result, Row, Rows, Sealed, SecretSource, Value,
    Wanted, Wish,
};
use crate::resolve::Rules;
use crate::store::Snapshot;
use crate::system::System;
use crate::vault::{self, Vault};

/// What came of sealing a run of resources.
#[derive(Default)]
pub struct Sealing {
    pub problems: Vec<Diagnostic>,
    /// What an apply of the plan would bring; without a plan there is nothing to say.
    pub notices: Notices,
    /// The sealed secrets that stand outside the configuration.
    pub outside: Vec<Vec<u8>>,
    /// There is something to seal, and no key.
    pub no_key: bool,
}

/// The first notices of each code, and how many more there are: a plan of a million adds must stay
/// readable.
#[derive(Default)]
pub struct Notices {
    of: BTreeMap<&'static str, (Vec<Diagnostic>, usize)>,
}

impl Notices {
    /// Notices of one code that are told one by one.
    const TOLD: usize = 20;

    fn push(&mut self, code: &'static str, notice: impl FnOnce() -> Diagnostic) {
        let (told, more) = self.of.entry(code).or_default();
        if told.len() < Self::TOLD { told.push(notice()) } else { *more += 1 }
    }

    pub fn extend(&mut self, other: Notices) {
        for (code, (told, more)) in other.of {
            for notice in told {
                self.push(code, || notice);
            }
            self.of.entry(code).or_default().1 += more;
        }
    }

    pub fn into_diagnostics(self) -> impl Iterator<Item = Diagnostic> {
        self.of.into_iter().flat_map(|(code, (told, more))| {
            let rest = told.first().filter(|_| more > 0).map(|first| {
                let message = format!("the same holds for {more} more");
                Diagnostic { severity: first.severity, ..Diagnostic::info(code, message) }
            });
            told.into_iter().chain(rest)
        })
    }
}

/// What is wrong with passwords that stand in the files, as far as that can be said without the store.
pub fn judge_clear(rules: Rules<'_>, wanted: &[Wanted], files: &[String]) -> Vec<Diagnostic> {
    let judge = |wanted: &Wanted| {
        let wish = wanted.wish(PASSWORD).filter(|_| wanted.kind == Kind::Account)?;
        let Aim::Secret(SecretSource::Clear(clear)) = &wish.aim else { return None };
        let known = check::Known { name: wanted.key.first(), forced: false, abused: Vec::new() };
        let (code, message, hint) = check::password(rules.system, rules.given, &known, clear)?;
        let (file, place) = (&files[wish.source.file as usize], wish.source.place);
        let problem = Diagnostic::error(code, message).hint(hint).at(file, place.line, place.column);
        Some(problem.of(&wanted.address()).field("password"))
    };
    wanted.iter().filter_map(judge).collect()
}

pub type Abused = HashMap<Key, Vec<Sealed>>;

/// The passwords that a provider has changed by force, ever: none of them may come back (002:100).
pub fn abused(snapshot: Option<&dyn Snapshot>, system: &System) -> Result<Abused> {
    let mut abused = Abused::new();
    let Some(snapshot) = snapshot.filter(|_| system.rule(Kind::Account, STATUS).is_some()) else { return Ok(abused) };
    let is_forced = |row: &Row| row.get(STATUS).is_some_and(|status| status.is_word("password_forced"));
    let keys: BTreeSet<Key> =
        snapshot.ever(Kind::Account, STATUS, Some("password_forced"))?.into_iter().map(|row| row.key).collect();
    for key in keys {
        let versions = snapshot.versions(&Address::new(Kind::Account, key.clone()))?;
        for (at, version) in versions.iter().enumerate().filter(|(_, version)| is_forced(&version.row)) {
            let Some(Value::Sealed(sealed)) = version.row.get(PASSWORD) else { continue };
            let next = versions.get(at + 1).map(|version| &version.row);
            // A mark that was taken back, with the password as it was, was a mistake.
            let mistaken = next.is_some_and(|next| !is_forced(next) && next.get(PASSWORD) == version.row.get(PASSWORD));
            if !mistaken {
                abused.entry(key.clone()).or_default().push(sealed.clone());
            }
        }
    }
    Ok(abused)
}

/// Marks the changes that write an id of a purge which was carried out before.
pub fn mark_purged(plan: &mut Plan, snapshot: Option<&dyn Snapshot>) -> Result<()> {
    let Some(snapshot) = snapshot.filter(|_| plan.changes.iter().any(Change::purges)) else { return Ok(()) };
    let mut done = HashSet::new();
    for row in snapshot.ever(Kind::Account, PURGE_MAIL, None)? {
        done.extend(row.get(PURGE_MAIL).and_then(Value::text).map(|id| (row.key.clone(), id.to_owned())));
    }
    for change in plan.changes.iter_mut().filter(|change| change.purges()) {
        let id = change.purge_id().unwrap_or_default().to_owned();
        if done.contains(&(change.key.clone(), id)) {
            change.special.get_or_insert_default().purged = true;
        }
    }
    Ok(())
}

/// Fetches and seals what is declared as a secret.
pub struct Sealer<'a> {
    pub vault: Option<&'a Vault>,
    pub root: &'a Path,
    pub rules: Rules<'a>,
    pub rows: &'a Rows,
    /// By account: passwords that were in force when the provider changed them.
    pub abused: &'a Abused,
    /// Whether the policy leaves alone what exists.
    pub skips: bool,
}

const PASSWORD: FieldId = Kind::Account.id("password");
pub const STATUS: FieldId = Kind::Account.id("status");

impl Sealer<'_> {
    pub fn seal(&self, wanted: &mut [Wanted], files: &[String]) -> Sealing {
        let mut sealing = Sealing::default();
        let mut findings = Vec::new();
        for wanted in wanted {
            let said = sealing.problems.len();
            let forced = self.forced(wanted);
            if forced.is_some() && wanted.wish(PASSWORD).is_none() {
                let place = wanted.source.place;
                let message = "the provider has changed this password by force, and no new one is declared (002:94)";
                let problem = Diagnostic::warning("cpi/forced-password", message)
                    .hint("declare a new one, and update the mail programs that use it (002:81)")
                    .at(&files[wanted.source.file as usize], place.line, place.column);
                sealing.problems.push(problem.of(&wanted.address()).field("password"));
            }
            if wanted.wishes.iter().any(|wish| matches!(wish.aim, Aim::Secret(_))) {
                let Some(vault) = self.vault else {
                    sealing.no_key = true;
                    return sealing;
                };
                self.seal_one(wanted, vault, forced, files, &mut sealing);
            }
            if sealing.problems.len() > said {
                // It must be said again in the next run, so the record may not be recognised then.
                wanted.digest = None;
            }
            let row = self.rows.get(wanted.kind, &wanted.key);
            if self.skips && row.is_some() {
                continue;
            }
            check::notices(self.rules.system.name, wanted, row, &mut findings);
            for (problem, source) in findings.drain(..) {
                let (file, place) = (&files[source.file as usize], source.place);
                sealing.notices.push(problem.code, || problem.at(file, place.line, place.column).of(&wanted.address()));
            }
        }
        sealing
    }

    /// The stored row of an account whose password the provider has changed by force (002:93).
    fn forced(&self, wanted: &Wanted) -> Option<&Row> {
        if wanted.kind != Kind::Account || wanted.absent {
            return None;
        }
        let row = self.rows.get(wanted.kind, &wanted.key)?;
        row.get(STATUS).is_some_and(|status| status.is_word("password_forced")).then_some(row)
    }

    fn seal_one(
        &self,
        wanted: &mut Wanted,
        vault: &Vault,
        forced: Option<&Row>,
        files: &[String],
        sealing: &mut Sealing,
    ) {
        let address = wanted.address();
        let kind = wanted.kind;
        let mut renewed = None;
        for wish in &mut wanted.wishes {
            let Aim::Secret(source) = &wish.aim else { continue };
            let field = kind.field(wish.field);
            let at = |problem: Diagnostic| {
                let place = wish.source.place;
                problem.at(&files[wish.source.file as usize], place.line, place.column).of(&address).field(field.name)
            };
            if let SecretSource::File(name) = source
                && vault::is_exposed(&self.root.join(name))
            {
                let message = format!("others than its owner may read the file `{name}`");
                sealing.problems.push(at(Diagnostic::warning("secret/permissions", message).hint("chmod 600 it")));
            }
            let clear = match vault::fetch(source, self.root) {
                Ok(clear) => clear,
                Err((code, message, hint)) => {
                    sealing.problems.push(at(Diagnostic::error(code, message).hint(hint)));
                    continue;
                }
            };
            if kind == Kind::Account && wish.field == PASSWORD {
                let abused = self.abused.get(&address.key).map_or(&[][..], Vec::as_slice);
                let abused = abused.iter().filter_map(|sealed| vault.unseal(&address, field, sealed).ok()).collect();
                let known = check::Known { name: address.key.first(), forced: forced.is_some(), abused };
                if let Some((code, message, hint)) =
                    check::password(self.rules.system, self.rules.given, &known, &clear)
                {
                    sealing.problems.push(at(Diagnostic::error(code, message).hint(hint)));
                } else if let Some(row) = forced {
                    if row.get(PASSWORD).is_none() {
                        let message = "the provider has changed this password by force, and nobody has recorded which it \
                                       was: nothing tells whether this is a new one (002:100)";
                        let problem = Diagnostic::info("cpi/forced-password", message);
                        sealing.problems.push(at(problem.hint("see to it that it is not the old one")));
                    }
                    renewed = Some(wish.source);
                }
            }
            let sealed = vault.seal(&address, field, &clear);
            if !matches!(source, SecretSource::Clear(_)) {
                sealing.outside.push(sealed.as_bytes().to_vec());
            }
            wish.aim = Aim::Value(Value::Sealed(sealed));
        }
        if let Some(source) = renewed {
            let aim = Aim::Value(Value::Text("normal".into()));
            wanted.extend([Wish { field: STATUS, origin: Origin::Written, aim, source }]);
        }
    }
}
