//! What travels between a client and the server that keeps a store: pages of resources, one a line, and
//! changesets, which are plan documents with their secrets sealed.

mod changeset;
mod rows;
mod told;

pub use changeset::{Broken, Changeset, Sent, SentHead, SentSecret, learned_line, read_changeset, write_changeset};
pub use rows::{Head, Listed, More, Tail, put_listed, put_row, read_listed, read_row};
pub use told::{
    Query, drift, put_logged, put_past_value, put_version, read_drift, read_key, read_logged, read_past_value,
    read_revision, read_version,
};

use crate::model::{Address, FieldId, Value};

/// Number of the API, in the header `Yubin-Api` of every answer.
pub const API: &str = "1";

/// A secret as it travels; `None` says only that there is one.
pub type Tell<'a> = dyn Fn(&Address, FieldId, &Value) -> Option<String> + 'a;

/// The other way; `None` if it is none.
pub type Open<'a> = dyn Fn(&Address, FieldId, &str) -> Option<Value> + 'a;

/// The state of a store as an entity tag names it: its revision, and how often other software has written, if it
/// has.
pub fn tag(base: crate::model::plan::Base) -> String {
    match base.outside_writes {
        0 => base.revision.to_string(),
        writes => format!("{}.{writes}", base.revision),
    }
}

/// Reads a tag, quoted or not.
pub fn read_tag(text: &str) -> Option<crate::model::plan::Base> {
    let text = text.trim();
    let plain = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (revision, writes) = match plain.split_once('.') {
        None => (number(plain)?, 0),
        Some((revision, writes)) => (number(revision)?, number(writes)?),
    };
    Some(crate::model::plan::Base { revision, outside_writes: writes })
}
