//! What people read.
pub mod annotate;
pub mod html;
mod japanese;
pub mod markdown;
pub mod probe;
pub mod text;
pub mod watch;
pub mod words;

/// The language that people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Lang {
    #[default]
    En,
    Ja,
}

impl Lang {
    /// The language of a locale such as `ja_JP.UTF-8`.
    pub fn of_locale(locale: &str) -> Lang {
        if locale.starts_with("ja") { Lang::Ja } else { Lang::En }
    }
}
