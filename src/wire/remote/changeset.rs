//! A plan as it travels to the server that applies it: the plan document, with what its secrets become, sealed.
//! One change a line, so that a million of them never stand in memory as one text.

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _, Write};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::super::plan::{marks, put};
use super::super::read::value as read_value;
use super::super::{FORMAT_VERSION, put_value, summary};
use super::Tell;
use super::rows::{digest, put_digest};
use crate::model::draft::Digest;
use crate::model::plan::{Base, Learned};
use crate::model::{
    Action, Address, Change, FieldChange, FieldId, Grace, Kind, Origin, Place, Plan, SecretChange, Source, Special,
    Type, Value,
};

/// What is said of a changeset beside its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentHead {
    pub project: String,
    pub system: String,
    /// What the plan was made from, if that is said.
    pub base: Option<Base>,
    pub config_digest: String,
    /// By which consent named the plan, if that is said.
    pub digest: Option<String>,
    pub actor: Option<String>,
    pub commit: Option<String>,
    pub note: Option<String>,
    /// Whether a mail server reads the accounts, so that what ends its connections has an effect.
    pub mail_server: bool,
    pub recorded: bool,
    pub unchanged: u64,
}

/// A secret, as it is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentSecret {
    Sealed(String),
    /// As the store has held it before.
    Kept(String),
}

/// A change as a client says it.
#[derive(Debug)]
pub struct Sent {
    /// Without its secrets. A field whose value before is not said has `Value::Unknown` there.
    pub change: Change,
    pub secrets: Vec<(FieldId, SecretChange, Option<SentSecret>)>,
    /// Its line in a changeset of lines, its number in another one.
    pub at: usize,
}

#[derive(Debug, Default)]
pub struct Changeset {
    pub head: SentHead,
    pub changes: Vec<Sent>,
    pub learned: Vec<Learned>,
    /// Of the sources of the changes.
    pub files: Vec<String>,
}

/// The most bytes of a line.
const LINE: u64 = 16 * 1024 * 1024;

/// The most bytes of a changeset that is one document.
const DOCUMENT: u64 = 64 * 1024 * 1024;

/// Why a changeset cannot be read, with the line or the number of the change.
#[derive(Debug)]
pub enum Broken {
    Io(io::Error),
    /// It is not JSON at all.
    Syntax(String),
    Wrong(String),
    /// A document of more bytes than this, all of which would stand in memory.
    TooLong(u64),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

/// Writes a plan to be applied: a head, then a change a line. `seal` gives the word of a secret, which starts with
/// `kept:` if it is one that the server has told. `each` is told how many changes are written.
pub fn write_changeset(
    plan: &Plan,
    head: &SentHead,
    seal: &Tell<'_>,
    each: &dyn Fn(u64),
    to: &mut dyn Write,
) -> io::Result<()> {
    let summary = summary(|action| plan.count(action), plan.unchanged);
    let SentHead {
        project,
        system,
        base,
        config_digest,
        digest,
        actor,
        commit,
        note,
        mail_server,
        recorded,
        unchanged: _,
    } = head;
    let base = base.unwrap_or(plan.base);
    let mut line = serde_json::to_vec(&json!({
        "format_version": FORMAT_VERSION,
        "yubin": env!("CARGO_PKG_VERSION"),
        "project": project,
        "system": system,
        "base_revision": base.revision,
        "base_outside_writes": base.outside_writes,
        "config_digest": config_digest,
        "digest": digest,
        "actor": actor,
        "commit": commit,
        "note": note,
        "mail_server": mail_server,
        "recorded": recorded,
        "summary": summary,
    }))?;
    line.push(b'\n');
    to.write_all(&line)?;
    for (at, change) in (1..).zip(&plan.changes) {
        line.clear();
        put_change(&mut line, plan, change, seal);
        to.write_all(&line)?;
        each(at);
    }
    for learned in &plan.learned {
        line.clear();
        learned_line(&mut line, learned);
        to.write_all(&line)?;
    }
    Ok(())
}

/// By which digest a resource is recognised from now on, as a line.
pub fn learned_line(to: &mut Vec<u8>, (kind, key, digest): &Learned) {
    to.extend_from_slice(b"{\"learned\":");
    put(to, Address::new(*kind, key.clone()).to_string());
    to.extend_from_slice(b",\"declared\":");
    put_digest(to, digest);
    to.extend_from_slice(b"}\n");
}

fn put_change(to: &mut Vec<u8>, plan: &Plan, change: &Change, seal: &Tell<'_>) {
    let address = change.address();
    to.extend_from_slice(b"{\"action\":");
    put(to, change.action.name());
    to.extend_from_slice(b",\"address\":");
    put(to, address.to_string());
    if let Some(source) = change.source {
        to.extend_from_slice(b",\"source\":");
        let (line, column) = (source.place.line, source.place.column);
        put(to, json!({ "file": plan.file(source), "line": line, "column": column }));
    }
    for (name, mark) in marks(change) {
        to.push(b',');
        put(to, name);
        to.push(b':');
        put(to, mark);
    }
    if let Some(special) = &change.special {
        if let Some(owner) = &special.owner {
            to.extend_from_slice(b",\"owner\":");
            put(to, owner);
        }
        if let Some(marker) = &special.marker {
            to.extend_from_slice(b",\"marker\":");
            put(to, marker.as_deref());
        }
        if let Some(disabled) = special.disabled {
            to.extend_from_slice(b",\"disabled\":");
            put(to, disabled);
        }
    }
    if let Some(digest) = &change.digest {
        to.extend_from_slice(b",\"declared\":");
        put_digest(to, digest);
    }
    to.extend_from_slice(b",\"fields\":[");
    for (at, field) in change.fields.iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        let spec = change.kind.field(field.field);
        to.extend_from_slice(b"{\"field\":");
        put(to, spec.name);
        if spec.is_secret() {
            to.extend_from_slice(b",\"secret\":true,\"change\":");
            put(to, field.secret().name());
            let word = field.after.as_ref().and_then(|after| seal(&address, field.field, after));
            if let Some(word) = word {
                let (name, word) = match word.strip_prefix("kept:") {
                    Some(kept) => ("kept", kept),
                    None => ("sealed", word.as_str()),
                };
                to.extend_from_slice(format!(",\"{name}\":").as_bytes());
                put(to, word);
            }
        } else {
            to.extend_from_slice(b",\"before\":");
            put_value(to, field.before.as_deref());
            to.extend_from_slice(b",\"after\":");
            put_value(to, field.after.as_ref());
        }
        match field.origin {
            Origin::Default => to.extend_from_slice(b",\"default\":true"),
            Origin::Server => to.extend_from_slice(b",\"server\":true"),
            Origin::Written => {}
        }
        to.push(b'}');
    }
    to.extend_from_slice(b"]}\n");
}

/// The head, and of a document its changes. What is only for people to read is passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHead<'a> {
    format_version: u32,
    project: String,
    system: String,
    base_revision: Option<u64>,
    #[serde(default)]
    base_outside_writes: u64,
    #[serde(default)]
    config_digest: String,
    digest: Option<String>,
    actor: Option<String>,
    commit: Option<String>,
    note: Option<String>,
    #[serde(default)]
    mail_server: bool,
    #[serde(default)]
    recorded: bool,
    summary: Option<Summary>,
    #[serde(default)]
    refused: Vec<Refused>,
    #[serde(borrow)]
    changes: Option<Vec<&'a RawValue>>,
    /// Of a plan that fetched no secrets, or was made against something else.
    secrets: Option<String>,
    against: Option<IgnoredAny>,
    between: Option<IgnoredAny>,
    #[serde(rename = "yubin")]
    _yubin: Option<IgnoredAny>,
    #[serde(rename = "store")]
    _store: Option<IgnoredAny>,
    #[serde(rename = "secrets_digest")]
    _secrets_digest: Option<IgnoredAny>,
    #[serde(rename = "changed_secrets_digest")]
    _changed_secrets_digest: Option<IgnoredAny>,
    #[serde(rename = "as_of")]
    _as_of: Option<IgnoredAny>,
    #[serde(rename = "partial")]
    _partial: Option<IgnoredAny>,
    #[serde(rename = "effects")]
    _effects: Option<IgnoredAny>,
    #[serde(rename = "last_set")]
    _last_set: Option<IgnoredAny>,
    #[serde(rename = "drift")]
    _drift: Option<IgnoredAny>,
    #[serde(rename = "disabled")]
    _disabled: Option<IgnoredAny>,
    #[serde(rename = "diagnostics")]
    _diagnostics: Option<IgnoredAny>,
    #[serde(rename = "files")]
    _files: Option<IgnoredAny>,
    #[serde(rename = "document_digest")]
    _document_digest: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Summary {
    unchanged: Option<u64>,
}

#[derive(Deserialize)]
struct Refused {
    rule: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLearned {
    learned: String,
    declared: String,
}

#[expect(clippy::option_option, reason = "null says something else than nothing")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChange {
    action: String,
    address: String,
    source: Option<Stood>,
    previously: Option<String>,
    purge_after: Option<String>,
    #[serde(default)]
    restored: bool,
    #[serde(default)]
    adopted: bool,
    #[serde(default)]
    forgotten: bool,
    taken_from: Option<String>,
    reason: Option<String>,
    #[serde(default, deserialize_with = "said")]
    owner: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    marker: Option<Option<String>>,
    disabled: Option<u64>,
    declared: Option<String>,
    #[serde(default)]
    fields: Vec<WrittenField>,
    /// The address says both; they are there for people.
    kind: Option<String>,
    key: Option<Vec<String>>,
    /// The store knows better.
    #[serde(rename = "followers")]
    _followers: Option<IgnoredAny>,
    #[serde(rename = "foreign_owner")]
    _foreign_owner: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stood {
    file: String,
    line: u32,
    column: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenField {
    field: String,
    #[serde(default, deserialize_with = "said")]
    before: Option<Json>,
    #[serde(default, deserialize_with = "said")]
    after: Option<Json>,
    #[serde(default)]
    secret: bool,
    change: Option<String>,
    sealed: Option<String>,
    kept: Option<String>,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    server: bool,
    #[serde(rename = "observable")]
    _observable: Option<IgnoredAny>,
}

/// Tells null from nothing.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Reads a changeset: one document, or `lines`.
pub fn read_changeset(mut from: impl BufRead, lines: bool) -> Result<Changeset, Broken> {
    let mut set = Changeset::default();
    let mut files = HashMap::new();
    if !lines {
        let mut text = Vec::new();
        from.take(DOCUMENT + 1).read_to_end(&mut text)?;
        if text.len() as u64 > DOCUMENT {
            return Err(Broken::TooLong(DOCUMENT));
        }
        let head: WrittenHead<'_> = parse(&text, "the document")?;
        let changes = head.changes.clone().ok_or_else(|| Broken::Wrong("the document has no `changes`".to_owned()))?;
        set.head = head.into_head()?;
        for (at, change) in (1..).zip(changes) {
            let change = parse::<WrittenChange>(change.get().as_bytes(), &format!("change {at}"))?;
            set.take(change, at, &format!("change {at}"), &mut files)?;
        }
        return Ok(set);
    }
    let mut line = Vec::new();
    for at in 1.. {
        line.clear();
        if from.by_ref().take(LINE + 1).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let place = format!("line {at}");
        if line.len() as u64 > LINE {
            return Err(Broken::Wrong(format!("{place}: a change has 16 MiB at most")));
        }
        if at == 1 {
            let head: WrittenHead<'_> = parse(&line, &place)?;
            if head.changes.is_some() {
                return Err(Broken::Wrong("line 1: the changes stand in the lines below".to_owned()));
            }
            set.head = head.into_head()?;
        } else if line.starts_with(b"{\"learned\"") {
            let WrittenLearned { learned, declared } = parse(&line, &place)?;
            let address = Address::parse(&learned).map_err(|said| Broken::Wrong(format!("{place}: {said}")))?;
            let wrong = || Broken::Wrong(format!("{place}: `declared` is no digest"));
            set.learned.push((address.kind, address.key, digest(&declared).ok_or_else(wrong)?));
        } else if !line.trim_ascii().is_empty() {
            let change = parse(&line, &place)?;
            set.take(change, at, &place, &mut files)?;
        }
    }
    if set.head.project.is_empty() {
        return Err(Broken::Wrong("there is no first line".to_owned()));
    }
    Ok(set)
}

/// The error says where, and never what stands there: it may be a secret.
fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], place: &str) -> Result<T, Broken> {
    serde_json::from_slice(text).map_err(|error| {
        let column = error.column();
        if error.is_data() {
            // Serde names keys, types and what was expected; of a value that is wrong, the kind.
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            let said = if said.starts_with("invalid") { "a value has the wrong type" } else { said };
            Broken::Wrong(format!("{place}, column {column}: {said}"))
        } else {
            Broken::Syntax(format!("{place}, column {column}: this is no JSON"))
        }
    })
}

impl WrittenHead<'_> {
    fn into_head(self) -> Result<SentHead, Broken> {
        let wrong = |message: String| Err(Broken::Wrong(message));
        if self.format_version != FORMAT_VERSION {
            return wrong(format!(
                "the changeset has format {}, this yubin takes {FORMAT_VERSION}",
                self.format_version
            ));
        }
        if self.against.is_some() || self.between.is_some() {
            return wrong("this plan was not made against a store, and cannot be applied".to_owned());
        }
        if self.secrets.is_some() {
            return wrong("this plan has fetched no secrets, and cannot be applied".to_owned());
        }
        if let Some(refused) = self.refused.first() {
            return wrong(format!("the plan is refused by its own rules (`{}`)", refused.rule));
        }
        if self.project.is_empty() || self.project.chars().count() > 64 {
            return wrong("a project's name has 1 to 64 characters".to_owned());
        }
        let outside_writes = self.base_outside_writes;
        Ok(SentHead {
            project: self.project,
            system: self.system,
            base: self.base_revision.map(|revision| Base { revision, outside_writes }),
            config_digest: self.config_digest,
            digest: self.digest,
            actor: self.actor,
            commit: self.commit,
            note: self.note,
            mail_server: self.mail_server,
            recorded: self.recorded,
            unchanged: self.summary.and_then(|summary| summary.unchanged).unwrap_or_default(),
        })
    }
}

impl Changeset {
    fn take(
        &mut self,
        written: WrittenChange,
        at: usize,
        place: &str,
        names: &mut HashMap<String, u32>,
    ) -> Result<(), Broken> {
        let wrong = |said: String| Broken::Wrong(format!("{place}: {said}"));
        let action = Action::ALL.into_iter().find(|action| action.name() == written.action);
        let action = action.ok_or_else(|| wrong("`action` is none of add, overwrite, delete, …".to_owned()))?;
        let Address { kind, key } = Address::parse(&written.address).map_err(wrong)?;
        let other_kind = written.kind.is_some_and(|said| said != kind.name());
        if other_kind || written.key.is_some_and(|said| !key.parts().eq(said.iter().map(String::as_str))) {
            return Err(wrong("`kind` and `key` are not those of the address".to_owned()));
        }
        let source = written.source.map(|Stood { file, line, column }| {
            let file = *names.entry(file).or_insert_with_key(|name| {
                self.files.push(name.clone());
                self.files.len() as u32 - 1
            });
            Source { file, place: Place { line, column } }
        });
        let previously = match written.previously {
            None => None,
            Some(address) => {
                let address = Address::parse(&address).map_err(wrong)?;
                if address.kind != kind {
                    return Err(wrong("`previously` is of another kind".to_owned()));
                }
                Some(address.key)
            }
        };
        let grace = match written.purge_after {
            None => None,
            Some(word) => {
                Some(Grace::parse(&word).ok_or_else(|| wrong("`purge_after` is no length of time".to_owned()))?)
            }
        };
        let declared: Option<Digest> = match written.declared {
            None => None,
            Some(text) => Some(digest(&text).ok_or_else(|| wrong("`declared` is no digest".to_owned()))?),
        };
        let (mut fields, mut secrets) = (Vec::with_capacity(written.fields.len()), Vec::new());
        for one in written.fields {
            let unknown = || wrong(format!("`{kind}` has no field of this name"));
            let field = kind.find(&one.field).ok_or_else(unknown)?;
            let name = kind.field(field).name;
            let twice = fields.iter().any(|other: &FieldChange| other.field == field)
                || secrets.iter().any(|(other, ..): &(FieldId, _, _)| *other == field);
            if twice {
                return Err(wrong(format!("`{name}` stands there twice")));
            }
            let said = |said: &str| wrong(format!("`{name}`: {said}"));
            if kind.field(field).is_secret() {
                secrets.push(one.into_secret(field).map_err(|word| said(&word))?);
            } else {
                fields.push(one.into_field(kind, field).map_err(|word| said(&word))?);
            }
        }
        fields.sort_by_key(|one| one.field);
        let special = Special {
            reason: written.reason,
            taken_from: written.taken_from,
            owner: written.owner.or(written.forgotten.then_some(None)),
            previously,
            marker: written.marker.map(|marker| marker.map(Into::into)),
            restored: written.restored,
            grace,
            disabled: written.disabled,
            ..Special::default()
        };
        let change = Change::new(action, kind, key, source, fields);
        let change = Change { adopted: written.adopted, digest: declared, special: special.boxed(), ..change };
        self.changes.push(Sent { change, secrets, at });
        Ok(())
    }
}

impl WrittenField {
    fn into_secret(self, field: FieldId) -> Result<(FieldId, SecretChange, Option<SentSecret>), String> {
        if self.before.is_some() || self.after.is_some() {
            return Err("the value of a secret travels as `sealed` alone".to_owned());
        }
        let secret = match (self.sealed, self.kept) {
            (Some(_), Some(_)) => return Err("either `sealed` or `kept`".to_owned()),
            (Some(sealed), None) => Some(SentSecret::Sealed(sealed)),
            (None, Some(kept)) => Some(SentSecret::Kept(kept)),
            (None, None) => None,
        };
        let change = match (self.change.as_deref(), &secret) {
            (Some("set"), Some(_)) => SecretChange::Set,
            (Some("changed") | None, Some(_)) => SecretChange::Changed,
            (Some("cleared"), None) => SecretChange::Cleared,
            (Some("set" | "changed") | None, None) => {
                return Err("what the secret becomes is missing, as `sealed`".to_owned());
            }
            (Some("cleared"), Some(_)) => return Err("a secret that is cleared has no `sealed`".to_owned()),
            (Some(_), _) => return Err("`change` is `set`, `changed` or `cleared`".to_owned()),
        };
        Ok((field, change, secret))
    }

    fn into_field(self, kind: Kind, field: FieldId) -> Result<FieldChange, String> {
        if self.secret || self.sealed.is_some() || self.kept.is_some() || self.change.is_some() {
            return Err("this is no secret".to_owned());
        }
        let ty = kind.field(field).ty;
        let before = match self.before {
            // Nobody has said it.
            None => Some(Value::Unknown),
            Some(Json::Null) => None,
            Some(json) => Some(sound(ty, json).ok_or("what stands before is no value of this field")?),
        };
        let after = match self.after {
            None => return Err("`after` is missing; `null` is no value".to_owned()),
            Some(Json::Null) => None,
            Some(json) => Some(sound(ty, json).ok_or("this is no value of the field")?),
        };
        let origin = match (self.default, self.server) {
            (true, _) => Origin::Default,
            (_, true) => Origin::Server,
            _ => Origin::Written,
        };
        Ok(FieldChange { field, origin, before: before.map(Box::new), after })
    }
}

/// A value that the field can hold.
fn sound(ty: Type, json: Json) -> Option<Value> {
    let value = read_value(ty, json)?;
    let holds = match (ty, &value) {
        (Type::Int { min, max }, Value::Int(number)) => (min..=max).contains(number),
        (Type::Choice(words), Value::Text(word)) => words.contains(&word.as_str()),
        (_, Value::Text(text)) => !text.contains('\0'),
        (_, Value::List(items)) => items.iter().all(|item| !item.contains('\0')),
        _ => true,
    };
    holds.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Key, SecretChange};

    fn read(text: &str, lines: bool) -> Result<Changeset, String> {
        read_changeset(text.as_bytes(), lines).map_err(|broken| match broken {
            Broken::Io(error) => error.to_string(),
            Broken::Syntax(said) | Broken::Wrong(said) => said,
            Broken::TooLong(most) => most.to_string(),
        })
    }

    const HEAD: &str = r#"{"format_version":1,"project":"demo","system":"generic"}"#;

    #[test]
    fn a_plan_survives_the_way() {
        let after = |field: &str, value: Value| FieldChange {
            field: Kind::Account.find(field).unwrap(),
            origin: Origin::Default,
            before: None,
            after: Some(value),
        };
        let source = Some(Source { file: 0, place: Place { line: 3, column: 5 } });
        let comment = Kind::Account.id("comment");
        let password = Kind::Account.id("password");
        let sealed = Value::Sealed(crate::model::Sealed::from_bytes(b"sealed"));
        let fields = vec![after("comment", Value::Text("a \"b\"\n".into())), after("password", sealed)];
        let add = Change {
            digest: Some([7; 16]),
            ..Change::new(Action::Add, Kind::Account, Key::single("a/b"), source, fields)
        };
        let special = Special { previously: Some(Key::single("old")), marker: Some(None), ..Special::default() };
        let rename = Change {
            special: special.boxed(),
            ..Change::new(Action::Rename, Kind::Account, Key::single("new"), None, Vec::new())
        };
        let mut plan = Plan { files: vec!["a.yaml".to_owned()], changes: vec![add, rename], ..Plan::default() };
        plan.learned.push((Kind::Account, Key::single("x"), [9; 16]));
        let head = SentHead {
            project: "demo".to_owned(),
            system: "generic".to_owned(),
            base: Some(Base { revision: 4, outside_writes: 1 }),
            note: Some("why".to_owned()),
            ..SentHead::default()
        };
        let mut bytes = Vec::new();
        write_changeset(&plan, &head, &|_, _, _| Some("kept:word".to_owned()), &|_| {}, &mut bytes).unwrap();
        let set = read(std::str::from_utf8(&bytes).unwrap(), true).unwrap();
        assert_eq!(set.head, head);
        assert_eq!(set.learned, plan.learned);
        assert_eq!(set.files, plan.files);
        let [add, rename] = &set.changes[..] else { panic!("{} changes", set.changes.len()) };
        assert_eq!((add.at, rename.at), (2, 3));
        assert_eq!(add.change.digest, Some([7; 16]));
        assert_eq!(add.change.source, source);
        assert_eq!(add.change.fields.len(), 1);
        assert_eq!(add.change.fields[0], after("comment", Value::Text("a \"b\"\n".into())));
        assert_eq!(add.change.fields[0].field, comment);
        assert_eq!(add.secrets, [(password, SecretChange::Set, Some(SentSecret::Kept("word".to_owned())))]);
        assert_eq!(rename.change.special, plan.changes[1].special);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_its_value() {
        let change = |rest: &str| format!("{HEAD}\n{{\"action\":\"add\",\"address\":\"account/a\",{rest}}}\n");
        for (rest, said) in [
            (r#""fields":[{"field":"nonsense","after":"hunter2"}]"#, "line 2: `account` has no field of this name"),
            (r#""fields":[{"field":"password","after":"hunter2"}]"#, "line 2: `password`: the value of a secret"),
            (r#""fields":[{"field":"password","secret":true,"change":"set"}]"#, "line 2: `password`: what the secret"),
            (r#""fields":[{"field":"comment","after":["hunter2"]}]"#, "line 2: `comment`: this is no value"),
            (
                r#""fields":[{"field":"comment","after":null},{"field":"comment","after":null}]"#,
                "line 2: `comment` stands there twice",
            ),
            (r#""fields":[{"field":"comment"}]"#, "line 2: `comment`: `after` is missing"),
            (r#""hunter2":1"#, "line 2, column"),
            (r#""fields":{"hunter2""#, "line 2, column"),
        ] {
            let error = read(&change(rest), true).unwrap_err();
            assert!(error.starts_with(said), "{rest}: {error}");
            assert!(!rest.contains("after") || !error.contains("hunter2"), "{error}");
        }
        assert!(
            read(&change("").replace(",}", "}").replace("\"add\"", "\"x\""), true).unwrap_err().contains("`action`")
        );
        assert!(read("", true).is_err());
        assert!(read(HEAD, false).unwrap_err().contains("no `changes`"));
        let head = HEAD.replace("\"system\"", "\"refused\":[{\"rule\":\"protect\",\"message\":\"x\"}],\"system\"");
        assert!(read(&head, true).unwrap_err().contains("`protect`"));
    }
}
