//! From a draft to desired state: types, references, the system's rules, and for what will be
//! added the product's defaults. What a rule's row cannot say is a named function in `check`.

mod value;

use std::collections::HashMap;

use compact_str::CompactString;

use crate::check;
use crate::model::desired::{Aim, Existence};
use crate::model::diagnostic::{did_you_mean, unknown_word};
use crate::model::{
    Address, Desired, Diagnostic, Diagnostics, Draft, DraftCell, DraftResource, FieldId, Given, Inventory, Key, Kind,
    Origin, Rows, Source, Value, Wanted, Wish, parallel,
};
use crate::system::{self, Need, Rule, System};
use value::{Misfit, aim};

/// The rules that hold: the product's, and what the project says about its own copy.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub system: &'static System,
    pub given: &'a Given,
}

/// What the store says about the resources of a draft.
pub struct Stored<'a> {
    pub inventory: &'a Inventory,
    /// Of every declared resource that exists and was not recognised.
    pub rows: &'a Rows,
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
    let Draft { files, mut resources, recognised, mentioned, vanished } = draft;
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
    let stored = Stored { inventory: &inventory, rows: &rows };
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

    /// Gives every server its place in the list: servers without one stand in the order of the files,
    /// in the places that the others leave free (003:87, 004:85).
    fn order(&self, servers: &mut [(DraftResource, Typed)], problems: &mut Problems) {
        const POSITION: FieldId = Kind::Server.id("position");
        let mut taken: HashMap<i64, Key> = HashMap::new();
        let mut free: Vec<&mut (DraftResource, Typed)> = Vec::new();
        for server in servers.iter_mut().filter(|(resource, _)| !resource.absent) {
            let (resource, typed) = &*server;
            match typed.wishes.iter().find(|wish| wish.field == POSITION) {
                Some(Wish { aim: Aim::Value(Value::Int(place)), source, .. }) => {
                    if let Some(other) = taken.insert(*place, resource.key.clone()) {
                        let other = Address::new(Kind::Server, other);
                        let problem =
                            Diagnostic::error("server/position", format!("`{other}` has the same place in the list"))
                                .hint("give every server a place of its own, or leave `position` out");
                        problems.0.push(self.at(problem, *source).of(&resource.address()).field("position"));
                    }
                }
                _ if typed.broken.contains(&POSITION) => {}
                _ => free.push(server),
            }
        }
        free.sort_by_key(|(resource, _)| resource.source);
        let mut places = (1..).filter(|place| !taken.contains_key(place));
        for (resource, typed) in free {
            let aim = Aim::Value(Value::Int(places.next().unwrap_or_default()));
            typed.wishes.retain(|wish| wish.field != POSITION);
            typed.wishes.push(Wish { field: POSITION, origin: Origin::Default, aim, source: resource.source });
            typed.wishes.sort_by_key(|wish| wish.field);
        }
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
        let existence = self.existence(kind, &resource.key);
        let mut wanted = Wanted {
            kind,
            key: resource.key,
            source: resource.source,
            absent: resource.absent,
            wishes,
            digest: resource.digest,
        };
        if wanted.absent {
            self.keep_permanent(&wanted, &address, problems);
        } else {
            let server = self.follow_server(&mut wanted, &address, problems);
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

    /// Refuses the tombstone of what the product never deletes.
    fn keep_permanent(&self, wanted: &Wanted, address: &Address, problems: &mut Problems) {
        let named = |(name, _): &&(&str, &str)| *name == wanted.key.first();
        if wanted.kind == Kind::Account
            && let Some((name, source)) = self.system.permanent.iter().find(named)
        {
            let message = format!("`{name}` belongs to the product and cannot be deleted ({source})");
            let problem = Diagnostic::error("cpi/postmaster", message).hint("remove `absent`, or the whole entry");
            problems.0.push(self.at(problem, wanted.source).of(address));
        }
    }

    /// Takes from the server what the resource does not write itself, unless accounts of the system refer
    /// to servers themselves. Returns what the server says.
    fn follow_server(&self, wanted: &mut Wanted, address: &Address, problems: &mut Problems) -> Option<&[Wish]> {
        let reference = wanted.kind.find("server")?;
        let at = wanted.place_of(reference)?;
        let source = wanted.wishes[at].source;
        let Aim::Value(Value::Text(name)) = &wanted.wishes[at].aim else { return None };
        let server = self.servers.get(&Key::single(name)).map(Vec::as_slice);
        if server.is_none() {
            let near = did_you_mean(name, self.servers.keys().map(Key::as_joined));
            let named = near.map_or(String::new(), |_| format!(" {}", unknown_word(name, near)));
            let problem = Diagnostic::error("reference/unknown", format!("no file declares the server{named}"));
            let problem = problem.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it under `servers:`".to_owned(),
            });
            problems.0.push(self.at(problem, source).of(address).field("server"));
        }
        let refers = self.system.manages(Kind::Server);
        if let Some(server) = server
            && (self.system.open || !refers)
        {
            if !refers {
                self.refuse_lost(wanted.kind, server, source, address, problems);
            }
            let brought = brought(wanted, server, source);
            wanted.extend(brought);
        }
        // Systems without servers keep the values, not the name.
        if !refers {
            wanted.wishes.retain(|wish| wish.field != reference);
        }
        server
    }

    /// A setting of the server that the kind has no field for would be dropped in silence.
    fn refuse_lost(&self, kind: Kind, server: &[Wish], source: Source, address: &Address, problems: &mut Problems) {
        for wish in server {
            let field = Kind::Server.field(wish.field);
            let off = match &wish.aim {
                Aim::Value(Value::Bool(on)) => !on,
                Aim::Value(Value::Size(limit)) => limit.is_none(),
                Aim::Value(_) | Aim::Secret(_) | Aim::Clear => true,
            };
            if off || field.name == "supports_uidl" || kind.find(field.name).is_some() {
                continue;
            }
            let product = self.system.product;
            let message = format!("{product} has no setting for `{}`, which this server asks for", field.name);
            let problem =
                Diagnostic::error("system/not-expressible", message).hint(self.elsewhere(Kind::Server, wish.field));
            problems.0.push(self.at(problem, source).of(address).field(field.name));
        }
    }

    /// What to do about a field that the system cannot set.
    fn elsewhere(&self, kind: Kind, field: FieldId) -> String {
        let able = system::able(kind, field);
        if able.is_empty() {
            "remove it".to_owned()
        } else {
            format!("remove it; systems that can: {}", able.join(", "))
        }
    }

    /// Refuses what the system cannot say, and drops what it can only do in one way.
    fn express(&self, wanted: &mut Wanted, broken: &mut Vec<FieldId>, address: &Address, problems: &mut Problems) {
        let kind = wanted.kind;
        wanted.wishes.retain_mut(|wish| {
            let spec = kind.field(wish.field);
            if matches!(&wish.aim, Aim::Value(Value::Text(text)) if text.is_empty())
                && self.system.keeps(spec.name).is_some()
            {
                // An empty text and no text are the same to a product whose empty cell keeps.
                wish.aim = Aim::Clear;
            }
            let product = self.system.product;
            let rule = self.system.rule(kind, wish.field);
            let problem = match rule {
                None if self.system.open || spec.read_only => return true,
                None => {
                    let document = self.system.document;
                    let reason = format!("{product} has no setting for `{}` ({document})", spec.name);
                    Diagnostic::error("system/not-expressible", reason).hint(self.elsewhere(kind, wish.field))
                }
                Some(Rule { need: Need::Never(why), source, .. }) => {
                    let reason = format!("{product} has no setting for `{}`: {why} ({source})", spec.name);
                    Diagnostic::error("system/not-expressible", reason).hint(self.elsewhere(kind, wish.field))
                }
                Some(Rule { need: Need::Fixed(word), source, .. }) => {
                    let same = match &wish.aim {
                        Aim::Value(value) => Some(value) == Value::from_word(spec.ty, word).as_ref(),
                        Aim::Clear => true,
                        Aim::Secret(_) => false,
                    };
                    if same {
                        return false;
                    }
                    let reason = format!("{product} knows `{}` only as `{word}` ({source})", spec.name);
                    Diagnostic::error("system/not-expressible", reason).hint(self.elsewhere(kind, wish.field))
                }
                Some(rule) => {
                    let Aim::Value(value) = &wish.aim else { return true };
                    let takes = |word: &&str| Value::from_word(spec.ty, word).as_ref() == Some(value);
                    if rule.values.is_empty() || rule.values.iter().any(|word| takes(&word)) {
                        return true;
                    }
                    let words = rule.values.join("`, `");
                    let message = format!("{product} takes for `{}` one of `{words}` ({})", spec.name, rule.source);
                    let able = system::able_with(kind, wish.field, value);
                    let problem = Diagnostic::error("system/value", message);
                    if able.is_empty() {
                        problem.hint("write one of these")
                    } else {
                        problem.hint(format!("write one of these; systems that take this value: {}", able.join(", ")))
                    }
                }
            };
            broken.push(wish.field);
            problems.0.push(self.at(problem, wish.source).of(address).field(spec.name));
            false
        });
    }

    /// `null` is the default; what is added takes the default of every field that is not written.
    fn default(&self, wanted: &mut Wanted, broken: &[FieldId], existence: Existence<'_>) {
        let mut added: Vec<Wish> = Vec::new();
        for (field, rule) in &self.system.by_field(wanted.kind).defaults {
            let at = wanted.place_of(*field);
            let cleared = at.is_some_and(|at| matches!(wanted.wishes[at].aim, Aim::Clear));
            let adds = at.is_none() && matches!(existence, Existence::Absent) && !broken.contains(field);
            if !cleared && !adds {
                continue;
            }
            // A default may depend on another one, whose row stands before it.
            let before = |other| added.iter().find(|wish: &&Wish| wish.field == other).and_then(Wish::value);
            let get = |other| effective(wanted, existence, other).or_else(|| before(other));
            let Some(value) = rule.default_value(get) else { continue };
            let aim = Aim::Value(value);
            match at {
                Some(at) => wanted.wishes[at].aim = aim,
                None if applies(rule.only_when, wanted.kind, existence, get) != Some(false) => {
                    added.push(Wish { field: *field, origin: Origin::Default, aim, source: wanted.source });
                }
                None => {}
            }
        }
        wanted.extend(added);
    }

    /// Drops values that have no effect beside the others (△ and ▲ of 000:116, AMB-A6).
    fn drop_idle(
        &self,
        wanted: &mut Wanted,
        broken: &[FieldId],
        existence: Existence<'_>,
        address: &Address,
        problems: &mut Problems,
    ) {
        let mut idle = Vec::new();
        for (field, rule) in &self.system.by_field(wanted.kind).conditional {
            let Some(wish) = wanted.wish(*field) else { continue };
            // What depends on a wrong value is judged when that is right.
            if rule.only_when.is_some_and(|(other, _)| broken.contains(&wanted.kind.id(other))) {
                continue;
            }
            if applies(rule.only_when, wanted.kind, existence, |other| effective(wanted, existence, other))
                != Some(false)
            {
                continue;
            }
            idle.push(*field);
            // A flag that is off says what is the case anyway.
            let off = matches!(wish.aim, Aim::Value(Value::Bool(false)) | Aim::Clear);
            if wish.origin == Origin::Written && !off {
                let (other, word) = rule.only_when.unwrap_or_default();
                let message = format!(
                    "`{}` has no effect unless `{other}` is `{word}` ({}); it is left out",
                    rule.field, rule.source
                );
                problems.0.push(
                    self.at(Diagnostic::warning("system/no-effect", message), wish.source)
                        .of(address)
                        .field(rule.field),
                );
            }
        }
        wanted.wishes.retain(|wish| !idle.contains(&wish.field));
    }

    fn require(
        &self,
        wanted: &Wanted,
        broken: &[FieldId],
        existence: Existence<'_>,
        whole_record: bool,
        address: &Address,
        problems: &mut Problems,
    ) {
        let kind = wanted.kind;
        let missing: Vec<&Rule> = self
            .system
            .by_field(kind)
            .required
            .iter()
            .filter(|(field, rule)| {
                let wish = wanted.wish(*field);
                let asked = match rule.need {
                    Need::RequiredWhen(other, word) => {
                        applies(Some((other, word)), kind, existence, |other| effective(wanted, existence, other))
                            == Some(true)
                            && !broken.contains(&kind.id(other))
                    }
                    _ => true,
                };
                asked
                    && !broken.contains(field)
                    && wish.is_none_or(|wish| matches!(wish.aim, Aim::Clear) && matches!(existence, Existence::Absent))
            })
            .map(|(_, rule)| *rule)
            .collect();
        if missing.is_empty() {
            return;
        }
        if matches!(existence, Existence::Absent) {
            // Where it is written, if only as `null`.
            let place = |rule: &Rule| wanted.wish(kind.id(rule.field)).map_or(wanted.source, |wish| wish.source);
            for rule in missing {
                let while_ = match rule.need {
                    Need::RequiredWhen(other, word) => format!(" while `{other}` is `{word}`"),
                    _ => String::new(),
                };
                let message = format!("`{}` is required when a {kind} is added{while_} ({})", rule.field, rule.source);
                problems.0.push(
                    self.at(Diagnostic::error("system/required", message), place(rule)).of(address).field(rule.field),
                );
            }
        } else if whole_record {
            let names: Vec<&str> = missing.iter().map(|rule| rule.field).collect();
            let message = format!("the record leaves out `{}`", names.join("`, `"));
            let hint = "what is left out is kept when the pattern exists (000:124); to add it, all of them are required (000:116)";
            problems
                .0
                .push(self.at(Diagnostic::warning("system/incomplete", message).hint(hint), wanted.source).of(address));
        }
    }
}

/// The value that a field will have: the wish, or what is stored and kept.
fn effective<'v>(wanted: &'v Wanted, existence: Existence<'v>, field: FieldId) -> Option<&'v Value> {
    match wanted.wish(field) {
        Some(Wish { aim: Aim::Value(value), .. }) => Some(value),
        Some(_) => None,
        None => existence.row().and_then(|row| row.get(field)),
    }
}

/// Whether a condition holds; `None` if that is not known.
fn applies<'v>(
    condition: Option<(&'static str, &'static str)>,
    kind: Kind,
    existence: Existence<'_>,
    get: impl Fn(FieldId) -> Option<&'v Value>,
) -> Option<bool> {
    let Some((other, word)) = condition else { return Some(true) };
    match get(kind.id(other)) {
        Some(value) => Some(value.is_word(word)),
        // A switch that nobody has touched is off.
        None if word == "true" && !matches!(existence, Existence::Unknown) => Some(false),
        None => None,
    }
}

/// What the server brings into fields that the resource does not write: host, port, protocol,
/// security and authentication.
fn brought(wanted: &Wanted, server: &[Wish], source: Source) -> Vec<Wish> {
    let kind = wanted.kind;
    let own = server.iter().any(|wish| {
        wish.field == const { Kind::Server.id("outgoing.auth.credentials") }
            && matches!(&wish.aim, Aim::Value(value) if value.text() == Some("own"))
    });
    let mut brought = Vec::new();
    for wish in server {
        let name = Kind::Server.field(wish.field).name;
        let aim = match (name, &wish.aim) {
            (_, Aim::Clear) => continue,
            ("position" | "supports_uidl", _) => continue,
            // An account's own credentials for sending stand in the account.
            ("outgoing.auth.username" | "outgoing.auth.password", _) if !own || kind != Kind::Pattern => continue,
            ("outgoing.auth.credentials", Aim::Value(value)) => {
                let word = if value.text() == Some("account") { "incoming" } else { "own" };
                Aim::Value(Value::Text(CompactString::const_new(word)))
            }
            (_, aim) => aim.clone(),
        };
        if let Some(field) = kind.find(name)
            && !wanted.wishes.iter().any(|own| own.field == field)
        {
            brought.push(Wish { field, origin: Origin::Server, aim, source });
        }
    }
    brought
}
