//! A hook that is a program.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Around, Failed, Happening};
use crate::child::{self, Failed as Child};
use crate::model::Hook;
use crate::model::hook::parts;

/// What a program is given of the environment, beside `LC_…` and what its hook names: nothing that may be a secret.
const VARIABLES: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SYSTEMROOT",
    "USERPROFILE",
    "PATHEXT",
    "TEMP",
    "COMSPEC",
];

pub struct Command<'a> {
    hook: &'a Hook,
    program: PathBuf,
    /// With placeholders.
    arguments: &'a [String],
    variables: &'a [String],
    folder: PathBuf,
}

impl Command<'_> {
    pub fn new<'a>(
        hook: &'a Hook,
        words: &'a [String],
        variables: &'a [String],
        around: &Around<'_>,
    ) -> Result<Command<'a>, Failed> {
        let (name, arguments) = words.split_first().ok_or_else(|| Failed::always("its command has no words"))?;
        let program = child::find(name, &hook.base).ok_or_else(|| Failed::always("its program is not found"))?;
        if hook.foreign && child::stands_in(&program, around.root) {
            return Err(Failed::always("its program stands inside the project, whose files are not trusted"));
        }
        // Many programs read what lies where they are started.
        let folder = if hook.foreign { Path::new("/") } else { around.root }.to_path_buf();
        Ok(Command { hook, program, arguments, variables, folder })
    }

    pub fn run(&self, happening: &Happening) -> Result<(), Failed> {
        let arguments = arguments(self.arguments, happening)?;
        let mut command = std::process::Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| self.is_given(name))));
        let limit = self.hook.timeout;
        child::run_unheard(&mut command, &happening.body, limit).map_err(|failed| match failed {
            Child::NotStarted(error) => {
                let always = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
                Failed { why: format!("it cannot be started: {error}"), always }
            }
            Child::Late => Failed::once(format!("it has not ended within {} s", limit.as_secs())),
            Child::Status(status) => Failed::once(format!("it failed: {status}")),
            Child::Unread(error) => Failed::once(format!("it cannot be waited for: {error}")),
            Child::TooMuch => Failed::once("it prints too much"),
        })
    }

    fn is_given(&self, name: &str) -> bool {
        !name.starts_with("YUBIN_")
            && (VARIABLES.contains(&name) || name.starts_with("LC_") || self.variables.iter().any(|one| one == name))
    }
}

/// The arguments for an event. What is put in is never looked at again.
fn arguments(words: &[String], happening: &Happening) -> Result<Vec<String>, Failed> {
    let (revision, mut options) = (happening.revision.to_string(), true);
    // In the order of `PLACEHOLDERS`.
    let Happening { id, effect, user, address, revision: _, mail, body: _ } = happening;
    let values = [user, address, effect, &revision, id, mail].map(String::as_str);
    let mut arguments = Vec::with_capacity(words.len());
    for word in words {
        let parts = parts(word);
        let argument: String = parts.iter().map(|part| part.unwrap_or_else(|which| values[which])).collect();
        if options && argument.starts_with('-') && matches!(parts.first(), Some(Err(_))) {
            return Err(Failed::once(
                "an argument would begin with `-` and be taken for an option; write \"--\" before it in `command`",
            ));
        }
        options &= word != "--";
        arguments.push(argument);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, words: &[&str]) -> Result<Vec<String>, Failed> {
        let happening = Happening {
            id: "7".to_owned(),
            effect: "logout".to_owned(),
            user: user.to_owned(),
            address: format!("pattern/{user}/work"),
            revision: 3,
            mail: String::new(),
            body: Vec::new(),
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments(&words, &happening)
    }

    #[test]
    fn what_is_put_in_stays_what_it_is() {
        assert_eq!(
            of("taro", &["kick", "{user}", "{address} {effect} {revision} {event}", "{x}"]).unwrap(),
            ["kick", "taro", "pattern/taro/work logout 3 7", "{x}"]
        );
        for user in ["$(x)", "`x`", "a b", "a\nb", "'", "\"", "{user}", "{event}{address}", "; rm -rf /", "%s", ""] {
            assert_eq!(of(user, &["{user}", "x{user}y"]).unwrap(), [user.to_owned(), format!("x{user}y")]);
        }
    }

    #[test]
    fn a_name_is_no_option() {
        for user in ["-A", "--all", "-"] {
            assert!(!of(user, &["kick", "{user}"]).unwrap_err().always);
            assert_eq!(of(user, &["kick", "--", "{user}"]).unwrap(), ["kick", "--", user]);
            assert_eq!(of(user, &["-u{user}", "--user={user}"]).unwrap().len(), 2);
        }
    }
}
