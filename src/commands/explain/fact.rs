//! What the tables say of one field in one system, as words and as JSON.

use serde_json::{Map, Value as Json, json};

use crate::model::{Field, FieldId, Kind, Type, Value};
use crate::system::{self, Default, Exclusion, Need, Rule, System};
use crate::wire;

#[derive(Clone, Copy)]
pub struct Fact {
    pub system: &'static System,
    pub kind: Kind,
    field: FieldId,
    pub rule: Option<&'static Rule>,
}

/// Every field of every kind that the system has, in the order of the tables.
pub fn all(system: &'static System) -> impl Iterator<Item = Fact> {
    system.kinds.iter().copied().flat_map(move |kind| {
        let of = move |(field, _)| Fact { system, kind, field, rule: system.rule(kind, field) };
        (0..).zip(kind.fields()).map(of)
    })
}

impl Fact {
    pub fn spec(&self) -> &'static Field {
        self.kind.field(self.field)
    }

    pub fn expressible(&self) -> bool {
        self.system.expresses(self.kind, self.field)
    }

    /// Whether the product has the field as a setting, or tells it.
    pub fn is_its(&self) -> bool {
        let untold = self.spec().read_only && self.rule.is_none() && !self.system.open;
        self.expressible() && !self.is_ours() && !untold
    }

    pub fn observable(&self) -> bool {
        self.system.observes(self.kind, self.field)
    }

    /// Whether the field is no setting of the product at all, but serves the files alone.
    pub fn is_ours(&self) -> bool {
        self.spec().own || self.rule.is_some_and(|rule| rule.source == "[P]")
    }

    /// Why the product cannot, if a row says so.
    pub fn why_never(&self) -> Option<&'static str> {
        match self.rule?.need {
            Need::Never(why) => Some(why),
            _ => None,
        }
    }

    pub fn fixed(&self) -> Option<&'static str> {
        match self.rule?.need {
            Need::Fixed(word) => Some(word),
            _ => None,
        }
    }

    /// What the field asks of a file.
    pub fn need(&self) -> String {
        match self.rule.map(|rule| &rule.need) {
            _ if self.spec().read_only => "given by the product".to_owned(),
            Some(Need::Required) => "required when it is added".to_owned(),
            Some(Need::RequiredWhen(other, word)) => {
                format!("required when it is added while {other} is {word}")
            }
            Some(Need::Fixed(word)) => format!("always {word}"),
            Some(Need::Never(why)) => format!("cannot be expressed: {why}"),
            None if !self.expressible() => "cannot be expressed".to_owned(),
            Some(Need::Optional) | None => String::new(),
        }
    }

    pub fn default(&self) -> String {
        match self.rule.map(|rule| &rule.default) {
            Some(Default::Value(word)) => (*word).to_owned(),
            Some(Default::By(other, cases)) => {
                let cases: Vec<String> = cases.iter().map(|(case, word)| format!("{word} for {case}")).collect();
                format!("{} (by {other})", cases.join(", "))
            }
            Some(Default::None) | None => String::new(),
        }
    }

    /// The words that the product takes, if they can be counted; a flag has none.
    pub fn words(&self) -> Vec<&'static str> {
        match (self.rule, self.spec().ty) {
            (Some(Rule { need: Need::Fixed(word), .. }), _) => vec![word],
            (Some(rule), _) if !rule.values.is_empty() => rule.values.to_vec(),
            (_, Type::Choice(words)) => words.to_vec(),
            _ => Vec::new(),
        }
    }

    /// What may be written.
    pub fn values(&self) -> String {
        let words = self.words();
        if let Some(word) = self.fixed() {
            return word.to_owned();
        }
        if !words.is_empty() {
            return format!("one of {}", words.join(", "));
        }
        match self.spec().ty {
            Type::Bool => "true or false".to_owned(),
            Type::Int { min, max } => format!("number from {min} to {max}"),
            Type::Text | Type::Choice(_) => "text".to_owned(),
            Type::Multiline => "text of several lines".to_owned(),
            Type::Mail => "mail address".to_owned(),
            Type::Mails => "mail addresses, parted by commas".to_owned(),
            Type::Host => "host name or IP address".to_owned(),
            Type::List => "list of texts".to_owned(),
            Type::Size => "size such as 512KB, 5MB, unlimited".to_owned(),
            Type::Secret => "secret".to_owned(),
            Type::Password => "secret, stored as a hash".to_owned(),
            Type::Reference => "name of a server".to_owned(),
        }
    }

    /// Why a value cannot be taken away again. What has a default goes back to it.
    pub fn keeps(&self) -> Option<&'static str> {
        let default = self.rule.is_some_and(|rule| !matches!(rule.default, Default::None));
        if default || self.spec().read_only || !self.expressible() || self.fixed().is_some() {
            return None;
        }
        self.system.keeps(self.kind, self.field)
    }

    /// The other systems in which the field can be set.
    pub fn able(&self) -> Vec<&'static str> {
        system::able(self.kind, self.field)
    }

    /// What the field cannot be beside another one.
    pub fn excluded(&self) -> impl Iterator<Item = &'static Exclusion> {
        let (kind, name) = (self.kind, self.spec().name);
        self.system.excludes.iter().filter(move |one| one.kind == kind && one.fields.contains(&name))
    }

    /// The same in words, each with the id of its rule.
    pub fn exclusions(&self) -> Vec<String> {
        let words = |one: &Exclusion| {
            let not =
                if one.words.is_empty() { "no value".to_owned() } else { format!("not {}", one.words.join(" or ")) };
            let when = one.when.map(|(other, words)| format!(" while {other} is {}", words.join(" or ")));
            format!("{not}{} ({})", when.unwrap_or_default(), one.id)
        };
        self.excluded().map(words).collect()
    }

    pub fn note(&self) -> &'static str {
        self.rule.map_or("", |rule| rule.note)
    }

    pub fn json(&self) -> Json {
        let (spec, rule) = (self.spec(), self.rule);
        let value = |word: &str| Value::from_word(spec.ty, word).map_or(Json::Null, |value| wire::value(&value));
        let default = match rule.map(|rule| &rule.default) {
            Some(Default::Value(word)) => value(word),
            Some(Default::By(other, cases)) => {
                let cases: Map<String, Json> =
                    cases.iter().map(|(case, word)| ((*case).to_owned(), value(word))).collect();
                json!({ "by": other, "values": cases })
            }
            Some(Default::None) | None => Json::Null,
        };
        let words = self.words();
        let values = match spec.ty {
            _ if !words.is_empty() => words.into_iter().map(value).collect(),
            Type::Bool => json!([true, false]),
            Type::Int { min, max } => json!({ "min": min, "max": max }),
            _ => Json::Null,
        };
        let when = |(other, word): (&str, &str)| json!({ "field": other, "value": word });
        let required_when = match rule.map(|rule| &rule.need) {
            Some(Need::RequiredWhen(other, word)) => Some(when((*other, *word))),
            _ => None,
        };
        json!({
            "system": self.system.name,
            "kind": self.kind.name(),
            "field": spec.name,
            "label": spec.label,
            "screen": rule.map(|rule| rule.screen).filter(|screen| !screen.is_empty()),
            "doc": spec.doc,
            "expressible": self.expressible(),
            "why_not": self.why_never(),
            "able": if self.expressible() && self.fixed().is_none() { Json::Null } else { json!(self.able()) },
            "observable": self.observable(),
            "required": rule.is_some_and(|rule| rule.need == Need::Required),
            "required_when": required_when,
            "fixed": self.fixed().map(value),
            "default": default,
            "values": values,
            "only_when": rule.and_then(|rule| rule.only_when).map(when),
            "excluded": self.excluded().map(|one| {
                let when = one.when.map(|(other, words)| json!({ "field": other, "values": words }));
                json!({ "rule": one.id, "values": one.words, "when": when })
            }).collect::<Vec<_>>(),
            "cannot_clear": self.keeps(),
            "source": rule.map(|rule| rule.source),
            "quote": rule.map(|rule| rule.quote).filter(|quote| !quote.is_empty()),
            "verified": rule.is_none_or(|rule| rule.verified),
            "note": rule.map(|rule| rule.note).filter(|note| !note.is_empty()),
        })
    }
}
