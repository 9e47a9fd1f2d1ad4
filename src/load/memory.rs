//! What is kept from one plan to the next, so that files which have not changed are not read again: of each YAML file
//! what reading it gave. A file with a password in clear is not kept: it is read again, and its passwords are gone
//! from memory between two plans.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Project;
use super::read::Read;

/// Kept between the plans of one project, or of several in turn: what was read under other settings is forgotten.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// What says how files are understood, as a digest.
    settings: Option<[u8; 32]>,
    files: Files,
}

/// By name.
pub type Files = HashMap<String, Remembered>;

#[derive(Clone)]
pub struct Remembered {
    /// Of its text.
    pub digest: [u8; 32],
    pub read: Arc<Read>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::default()
    }

    /// How many files are kept.
    pub fn len(&self) -> usize {
        self.lock().files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known under these settings.
    pub(super) fn known(&self, settings: &[u8; 32]) -> Files {
        let kept = self.lock();
        if kept.settings.as_ref() == Some(settings) { kept.files.clone() } else { Files::new() }
    }

    /// From now on nothing else is known.
    pub(super) fn keep(&self, settings: [u8; 32], files: Files) {
        *self.lock() = Kept { settings: Some(settings), files };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.len())
    }
}

/// A digest of all that has a say in what is read beside the file itself: the project file, and what it names or what
/// stands above it.
pub fn settings(project: &Project) -> [u8; 32] {
    let mut all = blake3::Hasher::new();
    let mut put = |part: &[u8]| {
        all.update(&(part.len() as u64).to_le_bytes());
        all.update(part);
    };
    put(project.root.as_os_str().as_encoded_bytes());
    put(&project.bytes);
    let (name, users) = project.users_file.as_ref().map_or(("", &[][..]), |(name, bytes)| (name, bytes));
    put(name.as_bytes());
    put(users);
    put(&[u8::from(project.users.is_some()), u8::from(project.trusted.is_some())]);
    put(project.trusted.as_deref().unwrap_or_default());
    // Paths are made absolute by where these files stand.
    put(format!("{:?}", project.trust).as_bytes());
    all.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use super::*;
    use crate::load::{Reader, Tree, draft, open, read_project, read_sources};
    use crate::model::draft::Digest;
    use crate::model::inventory::Owner;
    use crate::model::{Clear, Diagnostics, Draft, Inventory, Kind, SecretSource};

    const PROJECT: &str = "version: 1\nname: p\nsystem: generic\n";
    const KEY: [u8; 32] = [7; 32];

    struct World {
        folder: tempfile::TempDir,
        memory: Memory,
        /// By name, what stands elsewhere.
        secrets: RefCell<HashMap<String, String>>,
        key: [u8; 32],
    }

    impl World {
        fn new(files: &[(&str, &str)]) -> World {
            let folder = tempfile::tempdir().unwrap();
            let secrets = RefCell::new([("PW".to_owned(), "first".to_owned())].into());
            let world = World { folder, memory: Memory::new(), secrets, key: KEY };
            world.write("yubin.yaml", PROJECT);
            for (name, text) in files {
                world.write(name, text);
            }
            world
        }

        fn path(&self) -> &Path {
            self.folder.path()
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path().join(name), text).unwrap();
        }

        /// With what the store holds, and whether something is remembered. And what is said.
        fn read(&self, inventory: &Inventory, remembers: bool) -> (Draft, Vec<String>) {
            let mut diagnostics = Diagnostics::default();
            let tree = Tree::Folder(self.path().to_path_buf());
            let project = read_project(&tree, None, &mut diagnostics).unwrap();
            let sources = read_sources(&project, &mut diagnostics);
            let opened = open(&project, &sources, Some(&self.key), &mut diagnostics);
            let secrets = self.secrets.borrow().clone();
            let fetch = |source: &SecretSource| match source {
                SecretSource::Env(name) | SecretSource::File(name) => secrets.get(name).cloned().map(Clear::new),
                _ => None,
            };
            let reader = Reader::<()> {
                project: &project,
                inventory: Some(inventory),
                fetch: Some(&fetch),
                early: None,
                memory: remembers.then_some(&self.memory),
            };
            let (draft, _) = draft(&opened, &reader, &mut diagnostics);
            diagnostics.sort();
            (draft, diagnostics.iter().map(|one| format!("{one:?}")).collect())
        }

        /// How many are read in full, and how many recognised; the same whether files are remembered or not.
        #[track_caller]
        fn counts(&self, inventory: &Inventory) -> (usize, usize) {
            let (fresh, said) = self.read(inventory, false);
            let draft = |draft: &Draft| {
                let outside: Vec<_> = draft.outside.iter().collect();
                format!("{:?} {:?} {:?} {outside:?}", draft.resources, draft.recognised, draft.mentioned)
            };
            for _ in 0..2 {
                let (remembered, again) = self.read(inventory, true);
                assert_eq!(draft(&remembered), draft(&fresh));
                assert_eq!(again, said);
            }
            (fresh.resources.len(), fresh.recognised.len())
        }
    }

    /// A store in which all of this was applied.
    fn applied(draft: &Draft) -> Inventory {
        let mut inventory = Inventory::default();
        let digests: HashMap<(Kind, String), Digest> = draft
            .resources
            .iter()
            .filter_map(|one| Some(((one.kind, one.key.as_joined().to_owned()), one.digest?)))
            .collect();
        let mut keys: Vec<(Kind, String)> =
            draft.resources.iter().map(|one| (one.kind, one.key.as_joined().to_owned())).collect();
        keys.sort();
        for (kind, key) in keys {
            let parts: Vec<&str> = key.split('\0').collect();
            let digest = digests.get(&(kind, key.clone())).copied();
            assert!(inventory.of_mut(kind).push(&parts, Owner::Us, digest));
        }
        inventory
    }

    fn stored(world: &World) -> Inventory {
        applied(&world.read(&Inventory::default(), false).0)
    }

    const ACCOUNTS: &str = "accounts:\n  a: { comment: x }\n  b: { password: { env: PW } }\n  c: {}\n";

    #[test]
    fn what_has_not_changed_is_recognised_wherever_it_stands() {
        let world = World::new(&[("a.yaml", ACCOUNTS)]);
        let store = stored(&world);
        assert_eq!(world.counts(&store), (0, 3));
        // Another order, another notation, another file, a default that says the same.
        world.write("a.yaml", "# x\naccounts:\n\n  c:\n  a:\n    comment:   x # y\n");
        world.write("0.yaml", "defaults: { accounts: { password: { env: PW } } }\naccounts: { b: {} }\n");
        assert_eq!(world.counts(&store), (0, 3));
        let (draft, _) = world.read(&store, true);
        let lines: Vec<_> = draft.recognised.iter().map(|one| (one.source.file, one.source.place.line)).collect();
        assert_eq!(lines, [(0, 2), (1, 4), (1, 5)]);
    }

    #[test]
    fn whatever_changes_the_meaning_is_read_in_full() {
        let world = World::new(&[("a.yaml", ACCOUNTS)]);
        let store = stored(&world);
        let change = |from: &str, to: &str, expected: (usize, usize)| {
            world.write("a.yaml", &ACCOUNTS.replace(from, to));
            assert_eq!(world.counts(&store), expected, "{from} {to}");
            world.write("a.yaml", ACCOUNTS);
            assert_eq!(world.counts(&store), (0, 3), "{from} {to}");
        };
        change("x }", "y }", (1, 2));
        change("x }", "\"x\" }", (1, 2));
        change("x }", "x, label: x }", (1, 2));
        change("comment: x", "label: x", (1, 2));
        change("comment: x", "comment: null", (1, 2));
        change("comment: x", "", (1, 2));
        change("comment: x", "absent: true", (1, 2));
        change("comment: x", "comment: x, previously: z", (1, 2));
        change("comment: x", "comment: x, server: s", (1, 2));
        change("env: PW", "env: OTHER", (1, 2));
        change("env: PW", "file: PW", (1, 2));
        change("{ env: PW }", "PW", (1, 2));
        change("{ env: PW }", "{ command: [x] }", (1, 2));
        change("  a:", "  z:", (1, 2));
        change("accounts:", "defaults: { accounts: { comment: y } }\naccounts:", (2, 1));
        change("accounts:\n", "servers: { a: {} }\naccounts:\n", (1, 3));
        change("  c: {}", "  c: {}\npatterns: { c: { c: {} } }", (1, 3));
        // What is wrong with a file is said again, whatever it concerns.
        change("  c: {}", "  c: { nonsense: 1 }", (3, 0));
    }

    #[test]
    fn what_depends_on_more_than_its_words_is_never_recognised() {
        let text = "defaults: { patterns: { server: s } }\nservers: { s: {} }\naccounts:\n  a: { server: s }\n  \
                    b: { password: { command: [x] } }\n  c: { absent: true }\n  d: { previously: e }\n  f: {}\n\
                    patterns: { u: { p: {} } }\n";
        let world = World::new(&[("a.yaml", text)]);
        assert_eq!(world.counts(&stored(&world)).1, 1);
    }

    #[test]
    fn whatever_a_secret_is_counts() {
        let world = World::new(&[("a.yaml", ACCOUNTS)]);
        let store = stored(&world);
        assert_eq!(world.counts(&store), (0, 3));
        world.secrets.borrow_mut().insert("PW".to_owned(), "second".to_owned());
        assert_eq!(world.counts(&store), (1, 2));
        world.secrets.borrow_mut().clear();
        assert_eq!(world.counts(&store), (1, 2));
        world.secrets.borrow_mut().insert("PW".to_owned(), "first".to_owned());
        assert_eq!(world.counts(&store), (0, 3));
    }

    #[test]
    fn project_key_and_owner_count() {
        let mut world = World::new(&[("a.yaml", ACCOUNTS)]);
        let store = stored(&world);
        for (project, expected) in [
            (PROJECT.replace("name: p", "name: q"), (3, 0)),
            (PROJECT.replace("generic", "mailwise"), (3, 0)),
            (format!("{PROJECT}rules: {{ domain: x.jp }}\n"), (3, 0)),
            (format!("{PROJECT}policy: {{ plaintext_secrets: deny }}\n"), (3, 0)),
            (format!("{PROJECT}policy: {{ plaintext_secrets: allow }}\n"), (0, 3)),
            (format!("{PROJECT}policy: {{ existing: skip }}\n"), (0, 3)),
        ] {
            world.write("yubin.yaml", &project);
            assert_eq!(world.counts(&store), expected, "{project}");
            world.write("yubin.yaml", PROJECT);
            assert_eq!(world.counts(&store), (0, 3), "{project}");
        }
        world.key = [8; 32];
        assert_eq!(world.counts(&store), (3, 0));
        world.key = KEY;
        let (draft, _) = world.read(&Inventory::default(), false);
        for owner in [Owner::Nobody, Owner::Other(0)] {
            let mut store = Inventory::default();
            for one in &draft.resources {
                assert!(store.of_mut(one.kind).push(&[one.key.name()], owner, one.digest));
            }
            assert_eq!(world.counts(&store), (3, 0));
        }
        // What other software has touched.
        let mut store = stored(&world);
        store.of_mut(Kind::Account).forget(&draft.resources[0].key);
        assert_eq!(world.counts(&store), (1, 2));
    }

    #[test]
    fn what_is_said_is_said_again() {
        let project = format!("{PROJECT}users: users\n").replace("generic", "catchme-mail");
        let world = World::new(&[("a.yaml", "patterns: { u: { x: {} }, v: { y: {} } }\n"), ("users", "u\nv\n")]);
        world.write("yubin.yaml", &project);
        let store = stored(&world);
        assert_eq!(world.counts(&store), (0, 2));
        world.write("users", "u\n");
        assert_eq!(world.counts(&store), (1, 1));
        assert!(world.read(&store, true).1[0].contains("catchme-mail/unknown-user"));
        world.write("users", "v\nu\n");
        assert_eq!(world.counts(&store), (0, 2));

        let world = World::new(&[
            ("a.yaml", "accounts:\n  a: { password: clear }\n  b: { password: other }\n"),
            ("b.yaml", "accounts: { c: {} }\n"),
        ]);
        let store = stored(&world);
        assert_eq!(world.counts(&store), (0, 3));
        let (_, said) = world.read(&store, true);
        assert!(said.len() == 1 && said[0].contains("secret/plaintext"), "{said:?}");
        // What is in clear is not kept.
        assert_eq!(world.memory.len(), 1);
    }

    #[test]
    fn a_warning_keeps_what_it_is_said_of_from_being_recognised() {
        let hash = format!("{{ hash: \"{{SSHA}}{}\" }}", "x".repeat(32));
        let world = World::new(&[("a.yaml", &format!("accounts: {{ a: {{ password: {hash} }}, b: {{}} }}\n"))]);
        let store = stored(&world);
        assert_eq!(world.counts(&store), (1, 1));
        assert!(world.read(&store, true).1[0].contains("secret/weak-hash"));
    }

    #[test]
    fn two_declarations_are_refused_whether_one_is_recognised_or_not() {
        let world = World::new(&[("a.yaml", ACCOUNTS)]);
        let store = stored(&world);
        for second in ["accounts: { a: { comment: x } }\n", "accounts: { a: { comment: y } }\n"] {
            world.write("b.yaml", second);
            let (_, said) = world.read(&store, true);
            assert!(said.len() == 1 && said[0].contains("resource/duplicate"), "{said:?}");
            world.counts(&store);
        }
    }

    #[test]
    fn what_is_gone_or_read_otherwise_is_forgotten() {
        let world = World::new(&[("a.yaml", ACCOUNTS), ("b.yaml", "accounts: { d: {} }\n")]);
        let none = Inventory::default();
        world.read(&none, true);
        assert_eq!(world.memory.len(), 2);
        std::fs::remove_file(world.path().join("b.yaml")).unwrap();
        world.read(&none, true);
        assert_eq!(world.memory.len(), 1);
        std::fs::rename(world.path().join("a.yaml"), world.path().join("c.yaml")).unwrap();
        let (draft, _) = world.read(&none, true);
        assert_eq!((world.memory.len(), draft.files), (1, vec!["c.yaml".to_owned()]));
        let of = |text: &str| {
            world.write("yubin.yaml", text);
            let tree = Tree::Folder(world.path().to_path_buf());
            settings(&read_project(&tree, None, &mut Diagnostics::default()).unwrap())
        };
        let before = of(PROJECT);
        assert_eq!(of(PROJECT), before);
        let other = of(&format!("{PROJECT}\n"));
        assert_ne!(other, before);
        assert!(!world.memory.known(&before).is_empty() && world.memory.known(&other).is_empty());
    }
}
