//! What every system can express, in one table: a row for each field, a column for each system.

use serde_json::{Map, Value as Json, json};

use super::fact::{self, Fact};
use crate::model::Kind;
use crate::system::{self, Clears, System};
use crate::wire;

/// A row: what it is about, and a cell for each system.
struct Row {
    name: &'static str,
    label: &'static str,
    cells: Vec<String>,
}

const NOTHING: &str = "–";

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = GENERAL
        .iter()
        .map(|(name, cell)| Row { name, label: "", cells: system::ALL.into_iter().map(cell).collect() })
        .collect();
    let facts: Vec<Vec<Fact>> = system::ALL.into_iter().map(|system| fact::all(system).collect()).collect();
    for field in Kind::ALL.iter().flat_map(|kind| kind.fields()).filter(|field| !field.own) {
        if rows.iter().any(|row| row.name == field.name) {
            continue;
        }
        let cells = facts.iter().map(|facts| cell(facts.iter().filter(|one| one.spec().name == field.name))).collect();
        rows.push(Row { name: field.name, label: field.label, cells });
    }
    rows
}

type Cell = fn(&'static System) -> String;

/// What is no field.
const GENERAL: &[(&str, Cell)] = &[
    ("(kinds)", |system| system.kinds.iter().map(|kind| kind.plural()).collect::<Vec<_>>().join(", ")),
    ("(order of servers)", |system| yes(system.ordered)),
    ("(clearing a value)", |system| match system.clears {
        Clears::Yes => "yes".to_owned(),
        Clears::No(_) => "only to a default".to_owned(),
        Clears::Except(fields) => {
            format!("not {}", fields.iter().map(|(field, _)| *field).collect::<Vec<_>>().join(", "))
        }
    }),
    ("(shown by an export)", |system| {
        let kinds = system.kinds.iter().filter(|kind| system.exports(**kind));
        let names: Vec<&str> = kinds.map(|kind| kind.plural()).collect();
        match names.as_slice() {
            _ if system.open => NOTHING.to_owned(),
            [] => "nothing".to_owned(),
            names => format!("some of {}", names.join(", ")),
        }
    }),
    ("(accounts that stay)", |system| {
        let names: Vec<&str> = system.permanent.iter().map(|(name, _)| *name).collect();
        if names.is_empty() { NOTHING.to_owned() } else { names.join(", ") }
    }),
];

fn yes(is: bool) -> String {
    if is { "yes" } else { NOTHING }.to_owned()
}

/// The cell of a field: it may stand in several kinds of a system.
fn cell<'a>(facts: impl Iterator<Item = &'a Fact>) -> String {
    let mut cells: Vec<String> = Vec::new();
    for one in facts.filter(|one| one.is_its()) {
        let words = one.words();
        let mut cell = if let Some(word) = one.fixed() {
            format!("always {word}")
        } else if one.spec().read_only {
            "given".to_owned()
        } else if words.is_empty() {
            "yes".to_owned()
        } else {
            words.join(", ")
        };
        if !one.default().is_empty() {
            cell.push_str("; default ");
            cell.push_str(&one.default());
        }
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    if cells.is_empty() { NOTHING.to_owned() } else { cells.join(" / ") }
}

/// A Markdown table.
pub fn table() -> String {
    let names: Vec<&str> = system::ALL.into_iter().map(|system| system.name).collect();
    let mut text = format!("| field | | {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for row in rows() {
        let name = if row.name.starts_with('(') { row.name.to_owned() } else { format!("`{}`", row.name) };
        let line = format!("| {name} | {} | {} |\n", row.label, row.cells.join(" | "));
        text.push_str(&line);
    }
    text
}

pub fn json() -> Json {
    let rows: Vec<Json> = rows()
        .into_iter()
        .map(|row| {
            let cells: Map<String, Json> = system::ALL
                .into_iter()
                .zip(row.cells)
                .map(|(system, cell)| (system.name.to_owned(), if cell == NOTHING { Json::Null } else { cell.into() }))
                .collect();
            let (name, label) = (row.name.trim_matches(['(', ')']), Some(row.label).filter(|label| !label.is_empty()));
            json!({ "field": (name == row.name).then_some(name), "about": name, "label": label, "cells": cells })
        })
        .collect();
    let names: Vec<&str> = system::ALL.into_iter().map(|system| system.name).collect();
    json!({ "format_version": wire::FORMAT_VERSION, "systems": names, "rows": rows })
}
