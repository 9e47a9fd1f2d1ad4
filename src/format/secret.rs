//! How a secret is written: in clear, or as a reference to where it stands.

use crate::model::{Clear, Raw, SecretSource};

/// Code and message.
pub type Flaw = (&'static str, String);

/// A secret in a CSV cell: `${env:NAME}` and its like, or the secret itself.
pub fn cell_secret(text: &str) -> Result<Raw, Flaw> {
    let Some(inside) = text.strip_prefix("${") else {
        return Ok(Raw::Secret(SecretSource::Clear(Clear::new(text.to_owned()))));
    };
    // The text may be a password that happens to start like a reference: it is not repeated.
    let form = || ("secret/form", "expected `${env:NAME}`, `${file:PATH}`, `${age:…}` or `${hash:…}`".to_owned());
    let (name, argument) = inside.strip_suffix('}').and_then(|body| body.split_once(':')).ok_or_else(form)?;
    match secret_form(name, argument) {
        Some(read) => read.map(Raw::Secret),
        None => Err(form()),
    }
}

/// Variables that yubin itself reads secrets from.
const OWN_VARIABLES: [&str; 4] = ["YUBIN_KEY", "YUBIN_AGE_KEY", "YUBIN_TOKEN", "YUBIN_STORE"];

/// The forms of references.
pub const FORMS: [&str; 5] = ["env", "file", "command", "age", "hash"];

/// What a reference by a single word names; `None` for a form that is none. A command has several.
pub fn secret_form(form: &str, argument: &str) -> Option<Result<SecretSource, Flaw>> {
    let flaw = |message: &str| Err(("secret/form", message.to_owned()));
    Some(match form {
        "env" if !is_env_name(argument) => flaw("the name of an environment variable is letters, digits and `_`"),
        "env" if OWN_VARIABLES.contains(&argument) => {
            flaw("this variable is yubin's own, and holds no password of a mailbox")
        }
        "env" => Ok(SecretSource::Env(argument.to_owned())),
        "file" if argument.is_empty() => flaw("the path of the file is missing"),
        "file" => Ok(SecretSource::File(argument.to_owned())),
        "age" => {
            let text = argument.trim();
            if text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----")
                && text.ends_with("-----END AGE ENCRYPTED FILE-----")
            {
                // However it was indented, and whatever ends its lines.
                let lines = text.lines().flat_map(|line| [line.trim(), "\n"]);
                Ok(SecretSource::Age(Clear::new(lines.collect())))
            } else {
                flaw(
                    "`age` holds the text that `yubin secret encrypt` makes, from `-----BEGIN AGE` to the end of its last line",
                )
            }
        }
        "hash" => match hash_scheme(argument) {
            Some(Strength::Clear) => {
                Err(("secret/plaintext", "this is no hash, but a password in clear under the name of one".to_owned()))
            }
            Some(Strength::Hash | Strength::Weak) => Ok(SecretSource::Hash(Clear::new(argument.to_owned()))),
            None => flaw("a hash is written as Dovecot reads it: `{ARGON2ID}$argon2id$…`, as `doveadm pw` prints it"),
        },
        "command" => flaw("`command` is a list of words: `[pass, show, mail/taro]`"),
        _ => return None,
    })
}

/// What the scheme of a hash is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Hash,
    /// Guessed at many millions a second.
    Weak,
    /// Or as good as clear.
    Clear,
}

/// The schemes that Dovecot reads.
const SCHEMES: &[(&str, Strength)] = &[
    ("ARGON2ID", Strength::Hash),
    ("ARGON2I", Strength::Hash),
    ("BLF-CRYPT", Strength::Hash),
    ("SHA512-CRYPT", Strength::Hash),
    ("SHA256-CRYPT", Strength::Hash),
    ("PBKDF2", Strength::Hash),
    ("SCRAM-SHA-256", Strength::Hash),
    ("CRYPT", Strength::Weak),
    ("MD5-CRYPT", Strength::Weak),
    ("DES-CRYPT", Strength::Weak),
    ("SCRAM-SHA-1", Strength::Weak),
    ("SSHA512", Strength::Weak),
    ("SSHA256", Strength::Weak),
    ("SSHA", Strength::Weak),
    ("SHA512", Strength::Weak),
    ("SHA256", Strength::Weak),
    ("SHA1", Strength::Weak),
    ("SHA", Strength::Weak),
    ("SMD5", Strength::Weak),
    ("LDAP-MD5", Strength::Weak),
    ("PLAIN-MD5", Strength::Weak),
    ("PLAIN-MD4", Strength::Weak),
    ("MD5", Strength::Weak),
    ("LANMAN", Strength::Weak),
    ("NTLM", Strength::Weak),
    ("OTP", Strength::Weak),
    ("RPA", Strength::Weak),
    ("CRAM-MD5", Strength::Weak),
    ("HMAC-MD5", Strength::Weak),
    ("DIGEST-MD5", Strength::Weak),
    ("PLAIN", Strength::Clear),
    ("CLEAR", Strength::Clear),
    ("CLEARTEXT", Strength::Clear),
    ("PLAIN-TRUNC", Strength::Clear),
];

/// What a hash in Dovecot's notation is worth; `None` if it is not written so.
pub fn hash_scheme(hash: &str) -> Option<Strength> {
    let (scheme, rest) = hash.strip_prefix('{')?.split_once('}')?;
    // `{SSHA256.hex}` and `.b64` say how the bytes are written.
    let name = scheme.split_once('.').map_or(scheme, |(name, _)| name);
    let (_, strength) = SCHEMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let fine = !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii());
    let crypt = |prefix: &str, len: usize| {
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "./".contains(c));
        let hash = rest.strip_prefix(prefix).and_then(|rest| rest.rsplit_once('$')).map(|(_, hash)| hash);
        hash.is_some_and(|hash| hash.len() == len && digits(hash))
    };
    let argon2 = |kind: &str| rest.starts_with(kind) && rest.split('$').filter(|part| !part.is_empty()).count() == 5;
    let shaped = match name.to_ascii_uppercase().as_str() {
        "ARGON2ID" => argon2("$argon2id$v=19$m="),
        "ARGON2I" => argon2("$argon2i$v=19$m="),
        "BLF-CRYPT" => ["$2y$", "$2a$", "$2b$"].iter().any(|prefix| crypt(prefix, 53)),
        "SHA512-CRYPT" => crypt("$6$", 86),
        "SHA256-CRYPT" => crypt("$5$", 43),
        "MD5-CRYPT" | "MD5" => crypt("$1$", 22),
        // Of DES, whose hashes are no longer than a password, nobody could tell one.
        "CRYPT" => rest.starts_with('$') && rest.len() > 24,
        // Bytes, in base64 or hexadecimal digits.
        _ => rest.len() >= 16,
    };
    (fine && shaped || *strength == Strength::Clear).then_some(*strength)
}

/// Finds the references in a record of cells to secrets that stand elsewhere: form and argument, as in
/// `env:NAME`. False where they cannot be told without reading the cells.
pub fn find_references<'r>(record: &'r str, found: &mut Vec<&'r str>) -> bool {
    found.clear();
    let mut rest = record;
    while let Some(at) = memchr::memchr(b'$', rest.as_bytes()) {
        rest = &rest[at + 1..];
        let Some(inside) = rest.strip_prefix('{') else { continue };
        rest = inside;
        if !["env:", "file:", "age:"].iter().any(|form| rest.starts_with(form)) {
            // Nothing, or a hash, which stands there itself.
            continue;
        }
        let Some((reference, behind)) = rest.split_once('}') else { return false };
        if reference.contains('"') || !(behind.is_empty() || behind.starts_with([',', '"', '\r', '\n'])) {
            return false;
        }
        found.push(reference);
        rest = behind;
    }
    true
}

/// What a reference names, if it is sound.
pub fn referred(reference: &str) -> Option<SecretSource> {
    let (form, argument) = reference.split_once(':')?;
    secret_form(form, argument)?.ok()
}

fn is_env_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_references_of_a_record_are_found_without_reading_its_cells() {
        for (record, expected) in [
            ("a,b,c\r\n", Some(&[][..])),
            ("a,${env:PW},\"${file:x/y z}\"\n", Some(&["env:PW", "file:x/y z"])),
            ("${env:A},${x},${y:z},${env:B}", Some(&["env:A", "env:B"])),
            ("a,${hash:{ARGON2ID}$argon2id$v=19},x", Some(&[])),
            ("a,${env:PW}x", None),
            ("a,\"${file:a\"\"b}\"", None),
            ("a,${file:a}b}", None),
            ("a,${env:PW", None),
        ] {
            let mut found = Vec::new();
            let told = find_references(record, &mut found);
            assert_eq!(told.then_some(found.as_slice()), expected, "{record}");
        }
        assert!(referred("env:P W").is_none() && referred("env:PW").is_some());
    }

    #[test]
    fn a_hash_is_told_from_what_is_none() {
        for (hash, strength) in [
            ("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", Some(Strength::Hash)),
            ("{argon2id}$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", Some(Strength::Hash)),
            ("{SSHA256.hex}00112233445566778899aabbccddeeff00", Some(Strength::Weak)),
            ("{PLAIN}secret", Some(Strength::Clear)),
            ("{CLEARTEXT}with blank", Some(Strength::Clear)),
            ("{BLF-CRYPT}$2y$05$short", None),
            ("{SHA512-CRYPT}$6$aa$bb", None),
            ("{MD5}letmein", None),
            ("{CRYPT}plainpassword", None),
            ("{SSHA}abc", None),
            ("{ARGON2ID}secret", None),
            ("{ARGON2ID}", None),
            ("{MYSCHEME}x", None),
            ("$6$salt$hash", None),
            ("secret", None),
            ("", None),
        ] {
            assert_eq!(hash_scheme(hash), strength, "{hash}");
        }
    }
}
