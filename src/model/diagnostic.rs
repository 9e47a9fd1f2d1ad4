//! What is wrong with the input, where, and what to do about it.

use super::kind::Address;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    Info,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// Message and hint never carry a cell's text unless the field's type makes it harmless: in a
/// shifted row any cell may be a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// `area/what-is-wrong`, stable.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// Relative to the project, with `/`; `None` if it concerns the project as a whole.
    pub file: Option<String>,
    /// From 1; 0 if the file as a whole is meant.
    pub line: u32,
    /// Characters, from 1.
    pub column: u32,
    pub address: Option<Address>,
    pub field: Option<&'static str>,
}

impl Diagnostic {
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            message: message.into(),
            hint: None,
            file: None,
            line: 0,
            column: 0,
            address: None,
            field: None,
        }
    }

    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, message)
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, message)
    }

    pub fn info(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Info, code, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, file: &str, line: u32, column: u32) -> Diagnostic {
        self.file = Some(file.to_owned());
        self.line = line;
        self.column = column;
        self
    }

    #[must_use]
    pub fn of(mut self, address: &Address) -> Diagnostic {
        self.address = Some(address.clone());
        self
    }

    #[must_use]
    pub fn field(mut self, field: &'static str) -> Diagnostic {
        self.field = Some(field);
        self
    }
}

/// All diagnostics of a run.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn extend(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(more);
    }

    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|d| d.severity == severity).count()
    }

    /// `--strict`: warnings are errors from here on.
    pub fn make_strict(&mut self) {
        for diagnostic in &mut self.0 {
            if diagnostic.severity == Severity::Warning {
                diagnostic.severity = Severity::Error;
            }
        }
    }

    /// By file, line and column; what concerns no file comes first. A value that several
    /// resources share, through defaults or an alias, is one problem.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            (&a.file, a.line, a.column, a.code, &a.message).cmp(&(&b.file, b.line, b.column, b.code, &b.message))
        });
        self.0.dedup_by(|later, first| {
            let same = later.line > 0
                && (later.line, later.column, later.code, later.field)
                    == (first.line, first.column, first.code, first.field)
                && later.file == first.file
                && later.message == first.message;
            if same && later.address != first.address {
                first.address = None;
            }
            same
        });
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The known name that was probably meant, if one is near enough: one that it begins, or one a few
/// letters away.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const BEGINNING: usize = 4;
    // Nobody misspells a name into something this long.
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    let len = written.chars().count();
    let begins = len >= BEGINNING;
    let allowed = |name: &str| 1 + name.chars().count() / 4;
    known
        .into_iter()
        // Lengths alone rule most names out.
        .filter(|name| name.chars().count().abs_diff(len) <= allowed(name) || begins && name.starts_with(&written))
        .map(|name| {
            let rest = name.strip_prefix(written.as_str());
            let continued = begins && rest.is_some_and(|rest| rest.starts_with(['_', '-', '.']));
            let distance = if continued { 1 } else { strsim::damerau_levenshtein(&written, name) };
            (distance, name)
        })
        .filter(|(distance, name)| *distance <= allowed(name))
        .min()
        .map(|(_, name)| name)
}

/// A name for a message: not longer than a line, and on one line.
pub fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(60).map(|c| if c.is_control() { '·' } else { c }).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// A written word that is not known, for a message: repeated only if it is near a known one. What
/// is like nothing that is known may be a password in the wrong place.
pub fn unknown_word(written: &str, near: Option<&str>) -> String {
    match near {
        Some(_) => format!("`{}`", shown(written)),
        None => "this name".to_owned(),
    }
}

/// `, not …` for the end of a message about a wrong word, if the word may be repeated.
pub fn instead(written: &str, near: Option<&str>) -> String {
    near.map_or(String::new(), |_| format!(", not `{}`", shown(written)))
}
