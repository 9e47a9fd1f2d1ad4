//! What a project allows: the `policy:` of `yubin.yaml`.

use std::fmt;

use super::kind::Address;

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

#[derive(Clone, Debug)]
pub struct Policy {
    pub existing: Existing,
    pub undeclared: Undeclared,
    pub max_deletes: Limit,
    pub max_overwrites: Option<Limit>,
    pub protect: Vec<Address>,
    pub plaintext_secrets: PlaintextSecrets,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            existing: Existing::default(),
            undeclared: Undeclared::default(),
            max_deletes: Limit::Percent(3_000),
            max_overwrites: None,
            protect: Vec::new(),
            plaintext_secrets: PlaintextSecrets::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
