//! Bearer tokens of a server: how they are made, and whether one still holds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::model::{Clear, Code, Error, Result, Scope, Token};

const PREFIX: &str = "yubin_";
/// Characters of 32 random bytes behind the prefix.
const LENGTH: usize = 43;
/// Of names and projects: what a log line can carry.
const LONGEST: usize = 64;

/// What a token is asked for.
pub struct AskedToken<'a> {
    pub name: &'a str,
    pub scope: Scope,
    pub owners: Vec<String>,
    /// A time, or how long from now: `90d`, `12h`.
    pub expires: Option<&'a str>,
}

/// Makes a token: what the store keeps of it, and the token itself, which nothing keeps.
pub fn make_token(asked: AskedToken<'_>, now: Timestamp) -> Result<(Token, Clear)> {
    let AskedToken { name, scope, mut owners, expires } = asked;
    let wrong = |message: String| Error::new(Code::Usage, message).about("token/invalid");
    if !is_name(name) {
        return Err(wrong(format!("a token has a name of 1 to {LONGEST} characters, without control characters")));
    }
    if let Some(owner) = owners.iter().find(|owner| !is_owner(owner)) {
        return Err(wrong(format!("`{}` is no name of a project", crate::model::harmless(owner)))
            .hint("a name as `name:` in yubin.yaml, or `*` for every project"));
    }
    owners.sort();
    owners.dedup();
    if owners.is_empty() {
        match scope {
            Scope::Read => {}
            Scope::Apply => {
                return Err(wrong("a token that applies is bound to projects, and none is named".to_owned())
                    .hint("`--owner PROJECT`, more than once if need be; `--owner '*'` is every project"));
            }
            Scope::Admin => owners.push(Token::EVERY.to_owned()),
        }
    }
    let expires = expires.map(|text| expiry(text, now)).transpose()?;
    let failed =
        |error: getrandom::Error| Error::failure("the system has no random numbers").because(error.to_string());
    let (mut secret, mut id) = (Zeroizing::new([0; 32]), [0; 4]);
    getrandom::fill(&mut *secret).and_then(|()| getrandom::fill(&mut id)).map_err(failed)?;
    let text = Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(*secret)));
    let token = Token {
        id: format!("{:08x}", u32::from_be_bytes(id)),
        name: name.to_owned(),
        hash: *blake3::hash(text.as_bytes()).as_bytes(),
        scope,
        owners,
        created: written(now),
        expires,
        revoked: None,
    };
    Ok((token, Clear::new(text.to_string())))
}

/// The hash under which a token is kept; `None` if that is no token at all.
pub fn token_hash(text: &str) -> Option<[u8; 32]> {
    let rest = text.strip_prefix(PREFIX)?;
    let fits = rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    fits.then(|| *blake3::hash(text.as_bytes()).as_bytes())
}

/// Compares in constant time.
pub fn is_same_hash(one: [u8; 32], other: [u8; 32]) -> bool {
    blake3::Hash::from_bytes(one) == blake3::Hash::from_bytes(other)
}

/// Whether the token is neither revoked nor expired.
pub fn token_holds(token: &Token, now: Timestamp) -> bool {
    // What cannot be read as a time has passed.
    let passed = |text: &String| text.parse::<Timestamp>().map_or(true, |at| at <= now);
    token.revoked.is_none() && !token.expires.as_ref().is_some_and(passed)
}

/// As times are kept: RFC 3339, UTC.
pub fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= LONGEST && !name.chars().any(char::is_control)
}

/// As `load` takes the name of a project.
fn is_owner(owner: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || (c.is_ascii_punctuation() && !"-_.".contains(c));
    owner == Token::EVERY || (is_name(owner) && !owner.chars().any(odd))
}

fn expiry(text: &str, now: Timestamp) -> Result<String> {
    let wrong = || {
        Error::new(Code::Usage, "this is no time at which a token expires")
            .about("token/invalid")
            .hint("how long from now, such as `90d` or `12h`, or a time to come, such as `2030-01-31T00:00:00Z`")
    };
    let at = match text.strip_suffix(['d', 'h', 'm', 's']) {
        Some(count) if count.bytes().all(|byte| byte.is_ascii_digit()) => {
            let unit = match text.as_bytes().last() {
                Some(b'd') => 86_400,
                Some(b'h') => 3_600,
                Some(b'm') => 60,
                _ => 1,
            };
            let seconds = count.parse::<i64>().ok().and_then(|count| count.checked_mul(unit)).ok_or_else(wrong)?;
            now.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| wrong())?
        }
        _ => text.parse::<Timestamp>().map_err(|_| wrong())?,
    };
    // Years of four digits: they sort as text.
    if at <= now || at.to_zoned(TimeZone::UTC).year() > 9999 {
        return Err(wrong());
    }
    Ok(written(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(scope: Scope, owners: &[&str], expires: Option<&'static str>) -> Result<(Token, Clear)> {
        let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
        make_token(AskedToken { name: "ci", scope, owners, expires }, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_token_is_found_by_its_hash_and_not_told_by_what_is_kept() {
        let (token, text) = asked(Scope::Read, &[], None).unwrap();
        assert_eq!(token_hash(text.expose()), Some(token.hash));
        assert_eq!(text.expose().len(), PREFIX.len() + LENGTH);
        assert!(!text.expose().contains(&token.id));
        let (other, _) = asked(Scope::Read, &[], None).unwrap();
        assert!(!is_same_hash(token.hash, other.hash));
        for wrong in
            ["", "yubin_", "yubin_x", &text.expose().replace("yubin_", "other_"), &format!("{}=", text.expose())]
        {
            assert_eq!(token_hash(wrong), None);
        }
    }

    #[test]
    fn owners_follow_the_scope() {
        assert!(asked(Scope::Apply, &[], None).is_err());
        assert_eq!(asked(Scope::Admin, &[], None).unwrap().0.owners, ["*"]);
        assert_eq!(asked(Scope::Apply, &["b", "a", "b"], None).unwrap().0.owners, ["a", "b"]);
        assert!(asked(Scope::Read, &[], None).unwrap().0.owners.is_empty());
        for wrong in ["", "a b", "a/b", "a\nb", "**"] {
            assert!(asked(Scope::Apply, &[wrong], None).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_ends_when_it_expires() {
        let (token, _) = asked(Scope::Read, &[], Some("90d")).unwrap();
        assert_eq!(token.expires.as_deref(), Some("2026-04-01T00:00:00Z"));
        assert!(token_holds(&token, "2026-03-31T23:59:59Z".parse().unwrap()));
        assert!(!token_holds(&token, "2026-04-01T00:00:00Z".parse().unwrap()));
        let revoked = Token { revoked: Some("2026-01-02T00:00:00Z".into()), ..token };
        assert!(!token_holds(&revoked, "2026-01-03T00:00:00Z".parse().unwrap()));
        for wrong in ["", "d", "0d", "-1d", "2025-01-01T00:00:00Z", "tomorrow", "99999999999999999999d", "9000000d"] {
            assert!(asked(Scope::Read, &[], Some(wrong)).is_err(), "{wrong}");
        }
    }
}
