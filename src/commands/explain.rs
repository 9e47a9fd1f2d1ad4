//! `yubin explain`

use serde_json::json;

use super::{Common, End, print, print_json};
use crate::check;
use crate::model::diagnostic::did_you_mean;
use crate::model::{Code, Error, FieldId, Kind, Result, Type, Value};
use crate::system::{self, Default as SystemDefault, Need, System};
use crate::wire;

/// Show the rules of a field or a system, with their source
#[derive(clap::Args)]
pub struct Args {
    /// A system such as `catchme-mail`, a field such as `outgoing.port`, or both
    #[arg(value_name = "SYSTEM or FIELD", required = true, num_args = 1..=2)]
    names: Vec<String>,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let mut systems: Vec<&System> = Vec::new();
    let mut fields: Vec<&str> = Vec::new();
    for name in &args.names {
        if let Some(system) = System::find(name) {
            systems.push(system);
        } else if Kind::ALL.iter().any(|kind| kind.find(name).is_some()) {
            fields.push(name);
        } else {
            let known = system::ALL
                .iter()
                .map(|system| system.name)
                .chain(Kind::ALL.iter().flat_map(|kind| kind.fields()).map(|field| field.name));
            let error = Error::new(Code::Usage, format!("`{name}` is no system and no field"));
            return Err(match did_you_mean(name, known) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("systems are {}", system::ALL.map(|system| system.name).join(", "))),
            });
        }
    }
    if systems.is_empty() {
        systems.extend(system::ALL);
    }
    if common.is_json() {
        let rows: Vec<_> = systems
            .iter()
            .flat_map(|system| rows(system, &fields))
            .map(|(system, kind, field)| row(system, kind, field))
            .collect();
        print_json(&json!({ "format_version": wire::FORMAT_VERSION, "fields": rows }))?;
        return Ok(End::Done);
    }
    print(|to| {
        for (at, system) in systems.iter().enumerate() {
            if at > 0 {
                writeln!(to)?;
            }
            let document =
                if system.document.is_empty() { String::new() } else { format!(" (document {})", system.document) };
            writeln!(to, "{}: {}{document}", system.name, system.about)?;
            let mut last = None;
            for (system, kind, field) in rows(system, &fields) {
                if last.replace(kind) != Some(kind) {
                    writeln!(to, "\n  {kind}, key {}", kind.key_parts().join(", "))?;
                }
                let row = row(system, kind, field);
                let spec = kind.field(field);
                writeln!(to, "    {}  {}", spec.name, spec.label)?;
                writeln!(to, "        {}", spec.doc)?;
                writeln!(to, "        {}", sentence(system, kind, field, &row))?;
            }
            let checks = check::of(system.name).filter(|_| fields.is_empty());
            for (at, check) in checks.enumerate() {
                if at == 0 {
                    writeln!(to, "\n  rules")?;
                }
                writeln!(to, "    {}  {} ({})", check.id, check.doc, check.source)?;
            }
        }
        Ok(())
    })?;
    Ok(End::Done)
}

type Place = (&'static System, Kind, FieldId);

fn rows(system: &System, only: &[&str]) -> Vec<Place> {
    let Some(system) = System::find(system.name) else { return Vec::new() };
    let mut rows = Vec::new();
    for kind in system.kinds.iter().copied() {
        for (id, field) in (0..).zip(kind.fields()) {
            let asked = only.contains(&field.name);
            if asked || (only.is_empty() && system.expresses(kind, id)) {
                rows.push((system, kind, id));
            }
        }
    }
    rows
}

fn row(system: &System, kind: Kind, field: FieldId) -> serde_json::Value {
    let spec = kind.field(field);
    let rule = system.rule(kind, field);
    let default = match rule.map(|rule| &rule.default) {
        Some(SystemDefault::Value(word)) => {
            Value::from_word(spec.ty, word).map_or(serde_json::Value::Null, |value| wire::value(&value))
        }
        Some(SystemDefault::By(other, cases)) => {
            let cases: serde_json::Map<String, serde_json::Value> = cases
                .iter()
                .filter_map(|(case, word)| Some(((*case).to_owned(), wire::value(&Value::from_word(spec.ty, word)?))))
                .collect();
            json!({ "by": other, "values": cases })
        }
        Some(SystemDefault::None) | None => serde_json::Value::Null,
    };
    let values = match (rule.map(|rule| &rule.need), spec.ty) {
        (Some(Need::Fixed(word)), _) => json!([word]),
        (_, Type::Choice(words)) => json!(words),
        (_, Type::Bool) => json!([true, false]),
        (_, Type::Int { min, max }) => json!({ "min": min, "max": max }),
        _ => serde_json::Value::Null,
    };
    json!({
        "system": system.name,
        "kind": kind.name(),
        "field": spec.name,
        "label": spec.label,
        "doc": spec.doc,
        "expressible": system.expresses(kind, field),
        "observable": system.observes(kind, field),
        "required": rule.is_some_and(|rule| rule.need == Need::Required),
        "default": default,
        "values": values,
        "only_when": rule.and_then(|rule| rule.only_when).map(|(other, value)| json!({ "field": other, "value": value })),
        "source": rule.map(|rule| rule.source),
        "verified": rule.is_none_or(|rule| rule.verified),
        "note": rule.map(|rule| rule.note).filter(|note| !note.is_empty()),
    })
}

fn sentence(system: &System, kind: Kind, field: FieldId, row: &serde_json::Value) -> String {
    if !system.expresses(kind, field) {
        return format!("cannot be expressed; systems that can: {}", system::able(kind, field).join(", "));
    }
    let mut parts = vec![type_name(kind.field(field).ty)];
    if kind.field(field).read_only {
        parts.push("given by the product".to_owned());
    }
    if row["required"] == true {
        parts.push("required when it is added".to_owned());
    }
    match &row["default"] {
        serde_json::Value::Null => {}
        serde_json::Value::Object(by) => {
            let cases: Vec<String> = by["values"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(case, value)| format!("{value} for {case}"))
                .collect();
            parts.push(format!("default {} (by {})", cases.join(", "), by["by"].as_str().unwrap_or_default()));
        }
        value => parts.push(format!("default {value}")),
    }
    if let (Some(other), Some(word)) = (row["only_when"]["field"].as_str(), row["only_when"]["value"].as_str()) {
        parts.push(format!("effective only if {other} is {word}"));
    }
    if let Some(Need::Fixed(word)) = system.rule(kind, field).map(|rule| &rule.need) {
        parts.push(format!("always {word}"));
    }
    if let Some(note) = row["note"].as_str() {
        parts.push(note.to_owned());
    }
    let mut sentence = parts.join("; ");
    if let Some(source) = row["source"].as_str() {
        let unverified = if row["verified"] == false { ", unverified" } else { "" };
        sentence = format!("{sentence} [{source}{unverified}]");
    }
    sentence
}

fn type_name(ty: Type) -> String {
    match ty {
        Type::Bool => "true or false".to_owned(),
        Type::Int { min, max } => format!("number from {min} to {max}"),
        Type::Text => "text".to_owned(),
        Type::Multiline => "text of several lines".to_owned(),
        Type::Mail => "mail address".to_owned(),
        Type::Mails => "mail addresses, parted by commas".to_owned(),
        Type::Host => "host name or IP address".to_owned(),
        Type::List => "list of texts".to_owned(),
        Type::Choice(words) => format!("one of {}", words.join(", ")),
        Type::Size => "size such as 512KB, 5MB, unlimited".to_owned(),
        Type::Secret => "secret".to_owned(),
        Type::Reference => "name of a server".to_owned(),
    }
}
