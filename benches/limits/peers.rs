//! What the program is measured against: the machine's limits, and an SQL expert's script.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::child::{self, Cost};
use crate::world::{BASE_HEADER, COLUMNS, DESIRED_HEADER, Summary};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn reader(path: &Path) -> io::Result<csv::Reader<File>> {
    let mut builder = csv::ReaderBuilder::new();
    Ok(builder.has_headers(false).flexible(true).buffer_capacity(1 << 18).from_reader(File::open(path)?))
}

/// The limit of a plan: one look at every cell, and nothing done with it.
pub fn parse(path: &Path) -> Result<Duration> {
    let started = Instant::now();
    let mut reader = reader(path)?;
    let mut record = csv::ByteRecord::new();
    let mut cells = 0;
    while reader.read_byte_record(&mut record)? {
        cells += record.len();
    }
    std::hint::black_box(cells);
    Ok(started.elapsed())
}

/// The rows of a file, parsed before the clock of an insert starts.
pub fn rows(path: &Path) -> Result<Vec<csv::StringRecord>> {
    Ok(reader(path)?.into_records().collect::<std::result::Result<_, _>>()?)
}

/// The limit of a first apply: the same cells into one table by one prepared statement, keys
/// ascending, in one transaction, from opening the file to the checkpoint when it is closed.
/// What makes a commit durable and fast (journal, synchronous, cache) is as in the program.
pub fn insert(rows: &[csv::StringRecord], database: &Path, journal: &str) -> Result<Duration> {
    let started = Instant::now();
    let mut connection = Connection::open(database)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = {journal}; PRAGMA synchronous = FULL; PRAGMA cache_size = -131072;
         CREATE TABLE pattern ({} TEXT NOT NULL, PRIMARY KEY (user, pattern)) STRICT, WITHOUT ROWID;",
        COLUMNS.join(" TEXT NOT NULL, ")
    ))?;
    let transaction = connection.transaction()?;
    let marks = vec!["?"; COLUMNS.len()].join(", ");
    let mut statement = transaction.prepare(&format!("INSERT INTO pattern VALUES ({marks})"))?;
    for row in rows {
        for (at, cell) in (1..).zip(row) {
            statement.raw_bind_parameter(at, cell)?;
        }
        statement.raw_execute()?;
    }
    drop(statement);
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(started.elapsed())
}

/// What an SQL expert writes with the `sqlite3` shell: import into a temporary table, then a
/// primary-key join. `None` if the shell is not installed.
pub struct Expert {
    program: &'static str,
    pub version: String,
}

const DATABASE: &str = "expert.db";
const SCRIPT: &str = "expert.sql";
const KEY: &str = "w.user = pattern.user AND w.pattern = pattern.pattern";

impl Expert {
    pub fn find() -> Option<Expert> {
        let program = "sqlite3";
        let said = Command::new(program).arg("--version").output().ok()?;
        let version = String::from_utf8(said.stdout).ok()?;
        Some(Expert { program, version: version.split(' ').next()?.to_owned() })
    }

    /// Makes the state that is.
    pub fn fill(&self, dir: &Path) -> Result<()> {
        let sql = "BEGIN IMMEDIATE; INSERT INTO pattern SELECT * FROM temp.want; COMMIT;";
        self.run(dir, BASE_HEADER, sql).map(|_| ())
    }

    /// A plan; checks that it finds what there is to find.
    pub fn plan(&self, dir: &Path, expected: Summary) -> Result<Cost> {
        let columns = |prefix: &str| COLUMNS.map(|column| format!("{prefix}.{column}")).join(", ");
        let sql = format!(
            "SELECT '+', user, pattern FROM temp.want w WHERE NOT EXISTS (SELECT 1 FROM pattern WHERE {KEY});
             SELECT '-', user, pattern FROM pattern WHERE NOT EXISTS (SELECT 1 FROM temp.want w WHERE {KEY});
             SELECT '~', w.user, w.pattern FROM temp.want w JOIN pattern ON {KEY} WHERE ({}) IS NOT ({});",
            columns("w"),
            columns("pattern")
        );
        let cost = self.run(dir, DESIRED_HEADER, &sql)?;
        let lines = fs::read_to_string(dir.join("expert.out"))?;
        // The shell is in CSV mode after its import, and quotes some signs and not others.
        let count = |sign: char| lines.lines().filter(|line| line.trim_start_matches('"').starts_with(sign)).count();
        let found = [count('+'), count('~'), count('-')].map(|count| count as u32);
        assert_eq!(found, [expected.add, expected.overwrite, expected.delete], "the expert's plan");
        Ok(cost)
    }

    fn run(&self, dir: &Path, csv: &str, sql: &str) -> Result<Cost> {
        let declared = COLUMNS.join(" TEXT NOT NULL, ");
        let table = format!("({declared} TEXT NOT NULL, PRIMARY KEY(user, pattern))");
        let script = format!(
            "CREATE TABLE IF NOT EXISTS pattern {table};
PRAGMA temp_store=memory; PRAGMA cache_size=-262144;
CREATE TEMP TABLE want {table};
.mode csv
.import --skip 1 --schema temp {csv} want
{sql}
"
        );
        fs::write(dir.join(SCRIPT), script)?;
        let mut command = Command::new(self.program);
        command.arg("-bail").arg(DATABASE).current_dir(dir);
        Ok(child::run(&mut command, Some(&dir.join(SCRIPT)), &dir.join("expert.out"))?)
    }
}
