//! What every kind of store must do, through the program: the same cases for each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Barrier;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value as Json;
use yubin::guard::{Verdict, approve};
use yubin::model::migration::{Deed, NewAct};
use yubin::model::plan::Base;
use yubin::model::{
    Action, Approval, Attempt, Change, Clear, Code, Error, Key, Kind, Lead, Login, Plan, Request, Scope, Token, Told,
};
use yubin::store::http::{Access, Http, TokenSource};
use yubin::store::postgres::Postgres;
use yubin::store::sqlite::Sqlite;
use yubin::store::{Entry, Receipt, Snapshot, Store};

use crate::support::postgres::Database;
use crate::support::served::{Served, token};
use crate::support::{Run, World};

/// A store, and what runs against it.
pub struct Home {
    pub world: World,
    /// What `--store` is given.
    address: String,
    /// Further variables of every run.
    variables: BTreeMap<&'static str, String>,
    /// A session of other software, which writes to the tables.
    other: Other,
    /// What stands before the store, if it is reached over HTTP.
    server: Option<Served>,
}

enum Other {
    Sqlite,
    Postgres(Database),
}

/// The same key in every store: what is computed with it is the same too.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

impl Home {
    fn new(world: World, address: String, other: Other) -> Home {
        super::cli::private(&world, "key", KEY);
        super::cli::private(&world, "pw", "open sesame");
        super::cli::private(&world, "pw2", "another one");
        let key = world.file("key").display().to_string();
        Home { world, address, variables: BTreeMap::from([("YUBIN_KEY_FILE", key)]), other, server: None }
    }

    /// The same store behind a server: clients have a token, and no key.
    fn served(self) -> Home {
        let server = Served::start(&self.world, &self.address, &self.variables);
        let token = token(&self.world, &self.address, &self.variables, "apply", &["*"]);
        let variables = BTreeMap::from([("YUBIN_TOKEN", token)]);
        Home { address: server.url.clone(), variables, server: Some(server), ..self }
    }

    pub fn http_sqlite() -> Home {
        Home::sqlite().served()
    }

    pub fn http_postgres() -> Home {
        Home::postgres().served()
    }

    pub fn sqlite() -> Home {
        Home::new(World::new(), "sqlite:yubin.db".to_owned(), Other::Sqlite)
    }

    pub fn postgres() -> Home {
        let database = Database::new();
        Home::new(World::new(), database.url(), Other::Postgres(database))
    }

    /// The database, where the store is one in PostgreSQL.
    #[track_caller]
    pub fn database(&self) -> &Database {
        match &self.other {
            Other::Postgres(database) => database,
            Other::Sqlite => panic!("this store is a file"),
        }
    }

    /// Lines of `yubin.yaml` after the name and the system.
    fn project(&self, name: &str, more: &str) {
        self.world.write("yubin.yaml", format!("version: 1\nname: {name}\nsystem: generic\n{more}"));
    }

    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let args = [&["--store", self.address.as_str()], args].concat();
        let mut command = self.world.command(&args);
        command.envs(&self.variables);
        command
    }

    #[track_caller]
    fn expect(&self, code: i32, args: &[&str]) -> Run {
        let run = Run::of(self.command(args).output().unwrap());
        assert_eq!(run.code, code, "{}: yubin {}\n{}\n{}", self.address, args.join(" "), run.stdout, run.stderr);
        run
    }

    #[track_caller]
    fn json(&self, code: i32, args: &[&str]) -> Json {
        let run = self.expect(code, &[args, &["--format", "json"]].concat());
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", run.stdout, run.stderr))
    }

    #[track_caller]
    fn apply(&self, yaml: &str) {
        self.world.write("a.yaml", yaml);
        self.expect(0, &["apply", "--yes", "-q"]);
    }

    #[track_caller]
    fn nothing_to_do(&self) {
        let plan = self.json(0, &["plan"]);
        assert_eq!(super::cli::actions(&plan), [""; 0]);
    }

    /// Writes to the tables as other software does, each statement in a transaction of its own.
    #[track_caller]
    fn outside(&self, statements: &[&str]) {
        match &self.other {
            Other::Sqlite => {
                let connection = super::cli::database(&self.world);
                for sql in statements {
                    connection.execute_batch(sql).unwrap();
                }
            }
            Other::Postgres(database) => {
                let mut client = database.client();
                for sql in statements {
                    client.batch_execute(sql).unwrap();
                }
            }
        }
    }

    /// Holds the store as another writer does, while something else is done.
    fn held<T>(&self, done: impl FnOnce() -> T) -> T {
        match &self.other {
            Other::Sqlite => {
                let connection = super::cli::database(&self.world);
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                done()
            }
            Other::Postgres(database) => {
                let mut client = database.client();
                client
                    .batch_execute("SET application_name = 'their sync'; BEGIN; UPDATE account SET comment = 'theirs'")
                    .unwrap();
                done()
            }
        }
    }

    /// Everything that can be asked of the store, without times and names of stores.
    fn told(&self) -> Vec<(String, Json)> {
        let mut told = Vec::new();
        let mut ask = |args: &[&str]| {
            let run = Run::of(self.command(&[args, &["--format", "json"]].concat()).output().unwrap());
            let mut json: Json = serde_json::from_str(&run.stdout).unwrap_or_else(|_| run.stderr.into());
            normalise(&mut json);
            told.push((format!("{} -> {}", args.join(" "), run.code), json));
        };
        ask(&["plan"]);
        ask(&["show"]);
        ask(&["drift"]);
        ask(&["log"]);
        let log = self.json(0, &["log"]);
        for number in 1..=log["revisions"].as_array().map_or(0, Vec::len) {
            let number = number.to_string();
            ask(&["show", "--at", &number]);
            ask(&["undo", &number]);
        }
        for resource in self.json(0, &["show"])["resources"].as_array().unwrap() {
            ask(&["log", resource["address"].as_str().unwrap()]);
        }
        told
    }
}

/// What differs between two runs that did the same.
fn normalise(json: &mut Json) {
    match json {
        Json::Object(entries) => {
            for name in ["at", "store", "until", "since", "created", "purge_from"] {
                entries.remove(name);
            }
            entries.values_mut().for_each(normalise);
        }
        Json::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

/// The cases, for each store.
macro_rules! stores {
    ($($home:ident),*: $($case:ident),* $(,)?) => { stores!(@ ($($home)*) ($($case)*)); };
    (@ ($($home:ident)*) $cases:tt) => { $(stores!(@@ $home $cases);)* };
    (@@ $home:ident ($($case:ident)*)) => {
        mod $home {
            $(#[test]
            fn $case() {
                super::$case(&super::Home::$home());
            })*
        }
    };
}

stores! {
    sqlite, postgres:
    a_resource_lives,
    keys_ascend_bytewise,
    all_values_come_back,
    secrets_are_recognised,
    a_disabled_resource_comes_back_or_goes,
    other_software_is_noticed,
    other_software_may_do_anything,
    names_change_places,
    references_follow,
    two_projects_share,
    a_plan_applies_once,
    a_held_store_is_said_to_be,
    the_key_changes,
    many_are_written,
    triggers_of_others_are_noticed,
    a_desk_is_kept,
    a_request_is_carried_out_once,
    an_old_snapshot_stays,
    one_watcher_leads,
    of_two_at_once_one_leads,
    who_stands_by_waits_for_nobody,
    approvals_are_kept,
    acts_are_appended,
    without_a_store_there_is_nothing_to_agree_on,
    the_version_before_knew_no_watchers,
}

// What takes the key of the store, or says how a database failed, is for those who are beside it.
stores! {
    http_sqlite, http_postgres:
    a_resource_lives,
    keys_ascend_bytewise,
    all_values_come_back,
    a_disabled_resource_comes_back_or_goes,
    other_software_is_noticed,
    other_software_may_do_anything,
    names_change_places,
    references_follow,
    two_projects_share,
    a_plan_applies_once,
    a_held_store_is_said_to_be,
    many_are_written,
    one_watcher_leads,
    of_two_at_once_one_leads,
    who_stands_by_waits_for_nobody,
    approvals_are_kept,
    acts_are_appended,
}

fn a_resource_lives(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 100 }\n");
    home.apply("servers: { s: { incoming: { host: a.jp, port: 995 } } }\naccounts: { a: { server: s, comment: x }, b: {} }\npatterns: { u: { p: { server: s } } }\n");
    home.nothing_to_do();
    home.apply("servers: { s: { incoming: { host: b.jp, port: 995 } } }\naccounts: { a: { server: s, comment: y, visible: true } }\npatterns: { u: { p: { server: s } } }\n");
    home.nothing_to_do();
    assert_eq!(home.json(0, &["show"])["revision"], 2);
    let then = home.json(0, &["show", "--at", "1"]);
    assert_eq!(then["resources"].as_array().unwrap().len(), 4);
    home.expect(0, &["undo", "2", "--yes"]);
    assert_eq!(home.json(0, &["show", "account/a"])["resources"][0]["fields"]["comment"], "x");
    assert_eq!(home.json(0, &["log"])["revisions"].as_array().unwrap().len(), 3);
    let gone = "accounts: { a: { absent: true }, b: { absent: true } }\npatterns: { u: { p: { absent: true } } }\n";
    home.apply(gone);
    home.apply(&format!("servers: {{ s: {{ absent: true }} }}\n{gone}"));
    assert_eq!(home.json(0, &["show"])["resources"].as_array().unwrap().len(), 0);
}

/// In the order of a language, they would stand otherwise.
fn keys_ascend_bytewise(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 100 }\n");
    let names =
        ["a", "B", "_", "a b", "a-b", "ab", "A", "Z", "z", "ä", "é", "e\u{301}", "が", "か\u{3099}", "🦀", "10", "9"];
    let mut yaml = "accounts:\n".to_owned();
    let mut patterns = "patterns:\n".to_owned();
    for name in names {
        writeln!(yaml, "  \"{name}\": {{ comment: \"{name}\" }}").unwrap();
        writeln!(patterns, "  \"{name}\": {{ \"x {name}\": {{}}, B: {{}}, a: {{}} }}").unwrap();
    }
    home.apply(&(yaml + &patterns));
    home.nothing_to_do();
    let shown = home.json(0, &["show"]);
    let shown: Vec<&str> =
        shown["resources"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    let mut accounts: Vec<String> = names.iter().map(|name| format!("account/{name}")).collect();
    accounts.sort();
    assert_eq!(shown[..names.len()], accounts);
    home.world.write("a.yaml", "accounts: { a: {} }\npatterns: { a: { B: {} } }\n");
    home.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(home.json(0, &["show"])["resources"].as_array().unwrap().len(), 2);
    home.expect(0, &["undo", "2", "--yes", "-q"]);
    assert_eq!(home.json(0, &["show"])["resources"].as_array().unwrap().len(), 4 * names.len());
}

fn all_values_come_back(home: &Home) {
    home.project("one", "");
    let long = "長い🦀".repeat(1_500);
    let odd = crate::support::ODD_TEXTS.iter().filter(|text| !text.trim().is_empty());
    let mut yaml = format!(
        "accounts:\n  long: {{ comment: \"{long}\" }}\n  lists: {{ forward: {{ to: [a@x.jp, b@x.jp] }}, capacity: 7, visible: false }}\n"
    );
    for (number, text) in odd.enumerate() {
        writeln!(yaml, "  o{number}: {{ comment: {} }}", serde_json::to_string(text).unwrap()).unwrap();
    }
    home.world.write("a.yaml", yaml);
    home.expect(0, &["apply", "--yes", "-q"]);
    home.nothing_to_do();
    assert_eq!(home.json(0, &["show", "account/long"])["resources"][0]["fields"]["comment"], long.as_str());
}

fn secrets_are_recognised(home: &Home) {
    home.project("one", "");
    let yaml = |file: &str| {
        format!("accounts: {{ a: {{ password: {{ file: {file} }}, incoming.password: {{ file: {file} }} }} }}\n")
    };
    home.apply(&yaml("pw"));
    home.nothing_to_do();
    home.world.write("a.yaml", yaml("pw2"));
    let plan = home.json(0, &["plan"]);
    let fields: Vec<&str> =
        plan["changes"][0]["fields"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["password", "incoming.password"]);
    home.expect(0, &["apply", "--yes", "-q"]);
    home.nothing_to_do();
    home.expect(0, &["undo", "2", "--yes", "-q"]);
    home.world.write("a.yaml", yaml("pw"));
    home.nothing_to_do();
    // Without its key, nothing is known of them.
    home.world.remove("key");
    assert_ne!(Run::of(home.command(&["plan"]).output().unwrap()).code, 0);
}

fn a_disabled_resource_comes_back_or_goes(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 100, delete: after 14d }\n");
    let all = "accounts:\n  a: { comment: x, password: { file: pw } }\n  b: {}\npatterns: { u: { p: {}, q: {} } }\n";
    let less = "accounts:\n  b: {}\npatterns: { u: { q: {} } }\n";
    home.apply(all);
    home.apply(less);
    assert!(
        home.json(0, &["show", "account/a"])["resources"][0]["disabled"].is_object()
            || home.json(0, &["show", "account/a"])["resources"][0].to_string().contains("disabled")
    );
    home.apply(all);
    home.nothing_to_do();
    home.apply(less);
    home.outside(&["UPDATE revision SET at = '2020-01-01T00:00:00Z'"]);
    home.expect(0, &["apply", "--yes", "-q"]);
    home.expect(1, &["show", "account/a"]);
    home.expect(0, &["undo", "5", "--yes", "-q"]);
    home.expect(0, &["show", "account/a"]);
}

fn other_software_is_noticed(home: &Home) {
    home.project("one", "");
    let yaml = "accounts: { a: { comment: x }, b: { comment: y }, c: {} }\n";
    home.apply(yaml);
    home.world.write("a.yaml", "accounts: { a: { comment: z }, b: { comment: y }, c: {} }\n");
    home.expect(0, &["plan", "--out", "plan.yubin", "-q"]);
    home.outside(&[
        "UPDATE account SET comment = 'theirs' WHERE name = 'b'",
        "UPDATE account SET comment = 'twice' WHERE name = 'b'",
        "DELETE FROM account WHERE name = 'c'",
        "INSERT INTO account (name, comment) VALUES ('new', 'n')",
        "UPDATE account SET name = 'moved' WHERE name = 'a'",
    ]);
    let run = home.expect(5, &["apply", "plan.yubin", "--yes"]);
    assert!(run.stderr.contains("other software"), "{}", run.stderr);
    let drift = home.json(2, &["drift"]);
    let drifted = drift["drift"].as_array().unwrap().len();
    assert_eq!(drifted, 5, "{drift:#}");
    let plan = home.json(0, &["plan"]);
    let mut actions = super::cli::actions(&plan);
    actions.sort();
    assert_eq!(actions, ["add account/a", "add account/c", "overwrite account/b"]);
    home.expect(0, &["apply", "--yes", "-q"]);
    home.nothing_to_do();
    home.json(0, &["show", "--at", "1"]);
    home.expect(0, &["undo", "2", "--yes", "-q"]);
}

/// Statements over many rows, and those that undo each other.
fn other_software_may_do_anything(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 100 }\n");
    let yaml = "accounts: { a: { comment: x }, b: { comment: y }, c: {} }\npatterns: { u: { p: {}, q: {} } }\n";
    home.apply(yaml);
    home.outside(&[
        "BEGIN; UPDATE account SET comment = 'gone'; ROLLBACK",
        "UPDATE account SET comment = 'nobody' WHERE name = 'nobody'",
    ]);
    home.nothing_to_do();
    assert_eq!(home.json(0, &["drift"])["drift"].as_array().unwrap().len(), 0);
    home.outside(&[
        "BEGIN; UPDATE account SET comment = name; DELETE FROM pattern; COMMIT",
        "INSERT INTO pattern (\"user\", name) VALUES ('u', 'p')",
        "INSERT INTO account (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET comment = 'merged'",
    ]);
    home.expect(0, &["apply", "--yes", "-q"]);
    home.nothing_to_do();
    assert_eq!(home.json(0, &["show", "account/a"])["resources"][0]["fields"]["comment"], "x");
    if let Other::Postgres(_) = home.other {
        home.outside(&["TRUNCATE pattern"]);
        let drift = home.json(2, &["drift"]);
        let of_pattern = |one: &&Json| one["address"].as_str().unwrap().starts_with("pattern/");
        assert_eq!(drift["drift"].as_array().unwrap().iter().filter(of_pattern).count(), 2);
        home.expect(0, &["apply", "--yes", "-q"]);
        home.nothing_to_do();
    }
}

fn names_change_places(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 0 }\n");
    home.apply("accounts:\n  a: { comment: a, password: { file: pw } }\n  b: { comment: b, incoming.password: { file: pw2 } }\n  c: { comment: c }\n");
    let yaml = "accounts:\n  b: { previously: a, comment: a, password: { file: pw } }\n  a: { previously: b, comment: b, incoming.password: { file: pw2 } }\n  d: { previously: c, comment: more }\n";
    home.apply(yaml);
    home.nothing_to_do();
    assert_eq!(home.json(0, &["show", "account/a"])["resources"][0]["fields"]["comment"], "b");
    home.json(0, &["log", "account/d"]);
    home.expect(0, &["undo", "2", "--yes", "-q"]);
    assert_eq!(home.json(0, &["show", "account/a"])["resources"][0]["fields"]["comment"], "a");
}

fn references_follow(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 100 }\n");
    home.apply("servers: { old: { incoming: { host: x.jp } } }\naccounts: { a: { server: old }, b: { server: old }, c: {} }\npatterns: { u: { p: { server: old } } }\n");
    home.outside(&["INSERT INTO account (name, server) VALUES ('theirs', 'old')"]);
    let renamed =
        "servers: { new: { previously: old, incoming: { host: x.jp } } }\naccounts: { a: {}, b: {}, c: {} }\n";
    home.apply(renamed);
    for address in ["account/a", "account/b", "account/theirs", "pattern/u/p"] {
        assert_eq!(home.json(0, &["show", address])["resources"][0]["fields"]["server"], "new", "{address}");
    }
    home.expect(0, &["undo", "2", "--yes", "-q"]);
    assert_eq!(home.json(0, &["show", "pattern/u/p"])["resources"][0]["fields"]["server"], "old");
    // A server that is in use stays.
    home.world.write("a.yaml", "servers: {}\n");
    home.expect(4, &["apply", "--yes", "-q"]);
}

fn two_projects_share(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 100 }\n");
    home.apply("accounts: { a: { password: { file: pw } }, b: {} }\n");
    home.project("two", "policy: { undeclared: delete, max_deletes: 100 }\n");
    home.apply("accounts: { c: {} }\n");
    home.nothing_to_do();
    assert_eq!(home.json(0, &["show"])["resources"].as_array().unwrap().len(), 3);
    home.world.write("a.yaml", "accounts: { a: {}, c: {} }\n");
    home.expect(4, &["apply", "--yes", "-q"]);
    home.world.write("a.yaml", "accounts: { c: {} }\n");
    home.json(0, &["adopt", "account/b", "--from", "one", "--yes"]);
}

fn a_plan_applies_once(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\n");
    home.world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    home.expect(0, &["plan", "--out", "plan.yubin", "-q"]);
    home.expect(0, &["apply", "plan.yubin", "--yes", "-q"]);
    let run = home.expect(5, &["apply", "plan.yubin", "--yes"]);
    assert!(run.stderr.contains("revision 1") && run.stderr.contains("is at 2"), "{}", run.stderr);
    assert_eq!(home.json(0, &["show"])["revision"], 2);
}

fn a_held_store_is_said_to_be(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\n");
    home.world.write("a.yaml", "accounts: { a: { comment: x } }\n");
    let run = home.held(|| home.expect(5, &["apply", "--yes"]));
    assert!(run.stderr.contains("is held by") && run.stderr.contains("process"), "{}", run.stderr);
    if let Other::Postgres(database) = &home.other {
        assert!(run.stderr.contains("their sync"), "{}", run.stderr);
        let mut apply = database.client();
        apply
            .batch_execute(
                "SET application_name = 'yubin somebody@else'; BEGIN; SELECT pg_advisory_xact_lock(2037736041, 1)",
            )
            .unwrap();
        let run = home.expect(5, &["apply", "--yes"]);
        assert!(run.stderr.contains("`yubin somebody@else`"), "{}", run.stderr);
    }
    // Nobody waits to read, and nothing has been changed.
    home.held(|| home.json(0, &["show"]));
    home.expect(0, &["apply", "--yes", "-q"]);
}

fn the_key_changes(home: &Home) {
    home.project("one", "");
    let yaml = "accounts: { a: { password: { file: pw }, incoming.password: { file: pw } }, b: { incoming.password: { file: pw2 } } }\npatterns: { u: { p: { incoming.password: { file: pw2 } } } }\n";
    home.apply(yaml);
    home.apply(&yaml.replace("pw2", "pw"));
    let before = home.json(0, &["show"]);
    home.expect(0, &["store", "rekey", "--yes"]);
    assert_ne!(std::fs::read_to_string(home.world.file("key")).unwrap(), KEY);
    assert_eq!(home.json(0, &["show"])["resources"], before["resources"]);
    home.nothing_to_do();
    home.expect(0, &["undo", "2", "--yes", "-q"]);
    home.world.write("a.yaml", yaml);
    home.nothing_to_do();
    home.world.write("key", KEY);
    home.expect(1, &["plan"]);
}

/// More than one question and one COPY take.
fn many_are_written(home: &Home) {
    home.project("one", "policy: { undeclared: delete, max_deletes: 1000000 }\n");
    let csv = |comment: &str, skip: usize| {
        let mut csv = "kind,name,comment\n".to_owned();
        for number in (0..12_000).filter(|number| number % skip != 1) {
            writeln!(csv, "account,n{number:05},{comment}").unwrap();
        }
        csv
    };
    home.world.write("a.csv", csv("x", 1));
    home.expect(0, &["apply", "--yes", "-q"]);
    home.nothing_to_do();
    home.world.write("a.csv", csv("y", 5));
    home.expect(0, &["apply", "--yes", "-q"]);
    home.nothing_to_do();
    home.expect(0, &["undo", "2", "--yes", "-q"]);
    home.world.write("a.csv", csv("x", 1));
    home.nothing_to_do();
}

fn triggers_of_others_are_noticed(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {}, b: {} }\n");
    match &home.other {
        Other::Sqlite => home.outside(&[
            "CREATE TRIGGER theirs AFTER UPDATE ON account BEGIN UPDATE account SET comment = 'theirs' WHERE name = 'b'; END",
        ]),
        Other::Postgres(_) => home.outside(&[
            "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.label := 'theirs'; RETURN NEW; END $$",
            "CREATE TRIGGER theirs BEFORE INSERT OR UPDATE ON account FOR EACH ROW EXECUTE FUNCTION theirs()",
        ]),
    }
    home.world.write("a.yaml", "accounts: { a: { comment: x }, b: {} }\n");
    let run = home.expect(1, &["apply", "--yes", "-q"]);
    assert!(run.stderr.contains("does not hold what the plan says"), "{}", run.stderr);
    assert!(run.stderr.contains("account/"), "{}", run.stderr);
    assert_eq!(home.json(0, &["show"])["revision"], 1);
}

impl Home {
    /// The store itself, or what a client takes for it.
    fn store(&self) -> Box<dyn Store> {
        if self.server.is_some() {
            let token = TokenSource::Given(Clear::new(self.variables["YUBIN_TOKEN"].clone()));
            return Box::new(Http::new(Access::new(&self.address, token, None, Some("one")).unwrap()).unwrap());
        }
        match &self.other {
            Other::Sqlite => Box::new(Sqlite::new(self.world.file("yubin.db"))),
            Other::Postgres(_) => Box::new(Postgres::new(&self.address, "the store").unwrap()),
        }
    }
}

fn plan(base: u64, changes: Vec<Change>) -> Plan {
    let base = Base { revision: base, outside_writes: 0 };
    let mut plan = Plan { project: "one".to_owned(), base, changes, ..Plan::default() };
    plan.settle();
    plan
}

fn add(kind: Kind, key: Key) -> Change {
    Change::new(Action::Add, kind, key, None, Vec::new())
}

#[track_caller]
fn commit(store: &dyn Store, plan: &Plan, request: Option<&Request>) -> Result<Receipt, Error> {
    let entry = Entry { actor: "tester", digest: "d", key_id: None, commit: None, request };
    store.commit(&approve(plan, &Verdict::default(), false).unwrap(), &entry, &|_| {})
}

fn a_desk_is_kept(home: &Home) {
    let store = home.store();
    let desk = store.desk().unwrap();
    assert!(desk.tokens().unwrap().is_empty() && desk.events(0, 10).unwrap().is_empty());
    desk.prepare().unwrap();
    desk.prepare().unwrap();
    let token = |id: &str, hash: u8| Token {
        id: id.to_owned(),
        name: "ci".to_owned(),
        hash: [hash; 32],
        scope: Scope::Apply,
        owners: vec!["one".to_owned(), "ä,\"".to_owned()],
        created: format!("2026-01-0{hash}T00:00:00Z"),
        expires: None,
        revoked: None,
    };
    desk.add_token(&token("b", 1)).unwrap();
    desk.add_token(&token("a", 2)).unwrap();
    assert_eq!(desk.tokens().unwrap(), [token("b", 1), token("a", 2)]);
    assert_eq!(desk.token(&[2; 32]).unwrap(), Some(token("a", 2)));
    assert_eq!(desk.token(&[3; 32]).unwrap(), None);
    assert!(desk.revoke_token("a", "2026-02-01T00:00:00Z").unwrap());
    assert!(!desk.revoke_token("a", "x").unwrap() && !desk.revoke_token("none", "x").unwrap());
    let login = |id: &str, user: &str| Login { id: id.to_owned(), user: user.to_owned(), at: "2026".to_owned() };
    for (id, user, is_new) in
        [("1", "u", true), ("1", "u", true), ("1", "v", false), ("2", "v", true), ("3", "u", true)]
    {
        assert_eq!(desk.open_session(&login(id, user)).unwrap(), is_new, "{id} {user}");
    }
    assert_eq!(desk.sessions(None, Some("1"), 10).unwrap(), [login("2", "v"), login("3", "u")]);
    assert_eq!(desk.sessions(Some("u"), None, 1).unwrap(), [login("1", "u")]);
    // Accounts cause nothing; patterns end the sessions of their users.
    let patterns = ["p", "q", "r"].map(|name| add(Kind::Pattern, Key::pair("u", name)));
    let changes = [add(Kind::Account, Key::single("a"))].into_iter().chain(patterns).collect();
    assert_eq!(commit(&*store, &plan(0, changes), None).unwrap().revision, 1);
    assert_eq!(desk.sessions(None, None, 10).unwrap(), [login("2", "v")]);
    assert!(desk.close_session("2").unwrap() && !desk.close_session("2").unwrap());
    commit(&*store, &plan(1, vec![add(Kind::Account, Key::single("b"))]), None).unwrap();
    commit(&*store, &plan(2, vec![add(Kind::Pattern, Key::pair("w", "p"))]), None).unwrap();
    let events = || desk.events(0, 10).unwrap().into_iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(events(), [2, 3, 4, 6]);
    let last = desk.events(4, 10).unwrap();
    assert_eq!((last[0].user.as_str(), last[0].revision, last[0].effect.as_str()), ("w", 3, "logout"));
    assert_eq!(desk.events(2, 1).unwrap()[0].address.to_string(), "pattern/u/q");
    let tried = Attempt { event: 3, hook: "h".to_owned(), tries: 1, at: "2026".to_owned(), ..Attempt::default() };
    let done = Attempt { hook: "i".to_owned(), done: true, ..tried.clone() };
    desk.settle(&[tried.clone(), done.clone()], &[]).unwrap();
    let again = Attempt { tries: 2, error: Some("no".to_owned()), ..tried };
    desk.settle(std::slice::from_ref(&again), &[]).unwrap();
    assert_eq!(desk.attempts(1, 3).unwrap(), [again, done]);
    assert!(desk.attempts(1, 2).unwrap().is_empty() && desk.attempts(4, 9).unwrap().is_empty());
    assert_eq!(desk.logged_out(1, 1).unwrap(), (vec!["u".to_owned()], 1));
    assert_eq!(desk.logged_out(2, 9).unwrap(), (vec![], 0));
    for (id, is_one) in [(1, false), (5, false), (7, false), (0, false), (3, true), (3, true), (6, true)] {
        assert_eq!(desk.acknowledge(id).unwrap(), is_one, "{id}");
    }
    assert_eq!(events(), [2, 4]);
    assert!(desk.attempts(0, 9).unwrap().is_empty());
    assert!(desk.acknowledge(2).unwrap());
    assert_eq!(events(), [4]);
    assert!(desk.acknowledge(4).unwrap() && desk.acknowledge(2).unwrap());
    assert_eq!(events(), [0; 0]);
    commit(&*store, &plan(3, vec![add(Kind::Pattern, Key::pair("x", "p"))]), None).unwrap();
    assert_eq!(events(), [7]);
    desk.settle(&[], &[7]).unwrap();
    assert_eq!(events(), [0; 0]);
    let told = |revision, tries| Told { hook: "h".to_owned(), revision, tries, at: "2026".to_owned(), error: None };
    for (one, kept) in
        [(told(2, 0), told(2, 0)), (told(2, 3), told(2, 3)), (told(3, 0), told(3, 0)), (told(1, 0), told(3, 0))]
    {
        desk.tell("p", &one).unwrap();
        assert_eq!(desk.told("p").unwrap(), [kept]);
    }
    assert!(desk.told("q").unwrap().is_empty());
    let (now, later) = ("2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z");
    assert!(desk.hold("p", "a", now, later).unwrap() && desk.hold("p", "a", now, later).unwrap());
    assert!(!desk.hold("p", "b", now, later).unwrap() && desk.hold("q", "b", now, later).unwrap());
    assert!(desk.hold("p", "b", "2026-01-01T00:00:21Z", "2026-01-01T00:00:31Z").unwrap());
    desk.let_go("p", "a").unwrap();
    assert!(!desk.hold("p", "a", now, later).unwrap());
    desk.let_go("p", "b").unwrap();
    assert!(desk.hold("p", "a", now, later).unwrap());
}

fn a_request_is_carried_out_once(home: &Home) {
    let store = home.store();
    let desk = store.desk().unwrap();
    let request = |key: u8, body: u8| Request { key: [key; 32], body: [body; 32] };
    let first = plan(0, vec![add(Kind::Account, Key::single("a"))]);
    let receipt = |plan: &Plan, request: &Request| commit(&*store, plan, Some(request));
    let done = receipt(&first, &request(1, 1)).unwrap();
    assert_eq!((done.revision, done.again), (1, false));
    let done = receipt(&first, &request(1, 1)).unwrap();
    assert_eq!((done.revision, done.again), (1, true));
    assert_eq!(desk.answered(&[1; 32]).unwrap(), Some(([1; 32], 1)));
    let Err(error) = receipt(&first, &request(1, 2)) else { panic!("another body") };
    assert_eq!((error.code, error.about), (Code::Conflict, Some("request/reused")));
    let Err(error) = receipt(&first, &request(2, 1)) else { panic!("another base") };
    assert_eq!((error.code, error.about), (Code::Conflict, Some("store/moved")));
    assert_eq!(desk.answered(&[2; 32]).unwrap(), None);
    home.outside(&["UPDATE request SET at = '2020-01-01T00:00:00Z'"]);
    assert_eq!(desk.answered(&[1; 32]).unwrap(), None);
    let second = plan(1, vec![add(Kind::Account, Key::single("b"))]);
    assert_eq!(receipt(&second, &request(3, 1)).unwrap().revision, 2);
    // A rehearsal remembers nothing.
    let third = plan(2, vec![add(Kind::Account, Key::single("c"))]);
    let request = request(4, 1);
    let entry = Entry { actor: "tester", digest: "d", key_id: None, commit: None, request: Some(&request) };
    store.rehearse(&approve(&third, &Verdict::default(), false).unwrap(), &entry, &|_| {}).unwrap();
    assert_eq!(desk.answered(&[4; 32]).unwrap(), None);
}

/// Connections are used again, each reader still sees one state, and threads do not meet.
fn an_old_snapshot_stays(home: &Home) {
    let store = home.store();
    commit(&*store, &plan(0, vec![add(Kind::Account, Key::single("a"))]), None).unwrap();
    let old = store.snapshot().unwrap().unwrap();
    commit(&*store, &plan(1, vec![add(Kind::Account, Key::single("b"))]), None).unwrap();
    let count = |snapshot: &dyn Snapshot| snapshot.inventory("one").unwrap().of(Kind::Account).len();
    assert_eq!((count(&*old), old.base().revision), (1, 1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let snapshot = store.snapshot().unwrap().unwrap();
                    assert_eq!((count(&*snapshot), snapshot.base().revision), (2, 2));
                }
            });
        }
    });
    assert_eq!(count(&*old), 1);
}

fn other(holder: &str) -> Lead {
    Lead::Other { holder: holder.to_owned() }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(600);

fn one_watcher_leads(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\n");
    let store = home.store();
    let turns = store.turns().unwrap();
    let (a, b) = ("host-a:7:x", "host b/ü?:7:&");
    for _ in 0..2 {
        assert_eq!(turns.lead("one", a, LONG).unwrap(), Lead::Ours);
        assert_eq!(turns.lead("one", b, LONG).unwrap(), other(a));
    }
    // Each project has its own, and who does not lead gives nothing back.
    assert_eq!(turns.lead("二.-_", b, LONG).unwrap(), Lead::Ours);
    turns.resign("one", b).unwrap();
    assert_eq!(turns.lead("one", b, LONG).unwrap(), other(a));
    turns.resign("one", a).unwrap();
    turns.resign("one", a).unwrap();
    assert_eq!(turns.lead("one", b, LONG).unwrap(), Lead::Ours);
    assert_eq!(turns.lead("one", a, LONG).unwrap(), other(b));
    turns.resign("one", b).unwrap();

    let start = Instant::now();
    assert_eq!(turns.lead("one", a, SHORT).unwrap(), Lead::Ours);
    let standing_by = turns.lead("one", b, SHORT).unwrap();
    assert!(standing_by == other(a) || start.elapsed() >= SHORT, "{standing_by:?}");
    sleep(SHORT);
    assert_eq!(turns.lead("one", b, SHORT).unwrap(), Lead::Ours);
    // What has run out and nobody has taken is kept, and then lasts as long as was asked for last.
    sleep(SHORT);
    assert_eq!(turns.lead("one", b, LONG).unwrap(), Lead::Ours);
    sleep(SHORT);
    assert_eq!(turns.lead("one", a, LONG).unwrap(), other(b));
    for length in [Duration::ZERO, Duration::from_millis(499), Duration::from_secs(3601), Duration::MAX] {
        assert!(turns.lead("one", b, length).is_err(), "{length:?}");
    }
    // A clock that was wrong once does not keep everybody out.
    home.outside(&["UPDATE lead SET until = '2999-01-01T00:00:00.000000Z'"]);
    assert_eq!(turns.lead("one", a, LONG).unwrap(), Lead::Ours);
    assert_eq!(turns.lead("one", b, LONG).unwrap(), other(a));
    let base = store.snapshot().unwrap().unwrap().base();
    assert_eq!((base.revision, base.outside_writes), (1, 0));
    home.nothing_to_do();
}

fn of_two_at_once_one_leads(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\n");
    let stores = [home.store(), home.store()];
    let race = |project: &str| {
        let barrier = Barrier::new(2);
        let found = std::thread::scope(|scope| {
            let racing = stores.iter().zip(["a", "b"]).map(|(store, holder)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    store.turns().unwrap().lead(project, holder, LONG).unwrap()
                })
            });
            racing.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        let first = [Lead::Ours, other("a")];
        assert!(found == first || found == [other("b"), Lead::Ours], "{project}: {found:?}");
    };
    for round in 0..10 {
        race(&format!("p{round}"));
    }
    // And for what another has left.
    stores[0].turns().unwrap().lead("left", "c", SHORT).unwrap();
    sleep(SHORT);
    race("left");
}

/// To look does not write, so it goes on beside an apply that takes long.
fn who_stands_by_waits_for_nobody(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\n");
    let store = home.store();
    let turns = store.turns().unwrap();
    turns.lead("one", "a", LONG).unwrap();
    let start = Instant::now();
    home.held(|| {
        assert_eq!(turns.lead("one", "b", LONG).unwrap(), other("a"));
        assert!(turns.approvals("one").unwrap().is_empty());
        turns.resign("one", "b").unwrap();
    });
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

fn approvals_are_kept(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\n");
    let store = home.store();
    let turns = store.turns().unwrap();
    let digests = ["1", "2", "3"].map(|digit| digit.repeat(64));
    let approve = |project: &str, digest: &str, actor: &str| {
        let approval = Approval { digest: digest.to_owned(), actor: actor.to_owned(), at: "whenever".to_owned() };
        turns.approve(project, &approval).unwrap();
    };
    let approved = |project: &str| -> Vec<(String, String)> {
        let all = turns.approvals(project).unwrap();
        let since = Timestamp::now() - jiff::SignedDuration::from_mins(2);
        assert!(all.iter().all(|one| one.at.parse::<Timestamp>().unwrap() > since), "{all:?}");
        all.into_iter().map(|one| (one.digest, one.actor)).collect()
    };
    let one = |digest: &str, actor: &str| (digest.to_owned(), actor.to_owned());
    assert!(approved("one").is_empty());
    approve("one", &digests[0], "taro");
    approve("one", &digests[1], "花子 <h@x.jp>");
    assert_eq!(approved("one"), [one(&digests[1], "花子 <h@x.jp>"), one(&digests[0], "taro")]);
    assert!(approved("two").is_empty());
    approve("two", &digests[0], "jiro");
    // Once more, it is as if it were the first time.
    approve("one", &digests[0], "jiro");
    assert_eq!(approved("one"), [one(&digests[0], "jiro"), one(&digests[1], "花子 <h@x.jp>")]);
    home.outside(&[&format!("UPDATE approval SET at = '2020-01-01T00:00:00.000000Z' WHERE digest = '{}'", digests[0])]);
    assert_eq!(approved("one"), [one(&digests[1], "花子 <h@x.jp>")]);
    assert!(approved("two").is_empty());
    approve("one", &digests[2], "taro");
    assert_eq!(approved("one").len(), 2);
    assert_eq!(store.snapshot().unwrap().unwrap().base().revision, 1);
    home.nothing_to_do();
}

/// An act names the number that it takes.
fn acts_are_appended(home: &Home) {
    home.project("one", "");
    let act = |number: u64, deed: Deed| NewAct {
        migration: "移行-1".to_owned(),
        number,
        step: 1,
        deed,
        actor: "花子".to_owned(),
        note: (number == 2).then(|| "a 'note'".to_owned()),
        evidence: [("from".to_owned(), "old".to_owned()), ("x".to_owned(), "é\"".to_owned())].into(),
    };
    let store = home.store();
    let migrations = store.migrations().unwrap();
    assert!(migrations.acts("one").unwrap().is_empty());
    // A server always has one.
    if store.snapshot().unwrap().is_none() {
        let error = migrations.act("one", &act(1, Deed::Opened)).unwrap_err();
        assert!(error.to_string().contains("no store"), "{error}");
    }
    home.apply("accounts: { a: {} }\n");
    let first = migrations.act("one", &act(1, Deed::Opened)).unwrap();
    assert_eq!(first.act, act(1, Deed::Opened));
    let since = Timestamp::now() - jiff::SignedDuration::from_mins(2);
    assert!(first.at.parse::<Timestamp>().unwrap() > since);
    // The same once more is the same; another one comes too late, or too early.
    assert_eq!(migrations.act("one", &act(1, Deed::Opened)).unwrap(), first);
    for wrong in [act(1, Deed::Ack), act(3, Deed::Ack)] {
        assert_eq!(migrations.act("one", &wrong).unwrap_err().code, Code::Conflict);
    }
    let second = migrations.act("one", &act(2, Deed::Ack)).unwrap();
    migrations.act("two", &act(1, Deed::Done)).unwrap();
    assert_eq!(migrations.acts("one").unwrap(), [first, second]);
    let long = NewAct { note: Some("x".repeat(1001)), ..act(3, Deed::Done) };
    assert_eq!(migrations.act("one", &long).unwrap_err().code, Code::Usage);
    let stores = [home.store(), home.store(), home.store()];
    let taken = std::thread::scope(|scope| {
        let each = stores.iter().zip(["a", "b", "c"]).map(|(store, actor)| {
            let new = NewAct { actor: actor.to_owned(), ..act(3, Deed::Done) };
            scope.spawn(move || store.migrations().unwrap().act("one", &new).is_ok())
        });
        let each: Vec<_> = each.collect();
        each.into_iter().map(|one| one.join().unwrap()).filter(|taken| *taken).count()
    });
    assert_eq!(taken, 1);
    assert_eq!(store.snapshot().unwrap().unwrap().base().revision, 1);
    home.nothing_to_do();
}

fn without_a_store_there_is_nothing_to_agree_on(home: &Home) {
    let store = home.store();
    let turns = store.turns().unwrap();
    for holder in ["a", "b"] {
        assert_eq!(turns.lead("one", holder, LONG).unwrap(), Lead::Ours);
    }
    turns.resign("one", "a").unwrap();
    assert!(turns.approvals("one").unwrap().is_empty());
    let approval = Approval { digest: "1".repeat(64), actor: "taro".to_owned(), at: String::new() };
    let error = turns.approve("one", &approval).unwrap_err();
    assert!(error.to_string().contains("no store") && error.hint.is_some(), "{error}");
    assert!(store.snapshot().unwrap().is_none());
    assert!(!home.world.file("yubin.db").exists());
}

/// It is read as it is, and brought up where something is to be written.
fn the_version_before_knew_no_watchers(home: &Home) {
    home.project("one", "");
    home.apply("accounts: { a: {} }\npatterns: { u: { p: {} } }\n");
    let store = home.store();
    let turns = store.turns().unwrap();
    let back = || {
        home.outside(&["DROP TABLE IF EXISTS lead", "DROP TABLE IF EXISTS approval", "DROP TABLE IF EXISTS migration"]);
        let switches = ["login_imap", "login_pop3", "login_smtp"];
        let tables = ["account", "account_history"];
        let dropped = || -> Vec<String> {
            let of =
                |table: &str| switches.map(|name| format!("ALTER TABLE {table} DROP COLUMN IF EXISTS {name} CASCADE"));
            tables.iter().flat_map(|table| of(table)).collect()
        };
        let statements = match &home.other {
            Other::Sqlite => {
                let mut statements = Vec::new();
                for name in ["inserted", "updated", "deleted", "replaced", "forgotten"] {
                    statements.push(format!("DROP TRIGGER IF EXISTS account_{name}_outside"));
                }
                statements.push(super::mail_server::WITHOUT.to_owned());
                statements.push("PRAGMA user_version = 5".to_owned());
                statements
            }
            Other::Postgres(_) => {
                let mut statements = dropped();
                statements.push("ALTER TABLE meta DROP COLUMN IF EXISTS mail_server".to_owned());
                statements.push("UPDATE meta SET version = 5".to_owned());
                statements
            }
        };
        home.outside(&statements.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let version = || -> i64 {
        match &home.other {
            Other::Sqlite => {
                let connection = super::cli::database(&home.world);
                connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
            }
            Other::Postgres(database) => database.client().query_one("SELECT version FROM meta", &[]).unwrap().get(0),
        }
    };
    let now = version();
    back();
    assert!(turns.approvals("one").unwrap().is_empty());
    turns.resign("one", "a").unwrap();
    let events = store.outbox().unwrap().events(0, 10).unwrap();
    assert_eq!(events.len(), 1, "what a server keeps is older");
    home.nothing_to_do();
    assert_eq!(version(), 5, "reading leaves a store alone");
    assert_eq!(turns.lead("one", "a", LONG).unwrap(), Lead::Ours);
    assert_eq!(version(), now);
    assert_eq!(turns.lead("one", "b", LONG).unwrap(), other("a"));
    back();
    turns.approve("one", &Approval { digest: "1".repeat(64), actor: "taro".to_owned(), at: String::new() }).unwrap();
    assert_eq!((version(), turns.approvals("one").unwrap().len()), (now, 1));
    back();
    assert!(store.outbox().unwrap().acknowledge(events[0].id).unwrap());
    back();
    home.apply("accounts: { a: { comment: x } }\npatterns: { u: { p: {} } }\n");
    assert_eq!((version(), turns.lead("one", "b", LONG).unwrap()), (now, Lead::Ours));
    // Other software is still noticed.
    home.outside(&["UPDATE account SET comment = 'theirs' WHERE name = 'a'"]);
    assert_eq!(home.json(2, &["drift"])["drift"].as_array().unwrap().len(), 1);
}

/// There and back again, nothing is lost; what is there already is left alone.
#[test]
fn a_store_is_copied_whole() {
    let (from, to) = (Home::sqlite(), Home::postgres());
    from.project("one", "policy: { undeclared: delete, max_deletes: 100 }\n");
    from.apply("servers: { s: {} }\naccounts: { a: { server: s, comment: x, password: { file: pw } }, b: { visible: true } }\n");
    from.outside(&["UPDATE account SET comment = 'theirs' WHERE name = 'a'"]);
    from.apply("servers: { s: {} }\naccounts: { a: { server: s, comment: y, password: { file: pw2 } } }\npatterns: { u: { p: {} } }\n");
    from.outside(&["DELETE FROM pattern"]);
    let token = Token {
        id: "i".to_owned(),
        name: "n".to_owned(),
        hash: [7; 32],
        scope: Scope::Admin,
        owners: Vec::new(),
        created: "2026".to_owned(),
        expires: None,
        revoked: None,
    };
    from.store().desk().unwrap().add_token(&token).unwrap();
    let approval = Approval { digest: "1".repeat(64), actor: "taro".to_owned(), at: String::new() };
    from.store().turns().unwrap().approve("one", &approval).unwrap();
    from.store().turns().unwrap().lead("one", "a", LONG).unwrap();
    // Anywhere, without a project.
    let elsewhere = World::new();
    let source = format!("sqlite:{}", from.world.file("yubin.db").display());
    let done = elsewhere.json(0, &["store", "copy", &source, &to.address]);
    assert_eq!(done["revision"], 2);
    assert_eq!(to.store().desk().unwrap().tokens().unwrap(), [token]);
    let approvals = |home: &Home| home.store().turns().unwrap().approvals("one").unwrap();
    assert_eq!((approvals(&from).len(), approvals(&from)), (1, approvals(&to)));
    // Who watches there does not watch here.
    assert_eq!(to.store().turns().unwrap().lead("one", "b", LONG).unwrap(), Lead::Ours);
    let back = elsewhere.json(0, &["store", "copy", &to.address, "sqlite:back.db"]);
    assert_eq!((&back["rows"], &back["digest"]), (&done["rows"], &done["digest"]));
    for (name, text) in [("yubin.yaml", None), ("a.yaml", None)] {
        to.world.write(name, text.unwrap_or_else(|| std::fs::read_to_string(from.world.file(name)).unwrap()));
    }
    assert_eq!(from.told(), to.told());
    to.expect(0, &["apply", "--yes", "-q"]);
    to.nothing_to_do();
    let run = elsewhere.expect(4, &["store", "copy", &source, &to.address]);
    assert!(run.stderr.contains("there is a store already"), "{}", run.stderr);
    elsewhere.expect(4, &["store", "copy", &to.address, "sqlite:back.db"]);
    elsewhere.expect(1, &["store", "copy", "sqlite:none.db", "sqlite:new.db"]);
    assert!(!elsewhere.file("new.db").exists() && !elsewhere.file("none.db").exists());
}

/// The strongest check: after the same actions, every store tells the same.
#[test]
fn every_store_tells_the_same() {
    let tell = |home: &Home| {
        home.project("one", "policy: { undeclared: delete, max_deletes: 100, delete: after 14d }\n");
        home.apply("servers: { s: { incoming: { host: a.jp } }, t: {} }\naccounts: { a: { server: s, comment: x }, b: { visible: true, capacity: 3 }, z: {} }\npatterns: { u: { p: { server: s, organization: o } }, Ä: { q: {} } }\n");
        home.apply("servers: { s: { incoming: { host: b.jp } }, t2: { previously: t } }\naccounts: { a: { server: s }, c: { previously: b, visible: false, capacity: 3 } }\npatterns: { u: { p: { server: t2 } } }\n");
        home.outside(&[
            "UPDATE account SET comment = 'theirs' WHERE name = 'a'",
            "INSERT INTO account (name, label) VALUES ('new', 'theirs')",
            "DELETE FROM pattern WHERE name = 'q'",
        ]);
        let mut told = home.told();
        home.expect(0, &["apply", "--yes", "-q"]);
        home.project("two", "");
        home.apply("accounts: { d: {}, e: { signature: \"one\\ntwo\" } }\n");
        home.outside(&["UPDATE account SET name = 'dd' WHERE name = 'd'"]);
        told.extend(home.told());
        told
    };
    let sqlite = tell(&Home::sqlite());
    for other in [Home::postgres(), Home::http_sqlite(), Home::http_postgres()] {
        let other = tell(&other);
        assert_eq!(sqlite.len(), other.len());
        for (ours, theirs) in sqlite.iter().zip(&other) {
            assert_eq!(ours, theirs);
        }
    }
}

/// A store is reached over TCP as well, and a wrong address is never repeated.
#[test]
fn addresses_are_those_of_libpq() {
    let database = Database::new();
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: {} }\n");
    world.expect(0, &["--store", &database.tcp(), "apply", "--yes", "-q"]);
    world.expect(0, &["--store", &database.url(), "plan", "--exit-code"]);
    // The cluster of the tests does not encrypt.
    let run = world.expect(1, &["--store", &format!("{}?sslmode=require", database.tcp()), "plan"]);
    assert!(run.stderr.contains("TLS"), "{}", run.stderr);
    for (address, code) in [
        (database.tcp().replace("yubin@", "yubin:hidden@") + "?sslmode=verify-everything", 64),
        (database.tcp().replace("yubin@", "nobody:hidden@"), 1),
        ("postgres://yubin:hidden@127.0.0.1:1/x".to_owned(), 1),
        (format!("{}none", database.tcp().replace("yubin@", "yubin:hidden@")), 1),
    ] {
        let run = world.expect(code, &["--store", &address, "plan"]);
        assert!(!run.stderr.contains("hidden"), "{}", run.stderr);
    }
}
