//! Rules about texts that are data: length, characters, what a name or a password must hold.

use crate::model::TextLimits;
use crate::system::TextRule;

/// A product's rule as the project overrides it.
pub struct Effective<'a> {
    min: usize,
    max: usize,
    chars: &'a str,
    edges: &'a str,
    letter: bool,
    digit: bool,
    pub not_equal: &'static [&'static str],
    /// Whether nothing but an unverified rule says so.
    pub unverified: bool,
    pub source: String,
}

impl<'a> Effective<'a> {
    pub fn new(rule: &'a TextRule, given: &'a TextLimits) -> Effective<'a> {
        let overridden = given.min.is_some()
            || given.max.is_some()
            || given.chars.is_some()
            || given.edges.is_some()
            || given.letter.is_some()
            || given.digit.is_some();
        Effective {
            min: given.min.unwrap_or(rule.min),
            max: given.max.unwrap_or(rule.max),
            chars: given.chars.as_deref().unwrap_or(rule.chars),
            // Whoever overrides the characters means the first and the last too.
            edges: match (&given.edges, &given.chars) {
                (Some(edges), _) => edges,
                (None, Some(_)) => "",
                (None, None) => rule.edges,
            },
            letter: given.letter.unwrap_or(rule.letter),
            digit: given.digit.unwrap_or(rule.digit),
            not_equal: rule.not_equal,
            unverified: !rule.verified,
            source: if overridden {
                format!("`rules:` of yubin.yaml, and {}", rule.source)
            } else {
                rule.source.to_owned()
            },
        }
    }

    pub fn allows(&self, c: char) -> bool {
        holds(self.chars, c)
    }

    /// At the least and at the most, in characters.
    pub fn lengths(&self) -> (usize, usize) {
        (self.min, self.max)
    }

    /// What is wrong with the text, without repeating it.
    pub fn flaw(&self, text: &str) -> Option<String> {
        let count = text.chars().count();
        if count < self.min || count > self.max {
            return Some(format!("it has {count} characters, and {} to {} are allowed", self.min, self.max));
        }
        if text.chars().any(|c| !holds(self.chars, c)) {
            return Some(format!("only `{}` are allowed in it", self.chars));
        }
        let edges = if self.edges.is_empty() { self.chars } else { self.edges };
        let ends = [text.chars().next(), text.chars().next_back()];
        if ends.into_iter().flatten().any(|c| !holds(edges, c)) {
            return Some(format!("only `{edges}` may stand first and last"));
        }
        if self.letter && !text.chars().any(|c| c.is_ascii_alphabetic()) {
            return Some("it holds no letter".to_owned());
        }
        if self.digit && !text.chars().any(|c| c.is_ascii_digit()) {
            return Some("it holds no digit".to_owned());
        }
        None
    }
}

/// Whether a set in the notation of a regular expression's brackets holds the character.
fn holds(set: &str, c: char) -> bool {
    let chars: Vec<char> = set.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        // A hyphen between two characters makes a range, any other one is itself.
        if at + 2 < chars.len() && chars[at + 1] == '-' {
            if (chars[at]..=chars[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if chars[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_in_a_regular_expression() {
        for (set, within, without) in
            [("A-Za-z0-9._-", "Az09._-", " /@é"), ("a-c-", "abc-", "dA"), ("-a", "-a", "b"), ("", "", "a")]
        {
            assert!(within.chars().all(|c| holds(set, c)), "{set}");
            assert!(!without.chars().any(|c| holds(set, c)), "{set}");
        }
    }
}
