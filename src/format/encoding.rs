//! Bytes to text, by declaration; bytes that do not fit are refused with their place and a hint
//! at the encoding they do fit.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use simdutf8::compat::from_utf8;

use crate::model::{Diagnostic, Place};

/// Where the encoding of a file is declared, for a hint at what to change.
#[derive(Clone, Copy)]
enum Declared {
    /// At a source in `yubin.yaml`.
    Project,
    /// By `--encoding`.
    Command,
}

/// Decodes the bytes of a source; a byte order mark of the declared encoding is dropped.
#[expect(clippy::result_large_err, reason = "one a file at the most")]
pub fn decode<'a>(file: &str, bytes: &'a [u8], declared: &'static Encoding) -> Result<Cow<'a, str>, Diagnostic> {
    text_of(bytes, declared).map_err(|(place, found)| undecodable(file, place, declared, found, Declared::Project))
}

/// The same for a file that is named on the command line.
#[expect(clippy::result_large_err, reason = "one a file at the most")]
pub fn decode_named<'a>(file: &str, bytes: &'a [u8], declared: &'static Encoding) -> Result<Cow<'a, str>, Diagnostic> {
    text_of(bytes, declared).map_err(|(place, found)| undecodable(file, place, declared, found, Declared::Command))
}

/// The text, or where it breaks and which encoding fits better.
fn text_of<'a>(
    bytes: &'a [u8],
    declared: &'static Encoding,
) -> Result<Cow<'a, str>, (Place, Option<&'static Encoding>)> {
    let marked = Encoding::for_bom(bytes);
    if let Some((found, _)) = marked
        && found != declared
        && declared == UTF_8
    {
        return Err((Place { line: 1, column: 1 }, Some(found)));
    }
    // UTF-8 passes for other encodings, as mojibake; other text hardly ever passes for UTF-8.
    if ![UTF_8, UTF_16LE, UTF_16BE].contains(&declared)
        && let Ok(text) = from_utf8(bytes)
        && let Some(first) = text.find(|c: char| !c.is_ascii())
    {
        return Err((end_of(&text[..first]), Some(UTF_8)));
    }
    let skip = marked.filter(|(found, _)| *found == declared).map_or(0, |(_, len)| len);
    if declared == UTF_8 {
        let bytes = &bytes[skip..];
        // UTF-16 without its mark is full of NUL, which no text holds.
        let bad = memchr::memchr(0, bytes);
        let text = match (from_utf8(bytes), bad) {
            (Ok(text), None) => return Ok(Cow::Borrowed(text)),
            (Err(error), None) => String::from_utf8_lossy(&bytes[..error.valid_up_to()]),
            (_, Some(nul)) => String::from_utf8_lossy(&bytes[..nul]),
        };
        return Err((end_of(&text), guess(bytes, declared)));
    }
    let mut decoder = declared.new_decoder_without_bom_handling();
    // Two bytes of Shift_JIS become three of UTF-8.
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2 + 16);
    let mut rest = &bytes[skip..];
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut text, true);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => return Ok(Cow::Owned(text)),
            DecoderResult::OutputFull => text.reserve(rest.len() * 3 + 16),
            DecoderResult::Malformed(..) => {
                return Err((end_of(&text), guess(bytes, declared)));
            }
        }
    }
}

fn undecodable(
    file: &str,
    place: Place,
    declared: &'static Encoding,
    found: Option<&'static Encoding>,
    by: Declared,
) -> Diagnostic {
    let name = declared.name().to_lowercase();
    let found = found.map(|found| found.name().to_lowercase());
    let hint = match (by, found) {
        (Declared::Project, Some(found)) => format!(
            "the file looks like {found}: write `encoding: {found}` at this source in yubin.yaml, or convert the file"
        ),
        (Declared::Project, None) => {
            format!("convert the file to {name}, or write its `encoding:` at this source in yubin.yaml")
        }
        (Declared::Command, Some(found)) => {
            format!("the file looks like {found}: say so with `--encoding {found}`, or convert the file")
        }
        (Declared::Command, None) => format!("convert the file to {name}, or name its encoding with `--encoding`"),
    };
    Diagnostic::error("file/encoding", format!("these bytes are not {name}")).hint(hint).at(
        file,
        place.line,
        place.column,
    )
}

/// The place behind `text`.
fn end_of(text: &str) -> Place {
    let text = text.replace("\r\n", "\n");
    let line = text.matches(['\n', '\r']).count() as u32 + 1;
    let column = text.rsplit(['\n', '\r']).next().unwrap_or_default().chars().count() as u32 + 1;
    Place { line, column }
}

/// The encoding that the bytes fit best. Several may fit: Japanese text in the wrong encoding
/// shows as half-width katakana, control characters or private use.
fn guess(bytes: &[u8], declared: &'static Encoding) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(64 * 1024)];
    if sample.len() >= 4 && memchr::memchr_iter(0, sample).count() * 4 > sample.len() {
        return Some(if sample[0] == 0 { UTF_16BE } else { UTF_16LE });
    }
    if sample.windows(3).any(|w| matches!(w, [0x1b, b'$', b'B' | b'@'])) {
        return Some(ISO_2022_JP);
    }
    [UTF_8, SHIFT_JIS, EUC_JP, WINDOWS_1252]
        .into_iter()
        .filter(|encoding| *encoding != declared)
        .filter_map(|encoding| {
            let mut decoder = encoding.new_decoder_without_bom_handling();
            let mut text = String::with_capacity(sample.len() * 3 + 16);
            // The sample may end inside a character.
            let (result, _) = decoder.decode_to_string_without_replacement(sample, &mut text, false);
            matches!(result, DecoderResult::InputEmpty).then(|| (strangeness(&text), encoding))
        })
        .min_by_key(|(strange, _)| *strange)
        .map(|(_, encoding)| encoding)
}

fn strangeness(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            '\u{ff61}'..='\u{ff9f}' => 2,
            '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' => 9,
            // What Japanese bytes look like in windows-1252.
            '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{203a}' => 3,
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_encodings_are_read() {
        for encoding in [UTF_8, SHIFT_JIS, EUC_JP, ISO_2022_JP] {
            let (bytes, _, _) = encoding.encode("受信箱/表示,abc\r\n");
            assert_eq!(decode("a.csv", &bytes, encoding).unwrap(), "受信箱/表示,abc\r\n", "{}", encoding.name());
        }
        assert_eq!(decode("a", b"\xef\xbb\xbfx", UTF_8).unwrap(), "x");
    }

    #[test]
    fn the_likely_encoding_is_named() {
        for encoding in [SHIFT_JIS, EUC_JP] {
            let (bytes, _, _) = encoding.encode("taro,p1\r\n送信サーバ,受信箱");
            let problem = decode("a.csv", &bytes, UTF_8).unwrap_err();
            assert_eq!((problem.line, problem.column), (2, 1));
            assert!(problem.hint.unwrap().contains(&encoding.name().to_lowercase()), "{}", encoding.name());
        }
        // Valid Shift_JIS, and not what was written: 蜿嶺ｿ｡邂ｱ.
        let problem = decode("a.csv", "箱,受信箱".as_bytes(), SHIFT_JIS).unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 1));
        assert!(problem.hint.unwrap().contains("utf-8"));
        let problem = decode("a.csv", b"caf\xe9 cr\xe8me,x", UTF_8).unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 4));
        let utf16: Vec<u8> = "taro".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(
            decode("a.csv", &[b"\xff\xfe".to_vec(), utf16].concat(), UTF_8)
                .unwrap_err()
                .hint
                .unwrap()
                .contains("utf-16le")
        );
    }
}
