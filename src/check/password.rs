//! Rules about passwords of mailboxes. They need the password itself, so they hold where it is sealed;
//! what they say never repeats it.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::text::Effective;
use crate::model::{Clear, Given, PasswordPolicy, Result, Scheme};
use crate::system::System;

/// A password of before. A hash is all that is left of it: one can only try.
pub trait Remembered {
    fn is(&self, text: &str) -> bool;

    /// Whether it is the text but for upper and lower case; the text is in lower case.
    fn is_folded(&self, lower: &str) -> bool;
}

/// What is known of the account whose password is judged.
pub struct Known<'a> {
    pub name: &'a str,
    /// Whether the provider has changed the password by force, and waits for a new one.
    pub forced: bool,
    /// The passwords that were in force when that happened, ever.
    pub abused: &'a [Box<dyn Remembered + 'a>],
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
    let reason = if known.abused.iter().any(|old| old.is(text)) {
        "it is the one that was abused"
    } else if known.abused.iter().any(|old| resembles(&**old, text, Effort::Thorough)) {
        "it resembles the one that was abused"
    } else if known.forced && score(text, &[known.name, given.domain.as_deref().unwrap_or_default()]) < 3 {
        // zxcvbn: below 3 a password falls to a determined guesser.
        "it is easily guessed"
    } else {
        return None;
    };
    let message =
        format!("the provider has changed this password by force, and the new one will not do: {reason} (002:100)");
    Some(("cpi/forced-password", message, "write one that has nothing in common with the old one"))
}

/// What the policy of the project has against a new password. `context` are names that it must not be
/// made of, `past` the current password and those before it.
pub fn quality(policy: &PasswordPolicy, context: &[&str], past: &[Box<dyn Remembered + '_>], new: &Clear) -> Vec<Flaw> {
    const HINT: &str = "`yubin secret generate` makes one that passes";
    /// bcrypt reads no further.
    const BCRYPT_BYTES: usize = 72;
    let text = new.expose();
    let mut flaws: Vec<Flaw> = Vec::new();
    if text.chars().count() < policy.min_length {
        let message =
            format!("the password is shorter than the {} characters that the policy demands", policy.min_length);
        flaws.push(("password/length", message, HINT));
    }
    if policy.scheme == Scheme::BlfCrypt && text.len() > BCRYPT_BYTES {
        let message = format!("the password is longer than the {BCRYPT_BYTES} bytes that BLF-CRYPT reads");
        flaws.push(("password/length", message, "take a shorter one, or another `policy: passwords: scheme:`"));
    }
    let classes = classes(text);
    if classes < policy.classes {
        let message = format!(
            "the password has {classes} of lower case, upper case, digits and other characters; the policy demands {}",
            policy.classes
        );
        flaws.push(("password/classes", message, HINT));
    }
    if policy.score > 0 && score(text, context) < policy.score {
        let message = format!(
            "the password is easily guessed: its score is below the {} of 4 that the policy demands",
            policy.score
        );
        flaws.push(("password/score", message, HINT));
    }
    if past.iter().any(|old| old.is(text)) {
        flaws.push(("password/history", "the password was in use before".to_owned(), HINT));
    } else if past.iter().any(|old| resembles(&**old, text, Effort::Quick)) {
        flaws.push(("password/history", "the password resembles one that was in use before".to_owned(), HINT));
    }
    flaws
}

/// A random password that product and policy take; `pick` gives a number below another at random. `None`
/// if none of that length does.
pub fn suggest(
    system: &System,
    given: &Given,
    policy: &PasswordPolicy,
    names: [&str; 3],
    length: Option<usize>,
    pick: &mut dyn FnMut(usize) -> Result<usize>,
) -> Result<Option<Clear>> {
    /// Characters that nobody takes for one another, and that need no quotes anywhere.
    const LETTERS: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_.";
    /// With these letters, some 117 bits.
    const LENGTH: usize = 20;
    /// Where one in a thousand would do, this misses it once in a lifetime.
    const TRIES: usize = 20_000;
    let rule = system.accounts.password.as_ref().map(|rule| Effective::new(rule, &given.password));
    let letters: Vec<char> = LETTERS.chars().filter(|c| rule.as_ref().is_none_or(|rule| rule.allows(*c))).collect();
    let (min, max) = rule.as_ref().map_or((1, 1_000), Effective::lengths);
    let length = length.unwrap_or_else(|| LENGTH.max(policy.min_length).max(min).min(max));
    if letters.is_empty() || length == 0 || length > 1_000 {
        return Ok(None);
    }
    let known = Known { name: names[0], forced: false, abused: &[] };
    for _ in 0..TRIES {
        let mut text = String::with_capacity(length);
        for _ in 0..length {
            text.push(letters[pick(letters.len())?]);
        }
        let clear = Clear::new(text);
        if password(system, given, &known, &clear).is_none() && quality(policy, &names, &[], &clear).is_empty() {
            return Ok(Some(clear));
        }
        // What is too short is so every time.
        if length < policy.min_length || !(min..=max).contains(&length) {
            break;
        }
    }
    Ok(None)
}

/// How many kinds of characters it is made of.
fn classes(text: &str) -> usize {
    let kinds: [fn(char) -> bool; 4] = [
        char::is_lowercase,
        char::is_uppercase,
        |c| c.is_ascii_digit(),
        |c| !c.is_lowercase() && !c.is_uppercase() && !c.is_ascii_digit(),
    ];
    kinds.into_iter().filter(|kind| text.chars().any(kind)).count()
}

/// zxcvbn's score, from 0 to 4.
fn score(text: &str, context: &[&str]) -> u8 {
    // Names are parted where people part them.
    let parts = |name: &&str| {
        let whole = std::iter::once((*name).to_owned());
        whole.chain(name.split(|c: char| !c.is_alphanumeric()).map(str::to_owned)).collect::<Vec<String>>()
    };
    let parts: HashSet<String> = context.iter().flat_map(parts).filter(|part| part.chars().count() > 1).collect();
    let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    parts.sort_unstable();
    u8::from(zxcvbn::zxcvbn(text, &parts).score())
}

/// How far similarity is looked for. All that is left of the old password is whether a text is it, so
/// the texts that one might have made the new one of are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Some ten thousand texts.
    Quick,
    /// Some millions.
    Thorough,
}

/// Whether the new password is what somebody makes of the old one who must change it: other case, a
/// letter or two, another number, turned round.
fn resembles(old: &dyn Remembered, new: &str, effort: Effort) -> bool {
    /// Longer ones are not made up by people; the texts near them would be too many.
    const MOST: usize = 40;
    let lower = Zeroizing::new(new.to_lowercase());
    let lower: Zeroizing<Vec<char>> = Zeroizing::new(lower.chars().take(MOST).collect());
    let mut work = Zeroizing::new(String::with_capacity(8 * MOST));
    let mut is = |text: &mut dyn Iterator<Item = char>| {
        work.clear();
        work.extend(text);
        old.is_folded(&work)
    };
    let whole =
        |text: &[char], is: &mut dyn FnMut(&mut dyn Iterator<Item = char>) -> bool| is(&mut text.iter().copied());
    let len = lower.len();
    let turned = is(&mut lower.iter().rev().copied())
        || (0..len).any(|at| is(&mut lower[at..].iter().chain(&lower[..at]).copied()))
        || is(&mut lower.iter().chain(lower.iter()).copied())
        || (len > 1
            && len.is_multiple_of(2)
            && lower[..len / 2] == lower[len / 2..]
            && whole(&lower[..len / 2], &mut is));
    if turned
        || edited(&lower, &mut |text| whole(text, &mut is))
        || renumbered(&lower, &mut |text| whole(text, &mut is))
    {
        return true;
    }
    if effort == Effort::Quick || len > MOST / 2 {
        return false;
    }
    edited(&lower, &mut |once| edited(once, &mut |twice| whole(twice, &mut is)))
        || (0..len).any(|from| {
            // What was taken over from the old one, with any number at either end.
            (from + 4..=len).map(|to| &lower[from..to]).any(|part| {
                numbered(part, &[], &mut |text| whole(text, &mut is))
                    || numbered(&[], part, &mut |text| whole(text, &mut is))
            })
        })
}

/// Tries every text that is one stroke away: a character less, more, other, or two that change places.
fn edited(text: &[char], is: &mut dyn FnMut(&[char]) -> bool) -> bool {
    let typed = || (' '..='~').filter(|c| !c.is_ascii_uppercase());
    let mut work = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    for at in 0..=text.len() {
        for c in typed() {
            work.clear();
            work.extend_from_slice(&text[..at]);
            work.push(c);
            work.extend_from_slice(&text[at..]);
            if is(&work) {
                return true;
            }
            if at < text.len() {
                work.remove(at + 1);
                if is(&work) {
                    return true;
                }
            }
        }
        if at < text.len() {
            work.clear();
            work.extend_from_slice(text);
            work.remove(at);
            if is(&work) {
                return true;
            }
        }
        if at + 1 < text.len() {
            work.clear();
            work.extend_from_slice(text);
            work.swap(at, at + 1);
            if is(&work) {
                return true;
            }
        }
    }
    false
}

/// Tries other numbers in the place of those at either end, with and without what parts them from it.
fn renumbered(text: &[char], is: &mut dyn FnMut(&[char]) -> bool) -> bool {
    let digit = |c: &&char| c.is_ascii_digit();
    let sign = |c: &&char| !c.is_alphanumeric();
    // As in `sakura-2025!`.
    let signs = text.iter().rev().take_while(sign).count();
    let (body, signs) = text.split_at(text.len() - signs);
    let number = body.iter().rev().take_while(digit).count();
    let stem = &body[..body.len() - number];
    let bare = &stem[..stem.len() - stem.iter().rev().take_while(sign).count()];
    let mut stems = vec![text, body, stem, bare];
    stems.dedup();
    let before = text.iter().take_while(digit).count();
    stems.into_iter().filter(|stem| stem.len() > 2).any(|stem| numbered(stem, &[], is))
        || (!signs.is_empty() && stem.len() > 2 && numbered(stem, signs, is))
        || (before > 0 && text.len() - before > 2 && numbered(&[], &text[before..], is))
}

/// Tries a number of up to four digits, or none, between two texts.
fn numbered(before: &[char], behind: &[char], is: &mut dyn FnMut(&[char]) -> bool) -> bool {
    let mut work = Zeroizing::new(Vec::with_capacity(before.len() + behind.len() + 4));
    (0..=4_u32).any(|digits| {
        (0..10_u32.pow(digits)).any(|number| {
            work.clear();
            work.extend_from_slice(before);
            work.extend((0..digits).rev().map(|at| char::from(b'0' + (number / 10_u32.pow(at) % 10) as u8)));
            work.extend_from_slice(behind);
            is(&work)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Old(&'static str);

    impl Remembered for Old {
        fn is(&self, text: &str) -> bool {
            text == self.0
        }

        fn is_folded(&self, lower: &str) -> bool {
            self.0.to_lowercase() == lower
        }
    }

    #[test]
    fn what_resembles_the_old_one_is_found() {
        for (old, new) in [
            ("Sakura2024", "Sakura2025"),
            ("Sakura2024", "sAKURA2024"),
            ("Sakura", "Sakura2025"),
            ("Sakura9", "Sakura2025!"),
            ("Sakura2024!", "Sakura2025!"),
            ("2024sakura", "2025sakura"),
            ("sakura2024", "2024SAKURA"),
            ("sakura-10", "01-arukas"),
            ("abcd1234", "abcd12345"),
            ("abcd1234", "abdc1234"),
            ("xq7mvw2tlk9Z", "lk9Zxq7mvw2t"),
            ("xq7m", "xq7mxq7m"),
            ("xq7mxq7m", "xq7m"),
            ("山田太郎123", "山田太郎9"),
        ] {
            assert!(resembles(&Old(old), new, Effort::Quick), "{old} {new}");
        }
        for (old, new) in [("Sakura2024", "vT9-kq_Lm4xZ"), ("abc12345", "zq81-PmmW.t"), ("", "zq81-PmmW.t")] {
            assert!(!resembles(&Old(old), new, Effort::Quick), "{old} {new}");
        }
    }

    #[test]
    fn after_an_abuse_similarity_is_looked_for_further() {
        for (old, new) in [("Sakura2024", "Sbkurb2024"), ("Sakura7", "vT-Sakura.x"), ("sakura", "77Sakura2025xyz")] {
            assert!(!resembles(&Old(old), new, Effort::Quick), "{old} {new}");
            assert!(resembles(&Old(old), new, Effort::Thorough), "{old} {new}");
        }
        assert!(!resembles(&Old("abc12345"), "zq81-PmmW.t", Effort::Thorough));
    }

    #[test]
    fn words_names_and_patterns_are_easily_guessed() {
        assert!(score("password1", &["taro"]) < 3);
        assert!(score("taro2024", &["taro"]) < 3);
        assert!(score("shoji-2024", &["taro", "kogyo-shoji"]) < 3);
        assert!(score("vT9-kq_Lm4xZ", &["taro", "example.jp"]) >= 3);
    }

    #[test]
    fn characters_are_of_four_kinds() {
        for (text, count) in [("", 0), ("abc", 1), ("abC", 2), ("abC1", 3), ("abC1-", 4), ("山田", 1), ("山a", 2)] {
            assert_eq!(classes(text), count, "{text}");
        }
    }
}
