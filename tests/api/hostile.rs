//! Changesets that lie: refused with a code and a sentence, and nothing has changed.

use serde_json::{Value as Json, json};

use super::{
    POLICY, PROJECT, Site, add, applied, changeset, delete, lines, overwrite, post, post_lines, project, sharing,
};
use crate::support::http::Answer;

const YAML: &str = "servers: { used: { incoming: { host: a.jp } }, free: { incoming: { host: b.jp } } }
accounts: { a: { comment: x, capacity: 5 }, b: { server: used }, safe: { comment: x, protected: true }, pw: { password: geheim-1, incoming: { password: geheim-2 } } }
patterns: { taro: { p: { server: used, organization: x } } }
";

/// The place of what is changed, in a document of a project.
fn source() -> Json {
    json!({ "file": "a.yaml", "line": 1, "column": 1 })
}

#[expect(clippy::needless_pass_by_value, reason = "it reads best beside `json!`")]
fn change(action: &str, address: &str, fields: Json) -> Json {
    let mut parts = address.split('/');
    let kind = parts.next().unwrap();
    let key: Vec<&str> = parts.collect();
    let source = if action == "delete" { Json::Null } else { source() };
    json!({ "action": action, "address": address, "kind": kind, "key": key, "source": source, "fields": fields })
}

fn field(name: &str, before: impl Into<Json>, after: impl Into<Json>) -> Json {
    json!({ "field": name, "before": before.into(), "after": after.into() })
}

fn with(mut json: Json, key: &str, value: impl Into<Json>) -> Json {
    json[key] = value.into();
    json
}

fn without(mut json: Json, key: &str) -> Json {
    json.as_object_mut().unwrap().remove(key).unwrap();
    json
}

/// Refused as a changeset that is wrong, in both forms, alone and beside changes that are right.
#[track_caller]
fn lie(site: &Site, revision: u64, what: &str, changes: &[Json]) {
    let before = site.content();
    let fine = add("fine", "x");
    let beside = [std::slice::from_ref(&fine), changes].concat();
    let behind = [changes, &[fine]].concat();
    for all in [changes, &beside, &behind] {
        let document = changeset(revision, all);
        for answer in [post(&site.api(), revision, &document), post_lines(&site.api(), revision, lines(&document))] {
            assert!(matches!(answer.status, 400 | 403 | 422), "{what}: {answer}");
            is_explained(what, &answer);
        }
    }
    assert!(site.content() == before, "{what} has changed something");
}

/// A code, a sentence, and no secret.
#[track_caller]
fn is_explained(what: &str, answer: &Answer) {
    let problem = answer.problem(answer.status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.split_whitespace().count() >= 3, "{what}: no sentence: {problem}");
    assert!(!detail.contains("src/") && !detail.contains("SQL"), "{what}: {problem}");
    assert!(!answer.body.contains("geheim"), "{what}: {problem}");
}

#[test]
fn what_does_not_fit_the_store_is_refused() {
    let site = Site::with(YAML);
    let rows: &[(&str, Json)] = &[
        ("another value before", overwrite("a", "y", "z")),
        (
            "nothing before, where there is something",
            change("overwrite", "account/a", json!([field("comment", Json::Null, "z")])),
        ),
        (
            "something before, where there is nothing",
            change("overwrite", "account/a", json!([field("label", "x", "z")])),
        ),
        ("what is there already", add("a", "y")),
        ("what is not there", overwrite("nobody", "x", "y")),
        ("a delete of what is not there", delete("nobody", "x")),
        ("a delete of what was something else", delete("a", "other")),
        (
            "a rename of what is not there",
            with(change("rename", "account/n", json!([])), "previously", "account/nobody"),
        ),
        ("a rename to what is there", with(change("rename", "account/b", json!([])), "previously", "account/a")),
        ("a rename from nowhere", change("rename", "account/n", json!([]))),
        ("a rename of another kind", with(change("rename", "account/n", json!([])), "previously", "server/free")),
        ("a purge of what is not disabled", change("purge", "account/a", json!([]))),
        ("what is restored and was never disabled", with(overwrite("a", "x", "y"), "restored", true)),
    ];
    for (what, one) in rows {
        lie(&site, 1, what, std::slice::from_ref(one));
    }
    assert_eq!(applied(post(&site.api(), 1, &changeset(1, &[overwrite("a", "x", "y")]))), 2);
}

#[test]
fn what_is_protected_or_in_use_stays() {
    let site = Site::with(YAML);
    let host = |host: &str| json!([field("incoming.host", host, Json::Null)]);
    let refused = |what: &str, one: Json, rule: &str| {
        lie(&site, 1, what, std::slice::from_ref(&one));
        let answer = post(&site.api(), 1, &changeset(1, &[one]));
        let problem = answer.problem(422);
        let all = problem["refused"].as_array().unwrap_or_else(|| panic!("{what}: {problem}"));
        let rules: Vec<&Json> = all.iter().map(|one| &one["rule"]).collect();
        assert!(rules.contains(&&json!(rule)), "{what}: {problem}");
    };
    let gone = json!([field("comment", "x", Json::Null), field("protected", true, Json::Null)]);
    refused("a protected account", change("delete", "account/safe", gone.clone()), "protected");
    // Neither a word for it nor to be silent about it helps.
    let word = with(change("delete", "account/safe", gone.clone()), "protected", false);
    lie(&site, 1, "a protected account, with a word for it", &[word]);
    lie(&site, 1, "a protected account, without a word", &[change("delete", "account/safe", json!([]))]);
    let disable = with(change("disable", "account/safe", json!([])), "purge_after", "14d");
    refused("to disable it", disable, "protected");
    refused("a server in use", change("delete", "server/used", host("a.jp")), "in_use");
    // Also if the same changeset moves its users.
    let moved = [
        change("overwrite", "account/b", json!([field("server", "used", "free")])),
        change("overwrite", "pattern/taro/p", json!([field("server", "used", "free")])),
        change("delete", "server/used", host("a.jp")),
    ];
    lie(&site, 1, "a server whose users move in the same plan", &moved);
    assert_eq!(applied(post(&site.api(), 1, &changeset(1, &[change("delete", "server/free", host("b.jp"))]))), 2);
}

#[test]
fn a_value_is_one_that_the_field_can_hold() {
    let site = Site::with(YAML);
    for (name, after) in [
        ("comment", json!(1)),
        ("comment", json!(true)),
        ("comment", json!(["x"])),
        ("comment", json!({ "x": 1 })),
        ("comment", json!("nul\u{0}byte")),
        ("capacity", json!("5 elephants")),
        ("capacity", json!("5")),
        ("capacity", json!(-1)),
        ("incoming.port", json!("587")),
        ("incoming.port", json!(0)),
        ("incoming.port", json!(65_536)),
        ("incoming.port", json!(-1)),
        ("incoming.port", json!(1.5)),
        ("incoming.port", json!(1e300)),
        ("incoming.port", json!(u64::MAX)),
        ("incoming.protocol", json!("gopher")),
        ("incoming.security", json!("")),
        ("incoming.host", json!("no host name")),
        ("incoming.host", json!("a.jp\r\nx: y")),
        ("protected", json!("yes")),
        ("protected", json!(1)),
        ("server", json!("nothing")),
        ("server", json!("")),
        ("nonsense", json!("x")),
        ("Comment", json!("x")),
        ("", json!("x")),
        ("comment; DROP TABLE account", json!("x")),
        ("yubin_owner", json!("x")),
        ("name", json!("x")),
    ] {
        let what = format!("{name}: {after}");
        // With what the store has, so that nothing but the value is wrong.
        let before = match name {
            "comment" => json!("x"),
            "capacity" => json!(5),
            _ => Json::Null,
        };
        let one = change("overwrite", "account/a", json!([field(name, before, after.clone())]));
        lie(&site, 1, &what, &[one]);
        lie(&site, 1, &what, &[change("add", "account/new", json!([field(name, Json::Null, after)]))]);
    }
    // Far too long.
    let long = change("overwrite", "account/a", json!([field("comment", "x", "y".repeat(10_000_000))]));
    let answer = post(&site.api(), 1, &changeset(1, &[long]));
    assert!(matches!(answer.status, 200 | 413 | 422), "{}", answer.status);
}

#[test]
fn a_change_has_the_form_of_one() {
    let site = Site::with(YAML);
    let good = overwrite("a", "x", "y");
    let comment = field("comment", "x", "y");
    let mut rows = vec![
        ("an action that there is not", with(good.clone(), "action", "explode")),
        ("what is blocked", with(with(good.clone(), "action", "blocked"), "reason", "x")),
        ("an address that is none", with(good.clone(), "address", "a")),
        ("fields that are no list", with(good.clone(), "fields", json!({}))),
        ("a field that is none", with(good.clone(), "fields", json!(["comment"]))),
        ("a field twice", with(good.clone(), "fields", json!([comment, comment]))),
        ("a field without a name", with(good.clone(), "fields", json!([without(comment.clone(), "field")]))),
        ("a place that is none", with(good.clone(), "source", 7)),
        ("a line that is none", with(good.clone(), "source", json!({ "file": "a", "line": -1, "column": 1 }))),
        ("no change", Json::Null),
        ("a list", json!([])),
        ("a text", json!("x")),
    ];
    for key in ["action", "address"] {
        rows.push(("a change that lacks something", without(good.clone(), key)));
    }
    for (what, one) in rows {
        lie(&site, 1, what, &[one]);
    }
    // One resource, one change.
    for (what, all) in [
        ("the same twice", vec![good.clone(), good.clone()]),
        ("one after the other", vec![good.clone(), overwrite("a", "y", "z")]),
        ("added twice", vec![add("n", "x"), add("n", "y")]),
        ("added and deleted", vec![add("n", "x"), delete("n", "x")]),
        ("deleted and added", vec![delete("a", "x"), add("a", "x")]),
        (
            "renamed and deleted",
            vec![with(change("rename", "account/n", json!([])), "previously", "account/a"), delete("a", "x")],
        ),
    ] {
        lie(&site, 1, what, &all);
    }
}

/// What is not said clears nothing.
#[test]
fn a_field_says_what_it_becomes() {
    let site = Site::with(YAML);
    for (what, one) in [
        ("neither value", json!({ "field": "comment" })),
        ("no value after", json!({ "field": "comment", "before": "x" })),
    ] {
        lie(&site, 1, what, &[change("overwrite", "account/a", json!([one]))]);
    }
}

/// A resource is named three times: what says two different things is meant for nobody.
#[test]
fn a_change_does_not_contradict_itself() {
    let site = Site::with(YAML);
    let good = overwrite("a", "x", "y");
    let rows = [
        ("another kind than the address", with(good.clone(), "kind", "server")),
        ("another key than the address", with(good.clone(), "key", json!(["b"]))),
        ("a key of two", with(good.clone(), "key", json!(["a", "b"]))),
        ("a key of none", with(good.clone(), "key", json!([]))),
        ("a key that is a number", with(good.clone(), "key", json!([1]))),
        ("another address than the key", with(good.clone(), "address", "account/b")),
    ];
    for (what, one) in rows {
        lie(&site, 1, what, &[one]);
    }
}

#[test]
fn a_key_is_one_that_can_be_named() {
    let site = Site::with(YAML);
    let api = site.api();
    let send = |name: &str| {
        let revision = api.get("/v1/revision").json()["revision"].as_u64().unwrap();
        let address = format!("account/{}", name.replace('%', "%25").replace('/', "%2F"));
        let answer = post(&api, revision, &changeset(revision, &[with(add(name, "x"), "address", address.clone())]));
        (address, answer)
    };
    let mut taken = Vec::new();
    for name in ["", " ", " lead", "trail ", "nul\u{0}", "line\nbreak", "tab\t", "bell\u{7}", "del\u{7f}", "c1\u{85}"] {
        match send(name).1 {
            answer if answer.status == 200 => taken.push(name),
            answer => is_explained(name, &answer),
        }
    }
    // Odd and allowed, or refused; never half, and never an error of the server.
    let long = "x".repeat(20_000);
    for name in
        ["\u{202e}gnp.exe", "\u{feff}x", "e\u{301}", "🦀", "..", "a/../b", "%00", "'; DROP TABLE account; --", &long]
    {
        let (address, answer) = send(name);
        match answer.status {
            200 => assert_eq!(site.content().field(&address, "comment"), "x", "{name:.20}"),
            _ => is_explained(name, &answer),
        }
    }
    assert!(!site.run(0, &["show"]).stdout.contains('\u{202e}'), "it turns the line around");
    assert!(taken.is_empty(), "no keys (`resource/key` in docs/diagnostics.md), and yet taken: {taken:?}");
}

/// Nobody can make a store that others cannot read to the end.
#[test]
fn whatever_is_taken_can_be_paged_through() {
    let site = Site::with(YAML);
    let api = site.api();
    for length in [1_000, 5_000, 20_000] {
        let revision = api.get("/v1/revision").json()["revision"].as_u64().unwrap();
        let answer = post(&api, revision, &changeset(revision, &[add(&"x".repeat(length), "x")]));
        if answer.status != 200 {
            is_explained("a long key", &answer);
        }
        let mut next = Some("/v1/resources?limit=1".to_owned());
        while let Some(url) = next {
            let answer = api.get(&url);
            assert_eq!(answer.status, 200, "behind a key of {length} characters: {:.200}", answer.body);
            next = answer.json()["next"].as_str().map(str::to_owned);
        }
    }
}

#[test]
fn a_document_is_of_a_project_and_a_system_that_can() {
    let site = Site::with(YAML);
    let before = site.content();
    let good = changeset(1, &[overwrite("a", "x", "y")]);
    let mut rows = vec![
        with(good.clone(), "system", "nonsense"),
        with(good.clone(), "system", 1),
        // CatchMe@MAIL has no such field.
        with(
            changeset(
                1,
                &[change("overwrite", "account/a", json!([field("incoming.security", Json::Null, "starttls")]))],
            ),
            "system",
            "catchme-mail",
        ),
        with(good.clone(), "project", 1),
        with(good.clone(), "base_revision", "1"),
        with(good.clone(), "base_revision", -1),
        with(good.clone(), "base_revision", 2),
        with(good.clone(), "format_version", 99),
        with(good.clone(), "format_version", "1"),
        with(good.clone(), "changes", json!({})),
        with(good.clone(), "between", json!([1, 2])),
        // Refused where it was made.
        with(good.clone(), "refused", json!([{ "rule": "protect", "message": "x" }])),
    ];
    for key in ["project", "system", "changes"] {
        rows.push(without(good.clone(), key));
    }
    for document in rows {
        let answer = post(&site.api(), 1, &document);
        assert!(matches!(answer.status, 400 | 403 | 412 | 422), "{document}: {answer}");
        is_explained(&document.to_string(), &answer);
        assert_eq!(site.content(), before);
    }
    assert_eq!(applied(post(&site.api(), 1, &good)), 2);
}

/// What the document counts, logs and causes is not what the server takes for it.
#[test]
fn the_server_makes_its_own_account_of_a_changeset() {
    let world = project("generic", POLICY);
    world.write("a.yaml", YAML);
    world.expect(0, &["apply", "--yes", "-q"]);
    let site = Site::of(world);
    let touch = change("overwrite", "pattern/taro/p", json!([field("organization", "x", "y")]));
    let mut document = changeset(1, &[touch, overwrite("a", "x", "y")]);
    document["summary"] = json!({ "add": 99, "overwrite": 0, "delete": 7, "skip": 1, "blocked": 0, "unchanged": 3 });
    document["effects"] = json!([{ "effect": "purge_mail", "user": "jiro", "address": "account/b" }]);
    let said = post(&site.api(), 1, &document).expect(200).json();
    assert_eq!((&said["summary"]["overwrite"], &said["summary"]["add"]), (&json!(2), &json!(0)));
    assert_eq!(said["effects"], json!([{ "effect": "logout", "user": "taro", "address": "pattern/taro/p" }]));
    let entry = site.content().log["revisions"][0].clone();
    assert_eq!((&entry["summary"]["overwrite"], &entry["summary"]["add"]), (&json!(2), &json!(0)), "{entry}");
    assert_eq!(entry["project"], PROJECT);
    // The log cannot be told that another project has done it.
    let other = sharing(&site.world, super::OTHER);
    other.write("b.yaml", "accounts: { o: {} }");
    other.expect(0, &["apply", "--yes", "-q"]);
    let document = changeset(3, &[overwrite("a", "y", "z")]);
    assert_eq!(applied(post(&site.api(), 3, &document)), 4);
    assert!(!site.content().log["revisions"][0]["at"].as_str().unwrap().starts_with("2001"));
}
