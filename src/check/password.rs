//! Rules about passwords of mailboxes. They need the password itself, so they hold where it is sealed;
//! what they say never repeats it.

use super::text::Effective;
use crate::model::{Clear, Given};
use crate::system::System;

/// What is known of the account whose password is judged.
pub struct Known<'a> {
    pub name: &'a str,
    /// Set if the provider has changed the password by force: the password that was in force then, as far
    /// as it is known.
    pub forced: Option<Option<Clear>>,
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
    let old = known.forced.as_ref()?;
    let reason = if old.as_ref().is_some_and(|old| old.expose() == text) {
        "it is the one that was abused"
    } else if old.as_ref().is_some_and(|old| similar(old.expose(), text)) {
        "it resembles the one that was abused"
    } else if guessable(text, known.name, given.domain.as_deref()) {
        "it is easily guessed"
    } else {
        return None;
    };
    let message =
        format!("the provider has changed this password by force, and the new one will not do: {reason} (002:100)");
    Some(("cpi/forced-password", message, "write one that has nothing in common with the old one"))
}

/// Whether one is made of the other by a few strokes.
fn similar(old: &str, new: &str) -> bool {
    let (old, new) = (old.to_lowercase(), new.to_lowercase());
    let longest = old.chars().count().max(new.chars().count());
    let core = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
    let (old_core, new_core) = (core(&old), core(&new));
    let shares = |long: &str, short: &str| short.chars().count() >= 4 && long.contains(short);
    strsim::damerau_levenshtein(&old, &new) * 3 <= longest
        || shares(&new, &old_core)
        || shares(&old, &new_core)
        || old.chars().rev().eq(new.chars())
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
