//! `schemas/` is what the program generates, fits what is right, and not what is wrong.

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value as Json, json};
use serde_yaml::Value as Yaml;

use crate::support::World;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// File names and schemas, as `yubin schema` prints them.
fn generated() -> Map<String, Json> {
    let text = World::new().expect(0, &["schema"]).stdout;
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_schemas_are_those_that_the_program_generates() {
    let folder = root().join("schemas");
    let generated = World::new();
    generated.expect(0, &["schema", "--out", "."]);
    let names = |folder: &Path| -> Vec<String> {
        let entries =
            std::fs::read_dir(folder).unwrap_or_else(|_| panic!("{}: `yubin schema --out schemas`", folder.display()));
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder), names(generated.path()), "run `yubin schema --out schemas`");
    for name in names(&folder) {
        let kept = std::fs::read_to_string(folder.join(&name)).unwrap();
        let fresh = std::fs::read_to_string(generated.file(&name)).unwrap();
        assert!(kept == fresh, "schemas/{name} is stale: run `yubin schema --out schemas`");
    }
}

#[test]
fn every_system_has_a_schema_with_words_for_every_field() {
    let generated = generated();
    let mut names: Vec<&str> = generated.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut expected: Vec<String> =
        yubin::system::ALL.iter().map(|system| format!("{}.schema.json", system.name)).collect();
    expected.extend(["yubin.schema.json".to_owned(), "openapi.json".to_owned()]);
    expected.sort();
    assert_eq!(names, expected);
    for (name, schema) in generated.iter().filter(|(name, _)| *name != "openapi.json") {
        assert!(jsonschema::meta::is_valid(schema), "{name} is no schema");
        assert!(schema["$schema"].as_str().unwrap().starts_with("http"), "{name}");
    }
    for system in yubin::system::ALL {
        let schema = &generated[&format!("{}.schema.json", system.name)];
        for kind in system.kinds {
            let mut resource = &schema["properties"][kind.plural()];
            for _ in kind.key_parts() {
                resource = &resource["additionalProperties"];
            }
            for (id, field) in (0..).zip(kind.fields()) {
                let told = &resource["properties"][field.name]["description"];
                let written = system.expresses(*kind, id) && !field.read_only;
                assert_eq!(told.as_str().is_some_and(|doc| !doc.is_empty()), written, "{} {}", system.name, field.name);
            }
        }
    }
}

fn validator(name: &str) -> Validator {
    jsonschema::validator_for(&generated()[name]).unwrap()
}

/// YAML as JSON: merge keys resolved, keys as text.
fn to_json(yaml: Yaml) -> Json {
    match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(flag) => Json::from(flag),
        Yaml::Number(number) => number.as_i64().map_or_else(|| json!(number.as_f64()), Json::from),
        Yaml::String(text) => Json::from(text),
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect(),
        Yaml::Mapping(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let key = match key {
                    Yaml::String(text) => text,
                    other => serde_yaml::to_string(&other).unwrap().trim().to_owned(),
                };
                (key, to_json(value))
            });
            Json::Object(entries.collect())
        }
        Yaml::Tagged(tagged) => to_json(tagged.value),
    }
}

#[track_caller]
fn parse(text: &str) -> Json {
    let mut yaml: Yaml =
        serde_yaml::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    yaml.apply_merge().unwrap();
    to_json(yaml)
}

fn problems(validator: &Validator, document: &Json) -> String {
    let problems = validator.iter_errors(document).map(|error| format!("    {}: {error}", error.instance_path()));
    problems.collect::<Vec<_>>().join("\n")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_right_project_fits_its_schemas() {
    let project = validator("yubin.schema.json");
    let resources: Vec<(&str, Validator)> = yubin::system::ALL
        .iter()
        .map(|system| (system.name, validator(&format!("{}.schema.json", system.name))))
        .collect();
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("tests/fixtures/valid")).unwrap() {
        let folder = entry.unwrap().path();
        let yubin = parse(&std::fs::read_to_string(folder.join("yubin.yaml")).unwrap());
        let system = yubin["system"].as_str().unwrap_or("generic").to_owned();
        let (_, of_system) = resources.iter().find(|(name, _)| *name == system).unwrap();
        for path in yaml_files(&folder) {
            // Files in other encodings are not for editors; what is no YAML is no source.
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if serde_yaml::from_str::<Yaml>(text.trim_start_matches('\u{feff}')).is_err() {
                continue;
            }
            let (schema, document) =
                if path.ends_with("yubin.yaml") { (&project, parse(&text)) } else { (of_system, parse(&text)) };
            // An empty file says nothing.
            if document.is_null() {
                continue;
            }
            count += 1;
            if !schema.is_valid(&document) {
                failures.push(format!("{}\n{}", path.display(), problems(schema, &document)));
            }
        }
    }
    assert!(count > 40, "only {count} files");
    assert!(failures.is_empty(), "{} files do not fit:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_init_writes_and_what_is_exported_fits() {
    for system in yubin::system::ALL {
        let world = World::new();
        world.expect(0, &["init", "--system", system.name]);
        let read = |name: &str| parse(&std::fs::read_to_string(world.file(name)).unwrap());
        let schema = validator(&format!("{}.schema.json", system.name));
        let document = read("mail.yaml");
        assert!(schema.is_valid(&document), "{}", problems(&schema, &document));
        let schema_of_project = validator("yubin.schema.json");
        let document = read("yubin.yaml");
        assert!(schema_of_project.is_valid(&document), "{}", problems(&schema_of_project, &document));
        world.expect(0, &["apply", "--yes", "-q"]);
        let document = parse(&world.expect(0, &["export", "yaml"]).stdout);
        assert!(schema.is_valid(&document), "{}", problems(&schema, &document));
    }
}

#[test]
fn wrong_resource_files_do_not_fit() {
    let generic = validator("generic.schema.json");
    for text in [
        "mailboxes: {}",
        "accounts: []",
        "accounts: text",
        "accounts: { a: text }",
        "accounts: { a: { colour: red } }",
        "accounts: { a: { capacity: many } }",
        "accounts: { a: { capacity: -1 } }",
        "accounts: { a: { capacity: 1.5 } }",
        "accounts: { a: { visible: \"true\" } }",
        "accounts: { a: { visible: 1 } }",
        "accounts: { a: { incoming: { port: 0 } } }",
        "accounts: { a: { incoming: { port: 65536 } } }",
        "accounts: { a: { incoming.port: '25' } }",
        "accounts: { a: { incoming: { protocol: pop } } }",
        "accounts: { a: { incoming: { security: tls } } }",
        "accounts: { a: { incoming: text } }",
        "accounts: { a: { address: nobody } }",
        "accounts: { a: { forward: { to: a@x.jp } } }",
        "accounts: { a: { comment: [a] } }",
        "accounts: { a: { comment: { b: c } } }",
        "accounts: { a: { password: { envv: X } } }",
        "accounts: { a: { password: { env: X, file: y } } }",
        "accounts: { a: { password: [x] } }",
        "accounts: { a: { status: normal } }",
        "accounts: { a: { mailbox_size: 5MB } }",
        "accounts: { a: { absent: yes please } }",
        "servers: { s: { incoming: { max_message_size: 5 } } }",
        "servers: { s: { incoming: { max_message_size: 5mb } } }",
        "servers: { s: { incoming: { host: http://x.jp/ } } }",
        "patterns: { taro: { address: a@x.jp } }",
        "patterns: { taro: { p: { incoming: { delete_after_days: 100 } } } }",
        "defaults: { mailboxes: {} }",
        "defaults: { accounts: { absent: true } }",
    ] {
        assert!(!generic.is_valid(&parse(text)), "{text}");
    }
    let catchme = validator("catchme-mail.schema.json");
    for text in [
        "accounts: { a: {} }",
        "patterns: { u: { p: { incoming: { security: starttls } } } }",
        "patterns: { u: { p: { outgoing: { auth: { mechanism: cram-md5 } } } } }",
        "patterns: { u: { p: { outgoing: { auth: { credentials: account } } } } }",
    ] {
        assert!(!catchme.is_valid(&parse(text)), "{text}");
    }
}

/// What the rules of a product refuse, whatever the store holds, an editor refuses too; and what
/// they take, it takes.
#[test]
fn the_rules_of_the_products_hold_in_the_editor() {
    // A system, its resource, what it may not hold and the smallest change that makes it right.
    const B: &str = "accounts: { 1: { FIELDS } }";
    const C: &str = "accounts: { info: { FIELDS } }";
    const S: &str = "servers: { s: { FIELDS } }";
    for (system, resource, wrong, right) in [
        ("staff-express", B, "outgoing.port: 2525", "outgoing.port: 587"),
        ("staff-express", B, "incoming.protocol: imap", "incoming.protocol: pop3"),
        ("staff-express", B, "outgoing.auth.mechanism: cram-md5", "outgoing.auth.mechanism: plain"),
        ("staff-express", B, "outgoing.auth.username: x", "incoming.username: x"),
        ("staff-express", B, "capacity: 5", "label: x"),
        (
            "staff-express",
            B,
            "outgoing: { port: 465, security: starttls }",
            "outgoing: { port: 465, security: implicit_tls }",
        ),
        (
            "staff-express",
            B,
            "outgoing.port: 465, outgoing: { security: none }",
            "outgoing.port: 25, outgoing: { security: none }",
        ),
        (
            "staff-express",
            B,
            "outgoing: { security: starttls, auth: { enabled: false } }",
            "outgoing: { security: starttls, auth: { enabled: true } }",
        ),
        (
            "staff-express",
            B,
            "outgoing: { security: starttls, auth.mechanism: plain }",
            "outgoing: { security: implicit_tls, auth.mechanism: plain }",
        ),
        ("staff-express", B, "receive.enabled: false, contact_log.enabled: true", "contact_log.enabled: true"),
        (
            "staff-express",
            B,
            "contact_log: { enabled: false, category1: { to: x } }",
            "contact_log: { enabled: true, category1: { to: x } }",
        ),
        (
            "staff-express",
            B,
            "receive.enabled: false, outgoing.pop_before_smtp: true",
            "outgoing.pop_before_smtp: true",
        ),
        (
            "staff-express",
            B,
            "receive.enabled: true, incoming.host: null",
            "receive.enabled: false, incoming.host: null",
        ),
        ("cpi-business-standard", C, "capacity: 3", "capacity: 100"),
        ("cpi-kwc-mail", C, "capacity: '5'", "capacity: 5"),
        ("cpi-kwc-mail", C, "password: null", "password: { env: X }"),
        ("cpi-kwc-mail", C, "incoming.host: x.jp", "receive.enabled: false"),
        ("cpi-sv-basic", C, "capacity: 5", "comment: x"),
        ("cpi-sv-basic", C, "spam.sort: true", "spam.tag_subject: true"),
        ("mailwise", S, "incoming.security: starttls", "incoming.security: none"),
        ("mailwise", S, "outgoing.auth.mechanism: auto", "outgoing.auth.mechanism: cram-md5"),
        ("mailwise", S, "outgoing.auth.credentials: per_account", "outgoing.auth.credentials: own"),
        ("mailwise", S, "outgoing.pop_before_smtp_wait: 6", "outgoing.pop_before_smtp_wait: 5"),
        ("mailwise", S, "incoming.max_message_size: 2MB", "incoming.max_message_size: unlimited"),
        ("mailwise", S, "supports_uidl: true", "position: 1"),
        ("mailwise", S, "incoming: { protocol: imap, apop: true }", "incoming: { protocol: pop3, apop: true }"),
        (
            "mailwise",
            S,
            "incoming.protocol: imap, outgoing: { pop_before_smtp: true }",
            "incoming.protocol: imap, outgoing: { pop_before_smtp: false }",
        ),
        (
            "mailwise",
            S,
            "outgoing: { auth: { enabled: true, mechanism: null } }",
            "outgoing: { auth: { enabled: true } }",
        ),
        ("cybozu-office", S, "incoming.protocol: imap", "incoming.protocol: pop3"),
        ("cybozu-office", S, "supports_uidl: false", "supports_uidl: true"),
        ("cybozu-office", S, "outgoing.auth.mechanism: login", "outgoing.auth.mechanism: auto"),
        ("cybozu-office", S, "outgoing.auth.credentials: own", "outgoing.auth.credentials: per_account"),
        ("cybozu-office", S, "incoming.max_message_size: 5MB", "incoming.apop: true"),
        ("cybozu-office", S, "product_id: x", "position: 3"),
        (
            "cybozu-office",
            S,
            "outgoing: { auth.enabled: true, pop_before_smtp: true }",
            "outgoing: { auth.enabled: false, pop_before_smtp: true }",
        ),
        ("cybozu-office", "accounts: { 191: { FIELDS } }", "server: null", "server: s"),
        ("cybozu-office", "accounts: { 191: { FIELDS } }", "incoming.host: x.jp", "incoming.username: x"),
    ] {
        let schema = validator(&format!("{system}.schema.json"));
        for (fields, fits) in [(wrong, false), (right, true)] {
            let document = parse(&resource.replace("FIELDS", fields));
            assert_eq!(schema.is_valid(&document), fits, "{system}: {fields}\n{}", problems(&schema, &document));
        }
        // The reader says so too, but of `null`, which only a plan that adds can judge.
        if !wrong.contains("null") {
            let world = World::project(system, "");
            world.write("a.yaml", resource.replace("FIELDS", wrong));
            world.expect(3, &["check"]);
        }
    }
}

/// Every row of `excludes` is a rule of `check`, and holds in the editor as in the reader.
#[test]
fn what_fields_exclude_is_refused_by_editor_and_reader() {
    for system in yubin::system::ALL {
        let schema = validator(&format!("{}.schema.json", system.name));
        for one in system.excludes {
            assert!(yubin::check::of(system.name).any(|check| check.id == one.id), "{}: {}", system.name, one.id);
            let whens: Vec<Option<(&str, &str)>> = match one.when {
                Some((field, words)) => words.iter().map(|word| Some((field, *word))).collect(),
                None => vec![None],
            };
            let words = if one.words.is_empty() { &["x"] } else { one.words };
            for (when, field, word) in whens.iter().flat_map(|when| {
                one.fields.iter().flat_map(move |field| words.iter().map(move |word| (when, field, word)))
            }) {
                let when = when.map_or(String::new(), |(other, word)| format!("{other}: {word}, "));
                let text = format!("{}: {{ a: {{ {when}{field}: {word} }} }}", one.kind.plural());
                assert!(!schema.is_valid(&parse(&text)), "{}: {text}", system.name);
                let world = World::project(system.name, "");
                world.write("a.yaml", &text);
                world.expect(3, &["check"]);
            }
        }
    }
}

#[test]
fn kinds_that_a_product_has_not_do_not_fit() {
    for system in yubin::system::ALL {
        let schema = validator(&format!("{}.schema.json", system.name));
        for (kinds, text) in [
            ("accounts", "accounts: { a: { absent: true } }"),
            ("patterns", "patterns: { u: { p: { absent: true } } }"),
        ] {
            let has = system.kinds.iter().any(|kind| kind.plural() == kinds);
            assert_eq!(schema.is_valid(&parse(text)), has, "{} {kinds}", system.name);
        }
    }
}

#[test]
fn every_example_fits_its_schemas() {
    let project = validator("yubin.schema.json");
    for system in yubin::system::ALL {
        let folder = root().join("examples").join(system.name);
        let resources = validator(&format!("{}.schema.json", system.name));
        for path in yaml_files(&folder) {
            let schema = if path.ends_with("yubin.yaml") { &project } else { &resources };
            let document = parse(&std::fs::read_to_string(&path).unwrap());
            assert!(schema.is_valid(&document), "{}\n{}", path.display(), problems(schema, &document));
        }
    }
}

#[test]
fn wrong_project_files_do_not_fit() {
    let schema = validator("yubin.schema.json");
    let right = parse("version: 1\nname: x\n");
    assert!(schema.is_valid(&right), "the smallest project does not fit:\n{}", problems(&schema, &right));
    let window = "{ at: \"Sat, 日 22:00-05:00\", for: [passwords] }";
    let right =
        parse(&format!("version: 1\nname: x\nsync: {{ windows: [mon-fri 22:00-05:00, 00:00-24:00, {window}] }}\n"));
    assert!(schema.is_valid(&right), "windows do not fit:\n{}", problems(&schema, &right));
    for more in [
        "colour: red",
        "system: outlook",
        "store: 5",
        "sources: a.yaml",
        "sources: [5]",
        "sources: [{ format: csv }]",
        "sources: [{ path: a.csv, format: xls }]",
        "sources: [{ path: a.csv, kind: mailbox }]",
        "sources: [{ path: a.csv, colour: red }]",
        "policy: strict",
        "policy: { existing: replace }",
        "policy: { undeclared: remove }",
        "policy: { max_deletes: -1 }",
        "policy: { max_deletes: many }",
        "policy: { max_deletes: 1000% }",
        "policy: { protect: account/a }",
        "policy: { plaintext_secrets: yes }",
        "policy: { colour: red }",
        "sync: { windows: 01:00-02:00 }",
        "sync: { windows: [01:00] }",
        "sync: { windows: [1:00-2:00] }",
        "sync: { windows: [24:00-02:00] }",
        "sync: { windows: [mon fri 01:00-02:00] }",
        "sync: { windows: [{ for: [logouts] }] }",
        "sync: { windows: [{ at: 01:00-02:00, for: [] }] }",
        "sync: { windows: [{ at: 01:00-02:00, for: [mail] }] }",
        "sync: { approve: [all] }",
        "sync: { heal: maybe }",
        "hooks: [{ name: a, on: [watches], command: [x] }]",
        "users: []",
    ] {
        assert!(!schema.is_valid(&parse(&format!("version: 1\nname: x\n{more}\n"))), "{more}");
    }
    for text in [
        "version: 1",
        "name: x",
        "version: 2\nname: x",
        "version: '1'\nname: x",
        "version: 1\nname: 'a b'",
        "[]",
        "text",
    ] {
        assert!(!schema.is_valid(&parse(text)), "{text}");
    }
}

/// Schema and reader agree: what the schema refuses is an error to `check`, too, but for what only
/// the schema can be strict about.
#[test]
fn the_reader_refuses_what_the_schema_refuses() {
    for text in [
        "accounts: []",
        "accounts: { a: { capacity: 1.5 } }",
        "accounts: { a: { visible: \"true\" } }",
        "accounts: { a: { incoming.port: '25' } }",
        "accounts: { a: { status: normal } }",
        "servers: { s: { incoming: { max_message_size: 5 } } }",
        "defaults: { accounts: { absent: true } }",
        "accounts: { a: { password: { env: X, file: y } } }",
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", format!("{text}\n"));
        world.expect(3, &["check"]);
    }
}
