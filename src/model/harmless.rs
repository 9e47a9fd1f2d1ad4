//! Texts of others in output of ours: they may not move the cursor or turn the line around.

use std::borrow::Cow;

/// Control characters, and those that change the direction of a text, as they are written in code.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(odd) {
        Cow::Owned(text.chars().map(|c| if odd(c) { c.escape_default().to_string() } else { c.to_string() }).collect())
    } else {
        Cow::Borrowed(text)
    }
}
