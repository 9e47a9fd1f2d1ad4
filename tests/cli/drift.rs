//! `yubin drift`: what other software has changed, and files that are brought up to it.

use serde_json::{Value as Json, json};
use yubin::model::{Kind, Type};

use super::canaries::disguises;
use super::saved_plans::{bytes, read, said, sharing};
use super::{
    accounts, actions, catchme, concat, database, expect_with, keys, private, revision, row, run_with, shown, state,
};
use crate::support::{ODD_TEXTS, World};

/// A hash as Dovecot makes them, and the part of it that says something.
const HASH: &str =
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$qfu2h2EkFFzoYVb9F69yFw$6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY";
const DIGEST: &str = "6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY";
const CLEAR: &str = "Kanarie-drift-7Qx2";

/// The entries of `drift`, which must end with this code, by address and field.
#[track_caller]
fn drift(world: &World, code: i32) -> Vec<Json> {
    let document = world.json(code, &["drift"]);
    let mut all = document["drift"].as_array().unwrap().clone();
    assert_eq!(code == 2, !all.is_empty(), "exit 2 says that there is drift: {document}");
    all.sort_by_key(place);
    all
}

/// `ADDRESS FIELD` of an entry.
fn place(entry: &Json) -> String {
    format!("{} {}", entry["address"].as_str().unwrap(), entry["field"].as_str().unwrap_or("-"))
}

fn places(entries: &[Json]) -> Vec<String> {
    entries.iter().map(place).collect()
}

/// What a plan says of drift.
#[track_caller]
fn planned(world: &World) -> Vec<String> {
    let plan: Json = serde_json::from_str(&world.run(&["plan", "--format", "json"]).stdout).unwrap();
    let mut all = places(plan["drift"].as_array().unwrap_or_else(|| panic!("no drift: {plan}")));
    all.sort();
    all
}

fn sql(world: &World, statements: &str) {
    database(world).execute_batch(statements).unwrap();
}

/// Applied accounts `a`, `b` and `c` with this YAML for each.
fn applied(fields: &str) -> World {
    let world = World::project("generic", "");
    world.write("a.yaml", format!("accounts:\n  a: {{ {fields} }}\n  b: {{ {fields} }}\n  c: {{ {fields} }}\n"));
    world.expect(0, &["apply", "--yes"]);
    world
}

// --- Every column -------------------------------------------------------------------------

/// A field: the word that a CSV file declares, its JSON, and what other software writes instead.
struct Row {
    field: &'static str,
    column: String,
    word: String,
    before: Json,
    sql: &'static str,
    after: Json,
    read_only: bool,
}

/// All but references and secrets.
fn table(kind: Kind) -> Vec<Row> {
    let mut rows = Vec::new();
    for field in kind.fields() {
        let (word, before, sql, after) = match field.ty {
            Type::Bool => ("true".to_owned(), json!(true), "0", json!(false)),
            Type::Int { max, .. } => (max.min(7).to_string(), json!(max.min(7)), "3", json!(3)),
            Type::Text | Type::Multiline => ("text".to_owned(), json!("text"), "'edited'", json!("edited")),
            Type::Mail | Type::Mails => ("a@x.jp".to_owned(), json!("a@x.jp"), "'b@x.jp'", json!("b@x.jp")),
            Type::Host => ("a.x.jp".to_owned(), json!("a.x.jp"), "'b.x.jp'", json!("b.x.jp")),
            Type::List => {
                ("a@x.jp;b@x.jp".to_owned(), json!(["a@x.jp", "b@x.jp"]), "'[\"c@x.jp\"]'", json!(["c@x.jp"]))
            }
            Type::Choice(words) => {
                let quoted: &'static str = format!("'{}'", words[1]).leak();
                (words[0].to_owned(), json!(words[0]), quoted, json!(words[1]))
            }
            Type::Size => ("5MB".to_owned(), json!("5MB"), "'unlimited'", json!("unlimited")),
            Type::Secret | Type::Password | Type::Reference => continue,
        };
        rows.push(Row {
            field: field.name,
            column: field.column(),
            word,
            before,
            sql,
            after,
            read_only: field.read_only,
        });
    }
    assert!(rows.len() > 15, "{kind}: {}", rows.len());
    rows
}

fn address(kind: Kind, name: &str) -> String {
    if kind == Kind::Pattern { format!("pattern/u/{name}") } else { format!("{kind}/{name}") }
}

/// A project whose `a.csv` has records of this kind.
fn of_csv(kind: Kind, header: &str, records: &str) -> World {
    let world = World::project("generic", &format!("sources: [{{ path: a.csv, kind: {kind} }}]\n"));
    world.write("a.csv", format!("{header}\n{records}"));
    world.expect(0, &["apply", "--yes"]);
    world
}

fn entry(address: &str, field: &str, before: &Json, after: &Json) -> Json {
    json!({ "address": address, "field": field, "before": before, "after": after })
}

/// In each record another column is edited, and in as many others emptied.
#[test]
fn an_edit_of_any_managed_column_is_drift_until_it_is_overwritten() {
    for kind in Kind::ALL {
        let rows: Vec<Row> = table(kind).into_iter().filter(|row| !row.read_only).collect();
        let (head, user) = if kind == Kind::Pattern { ("user,name", "u,") } else { ("name", "") };
        let names = concat(&rows, |row| format!(",{}", row.field));
        let words = concat(&rows, |row| format!(",{}", row.word));
        let records = concat(0..2 * rows.len(), |n| format!("{user}r{n:03}{words}\n"));
        let world = of_csv(kind, &format!("{head}{names}"), &records);
        assert_eq!(drift(&world, 0), [Json::Null; 0]);
        let mut expected = Vec::new();
        let mut statements = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            for (n, value, after) in [(n, row.sql, &row.after), (n + rows.len(), "NULL", &Json::Null)] {
                let name = format!("r{n:03}");
                statements.push(format!("UPDATE {kind} SET {} = {value} WHERE name = '{name}';", row.column));
                expected.push(entry(&address(kind, &name), row.field, &row.before, after));
            }
        }
        sql(&world, &statements.concat());
        expected.sort_by_key(place);
        assert_eq!(drift(&world, 2), expected, "{kind}");
        assert_eq!(planned(&world), places(&expected), "{kind}");
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(drift(&world, 0), [Json::Null; 0], "{kind}");
        assert_eq!(planned(&world), [""; 0], "{kind}");
    }
}

/// Fields that no file declares, and those that none may: no plan touches them, and still they have drifted.
#[test]
fn an_edit_of_any_column_that_is_not_managed_is_drift_and_stays() {
    for kind in Kind::ALL {
        let rows = table(kind);
        let (head, user) = if kind == Kind::Pattern { ("user,name", "u,") } else { ("name", "") };
        let world = of_csv(kind, head, &concat(0..rows.len(), |n| format!("{user}r{n:03}\n")));
        let (mut expected, mut statements) = (Vec::new(), Vec::new());
        for (n, row) in rows.iter().enumerate() {
            statements.push(format!("UPDATE {kind} SET {} = {} WHERE name = 'r{n:03}';", row.column, row.sql));
            expected.push(entry(&address(kind, &format!("r{n:03}")), row.field, &Json::Null, &row.after));
        }
        sql(&world, &statements.concat());
        expected.sort_by_key(place);
        assert_eq!(drift(&world, 2), expected, "{kind}");
        // Nothing is to be done, and it is said all the same, again and again.
        world.expect(0, &["plan", "--exit-code"]);
        assert_eq!(planned(&world), places(&expected), "{kind}");
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!((drift(&world, 2), revision(&world)), (expected, 1), "{kind}");
    }
}

#[test]
fn an_edited_reference_is_drift() {
    let world = World::project("generic", "");
    world.write(
        "a.yaml",
        "servers: { s: {}, t: {} }
accounts: { a: { server: s }, b: { server: s }, c: {} }
patterns: { u: { p: { server: s } } }
",
    );
    world.expect(0, &["apply", "--yes"]);
    sql(
        &world,
        "UPDATE account SET server = 't' WHERE name = 'a';
         UPDATE account SET server = NULL WHERE name = 'b';
         UPDATE account SET server = 't' WHERE name = 'c';
         UPDATE pattern SET server = 't'",
    );
    assert_eq!(
        drift(&world, 2),
        [
            entry("account/a", "server", &json!("s"), &json!("t")),
            entry("account/b", "server", &json!("s"), &Json::Null),
            entry("account/c", "server", &Json::Null, &json!("t")),
            entry("pattern/u/p", "server", &json!("s"), &json!("t")),
        ]
    );
}

#[test]
fn resources_that_other_software_adds_deletes_or_renames_are_drift() {
    for kind in Kind::ALL {
        let (head, user) = if kind == Kind::Pattern { ("user,name", "u,") } else { ("name", "") };
        let world = of_csv(kind, head, &concat(0..4, |n| format!("{user}r{n}\n")));
        let (columns, values) = if kind == Kind::Pattern { ("user, name", "'u', 'new'") } else { ("name", "'new'") };
        sql(
            &world,
            &format!(
                "INSERT INTO {kind} ({columns}) VALUES ({values});
                 DELETE FROM {kind} WHERE name = 'r1';
                 UPDATE {kind} SET name = 'zz' WHERE name = 'r2'"
            ),
        );
        let expected = [("new", "added"), ("r1", "deleted"), ("r2", "deleted"), ("zz", "added")]
            .map(|(name, what)| json!({ "address": address(kind, name), "resource": what }));
        assert_eq!(drift(&world, 2), expected, "{kind}");
        let named: Vec<String> = expected.iter().map(place).collect();
        let listed = |all: Vec<String>| -> Vec<String> {
            all.iter().map(|one| format!("{} -", one.split(' ').next().unwrap())).collect()
        };
        assert_eq!(listed(planned(&world)), named, "{kind}");
        // What is declared comes back; what is not stays, and is still not yubin's.
        world.expect(0, &["apply", "--yes"]);
        assert_eq!(places(&drift(&world, 2)), [address(kind, "new") + " -", address(kind, "zz") + " -"], "{kind}");
    }
}

#[test]
fn what_is_taken_over_is_no_drift_any_more() {
    let world = applied("comment: x");
    sql(&world, "INSERT INTO account (name, comment) VALUES ('new', 'theirs')");
    assert_eq!(drift(&world, 2), [json!({ "address": "account/new", "resource": "added" })]);
    world.expect(0, &["adopt", "account/new", "--yes"]);
    assert_eq!(drift(&world, 0), [Json::Null; 0]);
    // What happens to it from then on is.
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'new'");
    assert_eq!(drift(&world, 2), [entry("account/new", "comment", &json!("theirs"), &json!("edited"))]);
}

#[test]
fn an_edited_owner_is_drift() {
    let world = applied("comment: x");
    sql(
        &world,
        "UPDATE account SET yubin_owner = 'other' WHERE name = 'a'; UPDATE account SET yubin_owner = NULL WHERE name = 'b'",
    );
    let addresses =
        |all: Vec<String>| -> Vec<String> { all.iter().map(|one| one.split(' ').next().unwrap().to_owned()).collect() };
    assert_eq!(addresses(places(&drift(&world, 2))), ["account/a", "account/b"]);
    assert_eq!(addresses(planned(&world)), ["account/a", "account/b"]);
}

// --- What is drift, and what is not -------------------------------------------------------

#[test]
fn what_was_not_changed_by_other_software_or_is_as_it_was_is_no_drift() {
    type Step = (&'static str, fn(&World));
    let steps: [Step; 11] = [
        ("nothing", |_| {}),
        ("edited and edited back", |world| {
            sql(world, "UPDATE account SET comment = 'y'");
            sql(world, "UPDATE account SET comment = 'x'");
        }),
        ("written as it was", |world| sql(world, "UPDATE account SET comment = comment, name = name")),
        ("added and deleted", |world| {
            sql(world, "INSERT INTO account (name) VALUES ('z')");
            sql(world, "DELETE FROM account WHERE name = 'z'");
        }),
        ("rolled back", |world| sql(world, "BEGIN; UPDATE account SET comment = 'y'; ROLLBACK")),
        ("another project", |world| {
            let other = sharing(world, "branch");
            other.write("b.yaml", "accounts: { theirs: { comment: y } }\n");
            other.expect(0, &["apply", "--yes"]);
        }),
        ("an undo", |world| {
            world.write("a.yaml", accounts(0..2, "y"));
            world.expect(0, &["apply", "--yes"]);
            world.expect(0, &["undo", "2", "--yes"]);
        }),
        ("let go and taken over", |world| {
            world.expect(0, &["forget", "account/a", "--yes"]);
            world.expect(0, &["adopt", "account/a", "--yes"]);
        }),
        ("a new key", |world| {
            world.expect(0, &["store", "rekey", "--yes"]);
        }),
        ("an apply that has nothing to do", |world| {
            world.expect(0, &["apply", "--yes"]);
        }),
        ("files that changed since", |world| world.write("a.yaml", accounts(0..5, "other"))),
    ];
    for (what, step) in steps {
        let world = World::project("generic", "policy: { max_deletes: 9 }\n");
        private(&world, "pw", CLEAR);
        world.write("a.yaml", "accounts: { a: { comment: x }, b: { comment: x, incoming.password: { file: pw } } }\n");
        world.expect(0, &["apply", "--yes"]);
        step(&world);
        let run = world.expect(0, &["drift", "--format", "json"]);
        assert_eq!(serde_json::from_str::<Json>(&run.stdout).unwrap()["drift"], json!([]), "{what}");
        assert_eq!(planned(&world), [""; 0], "{what}");
        assert!(!world.expect(0, &["drift"]).stdout.contains("account/"), "{what}");
    }
}

/// The files have caught up with what others did.
#[test]
fn what_the_files_declare_exactly_is_no_drift() {
    let world = applied("comment: x");
    sql(
        &world,
        "UPDATE account SET comment = 'edited', label = 'more' WHERE name = 'a';
         UPDATE account SET comment = 'edited' WHERE name = 'b';
         DELETE FROM account WHERE name = 'c'",
    );
    let all = ["account/a comment", "account/a label", "account/b comment", "account/c -"];
    assert_eq!(places(&drift(&world, 2)), all);
    for (yaml, left) in [
        // Not exactly.
        ("{ a: { comment: Edited }, b: { comment: x }, c: { comment: x } }", &all[..]),
        ("{ a: { comment: edited }, b: {}, c: {} }", &all[1..]),
        ("{ a: { comment: edited }, b: { comment: edited }, c: {} }", &["account/a label", "account/c -"]),
        ("{ a: { comment: edited, label: more }, b: { comment: edited }, c: {} }", &["account/c -"]),
        ("{ a: { comment: edited, label: more }, b: { comment: edited }, c: { absent: true } }", &[]),
    ] {
        world.write("a.yaml", format!("accounts: {yaml}\n"));
        assert_eq!(places(&drift(&world, if left.is_empty() { 0 } else { 2 })), left, "{yaml}");
        assert_eq!(planned(&world), left, "{yaml}");
    }
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    assert_eq!(revision(&world), 1);
}

/// Drift is what came after yubin's last word on a resource.
#[test]
fn what_yubin_wrote_last_is_no_drift() {
    let world = applied("comment: x");
    sql(&world, "UPDATE account SET label = 'theirs' WHERE name IN ('a', 'b')");
    assert_eq!(places(&drift(&world, 2)), ["account/a label", "account/b label"]);
    world.write("a.yaml", "accounts: { a: { comment: y }, b: { comment: x }, c: { comment: x } }\n");
    world.expect(0, &["apply", "--yes"]);
    // It was there when `a` was written, and was kept.
    assert_eq!(shown(&world, "account/a"), json!({ "comment": "y", "label": "theirs" }));
    assert_eq!(places(&drift(&world, 2)), ["account/b label"]);
    // Of several edits, the first state and the last.
    sql(&world, "UPDATE account SET comment = 'one' WHERE name = 'a'");
    sql(&world, "UPDATE account SET comment = 'two' WHERE name = 'a'");
    assert_eq!(drift(&world, 2)[0], entry("account/a", "comment", &json!("y"), &json!("two")));
}

#[test]
fn drift_as_json_and_text() {
    let world = applied("comment: one");
    world.write("b.yaml", "accounts: { d: { comment: one } }\n");
    world.expect(0, &["apply", "--yes"]);
    sql(&world, "UPDATE account SET comment = 'edited' WHERE name = 'a'; DELETE FROM account WHERE name = 'b'");
    let before = bytes(&world);
    let document = world.json(2, &["drift"]);
    assert_eq!(keys(&document), ["format_version", "revision", "drift"]);
    assert_eq!((&document["format_version"], &document["revision"]), (&json!(1), &json!(2)));
    assert_eq!(keys(&document["drift"][0]), ["address", "field", "before", "after"]);
    assert_eq!(keys(&document["drift"][1]), ["address", "resource"]);
    let text = world.expect(2, &["drift"]).stdout;
    for word in ["account/a", "comment", "one", "edited", "account/b"] {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
    assert!(!text.contains("account/c") && !text.contains("account/d"), "{text}");
    // The plan for people names it, too.
    for format in ["text", "markdown", "html"] {
        let page = world.expect(0, &["plan", "--format", format]).stdout;
        assert!(page.to_lowercase().contains("drift") || page.contains("other software"), "{format}: {page}");
    }
    assert_eq!(bytes(&world), before, "drift only reads");
}

#[test]
fn without_a_store_there_is_no_drift_and_none_is_made() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..2, "x"));
    let before = bytes(&world);
    let document = world.json(0, &["drift"]);
    assert_eq!(document, json!({ "format_version": 1, "revision": 0, "drift": [] }));
    assert_eq!(bytes(&world), before);
}

#[test]
fn of_secrets_drift_says_only_how_they_changed() {
    const ENV: &[(&str, &str)] = &[("PW", CLEAR)];
    let world = World::project("generic", "");
    let both = "{ password: { env: PW }, incoming.password: { env: PW } }";
    world.write("a.yaml", format!("accounts: {{ a: {both}, b: {both}, c: {{}} }}\n"));
    expect_with(&world, 0, ENV, &["apply", "--yes"]);
    sql(
        &world,
        &format!(
            "UPDATE account SET incoming_password = NULL, password = '{HASH}' WHERE name = 'a';
             UPDATE account SET incoming_password = X'00', password = NULL WHERE name = 'b';
             UPDATE account SET password = '{HASH}' WHERE name = 'c'"
        ),
    );
    let run = expect_with(&world, 2, ENV, &["drift", "--format", "json"]);
    let mut entries = serde_json::from_str::<Json>(&run.stdout).unwrap()["drift"].as_array().unwrap().clone();
    entries.sort_by_key(place);
    let expected = [
        ("account/a", "incoming.password", "cleared"),
        ("account/a", "password", "changed"),
        ("account/b", "incoming.password", "changed"),
        ("account/b", "password", "cleared"),
        ("account/c", "password", "set"),
    ];
    let expected = expected.map(
        |(address, field, change)| json!({ "address": address, "field": field, "secret": true, "change": change }),
    );
    assert_eq!(entries, expected);
    let blob: Vec<u8> = database(&world)
        .query_row("SELECT incoming_password FROM account_history WHERE name = 'a' LIMIT 1", [], |row| row.get(0))
        .unwrap();
    let mut needles = disguises(CLEAR.as_bytes());
    needles.extend(disguises(DIGEST.as_bytes()));
    needles.extend(disguises(&blob));
    for args in [
        &["drift"][..],
        &["drift", "-v"],
        &["drift", "--format", "json"],
        &["plan"],
        &["plan", "--format", "json"],
        &["plan", "--format", "html"],
        &["drift", "--adopt"],
    ] {
        let text = said(&run_with(&world, ENV, args));
        for (form, needle) in &needles {
            assert!(
                memchr::memmem::find(text.as_bytes(), needle).is_none(),
                "{args:?} shows a secret ({form}): {text}"
            );
        }
    }
}

// --- Adopted ------------------------------------------------------------------------------

/// After an adoption the files declare what is there: nothing has drifted, nothing is to be done.
#[track_caller]
fn settled(world: &World, what: &str, before: &Json) {
    assert_eq!(drift(world, 0), [Json::Null; 0], "{what}");
    let plan = world.json(0, &["plan"]);
    assert_eq!(actions(&plan), [""; 0], "{what}: {plan}");
    assert_eq!((&state(world), revision(world)), (before, 1), "{what}: the store was written");
}

/// YAML without its quotes: how a value is quoted is left open.
fn unquoted(text: &str) -> String {
    text.replace(['"', '\''], "")
}

const COMMENTED: &str = "# Head office.
accounts:
  # The first.
  a: { comment: one, label: \"x\" } # trailing
  b:
    label: y   # why
    comment: two  # and why not
    visible: true

  c: { comment: one }
patterns:
  taro:
    p: { incoming: { port: 110 }, address: t@x.jp } # nested
    q:
      incoming.port: 110
# The end.
";

#[test]
fn an_adoption_keeps_comments_and_order_of_yaml() {
    let world = World::project("generic", "");
    world.write("a.yaml", COMMENTED);
    world.write("other.yaml", "accounts: { z: { comment: one } } # untouched\n");
    world.expect(0, &["apply", "--yes"]);
    sql(
        &world,
        "UPDATE account SET comment = 'eins' WHERE name = 'a';
         UPDATE account SET comment = 'zwei', visible = 0 WHERE name = 'b';
         UPDATE pattern SET incoming_port = 995 WHERE name = 'p';
         UPDATE pattern SET incoming_port = 143 WHERE name = 'q'",
    );
    let before = state(&world);
    world.expect(0, &["drift", "--adopt", "--yes"]);
    let expected = COMMENTED
        .replace("comment: one, label", "comment: eins, label")
        .replace("comment: two", "comment: zwei")
        .replace("visible: true", "visible: false")
        .replace("port: 110 }", "port: 995 }")
        .replace("incoming.port: 110", "incoming.port: 143");
    assert_eq!(unquoted(&read(&world, "a.yaml")), unquoted(&expected));
    assert_eq!(read(&world, "other.yaml"), "accounts: { z: { comment: one } } # untouched\n");
    settled(&world, "comments", &before);
}

#[test]
fn an_adoption_keeps_everything_else_of_csv() {
    // UTF-8 with a BOM, and Shift_JIS: 営業 becomes 総務. Records end as they ended.
    let (sales, general): (&[u8], &[u8]) = (b"\x89\x63\x8b\xc6", b"\x91\x8d\x96\xb1");
    let file = |word: &[u8], head: &[u8], end: &[u8]| -> Vec<u8> {
        [
            head,
            b"label,name,comment",
            end,
            b"\"x, y\",b,",
            word,
            end,
            b"\"\",a,",
            word,
            end,
            b" z ,c,\"",
            word,
            b"\"",
            end,
        ]
        .concat()
    };
    for (encoding, head, end, old, new) in [
        ("utf-8", &b""[..], &b"\n"[..], "営業".as_bytes(), "総務".as_bytes()),
        ("utf-8", b"\xef\xbb\xbf", b"\r\n", "営業".as_bytes(), "総務".as_bytes()),
        ("shift_jis", b"", b"\r\n", sales, general),
    ] {
        let world =
            World::project("generic", &format!("sources: [{{ path: a.csv, kind: account, encoding: {encoding} }}]\n"));
        let before = file(old, head, end);
        world.write("a.csv", &before);
        world.expect(0, &["apply", "--yes"]);
        sql(&world, "UPDATE account SET comment = '総務' WHERE name = 'a'");
        let stored = state(&world);
        world.expect(0, &["drift", "--adopt", "--yes"]);
        let at = memchr::memmem::find(&before, b"\"\",a,").unwrap() + 5;
        let expected = [&before[..at], new, &before[at + old.len()..]].concat();
        let found = std::fs::read(world.file("a.csv")).unwrap();
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected), "{encoding}");
        assert_eq!(found, expected, "{encoding}");
        settled(&world, encoding, &stored);
    }
}

#[test]
fn an_adoption_edits_a_products_file_in_place() {
    let world = catchme("");
    let text = row("taro", "p1") + &row("jiro", "p1") + &row("hana", "p1");
    world.write("people.csv", &text);
    world.expect(0, &["apply", "--yes"]);
    sql(&world, "UPDATE pattern SET incoming_label = 'RECV' WHERE user = 'jiro'");
    let before = state(&world);
    world.expect(0, &["drift", "--adopt", "--yes"]);
    let expected = row("taro", "p1") + &row("jiro", "p1").replace("recv", "RECV") + &row("hana", "p1");
    assert_eq!(read(&world, "people.csv"), expected);
    settled(&world, "catchme-mail", &before);
}

/// What is set, what is cleared, what is gone, and what stands elsewhere than in the resource itself.
#[test]
fn after_an_adoption_the_files_declare_what_is_there() {
    for (what, yaml, statements) in [
        (
            "a field that no file declared",
            "accounts:\n  a: { comment: x } # one\n  b: { comment: x }\n",
            "UPDATE account SET label = 'new' WHERE name = 'a'",
        ),
        (
            "a field in a block",
            "accounts:\n  a:\n    comment: x\n  b:\n    comment: x\n",
            "UPDATE account SET label = 'new', incoming_port = 143 WHERE name = 'a'",
        ),
        ("a resource without fields", "accounts:\n  a:\n  b: {}\n", "UPDATE account SET label = 'new'"),
        (
            "a field that is cleared",
            "accounts:\n  a: { comment: x, label: y }\n  b: { comment: x, label: y }\n",
            "UPDATE account SET label = NULL WHERE name = 'a'",
        ),
        (
            "a resource that is gone",
            "accounts:\n  # of a\n  a: { comment: x }\n  b: { comment: x }\n",
            "DELETE FROM account WHERE name = 'a'",
        ),
        (
            "a default of the file",
            "defaults:\n  accounts: { capacity: 5 }\naccounts:\n  a: { comment: x }\n  b: { comment: x }\n",
            "UPDATE account SET capacity = 10 WHERE name = 'a'",
        ),
        (
            "a value of the server",
            "servers: { s: { incoming: { host: i.x.jp } } }\naccounts:\n  a: { server: s }\n  b: { server: s }\n",
            "UPDATE account SET incoming_host = 'j.x.jp' WHERE name = 'a'",
        ),
        (
            "nested and dotted",
            "patterns:\n  u:\n    p: { incoming: { port: 110, host: i.x.jp } }\n    q: { incoming.port: 110 }\n",
            "UPDATE pattern SET incoming_protocol = 'imap', incoming_port = 143",
        ),
        (
            "lists and lines",
            "accounts:\n  a: { forward.to: [a@x.jp], signature: \"one\\ntwo\\n\" }\n  b:\n    signature: |\n      one\n      two\n    comment: x\n",
            "UPDATE account SET forward_to = '[\"b@x.jp\",\"c@x.jp\"]', signature = 'eins' || char(10) || char(10) || 'zwei'",
        ),
        (
            "names that need quotes",
            "accounts:\n  \"no\": { comment: x }\n  a/b: { comment: x }\n  \"50%\": { comment: x }\n",
            "UPDATE account SET comment = 'y'",
        ),
    ] {
        let world = World::project("generic", "");
        world.write("a.yaml", yaml);
        world.expect(0, &["apply", "--yes"]);
        sql(&world, statements);
        let before = state(&world);
        let drifted = drift(&world, 2);
        let run = run_with(&world, &[], &["drift", "--adopt", "--yes"]);
        assert_eq!(run.code, 0, "{what}: {}", said(&run));
        settled(&world, what, &before);
        // What did not drift stands as it stood.
        let text = read(&world, "a.yaml");
        for line in yaml.lines().filter(|line| line.trim_start().starts_with("b: {") || line.starts_with("servers")) {
            let touched = drifted.iter().any(|one| one["address"] == "account/b");
            assert!(touched || text.lines().any(|other| other == line), "{what}: `{line}` is gone:\n{text}");
        }
    }
}

/// One text that stands for several resources may not be changed for one of them.
#[test]
fn an_adoption_never_declares_another_resource_anew() {
    let yaml = "accounts:\n  a: &x { comment: one }\n  b: *x\n  c: { <<: *x, label: l }\n";
    for name in ["a", "b", "c"] {
        let world = World::project("generic", "");
        world.write("a.yaml", yaml);
        world.expect(0, &["apply", "--yes"]);
        sql(&world, &format!("UPDATE account SET comment = 'eins' WHERE name = '{name}'"));
        let before = state(&world);
        let run = world.run(&["drift", "--adopt", "--yes"]);
        if run.code == 0 {
            settled(&world, name, &before);
        } else {
            assert_eq!(read(&world, "a.yaml"), yaml, "{name}: {}", said(&run));
            assert!(run.stderr.contains(&format!("account/{name}")), "{name}: {}", said(&run));
        }
    }
}

#[test]
fn an_adoption_writes_any_text_so_that_it_reads_the_same() {
    for (file, head, line) in
        [("a.yaml", "accounts:\n", "  {}: { comment: x } # kept\n"), ("a.csv", "name,comment\n", "{},x\n")]
    {
        let world = World::project("generic", "");
        world.write(file, head.to_owned() + &concat(0..ODD_TEXTS.len(), |n| line.replace("{}", &format!("a{n:03}"))));
        world.expect(0, &["apply", "--yes", "-q"]);
        let connection = database(&world);
        for (n, text) in ODD_TEXTS.iter().enumerate() {
            let name = format!("a{n:03}");
            connection.execute("UPDATE account SET comment = ?1 WHERE name = ?2", (text, name)).unwrap();
        }
        drop(connection);
        let before = state(&world);
        world.expect(0, &["drift", "--adopt", "--yes", "-q"]);
        for (n, text) in ODD_TEXTS.iter().enumerate().filter(|(_, text)| **text != "x") {
            let found = &before.as_array().unwrap()[n]["fields"]["comment"];
            assert_eq!(found, text, "the edit itself");
        }
        settled(&world, file, &before);
        if file == "a.yaml" {
            let kept = read(&world, file).lines().filter(|line| line.ends_with("# kept")).count();
            assert_eq!(kept, ODD_TEXTS.len());
        }
    }
}

#[test]
fn an_adoption_shows_the_difference_and_asks() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts:\n  a: { comment: one } # kept\n");
    world.write("b.csv", "name,comment\nb,two\nc,two\n");
    world.expect(0, &["apply", "--yes"]);
    sql(
        &world,
        "UPDATE account SET comment = 'eins' WHERE name = 'a'; UPDATE account SET comment = 'zwei' WHERE name = 'b'",
    );
    let before = bytes(&world);
    let run = world.expect(4, &["drift", "--adopt"]);
    assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    assert_eq!(bytes(&world), before);
    for run in [run, world.expect(0, &["drift", "--adopt", "--yes"])] {
        let has = |sign: char, words: &[&str]| {
            run.stdout
                .lines()
                .any(|line| line.trim_start().starts_with(sign) && words.iter().all(|word| line.contains(word)))
        };
        assert!(run.stdout.contains("a.yaml") && run.stdout.contains("b.csv"), "{}", run.stdout);
        assert!(has('-', &["one", "# kept"]) && has('+', &["eins", "# kept"]), "{}", run.stdout);
        assert!(has('-', &["b,two"]) && has('+', &["b,zwei"]) && !has('-', &["c,two"]), "{}", run.stdout);
    }
    assert_eq!(read(&world, "b.csv"), "name,comment\nb,zwei\nc,two\n");
    // Nothing left to adopt is no reason to ask.
    let files = bytes(&world);
    world.expect(0, &["drift", "--adopt"]);
    assert_eq!(bytes(&world), files);
}

#[test]
fn only_what_is_named_is_adopted() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts:\n  a: { comment: one }\n  b: { comment: one }\n  c: { comment: one }\n");
    world.expect(0, &["apply", "--yes"]);
    sql(&world, "UPDATE account SET comment = 'eins'");
    world.expect(0, &["drift", "--adopt", "account/a", "account/c", "--yes"]);
    assert_eq!(
        unquoted(&read(&world, "a.yaml")),
        "accounts:\n  a: { comment: eins }\n  b: { comment: one }\n  c: { comment: eins }\n"
    );
    assert_eq!(places(&drift(&world, 2)), ["account/b comment"]);
    assert_eq!(actions(&world.json(0, &["plan"])), ["overwrite account/b"]);
    let before = bytes(&world);
    for args in [&["drift", "--adopt", "nonsense", "--yes"][..], &["drift", "account/b"], &["drift", "--yes"]] {
        assert_eq!(world.run(args).code, 64, "{args:?}");
    }
    assert_eq!(bytes(&world), before);
}

/// A seal is no declaration: what cannot be declared is left, and never written down.
#[test]
fn an_adoption_never_writes_a_secret() {
    const ENV: &[(&str, &str)] = &[("PW", CLEAR)];
    let world = World::project("generic", "");
    world.write(
        "a.yaml",
        "accounts:\n  a: { comment: x, incoming.password: { env: PW } }\n  b: { incoming.password: { env: PW } }\n",
    );
    expect_with(&world, 0, ENV, &["apply", "--yes"]);
    let blob: Vec<u8> = database(&world)
        .query_row("SELECT incoming_password FROM account WHERE name = 'b'", [], |row| row.get(0))
        .unwrap();
    sql(
        &world,
        "UPDATE account SET incoming_password = (SELECT incoming_password FROM account WHERE name = 'b'), comment = 'y' WHERE name = 'a'",
    );
    let run = run_with(&world, ENV, &["drift", "--adopt", "--yes"]);
    let written = read(&world, "a.yaml") + &said(&run);
    for (form, needle) in disguises(&blob).into_iter().chain(disguises(CLEAR.as_bytes())) {
        assert!(memchr::memmem::find(written.as_bytes(), &needle).is_none(), "{form}: {written}");
    }
    assert!(read(&world, "a.yaml").contains("b: { incoming.password: { env: PW } }"), "{written}");
}
