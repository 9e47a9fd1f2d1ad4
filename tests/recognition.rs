//! What is recognised, and not read again, is planned as if it had been: over generated edits of YAML files, secrets,
//! policies and of the store itself, with what a watcher keeps between its plans and without.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::select;
use yubin::load::Memory;
use yubin::pipeline::{self, Above, Asked, Planned, Session};

use crate::support::World;

const FILES: [&str; 3] = ["a.yaml", "b.yaml", "c.yaml"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// Of one field each, in words that mean the same or something else.
const FIELDS: &[&str] = &[
    "comment: x",
    "comment: 'x'",
    "comment: y",
    "comment: null",
    "label: 1",
    "label: '1'",
    "outgoing.port: 25",
    "outgoing.port: 587",
    "outgoing.port: null",
    "protected: true",
    "server: s",
    "server: t",
    "password: { file: one }",
    "password: { file: two }",
    "password: clear",
    "password: null",
    "incoming.password: { file: one }",
    "incoming.password: { file: two }",
    "incoming.delete_after_download: true",
];

/// An account in a file: its fields, by the name of each.
type Fields = BTreeMap<&'static str, &'static str>;

#[derive(Clone, Debug)]
enum Edit {
    /// Declares an account in a file; it is taken out of the others.
    Put(usize, &'static str, Fields),
    /// Writes one field of an account that is declared.
    Set(&'static str, &'static str),
    Drop(&'static str),
    Defaults(usize, Option<&'static str>),
    /// What a file of a secret holds.
    Secret(&'static str, &'static str),
    Server(&'static str, &'static str),
    Policy(&'static str),
    /// Written past yubin.
    Drift(&'static str, &'static str),
    Undo,
    /// Whether what is planned is applied after this.
    Apply,
}

#[derive(Default)]
struct Config {
    accounts: BTreeMap<&'static str, (usize, Fields)>,
    defaults: [Option<&'static str>; 3],
    servers: BTreeMap<&'static str, &'static str>,
    policy: &'static str,
}

fn field_of(text: &'static str) -> &'static str {
    text.split(':').next().unwrap()
}

fn fields() -> impl Strategy<Value = Fields> {
    let one = select(FIELDS).prop_map(|text| (field_of(text), text));
    prop::collection::vec(one, 0..4).prop_map(|all| all.into_iter().collect())
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (0..3_usize, select(&NAMES[..]), fields()).prop_map(|(file, name, fields)| Edit::Put(file, name, fields)),
        10 => (select(&NAMES[..]), select(FIELDS)).prop_map(|(name, text)| Edit::Set(name, text)),
        2 => select(&NAMES[..]).prop_map(Edit::Drop),
        2 => (0..3_usize, prop::option::of(select(&FIELDS[..4]))).prop_map(|(file, text)| Edit::Defaults(file, text)),
        3 => (select(&["one", "two"][..]), select(&["p1", "p2", "Zwei-lange.Wörter"][..]))
            .prop_map(|(name, text)| Edit::Secret(name, text)),
        1 => (select(&["s", "t"][..]), select(&["25", "587"][..])).prop_map(|(name, port)| Edit::Server(name, port)),
        2 => select(&[
            "", "plaintext_secrets: deny", "plaintext_secrets: allow", "existing: skip", "undeclared: delete",
            "undeclared: delete, delete: after 1d", "passwords: { min_length: 5 }",
        ][..]).prop_map(Edit::Policy),
        2 => (select(&NAMES[..]), select(&["comment = 'x'", "comment = 'z'", "label = NULL", "gone"][..]))
            .prop_map(|(name, what)| Edit::Drift(name, what)),
        1 => Just(Edit::Undo),
        12 => Just(Edit::Apply),
    ]
}

impl Config {
    fn write(&self, world: &World) {
        let policy = format!(
            "version: 1\nname: head-office\nsystem: generic\npolicy: {{ max_deletes: 99, max_overwrites: 99{}{} }}\n",
            if self.policy.is_empty() { "" } else { ", " },
            self.policy
        );
        write(world, "yubin.yaml", &policy);
        let mut servers = String::from("servers:\n");
        for (name, port) in &self.servers {
            writeln!(servers, "  {name}: {{ outgoing.host: x.jp, outgoing.port: {port} }}").unwrap();
        }
        write(world, "s.yaml", &servers);
        for (at, file) in FILES.into_iter().enumerate() {
            let mut text = String::new();
            if let Some(default) = self.defaults[at] {
                writeln!(text, "defaults: {{ accounts: {{ {default} }} }}").unwrap();
            }
            let is_empty = self.accounts.values().all(|(file, _)| *file != at);
            writeln!(text, "accounts:{}", if is_empty { " {}" } else { "" }).unwrap();
            for (name, (_, fields)) in self.accounts.iter().filter(|(_, (file, _))| *file == at) {
                let fields: Vec<&str> = fields.values().copied().collect();
                writeln!(text, "  {name}: {{ {} }}", fields.join(", ")).unwrap();
            }
            write(world, file, &text);
        }
    }
}

fn write(world: &World, name: &str, text: &str) {
    world.write(name, text);
}

fn open(world: &World, store: Option<&str>) -> Session {
    pipeline::open_at(world.path(), world.path(), Above { store, ..Above::default() }, false).unwrap()
}

fn database(world: &World, name: &str) -> rusqlite::Connection {
    rusqlite::Connection::open(world.file(name)).unwrap()
}

/// All that a plan says.
fn told(session: &Session, planned: Option<&Planned>) -> String {
    let mut text = String::new();
    for one in session.diagnostics.iter() {
        writeln!(text, "{one:?}").unwrap();
    }
    let Some(planned) = planned else { return text };
    let plan = &planned.plan;
    for change in &plan.changes {
        let fields: Vec<_> = change.fields.iter().map(|field| (field.field, field.origin)).collect();
        writeln!(text, "{:?} {:?} {:?} {fields:?}", change.action, change.address(), change.source).unwrap();
    }
    let verdict: Vec<_> = planned.verdict.refused.iter().map(|one| format!("{one:?}")).collect();
    writeln!(text, "{:?} {:?} {:?}", plan.unchanged, plan.declared, plan.owned).unwrap();
    writeln!(text, "{:?} {:?} {verdict:?} {}", plan.drift, plan.waiting, planned.digest).unwrap();
    text
}

/// The plan of somebody who recognises nothing: from a copy of the store without a digest.
fn plainly(world: &World) -> String {
    if world.file("yubin.db").exists() {
        database(world, "yubin.db").execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::copy(world.file("yubin.db"), world.file("copy.db")).unwrap();
        std::fs::copy(world.file("yubin.db.key"), world.file("copy.db.key")).unwrap();
        let clear = ["server", "account", "pattern"].map(|kind| format!("UPDATE {kind} SET yubin_declared = NULL;"));
        database(world, "copy.db").execute_batch(&clear.concat()).unwrap();
    }
    let mut session = open(world, Some("sqlite:copy.db"));
    let planned = session.plan(&Asked::default()).unwrap();
    let told = told(&session, planned.as_ref());
    for name in ["copy.db", "copy.db-wal", "copy.db-shm", "copy.db.key"] {
        let _ = std::fs::remove_file(world.file(name));
    }
    told
}

fn recognised(world: &World) -> usize {
    let sql = "SELECT count(*) FROM account WHERE yubin_declared IS NOT NULL";
    database(world, "yubin.db").query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A world in which every edit is planned, some are applied, and nothing is ever lost. How many were applied, and at
/// the most recognised.
fn live(edits: Vec<Edit>) -> (usize, usize) {
    let (mut applied, mut most) = (0, 0);
    let world = World::new();
    let memory = Arc::new(Memory::new());
    let mut config = Config::default();
    config.servers.extend([("s", "25"), ("t", "25")]);
    world.write("one", "p1\n");
    world.write("two", "p2\n");
    for name in ["one", "two"] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(world.file(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    config.write(&world);
    for edit in edits {
        let mut is_due = false;
        match edit {
            Edit::Put(file, name, fields) => drop(config.accounts.insert(name, (file, fields))),
            Edit::Set(name, text) => {
                if let Some((_, fields)) = config.accounts.get_mut(name) {
                    fields.insert(field_of(text), text);
                }
            }
            Edit::Drop(name) => drop(config.accounts.remove(name)),
            Edit::Defaults(file, default) => config.defaults[file] = default,
            Edit::Secret(name, text) => world.write(name, format!("{text}\n")),
            Edit::Server(name, port) => drop(config.servers.insert(name, port)),
            Edit::Policy(policy) => config.policy = policy,
            Edit::Drift(name, what) if world.file("yubin.db").exists() => {
                let sql = match what {
                    "gone" => format!("DELETE FROM account WHERE name = '{name}'"),
                    set => format!("UPDATE account SET {set} WHERE name = '{name}'"),
                };
                database(&world, "yubin.db").execute(&sql, []).unwrap();
            }
            Edit::Undo if world.file("yubin.db").exists() => {
                let mut session = open(&world, None);
                let last = session.snapshot().unwrap().unwrap().base().revision;
                if let Ok(mut planned) = session.undo(last) {
                    let _ = session.apply(&mut planned, true, "tester", &|_, _| {});
                }
            }
            Edit::Drift(..) | Edit::Undo => {}
            Edit::Apply => is_due = true,
        }
        config.write(&world);
        let plain = plainly(&world);
        let mut session = open(&world, None);
        let planned = session.plan(&Asked::default()).unwrap();
        assert_eq!(told(&session, planned.as_ref()), plain, "without memory");
        let mut session = open(&world, None);
        session.remember(Arc::clone(&memory));
        let planned = session.plan(&Asked::default()).unwrap();
        assert_eq!(told(&session, planned.as_ref()), plain, "with memory");
        let Some(mut planned) = planned.filter(|_| is_due) else { continue };
        if planned.plan.is_empty() {
            session.learn(&planned);
        } else if session.apply(&mut planned, true, "tester", &|_, _| {}).is_ok() {
            drop(session);
            applied += 1;
            most = most.max(recognised(&world));
            let mut session = open(&world, None);
            session.remember(Arc::clone(&memory));
            let again = session.plan(&Asked::default()).unwrap();
            assert_eq!(told(&session, again.as_ref()), plainly(&world), "after an apply");
        }
    }
    (applied, most)
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(32);
    ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_recognised_is_planned_as_if_it_were_read(edits in prop::collection::vec(edit(), 1..40)) {
        live(edits);
    }
}

/// One thing after the other, so that nobody has to wait for chance.
#[test]
fn every_kind_of_change_is_seen() {
    let put =
        |name, texts: &[&'static str]| Edit::Put(0, name, texts.iter().map(|text| (field_of(text), *text)).collect());
    let (applied, most) = live(vec![
        put("a", &["comment: x", "password: { file: one }"]),
        put("b", &["incoming.password: { file: two }"]),
        put("c", &["server: s"]),
        put("d", &["password: clear"]),
        Edit::Apply,
        Edit::Apply,
        Edit::Set("a", "comment: y"),
        Edit::Apply,
        Edit::Set("a", "comment: 'x'"),
        Edit::Apply,
        Edit::Set("a", "comment: null"),
        Edit::Apply,
        Edit::Set("d", "password: { file: one }"),
        Edit::Apply,
        Edit::Secret("one", "p3"),
        Edit::Apply,
        Edit::Secret("two", "p3"),
        Edit::Apply,
        Edit::Server("s", "587"),
        Edit::Apply,
        Edit::Policy("plaintext_secrets: deny"),
        Edit::Policy("passwords: { min_length: 9 }"),
        put("e", &["password: { file: one }"]),
        Edit::Policy(""),
        Edit::Drift("a", "comment = 'z'"),
        Edit::Apply,
        Edit::Drift("b", "gone"),
        Edit::Apply,
        Edit::Defaults(0, Some("comment: y")),
        Edit::Apply,
        Edit::Undo,
        Edit::Apply,
        Edit::Policy("undeclared: delete, delete: after 1d"),
        Edit::Drop("a"),
        Edit::Apply,
        put("a", &["comment: x", "password: { file: one }"]),
        Edit::Apply,
        Edit::Policy("existing: skip"),
        put("a", &["comment: y"]),
        Edit::Apply,
        Edit::Policy(""),
        Edit::Apply,
    ]);
    assert!(applied >= 10 && most >= 3, "{applied} {most}");
}

#[test]
fn resources_in_yaml_are_known_again_after_an_apply_and_after_a_look() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { comment: x }, b: {}, c: { server: s } }\nservers: { s: {} }\n");
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(recognised(&world), 2);
    database(&world, "yubin.db").execute_batch("UPDATE account SET yubin_declared = NULL").unwrap();
    world.expect(0, &["apply", "--yes"]);
    assert_eq!(recognised(&world), 2, "what was looked at is learned");
    // What other software writes makes it unknown, and what an undo writes.
    database(&world, "yubin.db").execute_batch("UPDATE account SET comment = 'y' WHERE name = 'a'").unwrap();
    assert_eq!(recognised(&world), 1);
}

/// Variables cannot be set in a test, but for a program.
#[test]
fn a_password_that_changes_in_the_environment_is_seen() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: { password: { env: PW } }, b: { comment: x } }\n");
    let run = |args: &[&str], password: &str| {
        let run = crate::support::Run::of(world.command(args).env("PW", password).output().unwrap());
        (run.code, run.stdout + &run.stderr)
    };
    assert_eq!(run(&["apply", "--yes"], "one").0, 0);
    assert_eq!(recognised(&world), 2);
    assert_eq!(run(&["plan", "--exit-code"], "one").0, 0);
    assert_eq!(run(&["plan", "--exit-code"], "two").0, 2);
    let (code, said) = run(&["plan"], "");
    assert!(code == 3 && said.contains("secret/missing"), "{said}");
    assert_eq!(run(&["apply", "--yes"], "two").0, 0);
    assert_eq!(run(&["plan", "--exit-code"], "two").0, 0);
    // A store at another place knows nothing.
    assert_eq!(run(&["plan", "--exit-code", "--store", "sqlite:other.db"], "two").0, 2);
}

/// How long it takes: `cargo test --test tests -- --ignored --nocapture recognition::how_long`.
#[test]
#[ignore = "measures"]
fn how_long_a_plan_takes_again() {
    let world = World::project("generic", "");
    let file = |number: usize, comment: &str| {
        let mut text = String::from("accounts:\n");
        for account in 0..1_000 {
            let name = format!("a{number:02}-{account:03}");
            write!(
                text,
                "  {name}:\n    address: {name}@example.jp\n    comment: {comment}\n    label: 営業部 {account}\n"
            )
            .unwrap();
            write!(text, "    incoming:\n      host: pop.example.jp\n      port: 995\n      security: implicit_tls\n")
                .unwrap();
            writeln!(text, "      username: {name}\n    outgoing:\n      host: smtp.example.jp\n      port: 465")
                .unwrap();
        }
        world.write(&format!("{number:02}.yaml"), text);
    };
    (0..100).for_each(|number| file(number, "first"));
    let memory = Arc::new(Memory::new());
    let plan = |what: &str, remembers: bool, expected: usize| {
        let mut session = open(&world, None);
        if remembers {
            session.remember(Arc::clone(&memory));
        }
        let started = Instant::now();
        let mut planned = session.plan(&Asked::default()).unwrap().unwrap();
        println!("{what}: {:.2} s", started.elapsed().as_secs_f64());
        assert_eq!(planned.plan.changes.len(), expected);
        if planned.plan.is_empty() {
            session.learn(&planned);
        } else {
            session.apply(&mut planned, true, "tester", &|_, _| {}).unwrap();
        }
    };
    plan("new", false, 100_000);
    database(&world, "yubin.db").execute_batch("UPDATE account SET yubin_declared = NULL").unwrap();
    plan("unchanged, nothing recognised", false, 0);
    plan("unchanged, recognised", false, 0);
    plan("unchanged, recognised, memory filled", true, 0);
    plan("unchanged, recognised, from memory", true, 0);
    file(50, "second");
    plan("one file changed, from memory", true, 1_000);
}
