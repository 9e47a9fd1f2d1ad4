//! The OpenAPI 3.1 document, made from the table of routes.

use hyper::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::call::PROBLEM;
use super::param::{Param, Where};
use super::routes::{Gives, ROUTES, Route};
use super::shapes;
use crate::model::Scope;

/// The document, in the order of the table.
pub fn document() -> Json {
    let mut paths: Map<String, Json> = Map::new();
    for route in ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "yubin",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A store of mail settings over HTTP",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": shapes::schemas(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "a token of `yubin token create`" },
            },
        },
    })
}

fn operation(route: &Route) -> Json {
    let mut operation = json!({ "operationId": route.id, "summary": route.summary });
    match route.scope {
        None => operation["security"] = json!([]),
        Some(scope) => {
            operation["security"] = json!([{ "token": [] }]);
            operation["description"] = json!(format!("Needs a token of the scope `{}`{}.", scope.name(), above(scope)));
        }
    }
    if !route.params.is_empty() {
        operation["parameters"] = route.params.iter().map(parameter).collect();
    }
    if let Some(body) = &route.body {
        let content: Map<String, Json> =
            body.forms.iter().map(|form| ((*form).to_owned(), media(form, body.schema))).collect();
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    let mut responses = Map::new();
    for gives in route.answers {
        responses.insert(gives.status.to_string(), answer(gives));
    }
    for status in route.failures() {
        responses.insert(status.to_string(), failure(status));
    }
    operation["responses"] = responses.into();
    operation
}

fn above(scope: Scope) -> &'static str {
    if scope == Scope::Admin { "" } else { " or of one above it" }
}

fn reference(schema: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// Of NDJSON the schema is that of a line, which nobody can say in OpenAPI 3.1.
fn media(form: &str, schema: &str) -> Json {
    if schema.is_empty() || !form.ends_with("/json") {
        return json!({ "schema": { "type": "string" } });
    }
    json!({ "schema": reference(schema) })
}

fn parameter(param: &Param) -> Json {
    let place = match param.place {
        Where::Path => "path",
        Where::Query => "query",
        Where::Header => "header",
    };
    json!({
        "name": param.name,
        "in": place,
        "required": param.required,
        "description": param.doc,
        "schema": param.takes.schema(),
    })
}

fn answer(gives: &Gives) -> Json {
    let mut response = json!({ "description": gives.doc });
    if !gives.forms.is_empty() {
        let content: Map<String, Json> =
            gives.forms.iter().map(|(form, schema)| ((*form).to_owned(), media(form, schema))).collect();
        response["content"] = content.into();
    }
    if gives.etag {
        response["headers"] = json!({ "ETag": {
            "description": "the revision, with the count of outside writes behind a dot if there are any",
            "required": true,
            "schema": { "type": "string" },
        } });
    }
    response
}

fn failure(status: u16) -> Json {
    let doc = match status {
        400 => "The request is malformed: a parameter, the encoding of the path, the query or the body.",
        401 => "There is no token, or it does not hold: unknown, expired or revoked.",
        403 => "The token does not allow this.",
        404 => "There is no such thing.",
        405 => "The path does not take this method.",
        406 => "No form of the answer is acceptable.",
        408 => "The request did not arrive in time.",
        409 => "There is something else in its place.",
        410 => "The store is no longer at the revision that the page was pinned to.",
        412 => "The store has moved since.",
        413 => "The body is too long.",
        414 => "The path is too long.",
        415 => "The body is not in a form that this call takes.",
        422 => "The body is understood and refused.",
        428 => "`If-Match` is missing.",
        429 => "Too many requests, or too many failed logins from this address.",
        431 => "The head of the request is too long.",
        503 => "The server or its store is busy, or cannot be reached now.",
        _ => "The server failed.",
    };
    let mut response = json!({
        "description": doc,
        "content": { PROBLEM: { "schema": reference("Problem") } },
    });
    if matches!(status, 429 | 503) {
        let retry = json!({ "description": "seconds after which to try again", "schema": { "type": "integer" } });
        response["headers"] = json!({ "Retry-After": retry });
    }
    debug_assert!(StatusCode::from_u16(status).is_ok());
    response
}
