//! `yubin serve` from outside, and the client that has its store there.

mod changesets;
mod client;
mod client_errors;
mod cuts;
mod events;
mod floods;
mod hostile;
mod hostile_secrets;
mod kills;
mod limits;
mod openapi;
mod owners;
mod pages;
mod races;
mod secrecy;
mod sessions;
mod tls;
mod tokens;
mod travel;
mod turns;

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::cli::{expect_with, private};
use crate::support::http::{Answer, Caller, JSON, NDJSON};
use crate::support::server::{DEADLINE, Server, run_within};
use crate::support::{Run, World};

/// The project that the tests act for.
pub const PROJECT: &str = "head-office";
/// Another one on the same store.
pub const OTHER: &str = "branch";
/// The key of every store here, so that two of them hold the same.
pub const KEY: &str = "5d1870bf62a4391c9b1f4c7ae2d05836c4e7180fb3a96d52f07e2b8146cd93ea";

/// A project whose store is served, and a token for it.
pub struct Site {
    pub world: World,
    pub server: Server,
    /// With the scope `apply`, bound to the project.
    pub token: String,
}

impl Site {
    pub fn new() -> Site {
        Site::of(project("generic", ""))
    }

    /// With these files applied.
    pub fn with(yaml: &str) -> Site {
        let world = project("generic", POLICY);
        world.write("a.yaml", yaml);
        world.expect(0, &["apply", "--yes", "-q"]);
        Site::of(world)
    }

    pub fn of(world: World) -> Site {
        let token = token(&world, "apply", &[PROJECT]);
        let server = Server::start(&world);
        Site { world, server, token }
    }

    /// Somebody with the token.
    pub fn api(&self) -> Caller {
        self.as_one_with(&self.token)
    }

    /// Somebody with a token of their own.
    pub fn with_token(&self, scope: &str, owners: &[&str]) -> Caller {
        self.as_one_with(&token(&self.world, scope, owners))
    }

    pub fn as_one_with(&self, token: &str) -> Caller {
        Caller { base: self.server.url(), token: Some(token.to_owned()) }
    }

    pub fn nobody(&self) -> Caller {
        Caller { base: self.server.url(), token: None }
    }

    /// The program with its store at the server.
    pub fn command(&self, args: &[&str]) -> Command {
        remote(&self.world, &self.server.url(), &self.token, args)
    }

    #[track_caller]
    pub fn run(&self, code: i32, args: &[&str]) -> Run {
        let run = run_within(&mut self.command(args), DEADLINE);
        assert_eq!(run.code, code, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
        run
    }

    /// Everything that can be seen of the store.
    pub fn content(&self) -> Content {
        content(&self.world)
    }
}

/// Nothing is too many, and passwords may be written down.
pub const POLICY: &str = "policy: { undeclared: delete, max_deletes: 1000000, plaintext_secrets: allow }\n";

/// A project whose store has a key that is known.
pub fn project(system: &str, more: &str) -> World {
    let world = World::project(system, more);
    private(&world, "yubin.db.key", KEY);
    world
}

/// Another project on the same store.
pub fn sharing(world: &World, name: &str) -> World {
    let other = World::new();
    let store = world.file("yubin.db").display().to_string();
    other.write("yubin.yaml", format!("version: 1\nname: {name}\nstore: sqlite:{store}\n{POLICY}"));
    other
}

/// A new token, made beside the store.
pub fn token(world: &World, scope: &str, owners: &[&str]) -> String {
    let mut args = vec!["token", "create", "test", "--scope", scope];
    args.extend(owners.iter().flat_map(|owner| ["--owner", owner]));
    let token = expect_with(world, 0, &[], &args).stdout.trim().to_owned();
    assert!(token.starts_with("yubin_") && token.len() == 49, "this is printed alone: {token:?}");
    token
}

/// The program in this folder, with its store somewhere else.
pub fn remote(world: &World, url: &str, token: &str, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.env("YUBIN_STORE", url).env("YUBIN_TOKEN", token);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// State and log, read beside the server.
#[derive(Debug, PartialEq)]
pub struct Content {
    pub show: Json,
    pub log: Json,
}

pub fn content(world: &World) -> Content {
    Content { show: world.json(0, &["show"]), log: world.json(0, &["log"]) }
}

impl Content {
    pub fn revision(&self) -> u64 {
        let revision = self.show["revision"].as_u64().unwrap();
        assert_eq!(self.log["revisions"].as_array().unwrap().len() as u64, revision, "one entry a revision");
        revision
    }

    pub fn addresses(&self) -> Vec<&str> {
        self.show["resources"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect()
    }

    /// A field of a resource, or null.
    pub fn field(&self, address: &str, field: &str) -> &Json {
        let mut all = self.show["resources"].as_array().unwrap().iter();
        all.find(|one| one["address"] == address).map_or(&Json::Null, |one| &one["fields"][field])
    }
}

// --- Changesets ---------------------------------------------------------------------------

pub fn add(name: &str, comment: &str) -> Json {
    json!({
        "action": "add", "address": format!("account/{name}"), "kind": "account", "key": [name],
        "source": { "file": "a.yaml", "line": 1, "column": 1 },
        "fields": [{ "field": "comment", "before": null, "after": comment }],
    })
}

pub fn overwrite(name: &str, before: &str, after: &str) -> Json {
    json!({
        "action": "overwrite", "address": format!("account/{name}"), "kind": "account", "key": [name],
        "source": { "file": "a.yaml", "line": 1, "column": 1 },
        "fields": [{ "field": "comment", "before": before, "after": after }],
    })
}

pub fn delete(name: &str, comment: &str) -> Json {
    json!({
        "action": "delete", "address": format!("account/{name}"), "kind": "account", "key": [name], "source": null,
        "fields": [{ "field": "comment", "before": comment, "after": null }],
    })
}

/// A plan document of the project.
pub fn changeset(base: u64, changes: &[Json]) -> Json {
    let count = |action: &str| changes.iter().filter(|one| one["action"] == action).count();
    json!({
        "format_version": 1, "yubin": env!("CARGO_PKG_VERSION"), "project": PROJECT, "system": "generic",
        "store": "elsewhere", "base_revision": base, "config_digest": "0".repeat(64),
        "summary": { "add": count("add"), "overwrite": count("overwrite"), "delete": count("delete"),
            "skip": 0, "blocked": 0, "unchanged": 0 },
        "refused": [], "changes": changes, "effects": [], "drift": [], "diagnostics": [],
    })
}

/// The same in lines.
pub fn lines(changeset: &Json) -> String {
    let mut head = changeset.clone();
    let changes = head.as_object_mut().unwrap().remove("changes").unwrap();
    let mut text = format!("{head}\n");
    for change in changes.as_array().unwrap() {
        writeln!(text, "{change}").unwrap();
    }
    text
}

pub fn if_match(revision: u64) -> String {
    format!("\"{revision}\"")
}

#[track_caller]
pub fn post(api: &Caller, revision: u64, changeset: &Json) -> Answer {
    post_with(api, revision, &[], changeset)
}

#[track_caller]
pub fn post_with(api: &Caller, revision: u64, headers: &[(&str, &str)], changeset: &Json) -> Answer {
    let revision = if_match(revision);
    let all = [&[("if-match", revision.as_str()), ("content-type", JSON)], headers].concat();
    api.call(reqwest::Method::POST, "/v1/changesets", &all, changeset.to_string())
}

#[track_caller]
pub fn post_lines(api: &Caller, revision: u64, body: impl Into<Vec<u8>>) -> Answer {
    let revision = if_match(revision);
    let headers = [("if-match", revision.as_str()), ("content-type", NDJSON)];
    api.call(reqwest::Method::POST, "/v1/changesets", &headers, body)
}

/// The revision of an answer to a changeset.
#[track_caller]
pub fn applied(answer: Answer) -> u64 {
    answer.expect(200).json()["revision"].as_u64().unwrap()
}
