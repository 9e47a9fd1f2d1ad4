//! From a draft to desired state: types, references, the system's rules, and for what will be
//! added the product's defaults. What a rule's row cannot say is a named function in `check`.

mod rules;
mod server;
mod value;

use std::collections::HashMap;

use crate::check;
use crate::model::desired::Existence;
use crate::model::{
    Desired, Diagnostic, Diagnostics, Draft, DraftCell, DraftResource, FieldId, Given, Inventory, Key, Kind, Origin,
    Rows, Source, Wanted, Wish, parallel,
};
use crate::system::{self, System};
use value::{Misfit, aim};

/// The rules that hold: the product's, and what the project says about its own copy.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub system: &'static System,
    pub given: &'a Given,
}

pub use value::misfit;

/// What the store says about the resources of a draft.
pub struct Stored<'a> {
    pub inventory: &'a Inventory,
    /// Of every declared resource that exists and was not recognised; where their order is state, of all
    /// servers.
    pub rows: &'a Rows,
    /// What is declared no more and will be deleted.
    pub gone: &'a [(Kind, Key)],
}

/// Resolves all resources on all cores; `finish` takes them run by run, in the thread that has
/// resolved them.
pub fn resolve<T: Send>(
    rules: Rules<'_>,
    draft: Draft,
    stored: Option<&Stored<'_>>,
    diagnostics: &mut Diagnostics,
    finish: impl Fn(&[String], Vec<Wanted>) -> T + Sync,
) -> (Desired, Vec<T>) {
    let Draft { files, mut resources, recognised, outside: _, mentioned, vanished } = draft;
    // Servers come first by kind, and the others take values from them.
    let others = resources.split_off(resources.partition_point(|resource| resource.kind == Kind::Server));
    let system = rules.system;
    let mut step = Step { system, given: rules.given, files: &files, stored, servers: HashMap::new() };
    let mut problems = Problems::default();
    let mut references = HashMap::new();
    let mut typed: Vec<(DraftResource, Typed)> = resources
        .into_iter()
        .map(|mut server| {
            let typed = step.typed(&mut server, &mut problems);
            (server, typed)
        })
        .collect();
    if system.ordered {
        step.order(&mut typed, &mut problems);
    }
    let mut servers = Vec::new();
    for (server, typed) in typed {
        if !server.absent {
            references.insert(server.key.clone(), typed.wishes.clone());
        }
        if system.manages(Kind::Server) {
            servers.extend(step.wanted(server, typed, &mut problems));
        }
    }
    step.servers = references;
    diagnostics.extend(problems.0);
    let mut finished = vec![finish(&files, servers)];
    for (done, problems) in parallel::runs(others, |run| {
        let mut problems = Problems::default();
        let wanted = step.run(run, &mut problems);
        (finish(&files, wanted), problems)
    }) {
        finished.push(done);
        diagnostics.extend(problems.0);
    }
    let mentioned = Kind::ALL.map(|kind| mentioned[kind as usize] && system.manages(kind));
    (Desired { files, recognised, mentioned, vanished }, finished)
}

/// Resolves resources that refer to no server and that the store does not have.
pub fn resolve_new(rules: Rules<'_>, files: &[String], new: Vec<DraftResource>) -> (Vec<Wanted>, Vec<Diagnostic>) {
    let (inventory, rows) = (Inventory::default(), Rows::default());
    let stored = Stored { inventory: &inventory, rows: &rows, gone: &[] };
    let (system, given) = (rules.system, rules.given);
    let step = Step { system, given, files, stored: Some(&stored), servers: HashMap::new() };
    let mut problems = Problems::default();
    let wanted = step.run(new, &mut problems);
    (wanted, problems.0)
}

#[derive(Default)]
struct Problems(Vec<Diagnostic>);

/// The values of a resource, and the fields whose values are wrong: they are not missing.
struct Typed {
    wishes: Vec<Wish>,
    broken: Vec<FieldId>,
}

struct Step<'a> {
    system: &'static System,
    given: &'a Given,
    files: &'a [String],
    stored: Option<&'a Stored<'a>>,
    servers: HashMap<Key, Vec<Wish>>,
}

impl<'a> Step<'a> {
    fn run(&self, resources: Vec<DraftResource>, problems: &mut Problems) -> Vec<Wanted> {
        let wanted = resources.into_iter().filter_map(|mut resource| {
            let typed = self.typed(&mut resource, problems);
            self.wanted(resource, typed, problems)
        });
        wanted.collect()
    }

    fn existence(&self, kind: Kind, key: &Key) -> Existence<'a> {
        let Some(stored) = self.stored else { return Existence::Unknown };
        match stored.rows.get(kind, key) {
            Some(row) => Existence::Present(row),
            None => Existence::Absent,
        }
    }

    fn at(&self, problem: Diagnostic, source: Source) -> Diagnostic {
        problem.at(&self.files[source.file as usize], source.place.line, source.place.column)
    }

    /// The values that are written, by their types.
    fn typed(&self, resource: &mut DraftResource, problems: &mut Problems) -> Typed {
        let mut broken = std::mem::take(&mut resource.broken);
        let cells = std::mem::take(&mut resource.cells);
        let first = cells.iter().min_by_key(|cell| cell.place).map(|cell| (cell.place, cell.field));
        // As many wishes as cells, of the same size: the compiler reuses the memory.
        let mut to_wish = |DraftCell { field, raw, place }| {
            let spec = resource.kind.field(field);
            let source = Source { file: resource.source.file, place };
            match aim(spec, raw) {
                _ if spec.read_only => {
                    let message = format!("`{}` is given by the product and cannot be declared", spec.name);
                    let problem = Diagnostic::error("field/read-only", message).hint("remove it");
                    problems.0.push(self.at(problem, source).of(&resource.address()).field(spec.name));
                    None
                }
                Ok(aim) => Some(Wish { field, origin: Origin::Written, aim, source }),
                Err(misfits) => {
                    broken.push(field);
                    for Misfit { code, message, hint, at } in misfits {
                        let source = Source { place: at.unwrap_or(place), ..source };
                        let problem = Diagnostic::error(code, message);
                        let mut problem = self.at(problem, source).of(&resource.address()).field(spec.name);
                        problem.hint = hint;
                        problems.0.push(problem);
                    }
                    None
                }
            }
        };
        let wishes = cells.into_iter().filter_map(&mut to_wish).collect();
        if resource.absent
            && let Some((place, field)) = first
        {
            let source = Source { place, ..resource.source };
            let message = "`absent` deletes; the fields beside it would be lost";
            let problem = Diagnostic::error("resource/absent", message).hint("remove the fields, or `absent`");
            let field = resource.kind.field(field).name;
            problems.0.push(self.at(problem, source).of(&resource.address()).field(field));
        }
        Typed { wishes, broken }
    }

    /// Applies references and the system's rules. `None` for a kind that the system has not.
    fn wanted(&self, resource: DraftResource, typed: Typed, problems: &mut Problems) -> Option<Wanted> {
        let kind = resource.kind;
        let address = resource.address();
        let Typed { wishes, mut broken } = typed;
        if !self.system.manages(kind) {
            let able: Vec<&str> = system::ALL.iter().filter(|s| s.manages(kind)).map(|s| s.name).collect();
            let message = format!("{} has no {kind}s", self.system.product);
            let hint = format!("systems that have: {}", able.join(", "));
            let problem = Diagnostic::error("system/not-expressible", message).hint(hint);
            problems.0.push(self.at(problem, resource.source).of(&address));
            return None;
        }
        let before = problems.0.len();
        let previously = resource.previously();
        let existence = self.existence(kind, &resource.key);
        let mut wanted = Wanted {
            kind,
            key: resource.key,
            source: resource.source,
            absent: resource.absent,
            previously,
            wishes,
            digest: resource.digest,
        };
        if wanted.absent {
            self.keep_permanent(&wanted, &address, problems);
        } else {
            let server = self.follow_server(&mut wanted, existence, &address, problems);
            self.express(&mut wanted, &mut broken, &address, problems);
            self.default(&mut wanted, &broken, existence);
            self.drop_idle(&mut wanted, &broken, existence, &address, problems);
            self.require(&wanted, &broken, existence, resource.whole_record, &address, problems);
            let subject = check::Subject {
                system: self.system,
                given: self.given,
                wanted: &wanted,
                existence,
                broken: &broken,
                server,
            };
            let mut findings = Vec::new();
            check::run(&subject, &mut findings);
            problems.0.extend(findings.into_iter().map(|(problem, source)| self.at(problem, source).of(&address)));
        }
        if problems.0.len() > before {
            wanted.digest = None;
        }
        Some(wanted)
    }
}
