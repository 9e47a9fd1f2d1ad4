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
        let message = format!("`timezone` is the name of a time zone{}", instead(&word, near));
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::load::{Tree, read_project};
    use crate::model::Diagnostics;

    fn read(sync: &str) -> (Sync, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("yubin.yaml"), format!("version: 1\nname: x\n{sync}")).unwrap();
        let mut diagnostics = Diagnostics::default();
        let project = read_project(&Tree::Folder(folder.path().to_path_buf()), None, &mut diagnostics).unwrap();
        let said = |one: &crate::model::Diagnostic| {
            let hint = one.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
            format!("{}:{} {} {}{hint}", one.line, one.column, one.code, one.message)
        };
        (project.sync, diagnostics.iter().map(said).collect())
    }

    #[test]
    fn all_of_it_is_read() {
        let (sync, said) = read(
            "sync:
  windows:
    - mon-fri 22:00-05:00
    - 00:00-24:00
    - \"sat,sun 01:00-02:00\"
    - { at: 03:00-04:00, for: [logouts, passwords] }
    - at: 土,日 03:00-04:00
      for: [logouts]
    - { at: mon-fri 22:00-05:00 }
  timezone: asia/tokyo
  pause_file: PAUSE
  heal: false
  approve: [deletes]
",
        );
        assert_eq!(said, [""; 0]);
        let general = |text: &str| Window::parse(text).unwrap();
        let sorts = |text: &str, sorts: &[Sort]| Window { sorts: sorts.to_vec(), ..general(text) };
        assert_eq!(
            sync.windows,
            [
                general("mon-fri 22:00-05:00"),
                general("00:00-24:00"),
                general("sat,sun 01:00-02:00"),
                sorts("03:00-04:00", &Sort::ALL),
                sorts("sat,sun 03:00-04:00", &[Sort::Logouts]),
                general("mon-fri 22:00-05:00"),
            ]
        );
        assert_eq!(sync.timezone.iana_name(), Some("Asia/Tokyo"));
        assert_eq!(sync.pause(Path::new("/p")), Some(PathBuf::from("/p/PAUSE")));
        assert!(!sync.heal && sync.approve_deletes);
        let (flow, said) =
            read("sync: { windows: [00:00-24:00, mon-fri 22:00-05:00, {at: 03:00-04:00}], timezone: UTC }\n");
        assert_eq!((flow.windows.len(), said), (3, vec![]));
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        for text in
            ["", "sync:\n", "sync: {}\n", "sync: { windows: [], approve: [] }\n", "sync:\n  windows:\n  approve:\n"]
        {
            let (sync, said) = read(text);
            assert_eq!(said, [""; 0], "{text}");
            assert!(sync.windows.is_empty() && sync.heal && !sync.approve_deletes && sync.pause_file.is_none());
        }
        let (sync, _) = read("sync: { windows: [01:00-02:00] }\n");
        assert_eq!(sync.timezone, TimeZone::system());
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        for (text, expected) in [
            ("sync: x", "3:7 value/type `sync` is a mapping, not a single value"),
            ("sync: { window: [] }", "3:9 key/unknown `window` is no key of `sync`; did you mean `windows`?"),
            ("sync: { windows: 01:00-02:00 }", "3:18 value/type `windows` is a list of windows, not a single value"),
            (
                "sync: { windows: [01:00-01:00] }",
                "3:19 project/value a window that ends when it begins is none; `00:00-24:00` is the whole day",
            ),
            (
                "sync:\n  windows:\n    - mon-fri 9:00-17:00",
                "5:7 project/value a window is two times of the day, `HH:MM-HH:MM`",
            ),
            ("sync:\n  windows:\n    - mon-fry 09:00-17:00", "5:7 project/value the days of a window are `mon`"),
            ("sync: { windows: [[01:00-02:00]] }", "3:19 value/type `window` is a single value, not a list"),
            ("sync: { windows: [{ for: [logouts] }] }", "3:19 project/value this window has no `at`"),
            ("sync: { windows: [{ at: 01:00-02:00, for: [] }] }", "3:43 project/value a window is for something"),
            ("sync: { windows: [{ at: 01:00-02:00, for: }] }", "value/type `for` is a list, not nothing"),
            (
                "sync: { windows: [{ at: 01:00-02:00, for: [logout] }] }",
                "3:44 project/value `for` is one of `logouts`, `passwords`, not `logout`; did you mean `logouts`?",
            ),
            (
                "sync: { windows: [{ at: 01:00-02:00, for: [logouts, logouts] }] }",
                "3:53 project/value `logouts` stands twice in `for`",
            ),
            ("sync: { windows: [{ at: 01:00-2:00, for: [logouts] }] }", "3:25 project/value a window is two times"),
            ("sync: { windows: [{ on: 01:00-02:00 }] }", "3:21 key/unknown"),
            (
                "sync: { timezone: Asia/Tokio }",
                "3:19 project/value `timezone` is the name of a time zone, not `Asia/Tokio`; did you mean `Asia/Tokyo`?",
            ),
            ("sync: { timezone: JST-9 }", "3:19 project/value `timezone` is the name of a time zone"),
            ("sync: { pause_file: \"\" }", "3:21 project/value `pause_file` names a file"),
            ("sync: { heal: yes }", "3:15 project/value expected `true` or `false`"),
            ("sync: { approve: deletes }", "3:18 value/type `approve` is a list, not a single value"),
            (
                "sync: { approve: [delete] }",
                "3:19 project/value `approve` is one of `deletes`, not `delete`; did you mean `deletes`?",
            ),
        ] {
            let (_, said) = read(&format!("{text}\n"));
            assert_eq!(said.len(), 1, "{text}: {said:?}");
            assert!(said[0].contains(expected), "{text}: {said:?}");
        }
    }

    #[test]
    fn a_trusted_file_stands_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        fs::create_dir(&project).unwrap();
        fs::write(project.join("yubin.yaml"), "version: 1\nname: x\nsync: { heal: false, pause_file: MINE }\n")
            .unwrap();
        let trusted = folder.path().join("trusted.yaml");
        for (text, pause) in
            [("policy: {}\n", None), ("sync: { pause_file: PAUSE }\n", Some(folder.path().join("PAUSE")))]
        {
            fs::write(&trusted, text).unwrap();
            let mut diagnostics = Diagnostics::default();
            let read = read_project(&Tree::Folder(project.clone()), Some(&trusted), &mut diagnostics).unwrap();
            assert!(read.sync.heal && !diagnostics.has_errors());
            assert_eq!(read.sync.pause(&project), pause);
        }
    }
}
