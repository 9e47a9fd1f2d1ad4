//! Changing: all or nothing, once, from the state that it was made for.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{
    OTHER, PROJECT, Site, add, applied, changeset, delete, if_match, lines, overwrite, post, post_lines, post_with,
    sharing,
};
use crate::cli::{database, run_with};
use crate::support::http::{JSON, NDJSON};

#[test]
fn a_changeset_is_one_revision() {
    let site = Site::new();
    let api = site.api();
    let answer = post(&api, 0, &changeset(0, &[add("a", "one"), add("b", "two")])).expect(200);
    let said = answer.json();
    assert_eq!((said["revision"].as_u64(), said["summary"]["add"].as_u64()), (Some(1), Some(2)), "{answer}");
    assert_eq!(answer.header("etag"), "\"1\"");
    let changes = [overwrite("a", "one", "1"), delete("b", "two"), add("c", "three")];
    assert_eq!(applied(post(&api, 1, &changeset(1, &changes))), 2);
    let content = site.content();
    assert_eq!((content.revision(), content.addresses()), (2, vec!["account/a", "account/c"]));
    assert_eq!(content.field("account/a", "comment"), "1");
    assert_eq!(content.show["resources"][0]["owner"], PROJECT);
    let entry = &content.log["revisions"][0];
    assert_eq!(entry["project"], PROJECT);
    assert_eq!(
        entry["summary"],
        json!({ "add": 1, "overwrite": 1, "delete": 1, "skip": 0, "blocked": 0, "unchanged": 0 })
    );
}

#[test]
fn lines_do_the_same() {
    let site = Site::new();
    let api = site.api();
    let document = changeset(0, &[add("a", "one"), add("b", "日本\u{2028}\"\\")]);
    assert_eq!(applied(post_lines(&api, 0, lines(&document))), 1);
    // Without the last end of a line, and with the ends of another system.
    let document = changeset(1, &[overwrite("a", "one", "1")]);
    assert_eq!(applied(post_lines(&api, 1, lines(&document).trim_end().to_owned())), 2);
    let document = changeset(2, &[overwrite("a", "1", "2")]);
    assert_eq!(applied(post_lines(&api, 2, lines(&document).replace('\n', "\r\n"))), 3);
    let content = site.content();
    assert_eq!(content.field("account/a", "comment"), "2");
    assert_eq!(content.field("account/b", "comment"), "日本\u{2028}\"\\");
}

/// What `yubin plan` prints is a body, as it stands.
#[test]
fn a_printed_plan_can_be_sent_by_anybody() {
    let site = Site::new();
    site.world.write(
        "a.yaml",
        "servers: { s: { incoming: { host: a.jp, protocol: imap } } }
accounts: { a: { comment: x } }
patterns: { taro: { p: { server: s, organization: y } } }
",
    );
    let printed = site.world.expect(0, &["plan", "--format", "json"]).stdout;
    let plan: Json = serde_json::from_str(&printed).unwrap();
    let revision = if_match(0);
    let headers = [("if-match", revision.as_str()), ("content-type", JSON)];
    let answer = site.api().call(Method::POST, "/v1/changesets", &headers, printed.clone()).expect(200);
    assert_eq!(answer.json()["summary"], plan["summary"]);
    assert_eq!(answer.json()["effects"], plan["effects"]);
    site.world.expect(0, &["plan", "--exit-code"]);
    assert_eq!(site.content().log["revisions"][0]["digest"], plan["digest"]);
    // A digest is not needed; one that is wrong says that somebody has altered the plan.
    site.world.write("a.yaml", "accounts: { a: { comment: z } }");
    let mut plan: Json = serde_json::from_str(&site.world.expect(0, &["plan", "--format", "json"]).stdout).unwrap();
    plan["digest"] = "0".repeat(64).into();
    post(&site.api(), 1, &plan).problem(422);
    plan.as_object_mut().unwrap().remove("digest");
    assert_eq!(applied(post(&site.api(), 1, &plan)), 2);
}

#[test]
fn without_or_with_another_revision_nothing_is_done() {
    let site = Site::new();
    let api = site.api();
    applied(post(&api, 0, &changeset(0, &[add("a", "x")])));
    let before = site.content();
    let body = changeset(1, &[overwrite("a", "x", "y")]);
    let call = |headers: &[(&str, &str)]| {
        api.call(Method::POST, "/v1/changesets", &[headers, &[("content-type", JSON)]].concat(), body.to_string())
    };
    call(&[]).problem(428);
    for moved in ["\"0\"", "\"2\"", "\"1.1\"", "0"] {
        let problem = call(&[("if-match", moved)]).problem(412);
        assert_eq!(problem["code"], "store/moved", "{problem}");
    }
    for nonsense in ["x", "\"\"", "1, 2", "W/\"1\"", "\"-1\"", "\"18446744073709551616\""] {
        let answer = call(&[("if-match", nonsense)]);
        assert!(matches!(answer.status, 400 | 412 | 422 | 428), "{answer}");
        answer.problem(answer.status);
    }
    // What the document says must be the same.
    let answer = post(&api, 1, &changeset(0, &[overwrite("a", "x", "y")]));
    assert!(matches!(answer.status, 412 | 422), "{answer}");
    assert_eq!(site.content(), before);
    // Also without quotes.
    assert_eq!(applied(call(&[("if-match", "1")])), 2);
}

/// A retry after an answer that was lost.
#[test]
fn a_key_makes_a_retry_safe() {
    let site = Site::new();
    let api = site.api();
    let body = changeset(0, &[add("a", "x")]);
    let key = [("idempotency-key", "one/1")];
    let first = post_with(&api, 0, &key, &body).expect(200).json();
    assert_eq!(first.get("again"), None);
    for _ in 0..3 {
        let again = post_with(&api, 0, &key, &body).expect(200).json();
        assert_eq!((again["revision"].as_u64(), &again["again"]), (Some(1), &json!(true)), "{again}");
        assert_eq!(again["summary"], first["summary"]);
    }
    // Later ones do not matter.
    applied(post(&api, 1, &changeset(1, &[overwrite("a", "x", "y")])));
    assert_eq!(applied(post_with(&api, 0, &key, &body)), 1);
    let before = site.content();
    assert_eq!(before.revision(), 2);
    // The same key with something else.
    post_with(&api, 0, &key, &changeset(0, &[add("b", "x")])).problem(422);
    post_with(&api, 2, &key, &changeset(2, &[add("b", "x")])).problem(422);
    post_with(&api, 2, &key, &body).problem(422);
    assert_eq!(site.content(), before);
    // Without a key, and with another one, it is what it is: late.
    post(&api, 0, &body).problem(412);
    post_with(&api, 0, &[("idempotency-key", "two")], &body).problem(412);
    // What was refused is not remembered.
    post_with(&api, 2, &[("idempotency-key", "three")], &changeset(2, &[add("a", "x")])).problem(422);
    let body = changeset(2, &[add("b", "x")]);
    assert_eq!(applied(post_with(&api, 2, &[("idempotency-key", "three")], &body)), 3);
    // A key is of one who calls: another's is another one.
    let other = site.with_token("apply", &[PROJECT]);
    post_with(&other, 0, &key, &changeset(0, &[add("a", "x")])).problem(412);
    assert_eq!(applied(post_with(&other, 3, &key, &changeset(3, &[add("c", "x")]))), 4);
}

#[test]
fn many_at_once_with_one_key_do_it_once() {
    let site = Site::new();
    let api = site.api();
    let body = changeset(0, &[add("a", "x")]);
    let revisions: Vec<u64> = std::thread::scope(|scope| {
        let call = || loop {
            let answer = post_with(&api, 0, &[("idempotency-key", "k")], &body);
            match answer.status {
                200 => break answer.json()["revision"].as_u64().unwrap(),
                // Another one with this key is under way.
                409 | 503 => std::thread::sleep(std::time::Duration::from_millis(20)),
                _ => panic!("{answer}"),
            }
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(revisions, [1; 8]);
    assert_eq!(site.content().revision(), 1);
}

#[test]
fn a_rehearsal_says_the_same_and_does_nothing() {
    let site = Site::new();
    let api = site.api();
    applied(post(&api, 0, &changeset(0, &[add("a", "x")])));
    let before = site.content();
    let rehearse = |revision: u64, body: &Json| {
        let revision = if_match(revision);
        let headers = [("if-match", revision.as_str()), ("content-type", JSON)];
        api.call(Method::POST, "/v1/changesets?rehearse=true", &headers, body.to_string())
    };
    rehearse(1, &changeset(1, &[overwrite("a", "x", "y"), add("b", "z")])).expect(200);
    rehearse(0, &changeset(0, &[add("a", "x")])).problem(412);
    rehearse(1, &changeset(1, &[add("a", "x")])).problem(422);
    assert_eq!(site.content(), before);
}

#[test]
fn a_body_is_json_or_lines_and_said_to_be() {
    let site = Site::new();
    let api = site.api();
    let revision = if_match(0);
    let body = changeset(0, &[add("a", "x")]).to_string();
    let call = |kind: Option<&str>, body: &str| {
        let mut headers = vec![("if-match", revision.as_str())];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        api.call(Method::POST, "/v1/changesets", &headers, body)
    };
    for kind in [Some("text/csv"), Some("application/x-www-form-urlencoded"), Some("nonsense")] {
        call(kind, &body).problem(415);
    }
    for broken in
        ["{", "[]", "null", "1", "\"x\"", "{}", "{\"changes\": []}", &body[..body.len() - 1], &format!("{body} x")]
    {
        let answer = call(Some(JSON), broken);
        assert!(matches!(answer.status, 400 | 422), "{broken}: {answer}");
        answer.problem(answer.status);
    }
    let answer = call(Some(JSON), "");
    assert!(matches!(answer.status, 400 | 411 | 422), "{answer}");
    let twice = body.replacen("{\"format_version\":1", "{\"format_version\":1,\"format_version\":1", 1);
    assert_ne!(twice, body);
    for text in [twice, body.replacen("\"format_version\":1", "\"format_version\":2", 1)] {
        let answer = call(Some(JSON), &text);
        assert!(matches!(answer.status, 400 | 422), "{answer}");
        answer.problem(answer.status);
    }
    assert_eq!(site.content().revision(), 0);
    applied(call(Some("application/json; charset=utf-8"), &body));
}

/// An empty plan changes nothing, so nothing is written down.
#[test]
fn nothing_to_do_is_no_revision() {
    let site = Site::new();
    let api = site.api();
    applied(post(&api, 0, &changeset(0, &[add("a", "x")])));
    let answer = post(&api, 1, &changeset(1, &[]));
    assert!(answer.status == 422 || answer.status == 200 && answer.json()["revision"] == 1, "{answer}");
    assert_eq!(site.content().revision(), 1);
}

/// An apply that has the store now is waited for, and then said.
#[test]
fn a_store_that_somebody_holds_is_busy() {
    let site = Site::new();
    let writer = database(&site.world);
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = post(&site.api(), 0, &changeset(0, &[add("a", "x")]));
    answer.problem(503);
    assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer}");
    // Reading goes on.
    site.api().get("/v1/resources").expect(200);
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(applied(post(&site.api(), 0, &changeset(0, &[add("a", "x")]))), 1);
}

/// What the program has applied is there for others at once, and the other way round.
#[test]
fn the_store_may_be_used_directly_too() {
    let site = Site::new();
    let api = site.api();
    applied(post(&api, 0, &changeset(0, &[add("a", "x")])));
    site.world.write("a.yaml", "accounts: { a: { comment: y }, b: {} }");
    site.world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(api.get("/v1/revision").json()["revision"], 2);
    post(&api, 1, &changeset(1, &[overwrite("a", "x", "z")])).problem(412);
    assert_eq!(applied(post(&api, 2, &changeset(2, &[overwrite("a", "y", "z")]))), 3);
    // Another project on the same file.
    let other = sharing(&site.world, OTHER);
    other.write("b.yaml", "accounts: { c: {} }");
    let run = run_with(&other, &[], &["apply", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(api.get("/v1/resources").json()["resources"][2]["owner"], OTHER);
}

#[test]
fn lines_are_taken_compressed_too() {
    let site = Site::new();
    let body = lines(&changeset(0, &(0..500).map(|n| add(&format!("a{n:03}"), "x")).collect::<Vec<_>>()));
    std::fs::write(site.world.file("body"), &body).unwrap();
    let gzip = std::process::Command::new("gzip").arg("-k").arg(site.world.file("body")).status().unwrap();
    assert!(gzip.success());
    let packed = std::fs::read(site.world.file("body.gz")).unwrap();
    assert!(packed.len() < body.len() / 4);
    let revision = if_match(0);
    let headers = [("if-match", revision.as_str()), ("content-type", NDJSON), ("content-encoding", "gzip")];
    let half = packed[..packed.len() / 2].to_vec();
    let answer = site.api().call(Method::POST, "/v1/changesets", &headers, half);
    assert!(matches!(answer.status, 400 | 422), "{answer}");
    assert_eq!(site.content().revision(), 0);
    assert_eq!(applied(site.api().call(Method::POST, "/v1/changesets", &headers, packed)), 1);
    assert_eq!(site.content().addresses().len(), 500);
    let unknown = [("if-match", "\"1\""), ("content-type", NDJSON), ("content-encoding", "br")];
    site.api().call(Method::POST, "/v1/changesets", &unknown, "x").problem(415);
}
