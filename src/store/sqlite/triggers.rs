//! Triggers that notice what other software writes.
//!
//! What yubin writes itself is none of theirs, and SQLite would keep a journal of every single insert for them. They are
//! switched off for the connection: taking them away would change the schema, and who has the database open would have
//! to read it anew. Dovecot does not: the next login or delivery of each of its processes would fail.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::model::Kind;
use crate::store::sql::columns::{OWN_COLUMNS, all_columns};

/// What has become of yubin's own triggers.
#[must_use]
#[derive(Clone, Copy)]
pub enum Silent {
    /// They stand where they were, and this connection runs none.
    Off,
    /// They are taken away: some were missing or of before, or those of other software must run.
    Gone,
}

/// Keeps yubin's triggers from noticing what this connection writes from now on.
pub fn silence(connection: &Connection) -> rusqlite::Result<Silent> {
    let mut own = own();
    own.sort();
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if found.collect::<rusqlite::Result<Vec<(String, String)>>>()? == own {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        return Ok(Silent::Off);
    }
    for (name, _) in own {
        connection.execute_batch(&format!("DROP TRIGGER IF EXISTS {name}"))?;
    }
    Ok(Silent::Gone)
}

/// Lets them notice again.
pub fn restore(connection: &Connection, silent: Silent) -> rusqlite::Result<()> {
    match silent {
        Silent::Off => connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true).map(drop),
        Silent::Gone => make(connection),
    }
}

pub fn make(connection: &Connection) -> rusqlite::Result<()> {
    own().iter().try_for_each(|(_, sql)| connection.execute_batch(sql))
}

/// Whether triggers of other software run on what is written.
pub fn are_foreign(connection: &Connection) -> rusqlite::Result<bool> {
    let own = own();
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")?;
    let mut names = statement.query_map([], |row| row.get::<_, String>(0))?;
    names.try_fold(false, |any, name| name.map(|name| any || own.iter().all(|(own, _)| *own != name)))
}

/// Notice what other software writes: keep the state that it replaces, forget the record that is no
/// longer what was applied, note the resource, and count.
const EVENTS: [(&str, &str); 3] =
    [("inserted", "BEFORE INSERT"), ("updated", "AFTER UPDATE OF"), ("deleted", "AFTER DELETE")];

/// Names and statements.
fn own() -> Vec<(String, String)> {
    let mut own = Vec::new();
    let mut put = |name: String, rest: String| own.push((name.clone(), format!("CREATE TRIGGER {name} {rest}")));
    for kind in Kind::ALL {
        let columns = all_columns(kind);
        let all = columns.join(", ");
        let keys = kind.key_parts();
        let of_new: Vec<String> = keys.iter().map(|key| format!("{key} = NEW.{key}")).collect();
        let of_new = of_new.join(" AND ");
        let old: Vec<String> = columns.iter().map(|column| format!("OLD.{column}")).collect();
        let old = old.join(", ");
        let watched: Vec<&str> =
            columns.iter().map(String::as_str).filter(|column| *column != OWN_COLUMNS[0]).collect();
        let watched = watched.join(", ");
        for (event, when) in EVENTS {
            let when = if event == "updated" { format!("{when} {watched}") } else { when.to_owned() };
            let keep = match event {
                // INSERT OR REPLACE takes a row away without a word.
                "inserted" => format!(
                    "INSERT INTO {kind}_history ({all}, yubin_during) SELECT {all}, {NOW} FROM {kind} WHERE {of_new};"
                ),
                _ => format!("INSERT INTO {kind}_history ({all}, yubin_during) VALUES ({old}, {NOW});"),
            };
            let kept = "last_insert_rowid()";
            let note = match event {
                "inserted" => note(
                    kind,
                    "NEW",
                    &format!("CASE WHEN EXISTS (SELECT 1 FROM {kind} WHERE {of_new}) THEN {kept} END"),
                ),
                "updated" => note(kind, "OLD", kept) + &note(kind, "NEW", "NULL"),
                _ => note(kind, "OLD", kept),
            };
            let forget = match event {
                "updated" => format!("UPDATE {kind} SET yubin_declared = NULL WHERE {of_new};"),
                _ => String::new(),
            };
            put(
                format!("{kind}_{event}_outside"),
                format!(
                    "{when} ON {kind} BEGIN
                   {keep} {note} {forget} UPDATE meta SET outside_writes = outside_writes + 1;
                 END"
                ),
            );
        }
        // UPDATE OR REPLACE takes away the row whose key another one gets.
        let moves: Vec<String> = keys.iter().map(|key| format!("NEW.{key} IS NOT OLD.{key}")).collect();
        let replaced = note(
            kind,
            "NEW",
            &format!("CASE WHEN EXISTS (SELECT 1 FROM {kind} WHERE {of_new}) THEN last_insert_rowid() END"),
        );
        put(
            format!("{kind}_replaced_outside"),
            format!(
                "BEFORE UPDATE OF {} ON {kind} WHEN {} BEGIN
               INSERT INTO {kind}_history ({all}, yubin_during) SELECT {all}, {NOW} FROM {kind} WHERE {of_new};
               {replaced}
             END",
                keys.join(", "),
                moves.join(" OR ")
            ),
        );
        // A row that was inserted with everything, its digest too, is not what was applied.
        put(
            format!("{kind}_forgotten_outside"),
            format!(
                "AFTER INSERT ON {kind} WHEN NEW.yubin_declared IS NOT NULL BEGIN
               UPDATE {kind} SET yubin_declared = NULL WHERE {of_new};
             END"
            ),
        );
    }
    own
}

/// The revision during which something happens.
const NOW: &str = "(SELECT revision FROM meta)";

/// Notes a resource that other software touches, unless it has done so since yubin wrote it last: `before` is
/// the image of the state that yubin left.
fn note(kind: Kind, row: &str, before: &str) -> String {
    let user = if kind == Kind::Pattern { format!("{row}.user") } else { "''".to_owned() };
    // No conflict may arise here: what the statement of the other software says of conflicts would decide it.
    format!(
        "INSERT INTO outside (kind, user, name, before, during) SELECT '{kind}', {user}, {row}.name, {before}, {NOW}
         WHERE NOT EXISTS (
           SELECT 1 FROM outside WHERE kind = '{kind}' AND user = {user} AND name = {row}.name AND settled IS NULL
         );"
    )
}
