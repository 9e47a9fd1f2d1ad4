//! `migrations:`.

use globset::GlobBuilder;

use super::{Look, outside};
use crate::format::node::{Content, Entry, Node};
use crate::model::migration::{Chosen, Migration, Named, Naming, Username};
use crate::model::probe::is_recipient;
use crate::model::{Address, Key as ResourceKey, Kind, Place};

pub const MIGRATION_KEYS: [&str; 9] =
    ["from", "to", "accounts", "as", "username", "backup", "domains", "probe", "send"];

const FORM: &str = "as in `to-new-host: { from: old-server, to: new-server }`";

impl Look<'_> {
    pub(super) fn migrations(&mut self, node: Node) {
        if node.is_null() {
            return;
        }
        let found = node.what();
        let Content::Map(entries) = node.content else {
            let message = format!("`migrations` is a mapping of names, not {found}");
            self.problem("value/type", message, node.place, FORM);
            return;
        };
        for Entry { key, key_place, value } in entries {
            let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            if key.is_empty() || key.chars().count() > 64 || !key.chars().all(fine) {
                let message = "the name of a migration has 1 to 64 letters, digits, `-` and `_`";
                self.problem("project/value", message, key_place, "");
                continue;
            }
            let migration = self.migration(key.to_string(), key_place, value);
            self.project.migrations.extend(migration);
        }
    }

    fn migration(&mut self, name: String, place: Place, node: Node) -> Option<Migration> {
        let found = node.what();
        let Content::Map(entries) = node.content else {
            self.problem("value/type", format!("a migration is a mapping, not {found}"), node.place, FORM);
            return None;
        };
        let mut migration = Migration {
            name,
            place,
            from: Named::default(),
            to: Named::default(),
            accounts: Chosen::All,
            naming: Naming::parse("{name}-new").ok()?,
            username: Username::parse("{username}").ok()?,
            backup: "backups".to_owned(),
            domains: Vec::new(),
            probe: None,
            send: None,
        };
        for Entry { key, key_place, value } in entries {
            self.migration_key(&key, key_place, value, &mut migration);
        }
        for (key, named) in [("from", &migration.from), ("to", &migration.to)] {
            if named.name.is_empty() {
                let message = format!("this migration has no `{key}`, the name of a server");
                self.problem("project/value", message, place, FORM);
            }
        }
        if !migration.from.name.is_empty() && migration.from.name == migration.to.name {
            let place = migration.to.place;
            self.problem("project/value", "the new server is the old one", place, "name two servers");
        }
        Some(migration)
    }

    fn migration_key(&mut self, key: &str, key_place: Place, value: Node, to: &mut Migration) {
        match key {
            "from" => to.from = self.server_name(&value, "from").unwrap_or_default(),
            "to" => to.to = self.server_name(&value, "to").unwrap_or_default(),
            "accounts" => to.accounts = self.chosen(value).unwrap_or(Chosen::All),
            "as" => {
                let Some(word) = self.word(&value, "as") else { return };
                match Naming::parse(&word) {
                    Ok(naming) => to.naming = naming,
                    Err(wrong) => self.problem("project/value", wrong, value.place, "as in `as: \"{name}-new\"`"),
                }
            }
            "username" => {
                let Some(word) = self.word(&value, "username") else { return };
                match Username::parse(&word) {
                    Ok(username) => to.username = username,
                    Err(wrong) => {
                        self.problem("project/value", wrong, value.place, "as in `username: \"{address}\"`");
                    }
                }
            }
            "backup" => {
                let Some(word) = self.word(&value, "backup") else { return };
                let path = word.trim_start_matches("./").trim_end_matches('/');
                if path.is_empty() || path == "." || outside(path) {
                    let message = "backups are written to a folder inside the project";
                    self.problem("project/value", message, value.place, "as in `backup: backups`");
                } else {
                    path.clone_into(&mut to.backup);
                }
            }
            "domains" => to.domains = self.domains(value),
            "probe" => {
                let Some(word) = self.word(&value, "probe") else { return };
                match word.parse::<usize>() {
                    _ if word == "all" => to.probe = None,
                    Ok(count) if (1..=1_000_000).contains(&count) => to.probe = Some(count),
                    _ => {
                        let message = "`probe` is `all`, or how many entries are probed, from 1";
                        self.problem("project/value", message, value.place, "");
                    }
                }
            }
            "send" => {
                let Some(word) = self.word(&value, "send") else { return };
                if is_recipient(&word) {
                    to.send = Some(word);
                } else {
                    let message = "`send` is `self`, or a mail address without blanks, `<` and `>`";
                    self.problem("project/value", message, value.place, "as in `send: self`");
                }
            }
            _ => self.unknown(key, key_place, "a migration", MIGRATION_KEYS.to_vec()),
        }
    }

    fn server_name(&mut self, node: &Node, what: &str) -> Option<Named> {
        let name = self.word(node, what)?;
        let address = Address::new(Kind::Server, ResourceKey::single(&name));
        if name.is_empty() || Address::parse(&address.to_string()) != Ok(address) {
            self.problem("project/value", "this is no name of a server", node.place, FORM);
            return None;
        }
        Some(Named { name, place: node.place })
    }

    fn placed_words(&mut self, node: Node, what: &str, hint: &str) -> Option<Vec<(String, Place)>> {
        let found = node.what();
        let Content::List(items) = node.content else {
            self.problem("value/type", format!("`{what}` is a list, not {found}"), node.place, hint);
            return None;
        };
        let words = items.iter().filter_map(|item| Some((self.word(item, what)?, item.place)));
        Some(words.collect())
    }

    fn chosen(&mut self, node: Node) -> Option<Chosen> {
        if !matches!(node.content, Content::List(_)) && self.word(&node, "accounts")? == "all" {
            return Some(Chosen::All);
        }
        let place = node.place;
        let names = self.placed_words(node, "accounts", "`all`, or as in `[info, sales-*]`")?;
        if names.is_empty() {
            self.problem("project/value", "no account is named", place, "`all`, or as in `[info, sales-*]`");
        }
        for (name, place) in &names {
            if let Err(error) = GlobBuilder::new(name).literal_separator(true).build() {
                let message = format!("not a pattern of names: {}", error.kind());
                self.problem("project/value", message, *place, "");
            }
        }
        Some(Chosen::Named(names.into_iter().map(|(name, _)| name).collect()))
    }

    fn domains(&mut self, node: Node) -> Vec<String> {
        const HINT: &str = "as in `[example.jp]`";
        let words = self.placed_words(node, "domains", HINT).unwrap_or_default();
        let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        for (word, place) in &words {
            if word.is_empty() || word.len() > 253 || !word.chars().all(fine) {
                self.problem("project/value", "this is no name of a domain", *place, HINT);
            }
        }
        words.into_iter().map(|(word, _)| word).collect()
    }

    /// What depends on the product.
    pub(super) fn fit_migrations(&mut self) {
        let system = self.project.system;
        if system.manages(Kind::Server) {
            return;
        }
        let places: Vec<Place> = self.project.migrations.iter().map(|one| one.place).collect();
        for place in places {
            let message = format!("{} has no servers that accounts could move between", system.product);
            self.problem("project/value", message, place, "overwrite the settings of the accounts themselves");
        }
    }
}
