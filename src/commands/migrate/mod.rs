//! `yubin migrate`: where a migration is, and its next step

mod ack;
mod next;
mod steps;

use clap::Subcommand;
use serde_json::json;

use super::{Common, End, Format, print, print_data, print_json};
use crate::model::migration::{Migration, Report};
use crate::model::{Address, Kind, Result};
use crate::pipeline::{Look, Session};
use crate::render::migration;
use crate::wire;

/// Move the accounts of one mail server to another, step by step
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Where migrations are: who has done what, what waits, what comes next
    Status {
        /// Of this migration alone
        name: Option<String>,
    },
    Next(next::Args),
    Ack(ack::Args),
    /// Print the check sheet, with what is done ticked
    Sheet {
        /// Of this migration, if there are several
        name: Option<String>,
    },
    /// End a migration that is not to be finished: its old server is kept no more
    Abandon {
        /// Which, if there are several
        name: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
}

impl Args {
    pub fn is_sheet(&self) -> bool {
        matches!(self.verb, Verb::Sheet { .. })
    }
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    match &args.verb {
        Verb::Status { name } => status(common, name.as_deref()),
        Verb::Next(args) => next::run(common, args),
        Verb::Ack(args) => ack::run(common, args),
        Verb::Sheet { name } => sheet(common, name.as_deref()),
        Verb::Abandon { name, note } => ack::abandon(common, name.as_deref(), note),
    }
}

fn status(common: &Common, name: Option<&str>) -> Result<End> {
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let all = match name {
        Some(_) => vec![session.migration(name)?.clone()],
        // Without any, it is said what one looks like.
        None if session.project.migrations.is_empty() => vec![session.migration(None)?.clone()],
        None => session.project.migrations.clone(),
    };
    let mut reports = Vec::with_capacity(all.len());
    for migration in all {
        match session.look(&migration)? {
            Some(look) => reports.push(report(&session, &look)),
            None => return common.invalid(&session.diagnostics),
        }
    }
    if !common.is_json() {
        common.say_diagnostics(&session.diagnostics);
    }
    show(common, &reports)?;
    Ok(End::Done)
}

fn sheet(common: &Common, name: Option<&str>) -> Result<End> {
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let migration = session.migration(name)?.clone();
    let Some(look) = session.look(&migration)? else { return common.invalid(&session.diagnostics) };
    let report = report(&session, &look);
    match common.format {
        Format::Json => show(common, &[report])?,
        Format::Html => print_data(|to| to.write_all(migration::html(&report, common.lang()).as_bytes()))?,
        _ => print_data(|to| to.write_all(migration::markdown(&report, common.lang()).as_bytes()))?,
    }
    Ok(End::Done)
}

/// What people are told of a migration.
fn report(session: &Session, look: &Look) -> Report {
    let account = |key: &crate::model::Key| Address::new(Kind::Account, key.clone()).to_string();
    Report {
        name: look.migration.name.clone(),
        from: look.migration.from.name.clone(),
        to: look.migration.to.name.clone(),
        product: (!session.project.system.open).then_some(session.project.system.product),
        accounts: look.accounts(),
        standing: look.standing.clone(),
        pairs: look.pairs.iter().map(|pair| (account(&pair.old), account(&pair.new), pair.stored)).collect(),
    }
}

/// Where a migration is now, after something was done.
fn shown(common: &Common, migration: &Migration) -> Result<End> {
    let mut session = common.session(false)?;
    match session.look(migration)? {
        Some(look) => show(common, &[report(&session, &look)]).map(|()| End::Done),
        None => common.invalid(&session.diagnostics),
    }
}

fn show(common: &Common, reports: &[Report]) -> Result<()> {
    if common.is_json() {
        let migrations: Vec<_> = reports.iter().map(wire::migration).collect();
        return print_json(&json!({ "format_version": wire::FORMAT_VERSION, "migrations": migrations }));
    }
    print(|to| reports.iter().try_for_each(|report| migration::status(report, common.lang(), to)))
}
