//! What was done for migrations, by way of a server.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::Http;
use super::call::Call;
use super::failure::NOT_FOUND;
use super::turns::of;
use crate::model::migration::{Act, Deed, NewAct};
use crate::model::{Code, Error, Result};
use crate::store::Migrations;

#[derive(Deserialize)]
struct Listed {
    acts: Vec<Heard>,
}

#[derive(Deserialize)]
struct Heard {
    migration: String,
    number: u64,
    step: u8,
    deed: String,
    actor: String,
    at: String,
    note: Option<String>,
    evidence: BTreeMap<String, String>,
}

impl Http {
    fn heard(&self, heard: Heard) -> Result<Act> {
        let Heard { migration, number, step, deed, actor, at, note, evidence } = heard;
        let deed = Deed::parse(&deed).ok_or_else(|| {
            Error::failure(format!("{} tells of an act that this yubin does not know", self.line.access.shown()))
                .hint("this yubin is older than the server")
        })?;
        Ok(Act { act: NewAct { migration, number, step, deed, actor, note, evidence }, at })
    }
}

impl Migrations for Http {
    fn acts(&self, project: &str) -> Result<Vec<Act>> {
        let path = of(project, ["migrations"])?;
        match self.line.document::<Listed>(&Call::get(&path), None) {
            Ok(Listed { acts }) => acts.into_iter().map(|act| self.heard(act)).collect(),
            // What keeps an old server there is not known to it either.
            Err(error) if error.about == Some(NOT_FOUND) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn act(&self, project: &str, new: &NewAct) -> Result<Act> {
        if let Some(flaw) = new.flaw() {
            return Err(Error::new(Code::Usage, flaw));
        }
        let NewAct { migration, number, step, deed, actor, note, evidence } = new;
        let number = number.to_string();
        let path = of(project, ["migrations", migration, &number])?;
        let body = json!({ "step": step, "deed": deed.name(), "actor": actor, "note": note, "evidence": evidence });
        // The same act once more is the same act, so it may be sent again.
        let heard = self.line.document(&Call::put(&path), Some(body.to_string().as_bytes()));
        let heard = heard.map_err(|error| match error.about {
            Some(NOT_FOUND) => Error::failure(format!("{} knows nothing of migrations", self.line.access.shown()))
                .hint("the server needs a newer yubin"),
            _ => error,
        })?;
        self.heard(heard)
    }
}
