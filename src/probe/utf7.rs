//! Names of folders as IMAP writes them (RFC 3501, 5.1.3): UTF-7, modified.

use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::NO_PAD;
use base64::engine::{Engine as _, GeneralPurpose};

const CODE: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

pub fn encode(name: &str) -> String {
    let mut out = String::new();
    let mut wide: Vec<u8> = Vec::new();
    let flush = |wide: &mut Vec<u8>, out: &mut String| {
        if !wide.is_empty() {
            out.push('&');
            CODE.encode_string(&*wide, out);
            out.push('-');
            wide.clear();
        }
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut wide, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            wide.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut wide, &mut out);
    out
}

/// What is no such name is left as it is.
pub fn decode(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        let Some((coded, next)) = behind.split_once('-') else { return name.to_owned() };
        out += before;
        if coded.is_empty() {
            out.push('&');
        } else {
            let Ok(bytes) = CODE.decode(coded) else { return name.to_owned() };
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            let Ok(text) = String::from_utf16(&units) else { return name.to_owned() };
            out += &text;
        }
        rest = next;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (name, coded) in [
            ("INBOX", "INBOX"),
            ("a & b", "a &- b"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("😀", "&2D3eAA-"),
            ("", ""),
        ] {
            assert_eq!(encode(name), coded);
            assert_eq!(decode(coded), name);
        }
        for odd in ["&", "&x", "&!-", "&2D0-"] {
            assert_eq!(decode(odd), odd);
        }
    }
}
