//! `policy:`.

use super::secrets::PASSWORD_KEYS;
use super::{Key, Look};
use crate::format::node::{Content, Entry, Node};
use crate::model::probe::Demand;
use crate::model::{Address, Existing, Grace, Kind, Limit, Limits, PlaintextSecrets, Policy, Undeclared};

/// What a limit may be of.
pub const LIMIT_KEYS: [&str; 5] = ["server", "account", "pattern", "file", "owner"];

pub static POLICY_KEYS: &[Key] = &[
    Key {
        name: "existing",
        read: |look, node| {
            look.choice(
                node,
                "existing",
                &[("overwrite", Existing::Overwrite), ("skip", Existing::Skip), ("fail", Existing::Fail)],
                |p| &mut p.existing,
            );
        },
    },
    Key {
        name: "undeclared",
        read: |look, node| {
            look.choice(node, "undeclared", &[("keep", Undeclared::Keep), ("delete", Undeclared::Delete)], |p| {
                &mut p.undeclared
            });
        },
    },
    Key { name: "max_deletes", read: |look, node| look.limits(node, "max_deletes", |policy| &mut policy.max_deletes) },
    Key {
        name: "max_overwrites",
        read: |look, node| look.limits(node, "max_overwrites", |policy| &mut policy.max_overwrites),
    },
    Key { name: "delete", read: |look, node| look.delete(&node) },
    Key { name: "protect", read: |look, node| look.protect(node) },
    Key {
        name: "plaintext_secrets",
        read: |look, node| {
            let words = [
                ("deny", PlaintextSecrets::Deny),
                ("warn", PlaintextSecrets::Warn),
                ("allow", PlaintextSecrets::Allow),
            ];
            look.choice(node, "plaintext_secrets", &words, |p| &mut p.plaintext_secrets);
        },
    },
    Key {
        name: "probe",
        read: |look, node| {
            let words = [("off", Demand::Off), ("warn", Demand::Warn), ("require", Demand::Require)];
            look.choice(node, "probe", &words, |p| &mut p.probe);
        },
    },
    Key { name: "passwords", read: |look, node| look.keys(node, "`passwords`", PASSWORD_KEYS, |_| {}) },
    Key {
        name: "allow_zero_capacity",
        read: |look, node| look.project.given.allow_zero_capacity = look.flag(&node).unwrap_or_default(),
    },
];

#[expect(clippy::needless_pass_by_value, reason = "a reader takes the value that it reads")]
impl Look<'_> {
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: Node,
        what: &str,
        words: &[(&str, T)],
        to: fn(&mut Policy) -> &mut T,
    ) {
        let Some(word) = self.word(&node, what) else { return };
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
            *to(&mut self.project.policy) = *value;
        } else {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            self.wrong_word(&word, what, &names, node.place);
        }
    }

    pub(super) fn policy(&mut self, node: Node) {
        if !node.is_null() {
            self.keys(node, "`policy`", POLICY_KEYS, |_| {});
        }
    }

    pub(super) fn limit(&mut self, node: &Node) -> Option<Limit> {
        let word = self.word(node, "limit")?;
        let limit = Limit::parse(&word);
        if limit.is_none() {
            let message = "a limit is a count such as 10, or a percentage such as \"30%\"";
            self.problem("project/value", message, node.place, "");
        }
        limit
    }

    /// One limit for each kind, or a mapping of several.
    fn limits(&mut self, node: Node, what: &str, to: fn(&mut Policy) -> &mut Limits) {
        let Content::Map(entries) = node.content else {
            if let Some(limit) = self.limit(&node) {
                to(&mut self.project.policy).kinds = [Some(limit); 3];
            }
            return;
        };
        for Entry { key, key_place, value } in entries {
            let of_kind = Kind::from_name(&key);
            if of_kind.is_none() && !LIMIT_KEYS.contains(&key.as_str()) {
                self.unknown(&key, key_place, &format!("`{what}`"), LIMIT_KEYS.to_vec());
                continue;
            }
            let Some(limit) = self.limit(&value) else { continue };
            let limits = to(&mut self.project.policy);
            match of_kind {
                Some(kind) => limits.kinds[kind as usize] = Some(limit),
                None if key == "file" => limits.file = Some(limit),
                None => limits.owner = Some(limit),
            }
        }
    }

    fn delete(&mut self, node: &Node) {
        let Some(word) = self.word(node, "delete") else { return };
        match word.strip_prefix("after ").map(|time| Grace::parse(time.trim())) {
            None if word == "now" => self.project.policy.grace = None,
            Some(Some(grace)) => self.project.policy.grace = Some(grace),
            _ => {
                let message = "`delete` is `now`, or `after` and a time";
                self.problem("project/value", message, node.place, "as in `delete: after 14d`; units are h, d and w");
            }
        }
    }

    pub(super) fn protect(&mut self, node: Node) {
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem(
                "value/type",
                format!("`protect` is a list of addresses, not {found}"),
                node.place,
                "as in `[account/postmaster]`",
            );
            return;
        };
        for item in items {
            let Some(word) = self.word(&item, "protect") else { continue };
            match Address::parse(&word) {
                Ok(address) => self.project.policy.protect.push(address),
                Err(_) => self.problem(
                    "project/value",
                    "this is no address of a resource",
                    item.place,
                    "as in `account/postmaster` or `pattern/taro/work`",
                ),
            }
        }
    }
}
