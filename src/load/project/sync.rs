//! `sync:`.

use std::path::{Path, PathBuf};

use jiff::tz::{TimeZone, db};

use super::{Key, Look};
use crate::format::node::{Content, Entry, Node};
use crate::model::diagnostic::{did_you_mean, instead};
use crate::model::policy::plain;
use crate::model::sync::Window;
use crate::model::{Severity, Sort, Sync};

pub static SYNC_KEYS: &[Key] = &[
    Key { name: "windows", read: |look, node| look.windows(node) },
    Key { name: "timezone", read: |look, node| look.timezone(&node) },
    Key { name: "pause_file", read: |look, node| look.pause_file(&node) },
    Key { name: "heal", read: |look, node| look.project.sync.heal = look.flag(&node).unwrap_or(true) },
    Key { name: "approve", read: |look, node| look.approve(node) },
];

pub const WINDOW_KEYS: [&str; 2] = ["at", "for"];

const DELETES: &str = "deletes";

/// What another file than the project's own says: its paths are relative to that file.
pub fn foreign(sync: Sync, root: &Path, file: &Path) -> Sync {
    let base = plain(file.parent().unwrap_or(root));
    Sync { pause_file: sync.pause_file.map(|path| base.join(path)), ..sync }
}

impl Look<'_> {
    pub(super) fn sync(&mut self, node: Node) {
        if node.is_null() {
            return;
        }
        let mut zone = false;
        self.keys(node, "`sync`", SYNC_KEYS, |name| zone |= name == "timezone");
        // The machine is not asked where nothing depends on it.
        if !zone && !self.project.sync.windows.is_empty() {
            self.project.sync.timezone = TimeZone::system();
        }
    }

    fn windows(&mut self, node: Node) {
        if node.is_null() {
            return;
        }
        let found = node.what();
        let Content::List(items) = node.content else {
            let hint = "as in `[mon-fri 22:00-05:00]`";
            self.problem("value/type", format!("`windows` is a list of windows, not {found}"), node.place, hint);
            return;
        };
        for item in items {
            let window = match item.content {
                Content::Map(_) => self.window_for(item),
                _ => self.word(&item, "window").and_then(|text| self.window(&text, &item)),
            };
            self.project.sync.windows.extend(window);
        }
    }

    fn window(&mut self, text: &str, node: &Node) -> Option<Window> {
        Window::parse(text).map_err(|wrong| self.problem("project/value", wrong.message, node.place, wrong.hint)).ok()
    }

    /// A mapping of `at` and `for`.
    fn window_for(&mut self, item: Node) -> Option<Window> {
        let place = item.place;
        let Content::Map(entries) = item.content else { return None };
        let before = self.diagnostics.count(Severity::Error);
        let (mut at, mut sorts) = (None, Vec::new());
        for Entry { key, key_place, value } in entries {
            match key.as_str() {
                "at" => at = self.word(&value, "at").and_then(|text| self.window(&text, &value)),
                "for" => sorts = self.sorts(value),
                _ => self.unknown(&key, key_place, "a window", WINDOW_KEYS.to_vec()),
            }
        }
        if self.diagnostics.count(Severity::Error) > before {
            return None;
        }
        if at.is_none() {
            self.problem(
                "project/value",
                "this window has no `at`",
                place,
                "as in `{ at: 03:00-04:00, for: [logouts] }`",
            );
        }
        at.map(|window| Window { sorts, ..window })
    }

    fn sorts(&mut self, node: Node) -> Vec<Sort> {
        const HINT: &str = "as in `for: [logouts, passwords]`; without `for`, a window is for everything";
        let place = node.place;
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem("value/type", format!("`for` is a list, not {found}"), place, HINT);
            return Vec::new();
        };
        if items.is_empty() {
            self.problem("project/value", "a window is for something", place, HINT);
        }
        let mut sorts = Vec::new();
        for item in items {
            let Some(word) = self.word(&item, "for") else { continue };
            match Sort::parse(&word) {
                Some(sort) if sorts.contains(&sort) => {
                    self.problem("project/value", format!("`{word}` stands twice in `for`"), item.place, "");
                }
                Some(sort) => sorts.push(sort),
                None => self.wrong_word(&word, "for", &Sort::ALL.map(Sort::name), item.place),
            }
        }
        sorts
    }

    fn timezone(&mut self, node: &Node) {
        let Some(word) = self.word(node, "timezone") else { return };
        if let Ok(zone) = TimeZone::get(&word) {
            self.project.sync.timezone = zone;
            return;
        }
        let names: Vec<String> = db().available().map(|name| name.to_string()).collect();
        let near = did_you_mean(&word, names.iter().map(String::as_str));
        let hint = near.map_or_else(
            || "as in `Asia/Tokyo` or `UTC`: a name of the IANA database".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("there is no such time zone{}", instead(&word, near));
        self.problem("project/value", message, node.place, &hint);
    }

    fn pause_file(&mut self, node: &Node) {
        let Some(word) = self.word(node, "pause_file") else { return };
        if word.is_empty() {
            self.problem("project/value", "`pause_file` names a file", node.place, "as in `pause_file: PAUSE`");
            return;
        }
        self.project.sync.pause_file = Some(PathBuf::from(word));
    }

    fn approve(&mut self, node: Node) {
        if node.is_null() {
            return;
        }
        let found = node.what();
        let Content::List(items) = node.content else {
            let message = format!("`approve` is a list, not {found}");
            self.problem("value/type", message, node.place, "as in `approve: [deletes]`");
            return;
        };
        for item in items {
            let Some(word) = self.word(&item, "approve") else { continue };
            if word == DELETES {
                self.project.sync.approve_deletes = true;
            } else {
                self.wrong_word(&word, "approve", &[DELETES], item.place);
            }
        }
    }
}
