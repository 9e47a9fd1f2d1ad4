//! The changes of a plan, row by row, and what they should leave.

use std::collections::{BTreeSet, HashSet};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Statement};

use super::triggers;
use crate::model::{Action, Address, Change, Effect, Key, Kind, Plan};
use crate::store::sql;
use crate::store::sql::columns::all_columns;
use crate::store::sql::image::{self, Image, Sum, Sums};

/// Changes between two calls of `progress`.
const STRIDE: u64 = 1_000;

/// The statements of one kind.
struct Statements<'c> {
    insert: Statement<'c>,
    update: Statement<'c>,
    remember: Statement<'c>,
    delete: Statement<'c>,
    read: Statement<'c>,
    settle: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn new(connection: &'c Connection, kind: Kind) -> rusqlite::Result<Statements<'c>> {
        let columns = all_columns(kind);
        let list = columns.join(", ");
        let marks = (1..=columns.len()).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let keys = kind.key_parts();
        let key: Vec<String> = (1..).zip(keys).map(|(at, part)| format!("{part} = ?{at}")).collect();
        let key = key.join(" AND ");
        let until = keys.len() + 1;
        let sets: Vec<String> =
            (1..).zip(&columns).skip(keys.len()).map(|(at, column)| format!("{column} = ?{at}")).collect();
        let user = if kind == Kind::Pattern { "user = ?1 AND name = ?2" } else { "user = '' AND name = ?1" };
        Ok(Statements {
            insert: connection.prepare(&format!("INSERT INTO {kind} ({list}) VALUES ({marks})"))?,
            update: connection.prepare(&format!("UPDATE {kind} SET {} WHERE {key}", sets.join(", ")))?,
            // What this revision has written itself is no state that was ever in force.
            remember: connection.prepare(&format!(
                "INSERT INTO {kind}_history ({list}, yubin_until) SELECT {list}, ?{until} FROM {kind}
                 WHERE {key} AND yubin_revision IS NOT ?{until}"
            ))?,
            delete: connection.prepare(&format!("DELETE FROM {kind} WHERE {key}"))?,
            read: connection.prepare(&format!("SELECT {list} FROM {kind} WHERE {key}"))?,
            settle: connection.prepare(&format!(
                "UPDATE outside SET settled = ?{until} WHERE kind = '{kind}' AND {user} AND settled IS NULL"
            ))?,
        })
    }

    fn read(&mut self, kind: Kind, key: &Key) -> rusqlite::Result<Option<Image<'static>>> {
        let parts = rusqlite::params_from_iter(key.parts());
        self.read.query_row(parts, |row| Ok(image::of_row(kind, row))).optional()
    }

    fn remember(&mut self, key: &Key, revision: u64) -> rusqlite::Result<()> {
        let next = bind_key(&mut self.remember, key)?;
        self.remember.raw_bind_parameter(next, revision)?;
        self.remember.raw_execute().map(drop)
    }

    fn delete(&mut self, key: &Key) -> rusqlite::Result<()> {
        bind_key(&mut self.delete, key)?;
        self.delete.raw_execute().map(drop)
    }

    fn insert(&mut self, image: &Image<'_>) -> rusqlite::Result<()> {
        execute(&mut self.insert, image)
    }

    fn update(&mut self, image: &Image<'_>) -> rusqlite::Result<()> {
        execute(&mut self.update, image)
    }

    /// What other software has done to the resource is over.
    fn settle(&mut self, key: &Key, revision: u64) -> rusqlite::Result<()> {
        let next = bind_key(&mut self.settle, key)?;
        self.settle.raw_bind_parameter(next, revision)?;
        self.settle.raw_execute().map(drop)
    }
}

/// The writing of a plan.
pub struct Writing<'a> {
    connection: &'a Connection,
    plan: &'a Plan,
    revision: u64,
    statements: [Statements<'a>; 3],
    /// Whether the whole store is compared afterwards, or what the plan touches: nothing else can have changed
    /// where no trigger of other software stands in the tables.
    whole: bool,
    predicted: Sum,
    /// What each change should leave, in their order.
    expected: Vec<Sum>,
    /// Touched before their own change, if they have one: what is read of them then has been counted.
    moved: HashSet<(Kind, Key)>,
    /// Whether other software has written since yubin did.
    outside: bool,
    bytes: Vec<u8>,
}

impl<'a> Writing<'a> {
    pub fn new(connection: &'a Connection, plan: &'a Plan, revision: u64, whole: bool) -> sql::Result<Writing<'a>> {
        let exists = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, bool>(0));
        let whole = whole || triggers::are_foreign(connection)?;
        Ok(Writing {
            connection,
            plan,
            revision,
            statements: [
                Statements::new(connection, Kind::Server)?,
                Statements::new(connection, Kind::Account)?,
                Statements::new(connection, Kind::Pattern)?,
            ],
            whole,
            predicted: if whole { Sum::of_all(connection)? } else { Sum::default() },
            expected: Vec::with_capacity(plan.changes.len()),
            moved: HashSet::new(),
            outside: exists("SELECT EXISTS (SELECT 1 FROM outside WHERE settled IS NULL)")?,
            bytes: Vec::with_capacity(1_024),
        })
    }

    pub fn all(mut self, progress: &dyn Fn(u64)) -> sql::Result<Sums> {
        let plan = self.plan;
        let renames: Vec<&Change> = plan.changes.iter().filter(|change| change.action == Action::Rename).collect();
        // Before any server gets its new name: two may change places.
        let followers = self.followers(&renames)?;
        for (kind, key, server) in &followers {
            self.follow(*kind, key, server)?;
        }
        // All give up their names before any takes a new one.
        let lifted = renames.iter().map(|change| self.lift(change)).collect::<rusqlite::Result<Vec<_>>>()?;
        let mut lifted = lifted.into_iter();
        let mut log = self.connection.prepare("INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
        let mut seq: u64 = 0;
        let mut fresh = Image::new();
        for change in plan.changes.iter().filter(|change| change.action.writes()) {
            seq += 1;
            match change.action {
                Action::Add => {
                    fresh.clear();
                    image::carry_out(&mut fresh, change, plan, self.revision)?;
                    self.insert(change, &fresh)?;
                }
                Action::Rename => {
                    let mut image = lifted.next().unwrap_or_default();
                    image::carry_out(&mut image, change, plan, self.revision)?;
                    self.insert(change, &image)?;
                }
                _ => self.touch(change)?,
            }
            record(&mut log, change, plan, self.revision, seq)?;
            if self.outside {
                let of_kind = &mut self.statements[change.kind as usize];
                of_kind.settle(&change.key, self.revision)?;
                of_kind.settle(change.stored_key(), self.revision)?;
            }
            if seq.is_multiple_of(STRIDE) {
                progress(seq);
            }
        }
        progress(seq);
        let held = if self.whole { Sum::of_all(self.connection)? } else { self.held()? };
        let strange = if held == self.predicted { Vec::new() } else { self.strange()? };
        Ok(Sums { predicted: self.predicted, held, strange })
    }

    fn insert(&mut self, change: &Change, image: &Image<'_>) -> rusqlite::Result<()> {
        self.expect(change.kind, image);
        self.statements[change.kind as usize].insert(image)
    }

    /// What the store holds of a resource before it is changed, which it then remembers. It no longer counts.
    fn before(&mut self, kind: Kind, key: &Key) -> rusqlite::Result<Option<Image<'static>>> {
        let of_kind = &mut self.statements[kind as usize];
        let image = of_kind.read(kind, key)?;
        of_kind.remember(key, self.revision)?;
        let counted = self.whole || self.moved.contains(&(kind, key.clone()));
        if let Some(image) = image.as_ref().filter(|_| counted) {
            self.predicted.take(kind, image, &mut self.bytes);
        }
        Ok(image)
    }

    /// Overwrites, disables or removes a resource.
    fn touch(&mut self, change: &Change) -> rusqlite::Result<()> {
        let before = self.before(change.kind, &change.key)?;
        let of_kind = &mut self.statements[change.kind as usize];
        if change.action.removes() {
            self.expected.push(Sum::default());
            return of_kind.delete(&change.key);
        }
        // The base is the one of the plan, so what it overwrites is there.
        let mut image: Image<'_> = before.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        image::carry_out(&mut image, change, self.plan, self.revision)?;
        of_kind.update(&image)?;
        self.expect(change.kind, &image);
        Ok(())
    }

    /// Counts what a change should leave.
    fn expect(&mut self, kind: Kind, image: &Image<'_>) {
        let mut left = Sum::default();
        left.add(kind, image, &mut self.bytes);
        self.predicted.join(left);
        self.expected.push(left);
    }

    /// Some of the changes that have not left what they should.
    fn strange(&mut self) -> sql::Result<Vec<Address>> {
        const SOME: usize = 5;
        let written = self.plan.changes.iter().filter(|change| change.action.writes());
        let mut strange = Vec::new();
        for (change, expected) in written.zip(&self.expected) {
            let mut held = Sum::default();
            let statement = &mut self.statements[change.kind as usize].read;
            let mut rows = statement.query(rusqlite::params_from_iter(change.key.parts()))?;
            while let Some(row) = rows.next()? {
                held.add_row(change.kind, row, &mut self.bytes);
            }
            if held != *expected && strange.len() < SOME {
                strange.push(change.address());
            }
        }
        if strange.is_empty()
            && let Some(path) = self.connection.path().filter(|path| !path.is_empty())
        {
            strange = self.strangers(path)?;
            strange.truncate(SOME);
        }
        Ok(strange)
    }

    /// Resources that the plan does not touch, and that are not what they were: another connection still sees
    /// the state before.
    fn strangers(&self, path: &str) -> sql::Result<Vec<Address>> {
        let before = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let moved = self.moved.iter().map(|(kind, key)| (*kind, key));
        let touched: HashSet<(Kind, &Key)> =
            self.plan.changes.iter().map(|change| (change.kind, &change.key)).chain(moved).collect();
        let mut strange = Vec::new();
        for kind in Kind::ALL {
            let (then, now) = (image::by_key(&before, kind)?, image::by_key(self.connection, kind)?);
            let keys: BTreeSet<&Key> = then.keys().chain(now.keys()).collect();
            let differs = |key: &&&Key| then.get(**key) != now.get(**key) && !touched.contains(&(kind, **key));
            strange.extend(keys.iter().filter(differs).map(|key| Address::new(kind, (**key).clone())));
        }
        Ok(strange)
    }

    /// Takes a resource out of its place, for another one.
    fn lift(&mut self, change: &Change) -> rusqlite::Result<Image<'a>> {
        let key = change.stored_key();
        let image = self.before(change.kind, key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        self.statements[change.kind as usize].delete(key)?;
        self.moved.insert((change.kind, key.clone()));
        Ok(image)
    }

    /// Lets a resource follow its server.
    fn follow(&mut self, kind: Kind, key: &Key, server: &Key) -> rusqlite::Result<()> {
        let Some(image) = self.before(kind, key)? else { return Ok(()) };
        let mut image: Image<'_> = image;
        image::follow(&mut image, kind, server, self.revision)?;
        self.statements[kind as usize].update(&image)?;
        self.predicted.add(kind, &image, &mut self.bytes);
        self.moved.insert((kind, key.clone()));
        Ok(())
    }

    /// Resources that refer to a server which gets another name.
    fn followers(&self, renames: &[&'a Change]) -> rusqlite::Result<Vec<(Kind, Key, &'a Key)>> {
        let mut followers = Vec::new();
        for change in renames.iter().filter(|change| change.kind == Kind::Server) {
            for kind in Kind::ALL.into_iter().filter(|kind| kind.find("server").is_some()) {
                let sql = format!("SELECT {} FROM {kind} WHERE server = ?1", kind.key_parts().join(", "));
                let mut statement = self.connection.prepare(&sql)?;
                let mut rows = statement.query([change.stored_key().name()])?;
                while let Some(row) = rows.next()? {
                    let parts = (0..kind.key_parts().len()).map(|at| row.get(at));
                    let parts = parts.collect::<rusqlite::Result<Vec<String>>>()?;
                    followers.push((kind, Key::from_parts(parts.iter().map(String::as_str)), &change.key));
                }
            }
        }
        Ok(followers)
    }

    /// What the store holds of all that was touched.
    fn held(&mut self) -> rusqlite::Result<Sum> {
        let mut held = Sum::default();
        let written = self.plan.changes.iter().filter(|change| change.action.writes());
        let mut keys: Vec<(Kind, &Key)> = written.map(|change| (change.kind, &change.key)).collect();
        if !self.moved.is_empty() {
            let changed: HashSet<(Kind, &Key)> = keys.iter().copied().collect();
            let moved = self.moved.iter().map(|(kind, key)| (*kind, key));
            keys.extend(moved.filter(|key| !changed.contains(key)));
        }
        for (kind, key) in keys {
            let statement = &mut self.statements[kind as usize].read;
            let mut rows = statement.query(rusqlite::params_from_iter(key.parts()))?;
            while let Some(row) = rows.next()? {
                held.add_row(kind, row, &mut self.bytes);
            }
        }
        Ok(held)
    }
}

fn execute(statement: &mut Statement<'_>, image: &Image<'_>) -> rusqlite::Result<()> {
    // Most columns are empty, and so is what is not bound.
    statement.clear_bindings();
    for (at, value) in (1..).zip(image).filter(|(_, value)| !image::is_null(value)) {
        statement.raw_bind_parameter(at, value)?;
    }
    statement.raw_execute().map(drop)
}

fn record(log: &mut Statement<'_>, change: &Change, plan: &Plan, revision: u64, seq: u64) -> rusqlite::Result<()> {
    let mut parts = change.key.parts();
    let user = if change.kind == Kind::Pattern { parts.next() } else { None };
    log.raw_bind_parameter(1, revision)?;
    log.raw_bind_parameter(2, seq)?;
    log.raw_bind_parameter(3, change.kind.name())?;
    log.raw_bind_parameter(4, user)?;
    log.raw_bind_parameter(5, parts.next())?;
    log.raw_bind_parameter(6, change.action.name())?;
    log.raw_bind_parameter(7, change.effect(plan).map(Effect::name))?;
    log.raw_bind_parameter(8, change.source.map(|source| plan.file(source)))?;
    log.raw_bind_parameter(9, change.source.map(|source| source.place.line))?;
    log.raw_bind_parameter(10, change.previously().map(Key::name))?;
    log.raw_execute()?;
    Ok(())
}

/// Binds the parts of a key; returns the number of the next parameter.
fn bind_key(statement: &mut Statement<'_>, key: &Key) -> rusqlite::Result<usize> {
    let mut at = 1;
    for part in key.parts() {
        statement.raw_bind_parameter(at, part)?;
        at += 1;
    }
    Ok(at)
}
