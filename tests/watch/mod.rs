//! `yubin watch`, from its document: what it tells, and that the store becomes what the files say and nothing else.

mod consent;
mod drift;
mod events;
mod files;
mod git;
mod idle;
mod leaders;
mod notices;
mod odd;
mod refusals;
mod secrecy;
mod status;
mod storm;
mod support;

use serde_json::Value as Json;

use crate::cli::{database, shown};
use crate::support::World;

/// Without limits, so that what is tested is what stops it.
const FREE: &str = "policy: { undeclared: delete, max_deletes: 1000000 }\n";

/// A project whose `a.yaml` declares accounts `a000` … with this comment.
fn accounts(count: usize, comment: &str) -> String {
    crate::cli::accounts(0..count, comment)
}

/// A project with three accounts, and these further lines in its `yubin.yaml`.
fn project(more: &str) -> World {
    let world = World::project("generic", more);
    world.write("a.yaml", accounts(3, "one"));
    world
}

/// The comment of an account in the store.
#[track_caller]
fn comment(world: &World, name: &str) -> Json {
    shown(world, &format!("account/{name}"))["comment"].clone()
}

/// How many resources the store holds.
#[track_caller]
fn stored(world: &World) -> usize {
    // Also where nobody finds a project any more.
    let sql = "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM pattern) + (SELECT count(*) FROM server)";
    database(world).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// How many revisions the log has.
#[track_caller]
fn revisions(world: &World) -> usize {
    world.json(0, &["log"])["revisions"].as_array().unwrap().len()
}

/// The rules of a `refused`.
fn rules(event: &Json) -> Vec<&str> {
    event["refused"].as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect()
}

#[track_caller]
fn digest(event: &Json) -> String {
    event["digest"].as_str().unwrap_or_else(|| panic!("no digest: {event}")).to_owned()
}
