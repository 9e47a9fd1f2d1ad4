//! `yubin secret generate`

use std::io::Write;
use std::path::PathBuf;

use super::{project, recipients};
use crate::check;
use crate::commands::{Common, End, print_data};
use crate::model::{Address, Code, Error, Kind, Result};
use crate::vault::{self, armour};

/// Make a password that the product and the policy take
#[derive(clap::Args)]
pub struct Args {
    /// The account that it is for
    #[arg(long = "for", value_name = "account/NAME")]
    account: String,
    /// Characters; as many as a strong one needs, if this is left out
    #[arg(long, value_name = "N")]
    length: Option<usize>,
    /// Print it encrypted to the project's recipients
    #[arg(long, conflicts_with = "out")]
    encrypt: bool,
    /// Write it to a new file of mode 0600; encrypted if its name ends in .age
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let account = Address::parse(&args.account).ok().filter(|address| address.kind == Kind::Account);
    let Some(account) = account else {
        return Err(Error::new(Code::Usage, "a password is made for an account").hint("as in `--for account/info`"));
    };
    let Some(project) = (match project(common)? {
        Ok(project) => project,
        Err(end) => return Ok(end),
    }) else {
        return Err(Error::new(Code::Invalid, "there is no project, and so no rule that a password must pass"));
    };
    let names = [account.key.first(), &project.name, project.given.domain.as_deref().unwrap_or_default()];
    let policy = &project.policy.passwords;
    let made = check::suggest(project.system, &project.given, policy, names, args.length, &mut vault::pick)?;
    let Some(password) = made else {
        let message = "no password of this length passes the rules of the product and `policy: passwords:`";
        return Err(Error::new(Code::Invalid, message).hint("see `yubin explain account.password` and yubin.yaml"));
    };
    let line = zeroize::Zeroizing::new(format!("{}\n", password.expose()));
    let encrypted =
        args.encrypt || args.out.as_ref().is_some_and(|path| path.extension().is_some_and(|one| one == "age"));
    let bytes = if encrypted {
        zeroize::Zeroizing::new(armour::encrypt(line.as_bytes(), &recipients(Some(&project))?, true)?)
    } else {
        zeroize::Zeroizing::new(line.as_bytes().to_vec())
    };
    let Some(path) = &args.out else {
        print_data(|to| to.write_all(&bytes))?;
        return Ok(End::Done);
    };
    let written = vault::private_file(path).and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| Error::failure(format!("{} cannot be made", path.display())).because(error))?;
    common.say(&format!("a new password in {}", path.display()));
    Ok(End::Done)
}
