//! Every rule of the requirements has a test that carries its id in its name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rules and operations of each product, and the readings of what its document leaves open: a
/// prefix, and how many there are.
const IDS: &[(&str, usize)] = &[
    ("a_r", 12),
    ("a_o", 7),
    ("amb_a", 14),
    ("b_r", 11),
    ("amb_b", 8),
    ("c_o", 10),
    ("c_r", 16),
    ("amb_c", 10),
    ("d_o", 5),
    ("d_r", 9),
    ("amb_d", 5),
    ("e_r", 7),
    ("amb_e", 5),
    ("amb_x", 3),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// The ids that a name carries: `a_r4_and_amb_a14_…` carries two.
fn ids(name: &str) -> BTreeSet<String> {
    let known = |id: &str| {
        let prefix = id.trim_end_matches(|c: char| c.is_ascii_digit());
        prefix != id && IDS.iter().any(|(one, _)| *one == prefix)
    };
    let words: Vec<&str> = name.split('_').collect();
    words.windows(2).map(|pair| pair.join("_")).filter(|id| known(id)).collect()
}

/// Names of all functions that are tests.
fn tests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut names = Vec::new();
    for path in sources(&root) {
        let text = std::fs::read_to_string(path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("fn ")
                && std::mem::take(&mut is_test)
            {
                names.push(rest.split('(').next().unwrap().to_owned());
            }
        }
    }
    names
}

#[test]
fn every_id_has_a_test() {
    let tested: BTreeSet<String> = tests().iter().flat_map(|name| ids(name)).collect();
    let all = IDS.iter().flat_map(|(prefix, count)| (1..=*count).map(move |number| format!("{prefix}{number}")));
    let missing: Vec<String> =
        all.filter(|id| !tested.contains(id)).map(|id| id.to_uppercase().replace('_', "-")).collect();
    assert!(missing.is_empty(), "{} ids are in the name of no test: {}", missing.len(), missing.join(", "));
}

#[test]
fn a_name_may_carry_several_ids() {
    let found = |name: &str| ids(name).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(found("a_r4_own_credentials"), "a_r4");
    assert_eq!(found("c_r13_and_amb_c6_a_comment_stays"), "amb_c6 c_r13");
    assert_eq!(found("amb_x1_encryption"), "amb_x1");
    assert_eq!(found("a_rule_of_three"), "");
}
