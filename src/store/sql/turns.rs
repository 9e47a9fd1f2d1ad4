//! What watchers agree on, the same in both databases. Times are those of the database, as text that sorts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::desk::{Connects, write};
use super::{Database, Result, VERSION, number, text};
use crate::model::{Approval, Code, Error, Lead};
use crate::store::Turns;

/// The version of the schema with which this came.
const SINCE: i32 = 6;

/// For how long the lead can be taken at once.
const LEASES: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(3600);

/// What ends later than this from now is of a time when the clock was wrong. It is more than the longest lease: who
/// has waited for another's write has looked at the clock before that.
const FURTHEST: Duration = Duration::from_secs(2 * 3600);

/// For how long an approval holds.
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Of approvals, the newest are enough: a plan is approved for now.
const MOST: u64 = 1000;

/// Two approvals of one second have an order, too.
pub(super) fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A time that is beyond all times is the furthest.
fn after(now: Timestamp, length: Duration) -> String {
    written(now.saturating_add(length).unwrap_or(Timestamp::MAX))
}

/// What has been approved before this is forgotten.
fn forgotten(now: Timestamp) -> String {
    written(now.saturating_sub(MONTH).unwrap_or(Timestamp::MIN))
}

/// Who leads the project now.
fn leader(db: &dyn Database, project: &str) -> Result<Option<String>> {
    let now = db.now()?;
    let sql = "SELECT holder FROM lead WHERE project = ?1 AND until > ?2 AND until <= ?3";
    let (now, furthest) = (written(now), after(now, FURTHEST));
    db.first(sql, &[text(project), text(&now), text(&furthest)], |row| Ok(row.string(0)))
}

/// One read, if the store is of this version at least, and the version of the store; `None` if there is none.
pub(super) fn look<T: Default>(
    store: &impl Connects,
    since: i32,
    mut read: impl FnMut(&dyn Database) -> Result<T>,
) -> crate::model::Result<Option<(T, i32)>> {
    let mut found = None;
    store.reading(&mut |db, version| {
        let read = if version >= since { read(db)? } else { T::default() };
        found = Some((read, version));
        Ok(())
    })?;
    Ok(found)
}

impl<C: Connects + Send + Sync> Turns for C {
    fn lead(&self, project: &str, holder: &str, lease: Duration) -> crate::model::Result<Lead> {
        if !LEASES.contains(&lease) {
            return Err(Error::new(Code::Usage, "the lead is taken for half a second to an hour"));
        }
        // Who stands by does not write.
        let Some((other, version)) = look(self, SINCE, |db| leader(db, project))? else { return Ok(Lead::Ours) };
        if let Some(holder) = other.filter(|other| other != holder) {
            return Ok(Lead::Other { holder });
        }
        if version < VERSION {
            self.bring_up()?;
        }
        let sql = "INSERT INTO lead (project, holder, until) VALUES (?1, ?2, ?4)
                   ON CONFLICT (project) DO UPDATE SET holder = excluded.holder, until = excluded.until
                   WHERE lead.holder = excluded.holder OR lead.until <= ?3 OR lead.until > ?5";
        let other = write(self, |db| {
            let now = db.now()?;
            let (until, furthest, now) = (after(now, lease), after(now, FURTHEST), written(now));
            let params = [text(project), text(holder), text(&now), text(&until), text(&furthest)];
            if db.execute(sql, &params)? > 0 {
                return Ok(None);
            }
            let sql = "SELECT holder FROM lead WHERE project = ?1";
            db.first(sql, &[text(project)], |row| Ok(row.string(0)))
        })?;
        Ok(other.map_or(Lead::Ours, |holder| Lead::Other { holder }))
    }

    fn resign(&self, project: &str, holder: &str) -> crate::model::Result<()> {
        let (leads, params) = ("FROM lead WHERE project = ?1 AND holder = ?2", [text(project), text(holder)]);
        let held = look(self, SINCE, |db| db.exists(&format!("SELECT 1 {leads}"), &params))?;
        if held.is_none_or(|(held, _)| !held) {
            return Ok(());
        }
        write(self, |db| db.execute(&format!("DELETE {leads}"), &params).map(drop))
    }

    fn approve(&self, project: &str, approval: &Approval) -> crate::model::Result<()> {
        let Approval { digest, actor, at: _ } = approval;
        let Some(((), version)) = look(self, SINCE, |_| Ok(()))? else {
            return Err(Error::failure("there is no store yet, and no plan for it needs to be approved")
                .hint("the first apply makes the store; look at `store:` if there should be one"));
        };
        if version < VERSION {
            self.bring_up()?;
        }
        let sql = "INSERT INTO approval (project, digest, actor, at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (project, digest) DO UPDATE SET actor = excluded.actor, at = excluded.at";
        write(self, |db| {
            let now = db.now()?;
            db.execute("DELETE FROM approval WHERE at < ?1", &[text(&forgotten(now))])?;
            db.execute(sql, &[text(project), text(digest), text(actor), text(&written(now))]).map(drop)
        })
    }

    fn approvals(&self, project: &str) -> crate::model::Result<Vec<Approval>> {
        let sql = "SELECT digest, actor, at FROM approval WHERE project = ?1 AND at >= ?2
                   ORDER BY at DESC, digest LIMIT ?3";
        let found = look(self, SINCE, |db| {
            let since = forgotten(db.now()?);
            db.all(sql, &[text(project), text(&since), number(MOST)], |row| {
                Ok(Approval { digest: row.string(0), actor: row.string(1), at: row.string(2) })
            })
        })?;
        Ok(found.map(|(approvals, _)| approvals).unwrap_or_default())
    }
}
