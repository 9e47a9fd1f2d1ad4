//! The file of the new entries.

use std::fs;
use std::io;

use super::{Look, Session};
use crate::load::FILE_NAME;
use crate::migration::{self, Unfit};
use crate::model::{Code, Diagnostic, Diagnostics, Error, Key, Kind, Result};

/// Files of one migration.
const MOST: usize = 1000;

impl Session {
    /// Writes the entries that nothing declares yet to a new file of the project; its name and how many they are.
    /// `None` if something stands in the way, which then stands among the diagnostics.
    pub fn write_entries(&mut self, look: &Look) -> Result<Option<(String, usize)>> {
        let mut problems = Diagnostics::default();
        let migration = &look.migration;
        let mut entries: Vec<(&Key, migration::Entry<'_>)> = Vec::new();
        for pair in look.pairs.iter().filter(|pair| !pair.declared) {
            let Some(old) = look.declared(Kind::Account, &pair.old).filter(|old| !old.absent) else {
                let message = format!("`account/{}` is in the store, and no file declares it", pair.old.name());
                let problem = Diagnostic::error("migration/undeclared", message)
                    .hint("declare it, so that its entry on the new server can be made of it, or delete it");
                problems.push(problem.at(FILE_NAME, migration.place.line, migration.place.column));
                continue;
            };
            match migration::entry(old, migration) {
                Ok(entry) => entries.push((&pair.new, entry)),
                Err(unfit) => {
                    let file = &look.draft.files[old.source.file as usize];
                    let problem = match unfit {
                        Unfit::Clear(place, field) => {
                            let message = format!("`{field}` stands in clear, and is not repeated in another file");
                            let problem = Diagnostic::error("migration/password", message).field(field);
                            let problem = problem.hint("write a reference, as in `{ env: NAME }` or `{ file: PATH }`");
                            problem.at(file, place.line, place.column)
                        }
                        Unfit::Username(why) => {
                            let message = format!("`{}` gets no user on the new server: {why}", old.address());
                            let place = old.source.place;
                            let problem = Diagnostic::error("migration/username", message);
                            problem.hint("correct `username:` of the migration").at(file, place.line, place.column)
                        }
                    };
                    problems.push(problem.of(&old.address()));
                }
            }
        }
        if problems.has_errors() {
            self.diagnostics.extend(problems);
            self.settle();
            return Ok(None);
        }
        entries.sort_by(|a, b| a.0.cmp(b.0));
        let failed = |error| Error::failure("the file of the new entries cannot be written").because(error);
        let text = migration::file(&entries, migration).map_err(failed)?;
        let name = |count: usize| {
            let more = if count == 1 { String::new() } else { format!("-{count}") };
            format!("migrations/{}{more}.yaml", migration.name)
        };
        let is_free = |name: &String| !look.draft.files.contains(name);
        let name = (1..=MOST)
            .map(name)
            .find(is_free)
            .ok_or_else(|| Error::failure(format!("there are {MOST} files of this migration already")))?;
        // A file that was not there before holds what another run has made of the same entries.
        if !self.put(&name, &text).map_err(failed)? {
            return Err(Error::new(Code::Conflict, format!("{name} has come while it was made"))
                .hint("look at `yubin migrate status`, and start again"));
        }
        Ok(Some((name, entries.len())))
    }

    /// Puts a new file into the project, whole; `false` if there is one of that name.
    fn put(&self, name: &str, text: &str) -> io::Result<bool> {
        let path = self.project.root.join(name);
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let scratch = path.with_file_name(format!(".{file}.{}", std::process::id()));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let put = fs::write(&scratch, text).and_then(|()| {
            fs::File::open(&scratch)?.sync_all()?;
            // Unlike a rename, a link takes no other's place.
            fs::hard_link(&scratch, &path)
        });
        // It has another name now, or is of no use.
        let _ = fs::remove_file(&scratch);
        match put {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}
