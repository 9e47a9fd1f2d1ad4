//! Failures of a run as a whole: a kind that picks the exit code, a sentence, a cause and a hint.

use std::fmt;

/// Exit codes are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// I/O, store, key.
    Failure = 1,
    Invalid = 3,
    Refused = 4,
    /// The store moved, or another apply holds it.
    Conflict = 5,
    /// For a person, or for the time at which it may go on.
    Waiting = 6,
    Usage = 64,
}

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub struct Error {
    pub code: Code,
    /// As a diagnostic has one, `area/what-is-wrong`, where a program must tell one failure from another.
    pub about: Option<&'static str>,
    pub message: String,
    pub hint: Option<String>,
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, about: None, message: message.into(), hint: None, cause: None }
    }

    pub fn failure(message: impl Into<String>) -> Error {
        Error::new(Code::Failure, message)
    }

    #[must_use]
    pub fn about(mut self, about: &'static str) -> Error {
        self.about = Some(about);
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}
