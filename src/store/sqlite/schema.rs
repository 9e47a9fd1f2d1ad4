//! The tables, generated from the field tables: one typed column per field, so that other
//! software can read the state. Each state that a resource was in stands exactly once: in its
//! table while it is current, in the history table beside it from then on.
//!
//! Writes of other software are noticed by triggers (`triggers`).

use std::fmt::Write as _;

use rusqlite::Connection;

use super::mail_server::mail_server;
use crate::model::{Kind, Type};
use crate::store::sql::columns::proofs;

pub use crate::store::sql::VERSION;

/// "yubi" in ASCII, so that a database can be told from one of other software.
const APPLICATION_ID: i32 = 0x7975_6269;
/// What a server keeps beside the state.
macro_rules! desk {
    () => {
        "
CREATE INDEX revision_by_changes ON revision (changes_before);
CREATE INDEX revision_by_event ON revision (last_event) WHERE last_event IS NOT NULL;
CREATE TABLE token (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  scope TEXT NOT NULL,
  owners TEXT NOT NULL,
  created TEXT NOT NULL,
  expires TEXT,
  revoked TEXT
) STRICT;
CREATE TABLE session (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_user ON session (user, id);
CREATE TABLE request (
  key BLOB PRIMARY KEY,
  body BLOB NOT NULL,
  revision INTEGER NOT NULL,
  at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX request_by_time ON request (at);
CREATE TABLE acknowledged (event INTEGER PRIMARY KEY) STRICT;
CREATE TABLE attempt (
  event INTEGER NOT NULL,
  hook TEXT NOT NULL,
  tries INTEGER NOT NULL,
  done INTEGER NOT NULL,
  error TEXT,
  at TEXT NOT NULL,
  PRIMARY KEY (event, hook)
) STRICT, WITHOUT ROWID;
CREATE TABLE told (
  project TEXT NOT NULL,
  hook TEXT NOT NULL,
  revision INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  error TEXT,
  at TEXT NOT NULL,
  PRIMARY KEY (project, hook)
) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
  project TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"
    };
}

/// What watchers agree on.
macro_rules! turns {
    () => {
        "
CREATE TABLE lead (
  project TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE approval (
  project TEXT NOT NULL,
  digest TEXT NOT NULL,
  actor TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (project, digest)
) STRICT, WITHOUT ROWID;
"
    };
}

/// What was done for migrations.
macro_rules! migrations {
    () => {
        "
CREATE TABLE migration (
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  number INTEGER NOT NULL,
  step INTEGER NOT NULL,
  deed TEXT NOT NULL,
  actor TEXT NOT NULL,
  at TEXT NOT NULL,
  note TEXT,
  evidence TEXT NOT NULL,
  PRIMARY KEY (project, name, number)
) STRICT, WITHOUT ROWID;
"
    };
}

/// From each version to the next, the first from version 1. An apply takes them, in its transaction;
/// reading takes a store of any version as it is.
const STEPS: [&str; VERSION as usize - 1] = [
    "ALTER TABLE revision ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0",
    // What was sealed stays where it is until the password changes, or the store gets a new key.
    "ALTER TABLE account RENAME COLUMN password TO password_proof;
     ALTER TABLE account ADD COLUMN password TEXT;
     ALTER TABLE account_history RENAME COLUMN password TO password_proof;
     ALTER TABLE account_history ADD COLUMN password TEXT;",
    // What other software wrote before this stays in the history, and is no drift.
    "ALTER TABLE revision ADD COLUMN renames INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE revision ADD COLUMN disables INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE revision ADD COLUMN purges INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE revision ADD COLUMN git_commit TEXT;
     ALTER TABLE change ADD COLUMN previously TEXT;
     CREATE INDEX change_renames ON change (kind, user, name) WHERE previously IS NOT NULL;
     ALTER TABLE server ADD COLUMN yubin_disabled INTEGER;
     ALTER TABLE server ADD COLUMN yubin_previously TEXT;
     ALTER TABLE server ADD COLUMN protected INTEGER;
     ALTER TABLE server_history ADD COLUMN yubin_disabled INTEGER;
     ALTER TABLE server_history ADD COLUMN yubin_previously TEXT;
     ALTER TABLE server_history ADD COLUMN protected INTEGER;
     ALTER TABLE server_history ADD COLUMN yubin_during INTEGER;
     ALTER TABLE account ADD COLUMN yubin_disabled INTEGER;
     ALTER TABLE account ADD COLUMN yubin_previously TEXT;
     ALTER TABLE account ADD COLUMN protected INTEGER;
     ALTER TABLE account_history ADD COLUMN yubin_disabled INTEGER;
     ALTER TABLE account_history ADD COLUMN yubin_previously TEXT;
     ALTER TABLE account_history ADD COLUMN protected INTEGER;
     ALTER TABLE account_history ADD COLUMN yubin_during INTEGER;
     ALTER TABLE pattern ADD COLUMN yubin_disabled INTEGER;
     ALTER TABLE pattern ADD COLUMN yubin_previously TEXT;
     ALTER TABLE pattern ADD COLUMN protected INTEGER;
     ALTER TABLE pattern_history ADD COLUMN yubin_disabled INTEGER;
     ALTER TABLE pattern_history ADD COLUMN yubin_previously TEXT;
     ALTER TABLE pattern_history ADD COLUMN protected INTEGER;
     ALTER TABLE pattern_history ADD COLUMN yubin_during INTEGER;
     CREATE INDEX server_disabled ON server (name) WHERE yubin_disabled IS NOT NULL;
     CREATE INDEX account_disabled ON account (name) WHERE yubin_disabled IS NOT NULL;
     CREATE INDEX pattern_disabled ON pattern (user, name) WHERE yubin_disabled IS NOT NULL;
     CREATE TABLE outside (
       kind TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL,
       before INTEGER, during INTEGER NOT NULL, settled INTEGER
     ) STRICT;
     CREATE INDEX outside_open ON outside (kind, user, name) WHERE settled IS NULL;",
    // What was caused before this counts as carried out: nobody has listened.
    concat!(
        "ALTER TABLE meta ADD COLUMN events_done INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE revision ADD COLUMN changes_before INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE revision ADD COLUMN last_event INTEGER;
         UPDATE revision SET changes_before = before.count FROM (
           SELECT revision AS of, sum(own) OVER (ORDER BY revision) - own AS count FROM (
             SELECT revision,
               coalesce((SELECT max(seq) FROM change WHERE change.revision = revision.revision), 0) AS own
             FROM revision
           )
         ) AS before WHERE of = revision.revision;
         UPDATE meta SET events_done = coalesce((
           SELECT changes_before + coalesce((SELECT max(seq) FROM change WHERE change.revision = revision.revision), 0)
           FROM revision ORDER BY revision DESC LIMIT 1
         ), 0);",
        desk!()
    ),
    turns!(),
    concat!(
        "ALTER TABLE account ADD COLUMN login_imap INTEGER;
         ALTER TABLE account ADD COLUMN login_pop3 INTEGER;
         ALTER TABLE account ADD COLUMN login_smtp INTEGER;
         ALTER TABLE account_history ADD COLUMN login_imap INTEGER;
         ALTER TABLE account_history ADD COLUMN login_pop3 INTEGER;
         ALTER TABLE account_history ADD COLUMN login_smtp INTEGER;
         ALTER TABLE meta ADD COLUMN mail_server INTEGER NOT NULL DEFAULT 0;",
        mail_server!(),
        migrations!()
    ),
];

/// What stands in a database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No table yet.
    Empty,
    /// The version of its schema, this one's or an older one.
    Store(i32),
}

/// What is no store of this yubin.
pub enum Stranger {
    Unreadable(rusqlite::Error),
    /// Its format.
    Newer(i32),
    Other,
}

impl From<rusqlite::Error> for Stranger {
    fn from(error: rusqlite::Error) -> Stranger {
        Stranger::Unreadable(error)
    }
}

pub fn look(connection: &Connection) -> Result<Found, Stranger> {
    let read = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0));
    let (id, version) = (read("application_id")?, read("user_version")?);
    if id == APPLICATION_ID && (1..=VERSION).contains(&version) {
        return Ok(Found::Store(version));
    }
    if id == APPLICATION_ID && version > VERSION {
        return Err(Stranger::Newer(version));
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 { Ok(Found::Empty) } else { Err(Stranger::Other) }
}

/// Makes the tables, or brings those of an older version up to this one.
pub fn migrate(connection: &Connection, found: Found) -> rusqlite::Result<()> {
    match found {
        Found::Store(VERSION) => return Ok(()),
        Found::Store(version) => {
            for (_, step) in (1..).zip(STEPS).filter(|(from, _)| *from >= version) {
                connection.execute_batch(step)?;
            }
        }
        Found::Empty => {
            connection.execute_batch(&ddl())?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
    }
    connection.pragma_update(None, "user_version", VERSION)
}

const COMMON: &str = concat!(
    "
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL,
  outside_writes INTEGER NOT NULL,
  key_id TEXT,
  events_done INTEGER NOT NULL DEFAULT 0,
  mail_server INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO meta VALUES (1, 0, 0, NULL, 0, 0);
CREATE TABLE revision (
  revision INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  project TEXT NOT NULL,
  digest TEXT NOT NULL,
  config_digest TEXT NOT NULL,
  adds INTEGER NOT NULL,
  overwrites INTEGER NOT NULL,
  deletes INTEGER NOT NULL,
  skips INTEGER NOT NULL,
  unchanged INTEGER NOT NULL,
  note TEXT,
  yubin TEXT NOT NULL,
  recorded INTEGER NOT NULL DEFAULT 0,
  renames INTEGER NOT NULL DEFAULT 0,
  disables INTEGER NOT NULL DEFAULT 0,
  purges INTEGER NOT NULL DEFAULT 0,
  git_commit TEXT,
  changes_before INTEGER NOT NULL DEFAULT 0,
  last_event INTEGER
) STRICT;
CREATE TABLE change (
  revision INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  user TEXT,
  name TEXT NOT NULL,
  action TEXT NOT NULL,
  effect TEXT,
  file TEXT,
  line INTEGER,
  previously TEXT,
  PRIMARY KEY (revision, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_renames ON change (kind, user, name) WHERE previously IS NOT NULL;
CREATE TABLE outside (
  kind TEXT NOT NULL,
  user TEXT NOT NULL,
  name TEXT NOT NULL,
  before INTEGER,
  during INTEGER NOT NULL,
  settled INTEGER
) STRICT;
CREATE INDEX outside_open ON outside (kind, user, name) WHERE settled IS NULL;
CREATE VIEW effect AS
  SELECT revision, seq, effect, user, kind, name FROM change WHERE effect IS NOT NULL;
",
    desk!(),
    turns!(),
    migrations!()
);

pub fn ddl() -> String {
    let mut sql = COMMON.to_owned();
    for kind in Kind::ALL {
        let name = kind.name();
        let keys = kind.key_parts();
        let key_list = keys.join(", ");
        let mut columns: Vec<String> = keys.iter().map(|key| format!("{key} TEXT NOT NULL")).collect();
        columns.push("yubin_declared BLOB".to_owned());
        columns.push("yubin_owner TEXT".to_owned());
        columns.push("yubin_revision INTEGER NOT NULL DEFAULT 0".to_owned());
        columns.push("yubin_disabled INTEGER".to_owned());
        columns.push("yubin_previously TEXT".to_owned());
        let plain = columns.len();
        for field in kind.fields() {
            let ty = match field.ty {
                Type::Bool | Type::Int { .. } => "INTEGER",
                Type::Secret => "BLOB",
                _ => "TEXT",
            };
            columns.push(format!("{} {ty}", field.column()));
        }
        columns.extend(proofs(kind).map(|column| format!("{column} BLOB")));
        let history = columns.join(",\n  ");
        if let Some(at) = kind.find("server") {
            columns[plain + usize::from(at)].push_str(" REFERENCES server (name) DEFERRABLE INITIALLY DEFERRED");
        }
        let current = columns.join(",\n  ");
        // Writing to a string cannot fail.
        let _ = write!(
            sql,
            "
CREATE TABLE {name} (
  {current},
  PRIMARY KEY ({key_list})
) STRICT, WITHOUT ROWID;
CREATE TABLE {name}_history (
  {history},
  yubin_until INTEGER,
  yubin_during INTEGER
) STRICT;
CREATE INDEX {name}_history_by_key ON {name}_history ({key_list}, yubin_until);
CREATE INDEX {name}_disabled ON {name} ({key_list}) WHERE yubin_disabled IS NOT NULL;
"
        );
        if kind.find("server").is_some() {
            let _ = writeln!(sql, "CREATE INDEX {name}_by_server ON {name} (server) WHERE server IS NOT NULL;");
        }
    }
    sql.push_str(mail_server!());
    sql
}
