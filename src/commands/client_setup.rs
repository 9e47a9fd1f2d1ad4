//! `yubin export autoconfig`: files by which mail clients set themselves up, in a folder that is whole or is not there.

use std::fs;

use clap::ValueEnum;
use serde_json::json;

use super::export::{Args, rows};
use super::hand_over::{refuse_filled, write_folder};
use super::{Common, End, print_json, show};
use crate::autoconfig::{self, Client};
use crate::model::{Address, Code, Error, Kind, Result};
use crate::render::text;
use crate::wire;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientKind {
    /// A file for each mail domain
    Thunderbird,
    /// Outlook: a file for each mail address
    Autodiscover,
    /// A profile for each mail address
    Apple,
    All,
}

impl ClientKind {
    fn holds(self, client: Client) -> bool {
        match self {
            ClientKind::Thunderbird => client == Client::Thunderbird,
            ClientKind::Autodiscover => client == Client::Autodiscover,
            ClientKind::Apple => client == Client::Apple,
            ClientKind::All => true,
        }
    }
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let Some(out) = &args.out else {
        return Err(Error::new(Code::Usage, "`autoconfig` is a folder of files").hint("name it with `--out DIR`"));
    };
    let named = show::parse(&args.addresses)?;
    if let Some(server) = named.iter().find(|address| address.kind == Kind::Server) {
        let message = format!("`{server}` has no user whose client could be set up");
        return Err(Error::new(Code::Usage, message).hint("name accounts and patterns"));
    }
    let session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let system = session.project.system;
    if !system.has_servers() {
        let message = format!("{} has no settings of servers: there is nothing to export", system.product);
        let hint = "this is for products in which accounts name the servers of their mail";
        return Err(Error::new(Code::Usage, message).hint(hint));
    }
    refuse_filled(out, "files for clients are written")?;
    let snapshot = session.snapshot()?;
    let mut rows = rows(&session, snapshot.as_deref(), true)?;
    // Accounts may take their settings from a server of another project.
    rows.retain(|(kind, row)| args.all || *kind == Kind::Server || row.owner.as_deref() == Some(&session.project.name));
    let holds = |address: &&Address| rows.iter().any(|(kind, row)| *kind == address.kind && row.key == address.key);
    let missing: Vec<String> =
        named.iter().filter(|address| !holds(address)).map(|address| format!("`{address}`")).collect();
    if !missing.is_empty() {
        let message = format!("the store does not hold {} for this project", missing.join(", "));
        return Err(Error::failure(message).hint("`yubin show` lists what it holds; `--all` takes that of others, too"));
    }
    let wanted = |client: &Client| args.kind.is_empty() || args.kind.iter().any(|kind| kind.holds(*client));
    let clients: Vec<Client> = Client::ALL.into_iter().filter(wanted).collect();
    let made = autoconfig::make(&rows, &named, &clients, system);
    if made.diagnostics.has_errors() {
        return common.invalid(&made.diagnostics);
    }
    if !common.is_json() {
        common.say_diagnostics(&made.diagnostics);
    }
    if made.files.is_empty() {
        let message = "the store holds no account whose client could be set up";
        return Err(
            Error::failure(message).hint("apply accounts with an address, and servers for receiving and sending")
        );
    }
    write_folder(out, |folder| {
        for (path, text) in &made.files {
            let path = folder.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)?;
        }
        Ok(())
    })?;
    if common.is_json() {
        let mut document = wire::diagnostics(made.diagnostics.iter());
        document["files"] = json!(made.files.keys().collect::<Vec<_>>());
        print_json(&document)?;
    }
    common.say(&format!("{} in {}", text::number(made.files.len(), "file"), out.display()));
    Ok(End::Done)
}
