//! What stands around the changes of an apply: the comparison with the base, the line of the log, requests that
//! are remembered, sessions that end.

use super::columns::{self, Column, Holds};
use super::{Cell, Database, Next, Result, number, or_null, text};
use crate::model::plan::Base;
use crate::model::{Action, Code, Error, Kind, Plan};
use crate::store::Entry;

/// For how long a request is remembered.
const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// An apply whose changes are still to be written.
pub enum Begun {
    /// The same request has made this revision before; nothing is to be written.
    Again(u64),
    Revision(u64),
}

pub fn base(db: &dyn Database) -> Result<(Base, Option<String>)> {
    let found = db.first("SELECT revision, outside_writes, key_id FROM meta", &[], |row| {
        Ok((Base { revision: row.count(0), outside_writes: row.count(1) }, row.owned(2)))
    })?;
    Ok(found.unwrap_or_default())
}

/// RFC 3339, UTC, which sorts as text.
pub fn now() -> String {
    written(jiff::Timestamp::now())
}

fn written(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What was remembered before this has been forgotten.
fn forgotten() -> String {
    jiff::Timestamp::now().checked_sub(DAY).map_or_else(|_| String::new(), written)
}

/// What a request has done: the digest of its body, and the revision that it made.
pub fn answered(db: &dyn Database, key: &[u8; 32]) -> Result<Option<([u8; 32], u64)>> {
    let sql = "SELECT body, revision FROM request WHERE key = ?1 AND at >= ?2";
    let found = db.first(sql, &[Cell::Blob(key), text(&forgotten())], |row| {
        Ok((row.blob(0).and_then(|body| body.try_into().ok()), row.count(1)))
    })?;
    Ok(found.and_then(|(body, revision)| Some((body?, revision))))
}

/// Compares the store with the base of the plan, and begins the log. The store can be written by nobody else.
pub fn begin(db: &dyn Database, plan: &Plan, entry: &Entry<'_>) -> Result<Begun> {
    if let Some(request) = entry.request
        && let Some((body, revision)) = answered(db, &request.key)?
    {
        if body == request.body {
            return Ok(Begun::Again(revision));
        }
        return Err(Error::new(Code::Conflict, "another request has been sent with this key")
            .about("request/reused")
            .hint("each request has a key of its own; only a retry has that of what it repeats")
            .into());
    }
    let (base, key_id) = base(db)?;
    if base != plan.base {
        return Err(moved(db, base, plan.base)?.into());
    }
    if let (Some(stored), Some(ours)) = (&key_id, entry.key_id)
        && stored != ours
    {
        return Err(Error::new(Code::Conflict, "the store has got another key since the plan was made")
            .about("store/moved")
            .hint("run the same command again")
            .into());
    }
    let revision = base.revision + 1;
    let sql = "UPDATE meta SET revision = ?1, key_id = coalesce(key_id, ?2)";
    db.execute(sql, &[number(revision), or_null(entry.key_id)])?;
    let before = changes(db)?;
    let written = (1..).zip(plan.changes.iter().filter(|change| change.action.writes()));
    let last: Option<u64> =
        written.filter(|(_, change)| change.effect(plan).is_some()).last().map(|(seq, _)| before + seq);
    let at = now();
    db.execute(
        "INSERT INTO revision (revision, at, actor, project, digest, config_digest, adds, overwrites, deletes, skips,
           unchanged, note, yubin, recorded, renames, disables, purges, git_commit, changes_before, last_event)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        &[
            number(revision),
            text(&at),
            text(entry.actor),
            text(&plan.project),
            text(entry.digest),
            text(&plan.config_digest),
            number(plan.count(Action::Add)),
            number(plan.count(Action::Overwrite)),
            number(plan.count(Action::Delete)),
            number(plan.count(Action::Skip)),
            number(plan.unchanged),
            or_null(plan.note.as_deref()),
            text(env!("CARGO_PKG_VERSION")),
            number(u64::from(plan.recorded)),
            number(plan.count(Action::Rename)),
            number(plan.count(Action::Disable)),
            number(plan.count(Action::Purge)),
            or_null(entry.commit),
            number(before),
            last.map_or(Cell::Null, number),
        ],
    )?;
    if last.is_some() {
        end_sessions(db, plan)?;
    }
    if let Some(request) = entry.request {
        db.execute("DELETE FROM request WHERE at < ?1", &[text(&forgotten())])?;
        db.execute(
            "INSERT INTO request (key, body, revision, at) VALUES (?1, ?2, ?3, ?4)",
            &[Cell::Blob(&request.key), Cell::Blob(&request.body), number(revision), text(&at)],
        )?;
    }
    Ok(Begun::Revision(revision))
}

/// Keeps the digests by which unchanged records are recognised; of what other projects own, nobody else says any. And
/// that a mail server reads the store, of which every project is told from then on.
pub fn learn(db: &dyn Database, plan: &Plan) -> Result<()> {
    if plan.mail_server {
        db.execute("UPDATE meta SET mail_server = 1 WHERE mail_server = 0", &[])?;
    }
    for kind in Kind::ALL.into_iter().filter(|kind| plan.learned.iter().any(|(of, ..)| of == kind)) {
        let owner = columns::OWN_COLUMNS[1].to_owned();
        let by = columns::keys(kind).chain([owner]).map(|name| Column { name, holds: Holds::Text });
        let by: Vec<Column> = by.collect();
        let mut rows = db.update(kind.name(), &by, &[Column::new(columns::OWN_COLUMNS[0], Holds::Bytes)])?;
        for (_, key, digest) in plan.learned.iter().filter(|(of, ..)| *of == kind) {
            let cells: Vec<Cell<'_>> = key.parts().map(text).chain([text(&plan.project), Cell::Blob(digest)]).collect();
            rows.row(&cells.as_slice())?;
        }
        rows.finish()?;
    }
    Ok(())
}

/// How many changes there have been in all revisions.
pub fn changes(db: &dyn Database) -> Result<u64> {
    let sql = "SELECT changes_before + coalesce(
                 (SELECT max(seq) FROM change WHERE change.revision = revision.revision), 0)
               FROM revision ORDER BY revision DESC LIMIT 1";
    Ok(db.first(sql, &[], |row| Ok(row.count(0)))?.unwrap_or_default())
}

/// Ends the sessions of users whom the plan logs out.
fn end_sessions(db: &dyn Database, plan: &Plan) -> Result<()> {
    // Few are logged in while nobody serves, and a plan may concern a million.
    let mut users = Vec::new();
    db.query("SELECT DISTINCT \"user\" FROM session", &[], &mut |row| {
        users.push(row.string(0));
        Ok(Next::More)
    })?;
    if users.is_empty() {
        return Ok(());
    }
    let ended = plan.logged_out();
    for user in users.iter().filter(|user| ended.binary_search(&user.as_str()).is_ok()) {
        db.execute("DELETE FROM session WHERE \"user\" = ?1", &[text(user)])?;
    }
    Ok(())
}

fn moved(db: &dyn Database, now: Base, then: Base) -> Result<Error> {
    let error = |message: String| Error::new(Code::Conflict, message).about("store/moved").hint("plan again");
    if now.revision == then.revision {
        return Ok(error("other software has changed the store since the plan was made".to_owned()));
    }
    let last = "SELECT at, actor, project FROM revision WHERE revision = ?1";
    let by = db.first(last, &[number(now.revision)], |row| {
        Ok(format!(", last at {} by {} for {}", row.string(0), row.string(1), row.string(2)))
    })?;
    let by = by.unwrap_or_default();
    Ok(error(format!("the plan was made at revision {}, the store is at {}{by}", then.revision, now.revision)))
}

/// The error of a store that does not hold what it should after the changes.
pub fn strange(addresses: &[crate::model::Address]) -> Error {
    let named = match addresses {
        [] => "what the plan does not touch has changed as well".to_owned(),
        strange => strange.iter().map(|address| format!("`{address}`")).collect::<Vec<_>>().join(", "),
    };
    let message = format!("the store does not hold what the plan says it would ({named}); nothing has been changed");
    Error::failure(message)
        .hint("look for triggers of other software on the tables of yubin: they change what is written")
}
