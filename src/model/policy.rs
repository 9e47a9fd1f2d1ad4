//! What a project allows: the `policy:` and the `secrets:` of `yubin.yaml`.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::kind::Address;
use super::probe::Demand;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Existing {
    #[default]
    Overwrite,
    Skip,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Undeclared {
    #[default]
    Keep,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PlaintextSecrets {
    Deny,
    #[default]
    Warn,
    Allow,
}

/// How many resources of a kind a plan may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Count(u64),
    /// Of what the project owns of the kind, in hundredths of a percent; from 10 resources on.
    Percent(u64),
}

impl Limit {
    /// A percentage of fewer resources than this says nothing: 30 % of 2 is 0.
    pub const PERCENT_FROM: u64 = 10;

    /// `10`, `"30%"`, `"2.5%"`.
    pub fn parse(word: &str) -> Option<Limit> {
        let digits = |text: &str| -> Option<u64> {
            (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let Some(percent) = word.strip_suffix('%') else {
            return digits(word).map(Limit::Count);
        };
        let (whole, part) = percent.trim_end().split_once('.').unwrap_or((percent.trim_end(), "0"));
        let part = match part.len() {
            1 => digits(part)? * 10,
            2 => digits(part)?,
            _ => return None,
        };
        let hundredths = digits(whole)?.checked_mul(100)? + part;
        (hundredths <= 10_000).then_some(Limit::Percent(hundredths))
    }

    pub fn allows(self, touched: u64, owned: u64) -> bool {
        match self {
            Limit::Count(most) => touched <= most,
            Limit::Percent(most) => owned < Limit::PERCENT_FROM || touched * 10_000 <= most * owned,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Limit::Count(count) => write!(f, "{count}"),
            Limit::Percent(hundredths) if hundredths % 100 == 0 => write!(f, "{} %", hundredths / 100),
            Limit::Percent(hundredths) => write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100),
        }
    }
}

/// How many resources a plan may touch, all limits at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// By `Kind as usize`: of each kind alone.
    pub kinds: [Option<Limit>; 3],
    /// Of what each source file declares.
    pub file: Option<Limit>,
    /// Of what each owner has, all kinds together.
    pub owner: Option<Limit>,
}

impl Limits {
    pub const fn of_each_kind(limit: Option<Limit>) -> Limits {
        Limits { kinds: [limit; 3], file: None, owner: None }
    }
}

/// How long a resource that is deleted can be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    count: u32,
    /// Index into `UNITS`.
    unit: usize,
}

impl Grace {
    /// With their seconds.
    const UNITS: [(char, u64); 3] = [('w', 7 * 24 * 3600), ('d', 24 * 3600), ('h', 3600)];

    /// `14d`, `2w`, `12h`.
    pub fn parse(word: &str) -> Option<Grace> {
        let unit = Grace::UNITS.into_iter().position(|(unit, _)| word.ends_with(unit))?;
        let number = &word[..word.len() - 1];
        let is_number = !number.is_empty() && number.len() <= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
        let count = number.parse().ok().filter(|count| is_number && *count > 0)?;
        Some(Grace { count, unit })
    }

    pub fn seconds(self) -> u64 {
        u64::from(self.count) * Grace::UNITS[self.unit].1
    }
}

impl fmt::Display for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, Grace::UNITS[self.unit].0)
    }
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub existing: Existing,
    pub undeclared: Undeclared,
    pub max_deletes: Limits,
    pub max_overwrites: Limits,
    /// `None`: what is deleted is gone at once.
    pub grace: Option<Grace>,
    pub protect: Vec<Address>,
    pub plaintext_secrets: PlaintextSecrets,
    pub passwords: PasswordPolicy,
    pub probe: Demand,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            existing: Existing::default(),
            undeclared: Undeclared::default(),
            max_deletes: Limits::of_each_kind(Some(Limit::Percent(3_000))),
            max_overwrites: Limits::of_each_kind(None),
            grace: None,
            protect: Vec::new(),
            plaintext_secrets: PlaintextSecrets::default(),
            passwords: PasswordPolicy::default(),
            probe: Demand::default(),
        }
    }
}

/// How the password of a mailbox is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scheme {
    #[default]
    Argon2id,
    BlfCrypt,
    Sha512Crypt,
}

impl Scheme {
    pub const ALL: [Scheme; 3] = [Scheme::Argon2id, Scheme::BlfCrypt, Scheme::Sha512Crypt];

    /// As Dovecot calls it.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Argon2id => "ARGON2ID",
            Scheme::BlfCrypt => "BLF-CRYPT",
            Scheme::Sha512Crypt => "SHA512-CRYPT",
        }
    }
}

/// What a new password of a mailbox must be, beside the rules of the product.
#[derive(Clone, Debug, Default)]
pub struct PasswordPolicy {
    pub scheme: Scheme,
    /// Characters.
    pub min_length: usize,
    /// How many of lower case, upper case, digits and others it needs.
    pub classes: usize,
    /// The least score of zxcvbn, from 0 to 4.
    pub score: u8,
    /// How many passwords before the current one must not come back.
    pub history: Option<usize>,
}

/// What `secrets:` allows and names.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Commands that may be run. `*` stands for any one word that is no option.
    pub commands: Vec<Vec<String>>,
    /// Files and folders outside the project from which secrets may be read.
    pub paths: Vec<String>,
    /// Public keys of age or SSH.
    pub recipients: Vec<String>,
    /// Files of age identities, or private keys of SSH.
    pub identities: Vec<String>,
    /// Where files of the project may really stand, all links followed: the project and what `paths` allows.
    pub real: Vec<PathBuf>,
    /// It comes from another file than the project's own: that one, and all beside it, is not trusted.
    pub foreign: bool,
}

impl Trust {
    pub fn allows_command(&self, words: &[String]) -> bool {
        let fits = |(allowed, word): (&String, &String)| {
            allowed == word || (allowed == "*" && !word.is_empty() && !word.starts_with('-'))
        };
        // A program is always named.
        let fits_all = |allowed: &Vec<String>| {
            allowed.len() == words.len() && allowed.first() == words.first() && allowed.iter().zip(words).all(fits)
        };
        self.commands.iter().any(fits_all)
    }

    /// Whether a file may be read, by its path without links.
    pub fn allows_real(&self, real: &Path) -> bool {
        self.real.iter().any(|allowed| real.starts_with(allowed))
    }

    /// Whether a secret may be read from the path, by its words alone: links are followed where it is read.
    pub fn allows_path(&self, root: &Path, path: &str) -> bool {
        let path = plain(&root.join(path));
        path.starts_with(plain(root)) || self.paths.iter().any(|allowed| path.starts_with(plain(&root.join(allowed))))
    }
}

/// The path without `.` and `..`.
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_allowed_word_by_word() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let trust = Trust { commands: vec![words("pass show *"), words("get")], ..Trust::default() };
        for (command, allowed) in [
            ("pass show mail/taro", true),
            ("get", true),
            ("pass show", false),
            ("pass show a b", false),
            ("pass show -c", false),
            ("pass rm mail/taro", false),
            ("./pass show x", false),
            ("get x", false),
            ("*", false),
        ] {
            assert_eq!(trust.allows_command(&words(command)), allowed, "{command}");
        }
        assert!(!trust.allows_command(&[]));
        let all = Trust { commands: vec![words("*")], ..Trust::default() };
        assert!(!all.allows_command(&words("sh")));
    }

    #[test]
    fn a_path_is_allowed_by_its_folders() {
        let trust = Trust { paths: vec!["/run/secrets".to_owned(), "../shared".to_owned()], ..Trust::default() };
        for (path, allowed) in [
            ("pw", true),
            ("./a/../pw", true),
            ("/srv/mail/pw", true),
            ("/run/secrets/pw", true),
            ("../shared/pw", true),
            ("../shared/../other/pw", false),
            ("/run/secrets-of-others/pw", false),
            ("/run/secrets/../pw", false),
            ("../pw", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(trust.allows_path(Path::new("/srv/mail"), path), allowed, "{path}");
        }
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let limit = Limit::parse("30%").unwrap();
        for (touched, owned, allowed) in [
            (3, 10, true),
            (4, 10, false),
            (29, 100, true),
            (30, 100, true),
            (31, 100, false),
            (9, 9, true),
            (0, 0, true),
        ] {
            assert_eq!(limit.allows(touched, owned), allowed, "{touched} of {owned}");
        }
        let limit = Limit::parse("10").unwrap();
        for (touched, allowed) in [(9, true), (10, true), (11, false)] {
            assert_eq!(limit.allows(touched, 5), allowed);
        }
        assert!(!Limit::parse("0").unwrap().allows(1, 1_000));
        assert!(!Limit::parse("2.5%").unwrap().allows(3, 100));
        for wrong in ["", "%", "-1", "101%", "1.234%", "ten", "1e2", "+5"] {
            assert_eq!(Limit::parse(wrong), None, "{wrong}");
        }
    }
}
