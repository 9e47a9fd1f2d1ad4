//! What people read.
pub mod html;
pub mod markdown;
pub mod text;

/// The language that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    En,
    Ja,
}
