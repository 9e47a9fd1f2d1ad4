//! A store over HTTP, from the side of its clients: what goes wrong on the way, and what comes of it.

mod cuts;
mod faults;
mod served;
mod server;
mod trust;

use serde_json::{Value as Json, json};
use yubin::model::{Cell, Clear, Key, Kind, Result, Row, Value};
use yubin::store::http::{Access, Http, TokenSource};
use yubin::wire::remote::{Head, put_listed, put_row};

use crate::support::World;
use server::{Reply, Request, Server, TOKEN};

/// A client of the server, for project `head-office`.
fn client(url: &str) -> Http {
    let token = TokenSource::Given(Clear::new(TOKEN.to_owned()));
    Http::new(Access::new(url, token, None, Some("head-office")).unwrap()).unwrap()
}

fn expect_error<T>(result: Result<T>) -> yubin::model::Error {
    result.err().expect("this fails")
}

/// Accounts with a comment, as the server of a test holds them.
fn rows(count: usize) -> Vec<Row> {
    let comment = Kind::Account.id("comment");
    let one = |at| Row {
        key: Key::single(&format!("a{at:04}")),
        owner: Some("head-office".to_owned()),
        revision: 1,
        disabled: None,
        previously: None,
        cells: vec![Cell { field: comment, value: Value::Text(format!("number {at}").into()) }],
    };
    (0..count).map(one).collect()
}

fn head(revision: u64) -> Vec<u8> {
    let mut head = serde_json::to_vec(&Head { revision, ..Head::default() }).unwrap();
    head.push(b'\n');
    head
}

/// A store of accounts at a revision, which answers as a server does; pages hold at most so many lines.
fn answer(request: &Request, rows: &[Row], revision: u64, most: usize) -> Reply {
    let pinned = request.query("revision");
    if pinned.is_some_and(|pinned| pinned != revision.to_string()) {
        return problem(410, "store/gone", "that state is gone");
    }
    match (request.method.as_str(), request.path()) {
        ("GET", "/v1/resources") => {
            let after = request.query("after");
            let kind = request.query("kind");
            let of_kind = kind.is_none_or(|kind| kind == "account");
            let behind = |row: &&Row| after.as_ref().is_none_or(|after| format!("account/{}", row.key.name()) > *after);
            let found: Vec<&Row> = rows.iter().filter(|_| of_kind).filter(behind).collect();
            let most = most.min(request.query("limit").map_or(1_000, |limit| limit.parse().unwrap()));
            let mut body = head(revision);
            for row in found.iter().take(most) {
                put(&mut body, row, request.query("view").is_some());
            }
            let next = (found.len() > most).then(|| "/v1/resources?after=x".to_owned());
            body.extend_from_slice(format!("{}\n", json!({ "next": next })).as_bytes());
            Reply::new(200, body)
        }
        ("POST", "/v1/resources/query") => {
            let asked: Json = serde_json::from_slice(&request.body).unwrap();
            let mut body = head(revision);
            for key in asked["keys"].as_array().unwrap() {
                if let Some(row) = rows.iter().find(|row| row.key.name() == key[0].as_str().unwrap()) {
                    put(&mut body, row, false);
                }
            }
            body.extend_from_slice(b"{\"next\":null}\n");
            Reply::new(200, body)
        }
        _ => problem(404, "request/not-found", "there is nothing at this path"),
    }
}

fn put(to: &mut Vec<u8>, row: &Row, keys_alone: bool) {
    if keys_alone {
        let parts: Vec<&str> = row.key.parts().collect();
        put_listed(to, Kind::Account, &parts, row.owner.as_deref(), None);
    } else {
        put_row(to, Kind::Account, row, None);
    }
}

fn problem(status: u16, code: &str, detail: &str) -> Reply {
    let body = json!({ "type": "about:blank", "title": "Title", "status": status, "detail": detail, "code": code });
    Reply::new(status, body.to_string()).with("Content-Type", "application/problem+json")
}

/// A project whose store is the server's, and the variable with the token.
fn project(server: &Server) -> World {
    let world = World::project("generic", &format!("store: {}\n", server.url()));
    world.write("a.yaml", "accounts: { a: { comment: x }, b: { comment: y } }\n");
    world
}
