//! The table of routes, from which the router and the OpenAPI document are made.

use std::collections::BTreeSet;

use hyper::{Method, StatusCode};

use super::call::{Call, EVENTS, JSON, NDJSON, Outcome, TEXT};
use super::param::{LARGEST, Param, Takes, decoded, header, path, query};
use super::pool::Work;
use super::problem::Problem;
use super::{desk, migrations, state, status, turns};
use crate::model::Scope;

pub struct Route {
    pub method: &'static str,
    /// Parameters in braces.
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    /// `None` where no token is asked for.
    pub scope: Option<Scope>,
    pub params: &'static [Param],
    pub body: Option<Body>,
    pub answers: &'static [Gives],
    /// Statuses of failures beside those that every such call can end with.
    pub fails: &'static [u16],
    /// Whether it changes something that lasts, so that every call of it stands in the audit.
    pub changes: bool,
    pub run: Run,
}

pub struct Body {
    pub forms: &'static [&'static str],
    pub schema: &'static str,
    /// Whether it may be as long as a changeset.
    pub long: bool,
}

/// An answer that is no failure.
pub struct Gives {
    pub status: u16,
    pub doc: &'static str,
    /// Forms in the order of preference, each with its schema.
    pub forms: &'static [(&'static str, &'static str)],
    pub etag: bool,
}

#[derive(Clone, Copy)]
pub enum Run {
    Work(Work, fn(&mut Call) -> Outcome),
    /// Without a thread and whatever else is in work: it waits for nothing.
    Here(fn(&mut Call) -> Outcome),
    /// Waits for events, without a thread.
    Events,
}

const SESSION_ID: Takes = Takes::Text { max: 256 };
const NUMBER: Takes = Takes::Number { min: 0, max: LARGEST };

const PINNED: Param = query("revision", Takes::Tag, "only of this state");
const CLIENT_KEY: Param =
    header("Yubin-Client-Key", Takes::Hex(64), "of clients that plan: their public key, to which secrets are told");
const PROJECT: Param = header("Yubin-Project", Takes::Text { max: 64 }, "of clients that plan: their project");
const OF_PROJECT: Param = path("project", Takes::Text { max: 64 }, "name of the project");
const IF_MATCH: Param = header(
    "If-Match",
    Takes::Tag,
    "the ETag of the state that the changes were made from; without it the answer is 428",
);

const fn gives(status: u16, doc: &'static str, forms: &'static [(&'static str, &'static str)]) -> Gives {
    Gives { status, doc, forms, etag: false }
}

/// With the revision as its entity tag.
const fn shows(doc: &'static str, forms: &'static [(&'static str, &'static str)]) -> Gives {
    Gives { status: 200, doc, forms, etag: true }
}

const fn get(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    answers: &'static [Gives],
    run: Run,
) -> Route {
    Route {
        method: "GET",
        path,
        id,
        summary,
        scope: Some(Scope::Read),
        params: &[],
        body: None,
        answers,
        fails: &[],
        changes: false,
        run,
    }
}

const fn quick(run: fn(&mut Call) -> Outcome) -> Run {
    Run::Work(Work::Quick, run)
}

pub static ROUTES: &[Route] = &[
    Route {
        scope: None,
        ..get(
            "/healthz",
            "healthz",
            "Whether the server runs",
            &[gives(200, "It runs.", &[(JSON, "Health")])],
            Run::Here(status::healthz),
        )
    },
    Route {
        scope: None,
        ..get(
            "/readyz",
            "readyz",
            "Whether the server can reach its store",
            &[gives(200, "It can.", &[(JSON, "Health")])],
            quick(status::readyz),
        )
    },
    Route {
        scope: None,
        ..get(
            "/metrics",
            "metrics",
            "Figures for Prometheus, without names of people or projects",
            &[gives(200, "The figures.", &[(TEXT, "")])],
            quick(status::metrics),
        )
    },
    Route {
        scope: None,
        ..get(
            "/openapi.json",
            "openapi",
            "This document",
            &[gives(200, "The document.", &[(JSON, "Document")])],
            quick(status::openapi),
        )
    },
    get(
        "/v1/revision",
        "currentRevision",
        "Where the store is",
        &[shows("The revision.", &[(JSON, "RevisionNow")])],
        quick(state::revision),
    ),
    Route {
        params: &[
            query("kind", Takes::Kind, "only resources of this kind"),
            query("after", Takes::Address, "only addresses behind this one"),
            query(
                "limit",
                Takes::Number { min: 1, max: 1_000_000 },
                "at most so many, 1000 by default; a page of JSON has 10,000 at most",
            ),
            query("revision", Takes::Tag, "only of this state, as `next` pins it"),
            query("at", NUMBER, "as they were when this revision had been applied"),
            query("view", Takes::Words(&["keys"]), "key, owner and digest alone"),
            CLIENT_KEY,
            PROJECT,
        ],
        fails: &[404, 410],
        ..get(
            "/v1/resources",
            "listResources",
            "Resources, ascending by address, of one consistent state over all pages",
            &[shows("A page.", &[(JSON, "ResourcePage"), (NDJSON, "Line")])],
            Run::Work(Work::Stream, state::resources),
        )
    },
    Route {
        method: "POST",
        params: &[PINNED, CLIENT_KEY, PROJECT],
        body: Some(Body { forms: &[JSON], schema: "Wanted", long: true }),
        fails: &[410],
        ..get(
            "/v1/resources/query",
            "queryResources",
            "The resources of some keys",
            &[shows("A head, a resource a line, and a last line.", &[(NDJSON, "Line")])],
            Run::Work(Work::Stream, state::query_resources),
        )
    },
    Route {
        params: &[path("address", Takes::Address, "percent-encoded: `account%2Finfo`"), PINNED, CLIENT_KEY, PROJECT],
        fails: &[404, 410],
        ..get(
            "/v1/resources/{address}/versions",
            "listVersions",
            "Every state that a resource was in, oldest first",
            &[shows("The states.", &[(JSON, "VersionList")])],
            Run::Work(Work::Stream, state::versions),
        )
    },
    Route {
        params: &[
            PINNED,
            query("after", NUMBER, "only revisions older than this"),
            query("limit", Takes::Number { min: 1, max: 10_000 }, "at most so many, 1000 by default"),
        ],
        fails: &[410],
        ..get(
            "/v1/revisions",
            "listRevisions",
            "The log, newest first",
            &[shows("Revisions.", &[(JSON, "RevisionList")])],
            quick(state::revisions),
        )
    },
    Route {
        params: &[path("n", NUMBER, "number of the revision"), PINNED, CLIENT_KEY, PROJECT],
        fails: &[404, 410],
        ..get(
            "/v1/revisions/{n}",
            "getRevision",
            "A revision and its changes",
            &[shows("The revision.", &[(JSON, "RevisionChanges")])],
            Run::Work(Work::Stream, state::one_revision),
        )
    },
    Route {
        params: &[PINNED, CLIENT_KEY, PROJECT],
        fails: &[410],
        ..get(
            "/v1/drift",
            "listDrift",
            "What other software has changed since yubin wrote it last",
            &[shows("The drift.", &[(JSON, "DriftList")])],
            quick(state::drift),
        )
    },
    Route {
        params: &[PINNED],
        fails: &[410],
        ..get(
            "/v1/disabled",
            "listDisabled",
            "Resources that are disabled, and the revisions that did it",
            &[shows("The resources.", &[(JSON, "DisabledList")])],
            quick(state::disabled),
        )
    },
    Route {
        method: "POST",
        params: &[PINNED, CLIENT_KEY, PROJECT],
        body: Some(Body { forms: &[JSON], schema: "Query", long: true }),
        fails: &[410],
        ..get(
            "/v1/queries",
            "queryStore",
            "What only few plans ask",
            &[shows("The answer, in the form that belongs to the question.", &[(JSON, "Document")])],
            Run::Work(Work::Stream, state::query),
        )
    },
    Route {
        method: "POST",
        scope: Some(Scope::Apply),
        params: &[
            IF_MATCH,
            header("Idempotency-Key", Takes::Visible { max: 255 }, "makes a retry safe, for 24 hours"),
            query("rehearse", Takes::Flag, "do it all, and take it back"),
            CLIENT_KEY,
            PROJECT,
        ],
        body: Some(Body { forms: &[JSON, NDJSON], schema: "Changeset", long: true }),
        fails: &[412, 428],
        changes: true,
        ..get(
            "/v1/changesets",
            "applyChangeset",
            "Apply a changeset, all of it or nothing",
            &[shows("It is applied.", &[(JSON, "Applied")])],
            Run::Work(Work::Apply, state::apply),
        )
    },
    Route {
        method: "POST",
        scope: Some(Scope::Apply),
        params: &[IF_MATCH, CLIENT_KEY, PROJECT],
        body: Some(Body { forms: &[NDJSON], schema: "Line", long: true }),
        fails: &[428],
        changes: true,
        ..get(
            "/v1/records",
            "learnRecords",
            "Keep digests by which a client recognises its unchanged records",
            &[gives(204, "They are kept, if the store still is at that revision.", &[])],
            Run::Work(Work::Apply, state::learn),
        )
    },
    Route {
        scope: Some(Scope::Apply),
        params: &[
            query("user", Takes::Text { max: 256 }, "only those of this user"),
            query("after", SESSION_ID, "only ids behind this one"),
            query("limit", Takes::Number { min: 1, max: 10_000 }, "at most so many, 1000 by default"),
        ],
        ..get(
            "/v1/sessions",
            "listSessions",
            "Who is logged in to the mail product",
            &[gives(200, "Sessions, ascending by id.", &[(JSON, "SessionList")])],
            quick(desk::list_sessions),
        )
    },
    Route {
        method: "POST",
        scope: Some(Scope::Apply),
        body: Some(Body { forms: &[JSON], schema: "NewSession", long: false }),
        fails: &[409],
        changes: true,
        ..get(
            "/v1/sessions",
            "openSession",
            "Register a login",
            &[
                gives(201, "It is registered.", &[(JSON, "Session")]),
                gives(200, "It was registered already.", &[(JSON, "Session")]),
            ],
            quick(desk::open_session),
        )
    },
    Route {
        method: "DELETE",
        scope: Some(Scope::Apply),
        params: &[path("id", SESSION_ID, "as it was registered")],
        fails: &[404],
        changes: true,
        ..get(
            "/v1/sessions/{id}",
            "closeSession",
            "Note that a session has ended",
            &[gives(204, "It is gone.", &[])],
            quick(desk::close_session),
        )
    },
    Route {
        scope: Some(Scope::Apply),
        params: &[
            query("after", NUMBER, "only ids greater than this"),
            query("limit", Takes::Number { min: 1, max: 10_000 }, "at most so many, 1000 by default"),
            query("wait", Takes::Number { min: 0, max: 60 }, "seconds to wait for the first one"),
            header("Last-Event-ID", NUMBER, "of a stream that is resumed: only ids greater than this"),
        ],
        ..get(
            "/v1/events",
            "listEvents",
            "Effects that are still to be carried out",
            &[gives(
                200,
                "Events, ascending by id. As `text/event-stream`, a stream of them that goes on.",
                &[(JSON, "EventList"), (EVENTS, "")],
            )],
            Run::Events,
        )
    },
    Route {
        method: "POST",
        scope: Some(Scope::Apply),
        params: &[path("id", NUMBER, "of the event")],
        fails: &[404],
        changes: true,
        ..get(
            "/v1/events/{id}/ack",
            "acknowledgeEvent",
            "Say that an effect has been carried out",
            &[gives(204, "It is gone from the list.", &[])],
            quick(desk::acknowledge),
        )
    },
    Route {
        method: "PUT",
        scope: Some(Scope::Apply),
        params: &[OF_PROJECT],
        body: Some(Body { forms: &[JSON], schema: "NewLead", long: false }),
        ..get(
            "/v1/projects/{project}/lead",
            "takeLead",
            "Take the lead of the watchers of a project, or keep it",
            &[gives(200, "Who leads.", &[(JSON, "Lead")])],
            quick(turns::lead),
        )
    },
    Route {
        method: "DELETE",
        scope: Some(Scope::Apply),
        params: &[
            OF_PROJECT,
            Param { required: true, ..query("holder", Takes::Text { max: 256 }, "who has taken the lead") },
        ],
        ..get(
            "/v1/projects/{project}/lead",
            "resignLead",
            "Give the lead back",
            &[gives(204, "This one does not lead.", &[])],
            quick(turns::resign),
        )
    },
    Route {
        params: &[OF_PROJECT],
        ..get(
            "/v1/projects/{project}/approvals",
            "listApprovals",
            "Plans that have been let through within 30 days",
            &[gives(200, "Approvals, newest first, at most 1000.", &[(JSON, "ApprovalList")])],
            quick(turns::approvals),
        )
    },
    Route {
        method: "PUT",
        scope: Some(Scope::Apply),
        params: &[OF_PROJECT, path("digest", Takes::Hex(64), "of the plan")],
        body: Some(Body { forms: &[JSON], schema: "NewApproval", long: false }),
        changes: true,
        ..get(
            "/v1/projects/{project}/approvals/{digest}",
            "approvePlan",
            "Let a plan through",
            &[gives(200, "It is let through.", &[(JSON, "Approved")])],
            quick(turns::approve),
        )
    },
    Route {
        params: &[OF_PROJECT],
        ..get(
            "/v1/projects/{project}/migrations",
            "listActs",
            "What was done for the migrations of a project",
            &[gives(200, "Acts, by migration and number.", &[(JSON, "ActList")])],
            quick(migrations::acts),
        )
    },
    Route {
        method: "PUT",
        scope: Some(Scope::Apply),
        params: &[
            OF_PROJECT,
            path("migration", Takes::Text { max: 64 }, "name of the migration"),
            path("number", Takes::Number { min: 1, max: 1000 }, "the one behind the last act that was seen"),
        ],
        body: Some(Body { forms: &[JSON], schema: "NewAct", long: false }),
        fails: &[412],
        changes: true,
        ..get(
            "/v1/projects/{project}/migrations/{migration}/{number}",
            "appendAct",
            "Append an act to a migration",
            &[gives(200, "It is appended, or was before.", &[(JSON, "Acted")])],
            quick(migrations::append),
        )
    },
    Route {
        scope: Some(Scope::Admin),
        ..get(
            "/v1/tokens",
            "listTokens",
            "All tokens, without the tokens themselves",
            &[gives(200, "Tokens, oldest first.", &[(JSON, "TokenList")])],
            quick(desk::list_tokens),
        )
    },
    Route {
        method: "POST",
        scope: Some(Scope::Admin),
        body: Some(Body { forms: &[JSON], schema: "NewToken", long: false }),
        changes: true,
        ..get(
            "/v1/tokens",
            "createToken",
            "Make a token",
            &[gives(201, "The token, which is told only here.", &[(JSON, "Token")])],
            quick(desk::create_token),
        )
    },
    Route {
        method: "DELETE",
        scope: Some(Scope::Admin),
        params: &[path("id", Takes::Hex(8), "of the token")],
        fails: &[404],
        changes: true,
        ..get(
            "/v1/tokens/{id}",
            "revokeToken",
            "Revoke a token",
            &[gives(204, "It holds no more.", &[])],
            quick(desk::revoke_token),
        )
    },
];

impl Route {
    /// Statuses of failures that a call of it can end with.
    pub fn failures(&self) -> BTreeSet<u16> {
        let mut all: BTreeSet<u16> = [400, 405, 406, 408, 414, 429, 431, 500, 503].into_iter().collect();
        if self.scope.is_some() {
            all.extend([401, 403]);
        }
        if self.body.is_some() {
            all.extend([413, 415, 422]);
        }
        all.extend(self.fails);
        all
    }

    /// What stands in the place of its parameters; `None` if the path is another.
    fn fit(&self, parts: &[&str]) -> Option<Vec<String>> {
        let mut given = Vec::new();
        let mut template = self.path.split('/');
        for part in parts {
            let expected = template.next()?;
            if expected.starts_with('{') {
                given.push((*part).to_owned());
            } else if expected != *part {
                return None;
            }
        }
        template.next().is_none().then_some(given)
    }
}

/// The route of a request, and what stands in the place of the parameters of its path.
pub fn find(method: &Method, at: &str) -> Result<(&'static Route, Vec<String>), Problem> {
    let parts: Vec<&str> = at.split('/').collect();
    let mut methods = BTreeSet::new();
    for route in ROUTES {
        let Some(given) = route.fit(&parts) else { continue };
        if route.method != method.as_str() {
            methods.insert(route.method);
            continue;
        }
        let given = given.iter().map(|text| decoded(text)).collect::<Option<Vec<String>>>();
        let given = given.ok_or_else(|| Problem::bad("the path is not percent-encoded UTF-8"))?;
        return Ok((route, given));
    }
    if methods.is_empty() {
        return Err(Problem::missing("there is nothing at this path").hint("GET /openapi.json says what there is"));
    }
    let allow = methods.into_iter().collect::<Vec<_>>().join(", ");
    let mut problem =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "request/method", format!("this path takes {allow} only"));
    problem.allow = Some(allow.into());
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::param::Where;

    #[test]
    fn the_table_holds_together() {
        let mut seen = BTreeSet::new();
        for route in ROUTES {
            assert!(seen.insert(route.id), "{}: twice", route.id);
            assert!(seen.insert(&*Box::leak(format!("{} {}", route.method, route.path).into_boxed_str())));
            let named: Vec<&str> = route
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')))
                .collect();
            let path = route.params.iter().filter(|param| param.place == Where::Path).map(|param| param.name);
            assert_eq!(path.collect::<Vec<_>>(), named, "{}", route.id);
            assert!(!route.answers.is_empty(), "{}", route.id);
            // A lead is renewed every few seconds, and nothing of it lasts.
            let lasts = !route.id.starts_with("query") && !route.id.ends_with("Lead");
            assert_eq!(route.changes, route.method != "GET" && lasts, "{}", route.id);
        }
    }

    #[test]
    fn a_path_is_found_or_the_reason_why_not() {
        let status = |method: Method, path: &str| find(&method, path).err().map(|problem| problem.status.as_u16());
        assert_eq!(status(Method::GET, "/healthz"), None);
        for path in ["/", "", "/healthz/", "//healthz", "/v1", "/v1/sessions/a/b", "/V1/sessions", "/v1/../healthz"] {
            assert_eq!(status(Method::GET, path), Some(404), "{path}");
        }
        assert_eq!(status(Method::OPTIONS, "/healthz"), Some(405));
        assert_eq!(status(Method::GET, "/v1/sessions/a"), Some(405));
        assert_eq!(status(Method::DELETE, "/v1/sessions/%zz"), Some(400));
        assert_eq!(find(&Method::DELETE, "/v1/sessions/a%2Fb").unwrap().1, ["a/b"]);
        let problem = find(&Method::PUT, "/v1/sessions").err().unwrap();
        assert_eq!(problem.allow.as_deref(), Some("GET, POST"));
    }
}
