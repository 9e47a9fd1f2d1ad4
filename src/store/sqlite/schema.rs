//! The tables, generated from the field tables: one typed column per field, so that other
//! software can read the state. Each state that a resource was in stands exactly once: in its
//! table while it is current, in the history table beside it from then on.
//!
//! Writes of other software are noticed by triggers. There is none for inserts: a trigger would
//! make `SQLite` keep a journal of every single insert, and what other software inserts stands out
//! by its missing owner anyway.

use std::fmt::Write as _;

use rusqlite::Connection;

use crate::model::{Code, Error, Field, Kind, Result, Type};

/// "yubi" in ASCII, so that a database can be told from one of other software.
const APPLICATION_ID: i32 = 0x7975_6269;
/// Counted up by each change of the schema, with a step in `MIGRATIONS`.
const VERSION: i32 = 1;

/// Columns of yubin before the fields: digest of the record that declared the resource, the
/// project that owns it, the revision that wrote it.
pub const OWN_COLUMNS: [&str; 3] = ["yubin_declared", "yubin_owner", "yubin_revision"];

/// What stands in a database file.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// No table yet.
    Empty,
    Current,
}

pub fn look(connection: &Connection) -> Result<Found> {
    let read = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0));
    let failed = |error| Error::failure("the database cannot be read").because(error);
    let (id, version) = (read("application_id").map_err(failed)?, read("user_version").map_err(failed)?);
    if id == APPLICATION_ID && version == VERSION {
        return Ok(Found::Current);
    }
    if id == APPLICATION_ID && version > VERSION {
        return Err(Error::failure(format!("the store has format {version}, this yubin reads up to {VERSION}"))
            .hint("use the yubin that wrote it, or a newer one"));
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| Error::failure("the database cannot be read").because(error))?;
    if tables == 0 {
        return Ok(Found::Empty);
    }
    Err(Error::new(Code::Failure, "the database belongs to other software")
        .hint("name another file as the store; yubin makes its own database"))
}

/// Steps from each version to the next; the first makes everything.
pub fn migrate(connection: &Connection, found: &Found) -> rusqlite::Result<()> {
    match found {
        Found::Current => Ok(()),
        Found::Empty => {
            connection.execute_batch(&ddl())?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", VERSION)
        }
    }
}

const COMMON: &str = "
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL,
  outside_writes INTEGER NOT NULL,
  writing INTEGER NOT NULL,
  key_id TEXT
) STRICT;
INSERT INTO meta VALUES (1, 0, 0, 0, NULL);
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
  yubin TEXT NOT NULL
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
  PRIMARY KEY (revision, seq)
) STRICT, WITHOUT ROWID;
CREATE VIEW effect AS
  SELECT revision, seq, effect, user, kind, name FROM change WHERE effect IS NOT NULL;
";

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
        let plain = columns.len();
        for field in kind.fields() {
            let ty = match field.ty {
                Type::Bool | Type::Int { .. } => "INTEGER",
                Type::Secret => "BLOB",
                _ => "TEXT",
            };
            columns.push(format!("{} {ty}", field.column()));
        }
        let history = columns.join(",\n  ");
        if let Some(at) = kind.find("server") {
            columns[plain + usize::from(at)].push_str(" REFERENCES server (name) DEFERRABLE INITIALLY DEFERRED");
        }
        let current = columns.join(",\n  ");
        let all = all_columns(kind).join(", ");
        let old = all_columns(kind).iter().map(|column| format!("OLD.{column}")).collect::<Vec<_>>().join(", ");
        let same = keys.iter().map(|key| format!("{key} = NEW.{key}")).collect::<Vec<_>>().join(" AND ");
        let watched: Vec<String> = keys
            .iter()
            .map(|key| (*key).to_owned())
            .chain(["yubin_owner".to_owned(), "yubin_revision".to_owned()])
            .chain(kind.fields().iter().map(Field::column))
            .collect();
        let watched = watched.join(", ");
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
  yubin_until INTEGER
) STRICT;
CREATE INDEX {name}_history_by_key ON {name}_history ({key_list}, yubin_until);
CREATE TRIGGER {name}_updated_outside AFTER UPDATE OF {watched} ON {name} WHEN (SELECT writing FROM meta) = 0 BEGIN
  INSERT INTO {name}_history ({all}, yubin_until) VALUES ({old}, NULL);
  UPDATE {name} SET yubin_declared = NULL WHERE {same};
  UPDATE meta SET outside_writes = outside_writes + 1;
END;
CREATE TRIGGER {name}_deleted_outside AFTER DELETE ON {name} WHEN (SELECT writing FROM meta) = 0 BEGIN
  INSERT INTO {name}_history ({all}, yubin_until) VALUES ({old}, NULL);
  UPDATE meta SET outside_writes = outside_writes + 1;
END;
"
        );
        if kind.find("server").is_some() {
            let _ = writeln!(sql, "CREATE INDEX {name}_by_server ON {name} (server) WHERE server IS NOT NULL;");
        }
    }
    sql
}

/// Key, yubin's own, fields: the order of columns in every statement.
pub fn all_columns(kind: Kind) -> Vec<String> {
    let own = kind.key_parts().iter().chain(&OWN_COLUMNS).map(|column| (*column).to_owned());
    own.chain(kind.fields().iter().map(Field::column)).collect()
}
