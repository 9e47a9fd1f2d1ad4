//! `--annotate`: what is wrong, on the pages of a forge.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use super::{Common, Format, print_data};
use crate::checkout::Checkout;
use crate::model::{Code, Diagnostic, Error, Refusal, Result};
use crate::render::annotate;

#[derive(Default, clap::Args)]
pub struct Annotations {
    /// Put messages on the pages of a forge: workflow commands of GitHub, or a Code Quality report of GitLab in
    /// the place of the text
    #[arg(long, value_enum, value_name = "FORGE")]
    annotate: Option<Forge>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Forge {
    Github,
    Gitlab,
}

/// What GitHub takes as the summary of a step, in bytes.
pub const SUMMARY: usize = 1_000_000;

impl Annotations {
    /// Refuses what does not go together, before anything is done.
    pub fn check(&self, common: &Common) -> Result<()> {
        if self.annotate == Some(Forge::Gitlab) && common.format != Format::Text {
            let message = "the report for GitLab is the output, and leaves no room for another";
            return Err(Error::new(Code::Usage, message).hint("leave `--format` out"));
        }
        Ok(())
    }

    pub fn is_github(&self) -> bool {
        self.annotate == Some(Forge::Github)
    }

    /// Whether the report stands in the place of the text.
    pub fn is_report(&self) -> bool {
        self.annotate == Some(Forge::Gitlab)
    }

    pub fn is_none(&self) -> bool {
        self.annotate.is_none()
    }

    /// Writes the annotations of a project's messages.
    pub fn write(&self, common: &Common, root: &Path, diagnostics: &[Diagnostic], refused: &[Refusal]) -> Result<()> {
        let Some(forge) = self.annotate else { return Ok(()) };
        // A forge looks for files from the top of the repository.
        let checkout = Checkout::of(root);
        let prefix = checkout.as_ref().map_or("", Checkout::prefix);
        match forge {
            Forge::Gitlab => {
                let refused: Vec<Diagnostic> = refused.iter().map(as_diagnostic).collect();
                print_data(|to| annotate::gitlab(diagnostics.iter().chain(&refused), prefix, to))
            }
            Forge::Github => {
                let write = |to: &mut dyn Write| annotate::github(diagnostics, refused, common.lang(), prefix, to);
                if common.format == Format::Text {
                    return print_data(write);
                }
                // The runner reads both, and stdout is the document's.
                write(&mut io::stderr().lock())
                    .map_err(|error| Error::failure("the output cannot be written").because(error))
            }
        }
    }

    /// Prints text in which the forge finds no commands: without colours, which would hide the start of a line.
    pub fn print(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        if !self.is_github() {
            return super::print(write);
        }
        let mut coloured = Vec::new();
        write(&mut coloured).map_err(|error| Error::failure("the output cannot be written").because(error))?;
        let plain = anstream::adapter::strip_bytes(&coloured).into_vec();
        self.print_data(|to| to.write_all(&plain))
    }

    /// The same for what has no colours.
    pub fn print_data(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        if !self.is_github() {
            return print_data(write);
        }
        print_data(|to| {
            let mut to = annotate::Literal::new(to);
            write(&mut to)?;
            to.flush()
        })
    }

    /// Adds a page to the summary of a job, where the forge has one. That it cannot be written is no failure of
    /// the plan.
    pub fn summarise(&self, common: &Common, page: impl FnOnce() -> String) {
        let path = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| self.is_github() && !path.is_empty());
        let Some(path) = path else { return };
        let file = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(page().as_bytes())) {
            common.say(&format!("the summary of the job cannot be written: {error}"));
        }
    }
}

/// A refusal, where there is a report of messages alone.
fn as_diagnostic(refusal: &Refusal) -> Diagnostic {
    Diagnostic::error(refusal.rule, refusal.why.to_string())
}
