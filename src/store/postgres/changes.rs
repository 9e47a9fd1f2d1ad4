//! The changes of a plan, by sets: what is touched is kept in the history, taken out, and put back as it should be.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::Pooled;
use super::db::{Copying, Db, Imaged};
use super::schema;
use crate::model::{Action, Address, Change, Effect, Key, Kind, Plan};
use crate::store::sql::columns::{Column, Holds, all_columns, key_list, typed};
use crate::store::sql::image::{self, Image, Sum, Sums};
use crate::store::sql::read::key_of;
use crate::store::sql::{Cell, Database, Next, Result, Wanted, number, or_null, text};

/// Changes between two calls of `progress`.
const STRIDE: u64 = 1_000;
/// Rows that are in memory at once.
const CHUNK: usize = 10_000;

/// A resource that stands in the store and is changed.
struct Touched<'a> {
    kind: Kind,
    key: Key,
    /// Its own change, and the place of that.
    change: Option<(usize, &'a Change)>,
    /// The server that it follows.
    follow: Option<&'a Key>,
}

impl Touched<'_> {
    fn is_renamed(&self) -> bool {
        self.change.is_some_and(|(_, change)| change.action == Action::Rename)
    }

    fn removes(&self) -> bool {
        self.change.is_some_and(|(_, change)| change.action.removes())
    }
}

pub struct Writing<'a> {
    db: &'a Db,
    plan: &'a Plan,
    revision: u64,
    /// Those that write, in their order.
    changes: Vec<&'a Change>,
    /// Renamed ones first.
    touched: Vec<Touched<'a>>,
    /// Whether the whole store is compared afterwards, or what the plan touches: nothing else can have changed
    /// where no trigger of other software stands in the tables.
    whole: bool,
    predicted: Sum,
    /// What each change should leave.
    expected: Vec<Sum>,
    written: u64,
    bytes: Vec<u8>,
}

/// Takes what was found out of the question what the tables have in common.
fn join(kind: Kind) -> &'static str {
    match kind {
        Kind::Pattern => "t.kind = 'pattern' AND t.\"user\" = p.\"user\" AND t.name = p.name",
        Kind::Account => "t.kind = 'account' AND t.name = p.name",
        Kind::Server => "t.kind = 'server' AND t.name = p.name",
    }
}

const TOUCHED: &str = "pg_temp.yubin_touched";

impl<'a> Writing<'a> {
    pub fn new(db: &'a Db, plan: &'a Plan, revision: u64, whole: bool) -> Result<Writing<'a>> {
        let whole = whole || schema::has_foreign_triggers(db)?;
        let changes: Vec<&Change> = plan.changes.iter().filter(|change| change.action.writes()).collect();
        let mut touched: Vec<Touched<'_>> = Vec::new();
        for is_rename in [true, false] {
            let own = changes
                .iter()
                .enumerate()
                .filter(|(_, change)| change.action != Action::Add && (change.action == Action::Rename) == is_rename);
            touched.extend(own.map(|(at, change)| Touched {
                kind: change.kind,
                key: change.stored_key().clone(),
                change: Some((at, change)),
                follow: None,
            }));
        }
        Ok(Writing {
            db,
            plan,
            revision,
            expected: vec![Sum::default(); changes.len()],
            changes,
            touched,
            whole,
            predicted: if whole { Sum::of_all(db)? } else { Sum::default() },
            written: 0,
            bytes: Vec::with_capacity(1_024),
        })
    }

    pub fn all(mut self, before: &dyn Fn() -> Result<Option<Pooled>>, progress: &dyn Fn(u64)) -> Result<Sums> {
        self.follow()?;
        let outside = (self.db as &dyn Database).exists("SELECT 1 FROM outside WHERE settled IS NULL", &[])?;
        self.mark(outside)?;
        self.remember()?;
        let renamed = self.touched.iter().take_while(|touched| touched.is_renamed()).count();
        // All give up their names before any takes a new one.
        let mut lifted = self.replace(0..renamed)?;
        let mut start = renamed;
        while start < self.touched.len() {
            let end = self.touched.len().min(start + CHUNK);
            for mut rows in self.replace(start..end)? {
                rows.send()?;
            }
            self.count((end - start) as u64, progress);
            start = end;
        }
        lifted.iter_mut().try_for_each(Copying::send)?;
        self.add(progress)?;
        self.record()?;
        if outside {
            self.db.batch(&format!(
                "UPDATE outside AS o SET settled = {} FROM {TOUCHED} AS t
                 WHERE t.changed AND o.kind = t.kind AND o.\"user\" = t.\"user\" AND o.name = t.name
                   AND o.settled IS NULL",
                self.revision
            ))?;
        }
        progress(self.changes.len() as u64);
        let held = if self.whole { Sum::of_all(self.db)? } else { self.held()? };
        let strange = if held == self.predicted { Vec::new() } else { self.strange(before)? };
        Ok(Sums { predicted: self.predicted, held, strange })
    }

    fn count(&mut self, more: u64, progress: &dyn Fn(u64)) {
        let before = self.written;
        self.written += more;
        if before / STRIDE < self.written / STRIDE {
            progress(self.written);
        }
    }

    /// Resources that refer to a server which gets another name follow it.
    fn follow(&mut self) -> Result<()> {
        let renames: Vec<&Change> = self
            .changes
            .iter()
            .copied()
            .filter(|change| change.kind == Kind::Server && change.action == Action::Rename)
            .collect();
        if renames.is_empty() {
            return Ok(());
        }
        let places: HashMap<(Kind, Key), usize> =
            self.touched.iter().enumerate().map(|(at, touched)| ((touched.kind, touched.key.clone()), at)).collect();
        for change in renames {
            for kind in Kind::ALL.into_iter().filter(|kind| kind.find("server").is_some()) {
                let sql = format!("SELECT {} FROM {kind} WHERE server = ?1", key_list(kind));
                let db: &dyn Database = self.db;
                for key in db.all(&sql, &[text(change.stored_key().name())], |row| Ok(key_of(kind, row)))? {
                    match places.get(&(kind, key.clone())) {
                        Some(at) => self.touched[*at].follow = Some(&change.key),
                        None => self.touched.push(Touched { kind, key, change: None, follow: Some(&change.key) }),
                    }
                }
            }
        }
        Ok(())
    }

    /// Tells the database what is touched, and the keys that there will be, where those are asked for.
    fn mark(&self, outside: bool) -> Result<()> {
        self.db.batch(
            "CREATE TEMP TABLE yubin_touched (
               n BIGINT, kind TEXT COLLATE \"C\", \"user\" TEXT COLLATE \"C\", name TEXT COLLATE \"C\", changed BOOLEAN
             ) ON COMMIT DROP",
        )?;
        let columns = [
            Column::new("n", Holds::Integer),
            Column::new("kind", Holds::Text),
            Column::new("\"user\"", Holds::Text),
            Column::new("name", Holds::Text),
            Column::new("changed", Holds::Boolean),
        ];
        let mut rows = self.db.load(TOUCHED, &columns)?;
        let mut mark = |n: Cell<'_>, kind: Kind, key: &Key, changed: bool| {
            let user = if kind == Kind::Pattern { key.first() } else { "" };
            let cells = [n, text(kind.name()), text(user), text(key.name()), Cell::Integer(i64::from(changed))];
            rows.row(&cells.as_slice())
        };
        for (at, touched) in (0..).zip(&self.touched) {
            mark(number(at), touched.kind, &touched.key, touched.change.is_some())?;
        }
        if !self.whole || outside {
            let new = |change: &&&Change| matches!(change.action, Action::Add | Action::Rename);
            for change in self.changes.iter().filter(new) {
                mark(Cell::Null, change.kind, &change.key, true)?;
            }
        }
        rows.finish()?;
        self.db.batch(&format!("ANALYZE {TOUCHED}"))
    }

    /// What this revision has written itself is no state that was ever in force.
    fn remember(&self) -> Result<()> {
        for kind in Kind::ALL.into_iter().filter(|kind| self.touched.iter().any(|touched| touched.kind == *kind)) {
            let (list, of_p) = lists(kind);
            self.db.batch(&format!(
                "INSERT INTO {kind}_history ({list}, yubin_until)
                 SELECT {of_p}, {revision} FROM {TOUCHED} AS t JOIN {kind} AS p ON {}
                 WHERE t.n IS NOT NULL AND p.yubin_revision IS DISTINCT FROM {revision} ORDER BY t.n",
                join(kind),
                revision = self.revision,
            ))?;
        }
        Ok(())
    }

    /// Takes resources out of their places; what is to stand in their stead is not yet sent.
    fn replace(&mut self, range: Range<usize>) -> Result<Vec<Copying<'a>>> {
        let (db, plan, revision) = (self.db, self.plan, self.revision);
        let mut all = Vec::new();
        for kind in Kind::ALL {
            let touched = &self.touched[range.clone()];
            if !touched.iter().any(|touched| touched.kind == kind) {
                continue;
            }
            let (_, of_p) = lists(kind);
            let params = [number(range.start as u64), number(range.end as u64)];
            let sql = format!(
                "SELECT {of_p}, t.n FROM {TOUCHED} AS t JOIN {kind} AS p ON {} WHERE t.n >= ?1 AND t.n < ?2 ORDER BY t.n",
                join(kind)
            );
            let columns: Vec<Column> = typed(kind).collect();
            let mut rows = db.copying(kind.name(), &columns);
            let mut found = vec![false; touched.len()];
            let (predicted, expected, bytes) = (&mut self.predicted, &mut self.expected, &mut self.bytes);
            let whole = self.whole;
            db.query(&sql, &params, &mut |row| {
                let at = usize::try_from(row.count(columns.len())).unwrap_or_default() - range.start;
                let one = &touched[at];
                found[at] = true;
                let mut image: Image<'_> = image::of_row(kind, row);
                if whole {
                    predicted.take(kind, &image, bytes);
                }
                if one.removes() {
                    return Ok(Next::More);
                }
                if let Some(server) = one.follow {
                    image::follow(&mut image, kind, server, revision)?;
                }
                if let Some((_, change)) = one.change {
                    image::carry_out(&mut image, change, plan, revision)?;
                }
                let mut left = Sum::default();
                left.add(kind, &image, bytes);
                predicted.join(left);
                if let Some((place, _)) = one.change {
                    expected[place] = left;
                }
                rows.hold(&Imaged(&image))?;
                Ok(Next::More)
            })?;
            // The base is the one of the plan, so what it changes is there.
            let is_lost = |(one, found): (&Touched<'_>, &bool)| {
                one.kind == kind && !found && one.change.is_some() && !one.removes()
            };
            if touched.iter().zip(&found).any(is_lost) {
                return Err(rusqlite::Error::QueryReturnedNoRows.into());
            }
            let sql =
                format!("DELETE FROM {kind} AS p USING {TOUCHED} AS t WHERE {} AND t.n >= ?1 AND t.n < ?2", join(kind));
            db.execute(&sql, &params)?;
            all.push(rows);
        }
        Ok(all)
    }

    fn add(&mut self, progress: &dyn Fn(u64)) -> Result<()> {
        for kind in Kind::ALL {
            let columns: Vec<Column> = typed(kind).collect();
            let mut rows = self.db.load(kind.name(), &columns)?;
            let mut fresh = Image::new();
            for (at, change) in self.changes.clone().into_iter().enumerate() {
                if change.kind != kind || change.action != Action::Add {
                    continue;
                }
                fresh.clear();
                image::carry_out(&mut fresh, change, self.plan, self.revision)?;
                let mut left = Sum::default();
                left.add(kind, &fresh, &mut self.bytes);
                self.predicted.join(left);
                self.expected[at] = left;
                rows.row(&Imaged(&fresh))?;
                self.count(1, progress);
            }
            rows.finish()?;
        }
        Ok(())
    }

    fn record(&self) -> Result<()> {
        let mut rows = self.db.load("change", &crate::store::sql::copy::CHANGE.columns())?;
        for (seq, change) in (1..).zip(&self.changes) {
            let user = (change.kind == Kind::Pattern).then(|| change.key.first());
            let cells = [
                number(self.revision),
                number(seq),
                text(change.kind.name()),
                or_null(user),
                text(change.key.name()),
                text(change.action.name()),
                or_null(change.effect(self.plan).map(Effect::name)),
                or_null(change.source.map(|source| self.plan.file(source))),
                change.source.map_or(Cell::Null, |source| number(u64::from(source.place.line))),
                or_null(change.previously().map(Key::name)),
            ];
            rows.row(&cells.as_slice())?;
        }
        rows.finish()
    }

    /// What the store holds of all that was touched.
    fn held(&mut self) -> Result<Sum> {
        let mut held = Sum::default();
        for kind in Kind::ALL {
            let (_, of_p) = lists(kind);
            let sql = format!(
                "SELECT {of_p} FROM {kind} AS p WHERE EXISTS (SELECT 1 FROM {TOUCHED} AS t WHERE {})",
                join(kind)
            );
            let bytes = &mut self.bytes;
            self.db.query(&sql, &[], &mut |row| {
                held.add_row(kind, row, bytes);
                Ok(Next::More)
            })?;
        }
        Ok(held)
    }

    /// Some of the changes that have not left what they should.
    fn strange(&mut self, before: &dyn Fn() -> Result<Option<Pooled>>) -> Result<Vec<Address>> {
        const SOME: usize = 5;
        let mut strange = Vec::new();
        for kind in Kind::ALL {
            let of_kind: Vec<(usize, &Change)> =
                (0..).zip(self.changes.iter().copied()).filter(|(_, change)| change.kind == kind).collect();
            let mut held = vec![Sum::default(); of_kind.len()];
            let select = all_columns(kind).join(", ");
            let wanted = Wanted { kind, select: &select, table: kind.name(), more: "", order: "" };
            let bytes = &mut self.bytes;
            self.db.of_keys(&wanted, &mut of_kind.iter().map(|(_, change)| &change.key), &mut |at, row| {
                held[at].add_row(kind, row, bytes);
                Ok(())
            })?;
            let differs = of_kind.iter().zip(&held).filter(|((at, _), held)| **held != self.expected[*at]);
            strange.extend(differs.map(|((_, change), _)| change.address()));
        }
        if strange.is_empty()
            && let Some(before) = before()?
        {
            strange = self.strangers(&before)?;
        }
        strange.truncate(SOME);
        Ok(strange)
    }

    /// Resources that the plan does not touch, and that are not what they were: another connection still sees
    /// the state before.
    fn strangers(&self, before: &Db) -> Result<Vec<Address>> {
        let stored = self.touched.iter().map(|touched| (touched.kind, &touched.key));
        let touched: HashSet<(Kind, &Key)> =
            self.changes.iter().map(|change| (change.kind, &change.key)).chain(stored).collect();
        let mut strange = Vec::new();
        for kind in Kind::ALL {
            let (then, now) = (image::by_key(before, kind)?, image::by_key(self.db, kind)?);
            let keys: BTreeSet<&Key> = then.keys().chain(now.keys()).collect();
            let differs = |key: &&&Key| then.get(**key) != now.get(**key) && !touched.contains(&(kind, **key));
            strange.extend(keys.iter().filter(differs).map(|key| Address::new(kind, (**key).clone())));
        }
        Ok(strange)
    }
}

/// The columns of a kind, and the same of a table called `p`.
fn lists(kind: Kind) -> (String, String) {
    let columns = all_columns(kind);
    let of_p: Vec<String> = columns.iter().map(|column| format!("p.{column}")).collect();
    (columns.join(", "), of_p.join(", "))
}
