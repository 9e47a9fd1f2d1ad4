//! Armour of age inside other files: found wherever it stands, and replaced without touching what is
//! around it, however that is written.

use std::ops::Range;

const BEGIN: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const END: &[u8] = b"-----END AGE ENCRYPTED FILE-----";

/// An armour in a file whose bytes are ASCII where text is.
#[derive(Debug, PartialEq, Eq)]
pub struct Armour {
    pub at: Range<usize>,
    /// One line below the other, each ended by a newline.
    pub text: String,
    /// What parts its lines: a newline and the indentation of a YAML block, or `\n` in double quotes.
    joint: Vec<u8>,
}

/// Every armour of a file, in order.
pub fn find(bytes: &[u8]) -> Vec<Armour> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = memchr::memmem::find(&bytes[from..], BEGIN).map(|at| at + from) {
        let inside = start + BEGIN.len();
        let Some(end) = memchr::memmem::find(&bytes[inside..], END).map(|at| at + inside) else { break };
        // Another beginning before the end: the first has none.
        if let Some(next) = memchr::memmem::find(&bytes[inside..end], BEGIN) {
            from = inside + next;
            continue;
        }
        let body = &bytes[inside..end];
        let escaped = body.starts_with(b"\\n");
        let joint = if escaped {
            b"\\n".to_vec()
        } else {
            body[..body.iter().take_while(|byte| byte.is_ascii_whitespace()).count()].to_vec()
        };
        let body = String::from_utf8_lossy(body);
        let lines: Vec<&str> = if escaped { body.split("\\n").collect() } else { body.lines().collect() };
        let mut text = String::from_utf8_lossy(BEGIN).into_owned() + "\n";
        for line in lines.into_iter().map(str::trim).filter(|line| !line.is_empty()) {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&String::from_utf8_lossy(END));
        text.push('\n');
        from = end + END.len();
        found.push(Armour { at: start..from, text, joint });
    }
    found
}

/// The file with other armour in the place of those that `anew` has one for.
pub fn replace(bytes: &[u8], found: &[Armour], mut anew: impl FnMut(&str) -> Option<String>) -> Vec<u8> {
    let mut written = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for armour in found {
        let Some(text) = anew(&armour.text) else { continue };
        written.extend_from_slice(&bytes[from..armour.at.start]);
        for (at, line) in text.lines().enumerate() {
            if at > 0 {
                written.extend_from_slice(&armour.joint);
            }
            written.extend_from_slice(line.as_bytes());
        }
        from = armour.at.end;
    }
    written.extend_from_slice(&bytes[from..]);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armour(body: &str) -> String {
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{body}\n-----END AGE ENCRYPTED FILE-----\n")
    }

    #[test]
    fn an_armour_is_found_and_replaced_however_it_is_written() {
        type Writer = fn(&str) -> String;
        let written: [(&str, Writer); 4] = [
            ("block", |text| format!("a:\n  age: |\n    {}  b: x\n", text.replace('\n', "\n    "))),
            ("quoted", |text| format!("{{ age: \"{}\" }} # n\n", text.replace('\n', "\\n"))),
            ("CSV", |text| format!("x,\"${{age:{}}}\",\r\n", text.trim_end())),
            ("CR LF", |text| format!("x: |\r\n  {}y", text.replace('\n', "\r\n  "))),
        ];
        let (old, new) = (armour("YWdl\nLWVuY3J5cHRpb24"), armour("bmV3\nbmV3\nbmV3"));
        for (name, write) in written {
            let file = write(&old);
            let found = find(file.as_bytes());
            assert_eq!(found.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), [old.as_str()], "{name}");
            let replaced = replace(file.as_bytes(), &found, |_| Some(new.clone()));
            assert_eq!(String::from_utf8(replaced).unwrap(), write(&new), "{name}");
            assert_eq!(replace(file.as_bytes(), &found, |_| None), file.as_bytes(), "{name}");
        }
    }

    #[test]
    fn what_is_no_whole_armour_stays() {
        let half = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n";
        assert_eq!(find(half.as_bytes()), []);
        assert_eq!(find(b""), []);
        let file = half.to_owned() + &armour("YWdl");
        assert_eq!(find(file.as_bytes()).len(), 1);
    }
}
