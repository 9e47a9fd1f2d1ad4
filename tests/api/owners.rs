//! What a token of one project may do to the resources of another: nothing.

use serde_json::{Value as Json, json};

use super::{OTHER, PROJECT, Site, add, applied, changeset, delete, overwrite, remote, sharing};
use crate::cli::database;
use crate::support::http::{Answer, Caller};
use crate::support::server::{DEADLINE, run_within};

/// A store of two projects, and some that nobody owns.
fn shared() -> Site {
    let site = Site::with(
        "servers: { s: { incoming: { host: a.jp } } }\naccounts: { ours: { comment: x, password: geheim } }\n",
    );
    let other = sharing(&site.world, OTHER);
    other.write(
        "b.yaml",
        "servers: { t: { incoming: { host: b.jp } } }\naccounts: { theirs: { comment: x, password: geheim } }\n",
    );
    other.expect(0, &["apply", "--yes", "-q"]);
    database(&site.world).execute_batch("INSERT INTO account (name, comment) VALUES ('nobodys', 'x')").unwrap();
    site
}

/// The revision as the store says it, with what other software wrote.
fn tag(api: &Caller) -> String {
    api.get("/v1/revision").header("etag").to_owned()
}

/// Sends a document of this project, made for the state that there is.
fn send(api: &Caller, project: &str, changes: &[Json]) -> Answer {
    let now = api.get("/v1/revision").json();
    let mut document = changeset(now["revision"].as_u64().unwrap(), changes);
    document["project"] = project.into();
    if now["outside_writes"] != 0 {
        document["base_outside_writes"] = now["outside_writes"].clone();
    }
    let tag = tag(api);
    let headers = [("if-match", tag.as_str()), ("content-type", "application/json")];
    api.call(reqwest::Method::POST, "/v1/changesets", &headers, document.to_string())
}

fn with(mut change: Json, key: &str, value: impl Into<Json>) -> Json {
    change[key] = value.into();
    change
}

#[track_caller]
fn refused(answer: &Answer) {
    assert!(matches!(answer.status, 403 | 422), "{answer}");
    answer.problem(answer.status);
}

#[test]
fn what_another_owns_stays_as_it_is() {
    let site = shared();
    let api = site.api();
    let before = site.content();
    let server = json!({ "action": "delete", "address": "server/t", "kind": "server", "key": ["t"], "source": null,
        "fields": [{ "field": "incoming.host", "before": "b.jp", "after": null }] });
    let rename = json!({ "action": "rename", "address": "account/mine", "kind": "account", "key": ["mine"],
        "previously": "account/theirs", "source": { "file": "a.yaml", "line": 1, "column": 1 }, "fields": [] });
    let disable = json!({ "action": "disable", "address": "account/theirs", "kind": "account", "key": ["theirs"],
        "source": null, "purge_after": "14d", "fields": [] });
    let lies = [
        overwrite("theirs", "x", "y"),
        delete("theirs", "x"),
        with(overwrite("theirs", "x", "y"), "adopted", true),
        with(overwrite("theirs", "x", "y"), "owner", PROJECT),
        with(overwrite("theirs", "x", "y"), "owner", Json::Null),
        with(with(overwrite("theirs", "x", "y"), "adopted", true), "taken_from", format!("project `{OTHER}`")),
        with(overwrite("theirs", "x", "y"), "forgotten", true),
        with(overwrite("theirs", "x", "y"), "foreign_owner", Json::Null),
        with(overwrite("theirs", "x", "y"), "restored", true),
        with(delete("theirs", "x"), "owner", PROJECT),
        with(delete("theirs", "x"), "adopted", true),
        server,
        rename,
        disable,
        with(with(overwrite("theirs", "x", "x"), "fields", json!([])), "adopted", true),
        // Nobody's is taken over before it is deleted.
        delete("nobodys", "x"),
    ];
    for lie in lies {
        // With and without a change that is allowed.
        for all in [vec![lie.clone()], vec![add("fine", "x"), lie.clone()]] {
            refused(&send(&api, PROJECT, &all));
            assert_eq!(site.content(), before, "{lie}");
        }
    }
    // As if the document were the other's.
    for changes in [vec![overwrite("theirs", "x", "y")], vec![delete("theirs", "x")], vec![add("new", "x")], vec![]] {
        send(&api, OTHER, &changes).problem(403);
    }
    for project in ["", "*", "nobody", "HEAD-OFFICE", "head-office ", "head-office\u{0}"] {
        let answer = send(&api, project, &[add("new", "x")]);
        assert!(matches!(answer.status, 403 | 422), "{project:?}: {answer}");
    }
    assert_eq!(site.content(), before);
}

/// To take over what nobody owns is allowed, and so is all that is one's own.
#[test]
fn what_is_ones_own_or_nobodys_may_be_changed() {
    let site = shared();
    let api = site.api();
    applied(send(&api, PROJECT, &[with(overwrite("nobodys", "x", "y"), "adopted", true), overwrite("ours", "x", "y")]));
    let content = site.content();
    let owner = |address: &str| {
        let all = content.show["resources"].as_array().unwrap();
        all.iter().find(|one| one["address"] == address).unwrap()["owner"].clone()
    };
    assert_eq!((owner("account/nobodys"), owner("account/ours")), (json!(PROJECT), json!(PROJECT)));
    assert_eq!(owner("account/theirs"), OTHER);
}

#[test]
fn a_token_of_several_projects_speaks_for_each() {
    let site = shared();
    for owners in [&[PROJECT, OTHER][..], &["*"]] {
        let api = site.with_token("apply", owners);
        applied(send(&api, OTHER, &[with(overwrite("theirs", "x", "y"), "source", Json::Null)]));
        applied(send(&api, OTHER, &[overwrite("theirs", "y", "x")]));
        // For each its own: a project is not two.
        refused(&send(&api, OTHER, &[overwrite("ours", "x", "y")]));
    }
}

/// `admin` says what may be called, not whose resources may be changed.
#[test]
fn an_admin_is_bound_to_projects_too() {
    let site = shared();
    let admin = site.with_token("admin", &[PROJECT]);
    send(&admin, OTHER, &[overwrite("theirs", "x", "y")]).problem(403);
    refused(&send(&admin, PROJECT, &[overwrite("theirs", "x", "y")]));
    applied(send(&admin, PROJECT, &[overwrite("ours", "x", "y")]));
}

/// The same through the program, which says whose token it is not.
#[test]
fn the_program_is_refused_as_the_token_is() {
    let site = shared();
    let other = sharing(&site.world, OTHER);
    other.write("b.yaml", "accounts: { theirs: { comment: z } }\n");
    let before = site.content();
    let run = run_within(&mut remote(&other, &site.server.url(), &site.token, &["apply", "--yes"]), DEADLINE);
    assert!(matches!(run.code, 1 | 4), "{}: {}", run.code, run.stderr);
    assert!(run.stderr.contains(OTHER) && run.stderr.contains("token"), "{}", run.stderr);
    assert_eq!(site.content(), before);
    // Another's name in one's own project does not help.
    site.world.write("a.yaml", "accounts: { ours: {}, theirs: { comment: z } }\n");
    assert_eq!(run_within(&mut site.command(&["apply", "--yes"]), DEADLINE).code, 4);
    for args in [&["adopt", "account/theirs", "--from", OTHER, "--yes"][..], &["undo", "2", "--yes"]] {
        let run = run_within(&mut site.command(args), DEADLINE);
        assert!(matches!(run.code, 1 | 4), "{args:?}: {}: {}", run.code, run.stderr);
    }
    assert_eq!(site.content(), before);
}

/// Whoever may not change a project's resources is not told its secrets either, not even sealed.
#[test]
fn the_key_of_a_project_is_lent_to_its_own() {
    let site = shared();
    let key = yubin::vault::ClientKey::generate().unwrap().public();
    let head = |api: &Caller, project: &str| {
        let headers =
            [("accept", "application/x-ndjson"), ("yubin-client-key", key.as_str()), ("yubin-project", project)];
        let answer = api.call(reqwest::Method::GET, "/v1/resources", &headers, "").expect(200);
        (answer.lines()[0].clone(), answer.body.matches("\"sealed\"").count())
    };
    let (own, sealed) = head(&site.api(), PROJECT);
    assert!(own["lent"].is_string(), "{own}");
    assert!(sealed > 0, "of one's own there is something to compare with");
    let (foreign, sealed) = head(&site.api(), OTHER);
    assert_eq!((&foreign["lent"], sealed), (&Json::Null, 0), "{foreign}");
    let (foreign, sealed) = head(&site.with_token("read", &[]), PROJECT);
    assert_eq!((&foreign["lent"], sealed), (&Json::Null, 0), "{foreign}");
    // Only those of the project, even for one who may ask for both.
    let (_, sealed) = head(&site.with_token("read", &["*"]), OTHER);
    assert_eq!(sealed, 1);
}
