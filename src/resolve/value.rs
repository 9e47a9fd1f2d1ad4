//! What a written value means, by the type of its field.

use compact_str::CompactString;

use crate::model::desired::Aim;
use crate::model::diagnostic::{did_you_mean, instead};
use crate::model::{Field, Place, Raw, Type, Value};

/// Why a value does not fit its field.
pub struct Misfit {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// If it is not the place of the value as a whole.
    pub at: Option<Place>,
}

fn wrong<T>(code: &'static str, message: impl Into<String>, hint: Option<&str>) -> Result<T, Vec<Misfit>> {
    Err(vec![Misfit { code, message: message.into(), hint: hint.map(str::to_owned), at: None }])
}

/// Why a value cannot stand in a field, beside its type; for values that were not read from a file.
pub fn misfit(spec: &Field, value: &Value) -> Option<String> {
    let name = spec.name;
    let mail = |text: &str| mail_flaw(text).map(|flaw| format!("`{name}` is no mail address: {flaw}"));
    match (spec.ty, value) {
        (Type::Mail, Value::Text(text)) => mail(text),
        (Type::Mails, Value::Text(text)) => text.split(',').find_map(|one| mail(one.trim())),
        (Type::Host, Value::Text(text)) => host_flaw(text).map(|(flaw, _)| format!("`{name}` is no host name: {flaw}")),
        (Type::List, Value::List(items)) => items.iter().find_map(|item| mail(item)),
        (Type::Text | Type::Multiline, _) => None,
        (_, Value::Text(text)) if text.is_empty() => Some(format!("`{name}` cannot be empty")),
        _ => None,
    }
}

/// The items of a list, each a mail address.
fn items(name: &str, items: &[(CompactString, Place)]) -> Result<Aim, Vec<Misfit>> {
    let misfits: Vec<Misfit> = items
        .iter()
        .filter_map(|(text, place)| {
            let message = format!("an item of `{name}` is no mail address: {}", mail_flaw(text)?);
            Some(Misfit { code: "value/address", message, hint: None, at: Some(*place) })
        })
        .collect();
    if misfits.is_empty() {
        Ok(Aim::Value(Value::List(items.iter().map(|(text, _)| text.clone()).collect())))
    } else {
        Err(misfits)
    }
}

/// What a written value means in its field. A message does not repeat the value: it may be a
/// password in the wrong place.
pub fn aim(spec: &Field, raw: Raw) -> Result<Aim, Vec<Misfit>> {
    let name = spec.name;
    let (text, quoted) = match raw {
        Raw::Null => return Ok(Aim::Clear),
        Raw::Secret(source) => return Ok(Aim::Secret(source)),
        Raw::List(list) => return items(name, &list),
        Raw::Plain(text) | Raw::Cell(text) => (text, false),
        Raw::Quoted(text) => (text, true),
    };
    let textual = matches!(spec.ty, Type::Text | Type::Multiline);
    if text.is_empty() && !textual {
        return wrong(
            "value/empty",
            format!("`{name}` cannot be empty"),
            Some("write `null` for the default, or leave it out"),
        );
    }
    let flaw = match spec.ty {
        Type::Text | Type::Multiline | Type::Reference => None,
        Type::Mail => {
            mail_flaw(&text).map(|flaw| (format!("`{name}` is no mail address: {flaw}"), "as in `taro@example.jp`"))
        }
        Type::Mails => text.split(',').find_map(|one| mail_flaw(one.trim())).map(|flaw| {
            (format!("`{name}` holds something that is no mail address: {flaw}"), "part several addresses by commas")
        }),
        Type::Host => host_flaw(&text).map(|(flaw, hint)| (format!("`{name}` is no host name: {flaw}"), hint)),
        _ => return word(spec, &text, quoted),
    };
    match flaw {
        None => Ok(Aim::Value(Value::Text(text))),
        Some((message, hint)) => {
            wrong(if matches!(spec.ty, Type::Host) { "value/host" } else { "value/address" }, message, Some(hint))
        }
    }
}

/// What a single word means in a field that is no free text.
fn word(spec: &Field, text: &str, quoted: bool) -> Result<Aim, Vec<Misfit>> {
    let name = spec.name;
    let number_like = matches!(spec.ty, Type::Bool | Type::Int { .. });
    if quoted && number_like {
        return wrong("value/type", format!("`{name}` is {}", type_words(spec.ty)), Some("write it without quotes"));
    }
    match spec.ty {
        Type::Int { min, max } => {
            if let Some(value) = Value::from_word(spec.ty, text) {
                return Ok(Aim::Value(value));
            }
            let digits = text.strip_prefix('-').unwrap_or(text);
            let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if whole && (digits == "0" || !digits.starts_with('0')) {
                return wrong("value/range", format!("`{name}` is a number from {min} to {max}"), None);
            }
            let hint = whole.then_some("write the number without leading zeros");
            wrong("value/type", format!("`{name}` is {}", type_words(spec.ty)), hint)
        }
        Type::Bool => {
            if let Some(value) = Value::from_word(spec.ty, text) {
                Ok(Aim::Value(value))
            } else {
                let near = match text.to_lowercase().as_str() {
                    "yes" | "on" | "y" | "1" | "true" => Some("write `true`"),
                    "no" | "off" | "n" | "0" | "false" => Some("write `false`"),
                    _ => None,
                };
                wrong("value/type", format!("`{name}` is true or false"), near)
            }
        }
        Type::Choice(words) => {
            if let Some(value) = Value::from_word(spec.ty, text) {
                Ok(Aim::Value(value))
            } else {
                let near = did_you_mean(text, words.iter().copied());
                let message = format!("`{name}` is one of `{}`{}", words.join("`, `"), instead(text, near));
                wrong("value/choice", message, near.map(|near| format!("did you mean `{near}`?")).as_deref())
            }
        }
        Type::Size => match Value::from_word(spec.ty, text) {
            Some(value) => Ok(Aim::Value(value)),
            None => wrong("value/type", format!("`{name}` is a size such as `512KB`, `5MB` or `unlimited`"), None),
        },
        Type::List => {
            // A CSV cell: parted by `;`.
            let mut parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
            match parts.clone().find_map(mail_flaw) {
                Some(flaw) => wrong("value/address", format!("an item of `{name}` is no mail address: {flaw}"), None),
                None => Ok(Aim::Value(Value::List(parts.by_ref().map(CompactString::new).collect()))),
            }
        }
        Type::Text | Type::Multiline | Type::Reference | Type::Mail | Type::Mails | Type::Host => {
            Ok(Aim::Value(Value::Text(CompactString::new(text))))
        }
        // The formats read secrets themselves.
        Type::Secret | Type::Password => wrong("secret/form", format!("`{name}` is a secret"), None),
    }
}

fn type_words(ty: Type) -> String {
    match ty {
        Type::Bool => "true or false".to_owned(),
        Type::Int { min, max } => format!("a whole number from {min} to {max}"),
        _ => "text".to_owned(),
    }
}

/// Addresses outside the RFC are in use in Japan (001:54), so little is refused.
fn mail_flaw(text: &str) -> Option<&'static str> {
    // Nearly every address is as plain as this, and there may be millions.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    if let Some(at) = text.bytes().position(|b| !plain(b))
        && at > 0
        && text.as_bytes()[at] == b'@'
        && is_plain_host(&text[at + 1..])
    {
        return None;
    }
    let Some((local, domain)) = text.rsplit_once('@') else { return Some("it has no `@`") };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    if local.is_empty() {
        return Some("nothing stands before the `@`");
    }
    if !quoted && local.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;:@\"()[]\\".contains(c)) {
        return Some("what stands before the `@` holds a character that is not allowed there");
    }
    let literal = domain.starts_with('[') && domain.ends_with(']');
    (!literal && host_flaw(domain).is_some()).then_some("what stands behind the `@` is no host name")
}

/// Letters and digits, with single dots and hyphens between them.
fn is_plain_host(text: &str) -> bool {
    let mut between = true;
    for byte in text.bytes() {
        let joint = matches!(byte, b'-' | b'.');
        if (joint && between) || !(joint || byte.is_ascii_alphanumeric()) {
            return false;
        }
        between = joint;
    }
    !between && text.len() <= 63
}

fn host_flaw(text: &str) -> Option<(&'static str, &'static str)> {
    if is_plain_host(text) {
        return None;
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    if text.contains("://") {
        return Some(("it is an address with a scheme", "write the host alone, as in `mail.example.jp`"));
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Some(("it holds a port", "write the port in the field `port` beside it"));
    }
    let fine = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(fine)
    };
    // One dot may end a full name.
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 || !name.split('.').all(label) {
        return Some(("letters, digits, `-` and `.` make a host name", "as in `mail.example.jp`"));
    }
    None
}
