//! What a question to a server brings to light, and the steps that are kept of it.

use std::time::{Duration, Instant};

use super::secrets::Shown;
use crate::model::probe::{Outcome, Step, StepName};

/// One step, as far as the question itself knows it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub outcome: Outcome,
    pub code: Option<&'static str>,
    pub message: String,
    pub said: Option<Shown>,
    pub hint: Option<String>,
}

impl Finding {
    pub fn ok(message: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Ok, code: None, message: message.into(), said: None, hint: None }
    }

    pub fn failed(code: &'static str, message: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Failed, code: Some(code), ..Finding::ok(message) }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Warning, ..Finding::failed(code, message) }
    }

    pub fn skipped(code: Option<&'static str>, message: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Skipped, code, ..Finding::ok(message) }
    }

    #[must_use]
    pub fn said(mut self, said: Shown) -> Finding {
        self.said = Some(said);
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Finding {
        self.hint = Some(hint.into());
        self
    }
}

/// A step has been taken down behind which nothing more is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// The steps of one target so far.
#[derive(Debug)]
pub struct Steps {
    list: Vec<Step>,
    since: Instant,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps { list: Vec::new(), since: Instant::now() }
    }
}

impl Steps {
    /// Takes down what came of a question. The time is that since the step before, or since `now`.
    pub fn note(&mut self, name: StepName, finding: Finding) {
        let Finding { outcome, code, message, said, hint } = finding;
        let took = self.lap();
        let said = said.map(Shown::into_text);
        self.list.push(Step { name, outcome, code, message, said, hint, took });
    }

    /// The time of the next step begins here: what came before was waiting of our own.
    pub fn now(&mut self) {
        self.since = Instant::now();
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let took = now - self.since;
        self.since = now;
        took
    }

    /// Takes down what came of a question, and goes on with its answer, if there is one.
    pub fn take<T>(&mut self, name: StepName, found: Result<(T, Finding), Finding>) -> Result<T, Stop> {
        match found {
            Ok((value, finding)) => {
                self.note(name, finding);
                Ok(value)
            }
            Err(finding) => {
                self.note(name, finding);
                Err(Stop)
            }
        }
    }

    pub fn into_list(self) -> Vec<Step> {
        self.list
    }

    /// The last step, as a finding for the step that it was a part of.
    pub fn into_last(self) -> Option<Finding> {
        let Step { name, outcome, code, message, said, hint, .. } = self.list.into_iter().next_back()?;
        let message = format!("{}: {message}", name.name());
        Some(Finding { outcome, code, message, said: said.map(Shown::again), hint })
    }
}
