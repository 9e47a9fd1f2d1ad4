//! Hashes of mailbox passwords, in the notation of Dovecot: `{SCHEME}` and what the scheme says.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha_crypt::{Params, ShaCrypt};

use crate::model::{Clear, Error, Result, Scheme};

/// A work factor of about 60 ms a hash, twice that of the others; each step up doubles it.
const BCRYPT_COST: u32 = 10;
/// Twenty times what the format takes for granted, which dates from 2007.
const SHA512_ROUNDS: u32 = 100_000;

/// bcrypt reads no more of a password.
const BCRYPT_BYTES: usize = 72;

/// Hashes a password under a fresh salt.
pub fn hash(scheme: Scheme, clear: &Clear) -> Result<String> {
    let text = clear.expose();
    let failed = |error: String| Error::failure("a password cannot be hashed").because(error);
    let hashed = match scheme {
        Scheme::Argon2id => {
            let hash: PasswordHash =
                Argon2::default().hash_password(text.as_bytes()).map_err(|error| failed(error.to_string()))?;
            hash.to_string()
        }
        Scheme::BlfCrypt => {
            if text.len() > BCRYPT_BYTES {
                return Err(failed(format!("bcrypt reads {BCRYPT_BYTES} bytes, and it is longer")));
            }
            let parts = bcrypt::hash_with_result(text, BCRYPT_COST);
            parts.map_err(|error| failed(error.to_string()))?.format_for_version(bcrypt::Version::TwoY)
        }
        Scheme::Sha512Crypt => {
            let params = Params::new(SHA512_ROUNDS).map_err(|error| failed(error.to_string()))?;
            // Sixteen characters when they are written: crypt(3) reads no more.
            let mut salt = [0; 12];
            getrandom::fill(&mut salt).map_err(|error| failed(error.to_string()))?;
            let hash = ShaCrypt::from(params).hash_password_with_salt(text.as_bytes(), &salt);
            hash.map_err(|error| failed(error.to_string()))?.to_string()
        }
    };
    Ok(format!("{{{}}}{hashed}", scheme.name()))
}

/// Whether a hash is that of the password; `None` where the scheme is not one of ours, or where finding out
/// would take more than a hash of anybody's policy does: files and databases say how much work it is.
pub fn verify(hashed: &str, clear: &Clear) -> Option<bool> {
    let (scheme, hash) = parts(hashed)?;
    let text = clear.expose();
    let scheme = Scheme::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(scheme))?;
    if !is_affordable(scheme, hash) {
        return None;
    }
    match scheme {
        Scheme::Argon2id => Some(Argon2::default().verify_password(text.as_bytes(), hash).is_ok()),
        // Whatever follows would be taken for nothing.
        Scheme::BlfCrypt => Some(text.len() <= BCRYPT_BYTES && bcrypt::verify(text, hash).unwrap_or_default()),
        Scheme::Sha512Crypt => Some(ShaCrypt::SHA512.verify_password(text.as_bytes(), hash).is_ok()),
    }
}

/// Up to some seconds, and 256 MiB.
fn is_affordable(scheme: Scheme, hash: &str) -> bool {
    let mut fields = hash.split('$').skip(2);
    match scheme {
        // As the verification itself reads them, whatever stands there twice.
        Scheme::Argon2id => {
            PasswordHash::new(hash).ok().and_then(|hash| argon2::Params::try_from(&hash).ok()).is_some_and(|cost| {
                let work = u64::from(cost.m_cost()) * u64::from(cost.t_cost());
                cost.m_cost() <= 1 << 18 && work <= 1 << 22 && cost.p_cost() <= 64
            })
        }
        Scheme::BlfCrypt => fields.next().and_then(|cost| cost.parse::<u32>().ok()).is_some_and(|cost| cost <= 15),
        Scheme::Sha512Crypt => {
            let rounds = fields.next().and_then(|field| field.strip_prefix("rounds="));
            rounds.is_none_or(|rounds| rounds.parse().is_ok_and(|rounds: u64| rounds <= 5_000_000))
        }
    }
}

fn parts(hashed: &str) -> Option<(&str, &str)> {
    hashed.strip_prefix('{')?.split_once('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(text: &str) -> Clear {
        Clear::new(text.to_owned())
    }

    #[test]
    fn a_hash_is_that_of_its_password_alone_and_salted() {
        for scheme in Scheme::ALL {
            let hashed = hash(scheme, &clear("受信 p@ss")).unwrap();
            assert!(hashed.starts_with(&format!("{{{}}}$", scheme.name())), "{}", scheme.name());
            assert_eq!(verify(&hashed, &clear("受信 p@ss")), Some(true));
            assert_eq!(verify(&hashed, &clear("受信 p@sS")), Some(false));
            assert_ne!(hash(scheme, &clear("受信 p@ss")).unwrap(), hashed);
        }
    }

    /// Whoever proposes a file may not keep the machine busy.
    #[test]
    fn a_hash_that_takes_for_ever_is_not_tried() {
        for hashed in [
            "{ARGON2ID}$argon2id$v=19$m=4194304,t=1,p=1$FtAlgmxGuk9Pyqffneq7BQ$tjpRqdNqmhz87TPRMuA3Rm",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=1,m=2097152$FtAlgmxGuk9Pyqffneq7BQ$tjpRqdNqmhz87TPRMuA3Rm",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=4000000000,p=1$FtAlgmxGuk9Pyqffneq7BQ$tjpRqdNqmhz87TPRMuA3Rm",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=16000000$FtAlgmxGuk9Pyqffneq7BQ$tjpRqdNqmhz87TPRMuA3Rm",
            "{BLF-CRYPT}$2y$31$el/RiuFzLyO0sGZs5CfG9.liDj5etyW9vBJyGIrc3Id4Hts1A5e5q",
            "{SHA512-CRYPT}$6$rounds=999999999$kX04qRe.bGie5vk.$euNTP5vtbHpVfJfKPvuEBTo8fXo16ZOI2wxaRmROqSv8gzT5r",
        ] {
            assert_eq!(verify(hashed, &clear("secret")), None, "{hashed}");
        }
    }

    /// Made by `doveadm pw`.
    #[test]
    fn hashes_of_dovecot_are_verified() {
        for hashed in [
            "{BLF-CRYPT}$2y$05$el/RiuFzLyO0sGZs5CfG9.liDj5etyW9vBJyGIrc3Id4Hts1A5e5q",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$FtAlgmxGuk9Pyqffneq7BQ$tjpRqdNqmhz87TPRMuA3Rm+MrIFoFRCokJPlSwwyTJ4",
            "{SHA512-CRYPT}$6$kX04qRe.bGie5vk.$euNTP5vtbHpVfJfKPvuEBTo8fXo16ZOI2wxaRmROqSv8gzT5r0Tdpw5/HM8SvTWafQmRS1apJJxihBqvzRVuD1",
        ] {
            assert_eq!(verify(hashed, &clear("secret")), Some(true), "{hashed}");
            assert_eq!(verify(hashed, &clear("Secret")), Some(false), "{hashed}");
        }
        assert_eq!(verify("{PBKDF2}$1$x$5000$y", &clear("x")), None);
        assert_eq!(verify("nonsense", &clear("x")), None);
        assert_eq!(verify("{ARGON2ID}nonsense", &clear("x")), None);
    }
}
