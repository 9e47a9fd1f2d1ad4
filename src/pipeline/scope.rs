//! What a run is restricted to: `--target` and `--exclude`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobMatcher};

use crate::model::draft::DraftResource;
use crate::model::plan::Partial;
use crate::model::{Address, Code, Error, Inventory, Key, Kind, Raw, Renames, Result};

/// A glob over addresses; one that names the upper part covers what is below.
struct Glob {
    text: String,
    matcher: GlobMatcher,
    /// Whether it has matched anything yet.
    used: AtomicBool,
}

impl Glob {
    fn new(text: &str) -> Result<Glob> {
        let refuse = |why: String| {
            Error::new(Code::Usage, format!("`{text}` is no pattern of addresses: {why}"))
                .hint("as in `account/sales-*` or `pattern/taro`")
        };
        let kind = text.split('/').next().unwrap_or_default();
        let named = Kind::ALL.iter().any(|known| known.name() == kind);
        if !named && !kind.contains(['*', '?', '[', '{']) {
            return Err(refuse("it starts with `server`, `account` or `pattern`".to_owned()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        let matcher = glob.map_err(|error| refuse(error.kind().to_string()))?.compile_matcher();
        Ok(Glob { text: text.to_owned(), matcher, used: AtomicBool::new(false) })
    }

    fn covers(&self, address: &str) -> bool {
        let ends = address.match_indices('/').map(|(at, _)| at).chain([address.len()]);
        let covers = ends.into_iter().any(|end| self.matcher.is_match(&address[..end]));
        if covers {
            self.used.store(true, Ordering::Relaxed);
        }
        covers
    }
}

/// Resources by their addresses, and what to call them together.
#[derive(Clone, Debug, Default)]
pub struct Exact {
    pub name: String,
    pub addresses: HashSet<Address>,
}

/// Which resources a run may touch.
#[derive(Default)]
pub struct Scope {
    /// These and no others.
    exact: Option<Exact>,
    targets: Vec<Glob>,
    excludes: Vec<Glob>,
    /// New servers that targets refer to.
    brought: HashSet<Key>,
}

impl Scope {
    pub fn new(partial: &Partial) -> Result<Scope> {
        let globs = |texts: &[String]| texts.iter().map(|text| Glob::new(text)).collect::<Result<Vec<Glob>>>();
        let (targets, excludes) = (globs(&partial.targets)?, globs(&partial.excludes)?);
        Ok(Scope { targets, excludes, ..Scope::default() })
    }

    pub fn exactly(exact: Exact) -> Scope {
        Scope { exact: Some(exact), ..Scope::default() }
    }

    pub fn is_whole(&self) -> bool {
        self.exact.is_none() && self.targets.is_empty() && self.excludes.is_empty()
    }

    pub fn partial(&self) -> Option<Partial> {
        if let Some(exact) = &self.exact {
            return Some(Partial { targets: vec![exact.name.clone()], excludes: Vec::new() });
        }
        let texts = |globs: &[Glob]| globs.iter().map(|glob| glob.text.clone()).collect();
        (!self.is_whole()).then(|| Partial { targets: texts(&self.targets), excludes: texts(&self.excludes) })
    }

    pub fn holds(&self, kind: Kind, key: &Key) -> bool {
        self.holds_by(kind, key, None)
    }

    /// Of a resource that is to be renamed, both names count: a rename is taken whole or left whole.
    pub fn holds_by(&self, kind: Kind, key: &Key, previously: Option<&Key>) -> bool {
        if self.is_whole() {
            return true;
        }
        if let Some(exact) = &self.exact {
            let holds = |key: &Key| exact.addresses.contains(&Address::new(kind, key.clone()));
            return [key].into_iter().chain(previously).any(holds);
        }
        if kind == Kind::Server && self.brought.contains(key) {
            return true;
        }
        let address = |key: &Key| Address::new(kind, key.clone()).to_string();
        let names: Vec<String> = [key].into_iter().chain(previously).map(address).collect();
        // All of them are asked, so that each is known to match something.
        let matches = |glob: &&Glob| names.iter().filter(|name| glob.covers(name)).count() > 0;
        let covers = |globs: &[Glob]| globs.iter().filter(matches).count() > 0;
        let (targeted, excluded) = (covers(&self.targets), covers(&self.excludes));
        (targeted || self.targets.is_empty()) && !excluded
    }

    /// Brings along the new servers that resources in scope refer to; refused where one is excluded.
    pub fn bring(&mut self, resources: &[DraftResource], inventory: &Inventory) -> Result<()> {
        // What was named one by one is all there is.
        if self.is_whole() || self.exact.is_some() {
            return Ok(());
        }
        let mut brought = HashSet::new();
        for resource in resources.iter().filter(|resource| self.holds(resource.kind, &resource.key)) {
            let Some(reference) = resource.kind.find("server") else { continue };
            let Some(cell) = resource.cells.iter().find(|cell| cell.field == reference) else { continue };
            let (Raw::Plain(name) | Raw::Quoted(name) | Raw::Cell(name)) = &cell.raw else { continue };
            let server = Key::single(name);
            if inventory.of(Kind::Server).find(server.as_bytes()).is_some() || brought.contains(&server) {
                continue;
            }
            let address = Address::new(Kind::Server, server.clone());
            if self.excludes.iter().any(|glob| glob.covers(&address.to_string())) {
                let message = format!("`{}` needs `{address}`, which is new and excluded", resource.address());
                return Err(Error::new(Code::Usage, message).hint("plan both, or neither"));
            }
            brought.insert(server);
        }
        self.brought = brought;
        Ok(())
    }

    /// Refuses half of a swap: a name that is taken must be given up in the same plan.
    pub fn refuse_halves(&self, renames: &Renames) -> Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        let holds = |kind: Kind, new: &Key, old: &Key| self.holds_by(kind, new, Some(old));
        for (kind, new, _) in renames.all().filter(|(kind, new, old)| holds(*kind, new, old)) {
            let mut others = renames.all().filter(|(other, _, leaving)| *other == kind && *leaving == new);
            if let Some((_, other, _)) = others.find(|(_, other, leaving)| !holds(kind, other, leaving)) {
                let (address, other) = (Address::new(kind, new.clone()), Address::new(kind, other.clone()));
                let message = format!("`{address}` is free only once the resource of that name has become `{other}`");
                return Err(Error::new(Code::Usage, message).hint("plan both, or neither"));
            }
        }
        Ok(())
    }

    /// Refuses a pattern that matches nothing, declared or stored: it is likely to be mistyped.
    pub fn refuse_idle(&self, inventory: &Inventory) -> Result<()> {
        for glob in self.targets.iter().chain(&self.excludes) {
            let stored = || {
                Kind::ALL.into_iter().any(|kind| {
                    let of_kind = inventory.of(kind);
                    (0..of_kind.len() as u32).any(|at| glob.covers(&Address::new(kind, of_kind.key(at)).to_string()))
                })
            };
            if !glob.used.load(Ordering::Relaxed) && !stored() {
                return Err(Error::new(Code::Usage, format!("`{}` matches nothing, declared or stored", glob.text))
                    .hint("`yubin show` lists what the store holds"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(targets: &[&str], excludes: &[&str]) -> Scope {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Scope::new(&Partial { targets: owned(targets), excludes: owned(excludes) }).unwrap()
    }

    #[test]
    fn a_glob_covers_what_is_below_it() {
        let table = [
            (&["account/a*"][..], &[][..], "account/abc", true),
            (&["account/a*"], &[], "account/bc", false),
            (&["account/a*"], &["account/ab*"], "account/abc", false),
            (&["pattern/taro"], &[], "pattern/taro/work", true),
            (&["pattern/taro"], &[], "pattern/taro2/work", false),
            (&["pattern"], &[], "pattern/taro/work", true),
            (&["pattern/*"], &[], "pattern/taro/work", true),
            (&["pattern/*/work"], &[], "pattern/taro/work", true),
            (&["pattern/*/work"], &[], "pattern/taro/home", false),
            (&["*"], &[], "account/a", true),
            (&[], &["account"], "account/a", false),
            (&[], &["account"], "server/a", true),
        ];
        for (targets, excludes, address, expected) in table {
            let named = Address::parse(address).unwrap();
            assert_eq!(scope(targets, excludes).holds(named.kind, &named.key), expected, "{targets:?} {address}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["acount/a", "account/[", ""] {
            let partial = Partial { targets: vec![wrong.to_owned()], excludes: Vec::new() };
            assert_eq!(Scope::new(&partial).err().map(|error| error.code), Some(Code::Usage), "{wrong}");
        }
    }
}
