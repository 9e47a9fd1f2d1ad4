//! The line from a product's own export, or from what a person has seen, to a plan that records it.

use encoding_rs::Encoding;

use super::{Planned, STATUS, Session, addresses};
use crate::format::cpi::{Form, Sheet};
use crate::load::{self, NamedFile, NamedFormat};
use crate::model::plan::Base;
use crate::model::{Address, Code, Diagnostic, Error, FieldId, Key, Kind, Result, Rows};
use crate::refresh::{self, Recorded};
use crate::system::{self, System};

const CAPACITY: FieldId = Kind::Account.id("capacity");

/// What a product exports of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    Cpi,
    CybozuOfficeAccounts,
}

impl Export {
    fn name(self) -> &'static str {
        match self {
            Export::Cpi => "cpi-export",
            Export::CybozuOfficeAccounts => "cybozu-office-accounts",
        }
    }

    /// How it is read; `None` if the system exports nothing of the kind.
    fn format(self, system: &System) -> Option<NamedFormat> {
        match (self, system.document) {
            (Export::Cpi, "002") => {
                let capacity = Some(system.expresses(Kind::Account, CAPACITY));
                Some(NamedFormat::Cpi(Form { sheet: Sheet::Export, capacity, register_rows: None }))
            }
            (Export::CybozuOfficeAccounts, "004") => Some(NamedFormat::CybozuOffice),
            _ => None,
        }
    }
}

impl Session {
    /// The plan that records what the product's own export says; `None` if the files have errors,
    /// which then stand among the diagnostics. The project's own files are not read.
    pub fn refresh(
        &mut self,
        export: Export,
        files: &[NamedFile],
        encoding: &'static Encoding,
    ) -> Result<Option<Planned>> {
        let system = self.project.system;
        let format = export.format(system).ok_or_else(|| {
            let message = format!("{} is no export of {} (`system: {}`)", export.name(), system.product, system.name);
            let able: Vec<&str> =
                system::ALL.iter().filter(|one| export.format(one).is_some()).map(|one| one.name).collect();
            Error::new(Code::Usage, message).hint(format!("it is one of {}", able.join(", ")))
        })?;
        let draft = load::read_named(files, format, encoding, None, &mut self.diagnostics);
        self.settle();
        if self.diagnostics.has_errors() {
            return Ok(None);
        }
        let snapshot = self.store.snapshot()?;
        let vault = self.vault(snapshot.as_deref())?;
        let mut rows = Rows::default();
        if let Some(snapshot) = &snapshot {
            let mut accounts = Vec::new();
            snapshot.scan(Kind::Account, &mut |row| {
                accounts.push(row);
                Ok(())
            })?;
            rows.put(Kind::Account, accounts);
            let servers = draft.resources.iter().filter(|seen| seen.kind == Kind::Server);
            let keys: Vec<Key> = servers.map(|seen| seen.key.clone()).collect();
            rows.put(Kind::Server, snapshot.fetch(Kind::Server, &keys)?);
        }
        let base = snapshot.as_ref().map_or(Base::default(), |snapshot| snapshot.base());
        let recorded = Recorded { project: &self.project.name, base, rows: &rows };
        let note = format!("refresh of {} {}", export.name(), draft.files.join(", "));
        let found = refresh::compare(&draft, &recorded, system, note);
        if let Some((first, rest)) = found.kept.split_first() {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let message = format!(
                "`{first}`{more}: not in the export, and kept as what belongs to another project or has fields of \
                 another product"
            );
            self.diagnostics.push(Diagnostic::info("refresh/kept", message));
            self.settle();
        }
        if let Some(clash) = addresses::clashes(&found.plan, false, snapshot.as_deref())?.first() {
            return Err(clash.error());
        }
        self.judged(found.plan, vault, snapshot.as_deref()).map(Some)
    }

    /// The plan that notes the status of an account.
    pub fn mark(&mut self, address: &Address, status: &str) -> Result<Planned> {
        let system = self.project.system;
        if system.rule(Kind::Account, STATUS).is_none() {
            let message = format!("{} changes no password by force, so there is no status to mark", system.product);
            return Err(Error::new(Code::Usage, message).hint("marks are for accounts of CPI (002:96)"));
        }
        if address.kind != Kind::Account {
            let message = format!("`{address}` is no account: only accounts have a status (002:96)");
            return Err(Error::new(Code::Usage, message).hint("as in `yubin mark account/info password_forced`"));
        }
        let snapshot = self.store.snapshot()?;
        let mut rows = Rows::default();
        if let Some(snapshot) = &snapshot {
            rows.put(Kind::Account, snapshot.fetch(Kind::Account, std::slice::from_ref(&address.key))?);
        }
        let Some(snapshot) = snapshot.filter(|_| rows.get(Kind::Account, &address.key).is_some()) else {
            return Err(Error::failure(format!("the store does not hold `{address}`"))
                .hint("`yubin refresh cpi-export FILE` takes over what the product has"));
        };
        let vault = self.vault(Some(&*snapshot))?;
        let recorded = Recorded { project: &self.project.name, base: snapshot.base(), rows: &rows };
        let plan = refresh::mark(&address.key, status, &recorded, system);
        self.judged(plan, vault, Some(&*snapshot))
    }
}
