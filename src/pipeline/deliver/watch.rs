//! Hooks that are told what a watcher has to tell. Nothing of it is kept: what cannot be told now is not told later.

use std::thread;
use std::time::Duration;

use serde_json::Value as Json;

use super::{Session, exposed};
use crate::hooks::{Around, Failed, Happening, Ready};
use crate::model::{Diagnostic, Hook, Trigger};

/// Before the second try, and before the third.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

impl Session {
    /// Runs the hooks that are for it, side by side: up to three tries for each, within its timeout. `body` is the
    /// event as JSON. What fails is a warning, in words that hold no secret.
    pub fn tell_hooks(&self, event_name: &str, id: &str, body: &[u8]) -> Vec<Diagnostic> {
        self.tell_hooks_within(event_name, id, body, &PAUSES)
    }

    fn tell_hooks_within(&self, event_name: &str, id: &str, body: &[u8], pauses: &[Duration]) -> Vec<Diagnostic> {
        let hooks: Vec<&Hook> = self.project.hooks.iter().filter(|hook| hook.is_for(Trigger::Watch)).collect();
        if hooks.is_empty() {
            return Vec::new();
        }
        let revision = serde_json::from_slice::<Json>(body).ok().and_then(|event| event["revision"].as_u64());
        let happening = Happening {
            id: id.to_owned(),
            effect: event_name.to_owned(),
            user: String::new(),
            address: String::new(),
            revision: revision.unwrap_or_default(),
            mail: String::new(),
            body: body.to_vec(),
        };
        let fetcher = self.fetcher();
        let around = self.around(&fetcher);
        let told = thread::scope(|scope| {
            let tell = |hook| {
                let (around, happening) = (&around, &happening);
                scope.spawn(move || tell(hook, around, happening, pauses))
            };
            let running: Vec<_> = hooks.iter().copied().map(tell).collect();
            running.into_iter().map(|one| one.join().unwrap_or(Ok(()))).collect::<Vec<_>>()
        });
        let failed = hooks.iter().zip(told).filter_map(|(hook, told)| Some(problem(hook, event_name, &told.err()?)));
        failed.chain(hooks.iter().filter_map(|hook| exposed(hook, &fetcher))).collect()
    }
}

fn tell(hook: &Hook, around: &Around<'_>, happening: &Happening, pauses: &[Duration]) -> Result<(), Failed> {
    // A program that is missing now may be there in a moment.
    let attempt = || Ready::new(hook, around)?.carry_out(happening);
    let mut done = attempt();
    for pause in pauses {
        if done.is_ok() {
            break;
        }
        thread::sleep(*pause);
        done = attempt();
    }
    done
}

fn problem(hook: &Hook, event_name: &str, failed: &Failed) -> Diagnostic {
    let message = format!("the hook `{}` failed: {event_name}: {}", hook.name, failed.why);
    let warning =
        Diagnostic::warning("hook/failed", message).hint("it was tried three times, and is not told of this again");
    warning.at(&hook.file, hook.place.line, hook.place.column)
}
