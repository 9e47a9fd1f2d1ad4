//! The JSON Schema of `yubin.yaml`.

use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::{Value as Json, json};

use crate::load::{FormatName, LIMIT_KEYS};
use crate::model::{Kind, Sort, Trigger};
use crate::system;

/// A project of yubin: what it owns, by which rules, and where current state lives.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "yubin.yaml")]
#[expect(dead_code, reason = "the shape alone matters: `load` reads the file with places")]
struct ProjectFile {
    /// Version of this file's format.
    #[schemars(range(min = 1, max = 1), example = 1)]
    version: u32,
    /// Name of the project: it marks what the project owns in the store.
    #[schemars(regex(pattern = r"^[^\s!-,/:-@\[-\^`\{-~]{1,64}$"), example = &"head-office")]
    name: String,
    /// The product whose rules apply; generic by default.
    #[schemars(default, schema_with = "system_names")]
    system: Option<String>,
    /// Where current state lives, sqlite:yubin.db by default: a file, whose path is relative to this one, a PostgreSQL
    /// database (postgres://…), or the address of a yubin serve (https://…). A password does not belong here.
    #[schemars(regex(pattern = "^(sqlite:.+|(postgres|postgresql|https?)://.+)$"), example = &"sqlite:yubin.db")]
    store: Option<String>,
    /// The files that declare what should be; by default every YAML and CSV file below this folder.
    sources: Option<Vec<SourceEntry>>,
    /// What a plan may do.
    policy: Option<PolicyBlock>,
    /// Where secrets may come from, and the keys of those that stand encrypted in files.
    secrets: Option<SecretsBlock>,
    /// What is run or called for the effects of an apply, and for what a yubin watch has to tell.
    hooks: Option<Vec<HookBlock>>,
    /// When and how `yubin watch` applies.
    sync: Option<SyncBlock>,
    /// Dovecot and Postfix read the accounts from the store, which is a file of SQLite: each account needs an address
    /// of its own and a password, and what ends its connections has the effect `kick`.
    #[schemars(extend("default" = false))]
    mail_server: Option<bool>,
    /// Moves of accounts to another mail server, by name.
    #[schemars(default, schema_with = "migrations")]
    migrations: Option<MigrationBlock>,
    /// How `yubin probe` logs in to the declared servers, and to which of them.
    probe: Option<ProbeBlock>,
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
struct SecretsBlock {
    /// Commands that may be run for a password, word by word; `*` stands for one further word that is no option.
    commands: Option<Vec<Vec<String>>>,
    /// Files and folders outside the project from which `{file}` may read; relative to this file.
    #[schemars(example = ["/run/secrets"])]
    paths: Option<Vec<String>>,
    /// Public keys to which secrets are encrypted: age1…, ssh-ed25519 …, ssh-rsa ….
    recipients: Option<Vec<String>>,
    /// Files of age identities or private SSH keys that open them; relative to this file.
    #[schemars(example = ["~/.config/yubin/age.txt"])]
    identities: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [
    { "required": ["command"], "not": { "required": ["secret"] } },
    { "required": ["webhook"], "not": { "required": ["env"] } },
]))]
#[expect(dead_code, reason = "the shape alone matters")]
struct HookBlock {
    /// What the hook is called; what it has done is kept under this name.
    #[schemars(regex(pattern = r"^[^\s!-,/:-@\[-\^`\{-~]{1,64}$"), example = &"kick")]
    name: String,
    /// What it is run for: each user who is logged out, each account whose mail is lost, or whose connections to the
    /// mail server end, each revision, what a yubin watch has to tell.
    #[schemars(schema_with = "triggers")]
    on: Vec<String>,
    /// A program and its arguments, word by word, without a shell; {user}, {address}, {effect}, {revision}, {event} and
    /// {mail} are replaced.
    #[schemars(length(min = 1), example = ["doveadm", "kick", "{user}"])]
    command: Option<Vec<String>>,
    /// Environment variables that the command is given beside PATH, HOME, the locale and the like.
    #[schemars(inner(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$")), example = ["KUBECONFIG"])]
    env: Option<Vec<String>>,
    /// An address to which the event is posted as JSON; http:// on this machine alone.
    #[schemars(regex(pattern = "^https?://.+$"), example = &"https://chat.example.jp/hooks/mail")]
    webhook: Option<String>,
    /// What the calls of a webhook are signed with.
    secret: Option<HookSecret>,
    /// How long one attempt may take, from 1s to 10m.
    #[schemars(regex(pattern = "^[0-9]{1,3}[sm]$"), extend("default" = "30s"))]
    timeout: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct SyncBlock {
    /// When something may be applied; always without any.
    windows: Option<Vec<WindowEntry>>,
    /// In which the windows are, by its name in the IANA database; by default that of the machine.
    #[schemars(example = &"Asia/Tokyo")]
    timezone: Option<String>,
    /// While this file exists, nothing is applied; relative to this one.
    #[schemars(length(min = 1), example = &"PAUSE")]
    pause_file: Option<String>,
    /// Whether what other software has changed is changed back.
    #[schemars(extend("default" = true))]
    heal: Option<bool>,
    /// What waits for `yubin watch approve`: plans that delete, disable or purge.
    #[schemars(default, schema_with = "approvals")]
    approve: Option<Vec<String>>,
}

/// A move of the accounts of one server to another.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct MigrationBlock {
    /// The old server.
    #[schemars(length(min = 1), example = &"old-server")]
    from: String,
    /// The new one.
    #[schemars(length(min = 1), example = &"new-server")]
    to: String,
    /// Which accounts of the old server move: all, or names and globs.
    #[schemars(default, schema_with = "chosen")]
    accounts: Option<Vec<String>>,
    /// Name of each new entry: {name}, {name+1000} for names that are numbers, {to}.
    #[schemars(extend("default" = "{name}-new"))]
    r#as: Option<String>,
    /// User at the new server: {username}, {address}, {local}.
    #[schemars(extend("default" = "{username}"))]
    username: Option<String>,
    /// Folder of the dated backups, inside the project.
    #[schemars(length(min = 1), extend("default" = "backups"))]
    backup: Option<String>,
    /// Domains whose MX is looked up; by default those of the accounts' addresses.
    #[schemars(example = ["example.jp"])]
    domains: Option<Vec<String>>,
    /// How many new entries are probed.
    #[schemars(default, schema_with = "how_many")]
    probe: Option<usize>,
    /// To whom each of them sends a message: itself, or an address.
    #[schemars(regex(pattern = "^(self|[^@]+@[^@]+)$"), example = &"self")]
    send: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct ProbeBlock {
    /// Hosts that passwords may be sent to: a name, `*.` and a domain, or an IP address, each with a port or without.
    #[schemars(example = ["mail.example.jp", "*.example.com"])]
    hosts: Option<Vec<String>>,
    /// How long each answer of a server may take, from 1s to 5m.
    #[schemars(regex(pattern = "^[0-9]{1,5}[sm]$"), extend("default" = "20s"))]
    timeout: Option<String>,
    /// Connections at once.
    #[schemars(range(min = 1, max = 64), extend("default" = 8))]
    parallel: Option<u32>,
    /// Refused logins of a user at a host, after which that user is not tried there again.
    #[schemars(range(min = 1, max = 5), extend("default" = 1))]
    attempts: Option<u32>,
    /// How long a message of --send may take to arrive, from 1s to 30m.
    #[schemars(regex(pattern = "^[0-9]{1,5}[sm]$"), extend("default" = "60s"))]
    arrival: Option<String>,
    /// How old evidence may be, from 1m to 30d.
    #[schemars(regex(pattern = "^[0-9]{1,5}[smhd]$"), extend("default" = "24h"))]
    valid: Option<String>,
    /// A file of certificates in PEM that are trusted beside those of the system; relative to this one.
    #[schemars(length(min = 1), example = &"tls/ca.pem")]
    ca: Option<String>,
    /// An IP address, with a port or without, that is asked for names instead of the system's resolver.
    #[schemars(example = &"192.0.2.53")]
    nameserver: Option<String>,
}

/// A window for everything; or one for plans that do certain things.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the shape alone matters")]
enum WindowEntry {
    Any(#[schemars(schema_with = "window")] String),
    For(WindowBlock),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct WindowBlock {
    /// Days on which it begins, every day without any, and times; an end before the begin is of the next day.
    #[schemars(schema_with = "window")]
    at: String,
    /// Plans that log somebody out, or that change a password; everything if left out.
    #[schemars(default, schema_with = "sorts")]
    r#for: Option<Vec<String>>,
}

/// Where a secret stands.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
enum HookSecret {
    /// An environment variable.
    Env(String),
    /// A file; relative to this one.
    File(String),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape alone matters")]
struct PasswordsBlock {
    /// How passwords of mailboxes are hashed from now on.
    #[schemars(extend("enum" = ["ARGON2ID", "BLF-CRYPT", "SHA512-CRYPT"], "default" = "ARGON2ID"))]
    scheme: Option<String>,
    /// Characters at the least.
    #[schemars(range(min = 1, max = 1000))]
    min_length: Option<usize>,
    /// How many of lower case, upper case, digits and other characters are demanded.
    #[schemars(range(min = 1, max = 4))]
    classes: Option<usize>,
    /// The least score of zxcvbn, which knows words, names and patterns: 3 withstands an attack on a fast hash.
    #[schemars(range(min = 0, max = 4))]
    score: Option<u8>,
    /// Not equal or similar to the current one, and to so many before it.
    #[schemars(range(min = 0, max = 100))]
    history: Option<usize>,
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
    #[schemars(default, schema_with = "limits", extend("default" = "30%"))]
    max_deletes: Option<String>,
    /// How many resources of a kind a plan may overwrite: a count, or a percentage of what the project owns.
    #[schemars(default, schema_with = "limits")]
    max_overwrites: Option<String>,
    /// What becomes of a resource that is to be deleted: gone at once (`now`), or disabled first and purged `after`
    /// a time in h, d or w.
    #[schemars(regex(pattern = "^(now|after [0-9]+[hdw])$"), extend("default" = "now"), example = &"after 14d")]
    delete: Option<String>,
    /// Addresses of resources that may never be deleted.
    #[schemars(example = ["account/postmaster"])]
    protect: Option<Vec<String>>,
    /// A password written in clear in a file.
    #[schemars(extend("enum" = ["deny", "warn", "allow"], "default" = "warn"))]
    plaintext_secrets: Option<String>,
    /// What a new password of a mailbox must be, beside the rules of the product.
    passwords: Option<PasswordsBlock>,
    /// Whether a plan needs evidence that the servers that it touches take what it declares; `yubin plan --probe`
    /// finds it.
    #[schemars(extend("enum" = ["off", "warn", "require"], "default" = "off"))]
    probe: Option<String>,
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

fn triggers(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "enum": Trigger::ALL.map(Trigger::name) },
        "minItems": 1,
        "uniqueItems": true,
    })
}

fn window(_: &mut SchemaGenerator) -> schemars::Schema {
    const DAY: &str = "([A-Za-z]{3}|[月火水木金土日])";
    let days = format!("{DAY}(-{DAY})?(, *{DAY}(-{DAY})?)*");
    json_schema!({
        "type": "string",
        "pattern": format!("^({days} +)?([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"),
        "examples": ["mon-fri 22:00-05:00"],
    })
}

fn migrations(generator: &mut SchemaGenerator) -> schemars::Schema {
    let one = generator.subschema_for::<MigrationBlock>();
    schemars::json_schema!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": "^[^\\s!-,./:-@\\[-\\^`{-~]{1,64}$" },
        "additionalProperties": one,
    })
}

fn chosen(_: &mut SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "anyOf": [{ "const": "all" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }],
        "default": "all",
    })
}

fn how_many(_: &mut SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "anyOf": [{ "const": "all" }, { "type": "integer", "minimum": 1, "maximum": 1_000_000 }],
        "default": "all",
    })
}

fn approvals(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "enum": ["deletes"] } })
}

fn sorts(_: &mut SchemaGenerator) -> schemars::Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "string", "enum": Sort::ALL.map(Sort::name) },
        "minItems": 1,
        "uniqueItems": true,
    })
}

fn limits(_: &mut SchemaGenerator) -> schemars::Schema {
    let limit = json!([
        { "type": "integer", "minimum": 0 },
        { "type": "string", "pattern": r"^([0-9]+|[0-9]{1,3}(\.[0-9]{1,2})? ?%)$" },
    ]);
    let of: serde_json::Map<String, Json> =
        LIMIT_KEYS.iter().map(|key| ((*key).to_owned(), json!({ "oneOf": limit }))).collect();
    json_schema!({ "oneOf": [
        limit[0],
        limit[1],
        { "type": "object", "properties": of, "additionalProperties": false },
    ], "examples": [10, "30%", { "account": 5, "file": "20%" }] })
}

pub fn schema() -> Json {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        HOOK_KEYS, MIGRATION_KEYS, PASSWORD_KEYS, POLICY_KEYS, PROBE_KEYS, SECRET_KEYS, SOURCE_KEYS, SYNC_KEYS,
        TOP_KEYS, WINDOW_KEYS,
    };

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
        let schema = schema();
        assert_eq!(keys(&schema), sorted(TOP_KEYS.iter().map(|key| key.name)));
        assert_eq!(keys(&schema["properties"]["policy"]), sorted(POLICY_KEYS.iter().map(|key| key.name)));
        let passwords = &schema["properties"]["policy"]["properties"]["passwords"];
        assert_eq!(keys(passwords), sorted(PASSWORD_KEYS.iter().map(|key| key.name)));
        assert_eq!(keys(&schema["properties"]["secrets"]), sorted(SECRET_KEYS.iter().map(|key| key.name)));
        assert_eq!(keys(&schema["properties"]["hooks"]["items"]), sorted(HOOK_KEYS.into_iter()));
        let sync = &schema["properties"]["sync"];
        assert_eq!(keys(sync), sorted(SYNC_KEYS.iter().map(|key| key.name)));
        let migration = &schema["properties"]["migrations"]["additionalProperties"];
        assert_eq!(keys(migration), sorted(MIGRATION_KEYS.into_iter()));
        assert_eq!(keys(&schema["properties"]["probe"]), sorted(PROBE_KEYS.iter().map(|key| key.name)));
        let window = &sync["properties"]["windows"]["items"]["anyOf"][1];
        assert_eq!(keys(window), sorted(WINDOW_KEYS.into_iter()));
        let source = &schema["properties"]["sources"]["items"]["anyOf"][1];
        assert_eq!(keys(source), sorted(SOURCE_KEYS.into_iter()));
    }
}
