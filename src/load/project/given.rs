//! `masters:` and `rules:`: what a project says about its own copy of a product.

use super::{Key, Look};
use crate::format::node::{Content, Entry, Node};
use crate::model::{Given, TextLimits};

pub static MASTER_KEYS: &[Key] = &[
    Key { name: "contact_status", read: |look, node| look.project.given.contact_status = look.words(node) },
    Key { name: "contact_category", read: |look, node| look.project.given.contact_category = look.words(node) },
];

pub static RULE_KEYS: &[Key] = &[
    Key { name: "account_name", read: |look, node| look.text_limits(node, |given| &mut given.account_name) },
    Key { name: "password", read: |look, node| look.text_limits(node, |given| &mut given.password) },
    Key { name: "domain", read: |look, node| look.project.given.domain = look.word(&node, "domain") },
    Key { name: "register_rows", read: |look, node| look.project.given.register_rows = look.count(&node) },
];

pub const TEXT_KEYS: [&str; 6] = ["min", "max", "chars", "edges", "letter", "digit"];

impl Look<'_> {
    /// A list of texts.
    pub(super) fn words(&mut self, node: Node) -> Option<Vec<String>> {
        if node.is_null() {
            return Some(Vec::new());
        }
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem("value/type", format!("a list of texts is expected, not {found}"), node.place, "");
            return None;
        };
        items.iter().map(|item| self.word(item, "an item")).collect()
    }

    pub(super) fn count(&mut self, node: &Node) -> Option<usize> {
        let word = self.word(node, "the number")?;
        let count = word.parse().ok().filter(|count| *count > 0);
        if count.is_none() {
            self.problem("project/value", "a whole number from 1 is expected", node.place, "");
        }
        count
    }

    pub(super) fn flag(&mut self, node: &Node) -> Option<bool> {
        match self.word(node, "the value")?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.problem("project/value", "expected `true` or `false`", node.place, "");
                None
            }
        }
    }

    /// What the project says about a text.
    pub(super) fn text_limits(&mut self, node: Node, of: fn(&mut Given) -> &mut TextLimits) {
        let (found, place) = (node.what(), node.place);
        let Content::Map(entries) = node.content else {
            self.problem("value/type", format!("a rule is a mapping, not {found}"), node.place, "");
            return;
        };
        let mut limits = TextLimits::default();
        for Entry { key, key_place, value } in entries {
            match key.as_str() {
                "min" => limits.min = self.count(&value),
                "max" => limits.max = self.count(&value),
                "chars" => limits.chars = self.word(&value, "chars"),
                "edges" => limits.edges = self.word(&value, "edges"),
                "letter" => limits.letter = self.flag(&value),
                "digit" => limits.digit = self.flag(&value),
                _ => self.unknown(&key, key_place, "a rule", TEXT_KEYS.to_vec()),
            }
        }
        if let (Some(min), Some(max)) = (limits.min, limits.max)
            && min > max
        {
            self.problem("project/value", "`min` is above `max`: no text would do", place, "");
        }
        *of(&mut self.project.given) = limits;
    }
}
