//! What is known of a resource: what the files say, and below it what the store keeps.

use crate::model::desired::Aim;
use crate::model::{FieldId, Kind, Row, Sealed, SecretSource, Source, Value, Wanted};

#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub kind: Kind,
    pub wanted: Option<&'a Wanted>,
    pub row: Option<&'a Row>,
}

/// A secret, before anybody has opened it.
#[derive(Clone, Copy)]
pub enum Held<'a> {
    Declared(&'a SecretSource, Source),
    Sealed(FieldId, &'a Sealed),
    /// Nobody can give it back.
    Hash,
}

impl<'a> Known<'a> {
    fn value(&self, name: &str) -> Option<&'a Value> {
        let field = self.kind.find(name)?;
        match self.wanted.and_then(|wanted| wanted.wish(field)) {
            Some(wish) => wish.value(),
            None => self.row?.get(field),
        }
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.value(name).and_then(Value::text).filter(|text| !text.is_empty())
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// Bytes; `None` for `unlimited`, too.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Size(size)) => *size,
            _ => None,
        }
    }

    pub fn secret(&self, name: &str) -> Option<Held<'a>> {
        let field = self.kind.find(name)?;
        if let Some(wish) = self.wanted.and_then(|wanted| wanted.wish(field)) {
            return match &wish.aim {
                Aim::Secret(SecretSource::Hash(_)) => Some(Held::Hash),
                Aim::Secret(source) => Some(Held::Declared(source, wish.source)),
                Aim::Value(_) | Aim::Clear => None,
            };
        }
        match self.row?.get(field)? {
            Value::Sealed(sealed) => Some(Held::Sealed(field, sealed)),
            Value::Hashed(_) => Some(Held::Hash),
            _ => None,
        }
    }
}

/// A resource with the server that it refers to: what it does not say itself, the server says.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    pub own: Known<'a>,
    pub server: Option<Known<'a>>,
}

impl<'a> Settings<'a> {
    fn first<T>(&self, read: impl Fn(&Known<'a>) -> Option<T>) -> Option<T> {
        read(&self.own).or_else(|| self.server.as_ref().and_then(read))
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.first(|known| known.text(name))
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.first(|known| known.flag(name))
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.first(|known| known.int(name))
    }

    pub fn size(&self, name: &str) -> Option<u64> {
        self.first(|known| known.size(name))
    }
}
