//! A hook during a delivery: whether it may be tried, and what has come of it.

use std::sync::{Mutex, PoisonError};

use super::AGAIN;
use crate::hooks::{Around, Failed, Happening, Ready};
use crate::model::{Diagnostic, Hook};

/// So many failures one after another, and a hook is left alone for this run.
const FAILURES: u32 = 20;

/// How the attempts have ended.
#[derive(Default)]
struct Report {
    failed: u64,
    /// Since the last success.
    streak: u32,
    /// What failed first, and why.
    first: Option<(String, String)>,
    /// No more attempts in this run.
    out: bool,
}

pub struct Carrier<'a> {
    pub hook: &'a Hook,
    ready: Result<Ready<'a>, Failed>,
    report: Mutex<Report>,
}

impl<'a> Carrier<'a> {
    pub fn new(hook: &'a Hook, around: &Around<'_>) -> Carrier<'a> {
        Carrier { hook, ready: Ready::new(hook, around), report: Mutex::default() }
    }

    pub fn is_out(&self) -> bool {
        self.report().out
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt; why it failed, in words that hold no secret.
    pub fn attempt(&self, happening: &Happening) -> Result<(), String> {
        let done = match &self.ready {
            Ok(ready) => ready.carry_out(happening),
            Err(failed) => Err(failed.clone()),
        };
        let mut report = self.report();
        let Err(Failed { why, always }) = done else {
            report.streak = 0;
            return Ok(());
        };
        report.failed += 1;
        report.streak += 1;
        report.out |= always || report.streak >= FAILURES;
        let what = if happening.user.is_empty() {
            format!("{} of revision {}", happening.effect, happening.revision)
        } else {
            format!("{} of `{}`", happening.effect, happening.user)
        };
        report.first.get_or_insert_with(|| (what, why.clone()));
        Err(why)
    }

    pub fn problem(&self) -> Option<Diagnostic> {
        let report = self.report();
        let (what, why) = report.first.as_ref()?;
        let name = &self.hook.name;
        let more = match report.failed {
            0 | 1 => String::new(),
            failed => format!(", and {} more", failed - 1),
        };
        let rest = if report.out { "; it is not tried any more in this run" } else { "" };
        let warning =
            Diagnostic::warning("hook/failed", format!("the hook `{name}` failed: {what}{more}: {why}{rest}"));
        Some(warning.hint(AGAIN).at(&self.hook.file, self.hook.place.line, self.hook.place.column))
    }
}
