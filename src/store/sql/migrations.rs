//! What was done for migrations, the same in both databases. An act names the number that it takes, so of two who have
//! seen the same one comes too late.

use std::collections::BTreeMap;

use super::desk::{Connects, write};
use super::turns::{look, written};
use super::{Cells, Database, Result, VERSION, number, or_null, text};
use crate::model::migration::{ACTS, Act, Deed, NewAct};
use crate::model::{Code, Error};
use crate::store::Migrations;

/// The version of the schema with which this came.
const SINCE: i32 = 7;

/// The most migrations of a project that anything is recorded of.
const MOST: u64 = 100;

const COLUMNS: &str = "name, number, step, deed, actor, at, note, evidence";

fn act(row: &dyn Cells) -> Result<Act> {
    let unreadable = || Error::failure("the table `migration` holds what is no act");
    let evidence = row.text(7).and_then(|evidence| serde_json::from_str::<BTreeMap<String, String>>(evidence).ok());
    let act = NewAct {
        migration: row.string(0),
        number: row.count(1),
        step: u8::try_from(row.count(2)).map_err(|_| unreadable())?,
        deed: row.text(3).and_then(Deed::parse).ok_or_else(unreadable)?,
        actor: row.string(4),
        note: row.owned(6),
        evidence: evidence.ok_or_else(unreadable)?,
    };
    Ok(Act { act, at: row.string(5) })
}

/// The act of this number, and whether there is the one before it.
fn around(db: &dyn Database, project: &str, new: &NewAct) -> Result<(Option<Act>, bool)> {
    let sql = format!("SELECT {COLUMNS} FROM migration WHERE project = ?1 AND name = ?2 AND number = ?3");
    let at = |at: u64| db.first(&sql, &[text(project), text(&new.migration), number(at)], act);
    Ok((at(new.number)?, new.number == 1 || at(new.number - 1)?.is_some()))
}

impl<C: Connects + Send + Sync> Migrations for C {
    fn acts(&self, project: &str) -> crate::model::Result<Vec<Act>> {
        let sql = format!("SELECT {COLUMNS} FROM migration WHERE project = ?1 ORDER BY name, number LIMIT ?2");
        let found = look(self, SINCE, |db| db.all(&sql, &[text(project), number(MOST * ACTS)], act))?;
        Ok(found.map(|(acts, _)| acts).unwrap_or_default())
    }

    fn act(&self, project: &str, new: &NewAct) -> crate::model::Result<Act> {
        if let Some(flaw) = new.flaw() {
            return Err(Error::new(Code::Usage, flaw));
        }
        let Some(((), version)) = look(self, SINCE, |_| Ok(()))? else {
            return Err(Error::failure("there is no store yet, and nothing that could move")
                .hint("the first apply makes the store; look at `store:` if there should be one"));
        };
        if version < VERSION {
            self.bring_up()?;
        }
        let evidence = new.evidence.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let evidence = evidence.collect::<serde_json::Value>();
        let evidence = evidence.to_string();
        let sql = format!(
            "INSERT INTO migration (project, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (project, name, number) DO NOTHING"
        );
        let done = write(self, |db| {
            let (there, has_last) = around(db, project, new)?;
            // Whoever has not heard the answer asks once more.
            if let Some(act) = there {
                return Ok((act.act == *new).then_some(act));
            }
            if !has_last {
                return Ok(None);
            }
            if new.number == 1 {
                let sql = "SELECT count(DISTINCT name) FROM migration WHERE project = ?1";
                let count = db.first(sql, &[text(project)], |row| Ok(row.count(0)))?;
                if count.unwrap_or_default() >= MOST {
                    let message = "a project has at most 100 migrations";
                    return Err(Error::new(Code::Usage, message).into());
                }
            }
            let at = written(db.now()?);
            let params = [
                text(project),
                text(&new.migration),
                number(new.number),
                number(u64::from(new.step)),
                text(new.deed.name()),
                text(&new.actor),
                text(&at),
                or_null(new.note.as_deref()),
                text(&evidence),
            ];
            Ok((db.execute(&sql, &params)? > 0).then(|| Act { act: new.clone(), at }))
        })?;
        done.ok_or_else(|| {
            Error::new(Code::Conflict, "somebody else has acted on this migration at the same moment")
                .about("migration/moved")
                .hint("look at `yubin migrate status`, and start again")
        })
    }
}
