//! Resources that are to get another name.

use std::collections::{HashMap, HashSet};

use super::kind::{Key, Kind};

/// What the files ask for with `previously`, as far as the store has not done it yet.
#[derive(Debug, Default)]
pub struct Renames {
    /// By the new key: the present one.
    from: HashMap<(Kind, Key), Key>,
    leaving: HashSet<(Kind, Key)>,
    /// By the new key: the present one, where another resource has the new key and keeps it.
    clashes: HashMap<(Kind, Key), Key>,
}

impl Renames {
    /// Of what is asked for (kind, new key, present key), that which can be done at once: a new key is free, or
    /// given up in the same plan.
    pub fn new(asked: Vec<(Kind, Key, Key)>, exists: impl Fn(Kind, &Key) -> bool) -> Renames {
        let mut renames = Renames::default();
        let mut open = asked;
        renames.leaving = open.iter().map(|(kind, _, old)| (*kind, old.clone())).collect();
        loop {
            let clash = |(kind, new, _): &(Kind, Key, Key)| {
                exists(*kind, new) && !renames.leaving.contains(&(*kind, new.clone()))
            };
            // What cannot leave takes the way of others.
            let (clashes, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(clash);
            open = rest;
            if clashes.is_empty() {
                break;
            }
            for (kind, new, old) in clashes {
                renames.leaving.remove(&(kind, old.clone()));
                renames.clashes.insert((kind, new), old);
            }
        }
        renames.from = open.into_iter().map(|(kind, new, old)| ((kind, new), old)).collect();
        renames
    }

    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.clashes.is_empty()
    }

    /// The present key of a resource that is to get this one.
    pub fn from(&self, kind: Kind, new: &Key) -> Option<&Key> {
        if self.from.is_empty() { None } else { self.from.get(&(kind, new.clone())) }
    }

    /// The new key of a resource, and its present one.
    pub fn all(&self) -> impl Iterator<Item = (Kind, &Key, &Key)> {
        self.from.iter().map(|((kind, new), old)| (*kind, new, old))
    }

    /// The present keys of resources that are to get another one, even if they cannot: nothing of that makes them
    /// undeclared.
    pub fn claimed(&self) -> impl Iterator<Item = (Kind, &Key)> {
        self.from.iter().chain(&self.clashes).map(|((kind, _), old)| (*kind, old))
    }

    /// Whether the resource of this key gives it up.
    pub fn leaves(&self, kind: Kind, key: &Key) -> bool {
        !self.leaving.is_empty() && self.leaving.contains(&(kind, key.clone()))
    }

    /// The key that a resource cannot exchange for this one.
    pub fn clash(&self, kind: Kind, new: &Key) -> Option<&Key> {
        if self.clashes.is_empty() { None } else { self.clashes.get(&(kind, new.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renames(asked: &[(&str, &str)], exist: &[&str]) -> (Vec<String>, Vec<String>) {
        let asked = asked.iter().map(|(new, old)| (Kind::Account, Key::single(new), Key::single(old))).collect();
        let renames = Renames::new(asked, |_, key| exist.contains(&key.name()));
        let mut done: Vec<String> =
            renames.all().map(|(_, new, old)| format!("{}>{}", old.name(), new.name())).collect();
        let mut clashes: Vec<String> = renames.clashes.values().map(|old| old.name().to_owned()).collect();
        done.sort();
        clashes.sort();
        (done, clashes)
    }

    #[test]
    fn what_is_free_or_given_up_can_be_taken() {
        let (done, clashes) = renames(&[("b", "a")], &["a"]);
        assert_eq!((done.join(" "), clashes.len()), ("a>b".to_owned(), 0));
        let (done, _) = renames(&[("b", "a"), ("a", "b")], &["a", "b"]);
        assert_eq!(done, ["a>b", "b>a"]);
        let (done, _) = renames(&[("b", "a"), ("c", "b")], &["a", "b"]);
        assert_eq!(done, ["a>b", "b>c"]);
    }

    #[test]
    fn what_cannot_leave_stands_in_the_way_of_those_behind_it() {
        let (done, clashes) = renames(&[("b", "a"), ("c", "b")], &["a", "b", "c"]);
        assert!(done.is_empty());
        assert_eq!(clashes, ["a", "b"]);
    }
}
