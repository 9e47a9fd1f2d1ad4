//! What watchers agree on by way of a server.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Http;
use super::call::Call;
use super::failure::NOT_FOUND;
use crate::model::{Approval, Error, Lead, Result};
use crate::store::Turns;

#[derive(Deserialize)]
struct Led {
    held: bool,
    holder: String,
}

#[derive(Deserialize)]
struct Listed {
    approvals: Vec<Heard>,
}

#[derive(Deserialize)]
struct Heard {
    digest: String,
    actor: String,
    at: String,
}

impl Http {
    /// Of a project, a server always knows something, unless it knows no watchers.
    fn known<T>(&self, asked: Result<T>) -> Result<T> {
        asked.map_err(|error| match error.about {
            Some(NOT_FOUND) => Error::failure(format!("{} knows nothing of watchers", self.line.access.shown()))
                .hint("the server needs a newer yubin"),
            _ => error,
        })
    }
}

/// A path of a project; no address can name two of them.
pub(super) fn of<'a, const N: usize>(project: &'a str, more: [&'a str; N]) -> Result<Vec<&'a str>> {
    if matches!(project, "." | "..") {
        return Err(Error::failure(format!("a server cannot be asked of a project that is called `{project}`"))
            .hint("give it another name, or work where the store is"));
    }
    Ok(["v1", "projects", project].into_iter().chain(more).collect())
}

impl Turns for Http {
    fn lead(&self, project: &str, holder: &str, lease: Duration) -> Result<Lead> {
        let path = of(project, ["lead"])?;
        let body = json!({ "holder": holder, "seconds": lease.as_secs_f64() }).to_string();
        // Who leads already keeps the lead, so it may be sent again.
        let Led { held, holder } = self.known(self.line.document(&Call::put(&path), Some(body.as_bytes())))?;
        Ok(if held { Lead::Ours } else { Lead::Other { holder } })
    }

    fn resign(&self, project: &str, holder: &str) -> Result<()> {
        let path = of(project, ["lead"])?;
        let query = vec![("holder", holder.to_owned())];
        let call = Call { method: Method::DELETE, query, ..Call::get(&path) };
        self.known(self.line.ask(&call, None)).map(drop)
    }

    fn approve(&self, project: &str, approval: &Approval) -> Result<()> {
        let Approval { digest, actor, at: _ } = approval;
        let path = of(project, ["approvals", digest])?;
        let body = json!({ "actor": actor }).to_string();
        self.known(self.line.ask(&Call::put(&path), Some(body.as_bytes()))).map(drop)
    }

    fn approvals(&self, project: &str) -> Result<Vec<Approval>> {
        let path = of(project, ["approvals"])?;
        let Listed { approvals } = self.known(self.line.document(&Call::get(&path), None))?;
        let approval = |Heard { digest, actor, at }| Approval { digest, actor, at };
        Ok(approvals.into_iter().map(approval).collect())
    }
}
