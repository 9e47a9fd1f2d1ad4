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
            Forge::Gitlab => print_data(|to| annotate::gitlab(diagnostics, prefix, to)),
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

    /// Writes text in which the forge looks for no commands.
    pub fn literal(&self, to: &mut dyn Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        if !self.is_github() {
            return write(to);
        }
        let mut to = annotate::Literal::new(to);
        write(&mut to)?;
        to.flush()
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
