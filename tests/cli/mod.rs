//! The program from outside: what it prints, how it ends, what it leaves behind.

mod annotations;
mod apply;
mod autoconfig;
pub mod canaries;
mod drift;
mod formats;
mod history;
mod history_views;
mod init;
mod lang;
mod loopholes;
mod mailbox_passwords;
mod ownership;
mod password_policy;
mod plan;
mod products;
mod protected;
mod rails;
mod refresh;
mod rekey;
mod rename;
mod rules;
mod safety;
mod saved_plans;
mod secret_commands;
mod secret_sources;
mod secrets;
mod secrets_skip;
mod snapshots;
mod soft_delete;
mod targets;
mod trusted_config;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::support::{Run, World};

/// YAML of accounts `a000`, `a001` … that all have this comment.
pub fn accounts(numbers: impl IntoIterator<Item = usize>, comment: &str) -> String {
    let mut yaml = String::new();
    for number in numbers {
        writeln!(yaml, "  a{number:03}: {{ comment: {comment} }}").unwrap();
    }
    if yaml.is_empty() { "accounts: {}\n".to_owned() } else { format!("accounts:\n{yaml}") }
}

/// One text after the other.
pub fn concat<T>(items: impl IntoIterator<Item = T>, one: impl Fn(T) -> String) -> String {
    items.into_iter().map(one).collect()
}

/// A complete POP3 record of 12 columns, as in example 1 of document 000; its password stands in
/// the file `pw`.
pub fn row(user: &str, name: &str) -> String {
    format!("{user},{name},send,smtp.xxx.jp,,recv,pop.xxx.jp,,{user}@xxx.jp,1,{user},${{file:pw}}\n")
}

/// A project for CatchMe@MAIL whose records take their password from a private file.
pub fn catchme(more: &str) -> World {
    let world = World::project("catchme-mail", more);
    private(&world, "pw", "open sesame\n");
    world
}

/// A file that only its owner can read.
pub fn private(world: &World, name: &str, text: &str) {
    world.write(name, text);
    std::fs::set_permissions(world.file(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn mode(world: &World, name: &str) -> u32 {
    std::fs::metadata(world.file(name)).unwrap().permissions().mode() & 0o777
}

/// The store, for other software to write to.
pub fn database(world: &World) -> Connection {
    let connection = Connection::open(world.file("yubin.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection
}

/// A run with further variables.
pub fn run_with(world: &World, variables: &[(&str, &str)], args: &[&str]) -> Run {
    Run::of(world.command(args).envs(variables.iter().copied()).output().unwrap())
}

/// A run with further variables that must end with this code.
#[track_caller]
pub fn expect_with(world: &World, code: i32, variables: &[(&str, &str)], args: &[&str]) -> Run {
    let run = run_with(world, variables, args);
    assert_eq!(run.code, code, "yubin {}\n{}\n{}", args.join(" "), run.stdout, run.stderr);
    run
}

pub fn keys(json: &Json) -> Vec<&str> {
    json.as_object().unwrap_or_else(|| panic!("no object: {json}")).keys().map(String::as_str).collect()
}

/// `ACTION ADDRESS` of each change.
pub fn actions(plan: &Json) -> Vec<String> {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let changes = plan["changes"].as_array().unwrap();
    changes.iter().map(|change| format!("{} {}", text(&change["action"]), text(&change["address"]))).collect()
}

/// The rules that refuse a plan.
pub fn rules(plan: &Json) -> Vec<&str> {
    plan["refused"].as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect()
}

/// The fields of a resource in the store.
#[track_caller]
pub fn shown(world: &World, address: &str) -> Json {
    world.json(0, &["show", address])["resources"][0]["fields"].clone()
}

/// What the store holds, without the numbers of revisions.
pub fn state(world: &World) -> Json {
    let mut resources = world.json(0, &["show"])["resources"].take();
    for resource in resources.as_array_mut().unwrap() {
        resource.as_object_mut().unwrap().remove("revision");
    }
    resources
}

pub fn revision(world: &World) -> u64 {
    world.json(0, &["show"])["revision"].as_u64().unwrap()
}
