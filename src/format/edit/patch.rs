//! Changes of a text by byte ranges.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    pub at: Range<usize>,
    pub text: String,
}

impl Patch {
    pub fn replace(at: Range<usize>, text: impl Into<String>) -> Patch {
        Patch { at, text: text.into() }
    }

    pub fn insert(at: usize, text: impl Into<String>) -> Patch {
        Patch::replace(at..at, text)
    }

    pub fn remove(at: Range<usize>) -> Patch {
        Patch::replace(at, "")
    }
}

/// The text with all patches; `None` if two of them overlap.
pub fn apply(text: &str, mut patches: Vec<Patch>) -> Option<String> {
    patches.sort_by_key(|patch| (patch.at.start, patch.at.end));
    let mut written = String::with_capacity(text.len() + patches.iter().map(|patch| patch.text.len()).sum::<usize>());
    let mut from = 0;
    for patch in patches {
        written.push_str(text.get(from..patch.at.start)?);
        written.push_str(&patch.text);
        from = patch.at.end;
    }
    written.push_str(text.get(from..)?);
    Some(written)
}
