//! How a password is shown to a server: RFC 4616 (PLAIN), RFC 2195 (CRAM-MD5), RFC 1939 (APOP), and LOGIN, which has
//! none.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::secrets::hex;
use crate::model::Clear;

/// The one message of PLAIN.
pub fn plain(user: &str, password: &Clear) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([b"\0", user.as_bytes(), b"\0", password.expose().as_bytes()].concat())
}

/// The digest with which CRAM-MD5 answers a challenge: 32 hexadecimal digits.
pub fn cram_md5(password: &Clear, challenge: &[u8]) -> Zeroizing<String> {
    match Hmac::<Md5>::new_from_slice(password.expose().as_bytes()) {
        Ok(mac) => hex(&mac.chain_update(challenge).finalize().into_bytes()),
        // HMAC takes keys of every length.
        Err(_) => Zeroizing::default(),
    }
}

/// The digest of APOP: 32 hexadecimal digits.
pub fn apop(password: &Clear, stamp: &str) -> Zeroizing<String> {
    hex(&Md5::new().chain_update(stamp).chain_update(password.expose()).finalize())
}

/// The time stamp of a greeting. Only a real one is answered: a server that makes up strange ones can learn the
/// password by collisions of MD5 (CVE-2007-1558).
pub fn stamp(greeting: &str) -> Option<&str> {
    let from = greeting.find('<')?;
    let stamp = &greeting[from..=from + greeting[from..].find('>')?];
    let sound =
        stamp.bytes().all(|byte| byte.is_ascii_graphic()) && stamp.matches('@').count() == 1 && stamp.len() < 256;
    sound.then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(text: &str) -> Clear {
        Clear::new(text.to_owned())
    }

    #[test]
    fn the_examples_of_the_standards() {
        assert_eq!(*plain("tim", &clear("tanstaaftanstaaf")), b"\0tim\0tanstaaftanstaaf");
        assert_eq!(
            *cram_md5(&clear("tanstaaftanstaaf"), b"<1896.697170952@postoffice.reston.mci.net>"),
            "b913a602c7eda7a495b4e6e7334d3890"
        );
        assert_eq!(*apop(&clear("tanstaaf"), "<1896.697170952@dbc.mtview.ca.us>"), "c4c9334bac560ecc979e58001b3e22fb");
    }

    #[test]
    fn only_a_sound_stamp_is_answered() {
        assert_eq!(stamp("+OK ready <1.2@mail.example.jp>"), Some("<1.2@mail.example.jp>"));
        for greeting in ["+OK ready", "+OK <1.2>", "+OK <1 2@x>", "+OK <a@b@c>", "+OK <1.2\u{e9}@x>", "+OK >1@2<", "<"]
        {
            assert_eq!(stamp(greeting), None, "{greeting}");
        }
    }
}
