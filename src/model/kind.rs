//! Kinds of resources, their keys, and the address by which a resource is named everywhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use compact_str::CompactString;

use super::field::{self, Field, FieldId};

/// The order is the order of apply: what is referred to comes before what refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Server,
    Account,
    Pattern,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Server, Kind::Account, Kind::Pattern];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Account => "account",
            Kind::Pattern => "pattern",
        }
    }

    /// The top-level key of YAML files.
    pub const fn plural(self) -> &'static str {
        match self {
            Kind::Server => "servers",
            Kind::Account => "accounts",
            Kind::Pattern => "patterns",
        }
    }

    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn from_plural(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.plural() == name)
    }

    /// Names of the key's parts, which are also its SQL columns and CSV headers.
    pub const fn key_parts(self) -> &'static [&'static str] {
        match self {
            Kind::Server | Kind::Account => &["name"],
            Kind::Pattern => &["user", "name"],
        }
    }

    pub const fn fields(self) -> &'static [Field] {
        match self {
            Kind::Server => field::SERVER,
            Kind::Account => field::ACCOUNT,
            Kind::Pattern => field::PATTERN,
        }
    }

    pub fn field(self, id: FieldId) -> &'static Field {
        &self.fields()[usize::from(id)]
    }

    pub fn find(self, name: &str) -> Option<FieldId> {
        static IDS: [OnceLock<HashMap<&str, FieldId>>; 3] = [const { OnceLock::new() }; 3];
        let ids = IDS[self as usize].get_or_init(|| (0..).zip(self.fields()).map(|(id, f)| (f.name, id)).collect());
        ids.get(name).copied()
    }

    /// Whether fields stand below this dotted name: `outgoing.auth` is a group.
    pub fn has_group(self, name: &str) -> bool {
        self.fields().iter().any(|f| f.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The id of a field that is known to exist; in a constant, a wrong name does not compile.
    pub const fn id(self, name: &str) -> FieldId {
        let fields = self.fields();
        let mut at = 0;
        while at < fields.len() {
            if same(fields[at].name, name) {
                return at as FieldId;
            }
            at += 1;
        }
        panic!("no such field")
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The key of a resource: its parts joined by NUL, which no part may hold, so that the bytewise
/// order of keys is the order of their parts, in memory and in every store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(CompactString);

impl Key {
    pub fn single(name: &str) -> Key {
        Key(CompactString::new(name))
    }

    pub fn pair(user: &str, name: &str) -> Key {
        let mut joined = CompactString::with_capacity(user.len() + 1 + name.len());
        joined.push_str(user);
        joined.push('\0');
        joined.push_str(name);
        Key(joined)
    }

    pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Key {
        let mut joined = CompactString::default();
        for (at, part) in parts.into_iter().enumerate() {
            if at > 0 {
                joined.push('\0');
            }
            joined.push_str(part);
        }
        Key(joined)
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('\0')
    }

    /// The first part: the user of a pattern, the name of everything else.
    pub fn first(&self) -> &str {
        self.0.split('\0').next().unwrap_or_default()
    }

    /// The key with another name, of the same user.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Key {
        match self.0.split_once('\0') {
            Some((user, _)) => Key::pair(user, name),
            None => Key::single(name),
        }
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('\0').next().unwrap_or_default()
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub fn as_joined(&self) -> &str {
        &self.0
    }
}

/// `server/NAME`, `account/NAME`, `pattern/USER/NAME`; `/` and `%` inside a part are
/// percent-encoded, control characters too, so that an address stays on one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    pub kind: Kind,
    pub key: Key,
}

impl Address {
    pub fn new(kind: Kind, key: Key) -> Address {
        Address { kind, key }
    }

    /// Reads an address; the error is a sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Address, String> {
        let mut parts = text.split('/');
        let kind = parts.next().unwrap_or_default();
        let Some(kind) = Kind::from_name(kind) else {
            return Err(format!("`{text}` is no address: it starts with `server/`, `account/` or `pattern/`"));
        };
        let parts: Vec<String> = parts
            .map(decode)
            .collect::<Option<_>>()
            .ok_or_else(|| format!("`{text}` is no address: `%` is followed by two hexadecimal digits"))?;
        if parts.len() != kind.key_parts().len() || parts.iter().any(|part| part.is_empty() || part.contains('\0')) {
            let shape: Vec<String> = kind.key_parts().iter().map(|part| part.to_uppercase()).collect();
            return Err(format!("`{text}` is no address: expected `{kind}/{}`", shape.join("/")));
        }
        Ok(Address { kind, key: Key::from_parts(parts.iter().map(String::as_str)) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        for part in self.key.parts() {
            f.write_str("/")?;
            let mut plain = 0;
            for (at, ch) in part.char_indices() {
                if ch == '/' || ch == '%' || ch.is_control() {
                    f.write_str(&part[plain..at])?;
                    let mut bytes = [0; 4];
                    for byte in ch.encode_utf8(&mut bytes).bytes() {
                        write!(f, "%{byte:02X}")?;
                    }
                    plain = at + ch.len_utf8();
                }
            }
            f.write_str(&part[plain..])?;
        }
        Ok(())
    }
}

fn decode(part: &str) -> Option<String> {
    if !part.contains('%') {
        return Some(part.to_owned());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_a_round_trip() {
        for (user, name) in [("taro", "p1"), ("a/b", "50%"), ("受信", "x y"), ("a\nb", "%2F")] {
            let address = Address::new(Kind::Pattern, Key::pair(user, name));
            assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }
        let odd = Address::new(Kind::Account, Key::single("a/b%c"));
        assert_eq!(odd.to_string(), "account/a%2Fb%25c");
    }

    #[test]
    fn a_wrong_address_is_explained() {
        for wrong in ["", "taro", "mailbox/x", "account/", "account/a/b", "pattern/a", "account/%zz"] {
            assert!(Address::parse(wrong).unwrap_err().contains("no address"), "{wrong}");
        }
    }
}
