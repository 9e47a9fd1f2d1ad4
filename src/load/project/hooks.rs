//! `hooks:`.

use std::path::Path;

use reqwest::Url;

use super::{Look, Project};
use crate::format::node::{Content, Entry, Node};
use crate::format::secret::secret_form;
use crate::model::diagnostic::did_you_mean;
use crate::model::hook::{Hook, How, PLACEHOLDERS, Trigger};
use crate::model::policy::plain;
use crate::model::{Place, SecretSource, Severity};
use crate::net;

pub const HOOK_KEYS: [&str; 7] = ["name", "on", "command", "env", "webhook", "secret", "timeout"];

/// A hook as far as it is read.
struct Draft {
    name: Option<String>,
    on: Option<Vec<Trigger>>,
    command: Option<Vec<String>>,
    variables: Option<(Vec<String>, Place)>,
    webhook: Option<String>,
    secret: Option<(SecretSource, Place)>,
    timeout: std::time::Duration,
}

/// The hooks of another file than the project's own.
pub fn foreign(hooks: Vec<Hook>, root: &Path, file: &Path) -> Vec<Hook> {
    let base = file.parent().unwrap_or(root);
    hooks.into_iter().map(|hook| Hook { foreign: true, base: plain(base), ..hook }).collect()
}

impl Look<'_> {
    pub(super) fn hooks(&mut self, node: Node) {
        if node.is_null() {
            return;
        }
        let found = node.what();
        let Content::List(items) = node.content else {
            let hint = "as in `[{ name: kick, on: [logout], command: [doveadm, kick, \"{user}\"] }]`";
            self.problem("value/type", format!("`hooks` is a list of hooks, not {found}"), node.place, hint);
            return;
        };
        for item in items {
            let said = self.diagnostics.count(Severity::Error);
            let place = item.place;
            let hook = self.hook(item);
            if self.diagnostics.count(Severity::Error) > said {
                continue;
            }
            let Some(hook) = hook else { continue };
            if self.project.hooks.iter().any(|other| other.name == hook.name) {
                let message = "another hook has this name already";
                self.problem("project/value", message, place, "what a hook has done is kept under its name");
                continue;
            }
            self.project.hooks.push(hook);
        }
    }

    fn hook(&mut self, item: Node) -> Option<Hook> {
        let (place, found) = (item.place, item.what());
        let Content::Map(entries) = item.content else {
            self.problem("value/type", format!("a hook is a mapping, not {found}"), place, "");
            return None;
        };
        let mut draft = Draft {
            name: None,
            on: None,
            command: None,
            variables: None,
            webhook: None,
            secret: None,
            timeout: Hook::TIMEOUT,
        };
        let before = self.diagnostics.count(Severity::Error);
        for Entry { key, key_place, value } in entries {
            match key.as_str() {
                "name" => draft.name = self.hook_name(&value),
                "on" => draft.on = self.triggers(value),
                "command" => draft.command = self.hook_command(value),
                "env" => draft.variables = self.variables(value),
                "webhook" => draft.webhook = self.webhook(&value),
                "secret" => draft.secret = self.hook_secret(value),
                "timeout" => {
                    let Some(word) = self.word(&value, "timeout") else { continue };
                    if let Some(timeout) = Hook::parse_timeout(&word) {
                        draft.timeout = timeout;
                    } else {
                        let message = "a `timeout` is a time from 1s to 10m";
                        self.problem("project/value", message, value.place, "as in `timeout: 30s`");
                    }
                }
                _ => self.unknown(&key, key_place, "a hook", HOOK_KEYS.to_vec()),
            }
        }
        if self.diagnostics.count(Severity::Error) > before {
            return None;
        }
        self.whole_hook(draft, place)
    }

    fn whole_hook(&mut self, draft: Draft, place: Place) -> Option<Hook> {
        let mut lacks = |message: &str, hint: &str| {
            self.problem("project/value", message, place, hint);
            None
        };
        let Some(name) = draft.name else { return lacks("this hook has no `name`", "") };
        let Some(on) = draft.on else {
            return lacks("this hook has no `on`", "as in `on: [logout]`: what it is run for");
        };
        let how = match (draft.command, draft.webhook) {
            (Some(words), None) => {
                if let Some((_, place)) = draft.secret {
                    let message = "`secret` is for a `webhook`, whose calls are signed with it";
                    self.problem("project/value", message, place, "a command finds its own secrets");
                    return None;
                }
                How::Command { words, variables: draft.variables.unwrap_or_default().0 }
            }
            (None, Some(url)) => {
                if let Some((_, place)) = draft.variables {
                    let message = "`env` is for a `command`: variables that it is given";
                    self.problem("project/value", message, place, "");
                    return None;
                }
                How::Webhook { url, secret: draft.secret.map(|(secret, _)| secret) }
            }
            (None, None) => return lacks("this hook has neither `command` nor `webhook`", ""),
            (Some(_), Some(_)) => {
                return lacks("this hook has both `command` and `webhook`", "write two hooks");
            }
        };
        let Project { root, .. } = self.project;
        let (file, base) = (self.name.to_owned(), root.clone());
        Some(Hook { name, on, how, timeout: draft.timeout, file, place, base, foreign: false })
    }

    fn hook_name(&mut self, node: &Node) -> Option<String> {
        let word = self.word(node, "name")?;
        let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if word.is_empty() || word.chars().count() > 64 || !word.chars().all(fine) {
            let message = "a hook's name has 1 to 64 letters, digits, `-`, `_` and `.`";
            self.problem("project/value", message, node.place, "");
            return None;
        }
        Some(word)
    }

    fn triggers(&mut self, node: Node) -> Option<Vec<Trigger>> {
        let place = node.place;
        let found = node.what();
        let Content::List(items) = node.content else {
            let message = format!("`on` is a list of effects, not {found}");
            self.problem("value/type", message, place, "as in `on: [logout, purge_mail]`");
            return None;
        };
        if items.is_empty() {
            self.problem("project/value", "a hook is for one effect at the least", place, "as in `on: [logout]`");
        }
        let mut on = Vec::new();
        for item in items {
            let word = self.word(&item, "on")?;
            match Trigger::parse(&word) {
                Some(trigger) if on.contains(&trigger) => {
                    self.problem("project/value", format!("`{word}` stands twice in `on`"), item.place, "");
                }
                Some(trigger) => on.push(trigger),
                None => self.wrong_word(&word, "on", &Trigger::ALL.map(Trigger::name), item.place),
            }
        }
        Some(on)
    }

    fn hook_command(&mut self, node: Node) -> Option<Vec<String>> {
        const HINT: &str = "as in `[doveadm, kick, \"{user}\"]`: a program and its arguments, word by word";
        let place = node.place;
        let places: Vec<Place> = match &node.content {
            Content::List(items) => items.iter().map(|item| item.place).collect(),
            _ => Vec::new(),
        };
        let words = self.words(node)?;
        match words.first() {
            None => self.problem("project/value", "a command without a program", place, HINT),
            Some(program) if program.is_empty() || program.contains('{') => {
                self.problem("project/value", "the program of a command is named by itself", place, HINT);
            }
            Some(_) => {}
        }
        for (word, place) in words.iter().zip(places).skip(1) {
            // Braces stand in many arguments; what is nearly a placeholder is meant to be one.
            for inside in word.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside) {
                if PLACEHOLDERS.contains(&inside) {
                    continue;
                }
                if let Some(near) = did_you_mean(inside, PLACEHOLDERS) {
                    let message = "this is no placeholder of a command";
                    self.problem("project/value", message, place, &format!("did you mean `{{{near}}}`?"));
                }
            }
        }
        Some(words)
    }

    fn variables(&mut self, node: Node) -> Option<(Vec<String>, Place)> {
        let place = node.place;
        let words = self.words(node)?;
        for word in &words {
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if word.is_empty() || !word.bytes().all(fine) || word.starts_with(|c: char| c.is_ascii_digit()) {
                let message = "the name of an environment variable is letters, digits and `_`";
                self.problem("project/value", message, place, "");
            } else if word.starts_with("YUBIN_") {
                let message = "variables of yubin's own are given to no hook";
                self.problem("project/value", message, place, "");
            }
        }
        Some((words, place))
    }

    /// The address may hold a secret of the service that it belongs to: it is not repeated.
    fn webhook(&mut self, node: &Node) -> Option<String> {
        let word = self.word(node, "webhook")?;
        let message = match Url::parse(&word) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "a user or password in the address of a webhook would be seen by everyone who reads this file"
            }
            Ok(url) if url.scheme() == "https" => return Some(word),
            Ok(url) if url.scheme() == "http" && net::is_loopback(&url) => return Some(word),
            Ok(url) if url.scheme() == "http" => {
                "over `http://` names of users would travel in clear: it is for this machine alone"
            }
            _ => "this is no address of a webhook",
        };
        self.problem("project/value", message, node.place, "as in `https://chat.example.jp/hooks/mail`");
        None
    }

    fn hook_secret(&mut self, node: Node) -> Option<(SecretSource, Place)> {
        const HINT: &str = "as in `secret: { env: HOOK_SECRET }` or `secret: { file: secrets/hook }`";
        let place = node.place;
        let mut entries = match node.content {
            Content::Map(entries) => entries,
            // It may be the secret itself.
            _ => Vec::new(),
        };
        let only = entries.pop().filter(|_| entries.is_empty());
        let Some(Entry { key, value, .. }) = only.filter(|only| matches!(only.key.as_str(), "env" | "file")) else {
            self.problem("secret/form", "the secret of a hook is `{ env: NAME }` or `{ file: PATH }`", place, HINT);
            return None;
        };
        let word = self.word(&value, "secret")?;
        match secret_form(&key, &word) {
            Some(Ok(SecretSource::Env(name))) if name.starts_with("YUBIN_") => {
                self.problem("secret/form", "variables of yubin's own are given to no hook", place, HINT);
                None
            }
            Some(Ok(source)) => Some((source, place)),
            Some(Err((code, message))) => {
                self.problem(code, message, place, HINT);
                None
            }
            None => None,
        }
    }
}
