//! Rules that a row of a system's table cannot say: small named functions, each with its source.

mod catchme_mail;
mod cpi;
mod cybozu_office;
mod mail_server;
mod mailwise;
mod notice;
mod password;
mod staff_express;
mod text;

use crate::model::desired::{Aim, Existence};
use crate::model::{Diagnostic, FieldId, Given, Kind, Row, Source, Value, Wanted, Wish};
use crate::system::System;

pub use notice::notices;
pub use password::{Flaw, Known, Remembered, password, quality, suggest};

/// One declared resource beside what the store holds of it.
pub struct Subject<'a> {
    pub system: &'a System,
    pub given: &'a Given,
    pub wanted: &'a Wanted,
    pub existence: Existence<'a>,
    /// Fields whose written values are wrong: they are not missing.
    pub broken: &'a [FieldId],
    /// The server that the resource refers to.
    pub server: Option<Server<'a>>,
}

/// A server as the files declare it, above what the store keeps of it.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    pub declared: &'a [Wish],
    pub row: Option<&'a Row>,
}

impl Server<'_> {
    fn is(&self, field: FieldId, word: &str) -> bool {
        match self.declared.iter().find(|wish| wish.field == field) {
            Some(wish) => wish.value().is_some_and(|value| value.is_word(word)),
            None => self.row.and_then(|row| row.get(field)).is_some_and(|value| value.is_word(word)),
        }
    }
}

/// A problem and its place.
pub type Finding = (Diagnostic, Source);

pub struct Check {
    /// Its name in the requirements.
    pub id: &'static str,
    pub systems: &'static [&'static str],
    pub kind: Kind,
    pub source: &'static str,
    pub doc: &'static str,
    run: fn(&Subject<'_>, &mut Vec<Finding>),
}

/// The checks of all systems; those of a new one are a new file and a row here.
pub static CHECKS: &[&[Check]] =
    &[catchme_mail::CHECKS, staff_express::CHECKS, cpi::CHECKS, mailwise::CHECKS, cybozu_office::CHECKS];

/// The checks of one system.
pub fn of(system: &str) -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().copied().flatten().filter(move |check| check.systems.contains(&system))
}

pub fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for check in of(subject.system.name) {
        if check.kind == subject.wanted.kind {
            (check.run)(subject, findings);
        }
    }
    if subject.given.mail_server && subject.wanted.kind == Kind::Account {
        mail_server::account(subject, findings);
    }
}

impl Subject<'_> {
    /// The value that the field will have, if that is known.
    fn value(&self, field: FieldId) -> Option<&Value> {
        match self.wanted.wish(field) {
            Some(Wish { aim: Aim::Value(value), .. }) => Some(value),
            Some(_) => None,
            None => self.existence.row().and_then(|row| row.get(field)),
        }
    }

    fn is(&self, field: FieldId, word: &str) -> bool {
        self.value(field).is_some_and(|value| value.is_word(word))
    }

    fn is_written(&self, field: FieldId) -> bool {
        self.broken.contains(&field) || self.wanted.wish(field).is_some_and(|wish| !matches!(wish.aim, Aim::Clear))
    }

    /// Whether the field has a value afterwards, or a wrong one is written that has been told.
    fn has(&self, field: FieldId) -> bool {
        // Without a store nobody knows what is kept.
        self.is_written(field)
            || (matches!(self.existence, Existence::Unknown) && self.wanted.wish(field).is_none())
            || (self.wanted.wish(field).is_none() && self.existence.row().is_some_and(|row| row.get(field).is_some()))
    }

    /// A problem of this field, told where the first of `places` is written.
    fn tell(&self, findings: &mut Vec<Finding>, problem: Diagnostic, field: FieldId, places: &[FieldId]) {
        let written = places.iter().find_map(|place| self.wanted.wish(*place));
        let source = written.map_or(self.wanted.source, |wish| wish.source);
        findings.push((problem.field(self.wanted.kind.field(field).name), source));
    }
}

/// Both ways to authenticate at once, where the document does not say that one excludes the other (AMB-X2).
fn two_authentications(
    subject: &Subject<'_>,
    code: &'static str,
    [pop_before_smtp, auth]: [FieldId; 2],
    findings: &mut Vec<Finding>,
) {
    if subject.is(pop_before_smtp, "true") && subject.is(auth, "true") {
        let message =
            "POP before SMTP and SMTP-AUTH are both on; the document does not say that one excludes the other";
        let problem = Diagnostic::warning(code, message).hint("one of them is usually enough");
        subject.tell(findings, problem, pop_before_smtp, &[pop_before_smtp, auth]);
    }
}
