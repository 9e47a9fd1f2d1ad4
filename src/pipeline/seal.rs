//! Between resolving and comparing: declared secrets are fetched, judged by the rules about passwords, and
//! sealed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check;
use crate::model::desired::Aim;
use crate::model::{Diagnostic, FieldId, Kind, Origin, Row, Rows, SecretSource, Value, Wanted, Wish};
use crate::resolve::Rules;
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

/// Fetches and seals what is declared as a secret.
pub struct Sealer<'a> {
    pub vault: Option<&'a Vault>,
    pub root: &'a Path,
    pub rules: Rules<'a>,
    pub rows: &'a Rows,
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
                let old = forced.map(|row| match row.get(PASSWORD) {
                    Some(Value::Sealed(sealed)) => vault.unseal(&address, field, sealed).ok(),
                    _ => None,
                });
                let known = check::Known { name: address.key.first(), forced: old };
                if let Some((code, message, hint)) =
                    check::password(self.rules.system, self.rules.given, &known, &clear)
                {
                    sealing.problems.push(at(Diagnostic::error(code, message).hint(hint)));
                } else if forced.is_some() {
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
