//! The rows of the system's table, applied to one resource.

use super::{Problems, Step};
use crate::model::desired::{Aim, Existence};
use crate::model::{Address, Diagnostic, FieldId, Kind, Origin, Value, Wanted, Wish};
use crate::system::{self, Default, Need, Rule};

impl Step<'_> {
    /// Refuses the tombstone of what the product never deletes.
    pub(super) fn keep_permanent(&self, wanted: &Wanted, address: &Address, problems: &mut Problems) {
        let named = |(name, _): &&(&str, &str)| *name == wanted.key.first();
        if wanted.kind == Kind::Account
            && let Some((name, source)) = self.system.permanent.iter().find(named)
        {
            let message = format!("`{name}` belongs to the product and cannot be deleted ({source})");
            let problem = Diagnostic::error("cpi/postmaster", message).hint("remove `absent`, or the whole entry");
            problems.0.push(self.at(problem, wanted.source).of(address));
        }
    }

    /// Refuses what the system cannot say, and drops what it can only do in one way.
    pub(super) fn express(
        &self,
        wanted: &mut Wanted,
        broken: &mut Vec<FieldId>,
        address: &Address,
        problems: &mut Problems,
    ) {
        let kind = wanted.kind;
        wanted.wishes.retain_mut(|wish| {
            let spec = kind.field(wish.field);
            if matches!(&wish.aim, Aim::Value(Value::Text(text)) if text.is_empty())
                && self.system.keeps(kind, wish.field).is_some()
            {
                // An empty text and no text are the same to a product whose empty cell keeps.
                wish.aim = Aim::Clear;
            }
            let product = self.system.product;
            let rule = self.system.rule(kind, wish.field);
            let problem = match rule {
                None if self.system.open || spec.read_only || spec.own => return true,
                None => {
                    let document = self.system.document;
                    let reason = format!("{product} has no setting for `{}` ({document})", spec.name);
                    Diagnostic::error("system/not-expressible", reason).hint(elsewhere(kind, wish))
                }
                Some(Rule { need: Need::Never(why), source, .. }) => {
                    let reason = format!("{product} has no setting for `{}`: {why} ({source})", spec.name);
                    Diagnostic::error("system/not-expressible", reason).hint(elsewhere(kind, wish))
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
                    Diagnostic::error("system/not-expressible", reason).hint(elsewhere(kind, wish))
                }
                Some(rule) => {
                    let Aim::Value(value) = &wish.aim else { return true };
                    let takes = |word: &str| Value::from_word(spec.ty, word).as_ref() == Some(value);
                    if rule.values.is_empty() || rule.values.iter().any(|word| takes(word)) {
                        return true;
                    }
                    let words = rule.values.join("`, `");
                    let message = format!("{product} takes for `{}` one of `{words}` ({})", spec.name, rule.source);
                    let able = able(kind, wish, |kind, field| system::able_with(kind, field, value));
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
    pub(super) fn default(&self, wanted: &mut Wanted, broken: &[FieldId], existence: Existence<'_>) {
        let mut added: Vec<Wish> = Vec::new();
        for (field, rule) in &self.system.by_field(wanted.kind).defaults {
            let at = wanted.place_of(*field);
            let cleared = at.is_some_and(|at| matches!(wanted.wishes[at].aim, Aim::Clear));
            // What the product ticks together with a value that is written now (001:40).
            let follows = |other: &str| {
                existence.row().is_some_and(|row| row.get(*field).is_none())
                    && wanted.wish(wanted.kind.id(other)).is_some_and(|wish| matches!(wish.aim, Aim::Value(_)))
            };
            let due = match (existence, &rule.default) {
                (Existence::Absent, _) => true,
                (Existence::Present(_), Default::By(other, _)) => follows(other),
                _ => false,
            };
            let adds = at.is_none() && due && !broken.contains(field);
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
    pub(super) fn drop_idle(
        &self,
        wanted: &mut Wanted,
        broken: &[FieldId],
        existence: Existence<'_>,
        address: &Address,
        problems: &mut Problems,
    ) {
        // What a dropped value was the condition of goes with it.
        loop {
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
            if idle.is_empty() {
                return;
            }
            wanted.wishes.retain(|wish| !idle.contains(&wish.field));
        }
    }

    pub(super) fn require(
        &self,
        wanted: &Wanted,
        broken: &[FieldId],
        existence: Existence<'_>,
        whole_record: bool,
        address: &Address,
        problems: &mut Problems,
    ) {
        let kind = wanted.kind;
        let get = |field| effective(wanted, existence, field);
        let cleared = |field| wanted.wish(field).is_some_and(|wish| matches!(wish.aim, Aim::Clear));
        let asked = |rule: &Rule| match rule.need {
            Need::RequiredWhen(other, word) => {
                !broken.contains(&kind.id(other)) && applies(Some((other, word)), kind, existence, get) == Some(true)
            }
            _ => true,
        };
        let rules = self.system.by_field(kind).required.iter();
        let missing = rules.filter(|(field, rule)| {
            !broken.contains(field) && asked(rule) && {
                match existence {
                    // A whole record says so much itself; others say what changes.
                    Existence::Present(_) if whole_record => wanted.wish(*field).is_none(),
                    // What the product cannot empty is blocked for that reason.
                    Existence::Present(_) => {
                        let when = matches!(rule.need, Need::RequiredWhen(..));
                        if cleared(*field) {
                            self.system.keeps(kind, *field).is_none()
                        } else {
                            when && wanted.wish(*field).is_none() && get(*field).is_none()
                        }
                    }
                    Existence::Absent => wanted.wish(*field).is_none() || cleared(*field),
                    Existence::Unknown => wanted.wish(*field).is_none(),
                }
            }
        });
        let missing: Vec<&Rule> = missing.map(|(_, rule)| *rule).collect();
        if missing.is_empty() {
            return;
        }
        let present = matches!(existence, Existence::Present(_));
        if matches!(existence, Existence::Absent) || (present && !whole_record) {
            // Where it is written, if only as `null`.
            let place = |rule: &Rule| wanted.wish(kind.id(rule.field)).map_or(wanted.source, |wish| wish.source);
            for rule in missing {
                let when = match rule.need {
                    Need::RequiredWhen(other, word) => format!(" while `{other}` is `{word}`"),
                    _ => String::new(),
                };
                let article = if kind == Kind::Account { "an" } else { "a" };
                let added = if present { String::new() } else { format!(" when {article} {kind} is added") };
                let message = format!("`{}` is required{added}{when} ({})", rule.field, rule.source);
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

/// What to do about a value that the system cannot hold.
fn elsewhere(kind: Kind, wish: &Wish) -> String {
    remove_or(&able(kind, wish, system::able))
}

pub(super) fn remove_or(able: &[&str]) -> String {
    if able.is_empty() { "remove it".to_owned() } else { format!("remove it; systems that can: {}", able.join(", ")) }
}

/// The systems that are able to, in their order; what a server brings may stay with a server.
fn able(kind: Kind, wish: &Wish, of: impl Fn(Kind, FieldId) -> Vec<&'static str>) -> Vec<&'static str> {
    let mut able = of(kind, wish.field);
    let at_home = Kind::Server.find(kind.field(wish.field).name).filter(|_| wish.origin == Origin::Server);
    able.extend(at_home.into_iter().flat_map(|field| of(Kind::Server, field)));
    system::ALL.iter().map(|system| system.name).filter(|name| able.contains(name)).collect()
}
