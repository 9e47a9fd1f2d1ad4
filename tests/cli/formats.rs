//! `yubin export`, `yubin import`, and what is generated from the program itself.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::{accounts, actions, catchme, concat, expect_with, keys, mode, private, row, state};
use crate::support::{ODD_TEXTS, World};

fn odd_world() -> World {
    let world = World::project("generic", "");
    let quoted = |text: &str| Json::from(text).to_string();
    let mut yaml = "servers:\n  s: { incoming: { host: i.x.jp, port: 995, protocol: pop3, max_message_size: 5MB }, outgoing: { max_message_size: unlimited } }\naccounts:\n".to_owned();
    for (n, text) in ODD_TEXTS.iter().enumerate() {
        let text = quoted(text);
        writeln!(
            yaml,
            "  a{n}: {{ comment: {text}, signature: {text}, label: {text}, visible: false, capacity: {n} }}"
        )
        .unwrap();
    }
    for (n, text) in [
        "one\ntwo\n",
        "one\n\n\ntwo",
        "\n",
        " lead\n  more\n",
        "x\n\n",
        "a\r\nb",
        "a\rb",
        "\ttab\nx",
        "trail  \nx",
        "- x\n- y\n",
        "#\n",
        "🦀\n受信\n",
    ]
    .iter()
    .enumerate()
    {
        writeln!(yaml, "  m{n}: {{ signature: {0}, auto_reply: {{ body: {0} }} }}", quoted(text)).unwrap();
    }
    yaml +=
        "  list: { forward: { to: [a@x.jp, b@x.jp], enabled: true }, user: taro, server: s }\n  empty: {}\npatterns:\n";
    for text in ["no", "~", "<<", "0123", "a: b", "a b", "受信", "'", "\"", "x#", "#x", "🦀", "a/b", "50%", "a,b", "-"]
    {
        writeln!(yaml, "  {0}: {{ {0}: {{ organization: {0} }} }}", quoted(text)).unwrap();
    }
    world.write("a.yaml", yaml);
    world
}

/// Files that were exported plan nothing: in the place of the old ones, against the same store.
#[test]
fn exported_files_plan_nothing() {
    let world = odd_world();
    world.expect(0, &["apply", "--yes"]);
    let unchanged = world.json(0, &["plan"])["summary"]["unchanged"].clone();
    let before = state(&world);
    let yaml = world.expect(0, &["export", "yaml"]).stdout;
    let csv = world.expect(0, &["export", "csv"]).stdout;
    let json = world.expect(0, &["export", "json"]).stdout;
    world.remove("a.yaml");
    world.write("e.yaml", &yaml);
    let plan = world.json(0, &["plan", "--strict"]);
    assert_eq!(plan["changes"], json!([]));
    assert_eq!(plan["summary"]["unchanged"], unchanged);
    world.remove("e.yaml");
    world.write("e.csv", &csv);
    let plan = world.json(0, &["plan", "--strict"]);
    assert_eq!(plan["changes"], json!([]));
    assert_eq!(plan["summary"]["unchanged"], unchanged);
    world.remove("e.csv");
    world.write("out/e.json", &json);
    let imported = world.expect(0, &["import", "json", "out/e.json"]).stdout;
    assert_eq!(imported, yaml);
    for (format, file, text) in [("yaml", "out/e.yaml", &yaml), ("csv", "out/e.csv", &csv)] {
        world.write(file, text);
        assert_eq!(world.expect(0, &["import", format, file]).stdout, yaml, "{format}");
        world.remove(file);
    }
    // A new store gets the same from them.
    for text in [&yaml, &imported] {
        let other = World::project("generic", "");
        other.write("e.yaml", text);
        other.expect(0, &["apply", "--yes"]);
        assert_eq!(state(&other), before);
        assert_eq!(other.expect(0, &["export", "yaml"]).stdout, yaml);
        assert_eq!(other.expect(0, &["export", "csv"]).stdout, csv);
    }
    let other = World::project("generic", "");
    other.write("e.csv", &csv);
    other.expect(0, &["apply", "--yes"]);
    assert_eq!(state(&other), before);
}

/// A world of one account with this comment; each way out of it, and whether it still plans
/// nothing when it is the only source.
fn ways_that_change(comment: &str) -> Vec<String> {
    let escaped = concat(comment.chars(), |c| format!("\\U{:08x}", u32::from(c)));
    let world = World::project("generic", "sources: [in.yaml]\n");
    world.write("in.yaml", format!("accounts: {{ a: {{ comment: \"{escaped}\", signature: \"{escaped}\\n\" }} }}\n"));
    world.expect(0, &["apply", "--yes", "-q"]);
    let mut changed = Vec::new();
    if super::shown(&world, "account/a")["comment"] != comment {
        changed.push("show --format json".to_owned());
    }
    for format in ["yaml", "csv", "json"] {
        for out in [false, true] {
            let args = [&["export", format][..], if out { &["--out", "x"] } else { &[] }].concat();
            let printed = world.expect(0, &args).stdout;
            let text = if out { std::fs::read_to_string(world.file("x")).unwrap() } else { printed };
            world.write("e", text);
            let imported = world.run(&["import", format, "e", "--out", "i"]);
            let source = if format == "json" { "i" } else { "e" };
            let read_as = if format == "csv" { "csv" } else { "yaml" };
            let sources =
                format!("version: 1\nname: head-office\nsources: [{{ path: {source}, format: {read_as} }}]\n");
            let project = World::copy_of(world.path());
            project.write("yubin.yaml", sources);
            if imported.code != 0 || project.run(&["plan", "--exit-code", "-q"]).code != 0 {
                changed.push(format!("{}: {}", args.join(" "), imported.stderr.lines().next().unwrap_or_default()));
            }
        }
    }
    changed
}

/// Line separators of Unicode are characters like others.
#[test]
fn unicode_line_separators_survive_every_format() {
    for text in ["a\u{2028}b", "a\u{2029}b", "a\u{85}b", "\u{2028}", "x\u{2028}\u{2028}y z"] {
        assert_eq!(ways_that_change(text), [""; 0], "{text:?}");
    }
}

/// A field that is `null` although the server brings a value has none, in what is exported, too.
#[test]
fn an_export_does_not_bring_back_what_was_taken_from_a_server() {
    let mut changed = Vec::new();
    for format in ["yaml", "json", "csv"] {
        let world = World::project("generic", "sources: [e.yaml, e.csv]\n");
        world.write("e.csv", "");
        world.write(
            "e.yaml",
            "servers: { s: { incoming: { host: x.jp, security: none } } }\naccounts: { a: { server: s, incoming: { security: null } } }\n",
        );
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(super::shown(&world, "account/a"), json!({ "server": "s", "incoming.host": "x.jp" }));
        let text = world.expect(0, &["export", format]).stdout;
        world.write("e.yaml", "");
        match format {
            "csv" => world.write("e.csv", text),
            "yaml" => world.write("e.yaml", text),
            _ => {
                world.write("e.json", text);
                world.write("e.yaml", world.expect(0, &["import", "json", "e.json"]).stdout);
            }
        }
        if world.json(0, &["plan"])["changes"] != json!([]) {
            changed.push(format);
        }
    }
    assert_eq!(changed, [""; 0]);
}

/// What would move a cursor is data in data.
#[test]
fn control_characters_survive_every_format() {
    let texts = ["x\u{7f}y", "\u{1b}[2Jx", "x\u{1b}]0;t\u{7}y", "\u{8}x", "\u{9b}x", "a\rb", "\r", "x\u{b}y"];
    let changed: Vec<String> = texts
        .iter()
        .flat_map(|text| ways_that_change(text).into_iter().map(move |way| format!("{text:?} by {way}")))
        .collect();
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

#[test]
fn an_export_leaves_secrets_out_and_goes_to_stdout_or_a_file() {
    let world = World::project("generic", "");
    private(&world, "pw", "hidden treasure");
    world.write("a.yaml", "accounts: { a: { comment: x, password: { file: pw } } }\nservers: { s: { outgoing: { auth: { password: { file: pw } } } } }\n");
    world.expect(0, &["apply", "--yes"]);
    for format in ["yaml", "csv", "json"] {
        let text = world.expect(0, &["export", format]).stdout;
        assert!(!text.contains("password") && !text.contains("secret"), "{text}");
        let run = world.expect(0, &["export", format, "--out", "e.txt"]);
        assert_eq!(run.stdout, "");
        assert_eq!(std::fs::read_to_string(world.file("e.txt")).unwrap(), text);
    }
    assert_eq!(world.expect(0, &["export", "yaml"]).stdout, "servers:\n  s: {}\naccounts:\n  a:\n    comment: x\n");
    assert_eq!(
        world.expect(0, &["export", "csv"]).stdout.replace('\r', ""),
        "kind,user,name,comment\nserver,,s,\naccount,,a,x\n"
    );
    let json: Json = serde_json::from_str(&world.expect(0, &["export", "json"]).stdout).unwrap();
    assert_eq!(keys(&json), ["format_version", "revision", "resources"]);
    assert_eq!(json["resources"][0]["fields"], json!({ "comment": "x" }));
}

#[test]
fn an_export_is_of_what_the_project_owns() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..1, "x"));
    world.expect(0, &["apply", "--yes"]);
    super::database(&world).execute("INSERT INTO account (name) VALUES ('free')", []).unwrap();
    assert!(!world.expect(0, &["export", "yaml"]).stdout.contains("free"));
    assert!(world.expect(0, &["export", "yaml", "--all"]).stdout.contains("free"));
    // An empty store exports as nothing.
    for format in ["yaml", "csv", "json"] {
        World::project("generic", "").expect(0, &["export", format]);
    }
}

fn exported(world: &World, args: &[&str]) -> Vec<u8> {
    let run = world.expect(0, &[&["export", "catchme-mail", "--out", "out.csv"], args].concat());
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("0600") && run.stderr.contains("clear"), "{}", run.stderr);
    assert_eq!(mode(world, "out.csv"), 0o600);
    std::fs::read(world.file("out.csv")).unwrap()
}

fn catchme_world() -> World {
    let world = catchme("");
    let full = "sabro,パターン2,send2,smtp.xxx.jp,587,受信,imap.xxx.jp,993,taro2@xxx.jp,0,taro2,${env:PW},,,\"山田, 太郎\",\"営業\"\"部\"\"\",r@xxx.jp,\"a@xxx.jp, b@xxx.jp\",1,1,1,1,auth,${file:pw},INBOX/x,\n";
    let pop = "jiro,p,s,smtp.xxx.jp,,r,pop.xxx.jp,,j@xxx.jp,1,jiro,${env:PW},1,30,\"two\nlines\",,,,,,,,,,,受信箱/p\n";
    world.write("people.csv", row("taro", "p1") + full + pop);
    expect_with(&world, 0, &[("PW", "0987,\"65")], &["apply", "--yes"]);
    world
}

/// AMB-A2, A-R6, A-R9: all ○ columns always, `0` for a flag that is off, CR LF, quotes as needed.
#[test]
fn the_catchme_mail_file() {
    let world = catchme_world();
    let text = String::from_utf8(exported(&world, &[])).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines,
        [
            "jiro,p,s,smtp.xxx.jp,25,r,pop.xxx.jp,110,j@xxx.jp,1,jiro,\"0987,\"\"65\",1,30,\"two\nlines\",,,,0,0,0,0,,,,受信箱/p",
            "sabro,パターン2,send2,smtp.xxx.jp,587,受信,imap.xxx.jp,993,taro2@xxx.jp,0,taro2,\"0987,\"\"65\",,,\"山田, 太郎\",\"営業\"\"部\"\"\",r@xxx.jp,\"a@xxx.jp, b@xxx.jp\",1,1,1,1,auth,open sesame,INBOX/x,",
            "taro,p1,send,smtp.xxx.jp,25,recv,pop.xxx.jp,110,taro@xxx.jp,1,taro,open sesame,0,,,,,,0,0,0,0,,,,",
            "",
        ]
    );
    // It is never printed.
    let run = world.expect(64, &["export", "catchme-mail"]);
    assert!(run.stdout.is_empty() && run.stderr.contains("--out"), "{}", run.stderr);
}

#[test]
fn an_exported_catchme_mail_file_plans_nothing() {
    for (label, policy) in [("utf-8", "utf-8"), ("shift_jis", "shift_jis"), ("euc-jp", "EUC-JP")] {
        let world = catchme_world();
        let before = state(&world);
        exported(&world, &["--encoding", label]);
        world.remove("people.csv");
        let project = std::fs::read_to_string(world.file("yubin.yaml")).unwrap();
        let sources = format!("sources: [{{ path: out.csv, format: catchme-mail, encoding: {policy} }}]\n");
        world.write("yubin.yaml", project.clone() + &sources + "policy: { plaintext_secrets: allow }\n");
        let plan = world.json(0, &["plan", "--strict"]);
        assert_eq!(plan["changes"], json!([]), "{label}");
        assert_eq!(plan["summary"]["unchanged"], 3);
        // Another store takes the same from it.
        let run = world.run(&["--store", "sqlite:other.db", "apply", "--yes"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let mut other = world.json(0, &["--store", "sqlite:other.db", "show"])["resources"].take();
        for one in other.as_array_mut().unwrap() {
            one.as_object_mut().unwrap().remove("revision");
        }
        assert_eq!(other, before);
    }
    // What the encoding cannot hold is refused, not replaced.
    let world = catchme("");
    world.write("people.csv", row("taro", "🦀"));
    world.expect(0, &["apply", "--yes"]);
    world.expect(3, &["export", "catchme-mail", "--out", "out.csv", "--encoding", "shift_jis"]);
    assert!(!world.file("out.csv").exists());
    world.expect(64, &["export", "catchme-mail", "--out", "out.csv", "--encoding", "klingon"]);
}

#[test]
fn what_catchme_mail_cannot_hold_is_not_exported() {
    let world = World::project("generic", "");
    world.write("a.yaml", "accounts: { a: {} }\npatterns: { u: { p: { incoming: { security: starttls } } } }\n");
    world.expect(0, &["apply", "--yes"]);
    let run = world.expect(3, &["export", "catchme-mail", "--out", "out.csv"]);
    for word in ["account/a", "pattern/u/p", "incoming.security", "outgoing.host"] {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
    assert!(!world.file("out.csv").exists());
}

/// The names in `env: NAME`, however it is laid out.
fn variables_in(yaml: &str) -> Vec<&str> {
    let name =
        |text: &'_ str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default().len();
    yaml.split("env: ").skip(1).map(|text| &text[..name(text)]).collect()
}

/// The exported file of a product becomes YAML with references in the place of passwords; with
/// the variables set, it plans nothing.
#[test]
fn an_import_of_an_exported_catchme_mail_file_plans_nothing() {
    let world = catchme_world();
    exported(&world, &[]);
    world.remove("people.csv");
    let run = world.expect(0, &["import", "catchme-mail", "out.csv"]);
    assert!(!run.stdout.contains("0987") && !run.stdout.contains("sesame"), "{}", run.stdout);
    assert!(!run.stderr.contains("0987") && !run.stderr.contains("sesame"), "{}", run.stderr);
    world.remove("out.csv");
    world.write("a.yaml", &run.stdout);
    let mut variables: Vec<(&str, &str)> = Vec::new();
    for name in variables_in(&run.stdout) {
        variables
            .push((name, if name.contains("OUTGOING") || name.contains("TARO") { "open sesame" } else { "0987,\"65" }));
    }
    assert_eq!(variables.len(), 4);
    let run = expect_with(&world, 0, &variables, &["plan", "--strict", "--format", "json"]);
    let plan: Json = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(plan["changes"], json!([]));
    assert_eq!(plan["summary"]["unchanged"], 3);
    // Without the variables it says which is missing.
    let run = world.expect(3, &["plan"]);
    assert!(run.stderr.contains(variables[0].0), "{}", run.stderr);
}

#[test]
fn an_import_keeps_references_and_invents_distinct_names() {
    let world = World::new();
    world.write(
        "in.yaml",
        "accounts:
  a-b: { password: clear1, incoming: { password: { env: MINE } } }
  a.b: { password: 'clear2' }
  a_b: { password: 098765 }
  受信: { password: { file: secrets/x } }
  gone: { absent: true }
",
    );
    let run = world.expect(0, &["import", "yaml", "in.yaml"]);
    for clear in ["clear1", "clear2", "98765"] {
        assert!(!run.stdout.contains(clear) && !run.stderr.contains(clear), "{}", run.stdout);
    }
    let mut names = variables_in(&run.stdout);
    assert_eq!(names.len(), 4);
    assert!(names.contains(&"MINE"), "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4, "two passwords under one name: {names:?}");
    assert!(run.stdout.contains("secrets/x") && run.stdout.contains("absent: true"), "{}", run.stdout);
    // It reads as it was meant.
    world.write("yubin.yaml", "version: 1\nname: x\nsources: [out.yaml]\n");
    world.write("out.yaml", &run.stdout);
    world.expect(0, &["check", "--strict"]);
    world.expect(0, &["import", "yaml", "in.yaml", "--out", "out2.yaml"]);
    assert_eq!(std::fs::read_to_string(world.file("out2.yaml")).unwrap(), run.stdout);
}

#[test]
fn an_import_says_what_is_wrong_and_where() {
    let world = World::new();
    world.write("a.csv", "sabro,pattern2,send2,smtp.xxx.jp,,recv2,pop.xxx.jp,,taro2@xxx.jp,1,taro2,passwd,,,,,,,,1,1,authaccount,authpasswd,,受信箱/pattern2\n");
    let run = world.expect(3, &["import", "catchme-mail", "a.csv"]);
    assert!(
        run.stdout.is_empty() && run.stderr.contains("column-shift") && run.stderr.contains("a.csv:1:"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("authpasswd"), "{}", run.stderr);
    let json = world.json(3, &["import", "catchme-mail", "a.csv"]);
    assert_eq!(json["diagnostics"][0]["code"], "catchme-mail/column-shift");
    world.expect(1, &["import", "catchme-mail", "missing.csv"]);
    world.expect(64, &["import", "catchme-mail", "a.csv", "--encoding", "klingon"]);
    world.write("two.csv", "taro,p1\ntaro,p1\n");
    assert_eq!(world.json(3, &["import", "catchme-mail", "two.csv"])["diagnostics"][0]["code"], "resource/duplicate");
    world.write("bad.json", "{\"resources\": [{\"kind\": \"mailbox\"}]}");
    world.expect(3, &["import", "json", "bad.json"]);
    world.write("not.json", "{");
    world.expect(3, &["import", "json", "not.json"]);
}

#[test]
fn an_import_reads_encodings_and_several_files() {
    let world = World::new();
    let (cp932, _, _) =
        encoding_rs::SHIFT_JIS.encode("太郎,表示①,送信,smtp.xxx.jp,,受信,pop.xxx.jp,,t@xxx.jp,1,t,${env:A}\r\n");
    world.write("a.csv", &cp932);
    world.write("b.csv", &cp932);
    let run = world.expect(3, &["import", "catchme-mail", "a.csv"]);
    assert!(run.stderr.contains("shift_jis"), "{}", run.stderr);
    let run = world.expect(0, &["import", "catchme-mail", "a.csv", "--encoding", "shift_jis"]);
    assert!(run.stdout.contains("表示①") && run.stdout.contains("太郎"), "{}", run.stdout);
    world.expect(3, &["import", "catchme-mail", "a.csv", "b.csv", "--encoding", "shift_jis"]);
    world.write("s.csv", "name,incoming.host\ns,i.x.jp\n");
    let run = world.expect(0, &["import", "csv", "s.csv", "--kind", "server"]);
    assert_eq!(run.stdout, "servers:\n  s:\n    incoming:\n      host: i.x.jp\n");
    world.expect(64, &["import", "csv", "s.csv", "--kind", "mailbox"]);
}

#[test]
fn explain_names_the_source_of_every_rule() {
    let world = World::new();
    let explained = world.json(0, &["explain", "catchme-mail"]);
    assert_eq!(keys(&explained)[0], "format_version");
    let fields = explained["fields"].as_array().unwrap();
    for field in fields {
        for key in ["field", "observable", "required", "default", "values", "source", "verified"] {
            assert!(keys(field).contains(&key), "{key}: {field}");
        }
        assert!(field["source"].as_str().unwrap().starts_with("000:"), "{field}");
    }
    let of = |name: &str| fields.iter().find(|field| field["field"] == name).unwrap();
    assert_eq!(of("outgoing.host")["required"], true);
    assert_eq!(of("outgoing.port")["default"], 25);
    assert_eq!(of("outgoing.port")["verified"], false);
    assert_eq!(of("save_sent")["default"], false);
    assert_eq!(of("incoming.protocol")["values"], json!(["imap", "pop3"]));
    let required: Vec<&str> =
        fields.iter().filter(|field| field["required"] == true).map(|field| field["field"].as_str().unwrap()).collect();
    let mut sorted = required.clone();
    sorted.sort_unstable();
    // ○ of 000:12-59, without the key.
    assert_eq!(
        sorted,
        [
            "address",
            "incoming.host",
            "incoming.label",
            "incoming.password",
            "incoming.protocol",
            "incoming.username",
            "outgoing.host",
            "outgoing.label"
        ]
    );
    let text = world.expect(0, &["explain", "catchme-mail"]).stdout;
    for word in ["送信サーバ名", "000:23", "required when it is added", "A-R4", "000:128"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // A field in every system.
    let text = world.expect(0, &["explain", "outgoing.port"]).stdout;
    assert!(text.contains("generic") && text.contains("catchme-mail"), "{text}");
    let text = world.expect(0, &["explain", "outgoing.auth.mechanism", "catchme-mail"]).stdout;
    assert!(text.contains("auto"), "{text}");
    let run = world.expect(64, &["explain", "outgoing.prot"]);
    assert!(run.stderr.contains("outgoing.port"), "{}", run.stderr);
    for system in yubin::system::ALL {
        world.expect(0, &["explain", system.name]);
        world.json(0, &["explain", system.name]);
    }
}

#[test]
fn generated_things_print_and_are_written() {
    let world = World::new();
    let schemas: Json = serde_json::from_str(&world.expect(0, &["schema"]).stdout).unwrap();
    world.expect(0, &["schema", "--out", "s"]);
    for (name, schema) in schemas.as_object().unwrap() {
        let written: Json = serde_json::from_slice(&std::fs::read(world.file("s").join(name)).unwrap()).unwrap();
        assert_eq!(&written, schema, "{name}");
    }
    assert!(schemas.get("yubin.schema.json").is_some() && schemas.get("catchme-mail.schema.json").is_some());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = world.expect(0, &["completions", shell]).stdout;
        assert!(text.contains("yubin") && text.contains("export"), "{shell}");
    }
    assert!(world.expect(0, &["man"]).stdout.contains(".TH yubin"));
    world.expect(0, &["man", "--out", "man"]);
    for page in ["yubin.1", "yubin-plan.1", "yubin-apply.1", "yubin-export.1"] {
        assert!(world.file("man").join(page).is_file(), "{page}");
    }
}

#[test]
fn check_says_how_much_it_has_read() {
    let world = World::project("generic", "");
    world.write("a.yaml", accounts(0..3, "x"));
    world.write("b.csv", "name\nx\n");
    let run = world.expect(0, &["check"]);
    assert_eq!(run.stdout, "no problems in 2 files, 4 resources\n");
    assert_eq!(world.json(0, &["check"]), json!({ "format_version": 1, "diagnostics": [] }));
    assert_eq!(actions(&world.json(0, &["plan"])).len(), 4);
    // It does not ask for secrets, and looks at no store.
    world.write("c.yaml", "accounts: { s: { password: { env: NOT_SET } } }\n");
    world.write("yubin.db", "broken");
    world.expect(0, &["check"]);
}
