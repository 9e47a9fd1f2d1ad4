//! Rules about passwords of mailboxes. They need the password itself, so they hold where it is sealed;
//! what they say never repeats it.

use super::text::Effective;
use crate::model::{Clear, Given};
use crate::system::System;

/// What is known of the account whose password is judged.
pub struct Known<'a> {
    pub name: &'a str,
    /// Whether the provider has changed the password by force, and waits for a new one.
    pub forced: bool,
    /// The passwords that were in force when that happened, ever.
    pub abused: Vec<Clear>,
}

/// Code, message and hint.
pub type Flaw = (&'static str, String, &'static str);

/// What is wrong with the password of an account.
pub fn password(system: &System, given: &Given, known: &Known<'_>, new: &Clear) -> Option<Flaw> {
    let text = new.expose();
    if let Some(rule) = &system.accounts.password {
        let rule = Effective::new(rule, &given.password);
        let forbidden = |what: &&str| match *what {
            "name" => text.eq_ignore_ascii_case(known.name),
            "domain" => given.domain.as_deref().is_some_and(|domain| text.eq_ignore_ascii_case(domain)),
            _ => false,
        };
        let equal = rule.not_equal.iter().find(|what| forbidden(what));
        let flaw = rule.flaw(text).or_else(|| equal.map(|what| format!("it is the {what} itself")));
        if let Some(flaw) = flaw {
            let unverified = if rule.unverified { ", unverified" } else { "" };
            let message = format!("the password breaks a rule: {flaw} ({}{unverified})", rule.source);
            return Some((
                "cpi/password",
                message,
                "if the plan allows it, say so with `rules: password:` in yubin.yaml",
            ));
        }
    }
    let any = |is: fn(&str, &str) -> bool| known.abused.iter().any(|old| is(old.expose(), text));
    let reason = if any(|old, new| old == new) {
        "it is the one that was abused"
    } else if any(similar) {
        "it resembles the one that was abused"
    } else if known.forced && guessable(text, known.name, given.domain.as_deref()) {
        "it is easily guessed"
    } else {
        return None;
    };
    let message =
        format!("the provider has changed this password by force, and the new one will not do: {reason} (002:100)");
    Some(("cpi/forced-password", message, "write one that has nothing in common with the old one"))
}

/// Whether one is made of the other by a few strokes, or keeps a good part of it.
fn similar(old: &str, new: &str) -> bool {
    let (old, new) = (old.to_lowercase(), new.to_lowercase());
    let longest = old.chars().count().max(new.chars().count());
    strsim::damerau_levenshtein(&old, &new) * 3 <= longest
        || shared(&old, &new) * 2 >= old.chars().count().max(8)
        || old.chars().rev().eq(new.chars())
        || (old.len() == new.len() && old.repeat(2).contains(&new))
}

/// Characters of the longest text that stands in both.
fn shared(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before = vec![0; other.len() + 1];
    let mut longest = 0;
    for c in one.chars() {
        let mut row = vec![0; other.len() + 1];
        for (at, d) in other.iter().enumerate() {
            if c == *d {
                row[at + 1] = before[at] + 1;
                longest = longest.max(row[at + 1]);
            }
        }
        before = row;
    }
    longest
}

/// zxcvbn's score from 0 to 4: below 3 a password falls to a determined guesser.
fn guessable(text: &str, name: &str, domain: Option<&str>) -> bool {
    let context: Vec<&str> = std::iter::once(name).chain(domain).collect();
    u8::from(zxcvbn::zxcvbn(text, &context).score()) < 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_resembles_the_old_one_is_found() {
        for (old, new) in [
            ("Sakura2024", "Sakura2025"),
            ("sakura2024", "2024SAKURA"),
            ("sakura-10", "01-arukas"),
            ("abcd1234", "abcd12345"),
            ("xq7mvw2tlk9Z", "lk9Zxq7mvw2t"),
            ("xq7mvw2tlk9Z", "xq7mvw2-Hd.RbP7"),
        ] {
            assert!(similar(old, new), "{old} {new}");
        }
        for (old, new) in [("Sakura2024", "vT9-kq_Lm4xZ"), ("abc12345", "zq81-PmmW.t")] {
            assert!(!similar(old, new), "{old} {new}");
        }
        assert!(guessable("password1", "taro", None));
        assert!(guessable("taro2024", "taro", None));
        assert!(!guessable("vT9-kq_Lm4xZ", "taro", Some("example.jp")));
    }
}
