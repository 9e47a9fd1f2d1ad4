//! Hooks: an effect of an apply is carried out by a command, or told to a webhook, as is what a watcher has to tell.
//! `Ready` is one that may be tried.

mod command;
mod webhook;

use std::path::{Path, PathBuf};

use crate::model::{Clear, Hook, How};
use crate::vault::Fetcher;

/// What a hook is told.
pub struct Happening {
    /// By which the same is recognised when it is told again.
    pub id: String,
    /// `logout`, `purge_mail`, `kick` or `notify`; of a watcher, the name of its event.
    pub effect: String,
    /// Of a notice, and of a watcher: empty, as is the address.
    pub user: String,
    pub address: String,
    pub revision: u64,
    /// Of an account that changes: its mail address before. Otherwise empty.
    pub mail: String,
    /// All of it, as JSON.
    pub body: Vec<u8>,
}

/// Why a hook has not done its part: in words that hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub why: String,
    /// Another event would fare no better.
    pub always: bool,
}

impl Failed {
    fn once(why: impl Into<String>) -> Failed {
        Failed { why: why.into(), always: false }
    }

    fn always(why: impl Into<String>) -> Failed {
        Failed { why: why.into(), always: true }
    }
}

/// What hooks need beside themselves.
pub struct Around<'a> {
    /// The folder of the project.
    pub root: &'a Path,
    pub fetcher: &'a Fetcher<'a>,
    /// `YUBIN_CA_FILE`.
    pub authorities: Option<PathBuf>,
}

/// A hook whose program is found, or whose secret is at hand.
pub enum Ready<'a> {
    Command(command::Command<'a>),
    Webhook(Box<webhook::Webhook>),
}

impl Ready<'_> {
    pub fn new<'a>(hook: &'a Hook, around: &Around<'_>) -> Result<Ready<'a>, Failed> {
        Ok(match &hook.how {
            How::Command { words, variables } => Ready::Command(command::Command::new(hook, words, variables, around)?),
            How::Webhook { url, secret } => {
                let secret = secret.as_ref().map(|source| fetch(hook, source, around)).transpose()?;
                Ready::Webhook(Box::new(webhook::Webhook::new(hook, url, secret, around)?))
            }
        })
    }

    /// One attempt.
    pub fn carry_out(&self, happening: &Happening) -> Result<(), Failed> {
        match self {
            Ready::Command(command) => command.run(happening),
            Ready::Webhook(webhook) => webhook.call(happening),
        }
    }
}

fn fetch(hook: &Hook, source: &crate::model::SecretSource, around: &Around<'_>) -> Result<Clear, Failed> {
    use crate::model::SecretSource;
    let fetched = match source {
        SecretSource::File(name) if hook.foreign => {
            let path = hook.base.join(name);
            if crate::child::stands_in(&path, around.root) {
                let why = "the file of its secret stands inside the project, whose files are not trusted";
                return Err(Failed::always(why));
            }
            around.fetcher.trusted_file(&path, name)
        }
        source => around.fetcher.fetch(source),
    };
    fetched.map_err(|(_, why, _)| Failed::always(format!("its secret cannot be had: {why}")))
}
