//! A running `yubin serve`, and a token for it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value as Json;

use super::World;

pub struct Served {
    child: Child,
    pub url: String,
}

impl Served {
    /// Serves a store, with variables beside those of every run.
    pub fn start(world: &World, store: &str, variables: &BTreeMap<&'static str, String>) -> Served {
        Served::with(world, store, variables, &[])
    }

    /// With further arguments.
    pub fn with(world: &World, store: &str, variables: &BTreeMap<&'static str, String>, more: &[&str]) -> Served {
        let args = ["serve", "--listen", "127.0.0.1:0", "--store", store, "--format", "json"];
        let mut command = world.command(&[&args, more].concat());
        command.envs(variables).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let json: Json = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Served { child, url: json["listening"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token of this scope, for these projects.
pub fn token(
    world: &World,
    store: &str,
    variables: &BTreeMap<&'static str, String>,
    scope: &str,
    owners: &[&str],
) -> String {
    let mut args = vec!["token", "create", "tests", "--store", store, "--scope", scope];
    args.extend(owners.iter().flat_map(|owner| ["--owner", owner]));
    let output = world.command(&args).envs(variables).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_whitespace().find(|word| word.starts_with("yubin_"));
    words.unwrap_or_else(|| panic!("no token: {text}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}
