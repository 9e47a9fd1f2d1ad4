//! `secrets:`, and `passwords:` of the policy.

use super::{Key, Look};
use crate::format::node::{Content, Node};
use crate::model::{Place, Scheme, Severity};

pub static SECRET_KEYS: &[Key] = &[
    Key { name: "commands", read: |look, node| look.commands(node) },
    Key { name: "paths", read: |look, node| look.paths(node) },
    Key { name: "recipients", read: |look, node| look.recipients(node) },
    Key {
        name: "identities",
        read: |look, node| {
            look.project.trust.identities = look.words(node).unwrap_or_default();
        },
    },
];

pub static PASSWORD_KEYS: &[Key] = &[
    Key {
        name: "scheme",
        read: |look, node| {
            let words = Scheme::ALL.map(|scheme| (scheme.name(), scheme));
            look.choice(node, "scheme", &words, |policy| &mut policy.passwords.scheme);
        },
    },
    Key {
        name: "min_length",
        read: |look, node| look.number(&node, 1..=1_000, |passwords, number| passwords.min_length = number as usize),
    },
    Key {
        name: "classes",
        read: |look, node| look.number(&node, 1..=4, |passwords, number| passwords.classes = number as usize),
    },
    Key {
        name: "score",
        read: |look, node| look.number(&node, 0..=4, |passwords, number| passwords.score = number as u8),
    },
    Key {
        name: "history",
        read: |look, node| look.number(&node, 0..=100, |passwords, number| passwords.history = Some(number as usize)),
    },
];

impl Look<'_> {
    /// `~/` is the home folder; without one, such a path allows nothing.
    fn paths(&mut self, node: Node) {
        let home = std::env::var("HOME").ok().filter(|home| !home.is_empty());
        let expanded = |path: String| match path.strip_prefix("~/") {
            Some(rest) => home.as_ref().map(|home| format!("{home}/{rest}")),
            None => Some(path),
        };
        self.project.trust.paths = self.words(node).unwrap_or_default().into_iter().filter_map(expanded).collect();
    }

    fn recipients(&mut self, node: Node) {
        let places: Vec<Place> = match &node.content {
            Content::List(items) => items.iter().map(|item| item.place).collect(),
            _ => Vec::new(),
        };
        let words = self.words(node).unwrap_or_default();
        for (word, place) in words.iter().zip(places) {
            // A secret key may stand there by mistake: it is not repeated.
            let message = if word.starts_with("AGE-SECRET-KEY-") {
                "this is a secret key, and no longer secret: make another one"
            } else if ["age1", "ssh-ed25519 ", "ssh-rsa "].iter().any(|start| word.starts_with(start)) {
                continue;
            } else {
                "this is no public key"
            };
            self.problem("project/value", message, place, "a recipient is `age1…`, `ssh-ed25519 …` or `ssh-rsa …`");
        }
        self.project.trust.recipients = words;
    }

    fn commands(&mut self, node: Node) {
        const HINT: &str = "as in `[[pass, show, \"*\"]]`: a list of commands, each a list of words";
        if node.is_null() {
            return;
        }
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem("value/type", format!("`commands` is a list of commands, not {found}"), node.place, HINT);
            return;
        };
        for item in items {
            let place = item.place;
            let said = self.diagnostics.count(Severity::Error);
            let words = self.words(item).unwrap_or_default();
            match words.first().map(String::as_str) {
                None if self.diagnostics.count(Severity::Error) > said => {}
                None | Some("") => self.problem("project/value", "a command without a program", place, HINT),
                Some("*") => {
                    self.problem("project/value", "`*` in the place of a program allows everything", place, HINT);
                }
                Some(_) => self.project.trust.commands.push(words),
            }
        }
    }

    fn number(
        &mut self,
        node: &Node,
        range: std::ops::RangeInclusive<u64>,
        set: fn(&mut crate::model::PasswordPolicy, u64),
    ) {
        let Some(word) = self.word(node, "a number") else { return };
        let fits = |number: &u64| matches!(node.content, Content::Plain(_)) && range.contains(number);
        if let Some(number) = word.parse().ok().filter(fits) {
            set(&mut self.project.policy.passwords, number);
        } else {
            let message = format!("a whole number from {} to {} is expected", range.start(), range.end());
            self.problem("project/value", message, node.place, "");
        }
    }
}
