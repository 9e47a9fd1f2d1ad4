//! No product: every field, and no rule but the types.

use std::sync::OnceLock;

use super::{Clears, Names, System, TextRules};
use crate::model::Kind;

pub static SYSTEM: System = System {
    name: "generic",
    product: "generic",
    document: "",
    about: "no product's rules: every field of every kind may be set",
    kinds: &[Kind::Server, Kind::Account, Kind::Pattern],
    open: true,
    rules: &[],
    index: OnceLock::new(),
    names: Names::Free,
    clears: Clears::Yes,
    ordered: false,
    accounts: TextRules::NONE,
    permanent: &[],
    deletes_mail: false,
    notes: &[],
    excludes: &[],
};
