//! The JSON of calls and answers, as the OpenAPI document describes it. What is written and read stands in `wire`.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::model::migration::{Deed, EVIDENCE};

/// What went wrong (RFC 9457).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Problem {
    r#type: String,
    /// Words of the status.
    title: String,
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// A sentence about this very failure.
    detail: String,
    /// Stable, and the same as on the command line: `area/what-is-wrong`.
    code: String,
    /// What to do about it.
    hint: Option<String>,
    /// The safety rules that refuse the changeset.
    refused: Option<Vec<Map<String, Json>>>,
    /// What is wrong with the changeset.
    diagnostics: Option<Vec<Map<String, Json>>>,
}

/// Where the store is.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct RevisionNow {
    revision: u64,
    /// How often other software has written to the store since it is there.
    outside_writes: u64,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Resource {
    /// Such as `pattern/taro/pattern1`.
    address: String,
    kind: Kind,
    key: Vec<String>,
    /// The project that owns it.
    owner: Option<String>,
    /// The revision that changed it last.
    revision: u64,
    /// The fields that have a value; of a secret only that there is one.
    fields: Map<String, Json>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "the shape alone matters")]
pub enum Kind {
    Account,
    Pattern,
    Server,
}

/// A page of one consistent state. As NDJSON, a line with `revision`, then a resource a line, then a line with
/// `next`; an answer without that last line was cut.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct ResourcePage {
    revision: u64,
    resources: Vec<Map<String, Json>>,
    /// Where the next page of the same state is.
    #[schemars(required, schema_with = "text_or_null")]
    next: Option<String>,
}

/// A line of NDJSON.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Line(Map<String, Json>);

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct VersionList {
    /// Every state that the resource was in, oldest first.
    versions: Vec<Map<String, Json>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct RevisionList {
    /// Newest first.
    revisions: Vec<Map<String, Json>>,
    #[schemars(required, schema_with = "text_or_null")]
    next: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct RevisionChanges {
    revision: Map<String, Json>,
    /// In the order in which they were applied.
    changes: Vec<Map<String, Json>>,
}

/// What other software has changed since yubin wrote it last.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct DriftList {
    drift: Vec<Map<String, Json>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct DisabledList {
    disabled: Vec<Map<String, Json>>,
}

/// A plan as `yubin plan --format json` writes it; secrets sealed. As NDJSON the document without `changes`, then a
/// change a line.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Changeset {
    #[schemars(range(min = 1, max = 1))]
    format_version: u64,
    project: String,
    system: String,
    base_revision: u64,
    changes: Vec<Map<String, Json>>,
}

/// What the changeset has done.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Applied {
    revision: u64,
    /// How many resources of each action.
    summary: Map<String, Json>,
    effects: Vec<Map<String, Json>>,
    /// Whether an earlier call with the same `Idempotency-Key` has done it.
    again: Option<bool>,
}

/// A question about the state, for clients that plan.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Query {
    query: String,
}

/// A user who logs in to the mail product.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The product's own name of the session.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    pub id: String,
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    pub user: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Session {
    id: String,
    user: String,
    /// Since when: RFC 3339, UTC.
    at: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct SessionList {
    /// Ascending by id.
    sessions: Vec<Session>,
    #[schemars(required, schema_with = "text_or_null")]
    next: Option<String>,
}

/// An effect that is still to be carried out.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Event {
    id: u64,
    /// `logout`, `purge_mail` or `kick`.
    effect: String,
    user: String,
    address: String,
    revision: u64,
    /// Of an account that changes: the mail address that it had before.
    mail: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct EventList {
    /// Ascending by id.
    events: Vec<Event>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Read,
    Apply,
    Admin,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[!-~]([ -~]*[!-~])?$"))]
    pub name: String,
    pub scope: Scope,
    /// The projects that it is bound to; `*` is every project.
    #[serde(default)]
    #[schemars(length(max = 1000), inner(regex(pattern = r"^(\*|[0-9A-Za-z._-]{1,64})$")))]
    pub owners: Vec<String>,
    /// How long from now, such as `90d`, or a time.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,4}[dhms]$"))]
    pub expires: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Token {
    id: String,
    name: String,
    scope: Scope,
    owners: Vec<String>,
    created: String,
    #[schemars(required, schema_with = "text_or_null")]
    expires: Option<String>,
    #[schemars(required, schema_with = "text_or_null")]
    revoked: Option<String>,
    /// The token itself, in the answer to the call that makes it and never again.
    #[serde(rename = "token")]
    itself: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct TokenList {
    /// Oldest first.
    tokens: Vec<Token>,
}

/// A watcher that would lead its project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLead {
    /// By which it is told from others, such as host, process and something random.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    pub holder: String,
    /// For how long from now.
    #[schemars(range(min = 0.5, max = 3600.0))]
    pub seconds: f64,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Lead {
    #[schemars(range(min = 1, max = 1))]
    format_version: u64,
    /// Whether the one that has asked leads.
    held: bool,
    /// Who leads.
    holder: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApproval {
    /// Who lets the plan through.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    pub actor: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Approval {
    /// Of the plan.
    digest: String,
    actor: String,
    /// RFC 3339, UTC.
    at: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Approved {
    #[schemars(range(min = 1, max = 1))]
    format_version: u64,
    digest: String,
    actor: String,
    /// RFC 3339, UTC.
    at: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct ApprovalList {
    #[schemars(range(min = 1, max = 1))]
    format_version: u64,
    /// Newest first.
    approvals: Vec<Approval>,
}

/// What was done for a migration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAct {
    #[schemars(range(min = 1, max = 7))]
    pub step: u8,
    #[schemars(schema_with = "deed")]
    pub deed: String,
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"))]
    pub actor: String,
    #[serde(default)]
    #[schemars(length(min = 1, max = 1000))]
    pub note: Option<String>,
    /// At most 32 entries and 8 KB.
    #[serde(default)]
    #[schemars(schema_with = "evidence")]
    pub evidence: BTreeMap<String, String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Act {
    migration: String,
    #[schemars(range(min = 1, max = 1000))]
    number: u64,
    #[schemars(range(min = 1, max = 7))]
    step: u8,
    #[schemars(schema_with = "deed")]
    deed: String,
    actor: String,
    /// By the clock of the store: RFC 3339, UTC.
    at: String,
    #[schemars(required, schema_with = "text_or_null")]
    note: Option<String>,
    #[schemars(schema_with = "evidence")]
    evidence: BTreeMap<String, String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Acted {
    #[schemars(range(min = 1, max = 1))]
    format_version: u64,
    #[serde(flatten)]
    act: Act,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct ActList {
    #[schemars(range(min = 1, max = 1))]
    format_version: u64,
    /// By migration and number.
    acts: Vec<Act>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Health {
    status: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "the shape alone matters")]
struct Document(Map<String, Json>);

fn deed(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": Deed::ALL.map(Deed::name) })
}

fn evidence(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "maxProperties": EVIDENCE, "additionalProperties": { "type": "string" } })
}

fn text_or_null(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"] })
}

/// `components/schemas` of the OpenAPI document.
pub fn schemas() -> Map<String, Json> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    macro_rules! add {
        ($($shape:ty),*) => { $( generator.subschema_for::<$shape>(); )* };
    }
    add!(
        Problem,
        RevisionNow,
        Resource,
        ResourcePage,
        Line,
        VersionList,
        RevisionList,
        RevisionChanges,
        DriftList,
        DisabledList,
        super::state::Wanted,
        Changeset,
        Applied,
        Query,
        NewSession,
        SessionList,
        EventList,
        NewToken,
        TokenList,
        NewLead,
        Lead,
        NewApproval,
        Approved,
        ApprovalList,
        NewAct,
        Acted,
        ActList,
        Health,
        Document
    );
    generator.take_definitions(true)
}
