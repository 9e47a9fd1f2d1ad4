//! The same by way of a server, which keeps the old server itself.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{MOVE, servers};
use crate::cli::rules;
use crate::support::http::{Caller, JSON};
use crate::support::served::{Served, token};
use crate::support::{Run, World};

const STORE: &str = "sqlite:yubin.db";

struct Home {
    world: World,
    server: Served,
    token: String,
}

impl Home {
    fn new(more: &str) -> Home {
        let world = super::declared(2, more);
        let none = BTreeMap::new();
        let server = Served::start(&world, STORE, &none);
        let token = token(&world, STORE, &none, "apply", &["head-office"]);
        let home = Home { world, server, token };
        home.expect(0, &["apply", "--yes", "-q"]);
        home.world.write("servers.yaml", servers(&["old", "new"]));
        home
    }

    fn api(&self) -> Caller {
        Caller { base: self.server.url.clone(), token: Some(self.token.clone()) }
    }

    #[track_caller]
    fn expect(&self, code: i32, args: &[&str]) -> Run {
        let mut command = self.world.command(&[&["--store", &self.server.url], args].concat());
        let run = Run::of(command.env("YUBIN_TOKEN", &self.token).output().unwrap());
        assert_eq!(run.code, code, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
        run
    }

    #[track_caller]
    fn json(&self, code: i32, args: &[&str]) -> Json {
        let run = self.expect(code, &[args, &["--format", "json"]].concat());
        serde_json::from_str(&run.stdout).unwrap()
    }
}

#[test]
fn a_migration_goes_through_a_server() {
    let home = Home::new(MOVE);
    home.expect(0, &["migrate", "next", "--yes", "--until", "4"]);
    home.expect(6, &["migrate", "next", "--yes"]);
    home.expect(0, &["migrate", "ack", "5", "--note", "花子 says so"]);
    home.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "looked"]);
    home.expect(0, &["migrate", "ack", "7"]);
    home.expect(0, &["migrate", "next", "--yes"]);
    let status = home.json(0, &["migrate", "status"])["migrations"][0].take();
    assert_eq!((&status["state"], &status["steps"][4]["note"]), (&"closed".into(), &"花子 says so".into()));
    home.expect(0, &["plan", "--exit-code", "-q"]);
    // Beside the store it is the same.
    let here = home.world.json(0, &["migrate", "status"])["migrations"][0].take();
    assert_eq!(here, status);
}

/// A client that does not know of the migration, or does not tell, is refused by the server.
#[test]
fn the_server_keeps_the_old_server() {
    let home = Home::new(&format!("policy: {{ max_deletes: 10 }}\n{MOVE}"));
    home.expect(0, &["migrate", "next", "--yes"]);
    home.world.write("people/a.yaml", "accounts: { a0: { absent: true }, a1: { absent: true } }\n");
    home.expect(0, &["apply", "--yes", "-q"]);
    home.world.write("servers.yaml", servers(&["new"]) + "  old: { absent: true }\n");
    assert_eq!(rules(&home.json(4, &["plan"])), ["migration"]);
    let revision = home.json(0, &["show"])["revision"].as_u64().unwrap();
    let row = json!({ "action": "delete", "address": "server/old", "kind": "server", "key": ["old"], "fields": [] });
    let mut body = json!({
        "format_version": 1, "yubin": env!("CARGO_PKG_VERSION"), "project": "head-office", "system": "generic",
        "store": "elsewhere", "base_revision": revision, "config_digest": "0".repeat(64),
        "summary": { "add": 0, "overwrite": 0, "delete": 1, "skip": 0, "blocked": 0, "unchanged": 0 },
        "refused": [], "changes": [row], "effects": [], "drift": [], "diagnostics": [],
    });
    let tag = format!("\"{revision}\"");
    let headers = [("if-match", tag.as_str()), ("content-type", JSON)];
    // Nor does it help to say that all this has happened already.
    for recorded in [false, true] {
        body["recorded"] = recorded.into();
        let answer = home.api().call(Method::POST, "/v1/changesets", &headers, body.to_string()).expect(422).json();
        assert_eq!(answer["refused"][0]["rule"], "migration", "{answer}");
    }
}

#[test]
fn acts_are_appended_and_nothing_else() {
    let home = Home::new(MOVE);
    let api = home.api();
    let act = |migration: &str, number: u64, body: &str| {
        let path = format!("/v1/projects/head-office/migrations/{migration}/{number}");
        let answer = api.call(Method::PUT, &path, &[("content-type", JSON)], body);
        (answer.status, answer.json())
    };
    let opened = r#"{"step":1,"deed":"opened","actor":"taro","evidence":{"from":"old"}}"#;
    let (status, first) = act("m", 1, opened);
    assert_eq!((status, &first["number"], &first["note"]), (200, &1.into(), &Json::Null));
    // Once more is the same; another one is not.
    assert_eq!(act("m", 1, opened), (200, first));
    assert_eq!(act("m", 1, r#"{"step":1,"deed":"done","actor":"taro"}"#).0, 412);
    assert_eq!(act("m", 3, r#"{"step":1,"deed":"done","actor":"taro"}"#).0, 412);
    for (number, body) in [
        (2, r#"{"step":0,"deed":"done","actor":"taro"}"#),
        (2, r#"{"step":1,"deed":"undone","actor":"taro"}"#),
        (2, r#"{"step":1,"deed":"done","actor":""}"#),
        (2, r#"{"step":1,"deed":"done","actor":"taro","more":1}"#),
        (2, r#"{"step":1,"deed":"done"}"#),
    ] {
        assert_eq!(act("m", number, body).0, 422, "{body}");
    }
    assert_eq!(act("m", 1001, opened).0, 400);
    assert_eq!(act("a%20b", 1, opened).0, 422);
    let other = "/v1/projects/other/migrations/m/1";
    assert_eq!(api.call(Method::PUT, other, &[("content-type", JSON)], opened).status, 403);
    let all = api.get("/v1/projects/head-office/migrations").expect(200).json();
    assert_eq!(all["acts"].as_array().unwrap().len(), 1);
}
