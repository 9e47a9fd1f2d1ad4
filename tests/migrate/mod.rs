//! Accounts that move to another mail server: step by step, in the wrong order, killed, by two people at once.

mod http;
mod kills;
mod products;
mod real;
mod refusals;
mod steps;
mod wrong;

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::cli::private;
use crate::support::{Run, World};

/// A project whose accounts `a0`, `a1` … stand on `old`, applied, with a migration `move` to `new`, which is declared.
pub fn project(accounts: usize, more: &str) -> World {
    let world = declared(accounts, more);
    world.expect(0, &["apply", "--yes", "-q"]);
    let servers = servers(&["old", "new"]);
    world.write("servers.yaml", servers);
    world
}

/// The same before its first apply, without the new server.
pub fn declared(accounts: usize, more: &str) -> World {
    let world = World::project("generic", more);
    private(&world, "pw", "open sesame");
    world.write("servers.yaml", servers(&["old"]));
    let mut yaml = if accounts == 0 { "accounts: {}\n" } else { "accounts:\n" }.to_owned();
    for number in 0..accounts {
        writeln!(
            yaml,
            "  a{number}: {{ server: old, address: a{number}@example.jp, incoming: {{ username: a{number}, password: {{ file: pw }} }} }}"
        )
        .unwrap();
    }
    world.write("people/a.yaml", yaml);
    world
}

pub const MOVE: &str = "migrations: { move: { from: old, to: new, domains: [localhost] } }\n";

pub fn servers(names: &[&str]) -> String {
    let mut yaml = "servers:\n".to_owned();
    for name in names {
        writeln!(yaml, "  {name}: {{ incoming: {{ host: {name}.example.jp, protocol: imap }}, outgoing: {{ host: {name}.example.jp }} }}")
            .unwrap();
    }
    yaml
}

/// The only migration, as `status` says it.
#[track_caller]
pub fn status(world: &World) -> Json {
    world.json(0, &["migrate", "status"])["migrations"][0].take()
}

/// The step that is due, and its state.
#[track_caller]
pub fn now(world: &World) -> (u64, String) {
    let status = status(world);
    let step = status["step"].as_u64().unwrap_or_default();
    let state = match step {
        0 => &status["state"],
        step => &status["steps"][step as usize - 1]["state"],
    };
    (step, state.as_str().unwrap().to_owned())
}

#[track_caller]
pub fn next(world: &World, code: i32) -> Run {
    world.expect(code, &["migrate", "next", "--yes"])
}

#[track_caller]
pub fn ack(world: &World, code: i32, step: &str) -> Run {
    world.expect(code, &["migrate", "ack", step])
}

/// To the step behind this one, with all words that it takes.
#[track_caller]
pub fn through(world: &World, step: u64) {
    for at in 1..=step {
        match at {
            1..=4 => drop(next(world, 0)),
            5 => drop(ack(world, 0, "5")),
            6 => drop(world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "looked"])),
            _ => {
                ack(world, 0, "7");
                next(world, 0);
            }
        }
    }
}

/// Accounts of a server in the store.
pub fn on(world: &World, server: &str) -> Vec<String> {
    let shown = world.json(0, &["show"]);
    let resources = shown["resources"].as_array().unwrap().iter();
    let there = resources.filter(|one| one["kind"] == "account" && one["fields"]["server"] == server);
    there.map(|one| one["address"].as_str().unwrap().to_owned()).collect()
}

/// Acts as the database has them: step and deed.
pub fn acts(world: &World) -> Vec<(u64, String)> {
    let connection = crate::cli::database(world);
    let mut statement = connection.prepare("SELECT step, deed FROM migration ORDER BY name, number").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Names in a folder that are not hidden.
pub fn names(world: &World, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(world.file(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}
