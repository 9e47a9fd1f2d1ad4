//! What a server says, without what was sent to it as a secret: the one way from a server's bytes to a step.

use std::cell::RefCell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::model::Clear;
use crate::model::probe::{Entry, Target};

/// Characters of a server's line that are shown.
const SHOWN: usize = 300;
/// In the place of a line that repeats a secret. The whole line goes: what is left of it would tell where it stood.
const WITHHELD: &str = "[withheld: it repeats what was sent as a secret]";

/// Words of a server that may be shown: one line, printable, no secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Of a step that has been taken down already.
    pub fn again(text: String) -> Shown {
        Shown(text)
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All forms in which the passwords of a target could come back. It has no `Debug`.
#[derive(Default)]
pub struct Secrets(RefCell<Vec<Zeroizing<String>>>);

impl Secrets {
    /// Those of the target, and of the logins that belong to it: a server may remember them from another day.
    pub fn of(target: &Target) -> Secrets {
        let secrets = Secrets::default();
        secrets.gather(target);
        secrets
    }

    fn gather(&self, target: &Target) {
        if let Entry::User { name, password, .. } = &target.entry {
            self.password(name, password);
        }
        if let Some(before) = &target.before {
            self.gather(&before.0);
        }
        if let Some(back) = target.send.as_ref().and_then(|send| send.back.as_ref()) {
            self.gather(back);
        }
    }

    fn password(&self, user: &str, password: &Clear) {
        let text = password.expose().as_bytes();
        self.add(text);
        self.add(hex(text).as_bytes());
        // As IMAP quotes it.
        self.add(Zeroizing::new(password.expose().replace('\\', "\\\\").replace('"', "\\\"")).as_bytes());
        self.add(BASE64.encode(Zeroizing::new([b"\0", user.as_bytes(), b"\0", text].concat())).as_bytes());
        for shift in 0..3 {
            // Within something longer, base64 has three forms of the same bytes; those at the edges depend on what
            // stands beside.
            let filled = Zeroizing::new([&b"\0\0"[..shift], text].concat());
            let coded = Zeroizing::new(BASE64.encode(&filled));
            let from = [0, 2, 3][shift];
            let whole = filled.len() / 3 * 4 + [0, 1, 2][filled.len() % 3];
            match coded.get(from..whole) {
                Some(core) if core.len() >= 4 => self.add(core.as_bytes()),
                _ => self.add(BASE64.encode(text).as_bytes()),
            }
        }
    }

    /// Something made of a password, that was sent or is about to be.
    pub fn add(&self, secret: &[u8]) {
        let form = Zeroizing::new(squeezed(&Zeroizing::new(String::from_utf8_lossy(secret).into_owned())));
        let mut forms = self.0.borrow_mut();
        if !form.is_empty() && !forms.contains(&form) {
            forms.push(form);
        }
    }

    /// What a server said, as it may be shown.
    pub fn shown(&self, said: &str) -> Shown {
        self.shown_unless(said, said)
    }

    /// The same of what is said with something between, by which a secret in `bare` would not be found.
    pub fn shown_unless(&self, bare: &str, said: &str) -> Shown {
        let places = [squeezed(bare), squeezed(said)];
        if self.0.borrow().iter().any(|form| places.iter().any(|place| place.contains(form.as_str()))) {
            return Shown(WITHHELD.to_owned());
        }
        let printable: String = said.chars().map(|c| if hidden(c) { ' ' } else { c }).collect();
        let line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(SHOWN) {
            Some((cut, _)) => Shown(format!("{}…", &line[..cut])),
            None => Shown(line),
        }
    }
}

/// As a secret is looked for: without regard to case, to spaces, and to what is not shown.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !hidden(*c) && !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Control characters, what has no width, and what turns the direction of a line.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(password: &str) -> Secrets {
        let secrets = Secrets::default();
        secrets.password("info@example.jp", &Clear::new(password.to_owned()));
        secrets
    }

    #[test]
    fn what_repeats_a_secret_is_withheld() {
        let secrets = secrets("Kana-ria 7!");
        for said in [
            "-ERR no such thing: Kana-ria 7!",
            "-ERR no such thing: KANA-RIA 7!",
            "-ERR Ka\0na-\u{200b}ria 7!",
            "-ERR K a n a - r i a 7 !",
            &format!("500 {}", BASE64.encode("Kana-ria 7!")),
            &format!("500 {}", BASE64.encode("Kana-ria 7!").trim_end_matches('=')),
            &format!("500 {}", BASE64.encode("\0info@example.jp\0Kana-ria 7!")),
            &format!("500 {}", BASE64.encode("x\0y\0Kana-ria 7! and more")),
            &format!("500 {}", BASE64.encode("\0z\0Kana-ria 7!, more")),
            &format!("500 {}", BASE64.encode("z\0Kana-ria 7!, more")),
            &format!("500 {}", *hex(b"Kana-ria 7!")),
            &format!("500 {}", hex(b"Kana-ria 7!").to_uppercase()),
        ] {
            assert_eq!(secrets.shown(said).to_string(), WITHHELD, "{said:?}");
        }
        assert_eq!(secrets.shown("* OK  Kana\tready\r\n").to_string(), "* OK Kana ready");
    }

    #[test]
    fn it_is_one_short_line() {
        let secrets = secrets("");
        assert_eq!(secrets.shown("a\u{1b}[31mb\nc\u{202e}d").to_string(), "a [31mb c d");
        let shown = secrets.shown(&"字".repeat(5_000)).to_string();
        assert_eq!(shown.chars().count(), SHOWN + 1);
        // It is looked for before it is cut.
        let secrets = self::secrets("canary-of-length");
        let said = format!("{}canary-of-length", "x".repeat(SHOWN - 5));
        assert_eq!(secrets.shown(&said).to_string(), WITHHELD);
    }
}
