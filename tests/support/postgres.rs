//! A real PostgreSQL: one cluster for the process of the tests, a database for each of them.
//!
//! A shell watches the cluster and holds a pipe to this process: when the pipe closes, however the tests have
//! ended, it stops the database by its id and removes its folder.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use postgres::{Client, NoTls};

struct Cluster {
    folder: String,
    port: u16,
    /// Whose pipe closes when this process ends.
    _watch: Child,
}

/// Makes a cluster, starts it, says where it is, and waits until the pipe closes. `$1` is the folder of the
/// programs, `$2` a free port. Keys are sorted by language, as on most machines, and not by their bytes.
const WATCH: &str = r#"
trap '' INT TERM HUP
set -eu
folder=$(mktemp -d /tmp/yubin-pg.XXXXXX)
as=
if [ "$(id -u)" = 0 ]; then
  chown postgres "$folder"
  as="setpriv --reuid=postgres --regid=postgres --clear-groups"
fi
cd "$folder"
{ $as "$1/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --locale-provider=icu --icu-locale=en-US --no-sync ||
  $as "$1/initdb" -D data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync; } >log 2>&1
$as "$1/postgres" -D data -k "$folder" -p "$2" -c listen_addresses=127.0.0.1 -F -c full_page_writes=off \
  -c max_connections=200 -c synchronous_commit=off >>log 2>&1 &
database=$!
echo "$folder"
read -r _ || :
kill -INT "$database" 2>/dev/null || :
wait "$database" || :
cd /
rm -rf "$folder"
"#;

fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|folder| folder.join("postgres").exists() && folder.join("initdb").exists());
    found.sort();
    found.pop().expect("no PostgreSQL in /usr/lib/postgresql: tests/run installs it")
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut watch = Command::new("sh")
            .args(["-c", WATCH, "sh", programs().to_str().unwrap(), &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut folder = String::new();
        BufReader::new(watch.stdout.take().unwrap()).read_line(&mut folder).unwrap();
        let cluster = Cluster { folder: folder.trim().to_owned(), port, _watch: watch };
        assert!(!cluster.folder.is_empty(), "the PostgreSQL of the tests cannot be made");
        let mut admin = (0..300)
            .find_map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(100));
                Client::connect(&cluster.url("postgres", "postgres"), NoTls).ok()
            })
            .expect("the PostgreSQL of the tests does not start");
        // An ordinary role: all that a store needs is a database of its own.
        admin.batch_execute("CREATE ROLE yubin LOGIN").unwrap();
        cluster
    })
}

impl Cluster {
    fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@/{database}?host={}&port={}", self.folder, self.port)
    }
}

/// A database that is empty.
pub struct Database {
    name: String,
}

impl Database {
    pub fn new() -> Database {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut admin = Client::connect(&cluster().url("postgres", "postgres"), NoTls).unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {name} OWNER yubin")).unwrap();
        Database { name }
    }

    /// As yubin connects to it.
    pub fn url(&self) -> String {
        cluster().url("yubin", &self.name)
    }

    /// The same over TCP.
    pub fn tcp(&self) -> String {
        format!("postgres://yubin@127.0.0.1:{}/{}", cluster().port, self.name)
    }

    /// Other software, which finds the tables without naming their schema.
    pub fn client(&self) -> Client {
        let mut client = Client::connect(&cluster().url("postgres", &self.name), NoTls).unwrap();
        client.batch_execute("SET search_path = yubin").unwrap();
        client
    }
}
