//! JSON Schemas for editors: of `yubin.yaml`, and of the resource files of each system. They are
//! generated from the tables and kept in `schemas/`.

mod project;

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::model::{Field, Kind, Type, Value};
use crate::system::{self, Default as SystemDefault, Exclusion, Need, Rule, System};
use crate::wire;

const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// File names and schemas of everything that is generated.
pub fn all() -> Vec<(String, Json)> {
    let mut all = vec![("yubin.schema.json".to_owned(), project::schema())];
    all.extend(system::ALL.iter().map(|system| (format!("{}.schema.json", system.name), resources(system))));
    all
}

/// The schema of a system's resource files.
pub fn resources(system: &System) -> Json {
    let mut properties = Map::new();
    let mut defaults = Map::new();
    for kind in Kind::ALL {
        // Servers serve references everywhere.
        if !system.manages(kind) && kind != Kind::Server {
            continue;
        }
        let fields = fields(system, kind);
        let mut resource = fields.clone();
        if let Some(Json::Object(properties)) = resource.get_mut("properties") {
            let doc = "a tombstone: delete the resource if it exists";
            properties.insert("absent".to_owned(), json!({ "type": "boolean", "description": doc }));
            let doc = "the name of the resource so far, if it is to be renamed";
            properties.insert(
                "previously".to_owned(),
                json!({ "type": ["string", "number", "boolean"], "description": doc }),
            );
        }
        let conditions = conditions(system, kind);
        if !conditions.is_empty() {
            resource["allOf"] = conditions.into();
        }
        resource["type"] = json!(["object", "null"]);
        let by_name = json!({ "type": "object", "additionalProperties": resource });
        let all = match kind {
            Kind::Pattern => {
                json!({ "type": "object", "additionalProperties": by_name, "description": "patterns by user and name" })
            }
            _ => {
                json!({ "type": "object", "additionalProperties": resource, "description": format!("{} by name", kind.plural()) })
            }
        };
        properties.insert(kind.plural().to_owned(), all);
        defaults.insert(kind.plural().to_owned(), fields);
    }
    properties.insert(
        "defaults".to_owned(),
        json!({
            "type": "object",
            "description": "fields that every resource of this file takes which does not write them",
            "properties": defaults,
            "additionalProperties": false,
        }),
    );
    json!({
        "$schema": DIALECT,
        "title": format!("resources of {}", system.product),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The fields of a kind, nested and dotted.
fn fields(system: &System, kind: Kind) -> Json {
    let mut root = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    for (id, field) in (0..).zip(kind.fields()) {
        let served = !system.manages(kind);
        if field.read_only || !(served || system.expresses(kind, id)) {
            continue;
        }
        let rule = if served { None } else { system.rule(kind, id) };
        let schema = field_schema(system, field, rule);
        // The rest of the name may be dotted in any of its groups.
        let mut group = &mut root;
        let mut rest = field.name;
        loop {
            group["properties"][rest] = schema.clone();
            let Some((part, below)) = rest.split_once('.') else { break };
            group = &mut group["properties"][part];
            if group.is_null() {
                *group = json!({ "type": "object", "properties": {}, "additionalProperties": false });
            }
            rest = below;
        }
    }
    root
}

fn field_schema(system: &System, field: &Field, rule: Option<&Rule>) -> Json {
    let mut schema = match field.ty {
        Type::Bool => json!({ "type": ["boolean", "null"] }),
        Type::Int { min, max } => json!({ "type": ["integer", "null"], "minimum": min, "maximum": max }),
        Type::Choice(words) => {
            let words: Vec<Json> = words.iter().map(|word| json!(word)).chain([Json::Null]).collect();
            json!({ "enum": words })
        }
        Type::Size => {
            json!({ "type": ["string", "null"], "pattern": "^(unlimited|[0-9]+(KB|MB|GB))$", "examples": ["5MB", "unlimited"] })
        }
        Type::List => json!({ "type": ["array", "null"], "items": { "type": "string" } }),
        Type::Mail => json!({ "type": ["string", "null"], "pattern": "^.+@[^@]+$", "examples": ["taro@example.jp"] }),
        Type::Mails => {
            json!({ "type": ["string", "null"], "pattern": "@", "examples": ["a@example.jp, b@example.jp"] })
        }
        Type::Host => json!({ "type": ["string", "null"], "pattern": r"^[^\s/@]+$", "examples": ["mail.example.jp"] }),
        Type::Secret => secret(false),
        Type::Password => secret(system.takes_hashes()),
        // What YAML takes for a number or a flag stays the text that was written.
        Type::Text | Type::Multiline => json!({ "type": ["string", "number", "boolean", "null"] }),
        Type::Reference => json!({ "type": ["string", "number", "boolean", "null"], "examples": ["head-office"] }),
    };
    // Writing to a string cannot fail.
    let mut doc = format!("{} ({})", field.doc, field.label);
    if let Some(rule) = rule {
        match rule.need {
            Need::Required => doc.push_str("; required when it is added"),
            Need::Fixed(word) => {
                if let Some(value) = Value::from_word(field.ty, word) {
                    schema = json!({ "enum": [wire::value(&value), null] });
                }
            }
            Need::RequiredWhen(other, word) => {
                let _ = write!(doc, "; required when it is added while {other} is {word}");
            }
            Need::Optional | Need::Never(_) => {}
        }
        if !rule.values.is_empty() {
            let values = rule.values.iter().filter_map(|word| Value::from_word(field.ty, word));
            let values: Vec<Json> = values.map(|value| wire::value(&value)).chain([Json::Null]).collect();
            schema = json!({ "enum": values });
        }
        if let Some((other, word)) = rule.only_when {
            let _ = write!(doc, "; effective only if {other} is {word}");
        }
        if let SystemDefault::Value(word) = rule.default
            && let Some(value) = Value::from_word(field.ty, word)
        {
            schema["default"] = wire::value(&value);
        }
        if rule.need == Need::Required && matches!(rule.default, SystemDefault::None) {
            refuse_null(&mut schema);
        }
        let _ = write!(doc, " [{}]", rule.source);
    }
    schema["description"] = json!(doc);
    schema
}

/// What one resource may not hold together. Both sides are written there, so that a resource that
/// leaves fields as they are is not refused.
fn conditions(system: &System, kind: Kind) -> Vec<Json> {
    if !system.manages(kind) {
        return Vec::new();
    }
    let required = system.rules.iter().filter(|rule| rule.kind == kind).filter_map(|rule| match rule.need {
        Need::RequiredWhen(other, word) if matches!(rule.default, SystemDefault::None) => {
            let when = written(other, &json!({ "enum": values(kind, other, &[word]) }));
            let doc = format!("{} is required while {other} is {word} [{}]", rule.field, rule.source);
            let then = spelt(rule.field, &json!({ "not": { "type": "null" } }));
            Some(json!({ "description": doc, "if": when, "then": then }))
        }
        _ => None,
    });
    let excluded = system.excludes.iter().filter(|one| one.kind == kind).map(|one| {
        let Exclusion { id, kind: _, when, fields, words } = one;
        let allowed = |field: &str| match words {
            [] => json!({ "type": "null" }),
            words => json!({ "enum": others(system, kind, field, words) }),
        };
        let then: Vec<Json> = fields.iter().map(|field| spelt(field, &allowed(field))).collect();
        match when {
            Some((other, words)) => {
                let when = written(other, &json!({ "enum": values(kind, other, words) }));
                json!({ "description": id, "if": when, "then": { "allOf": then } })
            }
            None => json!({ "description": id, "allOf": then }),
        }
    });
    required.chain(excluded).collect()
}

fn values(kind: Kind, field: &str, words: &[&str]) -> Vec<Json> {
    let ty = kind.field(kind.id(field)).ty;
    words.iter().filter_map(|word| Value::from_word(ty, word)).map(|value| wire::value(&value)).collect()
}

/// The words that a field takes beside these, and `null`.
fn others(system: &System, kind: Kind, field: &str, words: &[&str]) -> Vec<Json> {
    let rule = system.rule(kind, kind.id(field));
    let all: &[&str] = match (rule.map_or(&[][..], |rule| rule.values), kind.field(kind.id(field)).ty) {
        ([], Type::Choice(words)) => words,
        ([], Type::Bool) => &["true", "false"],
        (values, _) => values,
    };
    let left: Vec<&str> = all.iter().copied().filter(|word| !words.contains(word)).collect();
    values(kind, field, &left).into_iter().chain([Json::Null]).collect()
}

/// The field is written in one of its spellings, with such a value.
fn written(name: &str, value: &Json) -> Json {
    let holds = |key: &str, value: Json| json!({ "type": "object", "properties": { key: value }, "required": [key] });
    let dotted = holds(name, value.clone());
    match name.split_once('.') {
        None => dotted,
        Some((part, below)) => json!({ "anyOf": [dotted, holds(part, written(below, value))] }),
    }
}

/// Wherever the field is written, it has such a value.
fn spelt(name: &str, value: &Json) -> Json {
    let mut properties = Map::new();
    properties.insert(name.to_owned(), value.clone());
    if let Some((part, below)) = name.split_once('.') {
        properties.insert(part.to_owned(), spelt(below, value));
    }
    json!({ "properties": properties })
}

/// What the product cannot be without is not `null`.
fn refuse_null(schema: &mut Json) {
    for key in ["type", "enum"] {
        if let Some(Json::Array(values)) = schema.get_mut(key) {
            values.retain(|value| !value.is_null() && value != "null");
        }
    }
    if let Some(Json::Array(options)) = schema.get_mut("anyOf") {
        options.iter_mut().for_each(refuse_null);
    }
}

fn secret(hash: bool) -> Json {
    let one = |name: &str, doc: &str| {
        json!({
            "type": "object",
            "properties": { name: { "type": "string", "minLength": 1, "description": doc } },
            "required": [name],
            "additionalProperties": false,
        })
    };
    let mut forms = vec![
        one("env", "the environment variable that holds the secret"),
        one("file", "the file that holds the secret, relative to yubin.yaml; encrypted if its name ends in .age"),
        one("age", "the secret, encrypted by `yubin secret encrypt`"),
        json!({
            "type": "object",
            "properties": { "command": {
                "type": "array",
                "items": { "type": "string" },
                "minItems": 1,
                "description": "a program and its arguments, allowed by `secrets: commands:` in yubin.yaml, that prints the secret",
            } },
            "required": ["command"],
            "additionalProperties": false,
        }),
    ];
    if hash {
        forms.push(one("hash", "a hash of the password as Dovecot reads it: {ARGON2ID}$argon2id$…"));
    }
    let clear = "the secret in clear, governed by policy.plaintext_secrets";
    forms.push(json!({ "type": ["string", "number", "boolean", "null"], "description": clear }));
    json!({ "anyOf": forms, "examples": [{ "env": "TARO_PASSWORD" }] })
}
