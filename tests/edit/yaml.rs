use yubin::format::edit::Notation;
use yubin::model::Value;

use super::{NOTHING, check, check_refused, list, remove, set, text};

const YAML: Notation = Notation::Yaml;

/// `account/info`, whose fields are these lines.
#[track_caller]
fn check_fields(before: &str, field: &str, value: impl Into<Option<Value>>, after: &str) {
    let file = |fields: &str| format!("accounts:\n  # above\n  info:{fields}\n  # below\n  zeta:\n    comment: z\n");
    check(YAML, &file(before), &[set("account/info", field, value)], &file(after));
}

fn port(port: i64) -> Value {
    Value::Int(port)
}

#[test]
fn a_value_keeps_its_style() {
    for (before, after) in [
        (" { comment: old, capacity: 5 } # c", " { comment: new, capacity: 5 } # c"),
        (" {comment: 'old'}", " {comment: 'new'}"),
        (" { \"comment\": \"old\" }", " { \"comment\": \"new\" }"),
        ("\n    comment:   old   # c", "\n    comment:   new   # c"),
        ("\n    comment: 'old' # c", "\n    comment: 'new' # c"),
        ("\n    comment: \"o\\\"ld\" # c", "\n    comment: \"new\" # c"),
        ("\n    comment:\n      old # c", "\n    comment:\n      new # c"),
        ("\n    comment: old\n      and older # c", "\n    comment: new # c"),
        ("\n    comment: &x old # c", "\n    comment: &x new # c"),
        ("\n    comment: # c\n    capacity: 5", "\n    comment: new # c\n    capacity: 5"),
        ("\n    comment: null # c", "\n    comment: new # c"),
        ("\n    comment: ~", "\n    comment: new"),
        (" { comment }", " { comment: new }"),
        (" { comment: , capacity: 5 }", " { comment: new, capacity: 5 }"),
        (
            "\n    comment: |  # c\n      old\n\n      older\n\n    capacity: 5",
            "\n    comment: |-  # c\n      new\n\n    capacity: 5",
        ),
        (
            "\n    comment: >-\n       old\n       older\n    # c\n    capacity: 5",
            "\n    comment: >-\n       new\n    # c\n    capacity: 5",
        ),
        ("\n    comment: |2\n        old\n", "\n    comment: |-\n      new\n"),
    ] {
        check_fields(before, "comment", text("new"), after);
    }
}

#[test]
fn what_a_value_needs_is_quoted() {
    let block = |value: &str| format!("\n    comment: {value}\n    capacity: 5");
    let flow = |value: &str| format!(" {{ comment: {value}, capacity: 5 }}");
    for (value, in_block, in_flow) in [
        ("a,b", "a,b", "'a,b'"),
        ("[x]", "'[x]'", "'[x]'"),
        ("a}", "a}", "'a}'"),
        ("it's", "it's", "it's"),
        ("no", "no", "no"),
        ("0123", "'0123'", "'0123'"),
        ("null", "'null'", "'null'"),
        ("", "''", "''"),
        ("x: y", "'x: y'", "'x: y'"),
        ("x #y", "'x #y'", "'x #y'"),
        ("tab\tx", "\"tab\\tx\"", "\"tab\\tx\""),
        ("a\u{2028}b", "\"a\\u2028b\"", "\"a\\u2028b\""),
        ("受信箱", "受信箱", "受信箱"),
    ] {
        check_fields(&block("old"), "comment", text(value), &block(in_block));
        check_fields(&flow("old"), "comment", text(value), &flow(in_flow));
    }
    check_fields(&block("'old'"), "comment", text("it's"), &block("'it''s'"));
    check_fields(&block("'old'"), "comment", text("a\tb"), &block("\"a\\tb\""));
    check_fields(&block("\"old\""), "comment", text("受 \\"), &block("\"受 \\\\\""));
    check_fields(&block("old"), "capacity", port(7), &block("old").replace('5', "7"));
    check_fields(&block("old"), "comment", NOTHING, &block("null"));
    check_fields(&block("'old'"), "comment", NOTHING, &block("null"));
}

#[test]
fn lines_stand_in_a_block_where_one_may_stand() {
    let field = "auto_reply.body";
    let body = |value: &str| format!("\n    auto_reply:\n      enabled: true\n      body: {value}\n    visible: true");
    let two = text("one\ntwo\n");
    check_fields(&body("old # c"), field, two.clone(), &body("| # c\n        one\n        two"));
    check_fields(&body("'old'"), field, two.clone(), &body("\"one\\ntwo\\n\""));
    check_fields(&body("|-\n          old"), field, two.clone(), &body("|\n          one\n          two"));
    check_fields(
        &body("|\n        old\n\n        older\n        # no comment"),
        field,
        text("a\n\n b"),
        &body("|-\n        a\n\n         b"),
    );
    check_fields(&body(">\n        old"), field, two.clone(), &body(">\n        one\n\n        two"));
    check_fields(&body(">-\n        old"), field, text("a\n\n\nb"), &body(">-\n        a\n\n\n\n        b"));
    check_fields(&body(">-\n        old"), field, text("a\n b"), &body("|-\n        a\n         b"));
    check_fields(&body("|+\n        old\n\n"), field, text("new\n"), &body("|\n        new"));
    check_fields(&body("|\n        old"), field, text(" lead\n"), &body("|2\n         lead"));
    check_fields(&body("|\n        old"), field, text("x\n\n"), &body("\"x\\n\\n\""));
    check_fields(&body("|\n        old"), field, text("\n"), &body("\"\\n\""));
    check_fields(&body("|\n        old"), field, text("a\r\nb"), &body("\"a\\r\\nb\""));
    check_fields(&body("|\n        old"), field, NOTHING, &body("null"));
    check_fields(&body("| # c"), field, two.clone(), &body("| # c\n        one\n        two"));
    check_fields(" { auto_reply.body: old }", field, two.clone(), " { auto_reply.body: \"one\\ntwo\\n\" }");
    check_fields(&body("old").replace("\n      body: old", ""), field, two, &body("|\n        one\n        two"));
}

#[test]
fn a_field_is_found_however_it_is_written() {
    for (before, after) in [
        (" { incoming: { port: 1 } }", " { incoming: { port: 110 } }"),
        (" { incoming.port: 1 }", " { incoming.port: 110 }"),
        ("\n    incoming:\n      host: x.jp\n      port: 1", "\n    incoming:\n      host: x.jp\n      port: 110"),
        ("\n    incoming.port: 1 # c", "\n    incoming.port: 110 # c"),
        ("\n    \"incoming\":\n        'port': 1 # c", "\n    \"incoming\":\n        'port': 110 # c"),
        ("\n    incoming: {\n      port: 1, # c\n    }", "\n    incoming: {\n      port: 110, # c\n    }"),
    ] {
        check_fields(before, "incoming.port", port(110), after);
    }
    let deep = "\n    outgoing:\n      auth.enabled: false\n    outgoing.auth:\n      username: x";
    check_fields(deep, "outgoing.auth.enabled", Value::Bool(true), &deep.replace("false", "true"));
    check_fields(deep, "outgoing.auth.username", text("y"), &deep.replace(": x", ": y"));
}

#[test]
fn a_new_field_is_written_as_its_neighbours_are() {
    for (before, after) in [
        ("", "\n    incoming:\n      port: 110"),
        (" # c", " # c\n    incoming:\n      port: 110"),
        (" {}", " { incoming: { port: 110 } }"),
        (" ~", " { incoming: { port: 110 } }"),
        (" { comment: x }", " { comment: x, incoming: { port: 110 } }"),
        (" { outgoing.port: 25 }", " { outgoing.port: 25, incoming.port: 110 }"),
        (" { incoming: {} }", " { incoming: { port: 110 } }"),
        (" { incoming: { host: x.jp, username: u } }", " { incoming: { host: x.jp, port: 110, username: u } }"),
        (" { \"comment\": \"x\" }", " { \"comment\": \"x\", \"incoming\": { \"port\": 110 } }"),
        ("\n    comment: x # c", "\n    comment: x # c\n    incoming:\n      port: 110"),
        (
            "\n    outgoing.port: 25\n    visible: true",
            "\n    outgoing.port: 25\n    visible: true\n    incoming.port: 110",
        ),
        (
            "\n    incoming:\n      host: x.jp # c\n      # c2\n      username: x",
            "\n    incoming:\n      host: x.jp # c\n      port: 110\n      # c2\n      username: x",
        ),
        (
            "\n      incoming:\n          host: x.jp\n            # deep\n      visible: true",
            "\n      incoming:\n          host: x.jp\n            # deep\n          port: 110\n      visible: true",
        ),
        ("\n    outgoing: { port: 25 }", "\n    outgoing: { port: 25 }\n    incoming: { port: 110 }"),
        (
            "\n    incoming: { host: x.jp }\n    outgoing:\n      port: 25",
            "\n    incoming: { host: x.jp, port: 110 }\n    outgoing:\n      port: 25",
        ),
        (
            "\n    comment: |+\n      x\n\n    outgoing.port: 25",
            "\n    comment: |+\n      x\n\n    incoming.port: 110\n    outgoing.port: 25",
        ),
        (
            "\n    comment: |\n      x\n\n    outgoing.port: 25",
            "\n    comment: |\n      x\n    incoming.port: 110\n\n    outgoing.port: 25",
        ),
        (
            " {\n    comment: x, # c\n    address: a@x.jp # d\n  }",
            " {\n    comment: x, # c\n    incoming: { port: 110 },\n    address: a@x.jp # d\n  }",
        ),
        (" {\n    address: a@x.jp # d\n  }", " {\n    address: a@x.jp, # d\n    incoming: { port: 110 }\n  }"),
    ] {
        check_fields(before, "incoming.port", port(110), after);
    }
    check(
        YAML,
        "accounts:\n  info:",
        &[set("account/info", "comment", text("x"))],
        "accounts:\n  info:\n    comment: x",
    );
    check(
        YAML,
        "accounts:\n  info:\n  sales: { comment: x }\n",
        &[set("account/info", "comment", text("x"))],
        "accounts:\n  info: { comment: x }\n  sales: { comment: x }\n",
    );
    check(
        YAML,
        "patterns: { taro: { p1: , p2: { address: a@x.jp } } }\n",
        &[set("pattern/taro/p1", "incoming.port", port(1)), set("pattern/taro/p1", "incoming.host", text("h"))],
        "patterns: { taro: { p1: { incoming: { port: 1, host: h } }, p2: { address: a@x.jp } } }\n",
    );
}

#[test]
fn several_fields_of_a_group_share_it() {
    check(
        YAML,
        "accounts:\n  info:\n",
        &[
            set("account/info", "incoming.host", text("h.jp")),
            set("account/info", "incoming.port", port(1)),
            set("account/info", "outgoing.auth.username", text("u")),
            set("account/info", "outgoing.auth.enabled", Value::Bool(true)),
            set("account/info", "comment", text("c")),
        ],
        "accounts:\n  info:\n    incoming:\n      host: h.jp\n      port: 1\n    outgoing:\n      auth:\n        \
         username: u\n        enabled: true\n    comment: c\n",
    );
}

#[test]
fn what_comes_from_elsewhere_is_not_edited_there() {
    let address = "account/info";
    for (before, after) in [
        (
            "defaults: { accounts: { incoming: { port: 1 } } }\naccounts:\n  info:\n    comment: x\n  b:\n",
            "defaults: { accounts: { incoming: { port: 1 } } }\naccounts:\n  info:\n    comment: x\n    incoming:\n      port: 110\n  b:\n",
        ),
        (
            "accounts:\n  a: &a { incoming: { host: h, port: 1 } }\n  info: *a\n",
            "accounts:\n  a: &a { incoming: { host: h, port: 1 } }\n  info: { <<: *a, incoming: { host: h, port: 110 } }\n",
        ),
        (
            "accounts:\n  a: &a { incoming.host: h, incoming.port: 1 }\n  info: *a\n",
            "accounts:\n  a: &a { incoming.host: h, incoming.port: 1 }\n  info: { <<: *a, incoming.port: 110 }\n",
        ),
        (
            "accounts:\n  a:\n    incoming: &in { host: h, port: 1 }\n  info:\n    incoming: *in # c\n",
            "accounts:\n  a:\n    incoming: &in { host: h, port: 1 }\n  info:\n    incoming: { <<: *in, port: 110 } # c\n",
        ),
        (
            "accounts:\n  a:\n    incoming: { port: &p 1 }\n  info:\n    incoming: { port: *p }\n",
            "accounts:\n  a:\n    incoming: { port: &p 1 }\n  info:\n    incoming: { port: 110 }\n",
        ),
        (
            "accounts:\n  a: &a\n    incoming:\n      host: h\n      port: 1\n  info:\n    <<: *a\n    comment: x\n",
            "accounts:\n  a: &a\n    incoming:\n      host: h\n      port: 1\n  info:\n    <<: *a\n    comment: x\n    incoming:\n      host: h\n      port: 110\n",
        ),
        (
            "accounts:\n  a: &a\n    incoming:\n      host: h\n  info:\n    <<: *a\n    comment: x\n",
            "accounts:\n  a: &a\n    incoming:\n      host: h\n  info:\n    <<: *a\n    comment: x\n    incoming.port: 110\n",
        ),
        (
            "accounts:\n  info:\n    server: s\n    comment: x\n",
            "accounts:\n  info:\n    server: s\n    comment: x\n    incoming:\n      port: 110\n",
        ),
    ] {
        check(YAML, before, &[set(address, "incoming.port", port(110))], after);
    }
    // A server may bring a value where there is none.
    check(
        YAML,
        "accounts:\n  info: { server: s }\n",
        &[set(address, "incoming.port", NOTHING)],
        "accounts:\n  info: { server: s, incoming: { port: null } }\n",
    );
    check(YAML, "accounts:\n  info: {}\n", &[set(address, "comment", NOTHING)], "accounts:\n  info: {}\n");
    let origin =
        "accounts:\n  info: &a { comment: x }\n  b: { <<: *a }\n  c: { comment: &c y }\n  d: { comment: *c }\n";
    check_refused(YAML, origin, &set(address, "comment", text("y")), "`account/b` would change");
    check_refused(YAML, origin, &set(address, "address", text("y@x")), "`account/b` would change");
    check_refused(YAML, origin, &set("account/c", "comment", text("z")), "`account/d` would change");
    check_refused(YAML, origin, &remove(address), "could not be read");
    let merged = "defaults:\n  accounts: &d { b: {} }\naccounts:\n  <<: *d\n";
    check_refused(YAML, merged, &set("account/b", "comment", text("z")), "mistakes");
    let merged = "servers: &d { b: {} }\naccounts:\n  <<: *d\n";
    check_refused(YAML, merged, &set("account/b", "comment", text("z")), "alias or a merge");
}

#[test]
fn lists_keep_their_form() {
    let field = "forward.to";
    for (before, wanted, after) in [
        (" [a, b]", &["a", "c", "b"][..], " [a, c, b]"),
        (" [ a, 'b' ] # c", &["b"], " [ 'b' ] # c"),
        (" [\"a\", \"b\"]", &["x"], " [\"x\"]"),
        (" []", &["a", "b"], " [a, b]"),
        (" null # c", &["a,b"], " ['a,b'] # c"),
        ("", &["a"], " [a]"),
        (" [a]", &[], " []"),
        ("\n      - a # one\n      - 'b' # two", &["b", "c"], "\n      - 'b' # two\n      - c"),
        (
            "\n      - a # one\n      # of b\n      - b # two",
            &["a", "x"],
            "\n      - a # one\n      # of b\n      - x # two",
        ),
        (
            "\n    - a # one\n    # of b\n    - b\n    - c",
            &["z", "a", "c"],
            "\n    - z\n    - a # one\n    # of b\n    - c",
        ),
        (" # key\n      - a\n      - b # last", &[], " [] # key"),
        (
            " [\n      a, # one\n      b # two\n    ] # c",
            &["a", "b", "c"],
            " [\n      a, # one\n      b, # two\n      c,\n    ] # c",
        ),
        (" [\n      a, # one\n      b, # two\n    ]", &["b"], " [\n      b, # two\n    ]"),
        (" [a,\n      b]", &["b"], " [b]"),
    ] {
        let wanted: Vec<String> = wanted.iter().map(|item| format!("{item}@x.jp")).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let full = |text: &str| {
            let mut full = text.to_owned();
            for item in ["a", "b", "c", "x", "z", "a,b"] {
                for (open, close) in
                    [(" ", ","), (" ", "]"), (" ", " "), ("[", ","), ("[", "]"), (" ", "\n"), ("'", "'"), ("\"", "\"")]
                {
                    full = full.replace(&format!("{open}{item}{close}"), &format!("{open}{item}@x.jp{close}"));
                }
            }
            full.replace("of b@x.jp", "of b").replace("# c@x.jp", "# c")
        };
        let fields = |list: &str| {
            full(&format!("\n    forward:\n      enabled: true\n    forward.to:{list}\n    visible: true"))
        };
        check_fields(&fields(before), field, list(&wanted), &fields(after));
    }
    check_fields(" { forward.to: [a@x] }", field, list(&["b@x"]), " { forward.to: [b@x] }");
    check_fields(" { forward.to: [a@x] }", field, NOTHING, " { forward.to: null }");
    check_fields(
        "\n    forward.to:\n    - a@x\n    - b@x\n    visible: true",
        field,
        None,
        "\n    forward.to: null\n    visible: true",
    );
    check_fields("", field, list(&["b@x"]), "\n    forward:\n      to: [b@x]");
    let odd = "accounts: { a: { forward.to: [a@x, # one\n b@x] } }\n";
    check_refused(YAML, odd, &set("account/a", field, list(&["b@x"])), "by hand");
}

#[test]
fn what_cannot_be_edited_is_said() {
    let file = "accounts:\n  a: { absent: true }\n  b: { password: { env: X } }\n  ? c\n  : comment: x\n";
    check_refused(YAML, file, &set("account/a", "comment", text("x")), "is absent");
    check_refused(YAML, file, &set("account/b", "password", NOTHING), "secret");
    check_refused(YAML, file, &set("account/z", "comment", text("x")), "does not declare `account/z`");
    check_refused(YAML, file, &remove("account/c"), "by hand");
    check_refused(YAML, "accounts:\n  a: [\n", &set("account/a", "comment", text("x")), "mistakes");
    check_refused(YAML, "accounts:\n", &set("account/a", "comment", text("x")), "mistakes");
}

#[test]
fn one_wrong_edit_does_not_keep_the_others_from_being_made() {
    let file = "accounts:\n  a: &a { comment: x }\n  b: *a\n  c: { comment: y }\n  d: { comment: z }\n";
    let edits = [
        set("account/a", "comment", text("1")),
        set("account/c", "comment", text("2")),
        set("account/d", "password", text("2")),
        remove("account/d"),
    ];
    let edited = yubin::format::edit::edit(file, YAML, &edits);
    assert_eq!(
        edited.text,
        "accounts:\n  a: &a { comment: x }\n  b: *a\n  c: { comment: 2 }\n".replace(": 2", ": '2'")
    );
    assert_eq!(edited.refused.iter().map(|refused| refused.edit).collect::<Vec<_>>(), [0, 2]);
}
