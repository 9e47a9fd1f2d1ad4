//! JSON Schemas for editors: of `yubin.yaml`, and of the resource files of each system. They are
//! generated from the tables and kept in `schemas/`.

use std::fmt::Write as _;

use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json, json};

use crate::load::FormatName;
use crate::model::{Field, Kind, Type, Value};
use crate::system::{self, Default as SystemDefault, Need, Rule, System};

const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// A project of yubin: what it owns, by which rules, and where current state lives.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "yubin.yaml")]
#[expect(dead_code, reason = "the shape alone matters: `load` reads the file with places")]
struct ProjectFile {
    /// Version of this file's format.
    #[schemars(range(min = 1, max = 1), example = 1)]
    version: u32,
    /// Name of the project: it marks what the project owns in the store.
    #[schemars(regex(pattern = r"^[\p{L}\p{N}._-]{1,64}$"), example = &"head-office")]
    name: String,
    /// The product whose rules apply; generic by default.
    #[schemars(default, schema_with = "system_names")]
    system: Option<String>,
    /// Where current state lives, sqlite:yubin.db by default. The path is relative to this file.
    #[schemars(regex(pattern = "^sqlite:.+$"), example = &"sqlite:yubin.db")]
    store: Option<String>,
    /// The files that declare what should be; by default every YAML and CSV file below this folder.
    sources: Option<Vec<SourceEntry>>,
    /// What a plan may do.
    policy: Option<PolicyBlock>,
    /// A file of registered users, one a line; a pattern of another user is an error.
    #[schemars(example = &"users.txt")]
    users: Option<String>,
    /// Values of the product's own masters.
    masters: Option<MastersBlock>,
    /// What holds for this copy of the product where no document states its rules.
    rules: Option<RulesBlock>,
}

/// A path or a glob; or a path with what is to be known about its files.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the shape alone matters")]
enum SourceEntry {
    Path(String),
    Source(SourceBlock),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct SourceBlock {
    /// A path or a glob, relative to this file.
    #[schemars(example = &"people/*.csv")]
    path: String,
    /// Format of the files; by default from their names and content.
    #[schemars(default, schema_with = "format_names")]
    format: Option<String>,
    /// Encoding of the files, as the WHATWG names it; utf-8 by default.
    #[schemars(example = &"shift_jis")]
    encoding: Option<String>,
    /// Kind of the records of a CSV file without a `kind` column.
    #[schemars(default, schema_with = "kind_names")]
    kind: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct MastersBlock {
    /// Values of 連絡ステータス (StaffExpress): what `contact_log.status` may hold.
    contact_status: Option<Vec<String>>,
    /// Values of 連絡区分 (StaffExpress): what `contact_log.category1` to `category3` may hold.
    contact_category: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct RulesBlock {
    /// Names of accounts.
    account_name: Option<TextBlock>,
    /// Passwords of accounts.
    password: Option<TextBlock>,
    /// The mail domain of the accounts: no password may be equal to it.
    #[schemars(example = &"example.jp")]
    domain: Option<String>,
    /// Rows of one file that registers accounts.
    #[schemars(range(min = 1))]
    register_rows: Option<usize>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct TextBlock {
    /// Characters at the least.
    #[schemars(range(min = 1))]
    min: Option<usize>,
    /// Characters at the most.
    #[schemars(range(min = 1))]
    max: Option<usize>,
    /// The characters that are allowed, as in the brackets of a regular expression.
    #[schemars(example = &"A-Za-z0-9._-")]
    chars: Option<String>,
    /// The characters that may stand first and last.
    #[schemars(example = &"A-Za-z0-9")]
    edges: Option<String>,
    /// Whether a letter is demanded.
    letter: Option<bool>,
    /// Whether a digit is demanded.
    digit: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct PolicyBlock {
    /// What happens to a declared resource that exists and differs.
    #[schemars(extend("enum" = ["overwrite", "skip", "fail"], "default" = "overwrite"))]
    existing: Option<String>,
    /// What happens to a resource of this project that is no longer declared.
    #[schemars(extend("enum" = ["keep", "delete"], "default" = "keep"))]
    undeclared: Option<String>,
    /// How many resources of a kind a plan may delete: a count, or a percentage of what the project owns.
    #[schemars(default, schema_with = "limit", extend("default" = "30%"))]
    max_deletes: Option<String>,
    /// How many resources of a kind a plan may overwrite: a count, or a percentage of what the project owns.
    #[schemars(default, schema_with = "limit")]
    max_overwrites: Option<String>,
    /// Addresses of resources that may never be deleted.
    #[schemars(example = ["account/postmaster"])]
    protect: Option<Vec<String>>,
    /// A password written in clear in a file.
    #[schemars(extend("enum" = ["deny", "warn", "allow"], "default" = "warn"))]
    plaintext_secrets: Option<String>,
    /// Whether a capacity of 0 may be declared: the vendor does not say what it means (002:115).
    allow_zero_capacity: Option<bool>,
}

fn system_names(_: &mut SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = system::ALL.iter().map(|system| system.name).collect();
    json_schema!({ "type": "string", "enum": names, "default": "generic" })
}

fn format_names(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({ "type": "string", "enum": FormatName::ALL.map(|(name, _)| name) })
}

fn kind_names(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({ "type": "string", "enum": Kind::ALL.map(Kind::name) })
}

fn limit(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({ "oneOf": [
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": r"^([0-9]+|[0-9]{1,3}(\.[0-9]{1,2})? ?%)$" },
    ], "examples": [10, "30%"] })
}

/// File names and schemas of everything that is generated.
pub fn all() -> Vec<(String, Json)> {
    let mut all = vec![("yubin.schema.json".to_owned(), project())];
    all.extend(system::ALL.iter().map(|system| (format!("{}.schema.json", system.name), resources(system))));
    all
}

pub fn project() -> Json {
    let mut settings = schemars::generate::SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<ProjectFile>().to_value();
    without_null(&mut schema);
    schema
}

/// An optional key is left out, not written as `null`.
fn without_null(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::Array(types)) = object.get_mut("type") {
                types.retain(|ty| ty != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(options)) = object.get_mut("anyOf") {
                options.retain(|option| option.get("type") != Some(&json!("null")));
                if let [Json::Object(only)] = options.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            if object.get("default") == Some(&Json::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(without_null);
        }
        Json::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
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
        let schema = field_schema(field, rule);
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

fn field_schema(field: &Field, rule: Option<&Rule>) -> Json {
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
        Type::Secret => secret(),
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
                    schema = json!({ "enum": [crate::wire::value(&value), null] });
                }
            }
            Need::RequiredWhen(other, word) => {
                let _ = write!(doc, "; required when it is added while {other} is {word}");
            }
            Need::Optional | Need::Never(_) => {}
        }
        if !rule.values.is_empty() {
            let values = rule.values.iter().filter_map(|word| Value::from_word(field.ty, word));
            let values: Vec<Json> = values.map(|value| crate::wire::value(&value)).chain([Json::Null]).collect();
            schema = json!({ "enum": values });
        }
        if let Some((other, word)) = rule.only_when {
            let _ = write!(doc, "; effective only if {other} is {word}");
        }
        if let SystemDefault::Value(word) = rule.default
            && let Some(value) = Value::from_word(field.ty, word)
        {
            schema["default"] = crate::wire::value(&value);
        }
        let _ = write!(doc, " [{}]", rule.source);
    }
    schema["description"] = json!(doc);
    schema
}

fn secret() -> Json {
    let one = |name: &str, doc: &str| {
        json!({
            "type": "object",
            "properties": { name: { "type": "string", "minLength": 1, "description": doc } },
            "required": [name],
            "additionalProperties": false,
        })
    };
    json!({ "anyOf": [
        one("env", "the environment variable that holds the secret"),
        one("file", "the file that holds the secret, relative to yubin.yaml"),
        { "type": ["string", "number", "boolean", "null"], "description": "the secret in clear, governed by policy.plaintext_secrets" },
    ], "examples": [{ "env": "TARO_PASSWORD" }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{POLICY_KEYS, SOURCE_KEYS, TOP_KEYS};

    fn keys(schema: &Json) -> Vec<&str> {
        let mut keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_schema_of_the_project_file_has_the_keys_that_are_read() {
        let schema = project();
        assert_eq!(keys(&schema), sorted(TOP_KEYS.iter().map(|key| key.name)));
        assert_eq!(keys(&schema["properties"]["policy"]), sorted(POLICY_KEYS.iter().map(|key| key.name)));
        let source = &schema["properties"]["sources"]["items"]["anyOf"][1];
        assert_eq!(keys(source), sorted(SOURCE_KEYS.into_iter()));
    }
}
