//! The tables, as in `SQLite`; they stand in a schema of their own.
//!
//! Booleans are booleans: other software reads them, and no other value can be written. Every other number is a
//! BIGINT, and texts compare bytewise, so that keys ascend as everywhere else. `rowid` is what `SQLite` calls
//! its own: the order in which states came into the history.
//!
//! Writes of other software are noticed by triggers, which pass over those of a transaction that has set
//! `yubin.writing`. They take the lock of an apply first, keep the state that is replaced, forget the record that
//! is no longer what was applied, note the resource, and count at the end of the statement.

use std::fmt::Write as _;

use super::db::Db;
use crate::model::Kind;
use crate::store::sql::columns::{Holds, OWN_COLUMNS, all_columns, key_list, typed};
use crate::store::sql::{Database, Failure, Result, VERSION};

/// Where everything stands.
pub const SCHEMA: &str = "yubin";

/// What watchers agree on.
macro_rules! turns {
    () => {
        "
CREATE TABLE lead (
  project T PRIMARY KEY,
  holder T NOT NULL,
  until T NOT NULL
);
CREATE TABLE approval (
  project T NOT NULL,
  digest T NOT NULL,
  actor T NOT NULL,
  at T NOT NULL,
  PRIMARY KEY (project, digest)
);
"
    };
}

/// Which ways to log in an account has. Mail servers read a store in `SQLite`, so nothing is computed for them here.
macro_rules! switches {
    () => {
        "
ALTER TABLE account
  ADD COLUMN login_imap BOOLEAN, ADD COLUMN login_pop3 BOOLEAN, ADD COLUMN login_smtp BOOLEAN;
ALTER TABLE account_history
  ADD COLUMN login_imap BOOLEAN, ADD COLUMN login_pop3 BOOLEAN, ADD COLUMN login_smtp BOOLEAN;
ALTER TABLE meta ADD COLUMN mail_server BIGINT NOT NULL DEFAULT 0;
"
    };
}

/// What was done for migrations.
macro_rules! migrations {
    () => {
        "
CREATE TABLE migration (
  project T NOT NULL,
  name T NOT NULL,
  number BIGINT NOT NULL,
  step BIGINT NOT NULL,
  deed T NOT NULL,
  actor T NOT NULL,
  at T NOT NULL,
  note T,
  evidence T NOT NULL,
  PRIMARY KEY (project, name, number)
);
"
    };
}

/// From each version to the next, the first from version 5, with which this kind of store began. `T` stands for a
/// text.
const STEPS: [&str; (VERSION - 5) as usize] = [turns!(), concat!(switches!(), migrations!())];

/// What stands in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No table yet.
    Empty,
    /// The version of its schema, this one's or an older one.
    Store(i32),
    /// One of a newer yubin.
    Newer(i32),
    /// Tables of other software in a schema of this name.
    Other,
}

pub fn look(db: &dyn Database) -> Result<Found> {
    let relation = "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = ?1";
    let ours = format!(
        "SELECT 1 {relation} AND c.relname = 'meta' AND EXISTS (
           SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'events_done'
         )"
    );
    let schema = [crate::store::sql::text(SCHEMA)];
    if db.exists(&ours, &schema)? {
        let version = db.first(&format!("SELECT version FROM {SCHEMA}.meta"), &[], |row| Ok(row.count(0)))?;
        return Ok(match version.and_then(|version| i32::try_from(version).ok()) {
            Some(version @ 1..=VERSION) => Found::Store(version),
            Some(version) => Found::Newer(version),
            None => Found::Other,
        });
    }
    let other = db.exists(&format!("SELECT 1 {relation} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"), &schema)?;
    Ok(if other { Found::Other } else { Found::Empty })
}

/// Makes the tables, or brings those of an older version up to this one.
pub fn migrate(db: &Db, found: Found) -> Result<()> {
    match found {
        Found::Store(VERSION) => return Ok(()),
        Found::Store(version) => {
            for (_, step) in (5..).zip(STEPS).filter(|(from, _)| *from >= version) {
                db.batch(&with_texts(step))?;
            }
        }
        Found::Empty => {
            // Who runs the database may have made the schema, and allow no other.
            let sql = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?1";
            if !(db as &dyn Database).exists(sql, &[crate::store::sql::text(SCHEMA)])? {
                db.batch(&format!("CREATE SCHEMA {SCHEMA}"))?;
            }
            db.batch(&ddl())?;
        }
        Found::Newer(_) | Found::Other => {}
    }
    for statement in triggers() {
        db.batch(&statement)?;
    }
    db.batch(&format!("UPDATE meta SET version = {VERSION}"))
}

pub fn ty(holds: Holds) -> &'static str {
    match holds {
        Holds::Text => "TEXT COLLATE \"C\"",
        Holds::Integer => "BIGINT",
        Holds::Boolean => "BOOLEAN",
        Holds::Bytes => "BYTEA",
    }
}

fn with_texts(sql: &str) -> String {
    let text = ty(Holds::Text);
    sql.replace(" T,", &format!(" {text},")).replace(" T ", &format!(" {text} ")).replace(" T\n", &format!(" {text}\n"))
}

/// `T` stands for a text.
const COMMON: &str = concat!(
    "
CREATE TABLE meta (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  version BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  outside_writes BIGINT NOT NULL,
  key_id T,
  events_done BIGINT NOT NULL DEFAULT 0,
  mail_server BIGINT NOT NULL DEFAULT 0
);
INSERT INTO meta VALUES (1, 0, 0, 0, NULL, 0, 0);
CREATE TABLE revision (
  revision BIGINT PRIMARY KEY,
  at T NOT NULL,
  actor T NOT NULL,
  project T NOT NULL,
  digest T NOT NULL,
  config_digest T NOT NULL,
  adds BIGINT NOT NULL,
  overwrites BIGINT NOT NULL,
  deletes BIGINT NOT NULL,
  skips BIGINT NOT NULL,
  unchanged BIGINT NOT NULL,
  note T,
  yubin T NOT NULL,
  recorded BOOLEAN NOT NULL DEFAULT false,
  renames BIGINT NOT NULL DEFAULT 0,
  disables BIGINT NOT NULL DEFAULT 0,
  purges BIGINT NOT NULL DEFAULT 0,
  git_commit T,
  changes_before BIGINT NOT NULL DEFAULT 0,
  last_event BIGINT
);
CREATE INDEX revision_by_changes ON revision (changes_before);
CREATE INDEX revision_by_event ON revision (last_event) WHERE last_event IS NOT NULL;
CREATE TABLE change (
  revision BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  kind T NOT NULL,
  \"user\" T,
  name T NOT NULL,
  action T NOT NULL,
  effect T,
  file T,
  line BIGINT,
  previously T,
  PRIMARY KEY (revision, seq)
);
CREATE INDEX change_renames ON change (kind, \"user\", name) WHERE previously IS NOT NULL;
CREATE TABLE outside (
  kind T NOT NULL,
  \"user\" T NOT NULL,
  name T NOT NULL,
  before BIGINT,
  during BIGINT NOT NULL,
  settled BIGINT
);
CREATE INDEX outside_open ON outside (kind, \"user\", name) WHERE settled IS NULL;
CREATE VIEW effect AS
  SELECT revision, seq, effect, \"user\", kind, name FROM change WHERE effect IS NOT NULL;
CREATE TABLE token (
  id T PRIMARY KEY,
  name T NOT NULL,
  hash BYTEA NOT NULL UNIQUE,
  scope T NOT NULL,
  owners T NOT NULL,
  created T NOT NULL,
  expires T,
  revoked T
);
CREATE TABLE session (
  id T PRIMARY KEY,
  \"user\" T NOT NULL,
  at T NOT NULL
);
CREATE INDEX session_by_user ON session (\"user\", id);
CREATE TABLE request (
  key BYTEA PRIMARY KEY,
  body BYTEA NOT NULL,
  revision BIGINT NOT NULL,
  at T NOT NULL
);
CREATE INDEX request_by_time ON request (at);
CREATE TABLE acknowledged (event BIGINT PRIMARY KEY);
CREATE TABLE attempt (
  event BIGINT NOT NULL,
  hook T NOT NULL,
  tries BIGINT NOT NULL,
  done BOOLEAN NOT NULL,
  error T,
  at T NOT NULL,
  PRIMARY KEY (event, hook)
);
CREATE TABLE told (
  project T NOT NULL,
  hook T NOT NULL,
  revision BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  error T,
  at T NOT NULL,
  PRIMARY KEY (project, hook)
);
CREATE TABLE delivery (
  project T PRIMARY KEY,
  holder T NOT NULL,
  until T NOT NULL
);
",
    turns!(),
    migrations!()
);

fn ddl() -> String {
    let mut sql = with_texts(COMMON);
    for kind in Kind::ALL {
        let keys = key_list(kind);
        let columns = |is_current: bool| {
            let count = kind.key_parts().len();
            let columns = typed(kind).enumerate().map(|(at, column)| {
                let rule = match column.name.as_str() {
                    _ if at < count => " NOT NULL",
                    name if name == OWN_COLUMNS[2] => " NOT NULL DEFAULT 0",
                    "server" if is_current => " REFERENCES server (name) DEFERRABLE INITIALLY DEFERRED",
                    _ => "",
                };
                format!("{} {}{rule}", column.name, ty(column.holds))
            });
            columns.collect::<Vec<_>>().join(",\n  ")
        };
        // Writing to a string cannot fail.
        let _ = write!(
            sql,
            "
CREATE TABLE {kind} (
  {},
  PRIMARY KEY ({keys})
);
CREATE TABLE {kind}_history (
  rowid BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  {},
  yubin_until BIGINT,
  yubin_during BIGINT
);
CREATE INDEX {kind}_history_by_key ON {kind}_history ({keys}, yubin_until);
CREATE INDEX {kind}_disabled ON {kind} ({keys}) WHERE yubin_disabled IS NOT NULL;
",
            columns(true),
            columns(false),
        );
        if kind.find("server").is_some() {
            let _ = writeln!(sql, "CREATE INDEX {kind}_by_server ON {kind} (server) WHERE server IS NOT NULL;");
        }
    }
    sql
}

/// What begins every name of yubin's triggers.
pub const TRIGGER: &str = "yubin_outside_";

/// Other software needs no right to what they write: they run with those of the owner of the tables.
const FUNCTION: &str = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

fn triggers() -> Vec<String> {
    let count = "coalesce(nullif(current_setting('yubin.outside', true), ''), '0')::bigint";
    let mut all = vec![
        // Other software and an apply, one after the other.
        format!(
            "CREATE OR REPLACE FUNCTION {SCHEMA}.outside_begins() {FUNCTION} AS $$ BEGIN
               PERFORM 1 FROM {SCHEMA}.meta FOR UPDATE;
               RETURN NULL;
             END $$"
        ),
        format!(
            "CREATE OR REPLACE FUNCTION {SCHEMA}.outside_forgets() {FUNCTION} AS $$ BEGIN
               NEW.yubin_declared := NULL;
               RETURN NEW;
             END $$"
        ),
        // Once for a statement: a row that a transaction writes a million times is slow to find.
        format!(
            "CREATE OR REPLACE FUNCTION {SCHEMA}.outside_ends() {FUNCTION} AS $$
             DECLARE written BIGINT := {count};
             BEGIN
               IF written > 0 THEN
                 UPDATE {SCHEMA}.meta SET outside_writes = outside_writes + written;
                 PERFORM set_config('yubin.outside', '0', true);
               END IF;
               RETURN NULL;
             END $$"
        ),
    ];
    for kind in Kind::ALL {
        let columns = all_columns(kind);
        let (list, old) = (columns.join(", "), columns.iter().map(|name| format!("OLD.{name}")).collect::<Vec<_>>());
        let note = |row: &str, before: &str| {
            let user = if kind == Kind::Pattern { format!("{row}.\"user\"") } else { "''".to_owned() };
            format!(
                "INSERT INTO {SCHEMA}.outside (kind, \"user\", name, before, during)
                 SELECT '{kind}', {user}, {row}.name, {before}, at
                 WHERE NOT EXISTS (
                   SELECT 1 FROM {SCHEMA}.outside AS noted WHERE noted.kind = '{kind}' AND noted.\"user\" = {user}
                     AND noted.name = {row}.name AND noted.settled IS NULL
                 );"
            )
        };
        let user = if kind == Kind::Pattern { "kept.\"user\"" } else { "''" };
        let returned = if kind == Kind::Pattern { "rowid, \"user\", name" } else { "rowid, name" };
        all.push(format!(
            "CREATE OR REPLACE FUNCTION {SCHEMA}.{kind}_outside() {FUNCTION} AS $$
             DECLARE
               at BIGINT := (SELECT revision FROM {SCHEMA}.meta);
               before BIGINT;
             BEGIN
               IF TG_OP = 'TRUNCATE' THEN
                 UPDATE {SCHEMA}.meta SET outside_writes = outside_writes + (SELECT count(*) FROM {SCHEMA}.{kind});
                 WITH kept AS (
                   INSERT INTO {SCHEMA}.{kind}_history ({list}, yubin_during) SELECT {list}, at FROM {SCHEMA}.{kind}
                   RETURNING {returned}
                 )
                 INSERT INTO {SCHEMA}.outside (kind, \"user\", name, before, during)
                 SELECT '{kind}', {user}, kept.name, kept.rowid, at FROM kept WHERE NOT EXISTS (
                   SELECT 1 FROM {SCHEMA}.outside AS noted WHERE noted.kind = '{kind}' AND noted.\"user\" = {user}
                     AND noted.name = kept.name AND noted.settled IS NULL
                 );
                 RETURN NULL;
               END IF;
               IF TG_OP <> 'INSERT' THEN
                 INSERT INTO {SCHEMA}.{kind}_history ({list}, yubin_during) VALUES ({}, at) RETURNING rowid INTO before;
                 {}
               END IF;
               IF TG_OP <> 'DELETE' THEN
                 {}
               END IF;
               PERFORM set_config('yubin.outside', ({count} + 1)::text, true);
               RETURN NULL;
             END $$",
            old.join(", "),
            note("OLD", "before"),
            note("NEW", "NULL"),
        ));
        let watched: Vec<&str> =
            columns.iter().map(String::as_str).filter(|column| *column != OWN_COLUMNS[0]).collect();
        let update = format!("UPDATE OF {}", watched.join(", "));
        let any = format!("INSERT OR {update} OR DELETE");
        for (name, when, each, function) in [
            ("1", format!("BEFORE {any}"), "STATEMENT", "outside_begins".to_owned()),
            ("2", format!("BEFORE INSERT OR {update}"), "ROW", "outside_forgets".to_owned()),
            ("3", format!("AFTER {any}"), "ROW", format!("{kind}_outside")),
            ("4", format!("AFTER {any}"), "STATEMENT", "outside_ends".to_owned()),
            ("5", "BEFORE TRUNCATE".to_owned(), "STATEMENT", format!("{kind}_outside")),
        ] {
            all.push(format!(
                "DROP TRIGGER IF EXISTS {TRIGGER}{name} ON {SCHEMA}.{kind};
                 CREATE TRIGGER {TRIGGER}{name} {when} ON {SCHEMA}.{kind} FOR EACH {each}
                   WHEN (current_setting('yubin.writing', true) IS DISTINCT FROM 'on')
                   EXECUTE FUNCTION {SCHEMA}.{function}()"
            ));
        }
    }
    all
}

/// Whether others stand in the way of what is written to the tables.
pub fn has_foreign_triggers(db: &dyn Database) -> Result<bool> {
    let of_ours = format!(
        "IN (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = '{SCHEMA}' AND c.relkind IN ('r', 'p'))"
    );
    db.exists(
        &format!(
            "SELECT 1 FROM pg_catalog.pg_trigger
             WHERE tgrelid {of_ours} AND NOT tgisinternal AND tgname NOT LIKE '{TRIGGER}%'
             UNION ALL SELECT 1 FROM pg_catalog.pg_rewrite WHERE ev_class {of_ours}"
        ),
        &[],
    )
}

/// The error of a database that is no store of this yubin.
pub fn stranger(found: Found, name: &str) -> Option<Failure> {
    use crate::model::Error;
    let error = match found {
        Found::Empty | Found::Store(_) => return None,
        Found::Newer(version) => {
            Error::failure(format!("the store {name} has format {version}, this yubin reads up to {VERSION}"))
                .hint("use the yubin that wrote it, or a newer one")
        }
        Found::Other => {
            Error::failure(format!("the schema `{SCHEMA}` of the database {name} belongs to other software"))
                .hint("name another database as the store")
        }
    };
    Some(error.into())
}
