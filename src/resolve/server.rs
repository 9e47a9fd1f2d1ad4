//! Servers: their places in the list, and what they bring to those who refer to them.

use std::collections::HashMap;

use compact_str::CompactString;

use super::rules::remove_or;
use super::{Problems, Step, Typed};
use crate::check;
use crate::model::desired::{Aim, Existence};
use crate::model::diagnostic::{did_you_mean, unknown_word};
use crate::model::{Address, Diagnostic, DraftResource, FieldId, Key, Kind, Origin, Source, Value, Wanted, Wish};
use crate::system;

const POSITION: FieldId = Kind::Server.id("position");

impl Step<'_> {
    /// Gives every server its place in the list: servers without one stand in the order of the files,
    /// in the places that the others leave free (003:87, 004:85).
    pub(super) fn order(&self, servers: &mut [(DraftResource, Typed)], problems: &mut Problems) {
        let mut taken = self.staying(servers);
        let mut free: Vec<&mut (DraftResource, Typed)> = Vec::new();
        for server in servers.iter_mut().filter(|(resource, _)| !resource.absent) {
            let (resource, typed) = &*server;
            match typed.wishes.iter().find(|wish| wish.field == POSITION) {
                Some(Wish { aim: Aim::Value(Value::Int(place)), source, .. }) => {
                    if let Some(other) = taken.insert(*place, resource.key.clone()) {
                        let other = Address::new(Kind::Server, other);
                        let problem =
                            Diagnostic::error("server/position", format!("`{other}` has the same place in the list"))
                                .hint("give every server a place of its own, or leave `position` out; one that no file declares keeps its place");
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

    /// The places of servers that stay in the list although no file declares them.
    fn staying(&self, declared: &[(DraftResource, Typed)]) -> HashMap<i64, Key> {
        let Some(stored) = self.stored else { return HashMap::new() };
        let goes = |key: &Key| {
            declared.iter().any(|(resource, _)| resource.key == *key)
                || stored.gone.iter().any(|(kind, gone)| *kind == Kind::Server && gone == key)
        };
        let rows = stored.rows.of(Kind::Server).iter().filter(|row| !goes(&row.key));
        rows.filter_map(|row| match row.get(POSITION) {
            Some(Value::Int(place)) => Some((*place, row.key.clone())),
            _ => None,
        })
        .collect()
    }

    /// Takes from the server what the resource does not write itself, unless accounts of the system refer
    /// to servers themselves. Returns what the server says.
    pub(super) fn follow_server(
        &self,
        wanted: &mut Wanted,
        existence: Existence<'_>,
        address: &Address,
        problems: &mut Problems,
    ) -> Option<check::Server<'_>> {
        let reference = wanted.kind.find("server")?;
        let Some(at) = wanted.place_of(reference) else {
            let kept = existence.row()?.get(reference)?.text()?;
            return Some(self.server(&Key::single(kept)));
        };
        let source = wanted.wishes[at].source;
        let Aim::Value(Value::Text(name)) = &wanted.wishes[at].aim else { return None };
        let key = Key::single(name);
        let server = self.servers.get(&key).map(Vec::as_slice);
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
        server?;
        Some(self.server(&key))
    }

    /// What is known of a server: what the files say, and what the store keeps.
    fn server(&self, key: &Key) -> check::Server<'_> {
        let row = self.stored.and_then(|stored| stored.rows.get(Kind::Server, key));
        check::Server { declared: self.servers.get(key).map_or(&[], Vec::as_slice), row }
    }

    /// A setting of the server that the kind has no field for would be dropped in silence.
    pub(super) fn refuse_lost(
        &self,
        kind: Kind,
        server: &[Wish],
        source: Source,
        address: &Address,
        problems: &mut Problems,
    ) {
        for wish in server {
            let field = Kind::Server.field(wish.field);
            let own = field.name == "outgoing.auth.credentials" && kind == Kind::Account;
            let lost = match &wish.aim {
                Aim::Value(Value::Bool(on)) => *on,
                Aim::Value(Value::Size(limit)) => limit.is_some(),
                Aim::Value(Value::Int(number)) => *number > 0 && field.name != "position",
                // An account has one pair of credentials, which it writes itself.
                Aim::Value(value) => own && value.is_word("own"),
                Aim::Secret(_) | Aim::Clear => false,
            };
            if !lost || field.name == "supports_uidl" || (kind.find(field.name).is_some() && !own) {
                continue;
            }
            let product = self.system.product;
            let message = format!("{product} has no setting for `{}`, which this server asks for", field.name);
            let problem = Diagnostic::error("system/not-expressible", message)
                .hint(remove_or(&system::able(Kind::Server, wish.field)));
            problems.0.push(self.at(problem, source).of(address).field(field.name));
        }
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
