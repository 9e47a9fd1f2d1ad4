//! What a server keeps beside the state, the same in both databases.
//!
//! Events are the rows of the log that have an effect, numbered over all revisions; nothing is written for them
//! until they are acknowledged. Those acknowledged in order are a number in `meta`, others stand in a table until
//! the number has come up to them. A revision knows its last event, so that those without any cost no search.

use super::{Cell, Cells, Database, Next, Result, entry, number, or_null, text};
use crate::model::{Address, Attempt, Error, Event, Key, Kind, Login, Scope, Token, Told};
use crate::store::{Desk, Outbox};

/// The version of the schema with which all this came.
const SINCE: i32 = 5;

/// A store whose connections are at hand.
pub trait Connects {
    /// Makes the store, or brings it up to this version.
    fn bring_up(&self) -> crate::model::Result<()>;

    /// One consistent read, of the version that the schema has; nothing where there is no store.
    fn reading(&self, read: &mut dyn FnMut(&dyn Database, i32) -> Result<()>) -> crate::model::Result<()>;

    /// One transaction. The store may be of an older version, but not older than this desk.
    fn writing(&self, write: &mut dyn FnMut(&dyn Database) -> Result<()>) -> crate::model::Result<()>;
}

/// Of a store that no server has prepared, nothing is known.
fn read<T: Default>(
    store: &impl Connects,
    mut read: impl FnMut(&dyn Database) -> Result<T>,
) -> crate::model::Result<T> {
    let mut found = T::default();
    store.reading(&mut |db, version| {
        if version >= SINCE {
            found = read(db)?;
        }
        Ok(())
    })?;
    Ok(found)
}

pub fn write<T: Default>(
    store: &impl Connects,
    mut write: impl FnMut(&dyn Database) -> Result<T>,
) -> crate::model::Result<T> {
    let mut done = T::default();
    store.writing(&mut |db| {
        done = write(db)?;
        Ok(())
    })?;
    Ok(done)
}

const TOKEN: &str = "id, name, hash, scope, owners, created, expires, revoked";

fn token(row: &dyn Cells) -> Result<Token> {
    let unreadable = || Error::failure("the table `token` holds what is no token");
    Ok(Token {
        id: row.string(0),
        name: row.string(1),
        hash: row.blob(2).and_then(|hash| hash.try_into().ok()).ok_or_else(unreadable)?,
        scope: row.text(3).and_then(Scope::parse).ok_or_else(unreadable)?,
        owners: row.text(4).and_then(|owners| serde_json::from_str(owners).ok()).ok_or_else(unreadable)?,
        created: row.string(5),
        expires: row.owned(6),
        revoked: row.owned(7),
    })
}

impl<C: Connects + Send + Sync> Desk for C {
    fn prepare(&self) -> crate::model::Result<()> {
        self.bring_up()
    }

    fn tokens(&self) -> crate::model::Result<Vec<Token>> {
        read(self, |db| db.all(&format!("SELECT {TOKEN} FROM token ORDER BY created, id"), &[], token))
    }

    fn token(&self, hash: &[u8; 32]) -> crate::model::Result<Option<Token>> {
        let sql = format!("SELECT {TOKEN} FROM token WHERE hash = ?1");
        read(self, |db| db.first(&sql, &[Cell::Blob(hash)], token))
    }

    fn add_token(&self, token: &Token) -> crate::model::Result<()> {
        let owners = serde_json::Value::from(token.owners.clone()).to_string();
        let sql = format!("INSERT INTO token ({TOKEN}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        write(self, |db| {
            let params = [
                text(&token.id),
                text(&token.name),
                Cell::Blob(&token.hash),
                text(token.scope.name()),
                text(&owners),
                text(&token.created),
                or_null(token.expires.as_deref()),
                or_null(token.revoked.as_deref()),
            ];
            db.execute(&sql, &params).map(drop)
        })
    }

    fn revoke_token(&self, id: &str, at: &str) -> crate::model::Result<bool> {
        let sql = "UPDATE token SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL";
        write(self, |db| Ok(db.execute(sql, &[text(id), text(at)])? > 0))
    }

    fn sessions(&self, user: Option<&str>, after: Option<&str>, limit: usize) -> crate::model::Result<Vec<Login>> {
        let login = |row: &dyn Cells| Ok(Login { id: row.string(0), user: row.string(1), at: row.string(2) });
        // No id is empty.
        let (after, limit) = (text(after.unwrap_or_default()), number(limit as u64));
        read(self, |db| {
            if let Some(user) = user {
                let sql = "SELECT id, \"user\", at FROM session WHERE \"user\" = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
                return db.all(sql, &[text(user), after, limit], login);
            }
            let sql = "SELECT id, \"user\", at FROM session WHERE id > ?1 ORDER BY id LIMIT ?2";
            db.all(sql, &[after, limit], login)
        })
    }

    fn open_session(&self, login: &Login) -> crate::model::Result<bool> {
        write(self, |db| {
            let sql = "INSERT INTO session (id, \"user\", at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            db.execute(sql, &[text(&login.id), text(&login.user), text(&login.at)])?;
            let sql = "SELECT 1 FROM session WHERE id = ?1 AND \"user\" = ?2";
            db.exists(sql, &[text(&login.id), text(&login.user)])
        })
    }

    fn close_session(&self, id: &str) -> crate::model::Result<bool> {
        write(self, |db| Ok(db.execute("DELETE FROM session WHERE id = ?1", &[text(id)])? > 0))
    }

    fn answered(&self, key: &[u8; 32]) -> crate::model::Result<Option<([u8; 32], u64)>> {
        read(self, |db| entry::answered(db, key))
    }
}

impl<C: Connects + Send + Sync> Outbox for C {
    fn events(&self, after: u64, limit: usize) -> crate::model::Result<Vec<Event>> {
        read(self, |db| pending(db, after, limit))
    }

    fn acknowledge(&self, id: u64) -> crate::model::Result<bool> {
        write(self, |db| {
            let known = mark(db, id)?;
            advance(db)?;
            Ok(known)
        })
    }

    fn remembers(&self) -> bool {
        true
    }

    fn attempts(&self, first: u64, last: u64) -> crate::model::Result<Vec<Attempt>> {
        let sql = "SELECT event, hook, tries, done, error, at FROM attempt
                   WHERE event >= ?1 AND event <= ?2 AND event > (SELECT events_done FROM meta)
                     AND NOT EXISTS (SELECT 1 FROM acknowledged WHERE acknowledged.event = attempt.event)
                   ORDER BY event, hook";
        read(self, |db| {
            db.all(sql, &[number(first), number(last)], |row| {
                Ok(Attempt {
                    event: row.count(0),
                    hook: row.string(1),
                    tries: row.count(2),
                    done: row.count(3) != 0,
                    error: row.owned(4),
                    at: row.string(5),
                })
            })
        })
    }

    fn settle(&self, tried: &[Attempt], done: &[u64]) -> crate::model::Result<()> {
        write(self, |db| {
            tried.iter().try_for_each(|attempt| keep(db, attempt))?;
            done.iter().try_for_each(|id| mark(db, *id).map(drop))?;
            if done.is_empty() { Ok(()) } else { advance(db) }
        })
    }

    fn told(&self, project: &str) -> crate::model::Result<Vec<Told>> {
        let sql = "SELECT hook, revision, tries, error, at FROM told WHERE project = ?1 ORDER BY hook";
        read(self, |db| {
            db.all(sql, &[text(project)], |row| {
                Ok(Told {
                    hook: row.string(0),
                    revision: row.count(1),
                    tries: row.count(2),
                    error: row.owned(3),
                    at: row.string(4),
                })
            })
        })
    }

    fn tell(&self, project: &str, told: &Told) -> crate::model::Result<()> {
        let sql = "INSERT INTO told (project, hook, revision, tries, error, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                   ON CONFLICT (project, hook) DO UPDATE
                   SET revision = excluded.revision, tries = excluded.tries, error = excluded.error, at = excluded.at
                   WHERE told.revision <= excluded.revision";
        write(self, |db| {
            let params = [
                text(project),
                text(&told.hook),
                number(told.revision),
                number(told.tries),
                or_null(told.error.as_deref()),
                text(&told.at),
            ];
            db.execute(sql, &params).map(drop)
        })
    }

    fn hold(&self, project: &str, holder: &str, now: &str, until: &str) -> crate::model::Result<bool> {
        // Who waits does not write.
        let others = "SELECT 1 FROM delivery WHERE project = ?1 AND holder <> ?2 AND until >= ?3";
        if read(self, |db| db.exists(others, &[text(project), text(holder), text(now)]))? {
            return Ok(false);
        }
        let sql = "INSERT INTO delivery (project, holder, until) VALUES (?1, ?2, ?4)
                   ON CONFLICT (project) DO UPDATE SET holder = excluded.holder, until = excluded.until
                   WHERE delivery.holder = excluded.holder OR delivery.until < ?3";
        write(self, |db| Ok(db.execute(sql, &[text(project), text(holder), text(now), text(until)])? > 0))
    }

    fn let_go(&self, project: &str, holder: &str) -> crate::model::Result<()> {
        let sql = "DELETE FROM delivery WHERE project = ?1 AND holder = ?2";
        write(self, |db| db.execute(sql, &[text(project), text(holder)]).map(drop))
    }

    fn logged_out(&self, revision: u64, limit: usize) -> crate::model::Result<(Vec<String>, u64)> {
        let of = "FROM change WHERE revision = ?1 AND effect = 'logout' AND \"user\" IS NOT NULL";
        let list = format!("SELECT DISTINCT \"user\" {of} ORDER BY \"user\" LIMIT ?2");
        let count = format!("SELECT count(DISTINCT \"user\") {of}");
        read(self, |db| {
            let users = db.all(&list, &[number(revision), number(limit as u64)], |row| Ok(row.string(0)))?;
            let count = db.first(&count, &[number(revision)], |row| Ok(row.count(0)))?;
            Ok((users, count.unwrap_or_default()))
        })
    }
}

fn keep(db: &dyn Database, attempt: &Attempt) -> Result<()> {
    let sql = "INSERT INTO attempt (event, hook, tries, done, error, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (event, hook) DO UPDATE
               SET tries = excluded.tries, done = excluded.done, error = excluded.error, at = excluded.at";
    let params = [
        number(attempt.event),
        text(&attempt.hook),
        number(attempt.tries),
        number(u64::from(attempt.done)),
        or_null(attempt.error.as_deref()),
        text(&attempt.at),
    ];
    db.execute(sql, &params).map(drop)
}

/// All events up to this one are acknowledged.
fn done(db: &dyn Database) -> Result<u64> {
    Ok(db.first("SELECT events_done FROM meta", &[], |row| Ok(row.count(0)))?.unwrap_or_default())
}

fn pending(db: &dyn Database, after: u64, limit: usize) -> Result<Vec<Event>> {
    let after = after.max(done(db)?);
    let revisions = db.all(
        "SELECT revision, changes_before FROM revision WHERE last_event > ?1 ORDER BY revision",
        &[number(after)],
        |row| Ok((row.count(0), row.count(1))),
    )?;
    // The state before the change is in the history, under the name of before.
    let sql = "SELECT seq, effect, kind, \"user\", name, (
                 SELECT address FROM account_history AS before
                 WHERE change.kind = 'account' AND before.name = coalesce(change.previously, change.name)
                   AND before.yubin_until = change.revision
                 LIMIT 1
               ) FROM change
               WHERE revision = ?1 AND seq > ?2 AND effect IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM acknowledged WHERE event = ?3 + seq)
               ORDER BY seq LIMIT ?4";
    let mut events = Vec::new();
    for (revision, before) in revisions {
        let left = limit - events.len();
        if left == 0 {
            break;
        }
        let params = [number(revision), number(after.saturating_sub(before)), number(before), number(left as u64)];
        db.query(sql, &params, &mut |row| {
            let (kind, name) = (row.text(2).and_then(Kind::from_name), row.text(4).unwrap_or_default());
            // What a newer yubin has written is for that one.
            let Some(kind) = kind else { return Ok(Next::More) };
            let key = row.text(3).map_or_else(|| Key::single(name), |user| Key::pair(user, name));
            events.push(Event {
                id: before + row.count(0),
                effect: row.string(1),
                user: key.first().to_owned(),
                address: Address::new(kind, key),
                revision,
                mail: row.owned(5),
            });
            Ok(Next::More)
        })?;
    }
    Ok(events)
}

/// Marks an event as carried out; `false` if there is none.
fn mark(db: &dyn Database, id: u64) -> Result<bool> {
    let sql = "SELECT revision, changes_before FROM revision WHERE changes_before < ?1
               ORDER BY changes_before DESC, revision DESC LIMIT 1";
    let of = db.first(sql, &[number(id)], |row| Ok((row.count(0), row.count(1))))?;
    let Some((revision, before)) = of else { return Ok(false) };
    let sql = "SELECT 1 FROM change WHERE revision = ?1 AND seq = ?2 AND effect IS NOT NULL";
    if !db.exists(sql, &[number(revision), number(id - before)])? {
        return Ok(false);
    }
    if id > done(db)? {
        db.execute("INSERT INTO acknowledged (event) VALUES (?1) ON CONFLICT DO NOTHING", &[number(id)])?;
        db.execute("DELETE FROM attempt WHERE event = ?1", &[number(id)])?;
    }
    Ok(true)
}

/// Brings the number of those acknowledged in order up.
fn advance(db: &dyn Database) -> Result<()> {
    // Of a write that another holds up, the next acknowledgement makes up for it.
    if !db.lock_meta()? {
        return Ok(());
    }
    let was = done(db)?;
    let next = match pending(db, was, 1)?.first() {
        Some(event) => event.id - 1,
        None => entry::changes(db)?,
    };
    if next > was {
        db.execute("UPDATE meta SET events_done = ?1", &[number(next)])?;
        db.execute("DELETE FROM acknowledged WHERE event <= ?1", &[number(next)])?;
    }
    Ok(())
}
