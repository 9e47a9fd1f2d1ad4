//! Lines of a text by byte offsets; a line ends in CR LF, LF or CR.

/// Where the line of `at` starts.
pub fn start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |at| at + 1)
}

/// Where the line of `at` ends, its break not included.
pub fn end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |found| at + found)
}

/// Where the line behind that of `at` starts.
pub fn next(text: &str, at: usize) -> usize {
    let end = end(text, at);
    match &text.as_bytes()[end..] {
        [b'\r', b'\n', ..] => end + 2,
        [] => end,
        _ => end + 1,
    }
}

/// Where the line before the one that starts at `start` starts.
pub fn before(text: &str, start_of_line: usize) -> Option<usize> {
    let ended =
        text[..start_of_line].strip_suffix("\r\n").or_else(|| text[..start_of_line].strip_suffix(['\n', '\r']))?;
    Some(start(text, ended.len()))
}

/// The line that starts at `start`, without its break.
pub fn line(text: &str, start: usize) -> &str {
    &text[start..end(text, start)]
}

/// The line break of the file: that of its first line.
pub fn line_break(text: &str) -> &'static str {
    let at = end(text, 0);
    match &text.as_bytes()[at..] {
        [b'\r', b'\n', ..] => "\r\n",
        [b'\r', ..] => "\r",
        _ => "\n",
    }
}

/// Blanks at the start of a line.
pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

pub fn is_blank(line: &str) -> bool {
    line.trim_matches([' ', '\t']).is_empty()
}

pub fn is_comment(line: &str) -> bool {
    line.trim_start_matches([' ', '\t']).starts_with('#')
}

/// Whether nothing but blanks or a comment stands from `at` to the end of its line.
pub fn is_free(text: &str, at: usize) -> bool {
    let rest = &text[at..end(text, at)];
    is_blank(rest) || (rest.starts_with([' ', '\t']) && is_comment(rest))
}
