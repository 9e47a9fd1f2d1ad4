//! The program with its store at a server does what it does with the store beside it: the same output, the same
//! exit codes, the same state and log.

use serde_json::Value as Json;

use super::{POLICY, PROJECT, project, remote, token};
use crate::cli::{database, private, run_with};
use crate::support::server::{DEADLINE, Server, run_within};
use crate::support::{Run, World};

/// Two worlds alike; one has its store beside it, the other at a server.
pub struct Twin {
    direct: World,
    remote: World,
    server: Server,
    token: String,
}

/// Variables that secrets come from.
const VARIABLES: &[(&str, &str)] = &[("PW", "open sesame 7Qx"), ("PW2", "close sesame 9Zt")];

impl Twin {
    fn new(system: &str, more: &str) -> Twin {
        let [direct, remote] = [(), ()].map(|()| project(system, more));
        let token = token(&remote, "apply", &[PROJECT]);
        let server = Server::start(&remote);
        Twin { direct, remote, server, token }
    }

    fn write(&self, name: &str, text: &str) {
        self.direct.write(name, text);
        self.remote.write(name, text);
    }

    /// What other software does to both stores.
    fn sql(&self, statements: &str) {
        for world in [&self.direct, &self.remote] {
            database(world).execute_batch(statements).unwrap();
        }
    }

    /// Runs both, which must say the same; what was said without the server.
    #[track_caller]
    fn run(&self, code: i32, args: &[&str]) -> Run {
        let direct = run_with(&self.direct, VARIABLES, args);
        let mut command = remote(&self.remote, &self.server.url(), &self.token, args);
        let remote = run_within(command.envs(VARIABLES.iter().copied()), DEADLINE);
        let all = || {
            format!(
                "yubin {}\n--- direct: {}\n{}{}--- remote: {}\n{}{}",
                args.join(" "),
                direct.code,
                direct.stdout,
                direct.stderr,
                remote.code,
                remote.stdout,
                remote.stderr
            )
        };
        assert_eq!((direct.code, remote.code), (code, code), "{}", all());
        assert_eq!(self.plain(&direct.stdout), self.plain(&remote.stdout), "{}", all());
        direct
    }

    /// The same as a text and as a document.
    #[track_caller]
    fn both(&self, code: i32, args: &[&str]) {
        self.run(code, args);
        self.run(code, &[args, &["--format", "json"]].concat());
    }

    /// Without what may differ: the name of the store, and the time.
    fn plain(&self, text: &str) -> String {
        if let Ok(mut json) = serde_json::from_str::<Json>(text) {
            forget(&mut json);
            return format!("{json:#}");
        }
        let text = text.replace(&self.server.url(), "STORE").replace("sqlite:yubin.db", "STORE");
        // A time of the day, wherever it stands.
        let mut plain = String::new();
        for word in text.split_inclusive([' ', '\n']) {
            let is_time = word.len() > 4 && word.starts_with(|c: char| c.is_ascii_digit()) && word.contains([':', '-']);
            plain.push_str(if is_time { "TIME " } else { word });
        }
        plain
    }

    /// Looks at everything, from both sides.
    #[track_caller]
    fn compare(&self) {
        for args in [&["show"][..], &["log"], &["drift"]] {
            let code = run_with(&self.direct, VARIABLES, args).code;
            self.both(code, args);
        }
        // Beside the server, too.
        let of = |world: &World, args: &[&str]| {
            let mut json = world.json(0, args);
            forget(&mut json);
            json
        };
        for args in [&["show"][..], &["log"]] {
            assert_eq!(of(&self.direct, args), of(&self.remote, args));
        }
    }

    /// Plans, applies, and finds nothing more to do.
    #[track_caller]
    fn apply(&self) {
        self.both(0, &["plan"]);
        self.run(2, &["plan", "--exit-code"]);
        self.run(0, &["apply", "--yes", "--format", "json"]);
        self.run(0, &["plan", "--exit-code", "--format", "json"]);
        self.compare();
    }
}

fn forget(json: &mut Json) {
    match json {
        Json::Object(map) => {
            // Keyed digests of secrets are under the key that is at hand: that of the store, or the one that was lent.
            let keyed = ["secrets_digest", "changed_secrets_digest", "document_digest"];
            for key in keyed.into_iter().chain(["store", "at", "purge_from", "as_of", "disabled_at"]) {
                map.remove(key);
            }
            map.values_mut().for_each(forget);
        }
        Json::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

const FIRST: &str = "servers: { hq: { incoming: { host: one.jp }, outgoing: { host: o.jp, auth: { enabled: true, credentials: own, username: u, password: { env: PW } } } } }
accounts: { a: { comment: one, password: { env: PW }, incoming: { password: { env: PW2 } } }, b: { comment: two, label: '日本' }, 'c/d %': {} }
patterns: { taro: { p1: { server: hq, organization: x, incoming: { username: t, password: { env: PW } } }, p2: {} }, jiro: { p1: { organization: y } } }
";

#[test]
fn a_life_of_a_store_is_the_same_on_both_sides() {
    let twin = Twin::new("generic", POLICY);
    // Nothing yet.
    twin.write("a.yaml", FIRST);
    twin.both(0, &["show"]);
    twin.both(0, &["log"]);
    twin.apply();
    // Every field of it, and one resource.
    for args in [&["show", "account/a"][..], &["show", "pattern/taro/p1", "account/c%2Fd %25"], &["log", "account/a"]] {
        twin.both(0, args);
    }
    let nobody = run_with(&twin.direct, &[], &["show", "account/nobody"]).code;
    twin.both(nobody, &["show", "account/nobody"]);
    // Changes of each kind.
    twin.write(
        "a.yaml",
        &FIRST
            .replace("comment: one", "comment: uno")
            .replace("host: one.jp", "host: eins.jp")
            .replace(", p2: {}", ", p3: { server: hq }"),
    );
    twin.apply();
    twin.both(0, &["show", "--at", "1"]);
    twin.both(0, &["plan", "--between", "1", "2"]);
    twin.run(64, &["show", "--at", "99"]);
    // A password that is another.
    twin.write("a.yaml", &FIRST.replace("comment: one, password: { env: PW }", "comment: uno, password: { env: PW2 }"));
    let plan = twin.run(0, &["plan", "--format", "json"]);
    assert!(plan.stdout.contains("\"change\":\"changed\""), "{}", plan.stdout);
    twin.apply();
    // A name that is another, two exchanged, and a server with those that follow it.
    twin.write(
        "a.yaml",
        &FIRST
            .replace("accounts: { a:", "accounts: { a2: { previously: a }, x:")
            .replace(" hq: {", " hq2: { previously: hq,")
            .replace("server: hq", "server: hq2"),
    );
    twin.apply();
    twin.both(0, &["log", "account/a2"]);
    // Back again, one by one.
    twin.run(0, &["undo", "4", "--yes", "--format", "json"]);
    twin.compare();
    twin.both(4, &["undo", "2", "--yes"]);
    twin.run(64, &["undo", "77", "--yes"]);
    twin.compare();
    twin.run(0, &["export", "yaml"]);
    twin.run(0, &["export", "csv"]);
    twin.run(0, &["export", "json"]);
}

#[test]
fn saved_plans_are_the_same_on_both_sides() {
    let twin = Twin::new("generic", POLICY);
    twin.write("a.yaml", FIRST);
    twin.run(0, &["plan", "--out", "plan.json"]);
    twin.both(0, &["plan", "--show", "plan.json"]);
    twin.run(0, &["apply", "plan.json", "--format", "json"]);
    twin.compare();
    // It applies once.
    twin.run(5, &["apply", "plan.json"]);
    twin.write("a.yaml", &FIRST.replace("one", "uno"));
    twin.run(0, &["plan", "--out", "plan.json"]);
    // Somebody else comes first.
    twin.write("a.yaml", &FIRST.replace("two", "due"));
    twin.run(0, &["apply", "--yes"]);
    twin.run(5, &["apply", "plan.json"]);
    twin.write("a.yaml", &FIRST.replace("one", "uno").replace("two", "due"));
    twin.run(5, &["apply", "plan.json"]);
    twin.run(0, &["plan", "--out", "plan.json"]);
    twin.run(0, &["plan", "--rehearse"]);
    twin.compare();
    twin.run(0, &["apply", "plan.json", "--rebase"]);
    twin.compare();
    // Without a terminal and without a yes.
    twin.write("a.yaml", FIRST);
    twin.run(4, &["apply"]);
    // Without secrets.
    twin.both(0, &["plan", "--secrets=skip"]);
    twin.run(0, &["plan", "--secrets=skip", "--out", "skip.json"]);
    twin.run(0, &["apply", "skip.json"]);
    twin.compare();
}

#[test]
fn parts_of_a_plan_are_the_same_on_both_sides() {
    let twin = Twin::new("generic", POLICY);
    twin.write("a.yaml", FIRST);
    twin.both(0, &["plan", "--target", "account/*"]);
    twin.run(0, &["apply", "--yes", "--target", "account/a", "--target", "pattern/taro"]);
    twin.compare();
    twin.run(0, &["apply", "--yes", "--exclude", "pattern/*/p1"]);
    twin.compare();
    twin.run(64, &["plan", "--target", "account/none-such"]);
    twin.apply();
}

#[test]
fn what_other_software_does_is_the_same_on_both_sides() {
    let twin = Twin::new("generic", POLICY);
    twin.write("a.yaml", FIRST);
    twin.apply();
    twin.sql(
        "UPDATE account SET comment = 'theirs' WHERE name = 'a'; DELETE FROM account WHERE name = 'b';
         INSERT INTO account (name, comment) VALUES ('new', 'x'), ('new2', 'y');
         UPDATE pattern SET incoming_password = x'00' WHERE name = 'p1' AND user = 'taro'",
    );
    twin.compare();
    twin.both(0, &["plan"]);
    twin.run(4, &["adopt"]);
    twin.run(0, &["adopt", "account/new", "--yes", "--format", "json"]);
    twin.compare();
    twin.write("a.yaml", &FIRST.replace("'c/d %': {}", "'c/d %': {}, new: {}"));
    twin.apply();
    twin.run(0, &["forget", "account/new", "--yes", "--format", "json"]);
    twin.compare();
    twin.run(2, &["drift", "--adopt", "--yes"]);
    twin.compare();
    twin.both(0, &["log", "account/a"]);
}

#[test]
fn what_is_lost_in_two_steps_is_the_same_on_both_sides() {
    let twin = Twin::new("generic", &POLICY.replace("undeclared: delete", "undeclared: delete, delete: after 14d"));
    twin.write("a.yaml", FIRST);
    twin.apply();
    twin.write("a.yaml", &FIRST.replace(", b: { comment: two, label: '日本' }", "").replace(", p2: {}", ""));
    twin.apply();
    twin.write("a.yaml", FIRST);
    twin.apply();
    twin.both(0, &["log", "account/b"]);
    twin.write("a.yaml", &FIRST.replace("'c/d %': {}", "'c/d %': { absent: true }"));
    twin.apply();
}

#[test]
fn what_is_refused_is_refused_the_same_on_both_sides() {
    let twin = Twin::new("generic", "policy: { undeclared: delete, max_deletes: 1, protect: [account/b] }\n");
    twin.write("a.yaml", &FIRST.replace("'c/d %': {}", "'c/d %': { protected: true }, e: {}, f: {}"));
    twin.apply();
    for (from, to) in [
        // Too many, protected in the file, protected in the store, a server in use, a whole kind.
        (", e: {}, f: {}", ""),
        (", b: { comment: two, label: '日本' }", ""),
        (", 'c/d %': { protected: true }", ""),
        ("accounts: { a:", "accounts: { 'c/d %': { absent: true }, a:"),
    ] {
        twin.write(
            "a.yaml",
            &FIRST.replace("'c/d %': {}", "'c/d %': { protected: true }, e: {}, f: {}").replace(from, to),
        );
        let code = run_with(&twin.direct, VARIABLES, &["plan"]).code;
        twin.both(code, &["plan"]);
        twin.both(code, &["apply", "--yes"]);
    }
    twin.write("a.yaml", "accounts: {}\nservers: {}\n");
    twin.both(4, &["plan"]);
    twin.both(4, &["apply", "--yes"]);
    twin.write("a.yaml", "accounts: { a: { comment: [] } }\n");
    twin.both(3, &["plan"]);
    twin.compare();
}

#[test]
fn a_product_is_the_same_on_both_sides() {
    let twin = Twin::new("catchme-mail", "sources: [people.csv]\npolicy: { plaintext_secrets: allow }\n");
    for world in [&twin.direct, &twin.remote] {
        private(world, "pw", "open sesame\n");
    }
    let row = crate::cli::row;
    twin.write("people.csv", &(row("taro", "p1") + &row("jiro", "p1")));
    twin.apply();
    twin.write("people.csv", &(row("taro", "p1").replace("pop.xxx.jp", "imap.xxx.jp") + "jiro,p1\n"));
    twin.both(0, &["plan"]);
    twin.run(0, &["apply", "--yes", "--format", "json"]);
    twin.compare();
    // What a product needs holds passwords, which a client does not get (`docs/api.md`).
    let args = ["export", "catchme-mail", "--all", "--out", "up.csv"];
    let run = run_within(&mut remote(&twin.remote, &twin.server.url(), &twin.token, &args), DEADLINE);
    assert_ne!(run.code, 0, "{}", run.stdout);
    assert!(!twin.remote.file("up.csv").exists() && !run.stderr.contains("panicked"), "{}", run.stderr);
}
