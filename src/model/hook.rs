//! Hooks: what is run or called for the effects of an apply, and for what a watcher has to tell.

use std::path::PathBuf;
use std::time::Duration;

use super::draft::Place;
use super::secret::SecretSource;

/// What a hook is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The sessions of a user end.
    Logout,
    /// The mail of an account is lost.
    PurgeMail,
    /// The connections of an account to the mail server end.
    Kick,
    /// A plan has been applied.
    Notify,
    /// A watcher cannot go on, or can again.
    Watch,
}

impl Trigger {
    pub const ALL: [Trigger; 5] = [Trigger::Logout, Trigger::PurgeMail, Trigger::Kick, Trigger::Notify, Trigger::Watch];

    /// Of the first three, as `Effect::name` says it.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::Logout => "logout",
            Trigger::PurgeMail => "purge_mail",
            Trigger::Kick => "kick",
            Trigger::Notify => "notify",
            Trigger::Watch => "watch",
        }
    }

    pub fn parse(name: &str) -> Option<Trigger> {
        Trigger::ALL.into_iter().find(|trigger| trigger.name() == name)
    }
}

/// An entry of `hooks:`.
#[derive(Clone, Debug)]
pub struct Hook {
    pub name: String,
    pub on: Vec<Trigger>,
    pub how: How,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The file that names it, and where.
    pub file: String,
    pub place: Place,
    /// What its paths are relative to.
    pub base: PathBuf,
    /// It comes from another file than the project's own: that one, and all beside it, is not trusted.
    pub foreign: bool,
}

#[derive(Clone, Debug)]
pub enum How {
    /// A program and its arguments, with placeholders, and the variables that it is given besides.
    Command { words: Vec<String>, variables: Vec<String> },
    /// An address, and what calls are signed with: `Env` or `File`.
    Webhook { url: String, secret: Option<SecretSource> },
}

impl Hook {
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    pub const LONGEST: Duration = Duration::from_secs(10 * 60);

    pub fn is_for(&self, trigger: Trigger) -> bool {
        self.on.contains(&trigger)
    }

    /// Whether it is for an effect of this name.
    pub fn carries_out(&self, effect: &str) -> bool {
        let is_effect = |trigger: &&Trigger| !matches!(trigger, Trigger::Notify | Trigger::Watch);
        self.on.iter().filter(is_effect).any(|trigger| trigger.name() == effect)
    }

    /// Whether an apply has something for it.
    pub fn is_delivered(&self) -> bool {
        self.on.iter().any(|trigger| *trigger != Trigger::Watch)
    }

    /// The variable that holds its secret.
    pub fn variable(&self) -> Option<&str> {
        match &self.how {
            How::Webhook { secret: Some(SecretSource::Env(name)), .. } => Some(name),
            _ => None,
        }
    }

    /// `30s`, `2m`: from 1 s to 10 min.
    pub fn parse_timeout(word: &str) -> Option<Duration> {
        let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            _ => return None,
        };
        let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number)?;
        let timeout = Duration::from_secs(number * seconds);
        (!timeout.is_zero() && timeout <= Hook::LONGEST).then_some(timeout)
    }
}

/// What stands for a part of the event in the arguments of a command.
pub const PLACEHOLDERS: [&str; 6] = ["user", "address", "effect", "revision", "event", "mail"];

/// Parts of an argument: text as it is, or the number of a placeholder.
pub fn parts(word: &str) -> Vec<Result<&str, usize>> {
    let mut parts = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(open) = word[from..].find('{').map(|at| from + at) {
        let inside = word[open + 1..].find('}').map(|end| &word[open + 1..open + 1 + end]);
        match inside.and_then(|inside| PLACEHOLDERS.iter().position(|name| *name == inside)) {
            Some(which) => {
                if start < open {
                    parts.push(Ok(&word[start..open]));
                }
                parts.push(Err(which));
                from = open + 2 + PLACEHOLDERS[which].len();
                start = from;
            }
            None => from = open + 1,
        }
    }
    if start < word.len() {
        parts.push(Ok(&word[start..]));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found() {
        let shown = |word: &str| -> Vec<String> {
            let part = |part: Result<&str, usize>| part.map_or_else(|which| format!("<{which}>"), str::to_owned);
            parts(word).into_iter().map(part).collect()
        };
        for (word, expected) in [
            ("", &[][..]),
            ("x", &["x"]),
            ("{user}", &["<0>"]),
            ("a{user}b{event}", &["a", "<0>", "b", "<4>"]),
            ("{{user}}", &["{", "<0>", "}"]),
            ("{ user }{usr}{", &["{ user }{usr}{"]),
            ("{\"a\": \"{effect}\"}", &["{\"a\": \"", "<2>", "\"}"]),
            ("受{address}信", &["受", "<1>", "信"]),
        ] {
            assert_eq!(shown(word), expected, "{word}");
        }
    }

    #[test]
    fn a_timeout_has_a_unit_and_an_end() {
        let seconds = |word: &str| Hook::parse_timeout(word).map(|timeout| timeout.as_secs());
        for (word, expected) in [("1s", 1), ("30s", 30), ("600s", 600), ("2m", 120), ("10m", 600)] {
            assert_eq!(seconds(word), Some(expected), "{word}");
        }
        for word in ["", "s", "30", "0s", "11m", "601s", "-1s", "1.5s", "1h", "+1s", "1 s", "1秒"] {
            assert_eq!(seconds(word), None, "{word}");
        }
    }
}
