//! The value of a field, as it stands in desired state, in the store and in a plan.

use std::fmt;

use compact_str::CompactString;

use super::field::Type;
use super::secret::{Clear, Hashed, Sealed};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Bool(bool),
    Int(i64),
    /// Text, choices, references, hosts and mail addresses.
    Text(CompactString),
    List(Box<[CompactString]>),
    /// Bytes; `None` is unlimited.
    Size(Option<u64>),
    Sealed(Sealed),
    Hashed(Box<Hashed>),
    /// A mailbox password that an apply of the plan will hash.
    Unhashed(Clear),
    /// A secret that this run was told not to fetch.
    Unknown,
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is the value that the word stands for, where words are unique: not of sizes and lists.
    pub fn is_word(&self, word: &str) -> bool {
        match self {
            Value::Text(text) => text == word,
            Value::Bool(value) => word == if *value { "true" } else { "false" },
            Value::Int(number) => word.parse() == Ok(*number),
            Value::List(_) | Value::Size(_) => false,
            Value::Sealed(_) | Value::Hashed(_) | Value::Unhashed(_) | Value::Unknown => false,
        }
    }

    /// Reads the word that stands for a value of this type in a table of facts or in a CSV cell.
    /// `None` if the type does not know the word. Secrets have no word.
    pub fn from_word(ty: Type, word: &str) -> Option<Value> {
        match ty {
            Type::Bool => match word {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            Type::Int { min, max } => {
                let plain = word.strip_prefix('-').unwrap_or(word);
                let ambiguous = plain.len() > 1 && plain.starts_with('0');
                if plain.is_empty() || ambiguous || !plain.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                let number: i64 = word.parse().ok()?;
                (min..=max).contains(&number).then_some(Value::Int(number))
            }
            Type::Choice(words) => words.contains(&word).then(|| Value::Text(CompactString::new(word))),
            Type::Size => size(word).map(Value::Size),
            Type::List => Some(Value::List(
                word.split(';').map(str::trim).filter(|w| !w.is_empty()).map(CompactString::new).collect(),
            )),
            Type::Text | Type::Multiline | Type::Mail | Type::Mails | Type::Host | Type::Reference => {
                Some(Value::Text(CompactString::new(word)))
            }
            Type::Secret | Type::Password => None,
        }
    }
}

#[expect(clippy::option_option, reason = "no size at all, or one that may be unlimited")]
/// `unlimited`, or a whole number of KB, MB or GB (of 1024).
fn size(word: &str) -> Option<Option<u64>> {
    if word == "unlimited" {
        return Some(None);
    }
    let digits = word.len() - word.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
    let (number, unit) = word.split_at(digits);
    let unit: u64 = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).map(Some)
}

const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];

/// The word of the value, as YAML and CSV write it. A secret writes that it is one.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Text(value) => f.write_str(value),
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(";")?;
                    }
                    f.write_str(item)?;
                }
                Ok(())
            }
            Value::Size(None) => f.write_str("unlimited"),
            Value::Size(Some(bytes)) => {
                // KB divides every size that can be read.
                let (name, unit) = UNITS.iter().find(|(_, unit)| bytes % unit == 0).unwrap_or(&("KB", 1 << 10));
                write!(f, "{}{name}", bytes / unit)
            }
            Value::Sealed(_) | Value::Hashed(_) | Value::Unhashed(_) | Value::Unknown => f.write_str("(secret)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_round_trip() {
        for word in ["unlimited", "512KB", "1MB", "10MB", "3GB"] {
            assert_eq!(Value::from_word(Type::Size, word).unwrap().to_string(), word);
        }
        assert_eq!(Value::from_word(Type::Size, "1024KB").unwrap().to_string(), "1MB");
        for word in ["", "MB", "5", "5mb", "-1MB", "0KB", "99999999999999GB"] {
            assert_eq!(Value::from_word(Type::Size, word), None, "{word}");
        }
    }

    #[test]
    fn a_number_is_written_in_one_way() {
        let port = Type::Int { min: 1, max: 65535 };
        assert_eq!(Value::from_word(port, "25"), Some(Value::Int(25)));
        for word in ["", "025", "+25", "0x19", "2_5", "25.0", "1e3", "0", "65536", " 25"] {
            assert_eq!(Value::from_word(port, word), None, "{word}");
        }
    }
}
