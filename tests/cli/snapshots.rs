//! Snapshots without secrets: a plan for those who may see neither the store nor its key.

use serde_json::{Value as Json, json};

use super::canaries::disguises;
use super::saved_plans::{bytes, document, read, said, sharing};
use super::{accounts, actions, concat, database, expect_with, keys, private, revision, rules, run_with, shown, state};
use crate::support::World;

const CLEAR: &str = "Zilpzalp-snapshot-7Qx2";
const THEIRS: &str = "Nachtigall-branch-3Wm8";
const ENV: &[(&str, &str)] = &[("PW", CLEAR)];

const POLICY: &str = "policy: { undeclared: delete, max_deletes: 3, protect: [account/kept] }\n";
const BASE: &str = "accounts:
  a: { comment: one, password: { env: PW }, incoming.password: { env: PW } }
  b: { comment: one }
  c: { comment: one }
  kept: { comment: one }
  guarded: { comment: one, protected: true }
  e1: {}
  e2: {}
patterns:
  taro: { p: { address: t@x.jp, incoming.password: { env: PW } } }
";

/// A store of two projects and a stranger, and its snapshot in `snapshot.json`.
fn stored() -> World {
    let world = World::project("generic", POLICY);
    world.write("a.yaml", BASE);
    expect_with(&world, 0, ENV, &["apply", "--yes"]);
    let other = sharing(&world, "branch");
    let theirs = format!("{{ comment: {THEIRS}, label: {THEIRS}, forward.to: [{THEIRS}@x.jp] }}");
    other.write(
        "b.yaml",
        format!("accounts: {{ theirs: {theirs} }}\npatterns: {{ hana: {{ p: {{ organization: {THEIRS} }} }} }}\n"),
    );
    other.expect(0, &["apply", "--yes"]);
    let sql = "INSERT INTO account (name, comment, label) VALUES ('stranger', 'one', 'l')";
    database(&world).execute(sql, []).unwrap();
    world.expect(0, &["snapshot", "--redacted", "--out", "snapshot.json"]);
    world
}

/// What a pipeline has: the files and the snapshot; neither store nor key.
fn pipeline(world: &World) -> World {
    let pipeline = World::new();
    for name in ["yubin.yaml", "a.yaml", "snapshot.json"] {
        pipeline.write(name, read(world, name));
    }
    pipeline
}

const SKIP: &[&str] = &["plan", "--secrets=skip"];
const AGAINST: &[&str] = &["plan", "--against", "snapshot.json"];

#[test]
fn a_plan_against_a_snapshot_needs_nothing_but_the_files() {
    let world = stored();
    world.write("a.yaml", BASE.replace("comment: one, password", "comment: two, password") + "  hanako: { q: {} }\n");
    let ci = pipeline(&world);
    let before = bytes(&ci);
    let variables = [("YUBIN_STORE", "sqlite:nowhere.db"), ("YUBIN_KEY_FILE", "no-such-key")];
    let run = expect_with(&ci, 0, &variables, &[AGAINST, &["--format", "json"]].concat());
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(plan["base_revision"], 2);
    assert_eq!(plan["secrets"], "skip");
    assert_eq!(keys(&plan["against"]), ["revision", "at", "signer"]);
    assert_eq!(plan["against"]["revision"], 2);
    let at = plan["against"]["at"].as_str().unwrap();
    assert!(at.len() >= 20 && at.ends_with('Z') && at.as_bytes()[10] == b'T', "{at}");
    assert!(plan["against"]["signer"].as_str().unwrap().len() >= 16, "{plan}");
    assert!(actions(&plan).contains(&"overwrite account/a".to_owned()), "{plan}");
    expect_with(&ci, 2, &variables, &[AGAINST, &["--exit-code"]].concat());
    assert_eq!(bytes(&ci), before, "neither store nor key is made");
    // Of the store there is no such word.
    assert!(world.json(0, SKIP).get("against").is_none());
}

/// For whatever the files say: the same changes, refusals, effects, digest and exit code.
#[test]
fn a_plan_against_a_snapshot_is_that_of_the_store() {
    let world = stored();
    let change = |from: &str, to: &str| {
        assert!(BASE.contains(from), "{from}");
        BASE.replace(from, to)
    };
    let more = |line: &str| change("patterns:\n", &format!("{line}\npatterns:\n"));
    let none: &[&str] = &[];
    for (what, yaml, refused) in [
        ("the same", BASE.to_owned(), none),
        ("an overwrite", change("b: { comment: one }", "b: { comment: two, label: l }"), none),
        ("a cleared field", change("b: { comment: one }", "b: { comment: null }"), none),
        ("an add with a secret", more("  new: { label: x, incoming.password: { env: OTHER } }"), none),
        ("a delete", change("  b: { comment: one }\n", ""), none),
        ("a tombstone", change("b: { comment: one }", "b: { absent: true }"), none),
        ("a stranger is taken over", more("  stranger: { comment: two }"), none),
        ("a stranger as it is", more("  stranger: { comment: one }"), none),
        ("a stranger deleted", more("  stranger: { absent: true }"), &["foreign_owner"]),
        ("another's", more("  theirs: { comment: x }"), &["foreign_owner"]),
        ("another's, as nothing", more("  theirs: {}"), &["foreign_owner"]),
        ("another's, deleted", more("  theirs: { absent: true }"), &["foreign_owner"]),
        ("protected by the policy", change("kept: { comment: one }", "kept: { absent: true }"), &["protect"]),
        (
            "protected in the store",
            change("guarded: { comment: one, protected: true }", "guarded: { absent: true }"),
            &["protected"],
        ),
        ("protected, no longer declared", change("  guarded: { comment: one, protected: true }\n", ""), &["protected"]),
        (
            "over a limit",
            ["b: { comment: one }", "c: { comment: one }", "e1: {}", "e2: {}"]
                .iter()
                .fold(BASE.to_owned(), |yaml, line| yaml.replace(&format!("  {line}\n"), "")),
            &["max_deletes"],
        ),
        (
            "a kind that is empty",
            BASE.split("patterns:").next().unwrap().to_owned() + "patterns: {}\n",
            &["empty_kind"],
        ),
    ] {
        world.write("a.yaml", yaml);
        let ci = pipeline(&world);
        let code = if refused.is_empty() { 0 } else { 4 };
        let (store, against) = (world.json(code, SKIP), ci.json(code, AGAINST));
        for key in ["digest", "config_digest", "base_revision", "summary", "changes", "effects", "diagnostics"] {
            // What another project's resource holds is not in a snapshot, so it cannot be said what would be lost.
            let hidden = what.starts_with("another's") && matches!(key, "digest" | "changes" | "summary");
            assert!(hidden || store[key] == against[key], "{what}: {key}: {} is not {}", against[key], store[key]);
        }
        assert!(!against.to_string().contains(THEIRS), "{what}: {against}");
        assert_eq!(rules(&against), refused, "{what}");
        assert_eq!(store["refused"], against["refused"], "{what}");
    }
}

#[test]
fn a_percentage_counts_what_the_store_holds() {
    let world = World::project("generic", "policy: { undeclared: delete }\n");
    world.write("a.yaml", accounts(0..10, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["snapshot", "--redacted", "--out", "snapshot.json"]);
    for (gone, code) in [(3, 0), (4, 4)] {
        world.write("a.yaml", accounts(gone..10, "x"));
        let ci = pipeline(&world);
        assert_eq!(ci.json(code, AGAINST)["summary"]["delete"], gone);
        assert_eq!(world.json(code, SKIP)["digest"], ci.json(code, AGAINST)["digest"]);
    }
}

// --- What is in it ------------------------------------------------------------------------

#[test]
fn a_snapshot_is_a_document() {
    let world = stored();
    let file = read(&world, "snapshot.json");
    let snapshot: Json = serde_json::from_str(&file).unwrap();
    assert_eq!(snapshot["format_version"], 1);
    assert_eq!(keys(&snapshot)[0], "format_version");
    assert_eq!(snapshot["revision"], 2);
    // To take one is to read.
    let before = bytes(&world);
    let stdout = world.expect(0, &["snapshot", "--redacted"]).stdout;
    assert_eq!(bytes(&world), before);
    let printed: Json = serde_json::from_str(&stdout).unwrap();
    assert_eq!(keys(&printed), keys(&snapshot));
    // It shows who owns what, so that it can be refused.
    for word in ["account/theirs", "branch", "account/stranger", "account/guarded", "t@x.jp"] {
        assert!(file.contains(word), "`{word}` is missing: {file}");
    }
}

#[test]
fn no_secret_no_hash_and_nothing_of_other_projects_is_in_a_snapshot() {
    let world = stored();
    let key = read(&world, "yubin.db.key").trim().to_owned();
    let raw: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap()).collect();
    let database = database(&world);
    let blob = |sql: &str| -> Vec<u8> { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    let hash: String =
        database.query_row("SELECT password FROM account WHERE name = 'a'", [], |row| row.get(0)).unwrap();
    let salted: Vec<&str> = hash.rsplit('$').take(2).collect();
    let canaries: [(&str, Vec<u8>); 9] = [
        ("a password", CLEAR.into()),
        ("a field of another project", THEIRS.into()),
        ("a seal", blob("SELECT incoming_password FROM account WHERE name = 'a'")),
        ("a seal of a pattern", blob("SELECT incoming_password FROM pattern WHERE name = 'p' AND user = 'taro'")),
        ("a proof", blob("SELECT password_proof FROM account WHERE name = 'a'")),
        ("a hash", salted[0].into()),
        ("a salt", salted[1].into()),
        ("the key", key.as_str().into()),
        ("the bytes of the key", raw),
    ];
    let mut texts = vec![read(&world, "snapshot.json"), world.expect(0, &["snapshot", "--redacted"]).stdout];
    world.write("a.yaml", BASE.replace("e1: {}", "e1: {}\n  theirs: { absent: true }"));
    let ci = pipeline(&world);
    for format in ["text", "json", "markdown", "html"] {
        texts.push(said(&ci.expect(4, &[AGAINST, &["-v", "--format", format]].concat())));
    }
    for (what, canary) in &canaries {
        for (form, needle) in disguises(canary) {
            for text in &texts {
                assert!(memchr::memmem::find(text.as_bytes(), &needle).is_none(), "{what} ({form}): {text}");
            }
        }
    }
    assert!(!texts[0].contains("{ARGON2ID}") && texts[0].contains("one"), "{}", texts[0]);
}

/// What is left out is left out on purpose, and asked for by name.
#[test]
fn a_snapshot_is_redacted_or_not_made() {
    let world = stored();
    for args in [
        &["snapshot"][..],
        &["snapshot", "--out", "made.json"],
        &["snapshot", "--redacted", "account/a"],
        &["apply", "--against", "snapshot.json", "--yes"],
        &["plan", "--against"],
        &["plan", "--signed-by", "x"],
    ] {
        assert!(world.expect(64, args).stdout.is_empty(), "{args:?}");
    }
    assert!(!world.file("made.json").exists());
    world.expect(1, &["plan", "--against", "no-such-file.json"]);
    assert_eq!(revision(&world), 2);
}

// --- Signed -------------------------------------------------------------------------------

/// Wherever a byte is changed: keys, values, owners, revision, time, signer, signature.
#[test]
fn a_snapshot_with_any_byte_changed_is_refused() {
    let world = World::project("generic", "");
    private(&world, "pw", CLEAR);
    world.write(
        "a.yaml",
        "accounts: { a: { comment: one, incoming.password: { file: pw } }, b: { protected: true } }\n",
    );
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["snapshot", "--redacted", "--out", "snapshot.json"]);
    let ci = pipeline(&world);
    ci.expect(0, AGAINST);
    let good = read(&ci, "snapshot.json").into_bytes();
    let version = memchr::memmem::find(&good, b"\"format_version\":").unwrap();
    let mut wrong = Vec::new();
    let step = good.len().div_ceil(90);
    // Evenly over the file, and each of the last bytes: a signature is short.
    let places = (0..good.len()).step_by(step).chain(good.len().saturating_sub(40)..good.len());
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 1;
        ci.write("snapshot.json", &bad);
        let run = ci.run(AGAINST);
        // Another number of the format is told as such.
        let near = (version..version + 20).contains(&at);
        if run.code != 4 && !(near && run.code == 5) {
            let context = String::from_utf8_lossy(&bad[at.saturating_sub(20)..(at + 20).min(bad.len())]).into_owned();
            wrong.push(format!("exit {} at {at}: …{context}…", run.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_altered_snapshot_is_refused_with_a_reason() {
    let world = stored();
    let text = read(&world, "snapshot.json");
    let ci = pipeline(&world);
    let show = world.expect(0, &["show", "--format", "json"]).stdout;
    let plan = ci.expect(0, &[AGAINST, &["--format", "json"]].concat()).stdout;
    for (what, altered) in [
        ("a value", text.replace("t@x.jp", "u@x.jp")),
        ("an owner", text.replace("\"branch\"", "\"head-office\"")),
        ("an address", text.replace("account/stranger", "account/strangen")),
        ("cut off", text[..text.len() / 2].to_owned()),
        ("nothing", String::new()),
        ("no JSON", "not a snapshot".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("twice", text.clone() + &text),
        ("something behind", text.clone() + "x"),
        ("what show prints", show),
        ("a plan", plan),
    ] {
        assert_ne!(altered, text, "{what}");
        ci.write("snapshot.json", altered);
        for format in ["text", "json"] {
            let run = ci.run(&[AGAINST, &["--format", format]].concat());
            assert_eq!(run.code, 4, "{what}: {}", said(&run));
            assert!(run.stderr.contains("snapshot.json") && run.stdout.is_empty(), "{what}: {}", said(&run));
        }
    }
    ci.write("snapshot.json", &text);
    ci.expect(0, AGAINST);
}

fn signer(world: &World) -> String {
    world.json(0, AGAINST)["against"]["signer"].as_str().unwrap().to_owned()
}

#[test]
fn only_the_signer_that_is_asked_for_is_believed() {
    let (one, two) = (stored(), stored());
    let (ours, theirs) = (signer(&pipeline(&one)), signer(&pipeline(&two)));
    assert_ne!(ours, theirs, "each store signs with a key of its own");
    one.expect(0, &["snapshot", "--redacted", "--out", "snapshot.json"]);
    let ci = pipeline(&one);
    assert_eq!(signer(&ci), ours, "and always the same");
    ci.expect(0, &[AGAINST, &["--signed-by", &ours]].concat());
    let before = bytes(&ci);
    let run = ci.expect(4, &[AGAINST, &["--signed-by", &theirs]].concat());
    assert!(run.stdout.is_empty() && run.stderr.contains("sign"), "{}", said(&run));
    let forged = World::new();
    for name in ["yubin.yaml", "a.yaml"] {
        forged.write(name, read(&one, name));
    }
    forged.write("snapshot.json", read(&two, "snapshot.json"));
    forged.expect(0, AGAINST);
    forged.expect(4, &[AGAINST, &["--signed-by", &ours]].concat());
    forged.expect(0, &[AGAINST, &["--signed-by", &theirs]].concat());
    // One's name under another's snapshot.
    forged.write("snapshot.json", read(&two, "snapshot.json").replace(&theirs, &ours));
    forged.expect(4, AGAINST);
    forged.expect(4, &[AGAINST, &["--signed-by", &ours]].concat());
    for wrong in ["", "nonsense", &ours[..ours.len() - 1]] {
        let code = ci.run(&[AGAINST, &["--signed-by", wrong]].concat()).code;
        assert!(matches!(code, 4 | 64), "--signed-by {wrong}: {code}");
    }
    assert_eq!(bytes(&ci), before);
}

/// Who approves must see how old the state is that the plan was made against.
#[test]
fn revision_age_and_signer_are_said() {
    let ci = pipeline(&stored());
    let plan = ci.json(0, AGAINST);
    let signer = plan["against"]["signer"].as_str().unwrap();
    for format in ["text", "markdown", "html"] {
        let run = ci.expect(0, &[AGAINST, &["--format", format]].concat());
        let text = said(&run);
        assert!(text.contains("revision 2"), "{format}: {text}");
        assert!(text.contains(&signer[..8]), "{format}: {text}");
        assert!(text.contains("ago") || text.contains("old"), "{format}: {text}");
    }
}

// --- Applied ------------------------------------------------------------------------------

fn proposed() -> (World, World) {
    let world = stored();
    let yaml = BASE.replace("b: { comment: one }", "b: { comment: two }").replace("  c: { comment: one }\n", "");
    world.write("a.yaml", yaml.replace("e1: {}", "e1: {}\n  new: { incoming.password: { env: PW } }"));
    let ci = pipeline(&world);
    ci.expect(0, &[AGAINST, &["--out", "plan.json"]].concat());
    world.write("plan.json", read(&ci, "plan.json"));
    (world, ci)
}

#[test]
fn a_plan_against_a_snapshot_is_applied_to_the_store() {
    let (world, ci) = proposed();
    assert!(ci.expect(0, &["plan", "--show", "plan.json"]).stdout.contains("account/new"));
    // Secrets are fetched then.
    world.expect(3, &["apply", "plan.json"]);
    assert_eq!(revision(&world), 2);
    let receipt = expect_with(&world, 0, ENV, &["apply", "plan.json", "--format", "json"]);
    let receipt: Json = serde_json::from_str(&receipt.stdout).unwrap();
    assert_eq!((&receipt["revision"], revision(&world)), (&json!(3), 3));
    assert_eq!(shown(&world, "account/b"), json!({ "comment": "two" }));
    assert_eq!(shown(&world, "account/new")["incoming.password"]["secret"], true);
    world.expect(1, &["show", "account/c"]);
    assert_eq!(shown(&world, "account/theirs")["comment"], THEIRS);
    expect_with(&world, 0, ENV, &["plan", "--exit-code"]);
    // Once.
    expect_with(&world, 5, ENV, &["apply", "plan.json"]);
    // Where there is no store, there is nothing to apply it to.
    assert_ne!(run_with(&ci, ENV, &["apply", "plan.json"]).code, 0);
    assert!(!ci.file("yubin.db").exists() && !ci.file("yubin.db.key").exists());
}

#[test]
fn a_plan_against_an_old_snapshot_lapses_as_any_other() {
    type Move = (&'static str, fn(&World), i32);
    let moves: [Move; 4] = [
        (
            "a revision",
            |world| {
                let other = sharing(world, "third");
                other.write("c.yaml", "accounts: { third: {} }\n");
                other.expect(0, &["apply", "--yes"]);
            },
            0,
        ),
        ("a comment in a file", |world| world.write("a.yaml", read(world, "a.yaml") + "# later\n"), 0),
        (
            "other software",
            |world| {
                database(world).execute("UPDATE account SET comment = 'x' WHERE name = 'b'", []).unwrap();
            },
            5,
        ),
        ("one more change", |world| world.write("c.yaml", "accounts: { extra: {} }\n"), 5),
    ];
    for (what, moved, rebased) in moves {
        let (world, _ci) = proposed();
        moved(&world);
        let before = revision(&world);
        let run = expect_with(&world, 5, ENV, &["apply", "plan.json"]);
        assert!(!said(&run).is_empty() && revision(&world) == before, "{what}");
        let code = run_with(&world, ENV, &["apply", "plan.json", "--rebase"]).code;
        assert_eq!(code, rebased, "{what}, rebased");
        assert_eq!(revision(&world), if rebased == 0 { before + 1 } else { before }, "{what}");
    }
}

#[test]
fn an_altered_plan_against_a_snapshot_is_refused() {
    let (world, _ci) = proposed();
    let text = read(&world, "plan.json");
    let before = (state(&world), revision(&world));
    let mut without = document(&world, "plan.json");
    without["changes"].as_array_mut().unwrap().pop();
    for (what, altered) in [("a value", text.replace("\"two\"", "\"six\"")), ("a change is gone", without.to_string())]
    {
        assert_ne!(altered, text, "{what}");
        world.write("plan.json", altered);
        expect_with(&world, 4, ENV, &["apply", "plan.json"]);
        assert_eq!((state(&world), revision(&world)), before, "{what}");
    }
}

/// A snapshot of many, and one of nothing.
#[test]
fn snapshots_of_any_size() {
    let world = World::project("generic", "");
    world.write(
        "a.yaml",
        concat(0..2_000, |n| {
            if n == 0 { "accounts:\n  a0000: {}\n".to_owned() } else { format!("  a{n:04}: {{ comment: x }}\n") }
        }),
    );
    world.expect(0, &["apply", "--yes", "-q"]);
    world.expect(0, &["snapshot", "--redacted", "--out", "snapshot.json"]);
    let ci = pipeline(&world);
    ci.expect(0, &[AGAINST, &["--exit-code"]].concat());
    ci.write("a.yaml", "accounts: { a0001: { comment: y }, a0002: { comment: x } }\n");
    assert_eq!(actions(&ci.json(0, AGAINST)), ["overwrite account/a0001"]);
    let world = World::project("generic", "policy: { max_deletes: 9 }\n");
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes"]);
    world.expect(0, &["undo", "1", "--yes"]);
    world.expect(0, &["snapshot", "--redacted", "--out", "snapshot.json"]);
    assert_eq!(actions(&pipeline(&world).json(0, AGAINST)), ["add account/a000"]);
}
