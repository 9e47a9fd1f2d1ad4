use yubin::format::edit::Notation;

use super::{check, remove, set, text};

const YAML: Notation = Notation::Yaml;

#[test]
fn a_resource_goes_with_what_belongs_to_it_alone() {
    let file = "# file\naccounts: # all\n  # team\n  a: { comment: x }\n  b: { comment: y } # b\n\n  # of c\n  c:\n    comment: |\n      x\n    # in c\n\n  # of d\n  d:\n  e: 'null'\n".replace("  e: 'null'\n", "  e:\n");
    let without = |parts: &[&str]| parts.iter().fold(file.clone(), |file, part| file.replacen(part, "", 1));
    check(YAML, &file, &[remove("account/a")], &without(&["  a: { comment: x }\n"]));
    check(YAML, &file, &[remove("account/b")], &without(&["  b: { comment: y } # b\n"]));
    let c = "  # of c\n  c:\n    comment: |\n      x\n    # in c\n\n";
    check(YAML, &file, &[remove("account/c")], &without(&[c]));
    check(YAML, &file, &[remove("account/d")], &without(&["  d:\n"]));
    check(
        YAML,
        &file,
        &[remove("account/b"), remove("account/a")],
        &without(&["  # team\n  a: { comment: x }\n  b: { comment: y } # b\n\n"]),
    );
    check(YAML, &file, &[remove("account/e")], &without(&["  e:\n"]));
    check(
        YAML,
        &file,
        &["a", "b", "c", "d", "e"].map(|name| remove(&format!("account/{name}"))),
        "# file\naccounts: {} # all\n",
    );
    let users = "patterns:\n  # taro\n  taro:\n    p1: {}\n    p2:\n      address: a@x\n  jiro: { p: {}, q: {} }\n";
    check(YAML, users, &[remove("pattern/taro/p1")], &users.replace("    p1: {}\n", ""));
    check(YAML, users, &[remove("pattern/jiro/p")], &users.replace("p: {}, ", ""));
    check(YAML, users, &[remove("pattern/jiro/q")], &users.replace(", q: {}", ""));
    check(
        YAML,
        users,
        &[remove("pattern/jiro/q"), remove("pattern/jiro/p")],
        &users.replace("  jiro: { p: {}, q: {} }\n", ""),
    );
    check(
        YAML,
        users,
        &[remove("pattern/taro/p1"), remove("pattern/taro/p2")],
        "patterns:\n  # taro\n  jiro: { p: {}, q: {} }\n",
    );
    check(
        YAML,
        users,
        &["taro/p1", "taro/p2", "jiro/p", "jiro/q"].map(|name| remove(&format!("pattern/{name}"))),
        "patterns: {}\n",
    );
    let flow = "accounts: {\n  a: {}, # a\n  b: { comment: x } # b\n}\n";
    check(YAML, flow, &[remove("account/a")], &flow.replace("  a: {}, # a\n", ""));
    check(YAML, flow, &[remove("account/b")], &flow.replace("  b: { comment: x } # b\n", ""));
    check(YAML, flow, &[remove("account/a"), remove("account/b")], "accounts: {}\n");
    let json = "{\"accounts\": {\"a\": {\"comment\": \"x\"}, \"b\": {}}}\n";
    check(YAML, json, &[remove("account/b")], &json.replace(", \"b\": {}", ""));
    check(
        YAML,
        json,
        &[set("account/a", "address", text("a@x"))],
        &json
            .replace("{\"comment\"", "{\"address\": \"a@x\", \"comment\"")
            .replace("\"address\": \"a@x\", \"comment\": \"x\"", "\"comment\": \"x\", \"address\": \"a@x\""),
    );
}
