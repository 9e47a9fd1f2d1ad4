//! The changes of fields, as the page's script reads them: `[field, before, after, flags, last set]`,
//! short where the end says nothing. Of a secret, `after` is the word of how it changes. What many
//! changes share, such as the product's defaults, is written once, and named by its number.

use std::collections::HashMap;
use std::io::Write;

use crate::model::{Change, Field, FieldChange, Kind, Origin};
use crate::wire::{self, PlanDocument};

/// Different values of a field beyond which it is taken for one that differs everywhere.
const SHARED: u32 = 256;

const DEFAULT: u8 = 1;
const SERVER: u8 = 2;
const HIDDEN: u8 = 4;

/// The fields of all kinds, as they are numbered here.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    Kind::ALL.into_iter().flat_map(Kind::fields)
}

pub struct Values<'a> {
    document: &'a PlanDocument<'a>,
    /// The number of the first field of each kind.
    first: [usize; 3],
    numbers: HashMap<String, usize>,
    /// How many of its values each field shares.
    shares: Vec<u32>,
    /// What is shared, as JSON.
    shared: String,
}

impl<'a> Values<'a> {
    pub fn new(document: &'a PlanDocument<'a>) -> Values<'a> {
        let mut first = [0; 3];
        for kind in Kind::ALL.into_iter().skip(1) {
            let before = Kind::ALL[kind as usize - 1];
            first[kind as usize] = first[before as usize] + before.fields().len();
        }
        let shares = vec![0; fields().count()];
        Values { document, first, numbers: HashMap::new(), shares, shared: String::new() }
    }

    /// Writes the change, or its number.
    pub fn put(&mut self, change: &Change, field: &FieldChange, to: &mut String) {
        let at = self.first[change.kind as usize] + usize::from(field.field);
        let json = self.json(at, change, field);
        if let Some(number) = self.numbers.get(&json) {
            *to += &number.to_string();
        } else if self.shares[at] < SHARED {
            let number = self.numbers.len();
            self.shares[at] += 1;
            if number > 0 {
                self.shared += ",\n";
            }
            self.shared += &json;
            *to += &number.to_string();
            self.numbers.insert(json, number);
        } else {
            *to += &json;
        }
    }

    /// All that is named by a number, in the order of the numbers.
    pub fn shared(&self) -> String {
        format!("[{}]", self.shared)
    }

    fn json(&self, at: usize, change: &Change, field: &FieldChange) -> String {
        let secret = change.kind.field(field.field).is_secret();
        let origin = match field.origin {
            Origin::Written => 0,
            Origin::Default => DEFAULT,
            Origin::Server => SERVER,
        };
        // That no export shows a secret goes without saying.
        let hidden = !secret && self.document.hidden.as_ref().is_some_and(|hidden| hidden(change.kind, field.field));
        let flags = origin | if hidden { HIDDEN } else { 0 };
        let mut to = Vec::new();
        // A vector takes everything.
        let _ = write!(to, "[{at},");
        if secret {
            let _ = write!(to, "null,\"{}\"", field.secret().name());
        } else {
            wire::put_value(&mut to, field.before.as_deref());
            to.push(b',');
            wire::put_value(&mut to, field.after.as_ref());
        }
        let last = change.last_set(field.field);
        if flags > 0 || last.is_some() {
            let _ = write!(to, ",{flags}");
        }
        if let Some(last) = last {
            let _ = write!(to, ",{}", serde_json::json!([last.revision, last.at]));
        }
        to.push(b']');
        String::from_utf8_lossy(&to).into_owned()
    }
}
